#include "zone/build.h"

#include "base/array.h"
#include "dns/rrtext.h"
#include "zone/denial.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Records wait in a batch: their octets in `bytes`, a `struct entry` for each, a `struct group` for each run of one
 * owner. A batch begins small, so that records that come in order are still in the cache when they are merged, and grows
 * whenever it was found out of order, so that sorting brings neighbours together. */
enum { BATCH_MIN = 256, BATCH_MAX = 1 << 18, BATCH_BYTES = 64 << 20, PREFIX_SYMBOLS = 10, MAX_SET = 65535, AHEAD = 8,
	REWRITTEN_MAX = 1 << 20,     /* octets of owners written anew by one batch; more, and batches grow, to do it less often */
	SETTLE_MAX = 64 << 10,       /* octets of a small zone */
	RECORD_MOST = UINT16_MAX - 12,   /* octets of a record that is alone in a message */
	IDLE_MAX = 32 << 20 };       /* octets of outgrown blocks that are put up with, or as many as are in use */

enum op { OP_ADD, OP_REMOVE };

struct entry {
	uint32_t at;                 /* in bytes: the RDATA */
	uint32_t ttl;
	uint16_t type, rdlength;
	uint16_t order;              /* the type it is sorted by: for an RRSIG the covered one */
	uint8_t op;
};

struct group {
	uint64_t prefix;             /* of the key: its first ten symbols; made when groups are to be sorted */
	uint32_t name;               /* in bytes: length, relative owner, length of key (2 octets), key */
	uint32_t first, count;       /* entries */
};

struct totals {
	uint64_t records, names, wire_bytes, wildcards, rrsigs, hashed, bad;
};

struct build {
	uint8_t apex[NAME_SIZE];
	size_t apex_length;
	unsigned apex_labels;
	struct zone *base;
	bool view;                   /* beside the base, in a lineage of its own */
	struct zone_lineage *lineage;
	struct build_limits limits;
	struct totals totals;
	uint64_t redundant;

	uint8_t *bytes;
	size_t used, room;
	struct entry *entries;
	size_t entry_count, entry_room;
	struct group *groups, *spare;        /* spare: as large, for sorting */
	size_t group_count, group_room;
	bool in_order;
	size_t batch;
	size_t rewritten;            /* octets of owners that this batch found there */
	size_t kept;                 /* records of the owner at hand that stay as they were */

	uint8_t *scratch;            /* an owner's block under construction */
	size_t scratch_used, scratch_room;
	struct entry *merged;        /* entries of one owner from several groups */
	size_t merged_room;
	char limit[80];              /* which one was reached */

	/* Large, and begun rather than zeroed: */
	struct tree_edit edit;
	struct tree_edit hashed;     /* the index of NSEC3 owners; of what is built from nothing it is made at the end */
};

static struct build *begin(const uint8_t *apex, struct zone *base, struct zone_lineage *lineage, struct build_limits limits)
{
	struct build *b = lineage ? malloc(sizeof *b) : NULL;

	if (!b)
		return NULL;
	memset(b, 0, offsetof(struct build, edit));
	b->apex_length = name_copy(apex, b->apex);
	b->apex_labels = name_labels(apex);
	b->limits = limits;
	b->batch = BATCH_MIN;
	b->in_order = true;
	b->lineage = lineage;
	if (base) {
		b->base = zone_hold(base);
		b->totals = (struct totals){base->records, base->names, base->wire_bytes, base->wildcards, base->rrsigs,
			base->hashed, 0};
	}
	tree_edit_begin_shared(&b->hashed, base ? &base->nsec3 : NULL, zone_lineage_pool(b->lineage));
	tree_edit_begin(&b->edit, base ? &base->tree : NULL, zone_lineage_pool(b->lineage));
	return b;
}

struct build *build_new(const uint8_t *apex, struct zone *base, struct build_limits limits)
{
	struct zone_lineage *lineage = base ? base->lineage : zone_lineage_new();
	struct build *b = begin(apex, base, lineage, limits);

	if (base && b)
		zone_lineage_reclaim(lineage);
	if (!base && !b)
		zone_lineage_free(lineage);
	return b;
}

struct build *build_view(struct zone *base)
{
	struct zone_lineage *lineage = zone_lineage_new();
	struct build *b = begin(base->apex, base, lineage, (struct build_limits){0});

	if (!b)
		zone_lineage_free(lineage);
	else
		b->view = true;
	return b;
}

static size_t item_size(const struct tree_item *item)
{
	return zone_node_size((const struct zone_node *)item);
}

/* Frees what only building needs. */
static void release(struct build *b)
{
	free(b->bytes);
	free(b->entries);
	free(b->groups);
	free(b->spare);
	free(b->scratch);
	free(b->merged);
	free(b);
}

void build_free(struct build *b)
{
	if (!b)
		return;
	tree_edit_abort(&b->hashed, tree_items_stay);
	tree_edit_abort(&b->edit, item_size);
	if (!b->base || b->view)
		zone_lineage_free(b->lineage);
	zone_put(b->base);
	release(b);
}

uint64_t build_redundant(const struct build *b)
{
	return b->redundant;
}

