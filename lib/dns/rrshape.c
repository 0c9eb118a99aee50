#include "dns/rrshape.h"

#include <ldns/ldns.h>
#include <strings.h>

enum {
	COMPRESS = RRSHAPE_EXPAND | RRSHAPE_COMPRESS | RRSHAPE_LOWER,
	EXPAND = RRSHAPE_EXPAND | RRSHAPE_LOWER,
	LOWER = RRSHAPE_LOWER,
	TEXT = RRSHAPE_TEXT,
};

/* What ldns does not say. `name`: only for types that it does not know. `field`: only where its own
 * differ from the RFC, or are less than is known. TEXT is what BIND, NSD, Knot and ldns of Debian 12 all read. */
static const struct own {
	uint16_t type;
	uint8_t flags;
	const char *labels, *name;
	uint8_t field[RRSHAPE_FIELDS];
} owns[] = {
	{1, TEXT, "address"},
	{2, COMPRESS | TEXT, "nameserver"},
	{3, COMPRESS, "host"},
	{4, COMPRESS, "host"},
	{5, COMPRESS | TEXT, "target"},
	{6, COMPRESS | TEXT, "primary mailbox serial refresh retry expire minimum"},
	{7, COMPRESS, "host"},
	{8, COMPRESS, "mailbox"},
	{9, COMPRESS, "mailbox"},
	{10, 0, "data"},
	{11, 0, "address protocol-and-ports", NULL, {FIELD_A, FIELD_WKS}},
	{12, COMPRESS | TEXT, "target"},
	{13, TEXT, "processor system"},
	{14, COMPRESS | TEXT, "mailbox error-mailbox"},
	{15, COMPRESS | TEXT, "preference exchange"},
	{16, TEXT, "text"},
	{17, EXPAND | TEXT, "mailbox text-name"},
	{18, EXPAND | TEXT, "subtype host"},
	{19, 0, "address", NULL, {FIELD_DIGITS}},
	{20, 0, "address subaddress", NULL, {FIELD_STRING, FIELD_MAYBE_STRING}},
	{21, EXPAND | TEXT, "preference host"},
	{22, 0, "address"},
	{23, 0, "owner", NULL, {FIELD_NAME}},
	{24, EXPAND, "type-covered algorithm labels original-ttl expiration inception key-tag signer signature"},
	{25, TEXT, "flags protocol algorithm key", NULL, {FIELD_U16, FIELD_U8, FIELD_ALG, FIELD_KEY}},
	{26, EXPAND, "preference rfc822-name x400-name"},
	{27, 0, "longitude latitude altitude"},
	{28, TEXT, "address"},
	{29, TEXT, "location"},
	{30, EXPAND, "next-name types", NULL, {FIELD_NAME, FIELD_NXT_TYPES}},
	{31, 0, "identifier"},
	{32, 0, "locator"},
	{33, EXPAND | TEXT, "priority weight port target"},
	{34, 0, "address"},
	{35, EXPAND | TEXT, "order preference flags service regexp replacement"},
	{36, LOWER | TEXT, "preference exchanger"},
	{37, TEXT, "kind key-tag algorithm certificate"},
	{38, LOWER, "suffix prefix-name", NULL, {FIELD_A6_SUFFIX, FIELD_A6_NAME}},
	{39, LOWER | TEXT, "target"},
	{40, 0, "meaning coding subcoding data", NULL, {FIELD_U8, FIELD_U8, FIELD_U8, FIELD_MAYBE_BASE64}},
	{42, TEXT, "prefixes"},
	{43, TEXT, "key-tag algorithm digest-type digest"},
	{44, TEXT, "algorithm hash-type fingerprint"},
	{45, TEXT, "precedence gateway-type algorithm gateway key", NULL,
		{FIELD_U8, FIELD_U8, FIELD_U8, FIELD_GATEWAY, FIELD_MAYBE_BASE64}},
	{46, LOWER | TEXT, "type-covered algorithm labels original-ttl expiration inception key-tag signer signature", NULL,
		{FIELD_COVERED, FIELD_ALG, FIELD_U8, FIELD_U32, FIELD_TIME, FIELD_TIME, FIELD_U16, FIELD_NAME, FIELD_BASE64}},
	{47, TEXT, "next-name types", NULL, {FIELD_NAME, FIELD_SOME_TYPES}},
	{48, TEXT, "flags protocol algorithm key"},
	{49, TEXT, "data"},
	{50, TEXT, "algorithm flags iterations salt next-hash types"},
	{51, TEXT, "algorithm flags iterations salt"},
	{52, TEXT, "usage selector matching-type data"},
	{53, TEXT, "usage selector matching-type data"},
	{55, 0, "identity servers"},
	{56, 0, "text", "NINFO", {FIELD_STRINGS}},
	{58, 0, "previous next"},
	{59, TEXT, "key-tag algorithm digest-type digest"},
	{60, TEXT, "flags protocol algorithm key"},
	{61, TEXT, "key"},
	{62, TEXT, "serial flags types", NULL, {FIELD_U32, FIELD_U16, FIELD_SYNC_TYPES}},
	{63, TEXT, "serial scheme hash-algorithm digest", NULL, {FIELD_U32, FIELD_U8, FIELD_U8, FIELD_DIGEST}},
	{64, TEXT, "priority target parameters", "SVCB", {FIELD_U16, FIELD_NAME, FIELD_SVCPARAMS}},
	{65, TEXT, "priority target parameters", "HTTPS", {FIELD_U16, FIELD_NAME, FIELD_SVCPARAMS}},
	{99, TEXT, "text"},
	{104, TEXT, "preference node"},
	{105, TEXT, "preference locator"},
	{106, TEXT, "preference locator"},
	{107, TEXT, "preference name"},
	{108, TEXT, "address"},
	{109, TEXT, "address"},
	{251, RRSHAPE_META, "data", "IXFR", {FIELD_OPAQUE}},
	{252, RRSHAPE_META, "data", "AXFR", {FIELD_OPAQUE}},
	{253, RRSHAPE_META, "data", "MAILB", {FIELD_OPAQUE}},
	{254, RRSHAPE_META, "data", "MAILA", {FIELD_OPAQUE}},
	{255, RRSHAPE_META, "data", "ANY", {FIELD_OPAQUE}},
	{256, TEXT, "priority weight target", NULL, {FIELD_U16, FIELD_U16, FIELD_URI}},
	{257, TEXT, "flags tag value"},
	{258, 0, "text", "AVC", {FIELD_STRINGS}},
	{260, 0, "precedence relay-type relay", "AMTRELAY", {FIELD_U8, FIELD_RELAY_TYPE, FIELD_RELAY}},
	{261, 0, "text", "RESINFO", {FIELD_STRINGS}},
	{262, 0, "text", "WALLET", {FIELD_STRINGS}},
	{32768, 0, "key-tag algorithm digest-type digest", "TA", {FIELD_U16, FIELD_ALG, FIELD_U8, FIELD_HEX}},
	{32769, 0, "key-tag algorithm digest-type digest"},
};

