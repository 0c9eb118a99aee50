#include "check/signed.h"

#include "check/serials.h"
#include "dns/rrtext.h"
#include "zone/build.h"
#include "zone/signature.h"

#include <ldns/ldns.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

enum {
	KEYS_MAX = 32,               /* of one server that are looked at: hostile sets must not cost without end */
	SIGS_MAX = 16,
	VERIFY_MAX = 64,             /* verifications for all servers of a zone, in equal shares, */
	VERIFY_LEAST = 4,            /* but so many for each */
	ZONE_KEY = 0x0100, REVOKED = 0x0080, SEP = 0x0001,
	DS_HEAD = 4,
};

static const struct rr *keys_of(const struct facts *facts, const struct facts_server *server, size_t *count)
{
	const struct rr *keys = facts_apex(facts, server->server->dnskey, RR_DNSKEY, count);

	if (*count > KEYS_MAX)
		*count = KEYS_MAX;
	return keys;
}

static uint16_t tag_of(const struct rr *key)
{
	return ldns_calc_keytag_raw(key->rdata, key->rdlength);
}

static bool was_told(const struct facts_server *server, const struct reply *reply)
{
	return server->soa && facts_is_good(reply);
}

/* --- RFC 8901 -------------------------------------------------------------------- */

/* Whether the server's SOA record has a signature of this algorithm and key tag. */
static bool signs_with(const struct facts *facts, const struct facts_server *server, uint8_t algorithm, uint16_t tag)
{
	size_t count;
	const struct rr *sigs = facts_apex(facts, server->first, RR_RRSIG, &count);

	for (size_t i = 0; i < count; i++)
		if (rr_covered(sigs[i].rdata) == RR_SOA && sigs[i].rdata[2] == algorithm && get_u16(sigs[i].rdata + 16) == tag)
			return true;
	return false;
}

/* A key that signs data must be in the DNSKEY set of every server, of whatever signer (RFC 8901 2.1); a key that is for keys alone need not. */
static bool is_wanted_everywhere(const struct facts *facts, const struct facts_server *server, const struct rr *key)
{
	uint16_t flags = get_u16(key->rdata);

	if (!(flags & ZONE_KEY) || flags & REVOKED)
		return false;
	return !(flags & SEP) || signs_with(facts, server, key->rdata[3], tag_of(key));
}

static bool has_key(const struct rr *keys, size_t count, const struct rr *key)
{
	for (size_t i = 0; i < count; i++)
		if (facts_same_records(&keys[i], 1, key, 1))
			return true;
	return false;
}

/* Who lacks a key that this server has, and that is wanted everywhere. */
static void judge_keys_of(const struct facts *facts, const struct facts_server *server)
{
	size_t count, other_count;
	const struct rr *keys = keys_of(facts, server, &count);

	for (size_t i = 0; i < count; i++) {
		if (!is_wanted_everywhere(facts, server, &keys[i]))
			continue;
		for (size_t j = 0; j < facts->server_count; j++) {
			const struct facts_server *other = &facts->servers[j];
			const struct rr *others = keys_of(facts, other, &other_count);

			if (was_told(other, other->server->dnskey) && !has_key(others, other_count, &keys[i]))
				FOUND_AT(facts, FINDING_DNSKEY_SPLIT, false, other,
					"its DNSKEY set lacks the key %u (algorithm %u), with which data is signed elsewhere",
					tag_of(&keys[i]), keys[i].rdata[3]);
		}
	}
}

static bool signs_soa(const struct facts *facts, size_t i)
{
	return facts->servers[i].is_signed;
}

static bool alike_algorithms(const struct facts *facts, size_t i, size_t j)
{
	return memcmp(facts->servers[i].signs, facts->servers[j].signs, sizeof facts->servers[i].signs) == 0;
}

static void judge_keys(const struct facts *facts)
{
	size_t common = facts_commonest(facts, signs_soa, alike_algorithms);

	for (size_t i = 0; i < facts->server_count; i++) {
		const struct facts_server *server = &facts->servers[i];

		if (!was_told(server, server->server->dnskey))
			continue;
		judge_keys_of(facts, server);
		if (common < facts->server_count && signs_soa(facts, i) && !alike_algorithms(facts, i, common))
			FOUND_AT(facts, FINDING_DNSKEY_SPLIT, false, server,
				"it signs with other algorithms than most: several signers must use the same ones");
	}
}

