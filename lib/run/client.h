/* run/client: the verbs that ask a running daemon: one line of JSON goes to its control socket, lines of JSON come
 * back (run/control says which; t/620-client.t shows them all), and are printed for people, for scripts, or as one JSON document.
 */
#ifndef RUN_CLIENT_H
#define RUN_CLIENT_H

#include "run/command.h"

#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Returns the exit status: 0 done, 1 it failed, which was said on standard error. */
int client_run(const struct command *, const char *socket_path);

/* The text of a zone as it is served, in pieces. ERR_NETWORK: nobody answers at the socket; else ERR_NOTFOUND: what the daemon says against
 * it, ERR_NOMEM: `put` has returned false. */
enum err client_dump(const char *socket_path, const char *zone, bool (*put)(void *ctx, const char *text, size_t length), void *ctx, struct why *);

/* What the daemon's own checks have found last: of each zone, those that are named or all, what run/status says of STATUS_CHECK.
 * Zones that it does not have are passed over. ERR_NETWORK: nobody answers at the socket; else ERR_NOTFOUND: what went wrong. */
enum err client_checks(const char *socket_path, char **zones, size_t zone_count, void (*take)(void *ctx, const json_t *zone),
	void *ctx, struct why *why);

#endif
