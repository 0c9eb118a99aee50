/* zone: wherever memory runs out, an operation on a zone says so, loses nothing, leaves the version that is served as it was, and goes well the next time.
 * What is lost AddressSanitizer tells. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "dns/rr.h"
#include "zone/history.h"
#include "zone/image.h"
#include "zone/zonefile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The allocation that fails: 1 is the next one, 0 none; with `all` each one after it too. */
static unsigned fails_in;
static bool struck, all;

void *__real_malloc(size_t);
void *__real_calloc(size_t, size_t);
void *__real_realloc(void *, size_t);
char *__real_strdup(const char *);
char *__real_strndup(const char *, size_t);
void *__wrap_malloc(size_t);
void *__wrap_calloc(size_t, size_t);
void *__wrap_realloc(void *, size_t);
char *__wrap_strdup(const char *);
char *__wrap_strndup(const char *, size_t);

static bool fails(void)
{
	if (!fails_in || --fails_in)
		return false;
	struck = true;
	fails_in = all;
	return true;
}

void *__wrap_malloc(size_t size) { return fails() ? NULL : __real_malloc(size); }
void *__wrap_calloc(size_t count, size_t size) { return fails() ? NULL : __real_calloc(count, size); }
void *__wrap_realloc(void *old, size_t size) { return fails() ? NULL : __real_realloc(old, size); }
char *__wrap_strdup(const char *text) { return fails() ? NULL : __real_strdup(text); }
char *__wrap_strndup(const char *text, size_t size) { return fails() ? NULL : __real_strndup(text, size); }

/* --- some versions ------------------------------------------------------------------------- */

enum { HOSTS = 1500, TEXTS = 400, HASHES = 200, VERSIONS = 4 };

static const uint8_t apex[] = "\7example";
static char dir[64], path[VERSIONS][100], out_path[100];
static struct zone *zone[VERSIONS];
static struct diff *step[VERSIONS];  /* to it, from the one before */

static unsigned mixed(unsigned a, unsigned b)
{
	return (a * 2654435761u ^ b * 40503u) >> 7;
}

/* Hosts that come, go and change, deep ones, a large RRset, and the hashed names of a chain. */
static void write_file(unsigned v)
{
	FILE *out = fopen(path[v], "w");

	assert_non_null(out);
	fprintf(out, "@ 300 SOA ns h %u 2 3 4 5\n@ 400 NS ns\nns 300 A 192.0.2.1\n@ NSEC3PARAM 1 0 1 ab\n*.wild 5 TXT \"%u\"\n", v + 1, v);
	for (unsigned i = 0; i < HOSTS; i++)
		if (mixed(i, v / 2) % 3)
			fprintf(out, "h%u%s 300 A 192.0.2.%u\n", i, i % 7 ? "" : i % 2 ? ".a.b" : ".some.deep.place", mixed(i, v) % 4);
	for (unsigned i = 0; i < TEXTS; i++)
		if (mixed(i, v) % 4)
			fprintf(out, "large 60 TXT \"%u %0*u\"\n", i, (int)(i % 200 + 1), v / 2);
	for (unsigned i = 0; i < HASHES; i++)
		if (mixed(i, v) % 5)
			fprintf(out, "%032u 60 NSEC3 1 0 1 ab %032u A RRSIG\n", i, i + 1);
	assert_int_equal(fclose(out), 0);
}

static struct zone *load(unsigned v)
{
	struct zone *loaded;
	struct why why;

	if (zonefile_load(path[v], apex, (struct build_limits){0}, &loaded, &why))
		fail_msg("%s", why.text);
	return loaded;
}

