/* check/questions: what to ask a nameserver to see whether it serves a version of a zone: every RRset that it answers with, in canonical
 * order, and between them a sample of what is not there, or only seems to be:
 *
 *   a name beside one that exists, a type that a name has not (at a zone cut: DS), an empty non-terminal, a name that a wildcard or a
 *   DNAME makes
 *
 * Not asked for: what lies below zone cuts and DNAMEs, NSEC3 records, and signatures, which come with what they sign. What the answer must
 * be is check/compare's part. Memory does not grow with the zone, which must be held meanwhile. Pure.
 */
#ifndef CHECK_QUESTIONS_H
#define CHECK_QUESTIONS_H

#include "zone/zone.h"

struct question {
	uint8_t name[NAME_SIZE];
	uint16_t type;
};

struct questions {
	const struct zone *zone;
	struct zone_walk walk;
	uint64_t stride;             /* one of so many names is taken into the sample; 0: there is none */
	uint64_t names, empty, wild, made;     /* come by so far */
	uint8_t name[NAME_SIZE], last[NAME_SIZE];      /* where the walk is, and was before */
	uint8_t stop[NAME_SIZE];     /* the last zone cut or DNAME; empty names: none yet */
	bool stopped;
	const struct zone_node *node;
	struct zone_rrsets sets;     /* those of the node that are still to come */
	bool cut;                    /* the node is a zone cut */
	uint8_t empty_from, empty_to;        /* labels of the empty non-terminals that are above it, still to come */
	unsigned step;               /* of the sample at this name */
};

/* `sample`: about how many of each kind; 0: RRsets alone. */
void questions_begin(struct questions *, const struct zone *, unsigned sample);
/* False: that was all. */
bool questions_next(struct questions *, struct question *);
/* A random sample instead: `most` RRsets at most, each once (of a small zone all), and behind them QUESTIONS_ABSENT at most for
 * names that nobody can have asked for before. `out` has room for all; returns how many. The time does not grow with the zone.
 * `random` is where chance comes from. */
enum { QUESTIONS_ABSENT = 4 };
size_t questions_sample(const struct zone *, size_t most, uint64_t random, struct question *out);
/* How many there are. */
uint64_t questions_count(const struct zone *, unsigned sample);

#endif
