/* dns/serial: RFC 1982 serial numbers as a struct, so that `<` does not compile. */
#ifndef DNS_SERIAL_H
#define DNS_SERIAL_H

#include <stdbool.h>
#include <stdint.h>

struct serial {
	uint32_t v;
};

/* UNDEFINED: they differ by exactly 2^31 (RFC 1982, 3.2). */
enum serial_order { SERIAL_OLDER, SERIAL_EQUAL, SERIAL_NEWER, SERIAL_UNDEFINED };

/* How `a` stands to `b`: SERIAL_NEWER if a is newer than b. */
static inline enum serial_order serial_compare(struct serial a, struct serial b)
{
	uint32_t ahead = a.v - b.v;

	if (ahead == 0)
		return SERIAL_EQUAL;
	if (ahead == UINT32_C(1) << 31)
		return SERIAL_UNDEFINED;
	return ahead < UINT32_C(1) << 31 ? SERIAL_NEWER : SERIAL_OLDER;
}

static inline bool serial_newer(struct serial a, struct serial b) { return serial_compare(a, b) == SERIAL_NEWER; }
static inline bool serial_equal(struct serial a, struct serial b) { return a.v == b.v; }

#endif
