#include "dns/rrparse.h"

#include "dns/name.h"
#include "dns/rr.h"
#include "dns/svcb.h"

#include <ldns/ldns.h>
#include <netdb.h>
#include <stdlib.h>
#include <strings.h>

struct parse {
	const struct text_token *next, *end;
	const struct text_token *current;  /* the one that a fault is about; NULL: there was none */
	const uint8_t *origin;
	uint8_t *rdata;              /* where it begins in out */
	struct wbuf *out;
	struct why inner;            /* name_parse's words */
};

/* All parse_... return NULL, or what is wrong with the current token. */
static const char missing[] = "is missing";
static const char no_number[] = "is no number in the range";
static const char no_address[] = "is no address";
static const char no_hex[] = "is not in hex";
static const char odd_hex[] = "has an odd number of digits";
static const char wrong_escape[] = "has a wrong escape";

static const struct text_token *take(struct parse *parse)
{
	parse->current = parse->next < parse->end ? parse->next++ : NULL;
	return parse->current;
}

static const char *none_left(struct parse *parse)
{
	parse->current = NULL;
	return missing;
}

static bool more(const struct parse *parse) { return parse->next < parse->end; }
static size_t left(const struct parse *parse) { return (size_t)(parse->end - parse->next); }

static bool token_is(const struct text_token *token, const char *text)
{
	return token->length == strlen(text) && !strncasecmp(token->text, text, token->length);
}

/* --- numbers ---------------------------------------------------------------------------- */

static const char *take_number(struct parse *parse, uint32_t most, uint32_t *value)
{
	const struct text_token *token = take(parse);

	if (!token)
		return missing;
	return text_number(token->text, token->length, most, value) ? NULL : no_number;
}

static const char *parse_u8(struct parse *parse)
{
	uint32_t value = 0;
	const char *fault = take_number(parse, UINT8_MAX, &value);

	wbuf_u8(parse->out, (uint8_t)value);
	return fault;
}

static const char *parse_u16(struct parse *parse)
{
	uint32_t value = 0;
	const char *fault = take_number(parse, UINT16_MAX, &value);

	wbuf_u16(parse->out, (uint16_t)value);
	return fault;
}

static const char *parse_u32(struct parse *parse)
{
	uint32_t value = 0;
	const char *fault = take_number(parse, UINT32_MAX, &value);

	wbuf_u32(parse->out, value);
	return fault;
}

static const char *parse_period(struct parse *parse)
{
	const struct text_token *token = take(parse);
	uint32_t value;

	if (!token)
		return missing;
	if (!text_period(token->text, token->length, &value))
		return "is no number or time";
	wbuf_u32(parse->out, value);
	return NULL;
}

static const char *parse_time(struct parse *parse)
{
	const struct text_token *token = take(parse);
	uint32_t value;

	if (!token)
		return missing;
	if (!text_time(token->text, token->length, &value))
		return "is no time";
	wbuf_u32(parse->out, value);
	return NULL;
}

bool rrparse_type(const char *text, size_t length, uint16_t *type)
{
	return rrshape_named(text, length, type) || text_numbered("TYPE", text, length, type);
}

static const char *parse_type(struct parse *parse)
{
	const struct text_token *token = take(parse);
	uint16_t type;

	if (!token)
		return missing;
	if (!rrparse_type(token->text, token->length, &type))
		return "is no type";
	wbuf_u16(parse->out, type);
	return NULL;
}

/* --- names, addresses --------------------------------------------------------------------- */

static const char *parse_name(struct parse *parse)
{
	const struct text_token *token = take(parse);
	uint8_t name[NAME_SIZE];

	if (!token)
		return missing;
	if (name_parse(token->text, token->length, parse->origin, name, &parse->inner))
		return parse->inner.text;
	wbuf_bytes(parse->out, name, name_length(name));
	return NULL;
}

static const char *parse_names(struct parse *parse)
{
	const char *fault = NULL;

	while (!fault && more(parse))
		fault = parse_name(parse);
	return fault;
}

