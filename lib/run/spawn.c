#include "run/spawn.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TICK_MS = 20, PIECE = 4096, PIECES_MAX = 64 };

enum end { GOES_ON, ENDED, OVERDUE, STOPPED };

struct run {
	const struct spawn *command;
	pid_t pid;
	int to, from;                /* its standard input, -1 once it is closed; its output */
	int64_t deadline;            /* ms */
	int status;
	bool silent;                 /* its output has come to its end */
	enum end end;
	char *output;
	size_t used;
};

/* Not without end: it may write faster than this reads. */
static void read_output(struct run *r)
{
	char piece[PIECE];

	for (unsigned i = 0; i < PIECES_MAX && !r->silent; i++) {
		ssize_t n = read(r->from, piece, sizeof piece);
		size_t room = SPAWN_OUTPUT - 1 - r->used, take = n > 0 && (size_t)n < room ? (size_t)n : room;

		r->silent = n == 0;
		if (n <= 0)
			return;
		memcpy(r->output + r->used, piece, take);
		r->used += take;
	}
}

static void look(struct run *r)
{
	if (waitpid(r->pid, &r->status, WNOHANG) == r->pid)
		r->end = ENDED;
	else if (atomic_load(r->command->stop))
		r->end = STOPPED;
	else if (clock_ms() >= r->deadline)
		r->end = OVERDUE;
}

/* Until something can be written, or read, or a moment has passed. */
static void wait_a_moment(struct run *r)
{
	struct pollfd fd[2] = {{r->silent ? -1 : r->from, POLLIN, 0}, {r->to, POLLOUT, 0}};

	poll(fd, 2, TICK_MS);
	read_output(r);
}

static bool put(void *ctx, const char *text, size_t length)
{
	struct run *r = ctx;

	while (length && r->end == GOES_ON) {
		ssize_t n = write(r->to, text, length);

		if (n > 0) {
			text += n;
			length -= (size_t)n;
			continue;
		}
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return false;        /* it does not read on: it need not */
		wait_a_moment(r);
		look(r);
	}
	return r->end == GOES_ON;
}

/* It and all that it has started. */
static void end_group(struct run *r)
{
	if (r->end == ENDED)
		return;
	kill(-r->pid, SIGKILL);
	while (waitpid(r->pid, &r->status, 0) < 0 && errno == EINTR)
		;
}

static enum err verdict(const struct run *r, struct why *why)
{
	const char *path = r->command->argv[0];

	switch (r->end) {
	case OVERDUE:
		return err_why(why, ERR_REFUSED, "%.200s did not end within %u s (%s)", path, r->command->timeout_ms / 1000, r->command->timeout_key);
	case STOPPED: case GOES_ON:
		return err_why(why, ERR_ORDER, "%.200s was interrupted", path);
	case ENDED:
		break;
	}
	if (WIFSIGNALED(r->status))
		return err_why(why, ERR_REFUSED, "%.200s was ended by signal %d", path, WTERMSIG(r->status));
	if (WEXITSTATUS(r->status) == 0)
		return ERR_OK;
	return err_why(why, ERR_REFUSED, "%.150s ended with %d%s%.200s", path, WEXITSTATUS(r->status), r->used ? ": " : "", r->output);
}

/* What the daemon has set for itself is not the command's. */
static int spawn(struct run *r, int in, int out)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	sigset_t all, none;
	int error;

	sigfillset(&all);
	sigemptyset(&none);
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attributes);
	posix_spawn_file_actions_adddup2(&files, in, 0);
	posix_spawn_file_actions_adddup2(&files, out, 1);
	posix_spawn_file_actions_adddup2(&files, out, 2);
	posix_spawn_file_actions_addclosefrom_np(&files, 3);
	posix_spawnattr_setpgroup(&attributes, 0);
	posix_spawnattr_setsigdefault(&attributes, &all);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
	error = posix_spawn(&r->pid, r->command->argv[0], &files, &attributes, (char *const *)(uintptr_t)r->command->argv, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&files);
	return error;
}

static int start(struct run *r, int in[2], int out[2])
{
	int error = spawn(r, in[0], out[1]);

	close(in[0]);
	close(out[1]);
	r->to = in[1];
	r->from = out[0];
	fcntl(r->to, F_SETFL, O_NONBLOCK);
	fcntl(r->from, F_SETFL, O_NONBLOCK);
	return error;
}

static void feed_and_wait(struct run *r)
{
	r->command->write(r->command->ctx, put, r);
	close(r->to);
	r->to = -1;
	for (look(r); r->end == GOES_ON; look(r))
		wait_a_moment(r);
	read_output(r);
	end_group(r);
}

/* One line, for the log. */
static void tidy(char *output, size_t used)
{
	while (used && (output[used - 1] == '\n' || output[used - 1] == '\r' || output[used - 1] == ' '))
		used--;
	output[used] = 0;
	for (size_t i = 0; i < used; i++)
		if (output[i] == '\n' || output[i] == '\t' || output[i] == 0)
			output[i] = ' ';
}

enum err spawn_run(const struct spawn *command, char output[SPAWN_OUTPUT], struct why *why)
{
	struct run r = {.command = command, .deadline = clock_ms() + command->timeout_ms, .output = output};
	int in[2], out[2], error;

	output[0] = 0;
	if (pipe2(in, O_CLOEXEC) < 0)
		return err_why(why, ERR_NOMEM, "pipe: %s", strerror(errno));
	if (pipe2(out, O_CLOEXEC) < 0) {
		error = errno;
		close(in[0]);
		close(in[1]);
		return err_why(why, ERR_NOMEM, "pipe: %s", strerror(error));
	}
	error = start(&r, in, out);
	if (!error)
		feed_and_wait(&r);
	else
		close(r.to);
	close(r.from);
	tidy(output, r.used);
	return error ? err_why(why, ERR_REFUSED, "%.200s cannot be started: %s", command->argv[0], strerror(error)) : verdict(&r, why);
}
