#include "run/readying.h"

#include "check/delegation.h"
#include "check/report.h"
#include "run/interrupt.h"
#include "run/subject.h"

#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { PAUSE_S = 10 /* between two looks; each asks every server some ten questions */ };

struct readying {
	const struct command *command;
	struct subject subject;
	struct memory *memory;
	struct event_base *loop;
	struct interrupt interrupt;
	struct event *pause;
	struct prober *prober;
	struct delegation *delegation;
	struct survey *survey;       /* the last one, */
	struct verdict *verdict;     /* and what is found of it */
	bool interrupted;
	bool converged;
	bool said;                   /* something was printed on standard output */
	uint32_t old_ttl;            /* the longest that an NS set which is not the new one was shown with; 0: none was */
	char line[200];              /* what was said last while watching */
};

/* --- one look ---------------------------------------------------------------------------- */

static void on_survey(void *ctx, struct survey *survey)
{
	struct readying *r = ctx;

	r->delegation = NULL;
	survey_free(r->survey);
	r->survey = survey;
	event_base_loopbreak(r->loop);
}

/* False: out of memory, or interrupted. */
static bool look(struct readying *r)
{
	r->delegation = delegation_start(r->loop, r->prober, r->subject.apex, &r->subject.survey, on_survey, r);
	if (!r->delegation)
		return false;
	event_base_dispatch(r->loop);
	if (r->interrupted || r->delegation)
		return false;
	verdict_free(r->verdict);
	r->verdict = verdict_of(r->survey, r->memory, &r->subject.verdict, r->survey->ended);
	return r->verdict != NULL;
}

/* --- what is to be mended ------------------------------------------------------------------ */

/* In the order in which it is best done: what answers, with what, for which names, signed how. */
static const struct mend { enum finding_id id; const char *how; } mends[] = {
	{FINDING_NS_TARGET, "give the nameserver's name an address record, and no alias"},
	{FINDING_UNREACHABLE, "have the nameserver answer over UDP, at every address that its name has"},
	{FINDING_LAME, "have the zone served there, with authority, before the nameserver is named"},
	{FINDING_TCP_FAIL, "let TCP through, and have it answered"},
	{FINDING_EDNS_FAIL, "let EDNS through, and have it answered"},
	{FINDING_SERIAL_LAG, "have it transfer the zone, and see that NOTIFY and transfers reach it"},
	{FINDING_SERIAL_STUCK, "have it transfer the zone again: its transfers have stopped"},
	{FINDING_SERIAL_BACK, "find out why it went back to an older version, and have it transfer the zone"},
	{FINDING_SERIAL_AHEAD, "find out where it has a version from that no primary has"},
	{FINDING_SOA_DIFFERS, "have it transfer the zone: the same serial stands for different content"},
	{FINDING_ANSWER_DIFF, "have it transfer the zone: the same serial stands for different content"},
	{FINDING_NS_APEX_IGNORED, "have the provider serve the NS set of the zone, not one of its own, or do without it"},
	{FINDING_NS_CHILD_EXTRA, "take the name out of the zone's NS set, or name it to the registrar too"},
	{FINDING_NS_PARENT_EXTRA, "put the name into the NS set at the zone's apex first"},
	{FINDING_NS_SPLIT, "have all nameservers show the same NS set"},
	{FINDING_NS_EXPECTED, "make the NS set that of the configuration, or change that"},
	{FINDING_GLUE_DRIFT, "have the glue and the address records say the same"},
	{FINDING_DNSKEY_SPLIT, "publish every provider's keys at all of them (RFC 8901), and wait for the DNSKEY TTL"},
	{FINDING_DS_MISMATCH, "have a key there that a DS of the parent stands for, and signatures that validate"},
	{FINDING_CDS_SPLIT, "have the same CDS and CDNSKEY records everywhere"},
	{FINDING_CSYNC_SPLIT, "have the same CSYNC record everywhere"},
	{FINDING_REFERRAL_SIZE, "name fewer nameservers, or choose shorter names"},
	{FINDING_EXPIRE_HORIZON, "see that it is transferred, and signed anew, in time"},
	{FINDING_CHECK_INCOMPLETE, "find out why, or ask again: it may hide anything"},
};
enum { MENDS = sizeof mends / sizeof *mends };

/* Those that are not in the list come last, and have no advice. */
static size_t rank(enum finding_id id)
{
	size_t i = 0;

	while (i < MENDS && mends[i].id != id)
		i++;
	return i;
}

static void print_finding(const struct finding *f)
{
	printf("%s%s%s%s%s: %s\n", finding_name(f->id), f->server ? " " : "", f->server ? f->server : "", f->address ? " " : "",
		f->address ? f->address : "", f->message);
}

