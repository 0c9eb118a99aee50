#include "xfer/fetch.h"

#include "dns/msg.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	UDP_TRIES = 3,
	UDP_FIRST_MS = 1000,         /* until the second try; each later one waits half a second more */
	READS_MAX = 64,              /* datagrams of one wake-up: whoever floods the port does not hold the loop */
	CLOSE_MS = 20,
	QUERY_SIZE = 2048,           /* a question, a SOA, an OPT and a TSIG, of names of 255 octets */
	OPTION_EXPIRE = 9,           /* RFC 7314 */
	OPTION_PADDING = 12,         /* RFC 7830 */
	OPT_SIZE = 11,               /* without options */
	QUERY_BLOCK = 128,           /* RFC 8467 4.1 */
};

struct fetch {
	struct event_base *loop;
	enum fetch_kind kind;
	uint8_t zone[NAME_SIZE];
	struct net_addr to;
	struct tsig_key key;
	bool has_key;
	struct tls_client *tls;
	struct zone *base;
	struct build_limits limits;
	struct fetch_times times;
	uint32_t total_ms;
	struct peer *peer;
	void (*late)(void *ctx);
	void (*heard)(void *ctx, enum fetch_transport);
	int64_t (*now)(void);
	uint64_t (*unix_time)(void);
	fetch_done *done;
	void *ctx;

	uint16_t id;
	uint16_t first_count;                /* records in the answer of the first message */
	unsigned first_rcode;                /* of the first message, as a whole */
	bool answered;                       /* in full: the connection may be kept */
	bool edns;                           /* queries have an OPT */
	bool edns_refused;                   /* one that had was not understood, or not answered */
	struct tsig tsig;
	struct stream *stream;
	bool stream_only;
	struct links *links;
	struct link_call *call;
	struct event *udp_event, *timer, *later;      /* later: to begin, then to be late */
	int udp;
	unsigned tries;
	uint64_t octets, octets_before;      /* received over TCP; until the rate was last looked at */
	uint32_t looked;                     /* ms after `began` */
	int64_t began;
	struct fetch_result result;
};

const char *fetch_outcome_name(enum fetch_outcome outcome)
{
	static const char *const name[] = {"ok", "current", "network", "protocol", "tsig", "serial-back", "no-memory"};

	return outcome <= FETCH_NO_MEMORY ? name[outcome] : "?";
}

const char *fetch_transport_name(enum fetch_transport transport)
{
	static const char *const name[] = {"udp", "tcp", "tls"};

	return transport <= FETCH_TLS ? name[transport] : "?";
}

static struct timeval ms_to_tv(uint32_t ms)
{
	return (struct timeval){ms / 1000, ms % 1000 * 1000};
}

static void close_udp(struct fetch *f)
{
	if (f->udp_event)
		event_free(f->udp_event);
	f->udp_event = NULL;
	if (f->udp >= 0)
		close(f->udp);
	f->udp = -1;
}

void fetch_cancel(struct fetch *f)
{
	if (!f)
		return;
	close_udp(f);
	if (f->answered)
		link_done(f->call);
	else
		link_end(f->call);
	if (f->timer)
		event_free(f->timer);
	if (f->later)
		event_free(f->later);
	stream_free(f->stream);
	tsig_release(&f->tsig);
	tls_client_drop(f->tls);
	zone_put(f->base);
	zone_put(f->result.version);
	explicit_bzero(&f->key, sizeof f->key);
	free(f);
}

static uint32_t elapsed_ms(const struct fetch *f)
{
	return (uint32_t)(f->now() - f->began);
}

/* What the outcome says about EDNS there. */
static void learn_edns(struct fetch *f, enum fetch_outcome outcome)
{
	bool without = f->edns_refused || (f->peer && peer_edns(f->peer, f->now()) == PEER_EDNS_DOUBTED);

	if (!f->peer || f->tls)      /* who speaks TLS knows an OPT */
		return;
	if (!f->result.heard && outcome == FETCH_NETWORK)
		peer_edns_silent(f->peer, f->edns, f->now());
	else if (!f->edns && without && (outcome == FETCH_OK || outcome == FETCH_CURRENT || outcome == FETCH_BACK))
		peer_edns_failed(f->peer, f->now());
}

