#include "base/conn.h"

#include "base/clock.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	BUFFER_SMALL = 4096,         /* what an idle connection keeps */
	INPUT_MAX = 256 << 10,       /* a message of 65,537 octets and much of the next, unless the owner wants less */
	TURN_MAX = 256 << 10,        /* octets in or out for one connection before the loop sees to the others */
	OUTPUT_CORK = 64 << 10,      /* inside a handler, so much is gathered for one send */
	HANDSHAKES_TURN = 4,         /* steps of handshakes (each may be a signature, 0.05 to 1 ms) in one turn of the loop */
};

enum conn_state { CONN_CONNECTING, CONN_HANDSHAKE, CONN_OPEN, CONN_FAILED };

/* Bytes start..end of a block of `size`. */
struct queue {
	uint8_t *block;
	size_t start, end, size;
};

struct conn {
	const struct conn_handlers *on;
	void *owner;
	struct net_addr peer;
	struct conn_times times;
	int fd;
	struct tls_server *server;   /* until there is a session: accepted, */
	struct tls_client *client;   /* or opened over TLS */
	struct tls *tls;             /* the session; NULL: plain, or no octet has come yet */
	bool tls_more;               /* the session may hold octets that were not read */
	enum conn_state state;
	bool reading;                /* the owner wants data */
	bool held;                   /* until conn_show */
	bool show_again;             /* what was left is to be shown before more is read */
	bool eof;                    /* the peer sends no more; what we have for it still goes out */
	bool waiting;                /* for the kernel to take more output */
	bool drained_due;            /* something was written since `drained` was called */
	bool ended;                  /* `ended` was called */
	bool closed;                 /* by the owner, inside a handler: freed when that returns */
	unsigned depth;              /* of callbacks that are running */
	enum err err;                /* in CONN_FAILED: what is reported */
	int number;                  /* the errno that goes with it, or 0 */
	const char *doing;
	int64_t last_ms;             /* of the last byte, or of the beginning */
	int64_t partial_ms;          /* since when there is input that was not consumed; 0: there is none, or reading is off */
	int64_t blocked_ms;          /* since when there is output that the kernel has once not taken; 0: there is none */
	struct queue in, out;
	size_t in_max;
	size_t out_peak;             /* most that was queued since the output last ran dry */
	struct event readable, writable, timer;
	struct event kick;           /* work put off until the loop runs */
};

/* --- queues ------------------------------------------------------------------------ */

static size_t queue_length(const struct queue *q)
{
	return q->end - q->start;
}

static bool queue_resize(struct queue *q, size_t size)
{
	size_t length = queue_length(q);
	uint8_t *block = malloc(size);

	if (!block)
		return false;
	if (length)
		memcpy(block, q->block + q->start, length);
	free(q->block);
	*q = (struct queue){block, 0, length, size};
	return true;
}

/* Moves what is there to the front, so that all free room is behind it. */
static void queue_pack(struct queue *q)
{
	if (!q->start)
		return;
	memmove(q->block, q->block + q->start, queue_length(q));
	q->end -= q->start;
	q->start = 0;
}

static void queue_consume(struct queue *q, size_t n)
{
	q->start += n;
	if (q->start == q->end)
		q->start = q->end = 0;
}

/* Room for `n` bytes behind what is there. */
static bool queue_reserve(struct queue *q, size_t n)
{
	size_t size = q->size ? q->size : BUFFER_SMALL;

	if (q->size - q->end >= n)
		return true;
	if (q->size - queue_length(q) >= n) {
		queue_pack(q);
		return true;
	}
	while (size - queue_length(q) < n)
		size *= 2;
	return queue_resize(q, size);
}

/* An empty queue that was not much used gives its block back. */
static void queue_trim(struct queue *q, size_t used)
{
	if (q->size <= BUFFER_SMALL || queue_length(q) || used > BUFFER_SMALL)
		return;
	free(q->block);
	*q = (struct queue){0};
}

/* --- the end ----------------------------------------------------------------------- */

