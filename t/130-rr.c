#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "dns/name.h"
#include "dns/rr.h"
#include "dns/rrshape.h"
#include "rr-samples.h"

#include <stdio.h>
#include <stdlib.h>

#define LITERAL(s) (s), sizeof(s) - 1
#define HEADER "hhhhhhhhhhhh"
enum { HEADER_SIZE = 12 };

/* --- helpers ---------------------------------------------------------------------- */

/* Exactly as long as it says, so that any access beyond is seen by the sanitizer. */
static uint8_t *exact(const void *octets, size_t n)
{
	uint8_t *copy = malloc(n ? n : 1);

	assert_non_null(copy);
	memcpy(copy, octets, n);
	return copy;
}

static enum err check(uint16_t type, const void *octets, size_t n, struct why *why)
{
	uint8_t *rdata = exact(octets, n);
	enum err err;

	why->text[0] = 0;
	err = rr_check_rdata(type, rdata, n, why);
	free(rdata);
	return err;
}

/* Reads RDATA that stands behind header and `before` in a message that ends with it. */
static enum err read_behind(const char *before, size_t blen, uint16_t type, const char *octets, size_t n, struct wbuf *out,
	struct why *why)
{
	uint8_t *whole = malloc(HEADER_SIZE + blen + n + 1);
	struct rbuf msg;
	enum err err;

	assert_non_null(whole);
	memcpy(whole, HEADER, HEADER_SIZE);
	memcpy(whole + HEADER_SIZE, before, blen);
	memcpy(whole + HEADER_SIZE + blen, octets, n);
	whole = realloc(whole, HEADER_SIZE + blen + n);
	msg = rbuf_of(whole, HEADER_SIZE + blen + n);
	msg.at += HEADER_SIZE + blen;
	why->text[0] = 0;
	err = rr_read_rdata(&msg, type, (uint16_t)n, out, why);
	assert_false(msg.bad);
	assert_int_equal(rbuf_left(&msg), err ? n : 0);
	free(whole);
	return err;
}

static uint8_t space[70000];

static void print_sample(const struct sample *sample, const char *what)
{
	print_error("sample %d of type %u: %s\n", (int)(sample - samples), sample->type, what);
}

/* --- good RDATA --------------------------------------------------------------------- */

static void every_described_type_has_a_sample(void **state)
{
	(void)state;
	for (unsigned type = 0; type <= UINT16_MAX; type++) {
		const struct rrshape *shape = rrshape_of((uint16_t)type);
		int i = 0;

		if (!shape || shape->flags & RRSHAPE_META)
			continue;
		assert_true(shape->field[0] != FIELD_END);
		while (i < SAMPLES && samples[i].type != type)
			i++;
		if (i == SAMPLES)
			fail_msg("no sample of %s", shape->name);
	}
}

static void good_rdata_is_accepted_and_copied(void **state)
{
	(void)state;
	for (const struct sample *s = samples; s < samples + SAMPLES; s++) {
		struct wbuf out = wbuf_of(space, sizeof space);
		struct why why;

		if (check(s->type, s->octets, s->length, &why))
			print_sample(s, why.text);
		assert_int_equal(check(s->type, s->octets, s->length, &why), ERR_OK);
		assert_int_equal(read_behind("", 0, s->type, s->octets, s->length, &out, &why), ERR_OK);
		assert_int_equal(wbuf_used(&out), s->length);
		assert_memory_equal(space, s->octets, s->length);
	}
}

static void any_room_just_large_enough_will_do(void **state)
{
	(void)state;
	for (const struct sample *s = samples; s < samples + SAMPLES; s++) {
		uint8_t *room = exact(s->octets, s->length);
		struct wbuf out = wbuf_of(room, s->length);
		struct why why;

		memset(room, 0, s->length);
		assert_int_equal(read_behind("", 0, s->type, s->octets, s->length, &out, &why), ERR_OK);
		assert_memory_equal(room, s->octets, s->length);
		if (s->length) {
			out = wbuf_of(room, s->length - 1);
			assert_int_equal(read_behind("", 0, s->type, s->octets, s->length, &out, &why), ERR_NOSPACE);
			assert_int_equal(wbuf_used(&out), 0);
		}
		free(room);
	}
}

/* The kinds whose data has no end of its own. */
static bool open_ended(uint16_t type)
{
	const struct rrshape *shape = rrshape_of(type);
	unsigned i = 0;

	if (!shape)
		return true;
	while (shape->field[i + 1] != FIELD_END)
		i++;
	switch (shape->field[i]) {
	case FIELD_NAME: case FIELD_A: case FIELD_AAAA: case FIELD_PERIOD: case FIELD_STRING: case FIELD_DIGITS:
	case FIELD_SALT: case FIELD_ILNP64: case FIELD_EUI48: case FIELD_EUI64: case FIELD_LOC: case FIELD_RELAY:
	case FIELD_A6_NAME:
		return false;
	default:
		return true;
	}
}

