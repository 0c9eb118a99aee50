/* run/keeper: all zones of this daemon (run/keep), as the configuration in force wants them. On the event loop's thread.
 */
#ifndef RUN_KEEPER_H
#define RUN_KEEPER_H

#include "run/keep.h"

struct keeper;

struct keeper *keeper_new(struct event_base *, struct store *, int64_t (*now)(void), uint64_t (*unix_time)(void));
/* The database's rows, before the first keeper_apply. */
enum err keeper_read_rows(struct keeper *, struct journal *, struct why *);
/* The disk thread, before the first keeper_apply. */
void keeper_set_disk(struct keeper *, struct disk *);
/* Puts a generation in force (takes it over): zones are added, removed, and changed. Nothing changes on an error. */
struct keeper_change { size_t added, removed, changed, zones; };
enum err keeper_apply(struct keeper *, struct generation *, struct keeper_change *, struct why *);
struct generation *keeper_generation(const struct keeper *);
const struct keep_counters *keeper_counters(const struct keeper *);
/* For an orderly end: writes what is not yet in zone files, and all rows, to the disk's queue. */
void keeper_flush(struct keeper *);
void keeper_free(struct keeper *);           /* after the workers and the disk are gone */

/* All zones, in canonical order. */
size_t keeper_count(const struct keeper *);
struct keep *keeper_at(const struct keeper *, size_t);
struct keep *keeper_find(const struct keeper *, const uint8_t *name);
/* A NOTIFY that the workers let through. */
void keeper_notified(struct keeper *, const uint8_t *zone, const struct net_addr *from, bool has_serial, struct serial);

#endif
