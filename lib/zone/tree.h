/* zone/tree: a persistent (copy-on-write) trie of domain names in canonical order.
 *
 *   key of "b.a." below its origin:   a END b END END       (one symbol an octet, most significant label first)
 *
 *   branch: | tag,offset | bitmap of 48 symbols | ──► twigs, one node a set bit, in order
 *   leaf:   | tag | flags (the owner's to define) | ──► the item, which begins with its name
 *
 * A parent name's key is a prefix of its children's, and END is the lowest symbol, so canonical order (RFC 4034
 * 6.1) is the order of keys, the ancestors of a name lie on the path to it, and an empty non-terminal
 * is a branch. Nodes are 16 octets; a lookup reads one twig array a level.
 * Symbols: END, one for each octet of host names and '*', and two in a row for the others; 48 in all.
 * Readers see a `struct tree` by value; one writer edits through `struct tree_edit`, which copies only the
 * paths that it touches, and hands what they replaced to the `retired` list.
 */
#ifndef ZONE_TREE_H
#define ZONE_TREE_H

#include "dns/name.h"
#include "zone/pool.h"

#include <stdbool.h>

enum { TREE_KEY_SIZE = 2 * NAME_SIZE + 2, TREE_DEPTH = TREE_KEY_SIZE, TREE_ANCESTORS = NAME_LABELS + 1 };

struct tree_node {
	uint64_t word;
	void *to;
};

struct tree {
	struct tree_node root;       /* to == NULL: empty */
};

/* An item: whatever a leaf points to. It begins with its name, relative to the tree's origin: */
struct tree_item {
	uint8_t name_length;         /* octets, without a root label */
	uint8_t name[];              /* labels, case kept */
};

/* Symbols of host names' digits and letters, in order from these on; and the one that ends a label. */
enum { TREE_END = 0, TREE_ZERO = 6, TREE_A = 19 };
/* Symbols of `name`'s labels but the last `skip` ones (the origin's). Returns their number, the two ENDs that close a
 * key not counted but written. `out` has room for TREE_KEY_SIZE, or for all that the name can become. */
size_t tree_key(const uint8_t *name, unsigned skip, uint8_t *out);
/* The same of an item's name. */
size_t tree_item_key(const struct tree_item *, uint8_t out[TREE_KEY_SIZE]);

/* A name made ready once for all trees that it is looked up in: its key below an origin is the end of its whole key. */
struct tree_name {
	const uint8_t *name;         /* borrowed */
	uint8_t octets, labels;      /* without the root label */
	uint16_t length;             /* of the key */
	uint8_t symbol[TREE_KEY_SIZE];
};
void tree_name(struct tree_name *, const uint8_t *name);
/* What the names in a tree have in common; all 0: the root. */
struct tree_origin {
	uint8_t octets, labels;
	uint16_t length;             /* of its key */
};
struct tree_origin tree_origin(const uint8_t *name);

/* Leaf flags: 16 bits, the low 15 free for the owner's use, found without touching the item. */
enum {
	TREE_LONG = 1 << 15,         /* the item is longer than TREE_SHORT octets: tree_ahead fetches more of it */
	TREE_SHORT = 112,
};
static inline uint16_t tree_flags(const struct tree_node *leaf) { return (uint16_t)leaf->word; }
static inline struct tree_item *tree_item(const struct tree_node *leaf) { return leaf->to; }

/* What a search found. Nodes stay valid as long as the tree's version. */
struct tree_hit {
	const struct tree_node *leaf;                        /* the name itself, or NULL */
	bool exists;                                         /* it, or something below it (an empty non-terminal) */
	unsigned common;                                     /* labels that lead to existing names: the closest encloser's depth */
	unsigned ancestors;                                  /* existing proper ancestors with items, highest first */
	const struct tree_node *ancestor[TREE_ANCESTORS];
	uint8_t ancestor_labels[TREE_ANCESTORS];             /* how many labels below the origin each is */
};
/* The name is at or below the origin. */
void tree_find(const struct tree *, struct tree_origin, const struct tree_name *, struct tree_hit *);
/* Fetches into the processor's cache what tree_find, tree_get or (`before`) tree_before will read for each of the keys, and the items that
 * they lead to, in step, so that the memory's latency is paid for all of them together. `to`: where the search ended. Asks nothing of the
 * result. */
struct tree_ahead {
	const struct tree_node *to;
	const uint8_t *key;
	uint16_t length;
	bool before;
};
enum { TREE_AHEAD_MAX = 64 };
void tree_ahead(struct tree_ahead *, unsigned count);
static inline struct tree_ahead tree_ahead_of(const struct tree *tree, struct tree_origin origin, const struct tree_name *name)
{
	return (struct tree_ahead){&tree->root, name->symbol + origin.length, (uint16_t)(name->length - origin.length), false};
}
/* Only an exact match, or NULL. */
const struct tree_node *tree_get(const struct tree *, const uint8_t *key, size_t length);
/* The same in fewer steps, for who has the name itself too: its octets below the origin. */
const struct tree_node *tree_get_name(const struct tree *, const uint8_t *key, size_t length, const uint8_t *name, size_t octets);

