#include "dns/tsig.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <pthread.h>
#include <stdio.h>
#include <strings.h>

static const struct {
	const char *text;
	const char *wire;            /* RFC 8945 6 */
	const char *digest;          /* OpenSSL's name */
	uint8_t length;              /* of the full MAC */
} algorithms[TSIG_ALGORITHMS] = {
	[TSIG_MD5] = {"hmac-md5", "\x08hmac-md5\x07sig-alg\x03reg\x03int", "MD5", 16},
	[TSIG_SHA1] = {"hmac-sha1", "\x09hmac-sha1", "SHA1", 20},
	[TSIG_SHA224] = {"hmac-sha224", "\x0bhmac-sha224", "SHA224", 28},
	[TSIG_SHA256] = {"hmac-sha256", "\x0bhmac-sha256", "SHA256", 32},
	[TSIG_SHA384] = {"hmac-sha384", "\x0bhmac-sha384", "SHA384", 48},
	[TSIG_SHA512] = {"hmac-sha512", "\x0bhmac-sha512", "SHA512", 64},
};

static const uint8_t *wire_name(enum tsig_algorithm algorithm)
{
	return (const uint8_t *)algorithms[algorithm].wire;
}

/* RFC 8945 5.2.2.1: under this a MAC is no MAC. */
static unsigned shortest_mac(enum tsig_algorithm algorithm)
{
	unsigned half = algorithms[algorithm].length / 2;

	return half < 10 ? 10 : half;
}

/* --- keys -------------------------------------------------------------------------- */

/* The "-128" that may follow an algorithm's name; 0 if it is no such thing. */
static unsigned parse_bits(const char *text)
{
	unsigned bits = 0;

	if (*text++ != '-')
		return 0;
	for (int digits = 0; *text >= '0' && *text <= '9' && digits < 4; digits++)
		bits = bits * 10 + (unsigned)(*text++ - '0');
	return *text ? 0 : bits;
}

static enum err parse_algorithm(struct tsig_key *key, const char *text, struct why *why)
{
	for (unsigned i = 0; i < TSIG_ALGORITHMS; i++) {
		size_t n = strlen(algorithms[i].text);
		const char *rest = text + n;
		unsigned bits;

		if (strncasecmp(text, algorithms[i].text, n) != 0)
			continue;
		if (i == TSIG_MD5 && strncasecmp(rest, ".sig-alg.reg.int", 16) == 0)
			rest += 16;
		key->algorithm = (enum tsig_algorithm)i;
		key->mac_length = algorithms[i].length;
		if (*rest == 0 || strcmp(rest, ".") == 0)
			return ERR_OK;
		bits = parse_bits(rest);
		if (bits == 0)
			continue;
		if (bits % 8 || bits / 8 > key->mac_length || bits / 8 < shortest_mac(key->algorithm))
			return err_why(why, ERR_SYNTAX, "%s cannot be truncated to %u bits, but to %u and more in whole octets",
				algorithms[i].text, bits, shortest_mac(key->algorithm) * 8);
		key->mac_length = (uint8_t)(bits / 8);
		return ERR_OK;
	}
	return err_why(why, ERR_SYNTAX, "\"%s\" is no TSIG algorithm (hmac-sha256 is one)", text);
}

static int base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* RFC 4648 4, with its padding; white space is allowed only around it. */
static enum err parse_secret(struct tsig_key *key, const char *text, struct why *why)
{
	size_t length, digits, octets;
	uint32_t bits = 0;

	text += strspn(text, " \t\r\n");
	length = strlen(text);
	while (length > 0 && strchr(" \t\r\n", text[length - 1]))
		length--;
	for (digits = length; digits > 0 && length - digits < 2 && text[digits - 1] == '=';)
		digits--;
	octets = digits * 3 / 4;
	if (length % 4 || digits % 4 == 1)
		return err_why(why, ERR_SYNTAX, "the secret is not base64: its length is wrong");
	if (octets == 0)
		return err_why(why, ERR_SYNTAX, "the secret is empty");
	if (octets > TSIG_SECRET_MAX)
		return err_why(why, ERR_SYNTAX, "the secret is longer than %d octets", TSIG_SECRET_MAX);
	key->secret_length = 0;
	for (size_t i = 0; i < digits; i++) {
		int value = base64_value(text[i]);

		if (value < 0)
			return err_why(why, ERR_SYNTAX, "the secret is not base64: character %zu", i + 1);
		bits = bits << 6 | (uint32_t)value;
		if (i % 4)
			key->secret[key->secret_length++] = (uint8_t)(bits >> (6 - i % 4 * 2));
	}
	if (digits % 4 && (bits & (digits % 4 == 2 ? 0xf : 3)))
		return err_why(why, ERR_SYNTAX, "the secret is not base64: its last character has unused bits");
	return ERR_OK;
}

