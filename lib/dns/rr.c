#include "dns/rr.h"

#include "dns/name.h"
#include "dns/rrcheck.h"
#include "dns/rrshape.h"

void rr_init(void)
{
	rrshape_init();
}

bool rr_is_meta(uint16_t type)
{
	return rrshape_is_meta(type);
}

/* --- any type, field by field -------------------------------------------------------- */

struct walk {
	struct rbuf in;              /* ends where RDATA ends */
	const uint8_t *rdata;
	struct wbuf *out;            /* NULL: only check */
	bool expand;                 /* names may be compressed */
};

/* Expands a name straight to its place where that has room for any name. */
static const char *expand_name(struct walk *walk)
{
	uint8_t aside[NAME_SIZE];
	bool room = wbuf_left(walk->out) >= NAME_SIZE;
	size_t n = name_read(&walk->in, room ? walk->out->at : aside);

	if (n == 0)
		return "is no domain name";
	if (room)
		walk->out->at += n;
	else
		wbuf_bytes(walk->out, aside, n);
	return NULL;
}

static const char *walk_field(struct walk *walk, enum rrshape_kind kind)
{
	const uint8_t *start = walk->in.at;
	const char *fault;

	if (kind == FIELD_NAME && walk->expand)
		return expand_name(walk);
	fault = rrcheck_field(kind, &walk->in, walk->rdata);
	if (!fault && walk->out)
		wbuf_bytes(walk->out, start, (size_t)(walk->in.at - start));
	return fault;
}

static enum err field_failed(const struct rrshape *shape, unsigned field, const char *fault, struct why *why)
{
	int length;
	const char *label = rrshape_label(shape, field, &length);

	return err_why(why, ERR_FORMAT, "%s %.*s: %s", shape->name, length, label, fault);
}

static enum err walk_fields(struct walk *walk, const struct rrshape *shape, struct why *why)
{
	for (unsigned i = 0; shape->field[i] != FIELD_END; i++) {
		const char *fault = walk_field(walk, (enum rrshape_kind)shape->field[i]);

		if (fault)
			return field_failed(shape, i, fault, why);
	}
	if (rbuf_left(&walk->in))
		return err_why(why, ERR_FORMAT, "%s: %zu octets too many", shape->name, rbuf_left(&walk->in));
	return ERR_OK;
}

static enum err check_any(uint16_t type, const uint8_t *rdata, size_t rdlength, struct why *why)
{
	const struct rrshape *shape = rrshape_of(type);
	struct walk walk = {.in = rbuf_of(rdata, rdlength), .rdata = rdata};

	return shape ? walk_fields(&walk, shape, why) : ERR_OK;
}

/* A type whose names may be compressed. */
static enum err expand_any(struct rbuf *msg, const struct rrshape *shape, uint16_t rdlength, struct wbuf *out, struct why *why)
{
	struct walk walk = {.in = *msg, .rdata = msg->at, .out = out, .expand = true};
	uint8_t *start = out->at;
	enum err err;

	walk.in.end = msg->at + rdlength;
	err = walk_fields(&walk, shape, why);
	if (!err && out->bad)
		err = err_why(why, ERR_NOSPACE, "%s: no room for the data", shape->name);
	if (!err && out->at - start > UINT16_MAX)
		err = err_why(why, ERR_FORMAT, "%s: over 65535 octets when its names are expanded", shape->name);
	if (err)
		out->at = start;
	else
		msg->at += rdlength;
	return err;
}

/* --- the common types ------------------------------------------------------------------ */

static inline bool ends_with_name(const uint8_t *rdata, size_t n, size_t before)
{
	struct rbuf in = rbuf_of(rdata, n);

	in.at += before;
	return n > before && name_take(&in) && rbuf_left(&in) == 0;
}

static inline bool rrsig_is_good(const uint8_t *rdata, size_t n)
{
	enum { FIXED = 18 };
	struct rbuf in = rbuf_of(rdata, n);

	if (n <= FIXED || rr_is_meta(get_u16(rdata)) || get_u16(rdata) == RR_RRSIG)
		return false;
	in.at += FIXED;
	return name_take(&in) && rbuf_left(&in) > 0;
}

static inline bool nsec_is_good(const uint8_t *rdata, size_t n)
{
	struct rbuf in = rbuf_of(rdata, n);

	return name_take(&in) && rrcheck_types(in.at, rbuf_left(&in), false);
}

