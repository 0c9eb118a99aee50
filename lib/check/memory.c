#include "check/memory.h"

#include "base/array.h"
#include "base/file.h"
#include "dns/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	FILE_MAX = 1 << 20,
	LINE_MAX_OCTETS = NAME_TEXT_SIZE + NET_ADDR_TEXT + 200,
	FORGET = 90 * 86400,         /* seconds */
	WORDS_MAX = 8,
};
#define HEAD "lockstep-check 1"

struct entry {
	uint8_t name[NAME_SIZE];     /* in lower case */
	struct net_addr address;
	struct serial last, highest;
	int64_t since, behind_since, seen;
};

struct memory {
	uint8_t zone[NAME_SIZE];
	bool known;                  /* newest */
	struct serial newest;
	int64_t first_seen;
	size_t count, room;          /* count: MEMORY_SERVERS_MAX at most */
	struct entry *entries;
};

struct memory *memory_new(const uint8_t *zone)
{
	struct memory *memory = calloc(1, sizeof *memory);

	if (!memory)
		return NULL;
	name_lower(zone, memory->zone);
	return memory;
}

void memory_free(struct memory *memory)
{
	if (!memory)
		return;
	free(memory->entries);
	free(memory);
}

static void forget_all(struct memory *memory)
{
	memory->known = false;
	memory->count = 0;
}

static struct entry *find(const struct memory *memory, const uint8_t *name, const struct net_addr *address)
{
	for (size_t i = 0; i < memory->count; i++)
		if (net_addr_equal(&memory->entries[i].address, address) && name_equal(memory->entries[i].name, name))
			return &memory->entries[i];
	return NULL;
}

static struct entry *longest_unseen(struct memory *memory)
{
	struct entry *entry = memory->entries;

	for (size_t i = 1; i < memory->count; i++)
		if (memory->entries[i].seen < entry->seen)
			entry = &memory->entries[i];
	return entry;
}

/* One more, or in the place of the one that was not seen for longest. NULL: out of memory. */
static struct entry *make_entry(struct memory *memory, const uint8_t *name, const struct net_addr *address)
{
	bool full = memory->count == MEMORY_SERVERS_MAX;
	struct entry *entry;

	if (!full && !array_room(memory->entries, memory->room, memory->count + 1))
		return NULL;
	entry = full ? longest_unseen(memory) : &memory->entries[memory->count++];
	*entry = (struct entry){.address = *address};
	name_lower(name, entry->name);
	return entry;
}

/* --- one check ----------------------------------------------------------------- */

bool memory_saw(struct memory *memory, const uint8_t *name, const struct net_addr *address, struct serial serial, int64_t now)
{
	struct entry *entry = find(memory, name, address);
	bool fresh = !entry;

	if (fresh)
		entry = make_entry(memory, name, address);
	if (!entry)
		return false;
	if (fresh || serial_newer(serial, entry->highest))
		entry->highest = serial;
	if (fresh || !serial_equal(serial, entry->last)) {
		entry->since = now;
		entry->behind_since = 0;
	}
	entry->last = serial;
	entry->seen = now;
	return true;
}

static void drop_old(struct memory *memory, int64_t now, bool (*kept)(void *, const uint8_t *, const struct net_addr *), void *ctx)
{
	size_t left = 0;

	for (size_t i = 0; i < memory->count; i++) {
		const struct entry *entry = &memory->entries[i];

		if (now - entry->seen > FORGET || (kept && !kept(ctx, entry->name, &entry->address)))
			continue;
		if (left != i)
			memory->entries[left] = *entry;
		left++;
	}
	memory->count = left;
}

