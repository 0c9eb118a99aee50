#include "zone/journalplace.h"

#include "base/array.h"

#include <stdlib.h>

static const uint8_t *name_of(const void *array, uint32_t number)
{
	const struct journalplaces *p = array;

	return p->names + p->places[number].name;
}

/* Room for one more with that name; NULL: no memory. */
static struct journalplace *new_place(struct journalplaces *p, const uint8_t *name)
{
	uint32_t number = (uint32_t)p->count;

	if (p->count >= INT32_MAX || !array_room(p->places, p->room, p->count + 1) ||
	    !array_room(p->names, p->names_room, p->names_used + NAME_SIZE) || !nametable_put(&p->table, name, number))
		return NULL;
	p->places[number] = (struct journalplace){.name = p->names_used};
	p->names_used += name_copy(name, p->names + p->names_used);
	p->count++;
	return &p->places[number];
}

void journalplaces_add(struct journalplaces *p, int64_t id, const struct journal_row *row, const struct journalrow_content *content)
{
	uint32_t number = nametable_find(&p->table, row->name, name_of, p);
	struct journalplace *place = number == NAMETABLE_NONE ? new_place(p, row->name) : &p->places[number];

	if (!place) {
		journalplaces_drop(p);
		return;
	}
	p->left += !place->id;
	*place = (struct journalplace){id, *content, row->serial, row->written, row->file, row->has_serial, row->file_known, place->name};
}

bool journalplaces_take(struct journalplaces *p, const uint8_t *name, struct journalplace *out)
{
	uint32_t number = p->left ? nametable_find(&p->table, name, name_of, p) : NAMETABLE_NONE;

	if (number == NAMETABLE_NONE || !p->places[number].id)
		return false;
	*out = p->places[number];
	p->places[number].id = 0;
	if (--p->left == 0)
		journalplaces_drop(p);
	return true;
}

void journalplaces_drop(struct journalplaces *p)
{
	nametable_release(&p->table);
	free(p->places);
	free(p->names);
	*p = (struct journalplaces){0};
}
