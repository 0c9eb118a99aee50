#include "run/keep.h"

#include "base/file.h"
#include "run/taking.h"
#include "xfer/notify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	LINKS_MOST = 64,             /* connections to primaries that are kept without use, in all */
	LINKS_EACH = 4,              /* and to one address */
	RELOAD_S = 10,               /* to read */
	SLOWLY = 25,                 /* first questions that are not due yet: 200 a second, not 5,000 */
};

/* A `notify` that somebody waits for. */
struct notify_wait {
	struct notify_wait *next;
	struct keep *keep;
	keep_done *done;
	void *ctx;
};

/* --- small things --------------------------------------------------------- */

const uint8_t *keep_name(const struct keep *k) { return k->name; }
const struct wired *keep_wired(const struct keep *k) { return k->wired; }
struct secondary *keep_secondary(const struct keep *k) { return k->secondary; }
const char *keep_path(const struct keep *k) { return k->path; }
struct keep *keep_first_changed(const struct keep_env *env) { return LIST_FIRST(&env->changed); }
bool keep_loading(const struct keep *k) { return k->loading; }
bool keep_begun(const struct keep *k) { return k->begun; }
bool keep_held(const struct keep *k) { return k->held; }
struct zone *keep_served(const struct keep *k) { return k->place ? store_hold(k->place) : NULL; }

void keep_forget(struct keep *k, void *ctx)
{
	kept_forget(&k->write_waiters, ctx);
	kept_forget(&k->load_waiters, ctx);
	if (k->secondary)
		secondary_forget_waiter(k->secondary, ctx);
	for (struct notify_wait *w = k->notify_waits; w; w = w->next)
		if (w->ctx == ctx)
			w->done = NULL;
}

/* --- the row -------------------------------------------------------------- */

const struct journal_row *keep_take_row(struct keep *k)
{
	kept_fill_row(k);
	kept_row_taken(k);
	k->row_committed = false;    /* what is written now says less than what waits to be served */
	return &k->row;
}

/* --- the zone file -------------------------------------------------------- */

static void load(struct keep *);

void keep_write(struct keep *k, keep_done *done, void *ctx)
{
	struct why why;

	if (!k->path || !kept_version(k)) {
		err_why(&why, ERR_NOTFOUND, !k->path ? "the zone has no file" : "there is nothing to write: the zone was never loaded");
		done(ctx, k, ERR_NOTFOUND, &why);
		return;
	}
	if (!k->secondary || (filing_done(k) && !k->writing && !filing_changed(k))) {
		done(ctx, k, ERR_OK, NULL);
		return;
	}
	kept_wait(&k->write_waiters, k, done, ctx);
	if (k->writing)
		k->write_again |= !serial_equal(k->writing_serial, kept_version(k)->serial);
	else
		filing_write(k, kept_version(k));
}

/* --- both copies ---------------------------------------------------------- */

void keep_mend(struct keep *k, unsigned what)
{
	kept_mend(k, what);
	if (k->secondary)
		kept_touch_row(k);
}

static void move_time(int64_t *at, int64_t seconds)
{
	if (*at)
		*at += seconds;
}

void keep_clock_moved(struct keep *k, int64_t seconds)
{
	move_time(&k->row.changed, seconds);
	move_time(&k->told_at, seconds);
	move_time(&k->loaded, seconds);
	move_time(&k->written_at, seconds);
}

void keep_unpin(struct keep *k)
{
	if (!k->secondary)           /* from when it was one that is transferred */
		disk_forget(k->env->disk, k->name, NULL, NULL);
	if (!k->secondary || !kept_version(k) || k->writing)
		return;
	if (k->path && k->wired->set->zonefile_sync >= 0 && !filing_done(k) && !kept_is_apart(k))
		filing_write(k, kept_version(k));
	else
		kept_mend(k, COPIES_MEND_LOG_ANEW);
}

/* --- loading -------------------------------------------------------------- */

