/* serve/limit, with the time as a parameter, and what serve/answer makes of it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "serve-zone.h"

#include "base/log.h"

static struct limit *limit;
static struct limit_rules rules;

static int begin(void **state)
{
	(void)state;
	limit = limit_new();
	assert_non_null(limit);
	rules = (struct limit_rules){.rate = 10, .slip = 2};
	return 0;
}

static int end(void **state)
{
	(void)state;
	limit_free(limit);
	return 0;
}

static struct net_addr addr(const char *text)
{
	struct net_addr a;

	assert_int_equal(net_addr_parse(&a, text, 4000, NULL), ERR_OK);
	return a;
}

static enum limit_verdict check(const char *from, enum limit_kind kind, const char *name, int64_t now)
{
	struct net_addr a = addr(from);

	return limit_check(limit, &rules, &a, kind, name ? name_of(name) : NULL, now);
}

/* How many of `count` answers at one time pass. */
static unsigned passed(const char *from, enum limit_kind kind, const char *name, int64_t now, unsigned count)
{
	unsigned n = 0;

	while (count--)
		n += check(from, kind, name, now) == LIMIT_PASS;
	return n;
}

/* --- the rate ----------------------------------------------------------------------------------- */

static void a_second_s_worth_passes_at_once_and_then_the_rate(void **state)
{
	static const unsigned rates[] = {1, 2, 3, 7, 10, 100, 999, 5000};

	(void)state;
	for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
		unsigned n = 0;
		int64_t now = 1000000 * ((int64_t)i + 1);

		rules.rate = rates[i];
		assert_int_equal(passed("192.0.2.1", LIMIT_ERROR, NULL, now, 6000), rates[i]);
		assert_int_equal(passed("192.0.2.1", LIMIT_ERROR, NULL, now + 1000, 6000), rates[i]);
		assert_int_equal(passed("192.0.2.1", LIMIT_ERROR, NULL, now + 1500, 6000), rates[i] / 2);
		now += 100000;
		for (unsigned ms = 0; ms < 10000; ms++)
			n += passed("192.0.2.1", LIMIT_ERROR, NULL, now + ms, 6);
		assert_in_range(n, 11 * rates[i] - 1 - rates[i] / 1000, 11 * rates[i]);
	}
}

static void a_bucket_holds_no_more_than_a_second_s_worth(void **state)
{
	(void)state;
	assert_int_equal(passed("192.0.2.1", LIMIT_ERROR, NULL, -5000, 100), 10);
	assert_int_equal(passed("192.0.2.1", LIMIT_ERROR, NULL, 86400000, 100), 10);
	assert_int_equal(passed("192.0.2.1", LIMIT_ERROR, NULL, 86400000 + 99, 1), 0);
	assert_int_equal(passed("192.0.2.1", LIMIT_ERROR, NULL, 86400000 + 100, 2), 1);
}

static void every_slip_th_is_cut_short(void **state)
{
	static const struct { unsigned slip; const char *verdicts; } known[] = {
		{0, "dddddddd"}, {1, "ssssssss"}, {2, "dsdsdsds"}, {3, "ddsddsdd"}, {100, "dddddddd"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		char from[32];

		snprintf(from, sizeof from, "10.0.%zu.1", i);
		rules.slip = known[i].slip;
		passed(from, LIMIT_ERROR, NULL, 1000, 10);
		for (const char *at = known[i].verdicts; *at; at++)
			assert_int_equal(check(from, LIMIT_ERROR, NULL, 1000), *at == 's' ? LIMIT_SLIP : LIMIT_DROP);
	}
}

/* --- accounts ------------------------------------------------------------------------------------- */

static void clients_of_one_prefix_share_an_account(void **state)
{
	static const struct { const char *one, *other; bool same; } pairs[] = {
		{"192.0.2.1", "192.0.2.255", true}, {"192.0.2.1", "192.0.3.1", false}, {"192.0.2.1", "193.0.2.1", false},
		{"2001:db8:1:100::1", "2001:db8:1:1ff:ffff::", true}, {"2001:db8:1:100::1", "2001:db8:1:200::1", false},
		{"2001:db8:1:100::1", "2001:db9:1:100::1", false}, {"192.0.2.1", "c000:200::", false}, {"192.0.2.1@1", "192.0.2.1@2", true},
	};

	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
		end(state);
		begin(state);
		assert_int_equal(passed(pairs[i].one, LIMIT_ERROR, NULL, 1000, 10), 10);
		assert_int_equal(passed(pairs[i].other, LIMIT_ERROR, NULL, 1000, 10), pairs[i].same ? 0 : 10);
	}
}

