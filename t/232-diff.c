/* zone/diff against brute force: the records that only the one, or only the other, of two versions has, octet by octet. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "zone/diff.h"
#include "zone/zonefile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t apex[] = "\7example";

/* --- a zone as a model ---------------------------------------------------------- */

static const char *const names[][2] = {
	{"@", "@"}, {"a", "A"}, {"b.a", "B.a"}, {"b.c.a", "b.C.A"}, {"*.w", "*.W"}, {"w", "W"}, {"n", "N"}, {"n\\000\\255", "N\\000\\255"},
	{"n-", "N-"}, {"n.n", "N.n"}, {"deep.er.and.deep.er", "deep.er.and.DEEP.er"}, {"dot\\.ted", "DOT\\.ted"}, {"z", "Z"},
	{"sub", "SUB"}, {"0p9mhaveqvm6t7vbl5lop2u3t2rp3tom", "0P9MHAVEQVM6T7VBL5LOP2U3T2RP3TOM"}, {"_x._tcp", "_X._tcp"},
};
enum { NAMES = sizeof names / sizeof *names, VALUES = 3, NS_HERE = 9 };
static const char *const types[][1 + VALUES] = {
	{"A", "192.0.2.1", "192.0.2.2", "10.0.0.1"},
	{"MX", "10 mail.example.", "10 MAIL.example.", "5 mail.example."},
	{"TXT", "\"\"", "\"one\" \"two\"", "\"ONE\" \"two\""},
	{"RRSIG", "A 8 2 60 20300101000000 20200101000000 1 example. AAAA", "A 8 2 60 20300101000000 20200101000000 1 EXAMPLE. AAAA",
		"A 8 2 60 20300101000000 20200101000000 2 example. AAAA"},
	{"RRSIG", "TXT 8 2 60 20300101000000 20200101000000 1 example. AAAA", "TXT 8 2 60 20300101000000 20200101000000 1 example. BBBB",
		"TXT 8 2 60 20300101000000 20200101000000 2 example. AAAA"},
	{"TYPE65280", "\\# 0", "\\# 2 4142", "\\# 2 6162"},
	{"NSEC", "b.example. A", "B.example. A", "c.example. A NSEC"},
	{"NSEC3", "1 0 0 - 0p9mhaveqvm6t7vbl5lop2u3t2rp3tom A", "1 0 0 - 2t7b4g4vsa5smi47k61mv5bv1a22bojr A",
		"1 1 0 - 0p9mhaveqvm6t7vbl5lop2u3t2rp3tom"},
	{"NSEC3PARAM", "1 0 0 -", "1 0 0 ab", "1 0 1 -"},
	{"NS", "ns.example.", "NS.example.", "ns2.example."},
};
enum { TYPES = sizeof types / sizeof *types };

struct model {
	uint32_t serial, refresh, soa_ttl;
	bool upper[NAMES];
	bool there[NAMES][TYPES][VALUES];
	unsigned ttl[NAMES][TYPES];
};

/* Two values that differ in the case of a name are the same record. */
static bool is_twin(unsigned type, unsigned value, unsigned other)
{
	return value < 2 && other == 1 - value && (type == 1 || type == 3 || type == 6 || type == NS_HERE);
}

static void change(struct model *m, unsigned changes)
{
	m->serial += 1 + (unsigned)random() % 3;
	if (random() % 4 == 0)
		m->refresh = (unsigned)random() % 5;
	if (random() % 9 == 0)
		m->soa_ttl = 60 * (1 + (unsigned)random() % 3);
	while (changes--) {
		unsigned n = (unsigned)random() % NAMES, t = (unsigned)random() % TYPES, v = (unsigned)random() % VALUES;

		if (random() % 10 == 0)
			m->ttl[n][t] = (unsigned)random() % 4;
		else if (random() % 10 == 0)
			m->upper[n] = !m->upper[n];
		else
			m->there[n][t][v] = !m->there[n][t][v];
		for (unsigned o = 0; o < VALUES; o++)
			if (m->there[n][t][v] && is_twin(t, v, o))
				m->there[n][t][o] = false;
	}
}

