#include "xfer/secondary.h"

#include "base/log.h"
#include "xfer/view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	SPREAD_US = 200,             /* from one zone to the next, of those that wake up together, */
	SPREAD_MAX_MS = 30 * 1000,   /* in all */
	FORGET = 4,                  /* refresh and retry times after which a serial not shown again counts no more */
};

struct waiter {
	struct waiter *next;
	secondary_waiter *call;
	void *ctx;
};

/* One attempt to get in step, or a look at the other primaries: those that are tried, in order. */
struct round {
	struct secondary *zone;
	struct secondary_conf *conf;         /* counted */
	struct fetch *fetch;
	struct primary_ticket ticket;
	struct zone *pending;                /* given to the hook, not yet published */
	struct fetch_result *came;           /* how it came, until it is known, and logged, what becomes of it */
	struct secondary_outcome outcome;    /* so far */
	int64_t started, began;              /* the round; the exchange under way */
	size_t turn, address;                /* where we are */
	size_t count;                        /* of order */
	bool asking;                         /* for serials; else pulling */
	bool survey;                         /* for serials, which decide nothing: the table of refresh is at rest */
	bool forced;                         /* the operator's, or under new settings: a primary is asked even though it is held */
	bool full;                           /* the operator wants a whole zone, whatever its serial */
	bool ixfr;                           /* what the transfer under way asks for */
	bool late;                           /* the exchange under way has waited long */
	bool tried;                          /* some exchange was made */
	bool accept_older;                   /* `rollback` says so for what a primary showed */
	bool same_seen;
	bool refused;                        /* a version was offered, but not acceptable */
	bool axfr_here;                      /* IXFR was refused at this address */
	bool has_best;
	size_t best, best_address;           /* place in order; the address that answered */
	struct serial best_serial;
	size_t order[];                      /* indexes into conf->remotes */
};

/* What went wrong; made when something does. */
struct trouble {
	char *rejected;                      /* why the last version offered was refused; NULL: it was not */
	char *error, *primary;               /* of the last failed round; primary may be NULL */
	int64_t at;
	uint64_t unix_at;
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
	const struct secondary_env *env;
	void *owner;
	struct secondary_conf *conf;
	struct zone *version;                /* the one we have */
	struct round *round;                 /* NULL: none is under way */
	struct waiter *waiters;
	struct after *after;                 /* NULL: none follows */
	struct view *views;                  /* one for each of conf->remotes; NULL: there is nothing to say, see `confirmed` */
	struct trouble *trouble;
	struct nap *nap;
	const char *primary;                 /* that the version came from; NULL: not known */
	struct timer timer;
	struct secondary_last last;
	int64_t hint_since;                  /* when refresh.hint was first heard */
	struct refresh refresh;
	uint32_t prefer;                     /* index of the remote to try first, or NO_REMOTE */
	enum { NOT_STARTED, STARTED, MUST_ASK, MUST_PULL } start : 8;        /* MUST_: not started, and the operator waits */
	bool next_full, next_forced;         /* what the operator asked for */
	bool confirmed;                      /* without views: the only primary showed what we have, when we were refreshed */
	uint8_t name[];
};

#define NO_REMOTE UINT32_MAX

static uint32_t random32(void)
{
	uint32_t value;

	net_random(&value, sizeof value);
	return value;
}

static void conf_drop(struct secondary_conf *conf)
{
	if (conf && --conf->refs == 0)
		conf->release(conf);
}

static void arm(struct secondary *s)
{
	timer_set(s->env->timers, &s->timer, refresh_due(&s->refresh));
}

static void wake_up(struct secondary *s)
{
	struct nap *nap = s->nap;

	s->nap = NULL;
	for (size_t i = 0; nap && i < nap->count; i++)
		primary_leave(&nap->at[i].ticket);
	free(nap);
}

static void log_fate(struct secondary *, const char *outcome, const char *why);

/* The version that was not published is lost; what the round used is given back. */
static void round_end(struct secondary *s)
{
	struct round *r = s->round;

	if (!r)
		return;
	log_fate(s, "given-up", NULL);
	s->round = NULL;
	fetch_cancel(r->fetch);
	zone_put(r->pending);
	primary_leave(&r->ticket);
	conf_drop(r->conf);
	free(r);
}

/* Whether a round is under way that the table of refresh knows of. */
static bool is_busy(const struct secondary *s)
{
	return s->round && !s->round->survey;
}

