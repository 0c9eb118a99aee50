#include "run/diffing.h"

#include "base/arena.h"
#include "base/clock.h"
#include "check/delegation.h"
#include "check/differ.h"
#include "check/report.h"
#include "dns/rrtext.h"
#include "run/interrupt.h"
#include "run/obtain.h"
#include "run/show.h"
#include "run/subject.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PROGRESS_MS = 200, RATE = 1000 /* questions a second to one server */, UNDER_WAY = 512, KEPT_MAX = FINDINGS_MAX };

/* One address of a nameserver. */
struct target {
	const char *name;            /* with its final dot */
	char address[NET_ADDR_TEXT];
};
/* A difference, kept for printing. Texts as in struct difference. */
struct kept {
	size_t server;
	const uint8_t *owner;
	uint16_t type;
	enum difference_kind kind;
	const char *expected, *got;
};
struct diffing {
	const struct command *command;
	struct subject subject;
	struct delegation *delegation;
	struct survey *survey;       /* NULL: the servers were given */
	struct arena arena;
	struct zone *zone;
	char source[OBTAIN_SOURCE];
	struct event_base *loop;
	struct interrupt interrupt;
	struct event *progress;      /* NULL: none is shown */
	struct prober *prober;
	struct differ *differ;
	struct target *targets;
	struct net_addr *addresses;
	size_t target_count;
	struct kept *kept;
	size_t kept_count, lost;
	bool interrupted;
	bool said;                   /* something was printed on standard output */
	int64_t began, ended;        /* ms of clock_ms */
};

static const char *plural(uint64_t n, const char *one, const char *many)
{
	return n == 1 ? one : many;
}

/* Where they are off nobody wants to hear of them. */
static bool differences_are_off(const struct diffing *d)
{
	return d->subject.verdict.levels.level[FINDING_ANSWER_DIFF] == 1 + SEVERITY_OFF;
}

static uint64_t differences_at(const struct diffing *d, size_t server)
{
	return differences_are_off(d) ? 0 : differ_rows(d->differ)[server].differences;
}

/* --- differences ------------------------------------------------------------------------- */

static void on_difference(void *ctx, size_t server, const struct difference *difference)
{
	struct diffing *d = ctx;
	struct kept *kept = &d->kept[d->kept_count];

	if (differences_are_off(d))
		return;
	if (d->kept_count == KEPT_MAX) {
		d->lost++;
		return;
	}
	*kept = (struct kept){server, arena_dup(&d->arena, difference->owner, name_length(difference->owner)), difference->type, difference->kind,
		arena_strdup(&d->arena, difference->expected.text), arena_strdup(&d->arena, difference->got.text)};
	if (kept->owner && kept->expected && kept->got)
		d->kept_count++;
	else
		d->lost++;
}

static int compare_kept(const void *left, const void *right)
{
	const struct kept *a = left, *b = right;
	int order = a->server == b->server ? name_compare(a->owner, b->owner) : a->server < b->server ? -1 : 1;

	return order ? order : (a->type > b->type) - (a->type < b->type);
}

/* --- asking ------------------------------------------------------------------------------ */

static void on_done(void *ctx)
{
	struct diffing *d = ctx;

	event_base_loopbreak(d->loop);
}

static void on_signal(evutil_socket_t fd, short what, void *ctx)
{
	struct diffing *d = ctx;

	(void)fd;
	(void)what;
	d->interrupted = true;
	event_base_loopbreak(d->loop);
}

static void on_progress(evutil_socket_t fd, short what, void *ctx)
{
	struct diffing *d = ctx;
	uint64_t done, all;
	char text[64];

	(void)fd;
	(void)what;
	if (!d->differ)
		return;
	differ_progress(d->differ, &done, &all);
	snprintf(text, sizeof text, "%zu difference%s", d->kept_count + d->lost, plural(d->kept_count + d->lost, "", "s"));
	show_bar(stderr, done, all, text);
}

