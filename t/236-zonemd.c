/* zone/zonemd against the examples of RFC 8976, appendix A, and what is not quite one of them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "zone/build.h"
#include "zone/zonefile.h"
#include "zone/zonemd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const uint8_t apex[] = "\7example";

#define SOA "example. 86400 IN SOA ns1 admin 2018031900 1800 900 604800 86400\n"
#define NS "example. 86400 IN NS ns1\nexample. 86400 IN NS ns2\n"
#define HOSTS "ns1 3600 IN A 203.0.113.63\nns2 3600 IN AAAA 2001:db8::63\n"
#define ZONEMD "example. 86400 IN ZONEMD 2018031900 "
#define SIMPLE_384 "1 1 c68090d90a7aed716bc459f9340e3d7c1370d4d24b7e2fc3a1ddc0b9a87153b9a9713b3c9ae5cc27777f98b8e730044c\n"
#define OTHER_384 "1 1 d68090d90a7aed716bc459f9340e3d7c1370d4d24b7e2fc3a1ddc0b9a87153b9a9713b3c9ae5cc27777f98b8e730044c\n"
#define OTHER_512 "1 2 08cfa1115c7b948c4163a901270395ea226a930cd2cbcf2fa9a5e6eb85f37c8a4e114d884e66f176eab121cb02db7d652e0cc4827e7a3204f166b47e5613fd27\n"
#define STRANGE "1 240 e2d523f654b9422a96c5a8f44607bbee\n"

static const char complex_zone[] = SOA NS
	ZONEMD "1 1 a3b69bad980a3504e1cffcb0fd6397f93848071c93151f552ae2f6b1711d4bd2d8b39808226d7b9db71e34b72077f8fe\n"
	"ns1 3600 IN A 203.0.113.63\n"
	"NS2 3600 IN AAAA 2001:db8::63\n"
	"occluded.sub 7200 IN TXT \"I'm occluded but must be digested\"\n"
	"sub 7200 IN NS ns1\n"
	"duplicate 300 IN TXT \"I must be digested just once\"\n"
	"duplicate 300 IN TXT \"I must be digested just once\"\n"
	"UPPERCASE 3600 IN TXT \"canonicalize uppercase owner names\"\n"
	"* 777 IN PTR dont-forget-about-wildcards\n"
	"mail 3600 IN MX 20 MAIL1\n"
	"mail 3600 IN MX 10 Mail2.Example.\n"
	"sortme 3600 IN AAAA 2001:db8::5:61\n"
	"sortme 3600 IN AAAA 2001:db8::3:62\n"
	"sortme 3600 IN AAAA 2001:db8::4:63\n"
	"sortme 3600 IN AAAA 2001:db8::1:65\n"
	"sortme 3600 IN AAAA 2001:db8::2:64\n"
	"non-apex 900 IN ZONEMD 2018031900 1 1 616c6c6f776564206275742069676e6f7265642e20616c6c6f776564206275742069676e6f7265642e20616c6c6f7765\n";

#define MULTIPLE_512 "1 2 08cfa1115c7b948c4163a901270395ea226a930cd2cbcf2fa9a5e6eb85f37c8a4e114d884e66f176eab121cb02db7d652e0cc4827e7a3204f166b47e5613fd27\n"
#define MULTIPLE_384 "1 1 62e6cf51b02e54b9b5f967d547ce43136792901f9f88e637493daaf401c92c279dd10f0edb1c56f8080211f8480ee306\n"
#define MULTIPLE_REST \
	ZONEMD STRANGE \
	ZONEMD "241 1 e1846540e33a9e4189792d18d5d131f605fc283eaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n" \
	"ns1.example. 3600 IN A 203.0.113.63\n" \
	"ns2.example. 86400 IN TXT \"This example has multiple digests\"\n" \
	"NS2.EXAMPLE. 3600 IN AAAA 2001:db8::63\n"

static enum err add(void *build, const struct rr *rr, struct why *why)
{
	return build_add(build, rr, why);
}

static struct zone *zone_of(const char *text)
{
	struct build *build = build_new(apex, NULL, (struct build_limits){0});
	struct why why = {{0}};
	struct zone *zone;

	if (zonefile_parse("text", text, strlen(text), NULL, apex, add, build, &why) || build_finish(build, &zone, &why))
		fail_msg("%s", why.text);
	return zone;
}

static void expect(const char *text, enum zonemd_verdict wanted, const char *said)
{
	struct zone *zone = zone_of(text);
	enum zonemd_verdict verdict;
	struct why why = {{0}};

	assert_int_equal(zonemd_check(zone, &verdict, &why), ERR_OK);
	if (verdict != wanted || (said && !strstr(why.text, said)))
		fail_msg("verdict %d (%s), not %d (%s), of\n%s", verdict, why.text, wanted, said ? said : "", text);
	zone_put(zone);
}

static void the_examples_of_the_rfc_are_right(void **state)
{
	(void)state;
	expect(SOA NS ZONEMD SIMPLE_384 HOSTS, ZONEMD_RIGHT, NULL);
	expect(complex_zone, ZONEMD_RIGHT, NULL);
	expect(SOA NS ZONEMD MULTIPLE_384 ZONEMD MULTIPLE_512 MULTIPLE_REST, ZONEMD_RIGHT, NULL);
}

static void one_that_fits_is_enough(void **state)
{
	(void)state;
	expect(SOA NS ZONEMD MULTIPLE_384 ZONEMD OTHER_512 MULTIPLE_REST, ZONEMD_RIGHT, NULL);
	expect(SOA NS ZONEMD OTHER_384 ZONEMD MULTIPLE_512 MULTIPLE_REST, ZONEMD_RIGHT, NULL);
	expect(SOA NS ZONEMD MULTIPLE_512 MULTIPLE_REST, ZONEMD_RIGHT, NULL);
	expect(SOA NS ZONEMD SIMPLE_384 ZONEMD STRANGE HOSTS, ZONEMD_RIGHT, NULL);
}

static void what_is_not_there_or_not_known_is_told_apart(void **state)
{
	(void)state;
	expect(SOA NS HOSTS, ZONEMD_ABSENT, "no ZONEMD");
	expect(SOA NS ZONEMD STRANGE HOSTS, ZONEMD_UNKNOWN, "known here");
	expect(SOA NS "www 60 IN ZONEMD 2018031900 " SIMPLE_384 HOSTS, ZONEMD_ABSENT, "no ZONEMD");
}

static void what_does_not_fit_is_wrong(void **state)
{
	(void)state;
	expect(SOA NS ZONEMD OTHER_384 HOSTS, ZONEMD_WRONG, "digest");
	expect(SOA NS ZONEMD OTHER_384 ZONEMD STRANGE HOSTS, ZONEMD_WRONG, "digest");
	expect(SOA NS ZONEMD SIMPLE_384 HOSTS "www 60 IN A 192.0.2.1\n", ZONEMD_WRONG, "digest");
	expect(SOA NS ZONEMD SIMPLE_384 "ns1 3600 IN A 203.0.113.63\nns2 3601 IN AAAA 2001:db8::63\n", ZONEMD_WRONG, "digest");
	expect(SOA NS "example. 86400 IN ZONEMD 2018031899 " SIMPLE_384 HOSTS, ZONEMD_WRONG, "serial 2018031899, the zone has 2018031900");
	expect(SOA NS ZONEMD SIMPLE_384 ZONEMD OTHER_384 HOSTS, ZONEMD_WRONG, "more than one");
	expect(SOA NS ZONEMD OTHER_384 ZONEMD OTHER_512 HOSTS, ZONEMD_WRONG, "digest");
}

static void case_makes_no_difference(void **state)
{
	(void)state;
	expect("EXAMPLE. 86400 IN SOA NS1 Admin 2018031900 1800 900 604800 86400\nexample. 86400 IN NS nS1\nExample. 86400 IN NS ns2\n"
		ZONEMD SIMPLE_384 "Ns1 3600 IN A 203.0.113.63\nnS2 3600 IN AAAA 2001:db8::63\n", ZONEMD_RIGHT, NULL);
}

/* Not a benchmark: that it is no matter of minutes. With ZONEMD_RECORDS set it is one. */
static void a_large_zone_is_read_in_a_moment(void **state)
{
	const char *asked = getenv("ZONEMD_RECORDS");
	unsigned count = asked ? (unsigned)atoi(asked) : 20000;
	struct build *build = build_new(apex, NULL, (struct build_limits){0});
	struct timespec began, ended;
	enum zonemd_verdict verdict;
	struct why why = {{0}};
	struct zone *zone;

	(void)state;
	assert_int_equal(zonefile_parse("text", SOA NS ZONEMD SIMPLE_384 HOSTS, sizeof (SOA NS ZONEMD SIMPLE_384 HOSTS) - 1, NULL, apex, add, build,
		&why), ERR_OK);
	for (unsigned i = 0; i < count; i++) {
		uint8_t owner[NAME_SIZE], rdata[4];
		struct rr rr = {owner, RR_A, CLASS_IN, 4, 300, rdata};
		char text[40];

		put_u32(rdata, i);
		name_parse(text, (size_t)snprintf(text, sizeof text, "host-%u", i), apex, owner, NULL);
		assert_int_equal(build_add(build, &rr, &why), ERR_OK);
	}
	assert_int_equal(build_finish(build, &zone, &why), ERR_OK);
	clock_gettime(CLOCK_MONOTONIC, &began);
	assert_int_equal(zonemd_check(zone, &verdict, &why), ERR_OK);
	clock_gettime(CLOCK_MONOTONIC, &ended);
	assert_int_equal(verdict, ZONEMD_WRONG);
	if (asked)
		print_message("# %u records: %.3f s\n", count,
			(double)(ended.tv_sec - began.tv_sec) + (double)(ended.tv_nsec - began.tv_nsec) / 1e9);
	zone_put(zone);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_examples_of_the_rfc_are_right),
		cmocka_unit_test(one_that_fits_is_enough),
		cmocka_unit_test(what_is_not_there_or_not_known_is_told_apart),
		cmocka_unit_test(what_does_not_fit_is_wrong),
		cmocka_unit_test(case_makes_no_difference),
		cmocka_unit_test(a_large_zone_is_read_in_a_moment),
	};

	rr_init();
	return cmocka_run_group_tests_name("zone/zonemd", tests, NULL, NULL);
}