/* Those of the severity, in order; how many. Each kind's advice stands behind the last of it. */
static size_t print_mends(const struct findings *findings, enum finding_severity severity, const char *heading)
{
	size_t printed = 0;

	for (size_t place = 0; place <= MENDS; place++) {
		bool any = false;

		for (size_t i = 0; i < findings_count(findings); i++) {
			const struct finding *f = findings_at(findings, i);

			if (f->severity != severity || rank(f->id) != place)
				continue;
			if (!printed)
				printf("%s\n", heading);
			printf("%3zu. ", ++printed);
			print_finding(f);
			any = true;
		}
		if (any && place < MENDS)
			printf("     %s\n", mends[place].how);
	}
	return printed;
}

static const char *answer_of(enum finding_status status)
{
	switch (status) {
	case STATUS_OK:
		return "ready: yes";
	case STATUS_WARNING:
		return "ready: yes, with warnings";
	case STATUS_CRITICAL:
		return "ready: no";
	case STATUS_UNKNOWN:
		break;
	}
	return "ready: it cannot be told";
}

static void print_text(const struct readying *r)
{
	const struct findings *findings = r->verdict->findings;
	enum finding_status status = findings_status(findings);
	struct report_zone zone = {r->verdict->zone, r->verdict, NULL};
	struct report report = {.zones = &zone, .count = 1};

	if (r->command->quiet && status == STATUS_OK)
		return;
	report_first_line(&report, stdout);
	printf("%s %s\n", r->verdict->zone, answer_of(status));
	print_mends(findings, SEVERITY_CRITICAL, "To be mended first, in this order:");
	print_mends(findings, SEVERITY_UNKNOWN, "What could not be told:");
	print_mends(findings, SEVERITY_WARNING, "No reason to wait, but worth mending:");
	if (findings_lost(findings))
		printf("... and %zu more\n", findings_lost(findings));
}

/* --- convergence --------------------------------------------------------------------------- */

static bool is_candidate(const struct readying *r, const uint8_t *name)
{
	for (size_t i = 0; i < r->subject.survey.given_count; i++)
		if (name_equal(r->subject.survey.given[i].name, name))
			return true;
	return false;
}

static size_t candidates(const struct readying *r)
{
	const struct survey_given *given = r->subject.survey.given;
	size_t count = 0;

	for (size_t i = 0; i < r->subject.survey.given_count; i++) {
		size_t j = 0;

		while (!name_equal(given[j].name, given[i].name))
			j++;
		count += j == i;     /* the first of its name */
	}
	return count;
}

/* Whether the NS set in an answer or a referral is the new one; of another its TTL is kept. */
static bool shows_new(struct readying *r, const struct reply *reply)
{
	size_t count = 0, known = 0;
	const struct rr *ns = NULL;

	if (reply && reply->outcome == REPLY_OK && !reply->rcode)
		ns = reply_find(reply->answer, reply->answer_count, r->subject.apex, RR_NS, &count);
	if (reply && reply->outcome == REPLY_OK && !reply->rcode && !ns)
		ns = reply_find(reply->authority, reply->authority_count, r->subject.apex, RR_NS, &count);
	for (size_t i = 0; i < count; i++)
		known += is_candidate(r, ns[i].rdata);
	if (count && known == count && count == candidates(r))
		return true;
	if (count && ns->ttl > r->old_ttl)
		r->old_ttl = ns->ttl;
	return false;
}

/* Where nothing old has been seen, nobody knows when it was: the TTL that is shown now is the best guess. */
static uint32_t shown_ttl(const struct readying *r)
{
	uint32_t ttl = 0;

	for (size_t i = 0; i < r->survey->parent_count; i++) {
		const struct reply *reply = r->survey->parents[i].referral;
		const struct rr *ns;
		size_t count = 0;

		ns = reply && reply->outcome == REPLY_OK
			? reply_find(reply->authority, reply->authority_count, r->subject.apex, RR_NS, &count) : NULL;
		if (ns && ns->ttl > ttl)
			ttl = ns->ttl;
	}
	return ttl;
}

static uint32_t cached(const struct readying *r)
{
	return r->old_ttl ? r->old_ttl : shown_ttl(r);
}

static void print_time(char out[32], int64_t at)
{
	time_t when = (time_t)at;
	struct tm tm;

	gmtime_r(&when, &tm);
	strftime(out, 32, "%Y-%m-%d %H:%M:%S UTC", &tm);
}

/* Says how far it is, if that has changed. */
static void judge(struct readying *r)
{
	size_t parents = 0, servers = 0;
	char line[sizeof r->line], when[32];

	for (size_t i = 0; i < r->survey->parent_count; i++)
		parents += shows_new(r, r->survey->parents[i].referral);
	for (size_t i = 0; i < r->survey->server_count; i++)
		servers += shows_new(r, r->survey->servers[i].ns_set);
	r->converged = parents && parents == r->survey->parent_count && servers && servers == r->survey->server_count;
	snprintf(line, sizeof line, "the new NS set is shown by %zu of %zu servers of the parent, and %zu of %zu of the zone", parents,
		r->survey->parent_count, servers, r->survey->server_count);
	if (strcmp(line, r->line) == 0 || r->command->json || r->command->quiet)
		return;
	memcpy(r->line, line, sizeof r->line);
	print_time(when, r->survey->ended);
	printf("%s  %s\n", when, line);
	fflush(stdout);
}