/* --- RFC 9975 -------------------------------------------------------------------- */

#define ALIKE(member, type) \
	static bool has_##member(const struct facts *facts, size_t i) \
	{ \
		return was_told(&facts->servers[i], facts->servers[i].server->member); \
	} \
	static bool alike_##member(const struct facts *facts, size_t i, size_t j) \
	{ \
		size_t n, m; \
		const struct rr *a = facts_apex(facts, facts->servers[i].server->member, type, &n); \
		const struct rr *b = facts_apex(facts, facts->servers[j].server->member, type, &m); \
\
		return facts_same_records(a, n, b, m); \
	}
ALIKE(cds, RR_CDS)
ALIKE(cdnskey, RR_CDNSKEY)
ALIKE(csync, RR_CSYNC)

static void judge_alike(const struct facts *facts, enum finding_id id, uint16_t type, facts_has_it *has, facts_alike *alike)
{
	size_t common = facts_commonest(facts, has, alike);
	char text[RR_TYPE_TEXT];

	for (size_t i = 0; i < facts->server_count; i++)
		if (has(facts, i) && !alike(facts, i, common))
			FOUND_AT(facts, id, false, &facts->servers[i],
				"its %s records are not those of most other servers: the parent must not act on them",
				rr_type_text(type, text));
}

/* --- the parent's DS ------------------------------------------------------------- */

static const EVP_MD *digest_of(uint8_t type)
{
	switch (type) {
	case 1:
		return EVP_sha1();
	case 2:
		return EVP_sha256();
	case 4:
		return EVP_sha384();
	default:
		return NULL;
	}
}

static bool is_known_algorithm(uint8_t algorithm)
{
	switch (algorithm) {
	case LDNS_RSASHA1: case LDNS_RSASHA1_NSEC3: case LDNS_RSASHA256: case LDNS_RSASHA512: case LDNS_ECDSAP256SHA256: case LDNS_ECDSAP384SHA384:
	case LDNS_ED25519: case LDNS_ED448:
		return true;
	default:
		return false;
	}
}

/* A validator that knows none of the zone's DS records takes it as unsigned (RFC 4035 5.2). */
static bool is_known_ds(const struct rr *ds)
{
	return ds->rdlength > DS_HEAD && is_known_algorithm(ds->rdata[2]) && digest_of(ds->rdata[3]);
}

/* RFC 4034 5.1.4: over the owner in canonical form, and RDATA. */
static bool fits(const uint8_t *zone, const struct rr *ds, const struct rr *key)
{
	uint8_t octets[NAME_SIZE + UINT16_MAX], digest[EVP_MAX_MD_SIZE];
	size_t n = name_lower(zone, octets);
	unsigned length = 0;

	if (!(get_u16(key->rdata) & ZONE_KEY) || ds->rdata[2] != key->rdata[3] || get_u16(ds->rdata) != tag_of(key))
		return false;
	memcpy(octets + n, key->rdata, key->rdlength);
	return EVP_Digest(octets, n + key->rdlength, digest, &length, digest_of(ds->rdata[3]), NULL) == 1 && length + DS_HEAD == ds->rdlength &&
		memcmp(digest, ds->rdata + DS_HEAD, length) == 0;
}

/* The DS records of one of the parent's servers; those of the first that has any. */
static const struct rr *parent_ds(const struct facts *facts, size_t *count)
{
	for (size_t i = 0; i < facts->survey->parent_count; i++) {
		const struct rr *ds = facts_apex(facts, facts->survey->parents[i].ds, RR_DS, count);

		for (size_t j = 0; j < *count; j++)
			if (is_known_ds(&ds[j]))
				return ds;
	}
	*count = 0;
	return NULL;
}

/* Whether one of the first KEYS_MAX fits one of as many DS records. */
static bool is_trusted(const struct facts *facts, const struct rr *ds, size_t count, const struct rr *key)
{
	for (size_t i = 0; i < count && i < KEYS_MAX; i++)
		if (is_known_ds(&ds[i]) && fits(facts->survey->zone, &ds[i], key))
			return true;
	return false;
}

/* --- signatures ------------------------------------------------------------------ */

static enum err add_all(struct build *build, const struct rr *rrs, size_t count, struct why *why)
{
	enum err err = ERR_OK;

	for (size_t i = 0; i < count && !err; i++)
		err = build_add(build, &rrs[i], why);
	return err;
}

