/* zone/journalrow: what the database remembers of a zone (struct journal_row, for everybody), and, for zone/journal alone, how it stands in
 * the table `zone`: between C and SQL, with two sums, over this and over what zone/journal has to know of the zone's image and steps. Pure.
 */
#ifndef ZONE_JOURNALROW_H
#define ZONE_JOURNALROW_H

#include "base/file.h"
#include "dns/name.h"
#include "dns/serial.h"

#include <stdbool.h>

struct sqlite3_stmt;

enum journal_origin { JOURNAL_CONF, JOURNAL_ADDED, JOURNAL_CATALOG };
/* Where a zone comes from that the configuration does not name. */
struct journal_member {
	enum journal_origin origin;
	const char *template_name;   /* NULL: none */
	const uint8_t *catalog;      /* a name; NULL: none */
	const uint8_t *id;           /* the member's label: length, octets; NULL: none */
};

/* A zone's row. What pointers point to is the giver's. Times in seconds since 1970, 0: never. */
struct journal_row {
	const uint8_t *name;
	const char *primary;         /* the remote it came from; NULL: not known */
	const struct journal_member *member; /* NULL: the configuration names it */
	const char *rejected_why;    /* with has_rejected; NULL: not said */
	int64_t changed;             /* when the newest version was taken */
	int64_t refreshed;           /* when a primary last confirmed that we are current */
	int64_t expires;             /* when the zone stops being served */
	int64_t next;                /* when a primary is asked next */
	struct file_digest file;     /* of the zone file, valid if file_known */
	struct serial serial;        /* of the newest version taken, valid if has_serial */
	struct serial written;       /* serial in the zone file, valid if file_known */
	struct serial rejected;      /* of the version that was refused last, valid if has_rejected */
	uint32_t failures;           /* attempts in a row that came to nothing */
	uint32_t given_expire;       /* seconds, by EDNS EXPIRE (RFC 7314), counted from `refreshed`; 0: none was given */
	bool has_serial, file_known, has_rejected;
	bool expired, held;
};
/* A copy with all that it points to, in one block; free() it. NULL: out of memory. */
struct journal_row *journal_row_copy(const struct journal_row *);

/* --- for zone/journal ---------------------------------------------------------------------- */

/* What the tables `image` and `step` hold of the zone. */
struct journalrow_content {
	bool has_image;
	struct serial image;
	uint32_t parts;              /* pieces of the image */
	uint64_t image_octets;
	uint64_t image_at;           /* number of the first step after it */
	uint64_t next_step;          /* number that the next step will have */
	uint64_t step_octets;        /* of those after the image */
	struct serial last;          /* the version that all of it leads to */
};

/* The columns, for CREATE TABLE, and in the order of everything below. Parameter and column 0 is the name. */
#define JOURNALROW_TABLE \
	"CREATE TABLE zone (" \
	" id INTEGER PRIMARY KEY," \
	" name BLOB NOT NULL UNIQUE,"        /* wire form, lower case */ \
	" serial INTEGER,"                   /* NULL: no version was ever taken */ \
	" changed INTEGER NOT NULL," \
	" refreshed INTEGER NOT NULL," \
	" expires INTEGER NOT NULL," \
	" next INTEGER NOT NULL," \
	" expired INTEGER NOT NULL," \
	" held INTEGER NOT NULL," \
	" failures INTEGER NOT NULL," \
	" given_expire INTEGER NOT NULL," \
	" written INTEGER,"                  /* serial in the zone file; NULL: not known */ \
	" file_size INTEGER NOT NULL," \
	" file_sum INTEGER NOT NULL," \
	" rejected INTEGER," \
	" rejected_why TEXT," \
	" primary_name TEXT," \
	" origin INTEGER NOT NULL," \
	" template TEXT," \
	" catalog BLOB," \
	" member BLOB," \
	" sum INTEGER NOT NULL,"             /* over all from `name` to here */ \
	" image INTEGER,"                    /* its serial; NULL: there is none */ \
	" image_parts INTEGER NOT NULL," \
	" image_octets INTEGER NOT NULL," \
	" image_at INTEGER NOT NULL," \
	" next_step INTEGER NOT NULL," \
	" step_octets INTEGER NOT NULL," \
	" last INTEGER NOT NULL," \
	" content_sum INTEGER NOT NULL"      /* over `name`, and all from `image` to here */ \
	")"
#define JOURNALROW_ROW "serial, changed, refreshed, expires, next, expired, held, failures, given_expire, written, file_size, file_sum, rejected, " \
	"rejected_why, primary_name, origin, template, catalog, member, sum"
#define JOURNALROW_CONTENT "image, image_parts, image_octets, image_at, next_step, step_octets, last, content_sum"
enum { JOURNALROW_ROW_COLUMNS = 20, JOURNALROW_CONTENT_COLUMNS = 8 };

/* Binds JOURNALROW_ROW or JOURNALROW_CONTENT from the parameter `first` on; `name` is in lower case. What is bound must outlive the
 * statement's run. */
void journalrow_bind(struct sqlite3_stmt *, int first, const uint8_t *name, const struct journal_row *);
void journalrow_bind_content(struct sqlite3_stmt *, int first, const uint8_t *name, const struct journalrow_content *);
/* Reads them from the column `first` on; pointers lead into the statement's row. False: the sum does not fit. */
bool journalrow_read(struct sqlite3_stmt *, int first, const uint8_t *name, struct journal_row *, struct journal_member *);
bool journalrow_read_content(struct sqlite3_stmt *, int first, const uint8_t *name, struct journalrow_content *);
/* The column, if it holds a name and nothing else, else NULL. */
const uint8_t *journalrow_name(struct sqlite3_stmt *, int column);

#endif
