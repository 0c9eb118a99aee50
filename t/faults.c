/* A library to be preloaded (LD_PRELOAD) into lockstepd, by which a disk fails as a test wants it (t/lib/Faults.pm). The rules are lines of
 * the file that LOCKSTEP_FAULTS names, which may be replaced at any time:
 *
 *     CALL PATTERN NTH WHAT            sync *lockstep.db-wal 3+ EIO
 *
 * CALL is open (to write), read, write, sync, rename, truncate, unlink, mkdir, or any of them: `any`. PATTERN is a shell's pattern for the path
 * (rename: the new one). NTH counts the matching calls since the rules were read; N+ means this one and all after it. WHAT is an error (EIO,
 * ENOSPC, EROFS, EACCES, EDQUOT, EMFILE), KILL (the process ends before the call is made, as by kill -9), TORN (half of what is
 * written is, then it ends), or WAIT (the call is made when no rule says so any more). What came about is appended to FILE.fired.
 *
 *     clock SECONDS                    clock -86400
 *
 * The clock that can be set, not the monotonic one, is so many seconds ahead as long as the rule is there.
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
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { RULES = 16, DIES = -1, TORN = -2, WAITS = -3 };

static struct rule {
	char call[12], pattern[400], word[12];
	unsigned long nth, seen;
	bool on;                     /* this one and all after it */
	int what;                    /* an errno, DIES or TORN */
} rules[RULES];
static unsigned rule_count;
static long long clock_off;          /* seconds */
static struct stat rules_as;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static const struct { const char *word; int what; } words[] = {
	{"EIO", EIO}, {"ENOSPC", ENOSPC}, {"EROFS", EROFS}, {"EACCES", EACCES}, {"EDQUOT", EDQUOT}, {"EMFILE", EMFILE}, {"KILL", DIES},
	{"TORN", TORN}, {"WAIT", WAITS},
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
	clock_off = 0;
	for (char *line; (line = strsep(&rest, "\n")) && rule_count < RULES;) {
		struct rule *r = &rules[rule_count];
		char nth[24];

		if (sscanf(line, "clock %lld", &clock_off) == 1)
			continue;
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

/* --- the trace -------------------------------------------------------------------------- */

static pthread_mutex_t step = PTHREAD_MUTEX_INITIALIZER;
static int trace = -2;               /* -2: not opened yet, -1: none is wanted */
static unsigned long syncs;

static bool traced(const char *path)
{
	const char *dirs = getenv("LOCKSTEP_TRACED");

	while (dirs && *dirs) {
		size_t length = strcspn(dirs, ":");

		if (strncmp(path, dirs, length) == 0 && (path[length] == '/' || !path[length]))
			return true;
		dirs += length + (dirs[length] == ':');
	}
	return false;
}

static bool tracing(void)
{
	const char *path = getenv("LOCKSTEP_TRACE");

	if (trace == -2)
		trace = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644) : -1;
	return trace >= 0;
}

/* Whether it is one of the files; `end_step` follows if so. */
static bool begin_step(const char *path)
{
	if (!path || !traced(path) || !tracing())
		return false;
	pthread_mutex_lock(&step);
	return true;
}

static bool path_of(int fd, char path[static 4096])
{
	char link[40];
	ssize_t length;

	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	length = readlink(link, path, 4095);
	path[length > 0 ? length : 0] = 0;
	return length > 0 && path[0] == '/';         /* a socket or the like is none */
}

static bool begin_step_fd(int fd)
{
	char path[4096];

	return path_of(fd, path) && begin_step(path);
}

static void end_step(void)
{
	pthread_mutex_unlock(&step);
}

static unsigned long inode_of(int fd)
{
	struct stat st = {0};
	int number = errno;

	fstat(fd, &st);
	errno = number;
	return (unsigned long)st.st_ino;
}

static void put(const struct iovec *parts, int count)
{
	int number = errno;

	if (syscall(SYS_writev, trace, parts, count) < 0)
		_exit(98);
	errno = number;
}

__attribute__((format(printf, 1, 2))) static void note(const char *format, ...)
{
	char line[8400];
	va_list ap;
	int length;

	va_start(ap, format);
	length = vsnprintf(line, sizeof line, format, ap);
	va_end(ap);
	put(&(struct iovec){line, (size_t)length}, 1);
}

/* Of the parts as many octets as were written. */
static void note_written(int fd, off_t at, const struct iovec *parts, int count, ssize_t written)
{
	struct iovec all[count + 1];
	char line[100];
	size_t left = (size_t)written;

	if (written <= 0)
		return;
	all[0] = (struct iovec){line, (size_t)snprintf(line, sizeof line, "W %lu %lld %zd\n", inode_of(fd), (long long)at, written)};
	for (int i = 0; i < count; i++) {
		all[i + 1] = (struct iovec){parts[i].iov_base, parts[i].iov_len < left ? parts[i].iov_len : left};
		left -= all[i + 1].iov_len;
	}
	put(all, count + 1);
}

/* Where the next octet goes. */
static off_t place_in(int fd)
{
	return lseek(fd, 0, fcntl(fd, F_GETFL) & O_APPEND ? SEEK_END : SEEK_CUR);
}

static bool is_there(const char *path)
{
	struct stat st;
	int number = errno;
	bool there = lstat(path, &st) == 0;

	errno = number;
	return there;
}

static unsigned long begin_sync(int fd)
{
	unsigned long n = 0;

	if (begin_step_fd(fd)) {
		n = ++syncs;
		note("S %lu %lu\n", inode_of(fd), n);
		end_step();
	}
	return n;
}

static int end_sync(int fd, unsigned long n, int result)
{
	if (n && result == 0 && begin_step_fd(fd)) {
		note("D %lu %lu\n", inode_of(fd), n);
		end_step();
	}
	return result;
}

/* --- what is to fail -------------------------------------------------------------------- */

static bool is_about(const struct rule *r, const char *call, const char *path)
{
	return (strcmp(r->call, call) == 0 || strcmp(r->call, "any") == 0) && fnmatch(r->pattern, path, 0) == 0;
}

static bool has_to_wait(const char *rules_path, const char *call, const char *path)
{
	bool waits = false;

	pthread_mutex_lock(&lock);
	if (rules_are_new(rules_path))
		read_rules(rules_path);
	for (unsigned i = 0; i < rule_count; i++)
		waits |= rules[i].what == WAITS && is_about(&rules[i], call, path);
	pthread_mutex_unlock(&lock);
	return waits;
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

		if (!is_about(r, call, path))
			continue;
		r->seen++;
		if (r->seen == r->nth || (r->on && r->seen > r->nth)) {
			what = r->what;
			say(rules_path, r, call, path);
		}
	}
	pthread_mutex_unlock(&lock);
	while (what == WAITS && has_to_wait(rules_path, call, path))
		nanosleep(&(struct timespec){0, 2000000}, NULL);
	if (what == WAITS)
		what = 0;
	if (what == DIES || (what == TORN && strcmp(call, "write") != 0)) {
		pthread_mutex_lock(&step);
		raise(SIGKILL);
	}
	return what;
}

