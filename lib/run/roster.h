/* run/roster: which zones there are: those of the configuration, those that the operator added at run time, and the members of catalog
 * zones; and which of them are on hold. What is not in the configuration is remembered here, and survives a restart in two files (one in
 * state-dir, one in zone-dir), either of which is enough; they are text:
 *
 *     roster 1 17                                  format, and how often it was written
 *     added example.org. TEMPLATE                  "-": none was named
 *     member example.net. GROUP CATALOG ID
 *     held example.com.                            of one in the configuration; the others have "held" at the line's end
 *     end 3 0123456789abcdef                       entries above, and a checksum
 *
 * Where two want a zone the configuration comes first, then what was added, then the catalog that had it first.
 */
#ifndef RUN_ROSTER_H
#define RUN_ROSTER_H

#include "run/conf.h"

#define ROSTER_FILE "roster"                 /* in state-dir */
#define ROSTER_COPY ".lockstep-roster"       /* in zone-dir */

struct roster;

enum roster_origin { ROSTER_CONF, ROSTER_ADDED, ROSTER_MEMBER };

/* One zone of which something is to be remembered. Valid until the roster is changed. */
struct roster_zone {
	const uint8_t *name;         /* lower case */
	enum roster_origin origin;   /* ROSTER_CONF: it is only held */
	bool held;
	const char *template_name;   /* ADDED: NULL: the default one. MEMBER: its group, NULL: none */
	const uint8_t *catalog;      /* MEMBER: the catalog's name */
	const uint8_t *id;           /* MEMBER: its label there, the length before it */
};

enum { ROSTER_WORD_MAX = 255 };      /* octets of a template's name, or a group */

struct roster *roster_new(void);             /* NULL: out of memory */
void roster_free(struct roster *);
/* In canonical order. */
size_t roster_count(struct roster *);
size_t roster_added(struct roster *);        /* how many are ROSTER_ADDED */
const struct roster_zone *roster_at(struct roster *, size_t);
const struct roster_zone *roster_find(struct roster *, const uint8_t *name);       /* NULL: nothing is remembered of it */
/* Remembers a copy, in the place of what was known of the name. Any number of changes in a row cost n log n. ERR_NOMEM: no change. */
enum err roster_put(struct roster *, const struct roster_zone *);
enum err roster_drop(struct roster *, const uint8_t *name);
/* The zone is on hold, or no more; the rest stays. */
enum err roster_hold(struct roster *, const uint8_t *name, bool held);

/* What applies to the zone under this configuration. NULL: it is not to be any more (its catalog is not consumed), or, with `why`,
 * there is no template for it. */
const struct conf_settings *roster_settings(const struct conf *, const struct roster_zone *, struct why *);
/* All zones there are to be, in canonical order. Their names are borrowed from `conf` and the roster. */
struct roster_list {
	struct conf_zone *zones;     /* malloc'd */
	size_t count;
	size_t lost;                 /* zones for which there is no template, or whose file is another zone's: they are left out, */
	struct why why;              /* and why the first of them */
};
enum err roster_merge(struct roster *, const struct conf *, struct roster_list *);
/* Forgets what the configuration, now in force, has taken over, or what no catalog of it brings any more. */
enum err roster_follow(struct roster *, const struct conf *, bool *changed);

/* The file's text, malloc'd; NULL: out of memory. */
char *roster_text(struct roster *, size_t *length);
/* ERR_DAMAGED: it is not such a text as it was written; the roster is as it was before. */
enum err roster_parse(struct roster *, const char *text, size_t length, struct why *);
/* Reads the newer one of two files that are whole. No file: nothing to remember. What is wrong with one that is damaged is said in `why`, with ERR_OK
 * where the other is whole, and else ERR_DAMAGED. `mend`: they are not both there and equal. */
enum err roster_load(struct roster *, const char *path, const char *other, bool *mend, struct why *);
/* Replaces a file. Any thread. */
enum err roster_write(const char *path, const char *text, size_t length, struct why *);

#endif
