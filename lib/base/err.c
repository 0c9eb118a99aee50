#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>

static const struct {
	const char *name;
	const char *text;
} table[ERR_COUNT] = {
#define ERR_ROW(name, text) {#name, text},
	ERR_TABLE(ERR_ROW)
#undef ERR_ROW
};

const char *err_name(enum err err)
{
	static char lower[ERR_COUNT][16];
	static _Atomic int made;

	if (!made) {
		for (int i = 0; i < ERR_COUNT; i++)
			for (int c = 0; table[i].name[c]; c++)
				lower[i][c] = (char)(table[i].name[c] | 0x20);
		made = 1;
	}
	return (unsigned)err < ERR_COUNT ? lower[err] : "unknown";
}

const char *err_text(enum err err)
{
	return (unsigned)err < ERR_COUNT ? table[err].text : "unknown error";
}

enum err err_why(struct why *why, enum err err, const char *format, ...)
{
	va_list args;

	if (!why)
		return err;
	va_start(args, format);
	vsnprintf(why->text, sizeof why->text, format, args);
	va_end(args);
	for (char *c = why->text; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	return err;
}

const char *err_say(const struct why *why, enum err err)
{
	return why && why->text[0] ? why->text : err_text(err);
}
