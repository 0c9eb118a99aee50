/* run/print: a configuration as text or JSON, from the same rows by which it was read.
 */
#ifndef RUN_PRINT_H
#define RUN_PRINT_H

#include "run/settings.h"

/* See conf_text. malloc'd; NULL without memory. */
char *print_conf(const struct conf *, bool json);

#endif
