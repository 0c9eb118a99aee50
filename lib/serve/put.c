#include "serve/put.h"

/* NS MD MF CNAME SOA MB MG MR PTR MINFO MX: the names in their RDATA are compressed on sending (RFC 3597 4); all other
 * records go as they lie. */
static bool is_compressible(uint16_t type)
{
	return type < 16 && 0xd3fc >> type & 1;
}

bool put_rrset_capped(struct msg_writer *writer, enum msg_section section, const struct zone_rrset *set, const uint8_t *owner,
	uint32_t ttl_max)
{
	struct msg_mark before = msg_mark(writer);
	uint32_t at = 0;
	struct rr rr;

	while (zone_rrset_next(set, &at, owner, &rr)) {
		if (rr.ttl > ttl_max)
			rr.ttl = ttl_max;
		if (!msg_put_rr(writer, section, &rr)) {
			msg_rollback(writer, before);
			return false;
		}
	}
	return true;
}

enum { POINTER = 0xc000 };

/* The owners of the records from `from` to `end`. */
static void set_owners(uint8_t *from, const uint8_t *end, unsigned at)
{
	for (; from < end; from += ZONE_RR_HEAD + get_u16(from + 10))
		put_u16(from, (uint16_t)(POINTER | at));
}

/* As the records lie, but for their owners. */
static bool put_as_is(struct msg_writer *writer, enum msg_section section, const struct zone_rrset *set, unsigned at)
{
	uint8_t *first = writer->buf.at;

	if (!msg_put_ready(writer, section, set->records, set->size, set->count))
		return false;
	if (at != MSG_HEADER)
		set_owners(first, first + set->size, at);
	return true;
}

bool put_rrset(struct msg_writer *writer, enum msg_section section, const struct zone_rrset *set, const uint8_t *owner, unsigned at)
{
	return at && !is_compressible(set->type) ? put_as_is(writer, section, set, at) :
		put_rrset_capped(writer, section, set, owner, UINT32_MAX);
}

/* As the records lie, the first one's owner in words: for a name that no other will share a part of, as a hash. */
static bool put_with_owner(struct msg_writer *writer, enum msg_section section, const struct zone_rrset *set, const struct zone_node *node)
{
	size_t name = node->name_length, tail = writer->anchor.octets ? 2 : 1;
	unsigned here = (unsigned)wbuf_used(&writer->buf);
	uint8_t *out;

	if (wbuf_left(&writer->buf) < name + tail + set->size - 2)
		return false;
	out = wbuf_room(&writer->buf, name + tail + set->size - 2);
	memcpy(out, node->name, name);
	if (writer->anchor.octets)
		put_u16(out + name, (uint16_t)(POINTER | writer->anchor.at));
	else
		out[name] = 0;
	out += name + tail;
	memcpy(out, set->records + 2, set->size - 2);
	set_owners(out + 10 + get_u16(out + 8), out + set->size - 2, here);
	writer->count[section] = (uint16_t)(writer->count[section] + set->count);
	return true;
}

bool put_rrset_of(struct msg_writer *writer, enum msg_section section, const struct zone_rrset *set, const struct zone *zone,
	const struct zone_node *node, unsigned *at)
{
	uint8_t owner[NAME_SIZE];

	if (*at || !set->count)
		return put_rrset(writer, section, set, zone->apex, *at ? *at : MSG_HEADER);
	if (set->type == RR_NSEC3 && writer->anchor.name == zone->apex && wbuf_used(&writer->buf) <= MSG_POINTER_MAX) {
		*at = (unsigned)wbuf_used(&writer->buf);
		return put_with_owner(writer, section, set, node);
	}
	zone_node_name(zone, node, owner);
	return put_rrset_capped(writer, section, set, owner, UINT32_MAX);
}

/* A name of the zone, its end by a pointer to the apex, without a look at what else is in the message. */
static void put_near(struct wbuf *out, const struct msg_writer *writer, const struct zone *zone, const uint8_t *name)
{
	size_t length = name_length(name);

	if (!name_ends_in(name, length, zone->apex, 1u + zone->origin.octets)) {
		wbuf_bytes(out, name, length);
		return;
	}
	wbuf_bytes(out, name, length - 1 - zone->origin.octets);
	wbuf_u16(out, (uint16_t)(POINTER | writer->anchor.at));
}

/* Every denial has it: so as it can be had with few steps. */
static bool put_soa_near(struct msg_writer *writer, enum msg_section section, const struct zone *zone, const struct rr *soa, uint32_t ttl)
{
	uint8_t bytes[12 + 2 * NAME_SIZE + 20], *length;
	struct wbuf out = wbuf_of(bytes, sizeof bytes);
	const uint8_t *rname = soa->rdata + name_length(soa->rdata);

	wbuf_u16(&out, (uint16_t)(POINTER | writer->anchor.at));
	wbuf_u16(&out, RR_SOA);
	wbuf_u16(&out, CLASS_IN);
	wbuf_u32(&out, ttl);
	length = wbuf_room(&out, 2);
	put_near(&out, writer, zone, soa->rdata);
	put_near(&out, writer, zone, rname);
	wbuf_bytes(&out, soa->rdata + soa->rdlength - 20, 20);
	put_u16(length, (uint16_t)(out.at - length - 2));
	return msg_put_ready(writer, section, bytes, wbuf_used(&out), 1);
}

