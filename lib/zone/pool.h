/* zone/pool: the memory of one zone's versions. Blocks are carved from chunks that grow
 * with the zone, up to 2 MB, aligned for huge pages; freed blocks are kept by size and used again by
 * the next version; a whole lineage is dropped at once. No header per block: who frees says the size.
 * One writer at a time (the version under construction); reading needs nothing.
 */
#ifndef ZONE_POOL_H
#define ZONE_POOL_H

#include <stddef.h>
#include <stdint.h>

struct pool;

struct pool *pool_new(void);
/* For a content of so many bytes, as pool_used tells them of another one: its first chunk is as large as that, and no larger. */
struct pool *pool_new_for(size_t used);
void pool_free(struct pool *);               /* with everything in it */
/* Aligned to 8, uninitialised. NULL if out of memory. */
void *pool_alloc(struct pool *, size_t size);
/* NULL and a size of 0 (not the pool's) are allowed. */
void pool_put(struct pool *, void *block, size_t size);
/* Bytes taken from the system, and those among them that wait for a block of their size. */
size_t pool_bytes(const struct pool *);
size_t pool_idle(const struct pool *);
/* Bytes of all blocks that are in use. */
size_t pool_used(const struct pool *);

#endif
