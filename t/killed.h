/* For the tests of what is there after a kill: a process that is killed in the middle of its work. */
#ifndef T_KILLED_H
#define T_KILLED_H

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* Has a child do `work`, which never ends and writes the number of each thing that it has done, a uint32_t from 0 on, to the
 * pipe; kills it after `many` of them. How many it had told of by then: one more may be done. */
static inline uint32_t killed_after(unsigned many, void (*work)(int pipe))
{
	uint32_t told = 0, n;
	int end[2];
	pid_t pid;

	assert_int_equal(pipe(end), 0);
	pid = fork();
	if (pid == 0) {
		work(end[1]);
		_exit(0);
	}
	close(end[1]);
	for (unsigned i = 0; i < many && read(end[0], &n, sizeof n) == sizeof n; i++)
		told = n + 1;
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	while (read(end[0], &n, sizeof n) == sizeof n)
		told = n + 1;
	close(end[0]);
	return told;
}

#endif