/* Gives the result and ends. The caller must not touch `f` afterwards. */
static void finish(struct fetch *f, enum fetch_outcome outcome)
{
	fetch_done *done = f->done;
	void *ctx = f->ctx;
	struct fetch_result result;

	learn_edns(f, outcome);
	f->result.outcome = outcome;
	f->result.ms = elapsed_ms(f);
	if (f->stream) {
		const struct stream_sum *sum = stream_sum(f->stream);

		f->result.messages = sum->messages;
		f->result.records = sum->records;
		f->result.bytes = sum->bytes;
		f->result.incremental = sum->incremental;
		f->result.sequences = sum->sequences;
		f->result.redundant = sum->redundant;
		f->result.has_serial |= sum->has_serial;
		if (sum->has_serial)
			f->result.serial = sum->serial;
	}
	result = f->result;
	f->result.version = NULL;
	fetch_cancel(f);
	done(ctx, &result);
	zone_put(result.version);
}

static void fail(struct fetch *f, enum fetch_outcome outcome, const char *text)
{
	err_why(&f->result.why, ERR_NETWORK, "%s", text);
	finish(f, outcome);
}

/* --- the query ------------------------------------------------------------ */

/* One query at a time is made here, and gone at once. */
static _Thread_local struct {
	struct msg_writer writer;
	uint8_t octets[2 + QUERY_SIZE];      /* with room for the length in front */
	size_t length;
} query;

/* Over TLS the query is padded, up to its signature, and with that the answer asked to be (RFC 9103 6.4). */
static bool put_opt(const struct fetch *f, struct msg_writer *w)
{
	uint8_t options[8 + QUERY_BLOCK] = {0, OPTION_EXPIRE, 0, 0, 0, OPTION_PADDING};
	size_t padding = (QUERY_BLOCK - (wbuf_used(&w->buf) + OPT_SIZE + 8) % QUERY_BLOCK) % QUERY_BLOCK;

	options[7] = (uint8_t)padding;
	return msg_put_opt(w, MSG_UDP_MAX, 0, false, options, f->tls ? 8 + padding : 4);
}

/* A query with the ID f->id, signed if there is a key; for IXFR with the SOA of our version (RFC 1995 3). */
static bool make_query(struct fetch *f)
{
	static const uint16_t type[] = {RR_SOA, RR_IXFR, RR_AXFR};
	struct msg_writer *w = &query.writer;
	struct wbuf message = wbuf_of(query.octets + 2, QUERY_SIZE);
	bool ok;

	msg_start(w, query.octets + 2, QUERY_SIZE, QUERY_SIZE - TSIG_ROOM);
	ok = msg_put_question(w, f->zone, type[f->kind], CLASS_IN);
	if (ok && f->kind == FETCH_IXFR) {
		struct rr soa = zone_soa(f->base);

		ok = msg_put_rr(w, MSG_AUTHORITY, &soa);
	}
	if (ok && f->edns)
		ok = put_opt(f, w);
	if (!ok)
		return false;
	message.at += msg_finish(w, f->id, 0);
	tsig_release(&f->tsig);
	f->tsig = (struct tsig){0};
	if (f->has_key && tsig_sign_request(&f->tsig, &f->key, &message, f->unix_time()))
		return false;
	query.length = wbuf_used(&message);
	put_u16(query.octets, (uint16_t)query.length);
	return true;
}

/* --- what comes of it ----------------------------------------------------- */

static void hear(struct fetch *f)
{
	if (f->result.heard)
		return;
	f->result.heard = true;
	if (f->heard)
		f->heard(f->ctx, f->result.transport);
}

static void be_late(struct fetch *f)
{
	void (*late)(void *ctx) = f->late;

	f->late = NULL;
	if (late && !f->result.heard)
		late(f->ctx);
}

