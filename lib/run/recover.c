#include "run/recover.h"

#include "base/log.h"
#include "zone/zonefile.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void say(const struct recover_zone *z, enum log_level level, const char *event, const char *key, const char *value, const char *why)
{
	char text[NAME_TEXT_SIZE];
	struct log log;

	log_begin(&log, level, event);
	log_str(&log, "zone", name_text(z->name, text));
	log_str(&log, key, value);
	log_str(&log, "why", why);
	log_end(&log);
}

static void say_copy(struct copies *c, const struct recover_zone *z, const char *copy, const char *why)
{
	say(z, LOG_LEVEL_ERROR, "zone-copy-damaged", "copy", copy, why);
	copies_note_damage(c, 1);
}

static void say_file(struct recover_zone *z, enum recover_file is, const char *why)
{
	z->file_is = is;
	switch (is) {
	case RECOVER_FILE_GOOD:
		break;
	case RECOVER_FILE_MISSING:
		say(z, LOG_LEVEL_WARNING, "zone-file-missing", "file", z->path, why);
		break;
	case RECOVER_FILE_DAMAGED:
		say(z, LOG_LEVEL_ERROR, "zone-file-damaged", "file", z->path, why);
		break;
	case RECOVER_FILE_EDITED:
		say(z, LOG_LEVEL_WARNING, "zone-file-edited", "file", z->path, why);
		break;
	}
}

/* The image's version; NULL: there is none, or it is damaged. Its octets are gone then. */
static struct zone *build_image(struct copies *c, struct recover_zone *z, struct found *f, const char *copy)
{
	struct image_reader *reader = f->image.count ? image_reader_new(z->name, z->limits) : NULL;
	struct zone *version = NULL;
	struct why why = {{0}};
	enum err err = ERR_OK;

	if (!reader)
		return NULL;
	for (size_t i = 0; i < f->image.count && !err; i++) {
		err = image_reader_put(reader, &f->image.piece[i], &why);
		free((void *)f->image.piece[i].bytes);
		f->image.piece[i].bytes = NULL;
	}
	if (err)
		image_reader_free(reader);
	else
		err = image_reader_finish(reader, &version, &why);
	found_clear_image(&f->image);
	if (err)
		say_copy(c, z, copy, err_say(&why, err));
	return err ? NULL : version;
}

/* The steps from `i` on that follow on each other, as one. */
static size_t run_of(const struct found *f, size_t i)
{
	size_t n = 1;

	while (i + n < f->step_count && serial_equal(diff_to(f->steps[i + n - 1]), diff_from(f->steps[i + n])))
		n++;
	return n;
}

/* Applies `n` steps at once; false: the version stays as it was. */
static bool apply(struct copies *c, struct recover_zone *z, struct zone **version, struct diff *const *steps, size_t n)
{
	struct diff *joined = NULL;
	struct zone *next;
	struct why why = {{0}};
	enum err err = n > 1 ? diff_join(steps, n, 0, &joined) : ERR_OK;

	if (!err)
		err = diff_apply(*version, joined ? joined : steps[0], z->limits, &next, &why);
	diff_drop(joined);
	if (err) {
		say_copy(c, z, "steps", err_say(&why, err));
		return false;
	}
	zone_put(*version);
	*version = next;
	return true;
}

/* Goes on from the version with the steps from `at` on. */
static void follow(struct copies *c, struct recover_zone *z, struct zone **version, const struct found *f, size_t at)
{
	for (size_t i = at, n; *version && i < f->step_count; i += n) {
		n = run_of(f, i);
		while (n > 1 && !serial_equal(diff_from(f->steps[i]), (*version)->serial)) {
			i++;
			n--;
		}
		if (serial_equal(diff_from(f->steps[i]), (*version)->serial) && !apply(c, z, version, f->steps + i, n))
			break;
	}
}

static bool is_at(const struct zone *version, struct serial serial)
{
	return version && serial_equal(version->serial, serial);
}

static void mark_file(struct recover_zone *z)
{
	z->mark = file_mark_of(z->path, &z->modified);
}

/* The zone file, if it can be read. */
static struct zone *read_file(struct recover_zone *z)
{
	struct zone *version = NULL;

	if (!z->path)
		return NULL;
	mark_file(z);
	z->err = zonefile_load_digest(z->path, z->name, z->limits, &version, &z->digest, &z->why);
	return z->err ? NULL : version;
}

/* The version that the zone file and the log lead to. */
static struct zone *second_copy(struct copies *c, struct recover_zone *z, struct found *log)
{
	struct zone *version = build_image(c, z, log, "log");

	follow(c, z, &version, log, 0);
	if (version && log->has_last && is_at(version, log->last))
		return version;
	zone_put(version);
	version = read_file(z);
	z->from_file = version != NULL;
	if (version) {
		z->file_known = true;
		z->written = version->serial;
	}
	follow(c, z, &version, log, 0);
	return version;
}

