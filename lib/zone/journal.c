#include "zone/journal.h"

#include "base/clock.h"
#include "base/siphash.h"
#include "zone/journalplace.h"
#include "zone/journalrow.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Pieces of images and steps lie beside each other by zone: the upper bits of their id are the zone's. */
enum {
	SCHEMA = 2, APPLICATION = 0x4c530000, ID_SHIFT = 36,
	LOG_MAX = 64 << 20,          /* octets of the write-ahead log with which it is emptied at once */
	FEW_OCTETS = 16 << 10,       /* steps so small never outgrow an image */
	STEPS_WANTED = 4096, STEPS_MAX = 1 << 16, STEP_MAX = 256 << 20,
	SEEK_ONE_BY_ONE = 256,
	STEPS_TO_NEAR = 4,
};
#define ZONE_ID_MAX (INT64_C(1) << (62 - ID_SHIFT))
#define STEP_NUMBER_MAX (UINT64_C(1) << (ID_SHIFT - 1))

/* No memory map of anything; locked for this process alone, so that nobody who reads keeps the log from being emptied, and its index
 * is in our own memory; an fsync at each commit. */
static const char setup_first[] =
	"PRAGMA locking_mode = EXCLUSIVE;"
	"PRAGMA mmap_size = 0;"
	"PRAGMA busy_timeout = 5000;";
static const char setup[] =
	"PRAGMA journal_mode = WAL;"
	"PRAGMA synchronous = FULL;"
	"PRAGMA wal_autocheckpoint = 0;"
	"PRAGMA journal_size_limit = 67108864;"
	"PRAGMA cache_size = -8192;";
#define SET_VERSION "PRAGMA user_version = 2;"
#define NUMBER_IT "PRAGMA application_id = 1280507906;"         /* APPLICATION | SCHEMA */
static const char schema[] =
	JOURNALROW_TABLE ";"
	"CREATE TABLE image (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL);"
	"CREATE TABLE step (id INTEGER PRIMARY KEY, from_serial INTEGER NOT NULL, to_serial INTEGER NOT NULL,"
	" bytes BLOB NOT NULL, sum INTEGER NOT NULL);"
	NUMBER_IT
	SET_VERSION;
static const char number_it[] = NUMBER_IT;

#define ROW_PARAMETERS "?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21"
enum statement {
	FIND, ADD_ZONE, SET_ROW, SET_CONTENT, DROP_ZONE, PUT_PIECE, CUT_PIECES, PUT_STEP, CUT_STEPS, STEP_SIZES, BEGIN, READ, COMMIT, ROLLBACK,
	ALL_ZONES, ONE_ZONE, PIECES, STEPS, STATEMENTS
};
static const char *const sql[STATEMENTS] = {
	[FIND] = "SELECT id, name, " JOURNALROW_CONTENT " FROM zone WHERE name = ?1",
	[ADD_ZONE] = "INSERT INTO zone (name, " JOURNALROW_ROW ", " JOURNALROW_CONTENT ") VALUES (?1, " ROW_PARAMETERS
		", ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29)",
	[SET_ROW] = "UPDATE zone SET (" JOURNALROW_ROW ") = (" ROW_PARAMETERS ") WHERE id = ?1",
	[SET_CONTENT] = "UPDATE zone SET (" JOURNALROW_CONTENT ") = (?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) WHERE id = ?1",
	[DROP_ZONE] = "DELETE FROM zone WHERE id = ?1",
	[PUT_PIECE] = "INSERT OR REPLACE INTO image VALUES (?1, ?2)",
	[CUT_PIECES] = "DELETE FROM image WHERE id >= ?1 AND id < ?2",
	[PUT_STEP] = "INSERT OR REPLACE INTO step VALUES (?1, ?2, ?3, ?4, ?5)",
	[CUT_STEPS] = "DELETE FROM step WHERE id >= ?1 AND id < ?2",
	[STEP_SIZES] = "SELECT id, length(bytes) FROM step WHERE id >= ?1 AND id < ?2 ORDER BY id DESC",
	[BEGIN] = "BEGIN IMMEDIATE",
	[READ] = "BEGIN",
	[COMMIT] = "COMMIT",
	[ROLLBACK] = "ROLLBACK",
	[ALL_ZONES] = "SELECT id, name, " JOURNALROW_ROW ", " JOURNALROW_CONTENT " FROM zone WHERE id >= ?1 ORDER BY id",
	[ONE_ZONE] = "SELECT id, name, " JOURNALROW_ROW ", " JOURNALROW_CONTENT " FROM zone WHERE name = ?1",
	[PIECES] = "SELECT id, bytes FROM image WHERE id >= ?1 ORDER BY id",
	[STEPS] = "SELECT id, from_serial, to_serial, bytes, sum FROM step WHERE id >= ?1 ORDER BY id",
};
enum { ROW_COLUMN = 2, CONTENT_COLUMN = ROW_COLUMN + JOURNALROW_ROW_COLUMNS };

/* A file by what it is, not by its name. */
struct identity {
	dev_t device;
	ino_t inode;
	off_t size;
};

/* A table in the order of its ids, read beside the zones. */
struct cursor {
	sqlite3_stmt *stmt;
	enum { CURSOR_UNSET, CURSOR_ROW, CURSOR_END, CURSOR_FAILED } state;
	int64_t id;                  /* of the row that it stands at */
	int64_t after;               /* there is no row between this id and it */
};

