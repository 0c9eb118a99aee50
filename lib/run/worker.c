#include "run/worker.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* What a worker is to do about its listeners over TLS. */
struct relisten {
	struct net_addr *addresses;          /* all that there shall be, */
	int *fd;                             /* and new ones, -1: it listens there already */
	size_t count;
};

struct worker {
	pthread_t thread;
	bool running;
	struct event_base *loop;
	struct event *wake, *tick;
	int wake_fd;
	bool stopping;                       /* atomic; so is: */
	struct relisten *relisten;           /* NULL: nothing to do */
	const struct serve_settings_box *box;
	struct answer answer;
	struct serve_counters counters;      /* written by the thread alone; readers may see a count that is a moment old */
	struct udp_batch *batch;
	struct udp **udp;
	size_t sockets;
	struct tcp *tcp;
} __attribute__((aligned(64)));

struct workers {
	unsigned count;
	struct net_addr *tls;                /* where all of them listen for TLS */
	size_t tls_count;
	struct worker worker[];
};

static void relisten_free(struct relisten *r)
{
	if (!r)
		return;
	for (size_t i = 0; r->fd && i < r->count; i++)
		if (r->fd[i] >= 0)
			close(r->fd[i]);
	free(r->addresses);
	free(r->fd);
	free(r);
}

static void relisten(struct worker *w)
{
	struct relisten *r = __atomic_exchange_n(&w->relisten, NULL, __ATOMIC_ACQ_REL);

	if (!r)
		return;
	tcp_keep_tls(w->tcp, r->addresses, r->count);
	for (size_t i = 0; i < r->count; i++) {
		if (r->fd[i] >= 0 && tcp_listen(w->tcp, r->fd[i], TCP_TLS))
			log_say(LOG_LEVEL_ERROR, "listen-failed", "out of memory");
		r->fd[i] = -1;
	}
	relisten_free(r);
}

static void on_wake(evutil_socket_t fd, short what, void *ctx)
{
	struct worker *w = ctx;
	uint64_t count;

	(void)what;
	if (read(fd, &count, sizeof count) < 0)
		return;
	relisten(w);
	if (__atomic_load_n(&w->stopping, __ATOMIC_ACQUIRE))
		event_base_loopbreak(w->loop);
}

static void wake(struct worker *w)
{
	uint64_t one = 1;

	if (write(w->wake_fd, &one, sizeof one) < 0)
		log_say(LOG_LEVEL_ERROR, "wake-failed", "%s", strerror(errno));
}

static void on_tick(evutil_socket_t fd, short what, void *ctx)
{
	struct worker *w = ctx;

	(void)fd;
	(void)what;
	store_enter();
	answer_tick(&w->answer, serve_settings_get(w->box), clock_ms());
	store_leave();
}

static enum err listen_tcp(struct worker *w, int fd, const struct serve_settings_box *box, struct tcp_limits limits)
{
	if (w->tcp)
		return tcp_listen(w->tcp, fd, TCP_PLAIN);
	w->tcp = tcp_new(w->loop, fd, &w->answer, box, limits);
	return w->tcp ? ERR_OK : ERR_NOMEM;
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
	w->udp[w->sockets] = udp_new(w->loop, w->batch, udp, &w->answer, box);
	if (!w->udp[w->sockets]) {
		close(tcp);
		return err_why(why, ERR_NOMEM, "out of memory");
	}
	w->sockets++;
	return listen_tcp(w, tcp, box, limits) ? err_why(why, ERR_NOMEM, "out of memory") : ERR_OK;
}

static enum err listen_tls_at(struct worker *w, const struct net_addr *addr, struct why *why)
{
	int fd = net_listen_tcp(addr, why);

	if (fd < 0)
		return ERR_NETWORK;
	return tcp_listen(w->tcp, fd, TCP_TLS) ? err_why(why, ERR_NOMEM, "out of memory") : ERR_OK;
}

