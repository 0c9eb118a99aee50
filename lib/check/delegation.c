#include "check/delegation.h"

#include "base/clock.h"
#include "check/gaps.h"
#include "check/resolve.h"
#include "dns/msg.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

enum {
	TIMES = 4,                   /* the prober's timeout for one question, for all of it */
	SLACK_SHARE = 8,             /* of the timeout, kept for what comes after */
	WWW_LABEL = 4,               /* octets */
};

struct asking;
typedef void asking_then(struct asking *, struct reply *);

/* A question that is out. What it is about is told by an index, as what is known moves. */
struct asking {
	TAILQ_ENTRY(asking) link;
	struct delegation *d;
	struct probe *probe;
	asking_then *then;           /* the reply is its own */
	size_t about;                /* index of a server, a parent, a name; or labels */
	size_t slot;                 /* which of its replies */
	uint8_t name[NAME_SIZE];
	uint16_t type;
	unsigned resolver;           /* asked; also those before have been */
};

struct delegation {
	struct event_base *base;
	struct prober *prober;
	const struct survey_settings *set;
	struct survey *survey;
	delegation_done *done;
	void *ctx;
	struct event *timer;         /* the end; or, with nothing to ask, at once */
	TAILQ_HEAD(, asking) asking;
	size_t octets;               /* of all replies that came */
	unsigned resolver;           /* the first that is not known to fail */
	bool again;                  /* the last round */
	bool late;                   /* time was up before all was answered */
	bool no_memory;
	uint8_t lies_in[NAME_SIZE];  /* by a server of the parent that does not delegate */
	bool not_delegated, no_such_name;
};

static void settle(struct delegation *);
static void begin_server(struct delegation *, size_t server);
static void resolve_ns(struct delegation *, size_t ns);

/* --- questions ------------------------------------------------------------------------ */

static void account(struct delegation *d, struct reply *reply)
{
	size_t octets = reply->arena.total;

	if (octets <= SURVEY_OCTETS_MAX - d->octets) {
		d->octets += octets;
		return;
	}
	err_why(&reply->why, ERR_LIMIT, "over %d octets in all answers about the zone", SURVEY_OCTETS_MAX);
	reply_discard(reply);
}

static void answered(void *ctx, struct reply *reply)
{
	struct asking *a = ctx;
	struct delegation *d = a->d;

	TAILQ_REMOVE(&d->asking, a, link);
	if (reply)
		account(d, reply);
	if (reply)
		a->then(a, reply);
	else
		d->no_memory = true;
	free(a);
	settle(d);
}

static void ask(struct delegation *d, const struct probe_ask *question, asking_then *then, size_t about, size_t slot, unsigned resolver)
{
	struct asking *a = calloc(1, sizeof *a);

	if (!a) {
		d->no_memory = true;
		return;
	}
	a->d = d;
	a->then = then;
	a->about = about;
	a->slot = slot;
	name_copy(question->name, a->name);
	a->type = question->type;
	a->resolver = resolver;
	a->probe = probe_send(d->prober, question, answered, a);
	if (!a->probe) {
		d->no_memory = true;
		free(a);
		return;
	}
	TAILQ_INSERT_TAIL(&d->asking, a, link);
}

/* --- the resolver ----------------------------------------------------------------------- */

static void ask_resolver_at(struct delegation *d, unsigned resolver, const uint8_t *name, uint16_t type, asking_then *then, size_t about, size_t slot)
{
	struct probe_ask question = {.to = d->set->resolvers[resolver], .name = name, .type = type, .rd = true, .cd = true, .follow = true};

	ask(d, &question, then, about, slot, resolver);
}

static void ask_resolver(struct delegation *d, const uint8_t *name, uint16_t type, asking_then *then, size_t about, size_t slot)
{
	if (d->resolver < d->set->resolver_count)
		ask_resolver_at(d, d->resolver, name, type, then, about, slot);
	else if (d->set->resolver_count)
		ask_resolver_at(d, 0, name, type, then, about, slot);
	else
		survey_add_gap(d->survey, "there is no resolver to ask");
}

/* The next resolver is asked the same; false: the reply is the last word. */
static bool ask_next_resolver(struct asking *a, const struct reply *reply)
{
	struct delegation *d = a->d;
	bool silent = reply->outcome != REPLY_OK;

	if (resolve_told(reply) || a->resolver + 1 >= d->set->resolver_count)
		return false;
	if (silent && d->resolver <= a->resolver)
		d->resolver = a->resolver + 1;
	ask_resolver_at(d, a->resolver + 1, a->name, a->type, a->then, a->about, a->slot);
	return true;
}

