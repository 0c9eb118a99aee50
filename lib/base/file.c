#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUFFER = 1 << 20, FLUSH_EVERY = 8 << 20, TEMP_RANDOM = 6 };

static const char temp_begins[] = ".lockstep-tmp-";

static enum err errno_err(int number)
{
	switch (number) {
	case ENOENT: case ENOTDIR: return ERR_NOTFOUND;
	case ENOMEM: return ERR_NOMEM;
	case ENOSPC: case EDQUOT: return ERR_NOSPACE;
	case EACCES: case EPERM: case EROFS: return ERR_REFUSED;
	default: return ERR_IO;
	}
}

static enum err sys_fail(struct why *why, const char *path, const char *doing)
{
	int number = errno;

	return err_why(why, errno_err(number), "%s: %s: %s", path, doing, strerror(number));
}

static enum err read_fd(int fd, const char *path, size_t max, struct file_bytes *out, struct why *why)
{
	struct stat st;
	size_t room;

	if (fstat(fd, &st) < 0)
		return sys_fail(why, path, "stat");
	if (!S_ISREG(st.st_mode))
		return err_why(why, ERR_IO, "%s: not a regular file", path);
	if (max && (uint64_t)st.st_size > max)
		return err_why(why, ERR_LIMIT, "%s: longer than %zu bytes", path, max);
	room = (size_t)st.st_size;
	out->bytes = malloc(room + 1);
	if (!out->bytes)
		return err_why(why, ERR_NOMEM, "%s: no memory for %zu bytes", path, room);
	while (out->length < room) {
		ssize_t n = read(fd, out->bytes + out->length, room - out->length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return sys_fail(why, path, "read");
		if (n == 0)
			break;
		out->length += (size_t)n;
	}
	out->bytes[out->length] = 0;
	return ERR_OK;
}

enum err file_read(const char *path, size_t max, struct file_bytes *out, struct why *why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	enum err err;

	*out = (struct file_bytes){0};
	if (fd < 0)
		return sys_fail(why, path, "open");
	err = read_fd(fd, path, max, out, why);
	close(fd);
	if (err)
		file_bytes_release(out);
	return err;
}

void file_bytes_release(struct file_bytes *file)
{
	free(file->bytes);
	*file = (struct file_bytes){0};
}

struct file_mark file_mark_of(const char *path, int64_t *modified)
{
	struct stat st;
	uint64_t what[4];

	if (stat(path, &st) < 0)
		return (struct file_mark){0};
	if (modified)
		*modified = st.st_mtime;
	what[0] = st.st_ino;
	what[1] = (uint64_t)st.st_size;
	what[2] = (uint64_t)st.st_mtim.tv_sec;
	what[3] = (uint64_t)st.st_mtim.tv_nsec;
	return (struct file_mark){file_digest_of(what, sizeof what).sum};
}

struct file_digest file_digest_of(const void *bytes, size_t length)
{
	return (struct file_digest){siphash(siphash_sum_key, bytes, length), length};
}

/* The file's own name: who reads of it need not know of the other. */
static void stick(struct file_replace *file, const char *doing)
{
	if (!file->err)
		file->err = sys_fail(&file->why, file->path, doing);
}

/* Octets of the path that stand before the file's name. */
static int directory_length(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? (int)(slash + 1 - path) : 0;
}

enum err file_replace_begin(struct file_replace *file, const char *path, struct why *why)
{
	struct stat st;