static size_t print_model(const struct model *m, char *out)
{
	char *at = out;

	at += sprintf(at, "@ %u IN SOA ns host %u %u 900 604800 300\n", m->soa_ttl, m->serial, m->refresh);
	at += sprintf(at, "@ 77 IN NS always.example.\n");
	for (unsigned n = 0; n < NAMES; n++)
		for (unsigned t = 0; t < TYPES; t++)
			for (unsigned v = 0; v < VALUES; v++)
				if (m->there[n][t][v] && !(n == 0 && t == NS_HERE))
					at += sprintf(at, "%s %u IN %s %s\n", names[n][m->upper[n]], 60 + m->ttl[n][t], types[t][0], types[t][1 + v]);
	return (size_t)(at - out);
}

struct feed {
	struct build *build;
	bool remove;
};

static enum err feed(void *ctx, const struct rr *rr, struct why *why)
{
	struct feed *f = ctx;

	return f->remove ? build_remove(f->build, rr, why) : build_add(f->build, rr, why);
}

static void feed_text(struct build *build, const char *text, size_t length, bool remove)
{
	struct feed f = {build, remove};
	struct why why;

	if (zonefile_parse("model", text, length, NULL, apex, feed, &f, &why) != ERR_OK)
		fail_msg("%s", why.text);
}

static char text[2][1 << 17], some[1 << 17];

/* The lines of `a` that `b` does not have. */
static size_t lines_without(const char *a, const char *b, char *out)
{
	char *at = out;

	for (const char *line = a, *end; *line; line = end + 1) {
		char wanted[400];

		end = strchr(line, '\n');
		snprintf(wanted, sizeof wanted, "%.*s\n", (int)(end - line), line);
		for (const char *found = strstr(b, wanted);; found = strstr(found + 1, wanted)) {
			if (!found)
				at += sprintf(at, "%s", wanted);
			if (!found || found == b || found[-1] == '\n')
				break;
		}
	}
	*at = 0;
	return (size_t)(at - out);
}

/* The version of the model: a new lineage where `base` is NULL, else made from it, whose model was `from`. */
static struct zone *version_of(const struct model *m, struct zone *base, const struct model *from)
{
	struct build *build = build_new(apex, base, (struct build_limits){0});
	struct zone *zone;
	struct why why;
	size_t length;

	text[1][print_model(m, text[1])] = 0;
	if (base) {
		text[0][print_model(from, text[0])] = 0;
		length = lines_without(text[0], text[1], some);
		feed_text(build, some, length, true);
		length = lines_without(text[1], text[0], some);
		feed_text(build, some, length, false);
	} else {
		feed_text(build, text[1], strlen(text[1]), false);
	}
	if (build_finish(build, &zone, &why) != ERR_OK)
		fail_msg("%s", why.text);
	return zone;
}

/* --- records as octets ------------------------------------------------------------- */

struct octets {
	uint8_t *at;
	size_t length;
};
struct set {
	struct octets *list;
	size_t count, room;
};

static void set_add(struct set *s, const struct rr *rr)
{
	size_t owner = name_length(rr->owner);
	struct octets *o;

	if (s->count == s->room) {
		s->room = s->room ? s->room * 2 : 64;
		s->list = realloc(s->list, s->room * sizeof *s->list);
	}
	o = &s->list[s->count++];
	o->length = owner + 6 + rr->rdlength;
	o->at = malloc(o->length);
	memcpy(o->at, rr->owner, owner);
	put_u16(o->at + owner, rr->type);
	put_u32(o->at + owner + 2, rr->ttl);
	memcpy(o->at + owner + 6, rr->rdata, rr->rdlength);
}

static int octets_order(const void *pa, const void *pb)
{
	const struct octets *a = pa, *b = pb;
	int order = memcmp(a->at, b->at, a->length < b->length ? a->length : b->length);

	return order ? order : (a->length > b->length) - (a->length < b->length);
}

