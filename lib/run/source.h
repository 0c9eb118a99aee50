/* run/source: the text of the configuration file together with the files that it includes, as any libconfig
 * since 1.5 reads it the same way, and where each of its lines came from. What libconfig 1.5 does not do is done
 * here: a comma may stand after a list's last element, integers beyond 32 bits are not cut in silence, and
 * @include "FILE" takes absolute paths, others relative to the configuration file. Comments are left out.
 */
#ifndef RUN_SOURCE_H
#define RUN_SOURCE_H

#include "base/err.h"

#include <stddef.h>

struct source_piece;

struct source {
	char *text;                  /* malloc'd, NUL at the end */
	size_t length, size;
	unsigned line;               /* of the text's end */
	struct source_piece *pieces; /* by line */
	size_t piece_count, piece_size;
	char **files;                /* names as they are shown, malloc'd */
	size_t file_count;
};

/* Reads `path`; includes are sought in `dir`. Errors: as file_read, or ERR_CONF with "FILE:LINE: what". The source must
 * be released in either case. */
enum err source_read(struct source *, const char *path, const char *dir, struct why *);
void source_release(struct source *);

/* Where a line of the text (from 1) stands. The name lives as long as the source. */
void source_where(const struct source *, unsigned line, const char **file, unsigned *file_line);
/* The first word of a line, to say what is near an error; empty if it begins otherwise. */
void source_word(const struct source *, unsigned line, char out[64]);

#endif
