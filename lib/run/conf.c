#include "run/conf.h"

#include "base/array.h"
#include "base/file.h"
#include "run/keys.h"
#include "run/kind.h"
#include "run/path.h"
#include "run/print.h"
#include "run/ref.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SECRET_FILE_MAX = 4096, GROUP_MAX = 255 /* RFC 1035 3.3.14: one string */ };

#ifdef __SANITIZE_ADDRESS__
/* libconfig 1.5 does not free the string that a syntax error stands behind. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_options(void);
const char *__lsan_default_suppressions(void) { return "leak:strbuf_append\n"; }
const char *__lsan_default_options(void) { return "print_suppressions=0"; }
#endif

/* A zone, and the line that names it. */
struct entry {
	struct conf_zone zone;
	const char *file;
	unsigned line;
	size_t number;               /* in the file's order */
};

/* A configuration being read. */
struct reading {
	struct key_reader reader;
	struct ref_index indices[INDICES];
	struct source source;
	struct conf *conf;
	config_t file;
	const struct conf_template *default_template;   /* NULL: none has this name */
	struct conf_settings defaults;
	const struct conf_settings *default_set;
	struct conf_settings last_given;       /* of a zone with settings of its own; */
	const struct conf_settings *last_set;  /* what they became; NULL: there was none */
	struct entry *entries; size_t entry_count, entry_room;
	const char **warnings; size_t warning_count;
	const char *open_file;       /* that everybody may read, and for which it was said */
};

/* --- the server ------------------------------------------------------------------ */

const char *conf_default_path(void)
{
	return SYSCONFDIR "/lockstep/lockstep.conf";
}

static unsigned count_processors(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
		return (unsigned)CPU_COUNT(&set);
	return 1;
}

static void server_defaults(struct conf *conf)
{
	conf->server.state_dir = LOCALSTATEDIR "/lib/lockstep";
	conf->server.control = RUNSTATEDIR "/lockstep/control.sock";
	conf->server.log_target = "stderr";
	conf->server.log_level = "info";
	conf->server.udp_payload = 1232;
	conf->server.minimal_responses = true;
	conf->server.cookies = true;
	conf->server.rrl.slip = 2;
	conf->server.limits.transfers = 64;
	conf->server.limits.transfers_per_primary = 8;
	conf->server.limits.connect = 5000;
	conf->server.limits.transfer_idle = 30000;
	conf->server.limits.transfer_time = 7200000;
	conf->server.limits.transfer_rate = 100;
	conf->server.limits.transfer_messages = 10000000;
	conf->server.limits.tcp_clients = 1000;
	conf->server.limits.tcp_idle = 10000;
	conf->server.limits.zones_added = 100000;
	conf->server.limits.check_rate = 50;
}

static bool listen_everywhere(struct reading *r)
{
	struct net_addr all[2];

	net_addr_parse(&all[0], "0.0.0.0", 53, NULL);
	net_addr_parse(&all[1], "::", 53, NULL);
	r->conf->server.listen_all = true;
	r->conf->server.listen = key_keep(&r->reader, all, sizeof all);
	r->conf->server.listen_count = 2;
	return r->conf->server.listen;
}

static bool warn_at(struct reading *r, const char *file, unsigned line, const char *place, const char *what)
{
	const char **list = reallocarray(r->warnings, r->warning_count + 1, sizeof *list);

	if (!list)
		return key_no_memory(&r->reader);
	r->warnings = list;
	list[r->warning_count] = arena_printf(&r->conf->arena, "%s:%u: %s: %s", file, line, place, what);
	return list[r->warning_count++] || key_no_memory(&r->reader);
}

static bool warn(struct reading *r, const config_setting_t *setting, const char *what)
{
	char place[128];
	const char *file;
	unsigned line;

	key_place(setting, place);
	source_where(&r->source, config_setting_source_line(setting), &file, &line);
	return warn_at(r, file, line, place, what);
}

static const config_setting_t *member_or(const config_setting_t *group, const char *name)
{
	const config_setting_t *member = config_setting_get_member(group, name);

	return member ? member : group;
}

static bool all_may_read(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && st.st_mode & S_IROTH;
}

/* To be released by forget_file; false: it could not be read. */
static bool open_secret_file(struct reading *r, const config_setting_t *setting, const char *path, struct file_bytes *file)
{
	struct why why;

	if (file_read(path, SECRET_FILE_MAX, file, &why))
		return key_fail(&r->reader, setting, "%s", why.text);
	return !all_may_read(path) || warn(r, setting, "everybody on this machine may read the secret");
}

static void forget_file(struct file_bytes *file)
{
	if (file->bytes)
		explicit_bzero(file->bytes, file->length);
	file_bytes_release(file);
}

static bool read_cookie_secrets(struct reading *r, const config_setting_t *group)
{
	const char *path = r->conf->server.cookie_secret_file;
	const config_setting_t *setting = member_or(group, "cookie-secret-file");
	struct cookie_secrets *secrets = arena_zero(&r->conf->arena, sizeof *secrets);
	struct file_bytes file = {0};
	struct why why;
	bool fine;

	r->conf->server.cookie_secrets = secrets;
	if (!secrets)
		return key_no_memory(&r->reader);
	fine = open_secret_file(r, setting, path, &file);
	if (fine && cookie_secrets_parse(secrets, file.bytes, file.length, &why))
		fine = key_fail(&r->reader, setting, "%s: %s", path, why.text);
	forget_file(&file);
	return fine;
}

