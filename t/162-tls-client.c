/* base/tls where it connects, and base/conn over it: whom it believes, what it says of others, sessions that are resumed. The server is
 * OpenSSL's own, or a few octets, in a thread, on real sockets of the loopback interface. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/conn.h"
#include "conn-loop.h"
#include "tls-dir.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static uint8_t blob[1 << 20];

/* --- files ----------------------------------------------------------------------------------------- */

static void make_files(void)
{
	shell("req() { openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \"$@\"; }\n"
		"sign() { openssl x509 -req -in $1.csr -CA $2.pem -CAkey $2.key -CAcreateserial -days $3 -out $4.pem ${5:+-extfile $5}; }\n"
		"for n in ca ca2 self; do req -x509 -keyout $n.key -out $n.pem -subj /CN=$n -days 10; done\n"
		"for n in ns other client; do req -keyout $n.key -out $n.csr -subj /CN=$n.example;"
		" echo subjectAltName=DNS:$n.example,DNS:*.wild.example > $n.ext; done\n"
		"sign ns ca 10 ns ns.ext && sign ns ca2 10 stranger ns.ext && sign ns ca -1 old ns.ext && sign other ca 10 other other.ext &&"
		"sign ns ca 10 plain && sign client ca 10 client client.ext && sign client ca -1 late client.ext &&"
		"cp other.ext odd.ext && echo 'subjectAltName=DNS:a\\\"b.example' > odd.ext && sign ns ca 10 odd odd.ext && : > empty.pem");
}

static void pin_of(const char *name, uint8_t pin[CERT_PIN_SIZE])
{
	STACK_OF(X509) *certs = sk_X509_new_null();

	assert_int_equal(cert_read_all(in_dir(name), certs, NULL), ERR_OK);
	assert_true(cert_pin(sk_X509_value(certs, 0), pin));
	sk_X509_pop_free(certs, X509_free);
}

/* --- the server ------------------------------------------------------------------------------------- */

struct peer;
typedef void peer_set_up(SSL_CTX *);

static struct peer {
	pthread_t thread;
	struct net_addr at;
	int listener;
	SSL_CTX *ctx;                /* NULL: it is not TLS, but says these octets, */
	const char *raw;
	size_t raw_length;
	bool hang;                   /* and waits for us to close */
	bool reset;                  /* it ends after the handshake, however that went, with a reset */
	bool resumed, shown;         /* the client has shown a certificate */
	char asked[64];              /* for which name */
} peer;

static void echo(SSL *ssl)
{
	static char bytes[16384];
	int n;

	while ((n = SSL_read(ssl, bytes, sizeof bytes)) > 0)
		if (SSL_write(ssl, bytes, n) <= 0)
			return;
}

static void *peer_run(void *arg)
{
	int fd = accept(peer.listener, NULL, NULL);
	char bytes[1000];
	SSL *ssl;

	(void)arg;
	if (!peer.ctx) {
		if (peer.raw_length)
			send(fd, peer.raw, peer.raw_length, MSG_NOSIGNAL);
		while (peer.hang && recv(fd, bytes, sizeof bytes, 0) > 0)
			;
		close(fd);
		return NULL;
	}
	ssl = SSL_new(peer.ctx);
	SSL_set_fd(ssl, fd);
	if (SSL_accept(ssl) == 1 && !peer.reset) {
		const char *asked = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

		snprintf(peer.asked, sizeof peer.asked, "%s", asked ? asked : "");
		peer.resumed = SSL_session_reused(ssl);
		peer.shown = SSL_get0_peer_certificate(ssl) != NULL;
		echo(ssl);
	}
	ERR_clear_error();
	SSL_free(ssl);
	if (peer.reset) {
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
		close(fd);
		return NULL;
	}
	shutdown(fd, SHUT_WR);               /* without a reset, which would take the place of what was said */
	while (recv(fd, bytes, sizeof bytes, 0) > 0)
		;
	close(fd);
	return NULL;
}

static void peer_listen(void)
{
	struct sockaddr_storage local;
	socklen_t length = sizeof local;

	net_addr_parse(&peer.at, "127.0.0.1", 53, NULL);
	net_set_port(&peer.at, 0);
	peer.listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(peer.listener, &peer.at.sa, net_addr_len(&peer.at)), 0);
	assert_int_equal(listen(peer.listener, 5), 0);
	assert_int_equal(getsockname(peer.listener, (struct sockaddr *)&local, &length), 0);
	peer.at = net_addr_of((struct sockaddr *)&local);
}

