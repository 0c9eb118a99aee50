#include "serve/udp.h"

#include "base/clock.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	BATCH = 64,                  /* requests of one recvmmsg */
	BATCHES_MAX = 8,             /* of one wake-up, before the loop sees to other sockets */
	SEND_WAIT_MS = 10,           /* for room in the socket's buffer, once a batch; then the rest is dropped */
};

/* Few lines of the cache would serve them all if packets lay a multiple of 4 KB apart. Pages that only long requests
 * reach are not touched by others. */
struct packet {
	uint8_t request[MSG_MAX + 1];
	uint8_t response[ANSWER_UDP_MAX];
	uint8_t apart[5 * 64];
};

union control {
	struct cmsghdr align;
	uint8_t bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

struct udp {
	struct event readable;
	int fd;
	bool any_address;            /* bound to no address of its own: each packet says which one was asked */
	struct answer *answer;
	const struct serve_settings_box *settings;
	struct mmsghdr in[BATCH], out[BATCH];
	struct iovec in_bytes[BATCH], out_bytes[BATCH];
	struct net_addr from[BATCH];
	union control control[BATCH];
	struct answer_request request[BATCH];
	struct answer_work work[BATCH];
	struct packet packet[BATCH];
};
_Static_assert((int)BATCH <= (int)TREE_AHEAD_MAX, "a batch is looked up together");

const struct serve_settings *serve_settings_get(const struct serve_settings_box *box)
{
	return __atomic_load_n(&box->current, __ATOMIC_ACQUIRE);
}

/* --- in --------------------------------------------------------------------------------- */

static void prepare(struct udp *udp)
{
	for (unsigned i = 0; i < BATCH; i++) {
		udp->in_bytes[i] = (struct iovec){udp->packet[i].request, MSG_MAX};
		udp->in[i].msg_hdr = (struct msghdr){.msg_name = &udp->from[i], .msg_iov = &udp->in_bytes[i], .msg_iovlen = 1};
		udp->out[i].msg_hdr = (struct msghdr){.msg_iov = &udp->out_bytes[i], .msg_iovlen = 1};
	}
}

static int receive(struct udp *udp)
{
	for (unsigned i = 0; i < BATCH; i++) {
		struct msghdr *hdr = &udp->in[i].msg_hdr;

		hdr->msg_namelen = sizeof udp->from[i];
		if (!udp->any_address)
			continue;
		hdr->msg_control = &udp->control[i];
		hdr->msg_controllen = sizeof udp->control[i];
	}
	return recvmmsg(udp->fd, udp->in, BATCH, MSG_DONTWAIT, NULL);
}

/* --- out -------------------------------------------------------------------------------- */

/* What came with the request goes back with the response: the address that was asked. The interface is left to the routing
 * table, but where the address is good on one link only. */
static void set_source(struct msghdr *in, struct msghdr *out)
{
	struct cmsghdr *control = CMSG_FIRSTHDR(in);
	struct in6_pktinfo six;
	struct in_pktinfo four;

	out->msg_control = NULL;
	out->msg_controllen = 0;
	if (!control)
		return;
	if (control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_PKTINFO) {
		memcpy(&four, CMSG_DATA(control), sizeof four);
		four.ipi_ifindex = 0;
		memcpy(CMSG_DATA(control), &four, sizeof four);
		out->msg_controllen = CMSG_SPACE(sizeof four);
	} else if (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_PKTINFO) {
		memcpy(&six, CMSG_DATA(control), sizeof six);
		if (!IN6_IS_ADDR_LINKLOCAL(&six.ipi6_addr))
			six.ipi6_ifindex = 0;
		memcpy(CMSG_DATA(control), &six, sizeof six);
		out->msg_controllen = CMSG_SPACE(sizeof six);
	}
	if (out->msg_controllen)
		out->msg_control = control;
}

static void add_response(struct udp *udp, unsigned to, unsigned request, size_t length)
{
	struct msghdr *in = &udp->in[request].msg_hdr, *out = &udp->out[to].msg_hdr;

	udp->out_bytes[to] = (struct iovec){udp->packet[request].response, length};
	out->msg_name = in->msg_name;
	out->msg_namelen = in->msg_namelen;
	if (udp->any_address)
		set_source(in, out);
}

static bool wait_for_room(const struct udp *udp)
{
	struct pollfd poll_out = {.fd = udp->fd, .events = POLLOUT};

	return poll(&poll_out, 1, SEND_WAIT_MS) == 1;
}

/* A response that the kernel will not have (no route to the client) does not hold up those behind it. */
static void send_responses(struct udp *udp, unsigned count)
{
	bool waited = false;
	unsigned done = 0;

	while (done < count) {
		int n = sendmmsg(udp->fd, udp->out + done, count - done, 0);

		if (n > 0) {
			done += (unsigned)n;
		} else if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) {
			if (waited || !wait_for_room(udp))
				break;
			waited = true;
		} else if (errno != EINTR) {
			udp->answer->counters->dropped++;
			done++;
		}
	}
	udp->answer->counters->dropped += count - done;
}

