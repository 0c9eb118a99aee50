#include "check/serials.h"

#include "dns/rrtext.h"

#include <stdio.h>
#include <string.h>

const char *serials_span(int64_t seconds, char out[32])
{
	static const struct { int64_t seconds; const char *name; } units[] = {{86400, "day"}, {3600, "hour"}, {60, "minute"}, {1, "second"}};
	size_t u = 0;
	int64_t n;

	while (u < 3 && seconds < 2 * units[u].seconds)
		u++;
	n = seconds / units[u].seconds;
	snprintf(out, 32, "%lld %s%s", (long long)n, units[u].name, n == 1 ? "" : "s");
	return out;
}

static struct rr_soa soa_of(const struct rr *rr)
{
	return rr_soa_of(rr->rdata, rr->rdlength);
}

/* --- memory -------------------------------------------------------------------- */

/* A primary's name in the configuration, as one label. */
static void primary_name(const char *text, uint8_t out[NAME_SIZE])
{
	size_t n = strnlen(text, 63);

	out[0] = (uint8_t)n;
	memcpy(out + 1, text, n);
	out[n ? 1 + n : 0] = 0;
}

static const struct rr *primary_soa(const struct facts *facts, const struct survey_primary *primary)
{
	size_t count;

	return facts_apex(facts, primary->soa, RR_SOA, &count);
}

static bool is_asked_still(void *ctx, const uint8_t *name, const struct net_addr *address)
{
	const struct facts *facts = ctx;
	uint8_t primary[NAME_SIZE];

	if (memory_is_ours(name, address))
		return facts->settings->serves;
	for (size_t i = 0; i < facts->server_count; i++)
		if (net_addr_equal(&facts->servers[i].server->address, address) && name_equal(facts->servers[i].ns, name))
			return true;
	for (size_t i = 0; i < facts->survey->primary_count; i++) {
		primary_name(facts->survey->primaries[i].name, primary);
		if (net_addr_equal(&facts->survey->primaries[i].address, address) && name_equal(primary, name))
			return true;
	}
	return false;
}

void serials_remember(const struct facts *facts, struct memory *memory)
{
	const struct survey *survey = facts->survey;
	bool whole = facts->server_count && !survey->gap_count;
	uint8_t name[NAME_SIZE];
	struct facts ctx = *facts;

	for (size_t i = 0; i < survey->primary_count; i++) {
		const struct rr *soa = primary_soa(facts, &survey->primaries[i]);

		primary_name(survey->primaries[i].name, name);
		if (soa)
			memory_saw(memory, name, &survey->primaries[i].address, (struct serial){soa_of(soa).serial}, facts->now);
	}
	for (size_t i = 0; i < facts->server_count; i++) {
		const struct facts_server *server = &facts->servers[i];
		size_t count;
		const struct rr *again = facts_apex(facts, server->server->soa_again, RR_SOA, &count);

		if (server->soa)
			memory_saw(memory, server->ns, &server->server->address, (struct serial){soa_of(server->soa).serial}, facts->now);
		if (server->soa && again)
			memory_saw(memory, server->ns, &server->server->address, (struct serial){soa_of(again).serial}, facts->now);
	}
	memory_settle(memory, facts->now, whole ? is_asked_still : NULL, &ctx);
}

/* --- serials ------------------------------------------------------------------- */

static void judge_lag(const struct facts *facts, const struct facts_server *server, const struct memory_server *shown, struct serial newest)
{
	const struct verdict_settings *settings = facts->settings;
	int64_t stuck = shown->behind_since ? facts->now - shown->behind_since : 0;
	char span[32];

	if (!serial_newer(newest, shown->last))
		return;
	if (settings->ready)
		FOUND_AT(facts, FINDING_SERIAL_LAG, true, server, "it shows serial %u, the newest is %u", shown->last.v, newest.v);
	else if (shown->lag > settings->lag_warn || shown->lag > settings->lag_crit)
		FOUND_AT(facts, FINDING_SERIAL_LAG, shown->lag > settings->lag_crit, server,
			"it shows serial %u; the newest, %u, was first seen %s ago", shown->last.v, newest.v,
			serials_span(shown->lag, span));
	else if (stuck > settings->lag_crit)
		FOUND_AT(facts, FINDING_SERIAL_STUCK, false, server,
			"it has stood at serial %u while the zone moved on, now to %u, for %s", shown->last.v, newest.v,
			serials_span(stuck, span));
}

