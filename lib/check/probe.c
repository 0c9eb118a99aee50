#include "check/probe.h"

#include "base/clock.h"
#include "base/conn.h"
#include "base/timers.h"
#include "dns/frame.h"
#include "dns/msg.h"
#include "dns/tsig.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

enum {
	CONNECTIONS = 3,
	TRIES = 16,                  /* over UDP: what loses two packets of three is still heard */
	TRIES_SHARE = 20,            /* of the question's time, between two; */
	TRIES_PAUSE_MS = 100,        /* at least this */
	REFUSALS = 3,                /* ICMP errors that are an answer */
	REFUSED_PAUSE_MS = 100,      /* after an ICMP error, until the next try */
	ODD_SHARE = 16,              /* an odd answer is held for this part of the question's time */
	PACKETS_TURN = 16,           /* read from one socket before the loop sees to the others */
	BURST_US = 20000,            /* a rate may be exceeded by what comes due in this time */
	GATHER = 12,                 /* questions that are sent together, */
	GATHER_US = 250000,          /* or what comes due in this time, if that is less */
	BUCKETS = 1024,
	QUERY_MAX = MSG_HEADER + NAME_SIZE + 4 + 11,
	QUERY_ROOM = QUERY_MAX + TSIG_ROOM,
};

enum probe_state { PROBE_WAITS, PROBE_UDP, PROBE_TCP, PROBE_OVER };

/* One address and port that is asked. Gone when nothing waits or runs there, and its rate lets the next go at once. */
struct target {
	struct prober *prober;
	struct target *next;         /* in its bucket */
	struct net_addr address;
	TAILQ_HEAD(, probe) waiting;
	TAILQ_ENTRY(target) ready_link;
	bool ready;                  /* in the prober's list: something waits, and may go */
	unsigned running;
	int64_t next_us;             /* when the next may be sent, but for the burst */
	struct timer timer;
};

/* What is signed is sent again as it was: so there is one MAC that an answer can belong to. */
struct signing {
	struct tsig tsig;
	size_t length;               /* of the query over UDP; 0: there is none yet */
	uint8_t query[QUERY_ROOM];
};

struct probe {
	struct prober *prober;
	struct target *target;
	TAILQ_ENTRY(probe) all_link, waiting_link;
	struct probe_ask ask;
	uint8_t name[NAME_SIZE];
	probe_done *done;
	void *ctx;
	enum probe_state state;
	struct timer timer;
	uint32_t time_ms;            /* it may take */
	int64_t began_ms, retry_ms, held_until_ms;
	unsigned tries, refusals, connections;
	struct signing *signing;     /* NULL: without a key */
	struct { uint16_t id; int64_t us; } sent[TRIES];     /* each try has its ID, so that its round trip is known */
	int fd;                      /* PROBE_UDP: >= 0 */
	struct event readable;
	struct conn *conn;           /* PROBE_TCP */
	bool booked;                 /* PROBE_UDP: the next try has its place in the rates, at retry_ms */
	bool connected;
	struct reply *held;          /* odd */
	struct reply *result;        /* PROBE_OVER; NULL: out of memory */
	enum reply_outcome noise;    /* what came that was no answer, or REPLY_NONE; and `why` */
	struct why why;
};

struct prober {
	struct event_base *base;
	struct timers *timers;
	struct prober_limits limits;
	struct target *bucket[BUCKETS];
	size_t targets;
	TAILQ_HEAD(, target) ready;  /* whose turn is next first: fair among servers */
	TAILQ_HEAD(, probe) all;     /* waiting, under way, or over and not yet told */
	unsigned under_way;
	size_t pending;
	int64_t next_us;             /* as a target's, for rate_all */
	struct timer timer;
	bool pumping;
	struct msg_writer writer;
	uint8_t packet[MSG_MAX];
};

static void pump(struct prober *);

/* --- targets: who waits where ------------------------------------------------------ */