static void log_load(const struct keep *k, enum err err, const struct why *why, const struct zone *version, const char *from, uint32_t ms)
{
	struct log log;

	kept_log(&log, err ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO, err ? "zone-load-failed" : "zone-loaded", k);
	if (!err) {
		log_int(&log, "serial", version->serial.v);
		log_int(&log, "records", (int64_t)version->records);
		log_str(&log, "from", from);
	}
	if (k->path)
		log_str(&log, "file", k->path);
	log_seconds(&log, "seconds", ms);
	if (err)
		log_str(&log, "why", err_say(why, err));
	log_end(&log);
}

/* When a primary last confirmed the version on disk, in seconds since 1970: as the database says, if it speaks of that version; an
 * older one was known to be outdated from when its successor came; without a word on it the time of what it was found in must do. */
static int64_t confirmed_at(const struct keep *k, const struct recover_zone *z)
{
	const struct journal_row *row = &k->row;
	bool same = row->has_serial && serial_equal(row->serial, z->version->serial);
	bool older = row->has_serial && serial_newer(row->serial, z->version->serial);

	if (same && row->refreshed)
		return row->refreshed;
	return older && row->changed ? row->changed : z->modified;
}

/* What was taken in once is served again, whatever the limits are now. */
static struct build_limits load_limits(const struct keep *k)
{
	static const struct build_limits none = {0};

	return k->secondary ? none : k->wired->secondary.limits;
}

/* Which set was configured when each step was served nobody remembers. */
static void take_history(struct keep *k, struct recover_zone *z)
{
	k->unsure = kept_is_apart(k) && !nsset_sealed(z->version);
	if (kept_is_apart(k))
		return;
	for (size_t i = 0; i < z->step_count; i++)
		kept_add_step(k, z->steps[i], NULL, z->version);
}

static void checked(void *ctx, struct disk_result *result);

/* What is in service by now, of the file too. */
static void check_file(struct keep *k, const struct recover_zone *z)
{
	if (k->path && !z->from_file && !kept_is_apart(k))
		disk_check(k->env->disk, k->name, k->path, load_limits(k), z, kept_version(k), checked, k);
}

static void loaded_secondary(struct keep *k, struct recover_zone *z)
{
	struct secondary_env *env = &k->env->secondary;
	struct zone *version = z->version;
	struct refresh_times times = refresh_times_of(&version->soa, &k->wired->secondary.clamps);
	int64_t age = (int64_t)env->unix_time() - confirmed_at(k, z);
	struct secondary_status status;

	if (!confirmed_at(k, z))     /* nobody knows: it is not to end for that */
		age = 0;
	if (age < 0)                 /* the clock went back: not older than now, unless it had expired even so */
		age = k->row.expired ? times.expire : 0;
	if (!k->row.has_serial || !serial_equal(k->row.serial, version->serial))
		k->row.changed = z->modified;
	if (!k->row.has_serial)
		kept_touch_row(k);
	take_history(k, z);
	k->guessed = z->from_file && kept_is_apart(k);
	z->version = NULL;
	secondary_loaded(k->secondary, version, env->now() - age * 1000);
	if (k->row.has_serial && serial_equal(k->row.serial, version->serial))
		secondary_remember(k->secondary, &(struct secondary_memory){.failures = k->row.failures, .given_expire = k->row.given_expire});
	if (k->row.has_serial)
		secondary_known(k->secondary, k->row.serial);
	if (z->file_known)
		filing_note(k, z->written, z->digest, z->from_file ? z->modified : 0);
	if (z->from_file)
		k->file = z->mark;
	kept_set_expiry(k);
	secondary_status(k->secondary, &status);
	if (status.refresh.expire_at > env->now()) {
		store_commit(k->place, kept_to_serve(k, version), STORE_SERVED);
		kept_tell_again(k);
	}
	if (!z->in_database || !z->in_log)
		kept_mend(k, (z->in_database ? 0 : COPIES_MEND_DATABASE) | (z->in_log ? 0 : COPIES_MEND_LOG_ANEW));
	check_file(k, z);
	if (k->path && !filing_done(k) && k->wired->set->zonefile_sync == 0)
		filing_write(k, version);
	else if (k->path && !filing_done(k))
		filing_later(k);
}

