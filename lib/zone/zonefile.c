#include "zone/zonefile.h"

#include "base/file.h"
#include "dns/rrtext.h"
#include "zone/entry.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

/* --- reading -------------------------------------------------------------------------- */

enum { INCLUDES = 8, RDATA_ROOM = 65536 };

/* What the whole reading has once. */
struct reader {
	zonefile_sink *sink;
	void *ctx;
	uint8_t rdata[RDATA_ROOM];
};

/* One file under way; an included one begins with its parent's TTLs, and leaves them as they were. */
struct source {
	struct reader *reader;
	const struct source *parent;     /* NULL: the first */
	unsigned depth;
	const char *name;                /* for messages */
	const char *path;                /* for $INCLUDE; NULL: refused */
	char *real;                      /* malloc'd; the path without links, to know it again */
	struct entry entry;
	uint8_t origin[NAME_SIZE];
	uint8_t owner[NAME_SIZE];
	struct text_token owner_token;     /* what `owner` was read from, and was not read again */
	bool has_owner;
	bool has_default, has_last;      /* $TTL was there; a record's TTL was stated */
	uint32_t default_ttl, last_ttl;
};

/* Puts "FILE:LINE: " before what is said; the end of a long path is enough. */
static enum err located(const struct source *source, enum err err, struct why *why)
{
	enum { SHOWN = 160 };
	size_t length = strlen(source->name), skip = length > SHOWN ? length - SHOWN : 0;
	struct why said;

	if (!why)
		return err;
	said = *why;
	return err_why(why, err, "%s%s:%u: %s", skip ? "..." : "", source->name + skip, source->entry.line, err_say(&said, err));
}

static enum err bad(const struct source *source, struct why *why, const char *what, const struct text_token *token)
{
	char shown[64] = "";
	size_t n = token && token->length < 60 ? token->length : 60;

	for (size_t i = 0; token && i < n; i++)
		shown[i] = token->text[i] >= 0x20 && token->text[i] < 0x7f ? token->text[i] : '?';
	if (token && n < token->length)
		strcpy(shown + n, "...");
	err_why(why, ERR_SYNTAX, token ? "%s: \"%s\"" : "%s", what, shown);
	return located(source, ERR_SYNTAX, why);
}

static enum err parse_source(struct source *, const char *text, size_t length, struct why *);

/* --- directives ----------------------------------------------------------------------- */

static enum err set_origin(struct source *source, const struct text_token *args, size_t count, struct why *why)
{
	uint8_t origin[NAME_SIZE];
	enum err err;

	if (count != 1)
		return bad(source, why, "$ORIGIN wants one name", NULL);
	err = name_parse(args->text, args->length, source->origin, origin, why);
	if (err)
		return located(source, err, why);
	name_copy(origin, source->origin);
	source->owner_token.length = 0;
	return ERR_OK;
}

static enum err set_ttl(struct source *source, const struct text_token *args, size_t count, struct why *why)
{
	if (count != 1 || !text_period(args->text, args->length, &source->default_ttl))
		return bad(source, why, "$TTL wants one number or time", count ? args : NULL);
	source->has_default = true;
	return ERR_OK;
}

/* The path of an included file: beside the one that includes it. malloc'd; NULL: out of memory. */
static char *include_path(const struct source *source, const struct text_token *file)
{
	const char *slash = strrchr(source->path, '/');
	int dir = slash && file->text[0] != '/' ? (int)(slash + 1 - source->path) : 0;
	char *path;

	return asprintf(&path, "%.*s%.*s", dir, source->path, (int)file->length, file->text) < 0 ? NULL : path;
}

static bool is_open(const struct source *source, const char *real)
{
	while (source && !(source->real && strcmp(source->real, real) == 0))
		source = source->parent;
	return source != NULL;
}

static enum err read_included(struct source *parent, struct source *source, struct why *why)
{
	struct file_bytes file;
	enum err err;

	source->real = realpath(source->path, NULL);
	if (source->real && is_open(parent, source->real))
		return bad(parent, why, "a file includes itself", NULL);
	err = file_read(source->path, 0, &file, why);
	if (err)
		return located(parent, err, why);
	err = parse_source(source, file.bytes, file.length, why);
	file_bytes_release(&file);
	return err;
}

static enum err include(struct source *parent, const struct text_token *args, size_t count, struct why *why)
{
	struct source *source;
	enum err err = ERR_OK;
	char *path;

