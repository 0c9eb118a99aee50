/* The first octet says how the rest is used:
 *   even: edits (place, value) of a signed request, of a signed reply and of a run of replies. What still verifies must
 *         be what was signed: the ID and the case of the two names in the TSIG are all that may differ.
 *   odd:  messages, each behind two octets of length, as requests and as a run of replies. Nothing but the state may
 *         change, and no run may end well that did not have its last message signed. */
#include "dns/tsig.h"

#include <stdlib.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NOW = 1790000000, ROOM = 600, RUN = 4 };

struct message {
	uint8_t bytes[ROOM];
	size_t length, bare;         /* whole, and without its TSIG */
};

static struct tsig_key key;
static struct tsig client, server, asked;
static struct message request, reply[RUN];

static void must(bool holds)
{
	if (!holds)
		abort();
}

static const struct tsig_key *find(void *ctx, const uint8_t *name, const uint8_t *algorithm)
{
	(void)ctx;
	(void)algorithm;
	return name_equal(name, key.name) ? &key : NULL;
}

static struct wbuf plain(struct message *message, uint16_t flags, unsigned answers)
{
	static const uint8_t zone[] = "\7example\3com", address[4] = {192, 0, 2, 1};
	static struct msg_writer writer;
	struct rr rr = {.owner = zone, .type = RR_A, .class = CLASS_IN, .ttl = 60, .rdlength = 4, .rdata = address};
	struct wbuf buf = wbuf_of(message->bytes, ROOM);

	msg_start(&writer, message->bytes, ROOM, ROOM);
	msg_put_question(&writer, zone, RR_AXFR, CLASS_IN);
	while (answers-- > 0)
		msg_put_rr(&writer, MSG_ANSWER, &rr);
	message->bare = msg_finish(&writer, 0x1234, flags);
	buf.at += message->bare;
	return buf;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct wbuf buf;
	size_t length;

	(void)argc;
	(void)argv;
	rr_init();
	must(tsig_key_parse(&key, "xfr.test", "hmac-sha256", "c2VjcmV0IG9mIHR3ZW50eSBvY3RldHM=", NULL) == ERR_OK);
	buf = plain(&request, 0, 0);
	must(tsig_sign_request(&client, &key, &buf, NOW) == ERR_OK);
	request.length = wbuf_used(&buf);
	must(tsig_check_request(&server, find, NULL, request.bytes, request.length, NOW, &length) == TSIG_OK);
	must(length == request.bare);
	asked = client;
	for (unsigned i = 0; i < RUN; i++) {
		buf = plain(&reply[i], MSG_QR, i);
		must(tsig_sign_reply(&server, &buf, NOW + i) == ERR_OK);
		reply[i].length = wbuf_used(&buf);
		must(tsig_verify_reply(&client, reply[i].bytes, reply[i].length, NOW, &length) == TSIG_OK);
	}
	return 0;
}

/* Back to the moment after the request; OpenSSL's context is kept. */
static void ask_again(void)
{
	asked.mac_ctx = client.mac_ctx;
	asked.mac_algorithm = client.mac_algorithm;
	client = asked;
}

static struct message edited(const struct message *from, const uint8_t *edits, size_t size)
{
	struct message message = *from;

	for (size_t i = 0; i + 3 <= size; i += 3) {
		size_t at = get_u16(edits + i);

		if (at < ROOM)
			message.bytes[at] = edits[i + 2];
		else
			message.length = at % (ROOM + 1);
	}
	return message;
}

/* The same to everybody who may believe a TSIG. */
static bool means_the_same(const struct message *a, const struct message *b)
{
	const uint8_t *x = a->bytes + a->bare, *y = b->bytes + b->bare;
	size_t name = name_length(y), algorithm = name_length(y + name + 10), fixed = name + 10 + algorithm;

	if (a->length != b->length || memcmp(a->bytes + 2, b->bytes + 2, b->bare - 2) != 0)
		return false;
	if (!name_octets_equal(x, y, name) || memcmp(x + name, y + name, 10) != 0)
		return false;
	return name_octets_equal(x + name + 10, y + name + 10, algorithm) &&
		memcmp(x + fixed, y + fixed, b->length - b->bare - fixed) == 0;
}

static enum tsig_verdict verify(const struct message *message)
{
	size_t length;
	enum tsig_verdict verdict = tsig_verify_reply(&client, message->bytes, message->length, NOW, &length);

	must(length <= message->length);
	return verdict;
}

static void try_edits(const uint8_t *edits, size_t size)
{
	struct message message = edited(&request, edits, size);
	unsigned which = size > 0 ? edits[size - 1] % RUN : 0;
	size_t length;

	if (tsig_check_request(&server, find, NULL, message.bytes, message.length, NOW, &length) == TSIG_OK)
		must(means_the_same(&message, &request) && length == request.bare);
	ask_again();
	for (unsigned i = 0; i < which; i++)
		must(verify(&reply[i]) == TSIG_OK);
	message = edited(&reply[which], edits, size);
	if (verify(&message) == TSIG_OK)
		must(means_the_same(&message, &reply[which]));
	else
		must(tsig_finish(&client) != TSIG_OK);
	for (unsigned i = which + 1; i < RUN; i++)
		if (verify(&reply[i]) == TSIG_OK)
			must(means_the_same(&message, &reply[which]));
}

static void try_messages(const uint8_t *data, size_t size)
{
	struct rbuf in = rbuf_of(data, size);
	size_t length;

	ask_again();
	while (rbuf_left(&in) > 0) {
		size_t n = rbuf_u16(&in);
		const uint8_t *message;
		enum tsig_verdict verdict;

		if (n > rbuf_left(&in))
			n = rbuf_left(&in);
		message = rbuf_take(&in, n);
		if (!message)
			return;
		verdict = tsig_check_request(&server, find, NULL, message, n, NOW, &length);
		must(length <= n && (verdict != TSIG_OK || server.key == &key));
		verdict = tsig_verify_reply(&client, message, n, NOW, &length);
		must(length <= n && client.unsigned_run <= TSIG_UNSIGNED_MAX);
		must(tsig_finish(&client) != TSIG_OK || (client.messages > 0 && verdict == TSIG_OK));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] % 2)
		try_messages(data + 1, size - 1);
	else
		try_edits(data + 1, size - 1);
	return 0;
}
