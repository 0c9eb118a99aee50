/* serve/outgoing: a zone transfer out (RFC 5936; IXFR is answered with the whole zone, or with the SOA alone if the
 * client is current, RFC 1995 4), message by message, from one held version. Pure but for memory.
 */
#ifndef SERVE_OUTGOING_H
#define SERVE_OUTGOING_H

#include "serve/answer.h"

struct outgoing;

/* Takes over what `transfer` holds, also when it fails (NULL: out of memory). Between the same store_enter and store_leave as
 * `answer`: the key is copied from settings that may go afterwards. */
struct outgoing *outgoing_new(struct answer_transfer *transfer);
enum outgoing_step {
	OUTGOING_MESSAGE,            /* one message written, more follow */
	OUTGOING_LAST,               /* one message written, the last */
	OUTGOING_FAILED,             /* a record that fits no message, or no memory: close the connection */
};
/* Writes the next message (without its two octets of length) into `out` of 65,535 octets; about 16 KB each, more
 * where one record needs it; signed where the request was. */
enum outgoing_step outgoing_next(struct outgoing *, uint64_t now, uint8_t *out, size_t *length, struct why *);
void outgoing_free(struct outgoing *);
/* For the log line. `zone` and `key` (NULL: unsigned) are names that live as long as the object. */
struct outgoing_sum {
	const uint8_t *zone, *key;
	uint16_t type;
	struct serial serial;        /* of the version that is sent */
	uint64_t messages, records, bytes;
};
struct outgoing_sum outgoing_sum(const struct outgoing *);

#endif
