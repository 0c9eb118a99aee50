/* base/siphash: SipHash-2-4 (Aumasson and Bernstein, 2012), a keyed hash of 64 bits that nobody without the key can foresee: for
 * DNS cookies (RFC 9018 4.4) and for tables whose keys come from the network; under a key that is known, a good sum of 64 bits over
 * what is stored, as fast as memory for what is short. Pure, any thread.
 */
#ifndef BASE_SIPHASH_H
#define BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

enum { SIPHASH_KEY = 16 };

/* The result as a number; its octets in the order of the algorithm's definition are the least significant first. */
uint64_t siphash(const uint8_t key[SIPHASH_KEY], const void *bytes, size_t n);

/* The same over octets that come in parts. */
struct siphash {
	uint64_t a, b, c, d;
	uint64_t tail;               /* octets that do not fill a word yet */
	uint64_t length;             /* of all parts so far */
};
void siphash_begin(struct siphash *, const uint8_t key[SIPHASH_KEY]);
void siphash_add(struct siphash *, const void *bytes, size_t n);
/* Changes nothing: more may come. */
uint64_t siphash_end(const struct siphash *);

/* The key of sums that are there to find damage: known to all (the digits of pi), the same everywhere and for ever. */
extern const uint8_t siphash_sum_key[SIPHASH_KEY];

#endif
