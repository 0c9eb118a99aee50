/* run/taking: a new version of one zone (run/kept) is taken:
 *
 *     publish (xfer/secondary) ─► judge ─► disk (commit) ─► zone file, where it must be written before ─► served
 *
 * And what else the secondary tells: the version was confirmed, it expired, a round failed. On the event loop's thread.
 */
#ifndef RUN_TAKING_H
#define RUN_TAKING_H

#include "run/filing.h"

/* Hooks of struct secondary_env. */
void taking_publish(void *ctx, struct secondary *, struct zone *version);
void taking_confirmed(void *ctx, struct secondary *, bool revived);
void taking_failed(void *ctx, struct secondary *);
void taking_expired(void *ctx, struct secondary *);
/* keep_env's: the file of what is pending. */
void taking_file_done(struct keep *, enum err, const struct why *);

/* Whether a version may be served, which comes after `older` (NULL: nothing). */
void taking_judge(struct keep *, struct zone *version, struct zone *older, judge_done *done);
/* What is pending is made durable: again, after what was under way was dropped. */
void taking_commit(struct keep *);
/* It is durable, and is served. */
void taking_done(struct keep *);

#endif
