/* zone/build: the index of the owners of NSEC3 records against a plain model, over many versions, kept and given up. Owners have NSEC3 records of one
 * chain, of another, of both, signatures, and an ordinary record, in any mixture. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "signed-zone.h"

#include <stdlib.h>

enum { OWNERS = 50, RECORDS = 4, NSEC3_A = 0, NSEC3_B, SIGNATURE, ADDRESS };

static const struct chain chains[2] = {
	{.algorithm = NSEC3_SHA1, .salt_length = 1, .salt = "\1"}, {.algorithm = NSEC3_SHA1, .iterations = 1},
};
static uint8_t owners[OWNERS][NAME_SIZE];

struct model {
	bool there[OWNERS][RECORDS];
};

static void make_owners(void)
{
	for (unsigned i = 0; i < OWNERS; i++) {
		uint8_t name[NAME_SIZE];
		char text[20];

		snprintf(text, sizeof text, "n%u", i);
		make_name(text, name);
		hashed_owner(&chains[0], name, owners[i]);
	}
}

static void change_one(struct build *build, struct model *model, unsigned owner, unsigned record)
{
	static const uint8_t sig[30] = {RR_NSEC3 >> 8, RR_NSEC3 & 255, 1};
	bool *there = &model->there[owner][record];

	*there = !*there;
	if (record == NSEC3_A || record == NSEC3_B)
		change_nsec3(build, *there, owners[owner], &chains[record]);
	else if (record == SIGNATURE)
		change(build, *there, owners[owner], RR_RRSIG, sig, sizeof sig);
	else
		change(build, *there, owners[owner], RR_A, "\300\0\2\1", 4);
}

static bool has_nsec3(const bool *there) { return there[NSEC3_A] || there[NSEC3_B]; }

static void assert_owner(const struct zone *zone, const uint8_t *owner, const bool *there)
{
	uint8_t key[TREE_KEY_SIZE];
	size_t length = tree_key(owner, zone->origin.labels, key);
	const struct tree_node *leaf = tree_get(&zone->tree, key, length);
	const struct tree_node *indexed = zone->nsec3.root.to ? tree_get(&zone->nsec3, key, length) : NULL;
	bool any = has_nsec3(there) || there[SIGNATURE] || there[ADDRESS];
	struct zone_hit hit;

	assert_int_equal(leaf != NULL, any);
	assert_int_equal(indexed != NULL, has_nsec3(there));
	if (indexed)
		assert_ptr_equal(tree_item(indexed), tree_item(leaf));
	zone_find(zone, owner, &hit);
	if (has_nsec3(there) && !there[ADDRESS]) {
		assert_true(tree_flags(leaf) & ZONE_FLAG_HASHED);
		assert_int_equal(hit.found, ZONE_NONE);
		assert_int_equal(hit.encloser_labels, zone->origin.labels);
	} else {
		assert_int_equal(hit.found, any ? ZONE_NODE : ZONE_NONE);
	}
}

static void assert_same(const struct zone *zone, const struct model *model)
{
	const struct tree_node *leaf;
	struct tree_walk walk;
	uint64_t hashed = 0, walked = 0;

	for (unsigned i = 0; i < OWNERS; i++) {
		assert_owner(zone, owners[i], model->there[i]);
		hashed += has_nsec3(model->there[i]);
	}
	assert_int_equal(zone->hashed, hashed);
	tree_walk(&walk, &zone->nsec3);
	while ((leaf = tree_walk_next(&walk)))
		walked++;
	assert_int_equal(walked, hashed);
}

static struct zone *next_version(struct zone *base, struct model *model, uint32_t serial, unsigned changes)
{
	struct build *build = begin(base, serial);

	while (changes--)
		change_one(build, model, (unsigned)random() % OWNERS, (unsigned)random() % RECORDS);
	return finish(build);
}

/* Now few, now all: also none of them left, and all at once. */
static void the_index_holds_what_the_model_holds(void **state)
{
	static const unsigned changes[] = {1, 2, 10, 100, 1000};
	static struct model model, kept_model;
	struct zone *zone, *kept = NULL;

	(void)state;
	srandom(50);
	zone = next_version(NULL, &model, 1, 100);
	assert_same(zone, &model);
	for (uint32_t serial = 2; serial < 250; serial++) {
		struct zone *next;

		if (serial % 40 == 0) {
			struct build *build = begin(zone, serial);

			for (unsigned i = 0; i < OWNERS; i++)
				for (unsigned r = 0; r < RECORDS; r++)
					if (model.there[i][r] == (serial % 80 == 0))
						change_one(build, &model, i, r);
			next = finish(build);
		} else {
			next = next_version(zone, &model, serial, changes[serial % 5]);
		}
		assert_same(next, &model);
		if (serial % 16 == 0) {
			if (kept)
				assert_same(kept, &kept_model);
			zone_put(kept);
			kept = zone_hold(next);
			kept_model = model;
		}
		zone_put(zone);
		zone = next;
	}
	assert_same(kept, &kept_model);
	zone_put(kept);
	assert_same(zone, &model);
	zone_put(zone);
}

static void versions_that_are_given_up_leave_the_index_as_it_was(void **state)
{
	static struct model model, other;
	struct zone *base;
	size_t memory;

	(void)state;
	srandom(51);
	base = next_version(NULL, &model, 1, 80);
	for (unsigned i = 1; i <= 100; i++) {
		struct zone *unwanted;

		other = model;
		unwanted = next_version(base, &other, 2, i % 4 ? 200 : 2);
		assert_same(unwanted, &other);
		if (i % 5 == 0) {
			struct model further = other;
			struct zone *last = next_version(unwanted, &further, 3, 60);

			zone_put(unwanted);
			assert_same(last, &further);
			unwanted = last;
		} else if (i % 5 == 1) {
			struct model never = other;
			struct build *build = begin(unwanted, 3);

			change_one(build, &never, 3, NSEC3_A);
			change_one(build, &never, 4, ADDRESS);
			build_free(build);
			assert_same(unwanted, &other);
		}
		zone_put(unwanted);
		assert_same(base, &model);
	}
	memory = zone_memory(base);
	for (unsigned i = 0; i < 4000; i++) {
		other = model;
		zone_put(next_version(base, &other, 2, 50));
	}
	assert_in_range(zone_memory(base), 1, memory + memory / 2);
	assert_same(base, &model);
	zone_put(base);
}

/* The last of a name that was an owner of NSEC3 records and an ordinary name goes in each order. */
static void a_name_that_was_both_goes(void **state)
{
	static const unsigned order[][2] = {{NSEC3_A, ADDRESS}, {ADDRESS, NSEC3_A}};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct model model = {0};
		struct zone *zone = NULL;

		for (uint32_t serial = 1; serial <= 5; serial++) {
			struct build *build = begin(zone, serial);
			struct zone *next;

			if (serial == 1)
				change_one(build, &model, 0, NSEC3_B);
			if (serial == 2 || serial == 3)
				change_one(build, &model, 7, order[i][serial - 2]);
			if (serial == 4 || serial == 5)
				change_one(build, &model, 7, order[i][serial - 4]);
			next = finish(build);
			assert_same(next, &model);
			zone_put(zone);
			zone = next;
		}
		assert_int_equal(zone->hashed, 1);
		zone_put(zone);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_index_holds_what_the_model_holds),
		cmocka_unit_test(versions_that_are_given_up_leave_the_index_as_it_was),
		cmocka_unit_test(a_name_that_was_both_goes),
	};

	rr_init();
	make_owners();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
