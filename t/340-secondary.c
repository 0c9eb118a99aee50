/* xfer/secondary: zones, primaries that come and go, and an operator, for simulated weeks, with exchanges that end as chance will have it. In
 * every state an exchange, a timer or a place is waited for: no zone is forgotten, and all is given back at the end.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/log.h"
#include "xfer/secondary.h"
#include "zone/build.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { S = 1000, HOUR = 3600 * S, ZONES = 12, PRIMARIES = 3, ADDRESSES = 2, EVENTS = 200000 };

static int64_t now_ms;
static uint32_t seed;

static int64_t now(void) { return now_ms; }
static uint64_t unix_time(void) { return (uint64_t)now_ms / 1000 + 1000000; }
static uint32_t chance(uint32_t below)
{
	seed = seed * 1664525u + 1013904223u;
	return (uint32_t)((uint64_t)(seed >> 4) * below >> 28);
}

/* Where nothing is left to chance: every exchange is good, and takes so long; what each primary serves. */
static bool calm;
static uint32_t calm_ms, calm_serials[PRIMARIES];

/* --- the exchanges: these stand in for xfer/fetch ----------------------------- */

struct fetch {
	struct fetch *next;
	struct fetch_ask ask;
	fetch_done *done;
	void *ctx;
	int64_t began, ends;
	bool late;
};
static struct fetch *running;
static unsigned started[ZONES];
static int64_t last_start[ZONES];

static struct secondary *zones[ZONES];
static uint8_t names[ZONES][16];

static unsigned index_of(const uint8_t *name)
{
	unsigned i = 0;

	while (!name_equal(names[i], name))
		i++;
	return i;
}

const char *fetch_outcome_name(enum fetch_outcome outcome) { return outcome == FETCH_OK ? "ok" : "other"; }
const char *fetch_transport_name(enum fetch_transport transport) { return transport == FETCH_UDP ? "udp" : "tcp"; }
void fetch_progress(const struct fetch *f, uint64_t *records, uint64_t *bytes)
{
	(void)f;
	*records = *bytes = 0;
}

/* What an address is like changes every few hours: answers, silent, refuses the connection. */
static unsigned mood_of(const struct net_addr *to)
{
	uint32_t mixed = (uint32_t)(now_ms / (3 * HOUR)) * 2654435761u ^ (ntohl(to->v4.sin_addr.s_addr) * 40503u);

	return (mixed >> 13) % 4;
}

struct fetch *fetch_start(struct event_base *loop, const struct fetch_ask *ask, fetch_done *done, void *ctx)
{
	struct fetch *f = calm || chance(500) ? calloc(1, sizeof *f) : NULL;
	unsigned zone = index_of(ask->zone);

	assert_null(loop);
	last_start[zone] = now_ms;
	started[zone]++;
	if (!f)
		return NULL;         /* out of memory, now and then */
	*f = (struct fetch){running, *ask, done, ctx, now_ms, 0, false};
	f->ends = now_ms + (calm ? 20 + chance(calm_ms) : mood_of(&ask->to) == 1 ? 9500 : mood_of(&ask->to) == 2 ? 1 : 20 + chance(3000));
	running = f;
	return f;
}

static void forget(struct fetch *f)
{
	struct fetch **at = &running;

	while (*at != f)
		at = &(*at)->next;
	*at = f->next;
}

void fetch_cancel(struct fetch *f)
{
	if (!f)
		return;
	forget(f);
	free(f);
}

static struct zone *make_version(const uint8_t *name, uint32_t serial)
{
	uint8_t soa[22] = {0, 0, (uint8_t)(serial >> 24), (uint8_t)(serial >> 16), (uint8_t)(serial >> 8), (uint8_t)serial,
		0, 0, 0x0e, 0x10, 0, 0, 2, 0x58, 0, 1, 0x51, 0x80, 0, 0, 0, 60};     /* 3600 600 86400 60 */
	struct rr rr = {.owner = name, .type = RR_SOA, .class = CLASS_IN, .ttl = 60, .rdata = soa, .rdlength = sizeof soa};
	struct build *build = build_new(name, NULL, (struct build_limits){0});
	struct zone *zone = NULL;
	struct why why;

