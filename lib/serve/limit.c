#include "serve/limit.h"

#include "base/siphash.h"
#include "dns/name.h"

#include <stdlib.h>
#include <string.h>

enum {
	LINES = 1 << 15,             /* a power of two */
	WAYS = 2,
	LISTED_MAX = 1024,           /* accounts under report at one time */
	V4_OCTETS = 3, V6_OCTETS = 7,
};
#define SECOND INT64_C(1000000000)   /* in ns */

enum state {
	CALM,                /* not limited, or no place in the list: then it is counted in stats alone */
	LISTED,              /* limited, not yet reported */
	REPORTED,            /* limited, its beginning was reported */
};
struct account {
	uint64_t prefix;             /* the family (4 or 6), then the prefix' octets, as they lie in memory */
	int64_t full_at;             /* ns: when the bucket is full again; at most a second ahead */
	uint32_t tag;                /* of kind and name */
	uint32_t held;               /* answers over the limit, since limiting began */
	uint32_t last;               /* s: when there was one last */
	uint8_t kind, state, slip, unused;
};
_Static_assert(WAYS * sizeof(struct account) == 64, "a line of the cache");

struct limit {
	struct account *account;     /* LINES of WAYS each */
	void *memory;                /* in which they lie aligned */
	uint8_t key[SIPHASH_KEY];
	unsigned listed, left_out;
	uint32_t list[LISTED_MAX];   /* indices of accounts */
};

struct limit *limit_new(void)
{
	struct limit *limit = calloc(1, sizeof *limit);

	if (!limit)
		return NULL;
	limit->memory = calloc(LINES + 1, WAYS * sizeof *limit->account);
	if (!limit->memory) {
		free(limit);
		return NULL;
	}
	limit->account = (struct account *)(((uintptr_t)limit->memory + 63) & ~(uintptr_t)63);
	net_random(limit->key, sizeof limit->key);
	return limit;
}

void limit_free(struct limit *limit)
{
	if (!limit)
		return;
	free(limit->memory);
	free(limit);
}

/* --- accounts ---------------------------------------------------------------------------------- */

static uint64_t prefix_of(const struct net_addr *from)
{
	uint8_t octets[8] = {4};
	uint64_t prefix;

	if (from->sa.sa_family == AF_INET6) {
		octets[0] = 6;
		memcpy(octets + 1, &from->v6.sin6_addr, V6_OCTETS);
	} else {
		memcpy(octets + 1, &from->v4.sin_addr, V4_OCTETS);
	}
	memcpy(&prefix, octets, sizeof prefix);
	return prefix;
}

static uint64_t hash_of(const struct limit *limit, uint64_t prefix, enum limit_kind kind, const uint8_t *name)
{
	uint8_t bytes[sizeof prefix + 1 + NAME_SIZE];
	size_t n = sizeof prefix + 1;

	memcpy(bytes, &prefix, sizeof prefix);
	bytes[sizeof prefix] = (uint8_t)kind;
	if (name)
		n += name_lower(name, bytes + n);
	return siphash(limit->key, bytes, n);
}

/* The account, a new one in the place of the least busy one of its line if there is none; NULL: all of the line are in the list. */
static struct account *account_of(struct limit *limit, uint64_t prefix, enum limit_kind kind, const uint8_t *name)
{
	uint64_t hash = hash_of(limit, prefix, kind, name);
	struct account *line = &limit->account[hash % LINES * WAYS];
	uint32_t tag = (uint32_t)(hash >> 32);
	struct account *place = NULL;

	for (unsigned i = 0; i < WAYS; i++) {
		struct account *a = &line[i];

		if (a->prefix == prefix && a->tag == tag && a->kind == kind)
			return a;
		if (a->state == CALM && (!place || a->full_at < place->full_at))
			place = a;
	}
	if (place)
		*place = (struct account){.prefix = prefix, .tag = tag, .kind = (uint8_t)kind, .full_at = INT64_MIN};
	return place;
}

/* Takes one answer from the bucket; false: there is none. */
static bool take(struct account *a, unsigned rate, int64_t now_ns)
{
	int64_t full_at = (a->full_at > now_ns ? a->full_at : now_ns) + SECOND / rate;

	if (full_at - now_ns > SECOND)
		return false;
	a->full_at = full_at;
	return true;
}

/* --- over the limit ------------------------------------------------------------------------------ */

