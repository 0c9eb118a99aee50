#include "zone/diff.h"

#include "base/array.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* The encoding, numbers in network order:
 *
 *   magic | records removed, added | octets of them (4 each) | apex | SOA | SOA | removed ... | added ...
 *   SOA:    TTL (4) | length (2) | RDATA
 *   record: owner below the apex as a name of its own, or SAME | type (2) | TTL (4) | length (2) | RDATA
 */
static const uint8_t magic[4] = {'L', 'D', 'F', 1};
enum {
	SAME = 0xff,                 /* the owner of the record before */
	RECORD_HEAD = 8,             /* type, TTL, length */
	COUNTS = 16,
	MOST = INT32_MAX,            /* octets of an encoding */
	RR_HEAD = 10,                /* octets between owner and RDATA on the wire */
};

enum { REMOVED, ADDED };

struct part {
	const uint8_t *at, *end;
	uint32_t records;
};

struct diff {
	atomic_uint holders;
	const uint8_t *apex;
	struct rr soa[2];
	struct part part[2];
	uint64_t octets;
	size_t length;
	uint8_t bytes[];
};

/* A record as it is encoded. */
struct raw {
	const uint8_t *owner;        /* below the apex, ends in a root label */
	uint16_t type, rdlength;
	uint32_t ttl;
	const uint8_t *rdata;
};

struct diff *diff_hold(struct diff *d)
{
	atomic_fetch_add_explicit(&d->holders, 1, memory_order_relaxed);
	return d;
}

void diff_drop(struct diff *d)
{
	if (d && atomic_fetch_sub_explicit(&d->holders, 1, memory_order_acq_rel) == 1)
		free(d);
}

static struct serial serial_of(const struct rr *soa)
{
	return (struct serial){rr_soa_of(soa->rdata, soa->rdlength).serial};
}

const uint8_t *diff_apex(const struct diff *d) { return d->apex; }
struct serial diff_from(const struct diff *d) { return serial_of(&d->soa[REMOVED]); }
struct serial diff_to(const struct diff *d) { return serial_of(&d->soa[ADDED]); }
uint64_t diff_octets(const struct diff *d) { return d->octets; }
uint32_t diff_removed(const struct diff *d) { return d->part[REMOVED].records; }
uint32_t diff_added(const struct diff *d) { return d->part[ADDED].records; }

const uint8_t *diff_bytes(const struct diff *d, size_t *length)
{
	*length = d->length;
	return d->bytes;
}

static bool same_octets(const struct rr *a, const struct rr *b)
{
	return a->ttl == b->ttl && a->rdlength == b->rdlength && memcmp(a->rdata, b->rdata, a->rdlength) == 0;
}

bool diff_is_empty(const struct diff *d)
{
	return !d->part[REMOVED].records && !d->part[ADDED].records && same_octets(&d->soa[REMOVED], &d->soa[ADDED]);
}

/* The order of an owner's RRsets: by type, the signatures behind what they cover. */
static unsigned rank(uint16_t type, uint16_t covers)
{
	return type == RR_RRSIG ? (unsigned)covers << 1 | 1 : (unsigned)type << 1;
}

static unsigned raw_rank(const struct raw *raw)
{
	return rank(raw->type, raw->type == RR_RRSIG ? rr_covered(raw->rdata) : 0);
}

/* --- laying out ------------------------------------------------------------- */

static void read_soa(struct rbuf *in, const uint8_t *apex, struct rr *soa)
{
	*soa = (struct rr){.owner = apex, .type = RR_SOA, .class = CLASS_IN};
	soa->ttl = rbuf_u32(in);
	soa->rdlength = rbuf_u16(in);
	soa->rdata = rbuf_take(in, soa->rdlength);
}

