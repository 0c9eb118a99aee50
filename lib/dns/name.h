/* dns/name: domain names in wire form (RFC 1035 3.1): uncompressed, with the root's
 * zero octet at the end, any octet allowed in a label, at most 255 octets. A valid name
 * carries its own length, so it is passed as a bare pointer. Case is kept; all
 * comparing ignores it (RFC 4343). Pure.
 */
#ifndef DNS_NAME_H
#define DNS_NAME_H

#include "base/buf.h"
#include "base/err.h"

enum {
	NAME_SIZE = 255,             /* longest wire form */
	NAME_TEXT_SIZE = 1024,       /* longest text, every octet as \DDD, and the NUL */
	NAME_LABELS = 127,           /* most labels, the root's not counted */
};

/* Octets, the root's included: 1 for the root. */
size_t name_length(const uint8_t *name);
/* Labels, the root's not counted: 0 for the root. */
unsigned name_labels(const uint8_t *name);
/* The name without its first label. Not for the root. */
static inline const uint8_t *name_parent(const uint8_t *name) { return name + 1 + *name; }
/* The last `labels` labels of the name, a pointer into it. */
const uint8_t *name_suffix(const uint8_t *name, unsigned labels);

/* Reads a possibly compressed name at the cursor of a whole message (`base` is the header's first octet), expands it into `out`,
 * and leaves the cursor behind it. Pointers must go strictly backwards (so there are no loops), and be no more than a name can have
 * labels (thousands of them in a row cost time). Length, or 0 with msg->bad set. */
size_t name_read(struct rbuf *msg, uint8_t out[NAME_SIZE]);
/* The same without expanding; what a pointer leads to is not looked at. False with msg->bad set. */
bool name_skip(struct rbuf *msg);
/* An uncompressed name inside `b` (such as RDATA): its length, cursor behind it; 0 and bad. */
size_t name_take(struct rbuf *b);

/* RFC 1035 5.1 text to wire. A name without final dot is relative to `origin` (NULL: the root,
 * "taken as absolute"); "@" is the origin where there is one. On ERR_SYNTAX `out` is undefined. */
enum err name_parse(const char *text, size_t length, const uint8_t *origin, uint8_t out[NAME_SIZE], struct why *);
/* Absolute, with its final dot, as every zone file reader takes it: letters, digits and - _ * / stand for themselves (Knot
 * takes no others), . " ; ( ) @ $ have a backslash before them, all other octets are \DDD (NSD misreads two backslashes
 * before a dot). Returns out. */
char *name_text(const uint8_t *name, char out[NAME_TEXT_SIZE]);
/* The same into a buffer of at least NAME_TEXT_SIZE; returns the length, writes no NUL. */
size_t name_put_text(const uint8_t *name, char *out);

bool name_equal(const uint8_t *a, const uint8_t *b);
/* `n` octets of both are the same but for case. */
bool name_octets_equal(const uint8_t *a, const uint8_t *b, size_t n);
/* Octets as words, for comparing and hashing many at once; equal words mean equal octets where `n` is the same. */
static inline uint64_t name_load8(const uint8_t *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof word);
	return word;
}
/* `n` octets, 7 at most. */
static inline uint64_t name_load_few(const uint8_t *p, size_t n)
{
	uint32_t head, tail;
	uint16_t first, last;

	if (n >= 4) {
		memcpy(&head, p, sizeof head);
		memcpy(&tail, p + n - 4, sizeof tail);
		return (uint64_t)tail << 32 | head;
	}
	if (n < 2)
		return n ? *p : 0;
	memcpy(&first, p, sizeof first);
	memcpy(&last, p + n - 2, sizeof last);
	return (uint32_t)last << 16 | first;
}
/* For tables whose names nobody chooses to be in the way: equal names have equal ones. */
uint32_t name_hash(const uint8_t *);
/* RFC 4034 6.1 canonical order: <0, 0, >0. */
int name_compare(const uint8_t *a, const uint8_t *b);
/* `name` is `apex` or below it. */
bool name_is_under(const uint8_t *name, const uint8_t *apex);
/* The same of names whose octets, the root label's counted, are known. */
bool name_ends_in(const uint8_t *name, size_t length, const uint8_t *suffix, size_t tail);
/* Copies, in lower case; returns the length. `out` may be `name`. */
size_t name_lower(const uint8_t *name, uint8_t *out);
size_t name_copy(const uint8_t *name, uint8_t *out);
static inline uint8_t name_octet_lower(uint8_t c) { return (uint8_t)(c | ((unsigned)c - 'A' < 26) << 5); }
/* prefix (labels without the root's zero octet, `n` octets) + suffix into out; 0 if longer than 255. */
size_t name_join(const uint8_t *prefix, size_t n, const uint8_t *suffix, uint8_t out[NAME_SIZE]);

#endif
