#include "serve/edns.h"

enum code {                          /* RFC 6891 9 and its registry */
	CODE_NSID = 3, CODE_EXPIRE = 9, CODE_COOKIE = 10, CODE_KEEPALIVE = 11, CODE_PADDING = 12, CODE_EDE = 15, CODE_ZONEVERSION = 19,
};
enum { ZONEVERSION_SOA_SERIAL = 0 };   /* RFC 9660 7.2 */

/* --- requests ------------------------------------------------------------------------------ */

static enum edns_verdict read_cookie(struct edns_request *rq, const uint8_t *data, uint16_t length)
{
	if (rq->asked & EDNS_COOKIE)
		return EDNS_OK;
	if (length != COOKIE_CLIENT && (length < 16 || length > COOKIE_OPTION_MAX))
		return EDNS_BAD_COOKIE;
	rq->asked |= EDNS_COOKIE;
	rq->cookie = data;
	rq->cookie_length = length;
	return EDNS_OK;
}

static enum edns_verdict read_option(struct edns_request *rq, uint16_t code, const uint8_t *data, uint16_t length, bool cookies)
{
	switch (code) {
	case CODE_NSID:
		rq->asked |= EDNS_NSID;
		break;
	case CODE_EXPIRE:
		rq->asked |= length ? 0 : EDNS_EXPIRE;
		break;
	case CODE_COOKIE:
		return cookies ? read_cookie(rq, data, length) : EDNS_OK;
	case CODE_KEEPALIVE:
		rq->asked |= length ? 0 : EDNS_KEEPALIVE;
		break;
	case CODE_PADDING:           /* of any length: the client pads its own message with it */
		rq->asked |= EDNS_PADDING;
		break;
	case CODE_ZONEVERSION:
		if (length)
			return EDNS_BAD_VERSION;
		rq->asked |= EDNS_ZONEVERSION;
		break;
	}
	return EDNS_OK;
}

enum edns_verdict edns_read(const struct msg_edns *edns, bool cookies, struct edns_request *rq)
{
	struct rbuf options = rbuf_of(edns->options, edns->options_length);
	enum edns_verdict verdict = EDNS_OK;

	rq->asked = 0;
	while (rbuf_left(&options) > 0 && verdict == EDNS_OK) {
		uint16_t code = rbuf_u16(&options), length = rbuf_u16(&options);
		const uint8_t *data = rbuf_take(&options, length);

		verdict = read_option(rq, code, data, length, cookies);
	}
	return verdict;
}

/* --- replies ------------------------------------------------------------------------------- */

/* The option's head; false: the option does not fit. */
static bool begin(struct wbuf *out, enum code code, size_t length)
{
	if (wbuf_left(out) < 4 + length)
		return false;
	wbuf_u16(out, (uint16_t)code);
	wbuf_u16(out, (uint16_t)length);
	return true;
}

static void write_version(const struct edns_reply *reply, struct wbuf *out)
{
	if (!begin(out, CODE_ZONEVERSION, 6))
		return;
	wbuf_u8(out, reply->labels);
	wbuf_u8(out, ZONEVERSION_SOA_SERIAL);
	wbuf_u32(out, reply->serial);
}

void edns_write(const struct edns_reply *reply, struct wbuf *out)
{
	size_t identity = reply->tell & EDNS_NSID ? strnlen(reply->identity, EDNS_IDENTITY_MAX) : 0;

	if (reply->tell & EDNS_COOKIE && begin(out, CODE_COOKIE, COOKIE_SIZE))
		wbuf_bytes(out, reply->cookie, COOKIE_SIZE);
	if (reply->tell & EDNS_EXPIRE && begin(out, CODE_EXPIRE, 4))
		wbuf_u32(out, reply->expire);
	if (reply->tell & EDNS_KEEPALIVE && begin(out, CODE_KEEPALIVE, 2))
		wbuf_u16(out, reply->keepalive);
	if (reply->tell & EDNS_EDE && begin(out, CODE_EDE, 2))
		wbuf_u16(out, reply->ede);
	if (reply->tell & EDNS_ZONEVERSION)
		write_version(reply, out);
	if (identity > 0 && begin(out, CODE_NSID, identity))
		wbuf_bytes(out, reply->identity, identity);
}

void edns_pad(struct wbuf *out, size_t length, size_t most)
{
	size_t bare = length + 4, padded = (bare + EDNS_BLOCK - 1) / EDNS_BLOCK * EDNS_BLOCK;

	if (padded > most)
		padded = most;
	if (padded < bare || !begin(out, CODE_PADDING, padded - bare))
		return;
	memset(wbuf_room(out, padded - bare), 0, padded - bare);
}
