/* xfer/link: connections that are kept and shared, against a server that does what primaries do, and what they should not. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "xfer/link.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <stdlib.h>
#include <string.h>

enum { ASKS = 12, LONG_MS = 30000 };

/* What the server does with what it is asked. */
enum manner {
	IN_ORDER,
	SILENT,
	IN_REVERSE,          /* when three have come */
	CLOSES_AFTER_ONE,
	CLOSES_WITHOUT,      /* an answer, all but the first connection's first */
	FIRST_ONLY,          /* answers what came first, and misses what came with it */
	HALF,                /* half an answer, then the end */
	FOREIGN,             /* an ID that nobody has asked with */
};

static struct event_base *loop;
static struct evconnlistener *listener;
static struct net_addr address;
static struct peers *peers;
static struct peer *peer;
static struct links *table;
static enum manner manner;
static unsigned connections, questions;
static struct bufferevent *server[64];

struct ask {
	struct link_call *call;
	unsigned begun, answered, heard;
	bool ended, partial;
	enum err err;
};
static struct ask asks[ASKS];

/* --- the server ----------------------------------------------------------- */

static void answer(struct bufferevent *bev, uint16_t id, size_t cut)
{
	uint8_t message[6] = {0, 4, (uint8_t)(id >> 8), (uint8_t)id, 0x80, 0};

	bufferevent_write(bev, message, sizeof message - cut);
}

static void drop(struct bufferevent *bev, void *ctx)
{
	(void)ctx;
	for (unsigned i = 0; i < 64; i++)
		if (server[i] == bev)
			server[i] = NULL;
	bufferevent_free(bev);
}

static void close_when_sent(struct bufferevent *bev)
{
	bufferevent_disable(bev, EV_READ);
	bufferevent_setcb(bev, NULL, drop, NULL, NULL);
}

static void serve(struct bufferevent *bev, const uint16_t *id, size_t count)
{
	switch (manner) {
	case IN_ORDER:
		for (size_t i = 0; i < count; i++)
			answer(bev, id[i], 0);
		break;
	case SILENT:
		break;
	case IN_REVERSE:
		while (count--)
			answer(bev, id[count], 0);
		break;
	case CLOSES_AFTER_ONE:
		answer(bev, id[0], 0);
		close_when_sent(bev);
		break;
	case CLOSES_WITHOUT:
		if (questions > 1 && connections < 2)
			drop(bev, NULL);
		else
			answer(bev, id[0], 0);
		break;
	case FIRST_ONLY:
		answer(bev, id[0], 0);
		break;
	case HALF:
		answer(bev, id[0], 2);
		close_when_sent(bev);
		break;
	case FOREIGN:
		answer(bev, id[0] ^ 0x8000, 0);
		break;
	}
}

static void server_read(struct bufferevent *bev, void *ctx)
{
	struct evbuffer *in = bufferevent_get_input(bev);
	uint16_t id[ASKS];
	uint8_t frame[6];
	size_t count = 0;

	(void)ctx;
	if (manner == IN_REVERSE && evbuffer_get_length(in) < 3 * sizeof frame)
		return;
	while (count < ASKS && evbuffer_get_length(in) >= sizeof frame) {
		evbuffer_remove(in, frame, sizeof frame);
		id[count++] = (uint16_t)(frame[2] << 8 | frame[3]);
		questions++;
	}
	if (count)
		serve(bev, id, count);
}

static void server_event(struct bufferevent *bev, short what, void *ctx)
{
	if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
		drop(bev, ctx);
}

static void accepted(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *from, int length, void *ctx)
{
	struct bufferevent *bev = bufferevent_socket_new(loop, fd, BEV_OPT_CLOSE_ON_FREE);

	(void)l; (void)from; (void)length; (void)ctx;
	server[connections++ % 64] = bev;
	bufferevent_setcb(bev, server_read, NULL, server_event, NULL);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
}

/* --- the client ----------------------------------------------------------- */

static void begin(struct link_call *call, uint16_t id, void *owner)
{
	uint8_t message[6] = {0, 4, (uint8_t)(id >> 8), (uint8_t)id, 0, 0};

	((struct ask *)owner)->begun++;
	link_write(call, message, sizeof message);
}

static void message_came(struct link_call *call, const uint8_t *message, size_t length, void *owner)
{
	struct ask *a = owner;

	assert_int_equal(length, 4);
	if ((message[0] << 8 | message[1]) != link_id(call))
		return;
	a->answered++;
	a->call = NULL;
	link_done(call);
}

static void heard(struct link_call *call, void *owner)
{
	((struct ask *)owner)->heard++;
	assert_true(link_octets(call) > 0);
}

static void ended(struct link_call *call, enum err err, const struct why *why, bool partial, void *owner)
{
	struct ask *a = owner;

	(void)why;
	a->ended = true;
	a->err = err;
	a->partial = partial;
	a->call = NULL;
	link_end(call);
}

static void start(struct ask *a)
{
	static const struct link_handlers handlers = {begin, message_came, heard, ended};
	struct why why;
	bool ready;

	*a = (struct ask){0};
	a->call = link_start(table, &address, NULL, peer, (struct conn_times){LONG_MS, LONG_MS, 0, 0}, &handlers, a, &ready, &why);
	assert_non_null(a->call);
	if (ready)
		begin(a->call, link_id(a->call), a);
}

