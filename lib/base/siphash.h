/* base/siphash: SipHash-2-4 (Aumasson and Bernstein, 2012), a keyed hash of 64 bits that nobody without the key can foresee: for
 * DNS cookies (RFC 9018 4.4) and for tables whose keys come from the network. Pure, any thread.
 */
#ifndef BASE_SIPHASH_H
#define BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

enum { SIPHASH_KEY = 16 };

/* The result as a number; its octets in the order of the algorithm's definition are the least significant first. */
uint64_t siphash(const uint8_t key[SIPHASH_KEY], const void *bytes, size_t n);

#endif
