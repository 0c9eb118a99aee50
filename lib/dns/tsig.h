/* dns/tsig: transaction signatures (RFC 8945) on OpenSSL's EVP_MAC: signing and verifying
 * a *sequence* of messages, as client and as server. Pure: the time is a parameter
 * (seconds since 1970), there is no I/O. ldns' TSIG is not used: see t/14x for what it misses.
 */
#ifndef DNS_TSIG_H
#define DNS_TSIG_H

#include "base/buf.h"
#include "base/err.h"
#include "dns/msg.h"
#include "dns/name.h"

enum tsig_algorithm { TSIG_MD5, TSIG_SHA1, TSIG_SHA224, TSIG_SHA256, TSIG_SHA384, TSIG_SHA512, TSIG_ALGORITHMS };

enum { TSIG_MAC_MAX = 64, TSIG_SECRET_MAX = 512, TSIG_FUDGE = 300,
	TSIG_UNSIGNED_MAX = 99,      /* messages in a row without TSIG (RFC 8945 5.3.1) */
	/* owner + fixed part + algorithm name (a reply repeats an unknown one) + fixed + MAC + other: what a TSIG adds at most */
	TSIG_ROOM = NAME_SIZE + 10 + NAME_SIZE + 16 + TSIG_MAC_MAX + 6 };

struct tsig_key {
	uint8_t name[NAME_SIZE];     /* lower case */
	enum tsig_algorithm algorithm;
	uint8_t mac_length;          /* octets sent: the full MAC, or what "hmac-sha256-128" truncates it to;
	                              * also the least that is accepted (RFC 8945 5.2.2.1: never under 10 or half) */
	uint16_t secret_length;
	uint8_t secret[TSIG_SECRET_MAX];
};
/* "hmac-sha256", "hmac-sha512-256" (truncated to 256 bits), "hmac-md5", "hmac-md5.sig-alg.reg.int"; NAME; base64.
 * ERR_SYNTAX; the secret is never in `why`. */
enum err tsig_key_parse(struct tsig_key *, const char *name, const char *algorithm, const char *secret, struct why *);
const char *tsig_algorithm_text(const struct tsig_key *, char out[32]);   /* "hmac-sha512-256" */
/* With the secret. NULL equals only NULL. Not for what a stranger sends: it takes the longer the more is equal. */
bool tsig_key_equal(const struct tsig_key *, const struct tsig_key *);

/* What one message, or a run of them, turned out to be. */
enum tsig_verdict {
	TSIG_OK,             /* signed, and right; in a run, everything before it too */
	TSIG_UNSIGNED,       /* no TSIG: in a run, pending until the next signed message */
	TSIG_FORMERR,        /* TSIG not last, twice, malformed, in another section, class not ANY */
	TSIG_BADKEY, TSIG_BADSIG, TSIG_BADTIME, TSIG_BADTRUNC,   /* RFC 8945 5.2: RCODE_* of the same names */
	TSIG_PEER_ERROR,     /* the peer answers that it refused our signature: peer_error says how */
	TSIG_MISSING,        /* a signature had to be here (first message, or 100th in a row) */
	TSIG_TRAILING,       /* the run ended with unsigned messages */
};
const char *tsig_verdict_text(enum tsig_verdict);   /* "BADSIG", ... */
/* The TSIG error field (RFC 8945 3): 16 is BADSIG here, where it is BADVERS in EDNS. */
static inline const char *tsig_error_text(unsigned error, char out[16])
{
	return error == RCODE_BADSIG ? "BADSIG" : msg_rcode_text(error, out);
}

/* One exchange under one key: a request and its reply of one or many messages. On the stack or inside the owner;
 * zeroed before its first use ({0}), then good for one exchange after another; tsig_release when done. */
