/* zone/steplog: what was appended is there after a kill, in order; what is damaged is said, and what follows it is read; what is written to
 * zone files goes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/file.h"
#include "dns/rr.h"
#include "killed.h"
#include "zone/steplog.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[40];
static const uint8_t example[] = "\7example", other[] = "\5other";
static struct steplog_report report;
static struct steplog *opened;       /* by a test that may fail before it closes it */

/* --- help --------------------------------------------------------------------------------- */

static struct steplog *open_it(void)
{
	struct why why;

	if (steplog_open(&opened, dir, &report, &why))
		fail_msg("%s", why.text);
	return opened;
}

static struct steplog *open_clean(void)
{
	struct steplog *l = open_it();

	if (report.damaged || report.torn)
		fail_msg("%s", report.first);
	return l;
}

static void close_it(struct steplog *l)
{
	opened = NULL;
	steplog_close(l);
}

static struct steplog *abandoned[2000];
static unsigned abandoned_count;

/* As a kill would leave it: nothing more is written. It is closed when the directory is gone. */
static void abandon(struct steplog *l)
{
	abandoned[abandoned_count++] = l;
	opened = NULL;
}

static struct steplog_entry step(const uint8_t *name, uint32_t from, const char *text)
{
	return (struct steplog_entry){.name = name, .kind = STEPLOG_STEP, .from = {from}, .to = {from + 1}, .bytes = (const uint8_t *)text,
		.length = strlen(text)};
}

static void append(struct steplog *l, const struct steplog_entry *entries, size_t count)
{
	struct why why;

	if (steplog_append(l, entries, count, &why))
		fail_msg("%s", why.text);
}

static void append_step(struct steplog *l, const uint8_t *name, uint32_t from, const char *text)
{
	struct steplog_entry entry = step(name, from, text);

	append(l, &entry, 1);
}

/* An image that is none, of so many pieces: nothing here looks into them. */
static void append_image(struct steplog *l, const uint8_t *name, uint32_t serial, unsigned pieces, size_t length)
{
	struct image_piece piece[100];
	uint8_t *bytes = malloc(length);
	struct image image = {.count = pieces, .piece = piece, .octets = pieces * length};
	struct steplog_entry entry = {.name = name, .kind = STEPLOG_IMAGE, .to = {serial}, .image = &image};

	memset(bytes, 'i', length);
	for (unsigned i = 0; i < pieces; i++)
		piece[i] = (struct image_piece){bytes, length};
	append(l, &entry, 1);
	free(bytes);
}

struct got {
	char text[4000];             /* "5-6:octets " a step, "*7:length " a piece */
	unsigned at_most;
};

static bool get(void *ctx, const struct steplog_record *r)
{
	struct got *got = ctx;
	size_t used = strlen(got->text);

	if (r->kind == STEPLOG_IMAGE)
		snprintf(got->text + used, sizeof got->text - used, "*%u:%zu ", r->to.v, r->length);
	else
		snprintf(got->text + used, sizeof got->text - used, "%u-%u:%.*s ", r->from.v, r->to.v, (int)(r->length < 30 ? r->length : 30),
			(const char *)r->bytes);
	return !got->at_most || --got->at_most > 0;
}

static void assert_zone(struct steplog *l, const uint8_t *name, const char *wanted)
{
	struct got got = {{0}};
	struct why why;
	enum err err = steplog_load(l, name, get, &got, &why);

	if (*wanted ? err != ERR_OK : err != ERR_NOTFOUND)
		fail_msg("%s: %s", err_text(err), why.text);
	assert_string_equal(got.text, wanted);
}

static void assert_newest(const struct steplog *l, const uint8_t *name, int64_t wanted)
{
	struct serial newest = {0};

	assert_int_equal(steplog_newest(l, name, &newest), wanted >= 0);
	if (wanted >= 0)
		assert_int_equal(newest.v, wanted);
}

