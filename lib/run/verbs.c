#include "run/verbs.h"

#include "config.h"
#include "dns/rrtext.h"
#include "run/status.h"
#include "zone/zonefile.h"

#include <event2/event.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	PROGRESS_MS = 200,
	PROGRESS_UNSENT = 64 << 10,  /* octets that a client has not read: until it does, it is not told */
	STATUS_TURN = 200,           /* zones described in one turn of the loop, */
	STATUS_UNSENT = 1 << 20,     /* while the client has not more to read than this; */
	STATUS_WAIT_MS = 5,          /* else it is looked at again after this */
	ALL_TURN = 100,              /* zones that --all begins with in one turn, and told of together */
	DUMPS = 8,
};

struct verbs {
	struct verbs_env env;
	int stop_fd;                 /* of who waits until the daemon has stopped; -1: nobody */
};

static atomic_uint dumps;            /* threads that write to a client; they may outlive the daemon's loop */

struct call;

/* One zone of a request that waits for something. */
struct part {
	struct call *request;
	struct keep *keep;           /* NULL: known by `text` */
	char *text;
	json_t *result;
	bool open;
};

/* Begins what the request asks for, for one zone; may finish its part at once. */
typedef void start_part(struct part *, json_t *ask);

struct call {
	struct verbs *verbs;
	struct control_session *session;
	struct part *parts;
	size_t count, open;
	bool all;                    /* zones: one for which there is nothing to do is no failure; told as they are done */
	size_t most;                 /* of parts: all zones that there were at the beginning */
	json_t *ask, *finished;      /* of all: the request; results not yet told */
	start_part *start;
	struct event *progress;
	int64_t began;
	/* All zones, in turns: */
	struct event *turn;
	struct status_sum sum;
	enum status_detail detail;
	bool under_way;              /* the zones up to `last` are told, or begun with */
	bool reloads;                /* waits for the configuration */
	uint8_t last[NAME_SIZE];
};

/* --- sending -------------------------------------------------------------- */

static void send_json(struct control_session *session, json_t *object)
{
	char *line = object ? json_dumps(object, JSON_COMPACT) : NULL;

	control_send(session, line ? line : "{\"error\":\"out of memory\"}");
	free(line);
	json_decref(object);
}

static void send_jot(struct control_session *session, struct jot *j)
{
	const char *line = jot_line(j);

	control_send(session, line ? line : "{\"error\":\"out of memory\"}");
	jot_release(j);
}

