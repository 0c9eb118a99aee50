/* Queries for a name server on 127.0.0.1, by one thread that must not be the bottleneck, and what became of them.
 *
 *     load --port PORT --queries FILE [--seconds S] [--warm S] [--lanes N] [--window N] [--rate QPS] [--tcp] [--size OCTETS] [--do]
 *          [--any] [--pid PID]...
 *
 * FILE has a query a line: name, type, the right RCODE and number of answers (`-` or left out: any). They are asked in this order, from
 * the first again after the last. An answer counts if its ID and its question are those of a query under way, and RCODE and number
 * of answers are right, or with --any whatever they are. Names in FILE have no escapes.
 *
 * --lanes     sockets, each connected: of its own port, so that SO_REUSEPORT spreads them
 * --window    queries under way in each. UDP: all together must fit into the server's socket buffer (140 in one of 208 KiB)
 * --rate      UDP at this rate, whatever comes back, and how long the answers take; otherwise the next query goes when an answer comes
 * --tcp       lanes are connections; a window of 1 is one query at a time, more is pipelining
 * --size      an OPT record with this size; --do sets its DO bit
 * --pid       a process of the server, whose CPU time over the measured time is reported
 *
 * Prints `word figure` lines: qps; answered, lost (nothing came within a second), wrong, stray (no query was waiting for it), truncated
 * (TC set), closed (connections that the server closed); octets, the mean length of an answer; idle, the share of rounds in which nothing
 * had come, near 0 when this program and not the server is the bottleneck; user and system, nanoseconds a query that the server took; and
 * with --rate p50, p99, p99.9 and max in milliseconds, from the sending to the kernel's stamp of arrival, and late, the most that a
 * query was sent after its time: if that is much, it is this program that was held up.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_QUERY = 288, BATCH = 64, MAX_LANES = 1024, MAX_WINDOW = 4096, MAX_PIDS = 64, HEADER = 12, ANY = 0xffff, STREAM = 1 << 17 };

#define SECOND 1000000000ULL
#define PATIENCE (SECOND / 500)

/* In the file's order, one after another in `queries`. */
struct query { uint16_t length, question_length, rcode, answers; uint8_t wire[]; };

struct slot {
	uint64_t sent;
	const struct query *query;
	uint16_t id;
	bool busy;
	uint8_t wire[MAX_QUERY];
};

struct lane {
	int fd;
	unsigned idle_count, next;      /* slots in `idle`; the next slot at a fixed rate */
	uint16_t *idle;
	struct slot *slots;
	uint8_t *in, *out;              /* TCP alone */
	size_t in_length, out_at, out_length;
};

static struct {
	unsigned port, lanes, window, rate, size, pids;
	double seconds, warm;
	const char *file;
	bool tcp, want_dnssec, any;
	int pid[MAX_PIDS];
} opt = {.lanes = 8, .window = 16, .seconds = 5, .warm = 0.5};

static uint8_t *queries, *next_query;
static size_t queries_length;
static struct lane lanes[MAX_LANES];
static bool counting;            /* the warm-up is over, the end not reached */
static struct { uint64_t answered, lost, wrong, stray, truncated, closed, octets, rounds, idle_rounds, late; } count;

/* The clock of the kernel's stamps. */
static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static _Noreturn void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void *must(void *memory)
{
	if (!memory)
		fail("memory");
	return memory;
}

static void put16(uint8_t *p, unsigned v) { p[0] = (uint8_t)(v >> 8); p[1] = (uint8_t)v; }
static unsigned get16(const uint8_t *p) { return (unsigned)p[0] << 8 | p[1]; }

/* --- how long it took: 64 steps in each power of two of nanoseconds --------- */

static uint64_t histogram[64 * 64];

static void note(uint64_t ns)
{
	unsigned power = 63u - (unsigned)__builtin_clzll(ns | 64);

	histogram[power * 64 + (ns >> (power - 6) & 63)]++;
}

/* The upper end of the step in which the part of all is reached, in milliseconds. */
static double percentile(double part)
{
	uint64_t all = 0, seen = 0;

	for (size_t i = 0; i < sizeof histogram / sizeof *histogram; i++)
		all += histogram[i];
	for (size_t i = 0; i < sizeof histogram / sizeof *histogram; i++) {
		seen += histogram[i];
		if (histogram[i] && (double)seen >= part * (double)all)
			return (double)((i % 64 + 65) << (i / 64 - 6)) / 1e6;
	}
	return 0;
}

