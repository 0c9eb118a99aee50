/* check/finding: the names, the severities that the operator sets, the order of the list, and what it makes of hostile texts. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "check/finding.h"

#include <stdio.h>
#include <string.h>

static struct findings *list(const struct finding_levels *levels)
{
	struct findings *findings = findings_new(levels);

	assert_non_null(findings);
	return findings;
}

static void add(struct findings *findings, enum finding_id id, bool worse, const char *server, const char *address, const char *message)
{
	struct finding_place place = {.server = server, .address = address};

	assert_true(findings_add(findings, id, worse, &place, "%s", message));
}

/* "LAME:ns1:192.0.2.1 ..." */
static const char *shown(const struct findings *findings)
{
	static char text[2000];
	size_t used = 0;

	text[0] = 0;
	for (size_t i = 0; i < findings_count(findings); i++) {
		const struct finding *f = findings_at(findings, i);

		used += (size_t)snprintf(text + used, sizeof text - used, "%s%s/%s:%s:%s:%s", i ? " " : "", finding_name(f->id),
			finding_severity_name(f->severity), f->server ? f->server : "-", f->address ? f->address : "-", f->message);
	}
	return text;
}

static void every_name_is_read_as_itself(void **state)
{
	enum finding_id id;
	enum finding_severity severity;

	(void)state;
	for (unsigned i = 0; i < FINDING_COUNT; i++) {
		assert_true(finding_parse(finding_name((enum finding_id)i), &id));
		assert_int_equal(id, i);
		assert_string_equal(finding_names[i], finding_name((enum finding_id)i));
	}
	assert_null(finding_names[FINDING_COUNT]);
	assert_false(finding_parse("lame", &id));
	assert_false(finding_parse("", &id));
	for (unsigned i = 0; i < SEVERITY_COUNT; i++) {
		assert_true(finding_severity_parse(finding_severity_name((enum finding_severity)i), &severity));
		assert_int_equal(severity, i);
	}
	assert_false(finding_severity_parse("CRITICAL", &severity));
}

/* As the interface has them. */
static void the_severities_are_the_agreed_ones(void **state)
{
	static const char *const critical[] = {"NS-PARENT-EXTRA", "NS-SPLIT", "NS-EXPECTED", "NS-APEX-IGNORED", "NS-TARGET",
		"GLUE-DRIFT", "SERIAL-AHEAD", "SERIAL-BACK",
		"UNREACHABLE", "LAME", "DNSKEY-SPLIT", "CDS-SPLIT", "CSYNC-SPLIT", "DS-MISMATCH", "ANSWER-DIFF"};
	static const char *const warning[] = {"NS-CHILD-EXTRA", "NS-TTL", "SERIAL-LAG", "SOA-DIFFERS", "SOA-TIMERS", "TCP-FAIL",
		"EDNS-FAIL", "ADDRESS-ODD", "RECURSION",
		"TRANSFER-OPEN", "REFERRAL-SIZE", "EXPIRE-HORIZON", "DIV-PROVIDER", "DIV-TLD", "DIV-PREFIX", "DIV-FAMILY",
		"DIV-COUNT", "TTL-SHORT", "TTL-NS"};
	struct findings *findings = list(NULL);
	enum finding_id id;

	(void)state;
	for (size_t i = 0; i < sizeof critical / sizeof *critical; i++) {
		assert_true(finding_parse(critical[i], &id));
		add(findings, id, false, "critical", NULL, "x");
	}
	for (size_t i = 0; i < sizeof warning / sizeof *warning; i++) {
		assert_true(finding_parse(warning[i], &id));
		add(findings, id, false, "warning", NULL, "x");
	}
	add(findings, FINDING_CHECK_INCOMPLETE, false, "unknown", NULL, "x");
	for (size_t i = 0; i < findings_count(findings); i++)
		assert_string_equal(findings_at(findings, i)->server, finding_severity_name(findings_at(findings, i)->severity));
	findings_free(findings);
}

static void the_worst_comes_first_and_each_only_once(void **state)
{
	struct findings *findings = list(NULL);

	(void)state;
	add(findings, FINDING_TTL_SHORT, false, "b", "2", "m");
	add(findings, FINDING_CHECK_INCOMPLETE, false, NULL, NULL, "m");
	add(findings, FINDING_LAME, false, "b", "2", "m");
	add(findings, FINDING_LAME, false, "b", "1", "m");
	add(findings, FINDING_LAME, false, "a", "2", "m");
	add(findings, FINDING_LAME, false, "b", "1", "m");
	add(findings, FINDING_LAME, false, "b", "1", "l");
	assert_string_equal(shown(findings), "LAME/critical:a:2:m LAME/critical:b:1:l LAME/critical:b:1:m LAME/critical:b:2:m "
		"CHECK-INCOMPLETE/unknown:-:-:m TTL-SHORT/warning:b:2:m");
	assert_true(findings_has(findings, FINDING_LAME, "b", "2"));
	assert_true(findings_has(findings, FINDING_LAME, NULL, NULL));
	assert_false(findings_has(findings, FINDING_LAME, "c", NULL));
	assert_false(findings_has(findings, FINDING_TTL_SHORT, "b", "1"));
	findings_free(findings);
}

