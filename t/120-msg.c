#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "dns/msg.h"

#include <stdio.h>
#include <stdlib.h>

/* --- helpers ---------------------------------------------------------------------- */

static struct msg_writer writer;
static uint8_t out[MSG_MAX];

static const uint8_t *name_of(const char *text)
{
	static uint8_t names[16][NAME_SIZE];
	static unsigned turn;
	uint8_t *name = names[turn++ % 16];
	struct why why = {""};

	if (name_parse(text, strlen(text), NULL, name, &why) != ERR_OK)
		fail_msg("%s", why.text);
	return name;
}

/* RDATA from octets and names: 'n' a name as text, 'h' a uint16, 'w' a uint32. */
struct data {
	uint8_t bytes[2000];
	size_t length;
};

static const struct data *data_of(const char *format, ...)
{
	static struct data ring[16];
	static unsigned turn;
	struct data *data = &ring[turn++ % 16];
	struct wbuf buf = wbuf_of(data->bytes, sizeof data->bytes);
	const uint8_t *name;
	va_list args;

	va_start(args, format);
	for (; *format; format++)
		switch (*format) {
		case 'n':
			name = name_of(va_arg(args, const char *));
			wbuf_bytes(&buf, name, name_length(name));
			break;
		case 'h':
			wbuf_u16(&buf, (uint16_t)va_arg(args, int));
			break;
		case 'w':
			wbuf_u32(&buf, va_arg(args, unsigned));
			break;
		}
	va_end(args);
	assert_false(buf.bad);
	data->length = wbuf_used(&buf);
	return data;
}

static struct rr record(const uint8_t *owner, uint16_t type, const struct data *data)
{
	return (struct rr){.owner = owner, .type = type, .class = CLASS_IN, .ttl = 3600,
		.rdlength = (uint16_t)data->length, .rdata = data->bytes};
}

static bool put(const char *owner, uint16_t type, const struct data *data)
{
	struct rr rr = record(name_of(owner), type, data);

	return msg_put_rr(&writer, MSG_ANSWER, &rr);
}

static void start(size_t limit)
{
	memset(out, 0xee, sizeof out);
	msg_start(&writer, out, sizeof out, limit);
}

/* A copy of exactly the message's size, so that the sanitizer sees any access beyond. */
static struct rbuf copy_of(const void *bytes, size_t length)
{
	uint8_t *copy = malloc(length ? length : 1);

	assert_non_null(copy);
	memcpy(copy, bytes, length);
	return rbuf_of(copy, length);
}

static void drop(struct rbuf *buf)
{
	free((void *)(uintptr_t)buf->base);
}

static void assert_name(const uint8_t *name, const char *expected)
{
	char text[NAME_TEXT_SIZE];

	assert_string_equal(name_text(name, text), expected);
}

/* The next record must be this one; names compared without case. */
static void expect_rr(struct rbuf *msg, const struct rr *rr)
{
	static uint8_t expanded[MSG_MAX];
	struct wbuf data = wbuf_of(expanded, sizeof expanded);
	struct msg_rr got;
	struct rbuf at;
	struct why why = {""};

	assert_true(msg_read_rr(msg, &got));
	assert_true(name_equal(got.owner, rr->owner));
	assert_int_equal(got.type, rr->type);
	assert_int_equal(got.class, rr->class);
	assert_int_equal(got.ttl, rr->ttl);
	at = *msg;
	at.at = got.rdata;
	if (rr_read_rdata(&at, got.type, got.rdlength, &data, &why) != ERR_OK)
		fail_msg("%s", why.text);
	assert_int_equal(rr_compare_rdata(rr->type, expanded, wbuf_used(&data), rr->rdata, rr->rdlength), 0);
}

static void expect(struct rbuf *msg, const char *owner, uint16_t type, const struct data *data)
{
	struct rr rr = record(name_of(owner), type, data);

	expect_rr(msg, &rr);
}

static struct rbuf finished(struct msg_header *header)
{
	size_t n = msg_finish(&writer, 0x1234, MSG_QR | MSG_AA);
	struct rbuf msg = copy_of(out, n);

	assert_true(msg_read_header(&msg, header));
	assert_int_equal(header->id, 0x1234);
	assert_int_equal(header->flags, MSG_QR | MSG_AA);
	return msg;
}

