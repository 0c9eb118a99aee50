#include "run/key.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* --- errors ---------------------------------------------------------------------- */

void key_place(const config_setting_t *setting, char out[128])
{
	const char *names[16];
	size_t n = 0, used = 0;

	for (; setting && n < 16; setting = config_setting_parent(setting))
		if (config_setting_name(setting))
			names[n++] = config_setting_name(setting);
	out[0] = 0;
	while (n-- > 0 && used < 127)
		used += (size_t)snprintf(out + used, 128 - used, "%s%s", used ? "." : "", names[n]);
}

bool key_fail(struct key_reader *reader, const config_setting_t *setting, const char *format, ...)
{
	char place[128], text[WHY_MAX];
	const char *file;
	unsigned line;
	va_list args;

	if (reader->err)
		return false;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	key_place(setting, place);
	source_where(reader->source, config_setting_source_line(setting), &file, &line);
	reader->err = err_why(reader->why, ERR_CONF, "%s:%u: %s: %s", file, line, place, text);
	return false;
}

bool key_no_memory(struct key_reader *reader)
{
	if (!reader->err)
		reader->err = err_why(reader->why, ERR_NOMEM, "out of memory");
	return false;
}

/* Optimal string alignment: insertions, deletions, replacements, and neighbours swapped. */
static unsigned distance(const char *a, const char *b)
{
	enum { LONGEST = 40 };
	unsigned rows[3][LONGEST + 1];
	size_t na = strlen(a), nb = strlen(b);

	if (na > LONGEST || nb > LONGEST)
		return LONGEST;
	for (size_t j = 0; j <= nb; j++)
		rows[0][j] = (unsigned)j;
	for (size_t i = 1; i <= na; i++) {
		unsigned *row = rows[i % 3], *above = rows[(i - 1) % 3], *above2 = rows[(i + 1) % 3];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= nb; j++) {
			unsigned best = above[j - 1] + (a[i - 1] != b[j - 1]);

			if (above[j] + 1 < best)
				best = above[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && above2[j - 2] + 1 < best)
				best = above2[j - 2] + 1;
			row[j] = best;
		}
	}
	return rows[na % 3][nb];
}

const char *key_hint(const char *wrong, const char *const *names, char out[128])
{
	const char *best = NULL;
	unsigned least = strlen(wrong) < 4 ? 2 : 3;

	out[0] = 0;
	for (; *names; names++) {
		unsigned d = distance(wrong, *names);

		if (d < least && d < strlen(*names)) {
			least = d;
			best = *names;
		}
	}
	if (best)
		snprintf(out, 128, " (did you mean \"%s\"?)", best);
	return out;
}

static const char *type_name(const config_setting_t *setting)
{
	switch (config_setting_type(setting)) {
	case CONFIG_TYPE_GROUP: return "a group";
	case CONFIG_TYPE_INT: case CONFIG_TYPE_INT64: return "a whole number";
	case CONFIG_TYPE_FLOAT: return "a number with a fraction";
	case CONFIG_TYPE_STRING: return "a string";
	case CONFIG_TYPE_BOOL: return "true or false";
	case CONFIG_TYPE_ARRAY: case CONFIG_TYPE_LIST: return "a list";
	default: return "nothing";
	}
}

bool key_wrong_type(struct key_reader *reader, const config_setting_t *setting, const char *wanted)
{
	return key_fail(reader, setting, "must be %s, but is %s", wanted, type_name(setting));
}

const char *key_text_value(struct key_reader *reader, const config_setting_t *setting, const char *wanted)
{
	const char *text = config_setting_get_string(setting);

	if (config_setting_type(setting) != CONFIG_TYPE_STRING) {
		key_wrong_type(reader, setting, wanted);
		return NULL;
	}
	if (!text || !*text) {
		key_fail(reader, setting, "is empty");
		return NULL;
	}
	for (const char *c = text; *c; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f) {
			key_fail(reader, setting, "a control character in it");
			return NULL;
		}
	}
	return text;
}

/* --- one copy of everything ------------------------------------------------------ */

struct key_pool {
	struct kept { uint64_t hash; const void *bytes; size_t n; } *slots;
	size_t size, used;           /* size: a power of two */
};

bool key_reader_init(struct key_reader *reader)
{
	struct key_pool *pool = calloc(1, sizeof *pool);

	reader->pool = pool;
	if (!pool || !(pool->slots = calloc(256, sizeof *pool->slots)))
		return key_no_memory(reader);
	pool->size = 256;
	return true;
}

void key_reader_release(struct key_reader *reader)
{
	if (reader->pool)
		free(reader->pool->slots);
	free(reader->pool);
	reader->pool = NULL;
}

