/* serve/outgoing: a transfer out holds the whole version and nothing else, in messages that are full, each signed. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "serve-zone.h"

#include "serve/outgoing.h"
#include "xfer/stream.h"

enum { NOW = 1700000000 };

static const char apex_text[] = "@ IN SOA ns1 host 100 3600 900 604800 300\n@ IN NS ns1\n";
static const struct acl_rule anybody = {.any_address = true};

static struct store *store;
static struct store_zone *place;
static struct serve_policy policy = {.transfer = {&anybody, 1}};
static struct serve_counters counters;
static struct answer answerer;
static struct serve_settings settings = {.udp_payload = 1232};
static struct tsig asker;

/* A record that is alone in its message, which is then too long for a signature. */
enum { RECORD_MOST = MSG_MAX - MSG_HEADER - 13 /* big.example. */ - 10, SIGNED_MOST = MSG_MAX - 90 };

/* What came of a transfer. */
static struct {
	struct zone *zone;           /* made of the records between the two SOAs */
	unsigned messages, records, soas, unsigned_ones, empty_ones;
	size_t smallest, largest;    /* message, the last not counted */
	uint8_t bytes[MSG_MAX];
	size_t length;
	uint16_t flags;
	enum outgoing_step step;
	struct why why;
	struct outgoing_sum sum;
} got;

static int setup(void **state)
{
	(void)state;
	rr_init();
	store_thread_begin();
	store = store_new();
	place = add_zone(store, "example.", apex_text, &policy);
	answer_init(&answerer, store, &counters);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	zone_put(got.zone);
	answer_release(&answerer);
	tsig_release(&asker);
	store_settle();
	store_free(store);
	store_thread_end();
	return 0;
}

static void load(const char *text)
{
	store_commit(place, zone_of_text("example.", text), STORE_SERVED);
}

static struct test_request ixfr_request(uint32_t serial)
{
	struct test_request request = request_of("example. IXFR noedns tcp");
	struct wbuf out = wbuf_of(request.bytes, sizeof request.bytes);

	out.at += request.length;
	wbuf_bytes(&out, "\xc0\x0c\0\6\0\1\0\0\0\0\0\x16\0\0", 14);
	for (int i = 0; i < 5; i++)
		wbuf_u32(&out, serial);
	request.bytes[9] = 1;
	request.length = wbuf_used(&out);
	return request;
}

static bool secure;

static struct outgoing *begin(struct test_request request, const struct tsig_key *key)
{
	struct wbuf out = wbuf_of(request.bytes, sizeof request.bytes);
	struct answer_request in = {.bytes = request.bytes, .tcp = true, .secure = secure, .now = NOW};
	struct answer_transfer transfer;
	struct outgoing *outgoing;
	static uint8_t unused[MSG_MAX];
	size_t length;

	out.at += request.length;
	assert_int_equal(tsig_sign_request(&asker, key, &out, NOW), ERR_OK);
	in.length = wbuf_used(&out);
	net_addr_parse(&in.from, "192.0.2.1@4000", 0, NULL);
	store_enter();
	assert_int_equal(answer(&answerer, &settings, &in, unused, &length, &transfer), ANSWER_TRANSFER);
	outgoing = outgoing_new(&transfer);
	store_leave();
	assert_non_null(outgoing);
	return outgoing;
}

static void take_record(struct build *build, struct rbuf *msg)
{
	static uint8_t rdata[MSG_MAX];
	struct wbuf out = wbuf_of(rdata, sizeof rdata);
	struct msg_rr raw;
	struct rr rr;

	assert_true(msg_read_rr(msg, &raw));
	msg->at = raw.rdata;
	assert_int_equal(rr_read_rdata(msg, raw.type, raw.rdlength, &out, NULL), ERR_OK);
	rr = (struct rr){raw.owner, raw.type, raw.class, (uint16_t)wbuf_used(&out), raw.ttl, rdata};
	got.records++;
	got.soas += raw.type == RR_SOA;
	assert_true(raw.type != RR_SOA || got.records == 1 || got.step == OUTGOING_LAST);
	assert_int_equal(build_add(build, &rr, NULL), ERR_OK);
}

