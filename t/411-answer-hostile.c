/* serve/answer: requests that are malformed, odd or made to hurt. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "serve-zone.h"

#include "base/log.h"

static const char zone_text[] =
	"@ IN SOA ns1 host 7 3600 900 604800 300\n"
	"@ IN NS ns1\n"
	"www IN TXT \"text\"\n"
	"d IN DNAME d2\n"
	"d2 IN DNAME d\n"
	"*.w IN CNAME a.w\n"
	"sub IN NS ns.sub\n"
	"ns.sub IN A 192.0.2.1\n";

#define Q "\3www\7example\0\0\x10\0\1"                       /* www.example. TXT IN */
#define APEX "\7example\0"
#define OPT(payload, version, rdata_length) "\0\0\x29" payload "\0" version "\0\0" rdata_length
#define PLAIN_OPT OPT("\x04\xd0", "\0", "\0\0")
#define A_RECORD "\xc0\x0c\0\1\0\1\0\0\0\0\0\4\300\0\2\1"
#define TSIG_HEAD "\1k\0\0\xfa\0\xff\0\0\0\0"
#define TSIG_RDATA "\0\x3d\x0bhmac-sha256\0\0\0\0\0\0\0\1\x2c\0\x20" "MACMACMACMACMACMACMACMACMACMACMA" "\x12\x34\0\0\0\0"
#define IXFR_Q APEX "\0\xfb\0\1"
#define TEXT "answer www.example. 3600 TXT \"text\"\n"

#define BYTES(literal) literal, sizeof literal - 1

