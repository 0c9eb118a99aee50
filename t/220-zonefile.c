#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/file.h"
#include "dns/rrshape.h"
#include "dns/rrtext.h"
#include "zone/zonefile.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint8_t apex[] = "\7example";
static char dir[] = "/tmp/220-zonefile.XXXXXX";

/* --- helpers ---------------------------------------------------------------------- */

struct collected {
	char text[500000];
	size_t used;
	unsigned stop_at, seen;      /* refuse that record; 0: none */
};
static struct collected got;

static enum err collect(void *ctx, const struct rr *rr, struct why *why)
{
	struct collected *into = ctx;
	char owner[NAME_TEXT_SIZE];

	if (++into->seen == into->stop_at)
		return err_why(why, ERR_LIMIT, "that is enough");
	assert_true(into->used + 2000 + RR_TEXT_SIZE(rr->rdlength) < sizeof into->text);
	into->used += rr_put_text(rr, owner, name_put_text(rr->owner, owner), into->text + into->used);
	into->text[into->used] = 0;
	return ERR_OK;
}

/* A copy of exactly that length, so that the sanitizer sees any octet read beyond. */
static enum err parse_octets(const char *text, size_t length, struct why *why)
{
	char *copy = malloc(length ? length : 1);
	enum err err;

	assert_non_null(copy);
	memcpy(copy, text, length);
	got.used = got.seen = got.stop_at = 0;
	got.text[0] = 0;
	err = zonefile_parse("zone", copy, length, NULL, apex, collect, &got, why);
	free(copy);
	return err;
}

static enum err parse(const char *text, struct why *why)
{
	return parse_octets(text, strlen(text), why);
}

