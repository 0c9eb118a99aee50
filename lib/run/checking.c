#include "run/checking.h"

#include "base/array.h"
#include "base/clock.h"
#include "check/check.h"
#include "check/report.h"
#include "run/asking.h"
#include "run/client.h"
#include "run/conf.h"
#include "run/roster.h"
#include "run/show.h"

#include <errno.h>
#include <event2/event.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_SIZE = 4096 };

struct checking;

struct job {
	struct checking *checking;
	struct arena arena;
	const uint8_t *zone;
	const char *name;
	const struct conf_settings *set;     /* NULL: by the zone's name */
	struct survey_settings survey;
	struct verdict_settings verdict;
	struct verdict *result;
	const char *failed;          /* NULL: it has not, so far */
};

struct checking {
	const struct command *command;
	const char *socket_path;     /* NULL: it is not known, for the reason: */
	const struct why *no_socket;
	struct arena arena;
	struct conf *conf;           /* NULL: there is none */
	struct roster *roster;       /* NULL: it was not looked at */
	struct asking asking;
	struct event_base *loop;
	struct prober *prober;
	struct job *jobs; size_t job_count, job_room;
	struct checks *checks;
	size_t done;                 /* jobs that are over */
	bool short_of_memory;
	size_t forgetful;            /* zones of which something could not be remembered; said of the first */
};

/* --- memory -------------------------------------------------------------------- */

static void complain(struct checking *c, const struct why *why)
{
	if (c->forgetful++)
		return;
	fputs("lockstep: ", stderr);
	show_text(stderr, why->text);
	fputs(": what the nameservers show now may be taken for new the next time\n", stderr);
}

/* Who the state directory belongs to may put there what he likes, links too: root must not follow him, nor give him what a link leads to. So while
 * what is remembered is read and written root is that user, and the files are the daemon's from the beginning. */
struct guise { bool on; gid_t group, groups[64]; int count; };

static void take_off(struct guise *guise)
{
	if (guise->on && (seteuid(0) < 0 || setegid(guise->group) < 0 || setgroups((size_t)guise->count, guise->groups) < 0))
		fputs("lockstep: it cannot be root again\n", stderr);
	guise->on = false;
}

static bool put_on(struct guise *guise, const char *dir, struct why *why)
{
	struct stat st;

	*guise = (struct guise){.group = getegid()};
	if (geteuid() != 0 || stat(dir, &st) < 0 || !st.st_uid)
		return true;
	guise->count = getgroups(sizeof guise->groups / sizeof *guise->groups, guise->groups);
	guise->on = guise->count >= 0;
	if (guise->on && setgroups(1, &st.st_gid) == 0 && setegid(st.st_gid) == 0 && seteuid(st.st_uid) == 0)
		return true;
	err_why(why, ERR_REFUSED, "%s: cannot become its owner: %s", dir, strerror(errno));
	take_off(guise);
	return false;
}

/* What is remembered, and what is found. NULL: out of memory. */
static struct verdict *judge(struct job *job, const struct survey *survey)
{
	struct checking *c = job->checking;
	struct memory *memory = memory_new(job->zone);
	struct verdict *verdict;
	char path[PATH_SIZE];
	struct why why = {""};
	struct guise guise;
	bool known = asking_memory_path(c->conf, job->zone, path, sizeof path);

	if (!memory)
		return NULL;
	if (known && !put_on(&guise, asking_state_dir(c->conf), &why)) {
		complain(c, &why);
		known = false;
	}
	if (known && memory_load(memory, path, &why) != ERR_OK)
		complain(c, &why);
	verdict = verdict_of(survey, memory, &job->verdict, (int64_t)clock_unix());
	if (verdict && known && memory_save(memory, path, &why) != ERR_OK)
		complain(c, &why);
	if (known)
		take_off(&guise);
	memory_free(memory);
	return verdict;
}

/* --- zones --------------------------------------------------------------------- */

static void finish(struct job *job, const char *failed)
{
	struct checking *c = job->checking;

	job->failed = failed;
	c->done++;
	if (c->done == c->job_count)
		event_base_loopbreak(c->loop);
}

static void on_survey(void *ctx, struct survey *survey)
{
	struct job *job = ctx;

	job->result = survey ? judge(job, survey) : NULL;
	survey_free(survey);
	finish(job, job->result ? NULL : "out of memory");
}