static void take_message(struct build *build)
{
	struct rbuf msg = rbuf_of(got.bytes, got.length);
	struct msg_header header;
	struct msg_question question;
	struct msg_rr other;

	assert_true(msg_read_header(&msg, &header));
	assert_int_equal(header.id, 0x1234);
	assert_int_equal(header.qdcount, got.messages == 1);
	assert_int_equal(header.nscount, 0);
	assert_true(header.ancount > 0 || got.unsigned_ones > 0);
	got.empty_ones += header.ancount == 0;
	got.flags = header.flags;
	if (header.qdcount)
		assert_true(msg_read_question(&msg, &question));
	while (header.ancount--)
		take_record(build, &msg);
	while (header.arcount--) {
		assert_true(msg_read_rr(&msg, &other));
		assert_true(other.type == RR_TSIG || other.type == RR_OPT);
	}
	assert_int_equal(rbuf_left(&msg), 0);
}

/* Runs the transfer to its end, checks every signature, and makes a zone of what came. */
static void run(struct outgoing *outgoing, bool keyed)
{
	struct build *build = build_new(name_of("example."), NULL, (struct build_limits){0});
	enum tsig_verdict verdict;
	size_t unsigned_length;

	zone_put(got.zone);
	memset(&got, 0, sizeof got);
	got.smallest = SIZE_MAX;
	do {
		got.step = outgoing_next(outgoing, NOW, got.bytes, &got.length, &got.why);
		if (got.step == OUTGOING_FAILED)
			break;
		got.messages++;
		verdict = tsig_verify_reply(&asker, got.bytes, got.length, NOW, &unsigned_length);
		if (keyed && verdict == TSIG_UNSIGNED && got.length > SIGNED_MOST)
			got.unsigned_ones++;
		else
			assert_int_equal(verdict, keyed ? TSIG_OK : TSIG_UNSIGNED);
		take_message(build);
		if (got.length > got.largest)
			got.largest = got.length;
		if (got.step != OUTGOING_LAST && got.length < got.smallest)
			got.smallest = got.length;
	} while (got.step == OUTGOING_MESSAGE);
	got.sum = outgoing_sum(outgoing);
	if (got.step == OUTGOING_LAST && got.soas == 2)
		assert_int_equal(build_finish(build, &got.zone, NULL), ERR_OK);
	else
		build_free(build);
	assert_int_equal(tsig_finish(&asker), TSIG_OK);
}

static void transfer(struct test_request request, const struct tsig_key *key)
{
	struct outgoing *outgoing = begin(request, key);

	run(outgoing, key != NULL);
	assert_int_equal(got.sum.messages, got.messages);
	assert_int_equal(got.sum.records, got.records);
	assert_int_equal(got.sum.serial.v, 100);
	assert_true(name_equal(got.sum.zone, name_of("example.")));
	outgoing_free(outgoing);
}

static void assert_same_zone(struct zone *a, struct zone *b)
{
	uint8_t name_a[NAME_SIZE], name_b[NAME_SIZE];
	const struct zone_node *node_a, *node_b;
	static struct zone_walk walk_a, walk_b;

	assert_non_null(a);
	assert_int_equal(a->records, b->records);
	zone_walk(&walk_a, a);
	zone_walk(&walk_b, b);
	while ((node_a = zone_walk_next(&walk_a, name_a))) {
		node_b = zone_walk_next(&walk_b, name_b);
		assert_non_null(node_b);
		assert_memory_equal(name_a, name_b, name_length(name_a));
		assert_int_equal(zone_node_size(node_a), zone_node_size(node_b));
		assert_memory_equal(node_a, node_b, zone_node_size(node_a));
	}
	assert_null(zone_walk_next(&walk_b, name_b));
}

static void assert_all_came(void)
{
	struct zone *served = store_hold(place);

	assert_same_zone(got.zone, served);
	assert_int_equal(got.records, served->records + 1);
	zone_put(served);
}

