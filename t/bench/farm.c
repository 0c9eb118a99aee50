/* A primary of many small zones and one big one, for the bench, that answers at once; also a stopwatch.
 *
 *     farm --port PORT --server PORT [--zones N] [--records N] [--big RECORDS]
 *
 * The small zones are z0000000.farm.test and so on, of so many records each (SOA and NS among them), serial 1. The big one is bench.test;
 * it gives true IXFRs: each change replaces one A record. UDP, and TCP with any number of connections, pipelined.
 *
 * Prints, one a line, with CLOCK_MONOTONIC seconds last: "ready T". Reads from standard input:
 *
 *     watch [N]       asks the server for each small zone, or for the first N, until all are served: "all T". It asks for 64 at a time, on at
 *                     once where most of them were served and else 5 ms later, so that it costs a server that answers while it loads little
 *     big             asks for the big one until it is served in the newest version: "served T"
 *     step N          a new version with N changes; NOTIFY, and asks until it is served: "step SECONDS T"
 *     run SECONDS     the same with one change, again as soon as each is served: "run CHANGES T"
 *     count           "requests AXFR IXFR SOA connections T": what was asked for since the last time
 *
 * and ends with it, or after half an hour.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { LIFETIME = 1800, MESSAGE = 16000, INPUT = 1 << 17, OUTPUT = 1 << 17, STEPS = 1 << 20, BURST = 64, SOA = 6, IXFR = 251, AXFR = 252 };

static unsigned zones, records = 10, big, port, server_port;
static uint32_t serial = 1;          /* of the big zone */
static struct { uint32_t first, count; } step[STEPS];   /* step[s]: from serial s to s + 1 */
static uint32_t changes;
static bool *changed;                /* of the big zone's records */
static struct { unsigned long axfr, ixfr, soa, connections; } count;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* --- writing messages ------------------------------------------------------------------- */

static void put16(uint8_t *p, unsigned v) { p[0] = (uint8_t)(v >> 8); p[1] = (uint8_t)v; }
static void put32(uint8_t *p, uint32_t v) { put16(p, v >> 16); put16(p + 2, v & 0xffff); }

static uint8_t *put_soa(uint8_t *p, uint32_t of)
{
	static const uint8_t head[] = {0xc0, 12, 0, SOA, 0, 1, 0, 0, 0x0e, 0x10, 0, 24, 0xc0, 12, 0xc0, 12};
	static const uint32_t times[] = {3600, 600, 604800, 300};

	memcpy(p, head, sizeof head);
	p += sizeof head;
	put32(p, of);
	for (int i = 0; i < 4; i++)
		put32(p + 4 + 4 * i, times[i]);
	return p + 20;
}

static uint8_t *put_ns(uint8_t *p)
{
	static const uint8_t record[] = {0xc0, 12, 0, 2, 0, 1, 0, 0, 0x0e, 0x10, 0, 5, 2, 'n', 's', 0xc0, 12};

	memcpy(p, record, sizeof record);
	return p + sizeof record;
}

static uint8_t *put_a(uint8_t *p, uint32_t i, bool is_changed)
{
	static const uint8_t tail[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4};

	*p++ = 8;
	for (unsigned k = 8, v = i; k-- > 1; v /= 10)
		p[k] = (uint8_t)('0' + v % 10);
	p[0] = 'h';
	memcpy(p + 8, tail, sizeof tail);
	put32(p + 8 + sizeof tail, (is_changed ? 0x14000000 : 0x0a000000) + i);
	return p + 8 + sizeof tail + 4;
}

/* --- requests ----------------------------------------------------------------------------- */

struct request {
	const uint8_t *bytes;
	size_t question_end;
	unsigned type;
	bool notify;
	uint32_t from;               /* IXFR */
	bool is_big;
	bool known;
};

static bool read_zone(const uint8_t *name, size_t length, struct request *rq)
{
	static const uint8_t big_name[] = "\5bench\4test", under[] = "\4farm\4test";
	unsigned i = 0;

	rq->is_big = big && length == sizeof big_name && memcmp(name, big_name, sizeof big_name) == 0;
	if (rq->is_big)
		return true;
	if (length != 9 + sizeof under || name[0] != 8 || memcmp(name + 9, under, sizeof under) != 0)
		return false;
	for (unsigned k = 0; k < 7; k++)
		i = i * 10 + name[2 + k] - '0';
	return i < zones;
}

