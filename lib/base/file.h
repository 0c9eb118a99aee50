/* base/file: read a file whole; replace a file, or many, at once or not at all; digests of what was read and written.
 * Knows no DNS. Any thread, one object one thread.
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/err.h"
#include "base/siphash.h"

#include <stdbool.h>
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

/* What tells a file's octets from others: for finding damage and edits, not forgeries (SipHash-2-4 under siphash_sum_key). */
struct file_digest {
	uint64_t sum, size;
};
struct file_digest file_digest_of(const void *bytes, size_t length);
static inline bool file_digest_equal(struct file_digest a, struct file_digest b) { return a.sum == b.sum && a.size == b.size; }

/* What a file is known by without being read: who changes, replaces or removes it gives it another one (a sum over inode, size and time). 0: it is
 * not there; then `modified` (may be NULL; seconds since 1970) stays. */
struct file_mark { uint64_t sum; };
struct file_mark file_mark_of(const char *path, int64_t *modified);

/* Replacing `path`: written beside it under a new name (".lockstep-tmp-XXXXXX", O_EXCL, locked as long as it is written; mode 0640 or the mode of the
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
	struct siphash sum;          /* over them */
};

enum err file_replace_begin(struct file_replace *, const char *path, struct why *);
/* Room for at least `n` bytes (n <= FILE_ROOM_MAX) in the buffer, or NULL once an
 * error has stuck. The caller fills it and calls file_replace_advance. */
#define FILE_ROOM_MAX (1u << 19)
char *file_replace_room(struct file_replace *, size_t n);
void file_replace_advance(struct file_replace *, size_t n);
/* Of what was put in so far. */
struct file_digest file_replace_digest(const struct file_replace *);
/* Either of these ends the object. */
enum err file_replace_commit(struct file_replace *, struct why *);
void file_replace_rollback(struct file_replace *);

/* Many files at the price of few: each is written and its write-back begun when it is added; at the commit each is fsynced, all are renamed, and
 * each directory is fsynced once. Files succeed or fail one by one. */
enum { FILE_BATCH_MAX = 128 };
struct file_batch {
	unsigned count;
	struct file_batched {
		struct file_replace file;
		void *ctx;
	} one[FILE_BATCH_MAX];
};
/* Begins an empty one. */
void file_batch_begin(struct file_batch *);
/* Takes over a file whose contents are complete. There must be room: count < FILE_BATCH_MAX. */
void file_batch_add(struct file_batch *, struct file_replace *, void *ctx);
/* `done` is called for each in the order they were added, after all that succeeded are durable; the batch is empty then. */
typedef void file_batch_done(void *ctx, enum err, const struct why *, struct file_digest);
void file_batch_commit(struct file_batch *, file_batch_done *done);

/* Removes the file, durably. ERR_OK if it is not there. */
enum err file_remove(const char *path, struct why *);
/* Creates the directory and its parents (0750), durably. ERR_OK if it is there. */
enum err file_mkdirs(const char *path, struct why *);
/* mkdirs of the directory part of `path`. */
enum err file_mkparent(const char *path, struct why *);
/* What was renamed, made or removed in the directory is durable. */
enum err file_sync_dir(const char *path, struct why *);

/* Removes what a killed process of ours left in the directory and, `depth` levels deep, in those below it: regular files of ours
 * with the name of a temporary file that nobody holds locked. Symlinks are not followed. `removed` counts them; ERR_OK also where
 * there is no such directory. */
enum err file_sweep(const char *dir, unsigned depth, unsigned *removed, struct why *);

#endif