static unsigned list_files(char path[][300], unsigned room)
{
	struct dirent **entry;
	int n = scandir(dir, &entry, NULL, alphasort);
	unsigned count = 0;

	for (int i = 0; i < n; i++) {
		if (entry[i]->d_name[0] != '.' && count < room)
			snprintf(path[count++], 300, "%s/%s", dir, entry[i]->d_name);
		free(entry[i]);
	}
	free(entry);
	return count;
}

static char paths[2000][300];

static unsigned file_count(void) { return list_files(paths, 2000); }

static int start_anew(void **state)
{
	unsigned n = file_count();

	(void)state;
	for (unsigned i = 0; i < n; i++)
		if (unlink(paths[i]) < 0)
			rmdir(paths[i]);
	return 0;
}

static int clean_up(void **state)
{
	(void)state;
	close_it(opened);
	return 0;
}

static void save(const char *path, const void *bytes, size_t n)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, n, file), n);
	assert_int_equal(fclose(file), 0);
}

/* --- what is there ------------------------------------------------------------------------ */

static void steps_and_images_come_back_in_order(void **state)
{
	struct steplog *l = open_clean();
	struct steplog_entry group[] = {step(example, 5, "one"), step(other, 4294967295u, ""), step(example, 6, "two")};

	(void)state;
	assert_int_equal(file_count(), 0);
	append(l, group, 3);
	append_image(l, other, 9, 3, 70000);
	append_step(l, (const uint8_t *)"\5OTHER", 9, "three");
	for (unsigned times = 0; times < 3; times++) {
		assert_zone(l, (const uint8_t *)"\7EXAMPLE", "5-6:one 6-7:two ");
		assert_zone(l, other, "*9:70000 *9:70000 *9:70000 9-10:three ");
		assert_zone(l, (const uint8_t *)"\4none", "");
		assert_newest(l, example, 7);
		assert_newest(l, other, 10);
		assert_newest(l, (const uint8_t *)"", -1);
		abandon(l);
		l = open_clean();
		assert_int_equal(report.records, 7);
	}
	close_it(l);
	l = open_clean();
	assert_zone(l, example, "5-6:one 6-7:two ");
	close_it(l);
}

static void reading_ends_when_the_reader_has_enough(void **state)
{
	struct steplog *l = open_clean();
	struct got got = {.at_most = 1};

	(void)state;
	append_step(l, example, 5, "one");
	append_step(l, example, 6, "two");
	assert_int_equal(steplog_load(l, example, get, &got, NULL), ERR_OK);
	assert_string_equal(got.text, "5-6:one ");
	close_it(l);
}

static bool count_zone(void *ctx, const uint8_t *name, struct serial newest)
{
	(void)name;
	*(uint64_t *)ctx += newest.v;
	return true;
}

static void thousands_of_zones_have_their_places(void **state)
{
	static struct steplog_entry group[5000];
	static uint8_t name[5000][8];
	struct steplog *l = open_clean();
	uint64_t sum = 0;

	(void)state;
	for (uint32_t i = 0; i < 5000; i++) {
		name[i][0] = (uint8_t)sprintf((char *)name[i] + 1, "z%04u", i);
		group[i] = step(name[i], i, "a step");
	}
	append(l, group, 5000);
	abandon(l);
	l = open_clean();
	steplog_each(l, count_zone, &sum);
	assert_int_equal(sum, 5000ull * 5001 / 2);
	for (uint32_t i = 0; i < 5000; i++)
		assert_newest(l, name[i], i + 1);
	for (uint32_t i = 0; i < 5000; i++)
		steplog_forget(l, name[i], (struct serial){i + 1});
	assert_int_equal(file_count(), 0);
	close_it(l);
}

/* --- forgetting --------------------------------------------------------------------------- */

