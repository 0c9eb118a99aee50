/* serve/edns: the options of EDNS (RFC 6891 6.1.2): what a request's options ask for, and the reply's options. Knows neither
 * zones nor clocks; serve/answer says what is told. Pure; any thread.
 *
 *     NSID RFC 5001 · EXPIRE RFC 7314 · COOKIE RFC 7873 · KEEPALIVE RFC 7828 · PADDING RFC 7830, 8467 · EDE RFC 8914 ·
 *     ZONEVERSION RFC 9660
 */
#ifndef SERVE_EDNS_H
#define SERVE_EDNS_H

#include "dns/msg.h"
#include "serve/cookie.h"

enum edns_option {
	EDNS_NSID = 1, EDNS_EXPIRE = 2, EDNS_COOKIE = 4, EDNS_KEEPALIVE = 8, EDNS_PADDING = 16, EDNS_EDE = 32, EDNS_ZONEVERSION = 64,
};
enum {
	EDNS_OPT_SIZE = 11,          /* an OPT without options */
	EDNS_COOKIE_SIZE = 4 + COOKIE_SIZE,
	EDNS_IDENTITY_MAX = 255,     /* octets of an identity that are told */
	EDNS_OPTIONS_MAX = EDNS_COOKIE_SIZE + 6 + 6 + 8 + 10 + 4 + EDNS_IDENTITY_MAX,   /* what edns_write writes at most */
	EDNS_BLOCK = 468,            /* RFC 8467 4.1 */
	EDNS_PADDING_MAX = 4 + EDNS_BLOCK,
};

/* What a request asks for. A second COOKIE option is ignored (RFC 7873 4); so is an option that should be empty and is not, but for
 * NSID, whose data mean nothing (RFC 5001 2.1). */
struct edns_request {
	unsigned asked;              /* enum edns_option */
	uint16_t cookie_length;      /* EDNS_COOKIE: 8, or 16 to COOKIE_OPTION_MAX */
	const uint8_t *cookie;       /* borrowed from the request */
};
enum edns_verdict {
	EDNS_OK,
	EDNS_BAD_COOKIE,             /* FORMERR: a COOKIE of a length that it cannot have (RFC 7873 5.2.2) */
	EDNS_BAD_VERSION,            /* FORMERR: a ZONEVERSION that is not empty (RFC 9660 3.1) */
};
/* One pass over the options of msg_edns_of. Without `cookies` a COOKIE is as an unknown option. */
enum edns_verdict edns_read(const struct msg_edns *, bool cookies, struct edns_request *);

/* What a reply tells: `tell` says which of the members are set. */
struct edns_reply {
	unsigned tell;               /* enum edns_option, but for EDNS_PADDING */
	const char *identity;        /* NSID */
	uint32_t expire;             /* seconds */
	uint16_t keepalive;          /* in units of 100 ms */
	uint16_t ede;                /* RFC 8914 4 */
	uint8_t labels;              /* ZONEVERSION: of the zone's name; */
	uint32_t serial;             /* its SOA-SERIAL */
	uint8_t cookie[COOKIE_SIZE];
};
/* Appends options as they go into an OPT, each of them whole or not at all, until `out` is full: the cookie first, then the
 * others by their use, the identity last. `out` is never left bad. */
void edns_write(const struct edns_reply *, struct wbuf *out);
/* Appends the PADDING that makes a message of `length` octets, options and all that will stand behind included, a multiple of
 * EDNS_BLOCK, or as long as `most` allows (RFC 8467 4.1). No room for the option's head: nothing. */
void edns_pad(struct wbuf *out, size_t length, size_t most);

#endif
