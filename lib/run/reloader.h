/* run/reloader: the configuration is read again in a thread of its own, while the event loop goes on; what was read is put in force on the loop, and
 * who asked is told. Who asks while it is being read gets the next reading, all of them the same one: theirs may be a later file.
 *
 *     reloader_ask ─► read (its thread) ─► apply (the loop) ─► reloader_end ─► done
 *
 * All calls are made from the loop's thread.
 */
#ifndef RUN_RELOADER_H
#define RUN_RELOADER_H

#include "run/keeper.h"

struct reloader;

struct reloader_env {
	struct event_base *loop;
	void *(*read)(void *ctx);    /* in the thread; NULL: out of memory */
	void (*apply)(void *ctx, void *what);        /* takes what was read; reloader_end is to follow, then or later. NULL: no memory or no thread */
	void (*drop)(void *what);    /* what was read, and comes too late */
	void *ctx;
};
/* The result: `change` where there is no error. */
typedef void reloader_done(void *arg, enum err, const struct keeper_change *change, const struct why *);

struct reloader *reloader_new(const struct reloader_env *);
/* Waits for the thread; nobody is told. */
void reloader_free(struct reloader *);
/* Begins, or stands in line. `done` is called once, later. */
void reloader_ask(struct reloader *, reloader_done *done, void *arg);
/* What was applied is in force, or has failed. */
void reloader_end(struct reloader *, enum err, const struct keeper_change *, const struct why *);
/* Who waits with this argument is not told. */
void reloader_forget(struct reloader *, const void *arg);

#endif
