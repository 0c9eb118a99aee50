/* zone/journal: the database (SQLite, in state-dir): what must survive that is not in the
 * zone files. Today each zone's serial and timers; the changes themselves have their place here.
 * One writer thread; each call is durable when it returns, and a batch is one transaction.
 */
#ifndef ZONE_JOURNAL_H
#define ZONE_JOURNAL_H

#include "base/err.h"
#include "dns/name.h"
#include "dns/serial.h"

#include <stdbool.h>

struct journal;

/* What is known of a zone between runs. Times in seconds since 1970, 0: never. */
struct journal_zone {
	uint8_t name[NAME_SIZE];
	bool has_serial;
	struct serial serial;        /* of the newest version taken */
	int64_t changed;             /* when that was */
	int64_t refreshed;           /* when a primary last confirmed that we are current */
	int64_t expires;             /* when the zone stops being served */
	bool expired;
	struct serial written;       /* serial in the zone file, valid if file_known */
	bool file_known;
	char primary[64];            /* the remote it came from */
};

/* Opens or creates DIR/lockstep.db, for this process alone (ERR_EXISTS if another one has it open with this call). A damaged database is
 * set aside (".damaged-TIME") and begun anew, said in `why` with ERR_OK; one of a newer schema is ERR_CONF, and left as it is. */
enum err journal_open(struct journal **, const char *dir, struct why *);
void journal_close(struct journal *);
/* False from `each` ends it. */
enum err journal_read(struct journal *, bool (*each)(void *ctx, const struct journal_zone *), void *ctx, struct why *);
enum err journal_write(struct journal *, const struct journal_zone *, size_t count, struct why *);
enum err journal_forget(struct journal *, const uint8_t *name, struct why *);

#endif
