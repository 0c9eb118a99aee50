/* run/wire: from the configuration to the small structs of the lower rooms. One `generation` for each configuration read;
 * it lives until the last zone, exchange, or reader that uses it has let go.
 */
#ifndef RUN_WIRE_H
#define RUN_WIRE_H

#include "base/tls.h"
#include "run/conf.h"
#include "serve/udp.h"
#include "xfer/notify.h"
#include "xfer/secondary.h"
#include "zone/nsset.h"

struct generation;

/* What one set of settings becomes; shared by its zones. Valid while the generation is. */
struct wired {
	struct generation *generation;
	const struct conf_settings *set;
	struct secondary_conf secondary;     /* counted: see generation_new */
	struct serve_policy policy;          /* use wired_policy */
	const struct notify_target *targets;
	size_t target_count;
	enum conf_ns_mode ns_mode;           /* off for a catalog: nothing is delegated to its nameservers */
	struct nsset ns_set;                 /* providers' and names; empty where the mode is off */
};

/* Takes over `conf`, also when it fails (NULL: out of memory). Held once by the caller; each wired->secondary is held once
 * by the generation until generation_retire. */
struct generation *generation_new(struct conf *, struct primaries *);
const struct conf *generation_conf(const struct generation *);
const struct wired *generation_wired(const struct generation *, const struct conf_settings *);
/* All its settings have one pattern for zone files. */
bool generation_one_pattern(const struct generation *);
/* The caller's hold ends, a newer one is in force. */
void generation_retire(struct generation *);
void generation_hold(struct generation *);
void generation_drop(struct generation *);

/* The policy for a store_zone, with a hold of its own. */
struct store_policy *wired_policy(const struct wired *);
struct tcp_limits wired_limits(const struct conf *);     /* `share` is for the workers to say */
/* The settings for the workers. Holds the generation and `tls` (may be NULL); freed by generation_free_settings. `own`: the secrets
 * of cookies where the configuration names none, to live longer. NULL: out of memory. */
struct serve_settings *generation_settings(struct generation *, struct tls_server *tls, notify_heard *, void *ctx,
	const struct cookie_secrets *own);
void generation_free_settings(struct generation *, struct serve_settings *);
/* Whether a transfer begun under `a` may go on under `b`: the same primaries, keys and limits, judged in the same way. */
bool wired_same_source(const struct wired *a, const struct wired *b);
/* Whether they mean the same for a zone altogether. */
bool wired_same(const struct wired *a, const struct wired *b);

#endif