static void the_operator_sets_severities(void **state)
{
	struct finding_levels levels = {{0}};
	struct findings *findings;

	(void)state;
	levels.level[FINDING_LAME] = SEVERITY_OFF + 1;
	levels.level[FINDING_SERIAL_LAG] = SEVERITY_WARNING + 1;
	levels.level[FINDING_DIV_TLD] = SEVERITY_UNKNOWN + 1;
	findings = list(&levels);
	add(findings, FINDING_LAME, true, "a", NULL, "m");
	assert_int_equal(findings_count(findings), 0);
	assert_int_equal(findings_status(findings), STATUS_OK);
	add(findings, FINDING_SERIAL_LAG, true, "a", NULL, "m");
	assert_int_equal(findings_status(findings), STATUS_WARNING);
	add(findings, FINDING_DIV_TLD, false, NULL, NULL, "m");
	assert_int_equal(findings_status(findings), STATUS_UNKNOWN);
	add(findings, FINDING_EXPIRE_HORIZON, false, "a", NULL, "m");
	assert_int_equal(findings_status(findings), STATUS_UNKNOWN);
	add(findings, FINDING_EXPIRE_HORIZON, true, "b", NULL, "m");
	assert_int_equal(findings_status(findings), STATUS_CRITICAL);
	assert_string_equal(shown(findings),
		"EXPIRE-HORIZON/critical:b:-:m DIV-TLD/unknown:-:-:m SERIAL-LAG/warning:a:-:m EXPIRE-HORIZON/warning:a:-:m");
	findings_free(findings);
}

static void of_two_statuses_the_worse_one_counts(void **state)
{
	(void)state;
	assert_int_equal(finding_status_worse(STATUS_CRITICAL, STATUS_UNKNOWN), STATUS_CRITICAL);
	assert_int_equal(finding_status_worse(STATUS_UNKNOWN, STATUS_CRITICAL), STATUS_CRITICAL);
	assert_int_equal(finding_status_worse(STATUS_UNKNOWN, STATUS_WARNING), STATUS_UNKNOWN);
	assert_int_equal(finding_status_worse(STATUS_OK, STATUS_WARNING), STATUS_WARNING);
	assert_string_equal(finding_status_name(STATUS_UNKNOWN), "UNKNOWN");
	assert_int_equal(STATUS_OK, 0);
	assert_int_equal(STATUS_WARNING, 1);
	assert_int_equal(STATUS_CRITICAL, 2);
	assert_int_equal(STATUS_UNKNOWN, 3);
}

static void what_comes_from_the_network_stays_one_bounded_line(void **state)
{
	struct findings *findings = list(NULL);
	char text[FINDING_DATA_MAX + 100];
	struct finding_place place = {.server = "a\nb", .got = text, .expected = "x\033[31m\x9b"};

	(void)state;
	memset(text, 'y', sizeof text - 1);
	text[sizeof text - 1] = 0;
	assert_true(findings_add(findings, FINDING_ANSWER_DIFF, false, &place, "%s\n", text));
	assert_string_equal(findings_at(findings, 0)->server, "a?b");
	assert_string_equal(findings_at(findings, 0)->expected, "x?[31m?");
	assert_int_equal(strlen(findings_at(findings, 0)->got), FINDING_DATA_MAX);
	assert_string_equal(findings_at(findings, 0)->got + FINDING_DATA_MAX - 4, "y...");
	assert_int_equal(strlen(findings_at(findings, 0)->message), FINDING_MESSAGE_MAX);
	assert_null(findings_at(findings, 0)->owner);
	findings_free(findings);
}

static void there_are_never_more_than_so_many(void **state)
{
	struct findings *findings = list(NULL);
	char text[20];

	(void)state;
	for (int i = 0; i < FINDINGS_MAX + 5; i++) {
		snprintf(text, sizeof text, "%d", i);
		add(findings, FINDING_TTL_SHORT, false, NULL, NULL, text);
	}
	assert_int_equal(findings_count(findings), FINDINGS_MAX);
	assert_int_equal(findings_lost(findings), 5);
	assert_int_equal(findings_status(findings), STATUS_WARNING);
	assert_int_equal(findings_lost_severity(findings), SEVERITY_WARNING);
	add(findings, FINDING_LAME, false, "a", NULL, "m");
	assert_int_equal(findings_status(findings), STATUS_CRITICAL);
	assert_int_equal(findings_lost_severity(findings), SEVERITY_CRITICAL);
	findings_free(findings);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_name_is_read_as_itself),
		cmocka_unit_test(the_severities_are_the_agreed_ones),
		cmocka_unit_test(the_worst_comes_first_and_each_only_once),
		cmocka_unit_test(the_operator_sets_severities),
		cmocka_unit_test(of_two_statuses_the_worse_one_counts),
		cmocka_unit_test(what_comes_from_the_network_stays_one_bounded_line),
		cmocka_unit_test(there_are_never_more_than_so_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
