/* run/kind: the kinds of values in the configuration file: how each is read, checked, stored and printed.
 */
#ifndef RUN_KIND_H
#define RUN_KIND_H

#include "run/key.h"

/* The kinds, and their fields' types. */
extern const struct key_kind
	kind_string,        /* const char *, not empty, no control characters */
	kind_path,          /* const char *, made absolute */
	kind_bool,          /* bool */
	kind_number,        /* unsigned */
	kind_number64,      /* uint64_t */
	kind_seconds,       /* uint32_t, a time */
	kind_ms,            /* uint32_t, a time, kept in milliseconds */
	kind_seconds_or_never,   /* int64_t, a time or -1 */
	kind_size,          /* uint64_t, octets */
	kind_percent,       /* unsigned, "50%" */
	kind_word,          /* an enum: the word's index */
	kind_word_bool,     /* bool: false for the first word, true for the second */
	kind_word_text,     /* const char *, one of the words */
	kind_name,          /* const uint8_t *, a domain name in lower case */
	kind_own_name,      /* the same, where no two are equal: not looked for among what is kept */
	kind_names,         /* const uint8_t *const *, and a count */
	kind_address,       /* const struct net_addr * */
	kind_addresses,     /* const struct net_addr *, and a count */
	kind_prefixes,      /* const struct net_prefix *, and a count */
	kind_pins;          /* const uint8_t (*)[CERT_PIN_SIZE], and a count; at least one where it is given */

/* "90s", "15m", "4h", "2d", "1w" or seconds, to milliseconds; "64K", "100M", "1G" (powers of 1024) or octets. */
bool kind_parse_time(const char *text, int64_t *ms);
bool kind_parse_size(const char *text, uint64_t *octets);

/* Table rows. */
#define KEY(type, text, how, field, ...) {.name = text, .kind = &kind_##how, .at = offsetof(type, field), __VA_ARGS__}
#define KEY_LIST(type, text, how, field, count, ...) \
	{.name = text, .kind = &kind_##how, .at = offsetof(type, field), .count_at = offsetof(type, count), __VA_ARGS__}
/* A group, or with "" as its name more rows of the same group; its rows are for the same struct. */
#define KEY_GROUP(text, rows, ...) {.name = text, .kind = &key_group, .table = rows, __VA_ARGS__}
#define KEY_LAST {.name = NULL}

#endif