static void what_is_in_the_zone_file_goes(void **state)
{
	struct steplog *l = open_clean();

	(void)state;
	append_step(l, example, 5, "one");
	append_step(l, example, 6, "two");
	append_step(l, other, 1, "three");
	steplog_forget(l, example, (struct serial){6});
	assert_zone(l, example, "6-7:two ");
	steplog_forget(l, example, (struct serial){99});     /* a version that is not here says nothing */
	assert_zone(l, example, "6-7:two ");
	append_step(l, other, 2, "four");            /* and with it the note */
	abandon(l);
	l = open_clean();
	assert_zone(l, example, "6-7:two ");
	steplog_forget(l, example, (struct serial){7});
	assert_newest(l, example, -1);
	steplog_forget_zone(l, other);
	assert_int_equal(file_count(), 0);
	close_it(l);
	assert_int_equal(file_count(), 0);
	l = open_clean();
	assert_int_equal(report.records, 0);
	close_it(l);
}

static void notes_are_written_at_the_end(void **state)
{
	struct steplog *l = open_clean();

	(void)state;
	append_step(l, example, 5, "one");
	append_step(l, other, 1, "two");
	append_image(l, other, 100, 1, 10);
	abandon(l);
	l = open_clean();
	steplog_forget_zone(l, other);
	assert_int_equal(file_count(), 1);
	close_it(l);
	l = open_clean();
	assert_zone(l, example, "5-6:one ");
	assert_newest(l, other, -1);
	close_it(l);
}

static void an_image_supersedes_what_was_before(void **state)
{
	struct steplog *l = open_clean();

	(void)state;
	append_step(l, example, 99, "old");
	append_image(l, example, 3, 2, 10);          /* the serial went back */
	assert_zone(l, example, "*3:10 *3:10 ");
	steplog_forget(l, example, (struct serial){100});    /* a file of the version before */
	assert_zone(l, example, "*3:10 *3:10 ");
	append_step(l, example, 3, "new");
	abandon(l);
	l = open_clean();
	assert_zone(l, example, "*3:10 *3:10 3-4:new ");
	close_it(l);
}

static bool remember(void *ctx, const uint8_t *name)
{
	uint8_t *to = ctx;

	name_copy(name, to);
	return false;
}

static void files_go_when_nobody_needs_them(void **state)
{
	struct steplog *l = open_clean();
	uint8_t pinning[NAME_SIZE] = "\4none";

	(void)state;
	steplog_set_most(l, 150 << 20);
	append_step(l, other, 1, "pins the first file");
	for (uint32_t i = 0; i < 16; i++)
		append_image(l, example, i, 50, 250000);
	assert_true(file_count() >= 3);
	assert_true(steplog_octets(l) > 150 << 20);
	steplog_pinning(l, remember, pinning);
	assert_true(name_equal(pinning, other));
	name_copy((const uint8_t *)"\4none", pinning);
	steplog_pinning(l, remember, pinning);       /* once is enough */
	assert_true(name_equal(pinning, (const uint8_t *)"\4none"));
	steplog_forget(l, other, (struct serial){2});
	assert_true(steplog_octets(l) < 80 << 20);
	name_copy((const uint8_t *)"\4none", pinning);
	steplog_pinning(l, remember, pinning);
	assert_true(name_equal(pinning, (const uint8_t *)"\4none"));
	assert_newest(l, example, 15);
	abandon(l);
	l = open_clean();
	assert_newest(l, example, 15);
	steplog_forget(l, example, (struct serial){15});
	assert_int_equal(file_count(), 0);
	close_it(l);
}

/* They would be written anew again and again. */
static void what_is_needed_is_not_too_much(void **state)
{
	struct steplog *l = open_clean();
	uint8_t zone[] = "\5zoneA\7example", pinning[NAME_SIZE] = "\4none";

	(void)state;
	steplog_set_most(l, 1 << 20);
	for (uint8_t i = 0; i < 7; i++) {
		zone[5] = (uint8_t)('a' + i);
		append_image(l, zone, i, 50, 250000);
	}
	assert_true(steplog_octets(l) > 80 << 20);
	assert_true(file_count() >= 2);
	steplog_pinning(l, remember, pinning);
	assert_true(name_equal(pinning, (const uint8_t *)"\4none"));
	append_step(l, zone, 6, "it may still grow");
	close_it(l);
}

