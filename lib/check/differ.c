#include "check/differ.h"

#include "dns/msg.h"

#include <stdio.h>
#include <stdlib.h>

struct server;
/* One question under way. */
struct slot {
	struct server *server;
	struct slot *next;           /* of the free ones */
	struct probe *probe;         /* NULL: it is free */
	struct question question;
};
struct server {
	struct differ *differ;
	size_t index;
	struct questions questions;
	struct slot slot[DIFFER_UNDER_WAY], *free;
	size_t next;                 /* of `only` */
	unsigned under_way, silent;  /* unanswered in a row */
	bool none_left, asked_again;
};
struct differ {
	struct differ_ask ask;
	struct server *servers;
	struct differ_row *rows;
	size_t over;
	bool stopped;
	uint64_t count;              /* questions to one server */
	struct difference difference;
};

static struct differ_row *row_of(const struct server *s) { return &s->differ->rows[s->index]; }

static void finish(struct server *s, enum differ_state state)
{
	struct differ *d = s->differ;

	if (row_of(s)->state != DIFFER_ASKING)
		return;
	row_of(s)->state = state;
	if (++d->over == d->ask.server_count && !d->stopped)
		d->ask.done(d->ask.ctx);
}

/* --- asking ------------------------------------------------------------------------------ */

static void on_first(void *ctx, struct reply *);
static void on_answer(void *ctx, struct reply *);
static void on_last(void *ctx, struct reply *);

static bool send_question(struct slot *slot, probe_done *done)
{
	struct server *s = slot->server;
	struct probe_ask ask = {.to = row_of(s)->address, .name = slot->question.name, .type = slot->question.type, .class = CLASS_IN,
		.do_bit = true, .follow = true};

	slot->probe = probe_send(s->differ->ask.prober, &ask, done, slot);
	if (!slot->probe)
		return false;
	row_of(s)->asked++;
	s->under_way++;
	s->free = slot->next;
	return true;
}

static void give_back(struct slot *slot)
{
	slot->probe = NULL;
	slot->server->under_way--;
	slot->next = slot->server->free;
	slot->server->free = slot;
}

static void say(struct differ_row *row, const char *text)
{
	snprintf(row->said, sizeof row->said, "%s", text);
}

static void lose(struct server *s)
{
	say(row_of(s), "out of memory");
	finish(s, DIFFER_LOST);
}

static bool next_question(struct server *s, struct question *out)
{
	const struct differ_ask *ask = &s->differ->ask;

	if (!ask->only)
		return questions_next(&s->questions, out);
	if (s->next == ask->only_count)
		return false;
	*out = ask->only[s->next++];
	return true;
}

static bool send_soa(struct server *s, probe_done *done)
{
	name_copy(s->differ->ask.zone->apex, s->free->question.name);
	s->free->question.type = RR_SOA;
	return send_question(s->free, done);
}

/* What differs may be of the next version: the server is asked for its serial again. */
static void end(struct server *s)
{
	if (!s->differ->ask.only || !row_of(s)->differences || s->asked_again)
		finish(s, DIFFER_DONE);
	else if (!send_soa(s, on_last))
		lose(s);
	s->asked_again = true;
}

static void fill(struct server *s)
{
	unsigned most = s->differ->ask.only ? 1 : DIFFER_UNDER_WAY;

	while (s->under_way < most && !s->none_left && row_of(s)->state == DIFFER_ASKING) {
		if (!next_question(s, &s->free->question)) {
			s->none_left = true;
		} else if (!send_question(s->free, on_answer)) {
			lose(s);
		}
	}
	if (s->none_left && !s->under_way && row_of(s)->state == DIFFER_ASKING)
		end(s);
}

/* --- answers ----------------------------------------------------------------------------- */

static void take_first(struct server *s, const struct reply *reply)
{
	struct differ_row *row = row_of(s);
	const struct rr *soa;
	char word[16];
	size_t found;

	row->answered += reply->outcome == REPLY_OK;
	soa = reply_find(reply->answer, reply->answer_count, s->differ->ask.zone->apex, RR_SOA, &found);
	row->authoritative = reply->aa;
	row->rtt_us = reply->rtt_us;
	if (soa) {
		row->has_serial = true;
		row->serial = rr_soa_of(soa->rdata, soa->rdlength).serial;
		if (s->differ->ask.only && row->serial != s->differ->ask.zone->serial.v)
			finish(s, DIFFER_MOVED);
		fill(s);
		return;
	}
	say(row, reply->outcome == REPLY_OK && !reply->rcode ? "no SOA record" : reply_says(reply, word));
	finish(s, reply->outcome == REPLY_OK || reply->outcome == REPLY_GARBAGE ? DIFFER_LAME : DIFFER_SILENT);
}

