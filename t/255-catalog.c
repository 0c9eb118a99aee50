/* zone/catalog: what a version of a catalog zone says (RFC 9432), what makes it a broken one, and that one we make says what it should. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "zone/catalog.h"
#include "zone/zonefile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t apex[] = "\3cat\7example";

#define HEAD "@ 0 SOA invalid. invalid. 1 3600 600 2147483646 0\n@ 0 NS invalid.\n"
#define VERSION "version 0 TXT \"2\"\n"

struct sink { struct build *build; };

static enum err take(void *ctx, const struct rr *rr, struct why *why)
{
	struct sink *sink = ctx;

	return build_add(sink->build, rr, why);
}

static struct zone *zone_of(const char *text)
{
	struct sink sink = {build_new(apex, NULL, (struct build_limits){0})};
	struct zone *zone = NULL;
	struct why why;

	if (zonefile_parse("text", text, strlen(text), NULL, apex, take, &sink, &why) != ERR_OK || build_finish(sink.build, &zone, &why) != ERR_OK)
		fail_msg("%s", why.text);
	return zone;
}

/* "a.example.=x:group>coo. ..." */
static const char *shown(const struct catalog *c)
{
	static char text[4000];
	char name[NAME_TEXT_SIZE], coo[NAME_TEXT_SIZE];
	size_t used = 0;

	text[0] = 0;
	for (size_t i = 0; i < c->count; i++) {
		const struct catalog_member *m = &c->members[i];

		used += (size_t)snprintf(text + used, sizeof text - used, "%s%s=%.*s%s%s%s%s", i ? " " : "",
			name_text(m->name, name), *m->id, m->id + 1, m->group ? ":" : "", m->group ? m->group : "",
			m->coo ? ">" : "", m->coo ? name_text(m->coo, coo) : "");
	}
	return text;
}

static void expect(const char *text, const char *members)
{
	struct zone *zone = zone_of(text);
	struct catalog catalog;
	struct why why = {{0}};

	if (catalog_read(zone, 1000, &catalog, &why) != ERR_OK)
		fail_msg("%s", why.text);
	assert_string_equal(shown(&catalog), members);
	catalog_release(&catalog);
	zone_put(zone);
}

static void expect_broken(const char *text, enum err err, const char *part)
{
	struct zone *zone = zone_of(text);
	struct catalog catalog;
	struct why why = {{0}};

	assert_int_equal(catalog_read(zone, 3, &catalog, &why), err);
	if (!strstr(why.text, part))
		fail_msg("\"%s\" does not say \"%s\"", why.text, part);
	assert_null(catalog.members);
	zone_put(zone);
}

static void members_are_read_in_the_order_of_their_names(void **state)
{
	(void)state;
	expect(HEAD VERSION, "");
	expect(HEAD VERSION "b.zones PTR A.example.\nA.zones PTR z.example.\nc.zones PTR www.a.example.\n",
		"a.example.=b www.a.example.=c z.example.=a");
}

static void properties_are_those_of_their_member(void **state)
{
	(void)state;
	expect(HEAD VERSION "a.zones PTR a.\ngroup.a.zones TXT \"g\"\ncoo.a.zones PTR New.Cat.\nb.zones PTR b.\n"
		"group.b.zones TXT \"other\" \"second\"\n",
		"a.=a:g>new.cat. b.=b:other");
	expect(HEAD VERSION "a.zones PTR a.\ngroup.b.zones TXT \"g\"\ncoo.b.zones PTR c.\ngroup.b.zones TXT \"h\"\n", "a.=a");
}

static void what_is_not_known_is_passed_over(void **state)
{
	(void)state;
	expect(HEAD VERSION "a.zones PTR a.\na.zones TXT \"x\"\nfoo.a.zones TXT \"x\"\nx.foo.a.zones PTR b.\next TXT \"x\"\n"
		"primaries.ext A 192.0.2.1\n"
		"zones TXT \"x\"\ngroup.a.zones A 192.0.2.1\nb.zones A 192.0.2.1\nx.version TXT \"3\"\nzones.zones.a TXT \"y\"\n", "a.=a");
	expect(HEAD VERSION "a.zones PTR a.\ngroup.a.zones TXT \"x\\000y\"\n", "a.=a");
	expect(HEAD VERSION "a.zones PTR a.\ngroup.a.zones TXT \"\"\n", "a.=a");
	expect(HEAD "VERSION 0 TXT \"2\"\nA.ZONES PTR a.\nGROUP.A.ZoneS TXT \"G\"\n", "a.=a:G");
}

