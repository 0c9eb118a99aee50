/* base/file: files are replaced at once or not at all, one or many; what they hold is told by digests; what a killed process left goes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/file.h"

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

static char dir[] = "/tmp/lockstep-file-XXXXXX";

static const char *in_dir(const char *name)
{
	static char path[4][300];
	static unsigned next;

	next = (next + 1) % 4;
	snprintf(path[next], sizeof path[next], "%s/%s", dir, name);
	return path[next];
}

static void save(const char *name, const char *text)
{
	FILE *file = fopen(in_dir(name), "w");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static void assert_holds(const char *name, const char *text)
{
	struct file_bytes file;
	struct why why;

	if (file_read(in_dir(name), 0, &file, &why))
		fail_msg("%s", why.text);
	assert_string_equal(file.bytes, text);
	file_bytes_release(&file);
}

/* All entries but "." and "..". */
static unsigned entries(const char *name)
{
	DIR *d = opendir(in_dir(name));
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static struct file_replace begin(const char *name, const char *text)
{
	struct file_replace file;
	struct why why;
	char *room;

	if (file_replace_begin(&file, in_dir(name), &why))
		fail_msg("%s", why.text);
	room = file_replace_room(&file, strlen(text));
	assert_non_null(room);
	memcpy(room, text, strlen(text));
	file_replace_advance(&file, strlen(text));
	return file;
}

static int empty_dir(void **state)
{
	char command[400];

	(void)state;
	snprintf(command, sizeof command, "rm -rf %s && mkdir %s", dir, dir);
	return system(command);
}

/* --- digests ------------------------------------------------------------------------------ */

static void sums_over_parts_are_those_of_the_whole(void **state)
{
	uint8_t bytes[100];

	(void)state;
	for (unsigned i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i * 37);
	for (size_t n = 0; n <= sizeof bytes; n++)
		for (size_t cut = 0; cut <= n; cut++) {
			struct siphash s;

			siphash_begin(&s, siphash_sum_key);
			siphash_add(&s, bytes, cut / 2);
			siphash_add(&s, bytes + cut / 2, cut - cut / 2);
			siphash_add(&s, bytes + cut, n - cut);
			if (siphash_end(&s) != siphash(siphash_sum_key, bytes, n))
				fail_msg("%zu of %zu", cut, n);
		}
}

/* The example in the paper of SipHash, appendix A. */
static void the_sum_is_siphash(void **state)
{
	uint8_t key[SIPHASH_KEY], bytes[15];
	struct siphash s;

	(void)state;
	for (uint8_t i = 0; i < sizeof key; i++)
		key[i] = i;
	memcpy(bytes, key, sizeof bytes);
	siphash_begin(&s, key);
	siphash_add(&s, bytes, 3);
	siphash_add(&s, bytes + 3, 12);
	assert_true(siphash_end(&s) == UINT64_C(0xa129ca6149be45e5));
	assert_true(siphash(key, bytes, 15) == UINT64_C(0xa129ca6149be45e5));
}

static void the_digest_is_of_what_is_read_back(void **state)
{
	struct file_replace file = begin("one", "some text\n");
	struct file_digest digest = file_replace_digest(&file);
	struct file_bytes bytes;

	(void)state;
	assert_int_equal(file_replace_commit(&file, NULL), ERR_OK);
	assert_int_equal(file_read(in_dir("one"), 0, &bytes, NULL), ERR_OK);
	assert_true(file_digest_equal(digest, file_digest_of(bytes.bytes, bytes.length)));
	for (size_t n = 0; n < bytes.length; n++)
		assert_false(file_digest_equal(digest, file_digest_of(bytes.bytes, n)));
	bytes.bytes[3] ^= 1;
	assert_false(file_digest_equal(digest, file_digest_of(bytes.bytes, bytes.length)));
	file_bytes_release(&bytes);
}

static void the_digest_of_a_long_file_is_that_of_its_octets(void **state)
{
	struct file_replace file = begin("long", "");
	struct file_digest digest;
	struct file_bytes bytes;

	(void)state;
	for (unsigned i = 0; i < 50; i++) {
		char *room = file_replace_room(&file, 100003);

		memset(room, 'a' + (int)(i % 26), 100003);
		file_replace_advance(&file, 100003);
	}
	digest = file_replace_digest(&file);
	assert_int_equal(file_replace_commit(&file, NULL), ERR_OK);
	assert_int_equal(file_read(in_dir("long"), 0, &bytes, NULL), ERR_OK);
	assert_int_equal(digest.size, 50 * 100003);
	assert_true(file_digest_equal(digest, file_digest_of(bytes.bytes, bytes.length)));
	file_bytes_release(&bytes);
}

/* --- one file ----------------------------------------------------------------------------- */

static void a_file_is_old_until_it_is_new(void **state)
{
	struct file_replace file;
	struct stat st;

	(void)state;
	save("one", "old");
	assert_int_equal(chmod(in_dir("one"), 0604), 0);
	file = begin("one", "new");
	assert_holds("one", "old");
	assert_int_equal(entries(""), 2);
	file_replace_rollback(&file);
	assert_int_equal(entries(""), 1);
	assert_holds("one", "old");
	file = begin("one", "new");
	assert_int_equal(file_replace_commit(&file, NULL), ERR_OK);
	assert_holds("one", "new");
	assert_int_equal(entries(""), 1);
	assert_int_equal(stat(in_dir("one"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0604);
}

static void a_full_disk_leaves_the_old_file(void **state)
{
	struct file_replace file;
	struct rlimit old, small;
	struct why why = {{0}};

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	save("one", "old");
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = (struct rlimit){5, old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	file = begin("one", "more than five octets");
	assert_int_not_equal(file_replace_commit(&file, &why), ERR_OK);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_non_null(strstr(why.text, in_dir("one")));
	assert_holds("one", "old");
	assert_int_equal(entries(""), 1);
}

/* The nth fsync or rename fails. */
static unsigned fail_in;

int __real_fsync(int);
int __real_rename(const char *, const char *);
int __wrap_fsync(int);
int __wrap_rename(const char *, const char *);

int __wrap_fsync(int fd)
{
	if (!fail_in || --fail_in)
		return __real_fsync(fd);
	errno = EIO;
	return -1;
}

int __wrap_rename(const char *from, const char *to)
{
	if (!fail_in || --fail_in)
		return __real_rename(from, to);
	errno = EROFS;
	return -1;
}

static void a_disk_that_fails_leaves_the_old_file_or_says_so(void **state)
{
	static const struct { enum err err; const char *holds, *word; } cases[] = {
		{ERR_IO, "old", "fsync"}, {ERR_REFUSED, "old", "rename"}, {ERR_IO, "new", "fsync of the directory"}, {ERR_OK, "new", ""}};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct why why = {{0}};
		struct file_replace file;
		enum err err;

		save("one", "old");
		file = begin("one", "new");
		fail_in = i + 1;
		err = file_replace_commit(&file, &why);
		fail_in = 0;
		assert_int_equal(err, cases[i].err);
		assert_non_null(strstr(why.text, cases[i].word));
		assert_holds("one", cases[i].holds);
		assert_int_equal(entries(""), 1);
	}
}

static void a_link_is_replaced_not_followed(void **state)
{
	struct file_replace file;
	struct stat st;

	(void)state;
	save("target", "target");
	assert_int_equal(symlink("target", in_dir("one")), 0);
	file = begin("one", "new");
	assert_int_equal(file_replace_commit(&file, NULL), ERR_OK);
	assert_holds("target", "target");
	assert_int_equal(lstat(in_dir("one"), &st), 0);
	assert_true(S_ISREG(st.st_mode));
}

/* --- many files --------------------------------------------------------------------------- */

struct outcome {
	enum err err;
	struct file_digest digest;
	unsigned calls;
	char why[WHY_MAX];
};

static void note(void *ctx, enum err err, const struct why *why, struct file_digest digest)
{
	struct outcome *to = ctx;

	to->err = err;
	to->digest = digest;
	to->calls++;
	snprintf(to->why, sizeof to->why, "%s", why->text);
}

static void many_files_are_replaced_together(void **state)
{
	static struct outcome outcome[FILE_BATCH_MAX];
	struct file_batch *batch = malloc(sizeof *batch);

	(void)state;
	file_batch_begin(batch);
	assert_int_equal(file_mkdirs(in_dir("a"), NULL), ERR_OK);
	assert_int_equal(file_mkdirs(in_dir("b"), NULL), ERR_OK);
	for (unsigned round = 0; round < 2; round++) {
		char name[40], text[40];

		memset(outcome, 0, sizeof outcome);
		for (unsigned i = 0; i < FILE_BATCH_MAX; i++) {
			struct file_replace file;

			snprintf(name, sizeof name, "%s/%u", i % 3 ? "a" : "b", i);
			snprintf(text, sizeof text, "%u of round %u", i, round);
			file = begin(name, text);
			file_batch_add(batch, &file, &outcome[i]);
		}
		assert_int_equal(batch->count, FILE_BATCH_MAX);
		file_batch_commit(batch, note);
		assert_int_equal(batch->count, 0);
		for (unsigned i = 0; i < FILE_BATCH_MAX; i++) {
			snprintf(name, sizeof name, "%s/%u", i % 3 ? "a" : "b", i);
			snprintf(text, sizeof text, "%u of round %u", i, round);
			assert_holds(name, text);
			assert_true(outcome[i].calls == 1 && outcome[i].err == ERR_OK);
			assert_true(file_digest_equal(outcome[i].digest, file_digest_of(text, strlen(text))));
		}
		assert_int_equal(entries("a") + entries("b"), FILE_BATCH_MAX);
	}
	file_batch_commit(batch, note);      /* of none */
	free(batch);
}

static void one_that_fails_leaves_the_others(void **state)
{
	struct outcome outcome[3] = {{0}};
	struct file_batch *batch = malloc(sizeof *batch);
	struct file_replace file[3];

	(void)state;
	file_batch_begin(batch);
	save("0", "old");
	save("2", "old");
	for (unsigned i = 0; i < 3; i++) {
		char name[2] = {(char)('0' + i), 0};

		file[i] = begin(name, "new");
		file_batch_add(batch, &file[i], &outcome[i]);
	}
	assert_int_equal(mkdir(in_dir("1"), 0700), 0);       /* what no rename can replace */
	file_batch_commit(batch, note);
	assert_true(outcome[0].err == ERR_OK && outcome[1].err != ERR_OK && outcome[2].err == ERR_OK);
	assert_non_null(strstr(outcome[1].why, "rename"));
	assert_holds("0", "new");
	assert_holds("2", "new");
	assert_int_equal(entries(""), 3);
	free(batch);
}

/* Of three files in two directories: three fsyncs, three renames, two fsyncs of directories. */
static void a_disk_that_fails_costs_the_files_it_concerns(void **state)
{
	static const unsigned failed[] = {1, 2, 4, 1, 2, 4, 5, 2, 0};        /* bit by bit */
	struct file_batch *batch = malloc(sizeof *batch);

	(void)state;
	file_batch_begin(batch);
	file_mkdirs(in_dir("a"), NULL);
	file_mkdirs(in_dir("b"), NULL);
	for (unsigned i = 0; i < 9; i++) {
		static const char *const name[] = {"a/0", "b/1", "a/2"};
		struct outcome outcome[3] = {{0}};
		unsigned found = 0;

		for (unsigned n = 0; n < 3; n++) {
			struct file_replace file;

			save(name[n], "old");
			file = begin(name[n], "new");
			file_batch_add(batch, &file, &outcome[n]);
		}
		fail_in = i + 1;
		file_batch_commit(batch, note);
		fail_in = 0;
		for (unsigned n = 0; n < 3; n++) {
			found |= (outcome[n].err != ERR_OK) << n;
			assert_int_equal(outcome[n].calls, 1);
			assert_holds(name[n], outcome[n].err && i < 6 ? "old" : "new");
		}
		assert_int_equal(found, failed[i]);
		assert_int_equal(entries("a") + entries("b"), 3);
	}
	free(batch);
}

/* --- directories -------------------------------------------------------------------------- */

static void directories_are_made_with_their_parents(void **state)
{
	struct why why = {{0}};

	(void)state;
	assert_int_equal(file_mkdirs(in_dir("a/b//c/"), &why), ERR_OK);
	assert_int_equal(access(in_dir("a/b/c"), F_OK), 0);
	assert_int_equal(file_mkdirs(in_dir("a/b/c"), &why), ERR_OK);
	assert_int_equal(file_mkparent(in_dir("a/d/file"), &why), ERR_OK);
	assert_int_equal(access(in_dir("a/d"), F_OK), 0);
	assert_int_equal(access(in_dir("a/d/file"), F_OK), -1);
	save("file", "");
	assert_int_not_equal(file_mkdirs(in_dir("file/a"), &why), ERR_OK);
	assert_non_null(strstr(why.text, "file/a"));
}

/* What a killed process leaves while it replaces the file. */
static void leave_behind(const char *name)
{
	pid_t pid = fork();

	if (pid == 0) {
		begin(name, "half");
		_exit(0);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void what_a_kill_left_is_swept_and_nothing_else(void **state)
{
	static const char *const others[] = {".lockstep-tmp-", ".lockstep-tmp-abcde", ".lockstep-tmp-abcdefg",
		"lockstep-tmp-abcdef", "one.XXXXXX", "a.zone"};
	struct file_replace file;
	struct why why;
	unsigned removed;

	(void)state;
	for (unsigned i = 0; i < sizeof others / sizeof *others; i++)
		save(others[i], "kept");
	assert_int_equal(file_mkdirs(in_dir("a/b/c"), NULL), ERR_OK);
	leave_behind("one");
	leave_behind("one");
	leave_behind("a/two");
	leave_behind("a/b/c/three");
	assert_int_equal(mkdir(in_dir(".lockstep-tmp-direct"), 0700), 0);
	assert_int_equal(symlink("a.zone", in_dir(".lockstep-tmp-symbol")), 0);
	assert_int_equal(link(in_dir("a.zone"), in_dir(".lockstep-tmp-linked")), 0);
	assert_int_equal(symlink("a", in_dir("elsewhere")), 0);
	assert_int_equal(mkfifo(in_dir(".lockstep-tmp-a-fifo"), 0600), 0);
	file = begin("one", "under way");
	assert_int_equal(file_sweep(dir, 0, &removed, &why), ERR_OK);
	assert_int_equal(removed, 2);
	assert_int_equal(file_sweep(dir, 2, &removed, &why), ERR_OK);
	assert_int_equal(removed, 1);
	assert_int_equal(file_sweep(dir, 3, &removed, &why), ERR_OK);
	assert_int_equal(removed, 1);
	assert_int_equal(entries("a"), 1);
	assert_int_equal(entries(""), sizeof others / sizeof *others + 7);
	assert_int_equal(file_replace_commit(&file, &why), ERR_OK);
	assert_holds("one", "under way");
	assert_int_equal(file_sweep(in_dir("none"), 1, &removed, &why), ERR_OK);
	assert_int_equal(file_sweep(in_dir("one"), 1, &removed, &why), ERR_OK);
	assert_int_equal(removed, 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, empty_dir)
	const struct CMUnitTest tests[] = {
		T(sums_over_parts_are_those_of_the_whole),
		T(the_sum_is_siphash),
		T(the_digest_is_of_what_is_read_back),
		T(the_digest_of_a_long_file_is_that_of_its_octets),
		T(a_file_is_old_until_it_is_new),
		T(a_full_disk_leaves_the_old_file),
		T(a_disk_that_fails_leaves_the_old_file_or_says_so),
		T(a_link_is_replaced_not_followed),
		T(many_files_are_replaced_together),
		T(one_that_fails_leaves_the_others),
		T(a_disk_that_fails_costs_the_files_it_concerns),
		T(directories_are_made_with_their_parents),
		T(what_a_kill_left_is_swept_and_nothing_else),
	};
	int failed;

	if (!mkdtemp(dir))
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	empty_dir(NULL);
	rmdir(dir);
	return failed;
}
