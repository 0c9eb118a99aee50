/* base/timers: many timers in one heap, each of a few octets inside its owner, on one event of the loop. What is due is a time in ms
 * of the clock that is given; without a loop the owner of the heap asks timers_due and calls timers_run, as tests do.
 * One thread.
 */
#ifndef BASE_TIMERS_H
#define BASE_TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;
struct timers;

/* Zeroed, with `call` set, before its first use; at rest it may be freed or moved. */
struct timer {
	int64_t due;
	void (*call)(struct timer *);        /* once, at rest again: it may be set anew, or freed, therein */
	size_t place;                /* in the heap, from 1; 0: at rest */
};

/* `loop` may be NULL. NULL: out of memory. */
struct timers *timers_new(struct event_base *loop, int64_t (*now)(void));
void timers_free(struct timers *);   /* all are at rest. NULL is allowed */
/* Makes room for one timer more, so that timer_set cannot fail; timers_leave when that timer is used no more. False: out of memory. */
bool timers_join(struct timers *);
void timers_leave(struct timers *);
/* At `due`, or as soon as may be if that has passed; whatever it was set to before. */
void timer_set(struct timers *, struct timer *, int64_t due);
void timer_stop(struct timers *, struct timer *);    /* also one at rest */
int64_t timers_due(const struct timers *);   /* the earliest; INT64_MAX: none is set */
/* Calls what is due at `now`, the earliest first; some hundreds at most. */
void timers_run(struct timers *, int64_t now);

#endif
