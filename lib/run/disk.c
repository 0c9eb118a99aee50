#include "run/disk.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "zone/zonefile.h"

#include <event2/event.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum {
	FILE_THREADS = 2,
	COMMITS = FILE_THREADS,      /* the queue of commits stands behind those of files */
	QUEUES,
	IDLE_S = 1,                  /* without a commit, and the database tidies up */
	GROUP_MAX = 4096,            /* changes committed together */
	WRITE_MAX = 32,              /* zone files written together: each has a buffer of 1 MB */
	MANY = 1000,                 /* jobs that leave enough memory behind to give it back */
	LOAD_MAX = 64,               /* zones loaded together: each is in memory twice for a moment */
	AT_A_TIME = 64,              /* of what is done: the loop has other things to do */
};

enum kind { LOAD, CHECK, READ, CALL, WRITE, COMMIT, ROWS, MARK, TOLD };

/* What a job leads to; made when it is begun. */
struct outcome {
	struct disk_result result;
	struct recover_zone zone;
};

/* 100,000 may wait. */
struct job {
	struct job *next;
	struct disk *disk;
	const char *path;            /* behind the name; NULL: none */
	struct build_limits limits;
	struct zone *version, *old;
	struct journal_row *row, **rows;
	size_t count;
	struct mark *mark;
	struct disk_work *work;
	void (*tell)(struct disk *, const struct job *);
	disk_done *done;
	void *ctx;
	struct outcome *out;         /* NULL: it was not begun, or there is no memory for it */
	struct file_mark known;      /* READ: see disk_read */
	struct file_digest digest;   /* CHECK: of the file, and what it held; */
	struct serial written;
	bool file_known;             /* if that is known */
	enum kind kind : 8;
	enum copies_kind commit : 8;
	bool apart;                  /* LOAD: see struct recover_zone */
	bool alone;                  /* a file that the database does not know of */
	bool all;                    /* a mend: of all zones, */
	unsigned mend;               /* of this kind */
	uint8_t name[];
};

/* A mark goes through all queues; the last of its jobs calls back. */
struct mark {
	unsigned left;
	disk_done *done;
	void *ctx;
};

struct queue {
	struct job *first, **last;
};

struct worker {
	struct disk *disk;
	pthread_t thread;
	pthread_cond_t more;
	struct queue todo;
	struct job *current;         /* and those behind it: what is being done */
	unsigned since_tidy;         /* jobs since memory was given back; the thread's own */
	bool stopping;
};

struct disk {
	struct copies *copies;
	pthread_mutex_t lock;
	struct worker worker[QUEUES];
	unsigned started;
	struct queue done;
	struct event *event;
	int wake;
	void (*mend)(void *ctx, const uint8_t *name, unsigned what);
	void (*pinned)(void *ctx, const uint8_t *name);
	void *hooks_ctx;
};

/* --- queues --------------------------------------------------------------- */

static void put(struct queue *q, struct job *job)
{
	job->next = NULL;
	*q->last = job;
	q->last = &job->next;
}

static struct job *take(struct queue *q)
{
	struct job *job = q->first;

	if (job && !(q->first = job->next))
		q->last = &q->first;
	return job;
}

static void rows_free(struct journal_row **rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(rows[i]);
	free(rows);
}

static void job_free(struct job *job)
{
	zone_put(job->version);
	zone_put(job->old);
	if (job->out) {
		zone_put(job->out->result.version);
		diff_drop(job->out->result.diff);
		recover_zone_release(&job->out->zone);
		free(job->out);
	}
	if (job->work)
		job->work->free(job->work);
	free(job->row);
	rows_free(job->rows, job->count);
	free(job);
}

static void wake_loop(struct disk *d)
{
	uint64_t one = 1;

	if (write(d->wake, &one, sizeof one) < 0)
		return;              /* the counter is full: the loop is woken anyway */
}

/* What was done, in its order, goes to the loop. */
static void finished(struct worker *w)
{
	struct disk *d = w->disk;
	bool wakes;

	pthread_mutex_lock(&d->lock);
	wakes = !d->done.first;      /* else it is awake, or will be */
	while (w->current) {
		struct job *job = w->current;

		w->current = job->next;
		put(&d->done, job);
	}
	pthread_mutex_unlock(&d->lock);
	if (wakes)
		wake_loop(d);
}

