/* base/thread: what the threads of this process are to each other where there are more of them than processors. Both are wishes: a kernel
 * that does not know them, or forbids them, changes nothing. The calling thread.
 */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

/* It has little to do at a time, and somebody waits for it: it runs as soon as it can, for a short time (Linux 6.12 and later). */
void thread_answers(void);
/* Its work can wait: others come first. */
void thread_gives_way(void);

#endif
