#include "base/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

/* Of an accepted connection, octets that the kernel keeps for the client to make room for. */
enum { UNSENT_MAX = 64 << 10 };

static bool parse_port(const char *text, uint16_t *port)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || value < 1 || value > 65535)
		return false;
	*port = (uint16_t)value;
	return true;
}

static bool parse_v6(struct net_addr *addr, char *host)
{
	char *scope = strchr(host, '%');

	if (scope)
		*scope++ = 0;
	if (inet_pton(AF_INET6, host, &addr->v6.sin6_addr) != 1)
		return false;
	if (scope && !(addr->v6.sin6_scope_id = if_nametoindex(scope)))
		return false;
	addr->v6.sin6_family = AF_INET6;
	return true;
}

enum err net_addr_parse(struct net_addr *addr, const char *text, uint16_t default_port, struct why *why)
{
	char host[NET_ADDR_TEXT];
	const char *at = strchr(text, '@');
	size_t length = at ? (size_t)(at - text) : strlen(text);
	uint16_t port = default_port;

	memset(addr, 0, sizeof *addr);
	if (length >= sizeof host)
		return err_why(why, ERR_SYNTAX, "\"%.60s...\" is not an address", text);
	memcpy(host, text, length);
	host[length] = 0;
	if (at && !parse_port(at + 1, &port))
		return err_why(why, ERR_SYNTAX, "\"%.100s\": the port after '@' must be a number from 1 to 65535", text);
	if (inet_pton(AF_INET, host, &addr->v4.sin_addr) == 1)
		addr->v4.sin_family = AF_INET;
	else if (!parse_v6(addr, host))
		return err_why(why, ERR_SYNTAX, "\"%.100s\" is not an IPv4 or IPv6 address (ADDRESS[@PORT])", text);
	net_set_port(addr, port);
	return ERR_OK;
}

const char *net_addr_text(const struct net_addr *addr, uint16_t hide_port, char out[NET_ADDR_TEXT])
{
	char host[INET6_ADDRSTRLEN] = "?";
	char scope[IF_NAMESIZE + 1] = "";
	uint16_t port = net_port(addr);

	if (addr->sa.sa_family == AF_INET)
		inet_ntop(AF_INET, &addr->v4.sin_addr, host, sizeof host);
	else if (addr->sa.sa_family == AF_INET6)
		inet_ntop(AF_INET6, &addr->v6.sin6_addr, host, sizeof host);
	if (addr->sa.sa_family == AF_INET6 && addr->v6.sin6_scope_id) {
		scope[0] = '%';
		if (!if_indextoname(addr->v6.sin6_scope_id, scope + 1))
			scope[0] = 0;
	}
	if (port == hide_port)
		snprintf(out, NET_ADDR_TEXT, "%s%s", host, scope);
	else
		snprintf(out, NET_ADDR_TEXT, "%s%s@%u", host, scope, port);
	return out;
}

struct net_addr net_addr_of(const struct sockaddr *sa)
{
	struct net_addr addr;

	memset(&addr, 0, sizeof addr);
	if (sa->sa_family == AF_INET) {
		memcpy(&addr.v4, sa, sizeof addr.v4);
	} else if (sa->sa_family == AF_INET6) {
		memcpy(&addr.v6, sa, sizeof addr.v6);
		if (IN6_IS_ADDR_V4MAPPED(&addr.v6.sin6_addr)) {
			struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = addr.v6.sin6_port};

			memcpy(&v4.sin_addr, &addr.v6.sin6_addr.s6_addr[12], 4);
			memset(&addr, 0, sizeof addr);
			addr.v4 = v4;
		}
	}
	return addr;
}

socklen_t net_addr_len(const struct net_addr *addr)
{
	return addr->sa.sa_family == AF_INET6 ? sizeof addr->v6 : sizeof addr->v4;
}

uint16_t net_port(const struct net_addr *addr)
{
	return ntohs(addr->sa.sa_family == AF_INET6 ? addr->v6.sin6_port : addr->v4.sin_port);
}

void net_set_port(struct net_addr *addr, uint16_t port)
{
	if (addr->sa.sa_family == AF_INET6)
		addr->v6.sin6_port = htons(port);
	else
		addr->v4.sin_port = htons(port);
}