static enum err no_memory(struct why *why)
{
	return err_why(why, ERR_NOMEM, "out of memory while building the zone");
}

static enum err refuse(struct why *why, enum err err, const uint8_t *owner, uint16_t type, const char *reason)
{
	char name[NAME_TEXT_SIZE], type_text[RR_TYPE_TEXT];

	name_text(owner, name);
	return err_why(why, err, "%.250s %s: %s", name, rr_type_text(type, type_text), reason);
}

/* The same with a name relative to the apex. */
static enum err refuse_relative(const struct build *b, struct why *why, enum err err, const uint8_t *name, size_t length,
	uint16_t type, const char *reason)
{
	uint8_t owner[NAME_SIZE];

	memcpy(owner, name, length);
	memcpy(owner + length, b->apex, b->apex_length);
	return refuse(why, err, owner, type, reason);
}

static uint64_t prefix_of(const uint8_t *name)
{
	const uint8_t *key = name + 1 + *name + 2;
	uint64_t prefix = 0;
	uint16_t length;

	memcpy(&length, key - 2, 2);
	for (size_t i = 0; i < PREFIX_SYMBOLS; i++)
		prefix = prefix << 6 | (i < length ? key[i] : 0);
	return prefix;
}

static int key_order(const struct build *b, const struct group *x, const struct group *y)
{
	const uint8_t *kx = b->bytes + x->name, *ky = b->bytes + y->name;
	uint16_t nx, ny;
	int order;

	kx += 1 + *kx;
	ky += 1 + *ky;
	memcpy(&nx, kx, 2);
	memcpy(&ny, ky, 2);
	order = memcmp(kx + 2, ky + 2, (nx < ny ? nx : ny));
	return order ? order : nx - ny;
}

/* A group for the owner, `length` octets of it relative; the record's octets follow in `bytes`. */
static bool begin_group(struct build *b, const uint8_t *owner, size_t length)
{
	uint8_t key[TREE_KEY_SIZE];
	uint16_t key_length = (uint16_t)tree_key(owner, b->apex_labels, key);
	struct group *group;
	uint8_t *at;

	if (b->group_count == b->group_room) {
		size_t room = b->group_room;

		if (!array_room(b->groups, b->group_room, b->group_count + 1) || !array_room(b->spare, room, b->group_count + 1))
			return false;
	}
	group = &b->groups[b->group_count++];
	group->name = (uint32_t)b->used;
	group->first = (uint32_t)b->entry_count;
	group->count = 0;
	at = b->bytes + b->used;
	*at++ = (uint8_t)length;
	memcpy(at, owner, length);
	at += length;
	memcpy(at, &key_length, 2);
	memcpy(at + 2, key, key_length + 2u);
	b->used += 1 + length + 2 + key_length + 2u;
	if (b->in_order && b->group_count > 1)
		b->in_order = key_order(b, group - 1, group) < 0;
	return true;
}

static bool same_owner(const struct build *b, const uint8_t *owner, size_t length)
{
	const uint8_t *last;

	if (!b->group_count)
		return false;
	last = b->bytes + b->groups[b->group_count - 1].name;
	return *last == length && memcmp(last + 1, owner, length) == 0;
}

static enum err flush(struct build *, struct why *);

/* The octets of the owner that stand before the apex; SIZE_MAX: it is not below it. */
static size_t relative_length(const struct build *b, const uint8_t *owner)
{
	size_t length = name_length(owner), left = length;

	while (left > b->apex_length) {
		left -= 1u + *owner;
		owner += 1 + *owner;
	}
	return left == b->apex_length && name_equal(owner, b->apex) ? length - left : SIZE_MAX;
}

static enum err check_record(const struct rr *rr, size_t relative, struct why *why)
{
	if (relative == SIZE_MAX)
		return refuse(why, ERR_ZONE, rr->owner, rr->type, "the owner is not in the zone");
	if (rr->class != CLASS_IN)
		return refuse(why, ERR_ZONE, rr->owner, rr->type, "its class is not IN");
	if (rr_is_meta(rr->type))
		return refuse(why, ERR_ZONE, rr->owner, rr->type, "a meta type cannot be zone data");
	if (rr->type == RR_RRSIG && rr_is_meta(rr_covered(rr->rdata)))
		return refuse(why, ERR_ZONE, rr->owner, rr->type, "it covers a meta type");
	if (name_length(rr->owner) + 10 + rr->rdlength > RECORD_MOST)
		return refuse(why, ERR_LIMIT, rr->owner, rr->type, "it is too large for a message: it could not be passed on");
	return ERR_OK;
}

static enum err append(struct build *b, const struct rr *rr, enum op op, struct why *why)
{
	size_t length = relative_length(b, rr->owner);
	struct entry *entry;
	enum err err;