static const char *resolver_says(const struct reply *reply, char out[16])
{
	if (reply->outcome == REPLY_OK && (reply->rcode == RCODE_NOERROR || reply->rcode == RCODE_NXDOMAIN))
		return "it does not resolve names for us";
	return reply_says(reply, out);
}

static void add_resolver_gap(const struct asking *a, const char *what, const struct reply *reply)
{
	char address[NET_ADDR_TEXT], word[16];

	survey_add_gap(a->d->survey, "%s: the resolver %s: %s", what,
		net_addr_text(&a->d->set->resolvers[a->resolver], 53, address), resolver_says(reply, word));
}

/* --- addresses --------------------------------------------------------------------------- */

static uint16_t port(const struct delegation *d)
{
	return d->set->port ? d->set->port : 53;
}

static bool is_wanted(const struct delegation *d, const struct net_addr *address)
{
	return address->sa.sa_family == AF_INET6 ? !d->set->no_v6 : !d->set->no_v4;
}

static void add_server(struct delegation *d, size_t ns, const struct net_addr *address, bool given, bool glue)
{
	struct survey_server *server = survey_find_server(d->survey, ns, address);
	bool is_new = !server;

	if (!is_wanted(d, address))
		return;
	if (is_new)
		server = survey_add_server(d->survey, ns, address);
	if (!server)
		return;
	server->given = server->given || given;
	server->glue = server->glue || glue;
	server->resolved = server->resolved || (!given && !glue);
	if (is_new)
		begin_server(d, (size_t)(server - d->survey->servers));
}

/* An answer of one that does not resolve tells nothing about the name. */
static void say_does_not_resolve(struct reply *reply)
{
	char word[16];

	if (reply->outcome != REPLY_OK || (reply->rcode != RCODE_NOERROR && reply->rcode != RCODE_NXDOMAIN))
		return;
	err_why(&reply->why, ERR_REFUSED, "%s", resolver_says(reply, word));
	reply->outcome = REPLY_GARBAGE;
}

static struct reply **slot_of_ns(struct delegation *d, const struct asking *a)
{
	struct survey_ns *ns = &d->survey->ns[a->about];

	return a->type == RR_A ? &ns->a : &ns->aaaa;
}

static void ns_resolved(struct asking *a, struct reply *reply)
{
	struct delegation *d = a->d;
	const struct rr *rrs;
	size_t count;

	if (ask_next_resolver(a, reply)) {
		reply_free(reply);
		return;
	}
	*slot_of_ns(d, a) = reply;
	if (!resolve_told(reply))
		say_does_not_resolve(reply);
	rrs = resolve_find(reply, a->name, a->type, &count);
	for (size_t i = 0; i < count && !d->survey->ns[a->about].has_given; i++) {
		struct net_addr address = resolve_address(&rrs[i], port(d));

		add_server(d, a->about, &address, false, false);
	}
}

/* A name in the zone may not be there yet for a resolver, and is what the glue says. */
static bool is_settled(const struct delegation *d, const struct survey_ns *ns)
{
	return ns->has_given && (!d->set->resolve_given || name_is_under(ns->name, d->survey->zone));
}

static void resolve_ns(struct delegation *d, size_t index)
{
	struct survey_ns *ns = &d->survey->ns[index];

	if (ns->resolving || is_settled(d, ns) || (d->set->only_given && !(ns->from & FROM_GIVEN)))
		return;
	ns->resolving = true;
	ask_resolver(d, ns->name, RR_A, ns_resolved, index, 0);
	ask_resolver(d, ns->name, RR_AAAA, ns_resolved, index, 0);
}

/* NULL: as survey_add_ns. */
static struct survey_ns *learn(struct delegation *d, const uint8_t *name, unsigned from)
{
	struct survey_ns *ns = survey_find_ns(d->survey, name);

	if (!ns)
		ns = survey_add_ns(d->survey, name);
	if (!ns)
		return NULL;
	ns->from |= from;
	if (from != FROM_GIVEN)
		resolve_ns(d, (size_t)(ns - d->survey->ns));
	return ns;
}

/* --- nameservers of the zone ---------------------------------------------------------------- */

