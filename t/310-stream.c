/* xfer/stream: what a transfer's records lead to, as a specification: each case is a script of records, "=" before the verdict. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "xfer/stream.h"

#include "dns/rrtext.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint8_t apex[NAME_SIZE];

/* "www A 192.0.2.1", owners relative to example., TTL 300; "SOA 7" stands for the zone's SOA with that serial. */
static enum stream_verdict feed(struct stream *s, const char *line)
{
	char copy[400], *word[24];
	struct text_token token[24];
	uint8_t owner[NAME_SIZE], rdata[2000];
	struct wbuf out = wbuf_of(rdata, sizeof rdata);
	struct why why = {{0}};
	uint16_t type, class = CLASS_IN;
	size_t n = 0;
	struct rr rr;

	if (strncmp(line, "SOA ", 4) == 0)
		snprintf(copy, sizeof copy, "@ SOA ns. host. %s 3600 900 604800 300", line + 4);
	else
		snprintf(copy, sizeof copy, "%s", line);
	for (char *at = strtok(copy, " "); at && n < 24; at = strtok(NULL, " "))
		word[n++] = at;
	assert_int_equal(name_parse(word[0], strlen(word[0]), apex, owner, &why), ERR_OK);
	if (strcmp(word[1], "CH") == 0) {
		class = CLASS_CH;
		memmove(word + 1, word + 2, (--n - 1) * sizeof *word);
	}
	assert_true(rr_type_parse(word[1], strlen(word[1]), &type));
	for (size_t i = 2; i < n; i++)
		token[i - 2] = (struct text_token){word[i], strlen(word[i]), false};
	if (rr_parse_rdata(type, token, n - 2, apex, &out, &why))
		fail_msg("%s: %s", line, why.text);
	rr = (struct rr){owner, type, class, (uint16_t)wbuf_used(&out), 300, rdata};
	return stream_record(s, &rr);
}

/* Feeds the script's lines (separated by '\n'); returns the verdict of the last, which must be the only one that is not MORE. */
static enum stream_verdict play(struct stream *s, const char *script)
{
	enum stream_verdict verdict = STREAM_MORE;
	char line[400];

	while (*script) {
		size_t n = strcspn(script, "\n");

		if (verdict != STREAM_MORE)
			fail_msg("verdict %d came before \"%.60s\": %s", verdict, script, stream_sum(s)->why.text);
		snprintf(line, sizeof line, "%.*s", (int)n, script);
		verdict = feed(s, line);
		script += n + (script[n] == '\n');
	}
	return verdict;
}

static struct stream *begin(uint16_t type, struct zone *base)
{
	return stream_new(&(struct stream_ask){.zone = apex, .type = type, .base = base});
}

static struct zone *axfr(const char *script)
{
	struct stream *s = begin(RR_AXFR, NULL);
	enum stream_verdict verdict = play(s, script);
	struct zone *zone;

	if (verdict != STREAM_COMPLETE)
		fail_msg("not complete: %s", stream_sum(s)->why.text);
	zone = stream_take(s);
	assert_non_null(zone);
	stream_free(s);
	return zone;
}

static char *print(const struct zone *zone)
{
	struct zone_walk *walk = malloc(sizeof *walk);
	const struct zone_node *node;
	uint8_t owner[NAME_SIZE];
	size_t used = 0, size = 1 << 16;
	char *text = malloc(size), name[NAME_TEXT_SIZE];

	zone_walk(walk, zone);
	while ((node = zone_walk_next(walk, owner))) {
		struct zone_rrsets sets = zone_rrsets(node);
		struct zone_rrset set;

		while (zone_rrsets_next(&sets, &set)) {
			struct rr rr;
			uint32_t at = 0;

			while (zone_rrset_next(&set, &at, owner, &rr)) {
				assert_true(used + 4000 < size);
				name_text(owner, name);
				used += rr_put_text(&rr, name, strlen(name), text + used);
			}
		}
	}
	text[used] = 0;
	free(walk);
	return text;
}