static const struct hostile {
	const char *behaviour;
	uint16_t flags, counts[4];
	const char *body;
	size_t length;
	const char *response;
} table[] = {
	/* the header */
	{"a response is dropped", 0x8000, {1}, BYTES(Q), "dropped"},
	{"no question", 0, {0}, BYTES(""), "FORMERR questionless\n"},
	{"a question that is not there", 0, {1}, BYTES(""), "FORMERR questionless\n"},
	{"two questions", 0, {2}, BYTES(Q Q), "FORMERR questionless\n"},
	{"very many", 0, {65535}, BYTES(Q), "FORMERR questionless\n"},
	{"all flags set", 0x07f0, {1}, BYTES(Q), "NOERROR aa rd\n" TEXT},
	{"an rcode", 0x000f, {1}, BYTES(Q), "NOERROR aa\n" TEXT},
	{"an octet behind the end", 0, {1}, BYTES(Q "\0"), "FORMERR\n"},
	{"an inverse query", 1 << 11, {1}, BYTES(Q), "NOTIMP opcode=1\n"},
	{"a status query with a body that is none", 2 << 11, {1}, BYTES("\377\377\377"), "NOTIMP opcode=2 questionless\n"},
	{"an update", 5 << 11, {1, 0, 1}, BYTES(APEX "\0\6\0\1" A_RECORD), "NOTIMP opcode=5\n"},
	{"an opcode that is none", 15 << 11, {1, 0, 0, 1}, BYTES(Q PLAIN_OPT), "NOTIMP opcode=15 edns=1232\n"},

	/* the question's name */
	{"a pointer to itself", 0, {1}, BYTES("\300\14\0\1\0\1"), "FORMERR questionless\n"},
	{"a pointer into the header", 0, {1}, BYTES("\300\0\0\1\0\1"), "FORMERR questionless\n"},
	{"a pointer ahead", 0, {1}, BYTES("\300\20\0\1\0\1\0\0\0\0"), "FORMERR questionless\n"},
	{"half a pointer", 0, {1}, BYTES("\300"), "FORMERR questionless\n"},
	{"a label type that is none", 0, {1}, BYTES("\100ab\0\0\1\0\1"), "FORMERR questionless\n"},
	{"another", 0, {1}, BYTES("\200ab\0\0\1\0\1"), "FORMERR questionless\n"},
	{"a label that ends outside", 0, {1}, BYTES("\77ab"), "FORMERR questionless\n"},
	{"no end", 0, {1}, BYTES("\3www"), "FORMERR questionless\n"},
	{"no type", 0, {1}, BYTES("\3www\7example\0\0"), "FORMERR questionless\n"},
	{"no class", 0, {1}, BYTES("\3www\7example\0\0\1\0"), "FORMERR questionless\n"},
	{"any octets in labels", 0, {1}, BYTES("\4\0\377. \7eXample\0\0\1\0\1"),
		"NXDOMAIN aa\nauthority eXample. 300 SOA ns1.eXample. host.eXample. 7 3600 900 604800 300\n"},
	{"the root", 0, {1}, BYTES("\0\0\2\0\1"), "REFUSED\n"},

	/* other records */
	{"records that a query has no use for", 0, {1, 1, 1, 1}, BYTES(Q A_RECORD A_RECORD A_RECORD), "NOERROR aa\n" TEXT},
	{"fewer than the count says", 0, {1, 0, 0, 2}, BYTES(Q A_RECORD), "FORMERR\n"},
	{"a count of 65,535", 0, {1, 65535}, BYTES(Q A_RECORD), "FORMERR\n"},
	{"an RDATA that ends outside", 0, {1, 1}, BYTES(Q "\300\14\0\1\0\1\0\0\0\0\377\377\300\0\2\1"), "FORMERR\n"},
	{"a record cut in its head", 0, {1, 1}, BYTES(Q "\300\14\0\1\0\1\0\0"), "FORMERR\n"},

	/* EDNS */
	{"two OPT", 0, {1, 0, 0, 2}, BYTES(Q PLAIN_OPT PLAIN_OPT), "FORMERR\n"},
	{"OPT among the answers", 0, {1, 1}, BYTES(Q PLAIN_OPT), "FORMERR\n"},
	{"OPT in the authority section", 0, {1, 0, 1}, BYTES(Q PLAIN_OPT), "FORMERR\n"},
	{"OPT with an owner", 0, {1, 0, 0, 1}, BYTES(Q "\1a\0\0\x29\x04\xd0\0\0\0\0\0\0"), "FORMERR\n"},
	{"an option that ends outside", 0, {1, 0, 0, 1}, BYTES(Q OPT("\x04\xd0", "\0", "\0\6") "\0\3\0\5ab"), "FORMERR\n"},
	{"half an option", 0, {1, 0, 0, 1}, BYTES(Q OPT("\x04\xd0", "\0", "\0\3") "\0\3\0"), "FORMERR\n"},
	{"an OPT that ends outside", 0, {1, 0, 0, 1}, BYTES(Q OPT("\x04\xd0", "\0", "\377\377")), "FORMERR\n"},
	{"an option that is unknown", 0, {1, 0, 0, 1}, BYTES(Q OPT("\x04\xd0", "\0", "\0\6") "\377\0\0\2ab"), "NOERROR aa edns=1232\n" TEXT},
	{"the same options many times", 0, {1, 0, 0, 1}, BYTES(Q OPT("\x04\xd0", "\0", "\0\20") "\0\3\0\0\0\3\0\0\0\12\0\0\0\12\0\0"),
		"NOERROR aa edns=1232\n" TEXT},
	{"a version that is not known", 0, {1, 0, 0, 1}, BYTES(Q OPT("\x04\xd0", "\1", "\0\0")), "BADVERS edns=1232\n"},
	{"that, and nothing else right", 0, {1, 0, 0, 1}, BYTES("\7nowhere\0\0\x10\0\1" OPT("\0\0", "\377", "\0\0")), "BADVERS edns=1232\n"},
	{"OPT before another record", 0, {1, 0, 0, 2}, BYTES(Q PLAIN_OPT A_RECORD), "NOERROR aa edns=1232\n" TEXT},

	/* signatures that are malformed (the rest is t/140's) */
	{"a TSIG with an unknown key", 0, {1, 0, 0, 1}, BYTES(Q TSIG_HEAD TSIG_RDATA), "NOTAUTH tsig\n"},
	{"a TSIG that is not the last record", 0, {1, 0, 0, 2}, BYTES(Q TSIG_HEAD TSIG_RDATA PLAIN_OPT), "FORMERR edns=1232\n"},
	{"two TSIGs", 0, {1, 0, 0, 2}, BYTES(Q TSIG_HEAD TSIG_RDATA TSIG_HEAD TSIG_RDATA), "FORMERR\n"},
	{"a TSIG among the answers", 0, {1, 1}, BYTES(Q TSIG_HEAD TSIG_RDATA), "FORMERR\n"},
	{"a TSIG without RDATA", 0, {1, 0, 0, 1}, BYTES(Q TSIG_HEAD "\0\0"), "FORMERR\n"},

	/* IXFR and NOTIFY */
	{"IXFR without a SOA", 0, {1}, BYTES(IXFR_Q), "FORMERR\n"},
	{"IXFR with something else in its place", 0, {1, 0, 1}, BYTES(IXFR_Q A_RECORD), "FORMERR\n"},
	{"IXFR with a short SOA", 0, {1, 0, 1}, BYTES(IXFR_Q "\300\14\0\6\0\1\0\0\0\0\0\4\0\0\0\1"), "FORMERR\n"},
	{"IXFR with a SOA that has octets too many", 0, {1, 0, 1},
		BYTES(IXFR_Q "\300\14\0\6\0\1\0\0\0\0\0\27\0\0\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0"), "FORMERR\n"},
	{"IXFR with a SOA of another name", 0, {1, 0, 1},
		BYTES(IXFR_Q "\0\0\6\0\1\0\0\0\0\0\26\0\0\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1"), "FORMERR\n"},
	{"NOTIFY with a short SOA", 0x2400, {1, 1}, BYTES(APEX "\0\6\0\1" "\300\14\0\6\0\1\0\0\0\0\0\4\0\0\0\1"), "FORMERR opcode=4\n"},
	{"NOTIFY with another record in its place", 0x2400, {1, 1}, BYTES(APEX "\0\6\0\1" A_RECORD), "NOERROR opcode=4 aa\n"},
	{"NOTIFY without a question", 0x2400, {0}, BYTES(""), "FORMERR opcode=4 questionless\n"},
	{"NOTIFY of class 0", 0x2400, {1}, BYTES(APEX "\0\6\0\0"), "FORMERR opcode=4\n"},
	{"NOTIFY of class 65,535", 0x2400, {1}, BYTES(APEX "\0\6\377\377"), "FORMERR opcode=4\n"},

	/* zones that go in circles */
	{"two DNAMEs that lead to each other", 0, {1}, BYTES("\1x\1d\7example\0\0\1\0\1"),
		"NOERROR aa\nanswer d.example. 3600 DNAME d2.example.\nanswer x.d.example. 3600 CNAME x.d2.example.\n"
		"answer d2.example. 3600 DNAME d.example.\nanswer x.d2.example. 3600 CNAME x.d.example.\n"},
	{"a wildcard alias to below itself", 0, {1}, BYTES("\1a\1w\7example\0\0\1\0\1"),
		"NOERROR aa\nanswer a.w.example. 3600 CNAME a.w.example.\n"},
};

