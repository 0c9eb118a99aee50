/* run/records: zone file text, as it comes in pieces, printed as the elements of a JSON array:
 * {"owner","ttl","class","type","rdata"} a record, so that a zone of any size is never held whole.
 */
#ifndef RUN_RECORDS_H
#define RUN_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct records {
	FILE *out;
	char *line;                  /* not yet whole */
	size_t length, room;
	uint64_t count;              /* printed */
};

/* Pieces may end anywhere. False: out of memory, or `out` cannot be written. */
bool records_put(struct records *, const char *text, size_t length);
void records_release(struct records *);

#endif
