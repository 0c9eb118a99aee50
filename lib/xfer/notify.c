#include "xfer/notify.h"

#include "base/log.h"
#include "dns/msg.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	TRIES = 5,                   /* RFC 1996 3.6 */
	FIRST_MS = 1000,             /* then doubled: 31 s in all */
	SOCKETS = 128,               /* at once; the others wait */
	READS_MAX = 16,              /* datagrams of one wake-up: whoever floods the port does not hold the loop */
	MESSAGE_SIZE = 2048,         /* a question, a SOA and a TSIG, of names of 255 octets */
};

/* One call of notify_send: how many of its addresses are still open. */
struct errand {
	uint8_t zone[NAME_SIZE];
	unsigned open, answered, failed;
	notify_done *done;
	void *ctx;
};

/* One address to tell. */
struct job {
	struct job *next;
	struct notifier *notifier;
	struct errand *errand;
	struct net_addr to;
	struct tsig_key key;
	bool has_key;
	struct tsig tsig;
	struct serial serial;
	uint16_t soa_length, id;
	uint32_t soa_ttl;
	int fd;
	unsigned tries;
	struct event *event;         /* NULL: waits for a socket */
	char name[64];
	uint8_t soa[];
};

struct notifier {
	struct event_base *loop;
	uint64_t (*unix_time)(void);
	struct job *jobs, **last;
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
	n->last = &n->jobs;
	return n;
}

static void errand_close(struct errand *errand, bool answered)
{
	if (answered)
		errand->answered++;
	else
		errand->failed++;
	if (--errand->open)
		return;
	if (errand->done)
		errand->done(errand->ctx, errand->zone, errand->answered, errand->failed);
	free(errand);
}

static void start_waiting(struct notifier *);

static void job_end(struct job *job, bool answered)
{
	struct notifier *n = job->notifier;

	for (struct job **at = &n->jobs; *at; at = &(*at)->next) {
		if (*at != job)
			continue;
		*at = job->next;
		if (!*at)
			n->last = at;
		break;
	}
	if (job->event) {
		event_free(job->event);
		close(job->fd);
		n->sockets--;
	}
	tsig_release(&job->tsig);
	errand_close(job->errand, answered);
	explicit_bzero(&job->key, sizeof job->key);
	free(job);
}

static void log_job(const struct job *job, enum log_level level, const char *outcome)
{
	char text[NAME_TEXT_SIZE];
	struct log log;

	log_begin(&log, level, "notify-out");
	log_str(&log, "zone", name_text(job->errand->zone, text));
	log_str(&log, "to", job->name);
	log_str(&log, "address", net_addr_text(&job->to, 0, text));
	log_str(&log, "key", job->has_key ? name_text(job->key.name, text) : "none");
	log_int(&log, "serial", job->serial.v);
	log_int(&log, "tries", job->tries);
	log_str(&log, "outcome", outcome);
	log_end(&log);
}

/* RFC 1996 3.7, 3.11: the SOA as a hint in the answer section. */
static bool make_message(struct job *job, uint8_t message[MESSAGE_SIZE], size_t *length)
{
	struct msg_writer *w = &job->notifier->writer;
	struct rr soa = {job->errand->zone, RR_SOA, CLASS_IN, job->soa_length, job->soa_ttl, job->soa};
	struct wbuf out = wbuf_of(message, MESSAGE_SIZE);

	net_random(&job->id, sizeof job->id);
	msg_start(w, message, MESSAGE_SIZE, MESSAGE_SIZE - TSIG_ROOM);
	if (!msg_put_question(w, job->errand->zone, RR_SOA, CLASS_IN) || !msg_put_rr(w, MSG_ANSWER, &soa))
		return false;
	out.at += msg_finish(w, job->id, OPCODE_NOTIFY << 11 | MSG_AA);
	tsig_release(&job->tsig);
	job->tsig = (struct tsig){0};
	if (job->has_key && tsig_sign_request(&job->tsig, &job->key, &out, job->notifier->unix_time()))
		return false;
	*length = wbuf_used(&out);
	return true;
}

static void job_send(struct job *job)
{
	uint32_t wait = (uint32_t)FIRST_MS << job->tries;
	struct timeval tv = {wait / 1000, wait % 1000 * 1000};
	uint8_t message[MESSAGE_SIZE];
	size_t length;

	job->tries++;
	event_add(job->event, &tv);
	if (make_message(job, message, &length) && send(job->fd, message, length, MSG_NOSIGNAL) < 0)
		return;              /* the next try is armed */
}

