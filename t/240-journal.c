/* zone/journal: what is known of a zone comes back as it was; a damaged database is set aside; a newer one is left alone. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "zone/journal.h"

#include <glob.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[] = "/tmp/lockstep-journal-XXXXXX", database[sizeof dir + 32];

struct rows {
	struct journal_zone row[1000];
	size_t count, at_most;
};

static bool collect(void *ctx, const struct journal_zone *row)
{
	struct rows *rows = ctx;

	rows->row[rows->count++] = *row;
	return rows->count < rows->at_most;
}

static struct journal *open_it(void)
{
	struct journal *j = NULL;
	struct why why = {{0}};

	if (journal_open(&j, dir, &why) || why.text[0])
		fail_msg("%s", why.text);
	return j;
}

static size_t read_it(struct journal *j, struct rows *rows)
{
	struct why why = {{0}};

	*rows = (struct rows){.at_most = 1000};
	assert_int_equal(journal_read(j, collect, rows, &why), ERR_OK);
	return rows->count;
}

static void write_rows(struct journal *j, const struct journal_zone *rows, size_t count)
{
	struct why why = {{0}};

	if (journal_write(j, rows, count, &why))
		fail_msg("%s", why.text);
}

static struct journal_zone full_row(void)
{
	struct journal_zone z = {.has_serial = true, .serial = {4294967295u}, .changed = 1, .refreshed = 1800000000, .expires = 5000000000,
		.expired = true, .written = {7}, .file_known = true};

	memcpy(z.name, "\3a\0b\7example", 13);
	snprintf(z.primary, sizeof z.primary, "%s", "it's \"hidden\"");
	return z;
}

static void spoil(const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(database, &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s", sqlite3_errmsg(db));
	sqlite3_close(db);
}

static size_t set_aside(void)
{
	char pattern[sizeof database + 16];
	glob_t found;
	size_t count;

	snprintf(pattern, sizeof pattern, "%s.damaged-*", database);
	count = glob(pattern, 0, NULL, &found) == 0 ? found.gl_pathc : 0;
	for (size_t i = 0; i < count; i++)
		unlink(found.gl_pathv[i]);
	globfree(&found);
	return count;
}

static int start_anew(void **state)
{
	static const char *const part[] = {"", "-wal", "-shm"};
	char path[sizeof database + 8];

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		snprintf(path, sizeof path, "%s%s", database, part[i]);
		unlink(path);
	}
	set_aside();
	return 0;
}

static void rows_come_back_as_they_were(void **state)
{
	struct journal *j = open_it();
	struct journal_zone z = full_row(), plain = {.primary = ""};
	static struct rows rows;

	(void)state;
	assert_int_equal(read_it(j, &rows), 0);
	write_rows(j, (struct journal_zone[]){z, plain}, 2);
	journal_close(j);
	j = open_it();
	assert_int_equal(read_it(j, &rows), 2);
	assert_memory_equal(&rows.row[0], &plain, sizeof plain);     /* the root: no serial, nothing known */
	assert_memory_equal(&rows.row[1], &z, sizeof z);
	journal_close(j);
}

static void a_row_replaces_the_one_of_its_name_whatever_its_case(void **state)
{
	struct journal *j = open_it();
	struct journal_zone z = full_row();
	static struct rows rows;

	(void)state;
	write_rows(j, &z, 1);
	memcpy(z.name, "\3A\0B\7EXAMPLE", 13);
	z.serial.v = 5;
	write_rows(j, &z, 1);
	assert_int_equal(read_it(j, &rows), 1);
	assert_int_equal(rows.row[0].serial.v, 5);
	assert_int_equal(journal_forget(j, (const uint8_t *)"\3a\0B\7eXample", NULL), ERR_OK);
	assert_int_equal(read_it(j, &rows), 0);
	assert_int_equal(journal_forget(j, z.name, NULL), ERR_OK);   /* not there: nothing to do */
	journal_close(j);
}