/* The zone file as it was found, after the version was. */
static void checked(void *ctx, struct disk_result *result)
{
	struct keep *k = ctx;
	struct recover_zone *z = result->zone;

	if (z)
		filing_found(k, z->file_is);
	if (!z || k->writing || !kept_version(k))
		return;
	k->file = z->mark;
	if (!z->file_bad) {
		if (z->file_known)
			filing_note(k, z->written, z->digest, z->modified);
		return;
	}
	kept_set_error(k, z->why.text);
	k->row.file_known = false;
	kept_touch_row(k);
	kept_mend(k, COPIES_MEND_LOG_ANEW);
	if (z->file_other)
		kept_add_step(k, NULL, kept_version(k), kept_version(k));     /* it may have been served so */
	if (k->wired->set->zonefile_sync >= 0)
		filing_write(k, kept_version(k));
}

static uint32_t random_below(uint32_t bound)
{
	return bound ? net_random32() % bound : 0;
}

/* When, in ms from now, a zone is asked for first. Those whose time has come while the daemon was away ask before the others, which do not wait for
 * theirs either: a NOTIFY may have come while nobody heard it. */
static uint32_t first_question(const struct keep *k, bool loaded)
{
	int64_t left = k->row.next - (int64_t)k->env->secondary.unix_time();
	uint32_t others = SLOWLY * k->env->spread;

	if (!loaded && !k->row.failures)
		return 0;
	if (left <= 0 || !k->row.next)
		return random_below(k->env->spread);
	others = k->env->spread + random_below(others);
	return left < others / 1000 ? (uint32_t)left * 1000 : others;
}

static void start_secondary(struct keep *k, bool loaded)
{
	if (k->started)
		return;
	k->started = true;
	secondary_start(k->secondary, first_question(k, loaded));
}

static void set_notice(struct keep *k, const struct zone *old, const struct zone *version)
{
	static const char msg[] = "the file changed, but its serial is not newer: servers downstream will not take it";
	struct log log;

	free(k->notice);
	k->notice = NULL;
	if (!old || serial_newer(version->serial, old->serial))
		return;
	kept_log(&log, LOG_LEVEL_WARNING, "serial-not-raised", k);
	log_int(&log, "old", old->serial.v);
	log_int(&log, "new", version->serial.v);
	log_str(&log, "msg", msg);
	log_end(&log);
	k->notice = strdup(msg);
}

static void loaded_file(struct keep *k, struct disk_result *result)
{
	struct zone *version = result->version, *old = k->file_version, *served;
	bool changed = !old || !serial_equal(old->serial, version->serial);
	struct diff *step = result->diff;

	k->loaded = (int64_t)k->env->secondary.unix_time();
	filing_note(k, version->serial, result->digest, result->modified);
	if (!step || !diff_is_empty(step)) {
		result->version = NULL;
		set_notice(k, old, version);
		served = kept_to_serve(k, version);
		step = kept_served_step(k, step, version, served);
		k->file_version = version;
		k->row.changed = k->loaded;
		k->ns_ahead = k->ns_ahead && !changed;
		kept_add_step(k, step, old, version);
		store_commit(k->place, served, STORE_SERVED);
		if (!old)
			kept_tell_again(k);
		else if (changed)
			kept_tell_downstream(k, version);
		diff_drop(step);
		zone_put(old);
	}
}

/* The next time it may be read, or by then a version was transferred. */
static bool may_pass(enum err err)
{
	return err == ERR_IO || err == ERR_NOMEM || err == ERR_REFUSED;
}

static void reload_later(struct keep *k)
{
	if (!k->sync.place)
		filing_at(k, RELOAD_S);
}

