#include "dns/rrcheck.h"

#include "dns/name.h"
#include "dns/svcb.h"

static const char short_by[] = "ends too early";
static const char empty[] = "is empty";

static const char *take(struct rbuf *in, size_t n)
{
	return rbuf_take(in, n) ? NULL : short_by;
}

/* The rest, of which there must be some. */
static const char *take_some(struct rbuf *in)
{
	size_t n = rbuf_left(in);

	return n ? take(in, n) : empty;
}

static const uint8_t *take_string(struct rbuf *in, size_t *n)
{
	*n = rbuf_u8(in);
	return rbuf_take(in, *n);
}

/* --- strings ---------------------------------------------------------------------- */

bool rrcheck_strings(const uint8_t *p, size_t n)
{
	size_t at = 0;

	while (at < n)
		at += 1 + (size_t)p[at];
	return n > 0 && at == n;
}

static const char *check_strings(struct rbuf *in)
{
	size_t n = rbuf_left(in);

	if (n == 0)
		return "has no string";
	if (!rrcheck_strings(in->at, n))
		return "a string is longer than the data";
	return take(in, n);
}

static bool is_digit(uint8_t c) { return c >= '0' && c <= '9'; }
static bool is_alnum(uint8_t c) { return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z'); }

static const char *check_digits(struct rbuf *in)
{
	size_t n;
	const uint8_t *p = take_string(in, &n);

	if (!p)
		return short_by;
	for (size_t i = 0; i < n; i++)
		if (!is_digit(p[i]))
			return "is not all digits";
	return n < 4 ? "has less than four digits" : NULL;
}

/* RFC 8659 4.1 */
static const char *check_tag(struct rbuf *in)
{
	size_t n;
	const uint8_t *p = take_string(in, &n);

	if (!p)
		return short_by;
	for (size_t i = 0; i < n; i++)
		if (!is_alnum(p[i]))
			return "is not all letters and digits";
	return n ? NULL : empty;
}

/* RFC 2535 3.1.2: with both bits of "no key" set, none follows. */
static const char *check_key(struct rbuf *in, const uint8_t *rdata)
{
	bool no_key = (rdata[0] & 0xc0) == 0xc0;

	return no_key ? take(in, rbuf_left(in)) : take_some(in);
}

/* RFC 8976 2.2.4 */
static const char *check_digest(struct rbuf *in, const uint8_t *rdata)
{
	enum { SHA384 = 1, SHA512 = 2, ALGORITHM = 5, LEAST = 12 };
	size_t n = rbuf_left(in);

	if (rdata[ALGORITHM] == SHA384 && n != 48)
		return "is not of 48 octets";
	if (rdata[ALGORITHM] == SHA512 && n != 64)
		return "is not of 64 octets";
	return n < LEAST ? "has less than 12 octets" : take(in, n);
}

/* --- sets of types ----------------------------------------------------------------- */

bool rrcheck_types(const uint8_t *p, size_t n, bool empty_is_good)
{
	const uint8_t *end = p + n;
	int last = -1;

	if (n == 0)
		return empty_is_good;
	while (end - p >= 2) {
		size_t octets = p[1];

		if (p[0] <= last || octets < 1 || octets > 32 || (size_t)(end - p) < 2 + octets || p[1 + octets] == 0)
			return false;
		last = p[0];
		p += 2 + octets;
	}
	return p == end;
}

static const char *check_types(struct rbuf *in, bool empty_is_good)
{
	size_t n = rbuf_left(in);

	if (n == 0 && !empty_is_good)
		return empty;
	if (!rrcheck_types(in->at, n, empty_is_good))
		return "its windows are not in order, of a wrong length, or end in a zero octet";
	return take(in, n);
}

/* RFC 2535 5.2: types up to 127; the first bit, that of type 0, would mean another format. */
static const char *check_nxt_types(struct rbuf *in)
{
	size_t n = rbuf_left(in);

	if (n > 16)
		return "has more than 16 octets";
	if (n && (in->at[0] & 0x80 || in->at[n - 1] == 0))
		return "is no bitmap of types";
	return take(in, n);
}

/* RFC 4035 2.2: an RRSIG itself is not signed. */
static const char *check_covered(struct rbuf *in)
{
	enum { RRSIG = 46 };
	uint16_t type = rbuf_u16(in);

	if (in->bad)
		return short_by;
	return rrshape_is_meta(type) || type == RRSIG ? "is not a type that can be signed" : NULL;
}

/* --- places and addresses ------------------------------------------------------------ */

/* RFC 1876 2: a size is a digit 1-9 and a power of ten 0-9; 0 is allowed too. */
static bool loc_size(uint8_t size)
{
	return size == 0 || (size >> 4 >= 1 && size >> 4 <= 9 && (size & 15) <= 9);
}

static bool loc_angle(uint32_t angle, uint32_t degrees)
{
	uint32_t equator = UINT32_C(1) << 31, most = degrees * 3600 * 1000;

	return angle >= equator - most && angle <= equator + most;
}

static const char *check_loc(struct rbuf *in)
{
	const uint8_t *p = rbuf_take(in, 16);

	if (!p)
		return short_by;
	if (p[0] != 0)
		return "is of an unknown version";
	if (!loc_size(p[1]) || !loc_size(p[2]) || !loc_size(p[3]))
		return "has a wrong size or precision";
	if (!loc_angle(get_u32(p + 4), 90) || !loc_angle(get_u32(p + 8), 180))
		return "is not on the globe";
	return NULL;
}

/* RFC 3123 4 */
static const char *check_apl_item(struct rbuf *in)
{
	uint16_t family = rbuf_u16(in);
	unsigned prefix = rbuf_u8(in), n = rbuf_u8(in) & 0x7f;
	const uint8_t *p = rbuf_take(in, n);

	if (!p)
		return short_by;
	if (family == 1 && (prefix > 32 || n > 4))
		return "an IPv4 prefix is too long";
	if (family == 2 && (prefix > 128 || n > 16))
		return "an IPv6 prefix is too long";
	return n && p[n - 1] == 0 ? "an address ends in a zero octet" : NULL;
}

static const char *check_apl(struct rbuf *in)
{
	const char *fault = NULL;

	while (!fault && rbuf_left(in))
		fault = check_apl_item(in);
	return fault;
}

/* RFC 1035 3.4.2, behind the address: protocol, and a bit for each port there is. */
static const char *check_wks(struct rbuf *in)
{
	size_t n = rbuf_left(in);

	if (n < 1)
		return short_by;
	return n > 1 + 65536 / 8 ? "has more than 65536 ports" : take(in, n);
}

/* The ATM Forum's af-dans-0152: a format octet; 1 is digits (E.164). */
static const char *check_atma(struct rbuf *in)
{
	size_t n = rbuf_left(in);

	if (n < 2)
		return short_by;
	for (size_t i = 1; in->at[0] == 1 && i < n; i++)
		if (!is_digit(in->at[i]))
			return "is not all digits";
	return take(in, n);
}

/* RFC 8005 5, without the servers */
static const char *check_hip(struct rbuf *in)
{
	unsigned tag = rbuf_u8(in), algorithm = rbuf_u8(in), key = rbuf_u16(in);

	(void)algorithm;
	if (!rbuf_take(in, tag) || !rbuf_take(in, key))
		return short_by;
	return tag && key ? NULL : "has an empty tag or key";
}

/* RFC 2874 3.1: as many octets as the prefix leaves; the bits above them are zero. */
static const char *check_a6_suffix(struct rbuf *in)
{
	unsigned prefix = rbuf_u8(in);
	const uint8_t *p;

	if (in->bad)
		return short_by;
	if (prefix > 128)
		return "has a prefix over 128 bits";
	p = rbuf_take(in, (128 - prefix + 7) / 8);
	if (!p)
		return short_by;
	return prefix % 8 && p[0] >> (8 - prefix % 8) ? "has bits inside of the prefix" : NULL;
}

static const char *check_names(struct rbuf *in)
{
	while (rbuf_left(in))
		if (!name_take(in))
			return "is no domain name";
	return NULL;
}

static const char *check_name(struct rbuf *in)
{
	const uint8_t *p = in->at;

	if (rbuf_left(in) && *p < 64)
		return name_take(in) ? NULL : "is no domain name";
	if (!rbuf_left(in))
		return short_by;
	return *p >= 0xc0 ? "is a compressed name, where none may be" : "is no domain name";
}

/* ------------------------------------------------------------------------------------ */

static const char *check_length_and_octets(struct rbuf *in, bool empty_is_good)
{
	size_t n;

	if (!take_string(in, &n))
		return short_by;
	return n || empty_is_good ? NULL : empty;
}

const char *rrcheck_field(enum rrshape_kind kind, struct rbuf *in, const uint8_t *rdata)
{
	switch (rrshape_resolve(kind, rdata)) {
	case FIELD_END: case FIELD_NOTHING:
	case FIELD_A6_NAME:                        /* always resolved */
		return NULL;
	case FIELD_NAME:
		return check_name(in);
	case FIELD_NAMES:
		return check_names(in);
	case FIELD_U8: case FIELD_ALG: case FIELD_USAGE: case FIELD_SELECTOR: case FIELD_MATCHING:
	case FIELD_RELAY_TYPE:
		return take(in, 1);
	case FIELD_U16: case FIELD_CERT: case FIELD_TYPE:
		return take(in, 2);
	case FIELD_U32: case FIELD_PERIOD: case FIELD_TIME: case FIELD_A:
		return take(in, 4);
	case FIELD_EUI48:
		return take(in, 6);
	case FIELD_EUI64: case FIELD_ILNP64:
		return take(in, 8);
	case FIELD_AAAA:
		return take(in, 16);
	case FIELD_COVERED:
		return check_covered(in);
	case FIELD_MAYBE_STRING:
		return rbuf_left(in) ? check_length_and_octets(in, true) : NULL;
	case FIELD_STRING: case FIELD_SALT:
		return check_length_and_octets(in, true);
	case FIELD_HASH:
		return check_length_and_octets(in, false);
	case FIELD_STRINGS:
		return check_strings(in);
	case FIELD_DIGITS:
		return check_digits(in);
	case FIELD_TAG:
		return check_tag(in);
	case FIELD_LONG_STRING: case FIELD_MAYBE_BASE64: case FIELD_OPAQUE:
		return take(in, rbuf_left(in));
	case FIELD_URI: case FIELD_BASE64: case FIELD_HEX: case FIELD_NSAP:
		return take_some(in);
	case FIELD_KEY:
		return check_key(in, rdata);
	case FIELD_DIGEST:
		return check_digest(in, rdata);
	case FIELD_TYPES: case FIELD_SYNC_TYPES:
		return check_types(in, true);
	case FIELD_SOME_TYPES:
		return check_types(in, false);
	case FIELD_NXT_TYPES:
		return check_nxt_types(in);
	case FIELD_LOC:
		return check_loc(in);
	case FIELD_APL:
		return check_apl(in);
	case FIELD_WKS:
		return check_wks(in);
	case FIELD_ATMA:
		return check_atma(in);
	case FIELD_HIP:
		return check_hip(in);
	case FIELD_GATEWAY: case FIELD_RELAY:      /* not resolved */
		return "is of an unknown type";
	case FIELD_A6_SUFFIX:
		return check_a6_suffix(in);
	case FIELD_SVCPARAMS:
		return svcb_check(in);
	}
	return NULL;
}
