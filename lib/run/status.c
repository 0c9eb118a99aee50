#include "run/status.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static json_t *text_or_null(const char *text)
{
	return text ? json_string(text) : json_null();
}

/* "2026-11-21T19:00:00Z" */
static void put_time(struct jot *j, const char *name, int64_t unix_time)
{
	time_t t = (time_t)unix_time;
	char text[32];
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
	jot_text(j, name, text);
}

static void put_int(struct jot *j, const char *name, bool has, int64_t value)
{
	if (has)
		jot_int(j, name, value);
	else
		jot_null(j, name);
}

static void put_addresses(struct jot *j, const struct secondary_remote *remote)
{
	char text[NET_ADDR_TEXT];

	jot_text(j, "address", remote->address_count ? net_addr_text(&remote->addresses[0], 0, text) : "");
	jot_open(j, "addresses", '[');
	for (size_t i = 0; i < remote->address_count; i++)
		jot_text(j, NULL, net_addr_text(&remote->addresses[i], 0, text));
	jot_close(j, ']');
}

static void put_last_transfer(struct jot *j, const struct secondary_last *last, int64_t now)
{
	jot_json(j, "last_transfer", !last->has ? NULL :
		json_pack("{s:s, s:I, s:I, s:f, s:I}", "type", last->incremental ? "IXFR" : "AXFR", "records", (json_int_t)last->records,
		"bytes", (json_int_t)last->bytes, "seconds", last->ms / 1000.0, "age", (json_int_t)((now - last->at) / 1000)));
}

static void put_view(struct jot *j, const struct secondary *s, size_t i, int64_t now)
{
	struct secondary_view v;
	char text[NAME_TEXT_SIZE];

	secondary_view(s, i, &v);
	jot_open(j, NULL, '{');
	jot_text(j, "name", v.remote->name);
	put_addresses(j, v.remote);
	jot_bool(j, "tls", v.remote->tls != NULL);
	jot_text(j, "key", v.remote->key ? name_text(v.remote->key->name, text) : NULL);
	put_int(j, "serial", v.has_serial, v.serial.v);
	put_int(j, "age", v.asked, (now - v.at) / 1000);
	if (v.asked)
		jot_bool(j, "healthy", v.healthy);
	else
		jot_null(j, "healthy");
	jot_text(j, "error", v.error);
	jot_text(j, "health", peer_health_name(v.health));
	jot_int(j, "failures", v.failures);
	put_int(j, "held", v.health == PEER_HELD, v.until > now ? (v.until - now) / 1000 : 0);
	put_int(j, "refused", v.has_refused, v.refused.v);
	jot_close(j, '}');
}

/* In ms; 0: it is under way. */
static int64_t next_refresh(const struct refresh *r, int64_t now)
{
	bool busy = r->state == REFRESH_PROBE || r->state == REFRESH_TRANSFER;

	return !busy && r->timer > now ? r->timer - now : 0;
}

/* Times in seconds since 1970; the clock may have gone back. */
static void put_since(struct jot *j, const char *name, int64_t then, int64_t unix_now)
{
	put_int(j, name, then != 0, then < unix_now ? unix_now - then : 0);
}

/* What is told of a zone, looked up once. */
struct about {
	const struct status_env *env;
	const struct keep *keep;
	struct zone *served;         /* held; NULL: nothing */
	struct keep_state state;
	struct secondary_status st;
	struct catalogs_view members;
	bool has_members;
};

static void look(struct about *a, const struct status_env *env, const struct keep *k)
{
	*a = (struct about){.env = env, .keep = k, .served = keep_served(k)};
	keep_state(k, &a->state);
	if (keep_secondary(k))
		secondary_status(keep_secondary(k), &a->st);
	if (keep_wired(k)->set->catalog != CONF_CATALOG_NONE && env->catalogs)
		a->has_members = catalogs_view(env->catalogs, keep_name(k), &a->members);
}

/* The first that there is. */
static const char *why(const struct about *a)
{
	const char *reason = keep_secondary(a->keep) ? secondary_reason(&a->st) : a->state.error ? a->state.error : a->state.notice;

	if (!reason)
		reason = a->state.error;
	if (!reason && a->has_members)
		reason = a->members.error ? a->members.error : a->members.refused_why;
	if (!reason && a->state.held)
		reason = "on hold";
	return reason ? reason : watch_worst(a->env->watch, a->keep);
}

static void put_secondary(struct jot *j, const struct about *a)
{
	const struct secondary_status *st = &a->st;
	int64_t now = a->env->now;

	jot_text(j, "primary", st->primary);
	put_int(j, "age", st->refresh.loaded, (now - st->refresh.refreshed) / 1000);
	jot_int(j, "refresh", next_refresh(&st->refresh, now) / 1000);
	put_int(j, "expiry", st->refresh.loaded, st->refresh.expire_at > now ? (st->refresh.expire_at - now) / 1000 : 0);
	put_int(j, "best", st->has_best, st->best.v);
	if (st->has_best && !st->best_is_ours)
		jot_int(j, "best_age", (now - st->best_since) / 1000);
	else
		put_since(j, "best_age", a->served ? a->state.changed : 0, a->env->unix_now);
	put_last_transfer(j, &st->last, now);
}

