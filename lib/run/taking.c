#include "run/taking.h"

/* What is pending is durable. */
void taking_done(struct keep *k)
{
	struct zone *version = k->pending, *old = kept_version(k), *served = kept_to_serve(k, version);
	struct diff *step = kept_served_step(k, k->pending_diff, version, served);

	secondary_accepted(k->secondary);
	if (!old)
		timer_stop(k->env->secondary.timers, &k->sync);      /* a file that could not be read need not be any more */
	kept_add_step(k, step, old, version);
	diff_drop(step);
	diff_drop(k->pending_diff);
	k->ns_ahead = k->ns_ahead && serial_equal(old->serial, version->serial);
	k->guessed = false;
	k->pending = NULL;
	k->pending_diff = NULL;
	k->pending_is = NOTHING_PENDING;
	kept_serve(k, served);
	zone_put(version);
	secondary_published(k->secondary, ERR_OK, NULL);
	kept_mend(k, 0);
	kept_set_expiry(k);
	if (!filing_done(k))
		filing_later(k);
}

/* What was pending is no more. */
static void drop_pending(struct keep *k)
{
	zone_put(k->pending);
	diff_drop(k->pending_diff);
	k->pending = NULL;
	k->pending_diff = NULL;
	k->pending_is = NOTHING_PENDING;
}

/* It could not be made durable: what is served stays. */
static void refused(struct keep *k, enum err err, const struct why *why)
{
	struct log log;

	kept_log(&log, LOG_LEVEL_ERROR, "version-not-kept", k);
	log_int(&log, "serial", k->pending->serial.v);
	log_str(&log, "why", err_say(why, err));
	log_end(&log);
	drop_pending(k);
	kept_mend(k, 0);
	/* Whatever is wrong with the disk, nothing is with the version. */
	secondary_published(k->secondary, err == ERR_NOSPACE || err == ERR_NOMEM ? err : ERR_IO, why);
}

void taking_file_done(struct keep *k, enum err err, const struct why *why)
{
	if (err)
		refused(k, err, why);
	else
		taking_done(k);
}

static void write_pending(struct keep *k)
{
	k->pending_is = WRITING;
	if (!k->writing)
		filing_write(k, k->pending);
}

/* Without a state-dir that can be written the zone file alone has to do. */
static bool file_must_do(const struct keep *k)
{
	struct copies_health health;

	disk_health(k->env->disk, &health);
	return k->path && !health.database_open && (!health.log_open || health.log[0]);
}

static void committed(void *ctx, struct disk_result *result)
{
	struct keep *k = ctx;

	k->pending_diff = result->diff;
	result->diff = NULL;
	k->alone = result->err != ERR_OK;
	if (k->alone) {
		k->row_committed = false;
		kept_touch_row(k);
	}
	if (result->err ? file_must_do(k) : k->path && k->wired->set->zonefile_sync == 0)
		write_pending(k);
	else if (result->err)
		refused(k, result->err, &result->why);
	else
		taking_done(k);
}

/* The row as it will be when the version is served. */
void taking_commit(struct keep *k)
{
	struct refresh_times times = refresh_times_of(&k->pending->soa, &k->wired->secondary.clamps);
	struct secondary_status status;
	struct journal_row row;

	kept_fill_row(k);
	row = k->row;
	if (secondary_giver(k->secondary))
		row.primary = secondary_giver(k->secondary);
	row.has_serial = true;
	row.serial = k->pending->serial;
	row.changed = row.refreshed = (int64_t)k->env->secondary.unix_time();
	secondary_status(k->secondary, &status);
	row.given_expire = refresh_lasts(&status.refresh, times);
	row.expires = row.changed + row.given_expire;
	if (row.given_expire == times.expire)
		row.given_expire = 0;
	row.next = row.changed + times.refresh;
	row.expired = row.has_rejected = false;
	row.failures = 0;
	k->pending_is = COMMITTING;
	kept_row_taken(k);
	k->row_committed = true;
	disk_commit(k->env->disk, &row, secondary_version(k->secondary), k->pending, committed, k);
}

static void judged(void *ctx, enum err err, const struct why *why)
{
	struct keep *k = ctx;

	if (!err) {
		k->validated = k->judges_signatures ? k->pending : NULL;
		taking_commit(k);
		return;
	}
	drop_pending(k);
	secondary_published(k->secondary, err, why);
}

void taking_judge(struct keep *k, struct zone *version, struct zone *older, judge_done *done)
{
	judge_submit(k->env->judge, &(struct judge_ask){version, older, older && older == k->validated, k->wired->set,
		k->wired->ns_mode, &k->wired->ns_set}, done, k);
}

/* The step of a primary goes on from what it sent. */
static bool goes_on_from_a_guess(const struct keep *k, const struct zone *version, const struct zone *older)
{
	return k->guessed && older && version->lineage == older->lineage;
}

void taking_publish(void *ctx, struct secondary *s, struct zone *version)
{
	struct keep *k = secondary_owner(s);
	struct zone *older = secondary_version(s);
	struct why why;

	(void)ctx;
	if (goes_on_from_a_guess(k, version, older)) {
		zone_put(version);
		secondary_published(s, err_why(&why, ERR_ZONE, "as it came the version before is lost: the zone is wanted as a whole"), &why);
		return;
	}
	k->pending = version;
	k->pending_is = JUDGING;
	k->judges_signatures = k->wired->set->dnssec_check;
	taking_judge(k, version, older, judged);
}

void taking_confirmed(void *ctx, struct secondary *s, bool revived)
{
	struct keep *k = secondary_owner(s);
	struct log log;

	(void)ctx;
	if (revived) {
		store_commit(k->place, kept_as_served(k->wired, secondary_version(s)), STORE_SERVED);
		log_end(kept_log(&log, LOG_LEVEL_NOTICE, "zone-revived", k));
	}
	kept_set_expiry(k);
	if (!k->row_committed)
		kept_touch_row(k);
	k->row_committed = false;
}

void taking_failed(void *ctx, struct secondary *s)
{
	(void)ctx;
	kept_touch_row(secondary_owner(s));
}

void taking_expired(void *ctx, struct secondary *s)
{
	struct keep *k = secondary_owner(s);
	struct secondary_status status;
	struct log log;

	(void)ctx;
	secondary_status(s, &status);
	store_commit(k->place, NULL, STORE_EXPIRED);
	kept_log(&log, LOG_LEVEL_ERROR, "zone-expired", k);
	log_int(&log, "serial", status.refresh.serial.v);
	log_int(&log, "seconds-since-refresh", (k->env->secondary.now() - status.refresh.refreshed) / 1000);
	if (status.last_error)
		log_str(&log, "why", status.last_error);
	log_end(&log);
	kept_touch_row(k);
}
