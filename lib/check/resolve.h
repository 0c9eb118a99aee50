/* check/resolve: what answers of a resolver mean: the addresses of a name, the zone that a name is in. They may be lies: chains of aliases
 * are bounded. Pure, but for the reading of the system's list of resolvers.
 */
#ifndef CHECK_RESOLVE_H
#define CHECK_RESOLVE_H

#include "check/reply.h"

enum {
	RESOLVE_ALIASES = 8,         /* followed at most */
	RESOLVE_SYSTEM_MAX = 3,      /* resolvers, as in resolv.conf(5) */
};

/* The nameservers of a resolv.conf; if there are none, or no file, the machine itself, as there. Returns how many. */
size_t resolve_system(const char *path, struct net_addr out[RESOLVE_SYSTEM_MAX]);

/* Whether the resolver has told what there is: NOERROR or NXDOMAIN, from one that resolves. */
bool resolve_told(const struct reply *);

/* The records of `type` that `name` has, behind aliases if it is one; NULL and 0: none, or too many aliases. */
const struct rr *resolve_find(const struct reply *, const uint8_t *name, uint16_t type, size_t *count);
/* The address in an A or AAAA record. */
struct net_addr resolve_address(const struct rr *, uint16_t port);

/* The apex of the zone that `name` is in, out of the answer to its SOA question: its own owner, or a name above it; NULL: it does not say. */
const uint8_t *resolve_apex(const struct reply *, const uint8_t *name);
/* The zone that `zone` lies in by an authoritative answer that is no delegation of it, of a server of the zone above; NULL: it is no such answer. */
const uint8_t *resolve_denial(const struct reply *, const uint8_t *zone);

#endif
