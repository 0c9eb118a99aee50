/* xfer/stream: the records of an AXFR or IXFR response, in order, into a new version of a zone. The pure heart of a
 * transfer: no I/O, no clock. The table in stream.c is the drawing, the code and the test at once:
 *
 *   START ─SOA─► FIRST_SOA ─SOA of our serial─► DEL ─SOA─► ADD ─SOA─► DEL ... ─leading SOA─► END
 *                    ├─anything else─► AXFR ─leading SOA─► END
 *                    └ the leading SOA has our serial: CURRENT
 *
 * RFC 5936 2.2, RFC 1995 4. Nothing is published here: stream_take gives the version only after END, and the caller
 * calls it only after the last TSIG was verified.
 */
#ifndef XFER_STREAM_H
#define XFER_STREAM_H

#include "zone/build.h"

/* Why a stream is refused. X(name, word for the log, sentence) */
#define STREAM_REASONS(X) \
	X(NONE, "none", "accepted") \
	X(NOT_RESPONSE, "not-response", "not a response to our query (QR, opcode or ID)") \
	X(RCODE, "rcode", "the primary answered with an error") \
	X(TRUNCATED, "truncated", "the message says that it is truncated") \
	X(QUESTION, "question", "the question is not the one that was asked") \
	X(MALFORMED, "malformed", "the message cannot be parsed") \
	X(TRAILING, "trailing", "octets follow the last record") \
	X(NO_SOA, "no-soa", "the first record is not the zone's SOA") \
	X(SOA_OWNER, "soa-owner", "a SOA record's owner is not the zone") \
	X(SOA_DIFFERS, "soa-differs", "the last SOA differs from the first") \
	X(SOA_MIDDLE, "soa-middle", "a SOA record stands in the middle of the zone") \
	X(AFTER_END, "after-end", "records follow the end of the transfer") \
	X(SEQUENCE_START, "sequence-start", "a difference sequence does not begin with the serial before it") \
	X(SEQUENCE_ORDER, "sequence-order", "a difference sequence does not lead forward to the primary's serial") \
	X(SERIAL_BACK, "serial-back", "the primary's serial is older than ours") \
	X(RDATA, "rdata", "malformed RDATA") \
	X(RECORD, "record", "the record cannot be in the zone") \
	X(MISMATCH, "mismatch", "the difference does not fit our version") \
	X(LIMIT, "limit", "a limit was reached") \
	X(CONTENT, "content", "the zone as a whole is not acceptable") \
	X(MEMORY, "memory", "out of memory") \
	X(INCOMPLETE, "incomplete", "the transfer ended before its last SOA")
enum stream_reason {
#define STREAM_ENUM(name, word, text) STREAM_##name,
	STREAM_REASONS(STREAM_ENUM)
#undef STREAM_ENUM
};
/* "sequence-start"; and the sentence. */
const char *stream_reason_name(enum stream_reason);
const char *stream_reason_text(enum stream_reason);
/* Whether an AXFR from the same primary may help where an IXFR was refused for this, be it differences or a whole zone. */
bool stream_reason_wants_axfr(enum stream_reason);

enum stream_state { STREAM_START, STREAM_FIRST_SOA, STREAM_AXFR, STREAM_DEL, STREAM_ADD, STREAM_END, STREAM_CURRENT,
	STREAM_REJECTED, STREAM_STATES };
enum stream_verdict {
	STREAM_MORE,         /* go on */
	STREAM_COMPLETE,     /* the last record was read: END, or CURRENT (nothing newer) */
	STREAM_REJECT,       /* stream_sum says why */
};

struct stream_ask {
	const uint8_t *zone;
	uint16_t id;
	uint16_t type;               /* RR_AXFR or RR_IXFR: what was asked */
	struct zone *base;           /* IXFR: our version, held by the stream meanwhile; AXFR: NULL */
	struct build_limits limits;  /* also on what the transfer brings, duplicates counted */
	uint64_t messages;           /* most of them; 0: no limit */
};
struct stream;

struct stream *stream_new(const struct stream_ask *);    /* NULL: out of memory */
/* One whole message, TSIG already verified or pending; TSIG and OPT records in the additional section are passed over. */
enum stream_verdict stream_message(struct stream *, const uint8_t *message, size_t length);
/* One record (RDATA checked and uncompressed); what stream_message calls for each. */
enum stream_verdict stream_record(struct stream *, const struct rr *);
/* After STREAM_COMPLETE: the new version, held once; NULL if our version is current. */
struct zone *stream_take(struct stream *);
void stream_free(struct stream *);

struct stream_sum {
	enum stream_state state;
	enum stream_reason reason;
	struct why why;              /* the reason in full: message and record number, the record, what is wrong */
	unsigned rcode;              /* of the last message */
	uint64_t messages, records, bytes;   /* so far; bytes of messages */
	bool has_serial;
	struct serial serial;        /* of the leading SOA */
	bool incremental;            /* differences were taken, not a whole zone */
	unsigned sequences;
	uint64_t redundant;          /* records that came though they were there already */
};
const struct stream_sum *stream_sum(const struct stream *);

#endif
