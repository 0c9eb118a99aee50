#include "serve/tcp.h"

#include "base/clock.h"
#include "base/conn.h"
#include "base/log.h"
#include "dns/frame.h"
#include "dns/rrtext.h"
#include "serve/crowd.h"
#include "serve/outgoing.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <unistd.h>

enum {
	ACCEPTS_MAX = 64,            /* of one wake-up */
	ACCEPT_PAUSE_MS = 100,       /* where there are no descriptors left, and nobody to take one from */
	REQUESTS_MAX = 128,          /* of one connection, before others get their turn */
	UNSENT_MAX = 64 << 10,       /* octets that a client has not read: until it does, no more is answered */
	TRANSFER_TURN = 64 << 10,    /* octets of a transfer made at once */
	INPUT_MAX = 68 << 10,        /* octets of requests that are kept: one of the greatest size, and a little */
	TAKE_TIMES = 3,              /* idle times, to take what was asked for */
	REFUSALS_LOGGED = 5,         /* in a second, by one thread */
	TOGETHER = 64,               /* requests, and clients, that are looked at together */
};
_Static_assert((int)TOGETHER <= (int)TREE_AHEAD_MAX, "they are looked up together");

struct client {
	struct crowd_member member;
	LIST_ENTRY(client) link;
	struct tcp *tcp;
	struct conn *conn;
	struct outgoing *outgoing;   /* the transfer under way, or NULL; requests behind it wait */
	enum tcp_kind kind;
	bool secure;                 /* TCP_TLS, and the handshake is done */
	const char *no_transfer;     /* struct answer_request */
	const struct tls_shown *shown;
	bool all_written;            /* the transfer's last message is in the queue */
	bool waiting;                /* for the client to read what it asked for */
	bool closing;                /* what is queued still goes out, then it ends */
	unsigned place;              /* among those that are held, 0: it is not; else one more */
	int64_t began_ms;            /* the transfer */
};
LIST_HEAD(client_list, client);

struct listener {
	struct listener *next;
	struct tcp *tcp;
	int fd;
	enum tcp_kind kind;
	struct event acceptable;
};

struct tcp {
	struct event_base *base;
	struct listener *listeners;
	struct event resume;
	struct answer *answer;
	const struct serve_settings_box *settings;
	struct tcp_limits limits;
	struct client_list clients;
	struct crowd *crowd;         /* the same clients, by whose they are */
	uint8_t frame[2 + MSG_MAX];  /* a message with its length, on its way into a queue */
	/* Requests that came in one turn of the loop are held until it is over, and found together. */
	struct event turn_over;
	struct client *held[TOGETHER];       /* NULL: gone meanwhile */
	unsigned held_count;
	bool answering;              /* it is over */
	struct answer_request request[TOGETHER];
	struct answer_work work[TOGETHER];
	unsigned found, next;        /* requests with work done, and the first of those that are not answered yet */
	int64_t refusals_ms;         /* when the second of the following began */
	unsigned refusals, refusals_left_out;
};

static void write_frame(struct client *client, size_t length)
{
	uint8_t *frame = client->tcp->frame;

	put_u16(frame, (uint16_t)length);
	conn_write(client->conn, frame, 2 + length);
}

/* --- transfers ------------------------------------------------------------------------- */