static void tell(struct secondary *s, enum secondary_result result, struct secondary_outcome outcome)
{
	struct waiter *waiters = s->waiters;

	outcome.result = result;
	outcome.has_serial = s->refresh.loaded;
	outcome.serial = s->refresh.serial;
	if (result == SECONDARY_FAILED)
		outcome.error = s->trouble && s->trouble->error ? s->trouble->error : "it failed";
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

/* --- what is remembered --------------------------------------------------- */

static struct trouble *trouble_of(struct secondary *s)
{
	if (!s->trouble)
		s->trouble = calloc(1, sizeof *s->trouble);
	return s->trouble;
}

static void replace(char **text, const char *by)
{
	char *copy = by ? strdup(by) : NULL;

	free(*text);
	*text = copy;
}

static void note_error(struct secondary *s, const char *remote, const char *text)
{
	struct trouble *t = trouble_of(s);

	if (!t)
		return;
	replace(&t->error, text);
	replace(&t->primary, remote);
	t->at = s->env->now();
	t->unix_at = s->env->unix_time();
}

static void set_rejected(struct secondary *s, const char *text)
{
	struct trouble *t = text ? trouble_of(s) : s->trouble;

	if (t)
		replace(&t->rejected, text);
}

/* Of one remote of s->conf; NULL: nothing is noted, nor could be. */
static struct view *view_of(struct secondary *s, size_t remote)
{
	size_t count = s->conf->remote_count;

	if (!s->views) {
		s->views = calloc(count + 1, sizeof *s->views);
		for (size_t i = 0; s->views && i < count; i++)
			s->views[i].at = s->env->now();
		if (s->views && s->confirmed && s->refresh.loaded) {
			view_asked(&s->views[0], s->refresh.refreshed, true, NULL);
			view_shows(&s->views[0], s->refresh.serial, s->refresh.refreshed);
		}
		s->confirmed = false;
	}
	return s->views ? &s->views[remote] : NULL;
}

static void views_free(struct secondary *s)
{
	for (size_t i = 0; s->views && i < s->conf->remote_count; i++)
		view_release(&s->views[i]);
	free(s->views);
	s->views = NULL;
}

/* Our version was confirmed. What the only primary has is what we have: that needs no memory of its own. */
static void tidy_views(struct secondary *s)
{
	int64_t long_ago = s->env->now() - FORGET * 1000 * ((int64_t)s->refresh.times.refresh + s->refresh.times.retry);
	struct view *v = s->views;

	for (size_t i = 0; v && i < s->conf->remote_count; i++)
		view_forget(&v[i], long_ago);
	if (!v || s->conf->remote_count != 1 || !v->healthy || v->error || v->ixfr_broken || v->has_refused || !v->has_serial ||
	    !serial_equal(v->serial, s->refresh.serial))
		return;
	views_free(s);
	s->confirmed = true;
}

static const struct secondary_remote *remote_at(const struct round *r, size_t place)
{
	return &r->conf->remotes[r->order[place]];
}

/* The view of whom we are at; NULL: the settings were replaced meanwhile. */
static struct view *view_here(struct secondary *s)
{
	return s->round->conf == s->conf ? view_of(s, s->round->order[s->round->turn]) : NULL;
}

static bool may_ixfr(struct secondary *s)
{
	const struct round *r = s->round;

	return s->version && r->conf->ixfr && !r->full && !r->accept_older && !r->axfr_here && !s->refresh.expired &&
		!(s->views && r->conf == s->conf && s->views[r->order[r->turn]].ixfr_broken);
}

static void note_view(struct secondary *s, const struct fetch_result *result)
{
	bool good = result->outcome == FETCH_OK || result->outcome == FETCH_CURRENT;
	bool healthy = result->outcome != FETCH_NETWORK && result->outcome != FETCH_TSIG_FAILED;
	struct view *v = view_here(s);

	if (!v)
		return;
	view_asked(v, s->env->now(), healthy, good ? NULL : result->why.text);
	v->ixfr_broken = result->outcome == FETCH_NETWORK && result->records && s->round->ixfr;
	if (result->has_serial)
		view_shows(v, result->serial, s->env->now());
}

/* What it offers was refused for what it holds: not again, for a while. */
static void note_refused(struct secondary *s, bool has_serial, struct serial serial)
{
	struct view *v = has_serial ? view_here(s) : NULL;

	s->round->refused = true;
	if (!v)
		return;
	view_refuse(v, serial, s->env->now());
	refresh_unhint(&s->refresh, serial);
}

static bool was_refused(struct secondary *s, struct serial serial)
{
	const struct round *r = s->round;

	return s->views && r->conf == s->conf && view_refuses(&s->views[r->order[r->turn]], serial, s->env->now());
}

/* --- the addresses -------------------------------------------------------- */

static struct peer *peer_at(const struct secondary_remote *remote, size_t address)
{
	return peer_get(primaries_peers(primary_table(remote->primary)), &remote->addresses[address]);
}

static enum primary_lane lane_of(const struct round *r)
{
	return r->asking ? LANE_PROBES : LANE_TRANSFERS;
}

static bool may_ask(const struct secondary *s, const struct secondary_remote *remote, size_t address, enum primary_lane lane)
{
	struct peer *peer = peer_at(remote, address);

	return !peer || peer_may(peer, lane, s->env->now()) || (s->round->forced && peer_failed_at(peer, lane) <= s->round->started);
}

static bool any_may_ask(const struct secondary *s, const struct secondary_remote *remote, enum primary_lane lane)
{
	for (size_t i = 0; i < remote->address_count; i++)
		if (may_ask(s, remote, i, lane))
			return true;
	return false;
}

/* Goes to the next address that may be asked, here or at the next primary. False: there is none any more. */
static bool find_address(struct secondary *s)
{
	struct round *r = s->round;

	for (; r->turn < r->count; r->turn++) {
		for (; r->address < remote_at(r, r->turn)->address_count; r->address++)
			if (may_ask(s, remote_at(r, r->turn), r->address, lane_of(r)))
				return true;
		r->address = 0;
		r->axfr_here = false;
	}
	return false;
}

/* One line for what was found out about an address, be it for questions, for transfers, or both. */
static void log_primary(const struct secondary *s, enum log_level level, const char *event, unsigned lanes, const char *why)
{
	static const char *const word[] = {"nothing", "transfers", "questions", "all"};
	const struct secondary_remote *remote = remote_at(s->round, s->round->turn);
	char text[NET_ADDR_TEXT];
	struct log log;

	log_begin(&log, level, event);
	log_str(&log, "primary", remote->name);
	log_str(&log, "address", net_addr_text(&remote->addresses[s->round->address], 0, text));
	log_str(&log, "for", word[lanes]);
	if (why)
		log_str(&log, "why", why);
	log_end(&log);
}

/* True: it was held. */
static bool lane_heard(struct secondary *s, struct peer *peer, enum primary_lane lane)
{
	enum peer_change change = peer_heard(peer, lane, s->env->now());

	if (change != PEER_SAME)
		primary_back(primary_table(remote_at(s->round, s->round->turn)->primary), lane, peer);
	return change == PEER_BACK;
}

/* What answers over TCP can be asked over TCP; what answers over UDP alone may at least be tried. */
static void on_heard(void *ctx, enum fetch_transport transport)
{
	struct secondary *s = ctx;
	const struct secondary_remote *remote = remote_at(s->round, s->round->turn);
	struct peer *peer = peer_at(remote, s->round->address);
	unsigned back = 0;

	s->round->late = false;
	primary_answers(&s->round->ticket);
	if (!peer)
		return;
	back |= (unsigned)lane_heard(s, peer, LANE_PROBES) << LANE_PROBES;
	if (transport != FETCH_UDP)
		back |= (unsigned)lane_heard(s, peer, LANE_TRANSFERS) << LANE_TRANSFERS;
	else if (peer_wake(peer, LANE_TRANSFERS, s->env->now()))
		primary_back(primary_table(remote->primary), LANE_TRANSFERS, peer);
	if (!back)
		return;
	s->env->counters->primaries_back++;
	log_primary(s, LOG_LEVEL_NOTICE, "primary-back", back, NULL);
}

static void on_late(void *ctx)
{
	struct secondary *s = ctx;
	struct round *r = s->round;
	const struct secondary_remote *remote = remote_at(r, r->turn);
	struct peer *peer = peer_at(remote, r->address);

	r->late = true;
	primary_late(&r->ticket);
	if (peer && peer_late(peer, lane_of(r), r->began, s->env->now()) && !any_may_ask(s, remote, lane_of(r)))
		primary_lost(remote->primary, lane_of(r));
}

/* True: it is held from now on. */
static bool lane_failed(struct secondary *s, struct peer *peer, enum primary_lane lane, const char *why)
{
	const struct secondary_remote *remote = remote_at(s->round, s->round->turn);
	enum peer_change change = peer_failed(peer, lane, s->round->began, s->env->now(), random32(), why);

	if (!peer_may(peer, lane, s->env->now()) && !any_may_ask(s, remote, lane))
		primary_lost(remote->primary, lane);
	return change == PEER_LOST;
}

/* The exchange is over. True: it is worth a line in the log; the failures of an address that is known not to answer are not. */
static bool report(struct secondary *s, const struct fetch_result *result)
{
	struct peer *peer = peer_at(remote_at(s->round, s->round->turn), s->round->address);
	unsigned lost = 0;

	if (result->outcome != FETCH_NETWORK || result->heard || result->ours || !peer)
		return true;
	lost |= (unsigned)lane_failed(s, peer, LANE_TRANSFERS, result->why.text) << LANE_TRANSFERS;
	if (s->round->asking)
		lost |= (unsigned)lane_failed(s, peer, LANE_PROBES, result->why.text) << LANE_PROBES;
	if (lost) {
		s->env->counters->primaries_lost++;
		log_primary(s, LOG_LEVEL_WARNING, "primary-lost", lost, result->why.text);
	}
	return lost || s->round->forced;
}

/* --- deciding ------------------------------------------------------------- */

static void act(struct secondary *, enum refresh_act);
static void begin_survey(struct secondary *);
static void follow(struct secondary *);

static void event(struct secondary *s, enum refresh_event e)
{
	act(s, refresh_event(&s->refresh, e, s->env->now(), random32()));
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
	refresh_not_later(&s->refresh, s->env->now() + (int64_t)(random32() % spread));
	arm(s);
}

/* False: nothing could wake it. */
static bool may_sleep_at(const struct secondary_remote *remote)
{
	struct peer *peer;

	for (size_t i = 0; i < remote->address_count; i++)
		if (!(peer = peer_at(remote, i)) || !primary_is_at(remote->primary, peer))
			return false;
	return true;
}

/* The primaries that could not be asked, each once, before the round ends; NULL: none, or out of memory. */
static struct nap *make_nap(struct secondary *s)
{
	const struct round *r = s->round;
	struct nap *nap = calloc(1, sizeof *nap + r->count * sizeof *nap->at);

	for (size_t i = 0; nap && i < r->count; i++)
		if (!any_may_ask(s, remote_at(r, i), lane_of(r)) && may_sleep_at(remote_at(r, i)))
			nap->at[nap->count++] = (struct napper){.zone = s, .ticket.primary = remote_at(r, i)->primary, .ticket.lane = lane_of(r)};
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

/* Nobody was asked: what is said of it is what the last one who did was told. */
static void note_held(struct secondary *s)
{
	const struct secondary_remote *remote = s->round->count ? remote_at(s->round, 0) : NULL;
	struct peer *peer = remote && remote->address_count ? peer_at(remote, 0) : NULL;
	char text[WHY_MAX];

	if (!peer) {
		note_error(s, NULL, "there is no primary that could be asked");
		return;
	}
	snprintf(text, sizeof text, "it does not answer, and is asked again later: %.300s", *peer_why(peer) ? peer_why(peer) : "late");
	note_error(s, remote->name, text);
}

static void note_failure(struct secondary *s)
{
	if (s->env->failed)
		s->env->failed(s->env->ctx, s);
}

static void round_failed(struct secondary *s)
{
	struct secondary_outcome outcome = s->round->outcome;
	struct nap *nap;

	s->round->forced = false;
	nap = make_nap(s);
	if (nap && !s->round->tried)
		note_held(s);
	round_end(s);
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
	bool revived = s->refresh.expired, refused = s->round->refused;
	struct secondary_outcome outcome = s->round->outcome;

	round_end(s);
	if (!refused)
		set_rejected(s, NULL);
	tell(s, refused ? SECONDARY_FAILED : SECONDARY_CURRENT, outcome);
	event(s, REFRESH_SAME);
	tidy_views(s);
	s->env->confirmed(s->env->ctx, s, revived);
	follow(s);
	begin_survey(s);
}

static void next_remote(struct secondary *s)
{
	s->round->turn++;
	s->round->address = 0;
	s->round->axfr_here = false;
}

static void next_address(struct secondary *s)
{
	s->round->axfr_here = false;
	if (++s->round->address >= remote_at(s->round, s->round->turn)->address_count)
		next_remote(s);
}

static struct round *round_new(struct secondary *s, bool asking)
{
	struct round *r = calloc(1, sizeof *r + (s->conf->remote_count + 1) * sizeof *r->order);

	round_end(s);
	wake_up(s);
	if (!r)
		return NULL;
	r->zone = s;
	r->conf = s->conf;
	r->conf->refs++;
	r->asking = asking;
	r->started = s->env->now();
	s->round = r;
	return r;
}

/* The order of the list, with the preferred remote first. */
static bool round_begin(struct secondary *s, bool asking)
{
	struct round *r = round_new(s, asking);

	if (!r)
		return false;
	if (s->prefer < s->conf->remote_count)
		r->order[r->count++] = s->prefer;
	for (size_t i = 0; i < s->conf->remote_count; i++)
		if (i != s->prefer)
			r->order[r->count++] = i;
	r->outcome = (struct secondary_outcome){.had_serial = s->refresh.loaded, .old = s->refresh.serial};
	r->full = s->next_full;
	r->forced = s->next_forced;
	s->next_full = s->next_forced = false;
	s->prefer = NO_REMOTE;
	return true;
}

static void go_on(struct secondary *);

/* Something of ours has run out; the primaries have no part in it. */
static void no_memory(struct secondary *s)
{
	struct secondary_outcome none = {.had_serial = s->refresh.loaded, .old = s->refresh.serial};
	bool survey = s->round && s->round->survey;

	round_end(s);
	if (survey)
		return;
	note_error(s, NULL, "out of memory");
	tell(s, SECONDARY_FAILED, none);
	event(s, REFRESH_FAILED);
	follow(s);
}

static void fill_ask(struct secondary *s, enum fetch_kind kind, struct fetch_ask *ask)
{
	const struct round *r = s->round;
	const struct secondary_remote *remote = remote_at(r, r->turn);

	*ask = (struct fetch_ask){
		.kind = kind,
		.stream_only = r->conf->stream_only,
		.zone = s->name,
		.to = remote->addresses[r->address],
		.key = remote->key,
		.tls = remote->tls,
		.base = s->version,
		.limits = r->conf->limits,
		.times = r->conf->times,
		.links = s->env->links,
		.peer = peer_at(remote, r->address),
		.late = on_late,
		.heard = on_heard,
		.now = s->env->now,
		.unix_time = s->env->unix_time,
	};
}

static void ask_done(void *ctx, struct fetch_result *);
static void pull_done(void *ctx, struct fetch_result *);

/* The place is ours. The time that an exchange may take begins now. */
static void start(struct secondary *s)
{
	struct round *r = s->round;
	struct fetch_ask ask;

	r->ixfr = !r->asking && may_ixfr(s);
	fill_ask(s, r->asking ? FETCH_SOA : r->ixfr ? FETCH_IXFR : FETCH_AXFR, &ask);
	r->began = s->env->now();
	r->late = false;
	r->tried = true;
	if (ask.peer)
		peer_begin(ask.peer, lane_of(r), r->began);
	if (!r->survey) {
		refresh_begun(&s->refresh, r->began);
		arm(s);
	}
	r->fetch = fetch_start(s->env->loop, &ask, r->asking ? ask_done : pull_done, s);
	if (!r->fetch)
		no_memory(s);
}

/* Meanwhile the primary may have died. */
static void place_turn(struct primary_ticket *ticket, enum primary_turn turn)
{
	struct round *r = (struct round *)((char *)ticket - offsetof(struct round, ticket));
	struct secondary *s = r->zone;

	if (turn == TURN_PLACE && may_ask(s, remote_at(r, r->turn), r->address, lane_of(r))) {
		start(s);
		return;
	}
	primary_leave(ticket);
	go_on(s);
}

static void enter(struct secondary *s)
{
	struct round *r = s->round;

	if (primary_enter(remote_at(r, r->turn)->primary, lane_of(r), &r->ticket, place_turn))
		start(s);
}

static void log_head(struct log *log, const struct secondary *s, enum log_level level, const char *what, enum fetch_transport transport)
{
	const struct secondary_remote *remote = remote_at(s->round, s->round->turn);
	char text[NAME_TEXT_SIZE];

	log_begin(log, level, what);
	log_str(log, "zone", name_text(s->name, text));
	log_str(log, "primary", remote->name);
	log_str(log, "address", net_addr_text(&remote->addresses[s->round->address], 0, text));
	log_str(log, "transport", fetch_transport_name(transport));
	log_str(log, "key", remote->key ? name_text(remote->key->name, text) : "none");
}

static void log_outcome(struct log *log, const struct fetch_result *result, const char *outcome)
{
	log_fmt(log, "seconds", "%u.%03u", result->ms / 1000, result->ms % 1000);
	log_str(log, "outcome", outcome);
	if (result->reason)
		log_str(log, "reason", result->reason);
	if (result->why.text[0])
		log_str(log, "why", result->why.text);
	log_end(log);
}

/* --- asking for serials --------------------------------------------------- */

static void begin_pull(struct secondary *s)
{
	s->round->asking = false;
	s->round->turn = 0;
	s->round->address = s->round->best_address;
	s->round->axfr_here = false;
	go_on(s);
}

/* The primary with something for us goes to the front, and is pulled from. */
static void found_newer(struct secondary *s)
{
	struct round *r = s->round;
	size_t best = r->order[r->best];

	memmove(r->order + 1, r->order, r->best * sizeof *r->order);
	r->order[0] = best;
	refresh_event(&s->refresh, REFRESH_NEWER, s->env->now(), random32());
	arm(s);
	begin_pull(s);
}

static void all_asked(struct secondary *s)
{
	const struct round *r = s->round;

	if (r->survey)
		round_end(s);
	else if (r->has_best)
		found_newer(s);
	else if (r->same_seen)
		round_same(s);
	else
		round_failed(s);
}

enum offer { OFFER_TAKE, OFFER_SAME, OFFER_OLDER };

static enum offer judge(const struct secondary *s, struct serial serial)
{
	enum secondary_rollback rollback = s->round->conf->rollback;
	bool any = rollback == ROLLBACK_ACCEPT || (rollback == ROLLBACK_AFTER_EXPIRE && s->refresh.expired);

	if (!s->refresh.loaded)
		return OFFER_TAKE;
	switch (serial_compare(serial, s->refresh.serial)) {
	case SERIAL_EQUAL:
		return OFFER_SAME;
	case SERIAL_NEWER:
		return OFFER_TAKE;
	case SERIAL_OLDER:
	case SERIAL_UNDEFINED:
		return any ? OFFER_TAKE : OFFER_OLDER;
	}
	return OFFER_OLDER;
}

static void note_older(struct secondary *s, struct serial serial)
{
	char text[200];

	snprintf(text, sizeof text, "its serial %u is older than ours, %u (see `rollback`)", serial.v, s->refresh.serial.v);
	note_error(s, remote_at(s->round, s->round->turn)->name, text);
}

/* What was refused a short while ago is not fetched again. */
static bool offers_refused(struct secondary *s, struct serial serial)
{
	if (!was_refused(s, serial))
		return false;
	s->round->refused = true;
	s->env->counters->refused_again++;
	refresh_unhint(&s->refresh, serial);
	return true;
}

/* A serial was shown. True: the asking is over. */
static bool weigh(struct secondary *s, struct serial serial)
{
	struct round *r = s->round;

	switch (judge(s, serial)) {
	case OFFER_TAKE:
		if (offers_refused(s, serial))
			return false;
		r->accept_older |= s->refresh.loaded && !serial_newer(serial, s->refresh.serial);
		if (!r->has_best || serial_newer(serial, r->best_serial)) {
			r->has_best = true;
			r->best = r->turn;
			r->best_address = r->address;
			r->best_serial = serial;
		}
		return !r->conf->newest;
	case OFFER_SAME:
		r->same_seen = true;
		return !r->conf->newest && !(s->refresh.hinted && serial_newer(s->refresh.hint, serial));
	case OFFER_OLDER:
		note_older(s, serial);
		return false;
	}
	return false;
}

static void log_probe(const struct secondary *s, const struct fetch_result *result, bool worth_it)
{
	enum log_level level = result->outcome == FETCH_OK || !worth_it ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO;
	struct log log;

	if (!log_wants(level))
		return;
	log_head(&log, s, level, "probe", result->transport);
	if (result->has_serial)
		log_int(&log, "serial", result->serial.v);
	log_outcome(&log, result, fetch_outcome_name(result->outcome));
}

static void asked(struct secondary *s, const struct fetch_result *result)
{
	struct round *r = s->round;
	bool over;

	if (result->outcome == FETCH_OK && !r->survey) {
		over = weigh(s, result->serial);
		next_remote(s);
		if (over)
			r->turn = r->count;
		return;
	}
	if (result->outcome != FETCH_OK && !r->survey)
		note_error(s, remote_at(r, r->turn)->name, result->why.text);
	if (result->outcome == FETCH_NETWORK)
		next_address(s);
	else
		next_remote(s);
}

static void ask_done(void *ctx, struct fetch_result *result)
{
	struct secondary *s = ctx;

	s->round->fetch = NULL;
	s->round->late = false;
	primary_leave(&s->round->ticket);
	note_view(s, result);
	log_probe(s, result, report(s, result));
	s->env->counters->probes++;
	s->env->counters->exchanges_kept += result->kept;
	s->env->counters->probes_failed += result->outcome != FETCH_OK;
	if (result->outcome == FETCH_OK)
		refresh_given(&s->refresh, result->has_expire, result->expire);
	asked(s, result);
	go_on(s);
}

/* --- the others ----------------------------------------------------------- */

/* Whoever was not asked for nearly a refresh time: it may have a newer serial, and nobody would know. */
static bool wants_look(struct secondary *s, size_t remote)
{
	return s->env->now() - s->views[remote].at >= (int64_t)s->refresh.times.refresh * 900;
}

static void begin_survey(struct secondary *s)
{
	struct round *r;
	size_t wanted = 0;

	if (s->round || s->refresh.state != REFRESH_IDLE || s->conf->remote_count < 2 || s->conf->newest || !s->views)
		return;
	for (size_t i = 0; i < s->conf->remote_count; i++)
		wanted += wants_look(s, i);
	r = wanted ? round_new(s, true) : NULL;
	if (!r)
		return;
	r->survey = true;
	for (size_t i = 0; i < s->conf->remote_count; i++)
		if (wants_look(s, i))
			r->order[r->count++] = i;
	go_on(s);
}

/* --- pulling -------------------------------------------------------------- */

static void all_pulled(struct secondary *s)
{
	if (s->round->same_seen)
		round_same(s);
	else
		round_failed(s);
}

static void go_on(struct secondary *s)
{
	if (find_address(s))
		enter(s);
	else if (s->round->asking)
		all_asked(s);
	else
		all_pulled(s);
}

static void log_transfer(const struct secondary *s, const struct fetch_result *result, enum log_level level, const char *outcome)
{
	struct log log;

	if (!log_wants(level))
		return;
	log_head(&log, s, level, "transfer", result->transport);
	log_str(&log, "asked", s->round->ixfr ? "IXFR" : "AXFR");
	log_str(&log, "got", result->outcome == FETCH_CURRENT ? "current" : !result->records ? "nothing" :
		result->incremental ? "IXFR" : "AXFR");
	if (s->refresh.loaded)
		log_int(&log, "old", s->refresh.serial.v);
	if (result->has_serial)
		log_int(&log, "new", result->serial.v);
	log_int(&log, "messages", (int64_t)result->messages);
	log_int(&log, "records", (int64_t)result->records);
	log_int(&log, "bytes", (int64_t)result->bytes);
	if (result->redundant)
		log_int(&log, "redundant", (int64_t)result->redundant);
	log_outcome(&log, result, outcome);
}

/* It brought no version. */
static void log_no_version(const struct secondary *s, const struct fetch_result *result, bool worth_it)
{
	enum log_level level = !worth_it ? LOG_LEVEL_DEBUG : result->outcome == FETCH_CURRENT ? LOG_LEVEL_NOTICE : LOG_LEVEL_WARNING;

	log_transfer(s, result, level, fetch_outcome_name(result->outcome));
}

/* What became of the version that is pending; `why` NULL: nothing is wrong with that. Of several calls the first counts. */
static void log_fate(struct secondary *s, const char *outcome, const char *why)
{
	struct fetch_result *came = s->round->came;

	s->round->came = NULL;
	if (!came)
		return;
	if (why)
		err_why(&came->why, ERR_OK, "%s", why);
	log_transfer(s, came, why ? LOG_LEVEL_WARNING : LOG_LEVEL_NOTICE, outcome);
	free(came);
}

static void count_transfer(struct secondary_counters *c, const struct fetch_result *result)
{
	c->transfers++;
	c->records_in += result->records;
	c->bytes_in += result->bytes;
	if (result->outcome == FETCH_CURRENT)
		c->transfers_current++;
	else if (result->outcome == FETCH_OK && result->incremental)
		c->transfers_ixfr++;
	else if (result->outcome == FETCH_OK)
		c->transfers_axfr++;
	else if (result->outcome == FETCH_NETWORK)
		c->transfers_failed++;
	else
		c->transfers_refused++;
}

/* The version goes to the hook. */
static void offer_version(struct secondary *s, struct fetch_result *result)
{
	struct zone *version = result->version;
	struct round *r = s->round;

	r->came = malloc(sizeof *r->came);
	if (!r->came) {
		no_memory(s);
		return;
	}
	result->version = NULL;
	*r->came = *result;
	r->outcome.transferred = true;
	r->outcome.incremental = result->incremental;
	r->outcome.records = result->records;
	r->outcome.bytes = result->bytes;
	r->outcome.ms = result->ms;
	r->pending = zone_hold(version);     /* the hook has the other hold */
	s->env->publish(s->env->ctx, s, version);
}

/* A version came. Whether it is wanted is decided once more, by its own serial. */
static void take_version(struct secondary *s, struct fetch_result *result)
{
	enum offer offer = s->round->full ? OFFER_TAKE : judge(s, result->version->serial);
	struct round *r = s->round;

	r->outcome.primary = primary_name(remote_at(r, r->turn)->primary);
	switch (offer) {
	case OFFER_TAKE:
		offer_version(s, result);
		break;
	case OFFER_SAME:
		log_transfer(s, result, LOG_LEVEL_NOTICE, fetch_outcome_name(FETCH_CURRENT));
		round_same(s);
		break;
	case OFFER_OLDER:
		note_older(s, result->version->serial);
		err_why(&result->why, ERR_OK, "%s", s->trouble ? s->trouble->error : "");
		log_transfer(s, result, LOG_LEVEL_WARNING, fetch_outcome_name(FETCH_BACK));
		next_remote(s);
		go_on(s);
		break;
	}
}

static void refused(struct secondary *s, const struct fetch_result *result)
{
	if (result->records > 0)
		set_rejected(s, result->why.text);
	if (result->axfr_may_help) {
		s->round->refused |= result->records > 0;
		s->round->axfr_here = true;
		return;
	}
	if (result->records > 0)
		note_refused(s, result->has_serial, result->serial);
	next_remote(s);
}

static void pull_failed(struct secondary *s, const struct fetch_result *result)
{
	note_error(s, remote_at(s->round, s->round->turn)->name, result->why.text);
	switch (result->outcome) {
	case FETCH_NETWORK:
		next_address(s);
		break;
	case FETCH_PROTOCOL:
		refused(s, result);
		break;
	case FETCH_BACK:
		s->round->accept_older = judge(s, result->serial) == OFFER_TAKE;
		if (s->round->accept_older)
			break;       /* by AXFR, there */
		note_older(s, result->serial);
		next_remote(s);
		break;
	case FETCH_OK: case FETCH_CURRENT: case FETCH_TSIG_FAILED: case FETCH_NO_MEMORY:
		next_remote(s);
		break;
	}
	go_on(s);
}

/* The one that was asked for its serial a moment ago showed more than its answer to IXFR does: it is several machines, or its
 * differences lag behind. What it showed stays known, and AXFR decides. */
static bool contradicts_its_probe(const struct secondary *s, const struct fetch_result *result)
{
	return result->outcome == FETCH_CURRENT && s->round->has_best && s->round->turn == 0;
}

static void note_contradiction(struct secondary *s)
{
	char text[200];

	snprintf(text, sizeof text, "it showed serial %u, but has no differences from ours, %u", s->round->best_serial.v, s->refresh.serial.v);
	note_error(s, remote_at(s->round, s->round->turn)->name, text);
}

/* It has what we have. If more was announced, others may have it. */
static void pulled_same(struct secondary *s, struct serial serial)
{
	struct round *r = s->round;

	r->outcome.primary = primary_name(remote_at(r, r->turn)->primary);
	r->same_seen = true;
	if (!r->forced && s->refresh.hinted && serial_newer(s->refresh.hint, serial) && r->turn + 1 < r->count) {
		next_remote(s);
		go_on(s);
	} else {
		round_same(s);
	}
}

static void pull_done(void *ctx, struct fetch_result *result)
{
	struct secondary *s = ctx;
	bool worth_it;

	s->round->fetch = NULL;
	s->round->late = false;
	primary_leave(&s->round->ticket);
	worth_it = report(s, result);
	if (result->outcome != FETCH_OK)
		log_no_version(s, result, worth_it);
	count_transfer(s->env->counters, result);
	s->env->counters->exchanges_kept += result->kept;
	if (contradicts_its_probe(s, result)) {
		note_contradiction(s);
		s->round->axfr_here = true;
		go_on(s);
		return;
	}
	note_view(s, result);
	if (result->outcome == FETCH_OK || result->outcome == FETCH_CURRENT)
		refresh_given(&s->refresh, result->has_expire, result->expire);
	if (result->outcome == FETCH_OK)
		take_version(s, result);
	else if (result->outcome == FETCH_CURRENT)
		pulled_same(s, result->serial);
	else
		pull_failed(s, result);
}

static bool is_ours(enum err err)
{
	return err == ERR_IO || err == ERR_NOSPACE || err == ERR_NOMEM || err == ERR_ORDER;
}

/* What differences led to may be wrong for a mistake in them, or in what they were applied to: the whole zone decides. */
static void not_published(struct secondary *s, enum err err, const struct why *why)
{
	struct round *r = s->round;
	struct serial serial = r->pending->serial;
	const char *text = err_say(why, err);

	zone_put(r->pending);
	r->pending = NULL;
	note_error(s, remote_at(r, r->turn)->name, text);
	log_fate(s, is_ours(err) ? "not-kept" : "refused", text);
	if (is_ours(err)) {
		round_failed(s);
		return;
	}
	set_rejected(s, text);
	s->env->counters->transfers_refused++;
	if (err == ERR_ZONE && r->outcome.incremental) {
		r->refused = true;
		r->axfr_here = true;
	} else {
		note_refused(s, true, serial);
		next_remote(s);
	}
	go_on(s);
}

void secondary_accepted(struct secondary *s)
{
	log_fate(s, fetch_outcome_name(FETCH_OK), NULL);
}

void secondary_published(struct secondary *s, enum err err, const struct why *why)
{
	struct round *r = s->round;
	struct secondary_outcome outcome = r->outcome;

	if (err) {
		not_published(s, err, why);
		return;
	}
	secondary_accepted(s);
	s->primary = primary_name(remote_at(r, r->turn)->primary);
	zone_put(s->version);
	s->version = r->pending;
	r->pending = NULL;
	round_end(s);
	set_rejected(s, NULL);
	s->refresh.loaded = true;
	s->refresh.serial = s->version->serial;
	s->refresh.times = refresh_times_of(&s->version->soa, &s->conf->clamps);
	s->last = (struct secondary_last){true, outcome.incremental, outcome.ms, outcome.records, outcome.bytes, s->env->now()};
	tell(s, SECONDARY_UPDATED, outcome);
	event(s, REFRESH_DONE);
	tidy_views(s);
	s->env->confirmed(s->env->ctx, s, false);
	follow(s);
	begin_survey(s);
}

/* --- doing ---------------------------------------------------------------- */

/* Without a version of ours there is nothing to compare; but what was refused is asked about first. */
static bool must_ask(struct secondary *s)
{
	for (size_t i = 0; s->views && i < s->conf->remote_count; i++)
		if (s->views[i].has_refused && s->env->now() < s->views[i].refused_until)
			return !s->refresh.loaded && !s->next_forced;
	return false;
}

static void begin(struct secondary *s, bool asking)
{
	if (round_begin(s, asking || must_ask(s)))
		go_on(s);
	else
		no_memory(s);
}

static void give_up(struct secondary *s)
{
	struct secondary_outcome outcome = s->round ? s->round->outcome : (struct secondary_outcome){0};

	note_error(s, NULL, "given up: it took far too long");
	round_end(s);
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
		s->env->counters->expiries++;
		s->env->expired(s->env->ctx, s);
		break;
	}
	arm(s);
}

/* The transfer that waited for the end of another one begins. */
static void follow(struct secondary *s)
{
	struct after *after = s->after;
	struct waiter **last = &s->waiters;

	if (!after || s->refresh.state == REFRESH_TRANSFER)
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

	if (must_wait(s) && s->env->now() >= s->refresh.timer)
		refresh_begun(&s->refresh, s->env->now());
	event(s, REFRESH_TIMER);
}

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
	s->env = env;
	s->owner = owner;
	s->conf = conf;
	conf->refs++;
	s->prefer = NO_REMOTE;
	s->timer.call = timer_due;
	refresh_init(&s->refresh, 0, watchdog(conf), conf->clamps.retry_min);
	return s;
}