/* A zone of which there is nothing is new, or was never there. */
static void found(void *ctx, struct disk_result *result)
{
	struct keep *k = ctx;
	struct recover_zone *z = result->zone;
	bool absent = result->err == ERR_NOTFOUND && !k->row.has_serial;

	k->loading = false;
	if (k->load_again) {
		load(k);
		return;
	}
	if (!absent)
		log_load(k, result->err, &result->why, z ? z->version : NULL, z && z->from_file ? "file" : "database", result->ms);
	k->env->counters.loads++;
	k->env->counters.loads_failed += result->err && !absent;
	filing_found(k, z ? z->file_is : RECOVER_FILE_GOOD);
	k->file_bad = k->file_bad && result->err;    /* else it is taken as it is */
	kept_set_error(k, result->err && !absent ? err_say(&result->why, result->err) : NULL);
	if (!result->err && !kept_version(k))
		loaded_secondary(k, z);
	else if (may_pass(result->err) && !kept_version(k))
		reload_later(k);
	start_secondary(k, !result->err);
	if (k->guessed)
		secondary_transfer(k->secondary, true, NULL, NULL, NULL);
	kept_answer(&k->load_waiters, k, result->err, &result->why);
	if (kept_is_catalog(k))
		k->env->catalog_changed(k->env);
}

/* Who asked while it was read may have done so after a change. */
static bool read_again(struct keep *k)
{
	bool again = k->load_again && filing_changed(k);

	k->load_again = false;
	if (!again)
		return false;
	k->file = (struct file_mark){0};
	load(k);
	return true;
}

/* The end of reading a file, and of judging what is in it: an error leaves what is served. */
static void end_reading(struct keep *k, struct disk_result *result, bool absent)
{
	k->loading = false;
	if (read_again(k))
		return;
	kept_set_error(k, result->err && !absent ? err_say(&result->why, result->err) : NULL);
	if (!result->err)
		loaded_file(k, result);
	kept_answer(&k->load_waiters, k, result->err, &result->why);
	if (kept_is_catalog(k))
		k->env->catalog_changed(k->env);
}

static void read_free(struct disk_result *read)
{
	if (!read)
		return;
	zone_put(read->version);
	diff_drop(read->diff);
	free(read);
}

/* What was read is not wanted any more. */
static void drop_read(struct keep *k)
{
	if (k->read)
		judge_disown(k->env->judge, k);
	read_free(k->read);
	k->read = NULL;
}

static void file_judged(void *ctx, enum err err, const struct why *why)
{
	struct keep *k = ctx;
	struct disk_result *read = k->read;

	k->read = NULL;
	k->validated = err ? k->validated : k->judges_signatures ? read->version : NULL;
	read->err = err;
	read->why = *why;
	end_reading(k, read, false);
	read_free(read);
}

/* A file that says something new. */
static void judge_file(struct keep *k, struct disk_result *result)
{
	struct zone *older = k->file_version;

	k->read = malloc(sizeof *k->read);
	if (!k->read) {
		result->err = err_why(&result->why, ERR_NOMEM, "out of memory");
		end_reading(k, result, false);
		return;
	}
	*k->read = *result;
	result->version = NULL;
	result->diff = NULL;
	k->judges_signatures = k->wired->set->dnssec_check;
	taking_judge(k, k->read->version, older, file_judged);
}

/* The file is what it was when it was read. */
static void file_unchanged(struct keep *k)
{
	struct why why = {{0}};

	k->loading = false;
	if (read_again(k))
		return;
	kept_answer(&k->load_waiters, k, ERR_OK, &why);
	if (kept_is_catalog(k))
		k->env->catalog_changed(k->env);
}