static void each_kind_and_name_has_an_account(void **state)
{
	static const struct { enum limit_kind kind; const char *name; } accounts[] = {
		{LIMIT_ANSWER, "a.example."}, {LIMIT_ANSWER, "b.example."}, {LIMIT_MADE, "a.example."}, {LIMIT_NODATA, "a.example."},
		{LIMIT_NXDOMAIN, "a.example."}, {LIMIT_REFERRAL, "a.example."}, {LIMIT_ERROR, NULL}, {LIMIT_ANSWER, "."},
	};

	(void)state;
	for (size_t i = 0; i < sizeof accounts / sizeof *accounts; i++)
		assert_int_equal(passed("192.0.2.1", accounts[i].kind, accounts[i].name, 1000, 11), 10);
	assert_int_equal(passed("192.0.2.1", LIMIT_ANSWER, "A.Example.", 1000, 10), 0);
}

static void all_of_a_prefix_together_have_ten_times_the_rate(void **state)
{
	unsigned n = 0;

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		char name[32];

		snprintf(name, sizeof name, "n%u.example.", i);
		n += passed("192.0.2.1", LIMIT_ANSWER, name, 1000, 1);
	}
	assert_int_equal(n, 100);
	assert_int_equal(passed("192.0.3.1", LIMIT_ANSWER, "n1.example.", 1000, 1), 1);
	assert_int_equal(passed("192.0.2.1", LIMIT_ANSWER, "x.example.", 1100, 11), 10);
}

static void who_is_allowed_is_never_limited(void **state)
{
	struct net_prefix allow[2];

	(void)state;
	net_prefix_parse(&allow[0], "198.51.100.0/24", NULL);
	net_prefix_parse(&allow[1], "192.0.2.128/25", NULL);
	rules.allow = allow;
	rules.allow_count = 2;
	assert_int_equal(passed("192.0.2.200", LIMIT_ERROR, NULL, 1000, 10), 10);
	assert_int_equal(check("192.0.2.200", LIMIT_ERROR, NULL, 1000), LIMIT_ALLOWED);
	assert_int_equal(check("192.0.2.1", LIMIT_ERROR, NULL, 1000), LIMIT_DROP);
}

static void what_is_only_logged_is_not_limited(void **state)
{
	(void)state;
	rules.log_only = true;
	assert_int_equal(passed("192.0.2.1", LIMIT_ERROR, NULL, 1000, 10), 10);
	for (int i = 0; i < 10; i++)
		assert_int_equal(check("192.0.2.1", LIMIT_ERROR, NULL, 1000), LIMIT_WOULD);
}

/* --- reports ------------------------------------------------------------------------------------------ */

static struct limit_event events[64];
static unsigned event_count;

static void on_report(void *ctx, const struct limit_event *event)
{
	assert_ptr_equal(ctx, &rules);
	assert_true(event_count < 64);
	events[event_count++] = *event;
}

static unsigned tick(int64_t now)
{
	event_count = 0;
	limit_tick(limit, now, on_report, &rules);
	return event_count;
}

