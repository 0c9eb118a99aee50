#include "run/ref.h"

#include "dns/name.h"

#include <stdlib.h>
#include <string.h>

struct ref_named {
	const char *name;
	const void *item;
	const config_setting_t *where;
	size_t number;               /* in the file's order */
};

/* As conf_peer: one of the two is NULL. */
struct either { const void *a, *b; };

/* --- the index ------------------------------------------------------------------- */

bool ref_begin(struct key_reader *reader, struct ref_index *index, size_t max)
{
	index->items = calloc(max + 1, sizeof *index->items);
	return index->items || key_no_memory(reader);
}

void ref_add(struct ref_index *index, const char *name, const void *item, const config_setting_t *where)
{
	index->items[index->count] = (struct ref_named){name, item, where, index->count};
	index->count++;
}

static int by_name(const void *a, const void *b)
{
	const struct ref_named *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order ? order : (x->number > y->number) - (x->number < y->number);
}

bool ref_end(struct key_reader *reader, struct ref_index *index)
{
	qsort(index->items, index->count, sizeof *index->items, by_name);
	for (size_t i = 1; i < index->count; i++) {
		const struct ref_named *first = &index->items[i - 1], *second = &index->items[i];
		const char *file;
		unsigned line;

		if (strcmp(first->name, second->name) != 0)
			continue;
		source_where(reader->source, config_setting_source_line(first->where), &file, &line);
		return key_fail(reader, second->where, "the %s \"%.80s\" is here a second time (the first: %s:%u)",
			index->what, second->name, file, line);
	}
	return true;
}

void ref_release(struct ref_index *index)
{
	free(index->items);
	index->items = NULL;
	index->count = 0;
}

const void *ref_find(const struct ref_index *index, const char *name)
{
	size_t low = 0, high = index->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(name, index->items[middle].name);

		if (order == 0)
			return index->items[middle].item;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

/* " (did you mean ...?)" from one or two indices. */
static const char *hint_of(const struct ref_index *a, const struct ref_index *b, const char *wrong, char out[128])
{
	enum { TRIED = 1000 };
	const char *names[TRIED + 1];
	size_t n = 0;

	for (size_t i = 0; i < a->count && n < TRIED; i++)
		names[n++] = a->items[i].name;
	for (size_t i = 0; b && i < b->count && n < TRIED; i++)
		names[n++] = b->items[i].name;
	names[n] = NULL;
	return key_hint(wrong, names, out);
}

const void *ref_resolve(struct key_reader *reader, const struct ref_index *index, const config_setting_t *setting)
{
	const char *name = key_text_value(reader, setting, "a name in quotes");
	const void *item = name ? ref_find(index, name) : NULL;
	char hint[128];

	if (name && !item)
		key_fail(reader, setting, "there is no %s \"%.80s\"%s", index->what, name, hint_of(index, NULL, name, hint));
	return item;
}

/* --- the kinds ------------------------------------------------------------------- */

static const struct ref_index *index_of(struct key_reader *reader, const struct key *key)
{
	return (const struct ref_index *)reader->owner + key->from;
}

static const void *get_pointer(const void *base, const struct key *key)
{
	const void *pointer;

	memcpy(&pointer, (const char *)base + key->at, sizeof pointer);
	return pointer;
}

static size_t get_count(const void *base, const struct key *key)
{
	size_t count;

	memcpy(&count, (const char *)base + key->count_at, sizeof count);
	return count;
}

/* Found whatever the case, and with or without the final dot. */
static bool read_domain(struct key_reader *reader, const struct key *key, const config_setting_t *setting, void *base)
{
	const struct ref_index *index = index_of(reader, key);
	const char *given = key_text_value(reader, setting, "a name in quotes");
	char text[NAME_TEXT_SIZE], hint[128];
	uint8_t name[NAME_SIZE];
	struct why why;
	const void *item;

	if (!given)
		return false;
	if (name_parse(given, strlen(given), NULL, name, &why))
		return key_fail(reader, setting, "%s", why.text);
	name_lower(name, name);
	item = ref_find(index, name_text(name, text));
	if (!item)
		return key_fail(reader, setting, "there is no %s \"%.80s\"%s", index->what, given, hint_of(index, NULL, text, hint));
	memcpy((char *)base + key->at, &item, sizeof item);
	return true;
}

static void write_domain(struct key_writer *writer, const struct key *key, const void *base)
{
	const uint8_t *name = get_pointer(base, key);
	char text[NAME_TEXT_SIZE];

	if (name)
		key_write_text(writer, key->name, name_text(name, text));
}

static bool find_one(struct key_reader *reader, const struct key *key, const config_setting_t *setting, void *item)
{
	const void *found = ref_resolve(reader, index_of(reader, key), setting);

	memcpy(item, &found, sizeof found);
	return found != NULL;
}

static bool read_refs(struct key_reader *reader, const struct key *key, const config_setting_t *setting, void *base)
{
	return key_read_list(reader, key, setting, base, sizeof(void *), find_one, true);
}

static void write_refs(struct key_writer *writer, const struct key *key, const void *base)
{
	const char *const *const *items = get_pointer(base, key);

	key_write_open(writer, key->name, '[');
	for (size_t i = 0; i < get_count(base, key); i++)
		key_write_text(writer, NULL, *items[i]);
	key_write_close(writer, key->name, '[');
}

static bool find_either(struct key_reader *reader, const struct key *key, const config_setting_t *setting, void *item)
{
	const struct ref_index *index = index_of(reader, key), *next = index + 1;
	const char *name = key_text_value(reader, setting, "a name in quotes");
	struct either found = {0};
	char hint[128];

	if (!name)
		return false;
	found.a = ref_find(index, name);
	found.b = ref_find(next, name);
	memcpy(item, &found, sizeof found);
	if (found.a && found.b)
		return key_fail(reader, setting, "\"%.80s\" is the name of a %s and of an %s: rename one of them", name,
			index->what, next->what);
	if (!found.a && !found.b)
		return key_fail(reader, setting, "there is no %s or %s \"%.80s\"%s", index->what, next->what, name,
			hint_of(index, next, name, hint));
	return true;
}

static bool read_either(struct key_reader *reader, const struct key *key, const config_setting_t *setting, void *base)
{
	return key_read_list(reader, key, setting, base, sizeof(struct either), find_either, true);
}

/* Nothing where nothing was given: an empty list is something else. */
static void write_either(struct key_writer *writer, const struct key *key, const void *base)
{
	const struct either *items = get_pointer(base, key);

	if (!items)
		return;
	key_write_open(writer, key->name, '[');
	for (size_t i = 0; i < get_count(base, key); i++)
		key_write_text(writer, NULL, *(const char *const *)(items[i].a ? items[i].a : items[i].b));
	key_write_close(writer, key->name, '[');
}

const struct key_kind kind_ref_domain = {read_domain, write_domain}, kind_refs = {read_refs, write_refs},
	kind_refs_of_two = {read_either, write_either};
