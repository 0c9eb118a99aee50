/* check/survey: what was found out about a zone: who the parent says serves it, who its apex says, where they are, and what each answered.
 * Plain data: check/delegation fills it, check/verdict judges it. It owns all that hangs on it, replies too. A reply that is NULL was not asked
 * for, or was still out when time was up (then a gap says so).
 */
#ifndef CHECK_SURVEY_H
#define CHECK_SURVEY_H

#include "check/reply.h"
#include "dns/name.h"

#include <stddef.h>

enum {
	SURVEY_NS_MAX = 64,          /* names */
	SURVEY_SERVERS_MAX = 64,     /* addresses of theirs */
	SURVEY_PARENTS_MAX = 32,     /* addresses of the parent's servers */
	SURVEY_GAPS_MAX = 100,
	SURVEY_OCTETS_MAX = 16 << 20,        /* of all replies; what comes after that is REPLY_GARBAGE */
};

/* --- what is to be found out; all of it borrowed until the survey is done ----------- */

struct tls_client;
struct tsig_key;

struct survey_given {            /* NAME[/ADDRESS[@PORT]] */
	const uint8_t *name;
	struct net_addr address;     /* AF_UNSPEC: by resolution. Where a name has given addresses, only these are asked (but see resolve_given). */
};
struct survey_primary {
	const char *name;
	struct net_addr address;
	const struct tsig_key *key;  /* as in struct probe_ask; in the survey NULL, */
	struct tls_client *tls;      /* this too */
	const char *unasked;         /* why it cannot be asked, which is a gap; NULL: it can */
	bool passed_over;            /* it is not asked, which is no gap: its serial is not known */
	struct reply *soa;
};
struct survey_settings {
	const struct survey_given *given; size_t given_count;
	const uint8_t *const *providers; size_t provider_count;      /* names of nameservers that should serve it */
	const struct survey_primary *primaries; size_t primary_count;        /* asked for their serial; soa NULL */
	const struct net_addr *no_transfer; size_t no_transfer_count; /* where a transfer is not tried; without the port */
	const struct net_addr *resolvers; size_t resolver_count;     /* in order of preference */
	struct net_addr parent;      /* asked for the delegation; AF_UNSPEC: the parent's servers, found through the resolver */
	uint16_t port;               /* of nameservers found by name, the parent's too; 0: 53 */
	bool no_v4, no_v6;           /* nameservers' addresses of that family are not asked */
	bool no_transfers;           /* none is tried anywhere */
	bool only_given;             /* other names are learned, but not resolved or asked; a zone that is not delegated (yet) is no gap */
	/* A name with given addresses is resolved too, unless it lies in the zone: what comes is not asked, but can be compared. */
	bool resolve_given;
};

/* --- what was found out ------------------------------------------------------------- */

enum {
	FROM_PARENT = 1,             /* the delegation at some server of the parent; of the root, what the resolver says */
	FROM_CHILD = 2,              /* the apex NS set at some server */
	FROM_GIVEN = 4,
	FROM_PROVIDER = 8,
};
struct survey_ns {               /* a nameserver by name */
	const uint8_t *name;
	unsigned from;
	bool has_given;              /* it has given addresses */
	bool resolving;              /* the following are asked for */
	struct reply *a, *aaaa;      /* as resolved, aliases and all */
};
struct survey_parent {           /* one address of one of the parent's servers */
	const uint8_t *name;         /* the root's: given as an address */
	struct net_addr address;
	/* NS of the zone, RD=0, EDNS, DO. From a server that serves both zones it is the child's set, in the answer, with AA. */
	struct reply *referral;
	struct reply *referral_512;  /* the same without EDNS, not followed over TCP: truncated, or over 512 octets, it is REFERRAL-SIZE */
	struct reply *ds;            /* DS of the zone */
};
enum { SURVEY_REPLIES = 17 };
struct survey_server {           /* one address of one nameserver of the zone */
	size_t ns;                   /* index into survey.ns */
	struct net_addr address;
	bool given;                  /* by the operator; else: */
	bool glue, resolved;         /* where the address comes from */
	bool serves;                 /* it shows the zone's SOA with authority; else nothing was asked but the first three */
	union {
		struct {
			struct reply *soa;           /* DO, as all others but where said */
			struct reply *plain_soa;     /* without EDNS; where only this is answered well, the others are asked so too */
			struct reply *tcp_soa;       /* without EDNS too: it is about TCP alone */
			struct reply *edns1;         /* SOA, EDNS version 1: should be BADVERS */
			struct reply *ns_set, *dnskey, *cds, *cdnskey, *csync, *nsec3param;
			struct reply *a, *aaaa, *mx; /* at the apex */
			struct reply *www_a, *www_aaaa;
			struct reply *axfr;          /* its first message */
			struct reply *soa_again;     /* at the end: a serial that changes meanwhile */
		};
		struct reply *replies[SURVEY_REPLIES];
	};
};
/* Which of `replies` it is, by its name. */
#define SURVEY_SLOT(field) \
	(offsetof(struct survey_server, field) / sizeof(struct reply *) - offsetof(struct survey_server, replies) / sizeof(struct reply *))
/* What could not be found out, one line each; a CHECK-INCOMPLETE. Not what a reply here says for itself: a name that does not resolve, a server
 * that gives no answer to something; but what of a server's samples (apex A, AAAA, MX, www) was not told, and all about the parent. */
struct survey_gap { const char *what; };

struct survey {
	struct arena arena;
	const uint8_t *zone;
	uint8_t parent_zone[NAME_SIZE]; bool parent_found;   /* by name; not where a parent's address was given */
	struct survey_parent *parents; size_t parent_count;
	struct survey_ns *ns; size_t ns_count;
	struct survey_server *servers; size_t server_count;
	struct survey_primary *primaries; size_t primary_count;
	/* The zone is no apex: the parent does not delegate it, none of the servers asked serves it; it lies in this one. */
	const uint8_t *enclosing;
	struct survey_gap *gaps; size_t gap_count;
	int64_t began, ended;        /* seconds since 1970 */
};

/* NULL: out of memory. */
struct survey *survey_new(const uint8_t *zone);
void survey_free(struct survey *);           /* NULL is allowed */

/* For who fills it. NULL: out of memory, or there are as many as may be (a gap says so). */
struct survey_ns *survey_find_ns(struct survey *, const uint8_t *name);      /* NULL: there is none */
struct survey_ns *survey_add_ns(struct survey *, const uint8_t *name);
struct survey_server *survey_find_server(struct survey *, size_t ns, const struct net_addr *);
struct survey_server *survey_add_server(struct survey *, size_t ns, const struct net_addr *);
struct survey_parent *survey_add_parent(struct survey *, const uint8_t *name, const struct net_addr *);      /* or the one that is there */
/* One that is there already is not added again. */
void survey_add_gap(struct survey *, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
