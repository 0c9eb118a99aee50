/* zone/diff: one step from a version of a zone to another: which records go and which come. Made by comparing two versions, which
 * costs what they differ in where one was built from the other, and a walk through both where they have nothing in common; so it is condensed,
 * whatever way led from one to the other. Feeds zone/journal, zone/history, serve/outgoing (RFC 1995) and who judges changes.
 *
 *   step 3 -> 7:   SOA 3 | removed, in canonical order | SOA 7 | added, in canonical order
 *
 * A record that is the same but for its TTL, or for the case of its letters, is removed and added. Immutable once made, so any thread may
 * read it; it lives as long as somebody holds it. It lies in memory as it is stored: diff_bytes.
 */
#ifndef ZONE_DIFF_H
#define ZONE_DIFF_H

#include "base/err.h"
#include "dns/serial.h"
#include "zone/build.h"
#include "zone/zone.h"

struct diff;

struct diff *diff_hold(struct diff *);       /* one more holder; returns it */
void diff_drop(struct diff *);               /* NULL is allowed; the last holder frees */

/* From `older` to `newer`, versions of one zone that are held meanwhile; held once by the caller. ERR_LIMIT: it would have more than `most`
 * octets (of diff_bytes; 0: no limit but 2 GB). ERR_MISMATCH: two zones. ERR_NOMEM. Any thread. */
enum err diff_make(const struct zone *older, const struct zone *newer, uint64_t most, struct diff **out);
/* `n` steps (1 or more), each from where the one before leads to, as one: what diff_make gives for the two ends. ERR_LIMIT, ERR_NOMEM as
 * above; ERR_MISMATCH: they do not follow on each other. */
enum err diff_join(struct diff *const *steps, size_t n, uint64_t most, struct diff **out);
/* The version that the step leads to: the one given with the changes, held once by the caller. ERR_MISMATCH: it is not the version, or not the
 * content, that the step begins with; else as build_finish. `base` is the newest version of its lineage. On the thread that builds. */
enum err diff_apply(struct zone *base, const struct diff *, struct build_limits, struct zone **out, struct why *);

/* Its encoding, which lives as long as the diff. */
const uint8_t *diff_bytes(const struct diff *, size_t *length);
/* The diff of an encoding (copied). Believes nothing: lengths, names, RDATA, order. ERR_DAMAGED, and `why` says what; ERR_NOMEM. */
enum err diff_read(const uint8_t *bytes, size_t length, struct diff **out, struct why *);

const uint8_t *diff_apex(const struct diff *);
struct serial diff_from(const struct diff *);
struct serial diff_to(const struct diff *);
/* Octets of its records, both SOAs included, uncompressed, as zone.wire_bytes counts them. */
uint64_t diff_octets(const struct diff *);
uint32_t diff_removed(const struct diff *);  /* records, the SOA not counted */
uint32_t diff_added(const struct diff *);
/* Nothing differs, not even the SOA. */
bool diff_is_empty(const struct diff *);

/* The records in the order of RFC 1995 4: the old SOA, what is removed, the new SOA, what is added. `rr` is valid until the next call. */
struct diff_walk {
	const struct diff *diff;
	const uint8_t *at;
	unsigned part;               /* 0: what is removed, 1: what is added */
	bool begun;                  /* the part's SOA has been given */
	uint8_t owner[NAME_SIZE];
};
void diff_walk(struct diff_walk *, const struct diff *);
bool diff_next(struct diff_walk *, struct rr *, bool *removed);

/* The same for `n` steps that follow on each other, as if they were joined, record by record without making the one. The steps are borrowed
 * until diff_merge_free. NULL: out of memory, or they do not follow on each other. */
struct diff_merge;
struct diff_merge *diff_merge_new(struct diff *const *steps, size_t n);
bool diff_merge_next(struct diff_merge *, struct rr *, bool *removed);
void diff_merge_free(struct diff_merge *);   /* NULL is allowed */

#endif