static void the_log_has_an_end(void **state)
{
	struct steplog *l = open_clean();
	struct steplog_entry entry;
	struct why why;
	char *text = calloc(1, 300001);

	(void)state;
	memset(text, 'x', 300000);
	entry = step(other, 1, text);
	steplog_set_most(l, 300000);
	append(l, &entry, 1);
	append_step(l, other, 2, text);
	assert_int_equal(steplog_append(l, &entry, 1, &why), ERR_LIMIT);
	assert_true(why.text[0]);
	assert_newest(l, other, 3);
	steplog_forget_zone(l, other);
	append_step(l, other, 3, "there is room again");
	close_it(l);
	free(text);
}

/* --- damage ------------------------------------------------------------------------------- */

/* A log of one file: example 5-6, other 1-2, example 6-7, image 8 of other, example 7-8. */
static void make_log(char path[300])
{
	struct steplog *l = open_clean();

	append_step(l, example, 5, "one");
	append_step(l, other, 1, "two");
	append_step(l, example, 6, "three");
	append_image(l, other, 8, 2, 100);
	append_step(l, example, 7, "four");
	abandon(l);
	assert_int_equal(file_count(), 1);
	strcpy(path, paths[0]);
}

static void any_truncation_leaves_what_was_before_it(void **state)
{
	static const char *const whole[] = {"", "5-6:one ", "5-6:one 6-7:three ", "5-6:one 6-7:three 7-8:four "};
	struct file_bytes file;
	char path[300];
	unsigned kinds[4] = {0};

	(void)state;
	make_log(path);
	assert_int_equal(file_read(path, 0, &file, NULL), ERR_OK);
	for (size_t n = 0; n < file.length; n += n < 150 ? 1 : 3) {
		struct got got = {{0}};
		struct steplog *l;
		unsigned steps;

		start_anew(NULL);
		save(path, file.bytes, n);
		l = open_it();
		assert_int_equal(report.damaged, 0);
		steplog_load(l, example, get, &got, NULL);
		for (steps = 0; steps < 4 && strcmp(got.text, whole[steps]); steps++)
			;
		assert_true(steps < 4);
		kinds[steps]++;
		append_step(l, example, 20, "more");     /* in a new file */
		abandon(l);
		l = open_clean();                        /* and the end of the old one is known now */
		assert_newest(l, example, 21);
		close_it(l);
	}
	assert_true(kinds[0] && kinds[1] && kinds[2] && !kinds[3]);
	file_bytes_release(&file);
}

static void any_flipped_bit_costs_one_record(void **state)
{
	struct file_bytes file;
	char path[300];

	(void)state;
	make_log(path);
	assert_int_equal(file_read(path, 0, &file, NULL), ERR_OK);
	for (size_t at = 0; at < file.length; at++) {
		struct got got = {{0}}, beside = {{0}};
		struct steplog *l;
		unsigned steps, images;

		start_anew(NULL);
		file.bytes[at] ^= (char)(1 << at % 8);
		save(path, file.bytes, file.length);
		file.bytes[at] ^= (char)(1 << at % 8);
		l = open_it();
		assert_true(report.damaged == 1 || (report.torn && !report.damaged));
		if (report.damaged)
			assert_non_null(strstr(report.first, path));
		steplog_load(l, example, get, &got, NULL);
		steplog_load(l, other, get, &beside, NULL);
		steps = !!strstr(got.text, "5-6:one ") + !!strstr(got.text, "6-7:three ") + !!strstr(got.text, "7-8:four ");
		images = !strcmp(beside.text, "*8:100 *8:100 ") + 2 * !strcmp(beside.text, "1-2:two ");
		if (at < 32)
			assert_true(steps == 3 && images == 1);
		else
			assert_true((steps == 3 && images == 2) || (steps == 2 && images == 1) || (steps == 3 && images == 1));
		close_it(l);
	}
	file_bytes_release(&file);
}

