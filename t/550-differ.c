/* check/questions and check/compare: which questions a version of a zone gives, and what an answer to one of them differs in. Answers are made by
 * serve/query from another version, and, where no version of ours would give such an answer, changed afterwards. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "check/compare.h"
#include "dns/msg.h"
#include "dns/rrtext.h"
#include "serve/query.h"
#include "zone/zonefile.h"

#include <stdio.h>
#include <stdlib.h>

static const uint8_t apex[] = "\7example";

static const char soa[] = "$TTL 300\n@ SOA ns1 host 7 3600 900 604800 300\n@ NS ns1\n@ NS ns.elsewhere.\n";
static const char plain[] =
	"ns1 A 192.0.2.1\n"
	"www A 192.0.2.3\nwww A 192.0.2.4\nwww TXT \"a;b\"\n"
	"alias CNAME www\n"
	"a.b.ent A 192.0.2.5\n"
	"*.wild A 192.0.2.6\n*.wild TXT \"w\"\nb.wild A 192.0.2.7\n"
	"sub NS ns.sub\nsub NS ns1\nsub DS 1 8 2 AABBCCDDAABBCCDDAABBCCDDAABBCCDDAABBCCDDAABBCCDDAABBCCDDAABBCCDD\n"
	"ns.sub A 192.0.2.9\nx.y.sub A 192.0.2.9\n"
	"plain NS ns.elsewhere.\n"
	"d DNAME target\nd TXT \"beside\"\nbelow.d A 192.0.2.10\n"
	"x.target A 192.0.2.13\n"
	"zz MX 10 Mail.Elsewhere.\n";
/* Signatures need not be right here: nobody looks into them. */
#define SIG(name, type) name " RRSIG " type " 8 2 300 20300101000000 20200101000000 1 example. AAAA\n"
static const char signed_text[] =
	"@ DNSKEY 256 3 8 AAAA\n@ NSEC www NS SOA RRSIG NSEC DNSKEY\nwww A 192.0.2.3\nwww NSEC @ A RRSIG NSEC\n"
	SIG("@", "SOA") SIG("@", "NS") SIG("@", "DNSKEY") SIG("@", "NSEC") SIG("www", "A") SIG("www", "NSEC");

struct text { char *bytes; size_t length; };

/* --- zones and answers ------------------------------------------------------------------- */

static enum err add(void *ctx, const struct rr *rr, struct why *why)
{
	return build_add(ctx, rr, why);
}

static struct zone *zone_of(const char *first, const char *text)
{
	struct build *build = build_new(apex, NULL, (struct build_limits){0});
	char *whole = NULL;
	struct zone *zone = NULL;
	struct why why = {""};

	assert_true(asprintf(&whole, "%s%s", first, text) > 0);
	if (zonefile_parse("text", whole, strlen(whole), NULL, apex, add, build, &why) || build_finish(build, &zone, &why))
		fail_msg("%s", why.text);
	free(whole);
	return zone;
}

static struct question ask(const char *name, uint16_t type)
{
	struct question q = {.type = type};

	assert_int_equal(name_parse(name, strlen(name), apex, q.name, NULL), ERR_OK);
	return q;
}

static struct reply *answer(const struct zone *zone, const struct question *q)
{
	static struct msg_writer writer;
	static uint8_t message[MSG_MAX];
	struct query_wish wish = {q->type, true, true};
	struct query_result result;
	struct query_lead lead;
	struct tree_name name;
	struct reply *reply;
	size_t length;

	msg_writer_zero(&writer);
	msg_start(&writer, message, sizeof message, sizeof message);
	assert_true(msg_put_question(&writer, q->name, q->type, CLASS_IN));
	tree_name(&name, q->name);
	query_lead(&lead, zone, &name, wish);
	result = query_answer(&writer, zone, &name, wish, &lead);
	length = msg_finish(&writer, 1, (uint16_t)(MSG_QR | (result.aa ? MSG_AA : 0) | result.rcode));
	reply = reply_read(message, length, 1, q->name, q->type, CLASS_IN);
	assert_non_null(reply);
	assert_int_equal(reply->outcome, REPLY_OK);
	return reply;
}

/* --- differences as text ----------------------------------------------------------------- */

