/* check/reply: one response, read from the wire and kept: its header, EDNS, and its records, names expanded, in order. What comes is
 * hostile: its octets when expanded are bounded. Built by check/probe, read by everybody in this room. Pure.
 */
#ifndef CHECK_REPLY_H
#define CHECK_REPLY_H

#include "base/arena.h"
#include "base/err.h"
#include "base/net.h"
#include "dns/rr.h"

enum reply_outcome {
	REPLY_NONE,          /* it was not asked: no socket could be had (`why`) */
	REPLY_OK,            /* an answer to the question; its RCODE may be any */
	REPLY_TIMEOUT,
	REPLY_UNREACHABLE,   /* no route, an ICMP error, connection refused */
	REPLY_CLOSED,        /* TCP: closed in the middle, or without a word */
	REPLY_GARBAGE,       /* something came, but no answer to the question */
};
enum { REPLY_OCTETS_MAX = 256 << 10 };  /* of names and RDATA, expanded. A message of short records with long names may have more, and is refused */

struct reply {
	enum reply_outcome outcome;
	struct why why;              /* where it is not REPLY_OK */
	bool aa, tc, ra, ad;         /* of the header */
	bool bare;                   /* without the question, as some refuse what they cannot read */
	unsigned rcode;              /* with EDNS's upper bits */
	bool edns, do_bit;
	uint8_t edns_version;
	uint16_t edns_payload;
	bool tcp;                    /* how it came; or how it was asked last */
	bool odd;                    /* UDP: it came from another address than was asked: `odd_from` */
	struct net_addr odd_from;
	uint32_t rtt_us;             /* from the last time that it was asked */
	size_t size;                 /* of the message */
	/* Each section in order of owner, class, type, RDATA (canonical order), without OPT; the same record only once. */
	const struct rr *answer, *authority, *additional;
	size_t answer_count, authority_count, additional_count;
	struct arena arena;          /* all of the above */
};

/* Of `message` nothing is kept. REPLY_OK only if ID, QR, opcode and question are right and every record is what its type wants (in
 * a truncated message the last may be cut off); else REPLY_GARBAGE. Of an AXFR only the first record is read and kept. Without a
 * question only an error is an answer. TTLs over 2^31 - 1 are 0 (RFC 2181 8). NULL: out of memory. */
struct reply *reply_read(const uint8_t *message, size_t length, uint16_t id, const uint8_t *name, uint16_t type, uint16_t class);
struct reply *reply_none(enum reply_outcome, const struct why *);    /* `why` may be NULL */
void reply_discard(struct reply *);  /* its records are given back, and it is REPLY_GARBAGE; `why` is the caller's */
void reply_free(struct reply *);     /* NULL is allowed */

/* An answer of any RCODE; and one that tells what there is: NOERROR or NXDOMAIN. False for NULL. */
bool reply_answered(const struct reply *);
bool reply_told(const struct reply *);

/* The records of a section with this owner and type, of class IN: they stand together. NULL and 0: there are none. */
const struct rr *reply_find(const struct rr *section, size_t count, const uint8_t *owner, uint16_t type, size_t *found);
/* The delegation of `zone` in an answer of its parent's server, NS records; NULL: none. From a server of both zones it is the child's set that
 * comes, in the answer, with authority: `as_child`. Without authority it is no delegation, but what a resolver or a lame server says. */
const struct rr *reply_delegation(const struct reply *, const uint8_t *zone, bool *as_child, size_t *found);
/* What came of it, in a word or a line: "REFUSED", "timed out", "NOERROR". `out` is where a word may be put. */
const char *reply_says(const struct reply *, char out[16]);

#endif