static int begin(void **state)
{
	(void)state;
	snprintf(dir, sizeof dir, "%s/lockstep-no-memory-XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	assert_non_null(mkdtemp(dir));
	snprintf(out_path, sizeof out_path, "%s/out", dir);
	for (unsigned v = 0; v < VERSIONS; v++) {
		snprintf(path[v], sizeof path[v], "%s/%u", dir, v);
		write_file(v);
		zone[v] = load(v);
		if (v)
			assert_int_equal(diff_make(zone[v - 1], zone[v], 0, &step[v]), ERR_OK);
	}
	return 0;
}

static int end(void **state)
{
	(void)state;
	for (unsigned v = 0; v < VERSIONS; v++) {
		diff_drop(step[v]);
		zone_put(zone[v]);
		unlink(path[v]);
	}
	unlink(out_path);
	return rmdir(dir);
}

/* By two ways: what differs, and what is counted. */
static void assert_same(const struct zone *a, const struct zone *b)
{
	struct diff *diff;

	assert_int_equal(a->records, b->records);
	assert_int_equal(a->names, b->names);
	assert_int_equal(a->wire_bytes, b->wire_bytes);
	assert_int_equal(a->hashed, b->hashed);
	assert_int_equal(diff_make(a, b, 0, &diff), ERR_OK);
	assert_true(diff_is_empty(diff));
	diff_drop(diff);
}

/* --- each allocation fails in turn ---------------------------------------------------------- */

/* What an operation leads to is its own to check and release; without memory it must have left nothing. */
static void in_turn(enum err (*operation)(struct why *), unsigned least)
{
	unsigned turns = 0;

	for (unsigned both = 0; both < 2; both++) {
		all = both;
		for (unsigned n = 1; ; n++, turns++) {
			struct why why = {{0}};
			enum err err;

			assert_true(n < 100000);
			fails_in = n;
			struck = false;
			err = operation(&why);
			fails_in = 0;
			if (!struck) {
				assert_int_equal(err, ERR_OK);
				break;
			}
			if (err && err != ERR_NOMEM)
				fail_msg("allocation %u fails: %s: %s", n, err_text(err), why.text);
			assert_true(err || !all || n > 1);
		}
	}
	all = false;
	if (turns < 2 * least)
		fail_msg("there were %u allocations", turns / 2);
}

/* The checks themselves have memory. */
static void check(const struct zone *made, const struct zone *wanted)
{
	unsigned left = fails_in;

	fails_in = 0;
	assert_non_null(made);
	assert_same(made, wanted);
	fails_in = left;
}

static enum err load_file(struct why *why)
{
	struct zone *made = NULL;
	enum err err = zonefile_load(path[0], apex, (struct build_limits){0}, &made, why);

	assert_true(!err == !!made);
	if (!err)
		check(made, zone[0]);
	zone_put(made);
	return err;
}

static void a_zone_file_is_read(void **state)
{
	(void)state;
	in_turn(load_file, 10);
}

static enum err apply_step(struct why *why)
{
	struct zone *made = NULL;
	enum err err = diff_apply(zone[2], step[3], (struct build_limits){0}, &made, why);

	assert_true(!err == !!made);
	if (!err)
		check(made, zone[3]);
	zone_put(made);
	return err;
}

static void the_next_version_is_made(void **state)
{
	struct zone *apart = load(2);

	(void)state;
	in_turn(apply_step, 3);
	assert_same(zone[2], apart);
	zone_put(apart);
}

/* A line of versions, of which each gives its room to those after the next one. A reader holds the first one a while longer. */
static enum err follow_steps(struct why *why)
{
	unsigned left = fails_in;
	struct zone *newest, *first;
	enum err err = ERR_OK;

	fails_in = 0;
	newest = load(0);
	first = zone_hold(newest);
	fails_in = left;
	for (unsigned v = 1; v < VERSIONS && !err; v++) {
		struct zone *made = NULL;

		err = diff_apply(newest, step[v], (struct build_limits){0}, &made, why);
		assert_true(!err == !!made);
		check(newest, zone[v - 1]);
		if (err)
			break;
		check(made, zone[v]);
		zone_put(newest);
		newest = made;
		if (v == 2) {
			check(first, zone[0]);
			zone_put(first);
			first = NULL;
		}
	}
	zone_put(first);
	zone_put(newest);
	return err;
}

static void versions_follow_on_each_other(void **state)
{
	(void)state;
	in_turn(follow_steps, 6);
}

static enum err make_step(struct why *why)
{
	struct diff *made = NULL;
	enum err err = diff_make(zone[0], zone[3], 0, &made);
	size_t length;

	(void)why;
	assert_true(!err == !!made);
	if (!err)
		assert_non_null(diff_bytes(made, &length));
	diff_drop(made);
	return err;
}

static void two_versions_are_compared(void **state)
{
	(void)state;
	in_turn(make_step, 3);
}

static enum err join_steps(struct why *why)
{
	struct diff *made = NULL;
	enum err err = diff_join(step + 1, VERSIONS - 1, 0, &made);
	struct zone *last = NULL;

	assert_true(!err == !!made);
	if (!err)
		err = diff_apply(zone[0], made, (struct build_limits){0}, &last, why);
	if (!err)
		check(last, zone[3]);
	zone_put(last);
	diff_drop(made);
	return err;
}

static void steps_are_joined(void **state)
{
	(void)state;
	in_turn(join_steps, 4);
}

static enum err by_image(struct why *why)
{
	struct image image = {0};
	struct zone *made = NULL;
	struct image_reader *reader = NULL;
	enum err err = image_make(zone[3], &image, why);

	if (!err && !(reader = image_reader_new(apex, (struct build_limits){0})))
		err = ERR_NOMEM;
	for (size_t i = 0; i < image.count && !err; i++)
		err = image_reader_put(reader, &image.piece[i], why);
	if (err)
		image_reader_free(reader);
	else
		err = image_reader_finish(reader, &made, why);
	if (!err)
		check(made, zone[3]);
	image_release(&image);
	zone_put(made);
	return err;
}

static void an_image_is_made_and_read(void **state)
{
	(void)state;
	in_turn(by_image, 8);
}

static enum err write_out(struct why *why)
{
	enum err err = zonefile_write(out_path, zone[3], why);
	unsigned left = fails_in;
	struct zone *there;

	fails_in = 0;
	assert_int_equal(zonefile_load(out_path, apex, (struct build_limits){0}, &there, why), ERR_OK);
	if (!err)
		assert_same(there, zone[3]);
	else if (there->serial.v == zone[0]->serial.v)
		assert_same(there, zone[0]);
	zone_put(there);
	assert_int_equal(zonefile_write(out_path, zone[0], why), ERR_OK);
	fails_in = left;
	return err;
}

static void a_zone_file_is_written(void **state)
{
	struct why why;

	(void)state;
	assert_int_equal(zonefile_write(out_path, zone[0], &why), ERR_OK);
	in_turn(write_out, 3);
}

static enum err remember_steps(struct why *why)
{
	struct history *h = NULL;
	size_t count;

	(void)why;
	for (unsigned v = 1; v < VERSIONS; v++) {
		struct history *before = h;

		h = history_add(before, step[v], UINT64_MAX);
		history_drop(before);
		if (!h)
			return ERR_NOMEM;
	}
	history_find(h, zone[0]->serial, zone[3]->serial, &count);
	assert_int_equal(count, 3);
	history_drop(h);
	return ERR_OK;
}

static void steps_are_remembered(void **state)
{
	(void)state;
	in_turn(remember_steps, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_zone_file_is_read),
		cmocka_unit_test(the_next_version_is_made),
		cmocka_unit_test(versions_follow_on_each_other),
		cmocka_unit_test(two_versions_are_compared),
		cmocka_unit_test(steps_are_joined),
		cmocka_unit_test(an_image_is_made_and_read),
		cmocka_unit_test(a_zone_file_is_written),
		cmocka_unit_test(steps_are_remembered),
	};

	rr_init();
	cmocka_set_test_filter(getenv("TEST_FILTER"));
	return cmocka_run_group_tests(tests, begin, end);
}
