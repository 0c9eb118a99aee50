#include "xfer/stream.h"

#include "dns/msg.h"
#include "dns/rrtext.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a record is to the stream. */
enum event {
	SEEN_LEADING,          /* a SOA equal to the leading one, octet for octet */
	SEEN_BASE,             /* a SOA with the serial that the next sequence must begin with */
	SEEN_SOA,              /* any other SOA */
	SEEN_OTHER,            /* not a SOA */
	EVENTS
};

enum act {
	ACT_REJECT,          /* with `reason` */
	ACT_LEAD,            /* remember the leading SOA; look whether it is newer */
	ACT_BEGIN_AXFR,      /* a whole zone: leading SOA and this record go in */
	ACT_EMPTY_AXFR,      /* a whole zone of nothing but the SOA */
	ACT_BEGIN_IXFR,      /* differences: this SOA goes out */
	ACT_ADD,
	ACT_REMOVE,
	ACT_TO,              /* the sequence's new SOA goes in */
	ACT_FROM,            /* the next sequence's old SOA goes out */
	ACT_FINISH,
};

struct step {
	enum act act;
	enum stream_state next;
	enum stream_reason reason;
};

#define REJECT(r) {ACT_REJECT, STREAM_REJECTED, STREAM_##r}

/* In DEL, the serial "that the next sequence must begin with" is the one it began with: to come to it again is no
 * step forward. In ADD it is the one that the sequence leads to. */
static const struct step table[STREAM_STATES][EVENTS] = {
	[STREAM_START] = {
		[SEEN_LEADING] = {ACT_LEAD, STREAM_FIRST_SOA}, [SEEN_BASE] = {ACT_LEAD, STREAM_FIRST_SOA},
		[SEEN_SOA] = {ACT_LEAD, STREAM_FIRST_SOA}, [SEEN_OTHER] = REJECT(NO_SOA)},
	[STREAM_FIRST_SOA] = {
		[SEEN_LEADING] = {ACT_EMPTY_AXFR, STREAM_END}, [SEEN_BASE] = {ACT_BEGIN_IXFR, STREAM_DEL},
		[SEEN_SOA] = REJECT(SEQUENCE_START), [SEEN_OTHER] = {ACT_BEGIN_AXFR, STREAM_AXFR}},
	[STREAM_AXFR] = {
		[SEEN_LEADING] = {ACT_FINISH, STREAM_END}, [SEEN_BASE] = REJECT(SOA_MIDDLE),
		[SEEN_SOA] = REJECT(SOA_MIDDLE), [SEEN_OTHER] = {ACT_ADD, STREAM_AXFR}},
	[STREAM_DEL] = {
		[SEEN_LEADING] = {ACT_TO, STREAM_ADD}, [SEEN_BASE] = REJECT(SEQUENCE_ORDER),
		[SEEN_SOA] = {ACT_TO, STREAM_ADD}, [SEEN_OTHER] = {ACT_REMOVE, STREAM_DEL}},
	[STREAM_ADD] = {
		[SEEN_LEADING] = {ACT_FINISH, STREAM_END}, [SEEN_BASE] = {ACT_FROM, STREAM_DEL},
		[SEEN_SOA] = REJECT(SEQUENCE_START), [SEEN_OTHER] = {ACT_ADD, STREAM_ADD}},
	[STREAM_END] = {
		[SEEN_LEADING] = REJECT(AFTER_END), [SEEN_BASE] = REJECT(AFTER_END),
		[SEEN_SOA] = REJECT(AFTER_END), [SEEN_OTHER] = REJECT(AFTER_END)},
	/* An older or equal leading SOA: whatever follows it is not looked at. */
	[STREAM_CURRENT] = {
		[SEEN_LEADING] = {ACT_FINISH, STREAM_CURRENT}, [SEEN_BASE] = {ACT_FINISH, STREAM_CURRENT},
		[SEEN_SOA] = {ACT_FINISH, STREAM_CURRENT}, [SEEN_OTHER] = {ACT_FINISH, STREAM_CURRENT}},
	[STREAM_REJECTED] = {
		[SEEN_LEADING] = REJECT(AFTER_END), [SEEN_BASE] = REJECT(AFTER_END),
		[SEEN_SOA] = REJECT(AFTER_END), [SEEN_OTHER] = REJECT(AFTER_END)},
};