/* That listen-tls has what it needs; the files are read by who uses them. */
static bool check_tls(struct reading *r, const config_setting_t *group)
{
	const config_setting_t *where = group ? config_setting_get_member(group, "listen-tls") : NULL;
	const struct conf *conf = r->conf;
	char address[NET_ADDR_TEXT];
	struct stat st;

	if (!conf->server.listen_tls_count)
		return true;
	if (!conf->server.tls_cert || !conf->server.tls_key)
		return key_fail(&r->reader, where, "\"%s\" is missing", conf->server.tls_cert ? "tls-key" : "tls-cert");
	for (size_t i = 0; i < conf->server.listen_tls_count; i++)
		for (size_t j = 0; j < conf->server.listen_count; j++)
			if (net_addr_equal(&conf->server.listen_tls[i], &conf->server.listen[j]))
				return key_fail(&r->reader, where, "%s is in \"listen\" too: one of them needs another port",
					net_addr_text(&conf->server.listen_tls[i], 0, address));
	if (stat(conf->server.tls_key, &st) == 0 && (st.st_mode & S_IROTH))
		return warn(r, config_setting_get_member(group, "tls-key"), "everybody on this machine may read the key");
	return true;
}

static bool read_server(struct reading *r)
{
	const config_setting_t *group = config_setting_get_member(config_root_setting(&r->file), "server");
	struct conf *conf = r->conf;

	server_defaults(conf);
	if (group && !key_read(&r->reader, keys_server, group, conf))
		return false;
	if (!conf->server.listen && !listen_everywhere(r))
		return false;
	if (conf->server.cookie_secret_file && !read_cookie_secrets(r, group))
		return false;
	if (!conf->server.workers)
		conf->server.workers = count_processors();
	if (!conf->server.zone_dir)
		conf->server.zone_dir = arena_printf(&conf->arena, "%s/zones", conf->server.state_dir);
	return (conf->server.zone_dir || key_no_memory(&r->reader)) && check_tls(r, group);
}

/* --- sections that are lists ----------------------------------------------------- */

/* The section's list, NULL if there is none or (with an error) if it is none; `*n`: its length. */
static const config_setting_t *section_list(struct reading *r, const config_t *file, const char *name, size_t *n)
{
	const config_setting_t *list = config_setting_get_member(config_root_setting(file), name);

	*n = 0;
	if (!list)
		return NULL;
	if (!config_setting_is_list(list) && !(config_setting_is_array(list) && config_setting_length(list) == 0)) {
		key_wrong_type(&r->reader, list, "a list of groups: ( { ... }, { ... } )");
		return NULL;
	}
	*n = (size_t)config_setting_length(list);
	return list;
}

/* Reads one element into `item`, zeroed, and gives the name under which others find it. */
typedef bool read_item(struct reading *, const config_setting_t *, void *item, const char **name);

static bool read_section(struct reading *r, const char *section, size_t size, read_item *read, struct ref_index *index,
	const void **items, size_t *count)
{
	size_t n;
	const config_setting_t *list = section_list(r, &r->file, section, &n);
	char *all = arena_zero(&r->conf->arena, n * size + 1);

	if (r->reader.err || (!all && !key_no_memory(&r->reader)) || !ref_begin(&r->reader, index, n))
		return false;
	for (size_t i = 0; i < n; i++) {
		const config_setting_t *element = config_setting_get_elem(list, (unsigned)i);
		const char *name = NULL;

		if (!read(r, element, all + i * size, &name))
			return false;
		if (!name)
			return key_fail(&r->reader, element, "\"name\" is missing");
		ref_add(index, name, all + i * size, element);
	}
	*items = all;
	*count = n;
	return ref_end(&r->reader, index);
}

/* Said once, not for each of the keys that follow each other in a file. */
static bool warn_of_open_file(struct reading *r, const config_setting_t *setting)
{
	const char *file;
	unsigned line;

	source_where(&r->source, config_setting_source_line(setting), &file, &line);
	if ((r->open_file && strcmp(r->open_file, file) == 0) || !all_may_read(file))
		return true;
	r->open_file = file;
	return warn(r, setting, "everybody on this machine may read the secret");
}

/* The file's content without white space at its ends, to be released by forget_file. */
static const char *read_secret_file(struct reading *r, const config_setting_t *setting, const char *path, struct file_bytes *file)
{
	char *text;

	if (!open_secret_file(r, setting, path, file))
		return NULL;
	text = file->bytes;
	while (file->length && strchr(" \t\r\n", text[file->length - 1]))
		text[--file->length] = 0;
	return text + strspn(text, " \t\r\n");
}

