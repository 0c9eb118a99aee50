/* base/conn on real sockets of the loopback interface. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/conn.h"
#include "conn-loop.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* One end of a connection, and all that its handlers saw. */
struct end {
	struct conn *conn;
	unsigned connected, shown, drained, ended;
	enum err err;
	struct why why;
	uint8_t got[8 << 20];
	size_t length;
	size_t take;                 /* the data handler consumes multiples of this */
	size_t most_shown;
	size_t to_write;             /* the drained handler still has so much to write */
	bool endless;                /* it never ends writing */
	bool pause;                  /* the data handler turns reading off */
	bool hold;                   /* it holds what there is */
	bool piecemeal;              /* it takes one piece, and the rest in later turns */
	enum { KEEP, CLOSE_CONNECTED, CLOSE_DATA, CLOSE_DRAINED, CLOSE_ENDED } close_in;
	bool inside_write;
};

static struct end one, two;
static uint8_t blob[4 << 20];

static void close_if(struct end *end, bool now)
{
	if (!now)
		return;
	conn_close(end->conn);
	end->conn = NULL;
}

static void on_connected(struct conn *conn, void *owner)
{
	struct end *end = owner;

	(void)conn;
	end->connected++;
	close_if(end, end->close_in == CLOSE_CONNECTED);
}

static size_t on_data(struct conn *conn, struct rbuf bytes, void *owner)
{
	struct end *end = owner;
	size_t n = rbuf_left(&bytes) / end->take * end->take;
	bool more = end->piecemeal && n > end->take;

	if (more)
		n = end->take;
	end->shown++;
	if (end->hold) {
		conn_hold(conn);
		return 0;
	}
	if (rbuf_left(&bytes) > end->most_shown)
		end->most_shown = rbuf_left(&bytes);
	assert_true(end->length + n <= sizeof end->got);
	memcpy(end->got + end->length, bytes.at, n);
	end->length += n;
	if (end->pause || more)
		conn_reading(conn, false);
	if (more)
		conn_reading(conn, true);
	close_if(end, end->close_in == CLOSE_DATA);
	return n;
}

static void on_drained(struct conn *conn, void *owner)
{
	struct end *end = owner;
	size_t n = end->to_write < 60000 ? end->to_write : 60000;

	assert_false(end->inside_write);
	end->drained++;
	conn_write(conn, blob + sizeof blob - end->to_write, n);
	end->to_write -= end->endless ? 0 : n;
	assert_true(conn_unsent(conn) <= 60000);
	close_if(end, end->close_in == CLOSE_DRAINED);
}

static void on_ended(struct conn *conn, enum err err, const struct why *why, void *owner)
{
	struct end *end = owner;

	(void)conn;
	assert_false(end->inside_write);
	end->ended++;
	end->err = err;
	end->why = *why;
	close_if(end, end->close_in == CLOSE_ENDED);
}

static const struct conn_handlers handlers = {on_connected, on_data, on_drained, on_ended};
static const struct conn_times patient = {20000, 20000};

static struct net_addr loopback(uint16_t port)
{
	struct net_addr addr;

	assert_int_equal(net_addr_parse(&addr, "127.0.0.1", 53, NULL), ERR_OK);
	net_set_port(&addr, port);
	return addr;
}

static struct net_addr address_of(int fd)
{
	struct sockaddr_storage local;
	socklen_t length = sizeof local;

	assert_int_equal(getsockname(fd, (struct sockaddr *)&local, &length), 0);
	return net_addr_of((struct sockaddr *)&local);
}

static int listener(void)
{
	struct net_addr addr = loopback(0);
	struct why why;
	int fd = net_listen_tcp(&addr, &why);

	assert_true(fd >= 0);
	return fd;
}

static int accept_one(int fd)
{
	int got;

	do
		got = accept4(fd, NULL, NULL, SOCK_NONBLOCK);
	while (got < 0);
	return got;
}

/* A blocking socket at one side, a connection with `times` at the other. */
static int raw_and_conn(struct end *end, struct conn_times times)
{
	int fd = listener(), raw = socket(AF_INET, SOCK_STREAM, 0);
	struct net_addr addr = address_of(fd), peer;

	assert_int_equal(connect(raw, &addr.sa, net_addr_len(&addr)), 0);
	peer = address_of(raw);
	end->conn = conn_accept(base, accept_one(fd), &peer, times, &handlers, end);
	assert_non_null(end->conn);
	close(fd);
	return raw;
}

