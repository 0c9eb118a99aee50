/* check/report: the line of a monitoring plugin, the table, JSON; a finding's name only where it is found. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "check/report.h"
#include "survey-world.h"

static char *text_of(const struct report *report)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	report_text(report, out);
	assert_int_equal(fclose(out), 0);
	return text;
}

static json_t *json_of(const struct report *report)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	json_t *document;

	assert_non_null(out);
	assert_true(report_json(report, out));
	assert_int_equal(fclose(out), 0);
	document = json_loads(text, 0, NULL);
	free(text);
	return document;
}

static void has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("\"%s\" is not in:\n%s", part, text);
}

static void lacks(const char *text, const char *part)
{
	if (strstr(text, part))
		fail_msg("\"%s\" is in:\n%s", part, text);
}

/* A server is lame, and the zone's TTL short. */
static struct world *bad_world(void)
{
	struct world *w = make_world();

	set(&w->servers[NS2_V4].soa, reply_for(example, RR_SOA, 0, RCODE_REFUSED, NULL, NULL, NULL));
	set(&w->servers[NS2_V4].plain_soa, reply_for(example, RR_SOA, BARE, RCODE_REFUSED, NULL, NULL, NULL));
	w->settings.ttl_min = 3601;
	found(w, NOW);
	return w;
}

static void all_is_well(void **state)
{
	struct world *w = make_world();
	struct report_zone zone = {.name = "example.com."};
	struct report report = {.zones = &zone, .count = 1, .now = NOW + 60};
	char *text;

	(void)state;
	found(w, NOW);
	zone.verdict = w->verdict;
	text = text_of(&report);
	assert_int_equal(report_status(&report), STATUS_OK);
	assert_int_equal(strncmp(text,
		"LOCKSTEP OK - example.com.: serial 7 at 4 addresses"
		" | zones=1 servers=4 critical=0 unknown=0 warning=0 lag=0s rtt=0.001500s\n", 118), 0);
	has(text, "\nexample.com.  OK  serial 7, first seen 60 s ago\n");
	has(text, "  NAMESERVER   ADDRESS        SERIAL  LAG  NS SET  RTT     UDP  TCP  EDNS\n");
	has(text, "  ns1.a.info.  192.0.2.1      7       0 s  A       1.5 ms  ok   ok   ok\n");
	lacks(text, "\033");
	free(text);
	report.quiet = true;
	text = text_of(&report);
	assert_string_equal(text, "");
	free(text);
	assert_null(json_of(&report));
	free_world(w);
}

/* The first line, of one zone or of several. */
static void begins(struct report_zone *zones, size_t count, const char *expected)
{
	struct report report = {.zones = zones, .count = count, .now = NOW};
	char *text = text_of(&report);

	if (strncmp(text, expected, strlen(expected)) != 0)
		fail_msg("expected \"%s\" at the beginning of:\n%s", expected, text);
	free(text);
}

static void who_is_a_little_behind_is_counted_though_all_is_well(void **state)
{
	struct world *well = make_world(), *w = make_world();
	struct report_zone zones[2] = {{.name = "example.com."}, {.name = "example.com."}};

	(void)state;
	found(well, NOW);
	zones[1].verdict = well->verdict;
	shows_soa(w, NS1_V6, SOA_LINE(6));
	found(w, NOW);
	expect_at(w, NOW + 5, "");
	zones[0].verdict = w->verdict;
	begins(zones, 1,
		"LOCKSTEP OK - example.com.: serial 7 at 3 of 4 addresses, 1 still at serial 6, lag 5 s"
		" | zones=1 servers=4 critical=0 unknown=0 warning=0 lag=5s ");
	begins(zones, 2, "LOCKSTEP OK - 2 zones, their newest serial at 7 of 8 addresses, 1 still at an older one, lag 5 s | zones=2 ");
	memory_free(w->memory);
	w->memory = memory_new(example);
	shows_soa(w, NS2_V6, SOA_LINE(5));
	expect_at(w, NOW, "");
	set(&w->servers[NS2_V4].soa, reply_for(example, RR_SOA, 0, RCODE_REFUSED, NULL, NULL, NULL));
	set(&w->servers[NS2_V4].plain_soa, reply_for(example, RR_SOA, BARE, RCODE_REFUSED, NULL, NULL, NULL));
	w->settings.levels.level[FINDING_LAME] = 1 + SEVERITY_OFF;
	expect_at(w, NOW + 6, "");
	zones[0].verdict = w->verdict;
	begins(zones, 1, "LOCKSTEP OK - example.com.: serial 7 at 1 of 4 addresses, 2 still at an older one, lag 6 s, 1 without one | zones=1 ");
	zones[0].verdict = well->verdict;
	begins(zones, 2, "LOCKSTEP OK - 2 zones in step at all their nameservers | zones=2 ");
	free_world(well);
	free_world(w);
}

