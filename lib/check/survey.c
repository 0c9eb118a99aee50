#include "check/survey.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GAP_TEXT = 800 };

_Static_assert(sizeof ((struct survey_server *)0)->replies == offsetof(struct survey_server, soa_again) + sizeof(struct reply *) -
	offsetof(struct survey_server, soa), "each reply is in the array too");

struct survey *survey_new(const uint8_t *zone)
{
	struct survey *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	s->zone = arena_dup(&s->arena, zone, name_length(zone));
	s->ns = arena_zero(&s->arena, SURVEY_NS_MAX * sizeof *s->ns);
	s->servers = arena_zero(&s->arena, SURVEY_SERVERS_MAX * sizeof *s->servers);
	s->parents = arena_zero(&s->arena, SURVEY_PARENTS_MAX * sizeof *s->parents);
	s->gaps = arena_zero(&s->arena, SURVEY_GAPS_MAX * sizeof *s->gaps);
	if (s->zone && s->ns && s->servers && s->parents && s->gaps)
		return s;
	survey_free(s);
	return NULL;
}

void survey_free(struct survey *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->ns_count; i++) {
		reply_free(s->ns[i].a);
		reply_free(s->ns[i].aaaa);
	}
	for (size_t i = 0; i < s->parent_count; i++) {
		reply_free(s->parents[i].referral);
		reply_free(s->parents[i].referral_512);
		reply_free(s->parents[i].ds);
	}
	for (size_t i = 0; i < s->server_count; i++)
		for (unsigned j = 0; j < SURVEY_REPLIES; j++)
			reply_free(s->servers[i].replies[j]);
	for (size_t i = 0; i < s->primary_count; i++)
		reply_free(s->primaries[i].soa);
	arena_release(&s->arena);
	free(s);
}

struct survey_ns *survey_find_ns(struct survey *s, const uint8_t *name)
{
	for (size_t i = 0; i < s->ns_count; i++)
		if (name_equal(s->ns[i].name, name))
			return &s->ns[i];
	return NULL;
}

struct survey_ns *survey_add_ns(struct survey *s, const uint8_t *name)
{
	const uint8_t *kept;

	if (s->ns_count == SURVEY_NS_MAX) {
		survey_add_gap(s, "more than %d names of nameservers: the others are left out", SURVEY_NS_MAX);
		return NULL;
	}
	kept = arena_dup(&s->arena, name, name_length(name));
	if (!kept)
		return NULL;
	s->ns[s->ns_count] = (struct survey_ns){.name = kept};
	return &s->ns[s->ns_count++];
}

struct survey_server *survey_find_server(struct survey *s, size_t ns, const struct net_addr *address)
{
	for (size_t i = 0; i < s->server_count; i++)
		if (s->servers[i].ns == ns && net_addr_equal(&s->servers[i].address, address))
			return &s->servers[i];
	return NULL;
}

struct survey_server *survey_add_server(struct survey *s, size_t ns, const struct net_addr *address)
{
	if (s->server_count == SURVEY_SERVERS_MAX) {
		survey_add_gap(s, "more than %d addresses of nameservers: the others were not asked", SURVEY_SERVERS_MAX);
		return NULL;
	}
	s->servers[s->server_count] = (struct survey_server){.ns = ns, .address = *address};
	return &s->servers[s->server_count++];
}

struct survey_parent *survey_add_parent(struct survey *s, const uint8_t *name, const struct net_addr *address)
{
	const uint8_t *kept;

	for (size_t i = 0; i < s->parent_count; i++)
		if (name_equal(s->parents[i].name, name) && net_addr_equal(&s->parents[i].address, address))
			return &s->parents[i];
	if (s->parent_count == SURVEY_PARENTS_MAX) {
		survey_add_gap(s, "more than %d addresses of the parent's servers: the others were not asked", SURVEY_PARENTS_MAX);
		return NULL;
	}
	kept = arena_dup(&s->arena, name, name_length(name));
	if (!kept)
		return NULL;
	s->parents[s->parent_count] = (struct survey_parent){.name = kept, .address = *address};
	return &s->parents[s->parent_count++];
}

void survey_add_gap(struct survey *s, const char *format, ...)
{
	char text[GAP_TEXT];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	for (size_t i = 0; i < s->gap_count; i++)
		if (strcmp(s->gaps[i].what, text) == 0)
			return;
	if (s->gap_count == SURVEY_GAPS_MAX)
		return;
	s->gaps[s->gap_count].what = arena_strdup(&s->arena, text);
	if (s->gaps[s->gap_count].what)
		s->gap_count++;
}
