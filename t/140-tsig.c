#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "dns/tsig.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>

enum { NOW = 1790000000 };

static struct tsig client, server;
static struct tsig_key key;
static uint8_t request[1000], reply[MSG_MAX];
static size_t request_length, reply_length;

/* --- helpers: messages ------------------------------------------------------------------ */

#define SECRET "c2VjcmV0IG9mIHR3ZW50eSBvY3RldHM="
static const uint8_t zone[] = "\7example\3com";

static struct tsig_key key_of(const char *name, const char *algorithm, const char *secret)
{
	struct tsig_key made;
	struct why why = {""};

	if (tsig_key_parse(&made, name, algorithm, secret, &why) != ERR_OK)
		fail_msg("%s", why.text);
	return made;
}

/* A message with a question and `answers` address records. */
static size_t plain(uint8_t *out, size_t size, uint16_t id, uint16_t flags, unsigned answers)
{
	static struct msg_writer writer;
	struct rr rr = {.owner = zone, .type = RR_A, .class = CLASS_IN, .ttl = 60, .rdlength = 4};

	msg_start(&writer, out, size, size);
	assert_true(msg_put_question(&writer, zone, RR_AXFR, CLASS_IN));
	for (unsigned i = 0; i < answers; i++) {
		uint8_t address[4] = {192, 0, 2, (uint8_t)i};

		rr.rdata = address;
		assert_true(msg_put_rr(&writer, MSG_ANSWER, &rr));
	}
	return msg_finish(&writer, id, flags);
}

static void ask(const struct tsig_key *with, uint64_t now)
{
	struct wbuf buf = wbuf_of(request, sizeof request);

	buf.at += plain(request, sizeof request, 0x1234, 0, 0);
	assert_int_equal(tsig_sign_request(&client, with, &buf, now), ERR_OK);
	request_length = wbuf_used(&buf);
}

static const struct tsig_key *the_key(void *ctx, const uint8_t *name, const uint8_t *algorithm)
{
	const struct tsig_key *have = ctx;

	(void)algorithm;
	return have && name_equal(have->name, name) ? have : NULL;
}

/* Functions below get a copy of exactly the message's size, and must leave it as it is. */
static enum tsig_verdict check_bytes(const uint8_t *bytes, size_t n, const struct tsig_key *have, uint64_t now)
{
	uint8_t *copy = malloc(n ? n : 1);
	enum tsig_verdict verdict;
	size_t length;

	assert_non_null(copy);
	memcpy(copy, bytes, n);
	verdict = tsig_check_request(&server, the_key, (void *)(uintptr_t)have, copy, n, now, &length);
	assert_memory_equal(copy, bytes, n);
	assert_true(length <= n);
	if (verdict == TSIG_UNSIGNED)
		assert_int_equal(length, n);
	free(copy);
	return verdict;
}

static enum tsig_verdict verify_bytes(const uint8_t *bytes, size_t n, uint64_t now)
{
	uint8_t *copy = malloc(n ? n : 1);
	enum tsig_verdict verdict;
	size_t length;

	assert_non_null(copy);
	memcpy(copy, bytes, n);
	verdict = tsig_verify_reply(&client, copy, n, now, &length);
	assert_memory_equal(copy, bytes, n);
	assert_true(length <= n);
	free(copy);
	return verdict;
}

static enum tsig_verdict check(const struct tsig_key *have, uint64_t now)
{
	return check_bytes(request, request_length, have, now);
}

static void answer_with(unsigned answers, uint64_t now)
{
	struct wbuf buf = wbuf_of(reply, sizeof reply);
	size_t before = plain(reply, sizeof reply, 0x1234, MSG_QR, answers), room = tsig_room(&server);

	buf.at += before;
	assert_int_equal(tsig_sign_reply(&server, &buf, now), ERR_OK);
	reply_length = wbuf_used(&buf);
	assert_int_equal(reply_length, before + room);
	assert_true(room <= TSIG_ROOM);
}

static enum tsig_verdict verify(uint64_t now)
{
	return verify_bytes(reply, reply_length, now);
}

/* --- helpers: an independent signer ------------------------------------------------------- */

/* Everything that can be said in a TSIG, and wrongly. */
struct craft {
	const char *name, *algorithm;    /* wire form, the root's zero left out */
	const EVP_MD *md;
	const char *secret;              /* octets */
	uint16_t class;
	uint32_t ttl;
	uint64_t time;
	uint16_t fudge, error, other_length, other_claim;
	uint8_t other[16];
	uint16_t original_id;
	int mac_length;                  /* as sent; -1: in full */
	bool timers_only;
	uint8_t prior[64];               /* MAC before; length 0: none */
	size_t prior_length;
	const uint8_t *before;           /* unsigned messages before this one */
	size_t before_length;
};

static const struct craft good = {
	.name = "\3xfr\4test", .algorithm = "\x0bhmac-sha256", .secret = "secret of twenty octets",
	.class = CLASS_ANY, .time = NOW, .fudge = 300, .original_id = 0x1234, .mac_length = -1,
};

static void put_variables(struct wbuf *out, const struct craft *c)
{
	if (!c->timers_only) {
		wbuf_bytes(out, c->name, strlen(c->name) + 1);
		wbuf_u16(out, c->class);
		wbuf_u32(out, c->ttl);
		wbuf_bytes(out, c->algorithm, strlen(c->algorithm) + 1);
	}
	wbuf_u48(out, c->time);
	wbuf_u16(out, c->fudge);
	if (!c->timers_only) {
		wbuf_u16(out, c->error);
		wbuf_u16(out, c->other_length);
		wbuf_bytes(out, c->other, c->other_length);
	}
}

