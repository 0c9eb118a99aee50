/* run/metrics: the HTTP server (server.metrics), for whoever watches this one:
 *
 *     /metrics     Prometheus' text format (0.0.4). Zones one by one where there are at most METRICS_ZONES; "?zones=all", "?zones=none" say otherwise
 *     /health      200 if every worker answers a real question (run/health), else 503; as JSON
 *     /            a page for people: how many zones are in which state, and the zones, those that need somebody first
 *
 * It only shows, and shows no secrets; it speaks plain HTTP, so it belongs on the loopback or in a network of the operator's. On
 * the event loop's thread: what is long is written piece by piece, as fast as the client takes it.
 */
#ifndef RUN_METRICS_H
#define RUN_METRICS_H

#include "run/watch.h"

enum { METRICS_ZONES = 1000 };

struct metrics;

struct metrics_env {
	struct event_base *loop;
	const struct keeper *keeper;
	const struct watch *watch;
	int64_t (*now)(void);        /* ms, monotonic */
	uint64_t (*unix_time)(void);
	int64_t began;               /* `now` of the start */
	void (*counters)(void *ctx, struct serve_counters *);
	void *ctx;
};
/* Serves on `fd` (from net_listen_tcp), which it takes over in any case. NULL: out of memory. */
struct metrics *metrics_new(const struct metrics_env *, int fd);
void metrics_free(struct metrics *);         /* NULL is allowed */

#endif
