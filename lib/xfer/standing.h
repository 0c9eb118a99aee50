/* xfer/standing: how one zone stands with its primaries: the version it has, its timers (xfer/refresh), what each primary showed (xfer/view), and
 * what went wrong last. xfer/round changes it while it asks, xfer/secondary when it decides; what `status` says of the zone is computed
 * from it. What all zones are given to work with, and what those of the same settings share, stands here too.
 */
#ifndef XFER_STANDING_H
#define XFER_STANDING_H

#include "base/timers.h"
#include "xfer/fetch.h"
#include "xfer/refresh.h"
#include "xfer/remote.h"

struct secondary;
struct trouble;
struct view;

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
struct secondary_conf *secondary_conf_hold(struct secondary_conf *);
void secondary_conf_drop(struct secondary_conf *);

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

/* The last transfer that brought a version. */
struct secondary_last {
	bool has, incremental;
	uint32_t ms;
	uint64_t records, bytes;
	int64_t at;
};

struct standing {
	const struct secondary_env *env;
	struct secondary_conf *conf;         /* counted */
	struct zone *version;                /* the one we have; NULL: none */
	struct view *views;                  /* one for each of conf->remotes; NULL: there is nothing to say, see `confirmed` */
	struct trouble *trouble;             /* NULL: there was none */
	const char *primary;                 /* that the version came from; NULL: not known */
	struct secondary_last last;
	int64_t hint_since;                  /* when refresh.hint was first heard */
	struct refresh refresh;
	bool confirmed;                      /* without views: the only primary showed what we have, when we were refreshed */
};
void standing_release(struct standing *);

/* A round failed, or will: why, and at whom (NULL: at nobody). */
void standing_error(struct standing *, const char *remote, const char *text);
const char *standing_last_error(const struct standing *);            /* NULL: there was none */
/* The last version offered was refused; NULL: it was not. */
void standing_reject(struct standing *, const char *text);
/* Of one remote of the settings; NULL: nothing is noted, nor could be. */
struct view *standing_view(struct standing *, size_t remote);
/* The remote's version of this serial was refused a short while ago. */
bool standing_refuses(const struct standing *, size_t remote, struct serial);
bool standing_refuses_any(const struct standing *);
/* What was refused may be tried again. */
void standing_pardon(struct standing *);
/* Our version was confirmed: what says no more than that needs no memory. */
void standing_tidy(struct standing *);
/* A serial newer than ours was announced, or was known before a restart. */
void standing_hint(struct standing *, struct serial);
/* Takes over the version that was published, and where it came from. */
void standing_take(struct standing *, struct zone *version, const char *primary, const struct secondary_last *);
/* Other settings (one more reference of them is taken). What is known of primaries that stay is kept, but for what was refused: it may not be under
 * these. False: out of memory, nothing has changed. */
bool standing_set_conf(struct standing *, struct secondary_conf *);

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
	struct serial refused;       /* the version that is not fetched again while the memory of it lasts (xfer/view) */
	enum peer_health health;     /* of its best address, for transfers if that is worse than for questions; shared by all zones */
	unsigned failures;           /* in a row, there */
	int64_t until;               /* PEER_HELD: when it may be tried again */
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
void standing_status(const struct standing *, struct secondary_status *);
void standing_show(const struct standing *, size_t remote, struct secondary_view *);

#endif
