/* Any octets as a request, over UDP, TCP or TLS, limited or not, with or without a right signature, to a server of a parent zone,
 * its child and one that is not loaded, and of zones signed with NSEC, NSEC3, and NSEC3 with opt-out. The first octet says how;
 * whatever is answered must be a message that can be read whole, within its limit; a transfer is run to its end. */
#include "../serve-zone.h"

#include "base/log.h"
#include "serve/outgoing.h"
#include "signed.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HOW_TCP = 1, HOW_SIGN = 2, HOW_SECURE = 4, HOW_LIMITED = 8, NOW = 1700000000, NOW_MS = 1000000 };

static const char parent[] =
	"@ IN SOA ns1 host 7 3600 900 604800 300\n@ IN NS ns1\n@ IN NS ns.sub\n@ IN MX 10 mail\nns1 IN A 192.0.2.1\nns1 IN AAAA 2001:db8::1\n"
	"mail IN A 192.0.2.2\nwww IN A 192.0.2.3\nwww IN TXT \"text\"\nalias IN CNAME www\nloop1 IN CNAME loop2\nloop2 IN CNAME loop1\n"
	"out IN CNAME www.test.\ntosub IN CNAME a.sub\na.ent IN A 192.0.2.4\n*.wild IN A 192.0.2.5\n*.wild IN MX 10 mail\n"
	"*.wa IN CNAME x.wa\nsub IN NS ns.sub\nsub IN NS ns1\nns.sub IN A 192.0.2.6\nkid IN NS ns.kid\n"
	"kid IN DS 2 8 2 AABBCCDDAABBCCDDAABBCCDDAABBCCDDAABBCCDDAABBCCDDAABBCCDDAABBCCDD\nns.kid IN A 192.0.2.7\n"
	"d IN DNAME target\nx.target IN A 192.0.2.8\nd.target IN DNAME d\n_s._tcp IN SRV 1 1 5 www\nsvc IN HTTPS 1 . alpn=h2\nsvc IN A 192.0.2.9\n"
	"www IN RRSIG A 8 2 3600 20300101000000 20200101000000 1 example. AAAA\nwww IN NSEC x.target.example. A TXT RRSIG NSEC\n"
	"dl IN DNAME 3456789-123456789-123456789-123456789-123456789-123456789.3456789-123456789-123456789-123456789-123456789-123456789\n";
static const char child[] = "@ IN SOA ns host 8 3600 900 604800 7200\n@ IN NS ns\nns IN A 192.0.2.20\nup IN CNAME www.example.\n";

static const struct acl_rule anybody = {.any_address = true};
static struct serve_policy policy = {.transfer = {&anybody, 1}, .notify = {&anybody, 1}};
static struct serve_counters counters;
static struct answer answerer;
static struct tsig_key key;
static struct tsig asker;
static uint8_t request[MSG_MAX + TSIG_ROOM], response[MSG_MAX];

static const struct cookie_secrets secrets = {2, {"fifteen octets!", "and once more.."}};

static bool on_notify(void *ctx, const uint8_t *zone, const struct net_addr *from, const struct tsig_key *with, bool has_serial,
	struct serial serial)
{
	(void)ctx, (void)with, (void)has_serial, (void)serial;
	CHECK(zone && from);
	return true;
}

static const struct serve_settings settings = {.identity = "ns1.example", .version = "1", .udp_payload = 1232, .keys = &key, .key_count = 1,
	.notify = on_notify, .cookies = &secrets};

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static struct store *store;

	(void)argc, (void)argv;
	rr_init();
	log_setup(LOG_TO_STDERR, LOG_LEVEL_ERROR);
	store_thread_begin();
	store = store_new();
	add_zone(store, "example.", parent, &policy);
	store_set_expiry(add_zone(store, "kid.example.", child, &policy), NOW_MS + 5000);
	add_zone(store, "new.example.", NULL, &policy);
	add_zone(store, "n.", signed_by_nsec, &policy);
	add_zone(store, "h.", signed_by_nsec3, &policy);
	add_zone(store, "o.", signed_by_optout, &policy);
	answer_init(&answerer, store, &counters);
	CHECK(answerer.limit = limit_new());
	CHECK(tsig_key_parse(&key, "key.example", "hmac-sha256", "c2VjcmV0IHNlY3JldCBzZWNyZXQ=", NULL) == ERR_OK);
	return 0;
}

static void check_message(size_t length, size_t limit)
{
	struct rbuf msg = rbuf_of(response, length);
	struct msg_header header;
	struct msg_question question;
	struct msg_rr rr;

	CHECK(length <= limit && msg_read_header(&msg, &header) && header.flags & MSG_QR && header.qdcount <= 1);
	if (header.qdcount)
		CHECK(msg_read_question(&msg, &question));
	for (unsigned left = (unsigned)header.ancount + header.nscount + header.arcount; left > 0; left--)
		CHECK(msg_read_rr(&msg, &rr));
	CHECK(rbuf_left(&msg) == 0);
}

static void run_transfer(struct answer_transfer *transfer)
{
	struct outgoing *outgoing = outgoing_new(transfer);
	enum outgoing_step step;
	size_t length;

	CHECK(outgoing);
	do {
		step = outgoing_next(outgoing, NOW, response, &length, NULL);
		CHECK(step != OUTGOING_FAILED);
		check_message(length, MSG_MAX);
	} while (step == OUTGOING_MESSAGE);
	outgoing_free(outgoing);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wbuf out = wbuf_of(request, sizeof request);
	struct serve_settings limited = settings;
	struct answer_request in = {.bytes = request, .idle_ms = 10000, .now = NOW, .now_ms = NOW_MS};
	struct answer_transfer transfer;
	size_t length;

	if (size < 1 || size > MSG_MAX)
		return 0;
	wbuf_bytes(&out, data + 1, size - 1);
	if (data[0] & HOW_SIGN && size > MSG_HEADER)
		(void)tsig_sign_request(&asker, &key, &out, NOW);
	in.length = wbuf_used(&out);
	in.secure = data[0] & HOW_SECURE;
	in.tcp = data[0] & HOW_TCP || in.secure;
	net_addr_parse(&in.from, "192.0.2.200@4000", 0, NULL);
	limited.limit = (struct limit_rules){.rate = 1, .slip = 1};
	store_enter();
	switch (answer(&answerer, data[0] & HOW_LIMITED ? &limited : &settings, &in, response, &length, &transfer)) {
	case ANSWER_SEND:
		check_message(length, in.tcp ? MSG_MAX : 1232);
		CHECK(memcmp(request, response, 2) == 0);
		break;
	case ANSWER_TRANSFER:
		CHECK(in.tcp);
		run_transfer(&transfer);
		break;
	case ANSWER_DROP:
		CHECK(in.length < MSG_HEADER || request[2] & 0x80 || (data[0] & HOW_LIMITED && !in.tcp));
		break;
	}
	store_leave();
	return 0;
}
