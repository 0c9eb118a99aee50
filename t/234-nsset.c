/* zone/nsset: the NS set that is wanted, versions that show it beside those that came, and the steps between them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "serve-zone.h"
#include "zone/nsset.h"

static const uint8_t *names[] = {(const uint8_t *)"\3ns1\1b", (const uint8_t *)"\3ns1\1a", (const uint8_t *)"\3ns1\1b"};
static struct nsset two;

static int set_up(void **state)
{
	(void)state;
	two = (struct nsset){names, nsset_sort(names, 3), 0};
	assert_int_equal(two.count, 2);
	return 0;
}

static struct zone *zone_with(const char *records)
{
	char text[4000];

	snprintf(text, sizeof text, "@ 300 SOA ns host 7 3600 900 604800 300\n%swww 60 A 192.0.2.1\n", records);
	return zone_of_text("example.", text);
}

/* The apex NS set as "TTL name,name"; static. */
static const char *set_of_zone(const struct zone *version)
{
	static char text[1000];
	char name[NAME_TEXT_SIZE];
	struct zone_rrset ns;
	struct rr rr;
	uint32_t at = 0;
	size_t used = 0;

	assert_true(zone_node_rrset(version->apex_node, RR_NS, &ns, NULL));
	while (zone_rrset_next(&ns, &at, NULL, &rr)) {
		if (!used)
			used = (size_t)snprintf(text, sizeof text, "%u", rr.ttl);
		used += (size_t)snprintf(text + used, sizeof text - used, " %s", name_text(rr.rdata, name));
	}
	return text;
}

static struct zone *view_of(const struct nsset *set, struct zone *version)
{
	struct zone *view;
	struct why why;

	if (nsset_view(set, version, &view, &why) != ERR_OK)
		fail_msg("%s", why.text);
	return view;
}

static void names_are_compared_in_any_order_and_case_and_ttls_are_not(void **state)
{
	struct zone *right = zone_with("@ 5 NS NS1.B.\n@ 5 NS ns1.a.\n"), *fewer = zone_with("@ NS ns1.a.\n"), *more =
		zone_with("@ NS ns1.a.\n@ NS ns1.b.\n@ NS ns1.c.\n"), *other = zone_with("@ NS ns1.a.\n@ NS ns2.b.\n");
	struct nsset daily = {two.names, two.count, 86400};
	struct why why;

	(void)state;
	assert_true(nsset_shown(&two, right));
	assert_true(nsset_shown(&daily, right));
	assert_false(nsset_shown(&two, fewer));
	assert_false(nsset_shown(&two, more));
	assert_false(nsset_shown(&two, other));
	nsset_say(&two, fewer, &why);
	assert_string_equal(why.text, "the apex NS set lacks ns1.b.");
	nsset_say(&two, more, &why);
	assert_string_equal(why.text, "the apex NS set has ns1.c., which is not configured");
	nsset_say(&two, other, &why);
	assert_string_equal(why.text, "the apex NS set lacks ns1.b., and has ns2.b., which is not configured");
	assert_false(nsset_equal(&two, &daily));
	assert_true(nsset_equal(&two, &(struct nsset){two.names, 2, 0}));
	assert_false(nsset_equal(&two, &(struct nsset){two.names, 1, 0}));
	zone_put(right);
	zone_put(fewer);
	zone_put(more);
	zone_put(other);
}

static void a_set_that_is_right_is_left_as_it_came(void **state)
{
	struct zone *right = zone_with("@ 5 NS NS1.B.\n@ 5 NS ns1.a.\n"), *view = view_of(&two, right);

	(void)state;
	assert_ptr_equal(view, right);
	zone_put(view);
	zone_put(right);
}

static void a_view_has_the_set_and_the_version_stays(void **state)
{
	struct zone *version = zone_with("@ 77 NS ns1.a.\n@ 77 NS old.\n@ TXT stays\n"), *view = view_of(&two, version), *other;
	struct nsset daily = {two.names, two.count, 86400};
	struct diff *diff;

	(void)state;
	assert_string_equal(set_of_zone(view), "77 ns1.a. ns1.b.");
	assert_string_equal(set_of_zone(version), "77 ns1.a. old.");
	assert_int_equal(view->records, version->records);
	assert_int_equal(view->serial.v, 7);
	assert_int_equal(diff_make(version, view, 0, &diff), ERR_OK);
	assert_int_equal(diff_removed(diff), 1);
	assert_int_equal(diff_added(diff), 1);
	diff_drop(diff);
	other = view_of(&daily, version);
	assert_string_equal(set_of_zone(other), "86400 ns1.a. ns1.b.");
	zone_put(version);
	assert_non_null(zone_find_node(view, name_of("www.example.")));   /* it holds what it is a view of */
	zone_put(view);
	assert_non_null(zone_find_node(other, name_of("www.example.")));
	zone_put(other);
}