static void put_side(FILE *out, char sign, const struct difference *d, const struct difference_side *side)
{
	char owner[NAME_TEXT_SIZE], type[RR_TYPE_TEXT];

	for (const char *line = side->text; *line; line += strcspn(line, "\n") + 1)
		fprintf(out, "%c%s %s: %.*s\n", sign, name_text(d->owner, owner), rr_type_text(d->type, type), (int)strcspn(line, "\n"), line);
}

static void put_difference(FILE *out, const struct difference *d)
{
	put_side(out, '-', d, &d->expected);
	put_side(out, '+', d, &d->got);
}

/* All questions of the zone, put to a server of `other`. */
static void assert_diff(struct zone *zone, struct zone *other, const char *wanted)
{
	static struct questions questions;
	static struct difference d;
	struct question q;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	questions_begin(&questions, zone, 100);
	while (questions_next(&questions, &q)) {
		struct reply *reply = answer(other, &q);

		if (compare_reply(zone, &q, reply, true, &d) == COMPARE_DIFFERS)
			put_difference(out, &d);
		reply_free(reply);
	}
	fclose(out);
	assert_string_equal(text, wanted);
	free(text);
	zone_put(zone);
	zone_put(other);
}

/* One answer; the reply is freed. */
static void assert_one(const struct zone *zone, const struct question *q, struct reply *reply, bool authoritative, const char *wanted)
{
	static struct difference d;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	enum compare_result result = compare_reply(zone, q, reply, authoritative, &d);

	if (result == COMPARE_DIFFERS)
		put_difference(out, &d);
	fclose(out);
	assert_string_equal(text, wanted);
	assert_int_equal(result, *wanted ? COMPARE_DIFFERS : COMPARE_SAME);
	free(text);
	reply_free(reply);
}

static void set_ttls(struct reply *reply, uint32_t ttl)
{
	for (size_t i = 0; i < reply->answer_count; i++)
		((struct rr *)&reply->answer[i])->ttl = ttl;
	for (size_t i = 0; i < reply->authority_count; i++)
		((struct rr *)&reply->authority[i])->ttl = ttl;
}

/* --- questions --------------------------------------------------------------------------- */

static void assert_questions(struct zone *zone, unsigned sample, const char *wanted)
{
	static struct questions questions;
	struct question q;
	char *text = NULL, name[NAME_TEXT_SIZE], type[RR_TYPE_TEXT];
	size_t size, count = 0;
	FILE *out = open_memstream(&text, &size);

	questions_begin(&questions, zone, sample);
	for (; questions_next(&questions, &q); count++)
		fprintf(out, "%s %s\n", name_text(q.name, name), rr_type_text(q.type, type));
	fclose(out);
	assert_string_equal(text, wanted);
	assert_int_equal(questions_count(zone, sample), count);
	free(text);
	zone_put(zone);
}

static void each_rrset_that_is_answered_is_asked_for_in_canonical_order(void **state)
{
	(void)state;
	assert_questions(zone_of(soa, plain), 0,
		"example. NS\nexample. SOA\nalias.example. CNAME\nd.example. TXT\nd.example. DNAME\na.b.ent.example. A\nns1.example. A\n"
		"plain.example. NS\nsub.example. NS\nsub.example. DS\nx.target.example. A\n*.wild.example. A\n*.wild.example. TXT\n"
		"b.wild.example. A\nwww.example. A\nwww.example. TXT\nzz.example. MX\n");
}

static void signatures_and_nsec3_records_are_not_asked_for(void **state)
{
	(void)state;
	assert_questions(zone_of(soa, signed_text), 0,
		"example. NS\nexample. SOA\nexample. NSEC\nexample. DNSKEY\nwww.example. A\nwww.example. NSEC\n");
	assert_questions(zone_of(soa,
		"@ NSEC3PARAM 1 0 0 -\n0p9mhaveqvm6t7vbl5lop2u3t2rp3tom NSEC3 1 0 0 - 0p9mhaveqvm6t7vbl5lop2u3t2rp3tom NS\n"), 0,
		"example. NS\nexample. SOA\nexample. NSEC3PARAM\n");
}

