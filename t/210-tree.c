/* zone/tree against a sorted list of names: what is found, in which order, and that old versions stay as they were. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "zone/tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAMES = 3000 };

static uint32_t seed = 1;

static uint32_t draw(uint32_t below)
{
	seed = seed * 1664525u + 1013904223u;
	return (uint32_t)((uint64_t)(seed >> 4) * below >> 28);
}

/* Names with few letters, many depths, and every kind of octet now and then, so that prefixes and neighbours are common. */
static void random_name(uint8_t name[NAME_SIZE])
{
	static const uint8_t octets[] = "aabbz09-_*A\0\1.@/[`{\377\260";
	unsigned labels = draw(5);
	size_t at = 0;

	while (labels--) {
		unsigned n = 1 + draw(4);

		name[at++] = (uint8_t)n;
		while (n--)
			name[at++] = octets[draw(draw(3) ? 8 : sizeof octets - 1)];
	}
	name[at] = 0;
}

static struct tree_item *item_of(const uint8_t *name)
{
	size_t n = name_length(name);
	struct tree_item *item = malloc(sizeof *item + n);

	item->name_length = (uint8_t)(n - 1);
	memcpy(item->name, name, n);
	return item;
}

struct world {
	struct pool *pool;
	struct tree tree;
	struct tree_item *item[NAMES];       /* in canonical order */
	size_t count;
};

static size_t place_of(const struct world *w, const uint8_t *name, bool *there)
{
	size_t i = 0;

	while (i < w->count && name_compare(w->item[i]->name, name) < 0)
		i++;
	*there = i < w->count && name_equal(w->item[i]->name, name);
	return i;
}

static void add(struct world *w, struct tree_edit *edit, const uint8_t *name)
{
	uint8_t key[TREE_KEY_SIZE];
	size_t length = tree_key(name, 0, key);
	struct tree_node *leaf = tree_edit_leaf(edit, key, length);
	bool there;
	size_t at = place_of(w, name, &there);

	assert_non_null(leaf);
	assert_int_equal(there, leaf->to != NULL);
	if (there)
		return;
	memmove(w->item + at + 1, w->item + at, (w->count++ - at) * sizeof *w->item);
	w->item[at] = item_of(name);
	tree_leaf_set(edit, leaf, w->item[at], (uint16_t)(name_length(name) & 0xff));
}

static void take_away(struct world *w, struct tree_edit *edit, size_t at)
{
	uint8_t key[TREE_KEY_SIZE];

	tree_edit_remove(edit, key, tree_key(w->item[at]->name, 0, key));
	memmove(w->item + at, w->item + at + 1, (--w->count - at) * sizeof *w->item);
}

static void expect_walk(const struct tree *tree, struct tree_item *const *item, size_t count)
{
	struct tree_walk *walk = malloc(sizeof *walk);
	const struct tree_node *leaf;
	size_t n = 0;

	tree_walk(walk, tree);
	while ((leaf = tree_walk_next(walk))) {
		assert_true(n < count);
		assert_ptr_equal(tree_item(leaf), item[n++]);
	}
	assert_int_equal(n, count);
	free(walk);
}

/* The deepest level at which something of the name exists, by brute force. */
static unsigned common_labels(const struct world *w, const uint8_t *name, bool *exists)
{
	unsigned labels = name_labels(name);

	for (unsigned n = labels;; n--) {
		const uint8_t *suffix = name_suffix(name, n);

		for (size_t i = 0; i < w->count; i++)
			if (name_is_under(w->item[i]->name, suffix)) {
				*exists = n == labels;
				return n;
			}
		if (!n) {
			*exists = w->count > 0 && labels == 0;
			return 0;
		}
	}
}