static void expect_same(const struct zone *a, const struct zone *b)
{
	char *ta = print(a), *tb = print(b);

	assert_string_equal(ta, tb);
	assert_int_equal(a->records, b->records);
	assert_int_equal(a->names, b->names);
	assert_int_equal(a->wire_bytes, b->wire_bytes);
	assert_int_equal(a->wildcards, b->wildcards);
	assert_int_equal(a->rrsigs, b->rrsigs);
	free(ta);
	free(tb);
}

#define BASE "SOA 7\n@ NS ns.\nwww A 192.0.2.1\nwww A 192.0.2.2\nmail A 192.0.2.3\nmail MX 10 mail\na.b.c TXT x\nSOA 7"

static void expect_reject(uint16_t type, struct zone *base, const char *script, enum stream_reason reason)
{
	struct stream *s = begin(type, base);
	enum stream_verdict verdict = play(s, script);

	if (verdict != STREAM_REJECT)
		fail_msg("not refused: %s", script);
	if (stream_sum(s)->reason != reason)
		fail_msg("refused as %s, not %s: %s", stream_reason_name(stream_sum(s)->reason), stream_reason_text(reason), stream_sum(s)->why.text);
	assert_non_null(strstr(stream_sum(s)->why.text, "record "));
	assert_null(stream_take(s));
	stream_free(s);
}

static void a_whole_zone_is_taken_in_any_order(void **state)
{
	struct zone *a = axfr(BASE);
	struct zone *b = axfr("SOA 7\nmail MX 10 mail\na.b.c TXT x\nwww A 192.0.2.2\n@ NS ns.\nmail A 192.0.2.3\nwww A 192.0.2.1\nSOA 7");

	(void)state;
	expect_same(a, b);
	assert_int_equal(a->serial.v, 7);
	assert_int_equal(a->records, 7);
	assert_int_equal(a->names, 4);
	zone_put(a);
	zone_put(b);
}

static void a_record_that_comes_twice_counts_once(void **state)
{
	struct zone *a = axfr(BASE);
	struct zone *b = axfr("SOA 7\n@ NS ns.\n@ NS NS.\nwww A 192.0.2.1\nwww A 192.0.2.2\nwww A 192.0.2.1\nmail A 192.0.2.3\n"
		"mail MX 10 mail\na.b.c TXT x\nSOA 7");

	(void)state;
	expect_same(a, b);
	zone_put(a);
	zone_put(b);
}

static void what_cannot_be_a_whole_zone_is_refused_by_name(void **state)
{
	static const struct { const char *script; enum stream_reason reason; } cases[] = {
		{"www A 192.0.2.1", STREAM_NO_SOA},
		{"SOA 7\n@ NS ns.\nSOA 8", STREAM_SOA_MIDDLE},
		{"SOA 7\n@ NS ns.\n@ SOA ns. other. 7 3600 900 604800 300", STREAM_SOA_DIFFERS},
		{"SOA 7\n@ NS ns.\nwww SOA ns. host. 7 3600 900 604800 300", STREAM_SOA_OWNER},
		{"other. SOA ns. host. 7 3600 900 604800 300", STREAM_SOA_OWNER},
		{"SOA 7\nSOA 7", STREAM_CONTENT},
		{"SOA 7\nwww A 192.0.2.1\nSOA 7", STREAM_CONTENT},                                     /* no NS */
		{"SOA 7\n@ NS ns.\nwww A 192.0.2.1\nwww CNAME mail\nSOA 7", STREAM_CONTENT},
		{"SOA 7\n@ NS ns.\nwww CNAME a\nwww CNAME b\nSOA 7", STREAM_CONTENT},
		{"SOA 7\n@ NS ns.\n@ CNAME a\nSOA 7", STREAM_CONTENT},
		{"SOA 7\n@ NS ns.\nd DNAME a.\nd DNAME b.\nSOA 7", STREAM_CONTENT},
		{"SOA 7\nwww.other. A 192.0.2.1", STREAM_RECORD},
		{"SOA 7\n. NS ns.", STREAM_RECORD},
		{"SOA 7\nwww CH A 192.0.2.1", STREAM_RECORD},
		{"SOA 7\nwww TYPE252 \\# 0", STREAM_RECORD},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct stream *s = begin(RR_AXFR, NULL);
		enum stream_verdict verdict = STREAM_MORE;
		const char *at = cases[i].script;

		while (*at && verdict == STREAM_MORE) {   /* what meets a batch may be refused at the end of it */
			char line[400];
			size_t n = strcspn(at, "\n");

			snprintf(line, sizeof line, "%.*s", (int)n, at);
			verdict = feed(s, line);
			at += n + (at[n] == '\n');
		}
		if (verdict != STREAM_REJECT || stream_sum(s)->reason != cases[i].reason)
			fail_msg("case %zu: verdict %d, %s: %s", i, verdict, stream_reason_name(stream_sum(s)->reason), stream_sum(s)->why.text);
		assert_non_null(strstr(stream_sum(s)->why.text, "record "));
		stream_free(s);
	}
}

