/* zone/zonemd: whether a version is what its ZONEMD records say (RFC 8976): scheme SIMPLE, SHA-384 and SHA-512. What follows from that
 * is run/judge's part. Of a held version; pure; any thread. It reads the whole zone: some ten million records a second.
 */
#ifndef ZONE_ZONEMD_H
#define ZONE_ZONEMD_H

#include "base/err.h"
#include "zone/zone.h"

enum zonemd_verdict {
	ZONEMD_ABSENT,       /* the apex has no ZONEMD record */
	ZONEMD_UNKNOWN,      /* none of a scheme and a hash that are known here */
	ZONEMD_RIGHT,        /* one of them fits: that is enough (RFC 8976 4) */
	ZONEMD_WRONG,        /* some are known here, and none of these fits */
};
/* `why` says what is wrong, unless it is RIGHT. ERR_NOMEM: no verdict. */
enum err zonemd_check(const struct zone *, enum zonemd_verdict *, struct why *why);

#endif