static int take_dot(SSL *ssl, const unsigned char **out, unsigned char *length, const unsigned char *offered, unsigned n, void *arg)
{
	(void)ssl, (void)arg;
	if (n != 4 || memcmp(offered, "\3dot", 4) != 0)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = offered + 1;
	*length = 3;
	return SSL_TLSEXT_ERR_OK;
}

static int take_h2(SSL *ssl, const unsigned char **out, unsigned char *length, const unsigned char *offered, unsigned n, void *arg)
{
	(void)ssl, (void)offered, (void)n, (void)arg;
	*out = (const unsigned char *)"h2";
	*length = 2;
	return SSL_TLSEXT_ERR_OK;
}

static int take_nothing(SSL *ssl, const unsigned char **out, unsigned char *length, const unsigned char *offered, unsigned n, void *arg)
{
	(void)ssl, (void)out, (void)length, (void)offered, (void)n, (void)arg;
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static void no_alpn(SSL_CTX *ctx) { SSL_CTX_set_alpn_select_cb(ctx, NULL, NULL); }
static void h2(SSL_CTX *ctx) { SSL_CTX_set_alpn_select_cb(ctx, take_h2, NULL); }
static void refuse_alpn(SSL_CTX *ctx) { SSL_CTX_set_alpn_select_cb(ctx, take_nothing, NULL); }
static void only_1_2(SSL_CTX *ctx) { SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION); }
static void wants_client(SSL_CTX *ctx)
{
	assert_int_equal(SSL_CTX_load_verify_file(ctx, in_dir("ca.pem")), 1);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
}

static SSL_CTX *server_ctx(const char *cert, const char *key, peer_set_up *set_up)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	SSL_CTX_set_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_session_id_context(ctx, (const uint8_t *)"x", 1);
	SSL_CTX_set_alpn_select_cb(ctx, take_dot, NULL);
	assert_int_equal(SSL_CTX_use_certificate_file(ctx, in_dir(cert), SSL_FILETYPE_PEM), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey_file(ctx, in_dir(key), SSL_FILETYPE_PEM), 1);
	if (set_up)
		set_up(ctx);
	return ctx;
}

/* --- our end ------------------------------------------------------------------------------------------ */

static struct end {
	struct conn *conn;
	unsigned connected, ended;
	enum err err;
	struct why why;
	size_t to_write, length;
	uint8_t got[sizeof blob];
	struct tls_facts facts;
	char names[200];
	bool verified;
} end;

static void on_connected(struct conn *conn, void *owner)
{
	const struct tls_shown *shown = conn_tls_shown(conn);

	(void)owner;
	end.connected++;
	end.facts = conn_tls_facts(conn);
	assert_non_null(shown);
	snprintf(end.names, sizeof end.names, "%s", shown->names);
	end.verified = shown->verified;
	conn_write(conn, blob, end.to_write);
}

static size_t on_data(struct conn *conn, struct rbuf bytes, void *owner)
{
	size_t n = rbuf_left(&bytes);

	(void)conn, (void)owner;
	assert_true(end.length + n <= sizeof end.got);
	memcpy(end.got + end.length, bytes.at, n);
	end.length += n;
	return n;
}

static void on_ended(struct conn *conn, enum err err, const struct why *why, void *owner)
{
	(void)conn, (void)owner;
	end.ended++;
	end.err = err;
	end.why = *why;
}

static uint32_t handshake_ms = 10000;

/* Connects, sends octets, waits until they have come back, or for the end. */
static void visit(struct tls_client *client, size_t octets)
{
	static const struct conn_handlers handlers = {on_connected, on_data, NULL, on_ended};
	struct why why = {{0}};

	memset(&end, 0, sizeof end);
	end.to_write = octets;
	assert_int_equal(pthread_create(&peer.thread, NULL, peer_run, NULL), 0);
	end.conn = conn_open_tls(base, &peer.at, (struct conn_times){handshake_ms, 10000}, client, &handlers, &end, &why);
	assert_non_null(end.conn);
	RUN_UNTIL(end.ended || end.length == octets);
	conn_close(end.conn);
	end.conn = NULL;
	pthread_join(peer.thread, NULL);
}

