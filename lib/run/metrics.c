#include "run/metrics.h"

#include "config.h"
#include "base/log.h"
#include "run/health.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	PIECE = 500,                 /* zones of one piece */
	HEADERS_MAX = 8192, BODY_MAX = 1024, TIMEOUT_S = 15,
	PORTS_PER_WORKER = 2,
};

struct metrics {
	struct metrics_env env;
	struct evhttp *http;
	struct scrape *scrapes;
	struct checkup *checkups;
};

/* --- one zone ----------------------------------------------------------------------- */

struct look {
	int64_t now, unix_now;
	struct keep_state state;
	struct zone *served;         /* held; NULL: nothing */
	bool transferred;            /* and `secondary` tells more */
	struct secondary_status secondary;
};

static void look_at(struct look *look, const struct metrics *m, const struct keep *k)
{
	look->now = m->env.now();
	look->unix_now = (int64_t)m->env.unix_time();
	look->served = keep_served(k);
	keep_state(k, &look->state);
	look->transferred = keep_secondary(k) != NULL;
	if (look->transferred)
		secondary_status(keep_secondary(k), &look->secondary);
}

/* NAN is a float, which has not the digits of a serial. */
static double serial_of(const struct look *l) { return l->served ? (double)l->served->serial.v : NAN; }
static double written_of(const struct look *l) { return l->state.written_known ? (double)l->state.written.v : NAN; }
static double records_of(const struct look *l) { return l->served ? (double)l->served->records : NAN; }
static double memory_of(const struct look *l) { return l->served ? (double)zone_memory(l->served) : NAN; }

static double age_of(const struct look *l)
{
	return l->transferred && l->secondary.refresh.loaded ? (double)(l->now - l->secondary.refresh.refreshed) / 1000 : NAN;
}

static double confirmed_of(const struct look *l)
{
	return l->transferred && l->secondary.refresh.loaded ? (double)l->unix_now - age_of(l) : NAN;
}

static double expiry_of(const struct look *l)
{
	int64_t left = l->secondary.refresh.expire_at - l->now;

	return l->transferred && l->secondary.refresh.loaded ? (double)(left > 0 ? left : 0) / 1000 : NAN;
}

static double lag_of(const struct look *l)
{
	const struct secondary_status *s = &l->secondary;

	if (!l->transferred || !s->has_best)
		return NAN;
	return s->best_is_ours ? 0 : (double)(l->now - s->best_since) / 1000;
}

static const struct family {
	const char *name, *help;
	double (*value)(const struct look *);        /* NAN: not known. NULL: the state, as a label */
} families[] = {
	{"lockstep_zone_state", "1 for the state that the zone is in", NULL},
	{"lockstep_zone_serial", "Serial of the served version", serial_of},
	{"lockstep_zone_written_serial", "Serial in the zone file", written_of},
	{"lockstep_zone_age_seconds", "Seconds since a primary last confirmed the served version", age_of},
	{"lockstep_zone_last_success_timestamp_seconds", "When that was, in seconds since 1970", confirmed_of},
	{"lockstep_zone_expire_seconds", "Seconds until the zone is served no more, unless it is confirmed", expiry_of},
	{"lockstep_zone_lag_seconds", "Seconds since a newer serial than ours was first seen; 0: ours is the newest", lag_of},
	{"lockstep_zone_records", "Records of the served version", records_of},
	{"lockstep_zone_memory_bytes", "Memory of the zone's versions", memory_of},
};
enum { FAMILIES = sizeof families / sizeof *families };

/* --- /metrics ------------------------------------------------------------------------- */

static void put_head(struct evbuffer *out, const char *name, const char *type, const char *help)
{
	evbuffer_add_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_plain(struct evbuffer *out, const char *name, const char *type, const char *help, double value)
{
	put_head(out, name, type, help);
	evbuffer_add_printf(out, "%s %.17g\n", name, value);
}

/* As the format wants it within quotes. Names are escaped in the ways of zone files already: no quote, no line's end. */
static void put_label(struct evbuffer *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '\\' || *text == '"')
			evbuffer_add(out, "\\", 1);
		evbuffer_add(out, text, 1);
	}
}

