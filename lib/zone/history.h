/* zone/history: the last steps of a zone, oldest first, each from where the one before leads to: what a server downstream may have missed.
 *
 *     steps:   3 -> 7 -> 8 -> 12        from 7 to 12: two of them
 *
 * Immutable, counted; a new one is made for each new version, and shares the steps with the one before. Bounded in octets and in number:
 * the older half becomes one step if that is much smaller, else the oldest go. NULL is a history without steps.
 */
#ifndef ZONE_HISTORY_H
#define ZONE_HISTORY_H

#include "zone/diff.h"

struct history;

enum { HISTORY_STEPS_MAX = 1024 };

struct history *history_hold(struct history *);
void history_drop(struct history *);

/* How many octets of steps are worth keeping for a version: a quarter of its own size and 64 MB at most, but of a small zone its whole
 * size, as a longer answer than the zone itself is never given. */
uint64_t history_most(const struct zone *);
/* `h` and one step more (held by the history, the caller keeps its hold), held once by the caller; `h` stays as it is. If the step does not
 * begin where the last one leads to, or leads to a serial that is not newer (RFC 1982), or has more than `most` octets, or on lack of memory, what
 * can be kept is less: all before it, or everything, goes. */
struct history *history_add(const struct history *h, struct diff *step, uint64_t most);
/* The steps that lead from a serial to another: the first one's place, and in `count` how many they are; 0: they are not here. */
size_t history_find(const struct history *, struct serial from, struct serial to, size_t *count);
/* All of them; borrowed. */
struct diff *const *history_steps(const struct history *);
size_t history_count(const struct history *);
uint64_t history_bytes(const struct history *);      /* octets of diff_bytes */

#endif