static bool parse_key(struct reading *r, const config_setting_t *group, const struct keys_key_row *text, struct tsig_key *key)
{
	static const char some_secret[] = "c29tZSBzZWNyZXQgdGhhdCBpcyBsb25nIGVub3VnaCBmb3IgYWxs";
	const config_setting_t *secret_setting = member_or(group, text->secret ? "secret" : "secret-file");
	char name[NAME_TEXT_SIZE];
	struct file_bytes file = {0};
	const char *secret = text->secret;
	struct why why = {""};
	bool fine = false;

	name_text(text->name, name);
	if (tsig_key_parse(key, name, text->algorithm, some_secret, &why))
		return key_fail(&r->reader, member_or(group, "algorithm"), "%s", why.text);
	if (!secret)
		secret = read_secret_file(r, secret_setting, text->secret_file, &file);
	if (secret && !*secret)
		key_fail(&r->reader, secret_setting, "the secret is empty");
	else if (secret && tsig_key_parse(key, name, text->algorithm, secret, &why))
		key_fail(&r->reader, secret_setting, "%s", why.text);
	else if (secret)
		fine = !text->secret || warn_of_open_file(r, secret_setting);
	forget_file(&file);
	return fine;
}

static bool read_key(struct reading *r, const config_setting_t *group, void *item, const char **name)
{
	struct keys_key_row text = {.algorithm = "hmac-sha256"};
	char printed[NAME_TEXT_SIZE];

	if (!key_read(&r->reader, keys_key, group, &text))
		return false;
	if (!text.name)
		return true;
	if (!text.secret == !text.secret_file)
		return key_fail(&r->reader, group, text.secret ? "both \"secret\" and \"secret-file\" are given"
			: "\"secret\" or \"secret-file\" is missing");
	*name = key_keep_text(&r->reader, name_text(text.name, printed));
	((const char **)(void *)r->conf->key_files)[config_setting_index(group)] = text.secret_file;
	return *name && parse_key(r, group, &text, item);
}

static bool read_remote(struct reading *r, const config_setting_t *group, void *item, const char **name)
{
	struct conf_remote *remote = item;
	const config_setting_t *tls = config_setting_is_group(group) ? config_setting_get_member(group, "tls") : NULL;

	if (!key_read(&r->reader, tls ? keys_remote_tls : keys_remote, group, remote))
		return false;
	if (!remote->address_count)
		return key_fail(&r->reader, group, "\"address\" is missing");
	*name = remote->name;
	return !remote->tls.key || !all_may_read(remote->tls.key) || warn(r, tls, "everybody on this machine may read the key");
}

/* A rule about certificates is one for TLS alone. */
static bool check_certificate(struct reading *r, const config_setting_t *group, struct conf_acl *acl)
{
	const config_setting_t *tls = config_setting_get_member(group, "tls");

	if (!acl->cert_name && !acl->pin_count)
		return true;
	if (tls && !acl->tls)
		return key_fail(&r->reader, tls, "\"%s\" is for requests over TLS alone", acl->cert_name ? "cert-name" : "cert-pin");
	if (acl->cert_name && !r->conf->server.tls_ca)
		return key_fail(&r->reader, config_setting_get_member(group, "cert-name"),
			"\"server.tls-ca\" is missing: the authorities of the clients' certificates");
	acl->tls = true;
	return true;
}

static bool read_acl(struct reading *r, const config_setting_t *group, void *item, const char **name)
{
	struct conf_acl *acl = item;

	if (!key_read(&r->reader, keys_acl, group, acl))
		return false;
	*name = acl->name;
	return check_certificate(r, group, acl);
}

static bool read_provider(struct reading *r, const config_setting_t *group, void *item, const char **name)
{
	struct conf_provider *provider = item;

	if (!key_read(&r->reader, keys_provider, group, provider))
		return false;
	if (!provider->ns_count)
		return key_fail(&r->reader, group, "\"ns\" is missing");
	*name = provider->name;
	return true;
}

/* --- settings of zones ----------------------------------------------------------- */

static bool check_clamp(struct reading *r, const config_setting_t *group, const char *low, uint32_t min, const char *high,
	uint32_t max)
{
	const config_setting_t *where;

	if (min <= max)
		return true;
	where = config_setting_get_member(group, low);
	return key_fail(&r->reader, where ? where : member_or(group, high), "%s (%u s) is more than %s (%u s)", low, min, high, max);
}

/* What cannot be seen in the settings, only where they are written. */
static bool check_approve(struct reading *r, const config_setting_t *group, const struct conf_settings *set)
{
	const config_setting_t *where = set->approve.max_change == 100 && !set->approve.command ? config_setting_get_member(group, "approve") : NULL;

	return !where || key_fail(&r->reader, where, "\"command\" or \"max-change\" is missing");
}

static bool check_settings(struct reading *r, const config_setting_t *group, const struct conf_settings *set)
{
	const struct conf_ns_set *ns = &set->ns_set;

	if (!check_approve(r, group, set))
		return false;
	if (ns->mode != CONF_NS_OFF && !ns->provider_count && !ns->name_count)
		return key_fail(&r->reader, member_or(group, "ns-set"), "\"providers\" or \"names\" is missing");
	if (set->catalog_group && strlen(set->catalog_group) > GROUP_MAX)
		return key_fail(&r->reader, member_or(group, "catalog-group"), "longer than %d octets", GROUP_MAX);
	return check_clamp(r, group, "refresh-min", set->refresh_min, "refresh-max", set->refresh_max)
		&& check_clamp(r, group, "retry-min", set->retry_min, "retry-max", set->retry_max)
		&& check_clamp(r, group, "expire-min", set->expire_min, "expire-max", set->expire_max)
		&& check_clamp(r, group, "lag-warn", set->check.lag_warn, "lag-crit", set->check.lag_crit)
		&& check_clamp(r, group, "expire-crit", set->check.expire_crit, "expire-warn", set->check.expire_warn);
}

