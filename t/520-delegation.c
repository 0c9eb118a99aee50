/* check/delegation: a zone, its parent and a resolver on loopback, and what is found out about it when one of them errs. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/conn.h"
#include "check/check.h"
#include "check/resolve.h"
#include "dns/frame.h"
#include "dns/msg.h"

#include <event2/event.h>
#include <event2/listener.h>
#include <ldns/ldns.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RESOLVER = 1, TLD_A = 10, TLD_B = 11, NS_A = 20, NS_B = 21, NS_C = 22, NS_OUT = 23, HOSTS = 7 };
static const unsigned hosts[HOSTS] = {RESOLVER, TLD_A, TLD_B, NS_A, NS_B, NS_C, NS_OUT};

/* What a server says to a question: words of flags and RCODEs, records after + (answer), - (authority), * (additional). */
struct line {
	unsigned host;
	const char *question, *says;
};

#define TLD_SOA "com. 900 IN SOA a.tld.com. admin.com. 1 3600 600 86400 300"
#define ZONE_SOA "ex.com. 3600 IN SOA ns1.ex.com. admin.ex.com. 7 3600 600 86400 300"
#define REFERRAL "-ex.com. 86400 IN NS ns1.ex.com.|-ex.com. 86400 IN NS ns2.ex.com.|" \
	"*ns1.ex.com. 86400 IN A 127.0.5.20|*ns2.ex.com. 86400 IN A 127.0.5.21"

static const struct line world[] = {
	{RESOLVER, "com. SOA", "ra|+" TLD_SOA},
	{RESOLVER, "com. NS", "ra|+com. 60 IN NS a.tld.com.|+com. 60 IN NS b.tld.com."},
	{RESOLVER, "a.tld.com. A", "ra|+a.tld.com. 60 IN A 127.0.5.10"},
	{RESOLVER, "b.tld.com. A", "ra|+b.tld.com. 60 IN A 127.0.5.11"},
	{RESOLVER, "ns1.ex.com. A", "ra|+ns1.ex.com. 60 IN A 127.0.5.20"},
	{RESOLVER, "ns2.ex.com. A", "ra|+ns2.ex.com. 60 IN A 127.0.5.21"},
	{RESOLVER, "ns3.ex.com. A", "ra|+ns3.ex.com. 60 IN A 127.0.5.22"},
	{RESOLVER, "sub.ex.com. SOA", "ra|-" ZONE_SOA},
	{RESOLVER, "ex.com. SOA", "ra|+" ZONE_SOA},
	{RESOLVER, "ex.com. NS", "ra|+ex.com. 60 IN NS ns1.ex.com."},
	{RESOLVER, ". NS", "ra|+. 60 IN NS ns1.ex.com."},
	{TLD_A, "ex.com. NS", REFERRAL},
	{TLD_B, "ex.com. NS", REFERRAL},
	{TLD_A, "ex.com. DS", "aa|-" TLD_SOA},
	{TLD_B, "ex.com. DS", "aa|-" TLD_SOA},
};

static const struct line *twist;         /* comes first; ends with host 0 */
static struct event_base *loop;
static struct prober *prober;
static struct net_addr address[HOSTS];
static struct event *readable[HOSTS];
static struct evconnlistener *listener[HOSTS];
static struct conn *accepted[4096];
static unsigned connections, asked[256], transfers[256];
static uint16_t port;
static unsigned without_edns;           /* a host */

enum { TIME_MS = 20000, BRIEF_MS = 1500 };      /* that a server is waited for: where all answer, however slow the machine is; where one is silent */

/* --- the servers -------------------------------------------------------------------- */

static const char *look_up(const struct line *lines, size_t count, unsigned host, const char *question)
{
	for (size_t i = 0; i < count && lines[i].host; i++)
		if (lines[i].host == host && strcasecmp(lines[i].question, question) == 0)
			return lines[i].says;
	return NULL;
}

/* A nameserver of the zone has SOA and NS, and nothing else. */
static const char *zone_says(const char *question)
{
	static const char end[] = "ex.com. ";
	size_t length = strcspn(question, " ") + 1;

	if (length < sizeof end - 1 || strncasecmp(question + length - (sizeof end - 1), end, sizeof end - 1) != 0)
		return "REFUSED";
	if (strcasecmp(question, "ex.com. SOA") == 0)
		return "aa|+" ZONE_SOA;
	if (strcasecmp(question, "ex.com. NS") == 0)
		return "aa|+ex.com. 3600 IN NS ns1.ex.com.|+ex.com. 3600 IN NS ns2.ex.com.";
	if (strcasecmp(question, "ex.com. AXFR") == 0)
		return "REFUSED";
	return "aa|-" ZONE_SOA;
}

static const char *what_it_says(unsigned host, const char *question)
{
	const char *says = twist ? look_up(twist, SIZE_MAX, host, question) : NULL;

	if (!says && twist)
		says = look_up(twist, SIZE_MAX, host, "*");
	if (!says)
		says = look_up(world, sizeof world / sizeof *world, host, question);
	if (!says)
		says = host == RESOLVER ? "ra|NXDOMAIN|-" ZONE_SOA : host >= NS_A ? zone_says(question) : "REFUSED";
	return says;
}

/* Sixty thousand octets. */
static void put_bulk(ldns_pkt *packet)
{
	char text[300];
	ldns_rr *rr;

	for (unsigned i = 0; i < 230; i++) {
		snprintf(text, sizeof text, "b%u.ex.com. 60 IN TXT \"%0240u\"", i, i);
		assert_int_equal(ldns_rr_new_frm_str(&rr, text, 60, NULL, NULL), LDNS_STATUS_OK);
		ldns_pkt_push_rr(packet, LDNS_SECTION_ADDITIONAL, rr);
	}
}