static void trouble_free(struct trouble *t)
{
	if (!t)
		return;
	free(t->rejected);
	free(t->error);
	free(t->primary);
	free(t);
}

void secondary_free(struct secondary *s)
{
	struct secondary_outcome outcome;

	if (!s)
		return;
	outcome = s->round ? s->round->outcome : (struct secondary_outcome){0};
	note_error(s, NULL, "the zone was removed");
	round_end(s);
	wake_up(s);
	tell_all(s, outcome);
	timer_stop(s->env->timers, &s->timer);
	timers_leave(s->env->timers);
	views_free(s);
	conf_drop(s->conf);
	zone_put(s->version);
	trouble_free(s->trouble);
	free(s);
}

void *secondary_owner(const struct secondary *s) { return s->owner; }
struct zone *secondary_version(const struct secondary *s) { return s->version; }

void secondary_loaded(struct secondary *s, struct zone *version, int64_t refreshed)
{
	s->version = version;
	refresh_loaded(&s->refresh, version->serial, refresh_times_of(&version->soa, &s->conf->clamps), refreshed);
	if (s->start == STARTED)
		arm(s);
}

void secondary_remember(struct secondary *s, const struct secondary_memory *memory)
{
	refresh_resume(&s->refresh, memory->failures, memory->given_expire);
	if (!memory->why)
		return;
	set_rejected(s, memory->why);
	for (size_t i = 0; i < s->conf->remote_count && view_of(s, i); i++)
		view_refuse(&s->views[i], memory->refused, s->env->now());
}

