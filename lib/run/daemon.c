#include "run/daemon.h"

#include "config.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/thread.h"
#include "run/catalogs.h"
#include "run/inbox.h"
#include "run/metrics.h"
#include "run/reloader.h"
#include "run/roster.h"
#include "run/verbs.h"
#include "run/worker.h"

#include <errno.h>
#include <event2/event.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

enum { SIGNALS = 3, PROBES_MAX = 512, SWEEP_DEPTH = 8, REREAD_TURN = 500 /* zones whose files are looked at in one turn of the loop */ };

struct daemon {
	const char *conf_path;
	int verbosity;
	int64_t began;               /* clock_ms */
	struct event_base *loop;
	struct event *signal[SIGNALS];
	struct store *store;
	struct serve_settings_box box;
	struct generation *box_generation;   /* that box.current is of */
	struct tls_tickets *tickets;
	struct event *ticket_timer;
	struct workers *workers;
	struct copies *copies;
	struct primaries *primaries;
	struct keeper *keeper;
	struct catalogs *catalogs;
	struct disk *disk;
	struct inbox *inbox;
	struct reloader *reloader;
	struct {                     /* a reload that is in force, but for the files of zones behind `last`: */
		struct event *turn;
		struct keeper_change change;
		bool under_way;
		uint8_t last[NAME_SIZE];
	} reload;
	struct verbs *verbs;
	struct watch *watch;
	struct control *control;
	struct metrics *metrics;
	int metrics_fd;              /* -1: none, or no more ours */
	struct cookie_secrets secrets;       /* of cookies, where no file has them: as long as the daemon runs */
};

static void tell_systemd(const char *state)
{
#ifdef HAVE_SYSTEMD
	sd_notify(0, state);
#else
	(void)state;
#endif
}

/* --- settings ------------------------------------------------------------- */

static void setup_log(const struct daemon *d, const struct conf *conf)
{
	static const char *const word[] = {"error", "warning", "notice", "info", "debug"};
	int level = LOG_LEVEL_INFO;

	for (int i = 0; i <= LOG_LEVEL_DEBUG; i++)
		if (conf->server.log_level && strcmp(conf->server.log_level, word[i]) == 0)
			level = i;
	level += d->verbosity;
	log_setup(conf->server.log_target && strcmp(conf->server.log_target, "syslog") == 0 ? LOG_TO_SYSLOG : LOG_TO_STDERR,
		level > LOG_LEVEL_DEBUG ? LOG_LEVEL_DEBUG : (enum log_level)level);
}

static void log_conf(const struct conf *conf)
{
	for (size_t i = 0; i < conf->warning_count; i++)
		log_say(LOG_LEVEL_WARNING, "config", "%s", conf->warnings[i]);
}

static bool notified(void *ctx, const uint8_t *zone, const struct net_addr *from, const struct tsig_key *key, bool has_serial,
	struct serial serial)
{
	struct daemon *d = ctx;

	(void)key;
	return inbox_post(d->inbox, zone, from, has_serial, serial);
}

/* What the workers get, and afterwards what they had. */
struct exchange {
	struct generation *generation;
	struct serve_settings *settings;
};

/* `tls` NULL: what is in force, if anything, stays. NULL: out of memory. */
static struct exchange *exchange_new(struct daemon *d, struct generation *g, struct tls_server *tls)
{
	struct exchange *x = malloc(sizeof *x);

	if (!x)
		return NULL;
	if (!tls && d->box.current)
		tls = d->box.current->tls;
	*x = (struct exchange){g, generation_settings(g, tls, notified, d, &d->secrets)};
	if (x->settings)
		return x;
	free(x);
	return NULL;
}

static void exchange_free(void *arg)
{
	struct exchange *x = arg;

	if (x->settings)
		generation_free_settings(x->generation, x->settings);
	free(x);
}

/* The workers see the generation's keys and texts from here on. */
static void exchange_settings(struct daemon *d, struct exchange *x)
{
	struct generation *old = d->box_generation;

	d->box_generation = x->generation;
	x->generation = old;
	x->settings = __atomic_exchange_n(&d->box.current, x->settings, __ATOMIC_ACQ_REL);
	store_after_readers(exchange_free, x);
}