static void the_sample_is_of_names_beside_missing_types_empty_names_and_made_ones(void **state)
{
	(void)state;
	assert_questions(zone_of(soa, "a.b.ent A 192.0.2.5\n*.wild TXT \"w\"\nsub NS ns.elsewhere.\nd DNAME target\n"), 100,
		"example. NS\nexample. SOA\nlockstep-test.example. A\nexample. TXT\n"
		"d.example. DNAME\nd-0.example. A\nd.example. MX\nlockstep-test.d.example. A\n"
		"ent.example. A\nb.ent.example. A\na.b.ent.example. A\na-0.b.ent.example. A\na.b.ent.example. SRV\n"
		"sub.example. NS\nsub-0.example. A\nsub.example. DS\n"
		"wild.example. A\n*.wild.example. TXT\n*-0.wild.example. A\n*.wild.example. HTTPS\n"
		"lockstep-test.wild.example. TXT\nlockstep-test.wild.example. HTTPS\n");
}

static void the_sample_of_a_large_zone_is_a_part_of_it(void **state)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	struct zone *zone;

	(void)state;
	for (unsigned i = 0; i < 5000; i++)
		fprintf(out, "n%u.e%u A 192.0.2.1\n*.w%u A 192.0.2.1\n", i, i, i);
	fclose(out);
	zone = zone_of(soa, text);
	assert_int_equal(questions_count(zone, 0), 2 + 10000);
	assert_in_range(questions_count(zone, 100), 2 + 10000 + 2 * 99, 2 + 10000 + 6 * 101);
	zone_put(zone);
	free(text);
}

/* --- the same ---------------------------------------------------------------------------- */

static void a_server_of_the_same_zone_differs_in_nothing(void **state)
{
	(void)state;
	assert_diff(zone_of(soa, plain), zone_of(soa, plain), "");
	assert_diff(zone_of(soa, signed_text), zone_of(soa, signed_text), "");
}

static void letter_case_is_no_difference(void **state)
{
	(void)state;
	assert_diff(zone_of(soa, "www CNAME Other\nzz MX 10 mail.elsewhere.\ns SRV 1 1 5 Host\n"),
		zone_of(soa, "WWW CNAME oTHER\nzz MX 10 MAIL.elsewhere.\ns SRV 1 1 5 host\n"), "");
}

static void glue_and_what_else_lies_below_a_cut_is_no_difference(void **state)
{
	(void)state;
	assert_diff(zone_of(soa, "sub NS ns.sub\nns.sub A 192.0.2.9\nx.sub A 192.0.2.9\nd DNAME t\nx.d A 192.0.2.1\n"),
		zone_of(soa, "sub NS ns.sub\nns.sub A 192.0.2.99\nns.sub AAAA 2001:db8::1\nd DNAME t\ny.d A 192.0.2.1\n"), "");
}

static void a_ttl_without_authority_may_have_been_counted_down(void **state)
{
	struct zone *zone = zone_of(soa, plain);
	struct question www = ask("www", RR_A), sub = ask("sub", RR_NS);
	struct reply *reply = answer(zone, &www);

	(void)state;
	set_ttls(reply, 17);
	reply->aa = false;
	assert_one(zone, &www, reply, false, "");
	reply = answer(zone, &www);
	set_ttls(reply, 17);
	assert_one(zone, &www, reply, false, "-www.example. A: 300 A 192.0.2.3\n-www.example. A: 300 A 192.0.2.4\n"
		"+www.example. A: 17 A 192.0.2.3\n+www.example. A: 17 A 192.0.2.4\n");
	reply = answer(zone, &sub);
	set_ttls(reply, 17);
	assert_one(zone, &sub, reply, false, "");
	reply = answer(zone, &sub);
	set_ttls(reply, 17);
	assert_one(zone, &sub, reply, true, "-sub.example. NS: 300 NS ns.sub.example.\n-sub.example. NS: 300 NS ns1.example.\n"
		"+sub.example. NS: 17 NS ns.sub.example.\n+sub.example. NS: 17 NS ns1.example.\n");
	zone_put(zone);
}

/* It serves the delegated zone as well: what it says at the cut is that zone's. */
static void a_server_of_the_zone_below_does_not_refer_to_it(void **state)
{
	struct zone *zone = zone_of(soa, plain), *other = zone_of(soa, "sub A 192.0.2.1\n");
	struct question sub = ask("sub", RR_NS);
	struct reply *reply = answer(other, &sub);
	struct rr below = reply->authority[0];

	(void)state;
	assert_one(zone, &sub, reply, true,
		"-sub.example. NS: 300 NS ns.sub.example.\n-sub.example. NS: 300 NS ns1.example.\n+sub.example. NS: NODATA\n");
	reply = answer(other, &sub);
	below.owner = sub.name;
	reply->authority = &below;
	reply->authority_count = 1;
	assert_one(zone, &sub, reply, true, "");
	zone_put(other);
	other = zone_of("$ORIGIN sub.example.\n$TTL 5\n", "@ NS ns9\n$ORIGIN example.\n@ SOA a b 1 1 1 1 1\n@ NS ns1\n");
	reply = answer(other, &sub);
	((struct reply *)reply)->answer = reply->authority;
	reply->answer_count = reply->authority_count;
	reply->authority_count = 0;
	reply->aa = true;
	assert_one(zone, &sub, reply, true, "");
	zone_put(other);
	zone_put(zone);
}

