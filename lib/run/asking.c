#include "run/asking.h"

#include "run/conf.h"
#include "run/keys.h"
#include "run/path.h"

#include <stdio.h>
#include <string.h>

enum { TIMEOUT_MS = 5000 };
#define RESOLV_CONF "/etc/resolv.conf"

/* --- options ------------------------------------------------------------------- */

static enum err read_address(const char *option, const char *text, struct net_addr *out, struct why *why)
{
	struct why inner;

	if (!text || net_addr_parse(out, text, 53, &inner) == ERR_OK)
		return ERR_OK;
	return err_why(why, ERR_SYNTAX, "--%s: %s", option, inner.text);
}

/* NAME[/ADDRESS[@PORT]] */
static enum err read_given(struct asking *asking, const char *text, struct arena *arena, struct why *why)
{
	struct survey_given *given = &asking->given[asking->given_count];
	const char *slash = strchr(text, '/');
	uint8_t name[NAME_SIZE];
	struct why inner;

	if (strcspn(text, "@:") < (slash ? (size_t)(slash - text) : strlen(text)))
		return err_why(why, ERR_SYNTAX, "--ns %.100s: an address stands behind the name and a slash: NAME/ADDRESS@PORT", text);
	if (name_parse(text, slash ? (size_t)(slash - text) : strlen(text), NULL, name, &inner) ||
		(slash && net_addr_parse(&given->address, slash + 1, asking->port ? asking->port : 53, &inner)))
		return err_why(why, ERR_SYNTAX, "--ns %.100s: %s", text, inner.text);
	given->name = arena_dup(arena, name, name_length(name));
	asking->given_count++;
	return given->name ? ERR_OK : err_why(why, ERR_NOMEM, "out of memory");
}

enum err asking_read(struct asking *asking, const struct command_asking *options, struct arena *arena, struct why *why)
{
	enum err err;

	*asking = (struct asking){.port = options->port, .timeout_ms = options->timeout_ms ? options->timeout_ms : TIMEOUT_MS,
		.no_v4 = options->v6, .no_v6 = options->v4};
	err = read_address("resolver", options->resolver, &asking->resolver, why);
	if (!err)
		err = read_address("parent", options->parent, &asking->parent, why);
	asking->given = arena_zero(arena, (options->ns_count + 1) * sizeof *asking->given);
	if (!err && !asking->given)
		err = err_why(why, ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < options->ns_count && !err; i++)
		err = read_given(asking, options->ns[i], arena, why);
	asking_system(asking);
	return err;
}

/* The file is looked at before it is read: who writes it meanwhile makes it another one. */
bool asking_system(struct asking *asking)
{
	struct file_mark mark = file_mark_of(RESOLV_CONF, NULL);

	if (asking->system_count && mark.sum == asking->system_mark.sum)
		return false;
	asking->system_mark = mark;
	asking->system_count = resolve_system(RESOLV_CONF, asking->system);
	return true;
}

/* --- a zone's settings ------------------------------------------------------------ */

const struct conf_settings *asking_settings(const struct conf *conf, const uint8_t *zone)
{
	const struct conf_zone *own = conf ? conf_find_zone(conf, zone) : NULL;

	if (!conf)
		return &keys_default_settings;
	if (own)
		return own->set;
	for (size_t i = 0; i < conf->template_count; i++)
		if (strcmp(conf->templates[i].name, "default") == 0)
			return conf->templates[i].set;
	return conf->default_set;
}

const char *asking_state_dir(const struct conf *conf)
{
	return conf ? conf->server.state_dir : LOCALSTATEDIR "/lib/lockstep";
}

bool asking_memory_path(const struct conf *conf, const uint8_t *zone, char *out, size_t size)
{
	int n = snprintf(out, size, "%s/check/", asking_state_dir(conf));

	return n > 0 && (size_t)n < size && path_expand("%s", zone, out, size);
}

/* --- whom to ask ------------------------------------------------------------------ */

/* The names in the set that every provider must show: of the providers, and the others; none where that is not wanted. */
static bool put_expected(const struct conf_ns_set *set, struct arena *arena, const uint8_t *const **names, size_t *count)
{
	const uint8_t **list;
	size_t n = set->name_count;

	*names = NULL;
	*count = 0;
	if (set->mode == CONF_NS_OFF)
		return true;
	for (size_t i = 0; i < set->provider_count; i++)
		n += set->providers[i]->ns_count;
	list = arena_alloc(arena, (n + 1) * sizeof *list);
	if (!list)
		return false;
	for (size_t i = 0; i < set->provider_count; i++)
		for (size_t j = 0; j < set->providers[i]->ns_count; j++)
			list[(*count)++] = set->providers[i]->ns[j];
	for (size_t i = 0; i < set->name_count; i++)
		list[(*count)++] = set->names[i];
	*names = list;
	return true;
}

