#include "check/compare.h"

#include "dns/msg.h"
#include "dns/rrtext.h"

#include <stdio.h>
#include <stdlib.h>

enum { RR_NXNAME = 128 /* RFC 9824 3.1 */ };

/* What the zone says to a question. */
enum says { SAYS_SET, SAYS_REFERRAL, SAYS_NO_DATA, SAYS_NO_NAME };
struct saying {
	enum says says;
	const uint8_t *owner;        /* the RRset's, as it must stand in the answer: in the question's name */
	struct zone_rrset set, sigs;
};

const char *difference_text(enum difference_kind kind)
{
	switch (kind) {
	case DIFFERENCE_MISSING:
		return "is missing";
	case DIFFERENCE_EXTRA:
		return "should not be there";
	case DIFFERENCE_RDATA:
		return "differs";
	case DIFFERENCE_TTL:
		return "has another TTL";
	case DIFFERENCE_RCODE:
		return "is answered with another RCODE";
	case DIFFERENCE_UNSIGNED:
		return "is not signed";
	case DIFFERENCE_SIGNED:
		return "is signed";
	}
	return "";
}

/* --- text -------------------------------------------------------------------------------- */

static void put_line(struct difference_side *side, const char *line, size_t length)
{
	static const char more[] = "...\n";

	if (side->full)
		return;
	if (side->length + length + 1 + sizeof more - 1 > DIFFERENCE_TEXT) {
		side->full = true;
		line = more;
		length = sizeof more - 2;
	}
	memcpy(side->text + side->length, line, length);
	side->length = (uint16_t)(side->length + length);
	side->text[side->length++] = '\n';
	side->text[side->length] = 0;
}

static void put_word(struct difference_side *side, const char *word)
{
	put_line(side, word, strlen(word));
}

/* Text of RDATA needs room by its length; most needs little. */
static void put_record(struct difference_side *side, const struct rr *rr)
{
	char type[RR_TYPE_TEXT], some[2 * DIFFERENCE_TEXT], *text = some;
	size_t room = 64 + RR_TEXT_SIZE(rr->rdlength), n;

	if (side->full)
		return;
	if (room > sizeof some && !(text = malloc(room))) {
		put_word(side, "...");
		side->full = true;
		return;
	}
	n = (size_t)snprintf(text, 64, "%u %s ", rr->ttl, rr_type_text(rr->type, type));
	n += rr_put_rdata_text(rr->type, rr->rdata, rr->rdlength, text + n);
	put_line(side, text, n);
	if (text != some)
		free(text);
}

static void differs(struct difference *d, enum difference_kind kind)
{
	if (!d->expected.length && !d->got.length)
		d->kind = kind;
	else if (d->kind != kind && kind != DIFFERENCE_UNSIGNED && kind != DIFFERENCE_SIGNED)
		d->kind = DIFFERENCE_RDATA;
}

/* --- what the zone says ------------------------------------------------------------------ */

static void say_above(const struct zone *zone, const struct zone_node *node, const struct question *q, uint16_t type, struct saying *s)
{
	s->says = type == RR_NS ? SAYS_REFERRAL : SAYS_SET;
	s->owner = name_suffix(q->name, zone_node_labels(zone, node));
	zone_node_rrset(node, type, &s->set, &s->sigs);
}

static void say_at_node(const struct zone_node *node, const struct question *q, struct saying *s)
{
	s->owner = q->name;
	s->says = zone_node_rrset(node, q->type, &s->set, &s->sigs) || zone_node_rrset(node, RR_CNAME, &s->set, &s->sigs) ?
		SAYS_SET : SAYS_NO_DATA;
}

static void say(const struct zone *zone, const struct question *q, struct saying *s)
{
	struct zone_hit hit;

	s->owner = q->name;
	s->sigs.count = 0;
	zone_find(zone, q->name, &hit);
	switch (hit.found) {
	case ZONE_NODE: case ZONE_WILD:
		say_at_node(hit.node, q, s);
		return;
	case ZONE_EMPTY:
		s->says = SAYS_NO_DATA;
		return;
	case ZONE_NONE:
		s->says = SAYS_NO_NAME;
		return;
	case ZONE_CUT:
		if (!hit.at_name || q->type != RR_DS)
			say_above(zone, hit.node, q, RR_NS, s);
		else
			s->says = zone_node_rrset(hit.node, RR_DS, &s->set, &s->sigs) ? SAYS_SET : SAYS_NO_DATA;
		return;
	case ZONE_DNAME:
		say_above(zone, hit.node, q, RR_DNAME, s);
		return;
	}
}

/* --- what came --------------------------------------------------------------------------- */

struct records { const struct rr *list; size_t count; };

static struct records of_answer(const struct reply *r) { return (struct records){r->answer, r->answer_count}; }
static struct records of_authority(const struct reply *r) { return (struct records){r->authority, r->authority_count}; }

static struct records find(struct records in, const uint8_t *owner, uint16_t type)
{
	struct records found;

	found.list = reply_find(in.list, in.count, owner, type, &found.count);
	return found;
}

