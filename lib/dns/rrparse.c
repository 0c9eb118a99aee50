#include "dns/rrparse.h"

#include "dns/name.h"
#include "dns/rr.h"

#include <arpa/inet.h>
#include <ldns/ldns.h>
#include <netdb.h>
#include <stdlib.h>
#include <strings.h>

struct parse {
	const struct rr_token *next, *end;
	const struct rr_token *current;  /* the one that a fault is about; NULL: there was none */
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
static const char no_memory[] = "no memory";

static const struct rr_token *take(struct parse *parse)
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
static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool token_is(const struct rr_token *token, const char *text)
{
	return token->length == strlen(text) && !memcmp(token->text, text, token->length);
}

/* --- numbers ---------------------------------------------------------------------------- */

bool rrparse_number(const char *text, size_t length, uint32_t most, uint32_t *number)
{
	uint64_t value = 0;

	if (length == 0 || length > 10)
		return false;
	for (size_t i = 0; i < length; i++) {
		if (!is_digit(text[i]))
			return false;
		value = value * 10 + (uint64_t)(text[i] - '0');
	}
	*number = (uint32_t)value;
	return value <= most;
}

static uint32_t unit_of(char c)
{
	switch (c | 0x20) {
	case 's': return 1;
	case 'm': return 60;
	case 'h': return 3600;
	case 'd': return 86400;
	case 'w': return 604800;
	default: return 0;
	}
}

bool rrparse_period(const char *text, size_t length, uint32_t *seconds)
{
	uint64_t sum = 0;
	size_t i = 0;

	if (rrparse_number(text, length, UINT32_MAX, seconds))
		return true;
	while (i < length) {
		size_t start = i;
		uint32_t count, unit;

		while (i < length && is_digit(text[i]))
			i++;
		if (i == length || !rrparse_number(text + start, i - start, UINT32_MAX, &count))
			return false;
		unit = unit_of(text[i++]);
		sum += (uint64_t)count * unit;
		if (unit == 0 || sum > UINT32_MAX)
			return false;
	}
	*seconds = (uint32_t)sum;
	return length > 0;
}

bool rrparse_numbered(const char *prefix, const char *text, size_t length, uint16_t *number)
{
	size_t skip = strlen(prefix);
	uint32_t value;

	if (length <= skip || strncasecmp(text, prefix, skip) || !rrparse_number(text + skip, length - skip, UINT16_MAX, &value))
		return false;
	*number = (uint16_t)value;
	return true;
}

bool rrparse_type(const char *text, size_t length, uint16_t *type)
{
	return rrshape_named(text, length, type) || rrparse_numbered("TYPE", text, length, type);
}

static const char *parse_number(struct parse *parse, unsigned octets)
{
	const struct rr_token *token = take(parse);
	uint32_t value;

	if (!token)
		return missing;
	if (!rrparse_number(token->text, token->length, UINT32_MAX >> (32 - 8 * octets), &value))
		return no_number;
	if (octets == 1)
		wbuf_u8(parse->out, (uint8_t)value);
	else if (octets == 2)
		wbuf_u16(parse->out, (uint16_t)value);
	else
		wbuf_u32(parse->out, value);
	return NULL;
}

static const char *parse_period(struct parse *parse)
{
	const struct rr_token *token = take(parse);
	uint32_t value;

	if (!token)
		return missing;
	if (!rrparse_period(token->text, token->length, &value))
		return "is no number or time";
	wbuf_u32(parse->out, value);
	return NULL;
}

static const char *parse_type(struct parse *parse)
{
	const struct rr_token *token = take(parse);
	uint16_t type;

	if (!token)
		return missing;
	if (!rrparse_type(token->text, token->length, &type))
		return "is no type";
	wbuf_u16(parse->out, type);
	return NULL;
}

/* Days since 1970 of a date in the Gregorian calendar, counted in years that begin with March. */
static int64_t days_of(unsigned year, unsigned month, unsigned day)
{
	unsigned y = month > 2 ? year : year - 1, m = month > 2 ? month - 3 : month + 9;

	return (int64_t)y * 365 + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

static unsigned days_in(unsigned year, unsigned month)
{
	static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return month == 2 && leap ? 29 : days[month - 1];
}

/* RFC 4034 3.2: YYYYMMDDHHmmSS, told from a number by its 14 digits. */
static bool time_of(const char *text, uint32_t *seconds)
{
	uint32_t year, month, day, hour, minute, second;
	int64_t value;

	if (!rrparse_number(text, 4, 9999, &year) || !rrparse_number(text + 4, 2, 12, &month) ||
	    !rrparse_number(text + 6, 2, 31, &day) || !rrparse_number(text + 8, 2, 23, &hour) ||
	    !rrparse_number(text + 10, 2, 59, &minute) || !rrparse_number(text + 12, 2, 60, &second))
		return false;
	if (year < 1970 || month < 1 || day < 1 || day > days_in(year, month))
		return false;
	value = days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
	*seconds = (uint32_t)value;
	return value <= UINT32_MAX;
}

static const char *parse_time(struct parse *parse)
{
	const struct rr_token *token = take(parse);
	uint32_t value;

	if (!token)
		return missing;
	if (!(token->length == 14 && time_of(token->text, &value)) &&
	    !rrparse_number(token->text, token->length, UINT32_MAX, &value))
		return "is no time";
	wbuf_u32(parse->out, value);
	return NULL;
}

/* --- names, addresses --------------------------------------------------------------------- */

static const char *parse_name(struct parse *parse)
{
	const struct rr_token *token = take(parse);
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

static bool ipv4_of(const char *text, size_t length, uint8_t out[4])
{
	const char *end = text + length;

	for (unsigned i = 0; i < 4; i++) {
		unsigned value = 0, digits = 0;

		for (; text < end && is_digit(*text) && digits < 4; digits++)
			value = value * 10 + (unsigned)(*text++ - '0');
		if (digits == 0 || value > 255 || (i < 3 && (text == end || *text++ != '.')))
			return false;
		out[i] = (uint8_t)value;
	}
	return text == end;
}

static bool ipv6_of(const char *text, size_t length, uint8_t out[16])
{
	char copy[INET6_ADDRSTRLEN];

	if (length >= sizeof copy)
		return false;
	memcpy(copy, text, length);
	copy[length] = 0;
	return strlen(copy) == length && inet_pton(AF_INET6, copy, out) == 1;
}

static const char *parse_ipv4(struct parse *parse)
{
	const struct rr_token *token = take(parse);
	uint8_t address[4];

	if (!token)
		return missing;
	if (!ipv4_of(token->text, token->length, address))
		return no_address;
	wbuf_bytes(parse->out, address, sizeof address);
	return NULL;
}

static const char *parse_ipv6(struct parse *parse)
{
	const struct rr_token *token = take(parse);
	uint8_t address[16];

	if (!token)
		return missing;
	if (!ipv6_of(token->text, token->length, address))
		return no_address;
	wbuf_bytes(parse->out, address, sizeof address);
	return NULL;
}

/* RFC 2874 3.1: the prefix length, and the address unless all of it is prefix. */
static const char *parse_a6_suffix(struct parse *parse)
{
	const struct rr_token *token = take(parse);
	uint8_t address[16];
	uint32_t prefix;
	size_t skip;

	if (!token)
		return missing;
	if (!rrparse_number(token->text, token->length, 128, &prefix))
		return no_number;
	wbuf_u8(parse->out, (uint8_t)prefix);
	if (prefix == 128)
		return NULL;
	token = take(parse);
	if (!token)
		return missing;
	if (!ipv6_of(token->text, token->length, address))
		return no_address;
	skip = prefix / 8;
	if (prefix % 8)
		address[skip] &= (uint8_t)(0xff >> prefix % 8);
	wbuf_bytes(parse->out, address + skip, sizeof address - skip);
	return NULL;
}

static const char *parse_nothing(struct parse *parse)
{
	const struct rr_token *token = take(parse);

	if (!token)
		return missing;
	return token_is(token, ".") ? NULL : "is not \".\"";
}

/* RFC 8777 4.2.1: the D bit, and the kind of relay. */
static const char *parse_relay_type(struct parse *parse)
{
	const struct rr_token *token = take(parse);
	uint32_t discovery, kind;

	if (!token)
		return missing;
	if (!rrparse_number(token->text, token->length, 1, &discovery))
		return no_number;
	token = take(parse);
	if (!token)
		return missing;
	if (!rrparse_number(token->text, token->length, 127, &kind))
		return no_number;
	wbuf_u8(parse->out, (uint8_t)(discovery << 7 | kind));
	return NULL;
}

/* --- strings -------------------------------------------------------------------------------- */

/* The next octet of text with escapes; -1: a wrong escape. `*at` goes on. */
static int unescape(const char **at, const char *end)
{
	const char *p = *at;
	unsigned value;

	if (*p != '\\') {
		*at = p + 1;
		return (unsigned char)*p;
	}
	if (++p == end)
		return -1;
	if (!is_digit(*p)) {
		*at = p + 1;
		return (unsigned char)*p;
	}
	if (end - p < 3 || !is_digit(p[1]) || !is_digit(p[2]))
		return -1;
	value = (unsigned)(p[0] - '0') * 100 + (unsigned)(p[1] - '0') * 10 + (unsigned)(p[2] - '0');
	*at = p + 3;
	return value <= 255 ? (int)value : -1;
}

static const char *put_unescaped(struct wbuf *out, const char *text, size_t length)
{
	const char *end = text + length;

	while (text < end) {
		int octet = unescape(&text, end);

		if (octet < 0)
			return wrong_escape;
		wbuf_u8(out, (uint8_t)octet);
	}
	return NULL;
}

static const char *parse_string(struct parse *parse)
{
	const struct rr_token *token = take(parse);
	uint8_t *length = wbuf_room(parse->out, 1);
	const char *fault;
	size_t n;

	if (!token)
		return missing;
	fault = put_unescaped(parse->out, token->text, token->length);
	if (fault || parse->out->bad)
		return fault;
	n = (size_t)(parse->out->at - length - 1);
	if (n > 255)
		return "is longer than 255 octets";
	*length = (uint8_t)n;
	return NULL;
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
	const struct rr_token *token = take(parse);

	return token ? put_unescaped(parse->out, token->text, token->length) : missing;
}

/* --- octets ---------------------------------------------------------------------------------- */

static int hex_value(char c)
{
	if (is_digit(c))
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Of one or more tokens, to the end: a digit may stand alone at the end of all but the last. */
static const char *parse_hex(struct parse *parse)
{
	const struct rr_token *token;
	int high = -1;

	while ((token = take(parse))) {
		for (size_t i = 0; i < token->length; i++) {
			int value = hex_value(token->text[i]);

			if (value < 0)
				return no_hex;
			if (high >= 0)
				wbuf_u8(parse->out, (uint8_t)(high << 4 | value));
			high = high >= 0 ? -1 : value;
		}
	}
	parse->current = parse->end - 1;
	return high < 0 ? NULL : odd_hex;
}

static const char *parse_some_hex(struct parse *parse)
{
	return more(parse) ? parse_hex(parse) : none_left(parse);
}

static const char *put_hex(struct wbuf *out, const char *text, size_t length)
{
	for (size_t i = 0; i + 1 < length; i += 2) {
		int high = hex_value(text[i]), low = hex_value(text[i + 1]);

		if (high < 0 || low < 0)
			return no_hex;
		wbuf_u8(out, (uint8_t)(high << 4 | low));
	}
	return length % 2 ? odd_hex : NULL;
}

static const char *parse_salt(struct parse *parse)
{
	const struct rr_token *token = take(parse);

	if (!token)
		return missing;
	if (token_is(token, "-")) {
		wbuf_u8(parse->out, 0);
		return NULL;
	}
	if (token->length == 0 || token->length / 2 > 255)
		return "is empty or longer than 255 octets";
	wbuf_u8(parse->out, (uint8_t)(token->length / 2));
	return put_hex(parse->out, token->text, token->length);
}

struct base64 {
	uint32_t bits;
	unsigned digits, pads;       /* of the four digits under way */
};

static int base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (is_digit(c))
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* False: a character or a place for one that is wrong. */
static bool base64_add(struct base64 *state, char c, struct wbuf *out)
{
	int value = c == '=' ? 0 : base64_value(c);

	if (value < 0 || (state->pads && c != '=') || (c == '=' && state->digits < 2))
		return false;
	state->pads += c == '=';
	state->bits = state->bits << 6 | (uint32_t)value;
	if (++state->digits < 4)
		return true;
	if (state->pads && state->bits & (state->pads == 1 ? 0xff : 0xffff))
		return false;                      /* bits that no octet has */
	wbuf_u8(out, (uint8_t)(state->bits >> 16));
	if (state->pads < 2)
		wbuf_u8(out, (uint8_t)(state->bits >> 8));
	if (state->pads < 1)
		wbuf_u8(out, (uint8_t)state->bits);
	state->bits = 0;
	state->digits = 0;
	return true;
}

static const char *put_base64(struct base64 *state, const char *text, size_t length, struct wbuf *out)
{
	for (size_t i = 0; i < length; i++)
		if ((state->pads && state->digits == 0) || !base64_add(state, text[i], out))
			return "is not in base64";
	return NULL;
}

static const char *parse_base64(struct parse *parse)
{
	const struct rr_token *token;
	struct base64 state = {0};

	while ((token = take(parse))) {
		const char *fault = put_base64(&state, token->text, token->length, parse->out);

		if (fault)
			return fault;
	}
	parse->current = parse->end - 1;
	return state.digits == 0 ? NULL : "ends within four digits of base64";
}

static const char *parse_some_base64(struct parse *parse)
{
	return more(parse) ? parse_base64(parse) : none_left(parse);
}

static int base32hex_value(char c)
{
	if (is_digit(c))
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'v' ? c - 'a' + 10 : -1;
}

/* RFC 5155 3.3: unpadded. */
static const char *parse_hash(struct parse *parse)
{
	const struct rr_token *token = take(parse);
	uint64_t bits = 0;
	unsigned have = 0;

	if (!token)
		return missing;
	if (token->length == 0 || token->length * 5 / 8 > 255)
		return "is empty or longer than 255 octets";
	wbuf_u8(parse->out, (uint8_t)(token->length * 5 / 8));
	for (size_t i = 0; i < token->length; i++) {
		int value = base32hex_value(token->text[i]);

		if (value < 0)
			return "is not in base32hex";
		bits = bits << 5 | (unsigned)value;
		have += 5;
		if (have >= 8) {
			have -= 8;
			wbuf_u8(parse->out, (uint8_t)(bits >> have));
		}
	}
	return have >= 5 || bits & ((1u << have) - 1) ? "has bits that no octet has" : NULL;
}

/* Groups of `digits` hex digits (`exact`) or up to so many, with a mark between. */
static const char *parse_groups(struct parse *parse, unsigned groups, unsigned digits, char mark, bool exact)
{
	const struct rr_token *token = take(parse);
	const char *p, *end;

	if (!token)
		return missing;
	p = token->text;
	end = p + token->length;
	for (unsigned i = 0; i < groups; i++) {
		unsigned value = 0, n = 0;

		for (; n < digits && p < end && hex_value(*p) >= 0; n++)
			value = value << 4 | (unsigned)hex_value(*p++);
		if (n == 0 || (exact && n < digits) || (i + 1 < groups && (p == end || *p++ != mark)))
			return "is not in groups of hex digits";
		if (digits == 4)
			wbuf_u16(parse->out, (uint16_t)value);
		else
			wbuf_u8(parse->out, (uint8_t)value);
	}
	return p == end ? NULL : "is too long";
}

/* Hex digits with dots anywhere between octets. */
static const char *put_dotted_hex(struct wbuf *out, const char *text, size_t length)
{
	int high = -1;

	for (size_t i = 0; i < length; i++) {
		int value = hex_value(text[i]);

		if (text[i] == '.' && high < 0)
			continue;
		if (value < 0)
			return no_hex;
		if (high >= 0)
			wbuf_u8(out, (uint8_t)(high << 4 | value));
		high = high >= 0 ? -1 : value;
	}
	return high < 0 ? NULL : odd_hex;
}

/* RFC 1706 7 */
static const char *parse_nsap(struct parse *parse)
{
	const struct rr_token *token = take(parse);

	if (!token)
		return missing;
	if (token->length < 2 || strncasecmp(token->text, "0x", 2))
		return "does not begin with 0x";
	return put_dotted_hex(parse->out, token->text + 2, token->length - 2);
}

/* af-dans-0152 5: +digits for E.164, else an AESA in hex. */
static const char *parse_atma(struct parse *parse)
{
	const struct rr_token *token = take(parse);

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
	const struct rr_token *token;

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
	const struct rr_token *token;

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

static bool port_of(const struct rr_token *token, const char *protocol, uint32_t *port)
{
	struct servent entry, *found = NULL;
	char name[64], space[1024];

	if (rrparse_number(token->text, token->length, 65535, port))
		return true;
	if (token->length >= sizeof name)
		return false;
	for (size_t i = 0; i < token->length; i++)
		name[i] = token->text[i] >= 'A' && token->text[i] <= 'Z' ? (char)(token->text[i] | 0x20) : token->text[i];
	name[token->length] = 0;
	if (getservbyname_r(name, protocol, &entry, space, sizeof space, &found) || !found)
		return false;
	*port = ntohs((uint16_t)found->s_port);
	return true;
}

static const char *parse_wks(struct parse *parse)
{
	const struct rr_token *token = take(parse);
	uint8_t map[65536 / 8] = {0};
	uint32_t protocol, port;
	size_t octets = 0;

	if (!token)
		return missing;
	if (!strncasecmp(token->text, "tcp", 3) && token->length == 3)
		protocol = IPPROTO_TCP;
	else if (!strncasecmp(token->text, "udp", 3) && token->length == 3)
		protocol = IPPROTO_UDP;
	else if (!rrparse_number(token->text, token->length, 255, &protocol))
		return "is no protocol";
	wbuf_u8(parse->out, (uint8_t)protocol);
	while ((token = take(parse))) {
		if (!port_of(token, protocol == IPPROTO_UDP ? "udp" : "tcp", &port))
			return "is no port";
		map[port / 8] |= (uint8_t)(0x80 >> port % 8);
		if (octets < port / 8 + 1)
			octets = port / 8 + 1;
	}
	wbuf_bytes(parse->out, map, octets);
	return NULL;
}

/* --- by ldns -------------------------------------------------------------------------------------- */

/* The next `count` tokens, a space between, read by ldns as one field of that kind. */
static const char *parse_by_ldns(struct parse *parse, ldns_rdf_type kind, size_t count)
{
	size_t size = 1;
	const char *fault = NULL;
	ldns_rdf *field = NULL;
	char *text, *at;

	if ((size_t)(parse->end - parse->next) < count || count == 0)
		return none_left(parse);
	for (size_t i = 0; i < count; i++)
		size += parse->next[i].length + 1;
	text = at = malloc(size);
	if (!text)
		return no_memory;
	while (count--) {
		const struct rr_token *token = take(parse);

		at = mempcpy(at, token->text, token->length);
		*at++ = ' ';
	}
	at[-1] = 0;
	if (strlen(text) == (size_t)(at - text - 1))
		field = ldns_rdf_new_frm_str(kind, text);
	if (field)
		wbuf_bytes(parse->out, ldns_rdf_data(field), ldns_rdf_size(field));
	else
		fault = "cannot be read";
	ldns_rdf_deep_free(field);
	free(text);
	return fault;
}

static const char *parse_apl(struct parse *parse)
{
	const char *fault = NULL;

	while (!fault && more(parse))
		fault = parse_by_ldns(parse, LDNS_RDF_TYPE_APL, 1);
	return fault;
}

/* A number, or one of the names that ldns knows for it. */
static const char *parse_mnemonic(struct parse *parse, ldns_rdf_type kind)
{
	if (more(parse) && parse->next->length && !is_digit(parse->next->text[0]))
		return parse_by_ldns(parse, kind, 1);
	return parse_number(parse, kind == LDNS_RDF_TYPE_CERT_ALG ? 2 : 1);
}

/* --- SVCB parameters (RFC 9460 2.1, 7) -------------------------------------------------------------- */

enum { KEY_MANDATORY, KEY_ALPN, KEY_NO_DEFAULT_ALPN, KEY_PORT, KEY_IPV4HINT, KEY_ECH, KEY_IPV6HINT, KEY_DOHPATH, KEY_OHTTP, KEYS };

struct svcparam {
	const struct rr_token *token;
	const char *value;           /* without its quotes; NULL: none */
	size_t length;
	uint16_t key;
	bool by_number;              /* keyNNN: its value is plain octets */
};

static bool svc_key(const char *text, size_t length, uint16_t *key)
{
	static const char *const names[KEYS] = {
		"mandatory", "alpn", "no-default-alpn", "port", "ipv4hint", "ech", "ipv6hint", "dohpath", "ohttp",
	};

	for (uint16_t i = 0; i < KEYS; i++)
		if (strlen(names[i]) == length && !strncasecmp(names[i], text, length)) {
			*key = i;
			return true;
		}
	return false;
}

static const char *svc_split(const struct rr_token *token, struct svcparam *param)
{
	const char *sign = memchr(token->text, '=', token->length);
	size_t n = sign ? (size_t)(sign - token->text) : token->length;

	*param = (struct svcparam){.token = token};
	if (!svc_key(token->text, n, &param->key)) {
		param->by_number = rrparse_numbered("key", token->text, n, &param->key);
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
static const char *svc_list(const struct svcparam *param, struct wbuf *out,
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

static const char *svc_put_key(struct wbuf *out, const char *text, size_t length)
{
	uint16_t key;

	if (!svc_key(text, length, &key) && !rrparse_numbered("key", text, length, &key))
		return "names a parameter that there is not";
	wbuf_u16(out, key);
	return NULL;
}

static const char *svc_put_ipv4(struct wbuf *out, const char *text, size_t length)
{
	uint8_t address[4];

	if (!ipv4_of(text, length, address))
		return "has what is no IPv4 address";
	wbuf_bytes(out, address, sizeof address);
	return NULL;
}

static const char *svc_put_ipv6(struct wbuf *out, const char *text, size_t length)
{
	uint8_t address[16];

	if (!ipv6_of(text, length, address))
		return "has what is no IPv6 address";
	wbuf_bytes(out, address, sizeof address);
	return NULL;
}

static int compare_keys(const void *a, const void *b) { return memcmp(a, b, 2); }

static const char *svc_put_mandatory(const struct svcparam *param, struct wbuf *out)
{
	uint8_t *start = out->at;
	const char *fault = svc_list(param, out, svc_put_key);

	if (!fault)
		qsort(start, (size_t)(out->at - start) / 2, 2, compare_keys);
	return fault;
}

/* Appendix A.1: the escapes of a string first, then those of a list, in which a backslash keeps a comma or a backslash. */
static const char *svc_put_alpn(const struct svcparam *param, struct wbuf *out)
{
	const char *at = param->value, *end = at + param->length;
	uint8_t *length = wbuf_room(out, 1);

	while (at < end && !out->bad) {
		int octet = unescape(&at, end);

		if (octet == ',') {
			*length = (uint8_t)(out->at - length - 1);
			length = wbuf_room(out, 1);
			continue;
		}
		if (octet == '\\')
			octet = at < end ? unescape(&at, end) : -1;
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

static const char *svc_put_port(const struct svcparam *param, struct wbuf *out)
{
	uint32_t port;

	if (!rrparse_number(param->value, param->length, 65535, &port))
		return "is no port";
	wbuf_u16(out, (uint16_t)port);
	return NULL;
}

static const char *svc_put_ech(const struct svcparam *param, struct wbuf *out)
{
	struct base64 state = {0};
	const char *fault = put_base64(&state, param->value, param->length, out);

	return fault || state.digits == 0 ? fault : "ends within four digits of base64";
}

static const char *svc_put_value(const struct svcparam *param, struct wbuf *out)
{
	bool bare = param->key == KEY_NO_DEFAULT_ALPN || param->key == KEY_OHTTP || param->by_number;

	if (!param->value)
		return bare ? NULL : "has no value";
	if (param->by_number)
		return put_unescaped(out, param->value, param->length);
	switch (param->key) {
	case KEY_MANDATORY:
		return svc_put_mandatory(param, out);
	case KEY_ALPN:
		return svc_put_alpn(param, out);
	case KEY_PORT:
		return svc_put_port(param, out);
	case KEY_IPV4HINT:
		return svc_list(param, out, svc_put_ipv4);
	case KEY_ECH:
		return svc_put_ech(param, out);
	case KEY_IPV6HINT:
		return svc_list(param, out, svc_put_ipv6);
	default:
		return put_unescaped(out, param->value, param->length);
	}
}

static const char *svc_put(const struct svcparam *param, struct wbuf *out)
{
	const char *fault;
	uint8_t *length;

	wbuf_u16(out, param->key);
	length = wbuf_room(out, 2);
	fault = svc_put_value(param, out);
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

static const char *svc_put_all(struct parse *parse, struct svcparam *params, size_t count)
{
	const char *fault = NULL;

	for (size_t i = 0; i < count && !fault; i++)
		fault = svc_split(take(parse), &params[i]);
	if (fault)
		return fault;
	qsort(params, count, sizeof *params, compare_params);
	for (size_t i = 0; i < count && !fault; i++) {
		parse->current = params[i].token;
		if (i && params[i].key == params[i - 1].key)
			return "is there twice";
		fault = svc_put(&params[i], parse->out);
	}
	return fault;
}

static const char *parse_svcparams(struct parse *parse)
{
	size_t count = (size_t)(parse->end - parse->next);
	struct svcparam *params;
	const char *fault;

	if (count == 0)
		return NULL;
	params = calloc(count, sizeof *params);
	if (!params)
		return no_memory;
	fault = svc_put_all(parse, params, count);
	free(params);
	return fault;
}

/* --------------------------------------------------------------------------------------------------- */

static const char *parse_field(struct parse *parse, enum rrshape_kind kind)
{
	switch (rrshape_resolve(kind, parse->rdata)) {
	case FIELD_END:
		return NULL;
	case FIELD_NOTHING:
		return kind == FIELD_A6_NAME ? NULL : parse_nothing(parse);
	case FIELD_NAME:
		return parse_name(parse);
	case FIELD_NAMES:
		return parse_names(parse);
	case FIELD_U8:
		return parse_number(parse, 1);
	case FIELD_U16:
		return parse_number(parse, 2);
	case FIELD_U32:
		return parse_number(parse, 4);
	case FIELD_ALG:
		return parse_mnemonic(parse, LDNS_RDF_TYPE_ALG);
	case FIELD_CERT:
		return parse_mnemonic(parse, LDNS_RDF_TYPE_CERT_ALG);
	case FIELD_USAGE:
		return parse_mnemonic(parse, LDNS_RDF_TYPE_CERTIFICATE_USAGE);
	case FIELD_SELECTOR:
		return parse_mnemonic(parse, LDNS_RDF_TYPE_SELECTOR);
	case FIELD_MATCHING:
		return parse_mnemonic(parse, LDNS_RDF_TYPE_MATCHING_TYPE);
	case FIELD_TYPE: case FIELD_COVERED:
		return parse_type(parse);
	case FIELD_PERIOD:
		return parse_period(parse);
	case FIELD_TIME:
		return parse_time(parse);
	case FIELD_A:
		return parse_ipv4(parse);
	case FIELD_AAAA:
		return parse_ipv6(parse);
	case FIELD_MAYBE_STRING:
		return more(parse) ? parse_string(parse) : NULL;
	case FIELD_STRING: case FIELD_DIGITS: case FIELD_TAG:
		return parse_string(parse);
	case FIELD_STRINGS:
		return parse_strings(parse);
	case FIELD_LONG_STRING: case FIELD_URI:
		return parse_long_string(parse);
	case FIELD_BASE64:
		return parse_some_base64(parse);
	case FIELD_MAYBE_BASE64: case FIELD_KEY:
		return parse_base64(parse);
	case FIELD_HEX: case FIELD_DIGEST:
		return parse_some_hex(parse);
	case FIELD_TYPES: case FIELD_SOME_TYPES: case FIELD_SYNC_TYPES:
		return parse_types(parse);
	case FIELD_NXT_TYPES:
		return parse_nxt_types(parse);
	case FIELD_SALT:
		return parse_salt(parse);
	case FIELD_HASH:
		return parse_hash(parse);
	case FIELD_ILNP64:
		return parse_groups(parse, 4, 4, ':', false);
	case FIELD_EUI48:
		return parse_groups(parse, 6, 2, '-', true);
	case FIELD_EUI64:
		return parse_groups(parse, 8, 2, '-', true);
	case FIELD_LOC:
		return parse_by_ldns(parse, LDNS_RDF_TYPE_LOC, (size_t)(parse->end - parse->next));
	case FIELD_APL:
		return parse_apl(parse);
	case FIELD_WKS:
		return parse_wks(parse);
	case FIELD_NSAP:
		return parse_nsap(parse);
	case FIELD_ATMA:
		return parse_atma(parse);
	case FIELD_HIP:
		return parse_by_ldns(parse, LDNS_RDF_TYPE_HIP, 3);
	case FIELD_RELAY_TYPE:
		return parse_relay_type(parse);
	case FIELD_A6_SUFFIX:
		return parse_a6_suffix(parse);
	case FIELD_SVCPARAMS:
		return parse_svcparams(parse);
	case FIELD_GATEWAY: case FIELD_RELAY: case FIELD_A6_NAME:
		return "is of an unknown type";
	case FIELD_OPAQUE:
		return "has no text but \\# LENGTH HEX";
	}
	return NULL;
}

static void show(const struct rr_token *token, char out[64])
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

	if (fault == no_memory)
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

enum err rrparse_fields(uint16_t type, const struct rrshape *shape, const struct rr_token *tokens, size_t count,
	const uint8_t *origin, struct wbuf *out, struct why *why)
{
	struct parse parse = {.next = tokens, .end = tokens + count, .origin = origin, .rdata = out->at, .out = out};
	enum err err;

	for (unsigned i = 0; shape->field[i] != FIELD_END; i++) {
		const char *fault, *label;
		int length;

		parse.current = NULL;
		fault = parse_field(&parse, (enum rrshape_kind)shape->field[i]);
		if (out->bad)
			break;
		if (fault) {
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

enum err rrparse_generic(const struct rr_token *tokens, size_t count, struct wbuf *out, struct why *why)
{
	struct parse parse = {.next = tokens, .end = tokens + count, .rdata = out->at, .out = out};
	const struct rr_token *token = take(&parse);
	const char *fault = missing;
	uint32_t length = 0;
	enum err err;

	if (token)
		fault = rrparse_number(token->text, token->length, UINT16_MAX, &length) ? NULL : no_number;
	if (fault)
		return parse_failed(&parse, "\\#", "length", 6, fault, why);
	fault = parse_hex(&parse);
	if (fault)
		return parse_failed(&parse, "\\#", "data", 4, fault, why);
	err = finish(&parse, "\\#", why);
	if (!err && out->at - parse.rdata != length)
		err = err_why(why, ERR_SYNTAX, "\\#: %u octets instead of %u", (unsigned)(out->at - parse.rdata), length);
	return err;
}