/* Finds the parts in `bytes`. False: they are not all there, or there is more. */
static bool lay_out(struct diff *d)
{
	struct rbuf in = rbuf_of(d->bytes, d->length);
	const uint8_t *head = rbuf_take(&in, sizeof magic);
	uint32_t octets[2];

	if (!head || memcmp(head, magic, sizeof magic) != 0)
		return false;
	for (unsigned i = 0; i < 2; i++)
		d->part[i].records = rbuf_u32(&in);
	for (unsigned i = 0; i < 2; i++)
		octets[i] = rbuf_u32(&in);
	d->apex = in.at;
	if (!name_take(&in))
		return false;
	for (unsigned i = 0; i < 2; i++)
		read_soa(&in, d->apex, &d->soa[i]);
	for (unsigned i = 0; i < 2; i++) {
		d->part[i].at = rbuf_take(&in, octets[i]);
		d->part[i].end = in.at;
	}
	return !in.bad && rbuf_left(&in) == 0;
}

static const uint8_t *next_raw(const uint8_t *at, struct raw *raw)
{
	if (*at == SAME) {
		at++;
	} else {
		raw->owner = at;
		at += name_length(at);
	}
	raw->type = get_u16(at);
	raw->ttl = get_u32(at + 2);
	raw->rdlength = get_u16(at + 6);
	raw->rdata = at + RECORD_HEAD;
	return raw->rdata + raw->rdlength;
}

/* `raw` as a record, its owner made absolute in `owner` if it is not there already. */
static void absolute(const struct diff *d, const struct raw *raw, bool new_owner, uint8_t owner[NAME_SIZE], struct rr *rr)
{
	if (new_owner)
		name_join(raw->owner, name_length(raw->owner) - 1, d->apex, owner);
	*rr = (struct rr){owner, raw->type, CLASS_IN, raw->rdlength, raw->ttl, raw->rdata};
}

/* --- writing ---------------------------------------------------------------- */

struct section {
	uint8_t *bytes;
	size_t used, room;
	size_t owner;                /* where the last one lies; SIZE_MAX: there is none */
	uint32_t records;
};

struct writing {
	struct section section[2];
	const uint8_t *apex;
	size_t apex_length;
	uint64_t octets, most;
	enum err err;
};

static struct writing writing_begin(const uint8_t *apex, uint64_t most)
{
	struct writing w = {.apex = apex, .apex_length = name_length(apex), .most = most && most < MOST ? most : MOST};

	w.section[REMOVED].owner = w.section[ADDED].owner = SIZE_MAX;
	return w;
}

static void writing_release(struct writing *w)
{
	free(w->section[REMOVED].bytes);
	free(w->section[ADDED].bytes);
}

static uint8_t *room(struct writing *w, struct section *s, size_t n)
{
	if (w->section[REMOVED].used + w->section[ADDED].used + n > w->most) {
		w->err = ERR_LIMIT;
		return NULL;
	}
	if (!array_room(s->bytes, s->room, s->used + n)) {
		w->err = ERR_NOMEM;
		return NULL;
	}
	s->used += n;
	return s->bytes + s->used - n;
}

static bool put(struct writing *w, unsigned part, const struct raw *raw)
{
	struct section *s = &w->section[part];
	bool same = s->owner != SIZE_MAX && name_equal(s->bytes + s->owner, raw->owner);
	size_t length = name_length(raw->owner), owner = same ? 1 : length;
	uint8_t *at = room(w, s, owner + RECORD_HEAD + raw->rdlength);

	if (!at)
		return false;
	if (same)
		*at = SAME;
	else
		memcpy(at, raw->owner, length);
	if (!same)
		s->owner = (size_t)(at - s->bytes);
	at += owner;
	put_u16(at, raw->type);
	put_u32(at + 2, raw->ttl);
	put_u16(at + 6, raw->rdlength);
	memcpy(at + RECORD_HEAD, raw->rdata, raw->rdlength);
	s->records++;
	w->octets += length - 1 + w->apex_length + RR_HEAD + raw->rdlength;
	return true;
}

