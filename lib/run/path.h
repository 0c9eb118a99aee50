/* run/path: the path of a zone's file from the operator's pattern and the zone's name, which may be anybody's.
 *
 *     %s   the name without its final dot; the root is "root"
 *     %1   its first character, %2 its second; "_" where there is none
 *     %%   a percent sign
 *
 * Letters (in lower case), digits, '-', '_' and the dots between labels stand for themselves, every other octet becomes
 * %XX, so that a name never holds a slash or begins with a dot, and no two names give one text (the name "root." is
 * "%72oot"). A name of more than 200 octets so written is cut, and ends in "%-" and a hash of the name. Pure.
 */
#ifndef RUN_PATH_H
#define RUN_PATH_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ERR_SYNTAX: an unknown %, no file name at its end, "..", or a control character. */
enum err path_check(const char *pattern, struct why *);
/* Whether two zones always get two paths by it: it has %s. */
bool path_is_per_zone(const char *pattern);
/* Appends to the text in `out`, which has room for `size` octets with its NUL. False: too long. */
bool path_expand(const char *pattern, const uint8_t *zone, char *out, size_t size);

#endif
