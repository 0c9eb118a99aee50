/* dns/rrtext: records to and from master file text (RFC 1035 5.1, RFC 3597, each type's own).
 * What is written is read to the same octets by BIND, NSD, Knot and ldns: a type or a value that
 * one of them does not take in its own text is written in the generic form (TYPEnnn \# LENGTH HEX), which they
 * all read. More than that is read: every type that ldns knows, and some newer ones, by name. The functions are dns/rr's
 * other half and are named like it. Pure.
 */
#ifndef DNS_RRTEXT_H
#define DNS_RRTEXT_H

#include "dns/name.h"
#include "dns/rr.h"
#include "dns/text.h"

#define RR_TYPE_TEXT 12          /* "TYPE65535" and the NUL */
/* "A", "NSEC3", "TYPE65280". Returns out. */
const char *rr_type_text(uint16_t type, char out[RR_TYPE_TEXT]);
/* Any case; also TYPEnnn. False: no such type. */
bool rr_type_parse(const char *text, size_t length, uint16_t *type);
/* "IN", "CH", "CLASS32". */
const char *rr_class_text(uint16_t class, char out[RR_TYPE_TEXT]);
bool rr_class_parse(const char *text, size_t length, uint16_t *class);

/* The most that rr_put_text writes for RDATA of n octets. */
#define RR_TEXT_SIZE(n) ((size_t)(n) * 5 + 2 * NAME_TEXT_SIZE + 256)
/* One whole line, fields separated by single tabs (owner TTL class type RDATA; within RDATA by spaces),
 * absolute names, a newline at the end. `owner` is already text (it is the same for many records).
 * `out` has room for ownerlen + 64 + RR_TEXT_SIZE(rdlength). Returns the length; writes no NUL. */
size_t rr_put_text(const struct rr *, const char *owner, size_t ownerlen, char *out);
/* RDATA alone, without newline. Neither reads or writes beyond its room if RDATA was never checked; the text is then
 * in the generic form, or that of some RDATA of the type. */
size_t rr_put_rdata_text(uint16_t type, const uint8_t *rdata, size_t rdlength, char *out);

/* Tokens (dns/text) after the type, to RDATA; relative names are completed with `origin`. Also the generic form for any type.
 * ERR_SYNTAX with `why` naming the field and the token; ERR_NOSPACE, ERR_NOMEM. Then `out` is as it was. */
enum err rr_parse_rdata(uint16_t type, const struct text_token *tokens, size_t count, const uint8_t *origin,
	struct wbuf *out, struct why *);

#endif