static void note_hint(struct secondary *s, struct serial before, bool had)
{
	if (s->refresh.hinted && (!had || !serial_equal(before, s->refresh.hint)))
		s->hint_since = s->env->now();
}

void secondary_known(struct secondary *s, struct serial serial)
{
	if (s->refresh.loaded && !serial_newer(serial, s->refresh.serial))
		return;
	s->refresh.hinted = true;
	s->refresh.hint = serial;
	s->hint_since = s->env->now();
}

void secondary_start(struct secondary *s, uint32_t after)
{
	bool pull = s->start == MUST_PULL;

	s->refresh.timer = s->env->now() + (s->start == NOT_STARTED ? after : 0);
	s->start = STARTED;
	if (pull)
		event(s, REFRESH_FORCED);
	else
		arm(s);
}

/* What is known of the primaries that stay is kept, but for what was refused: under other settings it may not be. */
static void move_views(struct secondary *s, struct view *views, const struct secondary_conf *conf)
{
	for (size_t i = 0; i < conf->remote_count; i++) {
		views[i].at = s->env->now();
		for (size_t j = 0; j < s->conf->remote_count; j++)
			if (strcmp(conf->remotes[i].name, s->conf->remotes[j].name) == 0 && !views[i].asked) {
				views[i] = s->views[j];
				s->views[j].error = NULL;
				view_pardon(&views[i]);
			}
	}
	views_free(s);
	s->views = views;
}