static struct tls_client *client_of(const char *name, const char *ca, const char *cert, const uint8_t (*pins)[CERT_PIN_SIZE], size_t n)
{
	struct tls_client_conf conf = {name, ca ? in_dir(ca) : NULL, pins, n, cert ? in_dir(cert) : NULL, cert ? in_dir("client.key") : NULL};
	struct tls_client *client = NULL;
	struct why why = {{0}};

	assert_int_equal(tls_client_new(&client, &conf, &why), ERR_OK);
	return client;
}

static int setup(void **state)
{
	(void)state;
	memset(&peer, 0, sizeof peer);
	base = event_base_new();
	peer_listen();
	return base ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	SSL_CTX_free(peer.ctx);
	close(peer.listener);
	event_base_free(base);
	return 0;
}

/* --- octets ----------------------------------------------------------------------------------------------- */

static void bytes_arrive_whole_in_both_directions(void **state)
{
	struct tls_client *client = client_of("ns.example", "ca.pem", NULL, NULL, 0);

	(void)state;
	peer.ctx = server_ctx("ns.pem", "ns.key", NULL);
	visit(client, sizeof blob);
	assert_int_equal(end.connected, 1);
	assert_int_equal(end.ended, 0);
	assert_memory_equal(end.got, blob, sizeof blob);
	assert_true(end.facts.version_1_3 && end.facts.alpn && !end.facts.resumed && !end.facts.client_wanted);
	assert_true(end.verified);
	assert_string_equal(end.names, "ns.example");
	assert_string_equal(peer.asked, "ns.example");
	assert_false(peer.shown);
	tls_client_drop(client);
}

/* --- who it must be -------------------------------------------------------------------------------------------- */

/* Which certificate has the pins: the first that is given, then one that nobody has. */
struct expectation {
	const char *cert, *key;
	peer_set_up *set_up;
	const char *name, *ca, *pin, *own;
	unsigned more_pins;
	const char *wanted;          /* in the error; NULL: it is fine */
};

static void check(const struct expectation *e)
{
	uint8_t pins[2][CERT_PIN_SIZE] = {{1, 2, 3}};
	struct tls_client *client;

	if (e->pin)
		pin_of(e->pin, pins[e->more_pins]);
	client = client_of(e->name, e->ca, e->own, (const uint8_t (*)[CERT_PIN_SIZE])pins, e->pin ? 1 + e->more_pins : 0);
	peer.ctx = server_ctx(e->cert, e->key, e->set_up);
	visit(client, 100);
	if (!e->wanted && (end.length != 100 || end.ended))
		fail_msg("%s, %s, %s: \"%s\"", e->cert, e->name, e->ca, end.why.text);
	if (e->wanted && (end.length || end.err != ERR_TLS || !strstr(end.why.text, e->wanted)))
		fail_msg("%s, %s, %s: \"%s\", not \"%s\"", e->cert, e->name, e->ca, end.why.text, e->wanted);
	if (!e->wanted)
		assert_int_equal(end.verified, e->name != NULL);
	SSL_CTX_free(peer.ctx);
	peer.ctx = NULL;
	tls_client_drop(client);
}

