#include "xfer/link.h"

#include "dns/frame.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>

enum {
	IDLE_MS = 5000,              /* that a connection is kept without a call (RFC 7766 6.2.3: a few seconds) */
	TOGETHER = 4,                /* calls on one connection, at most, */
	QUICK_MS = 200,              /* and only beside such as began a moment ago: nobody waits behind a big zone */
	CLOSE_MS = 20,               /* timers may be due a little early */
	SOON_MS = 1000,              /* a server that closes so soon after its answer does so each time */
};

struct link_call {
	TAILQ_ENTRY(link_call) of_link;
	struct link *link;
	const struct link_handlers *handlers;
	void *owner;
	struct conn_times times;
	int64_t began;               /* on this connection */
	uint64_t octets_before;      /* that the connection had received by then */
	uint16_t id;
	bool heard;                  /* a message of its own has come */
	bool first;                  /* the connection was opened for it */
	bool moved;
};

/* A connection. */
struct link {
	TAILQ_ENTRY(link) in_table;
	struct links *table;
	struct net_addr to;
	struct tls_client *tls;
	struct peer *peer;
	struct conn *conn;
	TAILQ_HEAD(, link_call) calls;
	unsigned count, done;        /* calls now, and answered so far */
	uint64_t octets;
	size_t partial;              /* octets of a message that is not complete */
	int64_t heard, answered;     /* the last octet, the last answer in full */
	bool stands, idle;           /* idle: kept, without a call */
	bool spoiled;                /* no more calls: one was given up in the middle, or it is ending */
	bool showing, gone;          /* within a handler of its connection; closed meanwhile */
};

struct links {
	struct event_base *loop;
	int64_t (*now)(void);
	unsigned most, each;
	TAILQ_HEAD(, link) links;
	size_t open, idle;
};

struct links *links_new(struct event_base *loop, int64_t (*now)(void), unsigned most, unsigned each)
{
	struct links *table = calloc(1, sizeof *table);

	if (!table)
		return NULL;
	*table = (struct links){.loop = loop, .now = now, .most = most, .each = each};
	TAILQ_INIT(&table->links);
	return table;
}

size_t links_open(const struct links *table) { return table->open; }
size_t links_idle(const struct links *table) { return table->idle; }
uint16_t link_id(const struct link_call *call) { return call->id; }
uint64_t link_octets(const struct link_call *call) { return call->link ? call->link->octets - call->octets_before : 0; }

/* --- connections ---------------------------------------------------------- */

static void set_idle(struct link *l, bool idle)
{
	l->table->idle += (size_t)idle - (size_t)l->idle;
	l->idle = idle;
}

/* No calls are on it any more. Within a handler the last of it goes when that ends. */
static void link_close(struct link *l)
{
	set_idle(l, false);
	l->spoiled = true;
	if (l->gone)
		return;
	l->gone = true;
	TAILQ_REMOVE(&l->table->links, l, in_table);
	l->table->open--;
	conn_close(l->conn);
	tls_client_drop(l->tls);
	if (!l->showing)
		free(l);
}

void links_free(struct links *table)
{
	if (!table)
		return;
	while (!TAILQ_EMPTY(&table->links))
		link_close(TAILQ_FIRST(&table->links));
	free(table);
}

static void on_connected(struct conn *conn, void *owner)
{
	struct link *l = owner;
	struct link_call *call = TAILQ_FIRST(&l->calls);

	(void)conn;
	l->stands = true;
	call->handlers->begin(call, call->id, call->owner);
}

static struct link_call *call_of(struct link *l, const struct rbuf *message)
{
	struct link_call *call;

	if (l->count == 1 && !l->spoiled)
		return TAILQ_FIRST(&l->calls);
	if (rbuf_left(message) < 2)
		return NULL;
	TAILQ_FOREACH(call, &l->calls, of_link)
		if (call->id == get_u16(message->base))
			return call;
	return NULL;
}

static void end_all(struct link *l, enum err err, const struct why *why);

/* Nobody has asked for this. After a call was given up it may be the rest of its answer; else the server is confused. */
static void stray(struct link *l)
{
	struct why why;

	if (l->spoiled && l->count)
		return;
	err_why(&why, ERR_FORMAT, "an answer came that nobody had asked for");
	if (l->count)
		end_all(l, ERR_FORMAT, &why);
	else
		link_close(l);
}

/* Whose octets they are is known at once where there is, and was, only one call, else with the whole message. */
static void tell_heard(struct link *l)
{
	struct link_call *call = l->count == 1 && !l->spoiled ? TAILQ_FIRST(&l->calls) : NULL;

	if (call)
		call->handlers->heard(call, call->owner);
}