static bool is_over(unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (!asks[i].answered && !asks[i].ended)
			return false;
	return true;
}

static void run(unsigned count)
{
	int64_t end = clock_ms() + 10000;

	while (!is_over(count) && clock_ms() < end) {
		struct timeval soon = {0, 50000};

		event_base_loopexit(loop, &soon);
		event_base_loop(loop, EVLOOP_ONCE);
	}
	assert_true(is_over(count));
}

/* What is on its way arrives. */
static void settle(void)
{
	for (unsigned i = 0; i < 20; i++) {
		struct timeval soon = {0, 5000};

		event_base_loopexit(loop, &soon);
		event_base_dispatch(loop);
	}
}

/* One answered, so that its connection is kept, and known to be. */
static void warm(void)
{
	enum manner then = manner;

	manner = IN_ORDER;
	start(&asks[0]);
	run(1);
	manner = then;
	assert_int_equal(links_idle(table), 1);
}

static int set_up(void **state)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_storage bound;
	socklen_t length = sizeof bound;

	(void)state;
	memset(server, 0, sizeof server);
	connections = questions = 0;
	manner = IN_ORDER;
	loop = event_base_new();
	listener = evconnlistener_new_bind(loop, accepted, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE, 64, (struct sockaddr *)&any, sizeof any);
	if (!listener || getsockname(evconnlistener_get_fd(listener), (struct sockaddr *)&bound, &length) < 0)
		return -1;
	address = net_addr_of((struct sockaddr *)&bound);
	peers = peers_new();
	peer = peer_get(peers, &address);
	table = links_new(loop, clock_ms, 8, 1);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	links_free(table);
	peers_free(peers);
	evconnlistener_free(listener);
	for (unsigned i = 0; i < 64; i++)
		if (server[i])
			bufferevent_free(server[i]);
	event_base_free(loop);
	return 0;
}

static void one_after_the_other_they_share_a_connection(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 50; i++) {
		start(&asks[0]);
		run(1);
		assert_int_equal(asks[0].answered, 1);
	}
	assert_int_equal(connections, 1);
	assert_int_equal(questions, 50);
	assert_int_equal(links_open(table), 1);
}

static void several_at_once_are_told_apart_in_any_order(void **state)
{
	(void)state;
	manner = IN_REVERSE;
	warm();
	for (unsigned i = 0; i < 3; i++)
		start(&asks[i]);
	run(3);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(asks[i].answered, 1);
	assert_int_equal(connections, 1);
}

static void before_it_is_known_to_be_kept_each_has_its_own(void **state)
{
	(void)state;
	links_free(table);
	table = links_new(loop, clock_ms, 8, 2);
	for (unsigned i = 0; i < 5; i++)
		start(&asks[i]);
	run(5);
	assert_int_equal(connections, 5);
	settle();
	assert_int_equal(links_idle(table), 2);              /* of which two are kept */
	assert_int_equal(links_open(table), 2);
	for (unsigned i = 0; i < ASKS; i++)
		start(&asks[i]);
	run(ASKS);
	assert_in_range(connections, 7, 9);                  /* up to four on each of the two, and one each for the others */
}

static void a_server_that_closes_after_one_gets_a_connection_for_each(void **state)
{
	(void)state;
	manner = CLOSES_AFTER_ONE;
	for (unsigned i = 0; i < 6; i++) {
		start(&asks[0]);
		run(1);
		assert_int_equal(asks[0].answered, 1);
		settle();
	}
	assert_int_equal(connections, 6);
	assert_int_equal(peer_stream(peer, clock_ms()), PEER_STREAM_ONE);
	for (unsigned i = 0; i < 3; i++)
		start(&asks[i]);
	run(3);
	assert_int_equal(connections, 9);
	assert_int_equal(links_idle(table), 0);
}

static void a_kept_connection_that_was_closed_costs_a_second_try(void **state)
{
	(void)state;
	warm();
	manner = CLOSES_WITHOUT;
	start(&asks[0]);
	run(1);
	assert_int_equal(asks[0].answered, 1);
	assert_int_equal(asks[0].begun, 2);
	assert_int_equal(connections, 2);
}

static void a_new_one_that_is_closed_is_not_tried_again(void **state)
{
	(void)state;
	manner = CLOSES_WITHOUT;
	questions = 1;
	connections = 0;
	start(&asks[0]);
	run(1);
	assert_true(asks[0].ended);
	assert_int_equal(asks[0].err, ERR_CLOSED);
	assert_false(asks[0].partial);
	assert_int_equal(asks[0].begun, 1);
	assert_int_equal(connections, 1);
}

static void half_an_answer_is_the_end(void **state)
{
	(void)state;
	manner = HALF;
	start(&asks[0]);
	run(1);
	assert_true(asks[0].ended);
	assert_true(asks[0].partial);
	assert_int_equal(links_open(table), 0);
}

static void wait_ms(int64_t ms)
{
	for (int64_t end = clock_ms() + ms; clock_ms() < end;)
		settle();
}

