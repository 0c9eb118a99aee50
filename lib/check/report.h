/* check/report: what was found, for people, for monitoring systems and for scripts. The first line of text is that of a monitoring
 * plugin: LOCKSTEP, the status, the worst of it, and performance data behind a "|". A finding's name stands only where it is found,
 * on one line with its server. Nothing but what is in the verdicts is printed: it is printable ASCII.
 */
#ifndef CHECK_REPORT_H
#define CHECK_REPORT_H

#include "check/verdict.h"

#include <jansson.h>
#include <stdio.h>

struct report_zone {
	const char *name;            /* with its final dot; NULL: none is known, and the check failed */
	const struct verdict *verdict;   /* NULL: the check itself failed, and */
	const char *failed;          /* this is why */
};
struct report {
	const struct report_zone *zones; size_t count;
	int64_t now;
	bool quiet;                  /* nothing where all is well; and no table */
	bool color;
};

/* Of all zones. Where a verdict was kept, its age stands beside it, and that of the oldest in the performance data. */
enum finding_status report_status(const struct report *);
void report_text(const struct report *, FILE *);
/* The first line of that, alone. */
void report_first_line(const struct report *, FILE *);
/* A zone's object; the caller's to release. Findings that were lost are one CHECK-INCOMPLETE, of the severity of the worst of them,
 * which says how many they are. NULL: out of memory. */
json_t *report_json_of(const struct report_zone *);
/* The same with all that report_text shows, to keep it; and back from it. NULL: out of memory, or it is no such object. It may have
 * come from elsewhere: texts are made printable, and what is no known finding is passed over. */
json_t *report_kept_of(const struct report_zone *);
/* Of what was found it keeps the first, and the number of the others ("more"). */
void report_kept_cut(json_t *kept, size_t most);
struct verdict *report_verdict_of(const json_t *kept, int64_t age);
/* The object, or the array of several; nothing if quiet and well. False: out of memory. */
bool report_json(const struct report *, FILE *);
/* For what fails before a zone is looked at: the first line alone; and the document, with an object for each of the zones. False: out of memory. */
void report_unknown(FILE *, const char *why);
bool report_unknown_json(FILE *, char *const *zones, size_t count, const char *why);

#endif
