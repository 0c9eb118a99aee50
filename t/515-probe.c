/* check/probe: questions to a server on loopback that does what servers do, and what they should not. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/conn.h"
#include "check/probe.h"
#include "dns/frame.h"
#include "dns/msg.h"
#include "dns/tsig.h"

#include <event2/event.h>
#include <event2/listener.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What the server does with a question over UDP, or over TCP. */
enum manner {
	ANSWERS,
	SILENT,
	EVERY_THIRD,
	TRUNCATES,
	FOREIGN_ID,          /* answers with another ID, then as it should */
	GARBAGE,             /* only that */
	GARBAGE_ELSEWHERE,   /* that from elsewhere, nothing from here */
	FROM_ELSEWHERE,
	BARE_ELSEWHERE,      /* a refusal without the question, from elsewhere; nothing from here */
	BOTH,                /* from elsewhere, then from here */
	CLOSES,              /* TCP: without a word */
	CLOSES_ONCE,
	HALF,                /* TCP: a part of an answer, then nothing */
};

static const uint8_t zone[] = "\7example\3com";
static struct event_base *loop;
static struct prober *prober;
static struct net_addr server;
static int udp = -1, elsewhere = -1;
static struct event *readable;
static struct evconnlistener *listener;
static struct conn *accepted[64];
static enum manner manner, tcp_manner;
static unsigned packets, connections;
static unsigned arrivals;            /* of packets, some together: after all before them were read */
static bool all_read = true;
static uint8_t last[512];
static size_t last_length;
static struct msg_writer writer;
static struct tsig_key server_key;   /* what it verifies and signs with; without a secret: nothing */

/* --- the server ------------------------------------------------------------------ */

static size_t answer_to(const uint8_t *query, size_t n, uint16_t flags, unsigned id_change, uint8_t *out)
{
	struct rbuf in = rbuf_of(query, n);
	struct msg_header header;
	struct msg_question question;
	struct rr rr = {.type = RR_NS, .class = CLASS_IN, .ttl = 60, .rdata = zone, .rdlength = sizeof zone};

	assert_true(msg_read_header(&in, &header) && msg_read_question(&in, &question));
	rr.owner = question.name;
	msg_start(&writer, out, 512, 512);
	msg_put_question(&writer, question.name, question.type, question.class);
	if (!(flags & (MSG_TC | 15)))
		msg_put_rr(&writer, MSG_ANSWER, &rr);
	return msg_finish(&writer, (uint16_t)(header.id + id_change), (uint16_t)(MSG_QR | MSG_AA | flags));
}

static const struct tsig_key *the_key(void *ctx, const uint8_t *name, const uint8_t *algorithm)
{
	(void)ctx; (void)algorithm;
	return name_equal(name, server_key.name) ? &server_key : NULL;
}

/* As a server does that has a key: the answer, or that the question's signature is wrong; signed. */
static size_t signed_answer(const uint8_t *query, size_t n, uint16_t flags, unsigned id_change, uint8_t out[512 + TSIG_ROOM])
{
	struct wbuf message = wbuf_of(out, 512 + TSIG_ROOM);
	struct tsig tsig = {0};
	size_t without;
	enum tsig_verdict verdict;

	if (!server_key.secret_length)
		return answer_to(query, n, flags, id_change, out);
	verdict = tsig_check_request(&tsig, the_key, NULL, query, n, clock_unix(), &without);
	message.at += answer_to(query, n, verdict == TSIG_OK ? flags : RCODE_NOTAUTH, id_change, out);
	assert_int_equal(tsig_sign_reply(&tsig, &message, clock_unix()), ERR_OK);
	tsig_release(&tsig);
	return wbuf_used(&message);
}

static void reply_udp(int fd, const struct sockaddr_storage *to, socklen_t size, const uint8_t *query, size_t n, uint16_t flags,
	unsigned id_change)
{
	uint8_t out[512 + TSIG_ROOM];
	size_t length = signed_answer(query, n, flags, id_change, out);

	if (flags == RCODE_REFUSED) {            /* without the question */
		put_u16(out + 4, 0);
		length = MSG_HEADER;
	}
	assert_int_equal(sendto(fd, out, length, 0, (const struct sockaddr *)to, size), length);
}

