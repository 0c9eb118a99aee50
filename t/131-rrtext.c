#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "dns/rrshape.h"
#include "dns/rrtext.h"
#include "rr-samples.h"

#include <stdio.h>
#include <stdlib.h>

#define LITERAL(s) (s), sizeof(s) - 1

/* --- helpers ---------------------------------------------------------------------- */

enum { TOKENS = 70000 };
static struct text_token tokens[TOKENS];

/* Splits at spaces; quotes at a token's beginning make it a quoted one. */
static size_t split(const char *text, size_t length)
{
	const char *at = text, *end = text + length;
	size_t n = 0;

	while (at < end) {
		struct text_token *token = &tokens[n];
		bool inside = false;

		if (*at == ' ') {
			at++;
			continue;
		}
		token->quoted = *at == '"';
		token->text = at += token->quoted;
		inside = token->quoted;
		for (; at < end && (inside || *at != ' '); at++) {
			if (*at == '\\')
				at++;
			else if (*at == '"' && token->quoted)
				break;
			else if (*at == '"')
				inside = !inside;
		}
		token->length = (size_t)(at - token->text);
		at += token->quoted;
		assert_true(++n < TOKENS);
	}
	return n;
}

static uint8_t space[70000];
static const uint8_t origin[] = "\7example";

static enum err parse(uint16_t type, const char *text, size_t length, size_t *n, struct why *why)
{
	struct wbuf out = wbuf_of(space, sizeof space);
	enum err err;

	why->text[0] = 0;
	err = rr_parse_rdata(type, tokens, split(text, length), origin, &out, why);
	*n = wbuf_used(&out);
	return err;
}

/* Exactly as much room as is promised, so that the sanitizer sees any octet beyond. */
static char *print(uint16_t type, const void *octets, size_t n, size_t *length)
{
	uint8_t *rdata = malloc(n ? n : 1);
	char *out = malloc(RR_TEXT_SIZE(n));

	assert_true(rdata && out);
	memcpy(rdata, octets, n);
	*length = rr_put_rdata_text(type, rdata, n, out);
	assert_true(*length < RR_TEXT_SIZE(n));
	free(rdata);
	out = realloc(out, *length + 1);
	out[*length] = 0;
	assert_int_equal(strlen(out), *length);
	return out;
}

static char *generic(const void *octets, size_t n)
{
	const uint8_t *p = octets;
	char *text = malloc(2 * n + 20);
	int at = sprintf(text, n ? "\\# %zu " : "\\# %zu", n);

	for (size_t i = 0; i < n; i++)
		at += sprintf(text + at, "%02x", p[i]);
	return text;
}

static void must_be_same(uint16_t type, const char *text, size_t length, const void *octets, size_t n)
{
	struct why why;
	size_t got;

	if (parse(type, text, length, &got, &why))
		fail_msg("type %u: %s: %s", type, text, why.text);
	if (got != n || memcmp(space, octets, n))
		fail_msg("type %u: %s: other octets", type, text);
}

/* --- there and back ---------------------------------------------------------------- */

static void each_sample_has_its_text(void **state)
{
	(void)state;
	for (const struct sample *s = samples; s < samples + SAMPLES; s++) {
		char *wanted = s->text ? strdup(s->text) : generic(s->octets, s->length);
		size_t n;
		char *text = print(s->type, s->octets, s->length, &n);

		assert_string_equal(text, wanted);
		must_be_same(s->type, text, n, s->octets, s->length);
		free(text);
		free(wanted);
	}
}

static void the_generic_form_is_read_for_every_type(void **state)
{
	(void)state;
	for (const struct sample *s = samples; s < samples + SAMPLES; s++) {
		char *text = generic(s->octets, s->length);

		must_be_same(s->type, text, strlen(text), s->octets, s->length);
		free(text);
	}
}

/* Changes some octets, or the length, of a good one. */
static size_t mutate(const struct sample *s, uint8_t *octets, size_t room)
{
	size_t n = s->length;

	memcpy(octets, s->octets, n);
	if (random() % 3 == 0)
		for (size_t more = (size_t)random() % 20; more && n < room; more--)
			octets[n++] = (uint8_t)random();
	else if (random() % 3 == 0 && n)
		n = (size_t)random() % n;
	for (size_t changes = (size_t)random() % 6; changes && n; changes--)
		octets[(size_t)random() % n] = (uint8_t)(random() % 2 ? random() : "\0\n\"\\;$@.() "[random() % 11]);
	return n;
}

