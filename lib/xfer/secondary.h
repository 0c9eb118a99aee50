/* xfer/secondary: keeps one zone in step with its primaries: gives events to xfer/refresh and does what it decides, with xfer/fetch,
 * trying addresses and primaries in order:
 *
 *     IXFR refused for what it holds, or not understood ──► AXFR there ──► next primary
 *     no connection, no answer, broken off ──► next address ──► next primary
 *     an address that answers nobody (xfer/peer) ──► passed over, unless the operator asks
 *     a version that was refused before (xfer/view) ──► not fetched again
 *
 * Where a round fails for want of a primary that answers, the zone sleeps at those it passed over, besides its timer, and asks again soon after
 * one of them is heard. With `first`, those that were not asked for a refresh time are asked for their serial after a round, for the record.
 * It does not publish: a new version goes to the daemon's hook, which says when it is served. On the event loop's thread.
 */
#ifndef XFER_SECONDARY_H
#define XFER_SECONDARY_H

#include "base/timers.h"
#include "xfer/fetch.h"
#include "xfer/primary.h"
#include "xfer/refresh.h"

struct secondary;

struct secondary_remote {
	const char *name;
	const struct net_addr *addresses;
	size_t address_count;
	const struct tsig_key *key;
	struct primary *primary;
	struct tls_client *tls;      /* NULL: it is asked without TLS; else never without it */
};
enum secondary_rollback { ROLLBACK_REFUSE, ROLLBACK_AFTER_EXPIRE, ROLLBACK_ACCEPT };

/* Shared by the zones that have the same settings; each zone counts once, an exchange under way too. */
struct secondary_conf {
	unsigned refs;
	void (*release)(struct secondary_conf *);    /* when refs comes to 0 */
	const struct secondary_remote *remotes;
	size_t remote_count;
	bool ixfr;
	bool stream_only;            /* not even serials are asked for by UDP */
	bool newest;                 /* ask all, take the highest serial */
	enum secondary_rollback rollback;
	struct refresh_clamps clamps;
	struct build_limits limits;
	struct fetch_times times;
};

/* Never reset. X(name) */
#define SECONDARY_COUNTERS(X) \
	X(probes) X(probes_failed) X(transfers) X(transfers_axfr) X(transfers_ixfr) X(transfers_current) X(transfers_failed) \
	X(transfers_refused) X(records_in) X(bytes_in) X(notifies_heeded) X(notifies_coalesced) X(expiries) X(primaries_lost) \
	X(primaries_back) X(refused_again) X(exchanges_kept)
struct secondary_counters {
#define SECONDARY_COUNTER(name) uint64_t name;
	SECONDARY_COUNTERS(SECONDARY_COUNTER)
#undef SECONDARY_COUNTER
};

/* The same for all zones. The hooks are called from the loop. */
struct secondary_env {
	struct event_base *loop;
	struct links *links;
	struct timers *timers;       /* by the same clock */
	int64_t (*now)(void);        /* ms, monotonic */
	uint64_t (*unix_time)(void); /* s */
	/* A new version: the hook owns the hold, and secondary_published must follow, then or later. */
	void (*publish)(void *ctx, struct secondary *, struct zone *version);
	/* Our version was confirmed (again). `revived`: it had expired, and must be served again. */
	void (*confirmed)(void *ctx, struct secondary *, bool revived);
	void (*expired)(void *ctx, struct secondary *);
	/* A round came to nothing: when it is tried again, how often it has failed, and what was refused, has changed. May be NULL. */
	void (*failed)(void *ctx, struct secondary *);
	void *ctx;
	struct secondary_counters *counters;
};

/* How an operator's request, or a round, ended. */
enum secondary_result { SECONDARY_UPDATED, SECONDARY_CURRENT, SECONDARY_FAILED };
struct secondary_outcome {
	enum secondary_result result;
	bool had_serial, has_serial;
	struct serial old, serial;
	bool transferred;            /* the following are of the transfer */
	bool incremental;
	uint64_t records, bytes;
	uint32_t ms;
	const char *primary;         /* NULL: none */
	const char *error;           /* FAILED: why */
};
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

/* For status. Ages and times in ms of env->now. */
struct secondary_view {
	const struct secondary_remote *remote;
	bool asked;
	bool healthy;                /* it answered the last time, and is not known by now not to answer */
	bool has_serial;
	struct serial serial;
	int64_t at;                  /* when it was asked last */
	const char *error;           /* of the last time; NULL: none */
	bool has_refused;
	struct serial refused;       /* the version that is not fetched again for now */
	enum peer_health health;     /* of its best address, for transfers if that is worse than for questions; shared by all zones */
	unsigned failures;           /* in a row, there */
	int64_t until;               /* PEER_HELD: when it may be tried again */
};
/* The last transfer that brought a version. */
struct secondary_last {
	bool has, incremental;
	uint32_t ms;
	uint64_t records, bytes;
	int64_t at;
};
struct secondary_status {
	struct refresh refresh;
	const char *rejected;        /* the last version offered was refused, and why; else NULL */
	bool has_refused;
	struct serial refused;       /* its serial, while it is not to be fetched again */
	bool has_best;
	struct serial best;          /* newest that any primary has shown or announced */
	bool best_is_ours;
	int64_t best_since;          /* unless it is ours: when it was first seen */
	const char *primary;         /* that the served version came from; NULL: not known */
	const char *last_error;      /* of the last failed round; NULL */
	const char *last_error_primary;
	int64_t last_error_at;
	uint64_t last_error_unix;    /* the same in s since 1970, as the clock was then */
	struct secondary_last last;
	size_t views;
};
void secondary_status(const struct secondary *, struct secondary_status *);
/* What went wrong, as far as it still counts: nothing has gone well since, or it is why a newer serial is not here; NULL: nothing. */
const char *secondary_reason(const struct secondary_status *);
void secondary_view(const struct secondary *, size_t i, struct secondary_view *);
void secondary_set_primary(struct secondary *, const char *name);    /* from disk */

#endif
