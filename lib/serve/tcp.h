/* serve/tcp: the TCP listeners of one answering thread and their connections (RFC 7766): several requests on one
 * connection, answered in order; transfers out are written as fast as the client reads, no faster. Bounded: connections,
 * idle time, octets that a slow reader makes us keep.
 */
#ifndef SERVE_TCP_H
#define SERVE_TCP_H

#include "serve/udp.h"

struct tcp;

struct tcp_limits {
	unsigned clients;            /* connections at all listeners together; beyond it the longest idle one gives way */
	uint32_t idle_ms;
};
/* Takes `fd` (from net_listen_tcp). */
struct tcp *tcp_new(struct event_base *, int fd, struct answer *, const struct serve_settings_box *, struct tcp_limits);
/* One more listener: takes `fd`, also when it fails (ERR_NOMEM). */
enum err tcp_listen(struct tcp *, int fd);
void tcp_free(struct tcp *);

#endif