static char *many(unsigned count, const char *format)
{
	char *text = calloc(count + 2, 200);
	size_t length = (size_t)sprintf(text, "%s", apex_text);

	for (unsigned i = 1; i <= count; i++)
		length += (size_t)sprintf(text + length, format, i, i % 250, i / 250);
	return text;
}

static void load_many(unsigned count, const char *format)
{
	char *text = many(count, format);

	load(text);
	free(text);
}

/* --- what is sent ------------------------------------------------------------------------- */

static void a_zone_with_nothing_but_its_apex(void **state)
{
	(void)state;
	load(apex_text);
	transfer(request_of("example. AXFR tcp noedns rd"), NULL);
	assert_int_equal(got.messages, 1);
	assert_string_equal(show_message(got.bytes, got.length),
		"NOERROR aa rd\nanswer example. 3600 SOA ns1.example. host.example. 100 3600 900 604800 300\n"
		"answer example. 3600 NS ns1.example.\nanswer example. 3600 SOA ns1.example. host.example. 100 3600 900 604800 300\n");
}

static void every_kind_of_name_and_record_is_in_it(void **state)
{
	(void)state;
	load("@ IN SOA ns1 host 100 3600 900 604800 300\n@ IN NS ns1\n@ IN MX 10 mail\n@ IN MX 20 mail.other.test.\n"
		"ns1 IN A 192.0.2.1\nMiXeD IN A 192.0.2.2\n*.wild IN TXT \"a\" \"b\"\na.b.c.d IN PTR ns1\nodd\\000\\.\\255 IN A 192.0.2.3\n"
		"sub IN NS ns.sub\nns.sub IN A 192.0.2.4\ndeep.below.sub IN A 192.0.2.5\nalias IN CNAME ns1\nd IN DNAME other.test.\n"
		"unknown IN TYPE65280 \\# 4 00010203\n_s._tcp IN SRV 1 2 3 ns1\n"
		"ns1 IN RRSIG A 8 2 3600 20300101000000 20200101000000 1 example. AAAA\n");
	transfer(request_of("example. AXFR tcp"), NULL);
	assert_all_came();
	assert_int_equal(got.flags, MSG_QR | MSG_AA);
}

static void messages_are_full(void **state)
{
	(void)state;
	load_many(20000, "host-%u IN A 10.0.%u.%u\n");
	transfer(request_of("example. AXFR tcp"), NULL);
	assert_all_came();
	assert_true(got.messages > 20);
	assert_in_range(got.smallest, (16 << 10) - 100, 16 << 10);
	assert_in_range(got.largest, (16 << 10) - 100, 16 << 10);
}

static void an_rrset_may_go_over_many_messages(void **state)
{
	(void)state;
	load_many(5000, "big IN TXT \"number %u of them\"\n");
	transfer(request_of("example. AXFR tcp"), NULL);
	assert_all_came();
	assert_true(got.messages > 5);
}

/* The apex, and `count` records of `length` octets of RDATA. */
static struct zone *zone_with_records_of(size_t length, unsigned count)
{
	struct build *build = build_new(name_of("example."), NULL, (struct build_limits){0});
	uint8_t *rdata = calloc(1, length);
	struct rr rr = {name_of("big.example."), 65280, CLASS_IN, (uint16_t)length, 60, rdata};
	struct zone *apex = zone_of_text("example.", apex_text), *zone;
	struct zone_rrsets iter = zone_rrsets(apex->apex_node);
	struct zone_rrset set;
	uint32_t at;

	for (size_t i = 0; i < length; i++)
		rdata[i] = (uint8_t)i;
	for (unsigned i = 0; i < count; i++) {
		rdata[0] = (uint8_t)i;
		assert_int_equal(build_add(build, &rr, NULL), ERR_OK);
	}
	while (zone_rrsets_next(&iter, &set))
		for (at = 0; zone_rrset_next(&set, &at, apex->apex, &rr);)
			assert_int_equal(build_add(build, &rr, NULL), ERR_OK);
	assert_int_equal(build_finish(build, &zone, NULL), ERR_OK);
	zone_put(apex);
	free(rdata);
	return zone;
}

