/* dns/nametable: names, each with a number: which element of an array of the owner's bears it. Equal are names that differ in case alone. Under a key
 * that nobody knows: whoever chooses the names (a catalog's members) does not choose how long a look takes. 16 octets a name at most. One thread.
 */
#ifndef DNS_NAMETABLE_H
#define DNS_NAMETABLE_H

#include "dns/name.h"

#include <stdbool.h>

struct nametable {
	uint64_t *slots;             /* of hash and number; 0: empty */
	size_t room, count;
	uint8_t key[16];
};

#define NAMETABLE_NONE UINT32_MAX
/* The name of the element with that number. */
typedef const uint8_t *nametable_name(const void *array, uint32_t number);

/* A zeroed table is empty. */
void nametable_release(struct nametable *);  /* leaves it empty */
/* Numbers are below 2^31. A name that is there already comes twice, which one is then found is open. False: out of memory, nothing has changed. */
bool nametable_put(struct nametable *, const uint8_t *name, uint32_t number);
uint32_t nametable_find(const struct nametable *, const uint8_t *name, nametable_name *, const void *array);

#endif
