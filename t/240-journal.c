/* zone/journal: what is committed comes back as it was, and what is damaged is found, said, and no obstacle to the rest. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "dns/rr.h"
#include "killed.h"
#include "zone/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[40], away[sizeof dir + 8], database[sizeof dir + 32];
static const uint8_t example[] = "\7example", other[] = "\5other";

/* --- help --------------------------------------------------------------------------------- */

static struct journal *opened;       /* by a test that may fail before it closes it */

static struct journal *open_it(void)
{
	struct why why = {{0}};

	if (journal_open(&opened, dir, &why) || why.text[0])
		fail_msg("%s", why.text);
	return opened;
}

static void close_it(struct journal *j)
{
	opened = NULL;
	journal_close(j);
}

static void commit(struct journal *j, struct journal_change *changes, size_t count)
{
	struct why why = {{0}};

	if (journal_commit(j, changes, count, &why))
		fail_msg("%s", why.text);
}

static void commit_in_vain(struct journal *j, struct journal_change *change, enum err wanted)
{
	struct why why = {{0}};
	enum err err = journal_commit(j, change, 1, &why);

	if (err != wanted)
		fail_msg("%s, not %s: %s", err_text(err), err_text(wanted), why.text);
	assert_int_equal(change->err, wanted);
	assert_non_null(strstr(why.text, database));
}

static void commit_one(struct journal *j, struct journal_change change)
{
	commit(j, &change, 1);
	assert_int_equal(change.err, ERR_OK);
}

/* A version of the zone with a serial and so many addresses. */
static struct zone *version_of(const uint8_t *apex, uint32_t serial, unsigned addresses)
{
	struct build *b = build_new(apex, NULL, (struct build_limits){0});
	uint8_t soa[22] = {0}, owner[NAME_SIZE];
	struct rr rr = {.owner = apex, .type = RR_SOA, .class = CLASS_IN, .ttl = 5, .rdlength = 22, .rdata = soa};
	struct zone *zone = NULL;

	put_u32(soa + 2, serial);
	assert_int_equal(build_add(b, &rr, NULL), ERR_OK);
	rr = (struct rr){.owner = apex, .type = RR_NS, .class = CLASS_IN, .ttl = 5, .rdlength = 1, .rdata = (const uint8_t *)""};
	assert_int_equal(build_add(b, &rr, NULL), ERR_OK);
	for (uint32_t i = 0; i < addresses; i++) {
		uint8_t address[4];

		put_u32(address, i);
		owner[0] = (uint8_t)sprintf((char *)owner + 1, "a%06u", i);
		name_copy(apex, owner + 1 + owner[0]);
		rr = (struct rr){.owner = owner, .type = RR_A, .class = CLASS_IN, .ttl = 5, .rdlength = 4, .rdata = address};
		assert_int_equal(build_add(b, &rr, NULL), ERR_OK);
	}
	assert_int_equal(build_finish(b, &zone, NULL), ERR_OK);
	return zone;
}

/* The last few are kept: many tests want the same ones. */
static struct kept {
	const uint8_t *apex;
	uint32_t serial;
	unsigned addresses;
	struct image image;
} kept[4];

static const struct image *image_of(const uint8_t *apex, uint32_t serial, unsigned addresses)
{
	static unsigned next;
	struct zone *zone;
	struct kept *k;

	for (k = kept; k < kept + 4; k++)
		if (k->image.count && k->apex == apex && k->serial == serial && k->addresses == addresses)
			return &k->image;
	k = &kept[next++ % 4];
	image_release(&k->image);
	*k = (struct kept){apex, serial, addresses, {{0}}};
	zone = version_of(apex, serial, addresses);
	assert_int_equal(image_make(zone, &k->image, NULL), ERR_OK);
	zone_put(zone);
	return &k->image;
}

static void commit_image(struct journal *j, const uint8_t *name, uint32_t serial, unsigned addresses, uint64_t keep)
{
	commit_one(j, (struct journal_change){.kind = JOURNAL_IMAGE, .name = name, .to = {serial}, .image = image_of(name, serial, addresses),
		.keep = keep});
}

static struct journal_change step_of(const uint8_t *name, uint32_t from, const char *text)
{
	return (struct journal_change){.kind = JOURNAL_STEP, .name = name, .from = {from}, .to = {from + 1}, .bytes = (const uint8_t *)text,
		.length = strlen(text)};
}

/* What a scan gives. */
struct seen {
	struct journal_row *row[1100];
	size_t rows, at_most;
	unsigned broken_rows;
	struct image_reader *reader;
	uint32_t image, addresses, last, steps_before, steps;
	bool image_good, has_last, damaged;
	char text[2000];             /* of all steps */
	char damage[WHY_MAX];
	unsigned whole, unwhole;     /* zones */
};

static void see_end(struct seen *to, const struct journal_item *item)
{
	struct zone *zone = NULL;

	to->last = item->last.v;
	to->has_last = item->has_last;
	to->damaged = item->damage != NULL;
	if (item->damage)
		strcpy(to->damage, item->damage);
	if (to->reader && image_reader_finish(to->reader, &zone, NULL) == ERR_OK) {
		to->image = zone->serial.v;
		to->addresses = (uint32_t)zone->records - 2;
		to->image_good = item->has_image;
		zone_put(zone);
	}
	to->reader = NULL;
	if (item->damage || (item->has_last && !to->image_good))
		to->unwhole++;
	else
		to->whole++;
}

static enum journal_want see(void *ctx, const struct journal_item *item)
{
	struct image_piece piece = {item->bytes, item->length};
	struct seen *to = ctx;

	switch (item->kind) {
	case JOURNAL_ITEM_ROW:
		assert_true(to->rows < sizeof to->row / sizeof *to->row);
		to->row[to->rows++] = journal_row_copy(item->row);
		to->broken_rows += !item->row_whole;
		to->text[0] = 0;
		to->image_good = false;
		to->steps = to->steps_before = 0;
		break;
	case JOURNAL_ITEM_IMAGE:
		if (!to->reader)
			to->reader = image_reader_new(item->row->name, (struct build_limits){0});
		if (image_reader_put(to->reader, &piece, NULL)) {
			image_reader_free(to->reader);
			to->reader = NULL;
		}
		break;
	case JOURNAL_ITEM_STEP:
		*(item->before ? &to->steps_before : &to->steps) += 1;
		if (strlen(to->text) + item->length < sizeof to->text)
			snprintf(to->text + strlen(to->text), item->length + 1, "%s", (const char *)item->bytes);
		break;
	case JOURNAL_ITEM_END:
		see_end(to, item);
	}
	return to->at_most && to->rows >= to->at_most ? JOURNAL_STOP : JOURNAL_GO_ON;
}

static void forget_seen(struct seen *seen)
{
	for (size_t i = 0; i < seen->rows; i++)
		free(seen->row[i]);
	image_reader_free(seen->reader);
	*seen = (struct seen){0};
}

static enum err scan(struct journal *j, struct seen *seen, struct why *why)
{
	forget_seen(seen);
	return journal_scan(j, JOURNAL_ALL, see, seen, why);
}

static size_t scan_good(struct journal *j, struct seen *seen)
{
	struct why why = {{0}};

	if (scan(j, seen, &why))
		fail_msg("%s", why.text);
	return seen->rows;
}

static void load_good(struct journal *j, const uint8_t *name, struct seen *seen)
{
	struct why why = {{0}};

	forget_seen(seen);
	if (journal_load(j, name, see, seen, &why))
		fail_msg("%s", why.text);
}