static void file_read_done(void *ctx, struct disk_result *result)
{
	struct keep *k = ctx;
	bool made_here = k->wired->set->catalog == CONF_CATALOG_PRODUCE, absent = result->err == ERR_NOTFOUND && made_here;

	if (result->unchanged) {
		file_unchanged(k);
		return;
	}
	k->file = result->mark;
	if (!absent)
		log_load(k, result->err, &result->why, result->version, "file", result->ms);
	k->env->counters.loads++;
	k->env->counters.loads_failed += result->err && !absent;
	if (read_again(k))
		return;
	if (result->err || made_here || (result->diff && diff_is_empty(result->diff)))
		end_reading(k, result, absent);
	else
		judge_file(k, result);
}

static void load(struct keep *k)
{
	k->loading = true;
	k->load_again = false;
	if (k->secondary)
		disk_load(k->env->disk, k->name, k->path, kept_is_apart(k), load_limits(k), found, k);
	else
		disk_read(k->env->disk, k->name, k->path, load_limits(k), k->file_version,
			k->file_version && !k->error ? k->file : (struct file_mark){0}, file_read_done, k);
}

void keep_reread(struct keep *k, keep_done *done, void *ctx)
{
	struct why why;

	if (k->held) {
		if (done)
			done(ctx, k, err_why(&why, ERR_REFUSED, "the zone is on hold"), &why);
		return;
	}
	if (!k->path) {
		if (done)
			done(ctx, k, err_why(&why, ERR_CONF, "%s", k->error ? k->error : "it has no file"), &why);
		return;
	}
	kept_wait(&k->load_waiters, k, done, ctx);
	if (k->loading)
		k->load_again = true;
	else
		load(k);
}

/* --- NOTIFY --------------------------------------------------------------- */

static void notify_waited(void *ctx, const uint8_t *zone, unsigned answered, unsigned failed)
{
	struct notify_wait *w = ctx;
	struct why why = {{0}};

	(void)zone;
	kept_count_notify(w->keep->env, answered, failed);
	for (struct notify_wait **at = &w->keep->notify_waits; *at; at = &(*at)->next)
		if (*at == w) {
			*at = w->next;
			break;
		}
	if (failed)
		err_why(&why, ERR_TIMEOUT, "%u of %u addresses downstream did not accept the NOTIFY (the log says which)", failed,
			answered + failed);
	if (w->done)
		w->done(w->ctx, w->keep, failed ? ERR_TIMEOUT : ERR_OK, &why);
	free(w);
}

void keep_tell(struct keep *k)
{
	struct zone *version = k->told ? NULL : keep_served(k);

	if (version)
		kept_tell_downstream(k, version);
	zone_put(version);
}

void keep_notify(struct keep *k, keep_done *done, void *ctx)
{
	struct zone *version = keep_served(k);
	struct notify_wait *w = version && k->wired->target_count ? malloc(sizeof *w) : NULL;
	struct why why = {{0}};

	if (w) {
		*w = (struct notify_wait){k->notify_waits, k, done, ctx};
		k->notify_waits = w;
		kept_note_told(k, version);
		notify_send(k->env->notifier, version, k->wired->targets, k->wired->target_count, notify_waited, w);
	} else {
		err_why(&why, ERR_NOTFOUND, !version ? "the zone is not served" : !k->wired->target_count ?
			"no server downstream is configured (notify)" : "out of memory");
		done(ctx, k, ERR_NOTFOUND, &why);
	}
	zone_put(version);
}

/* --- status --------------------------------------------------------------- */

static const char *secondary_word(const struct keep *k)
{
	struct secondary_status s;
	int64_t now = k->env->secondary.now();

	secondary_status(k->secondary, &s);
	if (s.refresh.expired)
		return "expired";
	if (k->held)
		return "held";
	if (s.rejected)
		return "rejected";
	if (!s.refresh.loaded)
		return s.refresh.state == REFRESH_TRANSFER ? "refreshing" : "empty";
	if (s.refresh.state == REFRESH_TRANSFER)
		return "refreshing";
	if (s.has_best && serial_newer(s.best, s.refresh.serial))
		return "lagging";
	if (now - s.refresh.refreshed > ((int64_t)s.refresh.times.refresh + s.refresh.times.retry) * 1000)
		return "stale";
	return "ok";
}