static uint32_t seed = 1;

static uint32_t chance(uint32_t n)
{
	seed = seed * 1664525 + 1013904223;
	return (uint32_t)((uint64_t)(seed >> 8) * n >> 24);
}

static int setup(void **state)
{
	(void)state;
	msg_writer_zero(&writer);
	return 0;
}

/* --- writing ------------------------------------------------------------------------ */

static void an_answer_is_written_and_read_back(void **state)
{
	const struct data *soa = data_of("nnwwwww", "ns1.example.com.", "admin.example.com.", 7u, 1u, 2u, 3u, 4u);
	const struct data *mx = data_of("hn", 10, "mail.example.com."), *a = data_of("w", 0xc0000201u);
	struct msg_question question;
	struct msg_header header;
	struct rbuf msg;
	struct rr rr = record(name_of("example.com."), RR_SOA, soa), glue = record(name_of("mail.example.com."), RR_A, a);

	(void)state;
	start(MSG_MAX);
	assert_true(msg_put_question(&writer, name_of("eXample.com."), RR_MX, CLASS_IN));
	assert_true(put("example.com.", RR_MX, mx));
	assert_true(msg_put_rr(&writer, MSG_AUTHORITY, &rr));
	assert_true(msg_put_rr(&writer, MSG_ADDITIONAL, &glue));
	assert_true(msg_put_opt(&writer, 1232, RCODE_BADVERS, true, "\0\3\0\2id", 6));
	msg = finished(&header);
	assert_int_equal(header.qdcount, 1);
	assert_int_equal(header.ancount, 1);
	assert_int_equal(header.nscount, 1);
	assert_int_equal(header.arcount, 2);
	assert_true(msg_read_question(&msg, &question));
	assert_name(question.name, "eXample.com.");
	assert_int_equal(question.type, RR_MX);
	assert_int_equal(question.class, CLASS_IN);
	expect(&msg, "example.com.", RR_MX, mx);
	expect_rr(&msg, &rr);
	expect_rr(&msg, &glue);
	assert_int_equal(rbuf_left(&msg), 11 + 6);
	drop(&msg);
}

static void owners_and_the_names_in_rdata_are_compressed(void **state)
{
	static const uint8_t expected[] =
		"\7Example\3com\0\0\2\0\1"                              /* 12 */
		"\xc0\x0c\0\2\0\1\0\0\x0e\x10\0\6\3ns1\xc0\x0c"         /* 29: example.com NS ns1.example.com */
		"\3ns2\xc0\x0c\0\x0f\0\1\0\0\x0e\x10\0\4\0\5\xc0\x29"   /* 47: ns2.example.com MX 5 ns1.example.com */
		"\4mail\xc0\x2f\0\5\0\1\0\0\x0e\x10\0\2\xc0\x14"        /* mail.ns2.example.com CNAME com */
		"\0\0\2\0\1\0\0\x0e\x10\0\1\0";                         /* . NS . */
	struct msg_header header;
	struct rbuf msg;

	(void)state;
	start(MSG_MAX);
	assert_true(msg_put_question(&writer, name_of("Example.com."), RR_NS, CLASS_IN));
	assert_true(put("example.com.", RR_NS, data_of("n", "ns1.eXAMPLE.com.")));
	assert_true(put("ns2.example.com.", RR_MX, data_of("hn", 5, "NS1.example.com.")));
	assert_true(put("mail.ns2.EXAMPLE.com.", RR_CNAME, data_of("n", "com.")));
	assert_true(put(".", RR_NS, data_of("n", ".")));
	msg = finished(&header);
	assert_int_equal(rbuf_left(&msg), sizeof expected - 1);
	assert_memory_equal(msg.at, expected, sizeof expected - 1);
	drop(&msg);
}

