/* serve/udp: one UDP socket of one answering thread: requests are read and answered in batches (recvmmsg, sendmmsg); an
 * answer leaves from the address that was asked. Runs on the thread's event loop.
 */
#ifndef SERVE_UDP_H
#define SERVE_UDP_H

#include "serve/answer.h"

struct event_base;
struct udp;
struct udp_batch;

/* The settings in force, as an RCU-protected pointer: read between store_enter and store_leave. */
struct serve_settings_box { struct serve_settings *current; };
const struct serve_settings *serve_settings_get(const struct serve_settings_box *);

/* Where the packets of a batch lie, some 400 KB: one for each thread, shared by its sockets, which it outlives. NULL: out of memory. */
struct udp_batch *udp_batch_new(void);
void udp_batch_free(struct udp_batch *);

/* Takes `fd` (from net_listen_udp). NULL: out of memory, fd is closed. */
struct udp *udp_new(struct event_base *, struct udp_batch *, int fd, struct answer *, const struct serve_settings_box *);
void udp_free(struct udp *);

#endif
