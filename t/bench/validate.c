/* What `dnssec = "check"` costs, without the daemon: a signed zone's file is read and checked as a whole; then another version of it is made from it
 * by the difference, as IXFR does, and that alone is checked.
 *
 *     validate APEX FILE [NEXT-FILE...]
 */
#include "dns/rr.h"
#include "zone/diff.h"
#include "zone/dnssec.h"
#include "zone/zonefile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TIMES = 3 };

/* Seconds of this process, so that others do not count. */
static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void must(const char *doing, enum err err, const struct why *why)
{
	if (!err)
		return;
	fprintf(stderr, "%s: %s\n", doing, err_say(why, err));
	exit(1);
}

static struct zone *load(const char *path, const uint8_t *apex)
{
	struct zone *zone = NULL;
	struct why why;

	must(path, zonefile_load(path, apex, (struct build_limits){0}, &zone, &why), &why);
	return zone;
}

static void check_whole(const struct zone *zone)
{
	struct why why;
	double best = 1e9;

	for (int i = 0; i < TIMES; i++) {
		double began = now();

		must("check", dnssec_check(zone, (uint64_t)time(NULL), NULL, &why), &why);
		if (now() - began < best)
			best = now() - began;
	}
	printf("whole    %10.3f s   %llu records\n", best, (unsigned long long)zone->records);
}

/* The owners of all that differs, each as often as it has records that do. */
static size_t owners_of(const struct diff *diff, uint8_t (*octets)[NAME_SIZE], const uint8_t **names)
{
	struct diff_walk walk;
	struct rr rr;
	bool removed;
	size_t n = 0;

	diff_walk(&walk, diff);
	while (diff_next(&walk, &rr, &removed)) {
		name_copy(rr.owner, octets[n]);
		names[n] = octets[n];
		n++;
	}
	return n;
}

static struct zone *check_step(struct zone *older, struct zone *wanted)
{
	struct diff *step, *diff = NULL;
	struct zone *newer = NULL;
	struct why why;
	double began;
	size_t most, count;
	uint8_t (*octets)[NAME_SIZE];
	const uint8_t **names;

	must("difference", diff_make(older, wanted, 0, &step), NULL);
	must("apply", diff_apply(older, step, (struct build_limits){0}, &newer, &why), &why);
	most = 2 + (size_t)diff_removed(step) + diff_added(step);
	octets = calloc(most, sizeof *octets);
	names = calloc(most, sizeof *names);
	began = now();
	must("difference", diff_make(older, newer, 0, &diff), NULL);
	count = owners_of(diff, octets, names);
	must("check", dnssec_check_change(newer, older, names, count, (uint64_t)time(NULL), NULL, &why), &why);
	printf("change   %10.3f ms  %u records removed, %u added\n", (now() - began) * 1e3, diff_removed(diff), diff_added(diff));
	free(names);
	free(octets);
	diff_drop(diff);
	diff_drop(step);
	zone_put(wanted);
	return newer;
}

int main(int argc, char **argv)
{
	uint8_t apex[NAME_SIZE];
	struct zone *zone;

	if (argc < 3 || name_parse(argv[1], strlen(argv[1]), NULL, apex, NULL)) {
		fputs("usage: validate APEX FILE [NEXT-FILE...]\n", stderr);
		return 2;
	}
	rr_init();
	zone = load(argv[2], apex);
	check_whole(zone);
	for (int i = 3; i < argc; i++) {
		struct zone *newer = check_step(zone, load(argv[i], apex));

		zone_put(zone);
		zone = newer;
	}
	zone_put(zone);
	return 0;
}