static void records_behind_the_end_are_refused(void **state)
{
	struct stream *s = begin(RR_AXFR, NULL);

	(void)state;
	assert_int_equal(play(s, BASE), STREAM_COMPLETE);
	assert_int_equal(feed(s, "www A 192.0.2.9"), STREAM_REJECT);
	assert_int_equal(stream_sum(s)->reason, STREAM_AFTER_END);
	assert_null(stream_take(s));
	stream_free(s);
}

static void differences_lead_to_the_zone_that_axfr_would_bring(void **state)
{
	struct zone *base = axfr(BASE), *by_axfr, *by_ixfr;
	struct stream *s = begin(RR_IXFR, base);

	(void)state;
	assert_int_equal(play(s, "SOA 10\n"
		"SOA 7\nwww A 192.0.2.1\nSOA 8\nnew A 192.0.2.7\n*.w TXT y\n"
		"SOA 8\nnew A 192.0.2.7\na.b.c TXT x\nSOA 9\nwww A 192.0.2.1\n"
		"SOA 9\nSOA 10\nb.c TXT z\nSOA 10"), STREAM_COMPLETE);
	assert_true(stream_sum(s)->incremental);
	assert_int_equal(stream_sum(s)->sequences, 3);
	by_ixfr = stream_take(s);
	stream_free(s);
	by_axfr = axfr("SOA 10\n@ NS ns.\nwww A 192.0.2.1\nwww A 192.0.2.2\nmail A 192.0.2.3\nmail MX 10 mail\n*.w TXT y\nb.c TXT z\nSOA 10");
	expect_same(by_ixfr, by_axfr);
	zone_put(by_axfr);
	zone_put(by_ixfr);
	by_axfr = axfr(BASE);
	expect_same(base, by_axfr);          /* the version before is as it was */
	zone_put(by_axfr);
	zone_put(base);
}

static void a_whole_zone_in_answer_to_ixfr_is_taken(void **state)
{
	struct zone *base = axfr(BASE), *zone;
	struct stream *s = begin(RR_IXFR, base);

	(void)state;
	assert_int_equal(play(s, "SOA 9\n@ NS ns.\nwww A 192.0.2.9\nSOA 9"), STREAM_COMPLETE);
	assert_false(stream_sum(s)->incremental);
	zone = stream_take(s);
	assert_int_equal(zone->records, 3);
	stream_free(s);
	zone_put(zone);
	zone_put(base);
}

static void our_own_serial_means_up_to_date(void **state)
{
	struct zone *base = axfr(BASE);
	struct stream *s = begin(RR_IXFR, base);

	(void)state;
	assert_int_equal(feed(s, "SOA 7"), STREAM_COMPLETE);
	assert_int_equal(stream_sum(s)->state, STREAM_CURRENT);
	assert_null(stream_take(s));
	stream_free(s);
	zone_put(base);
}

