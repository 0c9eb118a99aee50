#include "check/delegated.h"

#include "dns/msg.h"
#include "dns/text.h"

#include <stdio.h>
#include <string.h>

/* --- the sets ------------------------------------------------------------------ */

static const char *set_name(const struct facts *facts)
{
	return facts->settings->ready ? "the new delegation" : "the delegation";
}

/* A name of one set that is not in the other, at a server, or at all. */
#define EACH_WITHOUT(i, these, those) \
	for (size_t i = 0; i < (these)->count; i++) \
		if (!facts_has(those, (these)->names[i]))

static void judge_one_parent(const struct facts *facts, const struct facts_parent *parent, const struct facts_names *child)
{
	const struct facts_names *common = &facts->delegation;

	if (!parent->shows || facts_same(&parent->ns_set, common))
		return;
	FOUND_AT(facts, FINDING_NS_SPLIT, false, parent,
		"the parent's servers do not agree on the delegation: this one lacks [%s], and alone has [%s]",
		facts_without(facts, common, &parent->ns_set), facts_without(facts, &parent->ns_set, common));
	if (!child)
		return;
	EACH_WITHOUT(i, &parent->ns_set, child)
		FOUND_AT(facts, FINDING_NS_PARENT_EXTRA, false, parent,
			"the delegation at this server of the parent names %s, the apex NS set does not",
			facts_name_text(facts, parent->ns_set.names[i]));
	EACH_WITHOUT(i, child, &parent->ns_set)
		FOUND_AT(facts, FINDING_NS_CHILD_EXTRA, false, parent,
			"the apex NS set names %s, the delegation at this server of the parent does not",
			facts_name_text(facts, child->names[i]));
}

static void judge_parents(const struct facts *facts)
{
	size_t child = facts_commonest(facts, facts_has_ns_set, facts_alike_ns_set);

	for (size_t i = 0; i < facts->parent_count && !facts->settings->ready; i++)
		judge_one_parent(facts, &facts->parents[i], child < facts->server_count ? &facts->servers[child].ns_set : NULL);
}

/* Where all say the same, it is no single server's fault. */
static void judge_against_delegation(const struct facts *facts, const struct facts_server *server)
{
	const struct facts_server *at = facts->split ? server : NULL;

	EACH_WITHOUT(i, &facts->delegation, &server->ns_set)
		FOUND_MAYBE(facts, FINDING_NS_PARENT_EXTRA, false, at, "%s names %s, the apex NS set %s does not", set_name(facts),
			facts_name_text(facts, facts->delegation.names[i]), at ? "of this server" : "of all servers");
	EACH_WITHOUT(i, &server->ns_set, &facts->delegation)
		FOUND_MAYBE(facts, FINDING_NS_CHILD_EXTRA, false, at, "the apex NS set %s names %s, %s does not",
			at ? "of this server" : "of all servers", facts_name_text(facts, server->ns_set.names[i]), set_name(facts));
}

static void judge_children(const struct facts *facts)
{
	size_t common = facts_commonest(facts, facts_has_ns_set, facts_alike_ns_set);
	const struct facts_names *right;

	if (common == facts->server_count)
		return;
	right = facts->delegated ? &facts->delegation : &facts->servers[common].ns_set;
	for (size_t i = 0; i < facts->server_count; i++) {
		const struct facts_server *server = &facts->servers[i];

		if (!server->ns_rrs)
			continue;
		if (facts->split && !facts_same(&server->ns_set, right))
			FOUND_AT(facts, FINDING_NS_SPLIT, false, server,
				"the servers do not agree on the apex NS set: against %s this one lacks [%s], and adds [%s]",
				facts->delegated ? set_name(facts) : "most others", facts_without(facts, right, &server->ns_set),
				facts_without(facts, &server->ns_set, right));
		if (facts->delegated)
			judge_against_delegation(facts, server);
	}
}

static bool alike_ttl(const struct facts *facts, size_t i, size_t j)
{
	return facts->servers[i].ns_rrs->ttl == facts->servers[j].ns_rrs->ttl;
}

