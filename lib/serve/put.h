/* serve/put: RRsets of a zone's version into a message, as they lie or with their names compressed. Pure.
 */
#ifndef SERVE_PUT_H
#define SERVE_PUT_H

#include "dns/msg.h"
#include "zone/zone.h"

/* All records of the set (count 0: none), or none if they do not fit (false). `owner` is the name itself, and `at` where it can be read in
 * the message: an offset of at most MSG_POINTER_MAX, or 0: unknown. */
bool put_rrset(struct msg_writer *, enum msg_section, const struct zone_rrset *, const uint8_t *owner, unsigned at);
/* The same of a node whose name is nowhere in the message before `*at` says where; sets that. */
bool put_rrset_of(struct msg_writer *, enum msg_section, const struct zone_rrset *, const struct zone *, const struct zone_node *, unsigned *at);
/* The same with TTLs of at most `ttl_max`. */
bool put_rrset_capped(struct msg_writer *, enum msg_section, const struct zone_rrset *, const uint8_t *owner, uint32_t ttl_max);
/* The zone's SOA with a TTL of at most `ttl_max`; `signed_too`: its RRSIGs behind it, if they all fit. */
bool put_soa(struct msg_writer *, enum msg_section, const struct zone *, uint32_t ttl_max, bool signed_too);

/* The hosts of an NS RRset, in its order, as far as they are noted. */
enum { PUT_HOSTS = 16 };
struct put_hosts {
	unsigned count;
	struct put_host {
		const uint8_t *name;
		bool below;                  /* the cut, or at it */
		uint16_t at, parent_at;      /* where it, and its parent, can be read; 0: unknown */
	} host[PUT_HOSTS];
};
/* The NS RRset of a cut, whose name can be read at `at` (not 0). */
bool put_ns(struct msg_writer *, enum msg_section, const struct zone_rrset *, const struct zone *, const uint8_t *cut, unsigned at,
	struct put_hosts *);

#endif