static void serve_udp(evutil_socket_t fd, short what, void *ctx)
{
	struct sockaddr_storage from;
	socklen_t size = sizeof from;
	uint8_t *q = last;
	ssize_t got = recvfrom(fd, last, sizeof last, 0, (struct sockaddr *)&from, &size);
	size_t n = (size_t)got;

	(void)what; (void)ctx;
	if (got < 0)
		return;
	last_length = n;
	packets++;
	arrivals += all_read;
	all_read = recv(fd, &(char){0}, 1, MSG_PEEK) < 0;
	switch (manner) {
	case ANSWERS: reply_udp(fd, &from, size, q, n, 0, 0); break;
	case EVERY_THIRD:
		if (packets % 3 == 0)
			reply_udp(fd, &from, size, q, n, 0, 0);
		break;
	case TRUNCATES: reply_udp(fd, &from, size, q, n, MSG_TC, 0); break;
	case FOREIGN_ID:
		reply_udp(fd, &from, size, q, n, 0, 1);
		reply_udp(fd, &from, size, q, n, 0, 0);
		break;
	case GARBAGE: reply_udp(fd, &from, size, q, n, 0, 1); break;
	case GARBAGE_ELSEWHERE: reply_udp(elsewhere, &from, size, q, n, 0, 1); break;
	case FROM_ELSEWHERE: reply_udp(elsewhere, &from, size, q, n, 0, 0); break;
	case BARE_ELSEWHERE: reply_udp(elsewhere, &from, size, q, n, RCODE_REFUSED, 0); break;
	case BOTH:
		reply_udp(elsewhere, &from, size, q, n, 0, 0);
		reply_udp(fd, &from, size, q, n, 0, 0);
		break;
	case SILENT: case CLOSES: case CLOSES_ONCE: case HALF:
		break;
	}
}

static void drop(struct conn *conn)
{
	for (unsigned i = 0; i < 64; i++)
		if (accepted[i] == conn)
			accepted[i] = NULL;
	conn_close(conn);
}

static size_t serve_tcp(struct conn *conn, struct rbuf bytes, void *owner)
{
	struct rbuf query;
	uint8_t out[2 + 512 + TSIG_ROOM];
	size_t n;

	(void)owner;
	if (!frame_next(&bytes, &query))
		return 0;
	n = signed_answer(query.at, rbuf_left(&query), 0, tcp_manner == GARBAGE, out + 2);
	put_u16(out, (uint16_t)n);
	if (tcp_manner == CLOSES || (tcp_manner == CLOSES_ONCE && connections == 1))
		drop(conn);
	else if (tcp_manner != SILENT)
		conn_write(conn, out, tcp_manner == HALF ? 5 : 2 + n);
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

	(void)l; (void)length; (void)ctx;
	accepted[connections++ % 64] = conn_accept(loop, fd, &peer, (struct conn_times){0}, &handlers, NULL);
}

/* On some port that is free for both. */
static void open_server(const char *address, const char *other)
{
	struct net_addr bound, there;
	socklen_t size = sizeof bound;

	assert_int_equal(net_addr_parse(&server, address, 0, NULL), ERR_OK);
	assert_int_equal(net_addr_parse(&there, other, 0, NULL), ERR_OK);
	listener = evconnlistener_new_bind(loop, accept_tcp, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE, 16, &server.sa,
		(int)net_addr_len(&server));
	assert_non_null(listener);
	assert_int_equal(getsockname(evconnlistener_get_fd(listener), &bound.sa, &size), 0);
	server = bound;
	udp = net_listen_udp(&server, NULL);
	elsewhere = net_listen_udp(&there, NULL);
	assert_true(udp >= 0 && elsewhere >= 0);
	readable = event_new(loop, udp, EV_READ | EV_PERSIST, serve_udp, NULL);
	event_add(readable, NULL);
}

static void close_server(void)
{
	for (unsigned i = 0; i < 64; i++)
		if (accepted[i])
			drop(accepted[i]);
	evconnlistener_free(listener);
	event_free(readable);
	close(udp);
	close(elsewhere);
}

/* --- one question ------------------------------------------------------------------- */

struct wait {
	unsigned left;
	struct reply *reply;         /* the last */
};

static void answered(void *ctx, struct reply *reply)
{
	struct wait *wait = ctx;

	assert_non_null(reply);
	reply_free(wait->reply);
	wait->reply = reply;
	if (!--wait->left)
		event_base_loopbreak(loop);
}

static void start(enum manner over_udp, enum manner over_tcp)
{
	manner = over_udp;
	tcp_manner = over_tcp;
	packets = connections = 0;
}

static struct reply *ask(struct probe_ask question)
{
	struct wait wait = {.left = 1};

