#include "zone/steplog.h"

#include "base/array.h"
#include "base/file.h"
#include "base/siphash.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A file:   | "LSLG" | format | number | number of the one before | its valid length | sum |
 * a record: | "LSLR" | kind | flags | length of the name | 0 | from | to | length | sum of the octets | sum of the rest | name | octets |
 *
 * The sums of a record take in the file's number and the place in it: what stands anywhere else is none. A piece of an image has
 * its number in `from`. */
enum {
	FILE_MAGIC = 0x4c534c47, RECORD_MAGIC = 0x4c534c52, FORMAT = 1,
	FILE_HEAD = 32, RECORD_HEAD = 36,
	FILE_FULL = 64 << 20,        /* a file that long is followed by a new one */
	IDLE_MAX = 16 << 20,         /* so much of a file that nobody needs is put up with */
	BUFFER = 1 << 20, DIRECT = 64 << 10,
	TOLD_MAX = 1000,             /* zones that are named at once as keeping old files */
};

enum kind { STEP = 1, PIECE, WRITTEN, GONE };
enum { LAST = 1 };

/* One record that is needed. */
struct mark {
	uint32_t file, at, length;
	struct serial from, to;
	uint8_t kind, flags;
};

struct zone_marks {
	struct zone_marks *next;     /* in its place of the table */
	struct mark *mark;           /* oldest first */
	uint32_t count, room;
	uint32_t told;               /* steplog_pinning has named it, as it kept files up to this one */
	uint8_t name[];              /* in lower case */
};

struct log_file {
	uint32_t number;
	uint64_t length;             /* valid octets */
	uint64_t pins;               /* marks that lie in it */
};

struct steplog {
	char *dir;
	struct log_file *files;      /* oldest first */
	size_t file_count;
	uint32_t last_number;        /* that was ever seen */
	int fd;                      /* of the last of the files, which is written to; -1: none is */
	uint64_t most;
	uint64_t images;             /* octets of the images that are needed */
	uint32_t pin_until;          /* steplog_pinning: the last file that is to go, */
	size_t pin_at;               /* and where it goes on in the table */
	struct zone_marks **table;
	size_t places, zones;        /* places: a power of two */
	uint8_t *buffer;
	size_t used;
	uint64_t at;                 /* where the next octet goes, the buffer's counted */
	uint8_t *notes;              /* records to be written with the next ones: without their sums, which depend on the place */
	size_t note_octets, note_room;
};

static enum err no_memory(struct why *why)
{
	return err_why(why, ERR_NOMEM, "step log: out of memory");
}

static enum err sys_fail(struct why *why, const char *path, const char *doing)
{
	enum err err = errno == ENOSPC || errno == EDQUOT || errno == EFBIG ? ERR_NOSPACE :
		errno == EROFS || errno == EACCES || errno == EPERM ? ERR_REFUSED : errno == ENOMEM ? ERR_NOMEM : ERR_IO;

	return err_why(why, err, "step log: %s: %s: %s", path, doing, strerror(errno));
}

/* malloc'd, or NULL. */
static char *path_of(const struct steplog *l, uint32_t number)
{
	char *path;

	return asprintf(&path, "%s/steps-%010u.log", l->dir, number) < 0 ? NULL : path;
}

/* --- zones and their records ------------------------------------------------------------ */

static bool grow_table(struct steplog *l)
{
	size_t places = l->places ? l->places * 2 : 64;
	struct zone_marks **table = calloc(places, sizeof(struct zone_marks *));

	if (!table)
		return false;
	for (size_t i = 0; i < l->places; i++)
		for (struct zone_marks *z = l->table[i], *next; z; z = next) {
			size_t place = name_hash(z->name) & (places - 1);

			next = z->next;
			z->next = table[place];
			table[place] = z;
		}
	free(l->table);
	l->table = table;
	l->places = places;
	l->pin_at = 0;
	return true;
}

static struct zone_marks **place_of(const struct steplog *l, const uint8_t *name)
{
	struct zone_marks **at = &l->table[name_hash(name) & (l->places - 1)];

	while (*at && !name_equal((*at)->name, name))
		at = &(*at)->next;
	return at;
}

static struct zone_marks *find(const struct steplog *l, const uint8_t *name)
{
	return l->places ? *place_of(l, name) : NULL;
}

/* Made if absent; NULL: out of memory. */
static struct zone_marks *need(struct steplog *l, const uint8_t *name)
{
	struct zone_marks *z, **at;

