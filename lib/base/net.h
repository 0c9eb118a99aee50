/* base/net: addresses, prefixes and sockets. Knows no DNS but the port's default,
 * which the caller gives. Pure but for the functions that open sockets.
 */
#ifndef BASE_NET_H
#define BASE_NET_H

#include "base/err.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* An IPv4 or IPv6 address with a port (host order: net_port). family AF_UNSPEC: none. */
struct net_addr {
	union {
		struct sockaddr sa;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	};
};

#define NET_ADDR_TEXT 80   /* enough for "ADDRESS@PORT" with a scope */

/* "192.0.2.1", "192.0.2.1@5300", "2001:db8::1@53", "fe80::1%eth0". ERR_SYNTAX. */
enum err net_addr_parse(struct net_addr *, const char *text, uint16_t default_port, struct why *);
/* "ADDRESS@PORT"; without the port if it equals `hide_port`. Returns `out`. */
const char *net_addr_text(const struct net_addr *, uint16_t hide_port, char out[NET_ADDR_TEXT]);
/* From the kernel: v4-mapped IPv6 becomes IPv4. */
struct net_addr net_addr_of(const struct sockaddr *);
socklen_t net_addr_len(const struct net_addr *);
uint16_t net_port(const struct net_addr *);
void net_set_port(struct net_addr *, uint16_t);
bool net_addr_equal(const struct net_addr *, const struct net_addr *);   /* with the port */
bool net_host_equal(const struct net_addr *, const struct net_addr *);   /* without it */

/* "192.0.2.0/24", "2001:db8::/32", or one address. Bits beyond the length must be zero. */
struct net_prefix {
	sa_family_t family;
	uint8_t bits;
	uint8_t bytes[16];
};
enum err net_prefix_parse(struct net_prefix *, const char *text, struct why *);
bool net_prefix_has(const struct net_prefix *, const struct net_addr *);

/* Sockets, non-blocking and close-on-exec. On failure -1 and `why` ("ADDRESS@PORT: bind: ...").
 * UDP listeners report the address that was asked (IP_PKTINFO, IPV6_RECVPKTINFO), may share
 * the port among threads (SO_REUSEPORT), and never fragment on path MTU rumours
 * (IP_MTU_DISCOVER = OMIT). IPv6 sockets are IPv6 only. What TCP listeners accept sends without delay, and keeps 64 KB, no
 * more, for a client that does not read. */
/* Before the first listener on a port (`type`: SOCK_DGRAM, SOCK_STREAM): ERR_NETWORK if another process has it, which SO_REUSEPORT
 * would hide; errno as of bind. */
enum err net_port_free(const struct net_addr *, int type, struct why *);
int net_listen_udp(const struct net_addr *, struct why *);
int net_listen_tcp(const struct net_addr *, struct why *);
/* Bound to a random port that the kernel picks, connected, so that only the peer's packets come. */
int net_connect_udp(const struct net_addr *to, struct why *);
/* Not connected: what comes to its port is read, from wherever; the port is random, picked by the kernel with the first packet that is
 * sent. ICMP errors are reported (IP_RECVERR) and must be taken with net_drain_errors. For the address family of `to`. */
int net_open_udp(const struct net_addr *to, struct why *);
void net_drain_errors(int fd);
/* Begins to connect: EINPROGRESS is success. */
int net_connect_tcp(const struct net_addr *to, struct why *);

/* Random bytes from the kernel (getrandom), each given once. A child of fork must not go on with it: it would give the same. */
void net_random(void *bytes, size_t n);
uint32_t net_random32(void);

#endif
