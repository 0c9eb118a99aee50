/* base/tls, and base/conn over it: real sockets of the loopback interface, OpenSSL's own client at the other end, in a thread. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/conn.h"
#include "conn-loop.h"
#include "tls-dir.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static struct tls_tickets *tickets;
static uint8_t blob[4 << 20];

/* --- files ----------------------------------------------------------------------------------------- */

static void make_files(void)
{
	shell("req() { openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \"$@\"; }\n"
		"req -x509 -keyout a.key -out a.pem -subj /CN=ns.example -days 10 &&"
		"req -x509 -keyout b.key -out b.pem -subj /CN=ns.example -days 10 &&"
		"req -x509 -keyout ca.key -out ca.pem -subj /CN=clients -days 10 &&"
		"req -x509 -keyout ca2.key -out ca2.pem -subj /CN=others -days 10 &&"
		"req -keyout client.key -out client.csr -subj /CN=secondary &&"
		"openssl x509 -req -in client.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 10 -out client.pem &&"
		"openssl x509 -req -in client.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days -1 -out late.pem &&"
		"openssl pkey -in a.key -aes128 -passout pass:secret -out locked.key &&"
		"cat client.pem ca.pem a.key > all.pem && : > empty.pem && sed '5s/./!/' a.pem > damaged.pem");
}

static struct tls_server *server_that_asks(const char *cert, const char *key, const char *ca, bool ask)
{
	struct tls_files files = {in_dir(cert), in_dir(key), ca ? in_dir(ca) : NULL, ask};
	struct tls_server *server = NULL;
	struct why why;

	assert_int_equal(tls_server_new(&server, &files, tickets, &why), ERR_OK);
	return server;
}

static struct tls_server *server_of(const char *cert, const char *key, const char *ca)
{
	return server_that_asks(cert, key, ca, false);
}

/* --- our end ------------------------------------------------------------------------------------------ */

struct end {
	struct conn *conn;
	unsigned connected, shown, drained, ended;
	enum err err;
	struct why why;
	uint8_t got[5 << 20];
	size_t length;
	size_t to_write;             /* the drained handler still has so much to write */
	bool pause;                  /* the data handler turns reading off */
	bool echo;
	struct tls_facts facts;
	char names[100];             /* the first that its certificate shows */
};

static struct end one, two;

static void on_connected(struct conn *conn, void *owner)
{
	struct end *end = owner;

	end->connected++;
	end->facts = conn_tls_facts(conn);
	if (conn_tls_shown(conn))
		snprintf(end->names, sizeof end->names, "%s", conn_tls_shown(conn)->names);
}

static size_t on_data(struct conn *conn, struct rbuf bytes, void *owner)
{
	struct end *end = owner;
	size_t n = rbuf_left(&bytes);

	end->shown++;
	assert_true(end->length + n <= sizeof end->got);
	memcpy(end->got + end->length, bytes.at, n);
	end->length += n;
	if (end->pause)
		conn_reading(conn, false);
	if (end->echo)
		conn_write(conn, bytes.at, n);
	return n;
}

static void on_drained(struct conn *conn, void *owner)
{
	struct end *end = owner;
	size_t n = end->to_write < 60000 ? end->to_write : 60000;

	end->drained++;
	conn_write(conn, blob + sizeof blob - end->to_write, n);
	end->to_write -= n;
	assert_true(conn_unsent(conn) <= 60000);
}

static void on_ended(struct conn *conn, enum err err, const struct why *why, void *owner)
{
	struct end *end = owner;

	(void)conn;
	end->ended++;
	end->err = err;
	end->why = *why;
}

static const struct conn_handlers handlers = {on_connected, on_data, on_drained, on_ended};
static const struct conn_times patient = {20000, 20000};