static bool same_remotes(const struct secondary_conf *a, const struct secondary_conf *b)
{
	if (a->remote_count != b->remote_count)
		return false;
	for (size_t i = 0; i < a->remote_count; i++)
		if (strcmp(a->remotes[i].name, b->remotes[i].name) != 0)
			return false;
	return true;
}

/* Every pause there was is over, and what was refused may be tried again. */
static void lift(struct secondary *s)
{
	s->refresh.quiet_until = 0;
	s->refresh.barren = 0;
	for (size_t i = 0; s->views && i < s->conf->remote_count; i++)
		view_pardon(&s->views[i]);
}

/* What is under way begins anew; or the primaries are asked soon, whatever pause there was. */
static void ask_anew(struct secondary *s, uint32_t spread)
{
	int64_t soon = s->env->now() + (spread ? random32() % spread : 0);

	if (s->round && s->round->pending)
		return;
	s->next_forced = true;
	if (is_busy(s)) {
		s->next_full = s->round->full;
		begin(s, s->round->asking);
		return;
	}
	round_end(s);
	wake_up(s);
	if (soon < s->refresh.timer) {
		lift(s);
		s->refresh.timer = soon;
	}
}

/* False: goes on as before. */
static bool take_conf(struct secondary *s, struct secondary_conf *conf)
{
	struct view *views;

	if (!same_remotes(s->conf, conf) && (s->views || s->confirmed)) {
		views = view_of(s, 0) ? calloc(conf->remote_count + 1, sizeof *views) : NULL;
		if (!views)
			return false;
		move_views(s, views, conf);
	}
	conf->refs++;
	conf_drop(s->conf);
	s->conf = conf;
	return true;
}