	*file = (struct file_replace){.fd = -1};
	siphash_begin(&file->sum, siphash_sum_key);
	file->path = strdup(path);
	file->buffer = malloc(BUFFER);
	if (!file->path || !file->buffer || asprintf(&file->temp, "%.*s%sXXXXXX", directory_length(path), path, temp_begins) < 0) {
		file->temp = NULL;
		file_replace_rollback(file);
		return err_why(why, ERR_NOMEM, "%s: out of memory", path);
	}
	file->fd = mkostemp(file->temp, O_CLOEXEC);
	if (file->fd < 0) {
		enum err err = sys_fail(why, path, "create a file beside it");

		free(file->temp);
		file->temp = NULL;
		file_replace_rollback(file);
		return err;
	}
	flock(file->fd, LOCK_EX | LOCK_NB);      /* for file_sweep; where there are no locks, nothing is swept */
	if (lstat(path, &st) < 0 || !S_ISREG(st.st_mode))
		st.st_mode = 0640;
	if (fchmod(file->fd, st.st_mode & 0777) < 0)
		stick(file, "chmod");
	return ERR_OK;
}

static void flush(struct file_replace *file)
{
	size_t done = 0;

	while (!file->err && done < file->used) {
		ssize_t n = write(file->fd, file->buffer + done, file->used - done);

		if (n < 0 && errno != EINTR)
			stick(file, "write");
		else if (n > 0)
			done += (size_t)n;
	}
	siphash_add(&file->sum, file->buffer, file->used);
	file->written += done;
	file->used = 0;
	if (!file->err && file->written - file->flushed >= FLUSH_EVERY) {
		/* Start the disk early, so that fsync finds little left to do. */
		sync_file_range(file->fd, (off_t)file->flushed, (off_t)(file->written - file->flushed),
			SYNC_FILE_RANGE_WRITE);
		file->flushed = file->written;
	}
}

char *file_replace_room(struct file_replace *file, size_t n)
{
	if (n > BUFFER - file->used)
		flush(file);
	return file->err ? NULL : file->buffer + file->used;
}

void file_replace_advance(struct file_replace *file, size_t n)
{
	file->used += n;
}

static char *parent_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return strdup(".");
	return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

enum err file_sync_dir(const char *path, struct why *why)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum err err = fd < 0 || fsync(fd) < 0 ? sys_fail(why, path, "fsync of the directory") : ERR_OK;

	if (fd >= 0)
		close(fd);
	return err;
}

struct file_digest file_replace_digest(const struct file_replace *file)
{
	struct siphash sum = file->sum;

	siphash_add(&sum, file->buffer, file->used);
	return (struct file_digest){siphash_end(&sum), sum.length};
}

static void put_in_place(struct file_replace *file)
{
	if (!file->err && rename(file->temp, file->path) < 0)
		stick(file, "rename");
	if (file->err)
		return;
	free(file->temp);
	file->temp = NULL;
}

static void sync_parent(struct file_replace *file)
{
	char *parent = parent_of(file->path);

	file->err = parent ? file_sync_dir(parent, &file->why) : err_why(&file->why, ERR_NOMEM, "%s: out of memory", file->path);
	free(parent);
}

enum err file_replace_commit(struct file_replace *file, struct why *why)
{
	enum err err;

	flush(file);
	if (!file->err && fsync(file->fd) < 0)
		stick(file, "fsync");
	put_in_place(file);
	if (!file->err)
		sync_parent(file);
	err = file->err;
	if (err && why)
		*why = file->why;
	file_replace_rollback(file);
	return err;
}

void file_replace_rollback(struct file_replace *file)
{
	if (file->fd >= 0)
		close(file->fd);
	if (file->temp)
		unlink(file->temp);
	free(file->temp);
	free(file->path);
	free(file->buffer);
	*file = (struct file_replace){.fd = -1};
}

enum err file_remove(const char *path, struct why *why)
{
	char *parent;
	enum err err;

	if (unlink(path) < 0)
		return errno == ENOENT ? ERR_OK : sys_fail(why, path, "remove");
	parent = parent_of(path);
	err = parent ? file_sync_dir(parent, why) : err_why(why, ERR_NOMEM, "%s: out of memory", path);
	free(parent);
	return err;
}

/* --- many at once ----------------------------------------------------------------------- */

void file_batch_begin(struct file_batch *batch)
{
	batch->count = 0;
}

