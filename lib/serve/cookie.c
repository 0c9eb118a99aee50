#include "serve/cookie.h"

#include "base/buf.h"

#include <string.h>

enum { VERSION = 1, HASHED = COOKIE_CLIENT + 8, HASH = 8 };

/* `cookie`: up to and with the time (RFC 9018 4.4). The address has 4 octets or 16. */
static void hash(const uint8_t secret[SIPHASH_KEY], const uint8_t cookie[HASHED], const struct net_addr *from, uint8_t out[HASH])
{
	uint8_t bytes[HASHED + 16];
	uint64_t sum;
	size_t n = 4;

	memcpy(bytes, cookie, HASHED);
	if (from->sa.sa_family == AF_INET6)
		memcpy(bytes + HASHED, &from->v6.sin6_addr, n = 16);
	else
		memcpy(bytes + HASHED, &from->v4.sin_addr, n);
	sum = siphash(secret, bytes, HASHED + n);
	for (int i = 0; i < HASH; i++)
		out[i] = (uint8_t)(sum >> 8 * i);
}

/* The index of the secret that it was made with, or -1. Where the octets differ must not be told by the time it takes. */
static int maker(const struct cookie_secrets *secrets, const uint8_t *option, const struct net_addr *from)
{
	uint8_t right[HASH];

	for (unsigned i = 0; i < secrets->count; i++) {
		unsigned differ = 0;

		hash(secrets->secret[i], option, from, right);
		for (int k = 0; k < HASH; k++)
			differ |= right[k] ^ option[HASHED + k];
		if (!differ)
			return (int)i;
	}
	return -1;
}

enum cookie cookie_check(const struct cookie_secrets *secrets, const uint8_t *option, size_t length, const struct net_addr *from, uint32_t now)
{
	int32_t age;
	int by;

	if (length == COOKIE_CLIENT)
		return COOKIE_NEW;
	if (length != COOKIE_SIZE || option[COOKIE_CLIENT] != VERSION)
		return COOKIE_INVALID;
	age = (int32_t)(now - get_u32(option + COOKIE_CLIENT + 4));
	if (age > COOKIE_AGE_MAX || age < -COOKIE_AHEAD_MAX)
		return COOKIE_INVALID;
	by = maker(secrets, option, from);
	if (by < 0)
		return COOKIE_INVALID;
	return by == 0 && age <= COOKIE_FRESH ? COOKIE_GOOD : COOKIE_RENEW;
}

void cookie_make(const struct cookie_secrets *secrets, const uint8_t *option, const struct net_addr *from, uint32_t now, uint8_t out[COOKIE_SIZE])
{
	memcpy(out, option, COOKIE_CLIENT);
	put_u32(out + COOKIE_CLIENT, (uint32_t)VERSION << 24);
	put_u32(out + COOKIE_CLIENT + 4, now);
	hash(secrets->secret[0], out, from, out + HASHED);
}

/* --- secrets --------------------------------------------------------------------------------- */

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_secret(const char *text, size_t n, uint8_t out[SIPHASH_KEY])
{
	if (n != 2 * SIPHASH_KEY)
		return false;
	for (int i = 0; i < SIPHASH_KEY; i++) {
		int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

/* The line without its comment and the white space around it. */
static size_t trim(const char **line, size_t n)
{
	const char *hash_sign = memchr(*line, '#', n);

	if (hash_sign)
		n = (size_t)(hash_sign - *line);
	while (n > 0 && strchr(" \t\r", (*line)[n - 1]))
		n--;
	while (n > 0 && strchr(" \t\r", **line)) {
		++*line;
		n--;
	}
	return n;
}

enum err cookie_secrets_parse(struct cookie_secrets *secrets, const char *text, size_t length, struct why *why)
{
	const char *end = text + length;
	unsigned number = 0;

	secrets->count = 0;
	while (text < end) {
		const char *line = text, *stop = memchr(text, '\n', (size_t)(end - text));
		size_t n = (size_t)((stop ? stop : end) - text);

		text += n + 1;
		number++;
		n = trim(&line, n);
		if (n == 0)
			continue;
		if (secrets->count == COOKIE_SECRETS)
			return err_why(why, ERR_SYNTAX, "line %u: more than %d secrets", number, COOKIE_SECRETS);
		if (!read_secret(line, n, secrets->secret[secrets->count]))
			return err_why(why, ERR_SYNTAX, "line %u: a secret must be %d hexadecimal digits", number, 2 * SIPHASH_KEY);
		secrets->count++;
	}
	if (secrets->count == 0)
		return err_why(why, ERR_SYNTAX, "there is no secret in it");
	return ERR_OK;
}
