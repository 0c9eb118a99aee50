#include "run/watch.h"

#include "base/log.h"
#include "base/thread.h"
#include "check/check.h"
#include "check/report.h"
#include "check/sample.h"
#include "dns/rrtext.h"
#include "run/asking.h"
#include "run/spawn.h"

#include <event2/event.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
	AT_ONCE = 8,                 /* zones */
	SLICE = 2000,                /* zones that are looked at each second, whether they are to be checked, once something has changed; */
	SLICE_IDLE = 100,            /* else */
	SAVE_S = 3600,               /* what is remembered is written when something changed, or after so long */
	KEPT_MAX = 200,              /* findings of the last result */
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
	struct memory *memory;       /* NULL: not read yet, or it is being written */
	struct turn *turn;           /* NULL: none is under way */
	char *last;                  /* JSON; NULL: none yet */
	int64_t at, saved;           /* seconds since 1970: of the last result; of the file */
	bool due, saving, gone;
	uint8_t name[];
};

/* One check under way. */
struct turn {
	struct watched *zone;
	struct generation *generation;       /* held: the settings are its */
	struct arena arena;
	struct survey_settings survey;
	struct verdict_settings verdict;
	struct check *check;
	struct verdict *found;       /* while the sample is asked for */
	struct sample *sample;
};

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
	unsigned under_way;
	size_t at;                   /* the zone where the next slice begins */
	size_t left;                 /* zones to look at since something has changed: */
	const struct generation *generation; /* never followed: it may be gone */
	size_t zones;
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
	sample_free(turn->sample);
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
	free(z->last);
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
	o = json_pack("{s:s, s:s, s:I, s:o}", "zone", name_text(z->name, zone), "event", what, "time", (json_int_t)w->unix_time(), "finding", json_deep_copy(finding));
	n = calloc(1, sizeof *n);
	if (n) {
		*n = (struct notice){.path = strdup(conf->on_change.command), .zone = strdup(zone), .text = o ? json_dumps(o, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_PRESERVE_ORDER) : NULL,
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

/* What makes it the same one from check to check. */
static bool key_of(const json_t *finding, char *key, size_t size)
{
	return (size_t)snprintf(key, size, "%s|%s|%s|%s|%s|%s", text_of(finding, "id"), text_of(finding, "severity"), text_of(finding, "server"),
		text_of(finding, "address"), text_of(finding, "owner"), text_of(finding, "type")) < size;
}

static json_t *keys_of(const json_t *result)
{
	json_t *keys = json_object(), *finding;
	char key[2048];
	size_t i;

	json_array_foreach(json_object_get(result, "findings"), i, finding)
		if (key_of(finding, key, sizeof key))
			json_object_set_new(keys, key, json_true());
	return keys;
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

/* Says what of `from` is not in `other`. */
static size_t say_difference(struct watched *z, const struct conf_check *conf, const json_t *from, const json_t *other, bool found)
{
	json_t *keys = keys_of(other), *said = json_object(), *finding;
	char key[2048];
	size_t i, n = 0;

	json_array_foreach(json_object_get(from, "findings"), i, finding) {
		if (!key_of(finding, key, sizeof key) || json_object_get(keys, key) || json_object_get(said, key))
			continue;
		json_object_set_new(said, key, json_true());
		if (++n > LINES_MAX)
			continue;
		log_change(z, finding, found);
		notify(z, conf, finding, found ? "found" : "gone");
	}
	json_decref(keys);
	json_decref(said);
	return n;
}

/* And cuts the result to what is kept: what was not kept is not said to be gone, nor found each time. */
static bool say_changes(struct watched *z, const struct conf_check *conf, json_t *result)
{
	json_t *before = z->last ? json_loads(z->last, 0, NULL) : NULL;
	size_t gone = say_difference(z, conf, before, result, false), found;

	report_kept_cut(result, KEPT_MAX);
	found = say_difference(z, conf, result, before, true);
	z->watch->counters.gone += gone;
	z->watch->counters.found += found;
	json_decref(before);
	return gone || found;
}

/* --- what is remembered ---------------------------------------------------------- */

static const struct conf *conf_of(const struct watch *w)
{
	return generation_conf(keeper_generation(w->keeper));
}

struct saving {
	struct disk_work work;
	struct watched *zone;
	struct memory *memory;
	char path[PATH_SIZE];
};

static enum err save(struct disk_work *work, struct why *why)
{
	struct saving *s = (struct saving *)work;

	return memory_save(s->memory, s->path, why);
}

static void saving_free(struct disk_work *work)
{
	struct saving *s = (struct saving *)work;

	memory_free(s->memory);
	free(s);
}

static void saved(void *ctx, struct disk_result *result)
{
	struct watched *z = ctx;
	struct saving *s = (struct saving *)result->work;

	z->saving = false;
	if (result->err)
		log_say(LOG_LEVEL_WARNING, "check-memory", "%s", err_say(&result->why, result->err));
	if (s && !z->memory) {
		z->memory = s->memory;
		s->memory = NULL;
	}
	if (!z->gone)
		return;
	unlink_zone(z->watch, z);
	zone_free(z);
}

/* The memory goes to the disk's thread, and comes back. */
static void save_later(struct watched *z, bool changed)
{
	int64_t now = (int64_t)z->watch->unix_time();
	struct disk *disk = keeper_disk(z->watch->keeper);
	struct saving *s;

	if (!disk || (!changed && now - z->saved < SAVE_S))
		return;
	s = calloc(1, sizeof *s);
	if (!s || !asking_memory_path(conf_of(z->watch), z->name, s->path, sizeof s->path)) {
		free(s);
		return;
	}
	s->work = (struct disk_work){save, saving_free};
	s->zone = z;
	s->memory = z->memory;
	z->memory = NULL;
	z->saved = now;
	z->saving = true;
	disk_call(disk, NULL, &s->work, saved, z);
}

static struct memory *memory_for(struct watched *z)
{
	char path[PATH_SIZE];
	struct why why;

	if (z->memory || !(z->memory = memory_new(z->name)))
		return z->memory;
	if (asking_memory_path(conf_of(z->watch), z->name, path, sizeof path) && memory_load(z->memory, path, &why))
		log_say(LOG_LEVEL_WARNING, "check-memory", "%s", err_say(&why, ERR_IO));
	return z->memory;
}

/* False: we serve nothing, or out of memory. */
static bool remember_served(const struct keep *k, struct memory *memory, int64_t now)
{
	struct zone *served = keep_served(k);
	struct keep_state state;
	bool entered;

	keep_state(k, &state);
	entered = served && memory_serve(memory, served->serial, state.changed ? state.changed : now, now);
	zone_put(served);
	return entered;
}

/* --- one check ---------------------------------------------------------------- */

static void begin_some(struct watch *);

static void set_timer(struct watched *z, int64_t in_ms)
{
	timer_set(z->watch->timers, &z->timer, z->watch->now() + in_ms);
}

static struct verdict *judge(struct watched *z, const struct keep *k, const struct survey *survey)
{
	struct memory *memory = memory_for(z);

	if (!memory)
		return NULL;
	z->turn->verdict.serves = remember_served(k, memory, (int64_t)z->watch->unix_time());
	return verdict_of(survey, memory, &z->turn->verdict, (int64_t)z->watch->unix_time());
}

static void take_result(struct watched *z, const struct keep *k, const struct verdict *verdict)
{
	struct report_zone report = {verdict->zone, verdict, NULL};
	json_t *result = report_kept_of(&report);
	bool changed = say_changes(z, &keep_wired(k)->set->check, result);

	free(z->last);
	z->last = json_dumps(result, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(6));
	z->at = (int64_t)z->watch->unix_time();
	json_decref(result);
	save_later(z, changed);
}

static void end_turn(struct watched *z)
{
	struct watch *w = z->watch;
	struct keep *k = keeper_find(w->keeper, z->name);

	w->under_way--;
	w->counters.checks++;
	if (k && z->turn->found)
		take_result(z, k, z->turn->found);
	turn_free(z->turn);
	z->turn = NULL;
	begin_some(w);
}

/* What differed the last time is asked for again, so that it is not taken for mended because chance has not hit it. */
static size_t differed(const struct watched *z, struct question *out, size_t most)
{
	json_t *before = z->last ? json_loads(z->last, 0, NULL) : NULL, *finding;
	size_t i, count = 0;
	struct why why;

	json_array_foreach(json_object_get(before, "findings"), i, finding) {
		const char *owner = text_of(finding, "owner"), *type = text_of(finding, "type");

		if (count < most && *owner && rr_type_parse(type, strlen(type), &out[count].type) && name_parse(owner, strlen(owner), NULL, out[count].name, &why) == ERR_OK)
			count++;
	}
	json_decref(before);
	return count;
}

static void on_sample(void *ctx)
{
	struct watched *z = ctx;

	sample_findings(z->turn->sample, z->turn->found->findings);
	end_turn(z);
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

static void on_survey(void *ctx, struct survey *survey)
{
	struct watched *z = ctx;
	struct keep *k = keeper_find(z->watch->keeper, z->name);
	bool asks = false;

	z->turn->check = NULL;
	if (survey && k)
		z->turn->found = judge(z, k, survey);
	if (z->turn->found)
		asks = begin_sample(z, k, survey);
	survey_free(survey);
	if (!asks)
		end_turn(z);
}

static bool begin(struct watched *z, const struct keep *k)
{
	struct watch *w = z->watch;
	const struct conf_settings *set = keep_wired(k)->set;
	struct turn *turn = calloc(1, sizeof *turn);

	if (!turn)
		return false;
	turn->zone = z;
	turn->generation = keeper_generation(w->keeper);
	generation_hold(turn->generation);
	if (asking_survey(&w->asking, conf_of(w), set, &turn->arena, &turn->survey) && asking_verdict(&w->asking, conf_of(w), set, &turn->arena, &turn->verdict))
		turn->check = checks_add(w->checks, z->name, &turn->survey, on_survey, z);
	if (!turn->check) {
		turn_free(turn);
		return false;
	}
	z->turn = turn;
	w->under_way++;
	return true;
}

uint32_t watch_every(const struct keep *k)
{
	const struct conf_settings *set = keep_wired(k)->set;

	return set->catalog == CONF_CATALOG_NONE ? set->check.every : 0;
}

/* What goes while its memory is being written goes when that is done. */
static void forget(struct watched *z)
{
	if (z->turn)
		z->watch->under_way--;
	turn_free(z->turn);
	z->turn = NULL;
	timer_stop(z->watch->timers, &z->timer);
	z->gone = z->saving;
	if (z->gone)
		return;
	unlink_zone(z->watch, z);
	zone_free(z);
}

/* It is wanted again before that is done. */
static void come_back(struct watched *z)
{
	z->gone = false;
	set_timer(z, RETRY_MS);
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
		if (!k || !watch_every(k)) {
			forget(z);
			continue;
		}
		set_timer(z, z->saving ? RETRY_MS : (int64_t)watch_every(k) * 1000);
		if (!z->saving)
			begin(z, k);
	}
}

static void due(struct timer *timer)
{
	struct watched *z = (struct watched *)timer;
	struct watch *w = z->watch;

	if (z->due || z->turn) {     /* it takes longer than it is to be asked again */
		set_timer(z, RETRY_MS);
		return;
	}
	z->due = true;
	z->next = NULL;
	*w->last_due = z;
	w->last_due = &z->next;
	begin_some(w);
}

/* --- which zones -------------------------------------------------------------- */

static void add(struct watch *w, const struct keep *k)
{
	const uint8_t *name = keep_name(k);
	struct watched *z = make_room(w) ? calloc(1, sizeof *z + name_length(name)) : NULL;
	struct watched **at;
	uint32_t random;

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
	net_random(&random, sizeof random);
	set_timer(z, (int64_t)(random % ((uint64_t)watch_every(k) * 1000)));
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
	else if (z && z->gone)
		come_back(z);
	else if (z && z->timer.due > w->now() + (int64_t)every * 1000)
		set_timer(z, (int64_t)every * 1000);         /* it is wanted sooner than it was */
}

/* After a change all zones are looked at, from where it was noticed. */
static void notice_change(struct watch *w, size_t zones)
{
	const struct generation *generation = keeper_generation(w->keeper);

	if (generation == w->generation && zones == w->zones)
		return;
	w->generation = generation;
	w->zones = w->left = zones;
}

static void ticked(evutil_socket_t fd, short what, void *ctx)
{
	struct watch *w = ctx;
	size_t zones = keeper_count(w->keeper), n;

	(void)fd;
	(void)what;
	if (!keeper_generation(w->keeper))
		return;
	set_rate(w);
	notice_change(w, zones);
	n = w->left > SLICE ? SLICE : w->left ? w->left : zones < SLICE_IDLE ? zones : SLICE_IDLE;
	w->left -= n < w->left ? n : w->left;
	for (; n && zones; n--) {
		w->at = w->at < zones ? w->at : 0;
		look_at(w, keeper_at(w->keeper, w->at++));
	}
}

/* --- for others ---------------------------------------------------------------- */

json_t *watch_result(const struct watch *w, const uint8_t *name)
{
	const struct watched *z = w ? find(w, name) : NULL;
	struct keep *k = z ? keeper_find(w->keeper, name) : NULL;
	json_t *result;

	if (!z || !k || !watch_every(k))
		return NULL;
	result = z->last ? json_loads(z->last, 0, NULL) : NULL;
	if (!result)
		return json_null();
	json_object_set_new(result, "age", json_integer((json_int_t)w->unix_time() > z->at ? (json_int_t)w->unix_time() - z->at : 0));
	json_object_set_new(result, "every", json_integer(watch_every(k)));
	return result;
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
	if (w->tick)
		event_free(w->tick);
	for (size_t i = 0; i < w->slots; i++)
		while (w->slot[i]) {
			struct watched *z = w->slot[i];

			w->slot[i] = z->chain;
			if (z->saving)
				disk_disown(keeper_disk(w->keeper), z);
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
