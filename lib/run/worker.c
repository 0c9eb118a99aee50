#include "run/worker.h"

#include <event2/event.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct worker {
	pthread_t thread;
	bool running;
	struct event_base *loop;
	struct event *stop;
	int stop_fd;
	struct answer answer;
	struct serve_counters counters;      /* written by the thread alone; readers may see a count that is a moment old */
	struct udp **udp;
	struct tcp **tcp;
	size_t sockets;
} __attribute__((aligned(64)));

struct workers {
	unsigned count;
	struct worker worker[];
};

static void stop_worker(evutil_socket_t fd, short what, void *ctx)
{
	struct worker *w = ctx;

	(void)fd;
	(void)what;
	event_base_loopbreak(w->loop);
}

static enum err listen_at(struct worker *w, const struct net_addr *addr, const struct serve_settings_box *box, struct tcp_limits limits,
	struct why *why)
{
	int udp = net_listen_udp(addr, why), tcp;

	if (udp < 0)
		return ERR_NETWORK;
	tcp = net_listen_tcp(addr, why);
	if (tcp < 0) {
		close(udp);
		return ERR_NETWORK;
	}
	w->udp[w->sockets] = udp_new(w->loop, udp, &w->answer, box);
	w->tcp[w->sockets] = tcp_new(w->loop, tcp, &w->answer, box, limits);
	w->sockets++;
	if (!w->udp[w->sockets - 1] || !w->tcp[w->sockets - 1])
		return err_why(why, ERR_NOMEM, "out of memory");
	return ERR_OK;
}

static enum err worker_init(struct worker *w, const struct net_addr *listen, size_t count, const struct store *store,
	const struct serve_settings_box *box, struct tcp_limits limits, struct why *why)
{
	enum err err = ERR_OK;

	w->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w->loop = event_base_new();
	w->udp = calloc(count, sizeof *w->udp);
	w->tcp = calloc(count, sizeof *w->tcp);
	answer_init(&w->answer, store, &w->counters);
	if (w->loop)
		w->stop = event_new(w->loop, w->stop_fd, EV_READ, stop_worker, w);
	if (w->stop_fd < 0 || !w->loop || !w->udp || !w->tcp || !w->stop || event_add(w->stop, NULL) < 0)
		return err_why(why, ERR_NOMEM, "out of memory or file descriptors");
	for (size_t i = 0; i < count && !err; i++)
		err = listen_at(w, &listen[i], box, limits, why);
	return err;
}

struct workers *workers_new(unsigned count, const struct net_addr *listen, size_t listen_count, const struct store *store,
	const struct serve_settings_box *box, struct tcp_limits limits, struct why *why)
{
	struct workers *all = aligned_alloc(64, (sizeof *all + count * sizeof *all->worker + 63) / 64 * 64);

	if (!all) {
		err_why(why, ERR_NOMEM, "out of memory");
		return NULL;
	}
	memset(all, 0, sizeof *all + count * sizeof *all->worker);
	limits.clients = limits.clients / count ? limits.clients / count : 1;
	for (all->count = 1; all->count <= count; all->count++) {
		if (worker_init(&all->worker[all->count - 1], listen, listen_count, store, box, limits, why) == ERR_OK)
			continue;
		workers_free(all);
		return NULL;
	}
	all->count = count;
	return all;
}

static void *run(void *arg)
{
	struct worker *w = arg;

	store_thread_begin();
	event_base_loop(w->loop, EVLOOP_NO_EXIT_ON_EMPTY);
	store_thread_end();
	return NULL;
}

enum err workers_start(struct workers *all, struct why *why)
{
	for (unsigned i = 0; i < all->count; i++) {
		if (pthread_create(&all->worker[i].thread, NULL, run, &all->worker[i]) != 0)
			return err_why(why, ERR_NOMEM, "cannot start a thread");
		all->worker[i].running = true;
	}
	return ERR_OK;
}

static void worker_free(struct worker *w)
{
	uint64_t one = 1;

	if (w->running) {
		if (write(w->stop_fd, &one, sizeof one) < 0)
			event_base_loopbreak(w->loop);
		pthread_join(w->thread, NULL);
	}
	for (size_t i = 0; i < w->sockets; i++) {
		udp_free(w->udp[i]);
		tcp_free(w->tcp[i]);
	}
	free(w->udp);
	free(w->tcp);
	answer_release(&w->answer);
	if (w->stop)
		event_free(w->stop);
	if (w->loop)
		event_base_free(w->loop);
	if (w->stop_fd >= 0)
		close(w->stop_fd);
}

void workers_free(struct workers *all)
{
	if (!all)
		return;
	for (unsigned i = 0; i < all->count; i++)
		worker_free(&all->worker[i]);
	free(all);
}

void workers_sum(const struct workers *all, struct serve_counters *sum)
{
	*sum = (struct serve_counters){0};
	for (unsigned i = 0; i < all->count; i++) {
		const struct serve_counters *c = &all->worker[i].counters;

#define ADD(name) sum->name += __atomic_load_n(&c->name, __ATOMIC_RELAXED);
		SERVE_COUNTERS(ADD)
#undef ADD
	}
}