static void write_file(const char *name, const char *text)
{
	char path[200];
	FILE *file;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static enum err read_file(const char *name, struct why *why)
{
	char path[200];

	snprintf(path, sizeof path, "%s/%s", dir, name);
	got.used = got.seen = got.stop_at = 0;
	got.text[0] = 0;
	return zonefile_read(path, apex, collect, &got, why);
}

/* What is said must begin with DIR/ and then this. */
static void said_in_dir(const struct why *why, const char *wanted)
{
	assert_memory_equal(why->text, dir, strlen(dir));
	assert_string_equal(why->text + strlen(dir) + 1, wanted);
}

/* --- what is read ------------------------------------------------------------------- */

static void master_file_syntax_is_read(void **state)
{
	static const struct { const char *what, *text, *records; } cases[] = {
		{"nothing", "", ""},
		{"no records", "\n ; comment\n\t\n;\n", ""},
		{"absolute and relative names, the origin", "www.example. 60 IN A 1.2.3.4\nwww 60 IN A 1.2.3.4\n@ 60 IN NS ns\n. 60 IN NS .\n",
			"www.example.\t60\tIN\tA\t1.2.3.4\nwww.example.\t60\tIN\tA\t1.2.3.4\nexample.\t60\tIN\tNS\tns.example.\n.\t60\tIN\tNS\t.\n"},
		{"no newline at the end", "www 60 IN A 1.2.3.4", "www.example.\t60\tIN\tA\t1.2.3.4\n"},
		{"line ends of the other kind", "$TTL 5\r\nwww 60 IN A 1.2.3.4\r\n\r\n  A 1.2.3.5 ; x\r\nt TXT \"a\" b\r\n",
			"www.example.\t60\tIN\tA\t1.2.3.4\nwww.example.\t5\tIN\tA\t1.2.3.5\nt.example.\t5\tIN\tTXT\t\"a\" \"b\"\n"},
		{"an owner left out", "a 60 IN A 1.2.3.4\n IN 60 A 1.2.3.5\n\t60 A 1.2.3.6\n; comment\n\n A 1.2.3.7\n",
			"a.example.\t60\tIN\tA\t1.2.3.4\na.example.\t60\tIN\tA\t1.2.3.5\na.example.\t60\tIN\tA\t1.2.3.6\n"
			"a.example.\t60\tIN\tA\t1.2.3.7\n"},
		{"TTL and class in either order, or left out",
			"$TTL 9\na 60 IN A 1.2.3.4\na IN 61 A 1.2.3.4\na in A 1.2.3.4\na 62 A 1.2.3.4\na A 1.2.3.4\n",
			"a.example.\t60\tIN\tA\t1.2.3.4\na.example.\t61\tIN\tA\t1.2.3.4\na.example.\t9\tIN\tA\t1.2.3.4\n"
			"a.example.\t62\tIN\tA\t1.2.3.4\na.example.\t9\tIN\tA\t1.2.3.4\n"},
		{"TTLs with units", "a 1h30m IN A 1.2.3.4\na 1W2D IN A 1.2.3.4\n$TTL 2m\na A 1.2.3.4\n",
			"a.example.\t5400\tIN\tA\t1.2.3.4\na.example.\t777600\tIN\tA\t1.2.3.4\na.example.\t120\tIN\tA\t1.2.3.4\n"},
		{"no TTL: the last one stated", "a 60 A 1.2.3.4\na A 1.2.3.5\na 70 A 1.2.3.6\na A 1.2.3.7\n",
			"a.example.\t60\tIN\tA\t1.2.3.4\na.example.\t60\tIN\tA\t1.2.3.5\na.example.\t70\tIN\tA\t1.2.3.6\n"
			"a.example.\t70\tIN\tA\t1.2.3.7\n"},
		{"no TTL at all: the SOA's minimum", "@ SOA ns h 1 2 3 4 300\na A 1.2.3.5\n",
			"example.\t300\tIN\tSOA\tns.example. h.example. 1 2 3 4 300\na.example.\t300\tIN\tA\t1.2.3.5\n"},
		{"$TTL before a stated one", "$TTL 5\na 60 A 1.2.3.4\na A 1.2.3.5\n",
			"a.example.\t60\tIN\tA\t1.2.3.4\na.example.\t5\tIN\tA\t1.2.3.5\n"},
		{"$ORIGIN, absolute and relative",
			"$TTL 5\n$ORIGIN sub\na A 1.2.3.4\n A 1.2.3.5\n$ORIGIN b.\na A 1.2.3.4\n$origin .\nc. A 1.2.3.4\na NS @\n",
			"a.sub.example.\t5\tIN\tA\t1.2.3.4\na.sub.example.\t5\tIN\tA\t1.2.3.5\na.b.\t5\tIN\tA\t1.2.3.4\n"
			"c.\t5\tIN\tA\t1.2.3.4\na.\t5\tIN\tNS\t.\n"},
		{"an owner left out behind $ORIGIN", "$TTL 5\na A 1.2.3.4\n$ORIGIN sub\n A 1.2.3.5\na A 1.2.3.6\n",
			"a.example.\t5\tIN\tA\t1.2.3.4\na.example.\t5\tIN\tA\t1.2.3.5\na.sub.example.\t5\tIN\tA\t1.2.3.6\n"},
		{"parentheses over lines, with comments", "@ 5 SOA ns h ( 1 ; serial (\n 2\n\n3 ) 4 (\n5)\na 5 TXT(a)(b\n)\n",
			"example.\t5\tIN\tSOA\tns.example. h.example. 1 2 3 4 5\na.example.\t5\tIN\tTXT\t\"a\" \"b\"\n"},
		{"parentheses before the type", "a ( 5\n IN ) A 1.2.3.4\n", "a.example.\t5\tIN\tA\t1.2.3.4\n"},
		{"parentheses within parentheses", "a 5 TXT ( a ( b ) \n c )\n", "a.example.\t5\tIN\tTXT\t\"a\" \"b\" \"c\"\n"},
		{"quotes keep everything but the line's end", "a 5 TXT \"a;b ( c\" \"\" \"\\\"\\\\\" \"t\tb\"\n",
			"a.example.\t5\tIN\tTXT\t\"a;b ( c\" \"\" \"\\\"\\\\\" \"t\\009b\"\n"},
		{"quoted strings side by side", "a 5 TXT \"a\"\"b\"c\n", "a.example.\t5\tIN\tTXT\t\"a\" \"b\" \"c\"\n"},
		{"escapes", "a\\.b\\032\\;\\( 5 TXT a\\ b\\;c\\\"d \\000\\255\\\\\n",
			"a\\.b\\032\\;\\(.example.\t5\tIN\tTXT\t\"a b;c\\\"d\" \"\\000\\255\\\\\"\n"},
		{"a name that begins with a dollar", "\\$ORIGIN 5 A 1.2.3.4\n", "\\$ORIGIN.example.\t5\tIN\tA\t1.2.3.4\n"},
		{"unknown types and classes",
			"a 5 CLASS1 TYPE1 \\# 4 01020304\na 5 TYPE65280 \\# 2 ab ( c\nd )\na 5 A \\# 4 01020304\na CLASS32 5 type65280 \\# 0\n",
			"a.example.\t5\tIN\tA\t1.2.3.4\na.example.\t5\tIN\tTYPE65280\t\\# 2 abcd\n"
			"a.example.\t5\tIN\tA\t1.2.3.4\na.example.\t5\tCLASS32\tTYPE65280\t\\# 0\n"},
		{"a quoted value in a token", "a 5 HTTPS 1 . alpn=\"h2,h3\" key666=\"a b;(\" port=1\n",
			"a.example.\t5\tIN\tHTTPS\t1 . alpn=\"h2,h3\" port=1 key666=\"a b;(\"\n"},
		{"case is kept", "WwW 5 CNAME TarGet\n", "WwW.example.\t5\tIN\tCNAME\tTarGet.example.\n"},
		{"types that look like other things", "in 5 in in.\n", NULL},
		{"owners that look like other things", "in 5 a 1.2.3.4\n5 5 a 1.2.3.4\na 5 in a 1.2.3.4\n",
			"in.example.\t5\tIN\tA\t1.2.3.4\n5.example.\t5\tIN\tA\t1.2.3.4\na.example.\t5\tIN\tA\t1.2.3.4\n"},
		{"the largest TTL", "a 4294967295 A 1.2.3.4\n", "a.example.\t4294967295\tIN\tA\t1.2.3.4\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct why why;
		enum err err = parse(cases[i].text, &why);

		if (!cases[i].records) {
			assert_int_equal(err, ERR_SYNTAX);
			continue;
		}
		if (err || strcmp(got.text, cases[i].records))
			fail_msg("%s: %s\n%s", cases[i].what, err ? why.text : "other records", got.text);
	}
}

static void wrong_text_is_refused_with_its_line(void **state)
{
	static const struct { const char *text, *why; } cases[] = {
		{"\n\na 5 A 1.2.3\n", "zone:3: A address \"1.2.3\": is no address"},
		{"a A 1.2.3.4\n", "zone:1: no TTL: neither here, nor in a record before, nor by $TTL"},
		{" 5 A 1.2.3.4\n", "zone:1: no owner was named yet"},
		{"a\n", "zone:1: no type of record"},
		{"a 5 IN\n", "zone:1: no type of record"},
		{"a 5 IN NOSUCH x\n", "zone:1: no type of record: \"NOSUCH\""},
		{"a 5 6 A 1.2.3.4\n", "zone:1: no type of record: \"6\""},
		{"a IN IN A 1.2.3.4\n", "zone:1: no type of record: \"IN\""},
		{"a 5 \"A\" 1.2.3.4\n", "zone:1: no type of record: \"A\""},
		{"a 4294967296 A 1.2.3.4\n", "zone:1: no type of record: \"4294967296\""},
		{"a 5 AXFR \\# 0\n", "zone:1: this type is never zone data: \"AXFR\""},
		{"a 5 TYPE41 \\# 0\n", "zone:1: this type is never zone data: \"TYPE41\""},
		{"\"a\" 5 A 1.2.3.4\n", "zone:1: an owner in quotes: \"a\""},
		{"\"\" 5 A 1.2.3.4\n", "zone:1: an owner in quotes: \"\""},
		{"a..b 5 A 1.2.3.4\n", "zone:1: name \"a..b\": an empty label"},
		{"a\\256 5 A 1.2.3.4\n", "zone:1: name \"a\\256\": a wrong escape"},
		{"a 5 TXT \"abc\nb 5 A 1.2.3.4\n", "zone:1: a quoted string does not end on its line"},
		{"a 5 TXT (\n\"abc\\\"\n)", "zone:2: a quoted string does not end on its line"},
		{"a 5 TXT abc\\\nb 5 A 1.2.3.4\n", "zone:1: a backslash at the end of a line"},
		{"a 5 TXT abc\\", "zone:1: a backslash at the end of a line"},
		{"a 5 TXT x=\"abc\n", "zone:1: a quoted string does not end on its line"},
		{"a 5 TXT )\n", "zone:1: a closing parenthesis without an opening one"},
		{"\na 5 TXT ( a\n\n", "zone:4: the text ends within parentheses"},
		{"@ 5 SOA ns h ( 1\n2\n3\n4 )\n", "zone:1: SOA minimum: is missing"},
		{"$TTL\n", "zone:1: $TTL wants one number or time"},
		{"$TTL x\n", "zone:1: $TTL wants one number or time: \"x\""},
		{"$TTL 5 6\n", "zone:1: $TTL wants one number or time: \"5\""},
		{"$ORIGIN\n", "zone:1: $ORIGIN wants one name"},
		{"$ORIGIN a b\n", "zone:1: $ORIGIN wants one name"},
		{"$ORIGIN a..\n", "zone:1: name \"a..\": an empty label"},
		{"$NOSUCH\n", "zone:1: unknown directive: \"$NOSUCH\""},
		{"$ 5 A 1.2.3.4\n", "zone:1: unknown directive: \"$\""},
		{"$GENERATE 1-5 a$ A 1.2.3.$\n", "zone:1: $GENERATE is not read: the records must be written out"},
		{"$INCLUDE x\n", "zone:1: $INCLUDE is not possible here: \"x\""},
		{"$INCLUDE\n", "zone:1: $INCLUDE wants a file, and may have an origin"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct why why;

		assert_int_equal(parse(cases[i].text, &why), ERR_SYNTAX);
		assert_string_equal(why.text, cases[i].why);
	}
}

static void rdata_over_64k_is_refused(void **state)
{
	static char text[300000];
	size_t n = (size_t)sprintf(text, "a 5 TXT");
	struct why why;

	(void)state;
	for (unsigned i = 0; i < 65535 / 2; i++)
		n += (size_t)sprintf(text + n, " a");
	assert_int_equal(parse_octets(text, n, &why), ERR_OK);
	n += (size_t)sprintf(text + n, " a");
	assert_int_equal(parse_octets(text, n, &why), ERR_SYNTAX);
	assert_string_equal(why.text, "zone:1: TXT: RDATA over 65535 octets");
	n += (size_t)sprintf(text + n, " a a a");
	assert_int_equal(parse_octets(text, n, &why), ERR_SYNTAX);
	assert_string_equal(why.text, "zone:1: RDATA over 65535 octets");
}

static void any_octets_are_judged(void **state)
{
	static const char alphabet[] = "  \t\n\r;()\"\"\\$@a.1 A IN TXT ";
	static const char good[] = "@ 5 SOA a b ( 1 2\n3 4 5 )\nb 5 TXT \"a;\" \\032 b\n A 1.2.3.4\n";
	unsigned accepted = 0;
	char text[120];

	(void)state;
	srandom(5);
	for (unsigned round = 0; round < 40000; round++) {
		size_t n = sizeof good - 1;
		struct why why;

		memcpy(text, good, n);
		for (size_t i = (size_t)random() % 4; i; i--)
			text[(size_t)random() % n] = random() % 8 ? alphabet[(size_t)random() % (sizeof alphabet - 1)] : (char)random();
		if (parse_octets(text, (size_t)random() % n + 1, &why))
			assert_memory_equal(why.text, "zone:", 5);
		else
			accepted++;
	}
	assert_in_range(accepted, 1000, 39000);
}

static void the_taker_may_end_the_reading(void **state)
{
	static const char text[] = "a 5 A 1.2.3.4\nb 5 A 1.2.3.4\nc 5 A 1.2.3.4\n";
	struct why why;

	(void)state;
	got.used = got.seen = 0;
	got.stop_at = 2;
	assert_int_equal(zonefile_parse("zone", text, sizeof text - 1, NULL, apex, collect, &got, &why), ERR_LIMIT);
	assert_string_equal(why.text, "zone:2: that is enough");
	assert_string_equal(got.text, "a.example.\t5\tIN\tA\t1.2.3.4\n");
}

/* --- $INCLUDE -------------------------------------------------------------------------- */

static void an_included_file_keeps_its_own_state(void **state)
{
	char path[200];
	struct why why;

	(void)state;
	write_file("main", "$TTL 5\na A 1.2.3.4\n$INCLUDE part\n A 1.2.3.5\nb A 1.2.3.6\n$INCLUDE \"sub/part\" sub\nc A 1.2.3.7");
	write_file("part", "p A 1.1.1.1\n$TTL 7\n$ORIGIN elsewhere.\nq A 1.1.1.2\n");
	snprintf(path, sizeof path, "%s/sub", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	write_file("sub/part", "$INCLUDE beside\n");
	write_file("sub/beside", "@ A 1.1.1.3\n");
	if (read_file("main", &why))
		fail_msg("%s", why.text);
	assert_string_equal(got.text,
		"a.example.\t5\tIN\tA\t1.2.3.4\np.example.\t5\tIN\tA\t1.1.1.1\nq.elsewhere.\t7\tIN\tA\t1.1.1.2\n"
		"a.example.\t5\tIN\tA\t1.2.3.5\nb.example.\t5\tIN\tA\t1.2.3.6\nsub.example.\t5\tIN\tA\t1.1.1.3\n"
		"c.example.\t5\tIN\tA\t1.2.3.7\n");
}

static void an_included_file_must_name_an_owner(void **state)
{
	struct why why;

	(void)state;
	write_file("main", "a 5 A 1.2.3.4\n$INCLUDE blank\n");
	write_file("blank", "; comment\n A 1.2.3.4\n");
	assert_int_equal(read_file("main", &why), ERR_SYNTAX);
	said_in_dir(&why, "blank:2: no owner was named yet");
}

static void inclusion_in_a_circle_is_refused(void **state)
{
	struct why why;

	(void)state;
	write_file("one", "a 5 A 1.2.3.4\n$INCLUDE two\n");
	write_file("two", "\n\n$INCLUDE ./one\n");
	assert_int_equal(read_file("one", &why), ERR_SYNTAX);
	said_in_dir(&why, "two:3: a file includes itself");
	write_file("self", "$INCLUDE self\n");
	assert_int_equal(read_file("self", &why), ERR_SYNTAX);
	said_in_dir(&why, "self:1: a file includes itself");
}

static void eight_files_deep_is_the_limit(void **state)
{
	char name[20], text[60];
	struct why why;

	(void)state;
	for (int i = 0; i <= 9; i++) {
		snprintf(name, sizeof name, "deep%d", i);
		snprintf(text, sizeof text, "d%d 5 A 1.2.3.4\n$INCLUDE deep%d\n", i, i + 1);
		write_file(name, text);
	}
	write_file("deep8", "d8 5 A 1.2.3.4\n");
	assert_int_equal(read_file("deep0", &why), ERR_OK);
	assert_int_equal(got.seen, 9);
	write_file("deep8", "d8 5 A 1.2.3.4\n$INCLUDE deep9\n");
	assert_int_equal(read_file("deep0", &why), ERR_SYNTAX);
	assert_non_null(strstr(why.text, "/deep8:2: $INCLUDE goes more than 8 files deep: \"deep9\""));
}

static void a_file_that_is_not_there_is_named(void **state)
{
	char wanted[300];
	struct why why;

	(void)state;
	assert_int_equal(read_file("nosuch", &why), ERR_NOTFOUND);
	write_file("main", "\n$INCLUDE nosuch\n");
	assert_int_equal(read_file("main", &why), ERR_NOTFOUND);
	snprintf(wanted, sizeof wanted, "main:2: %s/nosuch: open: No such file or directory", dir);
	said_in_dir(&why, wanted);
	write_file("main", "$INCLUDE part a..\n");
	assert_int_equal(read_file("main", &why), ERR_SYNTAX);
	said_in_dir(&why, "main:1: name \"a..\": an empty label");
}

/* --- zones ------------------------------------------------------------------------------- */

static struct zone *load_text(const char *text)
{
	char path[200];
	struct zone *zone;
	struct why why;

	write_file("load", text);
	snprintf(path, sizeof path, "%s/load", dir);
	if (zonefile_load(path, apex, (struct build_limits){0}, &zone, &why))
		fail_msg("%s", why.text);
	return zone;
}

static bool put(void *ctx, const char *text, size_t length)
{
	struct collected *into = ctx;

	assert_true(into->used + length < sizeof into->text);
	memcpy(into->text + into->used, text, length);
	into->used += length;
	into->text[into->used] = 0;
	into->seen++;
	return into->seen != into->stop_at;
}

static const char *printed(const struct zone *zone)
{
	got.used = got.seen = got.stop_at = 0;
	assert_true(zonefile_print(zone, put, &got));
	return got.text;
}

static const char signed_zone[] =
	"$TTL 5\n"
	"@ NS ns\n@ DNSKEY 257 3 5 a2V5\n"
	"@ RRSIG SOA 5 1 5 20180101000000 20180101000000 1 @ AA==\n"
	"@ RRSIG NS 5 1 5 20180101000000 20180101000000 1 @ AA==\n"
	"@ RRSIG DNSKEY 5 1 5 20180101000000 20180101000000 1 @ AA==\n"
	"@ NSEC a SOA NS\n"
	"@ SOA ns h 1 2 3 4 5\n"
	"@ A 1.2.3.5\n@ A 1.2.3.4\n"
	"only RRSIG A 5 1 5 20180101000000 20180101000000 1 @ AA==\n"
	"b.ns A 1.2.3.4\nB NSEC c. TYPE65280\n"
	"B RRSIG NSEC 5 1 5 20180101000000 20180101000000 1 @ AA==\n"
	"ns A 1.2.3.4\n";

static void a_zone_is_written_in_canonical_order(void **state)
{
	struct zone *zone = load_text(signed_zone);

	(void)state;
	assert_string_equal(printed(zone),
		"example.\t5\tIN\tSOA\tns.example. h.example. 1 2 3 4 5\n"
		"example.\t5\tIN\tA\t1.2.3.4\n"
		"example.\t5\tIN\tA\t1.2.3.5\n"
		"example.\t5\tIN\tNS\tns.example.\n"
		"example.\t5\tIN\tRRSIG\tNS 5 1 5 20180101000000 20180101000000 1 example. AA==\n"
		"example.\t5\tIN\tRRSIG\tSOA 5 1 5 20180101000000 20180101000000 1 example. AA==\n"
		"example.\t5\tIN\tRRSIG\tDNSKEY 5 1 5 20180101000000 20180101000000 1 example. AA==\n"
		"example.\t5\tIN\tNSEC\ta.example. NS SOA\n"
		"example.\t5\tIN\tDNSKEY\t257 3 5 a2V5\n"
		"B.example.\t5\tIN\tRRSIG\tNSEC 5 1 5 20180101000000 20180101000000 1 example. AA==\n"
		"B.example.\t5\tIN\tNSEC\tc. TYPE65280\n"
		"ns.example.\t5\tIN\tA\t1.2.3.4\n"
		"b.ns.example.\t5\tIN\tA\t1.2.3.4\n"
		"only.example.\t5\tIN\tRRSIG\tA 5 1 5 20180101000000 20180101000000 1 example. AA==\n");
	zone_put(zone);
}

static void one_name_or_one_type_is_written_alone(void **state)
{
	struct zone *zone = load_text(signed_zone);

	(void)state;
	got.used = got.seen = got.stop_at = 0;
	assert_true(zonefile_print_node(zone, zone->apex_node, RR_A, put, &got));
	assert_string_equal(got.text, "example.\t5\tIN\tA\t1.2.3.4\nexample.\t5\tIN\tA\t1.2.3.5\n");
	got.used = got.seen = 0;
	got.text[0] = 0;
	assert_true(zonefile_print_node(zone, zone->apex_node, RR_MX, put, &got));
	assert_string_equal(got.text, "");
	got.used = got.seen = 0;
	assert_true(zonefile_print_node(zone, zone_find_node(zone, (const uint8_t *)"\1b\7example"), 0, put, &got));
	assert_string_equal(got.text, "B.example.\t5\tIN\tRRSIG\tNSEC 5 1 5 20180101000000 20180101000000 1 example. AA==\n"
		"B.example.\t5\tIN\tNSEC\tc. TYPE65280\n");
	zone_put(zone);
}

static const char nasty[] =
	"$TTL 5\n@ SOA ns h 1 2 3 4 5\n@ NS ns\n"
	"a\\000b A 1.2.3.4\na\\.b A 1.2.3.4\na\\\\b A 1.2.3.4\na\\\"b A 1.2.3.4\n\\$ORIGIN A 1.2.3.4\na\\$b A 1.2.3.4\n"
	"\\@ A 1.2.3.4\na\\;b A 1.2.3.4\na\\010b A 1.2.3.4\na/b A 1.2.3.4\na%b A 1.2.3.4\n* A 1.2.3.4\na*b A 1.2.3.4\n"
	"a\\ b A 1.2.3.4\n\\(a\\) A 1.2.3.4\n\\009 A 1.2.3.4\n\\013\\010 A 1.2.3.4\n\\127\\128\\255 A 1.2.3.4\n"
	"\\# A 1.2.3.4\nin A 1.2.3.4\n5 A 1.2.3.4\n-_'`~!&+=<>?{}[]^, A 1.2.3.4\n"
	"t TXT \"\\000\\010\\034\\092;($)@%\\127\\255\"\nc\\.n CNAME \\@.\\$.\\\"\\;\\032.x\n";

static void nasty_names_come_back_from_the_text(void **state)
{
	struct zone *zone = load_text(nasty);
	struct zone *again;
	char *first;

	(void)state;
	assert_int_equal(zone->names, 25);
	first = strdup(printed(zone));
	for (const char *c = first; *c; c++)
		assert_true((*c >= 0x20 && *c < 0x7f) || *c == '\t' || *c == '\n');
	again = load_text(first);
	assert_string_equal(printed(again), first);
	assert_int_equal(again->records, zone->records);
	zone_put(again);
	zone_put(zone);
	free(first);
}

static void the_receiver_may_end_the_writing(void **state)
{
	struct zone *zone = load_text(signed_zone);

	(void)state;
	got.used = got.seen = 0;
	got.stop_at = 1;
	assert_false(zonefile_print(zone, put, &got));
	zone_put(zone);
}

/* Larger than a piece, with records of 64 KB in it. */
static void a_large_zone_is_written_in_pieces(void **state)
{
	struct build *build = build_new(apex, NULL, (struct build_limits){0});
	static uint8_t octets[65535 - 12 - 9 - 10], soa[22];   /* as much as a message bears */
	struct rr rr = {.owner = apex, .class = CLASS_IN, .ttl = 5};
	char path[200], other[200];
	struct zone *zone, *again;
	struct why why;

	(void)state;
	rr.type = RR_SOA, rr.rdata = soa, rr.rdlength = sizeof soa;
	assert_int_equal(build_add(build, &rr, &why), ERR_OK);
	rr.type = RR_NS, rr.rdlength = 1;
	assert_int_equal(build_add(build, &rr, &why), ERR_OK);
	rr.type = 65280, rr.rdata = octets, rr.rdlength = sizeof octets;
	for (unsigned i = 0; i < 20; i++) {
		octets[i] = 0xff;
		assert_int_equal(build_add(build, &rr, &why), ERR_OK);
	}
	assert_int_equal(build_finish(build, &zone, &why), ERR_OK);
	snprintf(path, sizeof path, "%s/new/dirs/large", dir);
	snprintf(other, sizeof other, "%s/large2", dir);
	assert_int_equal(zonefile_write(path, zone, &why), ERR_OK);
	assert_int_equal(zonefile_load(path, apex, (struct build_limits){0}, &again, &why), ERR_OK);
	assert_int_equal(again->records, 22);
	assert_int_equal(again->wire_bytes, zone->wire_bytes);
	assert_int_equal(zonefile_write(other, again, &why), ERR_OK);
	snprintf(got.text, sizeof got.text, "cmp %s %s", path, other);
	assert_int_equal(system(got.text), 0);
	zone_put(again);
	zone_put(zone);
}

static void a_file_that_is_replaced_holds_what_is_printed(void **state)
{
	struct zone *zone = load_text(signed_zone);
	char path[200];
	struct file_bytes file;
	struct why why;

	(void)state;
	snprintf(path, sizeof path, "%s/written", dir);
	write_file("written", "old\n");
	assert_int_equal(zonefile_write(path, zone, &why), ERR_OK);
	assert_int_equal(file_read(path, 0, &file, &why), ERR_OK);
	assert_string_equal(file.bytes, printed(zone));
	file_bytes_release(&file);
	zone_put(zone);
	snprintf(path, sizeof path, "%s/written/below", dir);
	zone = load_text(signed_zone);
	assert_true(zonefile_write(path, zone, &why) != ERR_OK);
	assert_true(why.text[0]);
	zone_put(zone);
}

static void what_a_zone_may_not_have_is_refused_with_its_line(void **state)
{
	static const struct { const char *text, *why; } cases[] = {
		{"@ 5 SOA ns h 1 2 3 4 5\n@ 5 NS ns\n\nother. 5 A 1.2.3.4\n", "load:4: other. A: the owner is not in the zone"},
		{"@ 5 SOA ns h 1 2 3 4 5\n@ 5 NS ns\na 5 CH TXT a\n", "load:3: a.example. TXT: its class is not IN"},
		{"@ 5 NS ns\n", "load: example. SOA: the zone has no SOA record"},
	};
	char path[200];

	(void)state;
	snprintf(path, sizeof path, "%s/load", dir);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct zone *zone;
		struct why why;

		write_file("load", cases[i].text);
		assert_int_equal(zonefile_load(path, apex, (struct build_limits){0}, &zone, &why), ERR_ZONE);
		said_in_dir(&why, cases[i].why);
	}
}

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	char command[100];

	(void)state;
	snprintf(command, sizeof command, "rm -rf %s", dir);
	return system(command);
}

static enum err note_type(void *ctx, const struct rr *rr, struct why *why)
{
	bool *seen = ctx;

	(void)why;
	seen[rr->type] = true;
	return ERR_OK;
}

/* Types 3 and 4, MD and MF, are not in it, because BIND refuses them. */
static void the_sample_zone_shows_every_type(void **state)
{
	static const uint8_t every_type[] = "\12every-type\7example";
	static bool seen[UINT16_MAX + 1] = {[3] = true, [4] = true};
	const char *top = getenv("top_srcdir");
	char path[4096];
	struct why why;

	(void)state;
	snprintf(path, sizeof path, "%s/zones/every-type.example.zone", top ? top : ".");
	if (zonefile_read(path, every_type, note_type, seen, &why))
		fail_msg("%s", why.text);
	for (unsigned type = 0; type <= UINT16_MAX; type++)
		if (rrshape_of((uint16_t)type) && !rr_is_meta((uint16_t)type) && !seen[type])
			fail_msg("%s is not in it", rrshape_of((uint16_t)type)->name);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(master_file_syntax_is_read),
		cmocka_unit_test(wrong_text_is_refused_with_its_line),
		cmocka_unit_test(rdata_over_64k_is_refused),
		cmocka_unit_test(any_octets_are_judged),
		cmocka_unit_test(the_taker_may_end_the_reading),
		cmocka_unit_test(an_included_file_keeps_its_own_state),
		cmocka_unit_test(an_included_file_must_name_an_owner),
		cmocka_unit_test(inclusion_in_a_circle_is_refused),
		cmocka_unit_test(eight_files_deep_is_the_limit),
		cmocka_unit_test(a_file_that_is_not_there_is_named),
		cmocka_unit_test(a_zone_is_written_in_canonical_order),
		cmocka_unit_test(one_name_or_one_type_is_written_alone),
		cmocka_unit_test(nasty_names_come_back_from_the_text),
		cmocka_unit_test(the_receiver_may_end_the_writing),
		cmocka_unit_test(a_large_zone_is_written_in_pieces),
		cmocka_unit_test(a_file_that_is_replaced_holds_what_is_printed),
		cmocka_unit_test(what_a_zone_may_not_have_is_refused_with_its_line),
		cmocka_unit_test(the_sample_zone_shows_every_type),
	};

	rr_init();
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
