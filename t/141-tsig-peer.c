/* One end of a TSIG exchange, for t/141-tsig-peer.t: a command a line on standard input, a line of answer each.
 *
 *     key NAME ALGORITHM SECRET      ok
 *     sign HEX TIME                  the request with its TSIG
 *     verify HEX TIME                the verdict on a reply
 *     finish                         the verdict on all of them
 *     check HEX TIME                 the verdict on a request
 *     reply HEX TIME                 the reply with its TSIG
 */
#include "dns/tsig.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static struct tsig_key key;
static struct tsig ts;
static uint8_t message[MSG_MAX];

static size_t from_hex(const char *hex)
{
	size_t n = 0;
	unsigned octet;

	while (n < sizeof message && sscanf(hex + 2 * n, "%2x", &octet) == 1)
		message[n++] = (uint8_t)octet;
	return n;
}

static void say_hex(size_t n)
{
	for (size_t i = 0; i < n; i++)
		printf("%02x", message[i]);
	printf("\n");
}

static const struct tsig_key *find(void *ctx, const uint8_t *name, const uint8_t *algorithm)
{
	(void)ctx;
	(void)algorithm;
	return name_equal(name, key.name) ? &key : NULL;
}

static void set_key(const char *name, const char *algorithm, const char *secret)
{
	struct why why = {""};

	tsig_release(&ts);
	printf("%s\n", tsig_key_parse(&key, name, algorithm, secret, &why) == ERR_OK ? "ok" : why.text);
}

static void sign(bool reply, const char *hex, uint64_t now)
{
	struct wbuf buf = wbuf_of(message, sizeof message);
	enum err err;

	buf.at += from_hex(hex);
	err = reply ? tsig_sign_reply(&ts, &buf, now) : tsig_sign_request(&ts, &key, &buf, now);
	if (err == ERR_OK)
		say_hex(wbuf_used(&buf));
	else
		printf("%s\n", err_text(err));
}

static void judge(bool reply, const char *hex, uint64_t now)
{
	size_t length, n = from_hex(hex);

	printf("%s\n", tsig_verdict_text(reply ? tsig_verify_reply(&ts, message, n, now, &length) :
		tsig_check_request(&ts, find, NULL, message, n, now, &length)));
}

int main(void)
{
	char *line = NULL, word[3][512];
	static char hex[2 * MSG_MAX + 1];
	size_t size = 0;
	uint64_t now;

	setvbuf(stdout, NULL, _IOLBF, 0);
	while (getline(&line, &size, stdin) > 0) {
		if (sscanf(line, "key %511s %511s %511s", word[0], word[1], word[2]) == 3)
			set_key(word[0], word[1], word[2]);
		else if (sscanf(line, "sign %131070s %" SCNu64, hex, &now) == 2)
			sign(false, hex, now);
		else if (sscanf(line, "reply %131070s %" SCNu64, hex, &now) == 2)
			sign(true, hex, now);
		else if (sscanf(line, "verify %131070s %" SCNu64, hex, &now) == 2)
			judge(true, hex, now);
		else if (sscanf(line, "check %131070s %" SCNu64, hex, &now) == 2)
			judge(false, hex, now);
		else
			printf("%s\n", strcmp(line, "finish\n") == 0 ? tsig_verdict_text(tsig_finish(&ts)) : "?");
	}
	free(line);
	tsig_release(&ts);
	return 0;
}