static bool is_rewritten(const struct keep *k)
{
	struct zone *served = keep_served(k);
	bool rewritten = served && k->wired->ns_mode == CONF_NS_REWRITE && served != kept_version(k);

	zone_put(served);
	return rewritten;
}

void keep_state(const struct keep *k, struct keep_state *out)
{
	*out = (struct keep_state){
		.state = k->secondary ? secondary_word(k) : k->held ? "held" : k->error ? "rejected" : k->file_version ? "ok" : "empty",
		.durable_known = k->secondary ? kept_version(k) != NULL : k->row.file_known,
		.durable = k->secondary && kept_version(k) ? kept_version(k)->serial : k->row.written,
		.written_known = k->row.file_known || k->written_apart,
		.written = k->row.written,
		.written_at = k->written_at,
		.changed = k->row.changed,
		.loaded = k->loaded,
		.error = k->error,
		.rewritten = is_rewritten(k),
		.ns_ahead = k->ns_ahead,
		.notice = k->notice,
		.held = k->held,
		.told = k->told,
		.told_serial = k->told_serial,
		.told_at = k->told_at,
	};
}

/* --- zones come and go ---------------------------------------------------- */

static void fail_waiters(struct keep *k, enum err err, const char *text)
{
	struct why why;

	err_why(&why, err, "%s", text);
	kept_answer(&k->write_waiters, k, err, &why);
	kept_answer(&k->load_waiters, k, err, &why);
}

void keep_free(struct keep *k)
{
	if (!k)
		return;
	if (k->env->disk)
		disk_disown(k->env->disk, k);
	judge_disown(k->env->judge, k);
	if (k->timed) {
		timer_stop(k->env->secondary.timers, &k->sync);
		timers_leave(k->env->secondary.timers);
	}
	secondary_free(k->secondary);
	fail_waiters(k, ERR_NOTFOUND, "the zone was removed");
	zone_put(k->pending);
	diff_drop(k->pending_diff);
	zone_put(k->file_version);
	read_free(k->read);
	history_drop(k->history);
	free(k->notice);
	free(k->error);
	free(k->path);
	if (k->generation)
		generation_drop(k->generation);
	kept_row_taken(k);
	free(k);
}

static char *path_of(const struct generation *g, const struct conf_zone *zone)
{
	char path[4096];

	return conf_zone_path(generation_conf(g), zone->set, zone->name, path, sizeof path) ? strdup(path) : NULL;
}

static void remember(struct secondary *s, const struct journal_row *row)
{
	struct secondary_memory memory = {.failures = row->failures, .refused = row->rejected};

	if (row->has_rejected)
		memory.why = row->rejected_why ? row->rejected_why : "it was refused before the daemon was started";
	secondary_remember(s, &memory);
	if (row->primary)
		secondary_set_primary(s, row->primary);
}

struct keep *keep_new(struct keep_env *env, struct generation *g, const struct conf_zone *zone, struct keep *before,
	const struct journal_row *row)
{
	struct keep *k = calloc(1, sizeof *k + name_length(zone->name));

	if (!k)
		return NULL;
	if (before) {
		kept_fill_row(before);
		row = &before->row;
	}
	k->env = env;
	name_copy(zone->name, k->name);
	k->generation = g;
	generation_hold(g);
	k->wired = generation_wired(g, zone->set);
	k->path = path_of(g, zone);
	if (row)
		k->row = *row;
	k->row.name = k->name;
	k->row.primary = NULL;       /* the secondary has them */
	k->row.has_rejected = false;
	k->row.rejected_why = NULL;
	k->row.member = NULL;
	k->row.file_known = false;
	k->sync.call = filing_due;
	k->timed = env->secondary.timers && timers_join(env->secondary.timers);
	if (zone->set->source == CONF_TRANSFER && k->timed && env->secondary.links)
		k->secondary = secondary_new(&env->secondary, zone->name, (struct secondary_conf *)&k->wired->secondary, k);
	if (!k->timed || (zone->set->source == CONF_TRANSFER && !k->secondary)) {
		keep_free(k);
		return NULL;
	}
	if (k->secondary && row)
		remember(k->secondary, row);
	return k;
}

