#include "zone/dnssec.h"

#include "base/array.h"
#include "dns/rrtext.h"
#include "zone/denial.h"
#include "zone/signature.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPT_OUT = 1, LABEL = 1 + NSEC3_LABEL, SYMBOL_LAST = 47 };

/* What a name is in the zone. */
enum place {
	PLACE_NONE,          /* it does not exist */
	PLACE_EMPTY,         /* an empty non-terminal */
	PLACE_DATA,          /* authoritative data */
	PLACE_CUT,           /* a delegation */
	PLACE_HIDDEN,        /* below a delegation, or a DNAME */
	PLACE_HASHED,        /* the owner of an NSEC3 record, and nothing else */
};

struct check {
	const struct zone *zone, *older;     /* older: NULL, or what had passed */
	struct signature_keys *keys;
	uint64_t now;
	const atomic_bool *stop;
	struct why *why;
	bool doubt;                          /* only a look at the whole can tell */
	/* The whole, by NSEC: the owner seen last, and the name that it says is next. */
	uint8_t last[NAME_SIZE];
	const uint8_t *next;
	/* By NSEC3: the name seen last, the last that must have a record, and the owners of the records that belong to a name. */
	uint8_t seen[NAME_SIZE], needed[NAME_SIZE];
	const struct zone_node **owner;
	size_t owners, room;
	/* Of a change: labels of hashes that names explain, and those that must be explained. */
	uint8_t (*explained)[LABEL], (*changed)[LABEL];
	size_t explained_count, explained_room, changed_count, changed_room;
};

static enum err refuse(const struct check *c, const uint8_t *owner, uint16_t type, const char *format, ...) __attribute__((format(printf, 4, 5)));
static enum err refuse(const struct check *c, const uint8_t *owner, uint16_t type, const char *format, ...)
{
	char name[NAME_TEXT_SIZE], type_text[RR_TYPE_TEXT], said[WHY_MAX];
	va_list list;

	va_start(list, format);
	vsnprintf(said, sizeof said, format, list);
	va_end(list);
	return err_why(c->why, ERR_ZONE, "%.150s %s: %s", name_text(owner, name), rr_type_text(type, type_text), said);
}

static enum err no_memory(const struct check *c)
{
	return err_why(c->why, ERR_NOMEM, "out of memory while validating the zone");
}

/* --- signatures ------------------------------------------------------------------ */

static bool must_be_signed(uint16_t type, enum place place)
{
	switch (place) {
	case PLACE_DATA: case PLACE_HASHED:
		return true;
	case PLACE_CUT:
		return type == RR_DS || type == RR_NSEC || type == RR_NSEC3;
	case PLACE_NONE: case PLACE_EMPTY: case PLACE_HIDDEN:
		return false;
	}
	return false;
}

static enum err check_sets(const struct check *c, const uint8_t *owner, const struct zone_node *node, enum place place)
{
	struct zone_rrsets iter = zone_rrsets(node);
	struct zone_rrset set, next;
	bool left = zone_rrsets_next(&iter, &next);
	enum err err = ERR_OK;

	if (c->stop && atomic_load_explicit(c->stop, memory_order_relaxed))
		return err_why(c->why, ERR_ORDER, "interrupted");
	while (!err && left) {
		struct zone_rrset sigs = {.type = RR_RRSIG};

		set = next;
		left = zone_rrsets_next(&iter, &next);
		if (set.type == RR_RRSIG)
			continue;    /* over what is not there: of no use, and no harm */
		if (left && next.type == RR_RRSIG && next.covers == set.type) {
			sigs = next;
			left = zone_rrsets_next(&iter, &next);
		}
		if (must_be_signed(set.type, place))
			err = signature_check(c->keys, owner, &set, &sigs, c->now, c->why);
	}
	return err;
}

/* --- types ----------------------------------------------------------------------- */

/* The types of a bitmap (RFC 4034 4.1.2), in order. */
struct types {
	const uint8_t *at, *end;
	unsigned bit;
};

