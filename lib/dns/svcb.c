#include "dns/svcb.h"

#include <stdlib.h>
#include <strings.h>

enum {
	KEY_MANDATORY, KEY_ALPN, KEY_NO_DEFAULT_ALPN, KEY_PORT, KEY_IPV4HINT, KEY_ECH, KEY_IPV6HINT, KEY_DOHPATH,
	KEY_OHTTP, KEYS, KEY_INVALID = 65535,
};
static const char *const key_names[KEYS] = {
	"mandatory", "alpn", "no-default-alpn", "port", "ipv4hint", "ech", "ipv6hint", "dohpath", "ohttp",
};
/* The names of keys from here on are not known everywhere. */
enum { KEYS_KNOWN = KEY_DOHPATH };

/* --- checking ----------------------------------------------------------------------------- */

/* Goes on to the parameter with that key, or to the first after it. */
static bool find_param(struct rbuf *params, uint16_t key)
{
	while (rbuf_left(params)) {
		struct rbuf here = *params;
		uint16_t found = rbuf_u16(&here);

		if (found >= key)
			return found == key;
		rbuf_take(&here, rbuf_u16(&here));
		*params = here;
	}
	return false;
}

/* Each once, in order, and itself there. `all`: every parameter; their bounds and order have been checked. */
static const char *check_mandatory(const uint8_t *p, size_t n, struct rbuf all)
{
	int last = KEY_MANDATORY;

	if (n == 0 || n % 2)
		return "mandatory is of a wrong length";
	for (size_t i = 0; i < n; i += 2) {
		if (get_u16(p + i) <= last)
			return "mandatory is not in order";
		last = get_u16(p + i);
		if (!find_param(&all, (uint16_t)last))
			return "a mandatory parameter is not there";
	}
	return NULL;
}

static const char *check_alpn(const uint8_t *p, size_t n)
{
	size_t at = 0;

	while (at < n && p[at])
		at += 1 + (size_t)p[at];
	if (at < n)
		return "alpn has an empty string";
	return n && at == n ? NULL : "alpn is no list of strings";
}

static const char *check_param(uint16_t key, const uint8_t *p, size_t n, struct rbuf all)
{
	switch (key) {
	case KEY_MANDATORY:
		return check_mandatory(p, n, all);
	case KEY_ALPN:
		return check_alpn(p, n);
	case KEY_NO_DEFAULT_ALPN:
		if (n != 0)
			return "no-default-alpn has a value";
		return find_param(&all, KEY_ALPN) ? NULL : "no-default-alpn without alpn";
	case KEY_PORT:
		return n == 2 ? NULL : "port is of a wrong length";
	case KEY_IPV4HINT:
		return n && n % 4 == 0 ? NULL : "ipv4hint is of a wrong length";
	case KEY_ECH:
		return n ? NULL : "ech is empty";
	case KEY_IPV6HINT:
		return n && n % 16 == 0 ? NULL : "ipv6hint is of a wrong length";
	case KEY_DOHPATH:
		return n ? NULL : "dohpath is empty";
	case KEY_OHTTP:
		return n == 0 ? NULL : "ohttp has a value";
	case KEY_INVALID:
		return "key65535 is not allowed";
	default:
		return NULL;
	}
}

const char *svcb_check(struct rbuf *in)
{
	struct rbuf all = *in;
	const char *fault = NULL;
	int last = -1;

	/* First the bounds of all of them, since some are looked up from others. */
	while (rbuf_left(in) && !in->bad) {
		int key = rbuf_u16(in);

		if (rbuf_take(in, rbuf_u16(in)) && key <= last)
			return "keys are not in order";
		last = key;
	}
	if (in->bad)
		return "a parameter is longer than the data";
	*in = all;
	while (rbuf_left(in) && !fault) {
		uint16_t key = rbuf_u16(in), n = rbuf_u16(in);

		fault = check_param(key, rbuf_take(in, n), n, all);
	}
	return fault;
}

/* --- writing ------------------------------------------------------------------------------ */

static char *put_key(char *out, uint16_t key)
{
	return key < KEYS_KNOWN ? stpcpy(out, key_names[key]) : text_put_number(mempcpy(out, "key", 3), key);
}

static char *put_mandatory(char *out, const uint8_t *p, size_t n)
{
	int last = KEY_MANDATORY;

	for (; n >= 2; n -= 2, p += 2) {
		if (get_u16(p) <= last)
			return NULL;
		last = get_u16(p);
		out = put_key(out, (uint16_t)last);
		*out++ = ',';
	}
	return out - 1;
}