static void the_first_occurrence_keeps_its_case(void **state)
{
	struct msg_header header;
	struct msg_rr rr;
	struct rbuf msg;

	(void)state;
	start(MSG_MAX);
	assert_true(put("WwW.eXample.COM.", RR_A, data_of("w", 1u)));
	assert_true(put("www.example.com.", RR_A, data_of("w", 2u)));
	assert_true(put("Mail.example.com.", RR_A, data_of("w", 3u)));
	msg = finished(&header);
	assert_true(msg_read_rr(&msg, &rr));
	assert_name(rr.owner, "WwW.eXample.COM.");
	assert_true(msg_read_rr(&msg, &rr));
	assert_name(rr.owner, "WwW.eXample.COM.");
	assert_true(msg_read_rr(&msg, &rr));
	assert_name(rr.owner, "Mail.eXample.COM.");
	drop(&msg);
}

static void names_in_newer_types_are_not_compressed(void **state)
{
	const struct data *srv = data_of("hhhn", 1, 2, 53, "host.example.com.");
	struct msg_header header;
	struct msg_rr rr;
	struct rbuf msg;

	(void)state;
	start(MSG_MAX);
	assert_true(put("host.example.com.", RR_A, data_of("w", 1u)));
	assert_true(put("_dns.example.com.", RR_SRV, srv));
	msg = finished(&header);
	assert_true(msg_read_rr(&msg, &rr));
	assert_true(msg_read_rr(&msg, &rr));
	assert_int_equal(rr.rdlength, srv->length);
	assert_memory_equal(rr.rdata, srv->bytes, srv->length);
	drop(&msg);
}

static void a_label_that_looks_like_another_names_end_is_not_taken_for_it(void **state)
{
	struct msg_header header;
	struct rbuf msg;
	const struct data *a = data_of("w", 1u);

	(void)state;
	start(MSG_MAX);
	assert_true(put("a.b.c.", RR_A, a));
	assert_true(put("a\\001b.c.", RR_A, a));
	assert_true(put("a.c.", RR_A, a));
	assert_true(put("a.b.", RR_A, a));
	assert_true(put("b.", RR_A, a));
	msg = finished(&header);
	expect(&msg, "a.b.c.", RR_A, a);
	expect(&msg, "a\\001b.c.", RR_A, a);
	expect(&msg, "a.c.", RR_A, a);
	expect(&msg, "a.b.", RR_A, a);
	expect(&msg, "b.", RR_A, a);
	drop(&msg);
}

static void nothing_is_known_from_the_message_before(void **state)
{
	size_t first, second;

	(void)state;
	for (int round = 0; round < 3; round++) {
		if (round == 1)
			writer.epoch = UINT32_MAX;
		start(MSG_MAX);
		assert_true(put("host.example.com.", RR_A, data_of("w", 1u)));
		assert_true(put("mail.example.com.", RR_A, data_of("w", 1u)));
		first = msg_finish(&writer, 0, 0);
		start(MSG_MAX);
		assert_true(put("mail.example.com.", RR_A, data_of("w", 1u)));
		second = msg_finish(&writer, 0, 0);
		assert_int_equal(second, 12 + 18 + 14);
		assert_int_equal(first, second + 7 + 14);
	}
}

/* --- what does not fit ---------------------------------------------------------------- */

static const char *const some_names[] = {
	"example.com.", "www.example.com.", "WWW.example.com.", "a.b.c.example.com.", "b.c.example.com.", "x.org.",
	"mail.x.org.", "example.org.", ".", "com.", "long-label-number-one.long-label-number-two.example.com.",
};
enum { SOME_NAMES = sizeof some_names / sizeof *some_names };

static const char *some_name(void)
{
	return some_names[chance(SOME_NAMES)];
}

/* Tries to add one record of any kind. */
static bool put_any(void)
{
	const char *owner = some_name();

	switch (chance(5)) {
	case 0:
		return put(owner, RR_NS, data_of("n", some_name()));
	case 1:
		return put(owner, RR_MX, data_of("hn", 10, some_name()));
	case 2:
		return put(owner, RR_SOA, data_of("nnwwwww", some_name(), some_name(), 1u, 2u, 3u, 4u, 5u));
	case 3:
		return put(owner, RR_SRV, data_of("hhhn", 1, 2, 3, some_name()));
	default:
		return put(owner, RR_A, data_of("w", 1u));
	}
}

