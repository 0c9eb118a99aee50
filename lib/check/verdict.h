/* check/verdict: judges a survey: what of it is a finding, and the row of each address of each nameserver. Pure: what is
 * remembered, the settings and the time are parameters. One short function for each family of findings: delegation, agreement,
 * serials, DNSSEC, diversity, caution; each in a file of its own where it is long.
 */
#ifndef CHECK_VERDICT_H
#define CHECK_VERDICT_H

#include "base/arena.h"
#include "check/finding.h"
#include "check/memory.h"
#include "check/settings.h"
#include "dns/serial.h"

struct survey;

enum verdict_answer { ANSWER_UNASKED, ANSWER_GOOD, ANSWER_BAD };

/* An address of a nameserver. Texts are the verdict's own. */
struct verdict_row {
	const char *name;            /* with its final dot */
	const char *address;         /* without the port where it is 53 */
	const char *provider;        /* NULL: none */
	bool shows_serial;
	struct serial serial;
	int64_t lag;                 /* seconds, see check/memory; 0 where no serial is shown */
	int64_t rtt_us;              /* of the first answer over UDP; -1: none */
	const char *says;            /* what the SOA's question was answered with: "NOERROR", "REFUSED", "timed out" */
	enum verdict_answer udp, tcp, edns;
	unsigned ns_set;             /* which of the different sets it shows: 1 for the one shown most, 2, ...; 0: none */
	const char *ns_names;        /* those in it, with spaces between; NULL: none */
};

struct verdict {
	struct arena arena;
	const char *zone;            /* with its final dot */
	struct findings *findings;
	bool serial_known;
	struct serial serial;        /* the newest that is shown anywhere, or served by who asks */
	int64_t serial_since;        /* when it was first seen */
	struct verdict_row *rows; size_t row_count;      /* by name and address */
	bool kept;                   /* it is not of now, but came from report_verdict_of, */
	int64_t age;                 /* and so many seconds old */
};

/* Enters the serials in `memory` (and settles it), then judges. NULL: out of memory. Afterwards survey and memory may go. */
struct verdict *verdict_of(const struct survey *, struct memory *, const struct verdict_settings *, int64_t now);
void verdict_free(struct verdict *);         /* NULL is allowed */

#endif