static void only_the_ttl_is_put_right_where_one_is_wanted(void **state)
{
	struct zone *version = zone_with("@ 77 NS ns1.a.\n@ 77 NS ns1.b.\n"), *view;
	struct nsset daily = {two.names, two.count, 86400};

	(void)state;
	view = view_of(&daily, version);
	assert_string_equal(set_of_zone(view), "86400 ns1.a. ns1.b.");
	zone_put(view);
	zone_put(version);
}

static const char signature[] = "www 60 RRSIG A 8 2 60 20300101000000 20200101000000 1 example. AAAA\n";
static const char digest[] = "@ 60 ZONEMD 7 1 1 000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000\n";

static void a_signed_version_is_never_changed(void **state)
{
	char text[2][500];
	struct nsset daily = {two.names, two.count, 86400};
	struct why why;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct zone *wrong, *right, *view = NULL;

		snprintf(text[0], sizeof text[0], "@ NS old.\n%s", i ? digest : signature);
		snprintf(text[1], sizeof text[1], "@ NS ns1.a.\n@ NS ns1.b.\n%s", i ? digest : signature);
		wrong = zone_with(text[0]);
		right = zone_with(text[1]);
		assert_true(nsset_sealed(wrong));
		assert_int_equal(nsset_view(&two, wrong, &view, &why), ERR_ZONE);
		assert_string_equal(why.text, "the apex NS set lacks ns1.a., ns1.b., and has old., which is not configured");
		assert_null(view);
		view = view_of(&daily, right);       /* nor its TTL */
		assert_ptr_equal(view, right);
		zone_put(view);
		zone_put(right);
		zone_put(wrong);
	}
}

enum { TURNS = 300, SOME = 40, NS_SOME = 5 };

static struct rr random_record(uint8_t *rdata, uint8_t *owner)
{
	struct rr rr = {.owner = name_of("example."), .class = CLASS_IN, .ttl = 60};
	char text[40];

	if (random() % 4 == 0) {
		snprintf(text, sizeof text, "ns%ld.%c.", random() % NS_SOME, random() % 2 ? 'a' : 'b');
		rr.rdlength = (uint16_t)name_copy(name_of(text), rdata);
		rr.type = RR_NS;
	} else {
		snprintf(text, sizeof text, "n%ld.example.", random() % SOME);
		name_copy(name_of(text), owner);
		rr.owner = owner;
		rr.type = RR_A;
		rr.rdlength = 4;
		memcpy(rdata, (uint8_t[]){192, 0, 2, (uint8_t)(random() % 3)}, 4);
	}
	rr.rdata = rdata;
	return rr;
}

static bool there(const struct zone *version, const struct rr *rr)
{
	const struct zone_node *node = zone_find_node(version, rr->owner);
	struct zone_rrset set;
	struct rr one;
	uint32_t at = 0;

	if (!node || !zone_node_rrset(node, rr->type, &set, NULL))
		return false;
	while (zone_rrset_next(&set, &at, NULL, &one))
		if (one.rdlength == rr->rdlength && memcmp(one.rdata, rr->rdata, rr->rdlength) == 0)
			return true;
	return false;
}

/* The next version, by one record more or less and a new serial; or, as if it had come whole, from nothing. */
static struct zone *next_version(struct zone *version, bool whole)
{
	struct build *build = build_new(version->apex, version, (struct build_limits){0});
	uint8_t rdata[NAME_SIZE], owner[NAME_SIZE], soa[NAME_SIZE * 2 + 20];
	struct rr rr = random_record(rdata, owner), from = zone_soa(version);
	struct zone *next, *copy;
	struct diff_walk walk;
	struct diff *all;
	struct why why;
	bool removed;

	assert_int_equal(build_remove(build, &from, &why), ERR_OK);
	memcpy(soa, from.rdata, from.rdlength);
	put_u32(soa + from.rdlength - 20, version->serial.v + 1);
	from.rdata = soa;
	assert_int_equal(build_add(build, &from, &why), ERR_OK);
	if (!there(version, &rr))
		assert_int_equal(build_add(build, &rr, &why), ERR_OK);
	else if (rr.type != RR_NS || strchr(set_of_zone(version) + 3, ' '))
		assert_int_equal(build_remove(build, &rr, &why), ERR_OK);
	assert_int_equal(build_finish(build, &next, &why), ERR_OK);
	if (!whole)
		return next;
	build = build_new(version->apex, NULL, (struct build_limits){0});
	copy = zone_of_text("example.", "@ 1 SOA x x 0 1 1 1 1\n@ 1 NS gone.\n");
	assert_int_equal(diff_make(copy, next, 0, &all), ERR_OK);
	zone_put(copy);
	diff_walk(&walk, all);
	while (diff_next(&walk, &rr, &removed))
		if (!removed)
			assert_int_equal(build_add(build, &rr, &why), ERR_OK);
	diff_drop(all);
	zone_put(next);
	assert_int_equal(build_finish(build, &next, &why), ERR_OK);
	return next;
}