static bool put_primaries(const struct asking *asking, const struct conf_settings *set, struct arena *arena, struct survey_settings *out)
{
	struct survey_primary *list;
	size_t n = 0;

	for (size_t i = 0; i < set->primary_count; i++)
		n += set->primaries[i]->address_count;
	list = arena_zero(arena, (n + 1) * sizeof *list);
	if (!list)
		return false;
	for (size_t i = 0; i < set->primary_count; i++) {
		const struct conf_remote *remote = set->primaries[i];

		for (size_t j = 0; j < remote->address_count; j++)
			list[out->primary_count++] = (struct survey_primary){.name = remote->name, .address = remote->addresses[j],
				.key = remote->key, .tls = remote->tls.client,
				.unasked = asking->over_tls && remote->tls.on && !remote->tls.client ? remote->tls.unloaded : NULL,
				.passed_over = remote->tls.on && !asking->over_tls};
	}
	out->primaries = list;
	return true;
}

/* No transfer is tried at a remote: who is one may transfer, or is one's own. */
static bool put_remotes(const struct conf *conf, struct arena *arena, struct survey_settings *out)
{
	struct net_addr *list;
	size_t n = 0;

	for (size_t i = 0; conf && i < conf->remote_count; i++)
		n += conf->remotes[i].address_count;
	list = arena_zero(arena, (n + 1) * sizeof *list);
	if (!list)
		return false;
	for (size_t i = 0; conf && i < conf->remote_count; i++)
		for (size_t j = 0; j < conf->remotes[i].address_count; j++)
			list[out->no_transfer_count++] = conf->remotes[i].addresses[j];
	out->no_transfer = list;
	return true;
}

bool asking_survey(const struct asking *asking, const struct conf *conf, const struct conf_settings *set, struct arena *arena,
	struct survey_settings *out)
{
	*out = (struct survey_settings){.given = asking->given, .given_count = asking->given_count, .parent = asking->parent,
		.port = asking->port, .no_v4 = asking->no_v4, .no_v6 = asking->no_v6,
		.resolvers = asking->system, .resolver_count = asking->system_count};
	if (asking->resolver.sa.sa_family != AF_UNSPEC) {
		out->resolvers = &asking->resolver;
		out->resolver_count = 1;
	} else if (set->check.resolver) {
		out->resolvers = set->check.resolver;
		out->resolver_count = 1;
	}
	return put_expected(&set->ns_set, arena, &out->providers, &out->provider_count) && put_primaries(asking, set, arena, out) &&
		put_remotes(conf, arena, out);
}

/* --- by what to judge --------------------------------------------------------------- */

static uint32_t unless_default(uint32_t value, uint32_t usual)
{
	return value == usual ? 0 : value;
}

bool asking_verdict(const struct asking *asking, const struct conf *conf, const struct conf_settings *set, struct arena *arena,
	struct verdict_settings *out)
{
	const struct conf_settings *usual = &keys_default_settings;
	struct verdict_provider *providers = arena_zero(arena, ((conf ? conf->provider_count : 0) + 1) * sizeof *providers);

	if (!providers)
		return false;
	for (size_t i = 0; conf && i < conf->provider_count; i++)
		providers[i] = (struct verdict_provider){conf->providers[i].name, conf->providers[i].ns, conf->providers[i].ns_count};
	*out = (struct verdict_settings){.lag_warn = set->check.lag_warn, .lag_crit = set->check.lag_crit,
		.ttl_min = set->check.ttl_min, .expire_warn = set->check.expire_warn,
		.expire_crit = set->check.expire_crit, .providers = providers, .provider_count = conf ? conf->provider_count : 0,
		.refresh_min = unless_default(set->refresh_min, usual->refresh_min),
		.refresh_max = unless_default(set->refresh_max, usual->refresh_max),
		.retry_min = unless_default(set->retry_min, usual->retry_min), .retry_max = unless_default(set->retry_max, usual->retry_max),
		.expire_min = unless_default(set->expire_min, usual->expire_min), .expire_max = unless_default(set->expire_max, usual->expire_max),
		.one_family = asking->no_v4 || asking->no_v6, .levels = set->check.severity};
	return put_expected(&set->ns_set, arena, &out->expected, &out->expected_count);
}
