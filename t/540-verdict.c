/* check/verdict: each finding where it must be, and none where it must not. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "survey-world.h"

#include <ldns/ldns.h>

#define S1V4 " ns1.a.info. 192.0.2.1"
#define S1V6 " ns1.a.info. 2001:db8:1::1"
#define S2V4 " ns2.b.net. 198.51.100.2"
#define S2V6 " ns2.b.net. 2001:db8:2::2"

static void shows_ns(struct world *w, size_t server, const char *text)
{
	answers(&w->servers[server].ns_set, RR_NS, AA, text);
}

static void all_show_ns(struct world *w, const char *text)
{
	for (size_t i = 0; i < w->survey.server_count; i++)
		shows_ns(w, i, text);
}

static void where_all_is_well_nothing_is_found(void **state)
{
	struct world *w = make_world();

	(void)state;
	expect_at(w, NOW, "");
	assert_int_equal(w->verdict->row_count, 4);
	assert_string_equal(w->verdict->rows[0].name, "ns1.a.info.");
	assert_string_equal(w->verdict->rows[0].address, "192.0.2.1");
	assert_int_equal(w->verdict->rows[0].serial.v, 7);
	assert_int_equal(w->verdict->rows[0].ns_set, 1);
	assert_int_equal(w->verdict->rows[0].rtt_us, 1500);
	assert_int_equal(w->verdict->rows[0].tcp, ANSWER_GOOD);
	assert_true(w->verdict->serial_known);
	assert_int_equal(w->verdict->serial.v, 7);
	assert_string_equal(w->verdict->zone, "example.com.");
	expect_at(w, NOW + 10 * 86400, "");
	free_world(w);
}

/* --- delegation ------------------------------------------------------------------ */

#define THIRD "example.com. 86400 IN NS ns3.c.org.\n"
#define ONLY_1 "example.com. 86400 IN NS ns1.a.info.\n"

static void the_delegation_names_one_more(void **state)
{
	struct world *w = make_world();

	(void)state;
	refers(w, 0, NS_TEXT THIRD, NULL);
	expect_at(w, NOW, "NS-PARENT-EXTRA!");
	says(w, 0, "ns3.c.org.");
	free_world(w);
}

static void the_apex_names_one_more(void **state)
{
	struct world *w = make_world();

	(void)state;
	all_show_ns(w, NS_TEXT THIRD);
	expect_at(w, NOW, "NS-CHILD-EXTRA");
	says(w, 0, "ns3.c.org.");
	free_world(w);
}

static void one_server_lacks_a_name(void **state)
{
	struct world *w = make_world();

	(void)state;
	shows_ns(w, NS2_V4, ONLY_1);
	expect_at(w, NOW, "NS-PARENT-EXTRA!" S2V4 "; NS-SPLIT!" S2V4);
	says(w, 0, "ns2.b.net.");
	says(w, 1, "lacks [ns2.b.net.]");
	assert_int_equal(w->verdict->rows[NS2_V4].ns_set, 2);
	free_world(w);
}

static void one_server_adds_a_name(void **state)
{
	struct world *w = make_world();

	(void)state;
	shows_ns(w, NS2_V4, NS_TEXT THIRD);
	expect_at(w, NOW, "NS-SPLIT!" S2V4 "; NS-CHILD-EXTRA" S2V4);
	says(w, 1, "ns3.c.org.");
	free_world(w);
}

static void without_a_delegation_most_servers_decide(void **state)
{
	struct world *w = make_world();

	(void)state;
	w->survey.parent_count = 0;
	shows_ns(w, NS2_V4, ONLY_1);
	expect(w, "NS-SPLIT!" S2V4);
}

static void the_parents_servers_disagree(void **state)
{
	struct world *w = make_world();

	(void)state;
	add_parent(w, "203.0.113.2");
	refers(w, 1, NS_TEXT THIRD, NULL);
	expect(w, "NS-PARENT-EXTRA! p.com. 203.0.113.2; NS-SPLIT! p.com. 203.0.113.2");
	w = make_world();
	add_parent(w, "203.0.113.2");
	refers(w, 0, ONLY_1, NULL);  /* the first one, which as many are for: but the children are for the other */
	expect(w, "NS-SPLIT! p.com. 203.0.113.1; NS-CHILD-EXTRA p.com. 203.0.113.1");
}

static void a_parent_that_serves_the_zone_too_answers_for_the_child(void **state)
{
	struct world *w = make_world();

	(void)state;
	add_parent(w, "203.0.113.2");
	set(&w->parents[1].referral, reply_for(example, RR_NS, AA, RCODE_NOERROR, NS_TEXT THIRD, NULL, NULL));
	expect(w, "");               /* who delegates decides */
	w = make_world();
	set(&w->parents[0].referral, reply_for(example, RR_NS, AA, RCODE_NOERROR, NS_TEXT THIRD, NULL, NULL));
	expect(w, "NS-PARENT-EXTRA!");
}

static void what_a_resolver_says_is_no_delegation(void **state)
{
	struct world *w = make_world();

	(void)state;
	set(&w->parents[0].referral, reply_for(example, RR_NS, RA, RCODE_NOERROR, NS_TEXT THIRD, NULL, NULL));
	expect(w, "");
}

static void names_in_other_letters_are_the_same(void **state)
{
	struct world *w = make_world();

	(void)state;
	refers(w, 0, "EXAMPLE.com. 86400 IN NS NS1.A.INFO.\nexample.COM. 86400 IN NS ns2.B.net.\n", NULL);
	shows_ns(w, NS1_V4, "Example.com. 86400 IN NS NS2.b.NET.\nexample.com. 86400 IN NS nS1.a.info.\n");
	expect(w, "");
}

static void only_the_ttl_differs(void **state)
{
	struct world *w = make_world();

	(void)state;
	shows_ns(w, NS1_V6, "example.com. 43200 IN NS ns1.a.info.\nexample.com. 43200 IN NS ns2.b.net.\n");
	expect_at(w, NOW, "NS-TTL" S1V6);
	says(w, 0, "43200");
	shows_ns(w, NS1_V6, "example.com. 43200 IN NS ns1.a.info.\n");
	expect_at(w, NOW, "NS-PARENT-EXTRA!" S1V6 "; NS-SPLIT!" S1V6);
	free_world(w);
}

static void the_apex_ttl_is_far_below_the_parents(void **state)
{
	static const char short_one[] = "example.com. 8639 IN NS ns1.a.info.\nexample.com. 8639 IN NS ns2.b.net.\n", tenth[] =
		"example.com. 8640 IN NS ns1.a.info.\nexample.com. 8640 IN NS ns2.b.net.\n";
	struct world *w = make_world();

	(void)state;
	all_show_ns(w, short_one);
	expect_at(w, NOW, "TTL-NS");
	all_show_ns(w, tenth);
	expect_at(w, NOW, "");
	shows_ns(w, NS2_V6, short_one);
	expect_at(w, NOW, "NS-TTL" S2V6 "; TTL-NS" S2V6);
	free_world(w);
}

static void the_set_is_not_the_configured_one(void **state)
{
	static const uint8_t ns3[] = "\3ns3\1c\3org";
	const uint8_t *const right[] = {ns2_name, ns1_name}, *const more[] = {ns1_name, ns2_name, ns3};
	struct world *w = make_world();

	(void)state;
	w->settings.expected = right;
	w->settings.expected_count = 2;
	expect_at(w, NOW, "");
	shows_ns(w, NS2_V4, ONLY_1);
	expect_at(w, NOW, "NS-PARENT-EXTRA!" S2V4 "; NS-SPLIT!" S2V4 "; NS-EXPECTED!" S2V4);
	shows_ns(w, NS2_V4, NS_TEXT);
	w->settings.expected = more;
	w->settings.expected_count = 3;
	expect_at(w, NOW, "NS-EXPECTED!");
	says(w, 0, "lacks [ns3.c.org.]");
	free_world(w);
}

