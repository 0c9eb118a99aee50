/* run/inbox: NOTIFYs on their way from the answering threads to the event loop. Several for one zone from one sender that wait
 * together become one (the newest serial counts), and their number is bounded: a flood costs a fixed amount of memory.
 */
#ifndef RUN_INBOX_H
#define RUN_INBOX_H

#include "base/net.h"
#include "dns/name.h"
#include "dns/serial.h"

#include <stdbool.h>

struct event_base;
struct inbox;

typedef void inbox_handler(void *ctx, const uint8_t *zone, const struct net_addr *from, bool has_serial, struct serial);
/* `handler` is called on the loop. */
struct inbox *inbox_new(struct event_base *, inbox_handler *, void *ctx);
void inbox_free(struct inbox *);             /* nobody posts any more */
enum { INBOX_ROOM = 12288 };         /* most that wait */
/* Any thread; does not wait for the loop. False: there is no room, it is dropped (the refresh timer finds what it told). */
bool inbox_post(struct inbox *, const uint8_t *zone, const struct net_addr *from, bool has_serial, struct serial);

#endif
