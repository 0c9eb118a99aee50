#include "run/source.h"

#include "base/array.h"
#include "base/file.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 10, FILE_MAX = 1 << 30, PART_ELEMENTS = 256 };
/* How far the beginning of the list is seen: its name, the colon behind it; that its parts are wanted, or have been. */
enum { LIST_AWAITED, LIST_NAMED, LIST_ASSIGNED, LIST_OPEN, LIST_DONE };

/* From `line` of the text on, the lines are those of `file` from `file_line` on. */
struct source_piece {
	unsigned line, file_line;
	const char *file;
};

/* Of the text, while it is read; then of octets of their own. */
struct source_part {
	size_t at, length;
	unsigned line;
	char *text;
};

/* One file being read. */
struct scan {
	struct source *source;
	const char *dir, *file;
	const char *at, *end;
	unsigned line, depth;
	char before;                 /* the last octet that was neither blank nor comment */
	bool line_start;             /* nothing but blanks on this line so far */
	size_t comma;                /* place of a comma that may turn out to be the last of its list; 0: none */
	struct why *why;
};

static enum err scan_fail(const struct scan *scan, const char *what)
{
	return err_why(scan->why, ERR_CONF, "%s:%u: %s", scan->file, scan->line, what);
}

/* `lines`: how many end in it. */
static enum err put(struct scan *scan, const char *bytes, size_t n, unsigned lines)
{
	struct source *source = scan->source;

	if (!array_room(source->text, source->room, source->length + n + 1))
		return scan_fail(scan, "out of memory");
	source->line += lines;
	memcpy(source->text + source->length, bytes, n);
	source->length += n;
	source->text[source->length] = 0;
	return ERR_OK;
}

static enum err begin_piece(struct scan *scan)
{
	struct source *source = scan->source;

	if (!array_room(source->pieces, source->piece_room, source->piece_count + 1))
		return scan_fail(scan, "out of memory");
	source->pieces[source->piece_count++] = (struct source_piece){source->line, scan->line, scan->file};
	return ERR_OK;
}

/* Copies `n` octets of the input, in which `lines` end. */
static enum err take(struct scan *scan, size_t n, unsigned lines)
{
	enum err err = put(scan, scan->at, n, lines);

	scan->line += lines;
	scan->at += n;
	return err;
}

static enum err skip_comment(struct scan *scan, bool block)
{
	while (scan->at < scan->end) {
		if (*scan->at == '\n') {
			if (!block)
				return ERR_OK;
			if (take(scan, 1, 1))
				return ERR_NOMEM;
		} else if (block && scan->end - scan->at > 1 && memcmp(scan->at, "*/", 2) == 0) {
			scan->at += 2;
			return ERR_OK;
		} else {
			scan->at++;
		}
	}
	return block ? scan_fail(scan, "a comment does not end") : ERR_OK;
}

static enum err take_string(struct scan *scan)
{
	const char *p = scan->at + 1;
	unsigned lines = 0;

	while (p < scan->end && *p != '"') {
		p += *p == '\\' && scan->end - p > 1;
		lines += *p++ == '\n';
	}
	if (p >= scan->end)
		return scan_fail(scan, "a string does not end");
	return take(scan, (size_t)(p + 1 - scan->at), lines);
}

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '-' || c == '_' || c == '*';
}

static void see_word(struct source *source, const char *word, size_t n)
{
	bool begins = source->depth == 0 && source->list_state < LIST_OPEN;

	if (begins)
		source->list_state = n == strlen(source->list) && memcmp(word, source->list, n) == 0 ? LIST_NAMED : LIST_AWAITED;
}

static enum err take_word(struct scan *scan)
{
	const char *p = scan->at;
	size_t n;

	while (p < scan->end && is_word(*p))
		p++;
	n = (size_t)(p - scan->at);
	see_word(scan->source, scan->at, n);
	return take(scan, n, 0);
}

/* An integer beyond 32 bits gets the L that libconfig 1.5 wants to see. */
static enum err take_number(struct scan *scan)
{
	const char *p = scan->at + 1;
	char digits[32], *end;
	size_t n;
	long long value;
	enum err err;

	while (p < scan->end && (is_word(*p) || *p == '.' || *p == '+'))
		p++;
	n = (size_t)(p - scan->at);
	snprintf(digits, sizeof digits, "%.*s", (int)n, scan->at);
	errno = 0;
	value = strtoll(digits, &end, digits[0] == '0' && (digits[1] | 32) == 'x' ? 16 : 10);
	if (n >= sizeof digits || errno == ERANGE)
		return scan_fail(scan, "a number is too large");
	err = take(scan, n, 0);
	if (!err && !*end && (value > INT_MAX || value < INT_MIN))
		err = put(scan, "L", 1, 0);
	return err;
}

static enum err read_into(struct source *, const char *path, const char *shown, const char *dir, unsigned depth, struct why *);