static void put_word(ldns_pkt *packet, const char *word)
{
	static const ldns_pkt_section sections[] = {['+'] = LDNS_SECTION_ANSWER, ['-'] = LDNS_SECTION_AUTHORITY, ['*'] = LDNS_SECTION_ADDITIONAL};
	ldns_lookup_table *rcode = ldns_lookup_by_name(ldns_rcodes, word);
	ldns_rr *rr;

	if (strcmp(word, "aa") == 0)
		ldns_pkt_set_aa(packet, true);
	else if (strcmp(word, "ra") == 0)
		ldns_pkt_set_ra(packet, true);
	else if (strcmp(word, "tc") == 0)
		ldns_pkt_set_tc(packet, true);
	else if (strcmp(word, "bulk") == 0)
		put_bulk(packet);
	else if (rcode)
		ldns_pkt_set_rcode(packet, (uint8_t)rcode->id);
	else {
		assert_int_equal(ldns_rr_new_frm_str(&rr, word + 1, 60, NULL, NULL), LDNS_STATUS_OK);
		ldns_pkt_push_rr(packet, sections[(uint8_t)*word], rr);
	}
}

/* Octets of the answer in `out`; 0: there is none. */
static size_t answer(unsigned host, const uint8_t *query, size_t n, uint8_t *out)
{
	ldns_pkt *packet;
	ldns_rr *question;
	char *owner, *type, text[400], words[4000];
	uint8_t *wire;
	size_t length;

	assert_int_equal(ldns_wire2pkt(&packet, query, n), LDNS_STATUS_OK);
	question = ldns_rr_list_rr(ldns_pkt_question(packet), 0);
	owner = ldns_rdf2str(ldns_rr_owner(question));
	type = ldns_rr_type2str(ldns_rr_get_type(question));
	snprintf(text, sizeof text, "%s %s", owner, type);
	asked[host]++;
	transfers[host] += strcmp(type, "AXFR") == 0;
	snprintf(words, sizeof words, "%s", host == without_edns && ldns_pkt_edns(packet) ? "FORMERR" : what_it_says(host, text));
	ldns_pkt_set_qr(packet, true);
	for (char *word = strtok(words, "|"); word && strcmp(words, "silent") != 0; word = strtok(NULL, "|"))
		put_word(packet, word);
	assert_int_equal(ldns_pkt2wire(&wire, packet, &length), LDNS_STATUS_OK);
	memcpy(out, wire, length);
	free(wire);
	free(owner);
	free(type);
	ldns_pkt_free(packet);
	return strcmp(words, "silent") == 0 ? 0 : length;
}

/* Who asked, and what: an answer goes back over UDP, or over the connection. */
struct asked_by {
	unsigned host;
	int fd;
	struct sockaddr_storage from;
	socklen_t size;
	struct conn *conn;           /* NULL: over UDP */
	uint8_t query[2048];
	size_t length;
};

static void reply_to(const struct asked_by *by)
{
	uint8_t out[2 + MSG_MAX];
	size_t n = answer(by->host, by->query, by->length, out + 2);

	put_u16(out, (uint16_t)n);
	if (n && by->conn)
		conn_write(by->conn, out, 2 + n);
	else if (n)
		sendto(by->fd, out + 2, n, 0, (const struct sockaddr *)&by->from, by->size);
}

/* Where they wait for each other: no server but the resolver answers before each has got so many questions over UDP and TCP. */
static bool waiting;
static unsigned wanted_udp[256], wanted_tcp[256], held_count;
static struct asked_by held[64];

static bool all_are_asked(void)
{
	for (unsigned i = 0; i < HOSTS; i++)
		if (wanted_udp[hosts[i]] || wanted_tcp[hosts[i]])
			return false;
	return true;
}

/* The same question, but for its ID. */
static bool comes_again(const struct asked_by *by)
{
	for (unsigned i = 0; i < held_count; i++)
		if (held[i].host == by->host && held[i].conn == by->conn && held[i].length == by->length &&
			memcmp(held[i].query + 2, by->query + 2, by->length - 2) == 0)
			return true;
	return false;
}

static void come(const struct asked_by *by)
{
	unsigned *wanted = by->conn ? &wanted_tcp[by->host] : &wanted_udp[by->host];

	if (!waiting || by->host == RESOLVER) {
		reply_to(by);
		return;
	}
	*wanted -= *wanted > 0 && !comes_again(by);
	if (held_count < sizeof held / sizeof *held)
		held[held_count++] = *by;
	waiting = !all_are_asked();
	for (unsigned i = 0; !waiting && i < held_count; i++)
		reply_to(&held[i]);
}

static void serve_udp(evutil_socket_t fd, short what, void *ctx)
{
	struct asked_by by = {.host = *(const unsigned *)ctx, .fd = fd, .size = sizeof by.from};
	ssize_t got = recvfrom(fd, by.query, sizeof by.query, 0, (struct sockaddr *)&by.from, &by.size);

	(void)what;
	if (got <= 0)
		return;
	by.length = (size_t)got;
	come(&by);
}

static void drop(struct conn *conn)
{
	for (unsigned i = 0; i < connections; i++)
		if (accepted[i] == conn)
			accepted[i] = NULL;
	conn_close(conn);
}

static size_t serve_tcp(struct conn *conn, struct rbuf bytes, void *owner)
{
	struct asked_by by = {.host = *(const unsigned *)owner, .conn = conn};
	struct rbuf query;

	if (!frame_next(&bytes, &query))
		return 0;
	by.length = rbuf_left(&query);
	assert_true(by.length <= sizeof by.query);
	memcpy(by.query, query.at, by.length);
	come(&by);
	return rbuf_pos(&bytes);
}

static void gone(struct conn *conn, enum err err, const struct why *why, void *owner)
{
	(void)err; (void)why; (void)owner;
	drop(conn);
}

