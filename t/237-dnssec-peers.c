/* For t/237-dnssec-peers.t: 237-dnssec-peers ZONE TIME FILE... validates each file as a whole, and each but the first also as a change of the one
 * before it. A line for each: "FILE<tab>verdict on the whole<tab>verdict on the change"; a verdict is "ok" or what is wrong. */
#include "zone/diff.h"
#include "zone/dnssec.h"
#include "zone/zonefile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *verdict(enum err err, const struct why *why)
{
	return err ? err_say(why, err) : "ok";
}

/* The same content as a version made from `base`. */
static struct zone *as_change(struct zone *base, const struct zone *loaded, struct diff **diff)
{
	struct why why = {{0}};
	struct zone *zone;

	if (diff_make(base, loaded, 0, diff) || diff_apply(base, *diff, (struct build_limits){0}, &zone, &why)) {
		fprintf(stderr, "no change can be made: %s\n", why.text);
		exit(2);
	}
	return zone;
}

static enum err check_change(const struct zone *zone, const struct zone *older, const struct diff *diff, uint64_t now, struct why *why)
{
	size_t count = 0, room = diff_removed(diff) + diff_added(diff) + 2u;
	const uint8_t **names = calloc(room, sizeof *names);
	struct diff_walk walk;
	struct rr rr;
	bool removed;
	enum err err;

	diff_walk(&walk, diff);
	while (count < room && diff_next(&walk, &rr, &removed)) {
		uint8_t *name = malloc(NAME_SIZE);

		name_copy(rr.owner, name);
		names[count++] = name;
	}
	err = dnssec_check_change(zone, older, names, count, now, NULL, why);
	for (size_t i = 0; i < count; i++)
		free((void *)names[i]);
	free(names);
	return err;
}

int main(int count, char **arg)
{
	uint8_t apex[NAME_SIZE];
	struct zone *base = NULL;
	uint64_t now;

	rr_init();
	if (count < 4 || name_parse(arg[1], strlen(arg[1]), NULL, apex, NULL))
		return 2;
	now = strtoull(arg[2], NULL, 10);
	for (int i = 3; i < count; i++) {
		struct why why = {{0}}, of_change = {{0}};
		struct zone *zone, *changed;
		struct diff *diff = NULL;
		enum err err, change = ERR_OK;

		if (zonefile_load(arg[i], apex, (struct build_limits){0}, &zone, &why)) {
			fprintf(stderr, "%s\n", why.text);
			return 2;
		}
		err = dnssec_check(zone, now, NULL, &why);
		if (base) {
			changed = as_change(base, zone, &diff);
			change = check_change(changed, base, diff, now, &of_change);
			zone_put(zone);
			zone_put(base);
			zone = changed;
		}
		printf("%s\t%s\t%s\n", arg[i], verdict(err, &why), base ? verdict(change, &of_change) : "-");
		diff_drop(diff);
		base = zone;
	}
	zone_put(base);
	return 0;
}
