/* run/status: what `lockstep status` and `stats` show, as JSON: computed from what is known at the moment of asking. On the event
 * loop's thread. Of each zone; serials and what is not known or does not apply may be null:
 *
 *     zone, source ("transfer", "file"), serial (served)
 *     state         ok, refreshing, lagging, stale, rejected, expired, empty, held
 *     reason        why it is not "ok"; or, though it is, why the last question failed, or what is wrong with its file; or what
 *                   the daemon's own check found that is critical
 *     primary       the remote that the served version came from
 *     age           s since a primary, or the file, last confirmed it
 *     refresh, expiry   s until the next refresh, and until it is served no more
 *     best, best_age   the newest serial that anybody has shown or announced, and s since that was
 *     durable       the serial that would be served again after a kill
 *     written, written_age   the serial in the zone file, and s since it is there; file, file_error: its path, and why it could not
 *                   be written or read
 *     held          true: it takes no new versions; origin ("config", "added", "catalog"), template (of one that was added; its group), catalog
 *     notified, notified_age   the serial told downstream last, and s since that was
 *     last_transfer   {"type","records","bytes","seconds","age"} of the last one that brought a version
 *     members       of a catalog: {"members","refused","refused_why","error"}
 *     changed       s since the served version was taken; records, memory (octets)
 *     ns_set        what it shows of the NS set that is configured; null: none is
 *     check, activity, primaries, last_failure   of one zone asked for by name
 */
#ifndef RUN_STATUS_H
#define RUN_STATUS_H

#include "run/catalogs.h"
#include "run/jot.h"
#include "run/watch.h"

#include <jansson.h>

struct status_env {
	const struct keeper *keeper;
	const struct catalogs *catalogs;     /* may be NULL */
	const struct watch *watch;           /* the same */
	int64_t now, unix_now;
};
/* One zone, as a value of a list. */
enum status_detail {
	STATUS_TABLE,        /* what the command's table shows: the first line of the above, and "reason" to "expiry" */
	STATUS_ZONE,
	STATUS_CHECK,        /* zone, catalog (true: it is one), every (s between two checks; 0: it is not checked), pending (why there is no
	                      * result, and when there will be one), check */
	STATUS_FULL,         /* STATUS_ZONE with activity, primaries, last_failure, check */
};
void status_zone(struct jot *, const struct status_env *, const struct keep *, enum status_detail);
/* How many zones are in which state: begins as {0}, each is counted once; {"zones":3,"ok":2,...}. */
enum { STATUS_WORDS = 8 };
struct status_sum { size_t zones, count[STATUS_WORDS]; };
void status_count(struct status_sum *, const struct keep *);
json_t *status_summary(const struct status_sum *);
/* {"state":"ok"|"degraded","database_error":...,"log_error":...}: what is wrong with the two copies in state-dir; null: nothing. */
json_t *status_storage(const struct keeper *);
json_t *status_counters(const struct status_env *, const struct serve_counters *);

#endif