	question.to = server;
	question.name = zone;
	question.type = question.type ? question.type : RR_NS;
	assert_non_null(probe_send(prober, &question, answered, &wait));
	assert_int_equal(wait.left, 1);              /* never from within */
	event_base_dispatch(loop);
	assert_int_equal(wait.left, 0);
	assert_int_equal(prober_pending(prober), 0);
	return wait.reply;
}

static void expect(struct reply *reply, enum reply_outcome outcome, bool tcp)
{
	assert_int_equal(reply->outcome, outcome);
	assert_int_equal(reply->tcp, tcp);
	reply_free(reply);
}

/* For what comes, however slow the machine is; and for what does not come, or is not what it should be. */
enum { TIME_MS = 20000, BRIEF_MS = 2000 };

static void limits(struct prober_limits l)
{
	l.timeout_ms = l.timeout_ms ? l.timeout_ms : TIME_MS;
	prober_set_limits(prober, l);
}

static struct reply *ask_briefly(struct probe_ask question)
{
	struct reply *reply;

	limits((struct prober_limits){.timeout_ms = BRIEF_MS});
	reply = ask(question);
	limits((struct prober_limits){0});
	return reply;
}

/* --- over UDP ------------------------------------------------------------------------ */

static void an_answer_comes_over_udp_v4_and_v6(void **state)
{
	static const char *const addresses[][2] = {{"127.0.0.1", "127.0.0.2"}, {"::1", "::1"}};

	(void)state;
	close_server();
	for (unsigned i = 0; i < 2; i++) {
		struct reply *reply;

		open_server(addresses[1 - i][0], addresses[1 - i][1]);
		start(ANSWERS, ANSWERS);
		reply = ask((struct probe_ask){0});
		assert_int_equal(reply->answer_count, 1);
		assert_true(reply->aa && !reply->odd);
		assert_true(reply->rtt_us > 0 && reply->rtt_us < TIME_MS * 1000);
		assert_in_range(packets, 1, 3);      /* one, unless the machine stands still */
		expect(reply, REPLY_OK, false);
		expect(ask((struct probe_ask){.tcp = true}), REPLY_OK, true);
		if (i == 0)
			close_server();
	}
}

static void the_question_is_as_was_told(void **state)
{
	struct rbuf in;
	struct msg_header header;
	struct msg_question question;
	struct msg_rr opt;
	struct msg_edns edns;

	(void)state;
	start(ANSWERS, ANSWERS);
	reply_free(ask((struct probe_ask){.rd = true, .cd = true, .do_bit = true, .edns_version = 1}));
	in = rbuf_of(last, last_length);
	assert_true(msg_read_header(&in, &header) && msg_read_question(&in, &question) && msg_read_rr(&in, &opt));
	assert_int_equal(header.flags, MSG_RD | MSG_CD);
	assert_true(name_equal(question.name, zone));
	assert_int_equal(question.class, CLASS_IN);
	assert_true(msg_edns_of(&opt, &edns) && edns.do_bit && edns.version == 1 && edns.payload == MSG_UDP_MAX);
	reply_free(ask((struct probe_ask){.no_edns = true}));
	in = rbuf_of(last, last_length);
	assert_true(msg_read_header(&in, &header));
	assert_int_equal(header.flags | header.arcount, 0);
}

static void ids_are_not_to_be_guessed(void **state)
{
	enum { ASKED = 20 };
	uint16_t ids[ASKED];
	unsigned same = 0;

	(void)state;
	start(ANSWERS, ANSWERS);
	for (unsigned i = 0; i < ASKED; i++) {
		reply_free(ask((struct probe_ask){0}));
		ids[i] = get_u16(last);
		for (unsigned j = 0; j < i; j++)
			same += ids[i] == ids[j];
	}
	assert_true(same < 3);
}

static void what_gets_lost_is_asked_again(void **state)
{
	(void)state;
	start(EVERY_THIRD, ANSWERS);
	expect(ask((struct probe_ask){0}), REPLY_OK, false);
	assert_in_range(packets, 3, 5);
}

static void silence_ends_in_time(void **state)
{
	int64_t began = clock_ms(), took;

	(void)state;
	limits((struct prober_limits){.timeout_ms = BRIEF_MS});
	start(SILENT, SILENT);
	expect(ask((struct probe_ask){0}), REPLY_TIMEOUT, false);
	took = clock_ms() - began;
	assert_true(took >= BRIEF_MS && took < TIME_MS);
	assert_in_range(packets, 2, 16);
	expect(ask((struct probe_ask){.tcp = true}), REPLY_TIMEOUT, true);
	assert_true(clock_ms() - began < 2 * TIME_MS);
	limits((struct prober_limits){0});
}

