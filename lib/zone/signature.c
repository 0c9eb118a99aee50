#include "zone/signature.h"

#include "dns/rrtext.h"

#include <ldns/ldns.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	KEYS_MAX = 64,               /* of one zone */
	TRIES_MAX = 16,              /* keys tried for one RRset: many keys of one tag must not cost without end */
	KEY_OCTETS_MAX = 1040,       /* RSA of 8192 bits */
	DNSKEY_HEAD = 4, RRSIG_HEAD = 18,
	ZONE_KEY = 0x0100, REVOKED = 0x0080, PROTOCOL = 3,
};

struct key {
	EVP_PKEY *curve;             /* NULL: RSA */
	const uint8_t *octets;       /* the public key, as it stands in the DNSKEY */
	uint16_t length, tag;
	uint8_t algorithm;
};

struct signature_keys {
	const struct zone *zone;
	uint8_t apex[NAME_SIZE];     /* in lower case */
	size_t apex_length;
	ldns_buffer *data, *der;     /* what is signed; a signature as OpenSSL wants it */
	unsigned *left;              /* verifications; NULL: any number */
	size_t count;
	struct key key[KEYS_MAX];
};

static enum err no_memory(struct why *why)
{
	return err_why(why, ERR_NOMEM, "out of memory while checking signatures");
}

/* False: not of use. */
static bool read_key(struct key *key)
{
	switch (key->algorithm) {
	case LDNS_RSASHA1: case LDNS_RSASHA1_NSEC3: case LDNS_RSASHA256: case LDNS_RSASHA512:
		return key->length <= KEY_OCTETS_MAX;
	case LDNS_ECDSAP256SHA256: case LDNS_ECDSAP384SHA384:
		key->curve = ldns_ecdsa2pkey_raw(key->octets, key->length, key->algorithm);
		return key->curve != NULL;
	case LDNS_ED25519:
		key->curve = ldns_ed255192pkey_raw(key->octets, key->length);
		return key->curve != NULL;
	case LDNS_ED448:
		key->curve = ldns_ed4482pkey_raw(key->octets, key->length);
		return key->curve != NULL;
	default:
		return false;
	}
}

static enum err read_keys(struct signature_keys *keys, struct why *why)
{
	struct zone_rrset set;
	struct rr rr;
	uint32_t at = 0;

	if (!zone_node_rrset(keys->zone->apex_node, RR_DNSKEY, &set, NULL))
		return err_why(why, ERR_ZONE, "the zone has signatures, but no DNSKEY record");
	while (zone_rrset_next(&set, &at, NULL, &rr)) {
		uint16_t flags = get_u16(rr.rdata);
		struct key key = {NULL, rr.rdata + DNSKEY_HEAD, (uint16_t)(rr.rdlength - DNSKEY_HEAD),
			ldns_calc_keytag_raw(rr.rdata, rr.rdlength), rr.rdata[3]};

		if (!(flags & ZONE_KEY) || flags & REVOKED || rr.rdata[2] != PROTOCOL || !read_key(&key))
			continue;
		keys->key[keys->count++] = key;
		if (keys->count == KEYS_MAX)
			return err_why(why, ERR_ZONE, "the zone has more than %d keys", KEYS_MAX - 1);
	}
	return keys->count ? ERR_OK : err_why(why, ERR_ZONE, "none of the zone's DNSKEY records is of an algorithm that is known here");
}

enum err signature_keys_new(const struct zone *zone, struct signature_keys **out, struct why *why)
{
	struct signature_keys *keys = calloc(1, sizeof *keys);
	enum err err;

	if (!keys)
		return no_memory(why);
	keys->zone = zone;
	keys->apex_length = name_lower(zone->apex, keys->apex);
	keys->data = ldns_buffer_new(4096);
	keys->der = ldns_buffer_new(256);
	err = keys->data && keys->der ? read_keys(keys, why) : no_memory(why);
	if (err)
		signature_keys_free(keys);
	else
		*out = keys;
	return err;
}

void signature_keys_free(struct signature_keys *keys)
{
	if (!keys)
		return;
	for (size_t i = 0; i < keys->count; i++)
		EVP_PKEY_free(keys->key[i].curve);
	ldns_buffer_free(keys->data);
	ldns_buffer_free(keys->der);
	free(keys);
}

void signature_keys_limit(struct signature_keys *keys, unsigned *left)
{
	keys->left = left;
}

/* --- one RRset ---------------------------------------------------------------- */

static bool put(ldns_buffer *buffer, const void *octets, size_t n)
{
	if (!ldns_buffer_reserve(buffer, n))
		return false;
	ldns_buffer_write(buffer, octets, n);
	return true;
}

static bool put_canonical(ldns_buffer *buffer, const struct rr *rr)
{
	if (!ldns_buffer_reserve(buffer, rr->rdlength))
		return false;
	rr_canonical_rdata(rr->type, rr->rdata, rr->rdlength, ldns_buffer_current(buffer));
	ldns_buffer_skip(buffer, rr->rdlength);
	return true;
}

