#include "dns/rrprint.h"

#include "base/buf.h"
#include "dns/name.h"

#include <ldns/ldns.h>
#include <stdlib.h>

/* A field printer takes from `in`, writes at `out` and returns its end there, each item with a space behind it; or
 * NULL: no text. Octets of text are at most five times the octets of data, but for sets of types, which look at `limit`. */
struct print {
	struct rbuf in;
	const uint8_t *rdata;
	char *limit;
};

static const char hex_digit[] = "0123456789abcdef";

/* --- numbers ------------------------------------------------------------------------------ */

static const char two_digits[200] =
	"0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849"
	"5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";

static inline char *put_two(char *out, unsigned value)
{
	memcpy(out, two_digits + 2 * value, 2);
	return out + 2;
}

static inline unsigned digits_of(uint32_t number)
{
	unsigned digits = 1;

	for (; number >= 100; number /= 100)
		digits += 2;
	return digits + (number >= 10);
}

char *rrprint_number(char *out, uint32_t number)
{
	char *end = out + digits_of(number), *at = end;

	while (number >= 100) {
		put_two(at -= 2, number % 100);
		number /= 100;
	}
	if (number >= 10)
		put_two(out, number);
	else
		*out = (char)('0' + number);
	return end;
}

static inline char *put_octet(char *out, unsigned value)
{
	if (value >= 100) {
		*out++ = (char)('0' + value / 100);
		return put_two(out, value % 100);
	}
	if (value >= 10)
		return put_two(out, value);
	*out++ = (char)('0' + value);
	return out;
}

static char *put_space(char *out)
{
	*out++ = ' ';
	return out;
}

static char *print_number(struct print *print, unsigned octets, char *out)
{
	uint32_t value;

	if (octets == 1)
		value = rbuf_u8(&print->in);
	else
		value = octets == 2 ? rbuf_u16(&print->in) : rbuf_u32(&print->in);
	return put_space(rrprint_number(out, value));
}

char *rrprint_type(char *out, uint16_t type)
{
	const struct rrshape *shape = rrshape_of(type);

	if (shape && shape->flags & RRSHAPE_TEXT) {
		memcpy(out, shape->word, sizeof shape->word);
		return out + shape->name_length;
	}
	return rrprint_number(mempcpy(out, "TYPE", 4), type);
}

static char *print_type(struct print *print, char *out)
{
	return put_space(rrprint_type(out, rbuf_u16(&print->in)));
}

/* Year, month and day from days since 1970, by years that begin with March. */
static char *put_date(char *out, uint32_t days)
{
	uint32_t day = days + 719468, era = day / 146097, of_era = day % 146097;
	uint32_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	uint32_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	uint32_t month = (5 * of_year + 2) / 153, year = year_of_era + era * 400 + (month >= 10);

	out = put_two(put_two(out, year / 100), year % 100);
	out = put_two(out, month < 10 ? month + 3 : month - 9);
	return put_two(out, of_year - (153 * month + 2) / 5 + 1);
}

/* RFC 4034 3.2. The number is taken as it stands: 1970 to 2106. */
static char *print_time(struct print *print, char *out)
{
	uint32_t time = rbuf_u32(&print->in), of_day = time % 86400;

	out = put_date(out, time / 86400);
	out = put_two(out, of_day / 3600);
	out = put_two(out, of_day / 60 % 60);
	return put_space(put_two(out, of_day % 60));
}

/* --- names and addresses --------------------------------------------------------------------- */

/* ldns takes a first label of "@" for the origin, however it is escaped. */
static char *print_name(struct print *print, char *out)
{
	const uint8_t *name = print->in.at;
	size_t n = name_take(&print->in);

	if (n == 0 || (name[0] == 1 && name[1] == '@'))
		return NULL;
	return put_space(out + name_put_text(name, out));
}

static char *put_ipv4(char *out, const uint8_t *p)
{
	for (unsigned i = 0; i < 4; i++) {
		out = put_octet(out, p[i]);
		*out++ = '.';
	}
	return out - 1;
}

