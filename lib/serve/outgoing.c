#include "serve/outgoing.h"

#include "dns/rrtext.h"

#include <stdlib.h>

enum {
	MESSAGE_SIZE = 16 << 10,     /* farther than a compression pointer reaches nothing is gained */
};

enum phase { PHASE_FIRST_SOA, PHASE_RECORDS, PHASE_LAST_SOA, PHASE_DONE };

struct outgoing {
	struct answer_transfer transfer;
	struct tsig_key key;         /* a copy: the settings may be replaced meanwhile */
	struct msg_writer writer;
	enum phase phase;
	struct zone_walk walk;
	/* Where the walk stands: `set` is being written, `at` its next record, `rrsets` what follows in the node. */
	uint8_t owner[NAME_SIZE];
	struct zone_rrsets rrsets;
	struct zone_rrset set;
	uint32_t at;
	struct outgoing_sum sum;
};

struct outgoing *outgoing_new(struct answer_transfer *transfer)
{
	struct outgoing *out = malloc(sizeof *out);

	if (!out) {
		zone_put(transfer->zone);
		tsig_release(&transfer->tsig);
		return NULL;
	}
	out->transfer = *transfer;
	if (transfer->tsig.key) {
		out->key = *transfer->tsig.key;
		out->transfer.tsig.key = &out->key;
	}
	msg_writer_zero(&out->writer);
	out->phase = PHASE_FIRST_SOA;
	name_copy(out->transfer.zone->apex, out->owner);
	out->set.type = RR_SOA;
	out->sum = (struct outgoing_sum){
		.zone = out->transfer.zone->apex, .type = transfer->type, .serial = out->transfer.zone->serial,
		.key = transfer->tsig.key ? out->key.name : NULL,
	};
	memset(transfer, 0, sizeof *transfer);
	return out;
}

void outgoing_free(struct outgoing *out)
{
	if (!out)
		return;
	zone_put(out->transfer.zone);
	tsig_release(&out->transfer.tsig);
	explicit_bzero(&out->key, sizeof out->key);
	free(out);
}

struct outgoing_sum outgoing_sum(const struct outgoing *out)
{
	return out->sum;
}

/* A client that has this version already, or a later one, gets the SOA alone (RFC 1995 4). */
static bool is_current(const struct outgoing *out)
{
	enum serial_order order = serial_compare(out->transfer.zone->serial, out->transfer.from_serial);

	return out->transfer.type == RR_IXFR && (order == SERIAL_EQUAL || order == SERIAL_OLDER);
}

/* The next RRset of the walk; the apex's SOA is written at the beginning and the end. */
static bool next_rrset(struct outgoing *out)
{
	const struct zone_node *node;

	out->at = 0;
	for (;;) {
		while (zone_rrsets_next(&out->rrsets, &out->set))
			if (out->set.type != RR_SOA)
				return true;
		node = zone_walk_next(&out->walk, out->owner);
		if (!node)
			return false;
		out->rrsets = zone_rrsets(node);
	}
}

static bool put_soa(struct outgoing *out)
{
	struct rr soa = zone_soa(out->transfer.zone);

	return msg_put_rr(&out->writer, MSG_ANSWER, &soa);
}

/* Records until the message is full (false) or the zone is through. */
static bool put_records(struct outgoing *out)
{
	struct rr rr;

	do {
		uint32_t next = out->at;

		while (zone_rrset_next(&out->set, &next, out->owner, &rr)) {
			if (!msg_put_rr(&out->writer, MSG_ANSWER, &rr))
				return false;
			out->at = next;
		}
	} while (next_rrset(out));
	return true;
}

static void begin_walk(struct outgoing *out)
{
	zone_walk(&out->walk, out->transfer.zone);
	out->rrsets = (struct zone_rrsets){0};
	out->phase = next_rrset(out) ? PHASE_RECORDS : PHASE_LAST_SOA;
}

/* As much as fits. */
static void fill(struct outgoing *out)
{
	if (out->phase == PHASE_FIRST_SOA && put_soa(out)) {
		if (is_current(out))
			out->phase = PHASE_DONE;
		else
			begin_walk(out);
	}
	if (out->phase == PHASE_RECORDS && put_records(out))
		out->phase = PHASE_LAST_SOA;
	if (out->phase == PHASE_LAST_SOA && put_soa(out))
		out->phase = PHASE_DONE;
}

/* The question and OPT go with the first message alone (RFC 5936 2.2.1, 2.2.5). */
static void write_message(struct outgoing *out, uint8_t *bytes, size_t limit)
{
	const struct answer_transfer *transfer = &out->transfer;
	bool first = out->sum.messages == 0, opt = first && transfer->edns;
	size_t opt_size = opt ? (size_t)EDNS_OPT_SIZE + transfer->options_length : 0;

	msg_start(&out->writer, bytes, MSG_MAX, limit);
	msg_reserve(&out->writer, tsig_room(&transfer->tsig) + opt_size);
	if (first)
		msg_put_question(&out->writer, transfer->qname, transfer->type, CLASS_IN);
	fill(out);
	if (opt) {
		msg_unreserve(&out->writer, opt_size);
		msg_put_opt(&out->writer, MSG_UDP_MAX, RCODE_NOERROR, false, transfer->options, transfer->options_length);
	}
}

static enum outgoing_step fits_nowhere(const struct outgoing *out, struct why *why)
{
	char owner[NAME_TEXT_SIZE], type[RR_TYPE_TEXT];

	err_why(why, ERR_NOSPACE, "record %.200s %s does not fit a message", name_text(out->owner, owner),
		rr_type_text(out->set.type, type));
	return OUTGOING_FAILED;
}

enum outgoing_step outgoing_next(struct outgoing *out, uint64_t now, uint8_t *bytes, size_t *length, struct why *why)
{
	struct msg_writer *writer = &out->writer;

	write_message(out, bytes, MESSAGE_SIZE);
	if (writer->count[MSG_ANSWER] == 0)
		write_message(out, bytes, MSG_MAX);
	if (writer->count[MSG_ANSWER] == 0)
		return fits_nowhere(out, why);
	*length = msg_finish(writer, out->transfer.id, (uint16_t)(MSG_QR | MSG_AA | out->transfer.flags));
	msg_unreserve(writer, tsig_room(&out->transfer.tsig));
	if (tsig_sign_reply(&out->transfer.tsig, &writer->buf, now) != ERR_OK) {
		err_why(why, ERR_NOMEM, "no memory to sign a message");
		return OUTGOING_FAILED;
	}
	*length = wbuf_used(&writer->buf);
	out->sum.messages++;
	out->sum.records += writer->count[MSG_ANSWER];
	out->sum.bytes += *length;
	return out->phase == PHASE_DONE ? OUTGOING_LAST : OUTGOING_MESSAGE;
}
