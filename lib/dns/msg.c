#include "dns/msg.h"

#include <stdio.h>

/* --- reading --------------------------------------------------------------------- */

const char *msg_rcode_text(unsigned rcode, char out[16])
{
	static const char *const names[] = {
		[RCODE_NOERROR] = "NOERROR", [RCODE_FORMERR] = "FORMERR", [RCODE_SERVFAIL] = "SERVFAIL",
		[RCODE_NXDOMAIN] = "NXDOMAIN", [RCODE_NOTIMP] = "NOTIMP", [RCODE_REFUSED] = "REFUSED",
		[RCODE_YXDOMAIN] = "YXDOMAIN", [7] = "YXRRSET", [8] = "NXRRSET", [RCODE_NOTAUTH] = "NOTAUTH",
		[RCODE_NOTZONE] = "NOTZONE", [RCODE_BADVERS] = "BADVERS", [RCODE_BADKEY] = "BADKEY",
		[RCODE_BADTIME] = "BADTIME", [RCODE_BADTRUNC] = "BADTRUNC", [RCODE_BADCOOKIE] = "BADCOOKIE",
	};

	if (rcode < sizeof names / sizeof *names && names[rcode])
		snprintf(out, 16, "%s", names[rcode]);
	else
		snprintf(out, 16, "RCODE%u", rcode);
	return out;
}

bool msg_read_header(struct rbuf *msg, struct msg_header *header)
{
	const uint8_t *p = rbuf_take(msg, MSG_HEADER);

	if (!p)
		return false;
	*header = (struct msg_header){
		.id = get_u16(p), .flags = get_u16(p + 2),
		.qdcount = get_u16(p + 4), .ancount = get_u16(p + 6),
		.nscount = get_u16(p + 8), .arcount = get_u16(p + 10),
	};
	return true;
}

bool msg_read_question(struct rbuf *msg, struct msg_question *question)
{
	const uint8_t *p;

	if (!name_read(msg, question->name) || !(p = rbuf_take(msg, 4)))
		return false;
	question->type = get_u16(p);
	question->class = get_u16(p + 2);
	return true;
}

bool msg_read_rr(struct rbuf *msg, struct msg_rr *rr)
{
	const uint8_t *p;

	rr->start = msg->at;
	if (!name_read(msg, rr->owner) || !(p = rbuf_take(msg, 10)))
		return false;
	rr->type = get_u16(p);
	rr->class = get_u16(p + 2);
	rr->ttl = get_u32(p + 4);
	rr->rdlength = get_u16(p + 8);
	rr->rdata = rbuf_take(msg, rr->rdlength);
	return rr->rdata != NULL;
}

bool msg_read_soa(const struct rbuf *msg, const struct msg_rr *rr, struct rr_soa *soa)
{
	enum { RDATA_MAX = 2 * NAME_SIZE + 20 };
	uint8_t rdata[RDATA_MAX];
	struct wbuf out = wbuf_of(rdata, sizeof rdata);
	struct rbuf at = *msg;

	at.at = rr->rdata;
	if (rr_read_rdata(&at, RR_SOA, rr->rdlength, &out, NULL) != ERR_OK)
		return false;
	*soa = rr_soa_of(rdata, wbuf_used(&out));
	return true;
}

bool msg_edns_of(const struct msg_rr *rr, struct msg_edns *edns)
{
	struct rbuf options = rbuf_of(rr->rdata, rr->rdlength);

	if (rr->owner[0] != 0)
		return false;
	while (rbuf_left(&options) > 0 && !options.bad) {
		rbuf_u16(&options);
		rbuf_take(&options, rbuf_u16(&options));
	}
	if (options.bad)
		return false;
	*edns = (struct msg_edns){
		.present = true,
		.do_bit = rr->ttl & 0x8000,
		.version = (uint8_t)(rr->ttl >> 16),
		.ext_rcode = (uint8_t)(rr->ttl >> 24),
		.payload = rr->class < MSG_UDP_MIN ? MSG_UDP_MIN : rr->class,
		.options = rr->rdata,
		.options_length = rr->rdlength,
	};
	return true;
}

