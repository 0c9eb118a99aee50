#include "xfer/refresh.h"

#include <string.h>

enum settle { KEEP, SETTLED, PAUSED };

struct step {
	enum refresh_state next;
	enum refresh_act act;
	enum settle settle;          /* which timer to set: see below */
};

#define STAY(s) {s, REFRESH_NOTHING, KEEP}
#define RETRY(s) { \
	[REFRESH_TIMER] = {REFRESH_PROBE, REFRESH_ASK, KEEP}, \
	[REFRESH_NOTIFY] = {REFRESH_PROBE, REFRESH_ASK, KEEP}, \
	[REFRESH_SAME] = STAY(s), [REFRESH_NEWER] = STAY(s), [REFRESH_DONE] = STAY(s), [REFRESH_FAILED] = STAY(s), \
	[REFRESH_FORCED] = {REFRESH_TRANSFER, REFRESH_PULL, KEEP}}

static const struct step table[REFRESH_STATES][REFRESH_EVENTS] = {
	[REFRESH_IDLE] = RETRY(REFRESH_IDLE),
	[REFRESH_PROBE] = {
		[REFRESH_TIMER] = {REFRESH_BACKOFF, REFRESH_GIVE_UP, PAUSED},
		[REFRESH_NOTIFY] = STAY(REFRESH_PROBE),
		[REFRESH_SAME] = {REFRESH_IDLE, REFRESH_NOTHING, SETTLED},
		[REFRESH_NEWER] = {REFRESH_TRANSFER, REFRESH_PULL, KEEP},
		[REFRESH_DONE] = {REFRESH_IDLE, REFRESH_NOTHING, SETTLED},
		[REFRESH_FAILED] = {REFRESH_BACKOFF, REFRESH_NOTHING, PAUSED},
		[REFRESH_FORCED] = {REFRESH_TRANSFER, REFRESH_PULL, KEEP}},
	[REFRESH_TRANSFER] = {
		[REFRESH_TIMER] = {REFRESH_BACKOFF, REFRESH_GIVE_UP, PAUSED},
		[REFRESH_NOTIFY] = STAY(REFRESH_TRANSFER),
		[REFRESH_SAME] = {REFRESH_IDLE, REFRESH_NOTHING, SETTLED},
		[REFRESH_NEWER] = STAY(REFRESH_TRANSFER),
		[REFRESH_DONE] = {REFRESH_IDLE, REFRESH_NOTHING, SETTLED},
		[REFRESH_FAILED] = {REFRESH_BACKOFF, REFRESH_NOTHING, PAUSED},
		[REFRESH_FORCED] = STAY(REFRESH_TRANSFER)},
	[REFRESH_BACKOFF] = RETRY(REFRESH_BACKOFF),
	[REFRESH_EXPIRED] = RETRY(REFRESH_EXPIRED),
};

enum {
	FIRST_PAUSE = 2000,          /* ms, doubled for each failure while there is no version yet, up to */
	LAST_PAUSE = 600 * 1000,
	QUIET_FIRST = 1000,          /* ms without a probe after a NOTIFY that led to nothing, doubled up to */
	QUIET_LAST = 64 * 1000,
	HELD_PAUSE = 3600 * 1000,    /* ms between two looks at a zone on hold */
	AHEAD_PROBES = 4,            /* times that a primary is asked again after it announced a serial it does not serve yet */
};

const char *refresh_state_name(enum refresh_state state)
{
	static const char *const name[] = {"idle", "probe", "transfer", "backoff", "expired"};

	return state < REFRESH_STATES ? name[state] : "?";
}

const char *refresh_event_name(enum refresh_event event)
{
	static const char *const name[] = {"timer", "notify", "same", "newer", "done", "failed", "forced"};

	return event < REFRESH_EVENTS ? name[event] : "?";
}

static uint32_t clamp(uint32_t value, uint32_t min, uint32_t max)
{
	return value < min ? min : value > max ? max : value;
}

struct refresh_times refresh_times_of(const struct rr_soa *soa, const struct refresh_clamps *c)
{
	return (struct refresh_times){
		.refresh = clamp(soa->refresh, c->refresh_min, c->refresh_max),
		.retry = clamp(soa->retry, c->retry_min, c->retry_max),
		.expire = clamp(soa->expire, c->expire_min, c->expire_max),
	};
}

void refresh_init(struct refresh *r, int64_t first, uint32_t watchdog, uint32_t retry_min)
{
	*r = (struct refresh){.state = REFRESH_IDLE, .timer = first, .watchdog = watchdog, .retry_min = retry_min};
}

