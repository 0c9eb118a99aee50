/* xfer/notify: tells the servers downstream of a new serial (RFC 1996): over UDP, or over TLS alone where that is configured,
 * signed where they have a key, repeated until answered, a bounded number of times. A newer serial replaces an older one that is
 * still being told. Every address has its own queue: one that is silent does not hold up the others. On the event loop's thread.
 */
#ifndef XFER_NOTIFY_H
#define XFER_NOTIFY_H

#include "base/net.h"
#include "dns/tsig.h"
#include "zone/zone.h"

struct event_base;
struct notifier;
struct tls_client;

struct notify_target {
	const char *name;            /* the remote's, for the log */
	const struct net_addr *addresses;
	size_t address_count;        /* all of them are told */
	const struct tsig_key *key;
	struct tls_client *tls;      /* NULL: over UDP */
};

struct notifier *notifier_new(struct event_base *, uint64_t (*unix_time)(void));
void notifier_free(struct notifier *);
/* Tells all targets of the version's serial. Everything is copied. `done` (may be NULL) is called once from the loop,
 * with how many addresses answered and how many did not. */
typedef void notify_done(void *ctx, const uint8_t *zone, unsigned answered, unsigned failed);
void notify_send(struct notifier *, const struct zone *version, const struct notify_target *, size_t count,
	notify_done *done, void *ctx);
/* Forgets what is being told of the zone; its `done` is called. */
void notify_cancel(struct notifier *, const uint8_t *zone);

#endif