static bool watch(struct diffing *d, bool bar)
{
	struct timeval tv = {0, PROGRESS_MS * 1000};

	d->loop = event_base_new();
	if (!d->loop || !interrupt_begin(&d->interrupt, d->loop, on_signal, d))
		return false;
	d->progress = bar ? event_new(d->loop, -1, EV_PERSIST, on_progress, d) : NULL;
	return !bar || (d->progress && event_add(d->progress, &tv) == 0);
}

static enum err ask(struct diffing *d, bool bar, struct why *why)
{
	struct differ_ask ask = {d->prober, d->zone, d->addresses, d->target_count, DIFFER_SAMPLE, NULL, 0, on_difference, on_done, d};

	d->differ = differ_start(&ask);
	if (!d->differ)
		return err_why(why, ERR_NOMEM, "out of memory");
	if (!differ_over(d->differ) && !d->interrupted)
		event_base_dispatch(d->loop);
	differ_stop(d->differ);
	if (bar)
		show_progress_end(stderr);
	if (d->kept_count)
		qsort(d->kept, d->kept_count, sizeof *d->kept, compare_kept);
	d->ended = clock_ms();
	return ERR_OK;
}

/* --- findings ---------------------------------------------------------------------------- */

static void find_difference(const struct diffing *d, struct findings *findings, const struct kept *kept)
{
	const struct target *target = &d->targets[kept->server];

	difference_found(findings, target->name, target->address, kept->owner, kept->type, kept->kind, kept->expected, kept->got);
}

static void find_state(struct diffing *d, struct findings *findings, size_t server)
{
	const struct differ_row *row = &differ_rows(d->differ)[server];
	struct finding_place place = {.server = d->targets[server].name, .address = d->targets[server].address};

	switch (row->state) {
	case DIFFER_SILENT:
		findings_add(findings, FINDING_UNREACHABLE, false, &place, "no answer: %s", row->said);
		break;
	case DIFFER_LAME:
		findings_add(findings, FINDING_LAME, false, &place, "it does not answer for the zone: %s", row->said);
		break;
	case DIFFER_LOST:
		findings_add(findings, FINDING_CHECK_INCOMPLETE, false, &place, "after %llu answer%s it has answered no more: %s",
			(unsigned long long)row->answered, plural(row->answered, "", "s"), row->said);
		break;
	case DIFFER_STOPPED: case DIFFER_ASKING: case DIFFER_MOVED:
		findings_add(findings, FINDING_CHECK_INCOMPLETE, false, &place, "interrupted after %llu answer%s", (unsigned long long)row->answered,
			plural(row->answered, "", "s"));
		break;
	case DIFFER_DONE:
		if (row->answered < row->asked)
			findings_add(findings, FINDING_CHECK_INCOMPLETE, false, &place, "%llu of %llu questions were not answered",
				(unsigned long long)(row->asked - row->answered), (unsigned long long)row->asked);
		break;
	}
	if (row->has_serial && !row->authoritative)
		findings_add(findings, FINDING_LAME, false, &place, "it answers without authority");
}

static void find_in_survey(const struct diffing *d, struct findings *findings)
{
	static const struct finding_place nowhere;
	char name[NAME_TEXT_SIZE];

	for (size_t i = 0; d->survey && i < d->survey->gap_count; i++)
		findings_add(findings, FINDING_CHECK_INCOMPLETE, false, &nowhere, "%s", d->survey->gaps[i].what);
	if (d->survey && d->survey->enclosing)
		findings_add(findings, FINDING_CHECK_INCOMPLETE, false, &nowhere, "it is no zone of its own, but in %s",
			name_text(d->survey->enclosing, name));
	if (!d->target_count && (d->interrupted || !d->survey || !d->survey->gap_count))
		findings_add(findings, FINDING_CHECK_INCOMPLETE, false, &nowhere, d->interrupted ? "interrupted before its nameservers were found" :
			"no address of a nameserver was found");
}

static void find_all(struct diffing *d, struct findings *findings)
{
	find_in_survey(d, findings);
	for (size_t i = 0; i < d->target_count; i++)
		find_state(d, findings, i);
	for (size_t i = 0; i < d->kept_count; i++)
		find_difference(d, findings, &d->kept[i]);
	findings_lose(findings, d->lost);
}

/* --- as a person reads it ---------------------------------------------------------------- */