enum err tsig_key_parse(struct tsig_key *key, const char *name, const char *algorithm, const char *secret, struct why *why)
{
	enum err err;

	memset(key, 0, sizeof *key);
	if ((err = name_parse(name, strlen(name), NULL, key->name, why)) != ERR_OK ||
	    (err = parse_algorithm(key, algorithm, why)) != ERR_OK ||
	    (err = parse_secret(key, secret, why)) != ERR_OK) {
		OPENSSL_cleanse(key, sizeof *key);
		return err;
	}
	name_lower(key->name, key->name);
	return ERR_OK;
}

const char *tsig_algorithm_text(const struct tsig_key *key, char out[32])
{
	if (key->mac_length == algorithms[key->algorithm].length)
		snprintf(out, 32, "%s", algorithms[key->algorithm].text);
	else
		snprintf(out, 32, "%s-%u", algorithms[key->algorithm].text, key->mac_length * 8u);
	return out;
}

bool tsig_key_equal(const struct tsig_key *a, const struct tsig_key *b)
{
	if (!a || !b)
		return a == b;
	return name_equal(a->name, b->name) && a->algorithm == b->algorithm && a->mac_length == b->mac_length &&
		a->secret_length == b->secret_length && memcmp(a->secret, b->secret, a->secret_length) == 0;
}

const char *tsig_verdict_text(enum tsig_verdict verdict)
{
	switch (verdict) {
	case TSIG_OK: return "OK";
	case TSIG_UNSIGNED: return "UNSIGNED";
	case TSIG_FORMERR: return "FORMERR";
	case TSIG_BADKEY: return "BADKEY";
	case TSIG_BADSIG: return "BADSIG";
	case TSIG_BADTIME: return "BADTIME";
	case TSIG_BADTRUNC: return "BADTRUNC";
	case TSIG_PEER_ERROR: return "PEER-ERROR";
	case TSIG_MISSING: return "MISSING";
	case TSIG_TRAILING: return "TRAILING";
	}
	return "?";
}

/* --- the MAC ------------------------------------------------------------------------ */

static EVP_MAC *hmac;

static void fetch_hmac(void)
{
	hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
}

/* The digest is looked up by name only when the algorithm changes; the secret is set anew each time, as the key that
 * lay at the same address before may have been another. */
static bool mac_set_key(struct tsig *ts, const struct tsig_key *key)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)(uintptr_t)algorithms[key->algorithm].digest, 0),
		OSSL_PARAM_construct_end(),
	};
	bool same = ts->mac_ctx && ts->mac_algorithm == key->algorithm;

	pthread_once(&once, fetch_hmac);
	if (!ts->mac_ctx && !(hmac && (ts->mac_ctx = EVP_MAC_CTX_new(hmac))))
		return false;
	ts->mac_algorithm = key->algorithm;
	if (EVP_MAC_init(ts->mac_ctx, key->secret, key->secret_length, same ? NULL : params))
		return true;
	EVP_MAC_CTX_free(ts->mac_ctx);
	ts->mac_ctx = NULL;
	return false;
}

static bool mac_feed(struct tsig *ts, const void *bytes, size_t n)
{
	return EVP_MAC_update(ts->mac_ctx, bytes, n);
}

/* Begins the digest of one or more messages; all but that of a request begin with the MAC before. */
static bool mac_begin(struct tsig *ts, bool with_prior)
{
	uint8_t length[2] = {0, ts->mac_length};

	return ts->mac_ctx && EVP_MAC_init(ts->mac_ctx, NULL, 0, NULL) &&
		(!with_prior || (mac_feed(ts, length, 2) && mac_feed(ts, ts->mac, ts->mac_length)));
}

