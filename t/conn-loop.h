/* For the tests of base/conn and base/tls: the loop that they run, and waiting in it. */
#ifndef T_CONN_LOOP_H
#define T_CONN_LOOP_H

#include <event2/event.h>
#include <time.h>

static struct event_base *base;

/* Runs the loop until the condition holds; a test that waits in vain fails after a minute. */
#define RUN_UNTIL(condition) do { \
	time_t begun = time(NULL); \
	while (!(condition)) { \
		struct timeval tick = {0, 20000}; \
		event_base_loopexit(base, &tick); \
		event_base_loop(base, EVLOOP_ONCE); \
		assert_true(time(NULL) - begun < 60); \
	} \
} while (0)

static inline uint64_t ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

#endif