/* --- the writer: suffixes that are in the message already -------------------------- */

/* A suffix is entered once, where it stands first; what follows its first label in the message is either the
 * entered place of the next shorter suffix itself, or a pointer to it. So one label and one offset prove a match. */

enum { POINTER = 0xc000, POINTER_MAX = MSG_POINTER_MAX };

/* The place to which the octets at `at` amount: behind a pointer, or themselves; 0 for the root. */
static size_t place_of(const struct msg_writer *w, size_t at)
{
	uint8_t first = w->buf.base[at];

	if (first >= POINTER >> 8)
		return get_u16(w->buf.base + at) & POINTER_MAX;
	return first ? at : 0;
}

static bool label_is_at(const struct msg_writer *w, size_t at, const uint8_t *label, size_t rest)
{
	const uint8_t *there = w->buf.base + at;

	return *there == *label && name_octets_equal(there + 1, label + 1, *label) &&
		place_of(w, at + 1 + *label) == rest;
}

static bool name_is_at(const struct msg_writer *w, size_t at, const uint8_t *name)
{
	for (; *name; name = name_parent(name)) {
		const uint8_t *there = w->buf.base + at;

		if (*there != *name || !name_octets_equal(there + 1, name + 1, *name))
			return false;
		at = place_of(w, at + 1 + *name);
		if (at == 0)
			return name_parent(name)[0] == 0;
	}
	return false;
}

static size_t suffix_find(const struct msg_writer *w, uint32_t hash, const uint8_t *label, size_t rest)
{
	for (unsigned i = hash % MSG_SLOTS; w->slot[i].epoch == w->epoch; i = (i + 1) % MSG_SLOTS)
		if (w->slot[i].tag == hash >> 16 && label_is_at(w, w->slot[i].at, label, rest))
			return w->slot[i].at;
	return 0;
}

static void suffix_enter(struct msg_writer *w, uint32_t hash, size_t at)
{
	unsigned i = hash % MSG_SLOTS;

	if (w->names == MSG_SLOTS / 2 || at > POINTER_MAX)
		return;
	while (w->slot[i].epoch == w->epoch)
		i = (i + 1) % MSG_SLOTS;
	w->slot[i].epoch = w->epoch;
	w->slot[i].at = (uint16_t)at;
	w->slot[i].tag = (uint16_t)(hash >> 16);
	w->entered[w->names++] = (uint16_t)i;
}

/* Later entries were probed past earlier ones, so they can go in the reverse order only. */
static void suffixes_forget(struct msg_writer *w, size_t from)
{
	while (w->names > 0 && w->slot[w->entered[w->names - 1]].at >= from)
		w->slot[w->entered[--w->names]].epoch = 0;
}

/* --- the writer: names ------------------------------------------------------------- */

struct suffix {
	uint32_t hash;
	uint32_t at;                 /* of its first label, in the name */
};

static void enter_question(struct msg_writer *);

static inline uint64_t mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15;
	return hash ^ hash >> 32;
}

/* The hash of a suffix, from that of the next shorter one and its first label. Letters count as the same in both cases (and some other
 * octets as each other, which is looked at closer if it matters). */
static inline uint64_t hash_label(uint64_t hash, const uint8_t *label)
{
	static const uint64_t both_cases = 0x2020202020202020;
	size_t n = *label++;

	if (n < 8)
		return mix(hash + n, name_load_few(label, n) | both_cases);
	hash += n;
	for (size_t i = 0; i + 8 <= n; i += 8)
		hash = mix(hash, name_load8(label + i) | both_cases);
	return mix(hash, name_load8(label + n - 8) | both_cases);
}

/* The suffixes of a name, longest first, without the anchor's own and the root. */
struct split {
	unsigned count;
	bool anchored;               /* the name ends in the anchor */
	struct suffix suffix[NAME_LABELS];
};

