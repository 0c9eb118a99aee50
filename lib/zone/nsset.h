/* zone/nsset: the NS set that a zone's apex is wanted to show: whether a version shows it, and the version that does:
 *
 *     as it came   1 ──────► 2 ──────► 3        what IXFR goes on from, and the database holds
 *                  │view     │view     │view
 *     as served    1' ─────► 2' ─────► 3'       what queries, servers downstream and the zone file see
 *
 * A view costs the apex alone, however large the zone is (build_view). Names are compared, in any order, whatever their case; TTLs are not. A version
 * with signatures or a digest (ZONEMD) is never changed. Pure; any thread.
 */
#ifndef ZONE_NSSET_H
#define ZONE_NSSET_H

#include "base/err.h"
#include "zone/diff.h"

struct nsset {
	const uint8_t *const *names;         /* in canonical order, no two the same; borrowed */
	size_t count;
	uint32_t ttl;                /* of a set that is put in place; 0: that of the set there */
};

/* Sorts `names`, drops what is there twice, and returns how many are left. */
size_t nsset_sort(const uint8_t **names, size_t count);
bool nsset_equal(const struct nsset *, const struct nsset *);
/* The version's apex shows these names and no others. */
bool nsset_shown(const struct nsset *, const struct zone *);
/* Says what is not right: "the apex NS set lacks ns2.b. and has ns3.c. besides what is configured". */
void nsset_say(const struct nsset *, const struct zone *, struct why *);
/* It has signatures or a digest. */
bool nsset_sealed(const struct zone *);
/* The version to be served, held once by the caller: `version` itself where its set is right already (and its TTL, where one is
 * wanted and the version is not sealed), else a view of it. ERR_ZONE: it is sealed, and its set is not right; ERR_NOMEM. */
enum err nsset_view(const struct nsset *, struct zone *version, struct zone **out, struct why *);
/* How what was served differs from what is now, by the step between the versions that they are of (as is, where neither is a view), held once by
 * the caller; NULL: it is more than `most` octets, or there is no memory. Costs what the step is long. */
struct diff *nsset_step(struct zone *served, struct zone *of, struct diff *step, struct zone *version, struct zone *now, uint64_t most);

#endif