static void accept_tcp(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *from, int length, void *ctx)
{
	static const struct conn_handlers handlers = {.data = serve_tcp, .ended = gone};
	struct net_addr peer = net_addr_of(from);

	(void)l; (void)length;
	assert_true(connections < sizeof accepted / sizeof *accepted);
	accepted[connections++] = conn_accept(loop, fd, &peer, (struct conn_times){0}, &handlers, ctx);
}

static bool open_host(unsigned i)
{
	char text[NET_ADDR_TEXT];
	socklen_t size = sizeof address[i];
	int fd;

	snprintf(text, sizeof text, "127.0.5.%u", hosts[i]);
	assert_int_equal(net_addr_parse(&address[i], text, 0, NULL), ERR_OK);
	net_set_port(&address[i], port);
	fd = net_listen_udp(&address[i], NULL);
	if (fd < 0)
		return false;
	assert_int_equal(getsockname(fd, &address[i].sa, &size), 0);
	port = net_port(&address[i]);
	listener[i] = evconnlistener_new_bind(loop, accept_tcp, (void *)&hosts[i], LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE, 64, &address[i].sa,
		(int)net_addr_len(&address[i]));
	readable[i] = event_new(loop, fd, EV_READ | EV_PERSIST, serve_udp, (void *)&hosts[i]);
	event_add(readable[i], NULL);
	return listener[i] != NULL;
}

/* --- one survey ------------------------------------------------------------------------- */

static struct survey *result;
static int64_t took_ms;

static void done(void *ctx, struct survey *survey)
{
	assert_ptr_equal(ctx, &result);
	result = survey;
	event_base_loopbreak(loop);
}

static bool one_is_silent(const struct line *lines)
{
	while (lines && lines->host && strcmp(lines->says, "silent") != 0)
		lines++;
	return lines && lines->host;
}

static struct survey *look(const char *zone, struct survey_settings set, const struct line *twisted)
{
	uint8_t name[NAME_SIZE];
	uint32_t time = one_is_silent(twisted) ? BRIEF_MS : TIME_MS;
	int64_t began = clock_ms();

	prober_set_limits(prober, (struct prober_limits){.timeout_ms = time});
	assert_int_equal(name_parse(zone, strlen(zone), NULL, name, NULL), ERR_OK);
	twist = twisted;
	memset(asked, 0, sizeof asked);
	memset(transfers, 0, sizeof transfers);
	set.port = port;
	if (!set.resolvers) {
		set.resolvers = &address[0];
		set.resolver_count = 1;
	}
	assert_non_null(delegation_start(loop, prober, name, &set, done, &result));
	result = NULL;
	event_base_dispatch(loop);
	assert_non_null(result);
	assert_int_equal(prober_pending(prober), 0);
	took_ms = clock_ms() - began;
	assert_true(took_ms <= 4 * (int64_t)time + 20000);
	return result;
}

static void show_gaps(const struct survey *s)
{
	for (size_t i = 0; i < s->gap_count; i++)
		print_message("gap: %s\n", s->gaps[i].what);
}

static void no_gap(const struct survey *s)
{
	if (s->gap_count)
		show_gaps(s);
	assert_int_equal(s->gap_count, 0);
}

static void a_gap(const struct survey *s, const char *says)
{
	for (size_t i = 0; i < s->gap_count; i++)
		if (strstr(s->gaps[i].what, says))
			return;
	show_gaps(s);
	fail_msg("no gap says \"%s\"", says);
}

static struct survey_server *server_at(struct survey *s, unsigned host)
{
	char text[NET_ADDR_TEXT];

	for (size_t i = 0; i < s->server_count; i++) {
		net_addr_text(&s->servers[i].address, port, text);
		if ((unsigned)atoi(strrchr(text, '.') + 1) == host)
			return &s->servers[i];
	}
	return NULL;
}

static struct survey_ns *ns_named(struct survey *s, const char *text)
{
	uint8_t name[NAME_SIZE];

	assert_int_equal(name_parse(text, strlen(text), NULL, name, NULL), ERR_OK);
	return survey_find_ns(s, name);
}

/* --- what there is -------------------------------------------------------------------------- */

static void all_is_asked_where_all_is_well(void **state)
{
	struct survey *s = look("ex.com", (struct survey_settings){0}, NULL);
	size_t found;

	(void)state;
	no_gap(s);
	assert_true(s->parent_found && name_equal(s->parent_zone, (const uint8_t *)"\3com"));
	assert_int_equal(s->parent_count, 2);
	assert_int_equal(s->ns_count, 2);
	assert_int_equal(s->server_count, 2);
	assert_null(s->enclosing);
	for (size_t i = 0; i < 2; i++) {
		const struct survey_server *server = &s->servers[i];

		assert_true(server->serves && server->glue && server->resolved && !server->given);
		for (unsigned j = 0; j < SURVEY_REPLIES; j++) {
			assert_non_null(server->replies[j]);
			assert_int_equal(server->replies[j]->outcome, REPLY_OK);
		}
		assert_true(server->tcp_soa->tcp && server->axfr->tcp && !server->soa->tcp);
		assert_non_null(reply_find(server->ns_set->answer, server->ns_set->answer_count, s->zone, RR_NS, &found));
		assert_int_equal(s->ns[i].from, FROM_PARENT | FROM_CHILD);
		assert_non_null(s->ns[i].a);
		assert_non_null(s->ns[i].aaaa);
		assert_true(s->parents[i].referral && s->parents[i].referral_512 && s->parents[i].ds);
		assert_true(s->parents[i].referral->edns && !s->parents[i].referral_512->edns);
	}
	survey_free(s);
}

