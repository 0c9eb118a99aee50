#include "base/tls.h"

#include "base/file.h"
#include "base/net.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
	FILE_MAX = 1 << 20,          /* of a PEM file */
	CLIENT_CHAIN_MAX = 32 << 10, /* octets of certificates that a client may send */
	TAKE_MAX = 17 << 10,         /* octets from the socket in one call, a record of the greatest size: records may be without
	                              * content, and what they make us do is not free */
	KEY_UPDATES_MAX = 64,        /* of one session: each is some 20 us for its 27 octets */
	TICKET_KEYS = 3,
};

/* What an OpenSSL call has left behind, the first of it: that is where it began. */
static const char *openssl_text(void)
{
	unsigned long code = ERR_peek_error();
	const char *text = ERR_reason_error_string(code);

	if (text)
		return text;
	return code ? "an error of OpenSSL without a text" : "the peer has closed";
}

/* --- tickets ------------------------------------------------------------------------------------------------ */

struct ticket_key { uint8_t name[16], cipher[32], mac[32]; };

struct tls_tickets {
	pthread_mutex_t lock;
	struct ticket_key key[TICKET_KEYS];      /* the newest first */
};

struct tls_tickets *tls_tickets_new(void)
{
	struct tls_tickets *tickets = malloc(sizeof *tickets);

	if (!tickets)
		return NULL;
	pthread_mutex_init(&tickets->lock, NULL);
	net_random(tickets->key, sizeof tickets->key);
	return tickets;
}

void tls_tickets_rotate(struct tls_tickets *tickets)
{
	struct ticket_key fresh;

	net_random(&fresh, sizeof fresh);
	pthread_mutex_lock(&tickets->lock);
	memmove(&tickets->key[1], &tickets->key[0], (TICKET_KEYS - 1) * sizeof fresh);
	tickets->key[0] = fresh;
	pthread_mutex_unlock(&tickets->lock);
	explicit_bzero(&fresh, sizeof fresh);
}

void tls_tickets_free(struct tls_tickets *tickets)
{
	if (!tickets)
		return;
	pthread_mutex_destroy(&tickets->lock);
	explicit_bzero(tickets, sizeof *tickets);
	free(tickets);
}

/* The key of that name (NULL: the newest) and its age; -1: there is none any more. */
static int ticket_key(struct tls_tickets *tickets, const unsigned char *name, struct ticket_key *key)
{
	int at = 0;

	pthread_mutex_lock(&tickets->lock);
	while (name && at < TICKET_KEYS && memcmp(tickets->key[at].name, name, sizeof key->name) != 0)
		at++;
	if (at < TICKET_KEYS)
		*key = tickets->key[at];
	pthread_mutex_unlock(&tickets->lock);
	return at < TICKET_KEYS ? at : -1;
}

/* --- callbacks of the context --------------------------------------------------------------------------------- */

struct tls_server {
	SSL_CTX *ctx;
	struct tls_tickets *tickets;
	char *cert_path;             /* for texts */
	bool client_wanted;
	atomic_uint holders;
};

static struct tls_server *server_of(SSL *ssl)
{
	return SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
}