static void a_beginning_and_an_end_are_reported_once(void **state)
{
	struct net_prefix six;

	(void)state;
	net_prefix_parse(&six, "2001:db8:1:100::/56", NULL);
	assert_int_equal(tick(1000), 0);
	passed("2001:db8:1:1aa::1", LIMIT_NXDOMAIN, "example.", 1000, 10);
	assert_int_equal(tick(1500), 0);
	passed("2001:db8:1:1aa::1", LIMIT_NXDOMAIN, "example.", 1000, 7);
	assert_int_equal(tick(2000), 1);
	assert_true(events[0].begins);
	assert_int_equal(events[0].kind, LIMIT_NXDOMAIN);
	assert_int_equal(events[0].held, 7);
	assert_int_equal(events[0].prefix.family, AF_INET6);
	assert_int_equal(events[0].prefix.bits, 56);
	assert_memory_equal(events[0].prefix.bytes, six.bytes, 16);
	assert_int_equal(tick(3000), 0);
	passed("2001:db8:1:1aa::1", LIMIT_NXDOMAIN, "example.", 5999, 30);
	assert_int_equal(tick(14999), 0);
	assert_int_equal(tick(15000), 1);
	assert_false(events[0].begins);
	assert_int_equal(events[0].held, 27);
	assert_int_equal(tick(16000), 0);
	passed("2001:db8:1:1aa::1", LIMIT_NXDOMAIN, "example.", 20000, 13);
	assert_int_equal(tick(20000), 1);
	assert_true(events[0].begins);
	assert_int_equal(events[0].held, 3);
}

static void an_ipv4_prefix_is_reported_as_such(void **state)
{
	struct net_prefix four;

	(void)state;
	net_prefix_parse(&four, "192.0.2.0/24", NULL);
	passed("192.0.2.77", LIMIT_ERROR, NULL, 1000, 11);
	assert_int_equal(tick(1000), 1);
	assert_int_equal(events[0].prefix.family, AF_INET);
	assert_int_equal(events[0].prefix.bits, 24);
	assert_memory_equal(events[0].prefix.bytes, four.bytes, 16);
}

static void the_worst_are_reported_first_and_few_at_a_time(void **state)
{
	unsigned begun = 0, ended = 0, left_out = 0;

	(void)state;
	for (unsigned i = 0; i < 23; i++) {
		char from[32];

		snprintf(from, sizeof from, "10.0.%u.1", i);
		passed(from, LIMIT_ERROR, NULL, 1000, 10 + 1 + i);
	}
	for (unsigned t = 0; t < 3; t++) {
		assert_int_equal(tick(1000), LIMIT_REPORTS);
		for (unsigned i = 0; i < LIMIT_REPORTS; i++, begun++)
			assert_int_equal(events[i].held, 23 - begun);
	}
	while (tick(11000)) {
		assert_in_range(event_count, 1, LIMIT_REPORTS);
		for (unsigned i = 0; i < event_count; i++) {
			assert_false(events[i].begins);
			left_out += events[i].left_out;
			ended++;
		}
	}
	assert_int_equal(ended, begun);
	passed("10.1.0.1", LIMIT_ERROR, NULL, 20000, 11);
	assert_int_equal(tick(20000), 1);
	assert_int_equal(left_out + events[0].left_out, 23 - begun);   /* which ended before their beginning was reported */
	passed("10.2.0.1", LIMIT_ERROR, NULL, 20000, 11);
	assert_int_equal(tick(20000), 1);
	assert_int_equal(events[0].left_out, 0);
}

static void the_allowed_are_not_reported_the_others_are_with_log_only(void **state)
{
	struct net_prefix allow;

	(void)state;
	net_prefix_parse(&allow, "198.51.100.0/24", NULL);
	rules.allow = &allow;
	rules.allow_count = 1;
	rules.log_only = true;
	passed("198.51.100.1", LIMIT_ERROR, NULL, 1000, 100);
	assert_int_equal(tick(1000), 0);
	passed("198.51.101.1", LIMIT_ERROR, NULL, 1000, 100);
	assert_int_equal(tick(1000), 1);
	assert_int_equal(events[0].held, 90);
}

/* --- the table ------------------------------------------------------------------------------------------ */