/* Three nameservers, each over UDP with EDNS and without, and over TCP; two servers of the parent: none of them answers before all were asked. */
static void all_are_asked_at_once(void **state)
{
	static const uint8_t ns1[] = "\3ns1\2ex\3com", ns2[] = "\3ns2\2ex\3com", ns3[] = "\3ns3\2ex\3com";
	struct survey_given given[] = {{ns1, address[3]}, {ns2, address[4]}, {ns3, address[5]}};
	struct survey *s;

	(void)state;
	for (unsigned host = NS_A; host <= NS_C; host++) {
		wanted_udp[host] = 2;
		wanted_tcp[host] = 1;
	}
	wanted_udp[TLD_A] = wanted_udp[TLD_B] = 3;
	held_count = 0;
	waiting = true;
	s = look("ex.com", (struct survey_settings){.given = given, .given_count = 3}, NULL);
	assert_false(waiting);
	no_gap(s);
	assert_int_equal(s->server_count, 3);
	assert_int_equal(s->parent_count, 2);
	for (size_t i = 0; i < 3; i++)
		assert_true(s->servers[i].serves && s->servers[i].tcp_soa->outcome == REPLY_OK && s->servers[i].plain_soa->outcome == REPLY_OK);
	survey_free(s);
}

static void a_name_that_only_a_child_knows_is_asked_too(void **state)
{
	static const struct line twisted[] = {
		{NS_B, "ex.com. NS", "aa|+ex.com. 60 IN NS ns1.ex.com.|+ex.com. 60 IN NS ns3.ex.com."}, {0, NULL, NULL}};
	struct survey *s = look("ex.com", (struct survey_settings){0}, twisted);

	(void)state;
	no_gap(s);
	assert_int_equal(ns_named(s, "ns3.ex.com")->from, FROM_CHILD);
	assert_int_equal(ns_named(s, "ns2.ex.com")->from, FROM_PARENT | FROM_CHILD);
	assert_true(server_at(s, NS_C)->serves);
	survey_free(s);
}

static void given_servers_and_a_given_parent_need_no_resolver(void **state)
{
	static const uint8_t ns1[] = "\3ns1\2ex\3com", ns2[] = "\3ns2\2ex\3com";
	static const struct line twisted[] = {{RESOLVER, "*", "silent"}, {0, NULL, NULL}};
	struct survey_given given[] = {{ns1, address[3]}, {ns1, address[5]}, {ns2, address[4]}};
	struct survey *s = look("ex.com", (struct survey_settings){.given = given, .given_count = 3, .parent = address[1],
		.no_transfer = &address[3], .no_transfer_count = 1}, twisted);

	(void)state;
	no_gap(s);
	assert_int_equal(asked[RESOLVER], 0);
	assert_int_equal(s->parent_count, 1);
	assert_int_equal(s->server_count, 3);
	assert_int_equal(ns_named(s, "ns1.ex.com")->from, FROM_GIVEN | FROM_PARENT | FROM_CHILD);
	assert_true(s->servers[0].given && s->servers[1].given && s->servers[0].ns == s->servers[1].ns);
	assert_int_equal(transfers[NS_A], 0);
	assert_null(server_at(s, NS_A)->axfr);
	assert_int_equal(transfers[NS_B], 1);
	survey_free(s);
	s = look("ex.com", (struct survey_settings){.given = given, .given_count = 3, .parent = address[1], .no_transfers = true}, twisted);
	no_gap(s);
	assert_true(server_at(s, NS_A)->serves && server_at(s, NS_B)->serves);
	assert_int_equal(transfers[NS_A] + transfers[NS_B], 0);
	survey_free(s);
}

static void candidates_alone_are_asked_if_told(void **state)
{
	static const uint8_t ns3[] = "\3ns3\2ex\3com";
	static const struct line twisted[] = {
		{TLD_A, "ex.com. NS", "aa|NXDOMAIN|-" TLD_SOA}, {TLD_B, "ex.com. NS", "aa|NXDOMAIN|-" TLD_SOA}, {0, NULL, NULL}};
	struct survey_given given = {.name = ns3};
	struct survey *s = look("ex.com", (struct survey_settings){.given = &given, .given_count = 1, .only_given = true}, NULL);

	(void)state;
	no_gap(s);
	assert_int_equal(s->server_count, 1);
	assert_int_equal(s->ns_count, 3);
	assert_int_equal(asked[NS_A] + asked[NS_B], 0);
	survey_free(s);
	s = look("ex.com", (struct survey_settings){.given = &given, .given_count = 1, .only_given = true}, twisted);
	no_gap(s);
	assert_null(s->enclosing);
	survey_free(s);
	s = look("ex.com", (struct survey_settings){.given = &given, .given_count = 1}, twisted);
	a_gap(s, "ex.com. is not delegated");
	survey_free(s);
}

/* One in the zone is what the glue says. */
static void candidates_with_addresses_are_resolved_and_not_asked_there(void **state)
{
	static const uint8_t outside[] = "\3ns7\2my\3net", inside[] = "\3ns1\2ex\3com";
	static const struct line twisted[] = {{RESOLVER, "ns7.my.net. A", "ra|+ns7.my.net. 60 IN A 127.0.5.22"}, {0, NULL, NULL}};
	struct survey_given given[] = {{outside, address[4]}, {inside, address[3]}};
	struct survey_settings set = {.given = given, .given_count = 2, .only_given = true, .resolve_given = true};
	struct survey *s = look("ex.com", set, twisted);
	const struct survey_ns *ns = ns_named(s, "ns7.my.net");
	size_t count;

	(void)state;
	no_gap(s);
	assert_int_equal(s->server_count, 2);
	assert_int_equal(asked[NS_C], 0);
	assert_true(ns->has_given && ns->resolving && ns->a && ns->aaaa);
	assert_non_null(resolve_find(ns->a, ns->name, RR_A, &count));
	assert_false(ns_named(s, "ns1.ex.com")->resolving);
	survey_free(s);
	set.resolve_given = false;
	s = look("ex.com", set, twisted);
	assert_false(ns_named(s, "ns7.my.net")->resolving);
	assert_int_equal(s->server_count, 2);
	survey_free(s);
}

