/* run/found: what one place, the database or the log, has of a zone: pieces of an image, and steps. Gathered while the place is ours, looked at
 * afterwards (run/recover).
 */
#ifndef RUN_FOUND_H
#define RUN_FOUND_H

#include "zone/diff.h"
#include "zone/image.h"
#include "zone/journal.h"
#include "zone/steplog.h"

/* What the database's row says of the version that was served last, and of the zone file. */
struct found_row {
	bool known;                  /* there is a row, and it is whole */
	bool has_serial, file_known;
	struct serial serial, written;
	struct file_digest file;
};

struct found {
	struct image image;          /* piece[].bytes are ours */
	struct diff **steps;
	size_t step_count, first;    /* the first step that follows on the image; those before lead to it */
	struct found_row row;
	bool whole;                  /* all that was there came */
	bool has_last;
	struct serial last;
	char damage[WHY_MAX];        /* empty: none was found */
};
/* For journal_load and steplog_load, with the struct found, which was zeroed, as their `ctx`. */
enum journal_want found_each_item(void *found, const struct journal_item *);
bool found_each_record(void *found, const struct steplog_record *);
size_t found_octets(const struct found *);
void found_clear_image(struct image *);
void found_release(struct found *);          /* what it holds */

#endif
