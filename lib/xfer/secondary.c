#include "xfer/secondary.h"

#include "base/log.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct waiter {
	struct waiter *next;
	secondary_waiter *call;
	void *ctx;
};

/* What is remembered of one primary. */
struct view {
	bool asked, healthy, has_serial;
	bool ixfr_broken;                    /* the last IXFR broke off in the middle: AXFR next time */
	struct serial serial;
	int64_t at, since;                   /* asked last; this serial first shown */
	char *error;
};

/* One attempt to get in step: the primaries in the order in which they are tried. */
struct round {
	struct secondary_conf *conf;         /* counted; NULL: no round */
	size_t *order;                       /* indexes into conf->remotes */
	size_t turn, address;                /* where we are */
	bool asking;                         /* for serials; else pulling */
	bool full;                           /* the operator wants a whole zone, whatever its serial */
	bool ixfr;                           /* what the transfer under way asks for */
	bool accept_older;                   /* `rollback` says so for what a primary showed */
	bool same_seen;
	bool refused;                        /* a version was offered, but not acceptable */
	bool axfr_here;                      /* IXFR was refused at this address */
	bool has_best;
	size_t best, best_address;           /* place in order; the address that answered */
	struct serial best_serial;
};

struct secondary {
	const struct secondary_env *env;
	void *owner;
	struct secondary_conf *conf;
	struct refresh refresh;
	struct zone *version;                /* the one we have */
	struct zone *pending;                /* given to the hook, not yet published */
	struct event *timer;
	struct fetch *fetch;
	struct primary_ticket ticket;
	struct round round;
	struct waiter *waiters;
	struct secondary_outcome outcome;    /* of the round so far */
	struct view *views;                  /* one for each of conf->remotes */
	enum { NOT_STARTED, STARTED, MUST_ASK, MUST_PULL } start;    /* MUST_: not started, and the operator waits */
	bool next_full;                      /* what the operator asked for */
	size_t prefer;                       /* index of the remote to try first, or SIZE_MAX */
	struct {                             /* a transfer that follows the one under way: somebody waits who asked for something else */
		struct waiter *waiters;
		bool wanted, full;
		size_t prefer;
	} after;
	struct secondary_last last;
	int64_t hint_since;                  /* when refresh.hint was first heard */
	char *rejected;                      /* why the last version offered was refused; NULL: it was not */
	char primary[64];
	char last_error[WHY_MAX];
	char last_error_primary[64];
	int64_t last_error_at;
	uint8_t name[];
};

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
	int64_t wait = refresh_due(&s->refresh) - s->env->now();
	struct timeval tv;

	if (wait < 0)
		wait = 0;
	tv = (struct timeval){wait / 1000, wait % 1000 * 1000};
	evtimer_add(s->timer, &tv);
}

static void round_end(struct secondary *s)
{
	fetch_cancel(s->fetch);
	s->fetch = NULL;
	primary_leave(&s->ticket);
	free(s->round.order);
	conf_drop(s->round.conf);
	s->round = (struct round){0};
}

static void tell(struct secondary *s, enum secondary_result result)
{
	struct waiter *waiters = s->waiters;

	s->outcome.result = result;
	s->outcome.has_serial = s->refresh.loaded;
	s->outcome.serial = s->refresh.serial;
	s->outcome.error = result == SECONDARY_FAILED ? s->last_error : NULL;
	s->waiters = NULL;
	while (waiters) {
		struct waiter *next = waiters->next;

		waiters->call(waiters->ctx, s, &s->outcome);
		free(waiters);
		waiters = next;
	}
}

/* It is over for all who wait, also those whose turn had not come. */
static void tell_all(struct secondary *s)
{
	struct waiter **last = &s->waiters;

	while (*last)
		last = &(*last)->next;
	*last = s->after.waiters;
	s->after.waiters = NULL;
	s->after.wanted = false;
	tell(s, SECONDARY_FAILED);
}