/* 0: no more. */
static unsigned types_next(struct types *t)
{
	while (t->end - t->at > 2) {
		unsigned bits = t->at[1] * 8u;

		for (; t->bit < bits; t->bit++)
			if (t->at[2 + t->bit / 8] & 0x80 >> t->bit % 8)
				return (unsigned)t->at[0] << 8 | t->bit++;
		t->at += 2 + t->at[1];
		t->bit = 0;
	}
	return 0;
}

/* RFC 4035 2.3, RFC 5155 7.1: at a delegation only what the parent is asked for. */
static bool shown(uint16_t type, enum place place)
{
	return place == PLACE_CUT ? type == RR_NS || type == RR_DS || type == RR_NSEC : type != RR_NSEC3;
}

static bool has_rrsig(const struct zone_node *node, enum place place)
{
	struct zone_rrsets iter = zone_rrsets(node);
	struct zone_rrset set;

	while (zone_rrsets_next(&iter, &set))
		if (set.type == RR_RRSIG && (place != PLACE_CUT || set.covers == RR_DS || set.covers == RR_NSEC))
			return true;
	return false;
}

/* `node` NULL: an empty non-terminal. */
static bool same_types(const struct zone_node *node, enum place place, struct types have)
{
	struct zone_rrsets iter = node ? zone_rrsets(node) : (struct zone_rrsets){0};
	bool rrsig = node && has_rrsig(node, place);
	struct zone_rrset set;

	while (zone_rrsets_next(&iter, &set)) {
		if (set.type == RR_RRSIG || !shown(set.type, place))
			continue;
		if (rrsig && set.type > RR_RRSIG) {
			rrsig = false;
			if (types_next(&have) != RR_RRSIG)
				return false;
		}
		if (types_next(&have) != set.type)
			return false;
	}
	if (rrsig && types_next(&have) != RR_RRSIG)
		return false;
	return types_next(&have) == 0;
}

/* --- NSEC ------------------------------------------------------------------------ */

/* The record at the node and the types it gives; false: none, or several. */
static bool nsec_of(const struct zone_node *node, struct rr *rr, struct types *types)
{
	struct zone_rrset set;
	uint32_t at = 0;

	if (!zone_node_rrset(node, RR_NSEC, &set, NULL) || set.count != 1 || !zone_rrset_next(&set, &at, NULL, rr))
		return false;
	*types = (struct types){rr->rdata + name_length(rr->rdata), rr->rdata + rr->rdlength, 0};
	return true;
}

static enum err check_nsec(struct check *c, const uint8_t *name, const struct zone_node *node, enum place place)
{
	char is[NAME_TEXT_SIZE], ought[NAME_TEXT_SIZE];
	struct types types;
	struct rr rr;

	if (c->next && !name_equal(c->next, name))
		return refuse(c, c->last, RR_NSEC, "it says that %.80s is the next name, but %.80s is", name_text(c->next, is),
			name_text(name, ought));
	if (!nsec_of(node, &rr, &types))
		return refuse(c, name, RR_NSEC, "the name has no such record, or several");
	if (!same_types(node, place, types))
		return refuse(c, name, RR_NSEC, "its types are not those that the name has");
	name_copy(name, c->last);
	c->next = rr.rdata;
	return ERR_OK;
}

static enum err end_nsec(struct check *c)
{
	char is[NAME_TEXT_SIZE];

	return name_equal(c->next, c->zone->apex) ? ERR_OK :
		refuse(c, c->last, RR_NSEC, "it is the last one, but says that %.150s is the next name", name_text(c->next, is));
}

/* --- NSEC3 ----------------------------------------------------------------------- */

/* The record of the zone's chain at a node; false: none, or several. */
static bool nsec3_of(const struct zone *zone, const struct zone_node *node, struct rr *rr)
{
	const struct zone_chain *chain = &zone->chain;
	struct zone_rrset set;
	struct rr one;
	unsigned found = 0;
	uint32_t at = 0;

	if (!zone_node_rrset(node, RR_NSEC3, &set, NULL))
		return false;
	while (zone_rrset_next(&set, &at, NULL, &one)) {
		if (one.rdata[0] != NSEC3_SHA1 || get_u16(one.rdata + 2) != chain->iterations || one.rdata[4] != chain->salt_length ||
		    memcmp(one.rdata + 5, chain->salt, chain->salt_length) != 0)
			continue;
		*rr = one;
		found++;
	}
	return found == 1 && rr->rdata[5 + chain->salt_length] == NSEC3_HASH;
}

