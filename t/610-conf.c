/* run/conf: what a configuration file means, and what is said about a wrong one. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/file.h"
#include "run/conf.h"
#include "run/kind.h"

#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[256];
static struct why why;

static void put_file(const char *name, const char *text)
{
	FILE *file = fopen(name, "w");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(name, 0600), 0);
}

static struct conf *read_text(const char *text)
{
	put_file("lockstep.conf", text);
	why.text[0] = 0;
	return conf_read("lockstep.conf", &why);
}

static struct conf *must_read(const char *text)
{
	struct conf *conf = read_text(text);

	if (!conf)
		fail_msg("refused: %s", why.text);
	return conf;
}

static void must_fail(const char *text, const char *error)
{
	struct conf *conf = read_text(text);

	conf_free(conf);
	if (conf)
		fail_msg("read without an error: %s", text);
	assert_string_equal(why.text, error);
}

static const struct conf_zone *zone_of(const struct conf *conf, const char *text)
{
	uint8_t name[NAME_SIZE];

	assert_int_equal(name_parse(text, strlen(text), NULL, name, NULL), ERR_OK);
	return conf_find_zone(conf, name);
}

#define KEY1 "keys: ( { name = \"k.example\"; secret = \"c2VjcmV0c2VjcmV0\"; } );\n"
#define HIDDEN "remotes: ( { name = \"hidden\"; address = [ \"192.0.2.1\" ]; } );\n"
#define PLAIN HIDDEN "templates: ( { name = \"default\"; primaries = [ \"hidden\" ]; } );\n"
#define PIN "\"AQIDAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\""
#define TLS(what) "remotes: ( { name = \"a\"; address = [ \"192.0.2.1\" ]; tls = { " what " }; } );"

/* --- defaults -------------------------------------------------------------------- */

static void an_empty_file_gives_the_defaults(void **state)
{
	struct conf *conf = must_read("");
	char text[NET_ADDR_TEXT];

	(void)state;
	assert_int_equal(conf->server.listen_count, 2);
	assert_string_equal(net_addr_text(&conf->server.listen[0], 0, text), "0.0.0.0@53");
	assert_string_equal(net_addr_text(&conf->server.listen[1], 0, text), "::@53");
	assert_true(conf->server.listen_all);
	assert_true(conf->server.workers >= 1);
	assert_string_equal(conf->server.state_dir, LOCALSTATEDIR "/lib/lockstep");
	assert_string_equal(conf->server.zone_dir, LOCALSTATEDIR "/lib/lockstep/zones");
	assert_string_equal(conf->server.control, RUNSTATEDIR "/lockstep/control.sock");
	assert_null(conf->server.user);
	assert_null(conf->server.identity);
	assert_null(conf->server.version);
	assert_int_equal(conf->server.udp_payload, 1232);
	assert_int_equal(conf->server.limits.transfers, 64);
	assert_int_equal(conf->server.limits.transfers_per_primary, 8);
	assert_int_equal(conf->server.limits.connect, 5000);
	assert_int_equal(conf->server.limits.transfer_idle, 30000);
	assert_int_equal(conf->server.limits.transfer_time, 7200000);
	assert_int_equal(conf->server.limits.transfer_rate, 100);
	assert_int_equal(conf->server.limits.transfer_messages, 10000000);
	assert_int_equal(conf->server.limits.tcp_clients, 1000);
	assert_int_equal(conf->server.limits.tcp_idle, 10000);
	assert_int_equal(conf->zone_count, 0);
	assert_int_equal(conf->warning_count, 0);
	conf_free(conf);
}

static void a_zone_gets_the_defaults_of_the_interface(void **state)
{
	struct conf *conf = must_read(PLAIN "zones: ( { name = \"example.com\"; } );");
	const struct conf_zone *zone = zone_of(conf, "EXAMPLE.com.");
	const struct conf_settings *set;

	(void)state;
	assert_non_null(zone);
	assert_string_equal(zone->template_name, "default");
	set = zone->set;
	assert_int_equal(set->primary_count, 1);
	assert_ptr_equal(set->primaries[0], &conf->remotes[0]);
	assert_int_equal(set->source, CONF_TRANSFER);
	assert_string_equal(set->file, "%s.zone");
	assert_int_equal(set->allow_notify_count, 1);
	assert_ptr_equal(set->allow_notify[0].remote, &conf->remotes[0]);
	assert_int_equal(set->notify_count, 0);
	assert_int_equal(set->allow_transfer_count, 0);
	assert_true(set->ixfr);
	assert_int_equal(set->refresh_min, 2);
	assert_int_equal(set->refresh_max, 4 * 7 * 86400);
	assert_int_equal(set->retry_min, 1);
	assert_int_equal(set->retry_max, 2 * 7 * 86400);
	assert_int_equal(set->expire_min, 0);
	assert_int_equal(set->expire_max, 4 * 7 * 86400);
	assert_int_equal(set->max_zone_size, 1u << 30);
	assert_int_equal(set->max_records, 0);
	assert_int_equal(set->zonefile_sync, 60);
	assert_int_equal(set->primary_choice, CONF_FIRST);
	assert_int_equal(set->rollback, CONF_AFTER_EXPIRE);
	assert_int_equal(set->max_records_per_type, 4000);
	assert_int_equal(set->max_types_per_name, 100);
	assert_int_equal(set->zonemd, CONF_ZONEMD_CHECK);
	assert_false(set->dnssec_check);
	assert_int_equal(net_port(&conf->remotes[0].addresses[0]), 53);
	assert_null(conf->remotes[0].key);
	conf_free(conf);
}

static const char example_of_the_interface[] =
	"server: {\n"
	"    listen     = [ \"127.0.0.1@5300\", \"::1@5300\" ];  // UDP and TCP\n"
	"    listen-tls = [ \"127.0.0.1@8530\", ];\n"
	"    tls-cert   = \"server.pem\";  tls-key = \"server.key\";  tls-ca = \"clients-ca.pem\";\n"
	"    workers    = 2;\n"
	"    user       = \"lockstep\";\n"
	"    state-dir  = \"/var/lib/lockstep\";\n"
	"    zone-dir   = \"/var/lib/lockstep/zones\";\n"
	"    control    = \"/run/lockstep/control.sock\";\n"
	"    metrics    = \"127.0.0.1@9153\";\n"
	"    identity   = \"ns1.example.net\";\n"
	"    cookies    = true;\n"
	"    rrl: { rate = 0; slip = 2; log-only = false; allow = [ \"198.51.100.0/24\" ]; };\n"
	"    limits: { transfers = 64; transfers-per-primary = 8; connect = \"5s\"; transfer-idle = \"30s\"; transfer-time = \"2h\";\n"
	"              tcp-clients = 1000; tcp-idle = \"10s\"; };\n"
	"};\n"
	"keys: (\n"
	"    { name = \"xfr.example\"; algorithm = \"hmac-sha256\"; secret = \"c2VjcmV0c2VjcmV0\"; },   // a comma after the last\n"
	");\n"
	"remotes: (                                # another DNS server\n"
	"    { name = \"hidden\"; address = [ \"192.0.2.1@53\" ]; key = \"xfr.example\"; },\n"
	"    { name = \"over-tls\"; address = [ \"192.0.2.2\" ]; tls = { auth-name = \"ns.example\"; ca = \"ca.pem\"; }; },\n"
	");\n"
	"providers: (\n"
	"    { name = \"dnsimple\"; ns = [ \"ns1.dnsimple.example\", \"ns2.dnsimple.example\" ]; },\n"
	"    { name = \"own\";      ns = [ \"ns1.example.net\" ]; },\n"
	");\n"
	"acls: (\n"
	"    { name = \"office\"; address = [ \"192.0.2.0/24\", \"2001:db8::/32\" ]; key = \"xfr.example\"; action = \"allow\"; },\n"
	");\n"
	"templates: (\n"
	"    { name = \"default\"; primaries = [ \"hidden\" ]; /* every zone */ },\n"
	");\n"
	"zones: (\n"
	"    { name = \"example.com\"; },\n"
	"    { name = \"example.org\"; template = \"default\"; primaries = [ \"hidden\", \"over-tls\" ]; "
	"allow-transfer = [ \"office\", \"hidden\" ]; },\n"
	");\n"
	"zone-lists: (\n"
	"    { file = \"customers.list\"; template = \"default\"; },\n"
	");\n";

