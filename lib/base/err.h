/* base/err: the errors of the whole program, one table; and `struct why`, the
 * sentence that goes with one. A low layer: it knows no DNS and does no I/O.
 * Built by: everybody who fails. Read by: logs, the control socket.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stddef.h>

/* X(name, text): the enum and err_text() come from here. */
#define ERR_TABLE(X) \
	X(OK, "done") \
	X(NOMEM, "out of memory") \
	X(IO, "an input or output error")          /* a system call failed */ \
	X(NOSPACE, "no space left")                /* a buffer, or the disk, is full */ \
	X(LIMIT, "a limit was reached")            /* a configured or built-in bound */ \
	X(FORMAT, "malformed DNS data")            /* wire data that no RFC allows */ \
	X(SYNTAX, "malformed text")                /* zone file, name, address, time */ \
	X(CONF, "a configuration error") \
	X(NOTFOUND, "not found") \
	X(EXISTS, "exists already") \
	X(ORDER, "not possible now")               /* the order of calls, or of events; ERR_STATE is OpenSSL's */ \
	X(REFUSED, "refused")                      /* by policy: ours or the peer's */ \
	X(TIMEOUT, "timed out") \
	X(SLOW, "too slow")                        /* it goes on, but not as fast as it must */ \
	X(CLOSED, "the connection was closed") \
	X(NETWORK, "a network error") \
	X(TSIG, "TSIG verification failed") \
	X(TLS, "TLS failed")                       /* no session with this peer, or its end by an error */ \
	X(ZONE, "the zone's content is not acceptable") \
	X(MISMATCH, "the change does not fit the version it is for") \
	X(DAMAGED, "stored data is damaged")

enum err {
#define ERR_ENUM(name, text) ERR_##name,
	ERR_TABLE(ERR_ENUM)
#undef ERR_ENUM
	ERR_COUNT
};

/* Never NULL. */
const char *err_text(enum err);

#define WHY_MAX 400

/* What exactly was wrong, one line without its end, already escaped: it may be
 * printed anywhere. Empty if nobody said. Lives where the caller puts it. */
struct why {
	char text[WHY_MAX];
};

/* Writes the sentence (cut at WHY_MAX) and returns `err`, so that one line both
 * says and returns: return err_why(why, ERR_SYNTAX, "line %u: ...", n);
 * `why` may be NULL. Control characters in the result become '?'. */
enum err err_why(struct why *why, enum err err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The sentence if there is one, else err_text(err). */
const char *err_say(const struct why *why, enum err err);

#endif
