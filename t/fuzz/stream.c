/* The transfer stream: "base + accepted IXFR = AXFR of the new serial". The first octet chooses how the others are read: as messages
 * (each behind its length), or as a script of records, few names and types, so that differences fit now and then.
 * A naive list of records is the model.
 */
#include "dns/frame.h"
#include "dns/msg.h"
#include "xfer/stream.h"

#include <stdlib.h>
#include <string.h>

enum { ID = 0x1234, MODEL = 4096 };

static uint8_t apex[NAME_SIZE];

/* One record in canonical octets: owner in lower case, type, RDATA. */
struct item {
	size_t length;
	uint8_t *octets;
};
struct model {
	struct item item[MODEL];
	size_t count;
	bool broken;                 /* more than it can hold, or the stream is expected to refuse */
};

static struct item item_of(const struct rr *rr)
{
	struct item item;
	size_t n = name_length(rr->owner);

	item.length = n + 2 + rr->rdlength;
	item.octets = malloc(item.length);
	name_lower(rr->owner, item.octets);
	put_u16(item.octets + n, rr->type);
	memcpy(item.octets + n + 2, rr->rdata, rr->rdlength);
	return item;
}

static size_t find(const struct model *m, const struct item *item)
{
	size_t n = name_length(item->octets);
	uint16_t type = get_u16(item->octets + n);

	for (size_t i = 0; i < m->count; i++) {
		const struct item *other = &m->item[i];

		if (name_length(other->octets) == n && memcmp(other->octets, item->octets, n + 2) == 0 &&
		    rr_compare_rdata(type, item->octets + n + 2, item->length - n - 2, other->octets + n + 2, other->length - n - 2) == 0)
			return i;
	}
	return m->count;
}

static void apply(struct model *m, const struct rr *rr, bool add)
{
	struct item item = item_of(rr);
	size_t at = find(m, &item);

	if (add && at == m->count && m->count < MODEL) {
		m->item[m->count++] = item;
		return;
	}
	m->broken |= add && at == m->count;
	if (!add && at < m->count) {
		free(m->item[at].octets);
		m->item[at] = m->item[--m->count];
	}
	free(item.octets);
}

static void clear(struct model *m)
{
	while (m->count)
		free(m->item[--m->count].octets);
	m->broken = false;
}

typedef void each_record(void *ctx, const struct rr *);

static void walk(const struct zone *zone, each_record *each, void *ctx)
{
	struct zone_walk *w = malloc(sizeof *w);
	const struct zone_node *node;
	uint8_t owner[NAME_SIZE];

	zone_walk(w, zone);
	while ((node = zone_walk_next(w, owner))) {
		struct zone_rrsets sets = zone_rrsets(node);
		struct zone_rrset set;

		while (zone_rrsets_next(&sets, &set)) {
			uint32_t at = 0;
			uint16_t n = 0;
			struct rr rr;

			for (; zone_rrset_next(&set, &at, owner, &rr); n++)
				each(ctx, &rr);
			if (n != set.count || !n)
				abort();
		}
	}
	free(w);
}

static void model_add(void *ctx, const struct rr *rr)
{
	apply(ctx, rr, true);
}

struct check {
	const struct model *model;
	uint64_t records;
};

static void is_in_model(void *ctx, const struct rr *rr)
{
	struct check *check = ctx;
	struct item item = item_of(rr);

	if (find(check->model, &item) == check->model->count)
		abort();
	free(item.octets);
	check->records++;
}

static void rebuild(void *ctx, const struct rr *rr)
{
	if (build_add(ctx, rr, NULL))
		abort();
}

/* The version holds what the model holds, its totals are those of a zone built from its own records, and so are its lookups. */
static void expect(const struct zone *zone, const struct model *model)
{
	struct check check = {model, 0};
	struct build *build = build_new(apex, NULL, (struct build_limits){0});
	struct zone *again;

	walk(zone, is_in_model, &check);
	if (!model->broken && (check.records != model->count || check.records != zone->records))
		abort();
	walk(zone, rebuild, build);
	if (build_finish(build, &again, NULL))
		abort();
	if (again->records != zone->records || again->names != zone->names || again->wire_bytes != zone->wire_bytes ||
	    again->wildcards != zone->wildcards || again->rrsigs != zone->rrsigs || again->serial.v != zone->serial.v)
		abort();
	for (size_t i = 0; i < model->count; i++) {
		struct zone_hit a, b;

		zone_find(zone, model->item[i].octets, &a);
		zone_find(again, model->item[i].octets, &b);
		if (a.found != b.found || a.encloser_labels != b.encloser_labels || a.at_name != b.at_name)
			abort();
	}
	zone_put(again);
}