static void a_record_may_need_a_message_of_its_own(void **state)
{
	(void)state;
	store_commit(place, zone_with_records_of(65000, 1), STORE_SERVED);
	transfer(request_of("example. AXFR tcp"), NULL);
	assert_all_came();
	assert_in_range(got.largest, 65000, MSG_MAX);
	assert_int_equal(got.messages, 2);
}

static void a_record_that_fills_a_message_goes_without_a_signature_between_two_that_have_one(void **state)
{
	static struct tsig_key key;

	(void)state;
	assert_int_equal(tsig_key_parse(&key, "transfer.key", "hmac-sha256", "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0", NULL), ERR_OK);
	settings.keys = &key;
	settings.key_count = 1;
	for (size_t less = 0; less < 200; less += 13) {
		store_commit(place, zone_with_records_of(RECORD_MOST - less, 2), STORE_SERVED);
		transfer(request_of("example. AXFR tcp"), NULL);
		assert_all_came();
		assert_in_range(got.largest, MSG_MAX - less, MSG_MAX);
		transfer(request_of("example. AXFR tcp"), &key);
		assert_all_came();
		assert_int_equal(got.unsigned_ones, less < 90 ? 2 : 0);
		assert_int_equal(got.step, OUTGOING_LAST);
	}
	store_commit(place, zone_with_records_of(RECORD_MOST, 205), STORE_SERVED);   /* no more than 99 in a row */
	transfer(request_of("example. AXFR tcp"), &key);
	assert_all_came();
	assert_int_equal(got.unsigned_ones, 205);
	assert_int_equal(got.empty_ones, 2);
	settings.key_count = 0;
}

static void a_version_is_sent_whole_while_the_next_one_is_served(void **state)
{
	struct outgoing *outgoing;
	struct zone *old;

	(void)state;
	load_many(3000, "old-%u IN A 10.0.%u.%u\n");
	old = store_hold(place);
	outgoing = begin(request_of("example. AXFR tcp"), NULL);
	load_many(3000, "new-%u IN A 10.0.%u.%u\n");
	store_settle();
	run(outgoing, false);
	assert_same_zone(got.zone, old);
	outgoing_free(outgoing);
	zone_put(old);
}

static void a_transfer_can_be_given_up_at_any_point(void **state)
{
	struct outgoing *outgoing;
	size_t length;

	(void)state;
	outgoing_free(begin(request_of("example. AXFR tcp"), NULL));
	outgoing = begin(request_of("example. AXFR tcp"), NULL);
	assert_int_equal(outgoing_next(outgoing, NOW, got.bytes, &length, NULL), OUTGOING_MESSAGE);
	outgoing_free(outgoing);
	outgoing_free(NULL);
}

/* --- EDNS, signatures ------------------------------------------------------------------------ */

static void edns_is_answered_in_each_message(void **state)
{
	struct outgoing *outgoing;
	size_t length;

	(void)state;
	outgoing = begin(request_of("example. AXFR tcp"), NULL);
	assert_int_equal(outgoing_next(outgoing, NOW, got.bytes, &length, NULL), OUTGOING_MESSAGE);
	assert_int_equal(strncmp(show_message(got.bytes, length), "NOERROR aa edns=1232\n", 21), 0);
	assert_int_equal(outgoing_next(outgoing, NOW, got.bytes, &length, NULL), OUTGOING_MESSAGE);
	assert_int_equal(strncmp(show_message(got.bytes, length), "NOERROR aa edns=1232 questionless\n", 24), 0);
	outgoing_free(outgoing);
}

