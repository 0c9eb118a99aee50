/* check/delegated: what the parent's servers say against what the nameservers say: NS-SPLIT, NS-PARENT-EXTRA, NS-CHILD-EXTRA,
 * NS-TTL, TTL-NS, NS-EXPECTED, NS-APEX-IGNORED, and what the names in the sets lead to: NS-TARGET, GLUE-DRIFT, REFERRAL-SIZE. Pure.
 */
#ifndef CHECK_DELEGATED_H
#define CHECK_DELEGATED_H

#include "check/facts.h"

void delegated_judge(const struct facts *);

#endif