/* The apex as records of a version of a zone, with these keys. */
static enum err add_apex(const struct facts *facts, const struct facts_server *server, const struct rr *keys, const bool *chosen,
	size_t key_count, struct build *build, struct why *why)
{
	const struct reply *replies[] = {server->first, server->server->ns_set, server->server->dnskey};
	const struct rr nobody = {.owner = facts->survey->zone, .type = RR_NS, .class = CLASS_IN, .rdlength = 1, .rdata = (const uint8_t *)""};
	enum err err = build_add(build, server->soa, why);
	size_t count;

	for (size_t i = 0; !err && i < key_count; i++)
		err = chosen[i] ? build_add(build, &keys[i], why) : ERR_OK;
	for (size_t i = 0; !err && i < sizeof replies / sizeof *replies; i++) {
		const struct rr *sigs = facts_apex(facts, replies[i], RR_RRSIG, &count);

		err = add_all(build, sigs, count < SIGS_MAX ? count : SIGS_MAX, why);
	}
	if (err)
		return err;
	if (!server->ns_rrs)
		return build_add(build, &nobody, why);
	facts_apex(facts, server->server->ns_set, RR_NS, &count);
	return add_all(build, server->ns_rrs, count, why);
}

/* It may fail for what the server shows, too. */
static enum err apex_of(const struct facts *facts, const struct facts_server *server, const struct rr *keys, const bool *chosen,
	size_t key_count, struct zone **out, struct why *why)
{
	struct build *build = build_new(facts->survey->zone, NULL, (struct build_limits){0});
	enum err err;

	if (!build)
		return err_why(why, ERR_NOMEM, "out of memory");
	err = add_apex(facts, server, keys, chosen, key_count, build, why);
	if (!err)
		return build_finish(build, out, why);
	build_free(build);
	return err;
}

/* The latest end of those that have ended; `now`: none has. */
static int64_t latest_end(const struct zone_rrset *sigs, const uint8_t *owner, int64_t now)
{
	int32_t latest = INT32_MIN;
	struct rr sig;
	uint32_t at = 0;

	while (zone_rrset_next(sigs, &at, owner, &sig)) {
		int32_t left = (int32_t)(get_u32(sig.rdata + 8) - (uint32_t)now);

		if (left < 0 && left > latest)
			latest = left;
	}
	return latest == INT32_MIN ? now : now + latest;
}

/* Whether an RRset of the apex is signed by one of the keys. That signatures have ended is another finding (EXPIRE-HORIZON): they
 * are tried at the latest end then. */
static enum err check_set(struct signature_keys *keys, const struct zone *zone, uint16_t type, int64_t now, struct why *why)
{
	struct zone_rrset set, sigs;
	struct why late = {""};
	int64_t end;
	enum err err, then;

	if (!zone_node_rrset(zone->apex_node, type, &set, &sigs))
		return ERR_OK;
	err = signature_check(keys, zone->apex, &set, &sigs, (uint64_t)now, why);
	end = err == ERR_ZONE ? latest_end(&sigs, zone->apex, now) : now;
	if (end == now)
		return err;
	then = signature_check(keys, zone->apex, &set, &sigs, (uint64_t)end, &late);
	if (then != ERR_LIMIT)
		return then ? err : ERR_OK;
	*why = late;
	return then;
}

/* With the keys of `by`, what `zone` shows. */
static enum err check_sets(const struct zone *by, const struct zone *zone, const uint16_t *types, size_t count, int64_t now,
	unsigned *left, struct why *why)
{
	struct signature_keys *keys = NULL;
	enum err err = signature_keys_new(by, &keys, why);

	if (!err)
		signature_keys_limit(keys, left);
	for (size_t i = 0; !err && i < count; i++)
		err = check_set(keys, zone, types[i], now, why);
	signature_keys_free(keys);
	return err;
}

/* Each server has its share, so that none can use up what the others need: three where all is well. */
static unsigned share(const struct facts *facts)
{
	unsigned part = VERIFY_MAX / (unsigned)facts->server_count;

	return part > VERIFY_LEAST ? part : VERIFY_LEAST;
}