static struct net_addr numbered(uint32_t i)
{
	struct net_addr a = {.v4 = {.sin_family = AF_INET}};

	a.v4.sin_addr.s_addr = htonl(0x0b000000 + (i << 8));
	return a;
}

static void a_flood_from_many_prefixes_neither_frees_nor_limits_others(void **state)
{
	(void)state;
	passed("192.0.2.1", LIMIT_ERROR, NULL, 1000, 20);
	for (uint32_t i = 0; i < 500000; i++) {
		struct net_addr from = numbered(i);

		assert_int_equal(limit_check(limit, &rules, &from, LIMIT_ERROR, NULL, i < 250000 ? 1000 : 6000), LIMIT_PASS);
	}
	assert_int_equal(tick(6000), 1);
	assert_int_equal(events[0].held, 10);
	assert_int_equal(passed("192.0.2.1", LIMIT_ERROR, NULL, 6000, 20), 10);
	assert_int_equal(tick(16000), 1);
	assert_int_equal(events[0].held, 20);
	assert_memory_equal(events[0].prefix.bytes, "\300\0\2\0", 4);
}

static void more_limited_prefixes_than_there_is_room_for_are_borne(void **state)
{
	unsigned limited = 0, reports = 0;

	(void)state;
	for (uint32_t i = 0; i < 5000; i++) {
		struct net_addr from = numbered(i);

		for (int k = 0; k < 12; k++)
			limited += limit_check(limit, &rules, &from, LIMIT_ERROR, NULL, 1000) != LIMIT_PASS;
	}
	assert_in_range(limited, 9900, 10000);
	for (int64_t now = 1000; now < 2000000; now += 1000)
		reports += tick(now);
	assert_in_range(reports, 100, 110);                   /* LIMIT_QUIET ticks of beginnings, and their ends */
	assert_int_equal(passed("11.0.7.1", LIMIT_ERROR, NULL, 2000000, 20), 10);
	assert_int_equal(tick(2000000), 1);
}

/* --- answers ------------------------------------------------------------------------------------------------ */

enum { NOW = 1700000000 };

static const char zone_text[] =
	"@ 3600 IN SOA ns1 host 7 3600 900 604800 300\n@ IN NS ns1\nns1 IN A 192.0.2.1\nwww IN TXT \"text\"\nalias IN CNAME www\n"
	"wild IN TXT \"own\"\n*.wild IN TXT \"w\"\ndout IN DNAME elsewhere.test.\nd IN DNAME target\nx.target IN TXT \"x\"\n"
	"sub IN NS ns.sub\nns.sub IN A 192.0.2.2\n";
static const struct acl_rule anybody = {.any_address = true};
static struct serve_policy policy = {.notify = {&anybody, 1}};
static struct store *store;
static struct answer answerer;
static struct serve_counters counters;
static struct tsig_key key;
static struct cookie_secrets secrets = {1, {"fifteen octets!"}};
static struct serve_settings settings;
static struct answer_request in;
static uint8_t response[MSG_MAX];
static size_t response_length;

static int group_setup(void **state)
{
	(void)state;
	rr_init();
	log_setup(LOG_TO_STDERR, LOG_LEVEL_WARNING);
	store_thread_begin();
	store = store_new();
	add_zone(store, "example.", zone_text, &policy);
	return tsig_key_parse(&key, "key", "hmac-sha256", "c2VjcmV0IG9uZSBzZWNyZXQ=", NULL);
}

static int group_teardown(void **state)
{
	(void)state;
	store_settle();
	store_free(store);
	store_thread_end();
	return 0;
}

static int begin_answers(void **state)
{
	(void)state;
	answer_init(&answerer, store, &counters);
	answerer.limit = limit_new();
	memset(&counters, 0, sizeof counters);
	settings = (struct serve_settings){.identity = "ns1.test", .udp_payload = 1232, .cookies = &secrets, .keys = &key, .key_count = 1,
		.limit = {.rate = 5, .slip = 1}};
	in = (struct answer_request){.from = addr("192.0.2.200"), .now = NOW, .now_ms = 1000};
	return 0;
}