static int verdict_fd(const char *call, int fd)
{
	char path[4096];

	return path_of(fd, path) ? verdict(call, path) : 0;
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

/* After a file was opened, or not. */
static int opened(const char *path, int flags, bool was_there, int fd)
{
	if (fd >= 0 && !was_there)
		note("C %lu %s\n", inode_of(fd), path);
	else if (fd >= 0 && flags & O_TRUNC)
		note("T %lu 0\n", inode_of(fd));
	end_step();
	return fd;
}

#define OPEN(path, flags, how) \
	do { \
		bool was_there; \
		if (!((flags) & (O_CREAT | O_TRUNC)) || !begin_step(path)) \
			return how; \
		was_there = is_there(path); \
		return opened(path, flags, was_there, how); \
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
	if (open_fails(path, flags))
		return -1;
	OPEN(path, flags, real(path, flags, mode));
}

int open64(const char *path, int flags, ...)
{
	mode_t mode = 0;

	REAL(open64);
	TAKE_MODE(mode, flags);
	if (open_fails(path, flags))
		return -1;
	OPEN(path, flags, real(path, flags, mode));
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
	if (fails(verdict("open", path)))
		return -1;
	return begin_step(path) ? opened(path, flags, false, real(path, flags)) : real(path, flags);
}

int mkostemp64(char *path, int flags)
{
	REAL(mkostemp64);
	if (fails(verdict("open", path)))
		return -1;
	return begin_step(path) ? opened(path, flags, false, real(path, flags)) : real(path, flags);
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
	ssize_t done;
	off_t at;

	REAL(write);
	if (what == TORN) {
		real(fd, bytes, length / 2);
		raise(SIGKILL);
	}
	if (fails(what))
		return -1;
	if (!begin_step_fd(fd))
		return real(fd, bytes, length);
	at = place_in(fd);
	done = real(fd, bytes, length);
	note_written(fd, at, &(struct iovec){(void *)bytes, length}, 1, done);
	end_step();
	return done;
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
	int what = verdict_fd("write", fd);
	ssize_t done;
	off_t at;

	REAL(writev);
	if (what == TORN) {
		real(fd, parts, count / 2);
		raise(SIGKILL);
	}
	if (fails(what))
		return -1;
	if (!begin_step_fd(fd))
		return real(fd, parts, count);
	at = place_in(fd);
	done = real(fd, parts, count);
	note_written(fd, at, parts, count, done);
	end_step();
	return done;
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at)
{
	int what = verdict_fd("write", fd);
	ssize_t done;

	REAL(pwrite);
	if (what == TORN) {
		real(fd, bytes, length / 2, at);
		raise(SIGKILL);
	}
	if (fails(what))
		return -1;
	if (!begin_step_fd(fd))
		return real(fd, bytes, length, at);
	done = real(fd, bytes, length, at);
	note_written(fd, at, &(struct iovec){(void *)bytes, length}, 1, done);
	end_step();
	return done;
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at)
{
	int what = verdict_fd("write", fd);
	ssize_t done;

	REAL(pwrite64);
	if (what == TORN) {
		real(fd, bytes, length / 2, at);
		raise(SIGKILL);
	}
	if (fails(what))
		return -1;
	if (!begin_step_fd(fd))
		return real(fd, bytes, length, at);
	done = real(fd, bytes, length, at);
	note_written(fd, at, &(struct iovec){(void *)bytes, length}, 1, done);
	end_step();
	return done;
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
	int what = verdict_fd("write", fd);
	ssize_t done;

	REAL(pwritev);
	if (what == TORN) {
		real(fd, parts, count / 2, at);
		raise(SIGKILL);
	}
	if (fails(what))
		return -1;
	if (!begin_step_fd(fd))
		return real(fd, parts, count, at);
	done = real(fd, parts, count, at);
	note_written(fd, at, parts, count, done);
	end_step();
	return done;
}

int fsync(int fd)
{
	unsigned long n;

	REAL(fsync);
	if (fails(verdict_fd("sync", fd)))
		return -1;
	n = begin_sync(fd);
	return end_sync(fd, n, real(fd));
}

int fdatasync(int fd)
{
	unsigned long n;

	REAL(fdatasync);
	if (fails(verdict_fd("sync", fd)))
		return -1;
	n = begin_sync(fd);
	return end_sync(fd, n, real(fd));
}

int syncfs(int fd)
{
	REAL(syncfs);
	return fails(verdict_fd("sync", fd)) ? -1 : real(fd);
}

int rename(const char *from, const char *to)
{
	int result;

	REAL(rename);
	if (fails(verdict("rename", to)))
		return -1;
	if (!begin_step(to))
		return real(from, to);
	result = real(from, to);
	if (result == 0)
		note("R %s %s\n", from, to);
	end_step();
	return result;
}

int ftruncate(int fd, off_t length)
{
	int result;

	REAL(ftruncate);
	if (fails(verdict_fd("truncate", fd)))
		return -1;
	if (!begin_step_fd(fd))
		return real(fd, length);
	result = real(fd, length);
	if (result == 0)
		note("T %lu %lld\n", inode_of(fd), (long long)length);
	end_step();
	return result;
}

int ftruncate64(int fd, off64_t length)
{
	REAL(ftruncate64);
	return fails(verdict_fd("truncate", fd)) ? -1 : real(fd, length);
}

int unlink(const char *path)
{
	int result;

	REAL(unlink);
	if (fails(verdict("unlink", path)))
		return -1;
	if (!begin_step(path))
		return real(path);
	result = real(path);
	if (result == 0)
		note("U %s\n", path);
	end_step();
	return result;
}

int unlinkat(int dir, const char *name, int flags)
{
	char path[4096] = "", whole[8200];
	int result;

	REAL(unlinkat);
	if (dir == AT_FDCWD || !path_of(dir, path))
		return real(dir, name, flags);
	snprintf(whole, sizeof whole, "%s/%s", path, name);
	if (fails(verdict("unlink", whole)))
		return -1;
	if (!begin_step(whole))
		return real(dir, name, flags);
	result = real(dir, name, flags);
	if (result == 0)
		note("U %s\n", whole);
	end_step();
	return result;
}

int mkdir(const char *path, mode_t mode)
{
	struct stat st;
	int result;

	REAL(mkdir);
	if (fails(verdict("mkdir", path)))
		return -1;
	if (!begin_step(path))
		return real(path, mode);
	result = real(path, mode);
	if (result == 0 && lstat(path, &st) == 0)
		note("M %lu %s\n", (unsigned long)st.st_ino, path);
	end_step();
	return result;
}

static void mapped(int protection, int flags, int fd)
{
	char path[4096];

	if (fd < 0 || !(protection & PROT_WRITE) || !(flags & MAP_SHARED) || !path_of(fd, path) || !begin_step(path))
		return;
	note("X %s\n", path);
	end_step();
}

void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t at)
{
	REAL(mmap);
	mapped(protection, flags, fd);
	return real(address, length, protection, flags, fd, at);
}

void *mmap64(void *address, size_t length, int protection, int flags, int fd, off64_t at)
{
	REAL(mmap64);
	mapped(protection, flags, fd);
	return real(address, length, protection, flags, fd, at);
}

/* --- the clock -------------------------------------------------------------------------- */

static long long off(void)
{
	const char *rules_path = getenv("LOCKSTEP_FAULTS");
	int number = errno;
	long long seconds;

	if (!rules_path)
		return 0;
	pthread_mutex_lock(&lock);
	if (rules_are_new(rules_path))
		read_rules(rules_path);
	seconds = clock_off;
	pthread_mutex_unlock(&lock);
	errno = number;
	return seconds;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
	int result;

	REAL(clock_gettime);
	result = real(clock, now);
	if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
		now->tv_sec += off();
	return result;
}

time_t time(time_t *out)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (out)
		*out = now.tv_sec;
	return now.tv_sec;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	struct timespec exact;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &exact);
	now->tv_sec = exact.tv_sec;
	now->tv_usec = exact.tv_nsec / 1000;
	return 0;
}
