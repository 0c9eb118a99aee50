/* base/file: read a file whole; replace a file at once or not at all.
 * Knows no DNS. Any thread, one object one thread.
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

/* A whole file in memory (malloc'd, with a NUL after its last byte). Reading, not
 * mapping: a file that shrinks under us must not kill the daemon. */
struct file_bytes {
	char *bytes;
	size_t length;
};

/* ERR_NOTFOUND, ERR_IO, ERR_LIMIT (longer than `max`; 0: no limit), ERR_NOMEM.
 * Follows symlinks; refuses what is not a regular file (ERR_IO). */
enum err file_read(const char *path, size_t max, struct file_bytes *out, struct why *);
void file_bytes_release(struct file_bytes *);

/* Replacing `path`: written beside it under a new name (O_EXCL, mode 0640 or the mode of the
 * old file), then fsync, rename, fsync of the directory. Until file_replace_commit
 * returns ERR_OK the old file is whole and untouched. Errors are sticky: only
 * commit returns one. Symlinks in `path` itself are replaced, never followed. */
struct file_replace {
	int fd;
	enum err err;
	struct why why;
	char *path, *temp;           /* malloc'd */
	char *buffer;
	size_t used;
	uint64_t written;            /* bytes so far */
	uint64_t flushed;            /* bytes whose write-back was started */
};

enum err file_replace_begin(struct file_replace *, const char *path, struct why *);
/* Room for at least `n` bytes (n <= FILE_ROOM_MAX) in the buffer, or NULL once an
 * error has stuck. The caller fills it and calls file_replace_advance. */
#define FILE_ROOM_MAX (1u << 19)
char *file_replace_room(struct file_replace *, size_t n);
void file_replace_advance(struct file_replace *, size_t n);
/* Either of these ends the object. */
enum err file_replace_commit(struct file_replace *, struct why *);
void file_replace_rollback(struct file_replace *);

/* Creates the directory and its parents (0750). ERR_OK if it is there. */
enum err file_mkdirs(const char *path, struct why *);
/* mkdirs of the directory part of `path`. */
enum err file_mkparent(const char *path, struct why *);

#endif
