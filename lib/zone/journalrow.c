#include "zone/journalrow.h"

#include "base/siphash.h"

#include <sqlite3.h>
#include <stdlib.h>

/* --- sums -------------------------------------------------------------------------------- */

enum { NUMBERS_MAX = 14 };

/* The name with its length before it, then the numbers: at once, as these are most of what there is. */
static void begin_sum(struct siphash *sum, const uint8_t *name, const uint64_t *number, size_t count)
{
	uint8_t octets[8 + NAME_SIZE + 8 * NUMBERS_MAX], *at = octets + 8 + name_copy(name, octets + 8);

	put_u64(octets, (uint64_t)(at - octets - 8));
	for (size_t i = 0; i < count; i++, at += 8)
		put_u64(at, number[i]);
	siphash_begin(sum, siphash_sum_key);
	siphash_add(sum, octets, (size_t)(at - octets));
}

/* With its length before it; one that is not there has none of its own. */
static void add_octets(struct siphash *sum, const void *octets, size_t n)
{
	uint8_t length[8];

	put_u64(length, octets ? n : UINT64_MAX);
	siphash_add(sum, length, sizeof length);
	if (octets)
		siphash_add(sum, octets, n);
}

static void add_text(struct siphash *sum, const char *text)
{
	add_octets(sum, text, text ? strlen(text) : 0);
}

static size_t label_length(const uint8_t *label)
{
	return label ? 1 + (size_t)*label : 0;
}

static size_t name_or_none_length(const uint8_t *name)
{
	return name ? name_length(name) : 0;
}

/* Never NULL; of a zone that the configuration names there is nothing more to say. */
static const struct journal_member *member_of(const struct journal_row *row)
{
	static const struct journal_member none = {JOURNAL_CONF, NULL, NULL, NULL};

	return row->member && row->member->origin != JOURNAL_CONF ? row->member : &none;
}

static uint64_t sum_of_row(const uint8_t *name, const struct journal_row *row)
{
	const struct journal_member *member = member_of(row);
	const uint64_t number[] = {
		row->has_serial ? row->serial.v : UINT64_MAX, (uint64_t)row->changed, (uint64_t)row->refreshed, (uint64_t)row->expires,
		(uint64_t)row->next, row->expired, row->held, row->failures, row->given_expire,
		row->file_known ? row->written.v : UINT64_MAX, row->file.size, row->file.sum,
		row->has_rejected ? row->rejected.v : UINT64_MAX, member->origin,
	};
	struct siphash sum;

	_Static_assert(sizeof number / sizeof *number == NUMBERS_MAX, "all of them fit");
	begin_sum(&sum, name, number, sizeof number / sizeof *number);
	add_text(&sum, row->rejected_why);
	add_text(&sum, row->primary);
	add_text(&sum, member->template_name);
	add_octets(&sum, member->catalog, name_or_none_length(member->catalog));
	add_octets(&sum, member->id, label_length(member->id));
	return siphash_end(&sum);
}

static uint64_t sum_of_content(const uint8_t *name, const struct journalrow_content *c)
{
	const uint64_t number[] = {c->has_image ? c->image.v : UINT64_MAX, c->parts, c->image_octets, c->image_at, c->next_step, c->step_octets,
		c->last.v};
	struct siphash sum;

	begin_sum(&sum, name, number, sizeof number / sizeof *number);
	return siphash_end(&sum);
}

/* --- to SQL ------------------------------------------------------------------------------ */

static void bind_serial(sqlite3_stmt *to, int at, bool known, struct serial serial)
{
	if (known)
		sqlite3_bind_int64(to, at, serial.v);
	else
		sqlite3_bind_null(to, at);
}

static void bind_text(sqlite3_stmt *to, int at, const char *text)
{
	sqlite3_bind_text(to, at, text, -1, SQLITE_STATIC);  /* NULL is NULL */
}

static void bind_octets(sqlite3_stmt *to, int at, const uint8_t *octets, size_t n)
{
	sqlite3_bind_blob(to, at, octets, (int)n, SQLITE_STATIC);
}

void journalrow_bind(sqlite3_stmt *to, int at, const uint8_t *name, const struct journal_row *row)
{
	const struct journal_member *member = member_of(row);

	bind_serial(to, at++, row->has_serial, row->serial);
	sqlite3_bind_int64(to, at++, row->changed);
	sqlite3_bind_int64(to, at++, row->refreshed);
	sqlite3_bind_int64(to, at++, row->expires);
	sqlite3_bind_int64(to, at++, row->next);
	sqlite3_bind_int(to, at++, row->expired);
	sqlite3_bind_int(to, at++, row->held);
	sqlite3_bind_int64(to, at++, row->failures);
	sqlite3_bind_int64(to, at++, row->given_expire);
	bind_serial(to, at++, row->file_known, row->written);
	sqlite3_bind_int64(to, at++, (int64_t)row->file.size);
	sqlite3_bind_int64(to, at++, (int64_t)row->file.sum);
	bind_serial(to, at++, row->has_rejected, row->rejected);
	bind_text(to, at++, row->rejected_why);
	bind_text(to, at++, row->primary);
	sqlite3_bind_int(to, at++, member->origin);
	bind_text(to, at++, member->template_name);
	bind_octets(to, at++, member->catalog, name_or_none_length(member->catalog));
	bind_octets(to, at++, member->id, label_length(member->id));
	sqlite3_bind_int64(to, at, (int64_t)sum_of_row(name, row));
}

