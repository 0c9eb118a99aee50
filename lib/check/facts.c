#include "check/facts.h"

#include "dns/msg.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool facts_is_good(const struct reply *reply)
{
	return reply && reply->outcome == REPLY_OK && reply->rcode == RCODE_NOERROR && reply->aa;
}

const struct rr *facts_apex(const struct facts *facts, const struct reply *reply, uint16_t type, size_t *count)
{
	*count = 0;
	return facts_is_good(reply) ? reply_find(reply->answer, reply->answer_count, facts->survey->zone, type, count) : NULL;
}

/* --- sets of names ------------------------------------------------------------- */

static int compare_names(const void *a, const void *b)
{
	return name_compare(*(const uint8_t *const *)a, *(const uint8_t *const *)b);
}

struct facts_names facts_sorted(const uint8_t **names, size_t count)
{
	size_t n = 0;

	if (count)
		qsort(names, count, sizeof *names, compare_names);
	for (size_t i = 0; i < count; i++)
		if (!n || !name_equal(names[n - 1], names[i]))
			names[n++] = names[i];
	return (struct facts_names){names, n};
}

/* The names in NS records. False: out of memory. */
static bool set_of_records(struct facts *facts, const struct rr *rrs, size_t count, struct facts_names *out)
{
	const uint8_t **names = arena_alloc(facts->arena, (count + 1) * sizeof *names);

	if (!names)
		return false;
	for (size_t i = 0; i < count; i++)
		names[i] = rrs[i].rdata;
	*out = facts_sorted(names, count);
	return true;
}

bool facts_has(const struct facts_names *set, const uint8_t *name)
{
	return set->count && bsearch(&name, set->names, set->count, sizeof *set->names, compare_names);
}

bool facts_same(const struct facts_names *a, const struct facts_names *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (!name_equal(a->names[i], b->names[i]))
			return false;
	return true;
}

bool facts_same_records(const struct rr *a, size_t na, const struct rr *b, size_t nb)
{
	if (na != nb)
		return false;
	for (size_t i = 0; i < na; i++)
		if (rr_compare_rdata(a[i].type, a[i].rdata, a[i].rdlength, b[i].rdata, b[i].rdlength) != 0)
			return false;
	return true;
}

const char *facts_name_text(const struct facts *facts, const uint8_t *name)
{
	char text[NAME_TEXT_SIZE];
	uint8_t lower[NAME_SIZE];
	const char *kept;

	name_lower(name, lower);
	kept = arena_strdup(facts->arena, name_text(lower, text));
	return kept ? kept : "?";
}

const char *facts_address_text(const struct facts *facts, const struct net_addr *address)
{
	char text[NET_ADDR_TEXT];
	const char *kept = arena_strdup(facts->arena, net_addr_text(address, 53, text));

	return kept ? kept : "?";
}

const char *facts_without(const struct facts *facts, const struct facts_names *these, const struct facts_names *those)
{
	char line[FINDING_MESSAGE_MAX] = "";
	size_t used = 0;
	const char *kept;

	for (size_t i = 0; i < these->count && used < sizeof line - 1; i++)
		if (!facts_has(those, these->names[i])) {
			int n = snprintf(line + used, sizeof line - used, "%s%s", used ? " " : "", facts_name_text(facts, these->names[i]));

			used += n > 0 ? (size_t)n : 0;
		}
	kept = arena_strdup(facts->arena, line);
	return kept ? kept : "?";
}

size_t facts_commonest(const struct facts *facts, facts_has_it *has, facts_alike *alike)
{
	size_t best = facts->server_count, most = 0;

	for (size_t i = 0; i < facts->server_count; i++) {
		size_t n = 0;

		if (!has(facts, i))
			continue;
		for (size_t j = 0; j < facts->server_count; j++)
			n += has(facts, j) && alike(facts, i, j);
		if (n > most) {
			most = n;
			best = i;
		}
	}
	return best;
}

/* --- servers ------------------------------------------------------------------- */

const struct verdict_provider *facts_provider(const struct facts *facts, const uint8_t *name)
{
	const struct verdict_settings *settings = facts->settings;

	for (size_t i = 0; i < settings->provider_count; i++)
		for (size_t j = 0; j < settings->providers[i].ns_count; j++)
			if (name_equal(settings->providers[i].ns[j], name))
				return &settings->providers[i];
	return NULL;
}

/* What was asked without EDNS counts where that with EDNS was not answered, or not understood. */
static const struct reply *first_answer(const struct survey_server *server)
{
	bool plain = reply_answered(server->plain_soa);

	if (reply_answered(server->soa) && !(plain && server->soa->rcode != RCODE_NOERROR && server->plain_soa->rcode == RCODE_NOERROR))
		return server->soa;
	return plain ? server->plain_soa : NULL;
}

static void take_algorithms(const struct facts *facts, struct facts_server *server)
{
	size_t count;
	const struct rr *sigs = facts_apex(facts, server->first, RR_RRSIG, &count);

	for (size_t i = 0; i < count; i++) {
		uint8_t algorithm = sigs[i].rdata[2];

		if (rr_covered(sigs[i].rdata) != RR_SOA)
			continue;
		server->signs[algorithm / 8] |= (uint8_t)(1 << algorithm % 8);
		server->is_signed = true;
	}
}

