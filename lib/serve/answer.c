#include "serve/answer.h"

#include "base/log.h"
#include "serve/put.h"
#include "serve/query.h"

enum {
	LOG_LINES_MAX = 5,           /* a second, of each thread: whoever sends bad requests must not fill a disk */
	REPLY_FLAGS = 0x7800 | MSG_RD,   /* what a reply repeats: opcode and RD */
};

/* RFC 8914 4 */
enum ede { EDE_NONE = -1, EDE_NOT_READY = 14, EDE_PROHIBITED = 18, EDE_NOT_AUTHORITATIVE = 20, EDE_INVALID_DATA = 24 };

/* One request and what becomes of it. */
struct exchange {
	struct answer *a;
	const struct serve_settings *set;
	const struct answer_request *in;
	const struct answer_work *work;
	struct edns_request options;
	enum cookie cookie;          /* where the options have one */
	const struct tsig_key *key;  /* that the request is rightly signed with, or NULL */
	const struct store_zone *place;   /* of `zone` */
	const struct zone *zone;     /* that it is answered from, or NULL */
	enum msg_rcode rcode;
	uint16_t flags;              /* AA, TC */
	enum ede ede;
	int made_below;              /* of query_result */
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
	limit_free(a->limit);
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

/* What is kept free for the OPT: the cookie always fits. */
static size_t opt_room(const struct exchange *x)
{
	if (!x->work->rq.edns.present)
		return 0;
	return EDNS_OPT_SIZE + (x->options.asked & EDNS_COOKIE ? EDNS_COOKIE_SIZE : 0);
}

static void begin_reply(struct exchange *x, uint8_t *out)
{
	struct msg_writer *w = &x->a->writer;
	size_t limit = size_limit(x);

	msg_start(w, out, limit, limit);
	if (x->work->rq.has_question)
		msg_put_question(w, x->work->rq.question.name, x->work->rq.question.type, x->work->rq.question.class);
	msg_reserve(w, opt_room(x) + signature_room(x));
}

/* --- options (serve/edns) ---------------------------------------------------------------------- */

static void check_cookie(struct exchange *x)
{
	struct serve_counters *counters = x->a->counters;

	x->cookie = cookie_check(x->set->cookies, x->options.cookie, x->options.cookie_length, &x->in->from, (uint32_t)x->in->now);
	switch (x->cookie) {
	case COOKIE_NONE: break;
	case COOKIE_NEW: counters->cookies_new++; break;
	case COOKIE_INVALID: counters->cookies_bad++; break;
	case COOKIE_RENEW: case COOKIE_GOOD: counters->cookies_good++; break;
	}
}

/* False: they are malformed. Apart, as most queries have none. */
static __attribute__((noinline)) bool read_options(struct exchange *x)
{
	enum edns_verdict verdict = edns_read(&x->work->rq.edns, x->set->cookies, &x->options);

	if (verdict == EDNS_BAD_COOKIE)
		x->a->counters->cookies_malformed++;
	if (x->options.asked & EDNS_COOKIE)
		check_cookie(x);
	if (!x->in->tcp)
		x->options.asked &= ~(unsigned)EDNS_KEEPALIVE;       /* RFC 7828 3.2.1 */
	if (!x->in->secure)
		x->options.asked &= ~(unsigned)EDNS_PADDING;
	return verdict == EDNS_OK;
}

/* RFC 7314 2: for a secondary what is left until it expires, else the SOA's field. */
static uint32_t seconds_to_expiry(const struct exchange *x)
{
	int64_t at = store_expiry(x->place), left = (at - x->in->now_ms) / 1000;

	if (at == STORE_NO_EXPIRY)
		return x->zone->soa.expire;
	return left < 0 ? 0 : left > UINT32_MAX ? UINT32_MAX : (uint32_t)left;
}

static bool is_about_expiry(const struct exchange *x)
{
	uint16_t type = x->work->rq.question.type;

	return x->zone && (type == RR_SOA || type == RR_AXFR || type == RR_IXFR) && name_equal(x->work->rq.question.name, x->zone->apex);
}

static void tell_cookie(const struct exchange *x, struct edns_reply *reply)
{
	if (x->cookie == COOKIE_GOOD)
		memcpy(reply->cookie, x->options.cookie, COOKIE_SIZE);
	else
		cookie_make(x->set->cookies, x->options.cookie, &x->in->from, (uint32_t)x->in->now, reply->cookie);
}

/* What there is to tell of what was asked. */
static void tell(const struct exchange *x, struct edns_reply *reply)
{
	unsigned asked = x->options.asked;

	reply->tell = asked & (EDNS_COOKIE | EDNS_KEEPALIVE);
	if (asked & EDNS_COOKIE)
		tell_cookie(x, reply);
	if (asked & EDNS_KEEPALIVE)
		reply->keepalive = x->in->idle_ms / 100 < UINT16_MAX ? (uint16_t)(x->in->idle_ms / 100) : UINT16_MAX;
	if (asked & EDNS_NSID && x->set->identity) {
		reply->tell |= EDNS_NSID;
		reply->identity = x->set->identity;
	}
	if (asked & EDNS_EXPIRE && is_about_expiry(x)) {
		reply->tell |= EDNS_EXPIRE;
		reply->expire = seconds_to_expiry(x);
	}
	if (asked & EDNS_ZONEVERSION && x->zone) {
		reply->tell |= EDNS_ZONEVERSION;
		reply->labels = (uint8_t)name_labels(x->zone->apex);
		reply->serial = x->zone->serial.v;
	}
	if (x->ede != EDE_NONE) {
		reply->tell |= EDNS_EDE;
		reply->ede = (uint16_t)x->ede;
	}
}

static __attribute__((noinline)) void put_options(struct exchange *x)
{
	struct msg_writer *w = &x->a->writer;
	uint8_t bytes[EDNS_OPTIONS_MAX + EDNS_PADDING_MAX];
	size_t room = wbuf_left(&w->buf) > EDNS_OPT_SIZE ? wbuf_left(&w->buf) - EDNS_OPT_SIZE : 0;
	struct wbuf options = wbuf_of(bytes, room < sizeof bytes ? room : sizeof bytes);
	struct edns_reply reply;

	tell(x, &reply);
	edns_write(&reply, &options);
	if (x->options.asked & EDNS_PADDING)
		edns_pad(&options, wbuf_used(&w->buf) + EDNS_OPT_SIZE + wbuf_used(&options) + signature_room(x), size_limit(x));
	msg_put_opt(w, x->set->udp_payload, x->rcode, x->work->rq.edns.do_bit, bytes, wbuf_used(&options));
}

static void put_opt(struct exchange *x)
{
	msg_unreserve(&x->a->writer, opt_room(x));
	if (x->options.asked || x->ede != EDE_NONE)
		put_options(x);
	else
		msg_put_opt(&x->a->writer, x->set->udp_payload, x->rcode, x->work->rq.edns.do_bit, NULL, 0);
}

/* --------------------------------------------------------------------------------------------------- */

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

static void answer_from(struct exchange *x)
{
	struct query_result result = query_answer(&x->a->writer, x->zone, &x->work->name, x->work->wish, &x->work->lead);

	x->rcode = result.rcode;
	x->made_below = result.made_below;
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
	const struct answer_work *work = x->work;

	x->place = work->place;
	x->zone = work->zone;
	if (!x->place)
		fail(x, RCODE_REFUSED, EDE_NOT_AUTHORITATIVE);
	else if (!x->zone)
		fail_unserved(x, work->state);
	else
		answer_from(x);
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
	rdata[0] = (uint8_t)strnlen(text, EDNS_IDENTITY_MAX);
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
	log_str(&log, "certificate", x->in->shown ? x->in->shown->text : NULL);
	log_end(&log);
}

static const struct serve_policy *policy_of(const struct store_zone *place)
{
	return (const struct serve_policy *)store_policy(place);
}

static bool is_allowed(const struct exchange *x, const struct acl *acl)
{
	return acl_allows(acl, &(struct acl_client){&x->in->from, x->key, x->in->secure, x->in->shown});
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
	if (!policy || !is_allowed(x, &policy->transfer)) {
		fail(x, RCODE_REFUSED, EDE_PROHIBITED);
		log_refused_transfer(x, "not allowed by allow-transfer");
		return NULL;
	}
	if (x->in->no_transfer) {
		fail(x, RCODE_REFUSED, EDE_PROHIBITED);
		log_refused_transfer(x, x->in->no_transfer);
		return NULL;
	}
	zone = store_pin(place, &state);
	if (!zone) {
		fail_unserved(x, state);
		log_refused_transfer(x, state == STORE_EXPIRED ? "the zone is expired" : "the zone is not loaded");
	}
	x->place = place;
	x->zone = zone;
	return zone;
}

static enum answer_action begin_transfer(struct exchange *x, struct zone *zone, struct serial from,
	struct answer_transfer *transfer)
{
	const struct msg_question *question = &x->work->rq.question;
	struct wbuf options = wbuf_of(transfer->options, sizeof transfer->options);
	struct edns_reply reply;

