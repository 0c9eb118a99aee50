#include "zone/zone.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct zone_lineage {
	struct pool *pool;
	struct zone *oldest, *newest;
	struct tree_retired_list reclaim;    /* left by all versions; the writer gives them to the pool */
};

/* Shared by many lineages: it is held for a moment, and there may be a million of them. */
static pthread_mutex_t *lock_of(const struct zone_lineage *lineage)
{
	static pthread_mutex_t locks[] = {[0 ... 63] = PTHREAD_MUTEX_INITIALIZER};

	return &locks[(uintptr_t)lineage / 64 % (sizeof locks / sizeof *locks)];
}

struct zone_lineage *zone_lineage_new(void)
{
	struct zone_lineage *lineage = calloc(1, sizeof *lineage);

	if (!lineage)
		return NULL;
	lineage->pool = pool_new();
	if (!lineage->pool) {
		free(lineage);
		return NULL;
	}
	return lineage;
}

struct pool *zone_lineage_pool(struct zone_lineage *lineage)
{
	return lineage->pool;
}

void zone_lineage_set_pool(struct zone_lineage *lineage, struct pool *pool)
{
	pool_free(lineage->pool);
	lineage->pool = pool;
}

void zone_lineage_free(struct zone_lineage *lineage)
{
	if (!lineage)
		return;
	pool_free(lineage->pool);
	free(lineage->reclaim.list);
	free(lineage);
}

void zone_lineage_reclaim(struct zone_lineage *lineage)
{
	struct tree_retired_list ready;

	pthread_mutex_lock(lock_of(lineage));
	ready = lineage->reclaim;
	lineage->reclaim = (struct tree_retired_list){0};
	pthread_mutex_unlock(lock_of(lineage));
	for (size_t i = 0; i < ready.count; i++)
		pool_put(lineage->pool, ready.list[i].block, ready.list[i].size);
	free(ready.list);
}

void zone_lineage_add(struct zone_lineage *lineage, struct zone *version, struct zone *base, struct tree_retired_list *retired)
{
	pthread_mutex_lock(lock_of(lineage));
	version->lineage = lineage;
	atomic_init(&version->holders, 1);
	version->older = base;
	lineage->newest = version;
	if (base) {
		base->newer = version;
		base->retired = *retired;
	} else {
		lineage->oldest = version;
		free(retired->list);
	}
	*retired = (struct tree_retired_list){0};
	pthread_mutex_unlock(lock_of(lineage));
}

void zone_lineage_add_view(struct zone_lineage *lineage, struct zone *view, struct zone *of)
{
	view->lineage = lineage;
	atomic_init(&view->holders, 1);
	view->older = zone_hold(of);
	lineage->oldest = lineage->newest = view;
}

struct zone *zone_hold(struct zone *zone)
{
	atomic_fetch_add_explicit(&zone->holders, 1, memory_order_relaxed);
	return zone;
}

/* From the oldest on, versions that nobody holds go, and what only they used becomes free. */
static struct zone *drop_dead(struct zone_lineage *lineage)
{
	while (lineage->oldest && lineage->oldest->dead) {
		struct zone *zone = lineage->oldest;

		lineage->oldest = zone->newer;
		if (zone->newer)
			zone->newer->older = NULL;
		tree_retired_join(&lineage->reclaim, &zone->retired);
		free(zone);
	}
	if (!lineage->oldest)
		lineage->newest = NULL;
	return lineage->oldest;
}

static size_t item_size(const struct tree_item *item)
{
	return zone_node_size((const struct zone_node *)item);
}

/* A version that nobody wanted after all, or that outlived no reader of the one before: what it made becomes free, and what it
 * replaced is in use again. */
static void drop_newest(struct zone_lineage *lineage)
{
	while (lineage->newest && lineage->newest->dead) {
		struct zone *zone = lineage->newest, *older = zone->older;

		tree_leave(&older->nsec3, &zone->nsec3, tree_items_stay, &lineage->reclaim);
		tree_leave(&older->tree, &zone->tree, item_size, &lineage->reclaim);
		free(older->retired.list);
		older->retired = (struct tree_retired_list){0};
		older->newer = NULL;
		lineage->newest = older;
		free(zone);
	}
}

/* The version that a view is of; NULL: it is none. */
static struct zone *viewed(const struct zone *zone)
{
	return zone->older && zone->older->lineage != zone->lineage ? zone->older : NULL;
}