	if (l->zones >= l->places && !grow_table(l))
		return NULL;
	at = place_of(l, name);
	if (*at)
		return *at;
	z = calloc(1, sizeof *z + name_length(name));
	if (!z)
		return NULL;
	name_lower(name, z->name);
	*at = z;
	l->zones++;
	return z;
}

static struct log_file *file_of(const struct steplog *l, uint32_t number)
{
	for (size_t i = l->file_count; i-- > 0;)
		if (l->files[i].number == number)
			return &l->files[i];
	return NULL;
}

/* `n` marks from the one at `from` on are needed no more. */
static void drop_marks(struct steplog *l, struct zone_marks *z, uint32_t from, uint32_t n)
{
	for (uint32_t i = from; i < from + n; i++) {
		file_of(l, z->mark[i].file)->pins--;
		l->images -= z->mark[i].kind == PIECE ? z->mark[i].length : 0;
	}
	memmove(z->mark + from, z->mark + from + n, (z->count - from - n) * sizeof *z->mark);
	z->count -= n;
}

/* A zone without records is none. */
static void settle(struct steplog *l, struct zone_marks *z)
{
	struct zone_marks **at = place_of(l, z->name);

	if (z->count)
		return;
	*at = z->next;
	free(z->mark);
	free(z);
	l->zones--;
}

/* How many marks at the end are pieces of an image whose last one is not there. */
static uint32_t unfinished(const struct zone_marks *z)
{
	uint32_t n = 0;

	while (n < z->count && z->mark[z->count - 1 - n].kind == PIECE && !(z->mark[z->count - 1 - n].flags & LAST))
		n++;
	return n;
}

static bool room_for_marks(struct zone_marks *z, uint32_t n)
{
	uint32_t room = z->room ? z->room : 1;
	struct mark *more;

	if (z->count + n <= z->room)
		return true;
	while (room < z->count + n)
		room *= 2;
	more = realloc(z->mark, room * sizeof *more);
	if (!more)
		return false;
	z->mark = more;
	z->room = room;
	return true;
}

/* A piece is of use where all before it are there; the last one makes everything before the image superfluous. */
static void took_piece(struct steplog *l, struct zone_marks *z)
{
	struct mark *m = &z->mark[z->count - 1];
	uint32_t number = m->from.v, run = 0;

	while (run < z->count - 1 && m[-1 - (int64_t)run].kind == PIECE && !(m[-1 - (int64_t)run].flags & LAST))
		run++;
	if (number && (!run || m[-1].from.v != number - 1))
		drop_marks(l, z, z->count - 1 - run, run + 1);
	else if (m->flags & LAST)
		drop_marks(l, z, 0, z->count - 1 - number);
	else if (!number)            /* what comes before it was never finished */
		drop_marks(l, z, z->count - 1 - run, run);
}

/* There is room. */
static void add_mark(struct steplog *l, struct zone_marks *z, const struct mark *m)
{
	if (m->kind == STEP)
		drop_marks(l, z, z->count - unfinished(z), unfinished(z));
	z->mark[z->count++] = *m;
	file_of(l, m->file)->pins++;
	l->images += m->kind == PIECE ? m->length : 0;
	if (m->kind == PIECE)
		took_piece(l, z);
}

static void forget_until(struct steplog *l, struct zone_marks *z, struct serial written)
{
	uint32_t n = z->count - unfinished(z);

	while (n && !serial_equal(z->mark[n - 1].to, written))
		n--;
	drop_marks(l, z, 0, n);
	settle(l, z);
}

static void forget_all(struct steplog *l, struct zone_marks *z)
{
	drop_marks(l, z, 0, z->count);
	settle(l, z);
}

/* --- reading ---------------------------------------------------------------------------- */

struct view {
	enum kind kind;
	uint8_t flags;
	struct serial from, to;
	const uint8_t *name, *bytes;
	uint32_t length;
};

static uint64_t head_sum(uint32_t file, uint32_t at, const uint8_t *record, size_t name_length)
{
	uint8_t place[8];
	struct siphash sum;

	put_u32(place, file);
	put_u32(place + 4, at);
	siphash_begin(&sum, siphash_sum_key);
	siphash_add(&sum, place, sizeof place);
	siphash_add(&sum, record, RECORD_HEAD - 8);
	siphash_add(&sum, record + RECORD_HEAD, name_length);
	return siphash_end(&sum);
}

enum found { FOUND_RECORD, FOUND_DAMAGED /* but its length is known */, FOUND_CUT, FOUND_NOTHING };

