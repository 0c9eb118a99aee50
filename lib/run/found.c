#include "run/found.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void found_clear_image(struct image *image)
{
	for (size_t i = 0; i < image->count; i++)
		free((void *)image->piece[i].bytes);
	free(image->piece);
	*image = (struct image){0};
}

static void found_clear_steps(struct found *f)
{
	for (size_t i = 0; i < f->step_count; i++)
		diff_drop(f->steps[i]);
	free(f->steps);
	f->steps = NULL;
	f->step_count = f->first = 0;
}

void found_release(struct found *f)
{
	found_clear_image(&f->image);
	found_clear_steps(f);
}

/* Room for one more of an array that grows by doubling. */
static void *grown(void *array, size_t count, size_t size)
{
	return count & (count - 1) ? array : realloc(array, (count ? count * 2 : 1) * size);
}

static bool add_piece(struct found *f, const uint8_t *bytes, size_t length)
{
	struct image_piece *pieces = grown(f->image.piece, f->image.count, sizeof *pieces);
	uint8_t *copy;

	if (!pieces)
		return false;
	f->image.piece = pieces;
	copy = malloc(length ? length : 1);
	if (!copy)
		return false;
	memcpy(copy, bytes, length);
	pieces[f->image.count++] = (struct image_piece){copy, length};
	return true;
}

static bool add_step(struct found *f, const uint8_t *bytes, size_t length)
{
	struct diff **steps = grown(f->steps, f->step_count, sizeof *steps);
	struct why why = {{0}};

	if (!steps)
		return false;
	f->steps = steps;
	if (diff_read(bytes, length, &steps[f->step_count], &why)) {
		snprintf(f->damage, sizeof f->damage, "%s", why.text);
		return false;
	}
	f->step_count++;
	return true;
}

enum journal_want found_each_item(void *ctx, const struct journal_item *item)
{
	struct found *f = ctx;
	bool good = true;

	switch (item->kind) {
	case JOURNAL_ITEM_ROW:
		if (item->row_whole)
			f->row = (struct found_row){true, item->row->has_serial, item->row->file_known, item->row->serial,
				item->row->written, item->row->file};
		break;
	case JOURNAL_ITEM_IMAGE:
		good = add_piece(f, item->bytes, item->length);
		break;
	case JOURNAL_ITEM_STEP:
		good = add_step(f, item->bytes, item->length);
		f->first += good && item->before;
		break;
	case JOURNAL_ITEM_END:
		f->whole = item->has_image && !item->damage;
		f->has_last = item->has_last;
		f->last = item->last;
		if (item->damage)
			snprintf(f->damage, sizeof f->damage, "%s", item->damage);
		break;
	}
	return good ? JOURNAL_GO_ON : JOURNAL_STOP;
}

bool found_each_record(void *ctx, const struct steplog_record *record)
{
	struct found *f = ctx;

	if (record->kind == STEPLOG_STEP)
		return add_step(f, record->bytes, record->length);
	if (f->step_count)
		found_clear_steps(f);        /* the image supersedes them */
	f->image.serial = record->to;
	return add_piece(f, record->bytes, record->length);
}

size_t found_octets(const struct found *f)
{
	size_t octets = 0;

	for (size_t i = 0; i < f->image.count; i++)
		octets += f->image.piece[i].length;
	for (size_t i = 0; i < f->step_count; i++)
		octets += diff_octets(f->steps[i]);
	return octets;
}