static void note_error(struct secondary *s, const char *remote, const char *text)
{
	snprintf(s->last_error, sizeof s->last_error, "%s", text);
	snprintf(s->last_error_primary, sizeof s->last_error_primary, "%s", remote ? remote : "");
	s->last_error_at = s->env->now();
}

static bool may_ixfr(const struct secondary *s)
{
	const struct round *r = &s->round;

	return s->version && r->conf->ixfr && !r->full && !r->accept_older && !r->axfr_here && !s->refresh.expired &&
		!(r->conf == s->conf && s->views[r->order[r->turn]].ixfr_broken);
}

static void note_view(struct secondary *s, size_t remote, const struct fetch_result *result)
{
	struct view *v;

	if (s->round.conf != s->conf)
		return;              /* the settings were replaced meanwhile */
	v = &s->views[remote];
	v->asked = true;
	v->at = s->env->now();
	v->ixfr_broken = result->outcome == FETCH_NETWORK && result->records && s->round.ixfr;
	v->healthy = result->outcome != FETCH_NETWORK && result->outcome != FETCH_TSIG_FAILED;
	if (result->has_serial) {
		if (!v->has_serial || !serial_equal(v->serial, result->serial))
			v->since = v->at;
		v->has_serial = true;
		v->serial = result->serial;
	}
	free(v->error);
	v->error = result->outcome == FETCH_OK || result->outcome == FETCH_CURRENT ? NULL : strdup(result->why.text);
}

/* --- deciding ------------------------------------------------------------- */

static void act(struct secondary *, enum refresh_act);
static void follow(struct secondary *);

static void event(struct secondary *s, enum refresh_event e)
{
	act(s, refresh_event(&s->refresh, e, s->env->now(), random32()));
}

static void round_failed(struct secondary *s)
{
	round_end(s);
	tell(s, SECONDARY_FAILED);
	event(s, REFRESH_FAILED);
	follow(s);
}

static void set_rejected(struct secondary *s, const char *text)
{
	free(s->rejected);
	s->rejected = text ? strdup(text) : NULL;
}

/* A primary has what we have. It counts as a failure for who waits if another one has more, which we refused. */
static void round_same(struct secondary *s)
{
	bool revived = s->refresh.expired, refused = s->round.refused;

	round_end(s);
	if (!refused)
		set_rejected(s, NULL);
	tell(s, refused ? SECONDARY_FAILED : SECONDARY_CURRENT);
	event(s, REFRESH_SAME);
	s->env->confirmed(s->env->ctx, s, revived);
	follow(s);
}

static const struct secondary_remote *remote_at(const struct secondary *s, size_t place)
{
	return &s->round.conf->remotes[s->round.order[place]];
}

static void next_remote(struct secondary *s)
{
	s->round.turn++;
	s->round.address = 0;
	s->round.axfr_here = false;
}

static void next_address(struct secondary *s)
{
	s->round.axfr_here = false;
	if (++s->round.address >= remote_at(s, s->round.turn)->address_count)
		next_remote(s);
}

/* The order of the list, with the preferred remote first. */
static bool round_begin(struct secondary *s, bool asking)
{
	struct round *r = &s->round;
	size_t n = 0;

	round_end(s);
	r->order = malloc((s->conf->remote_count + 1) * sizeof *r->order);
	if (!r->order) {
		note_error(s, NULL, "out of memory");
		return false;
	}
	r->conf = s->conf;
	r->conf->refs++;
	r->asking = asking;
	if (s->prefer < s->conf->remote_count)
		r->order[n++] = s->prefer;
	for (size_t i = 0; i < s->conf->remote_count; i++)
		if (i != s->prefer)
			r->order[n++] = i;
	s->outcome = (struct secondary_outcome){.had_serial = s->refresh.loaded, .old = s->refresh.serial};
	return true;
}