/* Adds a TSIG to the message; what is sent of its MAC becomes c->prior. */
static size_t craft(struct craft *c, uint8_t *message, size_t length)
{
	static uint8_t digested[20 * 1000 * 1000];
	struct wbuf in = wbuf_of(digested, sizeof digested), out = wbuf_of(message + length, 700);
	unsigned n = 0;
	uint8_t mac[64] = {0};
	uint16_t sent;

	if (c->prior_length) {
		wbuf_u16(&in, (uint16_t)c->prior_length);
		wbuf_bytes(&in, c->prior, c->prior_length);
	}
	wbuf_bytes(&in, c->before, c->before_length);
	wbuf_u16(&in, c->original_id);
	wbuf_bytes(&in, message + 2, length - 2);
	put_variables(&in, c);
	assert_false(in.bad);
	HMAC(c->md ? c->md : EVP_sha256(), c->secret, (int)strlen(c->secret), digested, wbuf_used(&in), mac, &n);
	sent = c->mac_length < 0 ? (uint16_t)n : (uint16_t)c->mac_length;

	wbuf_bytes(&out, c->name, strlen(c->name) + 1);
	wbuf_u16(&out, RR_TSIG);
	wbuf_u16(&out, c->class);
	wbuf_u32(&out, c->ttl);
	wbuf_u16(&out, (uint16_t)(strlen(c->algorithm) + 1 + 16 + sent + c->other_length));
	wbuf_bytes(&out, c->algorithm, strlen(c->algorithm) + 1);
	wbuf_u48(&out, c->time);
	wbuf_u16(&out, c->fudge);
	wbuf_u16(&out, sent);
	wbuf_bytes(&out, mac, sent);
	wbuf_u16(&out, c->original_id);
	wbuf_u16(&out, c->error);
	wbuf_u16(&out, c->other_claim ? c->other_claim : c->other_length);
	wbuf_bytes(&out, c->other, c->other_length);
	assert_false(out.bad);
	put_u16(message + 10, (uint16_t)(get_u16(message + 10) + 1));
	memcpy(c->prior, mac, sent < 64 ? sent : 64);
	c->prior_length = sent;
	return length + wbuf_used(&out);
}

/* A request or a reply with a TSIG made by `c`. */
static enum tsig_verdict check_crafted(struct craft c, uint64_t now)
{
	return check_bytes(request, craft(&c, request, plain(request, sizeof request, 0x1234, 0, 0)), &key, now);
}

static void craft_reply(struct craft *c, unsigned answers)
{
	memcpy(c->prior, client.mac, client.mac_length);
	c->prior_length = client.mac_length;
	reply_length = craft(c, reply, plain(reply, sizeof reply, 0x1234, MSG_QR, answers));
}

static enum tsig_verdict verify_crafted(struct craft c, uint64_t now)
{
	ask(&key, NOW);
	craft_reply(&c, 3);
	return verify(now);
}

static int setup(void **state)
{
	(void)state;
	key = key_of("xfr.test", "hmac-sha256", SECRET);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tsig_release(&client);
	tsig_release(&server);
	return 0;
}

/* --- keys ----------------------------------------------------------------------------------- */

static void keys_are_parsed(void **state)
{
	static const struct { const char *text, *shown; enum tsig_algorithm algorithm; unsigned length; } known[] = {
		{"hmac-md5", "hmac-md5", TSIG_MD5, 16}, {"hmac-md5.sig-alg.reg.int", "hmac-md5", TSIG_MD5, 16},
		{"HMAC-MD5.SIG-ALG.REG.INT.", "hmac-md5", TSIG_MD5, 16}, {"hmac-sha1", "hmac-sha1", TSIG_SHA1, 20},
		{"hmac-sha224", "hmac-sha224", TSIG_SHA224, 28}, {"Hmac-Sha256.", "hmac-sha256", TSIG_SHA256, 32},
		{"hmac-sha384", "hmac-sha384", TSIG_SHA384, 48}, {"hmac-sha512", "hmac-sha512", TSIG_SHA512, 64},
		{"hmac-sha512-256", "hmac-sha512-256", TSIG_SHA512, 32}, {"hmac-sha256-128", "hmac-sha256-128", TSIG_SHA256, 16},
		{"hmac-sha1-80", "hmac-sha1-80", TSIG_SHA1, 10}, {"hmac-md5-80", "hmac-md5-80", TSIG_MD5, 10},
		{"hmac-sha256-256", "hmac-sha256", TSIG_SHA256, 32},
	};
	char text[32];

	(void)state;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		struct tsig_key made = key_of("XFR.Example.", known[i].text, "AAEC");

		assert_int_equal(made.algorithm, known[i].algorithm);
		assert_int_equal(made.mac_length, known[i].length);
		assert_string_equal(tsig_algorithm_text(&made, text), known[i].shown);
		assert_memory_equal(made.name, "\3xfr\7example", 13);
		assert_int_equal(made.secret_length, 3);
		assert_memory_equal(made.secret, "\0\1\2", 3);
	}
}

