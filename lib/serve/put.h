/* serve/put: RRsets of a zone's version into a message, as they lie or with their names compressed. Pure.
 */
#ifndef SERVE_PUT_H
#define SERVE_PUT_H

#include "dns/msg.h"
#include "zone/zone.h"

/* Where an owner can be read in the message without looking: at its question. */
enum put_owner { PUT_OWNER_QUESTION, PUT_OWNER_NAME };

/* All records of the set (count 0: none), or none if they do not fit (false). `owner` is the name itself in either case. */
bool put_rrset(struct msg_writer *, enum msg_section, const struct zone_rrset *, const uint8_t *owner, enum put_owner);
/* The same with TTLs of at most `ttl_max`. */
bool put_rrset_capped(struct msg_writer *, enum msg_section, const struct zone_rrset *, const uint8_t *owner, uint32_t ttl_max);
/* The zone's SOA with a TTL of at most `ttl_max`; `signed_too`: its RRSIGs behind it, if they all fit. */
bool put_soa(struct msg_writer *, enum msg_section, const struct zone *, uint32_t ttl_max, bool signed_too);

#endif
