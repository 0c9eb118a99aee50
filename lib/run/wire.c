#include "run/wire.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct generation {
	struct conf *conf;
	atomic_uint holders;
	struct arena arena;
	struct wired **slot;         /* by the settings' address */
	size_t slots;                /* a power of two */
};

void generation_hold(struct generation *g)
{
	atomic_fetch_add_explicit(&g->holders, 1, memory_order_relaxed);
}

void generation_drop(struct generation *g)
{
	if (atomic_fetch_sub_explicit(&g->holders, 1, memory_order_acq_rel) != 1)
		return;
	conf_free(g->conf);
	arena_release(&g->arena);
	free(g->slot);
	free(g);
}

static size_t slot_of(const struct generation *g, const struct conf_settings *set)
{
	size_t at = (size_t)((uintptr_t)set / 16 * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (g->slots - 1);

	while (g->slot[at] && g->slot[at]->set != set)
		at = (at + 1) & (g->slots - 1);
	return at;
}

const struct wired *generation_wired(const struct generation *g, const struct conf_settings *set)
{
	return g->slot[slot_of(g, set)];
}

const struct conf *generation_conf(const struct generation *g)
{
	return g->conf;
}

static void release_secondary(struct secondary_conf *conf)
{
	struct wired *w = (struct wired *)((char *)conf - offsetof(struct wired, secondary));

	generation_drop(w->generation);
}

static void release_policy(struct store_policy *policy)
{
	struct wired *w = (struct wired *)((char *)policy - offsetof(struct wired, policy.base));

	generation_drop(w->generation);
}

static struct net_prefix host_prefix(const struct net_addr *addr)
{
	struct net_prefix prefix = {.family = addr->sa.sa_family};

	if (prefix.family == AF_INET6) {
		prefix.bits = 128;
		memcpy(prefix.bytes, &addr->v6.sin6_addr, 16);
	} else {
		prefix.bits = 32;
		memcpy(prefix.bytes, &addr->v4.sin_addr, 4);
	}
	return prefix;
}

static size_t count_rules(const struct conf_peer *peer, size_t count)
{
	size_t n = 0;

	for (size_t i = 0; i < count; i++)
		n += peer[i].remote ? peer[i].remote->address_count : peer[i].acl->prefix_count ? peer[i].acl->prefix_count : 1;
	return n;
}

/* `prefix` NULL: any address. */
static struct acl_rule acl_rule(const struct conf_acl *a, const struct net_prefix *prefix)
{
	struct acl_rule rule = {.any_address = !prefix, .key = a->key, .deny = a->deny, .tls = a->tls, .cert_name = a->cert_name,
		.pins = a->pins, .pin_count = a->pin_count};

	if (prefix)
		rule.prefix = *prefix;
	return rule;
}

/* A remote over TLS must ask over TLS, and where clients are asked for certificates (`tls-ca`) show its name. What it says with NOTIFY
 * is heeded however it comes: it is a reason to ask it, no more. */
static bool wire_acl(struct generation *g, const struct conf_peer *peer, size_t count, bool transfer, struct acl *acl)
{
	bool certs = g->conf->server.tls_ca != NULL;
	struct arena *arena = &g->arena;
	struct acl_rule *rule = arena_zero(arena, (count_rules(peer, count) + 1) * sizeof *rule);

	if (!rule)
		return false;
	acl->rules = rule;
	for (size_t i = 0; i < count; i++) {
		const struct conf_remote *remote = peer[i].remote;
		const struct conf_acl *a = peer[i].acl;

		if (remote)
			for (size_t j = 0; j < remote->address_count; j++)
				*rule++ = (struct acl_rule){.prefix = host_prefix(&remote->addresses[j]), .key = remote->key,
					.tls = transfer && remote->tls.on, .cert_name = transfer && certs ? remote->tls.auth_name : NULL};
		else if (!a->prefix_count)
			*rule++ = acl_rule(a, NULL);
		else
			for (size_t j = 0; j < a->prefix_count; j++)
				*rule++ = acl_rule(a, &a->prefixes[j]);
	}
	acl->count = (size_t)(rule - acl->rules);
	return true;
}

static bool wire_secondary(struct generation *g, struct wired *w, struct primaries *primaries)
{
	static const enum secondary_rollback rollback[] = {ROLLBACK_REFUSE, ROLLBACK_AFTER_EXPIRE, ROLLBACK_ACCEPT};
	const struct conf_settings *set = w->set;
	struct secondary_remote *remote = arena_zero(&g->arena, (set->primary_count + 1) * sizeof *remote);
	struct secondary_conf *c = &w->secondary;

	if (!remote)
		return false;
	for (size_t i = 0; i < set->primary_count; i++) {
		const struct conf_remote *from = set->primaries[i];

		remote[i] = (struct secondary_remote){from->name, from->addresses, from->address_count, from->key,
			primary_get(primaries, from->name), from->tls.client};
		if (!remote[i].primary)
			return false;
	}
	*c = (struct secondary_conf){
		.refs = 1,
		.release = release_secondary,
		.remotes = remote,
		.remote_count = set->primary_count,
		.ixfr = set->ixfr,
		.stream_only = set->catalog == CONF_CATALOG_CONSUME, /* Knot refuses to tell of a catalog by UDP */
		.newest = set->primary_choice == CONF_NEWEST,
		.rollback = rollback[set->rollback],
		.clamps = {set->refresh_min, set->refresh_max, set->retry_min, set->retry_max, set->expire_min, set->expire_max},
		.limits = {set->max_zone_size, set->max_records, set->max_records_per_type, set->max_types_per_name},
		.times = {g->conf->server.limits.connect, g->conf->server.limits.transfer_idle, g->conf->server.limits.transfer_time,
			g->conf->server.limits.transfer_rate, g->conf->server.limits.transfer_messages},
	};
	return true;
}

static bool wire_targets(struct generation *g, struct wired *w)
{
	struct notify_target *target = arena_zero(&g->arena, (w->set->notify_count + 1) * sizeof *target);

	if (!target)
		return false;
	for (size_t i = 0; i < w->set->notify_count; i++) {
		const struct conf_remote *to = w->set->notify[i];

		target[i] = (struct notify_target){to->name, to->addresses, to->address_count, to->key, to->tls.client};
	}
	w->targets = target;
	w->target_count = w->set->notify_count;
	return true;
}

static bool wire_ns_set(struct generation *g, struct wired *w)
{
	const struct conf_ns_set *from = &w->set->ns_set;
	size_t count = from->name_count;
	const uint8_t **names;

	w->ns_mode = w->set->catalog == CONF_CATALOG_NONE ? from->mode : CONF_NS_OFF;
	if (w->ns_mode == CONF_NS_OFF)
		return true;
	for (size_t i = 0; i < from->provider_count; i++)
		count += from->providers[i]->ns_count;
	names = arena_zero(&g->arena, (count + 1) * sizeof *names);
	if (!names)
		return false;
	count = 0;
	for (size_t i = 0; i < from->name_count; i++)
		names[count++] = from->names[i];
	for (size_t i = 0; i < from->provider_count; i++)
		for (size_t j = 0; j < from->providers[i]->ns_count; j++)
			names[count++] = from->providers[i]->ns[j];
	w->ns_set = (struct nsset){names, nsset_sort(names, count), from->ttl};
	return true;
}

static bool wire_settings(struct generation *g, const struct conf_settings *set, struct primaries *primaries)
{
	size_t at = slot_of(g, set);
	struct wired *w;

	if (g->slot[at])
		return true;
	w = arena_zero(&g->arena, sizeof *w);
	if (!w)
		return false;
	w->generation = g;
	w->set = set;
	w->policy.base.release = release_policy;
	if (!wire_secondary(g, w, primaries) || !wire_targets(g, w) || !wire_ns_set(g, w) ||
	    !wire_acl(g, set->allow_transfer, set->allow_transfer_count, true, &w->policy.transfer) ||
	    !wire_acl(g, set->allow_notify, set->allow_notify_count, false, &w->policy.notify))
		return false;
	generation_hold(g);          /* for `secondary`'s own count */
	g->slot[at] = w;
	return true;
}

/* The settings of all zones, and what zones may have that come at run time. */
static bool wire_all(struct generation *g, struct primaries *primaries)
{
	const struct conf *conf = g->conf;

	for (size_t i = 0; i < conf->zone_count; i++)
		if (!wire_settings(g, conf->zones[i].set, primaries))
			return false;
	for (size_t i = 0; i < conf->template_count; i++)
		if (!wire_settings(g, conf->templates[i].set, primaries))
			return false;
	return wire_settings(g, conf->default_set, primaries);
}

bool generation_one_pattern(const struct generation *g)
{
	const char *pattern = NULL;

	for (size_t i = 0; i < g->slots; i++) {
		if (pattern && g->slot[i] && strcmp(g->slot[i]->set->file, pattern) != 0)
			return false;
		if (g->slot[i])
			pattern = g->slot[i]->set->file;
	}
	return true;
}

struct generation *generation_new(struct conf *conf, struct primaries *primaries)
{
	struct generation *g = calloc(1, sizeof *g);

	if (!g) {
		conf_free(conf);
		return NULL;
	}
	g->conf = conf;
	atomic_init(&g->holders, 1);
	for (g->slots = 16; g->slots < 2 * (conf->zone_count + conf->template_count + 1); g->slots *= 2)
		;
	g->slot = calloc(g->slots, sizeof *g->slot);
	if (!g->slot) {
		generation_drop(g);
		return NULL;
	}
	if (wire_all(g, primaries))
		return g;
	generation_retire(g);
	return NULL;
}

void generation_retire(struct generation *g)
{
	for (size_t i = 0; i < g->slots; i++)
		if (g->slot[i] && --g->slot[i]->secondary.refs == 0)
			generation_drop(g);
	generation_drop(g);
}

struct store_policy *wired_policy(const struct wired *w)
{
	generation_hold(w->generation);
	return (struct store_policy *)&w->policy.base;
}

struct tcp_limits wired_limits(const struct conf *conf)
{
	return (struct tcp_limits){conf->server.limits.tcp_clients, conf->server.limits.tcp_idle, conf->server.limits.transfer_idle,
		conf->server.limits.transfer_time, 0};
}

struct serve_settings *generation_settings(struct generation *g, struct tls_server *tls, notify_heard *notify, void *ctx,
	const struct cookie_secrets *own)
{
	const struct conf *conf = g->conf;
	struct serve_settings *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	*s = (struct serve_settings){
		.identity = conf->server.identity,
		.version = conf->server.version,
		.cookies = !conf->server.cookies ? NULL : conf->server.cookie_secrets ? conf->server.cookie_secrets : own,
		.limit = {conf->server.rrl.rate, conf->server.rrl.slip, conf->server.rrl.log_only, conf->server.rrl.allow,
			conf->server.rrl.allow_count},
		.udp_payload = (uint16_t)conf->server.udp_payload,
		.minimal = conf->server.minimal_responses,
		.keys = conf->keys,
		.key_count = conf->key_count,
		.notify = notify,
		.notify_ctx = ctx,
		.tls = tls ? tls_server_hold(tls) : NULL,
		.tcp = wired_limits(conf),
	};
	generation_hold(g);
	return s;
}

void generation_free_settings(struct generation *g, struct serve_settings *s)
{
	tls_server_drop(s->tls);
	free(s);
	generation_drop(g);
}

static bool same_addresses(const struct net_addr *a, size_t a_count, const struct net_addr *b, size_t b_count)
{
	if (a_count != b_count)
		return false;
	for (size_t i = 0; i < a_count; i++)
		if (!net_addr_equal(&a[i], &b[i]))
			return false;
	return true;
}

static bool same_remote(const struct secondary_remote *a, const struct secondary_remote *b)
{
	return strcmp(a->name, b->name) == 0 && tsig_key_equal(a->key, b->key) && a->tls == b->tls &&
		same_addresses(a->addresses, a->address_count, b->addresses, b->address_count);
}

static bool same_judgement(const struct conf_settings *a, const struct conf_settings *b)
{
	const char *x = a->approve.command, *y = b->approve.command;

	return a->zonemd == b->zonemd && a->dnssec_check == b->dnssec_check && a->approve.max_change == b->approve.max_change &&
		a->approve.timeout == b->approve.timeout && (x && y ? strcmp(x, y) == 0 : x == y);
}

bool wired_same_source(const struct wired *a, const struct wired *b)
{
	const struct secondary_conf *x = &a->secondary, *y = &b->secondary;

	if (!same_judgement(a->set, b->set) || a->ns_mode != b->ns_mode || !nsset_equal(&a->ns_set, &b->ns_set))
		return false;
	if (x->remote_count != y->remote_count || x->ixfr != y->ixfr || x->newest != y->newest || x->rollback != y->rollback ||
	    x->limits.bytes != y->limits.bytes || x->limits.records != y->limits.records ||
	    x->limits.per_type != y->limits.per_type || x->limits.types != y->limits.types)
		return false;
	for (size_t i = 0; i < x->remote_count; i++)
		if (!same_remote(&x->remotes[i], &y->remotes[i]))
			return false;
	return true;
}

static bool same_certificate(const struct acl_rule *x, const struct acl_rule *y)
{
	return x->tls == y->tls && strcmp(x->cert_name ? x->cert_name : "", y->cert_name ? y->cert_name : "") == 0 &&
		x->pin_count == y->pin_count && (x->pin_count == 0 || memcmp(x->pins, y->pins, x->pin_count * sizeof *x->pins) == 0);
}

static bool same_acl(const struct acl *a, const struct acl *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		const struct acl_rule *x = &a->rules[i], *y = &b->rules[i];

		if (x->any_address != y->any_address || x->deny != y->deny || !same_certificate(x, y) || !tsig_key_equal(x->key, y->key) ||
		    x->prefix.family != y->prefix.family || x->prefix.bits != y->prefix.bits ||
		    memcmp(x->prefix.bytes, y->prefix.bytes, sizeof x->prefix.bytes) != 0)
			return false;
	}
	return true;
}

static bool same_targets(const struct wired *a, const struct wired *b)
{
	if (a->target_count != b->target_count)
		return false;
	for (size_t i = 0; i < a->target_count; i++) {
		const struct notify_target *x = &a->targets[i], *y = &b->targets[i];

		if (!tsig_key_equal(x->key, y->key) || x->tls != y->tls ||
		    !same_addresses(x->addresses, x->address_count, y->addresses, y->address_count))
			return false;
	}
	return true;
}

bool wired_same(const struct wired *a, const struct wired *b)
{
	const struct refresh_clamps *x = &a->secondary.clamps, *y = &b->secondary.clamps;

	return wired_same_source(a, b) && a->set->source == b->set->source && a->set->catalog == b->set->catalog &&
		a->set->zonefile_sync == b->set->zonefile_sync && strcmp(a->set->file, b->set->file) == 0 &&
		x->refresh_min == y->refresh_min && x->refresh_max == y->refresh_max && x->retry_min == y->retry_min &&
		x->retry_max == y->retry_max && x->expire_min == y->expire_min && x->expire_max == y->expire_max &&
		same_acl(&a->policy.transfer, &b->policy.transfer) && same_acl(&a->policy.notify, &b->policy.notify) &&
		same_targets(a, b);
}