static void set_free(struct set *s)
{
	for (size_t i = 0; i < s->count; i++)
		free(s->list[i].at);
	free(s->list);
	*s = (struct set){0};
}

static struct set set_of(const struct zone *zone)
{
	const struct zone_node *node;
	uint8_t name[NAME_SIZE];
	struct zone_walk walk;
	struct set s = {0};

	zone_walk(&walk, zone);
	while ((node = zone_walk_next(&walk, name))) {
		struct zone_rrsets iter = zone_rrsets(node);
		struct zone_rrset set;
		struct rr rr;

		while (zone_rrsets_next(&iter, &set))
			for (uint32_t at = 0; set.type != RR_SOA && zone_rrset_next(&set, &at, name, &rr);)
				set_add(&s, &rr);
	}
	qsort(s.list, s.count, sizeof *s.list, octets_order);
	return s;
}

/* What of `a` is not in `b`. */
static void keep_without(struct set *a, const struct set *b)
{
	size_t kept = 0;

	for (size_t i = 0; i < a->count; i++)
		if (b->count && bsearch(&a->list[i], b->list, b->count, sizeof *b->list, octets_order))
			free(a->list[i].at);
		else
			a->list[kept++] = a->list[i];
	a->count = kept;
}

static void assert_sets_equal(const struct set *a, const struct set *b)
{
	assert_int_equal(a->count, b->count);
	for (size_t i = 0; i < a->count; i++)
		assert_int_equal(octets_order(&a->list[i], &b->list[i]), 0);
}

/* --- what must hold ------------------------------------------------------------------ */

static uint64_t octets_of(const struct rr *rr)
{
	return name_length(rr->owner) + 10 + rr->rdlength;
}

static unsigned rank(const struct rr *rr)
{
	return rr->type == RR_RRSIG ? rr_covered(rr->rdata) * 2u + 1 : rr->type * 2u;
}

static void assert_rises(const struct rr *last, const struct rr *rr)
{
	int order = name_compare(last->owner, rr->owner);

	if (!order)
		order = (int)rank(last) - (int)rank(rr);
	if (!order)
		order = rr_compare_rdata(rr->type, last->rdata, last->rdlength, rr->rdata, rr->rdlength);
	assert_true(order < 0);
}

/* The walk: both SOAs in their places, the rest in order; the records, as sets. */
static void walk_of(const struct diff *d, struct set set[2])
{
	struct diff_walk walk;
	struct rr rr, last = {0};
	uint8_t owner[NAME_SIZE];
	uint64_t octets = 0;
	unsigned soas = 0;
	bool removed;

	set[0] = set[1] = (struct set){0};
	diff_walk(&walk, d);
	while (diff_next(&walk, &rr, &removed)) {
		octets += octets_of(&rr);
		assert_int_equal(rr.class, CLASS_IN);
		if (rr.type == RR_SOA) {
			assert_int_equal(removed, soas++ == 0);
			assert_true(name_equal(rr.owner, diff_apex(d)));
			assert_int_equal(rr_soa_of(rr.rdata, rr.rdlength).serial, (removed ? diff_from(d) : diff_to(d)).v);
			last.owner = NULL;
			continue;
		}
		assert_int_equal(removed, soas == 1);
		if (last.owner)
			assert_rises(&last, &rr);
		last = rr;
		last.owner = memcpy(owner, rr.owner, name_length(rr.owner));
		set_add(&set[!removed], &rr);
	}
	assert_int_equal(soas, 2);
	assert_int_equal(octets, diff_octets(d));
	assert_int_equal(set[0].count, diff_removed(d));
	assert_int_equal(set[1].count, diff_added(d));
	for (unsigned i = 0; i < 2; i++)
		if (set[i].count)
			qsort(set[i].list, set[i].count, sizeof *set[i].list, octets_order);
}

