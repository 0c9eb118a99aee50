/* xfer/refresh: years of refresh, retry and expire in milliseconds, and one invariant: the timer is always armed. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "xfer/refresh.h"

enum { S = 1000, WATCHDOG = 600 * S };

static const struct refresh_times times = {.refresh = 3600, .retry = 600, .expire = 86400};

static struct refresh loaded_at(int64_t now)
{
	struct refresh r;

	refresh_init(&r, now, WATCHDOG, 1);
	refresh_loaded(&r, (struct serial){7}, times, now);
	r.timer = now + 3600 * S;
	return r;
}

/* The random number 0 takes the jitter away. */
static enum refresh_act give(struct refresh *r, enum refresh_event event, int64_t now)
{
	return refresh_event(r, event, now, 0);
}

static enum refresh_act hear(struct refresh *r, uint32_t serial, int64_t now)
{
	return refresh_notify(r, true, (struct serial){serial}, false, now, 0);
}

static void a_new_zone_is_pulled_at_once_and_ever_more_slowly(void **state)
{
	struct refresh r;
	int64_t now = 5, pause = 0;

	(void)state;
	refresh_init(&r, now, WATCHDOG, 1);
	for (unsigned i = 0; i < 20; i++) {
		int64_t next;

		assert_int_equal(give(&r, REFRESH_TIMER, now), REFRESH_PULL);
		assert_int_equal(give(&r, REFRESH_FAILED, now), REFRESH_NOTHING);
		next = refresh_due(&r) - now;
		assert_true(next >= pause && next >= 2 * S && next <= 600 * S);
		pause = next;
		now += next;
	}
	assert_int_equal(pause, 600 * S);
}

static void refresh_same_newer_done(void **state)
{
	struct refresh r = loaded_at(0);

	(void)state;
	assert_int_equal(refresh_due(&r), 3600 * S);
	assert_int_equal(give(&r, REFRESH_TIMER, 3600 * S), REFRESH_ASK);
	assert_int_equal(give(&r, REFRESH_SAME, 3601 * S), REFRESH_NOTHING);
	assert_int_equal(r.state, REFRESH_IDLE);
	assert_int_equal(refresh_due(&r), 7201 * S);
	assert_int_equal(give(&r, REFRESH_TIMER, 7201 * S), REFRESH_ASK);
	assert_int_equal(give(&r, REFRESH_NEWER, 7202 * S), REFRESH_PULL);
	r.serial.v = 8;
	assert_int_equal(give(&r, REFRESH_DONE, 7203 * S), REFRESH_NOTHING);
	assert_int_equal(r.state, REFRESH_IDLE);
	assert_int_equal(r.expire_at, (7203 + 86400) * S);
}

static void a_restart_goes_on_with_failures_and_with_the_expiry_that_was_given(void **state)
{
	struct refresh r;

	(void)state;
	refresh_init(&r, 0, WATCHDOG, 1);
	refresh_resume(&r, 5, 0);
	assert_int_equal(r.state, REFRESH_BACKOFF);
	assert_int_equal(give(&r, REFRESH_TIMER, 0), REFRESH_PULL);
	assert_int_equal(give(&r, REFRESH_FAILED, 0), REFRESH_NOTHING);
	assert_int_equal(r.failures, 6);
	assert_int_equal(refresh_due(&r), 64 * S);

	r = loaded_at(1000 * S);
	assert_int_equal(refresh_given_before(&r), 0);
	refresh_given(&r, true, 5000);
	assert_int_equal(refresh_lasts(&r, times), 5000);
	assert_int_equal(give(&r, REFRESH_FORCED, 2000 * S), REFRESH_PULL);
	assert_int_equal(give(&r, REFRESH_DONE, 2000 * S), REFRESH_NOTHING);
	assert_int_equal(refresh_given_before(&r), 5000);
	r = loaded_at(2000 * S);
	refresh_resume(&r, 0, 5000);
	assert_int_equal(r.state, REFRESH_IDLE);
	assert_int_equal(r.expire_at, 7000 * S);
	refresh_resume(&r, 0, 500000);
	assert_int_equal(r.expire_at, 7000 * S);
}

