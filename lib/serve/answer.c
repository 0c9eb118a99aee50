#include "serve/answer.h"

#include "base/log.h"
#include "serve/put.h"
#include "serve/query.h"

enum {
	LOG_LINES_MAX = 5,           /* a second, of each thread: whoever sends bad requests must not fill a disk */
	REPLY_FLAGS = 0x7800 | MSG_RD,   /* what a reply repeats: opcode and RD */
	OPT_SIZE = 11,
	OPTION_NSID = 3, OPTION_EDE = 15,
	IDENTITY_MAX = 255,          /* octets that are told of it */
};

/* RFC 8914 4 */
enum ede { EDE_NONE = -1, EDE_NOT_READY = 14, EDE_PROHIBITED = 18, EDE_NOT_AUTHORITATIVE = 20, EDE_INVALID_DATA = 24 };

/* One request and what becomes of it. */
struct exchange {
	struct answer *a;
	const struct serve_settings *set;
	const struct answer_request *in;
	const struct answer_work *work;
	const struct tsig_key *key;  /* that the request is rightly signed with, or NULL */
	enum msg_rcode rcode;
	uint16_t flags;              /* AA, TC */
	enum ede ede;
};

void answer_init(struct answer *a, const struct store *store, struct serve_counters *counters)
{
	memset(a, 0, sizeof *a);
	a->store = store;
	a->counters = counters;
	msg_writer_zero(&a->writer);
}

void answer_release(struct answer *a)
{
	tsig_release(&a->tsig);
}

/* --- counting and logging ------------------------------------------------------------- */

static void count_rcode(struct serve_counters *counters, enum msg_rcode rcode)
{
	switch ((unsigned)rcode) {
	case RCODE_NOERROR: counters->rcode_noerror++; break;
	case RCODE_FORMERR: counters->rcode_formerr++; break;
	case RCODE_SERVFAIL: counters->rcode_servfail++; break;
	case RCODE_NXDOMAIN: counters->rcode_nxdomain++; break;
	case RCODE_NOTIMP: counters->rcode_notimp++; break;
	case RCODE_REFUSED: counters->rcode_refused++; break;
	case RCODE_NOTAUTH: counters->rcode_notauth++; break;
	default: counters->rcode_other++; break;
	}
}

static void count_request(const struct exchange *x)
{
	if (x->in->tcp)
		x->a->counters->queries_tcp++;
	else
		x->a->counters->queries_udp++;
	if (x->work->rq.edns.present)
		x->a->counters->edns++;
}

static void count_reply(const struct exchange *x)
{
	if (x->in->tcp)
		x->a->counters->answers_tcp++;
	else
		x->a->counters->answers_udp++;
	if (x->flags & MSG_TC)
		x->a->counters->truncated++;
	count_rcode(x->a->counters, x->rcode);
}

static bool may_log(struct answer *a, uint64_t now)
{
	if (a->log_second != now) {
		a->log_second = now;
		a->log_lines = 0;
	}
	if (a->log_lines < LOG_LINES_MAX) {
		a->log_lines++;
		return true;
	}
	a->log_left_out++;
	return false;
}

/* A line about this request, begun with what all of them say; false: not now. */
static bool log_request(struct exchange *x, struct log *log, const char *event, const char *reason)
{
	char name[NAME_TEXT_SIZE], from[NET_ADDR_TEXT];

	if (!log_wants(LOG_LEVEL_NOTICE) || !may_log(x->a, x->in->now))
		return false;
	log_begin(log, LOG_LEVEL_NOTICE, event);
	if (x->work->rq.has_question)
		log_str(log, "zone", name_text(x->work->rq.question.name, name));
	log_str(log, "from", net_addr_text(&x->in->from, 0, from));
	log_str(log, "reason", reason);
	if (x->a->log_left_out > 0)
		log_int(log, "left-out", x->a->log_left_out);
	x->a->log_left_out = 0;
	return true;
}

/* --- signatures (RFC 8945 5.2) ----------------------------------------------------------- */

/* A key of that name for another algorithm is found to be none by dns/tsig. */
static const struct tsig_key *find_key(void *ctx, const uint8_t *name, const uint8_t *algorithm)
{
	const struct serve_settings *set = ctx;

	(void)algorithm;
	for (size_t i = 0; i < set->key_count; i++)
		if (name_equal(set->keys[i].name, name))
			return &set->keys[i];
	return NULL;
}

