#include "xfer/view.h"

#include <stdlib.h>
#include <string.h>

void view_release(struct view *v)
{
	free(v->error);
	*v = (struct view){0};
}

void view_asked(struct view *v, int64_t now, bool healthy, const char *error)
{
	v->asked = true;
	v->at = now;
	v->healthy = healthy;
	free(v->error);
	v->error = error ? strdup(error) : NULL;
}

void view_shows(struct view *v, struct serial serial, int64_t now)
{
	if (!v->has_serial || !serial_equal(v->serial, serial))
		v->since = now;
	v->has_serial = true;
	v->serial = serial;
	v->shown = now;
}

void view_forget(struct view *v, int64_t before)
{
	if (v->shown < before)
		v->has_serial = false;
}

void view_refuse(struct view *v, struct serial serial, int64_t now)
{
	int64_t pause = VIEW_REFUSED_MS;

	if (!v->times || !serial_equal(v->refused, serial))
		v->times = 0;
	for (unsigned i = 0; i < v->times && pause < VIEW_REFUSED_MAX_MS; i++)
		pause *= 2;
	if (v->times < UINT8_MAX)
		v->times++;
	v->has_refused = true;
	v->refused = serial;
	v->refused_until = now + (pause < VIEW_REFUSED_MAX_MS ? pause : VIEW_REFUSED_MAX_MS);
}

bool view_refuses(const struct view *v, struct serial serial, int64_t now)
{
	return v->has_refused && serial_equal(v->refused, serial) && now < v->refused_until;
}

void view_pardon(struct view *v)
{
	v->has_refused = false;
	v->times = 0;
}
