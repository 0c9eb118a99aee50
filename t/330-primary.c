/* xfer/primary: who gets a place, and when. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "xfer/primary.h"

#include <stdlib.h>

struct zone_that_waits {
	struct primary_ticket ticket;
	bool leaves;                 /* as soon as it is granted */
	unsigned turn;               /* 0: not yet */
	enum primary_turn why;
};

static unsigned turns;

static void granted(struct primary_ticket *ticket, enum primary_turn turn)
{
	struct zone_that_waits *z = (struct zone_that_waits *)ticket;

	z->turn = ++turns;
	z->why = turn;
	if (z->leaves)
		primary_leave(&z->ticket);
}

static bool enter(struct primary *p, struct zone_that_waits *z)
{
	return primary_enter(p, LANE_TRANSFERS, &z->ticket, granted);
}

static void primaries_take_turns_within_the_limits(void **state)
{
	struct primaries *table = primaries_new();
	struct primary *a = primary_get(table, "a"), *b = primary_get(table, "b");
	struct zone_that_waits za[4] = {0}, zb[2] = {0};

	(void)state;
	turns = 0;
	assert_ptr_equal(primary_get(table, "a"), a);
	assert_string_equal(primary_name(b), "b");
	primaries_set_limits(table, LANE_TRANSFERS, (struct primary_limits){3, 2});
	assert_true(enter(a, &za[0]));
	primary_answers(&za[0].ticket);
	assert_true(enter(a, &za[1]));
	assert_false(enter(a, &za[2]));
	assert_false(enter(a, &za[3]));
	assert_true(enter(b, &zb[0]));
	assert_false(enter(b, &zb[1]));
	primary_leave(&za[0].ticket);
	primary_leave(&za[1].ticket);
	assert_int_equal(zb[1].turn + za[2].turn, 3);
	assert_int_equal(za[3].turn, 0);
	primary_leave(&za[3].ticket);        /* gives up waiting */
	primary_leave(&za[2].ticket);
	primary_leave(&zb[0].ticket);
	primary_leave(&zb[1].ticket);
	assert_int_equal(turns, 2);
	primaries_free(table);
}

/* All who wait are granted from one place that becomes free: one after the other, not each from within the one before. */
static void many_that_leave_at_once_need_no_stack(void **state)
{
	enum { MANY = 300000 };
	struct primaries *table = primaries_new();
	struct primary *p = primary_get(table, "a");
	struct zone_that_waits first = {0}, *z = calloc(MANY, sizeof *z);

	(void)state;
	assert_non_null(z);
	turns = 0;
	primaries_set_limits(table, LANE_TRANSFERS, (struct primary_limits){1, 1});
	assert_true(enter(p, &first));
	for (unsigned i = 0; i < MANY; i++) {
		z[i].leaves = true;
		assert_false(enter(p, &z[i]));
	}
	primary_leave(&first.ticket);
	assert_int_equal(turns, MANY);
	assert_int_equal(z[MANY - 1].turn, MANY);
	free(z);
	primaries_free(table);
}

static void a_primary_that_was_never_heard_has_few_places(void **state)
{
	struct primaries *table = primaries_new();
	struct primary *p = primary_get(table, "a");
	struct zone_that_waits z[6] = {0};

	(void)state;
	turns = 0;
	primaries_set_limits(table, LANE_TRANSFERS, (struct primary_limits){8, 4});
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(enter(p, &z[i]), i < PRIMARY_FIRST);
	primary_answers(&z[0].ticket);
	assert_int_equal(turns, 2);
	assert_int_equal(primary_running(p, LANE_TRANSFERS), 4);
	primary_lost(p, LANE_TRANSFERS);
	assert_int_equal(turns, 4);
	assert_int_equal(z[5].why, TURN_AGAIN);
	assert_int_equal(z[5].ticket.state, TICKET_NONE);
	primary_leave(&z[0].ticket);
	assert_false(enter(p, &z[0]));                       /* three run, two are allowed again */
	for (unsigned i = 0; i < 6; i++)
		primary_leave(&z[i].ticket);
	assert_int_equal(primary_running(p, LANE_TRANSFERS), 0);
	primaries_free(table);
}