bool keep_place(struct keep *k)
{
	struct store_policy *policy = wired_policy(k->wired);

	if (store_add(k->env->store, k->name, policy, &k->place) == ERR_OK)
		return true;
	policy->release(policy);
	return false;
}

void keep_remove_place(struct keep *k)
{
	store_remove(k->env->store, k->place);
}

void keep_lose_place(struct keep *k)
{
	k->place = NULL;
}

static const char too_long[] = "the zone file's path is too long";

/* Nothing may wait for a file that cannot be. */
static void lose_path(struct keep *k)
{
	fail_waiters(k, ERR_CONF, too_long);
	if (k->pending_is == WRITING)
		taking_done(k);        /* it is in the database */
}

/* From now on the file is another one. What was under way with the old one is begun anew. */
static void set_path(struct keep *k, char *path)
{
	bool committing = k->pending_is == COMMITTING;

	free(k->path);
	k->path = path;
	disk_disown(k->env->disk, k);
	drop_read(k);
	k->writing = k->write_again = false;
	k->row.file_known = false;
	k->file = (struct file_mark){0};
	kept_set_error(k, path ? NULL : too_long);
	if (!path)
		lose_path(k);
	if (committing)
		taking_commit(k);
	if (k->loading || (!k->secondary && path))
		load(k);
	else if (k->pending_is == WRITING)
		filing_write(k, k->pending);
	else if (k->write_waiters)
		filing_write(k, kept_version(k));
}

static void set_sync(struct keep *k, int64_t before)
{
	if (k->wired->set->zonefile_sync != before)
		timer_stop(k->env->secondary.timers, &k->sync);
	if (kept_version(k) && !filing_done(k))
		filing_in(k, k->wired->set->zonefile_sync);
}

/* What came is to be in both copies without the file, and then the file is written anew; or the file becomes one of them again. */
static void set_apart(struct keep *k)
{
	k->row.file_known = k->written_apart = false;
	k->write_stale = k->writing;
	kept_touch_row(k);
	if (kept_is_apart(k) && kept_version(k))
		kept_mend(k, COPIES_MEND_LOG_ANEW);
}

/* What is served under another set or mode, and under the serial that those downstream have already. */
static void serve_anew(struct keep *k, struct zone *version, struct zone *now)
{
	struct zone *before = keep_served(k);
	struct log log;

	kept_add_step(k, NULL, version, version);
	k->ns_ahead = true;
	if (k->secondary) {
		k->row.file_known = k->written_apart = false;
		k->write_stale = k->writing;
	}
	if (before)
		store_commit(k->place, zone_hold(now), STORE_SERVED);
	zone_put(before);
	kept_log(&log, LOG_LEVEL_NOTICE, "ns-set-changed", k);
	log_int(&log, "serial", version->serial.v);
	log_str(&log, "msg", "servers downstream will have it with the next serial");
	log_end(&log);
}

static void set_ns(struct keep *k, const struct wired *old)
{
	bool was_apart = k->secondary && old->ns_mode == CONF_NS_REWRITE;
	struct zone *version = kept_version(k), *before, *now;
	struct diff *diff = NULL;

	if (was_apart != kept_is_apart(k))
		set_apart(k);
	if (!version || (old->ns_mode == k->wired->ns_mode && nsset_equal(&old->ns_set, &k->wired->ns_set)))
		return;
	before = kept_as_served(old, version);
	now = kept_to_serve(k, version);
	if (diff_make(before, now, 0, &diff) == ERR_OK && !diff_is_empty(diff))
		serve_anew(k, version, now);
	diff_drop(diff);
	zone_put(before);
	zone_put(now);
}