/* --- files ---------------------------------------------------------------- */

/* False: there is no memory for what comes of it. */
static bool begin(struct job *job)
{
	job->out = calloc(1, sizeof *job->out);
	if (!job->out)
		return false;
	job->out->zone.name = job->name;
	job->out->zone.path = job->path;
	job->out->zone.limits = job->limits;
	job->out->zone.apart = job->apart;
	return true;
}

static void do_check(struct job *job)
{
	struct recover_zone *z = &job->out->zone;

	job->out->result.zone = z;
	z->file_known = job->file_known;
	z->written = job->written;
	z->digest = job->digest;
	z->version = job->version;
	job->version = NULL;
	recover_check_file(z);
	job->out->result.why = z->why;
}

static void do_read(struct job *job)
{
	struct disk_result *r = &job->out->result;

	r->mark = file_mark_of(job->path, &r->modified);
	r->unchanged = job->known.sum && r->mark.sum == job->known.sum;
	if (r->unchanged)
		return;
	r->err = zonefile_load_digest(job->path, job->name, job->limits, &r->version, &r->digest, &r->why);
	if (!r->err && job->old && diff_make(job->old, r->version, r->version->wire_bytes / 2 + 4096, &r->diff) != ERR_OK)
		r->diff = NULL;
}

static void log_failure(const struct job *job, const char *what)
{
	struct log log;

	log_begin(&log, LOG_LEVEL_ERROR, what);
	log_str(&log, "why", err_say(&job->out->result.why, job->out->result.err));
	log_end(&log);
}

/* Zones that are loaded together are looked for in the database at once. */
static void do_loads(struct disk *d, struct job *first)
{
	struct recover_zone *zones[LOAD_MAX];
	int64_t began = clock_ms();
	size_t n = 0;

	for (struct job *job = first; job; job = job->next)
		if (begin(job))
			zones[n++] = &job->out->zone;
	recover_load(d->copies, zones, n);
	for (struct job *job = first; job; job = job->next) {
		if (!job->out)
			continue;
		job->out->result.zone = &job->out->zone;
		job->out->result.err = job->out->zone.err;
		job->out->result.why = job->out->zone.why;
		job->out->result.ms = (uint32_t)(clock_ms() - began);
	}
}

static void do_file(struct job *job)
{
	struct disk_result *r;
	int64_t began = clock_ms();

	if (!begin(job))
		return;
	r = &job->out->result;
	switch (job->kind) {
	case CHECK:
		do_check(job);
		break;
	case READ:
		do_read(job);
		break;
	case CALL:
		r->work = job->work;
		r->err = job->work->run(job->work, &r->why);
		break;
	case LOAD: case WRITE: case COMMIT: case ROWS: case MARK: case TOLD:
		break;
	}
	r->ms = (uint32_t)(clock_ms() - began);
}

static void enqueue(struct disk *d, unsigned queue, struct job *job);

/* The row that goes with a file, which is there now. */
static void follow_with_row(struct job *job)
{
	struct job *rows = calloc(1, sizeof *rows);

	job->row->file_known = true;
	job->row->written = job->version->serial;
	job->row->file = job->out->result.digest;
	if (!rows || !begin(rows) || !(rows->rows = malloc(sizeof *rows->rows))) {
		if (rows)
			job_free(rows);
		return;
	}
	rows->kind = ROWS;
	rows->rows[0] = job->row;
	rows->count = 1;
	job->row = NULL;
	enqueue(job->disk, COMMITS, rows);
}

static void written(void *ctx, enum err err, const struct why *why, struct file_digest digest)
{
	struct job *job = ctx;

	job->out->result.err = err;
	job->out->result.digest = digest;
	if (err && why)
		job->out->result.why = *why;
	if (!err && job->alone)
		job->out->result.err = err = recover_note_file(job->path, digest, &job->out->result.why);
	else if (!err)
		recover_drop_note(job->path);
	if (err && !job->done)
		log_failure(job, "zone-file-failed");
	if (!err && job->row)
		follow_with_row(job);
}

