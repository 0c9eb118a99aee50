/* lockstep: the operator's command. */
#include "run/client.h"
#include "run/checking.h"
#include "run/command.h"
#include "run/conf.h"
#include "run/diffing.h"
#include "run/pull.h"
#include "run/readying.h"
#include "run/show.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int fail(const char *text)
{
	fputs("lockstep: ", stderr);
	show_text(stderr, text);
	putc('\n', stderr);
	return 1;
}

static int run_config(const struct command *command)
{
	struct why why;
	struct conf *conf = conf_read(command->conf ? command->conf : conf_default_path(), &why);
	char *text = conf ? command->json ? conf_json(conf) : conf_text(conf) : NULL;
	int status = 0;

	if (!conf)
		status = fail(why.text);
	else if (!text)
		status = fail("out of memory");
	else if (fputs(text, stdout) == EOF || fflush(stdout) != 0)
		status = fail(strerror(errno));
	for (size_t i = 0; conf && i < conf->warning_count; i++)
		fail(conf->warnings[i]);
	free(text);
	conf_free(conf);
	return status;
}

/* -s, or what the configuration says. Where there is none that we may read, the daemon may still listen at the usual place. */
static char *socket_of(const struct command *command, struct why *why)
{
	if (command->socket)
		return strdup(command->socket);
	if (!command->conf && access(conf_default_path(), R_OK) < 0)
		return strdup(RUNSTATEDIR "/lockstep/control.sock");
	return conf_control(command->conf ? command->conf : conf_default_path(), why);
}

static int ask_daemon(const struct command *command)
{
	struct why why = {""};
	char *path = socket_of(command, &why);
	int status = path ? client_run(command, path) : fail(err_say(&why, ERR_NOMEM));

	free(path);
	return status;
}

static int run_pull(const struct command *command)
{
	struct pull_options options = {.zone = command->zones[0], .from = command->from, .key = command->key, .tls = command->tls,
		.output = command->output, .json = command->json, .quiet = command->quiet};
	struct why why = {""};
	int status = pull_run(&options, &why);

	if (status != 0)
		fail(err_say(&why, ERR_NETWORK));
	return status;
}

static int run_diff(const struct command *command)
{
	struct why why = {""}, no_socket = {""};
	char *path = socket_of(command, &no_socket);
	int status = diffing_run(command, path, &no_socket, &why);

	if (*why.text)
		fail(why.text);
	free(path);
	return status;
}

static int run_check(const struct command *command)
{
	struct why why = {""}, no_socket = {""};
	char *path = command->from_daemon || !command->zone_count ? socket_of(command, &no_socket) : NULL;
	int status = checking_run(command, path, &no_socket, &why);

	if (*why.text)
		fail(why.text);
	free(path);
	return status;
}

static int run_ready(const struct command *command)
{
	struct why why = {""};
	int status = readying_run(command, &why);

	if (*why.text)
		fail(why.text);
	return status;
}

static int run(const struct command *command)
{
	switch (command->verb) {
	case COMMAND_CONFIG:
		return run_config(command);
	case COMMAND_PULL:
		return run_pull(command);
	case COMMAND_DIFF:
		return run_diff(command);
	case COMMAND_CHECK:
		return run_check(command);
	case COMMAND_READY:
		return run_ready(command);
	case COMMAND_STATUS: case COMMAND_TRANSFER: case COMMAND_REFRESH: case COMMAND_NOTIFY: case COMMAND_WRITE:
	case COMMAND_RELOAD: case COMMAND_DUMP: case COMMAND_STATS: case COMMAND_STOP: case COMMAND_ADD: case COMMAND_REMOVE:
	case COMMAND_HOLD: case COMMAND_RELEASE: case COMMAND_PURGE:
		return ask_daemon(command);
	}
	return 2;
}

int main(int argc, char *argv[])
{
	struct command command;
	int status = 0;

	switch (command_parse(&command, argc, argv)) {
	case COMMAND_RUN:
		status = run(&command);
		break;
	case COMMAND_SHOWN:
		status = fflush(stdout) == 0 ? 0 : 1;
		break;
	case COMMAND_USAGE:
		status = command.usage_status;
		break;
	}
	command_release(&command);
	return status;
}
