#include "run/judge.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "run/approve.h"
#include "zone/diff.h"
#include "zone/dnssec.h"
#include "zone/nsset.h"
#include "zone/zonemd.h"

#include <event2/event.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum lane_kind { COMPUTING, COMMANDS, LANES };
enum {
	THREADS_MAX = 8,
	DIFF_MAX = 64 << 20,         /* octets; what differs in more is looked at as a whole */
};
static const unsigned lane_threads[LANES] = {[COMPUTING] = 4, [COMMANDS] = THREADS_MAX};

enum judge_by { BY_NOBODY, BY_NS_SET, BY_ZONEMD, BY_DNSSEC, BY_CHANGE, BY_COMMAND };

struct job {
	struct job *next;
	struct zone *version, *older;
	bool older_validated, dnssec;
	enum conf_zonemd zonemd;
	unsigned max_change;
	uint32_t timeout_ms;
	char *command;               /* NULL: none */
	atomic_bool stop;
	judge_done *done;
	void *ctx;
	enum err err;
	struct why why;
	enum judge_by by;            /* whose word `err` is */
	bool command_ran;
	char output[APPROVE_OUTPUT];
	uint32_t ms;
};

struct lane {
	struct judge *judge;
	struct job *first, **last;
	struct job *running[THREADS_MAX];
	pthread_t thread[THREADS_MAX];
	unsigned threads, idle, waiting;     /* waiting: jobs in the queue */
	pthread_cond_t more;
};

struct judge {
	uint64_t (*unix_time)(void);
	pthread_mutex_t lock;
	struct lane lane[LANES];
	struct job *done, **done_last;
	bool stopping;
	struct event *event;
	int wake;
	struct judge_counters counters;
};

static void job_free(struct job *job)
{
	zone_put(job->version);
	zone_put(job->older);
	free(job->command);
	free(job);
}

/* --- what is looked at ----------------------------------------------------------- */

static bool has_zonemd(const struct zone *version)
{
	struct zone_rrset set;

	return zone_node_rrset(version->apex_node, RR_ZONEMD, &set, NULL);
}

static bool wants_computing(const struct judge_ask *ask)
{
	const struct conf_settings *set = ask->set;

	return set->zonemd == CONF_ZONEMD_REQUIRE || (set->zonemd == CONF_ZONEMD_CHECK && has_zonemd(ask->version)) ||
		(set->dnssec_check && dnssec_is_signed(ask->version)) || (set->approve.max_change < 100 && ask->older);
}

/* What is rewritten is not refused. */
static enum err check_ns_set(const struct judge_ask *ask, struct why *why)
{
	struct why said;
	bool sealed = nsset_sealed(ask->version);

	switch (ask->ns_mode) {
	case CONF_NS_OFF: case CONF_NS_WARN:
		return ERR_OK;
	case CONF_NS_REWRITE:
		if (!sealed)
			return ERR_OK;
		break;
	case CONF_NS_REQUIRE:
		break;
	}
	if (nsset_shown(ask->ns_set, ask->version))
		return ERR_OK;
	nsset_say(ask->ns_set, ask->version, &said);
	return err_why(why, ERR_REFUSED, "%s%s",
		ask->ns_mode == CONF_NS_REWRITE ? "the zone is signed or has a digest, it cannot be rewritten: " : "", said.text);
}

static enum err check_zonemd(const struct job *job, struct why *why)
{
	enum zonemd_verdict verdict;
	enum err err;

	if (job->zonemd == CONF_ZONEMD_OFF)
		return ERR_OK;
	err = zonemd_check(job->version, &verdict, why);
	if (err)
		return err;
	switch (verdict) {
	case ZONEMD_RIGHT:
		return ERR_OK;
	case ZONEMD_ABSENT: case ZONEMD_UNKNOWN:
		return job->zonemd == CONF_ZONEMD_REQUIRE ? ERR_ZONE : ERR_OK;
	case ZONEMD_WRONG:
		return ERR_ZONE;
	}
	return ERR_ZONE;
}

