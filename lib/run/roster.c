#include "run/roster.h"

#include "base/array.h"
#include "base/file.h"
#include "base/siphash.h"
#include "dns/text.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FORMAT = 1, LINE_ROOM = 2 * NAME_TEXT_SIZE + 4 * 256 + 4 * 64 + 32, TEXT_MAX = 1 << 30 };

/* Against damage, not against people. */
static const uint8_t sum_key[SIPHASH_KEY] = "lockstep roster";

struct entry {
	struct roster_zone zone;
	bool gone;                   /* the name is to be forgotten */
	size_t number;               /* of the change */
	char octets[];
};

struct roster {
	struct entry **entries;      /* in canonical order */
	size_t count;
	struct entry **changes;      /* in the order they came, not yet among the entries */
	size_t change_count, change_room;
	uint64_t version;
};

struct roster *roster_new(void)
{
	return calloc(1, sizeof(struct roster));
}

static void free_list(struct entry **list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(list[i]);
	free(list);
}

void roster_free(struct roster *r)
{
	if (!r)
		return;
	free_list(r->entries, r->count);
	free_list(r->changes, r->change_count);
	free(r);
}

/* --- entries -------------------------------------------------------------- */

static char *put_octets(char **at, const void *octets, size_t n)
{
	char *copy = *at;

	if (!octets)
		return NULL;
	memcpy(copy, octets, n);
	*at += n;
	return copy;
}

static struct entry *entry_new(const struct roster_zone *like)
{
	size_t name = name_length(like->name), catalog = like->catalog ? name_length(like->catalog) : 0,
		id = like->id ? 1 + (size_t)*like->id : 0, text = like->template_name ? strlen(like->template_name) + 1 : 0;
	struct entry *e = calloc(1, sizeof *e + name + catalog + id + text);
	char *at;

	if (!e)
		return NULL;
	at = e->octets;
	e->zone = *like;
	e->zone.name = (uint8_t *)put_octets(&at, like->name, name);
	name_lower(like->name, (uint8_t *)e->octets);
	e->zone.catalog = (uint8_t *)put_octets(&at, like->catalog, catalog);
	e->zone.id = (uint8_t *)put_octets(&at, like->id, id);
	e->zone.template_name = put_octets(&at, like->template_name, text);
	return e;
}

static enum err change(struct roster *r, struct entry *e)
{
	if (!e || !array_room(r->changes, r->change_room, r->change_count + 1)) {
		free(e);
		return ERR_NOMEM;
	}
	e->number = r->change_count;
	r->changes[r->change_count++] = e;
	return ERR_OK;
}

enum err roster_put(struct roster *r, const struct roster_zone *like)
{
	return change(r, entry_new(like));
}

enum err roster_drop(struct roster *r, const uint8_t *name)
{
	struct roster_zone like = {.name = name};
	struct entry *e = entry_new(&like);

	if (e)
		e->gone = true;
	return change(r, e);
}

static int by_name(const void *a, const void *b)
{
	const struct entry *x = *(struct entry *const *)a, *y = *(struct entry *const *)b;
	int order = name_compare(x->zone.name, y->zone.name);

	return order ? order : (x->number > y->number) - (x->number < y->number);
}

/* The last change of each name counts. */
static size_t last_of_each(struct entry **list, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		if (i + 1 < count && name_equal(list[i]->zone.name, list[i + 1]->zone.name))
			free(list[i]);
		else
			list[kept++] = list[i];
	}
	return kept;
}

/* The changes go among the entries. Without memory they wait, and what is found is as it was before them. */
static void settle(struct roster *r)
{
	struct entry **all;
	size_t count = 0, i = 0;

	if (!r->change_count || !(all = calloc(r->count + r->change_count, sizeof *all)))
		return;
	qsort(r->changes, r->change_count, sizeof *r->changes, by_name);
	r->change_count = last_of_each(r->changes, r->change_count);
	for (size_t c = 0; c < r->change_count; c++) {
		struct entry *e = r->changes[c];
		int order = -1;

		while (i < r->count && (order = name_compare(r->entries[i]->zone.name, e->zone.name)) < 0)
			all[count++] = r->entries[i++];
		if (i < r->count && order == 0)
			free(r->entries[i++]);
		if (e->gone)
			free(e);
		else
			all[count++] = e;
	}
	while (i < r->count)
		all[count++] = r->entries[i++];
	free(r->entries);
	r->entries = all;
	r->count = count;
	r->change_count = 0;
}