static enum err include(struct scan *scan, const char *name, size_t n)
{
	char *path = NULL;
	struct why why = {""};
	enum err err;

	if (scan->depth == DEPTH_MAX)
		return scan_fail(scan, "too many files include each other");
	if (asprintf(&path, "%s%s%.*s", *name == '/' ? "" : scan->dir, *name == '/' ? "" : "/", (int)n, name) < 0)
		return scan_fail(scan, "out of memory");
	err = put(scan, "\n", 1, 1);
	if (!err)
		err = read_into(scan->source, path, path, scan->dir, scan->depth + 1, &why);
	if (err == ERR_CONF)
		err_why(scan->why, err, "%s", why.text);
	else if (err)
		err = err_why(scan->why, ERR_CONF, "%s:%u: @include: %s", scan->file, scan->line, err_say(&why, err));
	if (!err)
		err = put(scan, "\n", 1, 1);
	if (!err)
		err = begin_piece(scan);
	free(path);
	return err;
}

static enum err take_directive(struct scan *scan)
{
	static const char word[] = "@include";
	size_t left = (size_t)(scan->end - scan->at);
	const char *name, *close;

	if (!scan->line_start || left < sizeof word || memcmp(scan->at, word, sizeof word - 1) != 0)
		return scan_fail(scan, "syntax error: '@' stands only in quotes, or in @include \"FILE\" on a line of its own; "
			"is a quote missing before it?");
	name = scan->at + sizeof word - 1;
	while (name < scan->end && (*name == ' ' || *name == '\t'))
		name++;
	close = name < scan->end ? memchr(name + 1, '"', (size_t)(scan->end - name - 1)) : NULL;
	if (name == scan->end || *name != '"' || !close || close == name + 1 || memchr(name, '\n', (size_t)(close - name)))
		return scan_fail(scan, "@include wants a file's name in quotes");
	scan->at = close + 1;
	return include(scan, name + 1, (size_t)(close - name - 1));
}

/* A comma after a list's last element is blanked out. */
static void settle_comma(struct scan *scan, char c)
{
	if (scan->comma && (c == ')' || c == ']'))
		scan->source->text[scan->comma] = ' ';
	scan->comma = c == ',' && scan->before != ',' && scan->before != '(' && scan->before != '[' ? scan->source->length : 0;
	scan->before = c;
}

/* From here on (behind a comma between two elements, or before the list's end) the text may be divided. */
static enum err may_divide(struct scan *scan)
{
	struct source *source = scan->source;

	if (!array_room(source->parts, source->part_room, source->part_count + 1))
		return scan_fail(scan, "out of memory");
	source->parts[source->part_count++] = (struct source_part){.at = source->length, .line = source->line};
	source->elements = 0;
	return ERR_OK;
}

static bool is_inside_list(const struct source *source)
{
	return source->depth == 1 && source->list_state == LIST_OPEN;
}

/* Which brackets match is libconfig's to say: a part ends in as many as it begins in, whatever they are. */
static enum err take_sign(struct scan *scan, char c)
{
	struct source *source = scan->source;
	bool first = source->depth == 0 && source->list_state == LIST_ASSIGNED && c == '(';
	enum err err = ERR_OK;

	if (source->depth == 0 && source->list_state < LIST_OPEN)
		source->list_state = first ? LIST_OPEN : source->list_state == LIST_NAMED && (c == ':' || c == '=') ? LIST_ASSIGNED : LIST_AWAITED;
	if (c == '(' || c == '[' || c == '{') {
		source->depth++;
	} else if (c == ')' || c == ']' || c == '}') {
		if (is_inside_list(source)) {
			source->list_state = LIST_DONE;
			if (source->part_count)
				err = may_divide(scan);
		}
		source->depth -= source->depth > 0;
	}
	if (!err)
		err = take(scan, 1, 0);
	if (!err && c == ',' && is_inside_list(source) && ++source->elements == PART_ELEMENTS)
		err = may_divide(scan);
	return err;
}

static bool is_space(char c)
{
	return c == '\n' || c == ' ' || c == '\t' || c == '\r' || c == '\f';
}

static enum err take_space(struct scan *scan)
{
	const char *p = scan->at;
	unsigned lines = 0;

	while (p < scan->end && is_space(*p))
		lines += *p++ == '\n';
	scan->line_start |= lines > 0;
	return take(scan, (size_t)(p - scan->at), lines);
}

static enum err step(struct scan *scan)
{
	char c = *scan->at, next = scan->end - scan->at > 1 ? scan->at[1] : 0;
	enum err err;

	if (is_space(c))
		return take_space(scan);
	if (c == 0)
		return scan_fail(scan, "a NUL octet");
	if (c == '#' || (c == '/' && (next == '/' || next == '*')))
		return skip_comment(scan, c == '/' && next == '*');
	settle_comma(scan, c);
	if (c == '@')
		return take_directive(scan);
	scan->line_start = false;
	if (c == '"')
		err = take_string(scan);
	else if (isalpha((unsigned char)c) || c == '*')
		err = take_word(scan);
	else if (isdigit((unsigned char)c) || ((c == '-' || c == '+') && isdigit((unsigned char)next)))
		err = take_number(scan);
	else
		err = take_sign(scan, c);
	return err;
}