static void reading_ends_when_the_reader_has_enough(void **state)
{
	struct journal *j = open_it();
	static struct journal_zone z[300];
	static struct rows rows;

	(void)state;
	for (unsigned i = 0; i < 300; i++) {
		z[i] = full_row();
		snprintf((char *)z[i].name, sizeof z[i].name, "\3%03u", i);
	}
	write_rows(j, z, 300);
	assert_int_equal(read_it(j, &rows), 300);
	rows = (struct rows){.at_most = 10};
	assert_int_equal(journal_read(j, collect, &rows, NULL), ERR_OK);
	assert_int_equal(rows.count, 10);
	journal_close(j);
}

static void a_row_that_makes_no_sense_is_passed_over(void **state)
{
	struct journal *j = open_it();
	struct journal_zone z = full_row();
	static struct rows rows;

	(void)state;
	write_rows(j, &z, 1);
	journal_close(j);
	spoil("INSERT INTO zone VALUES (x'0361', 1, 0, 0, 0, 0, 1, 'p')");
	spoil("INSERT INTO zone VALUES (x'', 1, 0, 0, 0, 0, 1, 'p')");
	spoil("INSERT INTO zone VALUES (x'016100ff', 1, 0, 0, 0, 0, 1, 'p')");
	spoil("INSERT INTO zone VALUES (zeroblob(300), 1, 0, 0, 0, 0, 1, 'p')");
	spoil("INSERT INTO zone VALUES (x'026f6b00', 'seven', 'x', x'00', 0, 9, 'y', printf('%.*c', 500, 'p'))");
	j = open_it();
	assert_int_equal(read_it(j, &rows), 2);
	journal_close(j);
}

static void values_that_nobody_can_mean_are_read_as_none(void **state)
{
	static struct rows rows;
	struct journal *j;

	(void)state;
	journal_close(open_it());
	spoil("INSERT INTO zone VALUES (x'0361626300', -5, 4611686018427387904, -9223372036854775808, 9223372036854775807, 7, 1, printf('%.1000c', 'x'))");
	spoil("INSERT INTO zone VALUES ('text', 'a', 'b', 'c', 'd', 'e', 'f', x'ff00')");
	j = open_it();
	assert_int_equal(read_it(j, &rows), 1);
	assert_true(name_equal(rows.row[0].name, (const uint8_t *)"\3abc"));
	assert_true(rows.row[0].changed == 0 && rows.row[0].refreshed == 0 && rows.row[0].expires == 0 && rows.row[0].expired);
	assert_int_equal(strlen(rows.row[0].primary), sizeof rows.row[0].primary - 1);
	journal_close(j);
}

/* Opens what has been spoiled: it must be set aside, said, and begun anew. */
static void assert_begun_anew(void)
{
	struct why why = {{0}};
	struct journal *j = NULL;
	static struct rows rows;
	struct journal_zone z = full_row();

	if (journal_open(&j, dir, &why))
		fail_msg("%s", why.text);
	assert_non_null(strstr(why.text, database));
	assert_non_null(strstr(why.text, "set aside"));
	assert_true(set_aside() >= 1);
	assert_int_equal(read_it(j, &rows), 0);
	write_rows(j, &z, 1);
	journal_close(j);
	j = open_it();
	assert_int_equal(read_it(j, &rows), 1);
	journal_close(j);
}

static void put_bytes(long at, const void *bytes, size_t n)
{
	FILE *file = fopen(database, "r+");

	assert_non_null(file);
	assert_int_equal(fseek(file, at, SEEK_SET), 0);
	assert_int_equal(fwrite(bytes, 1, n, file), n);
	assert_int_equal(fclose(file), 0);
}

static void fill(void)
{
	struct journal *j = open_it();
	static struct journal_zone z[1000];

	for (unsigned i = 0; i < 1000; i++) {
		z[i] = full_row();
		snprintf((char *)z[i].name, sizeof z[i].name, "\4%04u", i);
	}
	write_rows(j, z, 1000);
	journal_close(j);
}