static bool ticket_mac(EVP_MAC_CTX *mac, const struct ticket_key *key)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)(uintptr_t)key->mac, sizeof key->mac),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};

	return EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* OpenSSL's words: 1 the key is there, 2 and a new ticket should be given, 0 there is no such key, -1 failed. In TLS 1.3 a ticket
 * is for one use (RFC 8446 C.4), in 1.2 it is renewed with the key. */
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int sealing)
{
	struct ticket_key key;
	int age = ticket_key(server_of(ssl)->tickets, sealing ? NULL : name, &key), result = -1;

	if (age < 0)
		return 0;
	if (sealing) {
		net_random(iv, EVP_MAX_IV_LENGTH);
		memcpy(name, key.name, sizeof key.name);
	}
	if (EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key.cipher, iv, sealing) && ticket_mac(mac, &key))
		result = age > 0 || SSL_version(ssl) >= TLS1_3_VERSION ? 2 : 1;
	explicit_bzero(&key, sizeof key);
	return result;
}

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_length, const unsigned char *offered, unsigned length, void *arg)
{
	static const unsigned char dot[] = {3, 'd', 'o', 't'};
	unsigned char *chosen;

	(void)ssl, (void)arg;
	if (SSL_select_next_proto(&chosen, out_length, dot, sizeof dot, offered, length) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

/* A key with a passphrase is refused: there is nobody to ask. */
static int no_passphrase(char *out, int size, int writing, void *arg)
{
	(void)out, (void)size, (void)writing, (void)arg;
	return -1;
}

/* --- files ------------------------------------------------------------------------------------------------------- */

static enum err read_pem(const char *path, struct file_bytes *file, BIO **bio, struct why *why)
{
	enum err err = file_read(path, FILE_MAX, file, why);

	if (err)
		return err;
	*bio = BIO_new_mem_buf(file->bytes, (int)file->length);
	return *bio ? ERR_OK : err_why(why, ERR_NOMEM, "out of memory");
}

static void release_pem(struct file_bytes *file, BIO *bio)
{
	BIO_free(bio);
	if (file->bytes)
		explicit_bzero(file->bytes, file->length);
	file_bytes_release(file);
}

/* All certificates of a file, in its order; at least one. */
static enum err read_certs(const char *path, STACK_OF(X509) *certs, struct why *why)
{
	struct file_bytes file = {0};
	BIO *bio = NULL;
	enum err err = read_pem(path, &file, &bio, why);
	X509 *cert;

	ERR_clear_error();
	while (!err && (cert = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL)))
		if (!sk_X509_push(certs, cert)) {
			X509_free(cert);
			err = err_why(why, ERR_NOMEM, "out of memory");
		}
	if (!err && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		err = err_why(why, ERR_CONF, "%s: certificate %d is damaged: %s", path, sk_X509_num(certs) + 1, openssl_text());
	if (!err && sk_X509_num(certs) == 0)
		err = err_why(why, ERR_CONF, "%s: there is no certificate in it (PEM)", path);
	ERR_clear_error();
	release_pem(&file, bio);
	return err;
}

static enum err read_private_key(const char *path, EVP_PKEY **key, struct why *why)
{
	struct file_bytes file = {0};
	BIO *bio = NULL;
	enum err err = read_pem(path, &file, &bio, why);

	ERR_clear_error();
	if (!err && !(*key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL))) {
		bool locked = strstr(file.bytes, "ENCRYPTED") != NULL;

		err = err_why(why, ERR_CONF, locked ? "%s: the key has a passphrase" : "%s: there is no private key in it (PEM)", path);
	}
	ERR_clear_error();
	release_pem(&file, bio);
	return err;
}

static enum err use_own(SSL_CTX *ctx, const struct tls_files *files, struct why *why)
{
	STACK_OF(X509) *certs = sk_X509_new_null();
	EVP_PKEY *key = NULL;
	X509 *own = NULL;
	enum err err = certs ? read_certs(files->cert, certs, why) : err_why(why, ERR_NOMEM, "out of memory");

	if (!err)
		err = read_private_key(files->key, &key, why);
	if (!err)
		own = sk_X509_shift(certs);
	if (!err && X509_check_private_key(own, key) != 1)
		err = err_why(why, ERR_CONF, "%s: the key does not belong to the certificate in %s", files->key, files->cert);
	if (!err && SSL_CTX_use_cert_and_key(ctx, own, key, certs, 1) != 1)
		err = err_why(why, ERR_CONF, "%s: it cannot be used: %s", files->cert, openssl_text());
	ERR_clear_error();
	X509_free(own);
	EVP_PKEY_free(key);
	sk_X509_pop_free(certs, X509_free);
	return err;
}

/* Sessions of clients that another set of authorities has vouched for are not resumed. */
static bool tie_sessions(SSL_CTX *ctx, STACK_OF(X509) *certs)
{
	uint8_t sum[EVP_MAX_MD_SIZE], one[EVP_MAX_MD_SIZE];
	unsigned length = 0;
	EVP_MD_CTX *digest = EVP_MD_CTX_new();
	bool good = digest && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1;

	for (int i = 0; good && i < sk_X509_num(certs); i++)
		good = X509_digest(sk_X509_value(certs, i), EVP_sha256(), one, &length) == 1 && EVP_DigestUpdate(digest, one, length) == 1;
	good = good && EVP_DigestFinal_ex(digest, sum, &length) == 1 && SSL_CTX_set_session_id_context(ctx, sum, length) == 1;
	EVP_MD_CTX_free(digest);
	return good;
}

static enum err trust(SSL_CTX *ctx, STACK_OF(X509) *certs, const char *path, struct why *why)
{
	for (int i = 0; i < sk_X509_num(certs); i++) {
		X509 *cert = sk_X509_value(certs, i);

		if (X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), cert) != 1 || SSL_CTX_add_client_CA(ctx, cert) != 1)
			return err_why(why, ERR_CONF, "%s: it cannot be used: %s", path, openssl_text());
	}
	/* A client without a certificate may ask questions: whether it is enough is for the caller. */
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	return ERR_OK;
}

