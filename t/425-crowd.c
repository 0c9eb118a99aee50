/* serve/crowd: whose connections they are, and who gives way. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "serve/crowd.h"

#include <stdio.h>
#include <stdlib.h>

static struct crowd *crowd;
static struct crowd_member member[3000];

static struct net_addr addr(const char *text)
{
	struct net_addr out;

	assert_int_equal(net_addr_parse(&out, text, 53, NULL), ERR_OK);
	return out;
}

static void join(unsigned i, const char *text)
{
	struct net_addr from = addr(text);

	assert_int_equal(crowd_join(crowd, &member[i], &from), ERR_OK);
}

/* Who is to give way: "largest 3", "oldest 0", "none". `newcomer` NULL: nobody knows. */
static const char *weakest(const char *newcomer)
{
	static char out[40];
	struct crowd_member *found;
	struct net_addr from;
	enum crowd_verdict verdict;

	if (newcomer)
		from = addr(newcomer);
	verdict = crowd_weakest(crowd, newcomer ? &from : NULL, &found);
	assert_int_equal(verdict == CROWD_NONE, found == NULL);
	snprintf(out, sizeof out, verdict == CROWD_NONE ? "none" : verdict == CROWD_OLDEST ? "oldest %d" : "largest %d",
		found ? (int)(found - member) : 0);
	return out;
}

static int setup(void **state)
{
	(void)state;
	crowd = crowd_new();
	return crowd ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	assert_int_equal(crowd_count(crowd), 0);
	crowd_free(crowd);
	return 0;
}

static void leave(unsigned from, unsigned to)
{
	for (unsigned i = from; i <= to; i++)
		crowd_leave(crowd, &member[i]);
}

static void of_equals_the_one_that_has_not_asked_for_longest(void **state)
{
	(void)state;
	assert_string_equal(weakest("192.0.2.1"), "none");
	join(0, "192.0.2.1");
	join(1, "192.0.2.2");
	join(2, "192.0.2.3");
	assert_string_equal(weakest("192.0.2.4"), "oldest 0");
	crowd_touch(crowd, &member[0]);
	crowd_touch(crowd, &member[0]);
	assert_string_equal(weakest("192.0.2.4"), "oldest 1");
	crowd_touch(crowd, &member[1]);
	assert_string_equal(weakest(NULL), "oldest 2");
	leave(0, 2);
}

static void the_client_with_most_loses_its_oldest(void **state)
{
	(void)state;
	join(0, "192.0.2.1");
	join(1, "192.0.2.2");
	join(2, "192.0.2.3");
	join(3, "192.0.2.2");
	assert_string_equal(weakest("192.0.2.4"), "largest 1");
	crowd_touch(crowd, &member[1]);
	assert_string_equal(weakest("192.0.2.2"), "largest 3");
	join(4, "192.0.2.3");
	join(5, "192.0.2.3");
	assert_string_equal(weakest("192.0.2.4"), "largest 2");
	leave(2, 2);
	leave(4, 4);
	assert_string_equal(weakest("192.0.2.4"), "largest 3");
	leave(0, 1);
	leave(3, 3);
	leave(5, 5);
}

static void one_that_is_alone_has_all_places(void **state)
{
	(void)state;
	join(0, "192.0.2.1");
	join(1, "192.0.2.1");
	assert_string_equal(weakest("192.0.2.1"), "oldest 0");
	assert_string_equal(weakest("192.0.2.2"), "largest 0");
	leave(0, 1);
}

