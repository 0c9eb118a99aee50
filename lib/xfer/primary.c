#include "xfer/primary.h"

#include <stdlib.h>
#include <string.h>

struct primary {
	struct primary *next;
	struct primaries *table;
	struct {
		struct primary_ticket *first, **last;   /* who waits */
		unsigned running;
	} lane[PRIMARY_LANES];
	char name[];
};

struct primaries {
	struct primary *all;
	struct {
		struct primary_limits limits;
		struct primary *turn;    /* whose queue is looked at first: fair among primaries */
		unsigned running;
		bool granting;
	} lane[PRIMARY_LANES];
};

struct primaries *primaries_new(void)
{
	return calloc(1, sizeof(struct primaries));
}

void primaries_free(struct primaries *table)
{
	if (!table)
		return;
	while (table->all) {
		struct primary *next = table->all->next;

		free(table->all);
		table->all = next;
	}
	free(table);
}

struct primary *primary_get(struct primaries *table, const char *name)
{
	struct primary *p;

	for (p = table->all; p; p = p->next)
		if (strcmp(p->name, name) == 0)
			return p;
	p = calloc(1, sizeof *p + strlen(name) + 1);
	if (!p)
		return NULL;
	strcpy(p->name, name);
	p->table = table;
	for (unsigned i = 0; i < PRIMARY_LANES; i++)
		p->lane[i].last = &p->lane[i].first;
	p->next = table->all;
	table->all = p;
	return p;
}

const char *primary_name(const struct primary *p)
{
	return p->name;
}

static bool has_place(const struct primary *p, enum primary_lane lane)
{
	const struct primary_limits *limits = &p->table->lane[lane].limits;

	return p->table->lane[lane].running < limits->total && p->lane[lane].running < limits->each;
}

static void take_place(struct primary_ticket *ticket)
{
	ticket->state = TICKET_HELD;
	ticket->primary->lane[ticket->lane].running++;
	ticket->primary->table->lane[ticket->lane].running++;
}

bool primary_enter(struct primary *p, enum primary_lane lane, struct primary_ticket *ticket, void (*granted)(void *ctx), void *ctx)
{
	*ticket = (struct primary_ticket){.primary = p, .lane = lane, .granted = granted, .ctx = ctx};
	if (has_place(p, lane) && !p->lane[lane].first) {
		take_place(ticket);
		return true;
	}
	ticket->state = TICKET_WAITS;
	*p->lane[lane].last = ticket;
	p->lane[lane].last = &ticket->next;
	return false;
}

static void unqueue(struct primary_ticket *ticket)
{
	struct primary *p = ticket->primary;

	for (struct primary_ticket **at = &p->lane[ticket->lane].first; *at; at = &(*at)->next) {
		if (*at != ticket)
			continue;
		*at = ticket->next;
		if (!*at)
			p->lane[ticket->lane].last = at;
		return;
	}
}

/* Who goes next, one primary after the other; NULL: nobody may go now. */
static struct primary_ticket *next_in_turn(struct primaries *table, enum primary_lane lane)
{
	struct primary *p = table->lane[lane].turn ? table->lane[lane].turn : table->all, *begin = p;

	while (p) {
		if (p->lane[lane].first && has_place(p, lane)) {
			table->lane[lane].turn = p->next;
			return p->lane[lane].first;
		}
		p = p->next ? p->next : table->all;
		if (p == begin)
			break;
	}
	return NULL;
}

static void grant(struct primaries *table, enum primary_lane lane)
{
	struct primary_ticket *ticket;

	if (table->lane[lane].granting)
		return;              /* who is granted leaves at once: the loop goes on */
	table->lane[lane].granting = true;
	while ((ticket = next_in_turn(table, lane))) {
		unqueue(ticket);
		take_place(ticket);
		ticket->granted(ticket->ctx);
	}
	table->lane[lane].granting = false;
}

void primary_leave(struct primary_ticket *ticket)
{
	struct primary *p = ticket->primary;

	switch (ticket->state) {
	case TICKET_NONE:
		return;
	case TICKET_WAITS:
		unqueue(ticket);
		ticket->state = TICKET_NONE;
		return;
	case TICKET_HELD:
		ticket->state = TICKET_NONE;
		p->lane[ticket->lane].running--;
		p->table->lane[ticket->lane].running--;
		grant(p->table, ticket->lane);
		return;
	}
}

void primaries_set_limits(struct primaries *table, enum primary_lane lane, struct primary_limits limits)
{
	table->lane[lane].limits = limits;
	grant(table, lane);
}