static void rdata_with_a_definite_end_may_not_be_cut_or_longer(void **state)
{
	(void)state;
	for (const struct sample *s = samples; s < samples + SAMPLES; s++) {
		char longer[200];
		struct why why;

		if (open_ended(s->type))
			continue;
		for (size_t n = 0; n < s->length; n++) {
			if (!check(s->type, s->octets, n, &why))
				print_sample(s, "accepted when cut");
			assert_int_equal(check(s->type, s->octets, n, &why), ERR_FORMAT);
			assert_true(why.text[0]);
		}
		memcpy(longer, s->octets, s->length);
		longer[s->length] = 1;
		assert_int_equal(check(s->type, longer, s->length + 1, &why), ERR_FORMAT);
	}
}

static void any_octets_are_judged_without_an_access_beyond(void **state)
{
	uint8_t octets[40];
	unsigned accepted = 0;

	(void)state;
	srandom(1);
	for (unsigned round = 0; round < 60000; round++) {
		const struct sample *s = &samples[(size_t)random() % SAMPLES];
		size_t n = (size_t)random() % sizeof octets;
		struct why why;

		for (size_t i = 0; i < n; i++)
			octets[i] = (uint8_t)(random() % 3 ? random() % 5 : random());
		memcpy(octets, s->octets, n / 2 < s->length ? n / 2 : s->length);
		if (check(s->type, octets, n, &why) == ERR_OK)
			accepted++;
		else
			assert_true(why.text[0]);
	}
	assert_true(accepted > 1000);
}

static void an_unknown_type_is_any_octets(void **state)
{
	struct why why;

	(void)state;
	assert_int_equal(check(65280, LITERAL("\xff\xc0\0"), &why), ERR_OK);
	assert_int_equal(check(65534, "", 0, &why), ERR_OK);
	assert_int_equal(check(54, LITERAL("\xc0\x0c"), &why), ERR_OK);
}

/* --- hostile RDATA -------------------------------------------------------------------- */

