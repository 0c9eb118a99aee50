/* xfer/peer: what all zones share about one address that zones are pulled from: whether it answers, and how it is best spoken to. Asking for
 * serials and transferring are judged apart, as a firewall may let only one of them through:
 *
 *            late: nothing was heard since it was asked                failed
 *      GOOD ─────────────────────────────────────────────► SUSPECT ─────────► HELD ──when its time is over──► TRIAL
 *       ▲                                                     │                 ▲                               │ │
 *       └───────────────────────── heard ─────────────────────┴─────────────────┼───────────────────────────────┘ │
 *                                                                               └──────── failed: twice as long ──┘
 *
 * No state lasts for ever: an address may be asked again when `until` has passed, whatever became of who asked it last.
 * Pure: time is a parameter (ms of a clock that never goes back). One thread.
 */
#ifndef XFER_PEER_H
#define XFER_PEER_H

#include "base/net.h"

#include <stddef.h>

struct peers;
struct peer;

/* Questions for a serial are apart: each takes a socket, and all zones may want to ask at once. */
enum primary_lane { LANE_TRANSFERS, LANE_PROBES, PRIMARY_LANES };

enum peer_health { PEER_GOOD, PEER_SUSPECT, PEER_HELD, PEER_TRIAL };
const char *peer_health_name(enum peer_health);

/* What a report has changed. */
enum peer_change {
	PEER_SAME,
	PEER_LOST,           /* it is held from now on */
	PEER_EASED,          /* it was late, and answers */
	PEER_BACK,           /* it was held, and answers */
};

struct peers *peers_new(void);
void peers_free(struct peers *);
/* Made if new; stays until peers_free. NULL: out of memory. */
struct peer *peer_get(struct peers *, const struct net_addr *);

/* Whether it may be asked now. */
bool peer_may(const struct peer *, enum primary_lane, int64_t now);
/* It is being asked now: one that was held has its trial, others keep away meanwhile. */
void peer_begin(struct peer *, enum primary_lane, int64_t now);
/* Who asked at `began` has waited too long. True: others should keep away; it is suspect now. */
bool peer_late(struct peer *, enum primary_lane, int64_t began, int64_t now);
/* An octet has come. */
enum peer_change peer_heard(struct peer *, enum primary_lane, int64_t now);
/* Who asked at `began` has given up. It says nothing about the address if somebody else has heard from it since. `why` is copied. */
enum peer_change peer_failed(struct peer *, enum primary_lane, int64_t began, int64_t now, uint32_t random, const char *why);
/* It was heard elsewhere (a NOTIFY): a held one may have its trial at once. True: it was held. */
bool peer_wake(struct peer *, enum primary_lane, int64_t now);

enum peer_health peer_health(const struct peer *, enum primary_lane);
unsigned peer_failures(const struct peer *, enum primary_lane);      /* in a row */
int64_t peer_failed_at(const struct peer *, enum primary_lane);      /* the last time; INT64_MIN: never */
int64_t peer_until(const struct peer *, enum primary_lane);          /* HELD: when it may have its trial */
const char *peer_why(const struct peer *);                           /* of the last failure; "": there was none */

/* EDNS (RFC 6891). One that cannot bear it is asked without, until the memory of that has grown old. */
enum peer_edns {
	PEER_EDNS_UNKNOWN,
	PEER_EDNS_SPEAKS,
	PEER_EDNS_DOUBTED,   /* it was silent when it was asked with an OPT: the next time without */
	PEER_EDNS_FAILS,
};
enum peer_edns peer_edns(const struct peer *, int64_t now);
void peer_edns_seen(struct peer *);                  /* an answer with an OPT */
void peer_edns_failed(struct peer *, int64_t now);   /* it answers without, and not with */
void peer_edns_silent(struct peer *, bool asked_with, int64_t now);

/* How it treats TCP connections (RFC 7766). What is less than the best is forgotten after a while. */
enum peer_stream {
	PEER_STREAM_MANY,    /* several exchanges at once, as far as is known */
	PEER_STREAM_TURNS,   /* one after the other */
	PEER_STREAM_ONE,     /* it closes after each */
};
enum peer_stream peer_stream(const struct peer *, int64_t now);
/* One exchange was ended well on a connection that had carried another before; resets the count of peer_stream_closed. */
void peer_stream_kept(struct peer *);
/* It closed a connection soon after an answer, or instead of answering on one that was kept; a few times in a row make ONE. */
void peer_stream_closed(struct peer *, int64_t now);
/* It answered what came first, and was silent on what had been asked meanwhile. */
void peer_stream_turns(struct peer *, int64_t now);

#endif
