#include "zone/journal.h"

#include "base/clock.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* WAL, and an fsync at each commit: what a call has written survives a power cut. No memory map: a damaged page or a full disk is
 * an error that we can report. */
static const char setup[] =
	"PRAGMA journal_mode = WAL;"
	"PRAGMA synchronous = FULL;"
	"PRAGMA mmap_size = 0;"
	"PRAGMA busy_timeout = 5000;"
	"CREATE TABLE IF NOT EXISTS zone ("
	" name BLOB PRIMARY KEY,"            /* wire form, lower case */
	" serial INTEGER,"                   /* NULL: no version was ever taken */
	" changed INTEGER NOT NULL,"
	" refreshed INTEGER NOT NULL,"
	" expires INTEGER NOT NULL,"
	" expired INTEGER NOT NULL,"
	" written INTEGER,"                  /* serial in the zone file; NULL: not known */
	" primary_name TEXT NOT NULL"
	") WITHOUT ROWID;"
	"PRAGMA user_version = 1;";

enum { SCHEMA = 1 };

struct journal {
	int lock;
	sqlite3 *db;
	sqlite3_stmt *put, *drop;
};

static enum err db_fail(struct journal *j, struct why *why, const char *doing)
{
	int code = sqlite3_errcode(j->db);
	enum err err = code == SQLITE_FULL ? ERR_NOSPACE : code == SQLITE_CORRUPT || code == SQLITE_NOTADB ? ERR_DAMAGED :
		code == SQLITE_NOMEM ? ERR_NOMEM : ERR_IO;

	return err_why(why, err, "database: %s: %s", doing, sqlite3_errmsg(j->db));
}

static int read_pragma(struct journal *j, const char *sql, char *out, size_t size)
{
	sqlite3_stmt *stmt = NULL;
	int code = sqlite3_prepare_v2(j->db, sql, -1, &stmt, NULL);

	if (code == SQLITE_OK && (code = sqlite3_step(stmt)) == SQLITE_ROW) {
		snprintf(out, size, "%s", (const char *)sqlite3_column_text(stmt, 0));
		code = SQLITE_OK;
	}
	sqlite3_finalize(stmt);
	return code;
}

/* What our SQL does not fit was not made by it: as good as damaged. */
static enum err not_ours(struct journal *j, struct why *why, const char *doing)
{
	if (sqlite3_errcode(j->db) != SQLITE_ERROR)
		return db_fail(j, why, doing);
	return err_why(why, ERR_DAMAGED, "database: not one of Lockstep: %s", sqlite3_errmsg(j->db));
}

static enum err prepare(struct journal *j, struct why *why)
{
	char text[64] = "";

	if (read_pragma(j, "PRAGMA user_version", text, sizeof text) != SQLITE_OK)
		return db_fail(j, why, "open");
	if (atoi(text) > SCHEMA)
		return err_why(why, ERR_CONF, "database: made by a newer version of Lockstep (schema %s, this one knows %d)", text, SCHEMA);
	if (read_pragma(j, "PRAGMA quick_check(1)", text, sizeof text) != SQLITE_OK)
		return db_fail(j, why, "check");
	if (strcmp(text, "ok") != 0)
		return err_why(why, ERR_DAMAGED, "database: damaged: %s", text);
	if (sqlite3_exec(j->db, setup, NULL, NULL, NULL) != SQLITE_OK)
		return not_ours(j, why, "set up");
	if (sqlite3_prepare_v2(j->db, "INSERT OR REPLACE INTO zone VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)", -1, &j->put, NULL) !=
	    SQLITE_OK ||
	    sqlite3_prepare_v2(j->db, "DELETE FROM zone WHERE name = ?1", -1, &j->drop, NULL) != SQLITE_OK)
		return not_ours(j, why, "prepare");
	return ERR_OK;
}

