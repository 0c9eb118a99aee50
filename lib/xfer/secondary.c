#include "xfer/secondary.h"

#include "xfer/round.h"
#include "xfer/view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	SPREAD_US = 200,             /* from one zone to the next, of those that wake up together, */
	SPREAD_MAX_MS = 30 * 1000,   /* in all */
};

struct waiter {
	struct waiter *next;
	secondary_waiter *call;
	void *ctx;
};

/* Where a zone sleeps: at each of the primaries that did not answer. */
struct nap {
	size_t count;
	struct napper {
		struct primary_ticket ticket;
		struct secondary *zone;
	} at[];
};

/* A transfer that follows the one under way: somebody waits who asked for something else. */
struct after {
	struct waiter *waiters;
	bool full;
	uint32_t prefer;
};

struct secondary {
	struct standing zone;                /* how it stands with its primaries */
	void *owner;
	struct round *round;                 /* NULL: none is under way */
	struct waiter *waiters;
	struct after *after;                 /* NULL: none follows */
	struct nap *nap;
	struct timer timer;
	uint32_t prefer;                     /* index of the remote to try first, or NO_REMOTE */
	enum { NOT_STARTED, STARTED, MUST_ASK, MUST_PULL } start : 8;        /* MUST_: not started, and the operator waits */
	bool next_full, next_forced;         /* what the operator asked for */
	uint8_t name[];
};

#define NO_REMOTE UINT32_MAX

static void act(struct secondary *, enum refresh_act);
static void follow(struct secondary *);
static void begin_survey(struct secondary *);

static void arm(struct secondary *s)
{
	timer_set(s->zone.env->timers, &s->timer, refresh_due(&s->zone.refresh));
}

/* Whether a round is under way that the table of refresh knows of. */
static bool is_busy(const struct secondary *s)
{
	return s->round && !s->round->wish.survey;
}

static void event(struct secondary *s, enum refresh_event e)
{
	act(s, refresh_event(&s->zone.refresh, e, s->zone.env->now(), net_random32()));
}

static void end_round(struct secondary *s)
{
	struct round *r = s->round;

	s->round = NULL;
	round_free(r);
}

/* --- who waits ----------------------------------------------------------------- */

static void tell(struct secondary *s, enum secondary_result result, struct secondary_outcome outcome)
{
	struct waiter *waiters = s->waiters;

	outcome.result = result;
	outcome.has_serial = s->zone.refresh.loaded;
	outcome.serial = s->zone.refresh.serial;
	if (result == SECONDARY_FAILED)
		outcome.error = standing_last_error(&s->zone) ? standing_last_error(&s->zone) : "it failed";
	s->waiters = NULL;
	while (waiters) {
		struct waiter *next = waiters->next;

		waiters->call(waiters->ctx, s, &outcome);
		free(waiters);
		waiters = next;
	}
}

/* It is over for all who wait, also those whose turn had not come. */
static void tell_all(struct secondary *s, struct secondary_outcome outcome)
{
	struct after *after = s->after;
	struct waiter **last = &s->waiters;

	s->after = NULL;
	while (*last)
		last = &(*last)->next;
	*last = after ? after->waiters : NULL;
	free(after);
	tell(s, SECONDARY_FAILED, outcome);
}

static void wait_for(struct secondary *s, struct waiter **list, secondary_waiter *call, void *ctx)
{
	struct waiter *w;

	if (!call)
		return;
	w = malloc(sizeof *w);
	if (!w) {
		struct secondary_outcome none = {.result = SECONDARY_FAILED, .error = "out of memory"};

		call(ctx, s, &none);
		return;
	}
	*w = (struct waiter){*list, call, ctx};
	*list = w;
}

static void forget_waiter(struct waiter **at, const void *ctx)
{
	while (*at) {
		struct waiter *w = *at;

		if (w->ctx == ctx) {
			*at = w->next;
			free(w);
		} else {
			at = &w->next;
		}
	}
}

