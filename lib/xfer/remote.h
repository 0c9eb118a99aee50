/* xfer/remote: one primary as a zone is configured to ask it: its addresses, which of them may be asked now, and what an exchange with one says of
 * it to all zones (xfer/peer, xfer/primary). What is found out is logged once, be it for questions, for transfers, or both.
 */
#ifndef XFER_REMOTE_H
#define XFER_REMOTE_H

#include "dns/tsig.h"
#include "xfer/primary.h"

struct tls_client;

struct secondary_remote {
	const char *name;
	const struct net_addr *addresses;
	size_t address_count;
	const struct tsig_key *key;
	struct primary *primary;
	struct tls_client *tls;      /* NULL: it is asked without TLS; else never without it */
};

/* NULL: out of memory; nothing is known of it then, and it may be asked. */
struct peer *remote_peer(const struct secondary_remote *, size_t address);

/* How an address is to be asked. */
struct remote_ask {
	enum primary_lane lane;
	int64_t now;                 /* ms */
	bool forced;                 /* though it is held, but for one that failed after `since` */
	int64_t since;
};
bool remote_may_ask(const struct secondary_remote *, size_t address, const struct remote_ask *);
bool remote_any_may_ask(const struct secondary_remote *, const struct remote_ask *);
/* Whether who sleeps at the primary is woken when one of these addresses is heard. */
bool remote_may_sleep(const struct secondary_remote *);

/* Of an exchange with an address that was begun at `began`: an octet came (`stream`: over TCP or TLS). True: it was held until now. */
bool remote_heard(const struct secondary_remote *, size_t address, bool stream, int64_t now);
/* Nothing came for long. */
void remote_late(const struct secondary_remote *, size_t address, const struct remote_ask *, int64_t began);
/* It came to nothing, without an octet. True: it is held from now on. */
bool remote_failed(const struct secondary_remote *, size_t address, const struct remote_ask *, int64_t began, uint32_t random, const char *why);

/* The best of its addresses, each being as good as on the worse of its two lanes. */
struct remote_health {
	enum peer_health health;
	unsigned failures;           /* in a row */
	int64_t until;               /* PEER_HELD: when it may be tried again */
	const char *why;             /* the last failure; "": there was none */
};
struct remote_health remote_health(const struct secondary_remote *);

#endif
