/* dns/rrparse: the tokens of a master file line to RDATA, field by field. Our own code for nearly all;
 * ldns for places, address prefixes, host identities, and for the mnemonics of algorithms.
 * What comes out is held against dns/rr's checks. Called by dns/rrtext and zone/zonefile. Pure.
 */
#ifndef DNS_RRPARSE_H
#define DNS_RRPARSE_H

#include "base/buf.h"
#include "base/err.h"
#include "dns/rrshape.h"

/* One token of a master file: text with its escapes still in it, `quoted` if it stood in quotes (without them). Quotes that
 * open inside of a token (key="value") stay in it, with what is between them. */
struct rr_token {
	const char *text;
	size_t length;
	bool quoted;
};

/* Tokens of RDATA in the type's own form. ERR_SYNTAX with the field and the token, ERR_NOSPACE, ERR_NOMEM. */
enum err rrparse_fields(uint16_t type, const struct rrshape *, const struct rr_token *tokens, size_t count,
	const uint8_t *origin, struct wbuf *out, struct why *);
/* The tokens behind "\#": a length and so many octets in hex. The same errors. */
enum err rrparse_generic(const struct rr_token *tokens, size_t count, struct wbuf *out, struct why *);

/* "NSEC3", "TYPE50", any case. False: no such type. */
bool rrparse_type(const char *text, size_t length, uint16_t *type);
/* A prefix in any case and then a number up to 65535: "TYPE50", "CLASS3". */
bool rrparse_numbered(const char *prefix, const char *text, size_t length, uint16_t *number);
/* Decimal digits, up to `most`. */
bool rrparse_number(const char *text, size_t length, uint32_t most, uint32_t *number);
/* A number of seconds, or numbers with units: "1w2d3h4m5s" in any case. False also for more than 2^32-1. */
bool rrparse_period(const char *text, size_t length, uint32_t *seconds);

#endif
