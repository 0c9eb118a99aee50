#include "run/pull.h"

#include "base/clock.h"
#include "base/tls.h"
#include "run/records.h"
#include "run/show.h"
#include "xfer/fetch.h"
#include "zone/zonefile.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CONNECT_MS = 5000, IDLE_MS = 30000, TOTAL_MS = 2 * 3600 * 1000, PROGRESS_MS = 200, ARGUMENT_ERROR = 2 };

struct pull {
	const struct pull_options *options;
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

static enum err parse(struct pull *p, struct why *why)
{
	const struct pull_options *o = p->options;
	enum err err = name_parse(o->zone, strlen(o->zone), NULL, p->zone, why);

	if (!err)
		err = net_addr_parse(&p->from, o->from, o->tls.on ? 853 : 53, why);
	if (!err && o->key)
		err = parse_key(o->key, &p->key, why);
	if (!err && o->tls.pin && !cert_pin_parse(o->tls.pin, p->pin))
		err = err_why(why, ERR_SYNTAX, "--pin: it must be the SHA-256 of a public key, in base64 (44 characters)");
	return err;
}

static enum err load_tls(struct pull *p, struct why *why)
{
	const struct command_tls *tls = &p->options->tls;
	struct tls_client_conf conf = {tls->auth_name, tls->ca, (const uint8_t (*)[CERT_PIN_SIZE])&p->pin, tls->pin != NULL, tls->cert, tls->key};

	return tls->on ? tls_client_new(&p->tls, &conf, why) : ERR_OK;
}

static double elapsed(const struct pull *p)
{
	return (double)(clock_ms() - p->began) / 1000.0;
}

static void on_progress(evutil_socket_t fd, short what, void *ctx)
{
	struct pull *p = ctx;
	uint64_t records, bytes;
	json_t *progress;

	(void)fd;
	(void)what;
	if (!p->fetch)
		return;
	fetch_progress(p->fetch, &records, &bytes);
	progress = json_pack("{s:s, s:I, s:I, s:f}", "zone", p->options->zone, "records", (json_int_t)records, "bytes", (json_int_t)bytes,
		"seconds", elapsed(p));
	show_progress(stderr, progress);
	json_decref(progress);
}

static void on_done(void *ctx, struct fetch_result *result)
{
	struct pull *p = ctx;

	p->fetch = NULL;
	p->result = *result;
	result->version = NULL;
	p->done = true;
	event_base_loopbreak(p->loop);
}

static enum err run(struct pull *p, bool show, struct why *why)
{
	struct timeval tv = {0, PROGRESS_MS * 1000};
	struct fetch_ask ask = {
		.kind = FETCH_AXFR, .zone = p->zone, .to = p->from, .key = p->options->key ? &p->key : NULL, .tls = p->tls,
		.times = {CONNECT_MS, IDLE_MS, TOTAL_MS}, .now = clock_ms, .unix_time = clock_unix,
	};

	p->loop = event_base_new();
	p->links = ask.links = p->loop ? links_new(p->loop, clock_ms, 0, 0) : NULL;
	p->fetch = p->links ? fetch_start(p->loop, &ask, on_done, p) : NULL;
	if (show && p->fetch && (p->progress = event_new(p->loop, -1, EV_PERSIST, on_progress, p)))
		event_add(p->progress, &tv);
	if (!p->fetch || event_base_dispatch(p->loop) < 0 || !p->done)
		return err_why(why, ERR_NOMEM, "out of memory");
	if (show)
		show_progress_end(stderr);
	if (p->result.outcome == FETCH_OK)
		return ERR_OK;
	*why = p->result.why;
	return ERR_NETWORK;
}

/* --- output --------------------------------------------------------------- */

static bool put_text(void *ctx, const char *text, size_t length)
{
	(void)ctx;
	return fwrite(text, 1, length, stdout) == length;
}

static bool put_json(void *ctx, const char *text, size_t length)
{
	return records_put(ctx, text, length);
}

static void facts(const struct pull *p, json_t *o)
{
	json_object_set_new(o, "serial", json_integer(p->result.version->serial.v));
	json_object_set_new(o, "type", json_string("AXFR"));
	json_object_set_new(o, "primary", json_string(p->options->from));
	json_object_set_new(o, "records", json_integer((json_int_t)p->result.version->records));
	json_object_set_new(o, "bytes", json_integer((json_int_t)p->result.bytes));
	json_object_set_new(o, "seconds", json_real(p->result.ms / 1000.0));
}

/* To standard output; without a file the records too. */
static bool print(const struct pull *p)
{
	const struct pull_options *o = p->options;
	struct records records = {.out = stdout};
	json_t *done;
	char *text;
	bool ok;

	if (!o->json)
		return o->output || zonefile_print(p->result.version, put_text, NULL);
	done = json_pack("{s:s}", "zone", o->zone);
	facts(p, done);
	json_object_set_new(done, "file", o->output ? json_string(o->output) : json_null());
	text = json_dumps(done, JSON_COMPACT | JSON_REAL_PRECISION(6));
	ok = text && printf("%.*s", o->output ? (int)strlen(text) : (int)strlen(text) - 1, text) >= 0;
	if (ok && !o->output)
		ok = printf(",\"records\":[") > 0 && zonefile_print(p->result.version, put_json, &records) && printf("]}") > 0;
	records_release(&records);
	free(text);
	json_decref(done);
	return ok && printf("\n") > 0;
}

static enum err put(const struct pull *p, struct why *why)
{
	const struct pull_options *o = p->options;
	enum err err = o->output ? zonefile_write(o->output, p->result.version, why) : ERR_OK;

	if (err)
		return err;
	if (!print(p) || fflush(stdout) != 0)
		return err_why(why, ERR_IO, "standard output: %m");
	if (!o->quiet && !o->json)
		fprintf(stderr, "%s serial %u, %llu records, %llu bytes, %.2f s\n", o->zone, p->result.version->serial.v,
			(unsigned long long)p->result.version->records, (unsigned long long)p->result.bytes, p->result.ms / 1000.0);
	return ERR_OK;
}

int pull_run(const struct pull_options *options, struct why *why)
{
	struct pull p = {.options = options, .began = clock_ms()};
	enum err err;

	rr_init();
	if (parse(&p, why))
		return ARGUMENT_ERROR;
	err = load_tls(&p, why);
	if (!err)
		err = run(&p, isatty(STDERR_FILENO) && !options->quiet, why);
	if (p.tls && tls_client_seen(p.tls) && !options->quiet)
		fprintf(stderr, "the server was not checked: %s\n", tls_client_seen(p.tls));
	if (!err)
		err = put(&p, why);
	zone_put(p.result.version);
	fetch_cancel(p.fetch);
	links_free(p.links);
	tls_client_drop(p.tls);
	if (p.progress)
		event_free(p.progress);
	if (p.loop)
		event_base_free(p.loop);
	explicit_bzero(&p.key, sizeof p.key);
	return err ? 1 : 0;
}
