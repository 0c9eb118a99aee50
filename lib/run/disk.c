#include "run/disk.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "zone/zonefile.h"

#include <event2/event.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum kind { LOAD, WRITE, ROWS, FORGET, CALL, MARK };

struct job {
	struct job *next;
	enum kind kind;
	char *path;
	uint8_t name[NAME_SIZE];
	struct build_limits limits;
	struct zone *version;
	struct journal_zone *rows;
	size_t count;
	struct disk_work *work;
	disk_done *done;
	void *ctx;
	struct disk_result result;
};

struct queue {
	struct job *first, **last;
};

struct disk {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct queue todo, done;
	struct job *current;
	bool stopping;
	struct journal *journal;
	struct event *event;
	int wake;
};

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

static void job_free(struct job *job)
{
	zone_put(job->version);
	zone_put(job->result.version);
	if (job->work)
		job->work->free(job->work);
	free(job->path);
	free(job->rows);
	free(job);
}

static void do_load(struct job *job)
{
	struct stat st;

	if (stat(job->path, &st) == 0)
		job->result.modified = st.st_mtime;
	job->result.err = zonefile_load(job->path, job->name, job->limits, &job->result.version, &job->result.why);
}

static void log_failure(const struct job *job, const char *what)
{
	struct log log;

	log_begin(&log, LOG_LEVEL_ERROR, what);
	log_str(&log, "why", err_say(&job->result.why, job->result.err));
	log_end(&log);
}

static void do_job(struct disk *d, struct job *job)
{
	struct disk_result *r = &job->result;
	int64_t began = clock_ms();

	switch (job->kind) {
	case LOAD:
		if (job->path)
			do_load(job);
		else
			r->err = ERR_NOMEM;
		break;
	case WRITE:
		r->err = job->path ? zonefile_write(job->path, job->version, &r->why) : ERR_NOMEM;
		break;
	case ROWS:
		r->err = journal_write(d->journal, job->rows, job->count, &r->why);
		if (r->err)
			log_failure(job, "state-write-failed");
		break;
	case FORGET:
		r->err = journal_forget(d->journal, job->name, &r->why);
		if (r->err)
			log_failure(job, "state-write-failed");
		break;
	case CALL:
		r->err = job->work->run(job->work, &r->why);
		break;
	case MARK:
		break;
	}
	r->ms = (uint32_t)(clock_ms() - began);
}

static void *run(void *arg)
{
	struct disk *d = arg;

	thread_gives_way();
	pthread_mutex_lock(&d->lock);
	for (;;) {
		uint64_t one = 1;

		while (!(d->current = take(&d->todo)) && !d->stopping)
			pthread_cond_wait(&d->more, &d->lock);
		if (!d->current)
			break;
		pthread_mutex_unlock(&d->lock);
		do_job(d, d->current);
		pthread_mutex_lock(&d->lock);
		if (d->current->kind == WRITE && d->current->result.err && !d->current->done)
			log_failure(d->current, "zone-file-failed");
		put(&d->done, d->current);
		d->current = NULL;
		if (write(d->wake, &one, sizeof one) < 0)
			continue;    /* the counter is full: the loop is woken anyway */
	}
	pthread_mutex_unlock(&d->lock);
	return NULL;
}

static struct job *next_done(struct disk *d)
{
	struct job *job;

	pthread_mutex_lock(&d->lock);
	job = take(&d->done);
	pthread_mutex_unlock(&d->lock);
	return job;
}

static void woken(evutil_socket_t fd, short what, void *ctx)
{
	struct disk *d = ctx;
	struct job *job;
	uint64_t count;

	(void)what;
	if (read(fd, &count, sizeof count) < 0)
		return;
	while ((job = next_done(d))) {
		if (job->done)
			job->done(job->ctx, &job->result);
		job_free(job);
	}
}

