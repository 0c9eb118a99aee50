/* base/tls: TLS for streams, on OpenSSL: who we are where we accept (a certificate, its key, whose clients we believe, the keys of
 * session tickets), whom we believe and what we show where we connect, and one session on one socket. base/conn drives the
 * sessions; the rest belongs to run/.
 * It knows of DNS one word, the ALPN name "dot" (RFC 7858, 9103 7.1). Accepted: TLS 1.3 and 1.2; a client that offers names
 * without it is refused, one that offers none is not. Connecting: TLS 1.3 alone, and the server must take up "dot".
 */
#ifndef BASE_TLS_H
#define BASE_TLS_H

#include "base/cert.h"
#include "base/err.h"
#include "base/net.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --- tickets: sessions are resumed without state on our side (RFC 8446 2.2, 5077) ----------------------------------- */

enum { TLS_TICKET_SECONDS = 7200 };  /* how long a session can be resumed, here and there */

/* The keys that tickets are sealed with, for all threads and for every certificate that follows another. */
struct tls_tickets;
struct tls_tickets *tls_tickets_new(void);                /* NULL: out of memory */
/* A new key seals from now on; the last two still open what they have sealed. Call every TLS_TICKET_SECONDS / 2: a ticket
 * is good for all its time, and after half as long again nobody can open a session that was recorded. Any thread. */
void tls_tickets_rotate(struct tls_tickets *);
/* After the last tls_server that uses it. NULL is allowed. */
void tls_tickets_free(struct tls_tickets *);

/* --- who we are --------------------------------------------------------------------------------------------------------- */

/* Paths of PEM files. `cert`: ours first, then those that lead to the root; `ca`: NULL, or whose certificates clients may
 * show. `ask`: clients are asked for a certificate also without `ca`, and whatever they show is taken: for who knows their pins. */
struct tls_files { const char *cert, *key, *ca; bool ask; };

/* Never changed once made; counted. Any thread. */
struct tls_server;
/* `tickets` (NULL: sessions are not resumed) is borrowed. ERR_IO, ERR_NOTFOUND, ERR_CONF with `why` "PATH: what": a file that cannot be
 * read, holds no certificate or key, has a passphrase; a key that does not belong to the certificate. */
enum err tls_server_new(struct tls_server **, const struct tls_files *, struct tls_tickets *, struct why *);
struct tls_server *tls_server_hold(struct tls_server *);
void tls_server_drop(struct tls_server *);                /* NULL is allowed */
/* False and `why` "PATH: what" if the certificate is not valid at this time: clients that check it will not like it. */
bool tls_server_valid(const struct tls_server *, uint64_t unix_now, struct why *);

/* --- whom we believe ------------------------------------------------------------------------------------------------------ */

/* All that is given must hold (RFC 9103 9.3.1, strict). Neither name nor pins: anybody is believed, for tools that show who it is. */
struct tls_client_conf {
	const char *auth_name;       /* the certificate must be for this name, valid now, and lead to an authority; NULL: that is not looked at */
	const char *ca;              /* PEM file of the authorities; NULL: those of the system */
	const uint8_t (*pins)[CERT_PIN_SIZE];
	size_t pin_count;            /* the key of the server's own certificate must be one of these; 0: any */
	const char *cert, *key;      /* PEM files of what we show where a certificate is asked for; NULL: nothing */
};

/* With the sessions that can be resumed. tls_connect and sessions: one thread; the rest: any. */
struct tls_client;
/* One that was made of the same, in files that say the same, and is still held is given again: then nothing is lost by a reload, and
 * who has the same pointer has the same trust. Errors as those of tls_server_new. */
enum err tls_client_new(struct tls_client **, const struct tls_client_conf *, struct why *);
struct tls_client *tls_client_hold(struct tls_client *);
void tls_client_drop(struct tls_client *);                /* NULL is allowed */
/* As tls_server_valid, of our own certificate; true where there is none. */
bool tls_client_valid(const struct tls_client *, uint64_t unix_now, struct why *);

/* Of one that believes anybody: cert_text of the certificate that came last, as long as the client and until the next; else NULL. */
const char *tls_client_seen(const struct tls_client *);

/* --- one session --------------------------------------------------------------------------------------------------------- */

struct tls;
enum tls_step {
	TLS_DONE,
	TLS_WAIT_READ,               /* nothing more until the socket is readable, */
	TLS_WAIT_WRITE,              /* writable */
	TLS_END,                     /* the peer sends no more (close_notify, or the end of the stream) */
	TLS_FAILED,                  /* tls_reason says what; the peer has been told as far as that is possible */
};
/* On a non-blocking socket that stays the caller's. NULL: out of memory. An idle session keeps no buffers. */
struct tls *tls_accept(struct tls_server *, int fd);
/* The same, on a socket that is connected to `to`. */
struct tls *tls_connect(struct tls_client *, const struct net_addr *to, int fd);
/* Says goodbye (close_notify) if the session stands, without waiting. NULL is allowed. */
void tls_free(struct tls *);
/* `*more`, here and below: after TLS_DONE the session may hold octets already that no poll of the socket would show. */
enum tls_step tls_handshake(struct tls *, bool *more);
/* As much as has come, in as few system calls as records allow: a second one only for the rest of a record. TLS_DONE: `*got`
 * octets, at least one. Takes little more than one record from the socket at a time, whatever records hold. */
enum tls_step tls_read(struct tls *, void *bytes, size_t room, size_t *got, bool *more);
/* TLS_DONE: `*sent` of the octets, at least one, have gone to the kernel. After TLS_WAIT_WRITE the same octets, or more behind
 * them, must be given again. */
enum tls_step tls_write(struct tls *, const void *bytes, size_t n, size_t *sent);
/* After TLS_FAILED: a text that stays as long as the session, with what was expected and what came where it is that; and `*number`: the
 * socket's errno if it was that, else 0. */
const char *tls_reason(const struct tls *, int *number);

/* What is known once the handshake is done. */
struct tls_facts {
	bool version_1_3;            /* else 1.2 */
	bool alpn;                   /* "dot" was agreed on */
	bool client_verified;        /* accepted: it has shown a certificate of `ca`, */
	bool client_wanted;          /* and `ca` was given */
	bool resumed;
};
struct tls_facts tls_facts(const struct tls *);

/* The certificate that the peer has shown, in this session or in the one that it resumes. */
struct tls_shown {
	bool verified;               /* it leads to one of the authorities, and was valid */
	uint8_t pin[CERT_PIN_SIZE];
	const char *names;           /* cert_names */
	const char *text;            /* cert_text */
};
/* After the handshake; stays as long as the session. NULL: it has shown none (or there is no memory). */
const struct tls_shown *tls_shown(struct tls *);

#endif
