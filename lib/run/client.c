#include "run/client.h"

#include "run/records.h"
#include "run/show.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { SILENCE_MAX = 30 /* seconds without a word from a daemon that has nothing to wait for */ };

struct client {
	const struct command *command;
	const char *socket_path;
	FILE *in;                    /* from the daemon */
	bool progress;               /* a line of it is on the terminal */
	json_t *zones;               /* as far as they have come, where they cannot be shown one by one; NULL: none */
	bool streams;                /* status: they can */
	size_t shown;                /* zones that were */
	int status;                  /* exit status so far */
	/* Instead of standard output, and standard error; NULL: those. */
	bool (*put)(void *ctx, const char *text, size_t length);
	void (*take)(void *ctx, const json_t *zone);
	void *ctx;
	struct why *why;
	enum err err;                /* where there is `why`: what it says */
	bool done;
	/* dump as JSON */
	struct records records;
	bool begun;                  /* the document's beginning is printed */
};

/* --- saying ---------------------------------------------------------------------- */

static void clear_progress(struct client *client)
{
	if (client->progress)
		show_progress_end(stderr);
	client->progress = false;
}

static int fail(struct client *client, const char *text, const char *more)
{
	client->status = 1;
	if (client->why) {
		if (!client->err)
			client->err = err_why(client->why, ERR_NOTFOUND, "%s%s%s", text, more ? ": " : "", more ? more : "");
		return 1;
	}
	clear_progress(client);
	fputs("lockstep: ", stderr);
	show_text(stderr, text);
	if (more) {
		fputs(": ", stderr);
		show_text(stderr, more);
	}
	putc('\n', stderr);
	return 1;
}

/* --- the request ----------------------------------------------------------------- */

static json_t *request_of(const struct command *command)
{
	json_t *request = json_pack("{s:s}", "verb", command->verb_name), *zones = json_array();

	for (size_t i = 0; i < command->zone_count; i++)
		json_array_append_new(zones, json_string(command->zones[i]));
	json_object_set_new(request, "zones", zones);
	if (command->all)
		json_object_set_new(request, "all", json_true());
	if (command->full)
		json_object_set_new(request, "full", json_true());
	if (command->from_daemon)
		json_object_set_new(request, "checks", json_true());
	else if (command->verb == COMMAND_STATUS && !command->json && command->zone_count == 0)
		json_object_set_new(request, "table", json_true());
	if (command->from)
		json_object_set_new(request, "from", json_string(command->from));
	if (command->template_name)
		json_object_set_new(request, "template", json_string(command->template_name));
	if (command->name)
		json_object_set_new(request, "name", json_string(command->name));
	if (command->type)
		json_object_set_new(request, "type", json_string(command->type));
	return request;
}