static void what_is_found_stands_on_a_line_with_its_server(void **state)
{
	struct world *w = bad_world();
	struct report_zone zone = {"example.com.", w->verdict, NULL};
	struct report report = {.zones = &zone, .count = 1, .now = NOW};
	char *text = text_of(&report);

	(void)state;
	assert_int_equal(report_status(&report), STATUS_CRITICAL);
	assert_int_equal(strncmp(text,
		"LOCKSTEP CRITICAL - example.com.: LAME ns2.b.net. 198.51.100.2: asked for the SOA record, it answers REFUSED (and 1 more)"
		" | zones=1 servers=4 critical=1 ", 150), 0);
	has(text, "\n  critical  LAME ns2.b.net. 198.51.100.2: ");
	has(text, "\n  warning   TTL-SHORT: example.com. SOA");
	has(text, "  ns2.b.net.   198.51.100.2   REFUSED  -    -       1.5 ms  no   ok   ok\n");
	lacks(text, "NS-SPLIT");
	free(text);
	report.quiet = true;
	text = text_of(&report);
	has(text, "LAME ns2.b.net.");
	lacks(text, "NAMESERVER");
	free(text);
	report.color = true;
	text = text_of(&report);
	has(text, "\033[31mcritical\033[0m  LAME");
	free(text);
	free_world(w);
}

static void which_sets_there_are_is_said_where_there_are_several(void **state)
{
	struct world *w = make_world();
	struct report_zone zone = {.name = "example.com."};
	struct report report = {.zones = &zone, .count = 1, .now = NOW};
	char *text;

	(void)state;
	found(w, NOW);
	zone.verdict = w->verdict;
	text = text_of(&report);
	lacks(text, "NS set A");
	free(text);
	answers(&w->servers[NS1_V6].ns_set, RR_NS, AA, "example.com. 86400 IN NS ns1.a.info.\n");
	found(w, NOW);
	zone.verdict = w->verdict;
	text = text_of(&report);
	has(text, "\n  NS set A: ns1.a.info. ns2.b.net.\n  NS set B: ns1.a.info.\n");
	free(text);
	free_world(w);
}

static void json_has_what_was_agreed(void **state)
{
	struct world *w = bad_world();
	struct report_zone zone = {"example.com.", w->verdict, NULL};
	struct report report = {.zones = &zone, .count = 1, .now = NOW};
	json_t *document = json_of(&report), *row, *one;

	(void)state;
	assert_string_equal(json_string_value(json_object_get(document, "zone")), "example.com.");
	assert_string_equal(json_string_value(json_object_get(document, "status")), "CRITICAL");
	assert_int_equal(json_integer_value(json_object_get(document, "serial")), 7);
	assert_int_equal(json_array_size(json_object_get(document, "nameservers")), 4);
	row = json_array_get(json_object_get(document, "nameservers"), 0);
	assert_string_equal(json_string_value(json_object_get(row, "name")), "ns1.a.info.");
	assert_string_equal(json_string_value(json_object_get(row, "address")), "192.0.2.1");
	assert_int_equal(json_integer_value(json_object_get(row, "serial")), 7);
	assert_int_equal(json_integer_value(json_object_get(row, "lag")), 0);
	assert_true(json_is_integer(json_object_get(row, "lag")));
	assert_true(json_real_value(json_object_get(row, "rtt")) > 0.0014 && json_real_value(json_object_get(row, "rtt")) < 0.0016);
	assert_int_equal(json_array_size(json_object_get(row, "findings")), 0);
	row = json_array_get(json_object_get(document, "nameservers"), 2);
	assert_true(json_is_null(json_object_get(row, "serial")));
	assert_true(json_is_null(json_object_get(row, "lag")));
	assert_int_equal(json_array_size(json_object_get(row, "findings")), 1);
	assert_string_equal(json_string_value(json_array_get(json_object_get(row, "findings"), 0)), "LAME");
	assert_int_equal(json_array_size(json_object_get(document, "findings")), 2);
	one = json_array_get(json_object_get(document, "findings"), 0);
	assert_string_equal(json_string_value(json_object_get(one, "id")), "LAME");
	assert_string_equal(json_string_value(json_object_get(one, "severity")), "critical");
	assert_string_equal(json_string_value(json_object_get(one, "server")), "ns2.b.net.");
	assert_string_equal(json_string_value(json_object_get(one, "address")), "198.51.100.2");
	assert_true(json_is_string(json_object_get(one, "message")));
	assert_null(json_object_get(one, "owner"));
	one = json_array_get(json_object_get(document, "findings"), 1);
	assert_true(json_is_null(json_object_get(one, "server")));
	json_decref(document);
	free_world(w);
}