size_t roster_count(struct roster *r)
{
	settle(r);
	return r->count;
}

size_t roster_added(struct roster *r)
{
	size_t added = 0;

	settle(r);
	for (size_t i = 0; i < r->count; i++)
		added += r->entries[i]->zone.origin == ROSTER_ADDED;
	return added;
}

const struct roster_zone *roster_at(struct roster *r, size_t i)
{
	settle(r);
	return &r->entries[i]->zone;
}

const struct roster_zone *roster_find(struct roster *r, const uint8_t *name)
{
	size_t low = 0, high = roster_count(r);

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = name_compare(name, r->entries[middle]->zone.name);

		if (order == 0)
			return &r->entries[middle]->zone;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

enum err roster_hold(struct roster *r, const uint8_t *name, bool held)
{
	const struct roster_zone *known = roster_find(r, name);
	struct roster_zone like = known ? *known : (struct roster_zone){.name = name};

	if (like.held == held)
		return ERR_OK;
	if (like.origin == ROSTER_CONF && !held)
		return roster_drop(r, name);
	like.held = held;
	return roster_put(r, &like);
}

/* --- with the configuration ----------------------------------------------- */

static const struct conf_settings *template_settings(const struct conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->template_count; i++)
		if (strcmp(conf->templates[i].name, name ? name : "default") == 0)
			return conf->templates[i].set;
	return name ? NULL : conf->default_set;
}

static const struct conf_settings *member_settings(const struct conf *conf, const struct roster_zone *zone, struct why *why)
{
	const struct conf_zone *catalog = conf_find_zone(conf, zone->catalog);
	const struct conf_settings *set;

	if (!catalog || catalog->set->catalog != CONF_CATALOG_CONSUME)
		return NULL;
	set = zone->template_name ? template_settings(conf, zone->template_name) : NULL;
	if (set && !conf_unfit(set))
		return set;
	set = template_settings(conf, catalog->set->catalog_template);
	if (set && !conf_unfit(set))
		return set;
	err_why(why, ERR_CONF, "the template \"%.80s\" does not fit members of a catalog: %s",
		catalog->set->catalog_template ? catalog->set->catalog_template : "default", set ? conf_unfit(set) : "it is not there");
	return NULL;
}

const struct conf_settings *roster_settings(const struct conf *conf, const struct roster_zone *zone, struct why *why)
{
	const struct conf_settings *set;
	const char *unfit;

	why->text[0] = 0;
	if (zone->origin == ROSTER_MEMBER)
		return member_settings(conf, zone, why);
	set = template_settings(conf, zone->template_name);
	unfit = set ? conf_unfit(set) : "it is not there";
	if (!unfit)
		return set;
	err_why(why, ERR_CONF, "the template \"%.80s\" does not fit zones added at run time: %s",
		zone->template_name ? zone->template_name : "default", unfit);
	return NULL;
}

static void lose(struct roster_list *list, const uint8_t *name, const char *why)
{
	char text[NAME_TEXT_SIZE];

	if (!list->lost++)
		err_why(&list->why, ERR_CONF, "the zone \"%.120s\": %s", name_text(name, text), why);
}

/* A zone that is remembered, if there is still to be one. */
static void list_zone(struct roster_list *list, const struct conf *conf, const struct roster_zone *zone)
{
	struct why why;
	const struct conf_settings *set = roster_settings(conf, zone, &why);

	if (set)
		list->zones[list->count++] = (struct conf_zone){zone->name, zone->template_name, set};
	else if (why.text[0])
		lose(list, zone->name, why.text);
}

struct used_path { char *path; size_t zone; bool own; };

static int by_path(const void *a, const void *b)
{
	const struct used_path *x = a, *y = b;
	int order = strcmp(x->path, y->path);

	return order ? order : (x->own > y->own) - (x->own < y->own);
}

/* Where all have one pattern no two have one file. */
static bool one_pattern(const struct roster_list *list)
{
	for (size_t i = 1; i < list->count; i++)
		if (strcmp(list->zones[i].set->file, list->zones[0].set->file) != 0)
			return false;
	return true;
}