static void a_provider_ignores_what_it_was_given(void **state)
{
	const uint8_t *const a_ns[] = {ns1_name}, *const b_ns[] = {ns2_name};
	const struct verdict_provider providers[] = {{"a", a_ns, 1}, {"b", b_ns, 1}};
	struct world *w = make_world();

	(void)state;
	w->settings.providers = providers;
	w->settings.provider_count = 2;
	expect_at(w, NOW, "");
	shows_ns(w, NS1_V4, ONLY_1);
	shows_ns(w, NS1_V6, ONLY_1);
	expect_at(w, NOW,
		"NS-PARENT-EXTRA!" S1V4 "; NS-PARENT-EXTRA!" S1V6 "; NS-SPLIT!" S1V4 "; NS-SPLIT!" S1V6
		"; NS-APEX-IGNORED!" S1V4 "; NS-APEX-IGNORED!" S1V6);
	says(w, 4, "\"a\"");
	shows_ns(w, NS1_V4, NS_TEXT);
	shows_ns(w, NS1_V6, NS_TEXT);
	/* One that was not configured, but is its own. */
	shows_ns(w, NS1_V4, "example.com. 86400 IN NS ns1.a.info.\nexample.com. 86400 IN NS ns7.a.info.\n");
	expect_at(w, NOW, "NS-PARENT-EXTRA!" S1V4 "; NS-SPLIT!" S1V4 "; NS-APEX-IGNORED!" S1V4 "; NS-CHILD-EXTRA" S1V4);
	shows_ns(w, NS1_V4, NS_TEXT);
	shows_ns(w, NS2_V4, ONLY_1);   /* another's names alone: that is no set of its own */
	expect_at(w, NOW, "NS-PARENT-EXTRA!" S2V4 "; NS-SPLIT!" S2V4);
	free_world(w);
}

static void a_nameserver_is_an_alias_or_has_no_address(void **state)
{
	struct world *w = make_world();

	(void)state;
	resolves(w, 0, "ns1.a.info. 60 IN CNAME x.info.\nx.info. 60 IN A 192.0.2.1\n", NULL);
	expect_at(w, NOW, "NS-TARGET! ns1.a.info.");
	says(w, 0, "x.info.");
	resolves(w, 0, NULL, NULL);
	expect_at(w, NOW, "NS-TARGET! ns1.a.info.");
	set(&w->ns[0].a, reply_for(ns1_name, RR_A, 0, RCODE_NXDOMAIN, NULL, NULL, NULL));
	expect_at(w, NOW, "NS-TARGET! ns1.a.info.");
	says(w, 0, "does not exist");
	resolves(w, 0, NULL, "ns1.a.info. 60 IN AAAA 2001:db8:1::1\n");
	expect_at(w, NOW, "");
	resolves(w, 0, NULL, NULL);
	set(&w->ns[0].aaaa, reply_for(ns1_name, RR_AAAA, 0, RCODE_SERVFAIL, NULL, NULL, NULL));
	expect_at(w, NOW, "CHECK-INCOMPLETE ns1.a.info.");
	says(w, 0, "IPv6");
	set(&w->ns[0].aaaa, NULL);
	expect_at(w, NOW, "");       /* -4 */
	free_world(w);
}

static void glue_differs_from_the_address(void **state)
{
	struct world *w = make_world();

	(void)state;
	refers(w, 0, NS_TEXT, "ns1.a.info. 86400 IN A 192.0.2.1\n");
	expect_at(w, NOW, "");       /* none for IPv6 and for ns2, which are not in the zone */
	refers(w, 0, NS_TEXT, "ns1.a.info. 86400 IN A 192.0.2.9\nns1.a.info. 86400 IN AAAA 2001:db8:1::1\n");
	expect_at(w, NOW, "GLUE-DRIFT! ns1.a.info.");
	says(w, 0, "192.0.2.9");
	says(w, 0, "192.0.2.1");
	refers(w, 0, NS_TEXT, "ns1.a.info. 86400 IN A 192.0.2.1\nns1.a.info. 86400 IN A 192.0.2.9\n");
	expect_at(w, NOW, "GLUE-DRIFT! ns1.a.info.");
	refers(w, 0, NS_TEXT, "ns9.a.info. 86400 IN A 192.0.2.9\n");
	expect_at(w, NOW, "");       /* of no nameserver */
	free_world(w);
}

static void a_nameserver_in_the_zone_needs_its_glue(void **state)
{
	static const uint8_t inside[] = "\2ns\7example\3com";
	static const char set_text[] = "example.com. 86400 IN NS ns.example.com.\nexample.com. 86400 IN NS ns2.b.net.\n";
	struct world *w = make_world();

	(void)state;
	w->ns[0].name = inside;
	all_show_ns(w, set_text);
	resolves(w, 0, "ns.example.com. 60 IN A 192.0.2.1\n", "ns.example.com. 60 IN AAAA 2001:db8:1::1\n");
	refers(w, 0, set_text, "ns.example.com. 86400 IN A 192.0.2.1\n");
	expect_at(w, NOW, "GLUE-DRIFT! ns.example.com.");
	says(w, 0, "AAAA: the glue is none");
	refers(w, 0, set_text, "ns.example.com. 86400 IN A 192.0.2.1\nns.example.com. 86400 IN AAAA 2001:db8:1::1\n");
	expect_at(w, NOW, "");
	free_world(w);
}

static void the_referral_is_too_large(void **state)
{
	struct world *w = make_world();

	(void)state;
	set(&w->parents[0].referral_512, reply_for(example, RR_NS, BARE | TC, RCODE_NOERROR, NULL, NS_TEXT, NULL));
	expect_at(w, NOW, "REFERRAL-SIZE");
	w->parents[0].referral_512->tc = false;
	w->parents[0].referral_512->size = 513;
	expect_at(w, NOW, "REFERRAL-SIZE");
	w->parents[0].referral_512->size = 512;
	expect_at(w, NOW, "");
	free_world(w);
}

/* --- a new delegation -------------------------------------------------------------- */

static struct world *make_candidates(void)
{
	struct world *w = make_world();

	w->settings.ready = true;
	w->ns[0].from |= FROM_GIVEN;
	w->ns[1].from |= FROM_GIVEN;
	return w;
}

static void a_candidates_address_is_not_the_given_one(void **state)
{
	struct world *w = make_candidates();

	(void)state;
	w->ns[0].has_given = w->servers[NS1_V4].given = w->servers[NS1_V6].given = true;
	expect_at(w, NOW, "");
	resolves(w, 0, "ns1.a.info. 60 IN A 192.0.2.9\n", "ns1.a.info. 60 IN AAAA 2001:db8:1::1\n");
	expect_at(w, NOW, "GLUE-DRIFT! ns1.a.info.");
	says(w, 0, "192.0.2.1,");
	says(w, 0, "192.0.2.9");
	resolves(w, 0, "ns1.a.info. 60 IN A 192.0.2.1\n", NULL);
	expect_at(w, NOW, "GLUE-DRIFT! ns1.a.info.");
	says(w, 0, "AAAA: what was given is 2001:db8:1::1, the authoritative answer is none");
	w->servers[NS1_V6].given = false;    /* of that type none was given */
	resolves(w, 0, "ns1.a.info. 60 IN A 192.0.2.1\n", "ns1.a.info. 60 IN AAAA 2001:db8:1::99\n");
	expect_at(w, NOW, "");
	resolves(w, 0, "ns1.a.info. 60 IN A 192.0.2.1\nns1.a.info. 60 IN A 192.0.2.2\n", NULL);
	expect_at(w, NOW, "GLUE-DRIFT! ns1.a.info.");        /* one that nobody has looked at */
	w->servers[NS2_V4].ns = 0;   /* given, and in another order */
	w->servers[NS2_V4].given = true;
	w->servers[NS2_V4].address = address_of("192.0.2.1");
	w->servers[NS1_V4].address = address_of("192.0.2.2");
	expect_at(w, NOW, "");
	resolves(w, 0, NULL, NULL);
	expect_at(w, NOW, "NS-TARGET! ns1.a.info.");
	w->settings.ready = false;   /* who only asks somewhere else may do so */
	resolves(w, 0, "ns1.a.info. 60 IN A 192.0.2.9\n", NULL);
	expect_at(w, NOW, "");
	free_world(w);
}

/* A name of so many octets. */
static void make_name(uint8_t *out, size_t octets, const char *tld)
{
	size_t end = octets - strlen(tld) - 2, at = 0;

	while (at < end) {
		size_t label = end - at > 64 ? 64 : end - at;

		label -= end - at - label == 1;
		out[at] = (uint8_t)(label - 1);
		memset(out + at + 1, 'x', label - 1);
		at += label;
	}
	out[end] = (uint8_t)strlen(tld);
	memcpy(out + end + 1, tld, strlen(tld) + 1);
}