static void differences_that_do_not_fit_are_refused_by_name(void **state)
{
	struct zone *base = axfr(BASE), *again;

	(void)state;
	expect_reject(RR_IXFR, base, "SOA 6", STREAM_SERIAL_BACK);
	expect_reject(RR_IXFR, base, "SOA 2147483655", STREAM_SERIAL_BACK);                       /* 7 + 2^31: undefined */
	expect_reject(RR_IXFR, base, "SOA 9\nSOA 8", STREAM_SEQUENCE_START);                      /* not our serial */
	expect_reject(RR_IXFR, base, "SOA 9\nSOA 7\nSOA 7", STREAM_SEQUENCE_ORDER);               /* nowhere */
	expect_reject(RR_IXFR, base, "SOA 9\nSOA 7\nSOA 6", STREAM_SEQUENCE_ORDER);               /* back */
	expect_reject(RR_IXFR, base, "SOA 9\nSOA 7\nSOA 10", STREAM_SEQUENCE_ORDER);              /* past the end */
	expect_reject(RR_IXFR, base, "SOA 9\nSOA 7\nSOA 8\nSOA 7", STREAM_SEQUENCE_START);        /* overlap */
	expect_reject(RR_IXFR, base, "SOA 9\nSOA 7\nSOA 8\nSOA 9", STREAM_SEQUENCE_START);        /* gap, or an end too early */
	expect_reject(RR_IXFR, base, "SOA 9\nSOA 7\nSOA 9\n@ SOA ns. other. 9 3600 900 604800 300", STREAM_SOA_DIFFERS);
	expect_reject(RR_IXFR, base, "SOA 9\nSOA 7\n@ SOA ns. other. 9 3600 900 604800 300", STREAM_SOA_DIFFERS);
	expect_reject(RR_IXFR, base, "SOA 9\nSOA 7\nno A 192.0.2.1\nSOA 9\nSOA 9", STREAM_MISMATCH);       /* no such name */
	expect_reject(RR_IXFR, base, "SOA 9\nSOA 7\nwww A 192.0.2.9\nSOA 9\nSOA 9", STREAM_MISMATCH);      /* no such record */
	expect_reject(RR_IXFR, base, "SOA 9\nSOA 7\nwww TXT q\nSOA 9\nSOA 9", STREAM_MISMATCH);            /* no such type */
	expect_reject(RR_IXFR, base, "SOA 9\nSOA 7\nwww A 192.0.2.1\nwww A 192.0.2.1\nSOA 9\nSOA 9", STREAM_MISMATCH);
	expect_reject(RR_IXFR, base, "SOA 9\n@ SOA ns. other. 7 3600 900 604800 300\nSOA 9\nSOA 9", STREAM_MISMATCH);
	expect_reject(RR_IXFR, base, "SOA 9\nSOA 7\n@ NS ns.\nSOA 9\nSOA 9", STREAM_CONTENT);              /* the last apex NS */
	expect_reject(RR_IXFR, base, "SOA 9\nSOA 7\nSOA 9\nwww CNAME x\nSOA 9", STREAM_CONTENT);
	expect_reject(RR_IXFR, base, "SOA 9\nSOA 7\nSOA 9\nx.other. A 192.0.2.1", STREAM_RECORD);
	again = axfr(BASE);
	expect_same(base, again);
	zone_put(again);
	zone_put(base);
}

/* NSD 4.6 does this at the apex, whenever it makes an IXFR from zone files. */
static void a_record_to_add_that_is_there_already_is_passed_over_and_counted(void **state)
{
	struct zone *base = axfr(BASE), *zone, *by_axfr;
	struct stream *s = begin(RR_IXFR, base);

	(void)state;
	assert_int_equal(play(s, "SOA 9\nSOA 7\nSOA 9\nwww A 192.0.2.1\nmail MX 10 MAIL\nnew A 192.0.2.5\nSOA 9"), STREAM_COMPLETE);
	assert_int_equal(stream_sum(s)->redundant, 2);
	zone = stream_take(s);
	stream_free(s);
	by_axfr = axfr("SOA 9\n@ NS ns.\nwww A 192.0.2.1\nwww A 192.0.2.2\nmail A 192.0.2.3\nmail MX 10 mail\na.b.c TXT x\nnew A 192.0.2.5\nSOA 9");
	expect_same(zone, by_axfr);
	zone_put(by_axfr);
	zone_put(zone);
	zone_put(base);
}