static void note(struct limit *limit, struct account *a, int64_t now)
{
	if (a->state == CALM) {
		a->held = 0;
		if (limit->listed < LISTED_MAX) {
			limit->list[limit->listed++] = (uint32_t)(a - limit->account);
			a->state = LISTED;
		}
	}
	if (a->held < UINT32_MAX)
		a->held++;
	a->last = (uint32_t)(now / 1000);
}

static bool is_allowed(const struct limit_rules *rules, const struct net_addr *from)
{
	for (size_t i = 0; i < rules->allow_count; i++)
		if (net_prefix_has(&rules->allow[i], from))
			return true;
	return false;
}

static enum limit_verdict over(struct limit *limit, const struct limit_rules *rules, const struct net_addr *from, struct account *a, int64_t now)
{
	if (is_allowed(rules, from))
		return LIMIT_ALLOWED;
	note(limit, a, now);
	if (rules->log_only)
		return LIMIT_WOULD;
	if (rules->slip == 0 || ++a->slip < rules->slip)
		return LIMIT_DROP;
	a->slip = 0;
	return LIMIT_SLIP;
}

enum limit_verdict limit_check(struct limit *limit, const struct limit_rules *rules, const struct net_addr *from, enum limit_kind kind,
	const uint8_t *name, int64_t now)
{
	uint64_t prefix = prefix_of(from);
	int64_t now_ns = now * (SECOND / 1000);
	struct account *one = account_of(limit, prefix, kind, name), *all;

	if (one && !take(one, rules->rate, now_ns))
		return over(limit, rules, from, one, now);
	all = account_of(limit, prefix, LIMIT_ALL, NULL);
	if (all && !take(all, rules->rate * LIMIT_ALL_FACTOR, now_ns))
		return over(limit, rules, from, all, now);
	return LIMIT_PASS;
}

/* --- reports --------------------------------------------------------------------------------------- */

const char *limit_kind_text(enum limit_kind kind)
{
	switch (kind) {
	case LIMIT_ANSWER: return "answer";
	case LIMIT_MADE: return "wildcard";
	case LIMIT_NODATA: return "nodata";
	case LIMIT_NXDOMAIN: return "nxdomain";
	case LIMIT_REFERRAL: return "referral";
	case LIMIT_ERROR: return "error";
	case LIMIT_ALL: return "all";
	}
	return "";
}

static struct account *listed(const struct limit *limit, unsigned i)
{
	return &limit->account[limit->list[i]];
}

static void report(struct limit *limit, const struct account *a, bool begins, limit_report *call, void *ctx)
{
	struct limit_event event = {.kind = (enum limit_kind)a->kind, .begins = begins, .held = a->held, .left_out = limit->left_out};
	uint8_t octets[8];

	memcpy(octets, &a->prefix, sizeof octets);
	event.prefix.family = octets[0] == 6 ? AF_INET6 : AF_INET;
	event.prefix.bits = 8 * (octets[0] == 6 ? V6_OCTETS : V4_OCTETS);
	memcpy(event.prefix.bytes, octets + 1, octets[0] == 6 ? V6_OCTETS : V4_OCTETS);
	limit->left_out = 0;
	call(ctx, &event);
}

static void report_ends(struct limit *limit, uint32_t now, limit_report *call, void *ctx)
{
	unsigned reports = 0;

	for (unsigned i = limit->listed; i-- > 0;) {
		struct account *a = listed(limit, i);

		if (now - a->last < LIMIT_QUIET || (a->state == REPORTED && reports == LIMIT_REPORTS))
			continue;
		if (a->state == REPORTED) {
			report(limit, a, false, call, ctx);
			reports++;
		} else {
			limit->left_out++;
		}
		a->state = CALM;
		limit->list[i] = limit->list[--limit->listed];
	}
}

/* The one that waits for its report and holds back most, or NULL. */
static struct account *worst(const struct limit *limit)
{
	struct account *found = NULL;

	for (unsigned i = 0; i < limit->listed; i++) {
		struct account *a = listed(limit, i);

		if (a->state == LISTED && (!found || a->held > found->held))
			found = a;
	}
	return found;
}

void limit_tick(struct limit *limit, int64_t now, limit_report *call, void *ctx)
{
	struct account *a;

	report_ends(limit, (uint32_t)(now / 1000), call, ctx);
	for (unsigned i = 0; i < LIMIT_REPORTS && (a = worst(limit)); i++) {
		report(limit, a, true, call, ctx);
		a->state = REPORTED;
	}
}
