#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>

static const char *const texts[ERR_COUNT] = {
#define ERR_ROW(name, text) text,
	ERR_TABLE(ERR_ROW)
#undef ERR_ROW
};

const char *err_text(enum err err)
{
	return (unsigned)err < ERR_COUNT ? texts[err] : "unknown error";
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