static bool mac_end(struct tsig *ts, uint8_t mac[TSIG_MAC_MAX])
{
	size_t n;

	return EVP_MAC_final(ts->mac_ctx, mac, &n, TSIG_MAC_MAX) && n == algorithms[ts->mac_algorithm].length;
}

static void mac_remember(struct tsig *ts, const uint8_t *mac, size_t length)
{
	memcpy(ts->mac, mac, length);
	ts->mac_length = (uint8_t)length;
}

/* --- the record ----------------------------------------------------------------------- */

struct record {
	uint8_t name[NAME_SIZE], algorithm[NAME_SIZE];   /* lower case */
	const uint8_t *start;        /* in the message, when read */
	uint64_t time;
	uint16_t fudge, original_id, error;
	uint16_t mac_length, other_length;
	const uint8_t *mac;
	const uint8_t *other;
};

/* What follows the message in the digest (RFC 8945 4.3.3, 5.3.1). */
static bool mac_feed_variables(struct tsig *ts, const struct record *rec, bool timers_only)
{
	uint8_t bytes[2 * NAME_SIZE + 24];
	struct wbuf out = wbuf_of(bytes, sizeof bytes);

	if (!timers_only) {
		wbuf_bytes(&out, rec->name, name_length(rec->name));
		wbuf_u16(&out, CLASS_ANY);
		wbuf_u32(&out, 0);
		wbuf_bytes(&out, rec->algorithm, name_length(rec->algorithm));
	}
	wbuf_u48(&out, rec->time);
	wbuf_u16(&out, rec->fudge);
	if (!timers_only) {
		wbuf_u16(&out, rec->error);
		wbuf_u16(&out, rec->other_length);
		wbuf_bytes(&out, rec->other, rec->other_length);
	}
	return !out.bad && mac_feed(ts, bytes, wbuf_used(&out));
}

/* `rdata` is bounded to the RDATA. */
static bool read_fields(struct rbuf rdata, struct record *rec)
{
	const uint8_t *algorithm = rdata.at;

	if (!name_take(&rdata))
		return false;
	name_lower(algorithm, rec->algorithm);
	rec->time = rbuf_u48(&rdata);
	rec->fudge = rbuf_u16(&rdata);
	rec->mac_length = rbuf_u16(&rdata);
	rec->mac = rbuf_take(&rdata, rec->mac_length);
	rec->original_id = rbuf_u16(&rdata);
	rec->error = rbuf_u16(&rdata);
	rec->other_length = rbuf_u16(&rdata);
	rec->other = rbuf_take(&rdata, rec->other_length);
	if (rdata.bad || rbuf_left(&rdata) > 0)
		return false;
	/* The only use of Other Data is the server's time (RFC 8945 4.2). */
	return rec->other_length == 0 || (rec->error == RCODE_BADTIME && rec->other_length == 6);
}

static bool read_record(struct rbuf msg, const uint8_t *start, struct record *rec)
{
	const uint8_t *fixed;

	msg.at = rec->start = start;
	if (!name_read(&msg, rec->name))
		return false;
	name_lower(rec->name, rec->name);
	fixed = rbuf_take(&msg, 10);
	if (get_u16(fixed + 2) != CLASS_ANY || get_u32(fixed + 4) != 0)
		return false;
	return read_fields(rbuf_of(msg.at, get_u16(fixed + 8)), rec);
}

/* Goes over all records. OK: there is a TSIG, well-formed and where it belongs; UNSIGNED: there is none; FORMERR. */
static enum tsig_verdict find_record(const uint8_t *message, size_t size, struct record *rec)
{
	struct rbuf msg = rbuf_of(message, size);
	struct msg_header header;
	uint32_t left;

	if (!msg_read_header(&msg, &header))
		return TSIG_FORMERR;
	for (left = header.qdcount; left > 0; left--)
		if (!name_skip(&msg) || !rbuf_take(&msg, 4))
			return TSIG_FORMERR;
	for (left = (uint32_t)header.ancount + header.nscount + header.arcount; left > 0; left--) {
		const uint8_t *start = msg.at, *fixed;

		if (!name_skip(&msg) || !(fixed = rbuf_take(&msg, 10)) || !rbuf_take(&msg, get_u16(fixed + 8)))
			return TSIG_FORMERR;
		if (get_u16(fixed) != RR_TSIG)
			continue;
		if (left > 1 || header.arcount == 0 || rbuf_left(&msg) > 0 || !read_record(msg, start, rec))
			return TSIG_FORMERR;
		return TSIG_OK;
	}
	return TSIG_UNSIGNED;
}

