/* run/recall: the last result of the checks of a zone (check/report, as kept), over a restart: a file below state-dir, replaced
 * whole, and hostile input when it is read again; and what is different from one result to the next. Any thread.
 */
#ifndef RUN_RECALL_H
#define RUN_RECALL_H

#include "base/err.h"
#include "run/conf.h"

#include <jansson.h>

enum { RECALL_FINDINGS_MAX = 200 };  /* that are kept; of the others the number */

struct recalled {
	char *text;                  /* one line of JSON; NULL: there is none */
	char *worst;                 /* where it is critical, in one line, for people; else NULL */
	int64_t at;                  /* seconds since 1970: when it was had */
};
void recalled_release(struct recalled *);    /* there is none afterwards */
/* False: out of memory. */
bool recall_make(json_t *result, int64_t at, struct recalled *);

/* The file, made anew from what is understood of it; its time is `now` at most. ERR_OK, and no text: there is none. */
enum err recall_read(const struct conf *, const uint8_t *zone, int64_t now, struct recalled *, struct why *);
/* Makes the directory too. On an error the old file is whole. */
enum err recall_write(const struct conf *, const uint8_t *zone, const struct recalled *, struct why *);
/* Also one that is not there. */
enum err recall_remove(const struct conf *, const uint8_t *zone, struct why *);

/* The findings of one that are not in the other (NULL: nothing is), each once; what only its message tells apart is the same. An
 * array of `most` of them at most, a new reference; all of them are counted. */
json_t *recall_difference(const json_t *from, const json_t *other, size_t most, size_t *count);

#endif
