/* check/memory: since when the newest serial is known, who is behind and for how long, who went back; and a file that anybody may have written. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "check/memory.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint8_t zone[] = "\7example\3com", ns1[] = "\3ns1\1a", ns2[] = "\3ns2\1b";

static struct net_addr address(const char *text)
{
	struct net_addr a;

	assert_int_equal(net_addr_parse(&a, text, 53, NULL), ERR_OK);
	return a;
}

static void saw(struct memory *m, const uint8_t *name, const char *where, uint32_t serial, int64_t now)
{
	struct net_addr a = address(where);

	assert_true(memory_saw(m, name, &a, (struct serial){serial}, now));
}

static struct memory_server of(const struct memory *m, const uint8_t *name, const char *where, int64_t now)
{
	struct net_addr a = address(where);
	struct memory_server server;

	assert_true(memory_of(m, name, &a, now, &server));
	return server;
}

static void newest_is(const struct memory *m, uint32_t expected, int64_t first_seen)
{
	struct serial serial;
	int64_t since;

	assert_true(memory_newest(m, &serial, &since));
	assert_int_equal(serial.v, expected);
	assert_int_equal(since, first_seen);
}

static struct memory *fresh(void)
{
	struct memory *m = memory_new(zone);

	assert_non_null(m);
	return m;
}

static void lag_counts_from_the_first_sight_of_the_newest_serial(void **state)
{
	struct memory *m = fresh();
	struct serial serial;
	struct net_addr a = address("192.0.2.1");
	struct memory_server server;
	int64_t since;

	(void)state;
	assert_false(memory_newest(m, &serial, &since));
	assert_false(memory_of(m, ns1, &a, 1000, &server));
	saw(m, ns1, "192.0.2.1", 2, 1000);
	saw(m, ns2, "192.0.2.2", 1, 1000);
	memory_settle(m, 1000, NULL, NULL);
	newest_is(m, 2, 1000);
	assert_int_equal(of(m, ns2, "192.0.2.2", 1000).lag, 0);
	saw(m, ns1, "192.0.2.1", 2, 1300);
	saw(m, ns2, "192.0.2.2", 1, 1300);
	memory_settle(m, 1300, NULL, NULL);
	newest_is(m, 2, 1000);
	assert_int_equal(of(m, ns2, "192.0.2.2", 1300).lag, 300);
	assert_int_equal(of(m, ns1, "192.0.2.1", 1300).lag, 0);
	saw(m, ns2, "192.0.2.2", 2, 1400);
	memory_settle(m, 1400, NULL, NULL);
	assert_int_equal(of(m, ns2, "192.0.2.2", 1400).lag, 0);
	memory_free(m);
}

static void who_stands_still_while_the_zone_moves_on_is_behind_since_it_first_was(void **state)
{
	struct memory *m = fresh();

	(void)state;
	for (uint32_t i = 0; i < 10; i++) {
		saw(m, ns1, "192.0.2.1", 10 + i, 1000 + 60 * i);
		saw(m, ns2, "192.0.2.2", 10, 1000 + 60 * i);
		memory_settle(m, 1000 + 60 * i, NULL, NULL);
	}
	newest_is(m, 19, 1540);
	assert_int_equal(of(m, ns2, "192.0.2.2", 1540).lag, 0);
	assert_int_equal(of(m, ns2, "192.0.2.2", 1540).behind_since, 1060);
	assert_int_equal(of(m, ns2, "192.0.2.2", 1540).since, 1000);
	saw(m, ns2, "192.0.2.2", 18, 1600);
	memory_settle(m, 1600, NULL, NULL);
	assert_int_equal(of(m, ns2, "192.0.2.2", 1600).behind_since, 1600);
	saw(m, ns2, "192.0.2.2", 19, 1700);
	memory_settle(m, 1700, NULL, NULL);
	assert_int_equal(of(m, ns2, "192.0.2.2", 1700).behind_since, 0);
	memory_free(m);
}

static void the_newest_is_so_by_serial_number_arithmetic(void **state)
{
	struct memory *m = fresh();

	(void)state;
	saw(m, ns1, "192.0.2.1", 4294967290u, 1000);
	saw(m, ns2, "192.0.2.2", 5, 1000);
	memory_settle(m, 1000, NULL, NULL);
	newest_is(m, 5, 1000);
	assert_int_equal(of(m, ns1, "192.0.2.1", 1060).lag, 60);
	memory_free(m);
}

static void the_highest_serial_is_not_forgotten(void **state)
{
	struct memory *m = fresh();

	(void)state;
	saw(m, ns1, "192.0.2.1", 7, 1000);
	saw(m, ns1, "2001:db8::1", 7, 1000);
	memory_settle(m, 1000, NULL, NULL);
	saw(m, ns1, "192.0.2.1", 6, 1100);
	memory_settle(m, 1100, NULL, NULL);
	assert_int_equal(of(m, ns1, "192.0.2.1", 1100).highest.v, 7);
	assert_int_equal(of(m, ns1, "192.0.2.1", 1100).last.v, 6);
	assert_int_equal(of(m, ns1, "2001:db8::1", 1100).last.v, 7);
	newest_is(m, 7, 1000);
	saw(m, ns1, "2001:db8::1", 6, 1200);
	memory_settle(m, 1200, NULL, NULL);
	newest_is(m, 6, 1200);       /* they all went back: that is the zone now */
	assert_int_equal(of(m, ns1, "2001:db8::1", 1200).highest.v, 7);
	memory_free(m);
}

