#include "dns/rrprint.h"

#include "dns/name.h"
#include "dns/svcb.h"

#include <ldns/ldns.h>
#include <stdlib.h>

/* A field printer takes from `in`, writes at `out` and returns its end there, each item with a space behind it; or
 * NULL: no text. Octets of text are at most five times the octets of data, but for sets of types, which look at `limit`. */
struct print {
	struct rbuf in;
	const uint8_t *rdata;
	char *limit;
};

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
	return put_space(text_put_number(out, value));
}

char *rrprint_type(char *out, uint16_t type)
{
	const struct rrshape *shape = rrshape_of(type);

	if (shape && shape->flags & RRSHAPE_TEXT) {
		memcpy(out, shape->word, sizeof shape->word);
		return out + shape->name_length;
	}
	return text_put_number(mempcpy(out, "TYPE", 4), type);
}

static char *print_type(struct print *print, char *out)
{
	return put_space(rrprint_type(out, rbuf_u16(&print->in)));
}

/* The number is taken as it stands: 1970 to 2106. */
static char *print_time(struct print *print, char *out)
{
	return put_space(text_put_time(out, rbuf_u32(&print->in)));
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

static char *print_ipv4(struct print *print, char *out)
{
	const uint8_t *p = rbuf_take(&print->in, 4);

	return p ? put_space(text_put_ipv4(out, p)) : NULL;
}

static char *print_ipv6(struct print *print, char *out)
{
	const uint8_t *p = rbuf_take(&print->in, 16);

	return p ? put_space(text_put_ipv6(out, p)) : NULL;
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
	out = family == 1 ? text_put_ipv4(out, address) : text_put_ipv6(out, address);
	*out++ = '/';
	return put_space(text_put_number(out, prefix));
}

static char *print_apl(struct print *print, char *out)
{
	while (out && rbuf_left(&print->in))
		out = print_apl_item(print, out);
	return out;
}

/* --- strings -------------------------------------------------------------------------------------- */

static char *print_string(struct print *print, char *out)
{
	size_t n = rbuf_u8(&print->in);
	const uint8_t *p = rbuf_take(&print->in, n);

	return p ? put_space(text_put_quoted(out, p, n)) : NULL;
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

	return put_space(text_put_quoted(out, rbuf_take(&print->in, n), n));
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

static char *print_hex(struct print *print, char *out)
{
	size_t n = rbuf_left(&print->in);

	return n ? put_space(text_put_hex(out, rbuf_take(&print->in, n), n)) : NULL;
}

static char *print_base64(struct print *print, char *out)
{
	size_t n = rbuf_left(&print->in);

	return n ? put_space(text_put_base64(out, rbuf_take(&print->in, n), n)) : NULL;
}

static char *print_salt(struct print *print, char *out)
{
	size_t n = rbuf_u8(&print->in);
	const uint8_t *p = rbuf_take(&print->in, n);

	if (!p)
		return NULL;
	if (n == 0)
		*out++ = '-';
	return put_space(text_put_hex(out, p, n));
}

/* Knot and ldns read only whole groups of five octets. */
static char *print_hash(struct print *print, char *out)
{
	size_t n = rbuf_u8(&print->in);
	const uint8_t *p = rbuf_take(&print->in, n);

	if (!p || n == 0 || n % 5)
		return NULL;
	return put_space(text_put_base32hex(out, p, n));
}

static char *print_groups(struct print *print, unsigned groups, unsigned octets, char mark, char *out)
{
	const uint8_t *p = rbuf_take(&print->in, (size_t)groups * octets);

	if (!p)
		return NULL;
	for (unsigned i = 0; i < groups; i++, p += octets) {
		out = text_put_hex(out, p, octets);
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
		return svcb_print(&print->in, out);
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