void file_batch_add(struct file_batch *batch, struct file_replace *file, void *ctx)
{
	struct file_batched *one = &batch->one[batch->count++];

	flush(file);
	free(file->buffer);
	file->buffer = NULL;
	if (!file->err)
		sync_file_range(file->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	one->file = *file;
	one->ctx = ctx;
	*file = (struct file_replace){.fd = -1};
}

static bool same_directory(const struct file_replace *a, const struct file_replace *b)
{
	int n = directory_length(a->path);

	return n == directory_length(b->path) && memcmp(a->path, b->path, (size_t)n) == 0;
}

/* The directory of the file `i`, unless one before it, which was renamed too, has the same. */
static void sync_parent_once(struct file_batch *batch, unsigned i)
{
	struct file_replace *file = &batch->one[i].file;

	for (unsigned n = i; n-- > 0;) {
		struct file_replace *other = &batch->one[n].file;

		if (other->temp || !same_directory(other, file))
			continue;
		file->err = other->err;
		file->why = other->why;
		return;
	}
	sync_parent(file);
}

void file_batch_commit(struct file_batch *batch, file_batch_done *done)
{
	unsigned count = batch->count;

	for (unsigned i = 0; i < count; i++) {
		struct file_replace *file = &batch->one[i].file;

		if (!file->err && fsync(file->fd) < 0)
			stick(file, "fsync");
	}
	for (unsigned i = 0; i < count; i++)
		put_in_place(&batch->one[i].file);
	for (unsigned i = 0; i < count; i++)
		if (!batch->one[i].file.temp)
			sync_parent_once(batch, i);
	batch->count = 0;
	for (unsigned i = 0; i < count; i++) {
		struct file_replace *file = &batch->one[i].file;

		done(batch->one[i].ctx, file->err, &file->why, (struct file_digest){siphash_end(&file->sum), file->sum.length});
		file_replace_rollback(file);
	}
}

/* --- directories ------------------------------------------------------------------------ */

static enum err make_dir(const char *path, struct why *why)
{
	char *parent;
	enum err err;

	if (mkdir(path, 0750) < 0)
		return errno == EEXIST || errno == EISDIR ? ERR_OK : sys_fail(why, path, "create the directory");
	parent = parent_of(path);
	err = parent ? file_sync_dir(parent, why) : err_why(why, ERR_NOMEM, "%s: out of memory", path);
	free(parent);
	return err;
}

enum err file_mkdirs(const char *path, struct why *why)
{
	struct stat st;
	enum err err = ERR_OK;
	char *copy;

	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return ERR_OK;
	copy = strdup(path);
	if (!copy)
		return err_why(why, ERR_NOMEM, "%s: out of memory", path);
	for (char *c = copy + 1; !err; c++) {
		char was = *c;

		if (was && was != '/')
			continue;
		*c = 0;
		err = make_dir(copy, why);
		*c = was;
		if (!was)
			break;
	}
	free(copy);
	return err;
}

enum err file_mkparent(const char *path, struct why *why)
{
	char *parent = parent_of(path);
	enum err err = parent ? file_mkdirs(parent, why) : ERR_NOMEM;

	free(parent);
	return err;
}

static bool is_temp(const char *name)
{
	size_t begin = sizeof temp_begins - 1;

	return strncmp(name, temp_begins, begin) == 0 && strlen(name + begin) == TEMP_RANDOM;
}

/* Who writes it holds its lock; who was killed holds nothing. */
static bool sweep_file(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	bool gone;

	if (fd < 0)
		return false;
	gone = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() && st.st_nlink == 1 &&
		flock(fd, LOCK_EX | LOCK_NB) == 0 && unlinkat(dir, name, 0) == 0;
	close(fd);
	return gone;
}

static bool is_directory(int dir, const struct dirent *entry)
{
	struct stat st;

	if (entry->d_type != DT_UNKNOWN)
		return entry->d_type == DT_DIR;
	return fstatat(dir, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

/* Takes over `fd`. */
static enum err sweep(int fd, const char *path, unsigned depth, unsigned *removed, struct why *why)
{
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	enum err err = ERR_OK, below;

	if (!dir) {
		err = sys_fail(why, path, "open the directory");
		if (fd >= 0)
			close(fd);
		return err == ERR_NOTFOUND ? ERR_OK : err;
	}
	while ((errno = 0, entry = readdir(dir))) {
		if (is_temp(entry->d_name)) {
			*removed += sweep_file(fd, entry->d_name);
		} else if (depth && strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..") && is_directory(fd, entry)) {
			int child = openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

			if ((below = sweep(child, entry->d_name, depth - 1, removed, why)))
				err = below;
		}
	}
	if (errno)
		err = sys_fail(why, path, "read the directory");
	closedir(dir);
	return err;
}

enum err file_sweep(const char *path, unsigned depth, unsigned *removed, struct why *why)
{
	*removed = 0;
	return sweep(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), path, depth, removed, why);
}
