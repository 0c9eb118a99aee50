/* serve/udp and serve/tcp on real sockets of the loopback interface: the server runs in a thread of its own, as in the daemon. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "serve-zone.h"

#include "base/log.h"
#include "serve/tcp.h"

#include <event2/event.h>
#include <event2/thread.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

/* Anybody may transfer but one. */
#define STRANGER "127.0.0.77"
static struct acl_rule may_transfer[2] = {{.deny = true}, {.any_address = true}};
static struct store *store;
static struct serve_policy policy = {.transfer = {may_transfer, 2}};

/* --- the server ----------------------------------------------------------------------------- */

static struct {
	struct event_base *base;
	struct event *quit;
	struct udp_batch *batch;
	struct udp *udp;
	struct tcp *tcp;
	struct answer answer;
	struct serve_counters counters;
	struct serve_settings settings;
	struct serve_settings_box box;
	struct net_addr udp_addr, tcp_addr;
	pthread_t thread;
} server;

static void *run(void *unused)
{
	(void)unused;
	store_thread_begin();
	event_base_dispatch(server.base);
	store_thread_end();
	return NULL;
}

static void on_quit(evutil_socket_t fd, short what, void *base)
{
	(void)fd, (void)what;
	event_base_loopbreak(base);
}

static struct net_addr bound(int fd)
{
	struct sockaddr_storage local;
	socklen_t length = sizeof local;

	assert_int_equal(getsockname(fd, (struct sockaddr *)&local, &length), 0);
	return net_addr_of((struct sockaddr *)&local);
}

static struct net_addr address(const char *text, uint16_t port)
{
	struct net_addr addr;

	assert_int_equal(net_addr_parse(&addr, text, 1, NULL), ERR_OK);
	net_set_port(&addr, port);
	return addr;
}

static void start(const char *listen, struct tcp_limits limits)
{
	struct net_addr addr = address(listen, 0);
	int udp = net_listen_udp(&addr, NULL), tcp = net_listen_tcp(&addr, NULL);

	assert_true(udp >= 0 && tcp >= 0);
	memset(&server, 0, sizeof server);
	server.udp_addr = bound(udp);
	server.tcp_addr = bound(tcp);
	server.settings = (struct serve_settings){.identity = "first", .udp_payload = 1232};
	server.box.current = &server.settings;
	server.base = event_base_new();
	server.quit = event_new(server.base, -1, 0, on_quit, server.base);
	answer_init(&server.answer, store, &server.counters);
	server.batch = udp_batch_new();
	assert_non_null(server.batch);
	server.udp = udp_new(server.base, server.batch, udp, &server.answer, &server.box);
	server.tcp = tcp_new(server.base, tcp, &server.answer, &server.box, limits);
	assert_true(server.udp && server.tcp && server.quit);
	assert_int_equal(pthread_create(&server.thread, NULL, run, NULL), 0);
}

/* From here on the counters may be read. */
static void stop(void)
{
	event_active(server.quit, EV_TIMEOUT, 0);
	pthread_join(server.thread, NULL);
	udp_free(server.udp);
	udp_batch_free(server.batch);
	tcp_free(server.tcp);
	event_free(server.quit);
	answer_release(&server.answer);
	event_base_free(server.base);
}

static const struct tcp_limits wide = {100, 20000, 20000, 0};

/* --- clients ----------------------------------------------------------------------------------- */