static void silence_does_not_use_up_the_total(void **state)
{
	struct primaries *table = primaries_new();
	struct primary *dead = primary_get(table, "dead"), *live = primary_get(table, "live");
	struct zone_that_waits d[3] = {0}, l[4] = {0};

	(void)state;
	turns = 0;
	primaries_set_limits(table, LANE_TRANSFERS, (struct primary_limits){2, 2});
	assert_true(enter(dead, &d[0]));
	assert_true(enter(dead, &d[1]));
	assert_false(enter(dead, &d[2]));
	for (unsigned i = 0; i < 4; i++)
		assert_false(enter(live, &l[i]));
	primary_late(&d[0].ticket);
	assert_int_equal(l[0].turn, 1);
	primary_late(&d[0].ticket);                          /* once */
	primary_late(&d[1].ticket);
	assert_int_equal(turns, 2);
	assert_int_equal(d[2].turn, 0);                      /* at the dead one both places are taken still */
	primary_answers(&d[0].ticket);                       /* it counts again: three are more than the total */
	primary_leave(&l[0].ticket);
	assert_int_equal(turns, 2);
	primary_leave(&l[1].ticket);
	assert_int_equal(turns, 3);
	primary_leave(&d[1].ticket);
	for (unsigned i = 0; i < 3; i++)
		primary_leave(&d[i].ticket);
	for (unsigned i = 0; i < 4; i++)
		primary_leave(&l[i].ticket);
	assert_int_equal(primary_running(dead, LANE_TRANSFERS) + primary_running(live, LANE_TRANSFERS), 0);
	primaries_free(table);
}

static struct peer *peer_at(struct primaries *table, const char *text)
{
	struct net_addr addr;

	assert_int_equal(net_addr_parse(&addr, text, 53, NULL), ERR_OK);
	return peer_get(primaries_peers(table), &addr);
}

static void who_sleeps_is_called_when_the_primary_is_back(void **state)
{
	struct primaries *table = primaries_new();
	struct primary *p = primary_get(table, "a");
	struct zone_that_waits z[3] = {0};
	struct peer *peer = peer_at(table, "192.0.2.1");

	(void)state;
	turns = 0;
	assert_true(primary_is_at(p, peer));
	for (unsigned i = 0; i < 3; i++)
		primary_sleep(p, LANE_PROBES, &z[i].ticket, granted);
	assert_int_equal(primary_sleepers(p, LANE_PROBES), 3);
	primary_leave(&z[1].ticket);
	primary_back(table, LANE_TRANSFERS, peer);
	assert_int_equal(turns, 0);
	primary_back(table, LANE_PROBES, peer);
	assert_int_equal(turns, 2);
	assert_int_equal(z[2].why, TURN_BACK);
	assert_int_equal(z[1].turn, 0);
	assert_int_equal(primary_sleepers(p, LANE_PROBES), 0);
	primaries_free(table);
}

static void who_sleeps_is_called_by_the_address_whatever_its_name(void **state)
{
	struct primaries *table = primaries_new();
	struct primary *a = primary_get(table, "a"), *b = primary_get(table, "b"), *other = primary_get(table, "other");
	struct zone_that_waits z[3] = {0};
	struct peer *first = peer_at(table, "192.0.2.1"), *second = peer_at(table, "192.0.2.2");

	(void)state;
	turns = 0;
	assert_true(primary_is_at(a, first) && primary_is_at(b, second) && primary_is_at(b, first) && primary_is_at(b, first) &&
		primary_is_at(other, second));
	primary_sleep(a, LANE_PROBES, &z[0].ticket, granted);
	primary_sleep(b, LANE_PROBES, &z[1].ticket, granted);
	primary_sleep(other, LANE_PROBES, &z[2].ticket, granted);
	primary_back(table, LANE_PROBES, first);
	assert_true(z[0].turn && z[1].turn && !z[2].turn);
	primary_back(table, LANE_PROBES, second);
	assert_int_equal(turns, 3);
	primaries_free(table);
}

/* Each waits, and a hundred thousand others with it: to go is the same work wherever one stands. */
static void who_waits_may_go_from_the_middle(void **state)
{
	enum { MANY = 200000 };
	struct primaries *table = primaries_new();
	struct primary *p = primary_get(table, "a");
	struct zone_that_waits first = {0}, *z = calloc(MANY, sizeof *z);

	(void)state;
	assert_non_null(z);
	turns = 0;
	primaries_set_limits(table, LANE_TRANSFERS, (struct primary_limits){1, 1});
	assert_true(enter(p, &first));
	for (unsigned i = 0; i < MANY; i++)
		assert_false(enter(p, &z[i]));
	for (unsigned i = MANY; i-- > 1;)
		primary_leave(&z[i].ticket);
	assert_int_equal(primary_waiting(p, LANE_TRANSFERS), 1);
	primary_leave(&first.ticket);
	assert_int_equal(z[0].turn, 1);
	primary_leave(&z[0].ticket);
	free(z);
	primaries_free(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(primaries_take_turns_within_the_limits),
		cmocka_unit_test(many_that_leave_at_once_need_no_stack),
		cmocka_unit_test(a_primary_that_was_never_heard_has_few_places),
		cmocka_unit_test(silence_does_not_use_up_the_total),
		cmocka_unit_test(who_sleeps_is_called_when_the_primary_is_back),
		cmocka_unit_test(who_sleeps_is_called_by_the_address_whatever_its_name),
		cmocka_unit_test(who_waits_may_go_from_the_middle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