static void write_soa(struct wbuf *out, const struct rr *soa)
{
	wbuf_u32(out, soa->ttl);
	wbuf_u16(out, soa->rdlength);
	wbuf_bytes(out, soa->rdata, soa->rdlength);
}

/* Makes the diff of what was put, and of the SOAs; over either way. */
static enum err writing_end(struct writing *w, const struct rr *from, const struct rr *to, struct diff **out)
{
	struct section *s = w->section;
	size_t length = sizeof magic + COUNTS + w->apex_length + 12 + from->rdlength + to->rdlength + s[REMOVED].used + s[ADDED].used;
	struct diff *d = NULL;
	struct wbuf bytes;

	if (!w->err && length > w->most)
		w->err = ERR_LIMIT;
	if (!w->err && !(d = malloc(sizeof *d + length)))
		w->err = ERR_NOMEM;
	if (d) {
		atomic_init(&d->holders, 1);
		d->length = length;
		d->octets = w->octets + 2 * (w->apex_length + RR_HEAD) + from->rdlength + to->rdlength;
		bytes = wbuf_of(d->bytes, length);
		wbuf_bytes(&bytes, magic, sizeof magic);
		wbuf_u32(&bytes, s[REMOVED].records);
		wbuf_u32(&bytes, s[ADDED].records);
		wbuf_u32(&bytes, (uint32_t)s[REMOVED].used);
		wbuf_u32(&bytes, (uint32_t)s[ADDED].used);
		wbuf_bytes(&bytes, w->apex, w->apex_length);
		write_soa(&bytes, from);
		write_soa(&bytes, to);
		wbuf_bytes(&bytes, s[REMOVED].bytes, s[REMOVED].used);
		wbuf_bytes(&bytes, s[ADDED].bytes, s[ADDED].used);
		lay_out(d);
	}
	writing_release(w);
	*out = d;
	return w->err;
}

/* --- comparing two versions ------------------------------------------------- */

/* An owner's block, and its name as a name of its own. */
struct side {
	const struct zone_node *node;        /* NULL: that version does not have it */
	uint8_t owner[NAME_SIZE + 1];
};

static void side_of(struct side *side, const struct tree_node *leaf)
{
	side->node = leaf ? (const struct zone_node *)tree_item(leaf) : NULL;
	if (!leaf)
		return;
	memcpy(side->owner, side->node->name, side->node->name_length);
	side->owner[side->node->name_length] = 0;
}

static struct raw raw_of(const struct side *side, const struct rr *rr)
{
	return (struct raw){side->owner, rr->type, rr->rdlength, rr->ttl, rr->rdata};
}

static bool put_set(struct writing *w, unsigned part, const struct side *side, const struct zone_rrset *set)
{
	struct rr rr;
	struct raw raw;

	for (uint32_t at = 0; set->type != RR_SOA && zone_rrset_next(set, &at, NULL, &rr);) {
		raw = raw_of(side, &rr);
		if (!put(w, part, &raw))
			return false;
	}
	return true;
}

static bool put_node(struct writing *w, unsigned part, const struct side *side)
{
	struct zone_rrsets iter;
	struct zone_rrset set;

	if (!side->node)
		return true;
	iter = zone_rrsets(side->node);
	while (zone_rrsets_next(&iter, &set))
		if (!put_set(w, part, side, &set))
			return false;
	return true;
}

static bool put_rr(struct writing *w, unsigned part, const struct side *side, const struct rr *rr)
{
	struct raw raw = raw_of(side, rr);

	return put(w, part, &raw);
}

