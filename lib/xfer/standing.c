#include "xfer/standing.h"

#include "xfer/view.h"

#include <stdlib.h>
#include <string.h>

enum { FORGET = 4 };                 /* refresh and retry times after which a serial not shown again counts no more */

/* What went wrong; made when something does. */
struct trouble {
	char *rejected;                      /* why the last version offered was refused; NULL: it was not */
	char *error, *primary;               /* of the last failed round; primary may be NULL */
	int64_t at;
	uint64_t unix_at;
};

struct secondary_conf *secondary_conf_hold(struct secondary_conf *conf)
{
	conf->refs++;
	return conf;
}

void secondary_conf_drop(struct secondary_conf *conf)
{
	if (conf && --conf->refs == 0)
		conf->release(conf);
}

static void views_free(struct standing *z)
{
	for (size_t i = 0; z->views && i < z->conf->remote_count; i++)
		view_release(&z->views[i]);
	free(z->views);
	z->views = NULL;
}

static void trouble_free(struct trouble *t)
{
	if (!t)
		return;
	free(t->rejected);
	free(t->error);
	free(t->primary);
	free(t);
}

void standing_release(struct standing *z)
{
	views_free(z);
	secondary_conf_drop(z->conf);
	zone_put(z->version);
	trouble_free(z->trouble);
}

/* --- what went wrong ------------------------------------------------------- */

static struct trouble *trouble_of(struct standing *z)
{
	if (!z->trouble)
		z->trouble = calloc(1, sizeof *z->trouble);
	return z->trouble;
}

static void replace(char **text, const char *by)
{
	char *copy = by ? strdup(by) : NULL;

	free(*text);
	*text = copy;
}

void standing_error(struct standing *z, const char *remote, const char *text)
{
	struct trouble *t = trouble_of(z);

	if (!t)
		return;
	replace(&t->error, text);
	replace(&t->primary, remote);
	t->at = z->env->now();
	t->unix_at = z->env->unix_time();
}

const char *standing_last_error(const struct standing *z)
{
	return z->trouble ? z->trouble->error : NULL;
}

void standing_reject(struct standing *z, const char *text)
{
	struct trouble *t = text ? trouble_of(z) : z->trouble;

	if (t)
		replace(&t->rejected, text);
}

/* --- what each primary showed ------------------------------------------------ */

struct view *standing_view(struct standing *z, size_t remote)
{
	size_t count = z->conf->remote_count;

	if (!z->views) {
		z->views = calloc(count + 1, sizeof *z->views);
		for (size_t i = 0; z->views && i < count; i++)
			z->views[i].at = z->env->now();
		if (z->views && z->confirmed && z->refresh.loaded) {
			view_asked(&z->views[0], z->refresh.refreshed, true, NULL);
			view_shows(&z->views[0], z->refresh.serial, z->refresh.refreshed);
		}
		z->confirmed = false;
	}
	return z->views ? &z->views[remote] : NULL;
}

bool standing_refuses(const struct standing *z, size_t remote, struct serial serial)
{
	return z->views && view_refuses(&z->views[remote], serial, z->env->now());
}

bool standing_refuses_any(const struct standing *z)
{
	for (size_t i = 0; z->views && i < z->conf->remote_count; i++)
		if (z->views[i].has_refused && z->env->now() < z->views[i].refused_until)
			return true;
	return false;
}

void standing_pardon(struct standing *z)
{
	for (size_t i = 0; z->views && i < z->conf->remote_count; i++)
		view_pardon(&z->views[i]);
}

/* What the only primary has is what we have. */
void standing_tidy(struct standing *z)
{
	int64_t long_ago = z->env->now() - FORGET * 1000 * ((int64_t)z->refresh.times.refresh + z->refresh.times.retry);
	struct view *v = z->views;

	for (size_t i = 0; v && i < z->conf->remote_count; i++)
		view_forget(&v[i], long_ago);
	if (!v || z->conf->remote_count != 1 || !v->healthy || v->error || v->ixfr_broken || v->has_refused || !v->has_serial ||
	    !serial_equal(v->serial, z->refresh.serial))
		return;
	views_free(z);
	z->confirmed = true;
}

void standing_hint(struct standing *z, struct serial serial)
{
	if (z->refresh.loaded && !serial_newer(serial, z->refresh.serial))
		return;
	z->refresh.hinted = true;
	z->refresh.hint = serial;
	z->hint_since = z->env->now();
}