void memory_settle(struct memory *memory, int64_t now, bool (*kept)(void *ctx, const uint8_t *name, const struct net_addr *), void *ctx)
{
	struct serial newest;

	drop_old(memory, now, kept, ctx);
	if (!memory->count)
		return;
	newest = memory->entries[0].last;
	for (size_t i = 1; i < memory->count; i++)
		if (serial_newer(memory->entries[i].last, newest))
			newest = memory->entries[i].last;
	if (!memory->known || !serial_equal(newest, memory->newest) || memory->first_seen > now) {
		memory->known = true;
		memory->newest = newest;
		memory->first_seen = now;
	}
	for (size_t i = 0; i < memory->count; i++) {
		struct entry *entry = &memory->entries[i];

		if (!serial_newer(newest, entry->last))
			entry->behind_since = 0;
		else if (!entry->behind_since || entry->behind_since > now)
			entry->behind_since = now;
	}
}

static const uint8_t our_name[] = "\4here";

/* Nobody's, but one that can be read from the file again. */
static struct net_addr our_address(void)
{
	struct net_addr address = {.sa.sa_family = AF_INET};

	net_set_port(&address, 53);
	return address;
}

bool memory_is_ours(const uint8_t *name, const struct net_addr *address)
{
	struct net_addr ours = our_address();

	return net_addr_equal(address, &ours) && name_equal(name, our_name);
}

bool memory_serve(struct memory *memory, struct serial serial, int64_t taken, int64_t now)
{
	struct net_addr ours = our_address();

	if (!memory_saw(memory, our_name, &ours, serial, now))
		return false;
	if (!memory->known || serial_newer(serial, memory->newest))
		memory_settle(memory, taken, NULL, NULL);
	else if (serial_equal(serial, memory->newest) && taken < memory->first_seen)
		memory->first_seen = taken;
	return true;
}

bool memory_newest(const struct memory *memory, struct serial *serial, int64_t *first_seen)
{
	if (!memory->known)
		return false;
	*serial = memory->newest;
	*first_seen = memory->first_seen;
	return true;
}

bool memory_of(const struct memory *memory, const uint8_t *name, const struct net_addr *address, int64_t now, struct memory_server *out)
{
	const struct entry *entry = find(memory, name, address);
	int64_t lag = now - memory->first_seen;

	if (!entry)
		return false;
	*out = (struct memory_server){.last = entry->last, .highest = entry->highest, .since = entry->since, .behind_since = entry->behind_since};
	if (memory->known && serial_newer(memory->newest, entry->last) && lag > 0)
		out->lag = lag;
	return true;
}

/* --- the file: a line each, words between single spaces --------------------------- */

struct line {
	char text[LINE_MAX_OCTETS];
	char *word[WORDS_MAX];
	size_t words;
};