static int end_answers(void **state)
{
	(void)state;
	answer_release(&answerer);
	return 0;
}

/* The response as text, or "dropped". */
static const char *ask_bytes(const void *bytes, size_t length, bool tcp)
{
	enum answer_action action;

	in.bytes = bytes;
	in.length = length;
	in.tcp = tcp;
	store_enter();
	action = answer(&answerer, &settings, &in, response, &response_length, NULL);
	store_leave();
	return action == ANSWER_DROP ? "dropped" : show_message(response, response_length);
}

static const char *ask(const char *question)
{
	struct test_request request = request_of(question);

	return ask_bytes(request.bytes, request.length, request.tcp);
}

static struct test_request with_options(const char *question, const void *options, size_t length)
{
	struct test_request request = request_of(question);

	memcpy(request.bytes + request.length, options, length);
	put_u16(request.bytes + request.length - 2, (uint16_t)length);
	request.length += length;
	return request;
}

/* How many of `count` such questions get a whole answer; a '%' stands for a number that is another each time. */
static unsigned answered(const char *question, unsigned count)
{
	const char *percent = strchr(question, '%');
	uint64_t slipped = counters.rrl_slipped;
	char text[100];

	for (unsigned i = 0; i < count; i++) {
		if (percent)
			snprintf(text, sizeof text, "%.*s%u%s", (int)(percent - question), question, i, percent + 1);
		ask(percent ? text : question);
	}
	return count - (unsigned)(counters.rrl_slipped - slipped);
}

static void answers_are_limited_by_what_they_are(void **state)
{
	/* Whether names that are another each time have one account. */
	static const struct { const char *question; bool limited; } known[] = {
		{"www.example. TXT", true}, {"WWW.example. TXT noedns", true}, {"www.example. A", true}, {"%.example. A", true},
		{"%.sub.example. A", true}, {"%.wild.example. TXT", true}, {"%.wild.example. A", true}, {"%.d.example. TXT", true},
		{"%.dout.example. TXT", true},
		{"%.nowhere. A", true}, {"alias.example. TXT", true},
	};

	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		end_answers(state);
		begin_answers(state);
		assert_int_equal(answered(known[i].question, 20), 5);
	}
	end_answers(state);
	begin_answers(state);
	assert_int_equal(answered("www.example. TXT", 20), 5);
	assert_int_equal(answered("alias.example. TXT", 20), 5);
	assert_int_equal(answered("%.example. A", 20), 5);
	assert_int_equal(answered("www.example. A", 20), 5);
	assert_int_equal(answered("a.sub.example. A", 20), 5);
	assert_int_equal(answered("%.wild.example. TXT", 20), 5);
	assert_int_equal(answered("wild.example. TXT", 20), 5);
	assert_int_equal(answered("nowhere. A", 20), 5);
	assert_int_equal(answered("example. TXT HS", 20), 0);      /* an error like the one before */
	in.now_ms += 1000;
	assert_int_equal(answered("www.example. TXT", 20), 5);
	in.from = addr("192.0.3.200");
	assert_int_equal(answered("www.example. TXT", 20), 5);
}

