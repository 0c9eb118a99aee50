/* check/signed: the zone's DNSSEC as the nameservers show it: DNSKEY-SPLIT (RFC 8901), CDS-SPLIT, CSYNC-SPLIT (RFC 9975),
 * DS-MISMATCH, and the part of EXPIRE-HORIZON that is the signatures' end. The cryptography is zone/signature's, the digests of
 * keys are ldns'. Pure.
 */
#ifndef CHECK_SIGNED_H
#define CHECK_SIGNED_H

#include "check/facts.h"

void signed_judge(const struct facts *);

#endif