static void assert_same_zone(const struct zone *a, const struct zone *b)
{
	uint8_t name_a[NAME_SIZE], name_b[NAME_SIZE];
	const struct zone_node *node_a, *node_b;
	static struct zone_walk walk_a, walk_b;

	assert_int_equal(a->serial.v, b->serial.v);
	assert_int_equal(a->records, b->records);
	assert_int_equal(a->names, b->names);
	assert_int_equal(a->wire_bytes, b->wire_bytes);
	assert_int_equal(a->wildcards, b->wildcards);
	assert_int_equal(a->rrsigs, b->rrsigs);
	assert_int_equal(a->hashed, b->hashed);
	assert_int_equal(a->denial, b->denial);
	assert_int_equal(a->chain.iterations, b->chain.iterations);
	assert_int_equal(a->chain.salt_length, b->chain.salt_length);
	assert_int_equal(a->nsec3_of_apex != NULL, b->nsec3_of_apex != NULL);
	zone_walk(&walk_a, a);
	zone_walk(&walk_b, b);
	while ((node_a = zone_walk_next(&walk_a, name_a))) {
		node_b = zone_walk_next(&walk_b, name_b);
		assert_non_null(node_b);
		assert_memory_equal(name_a, name_b, name_length(name_a));
		assert_int_equal(zone_node_size(node_a), zone_node_size(node_b));
		assert_memory_equal(node_a, node_b, zone_node_size(node_a));
	}
	assert_null(zone_walk_next(&walk_b, name_b));
}

static struct diff *diff_of(const struct zone *older, const struct zone *newer)
{
	struct diff *d;

	assert_int_equal(diff_make(older, newer, 0, &d), ERR_OK);
	return d;
}

static struct diff *read_back(const struct diff *d)
{
	const uint8_t *bytes, *again;
	size_t length, length_again;
	struct diff *copy;
	struct why why;

	bytes = diff_bytes(d, &length);
	if (diff_read(bytes, length, &copy, &why) != ERR_OK)
		fail_msg("%s", why.text);
	again = diff_bytes(copy, &length_again);
	assert_int_equal(length, length_again);
	assert_memory_equal(bytes, again, length);
	assert_int_equal(diff_octets(copy), diff_octets(d));
	return copy;
}

/* In a lineage of its own: a version has one successor. */
static struct zone *copy_of(const struct zone *zone)
{
	struct build *build = build_new(apex, NULL, (struct build_limits){0});
	const struct zone_node *node;
	uint8_t name[NAME_SIZE];
	struct zone_walk walk;
	struct zone *copy;

	zone_walk(&walk, zone);
	while ((node = zone_walk_next(&walk, name))) {
		struct zone_rrsets iter = zone_rrsets(node);
		struct zone_rrset set;
		struct rr rr;

		while (zone_rrsets_next(&iter, &set))
			for (uint32_t at = 0; zone_rrset_next(&set, &at, name, &rr);)
				assert_int_equal(build_add(build, &rr, NULL), ERR_OK);
	}
	assert_int_equal(build_finish(build, &copy, NULL), ERR_OK);
	return copy;
}

static void assert_right(const struct zone *older, const struct zone *newer)
{
	struct set old = set_of(older), new = set_of(newer), old_again = set_of(older), walked[2];
	struct zone *base = copy_of(older);
	struct diff *made = diff_of(older, newer), *d = read_back(made);
	struct zone *applied;
	struct why why;

	keep_without(&old, &new);
	keep_without(&new, &old_again);
	walk_of(d, walked);
	assert_sets_equal(&walked[0], &old);
	assert_sets_equal(&walked[1], &new);
	if (diff_apply(base, d, (struct build_limits){0}, &applied, &why) != ERR_OK)
		fail_msg("%s", why.text);
	assert_same_zone(applied, newer);
	zone_put(applied);
	zone_put(base);
	for (unsigned i = 0; i < 2; i++)
		set_free(&walked[i]);
	set_free(&old);
	set_free(&new);
	set_free(&old_again);
	diff_drop(made);
	diff_drop(d);
}

/* --- the tests ------------------------------------------------------------------------- */