/* The longest run of zero groups, of two or more, the first of several: its length, and where it is. */
static unsigned zero_run(const uint8_t *p, unsigned *where)
{
	unsigned best = 1, run = 0;

	for (unsigned i = 0; i < 8; i++) {
		run = get_u16(p + 2 * i) ? 0 : run + 1;
		if (run > best) {
			best = run;
			*where = i + 1 - run;
		}
	}
	return best > 1 ? best : 0;
}

static char *put_group(char *out, unsigned group)
{
	for (int shift = group > 0xfff ? 12 : group > 0xff ? 8 : group > 0xf ? 4 : 0; shift >= 0; shift -= 4)
		*out++ = hex_digit[group >> shift & 15];
	return out;
}

/* RFC 5952 4, but for addresses with an IPv4 address in them, which need no form of their own. */
static char *put_ipv6(char *out, const uint8_t *p)
{
	unsigned where = 8, zeros = zero_run(p, &where);

	if (zeros && where == 0)
		*out++ = ':';
	for (unsigned i = 0; i < 8; i++) {
		if (zeros && i == where) {
			*out++ = ':';
			i += zeros - 1;
			continue;
		}
		out = put_group(out, get_u16(p + 2 * i));
		if (i < 7)
			*out++ = ':';
	}
	return out;
}

static char *print_ipv4(struct print *print, char *out)
{
	const uint8_t *p = rbuf_take(&print->in, 4);

	return p ? put_space(put_ipv4(out, p)) : NULL;
}

static char *print_ipv6(struct print *print, char *out)
{
	const uint8_t *p = rbuf_take(&print->in, 16);

	return p ? put_space(put_ipv6(out, p)) : NULL;
}

/* RFC 3123 4: an address whose trailing zero octets were left out. */
static char *print_apl_item(struct print *print, char *out)
{
	uint16_t family = rbuf_u16(&print->in);
	unsigned prefix = rbuf_u8(&print->in), length = rbuf_u8(&print->in);
	const uint8_t *p = rbuf_take(&print->in, length & 0x7f);
	uint8_t address[16] = {0};

	if (!p || (family != 1 && family != 2) || (length & 0x7f) > (family == 1 ? 4 : 16))
		return NULL;
	if (length & 0x7f)
		memcpy(address, p, length & 0x7f);
	if (length & 0x80)
		*out++ = '!';
	out = mempcpy(out, family == 1 ? "1:" : "2:", 2);
	out = family == 1 ? put_ipv4(out, address) : put_ipv6(out, address);
	*out++ = '/';
	return put_space(put_octet(out, prefix));
}

static char *print_apl(struct print *print, char *out)
{
	while (out && rbuf_left(&print->in))
		out = print_apl_item(print, out);
	return out;
}

/* --- strings -------------------------------------------------------------------------------------- */

static char *put_quoted(char *out, const uint8_t *p, size_t n)
{
	*out++ = '"';
	for (size_t i = 0; i < n; i++) {
		uint8_t c = p[i];

		if (c < 0x20 || c > 0x7e) {
			*out++ = '\\';
			*out++ = (char)('0' + c / 100);
			out = put_two(out, c % 100);
			continue;
		}
		if (c == '"' || c == '\\')
			*out++ = '\\';
		*out++ = (char)c;
	}
	*out++ = '"';
	return put_space(out);
}

static char *print_string(struct print *print, char *out)
{
	size_t n = rbuf_u8(&print->in);
	const uint8_t *p = rbuf_take(&print->in, n);

	return p ? put_quoted(out, p, n) : NULL;
}

static char *print_strings(struct print *print, char *out)
{
	if (rbuf_left(&print->in) == 0)
		return NULL;
	while (out && rbuf_left(&print->in))
		out = print_string(print, out);
	return out;
}

static char *print_long_string(struct print *print, char *out)
{
	size_t n = rbuf_left(&print->in);

	return put_quoted(out, rbuf_take(&print->in, n), n);
}