static void on_first(void *ctx, struct reply *reply)
{
	struct slot *slot = ctx;
	struct server *s = slot->server;

	give_back(slot);
	if (reply)
		take_first(s, reply);
	else
		lose(s);
	reply_free(reply);
}

static void on_last(void *ctx, struct reply *reply)
{
	struct slot *slot = ctx;
	struct server *s = slot->server;
	const struct zone *zone = s->differ->ask.zone;
	const struct rr *soa = NULL;
	size_t found;

	give_back(slot);
	if (reply) {
		soa = reply_find(reply->answer, reply->answer_count, zone->apex, RR_SOA, &found);
		row_of(s)->answered += reply->outcome == REPLY_OK;
	}
	finish(s, soa && rr_soa_of(soa->rdata, soa->rdlength).serial == zone->serial.v ? DIFFER_DONE : DIFFER_MOVED);
	reply_free(reply);
}

static void take_answer(struct server *s, const struct question *question, const struct reply *reply)
{
	struct differ *d = s->differ;
	struct differ_row *row = row_of(s);
	char word[16];

	switch (compare_reply(d->ask.zone, question, reply, row->authoritative, &d->difference)) {
	case COMPARE_SAME:
		s->silent = 0;
		row->answered++;
		break;
	case COMPARE_DIFFERS:
		s->silent = 0;
		row->answered++;
		row->differences++;
		d->ask.differs(d->ask.ctx, s->index, &d->difference);
		break;
	case COMPARE_NO_ANSWER:
		say(row, reply_says(reply, word));
		if (++s->silent == (d->ask.only ? DIFFER_SILENCE_ONLY : DIFFER_SILENCE))
			finish(s, DIFFER_LOST);
		break;
	}
}

static void on_answer(void *ctx, struct reply *reply)
{
	struct slot *slot = ctx;
	struct server *s = slot->server;

	if (!reply)
		lose(s);
	else if (row_of(s)->state == DIFFER_ASKING)
		take_answer(s, &slot->question, reply);
	reply_free(reply);
	give_back(slot);
	fill(s);
}

/* --- the whole --------------------------------------------------------------------------- */

static void begin(struct differ *d, size_t index)
{
	struct server *s = &d->servers[index];

	s->differ = d;
	s->index = index;
	d->rows[index].address = d->ask.servers[index];
	questions_begin(&s->questions, d->ask.zone, d->ask.sample);
	for (unsigned i = DIFFER_UNDER_WAY; i--;) {
		s->slot[i].server = s;
		s->slot[i].next = s->free;
		s->free = &s->slot[i];
	}
	if (send_soa(s, on_first))
		return;
	say(row_of(s), "out of memory");
	row_of(s)->state = DIFFER_LOST;
	d->over++;
}

struct differ *differ_start(const struct differ_ask *ask)
{
	struct differ *d = calloc(1, sizeof *d);

	if (!d)
		return NULL;
	d->ask = *ask;
	zone_hold(ask->zone);
	d->servers = calloc(ask->server_count + 1, sizeof *d->servers);
	d->rows = calloc(ask->server_count + 1, sizeof *d->rows);
	if (!d->servers || !d->rows) {
		differ_free(d);
		return NULL;
	}
	d->count = (ask->only ? ask->only_count : questions_count(ask->zone, ask->sample)) + 1;
	for (size_t i = 0; i < ask->server_count; i++)
		begin(d, i);
	return d;
}

bool differ_over(const struct differ *d)
{
	return d->over == d->ask.server_count;
}

static void stop_slot(struct slot *slot)
{
	probe_cancel(slot->probe);
	slot->probe = NULL;
}

void differ_stop(struct differ *d)
{
	d->stopped = true;
	for (size_t i = 0; i < d->ask.server_count; i++) {
		finish(&d->servers[i], DIFFER_STOPPED);
		for (unsigned j = 0; j < DIFFER_UNDER_WAY; j++)
			stop_slot(&d->servers[i].slot[j]);
	}
}

void differ_free(struct differ *d)
{
	if (!d)
		return;
	if (d->servers && d->rows)
		differ_stop(d);
	zone_put(d->ask.zone);
	free(d->servers);
	free(d->rows);
	free(d);
}

const struct differ_row *differ_rows(const struct differ *d)
{
	return d->rows;
}

void differ_progress(const struct differ *d, uint64_t *done, uint64_t *all)
{
	*done = *all = 0;
	for (size_t i = 0; i < d->ask.server_count; i++) {
		const struct differ_row *row = &d->rows[i];
		bool over = row->state != DIFFER_ASKING;

		*done += over ? row->asked : row->asked - d->servers[i].under_way;
		*all += over ? row->asked : d->count;
	}
}
