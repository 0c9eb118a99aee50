#include "serve/proof.h"

static bool by_nsec3(const struct proof *p)
{
	return p->zone->denial == ZONE_DENIES_BY_NSEC3;
}

/* The record of that owner, unless it is there already. */
static bool put(struct proof *p, const struct zone_node *node)
{
	struct msg_mark before = msg_mark(p->writer);
	struct zone_rrset set, sigs;
	unsigned at = 0;

	if (!node || p->count == PROOF_RECORDS)
		return true;
	for (unsigned i = 0; i < p->count; i++)
		if (p->owner[i] == node)
			return true;
	if (!zone_node_rrset(node, by_nsec3(p) ? RR_NSEC3 : RR_NSEC, &set, &sigs))
		return true;
	if (!put_rrset_of(p->writer, MSG_AUTHORITY, &set, p->zone, node, &at) ||
	    !put_rrset_of(p->writer, MSG_AUTHORITY, &sigs, p->zone, node, &at)) {
		msg_rollback(p->writer, before);
		return false;
	}
	p->owner[p->count++] = node;
	return true;
}

/* "*" below the encloser; false: that would be too long to exist. */
static bool wildcard_of(const uint8_t *name, unsigned encloser_labels, uint8_t out[NAME_SIZE])
{
	return name_join((const uint8_t *)"\1*", 2, name_suffix(name, encloser_labels), out) != 0;
}

static const struct zone_node *nsec3_of(const struct proof *p, const uint8_t *name, bool *matches)
{
	struct denial_key key;

	if (name == p->hashed)
		return denial_nsec3(p->zone, p->key, matches);
	denial_key(&key, p->zone, name);
	return denial_nsec3(p->zone, &key, matches);
}

static const struct zone_node *nsec3_of_suffix(const struct proof *p, const uint8_t *name, unsigned labels, bool *matches)
{
	if (labels > p->zone->origin.labels || !p->zone->nsec3_of_apex)
		return nsec3_of(p, name_suffix(name, labels), matches);
	*matches = true;
	return p->zone->nsec3_of_apex;
}

static bool put_nsec3_of_wildcard(struct proof *p, const uint8_t *name, unsigned encloser_labels)
{
	uint8_t wildcard[NAME_SIZE];
	bool matches;

	if (encloser_labels == p->zone->origin.labels)
		return put(p, p->zone->nsec3_of_wildcard);
	return !wildcard_of(name, encloser_labels, wildcard) || put(p, nsec3_of(p, wildcard, &matches));
}

/* RFC 5155 7.2.1: the record of the closest encloser, and the one that spans the next closer name. Where opt-out has left the encloser
 * without one (7.1), the nearest name above it that has one is taken. Its labels are put in `*encloser_labels`. */
static bool put_encloser(struct proof *p, const uint8_t *name, unsigned *encloser_labels)
{
	const struct zone_node *above = NULL, *next = NULL;
	bool matches = false;

	for (unsigned labels = *encloser_labels; labels >= p->zone->origin.labels; labels--) {
		above = nsec3_of_suffix(p, name, labels, &matches);
		if (matches || labels == p->zone->origin.labels) {
			*encloser_labels = labels;
			break;
		}
		next = above;
	}
	if (!matches)
		return true;
	if (!next)
		next = nsec3_of(p, name_suffix(name, *encloser_labels + 1), &matches);
	return put(p, above) && put(p, next);
}

static bool put_match(struct proof *p, const uint8_t *name)
{
	bool matches;

	return put(p, nsec3_of(p, name, &matches));
}

static bool no_type_nsec3(struct proof *p, const uint8_t *name)
{
	unsigned labels = name_labels(name);
	bool matches;
	const struct zone_node *node = nsec3_of(p, name, &matches);

	if (matches || labels-- <= p->zone->origin.labels)
		return put(p, node);
	return put_encloser(p, name, &labels);       /* RFC 5155 7.2.4: an insecure delegation that opt-out has left out */
}

bool proof_no_type(struct proof *p, const uint8_t *name, const struct zone_node *node)
{
	struct zone_rrset set;

	if (by_nsec3(p))
		return no_type_nsec3(p, name);
	return put(p, node && zone_node_rrset(node, RR_NSEC, &set, NULL) ? node : denial_nsec(p->zone, name, false));
}

bool proof_no_name(struct proof *p, const uint8_t *name, unsigned encloser_labels)
{
	uint8_t wildcard[NAME_SIZE];

	if (by_nsec3(p))
		return put_encloser(p, name, &encloser_labels) && put_nsec3_of_wildcard(p, name, encloser_labels);
	return put(p, denial_nsec(p->zone, name, false)) &&
		(!wildcard_of(name, encloser_labels, wildcard) || put(p, denial_nsec(p->zone, wildcard, false)));
}

bool proof_expansion(struct proof *p, const uint8_t *name, unsigned encloser_labels)
{
	if (by_nsec3(p))
		return put_match(p, name_suffix(name, encloser_labels + 1));
	return put(p, denial_nsec(p->zone, name, false));
}

bool proof_no_type_at_wildcard(struct proof *p, const uint8_t *name, unsigned encloser_labels, const struct zone_node *node)
{
	uint8_t wildcard[NAME_SIZE];

	if (by_nsec3(p) ? !put_encloser(p, name, &encloser_labels) : !put(p, denial_nsec(p->zone, name, false)))
		return false;
	return !wildcard_of(name, encloser_labels, wildcard) || proof_no_type(p, wildcard, node);
}