static void begin(struct job *job)
{
	struct checking *c = job->checking;
	const struct conf_settings *set = job->set ? job->set : asking_settings(c->conf, job->zone);

	if (!asking_survey(&c->asking, c->conf, set, &job->arena, &job->survey) ||
	    !asking_verdict(&c->asking, c->conf, set, &job->arena, &job->verdict) ||
	    !checks_add(c->checks, job->zone, &job->survey, on_survey, job))
		finish(job, "out of memory");
}

/* NULL: out of memory. The jobs move while they become more. */
static struct job *add_job(struct checking *c, const uint8_t *zone)
{
	struct job job = {.checking = c, .zone = arena_dup(&c->arena, zone, name_length(zone))};
	char text[NAME_TEXT_SIZE];

	job.name = arena_strdup(&c->arena, name_text(zone, text));
	if (!job.zone || !job.name || !array_room(c->jobs, c->job_room, c->job_count + 1))
		return NULL;
	c->jobs[c->job_count] = job;
	return &c->jobs[c->job_count++];
}

/* A catalog is nothing that the parent knows of. */
static bool is_public(const struct conf_zone *zone)
{
	return zone->set->catalog == CONF_CATALOG_NONE;
}

/* --- zones that are not in the configuration ---------------------------------------- */

/* What the daemon remembers: zones that were added at run time, and members of catalogs. There need not be anything. */
static enum err read_roster(struct checking *c, struct why *why)
{
	char path[PATH_SIZE], other[PATH_SIZE];
	struct guise guise;
	enum err err;
	bool mend;
	int n = snprintf(path, sizeof path, "%s/" ROSTER_FILE, c->conf->server.state_dir),
		m = snprintf(other, sizeof other, "%s/" ROSTER_COPY, c->conf->server.zone_dir);

	c->roster = roster_new();
	if (!c->roster)
		return err_why(why, ERR_NOMEM, "out of memory");
	if (n >= (int)sizeof path || m >= (int)sizeof other)
		return err_why(why, ERR_LIMIT, "the path of the roster is too long");
	if (!put_on(&guise, c->conf->server.state_dir, why))
		return ERR_REFUSED;
	err = roster_load(c->roster, path, other, &mend, why);
	take_off(&guise);
	return err;
}

static void add_other(struct checking *c, const uint8_t *name)
{
	const struct roster_zone *known = roster_find(c->roster, name);
	struct why why;
	struct job *job;

	if (conf_find_zone(c->conf, name))
		return;
	job = add_job(c, name);
	if (job && known)
		job->set = roster_settings(c->conf, known, &why);
	c->short_of_memory = c->short_of_memory || !job;
}

static void take_listed(void *ctx, const json_t *zone)
{
	const char *text = json_string_value(json_object_get(zone, "zone"));
	uint8_t name[NAME_SIZE];
	struct why why;

	if (text && !json_is_true(json_object_get(zone, "catalog")) && name_parse(text, strlen(text), NULL, name, &why) == ERR_OK)
		add_other(ctx, name);
}

static bool is_consumed(const struct conf_zone *zone)
{
	return zone->set->catalog == CONF_CATALOG_CONSUME;
}

/* Anything that the configuration does not name, as far as can be told without the daemon. */
static bool has_others(struct checking *c)
{
	for (size_t i = 0; i < c->conf->zone_count; i++)
		if (is_consumed(&c->conf->zones[i]))
			return true;
	for (size_t i = 0; i < roster_count(c->roster); i++)
		if (roster_at(c->roster, i)->origin != ROSTER_CONF)
			return true;
	return false;
}

static bool has_member(struct checking *c, const uint8_t *catalog)
{
	for (size_t i = 0; i < roster_count(c->roster); i++) {
		const struct roster_zone *zone = roster_at(c->roster, i);

		if (zone->origin == ROSTER_MEMBER && name_equal(zone->catalog, catalog))
			return true;
	}
	return false;
}