void refresh_loaded(struct refresh *r, struct serial serial, struct refresh_times times, int64_t refreshed)
{
	r->loaded = true;
	r->serial = serial;
	r->times = times;
	r->refreshed = refreshed;
	r->expire_at = refreshed + (int64_t)times.expire * 1000;
}

void refresh_resume(struct refresh *r, unsigned failures, uint32_t given)
{
	int64_t at = r->refreshed + (int64_t)given * 1000;

	r->failures = failures;
	if (failures && r->state == REFRESH_IDLE)
		r->state = REFRESH_BACKOFF;
	if (r->loaded && given && at < r->expire_at)
		r->expire_at = at;
}

uint32_t refresh_given_before(const struct refresh *r)
{
	int64_t lasts = (r->expire_at - r->refreshed) / 1000;

	return r->loaded && lasts > 0 && lasts < r->times.expire ? (uint32_t)lasts : 0;
}

uint32_t refresh_lasts(const struct refresh *r, struct refresh_times times)
{
	uint32_t given = r->given > times.retry ? r->given : times.retry;

	return r->has_given && given < times.expire ? given : times.expire;
}

static void not_later_than(int64_t *timer, int64_t then)
{
	if (then < *timer)
		*timer = then;
}

bool refresh_retime(struct refresh *r, struct refresh_times times, int64_t now)
{
	int64_t before = r->refreshed + (int64_t)r->times.expire * 1000, then = r->refreshed + (int64_t)times.expire * 1000;

	r->times = times;
	if (r->expire_at >= before || r->expire_at > then)   /* else the primary gave it less */
		r->expire_at = then;
	switch (r->state) {
	case REFRESH_IDLE:
		not_later_than(&r->timer, r->refreshed + (int64_t)times.refresh * 1000);
		break;
	case REFRESH_BACKOFF: case REFRESH_EXPIRED:
		not_later_than(&r->timer, now + (int64_t)times.retry * 1000);
		break;
	case REFRESH_PROBE: case REFRESH_TRANSFER: case REFRESH_STATES:
		break;
	}
	if (!r->expired || r->expire_at <= now)
		return false;
	r->expired = false;
	if (r->state == REFRESH_EXPIRED)
		r->state = REFRESH_BACKOFF;
	return true;
}

static bool is_busy(const struct refresh *r)
{
	return r->state == REFRESH_PROBE || r->state == REFRESH_TRANSFER;
}

void refresh_hold(struct refresh *r, bool held, bool publishing, int64_t now)
{
	r->held = held;
	r->again = r->notified = false;
	if (publishing)
		return;
	r->timer = held ? now + HELD_PAUSE : now;
	if (held && is_busy(r))
		r->state = r->expired ? REFRESH_EXPIRED : REFRESH_BACKOFF;
}

void refresh_given(struct refresh *r, bool has, uint32_t seconds)
{
	r->has_given = has;
	r->given = seconds;
}

void refresh_begun(struct refresh *r, int64_t now)
{
	if (is_busy(r))
		r->timer = now + r->watchdog;
}

void refresh_not_later(struct refresh *r, int64_t then)
{
	if (!is_busy(r) && !r->held)
		not_later_than(&r->timer, then);
}

void refresh_unhint(struct refresh *r, struct serial serial)
{
	if (r->hinted && serial_equal(r->hint, serial))
		r->hinted = false;
}

int64_t refresh_due(const struct refresh *r)
{
	return r->loaded && !r->expired && r->expire_at < r->timer ? r->expire_at : r->timer;
}

/* Nine tenths to the whole of it. */
static int64_t jitter(int64_t ms, uint32_t random)
{
	return ms - (int64_t)((uint64_t)(ms / 10) * random >> 32);
}

static int64_t doubled(int64_t first, unsigned times, int64_t last)
{
	while (times-- && first < last)
		first *= 2;
	return first < last ? first : last;
}

static void pause_after_failure(struct refresh *r, int64_t now, uint32_t random)
{
	int64_t pause = (int64_t)r->times.retry * 1000;

	if (!r->loaded) {
		pause = doubled(FIRST_PAUSE, r->failures, LAST_PAUSE);
		if (pause < (int64_t)r->retry_min * 1000)
			pause = (int64_t)r->retry_min * 1000;
	}
	r->failures++;
	if (r->expired)
		r->state = REFRESH_EXPIRED;
	r->timer = now + jitter(pause, random);
}

static bool wants_more(const struct refresh *r)
{
	return r->hinted && (!r->loaded || serial_newer(r->hint, r->serial));
}