static void fill_ask(const struct secondary *s, enum fetch_kind kind, struct fetch_ask *ask)
{
	const struct secondary_remote *remote = remote_at(s, s->round.turn);

	*ask = (struct fetch_ask){
		.kind = kind,
		.zone = s->name,
		.to = remote->addresses[s->round.address],
		.key = remote->key,
		.tls = remote->tls,
		.base = s->version,
		.limits = s->round.conf->limits,
		.times = s->round.conf->times,
		.now = s->env->now,
		.unix_time = s->env->unix_time,
	};
}

static void log_head(struct log *log, const struct secondary *s, enum log_level level, const char *what, enum fetch_transport transport)
{
	const struct secondary_remote *remote = remote_at(s, s->round.turn);
	char text[NAME_TEXT_SIZE];

	log_begin(log, level, what);
	log_str(log, "zone", name_text(s->name, text));
	log_str(log, "primary", remote->name);
	log_str(log, "address", net_addr_text(&remote->addresses[s->round.address], 0, text));
	log_str(log, "transport", fetch_transport_name(transport));
	log_str(log, "key", remote->key ? name_text(remote->key->name, text) : "none");
}

static void log_outcome(struct log *log, const struct fetch_result *result)
{
	log_fmt(log, "seconds", "%u.%03u", result->ms / 1000, result->ms % 1000);
	log_str(log, "outcome", fetch_outcome_name(result->outcome));
	if (result->reason)
		log_str(log, "reason", result->reason);
	if (result->why.text[0])
		log_str(log, "why", result->why.text);
	log_end(log);
}

/* --- asking for serials --------------------------------------------------- */

static void pull_next(struct secondary *);
static void ask_done(void *ctx, struct fetch_result *);

static void begin_pull(struct secondary *s)
{
	s->round.asking = false;
	s->round.turn = 0;
	s->round.address = s->round.best_address;
	s->round.axfr_here = false;
	pull_next(s);
}

/* The primary with something for us goes to the front, and is pulled from. */
static void found_newer(struct secondary *s)
{
	struct round *r = &s->round;
	size_t best = r->order[r->best];

	memmove(r->order + 1, r->order, r->best * sizeof *r->order);
	r->order[0] = best;
	refresh_event(&s->refresh, REFRESH_NEWER, s->env->now(), random32());
	begin_pull(s);
	arm(s);
}

static void ask_start(void *ctx)
{
	struct secondary *s = ctx;
	struct fetch_ask ask;

	fill_ask(s, FETCH_SOA, &ask);
	s->fetch = fetch_start(s->env->loop, &ask, ask_done, s);
	if (!s->fetch) {
		note_error(s, NULL, "out of memory");
		round_failed(s);
	}
}

static void ask_next(struct secondary *s)
{
	struct round *r = &s->round;

	if (r->turn >= r->conf->remote_count) {
		if (r->has_best)
			found_newer(s);
		else if (r->same_seen)
			round_same(s);
		else
			round_failed(s);
		return;
	}
	if (primary_enter(remote_at(s, r->turn)->primary, LANE_PROBES, &s->ticket, ask_start, s))
		ask_start(s);
}

enum offer { OFFER_TAKE, OFFER_SAME, OFFER_OLDER };

static enum offer judge(const struct secondary *s, struct serial serial)
{
	enum secondary_rollback rollback = s->round.conf->rollback;
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
	note_error(s, remote_at(s, s->round.turn)->name, text);
}

