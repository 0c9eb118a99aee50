/* zone/entry: the lexical side of master files (RFC 1035 5.1): text to entries, each a row of tokens. Comments,
 * parentheses, quotes, line ends of either kind; escapes are only stepped over. Knows no names, types or
 * directives. Called by zone/zonefile. Pure.
 */
#ifndef ZONE_ENTRY_H
#define ZONE_ENTRY_H

#include "base/err.h"
#include "dns/text.h"

struct entry {
	const char *at, *end;        /* the text that is left, borrowed */
	unsigned line_at;            /* its line */
	struct text_token *tokens;     /* of the entry read last: `count` of them, pointing into the text */
	size_t count, room;
	unsigned line;               /* where it begins */
	bool blank;                  /* it begins with white space: the owner is left out */
};

void entry_begin(struct entry *, const char *text, size_t length);
void entry_release(struct entry *);
/* The next entry that is not empty. ERR_NOTFOUND: there is none. ERR_SYNTAX (then `line` is where), ERR_NOMEM. */
enum err entry_next(struct entry *, struct why *);

#endif