static struct seen seen;

static const struct journal_member member = {JOURNAL_CATALOG, "small", (const uint8_t *)"\3cat\7example", (const uint8_t *)"\4a\0b."};

static struct journal_row full_row(void)
{
	return (struct journal_row){.name = (const uint8_t *)"\3a\0b\7example", .primary = "it's \"hidden\"", .member = &member,
		.rejected_why = "no\tgood", .changed = 1, .refreshed = 1800000000, .expires = 5000000000, .next = 1800000060,
		.file = {UINT64_C(0xfedcba9876543210), 5000000000}, .serial = {4294967295u}, .written = {7}, .rejected = {0}, .failures = 3,
		.given_expire = 86400, .has_serial = true, .file_known = true, .has_rejected = true, .expired = true, .held = true};
}

static void assert_text(const char *a, const char *b)
{
	if (a && b)
		assert_string_equal(a, b);
	else
		assert_true(a == b);
}

static void assert_row(const struct journal_row *a, const struct journal_row *b)
{
	assert_true(name_equal(a->name, b->name));
	assert_text(a->primary, b->primary);
	assert_text(a->rejected_why, b->rejected_why);
	assert_true((a->member == NULL) == (b->member == NULL));
	if (a->member) {
		assert_int_equal(a->member->origin, b->member->origin);
		assert_text(a->member->template_name, b->member->template_name);
		assert_true(name_equal(a->member->catalog, b->member->catalog));
		assert_memory_equal(a->member->id, b->member->id, 1 + *a->member->id);
	}
	assert_memory_equal(&a->changed, &b->changed, offsetof(struct journal_row, held) + 1 - offsetof(struct journal_row, changed));
}

static void run_sql(const char *sql)
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
		if (unlink(found.gl_pathv[i]) < 0)
			rmdir(found.gl_pathv[i]);
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

static int clean_up(void **state)
{
	(void)state;
	forget_seen(&seen);
	close_it(opened);
	return 0;
}

/* --- rows --------------------------------------------------------------------------------- */

static void rows_come_back_as_they_were(void **state)
{
	struct journal *j = open_it();
	struct journal_row full = full_row(), plain = {.name = (const uint8_t *)""};
	struct journal_change changes[] = {{.row = &full}, {.row = &plain}};

	(void)state;
	assert_int_equal(scan_good(j, &seen), 0);
	commit(j, changes, 2);
	close_it(j);
	j = open_it();
	assert_int_equal(scan_good(j, &seen), 2);
	assert_int_equal(seen.broken_rows, 0);
	assert_row(seen.row[0], &full);
	assert_row(seen.row[1], &plain);     /* the root: nothing known */
	assert_false(seen.has_last);
	close_it(j);
}

static void a_row_replaces_the_one_of_its_name_whatever_its_case(void **state)
{
	struct journal *j = open_it();
	struct journal_row row = full_row();

	(void)state;
	commit_one(j, (struct journal_change){.row = &row});
	row.name = (const uint8_t *)"\3A\0B\7EXAMPLE";
	row.serial.v = 5;
	row.member = NULL;
	commit_one(j, (struct journal_change){.row = &row});
	assert_int_equal(scan_good(j, &seen), 1);
	assert_row(seen.row[0], &row);
	commit_one(j, (struct journal_change){.kind = JOURNAL_FORGET, .name = (const uint8_t *)"\3a\0B\7eXample"});
	assert_int_equal(scan_good(j, &seen), 0);
	commit_one(j, (struct journal_change){.kind = JOURNAL_FORGET, .name = row.name});    /* not there: nothing to do */
	close_it(j);
}

static void fill(struct journal *j, unsigned count)
{
	static struct journal_row rows[1000];
	static struct journal_change changes[1000];
	static uint8_t name[1000][8];

	for (unsigned i = 0; i < count; i++) {
		rows[i] = full_row();
		name[i][0] = (uint8_t)sprintf((char *)name[i] + 1, "%04u", i);
		rows[i].name = name[i];
		changes[i] = (struct journal_change){.row = &rows[i]};
	}
	commit(j, changes, count);
}

static void reading_ends_when_the_reader_has_enough(void **state)
{
	struct journal *j = open_it();

	(void)state;
	fill(j, 300);
	assert_int_equal(scan_good(j, &seen), 300);
	forget_seen(&seen);
	seen.at_most = 10;
	assert_int_equal(journal_scan(j, JOURNAL_ROWS, see, &seen, NULL), ERR_OK);
	assert_int_equal(seen.rows, 10);
	close_it(j);
}

static void any_value_of_a_row_that_is_changed_shows(void **state)
{
	static const char *const change[] = {
		"serial = serial - 1", "serial = NULL", "changed = 2", "refreshed = refreshed + 1", "expires = -expires",
		"next = 0", "expired = 0", "held = 0",
		"failures = 4", "given_expire = 0", "written = NULL", "file_size = 0", "file_sum = file_sum + 1", "rejected = NULL",
		"rejected_why = 'no good'", "rejected_why = NULL", "primary_name = ''", "origin = 0", "origin = 77",
		"template = NULL", "template = 'smalL'",
		"catalog = x'0363617400'", "member = x'0461006263'", "member = x''", "sum = sum + 1", "serial = 'text'", "changed = x''",
		"name = x'03610063076578616d706c6500'",
	};
	char sql[100];

	(void)state;
	for (size_t i = 0; i < sizeof change / sizeof *change; i++) {
		struct journal_row full = full_row(), row = full;
		struct journal *j;

		start_anew(NULL);
		j = open_it();
		row.name = other;
		commit_one(j, (struct journal_change){.row = &full});
		commit_one(j, (struct journal_change){.row = &row});
		close_it(j);
		snprintf(sql, sizeof sql, "UPDATE zone SET %s WHERE id = 1", change[i]);
		run_sql(sql);
		j = open_it();
		assert_int_equal(scan_good(j, &seen), 2);
		if (seen.broken_rows != 1 || seen.unwhole != 1)
			fail_msg("%s", sql);
		assert_row(seen.row[1], &row);
		commit_one(j, (struct journal_change){.row = &full});        /* and it is mended */
		assert_int_equal(scan_good(j, &seen), i + 1 == sizeof change / sizeof *change ? 3 : 2);
		close_it(j);
	}
}

static void rows_without_a_name_are_passed_over(void **state)
{
	static const char *const name[] = {"x'0361'", "x''", "x'016100ff'", "zeroblob(300)", "'text'"};
	char sql[100];

	(void)state;
	for (size_t i = 0; i < sizeof name / sizeof *name; i++) {
		struct journal *j;

		start_anew(NULL);
		j = open_it();
		fill(j, 3);
		close_it(j);
		snprintf(sql, sizeof sql, "UPDATE zone SET name = %s WHERE id = 2", name[i]);
		run_sql(sql);
		j = open_it();
		assert_int_equal(scan_good(j, &seen), 2);
		assert_int_equal(seen.broken_rows, 0);
		close_it(j);
	}
}

/* --- images and steps --------------------------------------------------------------------- */