/* --- the queries ------------------------------------------------------------ */

static unsigned type_of(const char *text)
{
	static const struct { const char *name; unsigned type; } types[] = {{"A", 1}, {"NS", 2}, {"CNAME", 5}, {"SOA", 6},
		{"MX", 15}, {"TXT", 16}, {"AAAA", 28},
		{"SRV", 33}, {"DS", 43}, {"DNSKEY", 48}, {"HTTPS", 65}, {"ANY", 255}};

	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (strcmp(types[i].name, text) == 0)
			return types[i].type;
	return 0;
}

/* Its end, or 0 if it is none. */
static size_t put_name(uint8_t *p, size_t at, const char *text)
{
	while (*text) {
		size_t n = strcspn(text, ".");

		if (!n || n > 63 || at + n + 2 > HEADER + 255)
			return 0;
		p[at++] = (uint8_t)n;
		memcpy(p + at, text, n);
		at += n;
		text += n + (text[n] == '.');
	}
	p[at] = 0;
	return at + 1;
}

static bool put_query(struct query *q, char *line)
{
	char *rest, *name = strtok_r(line, " \t\n", &rest), *type = strtok_r(NULL, " \t\n", &rest);
	char *rcode = strtok_r(NULL, " \t\n", &rest), *answers = strtok_r(NULL, " \t\n", &rest);
	size_t at;

	if (!name || !type || !type_of(type))
		return false;
	memset(q->wire, 0, HEADER);
	q->wire[5] = 1;
	at = put_name(q->wire, HEADER, strcmp(name, ".") == 0 ? "" : name);
	if (!at)
		return false;
	put16(q->wire + at, type_of(type));
	put16(q->wire + at + 2, 1);
	q->question_length = (uint16_t)(at + 4 - HEADER);
	q->length = (uint16_t)(at + 4);
	if (opt.size) {
		q->wire[11] = 1;
		memcpy(q->wire + q->length, (const uint8_t[]){0, 0, 41, 0, 0, 0, 0, opt.want_dnssec ? 0x80 : 0, 0, 0, 0}, 11);
		put16(q->wire + q->length + 3, opt.size);
		q->length = (uint16_t)(q->length + 11);
	}
	q->rcode = !rcode || *rcode == '-' || opt.any ? ANY : (uint16_t)atoi(rcode);
	q->answers = !answers || *answers == '-' || opt.any ? ANY : (uint16_t)atoi(answers);
	return true;
}

static struct query *query_at(uint8_t *p) { return (struct query *)(void *)p; }
static size_t query_room(const struct query *q) { return (sizeof *q + q->length + 7) & ~(size_t)7; }

static void read_queries(void)
{
	size_t room = 1 << 20, line_room = 0;
	FILE *in = fopen(opt.file, "r");
	char *line = NULL;

	if (!in)
		fail(opt.file);
	queries = must(malloc(room));
	while (getline(&line, &line_room, in) > 0) {
		if (queries_length + sizeof(struct query) + MAX_QUERY > room)
			queries = must(realloc(queries, room *= 2));
		if (!put_query(query_at(queries + queries_length), line)) {
			fprintf(stderr, "%s: not a query: %s\n", opt.file, line);
			exit(1);
		}
		queries_length += query_room(query_at(queries + queries_length));
	}
	free(line);
	fclose(in);
	if (!queries_length) {
		fprintf(stderr, "%s: no queries\n", opt.file);
		exit(1);
	}
	next_query = queries;
}

/* --- queries under way -------------------------------------------------------- */

static void begin(struct slot *slot, uint64_t when)
{
	const struct query *q = query_at(next_query);

	next_query += query_room(q);
	if (next_query == queries + queries_length)
		next_query = queries;
	slot->query = q;
	slot->busy = true;
	slot->sent = when;
	slot->id = (uint16_t)(slot->id + opt.window);     /* the slot is the ID modulo the window; a late answer to the last one has another */
	memcpy(slot->wire, q->wire, q->length);
	put16(slot->wire, slot->id);
}

static void release(struct lane *lane, struct slot *slot)
{
	slot->busy = false;
	lane->idle[lane->idle_count++] = (uint16_t)(slot - lane->slots);
}

