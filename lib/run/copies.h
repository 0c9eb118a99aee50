/* run/copies: the two copies of every version that was served, each enough to serve it again:
 *
 *     the database (zone/journal)            image + steps, and the zone's row
 *     the zone file, and behind it the log   (zone/steplog) image or steps, until the file holds them
 *
 * A version is durable when one of them has it, in the ordinary way both; a copy that has not is mended with the next version, or by copies_mend. Nothing
 * here knows of zones in service: versions come with what they follow on, and go to who asks for them.
 * Used by run/disk: commits on one thread, loading on others.
 */
#ifndef RUN_COPIES_H
#define RUN_COPIES_H

#include "base/err.h"
#include "base/file.h"
#include "zone/diff.h"
#include "zone/journal.h"

struct copies;

/* Opens both. What cannot be opened is done without, said in the log and by copies_health, and tried again later. ERR_EXISTS (another process
 * has it) and ERR_NOMEM alone are errors. */
enum err copies_open(struct copies **, const char *state_dir, struct why *);
void copies_close(struct copies *);          /* NULL is allowed */
/* Each row of the database. */
enum err copies_rows(struct copies *, void (*each)(void *ctx, const struct journal_row *), void *ctx, struct why *);

enum copies_kind {
	COPIES_ROW,                  /* the row alone */
	COPIES_VERSION,              /* a new version, and the row */
	COPIES_MEND,                 /* a version that was durable once, to where it is not now; and the row, if there is one */
	COPIES_FORGET,               /* the zone is gone */
};
/* What a version is brought to: to the log only if it does not lead there, or anew, as a whole, in any case. */
enum copies_mend { COPIES_MEND_DATABASE = 1, COPIES_MEND_LOG = 2, COPIES_MEND_LOG_ANEW = 4 };
struct copies_change {
	enum copies_kind kind;
	const uint8_t *name;
	const struct journal_row *row;       /* NULL: it stays */
	struct zone *version;
	struct zone *old;            /* VERSION: the one before; NULL: none */
	unsigned mend;               /* MEND: of enum copies_mend */
	/* Out: */
	enum err err;
	struct why why;
	struct diff *diff;           /* VERSION: from the one before to this one, held; NULL: a whole zone is smaller */
};
/* All of them, durable together; each says how it went. On the thread of commits. `early` is called for each new version that is in the log,
 * and so durable, when the database has still to be written: its diff is there then, and it will have ended well. */
void copies_commit(struct copies *, struct copies_change *, size_t count, void (*early)(void *ctx, size_t change), void *ctx);
/* What need not be waited for: large images that one of the copies lacks yet. When what copies_commit gave has been passed on. */
void copies_settle(struct copies *);
/* When nothing has been committed for a moment. */
void copies_idle(struct copies *);
/* What is to be mended now that it can be written (again), of enum copies_mend; 0: nothing. `name`: of that zone; NULL: of all, with their rows. Called
 * until it says 0. */
unsigned copies_to_mend(struct copies *, uint8_t name[NAME_SIZE], bool *all);
/* The zones whose versions keep the log large: their zone files are to be written, or they are to be mended. */
void copies_pinning(struct copies *, bool (*each)(void *ctx, const uint8_t *name), void *ctx);

/* One zone as it was served last. */
struct copies_zone {
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
	bool file_bad;               /* it is missing, damaged, or was edited: to be written anew */
	bool file_other;             /* bad, as it has other content under the version's serial */
	struct serial written;
	struct file_digest digest;
	struct file_mark mark;       /* of the file, before it was read */
	int64_t modified;            /* the time of the file that the version was in, seconds since 1970; 0: not known */
};
/* So many zones, which are in memory twice until it returns. Any thread. */
void copies_load(struct copies *, struct copies_zone *const *zones, size_t count);
void copies_zone_release(struct copies_zone *);      /* what is still there */
/* Whether the zone file is what we wrote, where the version did not come from it: reads it, and sets what of the above is of the file; why, where it is
 * bad. Any thread. */
void copies_check_file(struct copies_zone *);

/* The zone file with this digest holds a version that was served, though the database does not know of it: noted beside the file, durably, so that it
 * is not taken for one that was edited. And where the database knows it: the note goes. Any thread. */
enum err copies_note_file(const char *path, struct file_digest, struct why *);
void copies_drop_note(const char *path);

/* For status: what is wrong with each; empty: nothing. Any thread. */
struct copies_health {
	char database[WHY_MAX], log[WHY_MAX];
	bool database_open, log_open;
	uint64_t commits, failed, begun_anew;
};
void copies_health(struct copies *, struct copies_health *);

#endif
