/* dns/msg: reading and writing DNS messages (RFC 1035 4, RFC 6891). The reader is a
 * bounded cursor that the caller drives record by record; the writer compresses names,
 * counts records, and takes back what does not fit. Host byte order above this line. Pure.
 */
#ifndef DNS_MSG_H
#define DNS_MSG_H

#include "base/buf.h"
#include "dns/name.h"
#include "dns/rr.h"

enum {
	MSG_HEADER = 12,
	MSG_MAX = 65535,             /* what two octets of length can say (RFC 1035 4.2.2) */
	MSG_UDP_MIN = 512,           /* without EDNS (RFC 1035 4.2.1) */
	MSG_UDP_MAX = 1232,          /* what the EDNS of our own messages offers: no fragments at an IPv6 MTU of 1280 */
};

/* The header's flag bits, as in its second 16-bit word. */
enum {
	MSG_QR = 0x8000, MSG_AA = 0x0400, MSG_TC = 0x0200, MSG_RD = 0x0100,
	MSG_RA = 0x0080, MSG_Z = 0x0040, MSG_AD = 0x0020, MSG_CD = 0x0010,
};
enum msg_opcode { OPCODE_QUERY = 0, OPCODE_STATUS = 2, OPCODE_NOTIFY = 4, OPCODE_UPDATE = 5 };
/* Those from 16 on are extended RCODEs (RFC 6891 6.1.3) or errors in a TSIG (RFC 8945 3): 16 means one in EDNS, another there. */
enum msg_rcode {
	RCODE_NOERROR = 0, RCODE_FORMERR = 1, RCODE_SERVFAIL = 2, RCODE_NXDOMAIN = 3, RCODE_NOTIMP = 4, RCODE_REFUSED = 5,
	RCODE_YXDOMAIN = 6, RCODE_NOTAUTH = 9, RCODE_NOTZONE = 10,
	RCODE_BADVERS = 16, RCODE_BADSIG = 16, RCODE_BADKEY = 17, RCODE_BADTIME = 18, RCODE_BADTRUNC = 22, RCODE_BADCOOKIE = 23,
};
const char *msg_rcode_text(unsigned rcode, char out[16]);   /* "SERVFAIL", "RCODE77"; returns out */

struct msg_header {
	uint16_t id, flags;
	uint16_t qdcount, ancount, nscount, arcount;
};
static inline unsigned msg_opcode_of(uint16_t flags) { return flags >> 11 & 15; }
static inline unsigned msg_rcode_of(uint16_t flags) { return flags & 15; }

/* False (and bad) if there are not 12 octets. */
bool msg_read_header(struct rbuf *, struct msg_header *);

struct msg_question {
	uint8_t name[NAME_SIZE];     /* the case kept */
	uint16_t type, class;
};
bool msg_read_question(struct rbuf *, struct msg_question *);

/* One record as it stands: the owner expanded, the RDATA still raw (maybe compressed) and
 * bounded; the cursor is behind the record. To expand the RDATA: rr_read_rdata with a cursor
 * whose `at` is `rdata`. */
struct msg_rr {
	uint8_t owner[NAME_SIZE];
	uint16_t type, class, rdlength;
	uint32_t ttl;
	const uint8_t *start;        /* first octet of the owner, in the message */
	const uint8_t *rdata;
};
bool msg_read_rr(struct rbuf *, struct msg_rr *);
/* The numbers of a SOA record that msg_read_rr has given from this message. False: its RDATA is malformed. */
bool msg_read_soa(const struct rbuf *, const struct msg_rr *, struct rr_soa *);

/* EDNS, from an OPT record (RFC 6891 6.1.2-6.1.4). */
struct msg_edns {
	bool present, do_bit;
	uint8_t version, ext_rcode;
	uint16_t payload;            /* as announced, at least 512 */
	const uint8_t *options;      /* borrowed, bounds checked */
	uint16_t options_length;
};
/* False: the OPT is malformed (owner not root, options that overrun). */
bool msg_edns_of(const struct msg_rr *, struct msg_edns *);

/* The writer. It works in the caller's buffer of `size` octets and never passes `limit`. */
enum { MSG_SLOTS = 512, MSG_POINTER_MAX = 0x3fff };   /* the farthest place that a pointer can name */
struct msg_writer {
	struct wbuf buf;             /* base is the header, end is where the limit is */
	size_t limit;                /* most octets of the message, what is reserved not counted */
	size_t whole, reserved;      /* the limit of msg_start, and what of it is reserved */
	uint16_t count[4];           /* question, answer, authority, additional */
	uint16_t owner;              /* where the last owner can be read, 0: nowhere */
	bool question_known;         /* its suffixes are entered: not before another name is written */
	struct msg_anchor {          /* a suffix that most names of the message share; octets 0: none */
		const uint8_t *name;
		uint8_t octets, labels;
		uint16_t at;
	} anchor;
	uint16_t names;              /* entries in use, no more are made when half are */
	uint32_t epoch;              /* entries of other messages are void */
	struct { uint32_t epoch; uint16_t at, tag; } slot[MSG_SLOTS];  /* suffixes already in the message, by hash */
	uint16_t entered[MSG_SLOTS / 2];   /* the slots in use, oldest first, for taking back */
};
enum msg_section { MSG_QUESTION, MSG_ANSWER, MSG_AUTHORITY, MSG_ADDITIONAL };

/* A writer's memory must be zeroed once (msg_writer_zero), then may be started for any number of messages. */
void msg_writer_zero(struct msg_writer *);
/* Starts a message: 12 octets for the header are left free until msg_finish. `size` is 12 or more. */
void msg_start(struct msg_writer *, void *buffer, size_t size, size_t limit);
/* Octets that `reserve` keeps free at the end (for OPT and TSIG): lowers the limit. */
void msg_reserve(struct msg_writer *, size_t octets);
void msg_unreserve(struct msg_writer *, size_t octets);
/* These return false and leave the message as it was if it would pass the limit. */
bool msg_put_question(struct msg_writer *, const uint8_t *name, uint16_t type, uint16_t class);
/* Says, before any other name is put, that the question's name ends in this one (`octets` and `labels` without the root's), so that it is
 * not looked for label by label again and again. `name` must live until the message is finished. */
void msg_anchor(struct msg_writer *, const uint8_t *name, unsigned octets, unsigned labels);
bool msg_put_rr(struct msg_writer *, enum msg_section, const struct rr *);
/* `count` records as they go on the wire, in `n` octets, their owners given by pointers (C0 0C: the question's name). */
static inline bool msg_put_ready(struct msg_writer *w, enum msg_section section, const void *records, size_t n, uint16_t count)
{
	if (wbuf_left(&w->buf) < n)
		return false;
	wbuf_bytes(&w->buf, records, n);
	w->count[section] = (uint16_t)(w->count[section] + count);
	return true;
}
/* Options: ready-made octets (code, length, data ...). `rcode` is the whole one, of 12 bits: its upper 8 go here,
 * its lower 4 are in the flags that msg_finish writes. */
bool msg_put_opt(struct msg_writer *, uint16_t payload, uint16_t rcode, bool do_bit, const void *options, size_t length);
/* Marks for taking back several records at once. */
struct msg_mark { size_t at; uint16_t count[4]; };
struct msg_mark msg_mark(const struct msg_writer *);
void msg_rollback(struct msg_writer *, struct msg_mark);
/* Writes the header; returns the message's length. */
size_t msg_finish(struct msg_writer *, uint16_t id, uint16_t flags);

#endif
