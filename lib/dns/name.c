#include "dns/name.h"

enum { POINTER = 0xc0, FIRST_NAME = 12 /* nothing in the header is a name */ };

/* --- eight octets at a time ----------------------------------------------------- */
/* A length octet is at most 63, below 'A', so a name can be folded without regard to its labels. */

#define OCTETS(x) ((uint64_t)0x0101010101010101 * (x))


static inline uint64_t lower8(uint64_t word)
{
	uint64_t low = word & OCTETS(0x7f);
	uint64_t from_a = low + OCTETS(0x80 - 'A');
	uint64_t past_z = low + OCTETS(0x7f - 'Z');
	uint64_t upper = (from_a ^ past_z) & ~word & OCTETS(0x80);

	return word | upper >> 2;
}

static inline bool same(uint64_t x, uint64_t y)
{
	return x == y || lower8(x) == lower8(y);
}

static inline bool same8(const uint8_t *a, const uint8_t *b)
{
	return same(name_load8(a), name_load8(b));
}

bool name_octets_equal(const uint8_t *a, const uint8_t *b, size_t n)
{
	size_t i;

	if (n < 8)
		return same(name_load_few(a, n), name_load_few(b, n));
	for (i = 0; i + 8 <= n; i += 8)
		if (!same8(a + i, b + i))
			return false;
	return same8(a + n - 8, b + n - 8);
}

/* --- measures -------------------------------------------------------------------- */

size_t name_length(const uint8_t *name)
{
	const uint8_t *p = name;

	while (*p)
		p += 1 + *p;
	return (size_t)(p - name) + 1;
}

unsigned name_labels(const uint8_t *name)
{
	unsigned labels = 0;

	for (; *name; name = name_parent(name))
		labels++;
	return labels;
}

const uint8_t *name_suffix(const uint8_t *name, unsigned labels)
{
	for (unsigned drop = name_labels(name); drop > labels; drop--)
		name = name_parent(name);
	return name;
}

/* --- reading --------------------------------------------------------------------- */

/* A label with its length octet. Short ones, which nearly all are, go as one block of 16 where there is room for it. */
static inline void copy_label(uint8_t *to, const uint8_t *from, size_t n, bool room)
{
	if (n <= 16 && room)
		memcpy(to, from, 16);
	else
		memcpy(to, from, n);
}

size_t name_read(struct rbuf *msg, uint8_t out[NAME_SIZE])
{
	const uint8_t *p = msg->at, *floor = p, *behind = NULL;
	size_t used = 0;
	unsigned jumps = 0;

	if (msg->bad)
		return 0;
	while (p < msg->end) {
		size_t n = *p;

		if (n == 0) {
			out[used] = 0;
			msg->at = behind ? behind : p + 1;
			return used + 1;
		}
		if (n < 64) {
			if ((size_t)(msg->end - p) <= n || used + 1 + n >= NAME_SIZE)
				break;
			copy_label(out + used, p, 1 + n, msg->end - p >= 16 && used + 16 <= NAME_SIZE);
			used += 1 + n;
			p += 1 + n;
			continue;
		}
		if (n < POINTER || msg->end - p < 2)
			break;
		if (!behind)
			behind = p + 2;
		p = msg->base + (get_u16(p) & 0x3fff);
		/* Before the piece that holds the pointer, not only before the pointer: each jump leaves less. */
		if (p >= floor || p < msg->base + FIRST_NAME || ++jumps > NAME_LABELS)
			break;
		floor = p;
	}
	msg->bad = true;
	return 0;
}

bool name_skip(struct rbuf *msg)
{
	const uint8_t *start = msg->at, *p = start;

	while (!msg->bad && p < msg->end && p - start < NAME_SIZE) {
		if (*p == 0) {
			msg->at = p + 1;
			return true;
		}
		if (*p >= 64) {
			size_t target;

			if (*p < POINTER || msg->end - p < 2)
				break;
			target = get_u16(p) & 0x3fff;
			if (target < FIRST_NAME || target >= (size_t)(start - msg->base))
				break;
			msg->at = p + 2;
			return true;
		}
		if (msg->end - p <= *p)
			break;
		p += 1 + *p;
	}
	msg->bad = true;
	return false;
}