static void send_error(struct control_session *session, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void send_error(struct control_session *session, const char *format, ...)
{
	char text[WHY_MAX + NAME_TEXT_SIZE];
	va_list args;
	json_t *value;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	value = json_string(text);
	send_json(session, json_pack("{s:o}", "error", value ? value : json_string("an error whose text is not UTF-8")));
}

static void send_done(struct control_session *session, json_t *result)
{
	send_json(session, json_pack("{s:o}", "done", result));
	control_finish(session);
}

/* --- zones of a request --------------------------------------------------- */

static bool parse_name(const char *text, uint8_t name[NAME_SIZE])
{
	return name_parse(text, strlen(text), NULL, name, NULL) == ERR_OK;
}

static struct keep *find_zone(struct verbs *v, const char *text)
{
	uint8_t name[NAME_SIZE];

	return parse_name(text, name) ? keeper_find(v->env.keeper, name) : NULL;
}

static void request_free(struct call *r)
{
	for (size_t i = 0; i < r->count; i++) {
		json_decref(r->parts[i].result);
		free(r->parts[i].text);
	}
	if (r->progress)
		event_free(r->progress);
	if (r->turn)
		event_free(r->turn);
	json_decref(r->ask);
	json_decref(r->finished);
	free(r->parts);
	free(r);
}

/* All zones that the request names ("zones"), as parts, or ("all") room for them. NULL: an error was sent. */
static struct call *request_new(struct verbs *v, struct control_session *session, json_t *ask)
{
	json_t *names = json_object_get(ask, "zones"), *name;
	bool all = json_is_true(json_object_get(ask, "all"));
	size_t most = all ? keeper_count(v->env.keeper) : json_array_size(names), i;
	struct call *r = calloc(1, sizeof *r);

	if (r)
		r->parts = calloc(most + 1, sizeof *r->parts);
	if (!r || !r->parts) {
		free(r);
		send_error(session, "out of memory");
		return NULL;
	}
	r->verbs = v;
	r->session = session;
	r->all = all;
	r->most = most;
	r->began = v->env.now();
	if (all)
		return r;
	json_array_foreach(names, i, name) {
		const char *text = json_string_value(name);
		struct keep *k = text ? find_zone(v, text) : NULL;

		if (k)
			r->parts[r->count++].keep = k;
		else
			send_error(session, "%s: no such zone is configured", text ? text : "?");
	}
	return r;
}

static void request_finish(struct call *r)
{
	json_t *zones = r->finished ? r->finished : json_array();

	r->finished = NULL;
	for (size_t i = 0; i < r->count && !r->all; i++)
		json_array_append(zones, r->parts[i].result);
	control_set_data(r->session, NULL);
	send_done(r->session, json_pack("{s:o}", "zones", zones));
	request_free(r);
}

/* Of many zones: those that are done so far. */
static void tell_finished(struct call *r)
{
	if (json_array_size(r->finished))
		send_json(r->session, json_pack("{s:O}", "zones", r->finished));
	json_decref(r->finished);
	r->finished = NULL;
}

static void take_result(struct part *part, json_t *result)
{
	struct call *r = part->request;

	part->open = false;
	if (!r->all) {
		part->result = result;
		return;
	}
	if (!r->finished)
		r->finished = json_array();
	json_array_append_new(r->finished, result);
	if (json_array_size(r->finished) >= ALL_TURN)
		tell_finished(r);
}

static void part_done(struct part *part, json_t *result, const char *error)
{
	struct call *r = part->request;
	char text[NAME_TEXT_SIZE];
	const char *name = part->keep ? name_text(keep_name(part->keep), text) : part->text;

	json_object_set_new(result, "zone", json_string(name));
	json_object_set_new(result, "error", error ? json_string(error) : json_null());
	take_result(part, result);
	if (error)
		send_error(r->session, "%s: %s", name, error);
	if (--r->open == 0)
		request_finish(r);
}

/* Some zones more. Others may come and go between two turns. False: there are no more. */
static bool begin_some(struct call *r)
{
	const struct keeper *keeper = r->verbs->env.keeper;
	size_t at = r->under_way ? keeper_after(keeper, r->last) : 0, end = at + ALL_TURN;

	for (; at < keeper_count(keeper) && at < end && r->count < r->most; at++) {
		struct part *part = &r->parts[r->count++];

		*part = (struct part){.request = r, .keep = keeper_at(keeper, at), .open = true};
		name_copy(keep_name(part->keep), r->last);
		r->under_way = true;
		r->open++;
		r->start(part, r->ask);
	}
	return at < keeper_count(keeper) && r->count < r->most;
}

static void run_turn(evutil_socket_t fd, short what, void *ctx)
{
	struct timeval next = {0, 0};
	struct call *r = ctx;

	(void)fd;
	(void)what;
	if (begin_some(r))
		event_add(r->turn, &next);
	else if (--r->open == 0)
		request_finish(r);
}

static void run_all(struct call *r, json_t *ask, start_part *start)
{
	r->turn = evtimer_new(r->verbs->env.loop, run_turn, r);
	if (!r->turn) {
		send_error(r->session, "out of memory");
		r->most = 0;
	}
	r->ask = json_incref(ask);
	r->start = start;
	r->open = 1;
	run_turn(-1, 0, r);
}

/* `ask` lives only as long as the call, but for all zones. */
static void request_run(struct call *r, json_t *ask, start_part *start)
{
	control_set_data(r->session, r);
	if (r->all) {
		run_all(r, ask, start);
		return;
	}
	r->open = r->count + 1;      /* one more, so that it does not end before all are started */
	for (size_t i = 0; i < r->count; i++) {
		r->parts[i].request = r;
		r->parts[i].open = true;
	}
	for (size_t i = 0; i < r->count; i++)
		start(&r->parts[i], ask);
	if (--r->open == 0)
		request_finish(r);
}

static void forget_part(struct part *part)
{
	struct keeper *keeper = part->request->verbs->env.keeper;

	if (part->keep) {
		keep_forget(part->keep, part);
		return;
	}
	keeper_forget(keeper, part);
	disk_disown(keeper_disk(keeper), part);
}

void verbs_closed(void *ctx, struct control_session *session)
{
	struct call *r = control_data(session);
	struct verbs *v = ctx;

	if (!r)
		return;
	if (r->reloads)
		reloader_forget(v->env.reloader, r);
	for (size_t i = 0; i < r->count; i++)
		if (r->parts[i].open)
			forget_part(&r->parts[i]);
	request_free(r);
}

/* --- refresh, notify, write ----------------------------------------------- */

static void simple_done(void *ctx, struct keep *k, enum err err, const struct why *why)
{
	struct part *part = ctx;

	(void)k;
	if (err == ERR_NOTFOUND && part->request->all)
		err = ERR_OK;
	part_done(part, json_pack("{s:s}", "result", err ? "failed" : "ok"), err ? err_say(why, err) : NULL);
}

static void refreshed(void *ctx, struct secondary *s, const struct secondary_outcome *o)
{
	(void)s;
	part_done(ctx, json_pack("{s:s}", "result", o->result == SECONDARY_FAILED ? "failed" : "ok"),
		o->result == SECONDARY_FAILED ? o->error : NULL);
}

static const char on_hold[] = "the zone is on hold (`lockstep release` ends that)";

static void start_refresh(struct part *part, json_t *ask)
{
	bool held = keep_held(part->keep), all = part->request->all;

	(void)ask;
	if (held)
		part_done(part, json_pack("{s:s}", "result", all ? "ok" : "failed"), all ? NULL : on_hold);
	else if (keep_secondary(part->keep))
		secondary_refresh(keep_secondary(part->keep), refreshed, part);
	else
		keep_reread(part->keep, simple_done, part);
}

static void start_notify(struct part *part, json_t *ask)
{
	(void)ask;
	keep_notify(part->keep, simple_done, part);
}

static void start_write(struct part *part, json_t *ask)
{
	(void)ask;
	keep_write(part->keep, simple_done, part);
}

static void run_simple(struct verbs *v, struct control_session *session, json_t *ask, start_part *start)
{
	struct call *r = request_new(v, session, ask);

	if (r)
		request_run(r, ask, start);
	else
		control_finish(session);
}

/* --- transfer ------------------------------------------------------------- */

static json_t *serial_or_null(bool has, struct serial serial)
{
	return has ? json_integer(serial.v) : json_null();
}

static void transferred(void *ctx, struct secondary *s, const struct secondary_outcome *o)
{
	static const char *const word[] = {"updated", "current", "failed"};
	json_t *result = json_object();

	(void)s;
	json_object_set_new(result, "result", json_string(word[o->result]));
	json_object_set_new(result, "old", serial_or_null(o->had_serial, o->old));
	json_object_set_new(result, "new", serial_or_null(o->has_serial, o->serial));
	json_object_set_new(result, "type", o->transferred ? json_string(o->incremental ? "IXFR" : "AXFR") : json_null());
	json_object_set_new(result, "primary", o->primary ? json_string(o->primary) : json_null());
	json_object_set_new(result, "records", json_integer((json_int_t)o->records));
	json_object_set_new(result, "bytes", json_integer((json_int_t)o->bytes));
	json_object_set_new(result, "seconds", json_real(o->ms / 1000.0));
	part_done(ctx, result, o->result == SECONDARY_FAILED ? o->error : NULL);
}

/* A zone from a file is "transferred" from its file. */
static void reread(void *ctx, struct keep *k, enum err err, const struct why *why)
{
	struct zone *served = keep_served(k);
	json_t *result = json_object();

	json_object_set_new(result, "result", json_string(err ? "failed" : "current"));
	json_object_set_new(result, "old", json_null());
	json_object_set_new(result, "new", serial_or_null(served != NULL, served ? served->serial : (struct serial){0}));
	json_object_set_new(result, "type", json_null());
	json_object_set_new(result, "primary", json_null());
	zone_put(served);
	part_done(ctx, result, err ? err_say(why, err) : NULL);
}

static bool has_remote(const struct keep *k, const char *name)
{
	const struct conf_settings *set = keep_wired(k)->set;

	for (size_t i = 0; i < set->primary_count; i++)
		if (strcmp(set->primaries[i]->name, name) == 0)
			return true;
	return false;
}

static void send_progress(evutil_socket_t fd, short what, void *ctx)
{
	struct call *r = ctx;
	uint64_t records, bytes;

	(void)fd;
	(void)what;
	for (size_t i = 0; i < r->count && control_unsent(r->session) < PROGRESS_UNSENT; i++) {
		struct part *part = &r->parts[i];
		struct secondary *s = part->open ? keep_secondary(part->keep) : NULL;   /* once done, the zone may be gone */
		char name[NAME_TEXT_SIZE];

		if (!s || !secondary_progress(s, &records, &bytes))
			continue;
		send_json(r->session, json_pack("{s:{s:s, s:I, s:I, s:f}}", "progress", "zone", name_text(keep_name(part->keep), name),
			"records", (json_int_t)records, "bytes", (json_int_t)bytes,
			"seconds", (double)(r->verbs->env.now() - r->began) / 1000.0));
	}
}

static void start_transfer(struct part *part, json_t *ask)
{
	const char *from = json_string_value(json_object_get(ask, "from"));
	bool full = json_is_true(json_object_get(ask, "full"));
	char text[200];

	if (keep_held(part->keep)) {
		part_done(part, json_pack("{s:s}", "result", "failed"), on_hold);
	} else if (!keep_secondary(part->keep)) {
		keep_reread(part->keep, reread, part);
	} else if (from && !has_remote(part->keep, from)) {
		snprintf(text, sizeof text, "\"%.100s\" is not one of its primaries", from);
		part_done(part, json_pack("{s:s}", "result", "failed"), text);
	} else {
		secondary_transfer(keep_secondary(part->keep), full, from, transferred, part);
	}
}

static void run_transfer(struct verbs *v, struct control_session *session, json_t *ask)
{
	struct timeval tv = {0, PROGRESS_MS * 1000};
	struct call *r = request_new(v, session, ask);

	if (!r) {
		control_finish(session);
		return;
	}
	r->progress = event_new(v->env.loop, -1, EV_PERSIST, send_progress, r);
	if (r->progress)
		event_add(r->progress, &tv);
	request_run(r, ask, start_transfer);
}

/* --- hold, release, purge, add, remove --------------------------------------- */

static void edit_done(struct part *part, enum err err, const struct why *why)
{
	part_done(part, json_pack("{s:s}", "result", err ? "failed" : "ok"), err ? err_say(why, err) : NULL);
}

/* What was kept of a zone that begins anew, or was removed, is gone; or not. */
static void end_forgetting(struct part *part, const struct disk_result *result, const char *if_not)
{
	struct why why, text = result->why;
	uint8_t name[NAME_SIZE];
	enum err err = result->err;

	if (!err && parse_name(part->text, name)) {
		name_lower(name, name);
		err = keeper_purged(part->request->verbs->env.keeper, name, &why);
		if (err)
			err_why(&text, err, "%s: %s", if_not, err_say(&why, err));
	}
	edit_done(part, err, &text);
}

static void purged(void *ctx, struct disk_result *result)
{
	end_forgetting(ctx, result, "it begins anew, but what was kept of it may come back with a restart");
}

static void removed(void *ctx, struct disk_result *result)
{
	end_forgetting(ctx, result, "it is removed, but what was kept of it is not all gone");
}

static void saved(void *ctx, enum err err, const struct why *why)
{
	struct why text;

	if (err)
		err_why(&text, err, "it is done, but would not survive a restart: %s", err_say(why, err));
	edit_done(ctx, err, &text);
}

static void saved_without(void *ctx, enum err err, const struct why *why)
{
	struct part *part = ctx;

	if (err)
		saved(part, err, why);
	else
		disk_mark(keeper_disk(part->request->verbs->env.keeper), removed, part);
}

static enum err edit_zone(struct part *part, json_t *ask, struct why *why)
{
	const char *verb = json_string_value(json_object_get(ask, "verb"));
	struct keeper *keeper = part->request->verbs->env.keeper;
	uint8_t name[NAME_SIZE];

	if (!parse_name(part->text, name))
		return err_why(why, ERR_SYNTAX, "that is no name");
	name_lower(name, name);
	if (strcmp(verb, "add") == 0)
		return keeper_add(keeper, name, json_string_value(json_object_get(ask, "template")), why);
	if (strcmp(verb, "remove") == 0)
		return keeper_remove(keeper, name, why);
	if (strcmp(verb, "purge") == 0)
		return keeper_purge(keeper, name, why);
	return keeper_hold(keeper, name, strcmp(verb, "hold") == 0, why);
}

static void start_edit(struct part *part, json_t *ask)
{
	const char *verb = json_string_value(json_object_get(ask, "verb"));
	struct keeper *keeper = part->request->verbs->env.keeper;
	struct why why = {{0}};
	enum err err = edit_zone(part, ask, &why);

	if (err)
		edit_done(part, err, &why);
	else if (strcmp(verb, "purge") == 0)
		disk_mark(keeper_disk(keeper), purged, part);
	else
		keeper_save(keeper, strcmp(verb, "remove") == 0 ? saved_without : saved, part);
}

static void run_edit(struct verbs *v, struct control_session *session, json_t *ask)
{
	json_t *names = json_object_get(ask, "zones"), *name;
	struct call *r = calloc(1, sizeof *r);
	size_t i;

	if (r)
		r->parts = calloc(json_array_size(names) + 1, sizeof *r->parts);
	if (!r || !r->parts) {
		free(r);
		send_error(session, "out of memory");
		control_finish(session);
		return;
	}
	r->verbs = v;
	r->session = session;
	json_array_foreach(names, i, name)
		if (json_is_string(name) && (r->parts[r->count].text = strdup(json_string_value(name))))
			r->count++;
	request_run(r, ask, start_edit);
}

/* --- status, stats -------------------------------------------------------- */

static struct status_env status_env(const struct verbs *v)
{
	return (struct status_env){v->env.keeper, v->env.catalogs, v->env.watch, v->env.now(), (int64_t)v->env.unix_time()};
}

static void status_named(struct verbs *v, struct control_session *session, json_t *ask, enum status_detail detail)
{
	struct call *r = request_new(v, session, ask);
	struct status_env env = status_env(v);
	struct jot j = {0};

	jot_open(&j, NULL, '{');
	jot_open(&j, "done", '{');
	jot_open(&j, "zones", '[');
	for (size_t i = 0; r && i < r->count; i++)
		status_zone(&j, &env, r->parts[i].keep, detail);
	jot_close(&j, ']');
	if (r)
		request_free(r);
	jot_json(&j, "storage", status_storage(v->env.keeper));
	jot_text(&j, "version", PACKAGE_VERSION);
	jot_int(&j, "uptime", (env.now - v->env.began) / 1000);
	jot_close(&j, '}');
	jot_close(&j, '}');
	send_jot(session, &j);
	control_finish(session);
}

static void status_end(struct call *r)
{
	struct status_env env = status_env(r->verbs);

	control_set_data(r->session, NULL);
	send_done(r->session, json_pack("{s:[], s:o, s:o, s:o, s:s, s:I}", "zones", "summary", status_summary(&r->sum),
		"storage", status_storage(env.keeper),
		"state_error", keeper_save_error(env.keeper) ? json_string(keeper_save_error(env.keeper)) : json_null(),
		"version", PACKAGE_VERSION, "uptime", (json_int_t)((env.now - r->verbs->env.began) / 1000)));
	request_free(r);
}

/* Some zones more. Others may come and go between two turns. */
static void status_turn(evutil_socket_t fd, short what, void *ctx)
{
	struct call *r = ctx;
	struct status_env env = status_env(r->verbs);
	size_t count = keeper_count(env.keeper), at = r->under_way ? keeper_after(env.keeper, r->last) : 0, end = at + STATUS_TURN;
	struct timeval next = {0, 0};
	struct jot j = {0};

	(void)fd;
	(void)what;
	if (control_unsent(r->session) > STATUS_UNSENT) {
		next.tv_usec = STATUS_WAIT_MS * 1000;
		event_add(r->turn, &next);
		return;
	}
	jot_open(&j, NULL, '{');
	jot_open(&j, "zones", '[');
	for (; at < count && at < end; at++) {
		const struct keep *k = keeper_at(env.keeper, at);

		status_count(&r->sum, k);
		status_zone(&j, &env, k, r->detail);
		name_copy(keep_name(k), r->last);
		r->under_way = true;
	}
	jot_close(&j, ']');
	jot_close(&j, '}');
	send_jot(r->session, &j);
	if (at < count)
		event_add(r->turn, &next);
	else
		status_end(r);
}

static void status_all(struct verbs *v, struct control_session *session, enum status_detail detail)
{
	struct timeval now = {0, 0};
	struct call *r = calloc(1, sizeof *r);

	if (r)
		r->turn = evtimer_new(v->env.loop, status_turn, r);
	if (!r || !r->turn) {
		free(r);
		send_error(session, "out of memory");
		send_done(session, json_object());
		return;
	}
	r->verbs = v;
	r->session = session;
	r->detail = detail;
	control_set_data(session, r);
	event_add(r->turn, &now);
}

static void run_status(struct verbs *v, struct control_session *session, json_t *ask)
{
	bool checks = json_is_true(json_object_get(ask, "checks"));

	if (json_array_size(json_object_get(ask, "zones")) > 0)
		status_named(v, session, ask, checks ? STATUS_CHECK : STATUS_FULL);
	else
		status_all(v, session, checks ? STATUS_CHECK : json_is_true(json_object_get(ask, "table")) ? STATUS_TABLE : STATUS_ZONE);
}

static void run_stats(struct verbs *v, struct control_session *session)
{
	struct status_env env = status_env(v);
	struct serve_counters sum = {0};

	v->env.counters(v->env.ctx, &sum);
	send_done(session, status_counters(&env, &sum));
}

static void reloaded(void *arg, enum err err, const struct keeper_change *change, const struct why *why)
{
	struct call *r = arg;

	control_set_data(r->session, NULL);
	if (err)
		send_error(r->session, "%s", err_say(why, err));
	send_done(r->session, err ? json_object() : json_pack("{s:I, s:I, s:I, s:I}", "added", (json_int_t)change->added, "removed",
		(json_int_t)change->removed, "changed", (json_int_t)change->changed, "zones", (json_int_t)change->zones));
	request_free(r);
}

static void run_reload(struct verbs *v, struct control_session *session)
{
	struct call *r = calloc(1, sizeof *r);

	if (!r) {
		send_error(session, "out of memory");
		send_done(session, json_object());
		return;
	}
	r->verbs = v;
	r->session = session;
	r->reloads = true;
	control_set_data(session, r);
	reloader_ask(v->env.reloader, reloaded, r);
}

/* --- dump: in a thread of its own, as fast as the client reads -------------- */

struct dump {
	struct zone *zone;
	int fd;
	uint8_t name[NAME_SIZE];
	bool one;                    /* only `name` */
	uint16_t type;
	uint64_t sent;
};

static bool write_all(int fd, const char *bytes, size_t n)
{
	while (n) {
		ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL);

		if (sent <= 0)
			return false;
		bytes += sent;
		n -= (size_t)sent;
	}
	return true;
}

