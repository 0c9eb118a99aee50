#include "base/timers.h"

#include <event2/event.h>
#include <stdlib.h>

enum {
	CHILDREN = 4,
	FIRST_ROOM = 64,
	RUN_MAX = 256,               /* of one wake-up: the loop turns to its sockets between */
};

struct timers {
	struct timer **heap;         /* from 1 */
	size_t count, members, room;
	struct event *event;
	int64_t (*now)(void);
	int64_t armed;               /* what the event is set to; INT64_MAX: not */
	bool running;
};

static size_t parent(size_t place) { return (place - 2) / CHILDREN + 1; }
static size_t first_child(size_t place) { return (place - 1) * CHILDREN + 2; }

static void put(struct timers *t, struct timer *timer, size_t place)
{
	t->heap[place] = timer;
	timer->place = place;
}

static void rise(struct timers *t, struct timer *timer, size_t place)
{
	while (place > 1 && timer->due < t->heap[parent(place)]->due) {
		put(t, t->heap[parent(place)], place);
		place = parent(place);
	}
	put(t, timer, place);
}

static void sink(struct timers *t, struct timer *timer, size_t place)
{
	for (;;) {
		size_t child = first_child(place), least = 0;

		for (size_t i = child; i < child + CHILDREN && i <= t->count; i++)
			if (!least || t->heap[i]->due < t->heap[least]->due)
				least = i;
		if (!least || timer->due <= t->heap[least]->due)
			break;
		put(t, t->heap[least], place);
		place = least;
	}
	put(t, timer, place);
}

static void settle(struct timers *t, struct timer *timer, size_t place)
{
	if (place > 1 && timer->due < t->heap[parent(place)]->due)
		rise(t, timer, place);
	else
		sink(t, timer, place);
}

int64_t timers_due(const struct timers *t)
{
	return t->count ? t->heap[1]->due : INT64_MAX;
}

/* The event follows the earliest timer. One that comes too early does no harm: it is set again then. */
static void arm(struct timers *t)
{
	int64_t due = timers_due(t), wait;
	struct timeval tv;

	if (!t->event || t->running || due >= t->armed)
		return;
	wait = due - t->now();
	if (wait < 0)
		wait = 0;
	tv = (struct timeval){wait / 1000, wait % 1000 * 1000};
	t->armed = due;
	evtimer_add(t->event, &tv);
}

static void event_due(evutil_socket_t fd, short what, void *ctx)
{
	struct timers *t = ctx;

	(void)fd;
	(void)what;
	t->armed = INT64_MAX;
	timers_run(t, t->now());
}

struct timers *timers_new(struct event_base *loop, int64_t (*now)(void))
{
	struct timers *t = calloc(1, sizeof *t);

	if (!t)
		return NULL;
	t->now = now;
	t->armed = INT64_MAX;
	t->event = loop ? evtimer_new(loop, event_due, t) : NULL;
	if (!loop || t->event)
		return t;
	free(t);
	return NULL;
}

void timers_free(struct timers *t)
{
	if (!t)
		return;
	if (t->event)
		event_free(t->event);
	free(t->heap);
	free(t);
}

bool timers_join(struct timers *t)
{
	size_t room = t->room ? t->room * 2 : FIRST_ROOM;
	struct timer **heap;

	if (t->members == t->room) {
		heap = realloc(t->heap, (room + 1) * sizeof(struct timer *));
		if (!heap)
			return false;
		t->heap = heap;
		t->room = room;
	}
	t->members++;
	return true;
}

void timers_leave(struct timers *t)
{
	t->members--;
}

void timer_set(struct timers *t, struct timer *timer, int64_t due)
{
	size_t place = timer->place;

	timer->due = due;
	if (!place)
		place = ++t->count;
	settle(t, timer, place);
	arm(t);
}

void timer_stop(struct timers *t, struct timer *timer)
{
	size_t place = timer->place;
	struct timer *last;

	if (!place)
		return;
	timer->place = 0;
	last = t->heap[t->count--];
	if (last != timer)
		settle(t, last, place);
}

void timers_run(struct timers *t, int64_t now)
{
	unsigned left = RUN_MAX;

	t->running = true;
	while (t->count && t->heap[1]->due <= now && left--) {
		struct timer *timer = t->heap[1];

		timer_stop(t, timer);
		timer->call(timer);
	}
	t->running = false;
	arm(t);
}
