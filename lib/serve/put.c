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

bool put_soa(struct msg_writer *writer, enum msg_section section, const struct zone *zone, uint32_t ttl_max, bool signed_too)
{
	struct msg_mark before = msg_mark(writer);
	struct zone_rrset soa, sigs;

	if (!zone_node_rrset(zone->apex_node, RR_SOA, &soa, &sigs) || !put_rrset_capped(writer, section, &soa, zone->apex, ttl_max))
		return false;
	if (!signed_too || put_rrset_capped(writer, section, &sigs, zone->apex, ttl_max))
		return true;
	msg_rollback(writer, before);
	return false;
}