static bool nsec3_is_good(const uint8_t *rdata, size_t n)
{
	enum { FIXED = 4 };
	struct rbuf in = rbuf_of(rdata, n);
	size_t hash;

	rbuf_take(&in, FIXED);
	rbuf_take(&in, rbuf_u8(&in));
	hash = rbuf_u8(&in);
	return rbuf_take(&in, hash) && hash && rrcheck_types(in.at, rbuf_left(&in), true);
}

enum verdict { GOOD, LOOK_CLOSER };

/* Types without names that may be compressed. Not "wrong" but LOOK_CLOSER: the walk finds the words for it. */
static inline enum verdict glance(uint16_t type, const uint8_t *rdata, size_t n)
{
	bool good = false;

	switch (type) {
	case RR_A:
		good = n == 4;
		break;
	case RR_AAAA:
		good = n == 16;
		break;
	case RR_TXT:
		good = rrcheck_strings(rdata, n);
		break;
	case RR_DS: case RR_CDS: case RR_DNSKEY: case RR_CDNSKEY:
		good = n > 4;
		break;
	case RR_RRSIG:
		good = rrsig_is_good(rdata, n);
		break;
	case RR_NSEC:
		good = nsec_is_good(rdata, n);
		break;
	case RR_NSEC3:
		good = nsec3_is_good(rdata, n);
		break;
	case RR_DNAME:
		good = ends_with_name(rdata, n, 0);
		break;
	}
	return good ? GOOD : LOOK_CLOSER;
}

/* `before` octets, `names` names, `after` octets. Nothing is changed where that does not fit. */
static inline enum verdict expand_names(struct rbuf *msg, size_t rdlength, struct wbuf *out, size_t before, unsigned names,
	size_t after)
{
	struct rbuf in = *msg;
	uint8_t *to = out->at;

	if (rdlength < before + after || wbuf_left(out) < before + names * NAME_SIZE + after || out->bad)
		return LOOK_CLOSER;
	in.end = msg->at + rdlength;
	memcpy(to, in.at, before);
	in.at += before;
	to += before;
	while (names--) {
		size_t n = name_read(&in, to);

		if (n == 0)
			return LOOK_CLOSER;
		to += n;
	}
	if (rbuf_left(&in) != after)
		return LOOK_CLOSER;
	memcpy(to, in.at, after);
	out->at = to + after;
	msg->at = in.end;
	return GOOD;
}

static inline enum verdict expand_common(struct rbuf *msg, uint16_t type, size_t rdlength, struct wbuf *out)
{
	switch (type) {
	case RR_NS: case RR_CNAME: case RR_PTR:
		return expand_names(msg, rdlength, out, 0, 1, 0);
	case RR_MX:
		return expand_names(msg, rdlength, out, 2, 1, 0);
	case RR_SRV:
		return expand_names(msg, rdlength, out, 6, 1, 0);
	case RR_SOA:
		return expand_names(msg, rdlength, out, 0, 2, 20);
	default:
		return LOOK_CLOSER;
	}
}

static enum err copy_out(struct rbuf *msg, uint16_t rdlength, struct wbuf *out, struct why *why)
{
	uint8_t *to = wbuf_room(out, rdlength);

	if (!to)
		return err_why(why, ERR_NOSPACE, "no room for the data");
	if (rdlength == 4)
		memcpy(to, msg->at, 4);
	else
		memcpy(to, msg->at, rdlength);
	msg->at += rdlength;
	return ERR_OK;
}

enum err rr_read_rdata(struct rbuf *msg, uint16_t type, uint16_t rdlength, struct wbuf *out, struct why *why)
{
	const struct rrshape *shape;
	enum err err;

	if (msg->bad || rbuf_left(msg) < rdlength)
		return err_why(why, ERR_FORMAT, "RDATA goes beyond the end of the message");
	if (glance(type, msg->at, rdlength) == GOOD)
		return copy_out(msg, rdlength, out, why);
	if (expand_common(msg, type, rdlength, out) == GOOD)
		return ERR_OK;
	shape = rrshape_of(type);
	if (shape && shape->flags & RRSHAPE_EXPAND)
		return expand_any(msg, shape, rdlength, out, why);
	err = check_any(type, msg->at, rdlength, why);
	return err ? err : copy_out(msg, rdlength, out, why);
}

enum err rr_check_rdata(uint16_t type, const uint8_t *rdata, size_t rdlength, struct why *why)
{
	if (rdlength > UINT16_MAX)
		return err_why(why, ERR_FORMAT, "RDATA over 65535 octets");
	if (glance(type, rdata, rdlength) == GOOD)
		return ERR_OK;
	return check_any(type, rdata, rdlength, why);
}