/* Types below LOW stand at their number, the few others behind, in the order of `owns`. */
enum { LOW = 264, HIGH = 4 };
static struct rrshape table[LOW + HIGH];
static uint16_t high_type[HIGH];
static unsigned highs;
/* Places in `table` by a hash of the name; 0 is empty (type 0 has no name). */
enum { BUCKETS = 512 };
static uint16_t bucket[BUCKETS];

static struct rrshape *place_of(uint16_t type)
{
	if (type < LOW)
		return &table[type];
	for (unsigned i = 0; i < highs; i++)
		if (high_type[i] == type)
			return &table[LOW + i];
	return NULL;
}

const struct rrshape *rrshape_of(uint16_t type)
{
	struct rrshape *shape = place_of(type);

	return shape && shape->name ? shape : NULL;
}

/* --- from ldns -------------------------------------------------------------------- */

static enum rrshape_kind kind_of(ldns_rdf_type rdf)
{
	static const uint8_t kind[LDNS_RDF_TYPE_SVCPARAMS + 1] = {
		[LDNS_RDF_TYPE_DNAME] = FIELD_NAME, [LDNS_RDF_TYPE_INT8] = FIELD_U8,
		[LDNS_RDF_TYPE_INT16] = FIELD_U16, [LDNS_RDF_TYPE_INT32] = FIELD_U32,
		[LDNS_RDF_TYPE_A] = FIELD_A, [LDNS_RDF_TYPE_AAAA] = FIELD_AAAA,
		[LDNS_RDF_TYPE_STR] = FIELD_STRING, [LDNS_RDF_TYPE_APL] = FIELD_APL,
		[LDNS_RDF_TYPE_B64] = FIELD_BASE64, [LDNS_RDF_TYPE_HEX] = FIELD_HEX,
		[LDNS_RDF_TYPE_NSEC] = FIELD_TYPES, [LDNS_RDF_TYPE_TYPE] = FIELD_TYPE,
		[LDNS_RDF_TYPE_CLASS] = FIELD_U16, [LDNS_RDF_TYPE_CERT_ALG] = FIELD_CERT,
		[LDNS_RDF_TYPE_ALG] = FIELD_ALG, [LDNS_RDF_TYPE_TIME] = FIELD_TIME,
		[LDNS_RDF_TYPE_PERIOD] = FIELD_PERIOD, [LDNS_RDF_TYPE_HIP] = FIELD_HIP,
		[LDNS_RDF_TYPE_LOC] = FIELD_LOC, [LDNS_RDF_TYPE_NSAP] = FIELD_NSAP,
		[LDNS_RDF_TYPE_ATMA] = FIELD_ATMA, [LDNS_RDF_TYPE_NSEC3_SALT] = FIELD_SALT,
		[LDNS_RDF_TYPE_NSEC3_NEXT_OWNER] = FIELD_HASH, [LDNS_RDF_TYPE_ILNP64] = FIELD_ILNP64,
		[LDNS_RDF_TYPE_EUI48] = FIELD_EUI48, [LDNS_RDF_TYPE_EUI64] = FIELD_EUI64,
		[LDNS_RDF_TYPE_TAG] = FIELD_TAG, [LDNS_RDF_TYPE_LONG_STR] = FIELD_LONG_STRING,
		[LDNS_RDF_TYPE_CERTIFICATE_USAGE] = FIELD_USAGE, [LDNS_RDF_TYPE_SELECTOR] = FIELD_SELECTOR,
		[LDNS_RDF_TYPE_MATCHING_TYPE] = FIELD_MATCHING, [LDNS_RDF_TYPE_SVCPARAMS] = FIELD_SVCPARAMS,
	};

