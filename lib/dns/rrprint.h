/* dns/rrprint: RDATA to the text of its fields, as BIND, NSD, Knot and ldns all read it. Where there is no such
 * text (a type that one of them does not know, or a value that one of them does not take) the answer is
 * "none", and dns/rrtext writes the generic form of RFC 3597. Called by dns/rrtext. Pure.
 */
#ifndef DNS_RRPRINT_H
#define DNS_RRPRINT_H

#include "dns/rrshape.h"

/* Writes at `out`, up to `room` octets, no NUL. The end of what was written, or NULL: none; then what stands at `out` is
 * undefined. Safe with RDATA that was never checked. */
char *rrprint_fields(const struct rrshape *, const uint8_t *rdata, size_t rdlength, char *out, size_t room);
/* The type's name if every server knows it, else TYPEnnn. */
char *rrprint_type(char *out, uint16_t type);

#endif
