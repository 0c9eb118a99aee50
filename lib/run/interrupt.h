/* run/interrupt: SIGINT and SIGTERM while a command's loop runs: a call from the loop, instead of the end of the process.
 */
#ifndef RUN_INTERRUPT_H
#define RUN_INTERRUPT_H

#include <event2/event.h>
#include <stdbool.h>

struct interrupt { struct event *signals[2]; };      /* all zero: it does nothing */

/* False: out of memory; then, too, it must be released. */
bool interrupt_begin(struct interrupt *, struct event_base *, event_callback_fn, void *ctx);
void interrupt_release(struct interrupt *);

#endif
