#include "run/keeper.h"

#include "xfer/notify.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

enum {
	ROWS_MS = 50,
	SPREAD_US = 200,
};

struct keeper {
	struct keep_env env;
	struct generation *generation;
	struct keep **keeps;                 /* in canonical order */
	size_t count;
	struct journal_zone *rows;           /* as read from the database, in canonical order */
	size_t row_count;
	struct event *rows_timer;
};

size_t keeper_count(const struct keeper *all) { return all->count; }
struct keep *keeper_at(const struct keeper *all, size_t i) { return all->keeps[i]; }
struct generation *keeper_generation(const struct keeper *all) { return all->generation; }
const struct keep_counters *keeper_counters(const struct keeper *all) { return &all->env.counters; }

struct keep *keeper_find(const struct keeper *all, const uint8_t *name)
{
	size_t low = 0, high = all->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = name_compare(name, keep_name(all->keeps[middle]));

		if (order == 0)
			return all->keeps[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

void keeper_notified(struct keeper *all, const uint8_t *zone, const struct net_addr *from, bool has_serial, struct serial serial)
{
	struct keep *k = keeper_find(all, zone);

	if (k && keep_secondary(k))
		secondary_notify(keep_secondary(k), from, has_serial, serial);
}

/* --- rows ----------------------------------------------------------------- */

/* Rows are written together, a moment later: one commit for many zones. */
static void row_changed(struct keep_env *env)
{
	struct keeper *all = (struct keeper *)env;
	struct timeval soon = {0, ROWS_MS * 1000};

	if (!evtimer_pending(all->rows_timer, NULL))
		evtimer_add(all->rows_timer, &soon);
}

static void flush_rows(struct keeper *all)
{
	struct journal_zone *rows;
	size_t count = 0;

	for (size_t i = 0; i < all->count; i++)
		count += keep_row_changed(all->keeps[i]);
	rows = count ? malloc(count * sizeof *rows) : NULL;
	if (!rows)
		return;
	count = 0;
	for (size_t i = 0; i < all->count; i++)
		if (keep_row_changed(all->keeps[i]))
			rows[count++] = *keep_take_row(all->keeps[i]);
	disk_rows(all->env.disk, rows, count, NULL, NULL);
}

static void rows_due(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	flush_rows(ctx);
}

/* --- zones come and go ---------------------------------------------------- */

static const struct journal_zone *find_row(const struct keeper *all, const uint8_t *name)
{
	size_t low = 0, high = all->row_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = name_compare(name, all->rows[middle].name);

		if (order == 0)
			return &all->rows[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

static void free_new(struct keep **list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!keep_stays(list[i]))
			keep_free(list[i]);
	free(list);
}

/* The new list: kept zones by pointer, marked, and new ones made. NULL: out of memory, nothing has changed. */
static struct keep **plan(struct keeper *all, struct generation *g, struct keeper_change *change)
{
	const struct conf *conf = generation_conf(g);
	struct keep **list = calloc(conf->zone_count + 1, sizeof *list);
	size_t i = 0;

	for (size_t n = 0; n < all->count; n++)
		keep_set_stays(all->keeps[n], false);
	for (; list && i < conf->zone_count; i++) {
		struct keep *k = keeper_find(all, conf->zones[i].name);

		if (k && keep_same_source(k, &conf->zones[i])) {
			list[i] = k;
			keep_set_stays(k, true);
			continue;
		}
		list[i] = keep_new(&all->env, g, &conf->zones[i], k, find_row(all, conf->zones[i].name));
		if (!list[i])
			break;
		if (k)
			change->changed++;
		else
			change->added++;
	}
	if (list && i < conf->zone_count) {
		free_new(list, i);
		list = NULL;
	}
	return list;
}

/* What the store shows of zones that come and go changes, all at once. False: out of memory, nothing has changed. */
static bool place_all(struct keeper *all, struct keep **list, size_t count)
{
	bool placed = true;

	for (size_t i = 0; i < all->count; i++)
		if (!keep_stays(all->keeps[i]))
			keep_remove_place(all->keeps[i]);
	for (size_t i = 0; i < count && placed; i++)
		if (!keep_stays(list[i]))
			placed = keep_place(list[i]);
	if (store_publish(all->env.store) != ERR_OK)
		return false;
	for (size_t i = 0; i < all->count; i++)
		if (!keep_stays(all->keeps[i]))
			keep_lose_place(all->keeps[i]);
	return true;
}

static void remove_keep(struct keeper *all, struct keep *k, const struct conf *conf)
{
	if (conf_find_zone(conf, keep_name(k)))
		keep_write_last(k);       /* it comes back at once, with another source */
	else
		disk_forget(all->env.disk, keep_name(k));
	notify_cancel(all->env.notifier, keep_name(k));
	keep_free(k);
}

/* What the database told is in the keeps now; of other zones nothing need be remembered. */
static void drop_rows(struct keeper *all)
{
	for (size_t i = 0; i < all->row_count; i++)
		if (!conf_find_zone(generation_conf(all->generation), all->rows[i].name))
			disk_forget(all->env.disk, all->rows[i].name);
	free(all->rows);
	all->rows = NULL;
	all->row_count = 0;
}

enum err keeper_apply(struct keeper *all, struct generation *g, struct keeper_change *change, struct why *why)
{
	const struct conf *conf = generation_conf(g);
	struct generation *old = all->generation;
	struct keep **list;

	*change = (struct keeper_change){.zones = conf->zone_count};
	list = plan(all, g, change);
	if (list && !place_all(all, list, conf->zone_count)) {
		free_new(list, conf->zone_count);
		list = NULL;
	}
	if (!list) {
		generation_retire(g);
		return err_why(why, ERR_NOMEM, "out of memory");
	}
	all->generation = g;
	for (size_t i = 0; i < all->count; i++) {
		if (keep_stays(all->keeps[i]))
			continue;
		change->removed += !conf_find_zone(conf, keep_name(all->keeps[i]));
		remove_keep(all, all->keeps[i], conf);
	}
	for (size_t i = 0; i < conf->zone_count; i++)
		if (keep_stays(list[i]))
			change->changed += !wired_same(keep_wired(list[i]), generation_wired(g, conf->zones[i].set));
	free(all->keeps);
	all->keeps = list;
	all->count = conf->zone_count;
	all->env.spread = (uint32_t)(all->count * SPREAD_US / 1000);
	for (size_t i = 0; i < all->count; i++) {
		if (keep_stays(list[i]))
			keep_change(list[i], g, &conf->zones[i]);
		else
			keep_start(list[i]);
	}
	drop_rows(all);
	if (old)
		generation_retire(old);
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
	all->env.notifier = notifier_new(loop, unix_time);
	all->rows_timer = evtimer_new(loop, rows_due, all);
	if (!all->env.notifier || !all->rows_timer) {
		keeper_free(all);
		return NULL;
	}
	return all;
}

void keeper_set_disk(struct keeper *all, struct disk *disk)
{
	all->env.disk = disk;
}

struct rows_reader {
	struct keeper *all;
	bool no_memory;
};

static bool each_row(void *ctx, const struct journal_zone *row)
{
	struct rows_reader *reader = ctx;
	struct keeper *all = reader->all;

	if (!(all->row_count & (all->row_count - 1))) {
		size_t room = all->row_count ? all->row_count * 2 : 1;
		struct journal_zone *rows = realloc(all->rows, room * sizeof *rows);

		reader->no_memory = !rows;
		if (!rows)
			return false;
		all->rows = rows;
	}
	all->rows[all->row_count++] = *row;
	return true;
}

static int row_order(const void *a, const void *b)
{
	return name_compare(((const struct journal_zone *)a)->name, ((const struct journal_zone *)b)->name);
}

enum err keeper_read_rows(struct keeper *all, struct journal *journal, struct why *why)
{
	struct rows_reader reader = {.all = all};
	enum err err = journal_read(journal, each_row, &reader, why);

	if (reader.no_memory)
		err = err_why(why, ERR_NOMEM, "out of memory");
	if (all->row_count)
		qsort(all->rows, all->row_count, sizeof *all->rows, row_order);
	return err;
}

void keeper_flush(struct keeper *all)
{
	for (size_t i = 0; i < all->count; i++)
		keep_write_last(all->keeps[i]);
	flush_rows(all);
}

void keeper_free(struct keeper *all)
{
	if (!all)
		return;
	all->env.disk = NULL;
	notifier_free(all->env.notifier);        /* whose waiters know their keeps */
	for (size_t i = 0; i < all->count; i++)
		keep_free(all->keeps[i]);
	free(all->keeps);
	free(all->rows);
	if (all->rows_timer)
		event_free(all->rows_timer);
	if (all->generation)
		generation_retire(all->generation);
	free(all);
}
