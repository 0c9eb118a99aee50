#include "serve/outgoing.h"

#include <stdlib.h>

enum {
	MESSAGE_SIZE = 16 << 10,     /* farther than a compression pointer reaches nothing is gained */
	TOGETHER = 1 << 20,          /* octets of steps that are sent as one: records that come and go again in them cost time, and send nothing */
};

enum phase { PHASE_FIRST_SOA, PHASE_RECORDS, PHASE_STEPS, PHASE_LAST_SOA, PHASE_DONE };

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
	/* Or where the steps stand: `merge` is being written, `rr` its next record, `step` on what follows. */
	struct diff *joined;         /* instead of the history's; NULL: those */
	struct diff *const *step;
	size_t steps;                /* that are left */
	struct diff_merge *merge;
	bool has_rr;
	struct rr rr;
	bool failed;                 /* out of memory */
	bool alone;                  /* one record, and the message is full */
	struct outgoing_sum sum;
};

static uint64_t step_bytes(const struct diff *step)
{
	size_t length;

	diff_bytes(step, &length);
	return length;
}

/* Steps that together are larger than the zone may not be once they are one; many octets of them are not tried. */
static bool fit_as_one(struct outgoing *out, uint64_t bytes)
{
	if (out->steps < 2 || bytes > TOGETHER || diff_join(out->step, out->steps, 0, &out->joined) != ERR_OK)
		return false;
	out->step = &out->joined;
	out->steps = 1;
	return diff_octets(out->joined) <= out->transfer.zone->wire_bytes;
}

/* Whether the client's version is in the history, and the steps from there on are worth sending. */
static bool find_steps(struct outgoing *out)
{
	const struct answer_transfer *transfer = &out->transfer;
	size_t first = history_find(transfer->history, transfer->from_serial, transfer->zone->serial, &out->steps);
	uint64_t octets = 0, bytes = 0;

	if (!out->steps)
		return false;
	out->step = history_steps(transfer->history) + first;
	for (size_t i = 0; i < out->steps; i++) {
		octets += diff_octets(out->step[i]);
		bytes += step_bytes(out->step[i]);
	}
	return octets <= transfer->zone->wire_bytes || fit_as_one(out, bytes);
}

/* A client that has this version already, or a later one, gets the SOA alone (RFC 1995 4). */
static enum outgoing_style style_of(struct outgoing *out)
{
	enum serial_order order = serial_compare(out->transfer.zone->serial, out->transfer.from_serial);

	if (out->transfer.type != RR_IXFR)
		return OUTGOING_WHOLE;
	if (order == SERIAL_EQUAL || order == SERIAL_OLDER)
		return OUTGOING_SOA;
	return find_steps(out) ? OUTGOING_STEPS : OUTGOING_WHOLE;
}

struct outgoing *outgoing_new(struct answer_transfer *transfer)
{
	struct outgoing *out = malloc(sizeof *out);

	if (!out) {
		zone_put(transfer->zone);
		history_drop(transfer->history);
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
	out->joined = NULL;
	out->merge = NULL;
	out->has_rr = out->failed = out->alone = false;
	out->sum = (struct outgoing_sum){
		.zone = out->transfer.zone->apex, .type = transfer->type, .serial = out->transfer.zone->serial,
		.key = transfer->tsig.key ? out->key.name : NULL, .style = style_of(out),
	};
	memset(transfer, 0, sizeof *transfer);
	return out;
}

void outgoing_free(struct outgoing *out)
{
	if (!out)
		return;
	diff_merge_free(out->merge);
	diff_drop(out->joined);
	history_drop(out->transfer.history);
	zone_put(out->transfer.zone);
	tsig_release(&out->transfer.tsig);
	explicit_bzero(&out->key, sizeof out->key);
	free(out);
}

struct outgoing_sum outgoing_sum(const struct outgoing *out)
{
	return out->sum;
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
			if (out->alone)
				return false;
		}
	} while (next_rrset(out));
	return true;
}

/* The next steps, as one. False: there are none. */
static bool next_merge(struct outgoing *out)
{
	uint64_t bytes = 0;
	size_t n = 0;

	diff_merge_free(out->merge);
	out->merge = NULL;
	while (n < out->steps && (n == 0 || bytes + step_bytes(out->step[n]) <= TOGETHER))
		bytes += step_bytes(out->step[n++]);
	if (n && !(out->merge = diff_merge_new(out->step, n)))
		out->failed = true;
	out->step += n;
	out->steps -= n;
	return out->merge;
}

static bool next_record(struct outgoing *out)
{
	bool removed;

	do {
		if (out->merge && diff_merge_next(out->merge, &out->rr, &removed))
			return true;
	} while (next_merge(out));
	return false;
}

/* Records until the message is full (false) or the steps are through. */
static bool put_steps(struct outgoing *out)
{
	for (;;) {
		out->has_rr = out->has_rr || next_record(out);
		if (!out->has_rr)
			return !out->failed;
		if (!msg_put_rr(&out->writer, MSG_ANSWER, &out->rr))
			return false;
		out->has_rr = false;
		if (out->alone)
			return false;
	}
}

static void begin_walk(struct outgoing *out)
{
	zone_walk(&out->walk, out->transfer.zone);
	out->rrsets = (struct zone_rrsets){0};
	out->phase = next_rrset(out) ? PHASE_RECORDS : PHASE_LAST_SOA;
}

