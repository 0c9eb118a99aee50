/* run/keep: one zone of this daemon: its place in the store, its secondary, its file and its row in the database, and what happens taken
 * from one to the other:
 *
 *     disk (load) ─► secondary ─► publish ─► judge ─► disk (commit) ─► store ─► NOTIFY downstream, zone file
 *
 * On the event loop's thread.
 */
#ifndef RUN_KEEP_H
#define RUN_KEEP_H

#include "run/kept.h"

/* Sets the hooks of env->secondary. */
void keep_env_init(struct keep_env *, struct event_base *, struct store *, int64_t (*now)(void), uint64_t (*unix_time)(void));

/* `before`: the one that had this name until now, or NULL; `row`: what the database had of it, or NULL. NULL: out of memory. */
struct keep *keep_new(struct keep_env *, struct generation *, const struct conf_zone *, struct keep *before, const struct journal_row *row);
void keep_free(struct keep *);               /* NULL is allowed; waiters are told */
/* Prepares its place in the store; false: out of memory. After store_publish has removed it: keep_lose_place. */
bool keep_place(struct keep *);
void keep_remove_place(struct keep *);
void keep_lose_place(struct keep *);
/* Loads it, then asks its primaries. Once. */
void keep_start(struct keep *);
bool keep_begun(const struct keep *);
/* It stays, under new settings, of the same source. */
void keep_change(struct keep *, struct generation *, const struct conf_zone *);
bool keep_same_source(const struct keep *, const struct conf_zone *);
/* It stays as it is under settings that mean the same (wired_same), of another generation. The policy that it had is to be released when
 * its readers have left. */
struct store_policy *keep_adopt(struct keep *, struct generation *, const struct wired *);
/* Takes no new versions until it is let go; it expires all the same. */
void keep_hold(struct keep *, bool held);
bool keep_held(const struct keep *);
/* Its zone file and what the database has of it go (of a zone that is transferred), behind everything that is being written. How many times `done`,
 * which may be NULL, is called, for one part of it each. */
unsigned keep_purge(struct keep *, disk_done *done, void *ctx);
/* Its version goes to what lacks it (enum copies_mend), with its row; it keeps the log of steps large: it is to be in its file, or
 * there as a whole. */
void keep_mend(struct keep *, unsigned what);
void keep_unpin(struct keep *);
/* The clock was set forwards by so many seconds (less than 0: back): what happened then happened as long ago as before. */
void keep_clock_moved(struct keep *, int64_t seconds);
/* Brings the zone file up to date before the zone goes, or the daemon ends. */
void keep_write_last(struct keep *);
struct keep *keep_first_changed(const struct keep_env *);    /* of those whose rows have changed since they were taken; NULL: none */
const struct journal_row *keep_take_row(struct keep *);      /* as it is to be written, which follows */

const uint8_t *keep_name(const struct keep *);
const struct wired *keep_wired(const struct keep *);
struct secondary *keep_secondary(const struct keep *);      /* NULL: source = "file" */
bool keep_loading(const struct keep *);      /* its file is being read */
const char *keep_path(const struct keep *);                  /* NULL: none could be made */
/* What is served, with a hold of one's own; NULL: nothing. */
struct zone *keep_served(const struct keep *);
/* For status. */
struct keep_state {
	const char *state;           /* "ok", "lagging", ...: see run/status */
	bool durable_known;
	struct serial durable;       /* what would be served after a kill */
	bool written_known;
	struct serial written;       /* in the zone file */
	int64_t written_at;          /* seconds since 1970; 0: not known */
	int64_t changed;             /* seconds since 1970 when the served version was taken; 0: not known */
	int64_t loaded;              /* source = "file": when it was read */
	const char *error;           /* of the file; NULL: none */
	bool rewritten;              /* what is served is not what came, but has the NS set that is configured */
	bool ns_ahead;               /* another NS set is served than those downstream have under this serial */
	const char *notice;          /* source = "file": what is not right with what is served; NULL: nothing */
	bool held;
	bool told;                   /* NOTIFY was sent downstream: */
	struct serial told_serial;
	int64_t told_at;             /* seconds since 1970 */
};
void keep_state(const struct keep *, struct keep_state *);

/* `done` (struct keep_waiter) is called once, now or later. */
/* The zone file is durable when `done` is called. */
void keep_write(struct keep *, keep_done *, void *ctx);
/* source = "file": reads it again; what it holds is served and told downstream if it changed. */
void keep_reread(struct keep *, keep_done *, void *ctx);
/* Tells all servers downstream; `done` when each has answered or been given up. */
void keep_notify(struct keep *, keep_done *, void *ctx);
/* Tells them, unless they have been told since the daemon's start, or it is not served. */
void keep_tell(struct keep *);
/* The zone's waiters with this context are forgotten. */
void keep_forget(struct keep *, void *ctx);

#endif