static void pad(struct tsig_key *key, bool over_tls)
{
	struct test_request request = request_of("example. AXFR tcp");
	struct wbuf out = wbuf_of(request.bytes, sizeof request.bytes);
	struct outgoing *outgoing;

	out.at += request.length;
	wbuf_bytes(&out, "\0\14\0\0", 4);            /* the OPT is the last */
	request.bytes[request.length - 1] = 4;
	request.length += 4;
	secure = over_tls;
	outgoing = begin(request, key);
	secure = false;
	run(outgoing, key);
	assert_all_came();
	assert_int_equal(got.smallest % 468 == 0 && got.largest % 468 == 0, over_tls);
	outgoing_free(outgoing);
}

static void a_transfer_over_tls_is_padded_for_who_pads(void **state)
{
	static struct tsig_key key;

	(void)state;
	assert_int_equal(tsig_key_parse(&key, "transfer.key", "hmac-sha256", "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0", NULL), ERR_OK);
	settings.keys = &key;
	settings.key_count = 1;
	load_many(5000, "host-%u IN A 10.0.%u.%u\n");
	pad(NULL, true);
	pad(&key, true);
	pad(NULL, false);
	store_commit(place, zone_with_records_of(40000, 3), STORE_SERVED);
	pad(NULL, true);
	pad(&key, true);
	settings.key_count = 0;
}

static void each_message_is_signed(void **state)
{
	static struct tsig_key key;
	struct outgoing *outgoing;

	(void)state;
	for (unsigned algorithm = 0; algorithm < 2; algorithm++) {
		assert_int_equal(tsig_key_parse(&key, "transfer.key", algorithm ? "hmac-sha512-256" : "hmac-sha256",
			"c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0", NULL), ERR_OK);
		settings.keys = &key;
		settings.key_count = 1;
		load_many(20000, "host-%u IN A 10.0.%u.%u\n");
		outgoing = begin(request_of("example. AXFR tcp"), &key);
		settings.key_count = 0;      /* the transfer goes on with its own copy */
		run(outgoing, true);
		assert_all_came();
		assert_true(got.messages > 20);
		assert_in_range(got.largest, (16 << 10) - 200, 16 << 10);
		assert_true(name_equal(got.sum.key, key.name));
		outgoing_free(outgoing);
	}
	store_commit(place, zone_with_records_of(65000, 1), STORE_SERVED);
	settings.key_count = 1;
	transfer(request_of("example. AXFR tcp"), &key);
	assert_all_came();
}

/* --- IXFR ---------------------------------------------------------------------------------------- */

static void ixfr_gets_the_whole_zone_if_nothing_is_known_of_what_it_has(void **state)
{
	(void)state;
	store_set_history(place, NULL);
	load_many(100, "host-%u IN A 10.0.%u.%u\n");
	transfer(ixfr_request(99), NULL);
	assert_all_came();
	assert_int_equal(got.sum.type, RR_IXFR);
	assert_int_equal(got.sum.style, OUTGOING_WHOLE);
	transfer(ixfr_request(100 + (UINT32_C(1) << 31)), NULL);     /* neither older nor newer (RFC 1982 3.2) */
	assert_all_came();
}

static void ixfr_gets_the_soa_alone_if_it_is_current_or_newer(void **state)
{
	const uint32_t serials[] = {100, 101, 100 + (UINT32_C(1) << 31) - 1};

	(void)state;
	for (int i = 0; i < 3; i++) {
		transfer(ixfr_request(serials[i]), NULL);
		assert_int_equal(got.messages, 1);
		assert_int_equal(got.sum.style, OUTGOING_SOA);
		assert_string_equal(show_message(got.bytes, got.length),
			"NOERROR aa\nanswer example. 3600 SOA ns1.example. host.example. 100 3600 900 604800 300\n");
	}
}

/* --- IXFR from the history ------------------------------------------------------------------------ */

/* As many hosts as make the steps of a few records worth sending, and what differs. */
static struct zone *version(unsigned serial, const char *more)
{
	char *text = calloc(1, 200 * 60 + strlen(more) + 200), *at = text;
	struct zone *zone;

