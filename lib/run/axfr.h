/* run/axfr: one transfer of a whole zone without a daemon and without a configuration, for the commands that begin with one. It
 * is verified to its end, or it failed. A line of progress on standard error, where that is a terminal.
 */
#ifndef RUN_AXFR_H
#define RUN_AXFR_H

#include "base/err.h"
#include "run/command.h"
#include "xfer/fetch.h"

#include <stdbool.h>

struct axfr_ask {
	const char *zone;            /* absolute, as name_text writes it */
	const char *from;            /* ADDRESS[@PORT] */
	const char *key;             /* [ALGORITHM:]NAME:SECRET, hmac-sha256 if none is named; NULL: unsigned */
	struct command_tls tls;      /* with neither name nor pin anybody is believed, and who it was is said on standard error */
	bool quiet;                  /* nothing on standard error but errors */
};

/* `out` is cleared first; its version, if there is one, is the caller's (zone_put). ERR_SYNTAX: something in `ask` cannot be read. */
enum err axfr_run(const struct axfr_ask *, struct fetch_result *out, struct why *);

#endif
