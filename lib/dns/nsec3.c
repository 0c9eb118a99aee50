/* The functions behind EVP want an object fetched and a context allocated for each thread, and take several times as long for so few
 * octets; those for messages of unknown length take half as long again as the block that a name mostly is. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "dns/nsec3.h"

#include "base/buf.h"

#include <openssl/sha.h>

enum { BLOCK = 64, LENGTH_FIELD = 8, MESSAGE_MAX = 2 * NAME_SIZE };

/* FIPS 180-4 5.1.1: the `length` octets in `message` are padded there to whole blocks; their number. */
static size_t pad(uint8_t *message, size_t length)
{
	size_t blocks = (length + 1 + LENGTH_FIELD + BLOCK - 1) / BLOCK;

	memset(message + length, 0, blocks * BLOCK - length);
	message[length] = 0x80;
	put_u32(message + blocks * BLOCK - 4, (uint32_t)length * 8);
	return blocks;
}

static void sha1(const uint8_t *padded, size_t blocks, uint8_t out[NSEC3_HASH])
{
	SHA_CTX sha;

	SHA1_Init(&sha);
	for (; blocks-- > 0; padded += BLOCK)
		SHA1_Transform(&sha, padded);
	put_u32(out, sha.h0);
	put_u32(out + 4, sha.h1);
	put_u32(out + 8, sha.h2);
	put_u32(out + 12, sha.h3);
	put_u32(out + 16, sha.h4);
}

void nsec3_hash(const uint8_t *name, const uint8_t *salt, uint8_t salt_length, unsigned iterations, uint8_t out[NSEC3_HASH])
{
	uint8_t message[MESSAGE_MAX + BLOCK + LENGTH_FIELD];
	size_t length = name_lower(name, message), blocks;

	memcpy(message + length, salt, salt_length);
	sha1(message, pad(message, length + salt_length), out);
	if (iterations == 0)
		return;
	memcpy(message + NSEC3_HASH, salt, salt_length);
	blocks = pad(message, (size_t)NSEC3_HASH + salt_length);
	while (iterations-- > 0) {
		memcpy(message, out, NSEC3_HASH);
		sha1(message, blocks, out);
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