static const struct hostile {
	uint16_t type;
	const char *octets;
	size_t length;
	const char *why;
} hostiles[] = {
	{RR_A, LITERAL("\1\2\3"), "A address: ends too early"},
	{RR_A, LITERAL("\1\2\3\4\5"), "A: 1 octets too many"},
	{RR_A, LITERAL(""), "A address: ends too early"},
	{RR_AAAA, LITERAL("0123456789abcde"), "AAAA address: ends too early"},
	{RR_NS, LITERAL(""), "NS nameserver: ends too early"},
	{RR_NS, LITERAL("\3ab"), "NS nameserver: is no domain name"},
	{RR_NS, LITERAL("\100a"), "NS nameserver: is no domain name"},
	{RR_NS, LITERAL("\1a\0\0"), "NS: 1 octets too many"},
	{RR_MX, LITERAL("\0"), "MX preference: ends too early"},
	{RR_MX, LITERAL("\0\1"), "MX exchange: ends too early"},
	{RR_SOA, LITERAL("\0\0" "1234567890123456789"), "SOA minimum: ends too early"},
	{RR_SOA, LITERAL("\0\0" "123456789012345678901"), "SOA: 1 octets too many"},
	{RR_SOA, LITERAL("\0\1a"), "SOA mailbox: is no domain name"},
	{RR_TXT, LITERAL(""), "TXT text: has no string"},
	{RR_TXT, LITERAL("\2a"), "TXT text: a string is longer than the data"},
	{RR_TXT, LITERAL("\1a\377"), "TXT text: a string is longer than the data"},
	{13 /* HINFO */, LITERAL("\1a"), "HINFO system: ends too early"},
	{19, LITERAL("\5" "3110x"), "X25 address: is not all digits"},
	{19, LITERAL("\3" "311"), "X25 address: has less than four digits"},
	{20, LITERAL("\1a\2b"), "ISDN subaddress: ends too early"},
	{20, LITERAL("\1a\1b\1c"), "ISDN: 2 octets too many"},
	{22, LITERAL(""), "NSAP address: is empty"},
	{25, LITERAL("\1\0\3\5"), "KEY key: is empty"},
	{27, LITERAL("\1a\1b"), "GPOS altitude: ends too early"},
	{29, LITERAL("\1\x12\x16\x13\x8b\x0d\x2c\x8c\x7f\xf8\xfc\xa5\0\x98\x96\x80"), "LOC location: is of an unknown version"},
	{29, LITERAL("\0\xa2\x16\x13\x8b\x0d\x2c\x8c\x7f\xf8\xfc\xa5\0\x98\x96\x80"), "LOC location: has a wrong size or precision"},
	{29, LITERAL("\0\x12\x02\x13\x8b\x0d\x2c\x8c\x7f\xf8\xfc\xa5\0\x98\x96\x80"), "LOC location: has a wrong size or precision"},
	{29, LITERAL("\0\x12\x16\x1a\x8b\x0d\x2c\x8c\x7f\xf8\xfc\xa5\0\x98\x96\x80"), "LOC location: has a wrong size or precision"},
	{29, LITERAL("\0\x12\x16\x13\xff\x0d\x2c\x8c\x7f\xf8\xfc\xa5\0\x98\x96\x80"), "LOC location: is not on the globe"},
	{29, LITERAL("\0\x12\x16\x13\x8b\x0d\x2c\x8c\x0f\xf8\xfc\xa5\0\x98\x96\x80"), "LOC location: is not on the globe"},
	{30, LITERAL("\0\x80"), "NXT types: is no bitmap of types"},
	{30, LITERAL("\0\x40\0"), "NXT types: is no bitmap of types"},
	{30, LITERAL("\0" "12345678901234567"), "NXT types: has more than 16 octets"},
	{RR_SRV, LITERAL("\0\1\0\2\0"), "SRV port: ends too early"},
	{34, LITERAL("\0"), "ATMA address: ends too early"},
	{34, LITERAL("\1a"), "ATMA address: is not all digits"},
	{RR_NAPTR, LITERAL("\0\1\0\2\1u\1s\5r\0"), "NAPTR regexp: ends too early"},
	{37, LITERAL("\0\1\0\2\5"), "CERT certificate: is empty"},
	{38, LITERAL("\x81\1a\0"), "A6 suffix: has a prefix over 128 bits"},
	{38, LITERAL("\x41\x80\0\0\0\0\0\0\0\1a\0"), "A6 suffix: has bits inside of the prefix"},
	{38, LITERAL("\x40\0\0\0\0\0\0\0"), "A6 suffix: ends too early"},
	{38, LITERAL("\0" "1234567890123456\0"), "A6: 1 octets too many"},
	{RR_DS, LITERAL("\0\1\5\2"), "DS digest: is empty"},
	{RR_DNSKEY, LITERAL("\1\0\3\x08"), "DNSKEY key: is empty"},
	{RR_RRSIG, LITERAL("\0\1\5\2\0\0\0\1\0\0\0\1\0\0\0\1\0"), "RRSIG key-tag: ends too early"},
	{RR_RRSIG, LITERAL("\0\1\5\2\0\0\0\1\0\0\0\1\0\0\0\1\0\1\0"), "RRSIG signature: is empty"},
	{RR_RRSIG, LITERAL("\0\xff\5\2\0\0\0\1\0\0\0\1\0\0\0\1\0\1\0s"), "RRSIG type-covered: is not a type that can be signed"},
	{RR_RRSIG, LITERAL("\0\0\5\2\0\0\0\1\0\0\0\1\0\0\0\1\0\1\0s"), "RRSIG type-covered: is not a type that can be signed"},
	{RR_RRSIG, LITERAL("\0\x2e\5\2\0\0\0\1\0\0\0\1\0\0\0\1\0\1\0s"), "RRSIG type-covered: is not a type that can be signed"},
	{RR_NSEC, LITERAL("\0"), "NSEC types: is empty"},
	{RR_NSEC, LITERAL("\0\0"), "NSEC types: its windows"},
	{RR_NSEC, LITERAL("\0\0\0"), "NSEC types: its windows"},
	{RR_NSEC, LITERAL("\0\0\1"), "NSEC types: its windows"},
	{RR_NSEC, LITERAL("\0\0\1\0"), "NSEC types: its windows"},
	{RR_NSEC, LITERAL("\0\0\2\x40\0"), "NSEC types: its windows"},
	{RR_NSEC, LITERAL("\0\0\x21" "123456789012345678901234567890123"), "NSEC types: its windows"},
	{RR_NSEC, LITERAL("\0\1\1\1\0\1\1"), "NSEC types: its windows"},
	{RR_NSEC, LITERAL("\0\1\1\1\1\1\1"), "NSEC types: its windows"},
	{RR_NSEC3, LITERAL("\1\0\0\1\2s"), "NSEC3 salt: ends too early"},
	{RR_NSEC3, LITERAL("\1\0\0\1\1s"), "NSEC3 next-hash: ends too early"},
	{RR_NSEC3, LITERAL("\1\0\0\1\0\0"), "NSEC3 next-hash: is empty"},
	{RR_NSEC3, LITERAL("\1\0\0\1\0\5abcd"), "NSEC3 next-hash: ends too early"},
	{RR_NSEC3, LITERAL("\1\0\0\1\0\1h\0\0"), "NSEC3 types: its windows"},
	{RR_NSEC3PARAM, LITERAL("\1\0\0\1\0\0"), "NSEC3PARAM: 1 octets too many"},
	{42, LITERAL("\0\1\x18\5\1\2\3\4\5"), "APL prefixes: an IPv4 prefix is too long"},
	{42, LITERAL("\0\1\x21\1\1"), "APL prefixes: an IPv4 prefix is too long"},
	{42, LITERAL("\0\2\x80\x11" "12345678901234567"), "APL prefixes: an IPv6 prefix is too long"},
	{42, LITERAL("\0\2\x81\1\1"), "APL prefixes: an IPv6 prefix is too long"},
	{42, LITERAL("\0\1\x18\2\1\0"), "APL prefixes: an address ends in a zero octet"},
	{42, LITERAL("\0\1\x18\2\1"), "APL prefixes: ends too early"},
	{42, LITERAL("\0\1\x18"), "APL prefixes: ends too early"},
	{44, LITERAL("\1\1"), "SSHFP fingerprint: is empty"},
	{45, LITERAL("\12\4\2key"), "IPSECKEY gateway: is of an unknown type"},
	{45, LITERAL("\12\x81\2\1\2\3\4key"), "IPSECKEY gateway: is of an unknown type"},
	{45, LITERAL("\12\1\2\1\2\3"), "IPSECKEY gateway: ends too early"},
	{45, LITERAL("\12\2\2\1\2\3"), "IPSECKEY gateway: ends too early"},
	{45, LITERAL("\12\3\2\xc0\x0c"), "IPSECKEY gateway: is a compressed name"},
	{45, LITERAL("\12\3"), "IPSECKEY algorithm: ends too early"},
	{52, LITERAL("\3\1\1"), "TLSA data: is empty"},
	{55, LITERAL("\0\2\0\3key"), "HIP identity: has an empty tag or key"},
	{55, LITERAL("\3\2\0\0hit"), "HIP identity: has an empty tag or key"},
	{55, LITERAL("\3\2\377\377hitkey"), "HIP identity: ends too early"},
	{55, LITERAL("\1\2\0\1hk\2s"), "HIP servers: is no domain name"},
	{62, LITERAL("\0\0\0\1\0\3\0\0"), "CSYNC types: its windows"},
	{63, LITERAL("\0\0\0\1\1\1" "12345678901234567890123456789012345678901234567"), "ZONEMD digest: is not of 48 octets"},
	{63, LITERAL("\0\0\0\1\1\2" "123456789012345678901234567890123456789012345678"), "ZONEMD digest: is not of 64 octets"},
	{63, LITERAL("\0\0\0\1\1\xf0" "12345678901"), "ZONEMD digest: has less than 12 octets"},
	{63, LITERAL("\0\0\0\1\1"), "ZONEMD hash-algorithm: ends too early"},
	{104, LITERAL("\0\1" "1234567"), "NID node: ends too early"},
	{108, LITERAL("12345"), "EUI48 address: ends too early"},
	{109, LITERAL("123456789"), "EUI64: 1 octets too many"},
	{256, LITERAL("\0\1\0\1"), "URI target: is empty"},
	{257, LITERAL("\0\0v"), "CAA tag: is empty"},
	{257, LITERAL("\0\5iss"), "CAA tag: ends too early"},
	{257, LITERAL("\0\3a-bv"), "CAA tag: is not all letters and digits"},
	{260, LITERAL("\12\4"), "AMTRELAY relay: is of an unknown type"},
	{260, LITERAL("\12\x81\1\2\3"), "AMTRELAY relay: ends too early"},
	{260, LITERAL("\12\0\0"), "AMTRELAY: 1 octets too many"},
	/* SVCB and HTTPS: bounds, order, and each key's own value */
	{64, LITERAL("\0\1\0\0"), "SVCB parameters: a parameter is longer than the data"},
	{64, LITERAL("\0\1\0\0\3\0"), "SVCB parameters: a parameter is longer than the data"},
	{64, LITERAL("\0\1\0\0\3\0\2\1"), "SVCB parameters: a parameter is longer than the data"},
	{64, LITERAL("\0\1\0\0\3\377\377\1\1"), "SVCB parameters: a parameter is longer than the data"},
	{64, LITERAL("\0\1\0\0\x10\377\374\0\x11\0\0"), "SVCB parameters: a parameter is longer than the data"},
	{65, LITERAL("\0\1\0\0\x10\0\0\0\x10\0\0"), "HTTPS parameters: keys are not in order"},
	{65, LITERAL("\0\1\0\0\x11\0\0\0\x10\0\0"), "HTTPS parameters: keys are not in order"},
	{65, LITERAL("\0\1\0\377\377\0\0"), "HTTPS parameters: key65535 is not allowed"},
	{65, LITERAL("\0\1\0\0\0\0\0"), "HTTPS parameters: mandatory is of a wrong length"},
	{65, LITERAL("\0\1\0\0\0\0\3\0\3\0"), "HTTPS parameters: mandatory is of a wrong length"},
	{65, LITERAL("\0\1\0\0\0\0\2\0\0\0\3\0\2\0\1"), "HTTPS parameters: mandatory is not in order"},
	{65, LITERAL("\0\1\0\0\0\0\4\0\3\0\3\0\3\0\2\0\1"), "HTTPS parameters: mandatory is not in order"},
	{65, LITERAL("\0\1\0\0\0\0\2\0\4\0\3\0\2\0\1"), "HTTPS parameters: a mandatory parameter is not there"},
	{65, LITERAL("\0\1\0\0\1\0\0"), "HTTPS parameters: alpn is no list of strings"},
	{65, LITERAL("\0\1\0\0\1\0\2\2a"), "HTTPS parameters: alpn is no list of strings"},
	{65, LITERAL("\0\1\0\0\1\0\3\1a\0"), "HTTPS parameters: alpn has an empty string"},
	{65, LITERAL("\0\1\0\0\2\0\0"), "HTTPS parameters: no-default-alpn without alpn"},
	{65, LITERAL("\0\1\0\0\1\0\2\1a\0\2\0\1x"), "HTTPS parameters: no-default-alpn has a value"},
	{65, LITERAL("\0\1\0\0\3\0\1x"), "HTTPS parameters: port is of a wrong length"},
	{65, LITERAL("\0\1\0\0\4\0\0"), "HTTPS parameters: ipv4hint is of a wrong length"},
	{65, LITERAL("\0\1\0\0\4\0\5abcde"), "HTTPS parameters: ipv4hint is of a wrong length"},
	{65, LITERAL("\0\1\0\0\5\0\0"), "HTTPS parameters: ech is empty"},
	{65, LITERAL("\0\1\0\0\6\0\4abcd"), "HTTPS parameters: ipv6hint is of a wrong length"},
	{65, LITERAL("\0\1\0\0\7\0\0"), "HTTPS parameters: dohpath is empty"},
	{65, LITERAL("\0\1\0\0\x08\0\1x"), "HTTPS parameters: ohttp has a value"},
	{65, LITERAL("\0\1\xc0\x0c"), "HTTPS target: is a compressed name"},
};