static const struct rr *apex_records(const struct delegation *d, const struct reply *reply, uint16_t type, size_t *count)
{
	*count = 0;
	if (!reply || reply->outcome != REPLY_OK || reply->rcode != RCODE_NOERROR || !reply->aa)
		return NULL;
	return reply_find(reply->answer, reply->answer_count, d->survey->zone, type, count);
}

static bool shows_soa(const struct delegation *d, const struct reply *reply)
{
	size_t count;

	return apex_records(d, reply, RR_SOA, &count) != NULL;
}

static void server_answered(struct asking *a, struct reply *reply)
{
	a->d->survey->servers[a->about].replies[a->slot] = reply;
}

static void ns_set_answered(struct asking *a, struct reply *reply)
{
	struct delegation *d = a->d;
	const struct rr *rrs;
	size_t count;

	server_answered(a, reply);
	rrs = apex_records(d, reply, RR_NS, &count);
	for (size_t i = 0; i < count; i++)
		learn(d, rrs[i].rdata, FROM_CHILD);
}

static bool may_try_transfer(const struct delegation *d, const struct net_addr *address)
{
	for (size_t i = 0; i < d->set->no_transfer_count; i++)
		if (net_host_equal(&d->set->no_transfer[i], address))
			return false;
	return !d->set->no_transfers;
}

static void ask_server(struct delegation *d, size_t index, struct probe_ask question, asking_then *then, size_t slot)
{
	question.to = d->survey->servers[index].address;
	if (!question.name)
		question.name = d->survey->zone;
	question.do_bit = !question.no_edns;
	question.follow = true;
	ask(d, &question, then, index, slot, 0);
}

static void ask_www(struct delegation *d, size_t index, bool no_edns)
{
	uint8_t name[NAME_SIZE];

	if (!name_join((const uint8_t *)"\3www", WWW_LABEL, d->survey->zone, name))
		return;
	ask_server(d, index, (struct probe_ask){.name = name, .type = RR_A, .no_edns = no_edns}, server_answered, SURVEY_SLOT(www_a));
	ask_server(d, index, (struct probe_ask){.name = name, .type = RR_AAAA, .no_edns = no_edns}, server_answered, SURVEY_SLOT(www_aaaa));
}

/* It serves the zone: all the rest, the way that it understands. */
static void begin_rest(struct delegation *d, size_t index, bool no_edns)
{
	static const struct { uint16_t type; size_t slot; } rest[] = {
		{RR_DNSKEY, SURVEY_SLOT(dnskey)}, {RR_CDS, SURVEY_SLOT(cds)}, {RR_CDNSKEY, SURVEY_SLOT(cdnskey)}, {RR_CSYNC, SURVEY_SLOT(csync)},
		{RR_NSEC3PARAM, SURVEY_SLOT(nsec3param)}, {RR_A, SURVEY_SLOT(a)}, {RR_AAAA, SURVEY_SLOT(aaaa)}, {RR_MX, SURVEY_SLOT(mx)},
	};
	struct survey_server *server = &d->survey->servers[index];

	server->serves = true;
	ask_server(d, index, (struct probe_ask){.type = RR_NS, .no_edns = no_edns}, ns_set_answered, SURVEY_SLOT(ns_set));
	for (size_t i = 0; i < sizeof rest / sizeof *rest; i++)
		ask_server(d, index, (struct probe_ask){.type = rest[i].type, .no_edns = no_edns}, server_answered, rest[i].slot);
	ask_www(d, index, no_edns);
	if (!no_edns)
		ask_server(d, index, (struct probe_ask){.type = RR_SOA, .edns_version = 1}, server_answered, SURVEY_SLOT(edns1));
	if (may_try_transfer(d, &server->address))
		ask_server(d, index, (struct probe_ask){.type = RR_AXFR, .no_edns = true}, server_answered, SURVEY_SLOT(axfr));
}

static void first_answered(struct asking *a, struct reply *reply)
{
	struct delegation *d = a->d;
	const struct survey_server *server = &d->survey->servers[a->about];

	server_answered(a, reply);
	if (server->serves)
		return;
	if (shows_soa(d, server->soa))
		begin_rest(d, a->about, false);
	else if (server->soa && shows_soa(d, server->plain_soa))
		begin_rest(d, a->about, true);
}