	if ((err = check_record(rr, length, why)))
		return err;
	if ((b->entry_count >= b->batch || b->used >= BATCH_BYTES) && (err = flush(b, why)))
		return err;
	if (!array_room(b->bytes, b->room, b->used + NAME_SIZE + TREE_KEY_SIZE + 8 + rr->rdlength) ||
	    !array_room(b->entries, b->entry_room, b->entry_count + 1))
		return no_memory(why);
	if (!same_owner(b, rr->owner, length) && !begin_group(b, rr->owner, length))
		return no_memory(why);
	entry = &b->entries[b->entry_count++];
	b->groups[b->group_count - 1].count++;
	entry->at = (uint32_t)b->used;
	entry->ttl = rr->ttl >> 31 ? 0 : rr->ttl;
	entry->type = rr->type;
	entry->order = rr->type == RR_RRSIG ? rr_covered(rr->rdata) : rr->type;
	entry->rdlength = rr->rdlength;
	entry->op = (uint8_t)op;
	memcpy(b->bytes + b->used, rr->rdata, rr->rdlength);
	b->used += rr->rdlength;
	return ERR_OK;
}

enum err build_add(struct build *b, const struct rr *rr, struct why *why)
{
	return append(b, rr, OP_ADD, why);
}

enum err build_remove(struct build *b, const struct rr *rr, struct why *why)
{
	return append(b, rr, OP_REMOVE, why);
}

/* --- one owner ------------------------------------------------------------ */

static int type_order(uint16_t order_a, uint16_t type_a, uint16_t order_b, uint16_t type_b)
{
	if (order_a != order_b)
		return order_a < order_b ? -1 : 1;
	return (type_a == RR_RRSIG) - (type_b == RR_RRSIG);
}

static int entry_order(const void *pa, const void *pb, void *ctx)
{
	const struct entry *x = pa, *y = pb;
	const struct build *b = ctx;
	int order = type_order(x->order, x->type, y->order, y->type);

	if (!order)
		order = rr_compare_rdata(x->type, b->bytes + x->at, x->rdlength, b->bytes + y->at, y->rdlength);
	if (!order)
		order = (x->at > y->at) - (x->at < y->at);   /* as they came */
	return order;
}

static uint8_t *scratch_room(struct build *b, size_t n)
{
	uint8_t *at;

	if (!array_room(b->scratch, b->scratch_room, b->scratch_used + n))
		return NULL;
	at = b->scratch + b->scratch_used;
	b->scratch_used += n;
	return at;
}

static void write_record(uint8_t *at, uint16_t type, uint32_t ttl, const uint8_t *rdata, uint16_t rdlength)
{
	put_u16(at, 0xc00c);
	put_u16(at + 2, type);
	put_u16(at + 4, CLASS_IN);
	put_u32(at + 6, ttl);
	put_u16(at + 10, rdlength);
	memcpy(at + ZONE_RR_HEAD, rdata, rdlength);
}

/* Merging one RRset: the records of the base, in order, with the entries of the same type, in order. */
struct merge {
	const struct zone_rrset *old;        /* NULL: none */
	uint32_t old_at;
	struct rr old_rr;
	bool old_left;
	uint32_t ttl;                        /* lowest of the result */
	uint32_t count;
};

static void merge_next_old(struct merge *m)
{
	m->old_left = m->old && zone_rrset_next(m->old, &m->old_at, NULL, &m->old_rr);
}

static bool merge_put(struct build *b, struct merge *m, uint16_t type, uint32_t ttl, const uint8_t *rdata, uint16_t rdlength)
{
	uint8_t *at = scratch_room(b, ZONE_RR_HEAD + (size_t)rdlength);

	if (!at)
		return false;
	write_record(at, type, ttl, rdata, rdlength);
	if (ttl < m->ttl)
		m->ttl = ttl;
	m->count++;
	return true;
}

/* One record on its way from the base through the entries that name it. */
struct record {
	bool there, kept;
	uint32_t ttl;
	uint16_t rdlength;
	const uint8_t *rdata;
};

/* All entries with the same RDATA, in the order they came. Returns how many they are; `reason` is set if one does not fit. */
static size_t settle_record(struct build *b, const struct entry *e, size_t count, struct record *r, const char **reason)
{
	size_t n = 0;

	do {
		const struct entry *now = &e[n++];

		if (now->op == OP_REMOVE) {
			if (!r->there)
				*reason = "the record to delete is not there";
			r->there = r->kept = false;
		} else if (r->there) {
			b->redundant++;
			r->ttl = b->base || now->ttl < r->ttl ? now->ttl : r->ttl;
		} else {
			*r = (struct record){true, false, now->ttl, now->rdlength, b->bytes + now->at};
		}
	} while (n < count && e[n].rdlength == e[0].rdlength &&
		rr_compare_rdata(e[0].type, b->bytes + e[0].at, e[0].rdlength, b->bytes + e[n].at, e[n].rdlength) == 0);
	return n;
}

static enum err merge_records(struct build *b, struct merge *m, const struct entry *e, size_t count, const char **reason)
{
	uint16_t type = count ? e->type : m->old->type;

