#include "run/status.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* "2026-11-21T19:00:00Z" */
static json_t *status_time(int64_t unix_time)
{
	time_t t = (time_t)unix_time;
	char text[32];
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
	return json_string(text);
}

static json_t *serial_or_null(bool has, struct serial serial)
{
	return has ? json_integer(serial.v) : json_null();
}

static json_t *text_or_null(const char *text)
{
	return text ? json_string(text) : json_null();
}

/* Whole seconds, rounded down. */
static json_t *seconds(int64_t ms)
{
	return json_integer(ms / 1000);
}

static json_t *addresses_of(const struct secondary_remote *remote)
{
	json_t *list = json_array();
	char text[NET_ADDR_TEXT];

	for (size_t i = 0; i < remote->address_count; i++)
		json_array_append_new(list, json_string(net_addr_text(&remote->addresses[i], 0, text)));
	return list;
}

static json_t *last_transfer(const struct secondary_last *last, int64_t now)
{
	if (!last->has)
		return json_null();
	return json_pack("{s:s, s:I, s:I, s:f, s:I}", "type", last->incremental ? "IXFR" : "AXFR", "records", (json_int_t)last->records,
		"bytes", (json_int_t)last->bytes, "seconds", last->ms / 1000.0, "age", (json_int_t)((now - last->at) / 1000));
}

static json_t *view(const struct secondary *s, size_t i, int64_t now)
{
	struct secondary_view v;
	char address[NET_ADDR_TEXT], text[NAME_TEXT_SIZE];
	json_t *o = json_object();

	secondary_view(s, i, &v);
	json_object_set_new(o, "name", json_string(v.remote->name));
	json_object_set_new(o, "address", json_string(v.remote->address_count ? net_addr_text(&v.remote->addresses[0], 0, address) : ""));
	json_object_set_new(o, "addresses", addresses_of(v.remote));
	json_object_set_new(o, "tls", json_boolean(v.remote->tls != NULL));
	json_object_set_new(o, "key", text_or_null(v.remote->key ? name_text(v.remote->key->name, text) : NULL));
	json_object_set_new(o, "serial", serial_or_null(v.has_serial, v.serial));
	json_object_set_new(o, "age", v.asked ? seconds(now - v.at) : json_null());
	json_object_set_new(o, "healthy", v.asked ? json_boolean(v.healthy) : json_null());
	json_object_set_new(o, "error", text_or_null(v.error));
	json_object_set_new(o, "health", json_string(peer_health_name(v.health)));
	json_object_set_new(o, "failures", json_integer(v.failures));
	json_object_set_new(o, "held", v.health == PEER_HELD ? seconds(v.until > now ? v.until - now : 0) : json_null());
	json_object_set_new(o, "refused", serial_or_null(v.has_refused, v.refused));
	return o;
}

/* 0: it is under way. */
static json_t *next_refresh(const struct refresh *r, int64_t now)
{
	bool busy = r->state == REFRESH_PROBE || r->state == REFRESH_TRANSFER;

	return seconds(!busy && r->timer > now ? r->timer - now : 0);
}

/* What went wrong, as far as it still counts: nothing has gone well since, or it is why a newer serial is not here. */
static const char *reason_of(const struct secondary_status *st)
{
	bool lags = st->has_best && !st->best_is_ours;

	if (st->rejected)
		return st->rejected;
	if (!st->refresh.loaded || st->last_error_at >= st->refresh.refreshed || (lags && st->last_error_at >= st->best_since))
		return st->last_error;
	return NULL;
}

static void add_secondary(json_t *o, const struct keep *k, int64_t now, int64_t unix_now, bool full)
{
	const struct secondary *s = keep_secondary(k);
	struct secondary_status st;
	json_t *list;

	secondary_status(s, &st);
	json_object_set_new(o, "reason", text_or_null(reason_of(&st)));
	json_object_set_new(o, "primary", text_or_null(st.primary));
	json_object_set_new(o, "age", st.refresh.loaded ? seconds(now - st.refresh.refreshed) : json_null());
	json_object_set_new(o, "refresh", next_refresh(&st.refresh, now));
	json_object_set_new(o, "expiry", !st.refresh.loaded ? json_null() :
		seconds(st.refresh.expire_at > now ? st.refresh.expire_at - now : 0));
	json_object_set_new(o, "best", serial_or_null(st.has_best, st.best));
	json_object_set_new(o, "best_age", !st.has_best || st.best_is_ours ? json_null() : seconds(now - st.best_since));
	json_object_set_new(o, "last_transfer", last_transfer(&st.last, now));
	if (!full)
		return;
	json_object_set_new(o, "activity", json_string(refresh_state_name(st.refresh.state)));
	list = json_array();
	for (size_t i = 0; i < st.views; i++)
		json_array_append_new(list, view(s, i, now));
	json_object_set_new(o, "primaries", list);
	json_object_set_new(o, "last_failure", st.last_error ? json_pack("{s:o, s:o, s:s}",
		"time", status_time(unix_now - (now - st.last_error_at) / 1000),
		"primary", text_or_null(st.last_error_primary), "reason", st.last_error) : json_null());
}

/* Times in seconds since 1970; the clock may have gone back. */
static json_t *since(int64_t then, int64_t unix_now)
{
	return !then ? json_null() : json_integer(then < unix_now ? unix_now - then : 0);
}

