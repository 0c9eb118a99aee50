/* run/health: whether this server really answers: real questions to its own addresses, from as many ports as it takes to reach every worker.
 * What a monitor sees of the process (that it is there, how busy it is) does not tell: a server that hung looked idle to it. On the event
 * loop's thread.
 */
#ifndef RUN_HEALTH_H
#define RUN_HEALTH_H

#include "base/net.h"

struct event_base;

struct health_result {
	unsigned asked, answered;    /* questions; each was sent three times at most */
	uint32_t ms;                 /* the slowest answer */
	struct net_addr silent;      /* an address that left one unanswered, if not all were answered */
};
/* `addresses` is borrowed for the call. Asks each of them from `ports` ports; `done` is called once, later, within a second and a half. False:
 * out of memory or descriptors, and `done` is not called. An address that stands for all of the machine's (0.0.0.0, ::) is asked by way of
 * the loopback. */
typedef void health_done(void *ctx, const struct health_result *);
struct health;
struct health *health_ask(struct event_base *, const struct net_addr *addresses, size_t count, unsigned ports, health_done *, void *ctx);
/* Before `done` was called: it is not. */
void health_cancel(struct health *);

#endif