static bool parse(const uint8_t *q, size_t n, struct request *rq)
{
	size_t at = 12;

	if (n < 12 || q[2] & 0x80)
		return false;
	while (at < n && q[at])
		at += 1u + q[at];
	if (at + 5 > n)
		return false;
	rq->bytes = q;
	rq->notify = (q[2] >> 3 & 15) == 4;
	rq->type = (unsigned)(q[at + 1] << 8 | q[at + 2]);
	rq->known = read_zone(q + 12, at + 1 - 12, rq);
	rq->question_end = at + 5;
	rq->from = 0;
	for (size_t i = at + 5; rq->type == IXFR && i + 10 < n; i++)
		if (q[i] == 0 && q[i + 1] == SOA && q[i + 2] == 0 && q[i + 3] == 1) {
			size_t end = i + 10 + (size_t)(q[i + 8] << 8 | q[i + 9]);

			if (end <= n && end >= 20)
				rq->from = (uint32_t)q[end - 20] << 24 | (uint32_t)q[end - 19] << 16 | (uint32_t)q[end - 18] << 8 | q[end - 17];
			break;
		}
	return true;
}

/* Header and question; the counts come later. */
static uint8_t *begin(uint8_t *out, const struct request *rq)
{
	memcpy(out, rq->bytes, rq->question_end);
	put16(out + 2, 0x8400);
	put16(out + 4, 1);
	memset(out + 6, 0, 6);
	return out + rq->question_end;
}

static uint32_t serial_of(const struct request *rq) { return rq->is_big ? serial : 1; }

static size_t answer_soa(const struct request *rq, uint8_t *out)
{
	uint8_t *p = begin(out, rq);

	count.soa += rq->type == SOA;
	if (!rq->known) {
		put16(out + 2, 0x8005);
		return (size_t)(p - out);
	}
	put16(out + 6, 1);
	return (size_t)(put_soa(p, serial_of(rq)) - out);
}

static size_t answer_small(const struct request *rq, uint8_t *out)
{
	uint8_t *p = put_ns(put_soa(begin(out, rq), 1));

	for (unsigned i = 0; i + 2 < records; i++)
		p = put_a(p, i, false);
	put16(out + 6, (records > 2 ? records : 2) + 1);
	return (size_t)(put_soa(p, 1) - out);
}

/* --- the big zone, message by message ------------------------------------------------------- */

/* What is still to be sent of a transfer. */
struct sending {
	bool active, incremental;
	uint8_t question[64];
	struct request rq;
	uint32_t to;
	uint32_t next;               /* AXFR: record; IXFR: the step, and */
	uint32_t within;             /* the part of it: SOA, deletions, SOA, additions */
};

static uint32_t name_of(uint32_t change) { return (uint32_t)((uint64_t)change * 7368787 % big); }

/* One record more of an IXFR; NULL: there is none. */
static uint8_t *put_next(struct sending *s, uint8_t *p)
{
	uint32_t n, k;

	if (s->next == s->to)
		return NULL;
	n = step[s->next].count;
	k = s->within++;
	if (k == 0)
		return put_soa(p, s->next);
	if (k <= n)
		return put_a(p, name_of(step[s->next].first + k - 1), false);
	if (k == n + 1)
		return put_soa(p, s->next + 1);
	p = put_a(p, name_of(step[s->next].first + k - n - 2), true);
	if (k == 2 * n + 1) {
		s->next++;
		s->within = 0;
	}
	return p;
}

static size_t next_message(struct sending *s, uint8_t *out)
{
	bool first = s->incremental ? s->next == s->rq.from && s->within == 0 : s->next == 0;
	uint8_t *p = begin(out, &s->rq), *next;
	unsigned n = 0;

	if (first) {
		p = put_soa(p, s->to);
		n++;
	}
	if (first && !s->incremental) {
		p = put_ns(p);
		n++;
	}
	if (s->incremental) {
		for (; p - out < MESSAGE && (next = put_next(s, p)); p = next)
			n++;
	} else {
		for (; s->next < big && p - out < MESSAGE; s->next++, n++)
			p = put_a(p, s->next, changed[s->next]);
	}
	if (p - out < MESSAGE) {
		p = put_soa(p, s->to);
		n++;
		s->active = false;
	}
	put16(out + 6, n);
	return (size_t)(p - out);
}

static void begin_sending(struct sending *s, const struct request *rq)
{
	s->active = true;
	s->rq = *rq;
	memcpy(s->question, rq->bytes, rq->question_end);
	s->rq.bytes = s->question;
	s->to = serial;
	s->incremental = rq->type == IXFR && rq->from > 0 && rq->from < serial;
	s->next = s->incremental ? rq->from : 0;
	s->within = 0;
}

