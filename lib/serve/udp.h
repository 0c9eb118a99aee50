/* serve/udp: one UDP socket of one answering thread: requests are read and answered in batches (recvmmsg, sendmmsg); an
 * answer leaves from the address that was asked. Runs on the thread's event loop.
 */
#ifndef SERVE_UDP_H
#define SERVE_UDP_H

#include "serve/answer.h"

struct event_base;
struct udp;

/* The settings in force, as an RCU-protected pointer: read between store_enter and store_leave. */
struct serve_settings_box { struct serve_settings *current; };
const struct serve_settings *serve_settings_get(const struct serve_settings_box *);

/* Takes `fd` (from net_listen_udp). NULL: out of memory, fd is closed. */
struct udp *udp_new(struct event_base *, int fd, struct answer *, const struct serve_settings_box *);
void udp_free(struct udp *);

#endif