static void begin(struct outgoing *out)
{
	switch (out->sum.style) {
	case OUTGOING_WHOLE: begin_walk(out); break;
	case OUTGOING_STEPS: out->phase = PHASE_STEPS; break;
	case OUTGOING_SOA: out->phase = PHASE_DONE; break;
	}
}

/* As much as fits. */
static void fill(struct outgoing *out)
{
	if (out->phase == PHASE_FIRST_SOA && put_soa(out))
		begin(out);
	if (out->phase == PHASE_RECORDS && put_records(out))
		out->phase = PHASE_LAST_SOA;
	if (out->phase == PHASE_STEPS && put_steps(out))
		out->phase = PHASE_LAST_SOA;
	if (out->phase == PHASE_LAST_SOA && put_soa(out))
		out->phase = PHASE_DONE;
}

/* `size`: what was kept free for it. `end`: where the message and all that stands behind may end. */
static void put_opt(struct outgoing *out, size_t size, size_t end, size_t room)
{
	const struct answer_transfer *transfer = &out->transfer;
	uint8_t bytes[EDNS_OPTIONS_MAX + EDNS_PADDING_MAX];
	struct wbuf options = wbuf_of(bytes, sizeof bytes);

	wbuf_bytes(&options, transfer->options, transfer->options_length);
	if (transfer->pad)
		edns_pad(&options, wbuf_used(&out->writer.buf) + EDNS_OPT_SIZE + transfer->options_length + room, end);
	msg_unreserve(&out->writer, size);
	msg_put_opt(&out->writer, MSG_UDP_MAX, RCODE_NOERROR, false, bytes, wbuf_used(&options));
}

/* The question goes with the first message alone, an OPT with all but those that a record needs for itself (RFC 5936 2.2.1, 2.2.5): a
 * client that looks for its cookie finds it, and what is padded is padded to its end (RFC 9103 6.4, RFC 8467). `room`: what is kept
 * free for the signature. */
static void write_message(struct outgoing *out, uint8_t *bytes, size_t limit, size_t room, bool opt)
{
	const struct answer_transfer *transfer = &out->transfer;
	bool first = out->sum.messages == 0;
	size_t opt_size = opt ? (size_t)EDNS_OPT_SIZE + transfer->options_length + (transfer->pad ? 4 : 0) : 0;
	size_t end = opt && transfer->pad ? limit - limit % EDNS_BLOCK : limit;

	msg_start(&out->writer, bytes, MSG_MAX, end);
	msg_reserve(&out->writer, room + opt_size);
	if (first)
		msg_put_question(&out->writer, transfer->qname, transfer->type, CLASS_IN);
	fill(out);
	if (opt)
		put_opt(out, opt_size, end, room);
}

/* What a message may be, the next if it takes no record: a good size; the greatest; that without an OPT; that with one record and
 * no signature, which is never the last, as the closing SOA follows. Where too many in a row would be without a signature, one goes
 * between them that has nothing else. False: it is not to be signed. */
static bool write_some(struct outgoing *out, uint8_t *bytes)
{
	size_t room = tsig_room(&out->transfer.tsig);
	bool edns = out->transfer.edns;

	write_message(out, bytes, MESSAGE_SIZE, room, edns);
	if (out->writer.count[MSG_ANSWER] == 0 && !out->failed)
		write_message(out, bytes, MSG_MAX, room, edns);
	if (out->writer.count[MSG_ANSWER] == 0 && !out->failed && edns)
		write_message(out, bytes, MSG_MAX, room, false);
	if (out->writer.count[MSG_ANSWER] > 0 || out->failed || out->transfer.tsig.unsigned_run == TSIG_UNSIGNED_MAX)
		return true;
	out->alone = true;
	write_message(out, bytes, MSG_MAX, 0, false);
	out->alone = false;
	return false;
}

static enum err sign(struct outgoing *out, bool with_signature, uint64_t now)
{
	struct msg_writer *writer = &out->writer;

	if (!with_signature)
		return tsig_pass_reply(&out->transfer.tsig, &writer->buf);
	msg_unreserve(writer, tsig_room(&out->transfer.tsig));
	return tsig_sign_reply(&out->transfer.tsig, &writer->buf, now);
}

static enum outgoing_step fail(struct why *why, const char *what)
{
	err_why(why, ERR_NOMEM, "%s", what);
	return OUTGOING_FAILED;
}

enum outgoing_step outgoing_next(struct outgoing *out, uint64_t now, uint8_t *bytes, size_t *length, struct why *why)
{
	struct msg_writer *writer = &out->writer;
	bool with_signature = write_some(out, bytes);

	if (out->failed)
		return fail(why, "no memory for the steps");
	if (!with_signature && writer->count[MSG_ANSWER] == 0)
		return fail(why, "a record fits no message");    /* zone/build takes none such */
	msg_finish(writer, out->transfer.id, (uint16_t)(MSG_QR | MSG_AA | out->transfer.flags));
	if (sign(out, with_signature, now) != ERR_OK)
		return fail(why, "no memory to sign a message");
	*length = wbuf_used(&writer->buf);
	out->sum.messages++;
	out->sum.records += writer->count[MSG_ANSWER];
	out->sum.bytes += *length;
	return out->phase == PHASE_DONE ? OUTGOING_LAST : OUTGOING_MESSAGE;
}