static void providers_and_primaries_are_asked(void **state)
{
	static const uint8_t ns3[] = "\3ns3\2ex\3com";
	const uint8_t *providers[] = {ns3};
	struct survey_primary primary = {.name = "hidden", .address = address[5]};
	struct survey *s = look("ex.com", (struct survey_settings){.providers = providers, .provider_count = 1,
		.primaries = &primary, .primary_count = 1}, NULL);

	(void)state;
	no_gap(s);
	assert_int_equal(ns_named(s, "ns3.ex.com")->from, FROM_PROVIDER);
	assert_true(server_at(s, NS_C)->serves);
	assert_int_equal(s->primary_count, 1);
	assert_int_equal(s->primaries[0].soa->outcome, REPLY_OK);
	survey_free(s);
}

static void a_primary_that_is_passed_over_is_no_gap(void **state)
{
	struct survey_primary primaries[] = {{.name = "plain", .address = address[5]}, {.name = "other", .address = address[5], .passed_over = true}};
	struct survey *s = look("ex.com", (struct survey_settings){.primaries = primaries, .primary_count = 2}, NULL);

	(void)state;
	no_gap(s);
	assert_int_equal(s->primary_count, 2);
	assert_int_equal(s->primaries[0].soa->outcome, REPLY_OK);
	assert_string_equal(s->primaries[1].name, "other");
	assert_null(s->primaries[1].soa);
	survey_free(s);
}

static void one_address_family_can_be_left_out(void **state)
{
	static const struct line twisted[] = {{RESOLVER, "ns1.ex.com. AAAA", "ra|+ns1.ex.com. 60 IN AAAA ::1"}, {0, NULL, NULL}};
	struct survey *s = look("ex.com", (struct survey_settings){.no_v6 = true}, twisted);

	(void)state;
	no_gap(s);
	assert_int_equal(s->server_count, 2);
	survey_free(s);
	s = look("ex.com", (struct survey_settings){.no_v4 = true}, twisted);
	assert_int_equal(s->server_count, 0);
	a_gap(s, "no nameserver of ex.com. could be found");
	survey_free(s);
}

/* --- names that are no zones, and the root --------------------------------------------------------- */

static void a_name_within_a_zone_is_told_with_its_zone(void **state)
{
	static const struct line none[] = {
		{TLD_A, "ex.com. NS", "aa|NXDOMAIN|-" TLD_SOA}, {TLD_B, "ex.com. NS", "aa|NXDOMAIN|-" TLD_SOA}, {0, NULL, NULL}};
	struct survey *s = look("sub.ex.com", (struct survey_settings){0}, NULL);

	(void)state;
	assert_non_null(s->enclosing);
	assert_true(name_equal(s->enclosing, (const uint8_t *)"\2ex\3com"));
	no_gap(s);
	survey_free(s);
	s = look("a.b.sub.ex.com", (struct survey_settings){0}, NULL);
	assert_true(s->enclosing && name_equal(s->enclosing, (const uint8_t *)"\2ex\3com"));
	no_gap(s);
	survey_free(s);
	s = look("ex.com", (struct survey_settings){0}, none);
	assert_true(s->enclosing && name_equal(s->enclosing, (const uint8_t *)"\3com"));
	a_gap(s, "ex.com. does not exist");
	survey_free(s);
}

static void the_root_has_no_parent(void **state)
{
	static const struct line twisted[] = {{NS_A, ". SOA", "aa|+. 60 IN SOA a. b. 1 2 3 4 5"}, {NS_A, ". NS", "aa|+. 60 IN NS ns1.ex.com."},
		{NS_A, "*", "aa|-. 60 IN SOA a. b. 1 2 3 4 5"}, {0, NULL, NULL}};
	struct survey *s = look(".", (struct survey_settings){0}, twisted);

	(void)state;
	no_gap(s);
	assert_int_equal(s->parent_count, 0);
	assert_false(s->parent_found);
	assert_int_equal(s->server_count, 1);
	assert_true(s->servers[0].serves);
	survey_free(s);
}

static void a_server_of_both_zones_shows_the_childs_set(void **state)
{
	static const struct line twisted[] = {{TLD_A, "ex.com. NS", "aa|+ex.com. 60 IN NS ns1.ex.com."}, {0, NULL, NULL}};
	struct survey *s = look("ex.com", (struct survey_settings){0}, twisted);

	(void)state;
	no_gap(s);
	assert_int_equal(s->server_count, 2);
	survey_free(s);
}

/* --- nameservers that err ------------------------------------------------------------------------------ */

static void a_dead_server_is_asked_little(void **state)
{
	static const struct line twisted[] = {{NS_B, "*", "silent"}, {0, NULL, NULL}};
	struct survey *s = look("ex.com", (struct survey_settings){0}, twisted);
	const struct survey_server *dead = server_at(s, NS_B);

	(void)state;
	no_gap(s);
	assert_int_equal(dead->soa->outcome, REPLY_TIMEOUT);
	assert_int_equal(dead->tcp_soa->outcome, REPLY_TIMEOUT);
	assert_false(dead->serves);
	assert_null(dead->ns_set);
	assert_true(asked[NS_B] <= 33);      /* two questions sixteen times, one over TCP */
	assert_true(server_at(s, NS_A)->soa_again != NULL);
	survey_free(s);
}

static void one_without_edns_is_asked_without(void **state)
{
	struct survey_server *server;
	struct survey *s;

	(void)state;
	without_edns = NS_B;
	s = look("ex.com", (struct survey_settings){0}, NULL);
	without_edns = 0;
	no_gap(s);
	server = server_at(s, NS_B);
	assert_int_equal(server->soa->rcode, RCODE_FORMERR);
	assert_true(server->serves);
	assert_int_equal(server->ns_set->answer_count, 2);
	assert_int_equal(server->soa_again->answer_count, 1);
	assert_null(server->edns1);
	survey_free(s);
}

