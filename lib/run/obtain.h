/* run/obtain: a version of a zone for a command that needs one: by a transfer, if it is told from where; else as the daemon serves it;
 * and where no daemon answers, from the zone file that the configuration names.
 */
#ifndef RUN_OBTAIN_H
#define RUN_OBTAIN_H

#include "run/command.h"
#include "zone/zone.h"

/* From `from`, `key`, `tls` of the command, `socket_path` (NULL: not known, which `why` explains already), or the configuration.
 * Held once. ERR_SYNTAX: an option cannot be read; else ERR_NETWORK, ERR_NOTFOUND, or what is wrong with the file. `source` says
 * where it came from. */
enum { OBTAIN_SOURCE = 300 };
enum err obtain_zone(const struct command *, const char *socket_path, struct zone **out, char source[OBTAIN_SOURCE], struct why *why);

#endif