/* Walking in canonical order. The path is inside, so it is about 8 KB. */
struct tree_walk {
	unsigned depth;
	struct { const struct tree_node *at; uint64_t left; } level[TREE_DEPTH];
};
void tree_walk(struct tree_walk *, const struct tree *);
/* From some leaf on, to the end; `random` says from which. Not each is as likely as any other. */
void tree_walk_from(struct tree_walk *, const struct tree *, uint64_t random);
/* The next leaf, NULL at the end. */
const struct tree_node *tree_walk_next(struct tree_walk *);
/* The leaf with the greatest name smaller than the key (equal: `or_equal`), or NULL. */
const struct tree_node *tree_before(const struct tree *, const uint8_t *key, size_t length, bool or_equal);
/* The leaf with the greatest name of all, or NULL. */
const struct tree_node *tree_last(const struct tree *);

/* What two trees of one origin differ in, in canonical order: each leaf that only one of them has (the other is NULL), and both of a name
 * whose items are not the same block. What the two share, as versions that were made from each other do, is not visited. False from
 * `call` ends it. Returns how many nodes were looked at. Both trees stay as they are meanwhile. */
typedef bool tree_differs(void *ctx, const struct tree_node *older, const struct tree_node *newer);
size_t tree_differ(const struct tree *older, const struct tree *newer, tree_differs *call, void *ctx);

/* For trees whose items belong to somebody else: an `item_size` that leaves them where they are. */
size_t tree_items_stay(const struct tree_item *);

/* A block that a version no longer uses. */
struct tree_retired {
	void *block;
	size_t size;
};
struct tree_retired_list {
	struct tree_retired *list;
	size_t count, room;
};
/* Moves all of `from` behind `to`. Out of memory: they are lost, not the lists. */
void tree_retired_join(struct tree_retired_list *to, struct tree_retired_list *from);

/* Editing. `all_owned`: the tree was begun empty in this edit, so every block may be changed in place. */
struct tree_edit {
	struct tree tree;
	struct pool *pool;
	bool all_owned;
	bool failed;                 /* out of memory: the edit must be dropped, and with it the pool or its new blocks */
	struct tree_retired_list retired;
	bool appending;              /* begun empty, and every key so far was greater than the one before: `last` */
	unsigned depth;              /* appending: the branches that lead to `last`, the root's first */
	struct tree_node *path[TREE_DEPTH];
	uint8_t last[TREE_KEY_SIZE];
};
void tree_edit_begin(struct tree_edit *, const struct tree *base, struct pool *);
/* The same in a pool that must outlive the edit though the base is empty. */
void tree_edit_begin_shared(struct tree_edit *, const struct tree *base, struct pool *);
/* The place of the leaf with that key, made if absent (then `to` is NULL and must be set, with tree_leaf_set, before anything
 * else is done); all nodes above are owned. NULL if out of memory. */
struct tree_node *tree_edit_leaf(struct tree_edit *, const uint8_t *key, size_t length);
void tree_leaf_set(struct tree_edit *, struct tree_node *leaf, struct tree_item *, uint16_t flags);
/* Whether the item at the leaf was put there by this edit (so may be freed at once, else it is retired). */
bool tree_leaf_owned(const struct tree_edit *, const struct tree_node *leaf);
void tree_edit_remove(struct tree_edit *, const uint8_t *key, size_t length);
/* A block of `size` that the edit has replaced: frees it now if `owned`, else retires it. */
void tree_edit_discard(struct tree_edit *, void *block, size_t size, bool owned);
/* Copies everything to another pool, which is the edit's from then on; only with `all_owned`. False: out of memory, nothing but the
 * new pool has changed. */
bool tree_edit_move(struct tree_edit *, struct pool *to, size_t (*item_size)(const struct tree_item *));
/* Ends the edit: the tree is immutable from here on. The retired list is the caller's (free(list.list)). */
struct tree tree_edit_end(struct tree_edit *, struct tree_retired_list *retired);
/* What a finished version leaves that is given up: adds to the list the blocks of `newer` that `older`, which it was made from, does not
 * have. Out of memory: some are left out. */
void tree_leave(const struct tree *older, const struct tree *newer, size_t (*item_size)(const struct tree_item *),
	struct tree_retired_list *);
/* Or gives up: the blocks that the edit made go back to the pool (unless all_owned: then the pool goes as a whole); the
 * base is as it was. `item_size` tells an item's octets. */
void tree_edit_abort(struct tree_edit *, size_t (*item_size)(const struct tree_item *));

#endif
