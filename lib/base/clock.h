/* base/clock: the two clocks, asked in one place. What decides for a zone by the time is given it as a parameter, or is given
 * one of these functions, so that tests can bring a clock of their own; what holds sockets, keeps the disk busy, or measures how
 * long it took asks here. Any thread.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

/* Milliseconds of a clock that never goes back (CLOCK_MONOTONIC): for durations and timers. */
int64_t clock_ms(void);
/* Microseconds of the same clock: for round trips. */
int64_t clock_us(void);
/* Milliseconds of the same clock, and of all that the machine has slept (CLOCK_BOOTTIME). */
int64_t clock_with_sleep_ms(void);
/* clock_ms, up to a few ms late, and cheaper: for what is asked for each packet. */
int64_t clock_coarse_ms(void);
/* Seconds since 1970, as the operator has set it: for TSIG and for what is shown or stored. */
uint64_t clock_unix(void);

#endif