	at += sprintf(at, "@ IN SOA ns1 host %u 3600 900 604800 300\n@ IN NS ns1\n", serial);
	for (unsigned i = 0; i < 200; i++)
		at += sprintf(at, "always-%u IN A 192.0.2.%u\n", i, i);
	strcpy(at, more);
	zone = zone_of_text("example.", text);
	free(text);
	return zone;
}

enum { VERSIONS_MAX = 400 };
static struct zone *versions[VERSIONS_MAX];
static unsigned version_count;

static void forget_versions(void)
{
	while (version_count)
		zone_put(versions[--version_count]);
	store_set_history(place, NULL);
}

/* The next version, held here, and the step to it in the history. */
static void serve_next(struct zone *zone)
{
	struct history *history;
	struct diff *step;

	versions[version_count++] = zone;
	if (version_count > 1) {
		assert_int_equal(diff_make(versions[version_count - 2], zone, 0, &step), ERR_OK);
		history = history_add(store_history(place), step, 64 << 20);
		assert_non_null(history);
		store_set_history(place, history);
		diff_drop(step);
	}
	store_commit(place, zone_hold(zone), STORE_SERVED);
}

/* In a lineage of its own, as a version has one successor; `build` (may be NULL) has records that it has besides. */
static struct zone *copy_of(const struct zone *from, struct build *build)
{
	const struct zone_node *node;
	uint8_t name[NAME_SIZE];
	struct zone_walk walk;
	struct zone *copy;

	if (!build)
		build = build_new(from->apex, NULL, (struct build_limits){0});
	zone_walk(&walk, from);
	while ((node = zone_walk_next(&walk, name))) {
		struct zone_rrsets iter = zone_rrsets(node);
		struct zone_rrset set;
		struct rr rr;

		while (zone_rrsets_next(&iter, &set))
			for (uint32_t at = 0; zone_rrset_next(&set, &at, name, &rr);)
				assert_int_equal(build_add(build, &rr, NULL), ERR_OK);
	}
	assert_int_equal(build_finish(build, &copy, NULL), ERR_OK);
	return copy;
}

static struct outgoing_sum sum;
static unsigned sequences;

/* What a client makes of the answer that has this version. */
static void expect_ixfr(unsigned from, const struct tsig_key *key)
{
	struct outgoing *outgoing = begin(ixfr_request(versions[from]->serial.v), key);
	struct zone *base = copy_of(versions[from], NULL), *newest = versions[version_count - 1], *zone;
	enum stream_verdict verdict = STREAM_MORE;
	enum outgoing_step step;
	size_t unsigned_length;
	struct stream *stream;

	stream = stream_new(&(struct stream_ask){.zone = base->apex, .id = 0x1234, .type = RR_IXFR, .base = base});
	do {
		step = outgoing_next(outgoing, NOW, got.bytes, &got.length, &got.why);
		assert_int_not_equal(step, OUTGOING_FAILED);
		assert_int_equal(tsig_verify_reply(&asker, got.bytes, got.length, NOW, &unsigned_length), key ? TSIG_OK : TSIG_UNSIGNED);
		assert_int_equal(verdict, STREAM_MORE);
		verdict = stream_message(stream, got.bytes, got.length);
	} while (step == OUTGOING_MESSAGE);
	if (verdict != STREAM_COMPLETE)
		fail_msg("%s", stream_sum(stream)->why.text);
	assert_int_equal(stream_sum(stream)->redundant, 0);
	sequences = stream_sum(stream)->sequences;
	zone = stream_take(stream);
	assert_same_zone(zone, newest);
	sum = outgoing_sum(outgoing);
	outgoing_free(outgoing);
	stream_free(stream);
	zone_put(zone);
	zone_put(base);
}

/* A serial that was passed over: whoever has it gets all. */
static void transfer_of_unknown(uint32_t serial)
{
	struct outgoing *outgoing = begin(ixfr_request(serial), NULL);

	assert_int_equal(outgoing_sum(outgoing).style, OUTGOING_WHOLE);
	outgoing_free(outgoing);
}

