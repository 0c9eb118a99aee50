#include "run/copies.h"

#include "base/clock.h"
#include "base/log.h"
#include "zone/steplog.h"

#include <glob.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	TRY_MS = 5000,               /* between attempts to open what could not be opened */
	FORGET_MS = 10000,           /* until the log is told what zone files hold, where there is no quiet moment */
	BEHIND_MAX = 10000,          /* zones that are remembered singly */
	TOGETHER_MAX = 16 << 20,     /* octets that are read of several zones before they are built */
	MANY = 1000,                 /* changes that leave enough memory behind to give it back */
	SETTLE_ZONES = 128, SETTLE_OCTETS = 4 << 20,     /* images that go into the database together */
	AT_ONCE_MAX = 1 << 20,       /* octets of an image that goes into the database with the commit; larger ones later */
};

/* A zone whose version is in one copy only, as the other could not be written. */
struct behind {
	struct behind *next;
	unsigned what;               /* of enum copies_mend */
	uint8_t name[];
};

/* A zone file has this version. */
struct forget {
	struct forget *next;
	struct serial written;
	uint8_t name[];
};

/* A version that the database lacks: in the log it is already. */
struct late {
	struct late *next;
	struct zone *version;
	struct journal_row *row;     /* NULL: it stays */
	uint8_t name[NAME_SIZE];
};

struct copies {
	pthread_mutex_t lock;        /* of journal and log */
	char *dir;
	struct journal *journal;     /* NULL: not open */
	struct steplog *log;         /* NULL: not open */
	bool stuck;                  /* what was committed does not get from the database's own log to its place */
	bool journal_spoilt;         /* it is to be begun anew, which has failed so far */
	unsigned anew;               /* of enum copies_mend: all zones lack it */
	struct behind *behind;       /* single zones that lack something */
	unsigned behind_count;
	size_t since_idle;           /* changes; used by the thread of commits alone */
	int64_t tried, mended;       /* to open what is not open; to write where it failed */
	int64_t state_time;          /* when database or log were last written to before we opened them, seconds since 1970 */
	bool log_suspect;            /* there was damage in it */
	struct late *late, **last_late;
	struct forget *forgets;
	int64_t forgets_since;
	pthread_mutex_t health_lock;
	struct copies_health health;
};

/* --- health --------------------------------------------------------------- */

/* Says it once when it changes. */
static void set_health(struct copies *c, char *place, const char *copy, enum err err, const struct why *why)
{
	const char *text = err ? err_say(why, err) : "";
	bool changed;
	struct log log;

	if (err)
		c->mended = clock_ms();
	pthread_mutex_lock(&c->health_lock);
	changed = strcmp(place, text) != 0;
	if (changed)
		snprintf(place, WHY_MAX, "%s", text);
	pthread_mutex_unlock(&c->health_lock);
	if (!changed)
		return;
	log_begin(&log, err ? LOG_LEVEL_ERROR : LOG_LEVEL_NOTICE, err ? "state-write-failed" : "state-write-mended");
	log_str(&log, "copy", copy);
	if (err)
		log_str(&log, "why", text);
	log_end(&log);
}

static void database_is(struct copies *c, enum err err, const struct why *why)
{
	if (!err && c->stuck)
		return;
	set_health(c, c->health.database, "database", err, why);
}

static void log_is(struct copies *c, enum err err, const struct why *why)
{
	set_health(c, c->health.log, "log", err, why);
}

void copies_health(struct copies *c, struct copies_health *out)
{
	pthread_mutex_lock(&c->health_lock);
	*out = c->health;
	pthread_mutex_unlock(&c->health_lock);
}

static void note_open(struct copies *c)
{
	pthread_mutex_lock(&c->health_lock);
	c->health.database_open = c->journal && !c->journal_spoilt;
	c->health.log_open = c->log != NULL;
	pthread_mutex_unlock(&c->health_lock);
}

/* --- opening -------------------------------------------------------------- */

static void count_anew(struct copies *c)
{
	pthread_mutex_lock(&c->health_lock);
	c->health.begun_anew++;
	pthread_mutex_unlock(&c->health_lock);
}