	assert_int_equal(build_add(build, &rr, &why), ERR_OK);
	rr.type = RR_NS;
	rr.rdata = (const uint8_t *)"";
	rr.rdlength = 1;
	assert_int_equal(build_add(build, &rr, &why), ERR_OK);
	assert_int_equal(build_finish(build, &zone, &why), ERR_OK);
	return zone;
}

/* What primaries serve rises now and then; it is the same for all but for a lag of one. */
static uint32_t serial_at(const struct net_addr *to)
{
	if (calm)
		return calm_serials[ntohl(to->v4.sin_addr.s_addr) >> 8 & 0xff];
	return (uint32_t)(now_ms / (2 * HOUR)) + 10 - (ntohl(to->v4.sin_addr.s_addr) >> 8 & 1);
}

static void good_answer(struct fetch *f, struct fetch_result *r)
{
	uint32_t serial = serial_at(&f->ask.to);

	r->heard = true;
	r->transport = f->ask.kind == FETCH_SOA ? FETCH_UDP : FETCH_TCP;
	r->has_serial = true;
	r->serial.v = serial;
	r->outcome = FETCH_OK;
	r->has_expire = !calm && chance(2);
	r->expire = chance(100000);
	if (f->ask.kind == FETCH_SOA)
		return;
	r->records = 2;
	r->incremental = f->ask.kind == FETCH_IXFR;
	if (f->ask.kind == FETCH_IXFR && f->ask.base->serial.v == serial)
		r->outcome = FETCH_CURRENT;
	else if (f->ask.kind == FETCH_IXFR && serial_newer(f->ask.base->serial, r->serial))
		r->outcome = FETCH_BACK;
	else
		r->version = make_version(f->ask.zone, serial);
}

static void end(struct fetch *f)
{
	struct fetch_result r = {.outcome = FETCH_NETWORK, .transport = FETCH_TCP, .ms = (uint32_t)(now_ms - f->began)};
	unsigned mood = mood_of(&f->ask.to);
	struct fetch copy = *f;

	err_why(&r.why, ERR_NETWORK, "by chance");
	if (calm) {
		good_answer(f, &r);
	} else if (mood == 0 || mood == 3) {
		switch (chance(12)) {
		case 0:
			r.outcome = FETCH_PROTOCOL;
			r.heard = true;
			r.axfr_may_help = f->ask.kind == FETCH_IXFR;
			r.records = f->ask.kind == FETCH_SOA ? 0 : chance(3);
			r.has_serial = r.records > 0;
			r.serial.v = serial_at(&f->ask.to);
			break;
		case 1:
			r.outcome = FETCH_TSIG_FAILED;
			r.heard = true;
			break;
		case 2:
			r.heard = true;      /* broken off */
			r.records = 1;
			break;
		case 3:
			r.ours = true;
			break;
		default:
			good_answer(f, &r);
			break;
		}
	}
	if (r.heard && copy.ask.heard)
		copy.ask.heard(copy.ctx, r.transport);
	forget(f);
	free(f);
	copy.done(copy.ctx, &r);
	zone_put(r.version);
}

/* --- the daemon ------------------------------------------------------------------ */

struct publishing { struct secondary *zone; struct zone *version; int64_t due; } pending[ZONES];
static unsigned published, rejected, told, lost_waiters;
static unsigned waiting[ZONES];

static void answer_publish(unsigned i)
{
	struct publishing p = pending[i];
	struct why why;

	pending[i] = (struct publishing){0};
	zone_put(p.version);
	switch (calm ? 9 : chance(10)) {
	case 0:
		err_why(&why, ERR_IO, "the disk is full");
		secondary_published(p.zone, ERR_IO, &why);
		break;
	case 1:
		err_why(&why, ERR_ZONE, "the digest is wrong");
		rejected++;
		secondary_published(p.zone, ERR_ZONE, &why);
		break;
	default:
		published++;
		secondary_published(p.zone, ERR_OK, NULL);
		break;
	}
}

