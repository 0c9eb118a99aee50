/* dns/svcb: the parameters of SVCB and HTTPS records (RFC 9460 2.1, 2.2, 7, 8; RFC 9461, 9540): checked, written, read.
 * Called by dns/rrcheck, dns/rrprint and dns/rrparse. Pure.
 */
#ifndef DNS_SVCB_H
#define DNS_SVCB_H

#include "dns/text.h"

/* Takes the rest of RDATA. NULL, or what is wrong with it. */
const char *svcb_check(struct rbuf *in);
/* Takes the rest of RDATA and writes each parameter with a space behind it; at most five octets of text for one of data and
 * 16 more. Returns the end, or NULL: there is no text that BIND, NSD, Knot and ldns all read alike. Safe with data that was
 * never checked. */
char *svcb_print(struct rbuf *in, char *out);
/* The tokens in any order, to wire data in the order of keys. NULL, or what is wrong with *current, or svcb_no_memory.
 * Whether the values go together is for svcb_check to say. */
const char *svcb_parse(const struct text_token *tokens, size_t count, const struct text_token **current, struct wbuf *out);
extern const char svcb_no_memory[];

#endif