/* The primaries, as who may notify. */
static bool notify_by_primaries(struct reading *r, struct conf_settings *set)
{
	struct conf_peer *peers = calloc(set->primary_count + 1, sizeof *peers);

	if (!peers)
		return key_no_memory(&r->reader);
	for (size_t i = 0; i < set->primary_count; i++)
		peers[i].remote = set->primaries[i];
	set->allow_notify = key_keep(&r->reader, peers, set->primary_count * sizeof *peers);
	set->allow_notify_count = set->primary_count;
	free(peers);
	return set->allow_notify;
}

/* What follows from what is given; the one copy of the result, or NULL. */
static const struct conf_settings *fill_settings(struct reading *r, const struct conf_settings *given)
{
	struct conf_settings set;

	memcpy(&set, given, sizeof set);   /* the padding too, for equal ones to be one */
	if (set.catalog == CONF_CATALOG_PRODUCE)
		set.source = CONF_FILE;      /* one that we write */
	if (set.source == CONF_FILE)
		set.primary_count = 0;
	if (!set.allow_notify && !notify_by_primaries(r, &set))
		return NULL;
	return key_keep(&r->reader, &set, sizeof set);
}

static bool read_template(struct reading *r, const config_setting_t *group, void *item, const char **name)
{
	struct conf_template *template = item;

	memcpy(&template->given, &r->defaults, sizeof template->given);
	if (!key_read(&r->reader, keys_template, group, template) || !check_settings(r, group, &template->given))
		return false;
	template->set = fill_settings(r, &template->given);
	*name = template->name;
	return template->set;
}

/* --- zones ----------------------------------------------------------------------- */

/* The template that a group names, else the default one, else NULL. False: there is no such. */
static bool find_template(struct reading *r, const config_setting_t *group, const struct conf_template **template)
{
	const config_setting_t *named = config_setting_is_group(group) ? config_setting_get_member(group, "template") : NULL;

	*template = named ? ref_resolve(&r->reader, &r->indices[TEMPLATES], named) : r->default_template;
	return !named || *template;
}

static bool add_entry(struct reading *r, const struct entry *entry)
{
	if (!array_room(r->entries, r->entry_room, r->entry_count + 1))
		return key_no_memory(&r->reader);
	r->entries[r->entry_count] = *entry;
	r->entries[r->entry_count].number = r->entry_count;
	r->entry_count++;
	return true;
}

static bool fail_at(struct reading *r, const char *file, unsigned line, const char *what)
{
	if (!r->reader.err)
		r->reader.err = err_why(r->reader.why, ERR_CONF, "%s:%u: %s", file, line, what);
	return false;
}

/* A zone that is pulled must have somebody to pull it from. */
static bool has_primaries(const struct conf_settings *set)
{
	return set->source == CONF_FILE || set->primary_count || set->catalog == CONF_CATALOG_PRODUCE;
}

/* Most zones say the same as the one before. */
static const struct conf_settings *own_settings(struct reading *r, const config_setting_t *group, const struct conf_settings *given)
{
	if (r->last_set && memcmp(&r->last_given, given, sizeof *given) == 0)
		return check_approve(r, group, given) ? r->last_set : NULL;
	r->last_set = check_settings(r, group, given) ? fill_settings(r, given) : NULL;
	memcpy(&r->last_given, given, sizeof *given);
	return r->last_set;
}

/* What applies to the zone: `row->set` as it is given, `*set` filled in. */
static bool zone_settings(struct reading *r, const config_setting_t *group, const struct conf_template *template,
	struct keys_zone_row *row, const struct conf_settings **set)
{
	int own = config_setting_length(group) - 1 - (config_setting_get_member(group, "template") != NULL);

	memcpy(&row->set, template ? &template->given : &r->defaults, sizeof row->set);
	if (!key_read(&r->reader, keys_zone, group, row))
		return false;
	if (own == 0 && row->name)
		*set = template ? template->set : r->default_set;
	else
		*set = own_settings(r, group, &row->set);
	return *set;
}

static bool check_primaries(struct reading *r, const config_setting_t *group, const struct keys_zone_row *row)
{
	char name[NAME_TEXT_SIZE];

	return has_primaries(&row->set) || key_fail(&r->reader, member_or(group, "primaries"),
		"primaries: the zone \"%.100s\" has none: name one, or say source = \"file\"", name_text(row->name, name));
}

static bool read_zone(struct reading *r, const config_setting_t *group)
{
	const struct conf_template *template;
	struct keys_zone_row row = {0};
	struct entry entry = {0};

	if (!config_setting_is_group(group))
		return key_wrong_type(&r->reader, group, "a group: { name = \"...\"; }");
	if (!find_template(r, group, &template) || !zone_settings(r, group, template, &row, &entry.zone.set))
		return false;
	if (!row.name)
		return key_fail(&r->reader, group, "\"name\" is missing");
	if (!check_primaries(r, group, &row))
		return false;
	entry.zone.name = row.name;
	entry.zone.template_name = template ? template->name : NULL;
	source_where(&r->source, config_setting_source_line(group), &entry.file, &entry.line);
	return add_entry(r, &entry);
}

