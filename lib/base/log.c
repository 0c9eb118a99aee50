#include "base/log.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>


static const int syslog_priority[] = {LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG};
static const char *const level_name[] = {"error", "warning", "notice", "info", "debug"};

static _Atomic int the_level = 3;
static _Atomic int the_target = 0;

void log_setup(enum log_target target, enum log_level level)
{
	the_target = (int)target;
	the_level = (int)level;
	if (target == LOG_TO_SYSLOG)
		openlog("lockstepd", LOG_NDELAY, LOG_DAEMON);
}

bool log_wants(enum log_level level)
{
	return (int)level <= the_level;
}

static void put(struct log *log, const char *bytes, size_t n)
{
	size_t room = sizeof log->line - 8 - log->length;

	if (n > room)
		n = room;
	memcpy(log->line + log->length, bytes, n);
	log->length += n;
}

/* A value stands bare if it is made of these alone; else it is quoted. */
static bool bare(const char *value)
{
	if (!*value)
		return false;
	for (; *value; value++)
		if (*value <= ' ' || *value > '~' || *value == '"' || *value == '\\' || *value == '=')
			return false;
	return true;
}

static void put_value(struct log *log, const char *value)
{
	if (bare(value)) {
		put(log, value, strlen(value));
		return;
	}
	put(log, "\"", 1);
	for (; *value; value++) {
		unsigned char c = (unsigned char)*value;
		char escaped[5];

		if (c == '"' || c == '\\') {
			escaped[0] = '\\';
			escaped[1] = (char)c;
			put(log, escaped, 2);
		} else if (c < ' ' || c >= 0x7f) {
			snprintf(escaped, sizeof escaped, "\\x%02x", c);
			put(log, escaped, 4);
		} else {
			put(log, value, 1);
		}
	}
	put(log, "\"", 1);
}

void log_begin(struct log *log, enum log_level level, const char *event)
{
	log->level = level;
	log->length = 0;
	log->active = log_wants(level);
	if (log->active)
		put(log, event, strlen(event));
}

static void put_key(struct log *log, const char *key)
{
	put(log, " ", 1);
	put(log, key, strlen(key));
	put(log, "=", 1);
}

void log_str(struct log *log, const char *key, const char *value)
{
	if (!log->active || !value)
		return;
	put_key(log, key);
	put_value(log, value);
}

void log_fmt(struct log *log, const char *key, const char *format, ...)
{
	char value[600];
	va_list args;

	if (!log->active)
		return;
	va_start(args, format);
	vsnprintf(value, sizeof value, format, args);
	va_end(args);
	log_str(log, key, value);
}

/* The digits of a number, at least `least` of them. */
static void put_digits(struct log *log, uint64_t number, int least)
{
	char digits[24], *at = digits + sizeof digits;

	for (; number || least > 0; number /= 10, least--)
		*--at = (char)('0' + number % 10);
	put(log, at, (size_t)(digits + sizeof digits - at));
}

void log_int(struct log *log, const char *key, int64_t value)
{
	if (!log->active)
		return;
	put_key(log, key);
	if (value < 0)
		put(log, "-", 1);
	put_digits(log, value < 0 ? -(uint64_t)value : (uint64_t)value, 1);
}

void log_seconds(struct log *log, const char *key, uint64_t ms)
{
	if (!log->active)
		return;
	put_key(log, key);
	put_digits(log, ms / 1000, 1);
	put(log, ".", 1);
	put_digits(log, ms % 1000, 3);
}

/* The time, to the second, as the thread's last line had it. */
static const char *second_text(time_t second)
{
	static __thread char text[32];
	static __thread time_t last = -1;
	struct tm tm;

	if (second == last)
		return text;
	gmtime_r(&second, &tm);
	strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
	last = second;
	return text;
}

/* The time and the level; many lines come at once when a server with many zones starts, and printf would be half of what each costs. */
static char *put_time(char *out, const char *level)
{
	struct timespec now;
	unsigned ms;
	char *at;

	clock_gettime(CLOCK_REALTIME, &now);
	ms = (unsigned)(now.tv_nsec / 1000000);
	at = stpcpy(out, second_text(now.tv_sec));
	*at++ = '.';
	*at++ = (char)('0' + ms / 100);
	*at++ = (char)('0' + ms / 10 % 10);
	*at++ = (char)('0' + ms % 10);
	at = stpcpy(stpcpy(stpcpy(at, "Z "), level), " ");
	return at;
}

/* --- lines written together ---------------------------------------------------------------------- */

static __thread struct {
	bool on;
	size_t length;
	char text[PIPE_BUF];
} gathered;

static void write_out(const char *text, size_t length)
{
	if (length && write(STDERR_FILENO, text, length) < 0)
		return;  /* nowhere left to say it */
}

static void write_gathered(void)
{
	write_out(gathered.text, gathered.length);
	gathered.length = 0;
}

void log_gather(void)
{
	gathered.on = true;
}

void log_gathered(void)
{
	gathered.on = false;
	write_gathered();
}

static void gather(const char *text, size_t length, bool at_once)
{
	if (gathered.length + length > sizeof gathered.text)
		write_gathered();
	memcpy(gathered.text + gathered.length, text, length);
	gathered.length += length;
	if (at_once)
		write_gathered();
}

static void write_stderr(struct log *log)
{
	char out[LOG_LINE_MAX + 64], *at = out;

	if (getenv("JOURNAL_STREAM"))
		at += snprintf(out, 64, "<%d>", syslog_priority[log->level]);
	else
		at = put_time(out, level_name[log->level]);
	memcpy(at, log->line, log->length);
	at += log->length;
	*at++ = '\n';
	if (gathered.on)
		gather(out, (size_t)(at - out), log->level <= LOG_LEVEL_WARNING);
	else
		write_out(out, (size_t)(at - out));
}

void log_end(struct log *log)
{
	if (!log->active)
		return;
	if (log->length >= sizeof log->line - 8) {
		memcpy(log->line + log->length, " [cut]", 6);
		log->length += 6;
	}
	if (the_target == LOG_TO_SYSLOG)
		syslog(syslog_priority[log->level], "%.*s", (int)log->length, log->line);
	else
		write_stderr(log);
	log->active = false;
}

void log_say(enum log_level level, const char *event, const char *format, ...)
{
	struct log log;
	char text[1000];
	va_list args;

	if (!log_wants(level))
		return;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	log_begin(&log, level, event);
	log_str(&log, "msg", text);
	log_end(&log);
}
