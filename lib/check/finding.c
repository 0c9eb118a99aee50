#include "check/finding.h"

#include "base/arena.h"
#include "base/array.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FINDING_NAME(id, name, severity) name,
const char *const finding_names[] = {FINDING_TABLE(FINDING_NAME) NULL};
#undef FINDING_NAME
#define FINDING_DEFAULT(id, name, severity) SEVERITY_##severity,
static const uint8_t defaults[] = {FINDING_TABLE(FINDING_DEFAULT)};
#undef FINDING_DEFAULT
static const char *const severities[SEVERITY_COUNT] = {"off", "warning", "critical", "unknown"};
static const uint8_t ranks[SEVERITY_COUNT] = {[SEVERITY_CRITICAL] = 0, [SEVERITY_UNKNOWN] = 1, [SEVERITY_WARNING] = 2, [SEVERITY_OFF] = 3};

const char *finding_name(enum finding_id id)
{
	return (unsigned)id < FINDING_COUNT ? finding_names[id] : "?";
}

const char *finding_severity_name(enum finding_severity severity)
{
	return (unsigned)severity < SEVERITY_COUNT ? severities[severity] : "?";
}

bool finding_parse(const char *name, enum finding_id *id)
{
	for (unsigned i = 0; i < FINDING_COUNT; i++)
		if (strcmp(name, finding_names[i]) == 0) {
			*id = (enum finding_id)i;
			return true;
		}
	return false;
}

bool finding_severity_parse(const char *name, enum finding_severity *severity)
{
	for (unsigned i = 0; i < SEVERITY_COUNT; i++)
		if (strcmp(name, severities[i]) == 0) {
			*severity = (enum finding_severity)i;
			return true;
		}
	return false;
}

/* --- the list ------------------------------------------------------------------ */

struct findings {
	struct arena arena;
	struct finding_levels levels;
	struct finding **sorted;
	size_t count, room, lost;
	enum finding_status lost_status;
};

struct findings *findings_new(const struct finding_levels *levels)
{
	struct findings *findings = calloc(1, sizeof *findings);

	if (findings && levels)
		findings->levels = *levels;
	return findings;
}

void findings_free(struct findings *findings)
{
	if (!findings)
		return;
	arena_release(&findings->arena);
	free(findings->sorted);
	free(findings);
}

static int compare_texts(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "");
}

static int compare(const struct finding *a, const struct finding *b)
{
	int order = ranks[a->severity] - ranks[b->severity];

	if (!order)
		order = (int)a->id - (int)b->id;
	if (!order)
		order = compare_texts(a->server, b->server);
	if (!order)
		order = compare_texts(a->address, b->address);
	if (!order)
		order = compare_texts(a->owner, b->owner);
	if (!order)
		order = compare_texts(a->type, b->type);
	return order ? order : compare_texts(a->message, b->message);
}

