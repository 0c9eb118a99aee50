/* run/judge: whether a new version may be served, by what the zone's settings want: its ZONEMD digest, its signatures, the share of
 * it that changes, the operator's command; and before all of these, at once, its NS set. On threads of its own, a few for what
 * computes and others for commands, so that none of this holds up the event loop, and no command another zone's digest. Between a
 * version that came and what makes it durable:
 *
 *     publish ─► judge ─► commit ─► serve
 *
 * All calls are made from the loop's thread.
 */
#ifndef RUN_JUDGE_H
#define RUN_JUDGE_H

#include "base/err.h"
#include "run/settings.h"
#include "zone/zone.h"

struct event_base;
struct judge;
struct nsset;

struct judge_ask {
	struct zone *version;        /* held meanwhile, but no more when `done` is called */
	struct zone *older;          /* what is to be replaced; the same; NULL: none */
	bool older_validated;        /* it has passed with dnssec = "check": what did not change since is not looked at again */
	const struct conf_settings *set;     /* copied */
	enum conf_ns_mode ns_mode;
	const struct nsset *ns_set;          /* looked at before judge_submit returns */
};

/* Never reset. X(name) */
#define JUDGE_COUNTERS(X) X(judged) X(refused_ns_set) X(refused_zonemd) X(refused_dnssec) X(refused_change) X(refused_command)
struct judge_counters {
#define JUDGE_COUNTER(name) uint64_t name;
	JUDGE_COUNTERS(JUDGE_COUNTER)
#undef JUDGE_COUNTER
};

/* ERR_OK: it may be served. ERR_ZONE: its digest or its signatures are wrong; ERR_REFUSED: too much changes, or the command says no; both are logged
 * here, and `why` says it. ERR_NOMEM, ERR_ORDER (the daemon ends): nobody can say. */
typedef void judge_done(void *ctx, enum err, const struct why *why);

struct judge *judge_new(struct event_base *, uint64_t (*unix_time)(void));    /* NULL: out of memory */
/* Kills what is running, waits for its threads, and calls back no more. */
void judge_free(struct judge *);             /* NULL is allowed */
/* `done` is called once: before this returns if there is nothing to look at, else later, from the loop. */
void judge_submit(struct judge *, const struct judge_ask *, judge_done *, void *ctx);
/* Verdicts for this context are dropped from now on. What runs for it is stopped. */
void judge_disown(struct judge *, void *ctx);
const struct judge_counters *judge_counters(const struct judge *);

#endif