enum { EMPTY_MAX = 100 };    /* messages in a row that bring no record */

struct stream {
	uint8_t zone[NAME_SIZE];
	uint16_t id, type;
	struct zone *base;
	struct build_limits limits;
	uint64_t messages;
	struct build *build;
	struct zone *result;
	struct serial at;            /* the serial that the next sequence must begin with */
	uint8_t *leading;            /* RDATA of the leading SOA */
	uint16_t leading_length;
	uint32_t leading_ttl;
	unsigned empty;              /* messages without records, in a row */
	uint64_t wire_bytes;         /* uncompressed, of all records so far */
	struct stream_sum sum;
	uint8_t rdata[MSG_MAX];
};

static const struct {
	const char *word, *text;
} reasons[] = {
#define REASON_ROW(name, word, text) {word, text},
	STREAM_REASONS(REASON_ROW)
#undef REASON_ROW
};

const char *stream_reason_name(enum stream_reason reason)
{
	return reasons[reason].word;
}

const char *stream_reason_text(enum stream_reason reason)
{
	return reasons[reason].text;
}

bool stream_reason_wants_axfr(enum stream_reason reason)
{
	switch (reason) {
	case STREAM_NOT_RESPONSE: case STREAM_RCODE: case STREAM_TRUNCATED: case STREAM_QUESTION: case STREAM_MALFORMED:
	case STREAM_TRAILING: case STREAM_NO_SOA: case STREAM_SOA_OWNER: case STREAM_SOA_DIFFERS: case STREAM_SOA_MIDDLE:
	case STREAM_AFTER_END: case STREAM_SEQUENCE_START: case STREAM_SEQUENCE_ORDER: case STREAM_RDATA: case STREAM_RECORD:
	case STREAM_MISMATCH: case STREAM_CONTENT: case STREAM_INCOMPLETE:
		return true;
	case STREAM_NONE: case STREAM_SERIAL_BACK: case STREAM_LIMIT: case STREAM_MEMORY:
		return false;
	}
	return false;
}

struct stream *stream_new(const struct stream_ask *ask)
{
	struct stream *s = malloc(sizeof *s);

	if (!s)
		return NULL;
	memset(s, 0, offsetof(struct stream, rdata));
	name_copy(ask->zone, s->zone);
	s->id = ask->id;
	s->type = ask->type;
	s->limits = ask->limits;
	s->messages = ask->messages;
	if (ask->base && ask->type == RR_IXFR) {
		s->base = zone_hold(ask->base);
		s->at = ask->base->serial;
	}
	return s;
}

void stream_free(struct stream *s)
{
	if (!s)
		return;
	build_free(s->build);
	zone_put(s->base);
	zone_put(s->result);
	free(s->leading);
	free(s);
}

const struct stream_sum *stream_sum(const struct stream *s)
{
	return &s->sum;
}

static enum stream_verdict reject(struct stream *s, enum stream_reason reason, const char *detail)
{
	s->sum.state = STREAM_REJECTED;
	s->sum.reason = reason;
	if (s->sum.records)
		err_why(&s->sum.why, ERR_ZONE, "message %llu, record %llu: %s%s%s", (unsigned long long)s->sum.messages,
			(unsigned long long)s->sum.records, stream_reason_text(reason), detail ? ": " : "", detail ? detail : "");
	else
		err_why(&s->sum.why, ERR_ZONE, "message %llu: %s%s%s", (unsigned long long)s->sum.messages,
			stream_reason_text(reason), detail ? ": " : "", detail ? detail : "");
	return STREAM_REJECT;
}

static enum stream_verdict reject_err(struct stream *s, enum err err, const struct why *why)
{
	enum stream_reason reason = err == ERR_MISMATCH ? STREAM_MISMATCH : err == ERR_LIMIT ? STREAM_LIMIT :
		err == ERR_NOMEM ? STREAM_MEMORY : STREAM_RECORD;

	return reject(s, reason, err_say(why, err));
}

static enum stream_verdict reject_record(struct stream *s, enum stream_reason reason, const struct rr *rr)
{
	char name[NAME_TEXT_SIZE], type[RR_TYPE_TEXT], detail[NAME_TEXT_SIZE + 64];