static void secrets_are_base64(void **state)
{
	static const struct { const char *text; size_t length; const char *octets; } known[] = {
		{"Zg==", 1, "f"}, {"Zm8=", 2, "fo"}, {"Zm9v", 3, "foo"}, {"Zm9vYg==", 4, "foob"}, {"Zm9vYmE=", 5, "fooba"},
		{"Zm9vYmFy", 6, "foobar"}, {"+/+/", 3, "\xfb\xff\xbf"}, {" \tZm9v\r\n", 3, "foo"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		struct tsig_key made = key_of("a", "hmac-sha256", known[i].text);

		assert_int_equal(made.secret_length, known[i].length);
		assert_memory_equal(made.secret, known[i].octets, known[i].length);
	}
}

static void wrong_keys_are_refused_and_the_secret_is_not_told(void **state)
{
	static const struct { const char *name, *algorithm, *secret, *reason; } bad[] = {
		{"a..b", "hmac-sha256", "Zm9v", "empty label"}, {"", "hmac-sha256", "Zm9v", "empty"},
		{"a", "hmac-sha255", "Zm9v", "no TSIG algorithm"}, {"a", "", "Zm9v", "no TSIG algorithm"},
		{"a", "hmac-sha256x", "Zm9v", "no TSIG algorithm"}, {"a", "hmac-sha256-", "Zm9v", "no TSIG algorithm"},
		{"a", "hmac-sha256-12x", "Zm9v", "no TSIG algorithm"}, {"a", "hmac-sha256-99999", "Zm9v", "no TSIG algorithm"},
		{"a", "hmac-sha256-120", "Zm9v", "truncated"}, {"a", "hmac-sha256-264", "Zm9v", "truncated"},
		{"a", "hmac-sha256-129", "Zm9v", "truncated"}, {"a", "hmac-md5-64", "Zm9v", "truncated"},
		{"a", "hmac-sha1-72", "Zm9v", "truncated"}, {"a", "gss-tsig", "Zm9v", "no TSIG algorithm"},
		{"a", "hmac-sha256", "", "empty"}, {"a", "hmac-sha256", "====", "character 1"}, {"a", "hmac-sha256", "Zm9", "length"},
		{"a", "hmac-sha256", "Zm9vY", "length"}, {"a", "hmac-sha256", "Z===", "character 2"},
		{"a", "hmac-sha256", "Zm=v", "character 3"}, {"a", "hmac-sha256", "Zm-v", "character 3"},
		{"a", "hmac-sha256", "Zm9vY m=", "character 6"}, {"a", "hmac-sha256", "Zh==", "unused bits"},
		{"a", "hmac-sha256", "Zm9=", "unused bits"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct tsig_key made;
		struct why why = {""};

		assert_int_equal(tsig_key_parse(&made, bad[i].name, bad[i].algorithm, bad[i].secret, &why), ERR_SYNTAX);
		if (!strstr(why.text, bad[i].reason))
			fail_msg("\"%s\" does not say \"%s\"", why.text, bad[i].reason);
		assert_null(strstr(why.text, "Zm"));
		assert_int_equal(made.secret_length, 0);
	}
}

static void secrets_of_512_octets_are_taken_and_of_513_are_not(void **state)
{
	char text[700];
	struct tsig_key made;
	struct why why = {""};

	(void)state;
	memset(text, 'A', sizeof text);
	strcpy(text + 683, "=");            /* 512 octets: 683 digits */
	made = key_of("a", "hmac-sha512", text);
	assert_int_equal(made.secret_length, 512);
	text[683] = 'A';
	text[684] = 0;
	assert_int_equal(tsig_key_parse(&made, "a", "hmac-sha512", text, &why), ERR_SYNTAX);
}

/* --- there and back ---------------------------------------------------------------------------- */

static void every_algorithm_and_truncation_works_both_ways(void **state)
{
	static const struct { const char *name; unsigned least, full; } all[] = {
		{"hmac-md5", 10, 16}, {"hmac-sha1", 10, 20}, {"hmac-sha224", 14, 28}, {"hmac-sha256", 16, 32},
		{"hmac-sha384", 24, 48}, {"hmac-sha512", 32, 64},
	};

	(void)state;
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		for (unsigned octets = all[i].least; octets <= all[i].full; octets++) {
			char algorithm[32];

			snprintf(algorithm, sizeof algorithm, "%s-%u", all[i].name, octets * 8);
			key = key_of("xfr.test", algorithm, SECRET);
			ask(&key, NOW);
			assert_int_equal(check(&key, NOW + 2), TSIG_OK);
			assert_ptr_equal(server.key, &key);
			assert_int_equal(server.mac_length, octets);
			answer_with(3, NOW + 2);
			assert_int_equal(verify(NOW + 3), TSIG_OK);
			assert_int_equal(client.time_signed, NOW + 2);
			assert_int_equal(tsig_finish(&client), TSIG_OK);
		}
}

static void the_length_without_the_tsig_is_told(void **state)
{
	uint8_t bare[100];
	size_t length, n = plain(bare, sizeof bare, 0x1234, 0, 0);

	(void)state;
	ask(&key, NOW);
	assert_int_equal(get_u16(request + 10), 1);
	assert_int_equal(tsig_check_request(&server, the_key, &key, request, request_length, NOW, &length), TSIG_OK);
	assert_int_equal(length, n);
	answer_with(2, NOW);
	assert_int_equal(tsig_verify_reply(&client, reply, reply_length, NOW, &length), TSIG_OK);
	assert_int_equal(length, n + 32);
}

static void the_crafted_signature_is_ours(void **state)
{
	struct craft c = good;
	uint8_t other[1000];
	size_t n;

	(void)state;
	ask(&key, NOW);
	n = craft(&c, other, plain(other, sizeof other, 0x1234, 0, 0));
	assert_int_equal(n, request_length);
	assert_memory_equal(other, request, n);
	assert_int_equal(verify_crafted(good, NOW), TSIG_OK);
}

static void names_are_compared_in_lower_case(void **state)
{
	struct craft c = good;
	uint8_t bare[500];

	(void)state;
	ask(&key, NOW);
	memcpy(request + plain(bare, sizeof bare, 0, 0, 0), "\3XfR\4TEST", 9);
	memcpy(request + plain(bare, sizeof bare, 0, 0, 0) + 20, "\x0bHMAC-sha256", 12);
	assert_int_equal(check(&key, NOW), TSIG_OK);
	answer_with(1, NOW);
	memcpy(reply + plain(bare, sizeof bare, 0, 0, 1), "\3XfR\4TEST", 9);
	assert_int_equal(verify(NOW), TSIG_OK);
	c.name = "\3XFR\4test";             /* a digest over upper case is a wrong one */
	assert_int_equal(check_crafted(c, NOW), TSIG_BADSIG);
}

static void the_original_id_counts_not_the_messages(void **state)
{
	struct craft c = good;

	(void)state;
	ask(&key, NOW);
	put_u16(request, 0x9999);
	assert_int_equal(check(&key, NOW), TSIG_OK);
	c.original_id = 0x4321;
	assert_int_equal(check_crafted(c, NOW), TSIG_OK);
	assert_int_equal(verify_crafted(c, NOW), TSIG_OK);
}

static void one_object_serves_exchanges_with_different_keys(void **state)
{
	struct tsig_key other = key_of("xfr.test", "hmac-sha256", "b3RoZXIgc2VjcmV0"), third = key_of("c", "hmac-sha512", SECRET);

	(void)state;
	for (int i = 0; i < 3; i++) {
		const struct tsig_key *now[] = {&key, &other, &third};

		ask(now[i], NOW);
		assert_int_equal(check(now[i], NOW), TSIG_OK);
		answer_with(1, NOW);
		assert_int_equal(verify(NOW), TSIG_OK);
		assert_int_equal(check(now[(i + 1) % 3], NOW), i == 0 ? TSIG_BADSIG : TSIG_BADKEY);
	}
	/* another secret at the same address */
	other = key;
	ask(&other, NOW);
	assert_int_equal(check(&other, NOW), TSIG_OK);
	other.secret[0] ^= 1;
	assert_int_equal(check(&other, NOW), TSIG_BADSIG);
}

static void without_a_key_nothing_is_signed(void **state)
{
	uint8_t bare[200];
	size_t length, n = plain(bare, sizeof bare, 0x1234, 0, 0);
	struct wbuf buf = wbuf_of(bare, sizeof bare);

	(void)state;
	buf.at += n;
	assert_int_equal(tsig_sign_request(&client, NULL, &buf, NOW), ERR_OK);
	assert_int_equal(wbuf_used(&buf), n);
	assert_int_equal(check_bytes(bare, n, &key, NOW), TSIG_UNSIGNED);
	assert_null(server.key);
	assert_int_equal(tsig_room(&server), 0);
	assert_int_equal(tsig_sign_reply(&server, &buf, NOW), ERR_OK);
	assert_int_equal(wbuf_used(&buf), n);
	assert_int_equal(tsig_verify_reply(&client, bare, n, NOW, &length), TSIG_UNSIGNED);
	assert_int_equal(length, n);
	assert_int_equal(tsig_finish(&client), TSIG_OK);
	/* but a reply that is signed all the same is not in order */
	assert_int_equal(verify_bytes(request, request_length, NOW), TSIG_FORMERR);
}

static void a_message_without_room_stays_as_it_is(void **state)
{
	uint8_t bare[500], before[500];
	size_t n = plain(bare, sizeof bare, 0x1234, 0, 1);

	(void)state;
	memcpy(before, bare, n);
	ask(&key, NOW);
	assert_int_equal(check(&key, NOW), TSIG_OK);
	for (size_t room = 0; room < tsig_room(&server); room++) {
		struct wbuf buf = wbuf_of(bare, n + room);

		buf.at += n;
		assert_int_equal(tsig_sign_reply(&server, &buf, NOW), ERR_NOSPACE);
		assert_int_equal(wbuf_used(&buf), n);
		assert_false(buf.bad);
		assert_int_equal(tsig_sign_request(&client, &key, &buf, NOW), ERR_NOSPACE);
		assert_memory_equal(bare, before, n);
	}
	/* and an exchange whose request was not signed can never end well */
	assert_int_equal(verify(NOW), TSIG_BADSIG);
	assert_int_equal(tsig_finish(&client), TSIG_BADSIG);
}

static void a_message_never_grows_over_65535_octets(void **state)
{
	static uint8_t big[70000];
	struct wbuf buf = wbuf_of(big, sizeof big);

	(void)state;
	ask(&key, NOW);
	assert_int_equal(check(&key, NOW), TSIG_OK);
	buf.at += MSG_MAX - tsig_room(&server) + 1;
	assert_int_equal(tsig_sign_reply(&server, &buf, NOW), ERR_NOSPACE);
	buf.at--;
	assert_int_equal(tsig_sign_reply(&server, &buf, NOW), ERR_OK);
	assert_int_equal(wbuf_used(&buf), MSG_MAX);
}

/* --- runs of messages ------------------------------------------------------------------------------ */

enum { RUN_MAX = 250 };
static struct { uint8_t bytes[800]; size_t length; } run[RUN_MAX];

/* Makes the replies 0..count-1, of which those marked are signed. */
static void make_run(unsigned count, const char *is_signed)
{
	static uint8_t unsigned_before[RUN_MAX * 800];
	struct craft c = good;

	assert_true(count <= RUN_MAX);
	memcpy(c.prior, client.mac, client.mac_length);
	c.prior_length = client.mac_length;
	c.before = unsigned_before;
	for (unsigned i = 0; i < count; i++) {
		size_t n = plain(run[i].bytes, sizeof run[i].bytes, 0x1234, MSG_QR, 1 + i % 5);

		if (is_signed[i]) {
			n = craft(&c, run[i].bytes, n);
			c.timers_only = true;
			c.before_length = 0;
		} else {
			memcpy(unsigned_before + c.before_length, run[i].bytes, n);
			c.before_length += n;
		}
		run[i].length = n;
	}
}

/* The first verdict that is neither OK nor UNSIGNED, or that at the end. */
static enum tsig_verdict verify_run(unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		enum tsig_verdict verdict = verify_bytes(run[i].bytes, run[i].length, NOW);

		if (verdict != TSIG_OK && verdict != TSIG_UNSIGNED) {
			if (i > 0) {
				/* the run is over, whatever comes */
				assert_int_equal(verify_bytes(run[0].bytes, run[0].length, NOW), verdict);
				assert_int_equal(tsig_finish(&client), verdict);
			}
			return verdict;
		}
	}
	return tsig_finish(&client);
}

enum pattern { EVERY, FIRST, FIRST_AND_LAST, EVERY_100TH, EVERY_100TH_AND_LAST, EVERY_101ST_AND_LAST, NONE, LAST, ALL_BUT_LAST };

static bool pattern_signs(enum pattern pattern, unsigned i, unsigned count)
{
	bool last = i + 1 == count;

	switch (pattern) {
	case EVERY: return true;
	case FIRST: return i == 0;
	case FIRST_AND_LAST: return i == 0 || last;
	case EVERY_100TH: return i % 100 == 0;
	case EVERY_100TH_AND_LAST: return i % 100 == 0 || last;
	case EVERY_101ST_AND_LAST: return i % 101 == 0 || last;
	case NONE: return false;
	case LAST: return last;
	case ALL_BUT_LAST: return !last;
	}
	return false;
}

static void runs_are_judged_by_where_their_signatures_are(void **state)
{
	static const struct { enum pattern pattern; unsigned count; enum tsig_verdict verdict; } runs[] = {
		{EVERY, 1, TSIG_OK}, {EVERY, 2, TSIG_OK}, {EVERY, 100, TSIG_OK}, {EVERY, 101, TSIG_OK}, {EVERY, 102, TSIG_OK},
		{FIRST, 2, TSIG_TRAILING}, {FIRST, 100, TSIG_TRAILING}, {FIRST, 101, TSIG_MISSING}, {FIRST, 102, TSIG_MISSING},
		{FIRST_AND_LAST, 3, TSIG_OK}, {FIRST_AND_LAST, 100, TSIG_OK}, {FIRST_AND_LAST, 101, TSIG_OK},
		{FIRST_AND_LAST, 102, TSIG_MISSING}, {EVERY_100TH, 101, TSIG_OK}, {EVERY_100TH, 102, TSIG_TRAILING},
		{EVERY_100TH, 201, TSIG_OK}, {EVERY_100TH, 250, TSIG_TRAILING}, {EVERY_100TH_AND_LAST, 102, TSIG_OK},
		{EVERY_100TH_AND_LAST, 250, TSIG_OK}, {EVERY_101ST_AND_LAST, 100, TSIG_OK}, {EVERY_101ST_AND_LAST, 150, TSIG_MISSING},
		{NONE, 1, TSIG_MISSING}, {NONE, 2, TSIG_MISSING}, {LAST, 2, TSIG_MISSING}, {LAST, 102, TSIG_MISSING},
		{ALL_BUT_LAST, 2, TSIG_TRAILING}, {ALL_BUT_LAST, 102, TSIG_TRAILING},
	};

	(void)state;
	for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
		char is_signed[RUN_MAX];
		enum tsig_verdict verdict;

		for (unsigned m = 0; m < runs[i].count; m++)
			is_signed[m] = pattern_signs(runs[i].pattern, m, runs[i].count);
		ask(&key, NOW);
		make_run(runs[i].count, is_signed);
		verdict = verify_run(runs[i].count);
		if (verdict != runs[i].verdict)
			fail_msg("pattern %d of %u: %s", runs[i].pattern, runs[i].count, tsig_verdict_text(verdict));
	}
}