void secondary_forget_waiter(struct secondary *s, void *ctx)
{
	forget_waiter(&s->waiters, ctx);
	if (s->after)
		forget_waiter(&s->after->waiters, ctx);
}

/* --- sleeping ------------------------------------------------------------------ */

static void wake_up(struct secondary *s)
{
	struct nap *nap = s->nap;

	s->nap = NULL;
	for (size_t i = 0; nap && i < nap->count; i++)
		primary_leave(&nap->at[i].ticket);
	free(nap);
}

/* One of the primaries is heard again. Those that wake up with this one do not ask all at once. */
static void nap_over(struct primary_ticket *ticket, enum primary_turn turn)
{
	struct secondary *s = ((struct napper *)ticket)->zone;
	uint64_t spread = primary_sleepers(ticket->primary, ticket->lane) * SPREAD_US / 1000 + 1;

	(void)turn;
	wake_up(s);
	if (spread > SPREAD_MAX_MS)
		spread = SPREAD_MAX_MS;
	refresh_not_later(&s->zone.refresh, s->zone.env->now() + (int64_t)(net_random32() % spread));
	arm(s);
}

/* The primaries that could not be asked, each once, before the round ends; NULL: none, or out of memory. */
static struct nap *make_nap(struct secondary *s)
{
	const struct round *r = s->round;
	struct nap *nap = calloc(1, sizeof *nap + r->count * sizeof *nap->at);
	struct remote_ask ask = round_ask(r);

	for (size_t i = 0; nap && i < r->count; i++) {
		const struct secondary_remote *remote = &r->conf->remotes[r->order[i]];

		if (!remote_any_may_ask(remote, &ask) && remote_may_sleep(remote))
			nap->at[nap->count++] = (struct napper){.zone = s, .ticket.primary = remote->primary, .ticket.lane = ask.lane};
	}
	if (nap && nap->count)
		return nap;
	free(nap);
	return NULL;
}

static void fall_asleep(struct secondary *s, struct nap *nap)
{
	s->nap = nap;
	for (size_t i = 0; nap && i < nap->count; i++)
		primary_sleep(nap->at[i].ticket.primary, nap->at[i].ticket.lane, &nap->at[i].ticket, nap_over);
}

/* --- how a round ends ---------------------------------------------------------- */

/* Nobody was asked: what is said of it is what the last one who did was told. */
static void note_held(struct secondary *s)
{
	const struct secondary_remote *remote = s->round->count ? &s->round->conf->remotes[s->round->order[0]] : NULL;
	struct peer *peer = remote && remote->address_count ? remote_peer(remote, 0) : NULL;
	char text[WHY_MAX];

	if (!peer) {
		standing_error(&s->zone, NULL, "there is no primary that could be asked");
		return;
	}
	snprintf(text, sizeof text, "it does not answer, and is asked again later: %.300s", *peer_why(peer) ? peer_why(peer) : "late");
	standing_error(&s->zone, remote->name, text);
}

static void note_failure(struct secondary *s)
{
	if (s->zone.env->failed)
		s->zone.env->failed(s->zone.env->ctx, s);
}

static void round_failed(struct secondary *s)
{
	struct secondary_outcome outcome = s->round->outcome;
	struct nap *nap;

	s->round->wish.forced = false;
	nap = make_nap(s);
	if (nap && !s->round->tried)
		note_held(s);
	end_round(s);
	tell(s, SECONDARY_FAILED, outcome);
	event(s, REFRESH_FAILED);
	note_failure(s);
	if (!s->round)
		fall_asleep(s, nap);
	else
		free(nap);
	follow(s);
}

/* A primary has what we have. It counts as a failure for who waits if another one has more, which we refused. */
static void round_same(struct secondary *s)
{
	bool revived = s->zone.refresh.expired, refused = s->round->refused;
	struct secondary_outcome outcome = s->round->outcome;

	end_round(s);
	if (!refused)
		standing_reject(&s->zone, NULL);
	tell(s, refused ? SECONDARY_FAILED : SECONDARY_CURRENT, outcome);
	event(s, REFRESH_SAME);
	standing_tidy(&s->zone);
	s->zone.env->confirmed(s->zone.env->ctx, s, revived);
	follow(s);
	begin_survey(s);
}

