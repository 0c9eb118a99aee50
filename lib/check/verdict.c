#include "check/verdict.h"

#include "check/answered.h"
#include "check/delegated.h"
#include "check/facts.h"
#include "check/serials.h"
#include "check/signed.h"
#include "check/spread.h"
#include "dns/msg.h"

#include <stdlib.h>
#include <string.h>

/* Whether a server of the zone above says that there is no such name. */
static bool is_nothing(const struct survey *survey)
{
	for (size_t i = 0; i < survey->parent_count; i++) {
		const struct reply *referral = survey->parents[i].referral;

		if (referral && referral->outcome == REPLY_OK && referral->rcode == RCODE_NXDOMAIN)
			return true;
	}
	return false;
}

static void judge_gaps(const struct facts *facts)
{
	const struct survey *survey = facts->survey;

	for (size_t i = 0; i < survey->gap_count; i++)
		FOUND(facts, FINDING_CHECK_INCOMPLETE, false, "%s", survey->gaps[i].what);
	if (survey->enclosing)
		FOUND(facts, FINDING_CHECK_INCOMPLETE, false,
			is_nothing(survey) ? "%s does not exist: there is no such name in the zone %s"
			: "%s is no zone of its own: it lies in the zone %s",
			facts->zone, facts_name_text(facts, survey->enclosing));
	else if (!survey->server_count && !survey->gap_count)
		FOUND(facts, FINDING_CHECK_INCOMPLETE, false, "no nameserver was found");
}

/* --- rows ---------------------------------------------------------------------- */

/* Which of the different sets each server shows, those shown most first. */
static void number_sets(const struct facts *facts, struct verdict_row *rows)
{
	const struct facts_names nobody = {NULL, 0};
	unsigned number = 0;

	for (;;) {
		size_t best = facts->server_count, most = 0;

		for (size_t i = 0; i < facts->server_count; i++) {
			size_t n = 0;

			if (rows[i].ns_set || !facts->servers[i].ns_rrs)
				continue;
			for (size_t j = 0; j < facts->server_count; j++)
				n += facts->servers[j].ns_rrs && facts_same(&facts->servers[i].ns_set, &facts->servers[j].ns_set);
			if (n > most) {
				most = n;
				best = i;
			}
		}
		if (!most)
			return;
		number++;
		for (size_t j = 0; j < facts->server_count; j++)
			if (facts->servers[j].ns_rrs && facts_same(&facts->servers[best].ns_set, &facts->servers[j].ns_set)) {
				rows[j].ns_set = number;
				rows[j].ns_names = facts_without(facts, &facts->servers[j].ns_set, &nobody);
			}
	}
}

static enum verdict_answer answer_of(const struct reply *reply, bool good)
{
	return !reply || reply->outcome == REPLY_NONE ? ANSWER_UNASKED : good ? ANSWER_GOOD : ANSWER_BAD;
}

static void fill_row(const struct facts *facts, const struct memory *memory, const struct facts_server *server, struct verdict_row *row)
{
	const struct survey_server *asked = server->server;
	struct memory_server shown;
	char word[16], room[160];
	size_t count;

	*row = (struct verdict_row){.name = server->name, .address = server->address,
		.provider = server->provider ? arena_strdup(facts->arena, server->provider->name) : NULL,
		.rtt_us = server->first ? (int64_t)server->first->rtt_us : -1, .shows_serial = server->soa != NULL};
	row->says = asked->soa || server->first ? arena_strdup(facts->arena, reply_says(server->first ? server->first : asked->soa, word)) : "-";
	row->udp = answer_of(asked->soa, server->soa != NULL);
	row->tcp = answer_of(asked->tcp_soa, facts_apex(facts, asked->tcp_soa, RR_SOA, &count) != NULL);
	row->edns = answer_of(asked->soa, server->first && !answered_edns_fault(server, room));
	if (server->soa && memory_of(memory, server->ns, &asked->address, facts->now, &shown)) {
		row->serial = shown.last;
		row->lag = shown.lag;
	}
}

static bool fill_rows(const struct facts *facts, const struct memory *memory, struct verdict *verdict)
{
	verdict->rows = arena_zero(&verdict->arena, (facts->server_count + 1) * sizeof *verdict->rows);
	if (!verdict->rows)
		return false;
	verdict->row_count = facts->server_count;
	for (size_t i = 0; i < facts->server_count; i++)
		fill_row(facts, memory, &facts->servers[i], &verdict->rows[i]);
	number_sets(facts, verdict->rows);
	verdict->serial_known = memory_newest(memory, &verdict->serial, &verdict->serial_since);
	return true;
}

/* --- the whole ------------------------------------------------------------------ */

static bool judge(struct verdict *verdict, const struct survey *survey, struct memory *memory, const struct verdict_settings *settings, int64_t now)
{
	struct facts facts;

	if (!verdict->findings || !facts_make(&facts, survey, settings, verdict->findings, &verdict->arena, now))
		return false;
	verdict->zone = facts.zone;
	serials_remember(&facts, memory);
	judge_gaps(&facts);
	if (!survey->enclosing) {
		answered_judge(&facts);
		delegated_judge(&facts);
		serials_judge(&facts, memory);
		signed_judge(&facts);
		spread_judge(&facts);
	}
	return fill_rows(&facts, memory, verdict);
}

struct verdict *verdict_of(const struct survey *survey, struct memory *memory, const struct verdict_settings *settings, int64_t now)
{
	struct verdict *verdict = calloc(1, sizeof *verdict);

	if (!verdict)
		return NULL;
	verdict->findings = findings_new(&settings->levels);
	if (judge(verdict, survey, memory, settings, now))
		return verdict;
	verdict_free(verdict);
	return NULL;
}

void verdict_free(struct verdict *verdict)
{
	if (!verdict)
		return;
	findings_free(verdict->findings);
	arena_release(&verdict->arena);
	free(verdict);
}