static void our_server_signs_every_message_of_a_run(void **state)
{
	(void)state;
	ask(&key, NOW);
	assert_int_equal(check(&key, NOW), TSIG_OK);
	for (unsigned i = 0; i < 102; i++) {
		answer_with(i % 7, NOW + i);
		assert_int_equal(verify(NOW + i), TSIG_OK);
		assert_int_equal(client.unsigned_run, 0);
	}
	assert_int_equal(client.messages, 102);
	assert_int_equal(tsig_finish(&client), TSIG_OK);
}

/* Messages that have no room for a signature are covered by the next one. */
static void a_message_that_is_passed_is_in_the_next_signature(void **state)
{
	struct wbuf out;

	(void)state;
	for (unsigned flipped = 0; flipped < 2; flipped++) {
		ask(&key, NOW);
		assert_int_equal(check(&key, NOW), TSIG_OK);
		out = wbuf_of(reply, sizeof reply);
		out.at += plain(reply, sizeof reply, 0x1234, MSG_QR, 1);
		assert_int_equal(tsig_pass_reply(&server, &out), ERR_ORDER);         /* the first */
		answer_with(1, NOW);
		assert_int_equal(verify(NOW), TSIG_OK);
		for (unsigned i = 0; i < TSIG_UNSIGNED_MAX; i++) {
			out.at = out.base + plain(reply, sizeof reply, 0x1234, MSG_QR, i % 5);
			assert_int_equal(tsig_pass_reply(&server, &out), ERR_OK);
			reply_length = wbuf_used(&out);
			reply[reply_length - 1] ^= flipped && i == 50;
			assert_int_equal(verify(NOW), TSIG_UNSIGNED);
		}
		assert_int_equal(tsig_pass_reply(&server, &out), ERR_ORDER);         /* too many */
		answer_with(2, NOW);
		assert_int_equal(verify(NOW), flipped ? TSIG_BADSIG : TSIG_OK);
		assert_int_equal(tsig_finish(&client), flipped ? TSIG_BADSIG : TSIG_OK);
	}
	ask(NULL, NOW);
	assert_int_equal(check(&key, NOW), TSIG_UNSIGNED);
	assert_int_equal(tsig_pass_reply(&server, &out), ERR_OK);
}