static void the_server_is_who_it_must_be_or_it_is_said_what_was_expected_and_what_came(void **state)
{
	static const struct expectation all[] = {
		{"ns.pem", "ns.key", NULL, "ns.example", "ca.pem"},
		{"ns.pem", "ns.key", NULL, "NS.example.", "ca.pem"},
		{"ns.pem", "ns.key", NULL, "any.wild.example", "ca.pem"},
		{"plain.pem", "ns.key", NULL, "ns.example", "ca.pem"},
		{"ns.pem", "ns.key", NULL, "ns.example", "ns.pem"},
		{"self.pem", "self.key", NULL, "self", "self.pem"},
		{"ns.pem", "ns.key", NULL, "ns.example", "ca.pem", .pin = "ns.pem"},
		{"ns.pem", "ns.key", NULL, "ns.example", "ca.pem", .pin = "ns.pem", .more_pins = 1},
		{"old.pem", "ns.key", NULL, NULL, NULL, .pin = "ns.pem"},
		{"stranger.pem", "ns.key", NULL, NULL, NULL, .pin = "ns.pem"},
		{"stranger.pem", "ns.key", NULL, NULL, NULL},
		{"ns.pem", "ns.key", wants_client, "ns.example", "ca.pem", .own = "client.pem"},
		{"other.pem", "other.key", NULL, "ns.example", "ca.pem",
			.wanted = "TLS: expected a certificate for \"ns.example\", got one for \"other.example\", "
			"\"*.wild.example\" (issuer CN=ca, until 20"},
		{"ns.pem", "ns.key", NULL, "any.any.wild.example", "ca.pem", .wanted = "expected a certificate for \"any.any.wild.example\", got "},
		{"odd.pem", "ns.key", NULL, "ns.example", "ca.pem",
			.wanted = "expected a certificate for \"ns.example\", got one for no name (issuer"},
		{"stranger.pem", "ns.key", NULL, "ns.example", "ca.pem",
			.wanted = "/ca.pem, got one for \"ns.example\", \"*.wild.example\" (issuer CN=ca2, until 20"},
		{"stranger.pem", "ns.key", NULL, "ns.example", "ca.pem", .wanted = ": unable to get local issuer certificate"},
		{"self.pem", "self.key", NULL, "self", "ca.pem", .wanted = "expected a certificate of an authority in /"},
		{"self.pem", "self.key", NULL, "self", "ca.pem", .wanted = ": self-signed certificate"},
		{"ns.pem", "ns.key", NULL, "ns.example", NULL, .wanted = "of an authority in the system's store, got one for \"ns.example\""},
		{"old.pem", "ns.key", NULL, "ns.example", "ca.pem", .wanted = "expected a certificate that is valid now, got one for \"ns.example\""},
		{"old.pem", "ns.key", NULL, "ns.example", "ca.pem", .wanted = ": certificate has expired"},
		{"other.pem", "other.key", NULL, NULL, NULL, .pin = "ns.pem", .wanted = "expected the pin "},
		{"other.pem", "other.key", NULL, NULL, NULL, .pin = "ns.pem", .wanted = ", got a certificate for \"other.example\""},
		{"other.pem", "other.key", NULL, NULL, NULL, .pin = "ns.pem", .more_pins = 1, .wanted = "= (or another one of the list), got"},
		{"other.pem", "other.key", NULL, "other.example", "ca.pem", .pin = "ns.pem", .wanted = "expected the pin "},
		{"other.pem", "other.key", NULL, "ns.example", "ca.pem", .pin = "other.pem", .wanted = "expected a certificate for \"ns.example\""},
		{"ns.pem", "ns.key", only_1_2, "ns.example", "ca.pem", .wanted = "expected TLS 1.3, which the server does not speak: "},
		{"ns.pem", "ns.key", no_alpn, "ns.example", "ca.pem", .wanted = "expected ALPN \"dot\", got none"},
		{"ns.pem", "ns.key", h2, "ns.example", "ca.pem", .wanted = "expected ALPN \"dot\", got another one"},
		{"ns.pem", "ns.key", refuse_alpn, "ns.example", "ca.pem", .wanted = "expected ALPN \"dot\", which the server does not know: "},
		{"ns.pem", "ns.key", wants_client, "ns.example", "ca.pem", .wanted = "the server expects a certificate of ours, got none: "},
		{"ns.pem", "ns.key", wants_client, "ns.example", "ca.pem", .own = "late.pem", .wanted = "/late.pem: "},
	};

	(void)state;
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		check(&all[i]);
	assert_int_equal(ERR_peek_error(), 0);
}

/* The text shows both pins as the operator would write them. */
static void a_wrong_pin_is_shown_beside_the_right_one(void **state)
{
	uint8_t pins[1][CERT_PIN_SIZE], came[CERT_PIN_SIZE];
	char wanted[CERT_PIN_TEXT], got[CERT_PIN_TEXT];
	struct tls_client *client;

	(void)state;
	pin_of("client.pem", pins[0]);
	pin_of("ns.pem", came);
	client = client_of(NULL, NULL, NULL, (const uint8_t (*)[CERT_PIN_SIZE])pins, 1);
	peer.ctx = server_ctx("ns.pem", "ns.key", NULL);
	visit(client, 1);
	assert_non_null(strstr(end.why.text, cert_pin_text(pins[0], wanted)));
	assert_non_null(strstr(end.why.text, cert_pin_text(came, got)));
	tls_client_drop(client);
}

