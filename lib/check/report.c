#include "check/report.h"

#include <stdlib.h>
#include <string.h>

enum { SETS_NAMED = 26 };

static enum finding_status status_of(const struct report_zone *zone)
{
	return zone->verdict ? findings_status(zone->verdict->findings) : STATUS_UNKNOWN;
}

enum finding_status report_status(const struct report *report)
{
	enum finding_status status = report->count ? STATUS_OK : STATUS_UNKNOWN;

	for (size_t i = 0; i < report->count; i++)
		status = finding_status_worse(status, status_of(&report->zones[i]));
	return status;
}

/* --- the first line ------------------------------------------------------------- */

struct totals {
	size_t servers, found[SEVERITY_COUNT], findings, bad_zones;
	int64_t lag, rtt_us;         /* the longest */
	size_t newest, behind;       /* addresses that show their zone's newest serial, or an older one; the others show none */
	struct serial older;         /* what the first of those behind shows, */
	bool several;                /* and others of them something else */
	bool kept;
	int64_t age;                 /* of the oldest that was kept */
};

static void add_row(struct totals *totals, const struct verdict *verdict, const struct verdict_row *row)
{
	if (row->lag > totals->lag)
		totals->lag = row->lag;
	if (row->rtt_us > totals->rtt_us)
		totals->rtt_us = row->rtt_us;
	if (!row->shows_serial)
		return;
	if (serial_equal(row->serial, verdict->serial)) {
		totals->newest++;
		return;
	}
	if (!totals->behind++)
		totals->older = row->serial;
	totals->several = totals->several || !serial_equal(totals->older, row->serial);
}

static void add_zone(struct totals *totals, const struct report_zone *zone)
{
	const struct verdict *verdict = zone->verdict;

	totals->bad_zones += status_of(zone) != STATUS_OK;
	if (!verdict) {
		totals->found[SEVERITY_UNKNOWN]++;
		totals->findings++;
		return;
	}
	totals->kept |= verdict->kept;
	totals->age = verdict->age > totals->age ? verdict->age : totals->age;
	totals->servers += verdict->row_count;
	totals->findings += findings_count(verdict->findings) + findings_lost(verdict->findings);
	for (size_t i = 0; i < findings_count(verdict->findings); i++)
		totals->found[findings_at(verdict->findings, i)->severity]++;
	for (size_t i = 0; i < verdict->row_count; i++)
		add_row(totals, verdict, &verdict->rows[i]);
}

/* In the first line a "|" begins the performance data. */
static void put_plain(FILE *out, const char *text)
{
	for (; *text; text++)
		putc(*text == '|' ? '/' : *text, out);
}

static void put_place(FILE *out, const struct finding *f)
{
	if (f->server)
		fprintf(out, " %s", f->server);
	if (f->address)
		fprintf(out, " %s", f->address);
}

static void put_worst(FILE *out, const struct report_zone *zone)
{
	const struct finding *f;

	fprintf(out, "%s: ", zone->name);
	if (!zone->verdict) {
		put_plain(out, zone->failed);
		return;
	}
	if (!findings_count(zone->verdict->findings)) {
		fputs("out of memory", out);
		return;
	}
	f = findings_at(zone->verdict->findings, 0);
	fputs(finding_name(f->id), out);
	put_place(out, f);
	fputs(": ", out);
	put_plain(out, f->message);
}

static const struct report_zone *worst_zone(const struct report *report, enum finding_status status)
{
	for (size_t i = 0; i < report->count; i++)
		if (status_of(&report->zones[i]) == status)
			return &report->zones[i];
	return NULL;
}

/* Who does not show the newest serial; that may be well, for a while. */
static void put_not_newest(FILE *out, const struct report *report, const struct totals *totals)
{
	size_t none = totals->servers - totals->newest - totals->behind;

	if (totals->behind && report->count == 1 && !totals->several)
		fprintf(out, ", %zu still at serial %u, lag %lld s", totals->behind, totals->older.v, (long long)totals->lag);
	else if (totals->behind)
		fprintf(out, ", %zu still at an older one, lag %lld s", totals->behind, (long long)totals->lag);
	if (none)
		fprintf(out, ", %zu without one", none);
}

