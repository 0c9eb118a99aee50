/* check/spread: whether the nameservers can all fail at once: DIV-COUNT, DIV-PROVIDER, DIV-TLD, DIV-PREFIX, DIV-FAMILY. Pure.
 */
#ifndef CHECK_SPREAD_H
#define CHECK_SPREAD_H

#include "check/facts.h"

void spread_judge(const struct facts *);

#endif
