/* run/keys: all keys of the configuration file, a row each: what kind of value, between which bounds, and
 * kept where. A new key is a row here, its field in run/settings, and its line in lockstep.conf(5).
 */
#ifndef RUN_KEYS_H
#define RUN_KEYS_H

#include "run/key.h"
#include "run/settings.h"

/* The indices of run/ref: what is called by name. */
enum { KEYS, REMOTES, ACLS, PROVIDERS, TEMPLATES, INDICES };

extern const char *const keys_sections[];   /* NULL at the end */

/* Where the rows store what is no struct of run/settings as it stands. */
struct keys_key_row { const uint8_t *name; const char *algorithm, *secret /* borrowed from libconfig */, *secret_file; };
struct keys_zone_row { const uint8_t *name; const char *template_name; struct conf_settings set; };
struct keys_zone_list_row { const char *file, *template_name; };

extern const struct key
	keys_server[],               /* of a struct conf */
	keys_key[],                  /* struct keys_key_row */
	keys_remote[],               /* struct conf_remote; */
	keys_remote_tls[],           /* the same with another default port */
	keys_acl[], keys_provider[], keys_template[],   /* struct conf_acl, ... */
	keys_zone[], keys_zone_list[];

extern const struct conf_settings keys_default_settings;

#endif
