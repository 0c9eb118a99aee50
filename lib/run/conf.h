/* run/conf: the configuration file (libconfig syntax) as plain structs: the only module that knows the file.
 * Lower rooms get their own small structs from run/wire. A configuration is one object, never changed, freed as a whole.
 */
#ifndef RUN_CONF_H
#define RUN_CONF_H

#include "base/arena.h"
#include "base/err.h"
#include "base/net.h"
#include "dns/name.h"
#include "dns/tsig.h"

#include <stdbool.h>

struct conf_tls { bool on; const char *auth_name, *ca; };

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
};
/* A name in allow-notify or allow-transfer: a remote or an acl. */
struct conf_peer { const struct conf_remote *remote; const struct conf_acl *acl; };

enum conf_source { CONF_TRANSFER, CONF_FILE };
enum conf_choice { CONF_FIRST, CONF_NEWEST };
enum conf_rollback { CONF_REFUSE, CONF_AFTER_EXPIRE, CONF_ACCEPT };
enum conf_zonemd { CONF_ZONEMD_OFF, CONF_ZONEMD_CHECK, CONF_ZONEMD_REQUIRE };

/* A zone's settings, defaults and template filled in. Shared by all zones that say the same. Times in seconds. */
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
	int64_t zonefile_sync;       /* -1: only on `write` */
	enum conf_choice primary_choice;
	enum conf_rollback rollback;
	enum conf_zonemd zonemd;
	bool dnssec_check;
};
struct conf_zone {
	const uint8_t *name;         /* wire, lower case */
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
			unsigned tcp_clients; uint32_t tcp_idle; /* ms */ } limits;
		const char *log_target, *log_level;
	} server;
	const struct tsig_key *keys; size_t key_count;
	const struct conf_remote *remotes; size_t remote_count;
	const struct conf_acl *acls; size_t acl_count;
	const struct conf_zone *zones; size_t zone_count;   /* in canonical order */
	const void *printed;         /* what `config` prints is made from here (jansson value) */
};

/* Reads and checks everything. On an error NULL and `why` "FILE:LINE: key: what". */
struct conf *conf_read(const char *path, struct why *);
void conf_free(struct conf *);       /* NULL is allowed */
/* SYSCONFDIR/lockstep/lockstep.conf */
const char *conf_default_path(void);
/* The zone file's path by the pattern (INTERFACE: %s %1 %2), under zone-dir; characters that a path cannot bear, and leading dots, become
 * %XX. False: longer than `size`. */
bool conf_zone_path(const struct conf *, const struct conf_settings *, const uint8_t *zone, char *out, size_t size);
const struct conf_zone *conf_find_zone(const struct conf *, const uint8_t *name);
/* The configuration as understood, defaults filled in, in its own syntax (secrets shown as "(secret)"); or JSON. malloc'd. */
char *conf_text(const struct conf *);
char *conf_json(const struct conf *);

/* "90s", "15m", "4h", "2d", "1w" or seconds, to milliseconds; "64K", "1G" or bytes. */
bool conf_time(const char *text, int64_t *ms);
bool conf_size(const char *text, uint64_t *bytes);

#endif
