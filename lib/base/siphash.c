#include "base/siphash.h"

#include <endian.h>
#include <string.h>

static inline uint64_t rotate(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

/* Up to 8 octets, the least significant first. */
static inline uint64_t word_of(const uint8_t *p, size_t n)
{
	uint64_t word = 0;

	memcpy(&word, p, n);
	return le64toh(word);
}

struct state { uint64_t a, b, c, d; };

static inline void rounds(struct state *s, unsigned n)
{
	while (n--) {
		s->a += s->b;
		s->c += s->d;
		s->b = rotate(s->b, 13) ^ s->a;
		s->d = rotate(s->d, 16) ^ s->c;
		s->a = rotate(s->a, 32) + s->d;
		s->c += s->b;
		s->d = rotate(s->d, 21) ^ s->a;
		s->b = rotate(s->b, 17) ^ s->c;
		s->c = rotate(s->c, 32);
	}
}

static inline void take_in(struct state *s, uint64_t word)
{
	s->d ^= word;
	rounds(s, 2);
	s->a ^= word;
}

uint64_t siphash(const uint8_t key[SIPHASH_KEY], const void *bytes, size_t n)
{
	const uint8_t *p = bytes;
	uint64_t low = word_of(key, 8), high = word_of(key + 8, 8);
	struct state s = {
		low ^ UINT64_C(0x736f6d6570736575), high ^ UINT64_C(0x646f72616e646f6d),
		low ^ UINT64_C(0x6c7967656e657261), high ^ UINT64_C(0x7465646279746573),
	};
	size_t left = n;

	for (; left >= 8; left -= 8, p += 8)
		take_in(&s, word_of(p, 8));
	take_in(&s, (left ? word_of(p, left) : 0) | (uint64_t)n << 56);
	s.c ^= 0xff;
	rounds(&s, 4);
	return s.a ^ s.b ^ s.c ^ s.d;
}