static const struct acl_rule anybody = {.any_address = true};
static struct serve_policy policy = {.transfer = {&anybody, 1}, .notify = {&anybody, 1}};
static struct store *store;
static struct serve_counters counters;
static struct answer answerer;
static struct tsig_key key;
static struct serve_settings settings = {.udp_payload = 1232, .keys = &key, .key_count = 1};
static uint8_t response[MSG_MAX];
static size_t response_length;

static int setup(void **state)
{
	(void)state;
	rr_init();
	store_thread_begin();
	log_setup(LOG_TO_STDERR, LOG_LEVEL_ERROR);
	store = store_new();
	add_zone(store, "example.", zone_text, &policy);
	answer_init(&answerer, store, &counters);
	return tsig_key_parse(&key, "key.example", "hmac-sha256", "c2VjcmV0IHNlY3JldCBzZWNyZXQ=", NULL);
}

static int teardown(void **state)
{
	(void)state;
	answer_release(&answerer);
	store_settle();
	store_free(store);
	store_thread_end();
	return 0;
}

/* The request lies in a block of exactly its size, so that reading past it is seen. */
static enum answer_action ask(const uint8_t *bytes, size_t length, bool tcp)
{
	uint8_t *exact = malloc(length ? length : 1);
	struct answer_request in = {.bytes = exact, .length = length, .tcp = tcp, .now = 1700000000};
	struct answer_transfer transfer;
	enum answer_action action;

