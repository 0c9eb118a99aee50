#include "run/subject.h"

#include "base/clock.h"

#include <string.h>

enum err subject_of(struct subject *s, const struct command *command, struct why *why)
{
	const struct conf_settings *set;
	enum err err;

	*s = (struct subject){.arena = ARENA_INIT};
	err = name_parse(command->zones[0], strlen(command->zones[0]), NULL, s->apex, why);
	if (!err)
		err = asking_read(&s->asking, &command->asking, &s->arena, why);
	if (!err)
		err = conf_read_any(command->conf, &s->conf, why);
	if (!err && s->conf)
		err = conf_try_tls(s->conf, clock_unix(), why);
	if (err)
		return err;
	s->asking.over_tls = true;
	set = asking_settings(s->conf, s->apex);
	if (!asking_survey(&s->asking, s->conf, set, &s->arena, &s->survey) || !asking_verdict(&s->asking, s->conf, set, &s->arena, &s->verdict))
		return err_why(why, ERR_NOMEM, "out of memory");
	return ERR_OK;
}

void subject_release(struct subject *s)
{
	conf_free(s->conf);
	arena_release(&s->arena);
}