/* A timer of no time, not event_active: what a callback activates runs before the loop looks at other sockets. */
static void kick(struct conn *conn)
{
	static const struct timeval now = {0, 0};

	event_add(&conn->kick, &now);
}

/* The first failure counts. It is reported when the outermost callback ends, or by the loop. */
static void fail(struct conn *conn, enum err err, const char *doing, int number)
{
	if (conn->state == CONN_FAILED)
		return;
	conn->state = CONN_FAILED;
	conn->err = err;
	conn->doing = doing;
	conn->number = number;
	conn->out.start = conn->out.end = 0;
	event_del(&conn->readable);
	event_del(&conn->writable);
	event_del(&conn->timer);
	if (!conn->depth)
		kick(conn);
}

static void report_end(struct conn *conn)
{
	char peer[NET_ADDR_TEXT];
	struct why why;

	if (conn->state != CONN_FAILED || conn->ended || conn->closed)
		return;
	conn->ended = true;
	net_addr_text(&conn->peer, 0, peer);
	err_why(&why, conn->err, "%s: %s%s%s%s", peer, conn->err == ERR_TLS ? "TLS: " : "", conn->doing,
		conn->number ? ": " : "", conn->number ? strerror(conn->number) : "");
	conn->on->ended(conn, conn->err, &why, conn->owner);
}

static void release(struct conn *conn)
{
	free(conn->in.block);
	free(conn->out.block);
	free(conn);
}

static void enter(struct conn *conn)
{
	conn->depth++;
}

static void leave(struct conn *conn)
{
	if (--conn->depth == 0 && conn->closed)
		release(conn);
}

static bool is_open(const struct conn *conn)
{
	return conn->state == CONN_OPEN && !conn->closed;
}

/* --- time -------------------------------------------------------------------------- */

static uint32_t time_limit(const struct conn *conn)
{
	return conn->state == CONN_OPEN ? conn->times.idle_ms : conn->times.connect_ms;
}

static bool is_over(int64_t since, uint32_t limit, int64_t now)
{
	return since && limit && now - since >= limit;
}

/* The timer is not moved with every byte: when it fires, it looks how much time is left. */
static void arm_timer(struct conn *conn, int64_t now)
{
	uint32_t limit = time_limit(conn);
	int64_t due = conn->last_ms + limit, left = due > now ? due - now : 0;
	struct timeval wait = {(time_t)(left / 1000), (suseconds_t)(left % 1000 * 1000)};

	if (limit)
		event_add(&conn->timer, &wait);
	else
		event_del(&conn->timer);
}

static void touch(struct conn *conn)
{
	conn->last_ms = clock_ms();
}

/* --- TLS --------------------------------------------------------------------------- */

static void wait_writable(struct conn *conn)
{
	conn->waiting = true;
	event_add(&conn->writable, NULL);
}

static void fail_tls(struct conn *conn)
{
	int number;
	const char *reason = tls_reason(conn->tls, &number);

	if (number)
		fail(conn, number == EPIPE ? ERR_CLOSED : ERR_NETWORK, "TLS", number);
	else
		fail(conn, ERR_TLS, reason ? reason : "closed by the peer", 0);
}

static void no_more_input(struct conn *conn)
{
	conn->eof = true;
	event_del(&conn->readable);
}

static size_t put_tls(struct conn *conn)
{
	struct queue *out = &conn->out;
	size_t sent = 0;

	switch (tls_write(conn->tls, out->block + out->start, queue_length(out), &sent)) {
	case TLS_DONE:
		break;
	case TLS_WAIT_WRITE:
	case TLS_WAIT_READ:          /* OpenSSL says so of a renegotiation alone, which is not allowed */
		sent = 0;
		wait_writable(conn);
		break;
	case TLS_END:
	case TLS_FAILED:
		sent = 0;
		fail_tls(conn);
		break;
	}
	return sent;
}

static size_t take_tls(struct conn *conn, uint8_t *at, size_t room)
{
	size_t got;

	switch (tls_read(conn->tls, at, room, &got, &conn->tls_more)) {
	case TLS_DONE:
	case TLS_WAIT_READ:
		return got;
	case TLS_WAIT_WRITE:
		wait_writable(conn);
		break;
	case TLS_END:
		no_more_input(conn);
		break;
	case TLS_FAILED:
		fail_tls(conn);
		break;
	}
	return 0;
}

