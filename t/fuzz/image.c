/* A piece of an image: with its sum as it is, and with one that is right. What is taken is a zone, whose image gives the same zone again. */
#include "base/siphash.h"
#include "dns/rr.h"
#include "zone/image.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t apex[] = "\7example";

static struct zone *read_image(const struct image_piece *piece, size_t count)
{
	struct image_reader *r = image_reader_new(apex, (struct build_limits){.records = 10000});
	struct zone *zone = NULL;
	struct why why = {{0}};
	enum err err = ERR_OK;

	if (!r)
		abort();
	for (size_t i = 0; i < count && !err; i++)
		err = image_reader_put(r, &piece[i], &why);
	if (err)
		image_reader_free(r);
	else
		err = image_reader_finish(r, &zone, &why);
	if (err && !why.text[0])
		abort();
	return zone;
}

static void check(const uint8_t *bytes, size_t size)
{
	struct image_piece piece = {bytes, size};
	struct zone *zone = read_image(&piece, 1), *again;
	struct image image;

	if (!zone)
		return;
	if (image_make(zone, &image, NULL))
		abort();
	again = read_image(image.piece, image.count);
	if (!again || again->records != zone->records || again->wire_bytes != zone->wire_bytes || again->serial.v != zone->serial.v)
		abort();
	image_release(&image);
	zone_put(again);
	zone_put(zone);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *bytes = malloc(size ? size : 1), seed[8] = {0};
	struct siphash sum;
	uint64_t v;

	rr_init();
	if (!bytes)
		abort();
	memcpy(bytes, data, size);
	check(bytes, size);
	if (size >= 24) {
		put_u32(bytes + 12, (uint32_t)(size - 24));
		siphash_begin(&sum, siphash_sum_key);
		siphash_add(&sum, seed, sizeof seed);
		siphash_add(&sum, bytes, size - 8);
		v = siphash_end(&sum);
		put_u32(bytes + size - 8, (uint32_t)(v >> 32));
		put_u32(bytes + size - 4, (uint32_t)v);
		check(bytes, size);
	}
	free(bytes);
	return 0;
}