	merge_next_old(m);
	while (m->old_left || count) {
		int order = !count ? -1 : !m->old_left ? 1 :
			rr_compare_rdata(type, m->old_rr.rdata, m->old_rr.rdlength, b->bytes + e->at, e->rdlength);
		struct record r = {false};

		if (order <= 0) {
			r = (struct record){true, true, m->old_rr.ttl, m->old_rr.rdlength, m->old_rr.rdata};
			merge_next_old(m);
		}
		if (order >= 0) {
			size_t used = settle_record(b, e, count, &r, reason);

			if (*reason)
				return ERR_MISMATCH;
			e += used;
			count -= used;
		}
		b->kept += r.kept;
		if (r.there && !merge_put(b, m, type, r.ttl, r.rdata, r.rdlength))
			return ERR_NOMEM;
	}
	return ERR_OK;
}

/* One owner is over a limit. */
static enum err over_own_limit(struct build *b, const char *what, const char *key, uint32_t limit, const char **reason)
{
	snprintf(b->limit, sizeof b->limit, "more %s than %s = %u", what, key, limit);
	*reason = b->limit;
	return ERR_LIMIT;
}

/* One RRset into the scratch block; nothing if no record is left. */
static enum err merge_set(struct build *b, const struct zone_rrset *old, const struct entry *e, size_t count, uint16_t *sets,
	const char **reason)
{
	struct merge m = {.old = old, .ttl = UINT32_MAX};
	size_t head = b->scratch_used;
	uint16_t type = count ? e->type : old->type, n;
	uint32_t size;
	enum err err;

	if (!scratch_room(b, ZONE_RRSET_HEAD))
		return ERR_NOMEM;
	if ((err = merge_records(b, &m, e, count, reason)))
		return err;
	if (!m.count) {
		b->scratch_used = head;
		return ERR_OK;
	}
	if (m.count > MAX_SET || *sets == UINT16_MAX || b->scratch_used - head > UINT32_MAX / 2) {
		*reason = "more than 65535 records in one RRset";
		return ERR_LIMIT;
	}
	if (b->limits.per_type && m.count > b->limits.per_type)
		return over_own_limit(b, "records in one RRset", "max-records-per-type", b->limits.per_type, reason);
	size = (uint32_t)(b->scratch_used - head - ZONE_RRSET_HEAD);
	n = (uint16_t)m.count;
	memcpy(b->scratch + head, &type, 2);
	memcpy(b->scratch + head + 2, &n, 2);
	memcpy(b->scratch + head + 4, &size, 4);
	if (count)
		for (uint8_t *at = b->scratch + head + ZONE_RRSET_HEAD, *end = b->scratch + b->scratch_used; at < end;
		     at += ZONE_RR_HEAD + get_u16(at + 10))
			put_u32(at + 6, m.ttl);
	++*sets;
	return ERR_OK;
}

/* All RRsets of an owner: the base's and the entries', both in the order of types. */
static enum err merge_sets(struct build *b, const struct zone_node *old, const struct entry *e, size_t count, uint16_t *sets,
	const struct entry **at, const char **reason)
{
	struct zone_rrsets iter = old ? zone_rrsets(old) : (struct zone_rrsets){0};
	struct zone_rrset set;
	bool left = zone_rrsets_next(&iter, &set);
	enum err err = ERR_OK;
	uint32_t types = 0;

	while (!err && (left || count)) {
		int order = !count ? -1 : !left ? 1 :
			type_order(set.type == RR_RRSIG ? set.covers : set.type, set.type, e->order, e->type);
		uint16_t type = order >= 0 ? e->type : set.type, before = *sets;
		size_t n = 0;

		if (order >= 0)
			for (n = 1; n < count && type_order(e->order, e->type, e[n].order, e[n].type) == 0; n++)
				;
		*at = e;
		err = merge_set(b, order <= 0 ? &set : NULL, e, n, sets, reason);
		types += *sets != before && type != RR_RRSIG;
		if (!err && b->limits.types && types > b->limits.types)
			err = over_own_limit(b, "types at one name", "max-types-per-name", b->limits.types, reason);
		if (order <= 0)
			left = zone_rrsets_next(&iter, &set);
		e += n;
		count -= n;
	}
	return err;
}

/* What an owner's RRsets mean for the zone: the flags of its leaf. */
struct facts {
	uint16_t flags;
	bool cname, other, shown;    /* shown: more than NSEC3 and RRSIG */
};

static void add_facts(struct facts *f, bool apex, uint16_t type, unsigned count)
{
	f->shown = f->shown || (type != RR_NSEC3 && type != RR_RRSIG);
	switch (type) {
	case RR_CNAME:
		f->cname = true;
		if (count > 1)
			f->flags |= ZONE_FLAG_BAD;
		break;
	case RR_DNAME:
		f->flags |= count > 1 ? ZONE_FLAG_BAD | ZONE_FLAG_DNAME : ZONE_FLAG_DNAME;
		f->other = true;
		break;
	case RR_SOA:
		if (!apex || count > 1)
			f->flags |= ZONE_FLAG_BAD;
		f->other = true;
		break;
	case RR_NS:
		if (!apex)
			f->flags |= ZONE_FLAG_CUT;
		f->other = true;
		break;
	case RR_NSEC3:
		f->flags |= ZONE_FLAG_NSEC3;
		f->other = true;
		break;
	case RR_NSEC:
		f->flags |= ZONE_FLAG_NSEC;
		break;
	case RR_RRSIG: case RR_KEY:
		break;               /* may stand beside a CNAME (RFC 4034 3, 4; RFC 2181 10.1) */
	default:
		f->other = true;
	}
	if (f->cname && f->other)
		f->flags |= ZONE_FLAG_BAD;
}

