/* dns/rrparse: the tokens of a master file line to RDATA, field by field. Our own code for nearly all;
 * ldns for places, address prefixes, host identities, and for the mnemonics of algorithms.
 * What comes out is held against dns/rr's checks. Called by dns/rrtext. Pure.
 */
#ifndef DNS_RRPARSE_H
#define DNS_RRPARSE_H

#include "base/err.h"
#include "dns/rrshape.h"
#include "dns/text.h"

/* Tokens of RDATA in the type's own form. ERR_SYNTAX with the field and the token, ERR_NOSPACE, ERR_NOMEM. */
enum err rrparse_fields(uint16_t type, const struct rrshape *, const struct text_token *tokens, size_t count,
	const uint8_t *origin, struct wbuf *out, struct why *);
/* The tokens behind "\#": a length and so many octets in hex. The same errors. */
enum err rrparse_generic(const struct text_token *tokens, size_t count, struct wbuf *out, struct why *);

/* "NSEC3", "TYPE50", any case. False: no such type. */
bool rrparse_type(const char *text, size_t length, uint16_t *type);

#endif