static struct model first_model(void)
{
	struct model m = {.serial = (uint32_t)random() % 4 ? 1 : UINT32_MAX - 3, .soa_ttl = 60};

	change(&m, 300);
	return m;
}

static void versions_made_from_each_other(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 60; i++) {
		struct model m = first_model(), next = m;
		struct zone *a = version_of(&m, NULL, NULL), *b;

		change(&next, i % 3 ? i % 7 : i);
		b = version_of(&next, a, &m);
		assert_right(a, b);
		assert_right(b, b);
		zone_put(a);
		zone_put(b);
	}
}

static void versions_of_unrelated_lineages(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 60; i++) {
		struct model m = first_model(), next = i % 2 ? first_model() : m;
		struct zone *a = version_of(&m, NULL, NULL), *b;

		change(&next, i % 3 ? i % 7 : i);
		b = version_of(&next, NULL, NULL);
		assert_right(a, b);
		assert_right(b, a);
		zone_put(a);
		zone_put(b);
	}
}

static struct zone *zone_of(const char *content)
{
	struct build *build = build_new(apex, NULL, (struct build_limits){0});
	struct zone *zone;

	feed_text(build, content, strlen(content), false);
	assert_int_equal(build_finish(build, &zone, NULL), ERR_OK);
	return zone;
}

#define APEX(serial) "@ 60 SOA ns host " #serial " 1 1 1 1\n@ 60 NS ns\n"

/* `removed` and `added`: how many; both put. */
static void expect_counts(struct zone *a, struct zone *b, unsigned removed, unsigned added)
{
	struct diff *d = diff_of(a, b);

	assert_int_equal(diff_removed(d), removed);
	assert_int_equal(diff_added(d), added);
	assert_int_equal(diff_is_empty(d), a->serial.v == b->serial.v && removed + added == 0);
	assert_right(a, b);
	diff_drop(d);
	zone_put(a);
	zone_put(b);
}

static void nothing_differs(void **state)
{
	(void)state;
	expect_counts(zone_of(APEX(5) "a A 192.0.2.1\n"), zone_of(APEX(5) "a A 192.0.2.1\n"), 0, 0);
}

static void the_soa_alone(void **state)
{
	struct zone *a = zone_of(APEX(5)), *b = zone_of("@ 99 SOA ns host 5 1 1 1 1\n@ 60 NS ns\n");
	struct diff *d = diff_of(a, b);

	(void)state;
	assert_false(diff_is_empty(d));      /* its TTL */
	diff_drop(d);
	zone_put(a);
	zone_put(b);
	expect_counts(zone_of(APEX(5)), zone_of(APEX(6)), 0, 0);
	expect_counts(zone_of(APEX(4294967295)), zone_of(APEX(0)), 0, 0);
}

static void another_ttl_is_a_removal_and_an_addition_of_the_whole_rrset(void **state)
{
	(void)state;
	expect_counts(zone_of(APEX(5) "a 60 A 192.0.2.1\na 60 A 192.0.2.2\na 60 TXT x\n"),
		zone_of(APEX(6) "a 61 A 192.0.2.1\na 61 A 192.0.2.2\na 61 A 192.0.2.3\na 60 TXT x\n"), 2, 3);
}

static void another_case_is_a_removal_and_an_addition(void **state)
{
	(void)state;
	expect_counts(zone_of(APEX(5) "host 60 A 192.0.2.1\nhost 60 TXT x\n"), zone_of(APEX(6) "hOst 60 A 192.0.2.1\nhOst 60 TXT x\n"), 2, 2);
	expect_counts(zone_of(APEX(5) "host 60 CNAME x\n"), zone_of(APEX(6) "host 60 CNAME X\n"), 1, 1);
}

static void signatures_of_each_covered_type_apart(void **state)
{
	(void)state;
	expect_counts(zone_of(APEX(5) "a 60 RRSIG A 8 2 60 20300101000000 20200101000000 1 example. AAAA\n"
		"a 60 RRSIG TXT 8 2 60 20300101000000 20200101000000 1 example. AAAA\n"),
		zone_of(APEX(6) "a 61 RRSIG A 8 2 60 20300101000000 20200101000000 1 example. AAAA\n"
		"a 60 RRSIG TXT 8 2 60 20300101000000 20200101000000 1 example. AAAA\n"), 1, 1);
}