static uint16_t flags_of(const struct facts *f, size_t size)
{
	unsigned hashed = f->flags & ZONE_FLAG_NSEC3 && !f->shown ? ZONE_FLAG_HASHED : 0;

	return (uint16_t)(f->flags | hashed | (size > TREE_SHORT ? TREE_LONG : 0u));
}

static unsigned wildcard_labels(const struct zone_node *node)
{
	unsigned n = 0;

	for (const uint8_t *label = node->name; label < node->name + node->name_length; label += 1 + *label)
		n += label[0] == 1 && label[1] == '*';
	return n;
}

/* What counts for the zone's totals; returns the flags. */
static uint16_t node_facts(const struct build *b, const struct zone_node *node, struct totals *t)
{
	struct zone_rrsets iter = zone_rrsets(node);
	struct zone_rrset set;
	size_t fixed = node->name_length + b->apex_length - 2;   /* owner + 10 octets, where a stored head has 12 */
	struct facts facts = {0};

	*t = (struct totals){.names = 1, .wildcards = wildcard_labels(node)};
	while (zone_rrsets_next(&iter, &set)) {
		t->records += set.count;
		t->wire_bytes += set.size + set.count * fixed;
		if (set.type == RR_RRSIG)
			t->rrsigs += set.count;
		add_facts(&facts, !node->name_length, set.type, set.count);
	}
	t->bad = facts.flags & ZONE_FLAG_BAD ? 1 : 0;
	t->hashed = facts.flags & ZONE_FLAG_NSEC3 ? 1 : 0;
	return flags_of(&facts, (size_t)(iter.at - (const uint8_t *)node));
}

static void totals_apply(struct totals *to, const struct totals *change, int sign)
{
	to->records += (uint64_t)sign * change->records;
	to->names += (uint64_t)sign * change->names;
	to->wire_bytes += (uint64_t)sign * change->wire_bytes;
	to->wildcards += (uint64_t)sign * change->wildcards;
	to->rrsigs += (uint64_t)sign * change->rrsigs;
	to->hashed += (uint64_t)sign * change->hashed;
	to->bad += (uint64_t)sign * change->bad;
}

/* Keeps the index of NSEC3 owners in step with a leaf; while the item that the leaf had is still there. */
static bool index_leaf(struct build *b, const uint8_t *key, size_t key_length, struct tree_item *item, uint16_t flags)
{
	struct tree_node *leaf;

	if (!b->base)
		return true;
	if (!(flags & ZONE_FLAG_NSEC3)) {
		if (b->hashed.tree.root.to)
			tree_edit_remove(&b->hashed, key, key_length);
		return !b->hashed.failed;
	}
	leaf = tree_edit_leaf(&b->hashed, key, key_length);
	if (leaf)
		tree_leaf_set(&b->hashed, leaf, item, flags);
	return leaf != NULL;
}

static bool index_all(struct build *b)
{
	const struct tree_node *from;
	struct tree_walk walk;
	uint8_t key[TREE_KEY_SIZE];

	tree_edit_begin(&b->hashed, NULL, b->edit.pool);
	if (!b->totals.hashed)
		return true;
	tree_walk(&walk, &b->edit.tree);
	while ((from = tree_walk_next(&walk))) {
		struct tree_node *leaf;

		if (!(tree_flags(from) & ZONE_FLAG_NSEC3))
			continue;
		leaf = tree_edit_leaf(&b->hashed, key, tree_item_key(tree_item(from), key));
		if (!leaf)
			return false;
		tree_leaf_set(&b->hashed, leaf, tree_item(from), tree_flags(from));
	}
	return true;
}

/* The tree must not lead to the item any more. */
static void drop_item(struct build *b, struct tree_item *item, bool owned)
{
	struct totals old;

	node_facts(b, (const struct zone_node *)item, &old);
	totals_apply(&b->totals, &old, -1);
	tree_edit_discard(&b->edit, item, item_size(item), owned);
}

/* The finished block in scratch becomes the leaf's item. */
static enum err set_node(struct build *b, struct tree_node *leaf, const uint8_t *key, size_t key_length)
{
	struct tree_item *item = pool_alloc(b->edit.pool, b->scratch_used), *old = leaf->to;
	bool owned = old && tree_leaf_owned(&b->edit, leaf);
	struct totals now;
	uint16_t flags;

	if (!item)
		return ERR_NOMEM;
	memcpy(item, b->scratch, b->scratch_used);
	flags = node_facts(b, (const struct zone_node *)item, &now);
	totals_apply(&b->totals, &now, 1);
	tree_leaf_set(&b->edit, leaf, item, flags);
	if (!index_leaf(b, key, key_length, item, flags))
		return ERR_NOMEM;
	if (old)
		drop_item(b, old, owned);
	return ERR_OK;
}

