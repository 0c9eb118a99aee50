/* zone/zone: one immutable version of a zone, and how to look things up in it.
 * Built by zone/build; read by serve/answer, serve/outgoing, zone/zonefile.
 *
 * One block per owner name: the name relative to the apex, then its RRsets by type. Records lie as they are sent:
 *
 *   | n | name | rrsets | { type | count | size | { C0 0C | type | class | ttl | rdlength | rdata } ... } ...
 *
 * with C0 0C standing for the owner (a pointer to the question's name; other places overwrite it).
 * RRSIGs stand as one RRset for each covered type, directly behind the RRset that they cover.
 * Any number of threads may read; a version lives as long as somebody holds it (zone_hold, or RCU by zone/store).
 */
#ifndef ZONE_ZONE_H
#define ZONE_ZONE_H

#include "dns/name.h"
#include "dns/rr.h"
#include "dns/serial.h"
#include "zone/tree.h"

#include <stdatomic.h>
#include <stdbool.h>

/* Leaf flags of the tree. */
enum {
	ZONE_FLAG_CUT = 1, ZONE_FLAG_DNAME = 2, ZONE_FLAG_BAD = 4 /* only inside zone/build */,
	ZONE_FLAG_NSEC = 8,          /* it owns an NSEC record */
	ZONE_FLAG_NSEC3 = 16,        /* it owns an NSEC3 record, */
	ZONE_FLAG_HASHED = 32,       /* and nothing else but RRSIGs: it does not exist for who asks for it (RFC 5155 7.2.8) */
};

/* How the zone proves what is not there. */
enum zone_denial { ZONE_DENIES_PLAINLY, ZONE_DENIES_BY_NSEC, ZONE_DENIES_BY_NSEC3 };
/* The chain of NSEC3 records that is used: that of the first NSEC3PARAM record of a kind that we know (RFC 5155 4). */
struct zone_chain {
	const uint8_t *salt;
	uint8_t salt_length;
	uint16_t iterations;
};

struct zone_lineage;             /* the pool and all versions in it */

struct zone {
	atomic_uint holders;
	bool dead;
	enum zone_denial denial : 8;
	struct tree_origin origin;   /* the apex */
	struct serial serial;
	struct zone_lineage *lineage;
	struct zone *older, *newer;  /* in the lineage; its lock. A view, alone in its own: the version that it is of, held */
	struct tree_retired_list retired;   /* what the next version replaced */
	struct tree tree;
	struct tree nsec3;           /* the owners of NSEC3 records alone; their items are those of `tree` */
	struct zone_chain chain;     /* as `denial` says */
	const struct zone_node *nsec3_of_apex, *nsec3_of_wildcard;   /* see zone/denial */
	struct rr_soa soa;           /* host order */
	const struct zone_node *apex_node;
	uint64_t records;            /* RRs */
	uint64_t names;              /* owner names */
	uint64_t wire_bytes;         /* of all records, uncompressed: owner + 10 + RDATA each */
	uint64_t wildcards;          /* owner names with a label that is '*' */
	uint64_t rrsigs;             /* RRSIG records: 0 means unsigned */
	uint64_t hashed;             /* owner names with NSEC3 records */
	uint8_t apex[];
};

struct zone *zone_hold(struct zone *);       /* one more holder; returns it */
void zone_put(struct zone *);                /* NULL is allowed; the last holder frees */
size_t zone_memory(const struct zone *);     /* bytes of its lineage */

/* An owner name's block. */
struct zone_node {
	uint8_t name_length;
	uint8_t name[];
};
/* One RRset as it lies there. */
struct zone_rrset {
	uint16_t type;               /* RR_RRSIG for signatures */
	uint16_t covers;             /* RRSIG: the covered type, else 0 */
	uint16_t count;
	uint32_t size;               /* octets of all its records */
	const uint8_t *records;
};
enum { ZONE_RR_HEAD = 12,        /* octets before RDATA in a stored record */
	ZONE_RRSET_HEAD = 8 };       /* type, count (host order), size before an RRset's records */