static bool read_list_line(struct reading *r, const char *text, size_t n, struct entry *entry)
{
	const char *hash = memchr(text, '#', n);
	uint8_t name[NAME_SIZE];
	struct why why;

	if (hash)
		n = (size_t)(hash - text);
	while (n && strchr(" \t\r", text[n - 1]))
		n--;
	while (n && strchr(" \t\r", *text)) {
		text++;
		n--;
	}
	if (!n)
		return true;
	if (name_parse(text, n, NULL, name, &why))
		return fail_at(r, entry->file, entry->line, why.text);
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)text[i] <= ' ' || text[i] == 0x7f)
			return fail_at(r, entry->file, entry->line, "one name a line: white space or a control character in it");
	entry->zone.name = arena_dup(&r->conf->arena, name, name_lower(name, name));
	return entry->zone.name ? add_entry(r, entry) : key_no_memory(&r->reader);
}

static bool read_zone_list(struct reading *r, const config_setting_t *group)
{
	const struct conf_template *template;
	struct keys_zone_list_row text = {0};
	struct entry entry = {0};
	struct file_bytes file;
	struct why why;
	bool fine = true;

	if (!key_read(&r->reader, keys_zone_list, group, &text) || !find_template(r, group, &template))
		return false;
	if (!text.file)
		return key_fail(&r->reader, group, "\"file\" is missing");
	entry.zone.template_name = template ? template->name : NULL;
	entry.zone.set = template ? template->set : r->default_set;
	entry.file = text.file;
	if (!has_primaries(template ? &template->given : &r->defaults))
		return key_fail(&r->reader, group, "primaries: the template \"%.80s\" has none",
			template ? template->name : "default");
	if (file_read(text.file, 0, &file, &why))
		return key_fail(&r->reader, config_setting_get_member(group, "file"), "%s", why.text);
	for (const char *at = file.bytes, *end = at + file.length; fine && at < end;) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));

		entry.line++;
		stop = stop ? stop : end;
		fine = read_list_line(r, at, (size_t)(stop - at), &entry);
		at = stop + 1;
	}
	file_bytes_release(&file);
	return fine;
}

static bool each_in_section(struct reading *r, const config_t *file, const char *section, bool (*read)(struct reading *, const config_setting_t *))
{
	size_t n;
	const config_setting_t *list = section_list(r, file, section, &n);

	for (size_t i = 0; !r->reader.err && i < n; i++)
		read(r, config_setting_get_elem(list, (unsigned)i));
	return !r->reader.err;
}

static bool parse_text(struct reading *r, config_t *file, const char *text)
{
	const char *where;
	char word[64];
	unsigned line;

	if (config_read_string(file, text))
		return true;
	source_where(&r->source, (unsigned)config_error_line(file), &where, &line);
	source_word(&r->source, (unsigned)config_error_line(file), word);
	r->reader.err = err_why(r->reader.why, ERR_CONF, "%s:%u: %s%s%s", where, line, word, *word ? ": " : "", config_error_text(file));
	return false;
}

static bool read_zones(struct reading *r)
{
	each_in_section(r, &r->file, "zones", read_zone);
	for (size_t i = 0; !r->reader.err && i < r->source.part_count; i++) {
		const char *text = source_open_part(&r->source, i);
		config_t part;

		config_init(&part);
		if (!text)
			key_no_memory(&r->reader);
		else if (parse_text(r, &part, text))
			each_in_section(r, &part, "zones", read_zone);
		config_destroy(&part);
		source_close_part(&r->source);
	}
	return !r->reader.err;
}

static int by_zone_name(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int order = name_compare(x->zone.name, y->zone.name);

	return order ? order : (x->number > y->number) - (x->number < y->number);
}

/* Of many zones most files are sorted already. */
static bool are_sorted(const struct reading *r)
{
	for (size_t i = 1; i < r->entry_count; i++)
		if (by_zone_name(&r->entries[i - 1], &r->entries[i]) > 0)
			return false;
	return true;
}

static bool sort_zones(struct reading *r)
{
	struct conf_zone *zones = arena_alloc(&r->conf->arena, r->entry_count * sizeof *zones);
	char name[NAME_TEXT_SIZE], what[WHY_MAX];

	if (!zones)
		return key_no_memory(&r->reader);
	if (!are_sorted(r))
		qsort(r->entries, r->entry_count, sizeof *r->entries, by_zone_name);
	for (size_t i = 0; i < r->entry_count; i++) {
		const struct entry *entry = &r->entries[i];

		zones[i] = entry->zone;
		if (i == 0 || !name_equal(entry[-1].zone.name, entry->zone.name))
			continue;
		snprintf(what, sizeof what, "zones: the zone \"%.100s\" is here a second time (the first: %.120s:%u)",
			name_text(entry->zone.name, name), entry[-1].file, entry[-1].line);
		return fail_at(r, entry->file, entry->line, what);
	}
	r->conf->zones = zones;
	r->conf->zone_count = r->entry_count;
	return true;
}

/* --- checks of the whole --------------------------------------------------------- */

