#include "serve/udp.h"

#include "base/clock.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	REQUEST = 1024,              /* octets of a request that lie beside the others' */
	BATCH = 64,                  /* requests of one recvmmsg */
	BATCHES_MAX = 8,             /* of one wake-up, before the loop sees to other sockets */
	SEND_WAIT_MS = 10,           /* for room in the socket's buffer, once a batch; then the rest is dropped */
};

/* Few lines of the cache would serve them all if packets lay a multiple of 4 KB apart. */
struct packet {
	uint8_t request[REQUEST];
	uint8_t response[ANSWER_UDP_MAX];
	uint8_t apart[5 * 64];
};

union control {
	struct cmsghdr align;
	uint8_t bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

/* A longer request goes on in a page of its own, behind room for what came before. */
struct long_request {
	uint8_t bytes[MSG_MAX + 1];
};

struct udp_batch {
	struct long_request *longer;
	struct mmsghdr in[BATCH], out[BATCH];
	struct iovec in_bytes[BATCH][2], out_bytes[BATCH];
	struct net_addr from[BATCH];
	union control control[BATCH];
	struct answer_request request[BATCH];
	struct answer_work work[BATCH];
	struct packet packet[BATCH];
};

struct udp {
	struct event readable;
	int fd;
	bool any_address;            /* bound to no address of its own: each packet says which one was asked */
	struct answer *answer;
	const struct serve_settings_box *settings;
	struct udp_batch *batch;
};
_Static_assert((int)BATCH <= (int)TREE_AHEAD_MAX, "a batch is looked up together");

const struct serve_settings *serve_settings_get(const struct serve_settings_box *box)
{
	return __atomic_load_n(&box->current, __ATOMIC_ACQUIRE);
}

/* --- in --------------------------------------------------------------------------------- */

/* In one huge page, if the kernel has one: else the packets alone would take a good part of the processor's TLB from the zones. */
struct udp_batch *udp_batch_new(void)
{
	enum { HUGE_PAGE = 2 << 20 };
	size_t size = (sizeof(struct udp_batch) + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
	struct udp_batch *b = aligned_alloc(HUGE_PAGE, size);

	if (!b)
		return NULL;
	madvise(b, size, MADV_HUGEPAGE);
	memset(b, 0, sizeof *b);
	b->longer = calloc(BATCH, sizeof *b->longer);
	if (!b->longer) {
		free(b);
		return NULL;
	}
	for (unsigned i = 0; i < BATCH; i++) {
		b->in_bytes[i][0] = (struct iovec){b->packet[i].request, REQUEST};
		b->in_bytes[i][1] = (struct iovec){b->longer[i].bytes + REQUEST, MSG_MAX - REQUEST};
		b->in[i].msg_hdr = (struct msghdr){.msg_name = &b->from[i], .msg_iov = b->in_bytes[i], .msg_iovlen = 2};
		b->out[i].msg_hdr = (struct msghdr){.msg_iov = &b->out_bytes[i], .msg_iovlen = 1};
	}
	return b;
}

void udp_batch_free(struct udp_batch *b)
{
	if (b)
		free(b->longer);
	free(b);
}

static const uint8_t *request_of(struct udp_batch *b, unsigned i)
{
	if (b->in[i].msg_len <= REQUEST)
		return b->packet[i].request;
	memcpy(b->longer[i].bytes, b->packet[i].request, REQUEST);
	return b->longer[i].bytes;
}

static int receive(struct udp *udp)
{
	struct udp_batch *b = udp->batch;

	for (unsigned i = 0; i < BATCH; i++) {
		struct msghdr *hdr = &b->in[i].msg_hdr;

		hdr->msg_namelen = sizeof b->from[i];
		hdr->msg_control = udp->any_address ? &b->control[i] : NULL;
		hdr->msg_controllen = udp->any_address ? sizeof b->control[i] : 0;
	}
	return recvmmsg(udp->fd, b->in, BATCH, MSG_DONTWAIT, NULL);
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
	struct udp_batch *b = udp->batch;
	struct msghdr *in = &b->in[request].msg_hdr, *out = &b->out[to].msg_hdr;

	b->out_bytes[to] = (struct iovec){b->packet[request].response, length};
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
		int n = sendmmsg(udp->fd, udp->batch->out + done, count - done, 0);

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
	struct udp_batch *b = udp->batch;
	uint64_t now = clock_unix();
	int64_t now_ms = clock_coarse_ms();
	unsigned responses = 0;
	size_t length;

	for (unsigned i = 0; i < count; i++) {
		b->request[i] = (struct answer_request){
			.bytes = request_of(b, i), .length = b->in[i].msg_len, .from = b->from[i], .now = now, .now_ms = now_ms,
		};
		answer_read(&b->work[i], &b->request[i]);
	}
	store_enter();
	settings = serve_settings_get(udp->settings);
	answer_find(udp->answer, settings, b->work, count);
	for (unsigned i = 0; i < count; i++) {
		if (net_port(&b->from[i]) == 0)
			udp->answer->counters->dropped++;       /* nothing can be sent there */
		else if (answer_reply(udp->answer, settings, &b->request[i], &b->work[i], b->packet[i].response, &length, NULL) ==
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

struct udp *udp_new(struct event_base *base, struct udp_batch *batch, int fd, struct answer *answer, const struct serve_settings_box *settings)
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
	udp->batch = batch;
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
