/* The last result of a zone's checks, as its file is found at start: whatever it holds, it is read or refused; and what was understood is written and read as the same. */
#include "run/recall.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NOW = 1800000000 };
static const uint8_t zone[] = "\4lame\5alpha";
static char dir[100], path[200];
static struct conf conf;

static void prepare(void)
{
	char below[150];

	snprintf(dir, sizeof dir, "%s/lockstep-fuzz-recall-%d", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm", (int)getpid());
	snprintf(below, sizeof below, "%s/checked", dir);
	snprintf(path, sizeof path, "%s/lame.alpha", below);
	if (mkdir(dir, 0700) != 0 || mkdir(below, 0700) != 0)
		abort();
	conf.server.state_dir = dir;
}

static void clean_up(void)
{
	char below[150];

	unlink(path);
	snprintf(below, sizeof below, "%s/checked", dir);
	rmdir(below);
	rmdir(dir);
}

static void again(const struct recalled *first)
{
	struct recalled second;
	struct why why;
	size_t count;
	json_t *result = json_loads(first->text, 0, NULL), *none;

	if (!result || recall_write(&conf, zone, first, &why) != ERR_OK || recall_read(&conf, zone, NOW, &second, &why) != ERR_OK)
		abort();
	if (strcmp(first->text, second.text) != 0 || first->at != second.at || !first->worst != !second.worst)
		abort();
	none = recall_difference(result, result, 100, &count);
	if (count != 0 || json_array_size(none) != 0)
		abort();
	json_decref(none);
	json_decref(result);
	recalled_release(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct recalled first;
	struct why why;
	FILE *file;

	if (!*dir) {
		prepare();
		atexit(clean_up);
	}
	file = fopen(path, "w");
	if (!file || fwrite(data, 1, size, file) != size || fclose(file))
		abort();
	if (recall_read(&conf, zone, NOW, &first, &why) == ERR_OK && first.text)
		again(&first);
	recalled_release(&first);
	return 0;
}
