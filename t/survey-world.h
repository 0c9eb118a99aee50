/* A zone, its parent and its nameservers as check/delegation would have found them, for unit tests: all is well at first, then a
 * test changes what one of them answers. Replies are made from master file text, go on the wire, and are read from there.
 */
#ifndef T_SURVEY_WORLD_H
#define T_SURVEY_WORLD_H

#include "check/survey.h"
#include "check/verdict.h"
#include "dns/msg.h"
#include "zone/zonefile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NOW = 1700000000, AA = 1, BARE = 2 /* no EDNS */, RA = 4, TC = 8 };
enum { NS1_V4, NS1_V6, NS2_V4, NS2_V6, SERVERS };     /* what the servers are in the beginning */

static const uint8_t example[] = "\7example\3com", ns1_name[] = "\3ns1\1a\4info", ns2_name[] = "\3ns2\1b\3net",
	parent_name[] = "\1p\3com", com[] = "\3com";

#define SOA_LINE(serial) "example.com. 3600 IN SOA ns1.a.info. host.example.com. " #serial " 7200 3600 1209600 3600\n"
#define SOA_TEXT SOA_LINE(7)
#define NS_TEXT "example.com. 86400 IN NS ns1.a.info.\nexample.com. 86400 IN NS ns2.b.net.\n"

struct world {
	struct survey survey;
	struct survey_parent parents[4];
	struct survey_ns ns[8];
	struct survey_server servers[16];
	struct survey_primary primaries[4];
	struct survey_gap gaps[4];
	struct verdict_settings settings;
	struct memory *memory;
	struct verdict *verdict;     /* the last */
};

struct writing { struct msg_writer *writer; enum msg_section section; };

static inline enum err put_record(void *ctx, const struct rr *rr, struct why *why)
{
	struct writing *w = ctx;

	(void)why;
	return msg_put_rr(w->writer, w->section, rr) ? ERR_OK : ERR_NOSPACE;
}

static inline void put_section(struct msg_writer *writer, enum msg_section section, const char *text)
{
	struct writing w = {writer, section};
	struct why why;

	if (text && zonefile_parse("text", text, strlen(text), NULL, (const uint8_t *)"", put_record, &w, &why) != ERR_OK)
		fail_msg("%s", why.text);
}

/* An answer to the question for `name` and `type`. */
static inline struct reply *reply_for(const uint8_t *name, uint16_t type, unsigned flags, unsigned rcode, const char *answer,
	const char *authority, const char *additional)
{
	static struct msg_writer writer;
	static uint8_t message[MSG_MAX];
	struct reply *reply;
	size_t length;

	msg_writer_zero(&writer);
	msg_start(&writer, message, sizeof message, sizeof message);
	assert_true(msg_put_question(&writer, name, type, CLASS_IN));
	put_section(&writer, MSG_ANSWER, answer);
	put_section(&writer, MSG_AUTHORITY, authority);
	put_section(&writer, MSG_ADDITIONAL, additional);
	if (!(flags & BARE))
		assert_true(msg_put_opt(&writer, 1232, (uint16_t)rcode, true, NULL, 0));
	length = msg_finish(&writer, 1, (uint16_t)(MSG_QR | (flags & AA ? MSG_AA : 0) | (flags & RA ? MSG_RA : 0) |
		(flags & TC ? MSG_TC : 0) | (rcode & 15)));
	reply = reply_read(message, length, 1, name, type, CLASS_IN);
	assert_non_null(reply);
	if (reply->outcome != REPLY_OK)
		fail_msg("%s", reply->why.text);
	reply->rtt_us = 1500;
	return reply;
}

/* In the place of what was there. */
static inline void set(struct reply **at, struct reply *reply)
{
	reply_free(*at);
	*at = reply;
}

static inline void answers(struct reply **at, uint16_t type, unsigned flags, const char *text)
{
	set(at, reply_for(example, type, flags, RCODE_NOERROR, text, NULL, NULL));
}

static inline void fails(struct reply **at, enum reply_outcome outcome, const char *text)
{
	struct why why;

	err_why(&why, ERR_NETWORK, "%s", text);
	set(at, reply_none(outcome, &why));
}

static inline void refers(struct world *w, size_t parent, const char *ns, const char *glue)
{
	set(&w->parents[parent].referral, reply_for(example, RR_NS, 0, RCODE_NOERROR, NULL, ns, glue));
	set(&w->parents[parent].referral_512, reply_for(example, RR_NS, BARE, RCODE_NOERROR, NULL, ns, glue));
}

static inline struct net_addr address_of(const char *text)
{
	struct net_addr a;

	assert_int_equal(net_addr_parse(&a, text, 53, NULL), ERR_OK);
	return a;
}

static inline void add_parent(struct world *w, const char *address)
{
	size_t i = w->survey.parent_count++;

	w->parents[i].name = parent_name;
	w->parents[i].address = address_of(address);
	refers(w, i, NS_TEXT, NULL);
	set(&w->parents[i].ds, reply_for(example, RR_DS, AA, RCODE_NOERROR, NULL, NULL, NULL));
}

static inline void resolves(struct world *w, size_t ns, const char *a, const char *aaaa)
{
	set(&w->ns[ns].a, reply_for(w->ns[ns].name, RR_A, 0, RCODE_NOERROR, a, NULL, NULL));
	set(&w->ns[ns].aaaa, reply_for(w->ns[ns].name, RR_AAAA, 0, RCODE_NOERROR, aaaa, NULL, NULL));
}

static inline size_t add_ns(struct world *w, const uint8_t *name, unsigned from)
{
	size_t i = w->survey.ns_count++;

	w->ns[i].name = name;
	w->ns[i].from = from;
	return i;
}