static enum err use_authorities(SSL_CTX *ctx, const char *path, struct why *why)
{
	STACK_OF(X509) *certs = sk_X509_new_null();
	enum err err = certs ? ERR_OK : err_why(why, ERR_NOMEM, "out of memory");

	if (!err && path)
		err = read_certs(path, certs, why);
	if (!err && path)
		err = trust(ctx, certs, path, why);
	if (!err && !tie_sessions(ctx, certs))
		err = err_why(why, ERR_NOMEM, "out of memory");
	ERR_clear_error();
	sk_X509_pop_free(certs, X509_free);
	return err;
}

/* --- the context -------------------------------------------------------------------------------------------------- */

static bool set_up(SSL_CTX *ctx)
{
	SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE |
		SSL_OP_PRIORITIZE_CHACHA | SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_timeout(ctx, TLS_TICKET_SECONDS);
	SSL_CTX_set_max_cert_list(ctx, CLIENT_CHAIN_MAX);
	SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
	return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 && SSL_CTX_set_num_tickets(ctx, 1) == 1 &&
		SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1;
}

static enum err fill(struct tls_server *server, const struct tls_files *files, struct tls_tickets *tickets, struct why *why)
{
	enum err err;

	server->ctx = SSL_CTX_new(TLS_server_method());
	server->cert_path = strdup(files->cert);
	if (!server->ctx || !server->cert_path || !set_up(server->ctx))
		return err_why(why, ERR_NOMEM, "OpenSSL cannot be set up: %s", openssl_text());
	SSL_CTX_set_app_data(server->ctx, server);
	if (tickets)
		SSL_CTX_set_tlsext_ticket_key_evp_cb(server->ctx, on_ticket);
	else
		SSL_CTX_set_num_tickets(server->ctx, 0);
	server->tickets = tickets;
	server->client_wanted = files->ca != NULL;
	err = use_own(server->ctx, files, why);
	return err ? err : use_authorities(server->ctx, files->ca, why);
}

enum err tls_server_new(struct tls_server **out, const struct tls_files *files, struct tls_tickets *tickets, struct why *why)
{
	struct tls_server *server = calloc(1, sizeof *server);
	enum err err;

	if (!server)
		return err_why(why, ERR_NOMEM, "out of memory");
	atomic_init(&server->holders, 1);
	err = fill(server, files, tickets, why);
	if (err)
		tls_server_drop(server);
	else
		*out = server;
	return err;
}

struct tls_server *tls_server_hold(struct tls_server *server)
{
	atomic_fetch_add_explicit(&server->holders, 1, memory_order_relaxed);
	return server;
}