/* --- verifying --------------------------------------------------------------------------- */

/* A message with a TSIG, as it was before that was added (RFC 8945 4.3.2). */
static bool mac_feed_stripped(struct tsig *ts, const uint8_t *message, const struct record *rec)
{
	uint8_t header[MSG_HEADER];

	memcpy(header, message, MSG_HEADER);
	put_u16(header, rec->original_id);
	put_u16(header + 10, (uint16_t)(get_u16(header + 10) - 1));
	return mac_feed(ts, header, MSG_HEADER) &&
		mac_feed(ts, message + MSG_HEADER, (size_t)(rec->start - message) - MSG_HEADER);
}

/* Finishes a digest that has been begun. */
static bool mac_is_right(struct tsig *ts, const uint8_t *message, const struct record *rec, bool timers_only)
{
	uint8_t mac[TSIG_MAC_MAX];

	return mac_feed_stripped(ts, message, rec) && mac_feed_variables(ts, rec, timers_only) && mac_end(ts, mac) &&
		CRYPTO_memcmp(mac, rec->mac, rec->mac_length) == 0;
}

static bool mac_length_is_allowed(const struct tsig_key *key, size_t length)
{
	return length <= algorithms[key->algorithm].length && length >= shortest_mac(key->algorithm);
}

static bool key_is(const struct tsig_key *key, const struct record *rec)
{
	return name_equal(key->name, rec->name) && name_equal(wire_name(key->algorithm), rec->algorithm);
}

static bool time_is_near(const struct record *rec, uint64_t now)
{
	return (now > rec->time ? now - rec->time : rec->time - now) <= rec->fudge;
}

static enum tsig_verdict peer_error(struct tsig *ts, const struct record *rec, bool verified)
{
	ts->peer_error = rec->error;
	ts->peer_time = verified && rec->other_length == 6 ? (uint64_t)get_u16(rec->other) << 32 | get_u32(rec->other + 2) : 0;
	return TSIG_PEER_ERROR;
}

static enum tsig_verdict check_signed(struct tsig *ts, const uint8_t *message, const struct record *rec, uint64_t now)
{
	if (rec->error && rec->mac_length == 0)
		return peer_error(ts, rec, false);
	if (!key_is(ts->key, rec))
		return TSIG_BADKEY;
	if (!mac_length_is_allowed(ts->key, rec->mac_length))
		return TSIG_FORMERR;
	if (ts->unsigned_run == 0 && !mac_begin(ts, true))
		return TSIG_BADSIG;
	if (!mac_is_right(ts, message, rec, ts->messages > 0))
		return TSIG_BADSIG;
	if (rec->error)
		return peer_error(ts, rec, true);
	if (!time_is_near(rec, now))
		return TSIG_BADTIME;
	if (rec->mac_length < ts->key->mac_length)
		return TSIG_BADTRUNC;
	mac_remember(ts, rec->mac, rec->mac_length);
	ts->time_signed = rec->time;
	ts->unsigned_run = 0;
	ts->messages++;
	return TSIG_OK;
}

static enum tsig_verdict check_unsigned(struct tsig *ts, const uint8_t *message, size_t size)
{
	if (ts->messages == 0 || ts->unsigned_run == TSIG_UNSIGNED_MAX)
		return TSIG_MISSING;
	if ((ts->unsigned_run == 0 && !mac_begin(ts, true)) || !mac_feed(ts, message, size))
		return TSIG_BADSIG;
	ts->unsigned_run++;
	ts->messages++;
	return TSIG_UNSIGNED;
}

enum tsig_verdict tsig_verify_reply(struct tsig *ts, const uint8_t *message, size_t size, uint64_t now, size_t *length)
{
	struct record rec;
	enum tsig_verdict verdict;