static void publish(void *ctx, struct secondary *s, struct zone *version)
{
	unsigned i = *(unsigned *)secondary_owner(s);

	(void)ctx;
	assert_null(pending[i].zone);
	pending[i] = (struct publishing){s, version, now_ms + chance(2 * S)};
	if (chance(2))
		answer_publish(i);
}

static void confirmed(void *ctx, struct secondary *s, bool revived) { (void)ctx; (void)s; (void)revived; }
static void expired(void *ctx, struct secondary *s) { (void)ctx; (void)s; }

static void waiter(void *ctx, struct secondary *s, const struct secondary_outcome *o)
{
	(void)s;
	assert_true(o->result != SECONDARY_FAILED || o->error);
	--*(unsigned *)ctx;
	told++;
}

static void release(struct secondary_conf *conf) { (void)conf; }

static struct net_addr addresses[PRIMARIES][ADDRESSES];
static struct secondary_remote remotes[PRIMARIES], reversed[PRIMARIES];
static struct secondary_counters counters;
static struct secondary_env env = {.now = now, .unix_time = unix_time, .publish = publish, .confirmed = confirmed, .expired = expired,
	.counters = &counters};
static struct primaries *primaries;
static struct secondary_conf confs[4];
static unsigned owners[ZONES];
static bool on_hold[ZONES];
static unsigned conf_of[ZONES];      /* which of confs, */
static int64_t conf_since[ZONES];    /* and since when */

static void make_conf(struct secondary_conf *c, const struct secondary_remote *list, size_t count, bool newest)
{
	*c = (struct secondary_conf){.refs = 1, .release = release, .remotes = list, .remote_count = count, .ixfr = true, .newest = newest,
		.rollback = ROLLBACK_AFTER_EXPIRE, .clamps = {2, 2419200, 1, 1209600, 0, 2419200}, .times = {5 * S, 30 * S, 600 * S, 0, 0}};
}

static void set_up_primaries(void)
{
	now_ms = 1;
	seed = 4711;
	memset(pending, 0, sizeof pending);
	env.timers = timers_new(NULL, now);
	primaries = primaries_new();
	for (unsigned lane = 0; lane < PRIMARY_LANES; lane++)
		primaries_set_limits(primaries, lane, (struct primary_limits){4, 3});
	for (unsigned p = 0; p < PRIMARIES; p++) {
		char text[40];

		for (unsigned a = 0; a < ADDRESSES; a++) {
			snprintf(text, sizeof text, "192.0.%u.%u", p, a + 1);
			assert_int_equal(net_addr_parse(&addresses[p][a], text, 53, NULL), ERR_OK);
		}
		snprintf(text, sizeof text, "p%u", p);
		remotes[p] = (struct secondary_remote){.addresses = addresses[p], .address_count = p ? ADDRESSES : 1,
			.primary = primary_get(primaries, text)};
		remotes[p].name = primary_name(remotes[p].primary);
	}
}

static void set_up(void)
{
	set_up_primaries();
	for (unsigned p = 0; p < PRIMARIES; p++)
		reversed[p] = remotes[PRIMARIES - 1 - p];
	make_conf(&confs[0], remotes, PRIMARIES, false);
	make_conf(&confs[1], remotes, PRIMARIES, true);
	make_conf(&confs[2], reversed, 2, false);
	make_conf(&confs[3], remotes, 1, false);
	for (unsigned i = 0; i < ZONES; i++) {
		snprintf((char *)names[i], sizeof names[i], "%cz%02u", 3, i);
		owners[i] = i;
		conf_of[i] = i % 4;
		zones[i] = secondary_new(&env, names[i], &confs[i % 4], &owners[i]);
		if (i % 3 == 0)
			secondary_loaded(zones[i], make_version(names[i], 5), now_ms);
		secondary_start(zones[i], i * 10);
		last_start[i] = now_ms;
	}
}

static bool has_fetch(unsigned zone)
{
	for (const struct fetch *f = running; f; f = f->next)
		if (index_of(f->ask.zone) == zone)
			return true;
	return false;
}