static bool has_signature(struct records in, const uint8_t *owner, uint16_t covered)
{
	struct records sigs = find(in, owner, RR_RRSIG);

	for (size_t i = 0; i < sigs.count; i++)
		if (sigs.list[i].rdlength >= 2 && rr_covered(sigs.list[i].rdata) == covered)
			return true;
	return false;
}

static const struct rr *first_of(struct records in, uint16_t type)
{
	for (size_t i = 0; i < in.count; i++)
		if (in.list[i].type == type)
			return &in.list[i];
	return NULL;
}

/* Down to a zone below, or away. */
static const struct rr *referral_of(const struct reply *r)
{
	struct records authority = of_authority(r);

	return r->rcode || r->answer_count || first_of(authority, RR_SOA) ? NULL : first_of(authority, RR_NS);
}

/* RFC 9824: a name that does not exist is said to have no types but NXNAME. */
static bool is_compact_denial(const struct reply *r, const uint8_t *name)
{
	struct records nsec = find(of_authority(r), name, RR_NSEC);
	size_t at;

	if (!nsec.count)
		return false;
	at = name_length(nsec.list->rdata);
	for (; at + 2 < nsec.list->rdlength; at += 2U + nsec.list->rdata[at + 1])
		if (nsec.list->rdata[at] == 0)
			return nsec.list->rdata[at + 1] > RR_NXNAME / 8 && at + 2 + RR_NXNAME / 8 < nsec.list->rdlength
				&& nsec.list->rdata[at + 2 + RR_NXNAME / 8] & 0x80;
	return false;
}

/* What stands in the place of what should be there. */
static void put_got(struct difference *d, const struct question *q, const struct reply *r)
{
	char word[16], text[32 + NAME_TEXT_SIZE], name[NAME_TEXT_SIZE];
	const struct rr *referral = referral_of(r);
	size_t found = 0;

	for (size_t i = 0; i < r->answer_count; i++)
		if (r->answer[i].type != RR_RRSIG && name_equal(r->answer[i].owner, q->name)) {
			put_record(&d->got, &r->answer[i]);
			found++;
		}
	if (found)
		return;
	if (r->rcode)
		put_word(&d->got, msg_rcode_text(r->rcode, word));
	else if (referral) {
		snprintf(text, sizeof text, "referral to %s", name_text(referral->owner, name));
		put_word(&d->got, text);
	} else
		put_word(&d->got, is_compact_denial(r, q->name) ? "NXDOMAIN" : "NODATA");
}

/* --- RRsets ------------------------------------------------------------------------------ */

static void put_expected(struct difference *d, const struct zone_rrset *set, const uint8_t *owner)
{
	uint32_t at = 0;
	struct rr rr;

	while (!d->expected.full && zone_rrset_next(set, &at, owner, &rr))
		put_record(&d->expected, &rr);
}

/* Both sides stand in canonical order. */
static void compare_sets(struct difference *d, const struct zone_rrset *set, const uint8_t *owner, struct records got, bool ttls)
{
	uint32_t at = 0;
	size_t i = 0;
	struct rr want;
	bool wanted = zone_rrset_next(set, &at, owner, &want);

	while (wanted || i < got.count) {
		const struct rr *rr = i < got.count ? &got.list[i] : NULL;
		int order = !rr ? -1 : !wanted ? 1 : rr_compare_rdata(set->type, want.rdata, want.rdlength, rr->rdata, rr->rdlength);

		if (order < 0) {
			differs(d, DIFFERENCE_MISSING);
			put_record(&d->expected, &want);
		} else if (order > 0) {
			differs(d, DIFFERENCE_EXTRA);
			put_record(&d->got, rr);
		} else if (ttls && rr->ttl != want.ttl) {
			differs(d, DIFFERENCE_TTL);
			put_record(&d->expected, &want);
			put_record(&d->got, rr);
		}
		i += order >= 0;
		if (order <= 0)
			wanted = zone_rrset_next(set, &at, owner, &want);
	}
}

static void compare_signed(struct difference *d, bool expected, bool got)
{
	if (expected == got)
		return;
	differs(d, expected ? DIFFERENCE_UNSIGNED : DIFFERENCE_SIGNED);
	put_word(&d->expected, expected ? "RRSIG" : "no RRSIG");
	put_word(&d->got, got ? "RRSIG" : "no RRSIG");
}

static void compare_answer(struct difference *d, const struct saying *s, const struct question *q, const struct reply *r)
{
	struct records got = find(of_answer(r), s->owner, s->set.type);

	if (got.count) {
		compare_sets(d, &s->set, s->owner, got, r->aa);
		compare_signed(d, s->sigs.count != 0, has_signature(of_answer(r), s->owner, s->set.type));
		return;
	}
	if (q->type == RR_NSEC && find(of_answer(r), q->name, RR_CNAME).count)
		return;              /* some follow the alias */
	differs(d, r->rcode && r->rcode != RCODE_NXDOMAIN ? DIFFERENCE_RCODE : DIFFERENCE_MISSING);
	put_expected(d, &s->set, s->owner);
	put_got(d, q, r);
}

/* --- referrals --------------------------------------------------------------------------- */

