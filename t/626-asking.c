/* run/asking: whom a zone's settings name, and what they set, as check/ is told it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "run/asking.h"
#include "run/conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REMOTES "remotes: ( { name = \"plain\"; address = [ \"192.0.2.1\", \"192.0.2.2@5300\" ]; }," \
	" { name = \"sealed\"; address = [ \"192.0.2.3\" ]; tls = { auth-name = \"ns.example\"; }; } );"

struct given {
	struct conf *conf;
	struct arena arena;
	struct asking asking;
	struct survey_settings survey;
	struct verdict_settings verdict;
};

static struct given *give(const char *text, bool over_tls)
{
	static struct given given;
	const struct command_asking none = {.rate = -1};
	FILE *file = fopen("lockstep.conf", "w");
	const struct conf_settings *set;
	struct why why = {""};

	given = (struct given){.arena = ARENA_INIT};
	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
	given.conf = conf_read("lockstep.conf", &why);
	if (!given.conf)
		fail_msg("refused: %s", why.text);
	assert_int_equal(asking_read(&given.asking, &none, &given.arena, &why), ERR_OK);
	given.asking.over_tls = over_tls;
	set = asking_settings(given.conf, (const uint8_t *)"\7example\3com");
	assert_true(asking_survey(&given.asking, given.conf, set, &given.arena, &given.survey));
	assert_true(asking_verdict(&given.asking, given.conf, set, &given.arena, &given.verdict));
	return &given;
}

static void take_back(struct given *given)
{
	conf_free(given->conf);
	arena_release(&given->arena);
}

static void primaries_over_tls_are_passed_over_but_not_forgotten(void **state)
{
	static const char text[] = REMOTES "zones: ( { name = \"example.com\"; primaries = [ \"plain\", \"sealed\" ]; } );";
	struct given *given = give(text, false);

	(void)state;
	assert_int_equal(given->survey.primary_count, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_string_equal(given->survey.primaries[i].name, i < 2 ? "plain" : "sealed");
		assert_int_equal(given->survey.primaries[i].passed_over, i == 2);
		assert_null(given->survey.primaries[i].unasked);
	}
	take_back(given);
	given = give(text, true);
	assert_int_equal(given->survey.primary_count, 3);
	for (size_t i = 0; i < 3; i++)
		assert_false(given->survey.primaries[i].passed_over);
	take_back(given);
}

static void no_transfer_is_tried_at_any_address_of_a_remote(void **state)
{
	struct given *given = give(REMOTES "zones: ( { name = \"example.com\"; primaries = [ \"plain\" ]; } );", true);
	struct net_addr last;
	struct why why;

	(void)state;
	assert_int_equal(given->survey.no_transfer_count, 3);
	assert_int_equal(net_addr_parse(&last, "192.0.2.3", 53, &why), ERR_OK);
	assert_true(net_host_equal(&given->survey.no_transfer[2], &last));
	take_back(given);
}

static void the_expected_set_is_that_of_providers_and_names(void **state)
{
	static const char text[] = "providers: ( { name = \"own\"; ns = [ \"ns1.own.example\", \"ns2.own.example\" ]; } );" REMOTES
		"zones: ( { name = \"example.com\"; primaries = [ \"plain\" ]; ns-set = { mode = \"%s\"; "
		"providers = [ \"own\" ]; names = [ \"ns.other.example\" ]; }; } );";
	char one[1000];
	struct given *given;

	(void)state;
	snprintf(one, sizeof one, text, "warn");
	given = give(one, true);
	assert_int_equal(given->verdict.expected_count, 3);
	assert_true(name_equal(given->verdict.expected[1], (const uint8_t *)"\3ns2\3own\7example"));
	assert_true(name_equal(given->verdict.expected[2], (const uint8_t *)"\2ns\5other\7example"));
	assert_int_equal(given->survey.provider_count, 3);
	take_back(given);
	snprintf(one, sizeof one, text, "off");
	given = give(one, true);
	assert_int_equal(given->verdict.expected_count, 0);
	assert_int_equal(given->survey.provider_count, 0);
	take_back(given);
}

static void only_clamps_that_are_set_are_looked_at(void **state)
{
	struct given *given = give(REMOTES
		"zones: ( { name = \"example.com\"; primaries = [ \"plain\" ]; refresh-min = \"1h\"; expire-max = \"2w\"; } );", true);

	(void)state;
	assert_int_equal(given->verdict.refresh_min, 3600);
	assert_int_equal(given->verdict.expire_max, 14 * 86400);
	assert_int_equal(given->verdict.refresh_max, 0);
	assert_int_equal(given->verdict.retry_min, 0);
	assert_int_equal(given->verdict.retry_max, 0);
	assert_int_equal(given->verdict.expire_min, 0);
	take_back(given);
}

static void bounds_come_from_the_check_group(void **state)
{
	struct given *given = give("templates: ( { name = \"default\"; "
		"check = { lag-warn = \"1m\"; lag-crit = \"2m\"; ttl-min = \"3m\"; expire-warn = \"40d\"; expire-crit = \"20d\"; }; } );", true);

	(void)state;
	assert_int_equal(given->verdict.lag_warn, 60);
	assert_int_equal(given->verdict.lag_crit, 120);
	assert_int_equal(given->verdict.ttl_min, 180);
	assert_int_equal(given->verdict.expire_warn, 40 * 86400);
	assert_int_equal(given->verdict.expire_crit, 20 * 86400);
	take_back(given);
}

static char directory[256];

static int enter(void **state)
{
	char name[] = "/tmp/lockstep-asking.XXXXXX";

	(void)state;
	return mkdtemp(name) && chdir(name) == 0 && getcwd(directory, sizeof directory) ? 0 : -1;
}

static int leave(void **state)
{
	(void)state;
	unlink("lockstep.conf");
	return chdir("/") < 0 || rmdir(directory) < 0 ? -1 : 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(primaries_over_tls_are_passed_over_but_not_forgotten),
		cmocka_unit_test(no_transfer_is_tried_at_any_address_of_a_remote),
		cmocka_unit_test(the_expected_set_is_that_of_providers_and_names),
		cmocka_unit_test(only_clamps_that_are_set_are_looked_at),
		cmocka_unit_test(bounds_come_from_the_check_group),
	};

	return cmocka_run_group_tests(tests, enter, leave);
}
