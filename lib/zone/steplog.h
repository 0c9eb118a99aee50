/* zone/steplog: the second copy of what the database (zone/journal) holds: one append-only log of all zones' steps and images. A
 * version is in it from when it is served until the zone's file holds it; with the zone files it is enough to bring every zone back
 * to its last durable version without the database.
 *
 *     DIR/steps-0000000007.log:  head | record | record | ...
 *     head:   magic, number of this file, number and valid length of the one before it, sum
 *     record: magic, kind, lengths, serials from and to, sum of the octets, sum of all this and the zone's name; name; octets
 *
 * A file is begun anew by each process and after each error, and when one is full; none is ever written to again. A file is removed
 * when each zone that has records in it has a zone file at or beyond the last of them. Sums: as in zone/image. One thread.
 */
#ifndef ZONE_STEPLOG_H
#define ZONE_STEPLOG_H

#include "base/err.h"
#include "dns/name.h"
#include "dns/serial.h"
#include "zone/image.h"

#include <stdbool.h>

struct steplog;

/* What opening found. */
struct steplog_report {
	unsigned files;
	uint64_t records, octets;    /* that check */
	uint64_t damaged;            /* places where something else than records was, that had been durable once; what follows them was read */
	uint64_t damaged_octets;
	bool torn;                   /* the newest file ends in the middle of a record: that was being written when the process ended */
	char first[WHY_MAX];         /* the first damage: file, offset, what; empty: none */
};

/* Reads all of the log that is in DIR (made if absent), and checks every record. An unreadable or damaged file does not keep it
 * from opening: the report says so. ERR_IO, ERR_REFUSED, ERR_NOSPACE (DIR cannot be made or listed), ERR_NOMEM. Nothing is created
 * before the first append. */
enum err steplog_open(struct steplog **, const char *dir, struct steplog_report *, struct why *);
void steplog_close(struct steplog *);        /* NULL is allowed; what steplog_forget noted is written */

/* One version of a zone: by a step, or whole. */
enum steplog_kind { STEPLOG_STEP, STEPLOG_IMAGE };
struct steplog_entry {
	const uint8_t *name;
	enum steplog_kind kind;
	struct serial from, to;      /* `from` of a step */
	const uint8_t *bytes;        /* a step's octets; nothing here looks into them */
	size_t length;               /* at most STEPLOG_STEP_MAX */
	const struct image *image;   /* an image's */
};
enum { STEPLOG_STEP_MAX = 1 << 30 };
/* All of them, with one write and one fdatasync. Durable when it returns ERR_OK; otherwise none of them
 * counts, and they are cut off again. ERR_NOSPACE (disk full, quota), ERR_REFUSED (read-only), ERR_IO (also: fsync failed), ERR_LIMIT (the log has
 * more than twice what steplog_set_most said; or some 4 GB at once), ERR_NOMEM. The next call begins a new file and may succeed. */
enum err steplog_append(struct steplog *, const struct steplog_entry *, size_t count, struct why *);

/* Its newest file is where it was, and the one that is written to. If not, nothing of the log may be there any more: it is to be closed and opened
 * anew. */
bool steplog_in_place(const struct steplog *);

/* The zone's newest version in the log; false: none. */
bool steplog_newest(const struct steplog *, const uint8_t *name, struct serial *);
/* Its records, oldest first, the image (there is one at most) as its pieces: read from disk, and checked again. Steps that do not follow on
 * each other are there where something between was damaged. False from `each` ends it. ERR_NOTFOUND: there are none; ERR_DAMAGED,
 * ERR_IO: what came was good, the rest cannot be had. */
struct steplog_record {
	enum steplog_kind kind;
	struct serial from, to;
	const uint8_t *bytes;        /* valid during the call: a step's, or one piece of the image */
	size_t length;
};
enum err steplog_load(struct steplog *, const uint8_t *name, bool (*each)(void *ctx, const struct steplog_record *), void *ctx, struct why *);
/* Each zone that has records, in no order, and its newest version. The log must not be changed meanwhile. False ends it. */
void steplog_each(const struct steplog *, bool (*each)(void *ctx, const uint8_t *name, struct serial newest), void *ctx);

/* The zone's file holds this version durably: what leads to it need not be kept. Files that nobody needs are removed. Costs no
 * waiting for the disk: it is noted with the next append. */
void steplog_forget(struct steplog *, const uint8_t *name, struct serial written);
/* The zone is gone: nothing of it need be kept. */
void steplog_forget_zone(struct steplog *, const uint8_t *name);

/* Octets of all its files. */
uint64_t steplog_octets(const struct steplog *);
/* How large it should be at most (256 MB if never said), or twice the images that are needed, if that is more. Beyond,
 * steplog_pinning names the zones that keep the oldest files, until without these the log would be small enough: their zone files
 * are to be written, or an image of them appended, which supersedes what was before. Some at a time, each once as long as the same
 * files are too many. */
void steplog_set_most(struct steplog *, uint64_t octets);
void steplog_pinning(struct steplog *, bool (*each)(void *ctx, const uint8_t *name), void *ctx);

#endif
