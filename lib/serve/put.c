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

bool put_rrset(struct msg_writer *writer, enum msg_section section, const struct zone_rrset *set, const uint8_t *owner,
	enum put_owner place)
{
	if (place == PUT_OWNER_QUESTION && !is_compressible(set->type))
		return msg_put_ready(writer, section, set->records, set->size, set->count);
	return put_rrset_capped(writer, section, set, owner, UINT32_MAX);
}

/* A name of the zone, its end by a pointer to the apex, without a look at what else is in the message. */
static void put_near(struct wbuf *out, const struct msg_writer *writer, const struct zone *zone, const uint8_t *name)
{
	size_t length = name_length(name);

	if (!name_is_under(name, zone->apex)) {
		wbuf_bytes(out, name, length);
		return;
	}
	wbuf_bytes(out, name, length - 1 - zone->origin.octets);
	wbuf_u16(out, (uint16_t)(0xc000 | writer->anchor.at));
}

/* Every denial has it: so as it can be had with few steps. */
static bool put_soa_near(struct msg_writer *writer, enum msg_section section, const struct zone *zone, const struct rr *soa, uint32_t ttl)
{
	uint8_t bytes[12 + 2 * NAME_SIZE + 20], *length;
	struct wbuf out = wbuf_of(bytes, sizeof bytes);
	const uint8_t *rname = soa->rdata + name_length(soa->rdata);

	wbuf_u16(&out, (uint16_t)(0xc000 | writer->anchor.at));
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
