/* check/memory: what is remembered of a zone between two checks: the newest serial and when it was first seen, and of each address
 * of each nameserver the serial that it showed last, since when, and the highest one. One check: memory_saw for all that answered,
 * memory_settle, then the questions. Time is a parameter, seconds since 1970; a clock that went back makes nothing negative. One
 * thread at a time for each object; in a file (text, of a bounded size, replaced whole) it is hostile input like any other.
 */
#ifndef CHECK_MEMORY_H
#define CHECK_MEMORY_H

#include "base/err.h"
#include "base/net.h"
#include "dns/name.h"
#include "dns/serial.h"

enum { MEMORY_SERVERS_MAX = 512 };   /* of a zone; beyond them, those not seen for longest are forgotten */

struct memory;

/* Of a zone of which nothing is known. NULL: out of memory. */
struct memory *memory_new(const uint8_t *zone);
void memory_free(struct memory *);           /* NULL is allowed */

/* What the file says, or nothing is known: ERR_OK if there is no file. ERR_DAMAGED (not such a file, or another zone's), ERR_IO,
 * ERR_LIMIT, ERR_NOMEM: then nothing is known either, and the next memory_save writes it anew. */
enum err memory_load(struct memory *, const char *path, struct why *);
/* Makes the directory too. On an error the old file is whole. */
enum err memory_save(const struct memory *, const char *path, struct why *);

/* A nameserver, or a primary (`name` its nameserver name; a primary's is its name in the configuration as one label), shows this
 * serial now. False: out of memory. */
bool memory_saw(struct memory *, const uint8_t *name, const struct net_addr *, struct serial, int64_t now);
/* After all that answered: the newest serial is the newest of those that all have shown last, those that did not answer now too.
 * Who has not been seen for 90 days is forgotten; so is who is not among those `kept` (NULL: all are), asked for by name and
 * address. */
void memory_settle(struct memory *, int64_t now, bool (*kept)(void *ctx, const uint8_t *name, const struct net_addr *), void *ctx);
/* What the daemon itself serves, before a check, and when that was taken: an entry of its own, which `kept` above is asked for too.
 * When what it serves was born it knows better than who looks now and then. False: out of memory. */
bool memory_serve(struct memory *, struct serial, int64_t taken, int64_t now);
bool memory_is_ours(const uint8_t *name, const struct net_addr *);   /* that entry */

/* False: none was ever seen. */
bool memory_newest(const struct memory *, struct serial *, int64_t *first_seen);

struct memory_server {
	struct serial last, highest;
	int64_t since;               /* it shows `last` */
	int64_t behind_since;        /* with `last`, the newest being another; 0: it is not behind */
	int64_t lag;                 /* seconds since the newest serial was first seen while this one is older; 0: it is not older */
};
/* False: it has never shown one. */
bool memory_of(const struct memory *, const uint8_t *name, const struct net_addr *, int64_t now, struct memory_server *);

#endif