static int client(int type, struct net_addr to)
{
	struct timeval patience = {10, 0};
	int fd = socket(to.sa.sa_family, type, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, &to.sa, net_addr_len(&to)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	return fd;
}

static const char *ask_udp(int fd, const char *question)
{
	struct test_request request = request_of(question);
	static uint8_t answer[65535];
	ssize_t n;

	assert_int_equal(send(fd, request.bytes, request.length, 0), request.length);
	n = recv(fd, answer, sizeof answer, 0);
	assert_true(n > 0);
	return show_message(answer, (size_t)n);
}

static void send_all(int fd, const void *bytes, size_t n)
{
	const uint8_t *at = bytes;

	while (n > 0) {
		ssize_t sent = send(fd, at, n, MSG_NOSIGNAL);

		assert_true(sent > 0);
		at += sent;
		n -= (size_t)sent;
	}
}

static size_t frame_of(uint8_t *out, const char *question, uint16_t id)
{
	struct test_request request = request_of(question);

	put_u16(request.bytes, id);
	put_u16(out, (uint16_t)request.length);
	memcpy(out + 2, request.bytes, request.length);
	return 2 + request.length;
}

static void send_question(int fd, const char *question, uint16_t id)
{
	uint8_t frame[1100];

	send_all(fd, frame, frame_of(frame, question, id));
}

static uint8_t message[65535];

/* The next message of a stream; 0 if it has ended. */
static size_t next_message(int fd)
{
	uint8_t length[2];
	ssize_t n = recv(fd, length, 2, MSG_WAITALL);

	if (n == 0)
		return 0;
	assert_int_equal(n, 2);
	assert_int_equal(recv(fd, message, get_u16(length), MSG_WAITALL), get_u16(length));
	return get_u16(length);
}

static const char *ask_tcp(int fd, const char *question)
{
	send_question(fd, question, 7);
	return show_message(message, next_message(fd));
}

static bool has_ended(int fd)
{
	uint8_t byte;
	ssize_t n = recv(fd, &byte, 1, 0);

	return n == 0 || (n < 0 && errno == ECONNRESET);
}

/* --- the zone -------------------------------------------------------------------------------------- */

static int setup(void **state)
{
	char *text = calloc(1, 2 << 20);
	size_t length = (size_t)sprintf(text, "@ IN SOA ns1 host 7 3600 900 604800 300\n@ IN NS ns1\nwww IN TXT \"text\"\n");

	(void)state;
	evthread_use_pthreads();
	log_setup(LOG_TO_STDERR, LOG_LEVEL_ERROR);
	rr_init();
	store_thread_begin();
	store = store_new();
	assert_int_equal(net_prefix_parse(&may_transfer[0].prefix, STRANGER, NULL), ERR_OK);
	for (int i = 0; i < 30; i++)
		length += (size_t)sprintf(text + length, "big IN TXT \"%0200d\"\n", i);
	for (int i = 0; i < 30000; i++)
		length += (size_t)sprintf(text + length, "host-%d IN A 10.1.%d.%d\n", i, i / 250, i % 250);
	add_zone(store, "example.", text, &policy);
	free(text);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	store_settle();
	store_free(store);
	store_thread_end();
	return 0;
}

enum { ZONE_RECORDS = 3 + 30 + 30000 };

#define TEXT_ANSWER "NOERROR aa edns=1232\nanswer www.example. 3600 TXT \"text\"\n"

/* --- UDP ---------------------------------------------------------------------------------------------- */

static void a_question_over_udp(void **state)
{
	int fd;

	(void)state;
	start("127.0.0.1", wide);
	fd = client(SOCK_DGRAM, server.udp_addr);
	assert_string_equal(ask_udp(fd, "www.example. TXT"), TEXT_ANSWER);
	close(fd);
	stop();
	assert_int_equal(server.counters.queries_udp, 1);
	assert_int_equal(server.counters.answers_udp, 1);
}

static void many_questions_at_once_are_all_answered(void **state)
{
	struct test_request request = request_of("www.example. TXT");
	uint8_t answer[1500], seen[150] = {0};
	int fd;

	(void)state;
	start("127.0.0.1", wide);
	fd = client(SOCK_DGRAM, server.udp_addr);
	for (uint16_t i = 0; i < 150; i++) {
		put_u16(request.bytes, i);
		assert_int_equal(send(fd, request.bytes, request.length, 0), request.length);
	}
	for (int i = 0; i < 150; i++) {
		assert_true(recv(fd, answer, sizeof answer, 0) > 12);
		assert_in_range(get_u16(answer), 0, 149);
		assert_int_equal(seen[get_u16(answer)]++, 0);
	}
	close(fd);
	stop();
	assert_int_equal(server.counters.answers_udp, 150);
}

/* The client's socket is connected: an answer from another address would not reach it. */
static void the_answer_comes_from_the_address_that_was_asked(void **state)
{
	static const char *const addresses[] = {"127.0.0.2", "127.0.0.1", "127.200.3.4"};
	int fd;

	(void)state;
	start("0.0.0.0", wide);
	for (int i = 0; i < 3; i++) {
		fd = client(SOCK_DGRAM, address(addresses[i], net_port(&server.udp_addr)));
		assert_string_equal(ask_udp(fd, "www.example. TXT"), TEXT_ANSWER);
		close(fd);
		fd = client(SOCK_STREAM, address(addresses[i], net_port(&server.tcp_addr)));
		assert_string_equal(ask_tcp(fd, "www.example. TXT"), TEXT_ANSWER);
		close(fd);
	}
	stop();
}

static void and_so_over_ipv6(void **state)
{
	struct net_addr any = address("::1", 0);
	int fd = net_listen_udp(&any, NULL);

	(void)state;
	if (fd < 0)
		skip();
	close(fd);
	start("::", wide);
	fd = client(SOCK_DGRAM, address("::1", net_port(&server.udp_addr)));
	assert_string_equal(ask_udp(fd, "www.example. TXT"), TEXT_ANSWER);
	close(fd);
	stop();
	start("::1", wide);
	fd = client(SOCK_DGRAM, server.udp_addr);
	assert_string_equal(ask_udp(fd, "www.example. TXT"), TEXT_ANSWER);
	close(fd);
	stop();
}

static void what_is_no_question_is_passed_over(void **state)
{
	struct test_request request = request_of("www.example. TXT");
	static uint8_t junk[9000];
	int fd;

	(void)state;
	start("127.0.0.1", wide);
	fd = client(SOCK_DGRAM, server.udp_addr);
	for (size_t i = 0; i < request.length; i++)
		send(fd, request.bytes, i, 0);         /* cut at every octet: no answer under 12, then FORMERR */
	request.bytes[2] |= 0x80;
	send(fd, request.bytes, request.length, 0);    /* a response */
	memset(junk, 0x55, sizeof junk);
	send(fd, junk, sizeof junk, 0);                /* an opcode that is none */
	for (size_t i = 12; i < request.length; i++) {
		ssize_t n = recv(fd, message, sizeof message, 0);

		assert_true(n >= 12);
		assert_int_equal(message[3] & 15, RCODE_FORMERR);
	}
	assert_true(recv(fd, message, sizeof message, 0) >= 12);
	assert_int_equal(message[3] & 15, RCODE_NOTIMP);
	assert_string_equal(ask_udp(fd, "www.example. TXT"), TEXT_ANSWER);
	close(fd);
	stop();
	assert_int_equal(server.counters.dropped, 12 + 1);
}

static void a_request_may_be_as_long_as_udp_allows(void **state)
{
	static uint8_t bytes[65507];
	struct test_request request = request_of("www.example. TXT noedns");
	struct wbuf out = wbuf_of(bytes, sizeof bytes);
	unsigned records = 0;
	int fd;

	(void)state;
	wbuf_bytes(&out, request.bytes, request.length);
	for (; wbuf_left(&out) >= 11; records++)
		wbuf_bytes(&out, "\0\0\1\0\1\0\0\0\0\0\0", 11);
	put_u16(bytes + 6, (uint16_t)records);
	start("127.0.0.1", wide);
	fd = client(SOCK_DGRAM, server.udp_addr);
	assert_int_equal(send(fd, bytes, wbuf_used(&out), 0), wbuf_used(&out));
	assert_true(recv(fd, message, sizeof message, 0) > 12);
	assert_int_equal(message[3] & 15, RCODE_NOERROR);
	close(fd);
	stop();
}

static void new_settings_hold_from_then_on(void **state)
{
	struct serve_settings next;
	int fd;

	(void)state;
	start("127.0.0.1", wide);
	next = server.settings;
	next.identity = "second";
	fd = client(SOCK_DGRAM, server.udp_addr);
	assert_non_null(strstr(ask_udp(fd, "id.server. TXT CH"), "\"first\""));
	__atomic_store_n(&server.box.current, &next, __ATOMIC_RELEASE);
	assert_non_null(strstr(ask_udp(fd, "id.server. TXT CH"), "\"second\""));
	close(fd);
	stop();
}

/* --- TCP --------------------------------------------------------------------------------------------------- */

static void questions_on_one_connection_are_answered_in_order(void **state)
{
	static uint8_t frames[300000];
	size_t length = 0;
	int fd;

	(void)state;
	start("127.0.0.1", wide);
	fd = client(SOCK_STREAM, server.tcp_addr);
	assert_string_equal(ask_tcp(fd, "www.example. TXT"), TEXT_ANSWER);
	for (uint16_t i = 0; i < 3000; i++)
		length += frame_of(frames + length, "www.example. TXT", i);
	send_all(fd, frames, length);
	for (unsigned i = 0; i < 3000; i++) {
		assert_true(next_message(fd) > 12);
		assert_int_equal(get_u16(message), i);
	}
	close(fd);
	stop();
	assert_int_equal(server.counters.queries_tcp, 3001);
	assert_int_equal(server.counters.tcp_accepted, 1);
}

static void a_question_may_come_octet_by_octet(void **state)
{
	uint8_t frame[1100];
	size_t length = frame_of(frame, "www.example. TXT", 9);
	int fd;

	(void)state;
	start("127.0.0.1", wide);
	fd = client(SOCK_STREAM, server.tcp_addr);
	for (size_t i = 0; i < length; i++)
		send_all(fd, frame + i, 1);
	assert_string_equal(show_message(message, next_message(fd)), TEXT_ANSWER);
	close(fd);
	stop();
}

static void what_is_no_question_ends_the_connection_after_the_answers_before(void **state)
{
	uint8_t frames[1200];
	size_t length = frame_of(frames, "www.example. TXT", 9);
	int fd;

	(void)state;
	memset(frames + length, 0, 2);                  /* a message of no octets */
	start("127.0.0.1", wide);
	fd = client(SOCK_STREAM, server.tcp_addr);
	send_all(fd, frames, length + 2);
	assert_string_equal(show_message(message, next_message(fd)), TEXT_ANSWER);
	assert_true(has_ended(fd));
	close(fd);
	stop();
}

/* A question of some 900 octets, most of them in an option that means nothing. */
static size_t long_frame(uint8_t frame[1100])
{
	enum { OPTION = 850 };
	size_t length = frame_of(frame, "big.example. TXT", 9);

	put_u16(frame, (uint16_t)(length - 2 + 4 + OPTION));
	put_u16(frame + length - 2, 4 + OPTION);
	put_u16(frame + length, 65001);
	put_u16(frame + length + 2, OPTION);
	memset(frame + length + 4, 0, OPTION);
	return length + 4 + OPTION;
}

/* It is not read on behalf of a client that does not read, so the client's own writes come to a stand. */
static void a_client_that_does_not_read_is_not_heard(void **state)
{
	uint8_t frame[1100];
	size_t length = long_frame(frame), sent = 0, answers = 0;
	int slow, other;
	struct pollfd writable = {.events = POLLOUT};

	(void)state;
	start("127.0.0.1", wide);
	slow = client(SOCK_STREAM, server.tcp_addr);
	other = client(SOCK_STREAM, server.tcp_addr);
	writable.fd = slow;
	while (poll(&writable, 1, 300) == 1 && sent < 20000) {
		send_all(slow, frame, length);
		sent++;
	}
	assert_in_range(sent, 100, 19999);              /* 20,000 answers would be 130 MB */
	assert_string_equal(ask_tcp(other, "www.example. TXT"), TEXT_ANSWER);
	while (answers < sent) {
		assert_true(next_message(slow) > 6000);
		answers++;
	}
	assert_string_equal(ask_tcp(slow, "www.example. TXT"), TEXT_ANSWER);
	close(slow);
	close(other);
	stop();
	assert_int_equal(server.counters.answers_tcp, sent + 2);
}

static void an_idle_connection_is_ended(void **state)
{
	int fd;

	(void)state;
	start("127.0.0.1", (struct tcp_limits){100, 100});
	fd = client(SOCK_STREAM, server.tcp_addr);
	assert_string_equal(ask_tcp(fd, "www.example. TXT"), TEXT_ANSWER);
	assert_true(has_ended(fd));
	close(fd);
	stop();
	assert_int_equal(server.counters.tcp_timeouts, 1);
}

static void beyond_the_limit_the_longest_idle_gives_way(void **state)
{
	int fd[5];

	(void)state;
	start("127.0.0.1", (struct tcp_limits){3, 20000});
	for (int i = 0; i < 3; i++) {
		fd[i] = client(SOCK_STREAM, server.tcp_addr);
		assert_string_equal(ask_tcp(fd[i], "www.example. TXT"), TEXT_ANSWER);
	}
	assert_string_equal(ask_tcp(fd[0], "www.example. TXT"), TEXT_ANSWER);
	fd[3] = client(SOCK_STREAM, server.tcp_addr);
	assert_string_equal(ask_tcp(fd[3], "www.example. TXT"), TEXT_ANSWER);
	assert_true(has_ended(fd[1]));
	fd[4] = client(SOCK_STREAM, server.tcp_addr);
	assert_string_equal(ask_tcp(fd[4], "www.example. TXT"), TEXT_ANSWER);
	assert_true(has_ended(fd[2]));
	for (int i = 0; i < 5; i++) {
		if (i == 0 || i > 2)
			assert_string_equal(ask_tcp(fd[i], "www.example. TXT"), TEXT_ANSWER);
		close(fd[i]);
	}
	stop();
	assert_int_equal(server.counters.tcp_accepted, 5);
	assert_int_equal(server.counters.tcp_rejected, 2);
}

/* From another address of the loopback interface. */
static int client_from(const char *text, struct net_addr to)
{
	struct net_addr from = address(text, 0);
	struct timeval patience = {10, 0};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, &from.sa, net_addr_len(&from)), 0);
	assert_int_equal(connect(fd, &to.sa, net_addr_len(&to)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	return fd;
}

static void one_client_does_not_keep_the_places_of_others(void **state)
{
	int greedy[6], modest[3];

	(void)state;
	start("127.0.0.1", (struct tcp_limits){6, 20000, 0, 0});
	for (int i = 0; i < 6; i++) {
		greedy[i] = client(SOCK_STREAM, server.tcp_addr);
		assert_string_equal(ask_tcp(greedy[i], "www.example. TXT"), TEXT_ANSWER);
	}
	for (int i = 0; i < 3; i++) {
		char text[20];

		sprintf(text, "127.0.0.%d", 10 + i);
		modest[i] = client_from(text, server.tcp_addr);
		assert_string_equal(ask_tcp(modest[i], "www.example. TXT"), TEXT_ANSWER);
		assert_true(has_ended(greedy[i]));
		close(greedy[i]);
		for (int j = 3; j < 6; j++)           /* whoever asks most does not keep its places by that */
			assert_string_equal(ask_tcp(greedy[j], "www.example. TXT"), TEXT_ANSWER);
	}
	greedy[0] = client(SOCK_STREAM, server.tcp_addr);
	assert_string_equal(ask_tcp(greedy[0], "www.example. TXT"), TEXT_ANSWER);
	assert_true(has_ended(greedy[3]));
	for (int i = 0; i < 3; i++) {
		assert_string_equal(ask_tcp(modest[i], "www.example. TXT"), TEXT_ANSWER);
		close(modest[i]);
		close(greedy[3 + i]);
	}
	close(greedy[0]);
	stop();
	assert_int_equal(server.counters.tcp_rejected, 4);
	assert_int_equal(server.counters.tcp_limited, 4);
}

static void a_question_that_does_not_end_ends_the_connection(void **state)
{
	uint8_t octet = 0, frame[1100];
	size_t length = frame_of(frame, "www.example. TXT", 9);
	struct pollfd end = {.events = POLLIN};
	int n = 0;

	(void)state;
	start("127.0.0.1", (struct tcp_limits){6, 2000, 0, 0});
	end.fd = client(SOCK_STREAM, server.tcp_addr);
	send_all(end.fd, frame, length);
	assert_string_equal(show_message(message, next_message(end.fd)), TEXT_ANSWER);
	send_all(end.fd, "\xff\xff", 2);
	while (poll(&end, 1, 20) == 0) {
		assert_true(n++ < 1000);
		send(end.fd, &octet, 1, MSG_NOSIGNAL);
	}
	assert_in_range(n, 4, 999);
	close(end.fd);
	stop();
	assert_int_equal(server.counters.tcp_slow, 1);
	assert_int_equal(server.counters.tcp_timeouts, 0);
}

/* --- transfers ------------------------------------------------------------------------------------------------- */

/* Reads a transfer's messages to the last, of which the SOA comes so often still; returns the records. */
static unsigned read_to_the_last(int fd, unsigned soas_left)
{
	unsigned records = 0, soas = 0;

	while (soas < soas_left) {
		size_t length = next_message(fd);
		struct rbuf msg = rbuf_of(message, length);
		struct msg_header header;
		struct msg_question question;
		struct msg_rr rr;

		assert_true(length > 0);
		assert_true(msg_read_header(&msg, &header));
		if (header.qdcount)
			assert_true(msg_read_question(&msg, &question));
		for (; header.ancount > 0; header.ancount--) {
			assert_true(msg_read_rr(&msg, &rr));
			records++;
			soas += rr.type == RR_SOA;
		}
	}
	return records;
}

static unsigned read_transfer(int fd) { return read_to_the_last(fd, 2); }

static void a_transfer_holds_up_the_questions_behind_it_only(void **state)
{
	int fd, other;

	(void)state;
	start("127.0.0.1", wide);
	fd = client(SOCK_STREAM, server.tcp_addr);
	other = client(SOCK_STREAM, server.tcp_addr);
	send_question(fd, "www.example. TXT", 1);
	send_question(fd, "example. AXFR", 2);
	send_question(fd, "www.example. TXT", 3);
	send_question(fd, "example. AXFR", 4);
	send_question(fd, "www.example. TXT", 5);
	assert_string_equal(ask_tcp(other, "www.example. TXT"), TEXT_ANSWER);
	assert_string_equal(show_message(message, next_message(fd)), TEXT_ANSWER);
	assert_int_equal(read_transfer(fd), ZONE_RECORDS + 1);
	assert_int_equal(get_u16(message), 2);
	assert_string_equal(show_message(message, next_message(fd)), TEXT_ANSWER);
	assert_int_equal(get_u16(message), 3);
	assert_int_equal(read_transfer(fd), ZONE_RECORDS + 1);
	assert_string_equal(show_message(message, next_message(fd)), TEXT_ANSWER);
	assert_int_equal(get_u16(message), 5);
	close(fd);
	close(other);
	stop();
	assert_int_equal(server.counters.axfr_out, 2);
	assert_int_equal(server.counters.transfers_out_failed, 0);
}

static void a_client_that_has_shut_down_its_side_gets_the_whole_transfer(void **state)
{
	int fd;

	(void)state;
	start("127.0.0.1", wide);
	fd = client(SOCK_STREAM, server.tcp_addr);
	send_question(fd, "example. AXFR", 2);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	assert_int_equal(read_transfer(fd), ZONE_RECORDS + 1);
	assert_true(has_ended(fd));
	close(fd);
	stop();
	assert_int_equal(server.counters.axfr_out, 1);
}

static void a_client_that_goes_away_in_the_middle_is_counted(void **state)
{
	struct linger reset = {1, 0};
	int fd, other, small = 4096;

	(void)state;
	start("127.0.0.1", wide);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
	assert_int_equal(connect(fd, &server.tcp_addr.sa, net_addr_len(&server.tcp_addr)), 0);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
	/* Several transfers, more than the kernel buffers: the last ones are never reached. */
	for (uint16_t i = 0; i < 40; i++)
		send_question(fd, "example. AXFR", i);
	assert_true(next_message(fd) > 12);
	other = client(SOCK_STREAM, server.tcp_addr);
	assert_string_equal(ask_tcp(other, "www.example. TXT"), TEXT_ANSWER);
	close(fd);
	assert_string_equal(ask_tcp(other, "www.example. TXT"), TEXT_ANSWER);
	close(other);
	stop();
	assert_int_equal(server.counters.transfers_out_failed, 1);
	assert_in_range(server.counters.axfr_out, 0, 39);
}

/* Takes an octet now and then: neither idle nor gone. */
static void read_slowly(int fd, size_t n_octets)
{
	uint8_t octets[2000];
	struct pollfd hangup = {.fd = fd, .events = POLLRDHUP};
	int n = 0;

	while (poll(&hangup, 1, 20) == 0 && recv(fd, octets, n_octets, MSG_DONTWAIT) != 0)
		assert_true(n++ < 400);
	assert_true(n > 5);
}

/* With little room for what it does not read. */
static int small_client_from(const char *text)
{
	struct net_addr from = address(text, 0);
	int fd = socket(AF_INET, SOCK_STREAM, 0), small = 4096;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
	assert_int_equal(bind(fd, &from.sa, net_addr_len(&from)), 0);
	assert_int_equal(connect(fd, &server.tcp_addr.sa, net_addr_len(&server.tcp_addr)), 0);
	return fd;
}

static int small_client(void) { return small_client_from("127.0.0.1"); }

static void whoever_takes_a_transfer_too_slowly_does_not_get_it(void **state)
{
	static const struct tcp_limits limits[] = {{6, 20000, 200, 0}, {6, 200, 0, 0}, {6, 20000, 20000, 300}};

	(void)state;
	for (int i = 0; i < 3; i++) {
		int fd;

		start("127.0.0.1", limits[i]);
		fd = small_client();
		send_question(fd, "example. AXFR", 1);
		if (i == 2) {
			/* Fast enough at any time, but longer than it may take in all. */
			uint8_t octets[8000];
			struct pollfd hangup = {.fd = fd, .events = POLLRDHUP};
			int waits = 0;

			while (poll(&hangup, 1, 15) == 0 && recv(fd, octets, sizeof octets, MSG_DONTWAIT) != 0)
				assert_true(waits++ < 300);
		} else {
			read_slowly(fd, 2000);
		}
		close(fd);
		stop();
		assert_int_equal(server.counters.transfers_out_failed, 1);
		assert_int_equal(server.counters.tcp_slow, 1);
	}
}

static void whoever_takes_answers_too_slowly_gets_no_more(void **state)
{
	uint8_t frame[1100];
	size_t length = long_frame(frame);
	int fd;

	(void)state;
	start("127.0.0.1", (struct tcp_limits){6, 1000, 20000, 0});   /* the kernel's own pauses are shorter */
	fd = small_client();
	for (int i = 0; i < 200; i++)
		send_all(fd, frame, length);          /* 1.3 MB of answers */
	read_slowly(fd, 200);
	close(fd);
	stop();
	assert_int_equal(server.counters.tcp_slow, 1);
}

/* The transfer is the older one. */
static void a_transfer_does_not_give_way_to_the_client_it_is_for(void **state)
{
	int slow, idle, other;

	(void)state;
	start("127.0.0.1", (struct tcp_limits){2, 20000, 20000, 0});
	slow = small_client();
	send_question(slow, "example. AXFR", 1);
	assert_true(next_message(slow) > 12);
	idle = client(SOCK_STREAM, server.tcp_addr);
	assert_string_equal(ask_tcp(idle, "www.example. TXT"), TEXT_ANSWER);
	other = client(SOCK_STREAM, server.tcp_addr);
	assert_string_equal(ask_tcp(other, "www.example. TXT"), TEXT_ANSWER);
	assert_true(has_ended(idle));
	close(slow);
	close(idle);
	close(other);
	stop();
	assert_int_equal(server.counters.tcp_rejected, 1);
}

/* One address has all places, with transfers that it does not read. */
static void transfers_of_one_client_give_way_to_another(void **state)
{
	int slow[4], other;

	(void)state;
	start("127.0.0.1", (struct tcp_limits){4, 20000, 20000, 0});
	for (int i = 0; i < 4; i++) {
		slow[i] = small_client();
		send_question(slow[i], "example. AXFR", 1);
		assert_true(next_message(slow[i]) > 12);
	}
	other = client_from("127.0.0.9", server.tcp_addr);
	assert_string_equal(ask_tcp(other, "www.example. TXT"), TEXT_ANSWER);
	for (int i = 0; i < 4; i++)
		close(slow[i]);
	close(other);
	stop();
	assert_int_equal(server.counters.tcp_limited, 1);
	assert_in_range(server.counters.transfers_out_failed, 1, 4);
}

static int taking_a_transfer(const char *from)
{
	int fd = small_client_from(from);

	send_question(fd, "example. AXFR", 1);
	assert_true(next_message(fd) > 12);
	return fd;
}

/* Nobody reads on, so that no transfer ends before the refusals. */
static void who_may_not_transfer_is_told_so_beside_transfers_and_takes_no_place(void **state)
{
	static const char *const from[] = {"127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5", "127.0.0.6"};
	enum { PLACES = 5, STRANGERS = 20 };
	int taking[PLACES], stranger[STRANGERS], late;

	(void)state;
	start("127.0.0.1", (struct tcp_limits){PLACES, 120000, 120000, 0});
	for (int i = 0; i < PLACES - 1; i++)
		taking[i] = taking_a_transfer(from[i]);
	for (int i = 0; i < STRANGERS; i++) {
		stranger[i] = client_from(STRANGER, server.tcp_addr);
		for (int n = 0; n < 3; n++)
			assert_string_equal(ask_tcp(stranger[i], "example. AXFR"), "REFUSED edns=1232 ede=18\n");
		assert_string_equal(ask_tcp(stranger[i], "www.example. TXT"), TEXT_ANSWER);
		if (i > 0)
			assert_true(has_ended(stranger[i - 1]));
	}
	taking[PLACES - 1] = taking_a_transfer(from[PLACES - 1]);
	assert_true(has_ended(stranger[STRANGERS - 1]));
	late = client_from(STRANGER, server.tcp_addr);
	assert_true(has_ended(late));                /* at once: all places are those of transfers */
	close(late);
	for (int i = 0; i < STRANGERS; i++)
		close(stranger[i]);
	for (int i = 0; i < PLACES; i++) {
		int large = 1 << 20;

		setsockopt(taking[i], SOL_SOCKET, SO_RCVBUF, &large, sizeof large);
		read_to_the_last(taking[i], 1);
		close(taking[i]);
	}
	stop();
	assert_int_equal(server.counters.transfers_out_refused, 3 * STRANGERS);
	assert_int_equal(server.counters.tcp_rejected, STRANGERS + 1);
	assert_int_equal(server.counters.tcp_limited, 0);
	assert_int_equal(server.counters.transfers_out_failed, 0);
	assert_int_equal(server.counters.axfr_out, PLACES);
}

static void stopping_ends_transfers_under_way(void **state)
{
	int fd;

	(void)state;
	start("127.0.0.1", wide);
	fd = client(SOCK_STREAM, server.tcp_addr);
	for (uint16_t i = 0; i < 40; i++)
		send_question(fd, "example. AXFR", i);
	assert_true(next_message(fd) > 12);
	stop();
	assert_in_range(server.counters.axfr_out + server.counters.transfers_out_failed, 1, 40);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_question_over_udp),
		cmocka_unit_test(many_questions_at_once_are_all_answered),
		cmocka_unit_test(the_answer_comes_from_the_address_that_was_asked),
		cmocka_unit_test(and_so_over_ipv6),
		cmocka_unit_test(what_is_no_question_is_passed_over),
		cmocka_unit_test(a_request_may_be_as_long_as_udp_allows),
		cmocka_unit_test(new_settings_hold_from_then_on),
		cmocka_unit_test(questions_on_one_connection_are_answered_in_order),
		cmocka_unit_test(a_question_may_come_octet_by_octet),
		cmocka_unit_test(what_is_no_question_ends_the_connection_after_the_answers_before),
		cmocka_unit_test(a_client_that_does_not_read_is_not_heard),
		cmocka_unit_test(an_idle_connection_is_ended),
		cmocka_unit_test(beyond_the_limit_the_longest_idle_gives_way),
		cmocka_unit_test(one_client_does_not_keep_the_places_of_others),
		cmocka_unit_test(a_question_that_does_not_end_ends_the_connection),
		cmocka_unit_test(a_transfer_holds_up_the_questions_behind_it_only),
		cmocka_unit_test(a_client_that_has_shut_down_its_side_gets_the_whole_transfer),
		cmocka_unit_test(a_client_that_goes_away_in_the_middle_is_counted),
		cmocka_unit_test(whoever_takes_a_transfer_too_slowly_does_not_get_it),
		cmocka_unit_test(whoever_takes_answers_too_slowly_gets_no_more),
		cmocka_unit_test(a_transfer_does_not_give_way_to_the_client_it_is_for),
		cmocka_unit_test(transfers_of_one_client_give_way_to_another),
		cmocka_unit_test(who_may_not_transfer_is_told_so_beside_transfers_and_takes_no_place),
		cmocka_unit_test(stopping_ends_transfers_under_way),
	};

	return cmocka_run_group_tests_name("serve/udp and serve/tcp", tests, setup, teardown);
}
