#include "run/watch.h"

#include "base/array.h"
#include "base/log.h"
#include "base/thread.h"
#include "check/check.h"
#include "check/report.h"
#include "check/sample.h"
#include "dns/rrtext.h"
#include "run/asking.h"
#include "run/recall.h"
#include "run/spawn.h"

#include <event2/event.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
	AT_ONCE = 8,                 /* zones */
	ZONE_QUESTIONS = 75,         /* about what a zone at four addresses needs, */
	ZONE_ADDRESSES = 4,          /* and its sample once at each */
	SLICE = 2000,                /* zones that are looked at each second, whether they are to be checked, once something has changed; */
	SLICE_IDLE = 100,            /* else */
	SAVE_S = 3600,               /* what is remembered and the last result are written when something changed, or after so long */
	LINES_MAX = 50,              /* in the log, and commands, for one check */
	COMMANDS_MAX = 1000,         /* that wait */
	RETRY_MS = 1000,             /* where a check cannot begin yet */
	PATH_SIZE = 4096,
};

/* A zone that is checked. */
struct watched {
	struct timer timer;
	struct watch *watch;
	struct watched *chain;       /* in its slot of the table */
	struct watched *next;        /* of those that are due */
	struct memory *memory;       /* NULL: not read yet, or with the task */
	struct turn *turn;           /* NULL: none is under way, or with the task */
	struct task *task;           /* NULL: none */
	struct recalled last;        /* the last result */
	int64_t saved;               /* seconds since 1970: the files were written */
	bool loading;                /* the last result is being read */
	bool due, busy;              /* it waits for its turn; has it */
	uint8_t name[];
};

/* One check under way. */
struct turn {
	struct generation *generation;       /* held: the settings are its */
	struct arena arena;
	struct asking asking;
	struct survey_settings survey;
	struct verdict_settings verdict;
	struct check *check;
	struct verdict *found;
	struct sample *sample;
};

/* What is not done on the loop, but on a thread of files: it owns all that it works on, so that the zone may go meanwhile, or all of this. */
struct task {
	struct disk_work work;
	struct watch *watch;         /* on the loop alone */
	struct task *next;           /* of those that are out */
	struct generation *generation;       /* held */
	int64_t now;
	atomic_bool given_up;        /* nobody waits for what comes of it */
	uint8_t name[NAME_SIZE];     /* or, where last results are read, none, but: */
	struct loaded *loaded;
	size_t count, room;
	struct turn *turn;
	struct memory *memory;
	/* A verdict: */
	struct survey *survey;
	bool serves;
	struct serial serial;        /* that is served, since */
	int64_t taken;
	/* Its result: */
	char *last;                  /* the one before */
	struct recalled result;
	bool save;
	json_t *gone, *found;
	size_t gone_count, found_count;
};
struct loaded { uint8_t *name; struct recalled last; };

/* A command to be run. */
struct notice {
	struct notice *next;
	char *path, *zone, *text;
	const char *id, *what;
	uint32_t timeout_ms;
};

struct watch {
	struct event_base *loop;
	struct keeper *keeper;
	int64_t (*now)(void);
	uint64_t (*unix_time)(void);
	struct prober *prober;
	struct checks *checks;
	struct timers *timers;
	struct event *tick;
	struct asking asking;
	struct arena arena;
	struct watched **slot;
	size_t slots, count;
	struct watched *first_due, **last_due;
	size_t waiting;              /* of those */
	unsigned under_way;
	struct task *tasks;          /* that are out */
	struct task *load;           /* that is being made */
	size_t at;                   /* the zone where the next slice begins */
	size_t left;                 /* zones to look at since something has changed: */
	const struct generation *generation; /* never followed: it may be gone */
	size_t zones;
	double round, wanted;        /* of those looked at: questions for each once; and a second, to keep check.every */
	size_t round_zones;
	bool slow_said;              /* with these settings */
	unsigned rate;
	struct watch_counters counters;
	pthread_mutex_t lock;        /* of what follows */
	pthread_cond_t more;
	pthread_t thread;
	bool has_thread;
	atomic_bool stop;
	struct notice *notices, **last_notice;
	unsigned notice_count;
	uint64_t run, failed;
};

/* --- the table --------------------------------------------------------------- */

