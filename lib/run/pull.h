/* run/pull: `lockstep pull`: one transfer of a zone without a daemon and without a configuration, into a zone file or
 * to standard output. Whole or not at all: what is printed or replaced has been verified to its end.
 */
#ifndef RUN_PULL_H
#define RUN_PULL_H

#include "base/err.h"
#include "run/command.h"

#include <stdbool.h>

struct pull_options {
	const char *zone;            /* absolute, as name_text writes it */
	const char *from;            /* ADDRESS[@PORT] */
	const char *key;             /* [ALGORITHM:]NAME:SECRET, hmac-sha256 if none is named; NULL: unsigned */
	struct command_tls tls;      /* with neither name nor pin anybody is believed, and who it was is said on standard error */
	const char *output;          /* the file to replace; NULL: standard output */
	bool json;                   /* one document: {"zone","serial","type","primary","records","bytes","seconds","file"},
	                              * with the records in "records" as `dump --json` has them if there is no output file */
	bool quiet;                  /* nothing on standard error but errors */
};

/* The exit status: 0 done, 1 it failed (`why`), 2 an option that cannot be read (`why`). */
int pull_run(const struct pull_options *, struct why *);

#endif