static void judge_ttl(const struct facts *facts)
{
	size_t common = facts_commonest(facts, facts_has_ns_set, alike_ttl);
	bool differ = false;

	for (size_t i = 0; i < facts->server_count; i++)
		differ = differ || (facts_has_ns_set(facts, i) && !alike_ttl(facts, i, common));
	for (size_t i = 0; i < facts->server_count; i++) {
		const struct facts_server *server = &facts->servers[i], *at = differ ? server : NULL;

		if (!server->ns_rrs)
			continue;
		if (!facts->split && !alike_ttl(facts, i, common))
			FOUND_AT(facts, FINDING_NS_TTL, false, server, "the TTL of its NS set is %u, elsewhere it is %u", server->ns_rrs->ttl,
				facts->servers[common].ns_rrs->ttl);
		if ((uint64_t)server->ns_rrs->ttl * 10 < facts->delegation_ttl)
			FOUND_MAYBE(facts, FINDING_TTL_NS, false, at,
				"the TTL of the apex NS set is %u, that of the delegation is %u: caches go by the shorter one",
				server->ns_rrs->ttl, facts->delegation_ttl);
	}
}

static void judge_expected(const struct facts *facts)
{
	const struct verdict_settings *settings = facts->settings;
	const uint8_t **names = arena_alloc(facts->arena, (settings->expected_count + 1) * sizeof *names);
	struct facts_names expected;

	if (!settings->expected_count || !names)
		return;
	memcpy(names, settings->expected, settings->expected_count * sizeof *names);
	expected = facts_sorted(names, settings->expected_count);
	for (size_t i = 0; i < facts->server_count; i++) {
		const struct facts_server *server = &facts->servers[i], *at = facts->split ? server : NULL;

		if (server->ns_rrs && !facts_same(&server->ns_set, &expected))
			FOUND_MAYBE(facts, FINDING_NS_EXPECTED, false, at,
				"the apex NS set is not the one that is configured: it lacks [%s], and adds [%s]",
				facts_without(facts, &expected, &server->ns_set), facts_without(facts, &server->ns_set, &expected));
	}
}

/* One of its nameservers, or a name beside them. */
static bool is_own(const struct verdict_provider *provider, const uint8_t *name)
{
	for (size_t i = 0; i < provider->ns_count; i++)
		if (name_equal(provider->ns[i], name) || (*name && *provider->ns[i] && name_equal(name_parent(provider->ns[i]), name_parent(name))))
			return true;
	return false;
}

/* It names nobody but the provider's own. */
static bool shows_only_own(const struct facts_server *server)
{
	for (size_t i = 0; i < server->ns_set.count; i++)
		if (!is_own(server->provider, server->ns_set.names[i]))
			return false;
	return server->ns_set.count > 0;
}

static void judge_ignored(const struct facts *facts)
{
	for (size_t i = 0; facts->split && i < facts->server_count; i++) {
		const struct facts_server *server = &facts->servers[i];

		if (server->provider && server->ns_rrs && shows_only_own(server))
			FOUND_AT(facts, FINDING_NS_APEX_IGNORED, false, server,
				"the provider \"%s\" serves only its own nameservers as NS set, whatever it was given",
				server->provider->name);
	}
}

/* --- where the names lead to ------------------------------------------------------ */

static const struct rr *find_answer(const struct reply *reply, const uint8_t *name, uint16_t type, size_t *count)
{
	*count = 0;
	return reply && reply->outcome == REPLY_OK ? reply_find(reply->answer, reply->answer_count, name, type, count) : NULL;
}

static void judge_unresolved(const struct facts *facts, const struct survey_ns *ns, const struct facts_server *at)
{
	bool four = ns->a && ns->a->outcome != REPLY_NONE && !reply_told(ns->a),
		six = ns->aaaa && ns->aaaa->outcome != REPLY_NONE && !reply_told(ns->aaaa);
	char word[16];

	if (four || six)
		FOUND_AT(facts, FINDING_CHECK_INCOMPLETE, false, at, "the resolver does not tell the %s of %s: %s",
			four && six ? "addresses" : four ? "IPv4 addresses" : "IPv6 addresses", at->name,
			reply_says(four ? ns->a : ns->aaaa, word));
}

static void judge_target(const struct facts *facts, const struct survey_ns *ns)
{
	struct facts_server at = {.name = facts_name_text(facts, ns->name)};
	size_t count;
	const struct rr *alias = find_answer(ns->a, ns->name, RR_CNAME, &count);
	bool nxdomain = (reply_told(ns->a) && ns->a->rcode == RCODE_NXDOMAIN) || (reply_told(ns->aaaa) && ns->aaaa->rcode == RCODE_NXDOMAIN);

	if (!alias)
		alias = find_answer(ns->aaaa, ns->name, RR_CNAME, &count);
	if (alias)
		FOUND_AT(facts, FINDING_NS_TARGET, false, &at, "this name is an alias of %s; a nameserver's name must not be one",
			facts_name_text(facts, alias->rdata));
	else if (nxdomain)
		FOUND_AT(facts, FINDING_NS_TARGET, false, &at, "this name does not exist");
	else if (reply_told(ns->a) && reply_told(ns->aaaa) && !find_answer(ns->a, ns->name, RR_A, &count) &&
	    !find_answer(ns->aaaa, ns->name, RR_AAAA, &count))
		FOUND_AT(facts, FINDING_NS_TARGET, false, &at, "this name has no address");
	else
		judge_unresolved(facts, ns, &at);
}