static void image_and_steps_come_back(void **state)
{
	struct journal *j = open_it();
	struct journal_row row = {.name = example, .has_serial = true, .serial = {7}};
	struct journal_change changes[] = {step_of(example, 5, "one "), step_of(example, 6, "two "), step_of(example, 7, "")};

	(void)state;
	commit_image(j, example, 5, 40000, 0);
	commit_image(j, other, 1, 1, 0);
	changes[1].row = &row;
	commit(j, changes, 3);
	for (unsigned times = 0; times < 2; times++) {
		load_good(j, (const uint8_t *)"\7EXAMPLE", &seen);
		assert_int_equal(seen.rows, 1);
		assert_row(seen.row[0], &row);
		assert_true(seen.image_good && seen.has_last && !seen.damaged);
		assert_int_equal(seen.image, 5);
		assert_int_equal(seen.addresses, 40000);
		assert_int_equal(seen.steps, 3);
		assert_int_equal(seen.last, 8);
		assert_string_equal(seen.text, "one two ");
		assert_int_equal(scan_good(j, &seen), 2);
		assert_int_equal(seen.whole, 2);
		close_it(j);
		j = open_it();
	}
	forget_seen(&seen);
	assert_int_equal(journal_load(j, (const uint8_t *)"\4none", see, &seen, NULL), ERR_NOTFOUND);
	close_it(j);
}

static void a_step_must_follow_the_last(void **state)
{
	struct journal *j = open_it();
	struct journal_change changes[] = {step_of(other, 1, "no image"), step_of(example, 6, "too far"), step_of(example, 5, "fits "),
		step_of(example, 5, "again"), step_of(example, 6, "too")};

	(void)state;
	commit_image(j, example, 5, 1, 0);
	commit(j, changes, 5);
	assert_int_equal(changes[0].err, ERR_MISMATCH);
	assert_int_equal(changes[1].err, ERR_MISMATCH);
	assert_int_equal(changes[2].err, ERR_OK);
	assert_int_equal(changes[3].err, ERR_MISMATCH);
	assert_int_equal(changes[4].err, ERR_OK);
	load_good(j, example, &seen);
	assert_string_equal(seen.text, "fits too");
	assert_int_equal(seen.last, 7);
	assert_int_equal(journal_load(j, other, see, &seen, NULL), ERR_NOTFOUND);
	close_it(j);
}

static void an_image_takes_the_place_of_what_was_there(void **state)
{
	struct journal *j = open_it();

	(void)state;
	commit_image(j, example, 5, 30000, 0);
	commit_one(j, step_of(example, 5, "one"));
	commit_image(j, example, 3, 1, 1000);                /* not what the steps lead to: nothing is kept */
	load_good(j, example, &seen);
	assert_true(seen.image_good && !seen.damaged);
	assert_int_equal(seen.image, 3);
	assert_int_equal(seen.addresses, 1);
	assert_int_equal(seen.steps + seen.steps_before, 0);
	assert_int_equal(seen.last, 3);
	commit_one(j, (struct journal_change){.kind = JOURNAL_FORGET, .name = example});
	assert_int_equal(scan_good(j, &seen), 0);
	commit_image(j, example, 9, 2, 0);
	load_good(j, example, &seen);
	assert_int_equal(seen.last, 9);
	close_it(j);
}

static void the_newest_steps_are_kept_below_an_image(void **state)
{
	struct journal *j = open_it();
	struct journal_change changes[] = {step_of(example, 5, "aaaa"), step_of(example, 6, "bbbb"), step_of(example, 7, "cccc")};

	(void)state;
	commit_image(j, example, 5, 1, 0);
	commit(j, changes, 3);
	commit_image(j, example, 8, 1, 9);
	load_good(j, example, &seen);
	assert_int_equal(seen.steps_before, 2);
	assert_string_equal(seen.text, "bbbbcccc");
	assert_int_equal(seen.steps, 0);
	assert_int_equal(seen.last, 8);
	commit_one(j, step_of(example, 8, "dddd"));
	load_good(j, example, &seen);
	assert_true(seen.image_good && !seen.damaged);
	assert_int_equal(seen.steps_before, 2);
	assert_int_equal(seen.steps, 1);
	assert_string_equal(seen.text, "bbbbccccdddd");
	commit_image(j, example, 9, 1, 3);                   /* none of them is so short */
	load_good(j, example, &seen);
	assert_int_equal(seen.steps + seen.steps_before, 0);
	commit_one(j, step_of(example, 9, "eeee"));
	load_good(j, example, &seen);
	assert_false(seen.damaged);
	assert_int_equal(seen.last, 10);
	close_it(j);
}

static void steps_are_bounded(void **state)
{
	struct journal *j = open_it();
	uint8_t *bytes = calloc(1, 600000);
	struct journal_change change = {.kind = JOURNAL_STEP, .name = example, .to = {2}, .from = {1}, .bytes = bytes, .length = 600000};

	(void)state;
	commit_image(j, example, 1, 100, 0);
	commit(j, &change, 1);
	assert_int_equal(change.err, ERR_OK);
	assert_true(change.outgrown);
	change.from.v = 2;
	change.to.v = 3;
	commit(j, &change, 1);
	assert_int_equal(change.err, ERR_LIMIT);
	commit_image(j, example, 3, 100, 0);
	change = step_of(example, 3, "small");
	commit(j, &change, 1);
	assert_int_equal(change.err, ERR_OK);
	assert_false(change.outgrown);
	close_it(j);
	free(bytes);
}

static void many_small_steps_outgrow_an_image_too(void **state)
{
	static struct journal_change changes[4100];
	struct journal *j = open_it();
	size_t first = 0;

	(void)state;
	for (uint32_t i = 0; i < 4100; i++)
		changes[i] = step_of(example, 1 + i, "x");
	commit_image(j, example, 1, 100000, 0);
	commit(j, changes, 4100);
	while (!changes[first].outgrown)
		first++;
	assert_int_equal(first, 4095);
	load_good(j, example, &seen);
	assert_int_equal(seen.steps, 4100);
	close_it(j);
}