static void a_file_that_is_missing_cut_or_unreadable_is_no_obstacle(void **state)
{
	char path[300];
	struct steplog *l;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		start_anew(NULL);
		make_log(path);
		l = open_clean();
		append_step(l, example, 8, "five");
		abandon(l);
		assert_int_equal(file_count(), 2);
		if (i == 0)
			unlink(path);
		else if (i == 1)
			assert_int_equal(truncate(path, 100), 0);
		else
			assert_true(unlink(path) == 0 && mkdir(path, 0700) == 0);
		l = open_it();
		assert_int_equal(report.damaged > 0, i > 0);
		assert_newest(l, example, 9);
		assert_newest(l, other, -1);
		append_step(l, other, 8, "six");
		abandon(l);
		l = open_it();
		assert_newest(l, other, 9);
		close_it(l);
	}
}

static void other_files_are_left_alone(void **state)
{
	static const char *const name[] = {"lockstep.db", "steps-1.log", "steps-000000001x.log", "steps-0000000001.log.old", "steps-+000000001.log",
		"steps-9999999999.log", "steps-0000000000.log"};
	struct steplog *l;
	char path[300];

	(void)state;
	for (size_t i = 0; i < sizeof name / sizeof *name; i++) {
		snprintf(path, sizeof path, "%s/%s", dir, name[i]);
		save(path, "x", 1);
	}
	l = open_clean();
	append_step(l, example, 1, "one");
	steplog_forget_zone(l, example);
	close_it(l);
	assert_int_equal(file_count(), sizeof name / sizeof *name);
}

/* --- kills and full disks ------------------------------------------------------------------- */

static void append_for_ever(int pipe)
{
	struct steplog *l = open_it();

	for (uint32_t i = 0;; i++) {
		append_step(l, example, i, "a step of some length");
		if (i % 40 == 39)
			steplog_forget(l, example, (struct serial){i - 10});
		if (i % 100 == 99)
			append_image(l, example, i + 1, 3, 100000);
		if (write(pipe, &i, sizeof i) != sizeof i)
			_exit(1);
	}
}

static void what_was_appended_is_there_after_a_kill(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 10; round++) {
		struct serial newest = {0};
		struct steplog *l;
		uint32_t last;

		start_anew(NULL);
		last = killed_after(30 + 61 * round, append_for_ever);
		l = open_it();
		assert_int_equal(report.damaged, 0);
		assert_true(steplog_newest(l, example, &newest));
		assert_true(newest.v == last || newest.v == last + 1);
		close_it(l);
	}
}

static void a_full_disk_is_said_and_nothing_is_lost(void **state)
{
	struct steplog *l = open_clean();
	char *text = calloc(1, 300001);
	struct steplog_entry group[2];
	struct rlimit old, small;
	struct why why;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	memset(text, 'x', 300000);
	group[0] = step(other, 1, "small");
	group[1] = step(example, 6, text);
	append_step(l, example, 5, "one");
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = (struct rlimit){200000, old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(steplog_append(l, group, 2, &why), ERR_NOSPACE);
		assert_non_null(strstr(why.text, dir));
	}
	assert_int_equal(file_count(), 1);           /* the attempts leave nothing behind */
	assert_zone(l, example, "5-6:one ");
	assert_zone(l, other, "");
	append(l, group, 1);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	append(l, group + 1, 1);
	assert_newest(l, example, 7);
	abandon(l);
	l = open_clean();
	assert_newest(l, example, 7);
	assert_zone(l, other, "1-2:small ");
	close_it(l);
	free(text);
}