static const char *parse_ipv4(struct parse *parse)
{
	const struct text_token *token = take(parse);
	uint8_t address[4];

	if (!token)
		return missing;
	if (!text_ipv4(token->text, token->length, address))
		return no_address;
	wbuf_bytes(parse->out, address, sizeof address);
	return NULL;
}

static const char *parse_ipv6(struct parse *parse)
{
	const struct text_token *token = take(parse);
	uint8_t address[16];

	if (!token)
		return missing;
	if (!text_ipv6(token->text, token->length, address))
		return no_address;
	wbuf_bytes(parse->out, address, sizeof address);
	return NULL;
}

/* RFC 2874 3.1: the prefix length, and the address unless all of it is prefix. */
static const char *parse_a6_suffix(struct parse *parse)
{
	const struct text_token *token;
	uint8_t address[16];
	uint32_t prefix;
	size_t skip;
	const char *fault = take_number(parse, 128, &prefix);

	if (fault)
		return fault;
	wbuf_u8(parse->out, (uint8_t)prefix);
	if (prefix == 128)
		return NULL;
	token = take(parse);
	if (!token)
		return missing;
	if (!text_ipv6(token->text, token->length, address))
		return no_address;
	skip = prefix / 8;
	address[skip] &= (uint8_t)(0xff >> prefix % 8);
	wbuf_bytes(parse->out, address + skip, sizeof address - skip);
	return NULL;
}

/* A gateway or relay of the kind "none". */
static const char *parse_dot(struct parse *parse)
{
	const struct text_token *token = take(parse);

	if (!token)
		return missing;
	return token_is(token, ".") ? NULL : "is not \".\"";
}

/* RFC 8777 4.2.1: the D bit, and the kind of relay. */
static const char *parse_relay_type(struct parse *parse)
{
	uint32_t discovery = 0, kind = 0;
	const char *fault = take_number(parse, 1, &discovery);

	if (!fault)
		fault = take_number(parse, 127, &kind);
	wbuf_u8(parse->out, (uint8_t)(discovery << 7 | kind));
	return fault;
}

/* --- strings -------------------------------------------------------------------------------- */

static const char *parse_string(struct parse *parse)
{
	const struct text_token *token = take(parse);
	uint8_t *length = wbuf_room(parse->out, 1);
	size_t n;

	if (!token)
		return missing;
	if (!text_octets(token->text, token->length, parse->out))
		return wrong_escape;
	if (parse->out->bad)
		return NULL;
	n = (size_t)(parse->out->at - length - 1);
	*length = (uint8_t)n;
	return n > 255 ? "is longer than 255 octets" : NULL;
}

static const char *parse_maybe_string(struct parse *parse)
{
	return more(parse) ? parse_string(parse) : NULL;
}

static const char *parse_strings(struct parse *parse)
{
	const char *fault;

	do
		fault = parse_string(parse);
	while (!fault && more(parse));
	return fault;
}

static const char *parse_long_string(struct parse *parse)
{
	const struct text_token *token = take(parse);

	if (!token)
		return missing;
	return text_octets(token->text, token->length, parse->out) ? NULL : wrong_escape;
}

/* --- octets ---------------------------------------------------------------------------------- */

/* All tokens that are left, perhaps none. */
static const char *parse_maybe_hex(struct parse *parse)
{
	struct text_hex state = {0};

	while (more(parse)) {
		const struct text_token *token = take(parse);

		if (!text_hex(&state, token->text, token->length, parse->out))
			return no_hex;
	}
	return text_hex_whole(&state) ? NULL : odd_hex;
}

static const char *parse_hex(struct parse *parse)
{
	return more(parse) ? parse_maybe_hex(parse) : none_left(parse);
}

static const char *parse_maybe_base64(struct parse *parse)
{
	struct text_base64 state = {0};

	while (more(parse)) {
		const struct text_token *token = take(parse);

		if (!text_base64(&state, token->text, token->length, parse->out))
			return "is not in base64";
	}
	return text_base64_whole(&state) ? NULL : "ends within four digits of base64";
}

static const char *parse_base64(struct parse *parse)
{
	return more(parse) ? parse_maybe_base64(parse) : none_left(parse);
}