static void paint(const struct show *show, const char *color)
{
	if (show->color)
		fputs(color, show->out);
}

/* A record with its owner; a word with owner and type. */
static void print_side(const struct show *show, const struct kept *kept, char sign, const char *lines)
{
	char owner[NAME_TEXT_SIZE], type[RR_TYPE_TEXT];

	name_text(kept->owner, owner);
	rr_type_text(kept->type, type);
	for (const char *line = lines; *line; line += strcspn(line, "\n") + 1) {
		paint(show, sign == '-' ? "\33[31m" : "\33[32m");
		fprintf(show->out, "%c%s\t", sign, owner);
		if (*line < '0' || *line > '9')
			fprintf(show->out, "%s\t", type);
		fprintf(show->out, "%.*s", (int)strcspn(line, "\n"), line);
		paint(show, "\33[m");
		putc('\n', show->out);
	}
}

static void print_server(struct diffing *d, const struct show *show, size_t server, size_t *next)
{
	const struct differ_row *row = &differ_rows(d->differ)[server];
	const struct target *target = &d->targets[server];
	uint64_t differences = differences_at(d, server);

	if (!differences && d->command->quiet)
		return;
	fprintf(show->out, "%s %s %s", differences ? "+++" : "   ", target->name, target->address);
	if (row->has_serial)
		fprintf(show->out, " serial %u", row->serial);
	if (differences)
		fprintf(show->out, ": ANSWER-DIFF, %llu of %llu answers differ%s\n", (unsigned long long)differences,
			(unsigned long long)row->answered, plural(differences, "s", ""));
	else
		fprintf(show->out, ": %llu answer%s%s\n", (unsigned long long)row->answered, plural(row->answered, "", "s"),
			differences_are_off(d) ? "" : ", no difference");
	for (; *next < d->kept_count && d->kept[*next].server == server; ++*next) {
		print_side(show, &d->kept[*next], '-', d->kept[*next].expected);
		print_side(show, &d->kept[*next], '+', d->kept[*next].got);
	}
}

static const char *const severity_color[] = {"", "\33[33m", "\33[31m", "\33[35m"};

static void print_finding(const struct show *show, const struct finding *finding)
{
	paint(show, severity_color[finding->severity]);
	fputs(finding_name(finding->id), show->out);
	paint(show, "\33[m");
	fprintf(show->out, "%s%s%s%s: %s\n", finding->server ? " " : "", finding->server ? finding->server : "", finding->address ? " " : "",
		finding->address ? finding->address : "", finding->message);
}

/* In the first line a "|" begins the performance data. */
static void print_worst(const struct show *show, const struct finding *finding)
{
	fprintf(show->out, "%s%s%s%s%s: ", finding_name(finding->id), finding->server ? " " : "",
		finding->server ? finding->server : "", finding->address ? " " : "", finding->address ? finding->address : "");
	for (const char *at = finding->message; *at; at++)
		putc(*at == '|' ? '/' : *at, show->out);
}

/* As a monitoring system wants it. */
static void print_first(struct diffing *d, const struct show *show, const struct findings *findings)
{
	uint64_t differences = 0, answers = 0;
	size_t servers = 0;
	double seconds = (double)(d->ended - d->began) / 1000.0;

	for (size_t i = 0; i < d->target_count; i++) {
		differences += differences_at(d, i);
		answers += differ_rows(d->differ)[i].answered;
		servers += differences_at(d, i) != 0;
	}
	fprintf(show->out, "LOCKSTEP %s - %s: ", finding_status_name(findings_status(findings)), d->command->zones[0]);
	if (differences)
		fprintf(show->out, "%llu difference%s at %zu of %zu address%s of nameservers", (unsigned long long)differences,
			plural(differences, "", "s"), servers, d->target_count, plural(d->target_count, "", "es"));
	else if (findings_count(findings))
		print_worst(show, findings_at(findings, 0));
	else
		fputs(differences_are_off(d) ? "differences are off" : "no difference", show->out);
	fprintf(show->out, "; %llu answer%s from %zu address%s in %.1f s | differences=%llu answers=%llu servers=%zu time=%.3fs\n",
		(unsigned long long)answers, plural(answers, "", "s"), d->target_count, plural(d->target_count, "", "es"), seconds,
		(unsigned long long)differences, (unsigned long long)answers, d->target_count, seconds);
}

