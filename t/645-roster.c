/* run/roster: what is remembered of zones beside the configuration: kept in order, written and read back as it was, from the newer one of two
 * files that are whole, and never from a damaged one. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "run/roster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const uint8_t catalog_name[] = "\3cat\7example", id[] = "\4\x00.- ";

static const uint8_t *name_of(const char *text)
{
	static uint8_t names[4][NAME_SIZE];
	static unsigned next;
	uint8_t *name = names[next++ % 4];

	assert_int_equal(name_parse(text, strlen(text), NULL, name, NULL), ERR_OK);
	return name;
}

static void put(struct roster *r, const char *text, enum roster_origin origin, const char *template_name, bool held)
{
	struct roster_zone zone = {.name = name_of(text), .origin = origin, .template_name = template_name, .held = held};

	if (origin == ROSTER_MEMBER) {
		zone.catalog = catalog_name;
		zone.id = id;
	}
	assert_int_equal(roster_put(r, &zone), ERR_OK);
}

/* "one.example.:1:t:held two.example.:..." */
static const char *shown(struct roster *r)
{
	static char text[4000];
	char name[NAME_TEXT_SIZE];
	size_t used = 0;

	text[0] = 0;
	for (size_t i = 0; i < roster_count(r); i++) {
		const struct roster_zone *z = roster_at(r, i);

		used += (size_t)snprintf(text + used, sizeof text - used, "%s%s:%d:%s%s", i ? " " : "", name_text(z->name, name), z->origin,
			z->template_name ? z->template_name : "-", z->held ? ":held" : "");
		if (z->origin == ROSTER_MEMBER)
			assert_true(name_equal(z->catalog, catalog_name) && memcmp(z->id, id, sizeof id - 1) == 0);
	}
	return text;
}

static void changes_are_merged_in_canonical_order_and_the_last_one_counts(void **state)
{
	struct roster *r = roster_new();

	(void)state;
	put(r, "b.example", ROSTER_ADDED, "t", false);
	put(r, "z.b.example", ROSTER_ADDED, NULL, false);
	put(r, "A.example", ROSTER_MEMBER, "g h", true);
	put(r, "b.example", ROSTER_ADDED, "u", true);
	assert_string_equal(shown(r), "a.example.:2:g h:held b.example.:1:u:held z.b.example.:1:-");
	assert_int_equal(roster_drop(r, name_of("b.example")), ERR_OK);
	put(r, "c.example", ROSTER_ADDED, "t", false);
	assert_int_equal(roster_drop(r, name_of("none")), ERR_OK);
	assert_string_equal(shown(r), "a.example.:2:g h:held z.b.example.:1:- c.example.:1:t");
	assert_int_equal(roster_added(r), 2);
	put(r, "c.example", ROSTER_ADDED, "v", false);
	assert_int_equal(roster_drop(r, name_of("C.example")), ERR_OK);
	put(r, "c.example", ROSTER_ADDED, "w", false);
	assert_string_equal(roster_find(r, name_of("c.EXAMPLE"))->template_name, "w");
	assert_null(roster_find(r, name_of("b.example")));
	roster_free(r);
}

static void a_hold_is_remembered_also_of_a_zone_of_the_configuration(void **state)
{
	struct roster *r = roster_new();

	(void)state;
	put(r, "added", ROSTER_ADDED, "t", false);
	assert_int_equal(roster_hold(r, name_of("added"), true), ERR_OK);
	assert_int_equal(roster_hold(r, name_of("conf"), true), ERR_OK);
	assert_int_equal(roster_hold(r, name_of("conf"), true), ERR_OK);
	assert_int_equal(roster_hold(r, name_of("other"), false), ERR_OK);
	assert_string_equal(shown(r), "added.:1:t:held conf.:0:-:held");
	assert_int_equal(roster_hold(r, name_of("added"), false), ERR_OK);
	assert_int_equal(roster_hold(r, name_of("conf"), false), ERR_OK);
	assert_string_equal(shown(r), "added.:1:t");
	roster_free(r);
}

static struct roster *filled(void)
{
	struct roster *r = roster_new();
	char long_word[ROSTER_WORD_MAX + 1];

