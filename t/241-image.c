/* zone/image: any version comes back record by record; anything that is not exactly what was written is refused. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/siphash.h"
#include "dns/rr.h"
#include "zone/image.h"
#include "zone/zonefile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t apex[] = "\7example";

struct text {
	char *bytes;
	size_t length, room;
};

static bool collect(void *ctx, const char *bytes, size_t n)
{
	struct text *to = ctx;

	if (to->length + n >= to->room) {
		to->room = (to->length + n) * 2 + 1;
		to->bytes = realloc(to->bytes, to->room);
	}
	memcpy(to->bytes + to->length, bytes, n);
	to->length += n;
	to->bytes[to->length] = 0;
	return true;
}

static struct text printed(const struct zone *zone)
{
	struct text text = {0};

	assert_true(zonefile_print(zone, collect, &text));
	return text;
}

static enum err take(void *build, const struct rr *rr, struct why *why)
{
	return build_add(build, rr, why);
}

static struct zone *parsed(const char *text)
{
	struct build *b = build_new(apex, NULL, (struct build_limits){0});
	struct zone *zone = NULL;
	struct why why;

	if (zonefile_parse("zone", text, strlen(text), NULL, apex, take, b, &why) || build_finish(b, &zone, &why))
		fail_msg("%s", why.text);
	return zone;
}

static enum err read_pieces(const uint8_t *name, const struct image_piece *piece, size_t count, struct build_limits limits, struct zone **out,
	struct why *why)
{
	struct image_reader *r = image_reader_new(name, limits);
	enum err err = ERR_OK;

	*out = NULL;
	for (size_t i = 0; i < count && !err; i++)
		err = image_reader_put(r, &piece[i], why);
	if (!err)
		return image_reader_finish(r, out, why);
	image_reader_free(r);
	return err;
}

/* The version of the image, which must be there. */
static struct zone *read_good(const uint8_t *name, const struct image *image)
{
	struct zone *zone;
	struct why why;

	if (read_pieces(name, image->piece, image->count, (struct build_limits){0}, &zone, &why))
		fail_msg("%s", why.text);
	return zone;
}

static void assert_same(const struct zone *a, const struct zone *b)
{
	struct text x = printed(a), y = printed(b);

	assert_int_equal(a->records, b->records);
	assert_int_equal(a->names, b->names);
	assert_int_equal(a->wire_bytes, b->wire_bytes);
	assert_int_equal(a->wildcards, b->wildcards);
	assert_int_equal(a->rrsigs, b->rrsigs);
	assert_int_equal(a->hashed, b->hashed);
	assert_int_equal(a->denial, b->denial);
	assert_int_equal(a->serial.v, b->serial.v);
	assert_int_equal(x.length, y.length);
	assert_string_equal(x.bytes, y.bytes);
	free(x.bytes);
	free(y.bytes);
}

static struct image image_of(const struct zone *zone)
{
	struct image image;

	assert_int_equal(image_make(zone, &image, NULL), ERR_OK);
	assert_int_equal(image.serial.v, zone->serial.v);
	return image;
}

/* --- what comes back ---------------------------------------------------------------------- */

static void comes_back(struct zone *zone)
{
	struct image image = image_of(zone);
	struct zone *again = read_good(apex, &image);
	uint64_t octets = 0;

	assert_same(zone, again);
	for (size_t i = 0; i < image.count; i++) {
		assert_true(image.piece[i].length <= IMAGE_PIECE_MAX);
		octets += image.piece[i].length;
	}
	assert_int_equal(octets, image.octets);
	image_release(&image);
	zone_put(again);
	zone_put(zone);
}

static const char small[] =
	"@ 300 SOA ns h 4294967295 2 3 4 5\n@ 400 NS ns\nns 300 A 192.0.2.1\nns 300 AAAA 2001:db8::1\nWwW 7 CNAME nS\n*.w 0 TXT \"\"\n"
	"a.b.c 2147483647 MX 10 @\na.b.c 2147483647 MX 20 MAIL\n";

static void small_zones_come_back(void **state)
{
	(void)state;
	comes_back(parsed("@ 1 SOA . . 0 0 0 0 0\n@ 1 NS .\n"));
	comes_back(parsed(small));
}

