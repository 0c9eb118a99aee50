/* run/catalogs: catalog zones at work (RFC 9432; zone/catalog knows what is in them): the members of those that are consumed become zones
 * (run/roster remembers them, run/keeper has them), and those that are produced are made from the zones there are:
 *
 *     a version of a catalog ─► read, on the disk's thread ─► what comes, goes, begins anew ─► keeper_edit
 *     zones come and go ─► is a produced catalog still right? ─► its zone file is written anew, and read like that of any zone from a file
 *
 * On the event loop's thread.
 */
#ifndef RUN_CATALOGS_H
#define RUN_CATALOGS_H

#include "run/keeper.h"

struct catalogs;

struct catalogs *catalogs_new(struct event_base *, struct keeper *, uint64_t (*unix_time)(void));     /* NULL: out of memory */
void catalogs_free(struct catalogs *);       /* before the keeper, after the disk */

/* Of one catalog, for status. */
struct catalogs_view {
	uint64_t members;            /* zones that it brings, or lists */
	uint64_t refused;            /* members that are not taken, */
	const char *refused_why;     /* the first of them, and why; NULL: none */
	const char *error;           /* why its last version is not used, or none could be made; NULL: it is fine */
};
/* False: nothing is known of it. */
bool catalogs_view(const struct catalogs *, const uint8_t *name, struct catalogs_view *);
struct catalogs_counters { uint64_t versions, broken, added, removed, reset, refused, made; };
const struct catalogs_counters *catalogs_counters(const struct catalogs *);

#endif