static void the_example_of_the_interface_is_read(void **state)
{
	struct conf *conf;
	const struct conf_zone *org;
	char expected[PATH_MAX + 16];

	(void)state;
	put_file("customers.list", "# ours\na.example\n\n  b.example.  # theirs\r\n");
	conf = must_read(example_of_the_interface);
	assert_int_equal(conf->zone_count, 4);
	assert_int_equal(conf->server.workers, 2);
	assert_string_equal(conf->server.identity, "ns1.example.net");
	snprintf(expected, sizeof expected, "%s/server.pem", directory);
	assert_string_equal(conf->server.tls_cert, expected);
	assert_int_equal(net_port(conf->server.metrics), 9153);
	assert_ptr_equal(conf->remotes[0].key, &conf->keys[0]);
	assert_int_equal(net_port(&conf->remotes[1].addresses[0]), 853);
	assert_true(conf->remotes[1].tls.on);
	assert_string_equal(conf->remotes[1].tls.auth_name, "ns.example");
	org = zone_of(conf, "example.org");
	assert_int_equal(org->set->primary_count, 2);
	assert_int_equal(org->set->allow_notify_count, 2);
	assert_ptr_equal(org->set->allow_transfer[0].acl, &conf->acls[0]);
	assert_ptr_equal(org->set->allow_transfer[1].remote, &conf->remotes[0]);
	assert_ptr_equal(zone_of(conf, "a.example")->set, zone_of(conf, "example.com")->set);
	assert_non_null(zone_of(conf, "b.example"));
	assert_null(zone_of(conf, "c.example"));
	assert_null(zone_of(conf, "."));
	conf_free(conf);
}

/* --- errors ---------------------------------------------------------------------- */

