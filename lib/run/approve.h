/* run/approve: the operator's own judgement of a new version: how much of the zone changes, and a command that reads it. Both may take
 * their time: on a thread of their own.
 */
#ifndef RUN_APPROVE_H
#define RUN_APPROVE_H

#include "base/err.h"
#include "run/spawn.h"
#include "zone/zone.h"

/* How many records change: the larger number of those that go and those that come; a TTL is part of its record. Not counted, here and in
 * `all`, are those that each version or each signing makes anew: SOA, RRSIG, NSEC, NSEC3, ZONEMD. */
struct approve_share { uint64_t changed, all; };
struct approve_share approve_share(const struct zone *older, const struct zone *version);
/* ERR_REFUSED: more than `percent` of them. */
enum err approve_change(const struct zone *older, const struct zone *version, unsigned percent, struct why *);

enum { APPROVE_OUTPUT = SPAWN_OUTPUT };

struct approve_command {
	const char *path;
	uint32_t timeout_ms;
	const struct zone *version;
	const struct zone *older;    /* NULL: none */
	const atomic_bool *stop;     /* once set, the command is killed */
};
/* Runs it as PATH ZONE OLD NEW (the serials; "-" where there is none), without a shell, as a process group of its own, with the version's text on
 * standard input, and waits. `output`: the beginning of what it wrote to standard output and standard error. ERR_OK: it ended with 0. ERR_REFUSED:
 * otherwise, also if it was not done in time or could not be started; ERR_ORDER: stopped; ERR_NOMEM. */
enum err approve_run(const struct approve_command *, char output[APPROVE_OUTPUT], struct why *);

#endif
