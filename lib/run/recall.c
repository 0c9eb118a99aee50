#include "run/recall.h"

#include "base/file.h"
#include "check/report.h"
#include "run/path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	PATH_SIZE = 4096,
	FILE_MAX = 8 << 20,
	KEY_SIZE = 2048,
};

static const char *text_of(const json_t *finding, const char *member)
{
	const char *text = json_string_value(json_object_get(finding, member));

	return text ? text : "";
}

/* --- a result ------------------------------------------------------------------ */

void recalled_release(struct recalled *r)
{
	free(r->text);
	free(r->worst);
	*r = (struct recalled){0};
}

/* Findings that are critical come first. */
static char *worst_of(const json_t *result)
{
	const json_t *findings = json_object_get(result, "findings"), *first = json_array_get(findings, 0);
	json_int_t more = (json_int_t)json_array_size(findings) - 1 + json_integer_value(json_object_get(result, "more"));
	char tail[40] = "", *text = NULL;

	if (strcmp(text_of(first, "severity"), "critical") != 0)
		return NULL;
	if (more > 0)
		snprintf(tail, sizeof tail, " (and %lld more)", (long long)more);
	if (asprintf(&text, "check: %s%s%s%s%s%s", text_of(first, "id"), *text_of(first, "server") ? " " : "", text_of(first, "server"),
		*text_of(first, "address") ? " " : "", text_of(first, "address"), tail) < 0)
		return NULL;
	return text;
}

bool recall_make(json_t *result, int64_t at, struct recalled *out)
{
	char *text = result ? json_dumps(result, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(6)) : NULL;

	*out = (struct recalled){.text = text, .worst = text ? worst_of(result) : NULL, .at = at};
	return text != NULL;
}

/* --- the file ------------------------------------------------------------------ */

static enum err path_of(const struct conf *conf, const uint8_t *zone, char out[PATH_SIZE], struct why *why)
{
	int n = snprintf(out, PATH_SIZE, "%s/checked/", conf->server.state_dir);

	if (n > 0 && n < PATH_SIZE && path_expand("%s", zone, out, PATH_SIZE))
		return ERR_OK;
	return err_why(why, ERR_LIMIT, "%s: its path is too long", conf->server.state_dir);
}

/* Only what is understood goes on. NULL: it is not what was kept of the zone. */
static json_t *understood(const json_t *kept, const uint8_t *zone)
{
	struct verdict *verdict = report_verdict_of(kept, 0);
	struct report_zone report = {NULL, verdict, NULL};
	char name[NAME_TEXT_SIZE];
	json_t *result = NULL;

	if (verdict && strcmp(verdict->zone, name_text(zone, name)) == 0) {
		verdict->kept = false;
		report.name = verdict->zone;
		result = report_kept_of(&report);
		report_kept_cut(result, RECALL_FINDINGS_MAX);
	}
	verdict_free(verdict);
	return result;
}

enum err recall_read(const struct conf *conf, const uint8_t *zone, int64_t now, struct recalled *out, struct why *why)
{
	char path[PATH_SIZE];
	struct file_bytes file;
	json_t *kept, *result;
	json_int_t at;
	enum err err = path_of(conf, zone, path, why);

	*out = (struct recalled){0};
	if (!err)
		err = file_read(path, FILE_MAX, &file, why);
	if (err)
		return err == ERR_NOTFOUND ? ERR_OK : err;
	kept = json_loadb(file.bytes, file.length, 0, NULL);
	file_bytes_release(&file);
	at = json_integer_value(json_object_get(kept, "at"));
	result = at > 0 ? understood(kept, zone) : NULL;
	if (!recall_make(result, at < now ? at : now, out))
		err = err_why(why, ERR_DAMAGED, "%s: this is not the last result of the zone's checks", path);
	json_decref(kept);
	json_decref(result);
	return err;
}

static void put(struct file_replace *file, const char *text, size_t length)
{
	while (length) {
		size_t part = length < FILE_ROOM_MAX ? length : FILE_ROOM_MAX;
		char *room = file_replace_room(file, part);

		if (!room)
			return;
		memcpy(room, text, part);
		file_replace_advance(file, part);
		text += part;
		length -= part;
	}
}

/* The text is an object with members. */
enum err recall_write(const struct conf *conf, const uint8_t *zone, const struct recalled *r, struct why *why)
{
	char path[PATH_SIZE], head[40];
	struct file_replace file;
	enum err err = path_of(conf, zone, path, why);

	if (!err)
		err = file_mkparent(path, why);
	if (!err)
		err = file_replace_begin(&file, path, why);
	if (err)
		return err;
	snprintf(head, sizeof head, "{\"at\":%lld,", (long long)r->at);
	put(&file, head, strlen(head));
	put(&file, r->text + 1, strlen(r->text + 1));
	put(&file, "\n", 1);
	return file_replace_commit(&file, why);
}

enum err recall_remove(const struct conf *conf, const uint8_t *zone, struct why *why)
{
	char path[PATH_SIZE];
	enum err err = path_of(conf, zone, path, why);

	return err ? err : file_remove(path, why);
}

/* --- what is different ------------------------------------------------------------ */

/* What makes it the same one from check to check. */
static bool key_of(const json_t *finding, char key[KEY_SIZE])
{
	return snprintf(key, KEY_SIZE, "%s|%s|%s|%s|%s|%s", text_of(finding, "id"), text_of(finding, "severity"), text_of(finding, "server"),
		text_of(finding, "address"), text_of(finding, "owner"), text_of(finding, "type")) < KEY_SIZE;
}

static json_t *keys_of(const json_t *result)
{
	json_t *keys = json_object(), *finding;
	char key[KEY_SIZE];
	size_t i;

	json_array_foreach(json_object_get(result, "findings"), i, finding)
		if (key_of(finding, key))
			json_object_set_new(keys, key, json_true());
	return keys;
}

json_t *recall_difference(const json_t *from, const json_t *other, size_t most, size_t *count)
{
	json_t *keys = keys_of(other), *list = json_array(), *finding;
	char key[KEY_SIZE];
	size_t i;

	*count = 0;
	json_array_foreach(json_object_get(from, "findings"), i, finding) {
		if (!key_of(finding, key) || json_object_get(keys, key))
			continue;
		json_object_set_new(keys, key, json_true());
		if ((*count)++ < most)
			json_array_append(list, finding);
	}
	json_decref(keys);
	return list;
}
