#include "run/pull.h"

#include "run/axfr.h"
#include "run/records.h"
#include "zone/zonefile.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARGUMENT_ERROR = 2 };

struct pull {
	const struct pull_options *options;
	struct fetch_result result;
};

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
	struct axfr_ask ask = {options->zone, options->from, options->key, options->tls, options->quiet};
	struct pull p = {.options = options};
	enum err err = axfr_run(&ask, &p.result, why);

	if (!err && put(&p, why))
		err = ERR_IO;
	zone_put(p.result.version);
	return err == ERR_SYNTAX ? ARGUMENT_ERROR : err ? 1 : 0;
}
