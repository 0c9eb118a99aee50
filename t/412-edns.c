/* serve/edns and serve/cookie: the options of EDNS, alone and through serve/answer. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "serve-zone.h"

#include "base/log.h"
#include "serve/outgoing.h"

enum { NOW = 1700000000, NOW_MS = 5000000 };
enum { NSID = 3, EXPIRE = 9, COOKIE = 10, KEEPALIVE = 11, PADDING = 12, EDE = 15, ZONEVERSION = 19 };

static const char zone_text[] =
	"@ 3600 IN SOA ns1 host 7 3600 900 604800 300\n@ IN NS ns1\nns1 IN A 192.0.2.1\nwww IN TXT \"text\"\n"
	"sub IN NS ns.sub\nns.sub IN A 192.0.2.2\nkid IN NS ns.kid\nns.kid IN A 192.0.2.3\n";
static const char kid_text[] = "@ IN SOA ns host 8 3600 900 86400 300\n@ IN NS ns\nns IN A 192.0.2.3\n";

static const struct acl_rule anybody = {.any_address = true};
static struct serve_policy policy = {.transfer = {&anybody, 1}};
static struct store *store;
static struct store_zone *place;
static struct serve_counters counters;
static struct answer answerer;
static struct serve_settings settings;
static struct cookie_secrets secrets;
static struct answer_request in;

static void hex(const char *text, uint8_t *out)
{
	for (; *text; text += 2) {
		unsigned octet;

		assert_int_equal(sscanf(text, "%2x", &octet), 1);
		*out++ = (uint8_t)octet;
	}
}

static struct net_addr addr(const char *text)
{
	struct net_addr a;

	assert_int_equal(net_addr_parse(&a, text, 4000, NULL), ERR_OK);
	return a;
}

static void set_secrets(const char *text)
{
	struct why why = {{0}};

	assert_int_equal(cookie_secrets_parse(&secrets, text, strlen(text), &why), ERR_OK);
}

/* Each test begins with this. */
static int begin(void **state)
{
	(void)state;
	settings = (struct serve_settings){.identity = "ns1.test", .udp_payload = 1232, .cookies = &secrets};
	in = (struct answer_request){.from = addr("192.0.2.200"), .now = NOW, .now_ms = NOW_MS};
	memset(&counters, 0, sizeof counters);
	set_secrets("00112233445566778899aabbccddeeff");
	store_set_expiry(place, STORE_NO_EXPIRY);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	rr_init();
	log_setup(LOG_TO_STDERR, LOG_LEVEL_WARNING);
	store_thread_begin();
	store = store_new();
	place = add_zone(store, "example.", zone_text, &policy);
	add_zone(store, "kid.example.", kid_text, NULL);
	add_zone(store, "new.example.", NULL, NULL);
	answer_init(&answerer, store, &counters);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	answer_release(&answerer);
	store_settle();
	store_free(store);
	store_thread_end();
	return 0;
}

/* --- asking ----------------------------------------------------------------------------------- */

static uint8_t response[MSG_MAX];
static size_t response_length;
static struct answer_transfer transfer;

/* The question with these options, as ready octets, in its OPT. */
static struct test_request with_options(const char *question, const void *options, size_t length)
{
	struct test_request request = request_of(question);

	assert_true(request.length + length <= sizeof request.bytes);
	memcpy(request.bytes + request.length, options, length);
	put_u16(request.bytes + request.length - 2, (uint16_t)length);
	request.length += length;
	return request;
}

static enum answer_action ask_request(const struct test_request *request)
{
	enum answer_action action;

	in.bytes = request->bytes;
	in.length = request->length;
	in.tcp = request->tcp;
	store_enter();
	response_length = 0;
	action = answer(&answerer, &settings, &in, response, &response_length, &transfer);
	store_leave();
	return action;
}

/* The response's first line and records; its options by option(). */
static const char *ask(const char *question, const void *options, size_t length)
{
	struct test_request request = with_options(question, options, length);

	assert_int_equal(ask_request(&request), ANSWER_SEND);
	return show_message(response, response_length);
}

