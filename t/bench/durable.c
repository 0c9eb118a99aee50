/* What durability costs, without the daemon: images of versions, the database and the step log, each figure a line.
 *
 *     durable image RECORDS            a zone's image, written and read, beside its zone file
 *     durable zones COUNT RECORDS DIR  many zones committed in groups to database and log, and all of them read again
 *     durable steps COUNT DIR          one step after the other, each durable in both
 */
#include "base/file.h"
#include "dns/rr.h"
#include "zone/image.h"
#include "zone/journal.h"
#include "zone/steplog.h"
#include "zone/zonefile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *doing, enum err err, const struct why *why)
{
	fprintf(stderr, "%s: %s\n", doing, err_say(why, err));
	exit(1);
}

/* --- zones ----------------------------------------------------------------------------- */

static void add(struct build *b, const uint8_t *owner, uint16_t type, const void *rdata, size_t length)
{
	struct rr rr = {.owner = owner, .type = type, .class = CLASS_IN, .ttl = 3600, .rdlength = (uint16_t)length, .rdata = rdata};
	struct why why;
	enum err err = build_add(b, &rr, &why);

	if (err)
		die("build", err, &why);
}

/* SOA, NS, and A records with owners of 8 octets. */
static struct zone *make_zone(const uint8_t *apex, unsigned records, uint32_t serial)
{
	struct build *b = build_new(apex, NULL, (struct build_limits){0});
	uint8_t soa[24] = {0, 0}, owner[NAME_SIZE];
	struct zone *zone = NULL;
	struct why why;
	enum err err;

	put_u32(soa + 2, serial);
	add(b, apex, RR_SOA, soa, 22);
	add(b, apex, RR_NS, "\2ns\7example", 12);
	for (unsigned i = 2; i < records; i++) {
		char label[16];
		uint8_t address[4];

		owner[0] = (uint8_t)snprintf(label, sizeof label, "h%07u", i);
		memcpy(owner + 1, label, owner[0]);
		name_copy(apex, owner + 1 + owner[0]);
		put_u32(address, i);
		add(b, owner, RR_A, address, 4);
	}
	err = build_finish(b, &zone, &why);
	if (err)
		die("build", err, &why);
	return zone;
}

/* --- images ---------------------------------------------------------------------------- */

static enum err count_octets(void *ctx, const struct image_piece *piece, struct why *why)
{
	(void)why;
	*(uint64_t *)ctx += piece->length;
	return ERR_OK;
}

static struct zone *read_image(const uint8_t *apex, const struct image *image)
{
	struct image_reader *r = image_reader_new(apex, (struct build_limits){0});
	struct zone *zone = NULL;
	struct why why;
	enum err err = ERR_OK;

	for (size_t i = 0; i < image->count && !err; i++)
		err = image_reader_put(r, &image->piece[i], &why);
	if (!err)
		err = image_reader_finish(r, &zone, &why);
	if (err)
		die("image", err, &why);
	return zone;
}

static void bench_image(unsigned records)
{
	static const uint8_t apex[] = "\7example";
	struct zone *zone = make_zone(apex, records, 1), *again;
	struct image image;
	uint64_t octets = 0;
	struct why why;
	double began = now();

	image_write(zone, count_octets, &octets, &why);
	printf("image written  %8.1f ms  %llu octets\n", (now() - began) * 1e3, (unsigned long long)octets);
	began = now();
	image_make(zone, &image, &why);
	printf("image made     %8.1f ms  %zu pieces\n", (now() - began) * 1e3, image.count);
	began = now();
	again = read_image(apex, &image);
	printf("image read     %8.1f ms\n", (now() - began) * 1e3);
	zone_put(again);
	image_release(&image);
	if (zonefile_write("durable.zone", zone, &why))
		die("zone file", ERR_IO, &why);
	began = now();
	if (zonefile_load("durable.zone", apex, (struct build_limits){0}, &again, &why))
		die("zone file", ERR_IO, &why);
	printf("zone file read %8.1f ms\n", (now() - began) * 1e3);
	zone_put(again);
	zone_put(zone);
	remove("durable.zone");
}

/* --- many zones ------------------------------------------------------------------------ */

enum { GROUP = 256 };