	memset(long_word, '\\', ROSTER_WORD_MAX);
	long_word[ROSTER_WORD_MAX] = 0;
	put(r, ".", ROSTER_ADDED, NULL, false);
	put(r, "x\\000y\\032z.example", ROSTER_ADDED, "-", true);
	put(r, "held.example", ROSTER_CONF, NULL, true);
	put(r, "m.example", ROSTER_MEMBER, "a \n\"b\377", false);
	put(r, "n.example", ROSTER_MEMBER, NULL, true);
	put(r, "o.example", ROSTER_ADDED, long_word, false);
	return r;
}

static void what_is_written_is_read_back(void **state)
{
	struct roster *r = filled(), *again = roster_new();
	char *before = strdup(shown(r)), *text, *second;
	size_t length, second_length;

	(void)state;
	text = roster_text(r, &length);
	assert_non_null(text);
	assert_int_equal(roster_parse(again, text, length, NULL), ERR_OK);
	assert_string_equal(shown(again), before);
	second = roster_text(again, &second_length);
	assert_int_equal(second_length, length);
	assert_memory_not_equal(second, text, length);       /* it counts how often it was written */
	free(before);
	free(text);
	free(second);
	roster_free(r);
	roster_free(again);
}

static void nothing_is_taken_from_a_text_that_is_not_whole(void **state)
{
	struct roster *r = filled(), *again = roster_new();
	size_t length;
	char *text = roster_text(r, &length), *copy = malloc(length);

	(void)state;
	put(again, "before", ROSTER_ADDED, NULL, false);
	for (size_t n = 0; n < length; n++)
		assert_int_equal(roster_parse(again, text, n, NULL), ERR_DAMAGED);
	for (size_t i = 0; i < length; i++)
		for (unsigned bit = 0; bit < 8; bit++) {
			memcpy(copy, text, length);
			copy[i] = (char)(copy[i] ^ 1 << bit);
			if (roster_parse(again, copy, length, NULL) == ERR_OK)
				fail_msg("octet %zu, bit %u", i, bit);
		}
	assert_string_equal(shown(again), "before.:1:-");
	free(text);
	free(copy);
	roster_free(r);
	roster_free(again);
}

static void the_newer_one_of_two_files_that_are_whole_is_read(void **state)
{
	char dir[] = "/tmp/lockstep-roster-XXXXXX", path[64], other[64];
	struct roster *r = filled(), *again = roster_new();
	struct why why = {{0}};
	size_t length;
	char *text;
	bool mend;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/a", dir);
	snprintf(other, sizeof other, "%s/b", dir);
	assert_int_equal(roster_load(again, path, other, &mend, &why), ERR_OK);
	assert_true(!mend && !why.text[0] && !roster_count(again));
	text = roster_text(r, &length);
	assert_int_equal(roster_write(other, text, length, &why), ERR_OK);
	assert_int_equal(roster_load(again, path, other, &mend, &why), ERR_OK);
	assert_true(mend && !why.text[0]);
	assert_int_equal(roster_count(again), roster_count(r));
	free(text);
	put(r, "new", ROSTER_ADDED, NULL, false);
	text = roster_text(r, &length);
	assert_int_equal(roster_write(path, text, length, &why), ERR_OK);
	assert_int_equal(roster_load(again, other, path, &mend, &why), ERR_OK);
	assert_true(mend && !why.text[0] && roster_find(again, name_of("new")));
	assert_int_equal(roster_write(path, text, length - 1, &why), ERR_OK);
	assert_int_equal(roster_load(again, path, other, &mend, &why), ERR_OK);
	assert_true(mend && strstr(why.text, path) && !roster_find(again, name_of("new")));
	assert_int_equal(roster_write(other, text, 3, &why), ERR_OK);
	assert_int_equal(roster_load(again, path, other, &mend, &why), ERR_DAMAGED);
	free(text);
	unlink(path);
	unlink(other);
	rmdir(dir);
	roster_free(r);
	roster_free(again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(changes_are_merged_in_canonical_order_and_the_last_one_counts),
		cmocka_unit_test(a_hold_is_remembered_also_of_a_zone_of_the_configuration),
		cmocka_unit_test(what_is_written_is_read_back),
		cmocka_unit_test(nothing_is_taken_from_a_text_that_is_not_whole),
		cmocka_unit_test(the_newer_one_of_two_files_that_are_whole_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