/* The one line of a transfer. `failure` NULL: it went well. */
static void log_transfer(const struct client *client, const char *failure)
{
	struct outgoing_sum sum = outgoing_sum(client->outgoing);
	char name[NAME_TEXT_SIZE], address[NET_ADDR_TEXT];
	int64_t ms = clock_ms() - client->began_ms;
	struct log log;

	log_begin(&log, failure ? LOG_LEVEL_NOTICE : LOG_LEVEL_INFO, "transfer-out");
	log_str(&log, "zone", name_text(sum.zone, name));
	log_str(&log, "client", net_addr_text(conn_peer(client->conn), 0, address));
	log_str(&log, "key", sum.key ? name_text(sum.key, name) : "none");
	log_str(&log, "type", sum.type == RR_AXFR ? "AXFR" : "IXFR");
	log_str(&log, "sent", (const char *[]){"zone", "steps", "soa"}[sum.style]);
	log_str(&log, "over", client->secure ? "TLS" : "TCP");
	log_int(&log, "serial", sum.serial.v);
	log_int(&log, "messages", (int64_t)sum.messages);
	log_int(&log, "records", (int64_t)sum.records);
	log_int(&log, "bytes", (int64_t)sum.bytes);
	log_seconds(&log, "seconds", ms);
	log_str(&log, "outcome", failure ? "failed" : "done");
	log_str(&log, "reason", failure);
	log_end(&log);
}

static void end_transfer(struct client *client, const char *failure)
{
	struct serve_counters *counters = client->tcp->answer->counters;
	struct outgoing_sum sum = outgoing_sum(client->outgoing);

	log_transfer(client, failure);
	if (failure)
		counters->transfers_out_failed++;
	else if (sum.type == RR_AXFR)
		counters->axfr_out++;
	else
		counters->ixfr_out++;
	if (!failure && sum.type == RR_IXFR && sum.style == OUTGOING_WHOLE)
		counters->ixfr_out_whole++;
	outgoing_free(client->outgoing);
	client->outgoing = NULL;
}

static void drop(struct client *client, const char *reason)
{
	struct tcp *tcp = client->tcp;

	if (client->outgoing)
		end_transfer(client, reason);
	if (client->place)
		tcp->held[client->place - 1] = NULL;
	LIST_REMOVE(client, link);
	crowd_leave(tcp->crowd, &client->member);
	conn_close(client->conn);
	free(client);
}

/* False: the client is gone. */
static bool continue_transfer(struct client *client)
{
	uint32_t limit = client->tcp->limits.transfer_ms;
	uint8_t *message = client->tcp->frame + 2;
	size_t written = 0, length;
	struct why why;

	if (limit && clock_ms() - client->began_ms >= limit) {
		client->tcp->answer->counters->tcp_slow++;
		drop(client, "it takes longer than limits.transfer-time");
		return false;
	}
	while (!client->all_written && written < TRANSFER_TURN) {
		enum outgoing_step step = outgoing_next(client->outgoing, clock_unix(), message, &length, &why);

		if (step == OUTGOING_FAILED) {
			drop(client, why.text);
			return false;
		}
		write_frame(client, length);
		written += length;
		client->all_written = step == OUTGOING_LAST;
	}
	return true;
}

static struct conn_times times_of(const struct tcp_limits *limits, bool transfer)
{
	uint32_t idle = transfer && limits->transfer_idle_ms ? limits->transfer_idle_ms : limits->idle_ms;

	return (struct conn_times){
		.connect_ms = limits->idle_ms, .idle_ms = idle, .input_ms = limits->idle_ms,
		.output_ms = transfer ? idle : idle < UINT32_MAX / TAKE_TIMES ? TAKE_TIMES * idle : idle,
	};
}

static void begin_transfer(struct client *client, struct answer_transfer *transfer)
{
	client->outgoing = outgoing_new(transfer);
	if (!client->outgoing)
		return;
	client->all_written = false;
	client->began_ms = clock_ms();
	crowd_busy(client->tcp->crowd, &client->member, true);
	conn_reading(client->conn, false);
	conn_set_times(client->conn, times_of(&client->tcp->limits, true));
}

/* --- requests ---------------------------------------------------------------------------- */

struct now { uint64_t unix_s; int64_t ms; };

static struct answer_request request_of(const struct client *client, const struct now *now, struct rbuf message)
{
	return (struct answer_request){
		.bytes = message.at, .length = rbuf_left(&message), .from = *conn_peer(client->conn), .tcp = true,
		.idle_ms = client->tcp->limits.idle_ms, .now = now->unix_s, .now_ms = now->ms,
		.secure = client->secure, .no_transfer = client->no_transfer, .shown = client->shown,
	};
}

