#include "serve/query.h"

#include "serve/proof.h"

enum {
	ALIASES_MAX = 16,            /* links of a chain of aliases; a longer one is left to the resolver */
	HOSTS_MAX = 32,              /* hosts whose addresses are remembered as given, lest they are given twice */
};

enum step { STEP_DONE, STEP_AGAIN, STEP_FULL };

/* A name that a wildcard answered for. */
struct expansion {
	const uint8_t *name;
	unsigned encloser_labels;
};

struct query {
	struct msg_writer *writer;
	const struct zone *zone;
	const uint8_t *qname;
	unsigned qname_octets;       /* without the root label */
	struct query_wish wish;
	const uint8_t *name;         /* looked up now: the question's, then each alias' target */
	struct zone_hit hit;         /* and what is there */
	struct query_result result;
	struct zone_rrset answer;    /* the last RRset of the answer, count 0: none; its hosts' addresses come last */
	struct proof proof;
	unsigned expansions;
	struct expansion expansion[ALIASES_MAX + 1];
	const struct query_lead *lead;
	struct put_hosts servers;    /* of a referral */
	unsigned aliases, made, hosts;
	const uint8_t *alias[ALIASES_MAX];             /* names that were left for their targets */
	const struct zone_node *dname[ALIASES_MAX];    /* and the DNAMEs that made the targets */
	uint8_t target[ALIASES_MAX][NAME_SIZE];
	const struct zone_node *host[HOSTS_MAX];
};

/* --- putting records -------------------------------------------------------------------- */

/* Where the name can be read in the message without looking: it is a part of the question's. 0: it is not. */
static unsigned place_of(const struct query *q, const uint8_t *name)
{
	size_t offset = (size_t)(name - q->qname);

	return q->qname <= name && offset < q->qname_octets ? MSG_HEADER + (unsigned)offset : 0;
}

static bool put(struct query *q, enum msg_section section, const struct zone_rrset *set, const uint8_t *owner)
{
	return put_rrset(q->writer, section, set, owner, place_of(q, owner));
}

/* With its signatures, if they are wanted. */
static bool put_signed(struct query *q, enum msg_section section, const struct zone_rrset *set, const struct zone_rrset *sigs,
	const uint8_t *owner)
{
	return put(q, section, set, owner) && (!q->wish.dnssec || !sigs->count || put(q, section, sigs, owner));
}

/* --- addresses of hosts that records name ------------------------------------------------ */

/* Where the name of a host stands in RDATA, or -1: no addresses go with the type. */
static int host_offset(uint16_t type)
{
	switch (type) {
	case RR_NS:
		return 0;
	case RR_MX: case RR_SVCB: case RR_HTTPS:
		return 2;
	case RR_SRV:
		return 6;
	default:
		return -1;
	}
}

/* RFC 9460 2.5: the target "." stands for the owner. */
static const uint8_t *host_of(const struct rr *rr)
{
	const uint8_t *host = rr->rdata + host_offset(rr->type);

	return *host == 0 && (rr->type == RR_SVCB || rr->type == RR_HTTPS) ? rr->owner : host;
}

/* The host's records, also below a cut, or a wildcard's. `known`: its key, or NULL. */
static const struct zone_node *host_node(const struct zone *zone, const uint8_t *host, const struct query_host *known)
{
	const struct zone_node *node;
	struct zone_hit hit;

	if (!known && !name_is_under(host, zone->apex))
		return NULL;
	node = known ? zone_node_at(zone, host, known->key, known->length) : zone_find_node(zone, host);
	if (node || !zone->wildcards)
		return node;
	zone_find(zone, host, &hit);
	return hit.found == ZONE_WILD ? hit.node : NULL;
}

static bool is_new_host(struct query *q, const struct zone_node *node)
{
	for (unsigned i = 0; i < q->hosts; i++)
		if (q->host[i] == node)
			return false;
	if (q->hosts < HOSTS_MAX)
		q->host[q->hosts++] = node;
	return true;
}