/* An octet that would have to be escaped twice is not read alike everywhere. */
static char *put_alpn(char *out, const uint8_t *p, size_t n)
{
	size_t at = 0;

	*out++ = '"';
	while (at < n) {
		size_t end = at + 1 + p[at];

		if (end > n)
			return NULL;
		for (at++; at < end; at++) {
			if (p[at] <= 0x20 || p[at] > 0x7e || strchr("\",\\();", p[at]))
				return NULL;
			*out++ = (char)p[at];
		}
		*out++ = at < n ? ',' : '"';
	}
	return n ? out : NULL;
}

static char *put_hints(char *out, const uint8_t *p, size_t n, size_t each)
{
	for (; n >= each; n -= each, p += each) {
		out = each == 4 ? text_put_ipv4(out, p) : text_put_ipv6(out, p);
		*out++ = ',';
	}
	return out - 1;
}

static char *put_value(char *out, uint16_t key, const uint8_t *p, size_t n)
{
	*out++ = '=';
	switch (key) {
	case KEY_MANDATORY:
		return n && n % 2 == 0 ? put_mandatory(out, p, n) : NULL;
	case KEY_ALPN:
		return put_alpn(out, p, n);
	case KEY_NO_DEFAULT_ALPN:
		return NULL;
	case KEY_PORT:
		return n == 2 ? text_put_number(out, get_u16(p)) : NULL;
	case KEY_IPV4HINT:
		return n && n % 4 == 0 ? put_hints(out, p, n, 4) : NULL;
	case KEY_ECH:
		return n ? text_put_base64(out, p, n) : NULL;
	case KEY_IPV6HINT:
		return n && n % 16 == 0 ? put_hints(out, p, n, 16) : NULL;
	default:
		return text_put_quoted(out, p, n);
	}
}

char *svcb_print(struct rbuf *in, char *out)
{
	while (out && rbuf_left(in)) {
		uint16_t key = rbuf_u16(in), n = rbuf_u16(in);
		const uint8_t *p = rbuf_take(in, n);

		if (!p)
			return NULL;
		out = put_key(out, key);
		if (n || (key < KEYS_KNOWN && key != KEY_NO_DEFAULT_ALPN))
			out = put_value(out, key, p, n);
		if (out)
			*out++ = ' ';
	}
	return out;
}

/* --- reading ------------------------------------------------------------------------------ */

const char svcb_no_memory[] = "no memory";
static const char wrong_escape[] = "has a wrong escape";

struct svcparam {
	const struct text_token *token;
	const char *value;           /* without its quotes; NULL: none */
	size_t length;
	uint16_t key;
	bool by_number;              /* keyNNN: its value is plain octets */
};

static bool key_of(const char *text, size_t length, uint16_t *key)
{
	for (uint16_t i = 0; i < KEYS; i++)
		if (strlen(key_names[i]) == length && !strncasecmp(key_names[i], text, length)) {
			*key = i;
			return true;
		}
	return false;
}

static const char *split_param(const struct text_token *token, struct svcparam *param)
{
	const char *sign = memchr(token->text, '=', token->length);
	size_t n = sign ? (size_t)(sign - token->text) : token->length;

	*param = (struct svcparam){.token = token};
	if (!key_of(token->text, n, &param->key)) {
		param->by_number = text_numbered("key", token->text, n, &param->key);
		if (!param->by_number)
			return "is no parameter's name";
	}
	if (!sign)
		return NULL;
	param->value = sign + 1;
	param->length = token->length - n - 1;
	if (param->length >= 2 && param->value[0] == '"' && param->value[param->length - 1] == '"') {
		param->value++;
		param->length -= 2;
	}
	return NULL;
}

/* Calls `put` for each part of a value between commas. */
static const char *each_part(const struct svcparam *param, struct wbuf *out,
	const char *put(struct wbuf *, const char *, size_t))
{
	const char *at = param->value, *end = at + param->length, *fault = NULL;

	while (!fault) {
		const char *comma = memchr(at, ',', (size_t)(end - at));
		size_t n = (size_t)((comma ? comma : end) - at);

		fault = put(out, at, n);
		if (!comma)
			break;
		at = comma + 1;
	}
	return fault;
}

static const char *add_key(struct wbuf *out, const char *text, size_t length)
{
	uint16_t key;

	if (!key_of(text, length, &key) && !text_numbered("key", text, length, &key))
		return "names a parameter that there is not";
	wbuf_u16(out, key);
	return NULL;
}

static const char *add_ipv4(struct wbuf *out, const char *text, size_t length)
{
	uint8_t address[4];

	if (!text_ipv4(text, length, address))
		return "has what is no IPv4 address";
	wbuf_bytes(out, address, sizeof address);
	return NULL;
}

