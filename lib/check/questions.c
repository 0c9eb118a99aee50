#include "check/questions.h"

#include <string.h>

enum {
	SMALL = 10000,               /* names: of so many each is looked at */
	SKIP = 64,                   /* names, since some are likelier than others to be where a walk begins */
};

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


/* --- a random sample ----------------------------------------------------------------------- */

/* splitmix64: chance for looking here and there, not for secrets. */
static uint64_t chance(uint64_t *random)
{
	uint64_t z = *random += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

/* Each RRset is as likely as any other. */
static size_t sample_all(const struct zone *zone, size_t most, uint64_t *random, struct question *out)
{
	struct questions q;
	struct question next;
	uint64_t seen = 0;

	questions_begin(&q, zone, 0);
	while (questions_next(&q, &next)) {
		uint64_t at = seen < most ? seen : chance(random) % (seen + 1);

		seen++;
		if (at < most)
			out[at] = next;
	}
	return seen < most ? (size_t)seen : most;
}

/* One of the name's RRsets, if it answers for itself. */
static bool one_set(const struct zone *zone, const uint8_t *name, const struct zone_node *node, uint64_t random, struct question *out)
{
	struct questions q = {.zone = zone};
	struct zone_hit hit;
	unsigned sets = 0;

	zone_find(zone, name, &hit);
	if (is_hashed(node) || !hit.at_name || (hit.found != ZONE_NODE && hit.found != ZONE_CUT))
		return false;
	name_copy(name, q.name);
	q.cut = hit.found == ZONE_CUT;
	for (q.sets = zone_rrsets(node); next_set(&q, out); sets++)
		;
	if (!sets)
		return false;
	q.sets = zone_rrsets(node);
	for (unsigned skip = (unsigned)(random % sets); next_set(&q, out) && skip; skip--)
		;
	return true;
}

static bool is_among(const struct question *question, const struct question *these, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (these[i].type == question->type && name_equal(these[i].name, question->name))
			return true;
	return false;
}

static size_t sample_some(const struct zone *zone, size_t most, uint64_t *random, struct question *out)
{
	size_t count = 0;

	for (size_t tries = 2 * most + 20; tries && count < most; tries--) {
		unsigned skip = (unsigned)(chance(random) % SKIP);
		const struct zone_node *node;
		uint8_t name[NAME_SIZE];
		struct zone_walk walk;

		zone_walk_from(&walk, zone, chance(random));
		while ((node = zone_walk_next(&walk, name)) && skip)
			skip--;
		if (node && one_set(zone, name, node, chance(random), &out[count]) && !is_among(&out[count], out, count))
			count++;
	}
	return count;
}

/* Beside a name of the sample; at the apex below it. */
static bool absent(const struct zone *zone, const uint8_t *name, uint64_t random, struct question *out)
{
	uint8_t label[1 + 13] = {13, 'x'};
	struct zone_hit hit;

	for (unsigned i = 2; i < sizeof label; i++, random /= 26)
		label[i] = (uint8_t)('a' + random % 26);
	out->type = RR_A;
	if (!name_join(label, sizeof label, name_equal(name, zone->apex) ? name : name_parent(name), out->name))
		return false;
	zone_find(zone, out->name, &hit);
	return hit.found == ZONE_NONE || hit.found == ZONE_WILD;
}

size_t questions_sample(const struct zone *zone, size_t most, uint64_t random, struct question *out)
{
	size_t count = zone->names <= SMALL ? sample_all(zone, most, &random, out) : sample_some(zone, most, &random, out), all = count;

	for (unsigned i = 0; count && i < QUESTIONS_ABSENT; i++)
		all += absent(zone, out[chance(&random) % count].name, chance(&random), &out[all]);
	return all;
}
