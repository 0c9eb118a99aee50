/* check/serials: the SOA records that the nameservers show, against each other, the primaries, and what is remembered: SERIAL-LAG, SERIAL-STUCK,
 * SERIAL-AHEAD, SERIAL-BACK, SOA-DIFFERS, SOA-TIMERS, and the part of EXPIRE-HORIZON that is expiry; and TTL-SHORT. Pure.
 */
#ifndef CHECK_SERIALS_H
#define CHECK_SERIALS_H

#include "check/facts.h"
#include "check/memory.h"

/* Enters what is shown now; before all judging. */
void serials_remember(const struct facts *, struct memory *);
void serials_judge(const struct facts *, const struct memory *);
/* "3 days", "5 minutes". Returns out. */
const char *serials_span(int64_t seconds, char out[32]);

#endif
