/* run/daemon: lockstepd: wires the rooms, owns the threads, reloads, stops.
 *
 *     loop thread      xfer, run/keeper, run/control        (this one)
 *     N workers        serve/udp, serve/tcp, each with an event loop and sockets of its own
 *     disk threads     zone files, database
 *     reloader         reads the configuration again, when it is asked to
 */
#ifndef RUN_DAEMON_H
#define RUN_DAEMON_H

#include "run/conf.h"

/* What a start checks beyond conf_read: that the files of TLS can be used. `warning` is empty, or says what is unwise. */
enum err daemon_check(struct conf *, struct why *warning, struct why *);
/* Runs until SIGTERM, SIGINT or the verb `stop`. Logs; returns the exit status: 0, or 1 if it could not start.
 * `verbosity`: added to the configured log level. */
int daemon_run(const char *conf_path, int verbosity);

#endif
