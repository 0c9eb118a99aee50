#include "run/inbox.h"

#include <event2/event.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { PLACES = 1 << 14 };           /* a power of two; used up to three quarters */
_Static_assert(INBOX_ROOM <= PLACES / 4 * 3, "a hash table needs air");

enum outcome { PUT_FIRST, PUT, NO_ROOM };

struct letter {
	bool used, has_serial;
	struct serial serial;
	struct net_addr from;
	uint8_t zone[NAME_SIZE];
};

struct inbox {
	pthread_mutex_t lock;
	struct event *event;
	int wake;
	inbox_handler *handler;
	void *ctx;
	struct letter *place;        /* PLACES, by hash of zone and sender */
	uint16_t *order;             /* places in use, as they came */
	size_t count;
};

static uint32_t hash(const uint8_t *zone, const struct net_addr *from)
{
	uint32_t h = name_hash(zone);
	const uint8_t *address = from->sa.sa_family == AF_INET6 ? from->v6.sin6_addr.s6_addr : (const uint8_t *)&from->v4.sin_addr;

	for (size_t i = 0; i < (from->sa.sa_family == AF_INET6 ? 16 : 4); i++)
		h = (h ^ address[i]) * 16777619u;
	return h ^ h >> 15;
}

/* The letter with that zone and sender, or a free place. */
static size_t find(const struct inbox *in, const uint8_t *zone, const struct net_addr *from)
{
	size_t at = hash(zone, from) & (PLACES - 1);

	while (in->place[at].used && !(net_host_equal(&in->place[at].from, from) && name_equal(in->place[at].zone, zone)))
		at = (at + 1) & (PLACES - 1);
	return at;
}

static enum outcome put(struct inbox *in, const uint8_t *zone, const struct net_addr *from, bool has_serial, struct serial serial)
{
	size_t at = find(in, zone, from);
	struct letter *l = &in->place[at];

	if (l->used) {
		if (has_serial && (!l->has_serial || serial_newer(serial, l->serial)))
			l->serial = serial;
		l->has_serial = l->has_serial && has_serial;
		return PUT;
	}
	if (in->count >= INBOX_ROOM)
		return NO_ROOM;
	l->used = true;
	l->has_serial = has_serial;
	l->serial = serial;
	l->from = *from;
	name_copy(zone, l->zone);
	in->order[in->count++] = (uint16_t)at;
	return in->count == 1 ? PUT_FIRST : PUT;
}

bool inbox_post(struct inbox *in, const uint8_t *zone, const struct net_addr *from, bool has_serial, struct serial serial)
{
	uint64_t one = 1;
	enum outcome outcome;

	pthread_mutex_lock(&in->lock);
	outcome = put(in, zone, from, has_serial, serial);
	pthread_mutex_unlock(&in->lock);
	if (outcome == PUT_FIRST && write(in->wake, &one, sizeof one) < 0)
		return true;         /* the counter is not read yet: the loop is awake */
	return outcome != NO_ROOM;
}

/* What is there, and leaves none. Without memory it is lost. */
static struct letter *take_all(struct inbox *in, size_t *count)
{
	struct letter *letters;

	pthread_mutex_lock(&in->lock);
	*count = in->count;
	letters = in->count ? malloc(in->count * sizeof *letters) : NULL;
	for (size_t i = 0; i < in->count; i++) {
		if (letters)
			letters[i] = in->place[in->order[i]];
		in->place[in->order[i]].used = false;
	}
	in->count = 0;
	pthread_mutex_unlock(&in->lock);
	return letters;
}

static void woken(evutil_socket_t fd, short what, void *ctx)
{
	struct inbox *in = ctx;
	struct letter *letters;
	uint64_t ticks;
	size_t count;

	(void)what;
	if (read(fd, &ticks, sizeof ticks) < 0)
		return;
	letters = take_all(in, &count);
	for (size_t i = 0; letters && i < count; i++)
		in->handler(in->ctx, letters[i].zone, &letters[i].from, letters[i].has_serial, letters[i].serial);
	free(letters);
}

struct inbox *inbox_new(struct event_base *loop, inbox_handler *handler, void *ctx)
{
	struct inbox *in = calloc(1, sizeof *in);

	if (!in)
		return NULL;
	pthread_mutex_init(&in->lock, NULL);
	in->handler = handler;
	in->ctx = ctx;
	in->place = calloc(PLACES, sizeof *in->place);
	in->order = calloc(PLACES, sizeof *in->order);
	in->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	in->event = in->wake < 0 ? NULL : event_new(loop, in->wake, EV_READ | EV_PERSIST, woken, in);
	if (in->place && in->order && in->event && event_add(in->event, NULL) == 0)
		return in;
	inbox_free(in);
	return NULL;
}

void inbox_free(struct inbox *in)
{
	if (!in)
		return;
	if (in->event)
		event_free(in->event);
	if (in->wake >= 0)
		close(in->wake);
	free(in->place);
	free(in->order);
	pthread_mutex_destroy(&in->lock);
	free(in);
}
