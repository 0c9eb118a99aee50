/* zone/denial: which NSEC or NSEC3 record spans a name, in whole chains, in two that stand beside each other, and in broken ones. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "zone/denial.h"

#include "signed-zone.h"

#include <stdlib.h>

/* --- NSEC ------------------------------------------------------------------------------ */

/* The owner of the record is `wanted`, relative to the apex; NULL: there is none. */
static void assert_nsec(const struct zone *zone, const char *name, bool or_at, const char *wanted)
{
	uint8_t asked[NAME_SIZE], owner[NAME_SIZE], got[NAME_SIZE];
	const struct zone_node *node;

	make_name(name, asked);
	node = denial_nsec(zone, asked, or_at);
	if (!wanted) {
		assert_null(node);
		return;
	}
	assert_non_null(node);
	zone_node_name(zone, node, got);
	make_name(wanted, owner);
	assert_true(name_equal(got, owner));
}

static void the_nsec_record_before_a_name_spans_it(void **state)
{
	static const char *const owners[] = {"@", "b", "x.b", "*.d", "d\\000", "z"};
	struct build *build = begin(NULL, 1);
	struct zone *zone;

	(void)state;
	for (size_t i = 0; i < sizeof owners / sizeof *owners; i++) {
		put_address(build, owners[i]);
		put_nsec(build, owners[i]);
	}
	zone = finish(build);
	assert_int_equal(zone->denial, ZONE_DENIES_BY_NSEC);
	assert_nsec(zone, "a", false, "@");
	assert_nsec(zone, "\\000", false, "@");
	assert_nsec(zone, "b", false, "@");
	assert_nsec(zone, "b", true, "b");
	assert_nsec(zone, "B", true, "b");
	assert_nsec(zone, "a.b", false, "b");
	assert_nsec(zone, "y.b", false, "x.b");
	assert_nsec(zone, "a.x.b", false, "x.b");
	assert_nsec(zone, "c", false, "x.b");
	assert_nsec(zone, "d", false, "x.b");
	assert_nsec(zone, "d", true, "x.b");
	assert_nsec(zone, "e.d", false, "*.d");
	assert_nsec(zone, "d\\000", false, "*.d");
	assert_nsec(zone, "e", false, "d\\000");
	assert_nsec(zone, "zz", false, "z");
	assert_nsec(zone, "\\255.z", false, "z");
	assert_nsec(zone, "@", true, "@");
	assert_nsec(zone, "@", false, NULL);
	zone_put(zone);
}

/* Glue and what else lies below a cut has no record, however much it is. */
static void names_below_a_cut_are_spanned_by_its_record(void **state)
{
	struct build *build = begin(NULL, 1);
	struct zone *zone;
	char owner[40];

	(void)state;
	put_nsec(build, "@");
	put_cut(build, "sub");
	put_nsec(build, "sub");
	put_cut(build, "deeper.sub");
	for (unsigned i = 0; i < 500; i++) {
		snprintf(owner, sizeof owner, "n%u.deeper.sub", i);
		put_address(build, owner);
	}
	put_address(build, "t");
	put_nsec(build, "t");
	zone = finish(build);
	assert_nsec(zone, "sub", false, "@");
	assert_nsec(zone, "a.sub", false, "sub");
	assert_nsec(zone, "n7.deeper.sub", true, "sub");
	assert_nsec(zone, "sub0", false, "sub");
	assert_nsec(zone, "t", false, "sub");
	assert_nsec(zone, "u", false, "t");
	zone_put(zone);
}

/* Names without a record that are not below a cut: the zone is not signed as it should be. A few are passed over. */
static void a_gap_in_the_nsec_chain_ends_the_search(void **state)
{
	(void)state;
	for (unsigned gap = 1; gap <= 100; gap += 33) {
		struct build *build = begin(NULL, 1);
		struct zone *zone;
		char owner[40];

		put_nsec(build, "@");
		put_nsec(build, "b");
		for (unsigned i = 0; i < gap; i++) {
			snprintf(owner, sizeof owner, "c%03u", i);
			put_address(build, owner);
		}
		zone = finish(build);
		assert_nsec(zone, "d", false, gap < 64 ? "b" : NULL);
		assert_nsec(zone, "c", false, "b");
		zone_put(zone);
	}
}

