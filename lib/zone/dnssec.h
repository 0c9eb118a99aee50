/* zone/dnssec: whether a signed version validates, as a resolver would see it (RFC 4035 5, RFC 5155): the keys sign themselves, each
 * authoritative RRset has a right signature, and the chain of NSEC or NSEC3 records is closed, names exactly the names there are, and their
 * types. Delegations, with DS, without, and under opt-out, and what lies below them, are told apart. A version without keys and signatures is
 * unsigned, and passes. Whether the parent's DS fits is not asked. Of held versions; any thread; a signature costs some 0.1 ms.
 */
#ifndef ZONE_DNSSEC_H
#define ZONE_DNSSEC_H

#include "base/err.h"
#include "zone/zone.h"

#include <stdatomic.h>

bool dnssec_is_signed(const struct zone *);

/* The whole version, at the time `now` (seconds since 1970). ERR_ZONE: `why` names the RRset and says what is wrong with it; ERR_NOMEM;
 * ERR_ORDER: somebody has set `stop` (NULL: nobody will). */
enum err dnssec_check(const struct zone *, uint64_t now, const atomic_bool *stop, struct why *why);
/* The same for a version made from `older`, which had passed: only the names that differ and their neighbours are looked at, or
 * all, if it has other keys, another chain, or something is not explained by what differs. `names` (lower or upper case, in any
 * order, twice or not) are all owners whose records differ. */
enum err dnssec_check_change(const struct zone *, const struct zone *older, const uint8_t *const *names, size_t count, uint64_t now,
	const atomic_bool *stop, struct why *why);

#endif