void copies_note_damage(struct copies *c, uint64_t places)
{
	pthread_mutex_lock(&c->health_lock);
	c->health.damaged += places;
	pthread_mutex_unlock(&c->health_lock);
}

static enum err open_journal(struct copies *c, struct why *why)
{
	struct why said = {{0}};
	enum err err = journal_open(&c->journal, c->dir, &said);

	if (err) {
		c->journal = NULL;
	} else if (said.text[0]) {
		log_say(LOG_LEVEL_ERROR, "state-damaged", "%s", said.text);
		count_anew(c);
	}
	database_is(c, err, &said);
	*why = said;
	return err;
}

static void say_damage(const struct steplog_report *report)
{
	struct log log;

	if (!report->first[0])
		return;
	log_begin(&log, LOG_LEVEL_ERROR, "state-damaged");
	log_fmt(&log, "places", "%llu", (unsigned long long)report->damaged);
	log_fmt(&log, "octets", "%llu", (unsigned long long)report->damaged_octets);
	log_str(&log, "msg", report->first);
	log_end(&log);
}

/* Of the newest of our files. */
static int64_t time_of_state(const char *dir)
{
	char pattern[4096];
	int64_t newest = 0;
	glob_t found;
	struct stat st;

	snprintf(pattern, sizeof pattern, "%s/{steps-*.log,lockstep.db,lockstep.db-wal}", dir);
	if (glob(pattern, GLOB_BRACE, NULL, &found) != 0)
		return 0;
	for (size_t i = 0; i < found.gl_pathc; i++)
		if (stat(found.gl_pathv[i], &st) == 0 && st.st_mtime > newest)
			newest = st.st_mtime;
	globfree(&found);
	return newest;
}

static enum err open_log(struct copies *c, struct why *why)
{
	struct steplog_report report = {0};
	enum err err = steplog_open(&c->log, c->dir, &report, why);

	if (err)
		c->log = NULL;
	else
		say_damage(&report);
	copies_note_damage(c, err ? 0 : report.damaged);
	c->log_suspect = !err && report.damaged;
	log_is(c, err, why);
	return err;
}

enum err copies_open(struct copies **out, const char *state_dir, struct why *why)
{
	struct copies *c = calloc(1, sizeof *c);
	enum err err;

	if (!c || !(c->dir = strdup(state_dir))) {
		free(c);
		return err_why(why, ERR_NOMEM, "out of memory");
	}
	pthread_mutex_init(&c->lock, NULL);
	pthread_mutex_init(&c->health_lock, NULL);
	c->last_late = &c->late;
	c->tried = clock_ms();
	c->state_time = time_of_state(c->dir);
	err = open_journal(c, why);
	if (err == ERR_EXISTS || err == ERR_NOMEM) {
		copies_close(c);
		return err;
	}
	if (open_log(c, why) == ERR_NOMEM) {
		copies_close(c);
		return ERR_NOMEM;
	}
	note_open(c);
	*out = c;
	return ERR_OK;
}

/* What is damaged is set aside and begun anew. */
static void begin_anew(struct copies *c)
{
	struct why why = {{0}};
	enum err err = journal_reopen(c->journal, &why);

	c->journal_spoilt = err != ERR_OK;
	c->stuck = false;
	if (err) {
		database_is(c, err, &why);
		return;
	}
	log_say(LOG_LEVEL_ERROR, "state-damaged", "%s", why.text);
	c->anew |= COPIES_MEND_DATABASE;
	count_anew(c);
}

/* The directory, or a file in it, was taken away under us. */
static void look_at_log(struct copies *c)
{
	struct why why = {{0}};

	if (!c->log || steplog_in_place(c->log))
		return;
	log_say(LOG_LEVEL_ERROR, "state-damaged", "%s: the log of steps is gone, or was replaced by another one: it is begun anew", c->dir);
	count_anew(c);
	steplog_close(c->log);
	if (open_log(c, &why) == ERR_OK)
		c->anew |= COPIES_MEND_LOG;
	note_open(c);
}

/* What could not be opened is tried again now and then. */
static void try_open(struct copies *c)
{
	struct why why = {{0}};

	if ((c->journal && c->log && !c->journal_spoilt) || clock_ms() - c->tried < TRY_MS)
		return;
	c->tried = clock_ms();
	if (c->journal_spoilt)
		begin_anew(c);
	else if (!c->journal && open_journal(c, &why) == ERR_OK)
		c->anew |= COPIES_MEND_DATABASE;
	if (!c->log && open_log(c, &why) == ERR_OK)
		c->anew |= COPIES_MEND_LOG;
	note_open(c);
}

