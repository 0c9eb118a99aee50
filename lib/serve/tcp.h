/* serve/tcp: the TCP and TLS listeners of one answering thread and their connections (RFC 7766, 7858, 9103): several requests on one
 * connection, answered in order; transfers out are written as fast as the client reads, no faster. Bounded: connections,
 * idle time, octets that a slow reader makes us keep.
 */
#ifndef SERVE_TCP_H
#define SERVE_TCP_H

#include "serve/udp.h"

struct tcp;

/* A client has 3 * idle_ms to take what was queued for it once the kernel's own 64 KB are full. It is not heard while more than
 * 64 KB are queued. Of its requests we keep at most 68 KB, so that a connection never has more than some 200 KB. */
/* Takes `fd` (from net_listen_tcp), a listener without TLS. The limits are those of the settings, as far as they are given there: for
 * connections that come, and transfers that begin, from then on; else these. */
struct tcp *tcp_new(struct event_base *, int fd, struct answer *, const struct serve_settings_box *, struct tcp_limits);
/* One more listener: takes `fd`, also when it fails (ERR_NOMEM). Over TLS a connection gets the certificate that is in force in the
 * settings when it comes. A transfer over TLS needs TLS 1.3 and ALPN "dot" (RFC 9103 7.1), and a certificate of the client
 * where the settings have authorities for these. */
enum tcp_kind { TCP_PLAIN, TCP_TLS };
enum err tcp_listen(struct tcp *, int fd, enum tcp_kind);
/* Closes the listeners over TLS at other addresses than these; connections stay. */
void tcp_keep_tls(struct tcp *, const struct net_addr *, size_t count);
void tcp_free(struct tcp *);

#endif
