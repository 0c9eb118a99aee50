/* run/asking: from the options of `check`, `diff` and `ready`, and a zone's settings, to what the room check/ is told: whom to ask,
 * and by what to judge.
 */
#ifndef RUN_ASKING_H
#define RUN_ASKING_H

#include "base/arena.h"
#include "base/file.h"
#include "check/resolve.h"
#include "check/settings.h"
#include "check/survey.h"
#include "run/command.h"
#include "run/settings.h"

/* The options, read. */
struct asking {
	struct net_addr resolver, parent;    /* AF_UNSPEC: not given */
	struct survey_given *given; size_t given_count;
	uint16_t port;                       /* 0: not given */
	uint32_t timeout_ms;
	bool no_v4, no_v6;
	bool over_tls;                       /* primaries over TLS are asked for their serial too, not passed over: conf_try_tls was called */
	struct net_addr system[RESOLVE_SYSTEM_MAX]; size_t system_count;     /* the system's resolvers, */
	struct file_mark system_mark;        /* from a file that was this one */
};
/* ERR_SYNTAX (`why` names the option), ERR_NOMEM. Of the options, nothing is borrowed; the arena keeps what is given. */
enum err asking_read(struct asking *, const struct command_asking *, struct arena *, struct why *);

/* The system's resolvers once more, where their file has changed. True: it has. */
bool asking_system(struct asking *);

/* A zone's, from its settings; without options (the daemon) `asking` is one that was read from none. Borrows from all three. False: out of memory. */
bool asking_survey(const struct asking *, const struct conf *, const struct conf_settings *, struct arena *, struct survey_settings *out);
bool asking_verdict(const struct asking *, const struct conf *, const struct conf_settings *, struct arena *, struct verdict_settings *out);
/* The settings of any zone: its own, or those of the template "default". `conf` NULL: there is no configuration. */
const struct conf_settings *asking_settings(const struct conf *, const uint8_t *zone);
const char *asking_state_dir(const struct conf *);
/* Where it is remembered what the nameservers of the zone showed: below state-dir. False: too long. */
bool asking_memory_path(const struct conf *, const uint8_t *zone, char *out, size_t size);

#endif
