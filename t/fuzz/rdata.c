/* A type (2 octets), how many octets of a message stand before the RDATA (1), and these and the RDATA. What is accepted, expanded
 * or as it is, comes back from its text, equals itself, and has its names where they are said to be; what is not can be printed
 * all the same. */
#include "dns/name.h"
#include "dns/rrtext.h"
#include "zone/entry.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEAD = 3, HEADER = 12 };

static void must(bool holds)
{
	if (!holds)
		abort();
}

static uint8_t *exact(const uint8_t *octets, size_t n)
{
	uint8_t *copy = malloc(n ? n : 1);

	must(copy);
	memcpy(copy, octets, n);
	return copy;
}

static void check_text(uint16_t type, const uint8_t *rdata, size_t n, bool good)
{
	char *text = malloc(RR_TEXT_SIZE(n));
	struct wbuf out = wbuf_of(malloc(n + 1), n + 1);
	struct entry entry;
	size_t length;

	must(text && out.base);
	length = rr_put_rdata_text(type, rdata, n, text);
	for (size_t i = 0; i < length; i++)
		must(text[i] >= 0x20 && text[i] <= 0x7e);
	entry_begin(&entry, text, length);
	must(entry_next(&entry, NULL) == ERR_OK && entry.at == entry.end);
	if (good) {
		must(rr_parse_rdata(type, entry.tokens, entry.count, NULL, &out, NULL) == ERR_OK);
		must(wbuf_used(&out) == n && memcmp(out.base, rdata, n) == 0);
	}
	entry_release(&entry);
	free(out.base);
	free(text);
}

static void check_names(uint16_t type, const uint8_t *rdata, size_t n)
{
	uint16_t offset[RR_NAMES];

	for (int compressible = 0; compressible < 2; compressible++) {
		unsigned names = rr_names(type, rdata, n, compressible, offset);

		for (unsigned i = 0; i < names; i++) {
			struct rbuf in = rbuf_of(rdata, n);

			in.at += offset[i];
			must(offset[i] < n && name_take(&in) && (i == 0 || offset[i] > offset[i - 1]));
		}
	}
}

static void check(uint16_t type, const uint8_t *octets, size_t n)
{
	uint8_t *rdata = exact(octets, n), *folded = exact(octets, n);
	bool good = rr_check_rdata(type, rdata, n, NULL) == ERR_OK;

	check_text(type, rdata, n, good);
	if (good) {
		check_names(type, rdata, n);
		for (size_t i = 0; i < n; i++)
			folded[i] = name_octet_lower(folded[i]);
		must(rr_compare_rdata(type, rdata, n, rdata, n) == 0);
		if (rr_check_rdata(type, folded, n, NULL) == ERR_OK)
			must((rr_compare_rdata(type, rdata, n, folded, n) > 0) ==
				(rr_compare_rdata(type, folded, n, rdata, n) < 0));
	}
	free(folded);
	free(rdata);
}

static void check_reading(uint16_t type, size_t before, const uint8_t *octets, size_t n)
{
	uint8_t *message = malloc(HEADER + n), *room = malloc(UINT16_MAX);
	struct rbuf msg;
	struct wbuf out = wbuf_of(room, UINT16_MAX);

	must(message && room);
	memset(message, 0, HEADER);
	memcpy(message + HEADER, octets, n);
	msg = rbuf_of(message, HEADER + n);
	msg.at += HEADER + before;
	if (rr_read_rdata(&msg, type, (uint16_t)(n - before), &out, NULL) == ERR_OK) {
		must(rbuf_left(&msg) == 0 && rr_check_rdata(type, room, wbuf_used(&out), NULL) == ERR_OK);
		check(type, room, wbuf_used(&out));
	}
	free(room);
	free(message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t before;

	rr_init();
	if (size < HEAD || size > 2000)
		return 0;
	before = data[2] < size - HEAD ? data[2] : size - HEAD;
	check_reading(get_u16(data), before, data + HEAD, size - HEAD);
	check(get_u16(data), data + HEAD + before, size - HEAD - before);
	return 0;
}
