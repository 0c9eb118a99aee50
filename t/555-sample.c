/* check/sample: what is said of a server on loopback that has the same version of a zone, drops a record of it, takes another
 * version meanwhile, or falls silent. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "check/sample.h"
#include "dns/msg.h"
#include "serve/query.h"
#include "zone/zonefile.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SOA(serial) "$TTL 300\n@ SOA ns1 host " serial " 3600 900 604800 300\n@ NS ns1\nns1 A 192.0.2.1\n"
static const uint8_t apex[] = "\7example", ns1[] = "\3NS1\7example";
static const char whole[] = SOA("7") "www A 192.0.2.3\n", dropped[] = SOA("7"), next[] = SOA("8");

/* The server: what it has, and what it has from some question on. */
static struct zone *has, *then;
static unsigned asked, changes_at;           /* 0: never; without `then` it answers no more */
static int fd;
static struct net_addr address;
static struct event_base *loop;

static enum err add(void *ctx, const struct rr *rr, struct why *why)
{
	return build_add(ctx, rr, why);
}

static struct zone *zone_of(const char *text)
{
	struct build *build = build_new(apex, NULL, (struct build_limits){0});
	struct zone *zone = NULL;
	struct why why = {""};

	if (zonefile_parse("text", text, strlen(text), NULL, apex, add, build, &why) || build_finish(build, &zone, &why))
		fail_msg("%s", why.text);
	return zone;
}

static size_t answer(const struct zone *zone, const uint8_t *owner, uint16_t type, uint16_t id, uint8_t out[MSG_MAX])
{
	static struct msg_writer writer;
	struct query_wish wish = {type, true, true};
	struct query_result result;
	struct query_lead lead;
	struct tree_name name;

	msg_writer_zero(&writer);
	msg_start(&writer, out, MSG_MAX, MSG_MAX);
	assert_true(msg_put_question(&writer, owner, type, CLASS_IN));
	tree_name(&name, owner);
	query_lead(&lead, zone, &name, wish);
	result = query_answer(&writer, zone, &name, wish, &lead);
	return msg_finish(&writer, id, (uint16_t)(MSG_QR | (result.aa ? MSG_AA : 0) | result.rcode));
}

static void serve(evutil_socket_t s, short what, void *ctx)
{
	static uint8_t query[512], out[MSG_MAX];
	struct sockaddr_storage from;
	socklen_t size = sizeof from;
	ssize_t n = recvfrom(s, query, sizeof query, 0, (struct sockaddr *)&from, &size);
	struct rbuf in = rbuf_of(query, n > 0 ? (size_t)n : 0);
	struct msg_question question;
	struct msg_header header;
	const struct zone *zone;
	size_t length;

	(void)what;
	(void)ctx;
	if (n <= 0)
		return;
	assert_true(msg_read_header(&in, &header) && msg_read_question(&in, &question));
	asked++;
	zone = changes_at && asked >= changes_at ? then : has;
	if (!zone)
		return;
	length = answer(zone, question.name, question.type, header.id, out);
	assert_int_equal(sendto(s, out, length, 0, (struct sockaddr *)&from, size), length);
}

/* Of the server, as it was looked at before: it has shown this zone's serial. */
static struct survey *survey_with(const struct zone *shown)
{
	struct survey *survey = survey_new(apex);
	struct survey_server *server;
	uint8_t message[MSG_MAX];

	assert_non_null(survey);
	assert_non_null(survey_add_ns(survey, ns1));
	server = survey_add_server(survey, 0, &address);
	assert_non_null(server);
	server->serves = true;
	server->soa = reply_read(message, answer(shown, apex, RR_SOA, 1, message), 1, apex, RR_SOA, CLASS_IN);
	assert_non_null(server->soa);
	return survey;
}

static void on_done(void *ctx)
{
	*(bool *)ctx = true;
	event_base_loopbreak(loop);
}

/* What is found where the server had `shown` when it was looked at; NULL: nobody is asked. */
static struct findings *find(struct zone *ours, struct zone *shown, const struct question *again, size_t most)
{
	struct prober *prober = prober_new(loop, (struct prober_limits){.timeout_ms = 300});
	struct event *readable = event_new(loop, fd, EV_READ | EV_PERSIST, serve, NULL);
	struct survey *survey = survey_with(shown);
	struct findings *findings = NULL;
	bool done = false;
	struct sample_ask ask = {loop, prober, ours, survey, most, 1, again, again != NULL, on_done, &done};
	struct sample *sample = sample_start(&ask);