static void the_root_zone_comes_back(void **state)
{
	static const uint8_t root[] = "";
	struct build *b = build_new(root, NULL, (struct build_limits){0});
	static const char text[] = ". 1 SOA . . 7 0 0 0 0\n. 1 NS a.\nCOM. 5 NS a.\n";
	struct zone *zone, *again;
	struct image image;

	(void)state;
	assert_int_equal(zonefile_parse("root", text, strlen(text), NULL, root, take, b, NULL), ERR_OK);
	assert_int_equal(build_finish(b, &zone, NULL), ERR_OK);
	image = image_of(zone);
	again = read_good(root, &image);
	assert_same(zone, again);
	image_release(&image);
	zone_put(again);
	zone_put(zone);
}

static void every_type_comes_back(void **state)
{
	static const uint8_t name[] = "\12every-type\7example";
	const char *top = getenv("top_srcdir");
	char path[4096];
	struct zone *zone, *again;
	struct image image;
	struct why why;

	(void)state;
	snprintf(path, sizeof path, "%s/zones/every-type.example.zone", top ? top : ".");
	if (zonefile_load(path, name, (struct build_limits){0}, &zone, &why))
		fail_msg("%s", why.text);
	image = image_of(zone);
	again = read_good(name, &image);
	assert_same(zone, again);
	image_release(&image);
	zone_put(again);
	zone_put(zone);
}

/* Names, TTLs, sets and signatures of all kinds, in some 40 pieces. */
static void a_large_zone_comes_back(void **state)
{
	struct build *b = build_new(apex, NULL, (struct build_limits){0});
	struct zone *zone = NULL;
	struct text text = {0};
	char line[300];

	(void)state;
	collect(&text, small, strlen(small));
	for (unsigned i = 0; i < 60000; i++) {
		collect(&text, line, (size_t)snprintf(line, sizeof line, "n%u.d%u %u %s 192.0.%u.%u\n", i * 7919 % 100003, i % 17,
			i % 3 ? 60 : i, "A", i >> 8 & 255, i & 255));
		if (i % 5 == 0)
			collect(&text, line, (size_t)snprintf(line, sizeof line, "n%u.d%u 9 RRSIG A 8 2 60 20300101000000 20200101000000 %u @ AAAA\n",
				i * 7919 % 100003, i % 17, i & 65535));
	}
	assert_int_equal(zonefile_parse("large", text.bytes, text.length, NULL, apex, take, b, NULL), ERR_OK);
	assert_int_equal(build_finish(b, &zone, NULL), ERR_OK);
	free(text.bytes);
	comes_back(zone);
}

/* Owners that fill more than a piece, by many records, by long ones, by many types. */
static void owners_larger_than_a_piece_come_back(void **state)
{
	static uint8_t rdata[65535];
	struct build *b = build_new(apex, NULL, (struct build_limits){0});
	struct rr rr = {.owner = (const uint8_t *)"\3big\7example", .class = CLASS_IN, .ttl = 5, .rdata = rdata};
	struct zone *zone = NULL;
	struct image image;

	(void)state;
	assert_int_equal(zonefile_parse("small", small, strlen(small), NULL, apex, take, b, NULL), ERR_OK);
	rr.type = RR_A;
	rr.rdlength = 4;
	for (uint32_t i = 0; i < 65535; i++) {
		put_u32(rdata, i);
		assert_int_equal(build_add(b, &rr, NULL), ERR_OK);
	}
	rr.owner = (const uint8_t *)"\4long\7example";
	rr.type = 65280;
	rr.rdlength = 65000;
	for (uint32_t i = 0; i < 9; i++) {
		put_u32(rdata, i);
		assert_int_equal(build_add(b, &rr, NULL), ERR_OK);
	}
	rr.owner = (const uint8_t *)"\4many\7example";
	rr.rdlength = 100;
	for (uint16_t i = 0; i < 5000; i++) {
		rr.type = (uint16_t)(60000 + i);
		rr.ttl = i;
		assert_int_equal(build_add(b, &rr, NULL), ERR_OK);
	}
	assert_int_equal(build_finish(b, &zone, NULL), ERR_OK);
	image = image_of(zone);
	assert_true(image.count > 4);
	image_release(&image);
	comes_back(zone);
}

