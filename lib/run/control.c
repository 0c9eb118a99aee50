#include "run/control.h"

#include "base/array.h"
#include "base/buf.h"
#include "base/file.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { LINE_MAX_ = 8 << 20, SESSIONS = 64, READ_STEP = 65536 };

static const struct timeval ask_within = {10, 0};
static const struct timeval accept_pause = {0, 250000};      /* without a descriptor to spare */

struct control_session {
	struct control_session *next;
	struct control *control;
	struct event *read, *write;
	int fd;
	char *in;
	size_t in_used, in_room;
	char *out;
	size_t out_at, out_used, out_room;
	bool asked, finishing;
	void *data;
};

struct control {
	struct event_base *loop;
	struct event *accept, *resume;
	int fd;
	char *path;
	control_handler *handler;
	control_closed *closed;
	void *ctx;
	struct control_session *sessions;
	unsigned count;
};

void *control_data(const struct control_session *s) { return s->data; }
void control_set_data(struct control_session *s, void *data) { s->data = data; }

static void session_free(struct control_session *s)
{
	struct control *c = s->control;

	for (struct control_session **at = &c->sessions; *at; at = &(*at)->next)
		if (*at == s) {
			*at = s->next;
			break;
		}
	c->count--;
	c->closed(c->ctx, s);
	event_free(s->read);
	event_free(s->write);
	if (s->fd >= 0)
		close(s->fd);
	free(s->in);
	free(s->out);
	free(s);
}

static void on_write(evutil_socket_t fd, short what, void *ctx)
{
	struct control_session *s = ctx;

	(void)what;
	while (s->out_at < s->out_used) {
		ssize_t n = send(fd, s->out + s->out_at, s->out_used - s->out_at, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			session_free(s);
			return;
		}
		s->out_at += (size_t)n;
	}
	if (s->out_at < s->out_used) {
		event_add(s->write, NULL);
		return;
	}
	s->out_at = s->out_used = 0;
	if (s->finishing)
		session_free(s);
}

void control_send(struct control_session *s, const char *line)
{
	size_t length = strlen(line);

	if (!array_room(s->out, s->out_room, s->out_used + length + 1))
		return;
	memcpy(s->out + s->out_used, line, length);
	s->out[s->out_used + length] = '\n';
	s->out_used += length + 1;
	event_add(s->write, NULL);   /* from the loop: the caller goes on with its session */
}

size_t control_unsent(const struct control_session *s)
{
	return s->out_used - s->out_at;
}

void control_finish(struct control_session *s)
{
	s->finishing = true;
	event_add(s->write, NULL);
}

int control_take_socket(struct control_session *s)
{
	int fd = dup(s->fd);

	if (fd >= 0)
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
	s->out_at = s->out_used = 0;
	s->finishing = true;
	event_add(s->write, NULL);
	return fd;
}

static void on_read(evutil_socket_t fd, short what, void *ctx)
{
	struct control_session *s = ctx;
	char *end;
	ssize_t n;

	if (what & EV_TIMEOUT) {
		if (!s->asked)
			session_free(s);
		return;
	}
	if (!array_room(s->in, s->in_room, s->in_used + READ_STEP)) {
		session_free(s);
		return;
	}
	n = recv(fd, s->in + s->in_used, READ_STEP, 0);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n == 0 && s->asked) {    /* it only listens from now on */
		event_del(s->read);
		return;
	}
	if (n <= 0) {
		session_free(s);
		return;
	}
	if (s->asked)
		return;              /* one request a connection: what follows is not looked at */
	s->in_used += (size_t)n;
	end = memchr(s->in + s->in_used - n, '\n', (size_t)n);
	if (!end && s->in_used <= LINE_MAX_)
		return;
	s->asked = true;
	if (!end) {
		s->in_used = 0;
		control_send(s, "{\"error\":\"the request is longer than 8 MiB\"}");
		control_send(s, "{\"done\":{}}");
		control_finish(s);
		return;
	}
	*end = 0;
	s->control->handler(s->control->ctx, s, s->in, (size_t)(end - s->in));
	s->in_used = 0;
}