static const struct { const char *text, *error; } wrong[] = {
	/* not libconfig's syntax */
	{"server: {\n  workers = ;\n};\n", "lockstep.conf:2: workers: syntax error"},
	{"server: {\n  workers = 1;\n  workers = 2;\n};\n", "lockstep.conf:3: workers: duplicate setting name"},
	{"\n\nzones: ( { name = \"a\n", "lockstep.conf:3: a string does not end"},
	{"/* never\n closed", "lockstep.conf:2: a comment does not end"},
	{"server: { };\n@include \"nowhere.conf\"\n", "lockstep.conf:2: @include: DIR/nowhere.conf: open: No such file or directory"},
	{"@include \"lockstep.conf\"\n", "DIR/lockstep.conf:1: too many files include each other"},
	{"@included\n", "lockstep.conf:1: @include wants a file's name in quotes"},
	{"server: { workers = 99999999999999999999; };", "lockstep.conf:1: a number is too large"},
	{"server: { user = \"a\" \"b\"; }; = \"c\";", "lockstep.conf:1: server: syntax error"},
	{"server: { user = \"a\"; \"b\"; };", "lockstep.conf:1: server: syntax error"},
	{"zones: ( , );", "lockstep.conf:1: zones: syntax error"},
	/* unknown keys */
	{"zone: ( );\n", "lockstep.conf:1: zone: there is no such key (did you mean \"zones\"?)"},
	{"server: {\n  worker = 2;\n};\n", "lockstep.conf:2: server.worker: there is no such key (did you mean \"workers\"?)"},
	{"server: { limits: {\n\n transferidle = 2; }; };\n",
		"lockstep.conf:3: server.limits.transferidle: there is no such key (did you mean \"transfer-idle\"?)"},
	{PLAIN "zones: (\n { name = \"a\"; },\n { name = \"b\";\n   primarys = [ ]; } );\n",
		"lockstep.conf:6: zones.primarys: there is no such key (did you mean \"primaries\"?)"},
	{"server: { elephant = 1; };", "lockstep.conf:1: server.elephant: there is no such key"},
	{"keys: ( { name = \"a\"; secret = \"AAAA\"; sekret = \"AAAA\"; } );",
		"lockstep.conf:1: keys.sekret: there is no such key (did you mean \"secret\"?)"},
	{"templates: ( { name = \"t\"; template = \"u\"; } );", "lockstep.conf:1: templates.template: there is no such key"},
	/* wrong types */
	{"server = 1;", "lockstep.conf:1: server: must be a group: { KEY = VALUE; ... }, but is a whole number"},
	{"server: { workers = \"2\"; };", "lockstep.conf:1: server.workers: must be a whole number, but is a string"},
	{"server: { workers = 1.5; };", "lockstep.conf:1: server.workers: must be a whole number, but is a number with a fraction"},
	{"server: { listen = \"127.0.0.1\"; };",
		"lockstep.conf:1: server.listen: must be a list: [ \"...\", \"...\" ], but is a string"},
	{"server: { listen = [ 53 ]; };", "lockstep.conf:1: server.listen: must be an address in quotes, but is a whole number"},
	{"server: { cookies = 1; };", "lockstep.conf:1: server.cookies: must be true or false, but is a whole number"},
	{"server: {\n cookie-secret-file = \"nowhere\"; };",
		"lockstep.conf:2: server.cookie-secret-file: DIR/nowhere: open: No such file or directory"},
	{"server: { cookies = false;\n cookie-secret-file = \"lockstep.conf\"; };",
		"lockstep.conf:2: server.cookie-secret-file: DIR/lockstep.conf: line 1: a secret must be 32 hexadecimal digits"},
	{"server: { user = true; };", "lockstep.conf:1: server.user: must be a string, but is true or false"},
	{"server: { user = \"\"; };", "lockstep.conf:1: server.user: is empty"},
	{"server: { user = \"a\\nb\"; };", "lockstep.conf:1: server.user: a control character in it"},
	{"zones: { };", "lockstep.conf:1: zones: must be a list of groups: ( { ... }, { ... } ), but is a group"},
	{"zones: ( \"example.com\" );", "lockstep.conf:1: zones: must be a group: { name = \"...\"; }, but is a string"},
	{"remotes: ( 1 );", "lockstep.conf:1: remotes: must be a group: { KEY = VALUE; ... }, but is a whole number"},
	{"templates: ( { name = \"t\"; check = \"on\"; } );",
		"lockstep.conf:1: templates.check: must be a group: { KEY = VALUE; ... }, but is a string"},
	/* values */
	{"server: { listen = [ ]; };", "lockstep.conf:1: server.listen: at least 1 must be given"},
	{"server: { listen = [\n\"127.0.0.1\",\n\"127.0.0.256\" ]; };",
		"lockstep.conf:3: server.listen: \"127.0.0.256\" is not an IPv4 or IPv6 address (ADDRESS[@PORT])"},
	{"server: { listen = [ \"127.0.0.1@0\" ]; };",
		"lockstep.conf:1: server.listen: \"127.0.0.1@0\": the port after '@' must be a number from 1 to 65535"},
	{"server: { metrics = \"localhost\"; };",
		"lockstep.conf:1: server.metrics: \"localhost\" is not an IPv4 or IPv6 address (ADDRESS[@PORT])"},
	{"server: { rrl: { allow = [ \"10.0.0.1/8\" ]; }; };",
		"lockstep.conf:1: server.rrl.allow: \"10.0.0.1/8\" has bits set beyond its prefix length"},
	{"server: { workers = 1000; };", "lockstep.conf:1: server.workers: 1000 is not from 0 to 256"},
	{"server: { udp-payload = 500; };", "lockstep.conf:1: server.udp-payload: 500 is not from 512 to 4096"},
	{"server: { udp-payload = 4294967808; };", "lockstep.conf:1: server.udp-payload: 4294967808 is not from 512 to 4096"},
	{"server: { limits: { connect = \"5x\"; }; };",
		"lockstep.conf:1: server.limits.connect: \"5x\" is not a time: seconds, or \"90s\", \"15m\", \"4h\", \"2d\", \"1w\""},
	{"server: { limits: { connect = -1; }; };", "lockstep.conf:1: server.limits.connect: a time cannot be negative"},
	{"server: { limits: { connect = 0; }; };", "lockstep.conf:1: server.limits.connect: 0 is not from 1s to 4w"},
	{"server: { limits: { transfer-time = \"5w\"; }; };", "lockstep.conf:1: server.limits.transfer-time: 5w is not from 1s to 4w"},
	{"server: { log: { level = \"loud\"; }; };",
		"lockstep.conf:1: server.log.level: \"loud\" is none of \"error\", \"warning\", \"notice\", \"info\", \"debug\""},
	{PLAIN "zones: ( { name = \"a\"; max-zone-size = \"1X\"; } );",
		"lockstep.conf:3: zones.max-zone-size: \"1X\" is not a size: octets, or \"64K\", \"100M\", \"1G\""},
	{PLAIN "zones: ( { name = \"a\"; source = \"tape\"; } );",
		"lockstep.conf:3: zones.source: \"tape\" is none of \"transfer\", \"file\""},
	{PLAIN "zones: ( { name = \"a\"; zonefile-sync = -2; } );", "lockstep.conf:3: zones.zonefile-sync: a time cannot be negative"},
	{PLAIN "zones: ( { name = \"a\"; refresh-min = \"70y\"; } );",
		"lockstep.conf:3: zones.refresh-min: \"70y\" is not a time: seconds, or \"90s\", \"15m\", \"4h\", \"2d\", \"1w\""},
	{PLAIN "zones: ( { name = \"a\"; refresh-min = 2147483648; } );",
		"lockstep.conf:3: zones.refresh-min: 2147483648s is not from 1s to 2147483647s"},
	{PLAIN "zones: ( { name = \"a..b\"; } );", "lockstep.conf:3: zones.name: name \"a..b\": an empty label"},
	{PLAIN "zones: ( { name = \"a\"; approve = { timeout = 5; }; } );",
		"lockstep.conf:3: zones.approve: \"command\" or \"max-change\" is missing"},
	{PLAIN "zones: ( { name = \"a\"; approve = { max-change = \"101%\"; }; } );",
		"lockstep.conf:3: zones.approve.max-change: \"101%\" is not a share from \"0%\" to \"100%\""},
	{PLAIN "zones: ( { name = \"a\"; ns-set = { mode = \"warn\"; }; } );",
		"lockstep.conf:3: zones.ns-set: \"providers\" or \"names\" is missing"},
	{PLAIN "zones: ( { name = \"a\"; check = { severity = { LAMER = \"off\"; }; }; } );",
		"lockstep.conf:3: zones.check.severity.LAMER: there is no such finding (did you mean \"LAME\"?)"},
	{PLAIN "zones: ( { name = \"a\"; check = { severity = { LAME = \"bad\"; }; }; } );",
		"lockstep.conf:3: zones.check.severity.LAME: \"bad\" is none of \"off\", \"warning\", \"critical\", \"unknown\""},
	{PLAIN "zones: ( { name = \"a\"; catalog = \"consume\"; catalog-template = \"members\"; } );",
		"lockstep.conf:3: catalog-template: there is no template \"members\""},
	{PLAIN "zones: ( { name = \"a\"; catalog-zone = \"cat\"; } );",
		"lockstep.conf:3: catalog-zone: there is no zone \"cat.\" with catalog = \"produce\""},
	{HIDDEN "templates: ( { name = \"t\"; } );\n"
		"zones: ( { name = \"a\"; primaries = [ \"hidden\" ]; catalog = \"consume\"; catalog-template = \"t\"; } );",
		"lockstep.conf:3: catalog-template: the template \"t\" does not fit: it names no primaries"},
	{PLAIN "zones: ( { name = \"a\"; catalog-members-max = 0; } );", "lockstep.conf:3: zones.catalog-members-max: 0 is not from 1 to 10000000"},
	{PLAIN "zones: ( { name = \"a\"; catalog-members-under = [ \"a..b\" ]; } );",
		"lockstep.conf:3: zones.catalog-members-under: name \"a..b\": an empty label"},
	/* what is missing */
	{"zones: (\n { template = \"t\"; } );", "lockstep.conf:2: zones.template: there is no template \"t\""},
	{"zones: (\n { ixfr = true; } );", "lockstep.conf:2: zones: \"name\" is missing"},
	{"zones: (\n { } );", "lockstep.conf:2: zones: \"name\" is missing"},
	{"zones: (\n { name = \"a.example\"; } );",
		"lockstep.conf:2: zones: primaries: the zone \"a.example.\" has none: name one, or say source = \"file\""},
	{"zones: (\n { name = \"a.example\";\n primaries = [ ]; } );",
		"lockstep.conf:3: zones.primaries: primaries: the zone \"a.example.\" has none: name one, or say source = \"file\""},
	{"remotes: ( { name = \"a\"; } );", "lockstep.conf:1: remotes: \"address\" is missing"},
	{"remotes: ( { address = [ \"192.0.2.1\" ]; } );", "lockstep.conf:1: remotes: \"name\" is missing"},
	{"remotes: ( { name = \"a\"; address = [ \"192.0.2.1\" ]; tls = { }; } );",
		"lockstep.conf:1: remotes.tls: \"auth-name\" is missing: the name that the server's certificate must show (or \"pin\")"},
	{TLS("ca = \"a.pem\";\n pin = [ " PIN " ];"), "lockstep.conf:1: remotes.tls: \"ca\" has no meaning without \"auth-name\""},
	{TLS("auth-name = \"a\"; cert = \"a.pem\";"), "lockstep.conf:1: remotes.tls: \"key\" is missing"},
	{TLS("auth-name = \"a\"; key = \"a.pem\";"), "lockstep.conf:1: remotes.tls: \"cert\" is missing"},
	{TLS("pin = [ ];"), "lockstep.conf:1: remotes.tls.pin: at least 1 must be given"},
	{TLS("pin = [ \"abc\" ];"), "lockstep.conf:1: remotes.tls.pin: \"abc\" is no pin: the SHA-256 of a public key, in base64 (44 characters)"},
	{"acls: ( { name = \"a\"; cert-name = \"b\"; } );",
		"lockstep.conf:1: acls.cert-name: \"server.tls-ca\" is missing: the authorities of the clients' certificates"},
	{"acls: ( { name = \"a\"; cert-pin = [ " PIN " ]; tls = false; } );",
		"lockstep.conf:1: acls.tls: \"cert-pin\" is for requests over TLS alone"},
	{"providers: ( { name = \"a\"; } );", "lockstep.conf:1: providers: \"ns\" is missing"},
	/* what is not there */
	{"remotes: ( { name = \"a\"; address = [ \"192.0.2.1\" ]; key = \"k\"; } );", "lockstep.conf:1: remotes.key: there is no key \"k\""},
	{KEY1 "remotes: ( { name = \"a\"; address = [ \"192.0.2.1\" ]; key = \"k.exampel\"; } );",
		"lockstep.conf:2: remotes.key: there is no key \"k.exampel\" (did you mean \"k.example.\"?)"},
	{"acls: ( { name = \"a\"; key = \"k\"; } );", "lockstep.conf:1: acls.key: there is no key \"k\""},
	{HIDDEN "zones: ( { name = \"a\"; primaries = [\n \"hiden\" ]; } );",
		"lockstep.conf:3: zones.primaries: there is no remote \"hiden\" (did you mean \"hidden\"?)"},
	{PLAIN "zones: ( { name = \"a\"; notify = [ \"x\" ]; } );", "lockstep.conf:3: zones.notify: there is no remote \"x\""},
	{PLAIN "zones: ( { name = \"a\"; allow-transfer = [ \"ofice\" ]; } );\nacls: ( { name = \"office\"; } );",
		"lockstep.conf:3: zones.allow-transfer: there is no remote or acl \"ofice\" (did you mean \"office\"?)"},
	{PLAIN "zones: ( { name = \"a\"; template = \"defalt\"; } );",
		"lockstep.conf:3: zones.template: there is no template \"defalt\" (did you mean \"default\"?)"},
	{PLAIN "zones: ( { name = \"a\"; ns-set = { providers = [ \"p\" ]; }; } );",
		"lockstep.conf:3: zones.ns-set.providers: there is no provider \"p\""},
	{PLAIN "acls: ( { name = \"hidden\"; } );\nzones: ( { name = \"a\"; allow-notify = [ \"hidden\" ]; } );",
		"lockstep.conf:4: zones.allow-notify: \"hidden\" is the name of a remote and of an acl: rename one of them"},
	{PLAIN "zone-lists: ( { file = \"nowhere.list\"; } );",
		"lockstep.conf:3: zone-lists.file: DIR/nowhere.list: open: No such file or directory"},
	{"zone-lists: ( { } );", "lockstep.conf:1: zone-lists: \"file\" is missing"},
	/* twice */
	{PLAIN "zones: ( { name = \"a.example\"; },\n { name = \"b\"; },\n { name = \"A.Example.\"; } );",
		"lockstep.conf:5: zones: the zone \"a.example.\" is here a second time (the first: lockstep.conf:3)"},
	{"remotes: ( { name = \"a\"; address = [ \"192.0.2.1\" ]; },\n { name = \"a\"; address = [ \"192.0.2.2\" ]; } );",
		"lockstep.conf:2: remotes: the remote \"a\" is here a second time (the first: lockstep.conf:1)"},
	{"acls: ( { name = \"a\"; },\n\n { name = \"a\"; } );",
		"lockstep.conf:3: acls: the acl \"a\" is here a second time (the first: lockstep.conf:1)"},
	{"templates: ( { name = \"a\"; }, { name = \"a\"; } );",
		"lockstep.conf:1: templates: the template \"a\" is here a second time (the first: lockstep.conf:1)"},
	{KEY1 "\n" "keys2: ( );", "lockstep.conf:3: keys2: there is no such key (did you mean \"keys\"?)"},
	{"keys: ( { name = \"k\"; secret = \"AAAA\"; },\n { name = \"K.\"; secret = \"AAAA\"; } );",
		"lockstep.conf:2: keys: the key \"k.\" is here a second time (the first: lockstep.conf:1)"},
	{HIDDEN "zones: ( { name = \"a\"; primaries = [ \"hidden\", \"hidden\" ]; } );",
		"lockstep.conf:2: zones.primaries: \"hidden\" is named twice"},
	{PLAIN "zones: ( { name = \"a\"; file = \"all.zone\"; },\n { name = \"b\"; file = \"all.zone\"; } );",
		"lockstep.conf:4: file: \"" LOCALSTATEDIR "/lib/lockstep/zones/all.zone\" is the file of the zone \"a.\" too"},
	/* clamps */
	{PLAIN "zones: ( { name = \"a\";\n refresh-min = \"2h\"; refresh-max = \"1h\"; } );",
		"lockstep.conf:4: zones.refresh-min: refresh-min (7200 s) is more than refresh-max (3600 s)"},
	{PLAIN "zones: ( { name = \"a\";\n retry-max = 1;\n expire-min = \"5w\"; } );",
		"lockstep.conf:5: zones.expire-min: expire-min (3024000 s) is more than expire-max (2419200 s)"},
	{"templates: ( { name = \"t\";\n retry-min = 1209601; } );",
		"lockstep.conf:2: templates.retry-min: retry-min (1209601 s) is more than retry-max (1209600 s)"},
	/* zone files */
	{PLAIN "zones: ( { name = \"a\"; file = \"%q.zone\"; } );",
		"lockstep.conf:3: zones.file: %q is not known: %s, %1, %2 and %% are"},
	{PLAIN "zones: ( { name = \"a\"; file = \"%s%\"; } );", "lockstep.conf:3: zones.file: \"%\" at its end"},
	{PLAIN "zones: ( { name = \"a\"; file = \"x/../../%s\"; } );",
		"lockstep.conf:3: zones.file: \"..\" leads out of zone-dir: give an absolute path"},
	{PLAIN "zones: ( { name = \"a\"; file = \"%s/\"; } );", "lockstep.conf:3: zones.file: no file name at the end of \"%s/\""},
	/* keys */
	{"keys: ( { name = \"a\"; } );", "lockstep.conf:1: keys: \"secret\" or \"secret-file\" is missing"},
	{"keys: ( { name = \"a\"; secret = \"AAAA\"; secret-file = \"f\"; } );",
		"lockstep.conf:1: keys: both \"secret\" and \"secret-file\" are given"},
	{"keys: ( { name = \"a\"; secret-file = \"nowhere.key\"; } );",
		"lockstep.conf:1: keys.secret-file: DIR/nowhere.key: open: No such file or directory"},
};

