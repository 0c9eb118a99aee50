#include "run/reloader.h"

#include <event2/event.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct waiter {
	struct waiter *next;
	reloader_done *done;
	void *arg;
};

struct reloader {
	struct reloader_env env;
	struct event *event;
	int wake;
	bool busy;                   /* from the thread's start to reloader_end */
	bool has_thread;
	pthread_t thread;
	void *what;                  /* the thread's, until it has ended */
	struct waiter *told, *next;  /* of this reading, of the next one; the last comer first */
};

static void *run(void *arg)
{
	struct reloader *r = arg;
	uint64_t one = 1;

	r->what = r->env.read(r->env.ctx);
	if (write(r->wake, &one, sizeof one) < 0)
		return NULL;         /* the counter is full: the loop is woken anyway */
	return NULL;
}

static void begin(struct reloader *r)
{
	r->busy = true;
	r->told = r->next;
	r->next = NULL;
	r->has_thread = pthread_create(&r->thread, NULL, run, r) == 0;
	if (!r->has_thread)
		event_active(r->event, 0, 0);
}

static void *take(struct reloader *r)
{
	void *what;

	if (r->has_thread)
		pthread_join(r->thread, NULL);
	r->has_thread = false;
	what = r->what;
	r->what = NULL;
	return what;
}

static void woken(evutil_socket_t fd, short what, void *ctx)
{
	struct reloader *r = ctx;
	uint64_t ticks;

	(void)what;
	if (r->has_thread && read(fd, &ticks, sizeof ticks) < 0)
		return;
	r->env.apply(r->env.ctx, take(r));
}

void reloader_ask(struct reloader *r, reloader_done *done, void *arg)
{
	struct waiter *w = malloc(sizeof *w);
	struct why why;

	if (!w) {
		done(arg, err_why(&why, ERR_NOMEM, "out of memory"), NULL, &why);
		return;
	}
	*w = (struct waiter){r->next, done, arg};
	r->next = w;
	if (!r->busy)
		begin(r);
}

void reloader_end(struct reloader *r, enum err err, const struct keeper_change *change, const struct why *why)
{
	struct waiter *w;

	while ((w = r->told)) {
		r->told = w->next;
		if (w->done)
			w->done(w->arg, err, change, why);
		free(w);
	}
	r->busy = false;
	if (r->next)
		begin(r);
}

static void forget_in(struct waiter *list, const void *arg)
{
	for (; list; list = list->next)
		if (list->arg == arg)
			list->done = NULL;
}

void reloader_forget(struct reloader *r, const void *arg)
{
	forget_in(r->told, arg);
	forget_in(r->next, arg);
}

struct reloader *reloader_new(const struct reloader_env *env)
{
	struct reloader *r = calloc(1, sizeof *r);

	if (!r)
		return NULL;
	r->env = *env;
	r->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r->event = r->wake < 0 ? NULL : event_new(env->loop, r->wake, EV_READ | EV_PERSIST, woken, r);
	if (r->event && event_add(r->event, NULL) == 0)
		return r;
	reloader_free(r);
	return NULL;
}

static void free_list(struct waiter *list)
{
	while (list) {
		struct waiter *next = list->next;

		free(list);
		list = next;
	}
}

void reloader_free(struct reloader *r)
{
	void *what;

	if (!r)
		return;
	what = take(r);
	if (what)
		r->env.drop(what);
	free_list(r->told);
	free_list(r->next);
	if (r->event)
		event_free(r->event);
	if (r->wake >= 0)
		close(r->wake);
	free(r);
}
