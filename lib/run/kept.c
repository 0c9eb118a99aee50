#include "run/kept.h"

#include "xfer/notify.h"

#include <stdlib.h>
#include <string.h>

struct log *kept_log(struct log *log, enum log_level level, const char *event, const struct keep *k)
{
	char text[NAME_TEXT_SIZE];

	log_begin(log, level, event);
	log_str(log, "zone", name_text(k->name, text));
	return log;
}

void kept_set_error(struct keep *k, const char *text)
{
	free(k->error);
	k->error = text && *text ? strdup(text) : NULL;
}

void kept_wait(struct keep_waiter **list, struct keep *k, keep_done *done, void *ctx)
{
	struct keep_waiter *w;

	if (!done)
		return;
	w = malloc(sizeof *w);
	if (!w) {
		done(ctx, k, ERR_NOMEM, NULL);
		return;
	}
	*w = (struct keep_waiter){*list, done, ctx};
	*list = w;
}

void kept_answer(struct keep_waiter **list, struct keep *k, enum err err, const struct why *why)
{
	struct keep_waiter *w = *list;

	*list = NULL;
	while (w) {
		struct keep_waiter *next = w->next;

		w->done(w->ctx, k, err, why);
		free(w);
		w = next;
	}
}

void kept_forget(struct keep_waiter **list, const void *ctx)
{
	while (*list) {
		struct keep_waiter *w = *list;

		if (w->ctx == ctx) {
			*list = w->next;
			free(w);
		} else {
			list = &w->next;
		}
	}
}

struct zone *kept_version(const struct keep *k)
{
	return k->secondary ? secondary_version(k->secondary) : k->file_version;
}

bool kept_is_apart(const struct keep *k)
{
	return k->secondary && k->wired->ns_mode == CONF_NS_REWRITE;
}

bool kept_is_catalog(const struct keep *k)
{
	return k->wired->set->catalog != CONF_CATALOG_NONE;
}

/* --- the NS set ---------------------------------------------------------------- */

struct zone *kept_as_served(const struct wired *wired, struct zone *version)
{
	struct zone *served;
	struct why why;

	if (wired->ns_mode != CONF_NS_REWRITE || nsset_view(&wired->ns_set, version, &served, &why) != ERR_OK)
		return zone_hold(version);
	return served;
}

static void log_ns_set(const struct keep *k, const struct zone *version, const struct zone *served)
{
	const struct nsset *set = &k->wired->ns_set;
	bool shown = k->wired->ns_mode == CONF_NS_OFF || nsset_shown(set, served);
	struct why why;
	struct log log;

	if (shown && version == served)
		return;
	nsset_say(set, version, &why);
	kept_log(&log, shown ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, shown ? "ns-set-rewritten" : "ns-set-differs", k);
	log_int(&log, "serial", version->serial.v);
	if (!shown)
		log_str(&log, "finding", "NS-EXPECTED");
	if (!nsset_shown(set, version))
		log_str(&log, "why", why.text);
	log_end(&log);
}

struct zone *kept_to_serve(const struct keep *k, struct zone *version)
{
	struct zone *served = kept_as_served(k->wired, version);

	log_ns_set(k, version, served);
	return served;
}

struct diff *kept_served_step(const struct keep *k, struct diff *step, struct zone *version, struct zone *now)
{
	struct zone *old = kept_version(k), *served = old ? kept_as_served(k->wired, old) : NULL;
	struct diff *made = served ? nsset_step(served, old, step, version, now, UINT64_MAX) : NULL;

	zone_put(served);
	return made;
}

/* --- the row ------------------------------------------------------------------- */

static bool is_asking(const struct refresh *r)
{
	return r->state == REFRESH_PROBE || r->state == REFRESH_TRANSFER;
}