static void a_run_with_no_reply_is_missing_its_signature(void **state)
{
	(void)state;
	ask(&key, NOW);
	assert_int_equal(tsig_finish(&client), TSIG_MISSING);
}

static void unsigned_messages_in_a_run_are_protected(void **state)
{
	static const char is_signed[5] = {1, 0, 0, 0, 1};

	(void)state;
	for (unsigned m = 1; m < 4; m++)
		for (size_t at = 0; at < 12 + 17; at++) {
			ask(&key, NOW);
			make_run(5, is_signed);
			run[m].bytes[at] ^= 1;
			assert_int_not_equal(verify_run(5), TSIG_OK);
		}
	/* left out, repeated, in another order, cut */
	ask(&key, NOW);
	make_run(5, is_signed);
	run[2] = run[1];
	assert_int_equal(verify_run(5), TSIG_BADSIG);
	ask(&key, NOW);
	make_run(5, is_signed);
	run[1] = run[2];
	run[2] = run[3];
	run[3] = run[4];
	assert_int_equal(verify_run(4), TSIG_BADSIG);
	ask(&key, NOW);
	make_run(5, is_signed);
	run[3].length--;
	assert_int_not_equal(verify_run(5), TSIG_OK);
	ask(&key, NOW);
	make_run(5, is_signed);
	assert_int_equal(verify_run(5), TSIG_OK);
}

static void signed_messages_of_a_run_cannot_change_places(void **state)
{
	static const char is_signed[4] = {1, 1, 1, 1};

	(void)state;
	ask(&key, NOW);
	make_run(4, is_signed);
	run[2] = run[3];
	assert_int_equal(verify_run(3), TSIG_BADSIG);
	ask(&key, NOW);
	make_run(4, is_signed);
	run[2] = run[1];
	assert_int_equal(verify_run(4), TSIG_BADSIG);
	ask(&key, NOW);
	make_run(4, is_signed);
	run[1] = run[0];
	assert_int_equal(verify_run(4), TSIG_BADSIG);
}

static void the_time_is_checked_in_every_message_of_a_run(void **state)
{
	struct craft c = good;
	size_t n;

	(void)state;
	ask(&key, NOW);
	craft_reply(&c, 1);
	assert_int_equal(verify(NOW + 300), TSIG_OK);
	c.timers_only = true;
	c.time = NOW - 1;
	n = craft(&c, reply, plain(reply, sizeof reply, 0x1234, MSG_QR, 2));
	assert_int_equal(verify_bytes(reply, n, NOW + 300), TSIG_BADTIME);
	assert_int_equal(tsig_finish(&client), TSIG_BADTIME);
}

static void an_early_forgery_does_not_spoil_the_exchange(void **state)
{
	struct craft c = good, forged = good;
	size_t n;

	(void)state;
	ask(&key, NOW);
	craft_reply(&c, 1);
	forged.secret = "another";
	n = craft(&forged, request, plain(request, 300, 0x1234, MSG_QR, 1));
	assert_int_equal(verify_bytes(request, n, NOW), TSIG_BADSIG);
	assert_int_equal(verify_bytes(request, plain(request, 300, 0x1234, MSG_QR, 1), NOW), TSIG_MISSING);
	assert_int_equal(verify_bytes(request, 5, NOW), TSIG_FORMERR);
	assert_int_equal(verify(NOW), TSIG_OK);
	assert_int_equal(tsig_finish(&client), TSIG_OK);
}

/* --- what is wrong with a signature ------------------------------------------------------------------ */

static void wrong_keys_secrets_and_algorithms_are_told_apart(void **state)
{
	struct craft c = good;

	(void)state;
	c.name = "\3xfr\5other";
	assert_int_equal(check_crafted(c, NOW), TSIG_BADKEY);
	assert_int_equal(verify_crafted(c, NOW), TSIG_BADKEY);
	c = good;
	c.secret = "secret of twenty octetz";
	assert_int_equal(check_crafted(c, NOW), TSIG_BADSIG);
	assert_null(server.key);
	assert_int_equal(verify_crafted(c, NOW), TSIG_BADSIG);
	c = good;
	c.algorithm = "\x0bhmac-sha512";
	c.md = EVP_sha512();
	assert_int_equal(check_crafted(c, NOW), TSIG_BADKEY);
	assert_int_equal(verify_crafted(c, NOW), TSIG_BADKEY);
	c.algorithm = "\x08gss-tsig";
	assert_int_equal(check_crafted(c, NOW), TSIG_BADKEY);
	c = good;
	c.md = EVP_sha1();                  /* hmac-sha256 by name only */
	assert_int_equal(check_crafted(c, NOW), TSIG_BADSIG);
	assert_int_equal(verify_crafted(c, NOW), TSIG_BADSIG);
}

