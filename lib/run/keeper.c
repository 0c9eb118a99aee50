#include "run/keeper.h"

#include "base/clock.h"
#include "base/log.h"
#include "dns/nametable.h"
#include "xfer/notify.h"

#include <event2/event.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum {
	ROWS_MS = 50, ROWS_MAX_MS = 10000,
	ROWS_AGAIN_S = 10,
	CLOCK_S = 2,                 /* between two looks at the clock; */
	CLOCK_MOVED_S = 60,          /* it was moved if it is off by more */
	SPREAD_US = 200,
	SAVE_AGAIN_S = 60,           /* after it failed */
	TELL_MS = 100,               /* of those that were loaded, these are told downstream */
	TELL_AT_ONCE = 20,           /* in each such time: 200 a second */
};

/* A zone whose servers downstream are to be told that it is served again. */
struct telling {
	STAILQ_ENTRY(telling) link;
	uint8_t name[];
};

/* A zone that begins when what was known of one of its name has been forgotten. */
struct beginner {
	struct beginner *next;
	uint64_t wave;
	uint8_t name[];
};

struct save_wait {
	struct save_wait *next;
	keeper_done *done;
	void *ctx;
};

/* A zone whose data are to go, at the operator's word: until that is done, or what went wrong was asked for. */
struct purge {
	LIST_ENTRY(purge) link;
	unsigned left;               /* parts of it that are not done */
	enum err err;
	struct why why;
	uint8_t name[];
};

struct known_row {
	struct journal_row *row;
	bool named;                          /* by what was put in force */
};

struct keeper {
	struct keep_env env;
	struct generation *generation;
	struct keep **keeps;                 /* in canonical order */
	size_t count;
	struct known_row *rows;              /* as read from the database */
	size_t row_count;
	struct nametable row_of;             /* of which zone they are */
	struct event *rows_timer, *clock_timer;
	int64_t clock_ahead;         /* of the clock that nobody sets, ms, when all rows were as they are to be */
	size_t rows_last;            /* how many were written the last time */
	struct roster *roster;
	struct {
		char *path[2];               /* NULL: it is not written */
		struct event *timer;
		bool wanted, under_way;
		struct save_wait *waiting, *writing;   /* for the next one, for the one under way */
		char error[WHY_MAX];
	} save;
	uint64_t waves, forgotten;           /* of purges: begun, and done */
	struct beginner *beginners;
	LIST_HEAD(, purge) purges;
	STAILQ_HEAD(, telling) tellings;
	struct event *tell_timer;
	int64_t told_from;                   /* ms: at the start, when the primaries have been asked */
	void (*changed)(void *ctx, enum keeper_event);
	void *changed_ctx;
	void (*gone)(void *ctx, const uint8_t *name);
	void *gone_ctx;
	bool all_rows;                       /* all are to be written */
};

size_t keeper_count(const struct keeper *all) { return all->count; }
struct keep *keeper_at(const struct keeper *all, size_t i) { return all->keeps[i]; }
struct generation *keeper_generation(const struct keeper *all) { return all->generation; }
const struct keep_counters *keeper_counters(const struct keeper *all) { return &all->env.counters; }
const struct judge_counters *keeper_judge_counters(const struct keeper *all) { return judge_counters(all->env.judge); }

struct disk *keeper_disk(const struct keeper *all) { return all->env.disk; }
struct roster *keeper_roster(const struct keeper *all) { return all->roster; }
const struct roster_zone *keeper_origin(const struct keeper *all, const uint8_t *name) { return roster_find(all->roster, name); }

void keeper_health(const struct keeper *all, struct copies_health *health)
{
	disk_health(all->env.disk, health);
}

