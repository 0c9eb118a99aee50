#include "zone/store.h"

#include <stdlib.h>
#include <string.h>
#include <urcu.h>

struct store_zone {
	struct zone *current;        /* RCU */
	enum store_state state;      /* written before `current`, read after it */
	struct store_policy *policy; /* RCU */
	struct history *history;     /* RCU */
	int64_t expiry;              /* atomic */
	unsigned since;              /* the edit that added it */
	struct store_zone *next_removed;
	struct tree_item item;       /* its name: what the tree finds */
};

struct store {
	struct tree *tree;           /* RCU; never NULL */
	struct pool *pool;
	struct tree_edit edit;
	bool editing;
	unsigned edits;              /* begun so far */
	struct store_zone *removed;  /* in the open edit */
};

void store_thread_begin(void) { rcu_register_thread(); }
void store_thread_end(void) { rcu_unregister_thread(); }
void store_enter(void) { rcu_read_lock(); }
void store_leave(void) { rcu_read_unlock(); }
void store_settle(void) { rcu_barrier(); }

static struct store_zone *zone_of(const struct tree_node *leaf)
{
	return caa_container_of(tree_item(leaf), struct store_zone, item);
}

const struct store_zone *store_find(const struct store *store, const struct tree_name *name, const struct store_zone **parent)
{
	struct tree_hit hit;
	const struct store_zone *found = NULL;

	if (parent)
		*parent = NULL;
	tree_find(rcu_dereference(store->tree), (struct tree_origin){0}, name, &hit);
	if (hit.leaf)
		found = zone_of(hit.leaf);
	else if (hit.ancestors)
		found = zone_of(hit.ancestor[--hit.ancestors]);
	if (parent && hit.ancestors)
		*parent = zone_of(hit.ancestor[hit.ancestors - 1]);
	return found;
}

struct tree_ahead store_ahead(const struct store *store, const struct tree_name *name)
{
	return tree_ahead_of(rcu_dereference(store->tree), (struct tree_origin){0}, name);
}

const struct store_zone *store_exact(const struct store *store, const uint8_t *name)
{
	uint8_t key[TREE_KEY_SIZE];
	const struct tree *tree = rcu_dereference(store->tree);
	size_t length = tree_key(name, 0, key);
	const struct tree_node *leaf = tree->root.to ? tree_get(tree, key, length) : NULL;

	return leaf ? zone_of(leaf) : NULL;
}

struct zone *store_pin(const struct store_zone *place, enum store_state *state)
{
	struct zone *zone = rcu_dereference(place->current);

	if (state)
		*state = zone ? STORE_SERVED : __atomic_load_n(&place->state, __ATOMIC_ACQUIRE);
	return zone;
}

const struct store_policy *store_policy(const struct store_zone *place)
{
	return rcu_dereference(place->policy);
}

struct history *store_history(const struct store_zone *place)
{
	return rcu_dereference(place->history);
}

int64_t store_expiry(const struct store_zone *place)
{
	return __atomic_load_n(&place->expiry, __ATOMIC_RELAXED);
}

void store_set_expiry(struct store_zone *place, int64_t ms)
{
	__atomic_store_n(&place->expiry, ms, __ATOMIC_RELAXED);
}

const uint8_t *store_name(const struct store_zone *place)
{
	return place->item.name;
}

struct zone *store_hold(const struct store_zone *place)
{
	struct zone *zone;

	rcu_read_lock();
	zone = rcu_dereference(place->current);
	if (zone)
		zone_hold(zone);
	rcu_read_unlock();
	return zone;
}

/* --- the writer's side ---------------------------------------------------- */

struct later {
	struct rcu_head head;
	void (*call)(void *arg);
	void *arg;
};

static void do_later(struct rcu_head *head)
{
	struct later *later = caa_container_of(head, struct later, head);

	later->call(later->arg);
	free(later);
}

void store_after_readers(void (*call)(void *arg), void *arg)
{
	struct later *later = malloc(sizeof *later);

	if (!later) {
		synchronize_rcu();
		call(arg);
		return;
	}
	later->call = call;
	later->arg = arg;
	call_rcu(&later->head, do_later);
}

static void put_zone(void *zone)
{
	zone_put(zone);
}

static void drop_history(void *history)
{
	history_drop(history);
}

static void release_policy(void *arg)
{
	struct store_policy *policy = arg;

	if (policy->release)
		policy->release(policy);
}

void store_commit(struct store_zone *place, struct zone *version, enum store_state state)
{
	struct zone *old;

	__atomic_store_n(&place->state, state, __ATOMIC_RELEASE);
	old = rcu_xchg_pointer(&place->current, version);
	if (old)
		store_after_readers(put_zone, old);
}

