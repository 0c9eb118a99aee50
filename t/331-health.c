/* xfer/peer and xfer/view: what is learned of an address by all zones, and of a primary by one. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "xfer/peer.h"
#include "xfer/view.h"

#include <stdio.h>

enum { S = 1000 };

static struct peers *table;

static int make(void **state)
{
	(void)state;
	table = peers_new();
	return table ? 0 : -1;
}

static int clear(void **state)
{
	(void)state;
	peers_free(table);
	return 0;
}

static struct peer *at(const char *text)
{
	struct net_addr addr;

	assert_int_equal(net_addr_parse(&addr, text, 53, NULL), ERR_OK);
	return peer_get(table, &addr);
}

static enum peer_change failed(struct peer *p, int64_t began, int64_t now)
{
	return peer_failed(p, LANE_TRANSFERS, began, now, 0, "nobody is there");
}

static void an_address_is_found_again_among_many(void **state)
{
	static struct peer *first[2000];
	char text[40];

	(void)state;
	for (unsigned round = 0; round < 2; round++)
		for (unsigned i = 0; i < 2000; i++) {
			snprintf(text, sizeof text, i % 2 ? "2001:db8::%x@%u" : "192.0.2.%u@%u", i % 100 + 1, 1000 + i / 100);
			if (!round)
				first[i] = at(text);
			assert_non_null(first[i]);
			assert_ptr_equal(at(text), first[i]);
		}
	assert_ptr_not_equal(at("192.0.2.1@1000"), at("192.0.2.1@1001"));
}

static void it_is_held_ever_longer_and_tried_by_one(void **state)
{
	struct peer *p = at("192.0.2.1");
	int64_t now = 10 * S, hold = 0;

	(void)state;
	assert_true(peer_may(p, LANE_TRANSFERS, now));
	assert_int_equal(failed(p, now, now), PEER_LOST);
	assert_string_equal(peer_why(p), "nobody is there");
	for (unsigned i = 0; i < 12; i++) {
		int64_t next = peer_until(p, LANE_TRANSFERS) - now;

		assert_true(next >= hold && next >= 1 * S && next <= 60 * S);
		assert_false(peer_may(p, LANE_TRANSFERS, now + next - 1));
		hold = next;
		now += next;
		assert_true(peer_may(p, LANE_TRANSFERS, now));
		peer_begin(p, LANE_TRANSFERS, now);
		assert_int_equal(peer_health(p, LANE_TRANSFERS), PEER_TRIAL);
		assert_false(peer_may(p, LANE_TRANSFERS, now));      /* the others keep away */
		now += 5 * S;
		assert_int_equal(failed(p, now - 5 * S, now), PEER_SAME);
	}
	assert_int_equal(hold, 60 * S);
	assert_int_equal(peer_failures(p, LANE_TRANSFERS), 13);
	assert_true(peer_may(p, LANE_PROBES, now));                  /* that is another matter */
	now = peer_until(p, LANE_TRANSFERS);
	peer_begin(p, LANE_TRANSFERS, now);
	assert_int_equal(peer_heard(p, LANE_TRANSFERS, now), PEER_BACK);
	assert_true(peer_may(p, LANE_TRANSFERS, now));
	assert_int_equal(failed(p, now + 1, now + 2), PEER_LOST);
	assert_int_equal(peer_until(p, LANE_TRANSFERS), now + 2 + 1 * S);    /* from the beginning */
}

static void holds_are_shortened_by_a_tenth_at_most(void **state)
{
	struct peer *p = at("192.0.2.1");

	(void)state;
	peer_failed(p, LANE_PROBES, 0, 0, UINT32_MAX, "x");
	assert_int_equal(peer_until(p, LANE_PROBES), 901);
}

static void whoever_heard_from_it_since_knows_better(void **state)
{
	struct peer *p = at("192.0.2.1");

	(void)state;
	assert_false(peer_late(p, LANE_TRANSFERS, 10, 2510) && peer_heard(p, LANE_TRANSFERS, 2511) != PEER_EASED);
	assert_false(peer_late(p, LANE_TRANSFERS, 10, 2520));        /* heard at 2511 */
	assert_int_equal(failed(p, 10, 9000), PEER_SAME);
	assert_int_equal(peer_health(p, LANE_TRANSFERS), PEER_GOOD);
	assert_true(peer_late(p, LANE_TRANSFERS, 3000, 5500));
	assert_int_equal(peer_health(p, LANE_TRANSFERS), PEER_SUSPECT);
	assert_false(peer_may(p, LANE_TRANSFERS, 5500));
	assert_true(peer_may(p, LANE_TRANSFERS, 5500 + 15 * S));     /* whatever became of who was late */
	assert_int_equal(failed(p, 3000, 8000), PEER_LOST);
	assert_int_equal(failed(p, 3001, 8001), PEER_SAME);            /* several were under way: that is one failure */
	assert_int_equal(peer_failures(p, LANE_TRANSFERS), 1);
}

static void a_trial_that_nobody_ended_is_over_some_time(void **state)
{
	struct peer *p = at("192.0.2.1");

	(void)state;
	failed(p, 0, 0);
	peer_begin(p, LANE_TRANSFERS, 2 * S);
	assert_false(peer_may(p, LANE_TRANSFERS, 3 * S));
	assert_true(peer_may(p, LANE_TRANSFERS, 60 * S));
}