/* --- scripts of records --------------------------------------------------- */

static void soa(uint32_t serial, uint8_t rdata[22], struct rr *rr)
{
	memset(rdata, 0, 22);
	put_u32(rdata + 2, serial);
	*rr = (struct rr){apex, RR_SOA, CLASS_IN, 22, 300, rdata};
}

/* Two octets make a record: one of 64 owners, one of eight kinds of RDATA. */
static void script_record(uint8_t a, uint8_t b, uint8_t owner[NAME_SIZE], uint8_t rdata[64], struct rr *rr)
{
	static const uint16_t type[8] = {RR_A, RR_A, RR_TXT, RR_NS, RR_CNAME, RR_DNAME, RR_RRSIG, RR_MX};
	static const char label[] = "abAB*c-_";
	uint8_t prefix[8];
	size_t n = 0, length = 0;

	if (a & 0xc0) {
		prefix[n++] = 1;
		prefix[n++] = (uint8_t)label[a & 7];
	}
	if (a & 0x80) {
		prefix[n++] = 1;
		prefix[n++] = (uint8_t)label[a >> 3 & 7];
	}
	name_join(prefix, n, apex, owner);
	switch (type[b & 7]) {
	case RR_A:
		put_u32(rdata, 0xc0000200u | b >> 3);
		length = 4;
		break;
	case RR_TXT:
		rdata[0] = 1;
		rdata[1] = b >> 3;
		length = 2;
		break;
	case RR_MX:
		put_u16(rdata, b >> 5);
		length = 2;
		__attribute__((fallthrough));
	case RR_NS: case RR_CNAME: case RR_DNAME:
		rdata[length] = 1;
		rdata[length + 1] = (uint8_t)label[b >> 3 & 7];
		rdata[length + 2] = 0;
		length += 3;
		break;
	default:
		memset(rdata, 0, 24);
		put_u16(rdata, b & 8 ? RR_A : RR_TXT);
		rdata[2] = 8;
		rdata[18] = 0;
		rdata[19] = b >> 4;
		length = 20;
	}
	*rr = (struct rr){owner, type[b & 7], CLASS_IN, (uint16_t)length, b, rdata};
}

/* Feeds the record, and tells the model if the stream took it. */
static enum stream_verdict feed(struct stream *s, struct model *m, const struct rr *rr, bool add)
{
	enum stream_verdict verdict = stream_record(s, rr);

	if (verdict != STREAM_REJECT)
		apply(m, rr, add);
	return verdict;
}

/* Records until an octet of 0xff, or the end. */
static enum stream_verdict phase(struct stream *s, struct model *m, struct rbuf *in, bool add)
{
	enum stream_verdict verdict = STREAM_MORE;

	while (verdict == STREAM_MORE && rbuf_left(in) >= 2) {
		uint8_t owner[NAME_SIZE], rdata[64], a = rbuf_u8(in);
		struct rr rr;

		if (a == 0xff)
			break;
		script_record(a, rbuf_u8(in), owner, rdata, &rr);
		verdict = feed(s, m, &rr, add);
	}
	return verdict;
}

static struct zone *script_axfr(struct rbuf *in, struct model *m)
{
	struct stream *s = stream_new(&(struct stream_ask){.zone = apex, .type = RR_AXFR});
	static const uint8_t ns[] = {1, 'n', 0};
	struct rr rr, record = {apex, RR_NS, CLASS_IN, 3, 300, ns};
	struct zone *zone = NULL;
	uint8_t rdata[22];

	soa(1, rdata, &rr);
	if (feed(s, m, &rr, true) == STREAM_MORE && feed(s, m, &record, true) == STREAM_MORE && phase(s, m, in, true) == STREAM_MORE &&
	    stream_record(s, &rr) == STREAM_COMPLETE)
		zone = stream_take(s);
	if (zone)
		expect(zone, m);
	stream_free(s);
	return zone;
}

