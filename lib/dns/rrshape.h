/* dns/rrshape: what the RDATA of each type is made of, one row of fields a type. Built once from
 * ldns' descriptors, which know the types and their fields; what is added here is the names of the fields
 * for messages, where names may be compressed or are compared without case, and what ldns has
 * differently from the RFCs or not yet. Read by dns/rr and the modules of record text. Pure.
 */
#ifndef DNS_RRSHAPE_H
#define DNS_RRSHAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rrshape_kind {
	FIELD_END,           /* of the row */
	FIELD_NOTHING,       /* no octets; only out of rrshape_resolve */
	FIELD_NAME,
	FIELD_NAMES,         /* any number of them, to the end */
	FIELD_U8, FIELD_U16, FIELD_U32,
	FIELD_ALG,           /* 8 bits, an algorithm of DNSSEC */
	FIELD_CERT,          /* 16 bits, a kind of certificate */
	FIELD_USAGE, FIELD_SELECTOR, FIELD_MATCHING,   /* 8 bits, of TLSA */
	FIELD_TYPE,
	FIELD_COVERED,       /* a type that an RRSIG may cover */
	FIELD_PERIOD,        /* 32 bits, seconds */
	FIELD_TIME,          /* 32 bits, seconds since 1970 */
	FIELD_A, FIELD_AAAA,
	FIELD_STRING,        /* a length octet and so many octets */
	FIELD_MAYBE_STRING,  /* one or nothing, at the end */
	FIELD_STRINGS,       /* one or more, to the end */
	FIELD_DIGITS,        /* a string of at least four decimal digits */
	FIELD_TAG,           /* a string of letters and digits, not empty */
	FIELD_LONG_STRING,   /* the rest, any octets */
	FIELD_URI,           /* the same, not empty */
	FIELD_BASE64, FIELD_HEX,     /* the rest, at least one octet */
	FIELD_MAYBE_BASE64,  /* the rest */
	FIELD_KEY,           /* the rest; empty only if the KEY's flags say that there is no key */
	FIELD_DIGEST,        /* the rest: ZONEMD's, by the algorithm before it */
	FIELD_OPAQUE,        /* the rest, any octets */
	FIELD_TYPES,         /* the rest: windows of types (RFC 4034 4.1.2) */
	FIELD_SOME_TYPES,    /* the same, not empty */
	FIELD_SYNC_TYPES,    /* the same, CSYNC's */
	FIELD_NXT_TYPES,     /* the rest: the plain bitmap of RFC 2535 5.2 */
	FIELD_SALT,          /* a length octet and so many octets, in hex */
	FIELD_HASH,          /* a length octet and so many octets, at least one, in base32hex */
	FIELD_ILNP64, FIELD_EUI48, FIELD_EUI64,
	FIELD_LOC, FIELD_APL, FIELD_WKS, FIELD_NSAP, FIELD_ATMA, FIELD_HIP,
	FIELD_GATEWAY,       /* an address, a name or nothing, as the second octet of RDATA says */
	FIELD_RELAY_TYPE,    /* 8 bits: the D bit of an AMTRELAY and the kind of its relay */
	FIELD_RELAY,         /* an address, a name or nothing, as the relay type says */
	FIELD_A6_SUFFIX,     /* prefix length and the rest of the address */
	FIELD_A6_NAME,       /* a name, if the prefix length is not 0 */
	FIELD_SVCPARAMS,
};
enum { FIELD_KINDS = FIELD_SVCPARAMS + 1 };

enum {
	RRSHAPE_EXPAND = 1,      /* a receiver may meet its names compressed (RFC 3597 4) */
	RRSHAPE_COMPRESS = 2,    /* a sender may compress them */
	RRSHAPE_LOWER = 4,       /* its names in lower case are the canonical form (RFC 4034 6.2, RFC 6840 5.1) */
	RRSHAPE_META = 8,        /* never zone data; its fields are not described */
	RRSHAPE_TEXT = 16,       /* all the usual servers read its name and its own text */
};

enum { RRSHAPE_FIELDS = 10, RRSHAPE_WORD = 16 };

struct rrshape {
	const char *name;            /* "MX" */
	const char *labels;          /* names of the fields, a space between: "preference exchange" */
	char word[RRSHAPE_WORD];     /* the name again, to be copied as one block */
	uint8_t name_length;
	uint8_t flags;
	uint8_t field[RRSHAPE_FIELDS];   /* enum rrshape_kind, FIELD_END behind the last */
};

/* Once, before threads start; cheap to call again. */
void rrshape_init(void);
/* NULL: nothing is known of the type. */
const struct rrshape *rrshape_of(uint16_t type);
bool rrshape_is_meta(uint16_t type);
/* Any case. NULL: no such name. */
const struct rrshape *rrshape_named(const char *name, size_t length, uint16_t *type);
/* What a field is in this RDATA, where that depends on octets before it. */
enum rrshape_kind rrshape_resolve(enum rrshape_kind, const uint8_t *rdata);
/* The name of the field with that number (0 is the first); its length goes to *length. */
const char *rrshape_label(const struct rrshape *, unsigned field, int *length);

#endif