static void judge_signatures(const struct facts *facts, const struct facts_server *server, const struct rr *keys, const bool *trusted, size_t count)
{
	static const uint16_t key_types[] = {RR_DNSKEY}, data_types[] = {RR_SOA, RR_NS};
	unsigned left = share(facts);
	bool all[KEYS_MAX], made;
	struct zone *by = NULL, *zone = NULL;
	struct why why = {""};
	enum err err;

	memset(all, true, sizeof all);
	err = apex_of(facts, server, keys, trusted, count, &by, &why);
	if (!err)
		err = apex_of(facts, server, keys, all, count, &zone, &why);
	made = !err;
	if (!err)
		err = check_sets(by, zone, key_types, 1, facts->now, &left, &why);
	if (!err)
		err = check_sets(zone, zone, data_types, server->ns_rrs ? 2 : 1, facts->now, &left, &why);
	if (err == ERR_ZONE && made)
		FOUND_AT(facts, FINDING_DS_MISMATCH, false, server, "what it serves does not validate: %s", why.text);
	else if (err)
		FOUND_AT(facts, FINDING_CHECK_INCOMPLETE, false, server, "its signatures could not be checked: %s", err_say(&why, err));
	zone_put(by);
	zone_put(zone);
}

static void judge_ds(const struct facts *facts, const struct facts_server *server, const struct rr *ds, size_t ds_count)
{
	bool trusted[KEYS_MAX] = {false}, any = false;
	size_t count;
	const struct rr *keys = keys_of(facts, server, &count);

	if (!was_told(server, server->server->dnskey))
		return;
	for (size_t i = 0; i < count; i++) {
		trusted[i] = is_trusted(facts, ds, ds_count, &keys[i]);
		any = any || trusted[i];
	}
	if (!count)
		FOUND_AT(facts, FINDING_DS_MISMATCH, false, server,
			"the parent has a DS record, but this server has no DNSKEY: for those who validate the zone does not exist");
	else if (!any)
		FOUND_AT(facts, FINDING_DS_MISMATCH, false, server, "none of its DNSKEYs fits the parent's DS (key tag %u%s)",
			get_u16(ds->rdata), ds_count > 1 ? " and others" : "");
	else
		judge_signatures(facts, server, keys, trusted, count);
}

/* --- the signatures' end ---------------------------------------------------------- */

static void find_first_end(const struct facts *facts, const struct reply *reply, int64_t *left, uint16_t *type)
{
	size_t count;
	const struct rr *sigs = facts_apex(facts, reply, RR_RRSIG, &count);

	for (size_t i = 0; i < count; i++) {
		int64_t one = (int32_t)(get_u32(sigs[i].rdata + 8) - (uint32_t)facts->now);

		if (*type && one >= *left)
			continue;
		*left = one;
		*type = rr_covered(sigs[i].rdata);
	}
}

static void judge_end(const struct facts *facts, const struct facts_server *server)
{
	const struct survey_server *s = server->server;
	const struct reply *replies[] = {server->first, s->ns_set, s->dnskey, s->cds, s->cdnskey, s->csync, s->nsec3param};
	int64_t left = 0;
	uint16_t type = 0;
	char text[RR_TYPE_TEXT], span[32];

	for (size_t i = 0; i < sizeof replies / sizeof *replies; i++)
		find_first_end(facts, replies[i], &left, &type);
	if (!type || (left >= 0 && left >= facts->settings->expire_warn && left >= facts->settings->expire_crit))
		return;
	rr_type_text(type, text);
	if (left < 0)
		FOUND_AT(facts, FINDING_EXPIRE_HORIZON, true, server, "its signature over %s ended %s ago", text, serials_span(-left, span));
	else
		FOUND_AT(facts, FINDING_EXPIRE_HORIZON, left < facts->settings->expire_crit, server,
			"the first of its signatures to end, over %s, does so in %s", text, serials_span(left, span));
}

void signed_judge(const struct facts *facts)
{
	size_t ds_count;
	const struct rr *ds = parent_ds(facts, &ds_count);

	judge_keys(facts);
	judge_alike(facts, FINDING_CDS_SPLIT, RR_CDS, has_cds, alike_cds);
	judge_alike(facts, FINDING_CDS_SPLIT, RR_CDNSKEY, has_cdnskey, alike_cdnskey);
	judge_alike(facts, FINDING_CSYNC_SPLIT, RR_CSYNC, has_csync, alike_csync);
	for (size_t i = 0; i < facts->server_count; i++) {
		if (ds_count)
			judge_ds(facts, &facts->servers[i], ds, ds_count);
		if (facts->servers[i].soa)
			judge_end(facts, &facts->servers[i]);
	}
}