/* Files that are written together cost one fsync of their directory. */
static void write_files(struct job *first)
{
	struct file_batch *batch = malloc(sizeof *batch);
	int64_t began = clock_ms();

	if (batch)
		file_batch_begin(batch);
	for (struct job *job = first; job; job = job->next) {
		struct file_replace file;
		enum err err;

		if (!begin(job))
			continue;
		err = batch ? zonefile_begin(job->path, job->version, &file, &job->out->result.why) : ERR_NOMEM;
		if (err)
			written(job, err, NULL, (struct file_digest){0});
		else
			file_batch_add(batch, &file, job);
	}
	if (batch)
		file_batch_commit(batch, written);
	free(batch);
	for (struct job *job = first; job; job = job->next)
		if (job->out)
			job->out->result.ms = (uint32_t)(clock_ms() - began);
}

static unsigned together(enum kind kind)
{
	return kind == WRITE ? WRITE_MAX : kind == LOAD ? LOAD_MAX : 1;
}

/* The next thing to do: one job, or those that follow on each other and are done together. */
static struct job *take_files(struct queue *q)
{
	struct job *first = take(q), *last = first;

	for (unsigned n = 1; last && n < together(first->kind) && q->first && q->first->kind == first->kind; n++) {
		last->next = take(q);
		last = last->next;
	}
	if (last)
		last->next = NULL;
	return first;
}

/* After much work, before there is more. */
static void tidy(struct worker *w)
{
	if (w->since_tidy < MANY || w->todo.first)
		return;
	pthread_mutex_unlock(&w->disk->lock);
	malloc_trim(0);
	pthread_mutex_lock(&w->disk->lock);
	w->since_tidy = 0;
}

static void *run_files(void *arg)
{
	struct worker *w = arg;
	struct disk *d = w->disk;

	thread_gives_way();
	pthread_mutex_lock(&d->lock);
	for (;;) {
		tidy(w);
		while (!(w->current = take_files(&w->todo)) && !w->stopping)
			pthread_cond_wait(&w->more, &d->lock);
		if (!w->current)
			break;
		pthread_mutex_unlock(&d->lock);
		for (const struct job *job = w->current; job; job = job->next)
			w->since_tidy++;
		if (w->current->kind == WRITE)
			write_files(w->current);
		else if (w->current->kind == LOAD)
			do_loads(d, w->current);
		else if (w->current->kind == MARK)
			copies_started(d->copies);   /* what was to be loaded has been */
		else
			do_file(w->current);
		finished(w);
		pthread_mutex_lock(&d->lock);
	}
	pthread_mutex_unlock(&d->lock);
	return NULL;
}

/* --- commits -------------------------------------------------------------- */

static size_t changes_in(const struct job *job)
{
	return job->kind == ROWS ? job->count : job->kind == COMMIT;
}

/* All that waits, as many as go together. */
static struct job *take_group(struct worker *w, size_t *changes)
{
	struct job *first = w->todo.first, *last = NULL;

	*changes = 0;
	for (struct job *job = first; job && (!last || *changes + changes_in(job) <= GROUP_MAX); job = job->next) {
		*changes += changes_in(job);
		last = job;
	}
	if (last && !(w->todo.first = last->next))
		w->todo.last = &w->todo.first;
	if (last)
		last->next = NULL;
	return last ? first : NULL;
}

static size_t gather(struct job *job, struct copies_change *changes)
{
	if (job->kind == COMMIT)
		changes[0] = (struct copies_change){.kind = job->commit, .name = job->name, .row = job->row, .version = job->version, .old = job->old,
			.mend = job->mend};
	for (size_t i = 0; job->kind == ROWS && i < job->count; i++)
		changes[i] = (struct copies_change){.kind = COPIES_ROW, .name = job->rows[i]->name, .row = job->rows[i]};
	return changes_in(job);
}