static void the_time_must_lie_within_the_fudge(void **state)
{
	static const struct { uint64_t time; uint16_t fudge; uint64_t now; enum tsig_verdict verdict; } times[] = {
		{NOW, 300, NOW + 300, TSIG_OK}, {NOW, 300, NOW + 301, TSIG_BADTIME},
		{NOW, 300, NOW - 300, TSIG_OK}, {NOW, 300, NOW - 301, TSIG_BADTIME},
		{NOW, 0, NOW, TSIG_OK}, {NOW, 0, NOW + 1, TSIG_BADTIME}, {NOW, 0, NOW - 1, TSIG_BADTIME},
		{NOW, 65535, NOW + 65535, TSIG_OK}, {NOW, 65535, NOW + 65536, TSIG_BADTIME},
		{0, 300, NOW, TSIG_BADTIME}, {0, 300, 300, TSIG_OK}, {100, 300, 0, TSIG_OK},
		{0xfffffff0, 300, 0x100000010, TSIG_OK}, {0x100000010, 300, 0xfffffff0, TSIG_OK},
		{0x10, 300, 0x100000010, TSIG_BADTIME}, {NOW + 0x100000000, 300, NOW, TSIG_BADTIME},
		{0xffffffffffff, 300, 0xffffffffffff, TSIG_OK}, {0xffffffffffff, 300, 0xfffffffffffe, TSIG_OK},
		{0xffffffffffff, 300, 0, TSIG_BADTIME}, {0, 300, 0xffffffffffff, TSIG_BADTIME},
		{0, 65535, 0x1000000000000, TSIG_BADTIME}, {0xffffffffffff, 300, 0x1000000000001, TSIG_OK},
	};

	(void)state;
	for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
		struct craft c = good;

		c.time = times[i].time;
		c.fudge = times[i].fudge;
		assert_int_equal(check_crafted(c, times[i].now), times[i].verdict);
		assert_int_equal(verify_crafted(c, times[i].now), times[i].verdict);
	}
}

static void a_reply_to_an_older_request_is_refused(void **state)
{
	(void)state;
	ask(&key, NOW);
	assert_int_equal(check(&key, NOW), TSIG_OK);
	answer_with(2, NOW);
	ask(&key, NOW + 1);
	assert_int_equal(verify(NOW + 1), TSIG_BADSIG);
	assert_int_equal(tsig_finish(&client), TSIG_MISSING);
}

static void a_request_is_no_reply_and_a_reply_no_request(void **state)
{
	(void)state;
	ask(&key, NOW);
	assert_int_equal(verify_bytes(request, request_length, NOW), TSIG_BADSIG);
	assert_int_equal(check(&key, NOW), TSIG_OK);
	answer_with(2, NOW);
	assert_int_equal(check_bytes(reply, reply_length, &key, NOW), TSIG_BADSIG);
}

/* The letters of the key's and the algorithm's name may change their case, and the ID is restored from the TSIG. */
static bool flip_is_harmless(const uint8_t *bytes, size_t tsig_at, size_t at, uint8_t bit)
{
	size_t name = tsig_at, algorithm = tsig_at + name_length(bytes + tsig_at) + 10;
	bool letter = (bytes[at] | 32) >= 'a' && (bytes[at] | 32) <= 'z';

	if (at < 2)
		return true;
	if (bit != 32 || !letter)
		return false;
	return (at > name && at < algorithm - 10) || (at > algorithm && at < algorithm + name_length(bytes + algorithm));
}

static void a_flipped_bit_anywhere_is_found(void **state)
{
	size_t tsig_at = plain(reply, sizeof reply, 0, 0, 3);

	(void)state;
	ask(&key, NOW);
	assert_int_equal(check(&key, NOW), TSIG_OK);
	for (int later = 0; later < 2; later++) {
		struct tsig before = client;

		answer_with(3, NOW);
		for (size_t at = 0; at < reply_length; at++)
			for (unsigned bit = 1; bit < 256; bit <<= 1) {
				bool harmless = flip_is_harmless(reply, tsig_at, at, (uint8_t)bit);

				client = before;
				reply[at] ^= (uint8_t)bit;
				assert_int_equal(verify(NOW) == TSIG_OK, harmless);
				reply[at] ^= (uint8_t)bit;
			}
		client = before;
		assert_int_equal(verify(NOW), TSIG_OK);
	}
}

static void a_message_cut_anywhere_is_refused(void **state)
{
	(void)state;
	ask(&key, NOW);
	for (size_t n = 0; n < request_length; n++)
		assert_int_equal(check_bytes(request, n, &key, NOW), TSIG_FORMERR);
	assert_int_equal(check(&key, NOW), TSIG_OK);
	answer_with(2, NOW);
	for (size_t n = 0; n < reply_length; n++)
		assert_int_equal(verify_bytes(reply, n, NOW), TSIG_FORMERR);
}

static void a_tsig_must_be_the_last_record(void **state)
{
	static const uint8_t opt[] = "\0\0\x29\x04\xd0\0\0\0\0\0";

	(void)state;
	ask(&key, NOW);
	memcpy(request + request_length, opt, 11);
	put_u16(request + 10, 2);
	assert_int_equal(check_bytes(request, request_length + 11, &key, NOW), TSIG_FORMERR);
	/* octets that belong to no record */
	ask(&key, NOW);
	request[request_length] = 0;
	assert_int_equal(check_bytes(request, request_length + 1, &key, NOW), TSIG_FORMERR);
}

static void there_must_be_one_tsig_only(void **state)
{
	struct craft c = good;
	size_t n;

	(void)state;
	n = craft(&c, request, plain(request, sizeof request, 0x1234, 0, 0));
	c = good;
	n = craft(&c, request, n);
	assert_int_equal(check_bytes(request, n, &key, NOW), TSIG_FORMERR);
}

static void a_tsig_belongs_in_the_additional_section(void **state)
{
	(void)state;
	for (size_t section = 6; section < 10; section += 2) {
		ask(&key, NOW);
		put_u16(request + 10, 0);
		put_u16(request + section, 1);
		assert_int_equal(check(&key, NOW), TSIG_FORMERR);
		assert_int_equal(verify_bytes(request, request_length, NOW), TSIG_FORMERR);
	}
}