static bool is_right(const struct query *q, const uint8_t *m, size_t n)
{
	return m[2] & 0x80 && get16(m + 4) == 1 && n >= (size_t)HEADER + q->question_length &&
		memcmp(m + HEADER, q->wire + HEADER, q->question_length) == 0 && (q->rcode == ANY || q->rcode == (m[3] & 15)) &&
		(q->answers == ANY || q->answers == get16(m + 6));
}

/* m: its beginning, as far as it is looked at; n: octets there; length: octets that it has. */
static void take(struct lane *lane, const uint8_t *m, size_t n, size_t length, uint64_t when)
{
	struct slot *slot;

	if (n < HEADER) {
		count.stray++;
		return;
	}
	slot = &lane->slots[get16(m) & (opt.window - 1)];
	if (!slot->busy || slot->id != get16(m)) {
		count.stray++;
		return;
	}
	if (!is_right(slot->query, m, n)) {
		count.wrong++;
	} else if (counting) {
		count.answered++;
		count.octets += length;
		count.truncated += m[2] >> 1 & 1;
		if (opt.rate)
			note(when > slot->sent ? when - slot->sent : 0);
	}
	release(lane, slot);
}

static void expire(struct lane *lane, uint64_t before)
{
	for (unsigned i = 0; i < opt.window; i++)
		if (lane->slots[i].busy && lane->slots[i].sent < before) {
			count.lost++;
			release(lane, &lane->slots[i]);
		}
}

static void expire_all(uint64_t before)
{
	for (unsigned i = 0; i < opt.lanes; i++)
		expire(&lanes[i], before);
}

static bool any_under_way(void)
{
	for (unsigned i = 0; i < opt.lanes; i++)
		if (lanes[i].idle_count < opt.window)
			return true;
	return false;
}

/* --- UDP ------------------------------------------------------------------------ */

static uint8_t heads[BATCH][MAX_QUERY];                 /* an answer's beginning: no more of it is copied */
static uint8_t stamps[BATCH][CMSG_SPACE(sizeof(struct timespec))] __attribute__((aligned(8)));
static struct iovec in_parts[BATCH], out_parts[BATCH];
static struct mmsghdr in_messages[BATCH], out_messages[BATCH];

static void prepare_batches(void)
{
	for (unsigned i = 0; i < BATCH; i++) {
		in_parts[i] = (struct iovec){heads[i], MAX_QUERY};
		in_messages[i].msg_hdr = (struct msghdr){.msg_iov = &in_parts[i], .msg_iovlen = 1};
		out_messages[i].msg_hdr = (struct msghdr){.msg_iov = &out_parts[i], .msg_iovlen = 1};
	}
}