/* It has asked nothing, and nothing is on its way. */
static bool is_idle(const struct control_session *s)
{
	char octet;

	return !s->asked && recv(s->fd, &octet, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
}

/* False: everybody has asked something, and waits for the answer. */
static bool evict(struct control *c)
{
	struct control_session *oldest = NULL;

	for (struct control_session *s = c->sessions; s; s = s->next)
		if (is_idle(s))
			oldest = s;
	if (oldest)
		session_free(oldest);
	return oldest != NULL;
}

static void turn_away(int client)
{
	static const char line[] = "{\"error\":\"too many requests are under way\"}\n{\"done\":{}}\n";

	if (send(client, line, sizeof line - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		shutdown(client, SHUT_RDWR);
	close(client);
}

static struct control_session *session_new(struct control *c, int client)
{
	struct control_session *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	s->control = c;
	s->fd = client;
	s->read = event_new(c->loop, client, EV_READ | EV_PERSIST, on_read, s);
	s->write = event_new(c->loop, client, EV_WRITE, on_write, s);
	if (s->read && s->write && event_add(s->read, &ask_within) == 0)
		return s;
	if (s->read)
		event_free(s->read);
	if (s->write)
		event_free(s->write);
	free(s);
	return NULL;
}

static void on_resume(evutil_socket_t fd, short what, void *ctx)
{
	struct control *c = ctx;

	(void)fd, (void)what;
	event_add(c->accept, NULL);
}

static void on_accept(evutil_socket_t fd, short what, void *ctx)
{
	struct control *c = ctx;
	struct control_session *s;
	int client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)what;
	if (client < 0) {
		if ((errno == EMFILE || errno == ENFILE) && !evict(c)) {
			event_del(c->accept);
			event_add(c->resume, &accept_pause);
		}
		return;
	}
	if (c->count >= SESSIONS && !evict(c)) {
		turn_away(client);
		return;
	}
	s = session_new(c, client);
	if (!s) {
		close(client);
		return;
	}
	s->next = c->sessions;
	c->sessions = s;
	c->count++;
}

/* A socket that nobody listens at any more is in the way; one that answers belongs to another daemon. */
static enum err clear_path(const char *path, const struct sockaddr_un *addr, struct why *why)
{
	struct stat st;
	int fd, alive;

	if (lstat(path, &st) < 0)
		return ERR_OK;
	if (!S_ISSOCK(st.st_mode))
		return err_why(why, ERR_EXISTS, "%s: is there already, and is no socket", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	alive = fd >= 0 && connect(fd, (const struct sockaddr *)addr, sizeof *addr) == 0;
	if (fd >= 0)
		close(fd);
	if (alive)
		return err_why(why, ERR_EXISTS, "%s: another daemon answers there", path);
	if (unlink(path) < 0)
		return err_why(why, ERR_IO, "%s: remove: %s", path, strerror(errno));
	return ERR_OK;
}

static int listen_at(const char *path, struct why *why)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	mode_t mask;
	int fd, bound;

	if (strlen(path) >= sizeof addr.sun_path) {
		err_why(why, ERR_CONF, "%s: a socket's path is at most %zu octets long", path, sizeof addr.sun_path - 1);
		return -1;
	}
	strcpy(addr.sun_path, path);
	if (file_mkparent(path, why) || clear_path(path, &addr, why))
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	mask = umask(0117);
	bound = fd < 0 ? -1 : bind(fd, (const struct sockaddr *)&addr, sizeof addr);
	umask(mask);
	if (bound < 0 || listen(fd, 64) < 0) {
		err_why(why, ERR_IO, "%s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

struct control *control_new(struct event_base *loop, const char *path, control_handler *handler, control_closed *closed, void *ctx,
	struct why *why)
{
	struct control *c = calloc(1, sizeof *c);

	if (!c || !(c->path = strdup(path))) {
		free(c);
		err_why(why, ERR_NOMEM, "out of memory");
		return NULL;
	}
	c->loop = loop;
	c->handler = handler;
	c->closed = closed;
	c->ctx = ctx;
	c->fd = listen_at(path, why);
	c->accept = c->fd < 0 ? NULL : event_new(loop, c->fd, EV_READ | EV_PERSIST, on_accept, c);
	c->resume = evtimer_new(loop, on_resume, c);
	if (c->accept && c->resume && event_add(c->accept, NULL) == 0)
		return c;
	if (c->accept)
		event_free(c->accept);
	if (c->resume)
		event_free(c->resume);
	if (c->fd >= 0)
		close(c->fd);
	free(c->path);
	free(c);
	return NULL;
}

void control_free(struct control *c)
{
	if (!c)
		return;
	/* What can still be said at once is said: the answer to `stop`, for one. */
	while (c->sessions) {
		struct control_session *s = c->sessions;

		if (s->out_at < s->out_used && send(s->fd, s->out + s->out_at, s->out_used - s->out_at, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			s->out_used = 0;
		session_free(s);
	}
	event_free(c->accept);
	event_free(c->resume);
	close(c->fd);
	unlink(c->path);
	free(c->path);
	free(c);
}