/* As many descriptors as we are allowed; a quarter of them, at most, for questions to primaries. */
static void set_places(struct daemon *d, const struct conf *conf)
{
	struct rlimit files = {.rlim_cur = 1024};
	unsigned probes = PROBES_MAX;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
		getrlimit(RLIMIT_NOFILE, &files);
	}
	if (files.rlim_cur / 4 < probes)
		probes = files.rlim_cur / 4 > 1 ? (unsigned)(files.rlim_cur / 4) : 2;
	primaries_set_limits(d->primaries, LANE_TRANSFERS, (struct primary_limits){conf->server.limits.transfers,
		conf->server.limits.transfers_per_primary});
	primaries_set_limits(d->primaries, LANE_PROBES, (struct primary_limits){probes, probes / 2});
}

/* --- TLS ------------------------------------------------------------------ */

/* NULL in `*out` where the configuration has no TLS. */
static enum err load_tls(const struct conf *conf, struct tls_tickets *tickets, struct tls_server **out, struct why *warning, struct why *why)
{
	struct tls_files files = {conf->server.tls_cert, conf->server.tls_key, conf->server.tls_ca, false};
	enum err err;

	for (size_t i = 0; i < conf->acl_count; i++)
		files.ask |= conf->acls[i].pin_count > 0;
	*out = NULL;
	warning->text[0] = 0;
	if (!conf->server.listen_tls_count)
		return ERR_OK;
	err = tls_server_new(out, &files, tickets, why);
	if (!err)
		tls_server_valid(*out, clock_unix(), warning);
	return err;
}

enum err daemon_check(struct conf *conf, struct why *warning, struct why *why)
{
	struct tls_server *tls;
	enum err err = load_tls(conf, NULL, &tls, warning, why);

	if (err)
		return err;
	tls_server_drop(tls);
	return conf_load_tls(conf, clock_unix(), why);
}

static void log_tls(const struct why *warning)
{
	if (warning->text[0])
		log_say(LOG_LEVEL_WARNING, "tls", "%s", warning->text);
}

static void on_ticket_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct daemon *d = ctx;

	(void)fd, (void)what;
	tls_tickets_rotate(d->tickets);
}

static enum err start_tls(struct daemon *d, const struct conf *conf, struct tls_server **tls, struct why *why)
{
	static const struct timeval half = {TLS_TICKET_SECONDS / 2, 0};
	struct why warning;
	enum err err;

	d->tickets = tls_tickets_new();
	d->ticket_timer = event_new(d->loop, -1, EV_PERSIST, on_ticket_timer, d);
	if (!d->tickets || !d->ticket_timer || event_add(d->ticket_timer, &half) < 0)
		return ERR_NOMEM;
	err = load_tls(conf, d->tickets, tls, &warning, why);
	if (!err)
		log_tls(&warning);
	return err;
}

static void finish_tls(struct daemon *d)
{
	if (d->ticket_timer)
		event_free(d->ticket_timer);
	tls_tickets_free(d->tickets);
}

/* --- reload and stop ------------------------------------------------------ */

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_addresses(const struct net_addr *a, size_t a_count, const struct net_addr *b, size_t b_count)
{
	bool same = a_count == b_count;

	for (size_t i = 0; same && i < a_count; i++)
		same = net_addr_equal(&a[i], &b[i]);
	return same;
}

static void warn_of_restart(const struct conf *a, const struct conf *b)
{
	struct { bool same; const char *key; } part[] = {
		{same_addresses(a->server.listen, a->server.listen_count, b->server.listen, b->server.listen_count), "server.listen"},
		{a->server.workers == b->server.workers, "server.workers"},
		{same_text(a->server.user, b->server.user), "server.user"},
		{same_text(a->server.state_dir, b->server.state_dir), "server.state-dir"},
		{same_text(a->server.control, b->server.control), "server.control"},
		{same_addresses(a->server.metrics, a->server.metrics != NULL, b->server.metrics, b->server.metrics != NULL), "server.metrics"},
	};

	for (size_t i = 0; i < sizeof part / sizeof *part; i++)
		if (!part[i].same)
			log_say(LOG_LEVEL_WARNING, "reload", "a change of %s takes effect with the next start", part[i].key);
}

static void log_reload(const struct keeper_change *change)
{
	struct log log;

	log_begin(&log, LOG_LEVEL_NOTICE, "reload");
	log_int(&log, "zones", (int64_t)change->zones);
	log_int(&log, "added", (int64_t)change->added);
	log_int(&log, "removed", (int64_t)change->removed);
	log_int(&log, "changed", (int64_t)change->changed);
	log_end(&log);
}

