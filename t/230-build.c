/* zone/build against a plain model: which of a few hundred records are there. Many versions, each with many changes of the
 * same records, so that batches, blocks of this edit and blocks of earlier versions all come together. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "zone/build.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { NAMES = 60, TYPES = 4, VALUES = 3 };

static const uint16_t types[TYPES] = {RR_A, RR_TXT, RR_AAAA, 65280};
static const uint8_t apex[] = "\7example";
static uint8_t owners[NAMES][NAME_SIZE];

struct model {
	bool there[NAMES][TYPES][VALUES];
};

static void make_owners(void)
{
	for (unsigned i = 0; i < NAMES; i++) {
		char text[100];
		struct why why;

		/* Names beside and below each other, one a prefix of the next, and with octets that are rare. */
		snprintf(text, sizeof text, i % 3 == 0 ? "n%u" : i % 3 == 1 ? "x.n%u" : "n%u\\000-*", i / 3);
		assert_int_equal(name_parse(text, strlen(text), apex, owners[i], &why), ERR_OK);
	}
}

static struct rr soa_rr(uint32_t serial)
{
	static uint8_t rdata[22];

	rdata[2] = (uint8_t)(serial >> 24);
	rdata[3] = (uint8_t)(serial >> 16);
	rdata[4] = (uint8_t)(serial >> 8);
	rdata[5] = (uint8_t)serial;
	return (struct rr){.owner = apex, .type = RR_SOA, .class = CLASS_IN, .ttl = 5, .rdata = rdata, .rdlength = sizeof rdata};
}

static struct rr record(unsigned name, unsigned type, unsigned value)
{
	static const uint8_t rdata[VALUES][17] = {"\0first", "\0second, longer", "\xff"};
	static const uint16_t length[VALUES] = {6, 15, 1};

	return (struct rr){.owner = owners[name], .type = types[type], .class = CLASS_IN, .ttl = 60, .rdata = rdata[value],
		.rdlength = length[value]};
}

static uint64_t count(const struct model *model)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < NAMES; i++)
		for (unsigned t = 0; t < TYPES; t++)
			for (unsigned v = 0; v < VALUES; v++)
				n += model->there[i][t][v];
	return n;
}

static void assert_same(const struct zone *zone, const struct model *model)
{
	uint64_t names = 1;

	assert_int_equal(zone->records, 2 + count(model));
	for (unsigned i = 0; i < NAMES; i++) {
		const struct zone_node *node = zone_find_node(zone, owners[i]);
		bool any = false;

		for (unsigned t = 0; t < TYPES; t++) {
			struct zone_rrset set = {0};
			uint32_t at = 0;
			struct rr rr;
			bool seen[VALUES] = {false};

			if (node && zone_node_rrset(node, types[t], &set, NULL))
				while (zone_rrset_next(&set, &at, owners[i], &rr))
					for (unsigned v = 0; v < VALUES; v++) {
						struct rr wanted = record(i, t, v);

						if (wanted.rdlength == rr.rdlength && !memcmp(wanted.rdata, rr.rdata, rr.rdlength))
							seen[v] = true;
					}
			assert_memory_equal(seen, model->there[i][t], sizeof seen);
			any |= set.count > 0;
		}
		assert_int_equal(node != NULL, any);
		names += any;
	}
	assert_int_equal(zone->names, names);
}

static void assert_walk(const struct zone *zone)
{
	uint8_t name[NAME_SIZE], last[NAME_SIZE];
	struct zone_walk walk;
	uint64_t names = 0;

	zone_walk(&walk, zone);
	while (zone_walk_next(&walk, name)) {
		if (names++)
			assert_true(name_compare(last, name) < 0);
		memcpy(last, name, sizeof last);
	}
	assert_int_equal(names, zone->names);
}

static struct zone *first_version(void)
{
	struct build *build = build_new(apex, NULL, (struct build_limits){0});
	static const uint8_t root[1];
	struct rr soa = soa_rr(0), ns = {.owner = apex, .type = RR_NS, .class = CLASS_IN, .ttl = 5, .rdata = root, .rdlength = 1};
	struct zone *zone;
	struct why why;

	assert_int_equal(build_add(build, &soa, &why), ERR_OK);
	assert_int_equal(build_add(build, &ns, &why), ERR_OK);
	assert_int_equal(build_finish(build, &zone, &why), ERR_OK);
	return zone;
}

static struct zone *next_version(struct zone *base, struct model *model, uint32_t serial, unsigned changes)
{
	struct build *build = build_new(apex, base, (struct build_limits){0});
	struct rr old = soa_rr(serial - 1), rr;
	struct zone *zone;
	struct why why;

