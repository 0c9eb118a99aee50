#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "dns/name.h"

#include <stdio.h>
#include <stdlib.h>

/* --- helpers ---------------------------------------------------------------------- */

/* A message in memory of exactly its size, so that any access beyond is seen by the sanitizer. */
static struct rbuf message(const void *bytes, size_t length, size_t at)
{
	uint8_t *copy = malloc(length ? length : 1);
	struct rbuf buf;

	assert_non_null(copy);
	memcpy(copy, bytes, length);
	buf = rbuf_of(copy, length);
	buf.at += at;
	return buf;
}

static void drop(struct rbuf *buf)
{
	free((void *)(uintptr_t)buf->base);
}

#define HEADER "hhhhhhhhhhhh"
#define LITERAL(s) (s), sizeof(s) - 1

/* Reads the name at `at` of header + bytes; "" if it is refused. `next` is where the cursor is. */
static const char *read_at(const char *bytes, size_t length, size_t at, size_t *next)
{
	static char text[NAME_TEXT_SIZE];
	uint8_t whole[600], out[NAME_SIZE];
	struct rbuf buf;
	size_t n;

	assert_true(length + 12 <= sizeof whole);
	memcpy(whole, HEADER, 12);
	memcpy(whole + 12, bytes, length);
	buf = message(whole, length + 12, at);
	n = name_read(&buf, out);
	assert_int_equal(n == 0, buf.bad);
	if (next)
		*next = rbuf_pos(&buf);
	if (n > 0)
		assert_int_equal(n, name_length(out));
	drop(&buf);
	return n ? name_text(out, text) : "";
}

static bool skip_at(const char *bytes, size_t length, size_t at, size_t *next)
{
	uint8_t whole[600];
	struct rbuf buf;
	bool done;

	memcpy(whole, HEADER, 12);
	memcpy(whole + 12, bytes, length);
	buf = message(whole, length + 12, at);
	done = name_skip(&buf);
	assert_int_equal(!done, buf.bad);
	if (next)
		*next = rbuf_pos(&buf);
	drop(&buf);
	return done;
}

static const uint8_t *parsed_from(const char *text, size_t length, const uint8_t *origin)
{
	static uint8_t out[8][NAME_SIZE];
	static unsigned turn;
	struct why why = {""};
	uint8_t *name = out[turn++ % 8];

	if (name_parse(text, length, origin, name, &why) != ERR_OK)
		fail_msg("%s", why.text);
	return name;
}

static const uint8_t *parsed(const char *text)
{
	return parsed_from(text, strlen(text), NULL);
}

static void assert_text(const uint8_t *name, const char *expected)
{
	char text[NAME_TEXT_SIZE];

	assert_string_equal(name_text(name, text), expected);
}

static void assert_no_name(const char *text, size_t length, const uint8_t *origin, const char *reason)
{
	uint8_t out[NAME_SIZE];
	struct why why = {""};

	assert_int_equal(name_parse(text, length, origin, out, &why), ERR_SYNTAX);
	if (!strstr(why.text, reason))
		fail_msg("\"%s\" does not say \"%s\"", why.text, reason);
}

/* `count` labels of `n` octets each, and the root's zero. */
static size_t build(uint8_t *out, unsigned count, unsigned n)
{
	uint8_t *p = out;

	for (unsigned i = 0; i < count; i++) {
		*p++ = (uint8_t)n;
		memset(p, 'a' + (int)(i % 26), n);
		p += n;
	}
	*p++ = 0;
	return (size_t)(p - out);
}

static int sign(int n)
{
	return (n > 0) - (n < 0);
}

/* --- reading from messages ----------------------------------------------------------- */

static void names_are_read(void **state)
{
	size_t next;

	(void)state;
	assert_string_equal(read_at(LITERAL("\0"), 12, &next), ".");
	assert_int_equal(next, 13);
	assert_string_equal(read_at(LITERAL("\3www\7Example\3com\0x"), 12, &next), "www.Example.com.");
	assert_int_equal(next, 12 + 17);
}