/* A connected pair; the first is accepted, the second a blocking client. */
static void make_pair(int fd[2])
{
	struct net_addr addr;
	struct sockaddr_storage local;
	socklen_t length = sizeof local;
	struct timeval patience = {10, 0};
	int listener;

	net_addr_parse(&addr, "127.0.0.1", 53, NULL);
	net_set_port(&addr, 0);
	listener = net_listen_tcp(&addr, NULL);
	assert_true(listener >= 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&local, &length), 0);
	fd[1] = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(fd[1], (struct sockaddr *)&local, length), 0);
	setsockopt(fd[1], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	setsockopt(fd[1], SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	do
		fd[0] = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	while (fd[0] < 0);
	close(listener);
}

static int accept_in(struct end *end, struct tls_server *server, struct conn_times times)
{
	struct net_addr peer;
	int fd[2];

	make_pair(fd);
	net_addr_parse(&peer, "127.0.0.1@4242", 53, NULL);
	end->conn = conn_accept_tls(base, fd[0], &peer, times, server, &handlers, end);
	assert_non_null(end->conn);
	return fd[1];
}

/* --- the client's end ------------------------------------------------------------------------------------ */

struct client;
typedef void client_work(struct client *);

struct client {
	pthread_t thread;
	int fd;
	SSL_CTX *ctx;
	SSL *ssl;
	client_work *work;
	bool done;                   /* atomic */
	int result;                  /* of SSL_connect */
	int error;                   /* SSL_get_error of what failed */
	bool resumed;
	SSL_SESSION *keep;           /* the last ticket that came; to be used by the next client */
	size_t length;
	uint8_t got[sizeof blob];
};

static struct client client;

static int on_session(SSL *ssl, SSL_SESSION *session)
{
	struct client *c = SSL_get_app_data(ssl);

	SSL_SESSION_free(c->keep);
	c->keep = session;
	return 1;
}

static void *client_run(void *arg)
{
	struct client *c = arg;

	c->result = SSL_connect(c->ssl);
	if (c->result == 1) {
		c->resumed = SSL_session_reused(c->ssl);
		if (c->work)
			c->work(c);
	} else {
		c->error = SSL_get_error(c->ssl, c->result);
	}
	ERR_clear_error();
	__atomic_store_n(&c->done, true, __ATOMIC_RELEASE);
	return NULL;
}

/* `set_up` may be NULL. */
static void client_new(int fd, void (*set_up)(SSL *))
{
	client.fd = fd;
	client.done = false;
	client.length = 0;
	client.ctx = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_options(client.ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_session_cache_mode(client.ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(client.ctx, on_session);
	client.ssl = SSL_new(client.ctx);
	SSL_set_app_data(client.ssl, &client);
	SSL_set_fd(client.ssl, fd);
	if (client.keep)
		SSL_set_session(client.ssl, client.keep);
	if (set_up)
		set_up(client.ssl);
}

static void client_start(int fd, void (*set_up)(SSL *), client_work *work)
{
	client_new(fd, set_up);
	client.work = work;
	assert_int_equal(pthread_create(&client.thread, NULL, client_run, &client), 0);
}

static bool client_done(void)
{
	return __atomic_load_n(&client.done, __ATOMIC_ACQUIRE);
}

static void client_free(void)
{
	SSL_free(client.ssl);
	SSL_CTX_free(client.ctx);
	close(client.fd);
}

static void client_end(void)
{
	RUN_UNTIL(client_done());
	pthread_join(client.thread, NULL);
	client_free();
}

/* Reads until the end, or so much. */
static void client_read(struct client *c, size_t length)
{
	while (c->length < length) {
		int n = SSL_read(c->ssl, c->got + c->length, (int)(length - c->length));

		if (n <= 0) {
			c->error = SSL_get_error(c->ssl, n);
			return;
		}
		c->length += (size_t)n;
	}
}

static void client_write(struct client *c, const void *bytes, size_t n)
{
	size_t sent;

	assert_int_equal(SSL_write_ex(c->ssl, bytes, n, &sent), 1);
}

static int setup(void **state)
{
	(void)state;
	base = event_base_new();
	memset(&one, 0, sizeof one);
	memset(&two, 0, sizeof two);
	return base ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	conn_close(one.conn);
	conn_close(two.conn);
	SSL_SESSION_free(client.keep);
	memset(&client, 0, sizeof client);
	event_base_free(base);
	return 0;
}

static void dot(SSL *ssl) { SSL_set_alpn_protos(ssl, (const uint8_t *)"\3dot", 4); }
static void h2_and_dot(SSL *ssl) { SSL_set_alpn_protos(ssl, (const uint8_t *)"\2h2\3dot", 7); }
static void h2(SSL *ssl) { SSL_set_alpn_protos(ssl, (const uint8_t *)"\2h2", 3); }
static void only_1_2(SSL *ssl) { SSL_set_max_proto_version(ssl, TLS1_2_VERSION); }
static void only_1_1(SSL *ssl)
{
	SSL_set_min_proto_version(ssl, TLS1_VERSION);
	SSL_set_max_proto_version(ssl, TLS1_1_VERSION);
	SSL_set_security_level(ssl, 0);
	SSL_set_cipher_list(ssl, "ALL:@SECLEVEL=0");
}

/* --- octets ------------------------------------------------------------------------------------------------ */

static void work_both_ways(struct client *c)
{
	for (size_t at = 0; at < sizeof blob; at += sizeof blob / 8)
		client_write(c, blob + at, sizeof blob / 8);
	client_read(c, sizeof blob);
}

static void both_ways(void (*set_up)(SSL *))
{
	struct tls_server *server = server_of("a.pem", "a.key", NULL);

	client_start(accept_in(&one, server, patient), set_up, work_both_ways);
	tls_server_drop(server);              /* the connection has its own hold */
	RUN_UNTIL(one.length == sizeof blob || client_done());
	assert_int_equal(one.connected, 1);
	one.to_write = sizeof blob - 1;
	conn_write(one.conn, blob, 1);
	client_end();
	assert_int_equal(client.length, sizeof blob);
	assert_memory_equal(client.got, blob, sizeof blob);
	assert_memory_equal(one.got, blob, sizeof blob);
	RUN_UNTIL(one.ended);
	assert_int_equal(one.err, ERR_CLOSED);
}

static void bytes_arrive_whole_in_both_directions(void **state)
{
	(void)state;
	both_ways(NULL);
	assert_true(one.facts.version_1_3);
	assert_false(one.facts.alpn || one.facts.client_wanted || one.facts.client_verified || one.facts.resumed);
}

static void so_do_they_over_tls_1_2(void **state)
{
	(void)state;
	both_ways(only_1_2);
	assert_false(one.facts.version_1_3);
}

enum { SMALL = 300 };

/* Small records in one segment. */
static void work_many_small(struct client *c)
{
	BIO *socket = SSL_get_wbio(c->ssl), *gather = BIO_new(BIO_s_mem());
	char *bytes;
	long n;

	BIO_up_ref(socket);
	SSL_set0_wbio(c->ssl, gather);
	for (int i = 0; i < SMALL; i++)
		client_write(c, blob + i * 30, 30);
	n = BIO_get_mem_data(gather, &bytes);
	assert_int_equal(send(c->fd, bytes, (size_t)n, 0), n);
	SSL_set0_wbio(c->ssl, socket);
	client_read(c, SMALL * 30);
}

static void small_records_that_come_together_are_shown_together_and_answered_by_one(void **state)
{
	struct tls_server *server = server_of("a.pem", "a.key", NULL);

	(void)state;
	one.echo = true;
	client_start(accept_in(&one, server, patient), NULL, work_many_small);
	client_end();
	tls_server_drop(server);
	assert_int_equal(client.length, SMALL * 30);
	assert_memory_equal(client.got, blob, SMALL * 30);
	assert_in_range(one.shown, 2, 4);     /* 9,000 octets: as many as there are rooms to read into */
	assert_in_range(one.drained, 1, 4);
}

static void while_reading_is_off_nothing_is_shown_and_nothing_is_lost(void **state)
{
	struct tls_server *server = server_of("a.pem", "a.key", NULL);
	size_t length;

	(void)state;
	one.pause = one.echo = true;
	client_start(accept_in(&one, server, patient), NULL, work_many_small);
	RUN_UNTIL(one.length > 0);
	length = one.length;
	assert_true(length < SMALL * 30);         /* more than one read takes */
	for (int i = 0; i < 5; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	assert_int_equal(one.length, length);
	while (one.length < SMALL * 30) {
		conn_reading(one.conn, true);
		RUN_UNTIL(one.length > length);   /* what the session holds, though the socket has nothing more */
		length = one.length;
	}
	client_end();
	tls_server_drop(server);
	assert_memory_equal(client.got, blob, SMALL * 30);
}

static void work_read_slowly(struct client *c)
{
	for (size_t length = 20000; length <= sizeof blob && c->error == 0; length += 20000)
		client_read(c, length < sizeof blob - 20000 ? length : sizeof blob);
}

static void a_slow_reader_is_served_at_its_own_pace(void **state)
{
	struct tls_server *server = server_of("a.pem", "a.key", NULL);

	(void)state;
	client_start(accept_in(&one, server, patient), NULL, work_read_slowly);
	RUN_UNTIL(one.connected);
	one.to_write = sizeof blob - 1;
	conn_write(one.conn, blob, 1);        /* the drained handler goes on, and checks what is queued */
	client_end();
	tls_server_drop(server);
	assert_int_equal(client.length, sizeof blob);
	assert_memory_equal(client.got, blob, sizeof blob);
}

static void work_half_close(struct client *c)
{
	client_write(c, "last words", 10);
	SSL_shutdown(c->ssl);
	client_read(c, sizeof blob);
}

static void a_peer_that_has_said_goodbye_still_gets_the_rest(void **state)
{
	struct tls_server *server = server_of("a.pem", "a.key", NULL);

	(void)state;
	one.echo = true;                      /* the drained handler goes on with the rest */
	one.to_write = sizeof blob - 10;
	client_start(accept_in(&one, server, patient), NULL, work_half_close);
	RUN_UNTIL(one.ended);
	client_end();
	tls_server_drop(server);
	assert_int_equal(one.err, ERR_CLOSED);
	assert_int_equal(one.length, 10);
	assert_int_equal(client.length, sizeof blob);
}

static void work_goodbye_with_data(struct client *c)
{
	BIO *socket = SSL_get_wbio(c->ssl), *gather = BIO_new(BIO_s_mem());
	char *bytes;
	long n;

	BIO_up_ref(socket);
	SSL_set0_wbio(c->ssl, gather);
	client_write(c, "last words", 10);
	SSL_shutdown(c->ssl);
	n = BIO_get_mem_data(gather, &bytes);
	assert_int_equal(send(c->fd, bytes, (size_t)n, 0), n);
	SSL_set0_wbio(c->ssl, socket);
	client_read(c, 10);
}

/* Nothing more comes on the socket that would show it. */
static void a_goodbye_in_the_segment_of_the_last_octets_is_seen(void **state)
{
	struct tls_server *server = server_of("a.pem", "a.key", NULL);

	(void)state;
	one.echo = true;
	client_start(accept_in(&one, server, patient), NULL, work_goodbye_with_data);
	RUN_UNTIL(one.ended);
	client_end();
	tls_server_drop(server);
	assert_int_equal(one.err, ERR_CLOSED);
	assert_int_equal(client.length, 10);
}

static void work_read_to_end(struct client *c)
{
	client_read(c, sizeof c->got);
}

static void closing_says_goodbye(void **state)
{
	struct tls_server *server = server_of("a.pem", "a.key", NULL);

	(void)state;
	client_start(accept_in(&one, server, patient), NULL, work_read_to_end);
	SSL_CTX_clear_options(client.ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
	RUN_UNTIL(one.connected);
	conn_close(one.conn);
	one.conn = NULL;
	client_end();
	tls_server_drop(server);
	assert_int_equal(client.error, SSL_ERROR_ZERO_RETURN);
	assert_int_equal(one.ended, 0);
}

/* --- handshakes ----------------------------------------------------------------------------------------------- */

static void what_is_no_handshake_is_an_error_of_tls(void **state)
{
	static const char *const noise[] = {"\0\x1d\x12\x34\1\0\0\1\0\0\0\0\0\0\3www\7example\0\0\1\0\1", "GET / HTTP/1.1\r\n\r\n"};
	struct tls_server *server = server_of("a.pem", "a.key", NULL);

	(void)state;
	for (int i = 0; i < 2; i++) {
		int fd = accept_in(&one, server, patient);

		one.ended = 0;
		assert_true(write(fd, noise[i], i ? strlen(noise[i]) : 31) > 0);
		RUN_UNTIL(one.ended);
		assert_int_equal(one.err, ERR_TLS);
		assert_non_null(strstr(one.why.text, "127.0.0.1@4242: TLS: "));
		conn_close(one.conn);
		one.conn = NULL;
		close(fd);
	}
	tls_server_drop(server);
	assert_int_equal(one.connected, 0);
}

static void a_client_that_closes_before_or_in_the_handshake(void **state)
{
	static const uint8_t hello[] = {22, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3};
	struct tls_server *server = server_of("a.pem", "a.key", NULL);

	(void)state;
	for (size_t n = 0; n <= sizeof hello; n += sizeof hello) {
		int fd = accept_in(&one, server, patient);

		one.ended = 0;
		assert_int_equal(write(fd, hello, n), n);
		close(fd);
		RUN_UNTIL(one.ended);
		assert_int_equal(one.err, ERR_CLOSED);
		conn_close(one.conn);
		one.conn = NULL;
	}
	tls_server_drop(server);
}

static void a_handshake_has_a_time_limit_that_octets_do_not_put_off(void **state)
{
	static const uint8_t hello[] = {22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3};
	struct tls_server *server = server_of("a.pem", "a.key", NULL);
	uint64_t first = ms(), pause;
	int silent, trickling;

	(void)state;
	silent = accept_in(&one, server, (struct conn_times){200, 20000});
	trickling = accept_in(&two, server, (struct conn_times){200, 20000});
	for (size_t i = 0; i < sizeof hello && !two.ended; i++) {
		assert_int_equal(send(trickling, hello + i, 1, MSG_NOSIGNAL), 1);
		pause = ms() + 50;
		RUN_UNTIL(two.ended || ms() >= pause);
	}
	RUN_UNTIL(one.ended && two.ended);
	assert_in_range(ms() - first, 195, 2000);
	assert_int_equal(one.err, ERR_TIMEOUT);
	assert_int_equal(two.err, ERR_TIMEOUT);
	assert_non_null(strstr(two.why.text, "no handshake in time"));
	tls_server_drop(server);
	close(silent);
	close(trickling);
}

static void alpn(void (*offer)(SSL *), bool wanted, bool agreed)
{
	struct tls_server *server = server_of("a.pem", "a.key", NULL);

	memset(&one, 0, sizeof one);
	client_start(accept_in(&one, server, patient), offer, NULL);
	RUN_UNTIL(one.connected || one.ended);
	assert_int_equal(one.connected, wanted);
	if (!wanted) {
		assert_int_equal(one.err, ERR_TLS);
		assert_non_null(strstr(one.why.text, "no application protocol"));
	}
	assert_int_equal(one.facts.alpn, agreed);
	conn_close(one.conn);
	one.conn = NULL;
	client_end();
	assert_int_equal(client.result == 1, wanted);
	tls_server_drop(server);
}

static void alpn_is_dot_or_none(void **state)
{
	(void)state;
	alpn(dot, true, true);
	alpn(h2_and_dot, true, true);
	alpn(NULL, true, false);
	alpn(h2, false, false);
}

static void tls_1_1_is_refused(void **state)
{
	struct tls_server *server = server_of("a.pem", "a.key", NULL);

	(void)state;
	client_start(accept_in(&one, server, patient), only_1_1, NULL);
	RUN_UNTIL(one.ended);
	assert_int_equal(one.err, ERR_TLS);
	conn_close(one.conn);
	one.conn = NULL;
	client_end();
	assert_int_equal(client.result, -1);
	tls_server_drop(server);
}

/* A hello in each socket; one turn of the loop answers a few of them, and looks at others too. */
static void a_flood_of_handshakes_leaves_the_loop_to_others(void **state)
{
	enum { FLOOD = 30 };
	struct tls_server *server = server_of("a.pem", "a.key", NULL);
	static struct end flood[FLOOD];
	SSL *ssl[FLOOD];
	int fd[FLOOD], answered = 0, pair[2];
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	struct net_addr peer;

	(void)state;
	for (int i = 0; i < FLOOD; i++) {
		fd[i] = accept_in(&flood[i], server, patient);
		fcntl(fd[i], F_SETFL, O_NONBLOCK);
		ssl[i] = SSL_new(ctx);
		SSL_set_fd(ssl[i], fd[i]);
		SSL_connect(ssl[i]);
	}
	make_pair(pair);
	net_addr_parse(&peer, "127.0.0.1@4242", 53, NULL);
	two.conn = conn_accept(base, pair[0], &peer, patient, &handlers, &two);
	assert_int_equal(write(pair[1], "x", 1), 1);
	event_base_loop(base, EVLOOP_ONCE);
	for (int i = 0; i < FLOOD; i++) {
		int n = 0;

		assert_int_equal(ioctl(fd[i], FIONREAD, &n), 0);
		answered += n > 0;
	}
	assert_in_range(answered, 1, 8);
	assert_int_equal(two.length, 1);
	for (int i = 0, done = 0; done < FLOOD; i = (i + 1) % FLOOD) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		SSL_connect(ssl[i]);
		done = 0;
		for (int j = 0; j < FLOOD; j++)
			done += flood[j].connected;
	}
	for (int i = 0; i < FLOOD; i++) {
		conn_close(flood[i].conn);
		SSL_free(ssl[i]);
		close(fd[i]);
	}
	close(pair[1]);
	SSL_CTX_free(ctx);
	tls_server_drop(server);
}

enum { HELLO_RECORD = 6, HELLO_LENGTH = 0x1fff0 };

/* Writes the next of a ClientHello's octets, each in a record of its own, as long as the socket takes them; the number of octets so far. */
static size_t trickle_hello(int fd, size_t from)
{
	static const uint8_t head[] = {1, HELLO_LENGTH >> 16, HELLO_LENGTH >> 8 & 255, HELLO_LENGTH & 255, 3, 3};
	uint8_t records[512 * HELLO_RECORD];
	ssize_t n;

	do {
		for (size_t i = 0; i < sizeof records; i++) {
			size_t at = (from + i) / HELLO_RECORD;
			const uint8_t record[HELLO_RECORD] = {22, 3, 1, 0, 1, at < sizeof head ? head[at] : 0};

			records[i] = record[(from + i) % HELLO_RECORD];
		}
		n = send(fd, records, sizeof records, MSG_DONTWAIT | MSG_NOSIGNAL);
		from += n > 0 ? (size_t)n : 0;
	} while (n == sizeof records && from < HELLO_LENGTH * HELLO_RECORD);
	return from;
}

static void a_handshake_of_endless_records_is_ended(void **state)
{
	struct tls_server *server = server_of("a.pem", "a.key", NULL);
	int fd = accept_in(&one, server, patient), room = 4096;
	size_t sent = 0;

	(void)state;
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
	while (!one.ended) {
		assert_true(sent < HELLO_LENGTH * HELLO_RECORD);
		sent = trickle_hello(fd, sent);
		event_base_loop(base, EVLOOP_ONCE);
	}
	assert_int_equal(one.err, ERR_TLS);
	assert_non_null(strstr(one.why.text, "the handshake is too long"));
	conn_close(one.conn);
	one.conn = NULL;
	close(fd);
	tls_server_drop(server);
}

/* Clients whose sockets have always something to read; the hello of one more is looked at all the same. */
static void handshakes_have_their_turns_in_order(void **state)
{
	enum { BUSY = 8 };
	struct tls_server *server = server_of("a.pem", "a.key", NULL);
	static struct end busy[BUSY];
	size_t sent[BUSY] = {0};
	int fd[BUSY], last, left = 1;
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(ctx);

	(void)state;
	for (int i = 0; i < BUSY; i++) {
		fd[i] = accept_in(&busy[i], server, patient);
		sent[i] = trickle_hello(fd[i], 0);
	}
	event_base_loop(base, EVLOOP_ONCE);
	last = accept_in(&one, server, patient);
	fcntl(last, F_SETFL, O_NONBLOCK);
	SSL_set_fd(ssl, last);
	SSL_connect(ssl);
	for (time_t end = time(NULL) + 20; left && time(NULL) < end;) {
		for (int i = 0; i < BUSY; i++)
			sent[i] = trickle_hello(fd[i], sent[i]);
		event_base_loop(base, EVLOOP_ONCE);
		assert_int_equal(ioctl(last, FIONREAD, &left), 0);
		left = left == 0;                        /* no answer has come yet */
	}
	for (int i = 0; i < BUSY; i++)
		assert_false(busy[i].ended);             /* as they are at 64 KB: unfair, that would have come first */
	assert_int_equal(left, 0);
	for (int i = 0; i < BUSY; i++) {
		conn_close(busy[i].conn);
		close(fd[i]);
	}
	conn_close(one.conn);
	one.conn = NULL;
	SSL_free(ssl);
	close(last);
	SSL_CTX_free(ctx);
	tls_server_drop(server);
}

/* --- tickets ---------------------------------------------------------------------------------------------------- */

static void work_one_octet(struct client *c)
{
	client_write(c, "x", 1);
	client_read(c, 1);                        /* behind the ticket */
	if (SSL_version(c->ssl) == TLS1_2_VERSION)
		on_session(c->ssl, SSL_get1_session(c->ssl));   /* not told of one that takes the place of another */
	SSL_shutdown(c->ssl);
}

/* Whether the session of the last visit was resumed. */
static bool visit(struct tls_server *server, void (*set_up)(SSL *))
{
	memset(&one, 0, sizeof one);
	one.echo = true;
	client_start(accept_in(&one, server, patient), set_up, work_one_octet);
	client_end();
	assert_int_equal(client.result, 1);
	conn_close(one.conn);
	one.conn = NULL;
	assert_int_equal(one.facts.resumed, client.resumed);
	return client.resumed;
}

static void a_session_is_resumed(void (*set_up)(SSL *))
{
	struct tls_server *a = server_of("a.pem", "a.key", NULL), *b = server_of("b.pem", "b.key", NULL),
		*other = server_of("a.pem", "a.key", "ca.pem");

	assert_false(visit(a, set_up));
	assert_true(visit(a, set_up));
	assert_true(visit(b, set_up));                 /* the certificate after it */
	tls_tickets_rotate(tickets);
	tls_tickets_rotate(tickets);
	assert_true(visit(b, set_up));                 /* by the oldest key, and gets a ticket of the newest */
	tls_tickets_rotate(tickets);
	assert_true(visit(b, set_up));
	for (int i = 0; i < 3; i++)
		tls_tickets_rotate(tickets);
	assert_false(visit(b, set_up));                /* its key is gone */
	assert_true(visit(b, set_up));
	assert_false(visit(other, set_up));            /* whose clients are others */
	tls_server_drop(a);
	tls_server_drop(b);
	tls_server_drop(other);
}

static void a_session_is_resumed_by_its_ticket_while_the_key_is_there(void **state)
{
	(void)state;
	a_session_is_resumed(NULL);
}

static void so_is_one_of_tls_1_2(void **state)
{
	(void)state;
	a_session_is_resumed(only_1_2);
}

/* --- clients with certificates --------------------------------------------------------------------------------------- */

static void with_certificate(SSL *ssl)
{
	assert_int_equal(SSL_use_certificate_file(ssl, in_dir("client.pem"), SSL_FILETYPE_PEM), 1);
	assert_int_equal(SSL_use_PrivateKey_file(ssl, in_dir("client.key"), SSL_FILETYPE_PEM), 1);
}

static void with_late_certificate(SSL *ssl)
{
	assert_int_equal(SSL_use_certificate_file(ssl, in_dir("late.pem"), SSL_FILETYPE_PEM), 1);
	assert_int_equal(SSL_use_PrivateKey_file(ssl, in_dir("client.key"), SSL_FILETYPE_PEM), 1);
}

static void a_certificate_is_asked_for_and_need_not_be_shown(void **state)
{
	struct tls_server *server = server_of("a.pem", "a.key", "ca.pem");

	(void)state;
	assert_false(visit(server, NULL));
	assert_true(one.facts.client_wanted);
	assert_false(one.facts.client_verified);
	assert_true(visit(server, NULL));
	assert_false(one.facts.client_verified);
	SSL_SESSION_free(client.keep);
	client.keep = NULL;
	assert_false(visit(server, with_certificate));
	assert_true(one.facts.client_verified);
	assert_true(visit(server, with_certificate));  /* the ticket remembers */
	assert_true(one.facts.client_verified);
	tls_server_drop(server);
}

static void a_certificate_that_is_not_right_ends_the_handshake(void **state)
{
	static const struct { const char *ca; void (*set_up)(SSL *); const char *wanted; } wrong[] = {
		{"ca2.pem", with_certificate, "/ca2.pem, got one for \"secondary\" (issuer CN=clients, until 20"},
		{"ca.pem", with_late_certificate, "expected a certificate that is valid now, got one for \"secondary\" (issuer CN=clients, until 20"},
	};

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct tls_server *server = server_of("a.pem", "a.key", wrong[i].ca);

		memset(&one, 0, sizeof one);
		client_start(accept_in(&one, server, patient), wrong[i].set_up, work_one_octet);
		RUN_UNTIL(one.connected || one.ended);
		assert_int_equal(one.connected, 0);
		assert_int_equal(one.err, ERR_TLS);
		assert_non_null(strstr(one.why.text, wrong[i].wanted));
		conn_close(one.conn);
		one.conn = NULL;
		client_end();
		assert_int_equal(client.length, 0);
		tls_server_drop(server);
	}
}

static void a_certificate_of_anybody_is_taken_where_it_is_asked_for_without_authorities(void **state)
{
	struct tls_server *before = server_of("a.pem", "a.key", NULL), *server = server_that_asks("a.pem", "a.key", NULL, true);

	(void)state;
	assert_false(visit(before, with_late_certificate));
	assert_string_equal(one.names, "");
	assert_false(visit(server, with_late_certificate));    /* a session from when nobody was asked shows nothing */
	assert_false(one.facts.client_verified || one.facts.client_wanted);
	assert_string_equal(one.names, "secondary");
	assert_true(visit(server, with_late_certificate));
	assert_string_equal(one.names, "secondary");           /* the ticket remembers */
	tls_server_drop(before);
	tls_server_drop(server);
}

static void nobody_is_verified_who_is_not_asked(void **state)
{
	struct tls_server *server = server_of("a.pem", "a.key", NULL);

	(void)state;
	visit(server, with_certificate);
	assert_false(one.facts.client_verified || one.facts.client_wanted);
	tls_server_drop(server);
}

/* --- attacks within a session ------------------------------------------------------------------------------------------- */

static int updates;

static void work_key_updates(struct client *c)
{
	for (int i = 0; i < updates; i++)
		if (SSL_key_update(c->ssl, i % 2 ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED) != 1 || SSL_do_handshake(c->ssl) != 1)
			return;
	SSL_write(c->ssl, "x", 1);
	client_read(c, 1);
}

static void key_updates_are_done_but_not_without_end(void **state)
{
	struct tls_server *server = server_of("a.pem", "a.key", NULL);

	(void)state;
	for (updates = 64; updates <= 1000; updates += 936) {
		memset(&one, 0, sizeof one);
		one.echo = true;
		client_start(accept_in(&one, server, patient), NULL, work_key_updates);
		RUN_UNTIL(one.length || one.ended);
		assert_int_equal(one.ended, updates == 1000);
		if (one.ended) {
			assert_int_equal(one.err, ERR_TLS);
			assert_non_null(strstr(one.why.text, "too many key updates"));
		}
		conn_close(one.conn);
		one.conn = NULL;
		client_end();
		assert_int_equal(client.length, updates == 64);
	}
	tls_server_drop(server);
}

static void renegotiation_is_refused(void **state)
{
	struct tls_server *server = server_of("a.pem", "a.key", NULL);
	int fd = accept_in(&one, server, patient);

	(void)state;
	client_start(fd, only_1_2, NULL);
	RUN_UNTIL(client_done() && one.connected);
	pthread_join(client.thread, NULL);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	SSL_renegotiate(client.ssl);
	for (int i = 0; i < 100; i++) {
		SSL_do_handshake(client.ssl);
		event_base_loop(base, EVLOOP_NONBLOCK);
	}
	assert_int_equal(one.connected, 1);
	assert_true(SSL_renegotiate_pending(client.ssl) || !SSL_is_init_finished(client.ssl));
	client_free();
	tls_server_drop(server);
}

/* --- files ------------------------------------------------------------------------------------------------------------------- */

static void what_is_wrong_with_a_file_is_said(void **state)
{
	static const struct { const char *cert, *key, *ca, *wanted; } wrong[] = {
		{"none.pem", "a.key", NULL, "none.pem: open: No such file or directory"},
		{"a.pem", "none.key", NULL, "none.key: open: No such file or directory"},
		{"a.pem", "a.key", "none.pem", "none.pem: open: No such file or directory"},
		{"empty.pem", "a.key", NULL, "empty.pem: there is no certificate in it (PEM)"},
		{"a.key", "a.key", NULL, "a.key: there is no certificate in it (PEM)"},
		{"damaged.pem", "a.key", NULL, "damaged.pem: certificate 1 is damaged: "},
		{"a.pem", "a.pem", NULL, "a.pem: there is no private key in it (PEM)"},
		{"a.pem", "empty.pem", NULL, "empty.pem: there is no private key in it (PEM)"},
		{"a.pem", "locked.key", NULL, "locked.key: the key has a passphrase"},
		{"a.pem", "b.key", NULL, "b.key: the key does not belong to the certificate in "},
		{"a.pem", "a.key", "empty.pem", "empty.pem: there is no certificate in it (PEM)"},
		{"a.pem", "a.key", "damaged.pem", "damaged.pem: certificate 1 is damaged: "},
		{"", "a.key", NULL, ": not a regular file"},
	};
	struct tls_server *server;

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct tls_files files = {in_dir(wrong[i].cert), in_dir(wrong[i].key), wrong[i].ca ? in_dir(wrong[i].ca) : NULL};
		struct why why = {{0}};

		assert_int_not_equal(tls_server_new(&server, &files, tickets, &why), ERR_OK);
		if (strncmp(why.text, dir, strlen(dir)) != 0 || !strstr(why.text, wrong[i].wanted))
			fail_msg("\"%s\", not \"%s\"", why.text, wrong[i].wanted);
		assert_int_equal(ERR_peek_error(), 0);
	}
	server = server_of("all.pem", "client.key", "all.pem");   /* a chain; a key among certificates */
	tls_server_drop(server);
	tls_server_drop(NULL);
	tls_tickets_free(NULL);
}

static void a_certificate_out_of_its_time_is_told(void **state)
{
	struct tls_server *server = server_of("a.pem", "a.key", NULL), *late = server_of("late.pem", "client.key", NULL);
	uint64_t now = (uint64_t)time(NULL);
	struct why why;

	(void)state;
	assert_true(tls_server_valid(server, now, &why));
	assert_false(tls_server_valid(server, now + 11 * 86400, &why));
	assert_non_null(strstr(why.text, "a.pem: the certificate has expired"));
	assert_false(tls_server_valid(server, now - 86400, &why));
	assert_non_null(strstr(why.text, "a.pem: the certificate is not valid yet"));
	assert_false(tls_server_valid(late, now, &why));
	tls_server_drop(server);
	tls_server_drop(late);
}

static int group_setup(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);                /* the client's socket is OpenSSL's own */
	for (size_t i = 0; i < sizeof blob; i++)
		blob[i] = (uint8_t)(i * 7 + i / 251);
	tickets = tls_tickets_new();
	if (!tickets || !mkdtemp(dir))
		return -1;
	make_files();
	return 0;
}

static int group_teardown(void **state)
{
	(void)state;
	tls_tickets_free(tickets);
	return remove_dir();
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(bytes_arrive_whole_in_both_directions),
		TEST(so_do_they_over_tls_1_2),
		TEST(small_records_that_come_together_are_shown_together_and_answered_by_one),
		TEST(while_reading_is_off_nothing_is_shown_and_nothing_is_lost),
		TEST(a_slow_reader_is_served_at_its_own_pace),
		TEST(a_peer_that_has_said_goodbye_still_gets_the_rest),
		TEST(a_goodbye_in_the_segment_of_the_last_octets_is_seen),
		TEST(closing_says_goodbye),
		TEST(what_is_no_handshake_is_an_error_of_tls),
		TEST(a_client_that_closes_before_or_in_the_handshake),
		TEST(a_handshake_has_a_time_limit_that_octets_do_not_put_off),
		TEST(alpn_is_dot_or_none),
		TEST(tls_1_1_is_refused),
		TEST(a_flood_of_handshakes_leaves_the_loop_to_others),
		TEST(a_handshake_of_endless_records_is_ended),
		TEST(handshakes_have_their_turns_in_order),
		TEST(a_session_is_resumed_by_its_ticket_while_the_key_is_there),
		TEST(so_is_one_of_tls_1_2),
		TEST(a_certificate_is_asked_for_and_need_not_be_shown),
		TEST(a_certificate_that_is_not_right_ends_the_handshake),
		TEST(a_certificate_of_anybody_is_taken_where_it_is_asked_for_without_authorities),
		TEST(nobody_is_verified_who_is_not_asked),
		TEST(key_updates_are_done_but_not_without_end),
		TEST(renegotiation_is_refused),
		TEST(what_is_wrong_with_a_file_is_said),
		TEST(a_certificate_out_of_its_time_is_told),
	};

	return cmocka_run_group_tests_name("base/tls and base/conn over it", tests, group_setup, group_teardown);
}
