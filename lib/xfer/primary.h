/* xfer/primary: what all zones share about one primary: how many transfers and questions run there, who waits for a place, and who
 * sleeps until it answers again. A zone waits only for its own primary and for the total, first come first served. What is known of the
 * single addresses is xfer/peer's. One thread.
 */
#ifndef XFER_PRIMARY_H
#define XFER_PRIMARY_H

#include "xfer/peer.h"

#include <sys/queue.h>

struct primaries;            /* the table, and the total */
struct primary;

struct primary_limits {
	unsigned total, each;        /* at once, on one lane */
};
struct primaries *primaries_new(void);               /* without places: primaries_set_limits gives them */
void primaries_free(struct primaries *);             /* nothing runs, waits or sleeps any more */
void primaries_set_limits(struct primaries *, enum primary_lane, struct primary_limits);
struct peers *primaries_peers(struct primaries *);
/* By its configured name; made if new; stays until primaries_free. NULL: out of memory. */
struct primary *primary_get(struct primaries *, const char *name);
const char *primary_name(const struct primary *);
struct primaries *primary_table(const struct primary *);

/* Why a ticket is called. It may leave, enter again, or be freed therein. */
enum primary_turn {
	TURN_PLACE,          /* it waited, and the place is its own */
	TURN_AGAIN,          /* it waited; it is out of the queue, as the primary may have died: enter again, or go elsewhere */
	TURN_BACK,           /* it slept; it is awake, as the primary answers again */
};
enum primary_ticket_state { TICKET_NONE, TICKET_WAITS, TICKET_HELD, TICKET_LATE, TICKET_SLEEPS };
/* A place for one transfer or question. Zeroed before its first use. */
struct primary_ticket {
	struct primary *primary;
	TAILQ_ENTRY(primary_ticket) link;
	void (*turn)(struct primary_ticket *, enum primary_turn);
	enum primary_lane lane;
	enum primary_ticket_state state;
};
/* True: the place is taken at once. False: the ticket waits. One of which nothing was ever heard on a lane, or nothing since it was lost,
 * has PRIMARY_FIRST places there. */
enum { PRIMARY_FIRST = 2 };
bool primary_enter(struct primary *, enum primary_lane, struct primary_ticket *, void (*turn)(struct primary_ticket *, enum primary_turn));
/* Its zones are pulled from this address: who sleeps here is woken when it is heard, be it under another primary's name. False: out of memory. */
bool primary_is_at(struct primary *, const struct peer *);
/* Until primary_back. */
void primary_sleep(struct primary *, enum primary_lane, struct primary_ticket *, void (*turn)(struct primary_ticket *, enum primary_turn));
/* Who has a place has waited long for an answer: it does not count in the total any more, so that silence holds nobody else up, until
 * primary_answers (the total may be passed by such) or primary_leave. As many as the total may be out of it at once, and 256 more. */
void primary_late(struct primary_ticket *);
void primary_answers(struct primary_ticket *);
/* Gives back the place, leaves the queue, or wakes up. A ticket with state TICKET_NONE is allowed. */
void primary_leave(struct primary_ticket *);
/* Nothing is heard: all who wait are called with TURN_AGAIN. */
void primary_lost(struct primary *, enum primary_lane);
/* The address is heard: all who sleep at primaries that have it are called with TURN_BACK. */
void primary_back(struct primaries *, enum primary_lane, const struct peer *);
size_t primary_sleepers(const struct primary *, enum primary_lane);
size_t primary_waiting(const struct primary *, enum primary_lane);
unsigned primary_running(const struct primary *, enum primary_lane);

#endif