static void a_moment_of_cname_beside_data_between_sequences_is_allowed(void **state)
{
	struct zone *base = axfr(BASE), *zone;
	struct stream *s = begin(RR_IXFR, base);

	(void)state;
	assert_int_equal(play(s, "SOA 9\nSOA 7\nSOA 8\nmail CNAME www\nSOA 8\nmail A 192.0.2.3\nmail MX 10 mail\nSOA 9\nSOA 9"), STREAM_COMPLETE);
	zone = stream_take(s);
	stream_free(s);
	zone_put(zone);
	zone_put(base);
}

static void serials_wrap(void **state)
{
	struct zone *base = axfr("SOA 4294967295\n@ NS ns.\nSOA 4294967295"), *zone;
	struct stream *s = begin(RR_IXFR, base);

	(void)state;
	assert_int_equal(play(s, "SOA 1\nSOA 4294967295\nSOA 0\nx TXT 0\nSOA 0\nSOA 1\nx TXT 1\nSOA 1"), STREAM_COMPLETE);
	zone = stream_take(s);
	assert_int_equal(zone->serial.v, 1);
	assert_int_equal(zone->records, 4);
	stream_free(s);
	zone_put(zone);
	zone_put(base);
}

static void limits_count_what_comes_also_duplicates(void **state)
{
	struct stream_ask ask = {.zone = apex, .type = RR_AXFR, .limits = {.bytes = 2000}};
	struct stream *s = stream_new(&ask);
	enum stream_verdict verdict = play(s, "SOA 7\n@ NS ns.");
	unsigned n = 0;

	(void)state;
	while (verdict == STREAM_MORE && n++ < 1000)
		verdict = feed(s, "www A 192.0.2.1");
	assert_int_equal(verdict, STREAM_REJECT);
	assert_int_equal(stream_sum(s)->reason, STREAM_LIMIT);
	stream_free(s);

	ask.limits = (struct build_limits){.records = 100};
	s = stream_new(&ask);
	verdict = play(s, "SOA 7\n@ NS ns.");
	for (n = 0; verdict == STREAM_MORE && n < 1000; n++) {
		char line[40];

		snprintf(line, sizeof line, "h%u A 192.0.2.1", n);
		verdict = feed(s, line);
	}
	assert_int_equal(verdict, STREAM_REJECT);
	assert_int_equal(stream_sum(s)->reason, STREAM_LIMIT);
	stream_free(s);
}

static void ttls_that_differ_become_the_lowest(void **state)
{
	struct zone *zone;
	struct stream *s = begin(RR_AXFR, NULL);
	static const uint8_t a1[] = {192, 0, 2, 1}, a2[] = {192, 0, 2, 2};
	uint8_t owner[NAME_SIZE];
	struct zone_rrset set;
	struct rr rr = {owner, RR_A, CLASS_IN, 4, 600, a1};
	uint32_t at = 0;

	(void)state;
	name_parse("www", 3, apex, owner, NULL);
	assert_int_equal(play(s, "SOA 7\n@ NS ns."), STREAM_MORE);
	assert_int_equal(stream_record(s, &rr), STREAM_MORE);
	rr.rdata = a2;
	rr.ttl = 60;
	assert_int_equal(stream_record(s, &rr), STREAM_MORE);
	assert_int_equal(play(s, "SOA 7"), STREAM_COMPLETE);
	zone = stream_take(s);
	assert_true(zone_node_rrset(zone_find_node(zone, owner), RR_A, &set, NULL));
	assert_int_equal(set.count, 2);
	while (zone_rrset_next(&set, &at, owner, &rr))
		assert_int_equal(rr.ttl, 60);
	stream_free(s);
	zone_put(zone);
}