	name_text(rr->owner, name);
	if (rr->type == RR_SOA && rr->rdlength >= 20)
		snprintf(detail, sizeof detail, "%.300s SOA with serial %u", name, rr_soa_of(rr->rdata, rr->rdlength).serial);
	else
		snprintf(detail, sizeof detail, "%.300s %s", name, rr_type_text(rr->type, type));
	return reject(s, reason, detail);
}

/* --- acts ----------------------------------------------------------------- */

static enum stream_verdict lead(struct stream *s, const struct rr *rr)
{
	enum serial_order order;

	s->leading = malloc(rr->rdlength);
	if (!s->leading)
		return reject(s, STREAM_MEMORY, NULL);
	memcpy(s->leading, rr->rdata, rr->rdlength);
	s->leading_length = rr->rdlength;
	s->leading_ttl = rr->ttl;
	s->sum.serial = (struct serial){rr_soa_of(rr->rdata, rr->rdlength).serial};
	s->sum.has_serial = true;
	if (s->type == RR_AXFR)
		return STREAM_MORE;
	order = s->base ? serial_compare(s->sum.serial, s->base->serial) : SERIAL_NEWER;
	switch (order) {
	case SERIAL_NEWER:
		return STREAM_MORE;
	case SERIAL_EQUAL:
		s->sum.state = STREAM_CURRENT;
		return STREAM_COMPLETE;
	case SERIAL_OLDER:
	case SERIAL_UNDEFINED:
		return reject_record(s, STREAM_SERIAL_BACK, rr);
	}
	return STREAM_MORE;
}

static struct rr leading_rr(const struct stream *s)
{
	return (struct rr){s->zone, RR_SOA, CLASS_IN, s->leading_length, s->leading_ttl, s->leading};
}

static enum stream_verdict change(struct stream *s, const struct rr *rr, bool add)
{
	struct why why = {{0}};
	enum err err = add ? build_add(s->build, rr, &why) : build_remove(s->build, rr, &why);

	return err ? reject_err(s, err, &why) : STREAM_MORE;
}

static enum stream_verdict begin(struct stream *s, struct zone *base)
{
	s->build = build_new(s->zone, base, s->limits);
	return s->build ? STREAM_MORE : reject(s, STREAM_MEMORY, NULL);
}

static enum stream_verdict begin_axfr(struct stream *s)
{
	struct rr soa = leading_rr(s);

	if (begin(s, NULL) == STREAM_REJECT)
		return STREAM_REJECT;
	return change(s, &soa, true);
}

static enum stream_verdict finish(struct stream *s)
{
	struct why why = {{0}};
	enum err err = build_flush(s->build, &why);

	if (err)
		return reject_err(s, err, &why);
	s->sum.redundant = build_redundant(s->build);
	err = build_finish(s->build, &s->result, &why);
	s->build = NULL;
	if (!err)
		return STREAM_COMPLETE;
	if (err == ERR_ZONE)
		return reject(s, STREAM_CONTENT, err_say(&why, err));
	return reject_err(s, err, &why);
}

static bool is_leading(const struct stream *s, const struct rr *rr)
{
	return s->leading && rr->rdlength == s->leading_length && memcmp(rr->rdata, s->leading, rr->rdlength) == 0;
}

/* The SOA that a sequence leads to: forward, and not past the leading one. */
static enum stream_verdict sequence_to(struct stream *s, const struct rr *rr)
{
	struct serial to = {rr_soa_of(rr->rdata, rr->rdlength).serial};

	if (!serial_newer(to, s->at) || serial_newer(to, s->sum.serial))
		return reject_record(s, STREAM_SEQUENCE_ORDER, rr);
	if (serial_equal(to, s->sum.serial) && !is_leading(s, rr))
		return reject_record(s, STREAM_SOA_DIFFERS, rr);
	s->at = to;
	s->sum.sequences++;
	return change(s, rr, true);
}