static struct types nsec3_types(const struct zone *zone, const struct rr *rr)
{
	return (struct types){rr->rdata + 6 + zone->chain.salt_length + NSEC3_HASH, rr->rdata + rr->rdlength, 0};
}

/* The label of the next owner. */
static void nsec3_next(const struct zone *zone, const struct rr *rr, uint8_t label[LABEL])
{
	uint8_t digits[NSEC3_LABEL];

	nsec3_digits(rr->rdata + 6 + zone->chain.salt_length, digits);
	nsec3_label(digits, label);
}

static bool is_label(const struct zone_node *node, const uint8_t label[LABEL])
{
	return node->name_length == LABEL && name_octets_equal(node->name, label, LABEL);
}

enum need { NEEDED, MAY_BE_OUT /* a delegation without DS, where opt-out allows it */, NOT_WANTED };

static bool note_owner(struct check *c, const struct zone_node *node)
{
	if (!array_room(c->owner, c->room, c->owners + 1))
		return false;
	c->owner[c->owners++] = node;
	return true;
}

/* A name that exists, `node` NULL: without records. *found: the owner of its NSEC3 record, or NULL. */
static enum err check_nsec3(const struct check *c, const uint8_t *name, const struct zone_node *node, enum place place, enum need need,
	const struct zone_node **found)
{
	const struct zone_node *owner;
	struct denial_key key;
	bool matches;
	struct rr rr;

	denial_key(&key, c->zone, name);
	owner = denial_nsec3(c->zone, &key, &matches);
	*found = matches ? owner : NULL;
	if (matches && (!nsec3_of(c->zone, owner, &rr) || !same_types(node, place, nsec3_types(c->zone, &rr))))
		return refuse(c, name, RR_NSEC3, "the types in its record %.33s are not those that the name has", key.label + 1);
	if (matches || (need == MAY_BE_OUT && owner && nsec3_of(c->zone, owner, &rr) && rr.rdata[1] & OPT_OUT))
		return ERR_OK;
	return refuse(c, name, RR_NSEC3, need == NEEDED ? "the name has no such record" : "the name has no such record, and no opt-out");
}

static unsigned common_labels(const uint8_t *a, const uint8_t *b)
{
	unsigned n = name_labels(a), m = name_labels(b);

	n = n < m ? n : m;
	while (n && !name_equal(name_suffix(a, n), name_suffix(b, n)))
		n--;
	return n;
}

static enum need need_of(const struct zone_node *node, enum place place)
{
	struct zone_rrset set;

	return place == PLACE_CUT && !zone_node_rrset(node, RR_DS, &set, NULL) ? MAY_BE_OUT : NEEDED;
}

/* The empty non-terminals above a name, as far as they are not above what was seen before. They come in canonical order, so an ancestor that
 * has records was seen. */
static enum err check_above(struct check *c, const uint8_t *name, enum need need)
{
	unsigned labels = name_labels(name), known = common_labels(c->seen, name), settled = need == NEEDED ? common_labels(c->needed, name) : known;

	for (unsigned n = (settled < known ? settled : known) + 1; n < labels; n++) {
		const uint8_t *above = name_suffix(name, n);
		const struct zone_node *found;
		enum err err;

		if (n <= c->zone->origin.labels || (n <= known && zone_find_node(c->zone, above)))
			continue;
		err = check_nsec3(c, above, NULL, PLACE_EMPTY, need, &found);
		if (err)
			return err;
		if (found && n > known && !note_owner(c, found))
			return no_memory(c);
	}
	return ERR_OK;
}

static enum err check_hashed_name(struct check *c, const uint8_t *name, const struct zone_node *node, enum place place)
{
	const struct zone_node *found;
	enum need need = need_of(node, place);
	enum err err = check_above(c, name, need);

	if (!err)
		err = check_nsec3(c, name, node, place, need, &found);
	if (!err && found && !note_owner(c, found))
		err = no_memory(c);
	name_copy(name, c->seen);
	if (need == NEEDED)
		name_copy(name, c->needed);
	return err;
}