static void what_is_wrong_is_said_with_file_line_and_key(void **state)
{
	char expected[2 * PATH_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		const char *dir = strstr(wrong[i].error, "DIR");

		if (dir)
			snprintf(expected, sizeof expected, "%.*s%s%s", (int)(dir - wrong[i].error), wrong[i].error, directory, dir + 3);
		else
			snprintf(expected, sizeof expected, "%s", wrong[i].error);
		must_fail(wrong[i].text, expected);
	}
}

/* The text is dns/tsig's. */
static void wrong_keys_are_refused_at_the_line_that_is_wrong(void **state)
{
	static const char *const texts[] = {
		"keys: ( { name = \"a\";\n algorithm = \"hmac-sha3\"; secret = \"AAAA\"; } );\n",
		"keys: ( { name = \"a\"; algorithm = \"hmac-sha512\";\n secret = \"no base64!\"; } );\n",
	};
	static const char *const begin[] = {"lockstep.conf:2: keys.algorithm: ", "lockstep.conf:2: keys.secret: "};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		assert_null(read_text(texts[i]));
		assert_memory_equal(why.text, begin[i], strlen(begin[i]));
		assert_null(strstr(why.text, "no base64"));
	}
}

static void an_error_in_an_included_file_names_that_file(void **state)
{
	char expected[2 * PATH_MAX], text[2 * PATH_MAX];

	(void)state;
	put_file("more.conf", "remotes: (\n  { name = \"hidden\"; address = [ \"192.0.2.1\" ];\n    adress = 1; }\n);\n");
	snprintf(expected, sizeof expected, "%s/more.conf:3: remotes.adress: there is no such key (did you mean \"address\"?)", directory);
	must_fail("# here\n  @include \"more.conf\"\nzones: ( );\n", expected);
	snprintf(text, sizeof text, "@include \"%s/more.conf\"\n", directory);
	must_fail(text, expected);
	put_file("more.conf", "remotes: (\n  { name = \"hidden\"; address = [ \"192.0.2.1\" ]; }\n);\n");
	must_fail("@include \"more.conf\"\n\nzones: (\n { nam = 1; } );\n",
		"lockstep.conf:4: zones.nam: there is no such key (did you mean \"name\"?)");
}

/* Long enough to be read in parts (of 256 zones); the element at `odd` is another one. Element i stands in line 4 + i. */
enum { LONG = 1000 };

static char *long_list(unsigned odd, const char *element, const char *end)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	fputs(PLAIN "zones: (\n", out);
	for (unsigned i = 0; i < LONG; i++)
		if (i == odd)
			fprintf(out, "%s\n", element);
		else
			fprintf(out, "{ name = \"z%04u.example\"; }%s\n", i, i + 1 < LONG ? "," : "");
	fputs(end, out);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void must_read_all_of(unsigned odd, const char *element, const char *end, const char *name)
{
	char *text = long_list(odd, element, end), each[32];
	struct conf *conf = must_read(text);

	assert_int_equal(conf->zone_count, LONG);
	for (unsigned i = 0; i < LONG; i++) {
		snprintf(each, sizeof each, "z%04u.example", i);
		assert_true(i == odd || zone_of(conf, each));
	}
	assert_non_null(zone_of(conf, name));
	conf_free(conf);
	free(text);
}