static void what_was_missed_is_asked_again_and_then_in_turns(void **state)
{
	(void)state;
	warm();
	manner = FIRST_ONLY;
	for (unsigned i = 0; i < 3; i++)
		start(&asks[i]);
	run(1);
	wait_ms(LINK_SHARED_MS);
	assert_int_equal(asks[0].answered + asks[1].answered + asks[2].answered, 1);
	assert_int_equal(link_late(asks[1].call), LINK_MOVED);
	assert_int_equal(link_late(asks[2].call), LINK_MOVED);
	assert_int_equal(peer_stream(peer, clock_ms()), PEER_STREAM_TURNS);
	run(3);
	assert_int_equal(asks[1].answered + asks[2].answered, 2);
	assert_int_equal(connections, 3);
	manner = IN_REVERSE;
	settle();
	start(&asks[0]);
	start(&asks[1]);
	start(&asks[2]);
	settle();
	assert_int_equal(connections, 5);                    /* an idle one, and two more: none is shared now */
	for (unsigned i = 0; i < 3; i++)
		link_end(asks[i].call);
}

/* One of two that share a connection is answered without end: the other one leaves. */
static void nobody_waits_behind_a_big_answer(void **state)
{
	(void)state;
	warm();
	manner = SILENT;
	start(&asks[0]);
	start(&asks[1]);
	settle();
	assert_int_equal(connections, 1);
	assert_int_equal(link_late(asks[1].call), LINK_MOVED);
	settle();
	assert_int_equal(connections, 2);
	assert_int_equal(peer_stream(peer, clock_ms()), PEER_STREAM_MANY);
	link_end(asks[0].call);
	link_end(asks[1].call);
	assert_int_equal(links_open(table), 0);
}

static void a_silent_one_that_was_kept_is_left_for_a_new_one(void **state)
{
	(void)state;
	warm();
	manner = SILENT;
	start(&asks[0]);
	settle();
	assert_int_equal(link_late(asks[0].call), LINK_WAITS);
	wait_ms(LINK_ALONE_MS);
	assert_int_equal(link_late(asks[0].call), LINK_MOVED);
	settle();
	assert_int_equal(connections, 2);
	assert_int_equal(link_late(asks[0].call), LINK_SILENT);
	link_end(asks[0].call);
	assert_int_equal(links_open(table), 0);
}

static void an_answer_to_nobody_ends_what_is_shared(void **state)
{
	(void)state;
	warm();
	manner = FOREIGN;
	for (unsigned i = 0; i < 2; i++)
		start(&asks[i]);
	run(2);
	assert_true(asks[0].ended && asks[1].ended);
	assert_int_equal(links_open(table), 0);
}

static void one_that_is_given_up_does_not_hurt_the_others(void **state)
{
	(void)state;
	warm();
	manner = IN_REVERSE;
	for (unsigned i = 0; i < 3; i++)
		start(&asks[i]);
	link_end(asks[1].call);
	asks[1].answered = 1;
	run(3);
	assert_int_equal(asks[0].answered + asks[2].answered, 2);
	settle();
	assert_int_equal(links_open(table), 0);              /* but the connection is not used again */
	assert_int_equal(connections, 1);
}

static void the_rest_of_what_was_given_up_is_nobodys(void **state)
{
	(void)state;
	warm();
	manner = SILENT;
	start(&asks[0]);
	start(&asks[1]);
	settle();
	link_end(asks[0].call);
	for (unsigned i = 0; i < 100; i++)
		answer(server[0], (uint16_t)~link_id(asks[1].call), 0);
	settle();
	assert_int_equal(asks[1].heard + asks[1].ended, 0);
	assert_int_equal(link_late(asks[1].call), LINK_MOVED);
	manner = IN_ORDER;
	asks[0].answered = 1;
	run(2);
	assert_int_equal(asks[1].answered, 1);
}

static void without_a_memory_of_the_address_nothing_is_kept(void **state)
{
	(void)state;
	peer = NULL;
	start(&asks[0]);
	run(1);
	assert_int_equal(links_open(table), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_after_the_other_they_share_a_connection),
		TEST(several_at_once_are_told_apart_in_any_order),
		TEST(before_it_is_known_to_be_kept_each_has_its_own),
		TEST(a_server_that_closes_after_one_gets_a_connection_for_each),
		TEST(a_kept_connection_that_was_closed_costs_a_second_try),
		TEST(a_new_one_that_is_closed_is_not_tried_again),
		TEST(half_an_answer_is_the_end),
		TEST(what_was_missed_is_asked_again_and_then_in_turns),
		TEST(nobody_waits_behind_a_big_answer),
		TEST(a_silent_one_that_was_kept_is_left_for_a_new_one),
		TEST(an_answer_to_nobody_ends_what_is_shared),
		TEST(one_that_is_given_up_does_not_hurt_the_others),
		TEST(the_rest_of_what_was_given_up_is_nobodys),
		TEST(without_a_memory_of_the_address_nothing_is_kept),
	};

	return cmocka_run_group_tests_name("xfer/link", tests, NULL, NULL);
}
