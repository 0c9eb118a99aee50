/* run/conf: reads the configuration file (libconfig syntax) into the plain structs of run/settings, with the help of
 * run/source (includes), run/key and run/kind (values), run/keys (the table of all keys) and run/ref (names). Lower rooms get
 * their own small structs from run/wire. A configuration is one object, never changed, freed as a whole.
 * Any thread: nothing is shared.
 */
#ifndef RUN_CONF_H
#define RUN_CONF_H

#include "run/settings.h"

/* Reads and checks everything. On an error, or without memory, NULL and `why` "FILE:LINE: key: what". */
struct conf *conf_read(const char *path, struct why *);
/* The files that the remotes' `tls` names, for `client` of each: before the zones use them. A certificate of ours that is out of its time
 * becomes a warning. ERR_IO, ERR_NOTFOUND, ERR_CONF, ERR_NOMEM: `why` "remotes: NAME: tls: PATH: what". */
enum err conf_load_tls(struct conf *, uint64_t unix_now, struct why *);
/* The same for who asks a few servers, once: a remote whose files are no good has `unloaded`, and is no obstacle to the others. ERR_NOMEM. */
enum err conf_try_tls(struct conf *, uint64_t unix_now, struct why *);
void conf_free(struct conf *);       /* NULL is allowed */
/* Only server.control of the file, which may have any other error: the operator must be able to ask a running daemon while a new
 * configuration is being written. malloc'd; NULL and `why` if the file cannot be read, or is not libconfig's syntax (of a long list
 * of zones, only the beginning is looked at). */
char *conf_control(const char *path, struct why *);
/* SYSCONFDIR/lockstep/lockstep.conf */
const char *conf_default_path(void);
/* The one that is named; where none is (path NULL), the default one, which need not be there: then *conf is NULL. Any other failure is one. */
enum err conf_read_any(const char *path, struct conf **conf, struct why *why);
/* The zone file's path by the pattern (see run/path), under zone-dir unless the pattern is absolute. False: longer than
 * `size`. */
bool conf_zone_path(const struct conf *, const struct conf_settings *, const uint8_t *zone, char *out, size_t size);
/* Why zones that are not in the configuration (added at run time, members of catalogs) cannot have these settings; NULL: they can. */
const char *conf_unfit(const struct conf_settings *);
/* NULL: it is not in the configuration. */
const struct conf_zone *conf_find_zone(const struct conf *, const uint8_t *name);
/* The configuration as understood, defaults and templates filled in, in its own syntax; or JSON. Inline secrets are shown as
 * "(secret)", which conf_read does not accept: a configuration whose secrets are in files can be read back. malloc'd. */
char *conf_text(const struct conf *);
char *conf_json(const struct conf *);

#endif