/* Two RRsets of one TTL, both in canonical order. */
static bool compare_records(struct writing *w, const struct side *side, const struct zone_rrset *set)
{
	struct rr rr[2];
	uint32_t at[2] = {0, 0};
	bool left[2] = {zone_rrset_next(&set[REMOVED], &at[REMOVED], NULL, &rr[REMOVED]), zone_rrset_next(&set[ADDED], &at[ADDED], NULL, &rr[ADDED])};

	while (left[REMOVED] || left[ADDED]) {
		int order = !left[ADDED] ? -1 : !left[REMOVED] ? 1 :
			rr_compare_rdata(set->type, rr[REMOVED].rdata, rr[REMOVED].rdlength, rr[ADDED].rdata, rr[ADDED].rdlength);
		bool same = order == 0 && same_octets(&rr[REMOVED], &rr[ADDED]);

		if (order <= 0) {
			if (!same && !put_rr(w, REMOVED, &side[REMOVED], &rr[REMOVED]))
				return false;
			left[REMOVED] = zone_rrset_next(&set[REMOVED], &at[REMOVED], NULL, &rr[REMOVED]);
		}
		if (order >= 0) {
			if (!same && !put_rr(w, ADDED, &side[ADDED], &rr[ADDED]))
				return false;
			left[ADDED] = zone_rrset_next(&set[ADDED], &at[ADDED], NULL, &rr[ADDED]);
		}
	}
	return true;
}

static bool compare_sets(struct writing *w, const struct side *side, const struct zone_rrset *set)
{
	if (set[REMOVED].type == RR_SOA ||
	    (set[REMOVED].size == set[ADDED].size && memcmp(set[REMOVED].records, set[ADDED].records, set[ADDED].size) == 0))
		return true;
	if (get_u32(set[REMOVED].records + 6) == get_u32(set[ADDED].records + 6))
		return compare_records(w, side, set);
	return put_set(w, REMOVED, &side[REMOVED], &set[REMOVED]) && put_set(w, ADDED, &side[ADDED], &set[ADDED]);
}

static bool compare_nodes(struct writing *w, const struct side *side)
{
	struct zone_rrsets iter[2] = {zone_rrsets(side[REMOVED].node), zone_rrsets(side[ADDED].node)};
	struct zone_rrset set[2];
	bool left[2] = {zone_rrsets_next(&iter[REMOVED], &set[REMOVED]), zone_rrsets_next(&iter[ADDED], &set[ADDED])}, fine = true;

	while (fine && (left[REMOVED] || left[ADDED])) {
		unsigned old = left[REMOVED] ? rank(set[REMOVED].type, set[REMOVED].covers) : UINT32_MAX;
		unsigned new = left[ADDED] ? rank(set[ADDED].type, set[ADDED].covers) : UINT32_MAX;

		if (old == new)
			fine = compare_sets(w, side, set);
		else if (old < new)
			fine = put_set(w, REMOVED, &side[REMOVED], &set[REMOVED]);
		else
			fine = put_set(w, ADDED, &side[ADDED], &set[ADDED]);
		if (old <= new)
			left[REMOVED] = zone_rrsets_next(&iter[REMOVED], &set[REMOVED]);
		if (new <= old)
			left[ADDED] = zone_rrsets_next(&iter[ADDED], &set[ADDED]);
	}
	return fine;
}

/* An owner whose letters are of another case is another one for who wants the same octets. */
static bool compare_leaves(void *ctx, const struct tree_node *older, const struct tree_node *newer)
{
	struct side side[2];

	side_of(&side[REMOVED], older);
	side_of(&side[ADDED], newer);
	if (older && newer && memcmp(side[REMOVED].owner, side[ADDED].owner, side[ADDED].node->name_length) == 0)
		return compare_nodes(ctx, side);
	return put_node(ctx, REMOVED, &side[REMOVED]) && put_node(ctx, ADDED, &side[ADDED]);
}

enum err diff_make(const struct zone *older, const struct zone *newer, uint64_t most, struct diff **out)
{
	struct writing w = writing_begin(newer->apex, most);
	struct rr from = zone_soa(older), to = zone_soa(newer);

	*out = NULL;
	if (!name_equal(older->apex, newer->apex))
		return ERR_MISMATCH;
	tree_differ(&older->tree, &newer->tree, compare_leaves, &w);
	return writing_end(&w, &from, &to, out);
}

/* --- walking ------------------------------------------------------------------ */