static void joined_steps_are_the_step_between_the_ends(void **state)
{
	enum { STEPS = 9 };

	(void)state;
	for (unsigned i = 0; i < 60; i++) {
		struct model m[STEPS + 1] = {first_model()};
		struct zone *zone[STEPS + 1] = {version_of(&m[0], NULL, NULL)};
		struct diff *step[STEPS], *joined, *direct;
		const uint8_t *a, *b;
		size_t n = 1 + i % STEPS, length_a, length_b;

		for (size_t s = 1; s <= n; s++) {
			m[s] = m[s - 1];
			change(&m[s], (unsigned)random() % 20);
			zone[s] = random() % 3 ? version_of(&m[s], zone[s - 1], &m[s - 1]) : version_of(&m[s], NULL, NULL);
			step[s - 1] = diff_of(zone[s - 1], zone[s]);
		}
		assert_int_equal(diff_join(step, n, 0, &joined), ERR_OK);
		direct = diff_of(zone[0], zone[n]);
		a = diff_bytes(joined, &length_a);
		b = diff_bytes(direct, &length_b);
		assert_int_equal(length_a, length_b);
		assert_memory_equal(a, b, length_a);
		assert_int_equal(diff_octets(joined), diff_octets(direct));
		diff_drop(joined);
		diff_drop(direct);
		for (size_t s = 0; s < n; s++)
			diff_drop(step[s]);
		for (size_t s = 0; s <= n; s++)
			zone_put(zone[s]);
	}
}

static void merged_steps_come_as_the_joined_one_does(void **state)
{
	struct model m[4] = {first_model()};
	struct zone *zone[4] = {version_of(&m[0], NULL, NULL)};
	struct diff *step[3], *joined;
	struct diff_merge *merge;
	struct diff_walk walk;
	struct rr a, b;
	bool removed_a, removed_b;

	(void)state;
	for (unsigned s = 1; s < 4; s++) {
		m[s] = m[s - 1];
		change(&m[s], 40);
		zone[s] = version_of(&m[s], zone[s - 1], &m[s - 1]);
		step[s - 1] = diff_of(zone[s - 1], zone[s]);
	}
	assert_int_equal(diff_join(step, 3, 0, &joined), ERR_OK);
	merge = diff_merge_new(step, 3);
	assert_non_null(merge);
	diff_walk(&walk, joined);
	while (diff_next(&walk, &a, &removed_a)) {
		assert_true(diff_merge_next(merge, &b, &removed_b));
		assert_int_equal(removed_a, removed_b);
		assert_int_equal(a.type, b.type);
		assert_int_equal(a.ttl, b.ttl);
		assert_int_equal(a.rdlength, b.rdlength);
		assert_memory_equal(a.rdata, b.rdata, a.rdlength);
		assert_memory_equal(a.owner, b.owner, name_length(a.owner));
	}
	assert_false(diff_merge_next(merge, &b, &removed_b));
	assert_false(diff_merge_next(merge, &b, &removed_b));
	diff_merge_free(merge);
	diff_drop(joined);
	for (unsigned s = 0; s < 3; s++)
		diff_drop(step[s]);
	for (unsigned s = 0; s < 4; s++)
		zone_put(zone[s]);
}