static void begin_server(struct delegation *d, size_t index)
{
	ask_server(d, index, (struct probe_ask){.type = RR_SOA}, first_answered, SURVEY_SLOT(soa));
	ask_server(d, index, (struct probe_ask){.type = RR_SOA, .no_edns = true}, first_answered, SURVEY_SLOT(plain_soa));
	ask_server(d, index, (struct probe_ask){.type = RR_SOA, .tcp = true, .no_edns = true}, server_answered, SURVEY_SLOT(tcp_soa));
}

static void ask_again(struct delegation *d)
{
	d->again = true;
	for (size_t i = 0; i < d->survey->server_count; i++) {
		const struct survey_server *server = &d->survey->servers[i];

		if (server->serves)
			ask_server(d, i, (struct probe_ask){.type = RR_SOA, .no_edns = !shows_soa(d, server->soa)}, server_answered,
				SURVEY_SLOT(soa_again));
	}
}

/* --- the parent's servers ---------------------------------------------------------------------- */

static const struct rr *delegation_in(const struct delegation *d, const struct reply *reply, size_t *count)
{
	bool as_child;

	return reply_delegation(reply, d->survey->zone, &as_child, count);
}

/* Who goes by glue takes only what lies below the parent. */
static bool is_glue(const struct delegation *d, const uint8_t *name)
{
	return name_is_under(name, d->survey->parent_found ? d->survey->parent_zone : d->survey->zone);
}

static void take_glue(struct delegation *d, const struct reply *referral, const struct survey_ns *ns, uint16_t type)
{
	size_t count;
	const struct rr *rrs = reply_find(referral->additional, referral->additional_count, ns->name, type, &count);

	if (ns->has_given || (d->set->only_given && !(ns->from & FROM_GIVEN)) || !is_glue(d, ns->name))
		return;
	for (size_t i = 0; i < count; i++) {
		struct net_addr address = resolve_address(&rrs[i], port(d));

		add_server(d, (size_t)(ns - d->survey->ns), &address, false, true);
	}
}

static void take_referral(struct delegation *d, const struct reply *reply)
{
	const uint8_t *lies_in = resolve_denial(reply, d->survey->zone);
	size_t count;
	const struct rr *rrs = delegation_in(d, reply, &count);

	if (lies_in && !d->not_delegated) {
		d->not_delegated = true;
		d->no_such_name = reply->rcode == RCODE_NXDOMAIN;
		name_copy(lies_in, d->lies_in);
	}
	for (size_t i = 0; i < count; i++) {
		struct survey_ns *ns = learn(d, rrs[i].rdata, FROM_PARENT);

		if (!ns || reply->aa)
			continue;
		take_glue(d, reply, ns, RR_A);
		take_glue(d, reply, ns, RR_AAAA);
	}
}

static void referral_answered(struct asking *a, struct reply *reply)
{
	struct survey_parent *parent = &a->d->survey->parents[a->about];

	*(a->slot ? &parent->referral_512 : &parent->referral) = reply;
	take_referral(a->d, reply);
}

static void ds_answered(struct asking *a, struct reply *reply)
{
	a->d->survey->parents[a->about].ds = reply;
}