static size_t conclude(struct job *job, const struct copies_change *changes)
{
	struct disk_result *r = &job->out->result;

	for (size_t i = 0; i < changes_in(job) && !r->err; i++) {
		r->err = changes[i].err;
		r->why = changes[i].why;
	}
	if (job->kind == COMMIT)
		r->diff = changes[0].diff;
	return changes_in(job);
}

/* What is committed together: the changes, and the job that each is of. */
struct group {
	struct disk *disk;
	struct copies_change *changes;
	struct job **jobs;
	int64_t began;
};

/* Its version is durable: who waits for that need not wait for the rest. */
static void call_back_early(void *ctx, size_t i)
{
	struct group *g = ctx;
	struct job *job = g->jobs[i], *told = calloc(1, sizeof *told);

	if (!told || !begin(told)) {
		free(told);
		return;              /* then it waits */
	}
	told->kind = TOLD;
	told->out->result.diff = g->changes[i].diff ? diff_hold(g->changes[i].diff) : NULL;
	told->out->result.ms = (uint32_t)(clock_ms() - g->began);
	pthread_mutex_lock(&g->disk->lock);
	told->done = job->done;
	told->ctx = job->ctx;
	job->done = NULL;
	put(&g->disk->done, told);
	pthread_mutex_unlock(&g->disk->lock);
	wake_loop(g->disk);
}

static void do_group(struct disk *d, struct job *first, size_t count)
{
	struct copies_change *changes = calloc(count + 1, sizeof *changes), *at = changes;
	struct job **jobs = calloc(count + 1, sizeof *jobs);
	int64_t began = clock_ms();
	struct group group = {d, changes, jobs, began};

	for (struct job *job = first; job && changes && jobs; job = job->next) {
		size_t n = gather(job, at);

		for (size_t i = 0; i < n; i++)
			jobs[at - changes + (ptrdiff_t)i] = job;
		at += n;
	}
	if (changes && jobs && count)
		copies_commit(d->copies, changes, count, call_back_early, &group);
	if (!jobs) {
		free(changes);
		changes = NULL;
	}
	at = changes;
	for (struct job *job = first; job; job = job->next) {
		if (!changes_in(job))
			continue;
		if (changes)
			at += conclude(job, at);
		else
			job->out->result.err = ERR_NOMEM;
		job->out->result.ms = (uint32_t)(clock_ms() - began);
	}
	free(changes);
	free(jobs);
}

/* Something for the loop that nobody asked for. */
static void tell_loop(struct disk *d, void (*tell)(struct disk *, const struct job *), const uint8_t *name, bool all, unsigned mend)
{
	struct job *job = calloc(1, sizeof *job + NAME_SIZE);

	if (!job)
		return;
	job->kind = TOLD;
	job->tell = tell;
	job->all = all;
	job->mend = mend;
	name_copy(name, job->name);
	pthread_mutex_lock(&d->lock);
	put(&d->done, job);
	pthread_mutex_unlock(&d->lock);
	wake_loop(d);
}

static void tell_mend(struct disk *d, const struct job *job)
{
	if (d->mend)
		d->mend(d->hooks_ctx, job->all ? NULL : job->name, job->mend);
}

static void tell_pinned(struct disk *d, const struct job *job)
{
	if (d->pinned)
		d->pinned(d->hooks_ctx, job->name);
}

static bool each_pinned(void *ctx, const uint8_t *name)
{
	tell_loop(ctx, tell_pinned, name, false, 0);
	return true;
}

static void tell_to_mend(struct disk *d)
{
	uint8_t name[NAME_SIZE] = {0};
	unsigned what;
	bool all;

	while ((what = copies_to_mend(d->copies, name, &all)))
		tell_loop(d, tell_mend, name, all, what);
}

static void after_group(struct disk *d)
{
	copies_settle(d->copies);
	tell_to_mend(d);
	copies_pinning(d->copies, each_pinned, d);
}

/* False: nothing came for a while. */
static bool wait_for_more(struct worker *w, bool idle)
{
	struct timespec until;

	if (idle) {
		pthread_cond_wait(&w->more, &w->disk->lock);
		return true;
	}
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += IDLE_S;
	return pthread_cond_timedwait(&w->more, &w->disk->lock, &until) == 0;
}

