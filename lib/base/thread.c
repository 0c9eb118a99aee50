#include "base/thread.h"

#include <linux/sched.h>
#include <linux/sched/types.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SLICE_NS = 100000, GIVE_WAY = 10 };

void thread_answers(void)
{
	struct sched_attr attr = {.size = sizeof attr};

	if (syscall(SYS_sched_getattr, 0, &attr, sizeof attr, 0) < 0 || attr.sched_policy != SCHED_NORMAL)
		return;
	attr.sched_runtime = SLICE_NS;
	attr.sched_deadline = attr.sched_period = 0;
	if (syscall(SYS_sched_setattr, 0, &attr, 0) < 0)
		return;              /* as before */
}

/* For Linux a thread's own niceness is what POSIX says of a process (setpriority(2), NOTES). */
void thread_gives_way(void)
{
	setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + GIVE_WAY);
}
