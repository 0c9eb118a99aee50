/* xfer/primary: what all zones share about one primary: how many transfers and questions run there, and who waits for a place. A zone
 * waits only for its own primary and for the total, first come first served. One thread.
 */
#ifndef XFER_PRIMARY_H
#define XFER_PRIMARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct primaries;            /* the table, and the total */
struct primary;

/* Questions for a serial have places of their own: each takes a socket, and all zones may want to ask at once. */
enum primary_lane { LANE_TRANSFERS, LANE_PROBES, PRIMARY_LANES };
struct primary_limits {
	unsigned total, each;        /* at once, on one lane */
};
struct primaries *primaries_new(void);               /* without places: primaries_set_limits gives them */
void primaries_free(struct primaries *);             /* nothing runs or waits any more */
void primaries_set_limits(struct primaries *, enum primary_lane, struct primary_limits);
/* By its configured name; made if new; stays until primaries_free. NULL: out of memory. */
struct primary *primary_get(struct primaries *, const char *name);
const char *primary_name(const struct primary *);

/* A place for one transfer or question. */
struct primary_ticket {
	struct primary *primary;
	enum primary_lane lane;
	struct primary_ticket *next;
	void (*granted)(void *ctx);
	void *ctx;
	enum { TICKET_NONE, TICKET_WAITS, TICKET_HELD } state;
};
/* True: the place is taken at once. False: `granted` is called when it is (from primary_leave of another). */
bool primary_enter(struct primary *, enum primary_lane, struct primary_ticket *, void (*granted)(void *ctx), void *ctx);
/* Gives back the place, or leaves the queue. A ticket with state TICKET_NONE is allowed. */
void primary_leave(struct primary_ticket *);

#endif
