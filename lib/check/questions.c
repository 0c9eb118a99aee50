#include "check/questions.h"

#include <string.h>

/* The sample at one name, one step after the other; some give no question. */
enum { STEP_SETS, STEP_BESIDE, STEP_NO_TYPE, STEP_WILD, STEP_WILD_NO_TYPE, STEP_MADE, STEPS };

static const uint8_t made_label[] = {13, 'l', 'o', 'c', 'k', 's', 't', 'e', 'p', '-', 't', 'e', 's', 't'};

void questions_begin(struct questions *q, const struct zone *zone, unsigned sample)
{
	uint64_t names = zone->names - zone->hashed;

	memset(q, 0, sizeof *q);
	q->zone = zone;
	q->stride = sample ? (names + sample - 1) / sample : 0;
	name_copy(zone->apex, q->name);
	q->step = STEPS;
	zone_walk(&q->walk, zone);
}

/* --- walking ----------------------------------------------------------------------------- */

static bool has(const struct zone_node *node, uint16_t type)
{
	struct zone_rrset set;

	return zone_node_rrset(node, type, &set, NULL);
}

/* The node of an NSEC3 record alone is no name that one could ask for. */
static bool is_hashed(const struct zone_node *node)
{
	struct zone_rrsets sets = zone_rrsets(node);
	struct zone_rrset set;

	while (zone_rrsets_next(&sets, &set))
		if (set.type != RR_NSEC3 && set.type != RR_RRSIG)
			return false;
	return true;
}

static unsigned common_labels(const uint8_t *a, const uint8_t *b)
{
	unsigned labels = name_labels(a), others = name_labels(b), n = labels < others ? labels : others;

	while (!name_equal(name_suffix(a, n), name_suffix(b, n)))
		n--;
	return n;
}

/* To the next name that answers for itself. */
static bool go_on(struct questions *q)
{
	const struct zone_node *node;

	name_copy(q->name, q->last);
	while ((node = zone_walk_next(&q->walk, q->name))) {
		if (is_hashed(node) || (q->stopped && name_is_under(q->name, q->stop)))
			continue;
		q->node = node;
		q->sets = zone_rrsets(node);
		q->cut = has(node, RR_NS) && !name_equal(q->name, q->zone->apex);
		q->stopped |= q->cut || has(node, RR_DNAME);
		if (q->cut || has(node, RR_DNAME))
			name_copy(q->name, q->stop);
		q->empty_from = (uint8_t)(common_labels(q->last, q->name) + 1);
		q->empty_to = (uint8_t)name_labels(q->name);
		q->step = STEP_SETS;
		q->names++;
		return true;
	}
	return false;
}

static bool sampled(const struct questions *q, uint64_t *count)
{
	return q->stride && (*count)++ % q->stride == 0;
}

/* --- questions --------------------------------------------------------------------------- */

/* A name on the way to this one that has no records itself: it and what it leads to come one after the other. */
static bool next_empty(struct questions *q, struct question *out)
{
	while (q->empty_from < q->empty_to) {
		unsigned labels = q->empty_from++;

		if (!sampled(q, &q->empty))
			continue;
		name_copy(name_suffix(q->name, labels), out->name);
		out->type = RR_A;
		return true;
	}
	return false;
}

static bool is_asked(const struct questions *q, const struct zone_rrset *set)
{
	if (set->type == RR_RRSIG || set->type == RR_NSEC3)
		return false;
	return !q->cut || set->type == RR_NS || set->type == RR_DS;
}

static bool next_set(struct questions *q, struct question *out)
{
	struct zone_rrset set;

	while (zone_rrsets_next(&q->sets, &set)) {
		if (!is_asked(q, &set))
			continue;
		name_copy(q->name, out->name);
		out->type = set.type;
		return true;
	}
	return false;
}

/* The name with "-0" behind its first label; the apex: a name below it. */
static bool beside(const struct questions *q, struct question *out)
{
	static const uint8_t behind[] = {'-', '0'};
	uint8_t label[64] = {0};
	unsigned length = *q->name;

	out->type = RR_A;
	if (name_equal(q->name, q->zone->apex))
		return name_join(made_label, sizeof made_label, q->name, out->name) != 0;
	if (length + sizeof behind > 63)
		return false;
	label[0] = (uint8_t)(length + sizeof behind);
	memcpy(label + 1, q->name + 1, length);
	memcpy(label + 1 + length, behind, sizeof behind);
	return name_join(label, 1U + label[0], name_parent(q->name), out->name) != 0;
}

/* Each name another one of the usual types, the next that it has not. */
static bool missing_type(const struct questions *q, struct question *out)
{
	static const uint16_t usual[] = {RR_AAAA, RR_TXT, RR_MX, RR_A, RR_SRV, RR_HTTPS};
	enum { USUAL = sizeof usual / sizeof *usual };

	name_copy(q->name, out->name);
	out->type = RR_DS;
	if (q->cut)
		return !has(q->node, RR_DS);
	for (unsigned i = 0; i < USUAL; i++) {
		out->type = usual[(q->names + i) % USUAL];
		if (!has(q->node, out->type))
			return true;
	}
	return false;
}

static bool below(const uint8_t *name, struct question *out)
{
	return name_join(made_label, sizeof made_label, name, out->name) != 0;
}

/* A name that the wildcard stands for, and a type that it has. */
static bool synthesised(const struct questions *q, struct question *out)
{
	struct zone_rrsets sets = zone_rrsets(q->node);
	struct zone_rrset set;

	while (zone_rrsets_next(&sets, &set))
		if (is_asked(q, &set) && set.type != RR_NSEC) {
			out->type = set.type;
			return below(name_parent(q->name), out);
		}
	return false;
}

static bool synthesised_no_type(const struct questions *q, struct question *out)
{
	return missing_type(q, out) && below(name_parent(q->name), out);
}

static bool is_wildcard(const struct questions *q)
{
	return q->name[0] == 1 && q->name[1] == '*' && !q->cut;
}

/* The step's question, if it has one for this name. */
static bool take_step(struct questions *q, unsigned step, bool in_sample, struct question *out)
{
	switch (step) {
	case STEP_BESIDE:
		return in_sample && beside(q, out);
	case STEP_NO_TYPE:
		return in_sample && missing_type(q, out);
	case STEP_WILD:
		return is_wildcard(q) && sampled(q, &q->wild) && synthesised(q, out);
	case STEP_WILD_NO_TYPE:
		return is_wildcard(q) && q->stride && (q->wild - 1) % q->stride == 0 && synthesised_no_type(q, out);
	case STEP_MADE:
		out->type = RR_A;
		return has(q->node, RR_DNAME) && sampled(q, &q->made) && below(q->name, out);
	default:
		return false;
	}
}

bool questions_next(struct questions *q, struct question *out)
{
	for (;;) {
		bool in_sample = q->stride && q->names && (q->names - 1) % q->stride == 0;

		if (q->step == STEPS) {
			if (!go_on(q))
				return false;
			continue;
		}
		if (q->step == STEP_SETS) {
			if (next_empty(q, out) || next_set(q, out))
				return true;
			q->step++;
		}
		while (q->step < STEPS)
			if (take_step(q, q->step++, in_sample, out))
				return true;
	}
}

uint64_t questions_count(const struct zone *zone, unsigned sample)
{
	struct questions q;
	struct question question;
	uint64_t count = 0;

	questions_begin(&q, zone, sample);
	while (questions_next(&q, &question))
		count++;
	return count;
}

