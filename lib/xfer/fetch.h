/* xfer/fetch: one exchange with one address of one primary: its SOA over UDP (TCP after truncation, or when UDP stays silent), or
 * a transfer over TCP; over TLS (RFC 9103) both, and nothing of it in any other way. It sends, receives, verifies and counts; what the
 * records mean is xfer/stream's. Queries ask for EXPIRE (RFC 7314); a server that does not bear EDNS is asked without, at once where it
 * says so, after a while where it is silent. Connections are xfer/link's: kept, and shared.
 * On the event loop of the thread that starts it; `done` is called once, from the loop, never from fetch_start.
 */
#ifndef XFER_FETCH_H
#define XFER_FETCH_H

#include "base/net.h"
#include "dns/tsig.h"
#include "xfer/link.h"
#include "xfer/stream.h"

struct event_base;
struct fetch;
struct tls_client;

enum fetch_kind { FETCH_SOA, FETCH_IXFR, FETCH_AXFR };
enum fetch_transport { FETCH_UDP, FETCH_TCP, FETCH_TLS };
const char *fetch_transport_name(enum fetch_transport);      /* "udp", "tcp", "tls" */

/* How it went; what may be tried next follows from it. */
enum fetch_outcome {
	FETCH_OK,            /* SOA: `serial`; transfer: `version` */
	FETCH_CURRENT,       /* IXFR: the primary has nothing newer */
	FETCH_NETWORK,       /* no connection, no answer, or broken off: another address or primary */
	FETCH_PROTOCOL,      /* answered, but not acceptably; `axfr_may_help` */
	FETCH_TSIG_FAILED,   /* not signed as it must be, or our signature was refused */
	FETCH_BACK,          /* IXFR: its serial is older than ours */
	FETCH_NO_MEMORY,
};
const char *fetch_outcome_name(enum fetch_outcome);

struct fetch_times {
	uint32_t connect_ms;         /* until connected; also for one UDP answer at most */
	uint32_t idle_ms;            /* without an octet */
	uint32_t total_ms;           /* a whole transfer; a SOA query has its own bound, from the other two */
	uint32_t rate;               /* octets a second that a transfer must bring, over any twice `idle_ms`; 0: any */
	uint32_t messages;           /* most messages of a transfer; 0: any number */
};
enum { FETCH_LATE_MS = 2500 };
struct fetch_ask {
	enum fetch_kind kind;
	bool stream_only;            /* a SOA query goes over a connection at once, not by UDP */
	const uint8_t *zone;
	struct net_addr to;
	const struct tsig_key *key;  /* copied; NULL: unsigned */
	struct tls_client *tls;      /* held; NULL: without TLS */
	struct zone *base;           /* IXFR: our version */
	struct build_limits limits;
	struct fetch_times times;
	struct links *links;         /* the connections to choose from */
	struct peer *peer;           /* what is known of the address, and learned; NULL: nothing */
	/* May be NULL, else called with `ctx`, once each at most, before `done`: nothing was heard for FETCH_LATE_MS; something is heard. */
	void (*late)(void *ctx);
	void (*heard)(void *ctx, enum fetch_transport);
	int64_t (*now)(void);        /* ms that never go back, for what is counted as time */
	uint64_t (*unix_time)(void); /* seconds since 1970, for TSIG */
};
struct fetch_result {
	enum fetch_outcome outcome;
	struct why why;
	const char *reason;          /* of a refused stream: its name; else NULL */
	bool axfr_may_help;
	enum fetch_transport transport;
	bool heard;                  /* something came from there, over TCP any octet */
	bool kept;                   /* its connection was there already */
	bool ours;                   /* NETWORK: it failed here, for want of a socket, and says nothing of the primary */
	bool has_expire;
	uint32_t expire;             /* seconds until the primary's copy expires (RFC 7314) */
	bool has_serial;
	struct serial serial;        /* the primary's */
	struct zone *version;        /* held once, for the callee to take (set to NULL) or lose */
	bool incremental;            /* what came: differences, or a whole zone */
	unsigned sequences;
	uint64_t redundant;          /* records that came though they were there already */
	uint64_t messages, records, bytes;
	uint32_t ms;
};
typedef void fetch_done(void *ctx, struct fetch_result *);

/* NULL: out of memory. Everything in `ask` is copied or held. */
struct fetch *fetch_start(struct event_base *, const struct fetch_ask *, fetch_done *, void *ctx);
/* Ends it without calling `done`. NULL is allowed. */
void fetch_cancel(struct fetch *);
/* Records and octets so far, for who waits. */
void fetch_progress(const struct fetch *, uint64_t *records, uint64_t *bytes);

#endif