struct journal {
	int lock;
	char *path, *log_path;
	sqlite3 *db;                 /* NULL: closed, for this reason: */
	enum err closed_err;
	struct why closed_why;
	sqlite3_stmt *stmt[STATEMENTS];
	struct identity file, log;
	uint64_t log_pages;          /* that are not in the database yet */
	struct journalplaces places; /* of zones as they were last committed */
	bool held;                   /* between the calls of journal_hold_reads: */
	struct cursor pieces;        /* where the last zone that was loaded ended */
};

/* --- errors ------------------------------------------------------------------------------ */

static enum err err_of_errno(int number)
{
	switch (number) {
	case ENOSPC: case EDQUOT: case EFBIG: return ERR_NOSPACE;
	case EROFS: case EACCES: case EPERM: return ERR_REFUSED;
	case ENOMEM: return ERR_NOMEM;
	default: return ERR_IO;
	}
}

/* Why the system refused something; 0: not known. A commit that fails keeps it beside the log's file alone. */
static int system_errno(sqlite3 *db)
{
	int number = sqlite3_system_errno(db);
	sqlite3_file *log = NULL;

	if (!number && sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log) == SQLITE_OK && log && log->pMethods)
		log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &number);
	return number;
}

static enum err err_of(sqlite3 *db)
{
	int code = sqlite3_extended_errcode(db);

	switch (code & 0xff) {
	case SQLITE_FULL: return ERR_NOSPACE;
	case SQLITE_CORRUPT: case SQLITE_NOTADB: case SQLITE_CONSTRAINT: case SQLITE_ERROR: case SQLITE_SCHEMA: return ERR_DAMAGED;
	case SQLITE_READONLY: case SQLITE_PERM: return ERR_REFUSED;
	case SQLITE_NOMEM: return ERR_NOMEM;
	case SQLITE_BUSY: case SQLITE_LOCKED: return ERR_EXISTS;
	case SQLITE_IOERR:
		return code == SQLITE_IOERR_SHORT_READ || code == SQLITE_IOERR_CORRUPTFS ? ERR_DAMAGED : err_of_errno(system_errno(db));
	case SQLITE_CANTOPEN: return err_of_errno(system_errno(db));
	default: return ERR_IO;
	}
}

static enum err db_fail(struct journal *j, struct why *why, const char *doing)
{
	enum err err = err_of(j->db);
	int code = sqlite3_errcode(j->db) & 0xff, number = code == SQLITE_IOERR || code == SQLITE_CANTOPEN ? system_errno(j->db) : 0;

	return err_why(why, err, "database: %s: %s: %s%s%s", j->path, doing, sqlite3_errmsg(j->db), number ? ": " : "",
		number ? strerror(number) : "");
}

static enum err closed(const struct journal *j, struct why *why)
{
	return err_why(why, j->closed_err, "%s", err_say(&j->closed_why, j->closed_err));
}

/* --- running statements ------------------------------------------------------------------ */

/* NULL: it cannot be prepared; sqlite3_errcode says why. */
static sqlite3_stmt *statement(struct journal *j, enum statement which)
{
	if (!j->stmt[which])
		sqlite3_prepare_v3(j->db, sql[which], -1, SQLITE_PREPARE_PERSISTENT, &j->stmt[which], NULL);
	return j->stmt[which];
}

static void end_statement(sqlite3_stmt *stmt)
{
	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
}

/* One that gives no rows. */
static bool run(sqlite3_stmt *stmt)
{
	bool done = stmt && sqlite3_step(stmt) == SQLITE_DONE;

	if (stmt)
		end_statement(stmt);
	return done;
}

static bool run_plain(struct journal *j, enum statement which)
{
	return run(statement(j, which));
}

/* With a range of ids. */
static bool run_range(struct journal *j, enum statement which, int64_t from, int64_t to)
{
	sqlite3_stmt *stmt = statement(j, which);

	if (!stmt)
		return false;
	sqlite3_bind_int64(stmt, 1, from);
	sqlite3_bind_int64(stmt, 2, to);
	return run(stmt);
}

/* The number that a query gives first; -1: none, -2: an error of the database. */
#define FAILED INT64_MIN
static int64_t ask_number(struct journal *j, const char *query)
{
	sqlite3_stmt *stmt = NULL;
	int64_t number = FAILED;
	int code = sqlite3_prepare_v2(j->db, query, -1, &stmt, NULL);

	if (code == SQLITE_OK)
		code = sqlite3_step(stmt);
	if (code == SQLITE_ROW)
		number = sqlite3_column_int64(stmt, 0);
	else if (code == SQLITE_DONE)
		number = -1;
	sqlite3_finalize(stmt);
	return number;
}

/* --- opening ----------------------------------------------------------------------------- */

static bool add_zone(struct journal *j, const uint8_t *lower, const struct journal_row *, const struct journalrow_content *);

/* A time before 1970 or thousands of years away is none that was written. */
static int64_t moment(sqlite3_stmt *row, int column)
{
	int64_t at = sqlite3_column_int64(row, column);

	return at < 0 || at >> 40 ? 0 : at;
}

/* The rows of schema 1, which had no sums. */
static bool take_old_rows(struct journal *j)
{
	static const struct journalrow_content nothing;
	sqlite3_stmt *old = NULL;
	int code = sqlite3_prepare_v2(j->db, "SELECT name, serial, changed, refreshed, expires, expired, written, primary_name FROM zone1",
		-1, &old, NULL);

	while (code == SQLITE_OK && (code = sqlite3_step(old)) == SQLITE_ROW) {
		struct journal_row row = {.name = journalrow_name(old, 0), .serial = {(uint32_t)sqlite3_column_int64(old, 1)},
			.has_serial = sqlite3_column_type(old, 1) != SQLITE_NULL, .changed = moment(old, 2), .refreshed = moment(old, 3),
			.expires = moment(old, 4), .expired = sqlite3_column_int(old, 5) != 0, .primary = (const char *)sqlite3_column_text(old, 7)};

		code = !row.name || add_zone(j, row.name, &row, &nothing) ? SQLITE_OK : SQLITE_ERROR;
	}
	sqlite3_finalize(old);
	return code == SQLITE_DONE;
}

