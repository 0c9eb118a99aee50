/* run/inbox: NOTIFYs that wait together become one, in the order in which they came, and their number is bounded. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "run/inbox.h"

#include <event2/event.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static struct event_base *loop;
static struct inbox *inbox;
static char heard[1 << 20];
static size_t heard_length;
static unsigned count;

static void hear(void *ctx, const uint8_t *zone, const struct net_addr *from, bool has_serial, struct serial serial)
{
	char name[NAME_TEXT_SIZE], address[NET_ADDR_TEXT];

	assert_ptr_equal(ctx, &count);
	count++;
	heard_length += (size_t)snprintf(heard + heard_length, sizeof heard - heard_length, "%s %s ", name_text(zone, name),
		net_addr_text(from, 53, address));
	heard_length += (size_t)snprintf(heard + heard_length, sizeof heard - heard_length, has_serial ? "%u\n" : "-\n", serial.v);
	if (heard_length > sizeof heard / 2)
		heard_length = 0;
}

static int setup(void **state)
{
	(void)state;
	loop = event_base_new();
	inbox = inbox_new(loop, hear, &count);
	return inbox ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	inbox_free(inbox);
	event_base_free(loop);
	return 0;
}

/* `serial` below 0: none. */
static bool post(const char *zone, const char *from, int64_t serial)
{
	uint8_t name[NAME_SIZE];
	struct net_addr address;

	assert_int_equal(name_parse(zone, strlen(zone), NULL, name, NULL), ERR_OK);
	assert_int_equal(net_addr_parse(&address, from, 53, NULL), ERR_OK);
	return inbox_post(inbox, name, &address, serial >= 0, (struct serial){serial < 0 ? 0 : (uint32_t)serial});
}

static const char *delivered(void)
{
	count = 0;
	heard_length = 0;
	heard[0] = 0;
	event_base_loop(loop, EVLOOP_NONBLOCK);
	return heard;
}

static void several_become_one(void **state)
{
	(void)state;
	assert_string_equal(delivered(), "");
	assert_true(post("a.example.", "192.0.2.1", 7));
	assert_true(post("b.example.", "192.0.2.1", -1));
	assert_true(post("A.example.", "192.0.2.1@999", 9));
	assert_true(post("a.example.", "192.0.2.1", 8));
	assert_string_equal(delivered(), "a.example. 192.0.2.1 9\nb.example. 192.0.2.1 -\n");
	assert_string_equal(delivered(), "");
	assert_true(post("a.example.", "192.0.2.1", 8));
	assert_string_equal(delivered(), "a.example. 192.0.2.1 8\n");
}

static void senders_are_told_apart(void **state)
{
	(void)state;
	post("a.example.", "192.0.2.1", 7);
	post("a.example.", "192.0.2.2", 7);
	post("a.example.", "2001:db8::1", 7);
	assert_string_equal(delivered(), "a.example. 192.0.2.1 7\na.example. 192.0.2.2 7\na.example. 2001:db8::1 7\n");
}

static void one_without_a_serial_means_anything(void **state)
{
	(void)state;
	post("a.example.", "192.0.2.1", 7);
	post("a.example.", "192.0.2.1", -1);
	post("a.example.", "192.0.2.1", 8);
	assert_string_equal(delivered(), "a.example. 192.0.2.1 -\n");
}

static void serials_go_round(void **state)
{
	(void)state;
	post("a.example.", "192.0.2.1", 0xffffffff);
	post("a.example.", "192.0.2.1", 3);
	assert_string_equal(delivered(), "a.example. 192.0.2.1 3\n");
}

static void their_number_is_bounded(void **state)
{
	char zone[32];

	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < INBOX_ROOM; i++) {
			snprintf(zone, sizeof zone, "z%u.example.", i);
			assert_true(post(zone, "192.0.2.1", 1));
		}
		assert_false(post("one-more.example.", "192.0.2.1", 1));
		assert_true(post("z77.example.", "192.0.2.1", 2));
		delivered();
		assert_int_equal(count, INBOX_ROOM);
	}
}

static void *post_many(void *first)
{
	for (unsigned i = 0; i < 20000; i++) {
		char zone[32];

		snprintf(zone, sizeof zone, "%s%u.example.", (const char *)first, i % 100);
		post(zone, "192.0.2.1", i / 100 + 1);
	}
	return NULL;
}

/* The newest serial of each zone has come when all threads are done. */
static void several_threads_post(void **state)
{
	pthread_t thread[3];

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, post_many, (void *)(const char *[]){"a", "b", "c"}[i]), 0);
	for (unsigned i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	delivered();
	assert_int_equal(count, 300);
	for (const char *line = heard; *line; line = strchr(line, '\n') + 1)
		assert_int_equal(strncmp(strchr(line, '\n') - 4, " 200", 4), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(several_become_one, setup, teardown),
		cmocka_unit_test_setup_teardown(senders_are_told_apart, setup, teardown),
		cmocka_unit_test_setup_teardown(one_without_a_serial_means_anything, setup, teardown),
		cmocka_unit_test_setup_teardown(serials_go_round, setup, teardown),
		cmocka_unit_test_setup_teardown(their_number_is_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(several_threads_post, setup, teardown),
	};

	return cmocka_run_group_tests_name("run/inbox", tests, NULL, NULL);
}