/* --- writing ----------------------------------------------------------------------- */

static size_t put(struct conn *conn)
{
	struct queue *out = &conn->out;
	ssize_t n;

	do
		n = send(conn->fd, out->block + out->start, queue_length(out), MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return (size_t)n;
	if (errno == EAGAIN || errno == EWOULDBLOCK)
		wait_writable(conn);
	else
		fail(conn, errno == EPIPE ? ERR_CLOSED : ERR_NETWORK, "send", errno);
	return 0;
}

/* Sends until the kernel takes no more, `most` octets have gone, or the queue is dry. Returns what was sent. */
static size_t flush(struct conn *conn, size_t most)
{
	struct queue *out = &conn->out;
	size_t sent = 0, n;

	while (queue_length(out) && sent < most) {
		n = conn->tls ? put_tls(conn) : put(conn);
		if (!n)
			break;
		queue_consume(out, n);
		sent += n;
	}
	if (sent)
		touch(conn);
	if (conn->waiting && !conn->blocked_ms)
		conn->blocked_ms = clock_ms();
	return sent;
}

static void run_dry(struct conn *conn)
{
	conn->drained_due = false;
	conn->blocked_ms = 0;
	queue_trim(&conn->out, conn->out_peak);
	conn->out_peak = 0;
	if (conn->on->drained)
		conn->on->drained(conn, conn->owner);
}

/* What every callback ends with: sends what the handlers have written, lets the owner write more of it for one
 * turn, and reports the end if there is one. */
static void settle(struct conn *conn)
{
	size_t sent = 0;

	while (is_open(conn) && !conn->waiting && (queue_length(&conn->out) || conn->drained_due)) {
		if (sent >= TURN_MAX) {
			kick(conn);
			break;
		}
		sent += flush(conn, TURN_MAX);
		if (is_open(conn) && !queue_length(&conn->out) && conn->drained_due)
			run_dry(conn);
	}
	if (is_open(conn) && conn->eof && !conn->held && !conn->show_again && !queue_length(&conn->out) && !conn->drained_due)
		fail(conn, ERR_CLOSED, "closed by the peer", 0);
	report_end(conn);
}

void conn_write(struct conn *conn, const void *bytes, size_t n)
{
	if (conn->state == CONN_FAILED || conn->closed || !n)
		return;
	if (!queue_reserve(&conn->out, n)) {
		fail(conn, ERR_NOMEM, "no memory for output", 0);
		return;
	}
	memcpy(conn->out.block + conn->out.end, bytes, n);
	conn->out.end += n;
	if (queue_length(&conn->out) > conn->out_peak)
		conn->out_peak = queue_length(&conn->out);
	conn->drained_due = true;
	if (conn->state != CONN_OPEN || conn->waiting)
		return;
	if (queue_length(&conn->out) >= OUTPUT_CORK)
		flush(conn, SIZE_MAX);
	if (!conn->depth && is_open(conn)) {
		touch(conn);
		kick(conn);
	}
}

/* --- reading ----------------------------------------------------------------------- */

static void show(struct conn *conn)
{
	struct queue *in = &conn->in;
	size_t length = queue_length(in), used;

	if (!length)
		return;
	used = conn->on->data(conn, rbuf_of(in->block + in->start, length), conn->owner);
	if (conn->closed)
		return;
	queue_consume(in, used < length ? used : length);
	if (used > 0 || !queue_length(in))
		conn->partial_ms = 0;
}

static void note_partial(struct conn *conn)
{
	if (queue_length(&conn->in) && conn->reading && !conn->partial_ms)
		conn->partial_ms = conn->last_ms;
}

static bool grow(struct conn *conn)
{
	size_t size = conn->in.size ? conn->in.size * 4 : BUFFER_SMALL;

	if (conn->in.size >= conn->in_max || queue_resize(&conn->in, size < conn->in_max ? size : conn->in_max))
		return true;
	fail(conn, ERR_NOMEM, "no memory for input", 0);
	return false;
}

/* Free room to read into. */
static bool make_room(struct conn *conn)
{
	struct queue *in = &conn->in;

	if (in->size - in->end <= in->size / 2)
		queue_pack(in);
	if (in->end < in->size)
		return true;
	if (in->size < conn->in_max)
		return grow(conn);
	fail(conn, ERR_LIMIT, "too much input that nobody takes", 0);
	return false;
}

/* What has come, 0 if there is nothing more now, or at all. */
static size_t take(struct conn *conn, uint8_t *at, size_t room)
{
	ssize_t got = recv(conn->fd, at, room, 0);

	if (got > 0)
		return (size_t)got;
	if (got == 0)
		no_more_input(conn);
	else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
		fail(conn, ERR_NETWORK, "receive", errno);
	return 0;
}

/* A read that fills the room is followed by another, with more room. */
static void read_some(struct conn *conn)
{
	struct queue *in = &conn->in;
	size_t total = 0, room, got;

	do {
		if (!make_room(conn))
			return;
		room = in->size - in->end;
		got = conn->tls ? take_tls(conn, in->block + in->end, room) : take(conn, in->block + in->end, room);
		if (!got)
			break;
		in->end += got;
		total += got;
		show(conn);
	} while (is_open(conn) && conn->reading && !conn->held && total < TURN_MAX && (got == room ? grow(conn) : conn->tls_more));
	if (total)
		touch(conn);
	if (!is_open(conn))
		return;
	queue_trim(in, total);
	note_partial(conn);
	if (conn->tls_more && conn->reading)
		kick(conn);
}

void conn_reading(struct conn *conn, bool on)
{
	if (conn->reading == on)
		return;
	conn->reading = on;
	if (!is_open(conn))
		return;
	conn->partial_ms = 0;
	if (!on) {
		event_del(&conn->readable);
		return;
	}
	if (!conn->eof)
		event_add(&conn->readable, NULL);
	if (queue_length(&conn->in))
		conn->show_again = true;
	if (conn->show_again || conn->tls_more)
		kick(conn);
}

static void show_left(struct conn *conn)
{
	if (!conn->show_again || !conn->reading || conn->held || !is_open(conn))
		return;
	conn->show_again = false;
	touch(conn);
	show(conn);
	if (is_open(conn))
		note_partial(conn);
}

/* --- what the loop calls --------------------------------------------------------------- */

static bool wants_input(const struct conn *conn)
{
	return is_open(conn) && conn->reading && !conn->held && !conn->eof;
}

static void open_up(struct conn *conn)
{
	conn->state = CONN_OPEN;
	touch(conn);
	arm_timer(conn, conn->last_ms);
	if (conn->reading)
		event_add(&conn->readable, NULL);
	else
		event_del(&conn->readable);   /* which a handshake needs all the same */
	if (conn->on->connected)
		conn->on->connected(conn, conn->owner);
}

/* Whether this turn of the loop has time for one more. Those that come too late are shown again, as nothing was read. */
static bool is_in_turn(struct conn *conn)
{
	static __thread struct timeval turn;
	static __thread unsigned steps;
	struct timeval now;

	event_base_gettimeofday_cached(event_get_base(&conn->readable), &now);
	if (evutil_timercmp(&now, &turn, !=)) {
		turn = now;
		steps = 0;
	}
	return ++steps <= HANDSHAKES_TURN;
}

static void shake_hands(struct conn *conn)
{
	if (!conn->tls)
		conn->tls = conn->client ? tls_connect(conn->client, &conn->peer, conn->fd) : tls_accept(conn->server, conn->fd);
	if (!conn->tls) {
		fail(conn, ERR_NOMEM, "no memory for TLS", 0);
		return;
	}
	switch (tls_handshake(conn->tls, &conn->tls_more)) {
	case TLS_DONE:
		open_up(conn);
		if (conn->tls_more && wants_input(conn))
			read_some(conn);
		break;
	case TLS_WAIT_READ:
		break;
	case TLS_WAIT_WRITE:
		wait_writable(conn);
		break;
	case TLS_END:
		fail(conn, ERR_CLOSED, "TLS: closed by the peer in the handshake", 0);
		break;
	case TLS_FAILED:
		fail_tls(conn);
		break;
	}
}

/* Sockets that are ready are told of in the order in which they became it: one that always is would always be among the first. */
static void go_behind_others(struct conn *conn)
{
	event_del(&conn->readable);
	event_add(&conn->readable, NULL);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *conn = arg;

	(void)fd, (void)what;
	if (conn->state == CONN_HANDSHAKE && !is_in_turn(conn))
		return;
	enter(conn);
	if (conn->state == CONN_HANDSHAKE)
		shake_hands(conn);
	else
		show_left(conn);
	if (conn->state == CONN_HANDSHAKE)
		go_behind_others(conn);
	if (wants_input(conn))
		read_some(conn);
	settle(conn);
	leave(conn);
}

static void finish_connecting(struct conn *conn)
{
	int number = 0;
	socklen_t length = sizeof number;

	if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &number, &length) < 0)
		number = errno;
	if (number) {
		fail(conn, ERR_NETWORK, "connect", number);
	} else if (conn->client) {
		conn->state = CONN_HANDSHAKE;
		event_add(&conn->readable, NULL);
		shake_hands(conn);
	} else {
		open_up(conn);
	}
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *conn = arg;

	(void)fd, (void)what;
	enter(conn);
	event_del(&conn->writable);
	conn->waiting = false;
	if (conn->state == CONN_CONNECTING)
		finish_connecting(conn);
	else if (conn->state == CONN_HANDSHAKE)
		shake_hands(conn);
	else if (conn->tls && wants_input(conn))
		read_some(conn);         /* it may be a read that had something to say first */
	settle(conn);
	leave(conn);
}