/* In one transaction: a kill leaves nothing, or the old one, or the new one. */
static enum err make_tables(struct journal *j, bool old, struct why *why)
{
	enum err err = ERR_OK;

	if (sqlite3_exec(j->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK ||
	    (old && sqlite3_exec(j->db, "ALTER TABLE zone RENAME TO zone1", NULL, NULL, NULL) != SQLITE_OK) ||
	    sqlite3_exec(j->db, schema, NULL, NULL, NULL) != SQLITE_OK || (old && !take_old_rows(j)) ||
	    (old && sqlite3_exec(j->db, "DROP TABLE zone1", NULL, NULL, NULL) != SQLITE_OK) ||
	    sqlite3_exec(j->db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
		err = db_fail(j, why, old ? "take over schema 1" : "make its tables");
	if (err && !sqlite3_get_autocommit(j->db))
		sqlite3_exec(j->db, "ROLLBACK", NULL, NULL, NULL);
	return err;
}

static bool identify(const char *path, struct identity *out)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return false;
	*out = (struct identity){st.st_dev, st.st_ino, st.st_size};
	return true;
}

static int count_log(void *ctx, sqlite3 *db, const char *name, int pages)
{
	struct journal *j = ctx;

	(void)db;
	(void)name;
	j->log_pages = (uint64_t)pages;
	return SQLITE_OK;
}

/* The schema's number stands twice in the file's head, once as the low half of the application's: one that was made by a newer Lockstep has it in
 * both, one that was damaged has not. */
static enum err check_schema(struct journal *j, int64_t *version, int64_t *application, struct why *why)
{
	int64_t tables;

	*version = ask_number(j, "PRAGMA user_version");
	*application = ask_number(j, "PRAGMA application_id");
	tables = *version == 0 ? ask_number(j, "SELECT 1 FROM sqlite_schema") : 0;
	if (*version == FAILED || tables == FAILED || *application == FAILED)
		return db_fail(j, why, "open");
	if (*version > SCHEMA && *version <= 0xffff && *application == (APPLICATION | *version))
		return err_why(why, ERR_CONF, "database: %s: made by a newer version of Lockstep (schema %lld, this one knows %d)", j->path,
			(long long)*version, SCHEMA);
	if (*version == 0 && tables == 1)
		return err_why(why, ERR_DAMAGED, "database: %s: not one of Lockstep", j->path);
	if (*version < 0 || *version > SCHEMA || (*version != SCHEMA && *application == (APPLICATION | SCHEMA)))
		return err_why(why, ERR_DAMAGED, "database: %s: its schema number (%lld) is damaged", j->path, (long long)*version);
	return ERR_OK;
}

/* Why it cannot be written: its head may say that nobody who does not know a newer SQLite may. */
static enum err read_only(const struct journal *j, struct why *why)
{
	uint8_t head[20];
	int fd = open(j->path, O_RDONLY | O_CLOEXEC);
	bool damaged = fd >= 0 && pread(fd, head, sizeof head, 0) == sizeof head && head[18] > 2;

	if (fd >= 0)
		close(fd);
	if (damaged)
		return err_why(why, ERR_DAMAGED, "database: %s: its head is damaged", j->path);
	return err_why(why, ERR_REFUSED, "database: %s: it cannot be written", j->path);
}

static enum err prepare(struct journal *j, struct why *why)
{
	int64_t version = 0, application = 0;
	enum err err;

	if (sqlite3_exec(j->db, setup_first, NULL, NULL, NULL) != SQLITE_OK)
		return db_fail(j, why, "open");
	err = check_schema(j, &version, &application, why);
	if (err)
		return err;
	if (sqlite3_exec(j->db, setup, NULL, NULL, NULL) != SQLITE_OK)
		return db_fail(j, why, "set up");
	if (sqlite3_db_readonly(j->db, NULL) == 1)
		return read_only(j, why);
	if (version != SCHEMA && (err = make_tables(j, version == 1, why)))
		return err;
	if (version == SCHEMA && application != (APPLICATION | SCHEMA) && sqlite3_exec(j->db, number_it, NULL, NULL, NULL) != SQLITE_OK)
		return db_fail(j, why, "set up");
	for (enum statement i = 0; i < STATEMENTS; i++)
		if (!statement(j, i))
			return db_fail(j, why, "prepare");
	sqlite3_wal_hook(j->db, count_log, j);
	j->log_pages = 1;            /* what the last process left, if it did */
	identify(j->path, &j->file);
	identify(j->log_path, &j->log);
	return ERR_OK;
}

static enum err open_file(struct journal *j, struct why *why)
{
	if (sqlite3_open_v2(j->path, &j->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
		return db_fail(j, why, "open");
	sqlite3_extended_result_codes(j->db, 1);
	return prepare(j, why);
}

static void close_file(struct journal *j)
{
	journalplaces_drop(&j->places);
	j->held = false;
	j->pieces = (struct cursor){0};
	for (enum statement i = 0; i < STATEMENTS; i++) {
		sqlite3_finalize(j->stmt[i]);
		j->stmt[i] = NULL;
	}
	sqlite3_close(j->db);
	j->db = NULL;
	j->file = j->log = (struct identity){0};
}

/* Held until the process ends or closes it, however that comes about. */
static enum err take_lock(struct journal *j, const char *dir, struct why *why)
{
	char path[4096];

	if ((size_t)snprintf(path, sizeof path, "%s/lockstep.lock", dir) >= sizeof path)
		return err_why(why, ERR_CONF, "state-dir is too long a path");
	j->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (j->lock < 0)
		return err_why(why, err_of_errno(errno), "%s: %s", path, strerror(errno));
	if (flock(j->lock, LOCK_EX | LOCK_NB) == 0)
		return ERR_OK;
	if (errno == EWOULDBLOCK)
		return err_why(why, ERR_EXISTS, "%s: another lockstepd uses this state-dir", dir);
	return err_why(why, ERR_IO, "%s: lock: %s", path, strerror(errno));
}

void journal_close(struct journal *j)
{
	if (!j)
		return;
	close_file(j);
	if (j->lock >= 0)
		close(j->lock);
	free(j->path);
	free(j->log_path);
	free(j);
}

/* The damaged files are kept, under another name, for whoever wants to look. The log first: a new database must not meet it. */
static enum err set_aside(const struct journal *j, struct why *why)
{
	static const char *const part[] = {"-wal", "-shm", ""};
	char from[4096 + 8], to[4096 + 64];
	long long now = (long long)clock_unix();

	for (unsigned i = 0; i < 3; i++) {
		snprintf(from, sizeof from, "%s%s", j->path, part[i]);
		snprintf(to, sizeof to, "%s.damaged-%lld%s", j->path, now, part[i]);
		if (rename(from, to) < 0 && errno != ENOENT)
			return err_why(why, err_of_errno(errno), "%s: it is damaged, and cannot be set aside: %s", from, strerror(errno));
	}
	return ERR_OK;
}

enum err journal_reopen(struct journal *j, struct why *why)
{
	enum err err;

	close_file(j);
	err = set_aside(j, why);
	if (!err)
		err = open_file(j, why);
	if (!err)
		return err_why(why, ERR_OK, "%s was damaged: it was set aside and begun anew", j->path);
	close_file(j);
	j->closed_err = err;
	err_why(&j->closed_why, err, "%s", err_say(why, err));
	return err;
}

enum err journal_open(struct journal **out, const char *dir, struct why *why)
{
	struct journal *j = calloc(1, sizeof *j);
	enum err err;

	if (!j)
		return err_why(why, ERR_NOMEM, "out of memory");
	j->lock = -1;
	if (asprintf(&j->path, "%s/lockstep.db", dir) < 0 || asprintf(&j->log_path, "%s/lockstep.db-wal", dir) < 0) {
		err = err_why(why, ERR_NOMEM, "out of memory");
	} else {
		err = file_mkdirs(dir, why);
		if (!err)
			err = take_lock(j, dir, why);
		if (!err)
			err = open_file(j, why);
		if (err == ERR_DAMAGED)
			err = journal_reopen(j, why);
	}
	if (err)
		journal_close(j);
	else
		*out = j;
	return err;
}

/* Whether the files are still those that were opened: nothing tells us if they are removed, replaced or cut. */
static enum err check_place(struct journal *j, struct why *why)
{
	struct identity now;

	if (!identify(j->path, &now))
		return err_why(why, errno == ENOENT ? ERR_DAMAGED : ERR_IO, "database: %s: %s", j->path, strerror(errno));
	if (now.device != j->file.device || now.inode != j->file.inode)
		return err_why(why, ERR_DAMAGED, "database: %s: it was replaced by another file", j->path);
	if (now.size < j->file.size)
		return err_why(why, ERR_DAMAGED, "database: %s: it was cut off", j->path);
	j->file.size = now.size;
	if (!j->log.inode && identify(j->log_path, &j->log))
		return ERR_OK;
	if (j->log.inode && (!identify(j->log_path, &now) || now.device != j->log.device || now.inode != j->log.inode))
		return err_why(why, ERR_DAMAGED, "database: %s: it is gone, or was replaced by another file", j->log_path);
	return ERR_OK;
}

/* --- one zone's place --------------------------------------------------------------------- */

/* A zone while it is changed. */
struct place {
	uint8_t name[NAME_SIZE];     /* in lower case */
	size_t name_length;
	bool there;
	int64_t id;
	struct journalrow_content content;
};

static int64_t first_id(int64_t zone) { return zone << ID_SHIFT; }

/* False: an error of the database. A content that does not check is none. */
static bool find_zone(struct journal *j, const uint8_t *name, struct place *p)
{
	sqlite3_stmt *find = statement(j, FIND);
	bool good = true;
	int code;

	*p = (struct place){0};
	p->name_length = name_lower(name, p->name);
	if (!find)
		return false;
	sqlite3_bind_blob(find, 1, p->name, (int)p->name_length, SQLITE_STATIC);
	code = sqlite3_step(find);
	if (code == SQLITE_ROW) {
		const uint8_t *found = journalrow_name(find, 1);

		p->there = true;
		p->id = sqlite3_column_int64(find, 0);
		journalrow_read_content(find, 2, p->name, &p->content);
		good = found && name_equal(found, p->name) && p->id > 0 && p->id < ZONE_ID_MAX;
	}
	end_statement(find);
	return good && (code == SQLITE_ROW || code == SQLITE_DONE);
}

static bool add_zone(struct journal *j, const uint8_t *lower, const struct journal_row *row, const struct journalrow_content *content)
{
	sqlite3_stmt *add = statement(j, ADD_ZONE);

	if (!add)
		return false;
	sqlite3_bind_blob(add, 1, lower, (int)name_length(lower), SQLITE_STATIC);
	journalrow_bind(add, 2, lower, row);
	journalrow_bind_content(add, 2 + JOURNALROW_ROW_COLUMNS, lower, content);
	return run(add);
}

static bool set_row(struct journal *j, const struct place *p, const struct journal_row *row)
{
	sqlite3_stmt *set = statement(j, SET_ROW);

	if (!set)
		return false;
	sqlite3_bind_int64(set, 1, p->id);
	journalrow_bind(set, 2, p->name, row);
	return run(set);
}

static bool set_content(struct journal *j, const struct place *p)
{
	sqlite3_stmt *set = statement(j, SET_CONTENT);

	if (!set)
		return false;
	sqlite3_bind_int64(set, 1, p->id);
	journalrow_bind_content(set, 2, p->name, &p->content);
	return run(set);
}

/* Row and content as they are to be; a zone that is new is made. */
static bool put_zone(struct journal *j, struct place *p, const struct journal_row *row, bool content_changed)
{
	const struct journal_row empty = {.name = p->name};

	if (p->there)
		return (!row || set_row(j, p, row)) && (!content_changed || set_content(j, p));
	if (!add_zone(j, p->name, row ? row : &empty, &p->content))
		return false;
	p->there = true;
	p->id = sqlite3_last_insert_rowid(j->db);
	return p->id > 0 && p->id < ZONE_ID_MAX;
}

/* --- steps and images -------------------------------------------------------------------- */

static uint64_t sum_of_step(const uint8_t *name, uint64_t number, struct serial from, struct serial to, const uint8_t *bytes, size_t length)
{
	uint8_t head[16];
	struct siphash sum;

	put_u64(head, number);
	put_u32(head + 8, from.v);
	put_u32(head + 12, to.v);
	siphash_begin(&sum, siphash_sum_key);
	siphash_add(&sum, head, sizeof head);
	siphash_add(&sum, name, name_length(name));
	siphash_add(&sum, bytes, length);
	return siphash_end(&sum);
}

static bool put_step(struct journal *j, const struct place *p, const struct journal_change *change)
{
	uint64_t number = p->content.next_step;
	sqlite3_stmt *put = statement(j, PUT_STEP);

	if (!put)
		return false;
	sqlite3_bind_int64(put, 1, first_id(p->id) + (int64_t)number);
	sqlite3_bind_int64(put, 2, change->from.v);
	sqlite3_bind_int64(put, 3, change->to.v);
	sqlite3_bind_blob(put, 4, change->length ? (const void *)change->bytes : "", (int)change->length, SQLITE_STATIC);
	sqlite3_bind_int64(put, 5,
		(int64_t)sum_of_step(p->name, number, change->from, change->to, change->bytes, change->length));
	return run(put);
}

/* Whether the step may be taken at all; what it is not is said to the caller in change->err. */
static enum err fits(const struct journalrow_content *c, const struct journal_change *change)
{
	uint64_t octets = c->step_octets + change->length;

	if (!c->has_image || !serial_equal(c->last, change->from))
		return ERR_MISMATCH;
	if (change->length > STEP_MAX || c->next_step - c->image_at >= STEPS_MAX || c->next_step >= STEP_NUMBER_MAX ||
	    octets > 2 * c->image_octets + 64 * FEW_OCTETS)
		return ERR_LIMIT;
	return ERR_OK;
}

static bool outgrown(const struct journalrow_content *c)
{
	return c->next_step - c->image_at >= STEPS_WANTED || (c->step_octets > FEW_OCTETS && c->step_octets > c->image_octets / 2);
}

static bool add_step(struct journal *j, struct place *p, struct journal_change *change)
{
	struct journalrow_content *c = &p->content;

	change->err = fits(c, change);
	if (change->err)
		return true;
	if (!put_step(j, p, change))
		return false;
	c->next_step++;
	c->step_octets += change->length;
	c->last = change->to;
	change->outgrown = outgrown(c);
	return put_zone(j, p, change->row, true);
}

/* The newest steps stay, up to `keep` octets; their numbers go on. */
static bool cut_steps(struct journal *j, const struct place *p, uint64_t keep)
{
	int64_t first = first_id(p->id), end = first_id(p->id + 1), from = first + (int64_t)p->content.next_step;
	sqlite3_stmt *sizes = statement(j, STEP_SIZES);
	uint64_t octets = 0;
	int code = SQLITE_DONE;

	if (!sizes)
		return false;
	sqlite3_bind_int64(sizes, 1, first);
	sqlite3_bind_int64(sizes, 2, from);
	while (keep && (code = sqlite3_step(sizes)) == SQLITE_ROW) {
		octets += (uint64_t)sqlite3_column_int64(sizes, 1);
		if (octets > keep)
			break;
		from = sqlite3_column_int64(sizes, 0);
	}
	end_statement(sizes);
	if (!keep)
		return run_range(j, CUT_STEPS, first, end);
	return (code == SQLITE_ROW || code == SQLITE_DONE) && run_range(j, CUT_STEPS, first, from);
}

static bool put_pieces(struct journal *j, const struct place *p, const struct image *image)
{
	for (size_t i = 0; i < image->count; i++) {
		sqlite3_stmt *put = statement(j, PUT_PIECE);

		if (!put)
			return false;
		sqlite3_bind_int64(put, 1, first_id(p->id) + (int64_t)i);
		sqlite3_bind_blob(put, 2, image->piece[i].bytes, (int)image->piece[i].length, SQLITE_STATIC);
		if (!run(put))
			return false;
	}
	return true;
}

static bool set_image(struct journal *j, struct place *p, struct journal_change *change)
{
	const struct image *image = change->image;
	struct journalrow_content *c = &p->content;
	bool follows = c->has_image && serial_equal(c->last, change->to) && c->next_step < STEP_NUMBER_MAX / 2, was_there = p->there;

	if (was_there && (!cut_steps(j, p, follows ? change->keep : 0) ||
	    !run_range(j, CUT_PIECES, first_id(p->id) + (int64_t)image->count, first_id(p->id + 1))))
		return false;
	if (!follows || !change->keep)
		c->next_step = 0;
	c->has_image = true;
	c->image = c->last = change->to;
	c->parts = (uint32_t)image->count;
	c->image_octets = image->octets;
	c->image_at = c->next_step;
	c->step_octets = 0;
	return put_zone(j, p, change->row, true) && put_pieces(j, p, image);
}

static bool forget(struct journal *j, const struct place *p)
{
	sqlite3_stmt *drop = statement(j, DROP_ZONE);

	if (!p->there)
		return true;
	if (!drop || !run_range(j, CUT_PIECES, first_id(p->id), first_id(p->id + 1)) ||
	    !run_range(j, CUT_STEPS, first_id(p->id), first_id(p->id + 1)))
		return false;
	sqlite3_bind_int64(drop, 1, p->id);
	return run(drop);
}

static bool apply(struct journal *j, struct journal_change *change)
{
	const uint8_t *name = change->name ? change->name : change->row->name;
	struct journalplace was;
	struct place p;

	change->err = ERR_OK;
	change->outgrown = false;
	journalplaces_take(&j->places, name, &was);
	if (!find_zone(j, name, &p))
		return false;
	switch (change->kind) {
	case JOURNAL_ROW:
		return put_zone(j, &p, change->row, false);
	case JOURNAL_STEP:
		return add_step(j, &p, change);
	case JOURNAL_IMAGE:
		return set_image(j, &p, change);
	case JOURNAL_FORGET:
		return forget(j, &p);
	}
	return false;
}

/* --- committing -------------------------------------------------------------------------- */

static enum err empty_log(struct journal *j, struct why *why)
{
	if (sqlite3_wal_checkpoint_v2(j->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL) != SQLITE_OK)
		return db_fail(j, why, "empty its log");
	j->log_pages = 0;
	return ERR_OK;
}

static enum err roll_back(struct journal *j, enum err err)
{
	if (!sqlite3_get_autocommit(j->db))
		run_plain(j, ROLLBACK);
	return err;
}

/* Where SQLite saw no error the zone was not where its index said. */
static enum err apply_fail(struct journal *j, struct why *why)
{
	int code = sqlite3_errcode(j->db) & 0xff;

	if (code == SQLITE_OK || code == SQLITE_ROW || code == SQLITE_DONE)
		return err_why(why, ERR_DAMAGED, "database: %s: its index leads to another zone", j->path);
	return db_fail(j, why, "write");
}

enum err journal_commit(struct journal *j, struct journal_change *changes, size_t count, struct why *why)
{
	enum err err = j->db ? check_place(j, why) : closed(j, why);

	if (!err && !run_plain(j, BEGIN))
		err = db_fail(j, why, "begin");
	for (size_t i = 0; i < count && !err; i++)
		if (!apply(j, &changes[i]))
			err = roll_back(j, apply_fail(j, why));
	if (!err && !run_plain(j, COMMIT))
		err = roll_back(j, db_fail(j, why, "commit"));
	if (err) {
		for (size_t i = 0; i < count; i++)
			changes[i].err = err;
		return err;
	}
	if (j->log_pages * 4096 > LOG_MAX)
		empty_log(j, NULL);      /* what was committed is durable; journal_idle will say it */
	return ERR_OK;
}

enum err journal_try(struct journal *j, struct why *why)
{
	enum err err = j->db ? check_place(j, why) : closed(j, why);

	if (!err && sqlite3_exec(j->db, SET_VERSION, NULL, NULL, NULL) != SQLITE_OK)
		err = db_fail(j, why, "write");
	return err;
}

enum err journal_idle(struct journal *j, struct why *why)
{
	enum err err;

	if (!j->db)
		return closed(j, why);
	err = j->log_pages ? empty_log(j, why) : ERR_OK;
	sqlite3_db_release_memory(j->db);
	return err;
}

void journal_forget_places(struct journal *j)
{
	journalplaces_drop(&j->places);
	if (j->db)
		sqlite3_db_release_memory(j->db);
}

struct journal_sizes journal_sizes(const struct journal *j)
{
	struct identity file = {0}, log = {0};

	identify(j->path, &file);
	identify(j->log_path, &log);
	return (struct journal_sizes){(uint64_t)file.size, (uint64_t)log.size};
}

/* --- reading ----------------------------------------------------------------------------- */

struct scan {
	struct journal *j;
	journal_each *each;
	void *ctx;
	struct cursor zones, pieces, steps;
	bool damaged;                /* part of the database could not be read: */
	enum err err;
	struct why said;
	struct journal_item item;    /* what does not change from item to item of a zone */
	struct journalrow_content content;
	struct why damage;
};

static void advance(struct scan *s, struct cursor *c)
{
	int code = sqlite3_step(c->stmt);

	c->after = c->id;
	c->state = code == SQLITE_ROW ? CURSOR_ROW : code == SQLITE_DONE ? CURSOR_END : CURSOR_FAILED;
	c->id = code == SQLITE_ROW ? sqlite3_column_int64(c->stmt, 0) : 0;
	if (c->state != CURSOR_FAILED || s->err)
		return;
	s->err = db_fail(s->j, &s->said, "read");
}

/* Whether it stands at the first row whose id is not smaller. */
static bool stands_at(const struct cursor *c, int64_t id)
{
	return id > c->after && (c->state == CURSOR_END || (c->state == CURSOR_ROW && c->id >= id));
}

/* To that row. A few steps cost less than a search from the root. */
static void seek(struct scan *s, struct cursor *c, int64_t id)
{
	for (unsigned i = 0; i < STEPS_TO_NEAR && c->state == CURSOR_ROW && c->id < id && id - c->id <= first_id(STEPS_TO_NEAR); i++)
		advance(s, c);
	if (stands_at(c, id))
		return;
	c->id = id - 1;
	sqlite3_reset(c->stmt);
	sqlite3_bind_int64(c->stmt, 1, id);
	advance(s, c);
}

static void note_damage(struct scan *s, const char *what, uint64_t number)
{
	char name[NAME_TEXT_SIZE];

	if (!s->damage.text[0])
		err_why(&s->damage, ERR_DAMAGED, "database: zone %.200s: %s %llu is damaged or missing", name_text(s->item.row->name, name), what,
			(unsigned long long)number);
}

static enum journal_want give(struct scan *s, enum journal_item_kind kind)
{
	s->item.kind = kind;
	return s->each(s->ctx, &s->item);
}

/* All pieces, or those before the first that is missing. */
static enum journal_want give_pieces(struct scan *s, int64_t zone)
{
	enum journal_want want = JOURNAL_GO_ON;
	uint32_t n = 0;

	s->item.to = s->content.image;
	seek(s, &s->pieces, first_id(zone));
	for (; n < s->content.parts && s->pieces.state == CURSOR_ROW && s->pieces.id == first_id(zone) + n && want == JOURNAL_GO_ON; n++) {
		s->item.bytes = sqlite3_column_blob(s->pieces.stmt, 1);
		s->item.length = (size_t)sqlite3_column_bytes(s->pieces.stmt, 1);
		want = give(s, JOURNAL_ITEM_IMAGE);
		if (n + 1 < s->content.parts)        /* the next one may be another zone's, and not be readable */
			advance(s, &s->pieces);
	}
	s->item.has_image = n == s->content.parts;
	if (!s->item.has_image && want == JOURNAL_GO_ON)
		note_damage(s, "piece of its image", n);
	return want;
}

static bool take_step(struct scan *s, uint64_t number)
{
	sqlite3_stmt *row = s->steps.stmt;
	struct journal_item *item = &s->item;

	item->from.v = (uint32_t)sqlite3_column_int64(row, 1);
	item->to.v = (uint32_t)sqlite3_column_int64(row, 2);
	item->bytes = sqlite3_column_blob(row, 3);
	item->length = (size_t)sqlite3_column_bytes(row, 3);
	item->before = number < s->content.image_at;
	return (uint64_t)sqlite3_column_int64(row, 4) ==
		sum_of_step(item->row->name, number, item->from, item->to, item->bytes, item->length);
}

/* Those that check. Behind the image they are given as far as each follows on the one before. */
static enum journal_want give_steps(struct scan *s, int64_t zone)
{
	enum journal_want want = JOURNAL_GO_ON;
	uint64_t due = s->content.image_at;
	struct serial at = s->content.image;

	if (s->content.next_step)
		seek(s, &s->steps, first_id(zone));
	while (s->steps.state == CURSOR_ROW && s->steps.id < first_id(zone + 1) && want == JOURNAL_GO_ON) {
		uint64_t number = (uint64_t)(s->steps.id - first_id(zone));
		bool good = number < s->content.next_step && take_step(s, number);

		if (good && s->item.before) {
			want = give(s, JOURNAL_ITEM_STEP);
		} else if (good && number == due && serial_equal(at, s->item.from)) {
			at = s->item.to;
			due++;
			want = give(s, JOURNAL_ITEM_STEP);
		} else if (number < s->content.next_step) {
			note_damage(s, "step", number < due ? number : due);
		}
		if (number + 1 >= s->content.next_step)
			break;
		advance(s, &s->steps);
	}
	if (want == JOURNAL_GO_ON && (due != s->content.next_step || !serial_equal(at, s->content.last)))
		note_damage(s, "step", due);
	return want;
}

/* What belongs to the zone, whose ROW was given, and its end. */
static enum journal_want give_content(struct scan *s, int64_t zone, enum journal_extent extent)
{
	enum journal_want want = JOURNAL_GO_ON;

	if (extent == JOURNAL_ALL && s->content.has_image) {
		want = give_pieces(s, zone);
		if (want == JOURNAL_GO_ON)
			want = give_steps(s, zone);
	}
	s->item.damage = s->damage.text[0] ? s->damage.text : NULL;
	return want == JOURNAL_GO_ON ? give(s, JOURNAL_ITEM_END) : want;
}

/* The zone whose row the zones' cursor stands at. */
static enum journal_want give_zone(struct scan *s, enum journal_extent extent)
{
	sqlite3_stmt *from = s->zones.stmt;
	const uint8_t *name = journalrow_name(from, 1);
	enum journal_want want;
	struct journal_member member;
	struct journal_row row;
	bool content_whole;

	if (!name || s->zones.id <= 0 || s->zones.id >= ZONE_ID_MAX)
		return JOURNAL_GO_ON;
	s->damage.text[0] = 0;
	s->item = (struct journal_item){.row = &row};
	s->item.row_whole = journalrow_read(from, ROW_COLUMN, name, &row, &member);
	content_whole = journalrow_read_content(from, CONTENT_COLUMN, name, &s->content);
	s->item.has_last = s->content.has_image;
	s->item.last = s->content.last;
	if (!s->item.row_whole)
		note_damage(s, "its row, with id", (uint64_t)s->zones.id);
	else if (!content_whole)
		note_damage(s, "what is known of its image, with id", (uint64_t)s->zones.id);
	else if (extent == JOURNAL_ROWS)
		journalplaces_add(&s->j->places, s->zones.id, &row, &s->content);
	want = give(s, JOURNAL_ITEM_ROW);
	return want == JOURNAL_GO_ON ? give_content(s, s->zones.id, extent) : want;
}

/* The same from what a scan of the rows saw. */
static void give_place(struct scan *s, const uint8_t *name, const struct journalplace *place)
{
	const struct journal_row row = {.name = name, .serial = place->serial, .has_serial = place->has_serial, .written = place->written,
		.file = place->file, .file_known = place->file_known};

	s->content = place->content;
	s->item = (struct journal_item){.row = &row, .row_whole = true, .has_last = s->content.has_image, .last = s->content.last};
	if (give(s, JOURNAL_ITEM_ROW) == JOURNAL_GO_ON)
		give_content(s, place->id, JOURNAL_ALL);
}

/* Past a place that cannot be read: one zone after the other, and in ever larger steps where that does not help. */
static void seek_on(struct scan *s, int64_t id)
{
	int64_t step = 1;

	for (unsigned tries = 0; s->zones.state == CURSOR_FAILED && id < ZONE_ID_MAX; tries++) {
		id += step;
		if (tries > SEEK_ONE_BY_ONE)
			step *= 2;
		seek(s, &s->zones, id);
	}
}

static bool begin_scan(struct scan *s, enum statement zones)
{
	s->zones.stmt = statement(s->j, zones);
	s->pieces.stmt = statement(s->j, PIECES);
	s->steps.stmt = statement(s->j, STEPS);
	return s->zones.stmt && s->pieces.stmt && s->steps.stmt;
}

static void end_scan(struct scan *s)
{
	end_statement(s->zones.stmt);
	end_statement(s->pieces.stmt);
	end_statement(s->steps.stmt);
}

enum err journal_scan(struct journal *j, enum journal_extent extent, journal_each *each, void *ctx, struct why *why)
{
	struct scan s = {.j = j, .each = each, .ctx = ctx};
	enum journal_want want = JOURNAL_GO_ON;
	int64_t id = 0;

	if (!j->db)
		return closed(j, why);
	if (!begin_scan(&s, ALL_ZONES))
		return db_fail(j, why, "read");
	seek(&s, &s.zones, 1);
	while (want != JOURNAL_STOP && s.zones.state != CURSOR_END) {
		if (s.zones.state == CURSOR_FAILED) {
			seek_on(&s, id);
			if (s.zones.state == CURSOR_FAILED)
				break;
			continue;
		}
		id = s.zones.id;
		want = give_zone(&s, extent);
		advance(&s, &s.zones);
	}
	end_scan(&s);
	return s.err ? err_why(why, s.err, "%s", s.said.text) : ERR_OK;
}

void journal_hold_reads(struct journal *j, bool hold)
{
	if (!j->db || hold == j->held)
		return;
	if (!hold && j->pieces.stmt)
		end_statement(j->pieces.stmt);
	j->pieces = (struct cursor){0};
	j->held = hold && run_plain(j, READ);
	if (!hold)
		run_plain(j, ROLLBACK);
}

/* False: there is nothing of the zone. */
static bool load_by_name(struct scan *s, const uint8_t *lower, size_t length)
{
	bool found;

	sqlite3_bind_blob(s->zones.stmt, 1, lower, (int)length, SQLITE_STATIC);
	advance(s, &s->zones);
	found = s->zones.state == CURSOR_ROW;
	if (found)
		give_zone(s, JOURNAL_ALL);
	end_statement(s->zones.stmt);
	return found;
}

enum err journal_load(struct journal *j, const uint8_t *name, journal_each *each, void *ctx, struct why *why)
{
	struct scan s = {.j = j, .each = each, .ctx = ctx};
	uint8_t lower[NAME_SIZE];
	size_t length = name_lower(name, lower);
	struct journalplace place;
	bool found = true;

	if (!j->db)
		return closed(j, why);
	if (!begin_scan(&s, ONE_ZONE))
		return db_fail(j, why, "read");
	if (j->pieces.stmt)
		s.pieces = j->pieces;
	if (journalplaces_take(&j->places, lower, &place))
		give_place(&s, lower, &place);
	else
		found = load_by_name(&s, lower, length);
	if (s.steps.state != CURSOR_UNSET)
		end_statement(s.steps.stmt);
	j->pieces = j->held && !s.err ? s.pieces : (struct cursor){0};
	if (!j->pieces.stmt && s.pieces.state != CURSOR_UNSET)
		end_statement(s.pieces.stmt);
	if (s.err)
		return err_why(why, s.err, "%s", s.said.text);
	return found ? ERR_OK : err_why(why, ERR_NOTFOUND, "database: there is nothing of this zone");
}