/* Its signatures as far as they fit. */
static bool put_address(struct query *q, const struct zone_rrset *set, const struct zone_rrset *sigs, const uint8_t *host, unsigned at)
{
	if (!put_rrset(q->writer, MSG_ADDITIONAL, set, host, at))
		return false;
	if (q->wish.dnssec)
		put_rrset(q->writer, MSG_ADDITIONAL, sigs, host, at);
	return true;
}

/* `at`: where the host's name can be read, or 0. False: something did not fit. */
static bool put_addresses(struct query *q, const uint8_t *host, unsigned at, const struct query_host *known)
{
	static const uint16_t types[] = {RR_A, RR_AAAA};
	const struct zone_node *node = host_node(q->zone, host, known);
	struct zone_rrset set, sigs;

	if (!node || !is_new_host(q, node))
		return true;
	for (int i = 0; i < 2; i++)
		if (zone_node_rrset(node, types[i], &set, &sigs) && !put_address(q, &set, &sigs, host, at))
			return false;
	return true;
}

/* As far as they fit: a client that misses one can ask for it. The names of an NS RRset differ; other RRsets may name a host again, so
 * that no more of theirs are given than are remembered. */
static void put_hosts(struct query *q, const struct zone_rrset *set, const uint8_t *owner)
{
	uint32_t at = 0;
	struct rr rr;

	if (host_offset(set->type) < 0 || (!q->wish.additional && set->type != RR_NS))
		return;
	while ((q->hosts < HOSTS_MAX || set->type == RR_NS) && zone_rrset_next(set, &at, owner, &rr))
		if (!put_addresses(q, host_of(&rr), 0, NULL))
			return;
}

/* --- answers ------------------------------------------------------------------------------- */

/* Records of a name that does not exist itself are proven to be a wildcard's, once all of the answer section stands. */
static void note_expansion(struct query *q)
{
	if (q->wish.dnssec && q->hit.found == ZONE_WILD)
		q->expansion[q->expansions++] = (struct expansion){q->name, q->hit.encloser_labels};
}

/* A DNAME can lead to its own name (RFC 6672 3.3); each RRset stands once. */
static bool is_given_dname(const struct query *q, const struct zone_node *node)
{
	for (unsigned i = 0; i < q->made; i++)
		if (q->dname[i] == node)
			return true;
	return false;
}

static enum step put_answer(struct query *q, const struct zone_node *node, const struct zone_rrset *set, const struct zone_rrset *sigs)
{
	if (!(set->type == RR_DNAME && is_given_dname(q, node)) && !put_signed(q, MSG_ANSWER, set, sigs, q->name))
		return STEP_FULL;
	note_expansion(q);
	q->answer = *set;
	return STEP_DONE;
}

static bool prove_denial(struct query *q, enum msg_rcode rcode)
{
	const struct zone_hit *hit = &q->hit;

	if (rcode == RCODE_NXDOMAIN)
		return proof_no_name(&q->proof, q->name, hit->encloser_labels);
	if (hit->found == ZONE_WILD || (hit->found == ZONE_EMPTY && name_labels(q->name) > hit->encloser_labels))
		return proof_no_type_at_wildcard(&q->proof, q->name, hit->encloser_labels, hit->node);
	return proof_no_type(&q->proof, q->name, hit->node);
}

/* RFC 2308 3: the SOA, with the TTL that the denial has. */
static enum step deny(struct query *q, enum msg_rcode rcode)
{
	q->result.rcode = rcode;
	if (!put_soa(q->writer, MSG_AUTHORITY, q->zone, q->zone->soa.minimum, q->wish.dnssec))
		return STEP_FULL;
	return !q->wish.dnssec || prove_denial(q, rcode) ? STEP_DONE : STEP_FULL;
}

/* The chain ends where it leaves the zone, meets itself, or is too long. */
static enum step follow(struct query *q, const uint8_t *target)
{
	if (q->aliases == ALIASES_MAX || !name_is_under(target, q->zone->apex))
		return STEP_DONE;
	q->alias[q->aliases++] = q->name;
	for (unsigned i = 0; i < q->aliases; i++)
		if (name_equal(q->alias[i], target))
			return STEP_DONE;
	q->name = target;
	return STEP_AGAIN;
}

