#include "xfer/round.h"

#include "base/log.h"
#include "xfer/view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct secondary_remote *round_remote(const struct round *r)
{
	return &r->conf->remotes[r->order[r->turn]];
}

/* --- the log -------------------------------------------------------------------- */

static void log_head(struct log *log, const struct round *r, enum log_level level, const char *what, enum fetch_transport transport)
{
	const struct secondary_remote *remote = round_remote(r);
	char text[NAME_TEXT_SIZE];

	log_begin(log, level, what);
	log_str(log, "zone", name_text(r->name, text));
	log_str(log, "primary", remote->name);
	log_str(log, "address", net_addr_text(&remote->addresses[r->address], 0, text));
	log_str(log, "transport", fetch_transport_name(transport));
	log_str(log, "key", remote->key ? name_text(remote->key->name, text) : "none");
}

static void log_outcome(struct log *log, const struct fetch_result *result, const char *outcome)
{
	log_seconds(log, "seconds", result->ms);
	log_str(log, "outcome", outcome);
	if (result->reason)
		log_str(log, "reason", result->reason);
	if (result->why.text[0])
		log_str(log, "why", result->why.text);
	log_end(log);
}

static void log_probe(const struct round *r, const struct fetch_result *result, bool worth_it)
{
	enum log_level level = result->outcome == FETCH_OK || !worth_it ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO;
	struct log log;

	if (!log_wants(level))
		return;
	log_head(&log, r, level, "probe", result->transport);
	if (result->has_serial)
		log_int(&log, "serial", result->serial.v);
	log_outcome(&log, result, fetch_outcome_name(result->outcome));
}

