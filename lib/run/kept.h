/* run/kept: one zone of this daemon, as its parts share it: what is served of what came, by its ns-set; its row in the database; what led to its
 * version; who is told. The parts, upwards:
 *
 *     run/kept ◄── run/filing (its zone file is written) ◄── run/taking (a new version is taken) ◄── run/keep (all else, and what others see)
 *
 * Nobody else looks into struct keep. On the event loop's thread.
 */
#ifndef RUN_KEPT_H
#define RUN_KEPT_H

#include "base/log.h"
#include "run/disk.h"
#include "run/judge.h"
#include "run/wire.h"

#include <sys/queue.h>

struct keep;
struct notifier;
struct notify_wait;

struct keep_counters {
	uint64_t files_written, files_failed, files_missing, files_damaged, files_edited, files_mended;
	uint64_t loads, loads_failed, notifies_out, notifies_failed;
	struct secondary_counters xfer;
};

/* What all zones share. */
struct keep_env {
	struct event_base *loop;
	struct store *store;
	struct disk *disk;           /* NULL: it is gone, nothing is read or written any more */
	struct judge *judge;
	struct notifier *notifier;
	struct secondary_env secondary;
	struct keep_counters counters;
	uint32_t spread;             /* ms over which the first questions of all zones are spread */
	void (*row_changed)(struct keep_env *);      /* a zone's row is to be written, soon */
	void (*to_be_told)(struct keep_env *, const struct keep *);  /* it is served again: keep_tell is to follow */
	void (*catalog_changed)(struct keep_env *);  /* a catalog zone (of either kind) has been loaded, or taken */
	/* Between the parts of a zone, upwards: the file of what is pending is written, or cannot be; the time to read has come. */
	void (*file_done)(struct keep *, enum err, const struct why *);
	void (*read_due)(struct keep *);
	LIST_HEAD(, keep) changed;   /* whose rows are to be written */
	size_t changed_count;
};
/* Called once, from the loop; err and why of the whole. */
typedef void keep_done(void *ctx, struct keep *, enum err, const struct why *);
struct keep_waiter {
	struct keep_waiter *next;
	keep_done *done;
	void *ctx;
};

struct keep {
	LIST_ENTRY(keep) of_changed; /* while row_dirty */
	struct keep_env *env;
	const struct wired *wired;
	struct generation *generation;       /* that wired is of; held */
	struct store_zone *place;            /* NULL: not in the store yet, or no more */
	struct secondary *secondary;
	char *path;
	struct zone *pending;                /* a new version: judged, then made durable, then served */
	struct diff *pending_diff;           /* how it differs from the one before; NULL: not known */
	enum { NOTHING_PENDING, JUDGING, COMMITTING, WRITING } pending_is;
	bool alone;                          /* what is pending could not be committed: its file must do */
	bool judges_signatures;              /* what is pending is judged by its signatures too */
	const struct zone *validated;        /* the last one that passed so; to be compared, not looked into */
	struct zone *file_version;           /* source = "file": what is served */
	struct disk_result *read;            /* source = "file": what was read and is being judged; NULL: nothing */
	struct history *history;             /* what led to the version; NULL: nothing is known */
	struct timer sync;                   /* the file is to be written, or read */
	struct keep_waiter *write_waiters, *load_waiters;
	struct notify_wait *notify_waits;
	struct journal_row row;
	bool unsure;                         /* the version's serial has stood for other content too */
	bool written_apart;                  /* the zone file holds `row.written` as it is served, which is not as it came */
	bool write_stale;                    /* what is being written is not what the file is to hold any more */
	bool guessed;                        /* the version is what was served, found in the zone file alone: not what came */
	bool ns_ahead;                       /* another NS set was configured, but the serial is that of the one before */
	bool row_committed;                  /* the row that went with what is pending is the last one that was written */
	bool row_dirty, writing, write_again, loading, load_again, started, held, begun;
	bool timed : 1, file_bad : 1;        /* file_bad: the file was not what was written, and has not been written anew */
	uint8_t mend_later : 3;              /* of enum copies_mend: when what is pending is served, or not */
	bool told;                           /* NOTIFY was sent: */
	struct serial told_serial, writing_serial;
	int64_t told_at;
	struct file_mark file;               /* as we read or wrote it */
	int64_t loaded, written_at;          /* seconds since 1970; 0: not known */
	char *error;                         /* of the file; NULL: none */
	char *notice;                        /* source = "file": what is not right with what is served; NULL: nothing */
	uint8_t name[];
};

struct log *kept_log(struct log *, enum log_level, const char *event, const struct keep *);
void kept_set_error(struct keep *, const char *text);        /* of its file; NULL or "": there is none */

/* `done` may be NULL. */
void kept_wait(struct keep_waiter **list, struct keep *, keep_done *done, void *ctx);
void kept_answer(struct keep_waiter **list, struct keep *, enum err, const struct why *);
void kept_forget(struct keep_waiter **list, const void *ctx);

/* The version, borrowed: as it came, or was read; NULL: there is none. */
struct zone *kept_version(const struct keep *);
/* What is served is made of what came: the zone file is no copy of it, as the database knows it. */
bool kept_is_apart(const struct keep *);
bool kept_is_catalog(const struct keep *);
/* A version as it is served under these settings, held once by the caller. One that is sealed was taken before it was to be rewritten, and stays. */
struct zone *kept_as_served(const struct wired *, struct zone *version);
/* The same under its own, and on its way to be served: what differs from the set that is configured is logged. */
struct zone *kept_to_serve(const struct keep *, struct zone *version);
/* How what is served differs from what is served from now on: by the step between what came (NULL: it is not known); held once by the caller. */
struct diff *kept_served_step(const struct keep *, struct diff *step, struct zone *version, struct zone *now);

/* What points elsewhere is filled in. */
void kept_fill_row(struct keep *);
void kept_touch_row(struct keep *);          /* it is to be written */
void kept_row_taken(struct keep *);          /* it is in what is being written */

/* Brings the version to what lacks it (enum copies_mend; 0: what was put off), not behind one that is being made durable. */
void kept_mend(struct keep *, unsigned what);

/* The history of the version that comes after `old`, by the step between them (NULL: nothing is known of it). Who has had other content under
 * the serial that the step begins with must not be given it. */
void kept_add_step(struct keep *, struct diff *step, const struct zone *old, const struct zone *version);
/* Serves the version (takes the hold), then everything that follows from it. */
void kept_serve(struct keep *, struct zone *version);
void kept_set_expiry(struct keep *);         /* told downstream (RFC 7314) */
/* NOTIFY: of a version; of that of before the daemon's start, which may not have been heard, or not been fetched any more. */
void kept_tell_downstream(struct keep *, const struct zone *version);
void kept_tell_again(struct keep *);
void kept_note_told(struct keep *, const struct zone *version);
void kept_count_notify(struct keep_env *, unsigned answered, unsigned failed);

#endif
