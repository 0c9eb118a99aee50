#include "run/filing.h"

enum { RETRY_S = 60 };               /* to write */

bool filing_changed(const struct keep *k)
{
	return file_mark_of(k->path, NULL).sum != k->file.sum;
}

void filing_found(struct keep *k, enum recover_file is)
{
	struct keep_counters *count = &k->env->counters;

	k->file_bad |= is != RECOVER_FILE_GOOD;
	switch (is) {
	case RECOVER_FILE_GOOD:
		break;
	case RECOVER_FILE_MISSING:
		count->files_missing++;
		break;
	case RECOVER_FILE_DAMAGED:
		count->files_damaged++;
		break;
	case RECOVER_FILE_EDITED:
		count->files_edited++;
		break;
	}
}

bool filing_done(const struct keep *k)
{
	struct zone *version = kept_version(k);

	return version && (k->row.file_known || k->written_apart) && serial_equal(k->row.written, version->serial);
}

void filing_note(struct keep *k, struct serial written, struct file_digest digest, int64_t at)
{
	k->row.file_known = !kept_is_apart(k);
	k->written_apart = kept_is_apart(k);
	k->row.written = written;
	k->row.file = digest;
	k->written_at = at;
}

static void write_done(void *ctx, struct disk_result *result);

/* Somebody has touched what was written, and it is seen before it is written over. */
static void look_at_file(struct keep *k)
{
	struct log log;
	bool missing;

	if (!k->secondary || !k->file.sum || !(k->row.file_known || k->written_apart) || k->file_bad || !filing_changed(k))
		return;
	missing = !file_mark_of(k->path, NULL).sum;
	filing_found(k, missing ? RECOVER_FILE_MISSING : RECOVER_FILE_EDITED);
	kept_log(&log, LOG_LEVEL_WARNING, missing ? "zone-file-missing" : "zone-file-edited", k);
	log_str(&log, "file", k->path);
	log_str(&log, "why", "it is not what was written: it is written anew");
	log_end(&log);
}

void filing_write(struct keep *k, struct zone *version)
{
	struct zone *served = kept_as_served(k->wired, version);

	look_at_file(k);
	k->writing = true;
	k->write_stale = false;
	k->writing_serial = version->serial;
	if (k->pending_is == WRITING && k->alone)
		disk_write_alone(k->env->disk, k->path, served, write_done, k);
	else
		disk_write(k->env->disk, k->path, served, write_done, k);
	zone_put(served);
}

static void log_write(const struct keep *k, const struct disk_result *result)
{
	struct log log;

	kept_log(&log, result->err ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO, result->err ? "zone-file-failed" : "zone-file-written", k);
	log_int(&log, "serial", k->writing_serial.v);
	log_str(&log, "file", k->path);
	log_seconds(&log, "seconds", result->ms);
	if (result->err)
		log_str(&log, "why", err_say(&result->why, result->err));
	log_end(&log);
}

void filing_at(struct keep *k, int64_t seconds)
{
	timer_set(k->env->secondary.timers, &k->sync, k->env->secondary.now() + seconds * 1000);
}

void filing_in(struct keep *k, int64_t seconds)
{
	if (k->secondary && k->wired->set->zonefile_sync >= 0 && !k->sync.place)
		filing_at(k, seconds);
}

void filing_later(struct keep *k)
{
	filing_in(k, k->wired->set->zonefile_sync > 0 ? k->wired->set->zonefile_sync : RETRY_S);
}

static void write_done(void *ctx, struct disk_result *result)
{
	struct keep *k = ctx;
	struct zone *pending = k->pending;

	k->writing = false;
	log_write(k, result);
	if (result->err) {
		k->env->counters.files_failed++;
	} else {
		k->env->counters.files_written++;
		k->env->counters.files_mended += k->file_bad;
		k->file_bad = false;
		if (!k->write_stale)
			filing_note(k, k->writing_serial, result->digest, (int64_t)k->env->secondary.unix_time());
		k->file = file_mark_of(k->path, NULL);
		kept_touch_row(k);
	}
	if (pending && k->pending_is == WRITING) {
		if (k->write_stale || !serial_equal(pending->serial, k->writing_serial)) {
			filing_write(k, pending);
			return;
		}
		k->env->file_done(k, result->err, &result->why);
	}
	if ((k->write_again || k->write_stale) && kept_version(k)) {
		k->write_again = false;
		filing_write(k, kept_version(k));
		return;
	}
	kept_set_error(k, result->err ? err_say(&result->why, result->err) : NULL);
	kept_answer(&k->write_waiters, k, result->err, &result->why);
	if (result->err)
		filing_later(k);     /* try again */
}

void filing_due(struct timer *timer)
{
	struct keep *k = (struct keep *)((char *)timer - offsetof(struct keep, sync));

	if (filing_done(k) || (!k->path && kept_version(k)))
		return;
	if (kept_version(k) && k->writing)
		k->write_again = true;
	else if (kept_version(k))
		filing_write(k, kept_version(k));
	else if (!k->loading)
		k->env->read_due(k);
}
