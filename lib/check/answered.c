#include "check/answered.h"

#include "dns/msg.h"
#include "dns/rrtext.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool was_asked(const struct reply *reply)
{
	return reply && reply->outcome != REPLY_NONE;
}

/* --- none at all ----------------------------------------------------------------- */

static bool parents_answered(const struct survey *survey)
{
	for (size_t i = 0; i < survey->parent_count; i++)
		if (reply_answered(survey->parents[i].referral) || reply_answered(survey->parents[i].ds))
			return true;
	for (size_t i = 0; i < survey->ns_count; i++)
		if (reply_answered(survey->ns[i].a) || reply_answered(survey->ns[i].aaaa))
			return true;
	return false;
}

/* Where nobody answers at all, the fault may be on our side. */
static bool somebody_answered(const struct facts *facts)
{
	for (size_t i = 0; i < facts->server_count; i++) {
		const struct survey_server *server = facts->servers[i].server;

		if (facts->servers[i].first || reply_answered(server->tcp_soa) || (server->soa && server->soa->outcome == REPLY_GARBAGE))
			return true;
	}
	return parents_answered(facts->survey);
}

/* This machine cannot send to the address at all: not the server's fault. */
static bool has_no_way(const struct reply *reply)
{
	static const int numbers[] = {ENETUNREACH, EADDRNOTAVAIL, EAFNOSUPPORT};

	if (!reply || reply->outcome != REPLY_UNREACHABLE)
		return false;
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		if (strstr(reply->why.text, strerror(numbers[i])))
			return true;
	return false;
}

/* Whether there are addresses of the family, and no way to any of them. */
static bool is_cut_off(const struct facts *facts, sa_family_t family)
{
	size_t count = 0;

	for (size_t i = 0; i < facts->server_count; i++) {
		const struct survey_server *server = facts->servers[i].server;

		if (server->address.sa.sa_family != family)
			continue;
		if (!has_no_way(server->soa))
			return false;
		count++;
	}
	return count > 0;
}

/* --- one server ------------------------------------------------------------------ */

static void judge_silence(const struct facts *facts, const struct facts_server *server)
{
	const struct reply *soa = server->server->soa, *plain = server->server->plain_soa;
	const struct reply *garbage = soa && soa->outcome == REPLY_GARBAGE ? soa : plain && plain->outcome == REPLY_GARBAGE ? plain : NULL;
	char word[16];

	if (garbage)
		FOUND_AT(facts, FINDING_CHECK_INCOMPLETE, false, server, "what it sends cannot be read: %s", reply_says(garbage, word));
	else if (was_asked(soa) || was_asked(plain))
		FOUND_AT(facts, FINDING_UNREACHABLE, false, server, "no answer over UDP: %s%s", reply_says(was_asked(soa) ? soa : plain, word),
			reply_answered(server->server->tcp_soa) ? " (over TCP it answers)" : "");
}

static void judge_lame(const struct facts *facts, const struct facts_server *server)
{
	const struct reply *first = server->first;
	char word[16];

	if (first->rcode != RCODE_NOERROR)
		FOUND_AT(facts, FINDING_LAME, false, server, "asked for the SOA record, it answers %s", reply_says(first, word));
	else if (!first->aa)
		FOUND_AT(facts, FINDING_LAME, false, server, "it answers without authority (AA is not set)");
	else
		FOUND_AT(facts, FINDING_LAME, false, server, "its answer has no SOA record of the zone");
}

const char *answered_edns_fault(const struct facts_server *server, char room[160])
{
	const struct reply *with = server->server->soa, *plain = server->server->plain_soa, *later = server->server->edns1;
	char word[16], other[16];

	if (!reply_answered(with)) {
		if (!was_asked(with) || !reply_answered(plain))
			return NULL;
		snprintf(room, 160, "no answer with EDNS (%.60s), but one without", reply_says(with, word));
		return room;
	}
	if (with != server->first) {
		snprintf(room, 160, "with EDNS it answers %s, without %s", reply_says(with, word), reply_says(plain, other));
		return room;
	}
	if (!with->edns)
		return "it answers as if there were no EDNS in the question";
	if (reply_answered(plain) && plain->edns)
		return "it answers with EDNS where there was none in the question";
	if (!was_asked(later) || (reply_answered(later) && later->rcode == RCODE_BADVERS))
		return NULL;
	snprintf(room, 160, "asked with version 1 of EDNS, it must answer BADVERS: %.80s", reply_says(later, word));
	return room;
}

static void judge_tcp(const struct facts *facts, const struct facts_server *server)
{
	const struct reply *tcp = server->server->tcp_soa;
	size_t count;
	char word[16];

	if (!was_asked(tcp) || (reply_answered(tcp) && server->first != server->server->soa))
		return;              /* what it makes of EDNS is another fault */
	if (!reply_answered(tcp))
		FOUND_AT(facts, FINDING_TCP_FAIL, false, server, "no answer over TCP: %s", reply_says(tcp, word));
	else if (!facts_apex(facts, tcp, RR_SOA, &count))
		FOUND_AT(facts, FINDING_TCP_FAIL, false, server, "over UDP it answers for the zone, over TCP it does not: %s%s",
			reply_says(tcp, word), tcp->aa ? "" : ", without authority");
}