static void of_several_zones_the_worst_is_named_first(void **state)
{
	struct world *well = make_world(), *bad = bad_world();
	struct report_zone zones[3] = {{"well.example.", NULL, NULL}, {"failed.example.", NULL, "out of | memory"}, {"example.com.", NULL, NULL}};
	struct report report = {.zones = zones, .count = 3, .now = NOW};
	json_t *document;
	char *text;

	(void)state;
	found(well, NOW);
	zones[0].verdict = well->verdict;
	zones[2].verdict = bad->verdict;
	text = text_of(&report);
	has(text, "LOCKSTEP CRITICAL - example.com.: LAME ");
	has(text, "(and 2 more, in several zones) | zones=3 servers=8 critical=1 unknown=1 warning=1 ");
	free(text);
	report.count = 2;
	text = text_of(&report);
	has(text, "LOCKSTEP UNKNOWN - failed.example.: out of / memory | zones=2 ");
	free(text);
	report.count = 3;
	report.quiet = true;
	text = text_of(&report);
	lacks(text, "example.com.  OK");
	free(text);
	document = json_of(&report);
	assert_int_equal(json_array_size(document), 3);
	assert_string_equal(json_string_value(json_object_get(json_array_get(document, 1), "status")), "UNKNOWN");
	assert_string_equal(json_string_value(json_object_get(json_array_get(json_object_get(json_array_get(document, 1), "findings"), 0),
		"id")), "CHECK-INCOMPLETE");
	json_decref(document);
	free_world(well);
	free_world(bad);
}

/* What was kept says the same as when it was new, in all forms, but for its age. */
static void check_kept(const struct verdict *verdict)
{
	struct report_zone zone = {"example.com.", verdict, NULL};
	struct report report = {.zones = &zone, .count = 1, .now = NOW + 60};
	char *before = text_of(&report), *after, *at;
	json_t *object = report_json_of(&zone), *kept = report_kept_of(&zone), *again;
	struct verdict *back = report_verdict_of(kept, 12);
	enum finding_status status = report_status(&report);

	assert_non_null(back);
	zone.verdict = back;
	assert_int_equal(report_status(&report), status);
	after = text_of(&report);
	has(after, "s age=12s\n");
	has(after, ", first seen 60 s ago, checked 12 s ago\n");
	at = strstr(after, " age=12s");
	memmove(at, at + 8, strlen(at + 8) + 1);
	at = strstr(after, ", checked 12 s ago");
	memmove(at, at + 18, strlen(at + 18) + 1);
	assert_string_equal(after, before);
	again = report_json_of(&zone);
	assert_int_equal(json_integer_value(json_object_get(again, "age")), 12);
	json_object_del(again, "age");
	assert_true(json_equal(again, object));
	json_decref(again);
	json_decref(object);
	json_decref(kept);
	verdict_free(back);
	free(before);
	free(after);
}

static void what_is_kept_says_the_same_later(void **state)
{
	struct world *w = bad_world();
	struct finding_place place = {"ns1.a.info.", "192.0.2.1", "www.example.com.", "A", "3600 A 192.0.2.1", NULL};

	(void)state;
	answers(&w->servers[NS1_V6].ns_set, RR_NS, AA, "example.com. 86400 IN NS ns1.a.info.\n");
	w->settings.levels.level[FINDING_NS_SPLIT] = 1 + SEVERITY_WARNING;
	found(w, NOW);
	findings_add(w->verdict->findings, FINDING_ANSWER_DIFF, false, &place, "is missing");
	findings_add(w->verdict->findings, FINDING_SERIAL_LAG, true, &place, "critical here");
	findings_add(w->verdict->findings, FINDING_SERIAL_LAG, false, &place, "a warning there");
	check_kept(w->verdict);
	free_world(w);
	w = make_world();
	found(w, NOW);
	check_kept(w->verdict);
	free_world(w);
}