static enum stream_verdict act(struct stream *s, const struct step *step, const struct rr *rr)
{
	switch (step->act) {
	case ACT_REJECT:
		return reject_record(s, step->reason, rr);
	case ACT_LEAD:
		return lead(s, rr);
	case ACT_BEGIN_AXFR:
		if (begin_axfr(s) == STREAM_REJECT)
			return STREAM_REJECT;
		return change(s, rr, true);
	case ACT_EMPTY_AXFR:
		if (begin_axfr(s) == STREAM_REJECT)
			return STREAM_REJECT;
		return finish(s);
	case ACT_BEGIN_IXFR:
		s->sum.incremental = true;
		if (begin(s, s->base) == STREAM_REJECT)
			return STREAM_REJECT;
		return change(s, rr, false);
	case ACT_ADD:
		return change(s, rr, true);
	case ACT_REMOVE:
	case ACT_FROM:
		return change(s, rr, false);
	case ACT_TO:
		return sequence_to(s, rr);
	case ACT_FINISH:
		return finish(s);
	}
	return STREAM_REJECT;
}

/* In ADD only the sequence that leads to the leading serial may be followed by the leading SOA; before that, a SOA
 * equal to it is out of place. */
static enum event event_of(const struct stream *s, const struct rr *rr)
{
	struct serial serial;

	if (rr->type != RR_SOA)
		return SEEN_OTHER;
	serial = (struct serial){rr_soa_of(rr->rdata, rr->rdlength).serial};
	if (is_leading(s, rr) && !(s->sum.state == STREAM_ADD && !serial_equal(s->at, s->sum.serial)))
		return SEEN_LEADING;
	if (s->base && serial_equal(serial, s->at) && !(s->sum.state == STREAM_ADD && serial_equal(serial, s->sum.serial)))
		return SEEN_BASE;
	return SEEN_SOA;
}

/* A SOA in place of the last one, with its serial but not its content, has a name of its own. */
static enum stream_reason last_soa_reason(const struct stream *s, const struct step *step, const struct rr *rr)
{
	bool expected = s->sum.state == STREAM_AXFR || (s->sum.state == STREAM_ADD && serial_equal(s->at, s->sum.serial));
	bool last = expected && rr->type == RR_SOA && rr_soa_of(rr->rdata, rr->rdlength).serial == s->sum.serial.v;

	return last && step->act == ACT_REJECT ? STREAM_SOA_DIFFERS : step->reason;
}

enum stream_verdict stream_record(struct stream *s, const struct rr *rr)
{
	struct step step;
	enum stream_verdict verdict;

	s->sum.records++;
	s->wire_bytes += name_length(rr->owner) + 10u + rr->rdlength;
	if (s->limits.bytes && s->wire_bytes > s->limits.bytes)
		return reject(s, STREAM_LIMIT, "more bytes than max-zone-size");
	if (s->limits.records && (s->sum.records - 1) / 2 > s->limits.records)
		return reject(s, STREAM_LIMIT, "more records than twice max-records");
	if (rr->type == RR_SOA && s->sum.state != STREAM_CURRENT) {
		if (!name_equal(rr->owner, s->zone))
			return reject_record(s, STREAM_SOA_OWNER, rr);
		if (rr->class != CLASS_IN)
			return reject_record(s, STREAM_RECORD, rr);
	}
	step = table[s->sum.state][event_of(s, rr)];
	step.reason = last_soa_reason(s, &step, rr);
	if (s->sum.state == STREAM_CURRENT)
		return STREAM_COMPLETE;
	verdict = act(s, &step, rr);
	if (verdict != STREAM_REJECT && s->sum.state != STREAM_CURRENT)
		s->sum.state = step.next;
	return verdict;
}

/* --- messages ------------------------------------------------------------- */

/* What it usually means where a transfer was asked for. */
static const char *rcode_hint(unsigned rcode)
{
	switch (rcode) {
	case RCODE_REFUSED: return " (it may not let this address, or this key, transfer the zone)";
	case RCODE_NOTAUTH: return " (it may not have the zone, or may want a key)";
	default: return "";
	}
}

static enum stream_verdict refuse_rcode(struct stream *s)
{
	char rcode[16], detail[96];

	snprintf(detail, sizeof detail, "%s%s", msg_rcode_text(s->sum.rcode, rcode), rcode_hint(s->sum.rcode));
	return reject(s, STREAM_RCODE, detail);
}

static enum stream_verdict check_header(struct stream *s, struct rbuf *msg, struct msg_header *h)
{
	struct msg_question q;