static void a_record_that_does_not_fit_leaves_nothing_behind(void **state)
{
	static uint8_t whole[MSG_MAX];
	size_t length;

	(void)state;
	seed = 5;
	start(MSG_MAX);
	for (int i = 0; i < 20; i++)
		assert_true(put_any());
	length = msg_finish(&writer, 0, 0);
	memcpy(whole, out, length);
	for (size_t limit = 0; limit <= length; limit++) {
		size_t n, most = limit < 12 ? 12 : limit;
		unsigned done = 0;

		seed = 5;
		start(limit);
		while (done < 20 && put_any())
			done++;
		n = msg_finish(&writer, 0, 0);
		assert_in_range(n, 12, most);
		assert_int_equal(get_u16(out + 6), done);
		assert_memory_equal(out + 12, whole + 12, n - 12);
		for (size_t i = most; i < length + 1; i++)
			assert_int_equal(out[i], 0xee);
		assert_int_equal(done == 20, limit == length);
	}
}

static void a_message_with_rollbacks_is_the_one_without_them(void **state)
{
	static uint8_t plain[MSG_MAX];

	(void)state;
	for (uint32_t round = 0; round < 200; round++) {
		size_t length;

		start(4000);
		for (uint32_t i = 0; i < 30; i++) {
			seed = round * 1000 + i;
			assert_true(put_any());
		}
		length = msg_finish(&writer, 0, 0);
		memcpy(plain, out, length);

		start(4000);
		for (uint32_t i = 0; i < 30; i++) {
			struct msg_mark mark = msg_mark(&writer);

			seed = round * 77 + i;
			for (uint32_t n = chance(4); n > 0; n--)
				put_any();
			msg_rollback(&writer, mark);
			writer.owner = 0;               /* the shortcut must not be needed */
			seed = round * 1000 + i;
			assert_true(put_any());
		}
		assert_int_equal(msg_finish(&writer, 0, 0), length);
		assert_memory_equal(out, plain, length);
	}
}

static void a_rollback_takes_several_records_and_their_counts(void **state)
{
	struct msg_header header;
	struct msg_mark mark;
	struct rbuf msg;
	const struct data *a = data_of("w", 1u);

	(void)state;
	start(MSG_MAX);
	assert_true(msg_put_question(&writer, name_of("example.com."), RR_A, CLASS_IN));
	mark = msg_mark(&writer);
	assert_true(put("www.example.com.", RR_A, a));
	assert_true(put("www.example.com.", RR_A, a));
	assert_true(msg_put_opt(&writer, 1232, 0, false, NULL, 0));
	msg_rollback(&writer, mark);
	assert_true(put("mail.example.com.", RR_A, a));
	assert_true(put("www.example.com.", RR_A, a));
	msg = finished(&header);
	assert_int_equal(header.qdcount, 1);
	assert_int_equal(header.ancount, 2);
	assert_int_equal(header.arcount, 0);
	msg.at += 17;
	expect(&msg, "mail.example.com.", RR_A, a);
	expect(&msg, "www.example.com.", RR_A, a);
	assert_int_equal(rbuf_left(&msg), 0);
	drop(&msg);
}

static void what_is_reserved_stays_free(void **state)
{
	const struct data *a = data_of("w", 1u);

	(void)state;
	start(12 + 18 + 14 + 11);
	msg_reserve(&writer, 12);
	assert_false(put("mail.example.com.", RR_A, a));
	msg_unreserve(&writer, 1);
	assert_true(put("mail.example.com.", RR_A, a));
	assert_false(msg_put_opt(&writer, 512, 0, false, NULL, 0));
	msg_unreserve(&writer, 11);
	assert_false(msg_put_opt(&writer, 512, 0, false, "\0\3\0\0", 4));
	assert_true(msg_put_opt(&writer, 512, 0, false, NULL, 0));
	assert_int_equal(msg_finish(&writer, 0, 0), 12 + 18 + 14 + 11);

	start(100);
	msg_reserve(&writer, 200);
	assert_int_equal(writer.limit, 0);
	assert_false(put(".", RR_A, a));
	msg_unreserve(&writer, 200);
	assert_int_equal(writer.limit, 100);
	assert_true(put(".", RR_A, a));
}