static void what_differs_is_sent_alone(void **state)
{
	(void)state;
	forget_versions();
	serve_next(version(98, "old IN A 192.0.2.1\nsame IN A 192.0.2.9\n"));
	serve_next(version(100, "same IN A 192.0.2.9\nnew IN A 192.0.2.2\nNew IN TXT \"x\"\n"));
	expect_ixfr(0, NULL);
	assert_int_equal(sum.style, OUTGOING_STEPS);
	assert_string_equal(show_message(got.bytes, got.length), "NOERROR aa\n"
		"answer example. 3600 SOA ns1.example. host.example. 100 3600 900 604800 300\n"
		"answer example. 3600 SOA ns1.example. host.example. 98 3600 900 604800 300\n"
		"answer old.example. 3600 A 192.0.2.1\n"
		"answer example. 3600 SOA ns1.example. host.example. 100 3600 900 604800 300\n"
		"answer new.example. 3600 A 192.0.2.2\n"
		"answer new.example. 3600 TXT \"x\"\n"
		"answer example. 3600 SOA ns1.example. host.example. 100 3600 900 604800 300\n");
}

static void steps_are_condensed_to_one(void **state)
{
	(void)state;
	forget_versions();
	for (unsigned i = 0; i < 50; i++) {
		char text[100];

		snprintf(text, sizeof text, "busy IN A 10.0.0.%u\n%s", i, i % 2 ? "flag IN TXT \"up\"\n" : "");
		serve_next(version(1000 + 7 * i, text));
	}
	expect_ixfr(0, NULL);
	assert_int_equal(sum.style, OUTGOING_STEPS);
	assert_int_equal(sequences, 1);
	assert_int_equal(sum.records, 2 + 2 + 1 + 2);        /* two of busy, one flag */
	expect_ixfr(1, NULL);
	assert_int_equal(sum.records, 2 + 2 + 2);
	for (unsigned i = 2; i < 49; i++) {
		expect_ixfr(i, NULL);
		assert_int_equal(sequences, 1);
	}
	transfer_of_unknown(1003);
}

static void many_octets_of_steps_come_as_some_steps(void **state)
{
	static struct tsig_key key;

	(void)state;
	assert_int_equal(tsig_key_parse(&key, "transfer.key", "hmac-sha256", "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0", NULL), ERR_OK);
	settings.keys = &key;
	settings.key_count = 1;
	forget_versions();
	for (unsigned i = 0; i < 8; i++) {   /* each replaces sixteen records, which is a megabyte almost */
		struct build *build = build_new(name_of("example."), NULL, (struct build_limits){0});
		struct zone *apex = version(1 + i, "");
		static uint8_t rdata[30000];
		struct rr rr = {name_of("big.example."), 65280, CLASS_IN, sizeof rdata, 60, rdata};

		for (unsigned r = 0; r < 160; r++) {
			rdata[0] = (uint8_t)r;
			rdata[1] = r / 8 == i ? 0xff : 0;
			assert_int_equal(build_add(build, &rr, NULL), ERR_OK);
		}
		serve_next(copy_of(apex, build));
		zone_put(apex);
	}
	expect_ixfr(5, &key);
	assert_int_equal(sum.style, OUTGOING_STEPS);
	assert_int_equal(sequences, 2);
	expect_ixfr(4, &key);
	assert_int_equal(sequences, 3);
	expect_ixfr(0, &key);                /* more than the zone */
	assert_int_equal(sum.style, OUTGOING_WHOLE);
	settings.key_count = 0;
	forget_versions();
}

static void steps_larger_than_the_zone_are_not_sent(void **state)
{
	char *many_hosts = many(300, "host-%u IN A 10.0.%u.%u\n");

	(void)state;
	forget_versions();
	serve_next(version(99, strstr(many_hosts, "host-")));
	serve_next(zone_of_text("example.", apex_text));
	expect_ixfr(0, NULL);
	assert_int_equal(sum.style, OUTGOING_WHOLE);
	free(many_hosts);
}

