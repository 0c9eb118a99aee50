/* serve/query: the answer to one question from one version of a zone: RFC 1034 4.3.2 step 3, with RFC 2308 (negative
 * answers), 4592 (wildcards), 6604 and 6672 (aliases), 8482 (ANY), 9471 (glue). Pure; allocates nothing.
 *
 *   look up ──► node ──► the RRset ──► addresses of the hosts that it names
 *     ▲          │ └───► no such RRset ──► SOA
 *     │          └─────► CNAME ─┐                      none ──► SOA, NXDOMAIN
 *     └── the alias' target ◄───┴── DNAME              cut ───► NS and glue
 */
#ifndef SERVE_QUERY_H
#define SERVE_QUERY_H

#include "dns/msg.h"
#include "zone/zone.h"

enum query_fit {
	QUERY_FITS,
	QUERY_GLUE_LEFT,     /* but for glue that the referral needs (RFC 9471 3) */
	QUERY_FULL,          /* it does not: the message is as it was */
};
struct query_result {
	enum msg_rcode rcode;
	bool aa;
	enum query_fit fit;
};
/* The writer holds the question, and nothing else; `name` (at or below the apex) and `type` are what it asks. */
struct query_result query_answer(struct msg_writer *, const struct zone *, const uint8_t *name, uint16_t type);
/* The zone's SOA into a section, with a TTL of at most `ttl_max`. False: it does not fit. */
bool query_put_soa(struct msg_writer *, enum msg_section, const struct zone *, uint32_t ttl_max);

#endif
