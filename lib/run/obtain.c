#include "run/obtain.h"

#include "base/array.h"
#include "run/axfr.h"
#include "run/client.h"
#include "run/conf.h"
#include "zone/zonefile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum err by_transfer(const struct command *command, struct zone **out, char source[OBTAIN_SOURCE], struct why *why)
{
	struct axfr_ask ask = {command->zones[0], command->from, command->key, command->tls, command->quiet || command->json};
	struct fetch_result result;
	struct why said = {""};
	enum err err = axfr_run(&ask, &result, &said);

	if (err)
		err_why(why, err, "--from %.80s: %.400s", command->from, err_say(&said, err));
	*out = result.version;
	snprintf(source, OBTAIN_SOURCE, "by AXFR from %.100s", command->from);
	return err;
}

/* --- the daemon -------------------------------------------------------------------------- */

struct text {
	char *bytes;
	size_t length, room;
};

static bool gather(void *ctx, const char *piece, size_t length)
{
	struct text *text = ctx;

	if (!array_room(text->bytes, text->room, text->length + length))
		return false;
	memcpy(text->bytes + text->length, piece, length);
	text->length += length;
	return true;
}

static enum err add(void *ctx, const struct rr *rr, struct why *why)
{
	return build_add(ctx, rr, why);
}

static enum err read_text(const struct text *text, const uint8_t *apex, struct zone **out, struct why *why)
{
	struct build *build = build_new(apex, NULL, (struct build_limits){0});
	enum err err;

	if (!build)
		return err_why(why, ERR_NOMEM, "out of memory");
	err = zonefile_parse("the daemon", text->bytes ? text->bytes : "", text->length, NULL, apex, add, build, why);
	if (!err)
		return build_finish(build, out, why);
	build_free(build);
	return err;
}

static enum err by_daemon(const char *socket_path, const char *zone, const uint8_t *apex, struct zone **out, struct why *why)
{
	static const char verb[] = "dump: ";         /* that is asked for here; not the one that the operator knows of */
	struct text text = {0};
	enum err err = client_dump(socket_path, zone, gather, &text, why);
	struct why said = *why;

	if (err && err != ERR_NETWORK && strncmp(said.text, verb, sizeof verb - 1) == 0)
		err_why(why, err, "%.260s cannot be had from the daemon: %.200s", zone, said.text + sizeof verb - 1);
	if (!err)
		err = read_text(&text, apex, out, why);
	free(text.bytes);
	return err;
}

/* --- the zone file ----------------------------------------------------------------------- */

/* What was said of the daemon stays said if there is no configuration that could be read. */
static enum err by_file(const struct command *command, const uint8_t *apex, struct zone **out, char source[OBTAIN_SOURCE], struct why *why)
{
	struct why other = {""};
	struct conf *conf = conf_read(command->conf ? command->conf : conf_default_path(), &other);
	const struct conf_zone *zone = conf ? conf_find_zone(conf, apex) : NULL;
	char path[4096];
	enum err err = ERR_NOTFOUND;

	if (conf && conf_zone_path(conf, zone ? zone->set : conf->default_set, apex, path, sizeof path)) {
		err = zonefile_load(path, apex, (struct build_limits){0}, out, &other);
		snprintf(source, OBTAIN_SOURCE, "from %.280s", path);
	}
	if (err) {
		struct why daemon = *why;

		err_why(why, err, "%.180s; %.200s", err_say(&daemon, ERR_NETWORK), err_say(&other, err));
	}
	conf_free(conf);
	return err;
}

enum err obtain_zone(const struct command *command, const char *socket_path, struct zone **out, char source[OBTAIN_SOURCE], struct why *why)
{
	const char *zone = command->zones[0];
	uint8_t apex[NAME_SIZE];
	enum err err;

	rr_init();
	*out = NULL;
	if (command->from)
		return by_transfer(command, out, source, why);
	if (name_parse(zone, strlen(zone), NULL, apex, why))
		return ERR_SYNTAX;
	err = socket_path ? by_daemon(socket_path, zone, apex, out, why) : ERR_NETWORK;
	snprintf(source, OBTAIN_SOURCE, "as lockstepd serves it");
	return err == ERR_NETWORK && !command->socket ? by_file(command, apex, out, source, why) : err;
}
