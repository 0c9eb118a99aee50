/* xfer/primary: what all zones share about one primary: how many transfers run there, who waits for a place, and how it
 * answered last. A zone waits only for its own primary and for the total, first come first served. One thread.
 */
#ifndef XFER_PRIMARY_H
#define XFER_PRIMARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct primaries;            /* the table, and the total */
struct primary;

struct primary_limits {
	unsigned total, each;        /* transfers at once */
};
struct primaries *primaries_new(struct primary_limits);
void primaries_free(struct primaries *);             /* nothing runs or waits any more */
void primaries_set_limits(struct primaries *, struct primary_limits);
/* By its configured name; made if new; stays until primaries_free. NULL: out of memory. */
struct primary *primary_get(struct primaries *, const char *name);
const char *primary_name(const struct primary *);

/* A place for one transfer. */
struct primary_ticket {
	struct primary *primary;
	struct primary_ticket *next;
	void (*granted)(void *ctx);
	void *ctx;
	enum { TICKET_NONE, TICKET_WAITS, TICKET_HELD } state;
};
/* True: the place is taken at once. False: `granted` is called when it is (from primary_leave of another). */
bool primary_enter(struct primary *, struct primary_ticket *, void (*granted)(void *ctx), void *ctx);
/* Gives back the place, or leaves the queue. A ticket with state TICKET_NONE is allowed. */
void primary_leave(struct primary_ticket *);

#endif