static void any_good_rdata_comes_back_from_its_text(void **state)
{
	unsigned tried[SAMPLES] = {0};
	uint8_t octets[256];

	(void)state;
	srandom(2);
	for (unsigned round = 0; round < 150000; round++) {
		unsigned which = round % SAMPLES;
		const struct sample *s = &samples[which];
		size_t n = mutate(s, octets, sizeof octets), length;
		char *text;

		if (tried[which] > 300 || rr_check_rdata(s->type, octets, n, NULL))
			continue;
		tried[which]++;
		text = print(s->type, octets, n, &length);
		must_be_same(s->type, text, length, octets, n);
		for (size_t i = 0; i < length; i++)
			assert_in_range((unsigned char)text[i], 0x20, 0x7e);
		free(text);
	}
	for (unsigned i = 0; i < SAMPLES; i++)
		if (tried[i] < 5)
			fail_msg("sample %u of type %u was tried %u times", i, samples[i].type, tried[i]);
}

static void rdata_that_was_never_checked_is_printed_all_the_same(void **state)
{
	uint8_t octets[256];
	unsigned wrong = 0;

	(void)state;
	srandom(3);
	for (unsigned round = 0; round < 100000; round++) {
		const struct sample *s = &samples[round % SAMPLES];
		size_t n = mutate(s, octets, sizeof octets), length, i = 0;
		char *text;

		if (!rr_check_rdata(s->type, octets, n, NULL))
			continue;
		text = print(s->type, octets, n, &length);
		for (; i < length; i++)
			assert_in_range((unsigned char)text[i], 0x20, 0x7e);
		wrong += strncmp(text, "\\# ", 3) == 0;
		free(text);
	}
	assert_true(wrong > 10000);
}

static void long_data_stays_within_its_room(void **state)
{
	static uint8_t octets[65535];
	static const uint16_t types[] = {RR_TXT, RR_DNSKEY, RR_DS, 257, 65280, 61};
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof octets; i++)
		octets[i] = 0xff;
	memcpy(space, octets, 3);
	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		char *text;

		if (types[i] == 257)
			memcpy(octets, "\0\1a", 3);
		text = print(types[i], octets, types[i] == RR_TXT ? 65280 : sizeof octets, &n);
		must_be_same(types[i], text, n, octets, types[i] == RR_TXT ? 65280 : sizeof octets);
		free(text);
	}
}

static void a_set_of_all_types_is_written(void **state)
{
	uint8_t octets[1 + 256 * 34] = {0}, *at = octets + 1;
	char *text;
	size_t n;

	(void)state;
	for (unsigned window = 0; window < 256; window++) {
		*at++ = (uint8_t)window;
		*at++ = 32;
		memset(at, 0xff, 32);
		at += 32;
	}
	octets[3] = 0x7f;
	assert_int_equal(rr_check_rdata(RR_NSEC, octets, sizeof octets, NULL), ERR_OK);
	text = print(RR_NSEC, octets, sizeof octets, &n);
	must_be_same(RR_NSEC, text, n, octets, sizeof octets);
	free(text);
}

/* --- other spellings that are read ----------------------------------------------------- */