	*transfer = (struct answer_transfer){
		.zone = zone_hold(zone), .history = question->type == RR_IXFR ? history_hold(store_history(x->place)) : NULL,
		.id = x->work->rq.id, .flags = x->work->rq.flags & REPLY_FLAGS, .type = question->type,
		.from_serial = from, .edns = x->work->rq.edns.present, .pad = x->options.asked & EDNS_PADDING,
	};
	name_copy(x->work->rq.question.name, transfer->qname);
	tell(x, &reply);
	edns_write(&reply, &options);
	transfer->options_length = (uint16_t)wbuf_used(&options);
	if (x->work->rq.has_tsig) {
		transfer->tsig = x->a->tsig;
		memset(&x->a->tsig, 0, sizeof x->a->tsig);
	}
	return ANSWER_TRANSFER;
}

/* The steps between what the client has and the version, one after the other; false: there are none, or they do not fit. */
static bool put_steps(struct exchange *x, const struct zone *zone, struct serial from)
{
	const struct history *history = store_history(x->place);
	struct msg_writer *w = &x->a->writer;
	struct rr soa = zone_soa(zone), rr;
	struct diff_walk walk;
	bool removed, fits;
	size_t count, first = history_find(history, from, zone->serial, &count);

	if (count == 0)
		return false;
	fits = msg_put_rr(w, MSG_ANSWER, &soa);
	for (size_t i = first; fits && i < first + count; i++) {
		diff_walk(&walk, history_steps(history)[i]);
		while (fits && diff_next(&walk, &rr, &removed))
			fits = msg_put_rr(w, MSG_ANSWER, &rr);
	}
	return fits && msg_put_rr(w, MSG_ANSWER, &soa);
}

/* Over UDP an IXFR is answered if all of it fits, else with the SOA alone, which sends a client that is behind to TCP (RFC 1995 2); one that is
 * not gets no more in any case. */
static void answer_small_ixfr(struct exchange *x, const struct zone *zone, struct serial from)
{
	struct msg_writer *w = &x->a->writer;
	struct msg_mark mark = msg_mark(w);

	if (serial_newer(zone->serial, from) && put_steps(x, zone, from)) {
		x->a->counters->ixfr_out++;
		x->flags |= MSG_AA;
		return;
	}
	msg_rollback(w, mark);
	x->flags |= put_soa(w, MSG_ANSWER, zone, UINT32_MAX, false) ? MSG_AA : MSG_TC;
}

/* Over UDP there is no AXFR (RFC 5936 4.2). */
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
	answer_small_ixfr(x, zone, from);
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
	if (!policy || !is_allowed(x, &policy->notify))
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

/* --- limits (serve/limit) ------------------------------------------------------------------------------ */

/* Who has shown that it has the address, and whose NOTIFY is heeded. */
static bool is_exempt(const struct exchange *x)
{
	bool heeded = msg_opcode_of(x->work->rq.flags) == OPCODE_NOTIFY && (x->rcode == RCODE_NOERROR || x->rcode == RCODE_SERVFAIL);

	return x->cookie == COOKIE_GOOD || x->cookie == COOKIE_RENEW || x->key || heeded;
}

/* What the answer is counted as; `name`: by which name. */
static enum limit_kind kind_of(const struct exchange *x, const uint8_t **name)
{
	const uint8_t *qname = x->work->rq.has_question ? x->work->rq.question.name : NULL;