/* The OPT of an answer, wherever among its records; `present` is false if it has none, or is malformed before. */
static struct msg_edns edns_of(const uint8_t *message, size_t length)
{
	struct rbuf msg = rbuf_of(message, length);
	struct msg_edns edns = {.present = false};
	struct msg_header h;
	struct msg_question q;
	struct msg_rr rr;

	if (!msg_read_header(&msg, &h))
		return edns;
	for (unsigned i = 0; i < h.qdcount; i++)
		if (!msg_read_question(&msg, &q))
			return edns;
	for (unsigned i = 0, records = h.ancount + h.nscount; i < records + h.arcount; i++) {
		if (!msg_read_rr(&msg, &rr))
			return edns;
		if (i >= records && rr.type == RR_OPT && msg_edns_of(&rr, &edns))
			return edns;
	}
	return (struct msg_edns){.present = false};
}

static void read_expire(struct fetch *f, const struct msg_edns *edns)
{
	struct rbuf options = rbuf_of(edns->options, edns->options_length);

	while (rbuf_left(&options) >= 4) {
		uint16_t code = get_u16(options.at), length = get_u16(options.at + 2);

		if (code == OPTION_EXPIRE && length == 4) {
			f->result.has_expire = true;
			f->result.expire = get_u32(options.at + 4);
		}
		options.at += 4 + length;
	}
}

/* Reads the EDNS of an answer (the first of several). Returns the whole RCODE. */
static unsigned take_edns(struct fetch *f, const uint8_t *message, size_t length, uint16_t flags)
{
	struct msg_edns edns = f->edns ? edns_of(message, length) : (struct msg_edns){.present = false};
	unsigned rcode = msg_rcode_of(flags);

	if (!edns.present)
		return rcode;
	rcode |= (unsigned)edns.ext_rcode << 4;
	if (rcode == RCODE_BADVERS)
		return rcode;
	if (f->peer)
		peer_edns_seen(f->peer);
	read_expire(f, &edns);
	return rcode;
}

/* It may be the OPT that it did not understand. One that has answered with an OPT before means something else. */
static bool may_ask_without(struct fetch *f, unsigned rcode)
{
	if (!f->edns || (rcode != RCODE_FORMERR && rcode != RCODE_NOTIMP && rcode != RCODE_BADVERS))
		return false;
	if (rcode != RCODE_BADVERS && f->peer && peer_edns(f->peer, f->now()) == PEER_EDNS_SPEAKS)
		return false;
	f->edns = false;
	f->edns_refused = true;
	return true;
}

/* --- the SOA -------------------------------------------------------------- */

enum soa_answer {
	SOA_IGNORE,          /* not an answer to our query: wait on */
	SOA_TRUNCATED,
	SOA_NO_EDNS,         /* ask again without */
	SOA_BAD,             /* why is set */
	SOA_TSIG,
	SOA_GOOD,
};

static enum soa_answer soa_bad(struct fetch *f, const char *text)
{
	err_why(&f->result.why, ERR_FORMAT, "%s", text);
	return SOA_BAD;
}

/* Reads the answer's SOA: exactly one serial, owned by the zone. The same record twice is passed over. */
static enum soa_answer read_soa(struct fetch *f, struct rbuf *msg, unsigned count)
{
	while (count--) {
		struct serial serial;
		struct rr_soa soa;
		struct msg_rr rr;

		if (!msg_read_rr(msg, &rr))
			return soa_bad(f, "the answer to the SOA query is malformed");
		if (rr.type == RR_RRSIG)
			continue;
		if (rr.type != RR_SOA || rr.class != CLASS_IN || !name_equal(rr.owner, f->zone))
			return soa_bad(f, "the answer to the SOA query holds something else than the zone's SOA");
		if (!msg_read_soa(msg, &rr, &soa))
			return soa_bad(f, "the SOA in the answer is malformed");
		serial.v = soa.serial;
		if (f->result.has_serial && !serial_equal(serial, f->result.serial))
			return soa_bad(f, "the answer to the SOA query holds two different SOA records");
		f->result.serial = serial;
		f->result.has_serial = true;
	}
	if (!f->result.has_serial)
		return soa_bad(f, "the answer to the SOA query holds no SOA (a referral, or no such zone)");
	return SOA_GOOD;
}