static void who_does_not_answer_still_counts_with_what_it_showed(void **state)
{
	struct memory *m = fresh();

	(void)state;
	saw(m, ns1, "192.0.2.1", 7, 1000);
	saw(m, ns2, "192.0.2.2", 6, 1000);
	memory_settle(m, 1000, NULL, NULL);
	saw(m, ns2, "192.0.2.2", 6, 1500);
	memory_settle(m, 1500, NULL, NULL);
	newest_is(m, 7, 1000);
	assert_int_equal(of(m, ns2, "192.0.2.2", 1500).lag, 500);
	memory_free(m);
}

static bool only_ns2(void *ctx, const uint8_t *name, const struct net_addr *a)
{
	(void)ctx; (void)a;
	return name_equal(name, ns2);
}

static void who_is_no_nameserver_any_more_is_forgotten(void **state)
{
	struct memory *m = fresh();
	struct net_addr a = address("192.0.2.1");
	struct memory_server server;

	(void)state;
	saw(m, ns1, "192.0.2.1", 7, 1000);
	saw(m, ns2, "192.0.2.2", 6, 1000);
	memory_settle(m, 1000, only_ns2, NULL);
	newest_is(m, 6, 1000);
	assert_false(memory_of(m, ns1, &a, 1000, &server));
	saw(m, ns1, "192.0.2.1", 7, 1000);
	saw(m, ns2, "192.0.2.2", 6, 1000 + 91 * 86400);
	memory_settle(m, 1000 + 91 * 86400, NULL, NULL);
	assert_false(memory_of(m, ns1, &a, 1000, &server));
	memory_free(m);
}