static void put_sample(struct evbuffer *out, const struct metrics *m, const struct family *family, const struct keep *k)
{
	char name[NAME_TEXT_SIZE];
	struct look look;
	double value;

	look_at(&look, m, k);
	value = family->value ? family->value(&look) : 1;
	if (!isnan(value)) {
		evbuffer_add_printf(out, "%s{zone=\"", family->name);
		put_label(out, name_text(keep_name(k), name));
		if (!family->value)
			evbuffer_add_printf(out, "\",state=\"%s", look.state.state);
		evbuffer_add_printf(out, "\"} %.17g\n", value);
	}
	zone_put(look.served);
}

static void put_states(struct evbuffer *out, const struct keeper *all)
{
	static const char *const word[] = {"ok", "refreshing", "lagging", "stale", "rejected", "expired", "empty", "held"};
	enum { WORDS = sizeof word / sizeof *word };
	size_t count[WORDS] = {0};

	for (size_t i = 0; i < keeper_count(all); i++) {
		struct keep_state state;

		keep_state(keeper_at(all, i), &state);
		for (unsigned w = 0; w < WORDS; w++)
			count[w] += strcmp(state.state, word[w]) == 0;
	}
	put_head(out, "lockstep_zones", "gauge", "Zones by state");
	for (unsigned w = 0; w < WORDS; w++)
		evbuffer_add_printf(out, "lockstep_zones{state=\"%s\"} %zu\n", word[w], count[w]);
}

/* The two copies of what was served. */
static void put_storage(struct evbuffer *out, const struct keeper *all)
{
	struct copies_health health;

	keeper_health(all, &health);
	put_head(out, "lockstep_storage_ok", "gauge", "Whether this copy of what was served can be written");
	evbuffer_add_printf(out, "lockstep_storage_ok{copy=\"database\"} %d\n", health.database_open && !health.database[0]);
	evbuffer_add_printf(out, "lockstep_storage_ok{copy=\"log\"} %d\n", health.log_open && !health.log[0]);
	put_plain(out, "lockstep_storage_commits_total", "counter", "See lockstep stats: commits", (double)health.commits);
	put_plain(out, "lockstep_storage_failed_total", "counter", "See lockstep stats: failed", (double)health.failed);
	put_plain(out, "lockstep_storage_begun_anew_total", "counter", "See lockstep stats: begun_anew", (double)health.begun_anew);
	put_plain(out, "lockstep_storage_damaged_total", "counter", "See lockstep stats: damaged", (double)health.damaged);
}

static void put_totals(struct evbuffer *out, const struct metrics *m)
{
	const struct keep_counters *keeps = keeper_counters(m->env.keeper);
	const struct judge_counters *judge = keeper_judge_counters(m->env.keeper);
	const struct watch_counters *checks = watch_counters(m->env.watch);
	struct serve_counters serve;

	m->env.counters(m->env.ctx, &serve);
	put_head(out, "lockstep_info", "gauge", "The program's version");
	evbuffer_add_printf(out, "lockstep_info{version=\"%s\"} 1\n", PACKAGE_VERSION);
	put_plain(out, "lockstep_uptime_seconds", "gauge", "Seconds since the start", (double)(m->env.now() - m->env.began) / 1000);
	put_states(out, m->env.keeper);
#define PUT(name) put_plain(out, "lockstep_serve_" #name "_total", "counter", "See lockstep stats: " #name, (double)serve.name);
	SERVE_COUNTERS(PUT)
#undef PUT
#define PUT(name) put_plain(out, "lockstep_transfer_" #name "_total", "counter", "See lockstep stats: " #name, (double)keeps->xfer.name);
	SECONDARY_COUNTERS(PUT)
#undef PUT
#define PUT(name) put_plain(out, "lockstep_" #name "_total", "counter", "See lockstep stats: " #name, (double)keeps->name);
	PUT(files_written) PUT(files_failed) PUT(files_missing) PUT(files_damaged) PUT(files_edited) PUT(files_mended)
	PUT(loads) PUT(loads_failed) PUT(notifies_out) PUT(notifies_failed)
#undef PUT
#define PUT(name) put_plain(out, "lockstep_versions_" #name "_total", "counter", "See lockstep stats: " #name, (double)judge->name);
	JUDGE_COUNTERS(PUT)
#undef PUT
#define PUT(name) put_plain(out, "lockstep_checks_" #name, "gauge", "See lockstep stats: " #name, (double)checks->name);
	WATCH_COUNTERS(PUT)
#undef PUT
	put_storage(out, m->env.keeper);
}

