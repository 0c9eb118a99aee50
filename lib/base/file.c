#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUFFER = 1 << 20, FLUSH_EVERY = 8 << 20 };

static enum err errno_err(int number)
{
	switch (number) {
	case ENOENT: case ENOTDIR: return ERR_NOTFOUND;
	case ENOMEM: return ERR_NOMEM;
	case ENOSPC: case EDQUOT: return ERR_NOSPACE;
	case EACCES: case EPERM: return ERR_REFUSED;
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

static void stick(struct file_replace *file, const char *doing)
{
	if (!file->err)
		file->err = sys_fail(&file->why, file->temp, doing);
}

enum err file_replace_begin(struct file_replace *file, const char *path, struct why *why)
{
	struct stat st;

	*file = (struct file_replace){.fd = -1};
	file->path = strdup(path);
	file->buffer = malloc(BUFFER);
	if (!file->path || !file->buffer || asprintf(&file->temp, "%s.XXXXXX", path) < 0) {
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

static void sync_parent(struct file_replace *file)
{
	char *parent = parent_of(file->path);
	int fd = parent ? open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (fd < 0 || fsync(fd) < 0)
		stick(file, "fsync of its directory");
	if (fd >= 0)
		close(fd);
	free(parent);
}

enum err file_replace_commit(struct file_replace *file, struct why *why)
{
	enum err err;

	flush(file);
	if (!file->err && fsync(file->fd) < 0)
		stick(file, "fsync");
	if (!file->err && rename(file->temp, file->path) < 0)
		stick(file, "rename");
	if (!file->err) {
		free(file->temp);
		file->temp = NULL;
		sync_parent(file);
	}
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

enum err file_mkdirs(const char *path, struct why *why)
{
	char *copy = strdup(path);
	enum err err = ERR_OK;

	if (!copy)
		return err_why(why, ERR_NOMEM, "%s: out of memory", path);
	for (char *c = copy + 1; !err; c++) {
		char was = *c;

		if (was && was != '/')
			continue;
		*c = 0;
		if (mkdir(copy, 0750) < 0 && errno != EEXIST && errno != EISDIR)
			err = sys_fail(why, copy, "create the directory");
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