/* Without the daemon. A catalog of which nothing is remembered stands for the zones that it brings: they were not looked at. */
static void add_remembered(struct checking *c, const char *why)
{
	char text[WHY_MAX + 100];
	struct why unfit;

	for (size_t i = 0; i < roster_count(c->roster); i++) {
		const struct roster_zone *zone = roster_at(c->roster, i);

		if (zone->origin != ROSTER_CONF && roster_settings(c->conf, zone, &unfit))
			add_other(c, zone->name);
	}
	snprintf(text, sizeof text, "which zones this catalog brings is not known, they were not looked at: %s", why);
	for (size_t i = 0; i < c->conf->zone_count; i++) {
		const struct conf_zone *zone = &c->conf->zones[i];
		struct job *job;

		if (!is_consumed(zone) || has_member(c, zone->name))
			continue;
		job = add_job(c, zone->name);
		if (job)
			job->failed = arena_strdup(&c->arena, text);
		c->short_of_memory = c->short_of_memory || !job || !job->failed;
	}
}

/* The daemon knows best which there are; where it does not answer, what it remembers. */
static enum err add_others(struct checking *c, struct why *why)
{
	size_t configured = c->job_count;
	struct why unread = {""}, no_answer = {""};
	enum err err = read_roster(c, &unread);

	if (!c->roster || (!err && !has_others(c)))
		return c->roster ? ERR_OK : err_why(why, ERR_NOMEM, "out of memory");
	if (c->socket_path && client_checks(c->socket_path, NULL, 0, take_listed, c, &no_answer) == ERR_OK)
		return c->short_of_memory ? err_why(why, ERR_NOMEM, "out of memory") : ERR_OK;
	c->job_count = configured;
	add_remembered(c, c->socket_path ? no_answer.text : c->no_socket->text);
	if (err) {
		fputs("lockstep: ", stderr);
		show_text(stderr, unread.text);
		fputs(": zones that were added at run time are not known, and were not looked at\n", stderr);
	}
	return c->short_of_memory ? err_why(why, ERR_NOMEM, "out of memory") : ERR_OK;
}

static enum err make_jobs(struct checking *c, struct why *why)
{
	uint8_t name[NAME_SIZE];
	bool ok = true;

	for (size_t i = 0; ok && i < c->command->zone_count; i++) {
		enum err err = name_parse(c->command->zones[i], strlen(c->command->zones[i]), NULL, name, why);

		if (err)
			return err;
		ok = add_job(c, name) != NULL;
	}
	if (!ok || c->command->zone_count || !c->conf)
		return ok ? ERR_OK : err_why(why, ERR_NOMEM, "out of memory");
	for (size_t i = 0; ok && i < c->conf->zone_count; i++)
		ok = !is_public(&c->conf->zones[i]) || add_job(c, c->conf->zones[i].name);
	return ok ? add_others(c, why) : err_why(why, ERR_NOMEM, "out of memory");
}

/* --- the whole ------------------------------------------------------------------ */

static enum err prepare(struct checking *c, struct why *why)
{
	struct prober_limits limits = {0};
	enum err err = asking_read(&c->asking, &c->command->asking, &c->arena, why);

	if (!err)
		err = conf_read_any(c->command->conf, &c->conf, why);
	if (!err && c->conf)
		err = conf_try_tls(c->conf, clock_unix(), why);
	c->asking.over_tls = true;
	if (!err)
		err = make_jobs(c, why);
	if (err)
		return err;
	limits.timeout_ms = c->asking.timeout_ms;
	c->loop = event_base_new();
	c->prober = c->loop ? prober_new(c->loop, limits) : NULL;
	c->checks = c->prober ? checks_new(c->loop, c->prober, 0) : NULL;
	return c->checks ? ERR_OK : err_why(why, ERR_NOMEM, "out of memory");
}

/* --- what the daemon has found ---------------------------------------------------- */

static const char *not_yet(struct checking *c, const char *pending)
{
	static const char none[] = "the daemon has not checked it yet";
	char *text = pending ? arena_alloc(&c->arena, sizeof none + 2 + strlen(pending)) : NULL;

	if (text)
		sprintf(text, "%s: %s", none, pending);
	return text ? text : none;
}

