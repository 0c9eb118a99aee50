/* The limit of any UDP server: takes packets by recvmmsg, sets QR, gives them back by sendmmsg.
 *
 *     echo PORT
 *
 * On 127.0.0.1, one thread, until it is ended, ten minutes at most.
 */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BATCH = 64, PACKET = 1500, LIFETIME = 600 };

static uint8_t packets[BATCH][PACKET];
static struct sockaddr_in from[BATCH];
static struct iovec parts[BATCH];
static struct mmsghdr messages[BATCH];

static void serve(int fd)
{
	for (;;) {
		int n, sent = 0;

		for (unsigned i = 0; i < BATCH; i++) {
			parts[i] = (struct iovec){packets[i], PACKET};
			messages[i].msg_hdr = (struct msghdr){.msg_name = &from[i], .msg_namelen = sizeof from[i],
				.msg_iov = &parts[i], .msg_iovlen = 1};
		}
		n = recvmmsg(fd, messages, BATCH, MSG_WAITFORONE, NULL);
		if (n <= 0)
			continue;
		for (int i = 0; i < n; i++) {
			packets[i][2] |= 0x80;
			parts[i].iov_len = messages[i].msg_len;
		}
		while (sent < n) {
			int done = sendmmsg(fd, messages + sent, (unsigned)(n - sent), 0);

			sent += done > 0 ? done : 1;    /* one that is not taken is lost, as a packet is */
		}
	}
}

int main(int argc, char *argv[])
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_DGRAM, 0), room = 4 << 20;

	if (argc != 2 || atoi(argv[1]) <= 0) {
		fprintf(stderr, "usage: echo PORT\n");
		return 2;
	}
	at.sin_port = htons((uint16_t)atoi(argv[1]));
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room) < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) < 0) {
		perror("echo");
		return 1;
	}
	alarm(LIFETIME);
	serve(fd);
	return 0;
}