/* Nothing is missing there that could be written. */
static void try_to_write(struct copies *c, const struct copies_health *health)
{
	struct why why = {{0}};
	enum err err;

	c->mended = clock_ms();
	pthread_mutex_lock(&c->lock);
	if (c->log && health->log[0])
		log_is(c, steplog_append(c->log, NULL, 0, &why), &why);
	if (c->journal && !c->journal_spoilt && health->database[0]) {
		err = journal_try(c->journal, &why);
		database_is(c, err, &why);
		if (err == ERR_DAMAGED)
			begin_anew(c);
	}
	pthread_mutex_unlock(&c->lock);
}

/* The next zone whose turn it is: one at a time while the copy is still in error, to see whether it is well again. */
static unsigned next_behind(struct copies *c, const struct copies_health *health, uint8_t *name)
{
	bool again = clock_ms() - c->mended >= TRY_MS;

	for (struct behind **at = &c->behind; *at; at = &(*at)->next) {
		struct behind *b = *at;
		unsigned what = b->what;

		if (!again && (what & COPIES_MEND_DATABASE ? health->database : health->log)[0])
			continue;
		c->mended = clock_ms();
		name_copy(b->name, name);
		*at = b->next;
		c->behind_count--;
		free(b);
		return what;
	}
	if (again)
		try_to_write(c, health);
	return 0;
}

unsigned copies_to_mend(struct copies *c, uint8_t name[NAME_SIZE], bool *all)
{
	struct copies_health health;
	unsigned what = c->anew;

	copies_health(c, &health);
	*all = what != 0;
	c->anew = 0;
	return what ? what : next_behind(c, &health, name);
}

struct rows_ask {
	void (*each)(void *ctx, const struct journal_row *);
	void *ctx;
};

static enum journal_want each_row(void *ctx, const struct journal_item *item)
{
	struct rows_ask *ask = ctx;

	if (item->kind == JOURNAL_ITEM_ROW && item->row_whole)
		ask->each(ask->ctx, item->row);
	return JOURNAL_GO_ON;
}

enum err copies_rows(struct copies *c, void (*each)(void *ctx, const struct journal_row *), void *ctx, struct why *why)
{
	struct rows_ask ask = {each, ctx};
	enum err err;

	if (!c->journal)
		return ERR_OK;
	err = journal_scan(c->journal, JOURNAL_ROWS, each_row, &ask, why);
	return err == ERR_NOMEM ? err : ERR_OK;      /* what of them cannot be read shows with its zone */
}

void copies_started(struct copies *c)
{
	pthread_mutex_lock(&c->lock);
	if (c->journal)
		journal_forget_places(c->journal);
	pthread_mutex_unlock(&c->lock);
}

/* --- commits -------------------------------------------------------------- */

/* What a change needs on its way. */
struct work {
	struct image image;
	bool has_image, in_log, log_wanted, database_wanted;
	struct why database_why;
	enum err database_err;
};

static void put_off(struct copies *c, const struct copies_change *change, const struct journal_row *row)
{
	struct late *l = calloc(1, sizeof *l);

	if (!l)
		return;              /* the next version brings it */
	l->version = zone_hold(change->version);
	l->row = row ? journal_row_copy(row) : NULL;
	name_copy(change->name, l->name);
	*c->last_late = l;
	c->last_late = &l->next;
}

static bool has_version(const struct copies_change *change)
{
	return change->kind == COPIES_VERSION || change->kind == COPIES_MEND;
}

/* The zone file and the log behind it lead to this version. */
static bool log_leads_to(const struct copies *c, const struct copies_change *change, struct serial serial)
{
	const struct journal_row *row = change->row;
	struct serial newest;

	if (steplog_newest(c->log, change->name, &newest))
		return serial_equal(newest, serial);
	return row && row->file_known && serial_equal(row->written, serial);
}

static void need_image(struct copies_change *change, struct work *w)
{
	if (!w->has_image && image_make(change->version, &w->image, &change->why) == ERR_OK)
		w->has_image = true;
}

