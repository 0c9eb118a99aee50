/* The first octet says what the rest is. 'z': two versions of a zone as text, a NUL between them: the step from the one to the other, read back
 * from its octets, leads from the one to the other. Else the octets of a step: refused, or it is what it says, and if it can be applied
 * to a version then the step between that and what comes of it does the same. */
#include "zone/diff.h"
#include "zone/zonefile.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t apex[] = "\7example";
static const char base_text[] =
	"@ 60 SOA ns host 1 2 3 4 5\n@ 60 NS ns\nns 60 A 192.0.2.1\nns 60 A 192.0.2.2\nns 60 TXT a\n*.w 60 CNAME ns\nd 60 DNAME e\n"
	"s 60 NS ns.s\nns.s 60 AAAA ::1\n";

static void require(bool right)
{
	if (!right)
		abort();
}

static enum err add(void *build, const struct rr *rr, struct why *why)
{
	return build_add(build, rr, why);
}

static struct zone *zone_of(const char *text, size_t length)
{
	struct build *build = build_new(apex, NULL, (struct build_limits){.records = 1000});
	struct zone *zone;

	require(build != NULL);
	if (zonefile_parse("zone", text, length, NULL, apex, add, build, NULL) != ERR_OK) {
		build_free(build);
		return NULL;
	}
	return build_finish(build, &zone, NULL) == ERR_OK ? zone : NULL;
}

static void require_same(const struct zone *a, const struct zone *b)
{
	uint8_t name_a[NAME_SIZE], name_b[NAME_SIZE];
	struct zone_walk walk_a, walk_b;
	const struct zone_node *node_a, *node_b;

	require(a->records == b->records && a->names == b->names && a->wire_bytes == b->wire_bytes && a->rrsigs == b->rrsigs &&
		a->wildcards == b->wildcards && a->hashed == b->hashed && a->denial == b->denial);
	zone_walk(&walk_a, a);
	zone_walk(&walk_b, b);
	while ((node_a = zone_walk_next(&walk_a, name_a))) {
		node_b = zone_walk_next(&walk_b, name_b);
		require(node_b && zone_node_size(node_a) == zone_node_size(node_b) && memcmp(node_a, node_b, zone_node_size(node_a)) == 0);
	}
	require(!zone_walk_next(&walk_b, name_b));
}

static struct diff *read_back(const struct diff *d)
{
	size_t length, again;
	const uint8_t *bytes = diff_bytes(d, &length);
	struct diff *copy;

	require(diff_read(bytes, length, &copy, NULL) == ERR_OK);
	require(memcmp(diff_bytes(copy, &again), bytes, length) == 0 && again == length && diff_octets(copy) == diff_octets(d));
	return copy;
}

/* `a` is the newest of its lineage. */
static void try_pair(struct zone *a, const struct zone *b)
{
	struct diff *made, *d, *joined;
	struct zone *applied;

	require(diff_make(a, b, 0, &made) == ERR_OK);
	d = read_back(made);
	require(diff_join(&d, 1, 0, &joined) == ERR_OK);
	require(diff_octets(joined) == diff_octets(d));
	require(diff_apply(a, joined, (struct build_limits){0}, &applied, NULL) == ERR_OK);
	require_same(applied, b);
	zone_put(applied);
	diff_drop(made);
	diff_drop(d);
	diff_drop(joined);
}

static void try_texts(const char *text, size_t length)
{
	const char *end = memchr(text, 0, length);
	struct zone *a, *b;

	if (!end)
		return;
	a = zone_of(text, (size_t)(end - text));
	b = zone_of(end + 1, length - (size_t)(end - text) - 1);
	if (a && b)
		try_pair(a, b);
	zone_put(a);
	zone_put(b);
}

static void walk(const struct diff *d)
{
	uint32_t count[2] = {0, 0};
	struct diff_walk walk;
	struct rr rr;
	bool removed;

	diff_walk(&walk, d);
	while (diff_next(&walk, &rr, &removed)) {
		require(rr_check_rdata(rr.type, rr.rdata, rr.rdlength, NULL) == ERR_OK && name_is_under(rr.owner, diff_apex(d)));
		count[removed]++;
	}
	require(count[1] == diff_removed(d) + 1 && count[0] == diff_added(d) + 1);
}

static void try_octets(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);
	struct zone *base = zone_of(base_text, sizeof base_text - 1), *again = zone_of(base_text, sizeof base_text - 1), *zone;
	struct why why;
	struct diff *d;

	require(copy && base && again);
	memcpy(copy, data, size);
	if (diff_read(copy, size, &d, &why) == ERR_OK) {
		walk(d);
		if (diff_apply(base, d, (struct build_limits){0}, &zone, &why) == ERR_OK) {
			try_pair(again, zone);
			zone_put(zone);
		}
		diff_drop(d);
	} else {
		require(why.text[0]);
	}
	zone_put(base);
	zone_put(again);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	rr_init();
	if (size > 0 && data[0] == 'z')
		try_texts((const char *)data + 1, size - 1);
	else if (size > 0)
		try_octets(data + 1, size - 1);
	return 0;
}