static const struct { uint16_t type; const char *text; const char *octets; size_t length; } spellings[] = {
	{RR_A, "\\# 4 c0 00 02 01", LITERAL("\300\0\2\1")},
	{RR_A, "\\# 4 C00 00201", LITERAL("\300\0\2\1")},
	{RR_NS, "ns", LITERAL("\2ns\7example\0")},
	{RR_NS, "@", LITERAL("\7example\0")},
	{RR_NS, ".", LITERAL("\0")},
	{RR_NS, "a\\.b\\032\\@.", LITERAL("\5a.b @\0")},
	{RR_SOA, "ns h. 1 1h 15M 2w 1d12h30m5s",
		LITERAL("\2ns\7example\0\1h\0\0\0\0\1\0\0\16\20\0\0\3\x84\0\x12\x75\0\0\2\1M")},
	{11, "192.0.2.1 TCP 25 80", LITERAL("\300\0\2\1\6\0\0\0\100\0\0\0\0\0\0\200")},
	{11, "192.0.2.1 17", LITERAL("\300\0\2\1\x11")},
	{RR_TXT, "unquoted \"quo ted\" a\\032b", LITERAL("\10unquoted\7quo ted\3a b")},
	{19, "31105", LITERAL("\5" "31105")},
	{20, "15086 \"004\"", LITERAL("\5" "15086\3" "004")},
	{20, "15086", LITERAL("\5" "15086")},
	{22, "0x4700058000", LITERAL("\x47\0\5\x80\0")},
	{22, "0X47.0005.80", LITERAL("\x47\0\5\x80")},
	{23, "h", LITERAL("\1h\7example\0")},
	{24, "NXT RSASHA1 2 3600 20180101000000 1509926640 258 example. c2ln",
		LITERAL("\0\x1e\5\2\0\0\16\20\x5a\x49\x7a\0\x59\xff\xa6\xf0\1\2\7example\0sig")},
	{25, "49152 3 5", LITERAL("\300\0\3\5")},
	{26, "1 a. b.", LITERAL("\0\1\1a\0\1b\0")},
	{27, "-32 116 \"10\"", LITERAL("\3-32\3" "116\2" "10")},
	{29, "51 30 12.748 N 00 07 39.611 W 0.00m 1m 10000m 10m",
		LITERAL("\0\x12\x16\x13\x8b\x0d\x2c\x8c\x7f\xf8\xfc\xa5\0\x98\x96\x80")},
	{29, "52 N 5 E 0", LITERAL("\0\x12\x16\x13\x8b\x28\x72\x00\x81\x12\xa8\x80\0\x98\x96\x80")},
	{30, "n. A NS KEY NXT", LITERAL("\1n\0\x60\0\0\x42")},
	{30, "n.", LITERAL("\1n\0")},
	{31, "e3 2c", LITERAL("\xe3\x2c")},
	{34, "39.45", LITERAL("\0\x39\x45")},
	{34, "+61200", LITERAL("\1" "61200")},
	{37, "PGP 2 RSASHA256 Y2Vy dA==", LITERAL("\0\3\0\2\x08" "cert")},
	{38, "0 2001:db8::1", LITERAL("\0\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1")},
	{38, "64 ::1 p.", LITERAL("\100\0\0\0\0\0\0\0\1\1p\0")},
	{38, "60 ffff:ffff:ffff:ffff::1 p.", LITERAL("\x3c\xf\0\0\0\0\0\0\0\1\1p\0")},
	{38, "128 p.", LITERAL("\200\1p\0")},
	{42, "1:192.168.32.0/21 !2:ff00::/8", LITERAL("\0\1\x15\3\xc0\xa8\x20\0\2\x08\x81\xff")},
	{42, "", LITERAL("")},
	{RR_DS, "60485 RSASHA1 1 2BB183 af5f22588179a53b0a98631fad1a2 92118",
		LITERAL("\xec\x45\5\1\x2b\xb1\x83\xaf\x5f\x22\x58\x81\x79\xa5\x3b\x0a\x98\x63\x1f\xad\x1a\x29\x21\x18")},
	{45, "10 0 0 .", LITERAL("\12\0\0")},
	{45, "10 3 2 g a2 V5", LITERAL("\12\3\2\1g\7example\0key")},
	{RR_NSEC, "h. TYPE1234 a CAA TYPE15", LITERAL("\1h\0\0\2\x40\1\1\1\x40\4\x1b\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
		"\0\0\0\0\x20")},
	{RR_NSEC3, "1 1 0 - 04106", LITERAL("\1\1\0\0\0\3\1\2\3")},
	{RR_NSEC3, "1 1 0 - 041VvVv0", LITERAL("\1\1\0\0\0\5\1\3\xff\xff\xe0")},
	{52, "DANE-EE SPKI SHA2-256 ab cd", LITERAL("\3\1\1\xab\xcd")},
	{55, "2 abcd a2V5 r s.", LITERAL("\2\2\0\3\xab\xcdkey\1r\7example\0\1s\0")},
	{56, "a \"b\"", LITERAL("\1a\1b")},
	{58, "a. b.", LITERAL("\1a\0\1b\0")},
	{62, "66 3", LITERAL("\0\0\0\x42\0\3")},
	{64, "1 t ipv6hint=::,::1 port=\"53\" alpn=h2,h3 mandatory=port,alpn",
		LITERAL("\0\1\1t\7example\0\0\0\0\4\0\1\0\3\0\1\0\6\2h2\2h3\0\3\0\2\0\x35"
		"\0\6\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1")},
	{64, "1 . alpn=\"f\\\\\\092oo\\\\,bar,h2\"", LITERAL("\0\1\0\0\1\0\14\10f\\oo,bar\2h2")},
	{64, "1 . alpn=f\\\\\\092oo\\\\,bar,h2", LITERAL("\0\1\0\0\1\0\14\10f\\oo,bar\2h2")},
	{64, "1 . dohpath=/q{?dns}", LITERAL("\0\1\0\0\7\0\x08/q{?dns}")},
	{64, "1 . key3=\\001\\002", LITERAL("\0\1\0\0\3\0\2\1\2")},
	{64, "1 . key667=\"hello\\210qoo\" key666 ohttp",
		LITERAL("\0\1\0\0\x08\0\0\2\x9a\0\0\2\x9b\0\x09hello\xd2qoo")},
	{64, "1 . ech=ZWNo", LITERAL("\0\1\0\0\5\0\3ech")},
	{104, "10 14:4fff:ff20:ee64", LITERAL("\0\12\0\x14\x4f\xff\xff\x20\xee\x64")},
	{108, "00-00-5E-00-53-2A", LITERAL("\0\0\x5e\0\x53\x2a")},
	{256, "1 2 unquoted", LITERAL("\0\1\0\2unquoted")},
	{257, "0 Issue x", LITERAL("\0\5Issuex")},
	{260, "10 0 0 .", LITERAL("\12\0")},
	{260, "10 1 1 192.0.2.1", LITERAL("\12\x81\300\0\2\1")},
	{260, "10 1 3 r.", LITERAL("\12\x83\1r\0")},
};

