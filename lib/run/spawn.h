/* run/spawn: runs a command of the operator's, without a shell, as a process group of its own, with something on its standard
 * input, and waits until it has ended, or its time is up: then it is killed, and all that it has started. On a thread that may
 * wait.
 */
#ifndef RUN_SPAWN_H
#define RUN_SPAWN_H

#include "base/err.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SPAWN_OUTPUT = 1000 };

/* False: it wants no more. */
typedef bool spawn_put(void *to, const char *text, size_t length);
struct spawn {
	const char *const *argv;     /* NULL at the end; the first is the path */
	uint32_t timeout_ms;
	const char *timeout_key;     /* what sets it, for `why` */
	const atomic_bool *stop;     /* once set, the command is killed */
	void (*write)(const void *ctx, spawn_put *, void *to);       /* its standard input */
	const void *ctx;
};
/* `output`: the beginning of what it wrote to standard output and standard error, on one line. ERR_OK: it ended with 0.
 * ERR_REFUSED: otherwise, also if it was not done in time or could not be started; ERR_ORDER: stopped; ERR_NOMEM. */
enum err spawn_run(const struct spawn *, char output[SPAWN_OUTPUT], struct why *);

#endif