/* Something of ours has run out; the primaries have no part in it. */
static void no_memory(struct secondary *s)
{
	struct secondary_outcome none = {.had_serial = s->zone.refresh.loaded, .old = s->zone.refresh.serial};
	bool survey = s->round && s->round->wish.survey;

	end_round(s);
	if (survey)
		return;
	standing_error(&s->zone, NULL, "out of memory");
	tell(s, SECONDARY_FAILED, none);
	event(s, REFRESH_FAILED);
	follow(s);
}

static void round_ended(struct round *r, enum round_end how)
{
	struct secondary *s = r->owner;

	switch (how) {
	case ROUND_SAME:
		round_same(s);
		break;
	case ROUND_FAILED:
		round_failed(s);
		break;
	case ROUND_LOOKED:
		end_round(s);
		break;
	case ROUND_NO_MEMORY:
		no_memory(s);
		break;
	}
}

static void version_came(struct round *r, struct zone *version)
{
	struct secondary *s = r->owner;

	s->zone.env->publish(s->zone.env->ctx, s, version);
}

static void timed(struct round *r)
{
	arm(r->owner);
}

static const struct round_hooks hooks = {round_ended, version_came, timed};

void secondary_accepted(struct secondary *s)
{
	round_publishing(s->round);
}

const char *secondary_giver(const struct secondary *s)
{
	return s->round && s->round->pending ? primary_name(round_remote(s->round)->primary) : NULL;
}

void secondary_published(struct secondary *s, enum err err, const struct why *why)
{
	struct round *r = s->round;
	struct secondary_outcome outcome = r->outcome;
	struct secondary_last last = {true, outcome.incremental, outcome.ms, outcome.records, outcome.bytes, s->zone.env->now()};

	if (err) {
		round_not_published(r, err, why);
		return;
	}
	round_publishing(r);
	standing_take(&s->zone, zone_hold(r->pending), primary_name(round_remote(r)->primary), &last);
	end_round(s);
	tell(s, SECONDARY_UPDATED, outcome);
	event(s, REFRESH_DONE);
	standing_tidy(&s->zone);
	s->zone.env->confirmed(s->zone.env->ctx, s, false);
	follow(s);
	begin_survey(s);
}

/* --- how it begins ------------------------------------------------------------- */

static struct round *make_round(struct secondary *s, const struct round_wish *wish)
{
	struct round *r = round_new(&s->zone, s->name, &hooks, s, wish);

	end_round(s);
	wake_up(s);
	s->round = r;
	return r;
}

/* Without a version of ours there is nothing to compare; but what was refused is asked about first. */
static bool must_ask(const struct secondary *s)
{
	return !s->zone.refresh.loaded && !s->next_forced && standing_refuses_any(&s->zone);
}

/* In the order of the list, with the preferred remote first. */
static void begin(struct secondary *s, bool asking)
{
	struct round_wish wish = {.asking = asking || must_ask(s), .full = s->next_full, .forced = s->next_forced};
	struct round *r = make_round(s, &wish);

	if (!r) {
		no_memory(s);
		return;
	}
	if (s->prefer < s->zone.conf->remote_count)
		r->order[r->count++] = s->prefer;
	for (size_t i = 0; i < s->zone.conf->remote_count; i++)
		if (i != s->prefer)
			r->order[r->count++] = i;
	s->next_full = s->next_forced = false;
	s->prefer = NO_REMOTE;
	round_go(r);
}

/* Whoever was not asked for most of a refresh time: it may have a newer serial, and nobody would know. A round comes after nine tenths of it or
 * more, but the last look may have ended some time after the round before. */