static void other_spellings_are_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++)
		must_be_same(spellings[i].type, spellings[i].text, strlen(spellings[i].text), spellings[i].octets, spellings[i].length);
}

/* --- text that is refused ------------------------------------------------------------------ */

static const struct { uint16_t type; const char *text; const char *why; } faults[] = {
	{RR_A, "", "A address: is missing"},
	{RR_A, "1.2.3", "A address \"1.2.3\": is no address"},
	{RR_A, "1.2.3.256", "A address \"1.2.3.256\": is no address"},
	{RR_A, "1.2.3.4.", "A address \"1.2.3.4.\": is no address"},
	{RR_A, "1.2.3.00004", "A address \"1.2.3.00004\": is no address"},
	{RR_A, "1.2.3.4 5", "A data \"5\": is too much"},
	{RR_A, "1.2.3.4\n5", "A address \"1.2.3.4?5\": is no address"},
	{RR_AAAA, "1::2::3", "AAAA address \"1::2::3\": is no address"},
	{RR_AAAA, "1.2.3.4", "AAAA address \"1.2.3.4\": is no address"},
	{RR_MX, "10", "MX exchange: is missing"},
	{RR_MX, "65536 a.", "MX preference \"65536\": is no number in the range"},
	{RR_MX, "-1 a.", "MX preference \"-1\": is no number in the range"},
	{RR_MX, "1 a..", "MX exchange: name \"a..\": an empty label"},
	{RR_NS, "\"\"", "NS nameserver: a name is empty"},
	{RR_SOA, "a. b. 1 2 3 4", "SOA minimum: is missing"},
	{RR_SOA, "a. b. 1 2 3 4 5x", "SOA minimum \"5x\": is no number or time"},
	{RR_SOA, "a. b. 1 2 3 4 7102w", "SOA minimum \"7102w\": is no number or time"},
	{RR_SOA, "a. b. 1h 2 3 4 5", "SOA serial \"1h\": is no number in the range"},
	{RR_SOA, "a. b. 4294967296 2 3 4 5", "SOA serial \"4294967296\": is no number in the range"},
	{RR_TXT, "", "TXT text: is missing"},
	{RR_TXT, "\\256", "TXT text \"\\256\": has a wrong escape"},
	{RR_TXT, "\\25", "TXT text \"\\25\": has a wrong escape"},
	{RR_TXT, "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
		"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
		"01234567890123456789012345678901234567890123456789012345",
		"TXT text \"012345678901234567890123456789012345678901234567890123456789...\": is longer than 255 octets"},
	{19, "3110x", "X25 address: is not all digits"},
	{11, "1.2.3.4 nonsuch", "WKS protocol-and-ports \"nonsuch\": is no protocol"},
	{11, "1.2.3.4 6 65536", "WKS protocol-and-ports \"65536\": is no port"},
	{22, "4700", "NSAP address \"4700\": does not begin with 0x"},
	{22, "0x470", "NSAP address \"0x470\": has an odd number of digits"},
	{22, "0x4.7", "NSAP address \"0x4.7\": is not in hex"},
	{34, "+6x", "ATMA address: is not all digits"},
	{34, "+", "ATMA address: ends too early"},
	{29, "91 N 0 E 0", "LOC location: is not on the globe"},
	{29, "52 X 0 E 0", "LOC location \"0\": cannot be read"},
	{30, "n. CAA", "NXT types \"CAA\": is no type up to 127"},
	{42, "1:1.2.3.4/33", "APL prefixes: an IPv4 prefix is too long"},
	{42, "1:1.2.3/33", "APL prefixes \"1:1.2.3/33\": cannot be read"},
	{RR_DS, "1 5 1", "DS digest: is missing"},
	{RR_DS, "1 5 1 abc", "DS digest \"abc\": has an odd number of digits"},
	{RR_DS, "1 5 1 xy", "DS digest \"xy\": is not in hex"},
	{RR_DS, "1 NOSUCHALG 1 ab", "DS algorithm \"NOSUCHALG\": cannot be read"},
	{RR_DNSKEY, "256 3 5 a2V", "DNSKEY key \"a2V\": ends within four digits of base64"},
	{RR_DNSKEY, "256 3 5 a2V5=", "DNSKEY key \"a2V5=\": is not in base64"},
	{RR_DNSKEY, "256 3 5 a2V=a2V5", "DNSKEY key \"a2V=a2V5\": is not in base64"},
	{RR_DNSKEY, "256 3 5 a=2V", "DNSKEY key \"a=2V\": is not in base64"},
	{RR_DNSKEY, "256 3 5 a2W=", "DNSKEY key \"a2W=\": is not in base64"},
	{RR_DNSKEY, "256 3 5 !!!!", "DNSKEY key \"!!!!\": is not in base64"},
	{45, "10 4 0 x", "IPSECKEY gateway: is of an unknown type"},
	{45, "10 0 0 x", "IPSECKEY gateway \"x\": is not \".\""},
	{RR_RRSIG, "NOSUCH 5 2 1 20180101000000 20180101000000 1 . AA==", "RRSIG type-covered \"NOSUCH\": is no type"},
	{RR_RRSIG, "A 5 2 1 20180229000000 20180101000000 1 . AA==", "RRSIG expiration \"20180229000000\": is no time"},
	{RR_RRSIG, "A 5 2 1 20180131240000 20180101000000 1 . AA==", "RRSIG expiration \"20180131240000\": is no time"},
	{RR_RRSIG, "A 5 2 1 21060207062816 20180101000000 1 . AA==", "RRSIG expiration \"21060207062816\": is no time"},
	{RR_RRSIG, "RRSIG 5 2 1 1 1 1 . AA==", "RRSIG type-covered: is not a type that can be signed"},
	{RR_NSEC, "h.", "NSEC types: is empty"},
	{RR_NSEC, "h. A TYPE65536", "NSEC types \"TYPE65536\": is no type"},
	{RR_NSEC3, "1 0 0 a 04106105", "NSEC3 salt \"a\": has an odd number of digits"},
	{RR_NSEC3, "1 0 0 - 0410610w", "NSEC3 next-hash \"0410610w\": is not in base32hex"},
	{RR_NSEC3, "1 0 0 - 04107", "NSEC3 next-hash \"04107\": is not in base32hex"},
	{RR_NSEC3, "1 0 0 - 0", "NSEC3 next-hash \"0\": is not in base32hex"},
	{64, "1 . nosuch=1", "SVCB parameters \"nosuch=1\": is no parameter's name"},
	{64, "1 . port=1 port=2", "SVCB parameters \"port=2\": is there twice"},
	{64, "1 . port", "SVCB parameters \"port\": has no value"},
	{64, "1 . port=x", "SVCB parameters \"port=x\": is no port"},
	{64, "1 . ipv4hint=1.2.3", "SVCB parameters \"ipv4hint=1.2.3\": has what is no IPv4 address"},
	{64, "1 . ipv6hint=x", "SVCB parameters \"ipv6hint=x\": has what is no IPv6 address"},
	{64, "1 . alpn=a,,b", "SVCB parameters: alpn has an empty string"},
	{64, "1 . mandatory=mandatory", "SVCB parameters: mandatory is not in order"},
	{64, "1 . mandatory=port", "SVCB parameters: a mandatory parameter is not there"},
	{64, "1 . ech=ZWN", "SVCB parameters \"ech=ZWN\": ends within four digits of base64"},
	{64, "1 . no-default-alpn=x alpn=h2", "SVCB parameters: no-default-alpn has a value"},
	{104, "1 1:2:3", "NID node \"1:2:3\": is not in groups of hex digits"},
	{104, "1 1:2:3:4:5", "NID node \"1:2:3:4:5\": is too long"},
	{104, "1 1:2:3:00004", "NID node \"1:2:3:00004\": is too long"},
	{108, "00-00-5e-00-53-2", "EUI48 address \"00-00-5e-00-53-2\": is not in groups of hex digits"},
	{257, "0 is_sue x", "CAA tag: is not all letters and digits"},
	{260, "10 2 0 .", "AMTRELAY relay-type \"2\": is no number in the range"},
	{10, "x", "NULL data: has no text but \\# LENGTH HEX"},
	{65280, "x", "TYPE65280: nothing is known of this type; its data is written \\# LENGTH HEX"},
	{65280, "\\#", "\\# length: is missing"},
	{65280, "\\# 65536", "\\# length \"65536\": is no number in the range"},
	{65280, "\\# 1", "\\#: 0 octets instead of 1"},
	{65280, "\\# 1 abcd", "\\#: 2 octets instead of 1"},
	{65280, "\\# 1 abc", "\\# data \"abc\": has an odd number of digits"},
	{RR_A, "\\# 3 010203", "A address: ends too early"},
};