size_t name_take(struct rbuf *b)
{
	const uint8_t *p = b->at;
	size_t left = rbuf_left(b), used = 0;

	if (left > NAME_SIZE)
		left = NAME_SIZE;
	while (!b->bad && used < left && p[used] < 64) {
		if (p[used] == 0) {
			b->at += used + 1;
			return used + 1;
		}
		used += 1 + (size_t)p[used];
	}
	b->bad = true;
	return 0;
}

/* --- text ------------------------------------------------------------------------ */

enum { ESCAPE_BAD = -1 };

/* What stands behind a backslash; its octets are added to `*i`. */
static int parse_escape(const char *text, size_t length, size_t *i)
{
	const unsigned char *p = (const unsigned char *)text + *i;
	size_t left = length - *i;
	int value;

	if (left == 0)
		return ESCAPE_BAD;
	if (!(p[0] >= '0' && p[0] <= '9')) {
		*i += 1;
		return p[0];
	}
	if (left < 3 || !(p[1] >= '0' && p[1] <= '9') || !(p[2] >= '0' && p[2] <= '9'))
		return ESCAPE_BAD;
	value = (p[0] - '0') * 100 + (p[1] - '0') * 10 + (p[2] - '0');
	*i += 3;
	return value <= 255 ? value : ESCAPE_BAD;
}

static enum err parse_failed(struct why *why, const char *text, size_t length, const char *what)
{
	char shown[81];
	size_t n = length < sizeof shown - 1 ? length : sizeof shown - 1;

	for (size_t i = 0; i < n; i++)
		shown[i] = text[i] > 0x20 && text[i] < 0x7f ? text[i] : '?';
	shown[n] = 0;
	return err_why(why, ERR_SYNTAX, "name \"%s%s\": %s", shown, n < length ? "..." : "", what);
}

enum err name_parse(const char *text, size_t length, const uint8_t *origin, uint8_t out[NAME_SIZE], struct why *why)
{
	static const uint8_t root[1];
	size_t label = 0, at = 1, i = 0;   /* the label's length octet, the next octet */

	if (length == 0)
		return err_why(why, ERR_SYNTAX, "a name is empty");
	if (length == 1 && text[0] == '.')
		return name_copy(root, out), ERR_OK;
	if (length == 1 && text[0] == '@' && origin)
		return name_copy(origin, out), ERR_OK;
	while (i < length) {
		int c = (unsigned char)text[i++];

		if (c == '.') {
			if (at == label + 1)
				return parse_failed(why, text, length, "an empty label");
			out[label] = (uint8_t)(at - label - 1);
			label = at++;
			continue;
		}
		if (c == '\\' && (c = parse_escape(text, length, &i)) == ESCAPE_BAD)
			return parse_failed(why, text, length, "a wrong escape");
		if (at - label > 63)
			return parse_failed(why, text, length, "a label over 63 octets");
		if (at >= NAME_SIZE - 1)
			return parse_failed(why, text, length, "over 255 octets");
		out[at++] = (uint8_t)c;
	}
	if (at == label + 1) {             /* it ended with a dot */
		out[label] = 0;
		return ERR_OK;
	}
	out[label] = (uint8_t)(at - label - 1);
	if (!origin)
		origin = root;
	if (at + name_length(origin) > NAME_SIZE)
		return parse_failed(why, text, length, "over 255 octets with its origin");
	name_copy(origin, out + at);
	return ERR_OK;
}

enum escape { DECIMAL, BACKSLASH, PLAIN };

static inline enum escape escape_of(uint8_t octet)
{
	static const uint8_t kind[256] = {
		['0' ... '9'] = PLAIN, ['A' ... 'Z'] = PLAIN, ['a' ... 'z'] = PLAIN,
		['-'] = PLAIN, ['_'] = PLAIN, ['*'] = PLAIN, ['/'] = PLAIN,
		['.'] = BACKSLASH, ['"'] = BACKSLASH, [';'] = BACKSLASH, ['('] = BACKSLASH, [')'] = BACKSLASH,
		['@'] = BACKSLASH, ['$'] = BACKSLASH,
	};

	return (enum escape)kind[octet];
}