static void what_is_over_the_limit_is_cut_short(void **state)
{
	static const struct { const char *question, *cut; } known[] = {
		{"www.example. TXT noedns", "NOERROR aa tc\n"}, {"www.example. TXT", "NOERROR aa tc edns=1232\n"},
		{"nothere.example. A do", "NOERROR aa tc edns=1232 do\n"}, {"a.sub.example. A", "NOERROR tc edns=1232\n"},
		{"nowhere. A rd", "REFUSED tc rd edns=1232\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		answered(known[i].question, 5);
		assert_string_equal(ask(known[i].question), known[i].cut);
	}
}

static void it_is_never_longer_than_the_query(void **state)
{
	static const char *const questions[] = {"www.example. TXT", "www.example. TXT noedns", "nothere.example. A", "nowhere. A",
		". NS", "id.server. TXT CH", "www.example. AXFR", "a.sub.example. A do", "x.d.example. TXT", "www.example. TXT HS"};
	static const char options[] = "\0\3\0\0\0\11\0\0\0\23\0\0\0\13\0\0";

	(void)state;
	for (size_t i = 0; i < 2 * sizeof questions / sizeof *questions; i++) {
		bool plain = strstr(questions[i / 2], "noedns");
		struct test_request request = i % 2 || plain ? request_of(questions[i / 2])
			: with_options(questions[i / 2], options, sizeof options - 1);

		for (int k = 0; k < 7; k++)
			ask_bytes(request.bytes, request.length, false);
		assert_in_range(response_length, 12, request.length);
		request.bytes[2] |= OPCODE_UPDATE << 3;
		for (int k = 0; k < 7; k++)
			ask_bytes(request.bytes, request.length, false);
		assert_in_range(response_length, 12, request.length);
	}
	assert_true(counters.rrl_slipped > 20);
}

static void who_has_a_cookie_is_not_limited(void **state)
{
	struct test_request request = with_options("www.example. TXT", "\0\12\0\10clientco", 12), full;
	uint8_t option[28] = {0, 10, 0, 24};

	(void)state;
	answered("www.example. TXT", 5);
	assert_string_equal(ask_bytes(request.bytes, request.length, false), "BADCOOKIE edns=1232 options=28\n");
	memcpy(option + 4, response + response_length - 24, 24);
	full = with_options("www.example. TXT", option, sizeof option);
	for (int i = 0; i < 20; i++)
		assert_int_equal(strncmp(ask_bytes(full.bytes, full.length, false), "NOERROR aa edns", 15), 0);
	in.now += 3000;                                            /* to be renewed, but good */
	assert_int_equal(strncmp(ask_bytes(full.bytes, full.length, false), "NOERROR aa edns", 15), 0);
	full.bytes[full.length - 1] ^= 1;
	assert_string_equal(ask_bytes(full.bytes, full.length, false), "BADCOOKIE edns=1232 options=28\n");
	in.now_ms += 1000;
	assert_int_equal(strncmp(ask_bytes(full.bytes, full.length, false), "NOERROR aa edns", 15), 0);
	settings.cookies = NULL;
	answered("www.example. TXT", 5);
	assert_string_equal(ask_bytes(request.bytes, request.length, false), "NOERROR aa tc edns=1232\n");
}

static void nor_who_comes_by_tcp_or_with_a_key(void **state)
{
	struct tsig asker = {0};

	(void)state;
	assert_int_equal(answered("www.example. TXT", 20), 5);
	assert_int_equal(answered("www.example. TXT tcp", 20), 20);
	for (int i = 0; i < 20; i++) {
		struct test_request request = request_of("www.example. TXT");
		struct wbuf out = wbuf_of(request.bytes, sizeof request.bytes);
		size_t length;

		out.at += request.length;
		assert_int_equal(tsig_sign_request(&asker, &key, &out, NOW), ERR_OK);
		assert_int_equal(strncmp(ask_bytes(request.bytes, wbuf_used(&out), false), "NOERROR aa edns", 15), 0);
		assert_int_equal(tsig_verify_reply(&asker, response, response_length, NOW, &length), TSIG_OK);
	}
	tsig_release(&asker);
}

static void errors_to_bad_signatures_are_dropped_whole(void **state)
{
	struct test_request request = request_of("www.example. TXT");
	struct wbuf out = wbuf_of(request.bytes, sizeof request.bytes);
	struct tsig asker = {0};

	(void)state;
	out.at += request.length;
	assert_int_equal(tsig_sign_request(&asker, &key, &out, NOW - 1000), ERR_OK);
	tsig_release(&asker);
	for (int i = 0; i < 5; i++)
		assert_int_equal(strncmp(ask_bytes(request.bytes, wbuf_used(&out), false), "NOTAUTH", 7), 0);
	for (int i = 0; i < 5; i++)
		assert_string_equal(ask_bytes(request.bytes, wbuf_used(&out), false), "dropped");
	assert_int_equal(counters.rrl_dropped, 5);
	assert_int_equal(counters.rcode_notauth, 5);
}

static void notify_that_is_heeded_is_always_answered(void **state)
{
	struct test_request request = request_of("example. SOA noedns"), other = request_of("other. SOA noedns");

	(void)state;
	request.bytes[2] = other.bytes[2] = OPCODE_NOTIFY << 3;
	for (int i = 0; i < 20; i++)
		assert_string_equal(ask_bytes(request.bytes, request.length, false), "NOERROR opcode=4 aa\n");
	for (int i = 0; i < 20; i++)
		ask_bytes(other.bytes, other.length, false);
	assert_int_equal(counters.rrl_slipped, 15);
}

static void limiting_is_counted(void **state)
{
	struct net_prefix allow;

	(void)state;
	settings.limit.slip = 2;
	for (int i = 0; i < 20; i++)
		ask("www.example. TXT");
	assert_int_equal(counters.rrl_dropped, 8);
	assert_int_equal(counters.rrl_slipped, 7);
	assert_int_equal(counters.answers_udp, 12);
	assert_int_equal(counters.truncated, 7);
	assert_int_equal(counters.dropped, 0);
	settings.limit.log_only = true;
	for (int i = 0; i < 20; i++)
		assert_int_equal(strncmp(ask("www.example. TXT"), "NOERROR aa edns", 15), 0);
	assert_int_equal(counters.rrl_would, 20);
	settings.limit.log_only = false;
	net_prefix_parse(&allow, "192.0.2.0/24", NULL);
	settings.limit.allow = &allow;
	settings.limit.allow_count = 1;
	for (int i = 0; i < 20; i++)
		assert_int_equal(strncmp(ask("www.example. TXT"), "NOERROR aa edns", 15), 0);
	assert_int_equal(counters.rrl_allowed, 20);
	settings.limit.rate = 0;
	ask("www.example. TXT");
	assert_int_equal(counters.rrl_allowed + counters.rrl_would + counters.rrl_dropped + counters.rrl_slipped, 55);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
#define ANSWERS(name) cmocka_unit_test_setup_teardown(name, begin_answers, end_answers)
	const struct CMUnitTest tests[] = {
		TEST(a_second_s_worth_passes_at_once_and_then_the_rate),
		TEST(a_bucket_holds_no_more_than_a_second_s_worth),
		TEST(every_slip_th_is_cut_short),
		TEST(clients_of_one_prefix_share_an_account),
		TEST(each_kind_and_name_has_an_account),
		TEST(all_of_a_prefix_together_have_ten_times_the_rate),
		TEST(who_is_allowed_is_never_limited),
		TEST(what_is_only_logged_is_not_limited),
		TEST(a_beginning_and_an_end_are_reported_once),
		TEST(an_ipv4_prefix_is_reported_as_such),
		TEST(the_worst_are_reported_first_and_few_at_a_time),
		TEST(the_allowed_are_not_reported_the_others_are_with_log_only),
		TEST(a_flood_from_many_prefixes_neither_frees_nor_limits_others),
		TEST(more_limited_prefixes_than_there_is_room_for_are_borne),
		ANSWERS(answers_are_limited_by_what_they_are),
		ANSWERS(what_is_over_the_limit_is_cut_short),
		ANSWERS(it_is_never_longer_than_the_query),
		ANSWERS(who_has_a_cookie_is_not_limited),
		ANSWERS(nor_who_comes_by_tcp_or_with_a_key),
		ANSWERS(errors_to_bad_signatures_are_dropped_whole),
		ANSWERS(notify_that_is_heeded_is_always_answered),
		ANSWERS(limiting_is_counted),
	};

	return cmocka_run_group_tests_name("serve/limit", tests, group_setup, group_teardown);
}