static void hostile_rdata_is_refused_with_its_field_named(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof hostiles / sizeof *hostiles; i++) {
		const struct hostile *h = &hostiles[i];
		struct wbuf out = wbuf_of(space, sizeof space);
		struct why why;

		assert_int_equal(check(h->type, h->octets, h->length, &why), ERR_FORMAT);
		if (strncmp(why.text, h->why, strlen(h->why)) != 0)
			fail_msg("\"%s\" instead of \"%s\"", why.text, h->why);
		assert_int_equal(read_behind("", 0, h->type, h->octets, h->length, &out, &why), ERR_FORMAT);
		assert_true(why.text[0]);
		assert_int_equal(wbuf_used(&out), 0);
	}
}

static void rdata_longer_than_the_message_is_refused(void **state)
{
	static const uint16_t types[] = {RR_A, RR_NS, RR_SOA, RR_TXT, 65280};
	uint8_t *whole = exact(HEADER "\0\0\0\0", HEADER_SIZE + 4);

	(void)state;
	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		struct rbuf msg = rbuf_of(whole, HEADER_SIZE + 4);
		struct wbuf out = wbuf_of(space, sizeof space);
		struct why why;

		msg.at += HEADER_SIZE;
		assert_int_equal(rr_read_rdata(&msg, types[i], 65535, &out, &why), ERR_FORMAT);
		assert_int_equal(rr_read_rdata(&msg, types[i], 5, &out, &why), ERR_FORMAT);
	}
	free(whole);
}