void secondary_set_conf(struct secondary *s, struct secondary_conf *conf, bool restart, uint32_t spread)
{
	if (!take_conf(s, conf))
		return;
	s->prefer = NO_REMOTE;
	if (s->after)
		s->after->prefer = NO_REMOTE;
	s->refresh.retry_min = conf->clamps.retry_min;
	s->refresh.watchdog = watchdog(conf);
	if (s->refresh.loaded && refresh_retime(&s->refresh, refresh_times_of(&s->version->soa, &conf->clamps), s->env->now()))
		s->env->confirmed(s->env->ctx, s, true);
	for (size_t i = 0; restart && s->views && i < conf->remote_count; i++)
		view_pardon(&s->views[i]);
	if (s->start != STARTED)
		return;
	if (restart)
		ask_anew(s, spread);
	arm(s);
}

void secondary_same_conf(struct secondary *s, struct secondary_conf *conf)
{
	conf->refs++;
	conf_drop(s->conf);
	s->conf = conf;
	s->refresh.watchdog = watchdog(conf);
}

void secondary_hold(struct secondary *s, bool held)
{
	bool pending = s->round && s->round->pending;
	struct secondary_outcome none = {.had_serial = s->refresh.loaded, .old = s->refresh.serial};

	if (s->refresh.held == held)
		return;
	wake_up(s);
	if (held && !pending) {
		if (s->waiters || s->after)
			note_error(s, NULL, "the zone was put on hold");
		round_end(s);
		tell_all(s, none);
	}
	if (s->start != STARTED)
		s->start = NOT_STARTED;
	refresh_hold(&s->refresh, held, pending, s->env->now());
	if (s->start == STARTED)
		arm(s);
}

