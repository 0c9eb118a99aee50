/* run/watch: the daemon's own checks of the nameservers of its zones (check.every), spread over time, at a bounded rate:
 *
 *     due ─► waits its turn ─► check/check ─► what is remembered ─► check/verdict ─► check/sample ─► the result, kept as JSON
 *                                              (on a thread of files)                                 (on a thread of files)
 *                                                                                                        │
 *                                                      what was not there before, or is no more: the log, and `on-change`
 *
 * The last result is in a file too (run/recall), and is read again after a start, so that what was known then is not found anew;
 * it goes with the zone.
 * All zones together ask no more than server.limits.check-rate questions a second: where that does not do for all, each is looked
 * at less often than it wants. What is called here is called on the event loop's thread; commands run on one of their own, one
 * after the other.
 */
#ifndef RUN_WATCH_H
#define RUN_WATCH_H

#include "run/keeper.h"

#include <jansson.h>

struct watch;

/* Never reset, but for the first. X(name) */
#define WATCH_COUNTERS(X) X(zones) X(checks) X(found) X(gone) X(commands) X(commands_failed) X(commands_dropped)
struct watch_counters {
#define WATCH_COUNTER(name) uint64_t name;
	WATCH_COUNTERS(WATCH_COUNTER)
#undef WATCH_COUNTER
};

/* NULL: out of memory. */
struct watch *watch_new(struct event_base *, struct keeper *, int64_t (*now)(void), uint64_t (*unix_time)(void));
/* Before the keeper's disk goes. What is under way is given up; a command that runs is killed. NULL is allowed. */
void watch_free(struct watch *);
/* Seconds from one check of the zone to the next; 0: it is not checked. */
uint32_t watch_every(const struct keep *);
/* The last result, as check/report keeps it, with "age" and "every" (s); null: there is none yet. A new reference. NULL: the zone is not checked. */
json_t *watch_result(const struct watch *, const uint8_t *zone);
/* Why there is no last result of a zone that is checked, and when there will be one. Returns `out`. */
enum { WATCH_TEXT = 100 };
const char *watch_pending(const struct watch *, const uint8_t *zone, char out[WATCH_TEXT]);
/* What the last check found, where that is critical, in one line; NULL: it is not, or there is none. Until the loop turns. */
const char *watch_worst(const struct watch *, const struct keep *);
const struct watch_counters *watch_counters(const struct watch *);

#endif