/* The zones, and all that the workers see; takes over `conf`. */
static enum err apply(struct daemon *d, struct conf *conf, struct tls_server *tls, struct keeper_change *change, struct why *why)
{
	struct generation *g = generation_new(conf, d->primaries);
	struct exchange *x;
	enum err err;

	if (!g)
		return err_why(why, ERR_NOMEM, "out of memory");
	generation_hold(g);          /* keeper_apply takes the other hold */
	x = exchange_new(d, g, tls);
	err = x ? keeper_apply(d->keeper, g, change, why) : err_why(why, ERR_NOMEM, "out of memory");
	if (!x)
		generation_retire(g);
	else if (err)
		exchange_free(x);
	else
		exchange_settings(d, x);
	generation_drop(g);
	return err;
}

/* A port that only root may bind is for the next start. */
static void listen_tls(struct daemon *d, const struct conf *conf)
{
	struct why why;

	if (workers_listen_tls(d->workers, conf->server.listen_tls, conf->server.listen_tls_count, &why))
		log_say(LOG_LEVEL_WARNING, "reload", "a change of server.listen-tls takes effect with the next start: %s", why.text);
}

/* What the reloader's thread reads. */
struct fresh {
	struct conf *conf;
	struct tls_server *tls;      /* NULL: the configuration has none */
	struct why warning, why;
	enum err err;
};

static void fresh_free(void *what)
{
	struct fresh *f = what;

	conf_free(f->conf);
	tls_server_drop(f->tls);
	free(f);
}

static void *fresh_read(void *ctx)
{
	const struct daemon *d = ctx;
	struct fresh *f = calloc(1, sizeof *f);

	if (!f)
		return NULL;
	f->conf = conf_read(d->conf_path, &f->why);
	f->err = f->conf ? conf_load_tls(f->conf, clock_unix(), &f->why) : ERR_CONF;
	if (!f->err)
		f->err = load_tls(f->conf, d->tickets, &f->tls, &f->warning, &f->why);
	return f;
}

/* All but the zones. */
static void follow(struct daemon *d, const struct conf *conf, const struct why *warning)
{
	setup_log(d, conf);
	log_conf(conf);
	log_tls(warning);
	listen_tls(d, conf);
	set_places(d, conf);
}

/* Some zones more. Others may come and go between two turns. */
static void reread_turn(evutil_socket_t fd, short what, void *ctx)
{
	static const struct timeval next = {0, 0};
	struct daemon *d = ctx;
	size_t at = d->reload.under_way ? keeper_after(d->keeper, d->reload.last) : 0, end = at + REREAD_TURN;
	struct keep *k = NULL;

	(void)fd;
	(void)what;
	for (; at < keeper_count(d->keeper) && at < end; at++) {
		k = keeper_at(d->keeper, at);
		if (!keep_secondary(k))
			keep_reread(k, NULL, NULL);
	}
	d->reload.under_way = at < keeper_count(d->keeper) && k;
	if (d->reload.under_way) {
		name_copy(keep_name(k), d->reload.last);
		event_add(d->reload.turn, &next);
		return;
	}
	log_reload(&d->reload.change);
	reloader_end(d->reloader, ERR_OK, &d->reload.change, NULL);
}

static void put_in_force(void *ctx, void *what)
{
	struct daemon *d = ctx;
	struct fresh *f = what;
	struct why why = f ? f->why : (struct why){"there is no memory or no thread for it"};
	enum err err = f ? f->err : ERR_NOMEM;

	if (!err) {
		struct conf *conf = f->conf;

		warn_of_restart(generation_conf(keeper_generation(d->keeper)), conf);
		f->conf = NULL;
		err = apply(d, conf, f->tls, &d->reload.change, &why);
		if (!err)
			follow(d, conf, &f->warning);
	}
	if (f)
		fresh_free(f);
	if (!err) {
		reread_turn(-1, 0, d);
		return;
	}
	log_say(LOG_LEVEL_ERROR, "reload", "nothing was changed: %s", err_say(&why, err));
	reloader_end(d->reloader, err, NULL, &why);
}

static void stop(void *ctx)
{
	struct daemon *d = ctx;

	event_base_loopbreak(d->loop);
}

static void hup_done(void *arg, enum err err, const struct keeper_change *change, const struct why *why)
{
	(void)arg, (void)err, (void)change, (void)why;
	tell_systemd("READY=1");
}