static bool wants_look(struct secondary *s, size_t remote)
{
	return s->zone.env->now() - s->zone.views[remote].at >= (int64_t)s->zone.refresh.times.refresh * 700;
}

static void begin_survey(struct secondary *s)
{
	struct round_wish wish = {.asking = true, .survey = true};
	struct round *r;
	size_t wanted = 0;

	if (s->round || s->zone.refresh.state != REFRESH_IDLE || s->zone.conf->remote_count < 2 || s->zone.conf->newest || !s->zone.views)
		return;
	for (size_t i = 0; i < s->zone.conf->remote_count; i++)
		wanted += wants_look(s, i);
	r = wanted ? make_round(s, &wish) : NULL;
	if (!r)
		return;
	for (size_t i = 0; i < s->zone.conf->remote_count; i++)
		if (wants_look(s, i))
			r->order[r->count++] = i;
	round_go(r);
}

static void give_up(struct secondary *s)
{
	struct secondary_outcome outcome = s->round ? s->round->outcome : (struct secondary_outcome){0};

	standing_error(&s->zone, NULL, "given up: it took far too long");
	end_round(s);
	tell(s, SECONDARY_FAILED, outcome);
	note_failure(s);
	follow(s);
}

static void act(struct secondary *s, enum refresh_act what)
{
	switch (what) {
	case REFRESH_NOTHING:
		break;
	case REFRESH_ASK:
		begin(s, true);
		break;
	case REFRESH_PULL:
		begin(s, false);
		break;
	case REFRESH_GIVE_UP:
		give_up(s);
		break;
	case REFRESH_EXPIRE:
		s->zone.env->counters->expiries++;
		s->zone.env->expired(s->zone.env->ctx, s);
		break;
	}
	arm(s);
}

/* The transfer that waited for the end of another one begins. */
static void follow(struct secondary *s)
{
	struct after *after = s->after;
	struct waiter **last = &s->waiters;

	if (!after || s->zone.refresh.state == REFRESH_TRANSFER)
		return;
	s->after = NULL;
	while (*last)
		last = &(*last)->next;
	*last = after->waiters;
	s->next_full = after->full;
	s->next_forced = true;
	s->prefer = after->prefer;
	free(after);
	event(s, REFRESH_FORCED);
}

/* While it waits for the disk or for a place, the time of the round does not run. */
static bool must_wait(const struct secondary *s)
{
	return is_busy(s) && (s->round->pending || s->round->ticket.state == TICKET_WAITS);
}

static void timer_due(struct timer *timer)
{
	struct secondary *s = (struct secondary *)((char *)timer - offsetof(struct secondary, timer));

	if (must_wait(s) && s->zone.env->now() >= s->zone.refresh.timer)
		refresh_begun(&s->zone.refresh, s->zone.env->now());
	event(s, REFRESH_TIMER);
}

/* --- a zone -------------------------------------------------------------------- */

/* Longer than any transfer may take. */
static uint32_t watchdog(const struct secondary_conf *conf)
{
	return conf->times.total_ms + 60 * 1000;
}

struct secondary *secondary_new(const struct secondary_env *env, const uint8_t *name, struct secondary_conf *conf, void *owner)
{
	struct secondary *s = calloc(1, sizeof *s + name_length(name));

	if (!s)
		return NULL;
	if (!timers_join(env->timers)) {
		free(s);
		return NULL;
	}
	name_copy(name, s->name);
	s->zone.env = env;
	s->owner = owner;
	s->zone.conf = secondary_conf_hold(conf);
	s->prefer = NO_REMOTE;
	s->timer.call = timer_due;
	refresh_init(&s->zone.refresh, 0, watchdog(conf), conf->clamps.retry_min);
	return s;
}

void secondary_free(struct secondary *s)
{
	struct secondary_outcome outcome;

	if (!s)
		return;
	outcome = s->round ? s->round->outcome : (struct secondary_outcome){0};
	standing_error(&s->zone, NULL, "the zone was removed");
	end_round(s);
	wake_up(s);
	tell_all(s, outcome);
	timer_stop(s->zone.env->timers, &s->timer);
	timers_leave(s->zone.env->timers);
	standing_release(&s->zone);
	free(s);
}