static void pointers_are_followed(void **state)
{
	/* 12: example.com, 25: www + pointer, 31: pointer to 25, 33: mail + pointer to the pointer */
	static const char bytes[] = "\7example\3com\0\3www\xc0\x0c\xc0\x19\4mail\xc0\x1f!";
	size_t next;

	(void)state;
	assert_string_equal(read_at(LITERAL(bytes), 25, &next), "www.example.com.");
	assert_int_equal(next, 31);
	assert_string_equal(read_at(LITERAL(bytes), 31, &next), "www.example.com.");
	assert_int_equal(next, 33);
	assert_string_equal(read_at(LITERAL(bytes), 33, &next), "mail.www.example.com.");
	assert_int_equal(next, 40);
	assert_true(skip_at(LITERAL(bytes), 25, &next));
	assert_int_equal(next, 31);
	assert_true(skip_at(LITERAL(bytes), 31, &next));
	assert_int_equal(next, 33);
	assert_true(skip_at(LITERAL(bytes), 12, &next));
	assert_int_equal(next, 25);
}

static void a_pointer_into_the_middle_of_a_name_is_followed(void **state)
{
	(void)state;
	assert_string_equal(read_at(LITERAL("\3www\7example\3com\0\xc0\x10"), 29, NULL), "example.com.");
	assert_string_equal(read_at(LITERAL("\3www\7example\3com\0\xc0\x1c"), 29, NULL), ".");
}

static void a_pointer_into_rdata_reads_what_stands_there_or_is_refused(void **state)
{
	(void)state;
	/* an address 1.97.0.9: "a." */
	assert_string_equal(read_at(LITERAL("\1a\0\x09\xc0\x0c"), 16, NULL), "a.");
	/* the same from its second octet: a label of 97 octets is no label */
	assert_string_equal(read_at(LITERAL("\1a\0\x09\xc0\x0d"), 16, NULL), "");
	/* from its last: a label that reaches over the pointer itself and beyond the end */
	assert_string_equal(read_at(LITERAL("\1a\0\x09\xc0\x0f"), 16, NULL), "");
}