static void all_show_names(struct world *w)
{
	char text[3][NAME_TEXT_SIZE], set_text[4000];

	snprintf(set_text, sizeof set_text, "example.com. 86400 IN NS %s\nexample.com. 86400 IN NS %s\nexample.com. 86400 IN NS %s\n",
		name_text(w->ns[0].name, text[0]), name_text(w->ns[1].name, text[1]), name_text(w->ns[2].name, text[2]));
	all_show_ns(w, set_text);
}

/* Header 12, question 17, each NS record 12 and its name: 250 octets, those given, and 5 for the zone's own; its two addresses 16 and 28. */
static void expect_of_octets(size_t octets, bool given, const char *expected)
{
	static const uint8_t own[] = "\2ns\7example\3com";
	uint8_t names[2][NAME_SIZE];
	struct world *w = make_candidates();
	size_t ns = add_ns(w, own, FROM_GIVEN), four = add_server(w, ns, "203.0.113.77"), six = add_server(w, ns, "2001:db8:3::77");

	make_name(names[0], 250, "info");
	make_name(names[1], octets - (12 + 17 + 3 * 12 + 250 + 5 + 16 + 28), "net");
	for (size_t i = 0; i < 2; i++) {
		w->ns[i].name = names[i];
		set(&w->ns[i].a, NULL);
		set(&w->ns[i].aaaa, NULL);
	}
	w->ns[ns].has_given = w->servers[four].given = w->servers[six].given = given;
	if (!given)
		resolves(w, ns, "ns.example.com. 60 IN A 203.0.113.77\n", "ns.example.com. 60 IN AAAA 2001:db8:3::77\n");
	all_show_names(w);
	expect(w, expected);
}

static void the_new_referral_will_be_too_large(void **state)
{
	struct world *w = make_candidates();

	(void)state;
	set(&w->parents[0].referral_512, reply_for(example, RR_NS, BARE | TC, RCODE_NOERROR, NULL, NS_TEXT, NULL));
	expect(w, "");               /* today's is another matter */
	for (unsigned given = 0; given < 2; given++) {
		expect_of_octets(512, given, "");
		expect_of_octets(513, given, "REFERRAL-SIZE");
	}
}

/* --- answers --------------------------------------------------------------------- */

static void silent(struct world *w, size_t server, enum reply_outcome outcome, const char *text)
{
	struct survey_server *s = &w->servers[server];
	struct reply **all[] = {&s->soa, &s->soa_again, &s->tcp_soa, &s->plain_soa};

	for (size_t i = 0; i < 4; i++)
		fails(all[i], outcome, text);
}

static void a_server_does_not_answer(void **state)
{
	struct world *w = make_world();

	(void)state;
	silent(w, NS1_V4, REPLY_TIMEOUT, "timed out");
	expect_at(w, NOW, "UNREACHABLE!" S1V4);
	assert_false(w->verdict->rows[0].shows_serial);
	assert_int_equal(w->verdict->rows[0].rtt_us, -1);
	answers(&w->servers[NS1_V4].tcp_soa, RR_SOA, AA, SOA_TEXT);
	expect_at(w, NOW, "UNREACHABLE!" S1V4);
	says(w, 0, "over TCP it answers");
	silent(w, NS1_V4, REPLY_UNREACHABLE, "connection refused");
	expect_at(w, NOW, "UNREACHABLE!" S1V4);
	free_world(w);
}

static void garbage_is_no_answer_and_no_silence(void **state)
{
	struct world *w = make_world();

	(void)state;
	silent(w, NS1_V4, REPLY_GARBAGE, "the header is cut off");
	expect_at(w, NOW, "CHECK-INCOMPLETE" S1V4);
	says(w, 0, "the header is cut off");
	free_world(w);
}

static void where_nobody_answers_at_all_nothing_is_known(void **state)
{
	struct world *w = make_world();

	(void)state;
	for (size_t i = 0; i < SERVERS; i++)
		silent(w, i, REPLY_TIMEOUT, "timed out");
	expect_at(w, NOW, "UNREACHABLE!" S1V4 "; UNREACHABLE!" S1V6 "; UNREACHABLE!" S2V4 "; UNREACHABLE!" S2V6);
	for (size_t i = 0; i < 2; i++) {
		fails(&w->ns[i].a, REPLY_TIMEOUT, "timed out");
		fails(&w->ns[i].aaaa, REPLY_TIMEOUT, "timed out");
	}
	fails(&w->parents[0].referral, REPLY_TIMEOUT, "timed out");
	fails(&w->parents[0].referral_512, REPLY_TIMEOUT, "timed out");
	fails(&w->parents[0].ds, REPLY_TIMEOUT, "timed out");
	expect_at(w, NOW, "CHECK-INCOMPLETE; CHECK-INCOMPLETE ns1.a.info.; CHECK-INCOMPLETE ns2.b.net.");
	free_world(w);
}

static void no_way_to_ipv6_is_not_the_servers_fault(void **state)
{
	struct world *w = make_world();

	(void)state;
	silent(w, NS1_V6, REPLY_UNREACHABLE, "2001:db8:1::1: Network is unreachable");
	expect_at(w, NOW, "UNREACHABLE!" S1V6);
	silent(w, NS2_V6, REPLY_UNREACHABLE, "2001:db8:2::2: Network is unreachable");
	expect_at(w, NOW, "CHECK-INCOMPLETE");
	says(w, 0, "-4");
	free_world(w);
}

static void a_lame_server(void **state)
{
	struct world *w = make_world();

	(void)state;
	set(&w->servers[NS2_V4].soa, reply_for(example, RR_SOA, 0, RCODE_REFUSED, NULL, NULL, NULL));
	set(&w->servers[NS2_V4].plain_soa, reply_for(example, RR_SOA, BARE, RCODE_REFUSED, NULL, NULL, NULL));
	expect_at(w, NOW, "LAME!" S2V4);
	says(w, 0, "REFUSED");
	answers(&w->servers[NS2_V4].soa, RR_SOA, 0, SOA_TEXT);
	expect_at(w, NOW, "LAME!" S2V4);
	says(w, 0, "without authority");
	answers(&w->servers[NS2_V4].soa, RR_SOA, AA, NULL);
	expect_at(w, NOW, "LAME!" S2V4);
	answers(&w->servers[NS2_V4].soa, RR_SOA, AA, SOA_TEXT);
	answers(&w->servers[NS2_V4].ns_set, RR_NS, 0, NS_TEXT);
	expect_at(w, NOW, "LAME!" S2V4);
	answers(&w->servers[NS2_V4].ns_set, RR_NS, AA, NULL);
	expect_at(w, NOW, "LAME!" S2V4);
	free_world(w);
}

static void tcp_fails(void **state)
{
	struct world *w = make_world();

	(void)state;
	fails(&w->servers[NS1_V6].tcp_soa, REPLY_TIMEOUT, "timed out");
	expect_at(w, NOW, "TCP-FAIL" S1V6);
	set(&w->servers[NS1_V6].tcp_soa, reply_for(example, RR_SOA, 0, RCODE_REFUSED, NULL, NULL, NULL));
	expect_at(w, NOW, "TCP-FAIL" S1V6);
	assert_int_equal(w->verdict->rows[1].tcp, ANSWER_BAD);
	free_world(w);
}

static void edns_fails(void **state)
{
	struct world *w = make_world();
	struct survey_server *s = &w->servers[NS2_V6];

	(void)state;
	answers(&s->soa, RR_SOA, AA | BARE, SOA_TEXT);
	expect_at(w, NOW, "EDNS-FAIL" S2V6);
	fails(&s->soa, REPLY_TIMEOUT, "timed out");
	expect_at(w, NOW, "EDNS-FAIL" S2V6);
	assert_int_equal(w->verdict->rows[3].serial.v, 7);
	set(&s->soa, reply_for(example, RR_SOA, BARE, RCODE_FORMERR, NULL, NULL, NULL));
	expect_at(w, NOW, "EDNS-FAIL" S2V6);
	says(w, 0, "FORMERR");
	answers(&s->soa, RR_SOA, AA, SOA_TEXT);
	answers(&s->edns1, RR_SOA, AA, SOA_TEXT);
	expect_at(w, NOW, "EDNS-FAIL" S2V6);
	says(w, 0, "BADVERS");
	fails(&s->edns1, REPLY_TIMEOUT, "timed out");
	expect_at(w, NOW, "EDNS-FAIL" S2V6);
	set(&s->edns1, NULL);
	answers(&s->plain_soa, RR_SOA, AA, SOA_TEXT);
	expect_at(w, NOW, "EDNS-FAIL" S2V6);
	free_world(w);
}