static void walk_part(struct diff_walk *walk, unsigned part)
{
	walk->part = part;
	walk->at = walk->diff->part[part].at;
	walk->begun = false;
}

void diff_walk(struct diff_walk *walk, const struct diff *d)
{
	walk->diff = d;
	walk_part(walk, REMOVED);
}

bool diff_next(struct diff_walk *walk, struct rr *rr, bool *removed)
{
	const struct diff *d = walk->diff;
	struct raw raw;
	bool new_owner;

	if (walk->begun && walk->part == REMOVED && walk->at == d->part[REMOVED].end)
		walk_part(walk, ADDED);
	*removed = walk->part == REMOVED;
	if (!walk->begun) {
		walk->begun = true;
		*rr = d->soa[walk->part];
		return true;
	}
	if (walk->at == d->part[walk->part].end)
		return false;
	new_owner = *walk->at != SAME;
	walk->at = next_raw(walk->at, &raw);
	absolute(d, &raw, new_owner, walk->owner, rr);
	return true;
}

/* --- many steps as one -------------------------------------------------------- */

/* Where the walk through one part of one step stands. */
struct cursor {
	struct raw raw;
	const uint8_t *at, *end;
	size_t time;                 /* the order of the parts: 2 * step, + 1 for what is added */
};

struct diff_merge {
	struct diff *const *steps;
	size_t n;
	unsigned part;
	bool begun;
	struct raw first, last;      /* the record at hand: as it was removed first, and as it was added last, */
	bool was, is;                /* if it was there before the first step, and is after the last */
	uint8_t owner[NAME_SIZE];
	size_t count;
	struct cursor heap[];        /* the smallest first */
};

static int compare_raw(const struct raw *a, const struct raw *b)
{
	int order = a->owner == b->owner ? 0 : name_compare(a->owner, b->owner);

	if (!order)
		order = (raw_rank(a) > raw_rank(b)) - (raw_rank(a) < raw_rank(b));
	return order ? order : rr_compare_rdata(a->type, a->rdata, a->rdlength, b->rdata, b->rdlength);
}

static bool cursor_before(const struct cursor *a, const struct cursor *b)
{
	int order = compare_raw(&a->raw, &b->raw);

	return order ? order < 0 : a->time < b->time;
}

static void sift_down(struct diff_merge *m, size_t i)
{
	struct cursor moving = m->heap[i];

	for (size_t child; (child = 2 * i + 1) < m->count; i = child) {
		if (child + 1 < m->count && cursor_before(&m->heap[child + 1], &m->heap[child]))
			child++;
		if (!cursor_before(&m->heap[child], &moving))
			break;
		m->heap[i] = m->heap[child];
	}
	m->heap[i] = moving;
}

/* The smallest cursor goes on to its next record. */
static void advance(struct diff_merge *m)
{
	struct cursor *top = &m->heap[0];

	if (top->at == top->end)
		*top = m->heap[--m->count];
	else
		top->at = next_raw(top->at, &top->raw);
	if (m->count)
		sift_down(m, 0);
}

static void merge_part(struct diff_merge *m, unsigned part)
{
	m->part = part;
	m->begun = false;
	m->count = 0;
	for (size_t i = 0; i < m->n; i++)
		for (unsigned half = 0; half < 2; half++) {
			const struct part *p = &m->steps[i]->part[half];
			struct cursor *c = &m->heap[m->count];

			if (p->at == p->end)
				continue;
			*c = (struct cursor){.end = p->end, .time = 2 * i + half};
			c->at = next_raw(p->at, &c->raw);
			m->count++;
		}
	for (size_t i = m->count / 2; i-- > 0;)
		sift_down(m, i);
}

static bool follow(struct diff *const *steps, size_t n)
{
	for (size_t i = 1; i < n; i++)
		if (!serial_equal(diff_to(steps[i - 1]), diff_from(steps[i])) || !name_equal(steps[0]->apex, steps[i]->apex))
			return false;
	return n > 0;
}

