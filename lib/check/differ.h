/* check/differ: asks nameservers all questions of a version of a zone (check/questions), each at its own pace, and tells what differs
 * (check/compare) as it comes. The first question to each is for the SOA: who does not answer it, or not for the zone, is asked no more.
 * On the thread of the prober's loop. What is held does not grow with the zone.
 *
 *   SOA ──► no answer, an error: over
 *    └────► questions, DIFFER_UNDER_WAY at a time ──► none left: over
 *                └──► DIFFER_SILENCE of them in a row without an answer: over
 */
#ifndef CHECK_DIFFER_H
#define CHECK_DIFFER_H

#include "check/compare.h"
#include "check/probe.h"

enum {
	DIFFER_UNDER_WAY = 32,
	DIFFER_SILENCE = 16, DIFFER_SILENCE_ONLY = 2,
	DIFFER_SAMPLE = 500,         /* a good number of each kind of question about what is not there */
};

enum differ_state {
	DIFFER_ASKING,
	DIFFER_SILENT,               /* it has not answered the first question */
	DIFFER_LAME,                 /* it has answered with an error, or without the SOA record */
	DIFFER_LOST,                 /* it answers no more */
	DIFFER_MOVED,                /* of `only`: before, or afterwards, it showed another serial than the zone's, and what differs says nothing */
	DIFFER_STOPPED,              /* differ_stop came before the end */
	DIFFER_DONE,
};
struct differ_row {              /* a server */
	enum differ_state state;
	struct net_addr address;
	bool authoritative;          /* the first answer had the AA bit */
	bool has_serial;
	uint32_t serial, rtt_us;     /* of the first answer */
	uint64_t asked, answered, differences;
	char said[64];               /* DIFFER_SILENT, DIFFER_LAME: what came, in a word or a line; DIFFER_LOST: the last of it */
};

struct differ_ask {
	struct prober *prober;
	struct zone *zone;           /* held */
	const struct net_addr *servers; size_t server_count;
	unsigned sample;
	/* These questions alone, one after the other, at servers with the zone's serial; after two without an answer no more.
	 * Borrowed. NULL: all of the zone. */
	const struct question *only; size_t only_count;
	/* `server`: index. The difference lives as long as the call. */
	void (*differs)(void *ctx, size_t server, const struct difference *);
	void (*done)(void *ctx);     /* all are over; at most once; not from differ_start or differ_stop */
	void *ctx;
};

struct differ;
/* NULL: out of memory. */
struct differ *differ_start(const struct differ_ask *);
/* All are over; where that is so at once, `done` is not called. */
bool differ_over(const struct differ *);
/* Asks nothing more, and gives up what is under way; no call follows. The rows stay. */
void differ_stop(struct differ *);
void differ_free(struct differ *);            /* before the prober; NULL is allowed */
const struct differ_row *differ_rows(const struct differ *);
/* Questions to all servers that are still worth asking, and those that are answered or given up. */
void differ_progress(const struct differ *, uint64_t *done, uint64_t *all);

#endif
