/* run/diffing: `lockstep diff`: whether each public nameserver answers as the zone says, printed as a person reads a diff, or as the object that
 * `check` prints. The zone comes from the daemon, from its zone file where no daemon runs, or by a transfer.
 */
#ifndef RUN_DIFFING_H
#define RUN_DIFFING_H

#include "base/err.h"
#include "run/command.h"

/* The exit status: that of a monitoring plugin (0 in step, 1 warning, 2 critical, 3 it could not be told); `why` where nothing was printed on
 * standard output. `socket_path` may be NULL: `no_socket` says why. */
int diffing_run(const struct command *, const char *socket_path, const struct why *no_socket, struct why *);

#endif