static void expect_find(const struct world *w, const uint8_t *name)
{
	uint8_t key[TREE_KEY_SIZE];
	size_t length = tree_key(name, 0, key), at;
	unsigned ancestors = 0, common;
	const struct tree_node *leaf;
	struct tree_name whole;
	struct tree_hit hit;
	bool there, exists;

	tree_name(&whole, name);
	tree_find(&w->tree, (struct tree_origin){0}, &whole, &hit);
	at = place_of(w, name, &there);
	common = common_labels(w, name, &exists);
	assert_int_equal(hit.leaf != NULL, there);
	if (there)
		assert_ptr_equal(tree_item(hit.leaf), w->item[at]);
	assert_int_equal(hit.exists, exists);
	assert_int_equal(hit.common, common);
	for (unsigned n = 0; n < name_labels(name); n++) {
		bool is;
		size_t i = place_of(w, name_suffix(name, n), &is);

		if (!is)
			continue;
		assert_true(ancestors < hit.ancestors);
		assert_ptr_equal(tree_item(hit.ancestor[ancestors]), w->item[i]);
		assert_int_equal(hit.ancestor_labels[ancestors], n);
		ancestors++;
	}
	assert_int_equal(hit.ancestors, ancestors);
	leaf = tree_before(&w->tree, key, length, false);
	assert_ptr_equal(leaf ? tree_item(leaf) : NULL, at ? w->item[at - 1] : NULL);
	leaf = tree_before(&w->tree, key, length, true);
	assert_ptr_equal(leaf ? tree_item(leaf) : NULL, there ? w->item[at] : at ? w->item[at - 1] : NULL);
}

static void give_back(struct world *w, struct tree_retired_list *retired)
{
	for (size_t i = 0; i < retired->count; i++)
		pool_put(w->pool, retired->list[i].block, retired->list[i].size);
	free(retired->list);
}

static void finds_what_a_list_finds_after_any_edits(void **state)
{
	struct world w = {.pool = pool_new()};
	struct tree_retired_list retired;
	uint8_t name[NAME_SIZE];

	(void)state;
	for (unsigned round = 0; round < 60; round++) {
		struct tree_item *before[NAMES];
		size_t count = w.count, taken = 0;
		struct tree_item *gone[200];
		struct tree old = w.tree;
		struct tree_edit edit;

		memcpy(before, w.item, count * sizeof *before);
		tree_edit_begin(&edit, round ? &w.tree : NULL, w.pool);
		for (unsigned i = 0; i < 40; i++) {
			if (w.count > 10 && draw(3) == 0) {
				size_t at = draw((uint32_t)w.count);

				gone[taken++] = w.item[at];
				take_away(&w, &edit, at);
			} else {
				random_name(name);
				add(&w, &edit, name);
			}
		}
		assert_false(edit.failed);
		w.tree = tree_edit_end(&edit, &retired);
		expect_walk(&w.tree, w.item, w.count);
		if (round)
			expect_walk(&old, before, count);    /* the version before is untouched */
		for (unsigned i = 0; i < 60; i++) {
			random_name(name);
			expect_find(&w, name);
			if (w.count)
				expect_find(&w, w.item[draw((uint32_t)w.count)]->name);
		}
		give_back(&w, &retired);
		for (size_t i = 0; i < taken; i++)
			free(gone[i]);
	}
	for (size_t i = 0; i < w.count; i++)
		free(w.item[i]);
	pool_free(w.pool);
}

static size_t no_size(const struct tree_item *item)
{
	(void)item;
	return 0;
}

