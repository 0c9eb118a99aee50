#include "check/gaps.h"

#include "check/resolve.h"

#include <stdio.h>
#include <string.h>

static const struct rr *delegation_in(const struct survey *s, const struct reply *reply, size_t *count)
{
	bool as_child;

	return reply_delegation(reply, s->zone, &as_child, count);
}

static const char *says(const struct reply *reply, char out[16])
{
	return reply ? reply_says(reply, out) : "there was no time left";
}

static void judge_parent(struct survey *s, const struct survey_parent *parent, bool delegated)
{
	char name[NAME_TEXT_SIZE], address[NET_ADDR_TEXT], word[16];
	const struct reply *referral = parent->referral, *plain = parent->referral_512;
	size_t count;

	name_text(parent->name, name);
	net_addr_text(&parent->address, 53, address);
	if (resolve_denial(referral, s->zone) || resolve_denial(plain, s->zone)) {
		if (delegated)
			survey_add_gap(s, "the parent's server %s (%s) does not know the zone, though another one delegates it", name, address);
		return;
	}
	if (!delegation_in(s, referral, &count) && !delegation_in(s, plain, &count))
		survey_add_gap(s, "the parent's server %s (%s) could not be asked for the delegation: %s", name, address,
			reply_told(referral) ? "it answers with something else" : says(referral, word));
	else if (!reply_told(parent->ds))
		survey_add_gap(s, "the parent's server %s (%s) could not be asked for the DS records: %s", name, address, says(parent->ds, word));
}

static bool is_delegated(const struct survey *s)
{
	size_t count;

	for (size_t i = 0; i < s->parent_count; i++)
		if (delegation_in(s, s->parents[i].referral, &count) || delegation_in(s, s->parents[i].referral_512, &count))
			return true;
	return false;
}

static void judge_delegation(struct survey *s, const struct gaps_known *known)
{
	bool delegated = is_delegated(s), served = false;
	char zone[NAME_TEXT_SIZE], lies_in[NAME_TEXT_SIZE];

	for (size_t i = 0; i < s->server_count; i++)
		served = served || s->servers[i].serves;
	for (size_t i = 0; i < s->parent_count; i++)
		judge_parent(s, &s->parents[i], delegated);
	if (delegated || !known->lies_in)
		return;
	if (!served && known->no_such_name)
		survey_add_gap(s, "%s does not exist (NXDOMAIN)", name_text(s->zone, zone));
	if (!served)
		s->enclosing = arena_dup(&s->arena, known->lies_in, name_length(known->lies_in));
	else if (!known->settings->only_given)
		survey_add_gap(s, "%s is not delegated: the zone above it, %s, knows nothing of it", name_text(s->zone, zone),
			name_text(known->lies_in, lies_in));
}

/* What came to nothing tells for itself; but not what was never answered, nor what serves only as a sample. */
static void judge_server(struct survey *s, const struct survey_server *server)
{
	static const struct { size_t slot; const char *type; bool sample; } all[] = {
		{SURVEY_SLOT(ns_set), "NS", false}, {SURVEY_SLOT(dnskey), "DNSKEY", false}, {SURVEY_SLOT(cds), "CDS", false},
		{SURVEY_SLOT(cdnskey), "CDNSKEY", false},
		{SURVEY_SLOT(csync), "CSYNC", false}, {SURVEY_SLOT(nsec3param), "NSEC3PARAM", true}, {SURVEY_SLOT(a), "A", true},
		{SURVEY_SLOT(aaaa), "AAAA", true},
		{SURVEY_SLOT(mx), "MX", true}, {SURVEY_SLOT(www_a), "www A", true}, {SURVEY_SLOT(www_aaaa), "www AAAA", true},
		{SURVEY_SLOT(soa_again), "SOA again", true},
	};
	char types[200] = "", name[NAME_TEXT_SIZE], address[NET_ADDR_TEXT], word[16];
	const struct reply *first = NULL;

	for (size_t i = 0; server->serves && i < sizeof all / sizeof *all; i++) {
		const struct reply *reply = server->replies[all[i].slot];

		if (reply_told(reply) || (reply && !all[i].sample))
			continue;
		first = first ? first : reply;
		snprintf(types + strlen(types), sizeof types - strlen(types), "%s%s", *types ? ", " : "", all[i].type);
	}
	if (*types)
		survey_add_gap(s, "%s (%s) did not tell when asked for %s: %s", name_text(s->ns[server->ns].name, name),
			net_addr_text(&server->address, 53, address), types, says(first, word));
}

static void judge_name(struct survey *s, const struct survey_ns *ns)
{
	char name[NAME_TEXT_SIZE];

	if (ns->resolving && (!ns->a || !ns->aaaa))
		survey_add_gap(s, "the addresses of %s were not told in time", name_text(ns->name, name));
}

/* One that is silent is not known, which is no gap; but where a signature or a certificate is wrong, that is mended nowhere but here or there. */
static void judge_primary(struct survey *s, const struct survey_primary *asked, const struct survey_primary *primary)
{
	char address[NET_ADDR_TEXT], word[16];

	if ((asked->key || asked->tls) && primary->soa && primary->soa->outcome == REPLY_GARBAGE)
		survey_add_gap(s, "the primary %s (%s) could not be asked for its serial: %s", primary->name,
			net_addr_text(&primary->address, 53, address), reply_says(primary->soa, word));
}

void gaps_find(struct survey *s, const struct gaps_known *known)
{
	char zone[NAME_TEXT_SIZE];

	if (known->late)
		survey_add_gap(s, "time was up before all was answered");
	if (known->no_memory)
		survey_add_gap(s, "there was not enough memory to ask for all");
	judge_delegation(s, known);
	for (size_t i = 0; i < s->ns_count; i++)
		judge_name(s, &s->ns[i]);
	for (size_t i = 0; i < s->server_count; i++)
		judge_server(s, &s->servers[i]);
	for (size_t i = 0; i < s->primary_count; i++)
		judge_primary(s, &known->settings->primaries[i], &s->primaries[i]);
	if (!s->server_count && !s->enclosing)
		survey_add_gap(s, "no nameserver of %s could be found", name_text(s->zone, zone));
}
