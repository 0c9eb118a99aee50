/* The functions behind EVP want an object fetched and a context allocated for each thread, and take several times as long for so few
 * octets. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "dns/nsec3.h"

#include <openssl/sha.h>

void nsec3_hash(const uint8_t *name, const uint8_t *salt, uint8_t salt_length, unsigned iterations, uint8_t out[NSEC3_HASH])
{
	uint8_t lower[NAME_SIZE];
	size_t length = name_lower(name, lower);
	SHA_CTX sha;

	SHA1_Init(&sha);
	SHA1_Update(&sha, lower, length);
	for (;;) {
		SHA1_Update(&sha, salt, salt_length);
		SHA1_Final(out, &sha);
		if (iterations-- == 0)
			return;
		SHA1_Init(&sha);
		SHA1_Update(&sha, out, NSEC3_HASH);
	}
}

void nsec3_label(const uint8_t hash[NSEC3_HASH], uint8_t out[1 + NSEC3_LABEL])
{
	static const char digits[] = "0123456789abcdefghijklmnopqrstuv";

	*out++ = NSEC3_LABEL;
	for (unsigned i = 0; i < NSEC3_HASH; i += 5) {
		uint64_t bits = 0;

		for (unsigned k = 0; k < 5; k++)
			bits = bits << 8 | hash[i + k];
		for (unsigned k = 8; k-- > 0;)
			*out++ = (uint8_t)digits[bits >> (5 * k) & 31];
	}
}