/* "zNNNNNNN.example." */
static void zone_name(unsigned i, uint8_t name[NAME_SIZE])
{
	char label[16];

	name[0] = (uint8_t)snprintf(label, sizeof label, "z%07u", i);
	memcpy(name + 1, label, name[0]);
	memcpy(name + 1 + name[0], "\7example", 9);
}

struct one {
	uint8_t name[NAME_SIZE];
	struct image image;
	struct journal_row row;
};

static void commit_group(struct journal *j, struct steplog *l, struct one *zone, size_t n, double *log_s, double *database_s)
{
	static struct steplog_entry entry[GROUP];
	static struct journal_change change[GROUP];
	struct why why;
	enum err err;
	double began = now();

	for (size_t i = 0; i < n; i++) {
		zone[i].row = (struct journal_row){.name = zone[i].name, .primary = "hidden", .changed = 1800000000, .refreshed = 1800000000,
			.serial = {1}, .has_serial = true};
		entry[i] = (struct steplog_entry){.name = zone[i].name, .kind = STEPLOG_IMAGE, .to = {1}, .image = &zone[i].image};
		change[i] = (struct journal_change){.kind = JOURNAL_IMAGE, .row = &zone[i].row, .to = {1}, .image = &zone[i].image};
	}
	if ((err = steplog_append(l, entry, n, &why)))
		die("log", err, &why);
	*log_s += now() - began;
	began = now();
	if ((err = journal_commit(j, change, n, &why)))
		die("database", err, &why);
	*database_s += now() - began;
}

static void write_zones(struct journal *j, struct steplog *l, unsigned count, unsigned records)
{
	static struct one zone[GROUP];
	double encode_s = 0, log_s = 0, database_s = 0;
	struct why why;

	for (unsigned done = 0; done < count; done += GROUP) {
		unsigned n = count - done < GROUP ? count - done : GROUP;

		for (unsigned i = 0; i < n; i++) {
			struct zone *version;
			double began;

			zone_name(done + i, zone[i].name);
			version = make_zone(zone[i].name, records, 1);
			began = now();
			image_make(version, &zone[i].image, &why);
			encode_s += now() - began;
			zone_put(version);
		}
		commit_group(j, l, zone, n, &log_s, &database_s);
		for (unsigned i = 0; i < n; i++)
			image_release(&zone[i].image);
	}
	printf("images made        %8.3f s\nlog appended       %8.3f s\ndatabase committed %8.3f s\ntogether           %8.3f s\n", encode_s, log_s,
		database_s, encode_s + log_s + database_s);
}

struct loaded {
	struct image_reader *reader;
	struct zone **version;
	unsigned zones, errors;
};

static enum journal_want load_item(void *ctx, const struct journal_item *item)
{
	struct loaded *to = ctx;
	struct image_piece piece = {item->bytes, item->length};

	switch (item->kind) {
	case JOURNAL_ITEM_ROW:
		to->reader = image_reader_new(item->row->name, (struct build_limits){0});
		break;
	case JOURNAL_ITEM_IMAGE:
		to->errors += image_reader_put(to->reader, &piece, NULL) != ERR_OK;
		break;
	case JOURNAL_ITEM_STEP:
		break;
	case JOURNAL_ITEM_END:
		to->errors += image_reader_finish(to->reader, &to->version[to->zones++], NULL) != ERR_OK || item->damage;
	}
	return JOURNAL_GO_ON;
}

static enum journal_want pass_item(void *ctx, const struct journal_item *item)
{
	*(size_t *)ctx += item->length;
	return JOURNAL_GO_ON;
}