/* --- NOTIFY --------------------------------------------------------------- */

static uint32_t sender(const struct secondary *s, const struct net_addr *from)
{
	for (uint32_t i = 0; i < s->conf->remote_count; i++)
		for (size_t a = 0; a < s->conf->remotes[i].address_count; a++)
			if (net_host_equal(&s->conf->remotes[i].addresses[a], from))
				return i;
	return NO_REMOTE;
}

/* Whoever speaks lives: what was held there may be tried, at once if this zone has waited for that. */
static void sender_lives(struct secondary *s, uint32_t remote, const struct net_addr *from)
{
	const struct secondary_remote *r = &s->conf->remotes[remote];
	bool woken = false;

	for (size_t a = 0; a < r->address_count; a++) {
		struct peer *peer = net_host_equal(&r->addresses[a], from) ? peer_at(r, a) : NULL;

		for (unsigned lane = 0; peer && lane < PRIMARY_LANES; lane++)
			woken |= peer_wake(peer, lane, s->env->now());
	}
	if (woken && s->nap) {
		wake_up(s);
		refresh_not_later(&s->refresh, s->env->now());
	}
}

/* The round waits at another primary, or for one that is late: it begins with the sender instead. */
static bool must_move(const struct secondary *s, uint32_t remote)
{
	const struct round *r = s->round;

	return is_busy(s) && remote != NO_REMOTE && r->conf == s->conf && r->turn < r->count && r->order[r->turn] != remote && !r->forced &&
		(r->late || r->ticket.state == TICKET_WAITS);
}