/* --- names inside ------------------------------------------------------------------------ */

static unsigned note_names(const struct rrshape *shape, const uint8_t *rdata, size_t rdlength, uint16_t offset[RR_NAMES])
{
	struct rbuf in = rbuf_of(rdata, rdlength);
	unsigned names = 0;

	for (unsigned i = 0; shape->field[i] != FIELD_END; i++) {
		enum rrshape_kind kind = rrshape_resolve((enum rrshape_kind)shape->field[i], rdata);

		if (kind != FIELD_NAME && kind != FIELD_NAMES) {
			if (rrcheck_field(kind, &in, rdata))
				break;
			continue;
		}
		do {
			if (rbuf_left(&in) == 0 || names == RR_NAMES)
				return names;
			offset[names++] = (uint16_t)rbuf_pos(&in);
		} while (name_take(&in) && kind == FIELD_NAMES);
	}
	return names;
}

unsigned rr_names(uint16_t type, const uint8_t *rdata, size_t rdlength, bool compressible, uint16_t offset[RR_NAMES])
{
	const struct rrshape *shape;

	switch (type) {
	case RR_A: case RR_AAAA: case RR_TXT: case RR_DS: case RR_DNSKEY:
		return 0;
	case RR_NS: case RR_CNAME: case RR_PTR:
		offset[0] = 0;
		return 1;
	case RR_MX:
		offset[0] = 2;
		return 1;
	case RR_SOA:
		offset[0] = 0;
		offset[1] = (uint16_t)name_length(rdata);
		return 2;
	default:
		shape = rrshape_of(type);
		if (!shape || (compressible && !(shape->flags & RRSHAPE_COMPRESS)))
			return 0;
		return note_names(shape, rdata, rdlength, offset);
	}
}

/* --- order --------------------------------------------------------------------------------- */

static int compare_octets(const uint8_t *a, size_t alen, const uint8_t *b, size_t blen)
{
	int order = memcmp(a, b, alen < blen ? alen : blen);

	return order ? order : (alen > blen) - (alen < blen);
}

static int compare_folded(const uint8_t *a, const uint8_t *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (a[i] != b[i] && name_octet_lower(a[i]) != name_octet_lower(b[i]))
			return name_octet_lower(a[i]) - name_octet_lower(b[i]);
	return 0;
}

/* Up to the first difference both have their names at the same places: a's are enough. */
static int compare_with_names(uint16_t type, const uint8_t *a, size_t alen, const uint8_t *b, size_t blen)
{
	size_t both = alen < blen ? alen : blen, at = 0;
	uint16_t offset[RR_NAMES];
	unsigned names = rr_names(type, a, alen, false, offset);
	int order = 0;

	for (unsigned i = 0; i < names && !order && offset[i] < both; i++) {
		size_t n = name_length(a + offset[i]);

		if (n > both - offset[i])
			n = both - offset[i];
		order = memcmp(a + at, b + at, offset[i] - at);
		if (!order)
			order = compare_folded(a + offset[i], b + offset[i], n);
		at = offset[i] + n;
	}
	return order ? order : compare_octets(a + at, alen - at, b + at, blen - at);
}

int rr_compare_rdata(uint16_t type, const uint8_t *a, size_t alen, const uint8_t *b, size_t blen)
{
	const struct rrshape *shape;

	if (alen == blen && memcmp(a, b, alen) == 0)
		return 0;
	shape = rrshape_of(type);
	if (shape && shape->flags & RRSHAPE_LOWER)
		return compare_with_names(type, a, alen, b, blen);
	return compare_octets(a, alen, b, blen);
}

void rr_canonical_rdata(uint16_t type, const uint8_t *rdata, size_t rdlength, uint8_t *out)
{
	const struct rrshape *shape = rrshape_of(type);
	uint16_t offset[RR_NAMES];
	unsigned names = shape && shape->flags & RRSHAPE_LOWER ? rr_names(type, rdata, rdlength, false, offset) : 0;

	memcpy(out, rdata, rdlength);
	for (unsigned i = 0; i < names; i++)
		name_lower(rdata + offset[i], out + offset[i]);
}

struct rr_soa rr_soa_of(const uint8_t *rdata, size_t rdlength)
{
	const uint8_t *numbers = rdata + rdlength - 20;

	return (struct rr_soa){get_u32(numbers), get_u32(numbers + 4), get_u32(numbers + 8), get_u32(numbers + 12),
		get_u32(numbers + 16)};
}
