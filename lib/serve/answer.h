/* serve/answer: one request to one response, from one pinned version. No lock and no allocation; no system call but for
 * the log lines of refused transfers and bad signatures, a few in a second at most. The question is answered by serve/query.
 * Answers over UDP are limited by serve/limit, but not to clients that have shown who they are (a good cookie, a right signature).
 * RFC 1034 4.3.2, 2308, 4592, 6672, 6891, 8482; NOTIFY: RFC 1996 4.7; TSIG: RFC 8945 5; cookies: RFC 7873 5.2; the other options
 * of EDNS: serve/edns.
 * One `struct answer` for each thread.
 */
#ifndef SERVE_ANSWER_H
#define SERVE_ANSWER_H

#include "base/net.h"
#include "dns/msg.h"
#include "dns/tsig.h"
#include "serve/acl.h"
#include "serve/edns.h"
#include "serve/limit.h"
#include "serve/query.h"
#include "serve/request.h"
#include "zone/store.h"

/* Counted by each thread for itself, summed by whoever asks; never reset.  X(name) */
#define SERVE_COUNTERS(X) \
	X(queries_udp) X(queries_tcp) X(answers_udp) X(answers_tcp) X(dropped) X(truncated) X(edns) X(tsig_ok) X(tsig_bad) \
	X(rrl_dropped) X(rrl_slipped) X(rrl_would) X(rrl_allowed) X(cookies_new) X(cookies_good) X(cookies_bad) X(cookies_malformed) \
	X(rcode_noerror) X(rcode_formerr) X(rcode_servfail) X(rcode_nxdomain) X(rcode_notimp) X(rcode_refused) \
	X(rcode_notauth) X(rcode_other) \
	X(notify_received) X(notify_refused) X(notify_dropped) \
	X(axfr_out) X(ixfr_out) X(ixfr_out_whole) X(transfers_out_refused) X(transfers_out_failed) \
	X(tcp_accepted) X(tcp_rejected) X(tcp_timeouts) \
	X(tcp_limited) X(tcp_slow) X(tls_accepted) X(tls_resumed) X(tls_failed) X(queries_tls)
struct serve_counters {
#define SERVE_COUNTER(name) uint64_t name;
	SERVE_COUNTERS(SERVE_COUNTER)
#undef SERVE_COUNTER
};

/* Told of each NOTIFY that the zone's policy heeds, on a worker thread: must only queue, without waiting. False: there was no room
 * for it, and the sender gets SERVFAIL. */
typedef bool notify_heard(void *ctx, const uint8_t *zone, const struct net_addr *from, const struct tsig_key *key, bool has_serial,
	struct serial serial);

/* Of the connections of one thread (serve/tcp). */
struct tcp_limits {
	unsigned clients;            /* connections at all listeners together; beyond it one gives way as serve/crowd has it */
	uint32_t idle_ms;            /* silence; the time for a handshake, and for a request to come to its end */
	uint32_t transfer_idle_ms;   /* while a transfer goes out: silence, and the time for 64 KB of it to be taken; 0: as idle_ms */
	uint32_t transfer_ms;        /* for a transfer in all; 0: no limit */
	unsigned share;              /* of how many threads `clients` is for; 0: of one */
};

/* The same for all zones; one object for each configuration, never changed, replaced as a whole under the store's
 * read sections (serve_settings_get is between store_enter and store_leave). */
struct serve_settings {
	const char *identity;        /* CH TXT id.server, hostname.bind (NULL: REFUSED), and NSID (RFC 5001) */
	const char *version;         /* CH TXT version.bind, version.server; NULL: REFUSED */
	const struct cookie_secrets *cookies;   /* NULL: COOKIE options are ignored */
	struct limit_rules limit;
	uint16_t udp_payload;        /* our EDNS size, and the most we send over UDP: 1232; 512 to ANSWER_UDP_MAX */
	bool minimal;                /* no addresses of hosts that an answer names but nameservers */
	const struct tsig_key *keys; /* array */
	size_t key_count;
	notify_heard *notify;        /* may be NULL */
	void *notify_ctx;
	struct tls_server *tls;      /* for connections over TLS; NULL: there are none. Borrowed */
	struct tcp_limits tcp;       /* clients 0: not given */
};