static size_t on_data(struct conn *conn, struct rbuf bytes, void *owner)
{
	struct link *l = owner;
	struct rbuf message;
	size_t used;

	(void)conn;
	l->octets += rbuf_left(&bytes) - l->partial;
	l->heard = l->table->now();
	l->showing = true;
	tell_heard(l);
	while (!l->gone && frame_next(&bytes, &message)) {
		struct link_call *call = call_of(l, &message);

		if (!call) {
			stray(l);
			continue;
		}
		call->heard = true;
		call->handlers->message(call, message.base, rbuf_left(&message), call->owner);
	}
	l->showing = false;
	used = rbuf_pos(&bytes);
	l->partial = rbuf_left(&bytes);
	if (!l->gone)
		return used;
	free(l);
	return 0;
}

static void on_ended(struct conn *conn, enum err err, const struct why *why, void *owner)
{
	struct link *l = owner;
	int64_t now = l->table->now();

	(void)conn;
	if (l->peer && err == ERR_CLOSED && !l->count && l->done == 1 && now - l->answered < SOON_MS)
		peer_stream_closed(l->peer, now);
	end_all(l, err, why);
}

static struct link *open_link(struct links *table, const struct net_addr *to, struct tls_client *tls, struct peer *peer,
	struct conn_times times, struct why *why)
{
	static const struct conn_handlers handlers = {on_connected, on_data, NULL, on_ended};
	struct link *l = calloc(1, sizeof *l);

	if (!l) {
		errno = ENOMEM;
		err_why(why, ERR_NOMEM, "out of memory");
		return NULL;
	}
	*l = (struct link){.table = table, .to = *to, .peer = peer, .heard = INT64_MIN};
	TAILQ_INIT(&l->calls);
	l->conn = tls ? conn_open_tls(table->loop, to, times, tls, &handlers, l, why) : conn_open(table->loop, to, times, &handlers, l, why);
	if (!l->conn) {
		free(l);
		return NULL;
	}
	l->tls = tls ? tls_client_hold(tls) : NULL;
	TAILQ_INSERT_HEAD(&table->links, l, in_table);
	table->open++;
	return l;
}

/* --- calls ---------------------------------------------------------------- */

static bool is_quick(const struct link *l, int64_t now)
{
	const struct link_call *call;

	TAILQ_FOREACH(call, &l->calls, of_link)
		if (now - call->began > QUICK_MS)
			return false;
	return true;
}

/* An idle connection, or else, where there are several, one that has shown that it is kept, and whose calls are quick. NULL: a new one is
 * needed. */
static struct link *find_link(const struct links *table, const struct net_addr *to, const struct tls_client *tls, const struct peer *peer)
{
	int64_t now = table->now();
	enum peer_stream stream = peer ? peer_stream(peer, now) : PEER_STREAM_ONE;
	struct link *l, *best = NULL;
	unsigned count = 0;

	if (stream == PEER_STREAM_ONE)
		return NULL;
	TAILQ_FOREACH(l, &table->links, in_table) {
		if (l->spoiled || l->tls != tls || !net_addr_equal(&l->to, to))
			continue;
		count++;
		if (!l->stands)
			continue;
		if (!l->count)
			return l;
		if (stream == PEER_STREAM_MANY && l->done && l->count < TOGETHER && (!best || l->count < best->count) && is_quick(l, now))
			best = l;
	}
	return count >= table->each ? best : NULL;
}

static bool id_is_free(const struct link *l, uint16_t id)
{
	const struct link_call *call;

	TAILQ_FOREACH(call, &l->calls, of_link)
		if (call->id == id)
			return false;
	return true;
}

static void put_on(struct link_call *call, struct link *l)
{
	set_idle(l, false);
	do {
		net_random(&call->id, sizeof call->id);
	} while (!id_is_free(l, call->id));
	call->link = l;
	call->began = l->table->now();
	call->octets_before = l->octets;
	call->first = !l->stands;
	call->heard = false;
	TAILQ_INSERT_TAIL(&l->calls, call, of_link);
	l->count++;
}

static void take_off(struct link_call *call)
{
	struct link *l = call->link;

	TAILQ_REMOVE(&l->calls, call, of_link);
	l->count--;
	call->link = NULL;
}