static void a_long_list_of_zones_is_read_to_its_end(void **state)
{
	char *text;
	struct conf *conf;

	(void)state;
	for (unsigned odd = 250; odd < 262; odd++)    /* at the seam, before and behind it */
		must_read_all_of(odd, "{ name = \"odd.example\"; notify = [ \"hidden\" ]; }, // a remark, in which ) stands", ");\n", "odd.example");
	must_read_all_of(LONG - 1, "{ name = \"z0999.example\"; },", ")", "z0999.example");
	put_file("more.conf", "{ name = \"included.example\"; file = \")},(\\\"\"; },\n");
	must_read_all_of(511, "@include \"more.conf\"", ");\nserver: { identity = \"behind\"; };", "included.example");
	text = long_list(700, "{ name = \"odd.example\"; zonefile-sync = 7; },", "); server: { identity = \"behind\"; };");
	conf = must_read(text);
	assert_string_equal(conf->server.identity, "behind");
	assert_int_equal(zone_of(conf, "odd.example")->set->zonefile_sync, 7);
	assert_int_equal(zone_of(conf, "z0701.example")->set->zonefile_sync, 60);
	conf_free(conf);
	free(text);
}

static void what_is_wrong_in_a_long_list_is_said_with_its_line(void **state)
{
	static const struct { unsigned odd; const char *element, *end, *error; } rows[] = {
		{700, "{ nam = \"odd.example\"; },", ");", "lockstep.conf:704: zones.nam: there is no such key (did you mean \"name\"?)"},
		{700, "{ name = \"odd.example\" },\n{ name \"x\"; },", ");", "lockstep.conf:705: syntax error"},
		{700, "{ name = \"odd.example\"; }", ");", "lockstep.conf:705: syntax error"},
		{700, "{ name = \"odd.example\"; },,", ");", "lockstep.conf:704: syntax error"},
		{256, ", { name = \"odd.example\"; },", ");", "lockstep.conf:260: syntax error"},
		{700, "{ name = \"odd.example\"; ),", ");", "lockstep.conf:704: syntax error"},
		{700, "{ name = \"Z0001.example\"; },", ");",
			"lockstep.conf:704: zones: the zone \"z0001.example.\" is here a second time (the first: lockstep.conf:5)"},
		{700, "{ name = \"odd.example\"; approve = { }; },", ");",
			"lockstep.conf:704: zones.approve: \"command\" or \"max-change\" is missing"},
		{LONG, "", ");\nserver: { worker = 1; };", "lockstep.conf:1005: server.worker: there is no such key (did you mean \"workers\"?)"},
		{LONG, "", ");\n\nzones: ( );", "lockstep.conf:1006: zones: duplicate setting name"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char *text = long_list(rows[i].odd, rows[i].element, rows[i].end);
		struct conf *conf = read_text(text);

		conf_free(conf);
		free(text);
		assert_null(conf);
		if (strstr(rows[i].error, "syntax error"))    /* behind what word: not to be held to */
			assert_memory_equal(why.text, rows[i].error, strcspn(rows[i].error, " "));
		else
			assert_string_equal(why.text, rows[i].error);
	}
}

static void a_file_that_cannot_be_read_is_named(void **state)
{
	(void)state;
	assert_null(conf_read("nowhere.conf", &why));
	assert_string_equal(why.text, "nowhere.conf: open: No such file or directory");
	assert_null(conf_read(".", &why));
	assert_string_equal(why.text, ".: not a regular file");
}

static void only_the_default_file_need_not_be_there(void **state)
{
	struct conf *conf;

	(void)state;
	assert_int_equal(conf_read_any("nowhere.conf", &conf, &why), ERR_CONF);
	assert_null(conf);
	assert_string_equal(why.text, "nowhere.conf: open: No such file or directory");
	if (access(conf_default_path(), F_OK) == 0)
		skip();
	assert_int_equal(conf_read_any(NULL, &conf, &why), ERR_OK);
	assert_null(conf);
}

static void a_bad_name_in_a_zone_list_is_named_with_its_line(void **state)
{
	char expected[2 * PATH_MAX];

	(void)state;
	put_file("list", "a.example\n# x\nb..example\n");
	snprintf(expected, sizeof expected, "%s/list:3: name \"b..example\": an empty label", directory);
	must_fail(PLAIN "zone-lists: ( { file = \"list\"; } );", expected);
	put_file("list", "a.example b.example\n");
	snprintf(expected, sizeof expected, "%s/list:1: one name a line: white space or a control character in it", directory);
	must_fail(PLAIN "zone-lists: ( { file = \"list\"; } );", expected);
	put_file("list", "a.example\nb.example\na.EXAMPLE.");
	snprintf(expected, sizeof expected,
		"%s/list:3: zones: the zone \"a.example.\" is here a second time (the first: %s/list:1)", directory, directory);
	must_fail(PLAIN "zone-lists: ( { file = \"list\"; } );", expected);
	must_fail("zone-lists: ( { file = \"list\"; } );", "lockstep.conf:1: zone-lists: primaries: the template \"default\" has none");
}

static void secrets_of_cookies_are_read_from_their_file(void **state)
{
	struct conf *conf;

	(void)state;
	put_file("cookies", "ffeeddccbbaa99887766554433221100\n00112233445566778899aabbccddeeff # before\n");
	assert_int_equal(chmod("cookies", 0644), 0);
	conf = must_read("server: { cookie-secret-file = \"cookies\"; };");
	assert_int_equal(conf->server.cookie_secrets->count, 2);
	assert_memory_equal(conf->server.cookie_secrets->secret[1], "\0\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff", 16);
	assert_int_equal(conf->warning_count, 1);
	assert_string_equal(conf->warnings[0], "lockstep.conf:1: server.cookie-secret-file: everybody on this machine may read the secret");
	assert_true(conf->server.cookies);
	conf_free(conf);
	conf = must_read("server: { cookies = false; };");
	assert_null(conf->server.cookie_secrets);
	assert_false(conf->server.cookies);
	conf_free(conf);
}

/* --- what is understood ---------------------------------------------------------- */

static void groups_of_a_zone_and_of_its_template_are_understood(void **state)
{
	struct conf *conf = must_read(
		"server: { metrics = \"127.0.0.1\"; cookies = false; rrl = { rate = 0; slip = 3; }; };" HIDDEN
		"templates: ( { name = \"default\"; primaries = [ \"hidden\" ]; check = { every = \"5m\"; sample = 5; }; },"
		"  { name = \"b\"; check = { every = 10; }; dnssec = \"off\"; zonemd = \"require\"; ns-set = { mode = \"off\"; }; } );"
		"zones: ( { name = \"a\"; }, { name = \"b\"; approve = { max-change = \"10%\"; }; } );");

	(void)state;
	assert_int_equal(zone_of(conf, "a")->set->check.sample, 5);
	assert_int_equal(zone_of(conf, "b")->set->approve.max_change, 10);
	conf_free(conf);
}

static void who_may_transfer_without_a_certificate_is_told_where_others_may_not(void **state)
{
	static const struct { const char *peer; bool told; } all[] = {{"open", true}, {"signed", false}, {"secure", false}, {"far", true},
		{"certified", false}, {"none", false}};
	char text[1000];

	(void)state;
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		for (int ca = 0; ca < 2; ca++) {
			struct conf *conf;

			snprintf(text, sizeof text, "server: { %s }; keys: ( { name = \"k.\"; secret = \"c2VjcmV0c2VjcmV0\"; } );"
				"remotes: ( { name = \"far\"; address = [ \"192.0.2.1\" ]; }, { name = \"certified\"; address = [ \"192.0.2.1\" ]; "
				"tls = { auth-name = \"a\"; }; } ); acls: ( { name = \"open\"; }, { name = \"signed\"; key = \"k.\"; }, "
				"{ name = \"secure\"; tls = true; }, { name = \"none\"; action = \"deny\"; } );\n"
				"zones: ( { name = \"x\"; source = \"file\"; allow-transfer = [ \"%s\" ]; } );",
				ca ? "tls-ca = \"a.pem\";" : "", all[i].peer);
			conf = must_read(text);
			assert_int_equal(conf->warning_count, all[i].told && ca);
			if (conf->warning_count)
				assert_non_null(strstr(conf->warnings[0], "lockstep.conf:2: allow-transfer: \""));
			conf_free(conf);
		}
}

static void a_remote_over_tls_is_never_used_without_it(void **state)
{
	struct conf *conf = must_read("remotes: ( { name = \"a\"; address = [ \"192.0.2.1\", \"192.0.2.1@8853\" ];\n"
		"tls = { auth-name = \"ns.example\"; }; }, { name = \"b\"; address = [ \"192.0.2.2\" ]; } );\n"
		"zones: ( { name = \"x\"; primaries = [ \"a\", \"b\" ]; notify = [ \"a\" ]; allow-transfer = [ \"a\", \"b\" ]; },\n"
		"  { name = \"y\"; primaries = [ \"a\" ]; allow-notify = [ \"a\" ]; } );");
	const struct conf_settings *x = zone_of(conf, "x")->set, *y = zone_of(conf, "y")->set;

	(void)state;
	assert_int_equal(conf->warning_count, 0);
	assert_int_equal(net_port(&conf->remotes[0].addresses[0]), 853);
	assert_int_equal(net_port(&conf->remotes[0].addresses[1]), 8853);
	assert_int_equal(x->primary_count, 2);
	assert_ptr_equal(x->primaries[0], &conf->remotes[0]);
	assert_true(x->primaries[0]->tls.on);
	assert_null(x->primaries[0]->tls.client);
	assert_int_equal(x->notify_count, 1);
	assert_int_equal(x->allow_transfer_count, 2);
	assert_int_equal(x->allow_notify_count, 2);
	assert_int_equal(y->primary_count, 1);
	assert_int_equal(y->allow_notify_count, 1);
	assert_int_equal(conf_load_tls(conf, 0, &why), ERR_OK);
	assert_non_null(x->primaries[0]->tls.client);
	assert_null(x->primaries[1]->tls.client);
	conf_free(conf);
}

static void a_secret_in_a_file_is_trimmed_and_warned_about_if_all_may_read_it(void **state)
{
	static const char text[] = "keys: ( { name = \"Xfr.Example\"; algorithm = \"hmac-sha512\"; secret-file = \"k.secret\"; } );";
	struct conf *conf;

	(void)state;
	put_file("k.secret", "\n  c2VjcmV0c2VjcmV0 \r\n\n");
	conf = must_read(text);
	assert_int_equal(conf->warning_count, 0);
	assert_memory_equal(conf->keys[0].name, "\3xfr\7example", 13);
	assert_int_equal(conf->keys[0].algorithm, TSIG_SHA512);
	assert_int_equal(conf->keys[0].secret_length, 12);
	assert_memory_equal(conf->keys[0].secret, "secretsecret", 12);
	conf_free(conf);
	assert_int_equal(chmod("k.secret", 0644), 0);
	conf = must_read(text);
	assert_int_equal(conf->warning_count, 1);
	assert_string_equal(conf->warnings[0], "lockstep.conf:1: keys.secret-file: everybody on this machine may read the secret");
	conf_free(conf);
	put_file("k.secret", " \n");
	must_fail(text, "lockstep.conf:1: keys.secret-file: the secret is empty");
}

static void a_configuration_with_secrets_that_all_may_read_is_warned_about_once(void **state)
{
	static const char text[] = "keys: ( { name = \"a\"; secret = \"AAAA\"; },\n { name = \"b\"; secret = \"AAAA\"; },\n"
		"@include \"more.conf\"\n);";
	char included[512];
	struct conf *conf;

	(void)state;
	snprintf(included, sizeof included, "%s/more.conf:1: keys.secret: everybody on this machine may read the secret", directory);
	put_file("more.conf", "{ name = \"c\"; secret = \"AAAA\"; }");
	conf = must_read(text);
	assert_int_equal(conf->warning_count, 0);
	conf_free(conf);
	assert_int_equal(chmod("lockstep.conf", 0644), 0);
	assert_int_equal(chmod("more.conf", 0604), 0);
	conf = conf_read("lockstep.conf", &why);
	assert_non_null(conf);
	assert_int_equal(conf->warning_count, 2);
	assert_string_equal(conf->warnings[0], "lockstep.conf:1: keys.secret: everybody on this machine may read the secret");
	assert_string_equal(conf->warnings[1], included);
	conf_free(conf);
	put_file("lockstep.conf", "zones: ( );");
	assert_int_equal(chmod("lockstep.conf", 0644), 0);
	conf = conf_read("lockstep.conf", &why);
	assert_non_null(conf);
	assert_int_equal(conf->warning_count, 0);
	conf_free(conf);
}

static void a_quote_is_missing_before_an_address_with_a_port(void **state)
{
	(void)state;
	must_fail("server: { user = \"a; };\nremotes: ( { name = \"r\"; address = [ \"::1@53\" ]; } );",
		"lockstep.conf:2: syntax error: '@' stands only in quotes, or in @include \"FILE\" on a line of its own; "
		"is a quote missing before it?");
}

static void a_key_is_found_whatever_its_case_and_final_dot(void **state)
{
	struct conf *conf = must_read(KEY1
		"acls: ( { name = \"x\"; key = \"K.EXAMPLE.\"; action = \"deny\"; }, { name = \"y\"; address = [ \"::1\" ]; } );");

	(void)state;
	assert_ptr_equal(conf->acls[0].key, &conf->keys[0]);
	assert_true(conf->acls[0].deny);
	assert_int_equal(conf->acls[0].prefix_count, 0);
	assert_false(conf->acls[1].deny);
	assert_int_equal(conf->acls[1].prefixes[0].bits, 128);
	conf_free(conf);
}

static void zones_that_say_the_same_share_their_settings(void **state)
{
	struct conf *conf = must_read(HIDDEN
		"templates: ( { name = \"default\"; primaries = [ \"hidden\" ]; }, { name = \"t\"; primaries = [ \"hidden\" ]; ixfr = false; } );"
		"zones: ( { name = \"a\"; }, { name = \"b\"; template = \"default\"; }, { name = \"c\"; ixfr = false; },"
		"  { name = \"d\"; template = \"t\"; }, { name = \"e\"; primaries = [ \"hidden\" ]; file = \"%s.zone\"; } );");

	(void)state;
	assert_ptr_equal(zone_of(conf, "a")->set, zone_of(conf, "b")->set);
	assert_ptr_equal(zone_of(conf, "c")->set, zone_of(conf, "d")->set);
	assert_ptr_equal(zone_of(conf, "a")->set, zone_of(conf, "e")->set);
	assert_ptr_not_equal(zone_of(conf, "a")->set, zone_of(conf, "c")->set);
	conf_free(conf);
}

static void a_hundred_thousand_zones_cost_few_octets_each(void **state)
{
	FILE *list = fopen("many", "w");
	struct conf *conf;

	(void)state;
	assert_non_null(list);
	for (unsigned i = 0; i < 100000; i++)
		fprintf(list, "zone-%06u.example\n", i * 7919 % 100000);
	fclose(list);
	conf = must_read(PLAIN "zone-lists: ( { file = \"many\"; } );");
	assert_int_equal(conf->zone_count, 100000);
	assert_true(conf->arena.total < 100000 * 64);
	for (size_t i = 1; i < conf->zone_count; i++)
		assert_true(name_compare(conf->zones[i - 1].name, conf->zones[i].name) < 0);
	assert_non_null(zone_of(conf, "zone-054321.example"));
	assert_null(zone_of(conf, "zone-100000.example"));
	conf_free(conf);
}

static void templates_fill_in_and_zones_override(void **state)
{
	struct conf *conf = must_read(KEY1
		"remotes: ( { name = \"a\"; address = [ \"192.0.2.1\", \"2001:db8::1\" ]; key = \"k.example\"; }, "
		"{ name = \"b\"; address = [ \"192.0.2.2\" ]; } );"
		"templates: ( { name = \"default\"; primaries = [ \"a\" ]; zonefile-sync = 0; expire-min = \"1w\"; },"
		"  { name = \"open\"; primaries = [ \"a\" ]; allow-notify = [ ]; } );"
		"zones: ( { name = \"x\"; primaries = [ \"b\", \"a\" ]; }, { name = \"y\"; template = \"open\"; zonefile-sync = -1; },"
		"  { name = \"z\"; source = \"file\"; notify = [ \"b\" ]; } );");
	const struct conf_settings *x = zone_of(conf, "x")->set, *y = zone_of(conf, "y")->set, *z = zone_of(conf, "z")->set;

	(void)state;
	assert_int_equal(x->primary_count, 2);
	assert_string_equal(x->primaries[0]->name, "b");
	assert_int_equal(x->allow_notify_count, 2);
	assert_string_equal(x->allow_notify[0].remote->name, "b");
	assert_int_equal(x->zonefile_sync, 0);
	assert_int_equal(x->expire_min, 604800);
	assert_int_equal(y->allow_notify_count, 0);
	assert_int_equal(y->zonefile_sync, -1);
	assert_int_equal(y->expire_min, 0);
	assert_int_equal(z->source, CONF_FILE);
	assert_int_equal(z->primary_count, 0);
	assert_int_equal(z->allow_notify_count, 0);
	assert_int_equal(z->notify_count, 1);
	conf_free(conf);
}

static void times_and_sizes_have_units(void **state)
{
	int64_t ms;
	uint64_t size;

	(void)state;
	assert_true(kind_parse_time("90", &ms) && ms == 90000);
	assert_true(kind_parse_time("90s", &ms) && ms == 90000);
	assert_true(kind_parse_time("15m", &ms) && ms == 900000);
	assert_true(kind_parse_time("4h", &ms) && ms == 14400000);
	assert_true(kind_parse_time("2d", &ms) && ms == 172800000);
	assert_true(kind_parse_time("1w", &ms) && ms == 604800000);
	assert_true(kind_parse_time("0", &ms) && ms == 0);
	assert_false(kind_parse_time("", &ms) || kind_parse_time("s", &ms) || kind_parse_time("-1", &ms)
		|| kind_parse_time("1.5h", &ms) || kind_parse_time("1h30m", &ms) || kind_parse_time("1 h", &ms)
		|| kind_parse_time("1H", &ms) || kind_parse_time("99999999999999w", &ms)
		|| kind_parse_time("18446744073709551617", &ms));
	assert_true(kind_parse_size("64K", &size) && size == 65536);
	assert_true(kind_parse_size("100M", &size) && size == 104857600);
	assert_true(kind_parse_size("1G", &size) && size == 1073741824);
	assert_true(kind_parse_size("17", &size) && size == 17);
	assert_false(kind_parse_size("", &size) || kind_parse_size("K", &size) || kind_parse_size("1KB", &size)
		|| kind_parse_size("99999999999G", &size));
}

static void numbers_beyond_32_bits_are_read_whole(void **state)
{
	struct conf *conf = must_read(PLAIN "zones: ( { name = \"a\"; max-zone-size = 5000000000; max-records = 0x1ffffffff; } );");

	(void)state;
	assert_true(zone_of(conf, "a")->set->max_zone_size == 5000000000);
	assert_true(zone_of(conf, "a")->set->max_records == 0x1ffffffff);
	conf_free(conf);
}

/* --- zone files' paths ----------------------------------------------------------- */

static const char *path_of(const char *pattern, const char *name)
{
	static char path[PATH_MAX];
	struct conf conf = {.server.zone_dir = "/z"};
	struct conf_settings set = {.file = pattern};
	uint8_t wire[NAME_SIZE];

	assert_int_equal(name_parse(name, strlen(name), NULL, wire, NULL), ERR_OK);
	assert_true(conf_zone_path(&conf, &set, wire, path, sizeof path));
	return path;
}

static void a_path_is_made_from_pattern_and_name(void **state)
{
	(void)state;
	assert_string_equal(path_of("%s.zone", "Example.COM"), "/z/example.com.zone");
	assert_string_equal(path_of("/elsewhere/%s", "example.com"), "/elsewhere/example.com");
	assert_string_equal(path_of("%1/%2/%s.zone", "example.com"), "/z/e/x/example.com.zone");
	assert_string_equal(path_of("%1/%2/%s", "a"), "/z/a/_/a");
	assert_string_equal(path_of("%1/%2/%s", "a.b"), "/z/a/%2E/a.b");
	assert_string_equal(path_of("100%%%s1", "a"), "/z/100%a1");
	assert_string_equal(path_of("1%%1", "a"), "/z/1%1");
	assert_string_equal(path_of("%s.zone", "."), "/z/root.zone");
	assert_string_equal(path_of("%s.zone", "root"), "/z/%72oot.zone");
	assert_string_equal(path_of("%s.zone", "root.example"), "/z/root.example.zone");
	assert_string_equal(path_of("%s", "0/25.2.0.192.in-addr.arpa"), "/z/0%2F25.2.0.192.in-addr.arpa");
}

static void a_hostile_name_stays_in_its_place(void **state)
{
	(void)state;
	assert_string_equal(path_of("%s", "\\.\\./etc/passwd"), "/z/%2E%2E%2Fetc%2Fpasswd");
	assert_string_equal(path_of("%1%2/%s", "\\.\\."), "/z/%2E%2E/%2E%2E");
	assert_string_equal(path_of("%s", "\\000.x"), "/z/%00.x");
	assert_string_equal(path_of("%s", "a\\.b"), "/z/a%2Eb");
	assert_string_equal(path_of("%s", "a.b"), "/z/a.b");
	assert_string_equal(path_of("%s", "%41"), "/z/%2541");
	assert_string_equal(path_of("%s", "\\010\\127\\255 \\;$(x)"), "/z/%0A%7F%FF%20%3B%24%28x%29");
	assert_string_equal(path_of("%1/%s", "/x"), "/z/%2F/%2Fx");
}

static void long_names_are_cut_and_stay_different(void **state)
{
	char one[260], two[260], first[PATH_MAX];

	(void)state;
	for (size_t i = 0; i < 240; i++)
		one[i] = i % 60 == 59 ? '.' : '/';
	strcpy(one + 240, "example");
	strcpy(two, one);
	two[245] = 'x';
	strcpy(first, path_of("%s.zone", one));
	assert_string_not_equal(first, path_of("%s.zone", two));
	assert_true(strlen(first) <= strlen("/z/") + 200 + strlen(".zone"));
	assert_null(strchr(first + 3, '/'));
	assert_non_null(strstr(first, "%-"));
}

static void a_path_that_does_not_fit_is_refused(void **state)
{
	struct conf conf = {.server.zone_dir = "/z"};
	struct conf_settings set = {.file = "%s.zone"};
	char path[12];

	(void)state;
	assert_true(conf_zone_path(&conf, &set, (const uint8_t *)"\3abc", path, sizeof path));
	assert_string_equal(path, "/z/abc.zone");
	assert_false(conf_zone_path(&conf, &set, (const uint8_t *)"\4abcd", path, sizeof path));
	assert_false(conf_zone_path(&conf, &set, (const uint8_t *)"\4abcd", path, 3));
}

static void zones_that_are_only_read_may_share_a_file(void **state)
{
	(void)state;
	conf_free(must_read("templates: ( { name = \"default\"; source = \"file\"; file = \"parked.zone\"; } );"
		"zones: ( { name = \"a\"; }, { name = \"b\"; } );"));
	must_fail(PLAIN "zones: ( { name = \"a\"; file = \"b.zone\"; source = \"file\"; },\n { name = \"b\"; } );",
		"lockstep.conf:4: file: \"" LOCALSTATEDIR "/lib/lockstep/zones/b.zone\" is the file of the zone \"a.\" too");
}

/* --- printing -------------------------------------------------------------------- */

static const char everything[] =
	"server: { listen = [ \"127.0.0.1@5300\" ]; workers = 3; user = \"us\\\"er\\\\\"; identity = \"n\\xc3\\xa4me\";"
	"  limits: { connect = 7; }; log: { level = \"debug\"; target = \"syslog\"; }; };"
	"keys: ( { name = \"k.example\"; secret-file = \"k.secret\"; algorithm = \"hmac-sha384\"; } );"
	"remotes: ( { name = \"a\"; address = [ \"192.0.2.1\", \"2001:db8::1@5353\" ]; key = \"k.example\"; },"
	"  { name = \"t\"; address = [ \"192.0.2.2\" ]; tls = { auth-name = \"ns.example\"; ca = \"ca.pem\"; "
	"cert = \"own.pem\"; key = \"own.key\"; }; },"
	"  { name = \"u\"; address = [ \"192.0.2.3\" ]; tls = { pin = [ " PIN ", " PIN " ]; }; } );"
	"acls: ( { name = \"o\"; address = [ \"192.0.2.0/24\" ]; key = \"k.example\"; action = \"deny\"; },"
	"  { name = \"c\"; cert-pin = [ " PIN " ]; } );"
	"providers: ( { name = \"p\"; ns = [ \"ns1.p.example\" ]; } );"
	"templates: ( { name = \"default\"; primaries = [ \"a\" ]; expire-min = 100; } );"
	"zones: ( { name = \"x\\\\010.example\"; }, { name = \"y.example\"; primaries = [ \"t\", \"a\" ]; allow-transfer = [ \"o\", \"a\" ];"
	"  max-records = 5000000001; max-zone-size = \"3M\"; zonefile-sync = -1; file = \"%1/%s\"; ns-set = { mode = \"require\";"
	"  providers = [ \"p\" ]; names = [ \"ns.z.example\" ]; ttl = 86400; }; check = { every = \"5m\"; severity = { LAME = \"off\"; };"
	"  resolver = \"192.0.2.9\"; }; approve = { command = \"ok\"; max-change = \"5%\"; }; } );";

static void what_is_printed_reads_as_the_same(void **state)
{
	struct conf *conf, *again;
	char *first, *second;

	(void)state;
	put_file("k.secret", "c2VjcmV0c2VjcmV0");
	conf = must_read(everything);
	first = conf_text(conf);
	conf_free(conf);
	again = must_read(first);
	second = conf_text(again);
	conf_free(again);
	assert_string_equal(first, second);
	assert_non_null(strstr(first, "    listen = [ \"127.0.0.1@5300\" ];\n"));
	assert_non_null(strstr(first, "        connect = \"7s\";\n"));
	assert_non_null(strstr(first, "max-records = 5000000001;\n"));
	assert_non_null(strstr(first, "            pin = [ " PIN ", " PIN " ];\n"));
	assert_non_null(strstr(first, "        cert-pin = [ " PIN " ];\n"));
	assert_non_null(strstr(first, "        name = \"x\\\\010.example.\";\n        template = \"default\";\n        primaries = [ \"a\" ];\n"));
	free(first);
	free(second);
}

static void secrets_are_not_printed(void **state)
{
	struct conf *conf = must_read(KEY1);
	char *text = conf_text(conf), *json = conf_json(conf);

	(void)state;
	assert_non_null(strstr(text, "secret = \"(secret)\";"));
	assert_null(strstr(text, "c2Vj"));
	assert_null(strstr(json, "c2Vj"));
	free(text);
	free(json);
	conf_free(conf);
}

static void json_is_one_document_with_everything_filled_in(void **state)
{
	struct conf *conf;
	char *text;
	json_t *json, *zone;

	(void)state;
	put_file("k.secret", "c2VjcmV0c2VjcmV0");
	conf = must_read(everything);
	text = conf_json(conf);
	conf_free(conf);
	json = json_loads(text, 0, NULL);
	free(text);
	assert_non_null(json);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(json, "server"), "workers")), 3);
	assert_string_equal(json_string_value(json_object_get(json_object_get(json, "server"), "identity")), "n\xc3\xa4me");
	zone = json_array_get(json_object_get(json, "zones"), 1);
	assert_string_equal(json_string_value(json_object_get(zone, "name")), "y.example.");
	assert_int_equal(json_integer_value(json_object_get(zone, "expire-min")), 100);
	assert_int_equal(json_integer_value(json_object_get(zone, "max-zone-size")), 3 << 20);
	assert_string_equal(json_string_value(json_array_get(json_object_get(zone, "allow-notify"), 0)), "t");
	json_decref(json);
}