/* Whatever time it is that has run out. */
static void time_is_up(struct conn *conn)
{
	if (conn->state == CONN_CONNECTING)
		fail(conn, ERR_TIMEOUT, "connect: no answer in time", 0);
	else if (conn->state == CONN_HANDSHAKE)
		fail(conn, ERR_TIMEOUT, conn->client ? "TLS: expected TLS 1.3, got no handshake in time" : "TLS: no handshake in time", 0);
	else if (conn->blocked_ms && conn->times.output_ms)
		fail(conn, ERR_SLOW, "it does not take what it has asked for", 0);
	else if (conn->partial_ms && conn->times.input_ms)
		fail(conn, ERR_SLOW, "what it sends does not come to an end", 0);
	else
		fail(conn, ERR_TIMEOUT, "idle for too long", 0);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct conn *conn = arg;
	int64_t now = clock_ms();

	(void)fd, (void)what;
	enter(conn);
	if (now >= conn->last_ms + time_limit(conn) || is_over(conn->partial_ms, conn->times.input_ms, now) ||
	    is_over(conn->blocked_ms, conn->times.output_ms, now))
		time_is_up(conn);
	else
		arm_timer(conn, now);
	settle(conn);
	leave(conn);
}

static void on_kick(evutil_socket_t fd, short what, void *arg)
{
	struct conn *conn = arg;

	(void)fd, (void)what;
	enter(conn);
	show_left(conn);
	if (conn->tls_more && wants_input(conn))
		read_some(conn);
	settle(conn);
	leave(conn);
}