static void an_abandoned_edit_leaves_the_base_and_loses_no_memory(void **state)
{
	struct world w = {.pool = pool_new()};
	struct tree_retired_list retired;
	struct tree_edit edit;
	uint8_t name[NAME_SIZE], key[TREE_KEY_SIZE];
	struct tree_item *extra[50];
	size_t bytes;

	(void)state;
	tree_edit_begin(&edit, NULL, w.pool);
	for (unsigned i = 0; i < 500; i++) {
		random_name(name);
		add(&w, &edit, name);
	}
	w.tree = tree_edit_end(&edit, &retired);
	give_back(&w, &retired);
	for (unsigned round = 0; round < 20; round++) {
		bytes = pool_bytes(w.pool);
		tree_edit_begin(&edit, &w.tree, w.pool);
		for (unsigned i = 0; i < 50; i++) {
			struct tree_node *leaf;
			uint8_t text[32];

			name[0] = (uint8_t)snprintf((char *)text, sizeof text, "new%u", i);
			memcpy(name + 1, text, name[0]);
			name[1 + name[0]] = 0;
			extra[i] = item_of(name);
			leaf = tree_edit_leaf(&edit, key, tree_key(name, 0, key));
			assert_non_null(leaf);
			tree_leaf_set(&edit, leaf, extra[i], 0);
		}
		for (unsigned i = 0; i < 50; i++) {
			tree_edit_remove(&edit, key, tree_key(extra[i]->name, 0, key));
			free(extra[i]);
		}
		tree_edit_abort(&edit, no_size);
		expect_walk(&w.tree, w.item, w.count);
		if (round > 2)
			assert_int_equal(pool_bytes(w.pool), bytes);
	}
	for (size_t i = 0; i < w.count; i++)
		free(w.item[i]);
	pool_free(w.pool);
}

static void order_of_keys_is_canonical_order(void **state)
{
	uint8_t a[NAME_SIZE], b[NAME_SIZE], ka[TREE_KEY_SIZE], kb[TREE_KEY_SIZE];

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		size_t na, nb;
		int order;

		random_name(a);
		random_name(b);
		na = tree_key(a, 0, ka);
		nb = tree_key(b, 0, kb);
		order = memcmp(ka, kb, (na < nb ? na : nb) + 1);
		assert_int_equal((order > 0) - (order < 0), (name_compare(a, b) > 0) - (name_compare(a, b) < 0));
	}
	/* every single octet, against its successor */
	for (unsigned o = 0; o < 255; o++) {
		uint8_t x[] = {1, (uint8_t)o, 0}, y[] = {1, (uint8_t)(o + 1), 0};
		size_t n = tree_key(x, 0, ka);
		int want = name_compare(x, y);
		int got;

		tree_key(y, 0, kb);
		got = memcmp(ka, kb, n + 1);
		assert_int_equal((got > 0) - (got < 0), (want > 0) - (want < 0));
	}
}

static void the_longest_and_deepest_names_fit(void **state)
{
	struct world w = {.pool = pool_new()};
	struct tree_retired_list retired;
	struct tree_edit edit;
	uint8_t name[NAME_SIZE];

	(void)state;
	tree_edit_begin(&edit, NULL, w.pool);
	for (unsigned depth = 0; depth <= NAME_LABELS; depth++) {
		for (unsigned i = 0; i < depth; i++) {
			name[2 * i] = 1;
			name[2 * i + 1] = 0xff;
		}
		name[2 * depth] = 0;
		add(&w, &edit, name);
	}
	memset(name, 0xfe, sizeof name);
	name[0] = name[64] = name[128] = 63;
	name[192] = 61;
	name[254] = 0;
	add(&w, &edit, name);
	w.tree = tree_edit_end(&edit, &retired);
	expect_walk(&w.tree, w.item, w.count);
	for (size_t i = 0; i < w.count; i++)
		expect_find(&w, w.item[i]->name);
	give_back(&w, &retired);
	for (size_t i = 0; i < w.count; i++)
		free(w.item[i]);
	pool_free(w.pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(order_of_keys_is_canonical_order),
		cmocka_unit_test(finds_what_a_list_finds_after_any_edits),
		cmocka_unit_test(an_abandoned_edit_leaves_the_base_and_loses_no_memory),
		cmocka_unit_test(the_longest_and_deepest_names_fit),
	};

	return cmocka_run_group_tests_name("zone/tree", tests, NULL, NULL);
}