static int pointer_order(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t)*(const void *const *)a, y = (uintptr_t)*(const void *const *)b;

	return (x > y) - (x < y);
}

static enum err refuse_owner(const struct check *c, const struct zone_node *node, const char *text)
{
	uint8_t owner[NAME_SIZE];

	zone_node_name(c->zone, node, owner);
	return refuse(c, owner, RR_NSEC3, "%s", text);
}

/* The records in the order of their owners: each names the next, the last one the first, and each belongs to a name. */
static enum err end_nsec3(struct check *c)
{
	const struct zone_node *first = NULL, *before = NULL;
	const struct tree_node *leaf;
	uint8_t next[LABEL];
	struct tree_walk walk;
	struct rr rr;

	if (c->owners)
		qsort(c->owner, c->owners, sizeof *c->owner, pointer_order);
	tree_walk(&walk, &c->zone->nsec3);
	while ((leaf = tree_walk_next(&walk))) {
		const struct zone_node *node = (const struct zone_node *)tree_item(leaf);

		if (!nsec3_of(c->zone, node, &rr))
			continue;
		if (!c->owners || !bsearch(&node, c->owner, c->owners, sizeof *c->owner, pointer_order))
			return refuse_owner(c, node, "it belongs to no name of the zone");
		if (before && !is_label(node, next))
			return refuse_owner(c, before, "the next hash that it gives is not the next one");
		nsec3_next(c->zone, &rr, next);
		first = first ? first : node;
		before = node;
	}
	return first && is_label(first, next) ? ERR_OK : refuse(c, c->zone->apex, RR_NSEC3, "the chain's last record does not lead to its first");
}

/* --- the whole ------------------------------------------------------------------- */

bool dnssec_is_signed(const struct zone *zone)
{
	struct zone_rrset set;

	return zone->rrsigs || zone_node_rrset(zone->apex_node, RR_DNSKEY, &set, NULL);
}

static enum place place_of_leaf(const struct tree_node *leaf)
{
	uint16_t flags = tree_flags(leaf);

	return flags & ZONE_FLAG_HASHED ? PLACE_HASHED : flags & ZONE_FLAG_CUT ? PLACE_CUT : PLACE_DATA;
}

static enum err check_owner(struct check *c, const uint8_t *name, const struct zone_node *node, enum place place)
{
	enum err err = check_sets(c, name, node, place);

	if (err || (place != PLACE_DATA && place != PLACE_CUT))
		return err;
	return c->zone->denial == ZONE_DENIES_BY_NSEC ? check_nsec(c, name, node, place) : check_hashed_name(c, name, node, place);
}

static enum err check_all(struct check *c)
{
	uint8_t above[NAME_SIZE], name[NAME_SIZE];       /* above: the delegation or DNAME that hides what is below */
	const struct tree_node *leaf;
	struct tree_walk walk;
	enum err err = ERR_OK;
	bool hides = false;

	name_copy(c->zone->apex, c->seen);
	name_copy(c->zone->apex, c->needed);
	tree_walk(&walk, &c->zone->tree);
	while (!err && (leaf = tree_walk_next(&walk))) {
		const struct zone_node *node = (const struct zone_node *)tree_item(leaf);
		enum place place = place_of_leaf(leaf);

		zone_node_name(c->zone, node, name);
		if (place != PLACE_HASHED && hides && name_is_under(name, above))
			continue;
		err = check_owner(c, name, node, place);
		if (tree_flags(leaf) & (ZONE_FLAG_CUT | ZONE_FLAG_DNAME)) {
			hides = true;
			name_copy(name, above);
		}
	}
	if (err)
		return err;
	return c->zone->denial == ZONE_DENIES_BY_NSEC ? end_nsec(c) : end_nsec3(c);
}

/* What all else rests on. */
static enum err check_apex(struct check *c)
{
	struct zone_rrset keys = {0}, sigs = {0};
	enum err err = signature_keys_new(c->zone, &c->keys, c->why);