/* An answer that is written piece by piece; it goes with its connection. */
struct scrape {
	struct scrape *next;
	struct metrics *metrics;
	struct evhttp_request *request;
	unsigned family;
	size_t zone;                 /* the next one of the family */
};

static void scrape_free(struct scrape *s)
{
	for (struct scrape **at = &s->metrics->scrapes; *at; at = &(*at)->next)
		if (*at == s) {
			*at = s->next;
			break;
		}
	free(s);
}

/* A request that has lost its connection (and knows of none) is freed by the end of its reply; else the connection frees it. */
static void scrape_lost(struct evhttp_connection *connection, void *ctx)
{
	struct scrape *s = ctx;

	(void)connection;
	if (!evhttp_request_get_connection(s->request))
		evhttp_send_reply_end(s->request);
	scrape_free(s);
}

static void send_piece(struct evhttp_connection *connection, void *ctx)
{
	struct scrape *s = ctx;
	const struct keeper *all = s->metrics->env.keeper;
	struct evbuffer *out = evbuffer_new();

	while (out && s->family < FAMILIES && evbuffer_get_length(out) == 0) {
		if (s->zone == 0)
			put_head(out, families[s->family].name, "gauge", families[s->family].help);
		for (unsigned n = 0; n < PIECE && s->zone < keeper_count(all); n++)
			put_sample(out, s->metrics, &families[s->family], keeper_at(all, s->zone++));
		if (s->zone >= keeper_count(all)) {
			s->family++;
			s->zone = 0;
		}
	}
	if (out && evbuffer_get_length(out)) {
		evhttp_send_reply_chunk_with_cb(s->request, out, send_piece, s);
	} else {
		evhttp_connection_set_closecb(connection, NULL, NULL);
		evhttp_send_reply_end(s->request);
		scrape_free(s);
	}
	if (out)
		evbuffer_free(out);
}

static void send_zones(struct metrics *m, struct evhttp_request *request, struct evbuffer *first)
{
	struct evhttp_connection *connection = evhttp_request_get_connection(request);
	struct scrape *s = malloc(sizeof *s);

	if (!s) {
		evhttp_send_error(request, HTTP_INTERNAL, NULL);
		return;
	}
	*s = (struct scrape){m->scrapes, m, request, 0, 0};
	m->scrapes = s;
	evhttp_connection_set_closecb(connection, scrape_lost, s);
	evhttp_send_reply_start(request, HTTP_OK, NULL);
	evhttp_send_reply_chunk_with_cb(request, first, send_piece, s);
}

static bool wants_zones(const struct metrics *m, struct evhttp_request *request)
{
	const char *query = evhttp_uri_get_query(evhttp_request_get_evhttp_uri(request)), *value;
	bool wanted = keeper_count(m->env.keeper) <= METRICS_ZONES;
	struct evkeyvalq parameters;

	if (!query || evhttp_parse_query_str(query, &parameters) < 0)
		return wanted;
	value = evhttp_find_header(&parameters, "zones");
	if (value)
		wanted = strcmp(value, "all") == 0 || (wanted && strcmp(value, "none") != 0);
	evhttp_clear_headers(&parameters);
	return wanted;
}

/* The type of the answer, and whether more than that is wanted; else it has been sent. */
static bool begin_answer(struct evhttp_request *request, const char *type)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request);

	evhttp_add_header(headers, "Content-Type", type);
	evhttp_add_header(headers, "Cache-Control", "no-store");
	evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
	if (evhttp_request_get_command(request) != EVHTTP_REQ_HEAD)
		return true;
	evhttp_send_reply(request, HTTP_OK, NULL, NULL);
	return false;
}