/* "192.0.2.1 192.0.2.2", or "none". */
static const char *addresses_text(const struct facts *facts, const struct rr *rrs, size_t count)
{
	char line[400] = "";
	size_t used = 0;
	const char *kept;

	for (size_t i = 0; i < count && used < sizeof line - 60; i++) {
		if (used)
			line[used++] = ' ';
		used = (size_t)((rrs[i].type == RR_A ? text_put_ipv4(line + used, rrs[i].rdata) : text_put_ipv6(line + used, rrs[i].rdata)) - line);
		line[used] = 0;
	}
	kept = arena_strdup(facts->arena, count ? line : "none");
	return kept ? kept : "?";
}

/* Addresses of one type that stand, or are to stand, in the delegation, against what was resolved. Where the name is in the zone
 * itself there must be some. */
static void judge_addresses(const struct facts *facts, const struct survey_ns *ns, const char *whose, uint16_t type,
	const struct rr *glue, size_t glue_count)
{
	const struct reply *told = type == RR_A ? ns->a : ns->aaaa;
	struct facts_server at = {.name = facts_name_text(facts, ns->name)};
	size_t count, n;
	const struct rr *right;

	if (!reply_told(told) || told->rcode != RCODE_NOERROR || find_answer(told, ns->name, RR_CNAME, &n))
		return;
	right = find_answer(told, ns->name, type, &count);
	if ((!glue_count && !name_is_under(ns->name, facts->survey->zone)) || facts_same_records(glue, glue_count, right, count))
		return;
	FOUND_AT(facts, FINDING_GLUE_DRIFT, false, &at, "%s: %s is %s, the authoritative answer is %s", type == RR_A ? "A" : "AAAA", whose,
		addresses_text(facts, glue, glue_count), addresses_text(facts, right, count));
}

static void judge_glue_type(const struct facts *facts, const struct reply *referral, const struct survey_ns *ns, uint16_t type)
{
	size_t count;
	const struct rr *glue = reply_find(referral->additional, referral->additional_count, ns->name, type, &count);

	judge_addresses(facts, ns, "the glue", type, glue, count);
}

static void judge_glue(const struct facts *facts, const struct survey_parent *parent, const struct facts_parent *shown)
{
	const struct reply *referral = parent->referral;

	if (!shown->shows || referral->aa || referral->tc)
		return;
	for (size_t i = 0; i < facts->survey->ns_count; i++) {
		const struct survey_ns *ns = &facts->survey->ns[i];

		if (!facts_has(&shown->ns_set, ns->name))
			continue;
		judge_glue_type(facts, referral, ns, RR_A);
		judge_glue_type(facts, referral, ns, RR_AAAA);
	}
}

static void judge_size(const struct facts *facts)
{
	for (size_t i = 0; i < facts->survey->parent_count; i++) {
		const struct reply *plain = facts->survey->parents[i].referral_512, *whole = facts->survey->parents[i].referral;

		if (!plain || plain->outcome != REPLY_OK || (!plain->tc && plain->size <= MSG_UDP_MIN))
			continue;
		FOUND(facts, FINDING_REFERRAL_SIZE, false, "the referral does not fit 512 octets%s",
			whole && whole->outcome == REPLY_OK && whole->size > MSG_UDP_MIN
			? ": resolvers without EDNS must come again by TCP" : "");
		return;
	}
}

/* --- what a new delegation will be ------------------------------------------------ */

/* Into a list without doubles, in canonical order. */
static void insert_address(struct rr *list, size_t *count, const struct rr *rr)
{
	size_t i = *count;

	for (size_t j = 0; j < *count; j++)
		if (memcmp(list[j].rdata, rr->rdata, rr->rdlength) == 0)
			return;
	for (; i > 0 && memcmp(list[i - 1].rdata, rr->rdata, rr->rdlength) > 0; i--)
		list[i] = list[i - 1];
	list[i] = *rr;
	++*count;
}