	if (count != 1 && count != 2)
		return bad(parent, why, "$INCLUDE wants a file, and may have an origin", NULL);
	if (!parent->path || args->length == 0 || args->length >= PATH_MAX || memchr(args->text, 0, args->length))
		return bad(parent, why, "$INCLUDE is not possible here", args);
	if (parent->depth == INCLUDES)
		return bad(parent, why, "$INCLUDE goes more than 8 files deep", args);
	source = malloc(sizeof *source);
	path = include_path(parent, args);
	if (source && path) {
		*source = *parent;
		source->parent = parent;
		source->depth++;
		source->name = source->path = path;
		source->real = NULL;
		source->has_owner = false;
		source->owner_token.length = 0;
		if (count == 2 && (err = name_parse(args[1].text, args[1].length, parent->origin, source->origin, why)))
			located(parent, err, why);
		else
			err = read_included(parent, source, why);
		free(source->real);
	} else {
		err_why(why, ERR_NOMEM, "out of memory");
		err = located(parent, ERR_NOMEM, why);
	}
	free(path);
	free(source);
	return err;
}

static bool token_is(const struct text_token *token, const char *word)
{
	return token->length == strlen(word) && !strncasecmp(token->text, word, token->length);
}

static enum err directive(struct source *source, struct why *why)
{
	const struct text_token *word = source->entry.tokens, *args = word + 1;
	size_t count = source->entry.count - 1;

	if (token_is(word, "$ORIGIN"))
		return set_origin(source, args, count, why);
	if (token_is(word, "$TTL"))
		return set_ttl(source, args, count, why);
	if (token_is(word, "$INCLUDE"))
		return include(source, args, count, why);
	if (token_is(word, "$GENERATE"))
		return bad(source, why, "$GENERATE is not read: the records must be written out", NULL);
	return bad(source, why, "unknown directive", word);
}

/* --- records -------------------------------------------------------------------------- */

struct head {
	uint32_t ttl;
	bool has_ttl;
	uint16_t class, type;
	size_t before_type;          /* tokens */
};

static enum err take_owner(struct source *source, const struct text_token *token, struct why *why)
{
	enum err err;

	if (token->quoted)
		return bad(source, why, "an owner in quotes", token);
	if (source->has_owner && token->length == source->owner_token.length &&
	    !memcmp(token->text, source->owner_token.text, token->length))
		return ERR_OK;
	source->has_owner = false;
	err = name_parse(token->text, token->length, source->origin, source->owner, why);
	if (err)
		return located(source, err, why);
	source->owner_token = *token;
	source->has_owner = true;
	return ERR_OK;
}

/* TTL and class, each or none, in either order, and the type. False: there is no type. */
static bool take_head(const struct text_token *tokens, size_t count, struct head *head)
{
	bool has_class = false;
	size_t i = 0;

	*head = (struct head){.class = CLASS_IN};
	while (i < count && i < 2 && !tokens[i].quoted) {
		const struct text_token *token = &tokens[i];

		if (!head->has_ttl && token->length && token->text[0] >= '0' && token->text[0] <= '9' &&
		    text_period(token->text, token->length, &head->ttl))
			head->has_ttl = true;
		else if (!has_class && rr_class_parse(token->text, token->length, &head->class))
			has_class = true;
		else
			break;
		i++;
	}
	head->before_type = i;
	return i < count && !tokens[i].quoted && rr_type_parse(tokens[i].text, tokens[i].length, &head->type);
}

/* RFC 2308 4, RFC 1035 5.1; a SOA may begin a file that states no TTL at all. */
static bool settle_ttl(struct source *source, const struct head *head, struct rr *rr)
{
	if (!head->has_ttl && source->has_default) {
		rr->ttl = source->default_ttl;
		return true;
	}
	if (head->has_ttl)
		source->last_ttl = head->ttl;
	else if (!source->has_last && rr->type == RR_SOA)
		source->last_ttl = rr_soa_of(rr->rdata, rr->rdlength).minimum;
	else if (!source->has_last)
		return false;
	source->has_last = true;
	rr->ttl = source->last_ttl;
	return true;
}

static enum err take_rdata(struct source *source, const struct head *head, const struct text_token *tokens, size_t count,
	struct rr *rr, struct why *why)
{
	struct wbuf out = wbuf_of(source->reader->rdata, RDATA_ROOM);
	enum err err;

	if (rr_is_meta(head->type))
		return bad(source, why, "this type is never zone data", tokens - 1);
	err = rr_parse_rdata(head->type, tokens, count, source->origin, &out, why);
	if (err == ERR_NOSPACE)
		err = err_why(why, ERR_SYNTAX, "RDATA over 65535 octets");
	if (err)
		return located(source, err, why);
	rr->rdata = source->reader->rdata;
	rr->rdlength = (uint16_t)wbuf_used(&out);
	return ERR_OK;
}

static enum err record(struct source *source, struct why *why)
{
	const struct text_token *tokens = source->entry.tokens;
	size_t count = source->entry.count;
	struct head head;
	struct rr rr;
	enum err err;