struct diff_merge *diff_merge_new(struct diff *const *steps, size_t n)
{
	struct diff_merge *m = follow(steps, n) ? malloc(sizeof *m + 2 * n * sizeof m->heap[0]) : NULL;

	if (!m)
		return NULL;
	m->steps = steps;
	m->n = n;
	merge_part(m, REMOVED);
	return m;
}

void diff_merge_free(struct diff_merge *m)
{
	free(m);
}

/* Everything that the steps do to one record. */
static void gather(struct diff_merge *m)
{
	size_t first = m->heap[0].time, last;

	m->first = m->heap[0].raw;
	do {
		last = m->heap[0].time;
		m->last = m->heap[0].raw;
		advance(m);
	} while (m->count && compare_raw(&m->first, &m->heap[0].raw) == 0);
	m->was = first % 2 == REMOVED;
	m->is = last % 2 == ADDED;
}

static bool unchanged(const struct diff_merge *m)
{
	const struct raw *a = &m->first, *b = &m->last;

	return m->was && m->is && a->ttl == b->ttl && a->rdlength == b->rdlength && memcmp(a->rdata, b->rdata, a->rdlength) == 0 &&
		memcmp(a->owner, b->owner, name_length(a->owner)) == 0;
}

/* The next record of the part, or NULL. */
static const struct raw *merge_raw(struct diff_merge *m)
{
	while (m->count) {
		gather(m);
		if (!unchanged(m) && (m->part == REMOVED ? m->was : m->is))
			return m->part == REMOVED ? &m->first : &m->last;
	}
	return NULL;
}

static const struct rr *merge_soa(const struct diff_merge *m)
{
	return m->part == REMOVED ? &m->steps[0]->soa[REMOVED] : &m->steps[m->n - 1]->soa[ADDED];
}

bool diff_merge_next(struct diff_merge *m, struct rr *rr, bool *removed)
{
	const struct raw *raw = m->begun ? merge_raw(m) : NULL;

	if (m->begun && !raw && m->part == REMOVED)
		merge_part(m, ADDED);
	*removed = m->part == REMOVED;
	if (raw) {
		absolute(m->steps[0], raw, true, m->owner, rr);
		return true;
	}
	if (m->begun)
		return false;
	m->begun = true;
	*rr = *merge_soa(m);
	return true;
}

enum err diff_join(struct diff *const *steps, size_t n, uint64_t most, struct diff **out)
{
	struct diff_merge *m;
	const struct raw *raw;
	struct writing w;

	*out = NULL;
	if (!follow(steps, n))
		return ERR_MISMATCH;
	m = diff_merge_new(steps, n);
	if (!m)
		return ERR_NOMEM;
	w = writing_begin(steps[n - 1]->apex, most);
	for (unsigned part = 0; part < 2; part++) {
		merge_part(m, part);
		while (!w.err && (raw = merge_raw(m)))
			put(&w, part, raw);
	}
	diff_merge_free(m);
	return writing_end(&w, &steps[0]->soa[REMOVED], &steps[n - 1]->soa[ADDED], out);
}

/* --- applying ----------------------------------------------------------------- */

enum err diff_apply(struct zone *base, const struct diff *d, struct build_limits limits, struct zone **out, struct why *why)
{
	struct build *build;
	struct diff_walk walk;
	struct rr rr;
	bool removed;
	enum err err = ERR_OK;

	if (!name_equal(base->apex, d->apex) || !serial_equal(base->serial, diff_from(d)))
		return err_why(why, ERR_MISMATCH, "the step is from serial %u, the version has %u", diff_from(d).v, base->serial.v);
	build = build_new(base->apex, base, limits);
	if (!build)
		return err_why(why, ERR_NOMEM, "out of memory while building the zone");
	diff_walk(&walk, d);
	while (!err && diff_next(&walk, &rr, &removed))
		err = removed ? build_remove(build, &rr, why) : build_add(build, &rr, why);
	if (!err)
		return build_finish(build, out, why);
	build_free(build);
	return err;
}