void store_set_history(struct store_zone *place, struct history *history)
{
	struct history *old = rcu_xchg_pointer(&place->history, history);

	if (old)
		store_after_readers(drop_history, old);
}

struct store_policy *store_swap_policy(struct store_zone *place, struct store_policy *policy)
{
	return rcu_xchg_pointer(&place->policy, policy);
}

void store_set_policy(struct store_zone *place, struct store_policy *policy)
{
	struct store_policy *old = rcu_xchg_pointer(&place->policy, policy);

	if (old)
		store_after_readers(release_policy, old);
}

struct store *store_new(void)
{
	struct store *store = calloc(1, sizeof *store);

	if (!store)
		return NULL;
	store->pool = pool_new();
	store->tree = calloc(1, sizeof *store->tree);
	if (!store->pool || !store->tree) {
		pool_free(store->pool);
		free(store->tree);
		free(store);
		return NULL;
	}
	return store;
}

static void place_free(struct store_zone *place)
{
	zone_put(place->current);
	history_drop(place->history);
	if (place->policy)
		release_policy(place->policy);
	free(place);
}

void store_free(struct store *store)
{
	const struct tree_node *leaf;
	struct tree_walk walk;

	if (!store)
		return;
	store_publish(store);
	tree_walk(&walk, store->tree);
	while ((leaf = tree_walk_next(&walk)))
		place_free(zone_of(leaf));
	pool_free(store->pool);
	free(store->tree);
	free(store);
}

static void begin(struct store *store)
{
	if (store->editing)
		return;
	tree_edit_begin(&store->edit, store->tree, store->pool);
	store->editing = true;
	store->edits++;
}

/* The places that the edit added go; those that it removed are still in the tree that is served. */
static void give_up(struct store *store)
{
	const struct tree_node *leaf;
	struct tree_walk walk;

	tree_walk(&walk, &store->edit.tree);
	while ((leaf = tree_walk_next(&walk)))
		if (zone_of(leaf)->since == store->edits) {
			place_free(zone_of(leaf));
			((struct tree_node *)(uintptr_t)leaf)->to = NULL;    /* not a block of the pool's */
		}
	tree_edit_abort(&store->edit, tree_items_stay);
	for (struct store_zone *place = store->removed, *next; place; place = next) {
		next = place->next_removed;
		if (place->since == store->edits)
			place_free(place);
	}
	store->removed = NULL;
	store->editing = false;
}

enum err store_add(struct store *store, const uint8_t *name, struct store_policy *policy, struct store_zone **out)
{
	size_t length = name_length(name), key_length;
	uint8_t key[TREE_KEY_SIZE];
	struct store_zone *place;
	struct tree_node *leaf;

	begin(store);
	key_length = tree_key(name, 0, key);
	if (store->edit.tree.root.to && tree_get(&store->edit.tree, key, key_length))
		return ERR_EXISTS;
	place = calloc(1, sizeof *place + length);
	leaf = place ? tree_edit_leaf(&store->edit, key, key_length) : NULL;
	if (!leaf) {
		store->edit.failed = true;
		free(place);
		return ERR_NOMEM;
	}
	place->state = STORE_LOADING;
	place->policy = policy;
	place->expiry = STORE_NO_EXPIRY;
	place->since = store->edits;
	place->item.name_length = (uint8_t)(length - 1);
	memcpy(place->item.name, name, length);
	tree_leaf_set(&store->edit, leaf, &place->item, 0);
	*out = place;
	return ERR_OK;
}

void store_remove(struct store *store, struct store_zone *place)
{
	uint8_t key[TREE_KEY_SIZE];

	begin(store);
	tree_edit_remove(&store->edit, key, tree_key(place->item.name, 0, key));
	place->next_removed = store->removed;
	store->removed = place;
}

static void free_removed(struct store *store)
{
	while (store->removed) {
		struct store_zone *place = store->removed;

		store->removed = place->next_removed;
		place_free(place);
	}
}

enum err store_publish(struct store *store)
{
	struct tree *tree, *old;
	struct tree_retired_list retired;

	if (!store->editing)
		return ERR_OK;
	tree = malloc(sizeof *tree);
	if (!tree || store->edit.failed) {
		free(tree);
		give_up(store);
		return ERR_NOMEM;
	}
	*tree = tree_edit_end(&store->edit, &retired);
	store->editing = false;
	old = rcu_xchg_pointer(&store->tree, tree);
	synchronize_rcu();
	for (size_t i = 0; i < retired.count; i++)
		pool_put(store->pool, retired.list[i].block, retired.list[i].size);
	free(retired.list);
	free(old);
	free_removed(store);
	return ERR_OK;
}