	memcpy(exact, bytes, length);
	net_addr_parse(&in.from, "192.0.2.200@4000", 0, NULL);
	store_enter();
	action = answer(&answerer, &settings, &in, response, &response_length, &transfer);
	if (action == ANSWER_TRANSFER) {
		zone_put(transfer.zone);
		tsig_release(&transfer.tsig);
	}
	store_leave();
	free(exact);
	return action;
}

static void run_hostile(void **state)
{
	const struct hostile *hostile = *state;
	uint8_t bytes[2000];
	struct wbuf out = wbuf_of(bytes, sizeof bytes);

	wbuf_u16(&out, 0x1234);
	wbuf_u16(&out, hostile->flags);
	for (int i = 0; i < 4; i++)
		wbuf_u16(&out, hostile->counts[i]);
	wbuf_bytes(&out, hostile->body, hostile->length);
	assert_false(out.bad);
	for (int tcp = 0; tcp < 2; tcp++) {
		if (ask(bytes, wbuf_used(&out), tcp) == ANSWER_SEND)
			assert_string_equal(show_message(response, response_length), hostile->response);
		else
			assert_string_equal("dropped", hostile->response);
	}
}

/* What holds for the answer to any octets at all. */
static void assert_sane(const uint8_t *bytes, size_t length, bool tcp)
{
	enum answer_action action = ask(bytes, length, tcp);
	struct rbuf msg = rbuf_of(response, response_length);
	struct msg_header header;
	struct msg_question question;
	struct msg_rr rr;
	unsigned records;

	if (length < MSG_HEADER || bytes[2] & 0x80) {
		assert_int_equal(action, ANSWER_DROP);
		return;
	}
	if (action == ANSWER_TRANSFER) {
		assert_true(tcp);
		return;
	}
	assert_int_equal(action, ANSWER_SEND);
	assert_true(tcp || response_length <= 1232);
	assert_true(msg_read_header(&msg, &header));
	assert_memory_equal(bytes, response, 2);
	assert_true(header.flags & MSG_QR);
	assert_int_equal(msg_opcode_of(header.flags), bytes[2] >> 3 & 15);
	assert_in_range(header.qdcount, 0, 1);
	if (header.qdcount)
		assert_true(msg_read_question(&msg, &question));
	records = (unsigned)header.ancount + header.nscount + header.arcount;
	for (; records > 0; records--)
		assert_true(msg_read_rr(&msg, &rr));
	assert_int_equal(rbuf_left(&msg), 0);
}

static size_t sample(unsigned i, uint8_t *bytes)
{
	static const char *const questions[] = {"www.example. TXT", "x.d.example. A", "a.sub.example. A do", "nothere.example. MX noedns",
		"example. AXFR tcp", "example. IXFR", "id.server. TXT CH"};
	struct test_request request = request_of(questions[i / 2 % 7]);
	struct wbuf out = wbuf_of(bytes, 1500);
	struct tsig ts = {0};

	if (i >= 14)
		return 0;
	wbuf_bytes(&out, request.bytes, request.length);
	if (i % 2)
		assert_int_equal(tsig_sign_request(&ts, &key, &out, 1700000000), ERR_OK);
	tsig_release(&ts);
	return wbuf_used(&out);
}