/* The addresses of one type that were given for a name. NULL: there are none, or no memory. */
static const struct rr *given_addresses(const struct facts *facts, const struct survey_ns *ns, uint16_t type, size_t *count)
{
	const struct survey *survey = facts->survey;
	struct rr *list = arena_alloc(facts->arena, (survey->server_count + 1) * sizeof *list);

	*count = 0;
	for (size_t i = 0; list && i < survey->server_count; i++) {
		const struct survey_server *server = &survey->servers[i];
		bool six = server->address.sa.sa_family == AF_INET6;
		struct rr rr = {.owner = ns->name, .type = type, .class = CLASS_IN, .rdlength = six ? 16 : 4,
			.rdata = six ? (const uint8_t *)&server->address.v6.sin6_addr : (const uint8_t *)&server->address.v4.sin_addr};

		if (server->given && &survey->ns[server->ns] == ns && six == (type == RR_AAAA))
			insert_address(list, count, &rr);
	}
	return *count ? list : NULL;
}

/* A name without any address is NS-TARGET. */
static void judge_given(const struct facts *facts, const struct survey_ns *ns)
{
	static const uint16_t types[] = {RR_A, RR_AAAA};
	size_t count;

	if (!ns->has_given || (!find_answer(ns->a, ns->name, RR_A, &count) && !find_answer(ns->aaaa, ns->name, RR_AAAA, &count)))
		return;
	for (size_t i = 0; i < 2; i++) {
		const struct rr *given = given_addresses(facts, ns, types[i], &count);

		judge_addresses(facts, ns, "what was given", types[i], given, count);
	}
}

/* A name in the zone cannot be found without its addresses: they must be in the referral, all of them (RFC 9471 3.1). */
static bool put_needed_glue(const struct facts *facts, const struct survey_ns *ns, struct msg_writer *writer)
{
	static const uint16_t types[] = {RR_A, RR_AAAA};
	bool fits = true;

	for (size_t i = 0; i < 2 && name_is_under(ns->name, facts->survey->zone); i++) {
		size_t count;
		const struct rr *rrs = ns->has_given ? given_addresses(facts, ns, types[i], &count)
			: find_answer(types[i] == RR_A ? ns->a : ns->aaaa, ns->name, types[i], &count);

		for (size_t j = 0; j < count; j++)
			fits = fits && msg_put_rr(writer, MSG_ADDITIONAL, &rrs[j]);
	}
	return fits;
}

/* Octets of what the parent will say to those who ask for the zone without EDNS; 0: it is not known. */
static size_t new_referral_size(const struct facts *facts)
{
	struct msg_writer *writer = arena_zero(facts->arena, sizeof *writer);
	uint8_t *message = arena_alloc(facts->arena, MSG_MAX);
	const struct survey *survey = facts->survey;
	bool fits;

	if (!writer || !message)
		return 0;
	msg_start(writer, message, MSG_MAX, MSG_MAX);
	fits = msg_put_question(writer, survey->zone, RR_NS, CLASS_IN);
	for (size_t i = 0; i < facts->delegation.count; i++) {
		const uint8_t *name = facts->delegation.names[i];
		struct rr rr = {.owner = survey->zone, .type = RR_NS, .class = CLASS_IN, .rdlength = (uint16_t)name_length(name), .rdata = name};

		fits = fits && msg_put_rr(writer, MSG_AUTHORITY, &rr);
	}
	for (size_t i = 0; i < survey->ns_count; i++)
		if (survey->ns[i].from & FROM_GIVEN)
			fits = fits && put_needed_glue(facts, &survey->ns[i], writer);
	return fits ? msg_finish(writer, 0, MSG_QR) : 0;
}

static void judge_new(const struct facts *facts)
{
	size_t size = new_referral_size(facts);

	for (size_t i = 0; i < facts->survey->ns_count; i++)
		if (facts->survey->ns[i].from & FROM_GIVEN)
			judge_given(facts, &facts->survey->ns[i]);
	if (size > MSG_UDP_MIN)
		FOUND(facts, FINDING_REFERRAL_SIZE, false,
			"the referral to the new set will have %zu octets with the glue that it needs, and does not fit 512", size);
}

void delegated_judge(const struct facts *facts)
{
	const struct survey *survey = facts->survey;

	judge_parents(facts);
	judge_children(facts);
	judge_ttl(facts);
	judge_expected(facts);
	judge_ignored(facts);
	for (size_t i = 0; i < survey->ns_count; i++)
		if (survey->ns[i].from & (FROM_PARENT | FROM_CHILD | FROM_GIVEN))
			judge_target(facts, &survey->ns[i]);
	for (size_t i = 0; i < survey->parent_count && !facts->settings->ready; i++)
		judge_glue(facts, &survey->parents[i], &facts->parents[i]);
	if (facts->settings->ready)
		judge_new(facts);
	else
		judge_size(facts);
}