/* What was found for the request at `bytes` when the turn was over, or NULL. */
static const struct answer_work *work_of(struct tcp *tcp, const uint8_t *bytes)
{
	for (unsigned i = tcp->next; i < tcp->found; i++)
		if (tcp->request[i].bytes == bytes) {
			tcp->next = i + 1;
			return &tcp->work[i];
		}
	return NULL;
}

/* False: the connection is of no use any more. */
static bool answer_one(struct client *client, const struct serve_settings *settings, const struct now *now, struct rbuf message)
{
	struct tcp *tcp = client->tcp;
	struct answer_request in = request_of(client, now, message);
	const struct answer_work *work = work_of(tcp, message.at);
	struct answer_transfer transfer;
	enum answer_action action;
	size_t length;

	action = work ? answer_reply(tcp->answer, settings, &in, work, tcp->frame + 2, &length, &transfer) :
		answer(tcp->answer, settings, &in, tcp->frame + 2, &length, &transfer);
	switch (action) {
	case ANSWER_SEND:
		write_frame(client, length);
		return true;
	case ANSWER_TRANSFER:
		begin_transfer(client, &transfer);
		return client->outgoing != NULL;
	case ANSWER_DROP:
		break;
	}
	return false;
}

/* Answers what there is, up to a transfer, to a queue that is too long, or to what one turn may have. False: the
 * connection is of no use. */
static bool answer_many(struct client *client, struct rbuf *bytes)
{
	const struct now now = {clock_unix(), clock_coarse_ms()};
	const struct serve_settings *settings;
	unsigned requests = 0;
	struct rbuf message;
	bool good = true;

	store_enter();
	settings = serve_settings_get(client->tcp->settings);
	while (good && !client->outgoing && requests < REQUESTS_MAX && conn_unsent(client->conn) <= UNSENT_MAX &&
	       frame_next(bytes, &message)) {
		good = answer_one(client, settings, &now, message);
		requests++;
	}
	store_leave();
	if (client->secure)
		client->tcp->answer->counters->queries_tls += requests;
	if (requests > 0)
		crowd_touch(client->tcp->crowd, &client->member);
	return good;
}

/* The answers before still go out. */
static void close_politely(struct client *client)
{
	if (conn_unsent(client->conn) == 0) {
		drop(client, NULL);
		return;
	}
	client->closing = true;
	conn_reading(client->conn, false);
}

/* --- the turn of the loop --------------------------------------------------------------- */

static void hold(struct client *client)
{
	static const struct timeval now = {0, 0};
	struct tcp *tcp = client->tcp;

	conn_hold(client->conn);
	tcp->held[tcp->held_count++] = client;
	client->place = tcp->held_count;
	if (tcp->held_count == 1)
		event_add(&tcp->turn_over, &now);
}

static void find_held(struct tcp *tcp)
{
	const struct now now = {clock_unix(), clock_coarse_ms()};
	unsigned share = TOGETHER / tcp->held_count;

	for (unsigned i = 0; i < tcp->held_count; i++) {
		struct rbuf bytes = tcp->held[i] ? conn_held(tcp->held[i]->conn) : rbuf_of(NULL, 0), message;

		for (unsigned n = 0; n < share && frame_next(&bytes, &message); n++) {
			tcp->request[tcp->found] = request_of(tcp->held[i], &now, message);
			answer_read(&tcp->work[tcp->found], &tcp->request[tcp->found]);
			tcp->found++;
		}
	}
	answer_find(tcp->answer, serve_settings_get(tcp->settings), tcp->work, tcp->found);
}