static uint64_t hash_of(const void *bytes, size_t n)
{
	const uint8_t *p = bytes;
	uint64_t hash = 0xcbf29ce484222325 ^ n;

	for (; n >= 8; n -= 8, p += 8) {
		uint64_t word;

		memcpy(&word, p, 8);
		hash = (hash ^ word) * 0x9e3779b97f4a7c15;
		hash ^= hash >> 32;
	}
	while (n-- > 0)
		hash = (hash ^ *p++) * 0x100000001b3;
	return hash ^ hash >> 32;
}

static struct kept *slot_of(struct kept *slots, size_t size, uint64_t hash, const void *bytes, size_t n)
{
	size_t i = hash & (size - 1);

	while (slots[i].bytes && !(slots[i].hash == hash && slots[i].n == n && (!n || memcmp(slots[i].bytes, bytes, n) == 0)))
		i = (i + 1) & (size - 1);
	return &slots[i];
}

static bool grow(struct key_pool *pool)
{
	size_t size = pool->size * 2;
	struct kept *slots = calloc(size, sizeof *slots);

	if (!slots)
		return false;
	for (size_t i = 0; i < pool->size; i++) {
		struct kept *old = &pool->slots[i];

		if (old->bytes)
			*slot_of(slots, size, old->hash, old->bytes, old->n) = *old;
	}
	free(pool->slots);
	pool->slots = slots;
	pool->size = size;
	return true;
}

const void *key_keep(struct key_reader *reader, const void *bytes, size_t n)
{
	struct key_pool *pool = reader->pool;
	uint64_t hash = hash_of(bytes, n);
	struct kept *slot;
	void *copy;

	if (pool->used * 2 >= pool->size && !grow(pool)) {
		key_no_memory(reader);
		return NULL;
	}
	slot = slot_of(pool->slots, pool->size, hash, bytes, n);
	if (slot->bytes)
		return slot->bytes;
	copy = arena_alloc(reader->arena, n ? n : 1);
	if (!copy) {
		key_no_memory(reader);
		return NULL;
	}
	if (n)
		memcpy(copy, bytes, n);
	*slot = (struct kept){hash, copy, n};
	pool->used++;
	return copy;
}

const char *key_keep_text(struct key_reader *reader, const char *text)
{
	return key_keep(reader, text, strlen(text) + 1);
}

/* --- lists ------------------------------------------------------------------------ */

static bool is_list(struct key_reader *reader, const config_setting_t *setting, int64_t min)
{
	if (!config_setting_is_array(setting) && !config_setting_is_list(setting))
		return key_wrong_type(reader, setting, "a list: [ \"...\", \"...\" ]");
	if (config_setting_length(setting) < min)
		return key_fail(reader, setting, "at least %" PRId64 " must be given", min);
	return true;
}

static bool keep_list(struct key_reader *reader, const struct key *key, void *base, const void *items, size_t count, size_t size)
{
	const void *kept = key_keep(reader, items, count * size);

	memcpy((char *)base + key->at, &kept, sizeof kept);
	memcpy((char *)base + key->count_at, &count, sizeof count);
	return kept;
}

/* The last of the items is none of those before it. */
static bool is_new(struct key_reader *reader, const config_setting_t *element, const char *items, size_t last, size_t size)
{
	for (size_t i = 0; i < last; i++)
		if (memcmp(items + i * size, items + last * size, size) == 0)
			return key_fail(reader, element, "\"%.80s\" is named twice", config_setting_get_string(element));
	return true;
}

bool key_read_list(struct key_reader *reader, const struct key *key, const config_setting_t *setting, void *base, size_t size,
	key_item *read, bool unique)
{
	size_t n = is_list(reader, setting, key->min) ? (size_t)config_setting_length(setting) : 0;
	char *items;
	bool fine = true;

	if (reader->err)
		return false;
	items = calloc(n + 1, size);
	if (!items)
		return key_no_memory(reader);
	for (size_t i = 0; fine && i < n; i++) {
		const config_setting_t *element = config_setting_get_elem(setting, (unsigned)i);

		fine = read(reader, key, element, items + i * size) && (!unique || is_new(reader, element, items, i, size));
	}
	fine = fine && keep_list(reader, key, base, items, n, size);
	free(items);
	return fine;
}

/* --- groups ---------------------------------------------------------------------- */

/* The row of a name, also in tables that share the group; `*base` goes along. */
static const struct key *find_key(const struct key *table, const char *name, char **base)
{
	for (const struct key *key = table; key->name; key++) {
		char *within = *base + key->at;
		const struct key *found;

		if (!*key->name && (found = find_key(key->table, name, &within))) {
			*base = within;
			return found;
		}
		if (strcmp(key->name, name) == 0)
			return key;
	}
	return NULL;
}