/* A NOTIFY led to nothing new. If it named a newer serial, the primary may not serve it yet; so it is asked again, but not
 * for ever, and other NOTIFYs wait longer each time. What was announced is forgotten only if a primary denies it. */
static void count_barren(struct refresh *r, enum refresh_event event, int64_t now)
{
	bool ask_soon = wants_more(r) || r->again;

	if (!r->notified && !ask_soon)
		return;
	r->quiet_until = now + doubled(QUIET_FIRST, r->barren, QUIET_LAST);
	r->barren++;
	if (ask_soon && r->barren <= AHEAD_PROBES && r->quiet_until < r->timer)
		r->timer = r->quiet_until;
	if (r->barren > AHEAD_PROBES && event == REFRESH_SAME)
		r->hinted = false;
}

static void set_expiry(struct refresh *r, enum refresh_event event, int64_t now)
{
	uint32_t lasts = refresh_lasts(r, r->times);
	bool bounded = lasts < r->times.expire;
	int64_t at = now + (int64_t)lasts * 1000;

	if (event == REFRESH_DONE || at > r->expire_at || !bounded)
		r->expire_at = at;
	r->has_given = false;
}

/* Our version is confirmed, or new. */
static enum refresh_act settled(struct refresh *r, enum refresh_event event, int64_t now, uint32_t random)
{
	bool more;

	r->refreshed = now;
	set_expiry(r, event, now);
	r->timer = now + jitter((int64_t)r->times.refresh * 1000, random);
	r->expired = false;
	r->failures = 0;
	if (event == REFRESH_DONE) {
		r->barren = 0;
		r->quiet_until = 0;
		r->hinted = wants_more(r);
	} else {
		count_barren(r, event, now);
	}
	more = event == REFRESH_DONE && (r->again || r->hinted) && !r->held;
	r->again = false;
	r->notified = more;
	if (!more)
		return REFRESH_NOTHING;
	r->state = REFRESH_PROBE;
	return REFRESH_ASK;
}

static enum refresh_act step(struct refresh *r, enum refresh_event event, int64_t now, uint32_t random)
{
	const struct step *s = &table[r->state][event];
	enum refresh_act act = s->act;

	if (r->held && (act == REFRESH_ASK || act == REFRESH_PULL)) {
		r->timer = now + HELD_PAUSE;
		return REFRESH_NOTHING;
	}
	r->state = s->next;
	switch (s->settle) {
	case KEEP:
		break;
	case SETTLED:
		act = settled(r, event, now, random);
		break;
	case PAUSED:
		pause_after_failure(r, now, random);
		count_barren(r, event, now);
		r->again = r->notified = false;
		break;
	}
	if (act == REFRESH_ASK && !r->loaded) {
		act = REFRESH_PULL;  /* nothing to compare: pull at once */
		r->state = REFRESH_TRANSFER;
	}
	if (act == REFRESH_ASK || act == REFRESH_PULL)
		r->timer = now + r->watchdog;
	return act;
}

enum refresh_act refresh_event(struct refresh *r, enum refresh_event event, int64_t now, uint32_t random)
{
	if (event == REFRESH_TIMER) {
		if (r->loaded && !r->expired && now >= r->expire_at) {
			r->expired = true;
			if (r->state == REFRESH_IDLE || r->state == REFRESH_BACKOFF) {
				r->state = REFRESH_EXPIRED;
				r->timer = now;      /* what was not good enough before may be so now */
			}
			return REFRESH_EXPIRE;
		}
		if (now < r->timer)
			return REFRESH_NOTHING;
	}
	return step(r, event, now, random);
}

enum refresh_act refresh_notify(struct refresh *r, bool has_serial, struct serial serial, bool direct, int64_t now,
	uint32_t random)
{
	enum refresh_act act;

	if (has_serial && r->loaded && !r->expired && !serial_newer(serial, r->serial))
		return REFRESH_NOTHING;
	if (has_serial && (!r->hinted || serial_newer(serial, r->hint))) {
		r->hinted = true;
		r->hint = serial;
	}
	if (r->held)
		return REFRESH_NOTHING;
	if (is_busy(r)) {
		r->again |= !has_serial;
		return REFRESH_NOTHING;
	}
	if (now < r->quiet_until) {
		if (r->quiet_until < r->timer)
			r->timer = r->quiet_until;
		return REFRESH_NOTHING;
	}
	r->notified = true;
	act = step(r, REFRESH_NOTIFY, now, random);
	if (act != REFRESH_ASK || !direct || !has_serial || r->expired || r->barren)
		return act;
	r->state = REFRESH_TRANSFER;
	return REFRESH_PULL;
}
