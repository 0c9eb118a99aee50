/* serve/request: one request, taken apart and checked in its form: header, question, EDNS, whether it is signed. What the
 * records of other sections say is looked at only where it is asked for. RFC 1035 4.1, RFC 6891 6.1. Pure.
 * Made by serve/answer for each request.
 */
#ifndef SERVE_REQUEST_H
#define SERVE_REQUEST_H

#include "dns/msg.h"
#include "dns/serial.h"

enum request_verdict {
	REQUEST_OK,
	REQUEST_DROP,        /* shorter than a header, or a response: any reply could start a loop */
	REQUEST_FORMERR,     /* more than one question, a section that is not what its count says, octets after the last record,
	                      * an OPT that is malformed, in a wrong section or not the only one */
	REQUEST_NOTIMP,      /* an opcode other than QUERY and NOTIFY */
	REQUEST_BADVERS,     /* EDNS of a version above 0 */
	REQUEST_QUESTIONLESS,   /* a query without a question, in form otherwise: with a COOKIE it asks for one (RFC 7873 5.4) */
};
struct request {
	uint16_t id, flags;
	bool has_question;           /* `question` is there (it may be so with REQUEST_FORMERR too, and is with REQUEST_OK) */
	bool has_tsig;               /* there is a TSIG record somewhere; dns/tsig judges it */
	struct msg_question question;
	struct msg_edns edns;        /* not present where the message could not be read to its end */
	struct rbuf records[2];      /* the whole message, with the cursor at the answer and the authority section */
	uint16_t counts[2];
};
/* Borrows `bytes`. */
enum request_verdict request_read(struct request *, const uint8_t *bytes, size_t length);

/* The SOA that is the first record of the answer section (NOTIFY, RFC 1996 3.7) or the authority section (IXFR, RFC 1995 3). */
enum request_soa {
	REQUEST_SOA,         /* its serial is in `serial` */
	REQUEST_SOA_NONE,    /* the section is empty or begins with something else, or of another name than the question's */
	REQUEST_SOA_BAD,     /* its RDATA is malformed */
};
enum request_soa request_soa(const struct request *, enum msg_section, struct serial *serial);

#endif
