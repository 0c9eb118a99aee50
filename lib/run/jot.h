/* run/jot: one line of JSON, put together from front to back in one block of memory: for what is said of very many zones, where a
 * tree of objects would cost ten times as much. Knows of no meaning. An instance is used by one thread.
 *
 *     jot_open(&j, NULL, '{'); jot_text(&j, "zone", "example.");
 *     jot_open(&j, "list", '['); jot_int(&j, NULL, 7); jot_close(&j, ']'); jot_close(&j, '}');
 */
#ifndef RUN_JOT_H
#define RUN_JOT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed at first. Without memory it goes on, and jot_line tells. */
struct jot {
	char *bytes;
	size_t used, room;
	bool more;                   /* a comma is due before the next member */
	bool failed;
};
void jot_release(struct jot *);
/* The line so far, with a NUL, as long as nothing is added; NULL: out of memory. */
const char *jot_line(const struct jot *);
void jot_clear(struct jot *);            /* keeps the memory */

/* `name`, in all of them: the member's, plain ASCII; NULL within a list, or for the whole. */
void jot_open(struct jot *, const char *name, char bracket);
void jot_close(struct jot *, char bracket);
/* NULL is null. What is not UTF-8 becomes U+FFFD. */
void jot_text(struct jot *, const char *name, const char *text);
void jot_int(struct jot *, const char *name, int64_t);
void jot_null(struct jot *, const char *name);
void jot_bool(struct jot *, const char *name, bool);
/* Takes over the value; NULL is null. */
void jot_json(struct jot *, const char *name, json_t *);

#endif