static void a_foreign_id_is_passed_over(void **state)
{
	(void)state;
	start(FOREIGN_ID, ANSWERS);
	expect(ask((struct probe_ask){0}), REPLY_OK, false);
}

static void garbage_alone_is_told_as_such(void **state)
{
	struct reply *reply;

	(void)state;
	start(GARBAGE, GARBAGE);
	reply = ask_briefly((struct probe_ask){0});
	assert_non_null(strstr(reply->why.text, "message ID"));
	expect(reply, REPLY_GARBAGE, false);
	expect(ask_briefly((struct probe_ask){.tcp = true}), REPLY_GARBAGE, true);
}

static void garbage_from_elsewhere_does_not_make_a_silent_server_speak(void **state)
{
	(void)state;
	start(GARBAGE_ELSEWHERE, ANSWERS);
	expect(ask_briefly((struct probe_ask){0}), REPLY_TIMEOUT, false);
	assert_true(packets > 1);
}

static void a_closed_port_is_unreachable_before_the_time_is_over(void **state)
{
	struct net_addr was = server, closed;
	struct wait wait = {.left = 2};
	struct probe_ask question = {.name = zone, .type = RR_NS};
	int64_t began = clock_ms();

	(void)state;
	limits((struct prober_limits){.timeout_ms = 20000});
	assert_int_equal(net_addr_parse(&closed, "127.0.0.1@1", 0, NULL), ERR_OK);
	question.to = closed;
	assert_non_null(probe_send(prober, &question, answered, &wait));
	question.tcp = true;
	assert_non_null(probe_send(prober, &question, answered, &wait));
	event_base_dispatch(loop);
	assert_true(clock_ms() - began < 15000);
	assert_non_null(strstr(wait.reply->why.text, "127.0.0.1@1"));
	expect(wait.reply, REPLY_UNREACHABLE, false);
	server = was;
	limits((struct prober_limits){0});
}

static void an_answer_from_elsewhere_is_one_and_noticed(void **state)
{
	struct reply *reply;

	(void)state;
	start(FROM_ELSEWHERE, ANSWERS);
	reply = ask((struct probe_ask){0});
	assert_true(reply->odd);
	assert_false(net_addr_equal(&reply->odd_from, &server));
	assert_int_equal(reply->answer_count, 1);
	expect(reply, REPLY_OK, false);
	start(BARE_ELSEWHERE, ANSWERS);
	expect(ask_briefly((struct probe_ask){0}), REPLY_TIMEOUT, false);
}

static void one_from_where_it_should_come_wins(void **state)
{
	struct reply *reply;

	(void)state;
	start(BOTH, ANSWERS);
	reply = ask((struct probe_ask){0});
	assert_false(reply->odd);
	expect(reply, REPLY_OK, false);
}

/* --- over TCP ------------------------------------------------------------------------- */

static void a_truncated_answer_is_followed_if_told(void **state)
{
	struct reply *reply;

	(void)state;
	start(TRUNCATES, ANSWERS);
	reply = ask((struct probe_ask){.follow = true});
	assert_int_equal(reply->answer_count, 1);
	assert_false(reply->tc);
	expect(reply, REPLY_OK, true);
	reply = ask((struct probe_ask){0});
	assert_true(reply->tc);
	expect(reply, REPLY_OK, false);
	start(TRUNCATES, SILENT);
	reply = ask_briefly((struct probe_ask){.follow = true});
	assert_true(reply->tc);
	expect(reply, REPLY_TIMEOUT, true);
}

static void a_connection_that_is_closed_is_tried_anew(void **state)
{
	(void)state;
	start(SILENT, CLOSES_ONCE);
	expect(ask((struct probe_ask){.tcp = true}), REPLY_OK, true);
	assert_int_equal(connections, 2);
	start(SILENT, CLOSES);
	expect(ask((struct probe_ask){.tcp = true}), REPLY_CLOSED, true);
	assert_int_equal(connections, 3);
	start(SILENT, HALF);
	expect(ask_briefly((struct probe_ask){.type = RR_AXFR}), REPLY_TIMEOUT, true);
}

/* --- with a key ------------------------------------------------------------------------- */

static struct tsig_key key_of(const char *name, const char *secret)
{
	struct tsig_key key;

	assert_int_equal(tsig_key_parse(&key, name, "hmac-sha256", secret, NULL), ERR_OK);
	return key;
}