static inline void split(const struct msg_anchor *anchor, const uint8_t *name, struct split *s)
{
	const uint8_t *p = name;
	uint64_t hash = 0;

	s->count = 0;
	for (; *p; p = name_parent(p))
		s->suffix[s->count++].at = (uint32_t)(p - name);
	s->anchored = false;
	if (anchor->octets && s->count >= anchor->labels && p - name >= anchor->octets) {
		const uint8_t *tail = p - anchor->octets;
		unsigned before = s->count - anchor->labels;

		if ((before == s->count ? p : name + s->suffix[before].at) == tail && name_octets_equal(tail, anchor->name, anchor->octets)) {
			s->anchored = true;
			s->count = before;
		}
	}
	for (unsigned i = s->count; i-- > 0;) {
		hash = hash_label(hash, name + s->suffix[i].at);
		s->suffix[i].hash = (uint32_t)hash;
	}
}

/* Writes the name, its end by a pointer if it is known. The place where the name can be read, or 0. */
static size_t put_name(struct msg_writer *w, const uint8_t *name)
{
	struct split s;
	unsigned fresh;
	size_t rest, found, n, start = wbuf_used(&w->buf);

	if (!w->question_known)
		enter_question(w);
	split(&w->anchor, name, &s);
	fresh = s.count;
	rest = s.anchored ? w->anchor.at : 0;
	while (fresh > 0) {
		const struct suffix *next = &s.suffix[fresh - 1];

		if (!(found = suffix_find(w, next->hash, name + next->at, rest)))
			break;
		rest = found;
		fresh--;
	}
	n = fresh < s.count ? s.suffix[fresh].at : name_length(name) - 1 - (s.anchored ? w->anchor.octets : 0u);
	wbuf_bytes(&w->buf, name, n);
	if (rest)
		wbuf_u16(&w->buf, (uint16_t)(POINTER | rest));
	else
		wbuf_u8(&w->buf, 0);
	if (w->buf.bad)
		return 0;
	for (unsigned i = fresh; i-- > 0;)
		suffix_enter(w, s.suffix[i].hash, start + s.suffix[i].at);
	if (fresh == 0)
		return rest;
	return start <= POINTER_MAX ? start : 0;
}

static void enter_question(struct msg_writer *w)
{
	struct split s;

	w->question_known = true;
	split(&w->anchor, w->buf.base + MSG_HEADER, &s);
	for (unsigned i = s.count; i-- > 0;)
		suffix_enter(w, s.suffix[i].hash, MSG_HEADER + s.suffix[i].at);
}

/* Most owners are the one before: the question's, or that of the same RRset. */
static void put_owner(struct msg_writer *w, const uint8_t *name)
{
	if (w->owner && name_is_at(w, w->owner, name))
		wbuf_u16(&w->buf, (uint16_t)(POINTER | w->owner));
	else
		w->owner = (uint16_t)put_name(w, name);
}

static void put_rdata(struct msg_writer *w, const struct rr *rr)
{
	uint16_t name[RR_NAMES];
	unsigned names = rr_names(rr->type, rr->rdata, rr->rdlength, true, name);
	size_t from = 0;

	for (unsigned i = 0; i < names; i++) {
		wbuf_bytes(&w->buf, rr->rdata + from, name[i] - from);
		put_name(w, rr->rdata + name[i]);
		from = name[i] + name_length(rr->rdata + name[i]);
	}
	wbuf_bytes(&w->buf, rr->rdata + from, rr->rdlength - from);
}

/* --- the writer: messages ---------------------------------------------------------- */

void msg_writer_zero(struct msg_writer *w)
{
	memset(w, 0, sizeof *w);
}

static void set_end(struct msg_writer *w)
{
	w->limit = w->whole > w->reserved ? w->whole - w->reserved : 0;
	w->buf.end = w->buf.base + w->limit;
	if (w->buf.end < w->buf.at)
		w->buf.end = w->buf.at;
}

