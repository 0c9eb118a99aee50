#include "base/tls.h"

#include "base/clock.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
	CHAIN_MAX = 32 << 10,        /* octets of certificates that a peer may send */
	TAKE_MAX = 17 << 10,         /* octets from the socket in one call, a record of the greatest size: records may be without
	                              * content, and what they make us do is not free */
	HANDSHAKE_TAKE = 4 << 10,    /* the same while shaking hands: a hello fits, and records of one octet each cost no more than a
	                              * signature does */
	HANDSHAKE_MAX = 64 << 10,    /* octets that a peer may send until the handshake is done: OpenSSL takes a hello of 128 KB, in as
	                              * many records */
	KEY_UPDATES_MAX = 64,        /* of one session: each is some 20 us for its 27 octets */
	TICKET_KEYS = 3,
	SESSIONS_KEPT = 16,          /* of one tls_client: a ticket is for one use */
	PATH_SHOWN = 80,             /* octets of a path in a text */
};

static const char *openssl_text(void)
{
	const char *text = cert_openssl_text();

	return text ? text : "the peer has closed";
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

/* --- a session's failure ----------------------------------------------------------------------------------------- */

struct tls {
	SSL *ssl;
	struct tls_server *server;   /* one of the two */
	struct tls_client *client;
	struct net_addr to;          /* of a client */
	int fd;
	int number;                  /* errno of the socket, 0: none */
	const char *reason;          /* of the failure, NULL: none */
	char *text;                  /* what it points at, if that is of this session alone */
	bool eof;                    /* the peer has closed its side */
	unsigned key_updates;        /* that the peer has sent */
	unsigned hello_version;      /* in the server's hello, 0: none has come */
	bool asked;                  /* the server has asked for a certificate */
	bool heard;                  /* an octet has come through the session */
	uint64_t verified_at;        /* s since 1970: when the server's certificate was looked at, by this session or by the first before it */
	size_t budget;               /* octets that may still be taken from the socket in this call */
	size_t handshake;            /* octets that it has taken */
	struct tls_shown *shown;     /* NULL: not asked for yet, or there is none */
};

static void say(struct tls *, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The first reason stays. */
static void say(struct tls *tls, const char *format, ...)
{
	va_list args;

	if (tls->reason)
		return;
	va_start(args, format);
	if (vasprintf(&tls->text, format, args) < 0)
		tls->text = NULL;
	va_end(args);
	tls->reason = tls->text ? tls->text : "no memory for the reason";
}

/* The end of it, if it is long. */
static const char *short_path(const char *path)
{
	size_t n = strlen(path);

	return n > PATH_SHOWN ? path + n - PATH_SHOWN : path;
}

/* `name` NULL: it need be for none. `ca` NULL: the system's. */
static void say_unverified(struct tls *tls, X509_STORE_CTX *store, const char *name, const char *ca)
{
	X509 *cert = X509_STORE_CTX_get_current_cert(store);
	int error = X509_STORE_CTX_get_error(store);
	const char *what = X509_verify_cert_error_string(error);
	char text[CERT_TEXT];

	cert_text(cert ? cert : X509_STORE_CTX_get0_cert(store), text);
	switch (error) {
	case X509_V_ERR_HOSTNAME_MISMATCH:
		say(tls, "expected a certificate for \"%s\", got one for %s", name, text);
		break;
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_CERT_NOT_YET_VALID:
		say(tls, "expected a certificate that is valid now, got one for %s: %s", text, what);
		break;
	default:
		say(tls, "expected a certificate of an authority in %s, got one for %s: %s", ca ? short_path(ca) : "the system's store", text, what);
		break;
	}
}

static struct tls *tls_of(X509_STORE_CTX *store)
{
	return SSL_get_app_data(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
}

/* --- callbacks of the server ------------------------------------------------------------------------------------- */

struct tls_server {
	SSL_CTX *ctx;
	struct tls_tickets *tickets;
	char *cert_path, *ca_path;   /* for texts; the second NULL: nobody's certificate is verified */
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

static int on_client_certificate(X509_STORE_CTX *store, void *arg)
{
	const struct tls_server *server = arg;

	if (!server->ca_path || X509_verify_cert(store) > 0)
		return 1;
	say_unverified(tls_of(store), store, NULL, server->ca_path);
	return 0;
}

/* --- files ------------------------------------------------------------------------------------------------------- */

static enum err use_own(SSL_CTX *ctx, const char *cert_path, const char *key_path, struct why *why)
{
	STACK_OF(X509) *certs = sk_X509_new_null();
	EVP_PKEY *key = NULL;
	X509 *own = NULL;
	enum err err = certs ? cert_read_all(cert_path, certs, why) : err_why(why, ERR_NOMEM, "out of memory");

	if (!err)
		err = cert_read_key(key_path, &key, why);
	if (!err)
		own = sk_X509_shift(certs);
	if (!err && X509_check_private_key(own, key) != 1)
		err = err_why(why, ERR_CONF, "%s: the key does not belong to the certificate in %s", key_path, cert_path);
	if (!err && SSL_CTX_use_cert_and_key(ctx, own, key, certs, 1) != 1)
		err = err_why(why, ERR_CONF, "%s: it cannot be used: %s", cert_path, openssl_text());
	ERR_clear_error();
	X509_free(own);
	EVP_PKEY_free(key);
	sk_X509_pop_free(certs, X509_free);
	return err;
}

/* Sessions of clients that another set of authorities has vouched for are not resumed, nor, where clients are asked, those of clients that
 * were not. */
static bool tie_sessions(SSL_CTX *ctx, STACK_OF(X509) *certs, bool ask)
{
	uint8_t sum[EVP_MAX_MD_SIZE], one[EVP_MAX_MD_SIZE];
	unsigned length = 0;
	EVP_MD_CTX *digest = EVP_MD_CTX_new();
	bool good = digest && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1 && EVP_DigestUpdate(digest, &ask, sizeof ask) == 1;

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
	return ERR_OK;
}

static enum err use_authorities(SSL_CTX *ctx, const char *path, bool ask, struct why *why)
{
	STACK_OF(X509) *certs = sk_X509_new_null();
	enum err err = certs ? ERR_OK : err_why(why, ERR_NOMEM, "out of memory");

	if (!err && path)
		err = cert_read_all(path, certs, why);
	if (!err && path)
		err = trust(ctx, certs, path, why);
	if (!err && !tie_sessions(ctx, certs, ask))
		err = err_why(why, ERR_NOMEM, "out of memory");
	ERR_clear_error();
	sk_X509_pop_free(certs, X509_free);
	return err;
}

/* --- the context -------------------------------------------------------------------------------------------------- */

/* Of both sides. */
static void set_up_streams(SSL_CTX *ctx)
{
	SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_timeout(ctx, TLS_TICKET_SECONDS);
	SSL_CTX_set_max_cert_list(ctx, CHAIN_MAX);
}

static bool set_up(SSL_CTX *ctx)
{
	set_up_streams(ctx);
	SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
	return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 && SSL_CTX_set_num_tickets(ctx, 1) == 1 &&
		SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1;
}

static enum err fill(struct tls_server *server, const struct tls_files *files, struct tls_tickets *tickets, struct why *why)
{
	enum err err;

	server->ctx = SSL_CTX_new(TLS_server_method());
	server->cert_path = strdup(files->cert);
	server->ca_path = files->ca ? strdup(files->ca) : NULL;
	if (!server->ctx || !server->cert_path || !server->ca_path != !files->ca || !set_up(server->ctx))
		return err_why(why, ERR_NOMEM, "OpenSSL cannot be set up: %s", openssl_text());
	SSL_CTX_set_app_data(server->ctx, server);
	if (tickets)
		SSL_CTX_set_tlsext_ticket_key_evp_cb(server->ctx, on_ticket);
	else
		SSL_CTX_set_num_tickets(server->ctx, 0);
	server->tickets = tickets;
	SSL_CTX_set_cert_verify_callback(server->ctx, on_client_certificate, server);
	/* A client without a certificate may ask questions: whether it is enough is for the caller. */
	if (files->ca || files->ask)
		SSL_CTX_set_verify(server->ctx, SSL_VERIFY_PEER, NULL);
	err = use_own(server->ctx, files->cert, files->key, why);
	return err ? err : use_authorities(server->ctx, files->ca, files->ask, why);
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
	free(server->ca_path);
	free(server);
}

bool tls_server_valid(const struct tls_server *server, uint64_t unix_now, struct why *why)
{
	return cert_valid(SSL_CTX_get0_certificate(server->ctx), server->cert_path, unix_now, why);
}

/* --- whom we believe ------------------------------------------------------------------------------------------------ */

/* A session that may be resumed. */
struct kept { SSL_SESSION *session; struct net_addr to; uint64_t verified_at; };

struct tls_client {
	struct tls_client *next;
	unsigned holders;            /* under the lock of all */
	uint8_t digest[32];          /* of what it was made of */
	SSL_CTX *ctx;
	char *auth_name;             /* without its final dot */
	char *ca_path, *cert_path;   /* for texts */
	uint8_t (*pins)[CERT_PIN_SIZE];
	size_t pin_count;
	char seen[CERT_TEXT];        /* of one that believes anybody */
	struct kept kept[SESSIONS_KEPT];     /* the oldest first */
	unsigned kept_count;
};

static pthread_mutex_t clients_lock = PTHREAD_MUTEX_INITIALIZER;
static struct tls_client *clients;       /* all that are held */

static bool has_pin(const struct tls_client *client, const uint8_t pin[CERT_PIN_SIZE])
{
	for (size_t i = 0; i < client->pin_count; i++)
		if (memcmp(client->pins[i], pin, CERT_PIN_SIZE) == 0)
			return true;
	return false;
}

static bool check_pin(const struct tls_client *client, struct tls *tls, X509 *cert)
{
	char text[CERT_TEXT], wanted[CERT_PIN_TEXT];
	uint8_t pin[CERT_PIN_SIZE];

	if (client->pin_count == 0 || (cert_pin(cert, pin) && has_pin(client, pin)))
		return true;
	say(tls, "expected the pin %s%s, got a certificate for %s", cert_pin_text(client->pins[0], wanted),
		client->pin_count > 1 ? " (or another one of the list)" : "", cert_text(cert, text));
	return false;
}

static int on_server_certificate(X509_STORE_CTX *store, void *arg)
{
	struct tls_client *client = arg;
	struct tls *tls = tls_of(store);

	if (client->auth_name && X509_verify_cert(store) <= 0) {
		say_unverified(tls, store, client->auth_name, client->ca_path);
		return 0;
	}
	if (!check_pin(client, tls, X509_STORE_CTX_get0_cert(store))) {
		X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
		return 0;
	}
	if (!client->auth_name && client->pin_count == 0)
		cert_text(X509_STORE_CTX_get0_cert(store), client->seen);
	tls->verified_at = clock_unix();
	return 1;
}

/* --- sessions that are resumed */

static void forget_session(struct tls_client *client, unsigned at)
{
	SSL_SESSION_free(client->kept[at].session);
	client->kept_count--;
	memmove(&client->kept[at], &client->kept[at + 1], (client->kept_count - at) * sizeof client->kept[0]);
}

static int on_session(SSL *ssl, SSL_SESSION *session)
{
	struct tls *tls = SSL_get_app_data(ssl);
	struct tls_client *client = tls->client;

	if (!SSL_SESSION_is_resumable(session))
		return 0;
	if (client->kept_count == SESSIONS_KEPT)
		forget_session(client, 0);
	client->kept[client->kept_count++] = (struct kept){session, tls->to, tls->verified_at};
	return 1;
}

/* Nothing that is resumed is looked at again: so only what was looked at not long ago, and is still valid. */
static bool is_fresh(const struct kept *kept, uint64_t now)
{
	X509 *cert = SSL_SESSION_get0_peer(kept->session);

	return now >= kept->verified_at && now - kept->verified_at < TLS_TICKET_SECONDS && cert && cert_valid(cert, "", now, NULL);
}

/* A ticket is for one use (RFC 8446 C.4). */
static void resume(struct tls *tls)
{
	struct tls_client *client = tls->client;
	uint64_t now = clock_unix();

	for (unsigned i = client->kept_count; i-- > 0;) {
		struct kept kept = client->kept[i];
		bool fresh = is_fresh(&kept, now);

		if (fresh && !net_addr_equal(&kept.to, &tls->to))
			continue;
		if (fresh && SSL_set_session(tls->ssl, kept.session) == 1)
			tls->verified_at = kept.verified_at;
		forget_session(client, i);
		if (fresh)
			return;
	}
}

/* --- making one */

static bool digest_text(EVP_MD_CTX *digest, const char *text)
{
	return EVP_DigestUpdate(digest, text ? text : "\1", text ? strlen(text) + 1 : 2) == 1;
}

static bool digest_certs(EVP_MD_CTX *digest, STACK_OF(X509) *certs)
{
	uint8_t one[EVP_MAX_MD_SIZE];
	unsigned length;

	for (int i = 0; i < sk_X509_num(certs); i++)
		if (X509_digest(sk_X509_value(certs, i), EVP_sha256(), one, &length) != 1 || EVP_DigestUpdate(digest, one, length) != 1)
			return false;
	return digest_text(digest, NULL);
}

/* Of all that decides whom it believes and what it shows. */
static bool digest_client(struct tls_client *client, STACK_OF(X509) *authorities)
{
	EVP_MD_CTX *digest = EVP_MD_CTX_new();
	STACK_OF(X509) *chain = NULL;
	X509 *own = SSL_CTX_get0_certificate(client->ctx);
	uint8_t one[EVP_MAX_MD_SIZE] = {0};
	unsigned length = 0;
	bool good = digest && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1 && digest_text(digest, client->auth_name) &&
		digest_text(digest, client->ca_path) && digest_certs(digest, authorities) && digest_text(digest, client->cert_path);

	SSL_CTX_get0_chain_certs(client->ctx, &chain);
	good = good && (!own || X509_digest(own, EVP_sha256(), one, &length) == 1) && EVP_DigestUpdate(digest, one, length) == 1 &&
		digest_certs(digest, chain) && EVP_DigestUpdate(digest, client->pins, client->pin_count * CERT_PIN_SIZE) == 1 &&
		EVP_DigestFinal_ex(digest, client->digest, NULL) == 1;
	EVP_MD_CTX_free(digest);
	return good;
}

static enum err trust_servers(struct tls_client *client, STACK_OF(X509) *authorities, struct why *why)
{
	X509_VERIFY_PARAM *param = SSL_CTX_get0_param(client->ctx);
	enum err err = ERR_OK;

	if (!client->auth_name)
		return ERR_OK;
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (X509_VERIFY_PARAM_set1_host(param, client->auth_name, 0) != 1)
		return err_why(why, ERR_NOMEM, "out of memory");
	if (!client->ca_path)
		return SSL_CTX_set_default_verify_paths(client->ctx) == 1 ? ERR_OK :
			err_why(why, ERR_CONF, "the system's authorities cannot be read: %s", openssl_text());
	err = cert_read_all(client->ca_path, authorities, why);
	/* Whoever stands in the file is believed, whether it signs itself or not. */
	X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
	return err ? err : trust(client->ctx, authorities, client->ca_path, why);
}

static bool set_up_client(SSL_CTX *ctx)
{
	static const unsigned char dot[] = {3, 'd', 'o', 't'};

	set_up_streams(ctx);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ctx, on_session);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	return SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) == 1 && SSL_CTX_set_alpn_protos(ctx, dot, sizeof dot) == 0;
}

static char *keep_text(const char *text, bool *good)
{
	char *copy = text ? strdup(text) : NULL;

	*good = *good && (copy || !text);
	return copy;
}

static bool copy_conf(struct tls_client *client, const struct tls_client_conf *conf)
{
	bool good = true;
	size_t n;

	client->auth_name = keep_text(conf->auth_name, &good);
	client->ca_path = keep_text(conf->ca, &good);
	client->cert_path = keep_text(conf->cert, &good);
	client->pins = calloc(conf->pin_count + 1, sizeof *client->pins);
	if (!good || !client->pins)
		return false;
	n = client->auth_name ? strlen(client->auth_name) : 0;
	if (n > 1 && client->auth_name[n - 1] == '.')
		client->auth_name[n - 1] = 0;
	if (conf->pin_count)
		memcpy(client->pins, conf->pins, conf->pin_count * sizeof *client->pins);
	client->pin_count = conf->pin_count;
	return true;
}

static enum err fill_client(struct tls_client *client, const struct tls_client_conf *conf, struct why *why)
{
	STACK_OF(X509) *authorities = sk_X509_new_null();
	enum err err = ERR_OK;

	client->ctx = SSL_CTX_new(TLS_client_method());
	if (!authorities || !client->ctx || !copy_conf(client, conf) || !set_up_client(client->ctx))
		err = err_why(why, ERR_NOMEM, "OpenSSL cannot be set up: %s", openssl_text());
	if (!err)
		SSL_CTX_set_cert_verify_callback(client->ctx, on_server_certificate, client);
	if (!err && conf->cert)
		err = use_own(client->ctx, conf->cert, conf->key, why);
	if (!err)
		err = trust_servers(client, authorities, why);
	if (!err && !digest_client(client, authorities))
		err = err_why(why, ERR_NOMEM, "out of memory");
	ERR_clear_error();
	sk_X509_pop_free(authorities, X509_free);
	return err;
}

static void free_client(struct tls_client *client)
{
	while (client->kept_count)
		forget_session(client, client->kept_count - 1);
	SSL_CTX_free(client->ctx);
	free(client->auth_name);
	free(client->ca_path);
	free(client->cert_path);
	free(client->pins);
	free(client);
}

/* The one that is held already, or NULL and `client` is among them. */
static struct tls_client *join(struct tls_client *client)
{
	struct tls_client *same;

	pthread_mutex_lock(&clients_lock);
	for (same = clients; same && memcmp(same->digest, client->digest, sizeof client->digest) != 0; same = same->next)
		;
	if (same) {
		same->holders++;
	} else {
		client->next = clients;
		clients = client;
	}
	pthread_mutex_unlock(&clients_lock);
	return same;
}

enum err tls_client_new(struct tls_client **out, const struct tls_client_conf *conf, struct why *why)
{
	struct tls_client *client = calloc(1, sizeof *client), *same = NULL;
	enum err err;

	if (!client)
		return err_why(why, ERR_NOMEM, "out of memory");
	client->holders = 1;
	err = fill_client(client, conf, why);
	if (!err)
		same = join(client);
	if (err || same)
		free_client(client);
	if (!err)
		*out = same ? same : client;
	return err;
}

struct tls_client *tls_client_hold(struct tls_client *client)
{
	pthread_mutex_lock(&clients_lock);
	client->holders++;
	pthread_mutex_unlock(&clients_lock);
	return client;
}

void tls_client_drop(struct tls_client *client)
{
	struct tls_client **at = &clients;
	bool last;

	if (!client)
		return;
	pthread_mutex_lock(&clients_lock);
	last = --client->holders == 0;
	while (last && *at != client)
		at = &(*at)->next;
	if (last)
		*at = client->next;
	pthread_mutex_unlock(&clients_lock);
	if (last)
		free_client(client);
}

bool tls_client_valid(const struct tls_client *client, uint64_t unix_now, struct why *why)
{
	X509 *cert = SSL_CTX_get0_certificate(client->ctx);

	return !cert || cert_valid(cert, client->cert_path, unix_now, why);
}

const char *tls_client_seen(const struct tls_client *client)
{
	return *client->seen ? client->seen : NULL;
}

/* --- what the server has said instead */

static const char *version_text(unsigned version)
{
	switch (version) {
	case TLS1_2_VERSION: return "TLS 1.2";
	case TLS1_1_VERSION: return "TLS 1.1";
	case TLS1_VERSION: return "TLS 1.0";
	case 0: return "an older version";
	default: return "another version";
	}
}

/* An alert (RFC 8446 6) by its number, 0 if it was none. */
static int alert_of(unsigned long code)
{
	int reason = ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_GET_REASON(code) : 0;

	return reason > SSL_AD_REASON_OFFSET ? reason - SSL_AD_REASON_OFFSET : 0;
}

static void say_alert(struct tls *tls, int alert, const char *text)
{
	const char *cert = tls->client->cert_path;

	switch (alert) {
	case SSL3_AD_BAD_CERTIFICATE: case SSL3_AD_UNSUPPORTED_CERTIFICATE: case SSL3_AD_CERTIFICATE_REVOKED: case SSL3_AD_CERTIFICATE_EXPIRED:
	case SSL3_AD_CERTIFICATE_UNKNOWN: case TLS1_AD_UNKNOWN_CA: case TLS1_AD_ACCESS_DENIED: case TLS13_AD_CERTIFICATE_REQUIRED:
		if (cert)
			say(tls, "the server does not accept our certificate %s: %s", short_path(cert), text);
		else
			say(tls, "the server expects a certificate of ours, got none: %s", text);
		break;
	case TLS1_AD_PROTOCOL_VERSION:
		say(tls, "expected TLS 1.3, which the server does not speak: %s", text);
		break;
	case TLS1_AD_NO_APPLICATION_PROTOCOL:
		say(tls, "expected ALPN \"dot\", which the server does not know: %s", text);
		break;
	default:
		say(tls, SSL_is_init_finished(tls->ssl) ? "the server has refused: %s" : "expected TLS 1.3, which the server has refused: %s", text);
		break;
	}
}

/* After a failure of a session with a server. */
static void say_refused(struct tls *tls)
{
	unsigned long code = ERR_peek_error();
	int reason = ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_GET_REASON(code) : 0;
	bool shaken = SSL_is_init_finished(tls->ssl);

	if (alert_of(code))
		say_alert(tls, alert_of(code), openssl_text());
	else if (!code && !shaken)
		say(tls, "expected TLS 1.3, got the end of the connection");
	else if (reason == SSL_R_UNSUPPORTED_PROTOCOL || reason == SSL_R_WRONG_SSL_VERSION)
		say(tls, "expected TLS 1.3, got %s", version_text(tls->hello_version));
	else if (reason == SSL_R_BAD_EXTENSION && !shaken)
		say(tls, "expected ALPN \"dot\", got another one, or an extension that was not asked for");
	else if (!shaken && !tls->hello_version)
		say(tls, "expected TLS 1.3, got something else: %s", openssl_text());
	else
		tls->reason = openssl_text();
}

/* --- the socket under a session ----------------------------------------------------------------------------------- */

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

	const uint8_t *octets = bytes;

	(void)version, (void)ssl;
	if (writing || type != SSL3_RT_HANDSHAKE || n == 0)
		return;
	if (*octets == SSL3_MT_SERVER_HELLO && n >= 6)
		tls->hello_version = (unsigned)octets[4] << 8 | octets[5];
	tls->asked |= *octets == SSL3_MT_CERTIFICATE_REQUEST;
	if (*octets == SSL3_MT_KEY_UPDATE && ++tls->key_updates > KEY_UPDATES_MAX) {
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

static struct tls *tls_new(SSL_CTX *ctx, int fd)
{
	struct tls *tls = calloc(1, sizeof *tls);
	BIO *bio;

	if (!tls)
		return NULL;
	tls->fd = fd;
	tls->ssl = SSL_new(ctx);
	bio = tls->ssl ? socket_bio(tls) : NULL;
	if (!bio) {
		tls_free(tls);
		return NULL;
	}
	SSL_set_bio(tls->ssl, bio, bio);
	SSL_set_app_data(tls->ssl, tls);
	SSL_set_msg_callback(tls->ssl, on_message);
	SSL_set_msg_callback_arg(tls->ssl, tls);
	return tls;
}

struct tls *tls_accept(struct tls_server *server, int fd)
{
	struct tls *tls = tls_new(server->ctx, fd);

	if (!tls)
		return NULL;
	tls->server = tls_server_hold(server);
	SSL_set_accept_state(tls->ssl);
	return tls;
}

struct tls *tls_connect(struct tls_client *client, const struct net_addr *to, int fd)
{
	struct tls *tls = tls_new(client->ctx, fd);

	if (!tls)
		return NULL;
	tls->client = tls_client_hold(client);
	tls->to = *to;
	if (client->auth_name)
		SSL_set_tlsext_host_name(tls->ssl, client->auth_name);
	SSL_set_connect_state(tls->ssl);
	resume(tls);
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
	tls_client_drop(tls->client);
	if (tls->shown)
		free((char *)(uintptr_t)tls->shown->names);
	free(tls->shown);
	free(tls->text);
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
		if (tls->server || SSL_is_init_finished(tls->ssl))
			return TLS_END;
		break;
	}
	if (tls->client)
		say_refused(tls);
	else
		tls->reason = openssl_text();
	return TLS_FAILED;
}

static void begin(struct tls *tls, size_t take)
{
	tls->budget = take;
	ERR_clear_error();
}

/* RFC 9103 7.1: what is spoken must be DNS. */
static bool has_alpn(struct tls *tls)
{
	const unsigned char *alpn;
	unsigned length;

	SSL_get0_alpn_selected(tls->ssl, &alpn, &length);
	if (length == 3 && memcmp(alpn, "dot", 3) == 0)
		return true;
	say(tls, "expected ALPN \"dot\", got none");
	return false;
}

enum tls_step tls_handshake(struct tls *tls, bool *more)
{
	int result;

	begin(tls, HANDSHAKE_TAKE);
	*more = false;
	result = SSL_do_handshake(tls->ssl);
	tls->handshake += HANDSHAKE_TAKE - tls->budget;
	if (result != 1 && !tls->reason && tls->handshake > HANDSHAKE_MAX)
		tls->reason = "the handshake is too long";
	if (result != 1)
		return what_now(tls, result);
	if (tls->client && !has_alpn(tls))
		return TLS_FAILED;
	*more = SSL_has_pending(tls->ssl);
	return TLS_DONE;
}

/* It has asked for a certificate, and has said nothing since. */
static bool wants_ours(const struct tls *tls)
{
	return tls->client && !tls->heard && tls->asked && !tls->client->cert_path;
}

/* After a server's reset: what it had said before may still be there, and tells more. */
static void say_reset(struct tls *tls)
{
	int number = tls->number;
	unsigned long code;
	size_t n;
	char octet;

	if (!tls->client || (number != ECONNRESET && number != EPIPE))
		return;
	tls->reason = NULL;
	begin(tls, TAKE_MAX);
	code = SSL_peek_ex(tls->ssl, &octet, 1, &n) == 1 ? 0 : ERR_peek_error();
	if (alert_of(code))
		say_alert(tls, alert_of(code), openssl_text());
	else if (wants_ours(tls))
		say(tls, "the server expects a certificate of ours, got none: it has reset the connection");
	tls->number = tls->reason ? 0 : number;
}

enum tls_step tls_read(struct tls *tls, void *bytes, size_t room, size_t *got, bool *more)
{
	enum tls_step step = TLS_DONE;
	size_t n;

	begin(tls, TAKE_MAX);
	*got = 0;
	do {
		int result = SSL_read_ex(tls->ssl, (char *)bytes + *got, room - *got, &n);

		if (result == 1)
			*got += n;
		else
			step = what_now(tls, result);
	} while (step == TLS_DONE && *got < room && SSL_has_pending(tls->ssl));
	tls->heard |= *got > 0;
	if (step == TLS_END && wants_ours(tls)) {
		say(tls, "the server expects a certificate of ours, got none: it has closed");
		return TLS_FAILED;
	}
	if (step == TLS_FAILED)
		say_reset(tls);
	/* The end, or a key update that cannot be answered yet, is found again with the next call. */
	*more = step == TLS_DONE ? SSL_has_pending(tls->ssl) : *got > 0 && step != TLS_WAIT_READ;
	return *got > 0 && step != TLS_FAILED ? TLS_DONE : step;
}

enum tls_step tls_write(struct tls *tls, const void *bytes, size_t n, size_t *sent)
{
	enum tls_step step;
	int result;

	begin(tls, TAKE_MAX);
	result = SSL_write_ex(tls->ssl, bytes, n, sent);
	step = result == 1 ? TLS_DONE : what_now(tls, result);
	if (step == TLS_FAILED)
		say_reset(tls);
	return step;
}

const char *tls_reason(const struct tls *tls, int *number)
{
	*number = tls->number;
	return tls->reason;
}

/* A session that is resumed may have outlived its certificate. */
static bool is_verified(const struct tls *tls, X509 *cert)
{
	if (tls->client)
		return tls->client->auth_name != NULL;
	return tls->server->ca_path && SSL_get_verify_result(tls->ssl) == X509_V_OK && cert_valid(cert, "", clock_unix(), NULL);
}

struct tls_facts tls_facts(const struct tls *tls)
{
	X509 *cert = SSL_get0_peer_certificate(tls->ssl);
	const unsigned char *alpn;
	unsigned alpn_length;

	SSL_get0_alpn_selected(tls->ssl, &alpn, &alpn_length);
	return (struct tls_facts){
		.version_1_3 = SSL_version(tls->ssl) >= TLS1_3_VERSION,
		.alpn = alpn_length > 0,
		.client_wanted = tls->server && tls->server->ca_path,
		.client_verified = tls->server && cert && is_verified(tls, cert),
		.resumed = SSL_session_reused(tls->ssl),
	};
}

const struct tls_shown *tls_shown(struct tls *tls)
{
	X509 *cert = SSL_get0_peer_certificate(tls->ssl);
	struct tls_shown *shown = tls->shown;
	char *text;

	if (shown || !cert)
		return shown;
	shown = malloc(sizeof *shown + CERT_TEXT);
	if (!shown)
		return NULL;
	text = (char *)(shown + 1);
	*shown = (struct tls_shown){.verified = is_verified(tls, cert), .names = cert_names(cert), .text = text};
	if (!shown->names || !cert_pin(cert, shown->pin)) {
		free((char *)(uintptr_t)shown->names);
		free(shown);
		return NULL;
	}
	cert_text(cert, text);
	tls->shown = shown;
	return shown;
}
