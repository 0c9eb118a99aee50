/* check/finding: what can be wrong with a zone at its nameservers, by name, and the list of what was found. The names are fixed: monitoring
 * systems and the configuration know them. Pure.
 */
#ifndef CHECK_FINDING_H
#define CHECK_FINDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* X(id, name, severity). Where the severity depends on how bad it is, it is the milder one (see findings_add). */
#define FINDING_TABLE(X) \
	X(NS_PARENT_EXTRA, "NS-PARENT-EXTRA", CRITICAL)      /* the delegation names a nameserver that the apex NS set does not */ \
	X(NS_CHILD_EXTRA, "NS-CHILD-EXTRA", WARNING)         /* the apex NS set names one that the delegation does not */ \
	X(NS_SPLIT, "NS-SPLIT", CRITICAL)                    /* servers do not agree on the names in the NS set, */ \
	X(NS_TTL, "NS-TTL", WARNING)                         /* or only on its TTL */ \
	X(NS_EXPECTED, "NS-EXPECTED", CRITICAL)              /* it is not that of the configured providers and names */ \
	X(NS_APEX_IGNORED, "NS-APEX-IGNORED", CRITICAL)      /* a provider serves only its own nameservers as NS set */ \
	X(NS_TARGET, "NS-TARGET", CRITICAL)                  /* an NS is an alias, or has no address */ \
	X(GLUE_DRIFT, "GLUE-DRIFT", CRITICAL)                /* glue and authoritative address differ */ \
	X(SERIAL_LAG, "SERIAL-LAG", WARNING)                 /* an older serial, for too long since the newest was first seen */ \
	X(SERIAL_STUCK, "SERIAL-STUCK", CRITICAL)            /* behind with one and the same serial, however often the newest one changes */ \
	X(SERIAL_AHEAD, "SERIAL-AHEAD", CRITICAL)            /* newer than at every primary */ \
	X(SERIAL_BACK, "SERIAL-BACK", CRITICAL)              /* it went backwards */ \
	X(SOA_DIFFERS, "SOA-DIFFERS", WARNING)               /* other fields of the SOA than the serial */ \
	X(SOA_TIMERS, "SOA-TIMERS", WARNING)                 /* timers that make no sense together, or against our own bounds */ \
	X(UNREACHABLE, "UNREACHABLE", CRITICAL)              /* no answer over UDP */ \
	X(LAME, "LAME", CRITICAL)                            /* an answer without authority, or an error */ \
	X(TCP_FAIL, "TCP-FAIL", WARNING) \
	X(EDNS_FAIL, "EDNS-FAIL", WARNING) \
	X(ADDRESS_ODD, "ADDRESS-ODD", WARNING)               /* answered from another address */ \
	X(RECURSION, "RECURSION", WARNING) \
	X(TRANSFER_OPEN, "TRANSFER-OPEN", WARNING) \
	X(REFERRAL_SIZE, "REFERRAL-SIZE", WARNING)           /* the referral does not fit 512 octets */ \
	X(EXPIRE_HORIZON, "EXPIRE-HORIZON", WARNING)         /* expiry or the first signature's end is near */ \
	X(DNSKEY_SPLIT, "DNSKEY-SPLIT", CRITICAL)            /* not what RFC 8901 wants of several signers */ \
	X(CDS_SPLIT, "CDS-SPLIT", CRITICAL) \
	X(CSYNC_SPLIT, "CSYNC-SPLIT", CRITICAL) \
	X(DS_MISMATCH, "DS-MISMATCH", CRITICAL)              /* no DNSKEY fits the DS, or signatures do not validate */ \
	X(DIV_PROVIDER, "DIV-PROVIDER", WARNING) \
	X(DIV_TLD, "DIV-TLD", WARNING) \
	X(DIV_PREFIX, "DIV-PREFIX", WARNING) \
	X(DIV_FAMILY, "DIV-FAMILY", WARNING) \
	X(DIV_COUNT, "DIV-COUNT", WARNING) \
	X(TTL_SHORT, "TTL-SHORT", WARNING) \
	X(TTL_NS, "TTL-NS", WARNING)                         /* of the apex NS set, far below the parent's */ \
	X(ANSWER_DIFF, "ANSWER-DIFF", CRITICAL)              /* an RRset, a TTL or a denial differs from the zone */ \
	X(CHECK_INCOMPLETE, "CHECK-INCOMPLETE", UNKNOWN)     /* something could not be checked */

