#include "run/print.h"

#include "run/keys.h"

#include <stdlib.h>

static void write_keys(struct key_writer *writer, const struct conf *conf)
{
	key_write_open(writer, "keys", '(');
	for (size_t i = 0; i < conf->key_count; i++) {
		char algorithm[32];
		struct keys_key_row text = {conf->keys[i].name, tsig_algorithm_text(&conf->keys[i], algorithm),
			conf->key_files[i] ? NULL : "(secret)", conf->key_files[i]};

		key_write_open(writer, NULL, '{');
		key_write(writer, keys_key, &text);
		key_write_close(writer, NULL, '{');
	}
	key_write_close(writer, "keys", '(');
}

static void write_section(struct key_writer *writer, const char *name, const struct key *table, const void *items, size_t count,
	size_t size)
{
	key_write_open(writer, name, '(');
	for (size_t i = 0; i < count; i++) {
		key_write_open(writer, NULL, '{');
		key_write(writer, table, (const char *)items + i * size);
		key_write_close(writer, NULL, '{');
	}
	key_write_close(writer, name, '(');
}

static void write_zones(struct key_writer *writer, const struct conf *conf)
{
	key_write_open(writer, "zones", '(');
	for (size_t i = 0; i < conf->zone_count; i++) {
		struct keys_zone_row text = {conf->zones[i].name, conf->zones[i].template_name, *conf->zones[i].set};

		key_write_open(writer, NULL, '{');
		key_write(writer, keys_zone, &text);
		key_write_close(writer, NULL, '{');
	}
	key_write_close(writer, "zones", '(');
}

static void write_conf(struct key_writer *writer, const struct conf *conf)
{
	key_write_open(writer, "server", '{');
	key_write(writer, keys_server, conf);
	key_write_close(writer, "server", '{');
	write_keys(writer, conf);
	write_section(writer, "remotes", keys_remote, conf->remotes, conf->remote_count, sizeof *conf->remotes);
	write_section(writer, "acls", keys_acl, conf->acls, conf->acl_count, sizeof *conf->acls);
	write_section(writer, "providers", keys_provider, conf->providers, conf->provider_count, sizeof *conf->providers);
	write_section(writer, "templates", keys_template, conf->templates, conf->template_count, sizeof *conf->templates);
	write_zones(writer, conf);
}

char *print_conf(const struct conf *conf, bool json)
{
	char *text = NULL;
	size_t length;
	struct key_writer writer = {.out = open_memstream(&text, &length), .json = json, .first = true};

	if (!writer.out)
		return NULL;
	if (json)
		key_write_open(&writer, NULL, '{');
	write_conf(&writer, conf);
	if (json)
		key_write_close(&writer, NULL, '{');
	putc('\n', writer.out);
	if (fclose(writer.out) == 0)
		return text;
	free(text);
	return NULL;
}