static void pointers_that_do_not_go_backwards_are_refused(void **state)
{
	static const struct { const char *bytes; size_t length, at; } bad[] = {
		{LITERAL("\xc0\x0c\0\0\0"), 12},                /* to itself */
		{LITERAL("\xc0\x0e\1a\0"), 12},                 /* forward */
		{LITERAL("\1a\xc0\x0c"), 12},                   /* to the start of its own name */
		{LITERAL("\1a\xc0\x0e"), 12},                   /* to itself, after a label */
		{LITERAL("\2ab\xc0\x0d"), 12},                  /* into its own label */
		{LITERAL("\xc0\x0e\xc0\x0c"), 14},              /* two that point at each other */
		{LITERAL("\1a\xc0\x10\1b\xc0\x0c"), 16},        /* a loop of two names */
		{LITERAL("\xff\xff"), 12},                      /* beyond the message */
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_string_equal(read_at(bad[i].bytes, bad[i].length, bad[i].at, NULL), "");
	assert_false(skip_at(LITERAL("\xc0\x0c\0\0\0"), 12, NULL));
	assert_false(skip_at(LITERAL("\xc0\x0e\1a\0"), 12, NULL));
	assert_false(skip_at(LITERAL("\1a\xc0\x0c"), 12, NULL));
}

static void a_pointer_into_the_header_is_refused(void **state)
{
	static const uint8_t whole[] = "\0\0\0\0\0\0\0\0\0\0\0\0\xc0\x0b";
	uint8_t out[NAME_SIZE];
	struct rbuf buf = message(whole, 14, 12);

	(void)state;
	assert_int_equal(name_read(&buf, out), 0);
	assert_true(buf.bad);
	drop(&buf);
	buf = message(whole, 14, 12);
	assert_false(name_skip(&buf));
	drop(&buf);
}

static void a_chain_of_more_pointers_than_a_name_has_labels_is_refused(void **state)
{
	uint8_t whole[16384] = {0}, out[NAME_SIZE];
	struct rbuf buf;

	(void)state;
	whole[12] = 0;
	for (size_t i = 13; i + 2 <= sizeof whole; i += 2)
		put_u16(whole + i, (uint16_t)(0xc000 | (i == 13 ? 12 : i - 2)));
	buf = message(whole, sizeof whole, 13 + 2 * (NAME_LABELS - 1));
	assert_int_equal(name_read(&buf, out), 1);
	assert_int_equal(out[0], 0);
	drop(&buf);
	buf = message(whole, sizeof whole, 13 + 2 * NAME_LABELS);
	assert_int_equal(name_read(&buf, out), 0);
	assert_true(buf.bad);
	drop(&buf);
	buf = message(whole, sizeof whole, sizeof whole - 3);
	assert_int_equal(name_read(&buf, out), 0);
	drop(&buf);
}

static void label_types_0x40_and_0x80_are_refused(void **state)
{
	(void)state;
	for (int type = 0x40; type < 0xc0; type++) {
		char bytes[200] = {(char)type};

		assert_string_equal(read_at(bytes, sizeof bytes, 12, NULL), "");
		assert_false(skip_at(bytes, sizeof bytes, 12, NULL));
	}
	assert_string_equal(read_at(LITERAL("\1a\x41\0\0"), 12, NULL), "");
}

static void names_cut_at_any_octet_are_refused(void **state)
{
	static const char bytes[] = "\1x\0\3www\7example\3com\xc0\x0c";

	(void)state;
	for (size_t length = 3; length < sizeof bytes - 1; length++) {
		assert_string_equal(read_at(bytes, length, 15, NULL), "");
		assert_false(skip_at(bytes, length, 15, NULL));
	}
	assert_string_equal(read_at(LITERAL(bytes), 15, NULL), "www.example.com.x.");
	assert_string_equal(read_at("", 0, 12, NULL), "");
}

static void names_of_255_octets_are_read_and_of_256_are_not(void **state)
{
	uint8_t name[300];
	size_t n;

	(void)state;
	n = build(name, 127, 1);
	assert_int_equal(n, 255);
	assert_string_not_equal(read_at((char *)name, n, 12, NULL), "");
	assert_true(skip_at((char *)name, n, 12, NULL));
	n = build(name, 3, 63);                     /* 193 with the root */
	name[n - 1] = 61;
	memset(name + n, 'x', 61);
	name[n + 61] = 0;
	assert_int_equal(n + 62, 255);
	assert_string_not_equal(read_at((char *)name, n + 62, 12, NULL), "");
	assert_true(skip_at((char *)name, n + 62, 12, NULL));

	name[n - 1] = 62;
	name[n + 61] = 'x';
	name[n + 62] = 0;
	assert_string_equal(read_at((char *)name, n + 63, 12, NULL), "");
	assert_false(skip_at((char *)name, n + 63, 12, NULL));
	n = build(name, 128, 1);
	assert_string_equal(read_at((char *)name, n, 12, NULL), "");
	assert_false(skip_at((char *)name, n, 12, NULL));
}

static void a_name_may_not_grow_over_255_octets_by_a_pointer(void **state)
{
	uint8_t bytes[300];
	size_t n = build(bytes, 126, 1);            /* 253 */

	(void)state;
	memcpy(bytes + n, "\1a\xc0\x0c", 4);
	assert_string_not_equal(read_at((char *)bytes, n + 4, 12 + n, NULL), "");
	memcpy(bytes + n, "\2ab\xc0\x0c", 5);
	assert_string_equal(read_at((char *)bytes, n + 5, 12 + n, NULL), "");
}

static void a_cursor_that_is_bad_stays_bad(void **state)
{
	struct rbuf buf = message(LITERAL(HEADER "\1a\0"), 12);
	uint8_t out[NAME_SIZE];

	(void)state;
	buf.bad = true;
	assert_int_equal(name_read(&buf, out), 0);
	assert_false(name_skip(&buf));
	assert_int_equal(name_take(&buf), 0);
	assert_int_equal(rbuf_pos(&buf), 12);
	drop(&buf);
}

static void uncompressed_names_are_taken(void **state)
{
	uint8_t bytes[300];
	struct rbuf buf = message(LITERAL("\3www\1x\0\1y\0"), 0);
	size_t n;

	(void)state;
	assert_int_equal(name_take(&buf), 7);
	assert_int_equal(name_take(&buf), 3);
	assert_int_equal(rbuf_left(&buf), 0);
	assert_int_equal(name_take(&buf), 0);
	assert_true(buf.bad);
	drop(&buf);
	buf = message(LITERAL("\1a\xc0\x00"), 0);
	assert_int_equal(name_take(&buf), 0);
	drop(&buf);
	buf = message(LITERAL("\3ww"), 0);
	assert_int_equal(name_take(&buf), 0);
	drop(&buf);
	n = build(bytes, 127, 1);
	buf = message(bytes, n, 0);
	assert_int_equal(name_take(&buf), 255);
	drop(&buf);
	n = build(bytes, 128, 1);
	buf = message(bytes, n, 0);
	assert_int_equal(name_take(&buf), 0);
	drop(&buf);
}

/* --- text -------------------------------------------------------------------------- */

static void text_is_parsed(void **state)
{
	const uint8_t *origin = parsed("example.com.");

	(void)state;
	assert_text(parsed("."), ".");
	assert_text(parsed("www.Example.com."), "www.Example.com.");
	assert_text(parsed("www.example.com"), "www.example.com.");
	assert_text(parsed_from("www", 3, origin), "www.example.com.");
	assert_text(parsed_from("www.", 4, origin), "www.");
	assert_text(parsed_from("@", 1, origin), "example.com.");
	assert_text(parsed_from("\\@", 2, origin), "\\@.example.com.");
	assert_text(parsed_from(".", 1, origin), ".");
	assert_text(parsed("@"), "\\@.");
	assert_text(parsed("a\\.b.c"), "a\\.b.c.");
	assert_text(parsed("a\\.b\\046c\\\\.d"), "a\\.b\\.c\\092.d.");
	assert_text(parsed("\\000\\032\\255.x"), "\\000\\032\\255.x.");
	assert_text(parsed("\\\\."), "\\092.");
	assert_text(parsed("\\a\\b"), "ab.");
	assert_text(parsed("*.x"), "*.x.");
}

static void text_with_a_nul_is_one_octet_of_a_label(void **state)
{
	const uint8_t *name = parsed_from("a\0b.c", 5, NULL);

	(void)state;
	assert_int_equal(name_length(name), 7);
	assert_text(name, "a\\000b.c.");
}

static void text_that_is_no_name_is_refused(void **state)
{
	const uint8_t *origin = parsed("example.com.");

	(void)state;
	assert_no_name("", 0, NULL, "empty");
	assert_no_name(LITERAL("a..b"), NULL, "empty label");
	assert_no_name(LITERAL(".a"), NULL, "empty label");
	assert_no_name(LITERAL(".."), NULL, "empty label");
	assert_no_name(LITERAL("a.."), origin, "empty label");
	assert_no_name(LITERAL("a\\"), NULL, "escape");
	assert_no_name(LITERAL("a\\1"), NULL, "escape");
	assert_no_name(LITERAL("a\\12"), NULL, "escape");
	assert_no_name(LITERAL("a\\12x"), NULL, "escape");
	assert_no_name(LITERAL("a\\256"), NULL, "escape");
	assert_no_name(LITERAL("a\\999.b"), NULL, "escape");
}

static void the_reason_is_printable(void **state)
{
	uint8_t out[NAME_SIZE];
	struct why why = {""};

	(void)state;
	assert_int_equal(name_parse(LITERAL("\033[2J\0\n\377..x"), NULL, out, &why), ERR_SYNTAX);
	assert_string_equal(why.text, "name \"?[2J???..x\": an empty label");
	assert_int_equal(name_parse(LITERAL("a..x"), NULL, out, NULL), ERR_SYNTAX);
}

static void labels_of_64_octets_are_refused(void **state)
{
	char text[80];

	(void)state;
	memset(text, 'a', sizeof text);
	assert_int_equal(name_length(parsed_from(text, 63, NULL)), 65);
	assert_no_name(text, 64, NULL, "63 octets");
	text[63] = '.';
	assert_int_equal(name_length(parsed_from(text, 64, NULL)), 65);
	/* 63 octets of which one is written as four characters */
	memcpy(text + 62, "\\000", 4);
	assert_int_equal(name_length(parsed_from(text, 66, NULL)), 65);
}

static void text_of_255_octets_is_parsed_and_of_256_is_not(void **state)
{
	const uint8_t *origin = parsed("x.");
	char text[300];

	(void)state;
	for (size_t i = 0; i < sizeof text; i += 2)
		memcpy(text + i, "a.", 2);
	assert_int_equal(name_length(parsed_from(text, 254, NULL)), 255);
	assert_int_equal(name_length(parsed_from(text, 253, NULL)), 255);
	assert_int_equal(name_labels(parsed_from(text, 254, NULL)), 127);
	assert_no_name(text, 255, NULL, "255 octets");
	assert_no_name(text, 256, NULL, "255 octets");
	assert_int_equal(name_length(parsed_from(text, 251, origin)), 255);
	assert_no_name(text, 253, origin, "with its origin");
	memset(text + 250, 'b', 5);
	assert_no_name(text, 255, NULL, "255 octets");
}

static void every_octet_survives_the_round_trip_through_text(void **state)
{
	(void)state;
	for (unsigned first = 0; first < 256; first++) {
		uint8_t name[] = {3, (uint8_t)first, 'x', (uint8_t)first, 2, (uint8_t)first, (uint8_t)first, 0};
		char text[NAME_TEXT_SIZE];
		const uint8_t *back;

		name_text(name, text);
		for (const char *c = text; *c; c++)
			assert_true(*c > 0x20 && *c < 0x7f);
		back = parsed(text);
		assert_memory_equal(back, name, sizeof name);
	}
}

static void special_characters_are_escaped(void **state)
{
	static const uint8_t name[] = "\x08.\\\";()@$\5 \t\n\r\0\4\x21\x7e\x7f\xff\0";

	(void)state;
	assert_text(name, "\\.\\092\\\"\\;\\(\\)\\@\\$.\\032\\009\\010\\013\\000.\\033\\126\\127\\255.");
}

static void the_longest_text_fits(void **state)
{
	uint8_t name[NAME_SIZE + 1];
	char text[NAME_TEXT_SIZE];
	size_t n = build(name, 3, 63);

	(void)state;
	memset(name + n - 1, 1, 62);
	name[n - 1] = 61;
	name[n + 61] = 0;
	for (size_t i = 0, next = 0; name[i]; i++)
		if (i == next)
			next += 1 + (size_t)name[i];
		else
			name[i] = 0xff;
	assert_int_equal(name_length(name), NAME_SIZE);
	name_text(name, text);
	assert_int_equal(strlen(text), 250 * 4 + 4);
	assert_int_equal(name_put_text(name, text), 250 * 4 + 4);
	assert_memory_equal(parsed(text), name, NAME_SIZE);
}

/* --- comparing and copying ---------------------------------------------------------- */

static void the_order_is_that_of_rfc_4034(void **state)
{
	static const char *order[] = {              /* RFC 4034 6.1 */
		".", "example.", "a.example.", "yljkjljk.a.example.", "Z.a.example.", "zABC.a.EXAMPLE.",
		"z.example.", "\\001.z.example.", "*.z.example.", "\\200.z.example.",
	};
	size_t count = sizeof order / sizeof *order;

	(void)state;
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < count; j++) {
			int expected = (i > j) - (i < j);
			const uint8_t *a = parsed(order[i]), *b = parsed(order[j]);

			assert_int_equal(sign(name_compare(a, b)), expected);
			assert_int_equal(name_equal(a, b), expected == 0);
		}
}