/* RFC 5155 3.3: in hex, "-" where it is empty. */
static const char *parse_salt(struct parse *parse)
{
	const struct text_token *token = take(parse);
	size_t n = token && !token_is(token, "-") ? token->length : 0;
	struct text_hex state = {0};

	if (!token)
		return missing;
	if (token->length == 0 || n / 2 > 255)
		return "is empty or longer than 255 octets";
	wbuf_u8(parse->out, (uint8_t)(n / 2));
	if (!text_hex(&state, token->text, n, parse->out))
		return no_hex;
	return text_hex_whole(&state) ? NULL : odd_hex;
}

static const char *parse_hash(struct parse *parse)
{
	const struct text_token *token = take(parse);

	if (!token)
		return missing;
	if (token->length == 0 || token->length * 5 / 8 > 255)
		return "is empty or longer than 255 octets";
	wbuf_u8(parse->out, (uint8_t)(token->length * 5 / 8));
	return text_base32hex(token->text, token->length, parse->out) ? NULL : "is not in base32hex";
}

/* Groups of `digits` hex digits (`exact`) or up to so many, with a mark between. */
static const char *parse_groups(struct parse *parse, unsigned groups, unsigned digits, char mark, bool exact)
{
	const struct text_token *token = take(parse);
	const char *p, *end;

	if (!token)
		return missing;
	p = token->text;
	end = p + token->length;
	for (unsigned i = 0; i < groups; i++) {
		unsigned value = 0, n = 0;

		for (; n < digits && p < end && text_hex_digit(*p) >= 0; n++)
			value = value << 4 | (unsigned)text_hex_digit(*p++);
		if (n == 0 || (exact && n < digits) || (i + 1 < groups && (p == end || *p++ != mark)))
			return "is not in groups of hex digits";
		if (digits == 4)
			wbuf_u16(parse->out, (uint16_t)value);
		else
			wbuf_u8(parse->out, (uint8_t)value);
	}
	return p == end ? NULL : "is too long";
}

static const char *parse_ilnp64(struct parse *parse) { return parse_groups(parse, 4, 4, ':', false); }
static const char *parse_eui48(struct parse *parse) { return parse_groups(parse, 6, 2, '-', true); }
static const char *parse_eui64(struct parse *parse) { return parse_groups(parse, 8, 2, '-', true); }

/* Hex digits with dots anywhere between octets. */
static const char *put_dotted_hex(struct wbuf *out, const char *text, size_t length)
{
	struct text_hex state = {0};

	for (size_t i = 0; i < length; i++)
		if (!(text[i] == '.' && text_hex_whole(&state)) && !text_hex(&state, text + i, 1, out))
			return no_hex;
	return text_hex_whole(&state) ? NULL : odd_hex;
}

/* RFC 1706 7 */
static const char *parse_nsap(struct parse *parse)
{
	const struct text_token *token = take(parse);

	if (!token)
		return missing;
	if (token->length < 2 || strncasecmp(token->text, "0x", 2))
		return "does not begin with 0x";
	return put_dotted_hex(parse->out, token->text + 2, token->length - 2);
}

/* af-dans-0152 5: +digits for E.164, else an AESA in hex. */
static const char *parse_atma(struct parse *parse)
{
	const struct text_token *token = take(parse);

	if (!token)
		return missing;
	if (token->length == 0 || token->text[0] != '+') {
		wbuf_u8(parse->out, 0);
		return put_dotted_hex(parse->out, token->text, token->length);
	}
	wbuf_u8(parse->out, 1);
	wbuf_bytes(parse->out, token->text + 1, token->length - 1);
	return NULL;
}

/* --- sets of types and ports -------------------------------------------------------------------- */

static const char *parse_types(struct parse *parse)
{
	uint8_t map[256][32], octets[256] = {0};   /* a window is cleared when it is first used */
	const struct text_token *token;

	while ((token = take(parse))) {
		uint16_t type;
		unsigned window, octet;

		if (!rrparse_type(token->text, token->length, &type))
			return "is no type";
		window = type >> 8;
		octet = (type & 0xff) / 8;
		if (!octets[window])
			memset(map[window], 0, sizeof map[window]);
		if (octets[window] < octet + 1)
			octets[window] = (uint8_t)(octet + 1);
		map[window][octet] |= (uint8_t)(0x80 >> type % 8);
	}
	for (unsigned window = 0; window < 256; window++) {
		if (!octets[window])
			continue;
		wbuf_u8(parse->out, (uint8_t)window);
		wbuf_u8(parse->out, octets[window]);
		wbuf_bytes(parse->out, map[window], octets[window]);
	}
	return NULL;
}