	assert_int_equal(build_remove(build, &old, &why), ERR_OK);
	while (changes--) {
		unsigned name = (unsigned)random() % NAMES, type = random() % 50 ? 0 : (unsigned)random() % TYPES;
		unsigned value = random() % 50 ? 0 : (unsigned)random() % VALUES;   /* few, so that owners come and go */
		bool *there = &model->there[name][type][value];

		rr = record(name, type, value);
		assert_int_equal(*there ? build_remove(build, &rr, &why) : build_add(build, &rr, &why), ERR_OK);
		*there = !*there;
	}
	rr = soa_rr(serial);
	assert_int_equal(build_add(build, &rr, &why), ERR_OK);
	assert_int_equal(build_finish(build, &zone, &why), ERR_OK);
	return zone;
}

static void versions_of_many_changes_hold_what_the_model_holds(void **state)
{
	static const unsigned changes[] = {1, 3, 50, 2000, 20000};
	static struct model model, kept_model;
	struct zone *zone = first_version(), *kept = NULL;

	(void)state;
	srandom(7);
	for (uint32_t serial = 1; serial <= 60; serial++) {
		struct zone *next = next_version(zone, &model, serial, changes[serial % 5]);

		assert_same(next, &model);
		assert_walk(next);
		if (kept)
			assert_same(kept, &kept_model);
		if (serial % 7 == 0) {
			zone_put(kept);
			kept = zone_hold(next);
			kept_model = model;
		}
		zone_put(zone);
		zone = next;
	}
	zone_put(kept);
	zone_put(zone);
}

/* A record that an earlier batch of the same edit has put there goes again: its owner must go with it. */
static void an_owner_comes_and_goes_across_batches(void **state)
{
	static struct model model;
	struct zone *base = first_version(), *zone;
	struct build *build = build_new(apex, base, (struct build_limits){0});
	struct rr old = soa_rr(0), rr;
	struct why why;

	(void)state;
	assert_int_equal(build_remove(build, &old, &why), ERR_OK);
	for (unsigned i = 0; i < 5000; i++) {
		rr = record(i % NAMES, 0, 0);
		assert_int_equal(build_add(build, &rr, &why), ERR_OK);
		if (i) {
			rr = record((i - 1) % NAMES, 0, 0);
			assert_int_equal(build_remove(build, &rr, &why), ERR_OK);
		}
	}
	rr = soa_rr(1);
	assert_int_equal(build_add(build, &rr, &why), ERR_OK);
	assert_int_equal(build_finish(build, &zone, &why), ERR_OK);
	model.there[4999 % NAMES][0][0] = true;
	assert_same(zone, &model);
	assert_walk(zone);
	zone_put(zone);
	zone_put(base);
}

/* A version that was finished, then not wanted (its last signature was wrong, its file could not be written): what it took comes back. */
static void a_version_that_is_given_up_leaves_nothing(void **state)
{
	static struct model model, other;
	struct zone *first = first_version(), *base;
	size_t memory = 0;

	(void)state;
	srandom(8);
	base = next_version(first, &model, 1, 500);
	for (uint32_t i = 1; i <= 100; i++) {
		struct zone *unwanted;

		other = model;
		unwanted = next_version(base, &other, 2, i % 10 ? 2000 : 3);
		assert_same(unwanted, &other);
		if (i % 7 == 0) {
			struct model further = other;
			struct zone *pinned = base, *last = next_version(unwanted, &further, 3, 700);

			zone_put(unwanted);
			assert_same(last, &further);
			zone_put(last);      /* and with it the one before, which nobody holds any more */
			assert_same(pinned, &model);
		} else {
			zone_put(unwanted);
		}
		assert_same(base, &model);
		assert_walk(base);
		if (i == 10)
			memory = zone_memory(base);
	}
	assert_in_range(zone_memory(base), 1, 2 * memory);
	zone_put(first);
	for (uint32_t serial = 2; serial < 10; serial++) {
		struct zone *next = next_version(base, &model, serial, 300);

		zone_put(base);
		base = next;
		assert_same(base, &model);
	}
	zone_put(base);
}

static void add(struct build *build, const char *owner, uint16_t type, const void *rdata, uint16_t length)
{
	uint8_t name[NAME_SIZE];
	struct rr rr = {.owner = name, .type = type, .class = CLASS_IN, .ttl = 60, .rdata = rdata, .rdlength = length};
	struct why why;

	assert_int_equal(name_parse(owner, strlen(owner), apex, name, &why), ERR_OK);
	assert_int_equal(build_add(build, &rr, &why), ERR_OK);
}

static struct build *begin_zone(void)
{
	struct build *build = build_new(apex, NULL, (struct build_limits){0});
	struct rr soa = soa_rr(1);
	struct why why;

