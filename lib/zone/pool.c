#include "zone/pool.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
	SMALL = 1024,                /* up to here one free list for each size */
	CLASSES = SMALL / 8 + 8 * 12,   /* then eight for each doubling */
	LISTS = 16,                  /* free lists that are made together, when one of them is needed */
	GROUPS = (CLASSES + LISTS - 1) / LISTS,
	LARGE = 256 << 10,           /* from here a block of its own */
	CHUNK_FIRST = 1024,
	HUGE_PAGE = 2 << 20,
};

struct chunk {
	struct chunk *older;
	size_t size;                 /* with this header */
};

/* A block of its own: malloc'd, in a ring, so that pool_free finds it. */
struct large {
	struct large *next, *prev;
};

struct free_block {
	struct free_block *next;
};

struct pool {
	char *at, *end;
	struct chunk *chunk;
	struct large large;
	size_t bytes, idle, used;
	size_t next_chunk;
	struct free_block ***freed;  /* GROUPS of LISTS lists; each NULL until something is freed there */
};

struct pool *pool_new(void)
{
	struct pool *pool = calloc(1, sizeof *pool);

	if (!pool)
		return NULL;
	pool->large.next = pool->large.prev = &pool->large;
	pool->next_chunk = CHUNK_FIRST;
	return pool;
}

struct pool *pool_new_for(size_t used)
{
	struct pool *pool = pool_new();

	if (pool)
		pool->next_chunk = used + sizeof(struct chunk);
	return pool;
}

static void chunk_free(struct chunk *chunk)
{
	if (chunk->size >= HUGE_PAGE)
		munmap(chunk, chunk->size);
	else
		free(chunk);
}

void pool_free(struct pool *pool)
{
	if (!pool)
		return;
	while (pool->chunk) {
		struct chunk *older = pool->chunk->older;

		chunk_free(pool->chunk);
		pool->chunk = older;
	}
	while (pool->large.next != &pool->large) {
		struct large *large = pool->large.next;

		pool->large.next = large->next;
		free(large);
	}
	for (unsigned i = 0; pool->freed && i < GROUPS; i++)
		free(pool->freed[i]);
	free(pool->freed);
	free(pool);
}

/* The free list of a class; NULL: it has never had a block, or (`make`) out of memory. */
static struct free_block **list_of(struct pool *pool, unsigned class, bool make)
{
	struct free_block ***group;

	if (!pool->freed && !(make && (pool->freed = calloc(GROUPS, sizeof *pool->freed))))
		return NULL;
	group = &pool->freed[class / LISTS];
	if (!*group && !(make && (*group = calloc(LISTS, sizeof **group))))
		return NULL;
	return *group + class % LISTS;
}

/* The class of a size, and the size that blocks of the class have. */
static unsigned class_of(size_t size, size_t *rounded)
{
	unsigned log, step;

	if (size <= SMALL) {
		*rounded = (size + 7) & ~(size_t)7;
		return (unsigned)(*rounded / 8) - 1;
	}
	log = 63 - (unsigned)__builtin_clzl(size - 1);       /* 2^log < size <= 2^(log+1) */
	step = (unsigned)((size - 1 - ((size_t)1 << log)) >> (log - 3));
	*rounded = ((size_t)1 << log) + ((size_t)(step + 1) << (log - 3));
	return SMALL / 8 + (log - 10) * 8 + step;
}

static struct chunk *map_huge(size_t size)
{
	char *raw = mmap(NULL, size + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *aligned;

	if (raw == MAP_FAILED)
		return NULL;
	aligned = (char *)(((uintptr_t)raw + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1));
	if (aligned > raw)
		munmap(raw, (size_t)(aligned - raw));
	munmap(aligned + size, (size_t)(raw + HUGE_PAGE - aligned));
	madvise(aligned, size, MADV_HUGEPAGE);
	return (struct chunk *)aligned;
}

static void keep(struct pool *pool, void *block, size_t size);

/* A new chunk; what is left of the one before goes to the free lists. */
static int grow(struct pool *pool, size_t need)
{
	size_t size = pool->next_chunk;
	struct chunk *chunk;

	while (size < HUGE_PAGE && size < need + sizeof *chunk)
		size *= 2;
	chunk = size >= HUGE_PAGE ? map_huge(size) : malloc(size);
	if (!chunk)
		return -1;
	while (pool->end - pool->at >= 8) {
		size_t left = (size_t)(pool->end - pool->at);

		left = left > SMALL ? SMALL : left & ~(size_t)7;
		keep(pool, pool->at, left);
		pool->at += left;
	}
	chunk->older = pool->chunk;
	chunk->size = size;
	pool->chunk = chunk;
	pool->bytes += size;
	pool->at = (char *)(chunk + 1);
	pool->end = (char *)chunk + size;
	pool->next_chunk = size < HUGE_PAGE ? size * 2 : size;
	return 0;
}

static void *large_alloc(struct pool *pool, size_t size)
{
	struct large *large = malloc(sizeof *large + size);

	if (!large)
		return NULL;
	large->next = &pool->large;
	large->prev = pool->large.prev;
	large->prev->next = large->next->prev = large;
	pool->bytes += sizeof *large + size;
	pool->used += size;
	return large + 1;
}

void *pool_alloc(struct pool *pool, size_t size)
{
	struct free_block **list, *first;
	size_t rounded;
	unsigned class;
	void *block;

	if (size >= LARGE)
		return large_alloc(pool, size);
	class = class_of(size, &rounded);
	list = list_of(pool, class, false);
	if (list && *list) {
		first = *list;
		*list = first->next;
		pool->idle -= rounded;
		pool->used += rounded;
		return first;
	}
	if ((size_t)(pool->end - pool->at) < rounded && grow(pool, rounded) < 0)
		return NULL;
	block = pool->at;
	pool->at += rounded;
	pool->used += rounded;
	return block;
}

/* `size` is a class's own size. */
static void keep(struct pool *pool, void *block, size_t size)
{
	struct free_block *first = block;
	size_t rounded;
	struct free_block **list = list_of(pool, class_of(size, &rounded), true);

	if (!list)
		return;              /* lost until the pool goes */
	first->next = *list;
	*list = first;
	pool->idle += rounded;
}

void pool_put(struct pool *pool, void *block, size_t size)
{
	size_t rounded;

	if (!block || !size)
		return;
	if (size >= LARGE) {
		struct large *large = (struct large *)block - 1;

		large->next->prev = large->prev;
		large->prev->next = large->next;
		pool->bytes -= sizeof *large + size;
		pool->used -= size;
		free(large);
		return;
	}
	class_of(size, &rounded);
	pool->used -= rounded;
	keep(pool, block, rounded);
}

size_t pool_bytes(const struct pool *pool)
{
	size_t lists = 0;

	for (unsigned i = 0; pool->freed && i < GROUPS; i++)
		lists += pool->freed[i] ? LISTS * sizeof **pool->freed : 0;
	return pool->bytes + lists + (pool->freed ? GROUPS * sizeof *pool->freed : 0) + sizeof *pool;
}

size_t pool_used(const struct pool *pool)
{
	return pool->used;
}

size_t pool_idle(const struct pool *pool)
{
	return pool->idle;
}