/* Every primary has shown its serial, by one of its addresses, and it is older. */
static bool is_ahead(const struct facts *facts, struct serial serial)
{
	const struct survey *survey = facts->survey;

	for (size_t i = 0; i < survey->primary_count; i++) {
		bool known = false;

		for (size_t j = 0; j < survey->primary_count; j++) {
			const struct rr *soa = primary_soa(facts, &survey->primaries[j]);

			if (strcmp(survey->primaries[i].name, survey->primaries[j].name) != 0 || !soa)
				continue;
			known = true;
			if (!serial_newer(serial, (struct serial){soa_of(soa).serial}))
				return false;
		}
		if (!known)
			return false;
	}
	return survey->primary_count > 0;
}

/* A secondary that cannot transfer the zone expires: it was in step before it fell behind, no later. Said when half of its time has gone. */
static void judge_expiry(const struct facts *facts, const struct facts_server *server, const struct memory_server *shown)
{
	const struct verdict_settings *settings = facts->settings;
	int64_t expire = soa_of(server->soa).expire, left = shown->behind_since + expire - facts->now;
	char span[32];

	if (!shown->behind_since || left > expire / 2 || (left >= settings->expire_warn && left >= settings->expire_crit))
		return;
	if (left <= 0)
		FOUND_AT(facts, FINDING_EXPIRE_HORIZON, true, server,
			"it has been behind for longer than the SOA's expire time: a secondary that cannot transfer the zone stops to serve it");
	else
		FOUND_AT(facts, FINDING_EXPIRE_HORIZON, left < settings->expire_crit, server,
			"if it cannot transfer the zone, that expires there within %s", serials_span(left, span));
}

static void judge_serial(const struct facts *facts, const struct memory *memory, const struct facts_server *server)
{
	struct memory_server shown;
	struct serial newest;
	int64_t since;

	if (!memory_newest(memory, &newest, &since) || !memory_of(memory, server->ns, &server->server->address, facts->now, &shown))
		return;
	judge_lag(facts, server, &shown, newest);
	judge_expiry(facts, server, &shown);
	if (is_ahead(facts, shown.last))
		FOUND_AT(facts, FINDING_SERIAL_AHEAD, false, server, "its serial %u is newer than that of every primary", shown.last.v);
	if (serial_newer(shown.highest, shown.last))
		FOUND_AT(facts, FINDING_SERIAL_BACK, false, server, "its serial went back to %u, it has shown %u", shown.last.v, shown.highest.v);
}

/* --- the other fields ------------------------------------------------------------ */

static bool has_soa(const struct facts *facts, size_t i)
{
	return facts->servers[i].soa != NULL;
}

/* "refresh, mname"; empty: they are alike. */
static const char *differing_fields(const struct rr *a, const struct rr *b, char out[80])
{
	const uint8_t *rname_a = a->rdata + name_length(a->rdata), *rname_b = b->rdata + name_length(b->rdata);
	struct rr_soa x = soa_of(a), y = soa_of(b);

	snprintf(out, 80, "%s%s%s%s%s%s", name_equal(a->rdata, b->rdata) ? "" : " MNAME",
		name_equal(rname_a, rname_b) ? "" : " RNAME", x.refresh == y.refresh ? "" : " refresh",
		x.retry == y.retry ? "" : " retry", x.expire == y.expire ? "" : " expire",
		x.minimum == y.minimum ? "" : " minimum");
	return out;
}

static bool alike_soa(const struct facts *facts, size_t i, size_t j)
{
	char fields[80];

	return !*differing_fields(facts->servers[i].soa, facts->servers[j].soa, fields);
}

/* What makes no sense, or NULL. */
static const char *timer_fault(const struct verdict_settings *s, struct rr_soa soa, char out[160])
{
	if (soa.retry > soa.refresh)
		snprintf(out, 160, "retry (%u) is over refresh (%u)", soa.retry, soa.refresh);
	else if (soa.expire < (uint64_t)soa.refresh + soa.retry)
		snprintf(out, 160, "expire (%u) is under refresh + retry (%llu)", soa.expire, (unsigned long long)soa.refresh + soa.retry);
	else if ((s->refresh_min && soa.refresh < s->refresh_min) || (s->refresh_max && soa.refresh > s->refresh_max))
		snprintf(out, 160, "refresh (%u) is outside of what is configured, %u to %u", soa.refresh, s->refresh_min, s->refresh_max);
	else if ((s->retry_min && soa.retry < s->retry_min) || (s->retry_max && soa.retry > s->retry_max))
		snprintf(out, 160, "retry (%u) is outside of what is configured, %u to %u", soa.retry, s->retry_min, s->retry_max);
	else if ((s->expire_min && soa.expire < s->expire_min) || (s->expire_max && soa.expire > s->expire_max))
		snprintf(out, 160, "expire (%u) is outside of what is configured, %u to %u", soa.expire, s->expire_min, s->expire_max);
	else
		return NULL;
	return out;
}

