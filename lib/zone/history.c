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

/* The steps of `h` from `first` on, held, behind `before` (taken over; NULL: none), and `step`. */
static struct history *chain(const struct history *h, size_t first, struct diff *before, struct diff *step)
{
	size_t kept = history_count(h) - first, count = (before != NULL) + kept + 1;
	struct history *made = malloc(sizeof *made + count * sizeof made->step[0]);
	size_t n = 0;

	if (!made) {
		diff_drop(before);
		return NULL;
	}
	atomic_init(&made->holders, 1);
	made->count = count;
	made->bytes = 0;
	if (before)
		made->step[n++] = before;
	for (size_t i = 0; i < kept; i++)
		made->step[n++] = diff_hold(h->step[first + i]);
	made->step[n] = diff_hold(step);
	for (size_t i = 0; i < count; i++)
		made->bytes += bytes_of(made->step[i]);
	return made;
}

static uint64_t bytes_between(const struct history *h, size_t first, size_t end)
{
	uint64_t bytes = 0;

	for (size_t i = first; i < end; i++)
		bytes += bytes_of(h->step[i]);
	return bytes;
}

/* How many of the oldest have to go so that the rest and one step of `more` octets stay within the bounds. */
static size_t surplus(const struct history *h, uint64_t more, uint64_t most, size_t steps)
{
	uint64_t bytes = history_bytes(h) + more;
	size_t first = 0;

	while (first < h->count && (bytes > most || h->count - first >= steps))
		bytes -= bytes_of(h->step[first++]);
	return first;
}

/* The chain is full. Joining costs more than a step does, so whatever it brings, there is room for many more steps afterwards. */
static struct history *make_room(const struct history *h, struct diff *step, uint64_t more, uint64_t most)
{
	size_t half = h->count / 2;
	uint64_t older = bytes_between(h, 0, half);
	struct diff *joined;

	if (half < 2 || older > JOIN_MOST)
		return chain(h, surplus(h, more, most, HISTORY_STEPS_MAX), NULL, step);
	if (diff_join(h->step, half, older / 2, &joined) == ERR_OK) {
		if (bytes_of(joined) + bytes_between(h, half, h->count) + more <= most)
			return chain(h, half, joined, step);
		diff_drop(joined);
	}
	return chain(h, surplus(h, more, most - most / 4, HISTORY_STEPS_MAX * 3 / 4), NULL, step);
}

struct history *history_add(const struct history *h, struct diff *step, uint64_t most)
{
	uint64_t more = bytes_of(step);

	if (!serial_newer(diff_to(step), diff_from(step)) || more > most)
		return NULL;
	if (!h || !serial_equal(diff_to(h->step[h->count - 1]), diff_from(step)))
		return chain(NULL, 0, NULL, step);
	return surplus(h, more, most, HISTORY_STEPS_MAX) ? make_room(h, step, more, most) : chain(h, 0, NULL, step);
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
