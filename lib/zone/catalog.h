/* zone/catalog: catalog zones (RFC 9432), version 2: from a version of one to its members, and from members to a version. Pure.
 *
 *     version.CATALOG          TXT "2"
 *     ID.zones.CATALOG         PTR MEMBER
 *     group.ID.zones.CATALOG   TXT "GROUP"
 *     coo.ID.zones.CATALOG     PTR NEW-CATALOG
 */
#ifndef ZONE_CATALOG_H
#define ZONE_CATALOG_H

#include "base/arena.h"
#include "base/err.h"
#include "zone/zone.h"

enum { CATALOG_GROUP_MAX = 255 };

struct catalog_member {
	const uint8_t *name;         /* lower case */
	const uint8_t *id;           /* its label, lower case, the length before it */
	const char *group;           /* NULL: none, or one with a NUL in it. Of several the first in canonical order */
	const uint8_t *coo;          /* the catalog that may take it over, lower case; NULL: none */
};
/* What a version says. */
struct catalog {
	struct catalog_member *members;      /* by name, in canonical order */
	size_t count;
	struct arena arena;
};

/* ERR_ZONE: it is broken (RFC 9432 4.1, 4.2.1, 4.3.1, 5.1: no version, or another one than 2; two PTR records at one label; one member under two
 * labels), and nothing may follow from it; ERR_LIMIT: more members than `most`. What is not known is passed over. On an error there is
 * nothing to release. */
enum err catalog_read(const struct zone *, uint64_t most, struct catalog *, struct why *);
void catalog_release(struct catalog *);
/* The catalog that may take over the member with this label. False: none. */
bool catalog_coo(const struct zone *, const uint8_t *id, uint8_t out[NAME_SIZE]);

/* The label for a member of a catalog that we make: always the same for a name (its SHA-1 in hexadecimal, as others do it). */
enum { CATALOG_ID = 41 };
void catalog_id(const uint8_t *name, uint8_t id[CATALOG_ID]);
/* A version with these members (any order, each name once), held once. `group` and `coo` may be NULL. ERR_LIMIT: a name would be too long. */
enum err catalog_make(const uint8_t *apex, const struct catalog_member *, size_t count, struct serial, struct zone **, struct why *);
/* Whether a catalog lists just these (in canonical order of their names). */
bool catalog_same(const struct catalog *, const struct catalog_member *, size_t count);

#endif
