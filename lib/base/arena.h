/* base/arena: a bump allocator, one per lifetime: what is allocated together is
 * freed together. arena_alloc leaves its bytes uninitialised, arena_zero does not.
 * One thread at a time.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

struct arena_chunk;

struct arena {
	struct arena_chunk *chunk;   /* the newest; NULL: nothing allocated yet */
	char *at, *end;
	size_t total;                /* bytes taken from malloc */
};

#define ARENA_INIT {0}

/* Aligned to 8. NULL if out of memory: the arena stays as it was. */
void *arena_alloc(struct arena *, size_t size);
void *arena_zero(struct arena *, size_t size);
void *arena_dup(struct arena *, const void *bytes, size_t size);
char *arena_strdup(struct arena *, const char *text);
char *arena_printf(struct arena *, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Gives everything back; the arena is as after ARENA_INIT. */
void arena_release(struct arena *);

#endif
