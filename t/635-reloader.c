/* run/reloader: who asks for a reading while one is under way gets the next one; the loop waits for none. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "run/reloader.h"

#include <event2/event.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

static struct event_base *loop;
static struct reloader *reloader;
static int gate[2];                  /* a reading ends when it gets an octet, of which it is the result */
static atomic_uint begun, dropped;
static bool holds;                   /* what is applied is not in force at once */
static unsigned applied;

/* What somebody was told: how often, and of which reading. */
struct told { unsigned times; size_t of; enum err err; };

static void *read_one(void *ctx)
{
	char *what = malloc(1);

	(void)ctx;
	atomic_fetch_add(&begun, 1);
	if (!what || read(gate[0], what, 1) != 1)
		abort();
	return what;
}

static void end(char result)
{
	struct keeper_change change = {.zones = (size_t)result};

	reloader_end(reloader, result == '!' ? ERR_CONF : ERR_OK, &change, &(struct why){"wrong"});
}

static void apply(void *ctx, void *what)
{
	char result = *(char *)what;

	(void)ctx;
	applied++;
	free(what);
	if (!holds)
		end(result);
	event_base_loopbreak(loop);
}

static void drop(void *what)
{
	atomic_fetch_add(&dropped, 1);
	free(what);
}

static void done(void *arg, enum err err, const struct keeper_change *change, const struct why *why)
{
	struct told *t = arg;

	(void)why;
	*t = (struct told){t->times + 1, change->zones, err};
}

static void let(char result)
{
	assert_int_equal(write(gate[1], &result, 1), 1);
}

static int setup(void **state)
{
	struct reloader_env env = {.read = read_one, .apply = apply, .drop = drop};

	(void)state;
	loop = env.loop = event_base_new();
	reloader = reloader_new(&env);
	atomic_store(&begun, 0);
	atomic_store(&dropped, 0);
	applied = 0;
	holds = false;
	return reloader && pipe(gate) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	reloader_free(reloader);
	event_base_free(loop);
	close(gate[0]);
	close(gate[1]);
	return 0;
}

static void who_asks_during_a_reading_gets_the_next_one(void **state)
{
	struct told first = {0}, second = {0}, third = {0}, fourth = {0};

	(void)state;
	reloader_ask(reloader, done, &first);
	reloader_ask(reloader, done, &second);
	reloader_ask(reloader, done, &third);
	assert_int_equal(event_base_loop(loop, EVLOOP_NONBLOCK), 0);    /* does not wait */
	assert_int_equal(applied, 0);
	let('a');
	event_base_dispatch(loop);
	assert_int_equal(first.times, 1);
	assert_int_equal(first.of, 'a');
	assert_int_equal(second.times + third.times, 0);
	reloader_ask(reloader, done, &fourth);
	let('b');
	event_base_dispatch(loop);
	assert_int_equal(second.of, 'b');
	assert_int_equal(third.of, 'b');
	assert_int_equal(fourth.times, 0);
	let('c');
	event_base_dispatch(loop);
	assert_int_equal(fourth.of, 'c');
	assert_int_equal(first.times + second.times + third.times + fourth.times, 4);
	assert_int_equal(atomic_load(&begun), 3);
}

static void who_asks_while_it_is_put_in_force_gets_the_next_one(void **state)
{
	struct told first = {0}, second = {0};

	(void)state;
	holds = true;
	reloader_ask(reloader, done, &first);
	let('a');
	event_base_dispatch(loop);
	reloader_ask(reloader, done, &second);
	assert_int_equal(first.times, 0);
	assert_int_equal(atomic_load(&begun), 1);
	holds = false;
	end('a');
	assert_int_equal(first.of, 'a');
	assert_int_equal(second.times, 0);
	let('b');
	event_base_dispatch(loop);
	assert_int_equal(second.of, 'b');
}

static void an_error_is_told_and_the_next_reading_may_succeed(void **state)
{
	struct told first = {0}, second = {0};

	(void)state;
	reloader_ask(reloader, done, &first);
	reloader_ask(reloader, done, &second);
	let('!');
	event_base_dispatch(loop);
	assert_int_equal(first.err, ERR_CONF);
	let('b');
	event_base_dispatch(loop);
	assert_int_equal(second.err, ERR_OK);
}

static void who_has_gone_is_not_told(void **state)
{
	struct told first = {0}, second = {0}, third = {0};

	(void)state;
	reloader_ask(reloader, done, &first);
	reloader_ask(reloader, done, &second);
	reloader_ask(reloader, done, &third);
	reloader_forget(reloader, &first);
	reloader_forget(reloader, &third);
	let('a');
	event_base_dispatch(loop);
	let('b');
	event_base_dispatch(loop);
	assert_int_equal(first.times, 0);
	assert_int_equal(second.times, 1);
	assert_int_equal(third.times, 0);
}

static void an_end_during_a_reading_waits_for_it_and_drops_it(void **state)
{
	struct told first = {0}, second = {0};

	(void)state;
	reloader_ask(reloader, done, &first);
	reloader_ask(reloader, done, &second);
	let('a');
	reloader_free(reloader);
	reloader = NULL;
	assert_int_equal(atomic_load(&dropped), 1);
	assert_int_equal(applied, 0);
	assert_int_equal(first.times + second.times, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(who_asks_during_a_reading_gets_the_next_one, setup, teardown),
		cmocka_unit_test_setup_teardown(who_asks_while_it_is_put_in_force_gets_the_next_one, setup, teardown),
		cmocka_unit_test_setup_teardown(an_error_is_told_and_the_next_reading_may_succeed, setup, teardown),
		cmocka_unit_test_setup_teardown(who_has_gone_is_not_told, setup, teardown),
		cmocka_unit_test_setup_teardown(an_end_during_a_reading_waits_for_it_and_drops_it, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