/* NSD takes only small letters. */
static char *print_tag(struct print *print, char *out)
{
	size_t n = rbuf_u8(&print->in);
	const uint8_t *p = rbuf_take(&print->in, n);

	if (!p || n == 0)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		if (!((p[i] >= 'a' && p[i] <= 'z') || (p[i] >= '0' && p[i] <= '9')))
			return NULL;
		*out++ = (char)p[i];
	}
	return put_space(out);
}

/* --- octets ----------------------------------------------------------------------------------------- */

char *rrprint_hex(char *out, const uint8_t *octets, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		*out++ = hex_digit[octets[i] >> 4];
		*out++ = hex_digit[octets[i] & 15];
	}
	return out;
}

static char *print_hex(struct print *print, char *out)
{
	size_t n = rbuf_left(&print->in);

	return n ? put_space(rrprint_hex(out, rbuf_take(&print->in, n), n)) : NULL;
}

static char *put_base64(char *out, const uint8_t *p, size_t n)
{
	static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (; n >= 3; n -= 3, p += 3) {
		uint32_t bits = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];

		*out++ = digit[bits >> 18];
		*out++ = digit[bits >> 12 & 63];
		*out++ = digit[bits >> 6 & 63];
		*out++ = digit[bits & 63];
	}
	if (n) {
		uint32_t bits = (uint32_t)p[0] << 16 | (n == 2 ? (uint32_t)p[1] << 8 : 0);

		*out++ = digit[bits >> 18];
		*out++ = digit[bits >> 12 & 63];
		*out++ = n == 2 ? digit[bits >> 6 & 63] : '=';
		*out++ = '=';
	}
	return out;
}

static char *print_base64(struct print *print, char *out)
{
	size_t n = rbuf_left(&print->in);

	return n ? put_space(put_base64(out, rbuf_take(&print->in, n), n)) : NULL;
}

static char *print_salt(struct print *print, char *out)
{
	size_t n = rbuf_u8(&print->in);
	const uint8_t *p = rbuf_take(&print->in, n);

	if (!p)
		return NULL;
	if (n == 0)
		*out++ = '-';
	return put_space(rrprint_hex(out, p, n));
}

/* Knot and ldns read only whole groups of five octets. */
static char *print_hash(struct print *print, char *out)
{
	size_t n = rbuf_u8(&print->in);
	const uint8_t *p = rbuf_take(&print->in, n);

	if (!p || n == 0 || n % 5)
		return NULL;
	for (; n; n -= 5, p += 5) {
		uint64_t bits = (uint64_t)p[0] << 32 | get_u32(p + 1);

		for (int shift = 35; shift >= 0; shift -= 5)
			*out++ = "0123456789abcdefghijklmnopqrstuv"[bits >> shift & 31];
	}
	return put_space(out);
}

static char *print_groups(struct print *print, unsigned groups, unsigned octets, char mark, char *out)
{
	const uint8_t *p = rbuf_take(&print->in, (size_t)groups * octets);

	if (!p)
		return NULL;
	for (unsigned i = 0; i < groups; i++, p += octets) {
		out = rrprint_hex(out, p, octets);
		*out++ = mark;
	}
	out[-1] = ' ';
	return out;
}

/* The types of eight bits, the first of which is `type`. */
static char *put_types(char *out, const char *limit, unsigned type, unsigned bits)
{
	while (bits) {
		unsigned bit = (unsigned)__builtin_clz(bits) - 24;

		if (limit - out <= RRSHAPE_WORD)
			return NULL;
		out = put_space(rrprint_type(out, (uint16_t)(type + bit)));
		bits &= 0x7fu >> bit;
	}
	return out;
}

/* Type 0 has no text that NSD reads, and a set of many types is shorter in the generic form. */
static char *print_types(struct print *print, char *out)
{
	while (rbuf_left(&print->in)) {
		unsigned window = rbuf_u8(&print->in), octets = rbuf_u8(&print->in);
		const uint8_t *map = rbuf_take(&print->in, octets);

		if (!map || octets > 32 || (window == 0 && octets && map[0] & 0x80))
			return NULL;
		for (unsigned i = 0; out && i < octets; i++)
			out = put_types(out, print->limit, window << 8 | i * 8, map[i]);
		if (!out)
			return NULL;
	}
	return out;
}