static void what_is_no_tls_is_said(void **state)
{
	static const char old_hello[] = "\x16\x03\x03\0\x2a\x02\0\0\x26\x03\x03" "0123456789abcdef0123456789abcdef" "\0\xc0\x2f\0";
	static const struct { const char *raw; size_t length; bool hang; enum err err; const char *wanted; } all[] = {
		{"\0\x1d\x12\x34\1\0\0\1\0\0\0\0\0\0\3www\7example\0\0\1\0\1", 31, true, ERR_TLS, "TLS: expected TLS 1.3, got something else: "},
		{"HTTP/1.0 400 Bad Request\r\n\r\n", 28, true, ERR_TLS, "TLS: expected TLS 1.3, got something else: "},
		{old_hello, sizeof old_hello - 1, true, ERR_TLS, "TLS: expected TLS 1.3, got TLS 1.2"},
		{"", 0, true, ERR_TIMEOUT, "TLS: expected TLS 1.3, got no handshake in time"},
	};
	struct tls_client *client = client_of("ns.example", "ca.pem", NULL, NULL, 0);

	(void)state;
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		peer.raw = all[i].raw;
		peer.raw_length = all[i].length;
		peer.hang = all[i].hang;
		handshake_ms = all[i].length ? 10000 : 300;
		visit(client, 1);
		handshake_ms = 10000;
		if (end.err != all[i].err || end.connected || !strstr(end.why.text, all[i].wanted))
			fail_msg("%zu: \"%s\", not \"%s\"", i, end.why.text, all[i].wanted);
	}
	tls_client_drop(client);
}

static void *close_after_reading(void *arg)
{
	int fd = accept(peer.listener, NULL, NULL);
	char bytes[2000];

	(void)arg;
	recv(fd, bytes, sizeof bytes, 0);
	close(fd);
	return NULL;
}

static void an_end_in_the_handshake_is_said(void **state)
{
	static const struct conn_handlers handlers = {on_connected, on_data, NULL, on_ended};
	struct tls_client *client = client_of("ns.example", "ca.pem", NULL, NULL, 0);

	(void)state;
	memset(&end, 0, sizeof end);
	assert_int_equal(pthread_create(&peer.thread, NULL, close_after_reading, NULL), 0);
	end.conn = conn_open_tls(base, &peer.at, (struct conn_times){10000, 10000}, client, &handlers, &end, NULL);
	RUN_UNTIL(end.ended);
	pthread_join(peer.thread, NULL);
	assert_int_equal(end.err, ERR_TLS);
	assert_non_null(strstr(end.why.text, "TLS: expected TLS 1.3, got the end of the connection"));
	conn_close(end.conn);
	tls_client_drop(client);
}

static void wants_any_client(SSL_CTX *ctx) { SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL); }

static void on_connected_deaf(struct conn *conn, void *owner)
{
	(void)owner;
	end.connected++;
	conn_reading(conn, false);
}

/* What is written comes when the server has gone. */
static void a_reset_does_not_hide_what_the_server_has_said(void **state)
{
	static const struct { peer_set_up *set_up; const char *own; bool write; enum err err; const char *wanted; } all[] = {
		{wants_client, NULL, true, ERR_TLS, "the server expects a certificate of ours, got none: tlsv13 alert certificate required"},
		{wants_client, NULL, false, ERR_TLS, "the server expects a certificate of ours, got none: tlsv13 alert certificate required"},
		{wants_client, "late.pem", true, ERR_TLS, "the server does not accept our certificate"},
		{wants_any_client, NULL, true, ERR_TLS, "the server expects a certificate of ours, got none: it has reset the connection"},
		{wants_any_client, NULL, false, ERR_TLS, "the server expects a certificate of ours, got none: it has reset the connection"},
		{NULL, NULL, true, ERR_NETWORK, "reset"},
		{NULL, NULL, false, ERR_NETWORK, "reset"},
	};
	static const struct conn_handlers handlers = {on_connected_deaf, on_data, NULL, on_ended};

	(void)state;
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		struct tls_client *client = client_of("ns.example", "ca.pem", all[i].own, NULL, 0);

		memset(&end, 0, sizeof end);
		peer.reset = true;
		peer.ctx = server_ctx("ns.pem", "ns.key", all[i].set_up);
		assert_int_equal(pthread_create(&peer.thread, NULL, peer_run, NULL), 0);
		end.conn = conn_open_tls(base, &peer.at, (struct conn_times){10000, 10000}, client, &handlers, &end, NULL);
		RUN_UNTIL(end.connected);
		pthread_join(peer.thread, NULL);
		if (all[i].write)
			conn_write(end.conn, "x", 1);
		else
			conn_reading(end.conn, true);
		RUN_UNTIL(end.ended);
		if (end.err != all[i].err || !strstr(end.why.text, all[i].wanted))
			fail_msg("%zu: \"%s\", not \"%s\"", i, end.why.text, all[i].wanted);
		conn_close(end.conn);
		SSL_CTX_free(peer.ctx);
		peer.ctx = NULL;
		tls_client_drop(client);
	}
}