enum finding_id {
#define FINDING_ENUM(id, name, severity) FINDING_##id,
	FINDING_TABLE(FINDING_ENUM)
#undef FINDING_ENUM
	FINDING_COUNT
};
enum finding_severity { SEVERITY_OFF, SEVERITY_WARNING, SEVERITY_CRITICAL, SEVERITY_UNKNOWN, SEVERITY_COUNT };

const char *finding_name(enum finding_id);
const char *finding_severity_name(enum finding_severity);            /* "warning" */
bool finding_parse(const char *name, enum finding_id *);
bool finding_severity_parse(const char *name, enum finding_severity *);
/* FINDING_COUNT names, and NULL. */
extern const char *const finding_names[];

/* What the operator has set: 0 for the default, else 1 + enum finding_severity. It replaces both where there are two. */
struct finding_levels {
	uint8_t level[FINDING_COUNT];
};

enum { FINDING_MESSAGE_MAX = 600, FINDING_DATA_MAX = 4000 };         /* octets of a text; more is cut, and ends in "..." */

/* All texts are the list's own, printable ASCII. */
struct finding {
	enum finding_id id;
	enum finding_severity severity;
	const char *server;          /* the nameserver's name with its final dot; NULL: of the zone as a whole */
	const char *address;         /* "192.0.2.1", "192.0.2.1@5300" where the port is not 53; NULL: of the name, not of an address */
	const char *message;         /* one line: what is wrong, and what was expected */
	const char *owner, *type, *expected, *got;   /* ANSWER-DIFF; else NULL. got NULL: nothing */
};
/* Where, for findings_add; members may be NULL. Borrowed for the call. */
struct finding_place { const char *server, *address, *owner, *type, *expected, *got; };

enum { FINDINGS_MAX = 10000 };   /* in a list; what is beyond is counted, and sorted after all else: "... and N more" is the caller's to say */

struct findings;
/* NULL: out of memory. The levels are copied; NULL: the defaults. */
struct findings *findings_new(const struct finding_levels *);
void findings_free(struct findings *);               /* NULL is allowed */

/* Sorted in: CRITICAL, UNKNOWN, WARNING, then by id, server, address, owner, type, message. What is there already, or off, is not
 * added again. `worse`: CRITICAL, where the operator has set nothing. False: it was lost for lack of memory, and the status is
 * UNKNOWN at least. */
bool findings_add(struct findings *, enum finding_id, bool worse, const struct finding_place *, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
/* The same with a severity that was decided before. */
bool findings_put(struct findings *, enum finding_id, enum finding_severity, const struct finding_place *, const char *message);
size_t findings_count(const struct findings *);
const struct finding *findings_at(const struct findings *, size_t);
void findings_lose(struct findings *, size_t);       /* so many more, milder ones, are known of only by their number */
size_t findings_lost(const struct findings *);       /* beyond FINDINGS_MAX, or for lack of memory */
enum finding_severity findings_lost_severity(const struct findings *);       /* of the worst of them, as far as it is known; WARNING at least */
/* Whether there is one of this id at the server and address (NULL: at any). */
bool findings_has(const struct findings *, enum finding_id, const char *server, const char *address);

/* As a monitoring plugin's exit status. */
enum finding_status { STATUS_OK, STATUS_WARNING, STATUS_CRITICAL, STATUS_UNKNOWN };
const char *finding_status_name(enum finding_status);                /* "CRITICAL" */
enum finding_status findings_status(const struct findings *);
/* Of two: CRITICAL before UNKNOWN before WARNING before OK. */
enum finding_status finding_status_worse(enum finding_status, enum finding_status);

#endif