struct disk *disk_new(struct event_base *loop, struct journal *journal)
{
	struct disk *d = calloc(1, sizeof *d);

	if (!d)
		return NULL;
	pthread_mutex_init(&d->lock, NULL);
	pthread_cond_init(&d->more, NULL);
	d->todo.last = &d->todo.first;
	d->done.last = &d->done.first;
	d->journal = journal;
	d->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	d->event = d->wake >= 0 ? event_new(loop, d->wake, EV_READ | EV_PERSIST, woken, d) : NULL;
	if (d->event && event_add(d->event, NULL) == 0 && pthread_create(&d->thread, NULL, run, d) == 0)
		return d;
	if (d->event)
		event_free(d->event);
	if (d->wake >= 0)
		close(d->wake);
	free(d);
	return NULL;
}

void disk_free(struct disk *d)
{
	struct job *job;

	if (!d)
		return;
	pthread_mutex_lock(&d->lock);
	d->stopping = true;
	pthread_cond_signal(&d->more);
	pthread_mutex_unlock(&d->lock);
	pthread_join(d->thread, NULL);
	while ((job = take(&d->done)))
		job_free(job);
	event_free(d->event);
	close(d->wake);
	pthread_cond_destroy(&d->more);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

static struct job *job_new(enum kind kind, disk_done *done, void *ctx)
{
	struct job *job = calloc(1, sizeof *job);

	if (job) {
		job->kind = kind;
		job->done = done;
		job->ctx = ctx;
	} else if (done) {
		struct disk_result result = {.err = ERR_NOMEM};

		done(ctx, &result);
	}
	return job;
}

static void enqueue(struct disk *d, struct job *job)
{
	pthread_mutex_lock(&d->lock);
	put(&d->todo, job);
	pthread_cond_signal(&d->more);
	pthread_mutex_unlock(&d->lock);
}

void disk_load(struct disk *d, const char *path, const uint8_t *apex, struct build_limits limits, disk_done *done, void *ctx)
{
	struct job *job = job_new(LOAD, done, ctx);

	if (!job)
		return;
	job->path = strdup(path);
	name_copy(apex, job->name);
	job->limits = limits;
	enqueue(d, job);
}

void disk_write(struct disk *d, const char *path, struct zone *version, disk_done *done, void *ctx)
{
	struct job *job = job_new(WRITE, done, ctx);

	if (!job)
		return;
	job->path = strdup(path);
	job->version = zone_hold(version);
	enqueue(d, job);
}

void disk_rows(struct disk *d, struct journal_zone *rows, size_t count, disk_done *done, void *ctx)
{
	struct job *job = job_new(ROWS, done, ctx);

	if (!job) {
		free(rows);
		return;
	}
	job->rows = rows;
	job->count = count;
	enqueue(d, job);
}

void disk_call(struct disk *d, struct disk_work *work, disk_done *done, void *ctx)
{
	struct job *job = job_new(CALL, done, ctx);

	if (!job) {
		work->free(work);
		return;
	}
	job->work = job->result.work = work;
	enqueue(d, job);
}

void disk_mark(struct disk *d, disk_done *done, void *ctx)
{
	struct job *job = job_new(MARK, done, ctx);

	if (job)
		enqueue(d, job);
}

void disk_forget(struct disk *d, const uint8_t *name)
{
	struct job *job = job_new(FORGET, NULL, NULL);

	if (!job)
		return;
	name_copy(name, job->name);
	enqueue(d, job);
}

static void disown(struct job *job, const void *ctx)
{
	for (; job; job = job->next)
		if (job->ctx == ctx)
			job->done = NULL;
}

void disk_disown(struct disk *d, void *ctx)
{
	pthread_mutex_lock(&d->lock);
	disown(d->todo.first, ctx);
	disown(d->done.first, ctx);
	if (d->current && d->current->ctx == ctx)
		d->current->done = NULL;
	pthread_mutex_unlock(&d->lock);
}
