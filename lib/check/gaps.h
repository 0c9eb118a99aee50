/* check/gaps: what a survey could not find out, once nothing more is asked: a gap for each. Pure.
 */
#ifndef CHECK_GAPS_H
#define CHECK_GAPS_H

#include "check/survey.h"

/* What the replies do not tell. */
struct gaps_known {
	const struct survey_settings *settings;
	bool late;                   /* time was up before all was answered */
	bool no_memory;
	const uint8_t *lies_in;      /* by a server of the parent that does not delegate the zone; NULL: there is none */
	bool no_such_name;           /* as it says */
};
/* `enclosing` too. */
void gaps_find(struct survey *, const struct gaps_known *);

#endif
