#include "run/copies.h"

#include "base/clock.h"
#include "base/log.h"
#include "zone/steplog.h"
#include "zone/zonefile.h"

#include <glob.h>
#include <inttypes.h>
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

static enum err open_journal(struct copies *c, struct why *why)
{
	struct why said = {{0}};
	enum err err = journal_open(&c->journal, c->dir, &said);

	if (err)
		c->journal = NULL;
	else if (said.text[0])
		log_say(LOG_LEVEL_ERROR, "state-damaged", "%s", said.text);
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
	if (err) {
		database_is(c, err, &why);
		return;
	}
	log_say(LOG_LEVEL_ERROR, "state-damaged", "%s", why.text);
	c->anew |= COPIES_MEND_DATABASE;
	pthread_mutex_lock(&c->health_lock);
	c->health.begun_anew++;
	pthread_mutex_unlock(&c->health_lock);
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
	if (again && health->log[0] && health->log_open)
		log_is(c, ERR_OK, NULL);     /* nothing is missing there */
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
	struct behind *b = c->behind_count < BEHIND_MAX ? malloc(sizeof *b + name_length(name)) : NULL;

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

/* An image that waits for its turn must not bring back what was forgotten. */
static void drop_late(struct copies *c, const uint8_t *name)
{
	struct late **at = &c->late;

	while (*at) {
		struct late *l = *at;

		if (!name_equal(l->name, name)) {
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
	if (change->kind == COPIES_FORGET)
		drop_late(c, change->name);
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
	enum err err;

	pthread_mutex_lock(&c->lock);
	if (c->journal && !c->journal_spoilt && count) {
		err = journal_commit(c->journal, changes, count, &why);
		database_is(c, err, &why);
		if (err == ERR_DAMAGED)
			begin_anew(c);
	}
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

void copies_idle(struct copies *c)
{
	struct why why = {{0}};

	pthread_mutex_lock(&c->lock);
	try_open(c);
	if (c->journal && !c->journal_spoilt && journal_idle(c->journal, &why) == ERR_OK)
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

/* --- loading -------------------------------------------------------------- */

/* What one place has of a zone: pieces of an image, and steps. Gathered while the place is ours, looked at afterwards. */
struct found {
	struct image image;          /* piece[].bytes are ours */
	struct diff **steps;
	size_t step_count, first;    /* the first step that follows on the image; those before lead to it */
	struct journal_row *row;
	bool whole;                  /* all that was there came */
	bool has_last;
	struct serial last;
	char damage[WHY_MAX];
};

static void found_clear_image(struct image *image)
{
	for (size_t i = 0; i < image->count; i++)
		free((void *)image->piece[i].bytes);
	free(image->piece);
	*image = (struct image){0};
}

static void found_clear_steps(struct found *f)
{
	for (size_t i = 0; i < f->step_count; i++)
		diff_drop(f->steps[i]);
	free(f->steps);
	f->steps = NULL;
	f->step_count = f->first = 0;
}

static void found_release(struct found *f)
{
	found_clear_image(&f->image);
	found_clear_steps(f);
	free(f->row);
}

/* Room for one more of an array that grows by doubling. */
static void *grown(void *array, size_t count, size_t size)
{
	return count & (count - 1) ? array : realloc(array, (count ? count * 2 : 1) * size);
}

static bool add_piece(struct found *f, const uint8_t *bytes, size_t length)
{
	struct image_piece *pieces = grown(f->image.piece, f->image.count, sizeof *pieces);
	uint8_t *copy;

	if (!pieces)
		return false;
	f->image.piece = pieces;
	copy = malloc(length ? length : 1);
	if (!copy)
		return false;
	memcpy(copy, bytes, length);
	pieces[f->image.count++] = (struct image_piece){copy, length};
	return true;
}

static bool add_step(struct found *f, const uint8_t *bytes, size_t length)
{
	struct diff **steps = grown(f->steps, f->step_count, sizeof *steps);
	struct why why = {{0}};

	if (!steps)
		return false;
	f->steps = steps;
	if (diff_read(bytes, length, &steps[f->step_count], &why)) {
		snprintf(f->damage, sizeof f->damage, "%s", why.text);
		return false;
	}
	f->step_count++;
	return true;
}

static enum journal_want each_item(void *ctx, const struct journal_item *item)
{
	struct found *f = ctx;
	bool good = true;

	switch (item->kind) {
	case JOURNAL_ITEM_ROW:
		if (item->row_whole && !f->row)
			f->row = journal_row_copy(item->row);
		break;
	case JOURNAL_ITEM_IMAGE:
		good = add_piece(f, item->bytes, item->length);
		break;
	case JOURNAL_ITEM_STEP:
		good = add_step(f, item->bytes, item->length);
		f->first += good && item->before;
		break;
	case JOURNAL_ITEM_END:
		f->whole = item->has_image && !item->damage;
		f->has_last = item->has_last;
		f->last = item->last;
		if (item->damage)
			snprintf(f->damage, sizeof f->damage, "%s", item->damage);
		break;
	}
	return good ? JOURNAL_GO_ON : JOURNAL_STOP;
}

static void find_in_database(struct copies *c, struct copies_zone *z, struct found *f)
{
	struct why why = {{0}};
	enum err err = ERR_NOTFOUND;

	if (c->journal && !c->journal_spoilt)
		err = journal_load(c->journal, z->name, each_item, f, &why);
	if (err && err != ERR_NOTFOUND)
		snprintf(f->damage, sizeof f->damage, "%s", err_say(&why, err));
}

static size_t octets_of(const struct found *f)
{
	size_t octets = 0;

	for (size_t i = 0; i < f->image.count; i++)
		octets += f->image.piece[i].length;
	for (size_t i = 0; i < f->step_count; i++)
		octets += diff_octets(f->steps[i]);
	return octets;
}

/* The first of them, as many as fit in memory, in one go; the commits wait so long. */
static size_t find_some(struct copies *c, struct copies_zone *const *zones, struct found *found, size_t count)
{
	size_t n = 0, octets = 0;

	pthread_mutex_lock(&c->lock);
	if (c->journal && !c->journal_spoilt)
		journal_hold_reads(c->journal, true);
	for (; n < count && octets < TOGETHER_MAX; n++) {
		find_in_database(c, zones[n], &found[n]);
		octets += octets_of(&found[n]);
	}
	if (c->journal)
		journal_hold_reads(c->journal, false);
	pthread_mutex_unlock(&c->lock);
	return n;
}

static bool each_record(void *ctx, const struct steplog_record *record)
{
	struct found *f = ctx;

	if (record->kind == STEPLOG_STEP)
		return add_step(f, record->bytes, record->length);
	if (f->step_count)
		found_clear_steps(f);        /* the image supersedes them */
	return add_piece(f, record->bytes, record->length);
}

static bool find_in_log(struct copies *c, struct copies_zone *z, struct found *f)
{
	struct why why = {{0}};
	enum err err = ERR_NOTFOUND;

	pthread_mutex_lock(&c->lock);
	if (c->log && steplog_newest(c->log, z->name, &f->last)) {
		f->has_last = true;
		err = steplog_load(c->log, z->name, each_record, f, &why);
	}
	pthread_mutex_unlock(&c->lock);
	if (err && err != ERR_NOTFOUND)
		snprintf(f->damage, sizeof f->damage, "%s", err_say(&why, err));
	return f->has_last;
}

static bool log_newest(struct copies *c, const uint8_t *name, struct serial *newest)
{
	bool there;

	pthread_mutex_lock(&c->lock);
	there = c->log && steplog_newest(c->log, name, newest);
	pthread_mutex_unlock(&c->lock);
	return there;
}

static void say(const struct copies_zone *z, enum log_level level, const char *event, const char *copy, const char *why)
{
	char text[NAME_TEXT_SIZE];
	struct log log;

	log_begin(&log, level, event);
	log_str(&log, "zone", name_text(z->name, text));
	if (copy)
		log_str(&log, "copy", copy);
	else
		log_str(&log, "file", z->path);
	log_str(&log, "why", why);
	log_end(&log);
}

/* The image's version; NULL: there is none, or it is damaged. Its octets are gone then. */
static struct zone *build_image(struct copies_zone *z, struct found *f, const char *copy)
{
	struct image_reader *reader = f->image.count ? image_reader_new(z->name, z->limits) : NULL;
	struct zone *version = NULL;
	struct why why = {{0}};
	enum err err = ERR_OK;

	if (!reader)
		return NULL;
	for (size_t i = 0; i < f->image.count && !err; i++) {
		err = image_reader_put(reader, &f->image.piece[i], &why);
		free((void *)f->image.piece[i].bytes);
		f->image.piece[i].bytes = NULL;
	}
	if (err)
		image_reader_free(reader);
	else
		err = image_reader_finish(reader, &version, &why);
	found_clear_image(&f->image);
	if (err)
		say(z, LOG_LEVEL_ERROR, "zone-copy-damaged", copy, err_say(&why, err));
	return err ? NULL : version;
}

/* The steps from `i` on that follow on each other, as one. */
static size_t run_of(const struct found *f, size_t i)
{
	size_t n = 1;

	while (i + n < f->step_count && serial_equal(diff_to(f->steps[i + n - 1]), diff_from(f->steps[i + n])))
		n++;
	return n;
}

/* Applies `n` steps at once; false: the version stays as it was. */
static bool apply(struct copies_zone *z, struct zone **version, struct diff *const *steps, size_t n)
{
	struct diff *joined = NULL;
	struct zone *next;
	struct why why = {{0}};
	enum err err = n > 1 ? diff_join(steps, n, 0, &joined) : ERR_OK;

	if (!err)
		err = diff_apply(*version, joined ? joined : steps[0], z->limits, &next, &why);
	diff_drop(joined);
	if (err) {
		say(z, LOG_LEVEL_ERROR, "zone-copy-damaged", "steps", err_say(&why, err));
		return false;
	}
	zone_put(*version);
	*version = next;
	return true;
}

/* Goes on from the version with the steps from `at` on. */
static void follow(struct copies_zone *z, struct zone **version, const struct found *f, size_t at)
{
	for (size_t i = at, n; *version && i < f->step_count; i += n) {
		n = run_of(f, i);
		while (n > 1 && !serial_equal(diff_from(f->steps[i]), (*version)->serial)) {
			i++;
			n--;
		}
		if (serial_equal(diff_from(f->steps[i]), (*version)->serial) && !apply(z, version, f->steps + i, n))
			break;
	}
}

static bool is_at(const struct zone *version, struct serial serial)
{
	return version && serial_equal(version->serial, serial);
}

static void mark_file(struct copies_zone *z)
{
	z->mark = file_mark_of(z->path, &z->modified);
}

/* The zone file, if it can be read. */
static struct zone *read_file(struct copies_zone *z)
{
	struct zone *version = NULL;

	if (!z->path)
		return NULL;
	mark_file(z);
	z->err = zonefile_load_digest(z->path, z->name, z->limits, &version, &z->digest, &z->why);
	return z->err ? NULL : version;
}

/* The version that the zone file and the log lead to. */
static struct zone *second_copy(struct copies_zone *z, struct found *log)
{
	struct zone *version = build_image(z, log, "log");

	follow(z, &version, log, 0);
	if (version && log->has_last && is_at(version, log->last))
		return version;
	zone_put(version);
	version = read_file(z);
	z->from_file = version != NULL;
	if (version) {
		z->file_known = true;
		z->written = version->serial;
	}
	follow(z, &version, log, 0);
	return version;
}

/* Of two versions the one that was served last: the one that the database's row names, else the newer one. */
static struct zone *newer_of(struct zone *a, struct zone *b, const struct journal_row *row)
{
	bool take_b = b && (!a || serial_newer(b->serial, a->serial));

	if (a && b && row && row->has_serial && is_at(a, row->serial) != is_at(b, row->serial))
		take_b = is_at(b, row->serial) && !serial_newer(a->serial, b->serial);
	zone_put(take_b ? a : b);
	return take_b ? b : a;
}

static void take_steps(struct copies_zone *z, struct found *f)
{
	z->steps = f->steps;
	z->step_count = f->step_count;
	f->steps = NULL;
	f->step_count = 0;
}

/* The database has nothing newer than the log has; or it is asked for the rest. */
static void go_on_from_log(struct copies *c, struct copies_zone *z, struct found *database, struct zone **version)
{
	struct found log = {0};
	struct serial newest;
	bool there = log_newest(c, z->name, &newest);

	if (*version && (!there || is_at(*version, newest)))
		return;
	find_in_log(c, z, &log);
	if (log.damage[0])
		say(z, LOG_LEVEL_ERROR, "zone-copy-damaged", "log", log.damage);
	if (*version)
		follow(z, version, &log, 0);
	if (!*version || (there && !is_at(*version, newest)))
		*version = newer_of(*version, second_copy(z, &log), database->row);
	if (!z->steps && log.step_count)
		take_steps(z, &log);
	found_release(&log);
}

/* File and log lead to the version. Where there was damage in the log each step of the way is looked at. */
static bool log_has(struct copies *c, struct copies_zone *z)
{
	struct found log = {0};
	struct serial newest;
	bool whole;

	if (!log_newest(c, z->name, &newest))
		return z->file_known && is_at(z->version, z->written);
	if (!is_at(z->version, newest) || !c->log_suspect)
		return is_at(z->version, newest);
	find_in_log(c, z, &log);
	whole = !log.damage[0] && (log.image.count || (log.step_count && z->file_known && serial_equal(diff_from(log.steps[0]), z->written)));
	whole = whole && (!log.step_count || (run_of(&log, 0) == log.step_count && is_at(z->version, diff_to(log.steps[log.step_count - 1]))));
	found_release(&log);
	return whole;
}

/* --- a file that the database does not know of --- */

static bool note_path(const char *path, char out[4096])
{
	return (size_t)snprintf(out, 4096, "%s.lockstep-note", path) < 4096;
}

enum err copies_note_file(const char *path, struct file_digest digest, struct why *why)
{
	struct file_replace file;
	char name[4096], *room;
	enum err err;

	if (!note_path(path, name))
		return err_why(why, ERR_CONF, "%s: the path is too long", path);
	err = file_replace_begin(&file, name, why);
	if (err)
		return err;
	room = file_replace_room(&file, 64);
	if (room)
		file_replace_advance(&file, (size_t)snprintf(room, 64, "%016" PRIx64 " %" PRIu64 "\n", digest.sum, digest.size));
	return file_replace_commit(&file, why);
}

void copies_drop_note(const char *path)
{
	char name[4096];

	if (note_path(path, name))
		unlink(name);
}

/* What the note beside the file says; false: there is none. */
static bool read_note(const char *path, struct file_digest *digest)
{
	struct file_bytes file;
	struct why why;
	char name[4096];
	bool good;

	if (!note_path(path, name) || access(name, F_OK) < 0 || file_read(name, 64, &file, &why))
		return false;
	good = sscanf(file.bytes, "%16" SCNx64 " %20" SCNu64, &digest->sum, &digest->size) == 2;
	file_bytes_release(&file);
	return good;
}

/* The database may have fallen behind: then the zone file may be newer. */
static void look_at_file(struct copies_zone *z, const struct found *database)
{
	const struct journal_row *row = database->row;
	struct zone *file, *before = z->version;
	struct file_digest note;
	bool noted;

	if (z->from_file || !z->path || !before)
		return;
	noted = read_note(z->path, &note);
	if (!noted && (z->apart || (row && !database->damage[0] && (!row->has_serial || is_at(before, row->serial)))))
		return;
	file = read_file(z);
	if (!file)
		return;
	noted = noted && file_digest_equal(note, z->digest);
	z->version = newer_of(before, file, noted ? NULL : row);
	z->from_file = z->version == file;
	z->file_known = z->from_file;
	if (z->from_file)
		z->written = file->serial;
}

static void load_one(struct copies *c, struct copies_zone *z, struct found *database)
{
	struct file_digest note;
	struct serial newest;
	bool in_database;

	if (database->damage[0])
		say(z, LOG_LEVEL_ERROR, "zone-copy-damaged", "database", database->damage);
	z->version = build_image(z, database, "database");
	follow(z, &z->version, database, database->first);
	in_database = z->version && database->whole;
	if (in_database)
		take_steps(z, database);
	newest = z->version ? z->version->serial : (struct serial){0};
	go_on_from_log(c, z, database, &z->version);
	look_at_file(z, database);
	z->in_database = in_database && is_at(z->version, newest);
	if (database->row && !z->from_file) {
		z->file_known = database->row->file_known;
		z->written = database->row->written;
		z->digest = database->row->file;
	} else if (database->row && database->row->file_known && !read_note(z->path, &note) && !file_digest_equal(z->digest, database->row->file)) {
		say(z, LOG_LEVEL_WARNING, "zone-file-edited", NULL, "it is not what was written, and there is nothing else: it is taken as it is");
	}
	if (z->version && !(z->from_file && is_at(z->version, z->written)))
		z->modified = c->state_time;
	z->in_log = z->version && log_has(c, z);
	if (z->apart) {              /* and what the log has must not begin with the file */
		z->in_log = z->in_log && !z->from_file && !(database->row && database->row->file_known);
		z->file_known = false;
	}
	if (z->version)
		z->err = ERR_OK;
	else if (!z->err)
		z->err = database->damage[0] ? err_why(&z->why, ERR_DAMAGED, "%s", database->damage) : ERR_NOTFOUND;
}

void copies_load(struct copies *c, struct copies_zone *const *zones, size_t count)
{
	struct found *found = calloc(count + 1, sizeof *found);

	for (size_t i = 0; i < count && !found; i++)
		zones[i]->err = err_why(&zones[i]->why, ERR_NOMEM, "out of memory");
	for (size_t i = 0, end = 0; i < count && found; i++) {
		if (i == end)
			end += find_some(c, zones + i, found + i, count - i);
		load_one(c, zones[i], &found[i]);
		found_release(&found[i]);
	}
	free(found);
}

/* The file holds this very version, whoever wrote it. */
static bool same_content(const struct zone *version, const struct zone *file)
{
	struct diff *diff = NULL;
	bool same = serial_equal(version->serial, file->serial) && diff_make(version, file, 0, &diff) == ERR_OK && diff_is_empty(diff);

	diff_drop(diff);
	return same;
}

/* It is another one than we wrote: by hand, by damage, or by ourselves before a kill kept us from noting it. */
static void look_into(struct copies_zone *z)
{
	struct zone *file = NULL;
	enum err err = zonefile_load_digest(z->path, z->name, z->limits, &file, &z->digest, &z->why);

	z->file_bad = err || !same_content(z->version, file);
	if (err)
		say(z, LOG_LEVEL_ERROR, "zone-file-damaged", NULL, err_say(&z->why, err));
	else if (z->file_bad)
		say(z, LOG_LEVEL_WARNING, "zone-file-edited", NULL, "it is not what was written: it is not taken, and written anew");
	if (!err && z->file_bad)
		err_why(&z->why, ERR_MISMATCH, "%s: it was edited, which is not taken", z->path);
	z->file_known = !z->file_bad;
	if (!z->file_bad)
		z->written = z->version->serial;
	z->file_other = !err && z->file_bad && serial_equal(file->serial, z->version->serial);
	zone_put(file);
}

void copies_check_file(struct copies_zone *z)
{
	struct file_bytes file;
	bool same;
	enum err err;

	z->why.text[0] = 0;
	mark_file(z);
	err = file_read(z->path, 0, &file, &z->why);
	if (err == ERR_NOTFOUND && !z->file_known)
		return;
	same = !err && z->file_known && file_digest_equal(file_digest_of(file.bytes, file.length), z->digest);
	if (!err)
		file_bytes_release(&file);
	if (!err && !same)
		look_into(z);
	if (!err)
		return;
	z->file_bad = true;
	z->file_known = false;
	say(z, LOG_LEVEL_WARNING, err == ERR_NOTFOUND ? "zone-file-missing" : "zone-file-damaged", NULL, err_say(&z->why, err));
}

void copies_zone_release(struct copies_zone *z)
{
	zone_put(z->version);
	for (size_t i = 0; i < z->step_count; i++)
		diff_drop(z->steps[i]);
	free(z->steps);
	z->version = NULL;
	z->steps = NULL;
	z->step_count = 0;
}
