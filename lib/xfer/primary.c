#include "xfer/primary.h"

#include <stdlib.h>
#include <string.h>

enum {
	BUCKETS = 256,
	LATE_MORE = 256,
};

TAILQ_HEAD(tickets, primary_ticket);

/* One lane of one primary. It is in the table's list while somebody waits and a place of its own is free. */
struct lane {
	struct tickets waiting, asleep;
	size_t waiters, sleepers;
	unsigned running;            /* late ones too */
	bool heard, listed;
	TAILQ_ENTRY(lane) link;
};

struct primary {
	struct primary *next;
	struct primaries *table;
	struct lane lane[PRIMARY_LANES];
	const struct peer **peers;   /* its addresses: each that it ever had */
	size_t peer_count;
	char name[];
};

struct primaries {
	struct primary *bucket[BUCKETS];
	struct peers *peers;
	struct {
		struct primary_limits limits;
		TAILQ_HEAD(, lane) ready;    /* whose turn is next first: fair among primaries */
		unsigned running, late;      /* late ones are not in `running` */
		bool granting;
	} lane[PRIMARY_LANES];
};

struct primaries *primaries_new(void)
{
	struct primaries *table = calloc(1, sizeof *table);

	if (!table)
		return NULL;
	for (unsigned i = 0; i < PRIMARY_LANES; i++)
		TAILQ_INIT(&table->lane[i].ready);
	table->peers = peers_new();
	if (!table->peers) {
		free(table);
		return NULL;
	}
	return table;
}

void primaries_free(struct primaries *table)
{
	if (!table)
		return;
	for (unsigned i = 0; i < BUCKETS; i++) {
		while (table->bucket[i]) {
			struct primary *next = table->bucket[i]->next;

			free(table->bucket[i]->peers);
			free(table->bucket[i]);
			table->bucket[i] = next;
		}
	}
	peers_free(table->peers);
	free(table);
}

static struct primary **bucket_of(struct primaries *table, const char *name)
{
	unsigned hash = 5381;

	while (*name)
		hash = hash * 33 + (uint8_t)*name++;
	return &table->bucket[hash % BUCKETS];
}

struct primary *primary_get(struct primaries *table, const char *name)
{
	struct primary **bucket = bucket_of(table, name), *p;

	for (p = *bucket; p; p = p->next)
		if (strcmp(p->name, name) == 0)
			return p;
	p = calloc(1, sizeof *p + strlen(name) + 1);
	if (!p)
		return NULL;
	strcpy(p->name, name);
	p->table = table;
	for (unsigned i = 0; i < PRIMARY_LANES; i++) {
		TAILQ_INIT(&p->lane[i].waiting);
		TAILQ_INIT(&p->lane[i].asleep);
	}
	p->next = *bucket;
	*bucket = p;
	return p;
}

struct peers *primaries_peers(struct primaries *table) { return table->peers; }
const char *primary_name(const struct primary *p) { return p->name; }
struct primaries *primary_table(const struct primary *p) { return p->table; }
size_t primary_sleepers(const struct primary *p, enum primary_lane lane) { return p->lane[lane].sleepers; }
size_t primary_waiting(const struct primary *p, enum primary_lane lane) { return p->lane[lane].waiters; }
unsigned primary_running(const struct primary *p, enum primary_lane lane) { return p->lane[lane].running; }

/* --- places --------------------------------------------------------------- */

static bool has_own_place(const struct primary *p, enum primary_lane lane)
{
	const struct lane *l = &p->lane[lane];
	unsigned each = p->table->lane[lane].limits.each;

	return l->running < (l->heard || each < PRIMARY_FIRST ? each : PRIMARY_FIRST);
}

static bool has_total_place(const struct primaries *table, enum primary_lane lane)
{
	return table->lane[lane].running < table->lane[lane].limits.total;
}

/* Whether its lane is in the table's list follows from who waits and what is free. */
static void relist(struct primary *p, enum primary_lane lane)
{
	struct lane *l = &p->lane[lane];
	bool ready = l->waiters && has_own_place(p, lane);

	if (ready && !l->listed)
		TAILQ_INSERT_TAIL(&p->table->lane[lane].ready, l, link);
	else if (!ready && l->listed)
		TAILQ_REMOVE(&p->table->lane[lane].ready, l, link);
	l->listed = ready;
}

static void unqueue(struct primary_ticket *ticket)
{
	struct lane *l = &ticket->primary->lane[ticket->lane];

	TAILQ_REMOVE(&l->waiting, ticket, link);
	l->waiters--;
	ticket->state = TICKET_NONE;
	relist(ticket->primary, ticket->lane);
}

static void take_place(struct primary_ticket *ticket)
{
	ticket->state = TICKET_HELD;
	ticket->primary->lane[ticket->lane].running++;
	ticket->primary->table->lane[ticket->lane].running++;
	relist(ticket->primary, ticket->lane);
}

