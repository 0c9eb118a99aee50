#include "run/show.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { COLUMNS = 8, CELL = 48 };

struct show show_of(FILE *out)
{
	bool terminal = isatty(fileno(out)) == 1;
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	return (struct show){out, terminal, terminal && !(no_color && *no_color) && term && strcmp(term, "dumb") != 0};
}

/* --- values ---------------------------------------------------------------------- */

void show_text(FILE *out, const char *text)
{
	const unsigned char *c = (const unsigned char *)text;

	for (; *c; c++) {
		bool c1 = *c == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0;   /* U+0080 to U+009F */

		if (*c < 0x20 || *c == 0x7f || c1)
			fprintf(out, "\\%03u", c1 ? *++c : *c);
		else
			putc(*c, out);
	}
}

static const char *text_of(const json_t *object, const char *member)
{
	const char *text = json_string_value(json_object_get(object, member));

	return text && *text ? text : "-";
}

static bool has(const json_t *object, const char *member)
{
	const json_t *value = json_object_get(object, member);

	return value && !json_is_null(value);
}

static const char *number_text(const json_t *object, const char *member, char cell[CELL])
{
	const json_t *value = json_object_get(object, member);

	if (json_is_integer(value))
		snprintf(cell, CELL, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else
		strcpy(cell, "-");
	return cell;
}

/* "3d 4h": the two largest units. */
static void people_time(int64_t seconds, char cell[CELL])
{
	static const struct { char letter; int64_t factor; } units[] = {{'w', 604800}, {'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};
	const char *sign = seconds < 0 ? "-" : "";
	size_t i = 0;

	if (seconds < 0)
		seconds = -seconds;
	while (i < 4 && seconds < units[i].factor)
		i++;
	if (i < 4 && seconds % units[i].factor / units[i + 1].factor)
		snprintf(cell, CELL, "%s%" PRId64 "%c%" PRId64 "%c", sign, seconds / units[i].factor, units[i].letter,
			seconds % units[i].factor / units[i + 1].factor, units[i + 1].letter);
	else
		snprintf(cell, CELL, "%s%" PRId64 "%c", sign, seconds / units[i].factor, units[i].letter);
}

static const char *time_text(const struct show *show, const json_t *object, const char *member, char cell[CELL])
{
	const json_t *value = json_object_get(object, member);

	if (!json_is_number(value))
		strcpy(cell, "-");
	else if (show->terminal)
		people_time((int64_t)json_number_value(value), cell);
	else
		snprintf(cell, CELL, "%" PRId64, (int64_t)json_number_value(value));
	return cell;
}

/* --- status ---------------------------------------------------------------------- */

static const char *state_color(const char *state)
{
	static const struct { const char *state, *color; } colors[] = {
		{"ok", "\33[32m"}, {"refreshing", "\33[36m"}, {"held", "\33[36m"}, {"lagging", "\33[33m"},
	};

	for (size_t i = 0; i < sizeof colors / sizeof *colors; i++)
		if (strcmp(colors[i].state, state) == 0)
			return colors[i].color;
	return "\33[31m";
}

static void put_state(const struct show *show, const char *state)
{
	if (show->color)
		fputs(state_color(state), show->out);
	show_text(show->out, state);
	if (show->color)
		fputs("\33[0m", show->out);
}

static const char *const headings[COLUMNS] = {"ZONE", "SERIAL", "STATE", "PRIMARY", "AGE", "REFRESH", "EXPIRES", "REASON"};

struct row { const char *cells[COLUMNS]; char made[4][CELL]; };

static void make_row(const struct show *show, const json_t *zone, struct row *row)
{
	row->cells[0] = text_of(zone, "zone");
	row->cells[1] = number_text(zone, "serial", row->made[0]);
	row->cells[2] = text_of(zone, "state");
	row->cells[3] = text_of(zone, "primary");
	row->cells[4] = time_text(show, zone, "age", row->made[1]);
	row->cells[5] = time_text(show, zone, "refresh", row->made[2]);
	row->cells[6] = time_text(show, zone, "expiry", row->made[3]);
	row->cells[7] = text_of(zone, "reason");
}

static void put_row(const struct show *show, const char *const cells[COLUMNS], const size_t widths[COLUMNS], bool heading)
{
	for (size_t i = 0; i < COLUMNS; i++) {
		size_t length = strlen(cells[i]);
		bool last = i + 1 == COLUMNS;

		if (i == 2 && !heading)
			put_state(show, cells[i]);
		else
			show_text(show->out, cells[i]);
		if (!show->terminal)
			putc(last ? '\n' : '\t', show->out);
		else if (last)
			putc('\n', show->out);
		else
			fprintf(show->out, "%*s", (int)(widths[i] > length ? widths[i] - length : 0) + 2, "");
	}
}

void show_status_piece(const struct show *show, const json_t *zones, bool heading)
{
	static const size_t widths[COLUMNS];
	const json_t *zone;
	struct row row;
	size_t i;

	if (heading)
		put_row(show, headings, widths, true);
	json_array_foreach(zones, i, zone) {
		make_row(show, zone, &row);
		put_row(show, row.cells, widths, false);
	}
}

static void put_table(const struct show *show, const json_t *zones)
{
	size_t widths[COLUMNS], i;
	const json_t *zone;
	struct row row;

	for (i = 0; i < COLUMNS; i++)
		widths[i] = strlen(headings[i]);
	json_array_foreach(zones, i, zone) {
		make_row(show, zone, &row);
		for (size_t c = 0; c < COLUMNS; c++)
			if (strlen(row.cells[c]) > widths[c])
				widths[c] = strlen(row.cells[c]);
	}
	put_row(show, headings, widths, true);
	json_array_foreach(zones, i, zone) {
		make_row(show, zone, &row);
		put_row(show, row.cells, widths, false);
	}
}

/* "3 zones: 2 ok, 1 stale; lockstepd 0.1.0, up 2h3m" */
static void put_summary(const struct show *show, const json_t *done)
{
	const json_t *summary = json_object_get(done, "summary"), *value;
	json_int_t zones = json_integer_value(json_object_get(summary, "zones"));
	const char *state, *between = ":";
	char up[CELL] = "-";
	void *at = json_object_iter((json_t *)(uintptr_t)summary);

	fprintf(show->out, "%s%" JSON_INTEGER_FORMAT " zone%s", show->terminal ? "" : "# ", zones, zones == 1 ? "" : "s");
	for (; at; at = json_object_iter_next((json_t *)(uintptr_t)summary, at)) {
		state = json_object_iter_key(at);
		value = json_object_iter_value(at);
		if (strcmp(state, "zones") == 0 || json_integer_value(value) == 0)
			continue;
		fprintf(show->out, "%s %" JSON_INTEGER_FORMAT " ", between, json_integer_value(value));
		put_state(show, state);
		between = ",";
	}
	if (has(done, "uptime"))
		people_time((int64_t)json_number_value(json_object_get(done, "uptime")), up);
	fputs("; lockstepd ", show->out);
	show_text(show->out, text_of(done, "version"));
	fprintf(show->out, ", up %s\n", up);
	if (has(done, "state_error")) {
		fputs(show->terminal ? "not durable: " : "# not durable: ", show->out);
		show_text(show->out, text_of(done, "state_error"));
		putc('\n', show->out);
	}
}

/* One line for each copy that something is wrong with. */
static void put_storage(const struct show *show, const json_t *storage)
{
	static const char *const member[] = {"database_error", "log_error"};

	for (size_t i = 0; i < 2; i++) {
		if (!has(storage, member[i]))
			continue;
		fputs(show->terminal ? "state-dir degraded: " : "# state-dir degraded: ", show->out);
		show_text(show->out, text_of(storage, member[i]));
		putc('\n', show->out);
	}
}

static void put_line(const struct show *show, const char *name, const char *value)
{
	fprintf(show->out, "%-14s", name);
	show_text(show->out, value);
	putc('\n', show->out);
}

/* "7 (12s)" */
static void put_serial(const struct show *show, const json_t *zone, const char *name, const char *member, const char *age)
{
	char serial[CELL], since[CELL], both[2 * CELL + 16];
	struct show people = {show->out, true, false};

	number_text(zone, member, serial);
	if (has(zone, age))
		snprintf(both, sizeof both, "%s, since %s", serial, time_text(&people, zone, age, since));
	else
		snprintf(both, sizeof both, "%s", serial);
	put_line(show, name, both);
}

static void put_primary(const struct show *show, const json_t *primary)
{
	const json_t *healthy = json_object_get(primary, "healthy");
	struct show people = {show->out, true, false};
	char serial[CELL], age[CELL];

	fprintf(show->out, "%-14s", "primary");
	show_text(show->out, text_of(primary, "name"));
	fputs(" ", show->out);
	show_text(show->out, text_of(primary, "address"));
	fprintf(show->out, ": serial %s", number_text(primary, "serial", serial));
	if (has(primary, "age"))
		fprintf(show->out, ", asked %s ago", time_text(&people, primary, "age", age));
	if (json_is_boolean(healthy))
		fputs(!json_is_true(healthy) ? ", failing" : has(primary, "error") ? ", answering" : ", healthy", show->out);
	if (has(primary, "error")) {
		fputs("; last error: ", show->out);
		show_text(show->out, text_of(primary, "error"));
	}
	putc('\n', show->out);
}

static void put_failure(const struct show *show, const json_t *failure)
{
	fprintf(show->out, "%-14s", "last failure");
	show_text(show->out, text_of(failure, "time"));
	fputs(" ", show->out);
	show_text(show->out, text_of(failure, "primary"));
	fputs(": ", show->out);
	show_text(show->out, text_of(failure, "reason"));
	putc('\n', show->out);
}

/* "added, template customers", "member of catalog.example. in group x" */
static void put_origin(const struct show *show, const json_t *zone)
{
	bool member = has(zone, "catalog");

	if (!has(zone, "origin"))
		return;
	fprintf(show->out, "%-14s", "origin");
	show_text(show->out, member ? "member of " : text_of(zone, "origin"));
	if (member)
		show_text(show->out, text_of(zone, "catalog"));
	if (has(zone, "template")) {
		fputs(member ? ", group " : ", template ", show->out);
		show_text(show->out, text_of(zone, "template"));
	}
	putc('\n', show->out);
}

static void put_last_transfer(const struct show *show, const json_t *last)
{
	struct show people = {show->out, true, false};
	char records[CELL], bytes[CELL], age[CELL];

	fprintf(show->out, "%-14s%s, %s records, %s bytes, %.3f s, %s ago\n", "last transfer", text_of(last, "type"),
		number_text(last, "records", records), number_text(last, "bytes", bytes), json_number_value(json_object_get(last, "seconds")),
		time_text(&people, last, "age", age));
}

static void put_members(const struct show *show, const json_t *members)
{
	char listed[CELL], refused[CELL];

	fprintf(show->out, "%-14s%s, %s refused", "members", number_text(members, "members", listed), number_text(members, "refused", refused));
	if (has(members, "refused_why")) {
		fputs(": ", show->out);
		show_text(show->out, text_of(members, "refused_why"));
	}
	putc('\n', show->out);
	if (has(members, "error"))
		put_line(show, "catalog error", text_of(members, "error"));
}

/* "rewritten (mode rewrite)", and what is not as it is configured, by the finding's name. */
static void put_ns_set(const struct show *show, const json_t *ns)
{
	fprintf(show->out, "%-14s%s, mode ", "ns-set", json_is_true(json_object_get(ns, "rewritten")) ? "rewritten" :
		json_is_true(json_object_get(ns, "as_configured")) ? "as configured" : "not as configured");
	show_text(show->out, text_of(ns, "mode"));
	if (json_is_true(json_object_get(ns, "ahead")))
		fputs("; changed under the serial that is served: servers downstream will have it with the next one", show->out);
	putc('\n', show->out);
	if (has(ns, "finding")) {
		fprintf(show->out, "%-14s", "finding");
		show_text(show->out, text_of(ns, "finding"));
		fputs(": ", show->out);
		show_text(show->out, text_of(ns, "message"));
		putc('\n', show->out);
	}
}

/* "CRITICAL, 2m ago", a line for each nameserver, and for each finding. */
static void put_check(const struct show *show, const json_t *check)
{
	struct show people = {show->out, true, false};
	const json_t *each;
	char cell[CELL];
	size_t i;

	fprintf(show->out, "%-14s", "check");
	show_text(show->out, text_of(check, "status"));
	fprintf(show->out, ", %s ago\n", time_text(&people, check, "age", cell));
	json_array_foreach(json_object_get(check, "nameservers"), i, each) {
		fprintf(show->out, "%-14s", "nameserver");
		show_text(show->out, text_of(each, "name"));
		putc(' ', show->out);
		show_text(show->out, text_of(each, "address"));
		fprintf(show->out, ": serial %s", number_text(each, "serial", cell));
		if (json_integer_value(json_object_get(each, "lag")) > 0)
			fprintf(show->out, ", behind for %s", time_text(&people, each, "lag", cell));
		putc('\n', show->out);
	}
	json_array_foreach(json_object_get(check, "findings"), i, each) {
		fprintf(show->out, "%-14s", "finding");
		show_text(show->out, text_of(each, "id"));
		fprintf(show->out, " (%s)", text_of(each, "severity"));
		if (has(each, "server"))
			fprintf(show->out, " %s", text_of(each, "server"));
		if (has(each, "address"))
			fprintf(show->out, " %s", text_of(each, "address"));
		fputs(": ", show->out);
		show_text(show->out, text_of(each, "message"));
		putc('\n', show->out);
	}
	if (has(check, "more"))
		fprintf(show->out, "%-14s... and %s more\n", "finding", number_text(check, "more", cell));
}

static void put_zone(const struct show *show, const json_t *zone)
{
	struct show people = {show->out, true, show->color};
	const json_t *primary;
	char cell[CELL], ago[CELL + 8];
	size_t i;

	put_line(show, "zone", text_of(zone, "zone"));
	fprintf(show->out, "%-14s", "state");
	put_state(show, text_of(zone, "state"));
	putc('\n', show->out);
	if (has(zone, "reason"))
		put_line(show, "reason", text_of(zone, "reason"));
	put_serial(show, zone, "served", "serial", "changed");
	put_line(show, "durable", number_text(zone, "durable", cell));
	put_serial(show, zone, "in its file", "written", "written_age");
	put_serial(show, zone, "best known", "best", "best_age");
	if (has(zone, "notified"))
		put_serial(show, zone, "notified", "notified", "notified_age");
	if (has(zone, "check"))
		put_check(show, json_object_get(zone, "check"));
	if (has(zone, "ns_set"))
		put_ns_set(show, json_object_get(zone, "ns_set"));
	put_line(show, "source", text_of(zone, "source"));
	put_origin(show, zone);
	if (has(zone, "primary"))
		put_line(show, "came from", text_of(zone, "primary"));
	put_line(show, "file", text_of(zone, "file"));
	if (has(zone, "file_error"))
		put_line(show, "file error", text_of(zone, "file_error"));
	put_line(show, "records", number_text(zone, "records", cell));
	put_line(show, "memory", number_text(zone, "memory", cell));
	snprintf(ago, sizeof ago, "%s%s", time_text(&people, zone, "age", cell), has(zone, "age") ? " ago" : "");
	put_line(show, "confirmed", ago);
	put_line(show, "refresh in", time_text(&people, zone, "refresh", cell));
	put_line(show, "expires in", time_text(&people, zone, "expiry", cell));
	if (has(zone, "last_transfer"))
		put_last_transfer(show, json_object_get(zone, "last_transfer"));
	if (has(zone, "members"))
		put_members(show, json_object_get(zone, "members"));
	json_array_foreach(json_object_get(zone, "primaries"), i, primary)
		put_primary(show, primary);
	if (has(zone, "last_failure"))
		put_failure(show, json_object_get(zone, "last_failure"));
}

void show_status(const struct show *show, const json_t *done, bool full, bool summary)
{
	const json_t *zones = json_object_get(done, "zones");

	if (full && json_array_size(zones) == 1)
		put_zone(show, json_array_get(zones, 0));
	else if (json_array_size(zones) || summary)
		put_table(show, zones);
	if (summary)
		show_status_end(show, done);
	else if (has(done, "storage"))
		put_storage(show, json_object_get(done, "storage"));
}

void show_status_end(const struct show *show, const json_t *done)
{
	put_summary(show, done);
	if (has(done, "storage"))
		put_storage(show, json_object_get(done, "storage"));
}

/* --- the other verbs ------------------------------------------------------------- */

static void put_transfer(const struct show *show, const json_t *zone)
{
	const char *result = text_of(zone, "result");
	bool current = strcmp(result, "current") == 0;
	char old[CELL], new[CELL], records[CELL], bytes[CELL];

	if (strcmp(result, "failed") == 0)
		return;                      /* said on standard error */
	show_text(show->out, text_of(zone, "zone"));
	number_text(zone, "old", old);
	number_text(zone, "new", new);
	if (current)
		fprintf(show->out, ": %s is current", has(zone, "new") ? new : old);
	else
		fprintf(show->out, ": %s -> %s by %s", old, new, text_of(zone, "type"));
	if (has(zone, "primary")) {
		fputs(current ? " at " : " from ", show->out);
		show_text(show->out, text_of(zone, "primary"));
	}
	if (!current)
		fprintf(show->out, ", %s records, %s bytes, %.3f s", number_text(zone, "records", records),
			number_text(zone, "bytes", bytes), json_number_value(json_object_get(zone, "seconds")));
	putc('\n', show->out);
}

void show_transfer(const struct show *show, const json_t *done)
{
	const json_t *zone;
	size_t i;

	json_array_foreach(json_object_get(done, "zones"), i, zone)
		put_transfer(show, zone);
}

void show_count(const struct show *show, const json_t *done, const char *verb)
{
	const json_t *zone;
	size_t i, ok = 0;

	json_array_foreach(json_object_get(done, "zones"), i, zone)
		ok += strcmp(text_of(zone, "result"), "ok") == 0;
	if (ok)
		fprintf(show->out, "%s: %zu zone%s\n", verb, ok, ok == 1 ? "" : "s");
}

void show_reload(const struct show *show, const json_t *done)
{
	char added[CELL], removed[CELL], changed[CELL], zones[CELL];

	fprintf(show->out, "reload: %s added, %s removed, %s changed; %s zone%s\n", number_text(done, "added", added),
		number_text(done, "removed", removed), number_text(done, "changed", changed), number_text(done, "zones", zones),
		json_integer_value(json_object_get(done, "zones")) == 1 ? "" : "s");
}

static void put_counters(const struct show *show, const json_t *object, const char *prefix)
{
	void *at = json_object_iter((json_t *)(uintptr_t)object);

	for (; at; at = json_object_iter_next((json_t *)(uintptr_t)object, at)) {
		const json_t *value = json_object_iter_value(at);
		char name[200], cell[CELL];

		snprintf(name, sizeof name, "%s%s%s", prefix, *prefix ? "." : "", json_object_iter_key(at));
		if (json_is_object(value)) {
			put_counters(show, value, name);
			continue;
		}
		show_text(show->out, name);
		if (json_is_string(value)) {
			putc('\t', show->out);
			show_text(show->out, json_string_value(value));
		} else if (json_is_real(value)) {
			fprintf(show->out, "\t%.6g", json_real_value(value));
		} else {
			fprintf(show->out, "\t%s", number_text(object, json_object_iter_key(at), cell));
		}
		putc('\n', show->out);
	}
}

void show_stats(const struct show *show, const json_t *done)
{
	put_counters(show, done, "");
}

void show_progress(FILE *out, const json_t *progress)
{
	char records[CELL], bytes[CELL];

	fputs("\r\33[K", out);
	show_text(out, text_of(progress, "zone"));
	fprintf(out, ": %s records, %s bytes, %.1f s", number_text(progress, "records", records),
		number_text(progress, "bytes", bytes), json_number_value(json_object_get(progress, "seconds")));
	fflush(out);
}

void show_bar(FILE *out, uint64_t done, uint64_t all, const char *text)
{
	enum { WIDTH = 30 };
	unsigned filled = all ? (unsigned)(done * WIDTH / all) : 0;
	char bar[WIDTH + 1];

	memset(bar, '.', WIDTH);
	memset(bar, '#', filled < WIDTH ? filled : WIDTH);
	bar[WIDTH] = 0;
	fprintf(out, "\r\33[K[%s] %3u%%  %llu of %llu, ", bar, all ? (unsigned)(done * 100 / all) : 0, (unsigned long long)done,
		(unsigned long long)all);
	show_text(out, text);
	fflush(out);
}

void show_progress_end(FILE *out)
{
	fputs("\r\33[K", out);
	fflush(out);
}