static void drop_clashes(struct roster_list *list, struct used_path *used)
{
	bool *clash = calloc(list->count + 1, sizeof *clash);
	size_t kept = 0;

	for (size_t i = 1; i < list->count && clash; i++)
		if (used[i].own && strcmp(used[i].path, used[i - 1].path) == 0)
			clash[used[i].zone] = true;
	for (size_t i = 0; i < list->count && clash; i++) {
		if (clash[i])
			lose(list, list->zones[i].name, "its zone file is another zone's");
		else
			list->zones[kept++] = list->zones[i];
	}
	if (clash)
		list->count = kept;
	free(clash);
}

/* A zone that is not in the configuration must not write to another one's file; those in it were compared with each other when
 * it was read. */
static enum err check_files(struct roster_list *list, const struct conf *conf)
{
	struct used_path *used = NULL;
	size_t count = list->count;
	enum err err = ERR_OK;
	char path[PATH_MAX];

	if (count == conf->zone_count || one_pattern(list))
		return ERR_OK;
	used = calloc(count, sizeof *used);
	for (size_t i = 0; i < count && used && !err; i++) {
		const struct conf_zone *zone = &list->zones[i];
		bool fits = conf_zone_path(conf, zone->set, zone->name, path, sizeof path);

		used[i] = (struct used_path){strdup(fits ? path : ""), i, fits && !conf_find_zone(conf, zone->name)};
		if (!used[i].path)
			err = ERR_NOMEM;
	}
	if (used && !err) {
		qsort(used, count, sizeof *used, by_path);
		drop_clashes(list, used);
	}
	for (size_t i = 0; i < count && used; i++)
		free(used[i].path);
	free(used);
	return used ? err : ERR_NOMEM;
}

enum err roster_merge(struct roster *r, const struct conf *conf, struct roster_list *list)
{
	size_t n = roster_count(r), c = 0;

	*list = (struct roster_list){.zones = calloc(conf->zone_count + n + 1, sizeof *list->zones)};
	if (!list->zones || r->change_count) {
		free(list->zones);
		return ERR_NOMEM;
	}
	for (size_t i = 0; i < n; i++) {
		const struct roster_zone *zone = &r->entries[i]->zone;
		int order = -1;

		while (c < conf->zone_count && (order = name_compare(conf->zones[c].name, zone->name)) < 0)
			list->zones[list->count++] = conf->zones[c++];
		if (zone->origin != ROSTER_CONF && (c == conf->zone_count || order != 0))
			list_zone(list, conf, zone);
	}
	while (c < conf->zone_count)
		list->zones[list->count++] = conf->zones[c++];
	if (check_files(list, conf) == ERR_OK)
		return ERR_OK;
	free(list->zones);
	return ERR_NOMEM;
}

static enum err follow_one(struct roster *r, const struct conf *conf, const struct roster_zone *zone)
{
	struct roster_zone like = {.name = zone->name, .held = zone->held};
	bool configured = conf_find_zone(conf, zone->name);
	struct why why;

	if (configured && zone->origin != ROSTER_CONF)
		return zone->held ? roster_put(r, &like) : roster_drop(r, zone->name);
	if (configured)
		return ERR_OK;
	if (zone->origin == ROSTER_CONF || (!roster_settings(conf, zone, &why) && !why.text[0]))
		return roster_drop(r, zone->name);
	return ERR_OK;
}

enum err roster_follow(struct roster *r, const struct conf *conf, bool *changed)
{
	size_t count = roster_count(r);
	enum err err = ERR_OK;

	for (size_t i = 0; i < count && !err; i++)
		err = follow_one(r, conf, &r->entries[i]->zone);
	*changed = r->change_count > 0;
	return err;
}

/* --- as text -------------------------------------------------------------- */

/* Letters, digits, '.', '_' and '-' stand for themselves, other octets are \DDD, and so is a '-' that stands alone. */
static char *put_word(char *at, const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
			(c == '-' && n > 1);

		if (plain)
			*at++ = (char)c;
		else
			at += sprintf(at, "\\%03u", c);
	}
	return at;
}

static char *put_optional(char *at, const char *text)
{
	*at++ = ' ';
	if (!text || !*text)
		*at++ = '-';
	return text ? put_word(at, text, strlen(text)) : at;
}

