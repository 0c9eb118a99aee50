#include "run/records.h"

#include "base/array.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* Splits "OWNER TTL CLASS TYPE RDATA" and prints it as an object. */
static void put_line(struct records *r)
{
	static const char *const members[] = {"owner", "ttl", "class", "type", "rdata"};
	json_t *record = json_object();
	char *rest = r->line;

	for (size_t i = 0; i < 5; i++) {
		char *field = rest + strspn(rest, " \t");
		char *end = i < 4 ? field + strcspn(field, " \t") : field + strlen(field);

		rest = *end ? end + 1 : end;
		*end = 0;
		json_object_set_new(record, members[i], i == 1 ? json_integer(strtoll(field, NULL, 10)) : json_string(field));
	}
	fprintf(r->out, "%s\n    ", r->count++ ? "," : "");
	json_dumpf(record, r->out, JSON_ENSURE_ASCII);
	json_decref(record);
}

static bool append(struct records *r, const char *text, size_t length)
{
	if (!array_room(r->line, r->room, r->length + length + 1))
		return false;
	memcpy(r->line + r->length, text, length);
	r->length += length;
	r->line[r->length] = 0;
	return true;
}

bool records_put(struct records *r, const char *text, size_t length)
{
	const char *end = text + length;

	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		size_t part = (size_t)((newline ? newline : end) - text);

		if (!append(r, text, part))
			return false;
		if (!newline)
			break;
		if (r->length && r->line[0] != ';' && r->line[0] != '$')
			put_line(r);
		r->length = 0;
		text = newline + 1;
	}
	return !ferror(r->out);
}

void records_release(struct records *r)
{
	free(r->line);
	*r = (struct records){.out = r->out};
}
