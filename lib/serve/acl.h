/* serve/acl: who may do what, by address and key. Rules are tried in order, the first that matches
 * decides, and without a match the answer is no. Made by run/, never changed once in use. Pure.
 */
#ifndef SERVE_ACL_H
#define SERVE_ACL_H

#include "base/net.h"
#include "dns/tsig.h"

#include <stdbool.h>

struct acl_rule {
	struct net_prefix prefix;
	bool any_address;            /* the prefix is not looked at */
	const struct tsig_key *key;  /* the request must be signed with it; NULL: no key is asked for */
	bool deny;
	bool tls;                    /* the request must have come over TLS */
};
struct acl {
	const struct acl_rule *rules;
	size_t count;
};
/* `key`: the one that the request was verified with, or NULL. Keys are compared by name and algorithm, as they may come from
 * different configurations. */
bool acl_allows(const struct acl *, const struct net_addr *from, const struct tsig_key *key, bool over_tls);

#endif