static void a_tsig_is_of_class_any_with_ttl_0(void **state)
{
	struct craft c = good;

	(void)state;
	c.class = CLASS_IN;
	assert_int_equal(check_crafted(c, NOW), TSIG_FORMERR);
	assert_int_equal(verify_crafted(c, NOW), TSIG_FORMERR);
	c = good;
	c.ttl = 1;
	assert_int_equal(check_crafted(c, NOW), TSIG_FORMERR);
	assert_int_equal(verify_crafted(c, NOW), TSIG_FORMERR);
}

static void macs_that_are_too_short_or_too_long_are_malformed(void **state)
{
	static const int lengths[] = {0, 1, 9, 10, 15, 33, 64, 300};
	struct craft c = good;

	(void)state;
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		c.mac_length = lengths[i] < 64 ? lengths[i] : 64;
		assert_int_equal(check_crafted(c, NOW), TSIG_FORMERR);
		assert_null(server.key);
		assert_int_equal(verify_crafted(c, NOW), TSIG_FORMERR);
	}
}

static void a_mac_shorter_than_agreed_is_badtrunc(void **state)
{
	struct craft c = good;

	(void)state;
	for (c.mac_length = 16; c.mac_length < 32; c.mac_length++) {
		assert_int_equal(check_crafted(c, NOW), TSIG_BADTRUNC);
		assert_int_equal(verify_crafted(c, NOW), TSIG_BADTRUNC);
	}
	key.mac_length = 20;                /* hmac-sha256-160 */
	c.mac_length = 19;
	assert_int_equal(check_crafted(c, NOW), TSIG_BADTRUNC);
	for (c.mac_length = 20; c.mac_length <= 32; c.mac_length++) {
		assert_int_equal(check_crafted(c, NOW), TSIG_OK);
		assert_int_equal(verify_crafted(c, NOW), TSIG_OK);
	}
	/* order of the checks (RFC 8945 5.2): the MAC, then the time, then its length */
	c.mac_length = 19;
	assert_int_equal(check_crafted(c, NOW + 1000), TSIG_BADTIME);
	c.secret = "x";
	assert_int_equal(check_crafted(c, NOW + 1000), TSIG_BADSIG);
}

static void a_truncated_mac_must_be_right_as_far_as_it_goes(void **state)
{
	(void)state;
	key = key_of("xfr.test", "hmac-sha512-256", SECRET);
	ask(&key, NOW);
	assert_int_equal(check(&key, NOW), TSIG_OK);
	request[request_length - 7] ^= 1;   /* the last octet of the MAC */
	assert_int_equal(check(&key, NOW), TSIG_BADSIG);
}

static void other_data_must_be_what_its_length_says(void **state)
{
	static const uint16_t claims[] = {1, 6, 255, 65535};
	struct craft c = good;

	(void)state;
	for (size_t i = 0; i < sizeof claims / sizeof *claims; i++) {
		c = good;
		c.other_claim = claims[i];
		assert_int_equal(check_crafted(c, NOW), TSIG_FORMERR);
		assert_int_equal(verify_crafted(c, NOW), TSIG_FORMERR);
	}
	c = good;
	c.other_length = 6;
	c.other_claim = 5;
	c.error = RCODE_BADTIME;
	assert_int_equal(verify_crafted(c, NOW), TSIG_FORMERR);
	/* data where none belongs */
	for (uint16_t n = 1; n < 9; n++) {
		c = good;
		c.other_length = n;
		assert_int_equal(check_crafted(c, NOW), TSIG_FORMERR);
		assert_int_equal(verify_crafted(c, NOW), TSIG_FORMERR);
	}
}

static void rdata_that_is_too_short_or_too_long_is_malformed(void **state)
{
	size_t at = plain(request, sizeof request, 0, 0, 0) + 10 + 8;   /* RDLENGTH */

	(void)state;
	ask(&key, NOW);
	for (unsigned n = get_u16(request + at), i = 0; i <= n; i++) {
		uint8_t cut[1000];

		memcpy(cut, request, at);
		put_u16(cut + at, (uint16_t)i);
		memcpy(cut + at + 2, request + at + 2, i);
		assert_int_equal(check_bytes(cut, at + 2 + i, &key, NOW), i == n ? TSIG_OK : TSIG_FORMERR);
	}
	put_u16(request + at, (uint16_t)(get_u16(request + at) + 1));
	request[request_length] = 0;
	assert_int_equal(check_bytes(request, request_length + 1, &key, NOW), TSIG_FORMERR);
}

static void a_compressed_algorithm_name_is_malformed(void **state)
{
	uint8_t bytes[200];
	size_t n = plain(bytes, sizeof bytes, 0, 0, 0);
	static const uint8_t rr[] = "\1k\0\0\xfa\0\xff\0\0\0\0\0\x12\xc0\x0c\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

	(void)state;
	memcpy(bytes + n, rr, 31);
	put_u16(bytes + 10, 1);
	assert_int_equal(check_bytes(bytes, n + 31, &key, NOW), TSIG_FORMERR);
}

/* --- replies that report an error ----------------------------------------------------------------------- */

static void the_server_reports_badkey_and_badsig_unsigned(void **state)
{
	(void)state;
	ask(&key, NOW);
	assert_int_equal(check(NULL, NOW), TSIG_BADKEY);
	answer_with(0, NOW);
	assert_int_equal(verify(NOW), TSIG_PEER_ERROR);
	assert_int_equal(client.peer_error, RCODE_BADKEY);
	assert_int_equal(client.mac_length, 32);
	ask(&key, NOW);
	request[request_length - 8] ^= 1;
	assert_int_equal(check(&key, NOW), TSIG_BADSIG);
	answer_with(0, NOW);
	assert_int_equal(verify(NOW), TSIG_PEER_ERROR);
	assert_int_equal(client.peer_error, RCODE_BADSIG);
}

static void a_badkey_reply_repeats_the_longest_names(void **state)
{
	char name[NAME_SIZE], algorithm[NAME_SIZE];
	struct craft c = good;

	(void)state;
	for (size_t i = 0; i < NAME_SIZE - 1; i += 2) {
		name[i] = algorithm[i] = 1;
		name[i + 1] = 'n';
		algorithm[i + 1] = 'a';
	}
	name[NAME_SIZE - 1] = algorithm[NAME_SIZE - 1] = 0;
	c.name = name;
	c.algorithm = algorithm;
	assert_int_equal(check_crafted(c, NOW), TSIG_BADKEY);
	assert_int_equal(tsig_room(&server), 255 + 10 + 255 + 16);
	answer_with(0, NOW);
	assert_memory_equal(reply + reply_length - 16 - 255, algorithm, 255);
	assert_memory_equal(reply + reply_length - 16 - 255 - 10 - 255, name, 255);
}