void tls_server_drop(struct tls_server *server)
{
	if (!server || atomic_fetch_sub_explicit(&server->holders, 1, memory_order_acq_rel) != 1)
		return;
	SSL_CTX_free(server->ctx);
	free(server->cert_path);
	free(server);
}

bool tls_server_valid(const struct tls_server *server, uint64_t unix_now, struct why *why)
{
	X509 *cert = SSL_CTX_get0_certificate(server->ctx);
	time_t now = (time_t)unix_now;

	if (X509_cmp_time(X509_get0_notAfter(cert), &now) < 0)
		return err_why(why, ERR_CONF, "%s: the certificate has expired", server->cert_path), false;
	if (X509_cmp_time(X509_get0_notBefore(cert), &now) > 0)
		return err_why(why, ERR_CONF, "%s: the certificate is not valid yet", server->cert_path), false;
	return true;
}

/* --- the socket under a session ----------------------------------------------------------------------------------- */

struct tls {
	SSL *ssl;
	struct tls_server *server;
	int fd;
	int number;                  /* errno of the socket, 0: none */
	const char *reason;          /* of the failure, NULL: none */
	bool eof;                    /* the peer has closed its side */
	unsigned key_updates;        /* that the peer has sent */
	size_t budget;               /* octets that may still be taken from the socket in this call */
};

static bool is_patience(int number)
{
	return number == EAGAIN || number == EWOULDBLOCK || number == EINTR;
}

static int socket_read(BIO *bio, char *out, int room)
{
	struct tls *tls = BIO_get_data(bio);
	size_t n = (size_t)room < tls->budget ? (size_t)room : tls->budget;
	ssize_t got = -1;

	BIO_clear_retry_flags(bio);
	if (n == 0) {
		BIO_set_retry_read(bio);
		return -1;
	}
	got = recv(tls->fd, out, n, 0);
	if (got > 0)
		tls->budget -= (size_t)got;
	else if (got < 0 && is_patience(errno))
		BIO_set_retry_read(bio);
	else if (got < 0)
		tls->number = errno;
	else
		tls->eof = true;
	return (int)got;
}

static int socket_write(BIO *bio, const char *bytes, int n)
{
	struct tls *tls = BIO_get_data(bio);
	ssize_t sent = send(tls->fd, bytes, (size_t)n, MSG_NOSIGNAL);

	BIO_clear_retry_flags(bio);
	if (sent < 0 && is_patience(errno))
		BIO_set_retry_write(bio);
	else if (sent < 0)
		tls->number = errno;
	return (int)sent;
}

static long socket_control(BIO *bio, int what, long number, void *pointer)
{
	const struct tls *tls = BIO_get_data(bio);

	(void)number, (void)pointer;
	return what == BIO_CTRL_FLUSH || (what == BIO_CTRL_EOF && tls->eof);
}

static BIO_METHOD *socket_method;

static void make_method(void)
{
	socket_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket of base/tls");
	if (!socket_method)
		return;
	BIO_meth_set_read(socket_method, socket_read);
	BIO_meth_set_write(socket_method, socket_write);
	BIO_meth_set_ctrl(socket_method, socket_control);
}

static void on_message(int writing, int version, int type, const void *bytes, size_t n, SSL *ssl, void *arg)
{
	struct tls *tls = arg;

	(void)version, (void)ssl;
	if (writing || type != SSL3_RT_HANDSHAKE || n == 0 || *(const uint8_t *)bytes != SSL3_MT_KEY_UPDATE)
		return;
	if (++tls->key_updates > KEY_UPDATES_MAX) {
		tls->reason = "too many key updates";
		tls->budget = 0;
	}
}

static BIO *socket_bio(struct tls *tls)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	BIO *bio;

	pthread_once(&once, make_method);
	bio = socket_method ? BIO_new(socket_method) : NULL;
	if (!bio)
		return NULL;
	BIO_set_data(bio, tls);
	BIO_set_init(bio, 1);
	return bio;
}

/* --- a session --------------------------------------------------------------------------------------------------------- */