static void wrong_text_is_refused_with_its_field_and_token(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
		struct why why;
		size_t n;

		assert_int_equal(parse(faults[i].type, faults[i].text, strlen(faults[i].text), &n, &why), ERR_SYNTAX);
		assert_string_equal(why.text, faults[i].why);
		assert_int_equal(n, 0);
	}
}

static void any_text_is_judged(void **state)
{
	static const char alphabet[] = "  \"\"\\\\#019aAzZ=,./:-+*\n\1\377;key=alpn";
	char text[60];
	unsigned good = 0;

	(void)state;
	srandom(4);
	for (unsigned round = 0; round < 100000; round++) {
		const struct sample *s = &samples[(size_t)random() % SAMPLES];
		size_t n = 0, got;
		struct why why;

		if (s->text && round % 2) {
			n = strlen(s->text) < sizeof text / 2 ? strlen(s->text) : sizeof text / 2;
			memcpy(text, s->text, n);
			text[(size_t)random() % (n + 1)] = alphabet[(size_t)random() % sizeof alphabet];
		}
		for (size_t more = (size_t)random() % 12; more; more--)
			text[n++] = alphabet[(size_t)random() % sizeof alphabet];
		if (parse(s->type, text, n, &got, &why)) {
			assert_true(why.text[0]);
			continue;
		}
		good++;
		assert_int_equal(rr_check_rdata(s->type, space, got, &why), ERR_OK);
	}
	assert_true(good > 100);
}