static struct target **bucket_of(struct prober *p, const struct net_addr *address)
{
	const uint8_t *bytes = address->sa.sa_family == AF_INET6 ? address->v6.sin6_addr.s6_addr : (const uint8_t *)&address->v4.sin_addr;
	size_t n = address->sa.sa_family == AF_INET6 ? 16 : 4;
	uint32_t hash = net_port(address);

	while (n--)
		hash = hash * 16777619u ^ *bytes++;
	return &p->bucket[(hash ^ hash >> 10) % BUCKETS];
}

static void target_turn(struct timer *);

static struct target *target_get(struct prober *p, const struct net_addr *address)
{
	struct target **bucket = bucket_of(p, address), *t;

	for (t = *bucket; t; t = t->next)
		if (net_addr_equal(&t->address, address))
			return t;
	t = calloc(1, sizeof *t);
	if (!t)
		return NULL;
	if (!timers_join(p->timers)) {
		free(t);
		return NULL;
	}
	t->prober = p;
	t->address = *address;
	t->timer.call = target_turn;
	TAILQ_INIT(&t->waiting);
	t->next = *bucket;
	*bucket = t;
	p->targets++;
	return t;
}

static void target_free(struct target *t)
{
	struct prober *p = t->prober;
	struct target **at = bucket_of(p, &t->address);

	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	timer_stop(p->timers, &t->timer);
	timers_leave(p->timers);
	p->targets--;
	free(t);
}

/* 0: it may be sent now; else ms until then. */
static int64_t wait_after(uint32_t rate, int64_t burst_us, int64_t next_us, int64_t now_us)
{
	if (!rate || next_us - burst_us <= now_us)
		return 0;
	return (next_us - burst_us - now_us) / 1000 + 1;
}

static int64_t rate_wait(uint32_t rate, int64_t next_us, int64_t now_us)
{
	return wait_after(rate, BURST_US, next_us, now_us);
}

/* What may be sent at once, in time, of all together. */
static int64_t burst_all(const struct prober_limits *limits)
{
	int64_t us = limits->gather && limits->rate_all ? GATHER * INT64_C(1000000) / limits->rate_all : 0;

	if (us > GATHER_US)
		us = GATHER_US;
	return us > BURST_US ? us : BURST_US;
}

static int64_t wait_all(const struct prober *p, int64_t now_us)
{
	return wait_after(p->limits.rate_all, burst_all(&p->limits), p->next_us, now_us);
}

static int64_t rate_spend(uint32_t rate, int64_t next_us, int64_t now_us)
{
	return rate ? (next_us > now_us ? next_us : now_us) + 1000000 / rate : 0;
}

/* Whether a target is in the list, has its timer set, or is gone, follows from what it has. */
static void target_settle(struct target *t)
{
	struct prober *p = t->prober;
	bool waits = !TAILQ_EMPTY(&t->waiting);
	int64_t wait = rate_wait(p->limits.rate, t->next_us, clock_us());
	bool ready = waits && !wait && t->running < p->limits.per_server;

	if (ready && !t->ready)
		TAILQ_INSERT_TAIL(&p->ready, t, ready_link);
	else if (!ready && t->ready)
		TAILQ_REMOVE(&p->ready, t, ready_link);
	t->ready = ready;
	if (wait && !t->timer.place)
		timer_set(p->timers, &t->timer, clock_ms() + wait);
	if (!waits && !wait && !t->running)
		target_free(t);
}

static void target_turn(struct timer *timer)
{
	struct target *t = (struct target *)((char *)timer - offsetof(struct target, timer));
	struct prober *p = t->prober;

	target_settle(t);
	pump(p);
}

/* --- a probe's end ------------------------------------------------------------------ */

static void close_udp(struct probe *q)
{
	if (q->fd < 0)
		return;
	event_del(&q->readable);
	close(q->fd);
	q->fd = -1;
}