/* What is not whole in the tables must show, and the zone beside it must be whole. */
static void damage_to_images_and_steps_is_found(void **state)
{
	static const struct { const char *sql; bool image_good; unsigned steps; } cases[] = {
		{"UPDATE image SET bytes = zeroblob(length(bytes)) WHERE id = (1 << 36) + 1", false, 3},
		{"UPDATE image SET bytes = substr(bytes, 1, length(bytes) - 1) WHERE id = (1 << 36)", false, 3},
		{"UPDATE image SET bytes = (SELECT bytes FROM image WHERE id = (1 << 36) + 1) WHERE id = (1 << 36)", false, 3},
		{"UPDATE image SET bytes = (SELECT bytes FROM image WHERE id = (2 << 36)) WHERE id = (1 << 36)", false, 3},
		{"DELETE FROM image WHERE id = (1 << 36)", false, 3},
		{"DELETE FROM image WHERE id = (1 << 36) + 2", false, 3},
		{"DELETE FROM image WHERE id < (2 << 36)", false, 3},
		{"UPDATE image SET bytes = x'' WHERE id = (1 << 36)", false, 3},
		{"UPDATE step SET bytes = 'Zne ' WHERE id = (1 << 36)", true, 0},
		{"UPDATE step SET from_serial = 4 WHERE id = (1 << 36)", true, 0},
		{"UPDATE step SET to_serial = 77 WHERE id = (1 << 36) + 1", true, 1},
		{"UPDATE step SET sum = sum + 1 WHERE id = (1 << 36) + 2", true, 2},
		{"DELETE FROM step WHERE id = (1 << 36) + 2", true, 2},
		{"DELETE FROM step WHERE id = (1 << 36)", true, 0},
		{"UPDATE step SET id = (1 << 36) + 3 WHERE id = (1 << 36) + 2", true, 2},
		{"UPDATE step SET bytes = (SELECT bytes FROM step WHERE id = (2 << 36)) WHERE id = (1 << 36)", true, 0},
		{"UPDATE zone SET image_parts = 1 WHERE id = 1", false, 0},
		{"UPDATE zone SET image = 6 WHERE id = 1", false, 0},
		{"UPDATE zone SET image = NULL WHERE id = 1", false, 0},
		{"UPDATE zone SET next_step = 1 WHERE id = 1", false, 0},
		{"UPDATE zone SET last = 7 WHERE id = 1", false, 0},
		{"UPDATE zone SET content_sum = 0 WHERE id = 1", false, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct journal_change changes[] = {step_of(example, 5, "one "), step_of(example, 6, "two "), step_of(example, 7, "three "),
			step_of(other, 5, "elsewhere")};
		struct journal *j;

		start_anew(NULL);
		j = open_it();
		commit_image(j, example, 5, 40000, 0);
		commit_image(j, other, 5, 1, 0);
		commit(j, changes, 4);
		close_it(j);
		run_sql(cases[i].sql);
		j = open_it();
		load_good(j, example, &seen);
		if (seen.image_good != cases[i].image_good || seen.steps != cases[i].steps || seen.unwhole != 1)
			fail_msg("%s: image %d steps %u", cases[i].sql, seen.image_good, seen.steps);
		scan_good(j, &seen);
		if (seen.rows != 2 || seen.whole != 1 || !seen.image_good || seen.steps != 1)
			fail_msg("%s: the other zone", cases[i].sql);
		commit_image(j, example, 8, 40000, 0);
		scan_good(j, &seen);
		if (seen.rows != 2 || seen.whole != 2)
			fail_msg("%s: it is not mended", cases[i].sql);
		close_it(j);
	}
}

/* --- the database itself ------------------------------------------------------------------ */

/* What has been spoiled must be set aside, said, and begun anew. */
static void assert_begun_anew(struct journal *j, const struct why *why)
{
	assert_non_null(strstr(why->text, database));
	assert_non_null(strstr(why->text, "set aside"));
	assert_true(set_aside() >= 1);
	assert_int_equal(scan_good(j, &seen), 0);
	fill(j, 1);
	close_it(j);
	j = open_it();
	assert_int_equal(scan_good(j, &seen), 1);
	close_it(j);
}

static void open_spoiled(void)
{
	struct why why = {{0}};
	struct journal *j = NULL;

	if (journal_open(&j, dir, &why))
		fail_msg("%s", why.text);
	assert_begun_anew(j, &why);
}

static void put_bytes(const char *path, long at, const void *bytes, size_t n)
{
	FILE *file = fopen(path, "r+");

	assert_non_null(file);
	assert_int_equal(fseek(file, at, SEEK_SET), 0);
	assert_int_equal(fwrite(bytes, 1, n, file), n);
	assert_int_equal(fclose(file), 0);
}

static void what_is_no_database_of_ours_is_set_aside(void **state)
{
	static const char noise[100] = "not a database at all, not a database at all";
	struct journal *j = open_it();

	(void)state;
	fill(j, 1000);
	close_it(j);
	put_bytes(database, 0, noise, 100);
	open_spoiled();
	start_anew(NULL);
	j = open_it();
	fill(j, 1000);
	close_it(j);
	assert_int_equal(truncate(database, 3 * 4096 + 100), 0);
	open_spoiled();
	start_anew(NULL);
	run_sql("CREATE TABLE zone (id INTEGER PRIMARY KEY, text TEXT)");
	open_spoiled();
	start_anew(NULL);
	run_sql("CREATE TABLE other (a); CREATE INDEX zone ON other (a)");
	open_spoiled();
	start_anew(NULL);
	run_sql("CREATE TABLE zone (a); PRAGMA user_version = 2");
	open_spoiled();
	start_anew(NULL);
	run_sql("CREATE TABLE zone (a); PRAGMA user_version = 1");
	open_spoiled();
	start_anew(NULL);
	run_sql("CREATE TABLE zone (a); PRAGMA user_version = -1");
	open_spoiled();
}

static void an_empty_file_is_a_new_database(void **state)
{
	FILE *file = fopen(database, "w");

	(void)state;
	fclose(file);
	close_it(open_it());
	assert_int_equal(set_aside(), 0);
}

static void a_newer_schema_is_refused_and_left_as_it_is(void **state)
{
	struct journal *j = open_it();
	struct why why = {{0}};

	(void)state;
	fill(j, 1000);
	close_it(j);
	run_sql("PRAGMA user_version = 3; PRAGMA application_id = 1280507907");
	assert_int_equal(journal_open(&j, dir, &why), ERR_CONF);
	assert_non_null(strstr(why.text, "newer"));
	assert_int_equal(set_aside(), 0);
	run_sql("PRAGMA user_version = 2; PRAGMA application_id = 1280507906");
	j = open_it();
	assert_int_equal(scan_good(j, &seen), 1000);
	close_it(j);
}

/* What a newer Lockstep made says so twice. */
static void a_schema_number_that_is_damaged_is_not_a_newer_schema(void **state)
{
	static const char *const number[] = {"3", "6", "10", "1", "65538", "-2147483646", "-1"};
	char sql[60];

	(void)state;
	for (unsigned i = 0; i < sizeof number / sizeof *number; i++) {
		struct journal *j;
		struct why why = {{0}};

		start_anew(NULL);
		j = open_it();
		fill(j, 10);
		close_it(j);
		snprintf(sql, sizeof sql, "PRAGMA user_version = %s", number[i]);
		run_sql(sql);
		if (journal_open(&j, dir, &why) != ERR_OK || !strstr(why.text, "set aside"))
			fail_msg("%s: %s", number[i], why.text);
		assert_int_equal(set_aside(), 1);
		assert_int_equal(scan_good(j, &seen), 0);
		close_it(j);
	}
}

/* It is missing where an earlier one made the database. That it is there then shows in that schema 1 is not believed. */
static void the_second_schema_number_is_put_where_it_is_missing(void **state)
{
	struct journal *j = open_it();
	struct why why = {{0}};

	(void)state;
	fill(j, 10);
	close_it(j);
	run_sql("PRAGMA application_id = 0");
	j = open_it();
	assert_int_equal(scan_good(j, &seen), 10);
	close_it(j);
	assert_int_equal(set_aside(), 0);
	run_sql("PRAGMA user_version = 1");
	assert_int_equal(journal_open(&j, dir, &why), ERR_OK);
	assert_int_equal(set_aside(), 1);
	close_it(j);
}

static void schema_1_is_taken_over(void **state)
{
	struct journal_row row = {.name = example, .has_serial = true, .serial = {4294967295u}, .changed = 1, .refreshed = 1800000000,
		.expires = 5000000000, .expired = true, .primary = "hidden"};
	struct journal *j;

	(void)state;
	run_sql("PRAGMA journal_mode = WAL; CREATE TABLE zone (name BLOB PRIMARY KEY, serial INTEGER, changed INTEGER NOT NULL,"
		" refreshed INTEGER NOT NULL, expires INTEGER NOT NULL, expired INTEGER NOT NULL, written INTEGER,"
		" primary_name TEXT NOT NULL) WITHOUT ROWID; PRAGMA user_version = 1;"
		"INSERT INTO zone VALUES (x'076578616d706c6500', 4294967295, 1, 1800000000, 5000000000, 1, 4, 'hidden');"
		"INSERT INTO zone VALUES (x'056f7468657200', NULL, -5, 4611686018427387904, 'x', 0, NULL, '');"
		"INSERT INTO zone VALUES (x'0361', 1, 0, 0, 0, 0, 1, 'p')");
	for (unsigned times = 0; times < 2; times++) {
		j = open_it();
		assert_int_equal(scan_good(j, &seen), 2);
		assert_int_equal(seen.broken_rows, 0);
		assert_row(seen.row[name_equal(seen.row[0]->name, other)], &row);
		row.name = other;
		assert_int_equal(seen.row[!name_equal(seen.row[0]->name, other)]->changed, 0);
		row.name = example;
		close_it(j);
	}
	j = open_it();
	commit_image(j, example, 1, 1, 0);
	load_good(j, example, &seen);
	assert_row(seen.row[0], &row);
	assert_true(seen.image_good);
	close_it(j);
}

/* A page of the tables is overwritten: all zones that are not on it are read, and the next opening is of a new database. */
static void a_page_that_is_damaged_costs_the_zones_on_it(void **state)
{
	static const uint8_t noise[4096] = {0xff, 0xee, 0xdd};
	struct stat st;
	unsigned found_damaged = 0, most = 0;

	(void)state;
	assert_int_equal(stat("/", &st), 0);
	for (long page = 1; page < 60; page++) {
		struct why why = {{0}};
		struct journal *j = NULL;
		enum err err;

		start_anew(NULL);
		j = open_it();
		fill(j, 1000);
		close_it(j);
		assert_int_equal(stat(database, &st), 0);
		if (page * 4096 >= st.st_size)
			break;
		put_bytes(database, page * 4096, noise, sizeof noise);
		err = journal_open(&j, dir, &why);
		assert_int_equal(err, ERR_OK);
		if (why.text[0]) {       /* its schema was on the page */
			close_it(j);
			continue;
		}
		err = scan(j, &seen, &why);
		if (err) {
			assert_int_equal(err, ERR_DAMAGED);
			assert_true(seen.rows < 1000);
			if (seen.rows > most)
				most = (unsigned)seen.rows;
			found_damaged++;
			assert_int_equal(journal_reopen(j, &why), ERR_OK);
			assert_begun_anew(j, &why);
		} else {
			assert_int_equal(seen.rows, 1000);       /* the index of names, or an empty table */
			close_it(j);
		}
	}
	assert_true(found_damaged > 10);
	assert_true(most > 900);
}

/* Bits flipped anywhere: never anything but what was committed, or word of damage; and no crash. */
static void flipped_bits_are_found_or_do_no_harm(void **state)
{
	static uint8_t good[400000];
	struct journal_row full = full_row();
	struct journal *j = open_it();
	FILE *file;
	size_t size;
	unsigned rounds = 0, silent = 0;

	(void)state;
	full.name = example;
	commit_image(j, example, 5, 300, 0);
	commit_one(j, (struct journal_change){.row = &full});
	commit_one(j, step_of(example, 5, "one "));
	close_it(j);
	file = fopen(database, "r");
	assert_non_null(file);
	size = fread(good, 1, sizeof good, file);
	fclose(file);
	for (size_t at = 16; at < size; at += at < 100 ? 1 : 211) {
		struct why why = {{0}};
		uint8_t flipped = good[at] ^ (uint8_t)(1 << at % 8);
		enum err err;

		if (!good[at] && !flipped)
			continue;
		start_anew(NULL);
		file = fopen(database, "w");
		fwrite(good, 1, size, file);
		fclose(file);
		put_bytes(database, (long)at, &flipped, 1);
		err = journal_open(&j, dir, &why);
		rounds++;
		if (err) {
			fail_msg("octet %zu: %s: %s", at, err_text(err), why.text);
		}
		err = scan(j, &seen, &why);
		if (!err && !why.text[0] && seen.rows == 1 && seen.whole == 1 && seen.has_last) {
			assert_row(seen.row[0], &full);
			assert_int_equal(seen.addresses, 300);
			assert_string_equal(seen.text, "one ");
			silent++;
		} else {
			assert_false(err == ERR_OK && !why.text[0] && seen.rows == 1 && seen.whole == 1 && seen.has_last);
		}
		close_it(j);
	}
	assert_true(rounds > 100);
	assert_true(silent < rounds);
}

static void a_database_that_is_removed_or_cut_under_us_is_noticed(void **state)
{
	char log[sizeof database + 8];
	struct why why;

	(void)state;
	snprintf(log, sizeof log, "%s-wal", database);
	for (unsigned i = 0; i < 4; i++) {
		struct journal_row full = full_row();
		struct journal_change change = {.row = &full};
		struct journal *j;

		start_anew(NULL);
		j = open_it();
		fill(j, 100);
		assert_int_equal(journal_idle(j, &why), ERR_OK);
		fill(j, 100);
		switch (i) {
		case 0: unlink(database); break;
		case 1: unlink(log); break;
		case 2: assert_int_equal(truncate(database, 5000), 0); break;
		case 3: unlink(database); fclose(fopen(database, "w")); break;
		}
		commit_in_vain(j, &change, ERR_DAMAGED);
		assert_int_equal(journal_reopen(j, &why), ERR_OK);
		commit(j, &change, 1);
		close_it(j);
		j = open_it();
		assert_int_equal(scan_good(j, &seen), 1);
		close_it(j);
	}
}

static void the_log_is_emptied_when_there_is_time_and_when_it_is_long(void **state)
{
	struct journal *j = open_it();
	struct why why;
	uint64_t most = 0;

	(void)state;
	for (uint32_t i = 0; i < 60; i++) {
		commit_one(j, (struct journal_change){.kind = JOURNAL_IMAGE, .name = example, .to = {i}, .image = image_of(example, 1, 150000)});
		if (journal_sizes(j).log > most)
			most = journal_sizes(j).log;
	}
	assert_true(most > 32 << 20 && most < 96 << 20);
	assert_int_equal(journal_idle(j, &why), ERR_OK);
	most = journal_sizes(j).log;
	commit_one(j, step_of(example, 59, "one"));
	assert_true(journal_sizes(j).log <= most);       /* it begins again at its beginning */
	close_it(j);
	assert_int_equal(access(database, F_OK), 0);
}

static void nobody_else_can_open_it_meanwhile(void **state)
{
	struct journal *j = open_it(), *second = NULL;
	struct why why = {{0}};
	sqlite3 *db;

	(void)state;
	fill(j, 3);
	assert_int_equal(journal_open(&second, dir, &why), ERR_EXISTS);
	assert_non_null(strstr(why.text, dir));
	assert_int_equal(sqlite3_open(database, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "SELECT * FROM zone", NULL, NULL, NULL), SQLITE_BUSY);
	sqlite3_close(db);
	close_it(j);
	close_it(open_it());
}

/* --- kills, and disks that do not do what they should --------------------------------------- */

/* Commits without end, and tells over a pipe which serials were committed. */
static void commit_for_ever(int pipe)
{
	struct journal *j = open_it();

	commit_image(j, example, 0, 3000, 0);
	for (uint32_t i = 0;; i++) {
		struct journal_row row = {.name = example, .has_serial = true, .serial = {i + 1}};
		struct journal_change step = step_of(example, i, "a step of some length");

		step.row = &row;
		commit(j, &step, 1);
		if (step.outgrown || step.err)
			commit_image(j, example, i + 1, 3000, 1000);
		if (i % 50 == 49)
			journal_idle(j, NULL);
		if (write(pipe, &i, sizeof i) != sizeof i)
			_exit(1);
	}
}

static void what_was_committed_is_there_after_a_kill(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 10; round++) {
		struct journal *j;
		uint32_t last;

		start_anew(NULL);
		last = killed_after(20 + 37 * round, commit_for_ever);
		j = open_it();
		assert_int_equal(scan_good(j, &seen), 1);
		assert_true(seen.whole == 1 && seen.image_good);
		assert_true(seen.last == last || seen.last == last + 1);
		assert_int_equal(seen.row[0]->serial.v, seen.last);
		assert_int_equal(seen.image + seen.steps, seen.last);
		close_it(j);
	}
}

