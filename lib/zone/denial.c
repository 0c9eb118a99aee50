#include "zone/denial.h"

enum {
	STEPS_MAX = 64,              /* names without the record between a name and its predecessor with one */
	HASHED_MAX = 10000,          /* of which owners of NSEC3 records do not count: they come by the thousand, anywhere between the */
};                                   /* others, while a primary makes the chain that is to replace NSEC */

/* --- NSEC ------------------------------------------------------------------------------- */

/* Names below a cut have no NSEC record: the cut's own spans them. */
static const struct tree_node *cut_above(const struct zone *zone, const struct zone_node *node)
{
	uint8_t name[NAME_SIZE];
	struct tree_name key;
	struct tree_hit hit;

	zone_node_name(zone, node, name);
	tree_name(&key, name);
	tree_find(&zone->tree, zone->origin, &key, &hit);
	for (unsigned i = 0; i < hit.ancestors; i++)
		if (tree_flags(hit.ancestor[i]) & ZONE_FLAG_CUT)
			return hit.ancestor[i];
	return NULL;
}

const struct zone_node *denial_nsec(const struct zone *zone, const uint8_t *name, bool or_at)
{
	uint8_t key[TREE_KEY_SIZE];
	size_t length = tree_key(name, zone->origin.labels, key);
	const struct tree_node *leaf = tree_before(&zone->tree, key, length, or_at), *cut;

	for (unsigned steps = 0, hashed = 0; leaf && steps < STEPS_MAX && hashed < HASHED_MAX;) {
		if (tree_flags(leaf) & ZONE_FLAG_NSEC)
			return (const struct zone_node *)tree_item(leaf);
		if (tree_flags(leaf) & ZONE_FLAG_HASHED) {
			hashed++;
			leaf = tree_before(&zone->tree, key, tree_item_key(tree_item(leaf), key), false);
			continue;
		}
		steps++;
		cut = cut_above(zone, (const struct zone_node *)tree_item(leaf));
		if (cut && tree_flags(cut) & ZONE_FLAG_NSEC)
			return (const struct zone_node *)tree_item(cut);
		leaf = tree_before(&zone->tree, key, tree_item_key(tree_item(leaf), key), false);
	}
	return NULL;
}

/* --- NSEC3 ------------------------------------------------------------------------------ */

void denial_key(struct denial_key *key, const struct zone *zone, const uint8_t *name)
{
	uint8_t hash[NSEC3_HASH], digits[NSEC3_LABEL];

	nsec3_hash(name, zone->chain.salt, zone->chain.salt_length, zone->chain.iterations, hash);
	nsec3_digits(hash, digits);
	nsec3_label(digits, key->label);
	nsec3_digits_shown(digits, NSEC3_LABEL, TREE_ZERO, TREE_A, key->symbol);
	memset(key->symbol + NSEC3_LABEL, TREE_END, 3);
}

static bool is_of_chain(const struct zone *zone, const struct zone_node *node)
{
	const struct zone_chain *chain = &zone->chain;
	struct zone_rrset set;
	struct rr rr;
	uint32_t at = 0;

	if (!zone_node_rrset(node, RR_NSEC3, &set, NULL))
		return false;
	while (zone_rrset_next(&set, &at, NULL, &rr))
		if (rr.rdata[0] == NSEC3_SHA1 && get_u16(rr.rdata + 2) == chain->iterations && rr.rdata[4] == chain->salt_length &&
		    memcmp(rr.rdata + 5, chain->salt, chain->salt_length) == 0)
			return true;
	return false;
}

/* While one chain replaces another, the records of both stand between each other. */
const struct zone_node *denial_nsec3(const struct zone *zone, const struct denial_key *key, bool *matches)
{
	const struct tree_node *leaf = tree_get_name(&zone->nsec3, key->symbol, DENIAL_KEY_LENGTH, key->label, 1 + NSEC3_LABEL);
	uint8_t other[TREE_KEY_SIZE];

	*matches = false;
	if (!leaf)
		leaf = tree_before(&zone->nsec3, key->symbol, DENIAL_KEY_LENGTH, false);
	for (unsigned steps = 0; steps < STEPS_MAX; steps++) {
		const struct zone_node *node;

		if (!leaf && !(leaf = tree_last(&zone->nsec3)))      /* the last one spans the end and the beginning */
			return NULL;
		node = (const struct zone_node *)tree_item(leaf);
		if (is_of_chain(zone, node)) {
			*matches = node->name_length == 1 + NSEC3_LABEL && name_octets_equal(node->name + 1, key->label + 1, NSEC3_LABEL);
			return node;
		}
		leaf = tree_before(&zone->nsec3, other, tree_item_key(tree_item(leaf), other), false);
	}
	return NULL;
}

void denial_prepare(struct zone *zone)
{
	uint8_t wildcard[NAME_SIZE];
	struct denial_key key;
	bool matches;

	denial_key(&key, zone, zone->apex);
	zone->nsec3_of_apex = denial_nsec3(zone, &key, &matches);
	if (!matches)
		zone->nsec3_of_apex = NULL;
	if (!name_join((const uint8_t *)"\1*", 2, zone->apex, wildcard))
		return;
	denial_key(&key, zone, wildcard);
	zone->nsec3_of_wildcard = denial_nsec3(zone, &key, &matches);
}
