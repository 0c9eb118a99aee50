/* run/recover: a zone as it was served last, from the two copies (run/copies) and the zone file: the newest version that one of them leads to, and
 * what the others lack. Any thread.
 *
 *     database: image + steps ─┐
 *     log: image, or steps ────┼─► the newest ─► what is to be mended
 *     zone file, and its note ─┘
 */
#ifndef RUN_RECOVER_H
#define RUN_RECOVER_H

#include "base/file.h"
#include "run/copies.h"
#include "zone/build.h"

/* What was found where the zone file should be. */
enum recover_file {
	RECOVER_FILE_GOOD,           /* what was written; or nobody has looked */
	RECOVER_FILE_MISSING,
	RECOVER_FILE_DAMAGED,        /* it cannot be read, or is no zone file of this zone */
	RECOVER_FILE_EDITED,         /* another one than was written */
};

/* One zone as it was served last. */
struct recover_zone {
	const uint8_t *name;
	const char *path;            /* of the zone file; NULL: none */
	struct build_limits limits;
	bool apart;                  /* the file holds what is made of the version: it is no copy, but better than nothing */
	/* Out: */
	enum err err;                /* ERR_NOTFOUND: it is nowhere, and never was; else there is something that cannot be read */
	struct why why;              /* also with ERR_OK: what was wrong */
	struct zone *version;        /* held */
	struct diff **steps;         /* that led to it, oldest first, held, in an array of its own */
	size_t step_count;
	bool from_file;              /* the file was read, and what it says is what `version` is or follows from */
	bool in_database, in_log;    /* the version is there (in the log: with the zone file); where it is not it is to be mended */
	bool file_known;             /* the zone file holds `written` */
	enum recover_file file_is;
	bool file_bad;               /* it is not good, and not taken: to be written anew */
	bool file_other;             /* bad, as it has other content under the version's serial */
	struct serial written;
	struct file_digest digest;
	struct file_mark mark;       /* of the file, before it was read */
	int64_t modified;            /* the time of the file that the version was in, seconds since 1970; 0: not known */
};
/* So many zones, which are in memory twice until it returns. Any thread. */
void recover_load(struct copies *, struct recover_zone *const *zones, size_t count);
void recover_zone_release(struct recover_zone *);      /* what is still there */
/* Whether the zone file is what we wrote, where the version did not come from it: reads it, and sets what of the above is of the
 * file; why, where it is bad. Any thread. */
void recover_check_file(struct recover_zone *);

/* The zone file with this digest holds a version that was served, though the database does not know of it: noted beside the file, durably, so that it
 * is not taken for one that was edited. And where the database knows it: the note goes. Any thread. */
enum err recover_note_file(const char *path, struct file_digest, struct why *);
void recover_drop_note(const char *path);

#endif
