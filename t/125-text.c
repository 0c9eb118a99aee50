#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "dns/text.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROUNDS = 20000 };

static uint32_t random32(void) { return (uint32_t)random() << 16 ^ (uint32_t)random(); }

static void numbers_come_back(void **state)
{
	char text[12], wanted[12];

	(void)state;
	srandom(1);
	for (unsigned round = 0; round < ROUNDS; round++) {
		uint32_t number = random32() >> random() % 32, back;

		*text_put_number(text, number) = 0;
		snprintf(wanted, sizeof wanted, "%u", number);
		assert_string_equal(text, wanted);
		assert_true(text_number(text, strlen(text), UINT32_MAX, &back) && back == number);
		assert_true(number == 0 || !text_number(text, strlen(text), number - 1, &back));
	}
	assert_false(text_number("", 0, 10, &(uint32_t){0}));
	assert_false(text_number("4294967296", 10, UINT32_MAX, &(uint32_t){0}));
	assert_false(text_number("00000000001", 11, UINT32_MAX, &(uint32_t){0}));
}

static void times_are_those_of_the_calendar(void **state)
{
	char text[15], wanted[40];

	(void)state;
	srandom(2);
	for (unsigned round = 0; round < ROUNDS; round++) {
		uint32_t seconds = round < 4 ? round - 2 : random32(), back;
		time_t time = seconds;
		struct tm tm;

		*text_put_time(text, seconds) = 0;
		gmtime_r(&time, &tm);
		strftime(wanted, sizeof wanted, "%Y%m%d%H%M%S", &tm);
		assert_string_equal(text, wanted);
		assert_true(text_time(text, 14, &back) && back == seconds);
	}
}

static void addresses_come_back(void **state)
{
	char text[40], theirs[INET6_ADDRSTRLEN];

	(void)state;
	srandom(3);
	for (unsigned round = 0; round < ROUNDS; round++) {
		uint8_t address[16], back[16];

		for (unsigned i = 0; i < 16; i += 2)
			put_u16(address + i, random() % 2 ? 0 : (uint16_t)(random() >> random() % 31));
		*text_put_ipv6(text, address) = 0;
		assert_true(text_ipv6(text, strlen(text), back));
		assert_memory_equal(back, address, 16);
		inet_ntop(AF_INET6, address, theirs, sizeof theirs);
		if (!strchr(theirs, '.'))
			assert_string_equal(text, theirs);
		*text_put_ipv4(text, address) = 0;
		assert_true(text_ipv4(text, strlen(text), back));
		assert_memory_equal(back, address, 4);
		inet_ntop(AF_INET, address, theirs, sizeof theirs);
		assert_string_equal(text, theirs);
	}
}

/* Octets to text by `put`, and back in two pieces. */
static void octets_come_back(void **state)
{
	(void)state;
	srandom(4);
	for (unsigned round = 0; round < ROUNDS; round++) {
		uint8_t octets[40], back[40];
		size_t n = (size_t)random() % sizeof octets, length, half;
		struct wbuf out = wbuf_of(back, sizeof back);
		struct text_base64 base64 = {0};
		struct text_hex hex = {0};
		char text[4 * sizeof octets + 2];

		for (size_t i = 0; i < n; i++)
			octets[i] = (uint8_t)random();
		length = (size_t)(text_put_base64(text, octets, n) - text);
		half = length ? (size_t)random() % length : 0;
		assert_true(text_base64(&base64, text, half, &out) && text_base64(&base64, text + half, length - half, &out));
		assert_true(text_base64_whole(&base64) && wbuf_used(&out) == n);
		assert_memory_equal(back, octets, n);

		out = wbuf_of(back, sizeof back);
		length = (size_t)(text_put_hex(text, octets, n) - text);
		half = length ? (size_t)random() % length : 0;
		assert_true(text_hex(&hex, text, half, &out) && text_hex(&hex, text + half, length - half, &out));
		assert_true(text_hex_whole(&hex) && wbuf_used(&out) == n);
		assert_memory_equal(back, octets, n);

		out = wbuf_of(back, sizeof back);
		length = (size_t)(text_put_quoted(text, octets, n) - text);
		assert_true(text[0] == '"' && text[length - 1] == '"' && text_octets(text + 1, length - 2, &out));
		assert_true(wbuf_used(&out) == n);
		assert_memory_equal(back, octets, n);

		out = wbuf_of(back, sizeof back);
		length = (size_t)(text_put_base32hex(text, octets, n - n % 5) - text);
		assert_true(text_base32hex(text, length, &out) && wbuf_used(&out) == n - n % 5);
		assert_memory_equal(back, octets, n - n % 5);
	}
}

static void the_examples_of_the_rfcs(void **state)
{
	char text[40];

	(void)state;
	*text_put_base64(text, (const uint8_t *)"fooba", 5) = 0;
	assert_string_equal(text, "Zm9vYmE=");
	*text_put_base64(text, (const uint8_t *)"foob", 4) = 0;
	assert_string_equal(text, "Zm9vYg==");
	*text_put_base32hex(text, (const uint8_t *)"fooba", 5) = 0;
	assert_string_equal(text, "cpnmuoj1");
	*text_put_ipv6(text, (const uint8_t *)"\x20\1\x0d\xb8\0\0\0\0\0\1\0\0\0\0\0\1") = 0;
	assert_string_equal(text, "2001:db8::1:0:0:1");
	*text_put_ipv6(text, (const uint8_t *)"\x20\1\x0d\xb8\0\0\0\1\0\1\0\1\0\1\0\1") = 0;
	assert_string_equal(text, "2001:db8:0:1:1:1:1:1");
}

static void wrong_base64_is_refused(void **state)
{
	static const char *const cases[] = {"=", "A=", "A===", "AA=A", "AB==", "AAB=", "AA==AAAA", "AA===", "A-_A", "AAAA="};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct text_base64 base64 = {0};
		uint8_t octets[20];
		struct wbuf out = wbuf_of(octets, sizeof octets);

		assert_false(text_base64(&base64, cases[i], strlen(cases[i]), &out) && text_base64_whole(&base64));
	}
}

static void periods_are_sums(void **state)
{
	static const struct { const char *text; uint32_t seconds; } good[] = {
		{"0", 0}, {"4294967295", 4294967295}, {"1h30m", 5400}, {"1W1d1H1M1S", 694861}, {"7101w", 4294684800}, {"10s", 10},
	};
	static const char *const bad[] = {"", "h", "1x", "1h30", "7102w", "1h 3m", "-1", "4294967296", "1hh", "99999999999s"};
	uint32_t seconds;

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_true(text_period(good[i].text, strlen(good[i].text), &seconds) && seconds == good[i].seconds);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(text_period(bad[i], strlen(bad[i]), &seconds));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_come_back),
		cmocka_unit_test(times_are_those_of_the_calendar),
		cmocka_unit_test(addresses_come_back),
		cmocka_unit_test(octets_come_back),
		cmocka_unit_test(the_examples_of_the_rfcs),
		cmocka_unit_test(wrong_base64_is_refused),
		cmocka_unit_test(periods_are_sums),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