static inline void shows_soa(struct world *w, size_t server, const char *text)
{
	struct survey_server *s = &w->servers[server];

	answers(&s->soa, RR_SOA, AA, text);
	answers(&s->soa_again, RR_SOA, AA, text);
	answers(&s->tcp_soa, RR_SOA, AA, text);
	answers(&s->plain_soa, RR_SOA, AA | BARE, text);
}

static inline size_t add_server(struct world *w, size_t ns, const char *address)
{
	size_t i = w->survey.server_count++;
	struct survey_server *s = &w->servers[i];

	s->ns = ns;
	s->address = address_of(address);
	shows_soa(w, i, SOA_TEXT);
	answers(&s->ns_set, RR_NS, AA, NS_TEXT);
	set(&s->edns1, reply_for(example, RR_SOA, 0, RCODE_BADVERS, NULL, NULL, NULL));
	answers(&s->dnskey, RR_DNSKEY, AA, NULL);
	answers(&s->cds, RR_CDS, AA, NULL);
	answers(&s->cdnskey, RR_CDNSKEY, AA, NULL);
	answers(&s->csync, 62, AA, NULL);
	answers(&s->nsec3param, RR_NSEC3PARAM, AA, NULL);
	set(&s->axfr, reply_for(example, RR_AXFR, 0, RCODE_REFUSED, NULL, NULL, NULL));
	return i;
}

static inline void refresh_pointers(struct world *w)
{
	w->survey.parents = w->parents;
	w->survey.ns = w->ns;
	w->survey.servers = w->servers;
	w->survey.primaries = w->primaries;
	w->survey.gaps = w->gaps;
}

static inline struct world *make_world(void)
{
	struct world *w = calloc(1, sizeof *w);

	assert_non_null(w);
	refresh_pointers(w);
	w->survey.zone = example;
	name_copy(com, w->survey.parent_zone);
	w->survey.parent_found = true;
	add_parent(w, "203.0.113.1");
	add_ns(w, ns1_name, FROM_PARENT | FROM_CHILD);
	add_ns(w, ns2_name, FROM_PARENT | FROM_CHILD);
	resolves(w, 0, "ns1.a.info. 60 IN A 192.0.2.1\n", "ns1.a.info. 60 IN AAAA 2001:db8:1::1\n");
	resolves(w, 1, "ns2.b.net. 60 IN A 198.51.100.2\n", "ns2.b.net. 60 IN AAAA 2001:db8:2::2\n");
	add_server(w, 0, "192.0.2.1");
	add_server(w, 0, "2001:db8:1::1");
	add_server(w, 1, "198.51.100.2");
	add_server(w, 1, "2001:db8:2::2");
	w->settings = (struct verdict_settings){.lag_warn = 300, .lag_crit = 3600, .ttl_min = 3600, .expire_warn = 259200, .expire_crit = 86400};
	w->memory = memory_new(example);
	assert_non_null(w->memory);
	return w;
}

static inline void free_server(struct survey_server *s)
{
	for (size_t i = 0; i < SURVEY_REPLIES; i++)
		set(&s->replies[i], NULL);
}

static inline void free_world(struct world *w)
{
	for (size_t i = 0; i < 4; i++) {
		reply_free(w->parents[i].referral);
		reply_free(w->parents[i].referral_512);
		reply_free(w->parents[i].ds);
		reply_free(w->primaries[i].soa);
	}
	for (size_t i = 0; i < 8; i++) {
		reply_free(w->ns[i].a);
		reply_free(w->ns[i].aaaa);
	}
	for (size_t i = 0; i < 16; i++)
		free_server(&w->servers[i]);
	verdict_free(w->verdict);
	memory_free(w->memory);
	free(w);
}

/* "ID server address; ...", in the list's order; a "!" behind what is critical. */
static inline const char *found(struct world *w, int64_t now)
{
	static char text[8000];
	size_t used = 0;

	verdict_free(w->verdict);
	w->verdict = verdict_of(&w->survey, w->memory, &w->settings, now);
	assert_non_null(w->verdict);
	text[0] = 0;
	for (size_t i = 0; i < findings_count(w->verdict->findings); i++) {
		const struct finding *f = findings_at(w->verdict->findings, i);

		used += (size_t)snprintf(text + used, sizeof text - used, "%s%s%s%s%s%s%s", i ? "; " : "", finding_name(f->id),
			f->severity == SEVERITY_CRITICAL ? "!" : "", f->server ? " " : "", f->server ? f->server : "",
			f->address ? " " : "", f->address ? f->address : "");
	}
	return text;
}

static inline void show_messages(const struct world *w)
{
	for (size_t i = 0; i < findings_count(w->verdict->findings); i++)
		print_message("# %s: %s\n", finding_name(findings_at(w->verdict->findings, i)->id), findings_at(w->verdict->findings, i)->message);
}

static inline void expect_at(struct world *w, int64_t now, const char *expected)
{
	const char *got = found(w, now);

	if (strcmp(got, expected) == 0)
		return;
	show_messages(w);
	fail_msg("found \"%s\", expected \"%s\"", got, expected);
}

/* At once, and the world is over. */
static inline void expect(struct world *w, const char *expected)
{
	expect_at(w, NOW, expected);
	free_world(w);
}

/* The message of the finding number `i` has this in it. */
static inline void says(const struct world *w, size_t i, const char *part)
{
	const char *message = findings_at(w->verdict->findings, i)->message;

	if (!strstr(message, part))
		fail_msg("\"%s\" does not say \"%s\"", message, part);
}

#endif