static bool one_pattern_for_all(const struct reading *r)
{
	for (size_t i = 1; i < r->entry_count; i++)
		if (r->entries[i].zone.set->file != r->entries[0].zone.set->file)
			return false;
	return r->entry_count < 2 || path_is_per_zone(r->entries[0].zone.set->file);
}

struct used_path { char *path; const struct entry *entry; };

static int by_path(const void *a, const void *b)
{
	const struct used_path *x = a, *y = b;
	int order = strcmp(x->path, y->path);

	return order ? order : (x->entry > y->entry) - (x->entry < y->entry);
}

/* Two zones that are written to one file would destroy each other's; two that are only read from it may share it. */
static bool compare_paths(struct reading *r, struct used_path *used)
{
	char name[NAME_TEXT_SIZE], what[WHY_MAX];

	qsort(used, r->entry_count, sizeof *used, by_path);
	for (size_t i = 1; i < r->entry_count; i++) {
		const struct entry *one = used[i - 1].entry, *two = used[i].entry;

		if (strcmp(used[i - 1].path, used[i].path) != 0
			|| (one->zone.set->source == CONF_FILE && two->zone.set->source == CONF_FILE))
			continue;
		snprintf(what, sizeof what, "file: \"%.120s\" is the file of the zone \"%.80s\" too",
			used[i].path, name_text(one->zone.name, name));
		return fail_at(r, two->file, two->line, what);
	}
	return true;
}

static bool check_paths(struct reading *r)
{
	struct used_path *used;
	char path[PATH_MAX];
	bool fine = true;

	if (one_pattern_for_all(r))
		return true;
	used = calloc(r->entry_count, sizeof *used);
	if (!used)
		return key_no_memory(&r->reader);
	for (size_t i = 0; fine && i < r->entry_count; i++) {
		const struct entry *entry = &r->entries[i];

		if (!conf_zone_path(r->conf, entry->zone.set, entry->zone.name, path, sizeof path))
			fine = fail_at(r, entry->file, entry->line, "file: the path is too long");
		else if (!(used[i].path = strdup(path)))
			fine = key_no_memory(&r->reader);
		used[i].entry = entry;
	}
	fine = fine && compare_paths(r, used);
	for (size_t i = 0; i < r->entry_count; i++)
		free(used[i].path);
	free(used);
	return fine;
}

static const char *unfit_template(const struct reading *r, const char *name)
{
	const struct conf_template *template = ref_find(&r->indices[TEMPLATES], name);

	return conf_unfit(template->set);
}

static bool check_catalogs(struct reading *r)
{
	for (size_t i = 0; i < r->entry_count; i++) {
		const struct entry *entry = &r->entries[i];
		const struct conf_settings *set = entry->zone.set;
		const char *template = set->catalog_template ? set->catalog_template : "default";
		const struct conf_zone *zone = set->catalog_zone ? conf_find_zone(r->conf, set->catalog_zone) : NULL;
		char name[NAME_TEXT_SIZE], what[WHY_MAX];

		if (set->catalog == CONF_CATALOG_CONSUME && !ref_find(&r->indices[TEMPLATES], template)) {
			snprintf(what, sizeof what, "catalog-template: there is no template \"%.80s\"", template);
			return fail_at(r, entry->file, entry->line, what);
		}
		if (set->catalog == CONF_CATALOG_CONSUME && unfit_template(r, template)) {
			snprintf(what, sizeof what, "catalog-template: the template \"%.80s\" does not fit: %s", template,
				unfit_template(r, template));
			return fail_at(r, entry->file, entry->line, what);
		}
		if (set->catalog_zone && (!zone || zone->set->catalog != CONF_CATALOG_PRODUCE)) {
			snprintf(what, sizeof what, "catalog-zone: there is no zone \"%.100s\" with catalog = \"produce\"",
				name_text(set->catalog_zone, name));
			return fail_at(r, entry->file, entry->line, what);
		}
	}
	return true;
}

/* The name of one that may transfer by its address alone, or NULL. */
static const char *open_peer(const struct conf_settings *set)
{
	for (size_t i = 0; i < set->allow_transfer_count; i++) {
		const struct conf_remote *remote = set->allow_transfer[i].remote;
		const struct conf_acl *acl = set->allow_transfer[i].acl;

		if (remote ? !remote->key && !remote->tls.on : !acl->key && !acl->tls && !acl->deny)
			return remote ? remote->name : acl->name;
	}
	return NULL;
}

/* Whoever asks for certificates may think that nobody transfers without one. Said once. */
static bool check_open_transfers(struct reading *r)
{
	const char *name = NULL;
	char what[200];
	size_t i = 0;

	if (!r->conf->server.tls_ca)
		return true;
	while (i < r->entry_count && !(name = open_peer(r->entries[i].zone.set)))
		i++;
	if (!name)
		return true;
	snprintf(what, sizeof what, "\"%.80s\" may transfer without a certificate: server.tls-ca is for what comes over TLS; "
		"\"tls\" or \"key\" would ask for more", name);
	return warn_at(r, r->entries[i].file, r->entries[i].line, "allow-transfer", what);
}

/* --- reading --------------------------------------------------------------------- */