	*length = size;
	if (ts->failed != TSIG_OK)
		return ts->failed;
	/* Without a key a TSIG elsewhere than in the last section is nothing but a record of a wrong type. */
	if (!ts->key && size >= MSG_HEADER && get_u16(message + 10) == 0)
		return TSIG_UNSIGNED;
	verdict = find_record(message, size, &rec);
	if (verdict == TSIG_OK) {
		*length = (size_t)(rec.start - message);
		verdict = ts->key ? check_signed(ts, message, &rec, now) : TSIG_FORMERR;
	} else if (verdict == TSIG_UNSIGNED && ts->key) {
		verdict = check_unsigned(ts, message, size);
	}
	if (verdict != TSIG_OK && verdict != TSIG_UNSIGNED && ts->messages > 0)
		ts->failed = verdict;
	return verdict;
}

enum tsig_verdict tsig_finish(const struct tsig *ts)
{
	if (ts->failed != TSIG_OK || !ts->key)
		return ts->failed;
	if (ts->messages == 0)
		return TSIG_MISSING;
	return ts->unsigned_run > 0 ? TSIG_TRAILING : TSIG_OK;
}

static enum tsig_verdict check_request(struct tsig *ts, const uint8_t *message, const struct record *rec,
	const struct tsig_key *key)
{
	if (!key || !key_is(key, rec))
		return TSIG_BADKEY;
	if (!mac_length_is_allowed(key, rec->mac_length))
		return TSIG_FORMERR;
	if (!mac_set_key(ts, key) || !mac_begin(ts, false) || !mac_is_right(ts, message, rec, false))
		return TSIG_BADSIG;
	ts->key = key;
	mac_remember(ts, rec->mac, rec->mac_length);
	ts->time_signed = rec->time;
	ts->fudge = rec->fudge;
	if (!time_is_near(rec, ts->now))
		return TSIG_BADTIME;
	return rec->mac_length < key->mac_length ? TSIG_BADTRUNC : TSIG_OK;
}

static void start_over(struct tsig *ts)
{
	*ts = (struct tsig){.mac_ctx = ts->mac_ctx, .mac_algorithm = ts->mac_algorithm};
}

enum tsig_verdict tsig_check_request(struct tsig *ts, tsig_find_key *find, void *ctx, const uint8_t *message, size_t size,
	uint64_t now, size_t *length)
{
	struct record rec;

	start_over(ts);
	ts->now = now;
	*length = size;
	ts->request = find_record(message, size, &rec);
	if (ts->request != TSIG_OK)
		return ts->request;
	*length = (size_t)(rec.start - message);
	name_copy(rec.name, ts->peer_key);
	name_copy(rec.algorithm, ts->peer_algorithm);
	ts->request = check_request(ts, message, &rec, find(ctx, rec.name, rec.algorithm));
	return ts->request;
}

/* --- signing -------------------------------------------------------------------------------- */

static size_t record_size(const uint8_t *name, const uint8_t *algorithm, size_t mac, size_t other)
{
	return name_length(name) + 10 + name_length(algorithm) + 16 + mac + other;
}

static void put_record(struct wbuf *message, const struct record *rec)
{
	size_t algorithm = name_length(rec->algorithm);

	wbuf_bytes(message, rec->name, name_length(rec->name));
	wbuf_u16(message, RR_TSIG);
	wbuf_u16(message, CLASS_ANY);
	wbuf_u32(message, 0);
	wbuf_u16(message, (uint16_t)(algorithm + 16 + rec->mac_length + rec->other_length));
	wbuf_bytes(message, rec->algorithm, algorithm);
	wbuf_u48(message, rec->time);
	wbuf_u16(message, rec->fudge);
	wbuf_u16(message, rec->mac_length);
	wbuf_bytes(message, rec->mac, rec->mac_length);
	wbuf_u16(message, rec->original_id);
	wbuf_u16(message, rec->error);
	wbuf_u16(message, rec->other_length);
	wbuf_bytes(message, rec->other, rec->other_length);
	put_u16(message->base + 10, (uint16_t)(get_u16(message->base + 10) + 1));
}

static enum err append(struct tsig *ts, struct wbuf *message, struct record *rec, bool with_prior)
{
	size_t used = wbuf_used(message), add = record_size(rec->name, rec->algorithm, rec->mac_length, rec->other_length);
	uint8_t mac[TSIG_MAC_MAX];