	assert_int_equal(build_add(build, &soa, &why), ERR_OK);
	add(build, "@", RR_NS, "", 1);
	return build;
}

static void owners_that_grow_in_turn_take_no_more_memory_than_they_need(void **state)
{
	enum { OWNERS = 2000, ROUNDS = 60, SIZE = 300 };
	struct build *build = begin_zone();
	uint8_t rdata[SIZE] = {0}, again[SIZE] = {0};
	struct zone_rrset set;
	struct zone *zone;
	struct why why;

	(void)state;
	for (uint32_t round = 0; round < ROUNDS; round++) {
		memcpy(rdata, &round, sizeof round);
		for (unsigned i = 0; i < OWNERS; i++) {
			char owner[16];

			snprintf(owner, sizeof owner, "%u", i);
			add(build, owner, 65280, rdata, sizeof rdata);
		}
		assert_int_equal(build_flush(build, &why), ERR_OK);
	}
	assert_int_equal(build_finish(build, &zone, &why), ERR_OK);
	assert_int_equal(zone->records, 2 + OWNERS * ROUNDS);
	assert_in_range(zone_memory(zone), zone->wire_bytes, 3 * zone->wire_bytes);
	for (unsigned i = 0; i < OWNERS; i++) {
		uint8_t name[NAME_SIZE];
		char owner[16];
		uint32_t at = 0, round = 0;
		struct rr rr;

		snprintf(owner, sizeof owner, "%u", i);
		assert_int_equal(name_parse(owner, strlen(owner), apex, name, &why), ERR_OK);
		assert_true(zone_node_rrset(zone_find_node(zone, name), 65280, &set, NULL));
		for (; zone_rrset_next(&set, &at, name, &rr); round++) {
			memcpy(again, &round, sizeof round);
			assert_int_equal(rr.rdlength, SIZE);
			assert_memory_equal(rr.rdata, again, SIZE);
		}
		assert_int_equal(round, ROUNDS);
	}
	zone_put(zone);
}

/* A great owner that comes up in every batch of 256, as the last of the names, so that each batch is in order. */
static clock_t time_with_owner(unsigned great)
{
	struct build *build = begin_zone();
	uint8_t rdata[200] = {0};
	clock_t began;
	struct zone *zone;
	struct why why;
	uint32_t i;

	for (i = 0; i < great; i++) {
		memcpy(rdata, &i, sizeof i);
		add(build, "z", 65280, rdata, sizeof rdata);
	}
	began = clock();
	for (i = 0; i < 100000; i++) {
		char owner[16];

		snprintf(owner, sizeof owner, i % 256 == 255 ? "z" : "n%07u", i);
		add(build, owner, i % 256 == 255 ? 65281 : RR_A, &i, sizeof i);
	}
	assert_int_equal(build_finish(build, &zone, &why), ERR_OK);
	began = clock() - began;
	zone_put(zone);
	return began;
}

static void an_owner_of_many_records_is_not_written_anew_for_each_that_comes(void **state)
{
	(void)state;
	assert_in_range(time_with_owner(79 * 256 - 2), 0, 5 * time_with_owner(254) + CLOCKS_PER_SEC / 2);
}

/* In the greatest message there is (RFC 1035 4.2.2), alone: header, owner, type, class, TTL, length, RDATA. */
static void a_record_that_fits_no_message_is_refused(void **state)
{
	static const uint8_t octets[UINT16_MAX];
	struct rr rr = {.owner = owners[0], .type = 65280, .class = CLASS_IN, .rdata = octets};
	struct build *build = build_new(apex, NULL, (struct build_limits){0});
	struct why why;

	(void)state;
	rr.rdlength = (uint16_t)(UINT16_MAX - 12 - name_length(owners[0]) - 10);
	assert_int_equal(build_add(build, &rr, &why), ERR_OK);
	rr.rdlength++;
	assert_int_equal(build_add(build, &rr, &why), ERR_LIMIT);
	assert_string_equal(why.text, "n0.example. TYPE65280: it is too large for a message: it could not be passed on");
	build_free(build);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(versions_of_many_changes_hold_what_the_model_holds),
		cmocka_unit_test(an_owner_comes_and_goes_across_batches),
		cmocka_unit_test(a_version_that_is_given_up_leaves_nothing),
		cmocka_unit_test(owners_that_grow_in_turn_take_no_more_memory_than_they_need),
		cmocka_unit_test(an_owner_of_many_records_is_not_written_anew_for_each_that_comes),
		cmocka_unit_test(a_record_that_fits_no_message_is_refused),
	};

	rr_init();
	make_owners();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