static enum err refuse_second(void *ctx, const struct image_piece *piece, struct why *why)
{
	(void)piece;
	return ++*(unsigned *)ctx == 2 ? err_why(why, ERR_NOSPACE, "full") : ERR_OK;
}

static struct zone *long_zone(void)
{
	struct text text = {0};
	struct zone *zone;
	char line[100];

	collect(&text, small, strlen(small));
	for (unsigned i = 0; i < 60000; i++)
		collect(&text, line, (size_t)snprintf(line, sizeof line, "h%05u 5 TXT \"%u\"\n", i, i));
	zone = parsed(text.bytes);
	free(text.bytes);
	return zone;
}

static void the_receiver_may_end_the_writing(void **state)
{
	struct zone *zone = long_zone();
	unsigned pieces = 0;
	struct why why;

	(void)state;
	assert_int_equal(image_write(zone, refuse_second, &pieces, &why), ERR_NOSPACE);
	assert_string_equal(why.text, "full");
	assert_int_equal(pieces, 2);
	zone_put(zone);
}

/* --- what is refused ---------------------------------------------------------------------- */

static void assert_refused(const uint8_t *name, const struct image_piece *piece, size_t count, const char *word)
{
	struct zone *zone;
	struct why why = {{0}};
	enum err err = read_pieces(name, piece, count, (struct build_limits){0}, &zone, &why);

	if (err != ERR_DAMAGED || (word && !strstr(why.text, word)))
		fail_msg("%s: %s", err_text(err), why.text);
	assert_null(zone);
}