static size_t list_names(const struct key *table, const char **names, size_t n, size_t max)
{
	for (; table->name; table++) {
		if (!*table->name)
			n = list_names(table->table, names, n, max);
		else if (n < max)
			names[n++] = table->name;
	}
	return n;
}

static bool unknown_key(struct key_reader *reader, const struct key *table, const config_setting_t *setting)
{
	const char *names[128];
	char hint[128];

	names[list_names(table, names, 0, 127)] = NULL;
	return key_fail(reader, setting, "there is no such key%s", key_hint(config_setting_name(setting), names, hint));
}

bool key_read(struct key_reader *reader, const struct key *table, const config_setting_t *group, void *base)
{
	if (!config_setting_is_group(group))
		return key_wrong_type(reader, group, "a group: { KEY = VALUE; ... }");
	for (int i = 0; i < config_setting_length(group); i++) {
		const config_setting_t *setting = config_setting_get_elem(group, (unsigned)i);
		char *within = base;
		const struct key *key = find_key(table, config_setting_name(setting), &within);

		if (!key)
			return unknown_key(reader, table, setting);
		if (!key->kind->read(reader, key, setting, within))
			return false;
	}
	return true;
}

static bool read_group(struct key_reader *reader, const struct key *key, const config_setting_t *setting, void *base)
{
	return key_read(reader, key->table, setting, (char *)base + key->at);
}

static void write_group(struct key_writer *writer, const struct key *key, const void *base)
{
	if (*key->name)
		key_write_open(writer, key->name, '{');
	key_write(writer, key->table, (const char *)base + key->at);
	if (*key->name)
		key_write_close(writer, key->name, '{');
}

const struct key_kind key_group = {read_group, write_group};

/* --- printing -------------------------------------------------------------------- */

void key_write(struct key_writer *writer, const struct key *table, const void *base)
{
	for (; table->name; table++)
		table->kind->write(writer, table, base);
}

static void new_line(struct key_writer *writer)
{
	putc('\n', writer->out);
	for (unsigned i = 0; i < writer->depth; i++)
		fputs("    ", writer->out);
}

/* What stands before a value: a comma where one belongs, a line's beginning, the name. Without a name: an element. */
static void lead_in(struct key_writer *writer, const char *name, bool group)
{
	if (!writer->first && (writer->json || !name))
		putc(',', writer->out);
	if (!name && !group)
		putc(' ', writer->out);
	else if (writer->depth > 0 || !writer->first)
		new_line(writer);
	if (name && writer->json)
		fprintf(writer->out, "\"%s\": ", name);
	else if (name)
		fprintf(writer->out, "%s%s ", name, group ? ":" : " =");
	writer->first = false;
}

void key_write_open(struct key_writer *writer, const char *name, char kind)
{
	lead_in(writer, name, kind == '{' || kind == '(');
	if (!kind)
		return;
	putc(writer->json && kind == '(' ? '[' : kind, writer->out);
	writer->depth++;
	writer->first = true;
}

void key_write_close(struct key_writer *writer, const char *name, char kind)
{
	char closing = kind == '{' ? '}' : kind == '(' && !writer->json ? ')' : ']';

	if (kind) {
		writer->depth--;
		if (kind == '[')
			putc(' ', writer->out);
		else
			new_line(writer);
		putc(closing, writer->out);
		writer->first = false;
	}
	if (name && !writer->json)
		putc(';', writer->out);
}

static void put_json(FILE *out, const char *value)
{
	json_t *string = json_string(value);

	if (string) {
		json_dumpf(string, out, JSON_ENCODE_ANY);
		json_decref(string);
		return;
	}
	putc('"', out);              /* not UTF-8 */
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			putc('\\', out);
		if ((unsigned char)*value < 0x20 || (unsigned char)*value > 0x7e)
			fprintf(out, "\\u%04x", (unsigned char)*value);
		else
			putc(*value, out);
	}
	putc('"', out);
}

static void put_text(FILE *out, const char *value)
{
	putc('"', out);
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			putc('\\', out);
		if ((unsigned char)*value < 0x20 || *value == 0x7f)
			fprintf(out, "\\x%02x", (unsigned char)*value);
		else
			putc(*value, out);
	}
	putc('"', out);
}

void key_write_text(struct key_writer *writer, const char *name, const char *value)
{
	key_write_open(writer, name, 0);
	if (writer->json)
		put_json(writer->out, value);
	else
		put_text(writer->out, value);
	key_write_close(writer, name, 0);
}

void key_write_number(struct key_writer *writer, const char *name, int64_t value)
{
	key_write_open(writer, name, 0);
	fprintf(writer->out, "%" PRId64, value);
	key_write_close(writer, name, 0);
}