static enum soa_answer check_soa_header(struct fetch *f, struct rbuf *msg, struct msg_header *h)
{
	struct msg_question q;

	if (!msg_read_header(msg, h) || h->id != f->id || !(h->flags & MSG_QR) || msg_opcode_of(h->flags) != OPCODE_QUERY)
		return SOA_IGNORE;
	if (h->qdcount == 0 && msg_rcode_of(h->flags) != RCODE_NOERROR)
		return SOA_GOOD;     /* some answer an error without the question */
	if (h->qdcount != 1 || !msg_read_question(msg, &q))
		return SOA_IGNORE;
	if (!name_equal(q.name, f->zone) || q.type != RR_SOA || q.class != CLASS_IN)
		return SOA_IGNORE;
	return SOA_GOOD;
}

/* Where to look first. */
static const char *peer_error_hint(uint16_t error)
{
	switch (error) {
	case RCODE_BADTIME: return " (compare the clocks)";
	case RCODE_BADSIG: return " (compare the secrets)";
	case RCODE_BADKEY: return " (compare the names and algorithms of the keys)";
	default: return "";
	}
}

static void say_tsig(struct fetch *f, enum tsig_verdict verdict, const char *which, const uint8_t *message, size_t length)
{
	struct rbuf msg = rbuf_of(message, length);
	struct msg_header h;
	char code[16];

	if (verdict == TSIG_PEER_ERROR)
		err_why(&f->result.why, ERR_TSIG, "the primary refused our TSIG: %s%s", tsig_error_text(f->tsig.peer_error, code),
			peer_error_hint(f->tsig.peer_error));
	else if (verdict == TSIG_MISSING && msg_read_header(&msg, &h) && msg_rcode_of(h.flags) != RCODE_NOERROR)
		err_why(&f->result.why, ERR_TSIG, "%s: its TSIG: MISSING (the primary answered %s)", which,
			msg_rcode_text(msg_rcode_of(h.flags), code));
	else
		err_why(&f->result.why, ERR_TSIG, "%s: its TSIG: %s", which, tsig_verdict_text(verdict));
}

static enum soa_answer check_tsig(struct fetch *f, const uint8_t *message, size_t length)
{
	size_t unsigned_length;
	enum tsig_verdict verdict;

	if (!f->has_key)
		return SOA_GOOD;
	verdict = tsig_verify_reply(&f->tsig, message, length, f->unix_time(), &unsigned_length);
	if (verdict == TSIG_OK)
		return SOA_GOOD;
	if (verdict == TSIG_UNSIGNED)
		verdict = TSIG_MISSING;
	say_tsig(f, verdict, "the answer", message, length);
	return SOA_TSIG;
}

static enum soa_answer check_soa(struct fetch *f, const uint8_t *message, size_t length)
{
	struct rbuf msg = rbuf_of(message, length);
	struct msg_header h;
	enum soa_answer answer = check_soa_header(f, &msg, &h);
	char text[16];
	unsigned rcode;

	if (answer != SOA_GOOD)
		return answer;
	hear(f);
	if (h.flags & MSG_TC && f->result.transport == FETCH_UDP)
		return SOA_TRUNCATED;
	rcode = take_edns(f, message, length, h.flags);
	if (may_ask_without(f, rcode))
		return SOA_NO_EDNS;
	if (rcode == RCODE_BADCOOKIE && f->result.transport == FETCH_UDP)
		return SOA_TRUNCATED;        /* RFC 7873 5.3: over TCP it needs no cookie */
	answer = check_tsig(f, message, length);
	if (answer != SOA_GOOD)
		return answer;
	if (rcode != RCODE_NOERROR) {
		err_why(&f->result.why, ERR_REFUSED, "the primary answered %s", msg_rcode_text(rcode, text));
		return SOA_BAD;
	}
	if (!(h.flags & MSG_AA))
		return soa_bad(f, "the primary is not authoritative for the zone (no AA)");
	return read_soa(f, &msg, h.ancount);
}

