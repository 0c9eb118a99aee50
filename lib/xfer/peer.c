#include "xfer/peer.h"

#include "base/siphash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	HOLD_FIRST = 1000,           /* ms, doubled for each failure up to */
	HOLD_LAST = 60 * 1000,
	SUSPECT_MS = 15 * 1000,      /* who was late has been answered or has given up by then, */
	TRIAL_MS = 40 * 1000,        /* and so has who had a trial */
	MEMORY_MS = 3600 * 1000,     /* of EDNS and connections that did not do; */
	DOUBT_MS = 300 * 1000,       /* the same, if it may have been away instead */
	CLOSED_MAX = 2,
	SLOTS_FIRST = 16,
};

struct lane {
	enum peer_health health;
	unsigned failures;
	int64_t until, heard, failed;
};

struct peer {
	struct net_addr addr;
	struct lane lane[PRIMARY_LANES];
	enum peer_edns edns;
	enum peer_stream stream;
	unsigned closed;             /* connections in a row */
	int64_t edns_until, stream_until;
	char why[200];
};

/* A table of open addressing, never full, a power of two. */
struct peers {
	uint8_t key[SIPHASH_KEY];
	struct peer **slot;
	size_t slots, count;
};

const char *peer_health_name(enum peer_health health)
{
	static const char *const name[] = {"good", "late", "held", "trial"};

	return health <= PEER_TRIAL ? name[health] : "?";
}

/* --- the table ------------------------------------------------------------ */

struct peers *peers_new(void)
{
	struct peers *table = calloc(1, sizeof *table);

	if (!table)
		return NULL;
	table->slots = SLOTS_FIRST;
	table->slot = calloc(table->slots, sizeof(struct peer *));
	if (!table->slot) {
		free(table);
		return NULL;
	}
	net_random(table->key, sizeof table->key);
	return table;
}

void peers_free(struct peers *table)
{
	if (!table)
		return;
	for (size_t i = 0; i < table->slots; i++)
		free(table->slot[i]);
	free(table->slot);
	free(table);
}

static struct peer **slot_of(const struct peers *table, struct peer **slot, size_t slots, const struct net_addr *addr)
{
	uint8_t bytes[18] = {0};
	size_t at;

	if (addr->sa.sa_family == AF_INET6)
		memcpy(bytes, &addr->v6.sin6_addr, 16);
	else
		memcpy(bytes, &addr->v4.sin_addr, 4);
	bytes[16] = (uint8_t)(net_port(addr) >> 8);
	bytes[17] = (uint8_t)net_port(addr);
	for (at = siphash(table->key, bytes, sizeof bytes) & (slots - 1); slot[at]; at = (at + 1) & (slots - 1))
		if (net_addr_equal(&slot[at]->addr, addr))
			break;
	return &slot[at];
}

static bool grow(struct peers *table)
{
	size_t slots = table->slots * 2;
	struct peer **slot = calloc(slots, sizeof(struct peer *));

	if (!slot)
		return false;
	for (size_t i = 0; i < table->slots; i++)
		if (table->slot[i])
			*slot_of(table, slot, slots, &table->slot[i]->addr) = table->slot[i];
	free(table->slot);
	table->slot = slot;
	table->slots = slots;
	return true;
}

struct peer *peer_get(struct peers *table, const struct net_addr *addr)
{
	struct peer **at = slot_of(table, table->slot, table->slots, addr), *peer;

	if (*at)
		return *at;
	if (table->count >= table->slots / 2 && !grow(table))
		return NULL;
	peer = calloc(1, sizeof *peer);
	if (!peer)
		return NULL;
	peer->addr = *addr;
	for (unsigned i = 0; i < PRIMARY_LANES; i++)
		peer->lane[i].heard = peer->lane[i].failed = INT64_MIN;
	*slot_of(table, table->slot, table->slots, addr) = peer;
	table->count++;
	return peer;
}

/* --- health --------------------------------------------------------------- */

enum peer_health peer_health(const struct peer *peer, enum primary_lane lane) { return peer->lane[lane].health; }
unsigned peer_failures(const struct peer *peer, enum primary_lane lane) { return peer->lane[lane].failures; }
int64_t peer_failed_at(const struct peer *peer, enum primary_lane lane) { return peer->lane[lane].failed; }
int64_t peer_until(const struct peer *peer, enum primary_lane lane) { return peer->lane[lane].until; }
const char *peer_why(const struct peer *peer) { return peer->why; }

bool peer_may(const struct peer *peer, enum primary_lane lane, int64_t now)
{
	return peer->lane[lane].health == PEER_GOOD || now >= peer->lane[lane].until;
}