static void nobody_listens(void **state)
{
	static const struct conn_handlers handlers = {on_connected, on_data, NULL, on_ended};
	struct tls_client *client = client_of("ns.example", "ca.pem", NULL, NULL, 0);
	struct why why = {{0}};

	(void)state;
	close(peer.listener);
	memset(&end, 0, sizeof end);
	end.conn = conn_open_tls(base, &peer.at, (struct conn_times){10000, 10000}, client, &handlers, &end, &why);
	if (end.conn) {
		RUN_UNTIL(end.ended);
		why = end.why;
	}
	assert_non_null(strstr(why.text, "Connection refused"));
	conn_close(end.conn);
	tls_client_drop(client);
	peer.listener = socket(AF_INET, SOCK_STREAM, 0);   /* for the teardown */
}

/* --- sessions ------------------------------------------------------------------------------------------------------ */

static void a_session_is_resumed_at_the_same_address_by_the_same_trust(void **state)
{
	struct tls_client *one = client_of("ns.example", "ca.pem", NULL, NULL, 0), *again, *other;
	struct net_addr at;

	(void)state;
	peer.ctx = server_ctx("ns.pem", "ns.key", NULL);
	visit(one, 1);
	assert_false(end.facts.resumed);
	for (int i = 0; i < 40; i++) {
		visit(one, 1);
		assert_true(end.facts.resumed && peer.resumed && end.verified);
		assert_string_equal(end.names, "ns.example");
	}
	again = client_of("ns.example", "ca.pem", NULL, NULL, 0);
	assert_ptr_equal(again, one);
	tls_client_drop(one);
	visit(again, 1);
	assert_true(end.facts.resumed);
	other = client_of("any.wild.example", "ca.pem", NULL, NULL, 0);
	assert_ptr_not_equal(other, again);
	visit(other, 1);
	assert_false(end.facts.resumed);
	at = peer.at;
	close(peer.listener);
	peer_listen();
	assert_false(net_addr_equal(&at, &peer.at));
	visit(again, 1);
	assert_false(end.facts.resumed);                   /* it may be another server there */
	tls_client_drop(again);
	tls_client_drop(other);
}

/* The server has another key for its tickets then, as after its start. */
static void a_certificate_that_was_swapped_is_looked_at(void **state)
{
	struct tls_client *client = client_of("ns.example", "ca.pem", NULL, NULL, 0);

	(void)state;
	peer.ctx = server_ctx("ns.pem", "ns.key", NULL);
	visit(client, 1);
	visit(client, 1);
	assert_true(end.facts.resumed);
	SSL_CTX_free(peer.ctx);
	peer.ctx = server_ctx("other.pem", "other.key", NULL);
	visit(client, 1);
	assert_int_equal(end.connected, 0);
	assert_non_null(strstr(end.why.text, "expected a certificate for \"ns.example\", got one for \"other.example\""));
	tls_client_drop(client);
}

/* --- files ------------------------------------------------------------------------------------------------------------ */

static void what_the_files_say_makes_it_another(void **state)
{
	struct tls_client *one, *two;

	(void)state;
	shell("cp ca.pem now.pem");
	one = client_of("ns.example", "now.pem", NULL, NULL, 0);
	shell("cp ca2.pem now.pem");
	two = client_of("ns.example", "now.pem", NULL, NULL, 0);
	assert_ptr_not_equal(one, two);
	tls_client_drop(two);
	shell("cp ca.pem now.pem");
	two = client_of("ns.example", "now.pem", NULL, NULL, 0);
	assert_ptr_equal(one, two);
	tls_client_drop(two);
	two = client_of("ns.example", "now.pem", "client.pem", NULL, 0);
	assert_ptr_not_equal(one, two);
	tls_client_drop(two);
	tls_client_drop(one);
	tls_client_drop(NULL);
}