/* A step where that is smaller than half of the zone, about what an image takes. */
static void make_diff(struct copies_change *change)
{
	if (change->kind == COPIES_VERSION && change->old &&
	    diff_make(change->old, change->version, change->version->wire_bytes / 2 + 4096, &change->diff) != ERR_OK)
		change->diff = NULL;
}

/* How the version follows on the one before, if it does so by its serial: else it is kept as a whole. */
static struct diff *step_of(const struct copies_change *change)
{
	return change->diff && !serial_equal(change->old->serial, change->version->serial) ? change->diff : NULL;
}

static bool goes_to_log(const struct copies *c, const struct copies_change *change)
{
	if (change->kind == COPIES_MEND)
		return (change->mend & COPIES_MEND_LOG_ANEW) ||
			((change->mend & COPIES_MEND_LOG) && !log_leads_to(c, change, change->version->serial));
	return change->kind == COPIES_VERSION;
}

static void append_all(struct copies *c, struct copies_change *changes, struct work *work, size_t count)
{
	struct steplog_entry *entries = calloc(count, sizeof *entries);
	struct why why = {{0}};
	enum err err = entries ? ERR_OK : ERR_NOMEM;
	size_t n = 0;

	for (size_t i = 0; i < count && !err; i++) {
		struct copies_change *change = &changes[i];
		struct steplog_entry *e = &entries[n];

		if (!goes_to_log(c, change))
			continue;
		*e = (struct steplog_entry){.name = change->name, .to = change->version->serial};
		if (step_of(change) && log_leads_to(c, change, change->old->serial)) {
			e->kind = STEPLOG_STEP;
			e->from = change->old->serial;
			e->bytes = diff_bytes(change->diff, &e->length);
		} else {
			need_image(change, &work[i]);
			e->kind = STEPLOG_IMAGE;
			e->image = &work[i].image;
			if (!work[i].has_image)
				continue;
		}
		work[i].log_wanted = true;
		n++;
	}
	if (!err && n)
		err = steplog_append(c->log, entries, n, &why);
	for (size_t i = 0; i < count; i++)
		work[i].in_log = !err && work[i].log_wanted;
	if (n || err)
		log_is(c, err, &why);
	free(entries);
}

/* How a change goes into the database; false: not now. */
static bool fill_journal(struct copies *c, struct copies_change *change, struct work *w, struct journal_change *out)
{
	*out = (struct journal_change){.kind = JOURNAL_ROW, .name = change->name, .row = change->row};
	switch (change->kind) {
	case COPIES_ROW:
		return change->row != NULL;
	case COPIES_FORGET:
		out->kind = JOURNAL_FORGET;
		out->row = NULL;
		return true;
	case COPIES_VERSION:
	case COPIES_MEND:
		break;
	}
	out->to = change->version->serial;
	if (step_of(change) && w->database_err != ERR_MISMATCH && w->database_err != ERR_LIMIT) {
		out->kind = JOURNAL_STEP;
		out->from = change->old->serial;
		out->bytes = diff_bytes(change->diff, &out->length);
		return true;
	}
	if (change->kind == COPIES_MEND || (w->in_log && (!w->has_image || w->image.octets > AT_ONCE_MAX))) {
		put_off(c, change, change->row);
		return false;
	}
	need_image(change, w);
	out->kind = JOURNAL_IMAGE;
	out->image = &w->image;
	return w->has_image;
}

static void read_verdict(struct copies *c, struct copies_change *change, struct work *w, const struct journal_change *out)
{
	w->database_err = out->err;
	if (out->outgrown)
		put_off(c, change, NULL);
}