/* As while a primary makes the chain that will replace NSEC: they stand anywhere, and there is no NSEC3PARAM yet. */
static void owners_of_nsec3_records_are_no_gap(void **state)
{
	static const struct chain chain = {.algorithm = NSEC3_SHA1};
	struct build *build = begin(NULL, 1);
	uint8_t name[NAME_SIZE], owner[NAME_SIZE];
	struct zone *zone;
	char text[40];

	(void)state;
	put_nsec(build, "@");
	put_nsec(build, "-");
	put_nsec(build, "z");
	for (unsigned i = 0; i < 3000; i++) {
		snprintf(text, sizeof text, "n%u", i);
		make_name(text, name);
		hashed_owner(&chain, name, owner);
		change_nsec3(build, true, owner, &chain);
	}
	zone = finish(build);
	assert_int_equal(zone->denial, ZONE_DENIES_BY_NSEC);
	assert_nsec(zone, "g", false, "-");
	assert_nsec(zone, "y", false, "-");
	assert_nsec(zone, "z", false, "-");
	assert_nsec(zone, "zz", false, "z");
	zone_put(zone);
}

/* --- NSEC3 ------------------------------------------------------------------------------- */

enum { NAMES = 200, PROBES = 2000 };

static const struct chain chain_a = {.algorithm = NSEC3_SHA1, .iterations = 2, .salt_length = 2, .salt = "\1\2"};
static const struct chain chain_b = {.algorithm = NSEC3_SHA1, .iterations = 0, .salt_length = 0};
static const struct chain chain_c = {.algorithm = NSEC3_SHA1, .iterations = 2, .salt_length = 2, .salt = "\1\3"};

struct owners {
	unsigned count;
	uint8_t name[NAMES][NAME_SIZE];
};

static int compare_names(const void *a, const void *b) { return name_compare(a, b); }

/* A chain of so many names, and the sorted list of its owners. */
static void put_chain(struct build *build, const struct chain *chain, unsigned count, struct owners *owners)
{
	uint8_t name[NAME_SIZE];
	char text[40];

	owners->count = count;
	for (unsigned i = 0; i < count; i++) {
		snprintf(text, sizeof text, "n%u", i);
		make_name(text, name);
		hashed_owner(chain, name, owners->name[i]);
		change_nsec3(build, true, owners->name[i], chain);
	}
	qsort(owners->name, count, NAME_SIZE, compare_names);
}

/* The last owner that is not behind the hash; the last of all if all are. */
static const uint8_t *wanted_owner(const struct owners *owners, const uint8_t *hashed, bool *matches)
{
	const uint8_t *found = owners->name[owners->count - 1];

	for (unsigned i = 0; i < owners->count && name_compare(owners->name[i], hashed) <= 0; i++)
		found = owners->name[i];
	*matches = name_equal(found, hashed);
	return found;
}

static unsigned assert_spans(const struct zone *zone, const struct chain *chain, const struct owners *owners)
{
	unsigned matching = 0;

	for (unsigned i = 0; i < PROBES; i++) {
		uint8_t name[NAME_SIZE], hashed[NAME_SIZE], got[NAME_SIZE];
		const struct zone_node *node;
		const uint8_t *wanted;
		bool matches, wanted_matches;
		struct denial_key key;
		char text[40];

		snprintf(text, sizeof text, "n%u", i);
		make_name(text, name);
		hashed_owner(chain, name, hashed);
		wanted = wanted_owner(owners, hashed, &wanted_matches);
		denial_key(&key, zone, name);
		node = denial_nsec3(zone, &key, &matches);
		assert_non_null(node);
		zone_node_name(zone, node, got);
		assert_true(name_equal(got, wanted));
		assert_int_equal(matches, wanted_matches);
		matching += matches;
	}
	return matching;
}

/* Two thousand hashes among two hundred: some are before the first, and some behind the last. */
static void the_nsec3_record_before_a_hash_spans_it_and_the_last_one_the_first_hashes(void **state)
{
	static struct owners owners;
	struct build *build = begin(NULL, 1);
	struct zone *zone;

	(void)state;
	put_param(build, &chain_a);
	put_chain(build, &chain_a, NAMES, &owners);
	zone = finish(build);
	assert_int_equal(zone->denial, ZONE_DENIES_BY_NSEC3);
	assert_int_equal(assert_spans(zone, &chain_a, &owners), NAMES);
	zone_put(zone);
}

