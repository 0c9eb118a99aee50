/* check/probe: asks many servers many questions at once, over UDP and TCP, IPv4 and IPv6, each within its time.
 *
 *     probe_send ─► waits its turn ─► asked ─────────► done
 *                   (under_way,       │  UDP: up to sixteen times, in 3/4 of its time, less often where a rate wants it
 *                    per_server,      │  truncated: again over TCP, if `follow`
 *                    rates)           └─ TCP: anew, if the connection was closed in the middle (twice)
 *
 * Each question over UDP has a socket of its own, so a random port beside each try's random ID. The socket is not connected: an answer that fits but
 * comes from elsewhere is one too (`odd`); it is held for a moment, and loses to one that comes from where it should. What
 * comes from elsewhere and does not fit is passed over.
 * On the event loop's thread.
 */
#ifndef CHECK_PROBE_H
#define CHECK_PROBE_H

#include "check/reply.h"

struct event_base;
struct tls_client;
struct tsig_key;
struct prober;
struct probe;

struct prober_limits {
	unsigned under_way;          /* at once in all; a descriptor each. 0: 256 */
	unsigned per_server;         /* at once to one address and port. 0: 32 */
	uint32_t timeout_ms;         /* of one question, retries included, from when it is first sent. 0: 5000 */
	uint32_t rate;               /* queries a second to one address and port, each try of a question counted; 0: no limit */
	uint32_t rate_all;           /* a second in all; 0: no limit */
	/* What waits for rate_all is sent some at a time, every 250 ms at least: so that the processor is not woken for each. */
	bool gather;
};
/* NULL: out of memory. */
struct prober *prober_new(struct event_base *, struct prober_limits);
/* What is under way is given up without a call. Not from within a call. NULL is allowed. */
void prober_free(struct prober *);
struct prober_limits prober_limits_of(const struct prober *);        /* filled in */
/* For what is sent from now on; questions that are under way keep their time. */
void prober_set_limits(struct prober *, struct prober_limits);
size_t prober_pending(const struct prober *);        /* waiting and under way */

struct probe_ask {
	struct net_addr to;
	const uint8_t *name;         /* copied */
	uint16_t type;               /* AXFR: over TCP; the reply is its first message, then the connection is closed */
	uint16_t class;              /* 0: IN */
	bool rd, cd;
	bool tcp;
	bool follow;                 /* truncated: again over TCP, and the reply is what comes of that, or does not (then `tc` is set in it) */
	bool no_edns, do_bit;
	uint8_t edns_version;        /* 1: to see what it makes of a version that it cannot know */
	/* Signed with it, and the answer must be; else it is REPLY_GARBAGE, and says why. Borrowed as long as the probe is there.
	 * NULL: unsigned. */
	const struct tsig_key *key;
	struct tls_client *tls;      /* over TLS, and never without; as the key. NULL: plain */
};
/* Called once, from the loop, never from within probe_send; the probe is gone by then. The reply is the callee's (reply_free);
 * NULL: out of memory. */
typedef void probe_done(void *ctx, struct reply *);
/* NULL: out of memory, and no call will come. */
struct probe *probe_send(struct prober *, const struct probe_ask *, probe_done *, void *ctx);
/* It is given up, without a call. NULL is allowed. */
void probe_cancel(struct probe *);

#endif
