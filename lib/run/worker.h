/* run/worker: the answering threads. Each has its own event loop, its own sockets for every listening address (the kernel
 * spreads the clients, SO_REUSEPORT), its own counters.
 */
#ifndef RUN_WORKER_H
#define RUN_WORKER_H

#include "base/net.h"
#include "serve/tcp.h"

struct workers;

/* Binds all addresses for `count` workers; no thread runs yet. NULL and `why` on failure. The box and store are borrowed. */
struct workers *workers_new(unsigned count, const struct net_addr *listen, size_t listen_count, const struct store *,
	const struct serve_settings_box *, struct tcp_limits, struct why *);
enum err workers_start(struct workers *, struct why *);
/* Ends all threads, closes all sockets. */
void workers_free(struct workers *);
void workers_sum(const struct workers *, struct serve_counters *);

#endif