/* An option of the response, read by ldns; NULL: it is not there; it must not be there twice. */
static const uint8_t *option(uint16_t wanted, size_t *length)
{
	static uint8_t bytes[4096];
	const uint8_t *found = NULL;
	struct rbuf options;
	ldns_pkt *pkt;

	assert_int_equal(ldns_wire2pkt(&pkt, response, response_length), LDNS_STATUS_OK);
	options = rbuf_of(bytes, ldns_pkt_edns_data(pkt) ? ldns_rdf_size(ldns_pkt_edns_data(pkt)) : 0);
	if (rbuf_left(&options))
		memcpy(bytes, ldns_rdf_data(ldns_pkt_edns_data(pkt)), rbuf_left(&options));
	ldns_pkt_free(pkt);
	while (rbuf_left(&options)) {
		uint16_t code = rbuf_u16(&options), size = rbuf_u16(&options);
		const uint8_t *data = rbuf_take(&options, size);

		assert_non_null(data);
		if (code != wanted)
			continue;
		assert_null(found);
		found = data;
		*length = size;
	}
	return found;
}

static bool has(uint16_t wanted)
{
	size_t length;

	return option(wanted, &length) != NULL;
}

static bool option_is(uint16_t wanted, const void *data, size_t n)
{
	size_t length = 0;
	const uint8_t *found = option(wanted, &length);

	return found && length == n && memcmp(found, data, n) == 0;
}

#define BYTES(literal) literal, sizeof literal - 1

/* --- cookies ------------------------------------------------------------------------------------ */

