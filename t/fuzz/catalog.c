/* A catalog zone: any version is read, or refused, and what was read makes a catalog that says the same. The input is the zone file's
 * text behind its head. */
#include "zone/catalog.h"
#include "zone/zonefile.h"

#include <stdlib.h>
#include <string.h>

static const uint8_t apex[] = "\3cat";
static const char head[] = "@ 0 SOA . . 1 1 1 1 1\n@ 0 NS .\nversion 0 TXT \"2\"\n";

static enum err take(void *ctx, const struct rr *rr, struct why *why)
{
	return build_add(ctx, rr, why);
}

static void again(const struct catalog *catalog)
{
	struct catalog second;
	struct zone *zone;
	struct why why;

	if (catalog_make(apex, catalog->members, catalog->count, (struct serial){7}, &zone, &why) != ERR_OK)
		abort();
	if (catalog_read(zone, catalog->count, &second, &why) != ERR_OK || !catalog_same(&second, catalog->members, catalog->count))
		abort();
	catalog_release(&second);
	zone_put(zone);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct build *build;
	struct catalog catalog;
	struct zone *zone;
	struct why why;
	char *text;

	rr_init();
	build = build_new(apex, NULL, (struct build_limits){.records = 10000});
	text = malloc(sizeof head - 1 + length);
	memcpy(text, head, sizeof head - 1);
	memcpy(text + sizeof head - 1, bytes, length);
	if (zonefile_parse("text", text, sizeof head - 1 + length, NULL, apex, take, build, &why) != ERR_OK) {
		build_free(build);
	} else if (build_finish(build, &zone, &why) == ERR_OK) {
		if (catalog_read(zone, 1000, &catalog, &why) == ERR_OK) {
			again(&catalog);
			catalog_release(&catalog);
		}
		zone_put(zone);
	}
	free(text);
	return 0;
}