static void its_notify_lets_it_be_tried_at_once(void **state)
{
	struct peer *p = at("192.0.2.1");

	(void)state;
	assert_false(peer_wake(p, LANE_TRANSFERS, 5));
	failed(p, 10, 10);
	assert_false(peer_may(p, LANE_TRANSFERS, 20));
	assert_true(peer_wake(p, LANE_TRANSFERS, 20));
	assert_true(peer_may(p, LANE_TRANSFERS, 20));
	peer_begin(p, LANE_TRANSFERS, 20);
	assert_false(peer_may(p, LANE_TRANSFERS, 21));               /* by one */
	assert_false(peer_wake(p, LANE_TRANSFERS, 22));
}

static void edns_is_left_out_where_it_is_not_borne(void **state)
{
	struct peer *p = at("192.0.2.1");

	(void)state;
	assert_int_equal(peer_edns(p, 0), PEER_EDNS_UNKNOWN);
	peer_edns_failed(p, 0);
	assert_int_equal(peer_edns(p, 3599 * S), PEER_EDNS_FAILS);
	assert_int_equal(peer_edns(p, 3600 * S), PEER_EDNS_UNKNOWN);
	peer_edns_silent(p, true, 3600 * S);
	assert_int_equal(peer_edns(p, 3601 * S), PEER_EDNS_DOUBTED);
	peer_edns_silent(p, false, 3602 * S);                        /* it is silent without, too */
	assert_int_equal(peer_edns(p, 3602 * S), PEER_EDNS_UNKNOWN);
	peer_edns_silent(p, true, 3603 * S);
	peer_edns_failed(p, 3604 * S);                               /* it answered without; or it was away before */
	assert_int_equal(peer_edns(p, 3604 * S + 299 * S), PEER_EDNS_FAILS);
	assert_int_equal(peer_edns(p, 3604 * S + 300 * S), PEER_EDNS_UNKNOWN);
	peer_edns_seen(p);
	peer_edns_silent(p, true, 4000 * S);
	assert_int_equal(peer_edns(p, 4000 * S), PEER_EDNS_SPEAKS);
}

static void connections_are_kept_where_that_goes_well(void **state)
{
	struct peer *p = at("192.0.2.1");

	(void)state;
	assert_int_equal(peer_stream(p, 0), PEER_STREAM_MANY);
	peer_stream_closed(p, 0);
	peer_stream_kept(p);
	peer_stream_closed(p, 0);
	assert_int_equal(peer_stream(p, 0), PEER_STREAM_MANY);
	peer_stream_turns(p, 0);
	assert_int_equal(peer_stream(p, 0), PEER_STREAM_TURNS);
	peer_stream_closed(p, 0);
	assert_int_equal(peer_stream(p, 0), PEER_STREAM_ONE);
	peer_stream_turns(p, 1);
	assert_int_equal(peer_stream(p, 1), PEER_STREAM_ONE);
	assert_int_equal(peer_stream(p, 1 + 3600 * S), PEER_STREAM_MANY);
}

static void a_refused_version_is_remembered_for_a_while(void **state)
{
	struct view v = {0};
	struct serial bad = {7}, other = {8};

	(void)state;
	view_refuse(&v, bad, 0);
	assert_true(view_refuses(&v, bad, VIEW_REFUSED_MS - 1));
	assert_false(view_refuses(&v, other, 1));
	assert_false(view_refuses(&v, bad, VIEW_REFUSED_MS));
	view_refuse(&v, bad, VIEW_REFUSED_MS);
	assert_true(view_refuses(&v, bad, VIEW_REFUSED_MS * INT64_C(3) - 1));
	for (unsigned i = 0; i < 1000; i++)
		view_refuse(&v, bad, 0);
	assert_false(view_refuses(&v, bad, VIEW_REFUSED_MAX_MS));
	view_refuse(&v, other, 0);
	assert_true(view_refuses(&v, other, 0));
	assert_false(view_refuses(&v, other, VIEW_REFUSED_MS));
	assert_false(view_refuses(&v, bad, 0));
	view_refuse(&v, bad, 0);
	view_pardon(&v);
	assert_false(view_refuses(&v, bad, 0));
	view_release(&v);
}

static void a_serial_not_shown_again_is_forgotten(void **state)
{
	struct view v = {0};

	(void)state;
	view_shows(&v, (struct serial){7}, 10);
	view_shows(&v, (struct serial){7}, 20);
	assert_int_equal(v.since, 10);
	view_forget(&v, 20);
	assert_true(v.has_serial);
	view_asked(&v, 30, false, "silent");
	view_forget(&v, 21);
	assert_false(v.has_serial);
	view_shows(&v, (struct serial){7}, 40);
	assert_int_equal(v.since, 40);
	view_release(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_address_is_found_again_among_many, make, clear),
		cmocka_unit_test_setup_teardown(it_is_held_ever_longer_and_tried_by_one, make, clear),
		cmocka_unit_test_setup_teardown(holds_are_shortened_by_a_tenth_at_most, make, clear),
		cmocka_unit_test_setup_teardown(whoever_heard_from_it_since_knows_better, make, clear),
		cmocka_unit_test_setup_teardown(a_trial_that_nobody_ended_is_over_some_time, make, clear),
		cmocka_unit_test_setup_teardown(its_notify_lets_it_be_tried_at_once, make, clear),
		cmocka_unit_test_setup_teardown(edns_is_left_out_where_it_is_not_borne, make, clear),
		cmocka_unit_test_setup_teardown(connections_are_kept_where_that_goes_well, make, clear),
		cmocka_unit_test(a_refused_version_is_remembered_for_a_while),
		cmocka_unit_test(a_serial_not_shown_again_is_forgotten),
	};

	return cmocka_run_group_tests_name("xfer/peer, xfer/view", tests, NULL, NULL);
}
