/* zone/history: the steps that a server downstream may have missed, bounded, and found by serial. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "zone/history.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t apex[] = "\7example";

static struct rr soa_rr(uint32_t serial)
{
	static uint8_t rdata[22];

	put_u32(rdata + 2, serial);
	return (struct rr){.owner = apex, .type = RR_SOA, .class = CLASS_IN, .ttl = 5, .rdata = rdata, .rdlength = sizeof rdata};
}

/* One record at a name of its own, of `length` octets, or none. */
static struct zone *version_of(uint32_t serial, unsigned name, size_t length)
{
	struct build *build = build_new(apex, NULL, (struct build_limits){0});
	static const uint8_t octets[4096];
	struct rr rr = soa_rr(serial), ns = {.owner = apex, .type = RR_NS, .class = CLASS_IN, .ttl = 5, .rdata = octets, .rdlength = 1};
	uint8_t owner[NAME_SIZE];
	struct zone *zone;
	char text[40];

	assert_int_equal(build_add(build, &rr, NULL), ERR_OK);
	assert_int_equal(build_add(build, &ns, NULL), ERR_OK);
	snprintf(text, sizeof text, "n%u.example", name);
	assert_int_equal(name_parse(text, strlen(text), NULL, owner, NULL), ERR_OK);
	rr = (struct rr){owner, 65280, CLASS_IN, (uint16_t)length, 5, octets};
	if (length)
		assert_int_equal(build_add(build, &rr, NULL), ERR_OK);
	assert_int_equal(build_finish(build, &zone, NULL), ERR_OK);
	return zone;
}

/* The step between two serials; `name` and `length` of a record that it adds. */
static struct diff *step_of(uint32_t from, uint32_t to, unsigned name, size_t length)
{
	struct zone *a = version_of(from, 0, 0), *b = version_of(to, name, length);
	struct diff *d;

	assert_int_equal(diff_make(a, b, 0, &d), ERR_OK);
	zone_put(a);
	zone_put(b);
	return d;
}

/* Puts the step behind *h. */
static void add(struct history **h, struct diff *step, uint64_t most)
{
	struct history *old = *h;
	uint64_t bytes = 0;
	size_t length;

	*h = history_add(old, step, most);
	for (size_t i = 0; i < history_count(*h); i++) {
		diff_bytes(history_steps(*h)[i], &length);
		bytes += length;
	}
	assert_int_equal(history_bytes(*h), bytes);
	history_drop(old);
	diff_drop(step);
}

static void expect(const struct history *h, uint32_t from, uint32_t to, size_t first, size_t count)
{
	size_t n, at = history_find(h, (struct serial){from}, (struct serial){to}, &n);

	assert_int_equal(n, count);
	if (n)
		assert_int_equal(at, first);
}

static void steps_are_found_by_serial(void **state)
{
	struct history *h = NULL;

	(void)state;
	expect(NULL, 1, 2, 0, 0);
	add(&h, step_of(3, 7, 1, 8), 1 << 20);
	add(&h, step_of(7, 8, 2, 8), 1 << 20);
	add(&h, step_of(8, 12, 3, 8), 1 << 20);
	assert_int_equal(history_count(h), 3);
	expect(h, 3, 12, 0, 3);
	expect(h, 7, 12, 1, 2);
	expect(h, 8, 12, 2, 1);
	expect(h, 7, 8, 1, 1);               /* the version in hand is older than the newest step */
	expect(h, 12, 12, 0, 0);
	expect(h, 4, 12, 0, 0);
	expect(h, 8, 7, 0, 0);
	expect(h, 3, 9, 0, 0);
	history_drop(h);
}

static void serials_go_round(void **state)
{
	struct history *h = NULL;

	(void)state;
	add(&h, step_of(UINT32_MAX - 1, UINT32_MAX, 1, 8), 1 << 20);
	add(&h, step_of(UINT32_MAX, 0, 2, 8), 1 << 20);
	add(&h, step_of(0, UINT32_C(1) << 30, 3, 8), 1 << 20);
	add(&h, step_of(UINT32_C(1) << 30, UINT32_C(3) << 29, 3, 8), 1 << 20);
	expect(h, UINT32_MAX - 1, UINT32_C(3) << 29, 0, 4);
	expect(h, 0, UINT32_C(3) << 29, 2, 2);
	history_drop(h);
}

static void what_does_not_follow_begins_anew(void **state)
{
	struct history *h = NULL;

	(void)state;
	add(&h, step_of(3, 7, 1, 8), 1 << 20);
	add(&h, step_of(8, 9, 1, 8), 1 << 20);
	assert_int_equal(history_count(h), 1);
	expect(h, 8, 9, 0, 1);
	add(&h, step_of(9, 5, 1, 8), 1 << 20);                       /* went back */
	assert_int_equal(history_count(h), 0);
	assert_null(h);
	add(&h, step_of(5, 5, 1, 8), 1 << 20);                       /* the same serial, another content */
	assert_int_equal(history_count(h), 0);
	add(&h, step_of(5, 5 + (UINT32_C(1) << 31), 1, 8), 1 << 20); /* neither newer nor older */
	assert_int_equal(history_count(h), 0);
	add(&h, step_of(5, 6, 1, 100), 50);                          /* larger than all there may be */
	assert_int_equal(history_count(h), 0);
}