static void grant(struct primaries *table, enum primary_lane lane)
{
	struct lane *l;

	if (table->lane[lane].granting)
		return;              /* who is granted leaves at once: the loop goes on */
	table->lane[lane].granting = true;
	while (has_total_place(table, lane) && (l = TAILQ_FIRST(&table->lane[lane].ready))) {
		struct primary_ticket *ticket = TAILQ_FIRST(&l->waiting);

		TAILQ_REMOVE(&table->lane[lane].ready, l, link);
		l->listed = false;   /* to the end of the list, if at all */
		unqueue(ticket);
		take_place(ticket);
		ticket->turn(ticket, TURN_PLACE);
	}
	table->lane[lane].granting = false;
}

bool primary_enter(struct primary *p, enum primary_lane lane, struct primary_ticket *ticket,
	void (*turn)(struct primary_ticket *, enum primary_turn))
{
	struct lane *l = &p->lane[lane];

	*ticket = (struct primary_ticket){.primary = p, .lane = lane, .turn = turn};
	if (!l->waiters && has_own_place(p, lane) && has_total_place(p->table, lane)) {
		take_place(ticket);
		return true;
	}
	ticket->state = TICKET_WAITS;
	TAILQ_INSERT_TAIL(&l->waiting, ticket, link);
	l->waiters++;
	relist(p, lane);
	return false;
}

void primary_late(struct primary_ticket *ticket)
{
	struct primaries *table = ticket->primary->table;
	enum primary_lane lane = ticket->lane;

	if (ticket->state != TICKET_HELD || table->lane[lane].late >= table->lane[lane].limits.total + LATE_MORE)
		return;
	ticket->state = TICKET_LATE;
	table->lane[lane].running--;
	table->lane[lane].late++;
	grant(table, lane);
}

void primary_answers(struct primary_ticket *ticket)
{
	struct primary *p = ticket->primary;
	enum primary_lane lane = ticket->lane;

	if (ticket->state == TICKET_LATE) {
		ticket->state = TICKET_HELD;
		p->table->lane[lane].running++;
		p->table->lane[lane].late--;
	}
	if (p->lane[lane].heard)
		return;
	p->lane[lane].heard = true;
	relist(p, lane);
	grant(p->table, lane);
}

void primary_leave(struct primary_ticket *ticket)
{
	struct primary *p = ticket->primary;
	enum primary_lane lane = ticket->lane;

	switch (ticket->state) {
	case TICKET_NONE:
		return;
	case TICKET_WAITS:
		unqueue(ticket);
		return;
	case TICKET_SLEEPS:
		TAILQ_REMOVE(&p->lane[lane].asleep, ticket, link);
		p->lane[lane].sleepers--;
		ticket->state = TICKET_NONE;
		return;
	case TICKET_HELD:
		p->table->lane[lane].running--;
		break;
	case TICKET_LATE:
		p->table->lane[lane].late--;
		break;
	}
	ticket->state = TICKET_NONE;
	p->lane[lane].running--;
	relist(p, lane);
	grant(p->table, lane);
}

/* --- lost and found ------------------------------------------------------- */

void primary_sleep(struct primary *p, enum primary_lane lane, struct primary_ticket *ticket,
	void (*turn)(struct primary_ticket *, enum primary_turn))
{
	*ticket = (struct primary_ticket){.primary = p, .lane = lane, .turn = turn, .state = TICKET_SLEEPS};
	TAILQ_INSERT_TAIL(&p->lane[lane].asleep, ticket, link);
	p->lane[lane].sleepers++;
}

/* Those who enter again meanwhile stand behind the ones that are called: each is called once. */
void primary_lost(struct primary *p, enum primary_lane lane)
{
	struct lane *l = &p->lane[lane];

	l->heard = false;
	relist(p, lane);
	for (size_t left = l->waiters; left && l->waiters; left--) {
		struct primary_ticket *ticket = TAILQ_FIRST(&l->waiting);

		unqueue(ticket);
		ticket->turn(ticket, TURN_AGAIN);
	}
}

static void wake_all(struct primary *p, enum primary_lane lane)
{
	struct lane *l = &p->lane[lane];

	for (size_t left = l->sleepers; left && l->sleepers; left--) {
		struct primary_ticket *ticket = TAILQ_FIRST(&l->asleep);

		primary_leave(ticket);
		ticket->turn(ticket, TURN_BACK);
	}
}

static bool has_peer(const struct primary *p, const struct peer *peer)
{
	for (size_t i = 0; i < p->peer_count; i++)
		if (p->peers[i] == peer)
			return true;
	return false;
}

bool primary_is_at(struct primary *p, const struct peer *peer)
{
	const struct peer **more;

	if (has_peer(p, peer))
		return true;
	more = realloc(p->peers, (p->peer_count + 1) * sizeof *more);
	if (!more)
		return false;
	p->peers = more;
	p->peers[p->peer_count++] = peer;
	return true;
}

void primary_back(struct primaries *table, enum primary_lane lane, const struct peer *peer)
{
	for (unsigned i = 0; i < BUCKETS; i++)
		for (struct primary *p = table->bucket[i]; p; p = p->next)
			if (p->lane[lane].sleepers && has_peer(p, peer))
				wake_all(p, lane);
}

void primaries_set_limits(struct primaries *table, enum primary_lane lane, struct primary_limits limits)
{
	table->lane[lane].limits = limits;
	for (unsigned i = 0; i < BUCKETS; i++)
		for (struct primary *p = table->bucket[i]; p; p = p->next)
			relist(p, lane);
	grant(table, lane);
}
