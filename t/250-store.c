/* zone/store: the zone that a name is in; what is prepared and what is seen; readers that go on while versions and zones change. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "serve-zone.h"

#include <pthread.h>
#include <stdatomic.h>

static struct store *store;

static int setup(void **state)
{
	(void)state;
	store_thread_begin();
	store = store_new();
	return store ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	store_free(store);
	store_settle();
	store_thread_end();
	return 0;
}

static struct zone *version(const char *apex, unsigned serial)
{
	char text[200];

	snprintf(text, sizeof text, "@ SOA a b %u 1 1 1 1\n@ NS a\nserial TXT \"%u\"\n", serial, serial);
	return zone_of_text(apex, text);
}

/* Asserts what zone `name` is in, and what is above that one; "" for none. */
static void expect(const char *name, const char *zone, const char *above)
{
	const struct store_zone *parent, *found;
	char text[NAME_TEXT_SIZE];
	struct tree_name key;

	store_enter();
	tree_name(&key, name_of(name));
	found = store_find(store, &key, &parent);
	assert_string_equal(found ? name_text(store_name(found), text) : "", zone);
	assert_string_equal(parent ? name_text(store_name(parent), text) : "", above);
	assert_ptr_equal(store_find(store, &key, NULL), found);
	store_leave();
}

static void the_longest_match(void **state)
{
	struct store_zone *place[4];

	(void)state;
	expect("example.", "", "");
	for (unsigned i = 0; i < 4; i++)
		place[i] = add_zone(store, (const char *[]){"example.", "a.kid.example.", "kid.example.", "*.example."}[i], NULL, NULL);
	expect("example.", "example.", "");
	expect("www.example.", "example.", "");
	expect("kid.example.", "kid.example.", "example.");
	expect("KID.eXample.", "kid.example.", "example.");
	expect("b.kid.example.", "kid.example.", "example.");
	expect("deep.below.a.kid.example.", "a.kid.example.", "kid.example.");
	expect("xkid.example.", "example.", "");
	expect("*.example.", "*.example.", "example.");
	expect("xexample.", "", "");
	expect(".", "", "");
	add_zone(store, ".", NULL, NULL);
	expect("xexample.", ".", "");
	expect("example.", "example.", ".");
	store_remove(store, place[2]);
	assert_int_equal(store_publish(store), ERR_OK);
	expect("b.kid.example.", "example.", ".");
	expect("x.a.kid.example.", "a.kid.example.", "example.");
	store_enter();
	assert_null(store_exact(store, name_of("kid.example.")));
	assert_ptr_equal(store_exact(store, name_of("A.kid.example.")), place[1]);
	store_leave();
}

static unsigned released;

static void release(struct store_policy *policy)
{
	released++;
	free(policy);
}

static struct store_policy *new_policy(void)
{
	struct store_policy *policy = malloc(sizeof *policy);

	assert_non_null(policy);
	policy->release = release;
	return policy;
}

static void what_is_prepared_is_not_seen(void **state)
{
	struct store_policy *policy = new_policy();
	struct store_zone *place, *other;
	enum store_state why;

	(void)state;
	released = 0;
	assert_int_equal(store_add(store, name_of("example."), policy, &place), ERR_OK);
	assert_int_equal(store_add(store, name_of("EXAMPLE."), policy, &other), ERR_EXISTS);
	assert_int_equal(released, 0);
	store_commit(place, version("example.", 1), STORE_SERVED);
	expect("example.", "", "");
	assert_int_equal(store_publish(store), ERR_OK);
	expect("example.", "example.", "");
	assert_int_equal(store_add(store, name_of("example."), policy, &other), ERR_EXISTS);

	store_enter();
	assert_int_equal(store_pin(place, &why)->serial.v, 1);
	assert_int_equal(why, STORE_SERVED);
	assert_ptr_equal(store_policy(place), policy);
	store_leave();

	store_set_policy(place, new_policy());
	store_settle();
	assert_int_equal(released, 1);
	store_remove(store, place);
	expect("example.", "example.", "");
	assert_int_equal(released, 1);
	assert_int_equal(store_publish(store), ERR_OK);
	expect("example.", "", "");
	assert_int_equal(released, 2);
}

static void a_zone_without_a_version_says_why(void **state)
{
	struct store_zone *place = add_zone(store, "example.", NULL, NULL);
	enum store_state why;
	struct zone *held;

	(void)state;
	assert_null(store_pin(place, &why));
	assert_int_equal(why, STORE_LOADING);
	store_commit(place, version("example.", 7), STORE_SERVED);
	held = store_hold(place);
	assert_int_equal(held->serial.v, 7);
	store_commit(place, NULL, STORE_EXPIRED);
	assert_null(store_pin(place, &why));
	assert_int_equal(why, STORE_EXPIRED);
	assert_null(store_hold(place));
	store_settle();
	assert_int_equal(held->serial.v, 7);
	assert_int_equal(held->records, 3);
	zone_put(held);
}

