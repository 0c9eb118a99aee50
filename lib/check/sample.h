/* check/sample: asks nameservers for a few RRsets of a version of a zone, picked by chance, and for names that must not exist, and finds what differs
 * (check/questions, check/differ): a server that drops records is found sooner or later, at a price that does not grow with the zone.
 *
 *   servers that have shown the version's serial ──► each question, one after the other ──► the serial again, where something differs
 *
 * A server that shows another serial before or afterwards is said nothing of. On the event loop's thread.
 */
#ifndef CHECK_SAMPLE_H
#define CHECK_SAMPLE_H

#include "check/differ.h"
#include "check/survey.h"

struct event_base;
struct sample;

struct sample_ask {
	struct event_base *base;
	struct prober *prober;
	struct zone *zone;           /* held */
	const struct survey *survey; /* who is asked; borrowed, like all that follows but `ctx`, for the call */
	size_t most;                 /* RRsets; at least 1 */
	uint64_t random;
	const struct question *again; size_t again_count;    /* asked in any case: what differed the last time */
	void (*done)(void *ctx);     /* once, from the loop, never from within sample_start; the sample may be freed there */
	void *ctx;
};
/* NULL: there is nobody to ask, or out of memory; no call comes. */
struct sample *sample_start(const struct sample_ask *);
/* When it is done: ANSWER-DIFF; CHECK-INCOMPLETE where a server has not answered. */
void sample_findings(const struct sample *, struct findings *);
void sample_free(struct sample *);           /* before the prober; NULL is allowed */

#endif