static void many_versions_in_a_row_use_the_same_memory_again(void **state)
{
	struct zone *zone = axfr(BASE);
	size_t settled = 0;
	char script[400];

	(void)state;
	for (unsigned serial = 7; serial < 607; serial++) {
		struct stream *s = begin(RR_IXFR, zone);
		struct zone *next;

		snprintf(script, sizeof script, "SOA %u\nSOA %u\nwww A 192.0.2.%u\nSOA %u\nwww A 192.0.2.%u\nSOA %u", serial + 1, serial,
			serial == 7 ? 1 : serial % 2 ? 10 : 11, serial + 1, serial % 2 ? 11 : 10, serial + 1);
		assert_int_equal(play(s, script), STREAM_COMPLETE);
		next = stream_take(s);
		stream_free(s);
		zone_put(zone);
		zone = next;
		if (serial == 50)
			settled = zone_memory(zone);
	}
	assert_int_equal(zone_memory(zone), settled);
	zone_put(zone);
}

/* Each step takes away what the one before brought: blocks of this very edit are used again. */
static void thousands_of_steps_in_one_answer(void **state)
{
	enum { STEPS = 3000 };
	struct zone *base = axfr(BASE), *zone;
	struct stream *s = begin(RR_IXFR, base);
	char line[60];

	(void)state;
	snprintf(line, sizeof line, "SOA %u", 7 + STEPS);
	assert_int_equal(feed(s, line), STREAM_MORE);
	for (unsigned i = 7; i < 7 + STEPS; i++) {
		snprintf(line, sizeof line, "SOA %u", i);
		assert_int_equal(feed(s, line), STREAM_MORE);
		snprintf(line, sizeof line, "step%u A 192.0.2.1", i);
		if (i > 7)
			assert_int_equal(feed(s, line), STREAM_MORE);
		snprintf(line, sizeof line, "SOA %u", i + 1);
		assert_int_equal(feed(s, line), STREAM_MORE);
		snprintf(line, sizeof line, "step%u A 192.0.2.1", i + 1);
		assert_int_equal(feed(s, line), STREAM_MORE);
	}
	snprintf(line, sizeof line, "SOA %u", 7 + STEPS);
	assert_int_equal(feed(s, line), STREAM_COMPLETE);
	zone = stream_take(s);
	assert_int_equal(zone->records, 8);
	assert_int_equal(zone->names, 5);
	stream_free(s);
	zone_put(zone);
	zone_put(base);
}

static int setup(void **state)
{
	(void)state;
	rr_init();
	return name_parse("example.", 8, NULL, apex, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_zone_is_taken_in_any_order),
		cmocka_unit_test(a_record_that_comes_twice_counts_once),
		cmocka_unit_test(what_cannot_be_a_whole_zone_is_refused_by_name),
		cmocka_unit_test(records_behind_the_end_are_refused),
		cmocka_unit_test(differences_lead_to_the_zone_that_axfr_would_bring),
		cmocka_unit_test(a_whole_zone_in_answer_to_ixfr_is_taken),
		cmocka_unit_test(our_own_serial_means_up_to_date),
		cmocka_unit_test(differences_that_do_not_fit_are_refused_by_name),
		cmocka_unit_test(a_record_to_add_that_is_there_already_is_passed_over_and_counted),
		cmocka_unit_test(a_moment_of_cname_beside_data_between_sequences_is_allowed),
		cmocka_unit_test(serials_wrap),
		cmocka_unit_test(limits_count_what_comes_also_duplicates),
		cmocka_unit_test(ttls_that_differ_become_the_lowest),
		cmocka_unit_test(thousands_of_steps_in_one_answer),
		cmocka_unit_test(many_versions_in_a_row_use_the_same_memory_again),
	};

	return cmocka_run_group_tests_name("xfer/stream", tests, setup, NULL);
}
