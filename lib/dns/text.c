#include "dns/text.h"

#include <arpa/inet.h>
#include <strings.h>

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* --- reading: numbers and times ---------------------------------------------------------- */

bool text_number(const char *text, size_t length, uint32_t most, uint32_t *number)
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

bool text_numbered(const char *prefix, const char *text, size_t length, uint16_t *number)
{
	size_t skip = strlen(prefix);
	uint32_t value;

	if (length <= skip || strncasecmp(text, prefix, skip) || !text_number(text + skip, length - skip, UINT16_MAX, &value))
		return false;
	*number = (uint16_t)value;
	return true;
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

bool text_period(const char *text, size_t length, uint32_t *seconds)
{
	uint64_t sum = 0;
	size_t i = 0;

	if (text_number(text, length, UINT32_MAX, seconds))
		return true;
	while (i < length) {
		size_t start = i;
		uint32_t count, unit;

		while (i < length && is_digit(text[i]))
			i++;
		if (i == length || !text_number(text + start, i - start, UINT32_MAX, &count))
			return false;
		unit = unit_of(text[i++]);
		sum += (uint64_t)count * unit;
		if (unit == 0 || sum > UINT32_MAX)
			return false;
	}
	*seconds = (uint32_t)sum;
	return length > 0;
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

bool text_time(const char *text, size_t length, uint32_t *seconds)
{
	uint32_t year, month, day, hour, minute, second;
	int64_t value;

	if (length != 14)
		return text_number(text, length, UINT32_MAX, seconds);
	if (!text_number(text, 4, 9999, &year) || !text_number(text + 4, 2, 12, &month) || !text_number(text + 6, 2, 31, &day) ||
	    !text_number(text + 8, 2, 23, &hour) || !text_number(text + 10, 2, 59, &minute) ||
	    !text_number(text + 12, 2, 60, &second))
		return false;
	if (year < 1970 || month < 1 || day < 1 || day > days_in(year, month))
		return false;
	value = days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
	*seconds = (uint32_t)value;
	return value <= UINT32_MAX;
}

/* --- reading: addresses ---------------------------------------------------------------- */

bool text_ipv4(const char *text, size_t length, uint8_t out[4])
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

bool text_ipv6(const char *text, size_t length, uint8_t out[16])
{
	char copy[INET6_ADDRSTRLEN];

	if (length >= sizeof copy)
		return false;
	memcpy(copy, text, length);
	copy[length] = 0;
	return strlen(copy) == length && inet_pton(AF_INET6, copy, out) == 1;
}

/* --- reading: octets --------------------------------------------------------------------- */

int text_octet(const char **at, const char *end)
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

bool text_octets(const char *text, size_t length, struct wbuf *out)
{
	const char *end = text + length;

	while (text < end) {
		int octet = text_octet(&text, end);

		if (octet < 0)
			return false;
		wbuf_u8(out, (uint8_t)octet);
	}
	return true;
}

int text_hex_digit(char c)
{
	if (is_digit(c))
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool text_hex(struct text_hex *state, const char *text, size_t length, struct wbuf *out)
{
	for (size_t i = 0; i < length; i++) {
		int digit = text_hex_digit(text[i]);

		if (digit < 0)
			return false;
		if (state->half)
			wbuf_u8(out, (uint8_t)(state->high << 4 | digit));
		state->high = (uint8_t)digit;
		state->half = !state->half;
	}
	return true;
}

static int base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (is_digit(c))
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* The four digits are there; bits that no octet has must be zero. */
static bool base64_flush(struct text_base64 *state, struct wbuf *out)
{
	static const uint32_t unused[] = {0, 0xff, 0xffff};

	if (state->bits & unused[state->pads])
		return false;
	wbuf_u8(out, (uint8_t)(state->bits >> 16));
	if (state->pads < 2)
		wbuf_u8(out, (uint8_t)(state->bits >> 8));
	if (state->pads < 1)
		wbuf_u8(out, (uint8_t)state->bits);
	state->bits = 0;
	state->digits = 0;
	return true;
}

bool text_base64(struct text_base64 *state, const char *text, size_t length, struct wbuf *out)
{
	for (size_t i = 0; i < length; i++) {
		bool pad = text[i] == '=';
		int digit = pad ? 0 : base64_digit(text[i]);

		if (digit < 0 || (pad && state->digits < 2) || (state->pads && (!pad || state->digits == 0)))
			return false;
		state->pads += pad;
		state->bits = state->bits << 6 | (uint32_t)digit;
		if (++state->digits == 4 && !base64_flush(state, out))
			return false;
	}
	return true;
}

bool text_base32hex(const char *text, size_t length, struct wbuf *out)
{
	uint32_t bits = 0;
	unsigned have = 0;

	for (size_t i = 0; i < length; i++) {
		char c = (char)(text[i] | 0x20);
		int digit = is_digit(text[i]) ? text[i] - '0' : c >= 'a' && c <= 'v' ? c - 'a' + 10 : -1;

		if (digit < 0)
			return false;
		bits = bits << 5 | (unsigned)digit;
		have += 5;
		if (have >= 8) {
			have -= 8;
			wbuf_u8(out, (uint8_t)(bits >> have));
		}
	}
	return have < 5 && (bits & ((1u << have) - 1)) == 0;
}

/* --- writing ------------------------------------------------------------------------------ */

static const char two_digits[200] =
	"0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849"
	"5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";
static const char hex_digits[] = "0123456789abcdef";

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

char *text_put_number(char *out, uint32_t number)
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

char *text_put_time(char *out, uint32_t seconds)
{
	uint32_t of_day = seconds % 86400;

	out = put_date(out, seconds / 86400);
	out = put_two(out, of_day / 3600);
	out = put_two(out, of_day / 60 % 60);
	return put_two(out, of_day % 60);
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

char *text_put_ipv4(char *out, const uint8_t *address)
{
	for (unsigned i = 0; i < 4; i++) {
		out = put_octet(out, address[i]);
		*out++ = '.';
	}
	return out - 1;
}

/* The longest run of zero groups, of two or more, the first of several: its length, and where it is. */
static unsigned zero_run(const uint8_t *address, unsigned *where)
{
	unsigned best = 1, run = 0;

	for (unsigned i = 0; i < 8; i++) {
		run = get_u16(address + 2 * i) ? 0 : run + 1;
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
		*out++ = hex_digits[group >> shift & 15];
	return out;
}

char *text_put_ipv6(char *out, const uint8_t *address)
{
	unsigned where = 8, zeros = zero_run(address, &where);

	if (zeros && where == 0)
		*out++ = ':';
	for (unsigned i = 0; i < 8; i++) {
		if (zeros && i == where) {
			*out++ = ':';
			i += zeros - 1;
			continue;
		}
		out = put_group(out, get_u16(address + 2 * i));
		if (i < 7)
			*out++ = ':';
	}
	return out;
}

char *text_put_hex(char *out, const uint8_t *octets, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		*out++ = hex_digits[octets[i] >> 4];
		*out++ = hex_digits[octets[i] & 15];
	}
	return out;
}

char *text_put_base64(char *out, const uint8_t *p, size_t n)
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

char *text_put_base32hex(char *out, const uint8_t *p, size_t n)
{
	for (; n >= 5; n -= 5, p += 5) {
		uint64_t bits = (uint64_t)p[0] << 32 | get_u32(p + 1);

		for (int shift = 35; shift >= 0; shift -= 5)
			*out++ = "0123456789abcdefghijklmnopqrstuv"[bits >> shift & 31];
	}
	return out;
}

char *text_put_quoted(char *out, const uint8_t *octets, size_t n)
{
	*out++ = '"';
	for (size_t i = 0; i < n; i++) {
		uint8_t c = octets[i];

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
	return out;
}
