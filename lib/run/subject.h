/* run/subject: the one zone that a command looks at: its name, the configuration if there is one, and how its nameservers are asked and judged.
 */
#ifndef RUN_SUBJECT_H
#define RUN_SUBJECT_H

#include "run/asking.h"
#include "run/conf.h"

struct subject {
	uint8_t apex[NAME_SIZE];
	struct conf *conf;           /* NULL: there is none */
	struct arena arena;          /* of all that follows */
	struct asking asking;
	struct survey_settings survey;
	struct verdict_settings verdict;
};

/* Of the command's first zone. A configuration that is named, or is there, must be right. ERR_SYNTAX, ERR_CONF, ERR_NOMEM. To be
 * released in any case. */
enum err subject_of(struct subject *, const struct command *, struct why *);
void subject_release(struct subject *);

#endif