static void bench_zones(unsigned count, unsigned records, const char *dir)
{
	struct loaded loaded = {.version = calloc(count, sizeof(struct zone *))};
	struct steplog_report report;
	struct journal *j = NULL;
	struct steplog *l = NULL;
	struct why why = {{0}};
	size_t octets = 0;
	double began;

	if (journal_open(&j, dir, &why) || steplog_open(&l, dir, &report, &why))
		die(dir, ERR_IO, &why);
	write_zones(j, l, count, records);
	began = now();
	journal_idle(j, &why);
	printf("log emptied        %8.3f s\n", now() - began);
	journal_close(j);
	began = now();
	if (journal_open(&j, dir, &why))
		die(dir, ERR_IO, &why);
	printf("database opened    %8.3f s  %llu octets\n", now() - began, (unsigned long long)journal_sizes(j).database);
	began = now();
	journal_scan(j, JOURNAL_ALL, pass_item, &octets, &why);
	printf("scanned            %8.3f s\n", now() - began);
	began = now();
	if (journal_scan(j, JOURNAL_ALL, load_item, &loaded, &why) || loaded.zones != count || loaded.errors)
		die("scan", ERR_IO, &why);
	printf("scanned and built  %8.3f s\n", now() - began);
	steplog_close(l);
	began = now();
	if (steplog_open(&l, dir, &report, &why))
		die(dir, ERR_IO, &why);
	printf("step log read      %8.3f s  %llu octets, %llu records\n", now() - began, (unsigned long long)steplog_octets(l),
		(unsigned long long)report.records);
	began = now();
	for (unsigned i = 0; i < count; i++) {
		steplog_forget(l, loaded.version[i]->apex, (struct serial){1});
		zone_put(loaded.version[i]);
	}
	printf("all forgotten      %8.3f s  %llu octets are left\n", now() - began, (unsigned long long)steplog_octets(l));
	steplog_close(l);
	journal_close(j);
	free(loaded.version);
}

/* --- one step after the other ------------------------------------------------------------ */

static int order(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void bench_steps(unsigned count, const char *dir)
{
	static const uint8_t apex[] = "\7example", body[100];
	struct zone *zone = make_zone(apex, 100000, 0);
	double *log_s = calloc(count, sizeof *log_s), *both_s = calloc(count, sizeof *both_s);
	struct steplog_report report;
	struct journal *j = NULL;
	struct steplog *l = NULL;
	struct image image;
	struct why why = {{0}};
	enum err err = ERR_OK;

	if (journal_open(&j, dir, &why) || steplog_open(&l, dir, &report, &why) || image_make(zone, &image, &why))
		die(dir, ERR_IO, &why);
	err = journal_commit(j, &(struct journal_change){.kind = JOURNAL_IMAGE, .name = apex, .image = &image}, 1, &why);
	for (uint32_t i = 0; i < count && !err; i++) {
		struct journal_row row = {.name = apex, .primary = "hidden", .serial = {i + 1}, .has_serial = true, .changed = i, .refreshed = i};
		struct steplog_entry entry = {.name = apex, .kind = STEPLOG_STEP, .from = {i}, .to = {i + 1}, .bytes = body, .length = sizeof body};
		struct journal_change change = {.kind = JOURNAL_STEP, .row = &row, .from = {i}, .to = {i + 1}, .bytes = body, .length = sizeof body};
		double began = now();

		err = steplog_append(l, &entry, 1, &why);
		log_s[i] = now() - began;
		if (!err)
			err = journal_commit(j, &change, 1, &why);
		both_s[i] = now() - began;
		if (!err && change.err)
			die("step", change.err, NULL);
		if (i % 1000 == 999)
			journal_idle(j, NULL);
	}
	if (err)
		die(dir, err, &why);
	qsort(log_s, count, sizeof *log_s, order);
	qsort(both_s, count, sizeof *both_s, order);
	printf("step in the log    %8.3f ms  p99 %.3f\nin log, database   %8.3f ms  p99 %.3f\n", log_s[count / 2] * 1e3,
		log_s[count * 99 / 100] * 1e3, both_s[count / 2] * 1e3, both_s[count * 99 / 100] * 1e3);
	image_release(&image);
	zone_put(zone);
	steplog_close(l);
	journal_close(j);
	free(log_s);
	free(both_s);
}

int main(int argc, char **argv)
{
	rr_init();
	if (argc == 3 && !strcmp(argv[1], "image"))
		bench_image((unsigned)atoi(argv[2]));
	else if (argc == 5 && !strcmp(argv[1], "zones"))
		bench_zones((unsigned)atoi(argv[2]), (unsigned)atoi(argv[3]), argv[4]);
	else if (argc == 4 && !strcmp(argv[1], "steps"))
		bench_steps((unsigned)atoi(argv[2]), argv[3]);
	else
		return 2;
	return 0;
}
