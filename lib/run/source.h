/* run/source: the text of the configuration file together with the files that it includes, as any libconfig
 * since 1.5 reads it the same way, and where each of its lines came from. What libconfig 1.5 does not do is done
 * here: a comma may stand after a list's last element, integers beyond 32 bits are not cut in silence, and
 * @include "FILE" takes absolute paths, others relative to the configuration file. Comments are left out.
 * A long list of zones is not parsed at once: libconfig would hold all of it, and needs far longer for it.
 */
#ifndef RUN_SOURCE_H
#define RUN_SOURCE_H

#include "base/err.h"

#include <stddef.h>

struct source_piece;
struct source_part;

struct source {
	char *text;                  /* malloc'd, NUL at the end */
	size_t length, room;
	unsigned line;               /* of the text's end */
	struct source_piece *pieces; /* by line */
	size_t piece_count, piece_room;
	char **files;                /* names as they are shown, malloc'd */
	size_t file_count;
	/* The list that is read in parts: */
	const char *list;            /* its name */
	int list_state;
	unsigned depth, elements;    /* brackets that are open; elements of the part so far */
	struct source_part *parts;   /* what stands in the list behind the text's own part of it; empty lines are left in its place */
	size_t part_count, part_room;
	char *open;                  /* the part that lines are of; NULL: the text */
	unsigned open_line;          /* its first line */
};

/* Reads `path`; includes are sought in `dir`. `list` names a setting of the file (at its root) that is read in parts if it is a long list. Errors:
 * as file_read, or ERR_CONF with "FILE:LINE: what". The source must be released in either case. */
enum err source_read(struct source *, const char *path, const char *dir, const char *list, struct why *);
void source_release(struct source *);
/* The next elements of the list, as a setting of its name; they may be none. Lines are those of this text until it is closed. NULL: out of memory. */
const char *source_open_part(struct source *, size_t);
void source_close_part(struct source *);

/* Where a line of the text (from 1), or of the part that is open, stands. The name lives as long as the source. */
void source_where(const struct source *, unsigned line, const char **file, unsigned *file_line);
/* The first word of a line, to say what is near an error; empty if it begins otherwise. */
void source_word(const struct source *, unsigned line, char out[64]);

#endif