static void caution(void **state)
{
	struct world *w = make_world();

	(void)state;
	w->servers[NS1_V4].soa->odd = true;
	w->servers[NS1_V4].soa->odd_from = address_of("192.0.2.99");
	expect_at(w, NOW, "ADDRESS-ODD" S1V4);
	says(w, 0, "192.0.2.99");
	w->servers[NS1_V4].soa->odd = false;
	answers(&w->servers[NS1_V4].soa, RR_SOA, AA | RA, SOA_TEXT);
	expect_at(w, NOW, "RECURSION" S1V4);
	shows_soa(w, NS1_V4, SOA_TEXT);
	set(&w->servers[NS2_V4].axfr, reply_for(example, RR_AXFR, AA, RCODE_NOERROR, SOA_TEXT NS_TEXT, NULL, NULL));
	expect_at(w, NOW, "TRANSFER-OPEN" S2V4);
	set(&w->servers[NS2_V4].axfr, NULL);
	expect_at(w, NOW, "");
	free_world(w);
}

static void what_one_was_asked_in_vain_is_named(void **state)
{
	struct world *w = make_world();

	(void)state;
	fails(&w->servers[NS1_V4].cds, REPLY_TIMEOUT, "timed out");
	expect_at(w, NOW, "CHECK-INCOMPLETE" S1V4);
	says(w, 0, "CDS");
	set(&w->servers[NS1_V4].cds, reply_for(example, RR_CDS, 0, RCODE_SERVFAIL, NULL, NULL, NULL));
	expect_at(w, NOW, "CHECK-INCOMPLETE" S1V4);
	set(&w->servers[NS1_V4].cds, NULL);
	w->gaps[0].what = "the resolver 192.0.2.53 does not answer";
	w->survey.gap_count = 1;
	expect_at(w, NOW, "CHECK-INCOMPLETE");
	says(w, 0, "192.0.2.53");
	free_world(w);
}

static void a_name_inside_of_a_zone_is_told_where_it_is(void **state)
{
	struct world *w = make_world();

	(void)state;
	w->survey.enclosing = com;
	expect_at(w, NOW, "CHECK-INCOMPLETE");
	says(w, 0, "lies in the zone com.");
	set(&w->parents[0].referral, reply_for(example, RR_NS, AA, RCODE_NXDOMAIN, NULL, NULL, NULL));
	expect_at(w, NOW, "CHECK-INCOMPLETE");
	says(w, 0, "example.com. does not exist");
	w->survey.enclosing = NULL;
	w->survey.server_count = w->survey.parent_count = w->survey.ns_count = 0;
	expect_at(w, NOW, "CHECK-INCOMPLETE");
	assert_int_equal(findings_status(w->verdict->findings), STATUS_UNKNOWN);
	free_world(w);
}

/* --- serials --------------------------------------------------------------------- */

static void all_but_show(struct world *w, size_t but, const char *text)
{
	for (size_t i = 0; i < w->survey.server_count; i++)
		if (i != but)
			shows_soa(w, i, text);
}

static void a_server_lags_behind(void **state)
{
	struct world *w = make_world();

	(void)state;
	all_but_show(w, NS2_V4, SOA_LINE(8));
	expect_at(w, NOW, "");       /* at first sight */
	assert_int_equal(w->verdict->rows[2].lag, 0);
	expect_at(w, NOW + 300, "");
	assert_int_equal(w->verdict->rows[2].lag, 300);
	assert_int_equal(w->verdict->rows[0].lag, 0);
	expect_at(w, NOW + 301, "SERIAL-LAG" S2V4);
	expect_at(w, NOW + 3600, "SERIAL-LAG" S2V4);
	expect_at(w, NOW + 3601, "SERIAL-LAG!" S2V4);
	says(w, 0, "the newest, 8");
	assert_int_equal(w->verdict->serial.v, 8);
	shows_soa(w, NS2_V4, SOA_LINE(8));
	expect_at(w, NOW + 3700, "");
	free_world(w);
}

static void a_candidate_that_is_behind_is_not_ready(void **state)
{
	struct world *w = make_world();

	(void)state;
	w->settings.ready = true;
	w->ns[0].from |= FROM_GIVEN;
	w->ns[1].from |= FROM_GIVEN;
	refers(w, 0, ONLY_1 THIRD, NULL);    /* today's delegation may differ */
	expect_at(w, NOW, "");
	all_but_show(w, NS2_V4, SOA_LINE(8));
	expect_at(w, NOW, "SERIAL-LAG!" S2V4);
	shows_soa(w, NS2_V4, SOA_LINE(8));
	shows_ns(w, NS2_V4, ONLY_1);
	expect_at(w, NOW, "NS-PARENT-EXTRA!" S2V4 "; NS-SPLIT!" S2V4);
	free_world(w);
}

static void a_server_stands_still_while_the_zone_moves(void **state)
{
	static const char *const lines[] = {SOA_LINE(8), SOA_LINE(9), SOA_LINE(10), SOA_LINE(11), SOA_LINE(12)};
	struct world *w = make_world();

	(void)state;
	for (int64_t t = 0; t <= 3600; t += 240) {
		all_but_show(w, NS2_V4, lines[t / 240 % 5]);
		if (t / 240 >= 5)
			break;
		expect_at(w, NOW + t, "");
	}
	all_but_show(w, NS2_V4, SOA_LINE(13));
	expect_at(w, NOW + 3601, "SERIAL-STUCK!" S2V4);
	says(w, 0, "stood at serial 7");
	free_world(w);
}

static void add_primary(struct world *w, const char *name, const char *address, const char *soa)
{
	size_t i = w->survey.primary_count++;

	w->primaries[i].name = name;
	w->primaries[i].address = address_of(address);
	if (soa)
		answers(&w->primaries[i].soa, RR_SOA, AA, soa);
	else
		fails(&w->primaries[i].soa, REPLY_TIMEOUT, "timed out");
}

static void a_server_is_ahead_of_the_primaries(void **state)
{
	struct world *w = make_world();

	(void)state;
	shows_soa(w, NS1_V4, SOA_LINE(8));
	expect_at(w, NOW, "");       /* no primary is known */
	add_primary(w, "hidden", "192.0.2.200", SOA_TEXT);
	expect_at(w, NOW, "SERIAL-AHEAD!" S1V4);
	add_primary(w, "hidden", "2001:db8::200", NULL);
	expect_at(w, NOW, "SERIAL-AHEAD!" S1V4);     /* the same one, by its other address */
	add_primary(w, "second", "192.0.2.201", NULL);
	expect_at(w, NOW, "");       /* it may have the serial */
	set(&w->primaries[2].soa, NULL);
	expect_at(w, NOW, "");       /* nor was it asked */
	set(&w->primaries[2].soa, reply_for(example, RR_SOA, 0, RCODE_REFUSED, NULL, NULL, NULL));
	expect_at(w, NOW, "");
	answers(&w->primaries[2].soa, RR_SOA, AA, SOA_LINE(8));
	expect_at(w, NOW, "");
	answers(&w->primaries[2].soa, RR_SOA, AA, SOA_TEXT);
	expect_at(w, NOW, "SERIAL-AHEAD!" S1V4);
	free_world(w);
}

static void a_primary_that_is_newer_counts(void **state)
{
	struct world *w = make_world();

	(void)state;
	add_primary(w, "hidden", "192.0.2.200", SOA_LINE(8));
	expect_at(w, NOW, "");
	assert_int_equal(w->verdict->serial.v, 8);
	expect_at(w, NOW + 301, "SERIAL-LAG" S1V4 "; SERIAL-LAG" S1V6 "; SERIAL-LAG" S2V4 "; SERIAL-LAG" S2V6);
	free_world(w);
}