static bool write_line(int fd, json_t *object)
{
	char *line = object ? json_dumps(object, JSON_COMPACT) : NULL;
	bool ok = line && write_all(fd, line, strlen(line)) && write_all(fd, "\n", 1);

	free(line);
	json_decref(object);
	return ok;
}

static bool dump_put(void *ctx, const char *text, size_t length)
{
	struct dump *d = ctx;

	d->sent += length;
	return write_line(d->fd, json_pack("{s:o}", "text", json_stringn(text, length)));
}

static void *dump_run(void *arg)
{
	struct dump *d = arg;
	char name[NAME_TEXT_SIZE];
	const struct zone_node *node = d->one ? zone_find_node(d->zone, d->name) : NULL;
	bool ok = d->one ? !node || zonefile_print_node(d->zone, node, d->type, dump_put, d) : zonefile_print(d->zone, dump_put, d);

	if (ok && !d->sent && d->one)
		write_line(d->fd, json_pack("{s:s}", "error",
			node ? "the name has no records of that type" : "the zone has no records at that name"));
	if (ok)
		write_line(d->fd, json_pack("{s:{s:s, s:I, s:I}}", "done", "zone", name_text(d->zone->apex, name), "serial",
			(json_int_t)d->zone->serial.v, "records", (json_int_t)d->zone->records));
	close(d->fd);
	zone_put(d->zone);
	free(d);
	atomic_fetch_sub(&dumps, 1);
	return NULL;
}