static void the_buffers_size_bounds_the_message_too(void **state)
{
	uint8_t *small = malloc(12 + 18 + 14);
	const struct data *a = data_of("w", 1u);

	(void)state;
	assert_non_null(small);
	msg_start(&writer, small, 12 + 18 + 14, MSG_MAX);
	assert_true(put("mail.example.com.", RR_A, a));
	assert_false(put("mail.example.com.", RR_A, a));
	assert_int_equal(msg_finish(&writer, 0, 0), 12 + 18 + 14);
	free(small);
}

/* --- big messages ----------------------------------------------------------------------- */

static void a_message_of_64_kb_is_read_back(void **state)
{
	struct msg_header header;
	struct rbuf msg;
	unsigned count = 0;
	char owner[64];

	(void)state;
	start(MSG_MAX);
	assert_true(msg_put_question(&writer, name_of("example.com."), RR_AXFR, CLASS_IN));
	for (;; count++) {
		snprintf(owner, sizeof owner, "Host-%u.Zone%u.example.com.", count / 2, count / 100);
		if (!put(owner, RR_NS, data_of("n", owner)))
			break;
	}
	assert_in_range(count, 1500, 3500);
	msg = finished(&header);
	assert_int_equal(header.ancount, count);
	assert_in_range(rbuf_left(&msg), MSG_MAX - 12 - 80, MSG_MAX - 12);
	msg.at += 17;
	for (unsigned i = 0; i < count; i++) {
		snprintf(owner, sizeof owner, "host-%u.zone%u.example.com.", i / 2, i / 100);
		expect(&msg, owner, RR_NS, data_of("n", owner));
	}
	assert_int_equal(rbuf_left(&msg), 0);
	drop(&msg);
}

static void a_full_table_still_finds_what_it_has(void **state)
{
	const struct data *a = data_of("w", 1u);
	char owner[64];
	size_t before;

	(void)state;
	start(MSG_MAX);
	for (unsigned i = 0; i < 500; i++) {
		snprintf(owner, sizeof owner, "h%u.example.com.", i);
		assert_true(put(owner, RR_A, a));
	}
	assert_int_equal(writer.names, MSG_SLOTS / 2);
	before = wbuf_used(&writer.buf);
	assert_true(before < 0x3fff);
	assert_true(put("h3.example.com.", RR_A, a));
	assert_int_equal(wbuf_used(&writer.buf), before + 2 + 14);
	/* unknown to the table, but the owner of the record before */
	assert_true(put("h499.example.com.", RR_A, a));
	assert_true(put("h499.example.com.", RR_A, a));
	assert_int_equal(wbuf_used(&writer.buf), before + 2 + 14 + 7 + 14 + 2 + 14);
}

static void nothing_points_beyond_16_kb(void **state)
{
	static const struct data big = {.length = 2000};
	const struct data *a = data_of("w", 1u);
	struct msg_header header;
	struct rbuf msg;
	size_t before;

	(void)state;
	start(MSG_MAX);
	while (wbuf_used(&writer.buf) < 0x3fff - 2100)
		assert_true(put("x.example.com.", 65280, &big));
	/* the name's first label ends up at 0x3ffe, the others behind what a pointer can reach */
	before = 0x3ffe - wbuf_used(&writer.buf);
	assert_true(before > 16 && before - 12 < 2100);
	assert_true(put("x.example.com.", 65280, &(struct data){.length = before - 12}));
	assert_int_equal(wbuf_used(&writer.buf), 0x3ffe);
	assert_true(put("new.host.test.", RR_A, a));
	before = wbuf_used(&writer.buf);
	assert_true(put("new.host.test.", RR_A, a));
	assert_int_equal(wbuf_used(&writer.buf), before + 2 + 14);
	assert_true(put("other.host.test.", RR_A, a));
	assert_true(put("other.host.test.", RR_A, a));
	assert_int_equal(wbuf_used(&writer.buf), before + 2 + 14 + 2 * (17 + 14));
	msg = finished(&header);
	msg.at = msg.base + 0x3ffe;
	expect(&msg, "new.host.test.", RR_A, a);
	expect(&msg, "new.host.test.", RR_A, a);
	expect(&msg, "other.host.test.", RR_A, a);
	expect(&msg, "other.host.test.", RR_A, a);
	drop(&msg);
}

/* --- reading ------------------------------------------------------------------------------ */