static void on_metrics(struct evhttp_request *request, void *ctx)
{
	struct metrics *m = ctx;
	struct evbuffer *out;

	if (!begin_answer(request, "text/plain; version=0.0.4; charset=utf-8"))
		return;
	out = evbuffer_new();
	if (!out) {
		evhttp_send_error(request, HTTP_INTERNAL, NULL);
		return;
	}
	put_totals(out, m);
	if (wants_zones(m, request))
		send_zones(m, request, out);
	else
		evhttp_send_reply(request, HTTP_OK, NULL, out);
	evbuffer_free(out);
}

/* --- /health ------------------------------------------------------------------------------- */

/* A client that goes meanwhile is missed when the answer is sent. */
struct checkup {
	struct checkup *next;
	struct metrics *metrics;
	struct evhttp_request *request;
	struct health *health;
};

static void checkup_free(struct checkup *c)
{
	for (struct checkup **at = &c->metrics->checkups; *at; at = &(*at)->next)
		if (*at == c) {
			*at = c->next;
			break;
		}
	free(c);
}

static void on_result(void *ctx, const struct health_result *result)
{
	struct checkup *c = ctx;
	bool well = result->answered == result->asked;
	struct evbuffer *out = evbuffer_new();
	char silent[NET_ADDR_TEXT];

	if (out) {
		evbuffer_add_printf(out, "{\"status\":\"%s\",\"asked\":%u,\"answered\":%u,\"slowest_ms\":%u", well ? "ok" : "silent", result->asked,
			result->answered, result->ms);
		if (!well)
			evbuffer_add_printf(out, ",\"silent\":\"%s\"", net_addr_text(&result->silent, 0, silent));
		evbuffer_add_printf(out, ",\"zones\":%zu}\n", keeper_count(c->metrics->env.keeper));
	}
	evhttp_send_reply(c->request, well ? HTTP_OK : HTTP_SERVUNAVAIL, NULL, out);
	if (out)
		evbuffer_free(out);
	checkup_free(c);
}

static void on_health(struct evhttp_request *request, void *ctx)
{
	struct metrics *m = ctx;
	const struct conf *conf = generation_conf(keeper_generation(m->env.keeper));
	struct checkup *c;

	if (!begin_answer(request, "application/json"))
		return;
	c = malloc(sizeof *c);
	if (c)
		*c = (struct checkup){m->checkups, m, request, health_ask(m->env.loop, conf->server.listen, conf->server.listen_count,
			conf->server.workers * PORTS_PER_WORKER, on_result, c)};
	if (!c || !c->health) {
		free(c);
		evhttp_send_error(request, HTTP_SERVUNAVAIL, NULL);
		return;
	}
	m->checkups = c;
}

/* --- the page --------------------------------------------------------------------------------- */

static void put_escaped(struct evbuffer *out, const char *text)
{
	char *safe = evhttp_htmlescape(text);

	if (safe)
		evbuffer_add(out, safe, strlen(safe));
	free(safe);
}

static void put_seconds(struct evbuffer *out, double seconds)
{
	static const struct { double unit; const char *name; } units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
	unsigned i = 0;

	if (isnan(seconds)) {
		evbuffer_add_printf(out, "<td></td>");
		return;
	}
	while (i < 3 && seconds < 2 * units[i].unit)
		i++;
	evbuffer_add_printf(out, "<td class=\"n\">%.0f %s</td>", floor(seconds / units[i].unit), units[i].name);
}

static const char *reason_of(const struct look *look)
{
	const char *reason = look->transferred ? secondary_reason(&look->secondary) : NULL;

	if (look->state.error)
		return look->state.error;
	return reason ? reason : "";
}

static void put_row(struct evbuffer *out, const struct keep *k, const struct look *look)
{
	char name[NAME_TEXT_SIZE];

	evbuffer_add_printf(out, "<tr class=\"%s\"><td>", look->state.state);
	put_escaped(out, name_text(keep_name(k), name));
	evbuffer_add_printf(out, "</td><td>%s</td><td class=\"n\">", look->state.state);
	if (look->served)
		evbuffer_add_printf(out, "%u", look->served->serial.v);
	evbuffer_add_printf(out, "</td>");
	put_seconds(out, age_of(look));
	put_seconds(out, expiry_of(look));
	evbuffer_add_printf(out, "<td>");
	put_escaped(out, look->transferred && look->secondary.primary ? look->secondary.primary : "");
	evbuffer_add_printf(out, "</td><td>");
	put_escaped(out, reason_of(look));
	evbuffer_add_printf(out, "</td></tr>\n");
}

