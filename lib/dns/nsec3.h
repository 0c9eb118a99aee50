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
/* Its digits in base 32, 0 to 31 each. */
void nsec3_digits(const uint8_t hash[NSEC3_HASH], uint8_t out[NSEC3_LABEL]);
/* Octets for digits, `n` of them, a multiple of 8: `zero` for 0, the next ones up to 9, then `ten` and the next ones. Eight at once. */
static inline void nsec3_digits_shown(const uint8_t *digits, size_t n, uint8_t zero, uint8_t ten, uint8_t *out)
{
	static const uint64_t each = UINT64_C(0x0101010101010101);

	for (size_t i = 0; i < n; i += 8) {
		uint64_t eight = name_load8(digits + i), above_nine = (eight + each * (0x80 - 10)) >> 7 & each;

		eight += each * zero + above_nine * (uint8_t)(ten - 10 - zero);
		memcpy(out + i, &eight, sizeof eight);
	}
}
/* The digits as text, lower case: a label, its length octet in front. */
void nsec3_label(const uint8_t digits[NSEC3_LABEL], uint8_t out[1 + NSEC3_LABEL]);

#endif