static char *put_entry(char *at, const struct roster_zone *zone)
{
	static const char *const word[] = {"held ", "added ", "member "};

	at = stpcpy(at, word[zone->origin]);
	at += name_put_text(zone->name, at);
	if (zone->origin != ROSTER_CONF)
		at = put_optional(at, zone->template_name);
	if (zone->origin == ROSTER_MEMBER) {
		*at++ = ' ';
		at += name_put_text(zone->catalog, at);
		*at++ = ' ';
		at = put_word(at, (const char *)zone->id + 1, *zone->id);
	}
	if (zone->held && zone->origin != ROSTER_CONF)
		at = stpcpy(at, " held");
	*at++ = '\n';
	return at;
}

struct text { char *at, *begin, *end; };

static bool text_room(struct text *t)
{
	size_t used = (size_t)(t->at - t->begin), size = (size_t)(t->end - t->begin);
	char *bigger;

	if (size - used >= LINE_ROOM)
		return true;
	size = 2 * size + 2 * LINE_ROOM;
	bigger = realloc(t->begin, size);
	if (!bigger)
		return false;
	*t = (struct text){bigger + used, bigger, bigger + size};
	return true;
}

char *roster_text(struct roster *r, size_t *length)
{
	size_t count = roster_count(r);
	struct text t = {0};
	bool fits = text_room(&t);

	if (fits)
		t.at += sprintf(t.at, "roster %d %" PRIu64 "\n", FORMAT, r->version + 1);
	for (size_t i = 0; i < count && fits; i++) {
		t.at = put_entry(t.at, &r->entries[i]->zone);
		fits = text_room(&t);
	}
	if (!fits || r->change_count) {
		free(t.begin);
		return NULL;
	}
	r->version++;
	t.at += sprintf(t.at, "end %zu %016" PRIx64 "\n", count, siphash(sum_key, t.begin, (size_t)(t.at - t.begin)));
	*length = (size_t)(t.at - t.begin);
	return t.begin;
}

/* The words of a line, borrowed from it. */
struct words {
	struct { const char *text; size_t length; } word[6];
	unsigned count;
};

static bool split(const char *line, size_t length, struct words *words)
{
	const char *end = line + length;

	words->count = 0;
	while (line <= end) {
		const char *space = memchr(line, ' ', (size_t)(end - line));

		if (words->count == sizeof words->word / sizeof *words->word)
			return false;
		space = space ? space : end;
		words->word[words->count].text = line;
		words->word[words->count++].length = (size_t)(space - line);
		line = space + 1;
	}
	return true;
}

static bool is_word(const struct words *words, unsigned i, const char *text)
{
	return i < words->count && words->word[i].length == strlen(text) && memcmp(words->word[i].text, text, words->word[i].length) == 0;
}

static bool take_name(const struct words *words, unsigned i, uint8_t name[NAME_SIZE])
{
	return i < words->count && words->word[i].length && name_parse(words->word[i].text, words->word[i].length, NULL, name, NULL) == ERR_OK;
}

/* Octets with their escapes undone; at most `size`. */
static bool take_octets(const struct words *words, unsigned i, char *out, size_t size, size_t *length)
{
	const char *at, *end;

	*length = 0;
	if (i >= words->count)
		return false;
	for (at = words->word[i].text, end = at + words->word[i].length; at < end; (*length)++) {
		int octet = text_octet(&at, end);

		if (octet < 0 || *length == size)
			return false;
		out[*length] = (char)octet;
	}
	return true;
}

static bool take_template(const struct words *words, unsigned i, char out[ROSTER_WORD_MAX + 1], struct roster_zone *zone)
{
	size_t length;

	if (is_word(words, i, "-"))
		return true;
	if (!take_octets(words, i, out, ROSTER_WORD_MAX, &length) || memchr(out, 0, length))
		return false;
	out[length] = 0;
	zone->template_name = out;
	return true;
}