static void a_sample_that_is_not_told_is_a_gap(void **state)
{
	static const struct line twisted[] = {{NS_B, "ex.com. NS", "SERVFAIL"}, {NS_B, "ex.com. MX", "silent"}, {0, NULL, NULL}};
	struct survey *s = look("ex.com", (struct survey_settings){0}, twisted);

	(void)state;
	assert_int_equal(server_at(s, NS_B)->ns_set->rcode, RCODE_SERVFAIL); /* tells for itself */
	assert_int_equal(s->gap_count, 1);
	a_gap(s, "did not tell when asked for MX: timed out");
	survey_free(s);
}

static void a_name_that_does_not_resolve_keeps_its_glue(void **state)
{
	static const struct line twisted[] = {{RESOLVER, "ns2.ex.com. A", "SERVFAIL"}, {RESOLVER, "ns1.ex.com. A", "-com. 60 IN NS a.tld.com."},
		{0, NULL, NULL}};
	struct survey *s = look("ex.com", (struct survey_settings){0}, twisted);

	(void)state;
	no_gap(s);
	assert_int_equal(ns_named(s, "ns2.ex.com")->a->rcode, RCODE_SERVFAIL);
	assert_int_equal(ns_named(s, "ns1.ex.com")->a->outcome, REPLY_GARBAGE);      /* a referral: this resolver does not resolve */
	assert_true(server_at(s, NS_B)->serves && server_at(s, NS_B)->glue && !server_at(s, NS_B)->resolved);
	survey_free(s);
}

static void aliases_are_followed_and_loops_end(void **state)
{
	static const struct line twisted[] = {
		{TLD_A, "ex.com. NS", "-ex.com. 60 IN NS al.out.|-ex.com. 60 IN NS round.out."}, {TLD_B, "ex.com. NS", "-ex.com. 60 IN NS al.out."},
		{RESOLVER, "al.out. A", "ra|+al.out. 60 IN CNAME real.out.|+real.out. 60 IN A 127.0.5.23"},
		{RESOLVER, "round.out. A", "ra|+round.out. 60 IN CNAME square.out.|+square.out. 60 IN CNAME round.out."}, {0, NULL, NULL}};
	struct survey *s = look("ex.com", (struct survey_settings){0}, twisted);

	(void)state;
	assert_true(server_at(s, NS_OUT)->serves);
	assert_non_null(ns_named(s, "round.out"));
	survey_free(s);
}

/* --- parents and resolvers that err -------------------------------------------------------------------- */

static void parents_that_do_not_tell_are_gaps(void **state)
{
	static const struct line one[] = {{TLD_B, "*", "silent"}, {0, NULL, NULL}};
	static const struct line refers[] = {{TLD_A, "ex.com. NS", "-com. 60 IN NS b.tld.com."}, {TLD_B, "ex.com. NS", "-com. 60 IN NS a.tld.com."},
		{0, NULL, NULL}};
	static const struct line forgets[] = {{TLD_B, "ex.com. NS", "aa|NXDOMAIN|-" TLD_SOA}, {0, NULL, NULL}};
	struct survey *s = look("ex.com", (struct survey_settings){0}, one);

	(void)state;
	assert_int_equal(s->gap_count, 1);
	a_gap(s, "the parent's server b.tld.com. (127.0.5.11");
	survey_free(s);
	s = look("ex.com", (struct survey_settings){0}, refers);     /* round and round, if one followed */
	a_gap(s, "it answers with something else");
	a_gap(s, "no nameserver of ex.com. could be found");
	survey_free(s);
	s = look("ex.com", (struct survey_settings){0}, forgets);
	a_gap(s, "b.tld.com. (127.0.5.11");
	assert_null(s->enclosing);
	survey_free(s);
}

static void a_resolver_that_is_silent_is_a_gap_in_time(void **state)
{
	static const struct line silent[] = {{RESOLVER, "*", "silent"}, {0, NULL, NULL}};
	static const struct line fails[] = {{RESOLVER, "*", "SERVFAIL"}, {0, NULL, NULL}};
	struct survey *s = look("ex.com", (struct survey_settings){0}, silent);

	(void)state;
	a_gap(s, "the parent zone could not be found: the resolver 127.0.5.1");
	a_gap(s, "timed out");
	survey_free(s);
	s = look("ex.com", (struct survey_settings){0}, fails);
	a_gap(s, "SERVFAIL");
	assert_true(took_ms < TIME_MS);
	survey_free(s);
}

static void the_next_resolver_is_asked(void **state)
{
	struct net_addr both[2] = {address[2], address[0]};          /* the first refuses all */
	struct survey *s = look("ex.com", (struct survey_settings){.resolvers = both, .resolver_count = 2}, NULL);

	(void)state;
	no_gap(s);
	assert_int_equal(s->server_count, 2);
	survey_free(s);
}

static void a_resolver_that_lies_leads_nowhere(void **state)
{
	static const struct line apex[] = {{RESOLVER, "com. SOA", "ra|+" TLD_SOA}, {RESOLVER, "com. NS", "ra|+com. 60 IN NS a.tld.com."},
		{RESOLVER, "a.tld.com. A", "ra|+a.tld.com. 60 IN A 127.0.5.1"}, {0, NULL, NULL}};
	static const struct line foreign[] = {{RESOLVER, "*", "ra|-" "other. 60 IN SOA a. b. 1 2 3 4 5"}, {0, NULL, NULL}};
	struct survey *s = look("ex.com", (struct survey_settings){0}, apex);        /* the resolver itself as the parent's server */

	(void)state;
	assert_true(s->server_count > 0 || s->gap_count > 0);
	survey_free(s);
	s = look("ex.com", (struct survey_settings){0}, foreign);
	a_gap(s, "does not say in which zone");
	survey_free(s);
}

