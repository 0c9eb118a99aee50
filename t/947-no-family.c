/* Runs a program that cannot have sockets of some address families, as on a kernel without them, or under systemd's
 * RestrictAddressFamilies: t/947-no-family inet6[,inet] PROGRAM [ARGUMENT]...
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define UNLESS_SKIP(value, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, skip)
#define GIVE(action) BPF_STMT(BPF_RET | BPF_K, action)

static int without(unsigned family)
{
	struct sock_filter filter[] = {
		LOAD(nr), UNLESS_SKIP(SYS_socket, 3),
		LOAD(args[0]), UNLESS_SKIP(family, 1),
		GIVE(SECCOMP_RET_ERRNO | EAFNOSUPPORT),
		GIVE(SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof filter / sizeof *filter, filter};

	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

int main(int argc, char *argv[])
{
	if (argc < 3) {
		fprintf(stderr, "usage: 947-no-family inet6[,inet] PROGRAM [ARGUMENT]...\n");
		return 2;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || without(AF_INET6) < 0 || (strstr(argv[1], ",inet") && without(AF_INET) < 0)) {
		perror("947-no-family");
		return 77;
	}
	execv(argv[2], argv + 2);
	perror(argv[2]);
	return 127;
}