static enum err worker_init(struct worker *w, struct worker_listen listen, const struct store *store,
	const struct serve_settings_box *box, struct tcp_limits limits, struct why *why)
{
	static const struct timeval second = {1, 0};
	enum err err = ERR_OK;

	w->box = box;
	w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w->loop = event_base_new();
	w->batch = udp_batch_new();
	w->udp = calloc(listen.count, sizeof *w->udp);
	answer_init(&w->answer, store, &w->counters);
	w->answer.limit = limit_new();
	if (w->loop) {
		w->wake = event_new(w->loop, w->wake_fd, EV_READ | EV_PERSIST, on_wake, w);
		w->tick = event_new(w->loop, -1, EV_PERSIST, on_tick, w);
	}
	if (w->wake_fd < 0 || !w->loop || !w->batch || !w->udp || !w->answer.limit || !w->wake || event_add(w->wake, NULL) < 0 ||
	    !w->tick || event_add(w->tick, &second) < 0)
		return err_why(why, ERR_NOMEM, "out of memory or file descriptors");
	for (size_t i = 0; i < listen.count && !err; i++)
		err = listen_at(w, &listen.addresses[i], box, limits, why);
	for (size_t i = 0; i < listen.tls_count && !err; i++)
		err = listen_tls_at(w, &listen.tls[i], why);
	return err;
}

static struct workers *alloc(unsigned count, struct why *why)
{
	size_t size = (sizeof(struct workers) + count * sizeof(struct worker) + 63) / 64 * 64;
	struct workers *all = aligned_alloc(64, size);

	if (all)
		memset(all, 0, size);
	else
		err_why(why, ERR_NOMEM, "out of memory");
	return all;
}

/* Of the addresses those that can be bound: SIZE_MAX and `why` if one that must be cannot, or none can. */
static size_t usable(struct worker_listen listen, struct net_addr *out, struct why *why)
{
	size_t count = 0;

	for (size_t i = 0; i < listen.count; i++) {
		bool free_here = net_port_free(&listen.addresses[i], SOCK_DGRAM, why) == ERR_OK &&
			net_port_free(&listen.addresses[i], SOCK_STREAM, why) == ERR_OK;
		bool lacking = errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL || errno == EPROTONOSUPPORT;

		if (free_here)
			out[count++] = listen.addresses[i];
		else if (!listen.any || !lacking)
			return SIZE_MAX;
		else
			log_say(LOG_LEVEL_NOTICE, "listen-left-out", "%s", why->text);
	}
	for (size_t i = 0; i < listen.tls_count; i++)
		if (net_port_free(&listen.tls[i], SOCK_STREAM, why))
			return SIZE_MAX;
	return count ? count : SIZE_MAX;
}

static bool keep_tls(struct workers *all, const struct net_addr *addresses, size_t count)
{
	struct net_addr *copy = calloc(count + 1, sizeof *copy);

	if (!copy)
		return false;
	if (count)
		memcpy(copy, addresses, count * sizeof *copy);
	free(all->tls);
	all->tls = copy;
	all->tls_count = count;
	return true;
}

struct workers *workers_new(unsigned count, struct worker_listen listen, const struct store *store, const struct serve_settings_box *box,
	struct tcp_limits limits, struct why *why)
{
	struct net_addr *addresses = calloc(listen.count + 1, sizeof *addresses);
	struct workers *all = addresses ? alloc(count, why) : NULL;
	size_t addresses_count = all ? usable(listen, addresses, why) : SIZE_MAX;
	enum err err = addresses_count == SIZE_MAX ? ERR_NETWORK : ERR_OK;

	listen.addresses = addresses;
	listen.count = addresses_count;
	limits.share = count;
	for (unsigned i = 0; i < count && !err; i++) {
		all->count = i + 1;
		err = worker_init(&all->worker[i], listen, store, box, limits, why);
	}
	free(addresses);
	if (!err && !keep_tls(all, listen.tls, listen.tls_count))
		err = err_why(why, ERR_NOMEM, "out of memory");
	if (!err)
		return all;
	workers_free(all);
	return NULL;
}