static void log_bad_signature(struct exchange *x, enum tsig_verdict verdict)
{
	char key[NAME_TEXT_SIZE];
	struct log log;

	if (!log_request(x, &log, "request-signature-refused", tsig_verdict_text(verdict)))
		return;
	if (verdict != TSIG_FORMERR)
		log_str(&log, "key", name_text(x->a->tsig.peer_key, key));
	log_end(&log);
}

/* False: the reply is an error. */
static bool check_signature(struct exchange *x)
{
	size_t unsigned_length;
	enum tsig_verdict verdict = tsig_check_request(&x->a->tsig, find_key, (void *)(uintptr_t)x->set, x->in->bytes,
		x->in->length, x->in->now, &unsigned_length);

	if (verdict == TSIG_OK) {
		x->a->counters->tsig_ok++;
		x->key = x->a->tsig.key;
		return true;
	}
	x->a->counters->tsig_bad++;
	log_bad_signature(x, verdict);
	x->rcode = verdict == TSIG_FORMERR ? RCODE_FORMERR : RCODE_NOTAUTH;
	return false;
}

/* --- the frame of a reply ------------------------------------------------------------------- */

static size_t size_limit(const struct exchange *x)
{
	size_t limit = MSG_UDP_MIN;

	if (x->in->tcp)
		return MSG_MAX;
	if (x->work->rq.edns.present && x->work->rq.edns.payload > limit)
		limit = x->work->rq.edns.payload < x->set->udp_payload ? x->work->rq.edns.payload : x->set->udp_payload;
	return limit < ANSWER_UDP_MAX ? limit : ANSWER_UDP_MAX;
}

static size_t signature_room(const struct exchange *x)
{
	return x->work->rq.has_tsig ? tsig_room(&x->a->tsig) : 0;
}

static void begin_reply(struct exchange *x, uint8_t *out)
{
	struct msg_writer *w = &x->a->writer;
	size_t limit = size_limit(x);

	msg_start(w, out, limit, limit);
	if (x->work->rq.has_question)
		msg_put_question(w, x->work->rq.question.name, x->work->rq.question.type, x->work->rq.question.class);
	msg_reserve(w, (x->work->rq.edns.present ? OPT_SIZE : 0) + signature_room(x));
}

static bool has_option(const struct msg_edns *edns, uint16_t wanted)
{
	struct rbuf options = rbuf_of(edns->options, edns->options_length);

	while (rbuf_left(&options) > 0) {
		uint16_t code = rbuf_u16(&options);

		if (code == wanted)
			return true;
		rbuf_take(&options, rbuf_u16(&options));
	}
	return false;
}

/* Who answers (RFC 5001), for whom asks that; and why not (RFC 8914). */
static void put_options(const struct exchange *x, struct wbuf *out)
{
	size_t length = x->set->identity ? strnlen(x->set->identity, IDENTITY_MAX) : 0;

	if (length > 0 && has_option(&x->work->rq.edns, OPTION_NSID)) {
		wbuf_u16(out, OPTION_NSID);
		wbuf_u16(out, (uint16_t)length);
		wbuf_bytes(out, x->set->identity, length);
	}
	if (x->ede != EDE_NONE) {
		wbuf_u16(out, OPTION_EDE);
		wbuf_u16(out, 2);
		wbuf_u16(out, (uint16_t)x->ede);
	}
}

/* Only the bare OPT has its room reserved. */
static void put_opt(struct exchange *x)
{
	struct msg_writer *w = &x->a->writer;
	uint8_t bytes[4 + IDENTITY_MAX + 6];
	struct wbuf options = wbuf_of(bytes, sizeof bytes);
	uint16_t payload = x->set->udp_payload;
	bool do_bit = x->work->rq.edns.do_bit;

	msg_unreserve(w, OPT_SIZE);
	put_options(x, &options);
	if (!msg_put_opt(w, payload, x->rcode, do_bit, bytes, wbuf_used(&options)))
		msg_put_opt(w, payload, x->rcode, do_bit, NULL, 0);
}

