/* run/disk: the one thread that reads and writes files and the database, so that the event loop never waits for a disk. Jobs
 * are done in the order given; each result comes back on the event loop. All calls are made from the loop's thread.
 */
#ifndef RUN_DISK_H
#define RUN_DISK_H

#include "base/err.h"
#include "zone/build.h"
#include "zone/journal.h"
#include "zone/zone.h"

struct event_base;
struct disk;
struct disk_work;

/* How a job went; shown to its callback, owned by run/disk. */
struct disk_result {
	enum err err;
	struct why why;
	struct zone *version;        /* load: held once, for the callee to take (set to NULL) or lose */
	int64_t modified;            /* load: the file's time before it was read, seconds since 1970 */
	uint32_t ms;
	struct disk_work *work;      /* disk_call: what did it, still whole */
};
typedef void disk_done(void *ctx, struct disk_result *);

/* `journal` is borrowed, and used by this thread alone from now on. NULL: no memory or no thread. */
struct disk *disk_new(struct event_base *, struct journal *);
/* Finishes every job in the queue, calling back no more, and ends the thread. The journal is the caller's. */
void disk_free(struct disk *);
/* Each returns at once; without memory for the job, `done` is called before it does, with ERR_NOMEM. */
void disk_load(struct disk *, const char *path, const uint8_t *apex, struct build_limits, disk_done *, void *ctx);
/* Holds the version until written. */
void disk_write(struct disk *, const char *path, struct zone *version, disk_done *, void *ctx);
/* Takes over `rows` (malloc'd), and writes them as one transaction. `done` may be NULL: an error is logged in any case. */
void disk_rows(struct disk *, struct journal_zone *rows, size_t count, disk_done *, void *ctx);
/* `done` is called when all jobs given before are done, and their callbacks have been called. */
void disk_mark(struct disk *, disk_done *, void *ctx);
/* Something else that must not make the loop wait: `run` is called on the disk's thread, `free` once, after `done`. */
struct disk_work {
	enum err (*run)(struct disk_work *, struct why *);
	void (*free)(struct disk_work *);
};
void disk_call(struct disk *, struct disk_work *, disk_done *, void *ctx);
/* The zone's row goes. */
void disk_forget(struct disk *, const uint8_t *name);
/* Results for this context are dropped from now on (the jobs are done all the same). */
void disk_disown(struct disk *, void *ctx);

#endif