/* Those that a reload has brought. */
static void take_limits(struct tcp *tcp, const struct serve_settings *settings)
{
	unsigned share = tcp->limits.share;

	if (settings->tcp.clients == 0)
		return;
	tcp->limits = settings->tcp;
	tcp->limits.share = share;
}

static void on_turn_over(evutil_socket_t fd, short what, void *arg)
{
	struct tcp *tcp = arg;

	(void)fd, (void)what;
	store_enter();
	take_limits(tcp, serve_settings_get(tcp->settings));
	find_held(tcp);
	tcp->answering = true;
	for (unsigned i = 0; i < tcp->held_count; i++) {
		struct client *client = tcp->held[i];

		if (!client)
			continue;
		client->place = 0;
		conn_show(client->conn);
	}
	tcp->answering = false;
	tcp->held_count = tcp->found = tcp->next = 0;
	store_leave();
}

static size_t on_data(struct conn *conn, struct rbuf bytes, void *owner)
{
	struct client *client = owner;
	struct rbuf left = bytes, message;

	if (!client->tcp->answering && client->tcp->held_count < TOGETHER && frame_next(&left, &message)) {
		hold(client);
		return 0;
	}
	if (!answer_many(client, &bytes)) {
		close_politely(client);
		return 0;
	}
	if (client->outgoing)
		return continue_transfer(client) ? rbuf_pos(&bytes) : 0;
	left = bytes;
	if (conn_unsent(conn) > UNSENT_MAX) {
		client->waiting = true;
		conn_reading(conn, false);
	} else if (frame_next(&left, &message)) {
		/* The turn is over: what is left is shown again when the others have had theirs. */
		conn_reading(conn, false);
		conn_reading(conn, true);
	}
	return rbuf_pos(&bytes);
}

static void on_drained(struct conn *conn, void *owner)
{
	struct client *client = owner;

	if (client->closing) {
		drop(client, NULL);
	} else if (client->outgoing && !client->all_written) {
		continue_transfer(client);
	} else if (client->outgoing) {
		end_transfer(client, NULL);
		conn_set_times(conn, times_of(&client->tcp->limits, false));
		crowd_busy(client->tcp->crowd, &client->member, false);
		conn_reading(conn, true);
	} else if (client->waiting) {
		client->waiting = false;
		conn_reading(conn, true);
	}
}

/* Whether one more line may be written about a client that was refused. */
static bool may_log_refusal(struct tcp *tcp)
{
	int64_t now = clock_coarse_ms();

	if (now - tcp->refusals_ms >= 1000) {
		tcp->refusals_ms = now;
		tcp->refusals = 0;
	}
	if (tcp->refusals < REFUSALS_LOGGED) {
		tcp->refusals++;
		return true;
	}
	tcp->refusals_left_out++;
	return false;
}

/* Who comes to nothing by itself, as those who look for open ports do, is no news. */
static void no_handshake(const struct client *client, enum err err, const char *reason)
{
	struct tcp *tcp = client->tcp;
	bool refused = err == ERR_TLS;
	char address[NET_ADDR_TEXT];
	struct log log;

	tcp->answer->counters->tls_failed++;
	if (!log_wants(LOG_LEVEL_DEBUG) && (!refused || !may_log_refusal(tcp)))
		return;
	log_begin(&log, refused ? LOG_LEVEL_NOTICE : LOG_LEVEL_DEBUG, "tls-failed");
	log_str(&log, "client", net_addr_text(conn_peer(client->conn), 0, address));
	log_str(&log, "reason", reason);
	if (tcp->refusals_left_out > 0)
		log_int(&log, "left-out", tcp->refusals_left_out);
	log_end(&log);
	tcp->refusals_left_out = 0;
}

