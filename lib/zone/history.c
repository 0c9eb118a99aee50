#include "zone/history.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
	SMALL_ZONE = 64 << 10,
	MOST = 64 << 20,
	JOIN_MOST = 1 << 20,         /* octets that are joined at once: it is done where a version is published */
};

struct history {
	atomic_uint holders;
	uint64_t bytes;
	size_t count;
	struct diff *step[];
};

struct history *history_hold(struct history *h)
{
	if (h)
		atomic_fetch_add_explicit(&h->holders, 1, memory_order_relaxed);
	return h;
}

void history_drop(struct history *h)
{
	if (!h || atomic_fetch_sub_explicit(&h->holders, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < h->count; i++)
		diff_drop(h->step[i]);
	free(h);
}

struct diff *const *history_steps(const struct history *h) { return h ? h->step : NULL; }
size_t history_count(const struct history *h) { return h ? h->count : 0; }
uint64_t history_bytes(const struct history *h) { return h ? h->bytes : 0; }

uint64_t history_most(const struct zone *zone)
{
	uint64_t size = zone->wire_bytes, most = size / 4;

	if (most < SMALL_ZONE)
		most = size < SMALL_ZONE ? size : SMALL_ZONE;
	return most < MOST ? most : MOST;
}

static uint64_t bytes_of(const struct diff *d)
{
	size_t length;

	diff_bytes(d, &length);
	return length;
}

/* The steps of `h` from `first` on, held, behind `before` (taken over; NULL: none), and `step`: `bytes` in all. */
static struct history *chain(const struct history *h, size_t first, struct diff *before, struct diff *step, uint64_t bytes)
{
	size_t kept = history_count(h) - first, count = (before != NULL) + kept + 1, n = 0;
	struct history *made = malloc(sizeof *made + count * sizeof made->step[0]);

	if (!made) {
		diff_drop(before);
		return NULL;
	}
	atomic_init(&made->holders, 1);
	made->count = count;
	made->bytes = bytes;
	if (before)
		made->step[n++] = before;
	for (size_t i = 0; i < kept; i++)
		made->step[n++] = diff_hold(h->step[first + i]);
	made->step[n] = diff_hold(step);
	return made;
}

/* As many of the oldest go as it takes for the rest and `step` to stay within the bounds. */
static struct history *without_oldest(const struct history *h, struct diff *step, uint64_t most, size_t steps)
{
	uint64_t bytes = history_bytes(h) + bytes_of(step);
	size_t first = 0;

	while (first < history_count(h) && (bytes > most || history_count(h) - first >= steps))
		bytes -= bytes_of(h->step[first++]);
	return chain(h, first, NULL, step, bytes);
}

/* The chain is full. Joining costs more than a step does, so whatever it brings, there is room for many more steps afterwards. */
static struct history *make_room(const struct history *h, struct diff *step, uint64_t most)
{
	size_t half = h->count / 2;
	uint64_t older = 0, bytes;
	struct diff *joined;

	for (size_t i = 0; i < half; i++)
		older += bytes_of(h->step[i]);
	if (half < 2 || older > JOIN_MOST)
		return without_oldest(h, step, most, HISTORY_STEPS_MAX);
	if (diff_join(h->step, half, older / 2, &joined) == ERR_OK) {
		bytes = history_bytes(h) - older + bytes_of(joined) + bytes_of(step);
		if (bytes <= most)
			return chain(h, half, joined, step, bytes);
		diff_drop(joined);
	}
	return without_oldest(h, step, most - most / 4, HISTORY_STEPS_MAX * 3 / 4);
}

struct history *history_add(const struct history *h, struct diff *step, uint64_t most)
{
	uint64_t more = bytes_of(step);

	if (!serial_newer(diff_to(step), diff_from(step)) || more > most)
		return NULL;
	if (h && !serial_equal(diff_to(h->step[h->count - 1]), diff_from(step)))
		h = NULL;
	if (h && (h->bytes + more > most || h->count >= HISTORY_STEPS_MAX))
		return make_room(h, step, most);
	return chain(h, 0, NULL, step, history_bytes(h) + more);
}

size_t history_find(const struct history *h, struct serial from, struct serial to, size_t *count)
{
	size_t end = history_count(h), first;

	*count = 0;
	while (end && !serial_equal(diff_to(h->step[end - 1]), to))
		end--;
	for (first = end; first-- > 0;)
		if (serial_equal(diff_from(h->step[first]), from)) {
			*count = end - first;
			return first;
		}
	return 0;
}