static struct history *one_step(uint32_t from, uint32_t to)
{
	struct zone *a = version("example.", from), *b = version("example.", to);
	struct history *history;
	struct diff *step;

	assert_int_equal(diff_make(a, b, 0, &step), ERR_OK);
	history = history_add(NULL, step, 1 << 20);
	assert_non_null(history);
	diff_drop(step);
	zone_put(a);
	zone_put(b);
	return history;
}

static void a_history_that_is_held_outlives_its_successor(void **state)
{
	struct store_zone *place = add_zone(store, "example.", NULL, NULL);
	struct history *held;

	(void)state;
	assert_null(store_history(place));
	store_set_history(place, one_step(1, 2));
	store_enter();
	held = history_hold(store_history(place));
	store_leave();
	store_set_history(place, one_step(2, 3));
	store_settle();
	assert_int_equal(diff_to(history_steps(held)[0]).v, 2);
	history_drop(held);
	store_set_history(place, NULL);
	store_settle();
	assert_null(store_history(place));
	store_set_history(place, one_step(7, 8));    /* goes with the place */
}

/* --- readers beside the writer ------------------------------------------------------------ */

enum { VERSIONS = 3000, READERS = 2 };
static atomic_bool over;
static atomic_uint reads[READERS];

static const struct store_zone *find_place(const uint8_t *name)
{
	struct tree_name key;

	tree_name(&key, name);
	return store_find(store, &key, NULL);
}

/* What the pinned version says of its serial is the same in its SOA record and in its data. */
static void look(unsigned *newest)
{
	static const uint8_t name[] = "\6serial\7example", below[] = "\1x\3kid\7example";
	const struct store_zone *place = find_place(name), *kid = find_place(below);
	const struct zone *zone = place ? store_pin(place, NULL) : NULL;
	const struct history *history;
	struct zone_rrset set;
	struct zone_hit hit;
	struct rr rr;
	uint32_t at = 0;
	char text[16];

	CHECK(zone && kid && (kid == place || store_name(kid)[1] == 'k'));
	zone_find(zone, name, &hit);
	CHECK(hit.found == ZONE_NODE && zone_node_rrset(hit.node, RR_TXT, &set, NULL) && zone_rrset_next(&set, &at, name, &rr));
	snprintf(text, sizeof text, "%u", zone->serial.v);
	CHECK(rr.rdata[0] == strlen(text) && memcmp(rr.rdata + 1, text, rr.rdata[0]) == 0);
	CHECK(zone->serial.v >= *newest);
	*newest = zone->serial.v;
	history = store_history(place);
	CHECK(!history || diff_to(history_steps(history)[0]).v >= zone->serial.v);
}

static void *read_on(void *count)
{
	unsigned newest = 0;

	store_thread_begin();
	while (!atomic_load(&over)) {
		store_enter();
		for (unsigned i = 0; i < 100; i++)
			look(&newest);
		store_leave();
		atomic_fetch_add((atomic_uint *)count, 100);
	}
	store_thread_end();
	return NULL;
}

static void readers_go_on_while_everything_changes(void **state)
{
	struct store_zone *place = add_zone(store, "example.", NULL, NULL), *kid = NULL;
	pthread_t thread[READERS];

	(void)state;
	store_commit(place, version("example.", 1), STORE_SERVED);
	for (unsigned i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, read_on, &reads[i]), 0);
	for (unsigned i = 2; i < VERSIONS; i++) {
		store_set_history(place, i % 8 ? one_step(i - 1, i) : NULL);
		store_commit(place, version("example.", i), STORE_SERVED);
		store_set_policy(place, new_policy());
		if (i % 16 == 0 && kid) {
			store_remove(store, kid);
			kid = NULL;
			assert_int_equal(store_publish(store), ERR_OK);
		} else if (i % 16 == 8) {
			kid = add_zone(store, "kid.example.", "@ SOA a b 1 1 1 1 1\n@ NS a\n", NULL);
		}
	}
	while (atomic_load(&reads[0]) < 1000 || atomic_load(&reads[1]) < 1000)
		sched_yield();
	atomic_store(&over, true);
	for (unsigned i = 0; i < READERS; i++)
		pthread_join(thread[i], NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_longest_match, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_prepared_is_not_seen, setup, teardown),
		cmocka_unit_test_setup_teardown(a_zone_without_a_version_says_why, setup, teardown),
		cmocka_unit_test_setup_teardown(a_history_that_is_held_outlives_its_successor, setup, teardown),
		cmocka_unit_test_setup_teardown(readers_go_on_while_everything_changes, setup, teardown),
	};

	rr_init();
	return cmocka_run_group_tests_name("zone/store", tests, NULL, NULL);
}
