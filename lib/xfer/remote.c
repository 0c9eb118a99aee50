#include "xfer/remote.h"

#include "base/log.h"

struct peer *remote_peer(const struct secondary_remote *remote, size_t address)
{
	return peer_get(primaries_peers(primary_table(remote->primary)), &remote->addresses[address]);
}

bool remote_may_ask(const struct secondary_remote *remote, size_t address, const struct remote_ask *ask)
{
	struct peer *peer = remote_peer(remote, address);

	return !peer || peer_may(peer, ask->lane, ask->now) || (ask->forced && peer_failed_at(peer, ask->lane) <= ask->since);
}

bool remote_any_may_ask(const struct secondary_remote *remote, const struct remote_ask *ask)
{
	for (size_t i = 0; i < remote->address_count; i++)
		if (remote_may_ask(remote, i, ask))
			return true;
	return false;
}

bool remote_may_sleep(const struct secondary_remote *remote)
{
	struct peer *peer;

	for (size_t i = 0; i < remote->address_count; i++)
		if (!(peer = remote_peer(remote, i)) || !primary_is_at(remote->primary, peer))
			return false;
	return true;
}

/* One line for what was found out about an address, be it for questions, for transfers, or both. */
static void log_found(const struct secondary_remote *remote, size_t address, enum log_level level, const char *event, unsigned lanes, const char *why)
{
	static const char *const word[] = {"nothing", "transfers", "questions", "all"};
	char text[NET_ADDR_TEXT];
	struct log log;

	log_begin(&log, level, event);
	log_str(&log, "primary", remote->name);
	log_str(&log, "address", net_addr_text(&remote->addresses[address], 0, text));
	log_str(&log, "for", word[lanes]);
	if (why)
		log_str(&log, "why", why);
	log_end(&log);
}

/* True: it was held. */
static bool lane_heard(const struct secondary_remote *remote, struct peer *peer, enum primary_lane lane, int64_t now)
{
	enum peer_change change = peer_heard(peer, lane, now);

	if (change != PEER_SAME)
		primary_back(primary_table(remote->primary), lane, peer);
	return change == PEER_BACK;
}

/* What answers over TCP can be asked over TCP; what answers over UDP alone may at least be tried. */
bool remote_heard(const struct secondary_remote *remote, size_t address, bool stream, int64_t now)
{
	struct peer *peer = remote_peer(remote, address);
	unsigned back = 0;

	if (!peer)
		return false;
	back |= (unsigned)lane_heard(remote, peer, LANE_PROBES, now) << LANE_PROBES;
	if (stream)
		back |= (unsigned)lane_heard(remote, peer, LANE_TRANSFERS, now) << LANE_TRANSFERS;
	else if (peer_wake(peer, LANE_TRANSFERS, now))
		primary_back(primary_table(remote->primary), LANE_TRANSFERS, peer);
	if (back)
		log_found(remote, address, LOG_LEVEL_NOTICE, "primary-back", back, NULL);
	return back;
}

void remote_late(const struct secondary_remote *remote, size_t address, const struct remote_ask *ask, int64_t began)
{
	struct peer *peer = remote_peer(remote, address);

	if (peer && peer_late(peer, ask->lane, began, ask->now) && !remote_any_may_ask(remote, ask))
		primary_lost(remote->primary, ask->lane);
}

/* True: it is held from now on. */
static bool lane_failed(const struct secondary_remote *remote, struct peer *peer, const struct remote_ask *ask, int64_t began, uint32_t random,
	const char *why)
{
	enum peer_change change = peer_failed(peer, ask->lane, began, ask->now, random, why);

	if (!peer_may(peer, ask->lane, ask->now) && !remote_any_may_ask(remote, ask))
		primary_lost(remote->primary, ask->lane);
	return change == PEER_LOST;
}

/* Who does not answer a question by UDP was asked by TCP too. */
bool remote_failed(const struct secondary_remote *remote, size_t address, const struct remote_ask *ask, int64_t began,
	uint32_t random, const char *why)
{
	struct remote_ask transfers = *ask;
	struct peer *peer = remote_peer(remote, address);
	unsigned lost = 0;

	if (!peer)
		return false;
	transfers.lane = LANE_TRANSFERS;
	lost |= (unsigned)lane_failed(remote, peer, &transfers, began, random, why) << LANE_TRANSFERS;
	if (ask->lane == LANE_PROBES)
		lost |= (unsigned)lane_failed(remote, peer, ask, began, random, why) << LANE_PROBES;
	if (lost)
		log_found(remote, address, LOG_LEVEL_WARNING, "primary-lost", lost, why);
	return lost;
}

struct remote_health remote_health(const struct secondary_remote *remote)
{
	struct remote_health best = {.health = PEER_GOOD, .why = ""};

	for (size_t i = 0; i < remote->address_count; i++) {
		struct peer *peer = remote_peer(remote, i);
		enum primary_lane worse = peer && peer_health(peer, LANE_TRANSFERS) > peer_health(peer, LANE_PROBES) ? LANE_TRANSFERS : LANE_PROBES;

		if (peer && (i == 0 || peer_health(peer, worse) < best.health))
			best = (struct remote_health){peer_health(peer, worse), peer_failures(peer, worse), peer_until(peer, worse), peer_why(peer)};
	}
	return best;
}