static void an_alias_to_elsewhere_may_lead_where_it_will(void **state)
{
	(void)state;
	assert_diff(zone_of(soa, "alias CNAME x.sub\nsub NS ns.elsewhere.\n"),
		zone_of(soa, "alias CNAME x.sub\nsub NS ns.elsewhere.\nx.sub A 192.0.2.1\n"), "");
}

static void a_compact_denial_says_that_a_name_is_not_there(void **state)
{
	static uint8_t next[] = {4, 'n', 'o', 'p', 'e', 7, 'e', 'x', 'a', 'm', 'p', 'l', 'e', 0, 0, 17, 0, 0, 0, 0, 0, 3, 0, 0, 0,
		0, 0, 0, 0, 0, 0, 0, 0x80};
	struct zone *zone = zone_of(soa, signed_text);
	struct question nope = ask("nope", RR_A);
	struct reply *reply = answer(zone, &nope);
	struct rr nsec = {nope.name, RR_NSEC, CLASS_IN, sizeof next, 300, next};

	(void)state;
	reply->rcode = RCODE_NOERROR;
	reply->authority = &nsec;
	reply->authority_count = 1;
	assert_one(zone, &nope, reply, true, "");
	reply = answer(zone, &nope);
	reply->rcode = RCODE_NOERROR;
	nsec.rdlength--;
	next[15]--;
	reply->authority = &nsec;
	reply->authority_count = 1;
	assert_one(zone, &nope, reply, true, "-nope.example. A: NXDOMAIN\n+nope.example. A: NODATA\n");
	zone_put(zone);
}

/* --- differences ------------------------------------------------------------------------- */

static void a_record_that_is_missing_extra_or_another_is_shown(void **state)
{
	(void)state;
	assert_diff(zone_of(soa, "www A 192.0.2.1\nwww A 192.0.2.2\n"), zone_of(soa, "www A 192.0.2.1\n"), "-www.example. A: 300 A 192.0.2.2\n");
	assert_diff(zone_of(soa, "www A 192.0.2.1\n"), zone_of(soa, "www A 192.0.2.1\nwww A 192.0.2.2\n"), "+www.example. A: 300 A 192.0.2.2\n");
	assert_diff(zone_of(soa, "www A 192.0.2.1\nwww A 192.0.2.7\n"), zone_of(soa, "www A 192.0.2.7\nwww A 192.0.2.5\n"),
		"-www.example. A: 300 A 192.0.2.1\n+www.example. A: 300 A 192.0.2.5\n");
}

static void an_rrset_or_a_name_that_is_missing_is_shown_with_what_came(void **state)
{
	(void)state;
	assert_diff(zone_of(soa, "www A 192.0.2.1\nwww TXT \"x\"\nzzz A 192.0.2.2\n"), zone_of(soa, "www A 192.0.2.1\n"),
		"-www.example. TXT: 300 TXT \"x\"\n+www.example. TXT: NODATA\n"
		"-zzz.example. A: 300 A 192.0.2.2\n+zzz.example. A: NXDOMAIN\n-zzz.example. SRV: NODATA\n+zzz.example. SRV: NXDOMAIN\n");
	assert_diff(zone_of(soa, "www A 192.0.2.1\n"), zone_of(soa, "www CNAME other\n"),
		"-www.example. A: 300 A 192.0.2.1\n+www.example. A: 300 CNAME other.example.\n-www.example. MX: NODATA\n"
		"+www.example. MX: 300 CNAME other.example.\n");
}

static void another_ttl_is_shown(void **state)
{
	(void)state;
	assert_diff(zone_of(soa, "www 300 A 192.0.2.1\n"), zone_of(soa, "www 60 A 192.0.2.1\n"),
		"-www.example. A: 300 A 192.0.2.1\n+www.example. A: 60 A 192.0.2.1\n");
}