void conn_hold(struct conn *conn)
{
	conn->held = true;
}

struct rbuf conn_held(const struct conn *conn)
{
	return rbuf_of(conn->in.block + conn->in.start, queue_length(&conn->in));
}

void conn_show(struct conn *conn)
{
	enter(conn);
	conn->held = false;
	if (is_open(conn))
		show(conn);
	if (is_open(conn))
		note_partial(conn);
	if (conn->tls_more && wants_input(conn))
		kick(conn);
	settle(conn);
	leave(conn);
}

/* --- beginning and end ------------------------------------------------------------------ */

static struct conn *make(struct event_base *base, int fd, const struct net_addr *peer, struct conn_times times,
	const struct conn_handlers *on, void *owner)
{
	struct conn *conn = calloc(1, sizeof *conn);

	if (!conn) {
		close(fd);
		return NULL;
	}
	conn->on = on;
	conn->owner = owner;
	conn->peer = *peer;
	conn->times = times;
	conn->fd = fd;
	conn->in_max = INPUT_MAX;
	conn->reading = true;
	event_assign(&conn->readable, base, fd, EV_READ | EV_PERSIST, on_readable, conn);
	event_assign(&conn->writable, base, fd, EV_WRITE | EV_PERSIST, on_writable, conn);
	event_assign(&conn->timer, base, -1, 0, on_timer, conn);
	event_assign(&conn->kick, base, -1, 0, on_kick, conn);
	touch(conn);
	return conn;
}