static void *run(void *arg)
{
	struct worker *w = arg;

	thread_answers();
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

static bool listens_for_tls(const struct workers *all, const struct net_addr *addr)
{
	for (size_t i = 0; i < all->tls_count; i++)
		if (net_addr_equal(&all->tls[i], addr))
			return true;
	return false;
}

/* NULL and `why`: one of the addresses could not be bound. */
static struct relisten *relisten_new(const struct workers *all, const struct net_addr *addresses, size_t count, struct why *why)
{
	struct relisten *r = calloc(1, sizeof *r);
	bool good = r && (r->addresses = calloc(count + 1, sizeof *r->addresses)) && (r->fd = calloc(count + 1, sizeof *r->fd));

	if (!good)
		err_why(why, ERR_NOMEM, "out of memory");
	for (size_t i = 0; good && i < count; i++) {
		bool known = listens_for_tls(all, &addresses[i]);

		r->addresses[i] = addresses[i];
		r->fd[i] = known ? -1 : net_listen_tcp(&addresses[i], why);
		good = known || r->fd[i] >= 0;
		r->count = i + 1;
	}
	if (good)
		return r;
	relisten_free(r);
	return NULL;
}

/* The sockets of an earlier change that the worker has not come to see. */
static void take_over(struct relisten *r, struct relisten *earlier)
{
	for (size_t i = 0; i < r->count; i++)
		for (size_t j = 0; earlier && j < earlier->count; j++)
			if (r->fd[i] < 0 && net_addr_equal(&r->addresses[i], &earlier->addresses[j])) {
				r->fd[i] = earlier->fd[j];
				earlier->fd[j] = -1;
			}
	relisten_free(earlier);
}

enum err workers_listen_tls(struct workers *all, const struct net_addr *addresses, size_t count, struct why *why)
{
	struct relisten **r = calloc(all->count, sizeof *r);
	enum err err = r ? ERR_OK : err_why(why, ERR_NOMEM, "out of memory");

	for (size_t i = 0; i < count && !err; i++)
		if (!listens_for_tls(all, &addresses[i]))
			err = net_port_free(&addresses[i], SOCK_STREAM, why);
	for (unsigned i = 0; i < all->count && !err; i++)
		err = (r[i] = relisten_new(all, addresses, count, why)) ? ERR_OK : ERR_NETWORK;
	if (!err && !keep_tls(all, addresses, count))
		err = err_why(why, ERR_NOMEM, "out of memory");
	for (unsigned i = 0; r && i < all->count; i++) {
		if (err) {
			relisten_free(r[i]);
			continue;
		}
		take_over(r[i], __atomic_exchange_n(&all->worker[i].relisten, NULL, __ATOMIC_ACQ_REL));
		__atomic_store_n(&all->worker[i].relisten, r[i], __ATOMIC_RELEASE);
		wake(&all->worker[i]);
	}
	free(r);
	return err;
}

static void worker_free(struct worker *w)
{
	if (w->running) {
		__atomic_store_n(&w->stopping, true, __ATOMIC_RELEASE);
		wake(w);
		pthread_join(w->thread, NULL);
	}
	relisten_free(w->relisten);
	for (size_t i = 0; i < w->sockets; i++)
		udp_free(w->udp[i]);
	free(w->udp);
	udp_batch_free(w->batch);
	tcp_free(w->tcp);
	answer_release(&w->answer);
	if (w->wake)
		event_free(w->wake);
	if (w->tick)
		event_free(w->tick);
	if (w->loop)
		event_base_free(w->loop);
	if (w->wake_fd >= 0)
		close(w->wake_fd);
}

void workers_free(struct workers *all)
{
	if (!all)
		return;
	for (unsigned i = 0; i < all->count; i++)
		worker_free(&all->worker[i]);
	free(all->tls);
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