static void expect_garbage(struct reply *reply, const char *why, bool tcp)
{
	if (!strstr(reply->why.text, why))
		fail_msg("\"%s\" does not say \"%s\"", reply->why.text, why);
	expect(reply, REPLY_GARBAGE, tcp);
}

static void with_a_key_only_what_is_signed_counts(void **state)
{
	struct tsig_key key = key_of("probe.example", "c2VjcmV0IHNlY3JldCBzZWNyZXQ="),
		other = key_of("probe.example", "YW5vdGhlciBhbm90aGVyIGFub3RoZXI="), unknown = key_of("unknown", "YW5vdGhlcg==");
	struct reply *reply;

	(void)state;
	server_key = key;
	start(ANSWERS, ANSWERS);
	reply = ask((struct probe_ask){.key = &key});
	assert_int_equal(reply->answer_count, 1);
	assert_int_equal(reply->additional_count, 0);
	expect(reply, REPLY_OK, false);
	expect(ask((struct probe_ask){.key = &key, .tcp = true}), REPLY_OK, true);
	start(TRUNCATES, ANSWERS);
	expect(ask((struct probe_ask){.key = &key, .follow = true}), REPLY_OK, true);
	start(EVERY_THIRD, ANSWERS);
	expect(ask((struct probe_ask){.key = &key}), REPLY_OK, false);
	start(ANSWERS, CLOSES_ONCE);
	expect(ask((struct probe_ask){.key = &key, .tcp = true}), REPLY_OK, true);
	start(ANSWERS, ANSWERS);
	expect_garbage(ask_briefly((struct probe_ask){.key = &other}), "it refused our TSIG: BADSIG", false);
	expect_garbage(ask_briefly((struct probe_ask){.key = &unknown, .tcp = true}), "it refused our TSIG: BADKEY", true);
	server_key = (struct tsig_key){.secret_length = 0};
	expect_garbage(ask_briefly((struct probe_ask){.key = &key}), "its answer's TSIG: MISSING", false);
	expect_garbage(ask_briefly((struct probe_ask){.key = &key, .tcp = true}), "its answer's TSIG: MISSING", true);
}

/* --- many ------------------------------------------------------------------------------- */

static int64_t ask_many(unsigned count)
{
	struct wait wait = {.left = count};
	struct probe_ask question = {.name = zone, .type = RR_NS, .to = server};
	int64_t began = clock_ms();

	for (unsigned i = 0; i < count; i++)
		assert_non_null(probe_send(prober, &question, answered, &wait));
	event_base_dispatch(loop);
	assert_int_equal(wait.left, 0);
	expect(wait.reply, REPLY_OK, false);
	return clock_ms() - began;
}

static void more_than_may_be_under_way_wait_their_turn(void **state)
{
	(void)state;
	start(ANSWERS, ANSWERS);
	limits((struct prober_limits){.under_way = 3, .per_server = 2, .timeout_ms = TIME_MS});
	ask_many(200);
	assert_in_range(packets, 200, 220);
	limits((struct prober_limits){0});
}

static void a_rate_is_kept(void **state)
{
	(void)state;
	start(ANSWERS, ANSWERS);
	limits((struct prober_limits){.rate = 200, .timeout_ms = TIME_MS});
	assert_true(ask_many(60) >= 250);            /* 60 at 200 a second, but for the first few */
	limits((struct prober_limits){.rate_all = 200, .timeout_ms = TIME_MS});
	assert_true(ask_many(60) >= 250);
	limits((struct prober_limits){0});
}

static void what_waits_for_the_rate_is_sent_some_at_a_time(void **state)
{
	(void)state;
	start(ANSWERS, ANSWERS);
	limits((struct prober_limits){.rate_all = 100, .gather = true, .timeout_ms = 5000});
	arrivals = 0;
	assert_true(ask_many(60) >= 400);            /* 60 at 100 a second, but for the first dozen */
	assert_true(arrivals <= 20);          /* it would be some fifty */
	limits((struct prober_limits){.rate_all = 10, .gather = true, .timeout_ms = 5000});
	assert_true(ask_many(6) >= 200);             /* few: no longer than a quarter of a second */
	limits((struct prober_limits){0});
}

