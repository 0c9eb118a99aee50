/* run/settings: the configuration as plain structs. One object, never changed, made by conf_read and freed as a whole.
 */
#ifndef RUN_SETTINGS_H
#define RUN_SETTINGS_H

#include "base/arena.h"
#include "base/cert.h"
#include "base/err.h"
#include "base/net.h"
#include "base/tls.h"
#include "check/finding.h"
#include "dns/name.h"
#include "dns/tsig.h"
#include "serve/cookie.h"

#include <stdbool.h>

/* on: asked over TLS, and never without it. With a name, a pin or both (base/tls). */
struct conf_tls {
	bool on;
	const char *auth_name, *ca, *cert, *key;       /* paths, as `cert` of struct tls_client_conf; NULL: not given */
	const uint8_t (*pins)[CERT_PIN_SIZE]; size_t pin_count;
	struct tls_client *client;                     /* held; NULL before conf_load_tls, */
	const char *unloaded;                          /* or, after conf_try_tls, where this says why; else NULL */
};

struct conf_remote {
	const char *name;
	const struct net_addr *addresses;
	size_t address_count;
	const struct tsig_key *key;  /* NULL: unsigned */
	struct conf_tls tls;
};
struct conf_acl {
	const char *name;
	const struct net_prefix *prefixes;   /* none: any address */
	size_t prefix_count;
	const struct tsig_key *key;
	bool deny;
	bool tls;                    /* requests over TLS alone; so it is where one of the following is given: */
	const char *cert_name;       /* the client has shown a certificate for this name; NULL: that is not looked at */
	const uint8_t (*pins)[CERT_PIN_SIZE]; size_t pin_count;   /* with one of these keys; 0: any */
};
/* Who should serve the zones: the nameservers of one provider. */
struct conf_provider {
	const char *name;
	const uint8_t *const *ns; size_t ns_count;
};
/* A name in allow-notify or allow-transfer: a remote or an acl. */
struct conf_peer { const struct conf_remote *remote; const struct conf_acl *acl; };

enum conf_source { CONF_TRANSFER, CONF_FILE };
enum conf_choice { CONF_FIRST, CONF_NEWEST };
enum conf_rollback { CONF_REFUSE, CONF_AFTER_EXPIRE, CONF_ACCEPT };
enum conf_zonemd { CONF_ZONEMD_OFF, CONF_ZONEMD_CHECK, CONF_ZONEMD_REQUIRE };
enum conf_ns_mode { CONF_NS_OFF, CONF_NS_WARN, CONF_NS_REQUIRE, CONF_NS_REWRITE };
enum conf_catalog { CONF_CATALOG_NONE, CONF_CATALOG_CONSUME, CONF_CATALOG_PRODUCE };

/* A new version is served only if `command` (NULL: none) exits with 0 within `timeout`, and at most this share of the
 * records changes. */
struct conf_approve { const char *command; uint32_t timeout; unsigned max_change; /* percent; 100: no limit */ };
/* The apex NS set that the zone must show. */
struct conf_ns_set {
	enum conf_ns_mode mode;
	const struct conf_provider *const *providers; size_t provider_count;
	const uint8_t *const *names; size_t name_count;
	uint32_t ttl;                /* 0: as it comes */
};
/* By what the nameservers are judged; the daemon's own checks: `every`, and `sample`: of how many RRsets (0: none). */
struct conf_check {
	uint32_t every, lag_warn, lag_crit, ttl_min, expire_warn, expire_crit;
	unsigned sample;
	const struct net_addr *resolver;       /* NULL: the system's */
	struct finding_levels severity;
	struct { const char *command; uint32_t timeout; } on_change;   /* run for what is found, or gone; NULL: none */
};

/* A zone's settings, defaults and template filled in; shared by all zones that say the same. Times in seconds. */
struct conf_settings {
	const struct conf_remote *const *primaries; size_t primary_count;
	const struct conf_remote *const *notify; size_t notify_count;
	const struct conf_peer *allow_notify; size_t allow_notify_count;   /* "the primaries" is filled in */
	const struct conf_peer *allow_transfer; size_t allow_transfer_count;
	enum conf_source source;
	const char *file;            /* the pattern */
	bool ixfr;
	uint32_t refresh_min, refresh_max, retry_min, retry_max, expire_min, expire_max;
	uint64_t max_zone_size, max_records;
	uint32_t max_records_per_type, max_types_per_name;
	int64_t zonefile_sync;       /* -1: only on `write` */
	enum conf_choice primary_choice;
	enum conf_rollback rollback;
	enum conf_catalog catalog;
	const char *catalog_template;          /* NULL: "default" */
	const uint8_t *const *catalog_under; size_t catalog_under_count;   /* its members are at or below one of these; none: anywhere */
	uint64_t catalog_max;                  /* most members of a catalog */
	const uint8_t *catalog_zone;           /* the catalog that this zone is a member of; NULL: none */
	const char *catalog_group;             /* as what; NULL: none */
	enum conf_zonemd zonemd;
	bool dnssec_check;
	struct conf_approve approve;
	struct conf_ns_set ns_set;
	struct conf_check check;
};
struct conf_template {
	const char *name;
	struct conf_settings given;            /* as written; allow_notify NULL: the primaries */
	const struct conf_settings *set;       /* filled in */
};
struct conf_zone {
	const uint8_t *name;         /* wire, lower case, in the arena */
	const char *template_name;   /* NULL: none */
	const struct conf_settings *set;
};

struct conf {
	struct arena arena;
	const char *path;
	struct {
		const struct net_addr *listen; size_t listen_count;
		unsigned workers;            /* never 0: filled in */
		const char *user, *state_dir, *zone_dir, *control, *identity, *version;
		struct { unsigned transfers, transfers_per_primary; uint32_t connect, transfer_idle, transfer_time; /* ms */
			unsigned tcp_clients; uint32_t tcp_idle; /* ms */
			unsigned transfer_rate /* octets a second */, transfer_messages, zones_added, check_rate /* questions a second */; } limits;
		const char *log_target, *log_level;  /* "stderr", "syslog"; "error" to "debug" */
		bool listen_all;             /* `listen` was left out: a family that the machine lacks is no error */
		unsigned udp_payload;        /* octets */
		bool minimal_responses;
		struct { unsigned rate, slip; bool log_only; const struct net_prefix *allow; size_t allow_count; } rrl;
		bool cookies;
		const char *cookie_secret_file;
		const struct cookie_secrets *cookie_secrets;   /* what it holds; NULL: there is no such file */
		const struct net_addr *listen_tls; size_t listen_tls_count;
		const char *tls_cert, *tls_key, *tls_ca;   /* paths; the files are not read here. NULL: none */
		const struct net_addr *metrics;        /* NULL: off */
	} server;
	const struct tsig_key *keys; size_t key_count;
	const char *const *key_files;        /* of each key: where its secret was read, NULL: in the configuration */
	const struct conf_remote *remotes; size_t remote_count;
	const struct conf_acl *acls; size_t acl_count;
	const struct conf_zone *zones; size_t zone_count;   /* in canonical order */
	const struct conf_provider *providers; size_t provider_count;
	const struct conf_template *templates; size_t template_count;
	const struct conf_settings *default_set;   /* of a zone that names no template, where none has the name "default" */
	/* "FILE:LINE: KEY: what": not wrong, but worth a line in the log. */
	const char *const *warnings; size_t warning_count;
};

#endif
