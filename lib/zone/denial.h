/* zone/denial: the record that proves that a name, or a type at it, is not there: NSEC (RFC 4034 4) or NSEC3 (RFC 5155 3). Which ones
 * an answer needs is serve/proof's part. On versions that are held; pure.
 */
#ifndef ZONE_DENIAL_H
#define ZONE_DENIAL_H

#include "dns/nsec3.h"
#include "zone/zone.h"

/* The owner of the NSEC record whose span begins before `name`, or at it (`or_at`). NULL: the zone has none such. */
const struct zone_node *denial_nsec(const struct zone *, const uint8_t *name, bool or_at);

/* The name hashed as the zone's chain wants it. */
void denial_hash(const struct zone *, const uint8_t *name, uint8_t hash[NSEC3_HASH]);
/* The owner of the chain's NSEC3 record whose hash is this one (`matches`), or else whose span it is in. NULL: the chain has none
 * such. */
const struct zone_node *denial_nsec3(const struct zone *, const uint8_t hash[NSEC3_HASH], bool *matches);

#endif