static const char *add_ipv6(struct wbuf *out, const char *text, size_t length)
{
	uint8_t address[16];

	if (!text_ipv6(text, length, address))
		return "has what is no IPv6 address";
	wbuf_bytes(out, address, sizeof address);
	return NULL;
}

static int compare_keys(const void *a, const void *b) { return memcmp(a, b, 2); }

static const char *add_mandatory(const struct svcparam *param, struct wbuf *out)
{
	uint8_t *start = out->at;
	const char *fault = each_part(param, out, add_key);

	if (!fault)
		qsort(start, (size_t)(out->at - start) / 2, 2, compare_keys);
	return fault;
}

/* Appendix A.1: the escapes of a string first, then those of a list, in which a backslash keeps a comma or a backslash. */
static const char *add_alpn(const struct svcparam *param, struct wbuf *out)
{
	const char *at = param->value, *end = at + param->length;
	uint8_t *length = wbuf_room(out, 1);

	while (at < end && !out->bad) {
		int octet = text_octet(&at, end);

		if (octet == ',') {
			*length = (uint8_t)(out->at - length - 1);
			length = wbuf_room(out, 1);
			continue;
		}
		if (octet == '\\')
			octet = at < end ? text_octet(&at, end) : -1;
		if (octet < 0)
			return wrong_escape;
		wbuf_u8(out, (uint8_t)octet);
		if (!out->bad && out->at - length > 256)
			return "has a string longer than 255 octets";
	}
	if (!out->bad)
		*length = (uint8_t)(out->at - length - 1);
	return NULL;
}

static const char *add_port(const struct svcparam *param, struct wbuf *out)
{
	uint32_t port;

	if (!text_number(param->value, param->length, 65535, &port))
		return "is no port";
	wbuf_u16(out, (uint16_t)port);
	return NULL;
}

static const char *add_ech(const struct svcparam *param, struct wbuf *out)
{
	struct text_base64 state = {0};

	if (!text_base64(&state, param->value, param->length, out))
		return "is not in base64";
	return text_base64_whole(&state) ? NULL : "ends within four digits of base64";
}

static const char *add_octets(const struct svcparam *param, struct wbuf *out)
{
	return text_octets(param->value, param->length, out) ? NULL : wrong_escape;
}

static const char *add_value(const struct svcparam *param, struct wbuf *out)
{
	bool bare = param->key == KEY_NO_DEFAULT_ALPN || param->key == KEY_OHTTP || param->by_number;

	if (!param->value)
		return bare ? NULL : "has no value";
	if (param->by_number)
		return add_octets(param, out);
	switch (param->key) {
	case KEY_MANDATORY:
		return add_mandatory(param, out);
	case KEY_ALPN:
		return add_alpn(param, out);
	case KEY_PORT:
		return add_port(param, out);
	case KEY_IPV4HINT:
		return each_part(param, out, add_ipv4);
	case KEY_ECH:
		return add_ech(param, out);
	case KEY_IPV6HINT:
		return each_part(param, out, add_ipv6);
	default:
		return add_octets(param, out);
	}
}

static const char *add_param(const struct svcparam *param, struct wbuf *out)
{
	const char *fault;
	uint8_t *length;

	wbuf_u16(out, param->key);
	length = wbuf_room(out, 2);
	fault = add_value(param, out);
	if (fault || out->bad)
		return fault;
	if (out->at - length - 2 > UINT16_MAX)
		return "is longer than 65535 octets";
	put_u16(length, (uint16_t)(out->at - length - 2));
	return NULL;
}

static int compare_params(const void *a, const void *b)
{
	return ((const struct svcparam *)a)->key - ((const struct svcparam *)b)->key;
}

static const char *add_all(const struct text_token *tokens, size_t count, struct svcparam *params,
	const struct text_token **current, struct wbuf *out)
{
	const char *fault = NULL;

	for (size_t i = 0; i < count && !fault; i++) {
		*current = &tokens[i];
		fault = split_param(&tokens[i], &params[i]);
	}
	if (fault)
		return fault;
	qsort(params, count, sizeof *params, compare_params);
	for (size_t i = 0; i < count && !fault; i++) {
		*current = params[i].token;
		if (i && params[i].key == params[i - 1].key)
			return "is there twice";
		fault = add_param(&params[i], out);
	}
	return fault;
}

const char *svcb_parse(const struct text_token *tokens, size_t count, const struct text_token **current, struct wbuf *out)
{
	struct svcparam *params;
	const char *fault;

	if (count == 0)
		return NULL;
	params = calloc(count, sizeof *params);
	if (!params)
		return svcb_no_memory;
	fault = add_all(tokens, count, params, current, out);
	free(params);
	return fault;
}