/* ldns reads no empty set here. */
static char *print_sync_types(struct print *print, char *out)
{
	return rbuf_left(&print->in) ? print_types(print, out) : NULL;
}

/* --- by ldns ------------------------------------------------------------------------------------------ */

/* What ldns prints is taken only if it reads as the same octets. */
static char *print_loc(struct print *print, char *out)
{
	const uint8_t *p = rbuf_take(&print->in, 16);
	ldns_rdf *field = p ? ldns_rdf_new_frm_data(LDNS_RDF_TYPE_LOC, 16, p) : NULL;
	char *text = field ? ldns_rdf2str(field) : NULL;
	ldns_rdf *back = text ? ldns_rdf_new_frm_str(LDNS_RDF_TYPE_LOC, text) : NULL;
	size_t n = text ? strlen(text) : 0;

	if (back && ldns_rdf_compare(field, back) == 0 && (size_t)(print->limit - out) > n)
		out = put_space(mempcpy(out, text, n));
	else
		out = NULL;
	ldns_rdf_deep_free(back);
	free(text);
	ldns_rdf_deep_free(field);
	return out;
}

/* --- SVCB parameters ------------------------------------------------------------------------------------ */

enum { KEY_MANDATORY, KEY_ALPN, KEY_NO_DEFAULT_ALPN, KEY_PORT, KEY_IPV4HINT, KEY_ECH, KEY_IPV6HINT, KEYS };

static char *put_text(char *out, const char *text)
{
	return stpcpy(out, text);
}

/* Names of keys beyond these are not known everywhere. */
static char *svc_key(char *out, uint16_t key)
{
	static const char *const names[KEYS] = {
		"mandatory", "alpn", "no-default-alpn", "port", "ipv4hint", "ech", "ipv6hint",
	};

	return key < KEYS ? put_text(out, names[key]) : rrprint_number(mempcpy(out, "key", 3), key);
}

static char *svc_mandatory(char *out, const uint8_t *p, size_t n)
{
	int last = KEY_MANDATORY;

	for (; n >= 2; n -= 2, p += 2) {
		if (get_u16(p) <= last)
			return NULL;
		last = get_u16(p);
		out = svc_key(out, (uint16_t)last);
		*out++ = ',';
	}
	return out - 1;
}

/* An octet that would have to be escaped twice is not read alike everywhere. */
static char *svc_alpn(char *out, const uint8_t *p, size_t n)
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

static char *svc_hints(char *out, const uint8_t *p, size_t n, size_t each)
{
	for (; n >= each; n -= each, p += each) {
		out = each == 4 ? put_ipv4(out, p) : put_ipv6(out, p);
		*out++ = ',';
	}
	return out - 1;
}

static char *svc_value(char *out, uint16_t key, const uint8_t *p, size_t n)
{
	*out++ = '=';
	switch (key) {
	case KEY_MANDATORY:
		return n && n % 2 == 0 ? svc_mandatory(out, p, n) : NULL;
	case KEY_ALPN:
		return svc_alpn(out, p, n);
	case KEY_NO_DEFAULT_ALPN:
		return NULL;
	case KEY_PORT:
		return n == 2 ? rrprint_number(out, get_u16(p)) : NULL;
	case KEY_IPV4HINT:
		return n && n % 4 == 0 ? svc_hints(out, p, n, 4) : NULL;
	case KEY_ECH:
		return n ? put_base64(out, p, n) : NULL;
	case KEY_IPV6HINT:
		return n && n % 16 == 0 ? svc_hints(out, p, n, 16) : NULL;
	default:
		return put_quoted(out, p, n) - 1;
	}
}

