/* serve/crowd: the connections of one answering thread by whose they are, and which of them gives way when there are too many.
 * Whose: an IPv4 address, or an IPv6 prefix of 56 bits, which is what one customer is given (RFC 6177). There is no fixed share:
 * one client may have all places that nobody else wants, and loses them one by one to whoever comes.
 * Pure but for memory. Built and read by serve/tcp.
 */
#ifndef SERVE_CROWD_H
#define SERVE_CROWD_H

#include "base/net.h"

#include <sys/queue.h>

struct crowd;
struct crowd_group;

/* One connection, within the caller's object; its fields are this module's. */
struct crowd_member {
	struct crowd_group *group;
	TAILQ_ENTRY(crowd_member) in_group, in_all;
	bool busy;
};

struct crowd *crowd_new(void);               /* NULL: out of memory */
void crowd_free(struct crowd *);             /* without members. NULL is allowed */
unsigned crowd_count(const struct crowd *);

/* ERR_NOMEM: it is no member. */
enum err crowd_join(struct crowd *, struct crowd_member *, const struct net_addr *);
void crowd_leave(struct crowd *, struct crowd_member *);
/* It has asked something: of its like it is the last to give way. Cheap. */
void crowd_touch(struct crowd *, struct crowd_member *);
/* While busy (a transfer) it gives way only to another client's, and only if its group has more than a quarter of all and
 * nothing that is not busy. */
void crowd_busy(struct crowd *, struct crowd_member *, bool busy);

enum crowd_verdict {
	CROWD_NONE,                  /* nobody: all are busy, and no group has too many */
	CROWD_OLDEST,                /* the one that has not asked for longest */
	CROWD_LARGEST,               /* the same, of the group that has most, where somebody else wants a place */
};
/* Who is to give way for a connection of `newcomer` (NULL: of somebody); it stays a member. */
enum crowd_verdict crowd_weakest(const struct crowd *, const struct net_addr *newcomer, struct crowd_member **);

#endif