/* The nth of these calls fails, or is where the process is killed. */
static struct {
	unsigned left;               /* calls until it comes to that; 0: nothing will happen */
	int number;                  /* errno; 0: SIGKILL */
} fault;

ssize_t __real_write(int, const void *, size_t);
int __real_fdatasync(int);
int __real_fsync(int);
int __real_ftruncate(int, off_t);
int __real_unlink(const char *);
ssize_t __wrap_write(int, const void *, size_t);
int __wrap_fdatasync(int);
int __wrap_fsync(int);
int __wrap_ftruncate(int, off_t);
int __wrap_unlink(const char *);

static bool strikes(void)
{
	if (!fault.left || --fault.left)
		return false;
	if (!fault.number)
		raise(SIGKILL);
	errno = fault.number;
	return true;
}

/* Half of it gets there. */
ssize_t __wrap_write(int fd, const void *bytes, size_t n)
{
	if (fault.left == 1 && n > 1 && __real_write(fd, bytes, n / 2) < 0)
		return -1;
	return strikes() ? -1 : __real_write(fd, bytes, n);
}

int __wrap_fdatasync(int fd) { return strikes() ? -1 : __real_fdatasync(fd); }
int __wrap_fsync(int fd) { return strikes() ? -1 : __real_fsync(fd); }
int __wrap_ftruncate(int fd, off_t n) { return strikes() ? -1 : __real_ftruncate(fd, n); }
int __wrap_unlink(const char *path) { return strikes() ? -1 : __real_unlink(path); }

/* What a daemon does in its life; tells each version that was appended, and each that is in the zone file. */
static void live(int pipe)
{
	struct steplog *l = NULL;

	if (steplog_open(&l, dir, &report, NULL))
		_exit(1);
	for (uint32_t i = 6; i < 14; i++) {
		struct steplog_entry group[] = {step(example, i, "a step"), step(other, i, "another")};
		uint32_t told = i + 1;

		if (steplog_append(l, group, 2, NULL) || __real_write(pipe, &told, 4) != 4)
			_exit(1);
		if (i == 8)
			append_image(l, example, i + 1, 3, 1000);
		if (i == 10)
			steplog_forget(l, example, (struct serial){10});
		if (i == 11)
			steplog_forget_zone(l, other);
	}
	steplog_forget_zone(l, other);
	steplog_close(l);
	_exit(0);
}

static void a_kill_at_any_call_loses_nothing_that_was_appended(void **state)
{
	unsigned kills = 0;
	int status = 0;

	(void)state;
	do {
		struct serial newest = {0};
		uint32_t last = 6, n;
		struct steplog *l;
		int end[2];
		pid_t pid;

		start_anew(NULL);
		l = open_clean();
		append_step(l, example, 5, "the first");
		close_it(l);
		assert_int_equal(pipe(end), 0);
		pid = fork();
		if (pid == 0) {
			fault.left = kills + 1;
			fault.number = 0;
			live(end[1]);
		}
		close(end[1]);
		while (read(end[0], &n, sizeof n) == sizeof n)
			last = n;
		close(end[0]);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		l = open_it();
		assert_int_equal(report.damaged, 0);
		assert_true(steplog_newest(l, example, &newest));
		if (newest.v != last && newest.v != last + 1)
			fail_msg("killed at call %u: %u was appended, %u is there", kills + 1, last, newest.v);
		append_step(l, example, newest.v, "the next");
		close_it(l);
		l = open_clean();
		assert_newest(l, example, newest.v + 1);
		close_it(l);
	} while (WIFSIGNALED(status) && ++kills < 1000);
	assert_int_equal(status, 0);
	assert_true(kills > 20);
}