static void whose_a_connection_is(void **state)
{
	static const struct { const char *a, *b; bool same; } pairs[] = {
		{"192.0.2.1", "192.0.2.1@99", true}, {"192.0.2.1", "192.0.2.2", false},
		{"2001:db8:1:200::1", "2001:db8:1:2ff:ffff::", true}, {"2001:db8:1:200::1", "2001:db8:1:300::1", false},
		{"c000:201::", "192.0.2.1", false}, {"::", "0.0.0.0", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
		join(0, "203.0.113.9");
		join(1, pairs[i].a);
		join(2, pairs[i].b);
		assert_string_equal(weakest("203.0.113.10"), pairs[i].same ? "largest 1" : "oldest 0");
		leave(0, 2);
	}
}

static void transfers_give_way_last_and_only_to_others(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		join(i, "192.0.2.1");
		crowd_busy(crowd, &member[i], true);
	}
	assert_string_equal(weakest("192.0.2.1"), "none");
	assert_string_equal(weakest("192.0.2.2"), "largest 0");
	assert_string_equal(weakest(NULL), "largest 0");
	crowd_touch(crowd, &member[0]);
	assert_string_equal(weakest("192.0.2.2"), "largest 1");
	crowd_busy(crowd, &member[4], false);
	assert_string_equal(weakest("192.0.2.2"), "largest 4");
	assert_string_equal(weakest("192.0.2.1"), "oldest 4");
	crowd_busy(crowd, &member[4], true);
	for (unsigned i = 6; i < 30; i++) {
		char text[40];

		snprintf(text, sizeof text, "198.51.100.%u", i);
		join(i, text);
	}
	assert_string_equal(weakest("192.0.2.2"), "oldest 6");   /* six of thirty is no quarter */
	leave(6, 9);
	assert_string_equal(weakest("192.0.2.2"), "oldest 10");
	leave(10, 12);
	assert_string_equal(weakest("192.0.2.2"), "largest 1");
	leave(0, 5);
	leave(13, 29);
}

/* The counts of each client, by hand. */
static void as_a_simple_model_has_it(void **state)
{
	unsigned count[40] = {0}, owner[300], in = 0;
	bool here[300] = {false};

	(void)state;
	srand(7);
	for (int step = 0; step < 100000; step++) {
		unsigned i = (unsigned)rand() % 300, most = 0;
		struct crowd_member *found;
		enum crowd_verdict verdict;

		if (here[i]) {
			crowd_leave(crowd, &member[i]);
			count[owner[i]]--;
			in--;
		} else {
			char text[60];

			owner[i] = (unsigned)rand() % 40 * ((unsigned)rand() % 3) / 2;
			snprintf(text, sizeof text, owner[i] % 2 ? "10.0.%u.1" : "2001:db8:0:%x00::1", owner[i]);
			join(i, text);
			count[owner[i]]++;
			in++;
		}
		here[i] = !here[i];
		assert_int_equal(crowd_count(crowd), in);
		for (unsigned k = 0; k < 40; k++)
			most = count[k] > most ? count[k] : most;
		verdict = crowd_weakest(crowd, NULL, &found);
		assert_int_equal(verdict, !in ? CROWD_NONE : most > 1 ? CROWD_LARGEST : CROWD_OLDEST);
		if (found)
			assert_int_equal(count[owner[found - member]], most);
	}
	for (unsigned i = 0; i < 300; i++)
		if (here[i])
			crowd_leave(crowd, &member[i]);
}

static void very_many_of_one_client(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2998; i++)
		join(i, i % 3 ? "192.0.2.1" : "192.0.2.2");
	join(2998, "192.0.2.3");
	join(2999, "192.0.2.3");
	for (unsigned i = 0; i < 1000; i++) {
		struct crowd_member *found;

		assert_int_equal(crowd_weakest(crowd, NULL, &found), CROWD_LARGEST);
		assert_true(found < &member[2998]);
		crowd_leave(crowd, found);
		found->busy = true;                  /* gone */
	}
	for (unsigned i = 0; i < 3000; i++)
		if (!member[i].busy)
			crowd_leave(crowd, &member[i]);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(of_equals_the_one_that_has_not_asked_for_longest),
		TEST(the_client_with_most_loses_its_oldest),
		TEST(one_that_is_alone_has_all_places),
		TEST(whose_a_connection_is),
		TEST(transfers_give_way_last_and_only_to_others),
		TEST(as_a_simple_model_has_it),
		TEST(very_many_of_one_client),
	};

	return cmocka_run_group_tests_name("serve/crowd", tests, NULL, NULL);
}
