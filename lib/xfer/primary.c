#include "xfer/primary.h"

#include <stdlib.h>
#include <string.h>

struct primary {
	struct primary *next;
	struct primaries *table;
	struct primary_ticket *first, **last;   /* who waits */
	unsigned running;
	char name[];
};

struct primaries {
	struct primary_limits limits;
	struct primary *all;
	struct primary *turn;        /* whose queue is looked at first: fair among primaries */
	unsigned running;
};

struct primaries *primaries_new(struct primary_limits limits)
{
	struct primaries *table = calloc(1, sizeof *table);

	if (table)
		table->limits = limits;
	return table;
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
	p->last = &p->first;
	p->next = table->all;
	table->all = p;
	return p;
}

const char *primary_name(const struct primary *p)
{
	return p->name;
}

static bool has_place(const struct primary *p)
{
	return p->table->running < p->table->limits.total && p->running < p->table->limits.each;
}

static void take_place(struct primary_ticket *ticket)
{
	ticket->state = TICKET_HELD;
	ticket->primary->running++;
	ticket->primary->table->running++;
}

bool primary_enter(struct primary *p, struct primary_ticket *ticket, void (*granted)(void *ctx), void *ctx)
{
	*ticket = (struct primary_ticket){.primary = p, .granted = granted, .ctx = ctx};
	if (has_place(p) && !p->first) {
		take_place(ticket);
		return true;
	}
	ticket->state = TICKET_WAITS;
	*p->last = ticket;
	p->last = &ticket->next;
	return false;
}

static void unqueue(struct primary_ticket *ticket)
{
	struct primary *p = ticket->primary;

	for (struct primary_ticket **at = &p->first; *at; at = &(*at)->next) {
		if (*at != ticket)
			continue;
		*at = ticket->next;
		if (!*at)
			p->last = at;
		return;
	}
}

/* Whoever may go now goes, one primary after the other. */
static void grant(struct primaries *table)
{
	struct primary *p = table->turn ? table->turn : table->all, *begin = p;

	while (p && table->running < table->limits.total) {
		if (p->first && has_place(p)) {
			struct primary_ticket *ticket = p->first;

			unqueue(ticket);
			take_place(ticket);
			table->turn = p->next;
			ticket->granted(ticket->ctx);
			return grant(table);
		}
		p = p->next ? p->next : table->all;
		if (p == begin)
			return;
	}
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
		p->running--;
		p->table->running--;
		grant(p->table);
		return;
	}
}

void primaries_set_limits(struct primaries *table, struct primary_limits limits)
{
	table->limits = limits;
	grant(table);
}