/* Since when, in this period of moods, an address of the zone's primaries has been well; now: none is. */
static int64_t well_since(unsigned i)
{
	const struct secondary_conf *c = &confs[conf_of[i]];
	int64_t period = now_ms - now_ms % (3 * HOUR);

	for (size_t r = 0; r < c->remote_count; r++)
		for (size_t a = 0; a < c->remotes[r].address_count; a++)
			if (mood_of(&c->remotes[r].addresses[a]) % 3 == 0)
				return period > conf_since[i] ? period : conf_since[i];
	return now_ms;
}

/* What must hold whatever came before. */
static void check(unsigned i)
{
	struct secondary_status status;
	bool busy, queued = false;

	secondary_status(zones[i], &status);
	for (unsigned p = 0; p < PRIMARIES; p++)
		for (unsigned lane = 0; lane < PRIMARY_LANES; lane++)
			queued |= primary_waiting(remotes[p].primary, lane) > 0;
	busy = status.refresh.state == REFRESH_PROBE || status.refresh.state == REFRESH_TRANSFER;
	if (busy && !has_fetch(i) && !pending[i].zone && !queued)
		fail_msg("zone %u is %s, and nothing is under way", i, refresh_state_name(status.refresh.state));
	assert_true(refresh_due(&status.refresh) > 0);
	if (!busy && waiting[i] && !on_hold[i])
		fail_msg("zone %u is %s, and somebody waits for it", i, refresh_state_name(status.refresh.state));
	/* of what is at rest a primary that is well is asked every hour; of one that is not, others of its zones find it out */
	if (!on_hold[i] && now_ms - last_start[i] > 2 * HOUR && well_since(i) < now_ms - 2 * HOUR && !pending[i].zone)
		fail_msg("zone %u has been forgotten: %s", i, refresh_state_name(status.refresh.state));
	if (on_hold[i])
		last_start[i] = now_ms;
}

/* The next thing that is due by itself. False: nothing is. */
static bool advance(void)
{
	int64_t next = timers_due(env.timers);
	struct fetch *first = NULL;
	unsigned publisher = ZONES;

	for (struct fetch *f = running; f; f = f->next) {
		int64_t due = f->late || f->began + FETCH_LATE_MS > f->ends ? f->ends : f->began + FETCH_LATE_MS;

		if (due < next) {
			next = due;
			first = f;
		}
	}
	for (unsigned i = 0; i < ZONES; i++)
		if (pending[i].zone && pending[i].due < next) {
			next = pending[i].due;
			publisher = i;
		}
	if (next == INT64_MAX)
		return false;
	if (next > now_ms)
		now_ms = next;
	if (publisher < ZONES)
		answer_publish(publisher);
	else if (first && now_ms < first->ends) {
		first->late = true;
		if (first->ask.late)
			first->ask.late(first->ctx);
	} else if (first)
		end(first);
	else
		timers_run(env.timers, now_ms);
	return true;
}

static void interfere(void)
{
	unsigned i = chance(ZONES), p = chance(PRIMARIES);

	switch (chance(12)) {
	case 0:
		if (on_hold[i])
			break;
		waiting[i]++;
		secondary_refresh(zones[i], waiter, &waiting[i]);
		break;
	case 1:
		if (on_hold[i])
			break;
		waiting[i]++;
		secondary_transfer(zones[i], chance(2), chance(2) ? remotes[p].name : NULL, waiter, &waiting[i]);
		break;
	case 2:
		conf_of[i] = chance(4);
		conf_since[i] = now_ms;
		secondary_set_conf(zones[i], &confs[conf_of[i]], chance(2), 5 * S);
		break;
	case 3:
		on_hold[i] = !on_hold[i] && !chance(3);
		secondary_hold(zones[i], on_hold[i]);
		break;
	default:
		secondary_notify(zones[i], &addresses[p][0], chance(3), (struct serial){serial_at(&addresses[p][0]) + chance(2)});
		break;
	}
	check(i);
}