	if (message->bad || used < MSG_HEADER || wbuf_left(message) < add || used + add > MSG_MAX)
		return ERR_NOSPACE;
	rec->original_id = get_u16(message->base);
	rec->mac = mac;
	if (rec->mac_length > 0) {
		if ((ts->unsigned_run == 0 && !mac_begin(ts, with_prior)) || !mac_feed(ts, message->base, used) ||
		    !mac_feed_variables(ts, rec, ts->messages > 0) || !mac_end(ts, mac))
			return ERR_NOMEM;
		mac_remember(ts, mac, rec->mac_length);
	}
	put_record(message, rec);
	return ERR_OK;
}

enum err tsig_sign_request(struct tsig *ts, const struct tsig_key *key, struct wbuf *message, uint64_t now)
{
	struct record rec;
	enum err err;

	start_over(ts);
	if (!key)
		return ERR_OK;
	ts->key = key;
	ts->fudge = TSIG_FUDGE;
	name_copy(key->name, rec.name);
	name_copy(wire_name(key->algorithm), rec.algorithm);
	rec.time = now;
	rec.fudge = ts->fudge;
	rec.mac_length = key->mac_length;
	rec.error = rec.other_length = 0;
	rec.other = NULL;
	err = mac_set_key(ts, key) ? append(ts, message, &rec, false) : ERR_NOMEM;
	if (err != ERR_OK)
		ts->failed = TSIG_BADSIG;
	return err;
}

/* What the reply's TSIG has to be for each way in which the request was found. */
static uint16_t reply_error(const struct tsig *ts)
{
	switch (ts->request) {
	case TSIG_BADKEY: return RCODE_BADKEY;
	case TSIG_BADSIG: return RCODE_BADSIG;
	case TSIG_BADTIME: return RCODE_BADTIME;
	case TSIG_BADTRUNC: return RCODE_BADTRUNC;
	case TSIG_OK: case TSIG_UNSIGNED: case TSIG_FORMERR: case TSIG_PEER_ERROR: case TSIG_MISSING: case TSIG_TRAILING:
		break;
	}
	return 0;
}

static bool reply_has_record(const struct tsig *ts)
{
	return ts->key || reply_error(ts) != 0;
}

static uint16_t reply_other_length(const struct tsig *ts)
{
	return ts->request == TSIG_BADTIME ? 6 : 0;
}

size_t tsig_room(const struct tsig *ts)
{
	if (!reply_has_record(ts))
		return 0;
	return record_size(ts->peer_key, ts->peer_algorithm, ts->key ? ts->key->mac_length : 0, reply_other_length(ts));
}

enum err tsig_sign_reply(struct tsig *ts, struct wbuf *message, uint64_t now)
{
	uint8_t other[6];
	struct wbuf server_time = wbuf_of(other, sizeof other);
	struct record rec;
	enum err err;

	if (!reply_has_record(ts))
		return ERR_OK;
	name_copy(ts->peer_key, rec.name);
	name_copy(ts->peer_algorithm, rec.algorithm);
	rec.time = now;
	rec.fudge = TSIG_FUDGE;
	rec.mac_length = ts->key ? ts->key->mac_length : 0;
	rec.error = reply_error(ts);
	rec.other_length = reply_other_length(ts);
	rec.other = other;
	wbuf_u48(&server_time, ts->now);
	if (ts->request == TSIG_BADTIME) {
		/* The client's time, or it would find the reply's to be wrong too (RFC 8945 5.2.3). */
		rec.time = ts->time_signed;
		rec.fudge = ts->fudge;
	}
	err = append(ts, message, &rec, true);
	if (err == ERR_OK) {
		ts->messages++;
		ts->unsigned_run = 0;
	}
	return err;
}

enum err tsig_pass_reply(struct tsig *ts, const struct wbuf *message)
{
	if (!reply_has_record(ts))
		return ERR_OK;
	if (ts->messages == 0 || ts->unsigned_run == TSIG_UNSIGNED_MAX)
		return ERR_ORDER;
	if ((ts->unsigned_run == 0 && !mac_begin(ts, true)) || !mac_feed(ts, message->base, wbuf_used(message)))
		return ERR_NOMEM;
	ts->unsigned_run++;
	ts->messages++;
	return ERR_OK;
}

void tsig_release(struct tsig *ts)
{
	EVP_MAC_CTX_free(ts->mac_ctx);
	*ts = (struct tsig){0};
}