static char *put_octet(char *out, uint8_t octet)
{
	switch (escape_of(octet)) {
	case PLAIN:
		break;
	case BACKSLASH:
		*out++ = '\\';
		break;
	case DECIMAL:
		*out++ = '\\';
		*out++ = (char)('0' + octet / 100);
		*out++ = (char)('0' + octet / 10 % 10);
		*out++ = (char)('0' + octet % 10);
		return out;
	}
	*out++ = (char)octet;
	return out;
}

size_t name_put_text(const uint8_t *name, char *out)
{
	char *at = out;

	if (!*name)
		*at++ = '.';
	while (*name) {
		const uint8_t *end = name_parent(name);

		while (++name < end)
			at = put_octet(at, *name);
		*at++ = '.';
	}
	return (size_t)(at - out);
}

char *name_text(const uint8_t *name, char out[NAME_TEXT_SIZE])
{
	out[name_put_text(name, out)] = 0;
	return out;
}

/* --- comparing ------------------------------------------------------------------- */

bool name_equal(const uint8_t *a, const uint8_t *b)
{
	size_t n = 0;

	/* As long as all labels before have one length, the same place holds a length in both. */
	while (a[n] == b[n]) {
		if (a[n] == 0)
			return name_octets_equal(a, b, n);
		n += 1 + (size_t)a[n];
	}
	return false;
}

/* FNV-1a */
uint32_t name_hash(const uint8_t *name)
{
	uint32_t h = 2166136261u;
	size_t n = name_length(name);

	for (size_t i = 0; i < n; i++)
		h = (h ^ name_octet_lower(name[i])) * 16777619u;
	return h ^ h >> 15;
}

static int compare_labels(const uint8_t *a, const uint8_t *b)
{
	size_t n = *a < *b ? *a : *b, i = 1;

	for (; i + 8 <= n + 1; i += 8)
		if (!same8(a + i, b + i))
			break;
	for (; i <= n; i++) {
		int difference = name_octet_lower(a[i]) - name_octet_lower(b[i]);

		if (difference)
			return difference;
	}
	return *a - *b;
}

/* Where each label begins; returns how many there are. */
static unsigned find_labels(const uint8_t *name, uint8_t at[NAME_LABELS])
{
	unsigned labels = 0;

	for (size_t i = 0; name[i]; i += 1 + (size_t)name[i])
		at[labels++] = (uint8_t)i;
	return labels;
}

int name_compare(const uint8_t *a, const uint8_t *b)
{
	uint8_t a_at[NAME_LABELS], b_at[NAME_LABELS];
	unsigned i = find_labels(a, a_at), j = find_labels(b, b_at);

	while (i > 0 && j > 0) {
		int order = compare_labels(a + a_at[--i], b + b_at[--j]);

		if (order)
			return order;
	}
	return (int)i - (int)j;
}

bool name_ends_in(const uint8_t *name, size_t length, const uint8_t *suffix, size_t tail)
{
	const uint8_t *at;

	if (tail > length)
		return false;
	at = name + (length - tail);
	if (!name_octets_equal(at, suffix, tail))
		return false;
	while (name < at)
		name = name_parent(name);
	return name == at;
}

bool name_is_under(const uint8_t *name, const uint8_t *apex)
{
	return name_ends_in(name, name_length(name), apex, name_length(apex));
}

/* --- copying --------------------------------------------------------------------- */

size_t name_lower(const uint8_t *name, uint8_t *out)
{
	size_t n = name_length(name), i = 0;

	for (; i + 8 <= n; i += 8) {
		uint64_t word = lower8(name_load8(name + i));

		memcpy(out + i, &word, sizeof word);
	}
	for (; i < n; i++)
		out[i] = name_octet_lower(name[i]);
	return n;
}

size_t name_copy(const uint8_t *name, uint8_t *out)
{
	size_t n = name_length(name);

	memcpy(out, name, n);
	return n;
}

size_t name_join(const uint8_t *prefix, size_t n, const uint8_t *suffix, uint8_t out[NAME_SIZE])
{
	size_t tail = name_length(suffix);

	if (n + tail > NAME_SIZE)
		return 0;
	if (n)
		memcpy(out, prefix, n);
	memcpy(out + n, suffix, tail);
	return n + tail;
}
