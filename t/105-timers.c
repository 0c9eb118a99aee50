/* base/timers: what is due is called, in order, whatever was set and stopped before. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/timers.h"

#include <event2/event.h>

enum { MANY = 5000 };

struct thing {
	struct timer timer;
	unsigned calls;
	struct timers *again;        /* sets itself once more */
};

static struct thing thing[MANY];
static struct event_base *running;
static int64_t last;
static unsigned calls;

static void called(struct timer *timer)
{
	struct thing *t = (struct thing *)timer;

	assert_int_equal(timer->place, 0);
	if (!running)
		assert_true(timer->due >= last);
	last = timer->due;
	t->calls++;
	calls++;
	if (t->again)
		timer_set(t->again, timer, timer->due + 1);
	t->again = NULL;
}

static struct timers *make(struct event_base *loop)
{
	struct timers *t = timers_new(loop, clock_ms);

	assert_non_null(t);
	for (unsigned i = 0; i < MANY; i++) {
		thing[i] = (struct thing){.timer.call = called};
		assert_true(timers_join(t));
	}
	last = INT64_MIN;
	calls = 0;
	return t;
}

static void they_are_called_in_order_and_once(void **state)
{
	struct timers *t = make(NULL);
	uint32_t seed = 7;
	unsigned set = 0;

	(void)state;
	assert_int_equal(timers_due(t), INT64_MAX);
	for (unsigned i = 0; i < 4 * MANY; i++) {
		struct thing *one = &thing[(seed = seed * 1664525u + 1013904223u) >> 8 & 4095];

		if (seed >> 31)
			timer_stop(t, &one->timer);
		else
			timer_set(t, &one->timer, seed >> 12 & 0xffff);
	}
	for (unsigned i = 0; i < MANY; i++)
		set += thing[i].timer.place != 0;
	assert_true(set > 1000);
	timers_run(t, -1);
	assert_int_equal(calls, 0);
	while (timers_due(t) <= 0xffff) {
		int64_t due = timers_due(t);

		timers_run(t, due);
		assert_true(last >= due);
	}
	assert_int_equal(calls, set);
	timers_free(t);
}

static void one_may_be_set_anew_when_it_is_called(void **state)
{
	struct timers *t = make(NULL);

	(void)state;
	thing[0].again = t;
	timer_set(t, &thing[0].timer, 5);
	timers_run(t, 5);
	assert_int_equal(calls, 1);
	assert_int_equal(timers_due(t), 6);
	timers_run(t, 100);
	assert_int_equal(calls, 2);
	timers_free(t);
}

static void end(struct timer *timer)
{
	called(timer);
	event_base_loopbreak(running);
}

/* An earlier one that is set later is not missed, nor one that is due already. */
static void the_loop_calls_them(void **state)
{
	struct event_base *loop = event_base_new();
	struct timers *t = make(loop);
	int64_t now = clock_ms();

	(void)state;
	running = loop;
	timer_set(t, &thing[0].timer, now + 60000);
	timer_set(t, &thing[1].timer, now + 20);
	timer_set(t, &thing[2].timer, now - 5);
	thing[3].timer.call = end;
	timer_set(t, &thing[3].timer, now + 40);
	event_base_dispatch(loop);
	assert_int_equal(thing[2].calls, 1);
	assert_int_equal(thing[1].calls, 1);
	assert_int_equal(thing[0].calls, 0);
	assert_true(clock_ms() >= now + 40);
	timer_stop(t, &thing[0].timer);
	timers_free(t);
	event_base_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(they_are_called_in_order_and_once),
		cmocka_unit_test(one_may_be_set_anew_when_it_is_called),
		cmocka_unit_test(the_loop_calls_them),
	};

	return cmocka_run_group_tests_name("base/timers", tests, NULL, NULL);
}
