#include "check/reply.h"

#include "dns/msg.h"

#include <stdlib.h>
#include <string.h>

struct reply *reply_none(enum reply_outcome outcome, const struct why *why)
{
	struct reply *reply = calloc(1, sizeof *reply);

	if (!reply)
		return NULL;
	reply->outcome = outcome;
	if (why)
		reply->why = *why;
	return reply;
}

void reply_free(struct reply *reply)
{
	if (!reply)
		return;
	arena_release(&reply->arena);
	free(reply);
}

void reply_discard(struct reply *reply)
{
	arena_release(&reply->arena);
	reply->answer = reply->authority = reply->additional = NULL;
	reply->answer_count = reply->authority_count = reply->additional_count = 0;
	reply->outcome = REPLY_GARBAGE;
}

/* --- one record ----------------------------------------------------------- */

struct reading {
	struct reply *reply;
	struct rbuf msg;
	const uint8_t *asked;        /* the question's name */
	const uint8_t *owner;        /* the last one, expanded */
	unsigned opts;
	size_t octets;               /* of names and RDATA that were kept */
	uint8_t rdata[UINT16_MAX];
};

/* Most records of a message have the question's name or that of the one before. */
static const uint8_t *keep_owner(struct reading *r, const uint8_t *owner)
{
	size_t length = name_length(owner);

	if (r->owner && name_length(r->owner) == length && memcmp(r->owner, owner, length) == 0)
		return r->owner;
	r->owner = arena_dup(&r->reply->arena, owner, length);
	r->octets += length;
	return r->owner;
}

static enum err keep_edns(struct reading *r, const struct msg_rr *from)
{
	struct reply *reply = r->reply;
	struct msg_edns edns;

	if (++r->opts > 1)
		return err_why(&reply->why, ERR_FORMAT, "more than one OPT record");
	if (!msg_edns_of(from, &edns))
		return err_why(&reply->why, ERR_FORMAT, "a malformed OPT record");
	reply->edns = true;
	reply->do_bit = edns.do_bit;
	reply->edns_version = edns.version;
	reply->edns_payload = edns.payload;
	reply->rcode |= (unsigned)edns.ext_rcode << 4;
	return ERR_OK;
}

static enum err say_owner(struct reply *reply, const uint8_t *owner, const struct why *fault)
{
	char text[NAME_TEXT_SIZE];

	return err_why(&reply->why, ERR_FORMAT, "a record of %.200s: %.150s", name_text(owner, text), fault->text);
}

static enum err keep_record(struct reading *r, const struct msg_rr *from, struct rr *to)
{
	struct reply *reply = r->reply;
	struct wbuf out = wbuf_of(r->rdata, sizeof r->rdata);
	struct rbuf at = r->msg;
	struct why why = {""};

	at.at = from->rdata;
	if (rr_read_rdata(&at, from->type, from->rdlength, &out, &why) != ERR_OK)
		return say_owner(reply, from->owner, &why);
	*to = (struct rr){.owner = keep_owner(r, from->owner), .type = from->type, .class = from->class,
		.ttl = from->ttl > INT32_MAX ? 0 : from->ttl, .rdlength = (uint16_t)wbuf_used(&out),
		.rdata = arena_dup(&reply->arena, r->rdata, wbuf_used(&out))};
	if (!to->owner || !to->rdata)
		return ERR_NOMEM;
	r->octets += to->rdlength;
	if (r->octets > REPLY_OCTETS_MAX)
		return err_why(&reply->why, ERR_LIMIT, "over %d octets when its names are expanded", REPLY_OCTETS_MAX);
	return ERR_OK;
}

/* --- sections --------------------------------------------------------------- */

static int compare(const void *left, const void *right)
{
	const struct rr *a = left, *b = right;
	int order = a->owner == b->owner ? 0 : name_compare(a->owner, b->owner);

	if (order)
		return order;
	if (a->class != b->class)
		return a->class < b->class ? -1 : 1;
	if (a->type != b->type)
		return a->type < b->type ? -1 : 1;
	return rr_compare_rdata(a->type, a->rdata, a->rdlength, b->rdata, b->rdlength);
}

/* Of two that are the same the lower TTL holds, as in a cache. */
static size_t sort(struct rr *records, size_t count)
{
	size_t kept = 0;

	if (!count)
		return 0;
	qsort(records, count, sizeof *records, compare);
	for (size_t i = 1; i < count; i++) {
		if (compare(&records[kept], &records[i]) != 0)
			records[++kept] = records[i];
		else if (records[i].ttl < records[kept].ttl)
			records[kept].ttl = records[i].ttl;
	}
	return kept + 1;
}

static enum err read_section(struct reading *r, unsigned claimed, const struct rr **section, size_t *count)
{
	enum { RECORD_LEAST = 11 };
	struct reply *reply = r->reply;
	size_t room = 1 + rbuf_left(&r->msg) / RECORD_LEAST, n = 0;
	struct rr *records = arena_alloc(&reply->arena, (claimed < room ? claimed + 1 : room) * sizeof *records);
	struct msg_rr rr;
	enum err err = records ? ERR_OK : ERR_NOMEM;

	for (unsigned i = 0; i < claimed && !err; i++) {
		if (!msg_read_rr(&r->msg, &rr)) {
			err = reply->tc ? ERR_OK : err_why(&reply->why, ERR_FORMAT, "a record is cut off, or its name malformed");
			break;
		}
		if (rr.type == RR_OPT)
			err = keep_edns(r, &rr);
		else
			err = keep_record(r, &rr, &records[n++]);
	}
	if (err)
		return err;
	*section = records;
	*count = sort(records, n);
	return ERR_OK;
}