/* The per-zone part, behind a store_zone's policy. */
struct serve_policy {
	struct store_policy base;
	struct acl transfer;         /* who may AXFR/IXFR */
	struct acl notify;           /* whose NOTIFY is heeded */
};

enum { ANSWER_UDP_MAX = 4096 };  /* most octets of a response over UDP, whatever is configured */

struct answer {
	const struct store *store;
	struct serve_counters *counters;
	struct msg_writer writer;
	struct tsig tsig;            /* of the request at hand */
	uint64_t log_second;         /* when log lines were last written, */
	unsigned log_lines;          /* how many in that second, */
	unsigned log_left_out;       /* and how many were not, since the last one that was */
	struct limit *limit;         /* NULL: none; taken over, set after answer_init */
};
void answer_init(struct answer *, const struct store *, struct serve_counters *);
void answer_release(struct answer *);
/* About once a second, between store_enter and store_leave: logs which clients have been limited, or are no longer. */
void answer_tick(struct answer *, const struct serve_settings *, int64_t now_ms);

struct answer_request {
	const uint8_t *bytes;
	size_t length;
	struct net_addr from;
	bool tcp;
	bool secure;                 /* over TLS (then tcp too): the answer is padded for a client that pads */
	const struct tls_shown *shown;       /* the certificate that the client has shown; NULL: none */
	uint32_t idle_ms;            /* how long the connection may be idle: told to a client that asks (RFC 7828) */
	uint64_t now;                /* seconds since 1970, for TSIG and cookies */
	int64_t now_ms;              /* of clock_ms, for limits and for what is left until a zone expires */
	const char *no_transfer;     /* why this connection may not carry a transfer; NULL: it may */
};
enum answer_action {
	ANSWER_SEND,                 /* `out` holds the response */
	ANSWER_DROP,                 /* no response: not a query, too short to have an ID, or over the limit */
	ANSWER_TRANSFER,             /* an allowed AXFR or IXFR over TCP: serve/outgoing goes on from `transfer` */
};
/* What serve/outgoing needs to begin: the version is held for it. */
struct answer_transfer {
	struct zone *zone;
	struct history *history;     /* IXFR: the steps that there are, held; NULL: none */
	uint16_t id, flags;          /* flags: what a reply to the request repeats of them */
	uint16_t type;               /* RR_AXFR or RR_IXFR */
	struct serial from_serial;   /* IXFR: what the client has */
	uint8_t qname[NAME_SIZE];
	bool edns;
	uint16_t options_length;
	uint8_t options[EDNS_OPTIONS_MAX];   /* for each message's OPT */
	bool pad;                    /* each message is padded */
	struct tsig tsig;            /* taken over, with the request's MAC; its key is borrowed from the settings */
};
/* Call between store_enter and store_leave. `out` has room for 65,535 octets over TCP, ANSWER_UDP_MAX over UDP. After
 * ANSWER_TRANSFER the caller hands `transfer` to outgoing_new before store_leave. */
enum answer_action answer(struct answer *, const struct serve_settings *, const struct answer_request *,
	uint8_t *out, size_t *length, struct answer_transfer *transfer);

/* The same in three steps, for many requests at once. answer_read takes a request apart; answer_find finds what each of them
 * (TREE_AHEAD_MAX at most) asks for, all in step, so that the memory's latency is paid for once; answer_reply is the rest. The last two
 * between the same store_enter and store_leave, with the same settings. */
struct answer_work {
	enum request_verdict verdict;
	struct request rq;
	struct tree_name name;       /* of the question */
	const struct store_zone *place;      /* NULL: no zone of ours, or it is not a question for which one is looked for; */
	const struct zone *zone;             /* its version; */
	enum store_state state;              /* or why there is none */
	struct query_wish wish;
	struct query_lead lead;
};
void answer_read(struct answer_work *, const struct answer_request *);
void answer_find(const struct answer *, const struct serve_settings *, struct answer_work *, unsigned count);
enum answer_action answer_reply(struct answer *, const struct serve_settings *, const struct answer_request *,
	const struct answer_work *, uint8_t *out, size_t *length, struct answer_transfer *transfer);

#endif