static void put_file(struct jot *j, const struct about *a)
{
	jot_null(j, "primary");
	put_since(j, "age", a->state.loaded, a->env->unix_now);
	jot_null(j, "refresh");
	jot_null(j, "expiry");
	put_int(j, "best", a->served != NULL, a->served ? a->served->serial.v : 0);
	put_since(j, "best_age", a->served ? a->state.changed : 0, a->env->unix_now);
	jot_null(j, "last_transfer");
}

static void put_primaries(struct jot *j, const struct about *a)
{
	const struct secondary *s = keep_secondary(a->keep);
	const struct secondary_status *st = &a->st;

	if (s)
		jot_text(j, "activity", refresh_state_name(st->refresh.state));
	jot_open(j, "primaries", '[');
	for (size_t i = 0; s && i < st->views; i++)
		put_view(j, s, i, a->env->now);
	jot_close(j, ']');
	if (!s || !st->last_error) {
		jot_null(j, "last_failure");
		return;
	}
	jot_open(j, "last_failure", '{');
	put_time(j, "time", (int64_t)st->last_error_unix);
	jot_text(j, "primary", st->last_error_primary);
	jot_text(j, "reason", st->last_error);
	jot_close(j, '}');
}

/* Who wanted the zone to be here. */
static void put_origin(struct jot *j, const struct about *a)
{
	static const char *const word[] = {"config", "added", "catalog"};
	const struct roster_zone *known = keeper_origin(a->env->keeper, keep_name(a->keep));
	char text[NAME_TEXT_SIZE];

	jot_bool(j, "held", a->state.held);
	jot_text(j, "origin", word[known ? known->origin : ROSTER_CONF]);
	jot_text(j, "template", known ? known->template_name : NULL);
	jot_text(j, "catalog", known && known->catalog ? name_text(known->catalog, text) : NULL);
}

static void put_members(struct jot *j, const struct catalogs_view *v)
{
	jot_json(j, "members", json_pack("{s:I, s:I, s:o, s:o}", "members", (json_int_t)v->members, "refused", (json_int_t)v->refused,
		"refused_why", text_or_null(v->refused_why), "error", text_or_null(v->error)));
}

static const char *source_of(const struct keep *k)
{
	return keep_secondary(k) ? "transfer" : keep_wired(k)->set->catalog == CONF_CATALOG_PRODUCE ? "catalog" : "file";
}

/* What the zone is to show of its NS set, and does; NULL: nothing is said. */
static json_t *ns_set(const struct about *a)
{
	static const char *const mode[] = {"off", "warn", "require", "rewrite"};
	const struct wired *wired = keep_wired(a->keep);
	struct why why = {{0}};
	bool shown;

	if (wired->ns_mode == CONF_NS_OFF || !a->served)
		return NULL;
	shown = nsset_shown(&wired->ns_set, a->served);
	if (!shown)
		nsset_say(&wired->ns_set, a->served, &why);
	return json_pack("{s:s, s:b, s:b, s:b, s:o, s:o}", "mode", mode[wired->ns_mode], "as_configured", shown, "rewritten", a->state.rewritten,
		"ahead", a->state.ns_ahead, "finding", text_or_null(shown ? NULL : "NS-EXPECTED"), "message", text_or_null(shown ? NULL : why.text));
}

static void put_files(struct jot *j, const struct about *a)
{
	const struct keep_state *state = &a->state;
	int64_t unix_now = a->env->unix_now;

	put_int(j, "durable", state->durable_known, state->durable.v);
	put_int(j, "written", state->written_known, state->written.v);
	put_since(j, "written_age", state->written_known ? state->written_at : 0, unix_now);
	put_int(j, "notified", state->told, state->told_serial.v);
	put_since(j, "notified_age", state->told ? state->told_at : 0, unix_now);
	put_since(j, "changed", a->served ? state->changed : 0, unix_now);
	jot_text(j, "file", keep_path(a->keep));
	jot_text(j, "file_error", state->error);
	jot_json(j, "ns_set", ns_set(a));
	put_int(j, "records", a->served != NULL, a->served ? (int64_t)a->served->records : 0);
	put_int(j, "memory", a->served != NULL, a->served ? (int64_t)zone_memory(a->served) : 0);
}

static void put_rest(struct jot *j, const struct about *a, bool full)
{
	if (full) {
		put_primaries(j, a);
		jot_json(j, "check", watch_result(a->env->watch, keep_name(a->keep)));
	}
	if (a->has_members)
		put_members(j, &a->members);
	put_origin(j, a);
	put_files(j, a);
}