	return rdf < sizeof kind && kind[rdf] ? (enum rrshape_kind)kind[rdf] : FIELD_OPAQUE;
}

static enum rrshape_kind repeated(enum rrshape_kind kind)
{
	if (kind == FIELD_STRING)
		return FIELD_STRINGS;
	return kind == FIELD_NAME ? FIELD_NAMES : kind;
}

static void fields_from_ldns(struct rrshape *shape, const ldns_rr_descriptor *from)
{
	size_t least = ldns_rr_descriptor_minimum(from), most = ldns_rr_descriptor_maximum(from), n = 0;
	bool endless = most >= RRSHAPE_FIELDS;

	if (endless)
		most = least ? least : 1;
	while (n < most) {
		shape->field[n] = (uint8_t)kind_of(ldns_rr_descriptor_field_type(from, n));
		n++;
	}
	if (endless) {
		enum rrshape_kind more = repeated(kind_of(ldns_rr_descriptor_field_type(from, n)));

		if (repeated((enum rrshape_kind)shape->field[n - 1]) == more)
			n--;
		shape->field[n] = (uint8_t)more;
	}
}

bool rrshape_is_meta(uint16_t type)
{
	return type == 0 || type == LDNS_RR_TYPE_OPT || (type >= 128 && type <= 255);
}

