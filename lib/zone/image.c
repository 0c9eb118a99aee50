#include "zone/image.h"

#include "base/siphash.h"
#include "dns/rr.h"

#include <stdlib.h>
#include <string.h>

/* A piece: | "LSIM" | format | flags | 0 0 | number | octets of content | content | sum |. Content is a row of owners:
 *
 *     owner: | n | name | sets | { type | flags | [ttl] | [count] | { length | rdata } ... } ...
 *
 * Numbers of sets, records and octets are in groups of 7 bits, the lowest first. An owner too large for a piece comes several times. */
enum {
	MAGIC = 0x4c53494d, FORMAT = 1, HEAD = 16, SUM = 8, TRAILER = 16,
	PIECE_LAST = 1,
	SET_SAME_TTL = 1,            /* as the set before in this piece */
	SET_ONE = 2,                 /* one record: no count */
	NUMBER = 3, SET_HEAD = 2 + 1 + 4 + NUMBER,
};

static uint64_t sum_of(uint64_t before, const uint8_t *piece, size_t length)
{
	uint8_t seed[8];
	struct siphash sum;

	put_u64(seed, before);
	siphash_begin(&sum, siphash_sum_key);
	siphash_add(&sum, seed, sizeof seed);
	siphash_add(&sum, piece, length);
	return siphash_end(&sum);
}

/* --- writing ------------------------------------------------------------------------- */

struct writer {
	uint8_t *base, *at, *end;    /* end: trailer and sum still fit behind it */
	uint32_t number;
	uint64_t sum;                /* of the piece before */
	uint32_t ttl;                /* of the set before */
	bool has_ttl;
	image_sink *sink;
	void *ctx;
	struct why *why;
	enum err err;
};

static void begin_piece(struct writer *w)
{
	w->at = w->base + HEAD;
	w->has_ttl = false;
}

static void end_piece(struct writer *w, uint8_t flags)
{
	struct image_piece piece = {w->base, (size_t)(w->at - w->base) + SUM};

	put_u32(w->base, MAGIC);
	w->base[4] = FORMAT;
	w->base[5] = flags;
	put_u16(w->base + 6, 0);
	put_u32(w->base + 8, w->number++);
	put_u32(w->base + 12, (uint32_t)(w->at - w->base - HEAD));
	w->sum = sum_of(w->sum, w->base, piece.length - SUM);
	put_u64(w->at, w->sum);
	if (!w->err)
		w->err = w->sink(w->ctx, &piece, w->why);
	begin_piece(w);
}

static inline uint8_t *put_number(uint8_t *at, uint32_t v)
{
	for (; v >= 0x80; v >>= 7)
		*at++ = (uint8_t)(v | 0x80);
	*at++ = (uint8_t)v;
	return at;
}

/* `count` records that stand at `stored`, which is behind them afterwards. */
static void put_set(struct writer *w, uint16_t type, uint32_t count, const uint8_t **stored)
{
	const uint8_t *from = *stored;
	uint32_t ttl = get_u32(from + 6);
	bool same = w->has_ttl && ttl == w->ttl;
	uint8_t *at = w->at;

	put_u16(at, type);
	at[2] = (uint8_t)((same ? SET_SAME_TTL : 0) | (count == 1 ? SET_ONE : 0));
	at += 3;
	if (!same) {
		put_u32(at, ttl);
		at += 4;
	}
	if (count != 1)
		at = put_number(at, count);
	while (count--) {
		uint16_t length = get_u16(from + 10);

		at = put_number(at, length);
		memcpy(at, from + ZONE_RR_HEAD, length);
		at += length;
		from += ZONE_RR_HEAD + length;
	}
	*stored = from;
	w->at = at;
	w->ttl = ttl;
	w->has_ttl = true;
}

static void put_owner(struct writer *w, const struct zone_node *node, unsigned sets)
{
	memcpy(w->at, node, 1 + (size_t)node->name_length);
	w->at = put_number(w->at + 1 + node->name_length, sets);
}

/* There is room: what lies in the zone is longer than what is written of it. */
static void put_node(struct writer *w, const struct zone_node *node)
{
	struct zone_rrsets iter = zone_rrsets(node);
	struct zone_rrset set;

	put_owner(w, node, iter.left);
	while (zone_rrsets_next(&iter, &set)) {
		const uint8_t *stored = set.records;

		put_set(w, set.type, set.count, &stored);
	}
}

/* How many of `count` stored records fit into `room` octets. */
static uint32_t fitting(const uint8_t *stored, uint32_t count, size_t room)
{
	uint32_t n = 0;

	while (n < count && room >= NUMBER + (size_t)get_u16(stored + 10)) {
		room -= NUMBER + (size_t)get_u16(stored + 10);
		stored += ZONE_RR_HEAD + get_u16(stored + 10);
		n++;
	}
	return n;
}