static void a_shorter_label_comes_before_one_with_a_nul_behind(void **state)
{
	(void)state;
	assert_true(name_compare(parsed("a.x"), parsed("a\\000.x")) < 0);
	assert_true(name_compare(parsed("a\\000.x"), parsed("aa.x")) < 0);
	assert_true(name_compare(parsed("12345678.x"), parsed("12345678\\000.x")) < 0);
	assert_true(name_compare(parsed("123456789.x"), parsed("12345678b.x")) < 0);
}

static void case_is_folded_for_ascii_letters_only(void **state)
{
	(void)state;
	for (unsigned c = 0; c < 256; c++) {
		unsigned lower = c >= 'A' && c <= 'Z' ? c + 32 : c;

		assert_int_equal(name_octet_lower((uint8_t)c), lower);
		for (unsigned n = 1; n < 30; n++)
			for (unsigned at = 1; at <= n; at += 5) {
				uint8_t a[32], b[32];

				build(a, 1, n);
				build(b, 1, n);
				a[at] = (uint8_t)c;
				b[at] = (uint8_t)lower;
				assert_true(name_equal(a, b));
				assert_int_equal(name_compare(a, b), 0);
				assert_int_equal(name_lower(a, a), n + 2);
				assert_memory_equal(a, b, n + 2);
				b[at] ^= 0x20;
				if ((lower ^ 0x20) >= 'A' && (lower ^ 0x20) <= 'Z')
					continue;
				assert_false(name_equal(a, b));
				assert_int_equal(sign(name_compare(a, b)), sign((int)lower - (int)(lower ^ 0x20)));
			}
	}
}