static void on_secure(struct conn *conn, void *owner)
{
	struct client *client = owner;
	struct serve_counters *counters = client->tcp->answer->counters;
	struct tls_facts facts = conn_tls_facts(conn);

	client->secure = true;
	client->shown = conn_tls_shown(conn);
	counters->tls_accepted++;
	counters->tls_resumed += facts.resumed;
	if (facts.client_wanted && !facts.client_verified)
		client->no_transfer = "the client has shown no certificate";
	else if (!facts.version_1_3 || !facts.alpn)
		client->no_transfer = "a transfer needs TLS 1.3 and ALPN \"dot\"";
}

static void on_ended(struct conn *conn, enum err err, const struct why *why, void *owner)
{
	struct client *client = owner;

	(void)conn;
	if (client->kind == TCP_TLS && !client->secure)
		no_handshake(client, err, err_say(why, err));
	else if (err == ERR_TIMEOUT)
		client->tcp->answer->counters->tcp_timeouts++;
	else if (err == ERR_SLOW)
		client->tcp->answer->counters->tcp_slow++;
	drop(client, err_say(why, err));
}

static const struct conn_handlers client_handlers = {.connected = on_secure, .data = on_data, .drained = on_drained, .ended = on_ended};

/* --- connections ------------------------------------------------------------------------------- */

/* Makes room for one more, of `newcomer` if that is known. */
static bool evict(struct tcp *tcp, const struct net_addr *newcomer)
{
	struct crowd_member *member;
	enum crowd_verdict verdict = crowd_weakest(tcp->crowd, newcomer, &member);

	if (verdict == CROWD_NONE)
		return false;
	tcp->answer->counters->tcp_rejected++;
	tcp->answer->counters->tcp_limited += verdict == CROWD_LARGEST;
	drop((struct client *)((char *)member - offsetof(struct client, member)), "another client needs the place");
	return true;
}

/* Takes `fd`, also when it fails (NULL). */
static struct conn *take_conn(struct client *client, int fd, const struct net_addr *peer)
{
	struct tcp *tcp = client->tcp;
	struct conn_times times = times_of(&tcp->limits, false);
	struct tls_server *server;
	struct conn *conn = NULL;

	if (client->kind == TCP_PLAIN)
		return conn_accept(tcp->base, fd, peer, times, &client_handlers, client);
	store_enter();
	server = serve_settings_get(tcp->settings)->tls;
	if (server)
		conn = conn_accept_tls(tcp->base, fd, peer, times, server, &client_handlers, client);
	else
		close(fd);
	store_leave();
	return conn;
}

static unsigned clients_max(const struct tcp_limits *limits)
{
	unsigned each = limits->share ? limits->clients / limits->share : limits->clients;

	return each ? each : 1;
}

/* Takes `fd`. */
static void add_client(struct listener *listener, int fd, const struct sockaddr *peer)
{
	struct tcp *tcp = listener->tcp;
	struct net_addr addr = net_addr_of(peer);
	struct client *client;

	if (crowd_count(tcp->crowd) >= clients_max(&tcp->limits) && !evict(tcp, &addr)) {
		tcp->answer->counters->tcp_rejected++;
		close(fd);
		return;
	}
	client = calloc(1, sizeof *client);
	if (!client) {
		close(fd);
		return;
	}
	client->tcp = tcp;
	client->kind = listener->kind;
	client->conn = take_conn(client, fd, &addr);
	if (!client->conn || crowd_join(tcp->crowd, &client->member, &addr)) {
		conn_close(client->conn);
		free(client);
		return;
	}
	conn_bound_input(client->conn, INPUT_MAX);
	LIST_INSERT_HEAD(&tcp->clients, client, link);
	tcp->answer->counters->tcp_accepted++;
}

static void pause_accepting(struct tcp *tcp)
{
	static const struct timeval pause = {0, ACCEPT_PAUSE_MS * 1000};

	for (struct listener *l = tcp->listeners; l; l = l->next)
		event_del(&l->acceptable);
	event_add(&tcp->resume, &pause);
}

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
	struct tcp *tcp = arg;

	(void)fd, (void)what;
	for (struct listener *l = tcp->listeners; l; l = l->next)
		event_add(&l->acceptable, NULL);
}

