/* Zones with NSEC and NSEC3 records for unit tests, built record by record. */
#ifndef T_SIGNED_ZONE_H
#define T_SIGNED_ZONE_H

#include "dns/nsec3.h"
#include "zone/build.h"

#include <stdio.h>
#include <string.h>

static const uint8_t apex[] = "\7example";

/* Names are relative to the apex, "@" is it. */
static inline void make_name(const char *text, uint8_t out[NAME_SIZE])
{
	struct why why;

	assert_int_equal(name_parse(text, strlen(text), apex, out, &why), ERR_OK);
}

static inline void change(struct build *build, bool add, const uint8_t *owner, uint16_t type, const void *rdata, size_t length)
{
	struct rr rr = {.owner = owner, .type = type, .class = CLASS_IN, .ttl = 60, .rdata = rdata, .rdlength = (uint16_t)length};
	struct why why;

	assert_int_equal(add ? build_add(build, &rr, &why) : build_remove(build, &rr, &why), ERR_OK);
}

static inline void put(struct build *build, const char *owner, uint16_t type, const void *rdata, size_t length)
{
	uint8_t name[NAME_SIZE];

	make_name(owner, name);
	change(build, true, name, type, rdata, length);
}

static inline void put_nsec(struct build *build, const char *owner)
{
	static const uint8_t rdata[] = "\1x\7example\0\0\1\x40";

	put(build, owner, RR_NSEC, rdata, sizeof rdata - 1);
}

static inline void put_address(struct build *build, const char *owner) { put(build, owner, RR_A, "\300\0\2\1", 4); }
static inline void put_cut(struct build *build, const char *owner) { put(build, owner, RR_NS, "\2ns\3sub\7example", 16); }

struct chain {
	uint8_t algorithm, flags, salt_length;
	uint16_t iterations;
	uint8_t salt[8];
};

static inline size_t chain_rdata(const struct chain *chain, uint8_t flags, uint8_t *out)
{
	out[0] = chain->algorithm;
	out[1] = flags;
	out[2] = (uint8_t)(chain->iterations >> 8);
	out[3] = (uint8_t)chain->iterations;
	out[4] = chain->salt_length;
	memcpy(out + 5, chain->salt, chain->salt_length);
	return 5u + chain->salt_length;
}

static inline void put_param(struct build *build, const struct chain *chain)
{
	uint8_t rdata[16];

	put(build, "@", RR_NSEC3PARAM, rdata, chain_rdata(chain, chain->flags, rdata));
}

/* The record of this owner; which name is the next is of no concern to who looks it up. */
static inline void change_nsec3(struct build *build, bool add, const uint8_t *owner, const struct chain *chain)
{
	uint8_t rdata[64] = {0};
	size_t length = chain_rdata(chain, 0, rdata);

	rdata[length] = NSEC3_HASH;
	change(build, add, owner, RR_NSEC3, rdata, length + 1 + NSEC3_HASH);
}

static inline void hashed_owner(const struct chain *chain, const uint8_t *name, uint8_t out[NAME_SIZE])
{
	uint8_t hash[NSEC3_HASH], digits[NSEC3_LABEL];

	nsec3_hash(name, chain->salt, chain->salt_length, chain->iterations, hash);
	nsec3_digits(hash, digits);
	nsec3_label(digits, out);
	memcpy(out + 1 + NSEC3_LABEL, apex, sizeof apex);
}

static inline struct build *begin(struct zone *base, uint32_t serial)
{
	struct build *build = build_new(apex, base, (struct build_limits){0});
	uint8_t soa[22] = {0};

	soa[5] = (uint8_t)serial;
	change(build, true, apex, RR_SOA, soa, sizeof soa);
	soa[5]--;
	if (base)
		change(build, false, apex, RR_SOA, soa, sizeof soa);
	else
		change(build, true, apex, RR_NS, "", 1);
	return build;
}

static inline struct zone *finish(struct build *build)
{
	struct zone *zone;
	struct why why;

	assert_int_equal(build_finish(build, &zone, &why), ERR_OK);
	return zone;
}

#endif