static void headers_are_read(void **state)
{
	struct rbuf msg = copy_of("\xab\xcd\x84\x03\0\1\0\2\0\3\xff\xff", 12);
	struct msg_header header;

	(void)state;
	assert_true(msg_read_header(&msg, &header));
	assert_int_equal(header.id, 0xabcd);
	assert_int_equal(header.flags, 0x8403);
	assert_int_equal(msg_opcode_of(0x2000), OPCODE_NOTIFY);
	assert_int_equal(msg_rcode_of(header.flags), RCODE_NXDOMAIN);
	assert_int_equal(header.qdcount, 1);
	assert_int_equal(header.ancount, 2);
	assert_int_equal(header.nscount, 3);
	assert_int_equal(header.arcount, 65535);
	drop(&msg);
	for (size_t n = 0; n < 12; n++) {
		msg = copy_of("\xab\xcd\x84\x03\0\1\0\2\0\3\xff\xff", n);
		assert_false(msg_read_header(&msg, &header));
		assert_true(msg.bad);
		drop(&msg);
	}
}

static void a_message_cut_anywhere_is_refused(void **state)
{
	static const uint8_t bytes[] = "hhhhhhhhhhhh\3www\0\0\1\0\1\xc0\x0c\0\1\0\1\0\0\0\5\0\4abcd";
	size_t whole = sizeof bytes - 1;

	(void)state;
	for (size_t n = 12; n <= whole; n++) {
		struct rbuf msg = copy_of(bytes, n);
		struct msg_question question;
		struct msg_rr rr;
		bool good;

		msg.at += 12;
		good = msg_read_question(&msg, &question);
		assert_int_equal(good, n >= 21);
		if (good) {
			good = msg_read_rr(&msg, &rr);
			assert_int_equal(good, n == whole);
		}
		assert_int_equal(!good, msg.bad);
		drop(&msg);
	}
}

static void a_record_knows_where_it_stands(void **state)
{
	struct rbuf msg = copy_of("hhhhhhhhhhhh\3www\0\0\1\0\3\x80\0\0\5\0\2abz", 30);
	struct msg_rr rr;

	(void)state;
	msg.at += 12;
	assert_true(msg_read_rr(&msg, &rr));
	assert_ptr_equal(rr.start, msg.base + 12);
	assert_ptr_equal(rr.rdata, msg.base + 27);
	assert_int_equal(rr.rdlength, 2);
	assert_int_equal(rr.class, CLASS_CH);
	assert_int_equal(rr.ttl, 0x80000005);
	assert_int_equal(rbuf_left(&msg), 1);
	drop(&msg);
}

static void rdata_that_overruns_is_refused(void **state)
{
	struct rbuf msg = copy_of("hhhhhhhhhhhh\0\0\1\0\1\0\0\0\5\xff\xff" "abcd", 27);
	struct msg_rr rr;

	(void)state;
	msg.at += 12;
	assert_false(msg_read_rr(&msg, &rr));
	assert_true(msg.bad);
	drop(&msg);
}

static bool edns_from(const char *bytes, size_t length, struct msg_edns *edns)
{
	struct rbuf msg = copy_of(bytes, length);
	struct msg_rr rr;
	bool good;

	assert_true(msg_read_rr(&msg, &rr));
	good = msg_edns_of(&rr, edns);
	assert_int_equal(rbuf_left(&msg), 0);
	drop(&msg);
	return good;
}

#define LITERAL(s) (s), sizeof(s) - 1

static void edns_is_parsed(void **state)
{
	struct msg_edns edns;

	(void)state;
	assert_true(edns_from(LITERAL("\0\0\x29\x04\xd0\x12\x03\x80\0\0\x09\0\3\0\0\0\x0a\0\1c"), &edns));
	assert_true(edns.present);
	assert_true(edns.do_bit);
	assert_int_equal(edns.version, 3);
	assert_int_equal(edns.ext_rcode, 0x12);
	assert_int_equal(edns.payload, 1232);
	assert_int_equal(edns.options_length, 9);
	assert_true(edns_from(LITERAL("\0\0\x29\x01\xff\0\0\x7f\xff\0\0"), &edns));
	assert_false(edns.do_bit);
	assert_int_equal(edns.payload, 512);
	assert_int_equal(edns.options_length, 0);
}

