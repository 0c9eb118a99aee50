/* zone/zonefile: master files (RFC 1035 5, RFC 2308 4 $TTL, RFC 3597). Reading gives records one
 * by one; writing gives a version in canonical order, one record a line, absolute names,
 * escaped so that every server reads back the same records. A snapshot is written at leisure; the
 * file is replaced at once (base/file).
 */
#ifndef ZONE_ZONEFILE_H
#define ZONE_ZONEFILE_H

#include "base/err.h"
#include "base/file.h"
#include "dns/rr.h"
#include "zone/build.h"
#include "zone/zone.h"

/* Takes one record; an error ends the reading and is returned, with "FILE:LINE: " before `why`. */
typedef enum err zonefile_sink(void *ctx, const struct rr *, struct why *);

/* Reads `path` with the origin `apex`. $ORIGIN, $TTL, $INCLUDE (relative to the including file, at most 8 deep, no
 * loops; $ORIGIN, $TTL and owner in it end with it), parentheses, comments, quoted strings, omitted owner, TTL or class;
 * TTLs as numbers or "1h30m". A record without a TTL before any $TTL takes the last one stated, else the SOA's minimum
 * (RFC 1035 5.1, 2308 4), else it is an error.
 * ERR_SYNTAX "FILE:LINE: what"; ERR_NOTFOUND, ERR_IO of the file. */
enum err zonefile_read(const char *path, const uint8_t *apex, zonefile_sink *, void *ctx, struct why *);
/* The same from memory; `name` stands for the path in messages, and $INCLUDE is refused where `path_for_include` is NULL. */
enum err zonefile_parse(const char *name, const char *text, size_t length, const char *path_for_include,
	const uint8_t *apex, zonefile_sink *, void *ctx, struct why *);
/* File to version (zonefile_read into zone/build). */
enum err zonefile_load(const char *path, const uint8_t *apex, struct build_limits, struct zone **out, struct why *);
/* The same, and the digest of the very octets that were read (of the file itself, not of what it includes); set where it could be read. */
enum err zonefile_load_digest(const char *path, const uint8_t *apex, struct build_limits, struct zone **out, struct file_digest *, struct why *);

/* The whole zone as text, in pieces of up to some hundred KB: owner, TTL, class, type, RDATA; SOA first, then
 * canonical order of owners, types by number, RDATA in canonical order. False from `put` ends it. */
typedef bool zonefile_put(void *ctx, const char *text, size_t length);
bool zonefile_print(const struct zone *, zonefile_put *, void *ctx);
/* The same for one name (and one type; 0: all), for `dump ZONE NAME [TYPE]`. */
bool zonefile_print_node(const struct zone *, const struct zone_node *, uint16_t type, zonefile_put *, void *ctx);
/* Replaces the file; with the same text. Creates missing directories. */
enum err zonefile_write(const char *path, const struct zone *, struct why *);
/* The same up to where it is complete: file_replace_commit, or a batch, follows. */
enum err zonefile_begin(const char *path, const struct zone *, struct file_replace *, struct why *);

#endif