/* --- connections ----------------------------------------------------------------------------- */

struct connection {
	int fd;
	bool writing;                /* epoll asks for room */
	size_t in, out, sent;
	struct sending sending;
	uint8_t input[INPUT], output[OUTPUT];
};
static int loop;

static void drop(struct connection *c)
{
	close(c->fd);
	free(c);
}

/* False: something is under way that must be sent first. */
static bool answer(struct connection *c, const uint8_t *query, size_t n)
{
	uint8_t *out = c->output + c->out;
	struct request rq;
	size_t length;

	if (c->sending.active || c->out + MESSAGE + 1024 > OUTPUT)
		return false;
	if (!parse(query, n, &rq))
		return true;
	count.axfr += rq.type == AXFR;
	count.ixfr += rq.type == IXFR;
	if (rq.is_big && (rq.type == AXFR || (rq.type == IXFR && rq.from != serial))) {
		begin_sending(&c->sending, &rq);
		return true;
	}
	length = rq.known && rq.type == AXFR ? answer_small(&rq, out + 2) : answer_soa(&rq, out + 2);
	put16(out, (unsigned)length);
	c->out += length + 2;
	return true;
}

static void take_requests(struct connection *c)
{
	size_t at = 0;

	while (c->in - at >= 2) {
		size_t n = (size_t)c->input[at] << 8 | c->input[at + 1];

		if (c->in - at < n + 2 || !answer(c, c->input + at + 2, n))
			break;
		at += n + 2;
	}
	memmove(c->input, c->input + at, c->in - at);
	c->in -= at;
}

static void fill(struct connection *c)
{
	while (c->sending.active && c->out + MESSAGE + 1024 <= OUTPUT) {
		size_t length = next_message(&c->sending, c->output + c->out + 2);

		put16(c->output + c->out, (unsigned)length);
		c->out += length + 2;
	}
}

/* False: the connection is gone. */
static bool flush(struct connection *c)
{
	for (;;) {
		struct epoll_event event = {.data.ptr = c};
		ssize_t n;

		if (c->sent == c->out)
			c->sent = c->out = 0;
		take_requests(c);
		fill(c);
		if (c->out > c->sent) {
			n = send(c->fd, c->output + c->sent, c->out - c->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
			if (n < 0 && errno != EAGAIN) {
				drop(c);
				return false;
			}
			c->sent += n > 0 ? (size_t)n : 0;
		}
		if (c->sent == c->out && (c->sending.active || c->in > 2) && c->out)
			continue;
		if ((c->sent < c->out) != c->writing) {
			c->writing = c->sent < c->out;
			event.events = EPOLLIN | (c->writing ? EPOLLOUT : 0u);
			epoll_ctl(loop, EPOLL_CTL_MOD, c->fd, &event);
		}
		return true;
	}
}

static void on_stream(struct connection *c, unsigned events)
{
	ssize_t n = 1;

	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR) && c->in < INPUT) {
		n = recv(c->fd, c->input + c->in, INPUT - c->in, MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN)) {
			drop(c);
			return;
		}
		c->in += n > 0 ? (size_t)n : 0;
	}
	flush(c);
}

static void on_accept(int listener)
{
	struct epoll_event event = {.events = EPOLLIN};
	struct connection *c;
	int fd, one = 1;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		c = calloc(1, sizeof *c);
		if (!c)
			abort();
		c->fd = fd;
		event.data.ptr = c;
		epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event);
		count.connections++;
	}
}

static void on_datagrams(int udp)
{
	uint8_t m[4096], out[600];
	struct sockaddr_in from;
	socklen_t length = sizeof from;
	struct request rq;
	ssize_t n;

	while ((n = recvfrom(udp, m, sizeof m, MSG_DONTWAIT, (struct sockaddr *)&from, &length)) > 0) {
		if (parse(m, (size_t)n, &rq) && rq.question_end < 300)
			sendto(udp, out, answer_soa(&rq, out), 0, (struct sockaddr *)&from, length);
		length = sizeof from;
	}
}

/* --- the stopwatch --------------------------------------------------------------------------------- */

enum watching { WATCH_NOTHING, WATCH_ZONES, WATCH_BIG };
static enum watching watching;
static uint32_t *unserved, ring, next_unserved, unserved_count; /* numbers of zones, in a ring of so many places: asked for in turn */
static struct { uint32_t zone; bool served; } asked[BURST];     /* together */
static unsigned asked_count, asked_served;
static double began, run_until, next_ask;
static unsigned long ran;
static unsigned outstanding;
static bool ran_at_all;

