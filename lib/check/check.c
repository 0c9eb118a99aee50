#include "check/check.h"

#include <event2/event.h>
#include <stdlib.h>
#include <sys/queue.h>

enum { QUESTIONS = 75 /* about what a zone of four addresses needs */ };

struct check {
	TAILQ_ENTRY(check) link;
	struct checks *checks;
	struct delegation *delegation;       /* NULL: it waits */
	const struct survey_settings *settings;
	delegation_done *done;
	void *ctx;
	uint8_t zone[NAME_SIZE];
};

TAILQ_HEAD(check_list, check);

struct checks {
	struct event_base *base;
	struct prober *prober;
	struct event *turn;          /* begins what may begin: never from within checks_add */
	unsigned wanted, under_way;  /* zones at once */
	size_t pending;
	struct check_list waiting, running;
};

static void kick(struct checks *checks)
{
	static const struct timeval now = {0, 0};

	event_add(checks->turn, &now);
}

static void release(struct check *check)
{
	struct checks *checks = check->checks;

	if (check->delegation) {
		TAILQ_REMOVE(&checks->running, check, link);
		checks->under_way--;
	} else {
		TAILQ_REMOVE(&checks->waiting, check, link);
	}
	checks->pending--;
	free(check);
	if (!TAILQ_EMPTY(&checks->waiting))
		kick(checks);
}

static void looked(void *ctx, struct survey *survey)
{
	struct check *check = ctx;
	delegation_done *done = check->done;
	void *its = check->ctx;

	release(check);
	done(its, survey);
}

static void begin(struct check *check)
{
	struct checks *checks = check->checks;

	check->delegation = delegation_start(checks->base, checks->prober, check->zone, check->settings, looked, check);
	if (!check->delegation) {
		looked(check, NULL);
		return;
	}
	TAILQ_REMOVE(&checks->waiting, check, link);
	TAILQ_INSERT_TAIL(&checks->running, check, link);
	checks->under_way++;
}

/* Half of the time that a zone has is for waiting until its questions may be sent. */
static unsigned bounded(struct prober_limits limits, unsigned at_once)
{
	uint64_t most = limits.rate_all ? (uint64_t)limits.rate_all * 2 * limits.timeout_ms / 1000 / QUESTIONS : at_once;

	if (most < 1)
		return 1;
	return most < at_once ? (unsigned)most : at_once;
}

static void on_turn(evutil_socket_t fd, short what, void *ctx)
{
	struct checks *checks = ctx;
	unsigned at_once = bounded(prober_limits_of(checks->prober), checks->wanted);

	(void)fd;
	(void)what;
	while (checks->under_way < at_once && !TAILQ_EMPTY(&checks->waiting))
		begin(TAILQ_FIRST(&checks->waiting));
}

struct checks *checks_new(struct event_base *base, struct prober *prober, unsigned at_once)
{
	struct checks *checks = calloc(1, sizeof *checks);

	if (!checks)
		return NULL;
	checks->base = base;
	checks->prober = prober;
	checks->wanted = at_once ? at_once : CHECKS_AT_ONCE;
	TAILQ_INIT(&checks->waiting);
	TAILQ_INIT(&checks->running);
	checks->turn = evtimer_new(base, on_turn, checks);
	if (checks->turn)
		return checks;
	free(checks);
	return NULL;
}

void checks_free(struct checks *checks)
{
	if (!checks)
		return;
	while (!TAILQ_EMPTY(&checks->waiting))
		check_cancel(TAILQ_FIRST(&checks->waiting));
	while (!TAILQ_EMPTY(&checks->running))
		check_cancel(TAILQ_FIRST(&checks->running));
	event_free(checks->turn);
	free(checks);
}

size_t checks_pending(const struct checks *checks)
{
	return checks->pending;
}

struct check *checks_add(struct checks *checks, const uint8_t *zone, const struct survey_settings *settings, delegation_done *done, void *ctx)
{
	struct check *check = calloc(1, sizeof *check);

	if (!check)
		return NULL;
	check->checks = checks;
	check->settings = settings;
	check->done = done;
	check->ctx = ctx;
	name_copy(zone, check->zone);
	TAILQ_INSERT_TAIL(&checks->waiting, check, link);
	checks->pending++;
	kick(checks);
	return check;
}

void check_cancel(struct check *check)
{
	if (!check)
		return;
	delegation_cancel(check->delegation);
	release(check);
}