/* Where it is, or belongs. */
static size_t place_of(const struct findings *findings, const struct finding *finding, bool *there)
{
	size_t low = 0, high = findings->count;

	*there = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = compare(finding, findings->sorted[middle]);

		if (order == 0) {
			*there = true;
			return middle;
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static enum finding_status status_of(enum finding_severity severity)
{
	switch (severity) {
	case SEVERITY_OFF:
		return STATUS_OK;
	case SEVERITY_WARNING:
		return STATUS_WARNING;
	case SEVERITY_CRITICAL:
		return STATUS_CRITICAL;
	case SEVERITY_UNKNOWN:
	case SEVERITY_COUNT:
		return STATUS_UNKNOWN;
	}
	return STATUS_UNKNOWN;
}

/* Printable ASCII of at most `max` octets. False: out of memory. */
static bool keep(struct findings *findings, const char *text, size_t max, const char **kept)
{
	size_t n = text ? strnlen(text, max + 1) : 0;
	char *copy;

	*kept = NULL;
	if (!text)
		return true;
	copy = arena_dup(&findings->arena, text, (n > max ? max : n) + 1);
	if (!copy)
		return false;
	if (n > max)
		memcpy(copy + max - 3, "...", 4);
	for (char *c = copy; *c; c++)
		if ((unsigned char)*c < 0x20 || (unsigned char)*c >= 0x7f)
			*c = '?';
	*kept = copy;
	return true;
}

static bool keep_all(struct findings *findings, struct finding *finding, const struct finding_place *place, const char *message)
{
	return keep(findings, message, FINDING_MESSAGE_MAX, &finding->message) &&
		(!place || (keep(findings, place->server, FINDING_DATA_MAX, &finding->server) &&
		keep(findings, place->address, FINDING_DATA_MAX, &finding->address) &&
		keep(findings, place->owner, FINDING_DATA_MAX, &finding->owner) &&
		keep(findings, place->type, FINDING_DATA_MAX, &finding->type) &&
		keep(findings, place->expected, FINDING_DATA_MAX, &finding->expected) &&
		keep(findings, place->got, FINDING_DATA_MAX, &finding->got)));
}

static bool lose(struct findings *findings, enum finding_status status)
{
	findings->lost++;
	findings->lost_status = finding_status_worse(findings->lost_status, status);
	return false;
}

void findings_lose(struct findings *findings, size_t n)
{
	findings->lost += n;
}

static bool insert(struct findings *findings, struct finding *finding)
{
	bool there;
	size_t at = place_of(findings, finding, &there);

	if (there)
		return true;
	if (!array_room(findings->sorted, findings->room, findings->count + 1))
		return lose(findings, STATUS_UNKNOWN);
	memmove(findings->sorted + at + 1, findings->sorted + at, (findings->count - at) * sizeof *findings->sorted);
	findings->sorted[at] = finding;
	findings->count++;
	return true;
}

bool findings_add(struct findings *findings, enum finding_id id, bool worse, const struct finding_place *place, const char *format, ...)
{
	unsigned level = findings->levels.level[id];
	enum finding_severity severity = level ? (enum finding_severity)(level - 1) : worse ? SEVERITY_CRITICAL : (enum finding_severity)defaults[id];
	char message[FINDING_MESSAGE_MAX + 2];
	va_list list;

	va_start(list, format);
	vsnprintf(message, sizeof message, format, list);
	va_end(list);
	return findings_put(findings, id, severity, place, message);
}

bool findings_put(struct findings *findings, enum finding_id id, enum finding_severity severity, const struct finding_place *place,
	const char *message)
{
	struct finding *finding;

	if (severity == SEVERITY_OFF)
		return true;
	if (findings->count >= FINDINGS_MAX) {
		lose(findings, status_of(severity));
		return true;
	}
	finding = arena_zero(&findings->arena, sizeof *finding);
	if (!finding || !keep_all(findings, finding, place, message))
		return lose(findings, STATUS_UNKNOWN);
	finding->id = id;
	finding->severity = severity;
	return insert(findings, finding);
}

size_t findings_count(const struct findings *findings)
{
	return findings->count;
}

const struct finding *findings_at(const struct findings *findings, size_t i)
{
	return findings->sorted[i];
}

size_t findings_lost(const struct findings *findings)
{
	return findings->lost;
}

enum finding_severity findings_lost_severity(const struct findings *findings)
{
	switch (findings->lost_status) {
	case STATUS_CRITICAL:
		return SEVERITY_CRITICAL;
	case STATUS_UNKNOWN:
		return SEVERITY_UNKNOWN;
	case STATUS_OK: case STATUS_WARNING:
		break;
	}
	return SEVERITY_WARNING;
}

bool findings_has(const struct findings *findings, enum finding_id id, const char *server, const char *address)
{
	for (size_t i = 0; i < findings->count; i++) {
		const struct finding *f = findings->sorted[i];

		if (f->id == id && (!server || compare_texts(server, f->server) == 0) && (!address || compare_texts(address, f->address) == 0))
			return true;
	}
	return false;
}

/* --- the whole ----------------------------------------------------------------- */

const char *finding_status_name(enum finding_status status)
{
	static const char *const names[] = {"OK", "WARNING", "CRITICAL", "UNKNOWN"};

	return (unsigned)status <= STATUS_UNKNOWN ? names[status] : "UNKNOWN";
}

enum finding_status finding_status_worse(enum finding_status a, enum finding_status b)
{
	static const uint8_t weight[] = {[STATUS_OK] = 0, [STATUS_WARNING] = 1, [STATUS_UNKNOWN] = 2, [STATUS_CRITICAL] = 3};

	return weight[a] >= weight[b] ? a : b;
}

enum finding_status findings_status(const struct findings *findings)
{
	enum finding_status status = findings->lost_status;

	for (size_t i = 0; i < findings->count; i++)
		status = finding_status_worse(status, status_of(findings->sorted[i]->severity));
	return status;
}