void msg_start(struct msg_writer *w, void *buffer, size_t size, size_t limit)
{
	if (limit > size)
		limit = size;
	if (limit > MSG_MAX)
		limit = MSG_MAX;
	w->buf = wbuf_of(buffer, size);
	w->buf.at += MSG_HEADER;
	w->whole = limit;
	w->reserved = 0;
	set_end(w);
	memset(w->count, 0, sizeof w->count);
	w->names = 0;
	w->owner = 0;
	w->question_known = true;
	w->anchor = (struct msg_anchor){0};
	if (++w->epoch == 0) {
		memset(w->slot, 0, sizeof w->slot);
		w->epoch = 1;
	}
}

void msg_reserve(struct msg_writer *w, size_t octets)
{
	w->reserved += octets;
	set_end(w);
}

void msg_unreserve(struct msg_writer *w, size_t octets)
{
	w->reserved -= octets;
	set_end(w);
}

struct msg_mark msg_mark(const struct msg_writer *w)
{
	struct msg_mark mark = {.at = wbuf_used(&w->buf)};

	memcpy(mark.count, w->count, sizeof mark.count);
	return mark;
}

void msg_rollback(struct msg_writer *w, struct msg_mark mark)
{
	w->buf.at = w->buf.base + mark.at;
	w->buf.bad = false;
	set_end(w);
	memcpy(w->count, mark.count, sizeof w->count);
	suffixes_forget(w, mark.at);
	if (w->owner >= mark.at)
		w->owner = 0;
}

static bool counted(struct msg_writer *w, enum msg_section section, struct msg_mark before)
{
	if (w->buf.bad) {
		msg_rollback(w, before);
		return false;
	}
	w->count[section]++;
	return true;
}

bool msg_put_question(struct msg_writer *w, const uint8_t *name, uint16_t type, uint16_t class)
{
	struct msg_mark before = msg_mark(w);

	wbuf_bytes(&w->buf, name, name_length(name));
	wbuf_u16(&w->buf, type);
	wbuf_u16(&w->buf, class);
	if (before.at == MSG_HEADER && !w->buf.bad && *name) {
		w->owner = MSG_HEADER;
		w->question_known = false;
	}
	return counted(w, MSG_QUESTION, before);
}

void msg_anchor(struct msg_writer *w, const uint8_t *name, unsigned octets, unsigned labels)
{
	size_t question = name_length(w->buf.base + MSG_HEADER) - 1;

	w->anchor = (struct msg_anchor){name, (uint8_t)octets, (uint8_t)labels, (uint16_t)(MSG_HEADER + question - octets)};
}

bool msg_put_rr(struct msg_writer *w, enum msg_section section, const struct rr *rr)
{
	struct msg_mark before = msg_mark(w);
	uint8_t *fixed;

	put_owner(w, rr->owner);
	fixed = wbuf_room(&w->buf, 10);
	if (fixed) {
		put_u16(fixed, rr->type);
		put_u16(fixed + 2, rr->class);
		put_u32(fixed + 4, rr->ttl);
		put_rdata(w, rr);
		put_u16(fixed + 8, (uint16_t)(w->buf.at - fixed - 10));
	}
	return counted(w, section, before);
}

bool msg_put_opt(struct msg_writer *w, uint16_t payload, uint16_t rcode, bool do_bit, const void *options, size_t length)
{
	struct msg_mark before = msg_mark(w);
	uint8_t *opt = wbuf_room(&w->buf, 11);

	if (opt) {
		opt[0] = 0;
		put_u16(opt + 1, RR_OPT);
		put_u16(opt + 3, payload);
		opt[5] = (uint8_t)(rcode >> 4);
		opt[6] = 0;                  /* version */
		put_u16(opt + 7, do_bit ? 0x8000 : 0);
		put_u16(opt + 9, (uint16_t)length);
	}
	wbuf_bytes(&w->buf, options, length);
	return counted(w, MSG_ADDITIONAL, before);
}

size_t msg_finish(struct msg_writer *w, uint16_t id, uint16_t flags)
{
	uint8_t *header = w->buf.base;

	put_u16(header, id);
	put_u16(header + 2, flags);
	for (int i = 0; i < 4; i++)
		put_u16(header + 4 + 2 * i, w->count[i]);
	return wbuf_used(&w->buf);
}