static void names_with_the_same_octets_in_other_labels_differ(void **state)
{
	(void)state;
	assert_false(name_equal(parsed("a.b"), parsed("a\\001b")));
	assert_false(name_equal(parsed("ab.c"), parsed("a.bc")));
	assert_false(name_equal(parsed("a.b.c"), parsed("a.b")));
	assert_false(name_equal(parsed("."), parsed("a")));
	assert_true(name_equal(parsed("."), parsed(".")));
}

static void under_means_at_or_below(void **state)
{
	(void)state;
	assert_true(name_is_under(parsed("example.com"), parsed("EXAMPLE.com")));
	assert_true(name_is_under(parsed("a.b.Example.com"), parsed("example.com")));
	assert_true(name_is_under(parsed("a"), parsed(".")));
	assert_true(name_is_under(parsed("."), parsed(".")));
	assert_false(name_is_under(parsed("com"), parsed("example.com")));
	assert_false(name_is_under(parsed("."), parsed("com")));
	assert_false(name_is_under(parsed("badexample.com"), parsed("example.com")));
	assert_false(name_is_under(parsed("x.example.net"), parsed("example.com")));
	/* the octets of the apex inside a longer label */
	assert_false(name_is_under(parsed("x\\007example\\003com"), parsed("example.com")));
}

