/* zone/store: which version of which zone is served. Readers find a zone by the longest
 * match of a name and pin its current version without waiting (RCU); one writer thread swaps.
 * It is the only place where xfer/ and serve/ meet.
 */
#ifndef ZONE_STORE_H
#define ZONE_STORE_H

#include "base/err.h"
#include "zone/history.h"
#include "zone/zone.h"

struct store;

/* Why there is nothing to answer from. */
enum store_state {
	STORE_SERVED,        /* a version is there */
	STORE_LOADING,       /* none yet: loading, or never transferred */
	STORE_EXPIRED,       /* it was not refreshed for too long (RFC 1035 3.3.13) */
};

/* What serve/ needs to know of a zone beside its data; made by run/, never changed once set, freed by
 * `release` after the readers have left. Begins with this: */
struct store_policy {
	void (*release)(struct store_policy *);
};

/* One zone's place. Its address is stable until the zone is removed and readers have left. */
struct store_zone;

/* For readers: between store_enter and store_leave everything found stays valid. Threads that read call store_thread_begin
 * once, and store_thread_end; a thread that is about to block for long must not be between enter and leave. */
void store_thread_begin(void);
void store_thread_end(void);
void store_enter(void);
void store_leave(void);

/* The zone that `name` is in: the longest match. `parent` (may be NULL): the next zone above it that is ours
 * too (for DS at the cut), or NULL. NULL: none of ours. */
const struct store_zone *store_find(const struct store *, const struct tree_name *name, const struct store_zone **parent);
/* What store_find will read of the tree of zones. */
struct tree_ahead store_ahead(const struct store *, const struct tree_name *);
const struct store_zone *store_exact(const struct store *, const uint8_t *name);
/* Its current version, or NULL (then `state` says why). Valid until store_leave; zone_hold it to keep it longer. */
struct zone *store_pin(const struct store_zone *, enum store_state *state);
const struct store_policy *store_policy(const struct store_zone *);
/* The steps that led to its version, or to one before or behind it (history_find says whether they lead to the version in hand); NULL: there are
 * none. Valid until store_leave; history_hold it to keep it longer. */
struct history *store_history(const struct store_zone *);
/* When the zone expires unless it is refreshed, in ms of clock_ms; STORE_NO_EXPIRY: it does not (it is read from a file), or
 * nobody has said. Told downstream (RFC 7314); nothing follows from it here. */
#define STORE_NO_EXPIRY INT64_MAX
int64_t store_expiry(const struct store_zone *);
const uint8_t *store_name(const struct store_zone *);

/* For the one writer thread. */
struct store *store_new(void);
void store_free(struct store *);             /* no readers any more */
/* Adding and removing zones is prepared by any number of calls and becomes visible, all at once, by store_publish, which
 * waits for the readers to leave and then frees what was removed. A prepared zone may be committed to before it is
 * published. ERR_EXISTS; ERR_NOMEM: store_publish will fail too. Begins as STORE_LOADING. Takes over the policy, on success. */
enum err store_add(struct store *, const uint8_t *name, struct store_policy *, struct store_zone **out);
void store_remove(struct store *, struct store_zone *);
/* ERR_NOMEM: what was prepared is dropped, added places with their policies are freed, and what is served stays. */
enum err store_publish(struct store *);
/* Takes over the policy; the old one is released when its readers have left. Does not wait. */
void store_set_policy(struct store_zone *, struct store_policy *);
/* The same, but the old one is handed back, for the caller to release when its readers have left (store_after_readers). */
struct store_policy *store_swap_policy(struct store_zone *, struct store_policy *);
/* Publishes the version: takes over the caller's hold; the old one goes when its readers have left. `version` NULL with a
 * state: nothing is served any more. Does not wait. */
void store_commit(struct store_zone *, struct zone *version, enum store_state state);
/* Takes over the caller's hold (NULL: no steps); the old one goes when its readers have left. Before the version that they lead to is
 * committed, so that whoever sees that can have them. Does not wait. */
void store_set_history(struct store_zone *, struct history *);
void store_set_expiry(struct store_zone *, int64_t ms);
/* The current version with a hold of one's own, or NULL. Any thread that has called store_thread_begin. */
struct zone *store_hold(const struct store_zone *);
/* Calls it from another thread once all readers who may have seen what was replaced before have left. */
void store_after_readers(void (*call)(void *arg), void *arg);
/* Waits until everything handed to the readers' leaving so far has been freed (before an orderly end). */
void store_settle(void);

#endif