static enum err open_file(struct journal *j, const char *path, struct why *why)
{
	if (sqlite3_open_v2(path, &j->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
		return db_fail(j, why, path);
	return prepare(j, why);
}

static void close_file(struct journal *j)
{
	sqlite3_finalize(j->put);
	sqlite3_finalize(j->drop);
	sqlite3_close(j->db);
	j->put = j->drop = NULL;
	j->db = NULL;
}

/* Held until the process ends or closes it, however that comes about. */
static enum err take_lock(struct journal *j, const char *dir, struct why *why)
{
	char path[4096];

	if ((size_t)snprintf(path, sizeof path, "%s/lockstep.lock", dir) >= sizeof path)
		return err_why(why, ERR_CONF, "state-dir is too long a path");
	j->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (j->lock < 0)
		return err_why(why, ERR_IO, "%s: %s", path, strerror(errno));
	if (flock(j->lock, LOCK_EX | LOCK_NB) == 0)
		return ERR_OK;
	if (errno == EWOULDBLOCK)
		return err_why(why, ERR_EXISTS, "%s: another lockstepd uses this state-dir", dir);
	return err_why(why, ERR_IO, "%s: lock: %s", path, strerror(errno));
}

static void journal_free(struct journal *j)
{
	close_file(j);
	if (j->lock >= 0)
		close(j->lock);
	free(j);
}

/* The damaged files are kept, under another name, for whoever wants to look. */
static enum err set_aside(const char *path, struct why *why)
{
	static const char *const part[] = {"", "-wal", "-shm"};
	char from[4096], to[4096 + 64];
	long long now = (long long)clock_unix();

	for (unsigned i = 0; i < 3; i++) {
		snprintf(from, sizeof from, "%s%s", path, part[i]);
		snprintf(to, sizeof to, "%s.damaged-%lld%s", path, now, part[i]);
		if (rename(from, to) < 0 && i == 0)
			return err_why(why, ERR_IO, "%s: it is damaged, and cannot be set aside: %m", path);
	}
	return ERR_OK;
}

static enum err open_or_begin_anew(struct journal *j, const char *path, struct why *why)
{
	enum err err = open_file(j, path, why);

	if (err != ERR_DAMAGED)
		return err;
	close_file(j);
	err = set_aside(path, why);
	if (!err)
		err = open_file(j, path, why);
	if (!err)
		err_why(why, ERR_OK, "%s was damaged: it was set aside and begun anew", path);
	return err;
}

enum err journal_open(struct journal **out, const char *dir, struct why *why)
{
	struct journal *j = calloc(1, sizeof *j);
	char path[4096];
	enum err err;

	if (!j)
		return err_why(why, ERR_NOMEM, "out of memory");
	j->lock = -1;
	snprintf(path, sizeof path, "%s/lockstep.db", dir);
	err = file_mkdirs(dir, why);
	if (!err)
		err = take_lock(j, dir, why);
	if (!err)
		err = open_or_begin_anew(j, path, why);
	if (err)
		journal_free(j);
	else
		*out = j;
	return err;
}

void journal_close(struct journal *j)
{
	if (j)
		journal_free(j);
}

/* A time before 1970 or thousands of years away is none that we wrote. */
static int64_t moment(sqlite3_stmt *row, int column)
{
	int64_t at = sqlite3_column_int64(row, column);

	return at < 0 || at >> 40 ? 0 : at;
}

static bool read_row(sqlite3_stmt *row, struct journal_zone *z)
{
	const void *name = sqlite3_column_blob(row, 0);
	int length = sqlite3_column_bytes(row, 0);
	struct rbuf at = rbuf_of(name, (size_t)length);
	const char *primary = (const char *)sqlite3_column_text(row, 7);

	*z = (struct journal_zone){0};
	if (!name || length > NAME_SIZE || name_take(&at) != (size_t)length)
		return false;
	memcpy(z->name, name, (size_t)length);
	z->has_serial = sqlite3_column_type(row, 1) != SQLITE_NULL;
	z->serial.v = (uint32_t)sqlite3_column_int64(row, 1);
	z->changed = moment(row, 2);
	z->refreshed = moment(row, 3);
	z->expires = moment(row, 4);
	z->expired = sqlite3_column_int(row, 5) != 0;
	z->file_known = sqlite3_column_type(row, 6) != SQLITE_NULL;
	z->written.v = (uint32_t)sqlite3_column_int64(row, 6);
	snprintf(z->primary, sizeof z->primary, "%s", primary ? primary : "");
	return true;
}

enum err journal_read(struct journal *j, bool (*each)(void *ctx, const struct journal_zone *), void *ctx, struct why *why)
{
	sqlite3_stmt *rows = NULL;
	struct journal_zone zone;
	enum err err = ERR_OK;
	int code;

	if (sqlite3_prepare_v2(j->db, "SELECT name, serial, changed, refreshed, expires, expired, written, primary_name FROM zone",
		-1, &rows, NULL) != SQLITE_OK)
		return db_fail(j, why, "read");
	while ((code = sqlite3_step(rows)) == SQLITE_ROW)
		if (read_row(rows, &zone) && !each(ctx, &zone))
			break;
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		err = db_fail(j, why, "read");
	sqlite3_finalize(rows);
	return err;
}

static bool put_row(struct journal *j, const struct journal_zone *z)
{
	sqlite3_stmt *put = j->put;
	uint8_t name[NAME_SIZE];
	int length = (int)name_lower(z->name, name);
	bool ok;

	sqlite3_bind_blob(put, 1, name, length, SQLITE_STATIC);
	if (z->has_serial)
		sqlite3_bind_int64(put, 2, z->serial.v);
	sqlite3_bind_int64(put, 3, z->changed);
	sqlite3_bind_int64(put, 4, z->refreshed);
	sqlite3_bind_int64(put, 5, z->expires);
	sqlite3_bind_int(put, 6, z->expired);
	if (z->file_known)
		sqlite3_bind_int64(put, 7, z->written.v);
	sqlite3_bind_text(put, 8, z->primary, -1, SQLITE_STATIC);
	ok = sqlite3_step(put) == SQLITE_DONE;
	sqlite3_reset(put);
	sqlite3_clear_bindings(put);
	return ok;
}

enum err journal_write(struct journal *j, const struct journal_zone *zones, size_t count, struct why *why)
{
	enum err err = ERR_OK;

	if (sqlite3_exec(j->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
		return db_fail(j, why, "begin");
	for (size_t i = 0; i < count && !err; i++)
		if (!put_row(j, &zones[i]))
			err = db_fail(j, why, "write");
	if (!err && sqlite3_exec(j->db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
		err = db_fail(j, why, "commit");
	if (err)
		sqlite3_exec(j->db, "ROLLBACK", NULL, NULL, NULL);
	return err;
}

enum err journal_forget(struct journal *j, const uint8_t *name, struct why *why)
{
	uint8_t lower[NAME_SIZE];
	int length = (int)name_lower(name, lower);
	bool ok;

	sqlite3_bind_blob(j->drop, 1, lower, length, SQLITE_STATIC);
	ok = sqlite3_step(j->drop) == SQLITE_DONE;
	sqlite3_reset(j->drop);
	sqlite3_clear_bindings(j->drop);
	return ok ? ERR_OK : db_fail(j, why, "forget");
}
