/* run/keeper: all zones of this daemon (run/keep), as the configuration in force and run/roster want them. On the event loop's thread.
 */
#ifndef RUN_KEEPER_H
#define RUN_KEEPER_H

#include "run/keep.h"
#include "run/roster.h"

struct keeper;

struct keeper *keeper_new(struct event_base *, struct store *, int64_t (*now)(void), uint64_t (*unix_time)(void));
/* The database's rows, before the first keeper_apply. */
enum err keeper_read_rows(struct keeper *, struct copies *, struct why *);
/* The disk's threads, before the first keeper_apply. */
void keeper_set_disk(struct keeper *, struct disk *);
/* What is remembered of zones, from its two files (see run/roster), after keeper_read_rows and before the first keeper_apply. ERR_OK with `why`:
 * something is wrong with one of them, or both (then nothing is remembered but the holds that the database knows of, and `lost` is set). */
enum err keeper_read_roster(struct keeper *, const char *path, const char *other, bool *lost, struct why *);
/* Puts a generation in force (takes it over): zones are added, removed, and changed. Nothing changes on an error. A zone of the roster
 * for which there is no template any more is an error, but for the first call, which leaves it out and says so in the log. */
struct keeper_change { size_t added, removed, changed, zones; };
enum err keeper_apply(struct keeper *, struct generation *, struct keeper_change *, struct why *);
struct generation *keeper_generation(const struct keeper *);
const struct keep_counters *keeper_counters(const struct keeper *);
const struct judge_counters *keeper_judge_counters(const struct keeper *);
void keeper_health(const struct keeper *, struct copies_health *);
/* For an orderly end: writes what is not yet in zone files, all rows, and the roster to the disk's queue. */
void keeper_flush(struct keeper *);
void keeper_free(struct keeper *);           /* after the workers and the disk are gone */

/* All zones, in canonical order. */
size_t keeper_count(const struct keeper *);
struct keep *keeper_at(const struct keeper *, size_t);
struct keep *keeper_find(const struct keeper *, const uint8_t *name);
/* The place of the first zone behind this name, or keeper_count: for who goes through them in several turns. */
size_t keeper_after(const struct keeper *, const uint8_t *name);
/* A NOTIFY that the workers let through. */
void keeper_notified(struct keeper *, const uint8_t *zone, const struct net_addr *from, bool has_serial, struct serial);

/* --- at run time: in force when they return; durable after keeper_save --- */

struct roster *keeper_roster(const struct keeper *);
/* What is known of a zone beside the configuration; NULL: nothing. */
const struct roster_zone *keeper_origin(const struct keeper *, const uint8_t *name);
/* `template_name` NULL: the default one. */
enum err keeper_add(struct keeper *, const uint8_t *name, const char *template_name, struct why *);
/* One that was added; its data go too. */
enum err keeper_remove(struct keeper *, const uint8_t *name, struct why *);
/* The zone begins anew: its version, file, and what the database has of it go. */
enum err keeper_purge(struct keeper *, const uint8_t *name, struct why *);
/* After disk_mark: whether what keeper_purge began with, or what keeper_remove left to do, was done. Asked once. */
enum err keeper_purged(struct keeper *, const uint8_t *name, struct why *);
enum err keeper_hold(struct keeper *, const uint8_t *name, bool held, struct why *);
/* Many zones at once. Those that go are forgotten with their data; one may be in both lists, and begins anew. Both in canonical order; the
 * roster is the caller's part. */
struct keeper_edit {
	const struct conf_zone *come;
	size_t come_count;
	struct keep *const *go;
	size_t go_count;
	bool ask;                    /* keeper_purged is asked about them */
};
enum err keeper_edit(struct keeper *, const struct keeper_edit *, struct why *);
/* Other settings for a zone that stays (of the generation in force). */
enum err keeper_reset(struct keeper *, struct keep *, const struct conf_zone *, struct why *);
/* Whether a new zone's file would be another zone's. */
bool keeper_file_clashes(const struct keeper *, const struct conf_zone *);
/* Writes the roster. `done` (may be NULL) is called once, later, when what is in it now is durable, or cannot be made so. */
typedef void keeper_done(void *ctx, enum err, const struct why *);
void keeper_save(struct keeper *, keeper_done *, void *ctx);
void keeper_forget(struct keeper *, void *ctx);      /* who waits with this context */
const char *keeper_save_error(const struct keeper *);        /* why the roster is not durable; NULL: it is */
/* Called when zones have come or gone, or when what catalogs say may mean something else: a version of one, the configuration, a hold. */
enum keeper_event { KEEPER_ZONES, KEEPER_CATALOGS };
void keeper_on_change(struct keeper *, void (*call)(void *ctx, enum keeper_event), void *ctx);
/* Calls this when a zone has gone for good, also one that went while nothing ran (as far as the database knows of it); it can still be found then.
 * NULL: no more. */
void keeper_on_gone(struct keeper *, void (*call)(void *ctx, const uint8_t *name), void *ctx);
struct disk *keeper_disk(const struct keeper *);

#endif