struct link_call *link_start(struct links *table, const struct net_addr *to, struct tls_client *tls, struct peer *peer, struct conn_times times,
	const struct link_handlers *handlers, void *owner, bool *ready, struct why *why)
{
	struct link *l = find_link(table, to, tls, peer);
	struct link_call *call = calloc(1, sizeof *call);

	if (call && !l)
		l = open_link(table, to, tls, peer, times, why);
	if (!call || !l) {
		free(call);
		return NULL;
	}
	call->handlers = handlers;
	call->owner = owner;
	call->times = times;
	put_on(call, l);
	*ready = l->stands;
	if (l->stands)
		conn_set_times(l->conn, times);
	return call;
}

void link_write(struct link_call *call, const void *bytes, size_t n)
{
	conn_write(call->link->conn, bytes, n);
}

/* Others that are idle to the same address. */
static unsigned idle_there(const struct link *l)
{
	const struct link *other;
	unsigned count = 0;

	TAILQ_FOREACH(other, &l->table->links, in_table)
		count += other->idle && other->tls == l->tls && net_addr_equal(&other->to, &l->to);
	return count;
}

void link_done(struct link_call *call)
{
	struct link *l = call->link;
	struct links *table = l->table;
	int64_t now = table->now();

	take_off(call);
	free(call);
	l->done++;
	l->answered = now;
	if (l->peer && l->done > 1)
		peer_stream_kept(l->peer);
	if (l->count)
		return;
	if (l->spoiled || !l->peer || peer_stream(l->peer, now) == PEER_STREAM_ONE || table->idle >= table->most || idle_there(l) >= table->each) {
		link_close(l);
		return;
	}
	set_idle(l, true);
	conn_set_times(l->conn, (struct conn_times){0, IDLE_MS, 0, 0});
}

void link_end(struct link_call *call)
{
	struct link *l;

	if (!call)
		return;
	l = call->link;
	if (l) {
		take_off(call);
		l->spoiled = true;
		if (!l->count)
			link_close(l);
	}
	free(call);
}

/* Anew, on a connection of its own. */
static void move(struct link_call *call, const struct net_addr *to, struct tls_client *tls, struct peer *peer, struct links *table)
{
	struct why why = {{0}};
	struct link *l = open_link(table, to, tls, peer, call->times, &why);

	call->moved = true;
	if (l)
		put_on(call, l);
	else
		call->handlers->ended(call, ERR_NETWORK, &why, false, call->owner);
}

/* A connection that was kept may end at any time: whoever has heard nothing yet tries another one. */
static bool may_move(const struct link_call *call, enum err err)
{
	return !call->first && !call->heard && !call->moved && (err == ERR_CLOSED || err == ERR_NETWORK || err == ERR_TLS);
}

static void end_all(struct link *l, enum err err, const struct why *why)
{
	struct links *table = l->table;
	struct net_addr to = l->to;
	struct tls_client *tls = l->tls ? tls_client_hold(l->tls) : NULL;
	struct peer *peer = l->peer;
	bool partial = l->partial != 0 && l->count == 1, showing = l->showing, noted = false;

	set_idle(l, false);
	l->spoiled = true;
	l->showing = true;           /* it stays until the last has left */
	while (l->count) {
		struct link_call *call = TAILQ_FIRST(&l->calls);

		take_off(call);
		if (may_move(call, err)) {
			if (peer && !noted && table->now() - l->answered < 2 * SOON_MS)
				peer_stream_closed(peer, table->now());
			noted = true;
			move(call, &to, tls, peer, table);
		} else {
			call->handlers->ended(call, err, why, partial, call->owner);
		}
	}
	link_close(l);
	tls_client_drop(tls);
	l->showing = showing;
	if (!showing)
		free(l);
}

enum link_late link_late(struct link_call *call)
{
	struct link *l = call->link, *fresh;
	struct why why;
	int64_t now;

	if (!l || call->first || call->moved)
		return LINK_SILENT;
	now = l->table->now();
	if (l->count == 1 && !l->spoiled && now - call->began + CLOSE_MS < LINK_ALONE_MS)
		return LINK_WAITS;
	fresh = open_link(l->table, &l->to, l->tls, l->peer, call->times, &why);
	if (!fresh)
		return LINK_SILENT;
	if (l->peer && l->answered >= call->began && now - l->heard + CLOSE_MS >= LINK_SHARED_MS)
		peer_stream_turns(l->peer, now);     /* the others were answered, and then nothing more */
	take_off(call);
	l->spoiled = true;
	if (!l->count)
		link_close(l);
	call->moved = true;
	put_on(call, fresh);
	return LINK_MOVED;
}