/* One transaction. */
static void store_once(struct copies *c, struct copies_change *changes, struct work *work, size_t count)
{
	struct journal_change *out = calloc(count, sizeof *out);
	size_t *index = calloc(count, sizeof *index), n = 0;
	struct why why = {{0}};
	enum err err = out && index ? ERR_OK : ERR_NOMEM;

	for (size_t i = 0; i < count && !err; i++) {
		if (!work[i].database_wanted || !fill_journal(c, &changes[i], &work[i], &out[n]))
			continue;
		index[n++] = i;
	}
	for (size_t i = 0; i < count; i++)
		work[i].database_wanted = false;
	if (!err && n)
		err = journal_commit(c->journal, out, n, &why);
	for (size_t i = 0; i < n; i++) {
		struct work *w = &work[index[i]];

		read_verdict(c, &changes[index[i]], w, &out[i]);
		if (err) {
			w->database_err = err;
			w->database_why = why;
		}
		/* What does not follow on what is there, or has outgrown it, goes there as a whole. */
		w->database_wanted = w->database_err == ERR_MISMATCH || w->database_err == ERR_LIMIT || err == ERR_DAMAGED;
	}
	if (n || err)
		database_is(c, err, &why);
	if (err == ERR_DAMAGED)
		begin_anew(c);
	free(out);
	free(index);
}

static void store_all(struct copies *c, struct copies_change *changes, struct work *work, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		work[i].database_wanted = changes[i].kind != COPIES_MEND || (changes[i].mend & COPIES_MEND_DATABASE);
		work[i].database_err = changes[i].kind == COPIES_MEND ? ERR_OK : ERR_IO;     /* until it is there */
	}
	/* A second time for what must be whole; a third where the database was begun anew in between. */
	for (unsigned turn = 0; turn < 3 && !c->journal_spoilt; turn++) {
		bool wanted = false;

		for (size_t i = 0; i < count; i++)
			wanted |= work[i].database_wanted;
		if (wanted)
			store_once(c, changes, work, count);
	}
}

/* The log keeps what a zone file holds until the database can no more fall back behind it: a flipped bit in its write-ahead log makes SQLite
 * pass over all that was committed after it. */
static void forget_later(struct copies *c, const uint8_t *name, struct serial written)
{
	struct serial newest;
	struct forget *f = steplog_newest(c->log, name, &newest) ? malloc(sizeof *f + name_length(name)) : NULL;

	if (!f)
		return;
	f->next = c->forgets;
	f->written = written;
	name_copy(name, f->name);
	if (!c->forgets)
		c->forgets_since = clock_ms();
	c->forgets = f;
}

static void forget_now(struct copies *c, bool apply)
{
	while (c->forgets) {
		struct forget *f = c->forgets;

		c->forgets = f->next;
		if (apply && c->log)
			steplog_forget(c->log, f->name, f->written);
		free(f);
	}
}

static void note_behind(struct copies *c, const uint8_t *name, unsigned what)
{
	struct behind *b;

	for (b = c->behind; b; b = b->next)
		if (name_equal(b->name, name)) {
			b->what |= what;
			c->mended = clock_ms();
			return;
		}
	b = c->behind_count < BEHIND_MAX ? malloc(sizeof *b + name_length(name)) : NULL;
	if (!b) {
		c->anew |= c->behind_count < BEHIND_MAX ? 0 : what;
		return;
	}
	b->what = what;
	name_copy(name, b->name);
	b->next = c->behind;
	c->behind = b;
	c->behind_count++;
	c->mended = clock_ms();
}

static void late_free(struct late *l)
{
	zone_put(l->version);
	free(l->row);
	free(l);
}

/* An image that waits for its turn must not bring back what was forgotten, or is older than `newest`, which is there. */
static void drop_late(struct copies *c, const uint8_t *name, const struct zone *newest)
{
	struct late **at = &c->late;

	while (*at) {
		struct late *l = *at;

		if (!name_equal(l->name, name) || (newest && l->version == newest)) {
			at = &l->next;
			continue;
		}
		*at = l->next;
		late_free(l);
	}
	c->last_late = at;
}

static void conclude(struct copies *c, struct copies_change *change, struct work *w)
{
	bool stored = w->database_err == ERR_OK;

	if (c->journal && has_version(change) && w->in_log && w->database_err && w->database_err != ERR_MISMATCH && w->database_err != ERR_LIMIT)
		note_behind(c, change->name, COPIES_MEND_DATABASE);
	if (c->log && has_version(change) && stored && w->log_wanted && !w->in_log)
		note_behind(c, change->name, COPIES_MEND_LOG);

	if (stored && change->kind == COPIES_ROW && change->row->file_known && c->log)
		forget_later(c, change->name, change->row->written);
	if (change->kind == COPIES_FORGET || (stored && change->kind == COPIES_VERSION))
		drop_late(c, change->name, change->version);
	if (stored && change->kind == COPIES_FORGET && c->log)
		steplog_forget_zone(c->log, change->name);
	if (stored || (w->in_log && has_version(change))) {
		change->err = ERR_OK;
	} else if (c->journal) {
		change->err = w->database_err;
		change->why = w->database_why;
	} else {
		struct copies_health health;

		copies_health(c, &health);
		change->err = err_why(&change->why, ERR_IO, "state-dir cannot be used: %s", health.database);
	}
	if (w->has_image)
		image_release(&w->image);
}