static void start_stream(struct fetch *f);
static void start_udp(struct fetch *f);
static bool ask_over_tcp(struct fetch *f);

/* True if the exchange goes on waiting. */
static bool take_soa(struct fetch *f, const uint8_t *message, size_t length)
{
	f->result.has_serial = false;
	f->result.messages++;
	f->result.bytes += length;
	switch (check_soa(f, message, length)) {
	case SOA_IGNORE:
		return true;
	case SOA_TRUNCATED:
		close_udp(f);
		start_stream(f);
		return false;
	case SOA_NO_EDNS:
		if (f->result.transport != FETCH_UDP)
			return ask_over_tcp(f);
		close_udp(f);
		start_udp(f);
		return false;
	case SOA_BAD:
		f->answered = f->call != NULL;
		finish(f, FETCH_PROTOCOL);
		return false;
	case SOA_TSIG:
		finish(f, FETCH_TSIG_FAILED);
		return false;
	case SOA_GOOD:
		f->answered = f->call != NULL;
		finish(f, FETCH_OK);
		return false;
	}
	return false;
}

/* No socket could be had. */
static bool is_ours(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM || error == EADDRNOTAVAIL;
}

static void udp_failed(struct fetch *f, int error)
{
	char text[160], to[NET_ADDR_TEXT];

	snprintf(text, sizeof text, "UDP: %s: %s", net_addr_text(&f->to, 0, to), strerror(error));
	fail(f, FETCH_NETWORK, text);
}

/* A firewall may pass what has no OPT, or TCP alone. */
static void udp_silent(struct fetch *f)
{
	close_udp(f);
	if (++f->tries >= 2)
		be_late(f);
	if (f->tries == UDP_TRIES - 1 && f->edns && !(f->peer && peer_edns(f->peer, f->now()) == PEER_EDNS_SPEAKS)) {
		f->edns = false;
		f->edns_refused = true;
	}
	if (f->tries < UDP_TRIES)
		start_udp(f);
	else
		start_stream(f);
}

static void udp_ready(evutil_socket_t fd, short what, void *ctx)
{
	struct fetch *f = ctx;
	uint8_t message[4096];
	ssize_t n;

	if (what & EV_TIMEOUT) {
		udp_silent(f);
		return;
	}
	for (unsigned i = 0; i < READS_MAX; i++) {
		n = recv(fd, message, sizeof message, 0);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0) {         /* ECONNREFUSED by ICMP: nobody is there, also not on TCP */
			udp_failed(f, errno);
			return;
		}
		if (!take_soa(f, message, (size_t)n))
			return;
	}
}

static void start_udp(struct fetch *f)
{
	uint32_t wait = UDP_FIRST_MS + f->tries * UDP_FIRST_MS / 2;
	struct timeval tv;

	if (wait > f->times.connect_ms)
		wait = f->times.connect_ms;
	tv = ms_to_tv(wait);
	f->result.transport = FETCH_UDP;
	f->udp = net_connect_udp(&f->to, &f->result.why);
	if (f->udp < 0) {
		f->result.ours = is_ours(errno);
		finish(f, FETCH_NETWORK);
		return;
	}
	net_random(&f->id, sizeof f->id);
	if (!make_query(f) || !(f->udp_event = event_new(f->loop, f->udp, EV_READ | EV_PERSIST, udp_ready, f))) {
		fail(f, FETCH_NO_MEMORY, "out of memory");
		return;
	}
	event_add(f->udp_event, &tv);
	if (send(f->udp, query.octets + 2, query.length, MSG_NOSIGNAL) < 0 && errno != EAGAIN)
		udp_failed(f, errno);
}

/* --- over TCP and TLS ----------------------------------------------------- */