void peer_begin(struct peer *peer, enum primary_lane lane, int64_t now)
{
	struct lane *l = &peer->lane[lane];

	switch (l->health) {
	case PEER_GOOD:
		break;
	case PEER_SUSPECT:
		l->until = now + SUSPECT_MS;
		break;
	case PEER_HELD: case PEER_TRIAL:
		l->health = PEER_TRIAL;
		l->until = now + TRIAL_MS;
		break;
	}
}

bool peer_late(struct peer *peer, enum primary_lane lane, int64_t began, int64_t now)
{
	struct lane *l = &peer->lane[lane];

	if (l->heard >= began)
		return false;
	if (l->health == PEER_GOOD) {
		l->health = PEER_SUSPECT;
		l->until = now + SUSPECT_MS;
	}
	return true;
}

enum peer_change peer_heard(struct peer *peer, enum primary_lane lane, int64_t now)
{
	struct lane *l = &peer->lane[lane];
	enum peer_health before = l->health;

	l->heard = now;
	l->health = PEER_GOOD;
	l->failures = 0;
	switch (before) {
	case PEER_GOOD:
		return PEER_SAME;
	case PEER_SUSPECT:
		return PEER_EASED;
	case PEER_HELD: case PEER_TRIAL:
		return PEER_BACK;
	}
	return PEER_SAME;
}

/* Doubled for each failure; shortened by up to a tenth. */
static int64_t hold_time(unsigned failures, uint32_t random)
{
	int64_t hold = HOLD_FIRST;

	while (failures-- && hold < HOLD_LAST)
		hold *= 2;
	if (hold > HOLD_LAST)
		hold = HOLD_LAST;
	return hold - (int64_t)((uint64_t)(hold / 10) * random >> 32);
}

enum peer_change peer_failed(struct peer *peer, enum primary_lane lane, int64_t began, int64_t now, uint32_t random, const char *why)
{
	struct lane *l = &peer->lane[lane];
	bool held = l->health == PEER_HELD || l->health == PEER_TRIAL;

	if (l->heard >= began)
		return PEER_SAME;
	snprintf(peer->why, sizeof peer->why, "%s", why);
	l->failed = now;
	if (l->health == PEER_HELD && now < l->until)
		return PEER_SAME;    /* one of several that were under way */
	l->health = PEER_HELD;
	l->until = now + hold_time(l->failures, random);
	l->failures++;
	return held ? PEER_SAME : PEER_LOST;
}

bool peer_wake(struct peer *peer, enum primary_lane lane, int64_t now)
{
	struct lane *l = &peer->lane[lane];

	if (l->health != PEER_HELD)
		return false;
	if (l->until > now)
		l->until = now;
	return true;
}

/* --- how to speak to it --------------------------------------------------- */

enum peer_edns peer_edns(const struct peer *peer, int64_t now)
{
	return peer->edns > PEER_EDNS_SPEAKS && now >= peer->edns_until ? PEER_EDNS_UNKNOWN : peer->edns;
}

void peer_edns_seen(struct peer *peer)
{
	peer->edns = PEER_EDNS_SPEAKS;
}

void peer_edns_failed(struct peer *peer, int64_t now)
{
	peer->edns_until = now + (peer->edns == PEER_EDNS_DOUBTED ? DOUBT_MS : MEMORY_MS);
	peer->edns = PEER_EDNS_FAILS;
}

void peer_edns_silent(struct peer *peer, bool asked_with, int64_t now)
{
	enum peer_edns edns = peer_edns(peer, now);

	if (edns == PEER_EDNS_SPEAKS)
		return;
	peer->edns = asked_with ? PEER_EDNS_DOUBTED : PEER_EDNS_UNKNOWN;
	peer->edns_until = now + MEMORY_MS;
}

enum peer_stream peer_stream(const struct peer *peer, int64_t now)
{
	return now >= peer->stream_until ? PEER_STREAM_MANY : peer->stream;
}

void peer_stream_kept(struct peer *peer)
{
	peer->closed = 0;
}

static void streams_are(struct peer *peer, enum peer_stream stream, int64_t now)
{
	if (peer_stream(peer, now) < stream)
		peer->stream = stream;
	peer->stream_until = now + MEMORY_MS;
}

void peer_stream_closed(struct peer *peer, int64_t now)
{
	if (++peer->closed >= CLOSED_MAX)
		streams_are(peer, PEER_STREAM_ONE, now);
}

void peer_stream_turns(struct peer *peer, int64_t now)
{
	streams_are(peer, PEER_STREAM_TURNS, now);
}
