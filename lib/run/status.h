/* run/status: what `lockstep status` and `stats` show, as JSON: computed from what is known at the moment of asking.
 * On the event loop's thread. Of each zone; serials and what is not known or does not apply may be null:
 *
 *     zone, source ("transfer", "file"), serial (served)
 *     state         ok, refreshing, lagging, stale, rejected, expired, empty
 *     reason        why it is not "ok"; or, though it is, what is wrong with its file
 *     primary       the remote that the served version came from
 *     age           s since a primary, or the file, last confirmed it
 *     refresh, expiry   s until the next refresh, and until it is served no more
 *     best, best_age   the newest serial that anybody has shown or announced, and s since that was
 *     written, written_age   the serial in the zone file, and s since it is there; file, file_error: its path, and why it could not
 *                   be written or read
 *     changed       s since the served version was taken; records, memory (octets)
 *     activity, primaries, last_failure   of one zone asked for by name
 */
#ifndef RUN_STATUS_H
#define RUN_STATUS_H

#include "run/keeper.h"

#include <jansson.h>

/* One zone; `full` adds the primaries, the last failure and the file. NULL: out of memory. */
json_t *status_zone(const struct keep *, int64_t now, int64_t unix_now, bool full);
/* How many zones are in which state: {"zones":3,"ok":2,...}. */
json_t *status_summary(const struct keeper *);
json_t *status_counters(const struct keeper *, const struct serve_counters *);

#endif
