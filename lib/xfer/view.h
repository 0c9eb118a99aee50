/* xfer/view: what one zone remembers of one of its primaries: the serial it showed, how it went the last time, and the version of its that was
 * refused, which is not fetched again while that memory lasts. Pure: time is a parameter, in ms.
 */
#ifndef XFER_VIEW_H
#define XFER_VIEW_H

#include "dns/serial.h"

#include <stdbool.h>
#include <stdint.h>

/* Zeroed at first. */
struct view {
	bool asked, healthy;         /* healthy: it answered the last time */
	bool ixfr_broken;            /* the last IXFR broke off in the middle: AXFR next time */
	bool has_serial, has_refused;
	uint8_t times;               /* that `refused` was refused */
	struct serial serial, refused;
	int64_t at, shown, since;    /* asked last; `serial` shown last, and first */
	int64_t refused_until;
	char *error;                 /* of the last time; NULL: none */
};

void view_release(struct view *);
/* `error` is copied; NULL: it went well. */
void view_asked(struct view *, int64_t now, bool healthy, const char *error);
void view_shows(struct view *, struct serial, int64_t now);
/* A serial that was not shown again since `before` counts no more. */
void view_forget(struct view *, int64_t before);
/* The version of this serial was refused for what it holds. The memory lasts VIEW_REFUSED_MS, and twice as long each time it is refused
 * again, up to VIEW_REFUSED_MAX_MS. */
enum { VIEW_REFUSED_MS = 900 * 1000, VIEW_REFUSED_MAX_MS = 86400 * 1000 };
void view_refuse(struct view *, struct serial, int64_t now);
bool view_refuses(const struct view *, struct serial, int64_t now);
void view_pardon(struct view *);

#endif