static void log_transfer(const struct round *r, const struct fetch_result *result, enum log_level level, const char *outcome)
{
	struct log log;

	if (!log_wants(level))
		return;
	log_head(&log, r, level, "transfer", result->transport);
	log_str(&log, "asked", r->ixfr ? "IXFR" : "AXFR");
	log_str(&log, "got", result->outcome == FETCH_CURRENT ? "current" : !result->records ? "nothing" :
		result->incremental ? "IXFR" : "AXFR");
	if (r->zone->refresh.loaded)
		log_int(&log, "old", r->zone->refresh.serial.v);
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
static void log_no_version(const struct round *r, const struct fetch_result *result, bool worth_it)
{
	enum log_level level = !worth_it ? LOG_LEVEL_DEBUG : result->outcome == FETCH_CURRENT ? LOG_LEVEL_NOTICE : LOG_LEVEL_WARNING;

	log_transfer(r, result, level, fetch_outcome_name(result->outcome));
}

/* What became of the version that is pending; `why` NULL: nothing is wrong with that. Of several calls the first counts. */
static void log_fate(struct round *r, const char *outcome, const char *why)
{
	struct fetch_result *came = r->came;

	r->came = NULL;
	if (!came)
		return;
	if (why)
		err_why(&came->why, ERR_OK, "%s", why);
	log_transfer(r, came, why ? LOG_LEVEL_WARNING : LOG_LEVEL_NOTICE, outcome);
	free(came);
}

/* --- where it is, and what is known there ----------------------------------------- */

static bool may_ixfr(const struct round *r)
{
	const struct standing *z = r->zone;

	return z->version && r->conf->ixfr && !r->wish.full && !r->accept_older && !r->axfr_here && !z->refresh.expired &&
		!(z->views && r->conf == z->conf && z->views[r->order[r->turn]].ixfr_broken);
}

/* The view of whom we are at; NULL: the settings were replaced meanwhile. */
static struct view *view_here(struct round *r)
{
	return r->conf == r->zone->conf ? standing_view(r->zone, r->order[r->turn]) : NULL;
}

static void note_view(struct round *r, const struct fetch_result *result)
{
	bool good = result->outcome == FETCH_OK || result->outcome == FETCH_CURRENT;
	bool healthy = result->outcome != FETCH_NETWORK && result->outcome != FETCH_TSIG_FAILED;
	struct view *v = view_here(r);

	if (!v)
		return;
	view_asked(v, r->zone->env->now(), healthy, good ? NULL : result->why.text);
	v->ixfr_broken = result->outcome == FETCH_NETWORK && result->records && r->ixfr;
	if (result->has_serial)
		view_shows(v, result->serial, r->zone->env->now());
}

/* What it offers was refused for what it holds: not again, for a while. */
static void note_refused(struct round *r, bool has_serial, struct serial serial)
{
	struct view *v = has_serial ? view_here(r) : NULL;

	r->refused = true;
	if (!v)
		return;
	view_refuse(v, serial, r->zone->env->now());
	refresh_unhint(&r->zone->refresh, serial);
}

static bool was_refused(const struct round *r, struct serial serial)
{
	return r->conf == r->zone->conf && standing_refuses(r->zone, r->order[r->turn], serial);
}

static enum primary_lane lane_of(const struct round *r)
{
	return r->wish.asking ? LANE_PROBES : LANE_TRANSFERS;
}

struct remote_ask round_ask(const struct round *r)
{
	return (struct remote_ask){.lane = lane_of(r), .now = r->zone->env->now(), .forced = r->wish.forced, .since = r->started};
}

/* Goes to the next address that may be asked, here or at the next primary. False: there is none any more. */
static bool find_address(struct round *r)
{
	struct remote_ask ask = round_ask(r);

	for (; r->turn < r->count; r->turn++) {
		for (; r->address < round_remote(r)->address_count; r->address++)
			if (remote_may_ask(round_remote(r), r->address, &ask))
				return true;
		r->address = 0;
		r->axfr_here = false;
	}
	return false;
}

static void on_heard(void *ctx, enum fetch_transport transport)
{
	struct round *r = ctx;

	r->late = false;
	primary_answers(&r->ticket);
	if (remote_heard(round_remote(r), r->address, transport != FETCH_UDP, r->zone->env->now()))
		r->zone->env->counters->primaries_back++;
}

static void on_late(void *ctx)
{
	struct round *r = ctx;
	struct remote_ask ask = round_ask(r);

	r->late = true;
	primary_late(&r->ticket);
	remote_late(round_remote(r), r->address, &ask, r->began);
}

/* The exchange is over. True: it is worth a line in the log; the failures of an address that is known not to answer are not. */
static bool report(struct round *r, const struct fetch_result *result)
{
	struct remote_ask ask = round_ask(r);

	if (result->outcome != FETCH_NETWORK || result->heard || result->ours)
		return true;
	if (!remote_failed(round_remote(r), r->address, &ask, r->began, net_random32(), result->why.text))
		return r->wish.forced;
	r->zone->env->counters->primaries_lost++;
	return true;
}

/* --- one exchange after the other ----------------------------------------------- */

static void next_remote(struct round *r)
{
	r->turn++;
	r->address = 0;
	r->axfr_here = false;
}

static void next_address(struct round *r)
{
	r->axfr_here = false;
	if (++r->address >= round_remote(r)->address_count)
		next_remote(r);
}

static void go_on(struct round *);
static void ask_done(void *ctx, struct fetch_result *);
static void pull_done(void *ctx, struct fetch_result *);

static void fill_ask(struct round *r, enum fetch_kind kind, struct fetch_ask *ask)
{
	const struct secondary_remote *remote = round_remote(r);

	*ask = (struct fetch_ask){
		.kind = kind,
		.stream_only = r->conf->stream_only,
		.zone = r->name,
		.to = remote->addresses[r->address],
		.key = remote->key,
		.tls = remote->tls,
		.base = r->zone->version,
		.limits = r->conf->limits,
		.times = r->conf->times,
		.links = r->zone->env->links,
		.peer = remote_peer(remote, r->address),
		.late = on_late,
		.heard = on_heard,
		.now = r->zone->env->now,
		.unix_time = r->zone->env->unix_time,
	};
}

/* The place is ours. The time that an exchange may take begins now. */
static void start(struct round *r)
{
	struct fetch_ask ask;

	r->ixfr = !r->wish.asking && may_ixfr(r);
	fill_ask(r, r->wish.asking ? FETCH_SOA : r->ixfr ? FETCH_IXFR : FETCH_AXFR, &ask);
	r->began = r->zone->env->now();
	r->late = false;
	r->tried = true;
	if (ask.peer)
		peer_begin(ask.peer, lane_of(r), r->began);
	if (!r->wish.survey) {
		refresh_begun(&r->zone->refresh, r->began);
		r->hooks->timed(r);
	}
	r->fetch = fetch_start(r->zone->env->loop, &ask, r->wish.asking ? ask_done : pull_done, r);
	if (!r->fetch)
		r->hooks->ended(r, ROUND_NO_MEMORY);
}

/* Meanwhile the primary may have died. */
static void place_turn(struct primary_ticket *ticket, enum primary_turn turn)
{
	struct round *r = (struct round *)((char *)ticket - offsetof(struct round, ticket));
	struct remote_ask ask = round_ask(r);

	if (turn == TURN_PLACE && remote_may_ask(round_remote(r), r->address, &ask)) {
		start(r);
		return;
	}
	primary_leave(ticket);
	go_on(r);
}

static void enter(struct round *r)
{
	if (primary_enter(round_remote(r)->primary, lane_of(r), &r->ticket, place_turn))
		start(r);
}

/* --- asking for serials --------------------------------------------------------- */

static void begin_pull(struct round *r)
{
	r->wish.asking = false;
	r->turn = 0;
	r->address = r->best_address;
	r->axfr_here = false;
	go_on(r);
}

/* The primary with something for us goes to the front, and is pulled from. */
static void found_newer(struct round *r)
{
	size_t best = r->order[r->best];

	memmove(r->order + 1, r->order, r->best * sizeof *r->order);
	r->order[0] = best;
	refresh_event(&r->zone->refresh, REFRESH_NEWER, r->zone->env->now(), net_random32());
	r->hooks->timed(r);
	begin_pull(r);
}

static void all_asked(struct round *r)
{
	if (r->wish.survey)
		r->hooks->ended(r, ROUND_LOOKED);
	else if (r->has_best)
		found_newer(r);
	else if (r->same_seen)
		r->hooks->ended(r, ROUND_SAME);
	else
		r->hooks->ended(r, ROUND_FAILED);
}

enum offer { OFFER_TAKE, OFFER_SAME, OFFER_OLDER };

static enum offer judge(const struct round *r, struct serial serial)
{
	enum secondary_rollback rollback = r->conf->rollback;
	bool any = rollback == ROLLBACK_ACCEPT || (rollback == ROLLBACK_AFTER_EXPIRE && r->zone->refresh.expired);

	if (!r->zone->refresh.loaded)
		return OFFER_TAKE;
	switch (serial_compare(serial, r->zone->refresh.serial)) {
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

static void note_older(struct round *r, struct serial serial)
{
	char text[200];

	snprintf(text, sizeof text, "its serial %u is older than ours, %u (see `rollback`)", serial.v, r->zone->refresh.serial.v);
	standing_error(r->zone, round_remote(r)->name, text);
}

/* What was refused a short while ago is not fetched again. */
static bool offers_refused(struct round *r, struct serial serial)
{
	if (!was_refused(r, serial))
		return false;
	r->refused = true;
	r->zone->env->counters->refused_again++;
	refresh_unhint(&r->zone->refresh, serial);
	return true;
}

/* A serial was shown. True: the asking is over. */
static bool weigh(struct round *r, struct serial serial)
{
	switch (judge(r, serial)) {
	case OFFER_TAKE:
		if (offers_refused(r, serial))
			return false;
		r->accept_older |= r->zone->refresh.loaded && !serial_newer(serial, r->zone->refresh.serial);
		if (!r->has_best || serial_newer(serial, r->best_serial)) {
			r->has_best = true;
			r->best = r->turn;
			r->best_address = r->address;
			r->best_serial = serial;
		}
		return !r->conf->newest;
	case OFFER_SAME:
		r->same_seen = true;
		return !r->conf->newest && !(r->zone->refresh.hinted && serial_newer(r->zone->refresh.hint, serial));
	case OFFER_OLDER:
		note_older(r, serial);
		return false;
	}
	return false;
}

static void asked(struct round *r, const struct fetch_result *result)
{
	bool over;

	if (result->outcome == FETCH_OK && !r->wish.survey) {
		over = weigh(r, result->serial);
		next_remote(r);
		if (over)
			r->turn = r->count;
		return;
	}
	if (result->outcome != FETCH_OK && !r->wish.survey)
		standing_error(r->zone, round_remote(r)->name, result->why.text);
	if (result->outcome == FETCH_NETWORK)
		next_address(r);
	else
		next_remote(r);
}

static void ask_done(void *ctx, struct fetch_result *result)
{
	struct round *r = ctx;

	r->fetch = NULL;
	r->late = false;
	primary_leave(&r->ticket);
	note_view(r, result);
	log_probe(r, result, report(r, result));
	r->zone->env->counters->probes++;
	r->zone->env->counters->exchanges_kept += result->kept;
	r->zone->env->counters->probes_failed += result->outcome != FETCH_OK;
	if (result->outcome == FETCH_OK)
		refresh_given(&r->zone->refresh, result->has_expire, result->expire);
	asked(r, result);
	go_on(r);
}

/* --- pulling -------------------------------------------------------------------- */

static void all_pulled(struct round *r)
{
	if (r->same_seen)
		r->hooks->ended(r, ROUND_SAME);
	else
		r->hooks->ended(r, ROUND_FAILED);
}

static void go_on(struct round *r)
{
	if (find_address(r))
		enter(r);
	else if (r->wish.asking)
		all_asked(r);
	else
		all_pulled(r);
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
static void offer_version(struct round *r, struct fetch_result *result)
{
	struct zone *version = result->version;

	r->came = malloc(sizeof *r->came);
	if (!r->came) {
		r->hooks->ended(r, ROUND_NO_MEMORY);
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
	r->hooks->version(r, version);
}

/* A version came. Whether it is wanted is decided once more, by its own serial. */
static void take_version(struct round *r, struct fetch_result *result)
{
	enum offer offer = r->wish.full ? OFFER_TAKE : judge(r, result->version->serial);

	r->outcome.primary = primary_name(round_remote(r)->primary);
	switch (offer) {
	case OFFER_TAKE:
		offer_version(r, result);
		break;
	case OFFER_SAME:
		log_transfer(r, result, LOG_LEVEL_NOTICE, fetch_outcome_name(FETCH_CURRENT));
		r->hooks->ended(r, ROUND_SAME);
		break;
	case OFFER_OLDER:
		note_older(r, result->version->serial);
		err_why(&result->why, ERR_OK, "%s", standing_last_error(r->zone) ? standing_last_error(r->zone) : "");
		log_transfer(r, result, LOG_LEVEL_WARNING, fetch_outcome_name(FETCH_BACK));
		next_remote(r);
		go_on(r);
		break;
	}
}

static void refused(struct round *r, const struct fetch_result *result)
{
	if (result->records > 0)
		standing_reject(r->zone, result->why.text);
	if (result->axfr_may_help) {
		r->refused |= result->records > 0;
		r->axfr_here = true;
		return;
	}
	if (result->records > 0)
		note_refused(r, result->has_serial, result->serial);
	next_remote(r);
}

static void pull_failed(struct round *r, const struct fetch_result *result)
{
	standing_error(r->zone, round_remote(r)->name, result->why.text);
	switch (result->outcome) {
	case FETCH_NETWORK:
		next_address(r);
		break;
	case FETCH_PROTOCOL:
		refused(r, result);
		break;
	case FETCH_BACK:
		r->accept_older = judge(r, result->serial) == OFFER_TAKE;
		if (r->accept_older)
			break;       /* by AXFR, there */
		note_older(r, result->serial);
		next_remote(r);
		break;
	case FETCH_OK: case FETCH_CURRENT: case FETCH_TSIG_FAILED: case FETCH_NO_MEMORY:
		next_remote(r);
		break;
	}
	go_on(r);
}

/* The one that was asked for its serial a moment ago showed more than its answer to IXFR does: it is several machines, or its
 * differences lag behind. What it showed stays known, and AXFR decides. */
static bool contradicts_its_probe(const struct round *r, const struct fetch_result *result)
{
	return result->outcome == FETCH_CURRENT && r->has_best && r->turn == 0;
}

static void note_contradiction(struct round *r)
{
	char text[200];

	snprintf(text, sizeof text, "it showed serial %u, but has no differences from ours, %u", r->best_serial.v, r->zone->refresh.serial.v);
	standing_error(r->zone, round_remote(r)->name, text);
}

/* It has what we have. If more was announced, others may have it. */
static void pulled_same(struct round *r, struct serial serial)
{
	r->outcome.primary = primary_name(round_remote(r)->primary);
	r->same_seen = true;
	if (!r->wish.forced && r->zone->refresh.hinted && serial_newer(r->zone->refresh.hint, serial) && r->turn + 1 < r->count) {
		next_remote(r);
		go_on(r);
	} else {
		r->hooks->ended(r, ROUND_SAME);
	}
}

static void pull_done(void *ctx, struct fetch_result *result)
{
	struct round *r = ctx;
	bool worth_it;

	r->fetch = NULL;
	r->late = false;
	primary_leave(&r->ticket);
	worth_it = report(r, result);
	if (result->outcome != FETCH_OK)
		log_no_version(r, result, worth_it);
	count_transfer(r->zone->env->counters, result);
	r->zone->env->counters->exchanges_kept += result->kept;
	if (contradicts_its_probe(r, result)) {
		note_contradiction(r);
		r->axfr_here = true;
		go_on(r);
		return;
	}
	note_view(r, result);
	if (result->outcome == FETCH_OK || result->outcome == FETCH_CURRENT)
		refresh_given(&r->zone->refresh, result->has_expire, result->expire);
	if (result->outcome == FETCH_OK)
		take_version(r, result);
	else if (result->outcome == FETCH_CURRENT)
		pulled_same(r, result->serial);
	else
		pull_failed(r, result);
}

static bool is_ours(enum err err)
{
	return err == ERR_IO || err == ERR_NOSPACE || err == ERR_NOMEM || err == ERR_ORDER;
}

/* What differences led to may be wrong for a mistake in them, or in what they were applied to: the whole zone decides. */
void round_not_published(struct round *r, enum err err, const struct why *why)
{
	struct serial serial = r->pending->serial;
	const char *text = err_say(why, err);

	zone_put(r->pending);
	r->pending = NULL;
	standing_error(r->zone, round_remote(r)->name, text);
	log_fate(r, is_ours(err) ? "not-kept" : "refused", text);
	if (is_ours(err)) {
		r->hooks->ended(r, ROUND_FAILED);
		return;
	}
	standing_reject(r->zone, text);
	r->zone->env->counters->transfers_refused++;
	if (err == ERR_ZONE && r->outcome.incremental) {
		r->refused = true;
		r->axfr_here = true;
	} else {
		note_refused(r, true, serial);
		next_remote(r);
	}
	go_on(r);
}

void round_publishing(struct round *r)
{
	log_fate(r, fetch_outcome_name(FETCH_OK), NULL);
}

/* --- the whole ------------------------------------------------------------------ */

struct round *round_new(struct standing *z, const uint8_t *name, const struct round_hooks *hooks, void *owner, const struct round_wish *wish)
{
	struct round *r = calloc(1, sizeof *r + (z->conf->remote_count + 1) * sizeof *r->order);

	if (!r)
		return NULL;
	r->zone = z;
	r->name = name;
	r->hooks = hooks;
	r->owner = owner;
	r->conf = secondary_conf_hold(z->conf);
	r->wish = *wish;
	r->started = z->env->now();
	r->outcome = (struct secondary_outcome){.had_serial = z->refresh.loaded, .old = z->refresh.serial};
	return r;
}

void round_go(struct round *r)
{
	go_on(r);
}

/* A version that is pending is lost. */
void round_free(struct round *r)
{
	if (!r)
		return;
	log_fate(r, "given-up", NULL);
	fetch_cancel(r->fetch);
	zone_put(r->pending);
	primary_leave(&r->ticket);
	secondary_conf_drop(r->conf);
	free(r);
}
