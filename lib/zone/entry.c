#include "zone/entry.h"

#include "base/array.h"

#include <stdlib.h>

enum kind { PLAIN, SPACE, NEWLINE, COMMENT, QUOTE, OPEN, CLOSE, ESCAPE };

static const uint8_t kinds[256] = {
	[' '] = SPACE, ['\t'] = SPACE, ['\r'] = SPACE, ['\n'] = NEWLINE, [';'] = COMMENT,
	['"'] = QUOTE, ['('] = OPEN, [')'] = CLOSE, ['\\'] = ESCAPE,
};

static inline enum kind kind_of(char c) { return (enum kind)kinds[(unsigned char)c]; }

void entry_begin(struct entry *entry, const char *text, size_t length)
{
	*entry = (struct entry){.at = text, .end = text + length, .line_at = 1};
}

void entry_release(struct entry *entry)
{
	free(entry->tokens);
	*entry = (struct entry){0};
}

static enum err bad(struct entry *entry, struct why *why, const char *what)
{
	entry->line = entry->line_at;
	return err_why(why, ERR_SYNTAX, "%s", what);
}

static inline enum err add(struct entry *entry, const char *text, const char *end, bool quoted, struct why *why)
{
	if (!array_room(entry->tokens, entry->room, entry->count + 1))
		return err_why(why, ERR_NOMEM, "out of memory");
	entry->tokens[entry->count++] = (struct text_token){text, (size_t)(end - text), quoted};
	return ERR_OK;
}

/* Over a backslash and what it keeps. NULL: the line or the text ends there. */
static const char *step_escape(const char *p, const char *end)
{
	return end - p < 2 || p[1] == '\n' || p[1] == '\r' ? NULL : p + 2;
}

/* From the octet behind a quote to the quote that closes it; NULL: there is none in the line. */
static const char *find_quote(const char *p, const char *end)
{
	while (p && p < end && *p != '\n') {
		if (*p == '"')
			return p;
		p = *p == '\\' ? step_escape(p, end) : p + 1;
	}
	return NULL;
}

static enum err take_quoted(struct entry *entry, struct why *why)
{
	const char *start = entry->at + 1, *quote = find_quote(start, entry->end);

	if (!quote)
		return bad(entry, why, "a quoted string does not end on its line");
	entry->at = quote + 1;
	return add(entry, start, quote, true, why);
}

static enum err take_plain(struct entry *entry, struct why *why)
{
	const char *start = entry->at, *p = start, *end = entry->end;

	while (p < end) {
		enum kind kind = kind_of(*p);

		if (kind == PLAIN) {
			p++;
			continue;
		}
		if (kind == ESCAPE) {
			p = step_escape(p, end);
			if (!p)
				return bad(entry, why, "a backslash at the end of a line");
			continue;
		}
		if (kind != QUOTE)
			break;
		p = find_quote(p + 1, end);
		if (!p)
			return bad(entry, why, "a quoted string does not end on its line");
		p++;
	}
	entry->at = p;
	return add(entry, start, p, false, why);
}

static void skip_comment(struct entry *entry)
{
	const char *newline = memchr(entry->at, '\n', (size_t)(entry->end - entry->at));

	entry->at = newline ? newline : entry->end;
}

/* To the end of the line that is not in parentheses. */
static enum err take_tokens(struct entry *entry, struct why *why)
{
	unsigned depth = 0;
	enum err err = ERR_OK;

	while (!err && entry->at < entry->end) {
		switch (kind_of(*entry->at)) {
		case PLAIN: case ESCAPE:
			err = take_plain(entry, why);
			break;
		case QUOTE:
			err = take_quoted(entry, why);
			break;
		case SPACE:
			entry->at++;
			break;
		case COMMENT:
			skip_comment(entry);
			break;
		case OPEN:
			entry->at++;
			depth++;
			break;
		case CLOSE:
			if (depth-- == 0)
				return bad(entry, why, "a closing parenthesis without an opening one");
			entry->at++;
			break;
		case NEWLINE:
			entry->at++;
			entry->line_at++;
			if (depth == 0)
				return ERR_OK;
			break;
		}
	}
	if (!err && depth)
		err = bad(entry, why, "the text ends within parentheses");
	return err;
}

enum err entry_next(struct entry *entry, struct why *why)
{
	enum err err = ERR_OK;

	entry->count = 0;
	while (!err && entry->count == 0) {
		if (entry->at == entry->end)
			return ERR_NOTFOUND;
		entry->line = entry->line_at;
		entry->blank = kind_of(*entry->at) == SPACE;
		err = take_tokens(entry, why);
	}
	return err;
}