static void a_full_disk_is_said_and_nothing_is_lost(void **state)
{
	struct rlimit old, small;
	struct journal *j = open_it();
	struct journal_change change = {.kind = JOURNAL_IMAGE, .name = example, .to = {6}, .image = image_of(example, 6, 100000)};

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	commit_image(j, example, 5, 10, 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = (struct rlimit){300000, old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	commit_in_vain(j, &change, ERR_NOSPACE);
	load_good(j, example, &seen);
	assert_true(seen.image_good && seen.last == 5);
	commit_one(j, step_of(example, 5, "small"));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	commit(j, &change, 1);
	load_good(j, example, &seen);
	assert_true(seen.image_good && seen.last == 6 && seen.addresses == 100000);
	close_it(j);
}

/* SQLite's writing calls, the nth of which from now on fails, or is where the process is killed. */
static struct {
	ssize_t (*pwrite)(int, const void *, size_t, off_t);
	ssize_t (*pwrite64)(int, const void *, size_t, off_t);
	ssize_t (*write)(int, const void *, size_t);
	int (*ftruncate)(int, off_t);
	unsigned left;               /* calls until it comes to that; 0: nothing will happen */
	int number;                  /* errno; 0: SIGKILL */
} fault;

static bool strikes(void)
{
	if (!fault.left || --fault.left)
		return false;
	if (!fault.number)
		raise(SIGKILL);
	fault.left = 1;              /* and it stays so */
	errno = fault.number;
	return true;
}

static ssize_t faulty_pwrite(int fd, const void *bytes, size_t n, off_t at) { return strikes() ? -1 : fault.pwrite(fd, bytes, n, at); }
static ssize_t faulty_pwrite64(int fd, const void *bytes, size_t n, off_t at) { return strikes() ? -1 : fault.pwrite64(fd, bytes, n, at); }
static ssize_t faulty_write(int fd, const void *bytes, size_t n) { return strikes() ? -1 : fault.write(fd, bytes, n); }
static int faulty_ftruncate(int fd, off_t n) { return strikes() ? -1 : fault.ftruncate(fd, n); }

static void instead_of(const char *name, void *kept_call, sqlite3_syscall_ptr call)
{
	sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
	sqlite3_syscall_ptr old = vfs->xGetSystemCall(vfs, name);

	memcpy(kept_call, &old, sizeof old);
	assert_int_equal(vfs->xSetSystemCall(vfs, name, call), SQLITE_OK);
}

static void make_faulty(void)
{
	instead_of("pwrite", &fault.pwrite, (sqlite3_syscall_ptr)faulty_pwrite);
	instead_of("pwrite64", &fault.pwrite64, (sqlite3_syscall_ptr)faulty_pwrite64);
	instead_of("write", &fault.write, (sqlite3_syscall_ptr)faulty_write);
	instead_of("ftruncate", &fault.ftruncate, (sqlite3_syscall_ptr)faulty_ftruncate);
}

static void make_good(void)
{
	sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);

	fault.left = 0;
	assert_int_equal(vfs->xSetSystemCall(vfs, NULL, NULL), SQLITE_OK);
}

/* What a daemon does in its life; tells each version that was committed. */
static void live(int pipe)
{
	struct journal *j = NULL;
	uint32_t serial = 5;

	if (journal_open(&j, dir, NULL))
		_exit(1);
	for (unsigned i = 0; i < 4; i++, serial++) {
		struct journal_row row = {.name = example, .has_serial = true, .serial = {serial + 1}};
		struct journal_change changes[] = {step_of(example, serial, "step"),
			{.kind = JOURNAL_IMAGE, .name = example, .to = {serial + 1}, .image = image_of(example, 1, 3000), .keep = 100}};

		changes[0].row = &row;
		if (journal_commit(j, changes, i == 2 ? 2 : 1, NULL) || changes[0].err)
			_exit(1);
		if (write(pipe, &row.serial.v, 4) != 4 || (i % 2 && journal_idle(j, NULL)))
			_exit(1);
	}
	journal_close(j);
	_exit(0);
}

/* At each of them, from the opening to the closing. */
static void a_kill_at_any_write_loses_nothing_that_was_committed(void **state)
{
	unsigned kills = 0;
	int status = 0;

	(void)state;
	image_of(example, 1, 3000);
	do {
		uint32_t last = 5, n;
		struct journal *j;
		int end[2];
		pid_t pid;

		start_anew(NULL);
		j = open_it();
		commit_image(j, example, 5, 3000, 0);
		close_it(j);
		assert_int_equal(pipe(end), 0);
		pid = fork();
		if (pid == 0) {
			make_faulty();
			fault.left = kills + 1;
			live(end[1]);
		}
		close(end[1]);
		while (read(end[0], &n, sizeof n) == sizeof n)
			last = n;
		close(end[0]);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		j = open_it();
		assert_int_equal(scan_good(j, &seen), 1);
		if (seen.whole != 1 || (seen.last != last && seen.last != last + 1))
			fail_msg("killed at write %u: %u was committed, %u is there: %s", kills + 1, last, seen.last, seen.damage);
		close_it(j);
	} while (WIFSIGNALED(status) && ++kills < 1000);
	assert_int_equal(status, 0);
	assert_true(kills > 30);
}

/* From that one on all fail; then the disk is good again. */
static void a_disk_that_fails_at_any_write_loses_nothing(void **state)
{
	static const struct { int number; enum err err; } disk[] = {{EIO, ERR_IO}, {ENOSPC, ERR_NOSPACE}, {EROFS, ERR_REFUSED},
		{EDQUOT, ERR_NOSPACE}};

	(void)state;
	for (unsigned at = 1; at <= 25; at++) {
		struct journal_change changes[] = {step_of(example, 5, "step"),
			{.kind = JOURNAL_IMAGE, .name = other, .to = {9}, .image = image_of(other, 9, 3000)}};
		struct why why = {{0}};
		struct journal *j;
		enum err err;

		start_anew(NULL);
		j = open_it();
		commit_image(j, example, 5, 100, 0);
		make_faulty();
		fault.number = disk[at % 4].number;
		fault.left = at;
		err = journal_commit(j, changes, 2, &why);
		if (!err)
			err = journal_idle(j, &why);
		if (err && err != disk[at % 4].err)
			fail_msg("write %u: %s, not %s: %s", at, err_text(err), err_text(disk[at % 4].err), why.text);
		assert_true(err || at > 20);
		make_good();
		load_good(j, example, &seen);
		assert_true(seen.image_good && !seen.damaged && (seen.last == 5 || seen.last == 6));
		commit_image(j, example, 7, 200, 0);
		assert_int_equal(journal_idle(j, &why), ERR_OK);
		close_it(j);
		j = open_it();
		load_good(j, example, &seen);
		assert_true(seen.image_good && !seen.damaged && seen.last == 7);
		close_it(j);
	}
}

static void whether_it_can_be_written_again_is_tried(void **state)
{
	struct journal *j = open_it();
	struct why why = {{0}};

	(void)state;
	commit_image(j, example, 5, 100, 0);
	assert_int_equal(journal_try(j, &why), ERR_OK);
	make_faulty();
	fault.number = ENOSPC;
	fault.left = 1;
	assert_int_equal(journal_try(j, &why), ERR_NOSPACE);
	assert_non_null(strstr(why.text, database));
	assert_int_equal(journal_try(j, &why), ERR_NOSPACE);
	make_good();
	assert_int_equal(journal_try(j, &why), ERR_OK);
	load_good(j, example, &seen);
	assert_true(seen.image_good && seen.last == 5);
	assert_int_equal(journal_idle(j, &why), ERR_OK);
	close_it(j);
	j = open_it();
	load_good(j, example, &seen);
	assert_true(seen.image_good && seen.last == 5);
	close_it(j);
}

/* The same on a file system that is really full; only root can make one. */
static void a_small_file_system(void **state)
{
	struct journal *j;
	struct journal_change change;
	struct why why = {{0}};
	uint32_t i = 0;

	(void)state;
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", dir, "tmpfs", 0, "size=1m") < 0)
		skip();
	j = open_it();
	commit_image(j, example, 0, 100, 0);
	do {
		commit_image(j, other, i, 100, 0);
		change = step_of(example, i++, "a step");
	} while (journal_commit(j, &change, 1, &why) == ERR_OK && i < 20 && journal_idle(j, &why) == ERR_OK);
	assert_int_equal(mount("none", dir, "tmpfs", MS_REMOUNT, "size=1m"), 0);
	change = (struct journal_change){.kind = JOURNAL_IMAGE, .name = other, .to = {1}, .image = image_of(other, 1, 100000)};
	commit_in_vain(j, &change, ERR_NOSPACE);
	load_good(j, example, &seen);
	assert_true(seen.image_good && seen.last == i);
	close_it(j);
	j = open_it();
	load_good(j, example, &seen);
	assert_true(seen.image_good && seen.last == i);
	assert_int_equal(mount("none", dir, "tmpfs", MS_REMOUNT | MS_RDONLY, "size=1m"), -1);       /* it is in use */
	close_it(j);
	assert_int_equal(mount("none", dir, "tmpfs", MS_REMOUNT | MS_RDONLY, "size=1m"), 0);
	assert_int_equal(journal_open(&j, dir, &why), ERR_REFUSED);
	assert_non_null(strstr(why.text, "ead-only"));
	assert_int_equal(umount(dir), 0);
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

/* Where it cannot be begun anew it stays closed, and says why at every call. */
static void a_journal_that_cannot_be_reopened_is_closed(void **state)
{
	struct journal *j = open_it();
	struct journal_row row = full_row();
	struct journal_change change = {.row = &row};
	char log[sizeof database + 16];
	struct why why = {{0}};

	(void)state;
	snprintf(log, sizeof log, "%s-wal", database);
	fill(j, 1);
	unlink(database);
	unlink(log);
	assert_int_equal(mkdir(log, 0700), 0);
	assert_int_equal(journal_commit(j, &change, 1, &why), ERR_DAMAGED);
	assert_int_equal(journal_reopen(j, &why), ERR_OK);           /* the directory is set aside too */
	commit(j, &change, 1);
	close_it(j);
	rmdir(log);
	start_anew(NULL);
	j = open_it();
	unlink(database);
	unlink(log);
	assert_int_equal(rename(dir, away), 0);
	assert_int_not_equal(journal_reopen(j, &why), ERR_OK);
	assert_int_not_equal(journal_commit(j, &change, 1, &why), ERR_OK);
	assert_true(why.text[0]);
	assert_int_not_equal(journal_scan(j, JOURNAL_ALL, see, &seen, &why), ERR_OK);
	assert_int_not_equal(journal_load(j, example, see, &seen, &why), ERR_OK);
	assert_int_not_equal(journal_idle(j, &why), ERR_OK);
	assert_int_equal(rename(away, dir), 0);
	assert_int_equal(journal_reopen(j, &why), ERR_OK);
	commit(j, &change, 1);
	close_it(j);
}

/* --- loading after a scan of the rows --------------------------------------------------- */

enum { MANY = 60 };
static uint8_t many[MANY][8];

/* All that a zone can be: a row alone, an image of one piece or of several, steps behind and before it, none, one that is damaged. */
static void fill_all_kinds(void)
{
	struct journal *j = open_it();
	char sql[100];

	for (unsigned i = 0; i < MANY; i++) {
		struct journal_row row = full_row();

		many[i][0] = (uint8_t)sprintf((char *)many[i] + 1, "%u", i * 7 % MANY);
		row.name = many[i];
		row.serial.v = i;
		row.file_known = i % 2;
		if (i % 10 != 8)
			commit_one(j, (struct journal_change){.row = &row});
		if (i % 5)
			commit_image(j, many[i], 1, i % 20 == 7 ? 30000 : 2 + i, 0);
		for (unsigned step = 0; i % 5 && step < i % 4; step++)
			commit_one(j, step_of(many[i], 1 + step, "step "));
		if (i % 12 == 11)
			commit_one(j, (struct journal_change){.kind = JOURNAL_IMAGE, .name = many[i], .to = {1 + i % 4},
				.image = image_of(many[i], 1 + i % 4, 9), .keep = 1 << 20});
	}
	close_it(j);
	for (unsigned i = 3; i < MANY; i += 17) {
		snprintf(sql, sizeof sql, "DELETE FROM image WHERE id = (%u + 1) << 36", i);
		run_sql(sql);
	}
}

/* What a load gives, as a text. */
static void load_as_text(struct journal *j, const uint8_t *name, char text[300])
{
	const struct journal_row *row;
	enum err err;

	forget_seen(&seen);
	err = journal_load(j, name, see, &seen, NULL);
	row = seen.rows ? seen.row[0] : NULL;
	snprintf(text, 300, "%s: row %d %u %d %u %llx; image %d %u of %u; steps %u %u %.40s; last %d %u; %.100s", err_text(err),
		row && row->has_serial, row ? row->serial.v : 0, row && row->file_known, row ? row->written.v : 0,
		row ? (unsigned long long)row->file.sum : 0, seen.image_good, seen.image, seen.addresses, seen.steps_before,
		seen.steps, seen.text, seen.has_last, seen.last, seen.damage);
}

static void assert_loads(struct journal *j, char expected[MANY][300], unsigned first, unsigned stride, unsigned together)
{
	char text[300];

	for (unsigned n = 0, i = first; n < MANY; n++, i = (i + stride) % MANY) {
		if (together && n % together == 0) {
			journal_hold_reads(j, false);
			journal_hold_reads(j, true);
		}
		load_as_text(j, many[i], text);
		assert_string_equal(text, expected[i]);
	}
	journal_hold_reads(j, false);
}

static void zones_are_loaded_alike_whether_their_rows_were_seen_or_not(void **state)
{
	static const struct { unsigned first, stride, together; } order[] = {{0, 1, 0}, {0, 1, MANY}, {MANY - 1, MANY - 1, MANY},
		{5, 7, 16}, {0, 23, 3}, {1, 2 * 7 + 3, 64}};
	static char expected[MANY][300];
	struct journal *j;

	(void)state;
	fill_all_kinds();
	j = open_it();
	for (unsigned i = 0; i < MANY; i++)
		load_as_text(j, many[i], expected[i]);
	for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
		forget_seen(&seen);
		assert_int_equal(journal_scan(j, JOURNAL_ROWS, see, &seen, NULL), ERR_OK);
		assert_int_equal(seen.rows, MANY);
		assert_loads(j, expected, order[i].first, order[i].stride, order[i].together);
		assert_loads(j, expected, order[i].first, order[i].stride, order[i].together);       /* once more, not from what was seen */
	}
	close_it(j);
}

/* The page that holds the middle of the zone's image leads nowhere. */
static void spoil_image(const struct image *image)
{
	size_t middle = image->piece[0].length / 2, length;
	int fd = open(database, O_RDWR);
	uint8_t *bytes, *found;

	assert_true(fd >= 0);
	length = (size_t)lseek(fd, 0, SEEK_END);
	bytes = malloc(length);
	assert_int_equal(pread(fd, bytes, length, 0), length);
	found = memmem(bytes, length, image->piece[0].bytes + middle, 64);
	assert_non_null(found);
	assert_int_equal(pwrite(fd, "\377\377\377\377", 4, (found - bytes) / 4096 * 4096), 4);
	free(bytes);
	close(fd);
}

static void a_zone_that_cannot_be_read_takes_no_other_with_it(void **state)
{
	static const unsigned addresses[] = {900, 3000, 2000, 1000};
	enum { BAD = 1, ZONES = 4 };
	struct journal *j = open_it();

	(void)state;
	for (unsigned i = 0; i < ZONES; i++) {
		many[i][0] = (uint8_t)sprintf((char *)many[i] + 1, "%u", i);
		commit_image(j, many[i], 1, addresses[i], 0);
	}
	close_it(j);
	spoil_image(image_of(many[BAD], 1, addresses[BAD]));
	j = open_it();
	assert_int_equal(journal_scan(j, JOURNAL_ROWS, see, &seen, NULL), ERR_OK);
	journal_hold_reads(j, true);
	for (unsigned i = 0; i < ZONES; i++) {
		if (i == BAD) {
			forget_seen(&seen);
			assert_int_not_equal(journal_load(j, many[i], see, &seen, NULL), ERR_OK);
			continue;
		}
		load_good(j, many[i], &seen);
		assert_true(seen.image_good && !seen.damaged);
		assert_int_equal(seen.addresses, addresses[i]);
	}
	journal_hold_reads(j, false);
	close_it(j);
}

static void what_was_seen_of_a_zone_is_forgotten_when_it_changes(void **state)
{
	static char expected[MANY][300];
	struct journal *j;

	(void)state;
	fill_all_kinds();
	for (unsigned times = 0; times < 2; times++) {
		j = open_it();
		forget_seen(&seen);
		assert_int_equal(journal_scan(j, JOURNAL_ROWS, see, &seen, NULL), ERR_OK);
		for (unsigned i = 0; i < MANY && !times; i++) {
			struct journal_row row = {.name = many[i], .has_serial = true, .serial = {1000 + i}};
			struct journal_change step = step_of(many[i], 1 + (i % 5 ? i % 4 : 0), "new ");

			if (i % 6 == 0)
				commit_one(j, (struct journal_change){.row = &row});
			else if (i % 6 == 1)
				commit(j, &step, 1);
			else if (i % 6 == 2)
				commit_image(j, many[i], 70 + i, 5, 0);
			else if (i % 6 == 3)
				commit_one(j, (struct journal_change){.kind = JOURNAL_FORGET, .name = many[i]});
		}
		if (!times) {
			static char seen_text[MANY][300];

			for (unsigned i = 0; i < MANY; i++)
				load_as_text(j, many[i], seen_text[i]);
			memcpy(expected, seen_text, sizeof expected);
			assert_non_null(strstr(expected[0], "row 1 1000"));
			assert_non_null(strstr(expected[7], "new "));
			assert_non_null(strstr(expected[14], "image 1 84 of 5"));
			assert_non_null(strstr(expected[9], err_text(ERR_NOTFOUND)));
		} else {
			journal_forget_places(j);    /* nothing is seen any more: from the tables alone */
			assert_loads(j, expected, 0, 1, 0);
		}
		close_it(j);
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, start_anew, clean_up)
	const struct CMUnitTest tests[] = {
		T(rows_come_back_as_they_were),
		T(a_row_replaces_the_one_of_its_name_whatever_its_case),
		T(reading_ends_when_the_reader_has_enough),
		T(any_value_of_a_row_that_is_changed_shows),
		T(rows_without_a_name_are_passed_over),
		T(image_and_steps_come_back),
		T(zones_are_loaded_alike_whether_their_rows_were_seen_or_not),
		T(what_was_seen_of_a_zone_is_forgotten_when_it_changes),
		T(a_zone_that_cannot_be_read_takes_no_other_with_it),
		T(a_step_must_follow_the_last),
		T(an_image_takes_the_place_of_what_was_there),
		T(the_newest_steps_are_kept_below_an_image),
		T(steps_are_bounded),
		T(many_small_steps_outgrow_an_image_too),
		T(damage_to_images_and_steps_is_found),
		T(what_is_no_database_of_ours_is_set_aside),
		T(an_empty_file_is_a_new_database),
		T(a_newer_schema_is_refused_and_left_as_it_is),
		T(a_schema_number_that_is_damaged_is_not_a_newer_schema),
		T(the_second_schema_number_is_put_where_it_is_missing),
		T(schema_1_is_taken_over),
		T(a_page_that_is_damaged_costs_the_zones_on_it),
		T(flipped_bits_are_found_or_do_no_harm),
		T(a_database_that_is_removed_or_cut_under_us_is_noticed),
		T(the_log_is_emptied_when_there_is_time_and_when_it_is_long),
		T(nobody_else_can_open_it_meanwhile),
		T(what_was_committed_is_there_after_a_kill),
		T(a_full_disk_is_said_and_nothing_is_lost),
		T(a_kill_at_any_write_loses_nothing_that_was_committed),
		T(a_disk_that_fails_at_any_write_loses_nothing),
		T(whether_it_can_be_written_again_is_tried),
		T(where_nothing_can_be_written_it_says_so),
		T(a_journal_that_cannot_be_reopened_is_closed),
		T(a_small_file_system),
	};
	char lock[sizeof database + 8];
	int failed;

	rr_init();
	cmocka_set_test_filter(getenv("TEST_FILTER"));
	/* Hundreds of databases are made, each with its fsyncs: in memory where that can be. */
	snprintf(dir, sizeof dir, "%s/lockstep-journal-XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	if (!mkdtemp(dir))
		return 1;
	snprintf(away, sizeof away, "%s-away", dir);
	snprintf(database, sizeof database, "%s/lockstep.db", dir);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	for (unsigned i = 0; i < 4; i++)
		image_release(&kept[i].image);
	start_anew(NULL);
	snprintf(lock, sizeof lock, "%s/lockstep.lock", dir);
	unlink(lock);
	rmdir(dir);
	return failed;
}