static void ask(int watch, uint32_t zone, bool is_big, bool notify)
{
	uint8_t q[64] = {0, 0, notify ? 0x24 : 0, 0, 0, 1}, *p = q + 12;

	put16(q, zone & 0xffff);
	if (is_big) {
		memcpy(p, "\5bench\4test", 12);
		p += 12;
	} else {
		*p = 8;
		snprintf((char *)p + 1, 9, "z%07u", zone);
		memcpy(p + 9, "\4farm\4test", 11);
		p += 20;
	}
	put16(p, SOA);
	put16(p + 2, 1);
	if (send(watch, q, (size_t)(p + 4 - q), 0) > 0 && !notify)
		outstanding++;
}

/* Those of the last burst that are not served yet, behind all others. */
static void put_back(void)
{
	for (unsigned i = 0; i < asked_count; i++)
		if (!asked[i].served)
			unserved[(next_unserved + unserved_count++) % ring] = asked[i].zone;
	asked_count = asked_served = 0;
}

static void ask_again(int watch)
{
	next_ask = now() + (watching == WATCH_BIG ? 0.002 : 0.005);
	if (watching == WATCH_BIG) {
		ask(watch, 0, true, false);
		return;
	}
	put_back();
	outstanding = 0;
	while (asked_count < BURST && unserved_count) {
		asked[asked_count].served = false;
		asked[asked_count].zone = unserved[next_unserved];
		next_unserved = (next_unserved + 1) % ring;
		unserved_count--;
		ask(watch, asked[asked_count++].zone, false, false);
	}
}

static void do_step(int watch, uint32_t n)
{
	step[serial].first = changes;
	step[serial].count = n;
	for (uint32_t i = 0; i < n; i++)
		changed[name_of(changes + i)] = true;
	changes += n;
	serial++;
	watching = WATCH_BIG;
	began = now();
	ask(watch, 0, true, true);
	ask_again(watch);
}

static void big_is_served(int watch)
{
	double t = now();

	watching = WATCH_NOTHING;
	if (run_until > 0) {
		ran++;
		if (t < run_until && serial + 1 < STEPS) {
			do_step(watch, 1);
			return;
		}
		printf("run %lu %.6f\n", ran, t);
		run_until = 0;
	} else if (ran_at_all) {
		printf("step %.6f %.6f\n", t - began, t);
	} else {
		printf("served %.6f\n", t);
	}
}

/* The serial of an answer with authority, or 0. */
static uint32_t read_serial(const uint8_t *m, size_t n)
{
	size_t at = 12, end;

	if (n < 12 || !(m[2] & 0x80) || m[2] & 0x78 || !(m[2] & 4) || m[3] & 15 || m[7] != 1)
		return 0;
	while (at < n && m[at])
		at += 1u + m[at];
	at += 5;
	if (at + 12 > n || m[at] != 0xc0 || m[at + 3] != SOA)
		return 0;
	end = at + 12 + (size_t)(m[at + 10] << 8 | m[at + 11]);
	if (end > n || end < at + 32)
		return 0;
	return (uint32_t)m[end - 20] << 24 | (uint32_t)m[end - 19] << 16 | (uint32_t)m[end - 18] << 8 | m[end - 17];
}

/* Of an answer for a small zone: the question is what was sent. */
static void zone_is_served(const uint8_t *m)
{
	uint32_t zone = (uint32_t)strtoul((const char *)m + 14, NULL, 10);

	for (unsigned i = 0; i < asked_count; i++)
		if (asked[i].zone == zone && !asked[i].served) {
			asked[i].served = true;
			asked_served++;
		}
}

static void on_answers(int watch)
{
	uint8_t m[4096];
	ssize_t n;

	while ((n = recv(watch, m, sizeof m, MSG_DONTWAIT)) > 0) {
		uint32_t got = read_serial(m, (size_t)n);

		if (m[2] & 0x78)
			continue;            /* to our NOTIFY */
		outstanding -= outstanding > 0;
		if (watching == WATCH_BIG && got == serial)
			big_is_served(watch);
		else if (watching == WATCH_BIG && next_ask > now() + 0.0001)
			next_ask = now() + 0.0001;
		else if (watching == WATCH_ZONES && got)
			zone_is_served(m);
	}
	if (watching != WATCH_ZONES)
		return;
	if (!unserved_count && asked_served == asked_count) {
		watching = WATCH_NOTHING;
		printf("all %.6f\n", now());
	} else if (outstanding == 0 && asked_served * 4 >= asked_count * 3) {
		ask_again(watch);
	}
}

