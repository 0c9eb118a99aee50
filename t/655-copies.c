/* run/copies: what one of the two copies lacks is brought to it when it can be written again, and is told to be wrong as long as it cannot. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/log.h"
#include "dns/rr.h"
#include "run/recover.h"
#include "zone/zonefile.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const uint8_t apex[] = "\7example";
static bool database_fails, tidying_fails, log_fails;
static int64_t now;
static char dir[64];
static struct copies *copies;
static struct zone *version;

int64_t __wrap_clock_ms(void);
enum err __real_journal_commit(struct journal *, struct journal_change *, size_t, struct why *);
enum err __wrap_journal_commit(struct journal *, struct journal_change *, size_t, struct why *);
enum err __real_journal_try(struct journal *, struct why *);
enum err __wrap_journal_try(struct journal *, struct why *);
enum err __real_journal_idle(struct journal *, struct why *);
enum err __wrap_journal_idle(struct journal *, struct why *);
enum err __real_steplog_append(struct steplog *, const struct steplog_entry *, size_t, struct why *);
enum err __wrap_steplog_append(struct steplog *, const struct steplog_entry *, size_t, struct why *);

int64_t __wrap_clock_ms(void) { return now; }

enum err __wrap_journal_commit(struct journal *j, struct journal_change *changes, size_t count, struct why *why)
{
	if (!database_fails)
		return __real_journal_commit(j, changes, count, why);
	for (size_t i = 0; i < count; i++)
		changes[i].err = ERR_IO;
	return err_why(why, ERR_IO, "the database fails");
}

enum err __wrap_journal_try(struct journal *j, struct why *why)
{
	return database_fails ? err_why(why, ERR_IO, "the database fails") : __real_journal_try(j, why);
}

enum err __wrap_journal_idle(struct journal *j, struct why *why)
{
	return tidying_fails ? err_why(why, ERR_IO, "the database's log stays") : __real_journal_idle(j, why);
}

enum err __wrap_steplog_append(struct steplog *l, const struct steplog_entry *entries, size_t count, struct why *why)
{
	return log_fails ? err_why(why, ERR_IO, "the log fails") : __real_steplog_append(l, entries, count, why);
}

static void open_it(void)
{
	struct why why;

	if (copies_open(&copies, dir, &why))
		fail_msg("%s", why.text);
}

static int setup(void **state)
{
	(void)state;
	database_fails = tidying_fails = log_fails = false;
	now = 1000000;
	snprintf(dir, sizeof dir, "%s/lockstep-copies-XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	assert_non_null(mkdtemp(dir));
	open_it();
	return 0;
}

/* Those files in the state directory whose names begin so. */
static void lose(const char *begin)
{
	DIR *in = opendir(dir);
	char path[400];

	assert_non_null(in);
	for (struct dirent *entry; (entry = readdir(in));) {
		if (strncmp(entry->d_name, begin, strlen(begin)) != 0 || entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
		assert_int_equal(unlink(path), 0);
	}
	closedir(in);
}

static int teardown(void **state)
{
	(void)state;
	database_fails = tidying_fails = log_fails = false;
	copies_close(copies);
	zone_put(version);
	version = NULL;
	lose("");
	return rmdir(dir);
}

static enum err take(void *build, const struct rr *rr, struct why *why)
{
	return build_add(build, rr, why);
}

static struct zone *zone_at(unsigned serial)
{
	struct build *b = build_new(apex, NULL, (struct build_limits){0});
	struct zone *zone;
	struct why why;
	char text[200];

	snprintf(text, sizeof text, "@ 300 SOA ns h %u 2 3 4 5\n@ 400 NS ns\nns 300 A 192.0.2.%u\n", serial, serial % 250);
	if (zonefile_parse("zone", text, strlen(text), NULL, apex, take, b, &why) || build_finish(b, &zone, &why))
		fail_msg("%s", why.text);
	return zone;
}

static void early(void *ctx, size_t change)
{
	(void)ctx;
	(void)change;
}

static enum err change_it(struct copies_change change)
{
	change.name = apex;
	copies_commit(copies, &change, 1, early, NULL);
	diff_drop(change.diff);
	copies_settle(copies);
	return change.err;
}

static enum err next_version(unsigned serial)
{
	struct zone *old = version;
	struct journal_row row = {.name = apex, .has_serial = true, .serial.v = serial};
	enum err err;

	version = zone_at(serial);
	err = change_it((struct copies_change){.kind = COPIES_VERSION, .row = &row, .version = version, .old = old});
	zone_put(old);
	return err;
}

static struct copies_health health(void)
{
	struct copies_health health;

	copies_health(copies, &health);
	return health;
}

/* As the daemon does when nothing is committed, after a while; how many zones were to be mended. */
static unsigned idle(void)
{
	uint8_t name[NAME_SIZE];
	unsigned what, count = 0;
	bool all;

	now += 6000;
	copies_idle(copies);
	while ((what = copies_to_mend(copies, name, &all)) && ++count < 1000) {
		assert_true(all || name_equal(name, apex));
		change_it((struct copies_change){.kind = COPIES_MEND, .version = version, .mend = what});
	}
	return count;
}

static void assert_kept(unsigned serial, bool database, bool log)
{
	struct recover_zone zone = {.name = apex}, *zones[] = {&zone};

	copies_close(copies);
	if (!database)
		lose("lockstep.db");
	if (!log)
		lose("steps-");
	open_it();
	recover_load(copies, zones, 1);
	assert_int_equal(zone.err, ERR_OK);
	assert_int_equal(zone.version->serial.v, serial);
	recover_zone_release(&zone);
}

static void what_the_database_lacks_is_tried_until_it_is_there(void **state)
{
	(void)state;
	assert_int_equal(next_version(1), ERR_OK);
	assert_string_equal(health().database, "");
	database_fails = true;
	assert_int_equal(next_version(2), ERR_OK);       /* the log has it */
	for (unsigned i = 0; i < 5; i++) {
		assert_string_equal(health().database, "the database fails");
		assert_int_equal(idle(), 1);
	}
	database_fails = false;
	assert_int_equal(idle(), 1);
	assert_string_equal(health().database, "");
	assert_int_equal(idle(), 0);
	assert_kept(2, true, false);
}

static void what_the_log_lacks_is_tried_until_it_is_there(void **state)
{
	(void)state;
	assert_int_equal(next_version(1), ERR_OK);
	log_fails = true;
	assert_int_equal(next_version(2), ERR_OK);       /* the database has it */
	for (unsigned i = 0; i < 5; i++) {
		assert_string_equal(health().log, "the log fails");
		assert_int_equal(idle(), 1);
	}
	log_fails = false;
	assert_int_equal(idle(), 1);
	assert_string_equal(health().log, "");
	assert_int_equal(idle(), 0);
	assert_kept(2, false, true);
}

static void a_zone_that_changes_often_meanwhile_is_mended_once(void **state)
{
	(void)state;
	assert_int_equal(next_version(1), ERR_OK);
	database_fails = true;
	for (unsigned serial = 2; serial < 50; serial++)
		assert_int_equal(next_version(serial), ERR_OK);
	database_fails = false;
	assert_int_equal(idle(), 1);
	assert_string_equal(health().database, "");
	assert_kept(49, true, false);
}

static void where_nothing_is_missing_it_is_tried_whether_it_can_be_written(void **state)
{
	struct journal_row row = {.name = apex, .held = true};

	(void)state;
	assert_int_equal(next_version(1), ERR_OK);
	database_fails = log_fails = true;
	assert_int_equal(change_it((struct copies_change){.kind = COPIES_ROW, .row = &row}), ERR_IO);
	assert_int_equal(change_it((struct copies_change){.kind = COPIES_FORGET}), ERR_IO);
	for (unsigned i = 0; i < 5; i++) {
		assert_string_equal(health().database, "the database fails");
		assert_string_equal(health().log, "the log fails");
		assert_int_equal(idle(), 0);
	}
	log_fails = false;
	assert_int_equal(idle(), 0);
	assert_string_equal(health().log, "");
	assert_string_equal(health().database, "the database fails");
	database_fails = false;
	assert_int_equal(idle(), 0);
	assert_string_equal(health().database, "");
}

enum lost { LOSE_DATABASE, LOSE_LOG };

/* A version is mended, and in the same breath the next one comes. */
static void mend_and_go_on(enum lost lost)
{
	struct zone *next = zone_at(2);
	struct journal_row old_row = {.name = apex, .has_serial = true, .serial.v = 1}, row = {.name = apex, .has_serial = true, .serial.v = 2};
	struct copies_change changes[2] = {{.kind = COPIES_MEND, .name = apex, .row = &old_row, .mend = COPIES_MEND_DATABASE | COPIES_MEND_LOG_ANEW},
		{.kind = COPIES_VERSION, .name = apex, .row = &row, .version = next}};

	assert_int_equal(next_version(1), ERR_OK);
	changes[0].version = changes[1].old = version;
	copies_commit(copies, changes, 2, early, NULL);
	copies_settle(copies);
	assert_int_equal(changes[0].err, ERR_OK);
	assert_int_equal(changes[1].err, ERR_OK);
	diff_drop(changes[1].diff);
	zone_put(version);
	version = next;
	assert_kept(2, true, true);
	assert_kept(2, lost != LOSE_DATABASE, lost != LOSE_LOG);
}

static void what_is_mended_does_not_take_the_place_of_what_came_since(void **state)
{
	(void)state;
	mend_and_go_on(LOSE_LOG);
}

static void nor_in_the_log(void **state)
{
	(void)state;
	mend_and_go_on(LOSE_DATABASE);
}

static void a_log_that_is_taken_away_is_begun_anew(void **state)
{
	(void)state;
	assert_int_equal(next_version(1), ERR_OK);
	lose("steps-");
	assert_int_equal(next_version(2), ERR_OK);
	assert_int_equal(health().begun_anew, 1);
	assert_string_equal(health().log, "");
	assert_kept(2, false, true);
}

static void damage_first_step(void)
{
	static char bytes[1 << 16];
	char path[400];
	size_t length;
	char *step;
	FILE *file;

	snprintf(path, sizeof path, "%s/steps-0000000001.log", dir);
	file = fopen(path, "r+");
	assert_non_null(file);
	length = fread(bytes, 1, sizeof bytes, file);
	step = memmem(bytes, length, "LDF\1", 4);
	assert_non_null(step);
	assert_int_equal(fseek(file, step - bytes + 10, SEEK_SET), 0);
	assert_int_equal(fputc(step[10] ^ 4, file), (uint8_t)(step[10] ^ 4));
	assert_int_equal(fclose(file), 0);
}

/* What the log has leads to the version only if nothing is missing on the way. */
static void a_gap_in_the_log_is_seen_and_mended(void **state)
{
	struct recover_zone zone = {.name = apex}, *zones[] = {&zone};

	(void)state;
	for (unsigned serial = 1; serial < 5; serial++)
		assert_int_equal(next_version(serial), ERR_OK);
	copies_close(copies);
	damage_first_step();
	open_it();
	assert_int_equal(health().damaged, 1);
	recover_load(copies, zones, 1);
	assert_int_equal(zone.version->serial.v, 4);
	assert_true(zone.in_database);
	assert_false(zone.in_log);
	assert_int_equal(change_it((struct copies_change){.kind = COPIES_MEND, .version = zone.version, .mend = COPIES_MEND_LOG_ANEW}), ERR_OK);
	recover_zone_release(&zone);
	assert_kept(4, false, true);
}

/* A write-ahead log that cannot be emptied grows, though each commit goes well. */
static void what_does_not_get_to_its_place_is_told(void **state)
{
	(void)state;
	assert_int_equal(next_version(1), ERR_OK);
	tidying_fails = true;
	assert_int_equal(idle(), 0);
	assert_string_equal(health().database, "the database's log stays");
	assert_int_equal(next_version(2), ERR_OK);
	assert_string_equal(health().database, "the database's log stays");
	tidying_fails = false;
	assert_int_equal(idle(), 0);
	assert_string_equal(health().database, "");
	assert_kept(2, true, false);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(what_the_database_lacks_is_tried_until_it_is_there),
		T(what_the_log_lacks_is_tried_until_it_is_there),
		T(a_zone_that_changes_often_meanwhile_is_mended_once),
		T(where_nothing_is_missing_it_is_tried_whether_it_can_be_written),
		T(what_is_mended_does_not_take_the_place_of_what_came_since),
		T(nor_in_the_log),
		T(a_log_that_is_taken_away_is_begun_anew),
		T(a_gap_in_the_log_is_seen_and_mended),
		T(what_does_not_get_to_its_place_is_told),
	};

	rr_init();
	log_setup(LOG_TO_STDERR, LOG_LEVEL_ERROR);
	cmocka_set_test_filter(getenv("TEST_FILTER"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