/* The name of the answer's RCODE, or of the error that its TSIG tells; NULL: it is no answer to what was sent. */
static const char *read_answer(struct job *job, const uint8_t *message, size_t length, char text[16])
{
	struct rbuf at = rbuf_of(message, length);
	struct msg_header h;
	size_t without;

	if (!msg_read_header(&at, &h) || h.id != job->id || !(h.flags & MSG_QR) || msg_opcode_of(h.flags) != OPCODE_NOTIFY)
		return NULL;
	if (job->has_key && tsig_verify_reply(&job->tsig, message, length, job->notifier->unix_time(), &without) != TSIG_OK &&
	    job->tsig.peer_error == 0)
		return NULL;
	if (job->has_key && job->tsig.peer_error)
		return tsig_error_text(job->tsig.peer_error, text);
	return msg_rcode_text(msg_rcode_of(h.flags), text);
}

static void job_ready(evutil_socket_t fd, short what, void *ctx)
{
	struct job *job = ctx;
	struct notifier *n = job->notifier;
	uint8_t message[MESSAGE_SIZE];
	const char *outcome = NULL;
	char text[16];
	bool good;

	if (what & EV_TIMEOUT && job->tries < TRIES) {
		job_send(job);
		return;
	}
	if (what & EV_TIMEOUT)
		outcome = "no answer";
	for (unsigned i = 0; i < READS_MAX && !outcome; i++) {
		ssize_t got = recv(fd, message, sizeof message, 0);

		if (got < 0)
			return;      /* nobody there yet, or nothing more: the timer goes on */
		outcome = read_answer(job, message, (size_t)got, text);
	}
	if (!outcome)
		return;
	good = strcmp(outcome, "NOERROR") == 0;
	log_job(job, good ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, outcome);
	job_end(job, good);
	start_waiting(n);
}

static bool job_start(struct job *job)
{
	struct why why = {{0}};

	job->fd = net_connect_udp(&job->to, &why);
	if (job->fd < 0) {
		log_job(job, LOG_LEVEL_WARNING, why.text);
		return false;
	}
	job->event = event_new(job->notifier->loop, job->fd, EV_READ | EV_PERSIST, job_ready, job);
	if (!job->event) {
		close(job->fd);
		return false;
	}
	job->notifier->sockets++;
	job_send(job);
	return true;
}

static void start_waiting(struct notifier *n)
{
	for (struct job *job = n->jobs, *next; job && n->sockets < SOCKETS; job = next) {
		next = job->next;
		if (!job->event && !job_start(job))
			job_end(job, false);
	}
}

static void add_job(struct notifier *n, struct errand *errand, const struct zone *version, const struct rr *soa,
	const struct notify_target *target, const struct net_addr *to)
{
	struct job *job = calloc(1, sizeof *job + soa->rdlength);

	if (!job)
		return;
	job->notifier = n;
	job->errand = errand;
	job->to = *to;
	job->has_key = target->key != NULL;
	if (target->key)
		job->key = *target->key;
	job->serial = version->serial;
	job->soa_length = soa->rdlength;
	job->soa_ttl = soa->ttl;
	memcpy(job->soa, soa->rdata, soa->rdlength);
	snprintf(job->name, sizeof job->name, "%s", target->name);
	errand->open++;
	*n->last = job;
	n->last = &job->next;
}

void notify_send(struct notifier *n, const struct zone *version, const struct notify_target *targets, size_t count,
	notify_done *done, void *ctx)
{
	struct errand *errand = calloc(1, sizeof *errand);
	struct rr soa = zone_soa(version);

	notify_cancel(n, version->apex);
	if (!errand) {
		if (done)
			done(ctx, version->apex, 0, 1);
		return;
	}
	name_copy(version->apex, errand->zone);
	errand->done = done;
	errand->ctx = ctx;
	errand->open = 1;            /* until all are entered; closing this one counts as an answer, */
	errand->answered = (unsigned)-1;     /* which is taken off beforehand */
	for (size_t i = 0; i < count; i++)
		for (size_t a = 0; a < targets[i].address_count; a++)
			add_job(n, errand, version, &soa, &targets[i], &targets[i].addresses[a]);
	start_waiting(n);
	errand_close(errand, true);
}

void notify_cancel(struct notifier *n, const uint8_t *zone)
{
	for (struct job *job = n->jobs, *next; job; job = next) {
		next = job->next;
		if (name_equal(job->errand->zone, zone))
			job_end(job, false);
	}
}

void notifier_free(struct notifier *n)
{
	if (!n)
		return;
	while (n->jobs)
		job_end(n->jobs, false);
	free(n);
}
