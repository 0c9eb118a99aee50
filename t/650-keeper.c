/* run/keeper: a configuration comes into force as a whole or not at all, wherever memory runs out. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "run/keeper.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The allocation of this thread that fails: 1 is the next one, 0 none. */
static __thread unsigned fails_in;

void *__real_malloc(size_t);
void *__real_calloc(size_t, size_t);
void *__wrap_malloc(size_t);
void *__wrap_calloc(size_t, size_t);

static bool fails(void)
{
	return fails_in && --fails_in == 0;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

static char dir[64];
static struct event_base *loop;
static struct store *store;
static struct primaries *primaries;
static struct copies *copies;
static struct disk *disk;
static struct keeper *keeper;

static void say(const char *file, const char *text)
{
	char path[128];
	FILE *out;

	snprintf(path, sizeof path, "%s/%s", dir, file);
	out = fopen(path, "w");
	assert_non_null(out);
	fputs(text, out);
	assert_int_equal(fclose(out), 0);
}

static int setup(void **state)
{
	struct why why = {{0}};

	(void)state;
	snprintf(dir, sizeof dir, "/tmp/lockstep-keeper-XXXXXX");
	assert_non_null(mkdtemp(dir));
	rr_init();
	log_setup(LOG_TO_STDERR, LOG_LEVEL_ERROR);
	store_thread_begin();
	loop = event_base_new();
	store = store_new();
	primaries = primaries_new();
	assert_int_equal(copies_open(&copies, dir, &why), ERR_OK);
	keeper = keeper_new(loop, store, clock_ms, clock_unix);
	disk = disk_new(loop, copies);
	keeper_set_disk(keeper, disk);
	for (unsigned i = 0; i < PRIMARY_LANES; i++)
		primaries_set_limits(primaries, i, (struct primary_limits){8, 8});
	return 0;
}

static int teardown(void **state)
{
	char command[128];

	(void)state;
	disk_free(disk);
	keeper_free(keeper);
	copies_close(copies);
	store_free(store);
	store_settle();
	primaries_free(primaries);
	event_base_free(loop);
	store_thread_end();
	snprintf(command, sizeof command, "rm -r %s", dir);
	return system(command);
}

static struct generation *read_zones(const char *zones)
{
	struct why why = {{0}};
	struct generation *g;
	struct conf *conf;
	char text[2000], path[128];

	snprintf(text, sizeof text, "server = { listen = [\"127.0.0.1@5353\"]; state-dir = \"%s\"; zone-dir = \"%s\"; };\n"
		"remotes = ( { name = \"away\"; address = [\"127.0.0.1@1\"]; } );\nzones = ( %s );\n", dir, dir, zones);
	say("conf", text);
	snprintf(path, sizeof path, "%s/conf", dir);
	conf = conf_read(path, &why);
	if (!conf)
		fail_msg("%s", why.text);
	g = generation_new(conf, primaries);
	assert_non_null(g);
	return g;
}

static enum err apply(struct generation *g, unsigned fails_at)
{
	struct keeper_change change;
	struct why why;

	fails_in = fails_at;
	return keeper_apply(keeper, g, &change, &why);
}

static void marked(void *ctx, struct disk_result *result)
{
	(void)ctx, (void)result;
	event_base_loopbreak(loop);
}

/* Until the disk thread has done what it was given, and we know. */
static void settle(void)
{
	disk_mark(disk, marked, NULL);
	event_base_dispatch(loop);
}

/* Both what is known of the zones and what the answering threads see. */
static void expect(const char *const *names, size_t count)
{
	uint8_t name[NAME_SIZE];

	assert_int_equal(keeper_count(keeper), count);
	for (size_t i = 0; i < count; i++) {
		struct zone *zone;

		assert_int_equal(name_parse(names[i], strlen(names[i]), NULL, name, NULL), ERR_OK);
		assert_non_null(keeper_find(keeper, name));
		zone = keep_served(keeper_find(keeper, name));
		assert_non_null(zone);
		zone_put(zone);
		store_enter();
		assert_non_null(store_exact(store, name));
		store_leave();
	}
}

static void expect_unseen(const char *text)
{
	uint8_t name[NAME_SIZE];

	assert_int_equal(name_parse(text, strlen(text), NULL, name, NULL), ERR_OK);
	store_enter();
	assert_null(store_exact(store, name));
	store_leave();
}

#define FILE_ZONE(name) "{ name = \"" name "\"; source = \"file\"; file = \"zone\"; }"

static void without_memory_nothing_changes(void **state)
{
	static const char before[] = FILE_ZONE("a.") ", " FILE_ZONE("b.") ", " FILE_ZONE("stays.");
	static const char after[] = FILE_ZONE("c.") ", " FILE_ZONE("d.") ", " FILE_ZONE("stays.")
		", { name = \"b.\"; primaries = [\"away\"]; file = \"b\"; }";
	static const char *const first[] = {"a.", "b.", "stays."}, *const second[] = {"c.", "d.", "stays."};
	uint8_t b[NAME_SIZE];
	unsigned n = 1;

	(void)state;
	say("zone", "@ 60 SOA ns admin 1 3600 900 604800 300\n@ 60 NS ns.example.\n");
	assert_int_equal(apply(read_zones(before), 0), ERR_OK);
	settle();
	expect(first, 3);
	while (apply(read_zones(after), n) != ERR_OK) {
		fails_in = 0;
		expect(first, 3);
		expect_unseen("c.");
		expect_unseen("d.");
		n++;
	}
	fails_in = 0;
	assert_in_range(n, 5, 1000);
	settle();
	name_parse("b.", 2, NULL, b, NULL);
	assert_non_null(keep_secondary(keeper_find(keeper, b)));
	assert_int_equal(keeper_count(keeper), 4);
	for (unsigned i = 0; i < 3; i++) {
		struct keep *k;

		name_parse(second[i], strlen(second[i]), NULL, b, NULL);
		k = keeper_find(keeper, b);
		assert_non_null(k);
		assert_non_null(store_exact(store, b));
	}
	expect_unseen("a.");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(without_memory_nothing_changes, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