/* RFC 4034 3.1.8.1: the RRSIG up to its signature, then the records, which lie in canonical order. */
static bool make_data(struct signature_keys *keys, const uint8_t *owner, const struct zone_rrset *set, const struct rr *sig)
{
	uint8_t lower[NAME_SIZE];
	size_t length = name_lower(owner, lower);
	struct rr rr;
	uint32_t at = 0;
	bool ok;

	ldns_buffer_clear(keys->data);
	ok = put(keys->data, sig->rdata, RRSIG_HEAD) && put(keys->data, keys->apex, keys->apex_length);
	while (ok && zone_rrset_next(set, &at, owner, &rr)) {
		uint8_t head[10];

		put_u16(head, rr.type);
		put_u16(head + 2, rr.class);
		memcpy(head + 4, sig->rdata + 4, 4);         /* the original TTL */
		put_u16(head + 8, rr.rdlength);
		ok = put(keys->data, lower, length) && put(keys->data, head, sizeof head) && put_canonical(keys->data, &rr);
	}
	return ok;
}

static bool verify_ecdsa(struct signature_keys *keys, const struct key *key, const uint8_t *sig, size_t length)
{
	bool small = key->algorithm == LDNS_ECDSAP256SHA256;
	ldns_rdf rdf = {._size = length, ._type = LDNS_RDF_TYPE_B64, ._data = (void *)sig};

	ldns_buffer_clear(keys->der);
	return length == (small ? 64 : 96) && ldns_convert_ecdsa_rrsig_rdf2asn1(keys->der, &rdf) == LDNS_STATUS_OK &&
		ldns_verify_rrsig_evp_raw(ldns_buffer_begin(keys->der), ldns_buffer_position(keys->der), keys->data, key->curve,
			small ? EVP_sha256() : EVP_sha384()) == LDNS_STATUS_OK;
}

static bool verify(struct signature_keys *keys, const struct key *key, const uint8_t *sig, size_t length)
{
	switch (key->algorithm) {
	case LDNS_ECDSAP256SHA256: case LDNS_ECDSAP384SHA384:
		return verify_ecdsa(keys, key, sig, length);
	case LDNS_ED25519: case LDNS_ED448:
		return ldns_verify_rrsig_evp_raw(sig, length, keys->data, key->curve, NULL) == LDNS_STATUS_OK;
	default:
		return ldns_verify_rrsig_buffers_raw((unsigned char *)sig, length, keys->data, (unsigned char *)key->octets, key->length,
			key->algorithm) == LDNS_STATUS_OK;
	}
}

static const char *time_text(uint32_t seconds, char out[24])
{
	time_t t = seconds;
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(out, 24, "%Y-%m-%dT%H:%M:%SZ", &tm);
	return out;
}

/* Seconds before or after in RFC 1982's arithmetic (RFC 4034 3.1.5). */
static bool is_before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

/* What a signature lacks before it is worth the cryptography; NULL: nothing. */
static const char *lack(const struct signature_keys *keys, const uint8_t *owner, const struct rr *sig, uint64_t now, char room[80])
{
	uint32_t ends = get_u32(sig->rdata + 8), begins = get_u32(sig->rdata + 12);
	unsigned labels = name_labels(owner) - (owner[0] == 1 && owner[1] == '*');
	char text[24];

	if (!name_equal(sig->rdata + RRSIG_HEAD, keys->apex))
		return "is by another zone";
	if (sig->rdata[3] != labels)
		return "is for a name of another number of labels";
	if (is_before(ends, (uint32_t)now)) {
		snprintf(room, 80, "expired at %s", time_text(ends, text));
		return room;
	}
	if (is_before((uint32_t)now, begins)) {
		snprintf(room, 80, "begins at %s only", time_text(begins, text));
		return room;
	}
	return NULL;
}

static enum err refuse(struct why *why, const uint8_t *owner, uint16_t type, const char *format, ...) __attribute__((format(printf, 4, 5)));
static enum err refuse(struct why *why, const uint8_t *owner, uint16_t type, const char *format, ...)
{
	char name[NAME_TEXT_SIZE], type_text[RR_TYPE_TEXT], said[160];
	va_list list;

	va_start(list, format);
	vsnprintf(said, sizeof said, format, list);
	va_end(list);
	return err_why(why, ERR_ZONE, "%.200s %s: %s", name_text(owner, name), rr_type_text(type, type_text), said);
}

enum err signature_check(struct signature_keys *keys, const uint8_t *owner, const struct zone_rrset *set, const struct zone_rrset *sigs,
	uint64_t now, struct why *why)
{
	enum err err = refuse(why, owner, set->type, "it is not signed");
	unsigned tries = 0;
	uint32_t at = 0;
	struct rr sig;

	while (zone_rrset_next(sigs, &at, owner, &sig)) {
		size_t signer = name_length(sig.rdata + RRSIG_HEAD), head = RRSIG_HEAD + signer;
		uint16_t tag = get_u16(sig.rdata + 16);
		char room[80];
		const char *lacks = lack(keys, owner, &sig, now, room);

		err = refuse(why, owner, set->type, "its signature by key %u %s", tag, lacks ? lacks : "is by no key of the zone");
		for (size_t i = 0; i < keys->count && !lacks; i++) {
			if (keys->key[i].tag != tag || keys->key[i].algorithm != sig.rdata[2])
				continue;
			if (++tries > TRIES_MAX)
				return refuse(why, owner, set->type, "more than %d keys would have to be tried for it", TRIES_MAX);
			if (keys->left && !*keys->left)
				return err_why(why, ERR_LIMIT, "more signatures would have to be verified than are allowed at once");
			if (keys->left)
				--*keys->left;
			if (!make_data(keys, owner, set, &sig))
				return no_memory(why);
			if (verify(keys, &keys->key[i], sig.rdata + head, sig.rdlength - head))
				return ERR_OK;
			err = refuse(why, owner, set->type, "its signature by key %u does not fit", tag);
		}
	}
	return err;
}