/* The place of the first zone that is not before this name. */
static size_t place_of(const struct keeper *all, const uint8_t *name)
{
	size_t low = 0, high = all->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (name_compare(keep_name(all->keeps[middle]), name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_at(const struct keeper *all, size_t place, const uint8_t *name)
{
	return place < all->count && name_equal(keep_name(all->keeps[place]), name);
}

struct keep *keeper_find(const struct keeper *all, const uint8_t *name)
{
	size_t place = place_of(all, name);

	return is_at(all, place, name) ? all->keeps[place] : NULL;
}

size_t keeper_after(const struct keeper *all, const uint8_t *name)
{
	size_t place = place_of(all, name);

	return place + is_at(all, place, name);
}

void keeper_notified(struct keeper *all, const uint8_t *zone, const struct net_addr *from, bool has_serial, struct serial serial)
{
	struct keep *k = keeper_find(all, zone);

	if (k && keep_secondary(k))
		secondary_notify(keep_secondary(k), from, has_serial, serial);
}

/* --- rows ----------------------------------------------------------------- */

/* Rows are written together, a moment later: one commit for many zones. After very many the moment is longer: versions, which have their row with
 * them, go first. */
static void row_changed(struct keep_env *env)
{
	struct keeper *all = (struct keeper *)env;
	unsigned ms = all->rows_last < ROWS_MS ? ROWS_MS : all->rows_last < ROWS_MAX_MS ? (unsigned)all->rows_last : ROWS_MAX_MS;
	struct timeval soon = {ms / 1000, ms % 1000 * 1000};

	if (!evtimer_pending(all->rows_timer, NULL))
		evtimer_add(all->rows_timer, &soon);
}

/* Those that could not be written are written later, with all others. */
static void rows_written(void *ctx, struct disk_result *result)
{
	static const struct timeval later = {ROWS_AGAIN_S, 0};
	struct keeper *all = ctx;

	if (!result->err)
		return;
	all->all_rows = true;
	evtimer_add(all->rows_timer, &later);
}

/* False: out of memory. */
static bool put_row(struct keep *k, struct journal_row **rows, size_t *count)
{
	const struct journal_row *row = keep_take_row(k);

	if (!keep_secondary(k))
		return true;
	if (!(rows[*count] = journal_row_copy(row)))
		return false;
	++*count;
	return true;
}

static void flush_rows(struct keeper *all)
{
	size_t most = all->all_rows ? all->count : all->env.changed_count, count = 0;
	struct journal_row **rows = most ? malloc(most * sizeof *rows) : NULL;
	bool lost = false;
	struct keep *k;

	if (!rows)
		return;
	for (size_t i = 0; all->all_rows && i < all->count; i++)
		lost |= !put_row(all->keeps[i], rows, &count);
	while ((k = keep_first_changed(&all->env)) && count < most)
		lost |= !put_row(k, rows, &count);
	all->all_rows = lost;
	all->rows_last = count;
	if (lost)
		row_changed(&all->env);
	disk_rows(all->env.disk, rows, count, rows_written, all);
}

/* While the machine sleeps both go on: what happened before is older then. */
static int64_t clock_ahead(const struct keeper *all)
{
	return (int64_t)all->env.secondary.unix_time() * 1000 - clock_with_sleep_ms();
}

static void rows_due(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	flush_rows(ctx);
}

/* Rows, and what else is remembered, have times by the clock that an operator, or NTP, may set, while all that is awaited goes by
 * one that nobody can: where the first one was moved they speak of another age than is meant. */
static void look_at_clock(evutil_socket_t fd, short what, void *ctx)
{
	static const struct timeval next = {CLOCK_S, 0};
	struct keeper *all = ctx;
	int64_t ahead = clock_ahead(all), moved = (ahead - all->clock_ahead) / 1000;
	struct log log;

	(void)fd;
	(void)what;
	evtimer_add(all->clock_timer, &next);
	if (moved >= -CLOCK_MOVED_S && moved <= CLOCK_MOVED_S)
		return;
	all->clock_ahead = ahead;
	log_begin(&log, LOG_LEVEL_WARNING, "clock-moved");
	log_int(&log, "seconds", moved);
	log_end(&log);
	for (size_t i = 0; i < all->count; i++)
		keep_clock_moved(all->keeps[i], moved);
	all->all_rows = true;
	row_changed(&all->env);
}

/* --- told again ------------------------------------------------------------ */

static void tell_in(struct keeper *all)
{
	int64_t wait = all->told_from - all->env.secondary.now();
	struct timeval tv = {wait > 0 ? wait / 1000 : 0, TELL_MS * 1000};

	if (!STAILQ_EMPTY(&all->tellings) && !evtimer_pending(all->tell_timer, NULL))
		evtimer_add(all->tell_timer, &tv);
}

/* Told by name: the zone may be gone when its turn comes. */
static void to_be_told(struct keep_env *env, const struct keep *k)
{
	struct keeper *all = (struct keeper *)env;
	struct telling *telling = malloc(sizeof *telling + name_length(keep_name(k)));

	if (!telling)
		return;              /* their own timers must do */
	name_copy(keep_name(k), telling->name);
	STAILQ_INSERT_TAIL(&all->tellings, telling, link);
	tell_in(all);
}

static void drop_telling(struct keeper *all)
{
	struct telling *telling = STAILQ_FIRST(&all->tellings);

	STAILQ_REMOVE_HEAD(&all->tellings, link);
	free(telling);
}

static void tell_due(evutil_socket_t fd, short what, void *ctx)
{
	struct keeper *all = ctx;

	(void)fd;
	(void)what;
	for (unsigned i = 0; i < TELL_AT_ONCE && !STAILQ_EMPTY(&all->tellings); i++) {
		struct keep *k = keeper_find(all, STAILQ_FIRST(&all->tellings)->name);

		if (k)
			keep_tell(k);
		drop_telling(all);
	}
	tell_in(all);
}

/* --- the roster ----------------------------------------------------------- */

static void tell_saved(struct save_wait *list, enum err err, const struct why *why)
{
	while (list) {
		struct save_wait *next = list->next;

		if (list->done)
			list->done(list->ctx, err, why);
		free(list);
		list = next;
	}
}

struct save_work {
	struct disk_work work;
	char *path[2], *text;
	size_t length;
};

/* One of the two is enough; what is wrong with the other one is said. */
static enum err write_roster(struct disk_work *work, struct why *why)
{
	struct save_work *save = (struct save_work *)work;
	unsigned written = 0;

	for (unsigned i = 0; i < 2; i++) {
		struct why one;
		enum err err = roster_write(save->path[i], save->text, save->length, &one);

		written += err == ERR_OK;
		if (!err)
			continue;
		*why = one;
		log_say(LOG_LEVEL_ERROR, "state-write-failed", "%s", err_say(&one, err));
	}
	return written ? ERR_OK : ERR_IO;
}

static void save_free(struct disk_work *work)
{
	struct save_work *save = (struct save_work *)work;

	free(save->path[0]);
	free(save->path[1]);
	free(save->text);
	free(save);
}

static struct save_work *save_new(struct keeper *all)
{
	struct save_work *save = calloc(1, sizeof *save);

	if (!save)
		return NULL;
	save->work = (struct disk_work){write_roster, save_free};
	save->path[0] = strdup(all->save.path[0]);
	save->path[1] = strdup(all->save.path[1]);
	save->text = roster_text(all->roster, &save->length);
	if (save->path[0] && save->path[1] && save->text)
		return save;
	save_free(&save->work);
	return NULL;
}

static void save_in(struct keeper *all, int64_t seconds)
{
	struct timeval tv = {seconds, 0};

	if (!all->save.under_way && !evtimer_pending(all->save.timer, NULL))
		evtimer_add(all->save.timer, &tv);
}

static void save_done(void *ctx, struct disk_result *result)
{
	struct keeper *all = ctx;
	struct save_wait *told = all->save.writing;

	all->save.under_way = false;
	all->save.writing = NULL;
	snprintf(all->save.error, sizeof all->save.error, "%s", result->err ? err_say(&result->why, result->err) : "");
	if (all->save.wanted)
		save_in(all, 0);
	else if (result->err) {
		all->save.wanted = true;
		save_in(all, SAVE_AGAIN_S);
	}
	tell_saved(told, result->err, &result->why);
}

static void save_now(struct keeper *all)
{
	struct disk_result result = {.err = ERR_NOMEM};
	struct save_work *save;

	if (!all->save.wanted || all->save.under_way)
		return;
	all->save.wanted = false;
	all->save.under_way = true;
	all->save.writing = all->save.waiting;
	all->save.waiting = NULL;
	if (!all->save.path[0])
		result.err = ERR_OK;
	save = all->save.path[0] ? save_new(all) : NULL;
	if (save)
		disk_call(all->env.disk, NULL, &save->work, save_done, all);
	else
		save_done(all, &result);
}

static void save_due(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	save_now(ctx);
}

void keeper_save(struct keeper *all, keeper_done *done, void *ctx)
{
	struct save_wait *wait = done ? malloc(sizeof *wait) : NULL;

	all->save.wanted = true;
	if (all->save.error[0])
		evtimer_del(all->save.timer);        /* not only when it would be tried again */
	save_in(all, 0);
	if (wait) {
		*wait = (struct save_wait){all->save.waiting, done, ctx};
		all->save.waiting = wait;
	} else if (done) {
		done(ctx, ERR_NOMEM, NULL);
	}
}

static void forget_in(struct save_wait *list, const void *ctx)
{
	for (; list; list = list->next)
		if (list->ctx == ctx)
			list->done = NULL;
}

void keeper_forget(struct keeper *all, void *ctx)
{
	forget_in(all->save.waiting, ctx);
	forget_in(all->save.writing, ctx);
}

const char *keeper_save_error(const struct keeper *all)
{
	return all->save.error[0] ? all->save.error : NULL;
}

/* What is known of holds without the roster. */
static enum err hold_by_rows(struct keeper *all)
{
	enum err err = ERR_OK;

	for (size_t i = 0; i < all->row_count && !err; i++)
		if (all->rows[i].row->held)
			err = roster_hold(all->roster, all->rows[i].row->name, true);
	return err;
}

enum err keeper_read_roster(struct keeper *all, const char *path, const char *other, bool *lost, struct why *why)
{
	enum err err;
	bool mend;

	all->save.path[0] = strdup(path);
	all->save.path[1] = strdup(other);
	if (!all->save.path[0] || !all->save.path[1])
		return err_why(why, ERR_NOMEM, "out of memory");
	err = roster_load(all->roster, path, other, &mend, why);
	*lost = err == ERR_DAMAGED;
	if (*lost && hold_by_rows(all) != ERR_OK)
		err = ERR_NOMEM;
	if (err == ERR_OK && mend)
		keeper_save(all, NULL, NULL);
	return err == ERR_NOMEM ? err : ERR_OK;
}

void keeper_on_change(struct keeper *all, void (*call)(void *ctx, enum keeper_event), void *ctx)
{
	all->changed = call;
	all->changed_ctx = ctx;
}

void keeper_on_gone(struct keeper *all, void (*call)(void *ctx, const uint8_t *name), void *ctx)
{
	all->gone = call;
	all->gone_ctx = ctx;
}

static void note_gone(struct keeper *all, const uint8_t *name)
{
	if (all->gone)
		all->gone(all->gone_ctx, name);
}

static void note_change(struct keeper *all, enum keeper_event event)
{
	if (all->changed)
		all->changed(all->changed_ctx, event);
}

static void catalog_changed(struct keep_env *env)
{
	note_change((struct keeper *)env, KEEPER_CATALOGS);
}

/* --- what was purged is gone before it may come again ---------------------- */

static void forgotten(void *ctx, struct disk_result *result)
{
	struct keeper *all = ctx;
	struct beginner **at = &all->beginners;

	(void)result;
	all->forgotten++;
	while (*at) {
		struct beginner *b = *at;
		struct keep *k = keeper_find(all, b->name);

		if (b->wave > all->forgotten) {
			at = &b->next;
			continue;
		}
		*at = b->next;
		if (k && !keep_begun(k))
			keep_start(k);
		free(b);
	}
}

/* After the keep_purge of some. */
static void note_purge(struct keeper *all)
{
	all->waves++;
	disk_mark(all->env.disk, forgotten, all);
}

static void begin_keep(struct keeper *all, struct keep *k)
{
	struct beginner *b = all->waves > all->forgotten ? malloc(sizeof *b + name_length(keep_name(k))) : NULL;

	if (!b) {
		keep_start(k);
		return;
	}
	b->wave = all->waves;
	name_copy(keep_name(k), b->name);
	b->next = all->beginners;
	all->beginners = b;
}

/* --- zones come and go ---------------------------------------------------- */

static const uint8_t *row_name(const void *all, uint32_t number)
{
	return ((const struct keeper *)all)->rows[number].row->name;
}

static struct known_row *find_row(const struct keeper *all, const uint8_t *name)
{
	uint32_t number = nametable_find(&all->row_of, name, row_name, all);

	return number != NAMETABLE_NONE ? &all->rows[number] : NULL;
}

static bool is_held(const struct keeper *all, const uint8_t *name)
{
	const struct roster_zone *known = roster_find(all->roster, name);

	return known && known->held;
}

static struct keep *make_keep(struct keeper *all, struct generation *g, const struct conf_zone *zone, struct keep *before,
	const struct journal_row *row)
{
	struct keep *k = keep_new(&all->env, g, zone, before, row);

	if (k && is_held(all, zone->name))
		keep_hold(k, true);
	return k;
}

/* What is to be put in force. Of very many zones most stay: each pass over all of them waits for memory, so those that come and those that go have
 * lists of their own. */
struct plan {
	struct generation *generation;
	struct roster_list zones;
	struct keep **list;                  /* one for each of the zones: those that stay, and new ones */
	size_t *come, come_count;            /* the new ones: places in the list */
	struct keep **go;
	size_t go_count;
	struct keeper_change *change;
};

static void plan_release(struct plan *p)
{
	free(p->zones.zones);
	free(p->come);
	free(p->go);
}

/* The one of this name, at `*n` or behind; those before it go. */
static struct keep *pass_to(struct keeper *all, struct plan *p, size_t *n, const uint8_t *name)
{
	while (*n < all->count && !is_at(all, *n, name) && name_compare(keep_name(all->keeps[*n]), name) < 0)
		p->go[p->go_count++] = all->keeps[(*n)++];
	return is_at(all, *n, name) ? all->keeps[(*n)++] : NULL;
}

/* False: out of memory. */
static bool make_list(struct keeper *all, struct plan *p)
{
	size_t count = p->zones.count, n = 0;

	p->list = calloc(count + 1, sizeof *p->list);
	p->come = calloc(count + 1, sizeof *p->come);
	p->go = calloc(all->count + 1, sizeof *p->go);
	if (!p->list || !p->come || !p->go)
		return false;
	for (size_t i = 0; i < count; i++) {
		const struct conf_zone *zone = &p->zones.zones[i];
		struct keep *k = pass_to(all, p, &n, zone->name);
		const struct known_row *known;

		if (k && keep_same_source(k, zone)) {
			p->list[i] = k;
			continue;
		}
		known = find_row(all, zone->name);
		p->list[i] = make_keep(all, p->generation, zone, k, known ? known->row : NULL);
		if (!p->list[i])
			return false;
		p->come[p->come_count++] = i;
		if (k)
			p->go[p->go_count++] = k;
		p->change->changed += k != NULL;
		p->change->added += k == NULL;
	}
	while (n < all->count)
		p->go[p->go_count++] = all->keeps[n++];
	return true;
}

static void free_new(struct plan *p)
{
	for (size_t i = 0; i < p->come_count; i++)
		keep_free(p->list[p->come[i]]);
	free(p->list);
}

/* What the store shows of zones that come and go changes, all at once. False: out of memory, nothing has changed. */
static bool place_all(struct keeper *all, struct plan *p)
{
	bool placed = true;

	for (size_t i = 0; i < p->go_count; i++)
		keep_remove_place(p->go[i]);
	for (size_t i = 0; i < p->come_count && placed; i++)
		placed = keep_place(p->list[p->come[i]]);
	if (store_publish(all->env.store) != ERR_OK)
		return false;
	for (size_t i = 0; i < p->go_count; i++)
		keep_lose_place(p->go[i]);
	return true;
}

static const struct conf_zone *find_zone(const struct roster_list *zones, const uint8_t *name)
{
	size_t low = 0, high = zones->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = name_compare(name, zones->zones[middle].name);

		if (order == 0)
			return &zones->zones[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

/* Nothing is left of a zone that came by a catalog; the file of one that was in the configuration stays. */
static void remove_keep(struct keeper *all, struct keep *k, const struct roster_list *zones)
{
	const struct roster_zone *known = roster_find(all->roster, keep_name(k));

	if (find_zone(zones, keep_name(k)))
		keep_write_last(k);       /* it comes back at once, with another source */
	else if (known && known->origin == ROSTER_MEMBER)
		keep_purge(k, NULL, NULL);
	else
		disk_forget(all->env.disk, keep_name(k), NULL, NULL);
	if (!find_zone(zones, keep_name(k)))
		note_gone(all, keep_name(k));
	notify_cancel(all->env.notifier, keep_name(k));
	keep_free(k);
}

static void free_rows(struct keeper *all)
{
	for (size_t i = 0; i < all->row_count; i++)
		free(all->rows[i].row);
	free(all->rows);
	nametable_release(&all->row_of);
	all->rows = NULL;
	all->row_count = 0;
}

/* What the database told is in the keeps now; of other zones nothing need be remembered, unless they are only left out. */
static void drop_rows(struct keeper *all, const struct roster_list *zones)
{
	for (size_t i = 0; i < zones->count && all->row_count; i++) {
		struct known_row *known = find_row(all, zones->zones[i].name);

		if (known)
			known->named = true;
	}
	for (size_t i = 0; i < all->row_count; i++)
		if (!all->rows[i].named && !roster_find(all->roster, all->rows[i].row->name)) {
			disk_forget(all->env.disk, all->rows[i].row->name, NULL, NULL);
			note_gone(all, all->rows[i].row->name);
		}
	free_rows(all);
}

/* Policies that were replaced, to be released when their readers have left. */
struct leaving {
	size_t count;
	struct store_policy *policies[];
};

static void release_leaving(void *arg)
{
	struct leaving *leaving = arg;

	for (size_t i = 0; i < leaving->count; i++)
		leaving->policies[i]->release(leaving->policies[i]);
	free(leaving);
}

/* Two settings that were compared: most zones have the same ones as the zone before. */
struct compared {
	const struct wired *old, *new;
	bool same;
};

static bool same_settings(struct compared *c, const struct wired *old, const struct wired *new)
{
	if (c->old != old || c->new != new)
		*c = (struct compared){old, new, wired_same(old, new)};
	return c->same;
}

static bool same_directory(const struct generation *a, const struct generation *b)
{
	return strcmp(generation_conf(a)->server.zone_dir, generation_conf(b)->server.zone_dir) == 0;
}

/* Those that stay get their new settings: where they mean the same as before, by a few pointers. */
static void change_all(const struct plan *p, const struct generation *old)
{
	struct leaving *leaving = old && same_directory(old, p->generation) ?
		malloc(sizeof *leaving + p->zones.count * sizeof *leaving->policies) : NULL;
	struct compared compared = {0};
	size_t come = 0;

	if (leaving)
		leaving->count = 0;
	for (size_t i = 0; i < p->zones.count; i++) {
		const struct wired *wired = generation_wired(p->generation, p->zones.zones[i].set);
		bool same;

		if (come < p->come_count && p->come[come] == i) {
			come++;
			continue;
		}
		same = same_settings(&compared, keep_wired(p->list[i]), wired);
		p->change->changed += !same;
		if (same && leaving)
			leaving->policies[leaving->count++] = keep_adopt(p->list[i], p->generation, wired);
		else
			keep_change(p->list[i], p->generation, &p->zones.zones[i]);
	}
	if (leaving)
		store_after_readers(release_leaving, leaving);
}

static void log_lost(const struct roster_list *zones)
{
	struct log log;

	log_begin(&log, LOG_LEVEL_ERROR, "zones-left-out");
	log_int(&log, "zones", (int64_t)zones->lost);
	log_str(&log, "why", zones->why.text);
	log_end(&log);
}

/* The plan, or why there is none. */
static enum err make_plan(struct keeper *all, struct plan *p, struct why *why)
{
	enum err err = roster_merge(all->roster, generation_conf(p->generation), &p->zones);

	if (err)
		return err_why(why, err, "out of memory");
	*p->change = (struct keeper_change){.zones = p->zones.count};
	if (p->zones.lost && all->generation)
		err = err_why(why, ERR_CONF, "%s", p->zones.why.text);
	else if (!make_list(all, p))
		err = err_why(why, ERR_NOMEM, "out of memory");
	if (!err && !place_all(all, p))
		err = err_why(why, ERR_NOMEM, "out of memory");
	if (err) {
		free_new(p);
		plan_release(p);
	}
	return err;
}

static void put_in_force(struct keeper *all, struct plan *p)
{
	struct generation *old = all->generation;
	size_t count = p->zones.count;

	all->generation = p->generation;
	if (p->zones.lost)
		log_lost(&p->zones);
	for (size_t i = 0; i < p->go_count; i++) {
		p->change->removed += !find_zone(&p->zones, keep_name(p->go[i]));
		remove_keep(all, p->go[i], &p->zones);
	}
	if (p->go_count)
		note_purge(all);
	free(all->keeps);
	all->keeps = p->list;
	all->count = count;
	all->env.spread = (uint32_t)(count * SPREAD_US / 1000);
	if (!old)
		all->told_from = all->env.secondary.now() + all->env.spread;
	change_all(p, old);
	for (size_t i = 0; i < p->come_count; i++)
		begin_keep(all, p->list[p->come[i]]);
	drop_rows(all, &p->zones);
	if (old)
		generation_retire(old);
}

enum err keeper_apply(struct keeper *all, struct generation *g, struct keeper_change *change, struct why *why)
{
	struct plan p = {.generation = g, .change = change};
	bool changed;
	enum err err = make_plan(all, &p, why);

	if (err) {
		generation_retire(g);
		return err;
	}
	put_in_force(all, &p);
	if (roster_follow(all->roster, generation_conf(g), &changed) != ERR_OK || changed)
		keeper_save(all, NULL, NULL);
	plan_release(&p);
	note_change(all, KEEPER_CATALOGS);
	return ERR_OK;
}

/* --- at run time ---------------------------------------------------------- */

/* The list after an edit. NULL: out of memory, or (then `*err`) a zone is there already. */
static struct keep **edited_list(const struct keeper *all, const struct keeper_edit *e, struct keep *const *fresh, enum err *err)
{
	struct keep **list = calloc(all->count - e->go_count + e->come_count + 1, sizeof *list);
	size_t at = 0, out = 0, gone = 0;

	*err = list ? ERR_OK : ERR_NOMEM;
	for (size_t c = 0; c <= e->come_count && !*err; c++) {
		size_t until = c < e->come_count ? place_of(all, e->come[c].name) : all->count;

		for (; at < until; at++) {
			if (gone < e->go_count && e->go[gone] == all->keeps[at])
				gone++;
			else
				list[out++] = all->keeps[at];
		}
		if (c == e->come_count)
			break;
		if (is_at(all, at, e->come[c].name) && (gone == e->go_count || e->go[gone] != all->keeps[at]))
			*err = ERR_EXISTS;
		list[out++] = fresh[c];
	}
	if (!*err)
		return list;
	free(list);
	return NULL;
}

static void purge_end(struct purge *p)
{
	LIST_REMOVE(p, link);
	free(p);
}

static void part_purged(void *ctx, struct disk_result *result)
{
	struct purge *p = ctx;

	if (result->err && !p->err) {
		p->err = result->err;
		p->why = result->why;
	}
	if (--p->left == 0 && !p->err)
		purge_end(p);
}

static struct purge *find_purge(const struct keeper *all, const uint8_t *name)
{
	struct purge *p;

	LIST_FOREACH(p, &all->purges, link)
		if (name_equal(p->name, name))
			break;
	return p;
}

/* Those that nobody has asked about do not pile up: a zone has one. */
static void purge(struct keeper *all, struct keep *k)
{
	struct purge *before = find_purge(all, keep_name(k)), *p = calloc(1, sizeof *p + name_length(keep_name(k)));

	if (before && !before->left)
		purge_end(before);
	if (!p) {
		keep_purge(k, NULL, NULL);
		return;
	}
	name_copy(keep_name(k), p->name);
	LIST_INSERT_HEAD(&all->purges, p, link);
	p->left = 1;                 /* one more, should it be called at once */
	p->left += keep_purge(k, part_purged, p);
	part_purged(p, &(struct disk_result){0});
}

enum err keeper_purged(struct keeper *all, const uint8_t *name, struct why *why)
{
	struct purge *p = find_purge(all, name);
	enum err err;

	if (!p || p->left)
		return ERR_OK;
	err = p->err;
	err_why(why, err, "%s", err_say(&p->why, err));
	purge_end(p);
	return err;
}

static bool place_edit(struct keeper *all, const struct keeper_edit *e, struct keep *const *fresh)
{
	bool placed = true;

	for (size_t i = 0; i < e->go_count; i++)
		keep_remove_place(e->go[i]);
	for (size_t i = 0; i < e->come_count && placed; i++)
		placed = keep_place(fresh[i]);
	if (store_publish(all->env.store) != ERR_OK)
		return false;
	for (size_t i = 0; i < e->go_count; i++)
		keep_lose_place(e->go[i]);
	return true;
}

static struct keep **make_fresh(struct keeper *all, const struct keeper_edit *e)
{
	struct keep **fresh = calloc(e->come_count + 1, sizeof *fresh);
	size_t i = 0;

	while (fresh && i < e->come_count && (fresh[i] = make_keep(all, all->generation, &e->come[i], NULL, NULL)))
		i++;
	if (!fresh || i == e->come_count)
		return fresh;
	while (i > 0)
		keep_free(fresh[--i]);
	free(fresh);
	return NULL;
}

enum err keeper_edit(struct keeper *all, const struct keeper_edit *e, struct why *why)
{
	struct keep **fresh = make_fresh(all, e), **list = NULL;
	enum err err = fresh ? ERR_OK : ERR_NOMEM;

	if (fresh)
		list = edited_list(all, e, fresh, &err);
	if (!err && !place_edit(all, e, fresh))
		err = ERR_NOMEM;
	if (err) {
		for (size_t i = 0; fresh && i < e->come_count; i++)
			keep_free(fresh[i]);
		free(fresh);
		free(list);
		return err_why(why, err, "%s", err == ERR_EXISTS ? "there is a zone of this name" : "out of memory");
	}
	free(all->keeps);
	all->keeps = list;
	all->count = all->count - e->go_count + e->come_count;
	for (size_t i = 0; i < e->go_count; i++) {
		if (e->ask)
			purge(all, e->go[i]);
		else
			keep_purge(e->go[i], NULL, NULL);
		if (!keeper_find(all, keep_name(e->go[i])))
			note_gone(all, keep_name(e->go[i]));
		notify_cancel(all->env.notifier, keep_name(e->go[i]));
		keep_free(e->go[i]);
	}
	if (e->go_count)
		note_purge(all);
	all->env.spread = (uint32_t)(e->come_count * SPREAD_US / 1000);
	for (size_t i = 0; i < e->come_count; i++)
		begin_keep(all, fresh[i]);
	all->env.spread = (uint32_t)(all->count * SPREAD_US / 1000);
	free(fresh);
	note_change(all, KEEPER_ZONES);
	return ERR_OK;
}

bool keeper_file_clashes(const struct keeper *all, const struct conf_zone *zone)
{
	char path[PATH_MAX];

	if (generation_one_pattern(all->generation))
		return false;
	if (!conf_zone_path(generation_conf(all->generation), zone->set, zone->name, path, sizeof path))
		return false;
	for (size_t i = 0; i < all->count; i++) {
		const char *other = keep_path(all->keeps[i]);

		if (other && strcmp(other, path) == 0 && !name_equal(keep_name(all->keeps[i]), zone->name))
			return true;
	}
	return false;
}

/* "it is in the configuration" and the like. */
static void say_origin(const struct keeper *all, const uint8_t *name, struct why *why)
{
	const struct roster_zone *known = roster_find(all->roster, name);
	char text[NAME_TEXT_SIZE];

	if (!known || known->origin == ROSTER_CONF)
		err_why(why, ERR_EXISTS, "it is a zone of the configuration");
	else if (known->origin == ROSTER_ADDED)
		err_why(why, ERR_EXISTS, "it was added already");
	else
		err_why(why, ERR_EXISTS, "it is a member of the catalog %.200s", name_text(known->catalog, text));
}

enum err keeper_add(struct keeper *all, const uint8_t *name, const char *template_name, struct why *why)
{
	const struct conf *conf = generation_conf(all->generation);
	struct roster_zone like = {.name = name, .origin = ROSTER_ADDED, .template_name = template_name};
	struct conf_zone zone = {.name = name, .template_name = template_name};
	struct keeper_edit come = {&zone, 1, NULL, 0, false};
	enum err err;

	if (keeper_find(all, name)) {
		say_origin(all, name, why);
		return ERR_EXISTS;
	}
	if (template_name && strlen(template_name) > ROSTER_WORD_MAX)
		return err_why(why, ERR_CONF, "there is no such template");
	zone.set = roster_settings(conf, &like, why);
	if (!zone.set)
		return ERR_CONF;
	if (roster_added(all->roster) >= conf->server.limits.zones_added)
		return err_why(why, ERR_LIMIT, "%u zones have been added, and server.limits.zones-added allows no more",
			conf->server.limits.zones_added);
	if (keeper_file_clashes(all, &zone))
		return err_why(why, ERR_CONF, "its zone file would be another zone's");
	if (roster_put(all->roster, &like) != ERR_OK)
		return err_why(why, ERR_NOMEM, "out of memory");
	err = keeper_edit(all, &come, why);
	if (err)
		roster_drop(all->roster, name);
	return err;
}

enum err keeper_remove(struct keeper *all, const uint8_t *name, struct why *why)
{
	const struct roster_zone *known = roster_find(all->roster, name);
	struct keep *k = keeper_find(all, name);
	struct keeper_edit go = {NULL, 0, &k, 1, true};
	enum err err;

	if (!known || known->origin != ROSTER_ADDED) {
		if (k)
			say_origin(all, name, why);
		else
			err_why(why, ERR_NOTFOUND, "there is no such zone");
		return ERR_REFUSED;
	}
	err = k ? keeper_edit(all, &go, why) : ERR_OK;       /* one that was left out has no keep */
	if (!err && roster_drop(all->roster, name) != ERR_OK)
		err = err_why(why, ERR_NOMEM, "out of memory");
	return err;
}

enum err keeper_purge(struct keeper *all, const uint8_t *name, struct why *why)
{
	struct keep *k = keeper_find(all, name);
	struct conf_zone zone = {.name = name};
	struct keeper_edit both = {&zone, 1, &k, 1, true};

	if (!k)
		return err_why(why, ERR_NOTFOUND, "no such zone is configured");
	if (!keep_secondary(k))
		return err_why(why, ERR_REFUSED, "its data is its zone file, which is not ours to remove");
	if (keep_held(k))
		return err_why(why, ERR_REFUSED, "it is on hold, and would not come back: release it first");
	zone.set = keep_wired(k)->set;
	return keeper_edit(all, &both, why);
}

enum err keeper_hold(struct keeper *all, const uint8_t *name, bool held, struct why *why)
{
	struct keep *k = keeper_find(all, name);

	if (!k)
		return err_why(why, ERR_NOTFOUND, "no such zone is configured");
	if (roster_hold(all->roster, name, held) != ERR_OK)
		return err_why(why, ERR_NOMEM, "out of memory");
	keep_hold(k, held);
	note_change(all, KEEPER_CATALOGS);
	return ERR_OK;
}

enum err keeper_reset(struct keeper *all, struct keep *k, const struct conf_zone *zone, struct why *why)
{
	struct keeper_edit both = {zone, 1, &k, 1, false};

	if (!keep_same_source(k, zone))
		return keeper_edit(all, &both, why);
	if (keep_wired(k) != generation_wired(all->generation, zone->set))
		keep_change(k, all->generation, zone);
	return ERR_OK;
}

/* --- the whole ------------------------------------------------------------ */

struct keeper *keeper_new(struct event_base *loop, struct store *store, int64_t (*now)(void), uint64_t (*unix_time)(void))
{
	struct keeper *all = calloc(1, sizeof *all);

	if (!all)
		return NULL;
	keep_env_init(&all->env, loop, store, now, unix_time);
	all->env.row_changed = row_changed;
	all->env.catalog_changed = catalog_changed;
	all->env.to_be_told = to_be_told;
	STAILQ_INIT(&all->tellings);
	all->tell_timer = evtimer_new(loop, tell_due, all);
	all->env.notifier = notifier_new(loop, unix_time);
	all->env.judge = judge_new(loop, unix_time);
	all->rows_timer = evtimer_new(loop, rows_due, all);
	all->clock_timer = evtimer_new(loop, look_at_clock, all);
	all->clock_ahead = clock_ahead(all);
	all->save.timer = evtimer_new(loop, save_due, all);
	all->roster = roster_new();
	if (!all->env.notifier || !all->env.judge || !all->rows_timer || !all->clock_timer || !all->tell_timer || !all->save.timer || !all->roster) {
		keeper_free(all);
		return NULL;
	}
	return all;
}

static void mend(void *ctx, const uint8_t *name, unsigned what)
{
	struct keeper *all = ctx;
	struct keep *one = name ? keeper_find(all, name) : NULL;

	if (one)
		keep_mend(one, what);
	for (size_t i = 0; !name && i < all->count; i++)
		keep_mend(all->keeps[i], what);
}

static void pinned(void *ctx, const uint8_t *name)
{
	struct keeper *all = ctx;
	struct keep *k = keeper_find(all, name);

	if (k)
		keep_unpin(k);
	else
		disk_forget(all->env.disk, name, NULL, NULL);
}

void keeper_set_disk(struct keeper *all, struct disk *disk)
{
	all->env.disk = disk;
	disk_set_hooks(disk, mend, pinned, all);
	look_at_clock(-1, 0, all);
}

struct rows_reader {
	struct keeper *all;
	bool no_memory;
};

static bool add_row(struct keeper *all, struct journal_row *row)
{
	size_t room = all->row_count ? all->row_count * 2 : 1;
	struct known_row *rows = all->rows;

	if (!(all->row_count & (all->row_count - 1)))
		rows = realloc(rows, room * sizeof *rows);
	if (!rows)
		return false;
	all->rows = rows;
	if (!nametable_put(&all->row_of, row->name, (uint32_t)all->row_count))
		return false;
	rows[all->row_count++] = (struct known_row){.row = row};
	return true;
}

/* One whose name comes again is newer. */
static void each_row(void *ctx, const struct journal_row *row)
{
	struct rows_reader *reader = ctx;
	struct journal_row *copy = journal_row_copy(row);
	struct known_row *known = copy ? find_row(reader->all, row->name) : NULL;

	if (known) {
		free(known->row);
		known->row = copy;
	} else if (!copy || !add_row(reader->all, copy)) {
		free(copy);
		reader->no_memory = true;
	}
}

enum err keeper_read_rows(struct keeper *all, struct copies *copies, struct why *why)
{
	struct rows_reader reader = {.all = all};
	enum err err = copies_rows(copies, each_row, &reader, why);

	return reader.no_memory ? err_why(why, ERR_NOMEM, "out of memory") : err;
}

void keeper_flush(struct keeper *all)
{
	for (size_t i = 0; i < all->count; i++)
		keep_write_last(all->keeps[i]);
	flush_rows(all);
	if (all->save.under_way)
		all->save.under_way = false;         /* the next one stands behind it in the queue */
	save_now(all);
}

void keeper_free(struct keeper *all)
{
	if (!all)
		return;
	all->env.disk = NULL;
	judge_free(all->env.judge);
	all->env.judge = NULL;
	notifier_free(all->env.notifier);        /* whose waiters know their keeps */
	for (size_t i = 0; i < all->count; i++)
		keep_free(all->keeps[i]);
	free(all->keeps);
	free_rows(all);
	tell_saved(all->save.waiting, ERR_CLOSED, NULL);
	tell_saved(all->save.writing, ERR_CLOSED, NULL);
	while (all->beginners) {
		struct beginner *next = all->beginners->next;

		free(all->beginners);
		all->beginners = next;
	}
	roster_free(all->roster);
	free(all->save.path[0]);
	free(all->save.path[1]);
	if (all->save.timer)
		event_free(all->save.timer);
	links_free(all->env.secondary.links);
	timers_free(all->env.secondary.timers);
	if (all->rows_timer)
		event_free(all->rows_timer);
	if (all->clock_timer)
		event_free(all->clock_timer);
	while (!LIST_EMPTY(&all->purges))
		purge_end(LIST_FIRST(&all->purges));
	while (!STAILQ_EMPTY(&all->tellings))
		drop_telling(all);
	if (all->tell_timer)
		event_free(all->tell_timer);
	if (all->generation)
		generation_retire(all->generation);
	free(all);
}