/* Though no nameserver shows it, and no primary told us. */
static void all_stay_behind_what_is_served_here(void **state)
{
	static const char all_lag[] = "SERIAL-LAG" S1V4 "; SERIAL-LAG" S1V6 "; SERIAL-LAG" S2V4 "; SERIAL-LAG" S2V6;
	struct world *w = make_world();

	(void)state;
	w->settings.serves = true;
	assert_true(memory_serve(w->memory, (struct serial){7}, NOW - 1000, NOW));
	expect_at(w, NOW, "");
	assert_true(memory_serve(w->memory, (struct serial){8}, NOW + 10, NOW + 20));
	expect_at(w, NOW + 310, "");
	assert_int_equal(w->verdict->rows[0].lag, 300);
	expect_at(w, NOW + 311, all_lag);
	says(w, 0, "the newest, 8");
	assert_true(memory_serve(w->memory, (struct serial){8}, NOW + 10, NOW + 320));
	expect_at(w, NOW + 320, all_lag);
	w->settings.serves = false;  /* as when it has expired */
	expect_at(w, NOW + 330, "");
	free_world(w);
}

static void a_serial_goes_back(void **state)
{
	struct world *w = make_world();

	(void)state;
	expect_at(w, NOW, "");
	shows_soa(w, NS1_V4, SOA_LINE(6));
	expect_at(w, NOW + 10, "SERIAL-BACK!" S1V4);
	expect_at(w, NOW + 20, "SERIAL-BACK!" S1V4);
	shows_soa(w, NS1_V4, SOA_LINE(7));
	expect_at(w, NOW + 30, "");
	answers(&w->servers[NS1_V4].soa_again, RR_SOA, AA, SOA_LINE(6));   /* within one check */
	expect_at(w, NOW + 40, "SERIAL-BACK!" S1V4);
	free_world(w);
}

static void serials_wrap_around(void **state)
{
	struct world *w = make_world();

	(void)state;
	all_but_show(w, 99, SOA_LINE(4294967295));
	expect_at(w, NOW, "");
	all_but_show(w, 99, SOA_LINE(3));
	expect_at(w, NOW + 10, "");
	assert_int_equal(w->verdict->serial.v, 3);
	free_world(w);
}

static void other_fields_differ(void **state)
{
	struct world *w = make_world();

	(void)state;
	shows_soa(w, NS2_V6, "example.com. 3600 IN SOA ns1.a.info. host.example.com. 7 7200 3600 1209600 1800\n");
	expect_at(w, NOW, "SOA-DIFFERS" S2V6);
	says(w, 0, "minimum");
	shows_soa(w, NS2_V6, "example.com. 3600 IN SOA NS1.a.info. HOST.example.com. 7 7200 3600 1209600 3600\n");
	expect_at(w, NOW, "");
	shows_soa(w, NS2_V6, "example.com. 3600 IN SOA ns9.a.info. host.example.com. 7 7200 3600 1209600 3600\n");
	expect_at(w, NOW, "SOA-DIFFERS" S2V6);
	says(w, 0, "MNAME");
	free_world(w);
}

static void timers_make_no_sense(void **state)
{
	struct world *w = make_world();

	(void)state;
	all_but_show(w, 99, "example.com. 3600 IN SOA ns1.a.info. host.example.com. 7 3600 3601 1209600 3600\n");
	expect_at(w, NOW, "SOA-TIMERS");
	all_but_show(w, 99, "example.com. 3600 IN SOA ns1.a.info. host.example.com. 7 3600 3600 7199 3600\n");
	expect_at(w, NOW, "SOA-TIMERS");
	all_but_show(w, 99, "example.com. 3600 IN SOA ns1.a.info. host.example.com. 7 3600 3600 7200 3600\n");
	expect_at(w, NOW, "");
	w->settings.refresh_min = 3601;
	expect_at(w, NOW, "SOA-TIMERS");
	says(w, 0, "refresh (3600)");
	w->settings.refresh_min = 0;
	w->settings.expire_max = 7199;
	expect_at(w, NOW, "SOA-TIMERS");
	w->settings.expire_max = 0;
	shows_soa(w, NS1_V4, "example.com. 3600 IN SOA ns1.a.info. host.example.com. 7 3600 3601 7300 3600\n");
	expect_at(w, NOW, "SOA-DIFFERS" S1V4 "; SOA-TIMERS" S1V4);
	free_world(w);
}

static void a_secondary_that_is_cut_off_expires(void **state)
{
	struct world *w = make_world();

	(void)state;
	w->settings.lag_warn = w->settings.lag_crit = 0x7fffffff;
	all_but_show(w, NS2_V4, SOA_LINE(8));
	expect_at(w, NOW, "");
	expect_at(w, NOW + 1209600 - 259200, "");
	expect_at(w, NOW + 1209600 - 259199, "EXPIRE-HORIZON" S2V4);
	expect_at(w, NOW + 1209600 - 86399, "EXPIRE-HORIZON!" S2V4);
	expect_at(w, NOW + 1209600, "EXPIRE-HORIZON!" S2V4);
	free_world(w);
}

static void a_ttl_is_short(void **state)
{
	struct world *w = make_world();

	(void)state;
	all_but_show(w, 99, "example.com. 3599 IN SOA ns1.a.info. host.example.com. 7 7200 3600 1209600 3600\n");
	expect_at(w, NOW, "TTL-SHORT");
	says(w, 0, "example.com. SOA");
	all_but_show(w, 99, SOA_TEXT);
	all_show_ns(w, "example.com. 300 IN NS ns1.a.info.\nexample.com. 300 IN NS ns2.b.net.\n");
	refers(w, 0, "example.com. 300 IN NS ns1.a.info.\nexample.com. 300 IN NS ns2.b.net.\n", NULL);
	expect_at(w, NOW, "TTL-SHORT");
	says(w, 0, "5 minutes");
	w->settings.ttl_min = 300;
	expect_at(w, NOW, "");
	answers(&w->servers[NS1_V4].mx, RR_MX, AA, "example.com. 299 IN MX 10 mx.example.com.\n");
	expect_at(w, NOW, "TTL-SHORT");
	answers(&w->servers[NS1_V6].mx, RR_MX, AA, "example.com. 300 IN MX 10 mx.example.com.\n");
	expect_at(w, NOW, "TTL-SHORT" S1V4);
	set(&w->servers[NS1_V4].mx, NULL);
	set(&w->servers[NS1_V4].www_a, reply_for((const uint8_t *)"\3www\7example\3com", RR_A, AA, RCODE_NOERROR,
		"www.example.com. 299 IN CNAME example.org.\n", NULL, NULL));
	expect_at(w, NOW, "TTL-SHORT");
	says(w, 0, "www.example.com. CNAME");
	set(&w->servers[NS1_V4].www_a, NULL);
	w->settings.ttl_min = 3600;
	w->settings.levels.level[FINDING_TTL_SHORT] = SEVERITY_OFF + 1;
	expect_at(w, NOW, "");
	free_world(w);
}

/* --- floods: what it costs is counted ---------------------------------------------- */

static unsigned searches, verifications;

const struct rr *__real_reply_find(const struct rr *, size_t, const uint8_t *, uint16_t, size_t *);
const struct rr *__wrap_reply_find(const struct rr *, size_t, const uint8_t *, uint16_t, size_t *);
const struct rr *__wrap_reply_find(const struct rr *section, size_t count, const uint8_t *owner, uint16_t type, size_t *found_count)
{
	searches++;
	return __real_reply_find(section, count, owner, type, found_count);
}

ldns_status __real_ldns_verify_rrsig_evp_raw(const unsigned char *, size_t, const ldns_buffer *, EVP_PKEY *, const EVP_MD *);
ldns_status __wrap_ldns_verify_rrsig_evp_raw(const unsigned char *, size_t, const ldns_buffer *, EVP_PKEY *, const EVP_MD *);
ldns_status __wrap_ldns_verify_rrsig_evp_raw(const unsigned char *sig, size_t length, const ldns_buffer *data, EVP_PKEY *key, const EVP_MD *digest)
{
	verifications++;
	return __real_ldns_verify_rrsig_evp_raw(sig, length, data, key, digest);
}

/* How often replies are searched for one verdict. */
static unsigned searches_of(struct world *w, const char *expected)
{
	searches = verifications = 0;
	expect_at(w, NOW, expected);
	return searches;
}