struct tls *tls_accept(struct tls_server *server, int fd)
{
	struct tls *tls = calloc(1, sizeof *tls);
	BIO *bio;

	if (!tls)
		return NULL;
	tls->fd = fd;
	tls->server = tls_server_hold(server);
	tls->ssl = SSL_new(server->ctx);
	bio = tls->ssl ? socket_bio(tls) : NULL;
	if (!bio) {
		tls_free(tls);
		return NULL;
	}
	SSL_set_bio(tls->ssl, bio, bio);
	SSL_set_msg_callback(tls->ssl, on_message);
	SSL_set_msg_callback_arg(tls->ssl, tls);
	SSL_set_accept_state(tls->ssl);
	return tls;
}

void tls_free(struct tls *tls)
{
	if (!tls)
		return;
	ERR_clear_error();
	if (tls->ssl && SSL_is_init_finished(tls->ssl) && !tls->reason)   /* no goodbye after an error: RFC 8446 6.2 */
		SSL_shutdown(tls->ssl);
	ERR_clear_error();
	SSL_free(tls->ssl);
	tls_server_drop(tls->server);
	free(tls);
}

/* After an OpenSSL call that has returned `result`, not success. */
static enum tls_step what_now(struct tls *tls, int result)
{
	if (tls->reason)
		return TLS_FAILED;
	switch (SSL_get_error(tls->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		return TLS_WAIT_READ;
	case SSL_ERROR_WANT_WRITE:
		return TLS_WAIT_WRITE;
	case SSL_ERROR_ZERO_RETURN:
		if (SSL_is_init_finished(tls->ssl))
			return TLS_END;
		break;
	}
	tls->reason = openssl_text();
	return TLS_FAILED;
}

static void begin(struct tls *tls)
{
	tls->budget = TAKE_MAX;
	ERR_clear_error();
}

enum tls_step tls_handshake(struct tls *tls, bool *more)
{
	int result;

	begin(tls);
	result = SSL_do_handshake(tls->ssl);
	*more = result == 1 && SSL_has_pending(tls->ssl);
	return result == 1 ? TLS_DONE : what_now(tls, result);
}

enum tls_step tls_read(struct tls *tls, void *bytes, size_t room, size_t *got, bool *more)
{
	enum tls_step step = TLS_DONE;
	size_t n;

	begin(tls);
	*got = 0;
	do {
		int result = SSL_read_ex(tls->ssl, (char *)bytes + *got, room - *got, &n);

		if (result == 1)
			*got += n;
		else
			step = what_now(tls, result);
	} while (step == TLS_DONE && *got < room && SSL_has_pending(tls->ssl));
	/* The end, or a key update that cannot be answered yet, is found again with the next call. */
	*more = step == TLS_DONE ? SSL_has_pending(tls->ssl) : *got > 0 && step != TLS_WAIT_READ;
	return *got > 0 && step != TLS_FAILED ? TLS_DONE : step;
}

enum tls_step tls_write(struct tls *tls, const void *bytes, size_t n, size_t *sent)
{
	int result;

	begin(tls);
	result = SSL_write_ex(tls->ssl, bytes, n, sent);
	return result == 1 ? TLS_DONE : what_now(tls, result);
}

const char *tls_reason(const struct tls *tls, int *number)
{
	*number = tls->number;
	return tls->reason;
}

struct tls_facts tls_facts(const struct tls *tls)
{
	const unsigned char *alpn;
	unsigned alpn_length;

	SSL_get0_alpn_selected(tls->ssl, &alpn, &alpn_length);
	return (struct tls_facts){
		.version_1_3 = SSL_version(tls->ssl) >= TLS1_3_VERSION,
		.alpn = alpn_length > 0,
		.client_wanted = tls->server->client_wanted,
		.client_verified = tls->server->client_wanted && SSL_get0_peer_certificate(tls->ssl) &&
			SSL_get_verify_result(tls->ssl) == X509_V_OK,
		.resumed = SSL_session_reused(tls->ssl),
	};
}
