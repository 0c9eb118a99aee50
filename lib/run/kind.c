#include "run/kind.h"

#include "base/cert.h"
#include "base/net.h"
#include "dns/name.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The field that a row is about. */
#define FIELD(type, base, key) (*(type *)(void *)((char *)(base) + (key)->at))
#define CONST_FIELD(type, base, key) (*(const type *)(const void *)((const char *)(base) + (key)->at))
#define CONST_COUNT(base, key) (*(const size_t *)(const void *)((const char *)(base) + (key)->count_at))

/* --- values ---------------------------------------------------------------------- */

static bool keep_field(struct key_reader *reader, const struct key *key, void *base, const void *bytes, size_t n)
{
	const void *kept = key_keep(reader, bytes, n);

	memcpy((char *)base + key->at, &kept, sizeof kept);
	return kept;
}

static bool read_string(struct key_reader *reader, const struct key *key, const config_setting_t *setting, void *base)
{
	const char *text = key_text_value(reader, setting, "a string");

	return text && keep_field(reader, key, base, text, strlen(text) + 1);
}

static void write_string(struct key_writer *writer, const struct key *key, const void *base)
{
	const char *text = CONST_FIELD(char *, base, key);

	if (text)
		key_write_text(writer, key->name, text);
}

static bool read_path(struct key_reader *reader, const struct key *key, const config_setting_t *setting, void *base)
{
	const char *text = key_text_value(reader, setting, "a path");
	char *path;
	bool kept;

	if (!text)
		return false;
	if (asprintf(&path, "%s%s%s", *text == '/' ? "" : reader->dir, *text == '/' ? "" : "/", text) < 0)
		return key_no_memory(reader);
	kept = (key->max && strlen(path) > (size_t)key->max)
		? key_fail(reader, setting, "\"%.120s\" is longer than the %" PRId64 " octets that are possible here", path, key->max)
		: keep_field(reader, key, base, path, strlen(path) + 1);
	free(path);
	return kept;
}

static bool read_bool(struct key_reader *reader, const struct key *key, const config_setting_t *setting, void *base)
{
	if (config_setting_type(setting) != CONFIG_TYPE_BOOL)
		return key_wrong_type(reader, setting, "true or false");
	FIELD(bool, base, key) = config_setting_get_bool(setting);
	return true;
}

static void write_bool(struct key_writer *writer, const struct key *key, const void *base)
{
	key_write_open(writer, key->name, 0);
	fputs(CONST_FIELD(bool, base, key) ? "true" : "false", writer->out);
	key_write_close(writer, key->name, 0);
}

static bool is_number(const config_setting_t *setting)
{
	return config_setting_type(setting) == CONFIG_TYPE_INT || config_setting_type(setting) == CONFIG_TYPE_INT64;
}

static bool in_range(struct key_reader *reader, const struct key *key, const config_setting_t *setting, int64_t value)
{
	if (value >= key->min && value <= key->max)
		return true;
	return key_fail(reader, setting, "%" PRId64 " is not from %" PRId64 " to %" PRId64, value, key->min, key->max);
}

static bool number_value(struct key_reader *reader, const struct key *key, const config_setting_t *setting, int64_t *value)
{
	if (!is_number(setting))
		return key_wrong_type(reader, setting, "a whole number");
	*value = config_setting_get_int64(setting);
	return in_range(reader, key, setting, *value);
}

static bool read_number(struct key_reader *reader, const struct key *key, const config_setting_t *setting, void *base)
{
	int64_t value = 0;

	if (!number_value(reader, key, setting, &value))
		return false;
	FIELD(unsigned, base, key) = (unsigned)value;
	return true;
}

static void write_number(struct key_writer *writer, const struct key *key, const void *base)
{
	key_write_number(writer, key->name, CONST_FIELD(unsigned, base, key));
}

static bool read_number64(struct key_reader *reader, const struct key *key, const config_setting_t *setting, void *base)
{
	int64_t value = 0;

	if (!number_value(reader, key, setting, &value))
		return false;
	FIELD(uint64_t, base, key) = (uint64_t)value;
	return true;
}