/* Of two versions the one that was served last: the one that the database's row names, else the newer one. */
static struct zone *newer_of(struct zone *a, struct zone *b, const struct found_row *row)
{
	bool take_b = b && (!a || serial_newer(b->serial, a->serial));

	if (a && b && row->has_serial && is_at(a, row->serial) != is_at(b, row->serial))
		take_b = is_at(b, row->serial) && !serial_newer(a->serial, b->serial);
	zone_put(take_b ? a : b);
	return take_b ? b : a;
}

static void take_steps(struct recover_zone *z, struct found *f)
{
	z->steps = f->steps;
	z->step_count = f->step_count;
	f->steps = NULL;
	f->step_count = 0;
}

/* The database has nothing newer than the log has; or it is asked for the rest. */
static void go_on_from_log(struct copies *c, struct recover_zone *z, struct found *database, struct zone **version)
{
	struct found log = {0};
	struct serial newest;
	bool there = copies_log_newest(c, z->name, &newest);

	if (*version && (!there || is_at(*version, newest)))
		return;
	copies_find_in_log(c, z->name, &log);
	if (log.damage[0])
		say_copy(c, z, "log", log.damage);
	if (*version)
		follow(c, z, version, &log, 0);
	if (!*version || (there && !is_at(*version, newest)))
		*version = newer_of(*version, second_copy(c, z, &log), &database->row);
	if (!z->steps && log.step_count)
		take_steps(z, &log);
	found_release(&log);
}

/* File and log lead to the version. Where there was damage in the log each step of the way is looked at. */
static bool log_has(struct copies *c, struct recover_zone *z)
{
	struct found log = {0};
	struct serial newest, begins;
	bool whole;

	if (!copies_log_newest(c, z->name, &newest))
		return z->file_known && is_at(z->version, z->written);
	if (!is_at(z->version, newest) || !copies_log_suspect(c))
		return is_at(z->version, newest);
	copies_find_in_log(c, z->name, &log);
	begins = log.image.count ? log.image.serial : z->written;
	whole = !log.damage[0] && (log.image.count || (log.step_count && z->file_known));
	if (whole && log.step_count)
		whole = serial_equal(diff_from(log.steps[0]), begins) && run_of(&log, 0) == log.step_count;
	whole = whole && is_at(z->version, log.step_count ? diff_to(log.steps[log.step_count - 1]) : begins);
	found_release(&log);
	return whole;
}

/* --- a file that the database does not know of --- */

static bool note_path(const char *path, char out[4096])
{
	return (size_t)snprintf(out, 4096, "%s.lockstep-note", path) < 4096;
}

enum err recover_note_file(const char *path, struct file_digest digest, struct why *why)
{
	struct file_replace file;
	char name[4096], *room;
	enum err err;

	if (!note_path(path, name))
		return err_why(why, ERR_CONF, "%s: the path is too long", path);
	err = file_replace_begin(&file, name, why);
	if (err)
		return err;
	room = file_replace_room(&file, 64);
	if (room)
		file_replace_advance(&file, (size_t)snprintf(room, 64, "%016" PRIx64 " %" PRIu64 "\n", digest.sum, digest.size));
	return file_replace_commit(&file, why);
}

void recover_drop_note(const char *path)
{
	char name[4096];

	if (note_path(path, name))
		unlink(name);
}

/* What the note beside the file says; false: there is none. */
static bool read_note(const char *path, struct file_digest *digest)
{
	struct file_bytes file;
	struct why why;
	char name[4096];
	bool good;

	if (!note_path(path, name) || access(name, F_OK) < 0 || file_read(name, 64, &file, &why))
		return false;
	good = sscanf(file.bytes, "%16" SCNx64 " %20" SCNu64, &digest->sum, &digest->size) == 2;
	file_bytes_release(&file);
	return good;
}

/* The database may have fallen behind: then the zone file may be newer. */
static void look_at_file(struct recover_zone *z, const struct found *database)
{
	static const struct found_row unknown;
	const struct found_row *row = &database->row;
	struct zone *file, *before = z->version;
	struct file_digest note;
	bool noted;

	if (z->from_file || !z->path || !before)
		return;
	noted = read_note(z->path, &note);
	if (!noted && (z->apart || (row->known && !database->damage[0] && (!row->has_serial || is_at(before, row->serial)))))
		return;
	file = read_file(z);
	if (!file)
		return;
	noted = noted && file_digest_equal(note, z->digest);
	z->version = newer_of(before, file, noted ? &unknown : row);
	z->from_file = z->version == file;
	z->file_known = z->from_file;
	if (z->from_file)
		z->written = file->serial;
}