static void one_record_spans_all(void **state)
{
	static struct owners owners;
	struct build *build = begin(NULL, 1);
	struct zone *zone;

	(void)state;
	put_param(build, &chain_a);
	put_chain(build, &chain_a, 1, &owners);
	zone = finish(build);
	assert_int_equal(assert_spans(zone, &chain_a, &owners), 1);
	zone_put(zone);
}

/* Both NSEC3PARAM records are there; the first in canonical order counts, and records of the other chain never. */
static void of_two_chains_beside_each_other_one_is_used(void **state)
{
	static const struct chain *const other[] = {&chain_b, &chain_c};
	static struct owners owners, others;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct build *build = begin(NULL, 1);
		const struct chain *used = i == 0 ? &chain_b : &chain_a;
		struct zone *zone;

		put_param(build, &chain_a);
		put_param(build, other[i]);
		put_chain(build, &chain_a, NAMES, used == &chain_a ? &owners : &others);
		put_chain(build, other[i], NAMES, used == &chain_a ? &others : &owners);
		zone = finish(build);
		assert_int_equal(zone->hashed, 2 * NAMES);
		assert_int_equal(zone->chain.iterations, used->iterations);
		assert_int_equal(assert_spans(zone, used, &owners), NAMES);
		zone_put(zone);
	}
}

/* The parameters of a chain that is not there. */
static void a_chain_without_records_gives_none(void **state)
{
	static struct owners owners;
	struct build *build = begin(NULL, 1);
	uint8_t name[NAME_SIZE];
	struct denial_key key;
	struct zone *zone;
	bool matches = true;

	(void)state;
	put_param(build, &chain_c);
	put_chain(build, &chain_a, NAMES, &owners);
	zone = finish(build);
	make_name("n1", name);
	denial_key(&key, zone, name);
	assert_null(denial_nsec3(zone, &key, &matches));
	assert_false(matches);
	zone_put(zone);
}

/* RFC 5155 4.1.2 (flags), RFC 9276 3.2 (iterations), and a hash that nobody knows. */
static void parameters_that_are_not_for_us_are_passed_over(void **state)
{
	static const struct chain strange[] = {
		{.algorithm = 0, .iterations = 2}, {.algorithm = NSEC3_SHA1, .flags = 1, .iterations = 2},
		{.algorithm = NSEC3_SHA1, .iterations = NSEC3_ITERATIONS_MAX + 1}, {.algorithm = 2, .iterations = 2},
	};
	static struct owners owners;

	(void)state;
	for (unsigned i = 0; i < sizeof strange / sizeof *strange; i++) {
		for (unsigned known = 0; known < 2; known++) {
			struct build *build = begin(NULL, 1);
			struct zone *zone;

			put_nsec(build, "@");
			put_param(build, &strange[i]);
			if (known)
				put_param(build, &chain_a);
			put_chain(build, &chain_a, NAMES, &owners);
			zone = finish(build);
			assert_int_equal(zone->denial, known ? ZONE_DENIES_BY_NSEC3 : ZONE_DENIES_BY_NSEC);
			if (known)
				assert_spans(zone, &chain_a, &owners);
			zone_put(zone);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_nsec_record_before_a_name_spans_it),
		cmocka_unit_test(names_below_a_cut_are_spanned_by_its_record),
		cmocka_unit_test(a_gap_in_the_nsec_chain_ends_the_search),
		cmocka_unit_test(owners_of_nsec3_records_are_no_gap),
		cmocka_unit_test(the_nsec3_record_before_a_hash_spans_it_and_the_last_one_the_first_hashes),
		cmocka_unit_test(one_record_spans_all),
		cmocka_unit_test(of_two_chains_beside_each_other_one_is_used),
		cmocka_unit_test(a_chain_without_records_gives_none),
		cmocka_unit_test(parameters_that_are_not_for_us_are_passed_over),
	};

	rr_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
