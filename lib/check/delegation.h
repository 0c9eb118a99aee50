/* check/delegation: finds out about a zone at its resolver, its parent's servers, and its nameservers. Everything is asked as soon as it is known:
 *
 *     resolver: SOA above the zone ─► the parent ─► its NS ─► their addresses ─► each: NS, DS ──┐
 *     given names, providers' names ────────────────────────────────────────────────────────────┤
 *                      ┌──────────────────────────── names that are new ◄────────┐              ▼
 *                      └─► addresses: given, glue, resolved ─► each: SOA (three) │─► names, addresses
 *                                                              └─► if it serves: NS, DNSKEY, ... ─► when all is quiet: SOA once more
 *
 * Whatever the others do, it is done within four times the prober's timeout: what is still out then is a gap. Nothing is followed but
 * aliases, and those are bounded; a referral to elsewhere is an answer that does not help. On the event loop's thread.
 */
#ifndef CHECK_DELEGATION_H
#define CHECK_DELEGATION_H

#include "check/probe.h"
#include "check/survey.h"

struct delegation;

/* Called once, from the loop, never from within delegation_start; the delegation is gone by then. The survey is the callee's (survey_free). */
typedef void delegation_done(void *ctx, struct survey *);
/* The settings are borrowed until then. NULL: out of memory, and no call will come. */
struct delegation *delegation_start(struct event_base *, struct prober *, const uint8_t *zone, const struct survey_settings *,
	delegation_done *, void *ctx);
/* It is given up, without a call. NULL is allowed. */
void delegation_cancel(struct delegation *);

#endif
