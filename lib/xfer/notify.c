#include "xfer/notify.h"

#include "base/conn.h"
#include "base/log.h"
#include "dns/frame.h"
#include "dns/msg.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

enum {
	TRIES = 5,                   /* RFC 1996 3.6 */
	FIRST_MS = 1000,             /* then doubled: 31 s in all */
	SOCKETS = 128,               /* at once; what is over waits */
	SOCKETS_EACH = 32,           /* of them for one address */
	TRIES_SILENT = 2,            /* for an address that did not answer the last time: it must not hold up the others */
	SOCKETS_SILENT = 16,
	READS_MAX = 16,              /* datagrams of one wake-up: whoever floods the port does not hold the loop */
	MESSAGE_SIZE = 2048,         /* a question, a SOA and a TSIG, of names of 255 octets */
	ERRANDS = 1 << 12,           /* chains of them, by zone */
};

/* An address that is told, with its key: while there is something to tell. */
struct peer {
	TAILQ_ENTRY(peer) link;
	struct net_addr to;
	struct tsig_key key;
	bool has_key, silent;
	struct tls_client *tls;      /* NULL: over UDP */
	unsigned running;
	size_t jobs;
	TAILQ_HEAD(, job) waiting;
	char name[64];
};

/* One call of notify_send. There is at most one for a zone. */
struct errand {
	struct errand *next;
	struct notifier *notifier;
	LIST_HEAD(, job) jobs;
	unsigned holds;              /* one for each job, and one while it is begun or ended */
	unsigned answered, failed;
	notify_done *done;
	void *ctx;
	struct serial serial;
	uint32_t soa_ttl;
	uint16_t soa_length;
	uint8_t zone[NAME_SIZE];
	uint8_t soa[];
};

/* One address to tell of one zone. */
struct job {
	LIST_ENTRY(job) of_errand;
	TAILQ_ENTRY(job) in_queue;
	struct errand *errand;
	struct peer *peer;
	struct exchange *exchange;   /* NULL: it waits */
};

/* What a job needs while it is under way. */
struct exchange {
	struct tsig tsig;
	struct event *readable, *timer;
	int fd;                      /* -1: over TLS */
	struct conn *conn;           /* of this try; NULL: over UDP, or there is none any more */
	struct why why;              /* how the last one ended */
	unsigned tries;
	uint16_t id;
};

struct notifier {
	struct event_base *loop;
	uint64_t (*unix_time)(void);
	TAILQ_HEAD(, peer) peers;
	struct errand *errands[ERRANDS];
	unsigned sockets;
	struct msg_writer writer;    /* for one message at a time */
};

struct notifier *notifier_new(struct event_base *loop, uint64_t (*unix_time)(void))
{
	struct notifier *n = calloc(1, sizeof *n);

	if (!n)
		return NULL;
	n->loop = loop;
	n->unix_time = unix_time;
	TAILQ_INIT(&n->peers);
	return n;
}

/* --- what there is to do --------------------------------------------------- */

static struct errand **errand_at(struct notifier *n, const uint8_t *zone)
{
	struct errand **at = &n->errands[name_hash(zone) & (ERRANDS - 1)];

	while (*at && !name_equal((*at)->zone, zone))
		at = &(*at)->next;
	return at;
}

static void errand_drop(struct errand *errand)
{
	if (--errand->holds)
		return;
	*errand_at(errand->notifier, errand->zone) = errand->next;
	if (errand->done)
		errand->done(errand->ctx, errand->zone, errand->answered, errand->failed);
	free(errand);
}

static void errand_close(struct errand *errand, bool answered)
{
	if (answered)
		errand->answered++;
	else
		errand->failed++;
	errand_drop(errand);
}

static struct peer *peer_get(struct notifier *n, const struct notify_target *target, const struct net_addr *to)
{
	struct peer *peer;