/* A question besides that for the SOA record. */
static void judge_question(const struct facts *facts, const struct facts_server *server, const struct reply *reply, uint16_t type, bool must)
{
	char type_text[RR_TYPE_TEXT], word[16];
	size_t count;

	if (!was_asked(reply))
		return;
	rr_type_text(type, type_text);
	if (!reply_answered(reply))
		FOUND_AT(facts, FINDING_CHECK_INCOMPLETE, false, server, "asked for %s, it gave no answer: %s", type_text, reply_says(reply, word));
	else if (reply->tc)
		FOUND_AT(facts, FINDING_CHECK_INCOMPLETE, false, server, "asked for %s, it gave no whole answer", type_text);
	else if (must && !facts_apex(facts, reply, type, &count))
		FOUND_AT(facts, FINDING_LAME, false, server, "asked for %s, it answers %s%s", type_text, reply_says(reply, word),
			!reply->aa ? " without authority" : reply->rcode == RCODE_NOERROR ? ", but no such record" : "");
	else if ((reply->rcode != RCODE_NOERROR && reply->rcode != RCODE_NXDOMAIN) || !reply->aa)
		FOUND_AT(facts, FINDING_CHECK_INCOMPLETE, false, server, "asked for %s, it answers %s%s", type_text,
			reply_says(reply, word), reply->aa ? "" : " without authority");
}

static void judge_questions(const struct facts *facts, const struct facts_server *server)
{
	const struct survey_server *asked = server->server;

	judge_question(facts, server, asked->ns_set, RR_NS, true);
	judge_question(facts, server, asked->dnskey, RR_DNSKEY, false);
	judge_question(facts, server, asked->cds, RR_CDS, false);
	judge_question(facts, server, asked->cdnskey, RR_CDNSKEY, false);
	judge_question(facts, server, asked->csync, 62, false);
}

static void judge_caution(const struct facts *facts, const struct facts_server *server)
{
	const struct survey_server *asked = server->server;
	const struct reply *replies[] = {asked->soa, asked->plain_soa, asked->ns_set, asked->dnskey, asked->tcp_soa};
	const struct reply *odd = NULL, *offers = NULL;
	size_t count;

	for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
		if (!reply_answered(replies[i]))
			continue;
		if (replies[i]->odd)
			odd = replies[i];
		if (replies[i]->ra)
			offers = replies[i];
	}
	if (odd)
		FOUND_AT(facts, FINDING_ADDRESS_ODD, false, server,
			"it was asked here and answers from %s, which resolvers do not accept",
			facts_address_text(facts, &odd->odd_from));
	if (offers)
		FOUND_AT(facts, FINDING_RECURSION, false, server, "it offers recursion (RA is set)");
	if (reply_answered(asked->axfr) && asked->axfr->rcode == RCODE_NOERROR &&
		reply_find(asked->axfr->answer, asked->axfr->answer_count, facts->survey->zone, RR_SOA, &count))
		FOUND_AT(facts, FINDING_TRANSFER_OPEN, false, server, "anyone may transfer the zone from it");
}

static void judge_server(const struct facts *facts, const struct facts_server *server)
{
	char room[160];
	const char *fault;

	if (!server->first) {
		judge_silence(facts, server);
		return;
	}
	judge_caution(facts, server);
	if (!server->soa) {
		judge_lame(facts, server);
		return;
	}
	fault = answered_edns_fault(server, room);
	if (fault)
		FOUND_AT(facts, FINDING_EDNS_FAIL, false, server, "%s", fault);
	judge_tcp(facts, server);
	judge_questions(facts, server);
}

void answered_judge(const struct facts *facts)
{
	bool cut4, cut6;

	if (facts->server_count && !somebody_answered(facts)) {
		FOUND(facts, FINDING_CHECK_INCOMPLETE, false,
			"nobody answers, neither the parent's servers nor any nameserver of the zone: is the network there?");
		return;
	}
	cut4 = is_cut_off(facts, AF_INET);
	cut6 = is_cut_off(facts, AF_INET6);
	if (cut4 || cut6)
		FOUND(facts, FINDING_CHECK_INCOMPLETE, false,
			"there is no way from here to addresses of %s, so these were not checked (-%c leaves them out)",
			cut6 ? "IPv6" : "IPv4", cut6 ? '4' : '6');
	for (size_t i = 0; i < facts->server_count; i++)
		if (!(facts->servers[i].server->address.sa.sa_family == AF_INET6 ? cut6 : cut4))
			judge_server(facts, &facts->servers[i]);
}