static bool put_soa_alone(struct msg_writer *writer, enum msg_section section, const struct zone *zone, const struct zone_rrset *set,
	uint32_t ttl_max)
{
	uint32_t at = 0;
	struct rr soa;

	if (!writer->anchor.octets || !zone_rrset_next(set, &at, zone->apex, &soa))
		return put_rrset_capped(writer, section, set, zone->apex, ttl_max);
	return put_soa_near(writer, section, zone, &soa, soa.ttl < ttl_max ? soa.ttl : ttl_max);
}

bool put_soa(struct msg_writer *writer, enum msg_section section, const struct zone *zone, uint32_t ttl_max, bool signed_too)
{
	struct msg_mark before = msg_mark(writer);
	struct zone_rrset soa, sigs;

	if (!zone_node_rrset(zone->apex_node, RR_SOA, &soa, &sigs) || !put_soa_alone(writer, section, zone, &soa, ttl_max))
		return false;
	if (!signed_too || put_rrset_capped(writer, section, &sigs, zone->apex, ttl_max))
		return true;
	msg_rollback(writer, before);
	return false;
}

/* --- referrals ------------------------------------------------------------------------ */

/* What is known of the place where a host's name goes on: the number of its octets that are written before, and the place. */
struct junction {
	size_t octets;
	unsigned at;                 /* 0: the root */
};

/* What the names of a referral have in common with its hosts'. */
struct cut {
	const uint8_t *name;
	size_t octets;               /* with the root label */
	unsigned at;
};

/* Nameservers often share all labels but the first with each other, or end in the cut's name, or in the zone's. */
static struct junction find_junction(const struct msg_writer *writer, const struct zone *zone, const struct cut *cut,
	const struct put_hosts *hosts, struct put_host *host)
{
	const uint8_t *parent = *host->name ? name_parent(host->name) : host->name;
	size_t octets = name_length(host->name);

	host->below = name_ends_in(host->name, octets, cut->name, cut->octets);
	for (unsigned i = hosts->count; i-- > 0 && *parent;)
		if (hosts->host[i].parent_at && name_equal(parent, name_parent(hosts->host[i].name)))
			return (struct junction){1 + (size_t)*host->name, hosts->host[i].parent_at};
	if (host->below)
		return (struct junction){octets - cut->octets, cut->at};
	if (zone->origin.octets && name_ends_in(host->name, octets, zone->apex, 1u + zone->origin.octets))
		return (struct junction){octets - 1 - zone->origin.octets, writer->anchor.at};
	return (struct junction){octets - 1, 0};
}

static void put_host(struct msg_writer *writer, const struct zone *zone, const struct cut *cut, struct put_hosts *hosts, const uint8_t *name)
{
	struct put_host host = {.name = name};
	struct junction on = find_junction(writer, zone, cut, hosts, &host);
	size_t here = wbuf_used(&writer->buf), first = 1 + (size_t)*name;

	wbuf_bytes(&writer->buf, name, on.octets);
	if (on.at)
		wbuf_u16(&writer->buf, (uint16_t)(POINTER | on.at));
	else
		wbuf_u8(&writer->buf, 0);
	if (hosts->count == PUT_HOSTS || here + first > MSG_POINTER_MAX)
		return;
	host.at = (uint16_t)(on.octets ? here : on.at);
	host.parent_at = (uint16_t)(on.octets > first ? here + first : on.octets == first ? on.at : 0);
	hosts->host[hosts->count++] = host;
}

bool put_ns(struct msg_writer *writer, enum msg_section section, const struct zone_rrset *set, const struct zone *zone, const uint8_t *name,
	unsigned at, struct put_hosts *hosts)
{
	struct cut cut = {name, name_length(name), at};
	struct msg_mark before = msg_mark(writer);
	uint32_t next = 0;
	struct rr rr;

	hosts->count = 0;
	if (writer->anchor.name != zone->apex)
		return put_rrset(writer, section, set, name, at);
	while (zone_rrset_next(set, &next, name, &rr)) {
		uint8_t *head = wbuf_room(&writer->buf, ZONE_RR_HEAD);

		if (head) {
			memcpy(head, rr.rdata - ZONE_RR_HEAD, ZONE_RR_HEAD - 2);
			put_u16(head, (uint16_t)(POINTER | at));
		}
		put_host(writer, zone, &cut, hosts, rr.rdata);
		if (writer->buf.bad) {
			msg_rollback(writer, before);
			hosts->count = 0;
			return put_rrset(writer, section, set, name, at);     /* which compresses whatever can be */
		}
		put_u16(head + 10, (uint16_t)(writer->buf.at - head - ZONE_RR_HEAD));
		writer->count[section]++;
	}
	return true;
}