/* --- compressed names ------------------------------------------------------------------ */

static const char before[] = "\4host\7example\0";   /* "host.example." stands at 12, "example." at 17 */

static const struct compressed {
	uint16_t type;
	const char *octets;
	size_t length;
	const char *expanded;
	size_t elength;
} compressed[] = {
	{RR_NS, LITERAL("\xc0\x0c"), LITERAL("\4host\7example\0")},
	{3, LITERAL("\xc0\x0c"), LITERAL("\4host\7example\0")},
	{RR_CNAME, LITERAL("\1a\xc0\x11"), LITERAL("\1a\7example\0")},
	{RR_PTR, LITERAL("\1a\xc0\x11"), LITERAL("\1a\7example\0")},
	{RR_MX, LITERAL("\0\1\xc0\x0c"), LITERAL("\0\1\4host\7example\0")},
	{RR_SOA, LITERAL("\xc0\x0c\1h\xc0\x11" "12345678901234567890"),
		LITERAL("\4host\7example\0\1h\7example\0" "12345678901234567890")},
	{14, LITERAL("\xc0\x0c\xc0\x11"), LITERAL("\4host\7example\0\7example\0")},
	/* the ones that RFC 3597 4 only recommends to understand */
	{17, LITERAL("\xc0\x0c\xc0\x11"), LITERAL("\4host\7example\0\7example\0")},
	{18, LITERAL("\0\1\xc0\x0c"), LITERAL("\0\1\4host\7example\0")},
	{21, LITERAL("\0\1\xc0\x0c"), LITERAL("\0\1\4host\7example\0")},
	{24, LITERAL("\0\1\5\2\0\0\0\1\0\0\0\1\0\0\0\1\0\1\xc0\x11s"),
		LITERAL("\0\1\5\2\0\0\0\1\0\0\0\1\0\0\0\1\0\1\7example\0s")},
	{26, LITERAL("\0\1\xc0\x0c\xc0\x11"), LITERAL("\0\1\4host\7example\0\7example\0")},
	{30, LITERAL("\xc0\x0c\x40"), LITERAL("\4host\7example\0\x40")},
	{RR_SRV, LITERAL("\0\1\0\2\0\3\xc0\x0c"), LITERAL("\0\1\0\2\0\3\4host\7example\0")},
	{RR_NAPTR, LITERAL("\0\1\0\2\1u\1s\0\xc0\x0c"), LITERAL("\0\1\0\2\1u\1s\0\4host\7example\0")},
};