static void put_well(FILE *out, const struct report *report, const struct totals *totals)
{
	const struct verdict *verdict = report->count == 1 ? report->zones[0].verdict : NULL;
	bool all = totals->newest == totals->servers;

	if (!verdict && all) {
		fprintf(out, "%zu zones in step at all their nameservers", report->count);
		return;
	}
	if (verdict && !verdict->serial_known) {
		fprintf(out, "%s: nothing to complain of", verdict->zone);
		return;
	}
	if (verdict)
		fprintf(out, "%s: serial %u at ", verdict->zone, verdict->serial.v);
	else
		fprintf(out, "%zu zones, their newest serial at ", report->count);
	if (!all)
		fprintf(out, "%zu of ", totals->newest);
	fprintf(out, "%zu address%s", totals->servers, totals->servers == 1 ? "" : "es");
	put_not_newest(out, report, totals);
}

void report_first_line(const struct report *report, FILE *out)
{
	enum finding_status status = report_status(report);
	const struct report_zone *worst = worst_zone(report, status);
	struct totals totals = {0};

	for (size_t i = 0; i < report->count; i++)
		add_zone(&totals, &report->zones[i]);
	fprintf(out, "LOCKSTEP %s - ", finding_status_name(status));
	if (status == STATUS_OK)
		put_well(out, report, &totals);
	else if (worst)
		put_worst(out, worst);
	else
		fputs("there is no zone to check", out);
	if (totals.findings > 1)
		fprintf(out, " (and %zu more%s)", totals.findings - 1, totals.bad_zones > 1 ? ", in several zones" : "");
	fprintf(out, " | zones=%zu servers=%zu critical=%zu unknown=%zu warning=%zu lag=%llds rtt=%.6fs", report->count,
		totals.servers, totals.found[SEVERITY_CRITICAL], totals.found[SEVERITY_UNKNOWN], totals.found[SEVERITY_WARNING],
		(long long)totals.lag, (double)totals.rtt_us / 1e6);
	if (totals.kept)
		fprintf(out, " age=%llds", (long long)totals.age);
	putc('\n', out);
}

void report_unknown(FILE *out, const char *why)
{
	fputs("LOCKSTEP UNKNOWN - ", out);
	put_plain(out, why);
	fputs(" | zones=0\n", out);
}

/* --- the table ------------------------------------------------------------------ */

enum { COLUMNS = 9, CELL_SIZE = NAME_TEXT_SIZE };
static const char *const heads[COLUMNS] = {"NAMESERVER", "ADDRESS", "SERIAL", "LAG", "NS SET", "RTT", "UDP", "TCP", "EDNS"};

static const char *answer_text(enum verdict_answer answer)
{
	switch (answer) {
	case ANSWER_UNASKED:
		return "-";
	case ANSWER_GOOD:
		return "ok";
	case ANSWER_BAD:
		return "no";
	}
	return "?";
}

/* What stands in a cell; `room` is where it may be put. */
static const char *cell(const struct verdict_row *row, int column, char room[40])
{
	switch (column) {
	case 0:
		return row->name;
	case 1:
		return row->address;
	case 2:
		if (!row->shows_serial)
			return row->says;
		snprintf(room, 40, "%u", row->serial.v);
		return room;
	case 3:
		if (!row->shows_serial)
			return "-";
		snprintf(room, 40, "%lld s", (long long)row->lag);
		return room;
	case 4:
		if (!row->ns_set)
			return "-";
		snprintf(room, 40, row->ns_set <= SETS_NAMED ? "%c" : "%c+", row->ns_set <= SETS_NAMED ? 'A' + (int)row->ns_set - 1 : 'Z');
		return room;
	case 5:
		if (row->rtt_us < 0)
			return "-";
		snprintf(room, 40, "%.1f ms", (double)row->rtt_us / 1000);
		return room;
	case 6:
		return answer_text(row->udp);
	case 7:
		return answer_text(row->tcp);
	default:
		return answer_text(row->edns);
	}
}

enum shade { PLAIN, GOOD, FAIR, BAD };
static const char *const shades[] = {"", "\033[32m", "\033[33m", "\033[31m"};