/* The owners of what differs; false: out of memory. */
static bool owners_of(const struct diff *diff, uint8_t **octets, const uint8_t ***names, size_t *count)
{
	size_t room = (size_t)diff_removed(diff) + diff_added(diff) + 2, used = 0;
	struct diff_walk walk;
	struct rr rr;
	bool removed;

	*count = 0;
	*octets = malloc(room * NAME_SIZE);
	*names = malloc(room * sizeof **names);
	if (!*octets || !*names)
		return false;
	diff_walk(&walk, diff);
	while (*count < room && diff_next(&walk, &rr, &removed)) {
		if (*count && name_equal((*names)[*count - 1], rr.owner))
			continue;
		(*names)[*count] = *octets + used;
		used += name_copy(rr.owner, *octets + used);
		++*count;
	}
	return true;
}

static enum err check_change(const struct job *job, const struct diff *diff, uint64_t now, struct why *why)
{
	const uint8_t **names = NULL;
	uint8_t *octets = NULL;
	size_t count;
	enum err err;

	if (owners_of(diff, &octets, &names, &count))
		err = dnssec_check_change(job->version, job->older, names, count, now, &job->stop, why);
	else
		err = err_why(why, ERR_NOMEM, "out of memory");
	free(octets);
	free(names);
	return err;
}

static enum err check_dnssec(const struct job *job, uint64_t now, struct why *why)
{
	struct diff *diff = NULL;
	enum err err;

	if (!job->dnssec)
		return ERR_OK;
	if (!job->older || !job->older_validated || diff_make(job->older, job->version, DIFF_MAX, &diff))
		return dnssec_check(job->version, now, &job->stop, why);
	err = check_change(job, diff, now, why);
	diff_drop(diff);
	return err;
}

static void compute(struct judge *judge, struct job *job)
{
	job->by = BY_ZONEMD;
	job->err = check_zonemd(job, &job->why);
	if (!job->err) {
		job->by = BY_DNSSEC;
		job->err = check_dnssec(job, judge->unix_time(), &job->why);
	}
	if (!job->err && job->older && job->max_change < 100) {
		job->by = BY_CHANGE;
		job->err = approve_change(job->older, job->version, job->max_change, &job->why);
	}
}

static void run_command(struct job *job)
{
	struct approve_command command = {job->command, job->timeout_ms, job->version, job->older, &job->stop};

	job->by = BY_COMMAND;
	job->command_ran = true;
	job->err = approve_run(&command, job->output, &job->why);
}

/* --- threads --------------------------------------------------------------------- */

static void *run(void *);

/* Under the lock. False: nobody is there to do it. */
static bool enqueue(struct lane *lane, struct job *job)
{
	unsigned kind = (unsigned)(lane - lane->judge->lane);

	if (lane->idle <= lane->waiting && lane->threads < lane_threads[kind] &&
	    pthread_create(&lane->thread[lane->threads], NULL, run, lane) == 0)
		lane->threads++;
	if (!lane->threads)
		return false;
	job->next = NULL;
	*lane->last = job;
	lane->last = &job->next;
	lane->waiting++;
	pthread_cond_signal(&lane->more);
	return true;
}

static struct job *dequeue(struct lane *lane)
{
	struct job *job = lane->first;

	if (!job)
		return NULL;
	lane->first = job->next;
	if (!lane->first)
		lane->last = &lane->first;
	lane->waiting--;
	return job;
}

/* Under the lock. */
static void give_back(struct judge *judge, struct job *job)
{
	uint64_t one = 1;

	job->next = NULL;
	*judge->done_last = job;
	judge->done_last = &job->next;
	if (write(judge->wake, &one, sizeof one) < 0)
		return;              /* the counter is full: the loop is woken anyway */
}

static void work(struct lane *lane, struct job *job)
{
	int64_t began = clock_ms();

	if (atomic_load(&job->stop))
		job->err = err_why(&job->why, ERR_ORDER, "interrupted");
	else if (lane == &lane->judge->lane[COMMANDS])
		run_command(job);
	else
		compute(lane->judge, job);
	job->ms += (uint32_t)(clock_ms() - began);
}