static char *print_svcparams(struct print *print, char *out)
{
	while (out && rbuf_left(&print->in)) {
		uint16_t key = rbuf_u16(&print->in), n = rbuf_u16(&print->in);
		const uint8_t *p = rbuf_take(&print->in, n);

		if (!p)
			return NULL;
		out = svc_key(out, key);
		if (n || (key < KEYS && key != KEY_NO_DEFAULT_ALPN))
			out = svc_value(out, key, p, n);
		out = out ? put_space(out) : NULL;
	}
	return out;
}

/* --------------------------------------------------------------------------------------------------------- */

/* ldns does not read this number of CERT. */
static char *print_cert(struct print *print, char *out)
{
	return rbuf_left(&print->in) >= 2 && get_u16(print->in.at) ? print_number(print, 2, out) : NULL;
}

static char *print_field(struct print *print, enum rrshape_kind kind, char *out)
{
	switch (rrshape_resolve(kind, print->rdata)) {
	case FIELD_END:
		return out;
	case FIELD_NOTHING:
		return mempcpy(out, ". ", 2);
	case FIELD_NAME:
		return print_name(print, out);
	case FIELD_U8: case FIELD_ALG: case FIELD_USAGE: case FIELD_SELECTOR: case FIELD_MATCHING:
		return print_number(print, 1, out);
	case FIELD_U16:
		return print_number(print, 2, out);
	case FIELD_U32: case FIELD_PERIOD:
		return print_number(print, 4, out);
	case FIELD_CERT:
		return print_cert(print, out);
	case FIELD_TYPE: case FIELD_COVERED:
		return print_type(print, out);
	case FIELD_TIME:
		return print_time(print, out);
	case FIELD_A:
		return print_ipv4(print, out);
	case FIELD_AAAA:
		return print_ipv6(print, out);
	case FIELD_STRING:
		return print_string(print, out);
	case FIELD_STRINGS:
		return print_strings(print, out);
	case FIELD_TAG:
		return print_tag(print, out);
	case FIELD_LONG_STRING: case FIELD_URI:
		return print_long_string(print, out);
	case FIELD_BASE64: case FIELD_MAYBE_BASE64: case FIELD_KEY:
		return print_base64(print, out);
	case FIELD_HEX: case FIELD_DIGEST:
		return print_hex(print, out);
	case FIELD_TYPES: case FIELD_SOME_TYPES:
		return print_types(print, out);
	case FIELD_SYNC_TYPES:
		return print_sync_types(print, out);
	case FIELD_SALT:
		return print_salt(print, out);
	case FIELD_HASH:
		return print_hash(print, out);
	case FIELD_ILNP64:
		return print_groups(print, 4, 2, ':', out);
	case FIELD_EUI48:
		return print_groups(print, 6, 1, '-', out);
	case FIELD_EUI64:
		return print_groups(print, 8, 1, '-', out);
	case FIELD_LOC:
		return print_loc(print, out);
	case FIELD_APL:
		return print_apl(print, out);
	case FIELD_SVCPARAMS:
		return print_svcparams(print, out);
	/* Only in types that have no text for all. */
	case FIELD_NAMES: case FIELD_MAYBE_STRING: case FIELD_DIGITS: case FIELD_OPAQUE: case FIELD_NXT_TYPES: case FIELD_WKS:
	case FIELD_NSAP: case FIELD_ATMA: case FIELD_HIP: case FIELD_GATEWAY: case FIELD_RELAY_TYPE: case FIELD_RELAY:
	case FIELD_A6_SUFFIX: case FIELD_A6_NAME:
		return NULL;
	}
	return NULL;
}

char *rrprint_fields(const struct rrshape *shape, const uint8_t *rdata, size_t rdlength, char *out, size_t room)
{
	struct print print = {.in = rbuf_of(rdata, rdlength), .rdata = rdata, .limit = out + room};
	char *start = out;

	if (!(shape->flags & RRSHAPE_TEXT))
		return NULL;
	for (unsigned i = 0; out && shape->field[i] != FIELD_END; i++) {
		out = print_field(&print, (enum rrshape_kind)shape->field[i], out);
		if (print.in.bad)
			return NULL;
	}
	if (!out || rbuf_left(&print.in))
		return NULL;
	return out > start ? out - 1 : NULL;
}