static struct line twisted[200];

/* Eighty nameservers at two addresses each; how many lines that are. */
static unsigned name_many(void)
{
	static char text[200][3000];
	unsigned n = 0;

	for (unsigned i = 0; i < 80; i++) {
		snprintf(text[i], sizeof text[i], "n%u.ex.com. A", i);
		snprintf(text[i + 80], sizeof text[i], "ra|+n%u.ex.com. 60 IN A 127.0.5.%u|+n%u.ex.com. 60 IN A 127.0.5.%u", i, NS_A, i, NS_B);
		twisted[n++] = (struct line){RESOLVER, text[i], text[i + 80]};
	}
	strcpy(text[180], "aa");
	for (unsigned i = 0; i < 80; i++)
		snprintf(text[180] + strlen(text[180]), sizeof text[180] - strlen(text[180]), "|+ex.com. 1 IN NS n%u.ex.com.", i);
	twisted[n++] = (struct line){NS_A, "ex.com. NS", text[180]};
	return n;
}

/* Each name leads to new ones, for ever. */
static void what_never_ends_is_ended(void **state)
{
	struct survey *s;
	unsigned n = name_many();

	(void)state;
	twisted[n] = (struct line){0, NULL, NULL};
	s = look("ex.com", (struct survey_settings){0}, twisted);
	a_gap(s, "more than 64 names");
	a_gap(s, "more than 64 addresses");
	assert_int_equal(s->ns_count, SURVEY_NS_MAX);
	assert_int_equal(s->server_count, SURVEY_SERVERS_MAX);
	survey_free(s);
}

static size_t octets_of(const struct survey *s, unsigned *refused)
{
	size_t octets = 0;

	*refused = 0;
	for (size_t i = 0; i < s->server_count; i++)
		for (unsigned j = 0; j < SURVEY_REPLIES; j++) {
			const struct reply *reply = s->servers[i].replies[j];

			octets += reply ? reply->arena.total : 0;
			*refused += reply && reply->outcome == REPLY_GARBAGE && strstr(reply->why.text, "octets in all answers about the zone");
		}
	return octets;
}

static void what_all_answers_hold_is_bounded(void **state)
{
	static const char *const questions[] = {"ex.com. DNSKEY", "ex.com. CDS", "ex.com. CDNSKEY", "ex.com. CSYNC",
		"ex.com. NSEC3PARAM", "ex.com. A", "ex.com. AAAA", "ex.com. MX"};
	unsigned n = name_many(), refused;
	struct survey *s;
	size_t octets;

	(void)state;
	for (unsigned i = 0; i < sizeof questions / sizeof *questions; i++)
		for (unsigned host = NS_A; host <= NS_B; host++)
			twisted[n++] = (struct line){host, questions[i], "aa|bulk|-" ZONE_SOA};
	twisted[n] = (struct line){0, NULL, NULL};
	s = look("ex.com", (struct survey_settings){0}, twisted);
	octets = octets_of(s, &refused);
	assert_int_equal(s->server_count, SURVEY_SERVERS_MAX);
	assert_true(octets <= SURVEY_OCTETS_MAX && octets > SURVEY_OCTETS_MAX / 2);
	assert_true(refused > 50);
	survey_free(s);
}

static void time_that_is_up_is_a_gap(void **state)
{
	static const struct line silent[] = {{RESOLVER, "*", "silent"}, {0, NULL, NULL}};
	struct net_addr many[6] = {address[0], address[0], address[0], address[0], address[0], address[0]};
	struct survey *s = look("ex.com", (struct survey_settings){.resolvers = many, .resolver_count = 6}, silent);

	(void)state;
	a_gap(s, "time was up");
	survey_free(s);
}

static void what_is_given_up_is_not_told(void **state)
{
	struct survey_settings set = {.resolvers = &address[0], .resolver_count = 1, .port = port};
	struct delegation *d = delegation_start(loop, prober, (const uint8_t *)"\2ex\3com", &set, done, &result);

	(void)state;
	result = NULL;
	assert_non_null(d);
	delegation_cancel(d);
	assert_int_equal(prober_pending(prober), 0);
	event_base_loop(loop, EVLOOP_NONBLOCK);
	assert_null(result);
}

/* --- many zones ------------------------------------------------------------------------------------------ */

static unsigned zones_left, zones_whole;

static void one_done(void *ctx, struct survey *survey)
{
	(void)ctx;
	assert_non_null(survey);
	zones_whole += survey->gap_count == 0 && survey->server_count == 2;
	survey_free(survey);
	if (!--zones_left)
		event_base_loopbreak(loop);
}

static void look_at_many(unsigned count, unsigned at_once, const struct survey_settings *set)
{
	struct checks *checks = checks_new(loop, prober, at_once);

	assert_non_null(checks);
	zones_left = count;
	zones_whole = 0;
	for (unsigned i = 0; i < count; i++)
		assert_non_null(checks_add(checks, (const uint8_t *)"\2ex\3com", set, one_done, NULL));
	assert_int_equal(checks_pending(checks), count);
	event_base_dispatch(loop);
	assert_int_equal(zones_left, 0);
	assert_int_equal(checks_pending(checks), 0);
	checks_free(checks);
}

static void many_zones_take_turns(void **state)
{
	struct survey_settings set = {.resolvers = &address[0], .resolver_count = 1, .port = port};

	(void)state;
	twist = NULL;
	look_at_many(20, 3, &set);
	assert_int_equal(zones_whole, 20);
}

/* All at once they would have no answer in time. */
static void a_rate_in_all_lets_fewer_begin(void **state)
{
	struct survey_settings set = {.resolvers = &address[0], .resolver_count = 1, .port = port};

	(void)state;
	twist = NULL;
	prober_set_limits(prober, (struct prober_limits){.timeout_ms = 2000, .rate_all = 60});
	look_at_many(6, 6, &set);
	prober_set_limits(prober, (struct prober_limits){.timeout_ms = TIME_MS});
	assert_int_equal(zones_whole, 6);
}