/* Its answer to IXFR tells its serial too: that is one question less. */
static bool may_pull_at_once(const struct secondary *s, uint32_t remote)
{
	return remote != NO_REMOTE && s->version && s->conf->ixfr && !s->conf->newest && !(s->views && s->views[remote].ixfr_broken);
}

static bool is_refused(const struct secondary *s, uint32_t remote, struct serial serial)
{
	return remote != NO_REMOTE && s->views && view_refuses(&s->views[remote], serial, s->env->now());
}

void secondary_notify(struct secondary *s, const struct net_addr *from, bool has_serial, struct serial serial)
{
	bool hinted = s->refresh.hinted, newer = !has_serial || !s->refresh.loaded || serial_newer(serial, s->refresh.serial);
	uint32_t remote = sender(s, from);
	struct serial hint = s->refresh.hint;
	enum refresh_act what;

	if (s->start != STARTED)
		return;
	if (remote != NO_REMOTE)
		sender_lives(s, remote, from);
	if (has_serial && is_refused(s, remote, serial)) {
		s->env->counters->notifies_coalesced++;
		arm(s);
		return;
	}
	if (!is_busy(s) || (newer && must_move(s, remote)))
		s->prefer = remote;
	what = refresh_notify(&s->refresh, has_serial, serial, may_pull_at_once(s, remote), s->env->now(), random32());
	note_hint(s, hint, hinted);
	if (what == REFRESH_NOTHING)
		s->env->counters->notifies_coalesced++;
	else
		s->env->counters->notifies_heeded++;
	if (what == REFRESH_NOTHING && newer && must_move(s, remote)) {
		s->next_full = s->round->full;
		begin(s, s->round->asking);
	}
	act(s, what);
}

/* --- the operator --------------------------------------------------------- */

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

void secondary_refresh(struct secondary *s, secondary_waiter *call, void *ctx)
{
	wait_for(s, &s->waiters, call, ctx);
	lift(s);
	if (s->start == NOT_STARTED)
		s->start = MUST_ASK;
	if (is_busy(s))
		s->round->forced = true;
	if (is_busy(s) || s->start != STARTED)
		return;
	s->next_forced = true;
	s->refresh.timer = s->env->now();
	event(s, REFRESH_TIMER);
}

static uint32_t remote_named(const struct secondary *s, const char *name)
{
	for (uint32_t i = 0; name && i < s->conf->remote_count; i++)
		if (strcmp(s->conf->remotes[i].name, name) == 0)
			return i;
	return NO_REMOTE;
}

/* The transfer under way is what is wanted. */
static bool will_do(const struct secondary *s, bool full, uint32_t from)
{
	const struct round *r = s->round;

	if (!r || (full && !r->full))
		return false;
	return from == NO_REMOTE || (r->conf == s->conf && !r->asking && r->turn < r->count && r->order[r->turn] == from);
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
	bool under_way = s->refresh.state == REFRESH_TRANSFER, follows;

	lift(s);
	follows = under_way && !will_do(s, full, remote) && !may_replace(s) && queue_after(s, full, remote);
	wait_for(s, follows ? &s->after->waiters : &s->waiters, call, ctx);
	if (under_way && s->round)
		s->round->forced = true;
	if (follows || (under_way && !may_replace(s)))
		return;
	s->next_full = full || (under_way && s->round->full);
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
	return s->refresh.state == REFRESH_TRANSFER;
}

/* --- status --------------------------------------------------------------- */

static void best_of(struct secondary_status *out, struct serial serial, bool ours, int64_t since)
{
	if (out->has_best && !serial_newer(serial, out->best))
		return;
	out->has_best = true;
	out->best = serial;
	out->best_is_ours = ours;
	out->best_since = since;
}

void secondary_status(const struct secondary *s, struct secondary_status *out)
{
	*out = (struct secondary_status){.refresh = s->refresh, .last = s->last, .views = s->conf->remote_count, .primary = s->primary};
	if (s->refresh.loaded)
		best_of(out, s->refresh.serial, true, 0);
	for (size_t i = 0; s->views && i < s->conf->remote_count; i++)
		if (s->views[i].has_serial)
			best_of(out, s->views[i].serial, false, s->views[i].since);
	for (size_t i = 0; s->views && i < s->conf->remote_count && !out->has_refused; i++) {
		out->has_refused = s->views[i].has_refused && s->env->now() < s->views[i].refused_until;
		out->refused = s->views[i].refused;
	}
	if (s->refresh.hinted)
		best_of(out, s->refresh.hint, false, s->hint_since);
	if (!s->trouble)
		return;
	out->rejected = s->trouble->rejected;
	out->last_error = s->trouble->error;
	out->last_error_primary = s->trouble->primary;
	out->last_error_at = s->trouble->at;
	out->last_error_unix = s->trouble->unix_at;
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

/* Of its addresses the best one counts, which is as good as the worse of what it is asked for. What is known by other zones is known here too. */
static void add_health(struct secondary_view *out)
{
	struct peer *best = NULL;
	enum primary_lane lane = LANE_PROBES;

	for (size_t i = 0; i < out->remote->address_count; i++) {
		struct peer *peer = peer_at(out->remote, i);
		enum primary_lane worse = peer && peer_health(peer, LANE_TRANSFERS) > peer_health(peer, LANE_PROBES) ? LANE_TRANSFERS : LANE_PROBES;

		if (!peer || (best && peer_health(peer, worse) >= peer_health(best, lane)))
			continue;
		best = peer;
		lane = worse;
	}
	if (!best)
		return;
	out->health = peer_health(best, lane);
	out->failures = peer_failures(best, lane);
	out->until = peer_until(best, lane);
	if (out->health < PEER_HELD || !out->healthy)
		return;
	out->healthy = false;
	out->error = out->error || !*peer_why(best) ? out->error : peer_why(best);
}

void secondary_view(const struct secondary *s, size_t i, struct secondary_view *out)
{
	*out = (struct secondary_view){.remote = &s->conf->remotes[i]};
	if (s->views) {
		const struct view *v = &s->views[i];

		*out = (struct secondary_view){.remote = &s->conf->remotes[i], .asked = v->asked, .healthy = v->healthy,
			.has_serial = v->has_serial, .serial = v->serial, .at = v->at, .error = v->error,
			.has_refused = v->has_refused && s->env->now() < v->refused_until, .refused = v->refused};
	} else if (s->confirmed && s->refresh.loaded) {
		*out = (struct secondary_view){.remote = &s->conf->remotes[i], .asked = true, .healthy = true, .has_serial = true,
			.serial = s->refresh.serial, .at = s->refresh.refreshed};
	}
	add_health(out);
}

void secondary_set_primary(struct secondary *s, const char *name)
{
	struct primary *primary = *name && s->conf->remote_count ? primary_get(primary_table(s->conf->remotes[0].primary), name) : NULL;

	s->primary = primary ? primary_name(primary) : NULL;
}