static void on_signal(evutil_socket_t number, short what, void *ctx)
{
	struct daemon *d = ctx;

	(void)what;
	if (number == SIGHUP) {
		tell_systemd("RELOADING=1");
		reloader_ask(d->reloader, hup_done, NULL);
	} else {
		stop(d);
	}
}

static void sum_counters(void *ctx, struct serve_counters *sum)
{
	struct daemon *d = ctx;

	workers_sum(d->workers, sum);
}

static void notify_came(void *ctx, const uint8_t *zone, const struct net_addr *from, bool has_serial, struct serial serial)
{
	struct daemon *d = ctx;

	keeper_notified(d->keeper, zone, from, has_serial, serial);
}

/* --- start ---------------------------------------------------------------- */

static enum err give_dir(const char *path, const struct passwd *to, struct why *why)
{
	enum err err = file_mkdirs(path, why);

	if (!err && to && geteuid() == 0 && chown(path, to->pw_uid, to->pw_gid) < 0)
		err = err_why(why, ERR_IO, "%s: chown to %s: %s", path, to->pw_name, strerror(errno));
	return err;
}

/* `lockstep check` may have made it for another user. */
static void give_memory(const char *state_dir, const struct passwd *user, struct why *why)
{
	char *path;

	if (asprintf(&path, "%s/check", state_dir) < 0)
		return;
	if (user && geteuid() == 0 && lchown(path, user->pw_uid, user->pw_gid) < 0 && errno != ENOENT)
		err_why(why, ERR_IO, "%s: chown to %s: %s", path, user->pw_name, strerror(errno));
	free(path);
}

static enum err make_dirs(const struct conf *conf, const struct passwd *user, struct why *why)
{
	char *control = strdup(conf->server.control), *slash;
	enum err err = control ? ERR_OK : ERR_NOMEM;

	struct why state = {{0}};

	/* Without it zones are served all the same, from their files: what cannot be opened there says so. */
	if (!err && give_dir(conf->server.state_dir, user, &state))
		log_say(LOG_LEVEL_ERROR, "state-write-failed", "%s", state.text);
	state.text[0] = 0;
	if (!err)
		give_memory(conf->server.state_dir, user, &state);
	if (state.text[0])
		log_say(LOG_LEVEL_WARNING, "check-memory", "%s", state.text);
	if (!err)
		err = give_dir(conf->server.zone_dir, user, why);
	if (!err && (slash = strrchr(control, '/')) && slash != control && access((*slash = 0, control), F_OK) < 0)
		err = give_dir(control, user, why);
	free(control);
	return err;
}

static enum err become(const struct passwd *user, struct why *why)
{
	if (!user || geteuid() == user->pw_uid)
		return ERR_OK;
	if (initgroups(user->pw_name, user->pw_gid) < 0 || setgid(user->pw_gid) < 0 || setuid(user->pw_uid) < 0)
		return err_why(why, ERR_REFUSED, "server.user: cannot become \"%s\": %s", user->pw_name, strerror(errno));
	return ERR_OK;
}

/* Sockets first (and the files of TLS before), while the privileges are there; then everything that belongs to the user. */
static enum err bind_and_drop(struct daemon *d, const struct conf *conf, struct why *why)
{
	const struct passwd *user = NULL;
	enum err err;

	if (conf->server.user && !(user = getpwnam(conf->server.user)))
		return err_why(why, ERR_CONF, "server.user: there is no user \"%s\"", conf->server.user);
	if (conf->server.metrics && (net_port_free(conf->server.metrics, SOCK_STREAM, why) ||
	    (d->metrics_fd = net_listen_tcp(conf->server.metrics, why)) < 0))
		return ERR_NETWORK;
	d->workers = workers_new(conf->server.workers, (struct worker_listen){conf->server.listen, conf->server.listen_count,
		conf->server.listen_all, conf->server.listen_tls, conf->server.listen_tls_count}, d->store, &d->box, wired_limits(conf), why);
	if (!d->workers)
		return ERR_NETWORK;
	err = make_dirs(conf, user, why);
	return err ? err : become(user, why);
}

/* In two directories, which may be two disks. */
static enum err read_roster(struct daemon *d, const struct conf *conf, struct why *why)
{
	struct why said = {{0}};
	char *path = NULL, *other = NULL;
	bool lost = false;
	enum err err = ERR_NOMEM;