static void no_room_is_no_syntax_error(void **state)
{
	(void)state;
	for (const struct sample *s = samples; s < samples + SAMPLES; s++) {
		char *text = s->text ? strdup(s->text) : generic(s->octets, s->length);
		size_t count = split(text, strlen(text));

		for (size_t n = 0; n < s->length; n++) {
			uint8_t *room = malloc(n ? n : 1);
			struct wbuf out = wbuf_of(room, n);
			struct why why;

			assert_int_equal(rr_parse_rdata(s->type, tokens, count, origin, &out, &why), ERR_NOSPACE);
			assert_int_equal(wbuf_used(&out), 0);
			free(room);
		}
		free(text);
	}
}

/* --- types, classes, lines --------------------------------------------------------------------- */

static void types_and_classes_have_names(void **state)
{
	char text[RR_TYPE_TEXT];

	(void)state;
	assert_string_equal(rr_type_text(1, text), "A");
	assert_string_equal(rr_type_text(50, text), "NSEC3");
	assert_string_equal(rr_type_text(65, text), "HTTPS");
	assert_string_equal(rr_type_text(252, text), "AXFR");
	assert_string_equal(rr_type_text(255, text), "ANY");
	assert_string_equal(rr_type_text(0, text), "TYPE0");
	assert_string_equal(rr_type_text(65280, text), "TYPE65280");
	assert_string_equal(rr_class_text(1, text), "IN");
	assert_string_equal(rr_class_text(254, text), "NONE");
	assert_string_equal(rr_class_text(32, text), "CLASS32");
	for (unsigned n = 0; n <= UINT16_MAX; n++) {
		uint16_t back;

		rr_type_text((uint16_t)n, text);
		assert_true(rr_type_parse(text, strlen(text), &back) && back == n);
		snprintf(text, sizeof text, "TyPe%u", n);
		assert_true(rr_type_parse(text, strlen(text), &back) && back == n);
		rr_class_text((uint16_t)n, text);
		assert_true(rr_class_parse(text, strlen(text), &back) && back == n);
	}
}

