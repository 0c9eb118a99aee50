/* check/compare: whether an answer is what a version of the zone says to the question: RDATA, TTLs, what is missing and what is too much,
 * the RCODE, and whether there are signatures and proofs (not which: servers may sign for themselves).
 *
 *   the zone has         the answer must have
 *   the RRset            it, in the answer section
 *   a CNAME, a DNAME     that; what the alias leads to is of no interest
 *   a zone cut           the NS records that delegate, unless the server answers for the zone below too
 *   another type         NOERROR, and no records of the name (also at empty non-terminals)
 *   nothing              NXDOMAIN; or NOERROR with the proof of RFC 9824
 *
 * No difference are: the order of records, letter case in names, other records beside those, and a TTL in an answer without
 * authority, which may have been counted down. The zone's own rules are those of zone/zone: a wildcard's records are compared
 * under the name that was asked for. Pure, but for the memory that long records need.
 */
#ifndef CHECK_COMPARE_H
#define CHECK_COMPARE_H

#include "check/finding.h"
#include "check/questions.h"
#include "check/reply.h"

enum compare_result {
	COMPARE_SAME,
	COMPARE_DIFFERS,
	COMPARE_NO_ANSWER,           /* no message came that could be compared */
};
/* What is wrong above all, as a sentence about an RRset ends. */
enum difference_kind {
	DIFFERENCE_MISSING, DIFFERENCE_EXTRA, DIFFERENCE_RDATA, DIFFERENCE_TTL, DIFFERENCE_RCODE, DIFFERENCE_UNSIGNED, DIFFERENCE_SIGNED,
};
const char *difference_text(enum difference_kind);           /* "is missing" */

enum { DIFFERENCE_TEXT = 2000 };
/* One side of it: lines with an end each, cut before DIFFERENCE_TEXT ("..." is the last one then). A record as "TTL TYPE RDATA";
 * else, not beginning with a digit, a word: "NXDOMAIN", "NODATA" (NOERROR, and no such RRset), "SERVFAIL", "RRSIG", "no RRSIG",
 * "NSEC" (a proof), "no NSEC", "referral to NAME". Printable ASCII. */
struct difference_side {
	char text[DIFFERENCE_TEXT + 1];
	uint16_t length;
	bool full;
};
struct difference {
	enum difference_kind kind;
	const uint8_t *owner;        /* as it was asked; at a zone cut the delegation's */
	uint16_t type;
	struct difference_side expected, got;      /* only what is not the same */
};

/* Enters it as ANSWER-DIFF, each side in one line. False: it was lost, as with findings_add. */
bool difference_found(struct findings *, const char *server, const char *address, const uint8_t *owner, uint16_t type,
	enum difference_kind, const char *expected, const char *got);

/* `authoritative`: the server has shown that it is that of the zone, so that the TTLs of its referrals, which never have the AA bit, are
 * its own. `*out` is set with COMPARE_DIFFERS; its owner is in the question or the zone. */
enum compare_result compare_reply(const struct zone *, const struct question *, const struct reply *, bool authoritative, struct difference *out);

#endif
