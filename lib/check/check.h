/* check/check: looks at many zones, a few at once, the others in turn: so that each has its time for itself, however long the list is and however
 * many of its nameservers are dead. What is found of a zone goes to the caller, who remembers and judges it. On the event loop's thread.
 */
#ifndef CHECK_CHECK_H
#define CHECK_CHECK_H

#include "check/delegation.h"

struct checks;
struct check;

/* `at_once`: zones; 0: CHECKS_AT_ONCE. Fewer, while the prober's rate in all, which may change, lets no more have answers in time.
 * NULL: out of memory. */
enum { CHECKS_AT_ONCE = 16 };
struct checks *checks_new(struct event_base *, struct prober *, unsigned at_once);
/* What waits or is under way is given up without a call. Not from within a call. NULL is allowed. */
void checks_free(struct checks *);
size_t checks_pending(const struct checks *);        /* waiting and under way */

/* As delegation_start, but it may have to wait first: the time that it may take runs from its turn. `zone` is copied; the settings are borrowed until
 * the call, which may be made with NULL (out of memory). NULL: out of memory, and no call will come. */
struct check *checks_add(struct checks *, const uint8_t *zone, const struct survey_settings *, delegation_done *, void *ctx);
/* It is given up, without a call. NULL is allowed. */
void check_cancel(struct check *);

#endif