static void a_damaged_database_is_set_aside(void **state)
{
	static const char noise[4096] = "not a database at all, not a database at all";

	(void)state;
	fill();
	put_bytes(0, noise, 100);            /* its header */
	assert_begun_anew();
	start_anew(NULL);
	fill();
	put_bytes(3 * 4096, noise, 4096);    /* a page in its middle */
	assert_begun_anew();
	start_anew(NULL);
	fill();
	assert_int_equal(truncate(database, 3 * 4096 + 100), 0);
	assert_begun_anew();
}

static void a_database_of_another_program_is_set_aside(void **state)
{
	(void)state;
	start_anew(NULL);
	spoil("CREATE TABLE zone (id INTEGER PRIMARY KEY, text TEXT)");
	assert_begun_anew();
	start_anew(NULL);
	spoil("CREATE TABLE other (a); CREATE INDEX zone ON other (a)");
	assert_begun_anew();
}

static void an_empty_file_is_a_new_database(void **state)
{
	FILE *file = fopen(database, "w");

	(void)state;
	fclose(file);
	journal_close(open_it());
	assert_int_equal(set_aside(), 0);
}

static void a_newer_schema_is_refused_and_left_as_it_is(void **state)
{
	struct journal *j = NULL;
	struct why why = {{0}};
	static struct rows rows;

	(void)state;
	fill();
	spoil("PRAGMA user_version = 2");
	assert_int_equal(journal_open(&j, dir, &why), ERR_CONF);
	assert_non_null(strstr(why.text, "newer"));
	assert_int_equal(set_aside(), 0);
	spoil("PRAGMA user_version = 1");
	j = open_it();
	assert_int_equal(read_it(j, &rows), 1000);
	journal_close(j);
}

static void what_is_written_is_there_after_a_crash(void **state)
{
	struct journal_zone z = full_row();
	static struct rows rows;
	struct journal *j;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		write_rows(open_it(), &z, 1);
		_exit(0);                        /* the log is not merged, the lock is not given back in any orderly way */
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	j = open_it();
	assert_int_equal(read_it(j, &rows), 1);
	journal_close(j);
}

static void only_one_may_have_it(void **state)
{
	struct journal *j = open_it(), *other = NULL;
	struct why why = {{0}};

	(void)state;
	assert_int_equal(journal_open(&other, dir, &why), ERR_EXISTS);
	assert_non_null(strstr(why.text, dir));
	journal_close(j);
	journal_close(open_it());
}

static void where_nothing_can_be_written_it_says_so(void **state)
{
	struct journal *j = NULL;
	struct why why = {{0}};
	char path[sizeof database + 8];

	(void)state;
	assert_int_equal(mkdir(database, 0700), 0);
	assert_int_not_equal(journal_open(&j, dir, &why), ERR_OK);
	assert_non_null(strstr(why.text, "database"));
	rmdir(database);
	snprintf(path, sizeof path, "%s/none", database);
	fclose(fopen(database, "w"));
	assert_int_not_equal(journal_open(&j, path, &why), ERR_OK);  /* below a file */
	assert_non_null(strstr(why.text, database));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, start_anew)
	const struct CMUnitTest tests[] = {
		T(rows_come_back_as_they_were),
		T(a_row_replaces_the_one_of_its_name_whatever_its_case),
		T(reading_ends_when_the_reader_has_enough),
		T(a_row_that_makes_no_sense_is_passed_over),
		T(values_that_nobody_can_mean_are_read_as_none),
		T(a_damaged_database_is_set_aside),
		T(a_database_of_another_program_is_set_aside),
		T(an_empty_file_is_a_new_database),
		T(a_newer_schema_is_refused_and_left_as_it_is),
		T(what_is_written_is_there_after_a_crash),
		T(only_one_may_have_it),
		T(where_nothing_can_be_written_it_says_so),
	};
	char lock[sizeof database + 8];
	int failed;

	if (!mkdtemp(dir))
		return 1;
	snprintf(database, sizeof database, "%s/lockstep.db", dir);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	start_anew(NULL);
	snprintf(lock, sizeof lock, "%s/lockstep.lock", dir);
	unlink(lock);
	rmdir(dir);
	return failed;
}