/* Over the connection that stands. False: out of memory, and over. */
static bool ask_over_tcp(struct fetch *f)
{
	bool ok = make_query(f);

	stream_free(f->stream);
	f->stream = NULL;
	if (ok && f->kind != FETCH_SOA)
		f->stream = stream_new(&(struct stream_ask){.zone = f->zone, .id = f->id, .base = f->base, .limits = f->limits,
			.messages = f->times.messages, .type = f->kind == FETCH_IXFR ? RR_IXFR : RR_AXFR});
	if (!ok || (f->kind != FETCH_SOA && !f->stream)) {
		fail(f, FETCH_NO_MEMORY, "out of memory");
		return false;
	}
	link_write(f->call, query.octets, 2 + query.length);
	return true;
}

static void on_begin(struct link_call *call, uint16_t id, void *owner)
{
	struct fetch *f = owner;

	(void)call;
	f->id = id;
	ask_over_tcp(f);
}

/* A whole zone may be within the limits where many steps to it are not. */
static bool axfr_may_help(const struct stream_sum *sum)
{
	return stream_reason_wants_axfr(sum->reason) || (sum->reason == STREAM_LIMIT && sum->incremental);
}

static void refused(struct fetch *f)
{
	const struct stream_sum *sum = stream_sum(f->stream);
	char text[16];

	f->answered = sum->reason == STREAM_RCODE;
	f->result.why = sum->why;
	if (f->answered && sum->messages == 1 && f->first_rcode > 15)
		err_why(&f->result.why, ERR_REFUSED, "the primary answered %s", msg_rcode_text(f->first_rcode, text));
	f->result.reason = stream_reason_name(sum->reason);
	f->result.axfr_may_help = f->kind == FETCH_IXFR && axfr_may_help(sum);
	finish(f, sum->reason == STREAM_SERIAL_BACK ? FETCH_BACK :
		sum->reason == STREAM_MEMORY ? FETCH_NO_MEMORY : FETCH_PROTOCOL);
}

/* The stream is complete and every signature that must be there is right: only now the version may leave. */
static void complete(struct fetch *f)
{
	f->result.version = stream_take(f->stream);
	f->answered = f->result.version || f->first_count == 1;      /* some send the whole zone even though we have it */
	finish(f, f->result.version ? FETCH_OK : FETCH_CURRENT);
}

static void bad_tsig(struct fetch *f, enum tsig_verdict verdict, const uint8_t *message, size_t length)
{
	char which[40];

	snprintf(which, sizeof which, "message %llu", (unsigned long long)stream_sum(f->stream)->messages + 1);
	say_tsig(f, verdict, which, message, length);
	finish(f, FETCH_TSIG_FAILED);
}

/* The first message of a transfer: its EDNS. True: it was answered that the query was not understood, and is asked without EDNS. */
static bool first_message(struct fetch *f, const uint8_t *message, size_t length)
{
	struct rbuf msg = rbuf_of(message, length);
	struct msg_header h;

	if (!msg_read_header(&msg, &h) || h.id != f->id || !(h.flags & MSG_QR))
		return false;
	f->first_count = h.ancount;
	f->first_rcode = take_edns(f, message, length, h.flags);
	return may_ask_without(f, f->first_rcode);
}

/* One message of a transfer: first its signature, as far as it has one, then its records. False: the exchange is over. */
static bool take_transfer(struct fetch *f, const uint8_t *message, size_t length)
{
	enum tsig_verdict signature = TSIG_OK;
	enum stream_verdict verdict;
	size_t unsigned_length;

	if (!stream_sum(f->stream)->messages && first_message(f, message, length))
		return ask_over_tcp(f);
	if (f->has_key) {
		signature = tsig_verify_reply(&f->tsig, message, length, f->unix_time(), &unsigned_length);
		if (signature != TSIG_OK && signature != TSIG_UNSIGNED) {
			bad_tsig(f, signature, message, length);
			return false;
		}
	}
	verdict = stream_message(f->stream, message, length);
	if (verdict == STREAM_MORE)
		return true;
	if (verdict == STREAM_REJECT) {
		refused(f);
		return false;
	}
	if (f->has_key && (signature = tsig_finish(&f->tsig)) != TSIG_OK) {
		bad_tsig(f, signature, message, length);
		return false;
	}
	complete(f);
	return false;
}