static const char *parse_nxt_types(struct parse *parse)
{
	uint8_t map[16] = {0}, octets = 0;
	const struct text_token *token;

	while ((token = take(parse))) {
		uint16_t type;

		if (!rrparse_type(token->text, token->length, &type) || type > 127)
			return "is no type up to 127";
		map[type / 8] |= (uint8_t)(0x80 >> type % 8);
		if (octets < type / 8 + 1)
			octets = (uint8_t)(type / 8 + 1);
	}
	wbuf_bytes(parse->out, map, octets);
	return NULL;
}

static bool protocol_of(const struct text_token *token, uint32_t *protocol)
{
	bool tcp = token_is(token, "tcp");

	if (!tcp && !token_is(token, "udp"))
		return text_number(token->text, token->length, UINT8_MAX, protocol);
	*protocol = tcp ? IPPROTO_TCP : IPPROTO_UDP;
	return true;
}

static bool port_of(const struct text_token *token, uint32_t protocol, uint32_t *port)
{
	struct servent entry, *found = NULL;
	char name[64], space[1024];

	if (text_number(token->text, token->length, UINT16_MAX, port))
		return true;
	if (token->length >= sizeof name)
		return false;
	for (size_t i = 0; i < token->length; i++)
		name[i] = (char)name_octet_lower((uint8_t)token->text[i]);
	name[token->length] = 0;
	if (getservbyname_r(name, protocol == IPPROTO_UDP ? "udp" : "tcp", &entry, space, sizeof space, &found) || !found)
		return false;
	*port = ntohs((uint16_t)found->s_port);
	return true;
}

static const char *parse_wks(struct parse *parse)
{
	const struct text_token *token = take(parse);
	uint8_t map[65536 / 8] = {0};
	uint32_t protocol, port;
	size_t octets = 0;

	if (!token)
		return missing;
	if (!protocol_of(token, &protocol))
		return "is no protocol";
	wbuf_u8(parse->out, (uint8_t)protocol);
	while ((token = take(parse))) {
		if (!port_of(token, protocol, &port))
			return "is no port";
		map[port / 8] |= (uint8_t)(0x80 >> port % 8);
		if (octets < port / 8 + 1)
			octets = port / 8 + 1;
	}
	wbuf_bytes(parse->out, map, octets);
	return NULL;
}

static const char *parse_svcparams(struct parse *parse)
{
	const struct text_token *tokens = parse->next;

	parse->next = parse->end;
	return svcb_parse(tokens, (size_t)(parse->end - tokens), &parse->current, parse->out);
}

/* --- by ldns -------------------------------------------------------------------------------------- */

/* The next `count` tokens with a space between. malloc'd; NULL: no memory. */
static char *join(struct parse *parse, size_t count, size_t *length)
{
	size_t size = 1;
	char *text, *at;

	for (size_t i = 0; i < count; i++)
		size += parse->next[i].length + 1;
	text = at = malloc(size);
	while (text && count--) {
		const struct text_token *token = take(parse);

		at = mempcpy(at, token->text, token->length);
		*at++ = ' ';
	}
	if (text)
		*--at = 0;
	*length = (size_t)(at - text);
	return text;
}

/* The next `count` tokens, read by ldns as one field of that kind. */
static const char *parse_by_ldns(struct parse *parse, ldns_rdf_type kind, size_t count)
{
	ldns_rdf *field = NULL;
	const char *fault = NULL;
	size_t length;
	char *text;

	if (left(parse) < count || count == 0)
		return none_left(parse);
	text = join(parse, count, &length);
	if (!text)
		return svcb_no_memory;
	if (strlen(text) == length)
		field = ldns_rdf_new_frm_str(kind, text);
	if (field)
		wbuf_bytes(parse->out, ldns_rdf_data(field), ldns_rdf_size(field));
	else
		fault = "cannot be read";
	ldns_rdf_deep_free(field);
	free(text);
	return fault;
}

