/* A file of the step log, as it is found at start; and with the sums of its records made right, so that what they say is taken. */
#include "base/siphash.h"
#include "zone/steplog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[100], path[200];

static bool touch(void *ctx, const struct steplog_record *r)
{
	uint64_t *sum = ctx;

	for (size_t i = 0; i < r->length; i++)
		*sum += r->bytes[i];
	return true;
}

static bool load(void *ctx, const uint8_t *name, struct serial newest)
{
	struct serial found;
	uint64_t sum = 0;
	enum err err = steplog_load(ctx, name, touch, &sum, NULL);

	if (err || !steplog_newest(ctx, name, &found) || !serial_equal(found, newest))
		abort();         /* it was read a moment ago */
	return true;
}

static void check(const uint8_t *bytes, size_t size)
{
	struct steplog_report report;
	struct steplog *l = NULL;
	FILE *file = fopen(path, "w");
	struct why why;

	if (!file || fwrite(bytes, 1, size, file) != size || fclose(file) || steplog_open(&l, dir, &report, &why))
		abort();
	if (report.damaged && !report.first[0])
		abort();
	steplog_each(l, load, l);
	steplog_close(l);
	unlink(path);
}

static void put_sum(uint8_t *at, const struct siphash *sum)
{
	uint64_t v = siphash_end(sum);

	put_u32(at, (uint32_t)(v >> 32));
	put_u32(at + 4, (uint32_t)v);
}

/* Head and records one after the other, as far as their lengths allow. */
static void mend(uint8_t *bytes, size_t size)
{
	struct siphash sum;

	siphash_begin(&sum, siphash_sum_key);
	if (size < 32)
		return;
	siphash_add(&sum, bytes, 24);
	put_sum(bytes + 24, &sum);
	for (size_t at = 32; size - at >= 36;) {
		uint8_t *r = bytes + at, place[8];
		size_t name = r[6], length = get_u32(r + 16);

		if (name + 36 > size - at || length > size - at - 36 - name)
			return;
		siphash_begin(&sum, siphash_sum_key);
		siphash_add(&sum, r + 36 + name, length);
		put_sum(r + 20, &sum);
		put_u32(place, 1);
		put_u32(place + 4, (uint32_t)at);
		siphash_begin(&sum, siphash_sum_key);
		siphash_add(&sum, place, 8);
		siphash_add(&sum, r, 28);
		siphash_add(&sum, r + 36, name);
		put_sum(r + 28, &sum);
		at += 36 + name + length;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *bytes = malloc(size ? size : 1);

	if (!bytes)
		abort();
	if (!dir[0]) {
		snprintf(dir, sizeof dir, "%s/lockstep-fuzz-%d", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm", (int)getpid());
		snprintf(path, sizeof path, "%s/steps-0000000001.log", dir);
	}
	mkdir(dir, 0700);
	memcpy(bytes, data, size);
	check(bytes, size);
	mend(bytes, size);
	check(bytes, size);
	free(bytes);
	rmdir(dir);
	return 0;
}