/* An owner too large for one piece, in as many as it takes. */
static void put_in_parts(struct writer *w, const struct zone_node *node)
{
	struct zone_rrsets iter = zone_rrsets(node);
	struct zone_rrset set;
	size_t head = 1 + (size_t)node->name_length + NUMBER + SET_HEAD;

	while (zone_rrsets_next(&iter, &set)) {
		const uint8_t *stored = set.records;
		uint32_t left = set.count;

		while (left) {
			size_t room = (size_t)(w->end - w->at);
			uint32_t n = room > head ? fitting(stored, left, room - head) : 0;

			if (!n) {
				end_piece(w, 0);
				continue;
			}
			put_owner(w, node, 1);
			put_set(w, set.type, n, &stored);
			left -= n;
		}
	}
}

static void put_leaf(struct writer *w, const struct tree_node *leaf)
{
	const struct zone_node *node = (const struct zone_node *)tree_item(leaf);
	size_t room = (size_t)(w->end - w->at), size = tree_flags(leaf) & TREE_LONG ? zone_node_size(node) : TREE_SHORT;

	if (size <= room) {
		put_node(w, node);
		return;
	}
	if (size > (size_t)(w->end - w->base) - HEAD) {
		put_in_parts(w, node);
		return;
	}
	end_piece(w, 0);
	put_node(w, node);
}

/* Octets within which the whole zone is one piece, if they are few: as it lies there, no record takes more than 10, no owner more than 3 octets
 * beyond what wire_bytes counts. */
static size_t room_for(const struct zone *zone)
{
	uint64_t most = HEAD + NAME_SIZE + 4 + TRAILER + SUM + TREE_SHORT + zone->wire_bytes + 10 * zone->records + 3 * zone->names;

	return most < IMAGE_PIECE_MAX ? (size_t)most : IMAGE_PIECE_MAX;
}

enum err image_write(const struct zone *zone, image_sink *sink, void *ctx, struct why *why)
{
	struct writer w = {.sink = sink, .ctx = ctx, .why = why};
	size_t room = room_for(zone);
	const struct tree_node *leaf;
	struct tree_walk walk;

	w.base = malloc(room);
	if (!w.base)
		return err_why(why, ERR_NOMEM, "out of memory while a zone was encoded");
	w.end = w.base + room - TRAILER - SUM;
	begin_piece(&w);
	w.at += name_copy(zone->apex, w.at);
	put_u32(w.at, zone->serial.v);
	w.at += 4;
	tree_walk(&walk, &zone->tree);
	while (!w.err && (leaf = tree_walk_next(&walk)))
		put_leaf(&w, leaf);
	put_u64(w.at, zone->records);
	put_u64(w.at + 8, zone->names);
	w.at += TRAILER;
	if (!w.err)
		end_piece(&w, PIECE_LAST);
	free(w.base);
	return w.err;
}

static enum err gather(void *ctx, const struct image_piece *piece, struct why *why)
{
	struct image *image = ctx;
	uint8_t *bytes = malloc(piece->length);

	if (bytes && !(image->count & (image->count - 1))) {
		struct image_piece *more = realloc(image->piece, (image->count ? image->count * 2 : 1) * sizeof *more);

		if (!more) {
			free(bytes);
			bytes = NULL;
		} else {
			image->piece = more;
		}
	}
	if (!bytes)
		return err_why(why, ERR_NOMEM, "out of memory while a zone was encoded");
	memcpy(bytes, piece->bytes, piece->length);
	image->piece[image->count++] = (struct image_piece){bytes, piece->length};
	image->octets += piece->length;
	return ERR_OK;
}

enum err image_make(const struct zone *zone, struct image *image, struct why *why)
{
	enum err err;

	*image = (struct image){.serial = zone->serial};
	err = image_write(zone, gather, image, why);
	if (err)
		image_release(image);
	return err;
}

void image_release(struct image *image)
{
	for (size_t i = 0; i < image->count; i++)
		free((void *)image->piece[i].bytes);
	free(image->piece);
	*image = (struct image){0};
}

/* --- reading ------------------------------------------------------------------------- */

struct image_reader {
	struct build *build;
	uint8_t apex[NAME_SIZE];
	size_t apex_length;
	uint32_t number;             /* of the piece that is due */
	uint64_t sum;                /* of the one before it */
	bool complete;
	struct serial serial;
	uint64_t records, names;
};

struct image_reader *image_reader_new(const uint8_t *apex, struct build_limits limits)
{
	struct image_reader *r = calloc(1, sizeof *r);

	if (!r)
		return NULL;
	r->apex_length = name_copy(apex, r->apex);
	r->build = build_new(apex, NULL, limits);
	if (r->build)
		return r;
	free(r);
	return NULL;
}

void image_reader_free(struct image_reader *r)
{
	if (!r)
		return;
	build_free(r->build);
	free(r);
}

static enum err damaged(const struct image_reader *r, struct why *why, const char *what)
{
	char text[NAME_TEXT_SIZE];

	return err_why(why, ERR_DAMAGED, "the stored image of %.200s, piece %u: %s", name_text(r->apex, text), r->number, what);
}

static inline uint32_t take_number(struct rbuf *b)
{
	uint32_t v = rbuf_u8(b);

	if (v < 0x80)
		return v;
	v = (v & 0x7f) | (uint32_t)rbuf_u8(b) << 7;
	if (v < 0x80 << 7)
		return v;
	return (v & 0x3fff) | (uint32_t)rbuf_u8(b) << 14;
}

