/* check/reply: responses as they come, and as they should not. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "check/reply.h"
#include "dns/msg.h"

#include <stdlib.h>

static const uint8_t zone[] = "\7example\3com";
static struct msg_writer writer;
static uint8_t buffer[MSG_MAX];

enum { ID = 4711 };

static void begin(const uint8_t *name, uint16_t type)
{
	msg_start(&writer, buffer, sizeof buffer, sizeof buffer);
	if (name)
		assert_true(msg_put_question(&writer, name, type, CLASS_IN));
}

static void put(enum msg_section section, const uint8_t *owner, uint16_t type, uint32_t ttl, const void *rdata, size_t n)
{
	struct rr rr = {.owner = owner, .type = type, .class = CLASS_IN, .ttl = ttl, .rdata = rdata, .rdlength = (uint16_t)n};

	assert_true(msg_put_rr(&writer, section, &rr));
}

static struct reply *end(uint16_t flags, uint16_t type)
{
	struct reply *reply = reply_read(buffer, msg_finish(&writer, ID, flags), ID, zone, type, CLASS_IN);

	assert_non_null(reply);
	return reply;
}

static void refuse(struct reply *reply, const char *because)
{
	char word[16];

	assert_int_equal(reply->outcome, REPLY_GARBAGE);
	assert_non_null(strstr(reply->why.text, because));
	assert_string_equal(reply_says(reply, word), reply->why.text);
	assert_int_equal(reply->answer_count + reply->authority_count + reply->additional_count, 0);
	reply_free(reply);
}

static void an_answer_is_kept_in_order(void **state)
{
	static const uint8_t ns1[] = "\3ns1\7example\3com", ns2[] = "\3NS2\7example\3com", low[] = "\3ns2\7example\3com";
	size_t found;
	struct reply *reply;
	const struct rr *rr;
	char word[16];

	(void)state;
	begin(zone, RR_NS);
	put(MSG_ANSWER, zone, RR_NS, 3600, ns2, sizeof ns2);
	put(MSG_ANSWER, zone, RR_NS, 3600, ns1, sizeof ns1);
	put(MSG_ANSWER, zone, RR_NS, 60, low, sizeof low);           /* the same but for case and TTL */
	put(MSG_ADDITIONAL, ns1, RR_A, UINT32_MAX, "\300\0\2\1", 4);
	msg_put_opt(&writer, 1400, 0, true, NULL, 0);
	reply = end(MSG_QR | MSG_AA | MSG_RA, RR_NS);
	assert_int_equal(reply->outcome, REPLY_OK);
	assert_true(reply->aa && reply->ra && !reply->tc && reply->edns && reply->do_bit);
	assert_int_equal(reply->edns_payload, 1400);
	assert_string_equal(reply_says(reply, word), "NOERROR");
	rr = reply_find(reply->answer, reply->answer_count, zone, RR_NS, &found);
	assert_int_equal(found, 2);
	assert_true(name_equal(rr[0].rdata, ns1) && name_equal(rr[1].rdata, ns2));
	assert_int_equal(rr[1].ttl, 60);
	assert_int_equal(reply->additional_count, 1);
	assert_int_equal(reply->additional[0].ttl, 0);               /* RFC 2181 8 */
	assert_null(reply_find(reply->answer, reply->answer_count, zone, RR_A, &found));
	assert_int_equal(found, 0);
	reply_free(reply);
}

static void an_extended_rcode_is_put_together(void **state)
{
	struct reply *reply;

	(void)state;
	begin(zone, RR_SOA);
	msg_put_opt(&writer, 1232, RCODE_BADVERS, false, NULL, 0);
	reply = end(MSG_QR, RR_SOA);
	assert_int_equal(reply->outcome, REPLY_OK);
	assert_int_equal(reply->rcode, RCODE_BADVERS);
	reply_free(reply);
}

static void only_an_error_may_come_without_the_question(void **state)
{
	struct reply *reply;

	(void)state;
	begin(NULL, 0);
	reply = end(MSG_QR | RCODE_FORMERR, RR_SOA);
	assert_int_equal(reply->outcome, REPLY_OK);
	assert_true(reply->bare);
	reply_free(reply);
	begin(NULL, 0);
	refuse(end(MSG_QR, RR_SOA), "no question");
}

static void what_answers_something_else_is_no_answer(void **state)
{
	(void)state;
	begin(zone, RR_SOA);
	refuse(reply_read(buffer, msg_finish(&writer, ID + 1, MSG_QR), ID, zone, RR_SOA, CLASS_IN), "message ID");
	begin(zone, RR_SOA);
	refuse(end(0, RR_SOA), "a question");
	begin(zone, RR_SOA);
	refuse(end(MSG_QR | OPCODE_NOTIFY << 11, RR_SOA), "opcode 4");
	begin(zone, RR_SOA);
	refuse(end(MSG_QR, RR_NS), "another question (example.com.");
	begin((const uint8_t *)"\3com", RR_SOA);
	refuse(end(MSG_QR, RR_SOA), "another question (com.");
	refuse(reply_read((const uint8_t *)"\x12\x67\x80", 3, ID, zone, RR_SOA, CLASS_IN), "no DNS message");
}