static void judge_fields(const struct facts *facts)
{
	size_t common = facts_commonest(facts, has_soa, alike_soa);
	bool differ = false;

	for (size_t i = 0; i < facts->server_count; i++)
		differ = differ || (has_soa(facts, i) && !alike_soa(facts, i, common));
	for (size_t i = 0; i < facts->server_count; i++) {
		const struct facts_server *server = &facts->servers[i], *at = differ ? server : NULL;
		char fields[80], fault[160];

		if (!server->soa)
			continue;
		if (*differing_fields(server->soa, facts->servers[common].soa, fields))
			FOUND_AT(facts, FINDING_SOA_DIFFERS, false, server, "its SOA record differs from that of most others in:%s", fields);
		if (timer_fault(facts->settings, soa_of(server->soa), fault))
			FOUND_MAYBE(facts, FINDING_SOA_TIMERS, false, at, "the SOA's %s", fault);
	}
}

/* --- TTLs ---------------------------------------------------------------------- */

/* What of the zone is asked, at the apex and at "www"; of an answer only the type that was asked for is judged, or an alias in its stead. */
enum { TTL_REPLIES = 8, TTL_WWW = 6 /* the first that is of "www" */ };
static const uint16_t ttl_types[TTL_REPLIES] = {RR_SOA, RR_NS, RR_DNSKEY, RR_A, RR_AAAA, RR_MX, RR_A, RR_AAAA};

static const struct reply *ttl_reply(const struct facts_server *server, size_t i)
{
	const struct survey_server *s = server->server;
	const struct reply *replies[TTL_REPLIES] = {server->first, s->ns_set, s->dnskey, s->a, s->aaaa, s->mx, s->www_a, s->www_aaaa};

	return server->soa && facts_is_good(replies[i]) ? replies[i] : NULL;
}

static const struct rr *ttl_record(const struct facts_server *server, size_t i, const uint8_t *owner, uint16_t type)
{
	const struct reply *reply = ttl_reply(server, i);
	size_t count;

	return reply ? reply_find(reply->answer, reply->answer_count, owner, type, &count) : NULL;
}

static void say_ttl_short(const struct facts *facts, const struct facts_server *at, const struct rr *rr)
{
	char type_text[RR_TYPE_TEXT], span[32];

	FOUND_MAYBE(facts, FINDING_TTL_SHORT, false, at, "%s %s has a TTL of %u, less than %u: caches carry it through an outage for %s at most",
		facts_name_text(facts, rr->owner), rr_type_text(rr->type, type_text), rr->ttl, facts->settings->ttl_min, serials_span(rr->ttl, span));
}

/* One RRset at all servers; where they show it with different TTLs, each for itself. */
static void judge_ttl(const struct facts *facts, size_t i, const uint8_t *owner, uint16_t type)
{
	uint32_t least = UINT32_MAX, most = 0;

	for (size_t k = 0; k < facts->server_count; k++) {
		const struct rr *rr = ttl_record(&facts->servers[k], i, owner, type);

		if (rr && rr->ttl < least)
			least = rr->ttl;
		if (rr && rr->ttl > most)
			most = rr->ttl;
	}
	for (size_t k = 0; least < facts->settings->ttl_min && k < facts->server_count; k++) {
		const struct rr *rr = ttl_record(&facts->servers[k], i, owner, type);

		if (rr && rr->ttl < facts->settings->ttl_min)
			say_ttl_short(facts, least != most ? &facts->servers[k] : NULL, rr);
	}
}

static void judge_ttls(const struct facts *facts)
{
	static const uint8_t label[] = "\3www";
	uint8_t www[NAME_SIZE];
	bool has_www = name_join(label, sizeof label - 1, facts->survey->zone, www);

	for (size_t i = 0; i < (has_www ? TTL_REPLIES : TTL_WWW); i++) {
		const uint8_t *owner = i < TTL_WWW ? facts->survey->zone : www;

		judge_ttl(facts, i, owner, ttl_types[i]);
		judge_ttl(facts, i, owner, RR_CNAME);
	}
}

void serials_judge(const struct facts *facts, const struct memory *memory)
{
	for (size_t i = 0; i < facts->server_count; i++)
		if (facts->servers[i].soa)
			judge_serial(facts, memory, &facts->servers[i]);
	judge_fields(facts);
	judge_ttls(facts);
}
