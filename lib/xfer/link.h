/* xfer/link: connections to primaries that are kept, over TCP and TLS: a call is one exchange on one of them. Several calls may be under way on
 * a connection (RFC 7766 6.2.1.1, RFC 5936 4.1.1), told apart by their message IDs, in whatever order they are answered:
 *
 *     idle connection ─┐                        answered ──► idle for a while, then closed
 *     a busy, quick one├─► call ─► begin ─► message ... ─► link_done
 *     a new one ───────┘    ▲                │ closed, or silent, before the first octet, and not new
 *                           └── a new one ◄──┘
 *
 * What a server makes of that is remembered in xfer/peer: one that closes after each answer gets a connection for each call, one that
 * answers only one at a time gets one at a time. On the event loop's thread.
 */
#ifndef XFER_LINK_H
#define XFER_LINK_H

#include "base/conn.h"
#include "xfer/peer.h"

struct links;
struct link_call;

struct link_handlers {
	/* The connection stands: the query may be written, with this message ID. Called again, before anything was received, if the call begins
	 * anew on another connection. */
	void (*begin)(struct link_call *, uint16_t id, void *owner);
	/* A whole message with that ID, or, if no other call is on the connection, with any. Borrowed. */
	void (*message)(struct link_call *, const uint8_t *message, size_t length, void *owner);
	/* Some octets have come, maybe less than a message. */
	void (*heard)(struct link_call *, void *owner);
	/* The end, in the middle. The owner calls link_end now or later. `partial`: within a message. */
	void (*ended)(struct link_call *, enum err, const struct why *, bool partial, void *owner);
};

/* `most`: idle connections that are kept, in all; `each`: to one address, which is also how many there must be before calls share them, as
 * many servers answer what comes on one connection in turn. NULL: out of memory. */
struct links *links_new(struct event_base *, int64_t (*now)(void), unsigned most, unsigned each);
void links_free(struct links *);     /* no call is under way. NULL is allowed */
/* `peer` may be NULL: then the connection is for this call alone. `tls` is held as long as it is needed; NULL: plain. `ready`: the connection
 * stands, and the caller does now what `begin` does, with the ID of link_id; else `begin` is called later. NULL and `why`: as conn_open. */
struct link_call *link_start(struct links *, const struct net_addr *to, struct tls_client *, struct peer *, struct conn_times,
	const struct link_handlers *, void *owner, bool *ready, struct why *);
uint16_t link_id(const struct link_call *);
void link_write(struct link_call *, const void *bytes, size_t n);
/* The call was answered in full; its connection may be kept. */
void link_done(struct link_call *);
/* It is given up, or has ended. NULL is allowed. */
void link_end(struct link_call *);
/* Octets received on its connection since it began there. */
uint64_t link_octets(const struct link_call *);
/* Nothing was heard of the call for LINK_SHARED_MS or longer. */
enum { LINK_SHARED_MS = 1000, LINK_ALONE_MS = 2500 };
enum link_late {
	LINK_SILENT,         /* so it is */
	LINK_WAITS,          /* it is alone on a kept connection, and has LINK_ALONE_MS */
	LINK_MOVED,          /* begun anew on a new connection: the other one may be dead, the server have missed the query, or be busy on that
	                      * connection with a big answer */
};
enum link_late link_late(struct link_call *);
/* For tests and status. */
size_t links_open(const struct links *);
size_t links_idle(const struct links *);

#endif