/* 5,000 types of which nobody asked, or RRSIGs over the SOA record of 256 algorithms. */
static char *flood(bool of_signatures)
{
	enum { TYPES = 5000, SIGS = 1000, LINE = 200 };
	size_t used = 0, room = TYPES * LINE;
	char *text = malloc(room);

	assert_non_null(text);
	used = (size_t)snprintf(text, room, "%s", SOA_TEXT);
	for (unsigned i = 0; i < (of_signatures ? SIGS : TYPES); i++)
		used += of_signatures ? (size_t)snprintf(text + used, room - used,
			"example.com. 3600 IN RRSIG SOA %u 2 3600 20400101000000 20200101000000 %u example.com. AAAA\n", i % 256, i)
			: (size_t)snprintf(text + used, room - used, "example.com. 1 IN TYPE%u \\# 0\n", 2000 + i);
	return text;
}

static void what_nobody_asked_for_is_not_judged(void **state)
{
	struct world *w = make_world();
	unsigned usual = searches_of(w, "");
	char *text = flood(false);

	(void)state;
	all_but_show(w, 99, text);
	assert_int_equal(searches_of(w, ""), usual);
	free(text);
	text = flood(true);
	all_but_show(w, 99, text);
	assert_int_equal(searches_of(w, ""), usual);
	all_but_show(w, NS2_V4, text);
	shows_soa(w, NS2_V4, SOA_TEXT);
	assert_int_equal(searches_of(w, ""), usual);
	free(text);
	free_world(w);
}

/* --- DNSSEC ---------------------------------------------------------------------- */

struct signer { ldns_key_list *keys; char dnskeys[2000]; uint32_t begins, ends; };

static void add_key(struct signer *signer, ldns_signing_algorithm algorithm, bool sep)
{
	ldns_key *key = ldns_key_new_frm_algorithm(algorithm, 256);
	ldns_rr *rr;
	char *text;

	assert_non_null(key);
	ldns_key_set_flags(key, sep ? LDNS_KEY_ZONE_KEY | LDNS_KEY_SEP_KEY : LDNS_KEY_ZONE_KEY);
	ldns_key_set_pubkey_owner(key, ldns_dname_new_frm_str("example.com."));
	rr = ldns_key2rr(key);
	ldns_rr_set_ttl(rr, 3600);
	ldns_key_set_keytag(key, ldns_calc_keytag(rr));
	text = ldns_rr2str(rr);
	strcat(signer->dnskeys, text);
	free(text);
	ldns_rr_free(rr);
	ldns_key_list_push_key(signer->keys, key);
}

static struct signer *make_signer(void)
{
	struct signer *signer = calloc(1, sizeof *signer);

	assert_non_null(signer);
	signer->keys = ldns_key_list_new();
	signer->begins = NOW - 86400;
	signer->ends = NOW + 30 * 86400;
	return signer;
}

static void free_signer(struct signer *signer)
{
	ldns_key_list_free(signer->keys);
	free(signer);
}

/* The records of the text, and their signatures by the key number `n`. */
static char *signed_text(struct signer *signer, const char *text, size_t n)
{
	ldns_rr_list *set = ldns_rr_list_new(), *sigs;
	ldns_key_list *one = ldns_key_list_new();
	ldns_key *key = ldns_key_list_key(signer->keys, n);
	char *out, *part, *copy = strdup(text), *save = NULL;
	size_t room = strlen(text) + 2000;

	for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		ldns_rr *rr;

		assert_int_equal(ldns_rr_new_frm_str(&rr, line, 3600, NULL, NULL), LDNS_STATUS_OK);
		ldns_rr_list_push_rr(set, rr);
	}
	ldns_key_set_inception(key, signer->begins);
	ldns_key_set_expiration(key, signer->ends);
	ldns_key_list_push_key(one, key);
	sigs = ldns_sign_public(set, one);
	assert_non_null(sigs);
	part = ldns_rr_list2str(sigs);
	out = malloc(room);
	assert_non_null(out);
	snprintf(out, room, "%s%s", text, part);
	free(part);
	free(copy);
	ldns_rr_list_deep_free(sigs);
	ldns_rr_list_deep_free(set);
	free(one->_keys);
	free(one);
	return out;
}

static void sign_answer(struct signer *signer, struct reply **at, uint16_t type, const char *text, size_t n)
{
	char *whole = signed_text(signer, text, n);

	answers(at, type, AA, whole);
	free(whole);
}

/* The server shows the zone signed: the keys by the first key, the rest by the last one. */
static void sign_server(struct world *w, size_t server, struct signer *signer, const char *dnskeys)
{
	struct survey_server *s = &w->servers[server];
	size_t zsk = ldns_key_list_key_count(signer->keys) - 1;

	sign_answer(signer, &s->soa, RR_SOA, SOA_TEXT, zsk);
	sign_answer(signer, &s->ns_set, RR_NS, NS_TEXT, zsk);
	sign_answer(signer, &s->dnskey, RR_DNSKEY, dnskeys, 0);
}

static char *ds_text(struct signer *signer, size_t n)
{
	ldns_rr *key = ldns_key2rr(ldns_key_list_key(signer->keys, n)), *ds = ldns_key_rr2ds(key, LDNS_SHA256);
	char *text = ldns_rr2str(ds);

	ldns_rr_free(key);
	ldns_rr_free(ds);
	return text;
}

static struct signer *two_keys(void)
{
	struct signer *signer = make_signer();

	add_key(signer, LDNS_SIGN_ECDSAP256SHA256, true);
	add_key(signer, LDNS_SIGN_ECDSAP256SHA256, false);
	return signer;
}

static void has_ds(struct world *w, const char *text)
{
	set(&w->parents[0].ds, reply_for(example, RR_DS, AA, RCODE_NOERROR, text, NULL, NULL));
}

static struct world *signed_world(struct signer *signer)
{
	struct world *w = make_world();
	char *ds = ds_text(signer, 0);

	for (size_t i = 0; i < SERVERS; i++)
		sign_server(w, i, signer, signer->dnskeys);
	has_ds(w, ds);
	free(ds);
	return w;
}

static void a_signed_zone_is_well(void **state)
{
	struct signer *signer = two_keys();
	struct world *w = signed_world(signer);

	(void)state;
	expect(w, "");
	free_signer(signer);
}

static void no_key_fits_the_ds(void **state)
{
	struct signer *signer = two_keys(), *other = two_keys();
	struct world *w = signed_world(signer);
	char *ds = ds_text(other, 0);

	(void)state;
	has_ds(w, ds);
	expect_at(w, NOW, "DS-MISMATCH!" S1V4 "; DS-MISMATCH!" S1V6 "; DS-MISMATCH!" S2V4 "; DS-MISMATCH!" S2V6);
	has_ds(w, "example.com. 3600 IN DS 12345 253 2 0000000000000000000000000000000000000000000000000000000000000000\n");
	expect_at(w, NOW, "");       /* an algorithm that nobody knows: as if the zone were not signed */
	free(ds);
	free_world(w);
	free_signer(signer);
	free_signer(other);
}

static void a_server_without_keys_breaks_a_zone_that_has_ds(void **state)
{
	struct signer *signer = two_keys();
	struct world *w = signed_world(signer);

	(void)state;
	shows_soa(w, NS2_V4, SOA_TEXT);
	shows_ns(w, NS2_V4, NS_TEXT);
	answers(&w->servers[NS2_V4].dnskey, RR_DNSKEY, AA, NULL);
	expect_at(w, NOW, "DNSKEY-SPLIT!" S2V4 "; DS-MISMATCH!" S2V4);
	free_world(w);
	free_signer(signer);
}

static void signatures_do_not_validate(void **state)
{
	struct signer *signer = two_keys();
	struct world *w = signed_world(signer);
	char *text = signed_text(signer, signer->dnskeys, 1);

	(void)state;
	answers(&w->servers[NS1_V4].dnskey, RR_DNSKEY, AA, text);
	expect_at(w, NOW, "DS-MISMATCH!" S1V4);      /* signed, but not by the key that the DS is for */
	sign_server(w, NS1_V4, signer, signer->dnskeys);
	expect_at(w, NOW, "");
	answers(&w->servers[NS1_V4].soa, RR_SOA, AA, SOA_TEXT);
	expect_at(w, NOW, "DS-MISMATCH!" S1V4);
	says(w, 0, "not signed");
	free(text);
	text = signed_text(signer, SOA_LINE(6), 1);
	memcpy(strstr(text, " 6 "), " 7 ", 3);
	answers(&w->servers[NS1_V4].soa, RR_SOA, AA, text);
	expect_at(w, NOW, "DS-MISMATCH!" S1V4);
	says(w, 0, "does not fit");
	free(text);
	sign_server(w, NS1_V4, signer, signer->dnskeys);
	signer->begins = NOW + 3600;
	sign_answer(signer, &w->servers[NS1_V4].ns_set, RR_NS, NS_TEXT, 1);
	expect_at(w, NOW, "DS-MISMATCH!" S1V4);
	free_world(w);
	free_signer(signer);
}