	if (err)
		return err;
	zone_node_rrset(c->zone->apex_node, RR_DNSKEY, &keys, &sigs);
	err = signature_check(c->keys, c->zone->apex, &keys, &sigs, c->now, c->why);
	if (!err && c->zone->denial == ZONE_DENIES_PLAINLY)
		err = refuse(c, c->zone->apex, RR_NSEC, "the zone is signed, but has neither NSEC records nor an NSEC3 chain that is known here");
	return err;
}

static void release(struct check *c)
{
	signature_keys_free(c->keys);
	free(c->owner);
	free(c->explained);
	free(c->changed);
}

enum err dnssec_check(const struct zone *zone, uint64_t now, const atomic_bool *stop, struct why *why)
{
	struct check c = {.zone = zone, .now = now, .stop = stop, .why = why};
	enum err err;

	if (!dnssec_is_signed(zone))
		return ERR_OK;
	err = check_apex(&c);
	if (!err)
		err = check_all(&c);
	release(&c);
	return err;
}

/* --- a change -------------------------------------------------------------------- */

/* `flags`: the leaf's, 0 if there is none. */
static enum place place_of(const struct zone *zone, const uint8_t *name, const struct zone_node **node, uint16_t *flags)
{
	struct tree_name key;
	struct tree_hit hit;

	tree_name(&key, name);
	tree_find(&zone->tree, zone->origin, &key, &hit);
	*node = hit.leaf ? (const struct zone_node *)tree_item(hit.leaf) : NULL;
	*flags = hit.leaf ? tree_flags(hit.leaf) : 0;
	if (*flags & ZONE_FLAG_HASHED)
		return PLACE_HASHED;
	for (unsigned i = 0; i < hit.ancestors; i++)
		if (tree_flags(hit.ancestor[i]) & (ZONE_FLAG_CUT | ZONE_FLAG_DNAME))
			return PLACE_HIDDEN;
	return hit.leaf ? place_of_leaf(hit.leaf) : hit.exists ? PLACE_EMPTY : PLACE_NONE;
}

/* The owner of the last NSEC record. */
static const struct zone_node *last_nsec(const struct zone *zone)
{
	const struct tree_node *leaf = tree_last(&zone->tree);
	uint8_t name[NAME_SIZE];

	zone_node_name(zone, (const struct zone_node *)tree_item(leaf), name);
	return denial_nsec(zone, name, true);
}

/* What the NSEC record at the node says is next is the next one with such a record. */
static bool nsec_leads_on(const struct zone *zone, const struct zone_node *node)
{
	const struct zone_node *next;
	struct types types;
	uint16_t flags;
	enum place place;
	struct rr rr;

	if (!node || !nsec_of(node, &rr, &types) || !name_is_under(rr.rdata, zone->apex))
		return false;
	if (name_equal(rr.rdata, zone->apex))
		return last_nsec(zone) == node;
	place = place_of(zone, rr.rdata, &next, &flags);
	return (place == PLACE_DATA || place == PLACE_CUT) && flags & ZONE_FLAG_NSEC && denial_nsec(zone, rr.rdata, false) == node;
}

static bool nsec_fits(const struct check *c, const uint8_t *name, const struct zone_node *node, enum place place)
{
	bool apex = name_equal(name, c->zone->apex);
	struct types types;
	struct rr rr;

	if (!apex && !nsec_leads_on(c->zone, denial_nsec(c->zone, name, false)))
		return false;
	if (place != PLACE_DATA && place != PLACE_CUT)
		return true;
	return nsec_of(node, &rr, &types) && same_types(node, place, types) && nsec_leads_on(c->zone, node);
}

/* The owner of the chain's record before this key, or the last one. */
static const struct zone_node *nsec3_before(const struct zone *zone, const uint8_t *symbol, size_t length)
{
	const struct tree_node *leaf = tree_before(&zone->nsec3, symbol, length, false);
	uint8_t key[TREE_KEY_SIZE];
	struct rr rr;

	for (unsigned rounds = 0; rounds < 2; rounds++) {
		for (; leaf; leaf = tree_before(&zone->nsec3, key, tree_item_key(tree_item(leaf), key), false))
			if (nsec3_of(zone, (const struct zone_node *)tree_item(leaf), &rr))
				return (const struct zone_node *)tree_item(leaf);
		leaf = tree_last(&zone->nsec3);
	}
	return NULL;
}