static void an_older_history_stays_as_it_was(void **state)
{
	struct history *h = NULL, *old;

	(void)state;
	add(&h, step_of(1, 2, 1, 8), 1 << 20);
	old = history_hold(h);
	add(&h, step_of(2, 3, 1, 8), 1 << 20);
	assert_int_equal(history_count(old), 1);
	expect(old, 1, 2, 0, 1);
	history_drop(h);
	expect(old, 1, 2, 0, 1);
	history_drop(old);
}

/* Steps that each add a record of their own cannot be condensed. */
static void the_oldest_go(void **state)
{
	enum { MOST = 20000 };
	struct history *h = NULL;
	size_t n;

	(void)state;
	for (uint32_t i = 0; i < 200; i++) {
		add(&h, step_of(i, i + 1, i, 500), MOST);
		assert_in_range(history_bytes(h), 1, MOST);
		expect(h, i, i + 1, history_count(h) - 1, 1);
		for (size_t s = 1; s < history_count(h); s++)
			assert_int_equal(diff_to(history_steps(h)[s - 1]).v, diff_from(history_steps(h)[s]).v);
		if (i > 40)
			assert_in_range(history_bytes(h), MOST / 2, MOST);
	}
	history_find(h, (struct serial){0}, (struct serial){200}, &n);
	assert_int_equal(n, 0);
	history_drop(h);
}

/* A zone in which the same record changes again and again: who was here at the beginning can still be told what differs. */
static void steps_that_undo_each_other_become_one(void **state)
{
	enum { MOST = 20000 };
	struct zone *zone[2] = {NULL, version_of(0, 1, 300)}, *a = zone_hold(zone[1]), *applied;
	struct history *h = NULL;
	struct diff *step, *joined;
	struct why why;
	size_t first, n;

	(void)state;
	for (uint32_t i = 1; i <= 300; i++) {
		zone_put(zone[0]);
		zone[0] = zone[1];
		zone[1] = version_of(i, 1, 300 + i);
		assert_int_equal(diff_make(zone[0], zone[1], 0, &step), ERR_OK);
		add(&h, step, MOST);
		assert_in_range(history_bytes(h), 1, MOST);
	}
	first = history_find(h, (struct serial){0}, (struct serial){300}, &n);
	assert_in_range(n, 5, 100);
	assert_int_equal(first, 0);
	assert_int_equal(diff_join(history_steps(h), n, 0, &joined), ERR_OK);
	assert_int_equal(diff_apply(a, joined, (struct build_limits){0}, &applied, &why), ERR_OK);
	assert_int_equal(applied->records, zone[1]->records);
	assert_int_equal(applied->wire_bytes, zone[1]->wire_bytes);
	diff_drop(joined);
	zone_put(applied);
	zone_put(a);
	zone_put(zone[0]);
	zone_put(zone[1]);
	history_drop(h);
}

static void their_number_is_bounded_too(void **state)
{
	struct history *h = NULL;

	(void)state;
	for (uint32_t i = 0; i < 3 * HISTORY_STEPS_MAX; i++) {
		add(&h, step_of(i, i + 1, i % 3, 4), 64 << 20);
		assert_in_range(history_count(h), 1, HISTORY_STEPS_MAX);
	}
	assert_in_range(history_count(h), HISTORY_STEPS_MAX / 4, HISTORY_STEPS_MAX);
	history_drop(h);
}

static void as_much_is_kept_as_a_zone_is_worth(void **state)
{
	struct zone zone = {.wire_bytes = 100};

	(void)state;
	assert_int_equal(history_most(&zone), 100);
	zone.wire_bytes = 100000;
	assert_int_equal(history_most(&zone), 65536);
	zone.wire_bytes = 1 << 20;
	assert_int_equal(history_most(&zone), 1 << 18);
	zone.wire_bytes = UINT64_C(1) << 40;
	assert_int_equal(history_most(&zone), 64 << 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(steps_are_found_by_serial),
		cmocka_unit_test(serials_go_round),
		cmocka_unit_test(what_does_not_follow_begins_anew),
		cmocka_unit_test(an_older_history_stays_as_it_was),
		cmocka_unit_test(the_oldest_go),
		cmocka_unit_test(steps_that_undo_each_other_become_one),
		cmocka_unit_test(their_number_is_bounded_too),
		cmocka_unit_test(as_much_is_kept_as_a_zone_is_worth),
	};

	return cmocka_run_group_tests_name("zone/history", tests, NULL, NULL);
}
