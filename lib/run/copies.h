/* run/copies: the two copies of every version that was served, each enough to serve it again:
 *
 *     the database (zone/journal)            image + steps, and the zone's row
 *     the zone file, and behind it the log   (zone/steplog) image or steps, until the file holds them
 *
 * A version is durable when one of them has it, in the ordinary way both; a copy that has not is mended with the next version, or
 * by copies_mend. Nothing here knows of zones in service: versions come with what they follow on, and go to who asks for them. Used
 * by run/disk: commits on one thread, loading on others.
 */
#ifndef RUN_COPIES_H
#define RUN_COPIES_H

#include "base/err.h"
#include "base/file.h"
#include "run/found.h"

struct copies;

/* Opens both. What cannot be opened is done without, said in the log and by copies_health, and tried again later. ERR_EXISTS (another process
 * has it) and ERR_NOMEM alone are errors. */
enum err copies_open(struct copies **, const char *state_dir, struct why *);
void copies_close(struct copies *);          /* NULL is allowed */
/* Each row of the database. What is seen makes the first look for each zone cheaper, until copies_started: all are loaded. */
enum err copies_rows(struct copies *, void (*each)(void *ctx, const struct journal_row *), void *ctx, struct why *);
void copies_started(struct copies *);        /* any thread */

enum copies_kind {
	COPIES_ROW,                  /* the row alone */
	COPIES_VERSION,              /* a new version, and the row */
	COPIES_MEND,                 /* a version that was durable once, to where it is not now; and the row, if there is one */
	COPIES_FORGET,               /* the zone is gone */
};
/* What a version is brought to: to the log only if it does not lead there, or anew, as a whole, in any case. */
enum copies_mend { COPIES_MEND_DATABASE = 1, COPIES_MEND_LOG = 2, COPIES_MEND_LOG_ANEW = 4 };
struct copies_change {
	enum copies_kind kind;
	const uint8_t *name;
	const struct journal_row *row;       /* NULL: it stays */
	struct zone *version;
	struct zone *old;            /* VERSION: the one before; NULL: none */
	unsigned mend;               /* MEND: of enum copies_mend */
	/* Out: */
	enum err err;
	struct why why;
	struct diff *diff;           /* VERSION: from the one before to this one, held; NULL: a whole zone is smaller */
};
/* All of them, durable together; each says how it went. On the thread of commits. `early` is called for each new version that is in the log,
 * and so durable, when the database has still to be written: its diff is there then, and it will have ended well. */
void copies_commit(struct copies *, struct copies_change *, size_t count, void (*early)(void *ctx, size_t change), void *ctx);
/* What need not be waited for: large images that one of the copies lacks yet. When what copies_commit gave has been passed on. */
void copies_settle(struct copies *);
/* When nothing has been committed for a moment. */
void copies_idle(struct copies *);
/* What is to be mended now that it can be written (again), of enum copies_mend; 0: nothing. `name`: of that zone; NULL: of all,
 * with their rows. Called until it says 0. */
unsigned copies_to_mend(struct copies *, uint8_t name[NAME_SIZE], bool *all);
/* The zones whose versions keep the log large: their zone files are to be written, or they are to be mended. */
void copies_pinning(struct copies *, bool (*each)(void *ctx, const uint8_t *name), void *ctx);

/* What the database has of the zones with these names: of the first ones, as many as fit in memory, in one go; how many these are. Commits wait so
 * long. `found` is zeroed. Any thread. */
size_t copies_find(struct copies *, const uint8_t *const *names, struct found *, size_t count);
/* What the log has of one; false: nothing. Any thread. */
bool copies_find_in_log(struct copies *, const uint8_t *name, struct found *);
bool copies_log_newest(struct copies *, const uint8_t *name, struct serial *newest);
bool copies_log_suspect(const struct copies *);      /* there was damage in it */
int64_t copies_state_time(const struct copies *);    /* when database or log were last written to before we opened them, seconds since 1970 */

/* For status: what is wrong with each; empty: nothing. Any thread. */
struct copies_health {
	char database[WHY_MAX], log[WHY_MAX];
	bool database_open, log_open;
	uint64_t commits, failed, begun_anew;
	uint64_t damaged;            /* places in either of them that were found damaged */
};
void copies_health(struct copies *, struct copies_health *);
void copies_note_damage(struct copies *, uint64_t places);   /* found by who builds what came. Any thread */

#endif