static void what_does_not_fit_together_is_refused(void **state)
{
	struct zone *a = zone_of(APEX(5) "a A 192.0.2.1\n"), *b = zone_of(APEX(6)), *c = zone_of(APEX(8) "b A 192.0.2.1\n");
	struct zone *stranger = zone_of(APEX(5) "a A 192.0.2.2\n"), *none;
	struct diff *ab = diff_of(a, b), *bc = diff_of(b, c), *joined;
	struct why why;

	(void)state;
	assert_int_equal(diff_join((struct diff *[]){bc, ab}, 2, 0, &joined), ERR_MISMATCH);
	assert_int_equal(diff_join((struct diff *[]){ab, ab}, 2, 0, &joined), ERR_MISMATCH);
	assert_null(diff_merge_new((struct diff *[]){ab, ab}, 2));
	assert_int_equal(diff_apply(b, ab, (struct build_limits){0}, &none, &why), ERR_MISMATCH);
	assert_int_equal(diff_apply(stranger, ab, (struct build_limits){0}, &none, &why), ERR_MISMATCH);
	assert_int_equal(diff_apply(b, bc, (struct build_limits){.records = 2}, &none, &why), ERR_LIMIT);
	diff_drop(ab);
	diff_drop(bc);
	zone_put(a);
	zone_put(b);
	zone_put(c);
	zone_put(stranger);
}

static void two_zones_have_no_step_between_them(void **state)
{
	struct build *build = build_new((const uint8_t *)"\5other", NULL, (struct build_limits){0});
	struct zone *a = zone_of(APEX(5)), *b;
	struct feed f = {build, false};
	struct diff *d;

	(void)state;
	assert_int_equal(zonefile_parse("other", APEX(5), strlen(APEX(5)), NULL, (const uint8_t *)"\5other", feed, &f, NULL), ERR_OK);
	assert_int_equal(build_finish(build, &b, NULL), ERR_OK);
	assert_int_equal(diff_make(a, b, 0, &d), ERR_MISMATCH);
	zone_put(a);
	zone_put(b);
}

static void no_more_octets_than_wanted(void **state)
{
	struct model m = first_model(), next = m;
	struct zone *a = version_of(&m, NULL, NULL), *b;
	struct diff *d, *again;
	size_t length;

	(void)state;
	change(&next, 20);
	b = version_of(&next, a, &m);
	d = diff_of(a, b);
	diff_bytes(d, &length);
	assert_int_equal(diff_make(a, b, length - 1, &again), ERR_LIMIT);
	assert_null(again);
	assert_int_equal(diff_join(&d, 1, length - 1, &again), ERR_LIMIT);
	assert_int_equal(diff_make(a, b, length, &again), ERR_OK);
	diff_drop(again);
	diff_drop(d);
	zone_put(a);
	zone_put(b);
}

/* --- hostile encodings --------------------------------------------------------------------- */

static unsigned taken;

/* Refused, or what it says: then it can be walked, and applied or refused. */
static void try_bytes(struct zone *base, const uint8_t *bytes, size_t length)
{
	struct zone *zone;
	struct set set[2];
	struct diff *d;
	struct why why;
	size_t again;

	if (diff_read(bytes, length, &d, &why) != ERR_OK) {
		assert_string_not_equal(why.text, "");
		return;
	}
	taken++;
	assert_memory_equal(diff_bytes(d, &again), bytes, length);
	assert_int_equal(again, length);
	walk_of(d, set);
	set_free(&set[0]);
	set_free(&set[1]);
	if (diff_apply(base, d, (struct build_limits){0}, &zone, &why) == ERR_OK)
		zone_put(zone);
	diff_drop(d);
}

static void every_bit_turned_and_every_length_is_refused_or_taken_as_it_is(void **state)
{
	struct model m = first_model(), next = m;
	struct zone *a = version_of(&m, NULL, NULL), *base = copy_of(a), *b;
	const uint8_t *bytes;
	struct diff *d;
	size_t length;

	(void)state;
	change(&next, 10);
	b = version_of(&next, a, &m);
	d = diff_of(a, b);
	bytes = diff_bytes(d, &length);
	for (size_t cut = 0; cut < length; cut++) {
		uint8_t *copy = malloc(cut + !cut);
		struct diff *none;

		memcpy(copy, bytes, cut);
		assert_int_equal(diff_read(copy, cut, &none, NULL), ERR_DAMAGED);
		assert_null(none);
		free(copy);
	}
	taken = 0;
	for (size_t bit = 0; bit < 8 * length; bit++) {
		uint8_t *copy = malloc(length);

		memcpy(copy, bytes, length);
		copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
		try_bytes(base, copy, length);
		free(copy);
	}
	assert_in_range(taken, 1, 8 * length - 1);
	for (unsigned i = 0; i < 3000; i++) {        /* runs of octets moved */
		uint8_t *copy = malloc(length);
		size_t from = (size_t)random() % length, to = (size_t)random() % length, n = (size_t)random() % 16;

		memcpy(copy, bytes, length);
		if (from + n <= length && to + n <= length)
			memmove(copy + to, copy + from, n);
		try_bytes(base, copy, length);
		free(copy);
	}
	diff_drop(d);
	zone_put(a);
	zone_put(b);
	zone_put(base);
}