/* The commonest case by far, a new owner with one record, without the scratch block. */
static enum err set_new(struct build *b, struct tree_node *leaf, const uint8_t *name, const uint8_t *key, size_t key_length,
	const struct entry *e)
{
	static const uint16_t one = 1;
	uint32_t size = ZONE_RR_HEAD + (uint32_t)e->rdlength;
	struct facts facts = {0};
	size_t block_size = 1 + (size_t)*name + 2 + ZONE_RRSET_HEAD + size;
	uint8_t *block = pool_alloc(b->edit.pool, block_size), *at = block;
	uint16_t flags;

	if (!block)
		return ERR_NOMEM;
	memcpy(at, name, 1 + (size_t)*name);
	at += 1 + *name;
	memcpy(at, &one, 2);
	memcpy(at + 2, &e->type, 2);
	memcpy(at + 4, &one, 2);
	memcpy(at + 6, &size, 4);
	write_record(at + 10, e->type, e->ttl, b->bytes + e->at, e->rdlength);
	b->totals.records++;
	b->totals.names++;
	b->totals.wire_bytes += *name + b->apex_length + 10u + e->rdlength;
	b->totals.rrsigs += e->type == RR_RRSIG;
	b->totals.wildcards += wildcard_labels((const struct zone_node *)block);
	add_facts(&facts, !*name, e->type, 1);
	b->totals.bad += facts.flags & ZONE_FLAG_BAD ? 1 : 0;
	b->totals.hashed += facts.flags & ZONE_FLAG_NSEC3 ? 1 : 0;
	flags = flags_of(&facts, block_size);
	tree_leaf_set(&b->edit, leaf, (struct tree_item *)block, flags);
	return flags & ZONE_FLAG_NSEC3 && !index_leaf(b, key, key_length, (struct tree_item *)block, flags) ? ERR_NOMEM : ERR_OK;
}

/* `count` entries, unsorted, for the owner at `name` (length, octets, length of key, key). An owner of which nothing is kept is written as it
 * came last, at `newest`: its letters may be of another case. */
static enum err apply_owner(struct build *b, const uint8_t *name, const uint8_t *newest, struct entry *e, size_t count, struct why *why)
{
	const uint8_t *key = name + 1 + *name + 2;
	const struct tree_node *existing;
	const struct entry *at = e;
	const char *reason = NULL;
	struct tree_node *leaf;
	const uint8_t *stored;
	uint16_t key_length, sets = 0;
	size_t sets_at;
	enum err err;

	memcpy(&key_length, key - 2, 2);
	if (count == 1 && e->op == OP_ADD) {
		leaf = tree_edit_leaf(&b->edit, key, key_length);
		if (leaf && !leaf->to && set_new(b, leaf, name, key, key_length, e) == ERR_OK)
			return ERR_OK;
		if (!leaf || !leaf->to)
			return no_memory(why);
	}
	existing = b->edit.tree.root.to ? tree_get_name(&b->edit.tree, key, key_length, name + 1, *name) : NULL;
	if (count > 1)
		qsort_r(e, count, sizeof *e, entry_order, b);
	stored = existing ? (const uint8_t *)tree_item(existing) : name;
	b->scratch_used = b->kept = 0;
	if (!scratch_room(b, (size_t)*stored + 3))
		return no_memory(why);
	memcpy(b->scratch, stored, 1 + (size_t)*stored);
	sets_at = b->scratch_used - 2;
	err = merge_sets(b, existing ? (const struct zone_node *)tree_item(existing) : NULL, e, count, &sets, &at, &reason);
	if (reason)
		return refuse_relative(b, why, err, name + 1, *name, at->type, reason);
	if (err)
		return no_memory(why);
	memcpy(b->scratch + sets_at, &sets, 2);
	if (existing && !b->kept)
		memcpy(b->scratch, newest, 1 + (size_t)*newest);
	if (existing)
		b->rewritten += b->scratch_used;
	if (sets) {
		leaf = tree_edit_leaf(&b->edit, key, key_length);
		return leaf && set_node(b, leaf, key, key_length) == ERR_OK ? ERR_OK : no_memory(why);
	}
	if (existing) {
		struct tree_item *item = tree_item(existing);
		bool owned = tree_leaf_owned(&b->edit, existing);

		tree_edit_remove(&b->edit, key, key_length);
		index_leaf(b, key, key_length, NULL, 0);
		drop_item(b, item, owned);
	}
	return b->edit.failed || b->hashed.failed ? no_memory(why) : ERR_OK;
}

/* --- a batch -------------------------------------------------------------- */

static int group_order_r(const void *x, const void *y, void *b)
{
	int order = key_order(b, x, y);

	if (order)
		return order;
	return ((const struct group *)x)->name < ((const struct group *)y)->name ? -1 : 1;
}

