/* run/worker: the answering threads. Each has its own event loop, its own sockets for every listening address (the kernel
 * spreads the clients, SO_REUSEPORT), its own counters.
 */
#ifndef RUN_WORKER_H
#define RUN_WORKER_H

#include "base/net.h"
#include "serve/tcp.h"

struct workers;

/* The configured addresses. `any`: nobody has chosen them, and one of a family that this machine lacks is left out with a line in
 * the log. */
struct worker_listen {
	const struct net_addr *addresses;
	size_t count;
	bool any;
	const struct net_addr *tls;  /* for TLS; over TCP alone */
	size_t tls_count;
};
/* Binds all addresses for `count` workers; no thread runs yet. NULL and `why` on failure, also if another process has a port. The box
 * and store are borrowed. The limit on clients is for all workers together. */
struct workers *workers_new(unsigned count, struct worker_listen, const struct store *, const struct serve_settings_box *,
	struct tcp_limits, struct why *);
enum err workers_start(struct workers *, struct why *);
/* From soon on these are the addresses for TLS. The same errors as of workers_new; then nothing changes. */
enum err workers_listen_tls(struct workers *, const struct net_addr *, size_t count, struct why *);
/* Ends all threads, closes all sockets. */
void workers_free(struct workers *);
void workers_sum(const struct workers *, struct serve_counters *);

#endif
