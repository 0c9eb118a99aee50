#include "serve/request.h"

/* OPT stands in the additional section, once, owned by the root (RFC 6891 6.1.1, 6.1.2). */
static bool read_opt(struct request *rq, struct rbuf msg, const uint8_t *start, enum msg_section section)
{
	struct msg_rr rr;

	msg.at = start;
	return section == MSG_ADDITIONAL && !rq->edns.present && msg_read_rr(&msg, &rr) && msg_edns_of(&rr, &rq->edns);
}

static bool read_section(struct request *rq, struct rbuf *msg, unsigned count, enum msg_section section)
{
	for (; count > 0; count--) {
		const uint8_t *start = msg->at, *fixed;

		if (!name_skip(msg) || !(fixed = rbuf_take(msg, 10)) || !rbuf_take(msg, get_u16(fixed + 8)))
			return false;
		if (get_u16(fixed) == RR_OPT && !read_opt(rq, *msg, start, section))
			return false;
		if (get_u16(fixed) == RR_TSIG)
			rq->has_tsig = true;
	}
	return true;
}

static bool read_body(struct request *rq, struct rbuf *msg, const struct msg_header *header)
{
	if (header->qdcount > 1 || (header->qdcount == 1 && !msg_read_question(msg, &rq->question)))
		return false;
	rq->has_question = header->qdcount == 1;
	rq->records[0] = *msg;
	if (!read_section(rq, msg, header->ancount, MSG_ANSWER))
		return false;
	rq->records[1] = *msg;
	return read_section(rq, msg, header->nscount, MSG_AUTHORITY) &&
		read_section(rq, msg, header->arcount, MSG_ADDITIONAL) && rbuf_left(msg) == 0;
}

enum request_verdict request_read(struct request *rq, const uint8_t *bytes, size_t length)
{
	struct rbuf msg = rbuf_of(bytes, length);
	struct msg_header header;
	unsigned opcode;
	bool whole;

	if (!msg_read_header(&msg, &header) || header.flags & MSG_QR)
		return REQUEST_DROP;
	rq->id = header.id;
	rq->flags = header.flags;
	rq->has_question = rq->has_tsig = rq->edns.present = false;
	rq->counts[0] = header.ancount;
	rq->counts[1] = header.nscount;
	whole = read_body(rq, &msg, &header);
	if (!whole)
		rq->has_tsig = rq->edns.present = false;
	opcode = msg_opcode_of(header.flags);
	if (opcode != OPCODE_QUERY && opcode != OPCODE_NOTIFY)
		return REQUEST_NOTIMP;
	if (!whole || (!rq->has_question && opcode != OPCODE_QUERY))
		return REQUEST_FORMERR;
	if (rq->edns.present && rq->edns.version > 0)
		return REQUEST_BADVERS;
	return rq->has_question ? REQUEST_OK : REQUEST_QUESTIONLESS;
}

enum request_soa request_soa(const struct request *rq, enum msg_section section, struct serial *serial)
{
	unsigned i = section == MSG_ANSWER ? 0 : 1;
	struct rbuf msg = rq->records[i];
	struct msg_rr rr;
	struct rr_soa soa;

	if (rq->counts[i] == 0 || !msg_read_rr(&msg, &rr) || rr.type != RR_SOA || rr.class != rq->question.class ||
	    !name_equal(rr.owner, rq->question.name))
		return REQUEST_SOA_NONE;
	if (!msg_read_soa(&msg, &rr, &soa))
		return REQUEST_SOA_BAD;
	serial->v = soa.serial;
	return REQUEST_SOA;
}
