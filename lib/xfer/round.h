/* xfer/round: one attempt to get a zone in step: those of its primaries that are to be tried, in order, with xfer/fetch, and what their answers mean:
 *
 *     asking ──► all who must be asked have shown their serial ──► pulling from the one with something for us, then from the others
 *     pulling: IXFR refused for what it holds, or not understood ──► AXFR there ──► next primary
 *     no connection, no answer, broken off ──► next address ──► next primary
 *     an address that answers nobody (xfer/peer) ──► passed over, unless the operator asks
 *     a version that was refused before (xfer/view) ──► not fetched again
 *
 * It notes in xfer/standing what it learns, and logs each exchange. When it is over its owner is told, who frees it.
 */
#ifndef XFER_ROUND_H
#define XFER_ROUND_H

#include "xfer/standing.h"

struct round;

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

enum round_end {
	ROUND_SAME,          /* a primary has what we have */
	ROUND_FAILED,        /* none could be asked, or none had an acceptable version */
	ROUND_LOOKED,        /* a survey is through */
	ROUND_NO_MEMORY,     /* something of ours has run out; the primaries have no part in it */
};
struct round_hooks {
	/* It is over, and to be freed by round_free. */
	void (*ended)(struct round *, enum round_end);
	/* A version came (takes the hold): round_publishing, or round_not_published, must follow, then or later. */
	void (*version)(struct round *, struct zone *);
	/* The table of refresh has another timer now. */
	void (*timed)(struct round *);
};

/* What it is for. */
struct round_wish {
	bool asking;                 /* for serials first; else pulling at once */
	bool survey;                 /* for serials, which decide nothing: the table of refresh is at rest */
	bool full;                   /* the operator wants a whole zone, whatever its serial */
	bool forced;                 /* the operator's, or under new settings: a primary is asked even though it is held */
};
/* Read by the owner, who changes `wish.forced` alone. */
struct round {
	struct standing *zone;
	const uint8_t *name;                 /* the zone's */
	const struct round_hooks *hooks;
	void *owner;
	struct secondary_conf *conf;         /* counted: those it began with */
	struct round_wish wish;
	struct fetch *fetch;
	struct primary_ticket ticket;
	struct zone *pending;                /* given to the hook, not yet published */
	struct fetch_result *came;           /* how it came, until it is known, and logged, what becomes of it */
	struct secondary_outcome outcome;    /* so far */
	int64_t started, began;              /* the round; the exchange under way */
	size_t turn, address;                /* where we are */
	size_t count;                        /* of order */
	bool ixfr;                           /* what the transfer under way asks for */
	bool late;                           /* the exchange under way has waited long */
	bool tried;                          /* some exchange was made */
	bool accept_older;                   /* `rollback` says so for what a primary showed */
	bool same_seen;
	bool refused;                        /* a version was offered, but not acceptable */
	bool axfr_here;                      /* IXFR was refused at this address */
	bool has_best;
	size_t best, best_address;           /* place in order; the address that answered */
	struct serial best_serial;
	size_t order[];                      /* indexes into conf->remotes */
};

/* NULL: out of memory. The caller fills order and count. Nothing happens before round_go. */
struct round *round_new(struct standing *, const uint8_t *name, const struct round_hooks *, void *owner, const struct round_wish *);
void round_free(struct round *);             /* gives up what is under way; NULL is allowed */
/* May end it at once. */
void round_go(struct round *);

/* Where it is; valid while turn is less than count. */
const struct secondary_remote *round_remote(const struct round *);
/* How it asks there now. */
struct remote_ask round_ask(const struct round *);
/* The version that the hook was given is about to be served: its transfer is logged. */
void round_publishing(struct round *);
/* It is not to be served. What could not be kept, or judged (see secondary_published), ends the round; else the next one is tried. */
void round_not_published(struct round *, enum err, const struct why *);

#endif