/* The server answers for the zone below the cut as well, or has its records from there, and so does not refer to it. */
static bool answers_below(const struct saying *s, const struct reply *r)
{
	const struct rr *soa = first_of(of_authority(r), RR_SOA);

	return soa ? r->aa && name_is_under(soa->owner, s->owner) : r->answer_count > 0;
}

static void compare_referral(struct difference *d, const struct saying *s, const struct question *q, const struct reply *r, bool ttls)
{
	struct records got = find(of_authority(r), s->owner, RR_NS);

	d->owner = s->owner;
	d->type = RR_NS;
	if (answers_below(s, r))
		return;
	if (got.count && !r->rcode) {
		compare_sets(d, &s->set, s->owner, got, ttls);
		return;
	}
	differs(d, r->rcode && r->rcode != RCODE_NXDOMAIN ? DIFFERENCE_RCODE : DIFFERENCE_MISSING);
	put_expected(d, &s->set, s->owner);
	put_got(d, q, r);
}

/* --- what is not there ------------------------------------------------------------------- */

static void compare_proof(struct difference *d, const struct zone *zone, const struct reply *r)
{
	bool expected = zone->rrsigs && zone->denial != ZONE_DENIES_PLAINLY;
	bool got = first_of(of_authority(r), RR_NSEC) || first_of(of_authority(r), RR_NSEC3);
	bool hashed = expected ? zone->denial == ZONE_DENIES_BY_NSEC3 : first_of(of_authority(r), RR_NSEC3) != NULL;
	const char *word = hashed ? "NSEC3" : "NSEC", *no = hashed ? "no NSEC3" : "no NSEC";

	if (expected == got)
		return;
	differs(d, expected ? DIFFERENCE_UNSIGNED : DIFFERENCE_SIGNED);
	put_word(&d->expected, expected ? word : no);
	put_word(&d->got, got ? word : no);
}

static void compare_denial(struct difference *d, const struct zone *zone, const struct saying *s, const struct question *q,
	const struct reply *r)
{
	unsigned rcode = s->says == SAYS_NO_NAME ? RCODE_NXDOMAIN : RCODE_NOERROR;
	unsigned got = r->rcode == RCODE_NOERROR && is_compact_denial(r, q->name) ? (unsigned)RCODE_NXDOMAIN : r->rcode;
	bool records = false;

	for (size_t i = 0; i < r->answer_count; i++)
		records |= name_equal(r->answer[i].owner, q->name) && r->answer[i].type != RR_RRSIG;
	if (got == rcode && !records && !referral_of(r)) {
		compare_proof(d, zone, r);
		return;
	}
	differs(d, records ? DIFFERENCE_EXTRA : DIFFERENCE_RCODE);
	put_word(&d->expected, rcode ? "NXDOMAIN" : "NODATA");
	put_got(d, q, r);
}

enum compare_result compare_reply(const struct zone *zone, const struct question *q, const struct reply *r, bool authoritative, struct difference *d)
{
	struct saying s;

	if (r->outcome != REPLY_OK)
		return COMPARE_NO_ANSWER;
	d->owner = q->name;
	d->type = q->type;
	d->expected.length = d->got.length = 0;
	d->expected.full = d->got.full = false;
	d->expected.text[0] = d->got.text[0] = 0;
	say(zone, q, &s);
	switch (s.says) {
	case SAYS_SET:
		compare_answer(d, &s, q, r);
		break;
	case SAYS_REFERRAL:
		compare_referral(d, &s, q, r, authoritative);
		break;
	case SAYS_NO_DATA: case SAYS_NO_NAME:
		compare_denial(d, zone, &s, q, r);
		break;
	}
	return d->expected.length || d->got.length ? COMPARE_DIFFERS : COMPARE_SAME;
}

/* --- as a finding ------------------------------------------------------------------------ */

/* Lines become a line. In text of RDATA a semicolon is always escaped, or in quotes. NULL: there are none. */
static const char *one_line(const char *lines, char out[2 * DIFFERENCE_TEXT + 1])
{
	size_t n = 0, length = strnlen(lines, DIFFERENCE_TEXT);

	for (size_t i = 0; i + 1 < length; i++) {
		if (lines[i] == '\n')
			out[n++] = ';';
		out[n++] = lines[i] == '\n' ? ' ' : lines[i];
	}
	out[n] = 0;
	return n ? out : NULL;
}

bool difference_found(struct findings *findings, const char *server, const char *address, const uint8_t *owner, uint16_t type,
	enum difference_kind kind, const char *expected, const char *got)
{
	char name[NAME_TEXT_SIZE], word[RR_TYPE_TEXT], wanted[2 * DIFFERENCE_TEXT + 1], came[2 * DIFFERENCE_TEXT + 1];
	struct finding_place place = {server, address, name_text(owner, name), rr_type_text(type, word), one_line(expected, wanted),
		one_line(got, came)};

	return findings_add(findings, FINDING_ANSWER_DIFF, false, &place, "%s %s %s: expected %s, got %s", name, word, difference_text(kind),
		place.expected ? place.expected : "nothing more", place.got ? place.got : "nothing");
}