static void compressed_names_are_expanded_where_they_may_be(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof compressed / sizeof *compressed; i++) {
		const struct compressed *c = &compressed[i];
		struct wbuf out = wbuf_of(space, sizeof space), tight = wbuf_of(space, c->elength);
		struct why why;

		assert_int_equal(read_behind(LITERAL(before), c->type, c->octets, c->length, &out, &why), ERR_OK);
		assert_int_equal(wbuf_used(&out), c->elength);
		assert_memory_equal(space, c->expanded, c->elength);
		memset(space, 0, c->elength);
		assert_int_equal(read_behind(LITERAL(before), c->type, c->octets, c->length, &tight, &why), ERR_OK);
		assert_memory_equal(space, c->expanded, c->elength);
		tight = wbuf_of(space, c->elength - 1);
		assert_int_equal(read_behind(LITERAL(before), c->type, c->octets, c->length, &tight, &why), ERR_NOSPACE);
		assert_int_equal(wbuf_used(&tight), 0);
	}
}

static void compressed_names_are_refused_in_every_other_type(void **state)
{
	static const struct { uint16_t type; const char *octets; size_t length; } cases[] = {
		{RR_DNAME, LITERAL("\xc0\x0c")}, {23, LITERAL("\xc0\x0c")}, {36, LITERAL("\0\1\xc0\x0c")},
		{38, LITERAL("\x80\xc0\x0c")}, {45, LITERAL("\12\3\0\xc0\x0c")},
		{RR_RRSIG, LITERAL("\0\1\5\2\0\0\0\1\0\0\0\1\0\0\0\1\0\1\xc0\x11s")},
		{RR_NSEC, LITERAL("\xc0\x0c\0\1\x40")}, {55, LITERAL("\1\2\0\1hk\xc0\x0c")},
		{58, LITERAL("\xc0\x0c\0")}, {64, LITERAL("\0\1\xc0\x0c")}, {65, LITERAL("\0\0\1a\xc0\x0c")},
		{107, LITERAL("\0\1\xc0\x0c")}, {260, LITERAL("\12\3\xc0\x0c")},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct wbuf out = wbuf_of(space, sizeof space);
		struct why why;

		assert_int_equal(read_behind(LITERAL(before), cases[i].type, cases[i].octets, cases[i].length, &out, &why), ERR_FORMAT);
	}
}

static void wrong_pointers_are_refused(void **state)
{
	static const struct { uint16_t type; const char *octets; size_t length; } cases[] = {
		{RR_NS, LITERAL("\xc0\x1a")},              /* itself */
		{RR_NS, LITERAL("\xc0\x1c")},              /* ahead, beyond the end */
		{RR_NS, LITERAL("\xc0\x00")},              /* the header */
		{RR_NS, LITERAL("\xc0")},                  /* half a pointer */
		{RR_NS, LITERAL("\1a\xc0\x1a")},           /* the label before it: a loop */
		{RR_NS, LITERAL("\1a\x80\x0c")},
		{RR_MX, LITERAL("\0\1\xc0\x1c")},
		{RR_SOA, LITERAL("\xc0\x1c\xc0\x1a" "12345678901234567890")},
		{RR_SOA, LITERAL("\xc0\x0c\xc0\x0c" "1234567890123456789")},
		{RR_SRV, LITERAL("\0\1\0\2\0\3\xc0\xff")},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct wbuf out = wbuf_of(space, sizeof space);
		struct why why;

		assert_int_equal(read_behind(LITERAL(before), cases[i].type, cases[i].octets, cases[i].length, &out, &why), ERR_FORMAT);
		assert_int_equal(wbuf_used(&out), 0);
	}
}

static void a_name_may_not_leave_its_rdata(void **state)
{
	uint8_t *whole = exact(HEADER "\4host\0", HEADER_SIZE + 6);
	struct rbuf msg = rbuf_of(whole, HEADER_SIZE + 6);
	struct wbuf out = wbuf_of(space, sizeof space);
	struct why why;

	(void)state;
	msg.at += HEADER_SIZE;
	for (uint16_t n = 0; n < 6; n++)
		assert_int_equal(rr_read_rdata(&msg, RR_NS, n, &out, &why), ERR_FORMAT);
	assert_int_equal(rr_read_rdata(&msg, RR_NS, 6, &out, &why), ERR_OK);
	free(whole);
}

static void rdata_that_grows_beyond_64k_is_refused(void **state)
{
	static char sig[65535];
	struct wbuf out = wbuf_of(space, sizeof space);
	struct why why;

	(void)state;
	memcpy(sig + 18, "\xc0\x0c", 2);
	assert_int_equal(read_behind(LITERAL(before), 24, sig, sizeof sig, &out, &why), ERR_FORMAT);
	assert_int_equal(wbuf_used(&out), 0);
	assert_int_equal(read_behind(LITERAL(before), 24, sig, sizeof sig - 12, &out, &why), ERR_OK);
	assert_int_equal(wbuf_used(&out), 65535);
}