	asked = 0;
	survey_free(survey);
	assert_int_equal(event_add(readable, NULL), 0);
	if (sample) {
		event_base_dispatch(loop);
		assert_true(done);
		findings = findings_new(NULL);
		sample_findings(sample, findings);
	}
	sample_free(sample);
	prober_free(prober);
	event_free(readable);
	return findings;
}

static void a_server_of_the_same_version_differs_in_nothing(void **state)
{
	struct zone *zone = has = zone_of(whole);
	struct findings *findings = find(zone, zone, NULL, 20);

	(void)state;
	assert_non_null(findings);
	assert_int_equal(findings_count(findings), 0);
	assert_in_range(asked, 1 + 4, 1 + 4 + QUESTIONS_ABSENT);
	findings_free(findings);
	zone_put(zone);
}

static void what_it_lacks_is_found(void **state)
{
	struct zone *zone = zone_of(whole);
	struct findings *findings;
	const struct finding *f;

	(void)state;
	has = zone_of(dropped);
	findings = find(zone, has, NULL, 20);
	assert_int_equal(findings_count(findings), 1);
	f = findings_at(findings, 0);
	assert_int_equal(f->id, FINDING_ANSWER_DIFF);
	assert_string_equal(f->server, "ns1.example.");
	assert_string_equal(f->owner, "www.example.");
	assert_string_equal(f->expected, "300 A 192.0.2.3");
	assert_string_equal(f->got, "NXDOMAIN");
	findings_free(findings);
	zone_put(has);
	zone_put(zone);
}

static void what_differed_before_is_asked_again(void **state)
{
	static const struct question other = {.name = "\3www\5other", .type = RR_A};
	struct question again = {.name = "\3www\7example", .type = RR_A};
	struct zone *zone = zone_of(whole);
	struct findings *findings;
	struct question picked[1 + QUESTIONS_ABSENT];

	(void)state;
	has = zone_of(dropped);
	questions_sample(zone, 1, 1, picked);
	assert_false(name_equal(picked[0].name, again.name));        /* chance would not have */
	findings = find(zone, has, &again, 1);
	assert_true(findings_has(findings, FINDING_ANSWER_DIFF, "ns1.example.", NULL));
	findings_free(findings);
	findings = find(zone, has, &other, 1);
	assert_int_equal(findings_count(findings), 0);
	findings_free(findings);
	zone_put(has);
	zone_put(zone);
}

static void nothing_is_said_of_another_version(void **state)
{
	struct zone *zone = zone_of(whole), *newer = zone_of(next);

	(void)state;
	has = newer;
	assert_null(find(zone, newer, NULL, 20));
	for (unsigned at = 1; at < 8; at++) {        /* it takes it before the first question, or in the middle */
		struct findings *findings;

		has = zone;
		then = newer;
		changes_at = at;
		findings = find(zone, zone, NULL, 20);
		assert_non_null(findings);
		assert_int_equal(findings_count(findings), 0);
		findings_free(findings);
	}
	changes_at = 0;
	zone_put(zone);
	zone_put(newer);
}

static void a_server_that_falls_silent_is_not_well(void **state)
{
	struct zone *zone = has = zone_of(whole);

	(void)state;
	then = NULL;
	for (changes_at = 1; changes_at < 4; changes_at++) {
		struct findings *findings = find(zone, zone, NULL, 20);

		assert_int_equal(findings_count(findings), 1);
		assert_true(findings_has(findings, FINDING_CHECK_INCOMPLETE, "ns1.example.", NULL));
		assert_int_equal(findings_status(findings), STATUS_UNKNOWN);
		findings_free(findings);
	}
	changes_at = 0;
	zone_put(zone);
}

static int open_server(void **state)
{
	(void)state;
	rr_init();
	loop = event_base_new();
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	address = (struct net_addr){{.v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}}};
	if (!loop || fd < 0 || bind(fd, &address.sa, sizeof address.v4) < 0)
		return -1;
	return getsockname(fd, &address.sa, &(socklen_t){sizeof address.v4});
}

static int close_server(void **state)
{
	(void)state;
	close(fd);
	event_base_free(loop);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_server_of_the_same_version_differs_in_nothing),
		cmocka_unit_test(what_it_lacks_is_found),
		cmocka_unit_test(what_differed_before_is_asked_again),
		cmocka_unit_test(nothing_is_said_of_another_version),
		cmocka_unit_test(a_server_that_falls_silent_is_not_well),
	};

	return cmocka_run_group_tests(tests, open_server, close_server);
}