	*name = NULL;
	if (x->rcode != RCODE_NOERROR && x->rcode != RCODE_NXDOMAIN)
		return LIMIT_ERROR;
	*name = x->zone ? x->zone->apex : qname;
	if (x->rcode == RCODE_NXDOMAIN)
		return LIMIT_NXDOMAIN;
	if (x->zone && x->a->writer.count[MSG_ANSWER] == 0 && !(x->flags & MSG_TC))
		return x->flags & MSG_AA || x->work->rq.question.class == CLASS_ANY ? LIMIT_NODATA : LIMIT_REFERRAL;
	*name = x->made_below >= 0 ? name_suffix(qname, (unsigned)x->made_below) : qname;
	return x->made_below >= 0 ? LIMIT_MADE : LIMIT_ANSWER;
}

/* Nothing but the question, for a client that may not be the one that asked: it is sent to TCP or, if it knows cookies, given one that
 * it can come back with (RFC 7873 5.2.3). Without a cookie in the request this is never longer than that was. */
static void cut_short(struct exchange *x, uint8_t *out)
{
	x->options.asked &= EDNS_COOKIE;
	x->ede = EDE_NONE;
	if (x->options.asked)
		fail(x, RCODE_BADCOOKIE, EDE_NONE);
	else if (x->rcode == RCODE_NXDOMAIN)
		x->rcode = RCODE_NOERROR;
	x->flags = x->options.asked ? 0 : (uint16_t)((x->flags & MSG_AA) | MSG_TC);
	begin_reply(x, out);
}

/* False: the reply is dropped. The signature of an error to a request that is not rightly signed would make it long. */
static __attribute__((noinline)) bool within_limit(struct exchange *x, uint8_t *out)
{
	struct serve_counters *counters = x->a->counters;
	enum limit_verdict verdict;
	enum limit_kind kind;
	const uint8_t *name;

	if (!x->a->limit || is_exempt(x))
		return true;
	kind = kind_of(x, &name);
	verdict = limit_check(x->a->limit, &x->set->limit, &x->in->from, kind, name, x->in->now_ms);
	switch (verdict == LIMIT_SLIP && x->work->rq.has_tsig ? LIMIT_DROP : verdict) {
	case LIMIT_PASS: break;
	case LIMIT_ALLOWED: counters->rrl_allowed++; break;
	case LIMIT_WOULD: counters->rrl_would++; break;
	case LIMIT_SLIP:
		counters->rrl_slipped++;
		cut_short(x, out);
		break;
	case LIMIT_DROP:
		counters->rrl_dropped++;
		return false;
	}
	return true;
}

/* The operator must see who is limited: a big resolver has many users behind it. */
static void log_limit(void *ctx, const struct limit_event *event)
{
	const struct limit_rules *rules = ctx;
	struct net_addr address = {0};
	char text[NET_ADDR_TEXT];
	struct log log;

	address.sa.sa_family = event->prefix.family;
	if (event->prefix.family == AF_INET6)
		memcpy(&address.v6.sin6_addr, event->prefix.bytes, 16);
	else
		memcpy(&address.v4.sin_addr, event->prefix.bytes, 4);
	log_begin(&log, LOG_LEVEL_NOTICE, event->begins ? "rate-limit-begins" : "rate-limit-ends");
	log_fmt(&log, "prefix", "%s/%u", net_addr_text(&address, 0, text), event->prefix.bits);
	log_str(&log, "kind", limit_kind_text(event->kind));
	log_int(&log, "rate", (int64_t)rules->rate * (event->kind == LIMIT_ALL ? LIMIT_ALL_FACTOR : 1));
	log_int(&log, "limited", (int64_t)event->held);
	log_str(&log, "mode", rules->log_only ? "log-only" : NULL);
	if (event->left_out > 0)
		log_int(&log, "left-out", event->left_out);
	log_end(&log);
}

void answer_tick(struct answer *a, const struct serve_settings *set, int64_t now_ms)
{
	if (a->limit)
		limit_tick(a->limit, now_ms, log_limit, (void *)(uintptr_t)&set->limit);
}

/* ------------------------------------------------------------------------------------------------------- */

/* RFC 7873 5.4 */
static enum msg_rcode answer_nothing(const struct exchange *x)
{
	if (!(x->options.asked & EDNS_COOKIE))
		return RCODE_FORMERR;
	return x->cookie == COOKIE_INVALID ? RCODE_BADCOOKIE : RCODE_NOERROR;
}

void answer_read(struct answer_work *work, const struct answer_request *in)
{
	work->verdict = request_read(&work->rq, in->bytes, in->length);
	if (work->verdict != REQUEST_DROP && work->rq.has_question)
		tree_name(&work->name, work->rq.question.name);
}

/* Whether it will come to answer_query. */
static bool is_query(const struct answer_work *work)
{
	const struct msg_question *question = &work->rq.question;

	return work->verdict == REQUEST_OK && msg_opcode_of(work->rq.flags) == OPCODE_QUERY &&
		(question->class == CLASS_IN || question->class == CLASS_ANY) && question->type != RR_AXFR && question->type != RR_IXFR;
}

static void find_zone(const struct answer *a, const struct serve_settings *set, struct answer_work *work)
{
	work->place = find_place(a, work);
	work->zone = work->place ? store_pin(work->place, &work->state) : NULL;
	work->wish = (struct query_wish){work->rq.question.type, work->rq.edns.present && work->rq.edns.do_bit, !set->minimal};
}

static void find_name(struct answer_work *work)
{
	query_lead(&work->lead, work->zone, &work->name, work->wish);
}

/* One tree after the other: that of the zones, those of their names, those of what their answers need besides. Whether a request is
 * still of interest shows in `left`. */
void answer_find(const struct answer *a, const struct serve_settings *set, struct answer_work *work, unsigned count)
{
	struct tree_ahead ahead[TREE_AHEAD_MAX];
	uint8_t left[TREE_AHEAD_MAX];
	unsigned n = 0, zones = 0, more = 0;

	for (unsigned i = 0; i < count; i++) {
		if (!is_query(&work[i]))
			continue;
		left[n] = (uint8_t)i;
		ahead[n++] = store_ahead(a->store, &work[i].name);
	}
	tree_ahead(ahead, n);
	for (unsigned i = 0; i < n; i++) {
		struct answer_work *one = &work[left[i]];

		find_zone(a, set, one);
		if (!one->zone)
			continue;
		left[zones] = left[i];
		ahead[zones++] = tree_ahead_of(&one->zone->tree, one->zone->origin, &one->name);
	}
	tree_ahead(ahead, zones);
	for (unsigned i = 0; i < zones; i++) {
		struct answer_work *one = &work[left[i]];

		find_name(one);
		if (more + 1 + QUERY_HOSTS > TREE_AHEAD_MAX) {
			tree_ahead(ahead, more);
			more = 0;
		}
		more += query_ahead(&one->lead, one->zone, ahead + more);
	}
	tree_ahead(ahead, more);
}

enum answer_action answer_reply(struct answer *a, const struct serve_settings *set, const struct answer_request *in,
	const struct answer_work *work, uint8_t *out, size_t *length, struct answer_transfer *transfer)
{
	struct exchange x = {.a = a, .set = set, .in = in, .work = work, .rcode = RCODE_NOERROR, .ede = EDE_NONE, .made_below = -1};
	enum request_verdict verdict = work->verdict;
	bool authentic;

	if (verdict == REQUEST_DROP) {
		a->counters->dropped++;
		return ANSWER_DROP;
	}
	count_request(&x);
	if (work->rq.edns.present && work->rq.edns.options_length > 0 && verdict != REQUEST_BADVERS && !read_options(&x))
		verdict = REQUEST_FORMERR;
	authentic = !work->rq.has_tsig || check_signature(&x);
	begin_reply(&x, out);
	switch (authentic ? verdict : REQUEST_DROP) {
	case REQUEST_OK:
		if (answer_question(&x, transfer) == ANSWER_TRANSFER)
			return ANSWER_TRANSFER;
		break;
	case REQUEST_FORMERR: x.rcode = RCODE_FORMERR; break;
	case REQUEST_NOTIMP: x.rcode = RCODE_NOTIMP; break;
	case REQUEST_BADVERS: x.rcode = RCODE_BADVERS; break;
	case REQUEST_QUESTIONLESS: x.rcode = answer_nothing(&x); break;
	case REQUEST_DROP: break;    /* the signature was not right: the error is set */
	}
	if (set->limit.rate > 0 && !in->tcp && !within_limit(&x, out))
		return ANSWER_DROP;
	return finish_reply(&x, length);
}

enum answer_action answer(struct answer *a, const struct serve_settings *set, const struct answer_request *in,
	uint8_t *out, size_t *length, struct answer_transfer *transfer)
{
	struct answer_work work;

	answer_read(&work, in);
	if (is_query(&work))
		find_zone(a, set, &work);
	if (is_query(&work) && work.zone)
		find_name(&work);
	return answer_reply(a, set, in, &work, out, length, transfer);
}