static size_t slot_of(const struct watch *w, const uint8_t *name)
{
	return name_hash(name) & (w->slots - 1);
}

static struct watched *find(const struct watch *w, const uint8_t *name)
{
	struct watched *z = w->slots ? w->slot[slot_of(w, name)] : NULL;

	while (z && !name_equal(z->name, name))
		z = z->chain;
	return z;
}

static bool make_room(struct watch *w)
{
	size_t before = w->slots, slots = before ? before * 2 : 64;
	struct watched **old = w->slot, **slot = w->count < before ? NULL : calloc(slots, sizeof *slot);

	if (w->count < before)
		return true;
	if (!slot)
		return before != 0;
	w->slot = slot;
	w->slots = slots;
	for (size_t i = 0; i < before; i++)
		for (struct watched *z = old[i], *chain; z; z = chain) {
			struct watched **at = &slot[slot_of(w, z->name)];

			chain = z->chain;
			z->chain = *at;
			*at = z;
		}
	free(old);
	return true;
}

static void turn_free(struct turn *turn)
{
	if (!turn)
		return;
	check_cancel(turn->check);
	sample_free(turn->sample);   /* none of the two where it may be another thread's */
	verdict_free(turn->found);
	generation_drop(turn->generation);
	arena_release(&turn->arena);
	free(turn);
}

static void unlink_zone(struct watch *w, struct watched *z)
{
	struct watched **at = &w->slot[slot_of(w, z->name)];

	while (*at != z)
		at = &(*at)->chain;
	*at = z->chain;
	w->counters.zones = --w->count;
}

static void zone_free(struct watched *z)
{
	timer_stop(z->watch->timers, &z->timer);
	timers_leave(z->watch->timers);
	turn_free(z->turn);
	memory_free(z->memory);
	recalled_release(&z->last);
	free(z);
}

/* --- commands ---------------------------------------------------------------- */

static void notice_free(struct notice *n)
{
	free(n->path);
	free(n->zone);
	free(n->text);
	free(n);
}

static void write_text(const void *text, spawn_put *put, void *to)
{
	put(to, text, strlen(text));
}

static void run_notice(struct watch *w, const struct notice *n)
{
	const char *argv[] = {n->path, n->zone, n->id, n->what, NULL};
	struct spawn spawn = {argv, n->timeout_ms, "check.on-change.timeout", &w->stop, write_text, n->text};
	char output[SPAWN_OUTPUT];
	struct why why = {{0}};
	struct log log;
	enum err err = spawn_run(&spawn, output, &why);

	pthread_mutex_lock(&w->lock);
	w->run++;
	w->failed += err != ERR_OK;
	pthread_mutex_unlock(&w->lock);
	if (!err)
		return;
	log_begin(&log, LOG_LEVEL_WARNING, "on-change-failed");
	log_str(&log, "zone", n->zone);
	log_str(&log, "finding", n->id);
	log_str(&log, "why", err_say(&why, err));
	log_end(&log);
}