static enum step at_cname(struct query *q, const struct zone_rrset *set, const struct zone_rrset *sigs)
{
	if (!put_signed(q, MSG_ANSWER, set, sigs, q->name))
		return STEP_FULL;
	note_expansion(q);
	return follow(q, set->records + ZONE_RR_HEAD);
}

/* What ANY and RRSIG get: one RRset, the smallest (RFC 8482 4.1); NSEC only if there is nothing else. */
static bool find_smallest(const struct zone_node *node, bool rrsig, struct zone_rrset *best, struct zone_rrset *sigs)
{
	struct zone_rrsets iter = zone_rrsets(node);
	struct zone_rrset set;

	best->size = UINT32_MAX;
	best->type = 0;
	while (zone_rrsets_next(&iter, &set)) {
		if ((set.type == RR_RRSIG) != rrsig)
			continue;
		if (best->type == 0 || best->type == RR_NSEC || (set.type != RR_NSEC && set.size < best->size))
			*best = set;
	}
	*sigs = (struct zone_rrset){0};
	if (best->type != 0 && !rrsig)
		zone_node_rrset(node, best->type, best, sigs);
	return best->type != 0;
}

static bool find_rrset(const struct query *q, const struct zone_node *node, struct zone_rrset *set, struct zone_rrset *sigs)
{
	if (q->wish.type == RR_ANY || q->wish.type == RR_RRSIG)
		return find_smallest(node, q->wish.type == RR_RRSIG, set, sigs);
	return zone_node_rrset(node, q->wish.type, set, sigs);
}

static enum step at_node(struct query *q, const struct zone_node *node)
{
	struct zone_rrset set, sigs;

	if (find_rrset(q, node, &set, &sigs))
		return put_answer(q, node, &set, &sigs);
	if (zone_node_rrset(node, RR_CNAME, &set, &sigs))
		return at_cname(q, &set, &sigs);
	return deny(q, RCODE_NOERROR);
}

/* --- DNAME (RFC 6672 3) ---------------------------------------------------------------------- */

static bool put_dname(struct query *q, const struct zone_node *node, const struct zone_rrset *set, const struct zone_rrset *sigs,
	const uint8_t *owner)
{
	bool given = is_given_dname(q, node);

	q->dname[q->made] = node;
	return given || put_signed(q, MSG_ANSWER, set, sigs, owner);
}

static enum step below_dname(struct query *q, const struct zone_node *node)
{
	uint8_t owner[NAME_SIZE], *target = q->target[q->made];
	size_t owner_length = zone_node_name(q->zone, node, owner);
	struct zone_rrset set, sigs;
	struct rr rr;
	uint32_t at = 0;

	if (q->made == ALIASES_MAX || !zone_node_rrset(node, RR_DNAME, &set, &sigs) || !zone_rrset_next(&set, &at, owner, &rr))
		return STEP_DONE;
	if (!put_dname(q, node, &set, &sigs, owner))
		return STEP_FULL;
	rr.rdlength = (uint16_t)name_join(q->name, name_length(q->name) - owner_length, rr.rdata, target);
	if (rr.rdlength == 0) {
		q->result.rcode = RCODE_YXDOMAIN;
		return STEP_DONE;
	}
	q->made++;
	rr.owner = q->name;
	rr.type = RR_CNAME;
	rr.rdata = target;
	if (!msg_put_rr(q->writer, MSG_ANSWER, &rr))
		return STEP_FULL;
	return q->wish.type == RR_CNAME ? STEP_DONE : follow(q, target);
}

/* --- referrals ----------------------------------------------------------------------------------- */

static bool put_expansions(struct query *q)
{
	for (; q->expansions > 0; q->expansions--) {
		const struct expansion *e = &q->expansion[q->expansions - 1];

		if (!proof_expansion(&q->proof, e->name, e->encloser_labels))
			return false;
	}
	return true;
}