/* By prefix with counting sort, octet by octet, stable; then the runs of equal prefixes by the whole key. */
static void sort_groups(struct build *b)
{
	size_t n = b->group_count;

	for (size_t i = 0; i < n; i++)
		b->groups[i].prefix = prefix_of(b->bytes + b->groups[i].name);
	for (unsigned shift = 0; shift < 64; shift += 8) {
		size_t place[256] = {0}, sum = 0;
		struct group *from = b->groups;

		for (size_t i = 0; i < n; i++)
			place[from[i].prefix >> shift & 255]++;
		if (place[from[0].prefix >> shift & 255] == n)
			continue;
		for (unsigned d = 0; d < 256; d++) {
			size_t count = place[d];

			place[d] = sum;
			sum += count;
		}
		for (size_t i = 0; i < n; i++)
			b->spare[place[from[i].prefix >> shift & 255]++] = from[i];
		b->groups = b->spare;
		b->spare = from;
	}
	for (size_t i = 0, run; i < n; i += run) {
		for (run = 1; i + run < n && b->groups[i + run].prefix == b->groups[i].prefix; run++)
			;
		if (run > 1)
			qsort_r(b->groups + i, run, sizeof *b->groups, group_order_r, b);
	}
}

static enum err over_limit(const struct build *b, struct why *why)
{
	if (b->limits.records && b->totals.records > b->limits.records)
		return err_why(why, ERR_LIMIT, "the zone has more than max-records = %llu records",
			(unsigned long long)b->limits.records);
	if (b->limits.bytes && b->totals.wire_bytes > b->limits.bytes)
		return err_why(why, ERR_LIMIT, "the zone is larger than max-zone-size = %llu bytes",
			(unsigned long long)b->limits.bytes);
	return ERR_OK;
}

/* The groups of one owner may be several; their entries are gathered. */
static enum err apply_groups(struct build *b, size_t first, size_t count, struct why *why)
{
	struct group *g = b->groups + first;
	size_t n = 0;

	if (count == 1)
		return apply_owner(b, b->bytes + g->name, b->bytes + g->name, b->entries + g->first, g->count, why);
	for (size_t i = 0; i < count; i++)
		n += g[i].count;
	if (!array_room(b->merged, b->merged_room, n))
		return no_memory(why);
	n = 0;
	for (size_t i = 0; i < count; i++) {
		memcpy(b->merged + n, b->entries + g[i].first, g[i].count * sizeof *b->merged);
		n += g[i].count;
	}
	return apply_owner(b, b->bytes + g->name, b->bytes + g[count - 1].name, b->merged, n, why);
}

/* Owners that grow by a little again and again leave blocks that nobody needs any more. What is built from nothing then moves to a new
 * pool; a version under which older ones lie cannot, and must come as a whole. */
static enum err tidy(struct build *b, struct why *why)
{
	size_t idle = pool_idle(b->edit.pool), used = pool_bytes(b->edit.pool) - idle;
	struct pool *pool;

	if (idle <= IDLE_MAX || idle <= used)
		return ERR_OK;
	if (b->base)
		return idle > 8 * (size_t)IDLE_MAX && idle / 8 > used ?
			err_why(why, ERR_MISMATCH, "the changes have scattered the zone's memory: it is wanted as a whole") : ERR_OK;
	pool = pool_new();
	if (!pool || !tree_edit_move(&b->edit, pool, item_size)) {
		pool_free(pool);
		return no_memory(why);
	}
	zone_lineage_set_pool(b->lineage, pool);
	return ERR_OK;
}

static enum err flush(struct build *b, struct why *why)
{
	enum err err = ERR_OK;
	bool sorted = !b->in_order;  /* only then may one owner have several groups */
	size_t run;

	if (sorted)
		sort_groups(b);
	b->rewritten = 0;
	for (size_t i = 0; !err && i < b->group_count; i += run) {
		const struct group *g = &b->groups[i];

		if (sorted && i + AHEAD < b->group_count) {   /* sorting has scattered them */
			__builtin_prefetch(b->bytes + g[AHEAD].name);
			__builtin_prefetch(b->bytes + g[AHEAD].name + 64);
			__builtin_prefetch(&b->entries[g[AHEAD].first]);
		}
		for (run = 1; sorted && i + run < b->group_count && g[run].prefix == g->prefix && key_order(b, g, g + run) == 0; run++)
			;
		err = apply_groups(b, i, run, why);
	}
	if (sorted || b->rewritten > REWRITTEN_MAX)
		b->batch = b->batch * 16 < BATCH_MAX ? b->batch * 16 : BATCH_MAX;
	b->used = b->entry_count = b->group_count = 0;
	b->in_order = true;
	if (!err)
		err = over_limit(b, why);
	return err ? err : tidy(b, why);
}

/* --- the whole ------------------------------------------------------------ */

static enum err refuse_bad(const struct build *b, struct why *why)
{
	const struct tree_node *leaf;
	struct tree_walk walk;

	tree_walk(&walk, &b->edit.tree);
	while ((leaf = tree_walk_next(&walk))) {
		const struct zone_node *node = (const struct zone_node *)tree_item(leaf);
		struct zone_rrset set;
		uint16_t type = RR_SOA;
		const char *reason = node->name_length ? "a SOA record below the apex" : "more than one SOA record at the apex";

		if (!(tree_flags(leaf) & ZONE_FLAG_BAD))
			continue;
		if (zone_node_rrset(node, RR_CNAME, &set, NULL)) {
			type = RR_CNAME;
			reason = set.count > 1 ? "more than one CNAME record" : "a CNAME record beside other data";
		} else if (zone_node_rrset(node, RR_DNAME, &set, NULL) && set.count > 1) {
			type = RR_DNAME;
			reason = "more than one DNAME record";
		}
		return refuse_relative(b, why, ERR_ZONE, node->name, node->name_length, type, reason);
	}
	return err_why(why, ERR_ZONE, "the zone's content is not acceptable");
}