static void print_text(struct diffing *d, const struct findings *findings)
{
	struct show show = show_of(stdout);
	size_t next = 0;

	if (d->command->quiet && findings_status(findings) == STATUS_OK)
		return;
	print_first(d, &show, findings);
	printf("--- %s serial %u, %s\n", d->command->zones[0], d->zone->serial.v, d->source);
	for (size_t i = 0; i < d->target_count; i++)
		if (differ_rows(d->differ)[i].answered || differ_rows(d->differ)[i].state == DIFFER_DONE)
			print_server(d, &show, i, &next);
	for (size_t i = 0; i < findings_count(findings); i++)
		if (findings_at(findings, i)->id != FINDING_ANSWER_DIFF)
			print_finding(&show, findings_at(findings, i));
	if (d->lost)
		fprintf(show.out, "... and %zu more, not shown\n", d->lost);
}

/* --- as an object ------------------------------------------------------------------------ */

static void newest_serial(const struct diffing *d, struct verdict *verdict)
{
	const struct differ_row *rows = differ_rows(d->differ);

	verdict->serial_known = true;
	verdict->serial = d->zone->serial;
	for (size_t i = 0; i < d->target_count; i++)
		if (rows[i].has_serial && serial_newer((struct serial){rows[i].serial}, verdict->serial))
			verdict->serial = (struct serial){rows[i].serial};
}

/* As `check` has it; how long a server has been behind is not known here. */
static bool print_object(struct diffing *d, struct findings *findings)
{
	struct verdict verdict = {.zone = d->command->zones[0], .findings = findings, .row_count = d->target_count};
	struct report_zone zone = {verdict.zone, &verdict, NULL};
	struct report report = {.zones = &zone, .count = 1, .quiet = d->command->quiet};

	verdict.rows = arena_zero(&d->arena, (d->target_count + 1) * sizeof *verdict.rows);
	if (!verdict.rows)
		return false;
	newest_serial(d, &verdict);
	for (size_t i = 0; i < d->target_count; i++) {
		const struct differ_row *row = &differ_rows(d->differ)[i];

		verdict.rows[i] = (struct verdict_row){.name = d->targets[i].name, .address = d->targets[i].address, .shows_serial = row->has_serial,
			.serial = {row->serial}, .rtt_us = row->has_serial ? (int64_t)row->rtt_us : -1};
	}
	return report_json(&report, stdout);
}

/* --- the whole --------------------------------------------------------------------------- */

static enum err report(struct diffing *d, int *status, struct why *why)
{
	struct findings *findings = findings_new(&d->subject.verdict.levels);
	bool ok = findings != NULL;

	if (ok)
		find_all(d, findings);
	if (ok && d->command->json)
		ok = print_object(d, findings);
	else if (ok)
		print_text(d, findings);
	if (!ok) {
		findings_free(findings);
		return err_why(why, ERR_NOMEM, "out of memory");
	}
	d->said = true;
	*status = findings_status(findings);
	findings_free(findings);
	return fflush(stdout) == 0 ? ERR_OK : err_why(why, ERR_IO, "standard output: %m");
}

/* --- who is asked ------------------------------------------------------------------------ */

static bool add_target(struct diffing *d, const uint8_t *name, const struct net_addr *address)
{
	struct target *target = &d->targets[d->target_count];
	char text[NAME_TEXT_SIZE];

	target->name = arena_strdup(&d->arena, name_text(name, text));
	d->addresses[d->target_count++] = *address;
	net_addr_text(address, 53, target->address);
	return target->name != NULL;
}

static bool make_room(struct diffing *d, size_t count)
{
	d->targets = calloc(count + 1, sizeof *d->targets);
	d->addresses = calloc(count + 1, sizeof *d->addresses);
	return d->targets && d->addresses;
}

/* Where every given name has an address nothing needs to be found out. */
static bool all_have_addresses(const struct survey_settings *settings)
{
	for (size_t i = 0; i < settings->given_count; i++)
		if (settings->given[i].address.sa.sa_family == AF_UNSPEC)
			return false;
	return settings->given_count > 0;
}