	TAILQ_FOREACH(peer, &n->peers, link)
		if (net_addr_equal(&peer->to, to) && peer->tls == target->tls && tsig_key_equal(peer->has_key ? &peer->key : NULL, target->key))
			return peer;
	peer = calloc(1, sizeof *peer);
	if (!peer)
		return NULL;
	peer->to = *to;
	peer->has_key = target->key != NULL;
	if (target->key)
		peer->key = *target->key;
	peer->tls = target->tls ? tls_client_hold(target->tls) : NULL;
	snprintf(peer->name, sizeof peer->name, "%s", target->name);
	TAILQ_INIT(&peer->waiting);
	TAILQ_INSERT_TAIL(&n->peers, peer, link);
	return peer;
}

/* What it was told of last is remembered only as long as more waits. */
static void peer_drop(struct notifier *n, struct peer *peer)
{
	if (--peer->jobs)
		return;
	TAILQ_REMOVE(&n->peers, peer, link);
	explicit_bzero(&peer->key, sizeof peer->key);
	tls_client_drop(peer->tls);
	free(peer);
}

static void exchange_free(struct exchange *x)
{
	if (x->readable)
		event_free(x->readable);
	if (x->timer)
		event_free(x->timer);
	if (x->fd >= 0)
		close(x->fd);
	conn_close(x->conn);
	tsig_release(&x->tsig);
	free(x);
}

static void job_end(struct job *job, bool answered)
{
	struct errand *errand = job->errand;
	struct notifier *n = errand->notifier;

	if (job->exchange) {
		exchange_free(job->exchange);
		job->peer->running--;
		n->sockets--;
	} else {
		TAILQ_REMOVE(&job->peer->waiting, job, in_queue);
	}
	LIST_REMOVE(job, of_errand);
	peer_drop(n, job->peer);
	free(job);
	errand_close(errand, answered);
}

static void log_job(const struct job *job, enum log_level level, const char *outcome)
{
	char text[NAME_TEXT_SIZE];
	struct log log;

	log_begin(&log, level, "notify-out");
	log_str(&log, "zone", name_text(job->errand->zone, text));
	log_str(&log, "to", job->peer->name);
	log_str(&log, "address", net_addr_text(&job->peer->to, 0, text));
	log_str(&log, "transport", job->peer->tls ? "tls" : NULL);
	log_str(&log, "key", job->peer->has_key ? name_text(job->peer->key.name, text) : "none");
	log_int(&log, "serial", job->errand->serial.v);
	log_int(&log, "tries", job->exchange ? job->exchange->tries : 0);
	log_str(&log, "outcome", outcome);
	log_end(&log);
}

/* RFC 1996 3.7, 3.11: the SOA as a hint in the answer section. */
static bool make_message(struct job *job, uint8_t message[MESSAGE_SIZE], size_t *length)
{
	const struct errand *e = job->errand;
	struct exchange *x = job->exchange;
	struct msg_writer *w = &e->notifier->writer;
	struct rr soa = {e->zone, RR_SOA, CLASS_IN, e->soa_length, e->soa_ttl, e->soa};
	struct wbuf out = wbuf_of(message, MESSAGE_SIZE);

	net_random(&x->id, sizeof x->id);
	msg_start(w, message, MESSAGE_SIZE, MESSAGE_SIZE - TSIG_ROOM);
	if (!msg_put_question(w, e->zone, RR_SOA, CLASS_IN) || !msg_put_rr(w, MSG_ANSWER, &soa))
		return false;
	out.at += msg_finish(w, x->id, OPCODE_NOTIFY << 11 | MSG_AA);
	tsig_release(&x->tsig);
	x->tsig = (struct tsig){0};
	if (job->peer->has_key && tsig_sign_request(&x->tsig, &job->peer->key, &out, e->notifier->unix_time()))
		return false;
	*length = wbuf_used(&out);
	return true;
}

static void open_stream(struct job *job, uint32_t wait);

static void job_send(struct job *job)
{
	struct exchange *x = job->exchange;
	uint32_t wait = (uint32_t)FIRST_MS << x->tries;
	struct timeval tv = {wait / 1000, wait % 1000 * 1000};
	uint8_t message[MESSAGE_SIZE];
	size_t length;

	x->tries++;
	event_add(x->timer, &tv);
	if (job->peer->tls) {
		open_stream(job, wait);
		return;
	}
	if (make_message(job, message, &length) && send(x->fd, message, length, MSG_NOSIGNAL) < 0)
		return;              /* the next try is armed */
}

