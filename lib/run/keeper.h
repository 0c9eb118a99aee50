/* run/keeper: the zones of this daemon. For each, a `struct keep` holds together its place in the store, its secondary, its
 * file and its row in the database, and takes what happens from one to the other:
 *
 *     disk (load) ─► secondary ─► publish ─► store ─► NOTIFY downstream, zone file, row
 *
 * On the event loop's thread.
 */
#ifndef RUN_KEEPER_H
#define RUN_KEEPER_H

#include "run/disk.h"
#include "run/wire.h"

struct keeper;
struct keep;

struct keeper_counters {
	uint64_t files_written, files_failed, loads, loads_failed, notifies_out, notifies_failed;
	struct secondary_counters xfer;
};

struct keeper *keeper_new(struct event_base *, struct store *, int64_t (*now)(void), uint64_t (*unix_time)(void));
/* The database's rows, before the first keeper_apply. */
enum err keeper_read_rows(struct keeper *, struct journal *, struct why *);
/* The disk thread, before the first keeper_apply. */
void keeper_set_disk(struct keeper *, struct disk *);
/* Puts a generation in force (takes it over): zones are added, removed, and changed. Nothing changes on an error. */
struct keeper_change { size_t added, removed, changed, zones; };
enum err keeper_apply(struct keeper *, struct generation *, struct keeper_change *, struct why *);
struct generation *keeper_generation(const struct keeper *);
const struct keeper_counters *keeper_counters(const struct keeper *);
/* For an orderly end: writes what is not yet in zone files, and all rows, to the disk's queue. */
void keeper_flush(struct keeper *);
void keeper_free(struct keeper *);           /* after the workers and the disk are gone */

/* All zones, in canonical order. */
size_t keeper_count(const struct keeper *);
struct keep *keeper_at(const struct keeper *, size_t);
struct keep *keeper_find(const struct keeper *, const uint8_t *name);
/* A NOTIFY that the workers let through. */
void keeper_notified(struct keeper *, const uint8_t *zone, const struct net_addr *from, bool has_serial, struct serial);

const uint8_t *keep_name(const struct keep *);
const struct wired *keep_wired(const struct keep *);
struct secondary *keep_secondary(const struct keep *);      /* NULL: source = "file" */
const char *keep_path(const struct keep *);                  /* NULL: none could be made */
/* What is served, with a hold of one's own; NULL: nothing. */
struct zone *keep_served(const struct keep *);
/* For status. */
struct keep_state {
	const char *state;           /* "ok", "lagging", ...: see run/status */
	bool written_known;
	struct serial written;       /* in the zone file */
	int64_t written_at;          /* seconds since 1970; 0: not known */
	int64_t changed;             /* seconds since 1970 when the served version was taken; 0: not known */
	int64_t loaded;              /* source = "file": when it was read */
	const char *error;           /* of the file; NULL: none */
};
void keep_state(const struct keep *, struct keep_state *);

/* `done` is called once, now or later, from the loop; err and why of the whole. */
typedef void keep_done(void *ctx, struct keep *, enum err, const struct why *);
/* The zone file is durable when `done` is called. */
void keep_write(struct keep *, keep_done *, void *ctx);
/* source = "file": reads it again; what it holds is served and told downstream if it changed. */
void keep_reread(struct keep *, keep_done *, void *ctx);
/* Tells all servers downstream; `done` when each has answered or been given up. */
void keep_notify(struct keep *, keep_done *, void *ctx);
/* The zone's waiters with this context are forgotten. */
void keep_forget(struct keep *, void *ctx);

#endif
