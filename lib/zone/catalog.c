#include "zone/catalog.h"

#include "base/array.h"
#include "dns/nsec3.h"
#include "zone/build.h"

#include <stdlib.h>
#include <string.h>

enum { LABELS = 3 };         /* most labels below the apex that mean something */

static const uint8_t version_label[] = "\7version", zones_label[] = "\5zones", group_label[] = "\5group", coo_label[] = "\3coo";

static bool label_equal(const uint8_t *a, const uint8_t *b)
{
	return *a == *b && name_octets_equal(a + 1, b + 1, *a);
}

/* --- reading -------------------------------------------------------------- */

/* What is being read. */
struct reading {
	const struct zone *zone;
	unsigned apex_labels;
	struct catalog *out;
	size_t room;
	uint64_t most;
	bool versioned;
	struct why *why;
};

static enum err broken(const struct reading *r, const uint8_t *name, const char *what)
{
	char text[NAME_TEXT_SIZE];

	return err_why(r->why, ERR_ZONE, "%.250s: %s", name_text(name, text), what);
}

static enum err no_memory(const struct reading *r)
{
	return err_why(r->why, ERR_NOMEM, "out of memory");
}

/* The TXT or PTR record there; rr->rdata NULL: there is none. Several are an error. */
static enum err only_record(const struct reading *r, const uint8_t *name, const struct zone_node *node, uint16_t type, struct rr *rr)
{
	struct zone_rrset set;
	uint32_t at = 0;

	*rr = (struct rr){0};
	if (!zone_node_rrset(node, type, &set, NULL))
		return ERR_OK;
	if (set.count != 1)
		return broken(r, name, type == RR_TXT ? "more than one TXT record" : "more than one PTR record");
	zone_rrset_next(&set, &at, name, rr);
	return ERR_OK;
}

static enum err read_version(struct reading *r, const uint8_t *name, const struct zone_node *node)
{
	struct rr rr;
	enum err err = only_record(r, name, node, RR_TXT, &rr);

	if (err || !rr.rdata)
		return err;
	if (rr.rdlength != 2 || memcmp(rr.rdata, "\1" "2", 2) != 0)
		return broken(r, name, "the version of the catalog is not \"2\"");
	r->versioned = true;
	return ERR_OK;
}

static uint8_t *keep_name(struct reading *r, const uint8_t *name)
{
	uint8_t lower[NAME_SIZE];

	return arena_dup(&r->out->arena, lower, name_lower(name, lower));
}

static uint8_t *keep_label(struct reading *r, const uint8_t *label)
{
	uint8_t *copy = arena_dup(&r->out->arena, label, 1 + (size_t)*label);

	for (unsigned i = 1; copy && i <= *label; i++)
		copy[i] = name_octet_lower(copy[i]);
	return copy;
}

static struct catalog_member *add_member(struct reading *r)
{
	struct catalog *out = r->out;

	return array_room(out->members, r->room, out->count + 1) ? &out->members[out->count++] : NULL;
}

/* At ID.zones. */
static enum err read_member(struct reading *r, const uint8_t *name, const struct zone_node *node)
{
	struct catalog_member *member;
	struct rr rr;
	enum err err = only_record(r, name, node, RR_PTR, &rr);

	if (err || !rr.rdata)
		return err;
	if (r->out->count >= r->most)
		return err_why(r->why, ERR_LIMIT, "more than %llu members (catalog-members-max)", (unsigned long long)r->most);
	member = add_member(r);
	if (!member)
		return no_memory(r);
	*member = (struct catalog_member){.name = keep_name(r, rr.rdata), .id = keep_label(r, name)};
	return member->name && member->id ? ERR_OK : no_memory(r);
}

/* The member whose node was met last, if `id` is its label: what is below it comes directly behind it. */
static struct catalog_member *member_above(const struct reading *r, const uint8_t *id)
{
	struct catalog_member *last = r->out->count ? &r->out->members[r->out->count - 1] : NULL;

	return last && label_equal(last->id, id) ? last : NULL;
}

static enum err read_group(struct reading *r, struct catalog_member *member, const uint8_t *name, const struct zone_node *node)
{
	struct zone_rrset set;
	uint32_t at = 0;
	struct rr rr;
	char *text;