static void the_server_reports_badtime_signed_with_its_clock(void **state)
{
	(void)state;
	ask(&key, NOW);
	assert_int_equal(check(&key, NOW + 5000), TSIG_BADTIME);
	answer_with(0, NOW + 5000);
	assert_int_equal(verify(NOW), TSIG_PEER_ERROR);
	assert_int_equal(client.peer_error, RCODE_BADTIME);
	assert_int_equal(client.peer_time, NOW + 5000);
	/* it cannot be forged */
	ask(&key, NOW);
	assert_int_equal(check(&key, NOW + 5000), TSIG_BADTIME);
	answer_with(0, NOW + 5000);
	reply[reply_length - 1] ^= 1;
	assert_int_equal(verify(NOW), TSIG_BADSIG);
	assert_int_equal(client.peer_time, 0);
}

static void the_server_reports_badtrunc_signed(void **state)
{
	struct tsig_key shorter = key_of("xfr.test", "hmac-sha256-128", SECRET);

	(void)state;
	ask(&shorter, NOW);
	assert_int_equal(check(&key, NOW), TSIG_BADTRUNC);
	answer_with(0, NOW);
	assert_int_equal(verify(NOW), TSIG_PEER_ERROR);
	assert_int_equal(client.peer_error, RCODE_BADTRUNC);
}

static void the_clock_of_an_unsigned_badtime_is_not_believed(void **state)
{
	struct craft c = good;

	(void)state;
	c.error = RCODE_BADTIME;
	c.other_length = 6;
	memset(c.other, 1, 6);
	assert_int_equal(verify_crafted(c, NOW + 9999), TSIG_PEER_ERROR);
	assert_int_equal(client.peer_time, 0x010101010101);
	c.mac_length = 0;
	assert_int_equal(verify_crafted(c, NOW), TSIG_PEER_ERROR);
	assert_int_equal(client.peer_error, RCODE_BADTIME);
	assert_int_equal(client.peer_time, 0);
}

static void an_error_of_the_peer_in_mid_run_ends_it(void **state)
{
	struct craft c = good;
	size_t n;

	(void)state;
	ask(&key, NOW);
	craft_reply(&c, 1);
	assert_int_equal(verify(NOW), TSIG_OK);
	c.timers_only = true;
	c.error = RCODE_BADSIG;
	c.mac_length = 0;
	n = craft(&c, reply, plain(reply, sizeof reply, 0x1234, MSG_QR, 1));
	assert_int_equal(verify_bytes(reply, n, NOW), TSIG_PEER_ERROR);
	assert_int_equal(tsig_finish(&client), TSIG_PEER_ERROR);
}

static void a_malformed_request_gets_no_tsig(void **state)
{
	struct craft c = good;

	(void)state;
	c.mac_length = 5;
	assert_int_equal(check_crafted(c, NOW), TSIG_FORMERR);
	assert_int_equal(tsig_room(&server), 0);
	answer_with(0, NOW);
	assert_int_equal(get_u16(reply + 10), 0);
}

static void verdicts_have_names(void **state)
{
	(void)state;
	assert_string_equal(tsig_verdict_text(TSIG_BADTRUNC), "BADTRUNC");
	for (int i = TSIG_OK; i <= TSIG_TRAILING; i++)
		assert_true(strlen(tsig_verdict_text((enum tsig_verdict)i)) > 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(keys_are_parsed),
		TEST(secrets_are_base64),
		TEST(wrong_keys_are_refused_and_the_secret_is_not_told),
		TEST(secrets_of_512_octets_are_taken_and_of_513_are_not),
		TEST(every_algorithm_and_truncation_works_both_ways),
		TEST(the_length_without_the_tsig_is_told),
		TEST(the_crafted_signature_is_ours),
		TEST(names_are_compared_in_lower_case),
		TEST(the_original_id_counts_not_the_messages),
		TEST(one_object_serves_exchanges_with_different_keys),
		TEST(without_a_key_nothing_is_signed),
		TEST(a_message_without_room_stays_as_it_is),
		TEST(a_message_never_grows_over_65535_octets),
		TEST(runs_are_judged_by_where_their_signatures_are),
		TEST(our_server_signs_every_message_of_a_run),
		TEST(a_message_that_is_passed_is_in_the_next_signature),
		TEST(a_run_with_no_reply_is_missing_its_signature),
		TEST(unsigned_messages_in_a_run_are_protected),
		TEST(signed_messages_of_a_run_cannot_change_places),
		TEST(the_time_is_checked_in_every_message_of_a_run),
		TEST(an_early_forgery_does_not_spoil_the_exchange),
		TEST(wrong_keys_secrets_and_algorithms_are_told_apart),
		TEST(the_time_must_lie_within_the_fudge),
		TEST(a_reply_to_an_older_request_is_refused),
		TEST(a_request_is_no_reply_and_a_reply_no_request),
		TEST(a_flipped_bit_anywhere_is_found),
		TEST(a_message_cut_anywhere_is_refused),
		TEST(a_tsig_must_be_the_last_record),
		TEST(there_must_be_one_tsig_only),
		TEST(a_tsig_belongs_in_the_additional_section),
		TEST(a_tsig_is_of_class_any_with_ttl_0),
		TEST(macs_that_are_too_short_or_too_long_are_malformed),
		TEST(a_mac_shorter_than_agreed_is_badtrunc),
		TEST(a_truncated_mac_must_be_right_as_far_as_it_goes),
		TEST(other_data_must_be_what_its_length_says),
		TEST(rdata_that_is_too_short_or_too_long_is_malformed),
		TEST(a_compressed_algorithm_name_is_malformed),
		TEST(the_server_reports_badkey_and_badsig_unsigned),
		TEST(a_badkey_reply_repeats_the_longest_names),
		TEST(the_server_reports_badtime_signed_with_its_clock),
		TEST(the_server_reports_badtrunc_signed),
		TEST(the_clock_of_an_unsigned_badtime_is_not_believed),
		TEST(an_error_of_the_peer_in_mid_run_ends_it),
		TEST(a_malformed_request_gets_no_tsig),
		TEST(verdicts_have_names),
	};

	return cmocka_run_group_tests_name("dns/tsig", tests, NULL, NULL);
}