void keep_change(struct keep *k, struct generation *g, const struct conf_zone *zone)
{
	const struct wired *old = k->wired;
	char *path = path_of(g, zone);

	k->wired = generation_wired(g, zone->set);
	store_set_policy(k->place, wired_policy(k->wired));
	if (k->secondary) {
		secondary_set_conf(k->secondary, (struct secondary_conf *)&k->wired->secondary, !wired_same_source(old, k->wired),
			k->env->spread);
		kept_set_expiry(k);
	}
	if (path && k->path && strcmp(path, k->path) == 0)
		free(path);
	else
		set_path(k, path);
	set_ns(k, old);
	set_sync(k, old->set->zonefile_sync);
	generation_hold(g);
	generation_drop(k->generation);
	k->generation = g;
}

struct store_policy *keep_adopt(struct keep *k, struct generation *g, const struct wired *wired)
{
	struct store_policy *before = store_swap_policy(k->place, wired_policy(wired));

	if (k->secondary)
		secondary_same_conf(k->secondary, (struct secondary_conf *)&wired->secondary);
	k->wired = wired;
	generation_hold(g);
	generation_drop(k->generation);
	k->generation = g;
	return before;
}

void keep_hold(struct keep *k, bool held)
{
	k->held = held;
	if (!k->secondary)
		return;
	secondary_hold(k->secondary, held);
	kept_touch_row(k);
}

/* A file that is not to be there any more. */
struct removal {
	struct disk_work work;
	char path[];
};

static enum err remove_file(struct disk_work *work, struct why *why)
{
	struct removal *removal = (struct removal *)work;
	enum err err = file_remove(removal->path, why);

	if (err)
		log_say(LOG_LEVEL_ERROR, "zone-file-failed", "%s", err_say(why, err));
	return err;
}

static void removal_free(struct disk_work *work)
{
	free(work);
}

unsigned keep_purge(struct keep *k, disk_done *done, void *ctx)
{
	struct removal *removal;

	if (!k->secondary || !k->env->disk)
		return 0;
	disk_forget(k->env->disk, k->name, done, ctx);
	removal = k->path ? malloc(sizeof *removal + strlen(k->path) + 1) : NULL;
	if (!removal)
		return 1;
	removal->work = (struct disk_work){remove_file, removal_free};
	strcpy(removal->path, k->path);
	disk_call(k->env->disk, k->name, &removal->work, done, ctx);
	return 2;
}

bool keep_same_source(const struct keep *k, const struct conf_zone *zone)
{
	return (zone->set->source == CONF_TRANSFER) == (k->secondary != NULL);
}

void keep_start(struct keep *k)
{
	k->begun = true;
	if (!k->path)
		kept_set_error(k, too_long);
	if (k->path || k->secondary)
		load(k);
}

void keep_write_last(struct keep *k)
{
	struct zone *version = kept_version(k);

	if (!k->secondary || !k->path || !version || filing_done(k) || k->wired->set->zonefile_sync < 0)
		return;
	kept_fill_row(k);
	if (kept_is_apart(k))
		filing_write(k, version);
	else
		disk_write_last(k->env->disk, k->path, version, &k->row);
}

void keep_env_init(struct keep_env *env, struct event_base *loop, struct store *store, int64_t (*now)(void), uint64_t (*unix_time)(void))
{
	env->loop = loop;
	env->store = store;
	env->file_done = taking_file_done;
	env->read_due = load;
	env->secondary = (struct secondary_env){
		.loop = loop, .links = links_new(loop, now, LINKS_MOST, LINKS_EACH), .timers = timers_new(loop, now), .now = now,
		.unix_time = unix_time, .publish = taking_publish, .confirmed = taking_confirmed, .expired = taking_expired, .failed = taking_failed,
		.counters = &env->counters.xfer,
	};
}