/* How many packets a silent server gets for the questions, and in which time. */
static int64_t ask_in_vain(unsigned count)
{
	struct wait wait = {.left = count};
	struct probe_ask question = {.name = zone, .type = RR_NS, .to = server};
	int64_t began = clock_ms();

	start(SILENT, SILENT);
	for (unsigned i = 0; i < count; i++)
		assert_non_null(probe_send(prober, &question, answered, &wait));
	event_base_dispatch(loop);
	assert_int_equal(wait.left, 0);
	expect(wait.reply, REPLY_TIMEOUT, false);
	return clock_ms() - began;
}

static void a_rate_is_kept_at_a_server_that_is_silent(void **state)
{
	enum { ASKED = 6, RATE = 10 };
	int64_t took;

	(void)state;
	limits((struct prober_limits){.timeout_ms = 3000});
	ask_in_vain(ASKED);
	assert_true(packets > 3 * ASKED);            /* what is asked again without one */
	limits((struct prober_limits){.rate = RATE, .timeout_ms = 3000});
	took = ask_in_vain(ASKED);
	assert_true(packets > ASKED);                /* it is asked again with one too, */
	assert_true(packets <= (unsigned)(took * RATE / 1000) + 2);  /* but no more often */
	assert_true(took < 4 * TIME_MS);             /* and what waits gets its turn */
	limits((struct prober_limits){.rate_all = RATE, .timeout_ms = 3000});
	took = ask_in_vain(ASKED);
	assert_true(packets > ASKED && packets <= (unsigned)(took * RATE / 1000) + 2);
	limits((struct prober_limits){0});
}

static void what_is_given_up_is_not_told(void **state)
{
	struct wait never = {.left = 2};
	struct probe_ask question = {.name = zone, .type = RR_NS, .to = server};
	struct probe *waiting, *asked;

	(void)state;
	start(ANSWERS, ANSWERS);
	limits((struct prober_limits){.under_way = 1, .timeout_ms = TIME_MS});
	asked = probe_send(prober, &question, answered, &never);
	waiting = probe_send(prober, &question, answered, &never);
	assert_int_equal(prober_pending(prober), 2);
	probe_cancel(waiting);
	probe_cancel(asked);
	assert_int_equal(prober_pending(prober), 0);
	ask_many(1);
	assert_int_equal(never.left, 2);
	limits((struct prober_limits){0});
}

static void a_prober_that_goes_gives_up_what_it_has(void **state)
{
	struct wait never = {.left = 10};
	struct probe_ask question = {.name = zone, .type = RR_NS, .to = server};
	struct prober *p = prober_new(loop, (struct prober_limits){.under_way = 4});

	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		question.tcp = i % 2;
		assert_non_null(probe_send(p, &question, answered, &never));
	}
	prober_free(p);
	assert_int_equal(never.left, 10);
}

static int set_up(void **state)
{
	(void)state;
	rr_init();
	msg_writer_zero(&writer);
	loop = event_base_new();
	prober = prober_new(loop, (struct prober_limits){.timeout_ms = TIME_MS});
	open_server("127.0.0.1", "127.0.0.2");
	return loop && prober ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	close_server();
	prober_free(prober);
	event_base_free(loop);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_comes_over_udp_v4_and_v6),
		cmocka_unit_test(the_question_is_as_was_told),
		cmocka_unit_test(ids_are_not_to_be_guessed),
		cmocka_unit_test(what_gets_lost_is_asked_again),
		cmocka_unit_test(silence_ends_in_time),
		cmocka_unit_test(a_foreign_id_is_passed_over),
		cmocka_unit_test(garbage_alone_is_told_as_such),
		cmocka_unit_test(garbage_from_elsewhere_does_not_make_a_silent_server_speak),
		cmocka_unit_test(a_closed_port_is_unreachable_before_the_time_is_over),
		cmocka_unit_test(an_answer_from_elsewhere_is_one_and_noticed),
		cmocka_unit_test(one_from_where_it_should_come_wins),
		cmocka_unit_test(a_truncated_answer_is_followed_if_told),
		cmocka_unit_test(a_connection_that_is_closed_is_tried_anew),
		cmocka_unit_test(with_a_key_only_what_is_signed_counts),
		cmocka_unit_test(more_than_may_be_under_way_wait_their_turn),
		cmocka_unit_test(a_rate_is_kept),
		cmocka_unit_test(what_waits_for_the_rate_is_sent_some_at_a_time),
		cmocka_unit_test(a_rate_is_kept_at_a_server_that_is_silent),
		cmocka_unit_test(what_is_given_up_is_not_told),
		cmocka_unit_test(a_prober_that_goes_gives_up_what_it_has),
	};

	return cmocka_run_group_tests_name("probe", tests, set_up, tear_down);
}
