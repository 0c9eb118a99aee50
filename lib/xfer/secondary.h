/* xfer/secondary: keeps one zone in step with its primaries: gives events to xfer/refresh and does what it decides, by rounds (xfer/round), which
 * note in xfer/standing what they learn.
 *
 * Where a round fails for want of a primary that answers, the zone sleeps at those it passed over, besides its timer, and asks again soon after
 * one of them is heard. With `first`, those that were not asked for a refresh time are asked for their serial after a round, for the record.
 * It does not publish: a new version goes to the daemon's hook, which says when it is served. On the event loop's thread.
 */
#ifndef XFER_SECONDARY_H
#define XFER_SECONDARY_H

#include "xfer/round.h"

typedef void secondary_waiter(void *ctx, struct secondary *, const struct secondary_outcome *);

/* NULL: out of memory. `name` is copied; takes one reference of `conf`. Nothing happens before secondary_start. */
struct secondary *secondary_new(const struct secondary_env *, const uint8_t *name, struct secondary_conf *, void *owner);
void secondary_free(struct secondary *);     /* waiters are told that it failed */
void *secondary_owner(const struct secondary *);
/* A version from disk (takes over the hold), last confirmed at `refreshed` (ms of env->now; may be negative). While there is none. */
void secondary_loaded(struct secondary *, struct zone *version, int64_t refreshed);
/* What else is known from before a restart, after secondary_loaded and before secondary_start. A version that was refused (`why` NULL: none was) is
 * not fetched for a while, and the zone counts as rejected. */
struct secondary_memory {
	unsigned failures;           /* rounds in a row that came to nothing */
	uint32_t given_expire;       /* s from when it was confirmed, as the primary said; 0: it said nothing */
	struct serial refused;
	const char *why;
};
void secondary_remember(struct secondary *, const struct secondary_memory *);
/* A serial that we had, or that was announced, before: where it is newer than ours it counts as known. */
void secondary_known(struct secondary *, struct serial);
/* The first TIMER is due `after` ms from now, or at once if the operator has asked meanwhile. */
void secondary_start(struct secondary *, uint32_t after);
/* Takes one reference. A round under way goes on as it began, or, with `restart` (the primaries are others), begins anew; where none is
 * under way the primaries are then asked within `spread` ms. */
void secondary_set_conf(struct secondary *, struct secondary_conf *, bool restart, uint32_t spread);
/* Takes one reference. The same settings as before, told by another object: nothing else changes. */
void secondary_same_conf(struct secondary *, struct secondary_conf *);
/* On hold nothing is asked and nothing taken; what is under way is given up (its waiters are told), unless it is being published. */
void secondary_hold(struct secondary *, bool held);
/* What `publish` was given is about to be served: its transfer is logged, so that the log knows of what queries see. secondary_published follows. */
void secondary_accepted(struct secondary *);
/* How `publish` ended. ERR_IO, ERR_NOSPACE, ERR_NOMEM, ERR_ORDER: it could not be kept, or judged, and is tried again; any other error: the version
 * is refused, for that reason, and the next primary's is tried; where it came by differences (ERR_ZONE), first the whole zone there. */
void secondary_published(struct secondary *, enum err, const struct why *);
/* The primary whose version waits for that; NULL: none does. */
const char *secondary_giver(const struct secondary *);

/* A NOTIFY that was allowed. Before secondary_start it is passed over: the primaries are asked then. */
void secondary_notify(struct secondary *, const struct net_addr *from, bool has_serial, struct serial);
/* Ask now, transfer if newer. `waiter` may be NULL. */
void secondary_refresh(struct secondary *, secondary_waiter *, void *ctx);
/* Transfer now; `full`: by AXFR, whatever the serial; `from`: first from the remote of that name (checked by the caller), or
 * NULL. One that is under way is joined, if it is what is wanted; else another one follows it. */
void secondary_transfer(struct secondary *, bool full, const char *from, secondary_waiter *, void *ctx);
void secondary_forget_waiter(struct secondary *, void *ctx);
bool secondary_progress(const struct secondary *, uint64_t *records, uint64_t *bytes);   /* false: no transfer is under way */

/* The version we have, borrowed, also while it is expired; NULL: none. */
struct zone *secondary_version(const struct secondary *);

void secondary_status(const struct secondary *, struct secondary_status *);
/* What went wrong, as far as it still counts: nothing has gone well since, or it is why a newer serial is not here; NULL: nothing. */
const char *secondary_reason(const struct secondary_status *);
void secondary_view(const struct secondary *, size_t i, struct secondary_view *);
void secondary_set_primary(struct secondary *, const char *name);    /* from disk */

#endif
