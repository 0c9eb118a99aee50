#include "run/keys.h"

#include "check/finding.h"
#include "run/kind.h"
#include "run/path.h"
#include "run/ref.h"

#include <string.h>

enum {
	TIME_MAX = 0x7fffffff,       /* RFC 2181 8, and enough */
	WAIT_MAX = 4 * 604800,       /* of times in 32 bits of milliseconds */
	SOCKET_PATH_MAX = 107,       /* sun_path */
};

const char *const keys_sections[] = {"server", "keys", "remotes", "providers", "acls", "templates", "zones", "zone-lists", NULL};

const struct conf_settings keys_default_settings = {
	.file = "%s.zone", .ixfr = true,
	.refresh_min = 2, .refresh_max = 4 * 604800, .retry_min = 1, .retry_max = 2 * 604800, .expire_max = 4 * 604800,
	.max_zone_size = 1 << 30, .max_records_per_type = 4000, .max_types_per_name = 100, .zonefile_sync = 60,
	.rollback = CONF_AFTER_EXPIRE, .zonemd = CONF_ZONEMD_CHECK,
	.catalog_max = 200000,
	.approve = {.timeout = 300, .max_change = 100},
	.check = {.lag_warn = 300, .lag_crit = 3600, .ttl_min = 3600, .expire_warn = 259200, .expire_crit = 86400, .sample = 20,
		.on_change = {.timeout = 60}},
};

/* --- kinds of this file's own ---------------------------------------------------- */

static bool read_one_severity(struct key_reader *reader, const config_setting_t *setting, struct finding_levels *levels)
{
	const char *name = config_setting_name(setting), *word = key_text_value(reader, setting, "a string");
	enum finding_severity severity;
	enum finding_id id;
	char hint[128];

	if (!word)
		return false;
	if (!finding_parse(name, &id))
		return key_fail(reader, setting, "there is no such finding%s", key_hint(name, finding_names, hint));
	if (!finding_severity_parse(word, &severity))
		return key_fail(reader, setting, "\"%.40s\" is none of \"off\", \"warning\", \"critical\", \"unknown\"", word);
	levels->level[id] = (uint8_t)(severity + 1);
	return true;
}

static bool read_severity(struct key_reader *reader, const struct key *key, const config_setting_t *setting, void *base)
{
	if (!config_setting_is_group(setting))
		return key_wrong_type(reader, setting, "a group: { NAME = \"SEVERITY\"; ... }");
	for (int i = 0; i < config_setting_length(setting); i++)
		if (!read_one_severity(reader, config_setting_get_elem(setting, (unsigned)i), (void *)((char *)base + key->at)))
			return false;
	return true;
}

static void write_severity(struct key_writer *writer, const struct key *key, const void *base)
{
	const struct finding_levels *levels = (const void *)((const char *)base + key->at);

	key_write_open(writer, key->name, '{');
	for (unsigned i = 0; i < FINDING_COUNT; i++)
		if (levels->level[i])
			key_write_text(writer, finding_names[i], finding_severity_name((enum finding_severity)(levels->level[i] - 1)));
	key_write_close(writer, key->name, '{');
}

static bool put_text(const struct key *key, void *base, const char *text)
{
	memcpy((char *)base + key->at, &text, sizeof text);
	return text != NULL;
}

static void write_text(struct key_writer *writer, const struct key *key, const void *base)
{
	const char *text;

	memcpy(&text, (const char *)base + key->at, sizeof text);
	if (text)
		key_write_text(writer, key->name, text);
}

static bool read_pattern(struct key_reader *reader, const struct key *key, const config_setting_t *setting, void *base)
{
	const char *text = key_text_value(reader, setting, "a path");
	struct why why;

	if (text && path_check(text, &why))
		return key_fail(reader, setting, "%s", why.text);
	return text && put_text(key, base, key_keep_text(reader, text));
}

/* The text stays in libconfig's memory, which is given back at the end of reading. */
static bool read_borrowed(struct key_reader *reader, const struct key *key, const config_setting_t *setting, void *base)
{
	return put_text(key, base, key_text_value(reader, setting, "a string"));
}