/* --- what it costs --------------------------------------------------------------------------- */

static bool count_leaf(void *ctx, const struct tree_node *older, const struct tree_node *newer)
{
	(void)older;
	(void)newer;
	++*(unsigned *)ctx;
	return true;
}

static void one_change_in_a_large_zone_looks_at_few_nodes(void **state)
{
	static const char gone[] = "@ 60 SOA ns host 5 1 1 1 1\nhost-7919 60 A 10.0.0.1\n";
	static const char come[] = "@ 60 SOA ns host 6 1 1 1 1\nhost-7919 60 A 10.0.0.2\n";
	struct build *build = build_new(apex, NULL, (struct build_limits){0});
	struct zone *a, *b;
	struct diff *d;
	unsigned leaves = 0;
	size_t seen;

	(void)state;
	feed_text(build, APEX(5), strlen(APEX(5)), false);
	for (unsigned i = 0; i < 100000; i++) {
		char owner[32], rdata[] = {10, 0, 0, 1};
		uint8_t name[NAME_SIZE];
		struct rr rr = {name, RR_A, CLASS_IN, 4, 60, (const uint8_t *)rdata};

		snprintf(owner, sizeof owner, "host-%u.example", i * 7919);
		assert_int_equal(name_parse(owner, strlen(owner), NULL, name, NULL), ERR_OK);
		assert_int_equal(build_add(build, &rr, NULL), ERR_OK);
	}
	assert_int_equal(build_finish(build, &a, NULL), ERR_OK);
	build = build_new(apex, a, (struct build_limits){0});
	feed_text(build, gone, sizeof gone - 1, true);
	feed_text(build, come, sizeof come - 1, false);
	assert_int_equal(build_finish(build, &b, NULL), ERR_OK);
	seen = tree_differ(&a->tree, &b->tree, count_leaf, &leaves);
	assert_int_equal(leaves, 2);
	assert_in_range(seen, 2, 300);
	d = diff_of(a, b);
	assert_int_equal(diff_removed(d), 1);
	assert_int_equal(diff_added(d), 1);
	diff_drop(d);
	zone_put(a);
	zone_put(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(versions_made_from_each_other),
		cmocka_unit_test(versions_of_unrelated_lineages),
		cmocka_unit_test(nothing_differs),
		cmocka_unit_test(the_soa_alone),
		cmocka_unit_test(another_ttl_is_a_removal_and_an_addition_of_the_whole_rrset),
		cmocka_unit_test(another_case_is_a_removal_and_an_addition),
		cmocka_unit_test(signatures_of_each_covered_type_apart),
		cmocka_unit_test(joined_steps_are_the_step_between_the_ends),
		cmocka_unit_test(merged_steps_come_as_the_joined_one_does),
		cmocka_unit_test(what_does_not_fit_together_is_refused),
		cmocka_unit_test(two_zones_have_no_step_between_them),
		cmocka_unit_test(no_more_octets_than_wanted),
		cmocka_unit_test(every_bit_turned_and_every_length_is_refused_or_taken_as_it_is),
		cmocka_unit_test(one_change_in_a_large_zone_looks_at_few_nodes),
	};

	rr_init();
	srandom(11);
	return cmocka_run_group_tests_name("zone/diff", tests, NULL, NULL);
}