static void what_should_not_be_there_is_shown(void **state)
{
	(void)state;
	assert_diff(zone_of(soa, "www A 192.0.2.1\n"), zone_of(soa, "www A 192.0.2.1\n* A 192.0.2.9\n"),
		"-lockstep-test.example. A: NXDOMAIN\n+lockstep-test.example. A: 300 A 192.0.2.9\n"
		"-www-0.example. A: NXDOMAIN\n+www-0.example. A: 300 A 192.0.2.9\n");
	assert_diff(zone_of(soa, "www A 192.0.2.1\n"), zone_of(soa, "www A 192.0.2.1\nwww MX 1 x\n"),
		"-www.example. MX: NODATA\n+www.example. MX: 300 MX 1 x.example.\n");
}

static void a_wildcard_and_an_empty_name_that_are_missing_are_shown(void **state)
{
	(void)state;
	assert_diff(zone_of(soa, "*.wild A 192.0.2.1\n"), zone_of(soa, "b.wild A 192.0.2.1\n"),
		"-*.wild.example. A: 300 A 192.0.2.1\n+*.wild.example. A: NXDOMAIN\n"
		"-*-0.wild.example. A: 300 A 192.0.2.1\n+*-0.wild.example. A: NXDOMAIN\n"
		"-*.wild.example. MX: NODATA\n+*.wild.example. MX: NXDOMAIN\n"
		"-lockstep-test.wild.example. A: 300 A 192.0.2.1\n+lockstep-test.wild.example. A: NXDOMAIN\n"
		"-lockstep-test.wild.example. MX: NODATA\n+lockstep-test.wild.example. MX: NXDOMAIN\n");
	assert_diff(zone_of(soa, "a.b A 192.0.2.1\n"), zone_of(soa, "a.c A 192.0.2.1\n"),
		"-b.example. A: NODATA\n+b.example. A: NXDOMAIN\n-a.b.example. A: 300 A 192.0.2.1\n+a.b.example. A: NXDOMAIN\n"
		"-a.b.example. MX: NODATA\n+a.b.example. MX: NXDOMAIN\n");
}

static void a_delegation_that_differs_is_shown(void **state)
{
	(void)state;
	assert_diff(zone_of(soa, "sub NS ns1\nsub NS ns2\n"), zone_of(soa, "sub NS ns1\n"), "-sub.example. NS: 300 NS ns2.example.\n");
	assert_diff(zone_of(soa, "sub NS ns1\n"), zone_of(soa, "sub A 192.0.2.1\n"),
		"-sub.example. NS: 300 NS ns1.example.\n+sub.example. NS: NODATA\n");
	assert_diff(zone_of(soa, "sub A 192.0.2.1\n"), zone_of(soa, "sub NS ns1\n"),
		"-sub.example. A: 300 A 192.0.2.1\n+sub.example. A: referral to sub.example.\n-sub.example. MX: NODATA\n"
		"+sub.example. MX: referral to sub.example.\n");
	assert_diff(zone_of(soa, "sub NS ns1\n"), zone_of(soa, "sub NS ns1\nsub DS 1 8 1 AABBCCDDAABBCCDDAABBCCDDAABBCCDDAABBCCDD\n"),
		"-sub.example. DS: NODATA\n+sub.example. DS: 300 DS 1 8 1 aabbccddaabbccddaabbccddaabbccddaabbccdd\n");
}

static void an_unsigned_server_of_a_signed_zone_is_shown_and_the_other_way_about(void **state)
{
	static const char unsigned_text[] = "@ DNSKEY 256 3 8 AAAA\nwww A 192.0.2.3\n";
	struct zone *zone = zone_of(soa, signed_text), *other = zone_of(soa, unsigned_text);
	struct question www = ask("www", RR_A), mx = ask("www", RR_MX);

	(void)state;
	assert_one(zone, &www, answer(other, &www), true, "-www.example. A: RRSIG\n+www.example. A: no RRSIG\n");
	assert_one(zone, &mx, answer(other, &mx), true, "-www.example. MX: NSEC\n+www.example. MX: no NSEC\n");
	assert_one(other, &www, answer(zone, &www), true, "-www.example. A: no RRSIG\n+www.example. A: RRSIG\n");
	assert_one(other, &mx, answer(zone, &mx), true, "-www.example. MX: no NSEC\n+www.example. MX: NSEC\n");
	zone_put(zone);
	zone_put(other);
}