static void text_that_is_not_utf8_is_still_json(void **state)
{
	struct conf *conf = must_read("server: { identity = \"\\xe4\\\\\"; };");
	char *text = conf_json(conf);
	json_t *json = json_loads(text, 0, NULL);

	(void)state;
	assert_non_null(json);
	assert_string_equal(json_string_value(json_object_get(json_object_get(json, "server"), "identity")), "\xc3\xa4\\");
	json_decref(json);
	free(text);
	conf_free(conf);
}

/* --- */

static int enter(void **state)
{
	char name[] = "/tmp/lockstep-conf.XXXXXX";

	(void)state;
	if (!mkdtemp(name) || chdir(name) < 0 || !getcwd(directory, sizeof directory))
		return -1;
	return 0;
}

static int leave(void **state)
{
	static const char *const files[] = {"lockstep.conf", "customers.list", "more.conf", "list", "many", "k.secret", "cookies"};

	(void)state;
	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		unlink(files[i]);
	return chdir("/") < 0 || rmdir(directory) < 0 ? -1 : 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_file_gives_the_defaults),
		cmocka_unit_test(a_zone_gets_the_defaults_of_the_interface),
		cmocka_unit_test(the_example_of_the_interface_is_read),
		cmocka_unit_test(what_is_wrong_is_said_with_file_line_and_key),
		cmocka_unit_test(wrong_keys_are_refused_at_the_line_that_is_wrong),
		cmocka_unit_test(an_error_in_an_included_file_names_that_file),
		cmocka_unit_test(a_long_list_of_zones_is_read_to_its_end),
		cmocka_unit_test(what_is_wrong_in_a_long_list_is_said_with_its_line),
		cmocka_unit_test(a_file_that_cannot_be_read_is_named),
		cmocka_unit_test(only_the_default_file_need_not_be_there),
		cmocka_unit_test(a_bad_name_in_a_zone_list_is_named_with_its_line),
		cmocka_unit_test(secrets_of_cookies_are_read_from_their_file),
		cmocka_unit_test(groups_of_a_zone_and_of_its_template_are_understood),
		cmocka_unit_test(a_remote_over_tls_is_never_used_without_it),
		cmocka_unit_test(who_may_transfer_without_a_certificate_is_told_where_others_may_not),
		cmocka_unit_test(a_secret_in_a_file_is_trimmed_and_warned_about_if_all_may_read_it),
		cmocka_unit_test(a_configuration_with_secrets_that_all_may_read_is_warned_about_once),
		cmocka_unit_test(a_quote_is_missing_before_an_address_with_a_port),
		cmocka_unit_test(a_key_is_found_whatever_its_case_and_final_dot),
		cmocka_unit_test(zones_that_say_the_same_share_their_settings),
		cmocka_unit_test(a_hundred_thousand_zones_cost_few_octets_each),
		cmocka_unit_test(templates_fill_in_and_zones_override),
		cmocka_unit_test(times_and_sizes_have_units),
		cmocka_unit_test(numbers_beyond_32_bits_are_read_whole),
		cmocka_unit_test(a_path_is_made_from_pattern_and_name),
		cmocka_unit_test(a_hostile_name_stays_in_its_place),
		cmocka_unit_test(long_names_are_cut_and_stay_different),
		cmocka_unit_test(a_path_that_does_not_fit_is_refused),
		cmocka_unit_test(zones_that_are_only_read_may_share_a_file),
		cmocka_unit_test(what_is_printed_reads_as_the_same),
		cmocka_unit_test(secrets_are_not_printed),
		cmocka_unit_test(json_is_one_document_with_everything_filled_in),
		cmocka_unit_test(text_that_is_not_utf8_is_still_json),
	};

	return cmocka_run_group_tests(tests, enter, leave);
}
