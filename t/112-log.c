#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

enum { ALL = 1 << 18 };
static int end[2], stderr_before;

/* Standard error is a pipe while a test runs; what asserts say of it comes after restore. */
static int begin(void **state)
{
	(void)state;
	unsetenv("JOURNAL_STREAM");
	log_setup(LOG_TO_STDERR, LOG_LEVEL_INFO);
	if (pipe(end) < 0 || fcntl(end[0], F_SETFL, O_NONBLOCK) < 0)
		return -1;
	stderr_before = dup(STDERR_FILENO);
	return dup2(end[1], STDERR_FILENO) < 0 ? -1 : 0;
}

static int restore(void **state)
{
	(void)state;
	log_gathered();
	dup2(stderr_before, STDERR_FILENO);
	close(stderr_before);
	close(end[0]);
	close(end[1]);
	return 0;
}

/* What was written since, as text. */
static const char *written(void)
{
	static char text[ALL];
	ssize_t n = read(end[0], text, sizeof text - 1);

	text[n > 0 ? n : 0] = 0;
	return text;
}

static unsigned lines_in(const char *text)
{
	unsigned lines = 0;

	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

static void line(enum log_level level, const char *value)
{
	struct log log;

	log_begin(&log, level, "it-happened");
	log_str(&log, "what", value);
	log_end(&log);
}

static void a_line_is_written_when_it_ends(void **state)
{
	int year, length = 0;

	(void)state;
	line(LOG_LEVEL_INFO, "one");
	assert_int_equal(sscanf(written(), "%4d-%*2d-%*2dT%*2d:%*2d:%*2d.%*3dZ info it-happened what=one%n", &year, &length), 1);
	assert_true(length > 0);
	line(LOG_LEVEL_DEBUG, "not wanted");
	assert_string_equal(written(), "");
}

static void a_value_can_forge_no_line_and_reach_no_terminal(void **state)
{
	(void)state;
	line(LOG_LEVEL_INFO, "a\nb \"c\\ \x1b[2J \x7f \xc2\x9b \x9b");
	assert_non_null(strstr(written(), " what=\"a\\x0ab \\\"c\\\\ \\x1b[2J \\x7f \\xc2\\x9b \\x9b\"\n"));
}

static void a_line_that_is_too_long_says_so(void **state)
{
	char value[2 * LOG_LINE_MAX];
	const char *text;

	(void)state;
	memset(value, 'x', sizeof value - 1);
	value[sizeof value - 1] = 0;
	line(LOG_LEVEL_INFO, value);
	text = written();
	assert_int_equal(lines_in(text), 1);
	assert_string_equal(text + strlen(text) - 7, " [cut]\n");
}

static void gathered_lines_come_together(void **state)
{
	const char *text;

	(void)state;
	log_gather();
	line(LOG_LEVEL_INFO, "first");
	line(LOG_LEVEL_NOTICE, "second");
	assert_string_equal(written(), "");
	log_gathered();
	text = written();
	assert_int_equal(lines_in(text), 2);
	assert_true(strstr(text, "what=first") < strstr(text, "what=second"));
	log_gathered();
	assert_string_equal(written(), "");
	line(LOG_LEVEL_INFO, "third");
	assert_int_equal(lines_in(written()), 1);
}

static void what_is_serious_does_not_wait(void **state)
{
	const char *text;

	(void)state;
	log_gather();
	line(LOG_LEVEL_INFO, "before");
	line(LOG_LEVEL_WARNING, "serious");
	text = written();
	assert_int_equal(lines_in(text), 2);
	assert_true(strstr(text, "what=before") < strstr(text, "what=serious"));
	line(LOG_LEVEL_INFO, "behind");
	assert_string_equal(written(), "");
}

static void what_is_written_at_once_ends_with_a_line_and_a_pipe_takes_it_whole(void **state)
{
	char value[200], expected[32];
	unsigned said = 0, seen = 0;

	(void)state;
	log_gather();
	while (said < 100) {
		const char *text;

		snprintf(value, sizeof value, "%u%0100u", said++, 0);
		line(LOG_LEVEL_INFO, value);
		text = written();
		assert_true(strlen(text) <= PIPE_BUF);
		for (; *text; text = strchr(text, '\n') + 1) {
			snprintf(expected, sizeof expected, " what=%u0", seen++);
			assert_non_null(strstr(text, expected));
			assert_non_null(strchr(text, '\n'));
		}
	}
	assert_in_range(seen, 1, 99);
	log_gathered();
	assert_int_equal(seen + lines_in(written()), 100);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_line_is_written_when_it_ends, begin, restore),
		cmocka_unit_test_setup_teardown(a_value_can_forge_no_line_and_reach_no_terminal, begin, restore),
		cmocka_unit_test_setup_teardown(a_line_that_is_too_long_says_so, begin, restore),
		cmocka_unit_test_setup_teardown(gathered_lines_come_together, begin, restore),
		cmocka_unit_test_setup_teardown(what_is_serious_does_not_wait, begin, restore),
		cmocka_unit_test_setup_teardown(what_is_written_at_once_ends_with_a_line_and_a_pipe_takes_it_whole, begin, restore),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