static void *run_notices(void *ctx)
{
	struct watch *w = ctx;

	thread_gives_way();
	pthread_mutex_lock(&w->lock);
	for (;;) {
		struct notice *n = w->notices;

		if (atomic_load(&w->stop))
			break;
		if (!n) {
			pthread_cond_wait(&w->more, &w->lock);
			continue;
		}
		w->notices = n->next;
		if (!w->notices)
			w->last_notice = &w->notices;
		w->notice_count--;
		pthread_mutex_unlock(&w->lock);
		run_notice(w, n);
		notice_free(n);
		pthread_mutex_lock(&w->lock);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

static bool enqueue(struct watch *w, struct notice *n)
{
	bool taken;

	pthread_mutex_lock(&w->lock);
	if (!w->has_thread)
		w->has_thread = pthread_create(&w->thread, NULL, run_notices, w) == 0;
	taken = w->has_thread && w->notice_count < COMMANDS_MAX;
	if (taken) {
		*w->last_notice = n;
		w->last_notice = &n->next;
		w->notice_count++;
		pthread_cond_signal(&w->more);
	}
	pthread_mutex_unlock(&w->lock);
	return taken;
}

static void notify(struct watched *z, const struct conf_check *conf, const json_t *finding, const char *what)
{
	struct watch *w = z->watch;
	const char *id = json_string_value(json_object_get(finding, "id"));
	enum finding_id known;
	char zone[NAME_TEXT_SIZE];
	struct notice *n;
	json_t *o;

	if (!conf->on_change.command || !id || !finding_parse(id, &known))
		return;
	o = json_pack("{s:s, s:s, s:I, s:o}", "zone", name_text(z->name, zone), "event", what, "time", (json_int_t)w->unix_time(),
		"finding", json_deep_copy(finding));
	n = calloc(1, sizeof *n);
	if (n) {
		*n = (struct notice){.path = strdup(conf->on_change.command), .zone = strdup(zone),
			.text = o ? json_dumps(o, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_PRESERVE_ORDER) : NULL,
			.id = finding_name(known), .what = what, .timeout_ms = conf->on_change.timeout * 1000};
		if (!n->path || !n->zone || !n->text || !enqueue(w, n)) {
			notice_free(n);
			n = NULL;
		}
	}
	w->counters.commands_dropped += !n;
	json_decref(o);
}

/* --- what has changed ---------------------------------------------------------- */

static const char *text_of(const json_t *finding, const char *member)
{
	const char *text = json_string_value(json_object_get(finding, member));

	return text ? text : "";
}

static void log_change(const struct watched *z, const json_t *finding, bool found)
{
	char zone[NAME_TEXT_SIZE];
	struct log log;

	log_begin(&log, found ? LOG_LEVEL_WARNING : LOG_LEVEL_NOTICE, found ? "finding-found" : "finding-gone");
	log_str(&log, "zone", name_text(z->name, zone));
	log_str(&log, "finding", text_of(finding, "id"));
	log_str(&log, "severity", text_of(finding, "severity"));
	if (*text_of(finding, "server"))
		log_str(&log, "server", text_of(finding, "server"));
	if (*text_of(finding, "address"))
		log_str(&log, "address", text_of(finding, "address"));
	log_str(&log, "msg", text_of(finding, "message"));
	log_end(&log);
}

static void say(struct watched *z, const struct conf_check *conf, const json_t *findings, bool found)
{
	const json_t *finding;
	size_t i;

	json_array_foreach(findings, i, finding) {
		log_change(z, finding, found);
		notify(z, conf, finding, found ? "found" : "gone");
	}
}

/* --- tasks, on a thread of files -------------------------------------------------- */

static const struct conf *conf_of(const struct watch *w)
{
	return generation_conf(keeper_generation(w->keeper));
}

static void task_free(struct task *task)
{
	for (size_t i = 0; i < task->count; i++) {
		free(task->loaded[i].name);
		recalled_release(&task->loaded[i].last);
	}
	free(task->loaded);
	survey_free(task->survey);   /* it borrows from the settings */
	turn_free(task->turn);
	memory_free(task->memory);
	free(task->last);
	recalled_release(&task->result);
	json_decref(task->gone);
	json_decref(task->found);
	generation_drop(task->generation);
	free(task);
}

static void free_work(struct disk_work *work)
{
	task_free((struct task *)work);
}

static void complain(enum err err, const struct why *why)
{
	if (err)
		log_say(LOG_LEVEL_WARNING, "check-memory", "%s", err_say(why, err));
}

static enum err load(struct disk_work *work, struct why *why)
{
	struct task *task = (struct task *)work;

	for (size_t i = 0; i < task->count && !atomic_load(&task->given_up); i++)
		complain(recall_read(generation_conf(task->generation), task->loaded[i].name, task->now, &task->loaded[i].last, why), why);
	return ERR_OK;
}

static void read_memory(struct task *task)
{
	char path[PATH_SIZE];
	struct why why = {""};

	if (!task->memory && (task->memory = memory_new(task->name)) &&
	    asking_memory_path(generation_conf(task->generation), task->name, path, sizeof path))
		complain(memory_load(task->memory, path, &why), &why);
}

static enum err judge(struct disk_work *work, struct why *why)
{
	struct task *task = (struct task *)work;
	struct verdict_settings *settings = &task->turn->verdict;

	if (atomic_load(&task->given_up))
		return ERR_OK;
	read_memory(task);
	if (!task->memory)
		return err_why(why, ERR_NOMEM, "out of memory");
	settings->serves = task->serves && memory_serve(task->memory, task->serial, task->taken, task->now);
	task->turn->found = verdict_of(task->survey, task->memory, settings, task->now);
	return ERR_OK;
}

/* What was not kept of the result is not said to be gone, nor found each time. */
static enum err conclude(struct disk_work *work, struct why *why)
{
	struct task *task = (struct task *)work;
	struct report_zone report = {task->turn->found->zone, task->turn->found, NULL};
	json_t *result = report_kept_of(&report), *before = task->last ? json_loads(task->last, 0, NULL) : NULL;

	task->gone = recall_difference(before, result, LINES_MAX, &task->gone_count);
	report_kept_cut(result, RECALL_FINDINGS_MAX);
	task->found = recall_difference(result, before, LINES_MAX, &task->found_count);
	recall_make(result, task->now, &task->result);
	json_decref(result);
	json_decref(before);
	task->save = task->save || task->gone_count || task->found_count;
	return task->result.text ? ERR_OK : err_why(why, ERR_NOMEM, "out of memory");
}

/* After it was said: what is not in the file yet is said again after a restart, rather than never. */
static enum err save(struct disk_work *work, struct why *why)
{
	struct task *task = (struct task *)work;
	const struct conf *conf = generation_conf(task->generation);
	char path[PATH_SIZE];

	if (task->memory && asking_memory_path(conf, task->name, path, sizeof path))
		complain(memory_save(task->memory, path, why), why);
	complain(recall_write(conf, task->name, &task->result, why), why);
	return ERR_OK;
}

static enum err forget_last(struct disk_work *work, struct why *why)
{
	struct task *task = (struct task *)work;

	complain(recall_remove(generation_conf(task->generation), task->name, why), why);
	return ERR_OK;
}

/* --- and on the loop ---------------------------------------------------------------- */

static struct task *task_new(struct watch *w, const uint8_t *name, enum err (*run)(struct disk_work *, struct why *))
{
	struct task *task = calloc(1, sizeof *task);

	if (!task)
		return NULL;
	task->work = (struct disk_work){run, free_work};
	task->watch = w;
	task->now = (int64_t)w->unix_time();
	task->generation = keeper_generation(w->keeper);
	generation_hold(task->generation);
	if (name)
		name_copy(name, task->name);
	return task;
}

static void send_task(struct task *task, disk_done *done)
{
	struct watch *w = task->watch;

	task->next = w->tasks;
	w->tasks = task;
	disk_call(keeper_disk(w->keeper), *task->name ? task->name : NULL, &task->work, done, task);
}

static void hand_over(struct watched *z, struct task *task)
{
	task->turn = z->turn;
	task->memory = z->memory;
	z->turn = NULL;
	z->memory = NULL;
	z->task = task;
}

/* It is back. NULL: its zone is not there any more, or is there anew. */
static struct watched *take_back(struct task *task)
{
	struct watch *w = task->watch;
	struct task **at = &w->tasks;
	struct watched *z = find(w, task->name);

	while (*at != task)
		at = &(*at)->next;
	*at = task->next;
	if (!z || z->task != task)
		return NULL;
	z->task = NULL;
	z->turn = task->turn;
	z->memory = task->memory;
	task->turn = NULL;
	task->memory = NULL;
	return z;
}

static void task_done(void *ctx, struct disk_result *result)
{
	(void)result;
	take_back(ctx);
}

static void loaded(void *ctx, struct disk_result *result)
{
	struct task *task = ctx;

	(void)result;
	for (size_t i = 0; i < task->count; i++) {
		struct watched *z = find(task->watch, task->loaded[i].name);

		if (!z || !z->loading)
			continue;
		z->loading = false;
		z->last = task->loaded[i].last;
		task->loaded[i].last = (struct recalled){0};
	}
	take_back(task);
}

/* False: it begins without. */
static bool load_later(struct watch *w, const uint8_t *name)
{
	struct task *task = w->load ? w->load : (w->load = task_new(w, NULL, load));
	uint8_t *copy = malloc(name_length(name));

	if (!task || !copy || !array_room(task->loaded, task->room, task->count + 1)) {
		free(copy);
		return false;
	}
	name_copy(name, copy);
	task->loaded[task->count++] = (struct loaded){.name = copy};
	return true;
}

static void begin_load(struct watch *w)
{
	struct task *task = w->load;

	w->load = NULL;
	if (task)
		send_task(task, loaded);
}

/* --- one check ---------------------------------------------------------------- */

static void begin_some(struct watch *);

static void set_timer(struct watched *z, int64_t in_ms)
{
	timer_set(z->watch->timers, &z->timer, z->watch->now() + in_ms);
}

static void end_turn(struct watched *z)
{
	struct watch *w = z->watch;

	w->under_way--;
	w->counters.checks++;
	z->busy = false;
	turn_free(z->turn);
	z->turn = NULL;
	begin_some(w);
}

static void saved(void *ctx, struct disk_result *result)
{
	struct watched *z = take_back(ctx);

	(void)result;
	if (z)
		end_turn(z);
}

/* False: out of memory. */
static bool save_later(struct watched *z)
{
	struct task *task = task_new(z->watch, z->name, save);

	if (!task)
		return false;
	task->result = (struct recalled){.text = strdup(z->last.text), .at = z->last.at};
	if (!task->result.text) {
		task_free(task);
		return false;
	}
	hand_over(z, task);
	z->saved = task->now;
	send_task(task, saved);
	return true;
}

static void concluded(void *ctx, struct disk_result *result)
{
	struct task *task = ctx;
	struct watched *z = take_back(task);
	struct keep *k = z ? keeper_find(z->watch->keeper, z->name) : NULL;

	(void)result;
	if (k && task->result.text) {
		say(z, &keep_wired(k)->set->check, task->gone, false);
		say(z, &keep_wired(k)->set->check, task->found, true);
		z->watch->counters.gone += task->gone_count;
		z->watch->counters.found += task->found_count;
		recalled_release(&z->last);
		z->last = task->result;
		task->result = (struct recalled){0};
		if (task->save && save_later(z))
			return;
	}
	if (z)
		end_turn(z);
}

static void take_result(struct watched *z)
{
	struct task *task = task_new(z->watch, z->name, conclude);
	char *last = task && z->last.text ? strdup(z->last.text) : NULL;

	if (!task || (z->last.text && !last)) {
		if (task)
			task_free(task);
		end_turn(z);
		return;
	}
	task->last = last;
	task->save = task->now - z->saved >= SAVE_S || task->now < z->saved;
	hand_over(z, task);
	send_task(task, concluded);
}

/* What differed the last time is asked for again, so that it is not taken for mended because chance has not hit it. */
static size_t differed(const struct watched *z, struct question *out, size_t most)
{
	json_t *before = z->last.text ? json_loads(z->last.text, 0, NULL) : NULL, *finding;
	size_t i, count = 0;
	struct why why;

	json_array_foreach(json_object_get(before, "findings"), i, finding) {
		const char *owner = text_of(finding, "owner"), *type = text_of(finding, "type");

		if (count < most && *owner && rr_type_parse(type, strlen(type), &out[count].type) &&
		    name_parse(owner, strlen(owner), NULL, out[count].name, &why) == ERR_OK)
			count++;
	}
	json_decref(before);
	return count;
}

static void on_sample(void *ctx)
{
	struct watched *z = ctx;

	sample_findings(z->turn->sample, z->turn->found->findings);
	sample_free(z->turn->sample);
	z->turn->sample = NULL;
	take_result(z);
}

/* False: there is nothing to ask. */
static bool begin_sample(struct watched *z, const struct keep *k, const struct survey *survey)
{
	struct watch *w = z->watch;
	unsigned most = keep_wired(k)->set->check.sample;
	struct question *again = most ? calloc(most, sizeof *again) : NULL;
	struct sample_ask ask = {.base = w->loop, .prober = w->prober, .survey = survey, .most = most, .again = again, .done = on_sample, .ctx = z};

	if (!again)
		return false;
	ask.zone = keep_served(k);
	if (ask.zone) {
		ask.again_count = differed(z, again, most);
		net_random(&ask.random, sizeof ask.random);
		z->turn->sample = sample_start(&ask);
	}
	zone_put(ask.zone);
	free(again);
	return z->turn->sample != NULL;
}

static void judged(void *ctx, struct disk_result *result)
{
	struct task *task = ctx;
	struct watched *z = take_back(task);
	struct keep *k = z ? keeper_find(z->watch->keeper, z->name) : NULL;

	(void)result;
	if (!z)
		return;
	if (!k || !z->turn->found)
		end_turn(z);
	else if (!begin_sample(z, k, task->survey))
		take_result(z);
}

static void take_served(struct task *task, const struct keep *k)
{
	struct zone *served = keep_served(k);
	struct keep_state state;

	keep_state(k, &state);
	task->serves = served != NULL;
	if (served)
		task->serial = served->serial;
	task->taken = state.changed ? state.changed : task->now;
	zone_put(served);
}

static void on_survey(void *ctx, struct survey *survey)
{
	struct watched *z = ctx;
	struct keep *k = keeper_find(z->watch->keeper, z->name);
	struct task *task = survey && k ? task_new(z->watch, z->name, judge) : NULL;

	z->turn->check = NULL;
	if (!task) {
		survey_free(survey);
		end_turn(z);
		return;
	}
	take_served(task, k);
	task->survey = survey;
	hand_over(z, task);
	send_task(task, judged);
}

static bool begin(struct watched *z, const struct keep *k)
{
	struct watch *w = z->watch;
	const struct conf_settings *set = keep_wired(k)->set;
	struct turn *turn = calloc(1, sizeof *turn);

	if (!turn)
		return false;
	asking_system(&w->asking);
	turn->asking = w->asking;
	turn->generation = keeper_generation(w->keeper);
	generation_hold(turn->generation);
	if (asking_survey(&turn->asking, conf_of(w), set, &turn->arena, &turn->survey) &&
	    asking_verdict(&turn->asking, conf_of(w), set, &turn->arena, &turn->verdict))
		turn->check = checks_add(w->checks, z->name, &turn->survey, on_survey, z);
	if (!turn->check) {
		turn_free(turn);
		return false;
	}
	z->turn = turn;
	z->busy = true;
	w->under_way++;
	return true;
}

uint32_t watch_every(const struct keep *k)
{
	const struct conf_settings *set = keep_wired(k)->set;

	return set->catalog == CONF_CATALOG_NONE ? set->check.every : 0;
}

static void forget_file(struct watch *w, const uint8_t *name)
{
	struct task *task = task_new(w, name, forget_last);

	if (task)
		send_task(task, task_done);
}

/* It is not its turn: nothing of it is under way. */
static void forget(struct watched *z)
{
	struct watch *w = z->watch;

	forget_file(w, z->name);
	unlink_zone(w, z);
	zone_free(z);
}

static void begin_some(struct watch *w)
{
	while (w->first_due && w->under_way < AT_ONCE) {
		struct watched *z = w->first_due;
		struct keep *k = keeper_find(w->keeper, z->name);

		w->first_due = z->next;
		if (!w->first_due)
			w->last_due = &w->first_due;
		z->due = false;
		w->waiting--;
		if (!k || !watch_every(k)) {
			forget(z);
			continue;
		}
		set_timer(z, z->loading ? RETRY_MS : (int64_t)watch_every(k) * 1000);
		if (!z->loading)
			begin(z, k);
	}
}

static void due(struct timer *timer)
{
	struct watched *z = (struct watched *)timer;
	struct watch *w = z->watch;

	if (z->due || z->busy) {     /* it takes longer than it is to be asked again */
		set_timer(z, RETRY_MS);
		return;
	}
	z->due = true;
	z->next = NULL;
	*w->last_due = z;
	w->last_due = &z->next;
	w->waiting++;
	begin_some(w);
}

/* --- which zones -------------------------------------------------------------- */

/* What is under way ends first: its file is written then, if at all. */
static void on_gone(void *ctx, const uint8_t *name)
{
	struct watch *w = ctx;
	struct watched *z = find(w, name);

	if (!z)
		forget_file(w, name);
	else if (z->due || z->busy)
		set_timer(z, RETRY_MS);
	else
		forget(z);
}

static void add(struct watch *w, const struct keep *k)
{
	const uint8_t *name = keep_name(k);
	struct watched *z = make_room(w) ? calloc(1, sizeof *z + name_length(name)) : NULL;
	struct watched **at;

	if (!z)
		return;
	if (!timers_join(w->timers)) {
		free(z);
		return;
	}
	z->watch = w;
	z->timer.call = due;
	name_copy(name, z->name);
	at = &w->slot[slot_of(w, name)];
	z->chain = *at;
	*at = z;
	w->counters.zones = ++w->count;
	z->loading = load_later(w, name);
	set_timer(z, (int64_t)(net_random32() % ((uint64_t)watch_every(k) * 1000)));
}

static void set_rate(struct watch *w)
{
	unsigned rate = conf_of(w)->server.limits.check_rate;
	struct prober_limits limits = prober_limits_of(w->prober);

	if (rate == w->rate)
		return;
	w->rate = limits.rate_all = rate;
	prober_set_limits(w->prober, limits);
}

static void look_at(struct watch *w, const struct keep *k)
{
	uint32_t every = watch_every(k);
	struct watched *z = every ? find(w, keep_name(k)) : NULL;

	if (every && !z)
		add(w, k);
	else if (z && z->timer.due > w->now() + (int64_t)every * 1000)
		set_timer(z, (int64_t)every * 1000);         /* it is wanted sooner than it was */
}

/* By what is known before anything was asked. */
static void add_to_round(struct watch *w, const struct keep *k)
{
	unsigned sample = keep_wired(k)->set->check.sample;
	double questions = ZONE_QUESTIONS + ZONE_ADDRESSES * (sample ? sample + QUESTIONS_ABSENT + 1.0 : 0);

	w->round += questions;
	w->wanted += questions / watch_every(k);
	w->round_zones++;
}

/* That check.every cannot be kept is said once for these settings. */
static void judge_round(struct watch *w)
{
	struct log log;

	if (w->slow_said || w->wanted <= w->rate)
		return;
	w->slow_said = true;
	log_begin(&log, LOG_LEVEL_WARNING, "checks-slow");
	log_int(&log, "zones", (int64_t)w->round_zones);
	log_int(&log, "rate", w->rate);
	log_int(&log, "round", (int64_t)(w->round / w->rate));
	log_int(&log, "wanted", (int64_t)(w->wanted + 1));
	log_str(&log, "msg",
		"check.every is not kept: at this rate (questions a second) one round of the checks takes about so many seconds;"
		" for every zone to have its turn in time,"
		" raise server.limits.check-rate to about the rate that is wanted, or check.every, or lower check.sample");
	log_end(&log);
}

/* After a change all zones are looked at, from where it was noticed. */
static void notice_change(struct watch *w, size_t zones)
{
	const struct generation *generation = keeper_generation(w->keeper);

	if (generation == w->generation && zones == w->zones)
		return;
	w->slow_said = w->slow_said && generation == w->generation;
	w->generation = generation;
	w->zones = w->left = zones;
	w->round = w->wanted = 0;
	w->round_zones = 0;
}

static void look_at_some(struct watch *w, size_t zones, size_t n)
{
	for (; n && zones; n--) {
		const struct keep *k;

		w->at = w->at < zones ? w->at : 0;
		k = keeper_at(w->keeper, w->at++);
		look_at(w, k);
		if (w->left && watch_every(k))
			add_to_round(w, k);
		if (w->left && !--w->left)
			judge_round(w);
	}
	begin_load(w);
}

static void ticked(evutil_socket_t fd, short what, void *ctx)
{
	struct watch *w = ctx;
	size_t zones = keeper_count(w->keeper);

	(void)fd;
	(void)what;
	if (!keeper_generation(w->keeper))
		return;
	set_rate(w);
	notice_change(w, zones);
	look_at_some(w, zones, w->left > SLICE ? SLICE : w->left ? w->left : zones < SLICE_IDLE ? zones : SLICE_IDLE);
}

/* --- for others ---------------------------------------------------------------- */

json_t *watch_result(const struct watch *w, const uint8_t *name)
{
	const struct watched *z = w ? find(w, name) : NULL;
	struct keep *k = z ? keeper_find(w->keeper, name) : NULL;
	json_t *result;

	if (!z || !k || !watch_every(k))
		return NULL;
	result = z->last.text ? json_loads(z->last.text, 0, NULL) : NULL;
	if (!result)
		return json_null();
	json_object_set_new(result, "age", json_integer((json_int_t)w->unix_time() > z->last.at ? (json_int_t)w->unix_time() - z->last.at : 0));
	json_object_set_new(result, "every", json_integer(watch_every(k)));
	return result;
}

const char *watch_pending(const struct watch *w, const uint8_t *name, char out[WATCH_TEXT])
{
	const struct watched *z = w ? find(w, name) : NULL;
	int64_t wait;

	if (!z)
		snprintf(out, WATCH_TEXT, "it is looked for within seconds");
	else if (z->loading)
		snprintf(out, WATCH_TEXT, "what was found last is being read");
	else if (z->busy)
		snprintf(out, WATCH_TEXT, "the first check is under way");
	else if (z->due)
		snprintf(out, WATCH_TEXT, "it waits for its turn, as %zu zones do", w->waiting);
	else {
		wait = (z->timer.due - w->now()) / 1000;
		snprintf(out, WATCH_TEXT, "the first check is due in %lld s", (long long)(wait > 0 ? wait : 0));
	}
	return out;
}

const char *watch_worst(const struct watch *w, const struct keep *k)
{
	const struct watched *z = w && watch_every(k) ? find(w, keep_name(k)) : NULL;

	return z ? z->last.worst : NULL;
}

const struct watch_counters *watch_counters(const struct watch *w)
{
	static const struct watch_counters none;
	struct watch *own = (struct watch *)(uintptr_t)w;

	if (!w)
		return &none;
	pthread_mutex_lock(&own->lock);
	own->counters.commands = own->run;
	own->counters.commands_failed = own->failed;
	pthread_mutex_unlock(&own->lock);
	return &own->counters;
}

struct watch *watch_new(struct event_base *loop, struct keeper *keeper, int64_t (*now)(void), uint64_t (*unix_time)(void))
{
	static const struct timeval second = {1, 0};
	struct watch *w = calloc(1, sizeof *w);
	const struct command_asking none = {.rate = -1};
	struct why why;

	if (!w)
		return NULL;
	w->loop = loop;
	w->keeper = keeper;
	w->now = now;
	w->unix_time = unix_time;
	w->last_due = &w->first_due;
	w->last_notice = &w->notices;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->more, NULL);
	w->rate = keeper_generation(keeper) ? conf_of(w)->server.limits.check_rate : 1;
	w->timers = timers_new(loop, now);
	w->prober = prober_new(loop, (struct prober_limits){.rate_all = w->rate, .gather = true});
	w->checks = w->prober ? checks_new(loop, w->prober, AT_ONCE) : NULL;
	w->tick = event_new(loop, -1, EV_PERSIST, ticked, w);
	if (!w->timers || !w->checks || !w->tick || event_add(w->tick, &second) < 0 || asking_read(&w->asking, &none, &w->arena, &why) != ERR_OK) {
		watch_free(w);
		return NULL;
	}
	keeper_on_gone(keeper, on_gone, w);
	return w;
}

static void end_thread(struct watch *w)
{
	pthread_mutex_lock(&w->lock);
	atomic_store(&w->stop, true);
	pthread_cond_signal(&w->more);
	pthread_mutex_unlock(&w->lock);
	if (w->has_thread)
		pthread_join(w->thread, NULL);
	while (w->notices) {
		struct notice *n = w->notices;

		w->notices = n->next;
		notice_free(n);
	}
}

void watch_free(struct watch *w)
{
	if (!w)
		return;
	end_thread(w);
	keeper_on_gone(w->keeper, NULL, NULL);
	if (w->tick)
		event_free(w->tick);
	for (struct task *task = w->tasks; task; task = task->next) {
		atomic_store(&task->given_up, true);
		disk_disown(keeper_disk(w->keeper), task);
	}
	for (size_t i = 0; i < w->slots; i++)
		while (w->slot[i]) {
			struct watched *z = w->slot[i];

			w->slot[i] = z->chain;
			zone_free(z);
		}
	free(w->slot);
	checks_free(w->checks);
	prober_free(w->prober);
	timers_free(w->timers);
	arena_release(&w->arena);
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->more);
	free(w);
}