static enum shade shade_of(const struct verdict *verdict, const struct verdict_row *row, int column)
{
	switch (column) {
	case 2:
		return !row->shows_serial ? BAD : serial_equal(row->serial, verdict->serial) ? GOOD : FAIR;
	case 3:
		return row->shows_serial && row->lag ? FAIR : PLAIN;
	case 4:
		return row->ns_set > 1 ? BAD : PLAIN;
	case 6:
		return row->udp == ANSWER_BAD ? BAD : PLAIN;
	case 7:
		return row->tcp == ANSWER_BAD ? FAIR : PLAIN;
	case 8:
		return row->edns == ANSWER_BAD ? FAIR : PLAIN;
	default:
		return PLAIN;
	}
}

static void put_cell(FILE *out, const char *text, size_t width, const char *shade)
{
	fputs(shade, out);
	fputs(text, out);
	if (*shade)
		fputs("\033[0m", out);
	for (size_t n = strlen(text); n < width; n++)
		putc(' ', out);
}

static void put_table(FILE *out, const struct report *report, const struct verdict *verdict)
{
	size_t width[COLUMNS];
	char room[40];

	for (int c = 0; c < COLUMNS; c++) {
		width[c] = strlen(heads[c]);
		for (size_t i = 0; i < verdict->row_count; i++) {
			size_t n = strlen(cell(&verdict->rows[i], c, room));

			width[c] = n > width[c] ? n : width[c];
		}
		fputs("  ", out);
		put_cell(out, heads[c], c < COLUMNS - 1 ? width[c] : 0, "");
	}
	putc('\n', out);
	for (size_t i = 0; i < verdict->row_count; i++) {
		for (int c = 0; c < COLUMNS; c++) {
			fputs("  ", out);
			put_cell(out, cell(&verdict->rows[i], c, room), c < COLUMNS - 1 ? width[c] : 0,
				report->color ? shades[shade_of(verdict, &verdict->rows[i], c)] : "");
		}
		putc('\n', out);
	}
}

/* What the letters stand for, where there are several. */
static void put_sets(FILE *out, const struct verdict *verdict)
{
	unsigned most = 0, said = 0;
	char room[40];

	for (size_t i = 0; i < verdict->row_count; i++)
		most = verdict->rows[i].ns_set > most ? verdict->rows[i].ns_set : most;
	while (most > 1 && said < most && said < SETS_NAMED) {
		said++;
		for (size_t i = 0; i < verdict->row_count; i++) {
			if (verdict->rows[i].ns_set != said)
				continue;
			fprintf(out, "  NS set %s: %s\n", cell(&verdict->rows[i], 4, room), verdict->rows[i].ns_names);
			break;
		}
	}
}

static const char *shade_of_status(const struct report *report, enum finding_status status)
{
	return shades[!report->color ? PLAIN : status == STATUS_OK ? GOOD : status == STATUS_CRITICAL ? BAD : FAIR];
}

static void put_findings(FILE *out, const struct report *report, const struct findings *findings)
{
	for (size_t i = 0; i < findings_count(findings); i++) {
		const struct finding *f = findings_at(findings, i);

		fputs("  ", out);
		put_cell(out, finding_severity_name(f->severity), 10, !report->color ? "" : shades[f->severity == SEVERITY_CRITICAL ? BAD : FAIR]);
		fputs(finding_name(f->id), out);
		put_place(out, f);
		fprintf(out, ": %s\n", f->message);
		if (f->expected)
			fprintf(out, "    - %s\n", f->expected);
		if (f->got)
			fprintf(out, "    + %s\n", f->got);
	}
	if (findings_lost(findings))
		fprintf(out, "  ... and %zu more\n", findings_lost(findings));
}