/* Out of all lists; its target may be gone after that. */
static void release(struct probe *q)
{
	struct prober *p = q->prober;
	struct target *t = q->target;

	close_udp(q);
	conn_close(q->conn);
	timer_stop(p->timers, &q->timer);
	timers_leave(p->timers);
	if (q->state == PROBE_WAITS) {
		TAILQ_REMOVE(&t->waiting, q, waiting_link);
	} else {
		p->under_way--;
		t->running--;
	}
	TAILQ_REMOVE(&p->all, q, all_link);
	p->pending--;
	reply_free(q->held);
	reply_free(q->result);
	if (q->signing)
		tsig_release(&q->signing->tsig);
	free(q->signing);
	free(q);
	target_settle(t);
}

static void finish(struct probe *q)
{
	struct prober *p = q->prober;
	struct reply *result = q->result;
	probe_done *done = q->done;
	void *ctx = q->ctx;

	q->result = NULL;
	release(q);
	done(ctx, result);
	pump(p);
}

/* Something ended it; `done` is called from the loop. */
static void over(struct probe *q, struct reply *result)
{
	close_udp(q);
	conn_close(q->conn);
	q->conn = NULL;
	if (result)
		result->tcp = q->state == PROBE_TCP;
	q->result = result;
	q->state = PROBE_OVER;
	timer_set(q->prober->timers, &q->timer, 0);
}

static void over_without(struct probe *q, enum reply_outcome outcome, const struct why *why)
{
	struct reply *reply = reply_none(outcome, why);

	if (reply && q->state == PROBE_TCP && !q->ask.tcp)
		reply->tc = true;            /* what came over UDP was */
	over(q, reply);
}

static void over_in_vain(struct probe *q)
{
	if (q->noise == REPLY_NONE)
		over_without(q, REPLY_TIMEOUT, NULL);
	else
		over_without(q, q->noise, &q->why);
}

static int64_t deadline(const struct probe *q)
{
	return q->began_ms + q->time_ms;
}

/* --- the query ------------------------------------------------------------------------ */

static size_t compose(struct probe *q, uint16_t id, uint8_t out[QUERY_ROOM])
{
	enum { OPT_LENGTH = 11, OPT_VERSION = 6 };
	struct msg_writer *w = &q->prober->writer;
	const struct probe_ask *ask = &q->ask;
	uint16_t flags = (uint16_t)((ask->rd ? MSG_RD : 0) | (ask->cd ? MSG_CD : 0));
	size_t length;

	msg_start(w, out, QUERY_MAX, QUERY_MAX);
	msg_put_question(w, q->name, ask->type, ask->class);
	if (!ask->no_edns)
		msg_put_opt(w, MSG_UDP_MAX, 0, ask->do_bit, NULL, 0);
	length = msg_finish(w, id, flags);
	if (!ask->no_edns)
		out[length - OPT_LENGTH + OPT_VERSION] = ask->edns_version;
	return length;
}

/* How long it is then; 0: out of memory. */
static size_t sign(struct probe *q, uint8_t out[QUERY_ROOM], size_t length)
{
	struct signing *s = q->signing;
	struct wbuf message = wbuf_of(out, QUERY_ROOM);

	message.at += length;
	tsig_release(&s->tsig);
	s->tsig = (struct tsig){0};
	if (tsig_sign_request(&s->tsig, q->ask.key, &message, clock_unix()) != ERR_OK)
		return 0;
	s->length = q->state == PROBE_UDP ? wbuf_used(&message) : 0;
	memcpy(s->query, out, s->length);
	return wbuf_used(&message);
}

/* A try begins: an ID for it, and the time. 0: out of memory. */
static size_t write_query(struct probe *q, uint8_t out[QUERY_ROOM])
{
	const struct signing *s = q->signing;
	unsigned nth = q->tries++;
	size_t length;

	if (s && s->length && q->state == PROBE_UDP && nth) {
		length = s->length;
		memcpy(out, s->query, length);
		q->sent[nth].id = q->sent[0].id;
	} else {
		net_random(&q->sent[nth].id, sizeof q->sent[nth].id);
		length = compose(q, q->sent[nth].id, out);
		length = s ? sign(q, out, length) : length;
	}
	q->sent[nth].us = clock_us();
	return length;
}