static const uint8_t *host_bytes(const struct net_addr *addr, size_t *n)
{
	if (addr->sa.sa_family == AF_INET6) {
		*n = 16;
		return addr->v6.sin6_addr.s6_addr;
	}
	*n = 4;
	return (const uint8_t *)&addr->v4.sin_addr;
}

bool net_host_equal(const struct net_addr *a, const struct net_addr *b)
{
	size_t na, nb;
	const uint8_t *pa = host_bytes(a, &na), *pb = host_bytes(b, &nb);

	return a->sa.sa_family == b->sa.sa_family && memcmp(pa, pb, na) == 0;
}

bool net_addr_equal(const struct net_addr *a, const struct net_addr *b)
{
	return net_host_equal(a, b) && net_port(a) == net_port(b);
}

static bool tail_is_zero(const struct net_prefix *prefix, size_t bytes)
{
	for (size_t bit = prefix->bits; bit < bytes * 8; bit++)
		if (prefix->bytes[bit / 8] & 0x80 >> bit % 8)
			return false;
	return true;
}

enum err net_prefix_parse(struct net_prefix *prefix, const char *text, struct why *why)
{
	const char *slash = strchr(text, '/');
	size_t length = slash ? (size_t)(slash - text) : strlen(text), bytes;
	struct net_addr addr;
	char host[NET_ADDR_TEXT], *end;
	unsigned long bits;

	memset(prefix, 0, sizeof *prefix);
	if (length >= sizeof host)
		return err_why(why, ERR_SYNTAX, "\"%.60s...\" is not an address or prefix", text);
	memcpy(host, text, length);
	host[length] = 0;
	if (strchr(host, '@') || net_addr_parse(&addr, host, 53, NULL))
		return err_why(why, ERR_SYNTAX, "\"%.100s\" is not an address or prefix (ADDRESS[/LENGTH])", text);
	prefix->family = addr.sa.sa_family;
	memcpy(prefix->bytes, host_bytes(&addr, &bytes), prefix->family == AF_INET ? 4 : 16);
	bytes = prefix->family == AF_INET ? 4 : 16;
	bits = bytes * 8;
	if (slash) {
		bits = strtoul(slash + 1, &end, 10);
		if (slash[1] < '0' || slash[1] > '9' || *end || bits > bytes * 8)
			return err_why(why, ERR_SYNTAX, "\"%.100s\": the prefix length must be 0 to %zu", text, bytes * 8);
	}
	prefix->bits = (uint8_t)bits;
	if (!tail_is_zero(prefix, bytes))
		return err_why(why, ERR_SYNTAX, "\"%.100s\" has bits set beyond its prefix length", text);
	return ERR_OK;
}

bool net_prefix_has(const struct net_prefix *prefix, const struct net_addr *addr)
{
	size_t n;
	const uint8_t *host = host_bytes(addr, &n);
	size_t whole = prefix->bits / 8, rest = prefix->bits % 8;

	if (prefix->family != addr->sa.sa_family || memcmp(prefix->bytes, host, whole) != 0)
		return false;
	return !rest || !((prefix->bytes[whole] ^ host[whole]) >> (8 - rest));
}

static int fail(int fd, const struct net_addr *addr, const char *doing, struct why *why)
{
	char text[NET_ADDR_TEXT];
	int number = errno;

	if (fd >= 0)
		close(fd);
	err_why(why, ERR_NETWORK, "%s: %s: %s", net_addr_text(addr, 0, text), doing, strerror(number));
	errno = number;
	return -1;
}

static int set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof value);
}