/* The absolute owner. */
static bool take_owner(const struct image_reader *r, struct rbuf *b, uint8_t owner[NAME_SIZE])
{
	size_t length = rbuf_u8(b);
	const uint8_t *name = rbuf_take(b, length), *label = name;

	if (!name || length + r->apex_length > NAME_SIZE)
		return false;
	while (label < name + length) {
		if (*label == 0 || *label > 63)
			return false;
		label += 1 + *label;
	}
	if (label != name + length)
		return false;
	memcpy(owner, name, length);
	memcpy(owner + length, r->apex, r->apex_length);
	return true;
}

/* The sum was right, so what is wrong here was written wrongly: it is refused in the same way. */
static enum err take_set(struct image_reader *r, struct rbuf *b, struct rr *rr, struct why *why)
{
	uint32_t count = 1;
	uint8_t flags;
	enum err err;

	rr->type = rbuf_u16(b);
	flags = rbuf_u8(b);
	if (!(flags & SET_SAME_TTL))
		rr->ttl = rbuf_u32(b);
	if (!(flags & SET_ONE))
		count = take_number(b);
	for (; count; count--) {
		uint32_t length = take_number(b);

		rr->rdata = rbuf_take(b, length);
		if (!rr->rdata || length > UINT16_MAX)
			return damaged(r, why, "a record is cut off");
		rr->rdlength = (uint16_t)length;
		if (rr_check_rdata(rr->type, rr->rdata, length, NULL))
			return damaged(r, why, "a record is malformed");
		if ((err = build_add(r->build, rr, why)))
			return err;
	}
	return b->bad ? damaged(r, why, "it is cut off") : ERR_OK;
}

static enum err take_owners(struct image_reader *r, struct rbuf *b, struct why *why)
{
	uint8_t owner[NAME_SIZE];
	struct rr rr = {.owner = owner, .class = CLASS_IN};
	enum err err;

	while (rbuf_left(b)) {
		uint32_t sets;

		if (!take_owner(r, b, owner))
			return damaged(r, why, "an owner is malformed");
		for (sets = take_number(b); sets; sets--)
			if ((err = take_set(r, b, &rr, why)))
				return err;
		if (b->bad)
			return damaged(r, why, "it is cut off");
	}
	return ERR_OK;
}

static enum err check_piece(struct image_reader *r, const struct image_piece *piece, struct why *why)
{
	const uint8_t *p = piece->bytes;

	if (r->complete)
		return damaged(r, why, "there is more than the last one");
	if (piece->length < HEAD + SUM || get_u32(p) != MAGIC)
		return damaged(r, why, "it is none");
	if (p[4] != FORMAT)
		return damaged(r, why, "its format is not known");
	if (get_u32(p + 12) != piece->length - HEAD - SUM)
		return damaged(r, why, "its length is wrong");
	if (get_u32(p + 8) != r->number)
		return damaged(r, why, "it is not the one that was due");
	if (sum_of(r->sum, p, piece->length - SUM) != get_u64(p + piece->length - SUM))
		return damaged(r, why, "its sum is wrong");
	return ERR_OK;
}

static enum err take_first(struct image_reader *r, struct rbuf *b, struct why *why)
{
	const uint8_t *apex = b->at;

	if (!name_take(b) || !name_equal(apex, r->apex))
		return damaged(r, why, "it is of another zone");
	r->serial.v = rbuf_u32(b);
	return b->bad ? damaged(r, why, "it is cut off") : ERR_OK;
}

enum err image_reader_put(struct image_reader *r, const struct image_piece *piece, struct why *why)
{
	enum err err = check_piece(r, piece, why);
	struct rbuf b;

	if (err)
		return err;
	b = rbuf_of(piece->bytes + HEAD, piece->length - HEAD - SUM);
	if (piece->bytes[5] & PIECE_LAST) {
		if (rbuf_left(&b) < TRAILER)
			return damaged(r, why, "it is cut off");
		b.end -= TRAILER;
		r->records = get_u64(b.end);
		r->names = get_u64(b.end + 8);
		r->complete = true;
	}
	if (r->number == 0 && (err = take_first(r, &b, why)))
		return err;
	err = take_owners(r, &b, why);
	r->sum = get_u64(piece->bytes + piece->length - SUM);
	r->number++;
	return err;
}

enum err image_reader_finish(struct image_reader *r, struct zone **out, struct why *why)
{
	struct zone *zone = NULL;
	enum err err;

	if (!r->complete) {
		err = damaged(r, why, "it is missing");
		image_reader_free(r);
		return err;
	}
	err = build_finish(r->build, &zone, why);
	r->build = NULL;
	if (!err && (zone->records != r->records || zone->names != r->names || !serial_equal(zone->serial, r->serial)))
		err = damaged(r, why, "the zone is not what was written");
	if (err) {
		zone_put(zone);
		zone = NULL;
	}
	*out = zone;
	free(r);
	return err;
}