/* The name of the answer's RCODE, or of the error that its TSIG tells; NULL: it is no answer to what was sent. */
static const char *read_answer(struct job *job, const uint8_t *message, size_t length, char text[16])
{
	struct rbuf at = rbuf_of(message, length);
	struct exchange *x = job->exchange;
	bool has_key = job->peer->has_key;
	struct msg_header h;
	size_t without;

	if (!msg_read_header(&at, &h) || h.id != x->id || !(h.flags & MSG_QR) || msg_opcode_of(h.flags) != OPCODE_NOTIFY)
		return NULL;
	if (has_key && tsig_verify_reply(&x->tsig, message, length, job->errand->notifier->unix_time(), &without) != TSIG_OK &&
	    x->tsig.peer_error == 0)
		return NULL;
	if (has_key && x->tsig.peer_error)
		return tsig_error_text(x->tsig.peer_error, text);
	return msg_rcode_text(msg_rcode_of(h.flags), text);
}

static unsigned tries_for(const struct peer *peer)
{
	return peer->silent ? TRIES_SILENT : TRIES;
}

static void start_waiting(struct notifier *);

static void job_over(struct job *job, const char *outcome, bool silent)
{
	struct notifier *n = job->errand->notifier;
	bool good = strcmp(outcome, "NOERROR") == 0;

	job->peer->silent = silent;
	log_job(job, good ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, outcome);
	job_end(job, good);
	start_waiting(n);
}

static void job_due(evutil_socket_t fd, short what, void *ctx)
{
	struct job *job = ctx;

	(void)fd;
	(void)what;
	if (job->exchange->tries < tries_for(job->peer))
		job_send(job);
	else
		job_over(job, job->exchange->why.text[0] ? job->exchange->why.text : "no answer", true);
}

/* --- over TLS: a connection for each try ------------------------------------- */

static void stream_connected(struct conn *conn, void *ctx)
{
	uint8_t frame[2 + MESSAGE_SIZE];
	size_t length;

	if (!make_message(ctx, frame + 2, &length))
		return;
	put_u16(frame, (uint16_t)length);
	conn_write(conn, frame, 2 + length);
}

static size_t stream_data(struct conn *conn, struct rbuf bytes, void *ctx)
{
	struct rbuf message;
	char text[16];

	(void)conn;
	while (frame_next(&bytes, &message)) {
		const char *outcome = read_answer(ctx, message.base, rbuf_left(&message), text);

		if (outcome) {
			job_over(ctx, outcome, false);
			return 0;
		}
	}
	return rbuf_pos(&bytes);
}

/* The timer goes on: the next try, or the end. */
static void stream_ended(struct conn *conn, enum err err, const struct why *why, void *ctx)
{
	struct job *job = ctx;

	err_why(&job->exchange->why, err, "%s", err_say(why, err));
	job->exchange->conn = NULL;
	conn_close(conn);
}

static void open_stream(struct job *job, uint32_t wait)
{
	static const struct conn_handlers handlers = {stream_connected, stream_data, NULL, stream_ended};
	struct exchange *x = job->exchange;

	conn_close(x->conn);
	x->why.text[0] = 0;
	x->conn = conn_open_tls(job->errand->notifier->loop, &job->peer->to,
		(struct conn_times){.connect_ms = wait, .idle_ms = wait}, job->peer->tls, &handlers, job, &x->why);
}

/* ---------------------------------------------------------------------------- */

static void job_ready(evutil_socket_t fd, short what, void *ctx)
{
	struct job *job = ctx;
	uint8_t message[MESSAGE_SIZE];
	const char *outcome = NULL;
	char text[16];

	(void)what;
	for (unsigned i = 0; i < READS_MAX && !outcome; i++) {
		ssize_t got = recv(fd, message, sizeof message, 0);

		if (got < 0)
			return;      /* nobody there yet, or nothing more: the timer goes on */
		outcome = read_answer(job, message, (size_t)got, text);
	}
	if (outcome)
		job_over(job, outcome, false);
}