static enum answer_action finish_reply(struct exchange *x, size_t *length)
{
	struct msg_writer *w = &x->a->writer;

	if (x->work->rq.edns.present)
		put_opt(x);
	msg_unreserve(w, signature_room(x));
	*length = msg_finish(w, x->work->rq.id, (uint16_t)(MSG_QR | (x->work->rq.flags & REPLY_FLAGS) | x->flags | (x->rcode & 15)));
	if (x->work->rq.has_tsig) {
		if (tsig_sign_reply(&x->a->tsig, &w->buf, x->in->now) != ERR_OK) {
			x->a->counters->dropped++;
			return ANSWER_DROP;
		}
		*length = wbuf_used(&w->buf);
	}
	count_reply(x);
	return ANSWER_SEND;
}

/* --- queries ------------------------------------------------------------------------------------ */

static void fail(struct exchange *x, enum msg_rcode rcode, enum ede ede)
{
	x->rcode = rcode;
	x->ede = ede;
}

/* A zone of ours without a version to answer from. */
static void fail_unserved(struct exchange *x, enum store_state state)
{
	fail(x, RCODE_SERVFAIL, state == STORE_EXPIRED ? EDE_INVALID_DATA : EDE_NOT_READY);
}

/* DS at the apex of a zone is the parent's (RFC 4035 3.1.4.1), if that is ours too. */
static const struct store_zone *find_place(const struct answer *a, const struct answer_work *work)
{
	const struct store_zone *place, *parent;

	if (work->rq.question.type != RR_DS)
		return store_find(a->store, &work->name, NULL);
	place = store_find(a->store, &work->name, &parent);
	return parent && name_equal(store_name(place), work->rq.question.name) ? parent : place;
}

static void answer_from(struct exchange *x, const struct zone *zone)
{
	struct query_wish wish = {x->work->rq.question.type, x->work->rq.edns.present && x->work->rq.edns.do_bit, !x->set->minimal};
	struct query_result result = query_answer(&x->a->writer, zone, &x->work->name, wish);

	x->rcode = result.rcode;
	if (result.aa && x->work->rq.question.class != CLASS_ANY)   /* RFC 1035 6.2 */
		x->flags |= MSG_AA;
	if (result.fit == QUERY_FITS)
		return;
	if (!x->in->tcp)
		x->flags |= MSG_TC;
	else if (result.fit == QUERY_FULL)
		x->rcode = RCODE_SERVFAIL;
}

static void answer_query(struct exchange *x)
{
	const struct store_zone *place = find_place(x->a, x->work);
	const struct zone *zone;
	enum store_state state;

	if (!place)
		fail(x, RCODE_REFUSED, EDE_NOT_AUTHORITATIVE);
	else if (!(zone = store_pin(place, &state)))
		fail_unserved(x, state);
	else
		answer_from(x, zone);
}

/* What a server says of itself (RFC 4892, and the older names). */
static void answer_chaos(struct exchange *x)
{
	static const struct { const char *name; bool identity; } known[] = {
		{"\2id\6server", true}, {"\10hostname\4bind", true}, {"\7version\6server", false}, {"\7version\4bind", false},
	};
	const struct msg_question *question = &x->work->rq.question;
	const char *text = NULL;
	uint8_t rdata[256];
	struct rr rr = {.owner = question->name, .type = RR_TXT, .class = CLASS_CH, .rdata = rdata};

	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (name_equal(question->name, (const uint8_t *)known[i].name))
			text = known[i].identity ? x->set->identity : x->set->version;
	if (!text || (question->type != RR_TXT && question->type != RR_ANY)) {
		fail(x, RCODE_REFUSED, EDE_NOT_AUTHORITATIVE);
		return;
	}
	rdata[0] = (uint8_t)strnlen(text, IDENTITY_MAX);
	memcpy(rdata + 1, text, rdata[0]);
	rr.rdlength = rdata[0] + 1;
	if (!msg_put_rr(&x->a->writer, MSG_ANSWER, &rr))
		x->flags |= MSG_TC;
}

/* --- transfers ------------------------------------------------------------------------------------ */

