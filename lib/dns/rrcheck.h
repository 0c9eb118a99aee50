/* dns/rrcheck: whether the octets of one RDATA field are what its kind wants. Knows no messages: names
 * are uncompressed here. Read by dns/rr. Pure.
 */
#ifndef DNS_RRCHECK_H
#define DNS_RRCHECK_H

#include "base/buf.h"
#include "dns/rrshape.h"

/* Takes one field at the cursor; `in` ends where RDATA ends and `rdata` is where it begins. NULL, or what is
 * wrong with it, in a few words; then in->bad may or may not be set. A field that is "the rest" takes all. */
const char *rrcheck_field(enum rrshape_kind, struct rbuf *in, const uint8_t *rdata);

/* The checks that dns/rr also makes by themselves. */
bool rrcheck_strings(const uint8_t *p, size_t n);                 /* one or more, exact end */
bool rrcheck_types(const uint8_t *p, size_t n, bool empty_is_good);   /* windows of types, exact end */

#endif
