/* A primary that is never the bottleneck: one zone of A records, its AXFR prepared in memory, message by message; also a stopwatch.
 *
 *     source --port PORT --server PORT [--records N] [--order sorted|random]
 *
 * Prints, one a line, with CLOCK_MONOTONIC seconds: "ready T", "request T" (an AXFR or IXFR was asked for), "sent T" (its last octet was given to
 * the kernel), "served SERIAL T" (the server answers with the serial; asked every half millisecond from the request on).
 * Reads from standard input: "serial N" changes the serial and sends NOTIFY to the server; end of file ends it.
 * Every IXFR is answered with the whole zone. Bounded: it ends after ten minutes.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MESSAGE = 16000, LIFETIME = 600 };

static const uint8_t zone[] = "\5bench\4test";      /* with the final zero octet: 12 octets */
static unsigned records = 1000000, port, server_port;
static bool in_random_order;
static volatile uint32_t serial = 1;
static volatile int asked;           /* transfers asked for so far */
static uint8_t *stream;              /* all messages with their lengths in front */
static size_t stream_length, *soa_at, soa_count, *id_at, id_count;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void say(const char *what)
{
	printf("%s %.6f\n", what, now());
	fflush(stdout);
}

static void put16(uint8_t *p, unsigned v) { p[0] = (uint8_t)(v >> 8); p[1] = (uint8_t)v; }
static void put32(uint8_t *p, uint32_t v) { put16(p, v >> 16); put16(p + 2, v & 0xffff); }

static size_t put_soa(uint8_t *p, size_t at)
{
	static const uint8_t head[] = {0xc0, 12, 0, 6, 0, 1, 0, 0, 0x0e, 0x10, 0, 24, 0xc0, 12, 0xc0, 12};

	memcpy(p + at, head, sizeof head);
	put32(p + at + 16, serial);
	put32(p + at + 20, 3600);
	put32(p + at + 24, 600);
	put32(p + at + 28, 604800);
	put32(p + at + 32, 300);
	return at + 36;
}

static size_t put_a(uint8_t *p, size_t at, uint32_t i)
{
	static const uint8_t tail[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4};
	char label[16];
	int n = snprintf(label, sizeof label, "h%07u", i);

	p[at++] = (uint8_t)n;
	memcpy(p + at, label, (size_t)n);
	at += (size_t)n;
	memcpy(p + at, tail, sizeof tail);
	put32(p + at + sizeof tail, 0x0a000000u + i);
	return at + sizeof tail + 4;
}

static size_t begin_message(uint8_t *p)
{
	memset(p, 0, 2 + 12);
	put16(p + 4, 0x8400);
	put16(p + 6, 1);
	memcpy(p + 14, zone, sizeof zone);
	put16(p + 14 + sizeof zone, 252);
	put16(p + 16 + sizeof zone, 1);
	return 14 + sizeof zone + 4;
}

static void prepare(void)
{
	size_t at, count;
	uint32_t i = 0;
	bool ended = false;

	stream = malloc((size_t)records * 28 + (1 << 20));
	id_at = malloc(sizeof *id_at * (records / 100 + 100));
	soa_at = malloc(sizeof *soa_at * 2);
	while (!ended) {
		uint8_t *p = stream + stream_length;

		at = begin_message(p);
		count = 0;
		if (!i) {
			soa_at[soa_count++] = stream_length + at;
			at = put_soa(p, at);
			memcpy(p + at, (const uint8_t[]){0xc0, 12, 0, 2, 0, 1, 0, 0, 0x0e, 0x10, 0, 5, 2, 'n', 's', 0xc0, 12}, 17);
			at += 17;
			count = 2;
		}
		/* a prime that does not divide the number of records: each comes once */
		for (; i < records && at < MESSAGE; i++, count++)
			at = put_a(p, at, in_random_order ? (uint32_t)((uint64_t)i * 7368787 % records) : i);
		if (i == records && at < MESSAGE) {
			soa_at[soa_count++] = stream_length + at;
			at = put_soa(p, at);
			count++;
			ended = true;
		}
		put16(p, (unsigned)(at - 2));
		put16(p + 8, (unsigned)count);
		id_at[id_count++] = stream_length + 2;
		stream_length += at;
	}
}

/* --- serving -------------------------------------------------------------- */

/* The query's end of question, or 0 if it is none; type of the question. */
static size_t parse(const uint8_t *q, size_t n, unsigned *type)
{
	size_t at = 12;

	while (at < n && q[at])
		at += 1u + q[at];
	if (at + 5 > n)
		return 0;
	*type = (unsigned)(q[at + 1] << 8 | q[at + 2]);
	return at + 5;
}

static size_t soa_answer(const uint8_t *q, size_t question_end, uint8_t *out)
{
	memcpy(out, q, question_end);
	put16(out + 2, 0x8400 | (q[2] << 8 & 0x0100));
	put16(out + 4, 1);
	put16(out + 6, 1);
	put32(out + 8, 0);
	return put_soa(out, question_end);
}

static bool send_all(int fd, const uint8_t *bytes, size_t n)
{
	while (n) {
		ssize_t sent = send(fd, bytes, n < (1 << 20) ? n : 1 << 20, MSG_NOSIGNAL);

		if (sent < 0)
			return false;
		bytes += sent;
		n -= (size_t)sent;
	}
	return true;
}

static bool receive(int fd, uint8_t *bytes, size_t n)
{
	while (n) {
		ssize_t got = recv(fd, bytes, n, 0);

		if (got <= 0)
			return false;
		bytes += got;
		n -= (size_t)got;
	}
	return true;
}