static uint64_t stamp_of(struct msghdr *m)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(m);
	struct timespec t;

	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS)
		return now();
	memcpy(&t, CMSG_DATA(c), sizeof t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

/* Takes what has come, up to a batch; how many. */
static int receive(struct lane *lane)
{
	int n;

	if (opt.rate)
		for (unsigned i = 0; i < BATCH; i++) {
			in_messages[i].msg_hdr.msg_control = stamps[i];
			in_messages[i].msg_hdr.msg_controllen = sizeof stamps[i];
		}
	n = recvmmsg(lane->fd, in_messages, BATCH, MSG_DONTWAIT | MSG_TRUNC, NULL);
	for (int i = 0; i < n; i++) {
		size_t length = in_messages[i].msg_len;

		take(lane, heads[i], length < MAX_QUERY ? length : MAX_QUERY, length, opt.rate ? stamp_of(&in_messages[i].msg_hdr) : 0);
	}
	return n > 0 ? n : 0;
}

/* Those that the kernel does not take stay under way until they are given up. */
static void send_batch(struct lane *lane, unsigned n)
{
	unsigned sent = 0;

	while (sent < n) {
		int done = sendmmsg(lane->fd, out_messages + sent, n - sent, 0);

		sent += done > 0 ? (unsigned)done : 1;
	}
}

static void refill(struct lane *lane, uint64_t when)
{
	while (lane->idle_count) {
		unsigned n = 0;

		for (; n < BATCH && lane->idle_count; n++) {
			struct slot *slot = &lane->slots[lane->idle[--lane->idle_count]];

			begin(slot, when);
			out_parts[n] = (struct iovec){slot->wire, slot->query->length};
		}
		send_batch(lane, n);
	}
}

/* One look at each lane. A lane from which nothing came is left alone for a moment: looking takes the lock that the server needs. */
static void round_of_udp(uint64_t when)
{
	for (unsigned i = 0; i < opt.lanes; i++) {
		count.rounds++;
		if (!receive(&lanes[i])) {
			count.idle_rounds++;
			for (int pause = 0; pause < 50; pause++)
				__builtin_ia32_pause();
		}
		if (lanes[i].idle_count)
			refill(&lanes[i], when);
	}
}

static void connect_lane(struct lane *lane)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)opt.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int one = 1, room = 1 << 20;

	lane->fd = socket(AF_INET, opt.tcp ? SOCK_STREAM : SOCK_DGRAM, 0);
	if (lane->fd < 0 || connect(lane->fd, (struct sockaddr *)&to, sizeof to) < 0)
		fail("connect");
	if (opt.tcp) {
		setsockopt(lane->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		fcntl(lane->fd, F_SETFL, O_NONBLOCK);
		return;
	}
	setsockopt(lane->fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
	setsockopt(lane->fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
	if (opt.rate)
		setsockopt(lane->fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof one);
}

/* --- UDP at a fixed rate ---------------------------------------------------------- */

static struct { uint64_t start, sent; unsigned lane; } schedule;

static uint64_t due_at(uint64_t n) { return schedule.start + n * SECOND / opt.rate; }

/* The slots of a lane take turns; of its idle ones only the number is kept. */
static void send_one(uint64_t when)
{
	struct lane *lane = &lanes[schedule.lane++ % opt.lanes];
	struct slot *slot = &lane->slots[lane->next++ & (opt.window - 1)];
	uint64_t due = due_at(schedule.sent++);

	if (slot->busy) {
		count.lost++;
		slot->busy = false;
	} else {
		lane->idle_count--;
	}
	if (counting && when - due > count.late)
		count.late = when - due;
	if (when - due > PATIENCE)
		schedule.start += when - due;           /* this program was held up: no flood to catch up */
	begin(slot, when);
	out_parts[0] = (struct iovec){slot->wire, slot->query->length};
	send_batch(lane, 1);
}

static void round_at_rate(uint64_t when)
{
	struct pollfd fds[MAX_LANES];
	struct timespec wait = {0, 0};
	uint64_t due;

	if (!schedule.start)
		schedule.start = when;
	for (; due_at(schedule.sent) <= when; when = now())
		send_one(when);
	due = due_at(schedule.sent);
	wait.tv_nsec = (long)(due > when ? (due - when) % SECOND : 0);
	for (unsigned i = 0; i < opt.lanes; i++)
		fds[i] = (struct pollfd){.fd = lanes[i].fd, .events = POLLIN};
	count.rounds++;
	if (ppoll(fds, opt.lanes, &wait, NULL) <= 0)
		count.idle_rounds++;
	for (unsigned i = 0; i < opt.lanes; i++) {
		if (fds[i].revents)
			receive(&lanes[i]);
	}
}

/* --- TCP ---------------------------------------------------------------------------- */

static int poll_set;

static void watch(struct lane *lane, int how, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.ptr = lane};

	if (epoll_ctl(poll_set, how, lane->fd, &e) < 0)
		fail("epoll_ctl");
}

static void reconnect(struct lane *lane)
{
	count.closed++;
	close(lane->fd);
	lane->in_length = lane->out_at = lane->out_length = 0;
	expire(lane, UINT64_MAX);
	connect_lane(lane);
	watch(lane, EPOLL_CTL_ADD, EPOLLIN);
}

/* Takes the messages that are there whole. */
static void take_messages(struct lane *lane)
{
	size_t at = 0;

	while (lane->in_length - at >= 2) {
		size_t n = get16(lane->in + at);

		if (lane->in_length - at < 2 + n)
			break;
		take(lane, lane->in + at + 2, n, n, 0);
		at += 2 + n;
	}
	memmove(lane->in, lane->in + at, lane->in_length - at);
	lane->in_length -= at;
}

static void write_queries(struct lane *lane, uint64_t when)
{
	bool was_full = lane->out_at < lane->out_length;

	while (lane->idle_count && lane->out_length + 2 + MAX_QUERY <= STREAM) {
		struct slot *slot = &lane->slots[lane->idle[--lane->idle_count]];

		begin(slot, when);
		put16(lane->out + lane->out_length, slot->query->length);
		memcpy(lane->out + lane->out_length + 2, slot->wire, slot->query->length);
		lane->out_length += 2u + slot->query->length;
	}
	if (lane->out_at < lane->out_length) {
		ssize_t n = send(lane->fd, lane->out + lane->out_at, lane->out_length - lane->out_at, MSG_NOSIGNAL);

		lane->out_at += n > 0 ? (size_t)n : 0;
	}
	if (lane->out_at == lane->out_length)
		lane->out_at = lane->out_length = 0;
	if (was_full != (lane->out_at < lane->out_length))
		watch(lane, EPOLL_CTL_MOD, was_full ? EPOLLIN : EPOLLIN | EPOLLOUT);
}

static void serve_lane(struct lane *lane, uint32_t events, uint64_t when)
{
	if (events & ~(uint32_t)EPOLLOUT) {
		ssize_t n = recv(lane->fd, lane->in + lane->in_length, STREAM - lane->in_length, 0);

		if (n > 0) {
			lane->in_length += (size_t)n;
			take_messages(lane);
		} else if (n == 0 || errno != EAGAIN) {
			reconnect(lane);
		}
	}
	write_queries(lane, when);
}

static void round_of_tcp(uint64_t when)
{
	struct epoll_event events[BATCH];
	int n = epoll_wait(poll_set, events, BATCH, 0);

	count.rounds++;
	count.idle_rounds += n <= 0;
	for (int i = 0; i < n; i++)
		serve_lane(events[i].data.ptr, events[i].events, when);
}

/* --- one measurement ------------------------------------------------------------------ */

struct cpu { double user, system; };

static struct cpu cpu_of_server(void)
{
	struct cpu sum = {0, 0};
	double tick = 1.0 / (double)sysconf(_SC_CLK_TCK);

	for (unsigned i = 0; i < opt.pids; i++) {
		char path[64], text[1024], *end;
		unsigned long user, system;
		FILE *in;

		snprintf(path, sizeof path, "/proc/%d/stat", opt.pid[i]);
		in = fopen(path, "r");
		if (!in)
			continue;
		text[fread(text, 1, sizeof text - 1, in)] = '\0';
		fclose(in);
		end = strrchr(text, ')');
		if (end && sscanf(end, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) == 2) {
			sum.user += (double)user * tick;
			sum.system += (double)system * tick;
		}
	}
	return sum;
}

static void prepare_lanes(void)
{
	poll_set = epoll_create1(0);
	for (unsigned i = 0; i < opt.lanes; i++) {
		struct lane *lane = &lanes[i];

		lane->slots = must(calloc(opt.window, sizeof *lane->slots));
		lane->idle = must(calloc(opt.window, sizeof *lane->idle));
		for (unsigned k = 0; k < opt.window; k++) {
			lane->slots[k].id = (uint16_t)k;
			lane->idle[lane->idle_count++] = (uint16_t)k;
		}
		connect_lane(lane);
		if (opt.tcp) {
			lane->in = must(malloc(STREAM));
			lane->out = must(malloc(STREAM));
			watch(lane, EPOLL_CTL_ADD, EPOLLIN);
		}
	}
}

static void measure(void)
{
	void (*round)(uint64_t) = opt.tcp ? round_of_tcp : opt.rate ? round_at_rate : round_of_udp;
	uint64_t when = now(), begun = when + (uint64_t)(opt.warm * 1e9), end = begun + (uint64_t)(opt.seconds * 1e9), looked = when;
	struct cpu before = {0, 0}, after;
	double took;

	if (opt.tcp)
		for (unsigned i = 0; i < opt.lanes; i++)
			write_queries(&lanes[i], when);
	for (; when < end; when = now()) {
		if (!counting && when >= begun) {
			counting = true;
			before = cpu_of_server();
			begun = when;
			memset(&count, 0, sizeof count);
		}
		round(when);
		if (!opt.rate && when - looked > SECOND / 10) {
			expire_all(when - SECOND);
			looked = when;
		}
	}
	after = cpu_of_server();
	took = (double)(when - begun) / 1e9;
	printf("qps %.1f\n", (double)count.answered / took);
	if (opt.pids && count.answered)
		printf("user %.1f\nsystem %.1f\n", (after.user - before.user) * 1e9 / (double)count.answered,
			(after.system - before.system) * 1e9 / (double)count.answered);
}

/* What is under way when the time is over has a second more. At a fixed rate it counts, since nothing was sent after the end. */
static void drain(void)
{
	uint64_t end = now() + SECOND;

	counting = opt.rate > 0;
	while (!opt.tcp && any_under_way() && now() < end)
		for (unsigned i = 0; i < opt.lanes; i++)
			receive(&lanes[i]);
	if (!opt.tcp)
		expire_all(UINT64_MAX);
}

static void report(void)
{
	printf("answered %lu\nlost %lu\nwrong %lu\nstray %lu\ntruncated %lu\nclosed %lu\n", count.answered, count.lost, count.wrong,
		count.stray, count.truncated, count.closed);
	printf("octets %.1f\nidle %.3f\n", (double)count.octets / (double)(count.answered ? count.answered : 1),
		(double)count.idle_rounds / (double)(count.rounds ? count.rounds : 1));
	if (opt.rate)
		printf("p50 %.3f\np99 %.3f\np99.9 %.3f\nmax %.3f\nlate %.3f\n", percentile(0.5), percentile(0.99),
			percentile(0.999), percentile(1), (double)count.late / 1e6);
}

static bool read_option(int which)
{
	switch (which) {
	case 'p': opt.port = (unsigned)atoi(optarg); return true;
	case 'q': opt.file = optarg; return true;
	case 's': opt.seconds = atof(optarg); return true;
	case 'w': opt.warm = atof(optarg); return true;
	case 'l': opt.lanes = (unsigned)atoi(optarg); return true;
	case 'n': opt.window = (unsigned)atoi(optarg); return true;
	case 'r': opt.rate = (unsigned)atoi(optarg); return true;
	case 't': opt.tcp = true; return true;
	case 'z': opt.size = (unsigned)atoi(optarg); return true;
	case 'd': opt.want_dnssec = true; return true;
	case 'a': opt.any = true; return true;
	case 'i': opt.pid[opt.pids++ % MAX_PIDS] = atoi(optarg); return opt.pids <= MAX_PIDS;
	}
	return false;
}

static bool read_options(int argc, char *argv[])
{
	static const struct option options[] = {{"port", 1, NULL, 'p'}, {"queries", 1, NULL, 'q'}, {"seconds", 1, NULL, 's'}, {"warm", 1, NULL, 'w'},
		{"lanes", 1, NULL, 'l'}, {"window", 1, NULL, 'n'}, {"rate", 1, NULL, 'r'}, {"tcp", 0, NULL, 't'},
		{"size", 1, NULL, 'z'}, {"do", 0, NULL, 'd'},
		{"any", 0, NULL, 'a'}, {"pid", 1, NULL, 'i'}, {NULL, 0, NULL, 0}};
	int which;

	while ((which = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (!read_option(which))
			return false;
	if (opt.want_dnssec && !opt.size)
		opt.size = 1232;
	return optind == argc && opt.port && opt.port < 65536 && opt.file && opt.lanes && opt.lanes <= MAX_LANES && opt.window &&
		opt.window <= MAX_WINDOW && !(opt.window & (opt.window - 1)) && opt.seconds > 0 && opt.seconds <= 600 &&
		opt.warm >= 0 && opt.warm <= 60 && !(opt.rate && opt.tcp);
}

int main(int argc, char *argv[])
{
	if (!read_options(argc, argv)) {
		fprintf(stderr, "usage: load --port PORT --queries FILE [--seconds S] [--warm S] [--lanes N] [--window POWER-OF-TWO] [--rate QPS]\n"
			"            [--tcp] [--size OCTETS] [--do] [--any] [--pid PID]...\n");
		return 2;
	}
	read_queries();
	alarm((unsigned)(opt.seconds + opt.warm) + 30);
	prctl(PR_SET_TIMERSLACK, 1);
	prepare_batches();
	prepare_lanes();
	measure();
	drain();
	report();
	return fflush(stdout) == 0 ? 0 : 1;
}
