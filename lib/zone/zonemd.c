#include "zone/zonemd.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

/* Hashes are numbered from 1 (RFC 8976 5.3). */
enum { SIMPLE = 1, HASHES = 2, DIGEST_AT = 6, DIGEST_MAX = 64,
	PIECE = 64 << 10, PIECE_ROOM = PIECE + NAME_SIZE + 10 + UINT16_MAX };

/* What the apex says, by hash. */
struct claim {
	const uint8_t *digest;       /* NULL: nothing */
	uint32_t serial;
	uint16_t length;
	bool twice;
};

struct digester {
	EVP_MD_CTX *hash[HASHES];    /* NULL: not wanted */
	uint8_t *piece;
	size_t used;
	bool failed;
};

static const size_t digest_length[HASHES] = {48, 64};

static void hash_piece(struct digester *d)
{
	for (unsigned i = 0; i < HASHES; i++)
		if (d->hash[i] && EVP_DigestUpdate(d->hash[i], d->piece, d->used) != 1)
			d->failed = true;
	d->used = 0;
}

/* RFC 8976 3.3.1: owner, type, class, TTL, length and RDATA in their canonical form. */
static void put_set(struct digester *d, const struct zone_rrset *set, const uint8_t *owner, size_t owner_length)
{
	const uint8_t *at = set->records, *end = at + set->size;

	while (at < end) {
		uint16_t rdlength = get_u16(at + 10);
		uint8_t *out = d->piece + d->used;

		memcpy(out, owner, owner_length);
		memcpy(out + owner_length, at + 2, 10);
		rr_canonical_rdata(set->type, at + ZONE_RR_HEAD, rdlength, out + owner_length + 10);
		d->used += owner_length + 10 + rdlength;
		at += ZONE_RR_HEAD + rdlength;
		if (d->used >= PIECE)
			hash_piece(d);
	}
}

enum part { BELOW_RRSIG, RRSIGS, ABOVE_RRSIG };

/* The types in the order of their numbers; all RRSIGs are of one type there, and those of the covered types follow each other rightly. */
static void put_node(struct digester *d, const struct zone_node *node, const uint8_t *name, bool is_signed)
{
	uint8_t owner[NAME_SIZE];
	size_t length = name_lower(name, owner);
	bool apex = !node->name_length;

	for (enum part part = BELOW_RRSIG; part <= ABOVE_RRSIG; part++) {
		struct zone_rrsets iter = zone_rrsets(node);
		struct zone_rrset set;

		while (zone_rrsets_next(&iter, &set)) {
			enum part is = set.type < RR_RRSIG ? BELOW_RRSIG : set.type == RR_RRSIG ? RRSIGS : ABOVE_RRSIG;

			if (is_signed && is != part)
				continue;
			if (!apex || (set.type != RR_ZONEMD && set.covers != RR_ZONEMD))
				put_set(d, &set, owner, length);
		}
		if (!is_signed)
			return;
	}
}

static bool digester_begin(struct digester *d, const struct claim *claim)
{
	const EVP_MD *const md[HASHES] = {EVP_sha384(), EVP_sha512()};

	d->piece = malloc(PIECE_ROOM);
	d->failed = !d->piece;
	for (unsigned i = 0; i < HASHES; i++) {
		if (!claim[i].digest)
			continue;
		d->hash[i] = EVP_MD_CTX_new();
		if (!d->hash[i] || EVP_DigestInit_ex(d->hash[i], md[i], NULL) != 1)
			d->failed = true;
	}
	return !d->failed;
}

static void digester_end(struct digester *d)
{
	for (unsigned i = 0; i < HASHES; i++)
		EVP_MD_CTX_free(d->hash[i]);
	free(d->piece);
}

static bool fits(struct digester *d, unsigned i, const struct claim *claim)
{
	uint8_t digest[DIGEST_MAX];

	if (EVP_DigestFinal_ex(d->hash[i], digest, NULL) != 1) {
		d->failed = true;
		return false;
	}
	return claim->length == digest_length[i] && memcmp(claim->digest, digest, claim->length) == 0;
}

/* Whether one of the claims fits the zone. */
static enum err compare(const struct zone *zone, const struct claim *claim, bool *right)
{
	struct digester d = {0};
	struct zone_walk walk;
	const struct zone_node *node;
	uint8_t name[NAME_SIZE];

	*right = false;
	if (digester_begin(&d, claim)) {
		zone_walk(&walk, zone);
		while ((node = zone_walk_next(&walk, name)))
			put_node(&d, node, name, zone->rrsigs != 0);
		hash_piece(&d);
		for (unsigned i = 0; i < HASHES; i++)
			if (claim[i].digest && fits(&d, i, &claim[i]))
				*right = true;
	}
	digester_end(&d);
	return d.failed ? ERR_NOMEM : ERR_OK;
}

/* How many of the records are of no use here. */
static unsigned read_claims(const struct zone_rrset *set, struct claim *claim)
{
	unsigned unknown = 0;
	uint32_t at = 0;
	struct rr rr;

	while (zone_rrset_next(set, &at, NULL, &rr)) {
		unsigned hash = rr.rdata[5];

		if (rr.rdata[4] != SIMPLE || hash < 1 || hash > HASHES) {
			unknown++;
			continue;
		}
		claim[hash - 1].twice = claim[hash - 1].digest != NULL;
		claim[hash - 1].serial = get_u32(rr.rdata);
		claim[hash - 1].digest = rr.rdata + DIGEST_AT;
		claim[hash - 1].length = (uint16_t)(rr.rdlength - DIGEST_AT);
	}
	return unknown;
}

/* What need not be computed because it cannot fit (RFC 8976 4, 2.2.2). The number of claims that are left. */
static unsigned drop_vain(const struct zone *zone, struct claim *claim, struct why *why)
{
	static const char *const name[HASHES] = {"SHA-384", "SHA-512"};
	unsigned left = 0;

	for (unsigned i = 0; i < HASHES; i++) {
		if (!claim[i].digest)
			continue;
		if (claim[i].twice)
			err_why(why, ERR_ZONE, "ZONEMD: more than one record for %s", name[i]);
		else if (claim[i].serial != zone->serial.v)
			err_why(why, ERR_ZONE, "ZONEMD: the record is for serial %u, the zone has %u", claim[i].serial, zone->serial.v);
		else
			left++;
		if (claim[i].twice || claim[i].serial != zone->serial.v)
			claim[i].digest = NULL;
	}
	return left;
}

enum err zonemd_check(const struct zone *zone, enum zonemd_verdict *verdict, struct why *why)
{
	struct claim claim[HASHES] = {{0}};
	struct zone_rrset set;
	bool right;
	unsigned unknown;

	*verdict = ZONEMD_ABSENT;
	err_why(why, ERR_ZONE, "the zone has no ZONEMD record");
	if (!zone_node_rrset(zone->apex_node, RR_ZONEMD, &set, NULL))
		return ERR_OK;
	unknown = read_claims(&set, claim);
	*verdict = ZONEMD_UNKNOWN;
	err_why(why, ERR_ZONE, "ZONEMD: none of the records has a scheme and a hash that are known here");
	if (unknown == set.count)
		return ERR_OK;
	*verdict = ZONEMD_WRONG;
	if (!drop_vain(zone, claim, why))
		return ERR_OK;
	err_why(why, ERR_ZONE, "ZONEMD: the zone's digest is not the one that the record gives");
	if (compare(zone, claim, &right))
		return err_why(why, ERR_NOMEM, "out of memory while computing the zone's digest");
	if (right)
		*verdict = ZONEMD_RIGHT;
	return ERR_OK;
}