static void log_refused_transfer(struct exchange *x, const char *reason)
{
	char key[NAME_TEXT_SIZE];
	struct log log;

	x->a->counters->transfers_out_refused++;
	if (!log_request(x, &log, "transfer-out-refused", reason))
		return;
	log_str(&log, "type", x->work->rq.question.type == RR_AXFR ? "AXFR" : "IXFR");
	log_str(&log, "key", x->key ? name_text(x->key->name, key) : "none");
	log_end(&log);
}

static const struct serve_policy *policy_of(const struct store_zone *place)
{
	return (const struct serve_policy *)store_policy(place);
}

/* The zone to be transferred, or NULL and an error. */
static struct zone *transfer_zone(struct exchange *x)
{
	const struct store_zone *place = store_exact(x->a->store, x->work->rq.question.name);
	const struct serve_policy *policy = place ? policy_of(place) : NULL;
	enum store_state state;
	struct zone *zone;

	if (!place) {
		fail(x, RCODE_NOTAUTH, EDE_NOT_AUTHORITATIVE);
		log_refused_transfer(x, "not a zone of this server");
		return NULL;
	}
	if (!policy || !acl_allows(&policy->transfer, &x->in->from, x->key)) {
		fail(x, RCODE_REFUSED, EDE_PROHIBITED);
		log_refused_transfer(x, "not allowed by allow-transfer");
		return NULL;
	}
	zone = store_pin(place, &state);
	if (!zone) {
		fail_unserved(x, state);
		log_refused_transfer(x, state == STORE_EXPIRED ? "the zone is expired" : "the zone is not loaded");
	}
	return zone;
}

static enum answer_action begin_transfer(struct exchange *x, struct zone *zone, struct serial from,
	struct answer_transfer *transfer)
{
	*transfer = (struct answer_transfer){
		.zone = zone_hold(zone), .id = x->work->rq.id, .flags = x->work->rq.flags & REPLY_FLAGS, .type = x->work->rq.question.type,
		.from_serial = from, .edns = x->work->rq.edns.present,
	};
	name_copy(x->work->rq.question.name, transfer->qname);
	if (x->work->rq.has_tsig) {
		transfer->tsig = x->a->tsig;
		memset(&x->a->tsig, 0, sizeof x->a->tsig);
	}
	return ANSWER_TRANSFER;
}

/* Over UDP there is no AXFR (RFC 5936 4.2), and an IXFR gets the SOA alone, which sends the client to TCP if it is behind
 * (RFC 1995 2). */
static enum answer_action answer_transfer(struct exchange *x, struct answer_transfer *transfer)
{
	struct serial from = {0};
	struct zone *zone;

	if (x->work->rq.question.type == RR_AXFR && !x->in->tcp) {
		x->rcode = RCODE_NOTIMP;
		return ANSWER_SEND;
	}
	zone = transfer_zone(x);
	if (!zone)
		return ANSWER_SEND;
	if (x->work->rq.question.type == RR_IXFR && request_soa(&x->work->rq, MSG_AUTHORITY, &from) != REQUEST_SOA) {
		x->rcode = RCODE_FORMERR;
		return ANSWER_SEND;
	}
	if (x->in->tcp)
		return begin_transfer(x, zone, from, transfer);
	x->flags |= put_soa(&x->a->writer, MSG_ANSWER, zone, UINT32_MAX, false) ? MSG_AA : MSG_TC;
	return ANSWER_SEND;
}

/* --- NOTIFY (RFC 1996) -------------------------------------------------------------------------------- */

static enum msg_rcode heed_notify(struct exchange *x)
{
	const struct msg_question *question = &x->work->rq.question;
	const struct store_zone *place;
	const struct serve_policy *policy;
	struct serial serial = {0};
	enum request_soa soa;

	if (question->type != RR_SOA || question->class == 0 || question->class >= CLASS_NONE)
		return RCODE_FORMERR;
	place = question->class == CLASS_IN ? store_exact(x->a->store, question->name) : NULL;
	if (!place)
		return RCODE_NOTAUTH;
	policy = policy_of(place);
	if (!policy || !acl_allows(&policy->notify, &x->in->from, x->key))
		return RCODE_REFUSED;
	soa = request_soa(&x->work->rq, MSG_ANSWER, &serial);
	if (soa == REQUEST_SOA_BAD)
		return RCODE_FORMERR;
	if (!x->set->notify ||
	    x->set->notify(x->set->notify_ctx, store_name(place), &x->in->from, x->key, soa == REQUEST_SOA, serial))
		return RCODE_NOERROR;
	x->a->counters->notify_dropped++;
	return RCODE_SERVFAIL;
}