static void a_request_cut_anywhere(void **state)
{
	uint8_t bytes[1500];
	size_t length;

	(void)state;
	for (unsigned i = 0; (length = sample(i, bytes)); i++)
		for (size_t n = 0; n <= length; n++)
			assert_sane(bytes, n, i % 4 < 2);
}

static void a_request_with_any_octet_changed(void **state)
{
	static const uint8_t values[] = {0, 1, 0x3f, 0x40, 0x7f, 0x80, 0xc0, 0xff};
	uint8_t bytes[1500];
	size_t length;

	(void)state;
	for (unsigned i = 0; (length = sample(i, bytes)); i++)
		for (size_t at = 0; at < length; at++) {
			uint8_t right = bytes[at];

			for (size_t v = 0; v < sizeof values; v++) {
				bytes[at] = values[v];
				assert_sane(bytes, length, v % 2);
			}
			bytes[at] = right ^ 0x20;
			assert_sane(bytes, length, true);
			bytes[at] = right;
		}
}

/* The greatest request there can be: 65,535 octets over TCP, of the smallest records. */
static void thousands_of_records_in_a_request(void **state)
{
	static uint8_t bytes[MSG_MAX];
	struct wbuf out = wbuf_of(bytes, sizeof bytes);
	unsigned records = (MSG_MAX - MSG_HEADER - (sizeof Q - 1)) / 11;

	(void)state;
	wbuf_bytes(&out, "\1\2\0\0\0\1\0\0\0\0", 10);
	wbuf_u16(&out, (uint16_t)records);
	wbuf_bytes(&out, Q, sizeof Q - 1);
	for (unsigned i = 0; i < records; i++)
		wbuf_bytes(&out, "\0\0\1\0\1\0\0\0\0\0\0", 11);
	assert_int_equal(ask(bytes, wbuf_used(&out), true), ANSWER_SEND);
	assert_string_equal(show_message(response, response_length), "NOERROR aa\n" TEXT);
}

static void a_name_of_255_octets(void **state)
{
	uint8_t bytes[400];
	struct wbuf out = wbuf_of(bytes, sizeof bytes);

	(void)state;
	wbuf_bytes(&out, "\1\2\0\0\0\1\0\0\0\0\0\0", 12);
	for (int i = 0; i < 123; i++)
		wbuf_bytes(&out, "\1x", 2);
	wbuf_bytes(&out, "\7example\0\0\1\0\1", 13);
	assert_int_equal(wbuf_used(&out), 12 + 255 + 4);
	assert_int_equal(ask(bytes, wbuf_used(&out), false), ANSWER_SEND);
	assert_int_equal(strncmp(show_message(response, response_length), "NXDOMAIN aa\n", 12), 0);
	bytes[12] = 2;                                   /* and one that is longer */
	memmove(bytes + 14, bytes + 13, wbuf_used(&out) - 13);
	assert_int_equal(ask(bytes, wbuf_used(&out) + 1, false), ANSWER_SEND);
	assert_string_equal(show_message(response, response_length), "FORMERR questionless\n");
}

int main(void)
{
	struct CMUnitTest tests[sizeof table / sizeof *table + 4] = {
		cmocka_unit_test(a_request_cut_anywhere),
		cmocka_unit_test(a_request_with_any_octet_changed),
		cmocka_unit_test(thousands_of_records_in_a_request),
		cmocka_unit_test(a_name_of_255_octets),
	};

	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		tests[4 + i] = (struct CMUnitTest){table[i].behaviour, run_hostile, NULL, NULL, (void *)(uintptr_t)&table[i]};
	return cmocka_run_group_tests_name("serve/answer, hostile", tests, setup, teardown);
}
