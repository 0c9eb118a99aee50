/* serve/query: the answer to one question from one version of a zone: RFC 1034 4.3.2 step 3, with RFC 2308 (negative
 * answers), 4035 3.1 and 5155 7.2 (signed zones), 4592 (wildcards), 6604 and 6672 (aliases), 8482 (ANY), 9471 (glue). Pure; allocates
 * nothing.
 *
 *   look up ──► node ──► the RRset ──► addresses of the hosts that it names
 *     ▲          │ └───► no such RRset ──► SOA, proof
 *     │          └─────► CNAME ─┐                      none ──► SOA, NXDOMAIN, proof
 *     └── the alias' target ◄───┴── DNAME              cut ───► NS, DS or proof, glue
 */
#ifndef SERVE_QUERY_H
#define SERVE_QUERY_H

#include "dns/msg.h"
#include "zone/denial.h"

enum query_fit {
	QUERY_FITS,
	QUERY_GLUE_LEFT,     /* but for glue that the referral needs (RFC 9471 3) */
	QUERY_FULL,          /* it does not: the message is as it was */
};
struct query_result {
	enum msg_rcode rcode;
	bool aa;
	enum query_fit fit;
	int made_below;      /* a wildcard or a DNAME made what stands at the name: labels of its closest encloser; -1: nothing did */
};
struct query_wish {
	uint16_t type;
	bool dnssec;         /* the DO bit: signatures and proofs, if the zone has them (RFC 4035 3.1) */
	bool additional;     /* addresses of the hosts that an answer names, where there is room; those of nameservers go in any case */
};
/* What can be known of a question before its answer is written. */
enum { QUERY_HOSTS = 4, QUERY_HOST_KEY = 62 };
enum { QUERY_HOST_ELSEWHERE, QUERY_HOST_UNKNOWN, QUERY_HOST_KNOWN };
struct query_cut {
	struct zone_rrset ns, ds, sigs;      /* sigs: over the DS; count 0: none */
};
struct query_lead {
	struct zone_hit hit;
	struct query_cut cut;        /* what is there, if the hit is a zone cut */
	const uint8_t *hashed;       /* the part of the name that NSEC3 records will be looked up for first; NULL: none */
	struct denial_key key;
	unsigned hosts;              /* nameservers of a referral, the first ones, in their order */
	struct query_host {
		uint8_t place;       /* QUERY_HOST_ELSEWHERE: not in the zone; _UNKNOWN: the name is too long; _KNOWN: */
		uint8_t length;      /* the key of the name below the apex */
		uint8_t key[QUERY_HOST_KEY];
	} host[QUERY_HOSTS];
};
void query_lead(struct query_lead *, const struct zone *, const struct tree_name *, struct query_wish);
/* What else the answer will look up in the zone's trees: sets up to 1 + QUERY_HOSTS searches, which borrow from the lead; their number. */
unsigned query_ahead(const struct query_lead *, const struct zone *, struct tree_ahead *);
/* The writer holds the question, and nothing else; `name` (at or below the apex) is what it asks. */
struct query_result query_answer(struct msg_writer *, const struct zone *, const struct tree_name *name, struct query_wish,
	const struct query_lead *);

#endif