static void malformed_records_are_refused(void **state)
{
	(void)state;
	begin(zone, RR_A);
	put(MSG_ANSWER, zone, RR_A, 60, "\300\0\2", 3);
	refuse(end(MSG_QR, RR_A), "a record of example.com.: A ");
	begin(zone, RR_A);
	msg_put_opt(&writer, 1232, 0, false, NULL, 0);
	msg_put_opt(&writer, 1232, 0, false, NULL, 0);
	refuse(end(MSG_QR, RR_A), "more than one OPT");
	begin(zone, RR_A);
	put(MSG_ANSWER, zone, RR_A, 60, "\300\0\2\1", 4);
	refuse(reply_read(buffer, msg_finish(&writer, ID, MSG_QR) - 1, ID, zone, RR_A, CLASS_IN), "cut off");
	begin(zone, RR_A);
	put(MSG_ANSWER, zone, RR_A, 60, "\300\0\2\1", 4);
	msg_finish(&writer, ID, MSG_QR);
	put_u16(buffer + 6, 65535);                                  /* claims what is not there */
	refuse(reply_read(buffer, wbuf_used(&writer.buf), ID, zone, RR_A, CLASS_IN), "cut off");
}

static void a_truncated_answer_keeps_its_whole_records(void **state)
{
	struct reply *reply;

	(void)state;
	begin(zone, RR_A);
	put(MSG_ANSWER, zone, RR_A, 60, "\300\0\2\1", 4);
	put(MSG_ANSWER, zone, RR_A, 60, "\300\0\2\2", 4);
	reply = reply_read(buffer, msg_finish(&writer, ID, MSG_QR | MSG_TC) - 3, ID, zone, RR_A, CLASS_IN);
	assert_int_equal(reply->outcome, REPLY_OK);
	assert_true(reply->tc);
	assert_int_equal(reply->answer_count, 1);
	reply_free(reply);
}

/* Two octets of pointer are 255 octets when expanded. */
static void what_grows_without_measure_is_refused(void **state)
{
	uint8_t name[NAME_SIZE], *at = name;
	struct rr rr = {.owner = name, .type = RR_NS, .class = CLASS_IN, .rdata = name, .rdlength = NAME_SIZE};

	(void)state;
	for (unsigned i = 0; i < 127; i++) {
		*at++ = 1;
		*at++ = 'a';
	}
	*at = 0;
	begin(zone, RR_NS);
	for (unsigned i = 0; i < 4000; i++) {
		name[1] = (uint8_t)('a' + i % 26);                   /* no two in a row are the same */
		assert_true(msg_put_rr(&writer, MSG_ANSWER, &rr));
	}
	refuse(end(MSG_QR, RR_NS), "octets when its names are expanded");
}

static void of_a_transfer_only_the_first_record_is_kept(void **state)
{
	struct reply *reply;

	(void)state;
	begin(zone, RR_AXFR);
	for (unsigned i = 0; i < 4000; i++) {
		uint8_t address[4] = {10, 0, (uint8_t)(i >> 8), (uint8_t)i};

		put(MSG_ANSWER, zone, RR_A, 60, address, 4);
	}
	reply = end(MSG_QR, RR_AXFR);
	assert_int_equal(reply->outcome, REPLY_OK);
	assert_int_equal(reply->answer_count, 1);
	assert_true(reply->arena.total < 65536);
	err_why(&reply->why, ERR_LIMIT, "over the budget");
	reply_discard(reply);
	refuse(reply, "over the budget");
}

/* All records that a message can carry, as in an answer of many addresses. */
static void the_largest_honest_answer_is_kept(void **state)
{
	struct reply *reply;
	size_t found;

	(void)state;
	begin(zone, RR_A);
	for (unsigned i = 0; i < 4000; i++) {
		uint8_t address[4] = {10, 0, (uint8_t)(i >> 8), (uint8_t)i};

		put(MSG_ANSWER, zone, RR_A, 60, address, 4);
	}
	reply = end(MSG_QR, RR_A);
	assert_int_equal(reply->outcome, REPLY_OK);
	reply_find(reply->answer, reply->answer_count, zone, RR_A, &found);
	assert_int_equal(found, 4000);
	reply_free(reply);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_is_kept_in_order),
		cmocka_unit_test(an_extended_rcode_is_put_together),
		cmocka_unit_test(only_an_error_may_come_without_the_question),
		cmocka_unit_test(what_answers_something_else_is_no_answer),
		cmocka_unit_test(malformed_records_are_refused),
		cmocka_unit_test(a_truncated_answer_keeps_its_whole_records),
		cmocka_unit_test(what_grows_without_measure_is_refused),
		cmocka_unit_test(of_a_transfer_only_the_first_record_is_kept),
		cmocka_unit_test(the_largest_honest_answer_is_kept),
	};

	rr_init();
	msg_writer_zero(&writer);
	return cmocka_run_group_tests_name("reply", tests, NULL, NULL);
}