static const char *parse_loc(struct parse *parse) { return parse_by_ldns(parse, LDNS_RDF_TYPE_LOC, left(parse)); }
static const char *parse_hip(struct parse *parse) { return parse_by_ldns(parse, LDNS_RDF_TYPE_HIP, 3); }

static const char *parse_apl(struct parse *parse)
{
	const char *fault = NULL;

	while (!fault && more(parse))
		fault = parse_by_ldns(parse, LDNS_RDF_TYPE_APL, 1);
	return fault;
}

/* A number, or one of the names that ldns knows for it. */
static bool mnemonic(const struct parse *parse)
{
	return more(parse) && parse->next->length && !(parse->next->text[0] >= '0' && parse->next->text[0] <= '9');
}

static const char *parse_alg(struct parse *parse)
{
	return mnemonic(parse) ? parse_by_ldns(parse, LDNS_RDF_TYPE_ALG, 1) : parse_u8(parse);
}

static const char *parse_cert(struct parse *parse)
{
	return mnemonic(parse) ? parse_by_ldns(parse, LDNS_RDF_TYPE_CERT_ALG, 1) : parse_u16(parse);
}

static const char *parse_usage(struct parse *parse)
{
	return mnemonic(parse) ? parse_by_ldns(parse, LDNS_RDF_TYPE_CERTIFICATE_USAGE, 1) : parse_u8(parse);
}

static const char *parse_selector(struct parse *parse)
{
	return mnemonic(parse) ? parse_by_ldns(parse, LDNS_RDF_TYPE_SELECTOR, 1) : parse_u8(parse);
}

static const char *parse_matching(struct parse *parse)
{
	return mnemonic(parse) ? parse_by_ldns(parse, LDNS_RDF_TYPE_MATCHING_TYPE, 1) : parse_u8(parse);
}

/* --------------------------------------------------------------------------------------------------- */

static const char *parse_unknown(struct parse *parse)
{
	(void)parse;
	return "is of an unknown type";
}

static const char *parse_opaque(struct parse *parse)
{
	(void)parse;
	return "has no text but \\# LENGTH HEX";
}

static const char *(*const parsers[FIELD_KINDS])(struct parse *) = {
	[FIELD_NOTHING] = parse_dot, [FIELD_NAME] = parse_name, [FIELD_NAMES] = parse_names,
	[FIELD_U8] = parse_u8, [FIELD_U16] = parse_u16, [FIELD_U32] = parse_u32,
	[FIELD_ALG] = parse_alg, [FIELD_CERT] = parse_cert,
	[FIELD_USAGE] = parse_usage, [FIELD_SELECTOR] = parse_selector, [FIELD_MATCHING] = parse_matching,
	[FIELD_TYPE] = parse_type, [FIELD_COVERED] = parse_type, [FIELD_PERIOD] = parse_period, [FIELD_TIME] = parse_time,
	[FIELD_A] = parse_ipv4, [FIELD_AAAA] = parse_ipv6,
	[FIELD_STRING] = parse_string, [FIELD_MAYBE_STRING] = parse_maybe_string, [FIELD_STRINGS] = parse_strings,
	[FIELD_DIGITS] = parse_string, [FIELD_TAG] = parse_string,
	[FIELD_LONG_STRING] = parse_long_string, [FIELD_URI] = parse_long_string,
	[FIELD_BASE64] = parse_base64, [FIELD_MAYBE_BASE64] = parse_maybe_base64, [FIELD_KEY] = parse_maybe_base64,
	[FIELD_HEX] = parse_hex, [FIELD_DIGEST] = parse_hex, [FIELD_OPAQUE] = parse_opaque,
	[FIELD_TYPES] = parse_types, [FIELD_SOME_TYPES] = parse_types, [FIELD_SYNC_TYPES] = parse_types,
	[FIELD_NXT_TYPES] = parse_nxt_types, [FIELD_SALT] = parse_salt, [FIELD_HASH] = parse_hash,
	[FIELD_ILNP64] = parse_ilnp64, [FIELD_EUI48] = parse_eui48, [FIELD_EUI64] = parse_eui64,
	[FIELD_LOC] = parse_loc, [FIELD_APL] = parse_apl, [FIELD_WKS] = parse_wks,
	[FIELD_NSAP] = parse_nsap, [FIELD_ATMA] = parse_atma, [FIELD_HIP] = parse_hip,
	[FIELD_GATEWAY] = parse_unknown, [FIELD_RELAY_TYPE] = parse_relay_type, [FIELD_RELAY] = parse_unknown,
	[FIELD_A6_SUFFIX] = parse_a6_suffix, [FIELD_SVCPARAMS] = parse_svcparams,
};