static void of_many_findings_the_first_are_kept_and_the_number_of_the_others(void **state)
{
	struct world *w = make_world();
	struct report_zone zone = {"example.com.", NULL, NULL};
	struct report report = {.zones = &zone, .count = 1, .now = NOW};
	struct verdict *back;
	json_t *kept, *object, *last;
	char *text;

	(void)state;
	found(w, NOW);
	for (unsigned i = 0; i < 300; i++) {
		char owner[32];
		struct finding_place place = {"ns1.a.info.", "192.0.2.1", owner, "A", "3600 A 192.0.2.1", NULL};

		snprintf(owner, sizeof owner, "w%03u.example.com.", i);
		findings_add(w->verdict->findings, i == 299 ? FINDING_LAME : FINDING_ANSWER_DIFF, true, &place, "%s is missing", owner);
	}
	zone.verdict = w->verdict;
	kept = report_kept_of(&zone);
	assert_null(json_object_get(kept, "more"));
	report_kept_cut(kept, 300);
	assert_null(json_object_get(kept, "more"));
	report_kept_cut(kept, 250);
	report_kept_cut(kept, 200);
	assert_int_equal(json_array_size(json_object_get(kept, "findings")), 200);
	assert_int_equal(json_integer_value(json_object_get(kept, "more")), 100);
	back = report_verdict_of(kept, 0);
	assert_non_null(back);
	assert_int_equal(findings_lost(back->findings), 100);
	zone.verdict = back;
	text = text_of(&report);
	has(text, "(and 299 more)");
	has(text, "  ... and 100 more\n");
	assert_int_equal(report_status(&report), findings_status(w->verdict->findings));
	object = report_json_of(&zone);
	assert_int_equal(json_array_size(json_object_get(object, "findings")), 201);
	last = json_array_get(json_object_get(object, "findings"), 200);
	assert_string_equal(json_string_value(json_object_get(last, "id")), "CHECK-INCOMPLETE");
	assert_string_equal(json_string_value(json_object_get(last, "message")), "100 more were found, which are not in this list");
	json_decref(object);
	object = report_kept_of(&zone);              /* where they have a member of their own */
	assert_int_equal(json_array_size(json_object_get(object, "findings")), 200);
	json_decref(object);
	free(text);
	json_decref(kept);
	verdict_free(back);
	free_world(w);
}

static void what_was_never_kept_is_refused(void **state)
{
	static const char *const wrong[] = {"{}", "[]", "{\"zone\":\"a.\",\"findings\":{}}", "{\"zone\":1,\"nameservers\":[],\"findings\":[]}",
		"{\"zone\":\"a.\",\"nameservers\":[{\"name\":\"b.\"}],\"findings\":[]}"};
	json_t *document = json_loads("{\"zone\":\"a.\\u001b[31m\","
		"\"nameservers\":[{\"name\":\"\\n\",\"address\":\"x\",\"says\":\"y\",\"ns_set\":-7,\"rtt\":1e300}],"
		"\"findings\":[{\"id\":\"UNHEARD-OF\",\"severity\":\"critical\",\"message\":\"m\"},7,"
		"{\"id\":\"LAME\",\"severity\":\"critical\",\"message\":\"\\u0007\"}]}", 0, NULL);
	struct verdict *verdict = report_verdict_of(document, 0);

	(void)state;
	json_decref(document);
	assert_non_null(verdict);
	assert_string_equal(verdict->zone, "a.?[31m");
	assert_string_equal(verdict->rows[0].name, "?");
	assert_int_equal(verdict->rows[0].rtt_us, -1);
	assert_int_equal(findings_count(verdict->findings), 1);
	assert_string_equal(findings_at(verdict->findings, 0)->message, "?");
	verdict_free(verdict);
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		document = json_loads(wrong[i], 0, NULL);
		assert_null(report_verdict_of(document, 0));
		json_decref(document);
	}
}

static void no_zone_is_not_well(void **state)
{
	struct report report = {.count = 0};
	char *text = text_of(&report);

	(void)state;
	assert_int_equal(report_status(&report), STATUS_UNKNOWN);
	has(text, "LOCKSTEP UNKNOWN - there is no zone to check | zones=0");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_is_well),
		cmocka_unit_test(who_is_a_little_behind_is_counted_though_all_is_well),
		cmocka_unit_test(what_is_found_stands_on_a_line_with_its_server),
		cmocka_unit_test(which_sets_there_are_is_said_where_there_are_several),
		cmocka_unit_test(json_has_what_was_agreed),
		cmocka_unit_test(of_several_zones_the_worst_is_named_first),
		cmocka_unit_test(what_is_kept_says_the_same_later),
		cmocka_unit_test(of_many_findings_the_first_are_kept_and_the_number_of_the_others),
		cmocka_unit_test(what_was_never_kept_is_refused),
		cmocka_unit_test(no_zone_is_not_well),
	};

	rr_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