void *secondary_owner(const struct secondary *s) { return s->owner; }
struct zone *secondary_version(const struct secondary *s) { return s->zone.version; }

void secondary_loaded(struct secondary *s, struct zone *version, int64_t refreshed)
{
	s->zone.version = version;
	refresh_loaded(&s->zone.refresh, version->serial, refresh_times_of(&version->soa, &s->zone.conf->clamps), refreshed);
	if (s->start == STARTED)
		arm(s);
}

void secondary_remember(struct secondary *s, const struct secondary_memory *memory)
{
	refresh_resume(&s->zone.refresh, memory->failures, memory->given_expire);
	if (!memory->why)
		return;
	standing_reject(&s->zone, memory->why);
	for (size_t i = 0; i < s->zone.conf->remote_count && standing_view(&s->zone, i); i++)
		view_refuse(&s->zone.views[i], memory->refused, s->zone.env->now());
}

void secondary_known(struct secondary *s, struct serial serial)
{
	standing_hint(&s->zone, serial);
}

void secondary_start(struct secondary *s, uint32_t after)
{
	bool pull = s->start == MUST_PULL;

	s->zone.refresh.timer = s->zone.env->now() + (s->start == NOT_STARTED ? after : 0);
	s->start = STARTED;
	if (pull)
		event(s, REFRESH_FORCED);
	else
		arm(s);
}

/* --- other settings ------------------------------------------------------------ */

/* Every pause there was is over, and what was refused may be tried again. */
static void lift(struct secondary *s)
{
	s->zone.refresh.quiet_until = 0;
	s->zone.refresh.barren = 0;
	standing_pardon(&s->zone);
}

/* What is under way begins anew; or the primaries are asked soon, whatever pause there was. */
static void ask_anew(struct secondary *s, uint32_t spread)
{
	int64_t soon = s->zone.env->now() + (spread ? net_random32() % spread : 0);

	if (s->round && s->round->pending)
		return;
	s->next_forced = true;
	if (is_busy(s)) {
		s->next_full = s->round->wish.full;
		begin(s, s->round->wish.asking);
		return;
	}
	end_round(s);
	wake_up(s);
	if (soon < s->zone.refresh.timer) {
		lift(s);
		s->zone.refresh.timer = soon;
	}
}

void secondary_set_conf(struct secondary *s, struct secondary_conf *conf, bool restart, uint32_t spread)
{
	if (!standing_set_conf(&s->zone, conf))
		return;
	s->prefer = NO_REMOTE;
	if (s->after)
		s->after->prefer = NO_REMOTE;
	s->zone.refresh.retry_min = conf->clamps.retry_min;
	s->zone.refresh.watchdog = watchdog(conf);
	if (s->zone.refresh.loaded && refresh_retime(&s->zone.refresh, refresh_times_of(&s->zone.version->soa, &conf->clamps), s->zone.env->now()))
		s->zone.env->confirmed(s->zone.env->ctx, s, true);
	if (restart)
		standing_pardon(&s->zone);
	if (s->start != STARTED)
		return;
	if (restart)
		ask_anew(s, spread);
	arm(s);
}

void secondary_same_conf(struct secondary *s, struct secondary_conf *conf)
{
	secondary_conf_hold(conf);
	secondary_conf_drop(s->zone.conf);
	s->zone.conf = conf;
	s->zone.refresh.watchdog = watchdog(conf);
}

