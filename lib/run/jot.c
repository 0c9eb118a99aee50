#include "run/jot.h"

#include "base/array.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void jot_release(struct jot *j)
{
	free(j->bytes);
	*j = (struct jot){0};
}

void jot_clear(struct jot *j)
{
	j->used = 0;
	j->more = j->failed = false;
}

const char *jot_line(const struct jot *j)
{
	return j->failed || !j->bytes ? NULL : j->bytes;
}

/* Room for so many octets and a NUL; NULL: there is none. */
static char *need(struct jot *j, size_t n)
{
	if (array_room(j->bytes, j->room, j->used + n + 1))
		return j->bytes + j->used;
	j->failed = true;
	return NULL;
}

static void put(struct jot *j, const char *text, size_t n)
{
	char *at = need(j, n);

	if (!at)
		return;
	memcpy(at, text, n);
	at[n] = 0;
	j->used += n;
}

/* What comes before each value. */
static void begin(struct jot *j, const char *name)
{
	if (j->more)
		put(j, ",", 1);
	j->more = true;
	if (!name)
		return;
	put(j, "\"", 1);
	put(j, name, strlen(name));
	put(j, "\":", 2);
}

void jot_open(struct jot *j, const char *name, char bracket)
{
	begin(j, name);
	put(j, &bracket, 1);
	j->more = false;
}

void jot_close(struct jot *j, char bracket)
{
	put(j, &bracket, 1);
	j->more = true;
}

/* Octets of the character that begins here (RFC 3629 4); 0: it is none. */
static size_t utf8_length(const unsigned char *c)
{
	size_t n = *c < 0x80 ? 1 : *c >= 0xc2 && *c < 0xe0 ? 2 : *c >= 0xe0 && *c < 0xf0 ? 3 : *c >= 0xf0 && *c < 0xf5 ? 4 : 0;

	for (size_t i = 1; i < n; i++)
		if ((c[i] & 0xc0) != 0x80)
			return 0;
	if ((*c == 0xe0 && c[1] < 0xa0) || (*c == 0xed && c[1] >= 0xa0) || (*c == 0xf0 && c[1] < 0x90) || (*c == 0xf4 && c[1] >= 0x90))
		return 0;
	return n;
}

static bool is_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

/* Returns where it goes on. */
static const char *put_odd(struct jot *j, const char *text)
{
	unsigned char c = (unsigned char)*text;
	size_t n = utf8_length((const unsigned char *)text);
	char escape[8];

	if (n > 1) {
		put(j, text, n);
		return text + n;
	}
	snprintf(escape, sizeof escape, n ? "\\u%04x" : "\\ufffd", c);
	put(j, escape, strlen(escape));
	return text + 1;
}

void jot_text(struct jot *j, const char *name, const char *text)
{
	if (!text) {
		jot_null(j, name);
		return;
	}
	begin(j, name);
	put(j, "\"", 1);
	while (*text) {
		size_t n = 0;

		while (is_plain((unsigned char)text[n]))
			n++;
		put(j, text, n);
		text += n;
		if (*text)
			text = put_odd(j, text);
	}
	put(j, "\"", 1);
}

void jot_int(struct jot *j, const char *name, int64_t value)
{
	uint64_t left = value < 0 ? -(uint64_t)value : (uint64_t)value;
	char digits[24], *at = digits + sizeof digits;

	begin(j, name);
	do {
		*--at = (char)('0' + left % 10);
		left /= 10;
	} while (left);
	if (value < 0)
		*--at = '-';
	put(j, at, (size_t)(digits + sizeof digits - at));
}

static void put_word(struct jot *j, const char *name, const char *word)
{
	begin(j, name);
	put(j, word, strlen(word));
}

void jot_null(struct jot *j, const char *name)
{
	put_word(j, name, "null");
}

void jot_bool(struct jot *j, const char *name, bool value)
{
	put_word(j, name, value ? "true" : "false");
}

void jot_json(struct jot *j, const char *name, json_t *value)
{
	char *text = value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;

	put_word(j, name, text ? text : "null");
	free(text);
	json_decref(value);
}
