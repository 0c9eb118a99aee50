#include "run/catalogs.h"

#include "base/array.h"
#include "base/log.h"
#include "base/siphash.h"
#include "zone/catalog.h"
#include "zone/zonefile.h"

#include <event2/event.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	SOON_MS = 20,                /* changes that follow each other closely are one */
	AGAIN_MS = 10 * 1000,        /* without memory, or when a file could not be written */
};

/* One catalog of the configuration. */
struct state {
	struct state *next;
	struct catalogs *catalogs;
	bool under_way, again;       /* it is being read, or written; and once more after that */
	bool listed;
	uint64_t members, refused;
	char refused_why[WHY_MAX], error[WHY_MAX];
	uint8_t name[];
};

struct catalogs {
	struct keeper *keeper;
	uint64_t (*unix_time)(void);
	struct event *timer;
	bool consume;                /* not only what is produced is to be looked at */
	struct state *states;
	struct catalogs_counters counters;
};

static void soon(struct catalogs *c, int ms)
{
	struct timeval tv = {ms / 1000, ms % 1000 * 1000};

	if (ms == SOON_MS || !evtimer_pending(c->timer, NULL))
		evtimer_add(c->timer, &tv);
}

static struct state *find_state(const struct catalogs *c, const uint8_t *name)
{
	struct state *s = c->states;

	while (s && !name_equal(s->name, name))
		s = s->next;
	return s;
}

static struct log *log_state(struct log *log, enum log_level level, const char *event, const struct state *s)
{
	char text[NAME_TEXT_SIZE];

	log_begin(log, level, event);
	log_str(log, "zone", name_text(s->name, text));
	return log;
}

/* Said once, until it is something else. */
static void set_error(struct state *s, const char *text)
{
	struct log log;

	if (strcmp(s->error, text) == 0)
		return;
	snprintf(s->error, sizeof s->error, "%s", text);
	if (!*text)
		return;
	log_state(&log, LOG_LEVEL_ERROR, "catalog-failed", s);
	log_str(&log, "why", text);
	log_end(&log);
}

static const struct conf *conf_of(const struct catalogs *c)
{
	return generation_conf(keeper_generation(c->keeper));
}

/* --- consuming ------------------------------------------------------------ */

/* A version being read by the disk's thread. */
struct reading {
	struct disk_work work;
	struct zone *zone;
	uint64_t most;
	struct catalog catalog;
};

static enum err read_catalog(struct disk_work *work, struct why *why)
{
	struct reading *r = (struct reading *)work;

	return catalog_read(r->zone, r->most, &r->catalog, why);
}

static void reading_free(struct disk_work *work)
{
	struct reading *r = (struct reading *)work;

	catalog_release(&r->catalog);
	zone_put(r->zone);
	free(r);
}

enum verdict { SAME, COME, RESET, CHANGE, REFUSED };

/* A catalog's members, and what is to become of them. */
struct consume {
	struct catalogs *c;
	struct state *state;
	const struct conf *conf;
	const struct conf_settings *set;     /* the catalog's */
	const struct catalog *catalog;
	uint8_t *verdict;                    /* of each member */
	struct conf_zone *zones;             /* of each member that comes, changes, or begins anew */
	struct keep **go;
	size_t go_count;
	const uint8_t **drop;                /* names that are members no more */
	size_t drop_count;
	struct paths { uint64_t *slot; size_t slots; } paths;       /* hashes of all zone files' paths; none: they cannot clash */
	uint64_t added, removed, reset;
};

static void refuse(struct consume *m, size_t i, const char *why)
{
	char text[NAME_TEXT_SIZE];
	struct state *s = m->state;

	m->verdict[i] = REFUSED;
	if (!s->refused++)
		snprintf(s->refused_why, sizeof s->refused_why, "%.200s: %s", name_text(m->catalog->members[i].name, text), why);
}

/* The root is a member only where it is named. */
static bool is_allowed(const struct conf_settings *set, const uint8_t *name)
{
	for (size_t i = 0; i < set->catalog_under_count; i++)
		if (name_is_under(name, set->catalog_under[i]) && (*name || !*set->catalog_under[i]))
			return true;
	return !set->catalog_under_count && *name;
}