static const char *parse_field(struct parse *parse, enum rrshape_kind kind)
{
	enum rrshape_kind real = rrshape_resolve(kind, parse->rdata);

	parse->current = NULL;
	if (kind == FIELD_A6_NAME && real == FIELD_NOTHING)
		return NULL;
	return parsers[real](parse);
}

static void show(const struct text_token *token, char out[64])
{
	size_t n = token->length < 60 ? token->length : 60;

	for (size_t i = 0; i < n; i++)
		out[i] = token->text[i] >= 0x20 && token->text[i] < 0x7f ? token->text[i] : '?';
	strcpy(out + n, n < token->length ? "..." : "");
}

static enum err parse_failed(const struct parse *parse, const char *type, const char *label, int length, const char *fault,
	struct why *why)
{
	char shown[64];

	if (fault == svcb_no_memory)
		return err_why(why, ERR_NOMEM, "%s: %s", type, fault);
	if (!parse->current || fault == parse->inner.text)
		return err_why(why, ERR_SYNTAX, "%s %.*s: %s", type, length, label, fault);
	show(parse->current, shown);
	return err_why(why, ERR_SYNTAX, "%s %.*s \"%s\": %s", type, length, label, shown, fault);
}

static enum err finish(const struct parse *parse, const char *type, struct why *why)
{
	if (parse->out->bad)
		return err_why(why, ERR_NOSPACE, "%s: no room for the data", type);
	if (parse->out->at - parse->rdata > UINT16_MAX)
		return err_why(why, ERR_SYNTAX, "%s: RDATA over 65535 octets", type);
	return ERR_OK;
}

enum err rrparse_fields(uint16_t type, const struct rrshape *shape, const struct text_token *tokens, size_t count,
	const uint8_t *origin, struct wbuf *out, struct why *why)
{
	struct parse parse = {.next = tokens, .end = tokens + count, .origin = origin, .rdata = out->at, .out = out};
	enum err err;

	for (unsigned i = 0; !out->bad && shape->field[i] != FIELD_END; i++) {
		const char *fault = parse_field(&parse, (enum rrshape_kind)shape->field[i]), *label;
		int length;

		if (fault && !out->bad) {
			label = rrshape_label(shape, i, &length);
			return parse_failed(&parse, shape->name, label, length, fault, why);
		}
	}
	if (!out->bad && more(&parse)) {
		take(&parse);
		return parse_failed(&parse, shape->name, "data", 4, "is too much", why);
	}
	err = finish(&parse, shape->name, why);
	if (!err && rr_check_rdata(type, parse.rdata, (size_t)(out->at - parse.rdata), why))
		err = ERR_SYNTAX;
	return err;
}

enum err rrparse_generic(const struct text_token *tokens, size_t count, struct wbuf *out, struct why *why)
{
	struct parse parse = {.next = tokens, .end = tokens + count, .rdata = out->at, .out = out};
	uint32_t length = 0;
	const char *fault = take_number(&parse, UINT16_MAX, &length);
	enum err err;

	if (fault)
		return parse_failed(&parse, "\\#", "length", 6, fault, why);
	fault = parse_maybe_hex(&parse);
	if (fault)
		return parse_failed(&parse, "\\#", "data", 4, fault, why);
	err = finish(&parse, "\\#", why);
	if (!err && out->at - parse.rdata != length)
		err = err_why(why, ERR_SYNTAX, "\\#: %u octets instead of %u", (unsigned)(out->at - parse.rdata), length);
	return err;
}
