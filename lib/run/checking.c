#include "run/checking.h"

#include "base/clock.h"
#include "check/check.h"
#include "check/report.h"
#include "run/asking.h"
#include "run/client.h"
#include "run/conf.h"
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
	struct survey_settings survey;
	struct verdict_settings verdict;
	struct verdict *result;
	const char *failed;
};

struct checking {
	const struct command *command;
	struct arena arena;
	struct conf *conf;           /* NULL: there is none */
	struct asking asking;
	struct event_base *loop;
	struct prober *prober;
	struct job *jobs; size_t job_count;
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
	const struct conf_settings *set = asking_settings(c->conf, job->zone);

	if (!asking_survey(&c->asking, c->conf, set, &job->arena, &job->survey) || !asking_verdict(&c->asking, c->conf, set, &job->arena, &job->verdict) ||
		!checks_add(c->checks, job->zone, &job->survey, on_survey, job))
		finish(job, "out of memory");
}

static bool add_job(struct checking *c, const uint8_t *zone)
{
	struct job *job = &c->jobs[c->job_count++];
	char text[NAME_TEXT_SIZE];

	*job = (struct job){.checking = c, .zone = arena_dup(&c->arena, zone, name_length(zone)), .name = arena_strdup(&c->arena, name_text(zone, text))};
	return job->zone && job->name;
}

/* A catalog is nothing that the parent knows of. */
static bool is_public(const struct conf_zone *zone)
{
	return zone->set->catalog == CONF_CATALOG_NONE;
}

static enum err make_jobs(struct checking *c, struct why *why)
{
	size_t configured = c->conf && !c->command->zone_count ? c->conf->zone_count : 0;
	uint8_t name[NAME_SIZE];
	bool ok;

	c->jobs = calloc(c->command->zone_count + configured + 1, sizeof *c->jobs);
	ok = c->jobs != NULL;
	for (size_t i = 0; ok && i < c->command->zone_count; i++) {
		enum err err = name_parse(c->command->zones[i], strlen(c->command->zones[i]), NULL, name, why);

		if (err)
			return err;
		ok = add_job(c, name);
	}
	for (size_t i = 0; ok && i < configured; i++)
		ok = !is_public(&c->conf->zones[i]) || add_job(c, c->conf->zones[i].name);
	return ok ? ERR_OK : err_why(why, ERR_NOMEM, "out of memory");
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

static bool add_room(struct checking *c)
{
	struct job *jobs;

	if (c->job_count & (c->job_count + 1))       /* there is, up to the next power of two */
		return true;
	jobs = realloc(c->jobs, 2 * (c->job_count + 1) * sizeof *c->jobs);
	c->jobs = jobs ? jobs : c->jobs;
	return jobs != NULL;
}

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
	if (!add_room(c) || !add_job(c, name)) {
		c->short_of_memory = true;
		return;
	}
	job = &c->jobs[c->job_count - 1];
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
		if (!add_room(c) || !add_job(c, name))
			return ERR_NOMEM;
		c->jobs[at].failed = "the daemon has no such zone";
	}
	return ERR_OK;
}

static enum err ask_daemon(struct checking *c, const char *socket_path, const struct why *no_socket, struct why *why)
{
	enum err err;

	if (!socket_path) {
		*why = *no_socket;
		return ERR_NOTFOUND;
	}
	err = client_checks(socket_path, c->command->zones, c->command->zone_count, take_from_daemon, c, why);
	if (!err)
		why->text[0] = 0;
	if (!err && (take_missing(c) || c->short_of_memory))
		err = err_why(why, ERR_NOMEM, "out of memory");
	return err;
}

static int print(struct checking *c, struct why *why)
{
	struct report_zone *zones = calloc(c->job_count + 1, sizeof *zones);
	struct report report = {.zones = zones, .count = c->job_count, .now = (int64_t)clock_unix(), .quiet = c->command->quiet, .color = show_of(stdout).color};
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
	conf_free(c->conf);
	arena_release(&c->arena);
}

static void look(struct checking *c)
{
	for (size_t i = 0; i < c->job_count; i++)
		begin(&c->jobs[i]);
	if (c->done < c->job_count)
		event_base_dispatch(c->loop);
}

int checking_run(const struct command *command, const char *socket_path, const struct why *no_socket, struct why *why)
{
	struct checking c = {.command = command};
	int status = STATUS_UNKNOWN;
	enum err err;

	rr_init();
	err = command->from_daemon ? ask_daemon(&c, socket_path, no_socket, why) : prepare(&c, why);
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