static struct reply *not_believed(const struct probe *q, enum tsig_verdict verdict)
{
	char code[16];
	struct why why;

	if (verdict == TSIG_PEER_ERROR)
		err_why(&why, ERR_TSIG, "it refused our TSIG: %s", tsig_error_text(q->signing->tsig.peer_error, code));
	else
		err_why(&why, ERR_TSIG, "its answer's TSIG: %s", tsig_verdict_text(verdict == TSIG_UNSIGNED ? TSIG_MISSING : verdict));
	return reply_none(REPLY_GARBAGE, &why);
}

/* What is signed rightly is read without its signature. */
static struct reply *read_signed(struct probe *q, const uint8_t *message, size_t length, uint16_t id)
{
	enum { ARCOUNT = 10 };
	uint8_t *bare = q->prober->packet;
	size_t without;
	enum tsig_verdict verdict = tsig_verify_reply(&q->signing->tsig, message, length, clock_unix(), &without);

	if (verdict != TSIG_OK)
		return not_believed(q, verdict);
	memmove(bare, message, without);
	put_u16(bare + ARCOUNT, (uint16_t)(get_u16(bare + ARCOUNT) - 1));
	return reply_read(bare, without, id, q->name, q->ask.type, q->ask.class);
}

static struct reply *read_reply(struct probe *q, const uint8_t *message, size_t length)
{
	unsigned nth = q->tries ? q->tries - 1 : 0;
	struct reply *reply;

	while (length >= 2 && nth > 0 && q->sent[nth].id != get_u16(message))
		nth--;
	if (q->signing)
		reply = read_signed(q, message, length, q->sent[nth].id);
	else
		reply = reply_read(message, length, q->sent[nth].id, q->name, q->ask.type, q->ask.class);
	if (reply)
		reply->rtt_us = (uint32_t)(clock_us() - q->sent[nth].us);
	return reply;
}

/* --- the rates ---------------------------------------------------------------------------- */

static void spend(struct probe *q, int64_t now_us)
{
	struct prober *p = q->prober;

	q->target->next_us = rate_spend(p->limits.rate, q->target->next_us, now_us);
	p->next_us = rate_spend(p->limits.rate_all, p->next_us, now_us);
}

/* For one more connection, which does not wait: what comes after it does. */
static void spend_again(struct probe *q)
{
	spend(q, clock_us());
	target_settle(q->target);
}

