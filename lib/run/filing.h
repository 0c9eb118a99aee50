/* run/filing: the zone file of one zone (run/kept), written by run/disk: at once where the version waits for it, some time after a change, or when
 * somebody asks. On the event loop's thread.
 */
#ifndef RUN_FILING_H
#define RUN_FILING_H

#include "run/kept.h"

/* Somebody else has changed, replaced or removed it. */
bool filing_changed(const struct keep *);
/* What became of it since it was written is counted, until it is written anew. */
void filing_found(struct keep *, enum recover_file);
/* It holds the version. */
bool filing_done(const struct keep *);
/* It holds this serial, by its digest, since then (seconds since 1970; 0: not known). */
void filing_note(struct keep *, struct serial written, struct file_digest, int64_t at);
/* `version` is written now; who waits is answered then, and env->file_done is called if it is what is pending. */
void filing_write(struct keep *, struct zone *version);
/* What k->sync does when its time has come: writes what is not yet written, or calls env->read_due where there is no version. */
void filing_due(struct timer *);
void filing_at(struct keep *, int64_t seconds);      /* from now */
/* The same where the zone has such a file at all, and unless it is set already. */
void filing_in(struct keep *, int64_t seconds);
void filing_later(struct keep *);                    /* after zonefile-sync, or a while */

#endif