/* Also one fsync that fails and says so only once. */
static void a_call_that_fails_loses_nothing(void **state)
{
	static const struct { int number; enum err err; } disk[] = {{EIO, ERR_IO}, {ENOSPC, ERR_NOSPACE}, {EROFS, ERR_REFUSED}};
	unsigned failed = 0;

	(void)state;
	for (unsigned at = 0; at < 30; at++) {
		struct steplog_entry group[] = {step(example, 6, "in vain"), step(other, 1, "this too")};
		struct why why = {{0}};
		struct steplog *l;
		enum err err;

		start_anew(NULL);
		l = open_clean();
		if (at % 2)
			append_step(l, example, 5, "one");   /* or the file is yet to be made */
		fault.left = at / 2 + 1;
		fault.number = disk[at % 3].number;
		err = steplog_append(l, group, 2, &why);
		fault.left = 0;
		failed += err != ERR_OK;
		if (err && err != disk[at % 3].err)
			fail_msg("call %u: %s: %s", at / 2 + 1, err_text(err), why.text);
		assert_newest(l, example, err ? at % 2 ? 6 : -1 : 7);
		if (at % 3)
			append_step(l, example, 6, "again");
		abandon(l);
		l = open_it();
		assert_int_equal(report.damaged, 0);
		assert_zone(l, example, !err ? at % 2 ? at % 3 ? "5-6:one 6-7:in vain 6-7:again " : "5-6:one 6-7:in vain "
			: at % 3 ? "6-7:in vain 6-7:again " :
			"6-7:in vain " : at % 2 ? at % 3 ? "5-6:one 6-7:again " : "5-6:one " : at % 3 ? "6-7:again " : "");
		close_it(l);
	}
	assert_int_equal(failed, 5);
}

static void where_nothing_can_be_written_it_says_so(void **state)
{
	struct steplog *l = NULL;
	struct steplog_entry entry = step(example, 1, "one");
	struct why why = {{0}};
	char path[300];

	(void)state;
	snprintf(path, sizeof path, "%s/file", dir);
	save(path, "x", 1);
	assert_int_not_equal(steplog_open(&l, path, &report, &why), ERR_OK);
	assert_non_null(strstr(why.text, path));
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(steplog_open(&l, path, &report, &why), ERR_OK);
	assert_int_equal(rmdir(path), 0);
	assert_int_not_equal(steplog_append(l, &entry, 1, &why), ERR_OK);
	assert_newest(l, example, -1);
	assert_int_equal(mkdir(path, 0700), 0);
	append(l, &entry, 1);
	steplog_forget_zone(l, example);
	steplog_close(l);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, start_anew, clean_up)
	const struct CMUnitTest tests[] = {
		T(steps_and_images_come_back_in_order),
		T(reading_ends_when_the_reader_has_enough),
		T(thousands_of_zones_have_their_places),
		T(what_is_in_the_zone_file_goes),
		T(notes_are_written_at_the_end),
		T(an_image_supersedes_what_was_before),
		T(files_go_when_nobody_needs_them),
		T(what_is_needed_is_not_too_much),
		T(the_log_has_an_end),
		T(any_truncation_leaves_what_was_before_it),
		T(any_flipped_bit_costs_one_record),
		T(a_file_that_is_missing_cut_or_unreadable_is_no_obstacle),
		T(other_files_are_left_alone),
		T(what_was_appended_is_there_after_a_kill),
		T(a_full_disk_is_said_and_nothing_is_lost),
		T(a_kill_at_any_call_loses_nothing_that_was_appended),
		T(a_call_that_fails_loses_nothing),
		T(where_nothing_can_be_written_it_says_so),
	};
	int failed;

	cmocka_set_test_filter(getenv("TEST_FILTER"));
	/* Hundreds of logs are made, each with its fsyncs: in memory where that can be. */
	snprintf(dir, sizeof dir, "%s/lockstep-steplog-XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	if (!mkdtemp(dir))
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	start_anew(NULL);
	rmdir(dir);
	while (abandoned_count)
		steplog_close(abandoned[--abandoned_count]);
	return failed;
}
