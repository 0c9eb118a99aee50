/* A library to be preloaded (LD_PRELOAD) into lockstepd, by which a disk fails as a test wants it (t/lib/Faults.pm). The rules are lines of
 * the file that LOCKSTEP_FAULTS names, which may be replaced at any time:
 *
 *     CALL PATTERN NTH WHAT            sync *lockstep.db-wal 3+ EIO
 *
 * CALL is open (to write), read, write, sync, rename, truncate, unlink, mkdir, or any of them: `any`. PATTERN is a shell's pattern for the path
 * (rename: the new one). NTH counts the matching calls since the rules were read; N+ means this one and all after it. WHAT is an error (EIO,
 * ENOSPC, EROFS, EACCES, EDQUOT, EMFILE), KILL (the process ends before the call is made, as by kill -9), or TORN (half of what is
 * written is, then it ends). What came about is appended to FILE.fired.
 *
 * Built without the sanitizers: AddressSanitizer's own library then comes second in the order of libraries, which it takes if ASAN_OPTIONS
 * says verify_asan_link_order=0; its wrappers are found behind ours by RTLD_NEXT.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { RULES = 16, DIES = -1, TORN = -2 };

static struct rule {
	char call[12], pattern[400], word[12];
	unsigned long nth, seen;
	bool on;                     /* this one and all after it */
	int what;                    /* an errno, DIES or TORN */
} rules[RULES];
static unsigned rule_count;
static struct stat rules_as;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static const struct { const char *word; int what; } words[] = {
	{"EIO", EIO}, {"ENOSPC", ENOSPC}, {"EROFS", EROFS}, {"EACCES", EACCES}, {"EDQUOT", EDQUOT}, {"EMFILE", EMFILE}, {"KILL", DIES},
	{"TORN", TORN},
};

/* The next function of this name behind ours. */
#define REAL(name) static __typeof__(name) *real; if (!real) *(void **)&real = dlsym(RTLD_NEXT, #name)

static int what_of(const char *word)
{
	for (unsigned i = 0; i < sizeof words / sizeof *words; i++)
		if (strcmp(words[i].word, word) == 0)
			return words[i].what;
	fprintf(stderr, "faults: what is \"%s\"?\n", word);
	_exit(99);
}

static void read_rules(const char *path)
{
	static char text[8192];
	int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
	long length = fd >= 0 ? syscall(SYS_read, fd, text, sizeof text - 1) : 0;
	char *rest = text;

	if (fd >= 0)
		syscall(SYS_close, fd);
	text[length > 0 ? length : 0] = 0;
	rule_count = 0;
	for (char *line; (line = strsep(&rest, "\n")) && rule_count < RULES;) {
		struct rule *r = &rules[rule_count];
		char nth[24];

		*r = (struct rule){0};
		if (sscanf(line, "%11s %399s %23s %11s", r->call, r->pattern, nth, r->word) != 4)
			continue;
		r->nth = strtoul(nth, NULL, 10);
		r->on = strchr(nth, '+') != NULL;
		r->what = what_of(r->word);
		rule_count++;
	}
}

static bool rules_are_new(const char *path)
{
	struct stat now = {0};

	if (syscall(SYS_newfstatat, AT_FDCWD, path, &now, 0) < 0)
		now = (struct stat){0};
	if (now.st_ino == rules_as.st_ino && now.st_mtim.tv_sec == rules_as.st_mtim.tv_sec && now.st_mtim.tv_nsec == rules_as.st_mtim.tv_nsec)
		return false;
	rules_as = now;
	return true;
}

static void say(const char *rules_path, const struct rule *r, const char *call, const char *path)
{
	char line[5000], file[4200];
	int fd, length = snprintf(line, sizeof line, "%s %s %lu %s\n", call, path, r->seen, r->word);

	snprintf(file, sizeof file, "%s.fired", rules_path);
	fd = (int)syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return;
	syscall(SYS_write, fd, line, (size_t)length);
	syscall(SYS_close, fd);
}

/* 0: the call goes on; TORN; or the errno to fail with. */
static int verdict(const char *call, const char *path)
{
	const char *rules_path = getenv("LOCKSTEP_FAULTS");
	int what = 0;

	if (!rules_path || !path)
		return 0;
	pthread_mutex_lock(&lock);
	if (rules_are_new(rules_path))
		read_rules(rules_path);
	for (unsigned i = 0; i < rule_count && !what; i++) {
		struct rule *r = &rules[i];

		if ((strcmp(r->call, call) != 0 && strcmp(r->call, "any") != 0) || fnmatch(r->pattern, path, 0) != 0)
			continue;
		r->seen++;
		if (r->seen == r->nth || (r->on && r->seen > r->nth)) {
			what = r->what;
			say(rules_path, r, call, path);
		}
	}
	pthread_mutex_unlock(&lock);
	if (what == DIES || (what == TORN && strcmp(call, "write") != 0))
		raise(SIGKILL);
	return what;
}