void journalrow_bind_content(sqlite3_stmt *to, int at, const uint8_t *name, const struct journalrow_content *c)
{
	bind_serial(to, at++, c->has_image, c->image);
	sqlite3_bind_int64(to, at++, c->parts);
	sqlite3_bind_int64(to, at++, (int64_t)c->image_octets);
	sqlite3_bind_int64(to, at++, (int64_t)c->image_at);
	sqlite3_bind_int64(to, at++, (int64_t)c->next_step);
	sqlite3_bind_int64(to, at++, (int64_t)c->step_octets);
	sqlite3_bind_int64(to, at++, c->last.v);
	sqlite3_bind_int64(to, at, (int64_t)sum_of_content(name, c));
}

/* --- from SQL ---------------------------------------------------------------------------- */

const uint8_t *journalrow_name(sqlite3_stmt *row, int column)
{
	const uint8_t *name = sqlite3_column_blob(row, column);
	size_t length = (size_t)sqlite3_column_bytes(row, column);
	struct rbuf at = rbuf_of(name, length);

	return name && length <= NAME_SIZE && name_take(&at) == length ? name : NULL;
}

static bool read_serial(sqlite3_stmt *row, int column, struct serial *serial)
{
	serial->v = (uint32_t)sqlite3_column_int64(row, column);
	return sqlite3_column_type(row, column) != SQLITE_NULL;
}

static const uint8_t *read_label(sqlite3_stmt *row, int column)
{
	const uint8_t *label = sqlite3_column_blob(row, column);

	return label && sqlite3_column_bytes(row, column) == 1 + *label ? label : NULL;
}

static void read_member(sqlite3_stmt *row, int at, struct journal_member *member)
{
	member->origin = (enum journal_origin)sqlite3_column_int(row, at);
	member->template_name = (const char *)sqlite3_column_text(row, at + 1);
	member->catalog = journalrow_name(row, at + 2);
	member->id = read_label(row, at + 3);
}

bool journalrow_read(sqlite3_stmt *from, int at, const uint8_t *name, struct journal_row *row, struct journal_member *member)
{
	*row = (struct journal_row){.name = name};
	row->has_serial = read_serial(from, at++, &row->serial);
	row->changed = sqlite3_column_int64(from, at++);
	row->refreshed = sqlite3_column_int64(from, at++);
	row->expires = sqlite3_column_int64(from, at++);
	row->next = sqlite3_column_int64(from, at++);
	row->expired = sqlite3_column_int(from, at++) != 0;
	row->held = sqlite3_column_int(from, at++) != 0;
	row->failures = (uint32_t)sqlite3_column_int64(from, at++);
	row->given_expire = (uint32_t)sqlite3_column_int64(from, at++);
	row->file_known = read_serial(from, at++, &row->written);
	row->file.size = (uint64_t)sqlite3_column_int64(from, at++);
	row->file.sum = (uint64_t)sqlite3_column_int64(from, at++);
	row->has_rejected = read_serial(from, at++, &row->rejected);
	row->rejected_why = (const char *)sqlite3_column_text(from, at++);
	row->primary = (const char *)sqlite3_column_text(from, at++);
	read_member(from, at, member);
	at += 4;
	row->member = member->origin != JOURNAL_CONF ? member : NULL;
	if ((uint64_t)sqlite3_column_int64(from, at) == sum_of_row(name, row) && member->origin <= JOURNAL_CATALOG)
		return true;
	*row = (struct journal_row){.name = name};
	return false;
}

bool journalrow_read_content(sqlite3_stmt *from, int at, const uint8_t *name, struct journalrow_content *c)
{
	c->has_image = read_serial(from, at++, &c->image);
	c->parts = (uint32_t)sqlite3_column_int64(from, at++);
	c->image_octets = (uint64_t)sqlite3_column_int64(from, at++);
	c->image_at = (uint64_t)sqlite3_column_int64(from, at++);
	c->next_step = (uint64_t)sqlite3_column_int64(from, at++);
	c->step_octets = (uint64_t)sqlite3_column_int64(from, at++);
	c->last.v = (uint32_t)sqlite3_column_int64(from, at++);
	if ((uint64_t)sqlite3_column_int64(from, at) == sum_of_content(name, c))
		return true;
	*c = (struct journalrow_content){0};
	return false;
}

/* --- copies ------------------------------------------------------------------------------ */

static size_t text_size(const char *text)
{
	return text ? strlen(text) + 1 : 0;
}

static void *copy_octets(uint8_t **at, const void *from, size_t n)
{
	void *copy = from ? memcpy(*at, from, n) : NULL;

	*at += n;
	return copy;
}

struct journal_row *journal_row_copy(const struct journal_row *row)
{
	const struct journal_member *m = row->member;
	size_t octets = name_length(row->name) + text_size(row->primary) + text_size(row->rejected_why);
	struct journal_member *member = NULL;
	struct journal_row *copy;
	uint8_t *at;

	if (m)
		octets += sizeof *m + text_size(m->template_name) + name_or_none_length(m->catalog) + label_length(m->id);
	copy = malloc(sizeof *copy + octets);
	if (!copy)
		return NULL;
	*copy = *row;
	at = (uint8_t *)(copy + 1);
	if (m) {
		member = copy_octets(&at, m, sizeof *m);
		member->template_name = copy_octets(&at, m->template_name, text_size(m->template_name));
		member->catalog = copy_octets(&at, m->catalog, name_or_none_length(m->catalog));
		member->id = copy_octets(&at, m->id, label_length(m->id));
	}
	copy->member = member;
	copy->name = copy_octets(&at, row->name, name_length(row->name));
	copy->primary = copy_octets(&at, row->primary, text_size(row->primary));
	copy->rejected_why = copy_octets(&at, row->rejected_why, text_size(row->rejected_why));
	return copy;
}