/* A name of just so many octets, without a pointer in it. */
static bool is_plain(const uint8_t *name, size_t length)
{
	size_t at = 0;

	while (at < length && name[at] > 0 && name[at] < 64)
		at += 1 + (size_t)name[at];
	return length <= NAME_SIZE && at + 1 == length && name[at] == 0;
}

/* The record at the beginning of `bytes`; `length` octets are there. `size`: of all of it. */
static enum found read_record(uint32_t file, uint32_t at, const uint8_t *bytes, size_t length, struct view *v, size_t *size)
{
	if (length < RECORD_HEAD || get_u32(bytes) != RECORD_MAGIC)
		return FOUND_NOTHING;
	*size = RECORD_HEAD + (size_t)bytes[6];
	if (length < *size || head_sum(file, at, bytes, bytes[6]) != get_u64(bytes + 28))
		return FOUND_NOTHING;
	*v = (struct view){.kind = bytes[4], .flags = bytes[5], .from = {get_u32(bytes + 8)}, .to = {get_u32(bytes + 12)},
		.name = bytes + RECORD_HEAD, .bytes = bytes + *size, .length = get_u32(bytes + 16)};
	if (v->length > STEPLOG_STEP_MAX || v->kind < STEP || v->kind > GONE || !is_plain(v->name, bytes[6]))
		return FOUND_NOTHING;
	*size += v->length;
	if (length < *size)
		return FOUND_CUT;
	return siphash(siphash_sum_key, v->bytes, v->length) == get_u64(bytes + 20) ? FOUND_RECORD : FOUND_DAMAGED;
}

static bool take_record(struct steplog *l, const struct view *v, uint32_t file, uint32_t at)
{
	struct mark mark = {file, at, v->length, v->from, v->to, (uint8_t)v->kind, v->flags};
	struct zone_marks *z = v->kind == STEP || v->kind == PIECE ? need(l, v->name) : find(l, v->name);

	switch (v->kind) {
	case STEP: case PIECE:
		if (!z || !room_for_marks(z, 1))
			return false;
		add_mark(l, z, &mark);
		settle(l, z);
		break;
	case WRITTEN:
		if (z)
			forget_until(l, z, v->to);
		break;
	case GONE:
		if (z)
			forget_all(l, z);
		break;
	}
	return true;
}

/* One file while it is read. */
struct scan {
	struct steplog *l;
	struct steplog_report *report;
	struct log_file *file;
	const char *path;
	const uint8_t *bytes;
	size_t length;               /* as far as it is known to have been durable; or the whole */
	bool newest;
};

static void note_damage(struct scan *s, uint64_t at, uint64_t octets, const char *what)
{
	struct why why;

	if (!s->report->damaged++) {
		err_why(&why, ERR_DAMAGED, "%.250s: octet %llu: %s", s->path, (unsigned long long)at, what);
		memcpy(s->report->first, why.text, sizeof s->report->first);
	}
	s->report->damaged_octets += octets;
}

/* The next place from `at` on where a record begins, or the end. */
static size_t next_record(const struct scan *s, size_t at)
{
	static const uint8_t magic[4] = {'L', 'S', 'L', 'R'};

	while (at < s->length) {
		const uint8_t *found = memmem(s->bytes + at, s->length - at, magic, sizeof magic);
		struct view v;
		size_t size;

		if (!found)
			break;
		at = (size_t)(found - s->bytes);
		if (read_record(s->file->number, (uint32_t)at, found, s->length - at, &v, &size) != FOUND_NOTHING)
			return at;
		at++;
	}
	return s->length;
}

/* What is wrong at `at` ends at `end`. At the end of the newest file it is what was being written. */
static void bad_place(struct scan *s, size_t at, size_t end, const char *what)
{
	if (end == s->length && s->newest)
		s->report->torn = true;
	else
		note_damage(s, at, end - at, what);
}

/* All records behind the head; returns where the last good one ends. False: out of memory. */
static bool scan_records(struct scan *s, size_t *valid)
{
	size_t at = FILE_HEAD, size = 0, end;
	struct view v;

	*valid = at;
	while (at < s->length) {
		switch (read_record(s->file->number, (uint32_t)at, s->bytes + at, s->length - at, &v, &size)) {
		case FOUND_RECORD:
			if (!take_record(s->l, &v, s->file->number, (uint32_t)at))
				return false;
			s->report->records++;
			s->report->octets += size;
			at += size;
			*valid = at;
			continue;
		case FOUND_DAMAGED:
			bad_place(s, at, at + size, "the record's sum is wrong");
			at += size;
			continue;
		case FOUND_CUT:
		case FOUND_NOTHING:
			end = next_record(s, at + 1);
			bad_place(s, at, end, "there is no record");
			at = end;
		}
	}
	return true;
}