static int64_t longer(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* Until the next try: where many are under way they leave half of a rate to what waits. */
static int64_t pause_ms(const struct probe *q)
{
	const struct prober_limits *limits = &q->prober->limits;
	int64_t pause = longer(q->time_ms / TRIES_SHARE, TRIES_PAUSE_MS);

	if (limits->rate)
		pause = longer(pause, 2000 * (int64_t)q->target->running / limits->rate);
	if (limits->rate_all)
		pause = longer(pause, 2000 * (int64_t)q->prober->under_way / limits->rate_all);
	return pause;
}

/* The next try gets its place behind all that was sent; a place that comes too late is not taken. */
static void book(struct probe *q, int64_t now_ms)
{
	const struct prober *p = q->prober;
	int64_t now_us = clock_us();

	q->retry_ms = now_ms + longer(rate_wait(p->limits.rate, q->target->next_us, now_us), wait_all(p, now_us));
	if (q->retry_ms >= deadline(q))
		return;
	q->booked = true;
	spend(q, now_us);
	target_settle(q->target);
}

static void open_tcp(struct probe *);

static void tcp_connected(struct conn *conn, void *owner)
{
	struct probe *q = owner;
	uint8_t frame[2 + QUERY_ROOM];
	size_t length = write_query(q, frame + 2);

	if (!length) {
		over(q, NULL);
		return;
	}
	q->connected = true;
	put_u16(frame, (uint16_t)length);
	conn_write(conn, frame, 2 + length);
}

static size_t tcp_data(struct conn *conn, struct rbuf bytes, void *owner)
{
	struct probe *q = owner;
	struct rbuf message;

	(void)conn;
	if (!frame_next(&bytes, &message))
		return 0;
	over(q, read_reply(q, message.at, rbuf_left(&message)));
	return rbuf_pos(&bytes);
}

static void tcp_ended(struct conn *conn, enum err err, const struct why *why, void *owner)
{
	struct probe *q = owner;
	bool refused = err == ERR_NETWORK && !q->connected;

	conn_close(conn);
	q->conn = NULL;
	if (err == ERR_TIMEOUT || err == ERR_SLOW)
		over_without(q, REPLY_TIMEOUT, why);
	else if (err == ERR_TLS)
		over_without(q, REPLY_GARBAGE, why);
	else if (refused)
		over_without(q, REPLY_UNREACHABLE, why);
	else if (q->connections < CONNECTIONS) {
		spend_again(q);
		open_tcp(q);
	} else
		over_without(q, REPLY_CLOSED, why);
}

static void open_tcp(struct probe *q)
{
	static const struct conn_handlers handlers = {.connected = tcp_connected, .data = tcp_data, .ended = tcp_ended};
	struct event_base *base = q->prober->base;
	struct conn_times times = {.connect_ms = q->time_ms, .idle_ms = q->time_ms};
	struct why why = {""};

	q->state = PROBE_TCP;
	q->connected = false;
	q->connections++;
	if (q->ask.tls)
		q->conn = conn_open_tls(base, &q->ask.to, times, q->ask.tls, &handlers, q, &why);
	else
		q->conn = conn_open(base, &q->ask.to, times, &handlers, q, &why);
	if (!q->conn)
		over_without(q, REPLY_UNREACHABLE, &why);
	else
		timer_set(q->prober->timers, &q->timer, deadline(q));
}

/* --- over UDP ----------------------------------------------------------------------------- */

static void note_noise(struct probe *q, enum reply_outcome outcome, const struct why *why)
{
	q->noise = outcome;
	q->why = *why;
}

static void arm_udp(struct probe *q)
{
	int64_t due = deadline(q);

	if (q->tries < TRIES && q->retry_ms < due)
		due = q->retry_ms;
	if (q->held && q->held_until_ms < due)
		due = q->held_until_ms;
	timer_set(q->prober->timers, &q->timer, due);
}

/* A refusal may be of the moment (a server that starts anew): it is asked again, but soon. */
static void refused(struct probe *q, int number)
{
	struct why why;
	char text[NET_ADDR_TEXT];

	err_why(&why, ERR_NETWORK, "%s: %s", net_addr_text(&q->ask.to, 53, text), strerror(number));
	note_noise(q, REPLY_UNREACHABLE, &why);
	if (++q->refusals >= REFUSALS && !q->held) {
		over_in_vain(q);
		return;
	}
	if (!q->booked)
		q->retry_ms = clock_ms() + REFUSED_PAUSE_MS;
	arm_udp(q);
}

static void send_udp(struct probe *q)
{
	uint8_t query[QUERY_ROOM];
	size_t length = write_query(q, query);
	ssize_t sent;

	if (!length) {
		over(q, NULL);
		return;
	}
	q->booked = false;
	q->retry_ms = clock_ms() + pause_ms(q);
	sent = sendto(q->fd, query, length, 0, &q->ask.to.sa, net_addr_len(&q->ask.to));
	if (sent < 0 && errno == ECONNREFUSED)       /* of the packet before */
		sent = sendto(q->fd, query, length, 0, &q->ask.to.sa, net_addr_len(&q->ask.to));
	if (sent >= 0 || errno == EAGAIN || errno == ENOBUFS)
		arm_udp(q);
	else
		refused(q, errno);
}

static void accept_udp(struct probe *q, struct reply *reply)
{
	if (!reply->tc || !q->ask.follow) {
		over(q, reply);
		return;
	}
	reply_free(reply);
	close_udp(q);
	reply_free(q->held);
	q->held = NULL;
	q->tries = 0;            /* of the connection */
	spend_again(q);
	open_tcp(q);
}

/* The first that came from elsewhere counts. */
static void hold(struct probe *q, struct reply *reply, const struct net_addr *from)
{
	if (q->held || reply->bare) {
		reply_free(reply);
		return;
	}
	reply->odd = true;
	reply->odd_from = *from;
	q->held = reply;
	q->held_until_ms = clock_ms() + q->time_ms / ODD_SHARE;
	arm_udp(q);
}

static void take_packet(struct probe *q, const uint8_t *packet, size_t length, const struct net_addr *from)
{
	struct reply *reply = read_reply(q, packet, length);

	if (!reply)
		over(q, NULL);
	else if (reply->outcome == REPLY_OK && net_addr_equal(from, &q->ask.to))
		accept_udp(q, reply);
	else if (reply->outcome == REPLY_OK)
		hold(q, reply, from);
	else {
		if (net_addr_equal(from, &q->ask.to))        /* from elsewhere it says nothing of the server */
			note_noise(q, REPLY_GARBAGE, &reply->why);
		reply_free(reply);
	}
}

static void udp_readable(evutil_socket_t fd, short what, void *owner)
{
	struct probe *q = owner;
	struct prober *p = q->prober;

	(void)what;
	for (unsigned i = 0; i < PACKETS_TURN && q->state == PROBE_UDP; i++) {
		struct sockaddr_storage raw;
		socklen_t size = sizeof raw;
		ssize_t got = recvfrom(fd, p->packet, sizeof p->packet, 0, (struct sockaddr *)&raw, &size);
		int number = errno;
		struct net_addr from;

		if (got < 0) {
			net_drain_errors(fd);
			if (number != EAGAIN && number != EINTR)
				refused(q, number);
			return;
		}
		from = net_addr_of((struct sockaddr *)&raw);
		take_packet(q, p->packet, (size_t)got, &from);
	}
	if (q->state == PROBE_OVER)
		finish(q);
}

static void open_udp(struct probe *q)
{
	struct why why = {""};

	q->state = PROBE_UDP;
	q->fd = net_open_udp(&q->ask.to, &why);
	if (q->fd < 0) {
		over_without(q, REPLY_NONE, &why);
		return;
	}
	event_assign(&q->readable, q->prober->base, q->fd, EV_READ | EV_PERSIST, udp_readable, q);
	event_add(&q->readable, NULL);
	send_udp(q);
}

/* --- whose turn it is ---------------------------------------------------------------------- */

static void held_wins(struct probe *q)
{
	struct reply *held = q->held;

	q->held = NULL;
	accept_udp(q, held);
}

static void udp_turn(struct probe *q, int64_t now)
{
	if (q->held && now >= q->held_until_ms) {
		held_wins(q);
		return;
	}
	if (now >= deadline(q)) {
		over_in_vain(q);
		return;
	}
	if (q->tries < TRIES && now >= q->retry_ms && !q->booked)
		book(q, now);
	if (q->tries < TRIES && now >= q->retry_ms)
		send_udp(q);
	else
		arm_udp(q);
}

static void probe_turn(struct timer *timer)
{
	struct probe *q = (struct probe *)((char *)timer - offsetof(struct probe, timer));

	switch (q->state) {
	case PROBE_WAITS:
		return;
	case PROBE_OVER:
		finish(q);
		return;
	case PROBE_TCP:
		over_in_vain(q);
		return;
	case PROBE_UDP:
		udp_turn(q, clock_ms());
	}
}

static void start(struct probe *q, int64_t now_us)
{
	struct prober *p = q->prober;
	struct target *t = q->target;

	TAILQ_REMOVE(&t->waiting, q, waiting_link);
	p->under_way++;
	t->running++;
	spend(q, now_us);
	q->began_ms = clock_ms();
	q->time_ms = p->limits.timeout_ms;
	if (q->ask.tcp)
		open_tcp(q);
	else
		open_udp(q);
}

static void pump(struct prober *p)
{
	struct target *t;
	int64_t now, wait = 0;

	if (p->pumping || (p->limits.gather && p->timer.place))
		return;
	p->pumping = true;
	while (p->under_way < p->limits.under_way && (t = TAILQ_FIRST(&p->ready))) {
		now = clock_us();
		wait = wait_all(p, now);
		if (wait)
			break;
		TAILQ_REMOVE(&p->ready, t, ready_link);
		t->ready = false;    /* to the end of the list, if at all */
		start(TAILQ_FIRST(&t->waiting), now);
		target_settle(t);
	}
	if (wait && p->limits.gather)
		wait = longer(wait, burst_all(&p->limits) / 1000);
	if (wait && !p->timer.place)
		timer_set(p->timers, &p->timer, clock_ms() + wait);
	p->pumping = false;
}

static void prober_turn(struct timer *timer)
{
	pump((struct prober *)((char *)timer - offsetof(struct prober, timer)));
}

/* Its place among all, and where it goes. False: out of memory, and nothing is held. */
static bool join(struct prober *p, struct probe *q)
{
	const struct probe_ask *ask = &q->ask;

	if (!timers_join(p->timers))
		return false;
	q->target = target_get(p, &ask->to);
	q->signing = q->target && ask->key ? calloc(1, sizeof *q->signing) : NULL;
	if (q->target && (q->signing || !ask->key))
		return true;
	timers_leave(p->timers);
	if (q->target)
		target_settle(q->target);
	return false;
}

struct probe *probe_send(struct prober *p, const struct probe_ask *ask, probe_done *done, void *ctx)
{
	struct probe *q = calloc(1, sizeof *q);

	if (!q)
		return NULL;
	q->prober = p;
	q->ask = *ask;
	name_copy(ask->name, q->name);
	q->ask.name = q->name;
	q->ask.tcp = ask->tcp || ask->type == RR_AXFR || ask->tls;
	q->ask.class = ask->class ? ask->class : CLASS_IN;
	q->done = done;
	q->ctx = ctx;
	q->fd = -1;
	q->timer.call = probe_turn;
	if (!join(p, q)) {
		free(q);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&q->target->waiting, q, waiting_link);
	TAILQ_INSERT_TAIL(&p->all, q, all_link);
	p->pending++;
	target_settle(q->target);
	pump(p);
	return q;
}

void probe_cancel(struct probe *q)
{
	struct prober *p;

	if (!q)
		return;
	p = q->prober;
	release(q);
	pump(p);
}

/* --- the prober ------------------------------------------------------------------------------ */

static struct prober_limits filled_in(struct prober_limits limits)
{
	if (!limits.under_way)
		limits.under_way = 256;
	if (!limits.per_server)
		limits.per_server = 32;
	if (!limits.timeout_ms)
		limits.timeout_ms = 5000;
	return limits;
}

struct prober *prober_new(struct event_base *base, struct prober_limits limits)
{
	struct prober *p = calloc(1, sizeof *p);

	if (!p)
		return NULL;
	p->base = base;
	p->limits = filled_in(limits);
	p->timers = timers_new(base, clock_ms);
	p->timer.call = prober_turn;
	TAILQ_INIT(&p->ready);
	TAILQ_INIT(&p->all);
	msg_writer_zero(&p->writer);
	if (!p->timers || !timers_join(p->timers)) {
		timers_free(p->timers);
		free(p);
		return NULL;
	}
	return p;
}

void prober_free(struct prober *p)
{
	if (!p)
		return;
	p->pumping = true;           /* nothing is begun any more */
	while (!TAILQ_EMPTY(&p->all))
		probe_cancel(TAILQ_FIRST(&p->all));
	for (unsigned i = 0; i < BUCKETS; i++)
		while (p->bucket[i])
			target_free(p->bucket[i]);
	timer_stop(p->timers, &p->timer);
	timers_free(p->timers);
	free(p);
}

struct prober_limits prober_limits_of(const struct prober *p)
{
	return p->limits;
}

void prober_set_limits(struct prober *p, struct prober_limits limits)
{
	p->limits = filled_in(limits);
	pump(p);
}

size_t prober_pending(const struct prober *p)
{
	return p->pending;
}
