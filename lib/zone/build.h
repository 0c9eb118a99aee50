/* zone/build: makes a version of a zone, from nothing (AXFR, a zone file) or from a base
 * (IXFR). Records may come in any order; they are gathered in batches, sorted by owner,
 * type and RDATA, and merged into the tree. A duplicate record counts once. The TTL of an RRset whose records
 * differ in it is the lowest (RFC 2181 5.2). On any error of build_add, build_remove or build_flush the build is dead and
 * only build_free may follow;
 * the base is never touched. One thread.
 */
#ifndef ZONE_BUILD_H
#define ZONE_BUILD_H

#include "base/err.h"
#include "dns/rr.h"
#include "zone/zone.h"

struct build;

struct build_limits {
	uint64_t bytes;              /* most uncompressed octets: wire_bytes of struct zone */
	uint64_t records;
	uint32_t per_type;           /* most records in one RRset; 65,535 is the most in any case */
	uint32_t types;              /* most types at one name, RRSIG not counted */
};                                   /* 0: no limit */

/* `base` NULL: from nothing; else a new version of it (held until the build ends). NULL: out of memory. */
struct build *build_new(const uint8_t *apex, struct zone *base, struct build_limits);
/* For a view of `base`: a version beside it, no step of its lineage. What it changes lies apart and goes with it; the rest is the base's, which
 * it holds. So it may be made while the next version of the base is; and on any thread. NULL: out of memory. */
struct build *build_view(struct zone *base);
/* One record more. Refused (ERR_ZONE, `why` names the record): an owner not at or below the apex, a class other than IN, a meta
 * type, a TTL over 2^31-1 counts as 0 (RFC 2181 8). RDATA must have been checked (rr_read_rdata). ERR_LIMIT at a limit, `why` names
 * its key in the configuration; and for a record that fits no message even if it is alone there.
 * Copies what it needs. A record that is there already is left as it is, with a base too: real primaries (NSD 4.6) send
 * records in an IXFR that did not change. */
enum err build_add(struct build *, const struct rr *, struct why *);
/* One record less: ERR_MISMATCH, at this call or a later one, if it is not there. TTLs are not compared (RFC 1995 names
 * the record, RFC 2136 2.5.4 does the same). */
enum err build_remove(struct build *, const struct rr *, struct why *);
/* Checks the whole (one SOA, at the apex; NS at the apex; no CNAME beside other data; no SOA elsewhere) and returns the version,
 * held once. Either way the build is over and freed. */
enum err build_finish(struct build *, struct zone **out, struct why *);
void build_free(struct build *);             /* NULL is allowed */
/* Merges what has come so far: what does not fit shows now. */
enum err build_flush(struct build *, struct why *);
/* Records that were added though they were there already; exact after build_flush. */
uint64_t build_redundant(const struct build *);

#endif