static void on_acceptable(evutil_socket_t fd, short what, void *arg)
{
	struct listener *listener = arg;
	struct tcp *tcp = listener->tcp;

	(void)what;
	store_enter();
	take_limits(tcp, serve_settings_get(tcp->settings));
	store_leave();
	for (int i = 0; i < ACCEPTS_MAX; i++) {
		struct sockaddr_storage peer = {0};
		socklen_t length = sizeof peer;
		int client = accept4(fd, (struct sockaddr *)&peer, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (client >= 0) {
			add_client(listener, client, (struct sockaddr *)&peer);
		} else if (errno == EAGAIN || errno == EWOULDBLOCK) {
			return;
		} else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			if (!evict(tcp, NULL)) {
				pause_accepting(tcp);
				return;
			}
		}
	}
}

enum err tcp_listen(struct tcp *tcp, int fd, enum tcp_kind kind)
{
	struct listener *listener = malloc(sizeof *listener);

	if (!listener) {
		close(fd);
		return ERR_NOMEM;
	}
	*listener = (struct listener){.next = tcp->listeners, .tcp = tcp, .fd = fd, .kind = kind};
	tcp->listeners = listener;
	event_assign(&listener->acceptable, tcp->base, fd, EV_READ | EV_PERSIST, on_acceptable, listener);
	event_add(&listener->acceptable, NULL);
	return ERR_OK;
}

static void listener_free(struct listener *listener)
{
	event_del(&listener->acceptable);
	close(listener->fd);
	free(listener);
}

static bool is_among(const struct listener *listener, const struct net_addr *addresses, size_t count)
{
	struct sockaddr_storage local = {0};
	socklen_t length = sizeof local;
	struct net_addr at;

	if (getsockname(listener->fd, (struct sockaddr *)&local, &length) < 0)
		return false;
	at = net_addr_of((struct sockaddr *)&local);
	for (size_t i = 0; i < count; i++)
		if (net_addr_equal(&addresses[i], &at))
			return true;
	return false;
}

void tcp_keep_tls(struct tcp *tcp, const struct net_addr *addresses, size_t count)
{
	struct listener **at = &tcp->listeners, *listener;

	while ((listener = *at)) {
		if (listener->kind != TCP_TLS || is_among(listener, addresses, count)) {
			at = &listener->next;
			continue;
		}
		*at = listener->next;
		listener_free(listener);
	}
}

struct tcp *tcp_new(struct event_base *base, int fd, struct answer *answer, const struct serve_settings_box *settings,
	struct tcp_limits limits)
{
	struct tcp *tcp = calloc(1, sizeof *tcp);

	if (!tcp) {
		close(fd);
		return NULL;
	}
	tcp->base = base;
	tcp->answer = answer;
	tcp->settings = settings;
	tcp->limits = limits;
	LIST_INIT(&tcp->clients);
	tcp->crowd = crowd_new();
	event_assign(&tcp->resume, base, -1, 0, on_resume, tcp);
	event_assign(&tcp->turn_over, base, -1, 0, on_turn_over, tcp);
	if (!tcp->crowd) {
		close(fd);
	} else if (tcp_listen(tcp, fd, TCP_PLAIN) == ERR_OK) {
		return tcp;
	}
	crowd_free(tcp->crowd);
	free(tcp);
	return NULL;
}

void tcp_free(struct tcp *tcp)
{
	if (!tcp)
		return;
	while (!LIST_EMPTY(&tcp->clients))
		drop(LIST_FIRST(&tcp->clients), "the server stops");
	crowd_free(tcp->crowd);
	while (tcp->listeners) {
		struct listener *listener = tcp->listeners;

		tcp->listeners = listener->next;
		listener_free(listener);
	}
	event_del(&tcp->resume);
	event_del(&tcp->turn_over);
	free(tcp);
}