/* Zones that are well, or those that are not; at most `room` rows, their number is returned. */
static size_t put_rows(struct evbuffer *out, const struct metrics *m, bool well, size_t room)
{
	size_t rows = 0;

	for (size_t i = 0; i < keeper_count(m->env.keeper) && rows < room; i++) {
		const struct keep *k = keeper_at(m->env.keeper, i);
		struct look look;

		look_at(&look, m, k);
		if ((strcmp(look.state.state, "ok") == 0 || strcmp(look.state.state, "refreshing") == 0) == well) {
			put_row(out, k, &look);
			rows++;
		}
		zone_put(look.served);
	}
	return rows;
}

static void on_page(struct evhttp_request *request, void *ctx)
{
	static const char head[] = "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"10\">"
		"<title>Lockstep</title>\n<style>body{font:14px sans-serif;margin:2em}table{border-collapse:collapse}"
		"th,td{text-align:left;padding:.2em .8em;border-bottom:1px solid #ddd}.n{text-align:right}"
		".expired,.rejected{background:#fdd}.stale,.lagging,.empty{background:#ffd}</style></head><body><h1>Lockstep</h1>\n";
	struct metrics *m = ctx;
	size_t rows, all = keeper_count(m->env.keeper);
	struct evbuffer *out;

	if (strcmp(evhttp_uri_get_path(evhttp_request_get_evhttp_uri(request)), "/") != 0) {
		evhttp_send_error(request, HTTP_NOTFOUND, NULL);
		return;
	}
	if (!begin_answer(request, "text/html; charset=utf-8"))
		return;
	out = evbuffer_new();
	if (!out) {
		evhttp_send_error(request, HTTP_INTERNAL, NULL);
		return;
	}
	evbuffer_add(out, head, sizeof head - 1);
	evbuffer_add_printf(out, "<p>%zu zones</p>\n<table><tr><th>Zone</th><th>State</th><th>Serial</th><th>Confirmed</th><th>Expires in</th>"
		"<th>Primary</th><th>Reason</th></tr>\n", all);
	rows = put_rows(out, m, false, METRICS_ZONES);
	rows += put_rows(out, m, true, METRICS_ZONES - rows);
	evbuffer_add_printf(out, "</table>\n");
	if (rows < all)
		evbuffer_add_printf(out, "<p>%zu more are not shown: see <code>lockstep status</code>.</p>\n", all - rows);
	evbuffer_add_printf(out, "</body></html>\n");
	evhttp_send_reply(request, HTTP_OK, NULL, out);
	evbuffer_free(out);
}

/* --------------------------------------------------------------------------------------------------- */

struct metrics *metrics_new(const struct metrics_env *env, int fd)
{
	struct metrics *m = calloc(1, sizeof *m);

	if (m) {
		m->env = *env;
		m->http = evhttp_new(env->loop);
	}
	if (!m || !m->http || evhttp_accept_socket(m->http, fd) < 0) {
		close(fd);
		metrics_free(m);
		return NULL;
	}
	evhttp_set_allowed_methods(m->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
	evhttp_set_max_headers_size(m->http, HEADERS_MAX);
	evhttp_set_max_body_size(m->http, BODY_MAX);
	evhttp_set_timeout(m->http, TIMEOUT_S);
	evhttp_set_cb(m->http, "/metrics", on_metrics, m);
	evhttp_set_cb(m->http, "/health", on_health, m);
	evhttp_set_gencb(m->http, on_page, m);
	return m;
}

/* Answers under way are freed with their connections. */
void metrics_free(struct metrics *m)
{
	if (!m)
		return;
	while (m->checkups) {
		health_cancel(m->checkups->health);
		checkup_free(m->checkups);
	}
	if (m->http)
		evhttp_free(m->http);
	free(m);
}