/* ---------------------------------------------------------------------------------------- */

/* Returns the number of responses. */
static unsigned answer_batch(struct udp *udp, unsigned count)
{
	const struct serve_settings *settings;
	uint64_t now = clock_unix();
	int64_t now_ms = clock_coarse_ms();
	unsigned responses = 0;
	size_t length;

	for (unsigned i = 0; i < count; i++) {
		udp->request[i] = (struct answer_request){
			.bytes = udp->packet[i].request, .length = udp->in[i].msg_len, .from = udp->from[i], .now = now, .now_ms = now_ms,
		};
		answer_read(&udp->work[i], &udp->request[i]);
	}
	store_enter();
	settings = serve_settings_get(udp->settings);
	answer_find(udp->answer, settings, udp->work, count);
	for (unsigned i = 0; i < count; i++) {
		if (net_port(&udp->from[i]) == 0)
			udp->answer->counters->dropped++;       /* nothing can be sent there */
		else if (answer_reply(udp->answer, settings, &udp->request[i], &udp->work[i], udp->packet[i].response, &length, NULL) ==
			ANSWER_SEND)
			add_response(udp, responses++, i, length);
	}
	store_leave();
	return responses;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct udp *udp = arg;

	(void)fd, (void)what;
	for (int i = 0; i < BATCHES_MAX; i++) {
		int count = receive(udp);

		if (count <= 0)
			return;
		send_responses(udp, answer_batch(udp, (unsigned)count));
		if (count < BATCH)
			return;
	}
}

/* With an address of its own a socket answers from it anyway, and the kernel is spared the control messages. */
static bool is_any_address(int fd)
{
	struct sockaddr_storage bound = {0};
	socklen_t length = sizeof bound;
	struct net_addr addr;
	int off = 0;

	getsockname(fd, (struct sockaddr *)&bound, &length);
	addr = net_addr_of((struct sockaddr *)&bound);
	if (addr.sa.sa_family == AF_INET6) {
		if (IN6_IS_ADDR_UNSPECIFIED(&addr.v6.sin6_addr))
			return true;
		setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &off, sizeof off);
	} else {
		if (addr.v4.sin_addr.s_addr == htonl(INADDR_ANY))
			return true;
		setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &off, sizeof off);
	}
	return false;
}

struct udp *udp_new(struct event_base *base, int fd, struct answer *answer, const struct serve_settings_box *settings)
{
	struct udp *udp = calloc(1, sizeof *udp);

	if (!udp) {
		close(fd);
		return NULL;
	}
	udp->fd = fd;
	udp->any_address = is_any_address(fd);
	udp->answer = answer;
	udp->settings = settings;
	prepare(udp);
	event_assign(&udp->readable, base, fd, EV_READ | EV_PERSIST, on_readable, udp);
	event_add(&udp->readable, NULL);
	return udp;
}

void udp_free(struct udp *udp)
{
	if (!udp)
		return;
	event_del(&udp->readable);
	close(udp->fd);
	free(udp);
}
