/* run/key: a group of the configuration file, read into a struct and printed from it by one table of its keys.
 * It knows libconfig and how to say what is wrong where. The kinds of values are in run/kind, the keys in run/conf.
 * Everything read lies in the reader's arena, equal things once, so that equal structs are equal octets.
 */
#ifndef RUN_KEY_H
#define RUN_KEY_H

#include "base/arena.h"
#include "base/err.h"
#include "run/source.h"

#include <libconfig.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct key;
struct key_reader;
struct key_writer;

/* How a value is read and printed. `read` checks the value and stores it in the field, or calls key_fail. `write` prints
 * name and value, or nothing where there is none. */
struct key_kind {
	bool (*read)(struct key_reader *, const struct key *, const config_setting_t *, void *base);
	void (*write)(struct key_writer *, const struct key *, const void *base);
};

struct key {
	const char *name;            /* NULL: the end of the table; "": a table in the same group (key_group) */
	const struct key_kind *kind;
	size_t at, count_at;         /* offsets in the struct; the second for lists */
	int64_t min, max;            /* numbers, times in seconds, sizes; lists: min is the fewest; addresses: max is the port
	                              * where none is given */
	const char *const *words;    /* what is allowed, NULL at the end */
	const struct key *table;     /* of a group */
	size_t from;                 /* run/ref: which index */
};

extern const struct key_kind key_group;   /* a struct within the struct; `table` */

struct key_reader {
	struct arena *arena;
	const struct source *source;
	const char *dir;             /* what relative paths are relative to; absolute */
	void *owner;                 /* for kinds that are not of this module */
	struct why *why;
	enum err err;                /* set by key_fail; the first stays */
	struct key_pool *pool;
};

/* The reader's pool; false (and err) without memory. key_reader_release does not touch the arena. */
bool key_reader_init(struct key_reader *);
void key_reader_release(struct key_reader *);

/* Reads all settings of the group into `base` (defaults are there already). Unknown keys are errors. */
bool key_read(struct key_reader *, const struct key *table, const config_setting_t *group, void *base);

/* Notes "FILE:LINE: KEY: ..." and returns false. After an error nothing else is noted. */
bool key_fail(struct key_reader *, const config_setting_t *, const char *format, ...) __attribute__((format(printf, 3, 4)));
bool key_no_memory(struct key_reader *);
/* "server.limits.connect": names from the root down, joined by dots. */
void key_place(const config_setting_t *, char out[128]);
/* " (did you mean \"NAME\"?)" if one of the names is close to the wrong one, else "". names: NULL at the end. */
const char *key_hint(const char *wrong, const char *const *names, char out[128]);

/* For kinds elsewhere. The value as text, or NULL and an error. */
const char *key_text_value(struct key_reader *, const config_setting_t *, const char *wanted);
/* "must be WANTED, but is ..." */
bool key_wrong_type(struct key_reader *, const config_setting_t *, const char *wanted);
/* The one copy of these octets; NULL and an error without memory. */
const void *key_keep(struct key_reader *, const void *bytes, size_t n);
const char *key_keep_text(struct key_reader *, const char *text);
/* An array or list: each element is read by `read` into `size` octets of one kept array, whose pointer and count are stored in the
 * fields of `key`. `unique`: none may be there twice; they are words then. */
typedef bool key_item(struct key_reader *, const struct key *, const config_setting_t *, void *item);
bool key_read_list(struct key_reader *, const struct key *, const config_setting_t *, void *base, size_t size, key_item *read,
	bool unique);

/* Printing, in libconfig's syntax or as JSON. */
struct key_writer {
	FILE *out;
	bool json;
	unsigned depth;
	bool first;                  /* nothing yet in this group or list */
};
void key_write(struct key_writer *, const struct key *table, const void *base);
/* `name` NULL: an element of a list. `kind`: '{' a group, '(' a list of groups, '[' a list of scalars, 0 a scalar (the caller
 * prints it between open and close). */
void key_write_open(struct key_writer *, const char *name, char kind);
void key_write_close(struct key_writer *, const char *name, char kind);
void key_write_text(struct key_writer *, const char *name, const char *value);
void key_write_number(struct key_writer *, const char *name, int64_t value);

#endif