static bool take_server(struct facts *facts, const struct survey_server *from, struct facts_server *server)
{
	size_t count;

	*server = (struct facts_server){.server = from, .ns = facts->survey->ns[from->ns].name, .first = first_answer(from)};
	server->name = facts_name_text(facts, server->ns);
	server->address = facts_address_text(facts, &from->address);
	server->provider = facts_provider(facts, server->ns);
	server->soa = facts_apex(facts, server->first, RR_SOA, &count);
	if (!server->soa)
		return true;
	take_algorithms(facts, server);
	server->ns_rrs = facts_apex(facts, from->ns_set, RR_NS, &count);
	return set_of_records(facts, server->ns_rrs, count, &server->ns_set);
}

static int compare_servers(const void *a, const void *b)
{
	const struct facts_server *x = a, *y = b;
	int order = name_compare(x->ns, y->ns);

	return order ? order : strcmp(x->address, y->address);
}

static bool take_servers(struct facts *facts)
{
	const struct survey *survey = facts->survey;

	facts->servers = arena_zero(facts->arena, (survey->server_count + 1) * sizeof *facts->servers);
	for (size_t i = 0; facts->servers && i < survey->server_count; i++)
		if (!take_server(facts, &survey->servers[i], &facts->servers[facts->server_count++]))
			return false;
	if (facts->server_count)
		qsort(facts->servers, facts->server_count, sizeof *facts->servers, compare_servers);
	return facts->servers != NULL;
}

/* --- the delegation -------------------------------------------------------------- */

/* A server that serves both zones answers for the child: that counts only where no other one shows a delegation. */
static const struct rr *delegation_in(const struct facts *facts, const struct reply *reply, bool as_child, size_t *count)
{
	bool is_child;
	const struct rr *rrs = reply_delegation(reply, facts->survey->zone, &is_child, count);

	if (is_child == as_child)
		return rrs;
	*count = 0;
	return NULL;
}

static bool take_parents(struct facts *facts, bool as_child, bool *any)
{
	const struct survey *survey = facts->survey;

	for (size_t i = 0; i < survey->parent_count; i++) {
		struct facts_parent *parent = &facts->parents[i];
		size_t count;
		const struct rr *ns = delegation_in(facts, survey->parents[i].referral, as_child, &count);

		if (!set_of_records(facts, ns, count, &parent->ns_set))
			return false;
		parent->name = facts_name_text(facts, survey->parents[i].name);
		parent->address = facts_address_text(facts, &survey->parents[i].address);
		parent->shows = ns != NULL;
		parent->ttl = ns ? ns->ttl : 0;
		*any = *any || ns;
	}
	return true;
}

bool facts_has_ns_set(const struct facts *facts, size_t i)
{
	return facts->servers[i].ns_rrs != NULL;
}

bool facts_alike_ns_set(const struct facts *facts, size_t i, size_t j)
{
	return facts_same(&facts->servers[i].ns_set, &facts->servers[j].ns_set);
}

/* Of the parent's servers the most decide, and where there are as many, who says what most of the children say. */
static void choose_delegation(struct facts *facts)
{
	size_t child = facts_commonest(facts, facts_has_ns_set, facts_alike_ns_set), most = 0;

	for (size_t i = 0; i < facts->parent_count; i++) {
		const struct facts_parent *parent = &facts->parents[i];
		size_t n = 0;

		if (!parent->shows)
			continue;
		for (size_t j = 0; j < facts->parent_count; j++)
			n += facts->parents[j].shows && facts_same(&parent->ns_set, &facts->parents[j].ns_set);
		n = 2 * n + (child < facts->server_count && facts_same(&parent->ns_set, &facts->servers[child].ns_set));
		if (n > most) {
			most = n;
			facts->delegated = true;
			facts->delegation = parent->ns_set;
			facts->delegation_ttl = parent->ttl;
		}
	}
}

/* The nameservers that were given are what the delegation is to become. */
static bool take_candidates(struct facts *facts)
{
	const struct survey *survey = facts->survey;
	const uint8_t **names = arena_alloc(facts->arena, (survey->ns_count + 1) * sizeof *names);
	size_t count = 0;

	if (!names)
		return false;
	for (size_t i = 0; i < survey->ns_count; i++)
		if (survey->ns[i].from & FROM_GIVEN)
			names[count++] = survey->ns[i].name;
	facts->delegation = facts_sorted(names, count);
	facts->delegated = true;
	return true;
}

bool facts_make(struct facts *facts, const struct survey *survey, const struct verdict_settings *settings,
	struct findings *findings, struct arena *arena, int64_t now)
{
	bool any = false;

	*facts = (struct facts){.arena = arena, .survey = survey, .settings = settings, .findings = findings, .now = now,
		.parent_count = survey->parent_count};
	facts->zone = facts_name_text(facts, survey->zone);
	facts->parents = arena_zero(arena, (survey->parent_count + 1) * sizeof *facts->parents);
	if (!facts->parents || !take_servers(facts) || !take_parents(facts, false, &any) || (!any && !take_parents(facts, true, &any)))
		return false;
	choose_delegation(facts);
	for (size_t i = 0; i < facts->server_count; i++)
		for (size_t j = 0; j < i; j++)
			if (facts->servers[i].ns_rrs && facts->servers[j].ns_rrs && !facts_alike_ns_set(facts, i, j))
				facts->split = true;
	return !settings->ready || take_candidates(facts);
}