	if (!source->entry.blank) {
		if ((err = take_owner(source, tokens, why)))
			return err;
		tokens++;
		count--;
	}
	if (!source->has_owner)
		return bad(source, why, "no owner was named yet", NULL);
	if (!take_head(tokens, count, &head))
		return bad(source, why, "no type of record", head.before_type < count ? tokens + head.before_type : NULL);
	tokens += head.before_type + 1;
	count -= head.before_type + 1;
	rr = (struct rr){.owner = source->owner, .type = head.type, .class = head.class};
	if ((err = take_rdata(source, &head, tokens, count, &rr, why)))
		return err;
	if (!settle_ttl(source, &head, &rr))
		return bad(source, why, "no TTL: neither here, nor in a record before, nor by $TTL", NULL);
	err = source->reader->sink(source->reader->ctx, &rr, why);
	return err ? located(source, err, why) : ERR_OK;
}

static enum err take_entry(struct source *source, struct why *why)
{
	const struct text_token *first = source->entry.tokens;

	if (!source->entry.blank && !first->quoted && first->text[0] == '$')
		return directive(source, why);
	return record(source, why);
}

static enum err parse_source(struct source *source, const char *text, size_t length, struct why *why)
{
	enum err err = ERR_OK, found;

	entry_begin(&source->entry, text, length);
	while (!err && (found = entry_next(&source->entry, why)) != ERR_NOTFOUND)
		err = found ? located(source, found, why) : take_entry(source, why);
	entry_release(&source->entry);
	return err;
}

enum err zonefile_parse(const char *name, const char *text, size_t length, const char *path_for_include,
	const uint8_t *apex, zonefile_sink *sink, void *ctx, struct why *why)
{
	struct reader *reader = malloc(sizeof *reader);
	struct source *source = calloc(1, sizeof *source);
	struct why unheard = {""};
	enum err err = ERR_NOMEM;

	if (!why)
		why = &unheard;
	why->text[0] = 0;
	if (reader && source) {
		reader->sink = sink;
		reader->ctx = ctx;
		source->reader = reader;
		source->name = name;
		source->path = path_for_include;
		source->real = path_for_include ? realpath(path_for_include, NULL) : NULL;
		name_copy(apex, source->origin);
		err = parse_source(source, text, length, why);
		free(source->real);
	} else {
		err_why(why, ERR_NOMEM, "%.200s: out of memory", name);
	}
	free(source);
	free(reader);
	return err;
}

static enum err read_file(const char *path, const uint8_t *apex, struct file_digest *digest, zonefile_sink *sink, void *ctx, struct why *why)
{
	struct file_bytes file;
	enum err err = file_read(path, 0, &file, why);

	if (err)
		return err;
	if (digest)
		*digest = file_digest_of(file.bytes, file.length);
	err = zonefile_parse(path, file.bytes, file.length, path, apex, sink, ctx, why);
	file_bytes_release(&file);
	return err;
}

enum err zonefile_read(const char *path, const uint8_t *apex, zonefile_sink *sink, void *ctx, struct why *why)
{
	return read_file(path, apex, NULL, sink, ctx, why);
}

static enum err add_to_build(void *build, const struct rr *rr, struct why *why)
{
	return build_add(build, rr, why);
}

enum err zonefile_load_digest(const char *path, const uint8_t *apex, struct build_limits limits, struct zone **out, struct file_digest *digest,
	struct why *why)
{
	struct build *build = build_new(apex, NULL, limits);
	struct why said = {""};
	enum err err;

	if (!build)
		return err_why(why, ERR_NOMEM, "%.200s: out of memory", path);
	err = read_file(path, apex, digest, add_to_build, build, why);
	if (err) {
		build_free(build);
		return err;
	}
	err = build_finish(build, out, &said);
	return err ? err_why(why, err, "%.200s: %s", path, err_say(&said, err)) : ERR_OK;
}

enum err zonefile_load(const char *path, const uint8_t *apex, struct build_limits limits, struct zone **out, struct why *why)
{
	return zonefile_load_digest(path, apex, limits, out, NULL, why);
}

/* --- writing -------------------------------------------------------------------------- */

/* Where text goes: into room that is asked for, so that nothing is copied. */
struct sheet {
	char *(*room)(struct sheet *, size_t n);         /* NULL: no more is wanted */
	void (*advance)(struct sheet *, size_t n);
	struct file_replace *file;       /* a file's room, or */
	zonefile_put *put;               /* pieces of our own */
	void *ctx;
	char *piece;
	size_t used;
	bool refused;
};

enum { PIECE = FILE_ROOM_MAX };
_Static_assert(RR_TEXT_SIZE(UINT16_MAX) + NAME_TEXT_SIZE + 64 <= PIECE, "any record fits a piece");

