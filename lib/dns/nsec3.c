/* The functions behind EVP want an object fetched and a context allocated for each thread, and take several times as long for so few
 * octets. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "dns/nsec3.h"

#include "base/buf.h"

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

/* 40 bits become 8 octets of 5 by being halved three times. */
void nsec3_digits(const uint8_t hash[NSEC3_HASH], uint8_t out[NSEC3_LABEL])
{
	for (unsigned i = 0; i < NSEC3_HASH / 5; i++, hash += 5, out += 8) {
		uint64_t bits = (uint64_t)get_u32(hash) << 8 | hash[4];

		bits = (bits << 12 & 0x000fffff00000000) | (bits & 0x00000000000fffff);
		bits = (bits << 6 & 0x03ff000003ff0000) | (bits & 0x000003ff000003ff);
		bits = (bits << 3 & 0x1f001f001f001f00) | (bits & 0x001f001f001f001f);
		put_u32(out, (uint32_t)(bits >> 32));
		put_u32(out + 4, (uint32_t)bits);
	}
}

void nsec3_label(const uint8_t digits[NSEC3_LABEL], uint8_t out[1 + NSEC3_LABEL])
{
	*out++ = NSEC3_LABEL;
	nsec3_digits_shown(digits, NSEC3_LABEL, '0', 'a', out);
}
