/* base/conn: one stream to a peer, connecting or accepted, as whole chunks of bytes
 * in and out, plain TCP or TLS on libevent. It knows no DNS: framing is dns/frame's.
 * One thread: the one that runs the event loop.
 */
#ifndef BASE_CONN_H
#define BASE_CONN_H

#include "base/buf.h"
#include "base/err.h"
#include "base/net.h"
#include "base/tls.h"

struct event_base;
struct conn;

/* What the owner does. A handler may call conn_close on its own connection; after that
 * no handler is called any more. */
struct conn_handlers {
	/* May be NULL. For a plain connection that was accepted it is not called, over TLS it is, when the handshake is done. */
	void (*connected)(struct conn *, void *owner);
	/* Bytes that have come and are not yet consumed. Returns how many were consumed;
	 * the rest is shown again, together with what comes next. Borrowed. */
	size_t (*data)(struct conn *, struct rbuf bytes, void *owner);
	/* All that was written has gone to the kernel. Never called from within conn_write. More may be written at
	 * once; after some 256 KB the loop turns to other connections first. May be NULL. */
	void (*drained)(struct conn *, void *owner);
	/* The end, reported once: ERR_CLOSED (by the peer), ERR_TIMEOUT, ERR_SLOW, ERR_NETWORK, ERR_TLS, ERR_NOMEM, ERR_LIMIT (more input
	 * than its bound that `data` did not consume). The owner calls conn_close now or later. A peer that has only shut down
	 * its own side (half close; over TLS, close_notify) is still sent what is queued, and what `drained` adds, before this is
	 * called. */
	void (*ended)(struct conn *, enum err, const struct why *, void *owner);
};

/* 0: no limit. */
struct conn_times {
	uint32_t connect_ms;         /* until connected; over TLS, until the handshake is done */
	uint32_t idle_ms;            /* without a byte in or out */
	/* ERR_SLOW, noticed up to idle_ms later (these need an idle_ms, and where one of them runs ERR_SLOW is what comes at the end
	 * of that, too): */
	uint32_t input_ms;           /* that `data` leaves input unconsumed, though more trickles in */
	uint32_t output_ms;          /* for the queue to run dry once the kernel took no more, though some of it goes */
};

/* NULL and `why` if no socket could be had, or the kernel refused at once (no route, loopback without a listener). */
struct conn *conn_open(struct event_base *, const struct net_addr *to, struct conn_times,
	const struct conn_handlers *, void *owner, struct why *);
/* The same over TLS (1.3, ALPN "dot"): `connected` is called when the handshake is done and the server is who it must be, never otherwise.
 * The client is held as long as it is needed. */
struct conn *conn_open_tls(struct event_base *, const struct net_addr *to, struct conn_times, struct tls_client *,
	const struct conn_handlers *, void *owner, struct why *);
/* Takes `fd`, which does not block (its other options come from the listener), also when it fails (NULL). */
struct conn *conn_accept(struct event_base *, int fd, const struct net_addr *peer, struct conn_times,
	const struct conn_handlers *, void *owner);
/* The same over TLS. A silent client costs no session yet; one loop begins or goes on with a few handshakes at a time, so that a
 * flood of them does not hold up the rest. The server is held as long as it is needed. */
struct conn *conn_accept_tls(struct event_base *, int fd, const struct net_addr *peer, struct conn_times, struct tls_server *,
	const struct conn_handlers *, void *owner);
const struct net_addr *conn_peer(const struct conn *);
/* Once `connected` was called, of a connection over TLS; all false of a plain one. */
struct tls_facts conn_tls_facts(const struct conn *);
/* The peer's certificate, while the connection is there; NULL: it has shown none, or the connection is plain. */
const struct tls_shown *conn_tls_shown(const struct conn *);

/* For owners that look at what has come over several connections together. conn_hold, from within `data`, which then returns 0: nothing is
 * read or shown, and the peer's end is none, until the owner calls conn_show, soon, and not from within a handler. */
void conn_hold(struct conn *);
struct rbuf conn_held(const struct conn *);        /* what `data` has seen */
void conn_show(struct conn *);
/* Copies the bytes into the queue. Small writes are gathered: they go together when the handler returns, or else when the loop runs next. Before
 * the connection stands they wait. An error shows as `ended`, later, from the loop. */
void conn_write(struct conn *, const void *bytes, size_t n);
size_t conn_unsent(const struct conn *);           /* octets still in the queue */
/* While off, no data is read (back-pressure), nor the peer's end noticed; the idle timer counts all the same. Turned
 * on again, what was left unconsumed is shown again, from the loop. */
void conn_reading(struct conn *, bool on);
/* From now on. What waits for its end since earlier is measured from now too. */
void conn_set_times(struct conn *, struct conn_times);
/* How much input is kept that `data` did not consume, 256 KB if this is not called. Before any input has come. */
void conn_bound_input(struct conn *, size_t octets);
/* Closes and frees, at once; what is unsent is lost. NULL is allowed. */
void conn_close(struct conn *);

#endif
