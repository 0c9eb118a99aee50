#include "run/approve.h"

#include "zone/zonefile.h"

#include <stdio.h>
#include <string.h>

/* --- how much changes ---------------------------------------------------------- */

static bool counts(uint16_t type)
{
	return type != RR_SOA && type != RR_RRSIG && type != RR_NSEC && type != RR_NSEC3 && type != RR_ZONEMD;
}

struct tally { uint64_t removed, added, all; };

static bool next_set(struct zone_rrsets *iter, struct zone_rrset *set)
{
	while (zone_rrsets_next(iter, set))
		if (counts(set->type))
			return true;
	return false;
}

/* Two RRsets of a type, their records in order. */
static void compare_sets(const struct zone_rrset *older, const struct zone_rrset *now, struct tally *t)
{
	uint32_t at_old = 0, at_now = 0;
	struct rr was, is;
	bool left_old = zone_rrset_next(older, &at_old, NULL, &was), left_now = zone_rrset_next(now, &at_now, NULL, &is);

	while (left_old || left_now) {
		int order = !left_now ? -1 : !left_old ? 1 : rr_compare_rdata(was.type, was.rdata, was.rdlength, is.rdata, is.rdlength);
		bool same = order == 0 && was.ttl == is.ttl;

		t->removed += order <= 0 && !same;
		t->added += order >= 0 && !same;
		if (order <= 0)
			left_old = zone_rrset_next(older, &at_old, NULL, &was);
		if (order >= 0)
			left_now = zone_rrset_next(now, &at_now, NULL, &is);
	}
}

/* Either may be NULL: the name is new, or gone. */
static void compare_nodes(const struct zone_node *older, const struct zone_node *now, struct tally *t)
{
	struct zone_rrsets old_iter = older ? zone_rrsets(older) : (struct zone_rrsets){0};
	struct zone_rrsets now_iter = now ? zone_rrsets(now) : (struct zone_rrsets){0};
	struct zone_rrset was = {0}, is = {0};
	bool left_old = next_set(&old_iter, &was), left_now = next_set(&now_iter, &is);

	while (left_old || left_now) {
		int order = !left_now ? -1 : !left_old ? 1 : (int)was.type - (int)is.type;

		t->all += order <= 0 ? was.count : 0;
		if (order < 0)
			t->removed += was.count;
		else if (order > 0)
			t->added += is.count;
		else if (older != now && (was.size != is.size || memcmp(was.records, is.records, was.size) != 0))
			compare_sets(&was, &is, t);
		if (order <= 0)
			left_old = next_set(&old_iter, &was);
		if (order >= 0)
			left_now = next_set(&now_iter, &is);
	}
}

struct approve_share approve_share(const struct zone *older, const struct zone *version)
{
	uint8_t old_name[NAME_SIZE], new_name[NAME_SIZE];
	struct zone_walk old_walk, new_walk;
	const struct zone_node *was, *is;
	struct tally t = {0};

	zone_walk(&old_walk, older);
	zone_walk(&new_walk, version);
	was = zone_walk_next(&old_walk, old_name);
	is = zone_walk_next(&new_walk, new_name);
	while (was || is) {
		int order = !is ? -1 : !was ? 1 : was == is ? 0 : name_compare(old_name, new_name);

		compare_nodes(order <= 0 ? was : NULL, order >= 0 ? is : NULL, &t);
		if (order <= 0)
			was = zone_walk_next(&old_walk, old_name);
		if (order >= 0)
			is = zone_walk_next(&new_walk, new_name);
	}
	return (struct approve_share){t.removed > t.added ? t.removed : t.added, t.all};
}

enum err approve_change(const struct zone *older, const struct zone *version, unsigned percent, struct why *why)
{
	struct approve_share share = approve_share(older, version);

	if (!share.all || share.changed * 100 <= share.all * percent)
		return ERR_OK;
	return err_why(why, ERR_REFUSED, "%llu of %llu records change (%.1f%%), more than approve.max-change = %u%%",
		(unsigned long long)share.changed, (unsigned long long)share.all, 100.0 * (double)share.changed / (double)share.all, percent);
}

/* --- the command --------------------------------------------------------------- */

static void write_zone(const void *version, spawn_put *put, void *to)
{
	zonefile_print(version, put, to);
}

enum err approve_run(const struct approve_command *command, char output[APPROVE_OUTPUT], struct why *why)
{
	char zone[NAME_TEXT_SIZE], older[16] = "-", version[16];
	const char *argv[] = {command->path, zone, older, version, NULL};
	struct spawn spawn = {argv, command->timeout_ms, "approve.timeout", command->stop, write_zone, command->version};

	name_text(command->version->apex, zone);
	if (command->older)
		snprintf(older, sizeof older, "%u", command->older->serial.v);
	snprintf(version, sizeof version, "%u", command->version->serial.v);
	return spawn_run(&spawn, output, why);
}