	if (!zone_node_rrset(node, RR_TXT, &set, NULL) || !zone_rrset_next(&set, &at, name, &rr))
		return ERR_OK;
	if (!*rr.rdata || memchr(rr.rdata + 1, 0, *rr.rdata))
		return ERR_OK;
	text = arena_zero(&r->out->arena, *rr.rdata + 1u);
	if (!text)
		return no_memory(r);
	memcpy(text, rr.rdata + 1, *rr.rdata);
	member->group = text;
	return ERR_OK;
}

static enum err read_coo(struct reading *r, struct catalog_member *member, const uint8_t *name, const struct zone_node *node)
{
	struct rr rr;
	enum err err = only_record(r, name, node, RR_PTR, &rr);

	if (err || !rr.rdata)
		return err;
	member->coo = keep_name(r, rr.rdata);
	return member->coo ? ERR_OK : no_memory(r);
}

static enum err read_node(struct reading *r, const uint8_t *name, const struct zone_node *node)
{
	unsigned labels = name_labels(name) - r->apex_labels;
	const uint8_t *label[LABELS] = {name};
	struct catalog_member *member;

	for (unsigned i = 1; i < labels && i < LABELS; i++)
		label[i] = name_parent(label[i - 1]);
	if (labels == 1 && label_equal(label[0], version_label))
		return read_version(r, name, node);
	if (labels == 2 && label_equal(label[1], zones_label))
		return read_member(r, name, node);
	member = labels == 3 && label_equal(label[2], zones_label) ? member_above(r, label[1]) : NULL;
	if (member && label_equal(label[0], group_label))
		return read_group(r, member, name, node);
	if (member && label_equal(label[0], coo_label))
		return read_coo(r, member, name, node);
	return ERR_OK;
}

static int by_name(const void *a, const void *b)
{
	const struct catalog_member *x = a, *y = b;

	return name_compare(x->name, y->name);
}

static enum err check_members(struct reading *r)
{
	struct catalog *out = r->out;

	if (!r->versioned)
		return broken(r, r->zone->apex, "it is no catalog: there is no TXT record at the label \"version\"");
	if (out->count)
		qsort(out->members, out->count, sizeof *out->members, by_name);
	for (size_t i = 1; i < out->count; i++)
		if (name_equal(out->members[i - 1].name, out->members[i].name))
			return broken(r, out->members[i].name, "a member under two labels");
	return ERR_OK;
}

enum err catalog_read(const struct zone *zone, uint64_t most, struct catalog *out, struct why *why)
{
	struct reading r = {.zone = zone, .apex_labels = name_labels(zone->apex), .out = out, .most = most, .why = why};
	const struct zone_node *node;
	struct zone_walk walk;
	uint8_t name[NAME_SIZE];
	enum err err = ERR_OK;

	*out = (struct catalog){.arena = ARENA_INIT};
	zone_walk(&walk, zone);
	while (!err && (node = zone_walk_next(&walk, name)))
		err = read_node(&r, name, node);
	if (!err)
		err = check_members(&r);
	if (err)
		catalog_release(out);
	return err;
}

void catalog_release(struct catalog *catalog)
{
	free(catalog->members);
	arena_release(&catalog->arena);
	*catalog = (struct catalog){.arena = ARENA_INIT};
}

/* [property.]ID.zones.APEX; false: too long. `property` and `id` are labels, the first may be NULL. */
static bool node_name(const uint8_t *property, const uint8_t *id, const uint8_t *apex, uint8_t out[NAME_SIZE])
{
	uint8_t prefix[3 * 64];
	const uint8_t *part[] = {property, id, zones_label};
	size_t used = 0;

	for (unsigned i = 0; i < sizeof part / sizeof *part; i++) {
		if (!part[i])
			continue;
		memcpy(prefix + used, part[i], 1 + (size_t)*part[i]);
		used += 1 + (size_t)*part[i];
	}
	return name_join(prefix, used, apex, out) != 0;
}

bool catalog_coo(const struct zone *zone, const uint8_t *id, uint8_t out[NAME_SIZE])
{
	const struct zone_node *node;
	uint8_t name[NAME_SIZE];
	struct zone_rrset set;
	uint32_t at = 0;
	struct rr rr;

	if (!node_name(coo_label, id, zone->apex, name))
		return false;
	node = zone_find_node(zone, name);
	if (!node || !zone_node_rrset(node, RR_PTR, &set, NULL) || set.count != 1)
		return false;
	zone_rrset_next(&set, &at, name, &rr);
	name_lower(rr.rdata, out);
	return true;
}