static void add_file(json_t *o, const struct keep_state *state, const struct zone *served, int64_t unix_now, bool full)
{
	json_object_set_new(o, "reason", text_or_null(state->error ? state->error : state->notice));
	json_object_set_new(o, "primary", json_null());
	json_object_set_new(o, "age", since(state->loaded, unix_now));
	json_object_set_new(o, "refresh", json_null());
	json_object_set_new(o, "expiry", json_null());
	json_object_set_new(o, "best", serial_or_null(served != NULL, served ? served->serial : (struct serial){0}));
	json_object_set_new(o, "best_age", json_null());
	json_object_set_new(o, "last_transfer", json_null());
	if (full) {
		json_object_set_new(o, "primaries", json_array());
		json_object_set_new(o, "last_failure", json_null());
	}
}

/* Who wanted the zone to be here. */
static void add_origin(json_t *o, const struct status_env *env, const struct keep *k, const struct keep_state *state)
{
	static const char *const word[] = {"config", "added", "catalog"};
	const struct roster_zone *known = keeper_origin(env->keeper, keep_name(k));
	char text[NAME_TEXT_SIZE];

	json_object_set_new(o, "held", json_boolean(state->held));
	json_object_set_new(o, "origin", json_string(word[known ? known->origin : ROSTER_CONF]));
	json_object_set_new(o, "template", text_or_null(known ? known->template_name : NULL));
	json_object_set_new(o, "catalog", text_or_null(known && known->catalog ? name_text(known->catalog, text) : NULL));
}

static void set_reason(json_t *o, const char *text)
{
	if (text && json_is_null(json_object_get(o, "reason")))
		json_object_set_new(o, "reason", json_string(text));
}

static void add_members(json_t *o, const struct status_env *env, const struct keep *k)
{
	struct catalogs_view v;

	if (keep_wired(k)->set->catalog == CONF_CATALOG_NONE || !env->catalogs || !catalogs_view(env->catalogs, keep_name(k), &v))
		return;
	json_object_set_new(o, "members", json_pack("{s:I, s:I, s:o, s:o}", "members", (json_int_t)v.members, "refused", (json_int_t)v.refused,
		"refused_why", text_or_null(v.refused_why), "error", text_or_null(v.error)));
	set_reason(o, v.error);
	set_reason(o, v.refused_why);
}

static const char *source_of(const struct keep *k)
{
	return keep_secondary(k) ? "transfer" : keep_wired(k)->set->catalog == CONF_CATALOG_PRODUCE ? "catalog" : "file";
}

/* What the zone is to show of its NS set, and does; NULL: nothing is said. */
static json_t *ns_set(const struct keep *k, const struct keep_state *state, struct zone *served)
{
	static const char *const mode[] = {"off", "warn", "require", "rewrite"};
	const struct wired *wired = keep_wired(k);
	struct why why = {{0}};
	bool shown;

	if (wired->ns_mode == CONF_NS_OFF || !served)
		return json_null();
	shown = nsset_shown(&wired->ns_set, served);
	if (!shown)
		nsset_say(&wired->ns_set, served, &why);
	return json_pack("{s:s, s:b, s:b, s:b, s:o, s:o}", "mode", mode[wired->ns_mode], "as_configured", shown, "rewritten", state->rewritten,
		"ahead", state->ns_ahead, "finding", text_or_null(shown ? NULL : "NS-EXPECTED"), "message", text_or_null(shown ? NULL : why.text));
}

json_t *status_zone(const struct status_env *env, const struct keep *k, bool full)
{
	struct zone *served = keep_served(k);
	struct keep_state state;
	char name[NAME_TEXT_SIZE];
	json_t *o = json_object();

	keep_state(k, &state);
	json_object_set_new(o, "zone", json_string(name_text(keep_name(k), name)));
	json_object_set_new(o, "serial", serial_or_null(served != NULL, served ? served->serial : (struct serial){0}));
	json_object_set_new(o, "state", json_string(state.state));
	json_object_set_new(o, "source", json_string(source_of(k)));
	if (keep_secondary(k))
		add_secondary(o, k, env->now, env->unix_now, full);
	else
		add_file(o, &state, served, env->unix_now, full);
	set_reason(o, state.error);
	add_members(o, env, k);
	if (state.held)
		set_reason(o, "on hold");
	add_origin(o, env, k, &state);
	json_object_set_new(o, "durable", serial_or_null(state.durable_known, state.durable));
	json_object_set_new(o, "written", serial_or_null(state.written_known, state.written));
	json_object_set_new(o, "written_age", since(state.written_known ? state.written_at : 0, env->unix_now));
	json_object_set_new(o, "notified", serial_or_null(state.told, state.told_serial));
	json_object_set_new(o, "notified_age", since(state.told ? state.told_at : 0, env->unix_now));
	json_object_set_new(o, "changed", since(served ? state.changed : 0, env->unix_now));
	if (json_is_null(json_object_get(o, "best_age")) && served)
		json_object_set_new(o, "best_age", since(state.changed, env->unix_now));
	json_object_set_new(o, "file", text_or_null(keep_path(k)));
	json_object_set_new(o, "file_error", text_or_null(state.error));
	json_object_set_new(o, "ns_set", ns_set(k, &state, served));
	if (full) {
		json_t *check = watch_result(env->watch, keep_name(k));

		json_object_set_new(o, "check", check ? check : json_null());
	}
	json_object_set_new(o, "records", served ? json_integer((json_int_t)served->records) : json_null());
	json_object_set_new(o, "memory", served ? json_integer((json_int_t)zone_memory(served)) : json_null());
	zone_put(served);
	return o;
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

	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "serve", serve_part(serve), "transfer", xfer_part(&c->xfer), "files", file_part(c),
		"storage", storage_part(all), "catalogs", catalog_part(catalogs_counters(env->catalogs)), "checks", check_part(watch_counters(env->watch)),
		"versions", judge_part(keeper_judge_counters(all)),
		"notify", json_pack("{s:I, s:I}", "answered", (json_int_t)c->notifies_out, "failed", (json_int_t)c->notifies_failed));
}