/* That zones are gone is in the log as soon as it is in the database. */
static void flush_forgotten(struct copies *c, const struct copies_change *changes, size_t count)
{
	struct why why = {{0}};
	bool forgotten = false;

	for (size_t i = 0; i < count; i++)
		forgotten |= changes[i].kind == COPIES_FORGET;
	if (forgotten && c->log)
		log_is(c, steplog_append(c->log, NULL, 0, &why), &why);
}

static void count_commits(struct copies *c, const struct copies_change *changes, size_t count)
{
	pthread_mutex_lock(&c->health_lock);
	for (size_t i = 0; i < count; i++) {
		if (changes[i].kind != COPIES_VERSION)
			continue;
		c->health.commits++;
		c->health.failed += changes[i].err != ERR_OK;
	}
	pthread_mutex_unlock(&c->health_lock);
}

void copies_commit(struct copies *c, struct copies_change *changes, size_t count, void (*early)(void *ctx, size_t change), void *ctx)
{
	struct work *work = calloc(count, sizeof *work);

	for (size_t i = 0; i < count; i++) {
		changes[i].err = ERR_NOMEM;
		make_diff(&changes[i]);
	}
	if (!work)
		return;
	pthread_mutex_lock(&c->lock);
	look_at_log(c);
	try_open(c);
	if (c->log)
		append_all(c, changes, work, count);
	for (size_t i = 0; i < count; i++)
		if (work[i].in_log && changes[i].kind == COPIES_VERSION)
			early(ctx, i);
	if (c->journal)
		store_all(c, changes, work, count);
	else
		for (size_t i = 0; i < count; i++)
			work[i].database_err = ERR_IO;
	for (size_t i = 0; i < count; i++)
		conclude(c, &changes[i], &work[i]);
	flush_forgotten(c, changes, count);
	pthread_mutex_unlock(&c->lock);
	count_commits(c, changes, count);
	c->since_idle += count;
	free(work);
}

/* The image of a large zone leaves memory behind that nobody needs soon again. */
static void give_back(uint64_t octets)
{
	if (octets > AT_ONCE_MAX)
		malloc_trim(0);
}

static struct late *take_late(struct copies *c)
{
	struct late *l = c->late;

	if (l && !(c->late = l->next))
		c->last_late = &c->late;
	return l;
}

static void store_late(struct copies *c, struct journal_change *changes, size_t count)
{
	struct why why = {{0}};
	enum err err = ERR_OK;

	pthread_mutex_lock(&c->lock);
	if (c->journal && !c->journal_spoilt && count) {
		err = journal_commit(c->journal, changes, count, &why);
		database_is(c, err, &why);
		if (err == ERR_DAMAGED)
			begin_anew(c);
	}
	for (size_t i = 0; i < count && err; i++)
		note_behind(c, changes[i].name, COPIES_MEND_DATABASE);
	pthread_mutex_unlock(&c->lock);
}

/* Small ones many at a time: each commit waits for the disk. */
static void settle_some(struct copies *c)
{
	struct late *late[SETTLE_ZONES];
	struct image image[SETTLE_ZONES];
	struct journal_change out[SETTLE_ZONES];
	uint64_t octets = 0;
	size_t n = 0;

	while (c->late && n < SETTLE_ZONES && octets < SETTLE_OCTETS) {
		struct late *l = take_late(c);
		struct why why;

		if (image_make(l->version, &image[n], &why)) {
			late_free(l);
			continue;
		}
		out[n] = (struct journal_change){.kind = JOURNAL_IMAGE, .name = l->name, .row = l->row, .to = l->version->serial, .image = &image[n],
			.keep = l->version->wire_bytes / 2};
		octets += image[n].octets;
		late[n++] = l;
	}
	store_late(c, out, n);
	for (size_t i = 0; i < n; i++) {
		image_release(&image[i]);
		late_free(late[i]);
	}
	give_back(octets);
}