static void answer_stream(int fd)
{
	uint8_t length[2], query[65536], out[2 + 600];
	unsigned type;
	size_t n, end;

	while (receive(fd, length, 2)) {
		n = (size_t)length[0] << 8 | length[1];
		if (!receive(fd, query, n) || !(end = parse(query, n, &type)))
			return;
		if (type != 251 && type != 252) {
			n = soa_answer(query, end, out + 2);
			put16(out, (unsigned)n);
			if (!send_all(fd, out, n + 2))
				return;
			continue;
		}
		say("request");
		asked++;
		for (size_t i = 0; i < id_count; i++) {
			memcpy(stream + id_at[i], query, 2);
			put16(stream + id_at[i] + 12 + sizeof zone, type);
		}
		for (size_t i = 0; i < soa_count; i++)
			put_soa(stream, soa_at[i]);
		if (!send_all(fd, stream, stream_length))
			return;
		say("sent");
	}
}

static void *serve_tcp(void *arg)
{
	int listener = *(int *)arg, fd, one = 1;

	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		answer_stream(fd);
		close(fd);
	}
	return NULL;
}

/* --- the stopwatch -------------------------------------------------------- */

static void send_query(int fd, bool notify)
{
	uint8_t q[12 + sizeof zone + 4] = {0x55, 0x55, notify ? 0x24 : 0, 0, 0, 1};

	memcpy(q + 12, zone, sizeof zone);
	put16(q + 12 + sizeof zone, 6);
	put16(q + 14 + sizeof zone, 1);
	if (send(fd, q, sizeof q, 0) < 0)
		return;              /* not there yet: asked again */
}

/* The serial in the answer to our SOA query, or 0. */
static uint32_t read_serial(const uint8_t *m, size_t n)
{
	size_t at = 12 + sizeof zone + 4;

	if (n < at + 36 || (m[3] & 15) || m[7] != 1)
		return 0;
	at = n;                      /* the serial is 20 octets before the RDATA's end; find the end by the length field */
	for (size_t i = 12 + sizeof zone + 4; i + 12 < n; i++)
		if (m[i] == 0xc0 && m[i + 2] == 0 && m[i + 3] == 6) {
			at = i + 12 + ((size_t)m[i + 10] << 8 | m[i + 11]);
			break;
		}
	if (at > n)
		return 0;
	return (uint32_t)m[at - 20] << 24 | (uint32_t)m[at - 19] << 16 | (uint32_t)m[at - 18] << 8 | m[at - 17];
}

static struct sockaddr_in loopback(unsigned p)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)p), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	return a;
}

static void run(int udp, int watch)
{
	struct pollfd fds[3] = {{udp, POLLIN, 0}, {watch, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
	double end = now() + LIFETIME, last_query = 0;
	uint32_t seen = 0;
	int asked_before = 0;
	uint8_t m[4096], out[600];

	while (now() < end) {
		struct timespec half = {0, 500000};
		bool watching = asked > asked_before;

		if (watching && now() - last_query >= 0.0005) {
			last_query = now();
			send_query(watch, false);
		}
		ppoll(fds, 3, &half, NULL);
		if (fds[0].revents & POLLIN) {
			struct sockaddr_in from;
			socklen_t length = sizeof from;
			ssize_t n = recvfrom(udp, m, sizeof m, 0, (struct sockaddr *)&from, &length);
			unsigned type;
			size_t question = n > 0 ? parse(m, (size_t)n, &type) : 0;

			if (question)
				sendto(udp, out, soa_answer(m, question, out), 0, (struct sockaddr *)&from, length);
		}
		if (fds[1].revents) {
			ssize_t n = recv(watch, m, sizeof m, 0);
			uint32_t s = n > 0 ? read_serial(m, (size_t)n) : 0;

			if (s == serial && s != seen) {
				printf("served %u %.6f\n", s, now());
				fflush(stdout);
				seen = s;
				asked_before = asked;
			}
		}
		if (fds[2].revents) {
			char line[64] = "";
			unsigned value;

			if (!fgets(line, sizeof line, stdin))
				return;
			if (sscanf(line, "serial %u", &value) == 1) {
				serial = value;
				asked_before = asked;
				send_query(watch, true);
			}
		}
	}
}

int main(int argc, char *argv[])
{
	struct sockaddr_in at, server;
	int tcp = socket(AF_INET, SOCK_STREAM, 0), udp = socket(AF_INET, SOCK_DGRAM, 0), watch = socket(AF_INET, SOCK_DGRAM, 0), one = 1;
	pthread_t thread;

	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--port") == 0)
			port = (unsigned)atoi(argv[i + 1]);
		else if (strcmp(argv[i], "--server") == 0)
			server_port = (unsigned)atoi(argv[i + 1]);
		else if (strcmp(argv[i], "--records") == 0)
			records = (unsigned)atoi(argv[i + 1]);
		else if (strcmp(argv[i], "--order") == 0)
			in_random_order = strcmp(argv[i + 1], "random") == 0;
	}
	if (!port || !server_port || !records) {
		fprintf(stderr, "usage: source --port PORT --server PORT [--records N] [--order sorted|random]\n");
		return 2;
	}
	prepare();
	at = loopback(port);
	server = loopback(server_port);
	setsockopt(tcp, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(tcp, (struct sockaddr *)&at, sizeof at) < 0 || bind(udp, (struct sockaddr *)&at, sizeof at) < 0 || listen(tcp, 8) < 0 ||
	    connect(watch, (struct sockaddr *)&server, sizeof server) < 0 || pthread_create(&thread, NULL, serve_tcp, &tcp) != 0) {
		perror("source");
		return 1;
	}
	say("ready");
	run(udp, watch);
	return 0;
}