static void print_converged(const struct readying *r)
{
	char until[32];

	if (r->command->json || r->command->quiet)
		return;
	print_time(until, r->survey->ended + cached(r));
	printf("Parent and nameservers agree. Caches may hold the old set until %s (%u seconds, the longest TTL that it was shown with).\n",
		until, cached(r));
}

/* False: out of memory, or interrupted. */
static bool watch(struct readying *r)
{
	struct timeval tv = {PAUSE_S, 0};

	judge(r);
	while (!r->converged) {
		event_add(r->pause, &tv);
		event_base_dispatch(r->loop);
		if (r->interrupted || !look(r))
			return false;
		judge(r);
	}
	print_converged(r);
	return true;
}

/* --- the whole --------------------------------------------------------------------------- */

/* Where nothing has been found out `failed` says why. */
static bool print_object(const struct readying *r, const char *failed)
{
	struct report_zone zone = {r->command->zones[0], failed ? NULL : r->verdict, failed};
	enum finding_status status = failed ? STATUS_UNKNOWN : findings_status(r->verdict->findings);
	json_t *o = report_json_of(&zone);

	if (!o)
		return false;
	json_object_set_new(o, "ready", json_boolean(status == STATUS_OK || status == STATUS_WARNING));
	if (r->command->watch)
		json_object_set_new(o, "converged", json_boolean(r->converged));
	if (r->converged)
		json_object_set_new(o, "cached_until", json_integer(r->survey->ended + cached(r)));
	json_dumpf(o, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(6));
	putchar('\n');
	json_decref(o);
	return true;
}

static void on_pause(evutil_socket_t fd, short what, void *ctx)
{
	struct readying *r = ctx;

	(void)fd;
	(void)what;
	event_base_loopbreak(r->loop);
}

static void on_signal(evutil_socket_t fd, short what, void *ctx)
{
	struct readying *r = ctx;

	r->interrupted = true;
	on_pause(fd, what, ctx);
}

/* What `check` remembers of the zone; what is seen here is not added to it. */
static bool remember(struct readying *r)
{
	char path[4096];
	struct why why;

	r->memory = memory_new(r->subject.apex);
	if (r->memory && asking_memory_path(r->subject.conf, r->subject.apex, path, sizeof path))
		memory_load(r->memory, path, &why);
	return r->memory != NULL;
}

static bool begin(struct readying *r)
{
	struct prober_limits limits = {.timeout_ms = r->subject.asking.timeout_ms};

	r->loop = event_base_new();
	if (!r->loop || !interrupt_begin(&r->interrupt, r->loop, on_signal, r))
		return false;
	r->pause = evtimer_new(r->loop, on_pause, r);
	return r->pause && remember(r) && (r->prober = prober_new(r->loop, limits));
}

static enum err run(struct readying *r, int *status, struct why *why)
{
	bool whole = true;

	rr_init();
	if (!begin(r) || !look(r))
		return err_why(why, ERR_NOMEM, r->interrupted ? "interrupted" : "out of memory");
	if (!r->command->json) {
		print_text(r);
		r->said = true;
	}
	fflush(stdout);
	if (r->command->watch)
		whole = watch(r);
	if (!r->verdict)
		return err_why(why, ERR_NOMEM, "out of memory");
	*status = whole ? (int)findings_status(r->verdict->findings) : (int)STATUS_UNKNOWN;
	if (r->command->json && !(r->said = print_object(r, NULL)))
		return err_why(why, ERR_NOMEM, "out of memory");
	return fflush(stdout) == 0 ? ERR_OK : err_why(why, ERR_IO, "standard output: %m");
}

/* The first line, or the document, is there whatever happened. */
static void print_failure(const struct readying *r, const char *why)
{
	if (!r->command->json)
		report_unknown(stdout, why);
	else
		print_object(r, why);
	fflush(stdout);
}

int readying_run(const struct command *command, struct why *why)
{
	struct readying r = {.command = command};
	int status = STATUS_UNKNOWN;
	enum err err = subject_of(&r.subject, command, why);

	r.subject.survey.only_given = r.subject.survey.resolve_given = true;
	r.subject.verdict.ready = true;
	if (!err)
		err = run(&r, &status, why);
	if (err && !r.said)
		print_failure(&r, err_say(why, err));
	delegation_cancel(r.delegation);
	verdict_free(r.verdict);
	survey_free(r.survey);
	memory_free(r.memory);
	prober_free(r.prober);
	interrupt_release(&r.interrupt);
	if (r.pause)
		event_free(r.pause);
	if (r.loop)
		event_base_free(r.loop);
	subject_release(&r.subject);
	return err ? STATUS_UNKNOWN : status;
}