static bool nsec3_leads_on(const struct zone *zone, const struct zone_node *node)
{
	uint8_t label[LABEL], name[NAME_SIZE], key[TREE_KEY_SIZE];
	const struct tree_node *leaf;
	struct rr rr;
	size_t length;

	if (!node || !nsec3_of(zone, node, &rr))
		return false;
	nsec3_next(zone, &rr, label);
	if (!name_join(label, LABEL, zone->apex, name))
		return false;
	length = tree_key(name, zone->origin.labels, key);
	leaf = tree_get(&zone->nsec3, key, length);
	return leaf && is_label((const struct zone_node *)tree_item(leaf), label) &&
		nsec3_of(zone, (const struct zone_node *)tree_item(leaf), &rr) && nsec3_before(zone, key, length) == node;
}

static bool note_label(uint8_t (**list)[LABEL], size_t *count, size_t *room, const uint8_t label[LABEL])
{
	if (!array_room(*list, *room, *count + 1))
		return false;
	for (unsigned i = 0; i < LABEL; i++)
		(*list)[*count][i] = name_octet_lower(label[i]);
	++*count;
	return true;
}

static int label_order(const void *a, const void *b)
{
	return memcmp(a, b, LABEL);
}

static bool same_octets(struct types a, struct types b)
{
	return a.end - a.at == b.end - b.at && memcmp(a.at, b.at, (size_t)(a.end - a.at)) == 0;
}

/* A hashed owner came, went, or has another record. Its flag must be its neighbour's: else opt-out has begun or ended there. */
static enum err change_of_hash(struct check *c, const uint8_t *name)
{
	const struct zone_node *now = zone_find_node(c->zone, name), *then = zone_find_node(c->older, name), *before;
	uint8_t key[TREE_KEY_SIZE];
	size_t length = tree_key(name, c->zone->origin.labels, key);
	struct rr is = {0}, was = {0}, at;
	bool has = now && nsec3_of(c->zone, now, &is), had = then && nsec3_of(c->older, then, &was);

	if (!has && !had)
		return ERR_OK;
	before = nsec3_before(c->zone, key, length);
	if (name[0] != NSEC3_LABEL || !before || !nsec3_of(c->zone, before, &at) || !nsec3_leads_on(c->zone, before) ||
	    (has && !nsec3_leads_on(c->zone, now)) || (has && had && is.rdata[1] != was.rdata[1]) ||
	    ((has ? is : was).rdata[1] & OPT_OUT) != (at.rdata[1] & OPT_OUT)) {
		c->doubt = true;
		return ERR_OK;
	}
	if (has && had && same_octets(nsec3_types(c->zone, &is), nsec3_types(c->older, &was)))
		return ERR_OK;       /* it leads elsewhere, that is all */
	return note_label(&c->changed, &c->changed_count, &c->changed_room, name) ? ERR_OK : no_memory(c);
}

/* What the name and those above it are now, and whether they have the NSEC3 record that goes with it. */
static enum err change_of_name(struct check *c, const uint8_t *name, enum place place, const struct zone_node *node)
{
	enum need need = place == PLACE_DATA || place == PLACE_CUT ? need_of(node, place) : MAY_BE_OUT;
	unsigned labels = name_labels(name);

	for (unsigned n = labels; n >= c->zone->origin.labels; n--) {
		const uint8_t *at = name_suffix(name, n);
		const struct zone_node *here = node, *found;
		enum place is = place;
		struct denial_key key;
		bool matches;
		uint16_t flags;

		if (n < labels)
			is = place_of(c->zone, at, &here, &flags);
		denial_key(&key, c->zone, at);
		if (!note_label(&c->explained, &c->explained_count, &c->explained_room, key.label))
			return no_memory(c);
		if (is == PLACE_DATA || is == PLACE_CUT || is == PLACE_EMPTY) {
			enum need wanted = is == PLACE_EMPTY ? need : need_of(here, is);
			struct check quiet = *c;

			quiet.why = NULL;
			if (check_nsec3(&quiet, at, here, is, wanted, &found))
				c->doubt = true;
			/* Whether it may be left out depends on all that is below it. */
			if (!found && is == PLACE_EMPTY && denial_nsec3(c->older, &key, &matches) && matches)
				c->doubt = true;
		} else {
			denial_nsec3(c->zone, &key, &matches);
			c->doubt = c->doubt || matches;
		}
		if (!n)
			break;
	}
	return ERR_OK;
}