/* Nothing is there to be tidied up, or tried again. */
static bool go_idle(struct disk *d)
{
	struct copies_health health;

	pthread_mutex_unlock(&d->lock);
	copies_idle(d->copies);
	tell_to_mend(d);
	copies_health(d->copies, &health);
	pthread_mutex_lock(&d->lock);
	return health.database_open && health.log_open && !health.database[0] && !health.log[0];
}

static void *run_commits(void *arg)
{
	struct worker *w = arg;
	struct disk *d = w->disk;
	bool idle = false;
	size_t count;

	thread_gives_way();
	pthread_mutex_lock(&d->lock);
	for (;;) {
		while (!(w->current = take_group(w, &count)) && !w->stopping)
			if (!wait_for_more(w, idle))
				idle = go_idle(d);
		if (!w->current)
			break;
		pthread_mutex_unlock(&d->lock);
		do_group(d, w->current, count);
		finished(w);
		after_group(d);
		idle = false;
		pthread_mutex_lock(&d->lock);
	}
	pthread_mutex_unlock(&d->lock);
	return NULL;
}

/* --- on the loop ---------------------------------------------------------- */

static void call_back(struct disk *d, struct job *job)
{
	struct disk_result no_memory = {.err = ERR_NOMEM}, ended = {0},
		*result = job->out ? &job->out->result : job->kind == MARK ? &ended : &no_memory;

	if (job->tell)
		job->tell(d, job);
	if (job->kind == MARK && --job->mark->left == 0) {
		if (job->mark->done)
			job->mark->done(job->mark->ctx, result);
		free(job->mark);
	}
	if (job->done)
		job->done(job->ctx, result);
}

/* Some of what is done; the loop is woken again for the rest, so that others have their turn. */
static void take_done(struct disk *d, struct queue *some)
{
	struct job *job;

	pthread_mutex_lock(&d->lock);
	for (unsigned i = 0; i < AT_A_TIME && (job = take(&d->done)); i++)
		put(some, job);
	if (d->done.first)
		wake_loop(d);
	pthread_mutex_unlock(&d->lock);
}

static void woken(evutil_socket_t fd, short what, void *ctx)
{
	struct disk *d = ctx;
	struct queue some = {.last = &some.first};
	struct job *job;
	uint64_t count;

	(void)what;
	if (read(fd, &count, sizeof count) < 0)
		return;
	take_done(d, &some);
	log_gather();
	while ((job = take(&some))) {
		call_back(d, job);
		job_free(job);
	}
	log_gathered();
}

static bool start_worker(struct disk *d, unsigned i)
{
	struct worker *w = &d->worker[i];

	if (pthread_create(&w->thread, NULL, i == COMMITS ? run_commits : run_files, w) != 0)
		return false;
	d->started++;
	return true;
}

struct disk *disk_new(struct event_base *loop, struct copies *copies)
{
	struct disk *d = calloc(1, sizeof *d);
	pthread_condattr_t monotonic;
	bool good;