/* Iterating the RRsets of a node in stored order: type ascending, each followed by the RRSIGs that cover it. */
struct zone_rrsets {
	const uint8_t *at;
	unsigned left;
};
struct zone_rrsets zone_rrsets(const struct zone_node *);
bool zone_rrsets_next(struct zone_rrsets *, struct zone_rrset *);
/* The RRset of a type (not RRSIG), or false. `sigs` (may be NULL): the RRSIGs over it, count 0 if none. */
bool zone_node_rrset(const struct zone_node *, uint16_t type, struct zone_rrset *, struct zone_rrset *sigs);
/* One record after the other: a view with `owner` as given. Start with *at = 0; false at the end. */
bool zone_rrset_next(const struct zone_rrset *, uint32_t *at, const uint8_t *owner, struct rr *);
/* The zone's SOA record: a view into the version, which has exactly one. */
struct rr zone_soa(const struct zone *);
/* The absolute owner name; returns its length. */
size_t zone_node_name(const struct zone *, const struct zone_node *, uint8_t out[NAME_SIZE]);

/* Its labels, the root's not counted. */
unsigned zone_node_labels(const struct zone *, const struct zone_node *);

/* What stands at a name, as RFC 1034 4.3.2 wants to know it. */
enum zone_found {
	ZONE_NODE,       /* the name has records: node */
	ZONE_EMPTY,      /* an empty non-terminal (or the wildcard for the name is one): exists without records */
	ZONE_WILD,       /* it does not exist, and the closest encloser has a wildcard: node is it */
	ZONE_NONE,       /* it does not exist */
	ZONE_CUT,        /* at or below a zone cut: node holds its NS (node's own name may equal the query name: at_name) */
	ZONE_DNAME,      /* below a DNAME: node holds it */
};
struct zone_hit {
	enum zone_found found;
	const struct zone_node *node;
	bool at_name;                /* node's name is the name that was looked up */
	unsigned encloser_labels;    /* labels of the closest encloser, the apex's included */
};
/* `name` is at or below the apex. The highest cut or DNAME on the way decides. */
void zone_find(const struct zone *, const uint8_t *name, struct zone_hit *);
void zone_find_name(const struct zone *, const struct tree_name *, struct zone_hit *);
/* Exactly this name's block, also below a cut (glue); NULL if there is none. */
const struct zone_node *zone_find_node(const struct zone *, const uint8_t *name);
/* The same for who knows that the name is below the apex, and its key there (tree_key). */
const struct zone_node *zone_node_at(const struct zone *, const uint8_t *name, const uint8_t *key, size_t length);

/* All names in canonical order. The zone must be held meanwhile. */
struct zone_walk {
	const struct zone *zone;
	struct tree_walk walk;
};
void zone_walk(struct zone_walk *, const struct zone *);
/* From some name on, as tree_walk_from. */
void zone_walk_from(struct zone_walk *, const struct zone *, uint64_t random);
const struct zone_node *zone_walk_next(struct zone_walk *, uint8_t name[NAME_SIZE]);

/* For zone/build: */
struct zone_lineage *zone_lineage_new(void);
struct pool *zone_lineage_pool(struct zone_lineage *);
void zone_lineage_set_pool(struct zone_lineage *, struct pool *);      /* of one without versions; the old pool goes */
/* Blocks that old versions have left are given back to the pool (by the writer, between edits). */
void zone_lineage_reclaim(struct zone_lineage *);
/* Enters a finished version, held once by the caller; `retired` goes to `base` (NULL: the first version). */
void zone_lineage_add(struct zone_lineage *, struct zone *version, struct zone *base, struct tree_retired_list *retired);
/* Enters a finished view of `of` (held from now on) into a lineage that has nothing else. */
void zone_lineage_add_view(struct zone_lineage *, struct zone *view, struct zone *of);
void zone_lineage_free(struct zone_lineage *);   /* one without versions */
/* The node's size in octets, by walking it. */
size_t zone_node_size(const struct zone_node *);

#endif