/* --- making --------------------------------------------------------------- */

void catalog_id(const uint8_t *name, uint8_t id[CATALOG_ID])
{
	static const char digits[] = "0123456789abcdef";
	uint8_t hash[NSEC3_HASH];

	nsec3_hash(name, (const uint8_t *)"", 0, 0, hash);
	id[0] = CATALOG_ID - 1;
	for (unsigned i = 0; i < NSEC3_HASH; i++) {
		id[1 + 2 * i] = (uint8_t)digits[hash[i] >> 4];
		id[2 + 2 * i] = (uint8_t)digits[hash[i] & 15];
	}
}

static enum err put(struct build *build, const uint8_t *owner, uint16_t type, const void *rdata, size_t length, struct why *why)
{
	struct rr rr = {.owner = owner, .type = type, .class = CLASS_IN, .rdlength = (uint16_t)length, .ttl = 0, .rdata = rdata};

	return build_add(build, &rr, why);
}

/* SOA and NS name nothing that exists (RFC 9432 4); the timers are those of its examples. */
static enum err put_head(struct build *build, const uint8_t *apex, struct serial serial, struct why *why)
{
	static const uint8_t invalid[] = "\7invalid";
	uint8_t soa[2 * sizeof invalid + 20], name[NAME_SIZE];
	struct wbuf b = wbuf_of(soa, sizeof soa);
	enum err err;

	wbuf_bytes(&b, invalid, sizeof invalid);
	wbuf_bytes(&b, invalid, sizeof invalid);
	wbuf_u32(&b, serial.v);
	wbuf_u32(&b, 3600);
	wbuf_u32(&b, 600);
	wbuf_u32(&b, 2147483646);
	wbuf_u32(&b, 0);
	err = put(build, apex, RR_SOA, soa, sizeof soa, why);
	if (!err)
		err = put(build, apex, RR_NS, invalid, sizeof invalid, why);
	if (!err && !name_join(version_label, sizeof version_label - 1, apex, name))
		err = err_why(why, ERR_LIMIT, "the catalog's name is too long");
	return err ? err : put(build, name, RR_TXT, "\1" "2", 2, why);
}

static enum err put_member(struct build *build, const uint8_t *apex, const struct catalog_member *member, struct why *why)
{
	uint8_t name[NAME_SIZE], text[1 + CATALOG_GROUP_MAX];
	size_t length = member->group ? strlen(member->group) : 0;
	enum err err;

	if (!node_name(group_label, member->id, apex, name) || length > CATALOG_GROUP_MAX)
		return err_why(why, ERR_LIMIT, "the catalog's name, or a group's, is too long");
	node_name(NULL, member->id, apex, name);
	err = put(build, name, RR_PTR, member->name, name_length(member->name), why);
	if (!err && length) {
		text[0] = (uint8_t)length;
		memcpy(text + 1, member->group, length);
		node_name(group_label, member->id, apex, name);
		err = put(build, name, RR_TXT, text, 1 + length, why);
	}
	if (!err && member->coo) {
		node_name(coo_label, member->id, apex, name);
		err = put(build, name, RR_PTR, member->coo, name_length(member->coo), why);
	}
	return err;
}

enum err catalog_make(const uint8_t *apex, const struct catalog_member *members, size_t count, struct serial serial, struct zone **out,
	struct why *why)
{
	struct build *build = build_new(apex, NULL, (struct build_limits){0});
	enum err err;

	if (!build)
		return err_why(why, ERR_NOMEM, "out of memory");
	err = put_head(build, apex, serial, why);
	for (size_t i = 0; i < count && !err; i++)
		err = put_member(build, apex, &members[i], why);
	if (!err)
		return build_finish(build, out, why);
	build_free(build);
	return err;
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_name(const uint8_t *a, const uint8_t *b)
{
	return a == b || (a && b && name_equal(a, b));
}

bool catalog_same(const struct catalog *catalog, const struct catalog_member *members, size_t count)
{
	if (catalog->count != count)
		return false;
	for (size_t i = 0; i < count; i++) {
		const struct catalog_member *x = &catalog->members[i], *y = &members[i];

		if (!name_equal(x->name, y->name) || !label_equal(x->id, y->id) || !same_text(x->group, y->group) || !same_name(x->coo, y->coo))
			return false;
	}
	return true;
}