/* Versions and views come and go in every order; each step between what was served is what comparing the two gives. */
static void steps_between_views_are_those_between_what_is_served(void **state)
{
	struct zone *version = zone_with("@ 60 NS ns0.a.\n"), *served, *held[8] = {0};
	struct nsset own = two;

	(void)state;
	served = view_of(&own, version);
	for (unsigned turn = 0; turn < TURNS; turn++) {
		struct zone *next = next_version(version, random() % 10 == 0), *now;
		struct diff *raw, *step, *wanted;
		size_t length[2], place = (size_t)random() % 8;

		own.ttl = random() % 5 == 0 ? 60 + (uint32_t)random() % 2 : own.ttl;
		if (random() % 10 == 0)
			own.count = 1 + own.count % 2;
		now = random() % 6 ? view_of(&own, next) : zone_hold(next);
		assert_int_equal(diff_make(version, next, 0, &raw), ERR_OK);
		step = nsset_step(served, version, raw, next, now, UINT64_MAX);
		assert_int_equal(diff_make(served, now, 0, &wanted), ERR_OK);
		assert_non_null(step);
		assert_memory_equal(diff_bytes(step, &length[0]), diff_bytes(wanted, &length[1]), 16);
		assert_int_equal(length[0], length[1]);
		assert_memory_equal(diff_bytes(step, &length[0]), diff_bytes(wanted, &length[1]), length[0]);
		diff_drop(raw);
		diff_drop(step);
		diff_drop(wanted);
		zone_put(held[place]);
		held[place] = random() % 2 ? zone_hold(served) : zone_hold(version);
		zone_put(turn % 2 ? version : served);
		zone_put(turn % 2 ? served : version);
		version = next;
		served = now;
	}
	for (unsigned i = 0; i < 8; i++)
		zone_put(held[i]);
	zone_put(version);
	zone_put(served);
}

static void a_step_that_is_too_long_is_none(void **state)
{
	struct zone *version = zone_with("@ 60 NS ns0.a.\n"), *next = next_version(version, false),
		*served = view_of(&two, version), *now = view_of(&two, next);
	struct diff *raw;
	size_t length;

	(void)state;
	assert_int_equal(diff_make(version, next, 0, &raw), ERR_OK);
	diff_bytes(raw, &length);
	assert_null(nsset_step(served, version, raw, next, now, length - 1));
	assert_null(nsset_step(served, version, NULL, next, now, length));
	diff_drop(raw);
	zone_put(version);
	zone_put(next);
	zone_put(served);
	zone_put(now);
}

static void a_view_costs_the_apex_alone(void **state)
{
	struct build *build = build_new(name_of("example."), NULL, (struct build_limits){0});
	uint8_t rdata[4] = {192, 0, 2, 1}, owner[NAME_SIZE];
	struct zone *small = zone_with("@ NS old.\n"), *version, *view;
	struct diff *all;
	struct diff_walk walk;
	struct rr rr;
	struct why why;
	bool removed;

	(void)state;
	version = zone_of_text("example.", "@ 1 SOA x x 0 1 1 1 1\n@ 1 NS gone.\n");
	assert_int_equal(diff_make(version, small, 0, &all), ERR_OK);
	zone_put(version);
	zone_put(small);
	diff_walk(&walk, all);
	while (diff_next(&walk, &rr, &removed))
		if (!removed)
			assert_int_equal(build_add(build, &rr, &why), ERR_OK);
	diff_drop(all);
	for (unsigned i = 0; i < 50000; i++) {
		char text[40];

		snprintf(text, sizeof text, "h%u.example.", i);
		name_copy(name_of(text), owner);
		assert_int_equal(build_add(build, &(struct rr){owner, RR_A, CLASS_IN, 4, 60, rdata}, &why), ERR_OK);
	}
	assert_int_equal(build_finish(build, &version, &why), ERR_OK);
	view = view_of(&two, version);
	assert_int_equal(view->records, version->records + 1);
	assert_true(zone_memory(view) - zone_memory(version) < 8192);
	zone_put(version);
	zone_put(view);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_compared_in_any_order_and_case_and_ttls_are_not),
		cmocka_unit_test(a_set_that_is_right_is_left_as_it_came),
		cmocka_unit_test(a_view_has_the_set_and_the_version_stays),
		cmocka_unit_test(only_the_ttl_is_put_right_where_one_is_wanted),
		cmocka_unit_test(a_signed_version_is_never_changed),
		cmocka_unit_test(steps_between_views_are_those_between_what_is_served),
		cmocka_unit_test(a_step_that_is_too_long_is_none),
		cmocka_unit_test(a_view_costs_the_apex_alone),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