void zone_put(struct zone *zone)
{
	struct zone_lineage *lineage;
	struct zone *left, *of;

	if (!zone || atomic_fetch_sub_explicit(&zone->holders, 1, memory_order_acq_rel) != 1)
		return;
	lineage = zone->lineage;
	pthread_mutex_lock(lock_of(lineage));
	of = viewed(zone);
	zone->dead = true;
	left = drop_dead(lineage);
	drop_newest(lineage);
	pthread_mutex_unlock(lock_of(lineage));
	if (!left)
		zone_lineage_free(lineage);
	zone_put(of);
}

size_t zone_memory(const struct zone *zone)
{
	const struct zone *of;

	pthread_mutex_lock(lock_of(zone->lineage));
	of = viewed(zone);
	pthread_mutex_unlock(lock_of(zone->lineage));
	return pool_bytes(zone->lineage->pool) + sizeof *zone + sizeof *zone->lineage + (of ? zone_memory(of) : 0);
}

/* An owner's block: name, then the number of RRsets, then each with a head of 8 octets (host order, unaligned). */
static const uint8_t *after_name(const struct zone_node *node)
{
	return node->name + node->name_length;
}

struct zone_rrsets zone_rrsets(const struct zone_node *node)
{
	const uint8_t *at = after_name(node);
	uint16_t count;

	memcpy(&count, at, 2);
	return (struct zone_rrsets){at + 2, count};
}

bool zone_rrsets_next(struct zone_rrsets *iter, struct zone_rrset *set)
{
	if (!iter->left)
		return false;
	iter->left--;
	memcpy(&set->type, iter->at, 2);
	memcpy(&set->count, iter->at + 2, 2);
	memcpy(&set->size, iter->at + 4, 4);
	set->records = iter->at + ZONE_RRSET_HEAD;
	set->covers = set->type == RR_RRSIG && set->size >= ZONE_RR_HEAD + 2 ? rr_covered(set->records + ZONE_RR_HEAD) : 0;
	iter->at = set->records + set->size;
	return true;
}

bool zone_node_rrset(const struct zone_node *node, uint16_t type, struct zone_rrset *set, struct zone_rrset *sigs)
{
	struct zone_rrsets iter = zone_rrsets(node);

	while (zone_rrsets_next(&iter, set)) {
		if (set->type != type)
			continue;
		if (sigs && !(zone_rrsets_next(&iter, sigs) && sigs->type == RR_RRSIG && sigs->covers == type))
			*sigs = (struct zone_rrset){.type = RR_RRSIG, .covers = type};
		return true;
	}
	return false;
}

bool zone_rrset_next(const struct zone_rrset *set, uint32_t *at, const uint8_t *owner, struct rr *rr)
{
	const uint8_t *record;

	if (*at >= set->size)
		return false;
	record = set->records + *at;
	rr->owner = owner;
	rr->type = get_u16(record + 2);
	rr->class = get_u16(record + 4);
	rr->ttl = get_u32(record + 6);
	rr->rdlength = get_u16(record + 10);
	rr->rdata = record + ZONE_RR_HEAD;
	*at += ZONE_RR_HEAD + rr->rdlength;
	return true;
}

struct rr zone_soa(const struct zone *zone)
{
	struct zone_rrset set;
	struct rr soa = {0};
	uint32_t at = 0;

	if (zone_node_rrset(zone->apex_node, RR_SOA, &set, NULL))
		zone_rrset_next(&set, &at, zone->apex, &soa);
	return soa;
}

size_t zone_node_size(const struct zone_node *node)
{
	struct zone_rrsets iter = zone_rrsets(node);
	struct zone_rrset set;

	while (zone_rrsets_next(&iter, &set))
		;
	return (size_t)(iter.at - (const uint8_t *)node);
}

size_t zone_node_name(const struct zone *zone, const struct zone_node *node, uint8_t out[NAME_SIZE])
{
	size_t apex_length = name_length(zone->apex);

	memcpy(out, node->name, node->name_length);
	memcpy(out + node->name_length, zone->apex, apex_length);
	return node->name_length + apex_length;
}

unsigned zone_node_labels(const struct zone *zone, const struct zone_node *node)
{
	unsigned labels = zone->origin.labels;

	for (const uint8_t *at = node->name, *end = at + node->name_length; at < end; at += 1 + *at)
		labels++;
	return labels;
}

static const struct zone_node *node_of(const struct tree_node *leaf)
{
	return (const struct zone_node *)tree_item(leaf);
}

