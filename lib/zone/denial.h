/* zone/denial: the record that proves that a name, or a type at it, is not there: NSEC (RFC 4034 4) or NSEC3 (RFC 5155 3). Which ones
 * an answer needs is serve/proof's part. On versions that are held; pure.
 */
#ifndef ZONE_DENIAL_H
#define ZONE_DENIAL_H

#include "dns/nsec3.h"
#include "zone/zone.h"

/* The owner of the NSEC record whose span begins before `name`, or at it (`or_at`). NULL: the zone has none such. */
const struct zone_node *denial_nsec(const struct zone *, const uint8_t *name, bool or_at);

/* A name hashed as the zone's chain wants it: the first label of its NSEC3 record's owner, and the key of that. */
struct denial_key {
	uint8_t label[1 + NSEC3_LABEL];
	uint8_t symbol[NSEC3_LABEL + 8];
};
enum { DENIAL_KEY_LENGTH = NSEC3_LABEL + 1 };
void denial_key(struct denial_key *, const struct zone *, const uint8_t *name);
/* The owner of the chain's NSEC3 record whose hash is this one (`matches`), or else whose span it is in. NULL: the chain has none
 * such. */
const struct zone_node *denial_nsec3(const struct zone *, const struct denial_key *, bool *matches);
/* The two that most answers of a zone need are looked up once, when a version is made: the apex' own, and the one that spans, or is, the
 * wildcard's below the apex. */
void denial_prepare(struct zone *);

#endif