static bool good_head(const uint8_t *bytes, size_t length, uint32_t number)
{
	return length >= FILE_HEAD && get_u32(bytes) == FILE_MAGIC && get_u32(bytes + 4) == FORMAT && get_u32(bytes + 8) == number &&
		siphash(siphash_sum_key, bytes, FILE_HEAD - 8) == get_u64(bytes + FILE_HEAD - 8);
}

/* What the file after this one says of its valid length; UINT64_MAX: nothing. */
static uint64_t length_by_next(const struct steplog *l, size_t i)
{
	uint8_t head[FILE_HEAD];
	uint64_t length = UINT64_MAX;
	char *path;
	int fd;

	if (i + 1 >= l->file_count || !(path = path_of(l, l->files[i + 1].number)))
		return length;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd >= 0 && pread(fd, head, FILE_HEAD, 0) == FILE_HEAD && good_head(head, FILE_HEAD, l->files[i + 1].number) &&
	    get_u32(head + 12) == l->files[i].number)
		length = get_u64(head + 16);
	if (fd >= 0)
		close(fd);
	free(path);
	return length;
}

static enum err scan_file(struct steplog *l, size_t i, struct steplog_report *report, struct why *why)
{
	struct scan s = {.l = l, .report = report, .file = &l->files[i], .newest = i + 1 == l->file_count};
	uint64_t known = length_by_next(l, i);
	struct file_bytes bytes;
	char *path = path_of(l, l->files[i].number);
	struct why said;
	size_t valid = 0;
	enum err err;

	if (!path)
		return no_memory(why);
	s.path = path;
	err = file_read(path, 0, &bytes, &said);
	s.bytes = (const uint8_t *)bytes.bytes;
	s.length = bytes.length < known ? bytes.length : (size_t)known;
	if (err == ERR_NOMEM)
		*why = said;
	else if (err)
		note_damage(&s, 0, 0, said.text);
	else if (s.length && !good_head(s.bytes, s.length, s.file->number))
		bad_place(&s, 0, FILE_HEAD < s.length ? FILE_HEAD : s.length, "the file does not begin as one of the step log");
	if (!err && s.length > FILE_HEAD && !scan_records(&s, &valid))
		err = no_memory(why);
	if (!err && known != UINT64_MAX && bytes.length < known)
		note_damage(&s, bytes.length, known - bytes.length, "the file is cut off");
	s.file->length = known != UINT64_MAX ? known : valid;
	file_bytes_release(&bytes);
	free(path);
	return err == ERR_NOMEM ? err : ERR_OK;
}

static int file_order(const void *a, const void *b)
{
	const struct log_file *x = a, *y = b;

	return (x->number > y->number) - (x->number < y->number);
}

/* Of "steps-NNNNNNNNNN.log". */
static bool number_of(const char *name, uint32_t *number)
{
	unsigned long long v = 0;

	if (strlen(name) != 20 || memcmp(name, "steps-", 6) != 0 || strcmp(name + 16, ".log") != 0)
		return false;
	for (const char *c = name + 6; c < name + 16; c++) {
		if (*c < '0' || *c > '9')
			return false;
		v = v * 10 + (unsigned)(*c - '0');
	}
	*number = (uint32_t)v;
	return v > 0 && v < UINT32_MAX;
}

static bool add_file(struct steplog *l, uint32_t number)
{
	if (!(l->file_count & (l->file_count - 1))) {
		struct log_file *more = realloc(l->files, (l->file_count ? l->file_count * 2 : 1) * sizeof *more);

		if (!more)
			return false;
		l->files = more;
	}
	l->files[l->file_count++] = (struct log_file){.number = number};
	if (number > l->last_number)
		l->last_number = number;
	return true;
}

static enum err list_files(struct steplog *l, struct why *why)
{
	DIR *dir = opendir(l->dir);
	const struct dirent *entry;
	enum err err = ERR_OK;
	uint32_t number;

	if (!dir)
		return sys_fail(why, l->dir, "open the directory");
	while (!err && (errno = 0, entry = readdir(dir)))
		if (number_of(entry->d_name, &number) && !add_file(l, number))
			err = no_memory(why);
	if (!err && errno)
		err = sys_fail(why, l->dir, "read the directory");
	closedir(dir);
	if (!err && l->file_count)
		qsort(l->files, l->file_count, sizeof *l->files, file_order);
	return err;
}

static void drop_old_files(struct steplog *);