static bool take_line(struct roster *r, const char *line, size_t length)
{
	uint8_t name[NAME_SIZE], catalog[NAME_SIZE], id[64];
	struct roster_zone zone = {.name = name};
	char template_name[ROSTER_WORD_MAX + 1];
	struct words words;
	unsigned fixed = 2;
	size_t n;

	if (!split(line, length, &words) || !take_name(&words, 1, name))
		return false;
	if (is_word(&words, 0, "held")) {
		zone.held = true;
		return words.count == 2 && roster_put(r, &zone) == ERR_OK;
	}
	zone.origin = is_word(&words, 0, "member") ? ROSTER_MEMBER : ROSTER_ADDED;
	if ((zone.origin == ROSTER_ADDED && !is_word(&words, 0, "added")) || !take_template(&words, fixed++, template_name, &zone))
		return false;
	if (zone.origin == ROSTER_MEMBER) {
		if (!take_name(&words, fixed++, catalog) || !take_octets(&words, fixed++, (char *)id + 1, 63, &n) || !n)
			return false;
		name_lower(catalog, catalog);
		id[0] = (uint8_t)n;
		zone.catalog = catalog;
		zone.id = id;
	}
	zone.held = is_word(&words, fixed, "held");
	return words.count == fixed + zone.held && roster_put(r, &zone) == ERR_OK;
}

/* How often it had been written, from a text that is whole; false: it is not. */
static bool whole_text(const char *text, size_t length, uint64_t *version, const char **end)
{
	char head[64], tail[64];
	size_t lines = 0, tail_length;
	int format;

	if (length < 2 || text[length - 1] != '\n')
		return false;
	for (*end = text + length - 1; *end > text && (*end)[-1] != '\n';)
		(*end)--;
	for (const char *at = text; at < *end; at++)
		lines += *at == '\n';
	tail_length = (size_t)snprintf(tail, sizeof tail, "end %zu %016" PRIx64 "\n", lines - 1, siphash(sum_key, text, (size_t)(*end - text)));
	if ((size_t)(text + length - *end) != tail_length || memcmp(*end, tail, tail_length) != 0)
		return false;
	snprintf(head, sizeof head, "%.*s", (int)(length < 60 ? length : 60), text);
	return sscanf(head, "roster %d %" SCNu64, &format, version) == 2 && format == FORMAT;
}

enum err roster_parse(struct roster *r, const char *text, size_t length, struct why *why)
{
	struct roster fresh = {0};
	const char *end = text, *at;
	bool fine = whole_text(text, length, &fresh.version, &end);

	at = fine ? (const char *)memchr(text, '\n', length) + 1 : NULL;
	while (fine && at < end) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));

		fine = stop && take_line(&fresh, at, (size_t)(stop - at));
		at = stop ? stop + 1 : end;
	}
	if (!fine) {
		free_list(fresh.changes, fresh.change_count);
		return err_why(why, ERR_DAMAGED, "it is not as it was written");
	}
	settle(&fresh);
	free_list(r->entries, r->count);
	free_list(r->changes, r->change_count);
	*r = fresh;
	return ERR_OK;
}

/* --- files ---------------------------------------------------------------- */

static enum err load_one(struct roster *r, const char *path, struct why *why)
{
	struct file_bytes file = {0};
	enum err err = file_read(path, TEXT_MAX, &file, why);
	struct why text;

	if (err)
		return err;
	err = roster_parse(r, file.bytes, file.length, &text);
	file_bytes_release(&file);
	return err ? err_why(why, ERR_DAMAGED, "%s: %s", path, text.text) : ERR_OK;
}

enum err roster_load(struct roster *r, const char *path, const char *other, bool *mend, struct why *why)
{
	struct roster *second = roster_new();
	struct why first_why, second_why;
	enum err first = second ? load_one(r, path, &first_why) : ERR_NOMEM, other_err;

	if (!second)
		return err_why(why, ERR_NOMEM, "out of memory");
	other_err = load_one(second, other, &second_why);
	*mend = first != other_err || (!first && r->version != second->version);
	why->text[0] = 0;
	if (first && first != ERR_NOTFOUND)
		*why = first_why;
	else if (other_err && other_err != ERR_NOTFOUND)
		*why = second_why;
	if (!other_err && (first || second->version > r->version)) {
		struct roster swap = *r;

		*r = *second;
		*second = swap;
	}
	roster_free(second);
	return why->text[0] && first && other_err ? ERR_DAMAGED : ERR_OK;
}

enum err roster_write(const char *path, const char *text, size_t length, struct why *why)
{
	struct file_replace file;
	enum err err = file_replace_begin(&file, path, why);

	if (err)
		return err;
	while (length) {
		size_t n = length < FILE_ROOM_MAX ? length : FILE_ROOM_MAX;
		char *room = file_replace_room(&file, n);

		if (!room)
			break;
		memcpy(room, text, n);
		file_replace_advance(&file, n);
		text += n;
		length -= n;
	}
	return file_replace_commit(&file, why);
}