static int connect_to(struct client *client)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char text[300];
	int fd;

	if (strlen(client->socket_path) >= sizeof address.sun_path)
		return fail(client, client->socket_path, "too long for the path of a socket"), -1;
	strcpy(address.sun_path, client->socket_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
		return fd;
	snprintf(text, sizeof text, "%scannot connect to %s",
		errno == ENOENT || errno == ECONNREFUSED ? "lockstepd is not running? " : "", client->socket_path);
	fail(client, text, strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

static bool waits_for_others(enum command_verb verb)
{
	switch (verb) {
	case COMMAND_STATUS: case COMMAND_STATS: case COMMAND_DUMP: case COMMAND_PULL: case COMMAND_CONFIG: case COMMAND_DIFF: case COMMAND_CHECK:
	case COMMAND_READY:
		return false;
	case COMMAND_TRANSFER: case COMMAND_REFRESH: case COMMAND_NOTIFY: case COMMAND_WRITE: case COMMAND_RELOAD: case COMMAND_STOP:
	case COMMAND_ADD: case COMMAND_REMOVE: case COMMAND_HOLD: case COMMAND_RELEASE: case COMMAND_PURGE:
		return true;
	}
	return true;
}

static int send_request(struct client *client, int fd)
{
	struct timeval silence = {.tv_sec = SILENCE_MAX};
	json_t *request = request_of(client->command);
	char *line = json_dumps(request, JSON_COMPACT);
	size_t length, sent = 0;

	json_decref(request);
	if (!line)
		return fail(client, "out of memory", NULL);
	length = strlen(line);
	line[length++] = '\n';       /* in the NUL's place */
	if (!waits_for_others(client->command->verb))
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof silence);
	while (sent < length) {
		ssize_t n = send(fd, line + sent, length - sent, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			break;
		sent += n > 0 ? (size_t)n : 0;
	}
	free(line);
	if (sent < length && errno == EPIPE)
		return 0;            /* it has closed, and may have said why */
	return sent == length ? 0 : fail(client, client->socket_path, strerror(errno));
}

/* --- dump ------------------------------------------------------------------------ */

static void begin_dump(struct client *client)
{
	json_t *zone;

	if (client->begun)
		return;
	client->begun = true;
	zone = json_string(client->command->zones[0]);
	printf("{\n  \"zone\": ");
	json_dumpf(zone, stdout, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
	json_decref(zone);
	printf(",\n  \"records\": [");
}

static void put_zone_text(struct client *client, const char *text)
{
	if (client->put) {
		if (!client->put(client->ctx, text, strlen(text)) && !client->err)
			client->err = err_why(client->why, ERR_NOMEM, "out of memory");
		return;
	}
	if (client->command->json) {
		begin_dump(client);
		if (!records_put(&client->records, text, strlen(text)))
			fail(client, "out of memory", NULL);
		return;
	}
	for (; *text; text++) {
		if (*text == '\n' || *text == '\t' || (*text >= 0x20 && *text < 0x7f))
			putchar(*text);
		else
			printf("\\%03u", (unsigned char)*text);
	}
}

/* What was begun must become a document, also after an error. */
static void end_dump(struct client *client, const json_t *done)
{
	const json_t *serial = json_object_get(done, "serial");

	if (client->command->verb != COMMAND_DUMP || !client->command->json || (client->status && !client->begun))
		return;
	begin_dump(client);
	printf("%s],\n  \"serial\": ", client->records.count ? "\n  " : "");
	if (json_is_integer(serial))
		printf("%" JSON_INTEGER_FORMAT "\n}\n", json_integer_value(serial));
	else
		printf("null\n}\n");
}

/* --- status of all zones, as it comes ---------------------------------------------- */

enum { SHOW_JSON = JSON_ENSURE_ASCII | JSON_REAL_PRECISION(6) | JSON_ENCODE_ANY };

static void put_document(struct client *client, const json_t *zones)
{
	const json_t *zone;
	size_t i;

	if (!client->begun)
		printf("{\n  \"zones\": [");
	json_array_foreach(zones, i, zone) {
		char *text = json_dumps(zone, SHOW_JSON | JSON_COMPACT);

		if (!text)
			fail(client, "out of memory", NULL);
		else if (printf("%s\n    %s", client->shown ? "," : "", text) > 0)
			client->shown++;
		free(text);
	}
	client->begun = true;
}

static void put_status(struct client *client, const json_t *zones)
{
	struct show show = show_of(stdout);

	if (client->command->json)
		put_document(client, zones);
	else
		show_status_piece(&show, zones, !client->begun);
	client->begun = true;
}

/* `done` NULL: it broke off; what was begun becomes a document. */
static void end_status(struct client *client, const json_t *done)
{
	void *at = json_object_iter((json_t *)(uintptr_t)done);
	struct show show = show_of(stdout);

	if (!done && !client->begun)
		return;
	put_status(client, json_object_get(done, "zones"));
	if (!client->command->json) {
		if (done)
			show_status_end(&show, done);
		return;
	}
	fputs(client->shown ? "\n  ]" : "]", stdout);
	for (; at; at = json_object_iter_next((json_t *)(uintptr_t)done, at)) {
		if (strcmp(json_object_iter_key(at), "zones") == 0)
			continue;
		printf(",\n  \"%s\": ", json_object_iter_key(at));
		json_dumpf(json_object_iter_value(at), stdout, SHOW_JSON);
	}
	fputs("\n}\n", stdout);
}

static void take_zones(struct client *client, json_t *zones)
{
	const json_t *zone;
	size_t i;

	if (client->take)
		json_array_foreach(zones, i, zone)
			client->take(client->ctx, zone);
	else if (client->streams)
		put_status(client, zones);
	else if (client->zones)
		json_array_extend(client->zones, zones);
	else
		client->zones = json_incref(zones);
}

/* --- results --------------------------------------------------------------------- */

/* Zones that failed: the exit status, and a line each unless the daemon has said something already. */
static void report_failed(struct client *client, const json_t *done)
{
	bool said = client->status != 0;
	const json_t *zone;
	size_t i;

	json_array_foreach(json_object_get(done, "zones"), i, zone) {
		const char *result = json_string_value(json_object_get(zone, "result"));
		const char *name = json_string_value(json_object_get(zone, "zone"));
		const char *error = json_string_value(json_object_get(zone, "error"));

		if (!result || strcmp(result, "failed") != 0)
			continue;
		client->status = 1;
		if (!said)
			fail(client, name ? name : "?", error ? error : "failed");
	}
}

static void show_done(struct client *client, const json_t *done)
{
	const struct command *command = client->command;
	struct show show = show_of(stdout);

	switch (command->verb) {
	case COMMAND_STATUS:
		show_status(&show, done, command->zone_count == 1, command->zone_count == 0);
		break;
	case COMMAND_TRANSFER:
		show_transfer(&show, done);
		break;
	case COMMAND_REFRESH: case COMMAND_NOTIFY: case COMMAND_WRITE:
	case COMMAND_ADD: case COMMAND_REMOVE: case COMMAND_HOLD: case COMMAND_RELEASE: case COMMAND_PURGE:
		show_count(&show, done, command->verb_name);
		break;
	case COMMAND_RELOAD:
		if (client->status == 0)
			show_reload(&show, done);
		break;
	case COMMAND_STATS:
		show_stats(&show, done);
		break;
	case COMMAND_DUMP: case COMMAND_STOP: case COMMAND_PULL: case COMMAND_CONFIG: case COMMAND_DIFF: case COMMAND_CHECK:
	case COMMAND_READY:
		break;
	}
}

static void take_done(struct client *client, json_t *done)
{
	client->done = true;
	if (client->take) {
		take_zones(client, json_object_get(done, "zones"));
		return;
	}
	if (client->zones) {         /* those that came before, and those that came with it */
		json_array_extend(client->zones, json_object_get(done, "zones"));
		json_object_set(done, "zones", client->zones);
	}
	clear_progress(client);
	if (client->put)
		return;
	if (client->streams) {
		end_status(client, done);
	} else if (client->command->verb == COMMAND_DUMP) {
		end_dump(client, done);
	} else if (client->command->json) {
		json_dumpf(done, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(6));
		putchar('\n');
	} else {
		show_done(client, done);
	}
	fflush(stdout);
	report_failed(client, done);
}

/* False: it is not the protocol. */
static bool take_line(struct client *client, const char *line, size_t length)
{
	json_t *message = json_loadb(line, length, 0, NULL);
	const json_t *progress = json_object_get(message, "progress"), *text = json_object_get(message, "text"),
		*error = json_object_get(message, "error");
	json_t *done = json_object_get(message, "done");
	json_t *zones = json_object_get(message, "zones");
	bool known = progress || json_is_array(zones) || json_is_string(text) || json_is_string(error) || json_is_object(done);

	if (progress && isatty(STDERR_FILENO) && !client->command->json) {
		show_progress(stderr, progress);
		client->progress = true;
	}
	if (json_is_array(zones))
		take_zones(client, zones);
	if (json_is_string(text))
		put_zone_text(client, json_string_value(text));
	if (json_is_string(error))
		fail(client, client->command->verb_name, json_string_value(error));
	if (json_is_object(done))
		take_done(client, done);
	json_decref(message);
	return known;
}

static void read_answer(struct client *client)
{
	const char *wrong = NULL;
	char *line = NULL;
	size_t size = 0;

	while (!client->done && !wrong) {
		ssize_t n;

		errno = 0;
		n = getline(&line, &size, client->in);
		if (n > 0 && !take_line(client, line, (size_t)n))
			wrong = "what came from there is not an answer of lockstepd";
		else if (n <= 0)
			wrong = errno == EAGAIN ? "lockstepd does not answer" : "lockstepd closed the connection before the end";
	}
	free(line);
	if (!wrong)
		return;
	client->status = 1;
	if (client->streams)
		end_status(client, NULL);
	else if (!client->put && !client->take)
		end_dump(client, NULL);
	fflush(stdout);
	fail(client, client->socket_path, wrong);
}

int client_run(const struct command *command, const char *socket_path)
{
	struct client client = {.command = command, .socket_path = socket_path, .records = {.out = stdout}};
	int fd = connect_to(&client);

	if (fd < 0)
		return 1;
	client.streams = command->verb == COMMAND_STATUS && command->zone_count == 0 && (command->json || !show_of(stdout).terminal);
	client.in = fdopen(fd, "r");
	if (!client.in) {
		close(fd);
		return fail(&client, socket_path, strerror(errno));
	}
	if (send_request(&client, fd) == 0)
		read_answer(&client);
	fclose(client.in);
	records_release(&client.records);
	json_decref(client.zones);
	if (fflush(stdout) != 0 || ferror(stdout))
		fail(&client, "standard output", strerror(errno));
	return client.status;
}

/* For a caller in the program: nothing is printed. */
static enum err ask_for(struct client *client)
{
	int fd = connect_to(client);

	if (fd < 0)
		return ERR_NETWORK;
	client->in = fdopen(fd, "r");
	if (!client->in) {
		close(fd);
		return err_why(client->why, ERR_NOMEM, "%s: %m", client->socket_path);
	}
	if (send_request(client, fd) == 0)
		read_answer(client);
	fclose(client->in);
	return client->err;
}

enum err client_dump(const char *socket_path, const char *zone, bool (*put)(void *ctx, const char *text, size_t length), void *ctx, struct why *why)
{
	char *zones[] = {(char *)zone};
	struct command command = {.verb = COMMAND_DUMP, .verb_name = "dump", .zones = zones, .zone_count = 1};
	struct client client = {.command = &command, .socket_path = socket_path, .put = put, .ctx = ctx, .why = why};

	return ask_for(&client);
}

enum err client_checks(const char *socket_path, char **zones, size_t zone_count, void (*take)(void *ctx, const json_t *zone),
	void *ctx, struct why *why)
{
	struct command command = {.verb = COMMAND_STATUS, .verb_name = "status", .zones = zones, .zone_count = zone_count, .from_daemon = true};
	struct client client = {.command = &command, .socket_path = socket_path, .take = take, .ctx = ctx, .why = why};
	enum err err = ask_for(&client);

	return client.done && zone_count ? ERR_OK : err;
}