static void an_error_is_shown_and_no_answer_is_none(void **state)
{
	struct zone *zone = zone_of(soa, plain);
	struct question www = ask("www", RR_A), mx = ask("www", RR_MX), sub = ask("sub", RR_NS);
	struct reply *reply = answer(zone, &mx), *none = reply_none(REPLY_TIMEOUT, NULL);
	static struct difference d;

	(void)state;
	reply->rcode = RCODE_SERVFAIL;
	assert_one(zone, &mx, reply, true, "-www.example. MX: NODATA\n+www.example. MX: SERVFAIL\n");
	reply = answer(zone, &mx);
	reply->rcode = RCODE_REFUSED;
	assert_one(zone, &www, reply, true, "-www.example. A: 300 A 192.0.2.3\n-www.example. A: 300 A 192.0.2.4\n+www.example. A: REFUSED\n");
	reply = answer(zone, &mx);
	reply->rcode = RCODE_REFUSED;
	assert_one(zone, &sub, reply, true,
		"-sub.example. NS: 300 NS ns.sub.example.\n-sub.example. NS: 300 NS ns1.example.\n+sub.example. NS: REFUSED\n");
	assert_int_equal(compare_reply(zone, &www, none, true, &d), COMPARE_NO_ANSWER);
	reply_free(none);
	zone_put(zone);
}

static void a_long_difference_is_cut(void **state)
{
	static struct difference d;
	struct zone *zone, *other = zone_of(soa, "");
	struct question www = ask("www", RR_TXT);
	struct reply *reply = answer(other, &www);
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	fprintf(out, "www TXT");
	for (unsigned i = 0; i < 200; i++)
		fprintf(out, " \"%0250u\"", i);
	fprintf(out, "\nwww TXT \"z\"\n");
	fclose(out);
	zone = zone_of(soa, text);
	assert_int_equal(compare_reply(zone, &www, reply, true, &d), COMPARE_DIFFERS);
	assert_true(d.expected.length <= DIFFERENCE_TEXT && d.expected.length == strlen(d.expected.text));
	assert_non_null(strstr(d.expected.text, "...\n"));
	assert_string_equal(d.got.text, "NXDOMAIN\n");
	reply_free(reply);
	zone_put(zone);
	zone_put(other);
	free(text);
}

static void the_kind_says_what_is_wrong_above_all(void **state)
{
	static const struct { const char *ours, *theirs; uint16_t type; enum difference_kind kind; } cases[] = {
		{"www A 192.0.2.1\n", "", RR_A, DIFFERENCE_MISSING},
		{"", "www A 192.0.2.1\n", RR_A, DIFFERENCE_EXTRA},
		{"www A 192.0.2.1\n", "www A 192.0.2.2\n", RR_A, DIFFERENCE_RDATA},
		{"www 1 A 192.0.2.1\n", "www 2 A 192.0.2.1\n", RR_A, DIFFERENCE_TTL},
		{"www A 192.0.2.1\n", "", RR_MX, DIFFERENCE_RCODE},
	};
	static struct difference d;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct zone *ours = zone_of(soa, cases[i].ours), *theirs = zone_of(soa, cases[i].theirs);
		struct question q = ask("www", cases[i].type);
		struct reply *reply = answer(theirs, &q);

		assert_int_equal(compare_reply(ours, &q, reply, true, &d), COMPARE_DIFFERS);
		assert_int_equal(d.kind, cases[i].kind);
		assert_true(*difference_text(d.kind));
		reply_free(reply);
		zone_put(ours);
		zone_put(theirs);
	}
}

/* --- a sample by chance -------------------------------------------------------------------- */

static size_t sample(const struct zone *zone, size_t most, uint64_t random, struct question *out)
{
	size_t count = questions_sample(zone, most, random, out);

	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < i; j++)
			assert_false(out[i].type == out[j].type && name_equal(out[i].name, out[j].name));
	return count;
}

/* Whether the zone is asked for it, without the sample of what is not there. */
static bool is_of(const struct zone *zone, const struct question *question)
{
	static struct questions questions;
	struct question q;

	questions_begin(&questions, zone, 0);
	while (questions_next(&questions, &q))
		if (q.type == question->type && name_equal(q.name, question->name))
			return true;
	return false;
}

