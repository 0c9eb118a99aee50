/* base/buf: bounded cursors over bytes with a sticky error. Two types, so that
 * const is real: `struct rbuf` reads, `struct wbuf` writes. Network byte order.
 * After the first access out of bounds `bad` is set, reads give zero, writes do
 * nothing; so a run of calls needs one check at its end.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct rbuf {
	const uint8_t *base, *at, *end;
	bool bad;
};

struct wbuf {
	uint8_t *base, *at, *end;
	bool bad;
};

static inline uint16_t get_u16(const uint8_t *p) { return (uint16_t)(p[0] << 8 | p[1]); }
static inline uint32_t get_u32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}
static inline void put_u16(uint8_t *p, uint16_t v) { p[0] = (uint8_t)(v >> 8); p[1] = (uint8_t)v; }
static inline void put_u32(uint8_t *p, uint32_t v) { put_u16(p, (uint16_t)(v >> 16)); put_u16(p + 2, (uint16_t)v); }

static inline uint64_t get_u64(const uint8_t *p) { return (uint64_t)get_u32(p) << 32 | get_u32(p + 4); }
static inline void put_u64(uint8_t *p, uint64_t v) { put_u32(p, (uint32_t)(v >> 32)); put_u32(p + 4, (uint32_t)v); }

static inline struct rbuf rbuf_of(const void *bytes, size_t length)
{
	const uint8_t *p = bytes;
	return (struct rbuf){p, p, p + length, false};
}
static inline size_t rbuf_left(const struct rbuf *b) { return (size_t)(b->end - b->at); }
static inline size_t rbuf_pos(const struct rbuf *b) { return (size_t)(b->at - b->base); }

/* The next `n` bytes, borrowed; NULL (and bad) if there are not so many. */
static inline const uint8_t *rbuf_take(struct rbuf *b, size_t n)
{
	const uint8_t *p = b->at;

	if (b->bad || rbuf_left(b) < n) {
		b->bad = true;
		return NULL;
	}
	b->at += n;
	return p;
}
static inline uint8_t rbuf_u8(struct rbuf *b) { const uint8_t *p = rbuf_take(b, 1); return p ? *p : 0; }
static inline uint16_t rbuf_u16(struct rbuf *b) { const uint8_t *p = rbuf_take(b, 2); return p ? get_u16(p) : 0; }
static inline uint32_t rbuf_u32(struct rbuf *b) { const uint8_t *p = rbuf_take(b, 4); return p ? get_u32(p) : 0; }
static inline uint64_t rbuf_u48(struct rbuf *b)
{
	const uint8_t *p = rbuf_take(b, 6);
	return p ? (uint64_t)get_u16(p) << 32 | get_u32(p + 2) : 0;
}

static inline struct wbuf wbuf_of(void *bytes, size_t size)
{
	uint8_t *p = bytes;
	return (struct wbuf){p, p, p + size, false};
}
static inline size_t wbuf_used(const struct wbuf *b) { return (size_t)(b->at - b->base); }
static inline size_t wbuf_left(const struct wbuf *b) { return (size_t)(b->end - b->at); }

/* Room for `n` bytes that the caller fills; NULL (and bad) if there is none. */
static inline uint8_t *wbuf_room(struct wbuf *b, size_t n)
{
	uint8_t *p = b->at;

	if (b->bad || wbuf_left(b) < n) {
		b->bad = true;
		return NULL;
	}
	b->at += n;
	return p;
}
static inline void wbuf_bytes(struct wbuf *b, const void *bytes, size_t n)
{
	uint8_t *p = wbuf_room(b, n);
	if (p && n)
		memcpy(p, bytes, n);
}
static inline void wbuf_u8(struct wbuf *b, uint8_t v) { uint8_t *p = wbuf_room(b, 1); if (p) *p = v; }
static inline void wbuf_u16(struct wbuf *b, uint16_t v) { uint8_t *p = wbuf_room(b, 2); if (p) put_u16(p, v); }
static inline void wbuf_u32(struct wbuf *b, uint32_t v) { uint8_t *p = wbuf_room(b, 4); if (p) put_u32(p, v); }
static inline void wbuf_u48(struct wbuf *b, uint64_t v) { wbuf_u16(b, (uint16_t)(v >> 32)); wbuf_u32(b, (uint32_t)v); }

#endif
