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
};

static unsigned turns;

static void granted(void *ctx)
{
	struct zone_that_waits *z = ctx;

	z->turn = ++turns;
	if (z->leaves)
		primary_leave(&z->ticket);
}

static bool enter(struct primary *p, struct zone_that_waits *z)
{
	return primary_enter(p, LANE_TRANSFERS, &z->ticket, granted, z);
}

static void primaries_take_turns_within_the_limits(void **state)
{
	struct primaries *table = primaries_new();
	struct primary *a = primary_get(table, "a"), *b = primary_get(table, "b");
	struct zone_that_waits za[4] = {0}, zb[2] = {0};

	(void)state;
	turns = 0;
	primaries_set_limits(table, LANE_TRANSFERS, (struct primary_limits){3, 2});
	assert_true(enter(a, &za[0]));
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(primaries_take_turns_within_the_limits),
		cmocka_unit_test(many_that_leave_at_once_need_no_stack),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