/* What is slow of one zone is no reason for the others to wait, once the rate is what it is to be. */
static void a_rate_that_grows_lets_more_begin(void **state)
{
	struct survey_settings set = {.resolvers = &address[0], .resolver_count = 1, .port = port};
	struct checks *checks;

	(void)state;
	twist = NULL;
	prober_set_limits(prober, (struct prober_limits){.timeout_ms = TIME_MS, .rate_all = 1});
	checks = checks_new(loop, prober, 4);
	assert_non_null(checks);
	prober_set_limits(prober, (struct prober_limits){.timeout_ms = TIME_MS});
	for (unsigned i = 0; i < 6; i++)
		assert_non_null(checks_add(checks, (const uint8_t *)"\2ex\3com", &set, one_done, NULL));
	assert_int_equal(prober_pending(prober), 0);
	event_base_loop(loop, EVLOOP_ONCE);
	assert_true(prober_pending(prober) >= 4);
	checks_free(checks);
}

static void zones_that_are_given_up_are_not_told(void **state)
{
	struct survey_settings set = {.resolvers = &address[0], .resolver_count = 1, .port = port};
	struct checks *checks = checks_new(loop, prober, 2);

	(void)state;
	zones_left = 100;
	for (unsigned i = 0; i < 5; i++)
		assert_non_null(checks_add(checks, (const uint8_t *)"\2ex\3com", &set, one_done, NULL));
	check_cancel(checks_add(checks, (const uint8_t *)"\2ex\3com", &set, one_done, NULL));
	event_base_loop(loop, EVLOOP_ONCE);
	checks_free(checks);
	assert_int_equal(zones_left, 100);
	assert_int_equal(prober_pending(prober), 0);
}

static void the_systems_resolvers_are_read(void **state)
{
	char path[] = "/tmp/lockstep-resolv-XXXXXX", text[NET_ADDR_TEXT];
	static const char lines[] =
		"# a comment\nsearch example.com\nnameserver 192.0.2.1\nnameserver nonsense\n nameserver 192.0.2.9\nnameserver 2001:db8::1\n";
	struct net_addr found[RESOLVE_SYSTEM_MAX];
	int fd = mkstemp(path);

	(void)state;
	assert_int_equal(write(fd, lines, sizeof lines - 1), sizeof lines - 1);
	close(fd);
	assert_int_equal(resolve_system(path, found), 2);
	assert_string_equal(net_addr_text(&found[0], 0, text), "192.0.2.1@53");
	assert_string_equal(net_addr_text(&found[1], 53, text), "2001:db8::1");
	unlink(path);
	assert_int_equal(resolve_system(path, found), 1);
	assert_string_equal(net_addr_text(&found[0], 53, text), "127.0.0.1");
}

static int set_up(void **state)
{
	(void)state;
	rr_init();
	loop = event_base_new();
	prober = prober_new(loop, (struct prober_limits){.timeout_ms = TIME_MS});
	for (unsigned i = 0; i < HOSTS; i++)
		if (!open_host(i))
			return -1;
	return prober ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	for (unsigned i = 0; i < connections; i++)
		if (accepted[i])
			drop(accepted[i]);
	for (unsigned i = 0; i < HOSTS; i++) {
		evconnlistener_free(listener[i]);
		close(event_get_fd(readable[i]));
		event_free(readable[i]);
	}
	prober_free(prober);
	event_base_free(loop);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_is_asked_where_all_is_well),
		cmocka_unit_test(all_are_asked_at_once),
		cmocka_unit_test(a_name_that_only_a_child_knows_is_asked_too),
		cmocka_unit_test(given_servers_and_a_given_parent_need_no_resolver),
		cmocka_unit_test(candidates_alone_are_asked_if_told),
		cmocka_unit_test(candidates_with_addresses_are_resolved_and_not_asked_there),
		cmocka_unit_test(providers_and_primaries_are_asked),
		cmocka_unit_test(a_primary_that_is_passed_over_is_no_gap),
		cmocka_unit_test(one_address_family_can_be_left_out),
		cmocka_unit_test(a_name_within_a_zone_is_told_with_its_zone),
		cmocka_unit_test(the_root_has_no_parent),
		cmocka_unit_test(a_server_of_both_zones_shows_the_childs_set),
		cmocka_unit_test(a_dead_server_is_asked_little),
		cmocka_unit_test(one_without_edns_is_asked_without),
		cmocka_unit_test(a_sample_that_is_not_told_is_a_gap),
		cmocka_unit_test(a_name_that_does_not_resolve_keeps_its_glue),
		cmocka_unit_test(aliases_are_followed_and_loops_end),
		cmocka_unit_test(parents_that_do_not_tell_are_gaps),
		cmocka_unit_test(a_resolver_that_is_silent_is_a_gap_in_time),
		cmocka_unit_test(the_next_resolver_is_asked),
		cmocka_unit_test(a_resolver_that_lies_leads_nowhere),
		cmocka_unit_test(what_never_ends_is_ended),
		cmocka_unit_test(what_all_answers_hold_is_bounded),
		cmocka_unit_test(time_that_is_up_is_a_gap),
		cmocka_unit_test(what_is_given_up_is_not_told),
		cmocka_unit_test(many_zones_take_turns),
		cmocka_unit_test(a_rate_in_all_lets_fewer_begin),
		cmocka_unit_test(a_rate_that_grows_lets_more_begin),
		cmocka_unit_test(zones_that_are_given_up_are_not_told),
		cmocka_unit_test(the_systems_resolvers_are_read),
	};

	return cmocka_run_group_tests_name("delegation", tests, set_up, tear_down);
}