/* A connection at both sides: `one` connects to `two`. */
static void two_conns(struct conn_times times)
{
	int fd = listener();
	struct net_addr addr = address_of(fd);
	struct why why;

	one.conn = conn_open(base, &addr, times, &handlers, &one, &why);
	assert_non_null(one.conn);
	assert_int_equal(one.connected, 0);
	two.conn = conn_accept(base, accept_one(fd), &addr, times, &handlers, &two);
	assert_non_null(two.conn);
	close(fd);
}

/* Runs what is due now, without waiting. */
static void run_now(void)
{
	for (int i = 0; i < 5; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

static int setup(void **state)
{
	(void)state;
	base = event_base_new();
	memset(&one, 0, sizeof one);
	memset(&two, 0, sizeof two);
	one.take = two.take = 1;
	for (size_t i = 0; i < sizeof blob; i++)
		blob[i] = (uint8_t)(i * 7 + i / 251);
	return base ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	conn_close(one.conn);
	conn_close(two.conn);
	run_now();
	event_base_free(base);
	return 0;
}

static void bytes_arrive_whole_in_both_directions(void **state)
{
	(void)state;
	two_conns(patient);
	conn_write(one.conn, "before the connection stands", 28);
	RUN_UNTIL(two.length == 28);
	assert_int_equal(one.connected, 1);
	assert_memory_equal(two.got, "before the connection stands", 28);
	conn_write(one.conn, blob, sizeof blob);
	conn_write(two.conn, blob, sizeof blob);
	RUN_UNTIL(two.length == 28 + sizeof blob && one.length == sizeof blob);
	assert_memory_equal(two.got + 28, blob, sizeof blob);
	assert_memory_equal(one.got, blob, sizeof blob);
	RUN_UNTIL(one.drained && two.drained);
	assert_int_equal(conn_unsent(one.conn) + conn_unsent(two.conn), 0);
	assert_int_equal(one.ended + two.ended, 0);
}

static void the_address_of_the_peer_is_known(void **state)
{
	int raw = raw_and_conn(&one, patient);
	struct net_addr addr = address_of(raw);

	(void)state;
	assert_true(net_addr_equal(conn_peer(one.conn), &addr));
	close(raw);
}

static void what_is_not_consumed_is_shown_again(void **state)
{
	int raw = raw_and_conn(&one, patient);

	(void)state;
	one.take = 10;
	assert_int_equal(write(raw, blob, 7), 7);
	RUN_UNTIL(one.shown == 1);
	assert_int_equal(one.length, 0);
	assert_int_equal(write(raw, blob + 7, 7), 7);
	RUN_UNTIL(one.shown == 2);
	assert_int_equal(one.most_shown, 14);
	assert_int_equal(one.length, 10);
	assert_int_equal(write(raw, blob + 14, 6), 6);
	RUN_UNTIL(one.length == 20);
	assert_memory_equal(one.got, blob, 20);
	close(raw);
}

static void a_message_of_the_greatest_size_is_shown_whole(void **state)
{
	(void)state;
	two_conns(patient);
	two.take = 65537;
	conn_write(one.conn, blob, 65537 * 20);
	RUN_UNTIL(two.length == 65537 * 20);
	assert_memory_equal(two.got, blob, 65537 * 20);
}

static void one_turn_of_the_loop_reads_a_bounded_amount(void **state)
{
	size_t before = 0, most = 0;

	(void)state;
	two_conns(patient);
	conn_write(one.conn, blob, sizeof blob);
	while (two.length < sizeof blob) {
		event_base_loop(base, EVLOOP_ONCE);
		if (two.length - before > most)
			most = two.length - before;
		before = two.length;
	}
	assert_in_range(most, 1, 512 << 10);
}

static void while_reading_is_off_nothing_is_shown(void **state)
{
	int raw = raw_and_conn(&one, patient);

	(void)state;
	one.pause = true;
	one.take = 4;
	assert_int_equal(write(raw, blob, 6), 6);
	RUN_UNTIL(one.shown == 1);
	assert_int_equal(write(raw, blob + 6, 6), 6);
	run_now();
	assert_int_equal(one.shown, 1);
	assert_int_equal(one.length, 4);
	one.take = 1;
	conn_reading(one.conn, true);
	assert_int_equal(one.shown, 1);
	RUN_UNTIL(one.length == 6);           /* what was left, before anything new */
	assert_int_equal(one.shown, 2);
	conn_reading(one.conn, true);
	RUN_UNTIL(one.length == 12);
	assert_memory_equal(one.got, blob, 12);
	close(raw);
}

static void what_is_held_waits_for_its_owner(void **state)
{
	int raw = raw_and_conn(&one, patient);
	struct rbuf held;

	(void)state;
	one.hold = true;
	assert_int_equal(write(raw, "first", 5), 5);
	RUN_UNTIL(one.shown == 1);
	assert_int_equal(write(raw, " and last", 9), 9);
	assert_int_equal(shutdown(raw, SHUT_WR), 0);
	for (int i = 0; i < 3; i++)
		event_base_loop(base, EVLOOP_ONCE);   /* what is not read makes each of them return */
	assert_int_equal(one.shown, 1);
	assert_int_equal(one.ended, 0);
	held = conn_held(one.conn);
	assert_int_equal(rbuf_left(&held), 5);
	assert_memory_equal(held.at, "first", 5);
	one.hold = false;
	conn_show(one.conn);
	assert_int_equal(one.length, 5);
	RUN_UNTIL(one.ended);
	assert_int_equal(one.length, 14);
	assert_memory_equal(one.got, "first and last", 14);
	assert_int_equal(one.err, ERR_CLOSED);
	close(raw);
}

static void input_that_nobody_takes_is_bounded(void **state)
{
	(void)state;
	two_conns(patient);
	two.take = SIZE_MAX;
	conn_write(one.conn, blob, sizeof blob);
	RUN_UNTIL(two.ended);
	assert_int_equal(two.err, ERR_LIMIT);
	assert_in_range(two.most_shown, 65537, 256 << 10);
}

static void a_slow_reader_is_served_at_its_own_pace(void **state)
{
	int raw = raw_and_conn(&one, patient);
	static uint8_t got[sizeof blob];
	size_t length = 0;
	ssize_t n;

	(void)state;
	one.to_write = sizeof blob - 1;
	conn_write(one.conn, blob, 1);        /* the drained handler goes on, and checks what is queued */
	while (length < sizeof got) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		n = recv(raw, got + length, 30000, MSG_DONTWAIT);
		length += n > 0 ? (size_t)n : 0;
	}
	assert_memory_equal(got, blob, sizeof blob);
	RUN_UNTIL(one.drained == sizeof blob / 60000 + 2);
	close(raw);
}

static void *read_all(void *raw)
{
	static uint8_t bytes[1 << 20];

	while (read(*(int *)raw, bytes, sizeof bytes) > 0)
		;
	return NULL;
}

static void an_endless_writer_leaves_the_loop_to_others(void **state)
{
	int raw = raw_and_conn(&one, patient), other = raw_and_conn(&two, patient);
	pthread_t reader;

	(void)state;
	assert_int_equal(pthread_create(&reader, NULL, read_all, &raw), 0);
	one.endless = true;
	one.to_write = sizeof blob;
	conn_write(one.conn, blob, 1);
	RUN_UNTIL(one.drained > 100);
	for (size_t i = 1; i <= 20; i++) {
		assert_int_equal(write(other, "x", 1), 1);
		RUN_UNTIL(two.length == i);
	}
	conn_close(one.conn);
	one.conn = NULL;
	pthread_join(reader, NULL);
	close(raw);
	close(other);
}

static void small_writes_go_out_together(void **state)
{
	int raw = raw_and_conn(&one, patient);
	char got[4] = "";

	(void)state;
	one.to_write = 3;
	conn_write(one.conn, "x", 1);
	conn_write(one.conn, "y", 1);
	assert_int_equal(conn_unsent(one.conn), 2);
	assert_int_equal(recv(raw, got, 4, MSG_DONTWAIT), -1);
	RUN_UNTIL(one.drained == 2);
	assert_int_equal(recv(raw, got, 2, 0), 2);
	assert_memory_equal(got, "xy", 2);
	assert_int_equal(recv(raw, got, 4, 0), 3);
	assert_memory_equal(got, blob + sizeof blob - 3, 3);
	close(raw);
}

static void the_peer_closes(void **state)
{
	int raw = raw_and_conn(&one, patient);

	(void)state;
	assert_int_equal(write(raw, "end", 3), 3);
	close(raw);
	RUN_UNTIL(one.ended);
	assert_int_equal(one.err, ERR_CLOSED);
	assert_int_equal(one.length, 3);
	assert_non_null(strstr(one.why.text, "closed by the peer"));
	conn_write(one.conn, "too late", 8);
	run_now();
	assert_int_equal(one.ended, 1);
}

static void a_peer_that_shut_down_its_side_still_gets_the_rest(void **state)
{
	int raw = raw_and_conn(&one, patient);
	static uint8_t got[1 + sizeof blob];
	size_t length = 0;
	ssize_t n;

	(void)state;
	one.to_write = sizeof blob;
	conn_write(one.conn, "x", 1);
	assert_int_equal(shutdown(raw, SHUT_WR), 0);
	while (length < sizeof got) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		n = recv(raw, got + length, sizeof got - length, MSG_DONTWAIT);
		length += n > 0 ? (size_t)n : 0;
	}
	assert_int_equal(got[0], 'x');
	assert_memory_equal(got + 1, blob, sizeof blob);
	RUN_UNTIL(one.ended);
	assert_int_equal(one.err, ERR_CLOSED);
	close(raw);
}