static bool dump_start(struct dump *d)
{
	pthread_attr_t attr;
	pthread_t thread;
	bool ok;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	atomic_fetch_add(&dumps, 1);
	ok = pthread_create(&thread, &attr, dump_run, d) == 0;
	pthread_attr_destroy(&attr);
	if (!ok)
		atomic_fetch_sub(&dumps, 1);
	return ok;
}

/* What is to be dumped, from the request; the reason if it cannot be. */
static const char *dump_target(struct verbs *v, json_t *ask, struct dump *d)
{
	const char *zone = json_string_value(json_array_get(json_object_get(ask, "zones"), 0));
	const char *name = json_string_value(json_object_get(ask, "name"));
	const char *type = json_string_value(json_object_get(ask, "type"));
	struct keep *k = zone ? find_zone(v, zone) : NULL;

	if (!k)
		return "no such zone is configured";
	if (name && (!parse_name(name, d->name) || !name_is_under(d->name, keep_name(k))))
		return "the name is not in the zone";
	if (type && !rr_type_parse(type, strlen(type), &d->type))
		return "no such record type";
	d->one = name != NULL;
	d->zone = keep_served(k);
	if (!d->zone)
		return "the zone is not served: it was never loaded, or has expired";
	return NULL;
}

static void run_dump(struct verbs *v, struct control_session *session, json_t *ask)
{
	struct dump *d = calloc(1, sizeof *d);
	const char *error = d ? dump_target(v, ask, d) : "out of memory";

	if (!error && atomic_load(&dumps) >= DUMPS)
		error = "too many dumps at once";
	if (!error) {
		d->fd = control_take_socket(session);
		if (d->fd >= 0 && dump_start(d))
			return;
		error = "no thread or file descriptor for it";
		if (d->fd >= 0)
			close(d->fd);
	}
	send_error(session, "%s", error);
	send_done(session, json_object());
	if (d)
		zone_put(d->zone);
	free(d);
}