/* --- names and order ----------------------------------------------------------------------- */

static void names_are_found_in_rdata(void **state)
{
	static const struct { uint16_t type; const char *octets; size_t length; bool compress; unsigned n; uint16_t at[3]; } cases[] = {
		{RR_A, LITERAL("\1\2\3\4"), true, 0, {0}},
		{RR_NS, LITERAL("\1a\0"), true, 1, {0}},
		{RR_MX, LITERAL("\0\1\1a\0"), true, 1, {2}},
		{RR_SOA, LITERAL("\1a\0\1b\0" "12345678901234567890"), true, 2, {0, 3}},
		{14, LITERAL("\1a\0\1b\0"), true, 2, {0, 3}},
		{RR_SRV, LITERAL("\0\1\0\1\0\1\1a\0"), true, 0, {0}},
		{RR_SRV, LITERAL("\0\1\0\1\0\1\1a\0"), false, 1, {6}},
		{RR_NAPTR, LITERAL("\0\1\0\1\1u\0\2ab\1a\0"), false, 1, {10}},
		{RR_RRSIG, LITERAL("\0\1\5\2\0\0\0\1\0\0\0\1\0\0\0\1\0\1\1a\0s"), false, 1, {18}},
		{45, LITERAL("\12\3\2\1g\0key"), false, 1, {3}},
		{45, LITERAL("\12\1\2\1\2\3\4key"), false, 0, {0}},
		{38, LITERAL("\x80\1a\0"), false, 1, {1}},
		{55, LITERAL("\1\2\0\1hk\1a\0\1b\0\1c\0"), false, 3, {6, 9, 12}},
		{64, LITERAL("\0\1\1a\0\0\3\0\2\0\1"), false, 1, {2}},
		{65280, LITERAL("\1a\0"), false, 0, {0}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		uint16_t at[RR_NAMES];
		unsigned n = rr_names(cases[i].type, (const uint8_t *)cases[i].octets, cases[i].length, cases[i].compress, at);

		assert_int_equal(n, cases[i].n);
		assert_memory_equal(at, cases[i].at, n * sizeof *at);
	}
}

static void more_names_than_there_is_room_for_are_left_out(void **state)
{
	static uint8_t rdata[6 + 3 * 40] = "\1\2\0\1hk";
	uint16_t at[RR_NAMES];

	(void)state;
	for (size_t i = 6; i < sizeof rdata; i += 3)
		memcpy(rdata + i, "\1a\0", 3);
	assert_int_equal(rr_check_rdata(55, rdata, sizeof rdata, NULL), ERR_OK);
	assert_int_equal(rr_names(55, rdata, sizeof rdata, false, at), RR_NAMES);
}

static int sign(int v) { return (v > 0) - (v < 0); }

static void rdata_is_ordered_as_the_rfc_says(void **state)
{
	static const struct { uint16_t type; const char *a; size_t alen; const char *b; size_t blen; int order; } cases[] = {
		{RR_A, LITERAL("\1\2\3\4"), LITERAL("\1\2\3\5"), -1},
		{RR_A, LITERAL("\377\0\0\0"), LITERAL("\1\0\0\0"), 1},
		{RR_TXT, LITERAL("\1a"), LITERAL("\1A"), 1},
		{RR_TXT, LITERAL("\1a"), LITERAL("\1a\1b"), -1},
		{RR_NS, LITERAL("\2NS\7Example\0"), LITERAL("\2ns\7exaMPLE\0"), 0},
		{RR_NS, LITERAL("\1b\0"), LITERAL("\2aa\0"), -1},   /* octets, not names: the shorter label first */
		{RR_NS, LITERAL("\1B\0"), LITERAL("\1a\0"), 1},
		{RR_NS, LITERAL("\1a\0"), LITERAL("\1a\1b\0"), -1},
		{RR_MX, LITERAL("\0\1\1B\0"), LITERAL("\0\1\1b\0"), 0},
		{RR_MX, LITERAL("\0\2\1a\0"), LITERAL("\0\1\1b\0"), 1},
		{RR_MX, LITERAL("\0A\1a\0"), LITERAL("\0a\1a\0"), -1},   /* a preference is not folded */
		{RR_SOA, LITERAL("\1A\0\1B\0" "1234567890123456789a"), LITERAL("\1a\0\1b\0" "1234567890123456789a"), 0},
		{RR_SOA, LITERAL("\1A\0\1B\0" "1234567890123456789A"), LITERAL("\1a\0\1b\0" "1234567890123456789a"), -1},
		{RR_SRV, LITERAL("\0\1\0\2\0\3\1A\0"), LITERAL("\0\1\0\2\0\3\1a\0"), 0},
		{RR_NAPTR, LITERAL("\0\1\0\2\1u\0\0\1A\0"), LITERAL("\0\1\0\2\1u\0\0\1a\0"), 0},
		{RR_NAPTR, LITERAL("\0\1\0\2\1U\0\0\1A\0"), LITERAL("\0\1\0\2\1u\0\0\1a\0"), -1},
		{RR_RRSIG, LITERAL("\0\1\5\2\0\0\0\1\0\0\0\1\0\0\0\1\0\1\1A\0s"),
			LITERAL("\0\1\5\2\0\0\0\1\0\0\0\1\0\0\0\1\0\1\1a\0s"), 0},
		{RR_RRSIG, LITERAL("\0\1\5\2\0\0\0\1\0\0\0\1\0\0\0\1\0\1\1A\0S"),
			LITERAL("\0\1\5\2\0\0\0\1\0\0\0\1\0\0\0\1\0\1\1a\0s"), -1},
		/* RFC 6840 5.1: not the next name of NSEC; and no type that came after RFC 4034 */
		{RR_NSEC, LITERAL("\1A\0\0\1\x40"), LITERAL("\1a\0\0\1\x40"), -1},
		{64, LITERAL("\0\1\1A\0"), LITERAL("\0\1\1a\0"), -1},
		{107, LITERAL("\0\1\1A\0"), LITERAL("\0\1\1a\0"), -1},
		{RR_DNAME, LITERAL("\1A\0"), LITERAL("\1a\0"), 0},
		{65280, LITERAL("\1A\0"), LITERAL("\1a\0"), -1},
		{65280, LITERAL(""), LITERAL("\0"), -1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		uint8_t *a = exact(cases[i].a, cases[i].alen), *b = exact(cases[i].b, cases[i].blen);

		assert_int_equal(sign(rr_compare_rdata(cases[i].type, a, cases[i].alen, b, cases[i].blen)), cases[i].order);
		assert_int_equal(sign(rr_compare_rdata(cases[i].type, b, cases[i].blen, a, cases[i].alen)), -cases[i].order);
		free(a);
		free(b);
	}
}

static void every_sample_equals_itself_and_orders_against_a_changed_one(void **state)
{
	(void)state;
	for (const struct sample *s = samples; s < samples + SAMPLES; s++) {
		const uint8_t *octets = (const uint8_t *)s->octets;
		uint8_t *changed = exact(octets, s->length);

		assert_int_equal(rr_compare_rdata(s->type, octets, s->length, changed, s->length), 0);
		if (s->length) {
			changed[s->length - 1] ^= 0x80;
			assert_int_equal(sign(rr_compare_rdata(s->type, octets, s->length, changed, s->length)),
				octets[s->length - 1] & 0x80 ? 1 : -1);
		}
		free(changed);
	}
}

static void meta_types_are_told_apart(void **state)
{
	(void)state;
	assert_true(rr_is_meta(0) && rr_is_meta(RR_OPT) && rr_is_meta(128) && rr_is_meta(RR_TSIG) && rr_is_meta(RR_ANY));
	assert_false(rr_is_meta(RR_A) || rr_is_meta(127) || rr_is_meta(256) || rr_is_meta(RR_RRSIG) || rr_is_meta(65280));
}

static void the_numbers_of_a_soa_are_read(void **state)
{
	static const char soa[] = "\1a\0\0" "\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\377\0\0\5";
	struct rr_soa got = rr_soa_of((const uint8_t *)soa, sizeof soa - 1);

	(void)state;
	assert_int_equal(got.serial, 1);
	assert_int_equal(got.refresh, 2);
	assert_int_equal(got.retry, 3);
	assert_int_equal(got.expire, 4);
	assert_int_equal(got.minimum, 0xff000005u);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_described_type_has_a_sample),
		cmocka_unit_test(good_rdata_is_accepted_and_copied),
		cmocka_unit_test(any_room_just_large_enough_will_do),
		cmocka_unit_test(rdata_with_a_definite_end_may_not_be_cut_or_longer),
		cmocka_unit_test(any_octets_are_judged_without_an_access_beyond),
		cmocka_unit_test(an_unknown_type_is_any_octets),
		cmocka_unit_test(hostile_rdata_is_refused_with_its_field_named),
		cmocka_unit_test(rdata_longer_than_the_message_is_refused),
		cmocka_unit_test(compressed_names_are_expanded_where_they_may_be),
		cmocka_unit_test(compressed_names_are_refused_in_every_other_type),
		cmocka_unit_test(wrong_pointers_are_refused),
		cmocka_unit_test(a_name_may_not_leave_its_rdata),
		cmocka_unit_test(rdata_that_grows_beyond_64k_is_refused),
		cmocka_unit_test(names_are_found_in_rdata),
		cmocka_unit_test(more_names_than_there_is_room_for_are_left_out),
		cmocka_unit_test(rdata_is_ordered_as_the_rfc_says),
		cmocka_unit_test(every_sample_equals_itself_and_orders_against_a_changed_one),
		cmocka_unit_test(meta_types_are_told_apart),
		cmocka_unit_test(the_numbers_of_a_soa_are_read),
	};

	rr_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