static enum err check_whole(const struct build *b, const struct zone_node **apex, struct zone_rrset *soa, struct why *why)
{
	static const uint8_t end[2] = {0, 0};
	const struct tree_node *leaf = b->edit.tree.root.to ? tree_get(&b->edit.tree, end, 0) : NULL;
	struct zone_rrset ns;

	*apex = leaf ? (const struct zone_node *)tree_item(leaf) : NULL;
	if (!leaf || !zone_node_rrset(*apex, RR_SOA, soa, NULL))
		return refuse(why, ERR_ZONE, b->apex, RR_SOA, "the zone has no SOA record");
	if (b->totals.bad)
		return refuse_bad(b, why);
	if (!zone_node_rrset(*apex, RR_NS, &ns, NULL))
		return refuse(why, ERR_ZONE, b->apex, RR_NS, "the zone has no NS record at its apex");
	return ERR_OK;
}

/* RFC 5155 7.2: any chain whose parameters are given at the apex and known; an answer that has to hash a name thousands of times is
 * none (RFC 9276 3.2). */
static bool find_chain(const struct zone_node *apex, struct zone_chain *chain)
{
	struct zone_rrset set;
	struct rr rr;
	uint32_t at = 0;

	if (!zone_node_rrset(apex, RR_NSEC3PARAM, &set, NULL))
		return false;
	while (zone_rrset_next(&set, &at, NULL, &rr)) {
		*chain = (struct zone_chain){rr.rdata + 5, rr.rdata[4], get_u16(rr.rdata + 2)};
		if (rr.rdata[0] == NSEC3_SHA1 && rr.rdata[1] == 0 && chain->iterations <= NSEC3_ITERATIONS_MAX)
			return true;
	}
	*chain = (struct zone_chain){0};
	return false;
}

static enum zone_denial denial_of(const struct zone_node *apex, const struct tree *hashed, struct zone_chain *chain)
{
	struct zone_rrset set;

	if (hashed->root.to && find_chain(apex, chain))
		return ZONE_DENIES_BY_NSEC3;
	return zone_node_rrset(apex, RR_NSEC, &set, NULL) ? ZONE_DENIES_BY_NSEC : ZONE_DENIES_PLAINLY;
}

/* A small zone that was built from nothing moves to a place of just its size: there may be a million of them. */
static void settle(struct build *b)
{
	size_t used = pool_used(b->edit.pool);
	struct pool *pool = b->base || used > SETTLE_MAX ? NULL : pool_new_for(used);

	if (!pool)
		return;
	if (tree_edit_move(&b->edit, pool, item_size))
		zone_lineage_set_pool(b->lineage, pool);
	else
		pool_free(pool);
}

static enum err make_version(struct build *b, struct zone **out, struct why *why)
{
	const struct zone_node *apex;
	struct tree_retired_list retired, unindexed;
	struct zone_rrset soa;
	struct zone *zone;
	struct rr rr;
	uint32_t at = 0;
	enum err err;

	settle(b);
	err = check_whole(b, &apex, &soa, why);
	if (err)
		return err;
	if ((!b->base && !index_all(b)) || b->edit.failed || b->hashed.failed || !(zone = calloc(1, sizeof *zone + b->apex_length)))
		return no_memory(why);
	zone_rrset_next(&soa, &at, b->apex, &rr);
	zone->soa = rr_soa_of(rr.rdata, rr.rdlength);
	zone->serial = (struct serial){zone->soa.serial};
	name_copy(b->apex, zone->apex);
	zone->origin = tree_origin(b->apex);
	zone->apex_node = apex;
	zone->records = b->totals.records;
	zone->names = b->totals.names;
	zone->wire_bytes = b->totals.wire_bytes;
	zone->wildcards = b->totals.wildcards;
	zone->rrsigs = b->totals.rrsigs;
	zone->hashed = b->totals.hashed;
	zone->tree = tree_edit_end(&b->edit, &retired);
	zone->nsec3 = tree_edit_end(&b->hashed, &unindexed);
	tree_retired_join(&retired, &unindexed);
	zone->denial = denial_of(apex, &zone->nsec3, &zone->chain);
	if (zone->denial == ZONE_DENIES_BY_NSEC3)
		denial_prepare(zone);
	if (b->view) {
		zone_lineage_add_view(b->lineage, zone, b->base);
		free(retired.list);
	} else {
		zone_lineage_add(b->lineage, zone, b->base, &retired);
	}
	*out = zone;
	return ERR_OK;
}

enum err build_flush(struct build *b, struct why *why)
{
	return flush(b, why);
}

enum err build_finish(struct build *b, struct zone **out, struct why *why)
{
	enum err err = flush(b, why);

	if (!err)
		err = make_version(b, out, why);
	if (err) {
		build_free(b);
		return err;
	}
	zone_put(b->base);
	release(b);
	return ERR_OK;
}
