/* run/verbs: what each verb of the control protocol does (see run/control for the protocol). Results:
 *
 *     status    {"zones":[...],"version":"0.1.0","uptime":123}       run/status describes a zone; without zones in the request all of them come
 *               before, in any number of lines {"zones":[...]}, and here "summary":{...}, and "state_error": why not everything is durable
 *     transfer  {"zones":[{"zone","result":"updated"|"current"|"failed","old","new","type":"IXFR"|"AXFR"|null,
 *               "primary","records","bytes","seconds","error"}]}
 *     refresh, notify, write, hold, release, purge, add ("template"), remove  {"zones":[{"zone","result":"ok"|"failed","error"}]}
 *     reload    {"added":1,"removed":0,"changed":2,"zones":100}
 *     dump      {"zone","serial","records"}, behind the text
 *     stats     counters by group
 *     stop      {}, from verbs_free
 */
#ifndef RUN_VERBS_H
#define RUN_VERBS_H

#include "run/catalogs.h"
#include "run/control.h"
#include "run/reloader.h"
#include "run/watch.h"

struct verbs;

struct verbs_env {
	struct event_base *loop;
	struct keeper *keeper;
	struct catalogs *catalogs;
	const struct watch *watch;
	int64_t (*now)(void);
	uint64_t (*unix_time)(void);
	int64_t began;                       /* ms of now() */
	struct reloader *reloader;
	void (*stop)(void *ctx);
	void (*counters)(void *ctx, struct serve_counters *);   /* the sum over all workers */
	void *ctx;
};

struct verbs *verbs_new(const struct verbs_env *);
void verbs_free(struct verbs *);             /* after control_free; tells who asked for the stop that all is done */
control_handler verbs_handle;                /* ctx: struct verbs */
control_closed verbs_closed;

#endif