static void malformed_edns_is_refused(void **state)
{
	struct msg_edns edns;

	(void)state;
	assert_false(edns_from(LITERAL("\1a\0\0\x29\x04\xd0\0\0\0\0\0\0"), &edns));
	assert_false(edns_from(LITERAL("\0\0\x29\x04\xd0\0\0\0\0\0\1x"), &edns));
	assert_false(edns_from(LITERAL("\0\0\x29\x04\xd0\0\0\0\0\0\3\0\3\0"), &edns));
	assert_false(edns_from(LITERAL("\0\0\x29\x04\xd0\0\0\0\0\0\4\0\3\0\1"), &edns));
	assert_false(edns_from(LITERAL("\0\0\x29\x04\xd0\0\0\0\0\0\7\0\3\0\2ab\0"), &edns));
	assert_false(edns_from(LITERAL("\0\0\x29\x04\xd0\0\0\0\0\0\4\0\3\xff\xff"), &edns));
}

static void edns_is_written_as_it_is_read(void **state)
{
	struct msg_edns edns;
	struct msg_header header;
	struct msg_rr rr;
	struct rbuf msg;

	(void)state;
	start(MSG_MAX);
	assert_true(msg_put_opt(&writer, 1400, 0x123, true, "\0\3\0\2id", 6));
	msg = finished(&header);
	assert_int_equal(header.arcount, 1);
	assert_true(msg_read_rr(&msg, &rr));
	assert_int_equal(rr.type, RR_OPT);
	assert_true(msg_edns_of(&rr, &edns));
	assert_int_equal(edns.ext_rcode, 0x12);
	assert_int_equal(edns.version, 0);
	assert_int_equal(edns.payload, 1400);
	assert_true(edns.do_bit);
	assert_int_equal(edns.options_length, 6);
	assert_memory_equal(edns.options, "\0\3\0\2id", 6);
	drop(&msg);
}

static void rcodes_have_names(void **state)
{
	char text[16];

	(void)state;
	assert_string_equal(msg_rcode_text(RCODE_SERVFAIL, text), "SERVFAIL");
	assert_string_equal(msg_rcode_text(RCODE_BADVERS, text), "BADVERS");
	assert_string_equal(msg_rcode_text(RCODE_BADCOOKIE, text), "BADCOOKIE");
	assert_string_equal(msg_rcode_text(11, text), "RCODE11");
	assert_string_equal(msg_rcode_text(77, text), "RCODE77");
	assert_string_equal(msg_rcode_text(UINT32_MAX, text), "RCODE4294967295");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_is_written_and_read_back),
		cmocka_unit_test(owners_and_the_names_in_rdata_are_compressed),
		cmocka_unit_test(the_first_occurrence_keeps_its_case),
		cmocka_unit_test(names_in_newer_types_are_not_compressed),
		cmocka_unit_test(a_label_that_looks_like_another_names_end_is_not_taken_for_it),
		cmocka_unit_test(nothing_is_known_from_the_message_before),
		cmocka_unit_test(a_record_that_does_not_fit_leaves_nothing_behind),
		cmocka_unit_test(a_message_with_rollbacks_is_the_one_without_them),
		cmocka_unit_test(a_rollback_takes_several_records_and_their_counts),
		cmocka_unit_test(what_is_reserved_stays_free),
		cmocka_unit_test(the_buffers_size_bounds_the_message_too),
		cmocka_unit_test(a_message_of_64_kb_is_read_back),
		cmocka_unit_test(a_full_table_still_finds_what_it_has),
		cmocka_unit_test(nothing_points_beyond_16_kb),
		cmocka_unit_test(headers_are_read),
		cmocka_unit_test(a_message_cut_anywhere_is_refused),
		cmocka_unit_test(a_record_knows_where_it_stands),
		cmocka_unit_test(rdata_that_overruns_is_refused),
		cmocka_unit_test(edns_is_parsed),
		cmocka_unit_test(malformed_edns_is_refused),
		cmocka_unit_test(edns_is_written_as_it_is_read),
		cmocka_unit_test(rcodes_have_names),
	};

	rr_init();
	return cmocka_run_group_tests_name("dns/msg", tests, setup, NULL);
}