static void *run(void *arg)
{
	struct lane *lane = arg;
	struct judge *judge = lane->judge;
	unsigned place = 0;
	struct job *job;

	thread_gives_way();
	pthread_mutex_lock(&judge->lock);
	for (;;) {
		while (!(job = dequeue(lane)) && !judge->stopping) {
			lane->idle++;
			pthread_cond_wait(&lane->more, &judge->lock);
			lane->idle--;
		}
		if (!job)
			break;
		for (place = 0; lane->running[place]; place++)
			;
		lane->running[place] = job;
		pthread_mutex_unlock(&judge->lock);
		work(lane, job);
		pthread_mutex_lock(&judge->lock);
		lane->running[place] = NULL;
		if (!job->err && job->command && !job->command_ran && !judge->stopping && enqueue(&judge->lane[COMMANDS], job))
			continue;
		if (!job->err && job->command && !job->command_ran)
			job->err = err_why(&job->why, ERR_NOMEM, "no thread can be had for the command");
		give_back(judge, job);
	}
	pthread_mutex_unlock(&judge->lock);
	return NULL;
}

/* --- on the loop ------------------------------------------------------------------- */

static void log_verdict(const struct job *job)
{
	static const char *const by[] = {"", "ns-set", "zonemd", "dnssec", "max-change", "command"};
	char text[NAME_TEXT_SIZE];
	struct log log;
	bool refused = job->err == ERR_ZONE || job->err == ERR_REFUSED;

	if (!job->err && !job->command_ran)
		return;
	log_begin(&log, job->err ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, job->err ? "version-refused" : "version-approved");
	log_str(&log, "zone", name_text(job->version->apex, text));
	if (job->older)
		log_int(&log, "old", job->older->serial.v);
	log_int(&log, "serial", job->version->serial.v);
	log_seconds(&log, "seconds", job->ms);
	if (refused)
		log_str(&log, "by", by[job->by]);
	if (job->err)
		log_str(&log, "why", err_say(&job->why, job->err));
	if (job->output[0])
		log_str(&log, "output", job->output);
	log_end(&log);
}

static void count(struct judge_counters *c, const struct job *job)
{
	uint64_t *const refused[] = {NULL, &c->refused_ns_set, &c->refused_zonemd, &c->refused_dnssec, &c->refused_change, &c->refused_command};

	c->judged++;
	if ((job->err == ERR_ZONE || job->err == ERR_REFUSED) && refused[job->by])
		++*refused[job->by];
}

static struct job *next_done(struct judge *judge)
{
	struct job *job;

	pthread_mutex_lock(&judge->lock);
	job = judge->done;
	if (job && !(judge->done = job->next))
		judge->done_last = &judge->done;
	pthread_mutex_unlock(&judge->lock);
	return job;
}

/* The versions are let go first: who is told may begin to build the next one. */
static void tell(struct judge *judge, struct job *job)
{
	judge_done *done = job->done;

	if (done) {
		log_verdict(job);
		count(&judge->counters, job);
	}
	zone_put(job->version);
	zone_put(job->older);
	job->version = job->older = NULL;
	if (done)
		done(job->ctx, job->err, &job->why);
	job_free(job);
}

static void woken(evutil_socket_t fd, short what, void *ctx)
{
	struct judge *judge = ctx;
	struct job *job;
	uint64_t times;

	(void)what;
	if (read(fd, &times, sizeof times) < 0)
		return;
	while ((job = next_done(judge)))
		tell(judge, job);
}

static struct job *job_new(const struct judge_ask *ask, judge_done *done, void *ctx)
{
	const struct conf_settings *set = ask->set;
	struct job *job = calloc(1, sizeof *job);

	if (!job)
		return NULL;
	job->zonemd = set->zonemd;
	job->dnssec = set->dnssec_check;
	job->older_validated = ask->older_validated;
	job->max_change = set->approve.max_change;
	job->timeout_ms = set->approve.timeout > UINT32_MAX / 1000 ? UINT32_MAX : set->approve.timeout * 1000;
	job->command = set->approve.command ? strdup(set->approve.command) : NULL;
	if (set->approve.command && !job->command) {
		free(job);
		return NULL;
	}
	job->version = zone_hold(ask->version);
	job->older = ask->older ? zone_hold(ask->older) : NULL;
	job->done = done;
	job->ctx = ctx;
	return job;
}