/* Members are looked for in the order of their names: so is what they are compared with. */
struct cursors { size_t conf, roster; };

static bool is_configured(const struct consume *m, struct cursors *at, const uint8_t *name)
{
	int order = -1;

	while (at->conf < m->conf->zone_count && (order = name_compare(m->conf->zones[at->conf].name, name)) < 0)
		at->conf++;
	return at->conf < m->conf->zone_count && order == 0;
}

static const struct roster_zone *known_zone(const struct consume *m, struct cursors *at, const uint8_t *name)
{
	struct roster *roster = keeper_roster(m->c->keeper);
	size_t count = roster_count(roster);
	int order = -1;

	while (at->roster < count && (order = name_compare(roster_at(roster, at->roster)->name, name)) < 0)
		at->roster++;
	return at->roster < count && order == 0 ? roster_at(roster, at->roster) : NULL;
}

static bool same_id(const uint8_t *a, const uint8_t *b)
{
	return *a == *b && memcmp(a + 1, b + 1, *a) == 0;
}

static bool same_group(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

/* RFC 9432 4.3.1: the catalog that has the member says so, in the version that is served. */
static bool is_handed_over(const struct consume *m, const struct roster_zone *known)
{
	struct keep *owner = keeper_find(m->c->keeper, known->catalog);
	struct zone *version = owner ? keep_served(owner) : NULL;
	uint8_t to[NAME_SIZE];
	bool handed = version && catalog_coo(version, known->id, to) && name_equal(to, m->state->name);

	zone_put(version);
	return handed;
}

static uint64_t path_hash(const char *path)
{
	static const uint8_t key[SIPHASH_KEY] = "paths of files";
	uint64_t hash = siphash(key, path, strlen(path));

	return hash ? hash : 1;
}

/* False: it is there already. */
static bool paths_add(struct paths *paths, uint64_t hash)
{
	size_t at = hash & (paths->slots - 1);

	while (paths->slot[at] && paths->slot[at] != hash)
		at = (at + 1) & (paths->slots - 1);
	if (paths->slot[at])
		return false;
	paths->slot[at] = hash;
	return true;
}

/* False: out of memory. */
static bool paths_begin(struct consume *m)
{
	size_t zones = keeper_count(m->c->keeper);

	if (generation_one_pattern(keeper_generation(m->c->keeper)))
		return true;
	for (m->paths.slots = 64; m->paths.slots < 2 * (zones + m->catalog->count);)
		m->paths.slots *= 2;
	m->paths.slot = calloc(m->paths.slots, sizeof *m->paths.slot);
	for (size_t i = 0; m->paths.slot && i < zones; i++) {
		const char *path = keep_path(keeper_at(m->c->keeper, i));

		if (path)
			paths_add(&m->paths, path_hash(path));
	}
	return m->paths.slot;
}

static bool file_clashes(struct consume *m, const struct conf_zone *zone)
{
	char path[PATH_MAX];

	return m->paths.slot && conf_zone_path(m->conf, zone->set, zone->name, path, sizeof path) && !paths_add(&m->paths, path_hash(path));
}

static struct roster_zone entry_of(const struct consume *m, const struct catalog_member *member, bool held)
{
	return (struct roster_zone){.name = member->name, .origin = ROSTER_MEMBER, .held = held, .template_name = member->group,
		.catalog = m->state->name, .id = member->id};
}

static void judge_known(struct consume *m, size_t i, const struct roster_zone *known)
{
	const struct catalog_member *member = &m->catalog->members[i];
	bool ours = known->origin == ROSTER_MEMBER && name_equal(known->catalog, m->state->name);
	char text[NAME_TEXT_SIZE], why[WHY_MAX];

	if (known->origin == ROSTER_ADDED) {
		refuse(m, i, "it was added at run time");
	} else if (!ours && !is_handed_over(m, known)) {
		snprintf(why, sizeof why, "it is a member of %.200s, which does not hand it over (coo)", name_text(known->catalog, text));
		refuse(m, i, why);
	} else if (!same_id(known->id, member->id)) {
		m->verdict[i] = known->held ? SAME : RESET;  /* after the hold */
	} else if (!ours || !same_group(known->template_name, member->group)) {
		m->verdict[i] = CHANGE;
	}
}

static void judge(struct consume *m, size_t i, struct cursors *at)
{
	const struct catalog_member *member = &m->catalog->members[i];
	struct roster_zone like = entry_of(m, member, false);
	const struct roster_zone *known;
	struct why why;

	m->verdict[i] = SAME;
	known = known_zone(m, at, member->name);
	if (is_configured(m, at, member->name))
		refuse(m, i, "it is a zone of the configuration");
	else if (!is_allowed(m->set, member->name))
		refuse(m, i, *member->name ? "it is not under what the catalog may bring (catalog-members-under)" : "it is the root");
	else if (known && known->origin != ROSTER_CONF)
		judge_known(m, i, known);
	else
		m->verdict[i] = COME;
	if (m->verdict[i] == SAME || m->verdict[i] == REFUSED)
		return;
	m->zones[i] = (struct conf_zone){member->name, member->group, roster_settings(m->conf, &like, &why)};
	if (!m->zones[i].set)
		refuse(m, i, why.text);
	else if (m->verdict[i] == COME && file_clashes(m, &m->zones[i]))
		refuse(m, i, "its zone file would be another zone's");
}

static int by_name(const void *key, const void *member)
{
	return name_compare(key, ((const struct catalog_member *)member)->name);
}

static int by_keep_name(const void *a, const void *b)
{
	return name_compare(keep_name(*(struct keep *const *)a), keep_name(*(struct keep *const *)b));
}

/* Those that the catalog brought and does not bring any more. */
static void find_gone(struct consume *m)
{
	struct roster *roster = keeper_roster(m->c->keeper);
	size_t count = roster_count(roster);

	for (size_t i = 0; i < count; i++) {
		const struct roster_zone *zone = roster_at(roster, i);
		const struct catalog_member *member;
		struct keep *k;

		if (zone->origin != ROSTER_MEMBER || !name_equal(zone->catalog, m->state->name))
			continue;
		member = m->catalog->count ? bsearch(zone->name, m->catalog->members, m->catalog->count, sizeof *member, by_name) : NULL;
		if (member && m->verdict[member - m->catalog->members] != REFUSED)
			continue;
		m->drop[m->drop_count++] = zone->name;
		k = keeper_find(m->c->keeper, zone->name);
		if (k)
			m->go[m->go_count++] = k;
		m->removed++;
	}
}

static bool consume_begin(struct consume *m)
{
	size_t members = m->catalog->count, known = roster_count(keeper_roster(m->c->keeper));
	struct cursors at = {0};

	m->verdict = calloc(members + 1, 1);
	m->zones = calloc(members + 1, sizeof *m->zones);
	m->go = calloc(members + known + 1, sizeof *m->go);
	m->drop = calloc(known + 1, sizeof *m->drop);
	if (!m->verdict || !m->zones || !m->go || !m->drop || !paths_begin(m))
		return false;
	m->state->refused = 0;
	for (size_t i = 0; i < members; i++)
		judge(m, i, &at);
	find_gone(m);
	return true;
}

/* The zones themselves. */
static enum err edit_zones(struct consume *m, struct why *why)
{
	struct conf_zone *come = calloc(m->catalog->count + 1, sizeof *come);
	struct keeper_edit edit = {.come = come, .go = m->go};
	enum err err = come ? ERR_OK : err_why(why, ERR_NOMEM, "out of memory");

	for (size_t i = 0; i < m->catalog->count && !err; i++) {
		struct keep *k = m->verdict[i] == RESET || m->verdict[i] == CHANGE ? keeper_find(m->c->keeper, m->zones[i].name) : NULL;

		if (m->verdict[i] == COME || (m->verdict[i] == RESET && k))
			come[edit.come_count++] = m->zones[i];
		if (m->verdict[i] == RESET && k)
			m->go[m->go_count++] = k;
		if (m->verdict[i] == CHANGE && k)
			err = keeper_reset(m->c->keeper, k, &m->zones[i], why);
		m->added += m->verdict[i] == COME;
		m->reset += m->verdict[i] == RESET;
	}
	edit.go_count = m->go_count;
	qsort(m->go, m->go_count, sizeof *m->go, by_keep_name);
	if (!err && (edit.come_count || edit.go_count))
		err = keeper_edit(m->c->keeper, &edit, why);
	free(come);
	return err;
}

/* What is remembered of them. */
static enum err edit_roster(struct consume *m, struct why *why)
{
	struct roster *roster = keeper_roster(m->c->keeper);
	size_t changes = m->drop_count;
	enum err err = ERR_OK;

	for (size_t i = 0; i < m->catalog->count && !err; i++) {
		struct keep *k;
		struct roster_zone like;

		if (m->verdict[i] == SAME || m->verdict[i] == REFUSED)
			continue;
		k = keeper_find(m->c->keeper, m->catalog->members[i].name);
		like = entry_of(m, &m->catalog->members[i], k && keep_held(k));
		err = roster_put(roster, &like);
		changes++;
	}
	for (size_t i = 0; i < m->drop_count && !err; i++)
		err = roster_drop(roster, m->drop[i]);
	if (changes)
		keeper_save(m->c->keeper, NULL, NULL);
	return err ? err_why(why, err, "out of memory") : ERR_OK;
}

static void log_consumed(const struct consume *m)
{
	const struct state *s = m->state;
	struct log log;

	log_state(&log, s->refused ? LOG_LEVEL_WARNING : LOG_LEVEL_NOTICE, "catalog", s);
	log_int(&log, "members", (int64_t)m->catalog->count);
	log_int(&log, "added", (int64_t)m->added);
	log_int(&log, "removed", (int64_t)m->removed);
	log_int(&log, "reset", (int64_t)m->reset);
	log_int(&log, "refused", (int64_t)s->refused);
	if (s->refused)
		log_str(&log, "why", s->refused_why);
	log_end(&log);
}

static void count_consumed(struct consume *m, uint64_t refused_before)
{
	struct catalogs_counters *counters = &m->c->counters;

	m->state->members = m->catalog->count - m->state->refused;
	counters->added += m->added;
	counters->removed += m->removed;
	counters->reset += m->reset;
	if (m->state->refused > refused_before)
		counters->refused += m->state->refused - refused_before;
	if (m->added || m->removed || m->reset || m->state->refused != refused_before)
		log_consumed(m);
}

static void consume(struct catalogs *c, struct state *s, const struct catalog *catalog, const struct conf_settings *set)
{
	struct consume m = {.c = c, .state = s, .conf = conf_of(c), .set = set, .catalog = catalog};
	uint64_t refused_before = s->refused;
	struct why why;
	enum err err = consume_begin(&m) ? edit_zones(&m, &why) : err_why(&why, ERR_NOMEM, "out of memory");

	if (!err)
		err = edit_roster(&m, &why);
	if (!err)
		count_consumed(&m, refused_before);
	set_error(s, err ? err_say(&why, err) : "");
	if (err)
		soon(c, AGAIN_MS);
	free(m.verdict);
	free(m.zones);
	free(m.go);
	free(m.drop);
	free(m.paths.slot);
}

static void look_at(struct catalogs *c, struct state *s, const struct conf_zone *zone);

/* It is over; looks once more if something happened meanwhile. */
static void finished(struct state *s)
{
	s->under_way = false;
	if (s->again)
		soon(s->catalogs, SOON_MS);
}

static void read_done(void *ctx, struct disk_result *result)
{
	struct state *s = ctx;
	struct catalogs *c = s->catalogs;
	struct reading *r = (struct reading *)result->work;
	const struct conf_zone *zone = conf_find_zone(conf_of(c), s->name);
	bool outdated = zone && zone->set->catalog_max != r->most;   /* read under a bound that is no more in force */

	s->again |= outdated;
	finished(s);
	if (!zone || zone->set->catalog != CONF_CATALOG_CONSUME || outdated)
		return;
	c->counters.versions++;
	c->counters.broken += result->err != ERR_OK;
	if (result->err)
		set_error(s, err_say(&result->why, result->err));
	else
		consume(c, s, &r->catalog, zone->set);
}

static void begin_reading(struct catalogs *c, struct state *s, struct keep *k, const struct conf_zone *zone)
{
	struct zone *version = keep_served(k);
	struct reading *r = version ? calloc(1, sizeof *r) : NULL;

	if (!r) {
		if (version)
			soon(c, AGAIN_MS);
		zone_put(version);
		return;              /* never loaded, or expired: what it brought stays */
	}
	r->work = (struct disk_work){read_catalog, reading_free};
	r->zone = version;
	r->most = zone->set->catalog_max;
	s->under_way = true;
	disk_call(keeper_disk(c->keeper), NULL, &r->work, read_done, s);
}

/* --- producing ------------------------------------------------------------ */

/* A version being written to its zone file, if it is not what the file holds. */
struct making {
	struct disk_work work;
	struct zone *base;                   /* NULL: there is none */
	struct catalog_member *members;
	size_t count, room;
	struct serial serial;
	bool changed;
	struct arena arena;
	char *path;
	uint8_t apex[NAME_SIZE];
};

static bool is_same(const struct making *m)
{
	struct catalog catalog;
	bool same;

	if (!m->base || catalog_read(m->base, UINT64_MAX, &catalog, NULL) != ERR_OK)
		return false;
	same = catalog_same(&catalog, m->members, m->count);
	catalog_release(&catalog);
	return same;
}

static enum err make_catalog(struct disk_work *work, struct why *why)
{
	struct making *m = (struct making *)work;
	struct zone *version;
	enum err err;

	if (is_same(m))
		return ERR_OK;
	err = catalog_make(m->apex, m->members, m->count, m->serial, &version, why);
	if (err)
		return err;
	err = zonefile_write(m->path, version, why);
	m->changed = err == ERR_OK;
	zone_put(version);
	return err;
}

static void making_free(struct disk_work *work)
{
	struct making *m = (struct making *)work;

	zone_put(m->base);
	free(m->members);
	arena_release(&m->arena);
	free(m->path);
	free(m);
}

static bool add_member(struct making *m, const struct keep *k)
{
	const struct conf_settings *set = keep_wired(k)->set;
	uint8_t id[CATALOG_ID];

	if (!array_room(m->members, m->room, m->count + 1))
		return false;
	catalog_id(keep_name(k), id);
	m->members[m->count] = (struct catalog_member){
		.name = arena_dup(&m->arena, keep_name(k), name_length(keep_name(k))),
		.id = arena_dup(&m->arena, id, sizeof id),
		.group = set->catalog_group ? arena_strdup(&m->arena, set->catalog_group) : NULL,
	};
	return m->members[m->count].name && m->members[m->count++].id;
}

static bool list_members(struct catalogs *c, struct making *m)
{
	for (size_t i = 0; i < keeper_count(c->keeper); i++) {
		const struct keep *k = keeper_at(c->keeper, i);
		const uint8_t *catalog = keep_wired(k)->set->catalog_zone;

		if (catalog && name_equal(catalog, m->apex) && !name_equal(keep_name(k), m->apex) && !add_member(m, k))
			return false;
	}
	return true;
}

/* The serial rises with the time, so that it does also where the file was lost; and by one where it is ahead of that. */
static struct serial next_serial(const struct catalogs *c, const struct zone *base)
{
	struct serial now = {(uint32_t)c->unix_time()};

	return base && !serial_newer(now, base->serial) ? (struct serial){base->serial.v + 1} : now;
}

static void made(void *ctx, struct disk_result *result)
{
	struct state *s = ctx;
	const struct making *m = (struct making *)result->work;
	struct keep *k = keeper_find(s->catalogs->keeper, s->name);

	finished(s);
	set_error(s, result->err ? err_say(&result->why, result->err) : "");
	if (result->err) {
		soon(s->catalogs, AGAIN_MS);
		return;
	}
	s->members = m->count;
	s->catalogs->counters.made += m->changed;
	if (m->changed && k)
		keep_reread(k, NULL, NULL);
}

static void begin_making(struct catalogs *c, struct state *s, struct keep *k)
{
	struct making *m = keep_loading(k) ? NULL : calloc(1, sizeof *m);

	if (!m)
		return;              /* it is looked at when its file has been read */
	m->work = (struct disk_work){make_catalog, making_free};
	name_copy(s->name, m->apex);
	m->base = keep_served(k);
	m->serial = next_serial(c, m->base);
	m->path = keep_path(k) ? strdup(keep_path(k)) : NULL;
	if (!m->path || !list_members(c, m)) {
		making_free(&m->work);
		set_error(s, "out of memory");
		soon(c, AGAIN_MS);
		return;
	}
	s->under_way = true;
	disk_call(keeper_disk(c->keeper), NULL, &m->work, made, s);
}

/* --- all ------------------------------------------------------------------ */

static void look_at(struct catalogs *c, struct state *s, const struct conf_zone *zone)
{
	struct keep *k = keeper_find(c->keeper, zone->name);

	s->again = s->under_way;
	if (s->under_way || !k || keep_held(k))
		return;
	if (zone->set->catalog == CONF_CATALOG_PRODUCE)
		begin_making(c, s, k);
	else
		begin_reading(c, s, k, zone);
}

static struct state *make_state(struct catalogs *c, const uint8_t *name)
{
	struct state *s = find_state(c, name);

	if (s || !(s = calloc(1, sizeof *s + name_length(name))))
		return s;
	s->catalogs = c;
	s->next = c->states;
	c->states = s;
	name_copy(name, s->name);
	return s;
}

/* Catalogs that the configuration has no more. */
static void drop_states(struct catalogs *c)
{
	for (struct state **at = &c->states; *at;) {
		struct state *s = *at;

		if (s->listed || s->under_way) {
			at = &s->next;
			continue;
		}
		*at = s->next;
		free(s);
	}
}

static void look_at_all(evutil_socket_t fd, short what, void *ctx)
{
	struct catalogs *c = ctx;
	const struct conf *conf = conf_of(c);
	bool consumed = c->consume;

	(void)fd;
	(void)what;
	c->consume = false;
	for (struct state *s = c->states; s; s = s->next)
		s->listed = false;
	for (size_t i = 0; i < conf->zone_count; i++) {
		enum conf_catalog kind = conf->zones[i].set->catalog;
		struct state *s = kind != CONF_CATALOG_NONE ? make_state(c, conf->zones[i].name) : NULL;

		if (!s)
			continue;
		s->listed = true;
		if (kind == CONF_CATALOG_PRODUCE || consumed || s->again || s->refused)
			look_at(c, s, &conf->zones[i]);
	}
	drop_states(c);
}

static void changed(void *ctx, enum keeper_event event)
{
	struct catalogs *c = ctx;

	c->consume |= event == KEEPER_CATALOGS;
	soon(c, SOON_MS);
}

struct catalogs *catalogs_new(struct event_base *loop, struct keeper *keeper, uint64_t (*unix_time)(void))
{
	struct catalogs *c = calloc(1, sizeof *c);

	if (!c)
		return NULL;
	c->keeper = keeper;
	c->unix_time = unix_time;
	c->timer = evtimer_new(loop, look_at_all, c);
	if (!c->timer) {
		free(c);
		return NULL;
	}
	keeper_on_change(keeper, changed, c);
	return c;
}

void catalogs_free(struct catalogs *c)
{
	if (!c)
		return;
	keeper_on_change(c->keeper, NULL, NULL);
	for (struct state *s = c->states, *next; s; s = next) {
		next = s->next;
		free(s);
	}
	event_free(c->timer);
	free(c);
}

bool catalogs_view(const struct catalogs *c, const uint8_t *name, struct catalogs_view *out)
{
	const struct state *s = find_state(c, name);

	if (!s)
		return false;
	*out = (struct catalogs_view){s->members, s->refused, s->refused ? s->refused_why : NULL, s->error[0] ? s->error : NULL};
	return true;
}

const struct catalogs_counters *catalogs_counters(const struct catalogs *c)
{
	return &c->counters;
}
