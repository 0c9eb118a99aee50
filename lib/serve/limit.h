/* serve/limit: response rate limiting: how many answers over UDP the clients of one prefix (IPv4 /24, IPv6 /56) get in a second. A
 * sender of forged addresses must not be able to use us against their owners; and since a big resolver has an address too, nobody is
 * limited unseen: every beginning and end is reported, with how much was held back.
 *
 *     answer ─► account of (prefix, kind, name) ─► account of the whole prefix ─► sent
 *                          └───────── over the rate ─────────┘─► allowed · only noted · cut short · dropped
 *
 * An account is a bucket of one second's worth of answers, which fills at the rate. Accounts lie in a table of fixed size, two on
 * each line of the cache, found by a hash with a secret that is drawn at the start: nobody can aim at another's line. One that has
 * nothing to remember gives way to a new one; where both on a line are being limited a third goes unlimited.
 *
 * One object for each answering thread, which alone uses it: no lock, no clock, no memory after limit_new. Each thread counts for itself.
 */
#ifndef SERVE_LIMIT_H
#define SERVE_LIMIT_H

#include "base/net.h"

enum limit_kind {
	LIMIT_ANSWER,        /* records of the name that was asked for */
	LIMIT_MADE,          /* records that a wildcard or a DNAME made for it; the name is the closest encloser */
	LIMIT_NODATA, LIMIT_NXDOMAIN, LIMIT_REFERRAL,   /* the name is the zone's */
	LIMIT_ERROR,         /* an error; there is no name */
	LIMIT_ALL,           /* everything that a prefix gets: not given to limit_check */
};
enum {
	LIMIT_ALL_FACTOR = 10,       /* what all accounts of a prefix may give together, in rates of one */
	LIMIT_QUIET = 10,            /* seconds without an answer held back, after which limiting has ended */
	LIMIT_REPORTS = 5,           /* beginnings, and ends, that are reported in one limit_tick */
};
struct limit_rules {
	unsigned rate;               /* answers a second for one account; 0: no limit. At most 10,000,000 */
	unsigned slip;               /* of the answers over the limit every slip-th is cut short, the others are dropped; 0: all are */
	bool log_only;
	const struct net_prefix *allow;   /* who is never limited */
	size_t allow_count;
};

struct limit;

/* NULL: out of memory. About 2 MB, of which none is touched while there is no limit. */
struct limit *limit_new(void);
void limit_free(struct limit *);

enum limit_verdict {
	LIMIT_PASS,
	LIMIT_ALLOWED,       /* over the limit, but the client is one of `allow` */
	LIMIT_WOULD,         /* over the limit, but log_only */
	LIMIT_SLIP,          /* send it cut short */
	LIMIT_DROP,          /* send nothing */
};
/* One answer, about to be sent to `from`. `name`, in wire form and any case, is what the kind says; NULL where it says none. `now`: ms
 * of clock_ms. rate is not 0. */
enum limit_verdict limit_check(struct limit *, const struct limit_rules *, const struct net_addr *from, enum limit_kind,
	const uint8_t *name, int64_t now);

struct limit_event {
	struct net_prefix prefix;
	enum limit_kind kind;
	bool begins;                 /* or ends */
	uint64_t held;               /* answers over the limit since the beginning */
	unsigned left_out;           /* accounts that were limited and have ended without a report, since the last event */
};
typedef void limit_report(void *ctx, const struct limit_event *);
/* To be called about once a second, also while nothing is asked: reports what has begun and ended since, the worst first. */
void limit_tick(struct limit *, int64_t now, limit_report *, void *ctx);
/* "answer", "wildcard" (LIMIT_MADE), "nodata", "nxdomain", "referral", "error", "all". */
const char *limit_kind_text(enum limit_kind);

#endif
