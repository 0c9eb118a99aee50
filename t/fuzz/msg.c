/* Any octets as a message: header, questions, records with their RDATA, EDNS. What could be read is written by the
 * writer, with a rollback before each record, and must be read back as the same. */
#include "dns/msg.h"

#include <stdlib.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RECORDS = 1000, RDATA_ROOM = 1 << 20 };

struct record {
	uint8_t owner[NAME_SIZE];
	struct rr rr;
	enum msg_section section;
};

static struct record records[RECORDS];
static struct msg_question questions[RECORDS];
static unsigned record_count, question_count;
static uint8_t rdata_space[RDATA_ROOM], written[MSG_MAX], expanded[MSG_MAX];
static struct msg_writer writer;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	rr_init();
	msg_writer_zero(&writer);
	return 0;
}

static void must(bool holds)
{
	if (!holds)
		abort();
}

static bool read_rdata(struct rbuf msg, const struct msg_rr *rr, struct wbuf *out)
{
	struct why why;

	msg.at = rr->rdata;
	return rr_read_rdata(&msg, rr->type, rr->rdlength, out, &why) == ERR_OK;
}

static void keep(const struct msg_rr *rr, enum msg_section section, struct rbuf msg, struct wbuf *space)
{
	struct record *record = &records[record_count];
	uint8_t *start = space->at;

	if (record_count == RECORDS || !read_rdata(msg, rr, space)) {
		space->at = start;
		space->bad = false;
		return;
	}
	name_copy(rr->owner, record->owner);
	record->section = section;
	record->rr = (struct rr){.owner = record->owner, .type = rr->type, .class = rr->class, .ttl = rr->ttl,
		.rdata = start, .rdlength = (uint16_t)(space->at - start)};
	record_count++;
}

static void read_all(const uint8_t *data, size_t size)
{
	struct rbuf msg = rbuf_of(data, size);
	struct wbuf space = wbuf_of(rdata_space, sizeof rdata_space);
	struct msg_header header;
	struct msg_edns edns;
	struct msg_rr rr;
	unsigned counts[4];

	record_count = question_count = 0;
	if (!msg_read_header(&msg, &header))
		return;
	memcpy(counts, (unsigned[]){0, header.ancount, header.nscount, header.arcount}, sizeof counts);
	for (unsigned i = 0; i < header.qdcount && question_count < RECORDS; i++)
		if (!msg_read_question(&msg, &questions[question_count++])) {
			question_count--;
			return;
		}
	for (enum msg_section section = MSG_ANSWER; section <= MSG_ADDITIONAL; section++)
		for (unsigned i = 0; i < counts[section]; i++) {
			if (!msg_read_rr(&msg, &rr))
				return;
			must(rr.rdata + rr.rdlength == msg.at && rr.start < msg.at && msg.at <= msg.end);
			if (rr.type == RR_OPT && msg_edns_of(&rr, &edns))
				must(edns.payload >= MSG_UDP_MIN && edns.options == rr.rdata);
			keep(&rr, section, msg, &space);
		}
}

/* Records that do not fit are taken out of the list. */
static size_t write_all(void)
{
	unsigned fitted = 0;

	msg_start(&writer, written, sizeof written, MSG_MAX);
	for (unsigned i = 0; i < question_count; i++)
		if (!msg_put_question(&writer, questions[i].name, questions[i].type, questions[i].class))
			question_count = i;
	for (unsigned i = 0; i < record_count; i++) {
		struct msg_mark mark = msg_mark(&writer);

		msg_put_rr(&writer, MSG_ANSWER, &records[record_count - 1 - i].rr);
		msg_rollback(&writer, mark);
		if (msg_put_rr(&writer, records[i].section, &records[i].rr)) {
			records[fitted] = records[i];
			records[fitted].rr.owner = records[fitted].owner;
			fitted++;
		}
	}
	record_count = fitted;
	return msg_finish(&writer, 1, MSG_QR);
}

static void compare_all(size_t size)
{
	struct rbuf msg = rbuf_of(written, size);
	struct msg_header header;
	struct msg_question question;
	struct msg_rr rr;

	must(msg_read_header(&msg, &header));
	must(header.qdcount == question_count);
	must((unsigned)header.ancount + header.nscount + header.arcount == record_count);
	for (unsigned i = 0; i < question_count; i++) {
		must(msg_read_question(&msg, &question));
		must(name_equal(question.name, questions[i].name));
		must(question.type == questions[i].type && question.class == questions[i].class);
	}
	for (unsigned i = 0; i < record_count; i++) {
		const struct rr *was = &records[i].rr;
		struct wbuf out = wbuf_of(expanded, sizeof expanded);

		must(msg_read_rr(&msg, &rr) && read_rdata(msg, &rr, &out));
		must(name_equal(rr.owner, was->owner));
		must(rr.type == was->type && rr.class == was->class && rr.ttl == was->ttl);
		must(wbuf_used(&out) == was->rdlength);
		must(rr_compare_rdata(rr.type, expanded, wbuf_used(&out), was->rdata, was->rdlength) == 0);
	}
	must(rbuf_left(&msg) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > MSG_MAX)
		return 0;
	read_all(data, size);
	compare_all(write_all());
	return 0;
}