static void siphash_is_as_its_authors_define_it(void **state)
{
	static const struct { unsigned n; uint64_t sum; } known[] = {
		{0, UINT64_C(0x726fdb47dd0e0e31)}, {1, UINT64_C(0x74f839c593dc67fd)}, {7, UINT64_C(0xab0200f58b01d137)},
		{8, UINT64_C(0x93f5f5799a932462)}, {15, UINT64_C(0xa129ca6149be45e5)}, {63, UINT64_C(0x958a324ceb064572)},
	};
	uint8_t key[16], bytes[64];

	(void)state;
	for (unsigned i = 0; i < sizeof bytes; i++)
		bytes[i] = key[i % 16] = (uint8_t)i;
	for (unsigned i = 0; i < sizeof key; i++)
		key[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		assert_int_equal(siphash(key, bytes, known[i].n), known[i].sum);
}

/* RFC 9018, appendix A: secrets, client, what it sends, when, and what it gets. */
static void cookies_are_those_of_the_standard_s_examples(void **state)
{
	static const struct { const char *secrets, *client, *sent; uint32_t now; enum cookie is; const char *made; } known[] = {
		{"e5e973e5a6b2a43f48e7dc849e37bfcf", "198.51.100.100", "2464c4abcf10c957", 1559731985, COOKIE_NEW,
			"2464c4abcf10c957010000005cf79f111f8130c3eee29480"},
		{"e5e973e5a6b2a43f48e7dc849e37bfcf", "198.51.100.100", "2464c4abcf10c957010000005cf79f111f8130c3eee29480", 1559734385,
			COOKIE_RENEW, "2464c4abcf10c957010000005cf7a871d4a564a1442aca77"},
		{"e5e973e5a6b2a43f48e7dc849e37bfcf", "203.0.113.203", "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5", 1559728000,
			COOKIE_GOOD, NULL},
		{"e5e973e5a6b2a43f48e7dc849e37bfcf", "203.0.113.203", "fc93fc62807ddb86", 1559734700, COOKIE_NEW,
			"fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e"},
		{"445536bcd2513298075a5d379663c962\ndd3bdf9344b678b185a6f5cb60fca715", "2001:db8:220:1:59de:d0f4:8769:82b8",
			"22681ab97d52c298010000005cf7c57926556bd0934c72f8", 1559741961, COOKIE_RENEW,
			"22681ab97d52c298010000005cf7c609a6bb79d16625507a"},
		{"445536bcd2513298075a5d379663c962", "2001:db8:220:1:59de:d0f4:8769:82b8",
			"22681ab97d52c298010000005cf7c57926556bd0934c72f8", 1559741961, COOKIE_INVALID, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		uint8_t sent[COOKIE_OPTION_MAX], wanted[COOKIE_SIZE], made[COOKIE_SIZE];
		struct net_addr from = addr(known[i].client);

		set_secrets(known[i].secrets);
		hex(known[i].sent, sent);
		assert_int_equal(cookie_check(&secrets, sent, strlen(known[i].sent) / 2, &from, known[i].now), known[i].is);
		if (!known[i].made)
			continue;
		hex(known[i].made, wanted);
		cookie_make(&secrets, sent, &from, known[i].now, made);
		assert_memory_equal(made, wanted, sizeof made);
	}
}

static void a_cookie_is_good_for_an_hour(void **state)
{
	static const struct { uint32_t made, now; enum cookie is; } ages[] = {
		{NOW, NOW, COOKIE_GOOD}, {NOW - 1800, NOW, COOKIE_GOOD}, {NOW - 1801, NOW, COOKIE_RENEW}, {NOW - 3600, NOW, COOKIE_RENEW},
		{NOW - 3601, NOW, COOKIE_INVALID}, {NOW + 300, NOW, COOKIE_GOOD}, {NOW + 301, NOW, COOKIE_INVALID},
		{UINT32_MAX - 9, 10, COOKIE_GOOD}, {10, UINT32_MAX - 9, COOKIE_GOOD}, {0, NOW, COOKIE_INVALID}, {UINT32_MAX - 2000, 10, COOKIE_RENEW},
	};
	struct net_addr from = addr("2001:db8::1");
	uint8_t cookie[COOKIE_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof ages / sizeof *ages; i++) {
		cookie_make(&secrets, (const uint8_t *)"clientco", &from, ages[i].made, cookie);
		assert_int_equal(cookie_check(&secrets, cookie, sizeof cookie, &from, ages[i].now), ages[i].is);
	}
}

static void a_cookie_is_good_as_it_was_made_alone(void **state)
{
	struct net_addr from = addr("192.0.2.1"), other = addr("192.0.2.2"), port = addr("192.0.2.1@5"), six = addr("2001:db8::1");
	uint8_t cookie[COOKIE_OPTION_MAX] = {0};

	(void)state;
	cookie_make(&secrets, (const uint8_t *)"clientco", &from, NOW, cookie);
	for (unsigned bit = 0; bit < 8 * COOKIE_SIZE; bit++) {
		cookie[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(cookie_check(&secrets, cookie, COOKIE_SIZE, &from, NOW), COOKIE_INVALID);
		cookie[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(cookie_check(&secrets, cookie, COOKIE_SIZE, &from, NOW), COOKIE_GOOD);
	assert_int_equal(cookie_check(&secrets, cookie, COOKIE_SIZE, &port, NOW), COOKIE_GOOD);
	assert_int_equal(cookie_check(&secrets, cookie, COOKIE_SIZE, &other, NOW), COOKIE_INVALID);
	assert_int_equal(cookie_check(&secrets, cookie, COOKIE_SIZE, &six, NOW), COOKIE_INVALID);
	for (size_t n = 16; n <= COOKIE_OPTION_MAX; n++)
		assert_int_equal(cookie_check(&secrets, cookie, n, &from, NOW), n == COOKIE_SIZE ? COOKIE_GOOD : COOKIE_INVALID);
}

static void a_cookie_of_another_version_is_none_of_ours(void **state)
{
	struct net_addr from = addr("192.0.2.1");
	uint8_t cookie[COOKIE_SIZE], hashed[20];

	(void)state;
	for (unsigned version = 0; version < 4; version++) {
		uint64_t sum;

		cookie_make(&secrets, (const uint8_t *)"clientco", &from, NOW, cookie);
		cookie[8] = (uint8_t)version;
		memcpy(hashed, cookie, 16);
		memcpy(hashed + 16, &from.v4.sin_addr, 4);
		sum = siphash(secrets.secret[0], hashed, sizeof hashed);
		for (int i = 0; i < 8; i++)
			cookie[16 + i] = (uint8_t)(sum >> 8 * i);
		assert_int_equal(cookie_check(&secrets, cookie, COOKIE_SIZE, &from, NOW), version == 1 ? COOKIE_GOOD : COOKIE_INVALID);
	}
}

static void secrets_are_read_a_line_each(void **state)
{
	static const struct { const char *text, *why; unsigned count; } files[] = {
		{"00112233445566778899aabbccddeeff", NULL, 1},
		{"# new\n\n00112233445566778899AABBCCDDEEFF # signs\r\n  ffeeddccbbaa99887766554433221100\t\n", NULL, 2},
		{"", "there is no secret in it", 0}, {"\n# 00112233445566778899aabbccddeeff\n", "there is no secret in it", 0},
		{"00112233445566778899aabbccddeef\n", "line 1: a secret must be 32 hexadecimal digits", 0},
		{"\n00112233445566778899aabbccddeeff0\n", "line 2: a secret must be 32 hexadecimal digits", 0},
		{"00112233445566778899aabbccddeefg\n", "line 1: a secret must be 32 hexadecimal digits", 0},
		{"00112233445566778899aabbccddee f\n", "line 1: a secret must be 32 hexadecimal digits", 0},
#define EIGHT(x) x x x x x x x x
		{EIGHT("00112233445566778899aabbccddeeff\n"), NULL, 8},
		{EIGHT("00112233445566778899aabbccddeeff\n") "\n0", "line 10: more than 8 secrets", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		struct cookie_secrets got;
		struct why why = {{0}};
		enum err err = cookie_secrets_parse(&got, files[i].text, strlen(files[i].text), &why);

		assert_int_equal(err, files[i].why ? ERR_SYNTAX : ERR_OK);
		if (files[i].why)
			assert_string_equal(why.text, files[i].why);
		else
			assert_int_equal(got.count, files[i].count);
		if (files[i].count)
			assert_memory_equal(got.secret[0], "\0\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff", 16);
		if (files[i].count == 2)
			assert_memory_equal(got.secret[1], "\xff\xee\xdd\xcc\xbb\xaa\x99\x88\x77\x66\x55\x44\x33\x22\x11\0", 16);
	}
}

#define ANSWER "NOERROR aa edns=1232 options=28\nanswer www.example. 3600 TXT \"text\"\n"

/* Sends the cookie, of 8 or 24 octets; the one that comes back, static. */
static const uint8_t *exchange_cookie(const uint8_t *cookie, size_t n)
{
	static uint8_t got[COOKIE_SIZE];
	uint8_t options[4 + COOKIE_OPTION_MAX] = {0, COOKIE, 0, (uint8_t)n};
	const uint8_t *found;
	size_t length;

	memcpy(options + 4, cookie, n);
	assert_string_equal(ask("www.example. TXT", options, 4 + n), ANSWER);
	found = option(COOKIE, &length);
	assert_non_null(found);
	assert_int_equal(length, COOKIE_SIZE);
	assert_memory_equal(found, cookie, COOKIE_CLIENT);
	return memcpy(got, found, sizeof got);
}

static void a_client_gets_a_cookie_and_may_keep_it(void **state)
{
	uint8_t first[COOKIE_SIZE], bad[COOKIE_SIZE];

	(void)state;
	memcpy(first, exchange_cookie((const uint8_t *)"clientco", 8), sizeof first);
	assert_int_equal(counters.cookies_new, 1);
	in.now += 1800;
	assert_memory_equal(exchange_cookie(first, sizeof first), first, sizeof first);
	assert_int_equal(counters.cookies_good, 1);
	in.now += 1;
	assert_memory_not_equal(exchange_cookie(first, sizeof first), first, sizeof first);
	assert_int_equal(counters.cookies_good, 2);
	in.now += 3600;
	exchange_cookie(first, sizeof first);
	assert_int_equal(counters.cookies_bad, 1);
	memcpy(bad, first, sizeof bad);
	bad[23] ^= 1;
	memcpy(bad, exchange_cookie(bad, sizeof bad), sizeof bad);
	assert_int_equal(cookie_check(&secrets, bad, sizeof bad, &in.from, (uint32_t)in.now), COOKIE_GOOD);
	assert_int_equal(counters.cookies_bad, 2);
	assert_int_equal(counters.cookies_new, 1);
}

static void a_secret_can_be_replaced(void **state)
{
	uint8_t before[COOKIE_SIZE], after[COOKIE_SIZE];

	(void)state;
	memcpy(before, exchange_cookie((const uint8_t *)"clientco", 8), sizeof before);
	set_secrets("ffeeddccbbaa99887766554433221100\n00112233445566778899aabbccddeeff");
	memcpy(after, exchange_cookie(before, sizeof before), sizeof after);
	assert_int_equal(counters.cookies_good, 1);
	set_secrets("ffeeddccbbaa99887766554433221100");
	assert_memory_equal(exchange_cookie(after, sizeof after), after, sizeof after);
	exchange_cookie(before, sizeof before);
	assert_int_equal(counters.cookies_bad, 1);
	set_secrets("00112233445566778899aabbccddeeff\nffeeddccbbaa99887766554433221100");
	assert_memory_equal(exchange_cookie(before, sizeof before), before, sizeof before);
}

static void a_cookie_of_a_wrong_length_is_malformed(void **state)
{
	(void)state;
	for (uint16_t n = 0; n <= 60; n++) {
		uint8_t options[64] = {0, COOKIE, 0, (uint8_t)n};
		bool fine = n == 8 || (n >= 16 && n <= 40);

		assert_string_equal(ask("www.example. TXT", options, 4u + n), fine ? ANSWER : "FORMERR edns=1232\n");
		assert_int_equal(has(COOKIE), fine);
	}
	assert_int_equal(counters.cookies_malformed, 61 - 26);
	assert_int_equal(counters.rcode_formerr, 61 - 26);
	settings.cookies = NULL;
	for (uint16_t n = 0; n <= 60; n++) {
		uint8_t options[64] = {0, COOKIE, 0, (uint8_t)n};

		assert_string_equal(ask("www.example. TXT", options, 4u + n),
			"NOERROR aa edns=1232\nanswer www.example. 3600 TXT \"text\"\n");
	}
	assert_int_equal(counters.cookies_malformed, 61 - 26);
}

static void of_two_cookies_the_first_counts(void **state)
{
	(void)state;
	assert_string_equal(ask("www.example. TXT", BYTES("\0\12\0\10firstone\0\12\0\10otherone")), ANSWER);
	assert_memory_equal(response + response_length - 24, "firstone", 8);
	assert_string_equal(ask("www.example. TXT", BYTES("\0\12\0\10firstone\0\12\0\3bad")), ANSWER);
	assert_string_equal(ask("www.example. TXT", BYTES("\0\12\0\3bad\0\12\0\10firstone")), "FORMERR edns=1232\n");
	assert_int_equal(counters.cookies_new, 2);
}

static void errors_come_with_a_cookie_too(void **state)
{
	struct test_request request = with_options("www.example. TXT", BYTES("\0\12\0\10clientco"));

	(void)state;
	assert_string_equal(ask("www.nowhere. A", BYTES("\0\12\0\10clientco")), "REFUSED edns=1232 options=34\n");
	assert_true(has(COOKIE) && has(EDE));
	request.bytes[2] |= OPCODE_UPDATE << 3;
	assert_int_equal(ask_request(&request), ANSWER_SEND);
	assert_string_equal(show_message(response, response_length), "NOTIMP opcode=5 edns=1232 options=28\n");
	request.bytes[2] = 0;
	request.bytes[request.length - 12 - 5] = 1;          /* EDNS version */
	assert_int_equal(ask_request(&request), ANSWER_SEND);
	assert_string_equal(show_message(response, response_length), "BADVERS edns=1232\n");
}

/* RFC 7873 5.4 */
static void a_cookie_can_be_asked_for_without_a_question(void **state)
{
	struct test_request request = {.length = 12 + 11 + 4 + 8};
	uint8_t cookie[COOKIE_SIZE];
	size_t length;

	(void)state;
	memcpy(request.bytes, "\x12\x34\0\0\0\0\0\0\0\0\0\1" "\0\0\x29\x04\xd0\0\0\0\0\0\14" "\0\12\0\10clientco", request.length);
	assert_int_equal(ask_request(&request), ANSWER_SEND);
	assert_string_equal(show_message(response, response_length), "NOERROR edns=1232 options=28 questionless\n");
	memcpy(cookie, option(COOKIE, &length), sizeof cookie);
	request.bytes[22] = 28;
	request.bytes[26] = 24;
	memcpy(request.bytes + 27, cookie, sizeof cookie);
	request.length += 16;
	assert_int_equal(ask_request(&request), ANSWER_SEND);
	assert_string_equal(show_message(response, response_length), "NOERROR edns=1232 options=28 questionless\n");
	request.bytes[50] ^= 1;
	assert_int_equal(ask_request(&request), ANSWER_SEND);
	assert_string_equal(show_message(response, response_length), "BADCOOKIE edns=1232 options=28 questionless\n");
	assert_true(option_is(COOKIE, cookie, sizeof cookie));
	request.bytes[2] = OPCODE_NOTIFY << 3;
	assert_int_equal(ask_request(&request), ANSWER_SEND);
	assert_string_equal(show_message(response, response_length), "FORMERR opcode=4 edns=1232 options=28 questionless\n");
	request.bytes[2] = 0;
	settings.cookies = NULL;
	assert_int_equal(ask_request(&request), ANSWER_SEND);
	assert_string_equal(show_message(response, response_length), "FORMERR edns=1232 questionless\n");
}

/* The zone, and records of which there can be many. */
static void load_with(unsigned count, const char *format)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	fputs(zone_text, out);
	for (unsigned i = 0; i < count; i++)
		fprintf(out, format, i);
	fclose(out);
	store_commit(place, zone_of_text("example.", text), STORE_SERVED);
	free(text);
}

/* They make the response longer and longer. */
static void load_big(unsigned count)
{
	load_with(count, "big IN A 10.0.0.%u\n");
}

static void load_hosts(unsigned count)
{
	load_with(count, "host%u IN A 10.0.0.1\n");
}

static void the_cookie_fits_always_and_the_rest_where_there_is_room(void **state)
{
	static const char all[] = "\0\3\0\0\0\12\0\10clientco\0\23\0\0";
	bool truncated = false, without_identity = false, with_identity = false;

	(void)state;
	for (unsigned count = 1; count <= 40; count++) {
		size_t bare = 12 + 17 + 16u * count + 11;
		bool tc;

		load_big(count);
		ask("big.example. A edns=512", BYTES(all));
		tc = response[2] & MSG_TC >> 8;
		assert_true(response_length <= 512);
		assert_true(has(COOKIE));
		assert_int_equal(tc, bare + 28 > 512);
		assert_int_equal(has(ZONEVERSION), tc || bare + 28 + 10 <= 512);
		assert_int_equal(has(NSID), tc || bare + 28 + 10 + 12 <= 512);
		truncated |= tc;
		without_identity |= !has(NSID);
		with_identity |= has(NSID) && !tc;
	}
	assert_true(truncated && without_identity && with_identity);
	load_big(0);
}

static void options_are_written_whole_or_not_at_all(void **state)
{
	static const size_t sizes[] = {28, 8, 6, 6, 10, 12};   /* in the order in which they are written */
	struct edns_reply reply = {.tell = 127 & ~(unsigned)EDNS_PADDING, .identity = "ns1.test"};

	(void)state;
	for (size_t room = 0; room <= 80; room++) {
		uint8_t bytes[80];
		struct wbuf out = wbuf_of(bytes, room);
		size_t wanted = 0;

		for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
			wanted += wanted + sizes[i] <= room ? sizes[i] : 0;
		edns_write(&reply, &out);
		assert_int_equal(wbuf_used(&out), wanted);
		assert_false(out.bad);
	}
}

/* --- what is left until a zone expires (RFC 7314) ---------------------------------------------------- */

#define ASK_EXPIRE BYTES("\0\11\0\0")

static void a_zone_from_a_file_has_the_soa_s_expiry(void **state)
{
	(void)state;
	ask("example. SOA", ASK_EXPIRE);
	assert_true(option_is(EXPIRE, "\0\x09\x3a\x80", 4));
	ask("kid.example. SOA", ASK_EXPIRE);
	assert_true(option_is(EXPIRE, "\0\1\x51\x80", 4));
}

static void a_secondary_tells_what_is_left(void **state)
{
	(void)state;
	store_set_expiry(place, NOW_MS + 70999);
	ask("eXample. SOA", ASK_EXPIRE);
	assert_true(option_is(EXPIRE, "\0\0\0\106", 4));
	in.now_ms += 71000;
	ask("example. SOA tcp", ASK_EXPIRE);
	assert_true(option_is(EXPIRE, "\0\0\0\0", 4));
	in.now_ms += 1000000;
	ask("example. SOA", ASK_EXPIRE);
	assert_true(option_is(EXPIRE, "\0\0\0\0", 4));
	ask("example. IXFR", ASK_EXPIRE);                     /* FORMERR: without a SOA */
	assert_true(has(EXPIRE));
}

static void expiry_is_told_of_a_zone_alone(void **state)
{
	static const char *const none[] = {"www.example. SOA", "nothere.example. SOA", "example. NS", "example. ANY", "sub.example. SOA",
		"nowhere. SOA", "new.example. SOA", "id.server. TXT CH"};

	(void)state;
	for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
		ask(none[i], ASK_EXPIRE);
		assert_false(has(EXPIRE));
	}
	ask("example. SOA", BYTES(""));
	assert_false(has(EXPIRE));
	ask("example. SOA", BYTES("\0\11\0\4\0\0\0\1"));
	assert_false(has(EXPIRE));
}

static void a_transfer_tells_it_in_its_first_message(void **state)
{
	struct test_request request = with_options("example. AXFR tcp", BYTES("\0\11\0\0\0\12\0\10clientco\0\13\0\0\0\3\0\0"));
	struct outgoing *outgoing;
	struct why why;

	(void)state;
	in.idle_ms = 10000;
	store_set_expiry(place, NOW_MS + 70000);
	load_hosts(2000);
	assert_int_equal(ask_request(&request), ANSWER_TRANSFER);
	outgoing = outgoing_new(&transfer);
	assert_int_equal(outgoing_next(outgoing, NOW, response, &response_length, &why), OUTGOING_MESSAGE);
	outgoing_free(outgoing);
	load_hosts(0);
	assert_true(option_is(EXPIRE, "\0\0\0\106", 4));
	assert_true(option_is(KEEPALIVE, "\0\x64", 2));
	assert_true(option_is(NSID, "ns1.test", 8));
	assert_true(has(COOKIE));
}

/* --- the connection (RFC 7828) ----------------------------------------------------------------------- */

static void who_asks_over_tcp_is_told_how_long_it_may_be_idle(void **state)
{
	(void)state;
	in.idle_ms = 10050;
	ask("www.example. TXT tcp", BYTES("\0\13\0\0"));
	assert_true(option_is(KEEPALIVE, "\0\x64", 2));
	in.idle_ms = 6553600;
	ask("www.example. TXT tcp", BYTES("\0\13\0\0"));
	assert_true(option_is(KEEPALIVE, "\xff\xff", 2));
	ask("www.example. TXT tcp", BYTES("\0\13\0\2\0\1"));
	assert_false(has(KEEPALIVE));
	ask("www.example. TXT tcp", BYTES("\0\3\0\0"));
	assert_false(has(KEEPALIVE));
	assert_string_equal(ask("www.example. TXT", BYTES("\0\13\0\0")), "NOERROR aa edns=1232\nanswer www.example. 3600 TXT \"text\"\n");
	assert_string_equal(ask("www.example. TXT", BYTES("\0\13\0\2\0\1")), "NOERROR aa edns=1232\nanswer www.example. 3600 TXT \"text\"\n");
}

/* --- padding (RFC 8467) ------------------------------------------------------------------------------- */

static void answers_over_tls_are_padded_for_who_pads(void **state)
{
	(void)state;
	in.secure = true;
	for (unsigned count = 1; count <= 40; count += 3) {
		load_big(count);
		ask("big.example. A tcp", BYTES("\0\14\0\0"));
		assert_int_equal(response_length % 468, 0);
		assert_true(response_length < 12 + 17 + 16u * count + 11 + 4 + 468);
		ask("big.example. A tcp", BYTES("\0\14\0\5xxxxx\0\12\0\10clientco\0\3\0\0"));
		assert_int_equal(response_length % 468, 0);
		assert_true(has(COOKIE) && has(NSID));
	}
	ask("big.example. A tcp", BYTES("\0\3\0\0"));
	assert_false(has(PADDING));
	in.secure = false;
	ask("big.example. A tcp", BYTES("\0\14\0\0"));
	assert_false(has(PADDING));
	load_big(0);
}

static void a_signed_answer_is_padded_to_its_end(void **state)
{
	struct test_request request = with_options("www.example. TXT tcp", BYTES("\0\14\0\0"));
	struct wbuf out = wbuf_of(request.bytes, sizeof request.bytes);
	struct tsig_key key;
	struct tsig asker = {0};
	size_t length;

	(void)state;
	assert_int_equal(tsig_key_parse(&key, "key", "hmac-sha256", "c2VjcmV0IG9uZSBzZWNyZXQ=", NULL), ERR_OK);
	settings.keys = &key;
	settings.key_count = 1;
	in.secure = true;
	out.at += request.length;
	assert_int_equal(tsig_sign_request(&asker, &key, &out, NOW), ERR_OK);
	request.length = wbuf_used(&out);
	assert_int_equal(ask_request(&request), ANSWER_SEND);
	assert_int_equal(response_length, 468);
	assert_int_equal(tsig_verify_reply(&asker, response, response_length, NOW, &length), TSIG_OK);
	tsig_release(&asker);
}

static void padding_ends_where_the_message_must(void **state)
{
	static const struct { size_t length, most, pad; } sizes[] = {
		{464, 65535, 4}, {463, 65535, 5}, {465, 65535, 4 + 467}, {0, 65535, 468}, {65520, 65535, 15}, {65531, 65535, 4}, {65532, 65535, 0},
	};
	uint8_t bytes[EDNS_PADDING_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		struct wbuf out = wbuf_of(bytes, sizeof bytes);

		memset(bytes, 1, sizeof bytes);
		edns_pad(&out, sizes[i].length, sizes[i].most);
		assert_int_equal(wbuf_used(&out), sizes[i].pad);
		for (size_t k = 4; k < sizes[i].pad; k++)
			assert_int_equal(bytes[k], 0);
	}
}

/* --- the zone's version (RFC 9660) --------------------------------------------------------------------- */

static void who_asks_is_told_the_zone_s_version(void **state)
{
	static const struct { const char *question, *version; } known[] = {
		{"www.example. TXT", "\1\0\0\0\0\7"}, {"nothere.example. TXT", "\1\0\0\0\0\7"}, {"host.sub.example. A", "\1\0\0\0\0\7"},
		{"example. SOA", "\1\0\0\0\0\7"}, {"ns.kid.example. A", "\2\0\0\0\0\10"}, {"kid.example. DS", "\1\0\0\0\0\7"},
		{"x.kid.example. A tcp", "\2\0\0\0\0\10"}, {"nowhere. A", NULL}, {"new.example. A", NULL}, {"id.server. TXT CH", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		ask(known[i].question, BYTES("\0\23\0\0"));
		if (known[i].version)
			assert_true(option_is(ZONEVERSION, known[i].version, 6));
		else
			assert_false(has(ZONEVERSION));
	}
	ask("www.example. TXT", BYTES("\0\3\0\0"));
	assert_false(has(ZONEVERSION));
	assert_string_equal(ask("www.example. TXT", BYTES("\0\23\0\1\0")), "FORMERR edns=1232\n");
	assert_string_equal(ask("www.example. TXT", BYTES("\0\12\0\10clientco\0\23\0\6\1\0\0\0\0\7")), "FORMERR edns=1232 options=28\n");
}

/* ------------------------------------------------------------------------------------------------------- */

static void everything_at_once(void **state)
{
	char identity[301];
	size_t length;

	(void)state;
	memset(identity, 'x', sizeof identity - 1);
	identity[300] = 0;
	settings.identity = identity;
	in.secure = true;
	in.idle_ms = 1000;
	ask("example. SOA tcp", BYTES("\0\3\0\0\0\11\0\0\0\12\0\10clientco\0\13\0\0\0\14\0\0\0\23\0\0\377\377\0\1x"));
	assert_true(has(COOKIE) && has(EXPIRE) && has(KEEPALIVE) && has(PADDING) && has(ZONEVERSION));
	assert_non_null(option(NSID, &length));
	assert_int_equal(length, 255);
	assert_int_equal(response_length % 468, 0);
	ask("nowhere. SOA tcp", BYTES("\0\3\0\0\0\11\0\0\0\12\0\10clientco\0\13\0\0\0\14\0\0\0\23\0\0\0\3\0\0"));
	assert_true(has(COOKIE) && has(KEEPALIVE) && has(PADDING) && has(NSID) && has(EDE));
	assert_false(has(EXPIRE) || has(ZONEVERSION));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, begin)
	const struct CMUnitTest tests[] = {
		TEST(siphash_is_as_its_authors_define_it),
		TEST(cookies_are_those_of_the_standard_s_examples),
		TEST(a_cookie_is_good_for_an_hour),
		TEST(a_cookie_is_good_as_it_was_made_alone),
		TEST(a_cookie_of_another_version_is_none_of_ours),
		TEST(secrets_are_read_a_line_each),
		TEST(a_client_gets_a_cookie_and_may_keep_it),
		TEST(a_secret_can_be_replaced),
		TEST(a_cookie_of_a_wrong_length_is_malformed),
		TEST(of_two_cookies_the_first_counts),
		TEST(errors_come_with_a_cookie_too),
		TEST(a_cookie_can_be_asked_for_without_a_question),
		TEST(the_cookie_fits_always_and_the_rest_where_there_is_room),
		TEST(options_are_written_whole_or_not_at_all),
		TEST(a_zone_from_a_file_has_the_soa_s_expiry),
		TEST(a_secondary_tells_what_is_left),
		TEST(expiry_is_told_of_a_zone_alone),
		TEST(a_transfer_tells_it_in_its_first_message),
		TEST(who_asks_over_tcp_is_told_how_long_it_may_be_idle),
		TEST(answers_over_tls_are_padded_for_who_pads),
		TEST(a_signed_answer_is_padded_to_its_end),
		TEST(padding_ends_where_the_message_must),
		TEST(who_asks_is_told_the_zone_s_version),
		TEST(everything_at_once),
	};

	return cmocka_run_group_tests_name("serve/edns", tests, setup, teardown);
}
