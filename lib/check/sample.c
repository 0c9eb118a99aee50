#include "check/sample.h"

#include <event2/event.h>
#include <stdlib.h>

/* One address of a nameserver. */
struct target {
	char name[NAME_TEXT_SIZE], address[NET_ADDR_TEXT];
	struct findings *found;
};
struct sample {
	struct differ *differ;
	struct question *questions;
	struct target *targets;
	struct net_addr *addresses;
	size_t target_count;
	struct event *turn;          /* done is told from here, where nothing of the differ is under way */
	void (*done)(void *ctx);
	void *ctx;
};

/* --- whom, and what ------------------------------------------------------------------------ */

static bool shows(const struct survey *survey, const struct survey_server *server, struct serial serial)
{
	const struct reply *reply = server->serves ? server->soa : NULL;
	const struct rr *soa;
	size_t count;

	soa = reply && reply->outcome == REPLY_OK ? reply_find(reply->answer, reply->answer_count, survey->zone, RR_SOA, &count) : NULL;
	return soa && rr_soa_of(soa->rdata, soa->rdlength).serial == serial.v;
}

static bool pick_targets(struct sample *s, const struct survey *survey, struct serial serial)
{
	uint8_t lower[NAME_SIZE];

	s->targets = calloc(survey->server_count + 1, sizeof *s->targets);
	s->addresses = calloc(survey->server_count + 1, sizeof *s->addresses);
	for (size_t i = 0; s->targets && s->addresses && i < survey->server_count; i++) {
		const struct survey_server *server = &survey->servers[i];
		struct target *target = &s->targets[s->target_count];

		if (!shows(survey, server, serial))
			continue;
		name_lower(survey->ns[server->ns].name, lower);
		name_text(lower, target->name);
		net_addr_text(&server->address, 53, target->address);
		s->addresses[s->target_count++] = server->address;
		target->found = findings_new(NULL);
		if (!target->found)
			return false;
	}
	return s->target_count > 0;
}

static size_t pick_questions(struct sample *s, const struct sample_ask *ask)
{
	size_t count = 0;

	s->questions = calloc(ask->again_count + ask->most + QUESTIONS_ABSENT, sizeof *s->questions);
	for (size_t i = 0; s->questions && i < ask->again_count; i++)
		if (name_is_under(ask->again[i].name, ask->zone->apex))
			s->questions[count++] = ask->again[i];
	return s->questions ? count + questions_sample(ask->zone, ask->most, ask->random, s->questions + count) : 0;
}

/* --- the whole ----------------------------------------------------------------------------- */

static void on_difference(void *ctx, size_t server, const struct difference *d)
{
	struct target *target = &((struct sample *)ctx)->targets[server];

	difference_found(target->found, target->name, target->address, d->owner, d->type, d->kind, d->expected.text, d->got.text);
}

static void on_done(void *ctx)
{
	static const struct timeval now = {0, 0};

	event_add(((struct sample *)ctx)->turn, &now);
}

static void on_turn(evutil_socket_t fd, short what, void *ctx)
{
	struct sample *s = ctx;

	(void)fd;
	(void)what;
	s->done(s->ctx);
}

struct sample *sample_start(const struct sample_ask *ask)
{
	struct differ_ask differ = {.prober = ask->prober, .zone = ask->zone, .differs = on_difference, .done = on_done};
	struct sample *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	s->done = ask->done;
	s->ctx = ask->ctx;
	differ.ctx = s;
	if (pick_targets(s, ask->survey, ask->zone->serial) && (differ.only_count = pick_questions(s, ask)) &&
	    (s->turn = evtimer_new(ask->base, on_turn, s))) {
		differ.only = s->questions;
		differ.servers = s->addresses;
		differ.server_count = s->target_count;
		s->differ = differ_start(&differ);
	}
	if (s->differ && !differ_over(s->differ))
		return s;
	sample_free(s);
	return NULL;
}

static void find_at(const struct target *target, const struct differ_row *row, struct findings *findings)
{
	struct finding_place place = {.server = target->name, .address = target->address};

	switch (row->state) {
	case DIFFER_MOVED:
		return;
	case DIFFER_SILENT: case DIFFER_LAME: case DIFFER_LOST: case DIFFER_STOPPED: case DIFFER_ASKING:
		findings_add(findings, FINDING_CHECK_INCOMPLETE, false, &place,
			"asked for a sample of the zone, it has answered %llu of %llu questions: %s",
			(unsigned long long)row->answered, (unsigned long long)row->asked, row->said);
		return;
	case DIFFER_DONE:
		if (row->answered < row->asked)
			findings_add(findings, FINDING_CHECK_INCOMPLETE, false, &place,
				"asked for a sample of the zone, it has not answered %llu of %llu questions",
				(unsigned long long)(row->asked - row->answered), (unsigned long long)row->asked);
		break;
	}
	for (size_t i = 0; i < findings_count(target->found); i++) {
		const struct finding *f = findings_at(target->found, i);

		findings_add(findings, f->id, false,
			&(struct finding_place){f->server, f->address, f->owner, f->type, f->expected, f->got}, "%s", f->message);
	}
}

void sample_findings(const struct sample *s, struct findings *findings)
{
	for (size_t i = 0; i < s->target_count; i++)
		find_at(&s->targets[i], &differ_rows(s->differ)[i], findings);
}

void sample_free(struct sample *s)
{
	if (!s)
		return;
	differ_free(s->differ);
	for (size_t i = 0; i < s->target_count; i++)
		findings_free(s->targets[i].found);
	if (s->turn)
		event_free(s->turn);
	free(s->questions);
	free(s->targets);
	free(s->addresses);
	free(s);
}
