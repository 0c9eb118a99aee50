/* serve/acl: who may do what, by address, key, and certificate. Rules are tried in order, the first that matches
 * decides, and without a match the answer is no. Made by run/, never changed once in use. Pure.
 */
#ifndef SERVE_ACL_H
#define SERVE_ACL_H

#include "base/net.h"
#include "base/tls.h"
#include "dns/tsig.h"

#include <stdbool.h>

struct acl_rule {
	struct net_prefix prefix;
	bool any_address;            /* the prefix is not looked at */
	const struct tsig_key *key;  /* the request must be signed with it; NULL: no key is asked for */
	bool deny;
	bool tls;                    /* the request must have come over TLS; so must it where one of these is given: */
	/* The client must have shown a certificate of the authorities for this name, in whatever case; NULL: it need not. */
	const char *cert_name;
	const uint8_t (*pins)[CERT_PIN_SIZE];
	size_t pin_count;            /* it must have shown a certificate with one of these keys; 0: it need not */
};
struct acl {
	const struct acl_rule *rules;
	size_t count;
};
/* How a request has come: `key`: the one that it was verified with, or NULL. Keys are compared by name and algorithm, as they may come from
 * different configurations. `shown`: the client's certificate, NULL: none. */
struct acl_client {
	const struct net_addr *from;
	const struct tsig_key *key;
	bool tls;
	const struct tls_shown *shown;
};
bool acl_allows(const struct acl *, const struct acl_client *);

#endif
