/* run/client: the verbs that ask a running daemon: one line of JSON goes to its control socket, lines of JSON come
 * back (run/control says which; t/620-client.t shows them all), and are printed for people, for scripts, or as one JSON document.
 */
#ifndef RUN_CLIENT_H
#define RUN_CLIENT_H

#include "run/command.h"

/* Returns the exit status: 0 done, 1 it failed, which was said on standard error. */
int client_run(const struct command *, const char *socket_path);

#endif
