#include "zone/nsset.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int by_name(const void *a, const void *b)
{
	return name_compare(*(const uint8_t *const *)a, *(const uint8_t *const *)b);
}

size_t nsset_sort(const uint8_t **names, size_t count)
{
	size_t left = 0;

	qsort(names, count, sizeof *names, by_name);
	for (size_t i = 0; i < count; i++)
		if (!left || !name_equal(names[left - 1], names[i]))
			names[left++] = names[i];
	return left;
}

bool nsset_equal(const struct nsset *a, const struct nsset *b)
{
	if (a->count != b->count || a->ttl != b->ttl)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (!name_equal(a->names[i], b->names[i]))
			return false;
	return true;
}

static bool wanted(const struct nsset *set, const uint8_t *name)
{
	return bsearch(&name, set->names, set->count, sizeof name, by_name) != NULL;
}

static struct zone_rrset set_of(const struct zone *version)
{
	struct zone_rrset ns = {0};

	zone_node_rrset(version->apex_node, RR_NS, &ns, NULL);
	return ns;
}

/* Records of one RRset are no two the same, but for the case of their letters. */
bool nsset_shown(const struct nsset *set, const struct zone *version)
{
	struct zone_rrset ns = set_of(version);
	struct rr rr;
	uint32_t at = 0;
	size_t found = 0;

	while (zone_rrset_next(&ns, &at, NULL, &rr)) {
		if (!wanted(set, rr.rdata))
			return false;
		found++;
	}
	return found == set->count;
}

static bool has(const struct zone *version, const uint8_t *name)
{
	struct zone_rrset ns = set_of(version);
	struct rr rr;

	for (uint32_t at = 0; zone_rrset_next(&ns, &at, NULL, &rr);)
		if (name_equal(rr.rdata, name))
			return true;
	return false;
}

/* " lacks a., b." and so on, as far as there is room. */
static void list(char *text, size_t size, const char *what, const uint8_t *name)
{
	char shown[NAME_TEXT_SIZE];
	size_t used = strlen(text);
	bool first = what && *what;

	snprintf(text + used, size - used, "%s%s", first ? what : ", ", name_text(name, shown));
}

void nsset_say(const struct nsset *set, const struct zone *version, struct why *why)
{
	struct zone_rrset ns = set_of(version);
	char lacks[WHY_MAX / 3] = "", more[WHY_MAX / 3] = "";
	struct rr rr;

	for (size_t i = 0; i < set->count; i++)
		if (!has(version, set->names[i]))
			list(lacks, sizeof lacks, *lacks ? "" : " lacks ", set->names[i]);
	for (uint32_t at = 0; zone_rrset_next(&ns, &at, NULL, &rr);)
		if (!wanted(set, rr.rdata))
			list(more, sizeof more, *more ? "" : " has ", rr.rdata);
	err_why(why, ERR_ZONE, "the apex NS set%s%s%s%s", lacks, *lacks && *more ? ", and" : "", more, *more ? ", which is not configured" : "");
}

bool nsset_sealed(const struct zone *version)
{
	struct zone_rrset digest;

	return version->rrsigs || zone_node_rrset(version->apex_node, RR_ZONEMD, &digest, NULL);
}

static enum err replace(struct build *build, const struct nsset *set, struct zone *version, struct why *why)
{
	struct zone_rrset ns = set_of(version);
	uint32_t ttl = set->ttl;
	enum err err = ERR_OK;
	struct rr rr;

	for (uint32_t at = 0; !err && zone_rrset_next(&ns, &at, version->apex, &rr);) {
		ttl = set->ttl ? set->ttl : rr.ttl;
		err = build_remove(build, &rr, why);
	}
	if (!err)
		err = build_flush(build, why);       /* what stays comes back as it is configured: its letters, its TTL */
	for (size_t i = 0; i < set->count && !err; i++) {
		rr = (struct rr){version->apex, RR_NS, CLASS_IN, (uint16_t)name_length(set->names[i]), ttl, set->names[i]};
		err = build_add(build, &rr, why);
	}
	return err;
}

enum err nsset_view(const struct nsset *set, struct zone *version, struct zone **out, struct why *why)
{
	struct zone_rrset ns = set_of(version);
	bool shown = nsset_shown(set, version), sealed = nsset_sealed(version);
	struct build *build;
	enum err err;

	if (shown && (sealed || !set->ttl || get_u32(ns.records + 6) == set->ttl)) {
		*out = zone_hold(version);
		return ERR_OK;
	}
	if (sealed) {
		nsset_say(set, version, why);
		return ERR_ZONE;
	}
	build = build_view(version);
	if (!build)
		return err_why(why, ERR_NOMEM, "out of memory");
	err = replace(build, set, version, why);
	if (!err)
		return build_finish(build, out, why);
	build_free(build);
	return err;
}

struct diff *nsset_step(struct zone *served, struct zone *of, struct diff *step, struct zone *version, struct zone *now, uint64_t most)
{
	struct diff *steps[3] = {NULL, step, NULL}, *joined = NULL;
	size_t length, first = served == of, count = 3u - first - (version == now);

	if (!step || (diff_bytes(step, &length), length > most))
		return NULL;
	if (count == 1)
		return diff_hold(step);
	if ((first || diff_make(served, of, 0, &steps[0]) == ERR_OK) && (version == now || diff_make(version, now, 0, &steps[2]) == ERR_OK) &&
	    diff_join(steps + first, count, most, &joined) != ERR_OK)
		joined = NULL;
	diff_drop(steps[0]);
	diff_drop(steps[2]);
	return joined;
}
