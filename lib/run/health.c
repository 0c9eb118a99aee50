#include "run/health.h"

#include "base/buf.h"
#include "base/clock.h"

#include <event2/event.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PROBES_MAX = 256, TRIES = 3, TRY_MS = 400 };

struct probe {
	struct health *health;
	struct event *event;
	struct net_addr to;
	int fd;
	unsigned tries;
	uint16_t id;
	int64_t began;
};

struct health {
	health_done *done;
	void *ctx;
	struct health_result result;
	unsigned count, open;
	struct probe probe[];
};

static void free_all(struct health *h)
{
	for (unsigned i = 0; i < h->count; i++) {
		if (h->probe[i].event)
			event_free(h->probe[i].event);
		if (h->probe[i].fd >= 0)
			close(h->probe[i].fd);
	}
	free(h);
}

static void end(struct probe *p, bool answered)
{
	struct health *h = p->health;
	int64_t ms = clock_ms() - p->began;

	event_del(p->event);
	if (answered) {
		h->result.answered++;
		if (ms > h->result.ms)
			h->result.ms = (uint32_t)ms;
	} else {
		h->result.silent = p->to;
	}
	if (--h->open > 0)
		return;
	h->done(h->ctx, &h->result);
	free_all(h);
}

/* id.server CH TXT (RFC 4892): answered, or refused, whatever zones there are. */
static void ask(struct probe *p)
{
	static const uint8_t question[] = "\2id\6server\0\0\20\0\3";
	static const struct timeval patience = {0, TRY_MS * 1000};
	uint8_t query[12 + sizeof question - 1] = {0, 0, 0, 0, 0, 1};

	p->tries++;
	put_u16(query, p->id);
	memcpy(query + 12, question, sizeof question - 1);
	if (send(p->fd, query, sizeof query, 0) < 0)
		p->tries = TRIES;    /* nobody is there: the wait is short enough */
	event_add(p->event, &patience);
}

static void on_event(evutil_socket_t fd, short what, void *ctx)
{
	struct probe *p = ctx;
	uint8_t answer[512];
	ssize_t got;

	if (what & EV_READ) {
		got = recv(fd, answer, sizeof answer, 0);
		if (got >= 12 && get_u16(answer) == p->id && answer[2] & 0x80)
			end(p, true);
		return;
	}
	if (p->tries < TRIES)
		ask(p);
	else
		end(p, false);
}

static struct net_addr reachable(struct net_addr addr)
{
	if (addr.sa.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&addr.v6.sin6_addr))
		addr.v6.sin6_addr = in6addr_loopback;
	else if (addr.sa.sa_family == AF_INET && addr.v4.sin_addr.s_addr == htonl(INADDR_ANY))
		addr.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return addr;
}

static bool open_probe(struct health *h, struct event_base *loop, struct net_addr to)
{
	struct probe *p = &h->probe[h->count++];

	*p = (struct probe){.health = h, .to = to, .fd = net_connect_udp(&to, NULL), .began = clock_ms()};
	if (p->fd < 0)
		return false;
	net_random(&p->id, sizeof p->id);
	p->event = event_new(loop, p->fd, EV_READ | EV_PERSIST, on_event, p);
	return p->event != NULL;
}

struct health *health_ask(struct event_base *loop, const struct net_addr *addresses, size_t count, unsigned ports, health_done *done, void *ctx)
{
	size_t probes = count * ports < PROBES_MAX ? count * ports : PROBES_MAX;
	struct health *h = calloc(1, sizeof *h + probes * sizeof *h->probe);
	bool opened = h && probes > 0;

	if (!h)
		return NULL;
	h->done = done;
	h->ctx = ctx;
	for (size_t i = 0; i < probes && opened; i++)
		opened = open_probe(h, loop, reachable(addresses[i % count]));
	if (!opened) {
		free_all(h);
		return NULL;
	}
	h->open = h->result.asked = h->count;
	for (unsigned i = 0; i < h->count; i++)
		ask(&h->probe[i]);
	return h;
}

void health_cancel(struct health *h)
{
	free_all(h);
}
