/* serve/proof: which NSEC or NSEC3 records an answer needs (RFC 4035 3.1.3, RFC 5155 7.2), put into its authority section with their
 * RRSIGs, each once. On zones that have such a chain; on others, and where the chain has a gap, nothing is put. Pure.
 */
#ifndef SERVE_PROOF_H
#define SERVE_PROOF_H

#include "serve/put.h"
#include "zone/denial.h"

enum { PROOF_RECORDS = 64 };         /* most in one answer; an answer of the longest chain of aliases needs fewer */

struct proof {
	struct msg_writer *writer;
	const struct zone *zone;
	const uint8_t *hashed;               /* a name whose key is known already, compared by its address; or NULL */
	const struct denial_key *key;
	unsigned count;
	const struct zone_node *owner[PROOF_RECORDS];        /* of those put so far */
};

static inline struct proof *proof_init(struct proof *p, struct msg_writer *writer, const struct zone *zone)
{
	p->writer = writer;
	p->zone = zone;
	p->hashed = NULL;
	p->count = 0;
	return p;
}

/* All: false if something does not fit. Names are absolute; `encloser_labels` as in struct zone_hit. */

/* `name` exists, without the type that was asked for; `node` NULL: it is an empty non-terminal. Also: there is no DS at a cut. */
bool proof_no_type(struct proof *, const uint8_t *name, const struct zone_node *node);
/* It does not exist, and neither does a wildcard for it. */
bool proof_no_name(struct proof *, const uint8_t *name, unsigned encloser_labels);
/* It does not exist, so that the wildcard's records were rightly given. */
bool proof_expansion(struct proof *, const uint8_t *name, unsigned encloser_labels);
/* It does not exist, and its wildcard (`node` NULL: an empty non-terminal) does not have the type. */
bool proof_no_type_at_wildcard(struct proof *, const uint8_t *name, unsigned encloser_labels, const struct zone_node *node);

#endif