static bool check_sections(struct reading *r)
{
	const config_setting_t *root = config_root_setting(&r->file);
	char hint[128];

	for (int i = 0; i < config_setting_length(root); i++) {
		const config_setting_t *setting = config_setting_get_elem(root, (unsigned)i);
		const char *const *known = keys_sections;

		while (*known && strcmp(*known, config_setting_name(setting)) != 0)
			known++;
		if (!*known)
			return key_fail(&r->reader, setting, "there is no such key%s",
				key_hint(config_setting_name(setting), keys_sections, hint));
	}
	return true;
}

static bool read_keys(struct reading *r)
{
	size_t n;

	section_list(r, &r->file, "keys", &n);
	r->conf->key_files = arena_zero(&r->conf->arena, (n + 1) * sizeof *r->conf->key_files);
	if (!r->conf->key_files)
		return key_no_memory(&r->reader);
	return read_section(r, "keys", sizeof(struct tsig_key), read_key, &r->indices[KEYS],
		(const void **)&r->conf->keys, &r->conf->key_count);
}

/* Each section after those that it may refer to. */
static bool read_sections(struct reading *r)
{
	struct conf *conf = r->conf;
	struct ref_index *indices = r->indices;

	if (!check_sections(r) || !read_server(r) || !read_keys(r)
		|| !read_section(r, "remotes", sizeof(struct conf_remote), read_remote, &indices[REMOTES],
			(const void **)&conf->remotes, &conf->remote_count)
		|| !read_section(r, "acls", sizeof(struct conf_acl), read_acl, &indices[ACLS],
			(const void **)&conf->acls, &conf->acl_count)
		|| !read_section(r, "providers", sizeof(struct conf_provider), read_provider, &indices[PROVIDERS],
			(const void **)&conf->providers, &conf->provider_count)
		|| !read_section(r, "templates", sizeof(struct conf_template), read_template, &indices[TEMPLATES],
			(const void **)&conf->templates, &conf->template_count))
		return false;
	r->default_template = ref_find(&indices[TEMPLATES], "default");
	conf->default_set = r->default_set = fill_settings(r, &r->defaults);
	return r->default_set && read_zones(r) && each_in_section(r, &r->file, "zone-lists", read_zone_list)
		&& sort_zones(r) && check_paths(r) && check_catalogs(r) && check_open_transfers(r);
}

/* The directory of the configuration file, absolute. */
static const char *directory_of(struct arena *arena, const char *path)
{
	const char *slash = strrchr(path, '/');
	int n = slash ? (int)(slash - path) : 0;
	char here[PATH_MAX];

	if (*path == '/')
		return arena_printf(arena, "%.*s", n ? n : 1, path);
	if (!getcwd(here, sizeof here))
		return NULL;
	return arena_printf(arena, "%s%s%.*s", here, n ? "/" : "", n, path);
}

/* All but the parts of a long list of zones. */
static bool parse_file(struct reading *r, const char *path)
{
	r->reader.err = source_read(&r->source, path, r->reader.dir, "zones", r->reader.why);
	return !r->reader.err && parse_text(r, &r->file, r->source.text);
}

/* What was collected on the side goes into the configuration. */
static bool keep_notes(struct reading *r)
{
	struct conf *conf = r->conf;

	conf->warnings = arena_dup(&conf->arena, r->warnings, r->warning_count * sizeof *r->warnings);
	conf->warning_count = r->warning_count;
	return conf->warnings || key_no_memory(&r->reader);
}

static void init_reading(struct reading *r, struct conf *conf, struct why *why)
{
	static const char *const what[INDICES] = {"key", "remote", "acl", "provider", "template"};

	r->conf = conf;
	r->reader = (struct key_reader){.arena = &conf->arena, .source = &r->source, .owner = r->indices, .why = why};
	for (int i = 0; i < INDICES; i++)
		r->indices[i].what = what[i];
	memcpy(&r->defaults, &keys_default_settings, sizeof r->defaults);
	config_init(&r->file);
}

static void release_reading(struct reading *r)
{
	for (int i = 0; i < INDICES; i++)
		ref_release(&r->indices[i]);
	config_destroy(&r->file);
	source_release(&r->source);
	key_reader_release(&r->reader);
	free(r->warnings);
	free(r->entries);
}

struct conf *conf_read(const char *path, struct why *why)
{
	struct conf *conf = calloc(1, sizeof *conf);
	struct reading r = {0};
	bool fine;

	if (!conf) {
		err_why(why, ERR_NOMEM, "%s: out of memory", path);
		return NULL;
	}
	init_reading(&r, conf, why);
	conf->path = arena_strdup(&conf->arena, path);
	r.reader.dir = directory_of(&conf->arena, path);
	fine = (conf->path && r.reader.dir) || key_no_memory(&r.reader);
	fine = fine && key_reader_init(&r.reader) && (r.defaults.file = key_keep_text(&r.reader, r.defaults.file))
		&& parse_file(&r, path) && read_sections(&r) && keep_notes(&r);
	release_reading(&r);
	if (fine)
		return conf;
	conf_free(conf);
	return NULL;
}

enum err conf_read_any(const char *path, struct conf **conf, struct why *why)
{
	*conf = NULL;
	if (!path && access(conf_default_path(), F_OK) < 0 && errno == ENOENT)
		return ERR_OK;
	*conf = conf_read(path ? path : conf_default_path(), why);
	return *conf ? ERR_OK : ERR_CONF;
}