static void signatures_come_to_their_end(void **state)
{
	struct signer *signer = two_keys();
	struct world *w = signed_world(signer);

	(void)state;
	signer->ends = NOW + 259200;
	sign_answer(signer, &w->servers[NS2_V6].ns_set, RR_NS, NS_TEXT, 1);
	expect_at(w, NOW, "");
	signer->ends = NOW + 259199;
	sign_answer(signer, &w->servers[NS2_V6].ns_set, RR_NS, NS_TEXT, 1);
	expect_at(w, NOW, "EXPIRE-HORIZON" S2V6);
	says(w, 0, "over NS");
	signer->ends = NOW + 86399;
	sign_answer(signer, &w->servers[NS2_V6].ns_set, RR_NS, NS_TEXT, 1);
	expect_at(w, NOW, "EXPIRE-HORIZON!" S2V6);
	signer->ends = NOW - 10;
	sign_answer(signer, &w->servers[NS2_V6].ns_set, RR_NS, NS_TEXT, 1);
	expect_at(w, NOW, "EXPIRE-HORIZON!" S2V6);
	says(w, 0, "ended 10 seconds ago");
	w->settings.expire_warn = w->settings.expire_crit = 0;
	expect_at(w, NOW, "EXPIRE-HORIZON!" S2V6);
	free_world(w);
	free_signer(signer);
}

/* The SOA record with signatures that do not fit: by the right key, but over another record; one a second from the signer's times on. */
static char *misfits(struct signer *signer, unsigned count, bool with_ends)
{
	char *text = malloc(20000);

	assert_non_null(text);
	strcpy(text, SOA_TEXT);
	for (unsigned i = 0; i < count; i++) {
		char *one = signed_text(signer, SOA_LINE(6), 1);

		strcat(text, strchr(one, '\n') + 1);
		free(one);
		signer->begins++;
		signer->ends += with_ends;
	}
	return text;
}

static void expired_signatures_are_tried_once(void **state)
{
	struct signer *signer = two_keys();
	struct world *w = signed_world(signer);
	char *text;

	(void)state;
	searches_of(w, "");
	assert_int_equal(verifications, 3 * SERVERS);
	signer->ends = NOW - 1000;
	text = misfits(signer, 16, true);
	answers(&w->servers[NS1_V4].soa, RR_SOA, AA, text);
	searches_of(w, "EXPIRE-HORIZON!" S1V4 "; DS-MISMATCH!" S1V4);
	assert_int_equal(verifications, 3 * (SERVERS - 1) + 2);
	free(text);
	free_world(w);
	free_signer(signer);
}

static void the_signatures_that_are_verified_are_counted(void **state)
{
	enum { ALL = 64 };
	struct signer *signer = two_keys();
	struct world *w = signed_world(signer);
	char *text = misfits(signer, 16, false);

	(void)state;
	answers(&w->servers[NS1_V4].soa, RR_SOA, AA, text);
	searches_of(w, "CHECK-INCOMPLETE" S1V4);
	says(w, 0, "more signatures would have to be verified");
	assert_int_equal(verifications, 3 * (SERVERS - 1) + ALL / SERVERS);
	for (size_t i = 0; i < SERVERS; i++)
		answers(&w->servers[i].soa, RR_SOA, AA, text);
	searches_of(w, "CHECK-INCOMPLETE" S1V4 "; CHECK-INCOMPLETE" S1V6 "; CHECK-INCOMPLETE" S2V4 "; CHECK-INCOMPLETE" S2V6);
	assert_int_equal(verifications, ALL);
	free(text);
	free_world(w);
	free_signer(signer);
}

/* RFC 8901, model 2: each has its own key for keys, and all have each other's for data. */
static void two_signers_with_each_others_keys_are_well(void **state)
{
	struct signer *a = two_keys(), *b = two_keys();
	struct world *w = signed_world(a);
	char set_a[4000], set_b[4000], ds[4000];
	char *ds_a = ds_text(a, 0), *ds_b = ds_text(b, 0), *zsk_a = strchr(a->dnskeys, '\n') + 1, *zsk_b = strchr(b->dnskeys, '\n') + 1;

	(void)state;
	snprintf(set_a, sizeof set_a, "%s%s", a->dnskeys, zsk_b);
	snprintf(set_b, sizeof set_b, "%s%s", b->dnskeys, zsk_a);
	snprintf(ds, sizeof ds, "%s%s", ds_a, ds_b);
	has_ds(w, ds);
	sign_server(w, NS1_V4, a, set_a);
	sign_server(w, NS1_V6, a, set_a);
	sign_server(w, NS2_V4, b, set_b);
	sign_server(w, NS2_V6, b, set_b);
	expect_at(w, NOW, "");
	sign_server(w, NS2_V6, b, b->dnskeys);       /* without the other's */
	expect_at(w, NOW, "DNSKEY-SPLIT!" S2V6);
	free(ds_a);
	free(ds_b);
	free_world(w);
	free_signer(a);
	free_signer(b);
}

static void signers_of_different_algorithms_are_split(void **state)
{
	struct signer *a = two_keys(), *b = make_signer();
	struct world *w = signed_world(a);
	char set_all[4000], ds[4000];
	char *ds_a = ds_text(a, 0), *ds_b;

	(void)state;
	add_key(b, LDNS_SIGN_ED25519, true);
	add_key(b, LDNS_SIGN_ED25519, false);
	ds_b = ds_text(b, 0);
	snprintf(set_all, sizeof set_all, "%s%s", a->dnskeys, b->dnskeys);
	snprintf(ds, sizeof ds, "%s%s", ds_a, ds_b);
	has_ds(w, ds);
	for (size_t i = 0; i < SERVERS; i++)
		sign_server(w, i, i == NS2_V6 ? b : a, set_all);
	expect_at(w, NOW, "DNSKEY-SPLIT!" S2V6);
	says(w, 0, "algorithms");
	free(ds_a);
	free(ds_b);
	free_world(w);
	free_signer(a);
	free_signer(b);
}

static void what_the_parent_would_act_on_differs(void **state)
{
	static const char cds[] = "example.com. 3600 IN CDS 12345 13 2 0000000000000000000000000000000000000000000000000000000000000000\n",
		cdnskey[] = "example.com. 3600 IN CDNSKEY 257 3 13 "
			"mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ==\n",
		csync[] = "example.com. 3600 IN CSYNC 7 3 A NS AAAA\n";
	struct world *w = make_world();

	(void)state;
	for (size_t i = 0; i < SERVERS; i++) {
		answers(&w->servers[i].cds, RR_CDS, AA, cds);
		answers(&w->servers[i].cdnskey, RR_CDNSKEY, AA, cdnskey);
		answers(&w->servers[i].csync, 62, AA, csync);
	}
	expect_at(w, NOW, "");
	answers(&w->servers[NS1_V6].cds, RR_CDS, AA, NULL);
	expect_at(w, NOW, "CDS-SPLIT!" S1V6);
	says(w, 0, "CDS");
	answers(&w->servers[NS1_V6].cds, RR_CDS, AA, cds);
	answers(&w->servers[NS1_V6].cdnskey, RR_CDNSKEY, AA, NULL);
	expect_at(w, NOW, "CDS-SPLIT!" S1V6);
	answers(&w->servers[NS1_V6].cdnskey, RR_CDNSKEY, AA, cdnskey);
	answers(&w->servers[NS1_V6].csync, 62, AA, "example.com. 3600 IN CSYNC 8 3 A NS AAAA\n");
	expect_at(w, NOW, "CSYNC-SPLIT!" S1V6);
	free_world(w);
}

/* --- diversity ------------------------------------------------------------------- */

static void all_have(struct world *w, const char *ns)
{
	refers(w, 0, ns, NULL);
	all_show_ns(w, ns);
}