/* A serial was shown. True: the asking is over. */
static bool weigh(struct secondary *s, struct serial serial)
{
	struct round *r = &s->round;

	switch (judge(s, serial)) {
	case OFFER_TAKE:
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

static void ask_done(void *ctx, struct fetch_result *result)
{
	struct secondary *s = ctx;
	struct log log;

	s->fetch = NULL;
	primary_leave(&s->ticket);
	note_view(s, s->round.order[s->round.turn], result);
	log_head(&log, s, result->outcome == FETCH_OK ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO, "probe", result->transport);
	if (result->has_serial)
		log_int(&log, "serial", result->serial.v);
	log_outcome(&log, result);
	s->env->counters->probes++;
	s->env->counters->probes_failed += result->outcome != FETCH_OK;
	if (result->outcome == FETCH_OK) {
		bool over = weigh(s, result->serial);

		next_remote(s);
		if (over)
			s->round.turn = s->round.conf->remote_count;
	} else {
		note_error(s, remote_at(s, s->round.turn)->name, result->why.text);
		if (result->outcome == FETCH_NETWORK)
			next_address(s);
		else
			next_remote(s);
	}
	ask_next(s);
}

/* --- pulling -------------------------------------------------------------- */

static void pull_done(void *ctx, struct fetch_result *);

static void pull_start(void *ctx)
{
	struct secondary *s = ctx;
	struct fetch_ask ask;

	s->round.ixfr = may_ixfr(s);
	fill_ask(s, s->round.ixfr ? FETCH_IXFR : FETCH_AXFR, &ask);
	s->fetch = fetch_start(s->env->loop, &ask, pull_done, s);
	if (!s->fetch) {
		note_error(s, NULL, "out of memory");
		round_failed(s);
	}
}

static void pull_next(struct secondary *s)
{
	struct round *r = &s->round;

	if (r->turn >= r->conf->remote_count) {
		if (r->same_seen)
			round_same(s);
		else
			round_failed(s);
		return;
	}
	if (primary_enter(remote_at(s, r->turn)->primary, LANE_TRANSFERS, &s->ticket, pull_start, s))
		pull_start(s);
}

static void log_transfer(const struct secondary *s, const struct fetch_result *result)
{
	bool good = result->outcome == FETCH_OK || result->outcome == FETCH_CURRENT;
	struct log log;

	log_head(&log, s, good ? LOG_LEVEL_NOTICE : LOG_LEVEL_WARNING, "transfer", result->transport);
	log_str(&log, "asked", s->round.ixfr ? "IXFR" : "AXFR");
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
	log_outcome(&log, result);
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

/* A version came. Whether it is wanted is decided once more, by its own serial. */
static void take_version(struct secondary *s, struct fetch_result *result)
{
	enum offer offer = judge(s, result->version->serial);
	struct zone *version = result->version;

	if (offer == OFFER_OLDER && !s->round.full) {
		note_older(s, version->serial);
		next_remote(s);
		pull_next(s);
		return;
	}
	if (offer == OFFER_SAME && !s->round.full) {
		s->outcome.primary = primary_name(remote_at(s, s->round.turn)->primary);
		round_same(s);
		return;
	}
	result->version = NULL;
	s->outcome.transferred = true;
	s->outcome.incremental = result->incremental;
	s->outcome.records = result->records;
	s->outcome.bytes = result->bytes;
	s->outcome.ms = result->ms;
	s->outcome.primary = primary_name(remote_at(s, s->round.turn)->primary);
	s->pending = zone_hold(version);     /* the hook has the other hold */
	s->env->publish(s->env->ctx, s, version);
}

static void pull_failed(struct secondary *s, const struct fetch_result *result)
{
	note_error(s, remote_at(s, s->round.turn)->name, result->why.text);
	switch (result->outcome) {
	case FETCH_NETWORK:
		next_address(s);
		break;
	case FETCH_PROTOCOL:
		if (result->records > 0) {
			set_rejected(s, result->why.text);
			s->round.refused = true;
		}
		if (result->axfr_may_help)
			s->round.axfr_here = true;
		else
			next_remote(s);
		break;
	case FETCH_BACK:
		s->round.accept_older = judge(s, result->serial) == OFFER_TAKE;
		if (s->round.accept_older)
			break;       /* by AXFR, there */
		note_older(s, result->serial);
		next_remote(s);
		break;
	case FETCH_OK: case FETCH_CURRENT: case FETCH_TSIG_FAILED: case FETCH_NO_MEMORY:
		next_remote(s);
		break;
	}
	pull_next(s);
}

/* The one that was asked for its serial a moment ago showed more than its answer to IXFR does: it is several machines, or its
 * differences lag behind. What it showed stays known, and AXFR decides. */
static bool contradicts_its_probe(const struct secondary *s, const struct fetch_result *result)
{
	return result->outcome == FETCH_CURRENT && s->round.has_best && s->round.turn == 0;
}

static void note_contradiction(struct secondary *s)
{
	char text[200];

	snprintf(text, sizeof text, "it showed serial %u, but has no differences from ours, %u", s->round.best_serial.v, s->refresh.serial.v);
	note_error(s, remote_at(s, s->round.turn)->name, text);
}

static void pull_done(void *ctx, struct fetch_result *result)
{
	struct secondary *s = ctx;

	s->fetch = NULL;
	primary_leave(&s->ticket);
	log_transfer(s, result);
	count_transfer(s->env->counters, result);
	if (contradicts_its_probe(s, result)) {
		note_contradiction(s);
		s->round.axfr_here = true;
		pull_next(s);
		return;
	}
	note_view(s, s->round.order[s->round.turn], result);
	if (result->outcome == FETCH_OK) {
		take_version(s, result);
	} else if (result->outcome == FETCH_CURRENT) {
		s->outcome.primary = primary_name(remote_at(s, s->round.turn)->primary);
		round_same(s);
	} else {
		pull_failed(s, result);
	}
}

void secondary_published(struct secondary *s, enum err err, const struct why *why)
{
	struct zone *pending = s->pending;

	s->pending = NULL;
	if (err) {
		zone_put(pending);
		note_error(s, remote_at(s, s->round.turn)->name, err_say(why, err));
		round_failed(s);
		return;
	}
	snprintf(s->primary, sizeof s->primary, "%s", remote_at(s, s->round.turn)->name);
	zone_put(s->version);
	s->version = pending;
	round_end(s);
	set_rejected(s, NULL);
	s->refresh.loaded = true;
	s->refresh.serial = s->version->serial;
	s->refresh.times = refresh_times_of(&s->version->soa, &s->conf->clamps);
	s->last = (struct secondary_last){true, s->outcome.incremental, s->outcome.ms, s->outcome.records, s->outcome.bytes, s->env->now()};
	tell(s, SECONDARY_UPDATED);
	event(s, REFRESH_DONE);
	s->env->confirmed(s->env->ctx, s, false);
	follow(s);
}

/* --- doing ---------------------------------------------------------------- */

static void begin(struct secondary *s, bool asking)
{
	if (!round_begin(s, asking)) {
		round_failed(s);
		return;
	}
	s->round.full = s->next_full;
	s->next_full = false;
	s->prefer = SIZE_MAX;
	if (asking)
		ask_next(s);
	else
		pull_next(s);
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
		note_error(s, NULL, "given up: it took far too long");
		round_end(s);
		tell(s, SECONDARY_FAILED);
		follow(s);
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
	struct waiter **last = &s->waiters;

	if (!s->after.wanted || s->refresh.state == REFRESH_TRANSFER)
		return;
	while (*last)
		last = &(*last)->next;
	*last = s->after.waiters;
	s->next_full = s->after.full;
	s->prefer = s->after.prefer;
	s->after.waiters = NULL;
	s->after.wanted = false;
	event(s, REFRESH_FORCED);
}

static void timer_due(evutil_socket_t fd, short what, void *ctx)
{
	struct secondary *s = ctx;

	(void)fd;
	(void)what;
	if (s->pending && s->env->now() >= s->refresh.timer)
		s->refresh.timer = s->env->now() + s->refresh.watchdog;      /* the disk is slow: what came is not given up for that */
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
	s->timer = evtimer_new(env->loop, timer_due, s);
	s->views = calloc(conf->remote_count + 1, sizeof *s->views);
	if (!s->timer || !s->views) {
		if (s->timer)
			event_free(s->timer);
		free(s->views);
		free(s);
		return NULL;
	}
	name_copy(name, s->name);
	s->env = env;
	s->owner = owner;
	s->conf = conf;
	conf->refs++;
	s->prefer = s->after.prefer = SIZE_MAX;
	refresh_init(&s->refresh, 0, watchdog(conf), conf->clamps.retry_min);
	return s;
}

static void views_free(struct secondary *s)
{
	for (size_t i = 0; i < s->conf->remote_count; i++)
		free(s->views[i].error);
	free(s->views);
}

void secondary_free(struct secondary *s)
{
	if (!s)
		return;
	note_error(s, NULL, "the zone was removed");
	round_end(s);
	tell_all(s);
	event_free(s->timer);
	views_free(s);
	conf_drop(s->conf);
	zone_put(s->version);
	zone_put(s->pending);
	free(s->rejected);
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

/* What is known of the primaries that stay is kept. */
static void move_views(struct secondary *s, struct view *views, const struct secondary_conf *conf)
{
	for (size_t i = 0; i < conf->remote_count; i++)
		for (size_t j = 0; j < s->conf->remote_count; j++)
			if (strcmp(conf->remotes[i].name, s->conf->remotes[j].name) == 0 && !views[i].asked) {
				views[i] = s->views[j];
				s->views[j].error = NULL;
			}
	views_free(s);
	s->views = views;
}

/* The operator's word, or other primaries, lift every pause. */
static void lift(struct secondary *s)
{
	s->refresh.quiet_until = 0;
	s->refresh.barren = 0;
}

/* What is under way begins anew; or the primaries are asked soon, whatever pause there was. */
static void ask_anew(struct secondary *s, uint32_t spread)
{
	int64_t soon = s->env->now() + (spread ? random32() % spread : 0);

	if (s->pending)
		return;
	if (s->round.conf) {
		s->next_full = s->round.full;
		begin(s, s->round.asking);
	} else if (soon < s->refresh.timer) {
		lift(s);
		s->refresh.timer = soon;
	}
}

void secondary_set_conf(struct secondary *s, struct secondary_conf *conf, bool restart, uint32_t spread)
{
	struct view *views = calloc(conf->remote_count + 1, sizeof *views);

	if (!views)
		return;              /* goes on as before */
	move_views(s, views, conf);
	conf->refs++;
	conf_drop(s->conf);
	s->conf = conf;
	s->prefer = s->after.prefer = SIZE_MAX;
	s->refresh.retry_min = conf->clamps.retry_min;
	s->refresh.watchdog = watchdog(conf);
	if (s->refresh.loaded && refresh_retime(&s->refresh, refresh_times_of(&s->version->soa, &conf->clamps), s->env->now()))
		s->env->confirmed(s->env->ctx, s, true);
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
	if (s->refresh.held == held)
		return;
	if (held && !s->pending) {
		if (s->waiters || s->after.waiters)
			note_error(s, NULL, "the zone was put on hold");
		round_end(s);
		tell_all(s);
	}
	if (s->start != STARTED)
		s->start = NOT_STARTED;
	refresh_hold(&s->refresh, held, s->pending != NULL, s->env->now());
	if (s->start == STARTED)
		arm(s);
}

static size_t sender(const struct secondary *s, const struct net_addr *from)
{
	for (size_t i = 0; i < s->conf->remote_count; i++)
		for (size_t a = 0; a < s->conf->remotes[i].address_count; a++)
			if (net_host_equal(&s->conf->remotes[i].addresses[a], from))
				return i;
	return SIZE_MAX;
}

void secondary_notify(struct secondary *s, const struct net_addr *from, bool has_serial, struct serial serial)
{
	bool busy = s->round.conf != NULL, hinted = s->refresh.hinted;
	struct serial hint = s->refresh.hint;
	enum refresh_act what;

	if (s->start != STARTED)
		return;
	if (!busy)
		s->prefer = sender(s, from);
	what = refresh_notify(&s->refresh, has_serial, serial, s->env->now(), random32());
	note_hint(s, hint, hinted);
	if (what == REFRESH_NOTHING)
		s->env->counters->notifies_coalesced++;
	else
		s->env->counters->notifies_heeded++;
	act(s, what);
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
	forget_waiter(&s->after.waiters, ctx);
}

void secondary_refresh(struct secondary *s, secondary_waiter *call, void *ctx)
{
	wait_for(s, &s->waiters, call, ctx);
	lift(s);
	if (s->start == NOT_STARTED)
		s->start = MUST_ASK;
	if (s->round.conf || s->start != STARTED)
		return;
	s->refresh.timer = s->env->now();
	event(s, REFRESH_TIMER);
}

static size_t remote_of_name(const struct secondary *s, const char *name)
{
	for (size_t i = 0; name && i < s->conf->remote_count; i++)
		if (strcmp(s->conf->remotes[i].name, name) == 0)
			return i;
	return SIZE_MAX;
}

/* The transfer under way is what is wanted. */
static bool will_do(const struct secondary *s, bool full, size_t from)
{
	const struct round *r = &s->round;

	if (full && !r->full)
		return false;
	return from == SIZE_MAX || (r->conf == s->conf && !r->asking && r->turn < r->conf->remote_count && r->order[r->turn] == from);
}

void secondary_transfer(struct secondary *s, bool full, const char *from, secondary_waiter *call, void *ctx)
{
	size_t remote = remote_of_name(s, from);
	bool under_way = s->refresh.state == REFRESH_TRANSFER, joins = under_way && will_do(s, full, remote);

	wait_for(s, under_way && !joins ? &s->after.waiters : &s->waiters, call, ctx);
	lift(s);
	if (joins)
		return;
	if (under_way) {
		s->after.full = full || (s->after.wanted && s->after.full);
		if (remote != SIZE_MAX || !s->after.wanted)
			s->after.prefer = remote;
		s->after.wanted = true;
		return;
	}
	s->next_full = full;
	if (remote != SIZE_MAX)
		s->prefer = remote;
	if (s->start == STARTED)
		event(s, REFRESH_FORCED);
	else
		s->start = MUST_PULL;
}

bool secondary_progress(const struct secondary *s, uint64_t *records, uint64_t *bytes)
{
	*records = *bytes = 0;
	if (s->fetch)
		fetch_progress(s->fetch, records, bytes);
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
	*out = (struct secondary_status){.refresh = s->refresh, .rejected = s->rejected, .last = s->last,
		.views = s->conf->remote_count};
	if (s->refresh.loaded)
		best_of(out, s->refresh.serial, true, 0);
	for (size_t i = 0; i < s->conf->remote_count; i++)
		if (s->views[i].has_serial)
			best_of(out, s->views[i].serial, false, s->views[i].since);
	if (s->refresh.hinted)
		best_of(out, s->refresh.hint, false, s->hint_since);
	out->primary = s->primary[0] ? s->primary : NULL;
	if (s->last_error[0]) {
		out->last_error = s->last_error;
		out->last_error_primary = s->last_error_primary[0] ? s->last_error_primary : NULL;
		out->last_error_at = s->last_error_at;
	}
}

void secondary_view(const struct secondary *s, size_t i, struct secondary_view *out)
{
	const struct view *v = &s->views[i];

	*out = (struct secondary_view){&s->conf->remotes[i], v->asked, v->healthy, v->has_serial, v->serial, v->at, v->error};
}

void secondary_set_primary(struct secondary *s, const char *name)
{
	snprintf(s->primary, sizeof s->primary, "%s", name);
}