static void put_zone(FILE *out, const struct report *report, const struct report_zone *zone)
{
	enum finding_status status = status_of(zone);
	const struct verdict *verdict = zone->verdict;

	if (report->quiet && status == STATUS_OK)
		return;
	fputs("\n", out);
	put_cell(out, zone->name, 0, "");
	fputs("  ", out);
	put_cell(out, finding_status_name(status), 0, shade_of_status(report, status));
	if (!verdict) {
		fprintf(out, "  %s\n", zone->failed);
		return;
	}
	if (verdict->serial_known)
		fprintf(out, "  serial %u, first seen %lld s ago", verdict->serial.v,
			(long long)(report->now > verdict->serial_since ? report->now - verdict->serial_since : 0));
	if (verdict->kept)
		fprintf(out, "%s checked %lld s ago", verdict->serial_known ? "," : " ", (long long)verdict->age);
	putc('\n', out);
	if (verdict->row_count && !report->quiet) {
		put_table(out, report, verdict);
		put_sets(out, verdict);
	}
	put_findings(out, report, verdict->findings);
}

void report_text(const struct report *report, FILE *out)
{
	enum finding_status status = report_status(report);

	if (report->quiet && status == STATUS_OK)
		return;
	report_first_line(report, out);
	for (size_t i = 0; i < report->count; i++)
		put_zone(out, report, &report->zones[i]);
}

/* --- JSON ---------------------------------------------------------------------- */

static json_t *text_or_null(const char *text)
{
	return text ? json_string(text) : json_null();
}

/* The names of what was found at the row's address, or of its name, each once. */
static json_t *row_findings(const struct verdict_row *row, const struct findings *findings)
{
	json_t *names = json_array();
	bool has[FINDING_COUNT] = {false};

	for (size_t i = 0; i < findings_count(findings); i++) {
		const struct finding *f = findings_at(findings, i);

		if (!f->server || strcmp(f->server, row->name) != 0 || (f->address && strcmp(f->address, row->address) != 0) || has[f->id])
			continue;
		has[f->id] = true;
		json_array_append_new(names, json_string(finding_name(f->id)));
	}
	return names;
}

static json_t *row_object(const struct verdict_row *row, const struct findings *findings)
{
	return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "name", row->name, "address", row->address, "provider", text_or_null(row->provider),
		"serial", row->shows_serial ? json_integer(row->serial.v) : json_null(),
		"lag", row->shows_serial ? json_integer(row->lag) : json_null(),
		"rtt", row->rtt_us >= 0 ? json_real((double)row->rtt_us / 1e6) : json_null(), "findings", row_findings(row, findings));
}

static json_t *finding_object(const struct finding *f)
{
	json_t *object = json_pack("{s:s, s:s, s:o, s:o, s:s}", "id", finding_name(f->id),
		"severity", finding_severity_name(f->severity), "server", text_or_null(f->server),
		"address", text_or_null(f->address), "message", f->message);

	if (object && f->owner) {
		json_object_set_new(object, "owner", json_string(f->owner));
		json_object_set_new(object, "type", text_or_null(f->type));
		json_object_set_new(object, "expected", text_or_null(f->expected));
		json_object_set_new(object, "got", text_or_null(f->got));
	}
	return object;
}

