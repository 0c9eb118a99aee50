/* run/status: what `lockstep status` and `stats` show, as JSON: computed from what is known at the moment of asking.
 * The members are described in lib/run/control.h.
 */
#ifndef RUN_STATUS_H
#define RUN_STATUS_H

#include "run/keeper.h"

#include <jansson.h>

/* One zone; `full` adds the primaries, the last failure and the file. NULL: out of memory. */
json_t *status_zone(const struct keeper *, const struct keep *, int64_t now, int64_t unix_now, bool full);
/* How many zones are in which state: {"zones":3,"ok":2,...}. */
json_t *status_summary(const struct keeper *);
json_t *status_counters(const struct keeper *, const struct serve_counters *);

#endif
