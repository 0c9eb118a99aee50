#include "zone/tree.h"

#include "base/array.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* A node's word: a branch has the top bit, then one that says "this edit made my twigs", the offset of the
 * symbol that it branches on, and the bitmap. A leaf has flags in its low 16 bits and the same "made by this edit" bit,
 * for its item. */
#define BRANCH (UINT64_C(1) << 63)
#define OWNED (UINT64_C(1) << 62)
#define OFFSET_SHIFT 48
#define OFFSET_MASK (UINT64_C(0x3ff) << OFFSET_SHIFT)
#define BITMAP ((UINT64_C(1) << 48) - 1)

enum { END = TREE_END };

/* Symbols of the octets, in canonical order (upper case as lower). Octets that host names are made of, and '*', have
 * a symbol of their own; the others share a first symbol with their neighbours and have a second one (never END). */
struct symbol {
	uint8_t first, second;       /* in this order in memory: both are written at once */
};
#define ALONE(s) {s, 0}
#define RUN2(s, n) {s, n}, {s, (n) + 1}
#define RUN4(s, n) RUN2(s, n), RUN2(s, (n) + 2)
#define RUN8(s, n) RUN4(s, n), RUN4(s, (n) + 4)
#define RUN16(s, n) RUN8(s, n), RUN8(s, (n) + 8)
#define RUN32(s, n) RUN16(s, n), RUN16(s, (n) + 16)
#define LETTERS \
	ALONE(19), ALONE(20), ALONE(21), ALONE(22), ALONE(23), ALONE(24), ALONE(25), ALONE(26), ALONE(27), ALONE(28), ALONE(29), \
	ALONE(30), ALONE(31), ALONE(32), ALONE(33), ALONE(34), ALONE(35), ALONE(36), ALONE(37), ALONE(38), ALONE(39), ALONE(40), \
	ALONE(41), ALONE(42), ALONE(43), ALONE(44)

static const struct symbol symbols[256] = {
	RUN32(1, 1), RUN8(1, 33), RUN2(1, 41),                   /* 0-41 */
	ALONE(2),                                                /* '*' */
	RUN2(3, 1),                                              /* 43, 44 */
	ALONE(4),                                                /* '-' */
	RUN2(5, 1),                                              /* '.', '/' */
	ALONE(6), ALONE(7), ALONE(8), ALONE(9), ALONE(10), ALONE(11), ALONE(12), ALONE(13), ALONE(14), ALONE(15),  /* 0-9 */
	RUN4(16, 1), RUN2(16, 5), {16, 7},                       /* 58-64 */
	LETTERS,                                                 /* A-Z */
	RUN4(16, 8),                                             /* 91-94 */
	ALONE(17),                                               /* '_' */
	{18, 1},                                                 /* 96 */
	LETTERS,                                                 /* a-z */
	RUN32(45, 1), RUN8(45, 33), RUN4(45, 41), RUN2(45, 45),  /* 123-168 */
	RUN32(46, 1), RUN8(46, 33), RUN4(46, 41), RUN2(46, 45),  /* 169-214 */
	RUN32(47, 1), RUN8(47, 33), {47, 41},                    /* 215-255 */
};

static inline bool is_branch(const struct tree_node *node) { return node->word & BRANCH; }
static inline unsigned offset_of(const struct tree_node *node) { return (unsigned)((node->word & OFFSET_MASK) >> OFFSET_SHIFT); }
/* Without the popcnt instruction in the baseline, the library's function would be a call and a table for each level. The searches
 * are compiled for processors with it too, and those are called where they can be (WITH_POPCNT). */