static void other_words_are_no_types(void **state)
{
	static const char *const words[] = {"", "TYPE", "TYPE65536", "TYPE-1", "TYPE1x", "TYPE 1", "A ", "AA", "CLASS1", "IN",
		"TYPE99999999999"};
	uint16_t number;

	(void)state;
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		assert_false(rr_type_parse(words[i], strlen(words[i]), &number));
	assert_true(rr_type_parse("aaaa", 4, &number) && number == RR_AAAA);
	assert_true(rr_type_parse("Nsec3Param", 10, &number) && number == RR_NSEC3PARAM);
	assert_false(rr_class_parse("CLASS65536", 10, &number));
	assert_false(rr_class_parse("I", 1, &number));
	assert_true(rr_class_parse("ch", 2, &number) && number == CLASS_CH);
}

static void a_record_is_one_line(void **state)
{
	char out[64 + 10 + RR_TEXT_SIZE(4)];
	struct rr rr = {.type = RR_A, .class = CLASS_IN, .ttl = 4294967295, .rdlength = 4, .rdata = (const uint8_t *)"\1\2\3\4"};
	size_t n;

	(void)state;
	n = rr_put_text(&rr, "a.example.", 10, out);
	out[n] = 0;
	assert_string_equal(out, "a.example.\t4294967295\tIN\tA\t1.2.3.4\n");
	rr = (struct rr){.type = 65280, .class = 32, .ttl = 0, .rdlength = 0, .rdata = (const uint8_t *)""};
	n = rr_put_text(&rr, ".", 1, out);
	out[n] = 0;
	assert_string_equal(out, ".\t0\tCLASS32\tTYPE65280\t\\# 0\n");
}

static void times_are_written_as_dates(void **state)
{
	static const struct { uint32_t seconds; const char *date; } cases[] = {
		{0, "19700101000000"}, {951782399, "20000228235959"}, {951782400, "20000229000000"},
		{951868800, "20000301000000"}, {1709164800, "20240229000000"}, {1735689599, "20241231235959"},
		{1735689600, "20250101000000"}, {4107542400, "21000301000000"}, {4294967295, "21060207062815"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		uint8_t sig[] = "\0\1\5\2\0\0\0\1tttt\0\0\0\0\1\2\0s";
		char wanted[100];
		size_t n;
		char *text;

		put_u32(sig + 8, cases[i].seconds);
		text = print(RR_RRSIG, sig, sizeof sig - 1, &n);
		snprintf(wanted, sizeof wanted, "A 5 2 1 %s 19700101000000 258 . cw==", cases[i].date);
		assert_string_equal(text, wanted);
		must_be_same(RR_RRSIG, text, n, sig, sizeof sig - 1);
		free(text);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_sample_has_its_text),
		cmocka_unit_test(the_generic_form_is_read_for_every_type),
		cmocka_unit_test(any_good_rdata_comes_back_from_its_text),
		cmocka_unit_test(rdata_that_was_never_checked_is_printed_all_the_same),
		cmocka_unit_test(long_data_stays_within_its_room),
		cmocka_unit_test(a_set_of_all_types_is_written),
		cmocka_unit_test(other_spellings_are_read),
		cmocka_unit_test(wrong_text_is_refused_with_its_field_and_token),
		cmocka_unit_test(any_text_is_judged),
		cmocka_unit_test(no_room_is_no_syntax_error),
		cmocka_unit_test(types_and_classes_have_names),
		cmocka_unit_test(other_words_are_no_types),
		cmocka_unit_test(a_record_is_one_line),
		cmocka_unit_test(times_are_written_as_dates),
	};

	rr_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
