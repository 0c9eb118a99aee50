/* zone/signature: the keys of a zone, and whether an RRset is signed by one of them (RFC 4034 3, RFC 4035 5.3). What must be signed is
 * zone/dnssec's part; the cryptography is ldns'. Time is a parameter. One thread at a time for each `struct signature_keys`.
 */
#ifndef ZONE_SIGNATURE_H
#define ZONE_SIGNATURE_H

#include "base/err.h"
#include "zone/zone.h"

struct signature_keys;

/* The DNSKEYs at the apex that may sign the zone's data: zone keys that are not revoked, of the algorithms that are known here (RSA with SHA-1,
 * SHA-256 or SHA-512, ECDSA, Ed25519, Ed448). The version must live as long. ERR_ZONE: there is none, or there are too many; ERR_NOMEM. */
enum err signature_keys_new(const struct zone *, struct signature_keys **out, struct why *);
void signature_keys_free(struct signature_keys *);       /* NULL is allowed */

/* From now on each verification takes one from `*left`, which is borrowed; at 0 signature_check is ERR_LIMIT. */
void signature_keys_limit(struct signature_keys *, unsigned *left);

/* Whether one of `sigs` (which may be none) over `set`, at `owner` in that zone, is right at the time `now` (seconds since 1970).
 * ERR_ZONE: `why` names the RRset and says what is wrong; ERR_LIMIT, only if there is one; ERR_NOMEM. */
enum err signature_check(struct signature_keys *, const uint8_t *owner, const struct zone_rrset *set, const struct zone_rrset *sigs,
	uint64_t now, struct why *);

#endif