static size_t in_use(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

/* There is one for each zone that is watched. */
static void a_zone_of_a_few_addresses_takes_little_memory(void **state)
{
	size_t before = in_use();
	struct memory *m = fresh();

	(void)state;
	for (uint32_t i = 0; i < 8; i++) {
		char text[32];

		snprintf(text, sizeof text, "192.0.2.%u", i);
		saw(m, ns1, text, 7, 1000);
	}
	assert_true(in_use() <= before + 8000);
	memory_free(m);
}

static bool only_ours(void *ctx, const uint8_t *name, const struct net_addr *a)
{
	(void)ctx;
	return memory_is_ours(name, a);
}

static void what_the_daemon_serves_was_born_when_it_took_it(void **state)
{
	struct memory *m = fresh();

	(void)state;
	saw(m, ns1, "192.0.2.1", 7, 1000);
	memory_settle(m, 1000, NULL, NULL);
	assert_true(memory_serve(m, (struct serial){6}, 100, 1100));
	newest_is(m, 7, 1000);
	assert_true(memory_serve(m, (struct serial){7}, 900, 1200));
	newest_is(m, 7, 900);
	assert_true(memory_serve(m, (struct serial){7}, 950, 1300));
	newest_is(m, 7, 900);
	assert_true(memory_serve(m, (struct serial){8}, 1350, 1400));
	newest_is(m, 8, 1350);
	assert_int_equal(of(m, ns1, "192.0.2.1", 1400).lag, 50);
	memory_settle(m, 1400, only_ours, NULL);
	newest_is(m, 8, 1350);
	assert_true(memory_serve(m, (struct serial){5}, 1450, 1500));    /* it went back, and so did all others */
	memory_settle(m, 1500, only_ours, NULL);
	newest_is(m, 5, 1500);
	assert_true(memory_serve(m, (struct serial){5}, 1450, 1600));
	newest_is(m, 5, 1450);
	memory_free(m);
}

static void a_clock_that_goes_back_makes_nothing_negative(void **state)
{
	struct memory *m = fresh();

	(void)state;
	saw(m, ns1, "192.0.2.1", 7, 100000);
	saw(m, ns2, "192.0.2.2", 6, 100000);
	memory_settle(m, 100000, NULL, NULL);
	saw(m, ns1, "192.0.2.1", 7, 1000);
	saw(m, ns2, "192.0.2.2", 6, 1000);
	memory_settle(m, 1000, NULL, NULL);
	newest_is(m, 7, 1000);
	assert_int_equal(of(m, ns2, "192.0.2.2", 1000).lag, 0);
	assert_int_equal(of(m, ns2, "192.0.2.2", 1000).behind_since, 1000);
	assert_int_equal(of(m, ns2, "192.0.2.2", 1060).lag, 60);
	memory_free(m);
}

static void no_more_than_so_many_servers_are_remembered(void **state)
{
	struct memory *m = fresh();
	char text[40];

	(void)state;
	for (int i = 0; i < MEMORY_SERVERS_MAX + 10; i++) {
		snprintf(text, sizeof text, "10.0.%d.%d", i / 250, i % 250);
		saw(m, ns1, text, 1, 1000 + i);
	}
	memory_settle(m, 3000, NULL, NULL);
	assert_int_equal(of(m, ns1, text, 3000).last.v, 1);
	saw(m, ns2, "192.0.2.2", 2, 4000);
	assert_int_equal(of(m, ns2, "192.0.2.2", 4000).last.v, 2);
	memory_free(m);
}

/* --- the file ------------------------------------------------------------------ */

static char dir[40], path[100];

static int make_dir(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/lockstep-test-memory-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof path, "%s/check/example.com", dir);
	return 0;
}

static int remove_dir(void **state)
{
	char sub[60];

	(void)state;
	unlink(path);
	snprintf(sub, sizeof sub, "%s/check", dir);
	rmdir(sub);
	return rmdir(dir);
}

static void save(const struct memory *m)
{
	struct why why;

	if (memory_save(m, path, &why) != ERR_OK)
		fail_msg("%s", why.text);
}

static void what_was_saved_is_there_again(void **state)
{
	struct memory *m = fresh(), *again = fresh();
	struct why why;

	(void)state;
	assert_int_equal(memory_load(again, path, &why), ERR_OK);    /* there is none yet */
	saw(m, ns1, "192.0.2.1@5300", 7, 1000);
	saw(m, ns1, "192.0.2.1@5300", 6, 1050);
	saw(m, ns2, "2001:db8::2", 8, 1100);
	memory_settle(m, 1100, NULL, NULL);
	save(m);
	assert_int_equal(memory_load(again, path, &why), ERR_OK);
	newest_is(again, 8, 1100);
	assert_int_equal(of(again, ns1, "192.0.2.1@5300", 1200).highest.v, 7);
	assert_int_equal(of(again, ns1, "192.0.2.1@5300", 1200).last.v, 6);
	assert_int_equal(of(again, ns1, "192.0.2.1@5300", 1200).since, 1050);
	assert_int_equal(of(again, ns1, "192.0.2.1@5300", 1200).behind_since, 1100);
	assert_int_equal(of(again, ns1, "192.0.2.1@5300", 1200).lag, 100);
	assert_int_equal(of(again, ns2, "2001:db8::2", 1200).last.v, 8);
	assert_true(memory_serve(m, (struct serial){9}, 1150, 1200));
	save(m);
	assert_int_equal(memory_load(again, path, &why), ERR_OK);
	newest_is(again, 9, 1150);
	memory_settle(again, 1300, only_ours, NULL);
	newest_is(again, 9, 1150);
	memory_free(m);
	memory_free(again);
}

static void write_text(const char *text, size_t length)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, length, f), length);
	assert_int_equal(fclose(f), 0);
}