static void take_from_daemon(void *ctx, const json_t *zone)
{
	const json_t *kept = json_object_get(zone, "check");
	const char *text = json_string_value(json_object_get(zone, "zone"));
	struct checking *c = ctx;
	uint8_t name[NAME_SIZE];
	struct job *job;
	struct why why;

	if (!text || name_parse(text, strlen(text), NULL, name, &why) || (!c->command->zone_count && json_is_true(json_object_get(zone, "catalog"))))
		return;
	job = add_job(c, name);
	if (!job) {
		c->short_of_memory = true;
		return;
	}
	if (json_integer_value(json_object_get(zone, "every")) == 0)
		job->failed = "the daemon does not check it (check.every is 0)";
	else if (!json_is_object(kept))
		job->failed = not_yet(c, json_string_value(json_object_get(zone, "pending")));
	else if (!(job->result = report_verdict_of(kept, json_integer_value(json_object_get(kept, "age")))))
		job->failed = "what the daemon says of it cannot be read";
}

/* Those that it does not have are named too. */
static enum err take_missing(struct checking *c)
{
	for (size_t i = 0; i < c->command->zone_count; i++) {
		uint8_t name[NAME_SIZE];
		struct why why;
		size_t at = 0;

		if (name_parse(c->command->zones[i], strlen(c->command->zones[i]), NULL, name, &why))
			continue;
		while (at < c->job_count && !name_equal(c->jobs[at].zone, name))
			at++;
		if (at < c->job_count)
			continue;
		if (!add_job(c, name))
			return ERR_NOMEM;
		c->jobs[at].failed = "the daemon has no such zone";
	}
	return ERR_OK;
}

static enum err ask_daemon(struct checking *c, struct why *why)
{
	enum err err;

	if (!c->socket_path) {
		*why = *c->no_socket;
		return ERR_NOTFOUND;
	}
	err = client_checks(c->socket_path, c->command->zones, c->command->zone_count, take_from_daemon, c, why);
	if (!err)
		why->text[0] = 0;
	if (!err && (take_missing(c) || c->short_of_memory))
		err = err_why(why, ERR_NOMEM, "out of memory");
	return err;
}

static int print(struct checking *c, struct why *why)
{
	struct report_zone *zones = calloc(c->job_count + 1, sizeof *zones);
	struct report report = {.zones = zones, .count = c->job_count, .now = (int64_t)clock_unix(), .quiet = c->command->quiet,
		.color = show_of(stdout).color};
	int status = STATUS_UNKNOWN;
	bool ok = zones != NULL;

	for (size_t i = 0; ok && i < c->job_count; i++)
		zones[i] = (struct report_zone){c->jobs[i].name, c->jobs[i].result, c->jobs[i].failed};
	if (ok && c->command->json)
		ok = report_json(&report, stdout);
	else if (ok)
		report_text(&report, stdout);
	if (!ok)
		err_why(why, ERR_NOMEM, "out of memory");
	else if (fflush(stdout) != 0 || ferror(stdout))
		err_why(why, ERR_IO, "standard output: %s", strerror(errno));
	else
		status = (int)report_status(&report);
	free(zones);
	return status;
}

static void release(struct checking *c)
{
	checks_free(c->checks);
	for (size_t i = 0; i < c->job_count; i++) {
		verdict_free(c->jobs[i].result);
		arena_release(&c->jobs[i].arena);
	}
	free(c->jobs);
	prober_free(c->prober);
	if (c->loop)
		event_base_free(c->loop);
	roster_free(c->roster);
	conf_free(c->conf);
	arena_release(&c->arena);
}

static void look(struct checking *c)
{
	for (size_t i = 0; i < c->job_count; i++) {
		if (c->jobs[i].failed)
			finish(&c->jobs[i], c->jobs[i].failed);
		else
			begin(&c->jobs[i]);
	}
	if (c->done < c->job_count)
		event_base_dispatch(c->loop);
}

int checking_run(const struct command *command, const char *socket_path, const struct why *no_socket, struct why *why)
{
	struct checking c = {.command = command, .socket_path = socket_path, .no_socket = no_socket};
	int status = STATUS_UNKNOWN;
	enum err err;

	rr_init();
	err = command->from_daemon ? ask_daemon(&c, why) : prepare(&c, why);
	if (!err) {
		if (!command->from_daemon)
			look(&c);
		status = print(&c, why);
	} else {
		if (!command->json)
			report_unknown(stdout, why->text);
		else if (!report_unknown_json(stdout, command->zones, command->zone_count, why->text))
			err_why(why, ERR_NOMEM, "out of memory");
		fflush(stdout);
	}
	release(&c);
	return status;
}