static void all_nameservers_are_under_one_tld(void **state)
{
	static const uint8_t ns2[] = "\3ns2\1b\4info";
	struct world *w = make_world();

	(void)state;
	w->ns[1].name = ns2;
	resolves(w, 1, "ns2.b.info. 60 IN A 198.51.100.2\n", "ns2.b.info. 60 IN AAAA 2001:db8:2::2\n");
	all_have(w, "example.com. 86400 IN NS ns1.a.info.\nexample.com. 86400 IN NS ns2.b.info.\n");
	expect_at(w, NOW, "DIV-TLD");
	says(w, 0, "info.");
	free_world(w);
}

static void all_nameservers_are_with_one_provider(void **state)
{
	static const uint8_t ns2[] = "\3ns2\1a\4info";
	const uint8_t *const both[] = {ns1_name, ns2_name}, *const first[] = {ns1_name}, *const second[] = {ns2};
	const struct verdict_provider one[] = {{"big", both, 2}}, two[] = {{"a", first, 1}, {"b", second, 1}};
	struct world *w = make_world();

	(void)state;
	w->settings.providers = one;
	w->settings.provider_count = 1;
	expect_at(w, NOW, "DIV-PROVIDER");
	says(w, 0, "big");
	w->settings.provider_count = 0;
	w->ns[1].name = ns2;
	resolves(w, 1, "ns2.a.info. 60 IN A 198.51.100.2\n", "ns2.a.info. 60 IN AAAA 2001:db8:2::2\n");
	all_have(w, "example.com. 86400 IN NS ns1.a.info.\nexample.com. 86400 IN NS ns2.a.info.\n");
	expect_at(w, NOW, "DIV-PROVIDER; DIV-TLD");
	w->settings.providers = two;
	w->settings.provider_count = 2;
	expect_at(w, NOW, "DIV-TLD");        /* one domain, but two providers */
	free_world(w);
}

static void all_nameservers_are_in_one_prefix(void **state)
{
	struct world *w = make_world();

	(void)state;
	w->servers[NS2_V4].address = address_of("192.0.2.200");
	expect_at(w, NOW, "");       /* IPv6 has two */
	w->servers[NS2_V6].address = address_of("2001:db8:1:ffff::9");
	expect_at(w, NOW, "DIV-PREFIX");
	w->servers[NS2_V4].address = address_of("192.0.3.1");
	expect_at(w, NOW, "");
	free_world(w);
}

static void one_address_family(void **state)
{
	struct world *w = make_world();
	struct survey_server kept;

	(void)state;
	kept = w->servers[NS1_V6];
	w->servers[NS1_V6] = w->servers[NS2_V4];
	w->servers[NS2_V4] = kept;
	w->survey.server_count = 2;  /* those of IPv4 */
	resolves(w, 0, "ns1.a.info. 60 IN A 192.0.2.1\n", NULL);
	resolves(w, 1, "ns2.b.net. 60 IN A 198.51.100.2\n", NULL);
	expect_at(w, NOW, "DIV-FAMILY");
	says(w, 0, "IPv6");
	w->settings.one_family = true;
	expect_at(w, NOW, "");
	w->settings.one_family = false;
	set(&w->ns[0].aaaa, reply_for(ns1_name, RR_AAAA, 0, RCODE_SERVFAIL, NULL, NULL, NULL));
	expect_at(w, NOW, "CHECK-INCOMPLETE ns1.a.info.");   /* there may be one */
	free_world(w);
}

/* A provider's name that is not delegated to (yet) makes nothing more diverse. */
static void who_is_not_delegated_to_does_not_count(void **state)
{
	static const uint8_t ns3[] = "\3ns3\1c\3org";
	struct world *w = make_world();

	(void)state;
	add_ns(w, ns3, FROM_PROVIDER);
	resolves(w, 2, "ns3.c.org. 60 IN A 203.0.113.77\n", NULL);
	add_server(w, 2, "203.0.113.77");
	w->servers[NS2_V4].address = address_of("192.0.2.200");
	w->servers[NS2_V6].address = address_of("2001:db8:1:ffff::9");
	expect(w, "DIV-PREFIX");
}

static void there_is_but_one_nameserver(void **state)
{
	struct world *w = make_world();

	(void)state;
	w->survey.ns_count = 1;
	w->survey.server_count = 2;
	all_have(w, ONLY_1);
	expect_at(w, NOW, "DIV-PROVIDER; DIV-TLD; DIV-PREFIX; DIV-COUNT");
	w->survey.ns_count = 2;
	w->survey.server_count = 4;
	free_world(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(where_all_is_well_nothing_is_found),
		cmocka_unit_test(the_delegation_names_one_more),
		cmocka_unit_test(the_apex_names_one_more),
		cmocka_unit_test(one_server_lacks_a_name),
		cmocka_unit_test(one_server_adds_a_name),
		cmocka_unit_test(without_a_delegation_most_servers_decide),
		cmocka_unit_test(the_parents_servers_disagree),
		cmocka_unit_test(a_parent_that_serves_the_zone_too_answers_for_the_child),
		cmocka_unit_test(what_a_resolver_says_is_no_delegation),
		cmocka_unit_test(names_in_other_letters_are_the_same),
		cmocka_unit_test(only_the_ttl_differs),
		cmocka_unit_test(the_apex_ttl_is_far_below_the_parents),
		cmocka_unit_test(the_set_is_not_the_configured_one),
		cmocka_unit_test(a_provider_ignores_what_it_was_given),
		cmocka_unit_test(a_nameserver_is_an_alias_or_has_no_address),
		cmocka_unit_test(glue_differs_from_the_address),
		cmocka_unit_test(a_nameserver_in_the_zone_needs_its_glue),
		cmocka_unit_test(the_referral_is_too_large),
		cmocka_unit_test(a_candidates_address_is_not_the_given_one),
		cmocka_unit_test(the_new_referral_will_be_too_large),
		cmocka_unit_test(a_server_does_not_answer),
		cmocka_unit_test(garbage_is_no_answer_and_no_silence),
		cmocka_unit_test(where_nobody_answers_at_all_nothing_is_known),
		cmocka_unit_test(no_way_to_ipv6_is_not_the_servers_fault),
		cmocka_unit_test(a_lame_server),
		cmocka_unit_test(tcp_fails),
		cmocka_unit_test(edns_fails),
		cmocka_unit_test(caution),
		cmocka_unit_test(what_one_was_asked_in_vain_is_named),
		cmocka_unit_test(a_name_inside_of_a_zone_is_told_where_it_is),
		cmocka_unit_test(a_server_lags_behind),
		cmocka_unit_test(a_candidate_that_is_behind_is_not_ready),
		cmocka_unit_test(a_server_stands_still_while_the_zone_moves),
		cmocka_unit_test(a_server_is_ahead_of_the_primaries),
		cmocka_unit_test(a_primary_that_is_newer_counts),
		cmocka_unit_test(all_stay_behind_what_is_served_here),
		cmocka_unit_test(a_serial_goes_back),
		cmocka_unit_test(serials_wrap_around),
		cmocka_unit_test(other_fields_differ),
		cmocka_unit_test(timers_make_no_sense),
		cmocka_unit_test(a_secondary_that_is_cut_off_expires),
		cmocka_unit_test(a_ttl_is_short),
		cmocka_unit_test(what_nobody_asked_for_is_not_judged),
		cmocka_unit_test(a_signed_zone_is_well),
		cmocka_unit_test(no_key_fits_the_ds),
		cmocka_unit_test(a_server_without_keys_breaks_a_zone_that_has_ds),
		cmocka_unit_test(signatures_do_not_validate),
		cmocka_unit_test(signatures_come_to_their_end),
		cmocka_unit_test(expired_signatures_are_tried_once),
		cmocka_unit_test(the_signatures_that_are_verified_are_counted),
		cmocka_unit_test(two_signers_with_each_others_keys_are_well),
		cmocka_unit_test(signers_of_different_algorithms_are_split),
		cmocka_unit_test(what_the_parent_would_act_on_differs),
		cmocka_unit_test(all_nameservers_are_under_one_tld),
		cmocka_unit_test(all_nameservers_are_with_one_provider),
		cmocka_unit_test(all_nameservers_are_in_one_prefix),
		cmocka_unit_test(one_address_family),
		cmocka_unit_test(who_is_not_delegated_to_does_not_count),
		cmocka_unit_test(there_is_but_one_nameserver),
	};

	rr_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