static void suffixes_are_found(void **state)
{
	const uint8_t *name = parsed("a.b.c");

	(void)state;
	assert_int_equal(name_labels(name), 3);
	assert_ptr_equal(name_suffix(name, 3), name);
	assert_ptr_equal(name_suffix(name, 9), name);
	assert_ptr_equal(name_suffix(name, 2), name_parent(name));
	assert_text(name_suffix(name, 1), "c.");
	assert_text(name_suffix(name, 0), ".");
	assert_int_equal(name_labels(parsed(".")), 0);
	assert_int_equal(name_length(parsed(".")), 1);
}

static void names_are_joined_up_to_255_octets(void **state)
{
	uint8_t prefix[300], out[NAME_SIZE];
	size_t n = build(prefix, 126, 1) - 1;       /* 252 */

	(void)state;
	assert_int_equal(name_join(prefix, n, parsed("x"), out), 255);
	assert_int_equal(name_length(out), 255);
	assert_int_equal(name_join(prefix, n, parsed("xy"), out), 0);
	assert_int_equal(name_join(prefix, 0, parsed("x.y"), out), 5);
	assert_text(out, "x.y.");
	assert_int_equal(name_join(prefix, 4, parsed("."), out), 5);
	assert_text(out, "a.b.");
	assert_int_equal(name_copy(parsed("Ab.c"), out), 6);
	assert_text(out, "Ab.c.");
	assert_int_equal(name_lower(parsed("AB.c-LONG-label-Z"), out), 19);
	assert_text(out, "ab.c-long-label-z.");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_read),
		cmocka_unit_test(pointers_are_followed),
		cmocka_unit_test(a_pointer_into_the_middle_of_a_name_is_followed),
		cmocka_unit_test(a_pointer_into_rdata_reads_what_stands_there_or_is_refused),
		cmocka_unit_test(pointers_that_do_not_go_backwards_are_refused),
		cmocka_unit_test(a_pointer_into_the_header_is_refused),
		cmocka_unit_test(a_chain_of_more_pointers_than_a_name_has_labels_is_refused),
		cmocka_unit_test(label_types_0x40_and_0x80_are_refused),
		cmocka_unit_test(names_cut_at_any_octet_are_refused),
		cmocka_unit_test(names_of_255_octets_are_read_and_of_256_are_not),
		cmocka_unit_test(a_name_may_not_grow_over_255_octets_by_a_pointer),
		cmocka_unit_test(a_cursor_that_is_bad_stays_bad),
		cmocka_unit_test(uncompressed_names_are_taken),
		cmocka_unit_test(text_is_parsed),
		cmocka_unit_test(text_with_a_nul_is_one_octet_of_a_label),
		cmocka_unit_test(text_that_is_no_name_is_refused),
		cmocka_unit_test(the_reason_is_printable),
		cmocka_unit_test(labels_of_64_octets_are_refused),
		cmocka_unit_test(text_of_255_octets_is_parsed_and_of_256_is_not),
		cmocka_unit_test(every_octet_survives_the_round_trip_through_text),
		cmocka_unit_test(special_characters_are_escaped),
		cmocka_unit_test(the_longest_text_fits),
		cmocka_unit_test(the_order_is_that_of_rfc_4034),
		cmocka_unit_test(a_shorter_label_comes_before_one_with_a_nul_behind),
		cmocka_unit_test(case_is_folded_for_ascii_letters_only),
		cmocka_unit_test(names_with_the_same_octets_in_other_labels_differ),
		cmocka_unit_test(under_means_at_or_below),
		cmocka_unit_test(suffixes_are_found),
		cmocka_unit_test(names_are_joined_up_to_255_octets),
	};

	return cmocka_run_group_tests_name("dns/name", tests, NULL, NULL);
}