static void any_flipped_bit_is_refused(void **state)
{
	struct zone *zone = parsed(small);
	struct image image = image_of(zone);
	uint8_t *bytes = malloc(image.octets);
	struct image_piece piece = {bytes, image.octets};

	(void)state;
	assert_int_equal(image.count, 1);
	memcpy(bytes, image.piece[0].bytes, image.octets);
	for (size_t bit = 0; bit < image.octets * 8; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_refused(apex, &piece, 1, "piece 0");
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	free(bytes);
	image_release(&image);
	zone_put(zone);
}

static void any_truncation_is_refused(void **state)
{
	struct zone *zone = parsed(small);
	struct image image = image_of(zone);

	(void)state;
	for (size_t n = 0; n < image.octets; n++) {
		uint8_t *bytes = malloc(n ? n : 1);      /* of that size, so that reading too far shows */
		struct image_piece piece = {bytes, n};

		memcpy(bytes, image.piece[0].bytes, n);
		assert_refused(apex, &piece, 1, NULL);
		free(bytes);
	}
	assert_refused(apex, NULL, 0, "missing");
	image_release(&image);
	zone_put(zone);
}

static void pieces_that_are_missing_or_elsewhere_are_refused(void **state)
{
	struct zone *zone = long_zone();
	struct image image = image_of(zone);
	struct image_piece piece[10];
	size_t n = image.count;

	(void)state;
	assert_true(n >= 4 && n < 9);
	assert_refused(apex, image.piece, n - 1, "missing");
	assert_refused(apex, image.piece + 1, n - 1, "not the one that was due");
	memcpy(piece, image.piece, n * sizeof *piece);
	piece[1] = image.piece[2];
	piece[2] = image.piece[1];
	assert_refused(apex, piece, n, "not the one that was due");
	memcpy(piece, image.piece, n * sizeof *piece);
	piece[2] = image.piece[1];
	assert_refused(apex, piece, n, "not the one that was due");
	memcpy(piece, image.piece, n * sizeof *piece);
	piece[n] = piece[n - 1];
	assert_refused(apex, piece, n + 1, "more than the last");
	image_release(&image);
	zone_put(zone);
}

/* The same zone at two serials: pieces of one do not pass for those of the other, though each is good by itself. */
static void pieces_of_another_version_are_refused(void **state)
{
	struct zone *zone = long_zone(), *next = NULL;
	struct build *b = build_new(apex, zone, (struct build_limits){0});
	struct rr soa = zone_soa(zone);
	struct image one = image_of(zone), two;
	struct image_piece piece[10];
	uint8_t rdata[100];

	(void)state;
	memcpy(rdata, soa.rdata, soa.rdlength);
	assert_int_equal(build_remove(b, &soa, NULL), ERR_OK);
	soa.rdata = rdata;
	put_u32(rdata + soa.rdlength - 20, 77);
	assert_int_equal(build_add(b, &soa, NULL), ERR_OK);
	assert_int_equal(build_finish(b, &next, NULL), ERR_OK);
	two = image_of(next);
	assert_int_equal(one.count, two.count);
	for (size_t i = 0; i < one.count; i++) {
		memcpy(piece, one.piece, one.count * sizeof *piece);
		piece[i] = two.piece[i];
		assert_refused(apex, piece, one.count, "its sum is wrong");
	}
	image_release(&one);
	image_release(&two);
	zone_put(next);
	zone_put(zone);
}

static void the_image_of_another_zone_is_refused(void **state)
{
	struct zone *zone = parsed(small);
	struct image image = image_of(zone);
	struct zone *again = read_good((const uint8_t *)"\7EXAMPLE", &image);

	(void)state;
	assert_refused((const uint8_t *)"\7exbmple", image.piece, image.count, "another zone");
	assert_refused((const uint8_t *)"", image.piece, image.count, "another zone");
	zone_put(again);
	image_release(&image);
	zone_put(zone);
}

static void limits_hold(void **state)
{
	struct zone *zone = parsed(small), *again;
	struct image image = image_of(zone);
	struct why why;

	(void)state;
	assert_int_equal(read_pieces(apex, image.piece, 1, (struct build_limits){.records = 3}, &again, &why), ERR_LIMIT);
	assert_int_equal(read_pieces(apex, image.piece, 1, (struct build_limits){.records = zone->records}, &again, &why), ERR_OK);
	zone_put(again);
	image_release(&image);
	zone_put(zone);
}

/* What is wrong under a sum that is right was written so: it must be refused as well, whatever it is. */
static void nonsense_under_a_right_sum_is_refused(void **state)
{
	struct zone *zone = parsed(small), *again;
	struct image image = image_of(zone);
	uint8_t *bytes = malloc(image.octets);
	size_t n = image.octets - 8;
	struct why why;
	unsigned refused = 0;

	(void)state;
	for (size_t at = 16; at < n; at++)
		for (unsigned bit = 0; bit < 8; bit++) {
			struct image_piece piece = {bytes, image.octets};
			uint8_t seed[8] = {0};
			struct siphash sum;
			uint64_t v;
			enum err err;

			memcpy(bytes, image.piece[0].bytes, n);
			bytes[at] ^= (uint8_t)(1 << bit);
			siphash_begin(&sum, siphash_sum_key);
			siphash_add(&sum, seed, 8);
			siphash_add(&sum, bytes, n);
			v = siphash_end(&sum);
			put_u32(bytes + n, (uint32_t)(v >> 32));
			put_u32(bytes + n + 4, (uint32_t)v);
			err = read_pieces(apex, &piece, 1, (struct build_limits){0}, &again, &why);
			assert_true(err == ERR_OK || err == ERR_DAMAGED || err == ERR_ZONE);
			refused += err != ERR_OK;
			zone_put(again);
		}
	assert_true(refused > 300);
	free(bytes);
	image_release(&image);
	zone_put(zone);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_zones_come_back),
		cmocka_unit_test(the_root_zone_comes_back),
		cmocka_unit_test(every_type_comes_back),
		cmocka_unit_test(a_large_zone_comes_back),
		cmocka_unit_test(owners_larger_than_a_piece_come_back),
		cmocka_unit_test(the_receiver_may_end_the_writing),
		cmocka_unit_test(any_flipped_bit_is_refused),
		cmocka_unit_test(any_truncation_is_refused),
		cmocka_unit_test(pieces_that_are_missing_or_elsewhere_are_refused),
		cmocka_unit_test(pieces_of_another_version_are_refused),
		cmocka_unit_test(the_image_of_another_zone_is_refused),
		cmocka_unit_test(limits_hold),
		cmocka_unit_test(nonsense_under_a_right_sum_is_refused),
	};

	rr_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