	if (asprintf(&path, "%s/" ROSTER_FILE, conf->server.state_dir) < 0)
		path = NULL;
	if (asprintf(&other, "%s/" ROSTER_COPY, conf->server.zone_dir) < 0)
		other = NULL;
	if (path && other)
		err = keeper_read_roster(d->keeper, path, other, &lost, &said);
	if (!err && said.text[0])
		log_say(LOG_LEVEL_ERROR, "state-damaged", "%s%s", said.text, lost ?
			": zones added at run time and members of catalogs are forgotten, holds are as the database knows them" :
			"; the other copy of the roster is whole");
	free(path);
	free(other);
	return err ? err_why(why, err, "out of memory") : ERR_OK;
}

/* What a process that was killed left half written. */
static void sweep(const struct conf *conf)
{
	struct why why = {{0}};
	unsigned removed = 0;

	if (file_sweep(conf->server.zone_dir, SWEEP_DEPTH, &removed, &why))
		log_say(LOG_LEVEL_WARNING, "sweep", "%s", why.text);
	else if (removed)
		log_say(LOG_LEVEL_NOTICE, "sweep", "%u files that were half written are removed", removed);
}

static enum err open_state(struct daemon *d, const struct conf *conf, struct why *why)
{
	enum err err = copies_open(&d->copies, conf->server.state_dir, why);

	if (err)
		return err;
	sweep(conf);
	d->keeper = keeper_new(d->loop, d->store, clock_ms, clock_unix);
	if (!d->keeper)
		return ERR_NOMEM;
	err = keeper_read_rows(d->keeper, d->copies, why);
	if (err)
		return err;
	d->disk = disk_new(d->loop, d->copies);
	if (!d->disk)
		return err_why(why, ERR_NOMEM, "cannot start the disk's threads");
	keeper_set_disk(d->keeper, d->disk);
	d->catalogs = catalogs_new(d->loop, d->keeper, clock_unix);
	if (!d->catalogs)
		return ERR_NOMEM;
	return read_roster(d, conf, why);
}

static enum err open_control(struct daemon *d, const struct conf *conf, struct why *why)
{
	struct reloader_env reloader = {.loop = d->loop, .read = fresh_read, .apply = put_in_force, .drop = fresh_free, .ctx = d};
	struct verbs_env env = {.loop = d->loop, .keeper = d->keeper, .catalogs = d->catalogs, .now = clock_ms,
		.unix_time = clock_unix, .began = d->began,
		.stop = stop, .counters = sum_counters, .ctx = d};

	env.watch = d->watch = watch_new(d->loop, d->keeper, clock_ms, clock_unix);
	if (!d->watch)
		return ERR_NOMEM;
	env.reloader = d->reloader = reloader_new(&reloader);
	d->reload.turn = evtimer_new(d->loop, reread_turn, d);
	if (!d->reloader || !d->reload.turn)
		return ERR_NOMEM;
	d->verbs = verbs_new(&env);
	if (!d->verbs)
		return ERR_NOMEM;
	d->control = control_new(d->loop, conf->server.control, verbs_handle, verbs_closed, d->verbs, why);
	return d->control ? ERR_OK : ERR_IO;
}

static enum err open_metrics(struct daemon *d)
{
	struct metrics_env env = {.loop = d->loop, .keeper = d->keeper, .watch = d->watch, .now = clock_ms, .unix_time = clock_unix,
		.began = d->began,
		.counters = sum_counters, .ctx = d};

	if (d->metrics_fd < 0)
		return ERR_OK;
	d->metrics = metrics_new(&env, d->metrics_fd);
	d->metrics_fd = -1;
	return d->metrics ? ERR_OK : ERR_NOMEM;
}

static enum err watch_signals(struct daemon *d)
{
	static const int number[SIGNALS] = {SIGTERM, SIGINT, SIGHUP};

	signal(SIGPIPE, SIG_IGN);
	for (unsigned i = 0; i < SIGNALS; i++) {
		d->signal[i] = evsignal_new(d->loop, number[i], on_signal, d);
		if (!d->signal[i] || evsignal_add(d->signal[i], NULL) < 0)
			return ERR_NOMEM;
	}
	return ERR_OK;
}

static enum err start(struct daemon *d, struct conf *conf, struct why *why)
{
	struct keeper_change change;
	struct tls_server *tls = NULL;
	struct exchange *x = NULL;
	struct generation *g;
	enum err err = ERR_OK;