static void watch_zones(int watch, unsigned n)
{
	n = n < zones ? n : zones;
	free(unserved);
	unserved = malloc((n + 1) * sizeof *unserved);
	for (uint32_t i = 0; i < n; i++)
		unserved[i] = i;
	unserved_count = ring = n;
	next_unserved = 0;
	asked_count = asked_served = 0;
	watching = WATCH_ZONES;
	ask_again(watch);
}

/* False: the end. */
static bool on_command(int watch)
{
	char line[64] = "";
	double seconds;
	unsigned n;

	if (!fgets(line, sizeof line, stdin))
		return false;
	if (strcmp(line, "watch\n") == 0) {
		watch_zones(watch, zones);
	} else if (sscanf(line, "watch %u", &n) == 1) {
		watch_zones(watch, n);
	} else if (strcmp(line, "big\n") == 0) {
		watching = WATCH_BIG;
		ran_at_all = false;
		ask_again(watch);
	} else if (sscanf(line, "step %u", &n) == 1) {
		ran_at_all = true;
		do_step(watch, n);
	} else if (sscanf(line, "run %lf", &seconds) == 1) {
		run_until = now() + seconds;
		ran = 0;
		do_step(watch, 1);
	} else if (strcmp(line, "count\n") == 0) {
		printf("requests %lu %lu %lu %lu %.6f\n", count.axfr, count.ixfr, count.soa, count.connections, now());
		memset(&count, 0, sizeof count);
	}
	return true;
}

/* --------------------------------------------------------------------------------------------------- */

static struct sockaddr_in loopback(unsigned p)
{
	return (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)p), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void add(int fd, int *tag)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = tag};

	*tag = fd;
	epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event);
}

static void serve(int tcp, int udp, int watch)
{
	static int tags[3], commands;
	double end = now() + LIFETIME;
	bool more = true;

	add(tcp, &tags[0]);
	add(udp, &tags[1]);
	add(watch, &tags[2]);
	while (more && now() < end) {
		struct pollfd fds[2] = {{loop, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
		struct epoll_event events[64];
		double wait = watching ? next_ask - now() : 1;
		struct timespec timeout = {0, wait <= 0 ? 0 : wait < 1 ? (long)(wait * 1e9) : 999999999};
		int n;

		(void)commands;
		fflush(stdout);
		ppoll(fds, 2, &timeout, NULL);
		n = fds[0].revents ? epoll_wait(loop, events, 64, 0) : 0;
		for (int i = 0; i < n; i++) {
			void *tag = events[i].data.ptr;

			if (tag == &tags[0])
				on_accept(tcp);
			else if (tag == &tags[1])
				on_datagrams(udp);
			else if (tag == &tags[2])
				on_answers(watch);
			else
				on_stream(tag, events[i].events);
		}
		if (fds[1].revents)
			more = on_command(watch);
		if (watching && now() >= next_ask)
			ask_again(watch);
	}
}

int main(int argc, char *argv[])
{
	static const struct { const char *name; unsigned *value; } options[] = {
		{"--port", &port}, {"--server", &server_port}, {"--zones", &zones}, {"--records", &records}, {"--big", &big},
	};
	struct sockaddr_in at, server;
	int tcp = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), udp = socket(AF_INET, SOCK_DGRAM, 0), watch = socket(AF_INET, SOCK_DGRAM, 0);
	int one = 1, room = 8 << 20;

	for (int i = 1; i + 1 < argc; i += 2)
		for (size_t k = 0; k < sizeof options / sizeof *options; k++)
			if (strcmp(argv[i], options[k].name) == 0)
				*options[k].value = (unsigned)atoi(argv[i + 1]);
	if (!port || !server_port || records < 2 || records > 500 || zones > 9999999 || big > 9999999) {
		fprintf(stderr, "usage: farm --port PORT --server PORT [--zones N] [--records N] [--big RECORDS]\n");
		return 2;
	}
	changed = calloc(big + 1, sizeof *changed);
	loop = epoll_create1(0);
	at = loopback(port);
	server = loopback(server_port);
	setsockopt(tcp, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	setsockopt(udp, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
	if (!changed || loop < 0 || bind(tcp, (struct sockaddr *)&at, sizeof at) < 0 || bind(udp, (struct sockaddr *)&at, sizeof at) < 0 ||
	    listen(tcp, 4096) < 0 || connect(watch, (struct sockaddr *)&server, sizeof server) < 0) {
		perror("farm");
		return 1;
	}
	printf("ready %.6f\n", now());
	serve(tcp, udp, watch);
	return 0;
}