static void log_free(struct steplog *l)
{
	if (l->fd >= 0)
		close(l->fd);
	for (size_t i = 0; i < l->places; i++)
		for (struct zone_marks *z = l->table[i], *next; z; z = next) {
			next = z->next;
			free(z->mark);
			free(z);
		}
	free(l->table);
	free(l->files);
	free(l->buffer);
	free(l->notes);
	free(l->dir);
	free(l);
}

enum err steplog_open(struct steplog **out, const char *dir, struct steplog_report *report, struct why *why)
{
	struct steplog *l = calloc(1, sizeof *l);
	enum err err;

	*report = (struct steplog_report){0};
	if (!l || !(l->dir = strdup(dir))) {
		free(l);
		return no_memory(why);
	}
	l->fd = -1;
	l->most = 256 << 20;
	err = file_mkdirs(dir, why);
	if (!err)
		err = list_files(l, why);
	for (size_t i = 0; i < l->file_count && !err; i++)
		err = scan_file(l, i, report, why);
	if (err) {
		log_free(l);
		return err;
	}
	report->files = (unsigned)l->file_count;
	if (!report->damaged)
		drop_old_files(l);
	*out = l;
	return ERR_OK;
}

/* --- writing ---------------------------------------------------------------------------- */

static enum err write_all(struct steplog *l, const uint8_t *bytes, size_t n, struct why *why)
{
	while (n) {
		ssize_t done = write(l->fd, bytes, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return sys_fail(why, l->dir, "write");
		bytes += done;
		n -= (size_t)done;
	}
	return ERR_OK;
}

static enum err flush(struct steplog *l, struct why *why)
{
	enum err err = write_all(l, l->buffer, l->used, why);

	l->used = 0;
	return err;
}

static enum err put(struct steplog *l, const uint8_t *bytes, size_t n, struct why *why)
{
	enum err err = ERR_OK;

	l->at += n;
	if (n > BUFFER - l->used || n > DIRECT)
		err = flush(l, why);
	if (err)
		return err;
	if (n > DIRECT)
		return write_all(l, bytes, n, why);
	memcpy(l->buffer + l->used, bytes, n);
	l->used += n;
	return ERR_OK;
}

/* `v->name` in lower case. */
static enum err put_record(struct steplog *l, const struct view *v, struct why *why)
{
	uint8_t head[RECORD_HEAD + NAME_SIZE];
	size_t n = name_length(v->name);
	enum err err;

	put_u32(head, RECORD_MAGIC);
	head[4] = (uint8_t)v->kind;
	head[5] = v->flags;
	head[6] = (uint8_t)n;
	head[7] = 0;
	put_u32(head + 8, v->from.v);
	put_u32(head + 12, v->to.v);
	put_u32(head + 16, v->length);
	put_u64(head + 20, siphash(siphash_sum_key, v->bytes, v->length));
	memcpy(head + RECORD_HEAD, v->name, n);
	put_u64(head + 28, head_sum(l->files[l->file_count - 1].number, (uint32_t)l->at, head, n));
	err = put(l, head, RECORD_HEAD + n, why);
	return err ? err : put(l, v->bytes, v->length, why);
}

static void end_file(struct steplog *l)
{
	close(l->fd);
	l->fd = -1;
}

static void remove_file(const struct steplog *l, uint32_t number)
{
	char *path = path_of(l, number);

	if (path)
		unlink(path);
	free(path);
}

static enum err create_file(struct steplog *l, uint32_t number, struct why *why)
{
	char *path = path_of(l, number);
	enum err err = ERR_OK;

	if (!path)
		return no_memory(why);
	l->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (l->fd < 0) {
		l->last_number += errno == EEXIST;
		err = sys_fail(why, path, "create");
	}
	free(path);
	return err;
}

/* A new file, with the head in the buffer. */
static enum err begin_file(struct steplog *l, struct why *why)
{
	const struct log_file *before = l->file_count ? &l->files[l->file_count - 1] : NULL;
	uint32_t number = l->last_number + 1;
	uint8_t head[FILE_HEAD] = {0};
	enum err err;