static void load_one(struct copies *c, struct recover_zone *z, struct found *database)
{
	const struct found_row *row = &database->row;
	struct file_digest note;
	struct serial newest;
	bool in_database;

	if (database->damage[0])
		say_copy(c, z, "database", database->damage);
	z->version = build_image(c, z, database, "database");
	follow(c, z, &z->version, database, database->first);
	in_database = z->version && database->whole;
	if (in_database)
		take_steps(z, database);
	newest = z->version ? z->version->serial : (struct serial){0};
	go_on_from_log(c, z, database, &z->version);
	look_at_file(z, database);
	z->in_database = in_database && is_at(z->version, newest);
	if (row->known && !z->from_file) {
		z->file_known = row->file_known;
		z->written = row->written;
		z->digest = row->file;
	} else if (row->file_known && !read_note(z->path, &note) && !file_digest_equal(z->digest, row->file)) {
		say_file(z, RECOVER_FILE_EDITED, "it is not what was written, and there is nothing else: it is taken as it is");
	}
	if (z->version && !(z->from_file && is_at(z->version, z->written)))
		z->modified = copies_state_time(c);
	z->in_log = z->version && log_has(c, z);
	if (z->apart) {              /* and what the log has must not begin with the file */
		z->in_log = z->in_log && !z->from_file && !row->file_known;
		z->file_known = false;
	}
	if (!z->version && z->err && z->err != ERR_NOTFOUND)
		z->file_is = RECOVER_FILE_DAMAGED;
	if (z->version)
		z->err = ERR_OK;
	else if (!z->err)
		z->err = database->damage[0] ? err_why(&z->why, ERR_DAMAGED, "%s", database->damage) : ERR_NOTFOUND;
}

void recover_load(struct copies *c, struct recover_zone *const *zones, size_t count)
{
	const uint8_t **names = malloc((count + 1) * sizeof *names);
	struct found *found = names ? calloc(count + 1, sizeof *found) : NULL;

	for (size_t i = 0; i < count && names; i++)
		names[i] = zones[i]->name;
	for (size_t i = 0; i < count && !found; i++)
		zones[i]->err = err_why(&zones[i]->why, ERR_NOMEM, "out of memory");
	for (size_t i = 0, end = 0; i < count && found; i++) {
		if (i == end)
			end += copies_find(c, names + i, found + i, count - i);
		load_one(c, zones[i], &found[i]);
		found_release(&found[i]);
	}
	free(found);
	free(names);
}

/* The file holds this very version, whoever wrote it. */
static bool same_content(const struct zone *version, const struct zone *file)
{
	struct diff *diff = NULL;
	bool same = serial_equal(version->serial, file->serial) && diff_make(version, file, 0, &diff) == ERR_OK && diff_is_empty(diff);

	diff_drop(diff);
	return same;
}

/* It is another one than we wrote: by hand, by damage, or by ourselves before a kill kept us from noting it. */
static void look_into(struct recover_zone *z)
{
	struct zone *file = NULL;
	enum err err = zonefile_load_digest(z->path, z->name, z->limits, &file, &z->digest, &z->why);

	z->file_bad = err || !same_content(z->version, file);
	if (err)
		say_file(z, RECOVER_FILE_DAMAGED, err_say(&z->why, err));
	else if (z->file_bad)
		say_file(z, RECOVER_FILE_EDITED, "it is not what was written: it is not taken, and written anew");
	if (!err && z->file_bad)
		err_why(&z->why, ERR_MISMATCH, "%s: it was edited, which is not taken", z->path);
	z->file_known = !z->file_bad;
	if (!z->file_bad)
		z->written = z->version->serial;
	z->file_other = !err && z->file_bad && serial_equal(file->serial, z->version->serial);
	zone_put(file);
}

void recover_check_file(struct recover_zone *z)
{
	struct file_bytes file;
	bool same;
	enum err err;

	z->why.text[0] = 0;
	mark_file(z);
	err = file_read(z->path, 0, &file, &z->why);
	if (err == ERR_NOTFOUND && !z->file_known)
		return;
	same = !err && z->file_known && file_digest_equal(file_digest_of(file.bytes, file.length), z->digest);
	if (!err)
		file_bytes_release(&file);
	if (!err && !same)
		look_into(z);
	if (!err)
		return;
	z->file_bad = true;
	z->file_known = false;
	say_file(z, err == ERR_NOTFOUND ? RECOVER_FILE_MISSING : RECOVER_FILE_DAMAGED, err_say(&z->why, err));
}

void recover_zone_release(struct recover_zone *z)
{
	zone_put(z->version);
	for (size_t i = 0; i < z->step_count; i++)
		diff_drop(z->steps[i]);
	free(z->steps);
	z->version = NULL;
	z->steps = NULL;
	z->step_count = 0;
}
