/* dns/text: the small pieces that record text is made of, read and written: numbers, times, addresses, escaped octets, hex,
 * base64 and base32hex. Knows no record types. Read by dns/svcb, dns/rrparse, dns/rrprint, zone/zonefile. Pure.
 */
#ifndef DNS_TEXT_H
#define DNS_TEXT_H

#include "base/buf.h"

/* One token of a master file: text with its escapes still in it, `quoted` if it stood in quotes (without them). Quotes that
 * open inside of a token (key="value") stay in it, with what is between them. */
struct text_token {
	const char *text;
	size_t length;
	bool quoted;
};

/* --- reading: false, that is not such text ---------------------------------------------- */

/* Decimal digits, at most ten, up to `most`. */
bool text_number(const char *text, size_t length, uint32_t most, uint32_t *number);
/* A prefix in any case and then a number up to 65535: "TYPE50", "CLASS3". */
bool text_numbered(const char *prefix, const char *text, size_t length, uint16_t *number);
/* A number of seconds, or numbers with units: "1w2d3h4m5s" in any case. False also for more than 2^32-1. */
bool text_period(const char *text, size_t length, uint32_t *seconds);
/* RFC 4034 3.2: YYYYMMDDHHmmSS, from 1970 to 2106, or a number of seconds. */
bool text_time(const char *text, size_t length, uint32_t *seconds);
bool text_ipv4(const char *text, size_t length, uint8_t out[4]);
bool text_ipv6(const char *text, size_t length, uint8_t out[16]);
int text_hex_digit(char);        /* -1: it is none */
/* RFC 4648 7 without padding. */
bool text_base32hex(const char *text, size_t length, struct wbuf *out);

/* The next octet of text with escapes, from *at < end; *at goes on. -1: a wrong escape. */
int text_octet(const char **at, const char *end);
/* All of them. */
bool text_octets(const char *text, size_t length, struct wbuf *out);

/* Hex and base64 may stand in several tokens: a state that begins as {0}, any number of pieces, and at the end a
 * question: was it whole? */
struct text_hex {
	uint8_t high;
	bool half;
};
bool text_hex(struct text_hex *, const char *text, size_t length, struct wbuf *out);
static inline bool text_hex_whole(const struct text_hex *state) { return !state->half; }

struct text_base64 {
	uint32_t bits;
	unsigned digits, pads;       /* of the four digits under way */
};
bool text_base64(struct text_base64 *, const char *text, size_t length, struct wbuf *out);
static inline bool text_base64_whole(const struct text_base64 *state) { return state->digits == 0; }

/* --- writing: at `out`, which has room; no NUL; the end of what was written ---------------- */

char *text_put_number(char *out, uint32_t number);
char *text_put_time(char *out, uint32_t seconds);            /* YYYYMMDDHHmmSS */
char *text_put_ipv4(char *out, const uint8_t *address);
char *text_put_ipv6(char *out, const uint8_t *address);      /* RFC 5952 4; at most 39 */
char *text_put_hex(char *out, const uint8_t *octets, size_t n);
char *text_put_base64(char *out, const uint8_t *octets, size_t n);
char *text_put_base32hex(char *out, const uint8_t *octets, size_t n);    /* n a multiple of 5 */
char *text_put_quoted(char *out, const uint8_t *octets, size_t n);       /* in quotes, with escapes; at most 4 n + 2 */

#endif