static void write_number64(struct key_writer *writer, const struct key *key, const void *base)
{
	key_write_number(writer, key->name, (int64_t)CONST_FIELD(uint64_t, base, key));
}

const struct key_kind kind_string = {read_string, write_string}, kind_path = {read_path, write_string},
	kind_bool = {read_bool, write_bool}, kind_number = {read_number, write_number},
	kind_number64 = {read_number64, write_number64};

/* --- times and sizes ------------------------------------------------------------- */

struct unit { char letter; uint64_t factor; };

static const struct unit time_units[] = {{'w', 604800}, {'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}, {0}};
static const struct unit size_units[] = {{'T', 1ull << 40}, {'G', 1 << 30}, {'M', 1 << 20}, {'K', 1 << 10}, {0}};

/* Digits and at most one unit; the result is at most `max`. */
static bool parse_quantity(const char *text, const struct unit *units, uint64_t max, uint64_t *value)
{
	uint64_t number = 0, factor = 1;

	if (*text < '0' || *text > '9')
		return false;
	for (; *text >= '0' && *text <= '9'; text++) {
		number = number * 10 + (uint64_t)(*text - '0');
		if (number > max)
			return false;
	}
	if (*text) {
		while (units->letter && units->letter != *text)
			units++;
		if (!units->letter || text[1])
			return false;
		factor = units->factor;
	}
	if (number > max / factor)
		return false;
	*value = number * factor;
	return true;
}

bool kind_parse_time(const char *text, int64_t *ms)
{
	uint64_t seconds;

	if (!parse_quantity(text, time_units, INT64_MAX / 1000, &seconds))
		return false;
	*ms = (int64_t)seconds * 1000;
	return true;
}

bool kind_parse_size(const char *text, uint64_t *octets)
{
	return parse_quantity(text, size_units, INT64_MAX, octets);
}

/* A whole number, or text with a unit. */
static bool quantity_value(struct key_reader *reader, const config_setting_t *setting, const struct unit *units,
	const char *wanted, int64_t *value)
{
	const char *text = config_setting_get_string(setting);
	uint64_t parsed;

	if (is_number(setting)) {
		*value = config_setting_get_int64(setting);
		return true;
	}
	if (config_setting_type(setting) != CONFIG_TYPE_STRING)
		return key_wrong_type(reader, setting, wanted);
	if (!text || !parse_quantity(text, units, INT64_MAX / 1000, &parsed))
		return key_fail(reader, setting, "\"%.40s\" is not %s", text ? text : "", wanted);
	*value = (int64_t)parsed;
	return true;
}

static void text_of_quantity(uint64_t value, const struct unit *units, char out[32])
{
	while (units->letter && (value == 0 || value % units->factor))
		units++;
	if (units->letter)
		snprintf(out, 32, "%" PRIu64 "%c", value / units->factor, units->letter);
	else
		snprintf(out, 32, "%" PRIu64, value);
}

static void write_quantity(struct key_writer *writer, const char *name, uint64_t value, const struct unit *units)
{
	char text[32];

	text_of_quantity(value, units, text);
	if (writer->json || value == 0)
		key_write_number(writer, name, (int64_t)value);
	else
		key_write_text(writer, name, text);
}

/* In seconds; the row's bounds are in seconds too. */
static bool time_value(struct key_reader *reader, const struct key *key, const config_setting_t *setting, int64_t *seconds)
{
	char given[32], least[32], most[32];

	if (!quantity_value(reader, setting, time_units, "a time: seconds, or \"90s\", \"15m\", \"4h\", \"2d\", \"1w\"", seconds))
		return false;
	if (*seconds >= key->min && *seconds <= key->max)
		return true;
	if (*seconds < 0)
		return key_fail(reader, setting, "a time cannot be negative");
	text_of_quantity((uint64_t)*seconds, time_units, given);
	text_of_quantity(key->min < 0 ? 0 : (uint64_t)key->min, time_units, least);
	text_of_quantity((uint64_t)key->max, time_units, most);
	return key_fail(reader, setting, "%s is not from %s to %s", given, least, most);
}

static bool read_seconds(struct key_reader *reader, const struct key *key, const config_setting_t *setting, void *base)
{
	int64_t seconds;

	if (!time_value(reader, key, setting, &seconds))
		return false;
	FIELD(uint32_t, base, key) = (uint32_t)seconds;
	return true;
}

static void write_seconds(struct key_writer *writer, const struct key *key, const void *base)
{
	write_quantity(writer, key->name, CONST_FIELD(uint32_t, base, key), time_units);
}

static bool read_ms(struct key_reader *reader, const struct key *key, const config_setting_t *setting, void *base)
{
	int64_t seconds;

	if (!time_value(reader, key, setting, &seconds))
		return false;
	FIELD(uint32_t, base, key) = (uint32_t)seconds * 1000;
	return true;
}

static void write_ms(struct key_writer *writer, const struct key *key, const void *base)
{
	write_quantity(writer, key->name, CONST_FIELD(uint32_t, base, key) / 1000, time_units);
}

static bool read_never(struct key_reader *reader, const struct key *key, const config_setting_t *setting, void *base)
{
	return time_value(reader, key, setting, &FIELD(int64_t, base, key));
}

static void write_never(struct key_writer *writer, const struct key *key, const void *base)
{
	int64_t seconds = CONST_FIELD(int64_t, base, key);

	if (seconds < 0)
		key_write_number(writer, key->name, seconds);
	else
		write_quantity(writer, key->name, (uint64_t)seconds, time_units);
}

static bool read_size(struct key_reader *reader, const struct key *key, const config_setting_t *setting, void *base)
{
	int64_t octets;

	if (!quantity_value(reader, setting, size_units, "a size: octets, or \"64K\", \"100M\", \"1G\"", &octets)
		|| !in_range(reader, key, setting, octets))
		return false;
	FIELD(uint64_t, base, key) = (uint64_t)octets;
	return true;
}

static void write_size(struct key_writer *writer, const struct key *key, const void *base)
{
	write_quantity(writer, key->name, CONST_FIELD(uint64_t, base, key), size_units);
}

static bool read_percent(struct key_reader *reader, const struct key *key, const config_setting_t *setting, void *base)
{
	const char *text = key_text_value(reader, setting, "a share such as \"50%\"");
	char *end;
	unsigned long value;

	if (!text)
		return false;
	value = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || strcmp(end, "%") != 0 || value > 100)
		return key_fail(reader, setting, "\"%.40s\" is not a share from \"0%%\" to \"100%%\"", text);
	FIELD(unsigned, base, key) = (unsigned)value;
	return true;
}

static void write_percent(struct key_writer *writer, const struct key *key, const void *base)
{
	char text[16];

	snprintf(text, sizeof text, "%u%%", CONST_FIELD(unsigned, base, key));
	key_write_text(writer, key->name, text);
}

const struct key_kind kind_seconds = {read_seconds, write_seconds}, kind_ms = {read_ms, write_ms},
	kind_seconds_or_never = {read_never, write_never}, kind_size = {read_size, write_size},
	kind_percent = {read_percent, write_percent};

/* --- words ----------------------------------------------------------------------- */

static bool word_value(struct key_reader *reader, const struct key *key, const config_setting_t *setting, unsigned *word)
{
	const char *text = key_text_value(reader, setting, "a string");
	char all[160];
	size_t used = 0;

	if (!text)
		return false;
	all[0] = 0;
	for (*word = 0; key->words[*word]; ++*word) {
		if (strcmp(key->words[*word], text) == 0)
			return true;
		if (used < sizeof all)
			used += (size_t)snprintf(all + used, sizeof all - used, "%s\"%s\"", *word ? ", " : "", key->words[*word]);
	}
	return key_fail(reader, setting, "\"%.40s\" is none of %s", text, all);
}

static bool read_word(struct key_reader *reader, const struct key *key, const config_setting_t *setting, void *base)
{
	return word_value(reader, key, setting, &FIELD(unsigned, base, key));
}

static void write_word(struct key_writer *writer, const struct key *key, const void *base)
{
	key_write_text(writer, key->name, key->words[CONST_FIELD(unsigned, base, key)]);
}

static bool read_word_text(struct key_reader *reader, const struct key *key, const config_setting_t *setting, void *base)
{
	unsigned word;

	if (!word_value(reader, key, setting, &word))
		return false;
	FIELD(const char *, base, key) = key->words[word];
	return true;
}

static bool read_word_bool(struct key_reader *reader, const struct key *key, const config_setting_t *setting, void *base)
{
	unsigned word;

	if (!word_value(reader, key, setting, &word))
		return false;
	FIELD(bool, base, key) = word == 1;
	return true;
}

static void write_word_bool(struct key_writer *writer, const struct key *key, const void *base)
{
	key_write_text(writer, key->name, key->words[CONST_FIELD(bool, base, key)]);
}

const struct key_kind kind_word = {read_word, write_word}, kind_word_text = {read_word_text, write_string},
	kind_word_bool = {read_word_bool, write_word_bool};

/* --- names and addresses --------------------------------------------------------- */

/* In lower case; its octets, or 0 and an error. */
static size_t name_value(struct key_reader *reader, const config_setting_t *setting, uint8_t name[NAME_SIZE])
{
	const char *text = key_text_value(reader, setting, "a domain name in quotes");
	struct why why;

	if (!text)
		return 0;
	if (name_parse(text, strlen(text), NULL, name, &why)) {
		key_fail(reader, setting, "%s", why.text);
		return 0;
	}
	return name_lower(name, name);
}

static bool parse_name(struct key_reader *reader, const struct key *key, const config_setting_t *setting, void *item)
{
	uint8_t name[NAME_SIZE];
	size_t n = name_value(reader, setting, name);
	const void *kept = n ? key_keep(reader, name, n) : NULL;

	(void)key;
	memcpy(item, &kept, sizeof kept);
	return kept;
}

static bool read_name(struct key_reader *reader, const struct key *key, const config_setting_t *setting, void *base)
{
	return parse_name(reader, key, setting, (char *)base + key->at);
}

static bool read_own_name(struct key_reader *reader, const struct key *key, const config_setting_t *setting, void *base)
{
	uint8_t name[NAME_SIZE];
	size_t n = name_value(reader, setting, name);

	if (!n)
		return false;
	FIELD(const uint8_t *, base, key) = arena_dup(reader->arena, name, n);
	return FIELD(const uint8_t *, base, key) || key_no_memory(reader);
}

static bool read_names(struct key_reader *reader, const struct key *key, const config_setting_t *setting, void *base)
{
	return key_read_list(reader, key, setting, base, sizeof(uint8_t *), parse_name, false);
}

static void write_name(struct key_writer *writer, const struct key *key, const void *base)
{
	const uint8_t *name = CONST_FIELD(uint8_t *, base, key);
	char text[NAME_TEXT_SIZE];

	if (name)
		key_write_text(writer, key->name, name_text(name, text));
}

static void write_names(struct key_writer *writer, const struct key *key, const void *base)
{
	const uint8_t *const *names = CONST_FIELD(uint8_t *const *, base, key);
	char text[NAME_TEXT_SIZE];

	key_write_open(writer, key->name, '[');
	for (size_t i = 0; i < CONST_COUNT(base, key); i++)
		key_write_text(writer, NULL, name_text(names[i], text));
	key_write_close(writer, key->name, '[');
}

static bool parse_address(struct key_reader *reader, const struct key *key, const config_setting_t *setting, void *item)
{
	const char *text = key_text_value(reader, setting, "an address in quotes");
	struct why why;

	if (!text)
		return false;
	if (net_addr_parse(item, text, key->max ? (uint16_t)key->max : 53, &why))
		return key_fail(reader, setting, "%s", why.text);
	return true;
}

static bool read_address(struct key_reader *reader, const struct key *key, const config_setting_t *setting, void *base)
{
	struct net_addr address;

	return parse_address(reader, key, setting, &address) && keep_field(reader, key, base, &address, sizeof address);
}

static bool read_addresses(struct key_reader *reader, const struct key *key, const config_setting_t *setting, void *base)
{
	return key_read_list(reader, key, setting, base, sizeof(struct net_addr), parse_address, false);
}

static void write_address(struct key_writer *writer, const struct key *key, const void *base)
{
	const struct net_addr *address = CONST_FIELD(struct net_addr *, base, key);
	char text[NET_ADDR_TEXT];

	if (address)
		key_write_text(writer, key->name, net_addr_text(address, 0, text));
}

static void write_addresses(struct key_writer *writer, const struct key *key, const void *base)
{
	const struct net_addr *addresses = CONST_FIELD(struct net_addr *, base, key);
	char text[NET_ADDR_TEXT];

	key_write_open(writer, key->name, '[');
	for (size_t i = 0; i < CONST_COUNT(base, key); i++)
		key_write_text(writer, NULL, net_addr_text(&addresses[i], 0, text));
	key_write_close(writer, key->name, '[');
}

static bool parse_prefix(struct key_reader *reader, const struct key *key, const config_setting_t *setting, void *item)
{
	const char *text = key_text_value(reader, setting, "an address or prefix in quotes");
	struct why why;

	(void)key;
	if (!text)
		return false;
	if (net_prefix_parse(item, text, &why))
		return key_fail(reader, setting, "%s", why.text);
	return true;
}

static bool read_prefixes(struct key_reader *reader, const struct key *key, const config_setting_t *setting, void *base)
{
	return key_read_list(reader, key, setting, base, sizeof(struct net_prefix), parse_prefix, false);
}

static void write_prefixes(struct key_writer *writer, const struct key *key, const void *base)
{
	const struct net_prefix *prefixes = CONST_FIELD(struct net_prefix *, base, key);

	key_write_open(writer, key->name, '[');
	for (size_t i = 0; i < CONST_COUNT(base, key); i++) {
		struct net_addr address = {0};
		char host[NET_ADDR_TEXT], text[NET_ADDR_TEXT + 8];

		address.sa.sa_family = prefixes[i].family;
		if (prefixes[i].family == AF_INET6)
			memcpy(&address.v6.sin6_addr, prefixes[i].bytes, 16);
		else
			memcpy(&address.v4.sin_addr, prefixes[i].bytes, 4);
		snprintf(text, sizeof text, "%s/%u", net_addr_text(&address, 0, host), prefixes[i].bits);
		key_write_text(writer, NULL, text);
	}
	key_write_close(writer, key->name, '[');
}

static bool parse_pin(struct key_reader *reader, const struct key *key, const config_setting_t *setting, void *item)
{
	const char *text = key_text_value(reader, setting, "a pin in quotes");

	(void)key;
	if (!text)
		return false;
	return cert_pin_parse(text, item) || key_fail(reader, setting,
		"\"%.60s\" is no pin: the SHA-256 of a public key, in base64 (44 characters)", text);
}

static bool read_pins(struct key_reader *reader, const struct key *key, const config_setting_t *setting, void *base)
{
	return key_read_list(reader, key, setting, base, CERT_PIN_SIZE, parse_pin, false);
}

static void write_pins(struct key_writer *writer, const struct key *key, const void *base)
{
	const uint8_t (*pins)[CERT_PIN_SIZE] = CONST_FIELD(void *, base, key);
	char text[CERT_PIN_TEXT];

	if (CONST_COUNT(base, key) == 0)
		return;
	key_write_open(writer, key->name, '[');
	for (size_t i = 0; i < CONST_COUNT(base, key); i++)
		key_write_text(writer, NULL, cert_pin_text(pins[i], text));
	key_write_close(writer, key->name, '[');
}

const struct key_kind kind_name = {read_name, write_name}, kind_own_name = {read_own_name, write_name}, kind_names = {read_names, write_names},
	kind_address = {read_address, write_address}, kind_addresses = {read_addresses, write_addresses},
	kind_prefixes = {read_prefixes, write_prefixes}, kind_pins = {read_pins, write_pins};
