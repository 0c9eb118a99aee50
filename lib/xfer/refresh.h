/* xfer/refresh: when to ask, when to pull, when to give up: the timers of one zone (RFC 1034 4.3.5, RFC 1035 3.3.13, RFC 1996)
 * as a pure table. No I/O, no clock: time is a parameter, in milliseconds of a clock that never goes back.
 *
 *                  TIMER, NOTIFY            NEWER                DONE
 *           IDLE ───────────────► PROBE ──────────► TRANSFER ──────────► IDLE
 *            ▲                    │   │                 │
 *            └─────── SAME ───────┘   │ FAILED          │ FAILED
 *                                     ▼                 ▼
 *      PROBE ◄── TIMER, NOTIFY ──  BACKOFF, or EXPIRED if it was served too long
 *
 * FORCED leads from every state to TRANSFER, and so does what would lead to PROBE while there is no version to compare, and a NOTIFY
 * that names a newer serial where its sender can be asked for the difference at once: its answer begins with the serial.
 * In every state the timer is armed: nothing can wedge.
 */
#ifndef XFER_REFRESH_H
#define XFER_REFRESH_H

#include "dns/rr.h"
#include "dns/serial.h"

#include <stdbool.h>
#include <stdint.h>

enum refresh_state {
	REFRESH_IDLE,        /* in step as far as is known, until the refresh timer */
	REFRESH_PROBE,       /* a primary is being asked for its serial */
	REFRESH_TRANSFER,    /* a version is being pulled */
	REFRESH_BACKOFF,     /* after a failure, until the retry timer */
	REFRESH_EXPIRED,     /* the same, and the zone has expired */
	REFRESH_STATES
};
enum refresh_event {
	REFRESH_TIMER,       /* the time refresh_due() told has come */
	REFRESH_NOTIFY,      /* through refresh_notify */
	REFRESH_SAME,        /* a primary has what we have */
	REFRESH_NEWER,       /* a primary has something to pull */
	REFRESH_DONE,        /* the pulled version is published */
	REFRESH_FAILED,      /* no primary could be asked, or none had an acceptable version */
	REFRESH_FORCED,      /* the operator wants a transfer */
	REFRESH_EVENTS
};
enum refresh_act {
	REFRESH_NOTHING,
	REFRESH_ASK,         /* begin to ask the primaries for their serial */
	REFRESH_PULL,        /* begin a transfer (what was under way is given up) */
	REFRESH_GIVE_UP,     /* what is under way took far too long: stop it */
	REFRESH_EXPIRE,      /* stop serving the zone; whatever else was due follows at the next TIMER */
};

/* Seconds; the SOA's, clamped. */
struct refresh_times {
	uint32_t refresh, retry, expire;
};
struct refresh_clamps {
	uint32_t refresh_min, refresh_max, retry_min, retry_max, expire_min, expire_max;
};
struct refresh_times refresh_times_of(const struct rr_soa *, const struct refresh_clamps *);

struct refresh {
	enum refresh_state state;
	bool loaded;                 /* we have a version: `serial` */
	bool expired;
	bool held;                   /* by the operator: nothing happens but expiry */
	bool notified;               /* what is under way was caused by a NOTIFY */
	bool again;                  /* a NOTIFY without a serial came while something was under way */
	bool hinted;                 /* a NOTIFY named a serial newer than ours: `hint` */
	struct serial serial, hint;
	struct refresh_times times;  /* of the version we have */
	uint32_t watchdog;           /* ms that a probe or a transfer may be under way at most */
	uint32_t retry_min;          /* s: least pause while there is no version yet */
	unsigned failures;           /* in a row */
	unsigned barren;             /* probes because of a NOTIFY, in a row, that found nothing newer */
	bool has_given;              /* the primary told when its own copy expires (RFC 7314) */
	uint32_t given;              /* s */
	int64_t timer;               /* ms: next TIMER, always armed */
	int64_t refreshed;           /* ms: when a primary last confirmed our version */
	int64_t expire_at;           /* ms; only if loaded */
	int64_t quiet_until;         /* ms: NOTIFYs before wait until then */
};

/* A zone without a version; the first TIMER is due at `first`. */
void refresh_init(struct refresh *, int64_t first, uint32_t watchdog, uint32_t retry_min);
/* A version was found on disk, confirmed last at `refreshed`. It may be over its time: then TIMER tells. */
void refresh_loaded(struct refresh *, struct serial, struct refresh_times, int64_t refreshed);
/* What is known from before a restart, of the version or, if there is none, of the lack of one: failures in a row, and that the primary gave our
 * copy so many seconds from `refreshed` on (0: it said nothing). */
void refresh_resume(struct refresh *, unsigned failures, uint32_t given);
/* Seconds from `refreshed` on that our copy lasts, where that is less than its SOA says; else 0. */
uint32_t refresh_given_before(const struct refresh *);
/* Seconds that a version of these times lasts if it is confirmed now. */
uint32_t refresh_lasts(const struct refresh *, struct refresh_times);
/* Our version's times were clamped anew: what is due follows the new ones. True: it had expired, and now it has not. */
bool refresh_retime(struct refresh *, struct refresh_times, int64_t now);
/* On hold every event leads to nothing, TIMER at most to REFRESH_EXPIRE. What was under way has been given up, unless it is being published: that
 * comes to its end. After the hold TIMER is due at once. */
void refresh_hold(struct refresh *, bool held, bool publishing, int64_t now);
/* When TIMER must be given next. */
int64_t refresh_due(const struct refresh *);
/* What the next SAME or DONE comes with: the seconds until the primary's copy expires, if it told. Ours lasts no longer than the SOA
 * says, and as long as to the next retry; what is confirmed does not expire sooner than before (RFC 7314 4). */
void refresh_given(struct refresh *, bool has, uint32_t seconds);
/* What is under way has only begun now; before, it waited for its turn. */
void refresh_begun(struct refresh *, int64_t now);
/* At rest: the timer is not later than `then`. */
void refresh_not_later(struct refresh *, int64_t then);
/* That serial was looked at, and is not for us. */
void refresh_unhint(struct refresh *, struct serial);
/* DONE: set `loaded`, `serial` and `times` of the new version before. `random`: 32 random bits, for the jitter: the refresh
 * and retry timers are shortened by up to a tenth. */
enum refresh_act refresh_event(struct refresh *, enum refresh_event, int64_t now, uint32_t random);
/* A NOTIFY, with the serial it names, if any. One that names a serial we have is ignored (but counted by the caller). `direct`: its sender
 * may be asked for the difference without being asked for its serial first.
 * NOTIFYs that lead to nothing are answered by fewer and fewer probes: a flood causes a handful. */
enum refresh_act refresh_notify(struct refresh *, bool has_serial, struct serial, bool direct, int64_t now,
	uint32_t random);
const char *refresh_state_name(enum refresh_state);
const char *refresh_event_name(enum refresh_event);

#endif