	if (!d)
		return NULL;
	d->copies = copies;
	d->done.last = &d->done.first;
	pthread_mutex_init(&d->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	for (unsigned i = 0; i < QUEUES; i++) {
		d->worker[i].disk = d;
		d->worker[i].todo.last = &d->worker[i].todo.first;
		pthread_cond_init(&d->worker[i].more, &monotonic);
	}
	pthread_condattr_destroy(&monotonic);
	d->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	d->event = d->wake >= 0 ? event_new(loop, d->wake, EV_READ | EV_PERSIST, woken, d) : NULL;
	good = d->event && event_add(d->event, NULL) == 0;
	for (unsigned i = 0; i < QUEUES && good; i++)
		good = start_worker(d, i);
	if (good)
		return d;
	disk_free(d);
	return NULL;
}

static void drop_done(struct disk *d)
{
	struct job *job;

	while ((job = take(&d->done))) {
		if (job->kind == MARK && --job->mark->left == 0)
			free(job->mark);
		job_free(job);
	}
}

static void stop_worker(struct worker *w)
{
	pthread_mutex_lock(&w->disk->lock);
	w->stopping = true;
	pthread_cond_signal(&w->more);
	pthread_mutex_unlock(&w->disk->lock);
	pthread_join(w->thread, NULL);
}

void disk_free(struct disk *d)
{
	if (!d)
		return;
	for (unsigned i = 0; i < d->started; i++)    /* commits last: files have rows */
		stop_worker(&d->worker[i]);
	drop_done(d);
	if (d->event)
		event_free(d->event);
	if (d->wake >= 0)
		close(d->wake);
	for (unsigned i = 0; i < QUEUES; i++)
		pthread_cond_destroy(&d->worker[i].more);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

void disk_set_hooks(struct disk *d, void (*mend)(void *ctx, const uint8_t *name, unsigned what),
	void (*pinned)(void *ctx, const uint8_t *name), void *ctx)
{
	d->mend = mend;
	d->pinned = pinned;
	d->hooks_ctx = ctx;
}

void disk_health(struct disk *d, struct copies_health *health)
{
	copies_health(d->copies, health);
}

/* --- jobs ----------------------------------------------------------------- */

static void no_memory(disk_done *done, void *ctx)
{
	struct disk_result result = {.err = ERR_NOMEM};

	if (done)
		done(ctx, &result);
}

/* With a path and a name, where they are given. */
static struct job *job_new(enum kind kind, const uint8_t *name, const char *path, disk_done *done, void *ctx)
{
	size_t octets = name ? name_length(name) : 0, length = path ? strlen(path) + 1 : 0;
	struct job *job = calloc(1, sizeof *job + octets + length);

	if (job)
		job->kind = kind;
	if (job && (kind == COMMIT || kind == ROWS) && !begin(job)) {
		free(job);
		job = NULL;
	}
	if (!job) {
		no_memory(done, ctx);
		return NULL;
	}
	if (name)
		name_copy(name, job->name);
	if (path)
		job->path = memcpy(job->name + octets, path, length);
	job->done = done;
	job->ctx = ctx;
	return job;
}

static void enqueue(struct disk *d, unsigned queue, struct job *job)
{
	job->disk = d;
	pthread_mutex_lock(&d->lock);
	put(&d->worker[queue].todo, job);
	pthread_cond_signal(&d->worker[queue].more);
	pthread_mutex_unlock(&d->lock);
}

/* What concerns one zone stays in order. */
static unsigned queue_of(const uint8_t *name)
{
	uint32_t sum = 0;
	size_t length = name_length(name);

	for (size_t i = 0; i < length; i++)
		sum = sum * 31 + name[i];
	return sum % FILE_THREADS;
}

void disk_load(struct disk *d, const uint8_t *name, const char *path, bool apart, struct build_limits limits, disk_done *done, void *ctx)
{
	struct job *job = job_new(LOAD, name, path, done, ctx);

	if (!job)
		return;
	job->limits = limits;
	job->apart = apart;
	enqueue(d, queue_of(name), job);
}

void disk_check(struct disk *d, const uint8_t *name, const char *path, struct build_limits limits, const struct recover_zone *loaded,
	struct zone *version, disk_done *done, void *ctx)
{
	struct job *job = job_new(CHECK, name, path, done, ctx);

	if (!job)
		return;
	job->limits = limits;
	job->version = zone_hold(version);
	job->file_known = loaded->file_known;
	job->written = loaded->written;
	job->digest = loaded->digest;
	enqueue(d, queue_of(name), job);
}

void disk_read(struct disk *d, const uint8_t *name, const char *path, struct build_limits limits, struct zone *old, struct file_mark known,
	disk_done *done, void *ctx)
{
	struct job *job = job_new(READ, name, path, done, ctx);

	if (!job)
		return;
	job->limits = limits;
	job->old = old ? zone_hold(old) : NULL;
	job->known = known;
	enqueue(d, queue_of(name), job);
}

static void write_file(struct disk *d, const char *path, struct zone *version, bool alone, disk_done *done, void *ctx)
{
	struct job *job = job_new(WRITE, version->apex, path, done, ctx);

	if (!job)
		return;
	job->alone = alone;
	job->version = zone_hold(version);
	enqueue(d, queue_of(version->apex), job);
}

void disk_write(struct disk *d, const char *path, struct zone *version, disk_done *done, void *ctx)
{
	write_file(d, path, version, false, done, ctx);
}

void disk_write_alone(struct disk *d, const char *path, struct zone *version, disk_done *done, void *ctx)
{
	write_file(d, path, version, true, done, ctx);
}

void disk_write_last(struct disk *d, const char *path, struct zone *version, const struct journal_row *row)
{
	struct job *job = job_new(WRITE, version->apex, path, NULL, NULL);

	if (!job)
		return;
	job->version = zone_hold(version);
	job->row = journal_row_copy(row);
	enqueue(d, queue_of(version->apex), job);
}

void disk_call(struct disk *d, const uint8_t *name, struct disk_work *work, disk_done *done, void *ctx)
{
	struct job *job = job_new(CALL, name, NULL, done, ctx);

	if (!job) {
		work->free(work);
		return;
	}
	job->work = work;
	enqueue(d, name ? queue_of(name) : 0, job);
}

static void commit(struct disk *d, const struct journal_row *row, struct copies_change change, disk_done *done, void *ctx)
{
	struct job *job = job_new(COMMIT, change.name, NULL, done, ctx);

	if (job && row && !(job->row = journal_row_copy(row))) {
		job_free(job);
		job = NULL;
		no_memory(done, ctx);
	}
	if (!job)
		return;
	job->version = change.version ? zone_hold(change.version) : NULL;
	job->old = change.old ? zone_hold(change.old) : NULL;
	job->commit = change.kind;
	job->mend = change.mend;
	enqueue(d, COMMITS, job);
}

void disk_commit(struct disk *d, const struct journal_row *row, struct zone *old, struct zone *version, disk_done *done, void *ctx)
{
	commit(d, row, (struct copies_change){.kind = COPIES_VERSION, .name = row->name, .version = version, .old = old}, done, ctx);
}

void disk_mend(struct disk *d, const struct journal_row *row, struct zone *version, unsigned mend, disk_done *done, void *ctx)
{
	commit(d, row, (struct copies_change){.kind = COPIES_MEND, .name = row->name, .version = version, .mend = mend}, done, ctx);
}

void disk_forget(struct disk *d, const uint8_t *name, disk_done *done, void *ctx)
{
	commit(d, NULL, (struct copies_change){.kind = COPIES_FORGET, .name = name}, done, ctx);
}

void disk_rows(struct disk *d, struct journal_row **rows, size_t count, disk_done *done, void *ctx)
{
	struct job *job = job_new(ROWS, NULL, NULL, done, ctx);

	if (!job) {
		rows_free(rows, count);
		return;
	}
	job->rows = rows;
	job->count = count;
	enqueue(d, COMMITS, job);
}

void disk_mark(struct disk *d, disk_done *done, void *ctx)
{
	struct job *job[QUEUES];
	struct mark *mark = calloc(1, sizeof *mark);
	unsigned n = 0;

	while (mark && n < QUEUES && (job[n] = job_new(MARK, NULL, NULL, NULL, ctx)))
		n++;
	if (n < QUEUES) {
		while (n)
			free(job[--n]);
		free(mark);
		no_memory(done, ctx);
		return;
	}
	*mark = (struct mark){QUEUES, done, ctx};
	for (unsigned i = 0; i < QUEUES; i++) {
		job[i]->mark = mark;
		enqueue(d, i, job[i]);
	}
}

static void disown(struct job *job, const void *ctx)
{
	for (; job; job = job->next) {
		if (job->ctx != ctx)
			continue;
		job->done = NULL;
		if (job->mark)
			job->mark->done = NULL;
	}
}

void disk_disown(struct disk *d, void *ctx)
{
	pthread_mutex_lock(&d->lock);
	for (unsigned i = 0; i < QUEUES; i++) {
		disown(d->worker[i].todo.first, ctx);
		disown(d->worker[i].current, ctx);
	}
	disown(d->done.first, ctx);
	pthread_mutex_unlock(&d->lock);
}