static int verdict_fd(const char *call, int fd)
{
	char link[40], path[4096];
	ssize_t length;

	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	length = readlink(link, path, sizeof path - 1);
	if (length <= 0 || path[0] != '/')
		return 0;            /* a socket or the like */
	path[length] = 0;
	return verdict(call, path);
}

static bool fails(int what)
{
	if (what > 0)
		errno = what;
	return what > 0;
}

#define TAKE_MODE(mode, flags) \
	do { \
		if ((flags) & (O_CREAT | __O_TMPFILE)) { \
			va_list ap; \
			va_start(ap, flags); \
			mode = va_arg(ap, mode_t); \
			va_end(ap); \
		} \
	} while (0)

static bool open_fails(const char *path, int flags)
{
	return (flags & O_ACCMODE) != O_RDONLY && fails(verdict("open", path));
}

int open(const char *path, int flags, ...)
{
	mode_t mode = 0;

	REAL(open);
	TAKE_MODE(mode, flags);
	return open_fails(path, flags) ? -1 : real(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
	mode_t mode = 0;

	REAL(open64);
	TAKE_MODE(mode, flags);
	return open_fails(path, flags) ? -1 : real(path, flags, mode);
}

int __open_2(const char *path, int flags);
int __open_2(const char *path, int flags)
{
	REAL(__open_2);
	return open_fails(path, flags) ? -1 : real(path, flags);
}

int __open64_2(const char *path, int flags);
int __open64_2(const char *path, int flags)
{
	REAL(__open64_2);
	return open_fails(path, flags) ? -1 : real(path, flags);
}

int openat(int dir, const char *path, int flags, ...)
{
	mode_t mode = 0;

	REAL(openat);
	TAKE_MODE(mode, flags);
	return open_fails(path, flags) ? -1 : real(dir, path, flags, mode);
}

int mkostemp(char *path, int flags)
{
	REAL(mkostemp);
	return fails(verdict("open", path)) ? -1 : real(path, flags);
}

int mkostemp64(char *path, int flags)
{
	REAL(mkostemp64);
	return fails(verdict("open", path)) ? -1 : real(path, flags);
}

ssize_t read(int fd, void *bytes, size_t length)
{
	REAL(read);
	return fails(verdict_fd("read", fd)) ? -1 : real(fd, bytes, length);
}

ssize_t pread64(int fd, void *bytes, size_t length, off64_t at)
{
	REAL(pread64);
	return fails(verdict_fd("read", fd)) ? -1 : real(fd, bytes, length, at);
}

ssize_t write(int fd, const void *bytes, size_t length)
{
	int what = verdict_fd("write", fd);

	REAL(write);
	if (what == TORN) {
		real(fd, bytes, length / 2);
		raise(SIGKILL);
	}
	return fails(what) ? -1 : real(fd, bytes, length);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
	int what = verdict_fd("write", fd);

	REAL(writev);
	if (what == TORN) {
		real(fd, parts, count / 2);
		raise(SIGKILL);
	}
	return fails(what) ? -1 : real(fd, parts, count);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at)
{
	int what = verdict_fd("write", fd);

	REAL(pwrite);
	if (what == TORN) {
		real(fd, bytes, length / 2, at);
		raise(SIGKILL);
	}
	return fails(what) ? -1 : real(fd, bytes, length, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at)
{
	int what = verdict_fd("write", fd);

	REAL(pwrite64);
	if (what == TORN) {
		real(fd, bytes, length / 2, at);
		raise(SIGKILL);
	}
	return fails(what) ? -1 : real(fd, bytes, length, at);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
	int what = verdict_fd("write", fd);

	REAL(pwritev);
	if (what == TORN) {
		real(fd, parts, count / 2, at);
		raise(SIGKILL);
	}
	return fails(what) ? -1 : real(fd, parts, count, at);
}

int fsync(int fd)
{
	REAL(fsync);
	return fails(verdict_fd("sync", fd)) ? -1 : real(fd);
}

int fdatasync(int fd)
{
	REAL(fdatasync);
	return fails(verdict_fd("sync", fd)) ? -1 : real(fd);
}

int syncfs(int fd)
{
	REAL(syncfs);
	return fails(verdict_fd("sync", fd)) ? -1 : real(fd);
}

int rename(const char *from, const char *to)
{
	REAL(rename);
	return fails(verdict("rename", to)) ? -1 : real(from, to);
}

int ftruncate(int fd, off_t length)
{
	REAL(ftruncate);
	return fails(verdict_fd("truncate", fd)) ? -1 : real(fd, length);
}

int ftruncate64(int fd, off64_t length)
{
	REAL(ftruncate64);
	return fails(verdict_fd("truncate", fd)) ? -1 : real(fd, length);
}

int unlink(const char *path)
{
	REAL(unlink);
	return fails(verdict("unlink", path)) ? -1 : real(path);
}

int mkdir(const char *path, mode_t mode)
{
	REAL(mkdir);
	return fails(verdict("mkdir", path)) ? -1 : real(path, mode);
}