/* RFC 4592 3.3.1: the source of synthesis is "*" below the closest encloser; it may be an empty non-terminal. */
static bool find_wildcard(const struct zone *zone, const uint8_t *name, struct zone_hit *hit)
{
	uint8_t wildcard[NAME_SIZE + 2] = {1, '*'};
	const uint8_t *encloser;
	struct tree_name key;
	struct tree_hit tree;
	size_t length;

	if (!zone->wildcards)
		return false;
	encloser = name_suffix(name, hit->encloser_labels);
	length = name_length(encloser);
	if (length + 2 > NAME_SIZE)
		return false;
	memcpy(wildcard + 2, encloser, length);
	tree_name(&key, wildcard);
	tree_find(&zone->tree, zone->origin, &key, &tree);
	if (!tree.exists)
		return false;
	hit->found = tree.leaf ? ZONE_WILD : ZONE_EMPTY;
	hit->node = tree.leaf ? node_of(tree.leaf) : NULL;
	return true;
}

/* The highest cut or DNAME above the name ends the search there. */
static bool stopped(const struct tree_hit *tree, struct zone_hit *hit)
{
	for (unsigned i = 0; i < tree->ancestors; i++) {
		uint16_t flags = tree_flags(tree->ancestor[i]);

		if (!(flags & (ZONE_FLAG_CUT | ZONE_FLAG_DNAME)))
			continue;
		hit->found = flags & ZONE_FLAG_CUT ? ZONE_CUT : ZONE_DNAME;
		hit->node = node_of(tree->ancestor[i]);
		return true;
	}
	return false;
}

/* Whether the search ended at the owner of an NSEC3 record: that name is no part of what the zone shows. */
static bool is_hashed(const struct zone *zone, const struct tree_hit *tree)
{
	const struct tree_node *last = tree->leaf;

	if (!zone->hashed)
		return false;
	if (!last && tree->ancestors && tree->ancestor_labels[tree->ancestors - 1] == tree->common)
		last = tree->ancestor[tree->ancestors - 1];
	return last && tree_flags(last) & ZONE_FLAG_HASHED;
}

static bool found_name(const struct tree_hit *tree, struct zone_hit *hit)
{
	if (tree->leaf) {
		hit->found = tree_flags(tree->leaf) & ZONE_FLAG_CUT ? ZONE_CUT : ZONE_NODE;
		hit->node = node_of(tree->leaf);
		hit->at_name = true;
	} else if (tree->exists) {
		hit->found = ZONE_EMPTY;
	}
	return tree->leaf || tree->exists;
}

void zone_find(const struct zone *zone, const uint8_t *name, struct zone_hit *hit)
{
	struct tree_name key;

	tree_name(&key, name);
	zone_find_name(zone, &key, hit);
}

void zone_find_name(const struct zone *zone, const struct tree_name *name, struct zone_hit *hit)
{
	struct tree_hit tree;

	tree_find(&zone->tree, zone->origin, name, &tree);
	hit->node = NULL;
	hit->at_name = false;
	hit->encloser_labels = zone->origin.labels + tree.common;
	if (stopped(&tree, hit))
		return;
	if (is_hashed(zone, &tree))
		hit->encloser_labels--;
	else if (found_name(&tree, hit))
		return;
	if (!find_wildcard(zone, name->name, hit))
		hit->found = ZONE_NONE;
}

const struct zone_node *zone_find_node(const struct zone *zone, const uint8_t *name)
{
	uint8_t key[TREE_KEY_SIZE];

	return name_is_under(name, zone->apex) ? zone_node_at(zone, name, key, tree_key(name, zone->origin.labels, key)) : NULL;
}

const struct zone_node *zone_node_at(const struct zone *zone, const uint8_t *name, const uint8_t *key, size_t length)
{
	const struct tree_node *leaf = tree_get_name(&zone->tree, key, length, name, name_length(name) - 1 - zone->origin.octets);

	return leaf ? node_of(leaf) : NULL;
}

void zone_walk(struct zone_walk *walk, const struct zone *zone)
{
	walk->zone = zone;
	tree_walk(&walk->walk, &zone->tree);
}

void zone_walk_from(struct zone_walk *walk, const struct zone *zone, uint64_t random)
{
	walk->zone = zone;
	tree_walk_from(&walk->walk, &zone->tree, random);
}

const struct zone_node *zone_walk_next(struct zone_walk *walk, uint8_t name[NAME_SIZE])
{
	const struct tree_node *leaf = tree_walk_next(&walk->walk);

	if (!leaf)
		return NULL;
	zone_node_name(walk->zone, node_of(leaf), name);
	return node_of(leaf);
}