static enum stream_verdict script_sequences(struct stream *s, struct rbuf *in, struct model *m, unsigned sequences)
{
	enum stream_verdict verdict = STREAM_MORE;
	uint8_t rdata[22];
	struct rr rr;

	for (uint32_t serial = 1; serial <= sequences && verdict == STREAM_MORE; serial++) {
		soa(serial, rdata, &rr);
		verdict = feed(s, m, &rr, false);
		if (verdict == STREAM_MORE)
			verdict = phase(s, m, in, false);
		soa(serial + 1, rdata, &rr);
		if (verdict == STREAM_MORE)
			verdict = feed(s, m, &rr, true);
		if (verdict == STREAM_MORE)
			verdict = phase(s, m, in, true);
	}
	return verdict;
}

static void script(struct rbuf *in)
{
	static struct model m;
	unsigned sequences = 1 + rbuf_u8(in) % 4;
	struct zone *base = script_axfr(in, &m), *zone = NULL;
	struct stream *s;
	uint8_t rdata[22];
	struct rr rr;

	if (base) {
		s = stream_new(&(struct stream_ask){.zone = apex, .type = RR_IXFR, .base = base});
		soa(sequences + 1, rdata, &rr);
		if (stream_record(s, &rr) == STREAM_MORE && script_sequences(s, in, &m, sequences) == STREAM_MORE &&
		    stream_record(s, &rr) == STREAM_COMPLETE)
			zone = stream_take(s);
		stream_free(s);
		if (zone)
			expect(zone, &m);
		clear(&m);
		walk(base, model_add, &m);
		expect(base, &m);    /* whatever became of the differences */
	}
	zone_put(zone);
	zone_put(base);
	clear(&m);
}

/* --- messages ------------------------------------------------------------- */

static struct zone *small_base(void)
{
	struct build *b = build_new(apex, NULL, (struct build_limits){0});
	static const uint8_t ns[] = {1, 'n', 0}, a[] = {192, 0, 2, 1};
	uint8_t rdata[22], www[NAME_SIZE];
	struct zone *zone;
	struct rr rr;

	soa(1, rdata, &rr);
	build_add(b, &rr, NULL);
	rr = (struct rr){apex, RR_NS, CLASS_IN, 3, 300, ns};
	build_add(b, &rr, NULL);
	name_join((const uint8_t *)"\3www", 4, apex, www);
	rr = (struct rr){www, RR_A, CLASS_IN, 4, 300, a};
	build_add(b, &rr, NULL);
	if (build_finish(b, &zone, NULL))
		abort();
	return zone;
}

static void messages(struct rbuf *in, uint16_t type)
{
	static struct model m;
	struct zone *base = small_base(), *zone;
	struct stream *s = stream_new(&(struct stream_ask){.zone = apex, .id = ID, .type = type, .base = type == RR_IXFR ? base : NULL,
		.limits = {1 << 20, 4000}});
	enum stream_verdict verdict = STREAM_MORE;
	struct rbuf message;

	while (verdict == STREAM_MORE && frame_next(in, &message))
		verdict = stream_message(s, message.base, rbuf_left(&message));
	if (verdict == STREAM_MORE && rbuf_left(in))
		verdict = stream_message(s, in->at, rbuf_left(in));
	zone = stream_take(s);
	if (zone && verdict != STREAM_COMPLETE)
		abort();
	if (verdict == STREAM_REJECT && !stream_sum(s)->why.text[0])
		abort();
	if (zone) {
		walk(zone, model_add, &m);
		expect(zone, &m);
		clear(&m);
	}
	zone_put(zone);
	stream_free(s);
	walk(base, model_add, &m);
	if (m.count != 3)
		abort();
	clear(&m);
	zone_put(base);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	rr_init();
	return name_parse("example.", 8, NULL, apex, NULL) ? 1 : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rbuf in = rbuf_of(data, size);

	if (!size || size > 8192)
		return 0;
	switch (rbuf_u8(&in) % 3) {
	case 0:
		script(&in);
		break;
	case 1:
		messages(&in, RR_AXFR);
		break;
	default:
		messages(&in, RR_IXFR);
	}
	return 0;
}
