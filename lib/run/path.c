#include "run/path.h"

#include "dns/name.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

enum { PART_MAX = 200, PART_CUT = 160, PART_SIZE = 3 * NAME_SIZE + 1, HASH_SHOWN = 16 };

static size_t put_escaped(char *out, uint8_t octet)
{
	return (size_t)sprintf(out, "%%%02X", octet);
}

static bool is_plain(uint8_t octet)
{
	return (octet >= 'a' && octet <= 'z') || (octet >= '0' && octet <= '9') || octet == '-' || octet == '_';
}

/* The name, every octet plain or escaped; 'zone' in lower case. */
static void write_name(const uint8_t *zone, char out[PART_SIZE])
{
	static const uint8_t called_root[] = "\4root";
	size_t used = 0;

	if (!*zone) {
		strcpy(out, "root");
		return;
	}
	if (name_equal(zone, called_root)) {
		strcpy(out, "%72oot");
		return;
	}
	while (*zone) {
		const uint8_t *next = name_parent(zone);

		while (++zone < next) {
			if (is_plain(*zone))
				out[used++] = (char)*zone;
			else
				used += put_escaped(out + used, *zone);
		}
		out[used++] = '.';
	}
	out[used - 1] = 0;           /* the final dot */
}

static void cut_name(const uint8_t *zone, char text[PART_SIZE])
{
	uint8_t hash[EVP_MAX_MD_SIZE] = {0};
	size_t at = PART_CUT;

	if (strlen(text) <= PART_MAX)
		return;
	if (text[at - 1] == '%')
		at -= 1;
	else if (text[at - 2] == '%')
		at -= 2;
	EVP_Digest(zone, name_length(zone), hash, NULL, EVP_sha256(), NULL);
	at += (size_t)sprintf(text + at, "%%-");
	for (int i = 0; i < HASH_SHOWN; i++)
		at += (size_t)sprintf(text + at, "%02x", hash[i]);
}

/* The character number `n` (from 1), as a part of a path that may stand alone. */
static void write_character(const char *text, char n, char out[4])
{
	while (--n > '0' && *text)
		text += *text == '%' ? 3 : 1;
	if (!*text)
		strcpy(out, "_");
	else if (*text == '.')
		put_escaped(out, '.');
	else
		snprintf(out, 4, "%.*s", *text == '%' ? 3 : 1, text);
}

enum err path_check(const char *pattern, struct why *why)
{
	const char *last = strrchr(pattern, '/');

	for (const char *c = pattern; *c; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return err_why(why, ERR_SYNTAX, "a control character in a path");
		if (*c == '%' && !strchr("s12%", *++c))
			return err_why(why, ERR_SYNTAX, "%%%c is not known: %%s, %%1, %%2 and %%%% are", *c);
		if (!*c)
			return err_why(why, ERR_SYNTAX, "\"%%\" at its end");
		if (*pattern != '/' && (c == pattern || c[-1] == '/') && strncmp(c, "..", 2) == 0 && (!c[2] || c[2] == '/'))
			return err_why(why, ERR_SYNTAX, "\"..\" leads out of zone-dir: give an absolute path");
	}
	last = last ? last + 1 : pattern;
	if (!*last || strcmp(last, ".") == 0 || strcmp(last, "..") == 0)
		return err_why(why, ERR_SYNTAX, "no file name at the end of \"%.200s\"", pattern);
	return ERR_OK;
}

bool path_is_per_zone(const char *pattern)
{
	for (; (pattern = strchr(pattern, '%')); pattern += 2)
		if (pattern[1] == 's')
			return true;
	return false;
}

bool path_expand(const char *pattern, const uint8_t *zone, char *out, size_t size)
{
	char whole[PART_SIZE], cut[PART_SIZE], character[4];
	uint8_t lower[NAME_SIZE];
	size_t used = strlen(out);

	name_lower(zone, lower);
	write_name(lower, whole);
	strcpy(cut, whole);
	cut_name(lower, cut);
	for (; *pattern; pattern++) {
		char behind = *pattern == '%' ? *++pattern : 0;
		const char *part = character;
		size_t n;

		if (behind == 's')
			part = cut;
		else if (behind == '1' || behind == '2')
			write_character(whole, behind, character);
		else
			memcpy(character, (const char [2]){*pattern}, 2);
		n = strlen(part);
		if (used + n >= size)
			return false;
		memcpy(out + used, part, n + 1);
		used += n;
	}
	return true;
}