/* Where the check itself failed: as a finding, so that nobody takes it for well. */
static json_t *failed_object(const struct report_zone *zone)
{
	char message[WHY_MAX];

	snprintf(message, sizeof message, "%s", zone->failed);
	for (char *c = message; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	return json_pack("{s:s?, s:s, s:n, s:[], s:[{s:s, s:s, s:n, s:n, s:s}]}", "zone", zone->name,
		"status", finding_status_name(STATUS_UNKNOWN), "serial", "nameservers", "findings",
		"id", finding_name(FINDING_CHECK_INCOMPLETE), "severity", finding_severity_name(SEVERITY_UNKNOWN),
		"server", "address", "message", message);
}

static json_t *zone_object(const struct report_zone *zone)
{
	const struct verdict *verdict = zone->verdict;
	json_t *rows, *found, *object;

	if (!verdict)
		return failed_object(zone);
	rows = json_array();
	found = json_array();
	for (size_t i = 0; i < verdict->row_count; i++)
		json_array_append_new(rows, row_object(&verdict->rows[i], verdict->findings));
	for (size_t i = 0; i < findings_count(verdict->findings); i++)
		json_array_append_new(found, finding_object(findings_at(verdict->findings, i)));
	object = json_pack("{s:s, s:s, s:o, s:o, s:o}", "zone", verdict->zone, "status", finding_status_name(status_of(zone)), "serial",
		verdict->serial_known ? json_integer(verdict->serial.v) : json_null(), "nameservers", rows, "findings", found);
	if (verdict->kept)
		json_object_set_new(object, "age", json_integer(verdict->age));
	return object;
}

/* Who reads the list must see that it is not all of it. */
static json_t *lost_object(const struct findings *findings)
{
	char message[80];

	snprintf(message, sizeof message, "%zu more were found, which are not in this list", findings_lost(findings));
	return json_pack("{s:s, s:s, s:n, s:n, s:s}", "id", finding_name(FINDING_CHECK_INCOMPLETE), "severity",
		finding_severity_name(findings_lost_severity(findings)), "server", "address", "message", message);
}

json_t *report_json_of(const struct report_zone *zone)
{
	json_t *object = zone_object(zone);

	if (object && zone->verdict && findings_lost(zone->verdict->findings))
		json_array_append_new(json_object_get(object, "findings"), lost_object(zone->verdict->findings));
	return object;
}

bool report_json(const struct report *report, FILE *out)
{
	json_t *document;
	bool ok;

	if (report->quiet && report_status(report) == STATUS_OK)
		return true;
	document = report->count == 1 ? report_json_of(&report->zones[0]) : json_array();
	for (size_t i = 0; report->count != 1 && i < report->count; i++)
		json_array_append_new(document, report_json_of(&report->zones[i]));
	ok = document && json_dumpf(document, out, JSON_INDENT(2) | JSON_ENSURE_ASCII | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(6)) == 0;
	json_decref(document);
	if (ok)
		putc('\n', out);
	return ok;
}

bool report_unknown_json(FILE *out, char *const *zones, size_t count, const char *why)
{
	struct report_zone *failed = calloc(count + 1, sizeof *failed);
	struct report report = {.zones = failed, .count = count ? count : 1};
	bool ok = failed != NULL;

	for (size_t i = 0; ok && i < report.count; i++)
		failed[i] = (struct report_zone){count ? zones[i] : NULL, NULL, why};
	ok = ok && report_json(&report, out);
	free(failed);
	return ok;
}

/* --- kept, and taken out again ----------------------------------------------------- */

json_t *report_kept_of(const struct report_zone *zone)
{
	const struct verdict *verdict = zone->verdict;
	json_t *object = zone_object(zone), *rows = json_object_get(object, "nameservers");

	for (size_t i = 0; verdict && i < verdict->row_count; i++) {
		const struct verdict_row *row = &verdict->rows[i];
		json_t *more = json_pack("{s:s, s:s, s:s, s:s, s:i, s:o}", "says", row->says, "udp", answer_text(row->udp),
			"tcp", answer_text(row->tcp), "edns", answer_text(row->edns), "ns_set", (int)row->ns_set,
			"ns_names", text_or_null(row->ns_names));

		json_object_update(json_array_get(rows, i), more);
		json_decref(more);
	}
	if (verdict && verdict->serial_known)
		json_object_set_new(object, "first_seen", json_integer(verdict->serial_since));
	if (verdict && findings_lost(verdict->findings))
		json_object_set_new(object, "more", json_integer((json_int_t)findings_lost(verdict->findings)));
	return object;
}

void report_kept_cut(json_t *kept, size_t most)
{
	json_t *found = json_object_get(kept, "findings");
	json_int_t more = json_integer_value(json_object_get(kept, "more"));

	if (json_array_size(found) <= most)
		return;
	more += (json_int_t)(json_array_size(found) - most);
	for (size_t left = json_array_size(found); left > most; left--)
		json_array_remove(found, left - 1);
	json_object_set_new(kept, "more", json_integer(more));
}

/* NULL: it is no text, or out of memory. */
static const char *text_in(struct arena *arena, const json_t *object, const char *member)
{
	const char *text = json_string_value(json_object_get(object, member));
	char *own = text ? arena_strdup(arena, text) : NULL;

	for (char *at = own; at && *at; at++)
		if (*at < ' ' || *at > '~')
			*at = '?';
	return own;
}

static enum verdict_answer answer_in(const json_t *object, const char *member)
{
	const char *text = json_string_value(json_object_get(object, member));

	for (enum verdict_answer answer = ANSWER_GOOD; text && answer <= ANSWER_BAD; answer++)
		if (strcmp(text, answer_text(answer)) == 0)
			return answer;
	return ANSWER_UNASKED;
}

static bool row_in(struct arena *arena, const json_t *object, struct verdict_row *row)
{
	const json_t *serial = json_object_get(object, "serial"), *rtt = json_object_get(object, "rtt");
	json_int_t set = json_integer_value(json_object_get(object, "ns_set"));

	*row = (struct verdict_row){.name = text_in(arena, object, "name"), .address = text_in(arena, object, "address"),
		.provider = text_in(arena, object, "provider"),
		.shows_serial = json_is_integer(serial), .serial = {(uint32_t)json_integer_value(serial)},
		.lag = json_integer_value(json_object_get(object, "lag")),
		.rtt_us = json_is_number(rtt) && json_number_value(rtt) < 1e6 ? (int64_t)(json_number_value(rtt) * 1e6 + 0.5) : -1,
		.says = text_in(arena, object, "says"),
		.udp = answer_in(object, "udp"), .tcp = answer_in(object, "tcp"), .edns = answer_in(object, "edns"),
		.ns_names = text_in(arena, object, "ns_names")};
	row->ns_set = set > 0 && set <= INT16_MAX && row->ns_names ? (unsigned)set : 0;
	return row->name && row->address && row->says;
}

static bool rows_in(struct verdict *verdict, const json_t *rows)
{
	const json_t *object;
	size_t i;

	verdict->rows = arena_zero(&verdict->arena, (json_array_size(rows) + 1) * sizeof *verdict->rows);
	if (!verdict->rows)
		return false;
	json_array_foreach(rows, i, object)
		if (!row_in(&verdict->arena, object, &verdict->rows[verdict->row_count++]))
			return false;
	return true;
}

static bool known_finding(const json_t *object, enum finding_id *id, enum finding_severity *severity)
{
	const char *name = json_string_value(json_object_get(object, "id")), *level = json_string_value(json_object_get(object, "severity"));

	return name && level && finding_parse(name, id) && finding_severity_parse(level, severity);
}

static bool findings_in(struct findings *findings, const json_t *found)
{
	const json_t *object;
	size_t i;

	json_array_foreach(found, i, object) {
		struct finding_place place = {json_string_value(json_object_get(object, "server")),
			json_string_value(json_object_get(object, "address")), json_string_value(json_object_get(object, "owner")),
			json_string_value(json_object_get(object, "type")), json_string_value(json_object_get(object, "expected")),
			json_string_value(json_object_get(object, "got"))};
		const char *message = json_string_value(json_object_get(object, "message"));
		enum finding_severity severity;
		enum finding_id id;

		if (known_finding(object, &id, &severity) && message && !findings_put(findings, id, severity, &place, message))
			return false;
	}
	return true;
}

struct verdict *report_verdict_of(const json_t *kept, int64_t age)
{
	const json_t *serial = json_object_get(kept, "serial"), *found = json_object_get(kept, "findings");
	json_int_t more = json_integer_value(json_object_get(kept, "more"));
	struct verdict *verdict = calloc(1, sizeof *verdict);

	if (!verdict)
		return NULL;
	*verdict = (struct verdict){.findings = findings_new(NULL), .serial_known = json_is_integer(serial),
		.serial = {(uint32_t)json_integer_value(serial)},
		.serial_since = json_integer_value(json_object_get(kept, "first_seen")), .kept = true, .age = age};
	if (verdict->findings && more > 0 && more <= UINT32_MAX)
		findings_lose(verdict->findings, (size_t)more);
	verdict->zone = text_in(&verdict->arena, kept, "zone");
	if (verdict->zone && verdict->findings && json_is_array(found) && rows_in(verdict, json_object_get(kept, "nameservers")) &&
	    findings_in(verdict->findings, found))
		return verdict;
	verdict_free(verdict);
	return NULL;
}