void secondary_hold(struct secondary *s, bool held)
{
	bool pending = s->round && s->round->pending;
	struct secondary_outcome none = {.had_serial = s->zone.refresh.loaded, .old = s->zone.refresh.serial};

	if (s->zone.refresh.held == held)
		return;
	wake_up(s);
	if (held && !pending) {
		if (s->waiters || s->after)
			standing_error(&s->zone, NULL, "the zone was put on hold");
		end_round(s);
		tell_all(s, none);
	}
	if (s->start != STARTED)
		s->start = NOT_STARTED;
	refresh_hold(&s->zone.refresh, held, pending, s->zone.env->now());
	if (s->start == STARTED)
		arm(s);
}

/* --- NOTIFY -------------------------------------------------------------------- */

static void note_hint(struct secondary *s, struct serial before, bool had)
{
	if (s->zone.refresh.hinted && (!had || !serial_equal(before, s->zone.refresh.hint)))
		s->zone.hint_since = s->zone.env->now();
}

static uint32_t sender(const struct secondary *s, const struct net_addr *from)
{
	for (uint32_t i = 0; i < s->zone.conf->remote_count; i++)
		for (size_t a = 0; a < s->zone.conf->remotes[i].address_count; a++)
			if (net_host_equal(&s->zone.conf->remotes[i].addresses[a], from))
				return i;
	return NO_REMOTE;
}

/* Whoever speaks lives: what was held there may be tried, at once if this zone has waited for that. */
static void sender_lives(struct secondary *s, uint32_t remote, const struct net_addr *from)
{
	const struct secondary_remote *r = &s->zone.conf->remotes[remote];
	bool woken = false;

	for (size_t a = 0; a < r->address_count; a++) {
		struct peer *peer = net_host_equal(&r->addresses[a], from) ? remote_peer(r, a) : NULL;

		for (unsigned lane = 0; peer && lane < PRIMARY_LANES; lane++)
			woken |= peer_wake(peer, lane, s->zone.env->now());
	}
	if (woken && s->nap) {
		wake_up(s);
		refresh_not_later(&s->zone.refresh, s->zone.env->now());
	}
}

/* The round waits at another primary, or for one that is late: it begins with the sender instead. */
static bool must_move(const struct secondary *s, uint32_t remote)
{
	const struct round *r = s->round;

	return is_busy(s) && remote != NO_REMOTE && r->conf == s->zone.conf && r->turn < r->count && r->order[r->turn] != remote && !r->wish.forced &&
		(r->late || r->ticket.state == TICKET_WAITS);
}

/* Its answer to IXFR tells its serial too: that is one question less. */
static bool may_pull_at_once(const struct secondary *s, uint32_t remote)
{
	return remote != NO_REMOTE && s->zone.version && s->zone.conf->ixfr && !s->zone.conf->newest &&
		!(s->zone.views && s->zone.views[remote].ixfr_broken);
}

void secondary_notify(struct secondary *s, const struct net_addr *from, bool has_serial, struct serial serial)
{
	bool hinted = s->zone.refresh.hinted, newer = !has_serial || !s->zone.refresh.loaded || serial_newer(serial, s->zone.refresh.serial);
	uint32_t remote = sender(s, from);
	struct serial hint = s->zone.refresh.hint;
	enum refresh_act what;

	if (s->start != STARTED)
		return;
	if (remote != NO_REMOTE)
		sender_lives(s, remote, from);
	if (has_serial && remote != NO_REMOTE && standing_refuses(&s->zone, remote, serial)) {
		s->zone.env->counters->notifies_coalesced++;
		arm(s);
		return;
	}
	if (!is_busy(s) || (newer && must_move(s, remote)))
		s->prefer = remote;
	what = refresh_notify(&s->zone.refresh, has_serial, serial, may_pull_at_once(s, remote), s->zone.env->now(), net_random32());
	note_hint(s, hint, hinted);
	if (what == REFRESH_NOTHING)
		s->zone.env->counters->notifies_coalesced++;
	else
		s->zone.env->counters->notifies_heeded++;
	if (what == REFRESH_NOTHING && newer && must_move(s, remote)) {
		s->next_full = s->round->wish.full;
		begin(s, s->round->wish.asking);
	}
	act(s, what);
}

/* --- the operator -------------------------------------------------------------- */

