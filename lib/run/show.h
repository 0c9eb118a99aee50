/* run/show: the daemon's result documents, printed for people (on a terminal) and for scripts (tab-separated).
 * Whatever is printed has its control characters escaped. The documents' members may be absent or null.
 */
#ifndef RUN_SHOW_H
#define RUN_SHOW_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct show {
	FILE *out;
	bool terminal;               /* aligned columns, times for people */
	bool color;
};
/* For a stream: a terminal or not; colour unless NO_COLOR is set. */
struct show show_of(FILE *);

/* Text with control characters as \DDD; keeps UTF-8. */
void show_text(FILE *, const char *text);

/* The done documents. `full`: one zone was named. */
void show_status(const struct show *, const json_t *done, bool full, bool summary);
/* The table in pieces, as they come; not for a terminal, whose columns are as wide as the widest. `heading`: the first one. */
void show_status_piece(const struct show *, const json_t *zones, bool heading);
/* What follows the table. */
void show_status_end(const struct show *, const json_t *done);
void show_transfer(const struct show *, const json_t *done);
void show_count(const struct show *, const json_t *done, const char *verb);   /* refresh, notify, write */
void show_reload(const struct show *, const json_t *done);
void show_stats(const struct show *, const json_t *done);

/* One line, replaced by the next one (on a terminal). */
void show_progress(FILE *, const json_t *progress);
/* So does this: how much of all is done, and what is said of it. */
void show_bar(FILE *, uint64_t done, uint64_t all, const char *text);
void show_progress_end(FILE *);

#endif