static bool take_given(struct diffing *d)
{
	const struct survey_settings *settings = &d->subject.survey;
	bool ok = make_room(d, settings->given_count);

	for (size_t i = 0; ok && i < settings->given_count; i++)
		ok = add_target(d, settings->given[i].name, &settings->given[i].address);
	return ok;
}

static void on_survey(void *ctx, struct survey *survey)
{
	struct diffing *d = ctx;

	d->delegation = NULL;
	d->survey = survey;
	event_base_loopbreak(d->loop);
}

static bool find_servers(struct diffing *d)
{
	bool ok;

	d->subject.survey.only_given = d->subject.survey.given_count > 0;
	d->subject.survey.no_transfers = true;
	d->delegation = delegation_start(d->loop, d->prober, d->subject.apex, &d->subject.survey, on_survey, d);
	if (!d->delegation)
		return false;
	event_base_dispatch(d->loop);
	ok = make_room(d, d->survey ? d->survey->server_count : 0);
	for (size_t i = 0; ok && d->survey && i < d->survey->server_count; i++)
		ok = add_target(d, d->survey->ns[d->survey->servers[i].ns].name, &d->survey->servers[i].address);
	return ok;
}

/* The rate is for what is compared: the few questions by which the servers are found have only the prober's own bounds. */
static struct prober_limits limits_to_find(const struct diffing *d)
{
	return (struct prober_limits){.timeout_ms = d->subject.asking.timeout_ms};
}

static struct prober_limits limits_to_compare(const struct diffing *d)
{
	int64_t rate = d->command->asking.rate;

	return (struct prober_limits){.under_way = UNDER_WAY, .per_server = DIFFER_UNDER_WAY, .timeout_ms = d->subject.asking.timeout_ms,
		.rate = rate < 0 ? RATE : (uint32_t)rate};
}

static enum err run(struct diffing *d, const char *socket_path, int *status, struct why *why)
{
	bool bar = isatty(STDERR_FILENO) && !d->command->quiet && !d->command->json, ok;
	enum err err = obtain_zone(d->command, socket_path, &d->zone, d->source, why);

	if (err)
		return err;
	d->kept = calloc(KEPT_MAX, sizeof *d->kept);
	ok = d->kept && watch(d, bar) && (d->prober = prober_new(d->loop, limits_to_find(d)));
	if (ok)
		ok = all_have_addresses(&d->subject.survey) ? take_given(d) : find_servers(d);
	if (!ok)
		return err_why(why, ERR_NOMEM, "out of memory");
	prober_set_limits(d->prober, limits_to_compare(d));
	err = ask(d, bar, why);
	return err ? err : report(d, status, why);
}

/* The first line, or the document, is there whatever happened. */
static void print_failure(const struct diffing *d, const char *why)
{
	if (!d->command->json)
		report_unknown(stdout, why);
	else
		report_unknown_json(stdout, d->command->zones, d->command->zone_count, why);
	fflush(stdout);
}

int diffing_run(const struct command *command, const char *socket_path, const struct why *no_socket, struct why *why)
{
	struct diffing d = {.command = command, .began = clock_ms()};
	int status = STATUS_UNKNOWN;
	enum err err = subject_of(&d.subject, command, why);

	d.subject.survey.primary_count = 0;      /* their serials are not what this is about */
	if (!err && !socket_path)
		*why = *no_socket;
	if (!err)
		err = run(&d, socket_path, &status, why);
	if (err && !d.said)
		print_failure(&d, err_say(why, err));
	if (err)
		status = STATUS_UNKNOWN;
	else
		why->text[0] = 0;
	differ_free(d.differ);
	delegation_cancel(d.delegation);
	survey_free(d.survey);
	prober_free(d.prober);
	interrupt_release(&d.interrupt);
	if (d.progress)
		event_free(d.progress);
	if (d.loop)
		event_base_free(d.loop);
	zone_put(d.zone);
	free(d.kept);
	free(d.targets);
	free(d.addresses);
	subject_release(&d.subject);
	arena_release(&d.arena);
	return status;
}