static int open_socket(const struct net_addr *addr, int type)
{
	return socket(addr->sa.sa_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

enum err net_port_free(const struct net_addr *addr, int type, struct why *why)
{
	int fd = open_socket(addr, type);

	if (fd < 0)
		return fail(fd, addr, "socket", why), ERR_NETWORK;
	if (type == SOCK_STREAM)
		set(fd, SOL_SOCKET, SO_REUSEADDR, 1);    /* connections that have ended are not in the way */
	if (addr->sa.sa_family == AF_INET6)
		set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (bind(fd, &addr->sa, net_addr_len(addr)) < 0)
		return fail(fd, addr, "bind", why), ERR_NETWORK;
	close(fd);
	return ERR_OK;
}

int net_listen_udp(const struct net_addr *addr, struct why *why)
{
	int fd = open_socket(addr, SOCK_DGRAM);
	bool v6 = addr->sa.sa_family == AF_INET6;

	if (fd < 0)
		return fail(fd, addr, "socket", why);
	set(fd, SOL_SOCKET, SO_RCVBUF, 4 << 20);
	set(fd, SOL_SOCKET, SO_SNDBUF, 4 << 20);
	if (set(fd, SOL_SOCKET, SO_REUSEPORT, 1) < 0)
		return fail(fd, addr, "SO_REUSEPORT", why);
	if (v6) {
		set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_OMIT);
		if (set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) < 0 || set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) < 0)
			return fail(fd, addr, "setsockopt", why);
	} else {
		set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_OMIT);
		if (set(fd, IPPROTO_IP, IP_PKTINFO, 1) < 0)
			return fail(fd, addr, "setsockopt", why);
	}
	if (bind(fd, &addr->sa, net_addr_len(addr)) < 0)
		return fail(fd, addr, "bind", why);
	return fd;
}

int net_listen_tcp(const struct net_addr *addr, struct why *why)
{
	int fd = open_socket(addr, SOCK_STREAM);

	if (fd < 0)
		return fail(fd, addr, "socket", why);
	if (set(fd, SOL_SOCKET, SO_REUSEADDR, 1) < 0 || set(fd, SOL_SOCKET, SO_REUSEPORT, 1) < 0)
		return fail(fd, addr, "setsockopt", why);
	if (addr->sa.sa_family == AF_INET6 && set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) < 0)
		return fail(fd, addr, "IPV6_V6ONLY", why);
	if (bind(fd, &addr->sa, net_addr_len(addr)) < 0)
		return fail(fd, addr, "bind", why);
	set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, UNSENT_MAX);
	if (listen(fd, 511) < 0)
		return fail(fd, addr, "listen", why);
	return fd;
}

int net_connect_udp(const struct net_addr *to, struct why *why)
{
	int fd = open_socket(to, SOCK_DGRAM);

	if (fd < 0)
		return fail(fd, to, "socket", why);
	if (connect(fd, &to->sa, net_addr_len(to)) < 0)
		return fail(fd, to, "connect", why);
	return fd;
}

int net_open_udp(const struct net_addr *to, struct why *why)
{
	int fd = open_socket(to, SOCK_DGRAM);

	if (fd < 0)
		return fail(fd, to, "socket", why);
	if (to->sa.sa_family == AF_INET6)
		set(fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
	else
		set(fd, IPPROTO_IP, IP_RECVERR, 1);
	return fd;
}

void net_drain_errors(int fd)
{
	char packet[64];             /* the beginning of what we sent, of no use */

	while (recv(fd, packet, sizeof packet, MSG_ERRQUEUE) >= 0)
		continue;
}

int net_connect_tcp(const struct net_addr *to, struct why *why)
{
	int fd = open_socket(to, SOCK_STREAM);

	if (fd < 0)
		return fail(fd, to, "socket", why);
	set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	if (connect(fd, &to->sa, net_addr_len(to)) < 0 && errno != EINPROGRESS)
		return fail(fd, to, "connect", why);
	return fd;
}

static void from_kernel(void *bytes, size_t n)
{
	uint8_t *at = bytes;

	while (n) {
		ssize_t got = getrandom(at, n, 0);

		if (got > 0) {
			at += got;
			n -= (size_t)got;
		}
	}
}

/* Small numbers come from a store of the thread's own; what is given is gone from it. */
void net_random(void *bytes, size_t n)
{
	static __thread uint8_t store[256];
	static __thread size_t left;

	if (n > sizeof store) {
		from_kernel(bytes, n);
		return;
	}
	if (left < n) {
		from_kernel(store, sizeof store);
		left = sizeof store;
	}
	left -= n;
	memcpy(bytes, store + left, n);
	explicit_bzero(store + left, n);
}

uint32_t net_random32(void)
{
	uint32_t value;

	net_random(&value, sizeof value);
	return value;
}