	if (!msg_read_header(msg, h))
		return reject(s, STREAM_MALFORMED, "shorter than a header");
	if (!(h->flags & MSG_QR) || msg_opcode_of(h->flags) != OPCODE_QUERY || h->id != s->id)
		return reject(s, STREAM_NOT_RESPONSE, NULL);
	s->sum.rcode = msg_rcode_of(h->flags);
	if (s->sum.rcode != RCODE_NOERROR)
		return refuse_rcode(s);
	if (h->flags & MSG_TC)
		return reject(s, STREAM_TRUNCATED, NULL);
	/* RFC 5936 2.2.2: the first message repeats the question, later ones may leave it out; some leave it out always. */
	if (h->qdcount > 1)
		return reject(s, STREAM_QUESTION, "more than one");
	if (h->qdcount == 1) {
		if (!msg_read_question(msg, &q))
			return reject(s, STREAM_MALFORMED, "the question");
		if (!name_equal(q.name, s->zone) || q.type != s->type || q.class != CLASS_IN)
			return reject(s, STREAM_QUESTION, NULL);
	}
	return STREAM_MORE;
}

static enum stream_verdict one_record(struct stream *s, struct rbuf *msg)
{
	struct wbuf out = wbuf_of(s->rdata, sizeof s->rdata);
	struct msg_rr raw;
	struct rbuf at = *msg;
	struct why why = {{0}};
	struct rr rr;
	enum err err;

	if (!msg_read_rr(msg, &raw)) {
		s->sum.records++;
		return reject(s, STREAM_MALFORMED, "a record that does not fit the message, or a name that is none");
	}
	at.at = raw.rdata;
	err = rr_read_rdata(&at, raw.type, raw.rdlength, &out, &why);
	if (err) {
		char name[NAME_TEXT_SIZE], type[RR_TYPE_TEXT], detail[WHY_MAX];

		s->sum.records++;
		snprintf(detail, sizeof detail, "%.200s %s: %.150s", name_text(raw.owner, name), rr_type_text(raw.type, type),
			err_say(&why, err));
		return reject(s, STREAM_RDATA, detail);
	}
	rr = (struct rr){raw.owner, raw.type, raw.class, (uint16_t)wbuf_used(&out), raw.ttl, s->rdata};
	return stream_record(s, &rr);
}

/* Authority and additional must be well-formed; nothing in them is zone data (TSIG, OPT). */
static enum stream_verdict pass_rest(struct stream *s, struct rbuf *msg, unsigned count)
{
	struct msg_rr raw;

	while (count--)
		if (!msg_read_rr(msg, &raw))
			return reject(s, STREAM_MALFORMED, "its authority or additional section");
	return rbuf_left(msg) ? reject(s, STREAM_TRAILING, NULL) : STREAM_MORE;
}

enum stream_verdict stream_message(struct stream *s, const uint8_t *message, size_t length)
{
	struct rbuf msg = rbuf_of(message, length);
	enum stream_verdict verdict, rest;
	struct msg_header h;

	s->sum.messages++;
	s->sum.bytes += length;
	if (s->sum.state == STREAM_REJECTED)
		return STREAM_REJECT;
	if (s->sum.state == STREAM_END || s->sum.state == STREAM_CURRENT)
		return reject(s, STREAM_AFTER_END, NULL);
	if (s->messages && s->sum.messages > s->messages)
		return reject(s, STREAM_LIMIT, "more messages than limits.transfer-messages");
	verdict = check_header(s, &msg, &h);
	s->empty = verdict == STREAM_REJECT || h.ancount ? 0 : s->empty + 1;
	if (s->empty > EMPTY_MAX)
		return reject(s, STREAM_LIMIT, "a hundred messages without a record");
	for (unsigned i = 0; i < h.ancount && verdict != STREAM_REJECT; i++)
		verdict = one_record(s, &msg);
	if (verdict == STREAM_REJECT)
		return verdict;
	rest = pass_rest(s, &msg, (unsigned)h.nscount + h.arcount);
	return rest == STREAM_REJECT ? rest : verdict;
}

struct zone *stream_take(struct stream *s)
{
	struct zone *zone = s->sum.state == STREAM_END ? s->result : NULL;

	if (zone)
		s->result = NULL;
	return zone;
}
