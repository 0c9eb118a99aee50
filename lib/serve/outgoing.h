/* serve/outgoing: a zone transfer out, message by message, from one held version and its history. Pure but for memory.
 *
 *   AXFR (RFC 5936)               the zone
 *   IXFR (RFC 1995), the client
 *     has it, or a newer one      the SOA alone
 *     is in the history           the steps from there on, those of up to 1 MB together as one, if they are not larger than the zone
 *     is not                      the zone
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
	OUTGOING_FAILED,             /* no memory: close the connection */
};
/* Writes the next message (without its two octets of length) into `out` of 65,535 octets; about 16 KB each, more
 * where one record needs it; signed where the request was, but for a record that would then fit no message: that one goes between
 * two signed ones (RFC 8945 5.3.1). */
enum outgoing_step outgoing_next(struct outgoing *, uint64_t now, uint8_t *out, size_t *length, struct why *);
void outgoing_free(struct outgoing *);
enum outgoing_style { OUTGOING_WHOLE, OUTGOING_STEPS, OUTGOING_SOA };
/* For the log line. `zone` and `key` (NULL: unsigned) are names that live as long as the object. */
struct outgoing_sum {
	const uint8_t *zone, *key;
	uint16_t type;
	enum outgoing_style style;
	struct serial serial;        /* of the version that is sent */
	uint64_t messages, records, bytes;
};
struct outgoing_sum outgoing_sum(const struct outgoing *);

#endif
