/* Changes what the database remembers of a zone, which bears sums and so cannot be changed by SQL alone:
 * 940-row STATE-DIR [ZONE COLUMN +SECONDS|-SECONDS|=VALUE ...]; ZONE in wire form as hex. Prints all rows. */
#include "dns/name.h"
#include "zone/journal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct edit {
	char **args;                 /* name, column, value, ... */
	struct journal_row *row;     /* as it is to be */
};

static const uint8_t *name_of(const char *hex)
{
	static uint8_t name[NAME_SIZE];
	unsigned octet;

	for (size_t i = 0; i < NAME_SIZE && sscanf(hex + 2 * i, "%2x", &octet) == 1; i++)
		name[i] = (uint8_t)octet;
	return name;
}

static void set(int64_t *value, const char *how)
{
	*value = *how == '=' ? atoll(how + 1) : *value + atoll(how);
}

static void change(struct journal_row *row, const char *column, const char *how)
{
	int64_t expired = row->expired, failures = row->failures;

	if (!strcmp(column, "changed"))
		set(&row->changed, how);
	else if (!strcmp(column, "refreshed"))
		set(&row->refreshed, how);
	else if (!strcmp(column, "next"))
		set(&row->next, how);
	else if (!strcmp(column, "expired"))
		set(&expired, how);
	else if (!strcmp(column, "failures"))
		set(&failures, how);
	else
		exit(2);
	row->expired = expired != 0;
	row->failures = (uint32_t)failures;
}

static enum journal_want each(void *ctx, const struct journal_item *item)
{
	struct edit *edit = ctx;
	char name[NAME_TEXT_SIZE];

	if (item->kind != JOURNAL_ITEM_ROW || !item->row_whole)
		return JOURNAL_GO_ON;
	if (edit->args[0] && name_equal(item->row->name, name_of(edit->args[0]))) {
		edit->row = journal_row_copy(item->row);
		for (char **arg = edit->args + 1; arg[0] && arg[1]; arg += 2)
			change(edit->row, arg[0], arg[1]);
	}
	printf("%s|%u|%d|%u|%s\n", name_text(item->row->name, name), item->row->serial.v, item->row->expired, item->row->written.v,
		item->row->primary ? item->row->primary : "");
	return JOURNAL_GO_ON;
}

int main(int argc, char **argv)
{
	struct edit edit = {.args = argv + 2};
	struct journal *j = NULL;
	struct why why = {{0}};
	enum err err;

	if (argc < 2)
		return 2;
	err = journal_open(&j, argv[1], &why);
	if (!err)
		err = journal_scan(j, JOURNAL_ROWS, each, &edit, &why);
	if (!err && edit.row)
		err = journal_commit(j, &(struct journal_change){.kind = JOURNAL_ROW, .row = edit.row}, 1, &why);
	if (err)
		fprintf(stderr, "%s\n", err_say(&why, err));
	free(edit.row);
	journal_close(j);
	return err ? 1 : 0;
}