static void nothing_wedges_whatever_primaries_and_operators_do(void **state)
{
	unsigned least = UINT32_MAX;

	(void)state;
	log_setup(LOG_TO_STDERR, LOG_LEVEL_ERROR);
	set_up();
	for (unsigned n = 0; n < EVENTS; n++) {
		if (chance(40) == 0)
			interfere();
		assert_true(advance());
		check(chance(ZONES));
	}
	for (unsigned i = 0; i < ZONES; i++) {
		check(i);
		least = started[i] < least ? started[i] : least;
		lost_waiters += waiting[i];
	}
	assert_true(now_ms > INT64_C(14) * 24 * HOUR);
	assert_true(published > 1000 && rejected > 100 && told > 100 && least > 300);
	assert_true(counters.primaries_lost > 50 && counters.primaries_back > 50 && counters.refused_again > 10);
	for (unsigned i = 0; i < ZONES; i++) {
		secondary_free(zones[i]);
		assert_int_equal(waiting[i], 0);
		zone_put(pending[i].version);
	}
	assert_null(running);
	assert_int_equal(timers_due(env.timers), INT64_MAX);
	for (unsigned p = 0; p < PRIMARIES; p++)
		for (unsigned lane = 0; lane < PRIMARY_LANES; lane++) {
			assert_int_equal(primary_running(remotes[p].primary, lane), 0);
			assert_int_equal(primary_waiting(remotes[p].primary, lane), 0);
			assert_int_equal(primary_sleepers(remotes[p].primary, lane), 0);
		}
	for (unsigned c = 0; c < 4; c++)
		assert_int_equal(confs[c].refs, 1);
	timers_free(env.timers);
	primaries_free(primaries);
}

/* A primary is known to have more: the state is not ok. */
static bool is_behind(void)
{
	struct secondary_status status;

	secondary_status(zones[0], &status);
	return status.has_best && serial_newer(status.best, status.refresh.serial);
}

static bool rests(void)
{
	return !running && !pending[0].zone;
}

/* The first primary always answers, and is believed; the second is looked at once in each refresh time all the same, with whatever jitter, and
 * however long its answer takes. */
static void a_second_primary_that_is_ahead_is_seen_within_a_refresh(void **state)
{
	enum { REFRESH_S = 20, LONGEST = 1500, ROUNDS = 300 };

	(void)state;
	set_up_primaries();
	calm = true;
	calm_ms = LONGEST;
	make_conf(&confs[0], remotes, 2, false);
	confs[0].clamps.refresh_max = REFRESH_S;
	snprintf((char *)names[0], sizeof names[0], "%cz00", 3);
	calm_serials[0] = calm_serials[1] = 1;
	zones[0] = secondary_new(&env, names[0], &confs[0], &owners[0]);
	secondary_start(zones[0], 0);
	while (now_ms < 2 * REFRESH_S * S || !rests())
		assert_true(advance());
	for (unsigned round = 0; round < ROUNDS; round++) {
		int64_t since, until = now_ms + chance(3 * REFRESH_S * S);

		while (timers_due(env.timers) < until || !rests())
			assert_true(advance());
		assert_false(is_behind());
		calm_serials[1]++;
		for (since = now_ms; !is_behind();) {
			assert_true(advance());
			if (now_ms - since > REFRESH_S * S + 2 * (20 + LONGEST))
				fail_msg("round %u: the second primary is ahead for %lld ms, and it is not known", round,
					(long long)(now_ms - since));
		}
		calm_serials[0]++;
		while (is_behind() || !rests()) {
			assert_true(advance());
			assert_true(now_ms - since < 4 * REFRESH_S * S);
		}
	}
	secondary_free(zones[0]);
	assert_null(running);
	timers_free(env.timers);
	primaries_free(primaries);
	calm = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_wedges_whatever_primaries_and_operators_do),
		cmocka_unit_test(a_second_primary_that_is_ahead_is_seen_within_a_refresh),
	};

	return cmocka_run_group_tests_name("xfer/secondary", tests, NULL, NULL);
}
