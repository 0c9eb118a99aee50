/* run/command: what the operator typed after `lockstep`, checked and put in order; and the texts of --help.
 * The verbs and their options are one table. Pure but for what it prints.
 */
#ifndef RUN_COMMAND_H
#define RUN_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum command_verb {
	COMMAND_STATUS, COMMAND_TRANSFER, COMMAND_REFRESH, COMMAND_NOTIFY, COMMAND_WRITE, COMMAND_RELOAD, COMMAND_DUMP,
	COMMAND_STATS, COMMAND_STOP, COMMAND_PULL, COMMAND_CONFIG,
	COMMAND_ADD, COMMAND_REMOVE, COMMAND_HOLD, COMMAND_RELEASE, COMMAND_PURGE, COMMAND_DIFF, COMMAND_CHECK, COMMAND_READY,
};

/* What --tls and the options about it have said; NULL: not given. */
struct command_tls { bool on; const char *auth_name, *ca, *pin, *cert, *key; };

/* Which servers are asked, and how: what the verbs that look at nameservers have in common. */
struct command_asking {
	const char *resolver, *parent;       /* ADDRESS[@PORT]; NULL: not given */
	const char **ns; size_t ns_count;    /* NAME[/ADDRESS[@PORT]]; malloc'd, the texts not */
	uint16_t port;               /* 0: not given */
	uint32_t timeout_ms;         /* 0: not given */
	int64_t rate;                /* -1: not given */
	bool v4, v6;                 /* -4, -6: these alone */
};

struct command {
	enum command_verb verb;
	const char *verb_name;
	int usage_status;            /* the exit status of wrong usage */
	const char *conf, *socket;   /* -c, -s; NULL: not given */
	bool json, all, full, quiet;
	const char *from, *key, *output, *template_name;   /* NULL: not given */
	struct command_tls tls;
	struct command_asking asking;
	bool watch, from_daemon;
	char **zones;                /* absolute, as name_text writes them; malloc'd */
	size_t zone_count;
	char *name;                  /* dump: of the records, absolute; NULL: all. malloc'd */
	char *type;                  /* in capitals. malloc'd */
};

enum command_outcome {
	COMMAND_RUN,                 /* do it */
	COMMAND_SHOWN,               /* --help or --version was asked for, and printed */
	COMMAND_USAGE,               /* wrong: said on standard error; exit status `usage_status` */
};

/* Fills the command, which must be released in any case. */
enum command_outcome command_parse(struct command *, int argc, char *const argv[]);
void command_release(struct command *);

#endif
