/* run/checking: `lockstep check`: the zones that are named, or those of the configuration, several at once; what is remembered; the report. Works without a
 * daemon, and without a configuration.
 */
#ifndef RUN_CHECKING_H
#define RUN_CHECKING_H

#include "base/err.h"
#include "run/command.h"

/* The exit status, as a monitoring plugin's. `why`: what failed besides, or was wrong in the options, for standard error; empty: nothing. */
int checking_run(const struct command *, struct why *);

#endif
