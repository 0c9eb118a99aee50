/* zone/journalplace: for zone/journal alone: where zones lie in the database, and what their rows say of the version that is there,
 * as a scan of all rows saw it, until each is loaded or changed: so that a start looks for nobody twice. About 130 octets a zone.
 * One thread.
 */
#ifndef ZONE_JOURNALPLACE_H
#define ZONE_JOURNALPLACE_H

#include "dns/nametable.h"
#include "zone/journalrow.h"

struct journalplace {
	int64_t id;                  /* 0: it was taken */
	struct journalrow_content content;
	struct serial serial, written;       /* of the row, and: */
	struct file_digest file;
	bool has_serial, file_known;
	size_t name;                 /* where it begins in `names` */
};

/* Zeroed: there are none. */
struct journalplaces {
	struct journalplace *places;
	uint8_t *names;
	size_t count, room, left, names_used, names_room;
	struct nametable table;
};

/* A name that comes again counts as it came last. Out of memory: all are dropped. */
void journalplaces_add(struct journalplaces *, int64_t id, const struct journal_row *, const struct journalrow_content *);
/* The zone's, which is not known any more from then on (with the last one, all memory goes): false: it is not known. */
bool journalplaces_take(struct journalplaces *, const uint8_t *name, struct journalplace *out);
void journalplaces_drop(struct journalplaces *);       /* all */

#endif
