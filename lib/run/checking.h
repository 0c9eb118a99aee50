/* run/checking: `lockstep check`: the zones that are named, or those of the configuration, with those that were added at run time
 * or came with a catalog, several at once; what is remembered; the report. Works without a daemon, and without a configuration; or
 * prints what the daemon's own checks found last.
 */
#ifndef RUN_CHECKING_H
#define RUN_CHECKING_H

#include "base/err.h"
#include "run/command.h"

/* At the socket the daemon is asked which zones there are besides those of the configuration; with `from_daemon` for all, and
 * nobody else is. socket_path NULL: it is not known, for the reason `no_socket`; not used where zones are named. The exit status,
 * as a monitoring plugin's. `why`: what failed besides, or was wrong in the options, for standard error; empty: nothing. */
int checking_run(const struct command *, const char *socket_path, const struct why *no_socket, struct why *);

#endif
