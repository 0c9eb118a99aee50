#include "check/spread.h"

#include <string.h>

enum { PREFIX4 = 3, PREFIX6 = 6 /* octets of a /24 and of a /48 */ };

/* The names that are judged: of the delegation, or where it is not known all that were found. */
static struct facts_names names_of(const struct facts *facts)
{
	const struct survey *survey = facts->survey;
	const uint8_t **names = arena_alloc(facts->arena, (survey->ns_count + 1) * sizeof *names);
	size_t count = 0;

	if (facts->delegated || !names)
		return facts->delegation;
	for (size_t i = 0; i < survey->ns_count; i++)
		if (survey->ns[i].from & (FROM_CHILD | FROM_GIVEN))
			names[count++] = survey->ns[i].name;
	return facts_sorted(names, count);
}

static bool same_provider(const struct facts *facts, const uint8_t *a, const uint8_t *b)
{
	const struct verdict_provider *of_a = facts_provider(facts, a), *of_b = facts_provider(facts, b);

	if (of_a || of_b)
		return of_a == of_b;
	return *a && *b && name_equal(name_parent(a), name_parent(b));
}

static void judge_names(const struct facts *facts, const struct facts_names *set)
{
	const uint8_t *first = set->names[0];
	const struct verdict_provider *provider = facts_provider(facts, first);
	bool one_provider = true, one_tld = true;

	for (size_t i = 0; i < set->count; i++) {
		const uint8_t *name = set->names[i];

		one_provider = one_provider && same_provider(facts, first, name);
		one_tld = one_tld && name_equal(name_suffix(first, *first ? 1 : 0), name_suffix(name, *name ? 1 : 0));
	}
	if (one_provider)
		FOUND(facts, FINDING_DIV_PROVIDER, false, "all nameservers are with one provider, %s",
			provider ? provider->name : *first ? facts_name_text(facts, name_parent(first)) : ".");
	if (one_tld)
		FOUND(facts, FINDING_DIV_TLD, false, "all nameservers are under one top-level domain, %s",
			facts_name_text(facts, name_suffix(first, *first ? 1 : 0)));
	if (set->count < 2)
		FOUND(facts, FINDING_DIV_COUNT, false, "there is only one nameserver, %s", facts_name_text(facts, first));
}

static const void *octets_of(const struct net_addr *address)
{
	return address->sa.sa_family == AF_INET6 ? (const void *)&address->v6.sin6_addr : (const void *)&address->v4.sin_addr;
}

/* How many addresses of the family the names that are judged have, and whether they lie in one prefix. */
static size_t count_family(const struct facts *facts, const struct facts_names *set, sa_family_t family, bool *one_prefix)
{
	const struct net_addr *first = NULL;
	size_t count = 0;

	*one_prefix = true;
	for (size_t i = 0; i < facts->server_count; i++) {
		const struct net_addr *address = &facts->servers[i].server->address;

		if (address->sa.sa_family != family || !facts_has(set, facts->servers[i].ns))
			continue;
		count++;
		if (first && memcmp(octets_of(first), octets_of(address), family == AF_INET6 ? PREFIX6 : PREFIX4) != 0)
			*one_prefix = false;
		first = first ? first : address;
	}
	return count;
}

/* An address family of which a name could not be asked may be there after all. */
static bool all_resolved(const struct facts *facts, const struct facts_names *set)
{
	for (size_t i = 0; i < facts->survey->ns_count; i++) {
		const struct reply *both[] = {facts->survey->ns[i].a, facts->survey->ns[i].aaaa};

		for (size_t j = 0; j < 2 && facts_has(set, facts->survey->ns[i].name); j++)
			if (both[j] && (both[j]->outcome != REPLY_OK || (both[j]->rcode != 0 && both[j]->rcode != 3)))
				return false;
	}
	return true;
}

static void judge_addresses(const struct facts *facts, const struct facts_names *set)
{
	bool one4, one6;
	size_t v4 = count_family(facts, set, AF_INET, &one4), v6 = count_family(facts, set, AF_INET6, &one6);

	if (!v4 && !v6)
		return;
	if (one4 && one6)
		FOUND(facts, FINDING_DIV_PREFIX, false, "all nameservers are in one address prefix%s",
			!v6 ? " (/24)" : !v4 ? " (/48)" : " of each address family (/24, /48)");
	if ((!v4 || !v6) && !facts->settings->one_family && all_resolved(facts, set))
		FOUND(facts, FINDING_DIV_FAMILY, false, "no nameserver has an address of %s", v4 ? "IPv6" : "IPv4");
}

void spread_judge(const struct facts *facts)
{
	struct facts_names set = names_of(facts);

	if (set.count)
		judge_names(facts, &set);
	judge_addresses(facts, &set);
}
