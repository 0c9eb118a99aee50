/* zone/journal: what is written is read again, and what somebody else wrote does no harm. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "zone/journal.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir[] = "/tmp/lockstep-journal-XXXXXX", path[64];
static struct journal_zone found[8];
static size_t count;

static bool each(void *ctx, const struct journal_zone *zone)
{
	(void)ctx;
	assert_in_range(count, 0, 7);
	found[count++] = *zone;
	return true;
}

static void read_all(void)
{
	struct journal *j;
	struct why why = {""};

	count = 0;
	assert_int_equal(journal_open(&j, dir, &why), ERR_OK);
	assert_string_equal(why.text, "");
	assert_int_equal(journal_read(j, each, NULL, &why), ERR_OK);
	journal_close(j);
}

static void what_is_written_is_read_again(void **state)
{
	struct journal_zone zone = {.name = "\3www\7example", .has_serial = true, .serial = {4000000000u}, .changed = 1, .refreshed = 2,
		.expires = 1795296602, .written = {7}, .file_known = true, .primary = "hidden"};
	struct journal *j;
	struct why why;

	(void)state;
	assert_int_equal(journal_open(&j, dir, &why), ERR_OK);
	assert_int_equal(journal_write(j, &zone, 1, &why), ERR_OK);
	journal_close(j);
	read_all();
	assert_int_equal(count, 1);
	assert_true(name_equal(found[0].name, zone.name) && found[0].serial.v == 4000000000u && found[0].written.v == 7);
	assert_true(found[0].changed == 1 && found[0].refreshed == 2 && found[0].expires == 1795296602 && !found[0].expired);
	assert_string_equal(found[0].primary, "hidden");
}

static void values_that_nobody_can_mean_are_read_as_none(void **state)
{
	sqlite3 *db;

	(void)state;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "DELETE FROM zone;"
		"INSERT INTO zone VALUES (x'0361626300', -5, 4611686018427387904, -9223372036854775808, 9223372036854775807, 7, 1, printf('%.1000c', 'x'));"
		"INSERT INTO zone VALUES (x'406162', NULL, 0, 0, 0, 0, NULL, '');"
		"INSERT INTO zone VALUES (x'0361626300ff', NULL, 0, 0, 0, 0, NULL, '');"
		"INSERT INTO zone VALUES ('text', 'a', 'b', 'c', 'd', 'e', 'f', x'ff00');", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	read_all();
	assert_int_equal(count, 1);
	assert_true(name_equal(found[0].name, (const uint8_t *)"\3abc"));
	assert_true(found[0].changed == 0 && found[0].refreshed == 0 && found[0].expires == 0 && found[0].expired);
	assert_int_equal(strlen(found[0].primary), sizeof found[0].primary - 1);
}

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof path, "%s/lockstep.db", dir);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read_again),
		cmocka_unit_test(values_that_nobody_can_mean_are_read_as_none),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
