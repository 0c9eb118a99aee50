/* run/jot: what it writes is JSON, and says what it was given. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "run/jot.h"

#include <string.h>

static void members_lists_and_commas(void **state)
{
	struct jot j = {0};

	(void)state;
	jot_open(&j, NULL, '{');
	jot_open(&j, "none", '[');
	jot_close(&j, ']');
	jot_open(&j, "list", '[');
	jot_int(&j, NULL, INT64_MIN);
	jot_int(&j, NULL, 0);
	jot_open(&j, NULL, '{');
	jot_close(&j, '}');
	jot_close(&j, ']');
	jot_bool(&j, "yes", true);
	jot_text(&j, "text", NULL);
	jot_json(&j, "tree", json_pack("{s:f}", "x", 0.5));
	jot_json(&j, "no", NULL);
	jot_close(&j, '}');
	assert_string_equal(jot_line(&j),
		"{\"none\":[],\"list\":[-9223372036854775808,0,{}],\"yes\":true,\"text\":null,\"tree\":{\"x\":0.5},\"no\":null}");
	jot_clear(&j);
	jot_int(&j, NULL, 7);
	assert_string_equal(jot_line(&j), "7");
	jot_release(&j);
	assert_null(jot_line(&j));
}

/* As jansson reads it. */
static void reads_back_as(const char *text, const char *wanted)
{
	struct jot j = {0};
	json_t *read;

	jot_open(&j, NULL, '[');
	jot_text(&j, NULL, text);
	jot_close(&j, ']');
	read = json_loads(jot_line(&j), JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(read);
	assert_string_equal(json_string_value(json_array_get(read, 0)), wanted);
	json_decref(read);
	jot_release(&j);
}

static void text_comes_back_as_it_was(void **state)
{
	char all[128] = {0};

	(void)state;
	for (int i = 1; i < 128; i++)
		all[i - 1] = (char)i;
	reads_back_as(all, all);
	reads_back_as("", "");
	reads_back_as("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80", "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80");
}

#define FFFD "\xef\xbf\xbd"
static void what_is_not_utf8_is_replaced(void **state)
{
	(void)state;
	reads_back_as("\x80", FFFD);
	reads_back_as("a\xff" "b", "a" FFFD "b");
	reads_back_as("\xc3", FFFD);
	reads_back_as("\xe2\x82", FFFD FFFD);
	reads_back_as("\xc0\xaf", FFFD FFFD);
	reads_back_as("\xe0\x80\xaf", FFFD FFFD FFFD);
	reads_back_as("\xed\xa0\x80", FFFD FFFD FFFD);
	reads_back_as("\xf4\x90\x80\x80", FFFD FFFD FFFD FFFD);
	reads_back_as("\xf0\x9f\x98", FFFD FFFD FFFD);
}

static void a_long_line_grows(void **state)
{
	struct jot j = {0};
	json_t *read;

	(void)state;
	jot_open(&j, NULL, '[');
	for (int i = 0; i < 100000; i++)
		jot_int(&j, NULL, i);
	jot_close(&j, ']');
	read = json_loads(jot_line(&j), 0, NULL);
	assert_int_equal(json_array_size(read), 100000);
	assert_int_equal(json_integer_value(json_array_get(read, 99999)), 99999);
	json_decref(read);
	jot_release(&j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_lists_and_commas),
		cmocka_unit_test(text_comes_back_as_it_was),
		cmocka_unit_test(what_is_not_utf8_is_replaced),
		cmocka_unit_test(a_long_line_grows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
