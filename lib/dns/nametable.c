#include "dns/nametable.h"

#include "base/net.h"
#include "base/siphash.h"

#include <stdlib.h>

enum { ROOM_MIN = 64 };

/* The upper half of a slot is that of the hash, the lower one the number + 1. */
static uint64_t hash_of(const struct nametable *t, const uint8_t *name)
{
	uint8_t lower[NAME_SIZE];
	size_t length = name_lower(name, lower);

	return siphash(t->key, lower, length);
}

static void put(uint64_t *slots, size_t room, uint64_t slot)
{
	size_t at = (size_t)(slot >> 32) & (room - 1);

	while (slots[at])
		at = (at + 1) & (room - 1);
	slots[at] = slot;
}

static bool grow(struct nametable *t)
{
	size_t room = t->room ? t->room * 2 : ROOM_MIN;
	uint64_t *slots = calloc(room, sizeof *slots);

	if (!slots)
		return false;
	if (!t->room)
		net_random(t->key, sizeof t->key);
	for (size_t i = 0; i < t->room; i++)
		if (t->slots[i])
			put(slots, room, t->slots[i]);
	free(t->slots);
	t->slots = slots;
	t->room = room;
	return true;
}

bool nametable_put(struct nametable *t, const uint8_t *name, uint32_t number)
{
	if (t->count * 2 >= t->room && !grow(t))
		return false;
	put(t->slots, t->room, hash_of(t, name) >> 32 << 32 | (number + 1));
	t->count++;
	return true;
}

uint32_t nametable_find(const struct nametable *t, const uint8_t *name, nametable_name *name_of, const void *array)
{
	uint64_t hash = t->room ? hash_of(t, name) : 0;

	for (size_t at = (size_t)(hash >> 32); t->room && t->slots[at & (t->room - 1)]; at++) {
		uint64_t slot = t->slots[at & (t->room - 1)];
		uint32_t number = (uint32_t)slot - 1;

		if (slot >> 32 == hash >> 32 && name_equal(name_of(array, number), name))
			return number;
	}
	return NAMETABLE_NONE;
}

void nametable_release(struct nametable *t)
{
	free(t->slots);
	*t = (struct nametable){0};
}