/* --- the whole ---------------------------------------------------------------- */

static enum err check_question(struct reading *r, unsigned count, uint16_t type, uint16_t class)
{
	struct reply *reply = r->reply;
	struct msg_question question;
	char text[NAME_TEXT_SIZE];

	if (count == 0 && reply->rcode != RCODE_NOERROR) {
		reply->bare = true;
		return ERR_OK;
	}
	if (count != 1 || !msg_read_question(&r->msg, &question))
		return err_why(&reply->why, ERR_FORMAT, "no question, several, or a malformed one");
	if (!name_equal(question.name, r->asked) || question.type != type || question.class != class)
		return err_why(&reply->why, ERR_MISMATCH, "the answer to another question (%.200s, type %u, class %u)",
			name_text(question.name, text), question.type, question.class);
	return ERR_OK;
}

static enum err check_header(struct reply *reply, const struct msg_header *header, uint16_t id)
{
	if (header->id != id)
		return err_why(&reply->why, ERR_MISMATCH, "another message ID than was asked with");
	if (!(header->flags & MSG_QR))
		return err_why(&reply->why, ERR_MISMATCH, "a question, not an answer");
	if (msg_opcode_of(header->flags) != OPCODE_QUERY)
		return err_why(&reply->why, ERR_MISMATCH, "an answer with opcode %u", msg_opcode_of(header->flags));
	reply->aa = header->flags & MSG_AA;
	reply->tc = header->flags & MSG_TC;
	reply->ra = header->flags & MSG_RA;
	reply->ad = header->flags & MSG_AD;
	reply->rcode = msg_rcode_of(header->flags);
	return ERR_OK;
}

static enum err read_all(struct reading *r, uint16_t id, uint16_t type, uint16_t class)
{
	struct reply *reply = r->reply;
	struct msg_header header;
	enum err err;

	if (!msg_read_header(&r->msg, &header))
		return err_why(&reply->why, ERR_FORMAT, "%zu octets are no DNS message", reply->size);
	err = check_header(reply, &header, id);
	if (!err)
		err = check_question(r, header.qdcount, type, class);
	if (!err)
		err = read_section(r, type == RR_AXFR && header.ancount ? 1 : header.ancount, &reply->answer, &reply->answer_count);
	if (type == RR_AXFR)
		return err;
	if (!err)
		err = read_section(r, header.nscount, &reply->authority, &reply->authority_count);
	if (!err)
		err = read_section(r, header.arcount, &reply->additional, &reply->additional_count);
	return err;
}

struct reply *reply_read(const uint8_t *message, size_t length, uint16_t id, const uint8_t *name, uint16_t type, uint16_t class)
{
	struct reply *reply = reply_none(REPLY_OK, NULL);
	struct reading *r = malloc(sizeof *r);
	enum err err = ERR_NOMEM;

	if (reply && r) {
		r->reply = reply;
		r->msg = rbuf_of(message, length);
		r->asked = name;
		r->owner = NULL;
		r->opts = 0;
		r->octets = 0;
		reply->size = length;
		err = read_all(r, id, type, class);
	}
	free(r);
	if (err == ERR_NOMEM) {
		reply_free(reply);
		return NULL;
	}
	if (err)
		reply_discard(reply);
	return reply;
}

bool reply_answered(const struct reply *reply)
{
	return reply && reply->outcome == REPLY_OK;
}

bool reply_told(const struct reply *reply)
{
	return reply_answered(reply) && (reply->rcode == RCODE_NOERROR || reply->rcode == RCODE_NXDOMAIN);
}

/* How many records stand before those of this owner, class IN, and type. */
static size_t count_before(const struct rr *section, size_t count, const uint8_t *owner, uint32_t type)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct rr *rr = &section[middle];
		int order = name_compare(rr->owner, owner);

		if (order < 0 || (order == 0 && (rr->class < CLASS_IN || (rr->class == CLASS_IN && rr->type < type))))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct rr *reply_find(const struct rr *section, size_t count, const uint8_t *owner, uint16_t type, size_t *found)
{
	size_t begin = count_before(section, count, owner, type), end = count_before(section, count, owner, (uint32_t)type + 1);

	*found = end - begin;
	return end > begin ? &section[begin] : NULL;
}

const struct rr *reply_delegation(const struct reply *reply, const uint8_t *zone, bool *as_child, size_t *found)
{
	const struct rr *rrs;

	*found = 0;
	*as_child = false;
	if (!reply || reply->outcome != REPLY_OK || reply->rcode != RCODE_NOERROR)
		return NULL;
	rrs = reply_find(reply->authority, reply->authority_count, zone, RR_NS, found);
	if (rrs || !reply->aa)
		return rrs;
	*as_child = true;
	return reply_find(reply->answer, reply->answer_count, zone, RR_NS, found);
}

const char *reply_says(const struct reply *reply, char out[16])
{
	switch (reply->outcome) {
	case REPLY_NONE:
		return "not asked";
	case REPLY_OK:
		return msg_rcode_text(reply->rcode, out);
	case REPLY_TIMEOUT:
		return reply->why.text[0] ? reply->why.text : "timed out";
	case REPLY_UNREACHABLE:
		return reply->why.text[0] ? reply->why.text : "cannot be reached";
	case REPLY_CLOSED:
		return reply->why.text[0] ? reply->why.text : "the connection was closed";
	case REPLY_GARBAGE:
		return reply->why.text[0] ? reply->why.text : "garbage";
	}
	return "";
}
