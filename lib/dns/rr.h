/* dns/rr: resource records in wire form: RDATA checked and expanded, its names, its order. What the types' RDATA is made
 * of is in dns/rrshape, the rules of each kind of field in dns/rrcheck. Types that are not described there are opaque
 * octets (RFC 3597). Pure.
 */
#ifndef DNS_RR_H
#define DNS_RR_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>

/* The types and classes that this program treats in a way of their own. */
enum {
	RR_A = 1, RR_NS = 2, RR_CNAME = 5, RR_SOA = 6, RR_PTR = 12, RR_MX = 15, RR_TXT = 16, RR_KEY = 25, RR_AAAA = 28,
	RR_SRV = 33, RR_NAPTR = 35, RR_DNAME = 39, RR_OPT = 41, RR_DS = 43, RR_RRSIG = 46, RR_NSEC = 47, RR_DNSKEY = 48,
	RR_NSEC3 = 50, RR_NSEC3PARAM = 51, RR_CDS = 59, RR_CDNSKEY = 60, RR_CSYNC = 62, RR_ZONEMD = 63, RR_SVCB = 64, RR_HTTPS = 65,
	RR_TSIG = 250, RR_IXFR = 251, RR_AXFR = 252, RR_ANY = 255,
};
enum { CLASS_IN = 1, CLASS_CH = 3, CLASS_NONE = 254, CLASS_ANY = 255 };

/* A view of one record: nothing is owned. RDATA is uncompressed. */
struct rr {
	const uint8_t *owner;
	uint16_t type, class;
	uint16_t rdlength;
	uint32_t ttl;
	const uint8_t *rdata;
};

/* Fills the table of shapes from ldns. Once, before threads start; cheap to call again. */
void rr_init(void);

/* Meta and query types (OPT, TSIG, TKEY, AXFR, ANY, 128-255, type 0): never zone data (RFC 6895 3.1). */
bool rr_is_meta(uint16_t type);

/* Takes `rdlength` octets of RDATA at the message's cursor (base = header), checks that they are what
 * the type wants (every field, exact end), expands compressed names in the types where RFC 3597 4 lets
 * a receiver meet them, and writes the result to `out`. An expanded RDATA over 65,535 octets is refused.
 * ERR_FORMAT with `why` naming the field ("MX exchange: ..."), ERR_NOSPACE if `out` is too small: then cursor and `out`
 * are as they were. The cursor is behind the RDATA on success. */
enum err rr_read_rdata(struct rbuf *msg, uint16_t type, uint16_t rdlength, struct wbuf *out, struct why *);
/* The same check on RDATA that is uncompressed already. */
enum err rr_check_rdata(uint16_t type, const uint8_t *rdata, size_t rdlength, struct why *);

/* Where the domain names stand in (checked, uncompressed) RDATA: offsets in order, at most RR_NAMES.
 * `compressible`: only in the types whose names may be compressed on sending (RFC 3597 4: NS MD MF CNAME
 * SOA MB MG MR PTR MINFO MX), else none. */
#define RR_NAMES 16
unsigned rr_names(uint16_t type, const uint8_t *rdata, size_t rdlength, bool compressible, uint16_t offset[RR_NAMES]);

/* Canonical order of two (checked) RDATA of one type (RFC 4034 6.2, 6.3; RFC 6840 5.1): names in lower
 * case in the types listed there, then octets, the shorter first. Equal (0) is "the same record". */
int rr_compare_rdata(uint16_t type, const uint8_t *a, size_t alen, const uint8_t *b, size_t blen);

/* Copies (checked) RDATA in its canonical form: names in lower case in the types listed there (RFC 4034 6.2, RFC 6840 5.1). */
void rr_canonical_rdata(uint16_t type, const uint8_t *rdata, size_t rdlength, uint8_t *out);

/* The type that an RRSIG's RDATA covers. */
static inline uint16_t rr_covered(const uint8_t *rdata) { return get_u16(rdata); }

/* The SOA's numbers, from its (checked) RDATA. */
struct rr_soa {
	uint32_t serial, refresh, retry, expire, minimum;
};
struct rr_soa rr_soa_of(const uint8_t *rdata, size_t rdlength);

#endif