/* False: it could not be, and is where it was. */
static bool job_start(struct job *job)
{
	struct notifier *n = job->errand->notifier;
	struct exchange *x = calloc(1, sizeof *x);
	struct why why = {{0}};

	if (!x)
		return false;
	x->fd = job->peer->tls ? -1 : net_connect_udp(&job->peer->to, &why);
	if (x->fd >= 0)
		x->readable = event_new(n->loop, x->fd, EV_READ | EV_PERSIST, job_ready, job);
	x->timer = evtimer_new(n->loop, job_due, job);
	if (!x->timer || (!job->peer->tls && (!x->readable || event_add(x->readable, NULL) < 0))) {
		log_job(job, LOG_LEVEL_WARNING, err_say(&why, ERR_NOMEM));
		exchange_free(x);
		return false;
	}
	TAILQ_REMOVE(&job->peer->waiting, job, in_queue);
	job->exchange = x;
	job->peer->running++;
	n->sockets++;
	job_send(job);
	return true;
}

/* One of the address's jobs, if it may have one more place: begun, or given up. */
static bool start_one(struct notifier *n, struct peer *peer)
{
	struct job *job = TAILQ_FIRST(&peer->waiting);

	if (!job || n->sockets >= SOCKETS || peer->running >= (peer->silent ? SOCKETS_SILENT : SOCKETS_EACH))
		return false;
	if (!job_start(job))
		job_end(job, false);
	return true;
}

/* In turn, so that no address waits for another. */
static void start_waiting(struct notifier *n)
{
	bool more = true;

	while (more) {
		more = false;
		for (struct peer *peer = TAILQ_FIRST(&n->peers), *next; peer; peer = next) {
			next = TAILQ_NEXT(peer, link);
			more |= start_one(n, peer);
		}
	}
}

static void add_job(struct notifier *n, struct errand *errand, const struct notify_target *target, const struct net_addr *to)
{
	struct peer *peer = peer_get(n, target, to);
	struct job *job = peer ? calloc(1, sizeof *job) : NULL;

	errand->holds++;
	if (peer)
		peer->jobs++;
	if (!job) {
		if (peer)
			peer_drop(n, peer);
		errand_close(errand, false);
		return;
	}
	job->errand = errand;
	job->peer = peer;
	LIST_INSERT_HEAD(&errand->jobs, job, of_errand);
	TAILQ_INSERT_TAIL(&peer->waiting, job, in_queue);
}

static struct errand *errand_new(struct notifier *n, const struct zone *version, notify_done *done, void *ctx)
{
	struct rr soa = zone_soa(version);
	struct errand *errand = calloc(1, sizeof *errand + soa.rdlength);

	if (!errand)
		return NULL;
	name_copy(version->apex, errand->zone);
	errand->notifier = n;
	errand->holds = 1;
	errand->done = done;
	errand->ctx = ctx;
	errand->serial = version->serial;
	errand->soa_ttl = soa.ttl;
	errand->soa_length = soa.rdlength;
	memcpy(errand->soa, soa.rdata, soa.rdlength);
	*errand_at(n, errand->zone) = errand;
	return errand;
}

void notify_send(struct notifier *n, const struct zone *version, const struct notify_target *targets, size_t count, notify_done *done,
	void *ctx)
{
	struct errand *errand;

	notify_cancel(n, version->apex);
	errand = errand_new(n, version, done, ctx);
	if (!errand) {
		if (done)
			done(ctx, version->apex, 0, 1);
		return;
	}
	for (size_t i = 0; i < count; i++)
		for (size_t a = 0; a < targets[i].address_count; a++)
			add_job(n, errand, &targets[i], &targets[i].addresses[a]);
	start_waiting(n);
	errand_drop(errand);
}

static void errand_end(struct errand *errand)
{
	errand->holds++;
	while (!LIST_EMPTY(&errand->jobs))
		job_end(LIST_FIRST(&errand->jobs), false);
	errand_drop(errand);
}

void notify_cancel(struct notifier *n, const uint8_t *zone)
{
	struct errand *errand = *errand_at(n, zone);

	if (errand)
		errand_end(errand);
}

void notifier_free(struct notifier *n)
{
	if (!n)
		return;
	for (unsigned i = 0; i < ERRANDS; i++)
		while (n->errands[i])
			errand_end(n->errands[i]);
	free(n);
}