/* --- reading ------------------------------------------------------------------- */

static enum err damaged(struct why *why, const char *what)
{
	return err_why(why, ERR_DAMAGED, "a stored step of the zone: %s", what);
}

static enum err check_rdata(uint16_t type, const uint8_t *rdata, uint16_t rdlength, struct why *why)
{
	struct why what;

	if (rr_check_rdata(type, rdata, rdlength, &what) != ERR_OK)
		return err_why(why, ERR_DAMAGED, "a stored step of the zone: %.300s", what.text);
	return ERR_OK;
}

/* One record at the cursor; `last` is the one before (owner NULL: there is none). */
static enum err check_record(const struct diff *d, struct rbuf *in, struct raw *raw, struct why *why)
{
	struct raw last = *raw;
	enum err err;

	if (rbuf_left(in) && *in->at == SAME) {
		in->at++;
	} else {
		raw->owner = in->at;
		if (!name_take(in))
			return damaged(why, "an owner name is malformed");
		if (name_length(raw->owner) - 1 + name_length(d->apex) > NAME_SIZE)
			return damaged(why, "an owner name is too long");
		if (last.owner && name_compare(last.owner, raw->owner) >= 0)
			return damaged(why, "owner names are out of order");
	}
	if (!raw->owner)
		return damaged(why, "a record without an owner");
	raw->type = rbuf_u16(in);
	raw->ttl = rbuf_u32(in);
	raw->rdlength = rbuf_u16(in);
	raw->rdata = rbuf_take(in, raw->rdlength);
	if (in->bad)
		return damaged(why, "it is cut off");
	if (rr_is_meta(raw->type) || raw->type == RR_SOA || raw->ttl >> 31)
		return damaged(why, "a type or a TTL that cannot be");
	if ((err = check_rdata(raw->type, raw->rdata, raw->rdlength, why)))
		return err;
	if (last.owner == raw->owner && compare_raw(&last, raw) >= 0)
		return damaged(why, "records are out of order");
	return ERR_OK;
}

static enum err check_part(struct diff *d, const struct part *part, struct why *why)
{
	struct rbuf in = rbuf_of(part->at, (size_t)(part->end - part->at));
	struct raw raw = {0};
	uint32_t records = 0;
	enum err err;

	for (; rbuf_left(&in); records++) {
		if ((err = check_record(d, &in, &raw, why)))
			return err;
		d->octets += name_length(raw.owner) - 1 + name_length(d->apex) + RR_HEAD + raw.rdlength;
	}
	return records == part->records ? ERR_OK : damaged(why, "the number of records is wrong");
}

static enum err check(struct diff *d, struct why *why)
{
	enum err err = lay_out(d) ? ERR_OK : damaged(why, "it is cut off, or no step at all");

	d->octets = 0;
	for (unsigned i = 0; !err && i < 2; i++) {
		const struct rr *soa = &d->soa[i];

		err = soa->ttl >> 31 ? damaged(why, "the TTL of a SOA record cannot be") :
			check_rdata(RR_SOA, soa->rdata, soa->rdlength, why);
		d->octets += name_length(d->apex) + RR_HEAD + soa->rdlength;
	}
	for (unsigned i = 0; !err && i < 2; i++)
		err = check_part(d, &d->part[i], why);
	return err;
}

enum err diff_read(const uint8_t *bytes, size_t length, struct diff **out, struct why *why)
{
	struct diff *d;
	enum err err;

	*out = NULL;
	if (length > MOST)
		return damaged(why, "it is too long");
	d = malloc(sizeof *d + length);
	if (!d)
		return err_why(why, ERR_NOMEM, "out of memory");
	atomic_init(&d->holders, 1);
	d->length = length;
	memcpy(d->bytes, bytes, length);
	err = check(d, why);
	if (err)
		free(d);
	else
		*out = d;
	return err;
}