	if (!l->buffer && !(l->buffer = malloc(BUFFER)))
		return no_memory(why);
	put_u32(head, FILE_MAGIC);
	put_u32(head + 4, FORMAT);
	put_u32(head + 8, number);
	put_u32(head + 12, before ? before->number : 0);
	put_u64(head + 16, before ? before->length : 0);
	put_u64(head + 24, siphash(siphash_sum_key, head, FILE_HEAD - 8));
	err = create_file(l, number, why);
	if (err)
		return err;
	l->used = 0;
	l->at = 0;
	err = file_sync_dir(l->dir, why);
	if (!err)
		err = put(l, head, FILE_HEAD, why);
	if (!err && !add_file(l, number))
		err = no_memory(why);
	if (err) {
		end_file(l);
		remove_file(l, number);
	}
	return err;
}

/* What could not be written as a whole is cut off; the next record goes to a new file, whose head says how much of this one is valid. */
static void give_up(struct steplog *l, uint64_t length)
{
	if (l->fd < 0)
		return;
	if (length && ftruncate(l->fd, (off_t)length) == 0)
		fdatasync(l->fd);
	end_file(l);
	if (!length)
		remove_file(l, l->files[--l->file_count].number);
}

static enum err put_entry(struct steplog *l, const struct steplog_entry *e, struct why *why)
{
	uint8_t name[NAME_SIZE];
	struct view v = {.kind = STEP, .from = e->from, .to = e->to, .name = name, .bytes = e->bytes, .length = (uint32_t)e->length};
	enum err err = ERR_OK;

	name_lower(e->name, name);
	if (e->kind == STEPLOG_STEP)
		return put_record(l, &v, why);
	v.kind = PIECE;
	for (size_t i = 0; i < e->image->count && !err; i++) {
		v.from.v = (uint32_t)i;
		v.flags = i + 1 == e->image->count ? LAST : 0;
		v.bytes = e->image->piece[i].bytes;
		v.length = (uint32_t)e->image->piece[i].length;
		err = put_record(l, &v, why);
	}
	return err;
}

static size_t entry_octets(const struct steplog_entry *e)
{
	size_t head = RECORD_HEAD + name_length(e->name);

	return e->kind == STEPLOG_STEP ? head + e->length : head * e->image->count + e->image->octets;
}

/* The marks that the entries want: memory for them is taken before anything is written. */
static bool reserve(struct steplog *l, const struct steplog_entry *entries, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct zone_marks *z = need(l, entries[i].name);
		uint32_t n = entries[i].kind == STEPLOG_STEP ? 1 : (uint32_t)entries[i].image->count;

		if (!z || !room_for_marks(z, n))
			return false;
	}
	return true;
}

static void unreserve(struct steplog *l, const struct steplog_entry *entries, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct zone_marks *z = find(l, entries[i].name);

		if (z)
			settle(l, z);
	}
}

static bool mark_entry(struct steplog *l, const struct steplog_entry *e, uint64_t *at)
{
	size_t head = RECORD_HEAD + name_length(e->name), pieces = e->kind == STEPLOG_STEP ? 1 : e->image->count;
	struct zone_marks *z = need(l, e->name);

	for (size_t i = 0; z && i < pieces; i++) {
		struct mark m = {.file = l->files[l->file_count - 1].number, .at = (uint32_t)*at, .to = e->to, .kind = STEP, .from = e->from,
			.length = (uint32_t)e->length};

		if (e->kind == STEPLOG_IMAGE) {
			m.kind = PIECE;
			m.from.v = (uint32_t)i;
			m.flags = i + 1 == pieces ? LAST : 0;
			m.length = (uint32_t)e->image->piece[i].length;
		}
		if (!room_for_marks(z, 1))
			return false;
		add_mark(l, z, &m);
		*at += head + m.length;
	}
	return z != NULL;
}

static enum err put_notes(struct steplog *l, struct why *why)
{
	enum err err = ERR_OK;

	for (size_t at = 0; at < l->note_octets && !err;) {
		const uint8_t *note = l->notes + at;
		struct view v = {.kind = note[0], .to = {get_u32(note + 1)}, .name = note + 5, .bytes = note};

		err = put_record(l, &v, why);
		at += 5 + name_length(v.name);
	}
	return err;
}

/* Notes and entries behind what is valid; durable, or cut off again. */
static enum err write_group(struct steplog *l, const struct steplog_entry *entries, size_t count, uint64_t *first, struct why *why)
{
	uint64_t valid = 0;
	enum err err = ERR_OK;

	if (l->fd >= 0 && l->at >= FILE_FULL)
		end_file(l);
	if (l->fd < 0)
		err = begin_file(l, why);
	else
		valid = l->at;
	if (!err)
		err = put_notes(l, why);
	*first = l->at;
	for (size_t i = 0; i < count && !err; i++)
		err = put_entry(l, &entries[i], why);
	if (!err)
		err = flush(l, why);
	if (!err && fdatasync(l->fd) < 0)
		err = sys_fail(why, l->dir, "fdatasync");
	if (err) {
		give_up(l, valid);
		return err;
	}
	l->files[l->file_count - 1].length = l->at;
	l->note_octets = 0;
	return ERR_OK;
}