char *conf_control(const char *path, struct why *why)
{
	struct conf conf = {.arena = ARENA_INIT};
	struct reading r = {0};
	char *control = NULL;
	const char *text = NULL;

	init_reading(&r, &conf, why);
	r.reader.dir = directory_of(&conf.arena, path);
	server_defaults(&conf);
	if (r.reader.dir && parse_file(&r, path)) {
		config_lookup_string(&r.file, "server.control", &text);
		if (!text)
			control = strdup(conf.server.control);
		else if (asprintf(&control, "%s%s%s", *text == '/' ? "" : r.reader.dir, *text == '/' ? "" : "/", text) < 0)
			control = NULL;
	}
	if (!control && !r.reader.err)
		key_no_memory(&r.reader);
	release_reading(&r);
	arena_release(&conf.arena);
	return control;
}

/* --- the files of TLS ---------------------------------------------------------------- */

static enum err add_warning(struct conf *conf, const char *remote, const char *what)
{
	const char **list = arena_alloc(&conf->arena, (conf->warning_count + 1) * sizeof *list);

	if (!list)
		return ERR_NOMEM;
	if (conf->warning_count)
		memcpy(list, conf->warnings, conf->warning_count * sizeof *list);
	list[conf->warning_count] = arena_printf(&conf->arena, "remotes: \"%s\": tls: %s", remote, what);
	if (!list[conf->warning_count])
		return ERR_NOMEM;
	conf->warnings = list;
	conf->warning_count++;
	return ERR_OK;
}

static enum err load_client(struct conf *conf, struct conf_remote *remote, uint64_t unix_now, struct why *why)
{
	const struct conf_tls *tls = &remote->tls;
	struct tls_client_conf wanted = {tls->auth_name, tls->ca, tls->pins, tls->pin_count, tls->cert, tls->key};
	struct why said = {{0}};
	enum err err = tls_client_new(&remote->tls.client, &wanted, &said);

	if (err)
		return err_why(why, err, "remotes: \"%.60s\": tls: %s", remote->name, err_say(&said, err));
	return tls_client_valid(tls->client, unix_now, &said) ? ERR_OK : add_warning(conf, remote->name, said.text);
}

enum err conf_load_tls(struct conf *conf, uint64_t unix_now, struct why *why)
{
	struct conf_remote *remote = (struct conf_remote *)(uintptr_t)conf->remotes;
	enum err err = ERR_OK;

	for (size_t i = 0; i < conf->remote_count && !err; i++)
		if (remote[i].tls.on)
			err = load_client(conf, &remote[i], unix_now, why);
	return err;
}

enum err conf_try_tls(struct conf *conf, uint64_t unix_now, struct why *why)
{
	struct conf_remote *remote = (struct conf_remote *)(uintptr_t)conf->remotes;

	for (size_t i = 0; i < conf->remote_count; i++) {
		struct why said = {""};

		if (!remote[i].tls.on || load_client(conf, &remote[i], unix_now, &said) == ERR_OK)
			continue;
		remote[i].tls.unloaded = arena_strdup(&conf->arena, said.text[0] ? said.text : "out of memory");
		if (!remote[i].tls.unloaded)
			return err_why(why, ERR_NOMEM, "out of memory");
	}
	return ERR_OK;
}

void conf_free(struct conf *conf)
{
	if (!conf)
		return;
	for (size_t i = 0; i < conf->remote_count; i++)
		tls_client_drop(conf->remotes[i].tls.client);
	if (conf->key_count)
		explicit_bzero((void *)(uintptr_t)conf->keys, conf->key_count * sizeof *conf->keys);
	if (conf->server.cookie_secrets)
		explicit_bzero((void *)(uintptr_t)conf->server.cookie_secrets, sizeof *conf->server.cookie_secrets);
	arena_release(&conf->arena);
	free(conf);
}

/* --- asking ---------------------------------------------------------------------- */

bool conf_zone_path(const struct conf *conf, const struct conf_settings *set, const uint8_t *zone, char *out, size_t size)
{
	bool in_dir = *set->file != '/';
	size_t n = in_dir ? strlen(conf->server.zone_dir) : 0;

	if (n + 2 > size)
		return false;
	strcpy(stpcpy(out, in_dir ? conf->server.zone_dir : ""), in_dir ? "/" : "");
	return path_expand(set->file, zone, out, size);
}

const char *conf_unfit(const struct conf_settings *set)
{
	if (set->catalog != CONF_CATALOG_NONE)
		return "it makes a zone a catalog, and those are named in the configuration";
	if (!has_primaries(set))
		return "it names no primaries";
	if (!path_is_per_zone(set->file))
		return "its zones would share one file: there is no %s in \"file\"";
	return NULL;
}

const struct conf_zone *conf_find_zone(const struct conf *conf, const uint8_t *name)
{
	size_t low = 0, high = conf->zone_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = name_compare(name, conf->zones[middle].name);

		if (order == 0)
			return &conf->zones[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

char *conf_text(const struct conf *conf)
{
	return print_conf(conf, false);
}

char *conf_json(const struct conf *conf)
{
	return print_conf(conf, true);
}
