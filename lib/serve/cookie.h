/* serve/cookie: DNS cookies (RFC 7873), with the server cookie that all servers of an anycast set can make and check when they
 * share a secret (RFC 9018 4): version 1, 3 reserved octets, the time, SipHash-2-4 over these, the client's cookie and its address.
 * Pure; any thread. Secrets come from run/, the option from serve/edns.
 */
#ifndef SERVE_COOKIE_H
#define SERVE_COOKIE_H

#include "base/err.h"
#include "base/net.h"
#include "base/siphash.h"

enum {
	COOKIE_CLIENT = 8, COOKIE_SERVER = 16, COOKIE_SIZE = COOKIE_CLIENT + COOKIE_SERVER,
	COOKIE_OPTION_MAX = 40,      /* RFC 7873 4: a server cookie has 8 to 32 octets */
	COOKIE_SECRETS = 8,
	COOKIE_AGE_MAX = 3600,       /* RFC 9018 4.3: seconds that a cookie is good for, */
	COOKIE_AHEAD_MAX = 300,      /* that another server's clock may be ahead of ours, */
	COOKIE_FRESH = 1800,         /* and for which it is sent back as it is */
};

/* The first signs; each verifies, so that a secret can be replaced at all servers of a set, one after the other. */
struct cookie_secrets {
	unsigned count;              /* 1 to COOKIE_SECRETS */
	uint8_t secret[COOKIE_SECRETS][SIPHASH_KEY];
};
/* One secret a line, 32 hexadecimal digits; empty lines and what follows a '#' are skipped. ERR_SYNTAX, with the line in `why`. */
enum err cookie_secrets_parse(struct cookie_secrets *, const char *text, size_t length, struct why *);

enum cookie {
	COOKIE_NONE,                 /* the request has none (never a result of cookie_check) */
	COOKIE_NEW,                  /* the client's half alone */
	COOKIE_INVALID,              /* not made with any of our secrets for this client and address, or not of this time */
	COOKIE_RENEW,                /* good, but a newer one must be sent: over half an hour old, or not made with the first secret */
	COOKIE_GOOD,                 /* good, and may be sent back as it is */
};
/* An option of COOKIE_CLIENT octets, or of 16 to COOKIE_OPTION_MAX. `now` and the time in the cookie are seconds since 1970 in
 * serial number arithmetic (RFC 9018 4.3, RFC 1982). */
enum cookie cookie_check(const struct cookie_secrets *, const uint8_t *option, size_t length, const struct net_addr *from, uint32_t now);
/* The cookie for this client (the first COOKIE_CLIENT octets of its option). */
void cookie_make(const struct cookie_secrets *, const uint8_t *option, const struct net_addr *from, uint32_t now, uint8_t out[COOKIE_SIZE]);

#endif