	d->loop = event_base_new();
	d->store = store_new();
	d->primaries = primaries_new();
	if (d->primaries)
		set_places(d, conf);
	g = d->primaries ? generation_new(conf, d->primaries) : NULL;
	if (!g)
		return ERR_NOMEM;
	generation_hold(g);          /* keeper_apply takes the other hold */
	if (!d->loop || !d->store || !(d->inbox = inbox_new(d->loop, notify_came, d)))
		err = ERR_NOMEM;
	else
		err = start_tls(d, conf, &tls, why);
	if (!err && !(x = exchange_new(d, g, tls)))
		err = ERR_NOMEM;
	tls_server_drop(tls);
	if (!err)
		exchange_settings(d, x);
	if (!err)
		err = bind_and_drop(d, conf, why);
	if (!err)
		err = open_state(d, conf, why);
	if (!err)
		err = open_control(d, conf, why);
	if (!err)
		err = open_metrics(d);
	if (!err)
		err = watch_signals(d);
	if (err)
		generation_retire(g);
	else
		err = keeper_apply(d->keeper, g, &change, why);
	generation_drop(g);
	return err ? err : workers_start(d->workers, why);
}

static void finish(struct daemon *d)
{
	control_free(d->control);
	reloader_free(d->reloader);
	if (d->reload.turn)
		event_free(d->reload.turn);
	metrics_free(d->metrics);
	if (d->metrics_fd >= 0)
		close(d->metrics_fd);
	workers_free(d->workers);
	watch_free(d->watch);
	if (d->keeper && d->disk)
		keeper_flush(d->keeper);
	disk_free(d->disk);
	catalogs_free(d->catalogs);
	keeper_free(d->keeper);
	copies_close(d->copies);
	inbox_free(d->inbox);
	if (d->box.current)
		generation_free_settings(d->box_generation, d->box.current);
	finish_tls(d);
	store_free(d->store);
	store_settle();
	primaries_free(d->primaries);
	for (unsigned i = 0; i < SIGNALS; i++)
		if (d->signal[i])
			event_free(d->signal[i]);
	if (d->loop)
		event_base_free(d->loop);
	verbs_free(d->verbs);
}

/* Whoever waits for this daemon before it goes on (systemd, the next server's restart) waits for the zones too. */
static void ready(void *ctx, struct disk_result *result)
{
	struct daemon *d = ctx;
	struct log log;

	(void)result;
	malloc_trim(0);              /* of reading the configuration, and of waiting for the disk */
	log_begin(&log, LOG_LEVEL_NOTICE, "ready");
	log_int(&log, "zones", (int64_t)keeper_count(d->keeper));
	log_int(&log, "failed", (int64_t)keeper_counters(d->keeper)->loads_failed);
	log_int(&log, "seconds", (clock_ms() - d->began) / 1000);
	log_end(&log);
	tell_systemd("READY=1");
}

static void log_start(const struct conf *conf)
{
	struct log log;

	log_begin(&log, LOG_LEVEL_NOTICE, "started");
	log_str(&log, "version", PACKAGE_VERSION);
	log_int(&log, "zones", (int64_t)conf->zone_count);
	log_int(&log, "workers", conf->server.workers);
	log_int(&log, "pid", getpid());
	log_end(&log);
}

int daemon_run(const char *conf_path, int verbosity)
{
	struct daemon d = {.conf_path = conf_path, .verbosity = verbosity, .began = clock_ms(), .metrics_fd = -1};
	struct why why = {{0}};
	struct conf *conf = conf_read(conf_path, &why);
	enum err err;

	if (!conf || conf_load_tls(conf, clock_unix(), &why)) {
		fprintf(stderr, "lockstepd: %s\n", why.text);
		conf_free(conf);
		return 1;
	}
	rr_init();
	d.secrets.count = 1;
	net_random(d.secrets.secret[0], sizeof d.secrets.secret[0]);
	setup_log(&d, conf);
	log_conf(conf);
	store_thread_begin();
	err = start(&d, conf, &why);
	if (err) {
		log_say(LOG_LEVEL_ERROR, "not-started", "%s", err_say(&why, err));
	} else {
		thread_gives_way();
		log_start(conf);
		disk_mark(d.disk, ready, &d);
		event_base_dispatch(d.loop);
		tell_systemd("STOPPING=1");
		log_say(LOG_LEVEL_NOTICE, "stopping", "writing what is not yet on disk");
	}
	finish(&d);
	store_thread_end();
	return err ? 1 : 0;
}