/* The NS set needs no thread. */
static void refuse(struct judge *judge, const struct judge_ask *ask, enum err err, const struct why *why)
{
	struct job job = {.version = ask->version, .older = ask->older, .err = err, .why = *why, .by = BY_NS_SET};

	log_verdict(&job);
	if (judge)
		count(&judge->counters, &job);
}

void judge_submit(struct judge *judge, const struct judge_ask *ask, judge_done *done, void *ctx)
{
	bool computing = wants_computing(ask), taken;
	struct why why = {{0}};
	struct job *job;
	enum err err = check_ns_set(ask, &why);

	if (err) {
		refuse(judge, ask, err, &why);
		done(ctx, err, &why);
		return;
	}
	if (!computing && !ask->set->approve.command) {
		done(ctx, ERR_OK, &why);
		return;
	}
	job = judge ? job_new(ask, done, ctx) : NULL;
	if (job) {
		pthread_mutex_lock(&judge->lock);
		taken = enqueue(&judge->lane[computing ? COMPUTING : COMMANDS], job);
		pthread_mutex_unlock(&judge->lock);
		if (taken)
			return;
		job_free(job);
	}
	err_why(&why, ERR_NOMEM, "out of memory, or of threads, to judge the new version");
	done(ctx, ERR_NOMEM, &why);
}

static void disown(struct job *job, const void *ctx)
{
	for (; job; job = job->next)
		if (job->ctx == ctx) {
			job->done = NULL;
			atomic_store(&job->stop, true);
		}
}

void judge_disown(struct judge *judge, void *ctx)
{
	if (!judge)
		return;
	pthread_mutex_lock(&judge->lock);
	disown(judge->done, ctx);
	for (unsigned l = 0; l < LANES; l++) {
		struct lane *lane = &judge->lane[l];

		disown(lane->first, ctx);
		for (unsigned i = 0; i < THREADS_MAX; i++)
			if (lane->running[i] && lane->running[i]->ctx == ctx) {
				lane->running[i]->done = NULL;
				atomic_store(&lane->running[i]->stop, true);
			}
	}
	pthread_mutex_unlock(&judge->lock);
}

const struct judge_counters *judge_counters(const struct judge *judge)
{
	static const struct judge_counters none;

	return judge ? &judge->counters : &none;
}

struct judge *judge_new(struct event_base *loop, uint64_t (*unix_time)(void))
{
	struct judge *judge = calloc(1, sizeof *judge);

	if (!judge)
		return NULL;
	judge->unix_time = unix_time;
	judge->done_last = &judge->done;
	pthread_mutex_init(&judge->lock, NULL);
	for (unsigned i = 0; i < LANES; i++) {
		judge->lane[i].judge = judge;
		judge->lane[i].last = &judge->lane[i].first;
		pthread_cond_init(&judge->lane[i].more, NULL);
	}
	judge->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	judge->event = judge->wake >= 0 ? event_new(loop, judge->wake, EV_READ | EV_PERSIST, woken, judge) : NULL;
	if (judge->event && event_add(judge->event, NULL) == 0)
		return judge;
	judge_free(judge);
	return NULL;
}

static void stop_all(struct judge *judge)
{
	pthread_mutex_lock(&judge->lock);
	judge->stopping = true;
	for (unsigned l = 0; l < LANES; l++) {
		for (struct job *job = judge->lane[l].first; job; job = job->next)
			atomic_store(&job->stop, true);
		for (unsigned i = 0; i < THREADS_MAX; i++)
			if (judge->lane[l].running[i])
				atomic_store(&judge->lane[l].running[i]->stop, true);
		pthread_cond_broadcast(&judge->lane[l].more);
	}
	pthread_mutex_unlock(&judge->lock);
}

void judge_free(struct judge *judge)
{
	struct job *job;

	if (!judge)
		return;
	stop_all(judge);
	for (unsigned l = 0; l < LANES; l++)
		for (unsigned i = 0; i < judge->lane[l].threads; i++)
			pthread_join(judge->lane[l].thread[i], NULL);
	while ((job = next_done(judge)))
		job_free(job);
	if (judge->event)
		event_free(judge->event);
	if (judge->wake >= 0)
		close(judge->wake);
	for (unsigned i = 0; i < LANES; i++)
		pthread_cond_destroy(&judge->lane[i].more);
	pthread_mutex_destroy(&judge->lock);
	free(judge);
}