/* Takes the next line of the file. False: there is none, or it is too long, or has too many words. */
static bool next_line(const char **at, const char *end, struct line *line)
{
	const char *stop = *at < end ? memchr(*at, '\n', (size_t)(end - *at)) : NULL;
	char *save = NULL;

	if (!stop || (size_t)(stop - *at) >= sizeof line->text)
		return false;
	memcpy(line->text, *at, (size_t)(stop - *at));
	line->text[stop - *at] = 0;
	if (strlen(line->text) != (size_t)(stop - *at))
		return false;
	*at = stop + 1;
	line->words = 0;
	for (char *word = strtok_r(line->text, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		if (line->words == WORDS_MAX)
			return false;
		line->word[line->words++] = word;
	}
	return true;
}

static bool read_serial(const char *word, struct serial *serial)
{
	return text_number(word, strlen(word), UINT32_MAX, &serial->v);
}

/* Seconds since 1970, of this or the next few thousand years. */
static bool read_time(const char *word, int64_t *out)
{
	size_t n = strspn(word, "0123456789");

	if (!n || n > 12 || word[n])
		return false;
	*out = strtoll(word, NULL, 10);
	return true;
}

static bool read_name(const char *word, uint8_t name[NAME_SIZE])
{
	return name_parse(word, strlen(word), NULL, name, NULL) == ERR_OK;
}

static enum err read_server(struct memory *memory, const struct line *line)
{
	uint8_t name[NAME_SIZE];
	struct net_addr address;
	struct entry *entry;

	if (line->words != 8 || memory->count == MEMORY_SERVERS_MAX || !read_name(line->word[1], name) ||
	    net_addr_parse(&address, line->word[2], 53, NULL) || find(memory, name, &address))
		return ERR_DAMAGED;
	entry = make_entry(memory, name, &address);
	if (!entry)
		return ERR_NOMEM;
	return read_serial(line->word[3], &entry->last) && read_time(line->word[4], &entry->since) && read_serial(line->word[5], &entry->highest) &&
		read_time(line->word[6], &entry->behind_since) && read_time(line->word[7], &entry->seen) ? ERR_OK : ERR_DAMAGED;
}

static bool read_head(struct memory *memory, const char **at, const char *end)
{
	struct line line;
	uint8_t zone[NAME_SIZE];

	if (end - *at < (ptrdiff_t)sizeof HEAD || memcmp(*at, HEAD "\n", sizeof HEAD) != 0)
		return false;
	*at += sizeof HEAD;
	if (!next_line(at, end, &line) || line.words != 2 || strcmp(line.word[0], "zone") != 0 || !read_name(line.word[1], zone))
		return false;
	return name_equal(zone, memory->zone);
}

static enum err read_all(struct memory *memory, const char *at, const char *end)
{
	enum err err = read_head(memory, &at, end) ? ERR_OK : ERR_DAMAGED;
	struct line line;

	while (!err && next_line(&at, end, &line)) {
		if (line.words == 1 && strcmp(line.word[0], "end") == 0)
			return at == end ? ERR_OK : ERR_DAMAGED;
		if (line.words == 3 && strcmp(line.word[0], "newest") == 0 && !memory->known) {
			memory->known = read_serial(line.word[1], &memory->newest) && read_time(line.word[2], &memory->first_seen);
			err = memory->known ? ERR_OK : ERR_DAMAGED;
		} else {
			err = line.words && strcmp(line.word[0], "server") == 0 ? read_server(memory, &line) : ERR_DAMAGED;
		}
	}
	return err ? err : ERR_DAMAGED;      /* it has no end */
}

enum err memory_load(struct memory *memory, const char *path, struct why *why)
{
	struct file_bytes file;
	enum err err = file_read(path, FILE_MAX, &file, why);

	forget_all(memory);
	if (err == ERR_NOTFOUND)
		return ERR_OK;
	if (err)
		return err;
	err = read_all(memory, file.bytes, file.bytes + file.length);
	if (err) {
		forget_all(memory);
		err_why(why, err, err == ERR_NOMEM ? "%s: out of memory" : "%s: this is not what was remembered of the zone; it is begun anew", path);
	}
	file_bytes_release(&file);
	return err;
}

static void put(struct file_replace *file, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(struct file_replace *file, const char *format, ...)
{
	char *room = file_replace_room(file, LINE_MAX_OCTETS);
	va_list list;
	int n;

	if (!room)
		return;
	va_start(list, format);
	n = vsnprintf(room, LINE_MAX_OCTETS, format, list);
	va_end(list);
	if (n > 0 && n < LINE_MAX_OCTETS)
		file_replace_advance(file, (size_t)n);
}

enum err memory_save(const struct memory *memory, const char *path, struct why *why)
{
	char name[NAME_TEXT_SIZE], address[NET_ADDR_TEXT];
	struct file_replace file;
	enum err err = file_mkparent(path, why);

	if (!err)
		err = file_replace_begin(&file, path, why);
	if (err)
		return err;
	put(&file, HEAD "\nzone %s\n", name_text(memory->zone, name));
	if (memory->known)
		put(&file, "newest %u %lld\n", memory->newest.v, (long long)memory->first_seen);
	for (size_t i = 0; i < memory->count; i++) {
		const struct entry *entry = &memory->entries[i];

		put(&file, "server %s %s %u %lld %u %lld %lld\n", name_text(entry->name, name),
			net_addr_text(&entry->address, 53, address), entry->last.v, (long long)entry->since, entry->highest.v,
			(long long)entry->behind_since, (long long)entry->seen);
	}
	put(&file, "end\n");
	return file_replace_commit(&file, why);
}
