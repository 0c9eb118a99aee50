/* base/log: one line per event, with fields: what happened, then key=value.
 *
 *     2026-11-21T19:04:52.123Z notice zone-loaded zone=example.com. serial=7
 *
 * Values are escaped and quoted here, so that nothing from the network can forge
 * a line or reach a terminal. Any thread; a line is written by one write(2), alone or with others.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_NOTICE, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

enum log_target {
	LOG_TO_STDERR,     /* with the time in front, or syslog's <N> where systemd reads */
	LOG_TO_SYSLOG,     /* syslog(3), facility daemon */
};

/* Lines above `level` are dropped. Call before threads start, or on reload. */
void log_setup(enum log_target target, enum log_level level);
bool log_wants(enum log_level level);

#define LOG_LINE_MAX 2000

/* One line under construction, on the stack. Too long a line is cut, and says so. */
struct log {
	enum log_level level;
	bool active;
	size_t length;
	char line[LOG_LINE_MAX];
};

/* `event` is a literal of lower-case words joined by '-'. */
void log_begin(struct log *, enum log_level, const char *event);
void log_str(struct log *, const char *key, const char *value);   /* NULL: left out */
void log_fmt(struct log *, const char *key, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void log_int(struct log *, const char *key, int64_t value);
void log_seconds(struct log *, const char *key, uint64_t ms);        /* with three decimals */
void log_end(struct log *);

/* What this thread says from here on is written together, as far as a pipe takes at once, until log_gathered; an error or a warning
 * is written at once, with what came before it. For many lines that come together: a server with many zones that starts. */
void log_gather(void);
void log_gathered(void);

/* An event with no fields but a text: msg="...". */
void log_say(enum log_level, const char *event, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
