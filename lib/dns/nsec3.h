/* dns/nsec3: hashed owner names (RFC 5155 5). Pure.
 */
#ifndef DNS_NSEC3_H
#define DNS_NSEC3_H

#include "dns/name.h"

enum {
	NSEC3_SHA1 = 1,              /* the one algorithm there is */
	NSEC3_HASH = 20,             /* octets of its hashes */
	NSEC3_LABEL = 32,            /* octets of a hash in base 32 (RFC 4648 7), as in an owner's first label */
	NSEC3_ITERATIONS_MAX = 500,  /* more than any validator accepts (RFC 9276 3.2) */
};

/* The hash of the name in its canonical form. */
void nsec3_hash(const uint8_t *name, const uint8_t *salt, uint8_t salt_length, unsigned iterations, uint8_t out[NSEC3_HASH]);
/* In base 32, lower case: a label, its length octet in front. */
void nsec3_label(const uint8_t hash[NSEC3_HASH], uint8_t out[1 + NSEC3_LABEL]);

#endif