/* All of them together are more than the zone, but what is left of them is not. */
static void steps_that_undo_each_other_are_sent_even_if_they_are_many(void **state)
{
	(void)state;
	forget_versions();
	for (unsigned i = 0; i < 300; i++)
		serve_next(version(i + 1, i % 2 ? "flag IN TXT \"up\"\n" : ""));
	expect_ixfr(0, NULL);
	assert_int_equal(sum.style, OUTGOING_STEPS);
	assert_int_equal(sum.records, 5);
	forget_versions();
}

static void the_steps_lead_to_the_version_that_is_held(void **state)
{
	struct outgoing *outgoing;

	(void)state;
	forget_versions();
	serve_next(version(10, ""));
	serve_next(version(11, "a IN A 192.0.2.1\n"));
	outgoing = begin(ixfr_request(10), NULL);
	for (unsigned i = 12; i < 30; i++)
		serve_next(version(i, i % 2 ? "b IN A 192.0.2.1\n" : ""));
	store_settle();
	store_set_history(place, NULL);
	store_settle();
	assert_int_equal(outgoing_next(outgoing, NOW, got.bytes, &got.length, &got.why), OUTGOING_LAST);
	assert_string_equal(show_message(got.bytes, got.length), "NOERROR aa\n"
		"answer example. 3600 SOA ns1.example. host.example. 11 3600 900 604800 300\n"
		"answer example. 3600 SOA ns1.example. host.example. 10 3600 900 604800 300\n"
		"answer example. 3600 SOA ns1.example. host.example. 11 3600 900 604800 300\n"
		"answer a.example. 3600 A 192.0.2.1\n"
		"answer example. 3600 SOA ns1.example. host.example. 11 3600 900 604800 300\n");
	outgoing_free(outgoing);
	forget_versions();
}

static void serials_go_round(void **state)
{
	(void)state;
	forget_versions();
	serve_next(version(UINT32_MAX - 1, ""));
	serve_next(version(UINT32_MAX, "a IN A 192.0.2.1\n"));
	serve_next(version(0, "b IN A 192.0.2.1\n"));
	serve_next(version(5, "c IN A 192.0.2.1\n"));
	for (unsigned i = 0; i < 3; i++) {
		expect_ixfr(i, NULL);
		assert_int_equal(sum.style, OUTGOING_STEPS);
	}
	forget_versions();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_zone_with_nothing_but_its_apex),
		cmocka_unit_test(every_kind_of_name_and_record_is_in_it),
		cmocka_unit_test(messages_are_full),
		cmocka_unit_test(an_rrset_may_go_over_many_messages),
		cmocka_unit_test(a_record_may_need_a_message_of_its_own),
		cmocka_unit_test(a_record_that_fills_a_message_goes_without_a_signature_between_two_that_have_one),
		cmocka_unit_test(a_version_is_sent_whole_while_the_next_one_is_served),
		cmocka_unit_test(a_transfer_can_be_given_up_at_any_point),
		cmocka_unit_test(edns_is_answered_in_each_message),
		cmocka_unit_test(a_transfer_over_tls_is_padded_for_who_pads),
		cmocka_unit_test(each_message_is_signed),
		cmocka_unit_test(ixfr_gets_the_whole_zone_if_nothing_is_known_of_what_it_has),
		cmocka_unit_test(ixfr_gets_the_soa_alone_if_it_is_current_or_newer),
		cmocka_unit_test(what_differs_is_sent_alone),
		cmocka_unit_test(steps_are_condensed_to_one),
		cmocka_unit_test(many_octets_of_steps_come_as_some_steps),
		cmocka_unit_test(steps_larger_than_the_zone_are_not_sent),
		cmocka_unit_test(steps_that_undo_each_other_are_sent_even_if_they_are_many),
		cmocka_unit_test(the_steps_lead_to_the_version_that_is_held),
		cmocka_unit_test(serials_go_round),
	};

	return cmocka_run_group_tests_name("serve/outgoing", tests, setup, teardown);
}
