/* check/answered: how each nameserver answers: UNREACHABLE, LAME, TCP-FAIL, EDNS-FAIL, ADDRESS-ODD, RECURSION, TRANSFER-OPEN; and
 * CHECK-INCOMPLETE for what one was asked in vain. Pure.
 */
#ifndef CHECK_ANSWERED_H
#define CHECK_ANSWERED_H

#include "check/facts.h"

void answered_judge(const struct facts *);
/* Whether EDNS is answered as it must be (RFC 6891 6.1.3, 7); NULL: it is, or was not asked. Else what is wrong; `room` is where that may be put. */
const char *answered_edns_fault(const struct facts_server *, char room[160]);

#endif
