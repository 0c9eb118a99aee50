#include "base/siphash.h"

#include <endian.h>
#include <string.h>

static inline uint64_t rotate(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

/* Up to 8 octets, the least significant first. */
static inline uint64_t word_of(const uint8_t *p, size_t n)
{
	uint64_t word = 0;

	memcpy(&word, p, n);
	return le64toh(word);
}

const uint8_t siphash_sum_key[SIPHASH_KEY] = {
	0x24, 0x3f, 0x6a, 0x88, 0x85, 0xa3, 0x08, 0xd3, 0x13, 0x19, 0x8a, 0x2e, 0x03, 0x70, 0x73, 0x44,
};

static inline void rounds(struct siphash *s, unsigned n)
{
	while (n--) {
		s->a += s->b;
		s->c += s->d;
		s->b = rotate(s->b, 13) ^ s->a;
		s->d = rotate(s->d, 16) ^ s->c;
		s->a = rotate(s->a, 32) + s->d;
		s->c += s->b;
		s->d = rotate(s->d, 21) ^ s->a;
		s->b = rotate(s->b, 17) ^ s->c;
		s->c = rotate(s->c, 32);
	}
}

static inline void take_in(struct siphash *s, uint64_t word)
{
	s->d ^= word;
	rounds(s, 2);
	s->a ^= word;
}

void siphash_begin(struct siphash *s, const uint8_t key[SIPHASH_KEY])
{
	uint64_t low = word_of(key, 8), high = word_of(key + 8, 8);

	*s = (struct siphash){
		low ^ UINT64_C(0x736f6d6570736575), high ^ UINT64_C(0x646f72616e646f6d),
		low ^ UINT64_C(0x6c7967656e657261), high ^ UINT64_C(0x7465646279746573),
	};
}

void siphash_add(struct siphash *into, const void *bytes, size_t n)
{
	struct siphash s = *into;    /* in registers */
	const uint8_t *p = bytes;
	unsigned filled = s.length & 7;

	if (!n)
		return;
	s.length += n;
	if (filled) {
		size_t more = 8 - filled < n ? 8 - filled : n;

		s.tail |= word_of(p, more) << 8 * filled;
		p += more;
		n -= more;
		if (filled + more == 8) {
			take_in(&s, s.tail);
			s.tail = 0;
		}
	}
	for (; n >= 8; n -= 8, p += 8)
		take_in(&s, word_of(p, 8));
	if (n)
		s.tail = word_of(p, n);
	*into = s;
}

uint64_t siphash_end(const struct siphash *so_far)
{
	struct siphash s = *so_far;

	take_in(&s, s.tail | s.length << 56);
	s.c ^= 0xff;
	rounds(&s, 4);
	return s.a ^ s.b ^ s.c ^ s.d;
}

uint64_t siphash(const uint8_t key[SIPHASH_KEY], const void *bytes, size_t n)
{
	struct siphash s;

	siphash_begin(&s, key);
	siphash_add(&s, bytes, n);
	return siphash_end(&s);
}