static void what_came_before_the_end_is_shown_though_it_takes_many_turns(void **state)
{
	int raw = raw_and_conn(&one, patient);

	(void)state;
	one.take = 4;
	one.piecemeal = true;
	assert_int_equal(write(raw, "one two tri four five", 21), 21);
	assert_int_equal(shutdown(raw, SHUT_WR), 0);
	RUN_UNTIL(one.ended);
	assert_int_equal(one.length, 20);
	assert_memory_equal(one.got, "one two tri four five", 20);
	assert_int_equal(one.err, ERR_CLOSED);
	close(raw);
}

static void a_failed_write_is_reported_later_and_once(void **state)
{
	int raw = raw_and_conn(&one, patient);
	struct linger reset = {1, 0};

	(void)state;
	conn_reading(one.conn, false);
	setsockopt(raw, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
	close(raw);
	one.inside_write = true;
	conn_write(one.conn, blob, 100);
	conn_write(one.conn, blob, 100);
	assert_int_equal(one.ended, 0);
	one.inside_write = false;
	RUN_UNTIL(one.ended);
	assert_true(one.err == ERR_NETWORK || one.err == ERR_CLOSED);
	run_now();
	assert_int_equal(one.ended, 1);
}

static void a_refused_connection_is_a_network_error(void **state)
{
	int fd = listener();
	struct net_addr addr = address_of(fd);

	(void)state;
	close(fd);
	one.conn = conn_open(base, &addr, patient, &handlers, &one, &one.why);
	assert_int_equal(one.ended, 0);
	if (one.conn)
		RUN_UNTIL(one.ended);
	else
		one.err = ERR_NETWORK;
	assert_int_equal(one.err, ERR_NETWORK);
	assert_int_equal(one.connected, 0);
	assert_non_null(strstr(one.why.text, "connect: Connection refused"));
	assert_non_null(strstr(one.why.text, "127.0.0.1@"));
}

/* A listener whose queue is full answers no SYN. */
static void connecting_takes_no_longer_than_allowed(void **state)
{
	struct net_addr addr = loopback(0);
	int fd = socket(AF_INET, SOCK_STREAM, 0), filler[4];

	(void)state;
	assert_int_equal(bind(fd, &addr.sa, net_addr_len(&addr)), 0);
	assert_int_equal(listen(fd, 0), 0);
	addr = address_of(fd);
	for (int i = 0; i < 4; i++)
		filler[i] = net_connect_tcp(&addr, NULL);
	one.conn = conn_open(base, &addr, (struct conn_times){60, 0}, &handlers, &one, &one.why);
	assert_non_null(one.conn);
	RUN_UNTIL(one.ended);
	assert_int_equal(one.err, ERR_TIMEOUT);
	assert_int_equal(one.connected, 0);
	for (int i = 0; i < 4; i++)
		close(filler[i]);
	close(fd);
}

static void an_idle_connection_ends_and_a_byte_puts_it_off(void **state)
{
	enum { IDLE = 1500, BYTES = 4, PAUSE = 500 };        /* far apart, as a slow machine stands still now and then */
	int raw = raw_and_conn(&one, (struct conn_times){0, IDLE});
	uint64_t last = 0;

	(void)state;
	_Static_assert(BYTES * PAUSE > IDLE, "without the bytes it would have ended before the last one");
	for (int i = 1; i <= BYTES; i++) {
		uint64_t pause = ms() + PAUSE;

		RUN_UNTIL(ms() >= pause);
		last = ms();
		assert_int_equal(write(raw, "x", 1), 1);
		RUN_UNTIL(one.length == (size_t)i || one.ended);
	}
	assert_int_equal(one.ended, 0);
	RUN_UNTIL(one.ended);
	assert_true(ms() - last >= IDLE - 5);
	assert_int_equal(one.err, ERR_TIMEOUT);
	assert_int_equal(one.length, BYTES);
	close(raw);
}

static void a_write_puts_it_off_though_it_is_not_sent_yet(void **state)
{
	enum { IDLE = 1000 };
	int raw = raw_and_conn(&one, (struct conn_times){0, IDLE});
	uint64_t over = ms() + IDLE + 50;
	char got;

	(void)state;
	while (ms() < over)          /* the loop does not run: the end is due before the write is */
		usleep(1000);
	conn_write(one.conn, "x", 1);
	RUN_UNTIL(one.drained || one.ended);
	assert_int_equal(one.ended, 0);
	assert_int_equal(recv(raw, &got, 1, 0), 1);
	close(raw);
}

static void the_idle_time_can_be_changed(void **state)
{
	int raw = raw_and_conn(&one, patient);

	(void)state;
	conn_set_times(one.conn, (struct conn_times){20000, 30});
	RUN_UNTIL(one.ended);
	assert_int_equal(one.err, ERR_TIMEOUT);
	close(raw);
}

/* Ten octets are a message. */
static void a_message_must_come_to_its_end_in_time(void **state)
{
	int raw = raw_and_conn(&one, (struct conn_times){0, 1000, 1500, 0});
	uint64_t first = ms(), pause;

	(void)state;
	one.take = 10;
	for (int i = 0; i < 60 && !one.ended; i++) {   /* each comes to its end, together they take longer */
		assert_int_equal(send(raw, blob, i % 6 ? 2 : 0, MSG_NOSIGNAL), i % 6 ? 2 : 0);
		pause = ms() + 30;
		RUN_UNTIL(ms() >= pause);
	}
	assert_int_equal(one.ended, 0);
	assert_in_range(ms() - first, 1600, 60000);
	assert_int_equal(one.length, 100);
	first = ms();
	while (!one.ended) {
		send(raw, blob, one.length < 105 ? 1 : 0, MSG_NOSIGNAL);
		pause = ms() + 300;
		RUN_UNTIL(one.ended || ms() >= pause);
		assert_true(ms() - first < 50000);
		if (ms() - first > 2700 && !one.ended)
			one.take = SIZE_MAX;              /* a trickle without end */
	}
	assert_int_equal(one.err, ERR_SLOW);
	assert_non_null(strstr(one.why.text, "does not come to an end"));
	close(raw);
}

/* A little is taken again and again, so that the connection is never idle. */
static void what_is_queued_must_be_taken_in_time(void **state)
{
	int raw = raw_and_conn(&one, (struct conn_times){0, 400, 0, 800});
	static uint8_t got[20000];
	uint64_t first, pause;

	(void)state;
	conn_write(one.conn, blob, sizeof blob);
	first = ms();
	while (!one.ended) {
		recv(raw, got, sizeof got, MSG_DONTWAIT);
		pause = ms() + 40;
		RUN_UNTIL(one.ended || ms() >= pause);
		assert_true(ms() - first < 5000);
	}
	assert_int_equal(one.err, ERR_SLOW);
	assert_in_range(ms() - first, 795, 4000);
	assert_non_null(strstr(one.why.text, "does not take what it has asked for"));
	assert_true(one.drained == 0);
	close(raw);
}

/* Again and again more than the kernel takes at once, and all of it is taken in the end. */
static void what_is_taken_in_time_may_be_followed_by_more(void **state)
{
	int raw = raw_and_conn(&one, (struct conn_times){0, 300, 0, 400});
	static uint8_t got[sizeof blob];
	uint64_t first = ms(), pause;
	int small = 64 << 10;

	(void)state;
	setsockopt(raw, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
	for (int i = 0; i < 5; i++) {
		unsigned drained = one.drained;

		conn_write(one.conn, blob, sizeof blob);
		assert_true(conn_unsent(one.conn) > 0);
		while (one.drained == drained) {
			recv(raw, got, sizeof got, MSG_DONTWAIT);
			event_base_loop(base, EVLOOP_NONBLOCK);
		}
		pause = ms() + 150;
		RUN_UNTIL(ms() >= pause);
		recv(raw, got, sizeof got, MSG_DONTWAIT);
	}
	assert_true(ms() - first > 600);
	assert_int_equal(one.ended, 0);
	close(raw);
}

static void input_is_bounded_as_the_owner_wants(void **state)
{
	(void)state;
	two_conns(patient);
	conn_bound_input(two.conn, 5000);
	two.take = SIZE_MAX;
	conn_write(one.conn, blob, 100000);
	RUN_UNTIL(two.ended);
	assert_int_equal(two.err, ERR_LIMIT);
	assert_int_equal(two.most_shown, 5000);
}

static void closing_inside_connected(void **state)
{
	(void)state;
	one.close_in = CLOSE_CONNECTED;
	two_conns(patient);
	conn_write(one.conn, "never sent", 10);
	RUN_UNTIL(two.ended);
	assert_null(one.conn);
	assert_int_equal(two.length, 0);
	assert_int_equal(one.ended, 0);
}

static void closing_inside_data(void **state)
{
	(void)state;
	two.close_in = CLOSE_DATA;
	two_conns(patient);
	conn_write(one.conn, blob, 400000);
	RUN_UNTIL(one.ended);
	assert_int_equal(two.shown, 1);
	assert_int_equal(two.ended, 0);
}

static void closing_inside_drained(void **state)
{
	(void)state;
	one.close_in = CLOSE_DRAINED;
	two_conns(patient);
	conn_write(one.conn, "all of it", 9);
	RUN_UNTIL(two.ended);
	assert_int_equal(two.length, 9);
	assert_int_equal(two.err, ERR_CLOSED);
	assert_int_equal(one.drained, 1);
}

static void closing_inside_ended(void **state)
{
	int raw = raw_and_conn(&one, patient);

	(void)state;
	one.close_in = CLOSE_ENDED;
	close(raw);
	RUN_UNTIL(one.ended);
	assert_null(one.conn);
}

static void closing_with_a_report_under_way_silences_it(void **state)
{
	int raw = raw_and_conn(&one, patient);
	struct linger reset = {1, 0};

	(void)state;
	setsockopt(raw, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
	close(raw);
	conn_write(one.conn, "x", 1);
	conn_close(one.conn);
	one.conn = NULL;
	conn_close(NULL);
	run_now();
	assert_int_equal(one.ended, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(bytes_arrive_whole_in_both_directions),
		TEST(the_address_of_the_peer_is_known),
		TEST(what_is_not_consumed_is_shown_again),
		TEST(a_message_of_the_greatest_size_is_shown_whole),
		TEST(one_turn_of_the_loop_reads_a_bounded_amount),
		TEST(while_reading_is_off_nothing_is_shown),
		TEST(what_is_held_waits_for_its_owner),
		TEST(input_that_nobody_takes_is_bounded),
		TEST(a_slow_reader_is_served_at_its_own_pace),
		TEST(an_endless_writer_leaves_the_loop_to_others),
		TEST(small_writes_go_out_together),
		TEST(the_peer_closes),
		TEST(a_peer_that_shut_down_its_side_still_gets_the_rest),
		TEST(what_came_before_the_end_is_shown_though_it_takes_many_turns),
		TEST(a_failed_write_is_reported_later_and_once),
		TEST(a_refused_connection_is_a_network_error),
		TEST(connecting_takes_no_longer_than_allowed),
		TEST(an_idle_connection_ends_and_a_byte_puts_it_off),
		TEST(a_write_puts_it_off_though_it_is_not_sent_yet),
		TEST(the_idle_time_can_be_changed),
		TEST(a_message_must_come_to_its_end_in_time),
		TEST(what_is_queued_must_be_taken_in_time),
		TEST(what_is_taken_in_time_may_be_followed_by_more),
		TEST(input_is_bounded_as_the_owner_wants),
		TEST(closing_inside_connected),
		TEST(closing_inside_data),
		TEST(closing_inside_drained),
		TEST(closing_inside_ended),
		TEST(closing_with_a_report_under_way_silences_it),
	};

	return cmocka_run_group_tests_name("base/conn", tests, NULL, NULL);
}