static inline unsigned ones(uint64_t x)
{
#ifdef __POPCNT__
	return (unsigned)__builtin_popcountll(x);
#else
	x -= x >> 1 & UINT64_C(0x5555555555555555);
	x = (x & UINT64_C(0x3333333333333333)) + (x >> 2 & UINT64_C(0x3333333333333333));
	return (unsigned)(((x + (x >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f)) * UINT64_C(0x0101010101010101) >> 56);
#endif
}
#if defined __x86_64__ && !defined __POPCNT__
#define WITH_POPCNT __attribute__((target("popcnt")))
#define HAS_POPCNT __builtin_cpu_supports("popcnt")
#else
#define WITH_POPCNT
#define HAS_POPCNT false
#endif
#define EITHER static inline __attribute__((always_inline))

static inline unsigned twig_count(const struct tree_node *node) { return ones(node->word & BITMAP); }
static inline struct tree_node *twigs_of(const struct tree_node *node) { return node->to; }
static inline bool has_twig(const struct tree_node *node, unsigned symbol) { return node->word >> symbol & 1; }
static inline unsigned twig_place(const struct tree_node *node, unsigned symbol)
{
	return ones(node->word & ((UINT64_C(1) << symbol) - 1));
}
EITHER unsigned twig_place_by(bool popcnt, const struct tree_node *node, unsigned symbol)
{
	uint64_t below = node->word & ((UINT64_C(1) << symbol) - 1);

	return popcnt ? (unsigned)__builtin_popcountll(below) : ones(below);
}

EITHER unsigned twig_count_by(bool popcnt, const struct tree_node *node)
{
	return popcnt ? (unsigned)__builtin_popcountll(node->word & BITMAP) : ones(node->word & BITMAP);
}

/* Labels that end before `end` (an exclusive limit), last first, to symbols. */
static size_t encode(const uint8_t *const *label, unsigned labels, uint8_t *out)
{
	uint8_t *at = out;

	while (labels--) {
		const uint8_t *octet = label[labels] + 1, *end = octet + *label[labels];

		for (; octet < end; octet++) {
			struct symbol s = symbols[*octet];

			memcpy(at, &s, 2);
			at += 1 + (s.second != 0);
		}
		*at++ = END;
	}
	at[0] = END;
	at[1] = END;
	return (size_t)(at - out);
}

size_t tree_key(const uint8_t *name, unsigned skip, uint8_t *out)
{
	const uint8_t *label[NAME_LABELS + 1];
	unsigned labels = 0;

	for (; *name; name += 1 + *name)
		label[labels++] = name;
	return encode(label, labels > skip ? labels - skip : 0, out);
}

size_t tree_item_key(const struct tree_item *item, uint8_t out[TREE_KEY_SIZE])
{
	const uint8_t *label[NAME_LABELS + 1], *at = item->name, *end = at + item->name_length;
	unsigned labels = 0;

	for (; at < end; at += 1 + *at)
		label[labels++] = at;
	return encode(label, labels, out);
}

void tree_name(struct tree_name *out, const uint8_t *name)
{
	const uint8_t *label[NAME_LABELS + 1], *at = name;
	unsigned labels = 0;

	for (; *at; at += 1 + *at)
		label[labels++] = at;
	out->name = name;
	out->octets = (uint8_t)(at - name);
	out->labels = (uint8_t)labels;
	out->length = (uint16_t)encode(label, labels, out->symbol);
}

struct tree_origin tree_origin(const uint8_t *name)
{
	struct tree_name whole;

	tree_name(&whole, name);
	return (struct tree_origin){whole.octets, whole.labels, whole.length};
}

static const struct tree_node *leftmost(const struct tree_node *node)
{
	while (is_branch(node))
		node = twigs_of(node);
	return node;
}

static const struct tree_node *rightmost(const struct tree_node *node)
{
	while (is_branch(node))
		node = twigs_of(node) + twig_count(node) - 1;
	return node;
}

/* The first place where the keys differ; > length if they are the same name (a key's closing END meets another END nowhere
 * but at the end of an equal key). */
static size_t first_difference(const uint8_t *key, size_t length, const struct tree_node *leaf, uint8_t *leaf_symbol)
{
	uint8_t other[TREE_KEY_SIZE];
	size_t other_length = tree_item_key(tree_item(leaf), other);
	size_t shorter = length < other_length ? length : other_length, i = 0;

	while (i <= shorter && key[i] == other[i])
		i++;
	*leaf_symbol = i <= shorter ? other[i] : END;
	return i;
}

static unsigned labels_before(const uint8_t *key, size_t end)
{
	unsigned labels = 0;

	for (size_t i = 0; i < end; i++)
		labels += key[i] == END;
	return labels;
}

/* What a search has met on its way down. */
struct descent {
	const struct tree_node *node;        /* where it ended */
	bool fell;                           /* at a branch that has no twig for the key: no name begins as the key does up to there */
	size_t at;                           /* fell: the branch's offset */
	uint16_t offset[TREE_ANCESTORS];     /* of the hit's ancestors */
};

EITHER void descend_noting(bool popcnt, const struct tree *tree, const uint8_t *key, size_t length, struct descent *d,
	struct tree_hit *hit)
{
	const struct tree_node *node = &tree->root;

	d->fell = false;
	while (is_branch(node)) {
		unsigned at = offset_of(node);

		if (at > length)
			break;
		if (has_twig(node, END) && at < length && (at == 0 || key[at - 1] == END)) {
			d->offset[hit->ancestors] = (uint16_t)at;
			hit->ancestor[hit->ancestors++] = twigs_of(node);
		}
		if (!has_twig(node, key[at])) {
			d->fell = true;
			d->at = at;
			break;
		}
		node = twigs_of(node) + twig_place_by(popcnt, node, key[at]);
	}
	d->node = node;
}

WITH_POPCNT static void descend_popcnt(const struct tree *tree, const uint8_t *key, size_t length, struct descent *d,
	struct tree_hit *hit)
{
	descend_noting(true, tree, key, length, d, hit);
}

static void descend_plain(const struct tree *tree, const uint8_t *key, size_t length, struct descent *d, struct tree_hit *hit)
{
	descend_noting(false, tree, key, length, d, hit);
}

/* Whether the item's name is an ancestor of the name: the one that a delegation, or a zone, is found by. */
static bool is_ancestor(const struct tree_item *item, const uint8_t *name, size_t octets, unsigned labels, struct tree_hit *hit)
{
	while (octets > item->name_length) {
		octets -= 1u + *name;
		name += 1 + *name;
		labels--;
	}
	if (octets != item->name_length || !name_octets_equal(item->name, name, octets))
		return false;
	hit->common = labels;
	return true;
}

/* The name is not there: how much of it is. */
static void find_encloser(const struct descent *d, const uint8_t *key, size_t length, struct tree_hit *hit)
{
	size_t common;
	uint8_t symbol;

	if (d->fell && d->at < length && !memchr(key, END, d->at)) {   /* not even one label: no need to look at any name */
		hit->ancestors = hit->ancestors && d->offset[0] == 0;
		return;
	}
	common = first_difference(key, length, leftmost(d->node), &symbol);
	hit->exists = common >= length;
	if (common > length)
		common = length;
	hit->common = labels_before(key, common);
	while (hit->ancestors && d->offset[hit->ancestors - 1] > common)
		hit->ancestors--;
	if (!is_branch(d->node) && common < length && symbol == END && (common == 0 || key[common - 1] == END)) {
		/* A name with nothing below it: no branch on the way has its END. */
		hit->ancestor_labels[hit->ancestors] = (uint8_t)labels_before(key, common);
		hit->ancestor[hit->ancestors++] = d->node;
	}
}

void tree_find(const struct tree *tree, struct tree_origin origin, const struct tree_name *name, struct tree_hit *hit)
{
	const uint8_t *key = name->symbol + origin.length;
	size_t length = name->length - origin.length, octets = name->octets - origin.octets;
	unsigned labels = name->labels - origin.labels;
	const struct tree_item *item;
	struct descent d;

	hit->leaf = NULL;
	hit->exists = false;
	hit->common = hit->ancestors = 0;
	if (!tree->root.to)
		return;
	if (HAS_POPCNT)
		descend_popcnt(tree, key, length, &d, hit);
	else
		descend_plain(tree, key, length, &d, hit);
	for (unsigned i = 0; i < hit->ancestors; i++)
		hit->ancestor_labels[i] = (uint8_t)labels_before(key, d.offset[i]);
	item = is_branch(d.node) ? NULL : tree_item(d.node);
	if (!item || !is_ancestor(item, name->name, octets, labels, hit)) {
		find_encloser(&d, key, length, hit);
	} else if (hit->common == labels) {
		hit->leaf = d.node;
		hit->exists = true;
	} else {
		hit->ancestor_labels[hit->ancestors] = (uint8_t)hit->common;
		hit->ancestor[hit->ancestors++] = d.node;
	}
}

static inline void fetch_item(const struct tree_node *leaf)
{
	const uint8_t *item = leaf->to;

	__builtin_prefetch(item);
	__builtin_prefetch(item + 64);
	if (tree_flags(leaf) & TREE_LONG) {
		__builtin_prefetch(item + 128);
		__builtin_prefetch(item + 192);
	}
}

/* One step down, or NULL where the search has ended. A key that falls from a branch has its predecessor below the next lower twig, as a rule
 * (tree_before). */
EITHER const struct tree_node *step(bool popcnt, struct tree_ahead *one)
{
	const struct tree_node *node = one->to;
	unsigned at = offset_of(node), place;

	if (one->length == 0 || at > one->length)                /* it has fallen, or ended */
		return one->before ? twigs_of(node) + twig_count_by(popcnt, node) - 1 : NULL;
	place = twig_place_by(popcnt, node, one->key[at]);
	if (has_twig(node, one->key[at]))
		return twigs_of(node) + place;
	one->length = 0;
	return one->before && place > 0 ? twigs_of(node) + place - 1 : NULL;
}

EITHER void ahead(bool popcnt, struct tree_ahead *a, unsigned count)
{
	uint8_t moving[TREE_AHEAD_MAX];
	unsigned left = count;

	for (unsigned i = 0; i < count; i++)
		moving[i] = (uint8_t)i;
	while (left) {
		unsigned still = 0;

		for (unsigned i = 0; i < left; i++) {
			struct tree_ahead *one = &a[moving[i]];
			const struct tree_node *next;

			if (!is_branch(one->to)) {
				fetch_item(one->to);
			} else if ((next = step(popcnt, one))) {
				__builtin_prefetch(next);
				one->to = next;
				moving[still++] = moving[i];
			}
		}
		left = still;
	}
}

WITH_POPCNT static void ahead_popcnt(struct tree_ahead *a, unsigned count) { ahead(true, a, count); }
static void ahead_plain(struct tree_ahead *a, unsigned count) { ahead(false, a, count); }

void tree_ahead(struct tree_ahead *a, unsigned count)
{
	if (HAS_POPCNT)
		ahead_popcnt(a, count);
	else
		ahead_plain(a, count);
}

EITHER const struct tree_node *descend(bool popcnt, const struct tree *tree, const uint8_t *key, size_t length)
{
	const struct tree_node *node = &tree->root;

	while (is_branch(node)) {
		unsigned at = offset_of(node);

		if (at > length || !has_twig(node, key[at]))
			break;
		node = twigs_of(node) + twig_place_by(popcnt, node, key[at]);
	}
	return node;
}

WITH_POPCNT static const struct tree_node *descend_get_popcnt(const struct tree *tree, const uint8_t *key, size_t length)
{
	return descend(true, tree, key, length);
}

/* The only leaf that can be the key's, or NULL. */
static const struct tree_node *candidate(const struct tree *tree, const uint8_t *key, size_t length)
{
	const struct tree_node *node = HAS_POPCNT ? descend_get_popcnt(tree, key, length) : descend(false, tree, key, length);

	return node->to && !is_branch(node) ? node : NULL;
}

const struct tree_node *tree_get(const struct tree *tree, const uint8_t *key, size_t length)
{
	const struct tree_node *leaf = candidate(tree, key, length);
	uint8_t symbol;

	return leaf && first_difference(key, length, leaf, &symbol) > length ? leaf : NULL;
}

const struct tree_node *tree_get_name(const struct tree *tree, const uint8_t *key, size_t length, const uint8_t *name, size_t octets)
{
	const struct tree_node *leaf = candidate(tree, key, length);
	const struct tree_item *item = leaf ? tree_item(leaf) : NULL;

	return item && item->name_length == octets && name_octets_equal(item->name, name, octets) ? leaf : NULL;
}

void tree_walk(struct tree_walk *walk, const struct tree *tree)
{
	walk->depth = 0;
	if (tree->root.to) {
		walk->level[0].at = &tree->root;
		walk->level[0].left = 1;
		walk->depth = 1;
	}
}

void tree_walk_from(struct tree_walk *walk, const struct tree *tree, uint64_t random)
{
	tree_walk(walk, tree);
	while (walk->depth && is_branch(walk->level[walk->depth - 1].at)) {
		const struct tree_node *node = walk->level[walk->depth - 1].at++;
		unsigned count = twig_count(node), skip = (unsigned)((random >> 32) % count);

		if (!--walk->level[walk->depth - 1].left)
			walk->depth--;
		walk->level[walk->depth].at = twigs_of(node) + skip;
		walk->level[walk->depth].left = count - skip;
		walk->depth++;
		random = random * 6364136223846793005 + 1442695040888963407;
	}
}

const struct tree_node *tree_walk_next(struct tree_walk *walk)
{
	while (walk->depth) {
		const struct tree_node *node = walk->level[walk->depth - 1].at++;

		if (!--walk->level[walk->depth - 1].left)
			walk->depth--;
		if (!is_branch(node))
			return node;
		walk->level[walk->depth].at = twigs_of(node);
		walk->level[walk->depth].left = twig_count(node);
		walk->depth++;
	}
	return NULL;
}

/* Knowing that the key differs from all below some branch on its way first at `common`, where they have `symbol`. */
EITHER const struct tree_node *before_from(bool popcnt, const struct tree *tree, const uint8_t *key, size_t length, bool or_equal,
	size_t common, uint8_t symbol)
{
	const struct tree_node *node = &tree->root, *lower = NULL;

	while (is_branch(node)) {
		unsigned at = offset_of(node), place;

		if (at > common || at > length)
			break;
		place = twig_place_by(popcnt, node, key[at]);
		if (place)
			lower = twigs_of(node) + place - 1;
		if (!has_twig(node, key[at]))
			return lower ? rightmost(lower) : NULL;
		node = twigs_of(node) + place;
	}
	if (common > length)
		return or_equal ? node : lower ? rightmost(lower) : NULL;
	if (key[common] > symbol)
		return rightmost(node);
	return lower ? rightmost(lower) : NULL;
}

/* Where the key falls from a branch, and the last leaf of the next lower twig agrees with it up to there, that leaf is the one, and no other
 * has been looked at. */
EITHER const struct tree_node *before(bool popcnt, const struct tree *tree, const uint8_t *key, size_t length, bool or_equal)
{
	const struct tree_node *node = descend(popcnt, tree, key, length), *lower = NULL;
	unsigned at = offset_of(node), place;
	size_t common;
	uint8_t symbol;

	if (!node->to)
		return NULL;
	if (is_branch(node) && at <= length && (place = twig_place_by(popcnt, node, key[at])) > 0)
		lower = rightmost(twigs_of(node) + place - 1);
	common = first_difference(key, length, lower ? lower : leftmost(node), &symbol);
	if (lower && common == at)
		return lower;
	return before_from(popcnt, tree, key, length, or_equal, common, symbol);
}

WITH_POPCNT static const struct tree_node *before_popcnt(const struct tree *tree, const uint8_t *key, size_t length, bool or_equal)
{
	return before(true, tree, key, length, or_equal);
}

const struct tree_node *tree_before(const struct tree *tree, const uint8_t *key, size_t length, bool or_equal)
{
	return HAS_POPCNT ? before_popcnt(tree, key, length, or_equal) : before(false, tree, key, length, or_equal);
}

const struct tree_node *tree_last(const struct tree *tree)
{
	return tree->root.to ? rightmost(&tree->root) : NULL;
}

/* --- two trees ------------------------------------------------------------- */

struct differ {
	tree_differs *call;
	void *ctx;
	size_t seen;
	uint8_t key[2][TREE_KEY_SIZE];
};

/* All below a node that only one of the trees has. */
static bool tell_all(struct differ *d, const struct tree_node *node, bool newer)
{
	d->seen++;
	if (!is_branch(node))
		return newer ? d->call(d->ctx, NULL, node) : d->call(d->ctx, node, NULL);
	for (unsigned i = 0; i < twig_count(node); i++)
		if (!tell_all(d, twigs_of(node) + i, newer))
			return false;
	return true;
}

static bool differ(struct differ *, const struct tree_node *older, const struct tree_node *newer);

/* Two branches of one prefix that end at the same place. */
static bool differ_twigs(struct differ *d, const struct tree_node *older, const struct tree_node *newer)
{
	const struct tree_node *from = twigs_of(older), *to = twigs_of(newer);
	bool on = true;

	for (uint64_t left = (older->word | newer->word) & BITMAP; on && left; left &= left - 1) {
		unsigned symbol = (unsigned)__builtin_ctzll(left);
		bool was = has_twig(older, symbol), is = has_twig(newer, symbol);

		on = was && is ? differ(d, from, to) : was ? tell_all(d, from, false) : tell_all(d, to, true);
		from += was;
		to += is;
	}
	return on;
}

/* A branch, and a node of the other tree all of whose names have the branch's prefix and then `symbol`. */
static bool differ_below(struct differ *d, const struct tree_node *branch, const struct tree_node *other, unsigned symbol, bool other_is_newer)
{
	unsigned place = twig_place(branch, symbol), behind = place + has_twig(branch, symbol), count = twig_count(branch);
	const struct tree_node *twig = twigs_of(branch);
	bool on = true;

	for (unsigned i = 0; on && i < place; i++)
		on = tell_all(d, twig + i, !other_is_newer);
	if (on && behind == place)
		on = tell_all(d, other, other_is_newer);
	else if (on)
		on = other_is_newer ? differ(d, twig + place, other) : differ(d, other, twig + place);
	for (unsigned i = behind; on && i < count; i++)
		on = tell_all(d, twig + i, !other_is_newer);
	return on;
}

/* Whether the names below two nodes part before either of them branches; `first`: the older one's come first. Leaves the keys of the first
 * names of both in `key`. */
static bool part_early(struct differ *d, const struct tree_node *older, const struct tree_node *newer, size_t branching, bool *first)
{
	size_t from = tree_item_key(tree_item(leftmost(older)), d->key[0]), to = tree_item_key(tree_item(leftmost(newer)), d->key[1]);
	size_t shorter = from < to ? from : to, i = 0;

	while (i <= shorter && d->key[0][i] == d->key[1][i])
		i++;
	*first = d->key[0][i] < d->key[1][i];
	return i <= shorter && i < branching;
}

static bool differ(struct differ *d, const struct tree_node *older, const struct tree_node *newer)
{
	size_t from = is_branch(older) ? offset_of(older) : SIZE_MAX, to = is_branch(newer) ? offset_of(newer) : SIZE_MAX;
	bool first;

	d->seen++;
	if (older->to == newer->to)
		return true;
	if (from == to && from != SIZE_MAX && leftmost(older)->to == leftmost(newer)->to)
		return differ_twigs(d, older, newer);
	if (part_early(d, older, newer, from < to ? from : to, &first))
		return first ? tell_all(d, older, false) && tell_all(d, newer, true) : tell_all(d, newer, true) && tell_all(d, older, false);
	if (from < to)
		return differ_below(d, older, newer, d->key[1][from], true);
	if (to < from)
		return differ_below(d, newer, older, d->key[0][to], false);
	return from == SIZE_MAX ? d->call(d->ctx, older, newer) : differ_twigs(d, older, newer);
}

size_t tree_differ(const struct tree *older, const struct tree *newer, tree_differs *call, void *ctx)
{
	struct differ d = {.call = call, .ctx = ctx};

	if (older->root.to && newer->root.to)
		differ(&d, &older->root, &newer->root);
	else if (older->root.to)
		tell_all(&d, &older->root, false);
	else if (newer->root.to)
		tell_all(&d, &newer->root, true);
	return d.seen;
}

/* --- editing ---------------------------------------------------------------- */

void tree_edit_begin_shared(struct tree_edit *edit, const struct tree *base, struct pool *pool)
{
	tree_edit_begin(edit, base, pool);
	edit->all_owned = edit->appending = false;
}

void tree_edit_begin(struct tree_edit *edit, const struct tree *base, struct pool *pool)
{
	memset(edit, 0, offsetof(struct tree_edit, path));
	edit->pool = pool;
	edit->all_owned = edit->appending = !base || !base->root.to;
	if (base)
		edit->tree = *base;
}

static bool owned(const struct tree_edit *edit, const struct tree_node *node)
{
	return edit->all_owned || node->word & OWNED;
}

static bool retire(struct tree_retired_list *retired, void *block, size_t size)
{
	if (!array_room(retired->list, retired->room, retired->count + 1))
		return false;
	retired->list[retired->count++] = (struct tree_retired){block, size};
	return true;
}

size_t tree_items_stay(const struct tree_item *item)
{
	(void)item;
	return 0;
}

void tree_retired_join(struct tree_retired_list *to, struct tree_retired_list *from)
{
	struct tree_retired *list;

	if (!to->count) {
		struct tree_retired_list empty = *to;

		*to = *from;
		*from = empty;
	} else if (from->count && (list = realloc(to->list, (to->count + from->count) * sizeof *list))) {
		memcpy(list + to->count, from->list, from->count * sizeof *list);
		to->list = list;
		to->count += from->count;
		to->room = to->count;
	}
	free(from->list);
	*from = (struct tree_retired_list){0};
}

void tree_edit_discard(struct tree_edit *edit, void *block, size_t size, bool is_owned)
{
	if (is_owned)
		pool_put(edit->pool, block, size);
	else if (!retire(&edit->retired, block, size))
		edit->failed = true;
}

/* Makes the branch's twig array this edit's own. */
static bool own_twigs(struct tree_edit *edit, struct tree_node *node)
{
	size_t size = twig_count(node) * sizeof *node;
	struct tree_node *copy;

	if (owned(edit, node))
		return true;
	copy = pool_alloc(edit->pool, size);
	if (!copy) {
		edit->failed = true;
		return false;
	}
	memcpy(copy, node->to, size);
	for (unsigned i = 0; i < twig_count(node); i++)
		copy[i].word &= ~OWNED;
	tree_edit_discard(edit, node->to, size, false);
	node->to = copy;
	node->word |= OWNED;
	return true;
}

/* A twig more in an owned branch. */
static struct tree_node *add_twig(struct tree_edit *edit, struct tree_node *node, unsigned symbol)
{
	unsigned count = twig_count(node), place = twig_place(node, symbol);
	struct tree_node *old = node->to, *twigs = pool_alloc(edit->pool, (count + 1) * sizeof *twigs);

	if (!twigs) {
		edit->failed = true;
		return NULL;
	}
	memcpy(twigs, old, place * sizeof *twigs);
	twigs[place] = (struct tree_node){0};
	memcpy(twigs + place + 1, old + place, (count - place) * sizeof *twigs);
	pool_put(edit->pool, old, count * sizeof *twigs);
	node->to = twigs;
	node->word |= UINT64_C(1) << symbol;
	return twigs + place;
}

/* Puts a new branch at `node`, between what is there (its key has `symbol` at `at`) and a new leaf. */
static struct tree_node *split(struct tree_edit *edit, struct tree_node *node, size_t at, unsigned symbol, unsigned new_symbol)
{
	struct tree_node *twigs = pool_alloc(edit->pool, 2 * sizeof *twigs);
	unsigned place = new_symbol > symbol;

	if (!twigs) {
		edit->failed = true;
		return NULL;
	}
	twigs[!place] = *node;
	twigs[place] = (struct tree_node){0};
	node->word = BRANCH | (edit->all_owned ? 0 : OWNED) | (uint64_t)at << OFFSET_SHIFT |
		UINT64_C(1) << symbol | UINT64_C(1) << new_symbol;
	node->to = twigs;
	return twigs + place;
}

/* Where the key first differs from the last one, if it is greater; then `last` is the key. False: names do not come in order. */
static bool append_difference(struct tree_edit *edit, const uint8_t *key, size_t length, size_t *common, uint8_t *symbol)
{
	size_t i = 0;

	while (key[i] == edit->last[i] && i <= length)
		i++;
	if (i > length || key[i] < edit->last[i])
		return false;
	*common = i;
	*symbol = edit->last[i];
	memcpy(edit->last + i, key + i, length + 2 - i);
	return true;
}

/* A name behind all others: its place is at the right edge of the tree, whose branches are at hand. They stay where they are: only
 * the lowest one's twigs move, and what was below its last twig is not on the edge any more. */
static struct tree_node *append_leaf(struct tree_edit *edit, const uint8_t *key, size_t common, uint8_t symbol)
{
	struct tree_node *node = &edit->tree.root;

	while (edit->depth && offset_of(edit->path[edit->depth - 1]) > common)
		edit->depth--;
	if (edit->depth) {
		node = edit->path[edit->depth - 1];
		if (offset_of(node) == common)
			return add_twig(edit, node, key[common]);
		node = twigs_of(node) + twig_count(node) - 1;
	}
	edit->path[edit->depth++] = node;
	return split(edit, node, common, symbol, key[common]);
}

struct tree_node *tree_edit_leaf(struct tree_edit *edit, const uint8_t *key, size_t length)
{
	struct tree_node *node = &edit->tree.root;
	size_t common;
	uint8_t symbol;

	if (!node->to) {
		memcpy(edit->last, key, length + 2);
		return node;
	}
	if (edit->appending) {
		if (append_difference(edit, key, length, &common, &symbol))
			return append_leaf(edit, key, common, symbol);
		edit->appending = false;
	}
	common = first_difference(key, length, leftmost(descend(false, &edit->tree, key, length)), &symbol);
	while (is_branch(node) && offset_of(node) <= common) {
		unsigned at = offset_of(node);

		if (!own_twigs(edit, node))
			return NULL;
		if (!has_twig(node, key[at]))
			return add_twig(edit, node, key[at]);
		node = twigs_of(node) + twig_place(node, key[at]);
	}
	if (common > length)
		return node;
	return split(edit, node, common, symbol, key[common]);
}

void tree_leaf_set(struct tree_edit *edit, struct tree_node *leaf, struct tree_item *item, uint16_t flags)
{
	leaf->word = flags | (edit->all_owned ? 0 : OWNED);
	leaf->to = item;
}

bool tree_leaf_owned(const struct tree_edit *edit, const struct tree_node *leaf)
{
	return owned(edit, leaf);
}

/* Takes the twig out of an owned branch; a branch of one twig becomes that twig. */
static void drop_twig(struct tree_edit *edit, struct tree_node *node, unsigned symbol)
{
	unsigned count = twig_count(node), place = twig_place(node, symbol);
	struct tree_node *old = node->to, *twigs;

	if (count == 2) {
		*node = old[!place];
		pool_put(edit->pool, old, 2 * sizeof *old);
		return;
	}
	twigs = pool_alloc(edit->pool, (count - 1) * sizeof *twigs);
	if (!twigs) {
		edit->failed = true;
		return;
	}
	memcpy(twigs, old, place * sizeof *twigs);
	memcpy(twigs + place, old + place + 1, (count - 1 - place) * sizeof *twigs);
	pool_put(edit->pool, old, count * sizeof *twigs);
	node->to = twigs;
	node->word &= ~(UINT64_C(1) << symbol);
}

void tree_edit_remove(struct tree_edit *edit, const uint8_t *key, size_t length)
{
	struct tree_node *node = &edit->tree.root;

	edit->appending = false;
	if (!tree_get(&edit->tree, key, length))
		return;
	if (!is_branch(node)) {
		*node = (struct tree_node){0};
		return;
	}
	for (;;) {
		struct tree_node *twig;
		unsigned symbol = key[offset_of(node)];

		if (!own_twigs(edit, node))
			return;
		twig = twigs_of(node) + twig_place(node, symbol);
		if (!is_branch(twig)) {
			drop_twig(edit, node, symbol);
			return;
		}
		node = twig;
	}
}

static bool copy_to(struct tree_node *node, struct pool *to, size_t (*item_size)(const struct tree_item *))
{
	size_t size = is_branch(node) ? twig_count(node) * sizeof *node : item_size(node->to);
	void *copy = pool_alloc(to, size);

	if (!copy)
		return false;
	memcpy(copy, node->to, size);
	node->to = copy;
	if (!is_branch(node))
		return true;
	for (unsigned i = 0; i < twig_count(node); i++)
		if (!copy_to(twigs_of(node) + i, to, item_size))
			return false;
	return true;
}

bool tree_edit_move(struct tree_edit *edit, struct pool *to, size_t (*item_size)(const struct tree_item *))
{
	struct tree_node root = edit->tree.root;

	if (root.to && !copy_to(&root, to, item_size))
		return false;
	edit->tree.root = root;
	edit->pool = to;
	edit->appending = false;     /* its path leads through the old blocks */
	return true;
}

/* Clears the marks of an edit; they stand on a connected part of the tree that begins at the root. */
static void settle(struct tree_node *node)
{
	if (!(node->word & OWNED))
		return;
	node->word &= ~OWNED;
	if (is_branch(node))
		for (unsigned i = 0; i < twig_count(node); i++)
			settle(twigs_of(node) + i);
}

struct tree tree_edit_end(struct tree_edit *edit, struct tree_retired_list *retired)
{
	if (!edit->all_owned)
		settle(&edit->tree.root);
	*retired = edit->retired;
	edit->retired = (struct tree_retired_list){0};
	return edit->tree;
}

struct leaving {
	size_t (*item_size)(const struct tree_item *);
	struct tree_retired_list *list;
	uint8_t key[TREE_KEY_SIZE];
};

/* The node of the older version, at `old` or below, that stands where `node` does; one that branches later, or NULL, if none does. */
static const struct tree_node *same_place(struct leaving *l, const struct tree_node *old, const struct tree_node *node)
{
	size_t length = tree_item_key(tree_item(leftmost(node)), l->key);

	while (old && is_branch(old) && (!is_branch(node) || offset_of(old) < offset_of(node))) {
		unsigned at = offset_of(old);

		old = at <= length && has_twig(old, l->key[at]) ? twigs_of(old) + twig_place(old, l->key[at]) : NULL;
	}
	return old;
}

static void leave(struct leaving *l, const struct tree_node *old, const struct tree_node *node)
{
	if (old)
		old = same_place(l, old, node);
	if (old && old->to == node->to)
		return;
	if (!is_branch(node)) {
		retire(l->list, node->to, l->item_size(node->to));
		return;
	}
	for (unsigned i = 0; i < twig_count(node); i++)
		leave(l, old, twigs_of(node) + i);
	retire(l->list, node->to, twig_count(node) * sizeof *node);
}

void tree_leave(const struct tree *older, const struct tree *newer, size_t (*item_size)(const struct tree_item *),
	struct tree_retired_list *list)
{
	struct leaving l = {.item_size = item_size, .list = list};

	if (newer->root.to)
		leave(&l, older->root.to ? &older->root : NULL, &newer->root);
}

static void abandon(struct tree_edit *edit, struct tree_node *node, size_t (*item_size)(const struct tree_item *))
{
	if (!(node->word & OWNED))
		return;
	if (!is_branch(node)) {
		if (node->to)
			pool_put(edit->pool, node->to, item_size(node->to));
		return;
	}
	for (unsigned i = 0; i < twig_count(node); i++)
		abandon(edit, twigs_of(node) + i, item_size);
	pool_put(edit->pool, node->to, twig_count(node) * sizeof *node);
}

void tree_edit_abort(struct tree_edit *edit, size_t (*item_size)(const struct tree_item *))
{
	if (!edit->all_owned)
		abandon(edit, &edit->tree.root, item_size);
	free(edit->retired.list);
	edit->retired = (struct tree_retired_list){0};
}