/* The addresses of the referral's nameserver number `i`; it is below the cut, or is not (`below`). */
static bool put_addresses_of(struct query *q, unsigned i, const uint8_t *name, const uint8_t *cut, bool below)
{
	const struct put_host *host = i < q->servers.count ? &q->servers.host[i] : NULL;
	const struct query_host *known = q->aliases == 0 && i < q->lead->hosts ? &q->lead->host[i] : NULL;

	if ((host ? host->below : name_is_under(name, cut)) != below || (known && known->place == QUERY_HOST_ELSEWHERE))
		return true;
	return put_addresses(q, name, host ? host->at : 0, known && known->place == QUERY_HOST_KNOWN ? known : NULL);
}

/* Addresses of the nameservers whose names are below the cut, all of them; or of the others that the zone knows, as far as they fit. */
static bool put_glue(struct query *q, const struct zone_rrset *ns, const uint8_t *cut, bool below)
{
	uint32_t at = 0;
	struct rr rr;

	for (unsigned i = 0; i < q->servers.count; i++)
		if (!put_addresses_of(q, i, q->servers.host[i].name, cut, below) && below)
			return false;
	if (q->servers.count == ns->count)
		return true;
	for (unsigned i = 0; zone_rrset_next(ns, &at, cut, &rr); i++)
		if (i >= q->servers.count && !put_addresses_of(q, i, rr.rdata, cut, below) && below)
			return false;
	return true;
}

static void read_cut(struct query_cut *cut, const struct zone_node *node)
{
	struct zone_rrsets iter = zone_rrsets(node);
	struct zone_rrset set;

	cut->ns.count = cut->ds.count = cut->sigs.count = 0;
	while (zone_rrsets_next(&iter, &set)) {
		if (set.type == RR_NS)
			cut->ns = set;
		else if (set.type == RR_DS)
			cut->ds = set;
		else if (set.covers == RR_DS)
			cut->sigs = set;
	}
}

static bool put_security(struct query *q, const struct zone_node *node, const struct query_cut *at_cut, const uint8_t *name)
{
	return at_cut->ds.count ? put_signed(q, MSG_AUTHORITY, &at_cut->ds, &at_cut->sigs, name) : proof_no_type(&q->proof, name, node);
}

static enum step refer(struct query *q, const struct zone_node *node)
{
	const uint8_t *name = name_suffix(q->name, zone_node_labels(q->zone, node));
	const struct query_cut *cut = &q->lead->cut;
	unsigned at = place_of(q, name);
	struct query_cut other;

	if (q->aliases) {
		read_cut(&other, node);
		cut = &other;
	} else {
		q->result.aa = false;
	}
	q->servers.count = 0;
	if (!(at ? put_ns(q->writer, MSG_AUTHORITY, &cut->ns, q->zone, name, at, &q->servers) : put(q, MSG_AUTHORITY, &cut->ns, name)) ||
	    (q->wish.dnssec && !put_security(q, node, cut, name)) || !put_expansions(q))
		return STEP_FULL;
	if (put_glue(q, &cut->ns, name, true))
		put_glue(q, &cut->ns, name, false);
	else
		q->result.fit = QUERY_GLUE_LEFT;
	return STEP_DONE;
}

/* The parent's side of the cut has authority for DS alone (RFC 4035 3.1.4.1). */
static enum step at_cut(struct query *q)
{
	struct zone_rrset set, sigs;

	if (q->wish.type != RR_DS || !q->hit.at_name)
		return refer(q, q->hit.node);
	if (zone_node_rrset(q->hit.node, RR_DS, &set, &sigs))
		return put_answer(q, q->hit.node, &set, &sigs);
	return deny(q, RCODE_NOERROR);
}

/* ----------------------------------------------------------------------------------------------------- */

static enum step at_hit(struct query *q)
{
	switch (q->hit.found) {
	case ZONE_NODE: case ZONE_WILD:
		return at_node(q, q->hit.node);
	case ZONE_EMPTY:
		return deny(q, RCODE_NOERROR);
	case ZONE_NONE:
		return deny(q, RCODE_NXDOMAIN);
	case ZONE_CUT:
		return at_cut(q);
	case ZONE_DNAME:
		return below_dname(q, q->hit.node);
	}
	return STEP_DONE;
}