void secondary_refresh(struct secondary *s, secondary_waiter *call, void *ctx)
{
	wait_for(s, &s->waiters, call, ctx);
	lift(s);
	if (s->start == NOT_STARTED)
		s->start = MUST_ASK;
	if (is_busy(s))
		s->round->wish.forced = true;
	if (is_busy(s) || s->start != STARTED)
		return;
	s->next_forced = true;
	s->zone.refresh.timer = s->zone.env->now();
	event(s, REFRESH_TIMER);
}

static uint32_t remote_named(const struct secondary *s, const char *name)
{
	for (uint32_t i = 0; name && i < s->zone.conf->remote_count; i++)
		if (strcmp(s->zone.conf->remotes[i].name, name) == 0)
			return i;
	return NO_REMOTE;
}

/* The transfer under way is what is wanted. */
static bool will_do(const struct secondary *s, bool full, uint32_t from)
{
	const struct round *r = s->round;

	if (!r || (full && !r->wish.full))
		return false;
	return from == NO_REMOTE || (r->conf == s->zone.conf && !r->wish.asking && r->turn < r->count && r->order[r->turn] == from);
}

/* It is only waiting, for a place: what is wanted takes its turn instead. */
static bool may_replace(const struct secondary *s)
{
	return s->round && !s->round->pending && s->round->ticket.state == TICKET_WAITS;
}

/* False: out of memory; the one under way must do. */
static bool queue_after(struct secondary *s, bool full, uint32_t from)
{
	if (!s->after && (s->after = calloc(1, sizeof *s->after)))
		s->after->prefer = NO_REMOTE;
	if (!s->after)
		return false;
	s->after->full |= full;
	if (from != NO_REMOTE)
		s->after->prefer = from;
	return true;
}

void secondary_transfer(struct secondary *s, bool full, const char *from, secondary_waiter *call, void *ctx)
{
	uint32_t remote = remote_named(s, from);
	bool under_way = s->zone.refresh.state == REFRESH_TRANSFER, follows;

	lift(s);
	follows = under_way && !will_do(s, full, remote) && !may_replace(s) && queue_after(s, full, remote);
	wait_for(s, follows ? &s->after->waiters : &s->waiters, call, ctx);
	if (under_way && s->round)
		s->round->wish.forced = true;
	if (follows || (under_way && !may_replace(s)))
		return;
	s->next_full = full || (under_way && s->round->wish.full);
	s->next_forced = true;
	if (remote != NO_REMOTE)
		s->prefer = remote;
	if (s->start != STARTED)
		s->start = MUST_PULL;
	else if (under_way)
		act(s, REFRESH_PULL);
	else
		event(s, REFRESH_FORCED);
}

bool secondary_progress(const struct secondary *s, uint64_t *records, uint64_t *bytes)
{
	*records = *bytes = 0;
	if (s->round && s->round->fetch)
		fetch_progress(s->round->fetch, records, bytes);
	return s->zone.refresh.state == REFRESH_TRANSFER;
}

/* --- status -------------------------------------------------------------------- */

void secondary_status(const struct secondary *s, struct secondary_status *out)
{
	standing_status(&s->zone, out);
}

const char *secondary_reason(const struct secondary_status *st)
{
	bool lags = st->has_best && !st->best_is_ours;

	if (st->rejected)
		return st->rejected;
	if (!st->refresh.loaded || st->last_error_at >= st->refresh.refreshed || (lags && st->last_error_at >= st->best_since))
		return st->last_error;
	return NULL;
}

void secondary_view(const struct secondary *s, size_t i, struct secondary_view *out)
{
	standing_show(&s->zone, i, out);
}

void secondary_set_primary(struct secondary *s, const char *name)
{
	struct primary *primary = *name && s->zone.conf->remote_count ? primary_get(primary_table(s->zone.conf->remotes[0].primary), name) : NULL;

	s->zone.primary = primary ? primary_name(primary) : NULL;
}