static void put_check(struct jot *j, const struct status_env *env, const struct keep *k)
{
	char name[NAME_TEXT_SIZE], pending[WATCH_TEXT];
	json_t *result;

	jot_open(j, NULL, '{');
	jot_text(j, "zone", name_text(keep_name(k), name));
	jot_bool(j, "catalog", keep_wired(k)->set->catalog != CONF_CATALOG_NONE);
	jot_int(j, "every", watch_every(k));
	result = watch_result(env->watch, keep_name(k));
	if (watch_every(k) && !json_is_object(result))
		jot_text(j, "pending", watch_pending(env->watch, keep_name(k), pending));
	jot_json(j, "check", result);
	jot_close(j, '}');
}

void status_zone(struct jot *j, const struct status_env *env, const struct keep *k, enum status_detail detail)
{
	char name[NAME_TEXT_SIZE];
	struct about a;

	if (detail == STATUS_CHECK) {
		put_check(j, env, k);
		return;
	}
	look(&a, env, k);
	jot_open(j, NULL, '{');
	jot_text(j, "zone", name_text(keep_name(k), name));
	put_int(j, "serial", a.served != NULL, a.served ? a.served->serial.v : 0);
	jot_text(j, "state", a.state.state);
	jot_text(j, "source", source_of(k));
	jot_text(j, "reason", why(&a));
	if (keep_secondary(k))
		put_secondary(j, &a);
	else
		put_file(j, &a);
	if (detail > STATUS_TABLE)
		put_rest(j, &a, detail == STATUS_FULL);
	jot_close(j, '}');
	zone_put(a.served);
}

json_t *status_storage(const struct keeper *all)
{
	struct copies_health health;

	keeper_health(all, &health);
	return json_pack("{s:s, s:o, s:o}", "state", health.database[0] || health.log[0] ? "degraded" : "ok",
		"database_error", text_or_null(health.database[0] ? health.database : NULL),
		"log_error", text_or_null(health.log[0] ? health.log : NULL));
}

static const char *const words[STATUS_WORDS] = {"ok", "refreshing", "lagging", "stale", "rejected", "expired", "empty", "held"};

void status_count(struct status_sum *sum, const struct keep *k)
{
	struct keep_state state;

	keep_state(k, &state);
	sum->zones++;
	for (size_t w = 0; w < STATUS_WORDS; w++)
		sum->count[w] += strcmp(state.state, words[w]) == 0;
}

json_t *status_summary(const struct status_sum *sum)
{
	json_t *o = json_pack("{s:I}", "zones", (json_int_t)sum->zones);

	for (size_t w = 0; w < STATUS_WORDS; w++)
		json_object_set_new(o, words[w], json_integer((json_int_t)sum->count[w]));
	return o;
}

#define ADD(name) json_object_set_new(o, #name, json_integer((json_int_t)c->name));

static json_t *storage_part(const struct keeper *all)
{
	struct copies_health health, *c = &health;
	json_t *o = json_object();

	keeper_health(all, &health);
	ADD(commits)
	ADD(failed)
	ADD(begun_anew)
	ADD(damaged)
	return o;
}

static json_t *serve_part(const struct serve_counters *c)
{
	json_t *o = json_object();

	SERVE_COUNTERS(ADD)
	return o;
}

static json_t *xfer_part(const struct secondary_counters *c)
{
	json_t *o = json_object();

	SECONDARY_COUNTERS(ADD)
	return o;
}

static json_t *file_part(const struct keep_counters *c)
{
	json_t *o = json_object();

	ADD(files_written)
	ADD(files_failed)
	ADD(files_missing)
	ADD(files_damaged)
	ADD(files_edited)
	ADD(files_mended)
	ADD(loads)
	ADD(loads_failed)
	return o;
}

static json_t *catalog_part(const struct catalogs_counters *c)
{
	json_t *o = json_object();

	ADD(versions)
	ADD(broken)
	ADD(added)
	ADD(removed)
	ADD(reset)
	ADD(refused)
	ADD(made)
	return o;
}

static json_t *judge_part(const struct judge_counters *c)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "judged", (json_int_t)c->judged, "refused_ns_set",
		(json_int_t)c->refused_ns_set, "refused_zonemd", (json_int_t)c->refused_zonemd,
		"refused_dnssec", (json_int_t)c->refused_dnssec, "refused_change", (json_int_t)c->refused_change,
		"refused_command", (json_int_t)c->refused_command);
}

static json_t *check_part(const struct watch_counters *c)
{
	json_t *o = json_object();

	WATCH_COUNTERS(ADD)
	return o;
}

json_t *status_counters(const struct status_env *env, const struct serve_counters *serve)
{
	const struct keeper *all = env->keeper;
	const struct keep_counters *c = keeper_counters(all);

	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "serve", serve_part(serve), "transfer", xfer_part(&c->xfer),
		"files", file_part(c), "storage", storage_part(all), "catalogs", catalog_part(catalogs_counters(env->catalogs)),
		"checks", check_part(watch_counters(env->watch)),
		"versions", judge_part(keeper_judge_counters(all)),
		"notify", json_pack("{s:I, s:I}", "answered", (json_int_t)c->notifies_out, "failed", (json_int_t)c->notifies_failed));
}
