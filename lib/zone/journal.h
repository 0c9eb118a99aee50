/* zone/journal: the database (SQLite, state-dir/lockstep.db). Of each zone:
 *
 *     its row      what must survive and is in no zone file: serials, times, where it came from, hold
 *     its image    one version, whole (zone/image)
 *     its steps    from version to version (zone/diff's octets; not looked at here): those since the image, and some before, for IXFR out
 *
 * Rows, and what belongs to a zone's image and steps, bear sums of our own (SipHash-2-4 under a key that is known to all: see zone/image), so that
 * a flipped bit that SQLite's format does not show is found, in what it hit, when it is read; nothing is checked in advance. WAL, an fsync at each
 * commit, no memory map of anything: while it is open here it is open to nobody else. One thread; a call that returns ERR_OK is durable.
 *
 * Errors of all calls: ERR_NOSPACE the disk or a quota is full; ERR_REFUSED it cannot be written (read-only, permissions); ERR_IO the disk failed;
 * ERR_DAMAGED the database itself is damaged, cut, or was removed under us: journal_reopen is wanted; ERR_NOMEM. After any of them nothing
 * of the call was done, and the next may succeed.
 */
#ifndef ZONE_JOURNAL_H
#define ZONE_JOURNAL_H

#include "zone/image.h"
#include "zone/journalrow.h"

struct journal;

/* Opens or creates DIR/lockstep.db, for this process alone (ERR_EXISTS if another one has it open with this call). A file that is
 * no database, or none of ours, is set aside (".damaged-TIME") and begun anew, said in `why` with ERR_OK; one of a newer schema is
 * ERR_CONF, and left as it is: its number stands in the user_version and, above 0x4c530000, in the application_id, so that a bit
 * that flipped is not taken for it. Takes the same time whatever is in it. */
enum err journal_open(struct journal **, const char *dir, struct why *);
void journal_close(struct journal *);        /* NULL is allowed */
/* After ERR_DAMAGED: what is there is set aside and begun anew, empty; `why` says so with ERR_OK. On an error the journal stays closed, and every
 * call but this one and journal_close returns that error. */
enum err journal_reopen(struct journal *, struct why *);

/* --- writing --- */

enum journal_kind {
	JOURNAL_ROW,                 /* the row alone */
	JOURNAL_STEP,                /* one step more, and the row */
	JOURNAL_IMAGE,               /* a version as a whole instead of the image and the steps before, and the row */
	JOURNAL_FORGET,              /* nothing is left of the zone */
};
struct journal_change {
	enum journal_kind kind;
	const uint8_t *name;         /* NULL: row->name */
	const struct journal_row *row;       /* NULL: the row stays as it is */
	struct serial from, to;      /* of a step; `to` of an image */
	const uint8_t *bytes;        /* of a step */
	size_t length;
	const struct image *image;   /* an image's */
	/* With an image of the version that is the last one here: the newest steps stay, for IXFR out, as many as have so many octets. */
	uint64_t keep;
	/* Out: how this one went. A STEP that does not begin where the zone's last one ended (or has no image below it) is ERR_MISMATCH, one for
	 * which the steps have become far too many is ERR_LIMIT: then an IMAGE is wanted, and nothing of this change was done. */
	enum err err;
	bool outgrown;               /* the steps outgrew half of the image: an IMAGE of the version `to` is wanted when there is time */
};
/* All of them in their order, in one transaction. */
enum err journal_commit(struct journal *, struct journal_change *, size_t count, struct why *);

/* Writes something that changes nothing: whether it can be written again. */
enum err journal_try(struct journal *, struct why *);

/* When nothing has been committed for a moment: what waits in the write-ahead log goes into the database, so that the log is used from its
 * beginning again. Cheap if there is nothing to do. A log that grows beyond 64 MB is emptied by the commit that finds it so. */
enum err journal_idle(struct journal *, struct why *);

/* --- reading --- */

enum journal_item_kind {
	JOURNAL_ITEM_ROW,            /* a zone begins */
	JOURNAL_ITEM_IMAGE,          /* the next piece of its image, for image_reader_put, which checks it; `to` is its serial */
	JOURNAL_ITEM_STEP,           /* the next step, checked, oldest first */
	JOURNAL_ITEM_END,            /* the zone ends */
};
/* All of it valid during the call. */
struct journal_item {
	enum journal_item_kind kind;
	const struct journal_row *row;       /* of the zone, with every item */
	/* False: the row is damaged, and nothing of it but its name means anything; the name only if image or steps check. */
	bool row_whole;
	struct serial from, to;
	const uint8_t *bytes;
	size_t length;
	bool before;                 /* STEP: it leads to the image, or to an older version: for IXFR out alone */
	bool has_image;              /* END: there was an image, and all its pieces came */
	bool has_last;               /* END: a version was durable here: `last`. If the steps that came do not lead to it, they are damaged */
	struct serial last;
	const char *damage;          /* END: what of the zone is damaged or missing; NULL: nothing was found so */
};
enum journal_want { JOURNAL_GO_ON, JOURNAL_NEXT_ZONE /* no END comes */, JOURNAL_STOP };
typedef enum journal_want journal_each(void *ctx, const struct journal_item *);

/* All zones, in the order in which they lie there; `each` must not call the journal. ROWS: of each ROW and END alone, and what is
 * seen makes the first journal_load of each zone cheaper, until journal_forget_places. ERR_DAMAGED: some could not be read, all
 * others came. Where the database is damaged a name may come twice; the second time is the newer. */
enum journal_extent { JOURNAL_ROWS, JOURNAL_ALL };
enum err journal_scan(struct journal *, enum journal_extent, journal_each *, void *ctx, struct why *);
/* One zone, with all of it; of its row the serials, and what it knows of the zone file, are given and nothing else. ERR_NOTFOUND:
 * there is nothing. */
enum err journal_load(struct journal *, const uint8_t *name, journal_each *, void *ctx, struct why *);
/* Between the two calls journal_load costs less, the more so where the zones come in the order in which they lie there, as all of
 * it is of one state of the database. Nothing may be committed meanwhile. */
void journal_hold_reads(struct journal *, bool hold);

/* No zone will be loaded soon. */
void journal_forget_places(struct journal *);

/* For status. */
struct journal_sizes {
	uint64_t database, log;      /* octets of the files */
};
struct journal_sizes journal_sizes(const struct journal *);

#endif