static void a_broken_catalog_is_refused(void **state)
{
	(void)state;
	expect_broken(HEAD "a.zones PTR a.\n", ERR_ZONE, "no catalog");
	expect_broken(HEAD "version TXT \"1\"\na.zones PTR a.\n", ERR_ZONE, "version");
	expect_broken(HEAD "version TXT \"2\" \"\"\na.zones PTR a.\n", ERR_ZONE, "version");
	expect_broken(HEAD "version TXT \"22\"\n", ERR_ZONE, "version");
	expect_broken(HEAD VERSION "version TXT \"3\"\n", ERR_ZONE, "more than one TXT");
	expect_broken(HEAD "version A 192.0.2.1\n", ERR_ZONE, "no catalog");
	expect_broken(HEAD VERSION "a.zones PTR a.\na.zones PTR b.\n", ERR_ZONE, "a.zones.cat.example.: more than one PTR");
	expect_broken(HEAD VERSION "a.zones PTR x.\nb.zones PTR X.\n", ERR_ZONE, "x.: a member under two labels");
	expect_broken(HEAD VERSION "a.zones PTR x.\ncoo.a.zones PTR b.\ncoo.a.zones PTR c.\n", ERR_ZONE, "coo.a.zones");
	expect_broken(HEAD VERSION "a.zones PTR a.\nb.zones PTR b.\nc.zones PTR c.\nd.zones PTR d.\n", ERR_LIMIT, "catalog-members-max");
}

static void the_change_of_ownership_is_found_by_label(void **state)
{
	struct zone *zone = zone_of(HEAD VERSION "a.zones PTR x.\ncoo.a.zones PTR New.\nb.zones PTR y.\ncoo.b.zones PTR p.\ncoo.b.zones PTR q.\n");
	uint8_t name[NAME_SIZE], wanted[] = "\3new", long_id[64] = {63};

	(void)state;
	assert_true(catalog_coo(zone, (const uint8_t *)"\1a", name));
	assert_memory_equal(name, wanted, sizeof wanted);
	assert_false(catalog_coo(zone, (const uint8_t *)"\1b", name));
	assert_false(catalog_coo(zone, (const uint8_t *)"\1c", name));
	assert_false(catalog_coo(zone, long_id, name));
	zone_put(zone);
}

static void what_we_make_is_a_catalog(void **state)
{
	static const uint8_t a[] = "\1a\7example", b[] = "\1b\7example", root[] = "", other[] = "\5other";
	uint8_t id[3][CATALOG_ID];
	struct catalog_member members[] = {{root, id[0], NULL, NULL}, {a, id[1], "g \"\\", NULL}, {b, id[2], NULL, other}};
	struct zone *zone = NULL;
	struct catalog catalog;
	struct why why;

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		catalog_id(members[i].name, id[i]);
	assert_memory_equal(id[1], "\50" "331a51084907eca05f68aebc197facc3e6926e0a", CATALOG_ID);
	assert_memory_not_equal(id[1], id[2], CATALOG_ID);
	assert_int_equal(catalog_make(apex, members, 3, (struct serial){77}, &zone, &why), ERR_OK);
	assert_int_equal(zone->serial.v, 77);
	assert_int_equal(zone->records, 3 + 3 + 2);
	assert_int_equal(catalog_read(zone, 3, &catalog, &why), ERR_OK);
	assert_true(catalog_same(&catalog, members, 3));
	assert_string_equal(catalog.members[1].group, "g \"\\");
	assert_false(catalog_same(&catalog, members, 2));
	members[1].group = "h";
	assert_false(catalog_same(&catalog, members, 3));
	members[1].group = NULL;
	assert_false(catalog_same(&catalog, members, 3));
	catalog_release(&catalog);
	zone_put(zone);
}

static void a_name_that_has_no_room_for_its_members_is_refused(void **state)
{
	static const uint8_t a[] = "\1a";
	struct catalog_member member = {.name = a};
	uint8_t name[NAME_SIZE], id[CATALOG_ID];
	struct zone *zone = NULL;
	struct why why;
	char text[300];

	(void)state;
	catalog_id(a, id);
	member.id = id;
	for (unsigned i = 0; i < 240; i++)
		text[i] = i % 60 == 59 ? '.' : 'x';
	assert_int_equal(name_parse(text, 240, NULL, name, NULL), ERR_OK);
	assert_int_equal(catalog_make(name, NULL, 0, (struct serial){1}, &zone, &why), ERR_OK);
	zone_put(zone);
	assert_int_equal(catalog_make(name, &member, 1, (struct serial){1}, &zone, &why), ERR_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_are_read_in_the_order_of_their_names),
		cmocka_unit_test(properties_are_those_of_their_member),
		cmocka_unit_test(what_is_not_known_is_passed_over),
		cmocka_unit_test(a_broken_catalog_is_refused),
		cmocka_unit_test(the_change_of_ownership_is_found_by_label),
		cmocka_unit_test(what_we_make_is_a_catalog),
		cmocka_unit_test(a_name_that_has_no_room_for_its_members_is_refused),
	};

	rr_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