static void take_from_ldns(unsigned type)
{
	const ldns_rr_descriptor *from = ldns_rr_descript((uint16_t)type);
	struct rrshape *shape;

	/* For a type that it does not know ldns gives the first one, of type 0. */
	if (!from || from->_type != type || !from->_name)
		return;
	if (type >= LOW && highs < HIGH)
		high_type[highs++] = (uint16_t)type;
	shape = place_of((uint16_t)type);
	if (!shape)
		return;
	*shape = (struct rrshape){.name = from->_name, .labels = "data"};
	if (rrshape_is_meta((uint16_t)type)) {
		shape->flags = RRSHAPE_META;
		shape->field[0] = FIELD_OPAQUE;
	} else {
		fields_from_ldns(shape, from);
	}
}

static void add_own(const struct own *own)
{
	struct rrshape *shape = place_of(own->type);

	if (!shape && highs < HIGH) {
		high_type[highs] = own->type;
		shape = &table[LOW + highs++];
	}
	if (!shape)
		return;
	if (!shape->name)
		shape->name = own->name;
	shape->flags |= own->flags;
	shape->labels = own->labels;
	if (own->field[0])
		memcpy(shape->field, own->field, sizeof shape->field);
}

static unsigned bucket_of(const char *name, size_t length)
{
	unsigned hash = (unsigned)length;

	for (size_t i = 0; i < length; i++)
		hash = hash * 33 + (unsigned char)(name[i] | 0x20);
	return hash % BUCKETS;
}

static void add_name(unsigned place)
{
	unsigned at;

	table[place].name_length = (uint8_t)strlen(table[place].name);
	strncpy(table[place].word, table[place].name, RRSHAPE_WORD - 1);
	at = bucket_of(table[place].name, table[place].name_length);
	while (bucket[at])
		at = (at + 1) % BUCKETS;
	bucket[at] = (uint16_t)place;
}

void rrshape_init(void)
{
	static bool done;

	if (done)
		return;
	for (unsigned type = 0; type <= UINT16_MAX; type++)
		take_from_ldns(type);
	for (size_t i = 0; i < sizeof owns / sizeof *owns; i++)
		add_own(&owns[i]);
	for (unsigned place = 1; place < LOW + HIGH; place++)
		if (table[place].name)
			add_name(place);
	done = true;
}

/* --- questions -------------------------------------------------------------------- */

const struct rrshape *rrshape_named(const char *name, size_t length, uint16_t *type)
{
	for (unsigned at = bucket_of(name, length); bucket[at]; at = (at + 1) % BUCKETS) {
		const struct rrshape *shape = &table[bucket[at]];

		if (shape->name_length == length && !strncasecmp(shape->name, name, length)) {
			*type = bucket[at] < LOW ? bucket[at] : high_type[bucket[at] - LOW];
			return shape;
		}
	}
	return NULL;
}

enum rrshape_kind rrshape_resolve(enum rrshape_kind kind, const uint8_t *rdata)
{
	static const uint8_t gateway[4] = {FIELD_NOTHING, FIELD_A, FIELD_AAAA, FIELD_NAME};
	unsigned which;

	if (kind == FIELD_GATEWAY || kind == FIELD_RELAY) {
		which = kind == FIELD_RELAY ? rdata[1] & 0x7f : rdata[1];
		return which < sizeof gateway ? (enum rrshape_kind)gateway[which] : kind;
	}
	if (kind == FIELD_A6_NAME)
		return rdata[0] ? FIELD_NAME : FIELD_NOTHING;
	return kind;
}

const char *rrshape_label(const struct rrshape *shape, unsigned field, int *length)
{
	const char *label = shape->labels;

	while (field-- && strchr(label, ' '))
		label = strchr(label, ' ') + 1;
	*length = (int)strcspn(label, " ");
	return label;
}
