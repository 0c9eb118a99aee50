#include "base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct arena_chunk {
	struct arena_chunk *older;
	size_t size;                 /* of the bytes after this header */
};

enum { CHUNK_FIRST = 4096 - 64, CHUNK_MAX = 1 << 20 };

static int grow(struct arena *arena, size_t need)
{
	size_t size = arena->chunk ? arena->chunk->size * 2 : CHUNK_FIRST;
	struct arena_chunk *chunk;

	if (size > CHUNK_MAX)
		size = CHUNK_MAX;
	if (size < need)
		size = need;
	chunk = malloc(sizeof *chunk + size);
	if (!chunk)
		return -1;
	chunk->older = arena->chunk;
	chunk->size = size;
	arena->chunk = chunk;
	arena->at = (char *)(chunk + 1);
	arena->end = arena->at + size;
	arena->total += sizeof *chunk + size;
	return 0;
}

void *arena_alloc(struct arena *arena, size_t size)
{
	void *block;

	if (size > SIZE_MAX - 16)
		return NULL;
	size = (size + 7) & ~(size_t)7;
	if ((size_t)(arena->end - arena->at) < size && grow(arena, size) < 0)
		return NULL;
	block = arena->at;
	arena->at += size;
	return block;
}

void *arena_zero(struct arena *arena, size_t size)
{
	void *block = arena_alloc(arena, size);

	return block ? memset(block, 0, size) : NULL;
}

void *arena_dup(struct arena *arena, const void *bytes, size_t size)
{
	void *block = arena_alloc(arena, size);

	return block && size ? memcpy(block, bytes, size) : block;
}

char *arena_strdup(struct arena *arena, const char *text)
{
	return arena_dup(arena, text, strlen(text) + 1);
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
	va_list args, again;
	char *text = NULL;
	int length;

	va_start(args, format);
	va_copy(again, args);
	length = vsnprintf(NULL, 0, format, args);
	if (length >= 0 && (text = arena_alloc(arena, (size_t)length + 1)))
		vsnprintf(text, (size_t)length + 1, format, again);
	va_end(again);
	va_end(args);
	return text;
}

void arena_release(struct arena *arena)
{
	while (arena->chunk) {
		struct arena_chunk *older = arena->chunk->older;

		free(arena->chunk);
		arena->chunk = older;
	}
	*arena = (struct arena)ARENA_INIT;
}