static enum err check_changed(struct check *c, const uint8_t *name)
{
	const struct zone_node *node;
	uint16_t flags;
	enum place place = place_of(c->zone, name, &node, &flags);
	enum err err = node ? check_sets(c, name, node, place) : ERR_OK;

	if (err)
		return err;
	if (c->zone->denial == ZONE_DENIES_BY_NSEC) {
		c->doubt = c->doubt || !nsec_fits(c, name, node, place);
		return ERR_OK;
	}
	err = change_of_hash(c, name);
	return err || place == PLACE_HASHED ? err : change_of_name(c, name, place, node);
}

/* All that is below a name, from the last one back. */
static enum err check_below(struct check *c, const uint8_t *name)
{
	uint8_t key[TREE_KEY_SIZE], below[NAME_SIZE];
	size_t length = tree_key(name, c->zone->origin.labels, key);
	const struct tree_node *leaf;
	enum err err = ERR_OK;

	memset(key + length, SYMBOL_LAST, sizeof key - length);
	leaf = tree_before(&c->zone->tree, key, sizeof key - 1, false);
	while (!err && !c->doubt && leaf) {
		zone_node_name(c->zone, (const struct zone_node *)tree_item(leaf), below);
		if (!name_is_under(below, name) || name_equal(below, name))
			break;
		err = check_changed(c, below);
		leaf = tree_before(&c->zone->tree, key, tree_item_key(tree_item(leaf), key), false);
	}
	return err;
}

static enum err check_name(struct check *c, const uint8_t *name)
{
	const struct zone_node *node;
	uint16_t now, then;
	enum err err;

	place_of(c->zone, name, &node, &now);
	place_of(c->older, name, &node, &then);
	err = check_changed(c, name);
	if (!err && !c->doubt && (now ^ then) & (ZONE_FLAG_CUT | ZONE_FLAG_DNAME))
		err = check_below(c, name);
	return err;
}

static bool same_at_apex(const struct zone *a, const struct zone *b, uint16_t type)
{
	struct zone_rrset x = {0}, y = {0};
	bool in_a = zone_node_rrset(a->apex_node, type, &x, NULL), in_b = zone_node_rrset(b->apex_node, type, &y, NULL);

	return in_a == in_b && (!in_a || (x.size == y.size && memcmp(x.records, y.records, x.size) == 0));
}

static bool is_explained(const struct check *c)
{
	if (c->changed_count && c->explained_count)
		qsort(c->explained, c->explained_count, LABEL, label_order);
	for (size_t i = 0; i < c->changed_count; i++)
		if (!c->explained_count || !bsearch(c->changed[i], c->explained, c->explained_count, LABEL, label_order))
			return false;
	return true;
}

enum err dnssec_check_change(const struct zone *zone, const struct zone *older, const uint8_t *const *names, size_t count, uint64_t now,
	const atomic_bool *stop, struct why *why)
{
	struct check c = {.zone = zone, .older = older, .now = now, .stop = stop, .why = why};
	enum err err;

	if (!dnssec_is_signed(zone))
		return ERR_OK;
	if (!dnssec_is_signed(older) || zone->denial != older->denial || !same_at_apex(zone, older, RR_DNSKEY) ||
	    !same_at_apex(zone, older, RR_NSEC3PARAM))
		return dnssec_check(zone, now, stop, why);
	err = check_apex(&c);
	for (size_t i = 0; i < count && !err && !c.doubt; i++)
		err = check_name(&c, names[i]);
	c.doubt = c.doubt || !is_explained(&c);
	release(&c);
	return !err && c.doubt ? dnssec_check(zone, now, stop, why) : err;
}