static void what_is_wrong_with_a_file_is_said(void **state)
{
	static const struct { const char *ca, *cert, *key, *wanted; } wrong[] = {
		{"none.pem", NULL, NULL, "none.pem: open: No such file or directory"},
		{"empty.pem", NULL, NULL, "empty.pem: there is no certificate in it (PEM)"},
		{"ca.pem", "none.pem", "ns.key", "none.pem: open: No such file or directory"},
		{"ca.pem", "client.pem", "none.key", "none.key: open: No such file or directory"},
		{"ca.pem", "client.pem", "ns.key", "ns.key: the key does not belong to the certificate in "},
	};
	struct tls_client *client;

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct tls_client_conf conf = {"ns.example", in_dir(wrong[i].ca), NULL, 0, wrong[i].cert ? in_dir(wrong[i].cert) : NULL,
			wrong[i].key ? in_dir(wrong[i].key) : NULL};
		struct why why = {{0}};

		assert_int_not_equal(tls_client_new(&client, &conf, &why), ERR_OK);
		if (strncmp(why.text, dir, strlen(dir)) != 0 || !strstr(why.text, wrong[i].wanted))
			fail_msg("\"%s\", not \"%s\"", why.text, wrong[i].wanted);
		assert_int_equal(ERR_peek_error(), 0);
	}
}

static void a_certificate_of_ours_out_of_its_time_is_told(void **state)
{
	struct tls_client *none = client_of("ns.example", "ca.pem", NULL, NULL, 0), *good = client_of("ns.example", "ca.pem", "client.pem", NULL, 0),
		*late = client_of("ns.example", "ca.pem", "late.pem", NULL, 0);
	uint64_t now = (uint64_t)time(NULL);
	struct why why;

	(void)state;
	assert_true(tls_client_valid(none, now, &why));
	assert_true(tls_client_valid(good, now, &why));
	assert_false(tls_client_valid(late, now, &why));
	assert_non_null(strstr(why.text, "late.pem: the certificate has expired"));
	tls_client_drop(none);
	tls_client_drop(good);
	tls_client_drop(late);
}

static void a_pin_is_read_as_it_is_written_and_in_no_other_way(void **state)
{
	static const char *const wrong[] = {"", "AQIDAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "AQIDAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"AQIDAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=", " QIDAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
		"AQIDAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==",
		"!QIDAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="};
	uint8_t pin[CERT_PIN_SIZE] = {1, 2, 3}, back[CERT_PIN_SIZE];
	char text[CERT_PIN_TEXT];

	(void)state;
	assert_string_equal(cert_pin_text(pin, text), "AQIDAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
	assert_true(cert_pin_parse(text, back));
	assert_memory_equal(pin, back, sizeof pin);
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		assert_false(cert_pin_parse(wrong[i], back));
}

static int group_setup(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < sizeof blob; i++)
		blob[i] = (uint8_t)(i * 7 + i / 251);
	if (!mkdtemp(dir))
		return -1;
	make_files();
	return 0;
}

static int group_teardown(void **state)
{
	(void)state;
	return remove_dir();
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(bytes_arrive_whole_in_both_directions),
		TEST(the_server_is_who_it_must_be_or_it_is_said_what_was_expected_and_what_came),
		TEST(a_wrong_pin_is_shown_beside_the_right_one),
		TEST(what_is_no_tls_is_said),
		TEST(an_end_in_the_handshake_is_said),
		TEST(a_reset_does_not_hide_what_the_server_has_said),
		TEST(nobody_listens),
		TEST(a_session_is_resumed_at_the_same_address_by_the_same_trust),
		TEST(a_certificate_that_was_swapped_is_looked_at),
		TEST(what_the_files_say_makes_it_another),
		TEST(what_is_wrong_with_a_file_is_said),
		TEST(a_certificate_of_ours_out_of_its_time_is_told),
		TEST(a_pin_is_read_as_it_is_written_and_in_no_other_way),
	};

	return cmocka_run_group_tests_name("base/tls where it connects", tests, group_setup, group_teardown);
}