static void on_heard(struct link_call *call, void *owner)
{
	struct fetch *f = owner;

	f->octets = link_octets(call);
	hear(f);
}

static void on_message(struct link_call *call, const uint8_t *message, size_t length, void *owner)
{
	struct fetch *f = owner;

	on_heard(call, f);
	if (f->kind == FETCH_SOA)
		take_soa(f, message, length);
	else
		take_transfer(f, message, length);
}

/* It closed without a word: some do that where they do not know an OPT, or do not like to be asked again on a connection. */
static bool may_try_without(struct fetch *f)
{
	if (f->result.heard || !f->edns || f->edns_refused || !f->stream || (!f->tls && f->peer && peer_edns(f->peer, f->now()) == PEER_EDNS_SPEAKS))
		return false;
	f->edns = f->tls;
	f->edns_refused = true;
	return true;
}

static void on_ended(struct link_call *call, enum err err, const struct why *why, bool partial, void *owner)
{
	struct fetch *f = owner;
	const struct stream_sum *sum = f->stream ? stream_sum(f->stream) : NULL;
	const char *reason = err_say(why, err);

	if (err == ERR_TLS)
		hear(f);             /* somebody is there, only not the one we want, or not wanting us */
	if (err == ERR_CLOSED && may_try_without(f)) {
		link_end(call);
		f->call = NULL;
		start_stream(f);
		return;
	}
	if (err == ERR_TIMEOUT && f->octets) {
		err_why(&f->result.why, ERR_NETWORK, "nothing more for %u s (limits.transfer-idle) after message %llu, record %llu",
			f->times.idle_ms / 1000, (unsigned long long)(sum ? sum->messages : 0), (unsigned long long)(sum ? sum->records : 0));
	} else if (sum && sum->records) {
		err_why(&f->result.why, ERR_NETWORK, "broken off after message %llu, record %llu: %.200s",
			(unsigned long long)sum->messages, (unsigned long long)sum->records, reason);
	} else {
		if (err == ERR_CLOSED)
			reason = partial ? "the primary closed the connection within a message"
				: "the primary closed the connection without an answer";
		err_why(&f->result.why, ERR_NETWORK, f->tls ? "%.390s" : "TCP: %.300s", reason);
	}
	finish(f, FETCH_NETWORK);
}

static void start_stream(struct fetch *f)
{
	static const struct link_handlers handlers = {on_begin, on_message, on_heard, on_ended};
	struct conn_times times = {f->times.connect_ms, f->times.idle_ms, 0, 0};
	struct timeval late;
	bool ready;

	f->result.transport = f->tls ? FETCH_TLS : FETCH_TCP;
	errno = 0;
	f->call = link_start(f->links, &f->to, f->tls, f->peer, times, &handlers, f, &ready, &f->result.why);
	if (!f->call) {
		f->result.ours = is_ours(errno);
		finish(f, FETCH_NETWORK);
		return;
	}
	f->result.kept = ready;
	late = ms_to_tv(ready ? LINK_SHARED_MS : FETCH_LATE_MS);
	event_add(f->later, &late);
	if (ready)
		on_begin(f->call, link_id(f->call), f);
}

/* Nothing was heard for some time. The connection may be to blame. */
static void look_late(struct fetch *f)
{
	struct timeval late = ms_to_tv(FETCH_LATE_MS);

	if (f->result.heard)
		return;
	switch (link_late(f->call)) {
	case LINK_SILENT:
		be_late(f);
		return;
	case LINK_WAITS:
		late = ms_to_tv(LINK_ALONE_MS - LINK_SHARED_MS);
		break;
	case LINK_MOVED:
		break;
	}
	event_add(f->later, &late);
}

/* Until the rate is looked at, or the time is over. */
static uint32_t next_look(const struct fetch *f)
{
	uint32_t window = 2 * f->times.idle_ms, left = f->total_ms - elapsed_ms(f);

	return f->kind != FETCH_SOA && f->times.rate && window < left ? window : left;
}