static bool read_tls(struct key_reader *reader, const struct key *key, const config_setting_t *setting, void *base)
{
	struct conf_tls *tls = &((struct conf_remote *)base)->tls;

	tls->on = true;
	if (!key_read(reader, key->table, setting, base))
		return false;
	if (!tls->auth_name && !tls->pin_count)
		return key_fail(reader, setting, "\"auth-name\" is missing: the name that the server's certificate must show (or \"pin\")");
	if (tls->ca && !tls->auth_name)
		return key_fail(reader, setting, "\"ca\" has no meaning without \"auth-name\"");
	if (!tls->cert != !tls->key)
		return key_fail(reader, setting, "\"%s\" is missing", tls->cert ? "key" : "cert");
	return true;
}

static void write_tls(struct key_writer *writer, const struct key *key, const void *base)
{
	if (((const struct conf_remote *)base)->tls.on)
		key_group.write(writer, key, base);
}

static void write_approve(struct key_writer *writer, const struct key *key, const void *base)
{
	const struct conf_approve *approve = &((const struct conf_settings *)base)->approve;

	if (approve->command || approve->max_change < 100)
		key_group.write(writer, key, base);
}

static bool read_as_group(struct key_reader *reader, const struct key *key, const config_setting_t *setting, void *base)
{
	return key_read(reader, key->table, setting, base);
}

static const struct key_kind kind_severity = {read_severity, write_severity}, kind_pattern = {read_pattern, write_text},
	kind_borrowed = {read_borrowed, write_text}, kind_tls = {read_tls, write_tls}, kind_approve = {read_as_group, write_approve};

/* --- all keys -------------------------------------------------------------------- */

static const char *const log_targets[] = {"stderr", "syslog", NULL};
static const char *const log_levels[] = {"error", "warning", "notice", "info", "debug", NULL};
static const char *const sources[] = {"transfer", "file", NULL};
static const char *const choices[] = {"first", "newest", NULL};
static const char *const rollbacks[] = {"refuse", "after-expire", "accept", NULL};
static const char *const zonemds[] = {"off", "check", "require", NULL};
static const char *const dnssecs[] = {"off", "check", NULL};
static const char *const ns_modes[] = {"off", "warn", "require", "rewrite", NULL};
static const char *const catalogs[] = {"off", "consume", "produce", NULL};
static const char *const actions[] = {"allow", "deny", NULL};

#define S struct conf
static const struct key log_keys[] = {
	KEY(S, "target", word_text, server.log_target, .words = log_targets),
	KEY(S, "level", word_text, server.log_level, .words = log_levels),
	KEY_LAST
};
static const struct key limit_keys[] = {
	KEY(S, "transfers", number, server.limits.transfers, .min = 1, .max = 65535),
	KEY(S, "transfers-per-primary", number, server.limits.transfers_per_primary, .min = 1, .max = 65535),
	KEY(S, "connect", ms, server.limits.connect, .min = 1, .max = WAIT_MAX),
	KEY(S, "transfer-idle", ms, server.limits.transfer_idle, .min = 1, .max = WAIT_MAX),
	KEY(S, "transfer-time", ms, server.limits.transfer_time, .min = 1, .max = WAIT_MAX),
	KEY(S, "transfer-rate", number, server.limits.transfer_rate, .max = 1000000000),
	KEY(S, "transfer-messages", number, server.limits.transfer_messages, .max = UINT32_MAX),
	KEY(S, "tcp-clients", number, server.limits.tcp_clients, .min = 1, .max = 1000000),
	KEY(S, "tcp-idle", ms, server.limits.tcp_idle, .min = 1, .max = WAIT_MAX),
	KEY(S, "check-rate", number, server.limits.check_rate, .min = 1, .max = 1000000),
	KEY(S, "zones-added", number, server.limits.zones_added, .min = 0, .max = 10000000),
	KEY_LAST
};
static const struct key rrl_keys[] = {
	KEY(S, "rate", number, server.rrl.rate, .min = 0, .max = 10000000),
	KEY(S, "slip", number, server.rrl.slip, .min = 0, .max = 100),
	KEY(S, "log-only", bool, server.rrl.log_only),
	KEY_LIST(S, "allow", prefixes, server.rrl.allow, server.rrl.allow_count),
	KEY_LAST
};
const struct key keys_server[] = {
	KEY_LIST(S, "listen", addresses, server.listen, server.listen_count, .min = 1, .max = 53),
	KEY_LIST(S, "listen-tls", addresses, server.listen_tls, server.listen_tls_count, .max = 853),
	KEY(S, "tls-cert", path, server.tls_cert),
	KEY(S, "tls-key", path, server.tls_key),
	KEY(S, "tls-ca", path, server.tls_ca),
	KEY(S, "workers", number, server.workers, .min = 0, .max = 256),
	KEY(S, "user", string, server.user),
	KEY(S, "state-dir", path, server.state_dir),
	KEY(S, "zone-dir", path, server.zone_dir),
	KEY(S, "control", path, server.control, .max = SOCKET_PATH_MAX),
	KEY(S, "metrics", address, server.metrics, .max = 9153),
	KEY(S, "identity", string, server.identity),
	KEY(S, "version", string, server.version),
	KEY(S, "udp-payload", number, server.udp_payload, .min = 512, .max = 4096),
	KEY(S, "minimal-responses", bool, server.minimal_responses),
	KEY(S, "cookies", bool, server.cookies),
	KEY(S, "cookie-secret-file", path, server.cookie_secret_file),
	KEY_GROUP("rrl", rrl_keys),
	KEY_GROUP("limits", limit_keys),
	KEY_GROUP("log", log_keys),
	KEY_LAST
};
#undef S