static void what_is_no_such_file_is_refused_and_nothing_is_known(void **state)
{
#define BEGIN "lockstep-check 1\nzone example.com.\n"
	static const char *const bad[] = {
		"", "lockstep-check 1", "lockstep-check 2\nzone example.com.\nend\n", "lockstep-check 1\nend\n",
			"lockstep-check 1\nzone example.org.\nend\n", BEGIN, BEGIN "end", BEGIN "end\nmore\n",
			BEGIN "newest 1\nend\n", BEGIN "newest 4294967296 1\nend\n", BEGIN "newest 1 -1\nend\n",
			BEGIN "newest 1 1\nnewest 2 2\nend\n", BEGIN "newest 1 9999999999999\nend\n",
			BEGIN "server a. 192.0.2.1 1 1 1 1\nend\n", BEGIN "server a. 192.0.2.300 1 1 1 1 1\nend\n",
			BEGIN "server a..b. 192.0.2.3 1 1 1 1 1\nend\n", BEGIN "server a. 192.0.2.3 x 1 1 1 1\nend\n",
			BEGIN "server a. 192.0.2.3 1 1 1 1 1\nserver A. 192.0.2.3 1 1 1 1 1\nend\n",
			BEGIN "server a. 192.0.2.3 1 1 1 1 1 1\nend\n", BEGIN "what\nend\n", BEGIN "\nend\n",
	};
	struct memory *m = fresh();
	struct serial serial;
	struct why why;
	int64_t since;
	char *large;

	(void)state;
	save(m);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		write_text(bad[i], strlen(bad[i]));
		if (memory_load(m, path, &why) != ERR_DAMAGED)
			fail_msg("it was taken: %s", bad[i]);
		assert_false(memory_newest(m, &serial, &since));
	}
	write_text(BEGIN "new\0est 1 1\nend\n", sizeof BEGIN "new\0est 1 1\nend\n" - 1);
	assert_int_equal(memory_load(m, path, &why), ERR_DAMAGED);
	large = malloc(3 << 20);
	assert_non_null(large);
	memset(large, 'x', 3 << 20);
	write_text(large, 3 << 20);
	assert_int_equal(memory_load(m, path, &why), ERR_LIMIT);
	memcpy(large, BEGIN, sizeof BEGIN - 1);
	write_text(large, 100000);
	assert_int_equal(memory_load(m, path, &why), ERR_DAMAGED);
	free(large);
	saw(m, ns1, "192.0.2.1", 7, 1000);
	memory_settle(m, 1000, NULL, NULL);
	save(m);
	assert_int_equal(memory_load(m, path, &why), ERR_OK);
	newest_is(m, 7, 1000);
	memory_free(m);
}

static void more_servers_than_are_remembered_are_refused(void **state)
{
	struct memory *m = fresh();
	struct why why;
	char *text = malloc(1 << 20);
	size_t used;

	(void)state;
	assert_non_null(text);
	used = (size_t)sprintf(text, BEGIN);
	for (int i = 0; i <= MEMORY_SERVERS_MAX; i++)
		used += (size_t)sprintf(text + used, "server a. 10.0.%d.%d 1 1 1 0 1\n", i / 250, i % 250);
	used += (size_t)sprintf(text + used, "end\n");
	save(m);
	write_text(text, used);
	assert_int_equal(memory_load(m, path, &why), ERR_DAMAGED);
	free(text);
	memory_free(m);
}

static void where_nothing_can_be_written_it_is_said(void **state)
{
	struct memory *m = fresh();
	struct why why = {""};

	(void)state;
	assert_int_not_equal(memory_save(m, "/dev/null/check/example.com", &why), ERR_OK);
	assert_non_null(strstr(why.text, "/dev/null"));
	assert_int_not_equal(memory_load(m, "/dev/null", &why), ERR_OK);
	memory_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lag_counts_from_the_first_sight_of_the_newest_serial),
		cmocka_unit_test(who_stands_still_while_the_zone_moves_on_is_behind_since_it_first_was),
		cmocka_unit_test(the_newest_is_so_by_serial_number_arithmetic),
		cmocka_unit_test(the_highest_serial_is_not_forgotten),
		cmocka_unit_test(who_does_not_answer_still_counts_with_what_it_showed),
		cmocka_unit_test(who_is_no_nameserver_any_more_is_forgotten),
		cmocka_unit_test(a_zone_of_a_few_addresses_takes_little_memory),
		cmocka_unit_test(what_the_daemon_serves_was_born_when_it_took_it),
		cmocka_unit_test(a_clock_that_goes_back_makes_nothing_negative),
		cmocka_unit_test(no_more_than_so_many_servers_are_remembered),
		cmocka_unit_test_setup_teardown(what_was_saved_is_there_again, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(what_is_no_such_file_is_refused_and_nothing_is_known, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(more_servers_than_are_remembered_are_refused, make_dir, remove_dir),
		cmocka_unit_test(where_nothing_can_be_written_it_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