/* Images are written once more only where as much again is not needed. Steps become an image when they are too many. */
static uint64_t most_octets(const struct steplog *l)
{
	uint64_t twice = l->images ? 2 * l->images + FILE_FULL : 0;

	return l->most > twice ? l->most : twice;
}

enum err steplog_append(struct steplog *l, const struct steplog_entry *entries, size_t count, struct why *why)
{
	uint64_t octets = l->note_octets * 8, at;
	enum err err;

	for (size_t i = 0; i < count; i++) {
		if (entries[i].kind == STEPLOG_STEP && entries[i].length > STEPLOG_STEP_MAX)
			return err_why(why, ERR_LIMIT, "step log: a step of %zu octets", entries[i].length);
		octets += entry_octets(&entries[i]);
	}
	if (octets > UINT32_MAX - FILE_FULL)
		return err_why(why, ERR_LIMIT, "step log: %llu octets at once", (unsigned long long)octets);
	if (steplog_octets(l) > 2 * most_octets(l))
		return err_why(why, ERR_LIMIT, "step log: it has %llu octets, more than twice what it should",
			(unsigned long long)steplog_octets(l));
	if (!reserve(l, entries, count)) {
		unreserve(l, entries, count);
		return no_memory(why);
	}
	err = write_group(l, entries, count, &at, why);
	if (err) {
		unreserve(l, entries, count);
		return err;
	}
	for (size_t i = 0; i < count; i++)
		if (!mark_entry(l, &entries[i], &at))
			return no_memory(why);
	drop_old_files(l);
	return ERR_OK;
}

bool steplog_in_place(const struct steplog *l)
{
	char *path = l->file_count ? path_of(l, l->files[l->file_count - 1].number) : NULL;
	struct stat there, ours;
	bool gone = path && stat(path, &there) < 0 && (errno == ENOENT || errno == ENOTDIR);

	if (path && !gone && l->fd >= 0 && fstat(l->fd, &ours) == 0 && stat(path, &there) == 0)
		gone = there.st_dev != ours.st_dev || there.st_ino != ours.st_ino;
	free(path);
	return !gone;
}

/* --- asking ----------------------------------------------------------------------------- */

bool steplog_newest(const struct steplog *l, const uint8_t *name, struct serial *newest)
{
	const struct zone_marks *z = find(l, name);
	uint32_t n = z ? z->count - unfinished(z) : 0;

	if (n)
		*newest = z->mark[n - 1].to;
	return n != 0;
}

void steplog_each(const struct steplog *l, bool (*each)(void *ctx, const uint8_t *name, struct serial newest), void *ctx)
{
	for (size_t i = 0; i < l->places; i++)
		for (const struct zone_marks *z = l->table[i]; z; z = z->next) {
			uint32_t n = z->count - unfinished(z);

			if (n && !each(ctx, z->name, z->mark[n - 1].to))
				return;
		}
}

/* One zone while its records are read. */
struct loading {
	struct steplog *l;
	int fd;
	uint32_t file;
	uint8_t *bytes;
	size_t room;
};

static enum err open_for(struct loading *in, const struct mark *m, struct why *why)
{
	char *path;

	if (in->fd >= 0 && in->file == m->file)
		return ERR_OK;
	if (in->fd >= 0)
		close(in->fd);
	in->file = m->file;
	path = path_of(in->l, m->file);
	if (!path)
		return no_memory(why);
	in->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (in->fd < 0)
		sys_fail(why, path, "open");
	free(path);
	return in->fd < 0 ? ERR_IO : ERR_OK;
}

static enum err load_record(struct loading *in, const struct zone_marks *z, const struct mark *m, struct view *v, struct why *why)
{
	size_t size = RECORD_HEAD + name_length(z->name) + m->length, found;
	enum err err = open_for(in, m, why);
	ssize_t n;

	if (err)
		return err;
	if (size > in->room) {
		uint8_t *more = realloc(in->bytes, size);

		if (!more)
			return no_memory(why);
		in->bytes = more;
		in->room = size;
	}
	n = pread(in->fd, in->bytes, size, m->at);
	if (n < 0)
		return sys_fail(why, in->l->dir, "read");
	if ((size_t)n != size || read_record(m->file, m->at, in->bytes, size, v, &found) != FOUND_RECORD || !name_equal(v->name, z->name))
		return err_why(why, ERR_DAMAGED, "step log: %s/steps-%010u.log: octet %u: the record is damaged", in->l->dir, m->file, m->at);
	return ERR_OK;
}