static void answer_notify(struct exchange *x)
{
	x->a->counters->notify_received++;
	x->rcode = heed_notify(x);
	if (x->rcode == RCODE_NOERROR)
		x->flags |= MSG_AA;
	else if (x->rcode != RCODE_SERVFAIL)
		x->a->counters->notify_refused++;
}

/* ------------------------------------------------------------------------------------------------------- */

static enum answer_action answer_question(struct exchange *x, struct answer_transfer *transfer)
{
	const struct msg_question *question = &x->work->rq.question;

	if (msg_opcode_of(x->work->rq.flags) == OPCODE_NOTIFY)
		answer_notify(x);
	else if (question->class == CLASS_CH)
		answer_chaos(x);
	else if (question->class != CLASS_IN && question->class != CLASS_ANY)
		fail(x, RCODE_REFUSED, EDE_NOT_AUTHORITATIVE);
	else if (question->type != RR_AXFR && question->type != RR_IXFR)
		answer_query(x);
	else if (question->class == CLASS_IN)
		return answer_transfer(x, transfer);
	else
		fail(x, RCODE_REFUSED, EDE_NOT_AUTHORITATIVE);
	return ANSWER_SEND;
}

void answer_read(struct answer_work *work, const struct answer_request *in)
{
	work->verdict = request_read(&work->rq, in->bytes, in->length);
	if (work->verdict != REQUEST_DROP && work->rq.has_question)
		tree_name(&work->name, work->rq.question.name);
}

/* Only questions for which a tree is searched. */
static bool looks_up(const struct answer_work *work)
{
	return work->verdict == REQUEST_OK && work->rq.question.class == CLASS_IN;
}

void answer_ahead(const struct answer *a, const struct answer_work *work, unsigned count)
{
	struct tree_ahead ahead[TREE_AHEAD_MAX];
	unsigned n = 0;

	for (unsigned i = 0; i < count; i++)
		if (looks_up(&work[i]))
			ahead[n++] = store_ahead(a->store, &work[i].name);
	tree_ahead(ahead, n);
	n = 0;
	for (unsigned i = 0; i < count; i++) {
		const struct store_zone *place = looks_up(&work[i]) ? find_place(a, &work[i]) : NULL;
		const struct zone *zone = place ? store_pin(place, NULL) : NULL;

		if (zone)
			ahead[n++] = tree_ahead_of(&zone->tree, zone->origin, &work[i].name);
	}
	tree_ahead(ahead, n);
}

enum answer_action answer_reply(struct answer *a, const struct serve_settings *set, const struct answer_request *in,
	const struct answer_work *work, uint8_t *out, size_t *length, struct answer_transfer *transfer)
{
	struct exchange x = {.a = a, .set = set, .in = in, .work = work, .rcode = RCODE_NOERROR, .ede = EDE_NONE};
	bool authentic;

	if (work->verdict == REQUEST_DROP) {
		a->counters->dropped++;
		return ANSWER_DROP;
	}
	count_request(&x);
	authentic = !work->rq.has_tsig || check_signature(&x);
	begin_reply(&x, out);
	switch (authentic ? work->verdict : REQUEST_DROP) {
	case REQUEST_OK:
		if (answer_question(&x, transfer) == ANSWER_TRANSFER)
			return ANSWER_TRANSFER;
		break;
	case REQUEST_FORMERR: x.rcode = RCODE_FORMERR; break;
	case REQUEST_NOTIMP: x.rcode = RCODE_NOTIMP; break;
	case REQUEST_BADVERS: x.rcode = RCODE_BADVERS; break;
	case REQUEST_DROP: break;    /* the signature was not right: the error is set */
	}
	return finish_reply(&x, length);
}

enum answer_action answer(struct answer *a, const struct serve_settings *set, const struct answer_request *in,
	uint8_t *out, size_t *length, struct answer_transfer *transfer)
{
	struct answer_work work;

	answer_read(&work, in);
	return answer_reply(a, set, in, &work, out, length, transfer);
}
