#include "serve/crowd.h"

#include <stdlib.h>
#include <string.h>

enum {
	HEADS_BITS = 12,             /* of the hash table: chains of 16 with 65,536 groups */
	LEVELS = 256,                /* groups of as many members or more are not told apart */
	V6_BYTES = 7,                /* of the prefix */
};

TAILQ_HEAD(member_list, crowd_member);
LIST_HEAD(group_list, crowd_group);

struct crowd_group {
	LIST_ENTRY(crowd_group) in_chain, in_level;
	uint64_t whose;
	unsigned count;
	struct member_list idle, busy;           /* those that have not asked for longest come first */
};

struct crowd {
	uint64_t seed, factor;       /* nobody outside knows which groups share a chain */
	unsigned count, groups, top; /* top: no level above it has groups */
	struct member_list idle;     /* of all groups, in the same order */
	struct group_list chain[1 << HEADS_BITS];
	struct group_list level[LEVELS + 1];     /* by count */
};

struct crowd *crowd_new(void)
{
	struct crowd *crowd = calloc(1, sizeof *crowd);

	if (!crowd)
		return NULL;
	net_random(&crowd->seed, sizeof crowd->seed);
	net_random(&crowd->factor, sizeof crowd->factor);
	crowd->factor |= 1;
	TAILQ_INIT(&crowd->idle);
	return crowd;
}

void crowd_free(struct crowd *crowd)
{
	free(crowd);
}

unsigned crowd_count(const struct crowd *crowd)
{
	return crowd->count;
}

/* --- groups --------------------------------------------------------------------------------- */

static uint64_t whose(const struct net_addr *addr)
{
	uint8_t bytes[8] = {0};
	uint64_t out;

	if (addr->sa.sa_family == AF_INET6) {
		memcpy(bytes, &addr->v6.sin6_addr, V6_BYTES);
		bytes[V6_BYTES] = 6;     /* no IPv4 address is like it */
	} else {
		memcpy(bytes, &addr->v4.sin_addr, 4);
	}
	memcpy(&out, bytes, sizeof out);
	return out;
}

static struct group_list *chain_of(struct crowd *crowd, uint64_t key)
{
	return &crowd->chain[(key ^ crowd->seed) * crowd->factor >> (64 - HEADS_BITS)];
}

static struct group_list *level_of(struct crowd *crowd, unsigned count)
{
	return &crowd->level[count < LEVELS ? count : LEVELS];
}

static struct crowd_group *get_group(struct crowd *crowd, uint64_t key)
{
	struct group_list *chain = chain_of(crowd, key);
	struct crowd_group *group;

	LIST_FOREACH(group, chain, in_chain)
		if (group->whose == key)
			return group;
	group = calloc(1, sizeof *group);
	if (!group)
		return NULL;
	group->whose = key;
	TAILQ_INIT(&group->idle);
	TAILQ_INIT(&group->busy);
	LIST_INSERT_HEAD(chain, group, in_chain);
	LIST_INSERT_HEAD(level_of(crowd, 0), group, in_level);
	crowd->groups++;
	return group;
}

static void set_count(struct crowd *crowd, struct crowd_group *group, unsigned count)
{
	struct group_list *from = level_of(crowd, group->count), *to = level_of(crowd, count);
	unsigned level = count < LEVELS ? count : LEVELS;

	group->count = count;
	if (from != to) {
		LIST_REMOVE(group, in_level);
		LIST_INSERT_HEAD(to, group, in_level);
	}
	if (level > crowd->top)
		crowd->top = level;
	while (crowd->top > 0 && LIST_EMPTY(&crowd->level[crowd->top]))
		crowd->top--;
}

/* --- members -------------------------------------------------------------------------------- */

static void enlist(struct crowd *crowd, struct crowd_member *member)
{
	TAILQ_INSERT_TAIL(member->busy ? &member->group->busy : &member->group->idle, member, in_group);
	if (!member->busy)
		TAILQ_INSERT_TAIL(&crowd->idle, member, in_all);
}

static void delist(struct crowd *crowd, struct crowd_member *member)
{
	TAILQ_REMOVE(member->busy ? &member->group->busy : &member->group->idle, member, in_group);
	if (!member->busy)
		TAILQ_REMOVE(&crowd->idle, member, in_all);
}

enum err crowd_join(struct crowd *crowd, struct crowd_member *member, const struct net_addr *addr)
{
	struct crowd_group *group = get_group(crowd, whose(addr));

	if (!group)
		return ERR_NOMEM;
	*member = (struct crowd_member){.group = group};
	enlist(crowd, member);
	set_count(crowd, group, group->count + 1);
	crowd->count++;
	return ERR_OK;
}

void crowd_leave(struct crowd *crowd, struct crowd_member *member)
{
	struct crowd_group *group = member->group;

	delist(crowd, member);
	crowd->count--;
	set_count(crowd, group, group->count - 1);
	if (group->count > 0)
		return;
	LIST_REMOVE(group, in_level);
	LIST_REMOVE(group, in_chain);
	crowd->groups--;
	free(group);
}

void crowd_touch(struct crowd *crowd, struct crowd_member *member)
{
	if (TAILQ_NEXT(member, in_group) == NULL && (member->busy || TAILQ_NEXT(member, in_all) == NULL))
		return;
	delist(crowd, member);
	enlist(crowd, member);
}

void crowd_busy(struct crowd *crowd, struct crowd_member *member, bool busy)
{
	delist(crowd, member);
	member->busy = busy;
	enlist(crowd, member);
}

enum crowd_verdict crowd_weakest(const struct crowd *crowd, const struct net_addr *newcomer, struct crowd_member **out)
{
	const struct crowd_group *largest = LIST_FIRST(&crowd->level[crowd->top]);
	bool other = largest && (!newcomer || whose(newcomer) != largest->whose);

	*out = NULL;
	if (largest && largest->count > 1 && (other || crowd->groups > 1)) {
		*out = TAILQ_FIRST(&largest->idle);
		if (!*out && other && largest->count > crowd->count / 4)
			*out = TAILQ_FIRST(&largest->busy);
		if (*out)
			return CROWD_LARGEST;
	}
	*out = TAILQ_FIRST(&crowd->idle);
	return *out ? CROWD_OLDEST : CROWD_NONE;
}