/* The name whose hash the answer begins with: a cut without DS, or the next closer name of one that does not exist. */
static const uint8_t *first_hashed(const struct query_lead *lead, const struct zone *zone, const uint8_t *name)
{
	if (lead->hit.found == ZONE_NONE)
		return name_suffix(name, lead->hit.encloser_labels + 1);
	if (lead->hit.found != ZONE_CUT || lead->cut.ds.count)
		return NULL;
	return name_suffix(name, zone_node_labels(zone, lead->hit.node));
}

static void note_host(struct query_host *host, const struct zone *zone, const uint8_t *name)
{
	size_t octets = name_length(name), apex = 1u + zone->origin.octets;

	host->place = QUERY_HOST_ELSEWHERE;
	if (!name_ends_in(name, octets, zone->apex, apex))
		return;
	host->place = QUERY_HOST_UNKNOWN;
	if ((octets - apex) * 2 + 2 > sizeof host->key)
		return;
	host->place = QUERY_HOST_KNOWN;
	host->length = (uint8_t)tree_key(name, zone->origin.labels, host->key);
}

static void note_hosts(struct query_lead *lead, const struct zone *zone)
{
	uint32_t at = 0;
	struct rr rr;

	while (lead->hosts < QUERY_HOSTS && zone_rrset_next(&lead->cut.ns, &at, NULL, &rr))
		note_host(&lead->host[lead->hosts++], zone, rr.rdata);
}

void query_lead(struct query_lead *lead, const struct zone *zone, const struct tree_name *name, struct query_wish wish)
{
	zone_find_name(zone, name, &lead->hit);
	lead->hosts = 0;
	if (lead->hit.found == ZONE_CUT) {
		read_cut(&lead->cut, lead->hit.node);
		note_hosts(lead, zone);
	}
	lead->hashed = wish.dnssec && zone->denial == ZONE_DENIES_BY_NSEC3 ? first_hashed(lead, zone, name->name) : NULL;
	if (lead->hashed)
		denial_key(&lead->key, zone, lead->hashed);
}

unsigned query_ahead(const struct query_lead *lead, const struct zone *zone, struct tree_ahead *ahead)
{
	unsigned n = 0;

	if (lead->hashed)
		ahead[n++] = (struct tree_ahead){&zone->nsec3.root, lead->key.symbol, DENIAL_KEY_LENGTH, true};
	for (unsigned i = 0; i < lead->hosts; i++)
		if (lead->host[i].place == QUERY_HOST_KNOWN)
			ahead[n++] = (struct tree_ahead){&zone->tree.root, lead->host[i].key, lead->host[i].length, false};
	return n;
}

struct query_result query_answer(struct msg_writer *writer, const struct zone *zone, const struct tree_name *name,
	struct query_wish wish, const struct query_lead *lead)
{
	struct msg_mark before = msg_mark(writer);
	struct query q;
	enum step step;

	q.writer = writer;
	q.zone = zone;
	q.qname = q.name = name->name;
	q.qname_octets = name->octets;
	q.lead = lead;
	q.wish = wish;
	q.wish.dnssec = wish.dnssec && zone->rrsigs;
	q.result = (struct query_result){RCODE_NOERROR, true, QUERY_FITS, -1};
	q.answer.count = 0;
	q.aliases = q.made = q.hosts = q.expansions = 0;
	proof_init(&q.proof, writer, zone);
	msg_anchor(writer, zone->apex, zone->origin.octets, zone->origin.labels);
	q.hit = lead->hit;
	if (q.hit.found == ZONE_WILD || q.hit.found == ZONE_DNAME)
		q.result.made_below = (int)q.hit.encloser_labels;
	q.proof.hashed = lead->hashed;
	q.proof.key = &lead->key;
	while ((step = at_hit(&q)) == STEP_AGAIN)
		zone_find(zone, q.name, &q.hit);
	if (step == STEP_FULL || !put_expansions(&q)) {
		msg_rollback(writer, before);
		q.result.fit = QUERY_FULL;
	} else if (q.answer.count) {
		put_hosts(&q, &q.answer, q.name);
	}
	return q.result;
}