struct conn *conn_open(struct event_base *base, const struct net_addr *to, struct conn_times times,
	const struct conn_handlers *on, void *owner, struct why *why)
{
	int fd = net_connect_tcp(to, why);
	struct conn *conn;

	if (fd < 0)
		return NULL;
	conn = make(base, fd, to, times, on, owner);
	if (!conn) {
		err_why(why, ERR_NOMEM, "no memory for a connection");
		return NULL;
	}
	conn->state = CONN_CONNECTING;
	event_add(&conn->writable, NULL);
	arm_timer(conn, conn->last_ms);
	return conn;
}

struct conn *conn_open_tls(struct event_base *base, const struct net_addr *to, struct conn_times times, struct tls_client *client,
	const struct conn_handlers *on, void *owner, struct why *why)
{
	struct conn *conn = conn_open(base, to, times, on, owner, why);

	if (conn)
		conn->client = tls_client_hold(client);
	return conn;
}

static struct conn *accepted(struct event_base *base, int fd, const struct net_addr *peer, struct conn_times times,
	const struct conn_handlers *on, void *owner, enum conn_state state)
{
	struct conn *conn = make(base, fd, peer, times, on, owner);

	if (!conn)
		return NULL;
	conn->state = state;
	event_add(&conn->readable, NULL);
	arm_timer(conn, conn->last_ms);
	return conn;
}

struct conn *conn_accept(struct event_base *base, int fd, const struct net_addr *peer, struct conn_times times,
	const struct conn_handlers *on, void *owner)
{
	return accepted(base, fd, peer, times, on, owner, CONN_OPEN);
}

struct conn *conn_accept_tls(struct event_base *base, int fd, const struct net_addr *peer, struct conn_times times,
	struct tls_server *server, const struct conn_handlers *on, void *owner)
{
	struct conn *conn = accepted(base, fd, peer, times, on, owner, CONN_HANDSHAKE);

	if (conn)
		conn->server = tls_server_hold(server);
	return conn;
}

void conn_close(struct conn *conn)
{
	if (!conn || conn->closed)
		return;
	conn->closed = true;
	event_del(&conn->readable);
	event_del(&conn->writable);
	event_del(&conn->timer);
	event_del(&conn->kick);
	tls_free(conn->tls);
	tls_server_drop(conn->server);
	tls_client_drop(conn->client);
	close(conn->fd);
	if (!conn->depth)
		release(conn);
}

const struct net_addr *conn_peer(const struct conn *conn)
{
	return &conn->peer;
}

struct tls_facts conn_tls_facts(const struct conn *conn)
{
	return conn->tls ? tls_facts(conn->tls) : (struct tls_facts){0};
}

const struct tls_shown *conn_tls_shown(const struct conn *conn)
{
	return conn->tls ? tls_shown(conn->tls) : NULL;
}

void conn_bound_input(struct conn *conn, size_t octets)
{
	conn->in_max = octets;
}

size_t conn_unsent(const struct conn *conn)
{
	return queue_length(&conn->out);
}

void conn_set_times(struct conn *conn, struct conn_times times)
{
	int64_t now = clock_ms();

	conn->times = times;
	if (conn->partial_ms)
		conn->partial_ms = now;
	if (conn->blocked_ms)
		conn->blocked_ms = now;
	if (is_open(conn))
		arm_timer(conn, now);
}
