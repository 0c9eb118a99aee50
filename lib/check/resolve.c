#include "check/resolve.h"

#include "dns/msg.h"
#include "dns/name.h"

#include <stdio.h>
#include <string.h>

size_t resolve_system(const char *path, struct net_addr out[RESOLVE_SYSTEM_MAX])
{
	FILE *file = fopen(path, "re");
	char line[512], address[NET_ADDR_TEXT];
	size_t count = 0;

	while (file && count < RESOLVE_SYSTEM_MAX && fgets(line, sizeof line, file))
		if (sscanf(line, "nameserver %79s", address) == 1 && !net_addr_parse(&out[count], address, 53, NULL))
			count++;
	if (file)
		fclose(file);
	if (count == 0)
		net_addr_parse(&out[count++], "127.0.0.1", 53, NULL);
	return count;
}

/* One that only refers elsewhere does not resolve. */
bool resolve_told(const struct reply *reply)
{
	if (!reply || reply->outcome != REPLY_OK || reply->tc)
		return false;
	if (reply->rcode != RCODE_NOERROR && reply->rcode != RCODE_NXDOMAIN)
		return false;
	return reply->ra || reply->aa || reply->answer_count > 0;
}

const struct rr *resolve_find(const struct reply *reply, const uint8_t *name, uint16_t type, size_t *count)
{
	*count = 0;
	if (!resolve_told(reply))
		return NULL;
	for (unsigned i = 0; i <= RESOLVE_ALIASES; i++) {
		const struct rr *found = reply_find(reply->answer, reply->answer_count, name, type, count), *alias;
		size_t aliases;

		if (found)
			return found;
		alias = reply_find(reply->answer, reply->answer_count, name, RR_CNAME, &aliases);
		if (!alias)
			return NULL;
		name = alias->rdata;
	}
	return NULL;
}

struct net_addr resolve_address(const struct rr *rr, uint16_t port)
{
	struct net_addr address;

	memset(&address, 0, sizeof address);
	if (rr->type == RR_A) {
		address.v4.sin_family = AF_INET;
		memcpy(&address.v4.sin_addr, rr->rdata, 4);
	} else {
		address.v6.sin6_family = AF_INET6;
		memcpy(&address.v6.sin6_addr, rr->rdata, 16);
	}
	net_set_port(&address, port);
	return address;
}

static const uint8_t *apex_in(const struct rr *section, size_t count, const uint8_t *name)
{
	for (size_t i = 0; i < count; i++)
		if (section[i].type == RR_SOA && section[i].class == CLASS_IN && name_is_under(name, section[i].owner))
			return section[i].owner;
	return NULL;
}

const uint8_t *resolve_apex(const struct reply *reply, const uint8_t *name)
{
	const uint8_t *apex = apex_in(reply->answer, reply->answer_count, name);

	return apex ? apex : apex_in(reply->authority, reply->authority_count, name);
}

const uint8_t *resolve_denial(const struct reply *reply, const uint8_t *zone)
{
	const uint8_t *apex;
	bool as_child;
	size_t count;

	if (!reply_told(reply) || !reply->aa || reply_delegation(reply, zone, &as_child, &count))
		return NULL;
	apex = resolve_apex(reply, zone);
	return apex && !name_equal(apex, zone) ? apex : NULL;
}
