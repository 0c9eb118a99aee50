/* run/disk: the threads that read and write files and the database, so that the event loop never waits for a disk:
 *
 *     one for commits     all that waits is committed together (run/copies), then the callbacks are called
 *     some for files      zones are loaded, zone files are written; those of one zone in the order given
 *
 * Each result comes back on the event loop. All calls are made from the loop's thread.
 */
#ifndef RUN_DISK_H
#define RUN_DISK_H

#include "run/recover.h"

struct event_base;
struct disk;
struct disk_work;

/* How a job went; shown to its callback, owned by run/disk. */
struct disk_result {
	enum err err;
	struct why why;
	struct recover_zone *zone;    /* load, check: what was found. Its version and steps are for the callee to take (set to NULL) or lose */
	struct zone *version;        /* read: held once, for the callee to take or lose */
	/* Commit: how it differs from the version before; read: from the one given. To take, or lose; NULL: none was made. */
	struct diff *diff;
	struct file_digest digest;   /* write: of the file */
	int64_t modified;            /* read: the file's time before it was read, seconds since 1970; */
	struct file_mark mark;       /* its mark then; */
	bool unchanged;              /* that is the one that was known: it was not read */
	uint32_t ms;
	struct disk_work *work;      /* disk_call: what did it, still whole */
};
typedef void disk_done(void *ctx, struct disk_result *);

/* `copies` is borrowed, and used by these threads alone from now on. NULL: no memory or no thread. */
struct disk *disk_new(struct event_base *, struct copies *);
/* Finishes every job in the queue, calling back no more, and ends the threads. The copies are the caller's. */
void disk_free(struct disk *);
/* Called from the loop: a zone (NULL: all, with their rows) is to be mended, by disk_mend with `what`; a zone keeps the log large. */
void disk_set_hooks(struct disk *, void (*mend)(void *ctx, const uint8_t *name, unsigned what),
	void (*pinned)(void *ctx, const uint8_t *name), void *ctx);

/* Each returns at once; without memory for the job, `done` is called before it does, with ERR_NOMEM. What is given is copied or held. */

/* A zone as it was served last, from wherever it is (result.zone). `path` NULL: it has no file. `apart`: see struct recover_zone. */
void disk_load(struct disk *, const uint8_t *name, const char *path, bool apart, struct build_limits, disk_done *, void *ctx);
/* Whether the file is what was written when it held `written` (result.zone). `version` is the one that is served. */
void disk_check(struct disk *, const uint8_t *name, const char *path, struct build_limits, const struct recover_zone *loaded, struct zone *version,
	disk_done *, void *ctx);
/* A zone file that is somebody else's, unless it still has the mark `known` (zero: none is): its version, and how it differs from `old` (NULL: there
 * is none). */
void disk_read(struct disk *, const uint8_t *name, const char *path, struct build_limits, struct zone *old, struct file_mark known, disk_done *,
	void *ctx);
void disk_write(struct disk *, const char *path, struct zone *version, disk_done *, void *ctx);
/* The same for a version that is to be served with nothing else to bring it back: what tells the file from one that was edited is noted beside it. */
void disk_write_alone(struct disk *, const char *path, struct zone *version, disk_done *, void *ctx);
/* The same for a zone that goes, or before the end: the row follows by itself, with what is then known of the file. */
void disk_write_last(struct disk *, const char *path, struct zone *version, const struct journal_row *);
/* `version` is durable when `done` says so. `old`: the one before, or NULL. */
void disk_commit(struct disk *, const struct journal_row *, struct zone *old, struct zone *version, disk_done *, void *ctx);
/* A version that was durable is brought to what has lost it (enum copies_mend). */
void disk_mend(struct disk *, const struct journal_row *, struct zone *version, unsigned mend, disk_done *, void *ctx);
/* Takes over `rows`, an array of copies (journal_row_copy). */
void disk_rows(struct disk *, struct journal_row **rows, size_t count, disk_done *, void *ctx);
/* Nothing of the zone need be remembered. `done` may be NULL. */
void disk_forget(struct disk *, const uint8_t *name, disk_done *done, void *ctx);
/* Something else that must not make the loop wait, behind what was given before of this zone's files (NULL: of none): `run` is called on a thread of
 * files, `free` once, after `done`. */
struct disk_work {
	enum err (*run)(struct disk_work *, struct why *);
	void (*free)(struct disk_work *);
};
void disk_call(struct disk *, const uint8_t *name, struct disk_work *, disk_done *, void *ctx);
/* `done` is called when all jobs given before are done, and their callbacks have been called. */
void disk_mark(struct disk *, disk_done *, void *ctx);
/* Results for this context are dropped from now on (the jobs are done all the same). */
void disk_disown(struct disk *, void *ctx);
void disk_health(struct disk *, struct copies_health *);

#endif