static void chance_picks_rrsets_and_names_that_are_not_there(void **state)
{
	struct zone *zone = zone_of(soa, plain);
	struct question q[100 + QUESTIONS_ABSENT];
	size_t all = questions_count(zone, 0), count = sample(zone, 100, 1, q);
	struct zone_hit hit;
	bool differ = false;

	(void)state;
	assert_true(count > all && count <= all + QUESTIONS_ABSENT);
	for (size_t i = 0; i < count; i++) {
		zone_find(zone, q[i].name, &hit);
		assert_int_equal(i < all, is_of(zone, &q[i]));
		assert_true(i < all || hit.found == ZONE_NONE || hit.found == ZONE_WILD);
	}
	for (uint64_t random = 0; random < 20; random++) {
		struct question before = q[0];

		assert_in_range(sample(zone, 3, random, q), 3, 3 + QUESTIONS_ABSENT);
		for (size_t i = 0; i < 3; i++)
			assert_true(is_of(zone, &q[i]));
		differ |= !name_equal(before.name, q[0].name);
	}
	assert_true(differ);
	zone_put(zone);
}

enum { LARGE = 12000, HALF = LARGE / 2, PICKED = 200 };

/* Half of it is below zone cuts, where nothing is asked for but the delegations. */
static void a_large_zone_is_sampled_all_over(void **state)
{
	static struct question q[PICKED + QUESTIONS_ABSENT];
	char *text = NULL;
	size_t size, count, low = 0;
	FILE *out = open_memstream(&text, &size);
	struct zone *zone;

	(void)state;
	for (int i = 0; i < HALF; i++)
		fprintf(out, "host%d A 192.0.2.1\n", i);
	for (int i = 0; i < HALF / 2; i++)
		fprintf(out, "sub%d NS ns.sub%d\nns.sub%d A 192.0.2.2\n", i, i, i);
	fclose(out);
	zone = zone_of(soa, text);
	assert_true(zone->names > 10000);
	count = sample(zone, PICKED, 7, q);
	assert_int_equal(count, PICKED + QUESTIONS_ABSENT);
	for (size_t i = 0; i < PICKED; i++) {
		bool sub = memcmp(q[i].name + 1, "sub", 3) == 0;

		assert_int_equal(q[i].type, sub ? RR_NS : name_equal(q[i].name, apex) ? q[i].type : RR_A);
		assert_true(is_of(zone, &q[i]));
		low += !sub;
	}
	assert_in_range(low, PICKED / 10, PICKED - PICKED / 10);
	zone_put(zone);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_rrset_that_is_answered_is_asked_for_in_canonical_order),
		cmocka_unit_test(signatures_and_nsec3_records_are_not_asked_for),
		cmocka_unit_test(the_sample_is_of_names_beside_missing_types_empty_names_and_made_ones),
		cmocka_unit_test(the_sample_of_a_large_zone_is_a_part_of_it),
		cmocka_unit_test(a_server_of_the_same_zone_differs_in_nothing),
		cmocka_unit_test(letter_case_is_no_difference),
		cmocka_unit_test(glue_and_what_else_lies_below_a_cut_is_no_difference),
		cmocka_unit_test(a_ttl_without_authority_may_have_been_counted_down),
		cmocka_unit_test(a_server_of_the_zone_below_does_not_refer_to_it),
		cmocka_unit_test(an_alias_to_elsewhere_may_lead_where_it_will),
		cmocka_unit_test(a_compact_denial_says_that_a_name_is_not_there),
		cmocka_unit_test(a_record_that_is_missing_extra_or_another_is_shown),
		cmocka_unit_test(an_rrset_or_a_name_that_is_missing_is_shown_with_what_came),
		cmocka_unit_test(another_ttl_is_shown),
		cmocka_unit_test(what_should_not_be_there_is_shown),
		cmocka_unit_test(a_wildcard_and_an_empty_name_that_are_missing_are_shown),
		cmocka_unit_test(a_delegation_that_differs_is_shown),
		cmocka_unit_test(an_unsigned_server_of_a_signed_zone_is_shown_and_the_other_way_about),
		cmocka_unit_test(an_error_is_shown_and_no_answer_is_none),
		cmocka_unit_test(chance_picks_rrsets_and_names_that_are_not_there),
		cmocka_unit_test(a_large_zone_is_sampled_all_over),
		cmocka_unit_test(a_long_difference_is_cut),
		cmocka_unit_test(the_kind_says_what_is_wrong_above_all),
	};

	rr_init();
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
