/* run/readying: `lockstep ready`: whether the given nameservers could be told to the registrar now, and if not, what is to be mended, in
 * order; and with --watch the way until the parent and all of them show the new set.
 */
#ifndef RUN_READYING_H
#define RUN_READYING_H

#include "base/err.h"
#include "run/command.h"

/* The exit status: 0 yes, 1 yes with warnings, 2 no, 3 it could not be told; `why` where nothing was printed on standard output. */
int readying_run(const struct command *, struct why *);

#endif