void copies_settle(struct copies *c)
{
	while (c->late)
		settle_some(c);
	if (c->forgets && clock_ms() - c->forgets_since > FORGET_MS)
		copies_idle(c);
}

static bool tidy_up(struct copies *c)
{
	struct why why = {{0}};
	enum err err = journal_idle(c->journal, &why);

	if (!err && !c->stuck)
		return true;
	c->stuck = err && err != ERR_DAMAGED;
	database_is(c, err, &why);
	if (err == ERR_DAMAGED)
		begin_anew(c);
	return !err;
}

void copies_idle(struct copies *c)
{
	pthread_mutex_lock(&c->lock);
	try_open(c);
	if (c->journal && !c->journal_spoilt && tidy_up(c))
		forget_now(c, true);
	pthread_mutex_unlock(&c->lock);
	if (c->since_idle > MANY)
		malloc_trim(0);
	c->since_idle = 0;
}

void copies_pinning(struct copies *c, bool (*each)(void *ctx, const uint8_t *name), void *ctx)
{
	pthread_mutex_lock(&c->lock);
	if (c->log)
		steplog_pinning(c->log, each, ctx);
	pthread_mutex_unlock(&c->lock);
}

/* --- the end -------------------------------------------------------------- */

void copies_close(struct copies *c)
{
	if (!c)
		return;
	while (c->late) {
		struct late *next = c->late->next;

		late_free(c->late);
		c->late = next;
	}
	copies_idle(c);
	forget_now(c, false);
	while (c->behind) {
		struct behind *next = c->behind->next;

		free(c->behind);
		c->behind = next;
	}
	journal_close(c->journal);
	steplog_close(c->log);
	pthread_mutex_destroy(&c->lock);
	pthread_mutex_destroy(&c->health_lock);
	free(c->dir);
	free(c);
}

/* --- finding -------------------------------------------------------------- */

static void find_in_database(struct copies *c, const uint8_t *name, struct found *f)
{
	struct why why = {{0}};
	enum err err = ERR_NOTFOUND;

	if (c->journal && !c->journal_spoilt)
		err = journal_load(c->journal, name, found_each_item, f, &why);
	if (err && err != ERR_NOTFOUND)
		snprintf(f->damage, sizeof f->damage, "%s", err_say(&why, err));
}

size_t copies_find(struct copies *c, const uint8_t *const *names, struct found *found, size_t count)
{
	size_t n = 0, octets = 0;

	pthread_mutex_lock(&c->lock);
	if (c->journal && !c->journal_spoilt)
		journal_hold_reads(c->journal, true);
	for (; n < count && octets < TOGETHER_MAX; n++) {
		find_in_database(c, names[n], &found[n]);
		octets += found_octets(&found[n]);
	}
	if (c->journal)
		journal_hold_reads(c->journal, false);
	pthread_mutex_unlock(&c->lock);
	return n;
}

bool copies_find_in_log(struct copies *c, const uint8_t *name, struct found *f)
{
	struct why why = {{0}};
	enum err err = ERR_NOTFOUND;

	pthread_mutex_lock(&c->lock);
	if (c->log && steplog_newest(c->log, name, &f->last)) {
		f->has_last = true;
		err = steplog_load(c->log, name, found_each_record, f, &why);
	}
	pthread_mutex_unlock(&c->lock);
	if (err && err != ERR_NOTFOUND)
		snprintf(f->damage, sizeof f->damage, "%s", err_say(&why, err));
	return f->has_last;
}

bool copies_log_newest(struct copies *c, const uint8_t *name, struct serial *newest)
{
	bool there;

	pthread_mutex_lock(&c->lock);
	there = c->log && steplog_newest(c->log, name, newest);
	pthread_mutex_unlock(&c->lock);
	return there;
}

bool copies_log_suspect(const struct copies *c) { return c->log_suspect; }
int64_t copies_state_time(const struct copies *c) { return c->state_time; }