struct tsig {
	const struct tsig_key *key;  /* borrowed; NULL: nothing is signed */
	uint8_t mac[TSIG_MAC_MAX];   /* of the message before: the request, then each signed reply */
	uint8_t mac_length;
	uint16_t fudge;
	uint16_t peer_error;         /* TSIG error field of the reply; with BADTIME: */
	uint64_t peer_time;          /* the server's clock (Other Data), 0 if not given */
	uint64_t time_signed;        /* of the last signed message seen */
	unsigned unsigned_run;       /* messages since the last signed one */
	unsigned messages;           /* replies seen or signed so far */
	enum tsig_verdict request;   /* server: how the request was found */
	enum tsig_verdict failed;    /* client: what ended the run, TSIG_OK: nothing has */
	uint64_t now;                /* server: time of checking, for the BADTIME reply */
	uint8_t peer_key[NAME_SIZE], peer_algorithm[NAME_SIZE];   /* server: as the request has them, in lower case */
	void *mac_ctx;               /* OpenSSL's, kept from exchange to exchange */
	enum tsig_algorithm mac_algorithm;   /* that mac_ctx is made for */
};
/* Gives back what it holds; it is as after {0}. */
void tsig_release(struct tsig *);

/* Client. Begins an exchange: appends the TSIG to the finished message in `message` (base..at, room up to end), raises
 * its ARCOUNT, remembers the MAC. A NULL key: the message stays as it is. ERR_NOSPACE, ERR_NOMEM: the same. */
enum err tsig_sign_request(struct tsig *, const struct tsig_key *, struct wbuf *message, uint64_t now);
/* Each reply message in order, first to last; `message` is one whole message and is not changed. OK or UNSIGNED mean "go
 * on"; nothing received since the last OK may be believed yet. The reply's own time must lie within fudge of `now`.
 * A reply from a server that could not verify us (BADKEY, BADSIG: unsigned MAC) is TSIG_PEER_ERROR: the run is over, but
 * it may be forged. Any other verdict ends the run, and is repeated for whatever follows; only while no reply was good may
 * a next one be tried (over UDP, a forged reply can come before the real one).
 * Without a key: UNSIGNED, and FORMERR for a reply with a TSIG.
 * `length`: octets of the message without its TSIG (equal to the whole if there was none). */
enum tsig_verdict tsig_verify_reply(struct tsig *, const uint8_t *message, size_t size, uint64_t now, size_t *length);
/* At the end of the run: TSIG_OK if the last message was signed (or no key is in use), TSIG_TRAILING, TSIG_MISSING, or
 * what ended the run before. */
enum tsig_verdict tsig_finish(const struct tsig *);

/* Server. Begins an exchange: looks for a TSIG in a request; `find` gives the key for a name (lower case) and algorithm
 * name, or NULL (a key for another algorithm is as none). TSIG_UNSIGNED: there is none. On OK, `ts->key` is the key
 * (BADTIME and BADTRUNC leave it there for signing: only the verdict says that the request is good). On BADKEY, BADSIG,
 * BADTIME, BADTRUNC the reply is NOTAUTH and tsig_sign_reply adds the TSIG that RFC 8945 5.3.2 wants. `length` as above. */
typedef const struct tsig_key *tsig_find_key(void *ctx, const uint8_t *name, const uint8_t *algorithm);
enum tsig_verdict tsig_check_request(struct tsig *, tsig_find_key *find, void *ctx, const uint8_t *message, size_t size,
	uint64_t now, size_t *length);
/* Octets that tsig_sign_reply will add to each message; 0: none, as the request had no (well-formed) TSIG. */
size_t tsig_room(const struct tsig *);
/* Signs a finished reply message: first one with the request's MAC, later ones with the MAC before and timers only
 * (RFC 8945 5.3.1). To a request that has no (well-formed) TSIG nothing is added.
 * ERR_NOSPACE, ERR_NOMEM: the message is as it was. */
enum err tsig_sign_reply(struct tsig *, struct wbuf *message, uint64_t now);
/* Leaves a finished reply message as it is: the next signature is over it too. For a message that has no room for one; the others are all
 * signed. ERR_ORDER: it is the first, or TSIG_UNSIGNED_MAX are without one already, so this one must be signed; it must not be the last either.
 * ERR_NOMEM. */
enum err tsig_pass_reply(struct tsig *, const struct wbuf *message);

#endif