void kept_fill_row(struct keep *k)
{
	struct secondary_status status;
	int64_t now = k->env->secondary.now(), unix_now = (int64_t)k->env->secondary.unix_time();

	if (!k->secondary)
		return;
	secondary_status(k->secondary, &status);
	k->row.held = k->held;
	k->row.primary = status.primary;
	if (!k->started && !status.refresh.loaded)   /* what the database said is not known yet */
		return;
	k->row.has_serial = status.refresh.loaded;
	k->row.serial = status.refresh.serial;
	k->row.expired = status.refresh.expired;
	k->row.failures = status.refresh.failures;
	k->row.given_expire = refresh_given_before(&status.refresh);
	k->row.has_rejected = status.rejected && status.has_refused;
	k->row.rejected = status.refused;
	k->row.rejected_why = k->row.has_rejected ? status.rejected : NULL;
	if (k->started)
		k->row.next = unix_now + (is_asking(&status.refresh) ? 0 : (status.refresh.timer - now) / 1000);
	if (status.refresh.loaded) {
		k->row.refreshed = unix_now - (now - status.refresh.refreshed) / 1000;
		k->row.expires = unix_now + (status.refresh.expire_at - now) / 1000;
	}
}

void kept_touch_row(struct keep *k)
{
	if (!k->row_dirty) {
		LIST_INSERT_HEAD(&k->env->changed, k, of_changed);
		k->env->changed_count++;
	}
	k->row_dirty = true;
	k->env->row_changed(k->env);
}

void kept_row_taken(struct keep *k)
{
	if (!k->row_dirty)
		return;
	k->row_dirty = false;
	LIST_REMOVE(k, of_changed);
	k->env->changed_count--;
}

void kept_mend(struct keep *k, unsigned what)
{
	struct zone *version = kept_version(k);

	what |= k->mend_later;
	k->mend_later = k->pending_is == COMMITTING || k->pending_is == WRITING ? what & 7 : 0;
	if (!k->secondary || !version || !what || k->mend_later)
		return;
	kept_fill_row(k);
	disk_mend(k->env->disk, &k->row, version, what, NULL, NULL);
}

/* --- what is served ------------------------------------------------------------ */

void kept_add_step(struct keep *k, struct diff *step, const struct zone *old, const struct zone *version)
{
	struct history *before = k->history;

	if (step && diff_is_empty(step))
		return;
	k->history = step && !k->unsure ? history_add(before, step, history_most(version)) : NULL;
	k->unsure = old && serial_equal(old->serial, version->serial);
	history_drop(before);
	store_set_history(k->place, history_hold(k->history));
}

void kept_set_expiry(struct keep *k)
{
	struct secondary_status status;

	secondary_status(k->secondary, &status);
	if (status.refresh.loaded)
		store_set_expiry(k->place, status.refresh.expire_at);
}

void kept_count_notify(struct keep_env *env, unsigned answered, unsigned failed)
{
	env->counters.notifies_out += answered;
	env->counters.notifies_failed += failed;
}

static void told(void *ctx, const uint8_t *zone, unsigned answered, unsigned failed)
{
	(void)zone;
	kept_count_notify(ctx, answered, failed);
}

void kept_note_told(struct keep *k, const struct zone *version)
{
	k->told = true;
	k->told_serial = version->serial;
	k->told_at = (int64_t)k->env->secondary.unix_time();
}

void kept_tell_downstream(struct keep *k, const struct zone *version)
{
	if (!k->wired->target_count)
		return;
	kept_note_told(k, version);
	notify_send(k->env->notifier, version, k->wired->targets, k->wired->target_count, told, k->env);
}

void kept_tell_again(struct keep *k)
{
	if (k->wired->target_count)
		k->env->to_be_told(k->env, k);
}

void kept_serve(struct keep *k, struct zone *version)
{
	k->row.changed = (int64_t)k->env->secondary.unix_time();
	zone_hold(version);
	store_commit(k->place, version, STORE_SERVED);
	kept_tell_downstream(k, version);
	zone_put(version);
	if (kept_is_catalog(k))
		k->env->catalog_changed(k->env);
}
