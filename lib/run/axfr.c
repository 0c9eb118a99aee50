#include "run/axfr.h"

#include "base/clock.h"
#include "base/tls.h"
#include "run/show.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CONNECT_MS = 5000, IDLE_MS = 30000, TOTAL_MS = 2 * 3600 * 1000, PROGRESS_MS = 200 };

struct axfr {
	const struct axfr_ask *ask;
	uint8_t zone[NAME_SIZE];
	struct net_addr from;
	struct tsig_key key;
	uint8_t pin[CERT_PIN_SIZE];
	struct tls_client *tls;      /* NULL: without TLS */
	struct event_base *loop;
	struct event *progress;
	struct links *links;
	struct fetch *fetch;
	struct fetch_result result;
	int64_t began;               /* ms of clock_ms */
	bool done;
};

/* [ALGORITHM:]NAME:SECRET */
static enum err parse_key(const char *text, struct tsig_key *key, struct why *why)
{
	char *copy = strdup(text), *first = copy ? strchr(copy, ':') : NULL, *second = first ? strchr(first + 1, ':') : NULL;
	enum err err;

	if (!first) {
		free(copy);
		return err_why(why, ERR_SYNTAX, "--key: it must be [ALGORITHM:]NAME:SECRET");
	}
	*first++ = 0;
	if (second)
		*second++ = 0;
	err = second ? tsig_key_parse(key, first, copy, second, why) : tsig_key_parse(key, copy, "hmac-sha256", first, why);
	explicit_bzero(copy, strlen(copy));
	free(copy);
	return err;
}

static enum err parse(struct axfr *a, struct why *why)
{
	const struct axfr_ask *o = a->ask;
	enum err err = name_parse(o->zone, strlen(o->zone), NULL, a->zone, why);

	if (!err)
		err = net_addr_parse(&a->from, o->from, o->tls.on ? 853 : 53, why);
	if (!err && o->key)
		err = parse_key(o->key, &a->key, why);
	if (!err && o->tls.pin && !cert_pin_parse(o->tls.pin, a->pin))
		err = err_why(why, ERR_SYNTAX, "--pin: it must be the SHA-256 of a public key, in base64 (44 characters)");
	return err;
}

static enum err load_tls(struct axfr *a, struct why *why)
{
	const struct command_tls *tls = &a->ask->tls;
	struct tls_client_conf conf = {tls->auth_name, tls->ca, (const uint8_t (*)[CERT_PIN_SIZE])&a->pin, tls->pin != NULL, tls->cert, tls->key};

	return tls->on ? tls_client_new(&a->tls, &conf, why) : ERR_OK;
}

static double elapsed(const struct axfr *a)
{
	return (double)(clock_ms() - a->began) / 1000.0;
}

static void on_progress(evutil_socket_t fd, short what, void *ctx)
{
	struct axfr *a = ctx;
	uint64_t records, bytes;
	json_t *progress;

	(void)fd;
	(void)what;
	if (!a->fetch)
		return;
	fetch_progress(a->fetch, &records, &bytes);
	progress = json_pack("{s:s, s:I, s:I, s:f}", "zone", a->ask->zone, "records", (json_int_t)records, "bytes", (json_int_t)bytes,
		"seconds", elapsed(a));
	show_progress(stderr, progress);
	json_decref(progress);
}

static void on_done(void *ctx, struct fetch_result *result)
{
	struct axfr *a = ctx;

	a->fetch = NULL;
	a->result = *result;
	result->version = NULL;
	a->done = true;
	event_base_loopbreak(a->loop);
}

static enum err run(struct axfr *a, bool show, struct why *why)
{
	struct timeval tv = {0, PROGRESS_MS * 1000};
	struct fetch_ask ask = {
		.kind = FETCH_AXFR, .zone = a->zone, .to = a->from, .key = a->ask->key ? &a->key : NULL, .tls = a->tls,
		.times = {CONNECT_MS, IDLE_MS, TOTAL_MS}, .now = clock_ms, .unix_time = clock_unix,
	};

	a->loop = event_base_new();
	a->links = ask.links = a->loop ? links_new(a->loop, clock_ms, 0, 0) : NULL;
	a->fetch = a->links ? fetch_start(a->loop, &ask, on_done, a) : NULL;
	if (show && a->fetch && (a->progress = event_new(a->loop, -1, EV_PERSIST, on_progress, a)))
		event_add(a->progress, &tv);
	if (!a->fetch || event_base_dispatch(a->loop) < 0 || !a->done)
		return err_why(why, ERR_NOMEM, "out of memory");
	if (show)
		show_progress_end(stderr);
	if (a->result.outcome == FETCH_OK)
		return ERR_OK;
	*why = a->result.why;
	return ERR_NETWORK;
}

enum err axfr_run(const struct axfr_ask *ask, struct fetch_result *out, struct why *why)
{
	struct axfr a = {.ask = ask, .began = clock_ms()};
	enum err err;

	rr_init();
	err = parse(&a, why) ? ERR_SYNTAX : load_tls(&a, why);
	if (!err)
		err = run(&a, isatty(STDERR_FILENO) && !ask->quiet, why);
	if (a.tls && tls_client_seen(a.tls) && !ask->quiet)
		fprintf(stderr, "the server was not checked: %s\n", tls_client_seen(a.tls));
	fetch_cancel(a.fetch);
	links_free(a.links);
	tls_client_drop(a.tls);
	if (a.progress)
		event_free(a.progress);
	if (a.loop)
		event_base_free(a.loop);
	explicit_bzero(&a.key, sizeof a.key);
	*out = a.result;
	return err;
}