/* A key as it is written; printed too. */
const struct key keys_key[] = {
	KEY(struct keys_key_row, "name", name, name),
	KEY(struct keys_key_row, "algorithm", string, algorithm),
	KEY(struct keys_key_row, "secret", borrowed, secret),
	KEY(struct keys_key_row, "secret-file", path, secret_file),
	KEY_LAST
};

#define S struct conf_remote
static const struct key tls_keys[] = {
	KEY(S, "auth-name", string, tls.auth_name),
	KEY(S, "ca", path, tls.ca),
	KEY_LIST(S, "pin", pins, tls.pins, tls.pin_count, .min = 1),
	KEY(S, "cert", path, tls.cert),
	KEY(S, "key", path, tls.key),
	KEY_LAST
};
#define REMOTE_KEYS(port) { \
	KEY(S, "name", string, name), \
	KEY_LIST(S, "address", addresses, addresses, address_count, .min = 1, .max = port), \
	KEY(S, "key", ref_domain, key, .from = KEYS), \
	{.name = "tls", .kind = &kind_tls, .table = tls_keys}, \
	KEY_LAST \
}
const struct key keys_remote[] = REMOTE_KEYS(53), keys_remote_tls[] = REMOTE_KEYS(853);
#undef S

const struct key keys_acl[] = {
	KEY(struct conf_acl, "name", string, name),
	KEY_LIST(struct conf_acl, "address", prefixes, prefixes, prefix_count),
	KEY(struct conf_acl, "key", ref_domain, key, .from = KEYS),
	KEY(struct conf_acl, "action", word_bool, deny, .words = actions),
	KEY(struct conf_acl, "tls", bool, tls),
	KEY(struct conf_acl, "cert-name", string, cert_name),
	KEY_LIST(struct conf_acl, "cert-pin", pins, pins, pin_count, .min = 1),
	KEY_LAST
};
const struct key keys_provider[] = {
	KEY(struct conf_provider, "name", string, name),
	KEY_LIST(struct conf_provider, "ns", names, ns, ns_count, .min = 1),
	KEY_LAST
};