static bool print_set(struct sheet *sheet, const struct zone_rrset *set, const char *owner, size_t ownerlen)
{
	struct rr rr;
	uint32_t at = 0;

	while (zone_rrset_next(set, &at, NULL, &rr)) {
		char *room = sheet->room(sheet, ownerlen + 64 + RR_TEXT_SIZE(rr.rdlength));

		if (!room)
			return false;
		sheet->advance(sheet, rr_put_text(&rr, owner, ownerlen, room));
	}
	return true;
}

/* All RRsets of one type: several only of RRSIG. */
static bool print_type(struct sheet *sheet, const struct zone_node *node, uint16_t type, const char *owner, size_t ownerlen)
{
	struct zone_rrsets iter = zone_rrsets(node);
	struct zone_rrset set;

	while (zone_rrsets_next(&iter, &set))
		if (set.type == type && !print_set(sheet, &set, owner, ownerlen))
			return false;
	return true;
}

/* RRSIGs lie behind what they cover; here all of them stand in their type's own place. At the apex the SOA is first. */
static bool print_node(struct sheet *sheet, const struct zone_node *node, bool apex, const char *owner, size_t ownerlen)
{
	struct zone_rrsets iter = zone_rrsets(node);
	struct zone_rrset set;
	bool signatures = false, good = true;

	if (apex)
		good = print_type(sheet, node, RR_SOA, owner, ownerlen);
	while (good && zone_rrsets_next(&iter, &set)) {
		if (set.type > RR_RRSIG && !signatures) {
			good = print_type(sheet, node, RR_RRSIG, owner, ownerlen);
			signatures = true;
		}
		if (good && set.type != RR_RRSIG && !(apex && set.type == RR_SOA))
			good = print_set(sheet, &set, owner, ownerlen);
	}
	return good && !signatures ? print_type(sheet, node, RR_RRSIG, owner, ownerlen) : good;
}

static bool print_zone(struct sheet *sheet, const struct zone *zone)
{
	char owner[NAME_TEXT_SIZE];
	uint8_t name[NAME_SIZE];
	const struct zone_node *node;
	struct zone_walk walk;
	bool good = true;

	zone_walk(&walk, zone);
	while (good && (node = zone_walk_next(&walk, name)))
		good = print_node(sheet, node, node->name_length == 0, owner, name_put_text(name, owner));
	return good;
}

static void flush_piece(struct sheet *sheet)
{
	if (sheet->used && !sheet->refused)
		sheet->refused = !sheet->put(sheet->ctx, sheet->piece, sheet->used);
	sheet->used = 0;
}

static char *piece_room(struct sheet *sheet, size_t n)
{
	if (n > PIECE - sheet->used)
		flush_piece(sheet);
	return sheet->refused ? NULL : sheet->piece + sheet->used;
}

static void piece_advance(struct sheet *sheet, size_t n)
{
	sheet->used += n;
}

static char *file_room(struct sheet *sheet, size_t n)
{
	return file_replace_room(sheet->file, n);
}

static void file_advance(struct sheet *sheet, size_t n)
{
	file_replace_advance(sheet->file, n);
}

static struct sheet sheet_of(zonefile_put *put, void *ctx)
{
	return (struct sheet){.room = piece_room, .advance = piece_advance, .put = put, .ctx = ctx, .piece = malloc(PIECE)};
}

static bool sheet_end(struct sheet *sheet)
{
	flush_piece(sheet);
	free(sheet->piece);
	return !sheet->refused;
}

bool zonefile_print(const struct zone *zone, zonefile_put *put, void *ctx)
{
	struct sheet sheet = sheet_of(put, ctx);

	if (!sheet.piece)
		return false;
	print_zone(&sheet, zone);
	return sheet_end(&sheet);
}

bool zonefile_print_node(const struct zone *zone, const struct zone_node *node, uint16_t type, zonefile_put *put, void *ctx)
{
	struct sheet sheet = sheet_of(put, ctx);
	char owner[NAME_TEXT_SIZE];
	uint8_t name[NAME_SIZE];
	size_t n;

	if (!sheet.piece)
		return false;
	zone_node_name(zone, node, name);
	n = name_put_text(name, owner);
	if (type)
		print_type(&sheet, node, type, owner, n);
	else
		print_node(&sheet, node, node->name_length == 0, owner, n);
	return sheet_end(&sheet);
}

enum err zonefile_begin(const char *path, const struct zone *zone, struct file_replace *file, struct why *why)
{
	struct sheet sheet = {.room = file_room, .advance = file_advance, .file = file};
	enum err err = file_mkparent(path, why);

	if (!err)
		err = file_replace_begin(file, path, why);
	if (!err)
		print_zone(&sheet, zone);
	return err;
}

enum err zonefile_write(const char *path, const struct zone *zone, struct why *why)
{
	struct file_replace file;
	enum err err = zonefile_begin(path, zone, &file, why);

	return err ? err : file_replace_commit(&file, why);
}