/* A way to it: a route, and an address of our own to go from. */
static bool has_way(const struct net_addr *address)
{
	int fd = net_connect_udp(address, NULL);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void begin_parent(struct delegation *d, const uint8_t *name, const struct net_addr *address)
{
	struct survey_parent *parent;
	struct probe_ask question = {.to = *address, .name = d->survey->zone, .type = RR_NS, .do_bit = true, .follow = true};
	size_t before = d->survey->parent_count, index;

	if (!is_wanted(d, address) || !has_way(address))
		return;
	parent = survey_add_parent(d->survey, name, address);
	if (!parent || d->survey->parent_count == before)
		return;
	index = (size_t)(parent - d->survey->parents);
	ask(d, &question, referral_answered, index, 0, 0);
	question.type = RR_DS;
	ask(d, &question, ds_answered, index, 0, 0);
	question = (struct probe_ask){.to = *address, .name = d->survey->zone, .type = RR_NS, .no_edns = true};
	ask(d, &question, referral_answered, index, 1, 0);
}

/* --- finding the parent ---------------------------------------------------------------------------- */

static void parent_address_answered(struct asking *a, struct reply *reply)
{
	struct delegation *d = a->d;
	char text[NAME_TEXT_SIZE + 40], name[NAME_TEXT_SIZE];
	const struct rr *rrs;
	size_t count;

	if (!ask_next_resolver(a, reply)) {
		rrs = resolve_find(reply, a->name, a->type, &count);
		for (size_t i = 0; i < count; i++) {
			struct net_addr address = resolve_address(&rrs[i], port(d));

			begin_parent(d, a->name, &address);
		}
		if (!resolve_told(reply)) {
			snprintf(text, sizeof text, "no address of the parent's server %s", name_text(a->name, name));
			add_resolver_gap(a, text, reply);
		}
	}
	reply_free(reply);
}

static void parent_ns_answered(struct asking *a, struct reply *reply)
{
	struct delegation *d = a->d;
	char text[NAME_TEXT_SIZE + 40], name[NAME_TEXT_SIZE];
	const struct rr *rrs;
	size_t count;

	if (!ask_next_resolver(a, reply)) {
		rrs = resolve_find(reply, a->name, RR_NS, &count);
		for (size_t i = 0; i < count && i < SURVEY_PARENTS_MAX; i++) {
			ask_resolver(d, rrs[i].rdata, RR_A, parent_address_answered, 0, 0);
			ask_resolver(d, rrs[i].rdata, RR_AAAA, parent_address_answered, 0, 0);
		}
		snprintf(text, sizeof text, "the nameservers of the parent zone %s could not be found", name_text(a->name, name));
		if (!resolve_told(reply))
			add_resolver_gap(a, text, reply);
		else if (!rrs)
			survey_add_gap(d->survey, "%s: the resolver knows none", text);
	}
	reply_free(reply);
}

static void find_parent(struct delegation *, unsigned labels);

static void above_answered(struct asking *a, struct reply *reply)
{
	struct delegation *d = a->d;
	const uint8_t *apex;

	if (ask_next_resolver(a, reply)) {
		reply_free(reply);
		return;
	}
	apex = resolve_told(reply) ? resolve_apex(reply, a->name) : NULL;
	if (!resolve_told(reply)) {
		add_resolver_gap(a, "the parent zone could not be found", reply);
	} else if (apex) {
		name_lower(apex, d->survey->parent_zone);
		d->survey->parent_found = true;
		ask_resolver(d, d->survey->parent_zone, RR_NS, parent_ns_answered, 0, 0);
	} else if (a->about > 0) {
		find_parent(d, (unsigned)a->about - 1);
	} else {
		survey_add_gap(d->survey, "the parent zone could not be found: the resolver does not say in which zone the name is");
	}
	reply_free(reply);
}

/* In which zone is the name of so many labels above ours? */
static void find_parent(struct delegation *d, unsigned labels)
{
	ask_resolver(d, name_suffix(d->survey->zone, labels), RR_SOA, above_answered, labels, 0);
}

/* The root has no parent: the resolver's own list of its servers stands for the delegation. */
static void root_answered(struct asking *a, struct reply *reply)
{
	const struct rr *rrs;
	size_t count;

	if (!ask_next_resolver(a, reply)) {
		rrs = resolve_find(reply, a->name, RR_NS, &count);
		for (size_t i = 0; i < count; i++)
			learn(a->d, rrs[i].rdata, FROM_PARENT);
		if (!resolve_told(reply))
			add_resolver_gap(a, "the nameservers of the root could not be found", reply);
	}
	reply_free(reply);
}

static void begin_delegation(struct delegation *d)
{
	const uint8_t *zone = d->survey->zone;

	if (d->set->parent.sa.sa_family != AF_UNSPEC)
		begin_parent(d, (const uint8_t *)"", &d->set->parent);
	else if (*zone == 0)
		ask_resolver(d, zone, RR_NS, root_answered, 0, 0);
	else
		find_parent(d, name_labels(zone) - 1);
}

/* --- what is known from the start ------------------------------------------------------------------- */

static void begin_given(struct delegation *d)
{
	const struct survey_settings *set = d->set;

	for (size_t i = 0; i < set->given_count; i++) {
		struct survey_ns *ns = learn(d, set->given[i].name, FROM_GIVEN);

		if (ns && set->given[i].address.sa.sa_family != AF_UNSPEC)
			ns->has_given = true;
	}
	for (size_t i = 0; i < set->given_count; i++) {
		struct survey_ns *ns = survey_find_ns(d->survey, set->given[i].name);

		if (!ns)
			continue;
		if (set->given[i].address.sa.sa_family != AF_UNSPEC)
			add_server(d, (size_t)(ns - d->survey->ns), &set->given[i].address, true, false);
		resolve_ns(d, (size_t)(ns - d->survey->ns));
	}
	for (size_t i = 0; i < set->provider_count; i++)
		learn(d, set->providers[i], FROM_PROVIDER);
}

static void primary_answered(struct asking *a, struct reply *reply)
{
	a->d->survey->primaries[a->about].soa = reply;
}

static bool add_primary(struct survey *s, const struct survey_primary *from)
{
	struct survey_primary *primary = &s->primaries[s->primary_count];

	*primary = (struct survey_primary){.name = arena_strdup(&s->arena, from->name), .address = from->address};
	s->primary_count += primary->name != NULL;
	return primary->name != NULL;
}

static void begin_primaries(struct delegation *d)
{
	struct survey *s = d->survey;

	s->primaries = arena_zero(&s->arena, (d->set->primary_count + 1) * sizeof *s->primaries);
	for (size_t i = 0; s->primaries && i < d->set->primary_count; i++) {
		const struct survey_primary *primary = &d->set->primaries[i];
		struct probe_ask question = {.to = primary->address, .name = s->zone, .type = RR_SOA, .key = primary->key, .tls = primary->tls};
		char address[NET_ADDR_TEXT];

		if (!add_primary(s, primary))
			break;
		if (primary->unasked)
			survey_add_gap(s, "the primary %s (%s) could not be asked for its serial: %s", primary->name,
				net_addr_text(&primary->address, 53, address), primary->unasked);
		else if (!primary->passed_over)
			ask(d, &question, primary_answered, i, 0, 0);
	}
}

/* --- beginning and end -------------------------------------------------------------------------------------- */

static void release(struct delegation *d)
{
	struct asking *a;

	while ((a = TAILQ_FIRST(&d->asking))) {
		TAILQ_REMOVE(&d->asking, a, link);
		probe_cancel(a->probe);
		free(a);
	}
	if (d->timer)
		event_free(d->timer);
	survey_free(d->survey);
	free(d);
}

static void finish(struct delegation *d)
{
	struct gaps_known known = {.settings = d->set, .late = d->late, .no_memory = d->no_memory,
		.lies_in = d->not_delegated ? d->lies_in : NULL, .no_such_name = d->no_such_name};
	struct survey *survey = d->survey;
	delegation_done *done = d->done;
	void *ctx = d->ctx;

	gaps_find(survey, &known);
	survey->ended = (int64_t)clock_unix();
	d->survey = NULL;
	release(d);
	done(ctx, survey);
}

/* All that was out is answered: the last round, or the end. */
static void settle(struct delegation *d)
{
	if (TAILQ_EMPTY(&d->asking) && !d->again)
		ask_again(d);
	if (TAILQ_EMPTY(&d->asking))
		finish(d);
}

static void time_is_up(evutil_socket_t fd, short what, void *ctx)
{
	struct delegation *d = ctx;

	(void)fd;
	(void)what;
	d->late = !TAILQ_EMPTY(&d->asking);
	finish(d);
}

static bool arm(struct delegation *d)
{
	uint32_t timeout = prober_limits_of(d->prober).timeout_ms;
	int64_t ms = TAILQ_EMPTY(&d->asking) ? 0 : (int64_t)timeout * TIMES - timeout / SLACK_SHARE;
	struct timeval tv = {ms / 1000, ms % 1000 * 1000};

	d->timer = evtimer_new(d->base, time_is_up, d);
	return d->timer && evtimer_add(d->timer, &tv) == 0;
}

struct delegation *delegation_start(struct event_base *base, struct prober *prober, const uint8_t *zone, const struct survey_settings *set,
	delegation_done *done, void *ctx)
{
	struct delegation *d = calloc(1, sizeof *d);

	if (!d)
		return NULL;
	*d = (struct delegation){.base = base, .prober = prober, .set = set, .survey = survey_new(zone), .done = done, .ctx = ctx};
	TAILQ_INIT(&d->asking);
	if (!d->survey) {
		free(d);
		return NULL;
	}
	d->survey->began = (int64_t)clock_unix();
	begin_given(d);
	begin_primaries(d);
	begin_delegation(d);
	if (arm(d))
		return d;
	release(d);
	return NULL;
}

void delegation_cancel(struct delegation *d)
{
	if (d)
		release(d);
}