#define S struct conf_settings
static const struct key approve_keys[] = {
	KEY(S, "command", path, approve.command),
	KEY(S, "timeout", seconds, approve.timeout, .min = 1, .max = TIME_MAX),
	KEY(S, "max-change", percent, approve.max_change),
	KEY_LAST
};
static const struct key ns_set_keys[] = {
	KEY(S, "mode", word, ns_set.mode, .words = ns_modes),
	KEY_LIST(S, "providers", refs, ns_set.providers, ns_set.provider_count, .from = PROVIDERS),
	KEY_LIST(S, "names", names, ns_set.names, ns_set.name_count),
	KEY(S, "ttl", seconds, ns_set.ttl, .max = TIME_MAX),
	KEY_LAST
};
static const struct key on_change_keys[] = {
	KEY(S, "command", path, check.on_change.command),
	KEY(S, "timeout", seconds, check.on_change.timeout, .min = 1, .max = TIME_MAX),
	KEY_LAST
};
static const struct key check_keys[] = {
	KEY(S, "every", seconds, check.every, .max = TIME_MAX),
	KEY(S, "lag-warn", seconds, check.lag_warn, .max = TIME_MAX),
	KEY(S, "lag-crit", seconds, check.lag_crit, .max = TIME_MAX),
	KEY(S, "ttl-min", seconds, check.ttl_min, .max = TIME_MAX),
	KEY(S, "expire-warn", seconds, check.expire_warn, .max = TIME_MAX),
	KEY(S, "expire-crit", seconds, check.expire_crit, .max = TIME_MAX),
	KEY(S, "sample", number, check.sample, .max = 10000),
	KEY(S, "resolver", address, check.resolver, .max = 53),
	KEY(S, "severity", severity, check.severity),
	KEY_GROUP("on-change", on_change_keys),
	KEY_LAST
};
static const struct key settings_keys[] = {
	KEY_LIST(S, "primaries", refs, primaries, primary_count, .from = REMOTES),
	KEY(S, "source", word, source, .words = sources),
	KEY(S, "file", pattern, file),
	KEY_LIST(S, "allow-notify", refs_of_two, allow_notify, allow_notify_count, .from = REMOTES),
	KEY_LIST(S, "notify", refs, notify, notify_count, .from = REMOTES),
	KEY_LIST(S, "allow-transfer", refs_of_two, allow_transfer, allow_transfer_count, .from = REMOTES),
	KEY(S, "ixfr", bool, ixfr),
	KEY(S, "refresh-min", seconds, refresh_min, .min = 1, .max = TIME_MAX),
	KEY(S, "refresh-max", seconds, refresh_max, .min = 1, .max = TIME_MAX),
	KEY(S, "retry-min", seconds, retry_min, .min = 1, .max = TIME_MAX),
	KEY(S, "retry-max", seconds, retry_max, .min = 1, .max = TIME_MAX),
	KEY(S, "expire-min", seconds, expire_min, .max = TIME_MAX),
	KEY(S, "expire-max", seconds, expire_max, .min = 1, .max = TIME_MAX),
	KEY(S, "max-zone-size", size, max_zone_size, .max = INT64_MAX),
	KEY(S, "max-records", number64, max_records, .max = INT64_MAX),
	KEY(S, "max-records-per-type", number, max_records_per_type, .max = UINT16_MAX),
	KEY(S, "max-types-per-name", number, max_types_per_name, .max = UINT16_MAX),
	KEY(S, "zonefile-sync", seconds_or_never, zonefile_sync, .min = -1, .max = TIME_MAX),
	KEY(S, "primary-choice", word, primary_choice, .words = choices),
	KEY(S, "rollback", word, rollback, .words = rollbacks),
	KEY(S, "zonemd", word, zonemd, .words = zonemds),
	KEY(S, "dnssec", word_bool, dnssec_check, .words = dnssecs),
	{.name = "approve", .kind = &kind_approve, .table = approve_keys},
	KEY_GROUP("ns-set", ns_set_keys),
	KEY_GROUP("check", check_keys),
	KEY(S, "catalog", word, catalog, .words = catalogs),
	KEY(S, "catalog-template", string, catalog_template),
	KEY_LIST(S, "catalog-members-under", names, catalog_under, catalog_under_count),
	KEY(S, "catalog-members-max", number64, catalog_max, .min = 1, .max = 10000000),
	KEY(S, "catalog-zone", name, catalog_zone),
	KEY(S, "catalog-group", string, catalog_group),
	KEY_LAST
};
#undef S

const struct key keys_template[] = {
	KEY(struct conf_template, "name", string, name),
	{.name = "", .kind = &key_group, .at = offsetof(struct conf_template, given), .table = settings_keys},
	KEY_LAST
};
const struct key keys_zone[] = {
	KEY(struct keys_zone_row, "name", own_name, name),
	KEY(struct keys_zone_row, "template", string, template_name),
	{.name = "", .kind = &key_group, .at = offsetof(struct keys_zone_row, set), .table = settings_keys},
	KEY_LAST
};
const struct key keys_zone_list[] = {
	KEY(struct keys_zone_list_row, "file", path, file),
	KEY(struct keys_zone_list_row, "template", string, template_name),
	KEY_LAST
};