static void pauses_are_shortened_by_a_tenth_at_most(void **state)
{
	static const struct { uint32_t random; int64_t refresh, retry; } cases[] = {
		{0, 3600 * S, 600 * S}, {1u << 31, 3420 * S, 570 * S}, {UINT32_MAX, 3240 * S + 1, 540 * S + 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct refresh r = loaded_at(0);

		refresh_event(&r, REFRESH_TIMER, 3600 * S, cases[i].random);
		refresh_event(&r, REFRESH_SAME, 3600 * S, cases[i].random);
		assert_int_equal(refresh_due(&r) - 3600 * S, cases[i].refresh);
		refresh_event(&r, REFRESH_TIMER, 7200 * S, cases[i].random);
		refresh_event(&r, REFRESH_FAILED, 7200 * S, cases[i].random);
		assert_int_equal(refresh_due(&r) - 7200 * S, cases[i].retry);
	}
}

static void failures_wait_for_retry_then_expire_then_recover(void **state)
{
	struct refresh r = loaded_at(0);
	int64_t now = 3600 * S;
	unsigned probes = 0;

	(void)state;
	while (!r.expired) {
		enum refresh_act act;

		now = refresh_due(&r);
		act = give(&r, REFRESH_TIMER, now);
		if (act == REFRESH_ASK) {
			probes++;
			assert_int_equal(give(&r, REFRESH_FAILED, now), REFRESH_NOTHING);
		} else {
			assert_int_equal(act, REFRESH_EXPIRE);
		}
	}
	assert_int_equal(now, 86400 * S);
	assert_int_equal(probes, (86400 - 3600) / 600);
	assert_int_equal(r.state, REFRESH_EXPIRED);
	/* it goes on asking, and what it finds makes it whole again */
	now = refresh_due(&r);
	assert_int_equal(give(&r, REFRESH_TIMER, now), REFRESH_ASK);
	assert_int_equal(give(&r, REFRESH_SAME, now), REFRESH_NOTHING);
	assert_false(r.expired);
	assert_int_equal(r.state, REFRESH_IDLE);
}

static void when_it_expires_the_primaries_are_asked_at_once(void **state)
{
	struct refresh r = loaded_at(0);

	(void)state;
	r.timer = 86399 * S;
	assert_int_equal(give(&r, REFRESH_TIMER, 86399 * S), REFRESH_ASK);
	assert_int_equal(give(&r, REFRESH_FAILED, 86399 * S), REFRESH_NOTHING);
	assert_int_equal(refresh_due(&r), 86400 * S);
	assert_int_equal(give(&r, REFRESH_TIMER, 86400 * S), REFRESH_EXPIRE);
	assert_int_equal(refresh_due(&r), 86400 * S);
	assert_int_equal(give(&r, REFRESH_TIMER, 86400 * S), REFRESH_ASK);
}

static void other_clamps_move_what_is_due(void **state)
{
	struct refresh r = loaded_at(0);
	struct refresh_times shorter = {.refresh = 60, .retry = 5, .expire = 100}, longer = {.refresh = 7200, .retry = 600, .expire = 90000};

	(void)state;
	assert_false(refresh_retime(&r, shorter, 10 * S));
	assert_int_equal(refresh_due(&r), 60 * S);
	assert_false(refresh_retime(&r, longer, 10 * S));
	assert_int_equal(refresh_due(&r), 60 * S);                   /* sooner than need be does no harm */
	assert_int_equal(give(&r, REFRESH_TIMER, 60 * S), REFRESH_ASK);
	assert_int_equal(give(&r, REFRESH_FAILED, 60 * S), REFRESH_NOTHING);
	assert_int_equal(refresh_due(&r), 660 * S);
	assert_false(refresh_retime(&r, shorter, 70 * S));
	assert_int_equal(refresh_due(&r), 75 * S);
	assert_int_equal(give(&r, REFRESH_TIMER, 100 * S), REFRESH_EXPIRE);
	assert_false(refresh_retime(&r, shorter, 101 * S));
	assert_true(r.expired);
	assert_true(refresh_retime(&r, longer, 102 * S));            /* it lives again */
	assert_false(r.expired);
	assert_int_equal(r.state, REFRESH_BACKOFF);
	assert_int_equal(give(&r, REFRESH_TIMER, refresh_due(&r)), REFRESH_ASK);
	assert_false(refresh_retime(&r, shorter, 103 * S));          /* what is under way goes on */
	assert_int_equal(r.state, REFRESH_PROBE);
	assert_int_equal(give(&r, REFRESH_TIMER, 103 * S), REFRESH_EXPIRE);
	assert_int_equal(give(&r, REFRESH_SAME, 104 * S), REFRESH_NOTHING);
	assert_false(r.expired);
}

static void a_notify_of_a_serial_we_have_is_not_worth_a_probe(void **state)
{
	struct refresh r = loaded_at(0);

	(void)state;
	assert_int_equal(hear(&r, 7, 10 * S), REFRESH_NOTHING);
	assert_int_equal(hear(&r, 6, 10 * S), REFRESH_NOTHING);
	assert_int_equal(r.state, REFRESH_IDLE);
	assert_int_equal(refresh_due(&r), 3600 * S);
}

static void a_notify_during_a_transfer_causes_one_more_probe_if_it_named_more(void **state)
{
	struct refresh r = loaded_at(0);

	(void)state;
	assert_int_equal(hear(&r, 8, 10 * S), REFRESH_ASK);
	assert_int_equal(give(&r, REFRESH_NEWER, 10 * S), REFRESH_PULL);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(hear(&r, 9, 11 * S), REFRESH_NOTHING);
	r.serial.v = 8;
	assert_int_equal(give(&r, REFRESH_DONE, 12 * S), REFRESH_ASK);
	assert_int_equal(give(&r, REFRESH_NEWER, 12 * S), REFRESH_PULL);
	assert_int_equal(hear(&r, 9, 12 * S), REFRESH_NOTHING);
	r.serial.v = 9;
	assert_int_equal(give(&r, REFRESH_DONE, 13 * S), REFRESH_NOTHING);   /* it brought what was announced */
	assert_int_equal(r.state, REFRESH_IDLE);
}

static void a_flood_of_notifies_causes_a_handful_of_probes(void **state)
{
	unsigned probes[2] = {0, 0};

	(void)state;
	for (unsigned named = 0; named < 2; named++) {
		struct refresh r = loaded_at(0);

		for (int64_t now = 0; now < 60 * S; now++) {    /* ten a millisecond, for a minute */
			for (unsigned i = 0; i < 10; i++) {
				enum refresh_act act = refresh_notify(&r, named, (struct serial){100 + (uint32_t)i}, false, now, 0);

				if (act == REFRESH_ASK) {
					probes[named]++;
					give(&r, REFRESH_SAME, now);
				}
			}
			if (now >= refresh_due(&r) && give(&r, REFRESH_TIMER, now) == REFRESH_ASK) {
				probes[named]++;
				give(&r, REFRESH_SAME, now);
			}
		}
		assert_in_range(probes[named], 1, 10);
	}
}

static void changes_one_after_the_other_are_followed_without_a_pause(void **state)
{
	struct refresh r = loaded_at(0);

	(void)state;
	for (uint32_t serial = 8; serial < 1008; serial++) {
		assert_int_equal(hear(&r, serial, serial), REFRESH_ASK);
		assert_int_equal(give(&r, REFRESH_NEWER, serial), REFRESH_PULL);
		r.serial.v = serial;
		assert_int_equal(give(&r, REFRESH_DONE, serial), REFRESH_NOTHING);
	}
}

static void a_notify_ahead_of_the_primary_is_followed_up_a_bounded_number_of_times(void **state)
{
	struct refresh r = loaded_at(0);
	unsigned probes = 1;

	(void)state;
	assert_int_equal(hear(&r, 8, 10 * S), REFRESH_ASK);
	give(&r, REFRESH_SAME, 10 * S);
	while (refresh_due(&r) < 3000 * S) {
		int64_t now = refresh_due(&r);

		assert_int_equal(give(&r, REFRESH_TIMER, now), REFRESH_ASK);
		give(&r, REFRESH_SAME, now);
		probes++;
	}
	assert_in_range(probes, 2, 6);
	assert_false(r.hinted);
}

static void what_was_announced_stays_known_while_nobody_answers(void **state)
{
	struct refresh r = loaded_at(0);
	unsigned probes = 1;

	(void)state;
	assert_int_equal(hear(&r, 8, 10 * S), REFRESH_ASK);
	give(&r, REFRESH_FAILED, 10 * S);
	while (refresh_due(&r) < 20000 * S) {
		int64_t now = refresh_due(&r);

		assert_int_equal(give(&r, REFRESH_TIMER, now), REFRESH_ASK);
		give(&r, REFRESH_FAILED, now);
		probes++;
	}
	assert_in_range(probes, 10, 20000 / 600 + 6);
	assert_true(r.hinted);
	give(&r, REFRESH_TIMER, refresh_due(&r));
	give(&r, REFRESH_SAME, 21000 * S);
	assert_false(r.hinted);
}

static void a_notify_of_a_newer_serial_is_pulled_at_once_where_that_is_safe(void **state)
{
	struct refresh r = loaded_at(0);

	(void)state;
	assert_int_equal(refresh_notify(&r, true, (struct serial){7}, true, 1 * S, 0), REFRESH_NOTHING);
	assert_int_equal(refresh_notify(&r, true, (struct serial){8}, true, 1 * S, 0), REFRESH_PULL);
	assert_int_equal(r.state, REFRESH_TRANSFER);
	assert_int_equal(refresh_due(&r), 1 * S + WATCHDOG);
	give(&r, REFRESH_SAME, 2 * S);       /* it was ahead of what is served: from now on it is only asked */
	assert_int_equal(refresh_due(&r), 3 * S);
	assert_int_equal(give(&r, REFRESH_TIMER, 3 * S), REFRESH_ASK);
	give(&r, REFRESH_SAME, 3 * S);
	assert_int_equal(refresh_notify(&r, true, (struct serial){9}, true, 6 * S, 0), REFRESH_ASK);
	give(&r, REFRESH_NEWER, 6 * S);
	r.serial.v = 9;
	give(&r, REFRESH_DONE, 6 * S);
	assert_int_equal(refresh_notify(&r, true, (struct serial){10}, true, 6 * S, 0), REFRESH_PULL);
	r.serial.v = 10;
	give(&r, REFRESH_DONE, 6 * S);
	assert_int_equal(refresh_notify(&r, false, (struct serial){0}, true, 7 * S, 0), REFRESH_ASK);
	give(&r, REFRESH_DONE, 7 * S);
	r.expired = true;
	assert_int_equal(refresh_notify(&r, true, (struct serial){11}, true, 8 * S, 0), REFRESH_ASK);
}

/* RFC 7314: a primary that is a secondary itself tells how long its own copy will last. */
static void expiry_follows_what_the_primary_tells(void **state)
{
	struct refresh r = loaded_at(0);

	(void)state;
	give(&r, REFRESH_FORCED, 10 * S);
	refresh_given(&r, true, 5000);
	give(&r, REFRESH_DONE, 10 * S);
	assert_int_equal(r.expire_at, 5010 * S);             /* less than the SOA's */
	give(&r, REFRESH_FORCED, 20 * S);
	refresh_given(&r, true, 4000);
	give(&r, REFRESH_SAME, 20 * S);
	assert_int_equal(r.expire_at, 5010 * S);             /* what is confirmed does not expire sooner than it would have */
	give(&r, REFRESH_FORCED, 30 * S);
	refresh_given(&r, true, 86400 * 7);
	give(&r, REFRESH_SAME, 30 * S);
	assert_int_equal(r.expire_at, (30 + 86400) * S);     /* the SOA's is the most */
	give(&r, REFRESH_FORCED, 40 * S);
	refresh_given(&r, true, 0);
	give(&r, REFRESH_DONE, 40 * S);
	assert_int_equal(r.expire_at, 640 * S);              /* to the next retry at least, else it would flap */
	assert_false(refresh_retime(&r, (struct refresh_times){.refresh = 3600, .retry = 600, .expire = 90000}, 50 * S));
	assert_int_equal(r.expire_at, 640 * S);
	give(&r, REFRESH_FORCED, 60 * S);
	give(&r, REFRESH_SAME, 60 * S);
	assert_int_equal(r.expire_at, (60 + 90000) * S);     /* nothing told: the SOA's */
}

static void the_time_of_a_round_begins_with_its_place(void **state)
{
	struct refresh r = loaded_at(0);

	(void)state;
	give(&r, REFRESH_TIMER, 3600 * S);
	refresh_not_later(&r, 3601 * S);                     /* only at rest */
	assert_int_equal(refresh_due(&r), 3600 * S + WATCHDOG);
	refresh_begun(&r, 4000 * S);
	assert_int_equal(refresh_due(&r), 4000 * S + WATCHDOG);
	give(&r, REFRESH_FAILED, 4001 * S);
	refresh_begun(&r, 4002 * S);
	assert_int_equal(refresh_due(&r), 4601 * S);
	refresh_not_later(&r, 4100 * S);
	assert_int_equal(refresh_due(&r), 4100 * S);
}

static void what_never_answers_is_given_up(void **state)
{
	struct refresh r = loaded_at(0);

	(void)state;
	give(&r, REFRESH_TIMER, 3600 * S);
	assert_int_equal(r.state, REFRESH_PROBE);
	assert_int_equal(refresh_due(&r), 3600 * S + WATCHDOG);
	assert_int_equal(give(&r, REFRESH_TIMER, refresh_due(&r)), REFRESH_GIVE_UP);
	assert_int_equal(r.state, REFRESH_BACKOFF);
}

static void the_timers_are_clamped(void **state)
{
	struct rr_soa soa = {.refresh = 1, .retry = 0, .expire = UINT32_MAX};
	struct refresh_clamps c = {2, 2419200, 1, 1209600, 0, 2419200};
	struct refresh_times t = refresh_times_of(&soa, &c);

	(void)state;
	assert_int_equal(t.refresh, 2);
	assert_int_equal(t.retry, 1);
	assert_int_equal(t.expire, 2419200);
}

/* Random events for simulated years: a timer is armed in every state, never in the past for long, and the zone is
 * served whenever it was confirmed within its time. */
static void on_hold_nothing_happens_but_expiry(void **state)
{
	struct refresh r = loaded_at(0);
	int64_t now = 0;

	(void)state;
	r.state = REFRESH_TRANSFER;
	refresh_hold(&r, true, false, now);
	assert_int_equal(r.state, REFRESH_BACKOFF);
	assert_int_equal(refresh_notify(&r, true, (struct serial){r.serial.v + 1}, true, now, 0), REFRESH_NOTHING);
	assert_true(r.hinted);
	assert_int_equal(refresh_event(&r, REFRESH_FORCED, now, 0), REFRESH_NOTHING);
	while (!r.expired) {
		enum refresh_act act;

		assert_true(refresh_due(&r) > now);
		now = refresh_due(&r);
		act = refresh_event(&r, REFRESH_TIMER, now, 0);
		assert_int_equal(act, now < r.expire_at ? REFRESH_NOTHING : REFRESH_EXPIRE);
	}
	for (unsigned i = 0; i < 100; i++) {
		now = refresh_due(&r);
		assert_int_equal(refresh_event(&r, REFRESH_TIMER, now, 0), REFRESH_NOTHING);
		assert_true(refresh_due(&r) > now);
	}
	refresh_hold(&r, false, false, now);
	assert_int_equal(refresh_due(&r), now);
	assert_int_equal(refresh_event(&r, REFRESH_TIMER, now, 0), REFRESH_ASK);
}

static void what_is_being_published_when_the_hold_begins_is_brought_to_its_end(void **state)
{
	struct refresh r = loaded_at(0);

	(void)state;
	assert_int_equal(refresh_event(&r, REFRESH_FORCED, 0, 0), REFRESH_PULL);
	refresh_notify(&r, true, (struct serial){r.serial.v + 9}, true, 1, 0);
	refresh_hold(&r, true, true, 2);
	assert_int_equal(r.state, REFRESH_TRANSFER);
	r.serial.v++;
	assert_int_equal(refresh_event(&r, REFRESH_DONE, 3, 0), REFRESH_NOTHING);
	assert_int_equal(r.state, REFRESH_IDLE);
	assert_true(r.hinted);
	assert_int_equal(refresh_event(&r, REFRESH_TIMER, refresh_due(&r), 0), REFRESH_NOTHING);
}

static void nothing_wedges_in_a_hundred_years(void **state)
{
	uint32_t seed = 12345;
	int64_t now = 0, end = INT64_C(100) * 365 * 86400 * S, last_confirmed = 0;
	unsigned acts[5] = {0}, seen[REFRESH_STATES][REFRESH_EVENTS] = {{0}};
	struct refresh r = loaded_at(0);

	(void)state;
	while (now < end) {
		enum refresh_event event;
		enum refresh_act act;

		seed = seed * 1664525u + 1013904223u;
		event = (seed >> 8) % (REFRESH_EVENTS + 3);
		if (now / (INT64_C(5) * 86400 * S) % 2 && (event == REFRESH_SAME || event == REFRESH_DONE))
			event = REFRESH_FAILED;      /* for five days in ten all primaries are away */
		if (event >= REFRESH_EVENTS || event == REFRESH_TIMER) {
			event = REFRESH_TIMER;
			if (refresh_due(&r) > now)
				now = refresh_due(&r);
		} else {
			now += (seed >> 16) % (600 * S);
		}
		seen[r.state][event]++;
		if (event == REFRESH_NOTIFY) {
			act = refresh_notify(&r, seed >> 31, (struct serial){r.serial.v + (seed >> 12) % 3}, seed >> 30 & 1, now, seed);
		} else {
			bool taken = event == REFRESH_DONE && r.state == REFRESH_TRANSFER;

			if (taken)
				r.serial.v++;
			if (event == REFRESH_SAME && (r.state == REFRESH_PROBE || r.state == REFRESH_TRANSFER))
				last_confirmed = now;
			if (taken)
				last_confirmed = now;
			act = refresh_event(&r, event, now, seed);
		}
		acts[act]++;
		assert_true(r.timer > 0);
		assert_true(refresh_due(&r) <= now + WATCHDOG + 3600 * S);
		if (now - last_confirmed < 86400 * S)
			assert_false(r.expired);
		if (r.state == REFRESH_PROBE || r.state == REFRESH_TRANSFER)
			assert_true(r.timer <= now + WATCHDOG);
	}
	for (unsigned i = 0; i < 5; i++)
		assert_true(acts[i] > 0);
	for (unsigned s = 0; s < REFRESH_STATES; s++)
		for (unsigned e = 0; e < REFRESH_EVENTS; e++)
			if (!seen[s][e])
				fail_msg("never seen: %s in %s", refresh_event_name(e), refresh_state_name(s));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_zone_is_pulled_at_once_and_ever_more_slowly),
		cmocka_unit_test(refresh_same_newer_done),
		cmocka_unit_test(a_restart_goes_on_with_failures_and_with_the_expiry_that_was_given),
		cmocka_unit_test(pauses_are_shortened_by_a_tenth_at_most),
		cmocka_unit_test(failures_wait_for_retry_then_expire_then_recover),
		cmocka_unit_test(when_it_expires_the_primaries_are_asked_at_once),
		cmocka_unit_test(other_clamps_move_what_is_due),
		cmocka_unit_test(a_notify_of_a_serial_we_have_is_not_worth_a_probe),
		cmocka_unit_test(a_notify_during_a_transfer_causes_one_more_probe_if_it_named_more),
		cmocka_unit_test(a_flood_of_notifies_causes_a_handful_of_probes),
		cmocka_unit_test(changes_one_after_the_other_are_followed_without_a_pause),
		cmocka_unit_test(a_notify_ahead_of_the_primary_is_followed_up_a_bounded_number_of_times),
		cmocka_unit_test(what_was_announced_stays_known_while_nobody_answers),
		cmocka_unit_test(a_notify_of_a_newer_serial_is_pulled_at_once_where_that_is_safe),
		cmocka_unit_test(expiry_follows_what_the_primary_tells),
		cmocka_unit_test(the_time_of_a_round_begins_with_its_place),
		cmocka_unit_test(what_never_answers_is_given_up),
		cmocka_unit_test(on_hold_nothing_happens_but_expiry),
		cmocka_unit_test(what_is_being_published_when_the_hold_begins_is_brought_to_its_end),
		cmocka_unit_test(the_timers_are_clamped),
		cmocka_unit_test(nothing_wedges_in_a_hundred_years),
	};

	return cmocka_run_group_tests_name("xfer/refresh", tests, NULL, NULL);
}