/* Timers may be due a little early. */
static bool is_slow(const struct fetch *f)
{
	uint32_t window = 2 * f->times.idle_ms;

	return f->kind != FETCH_SOA && elapsed_ms(f) - f->looked + CLOSE_MS >= window &&
		(f->octets - f->octets_before) * 1000 < (uint64_t)f->times.rate * window;
}

/* An octet now and then is no transfer: it would hold its place for hours. */
static void look(evutil_socket_t fd, short what, void *ctx)
{
	struct fetch *f = ctx;
	struct timeval tv;
	char text[160];

	(void)fd;
	(void)what;
	if (f->call)
		f->octets = link_octets(f->call);
	if (f->octets < f->octets_before)
		f->octets_before = 0;        /* it has begun anew */
	if (elapsed_ms(f) >= f->total_ms) {
		snprintf(text, sizeof text, "not done within %u s%s", f->total_ms / 1000, f->kind == FETCH_SOA ? "" : " (limits.transfer-time)");
		fail(f, FETCH_NETWORK, text);
	} else if (is_slow(f)) {
		snprintf(text, sizeof text, "%llu octets in %u s, slower than limits.transfer-rate = %u octets a second",
			(unsigned long long)(f->octets - f->octets_before), 2 * f->times.idle_ms / 1000, f->times.rate);
		fail(f, FETCH_NETWORK, text);
	} else {
		f->octets_before = f->octets;
		f->looked = elapsed_ms(f);
		tv = ms_to_tv(next_look(f));
		event_add(f->timer, &tv);
	}
}

static void begin(evutil_socket_t fd, short what, void *ctx)
{
	struct fetch *f = ctx;

	(void)fd;
	(void)what;
	if (f->call)
		look_late(f);
	else if (f->kind == FETCH_SOA && !f->tls && !f->stream_only)
		start_udp(f);
	else
		start_stream(f);
}

/* A SOA query: all its tries over UDP, then connecting, and silence on the connection. */
static uint32_t total_time(const struct fetch_ask *ask)
{
	return ask->kind == FETCH_SOA ? (UDP_TRIES + 1) * ask->times.connect_ms + ask->times.idle_ms : ask->times.total_ms;
}

struct fetch *fetch_start(struct event_base *loop, const struct fetch_ask *ask, fetch_done *done, void *ctx)
{
	struct timeval first, now = {0, 0};
	struct fetch *f = calloc(1, sizeof *f);

	if (!f)
		return NULL;
	f->loop = loop;
	f->kind = ask->kind;
	name_copy(ask->zone, f->zone);
	f->to = ask->to;
	f->has_key = ask->key != NULL;
	if (ask->key)
		f->key = *ask->key;
	f->tls = ask->tls ? tls_client_hold(ask->tls) : NULL;
	f->base = ask->base && ask->kind == FETCH_IXFR ? zone_hold(ask->base) : NULL;
	f->limits = ask->limits;
	f->times = ask->times;
	f->links = ask->links;
	f->peer = ask->peer;
	f->edns = ask->tls || !ask->peer || peer_edns(ask->peer, ask->now()) < PEER_EDNS_DOUBTED;
	f->late = ask->late;
	f->stream_only = ask->stream_only;
	f->heard = ask->heard;
	f->now = ask->now;
	f->unix_time = ask->unix_time;
	f->done = done;
	f->ctx = ctx;
	f->udp = -1;
	f->began = f->now();
	f->total_ms = total_time(ask);
	f->timer = event_new(loop, -1, 0, look, f);
	f->later = event_new(loop, -1, 0, begin, f);
	if (!f->timer || !f->later) {
		fetch_cancel(f);
		return NULL;
	}
	first = ms_to_tv(next_look(f));
	event_add(f->timer, &first);
	event_add(f->later, &now);
	return f;
}

void fetch_progress(const struct fetch *f, uint64_t *records, uint64_t *bytes)
{
	*records = f->stream ? stream_sum(f->stream)->records : 0;
	*bytes = f->stream ? stream_sum(f->stream)->bytes : 0;
}