/* --- all ------------------------------------------------------------------ */

/* The answer comes when everything is on disk and the ports are free: see verbs_free. */
static void run_stop(struct verbs *v, struct control_session *session)
{
	if (v->stop_fd < 0)
		v->stop_fd = control_take_socket(session);
	else
		send_done(session, json_object());
	v->env.stop(v->env.ctx);
}

void verbs_handle(void *ctx, struct control_session *session, const char *line, size_t length)
{
	struct verbs *v = ctx;
	json_error_t error;
	json_t *ask = json_loadb(line, length, JSON_REJECT_DUPLICATES, &error);
	const char *verb = json_string_value(json_object_get(ask, "verb"));

	if (!verb)
		verb = "";
	if (strcmp(verb, "status") == 0)
		run_status(v, session, ask);
	else if (strcmp(verb, "transfer") == 0)
		run_transfer(v, session, ask);
	else if (strcmp(verb, "refresh") == 0)
		run_simple(v, session, ask, start_refresh);
	else if (strcmp(verb, "notify") == 0)
		run_simple(v, session, ask, start_notify);
	else if (strcmp(verb, "write") == 0)
		run_simple(v, session, ask, start_write);
	else if (strcmp(verb, "hold") == 0 || strcmp(verb, "release") == 0 || strcmp(verb, "purge") == 0 || strcmp(verb, "add") == 0 ||
		 strcmp(verb, "remove") == 0)
		run_edit(v, session, ask);
	else if (strcmp(verb, "reload") == 0)
		run_reload(v, session);
	else if (strcmp(verb, "dump") == 0)
		run_dump(v, session, ask);
	else if (strcmp(verb, "stats") == 0)
		run_stats(v, session);
	else if (strcmp(verb, "stop") == 0)
		run_stop(v, session);
	else {
		send_error(session, ask ? "the daemon knows no such verb" : "the request is not a line of JSON");
		send_done(session, json_object());
	}
	json_decref(ask);
}

struct verbs *verbs_new(const struct verbs_env *env)
{
	struct verbs *v = calloc(1, sizeof *v);

	if (!v)
		return NULL;
	v->env = *env;
	v->stop_fd = -1;
	return v;
}

void verbs_free(struct verbs *v)
{
	if (v && v->stop_fd >= 0) {
		write_line(v->stop_fd, json_pack("{s:{}}", "done"));
		close(v->stop_fd);
	}
	free(v);
}