static enum err keep_name(struct source *source, const char *shown, const char **kept, struct why *why)
{
	char **files = reallocarray(source->files, source->file_count + 1, sizeof *files);
	char *copy = files ? strdup(shown) : NULL;

	if (files)
		source->files = files;
	if (!copy)
		return err_why(why, ERR_NOMEM, "%s: out of memory", shown);
	source->files[source->file_count++] = copy;
	*kept = copy;
	return ERR_OK;
}

static enum err read_into(struct source *source, const char *path, const char *shown, const char *dir, unsigned depth,
	struct why *why)
{
	struct scan scan = {.source = source, .dir = dir, .line = 1, .depth = depth, .line_start = true, .before = '(',
		.why = why};
	struct file_bytes bytes;
	enum err err = file_read(path, FILE_MAX, &bytes, why);

	if (err)
		return err;
	scan.at = bytes.bytes;
	scan.end = bytes.bytes + bytes.length;
	err = keep_name(source, shown, &scan.file, why);
	if (!err)
		err = begin_piece(&scan);
	while (!err && scan.at < scan.end)
		err = step(&scan);
	explicit_bzero(bytes.bytes, bytes.length);   /* there may be secrets in it */
	file_bytes_release(&bytes);
	return err;
}

/* The parts are taken out of the text, but for their ends of lines. The last mark is the list's end. */
static bool divide(struct source *source)
{
	size_t n = source->list_state == LIST_DONE && source->part_count ? source->part_count - 1 : 0;
	struct source_part *last = source->parts ? &source->parts[n] : NULL;
	char *to;
	bool fine = true;

	source->part_count = n;
	for (size_t i = 0; i < n; i++)
		source->text[source->parts[i].at - 1] = ' ';   /* a comma, behind what is a last element now */
	for (size_t i = 0; i < n; i++) {
		struct source_part *part = &source->parts[i];

		part->length = part[1].at - part->at;
		part->text = malloc(part->length + 1);
		fine = fine && part->text;
		if (part->text)
			memcpy(part->text, source->text + part->at, part->length);
	}
	if (!n || !fine)
		return fine;
	to = source->text + source->parts[0].at;
	memset(to, '\n', last->line - source->parts[0].line);
	to += last->line - source->parts[0].line;
	memmove(to, source->text + last->at, source->length + 1 - last->at);
	return true;
}

const char *source_open_part(struct source *source, size_t i)
{
	const struct source_part *part = &source->parts[i];

	source_close_part(source);
	if (asprintf(&source->open, "%s:(%.*s);", source->list, (int)part->length, part->text) < 0)
		source->open = NULL;
	source->open_line = part->line;
	return source->open;
}

void source_close_part(struct source *source)
{
	free(source->open);
	source->open = NULL;
}

enum err source_read(struct source *source, const char *path, const char *dir, const char *list, struct why *why)
{
	struct scan nothing = {.source = source, .file = path, .why = why};
	enum err err;

	*source = (struct source){.line = 1};
	source->list = list;
	if (put(&nothing, "", 0, 0))
		return ERR_NOMEM;
	err = read_into(source, path, path, dir, 0, why);
	return err || divide(source) ? err : err_why(why, ERR_NOMEM, "%s: out of memory", path);
}

void source_release(struct source *source)
{
	if (source->text)
		explicit_bzero(source->text, source->length);
	free(source->text);
	free(source->pieces);
	source_close_part(source);
	for (size_t i = 0; i < source->part_count; i++)
		free(source->parts[i].text);
	free(source->parts);
	for (size_t i = 0; i < source->file_count; i++)
		free(source->files[i]);
	free(source->files);
	*source = (struct source){0};
}

void source_where(const struct source *source, unsigned line, const char **file, unsigned *file_line)
{
	size_t low = 0, high = source->piece_count;

	if (source->open)
		line += source->open_line - 1;
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (source->pieces[middle].line <= line)
			low = middle;
		else
			high = middle;
	}
	*file = source->pieces[low].file;
	*file_line = source->pieces[low].file_line + (line > source->pieces[low].line ? line - source->pieces[low].line : 0);
}

void source_word(const struct source *source, unsigned line, char out[64])
{
	const char *p = source->open ? source->open : source->text;
	size_t n = 0;

	while (line > 1 && p && (p = strchr(p, '\n'))) {
		line--;
		p++;
	}
	while (p && (*p == ' ' || *p == '\t'))
		p++;
	while (p && n < 63 && is_word(p[n])) {
		out[n] = p[n];
		n++;
	}
	out[n] = 0;
}