void standing_take(struct standing *z, struct zone *version, const char *primary, const struct secondary_last *last)
{
	zone_put(z->version);
	z->version = version;
	z->primary = primary;
	z->last = *last;
	standing_reject(z, NULL);
	z->refresh.loaded = true;
	z->refresh.serial = version->serial;
	z->refresh.times = refresh_times_of(&version->soa, &z->conf->clamps);
}

/* --- other settings --------------------------------------------------------- */

static void move_views(struct standing *z, struct view *views, const struct secondary_conf *conf)
{
	for (size_t i = 0; i < conf->remote_count; i++) {
		views[i].at = z->env->now();
		for (size_t j = 0; j < z->conf->remote_count; j++)
			if (strcmp(conf->remotes[i].name, z->conf->remotes[j].name) == 0 && !views[i].asked) {
				views[i] = z->views[j];
				z->views[j].error = NULL;
				view_pardon(&views[i]);
			}
	}
	views_free(z);
	z->views = views;
}

static bool same_remotes(const struct secondary_conf *a, const struct secondary_conf *b)
{
	if (a->remote_count != b->remote_count)
		return false;
	for (size_t i = 0; i < a->remote_count; i++)
		if (strcmp(a->remotes[i].name, b->remotes[i].name) != 0)
			return false;
	return true;
}

bool standing_set_conf(struct standing *z, struct secondary_conf *conf)
{
	struct view *views;

	if (!same_remotes(z->conf, conf) && (z->views || z->confirmed)) {
		views = standing_view(z, 0) ? calloc(conf->remote_count + 1, sizeof *views) : NULL;
		if (!views)
			return false;
		move_views(z, views, conf);
	}
	secondary_conf_hold(conf);
	secondary_conf_drop(z->conf);
	z->conf = conf;
	return true;
}

/* --- status --------------------------------------------------------------- */

static void best_of(struct secondary_status *out, struct serial serial, bool ours, int64_t since)
{
	if (out->has_best && !serial_newer(serial, out->best))
		return;
	out->has_best = true;
	out->best = serial;
	out->best_is_ours = ours;
	out->best_since = since;
}

void standing_status(const struct standing *z, struct secondary_status *out)
{
	*out = (struct secondary_status){.refresh = z->refresh, .last = z->last, .views = z->conf->remote_count, .primary = z->primary};
	if (z->refresh.loaded)
		best_of(out, z->refresh.serial, true, 0);
	for (size_t i = 0; z->views && i < z->conf->remote_count; i++)
		if (z->views[i].has_serial)
			best_of(out, z->views[i].serial, false, z->views[i].since);
	for (size_t i = 0; z->views && i < z->conf->remote_count && !out->has_refused; i++) {
		out->has_refused = z->views[i].has_refused && z->env->now() < z->views[i].refused_until;
		out->refused = z->views[i].refused;
	}
	if (z->refresh.hinted)
		best_of(out, z->refresh.hint, false, z->hint_since);
	if (!z->trouble)
		return;
	out->rejected = z->trouble->rejected;
	out->last_error = z->trouble->error;
	out->last_error_primary = z->trouble->primary;
	out->last_error_at = z->trouble->at;
	out->last_error_unix = z->trouble->unix_at;
}

/* What other zones have found out is known here too. */
static void add_health(struct secondary_view *out)
{
	struct remote_health known = remote_health(out->remote);

	out->health = known.health;
	out->failures = known.failures;
	out->until = known.until;
	if (known.health < PEER_HELD || !out->healthy)
		return;
	out->healthy = false;
	if (!out->error && *known.why)
		out->error = known.why;
}

void standing_show(const struct standing *z, size_t remote, struct secondary_view *out)
{
	*out = (struct secondary_view){.remote = &z->conf->remotes[remote]};
	if (z->views) {
		const struct view *v = &z->views[remote];

		*out = (struct secondary_view){.remote = out->remote, .asked = v->asked, .healthy = v->healthy,
			.has_serial = v->has_serial, .serial = v->serial, .at = v->at, .error = v->error,
			.has_refused = v->has_refused && z->env->now() < v->refused_until, .refused = v->refused};
	} else if (z->confirmed && z->refresh.loaded) {
		*out = (struct secondary_view){.remote = out->remote, .asked = true, .healthy = true, .has_serial = true,
			.serial = z->refresh.serial, .at = z->refresh.refreshed};
	}
	add_health(out);
}