enum err steplog_load(struct steplog *l, const uint8_t *name, bool (*each)(void *ctx, const struct steplog_record *), void *ctx, struct why *why)
{
	const struct zone_marks *z = find(l, name);
	uint32_t count = z ? z->count - unfinished(z) : 0;
	struct loading in = {.l = l, .fd = -1};
	enum err err = count ? ERR_OK : err_why(why, ERR_NOTFOUND, "step log: there is nothing of this zone");
	struct view v;

	for (uint32_t i = 0; i < count && !err; i++) {
		const struct mark *m = &z->mark[i];
		struct steplog_record r = {m->kind == PIECE ? STEPLOG_IMAGE : STEPLOG_STEP, m->from, m->to, NULL, 0};

		err = load_record(&in, z, m, &v, why);
		if (err)
			break;
		r.bytes = v.bytes;
		r.length = v.length;
		if (!each(ctx, &r))
			break;
	}
	if (in.fd >= 0)
		close(in.fd);
	free(in.bytes);
	return err;
}

/* --- forgetting ------------------------------------------------------------------------- */

/* The oldest files that nobody needs go: only from the oldest on, so that what one of them says of an older one is not lost before it. */
static void drop_old_files(struct steplog *l)
{
	bool long_enough = l->at > IDLE_MAX || steplog_octets(l) > most_octets(l);
	size_t n = 0;

	while (n < l->file_count && l->files[n].pins == 0 && (l->fd < 0 || n + 1 < l->file_count || long_enough))
		n++;
	if (!n)
		return;
	if (n == l->file_count && l->fd >= 0)
		end_file(l);
	for (size_t i = 0; i < n; i++)
		remove_file(l, l->files[i].number);
	file_sync_dir(l->dir, NULL);
	memmove(l->files, l->files + n, (l->file_count - n) * sizeof *l->files);
	l->file_count -= n;
}

/* Without memory for it the note is not taken: then more than is needed will be read after a kill. */
static void note(struct steplog *l, enum kind kind, const uint8_t *name, struct serial written)
{
	size_t n = name_length(name);
	uint8_t *at;

	if (!array_room(l->notes, l->note_room, l->note_octets + 5 + n))
		return;
	at = l->notes + l->note_octets;
	at[0] = (uint8_t)kind;
	put_u32(at + 1, written.v);
	name_lower(name, at + 5);
	l->note_octets += 5 + n;
}

void steplog_forget(struct steplog *l, const uint8_t *name, struct serial written)
{
	struct zone_marks *z = find(l, name);

	if (!z)
		return;
	note(l, WRITTEN, name, written);
	forget_until(l, z, written);
	drop_old_files(l);
}

void steplog_forget_zone(struct steplog *l, const uint8_t *name)
{
	struct zone_marks *z = find(l, name);

	if (!z)
		return;
	note(l, GONE, name, (struct serial){0});
	forget_all(l, z);
	drop_old_files(l);
}

uint64_t steplog_octets(const struct steplog *l)
{
	uint64_t octets = 0;

	for (size_t i = 0; i < l->file_count; i++)
		octets += l->files[i].length;
	return octets;
}

void steplog_set_most(struct steplog *l, uint64_t octets)
{
	l->most = octets;
}

/* The last of the oldest files without which the log would be small enough; 0: it is. */
static uint32_t too_many(const struct steplog *l)
{
	uint64_t octets = steplog_octets(l), most = most_octets(l);
	uint32_t until = 0;

	for (size_t i = 0; i < l->file_count && octets > most; i++) {
		octets -= l->files[i].length;
		until = l->files[i].number;
	}
	return until;
}

void steplog_pinning(struct steplog *l, bool (*each)(void *ctx, const uint8_t *name), void *ctx)
{
	uint32_t until = too_many(l);
	unsigned told = 0;

	if (until != l->pin_until)
		l->pin_at = 0;
	l->pin_until = until;
	for (; until && l->pin_at < l->places && told < TOLD_MAX; l->pin_at++)
		for (struct zone_marks *z = l->table[l->pin_at]; z; z = z->next) {
			if (!z->count || z->mark[0].file > until || z->told == until)
				continue;
			z->told = until;
			told++;
			if (!each(ctx, z->name))
				return;
		}
}

void steplog_close(struct steplog *l)
{
	uint64_t at;

	if (!l)
		return;
	if (l->zones && l->note_octets)
		write_group(l, NULL, 0, &at, NULL);
	if (l->fd >= 0)
		end_file(l);
	drop_old_files(l);
	log_free(l);
}
