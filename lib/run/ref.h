/* run/ref: what one part of the configuration file calls by name in another: keys, remotes, acls, providers, templates.
 * A section's items are collected in an index while it is read, then sorted and searched. Each item begins with its
 * name: `const char *`, or the octets of a domain name.
 */
#ifndef RUN_REF_H
#define RUN_REF_H

#include "run/key.h"

struct ref_named;

struct ref_index {
	const char *what;            /* "remote" */
	struct ref_named *items;
	size_t count;
};

/* Room for `max` items. */
bool ref_begin(struct key_reader *, struct ref_index *, size_t max);
/* `name` (of a domain name: name_text in lower case) and item live as long as the index. */
void ref_add(struct ref_index *, const char *name, const void *item, const config_setting_t *where);
/* Sorts; a name that is there twice is an error. */
bool ref_end(struct key_reader *, struct ref_index *);
void ref_release(struct ref_index *);
/* NULL: no such item. */
const void *ref_find(const struct ref_index *, const char *name);
/* The item that the setting names; NULL and an error if there is none. */
const void *ref_resolve(struct key_reader *, const struct ref_index *, const config_setting_t *);

/* Kinds. The reader's owner is an array of indices; the row's `from` is the place in it. */
extern const struct key_kind
	kind_ref_domain,   /* const void *: an item that begins with a domain name */
	kind_refs,         /* const void *const *, and a count */
	kind_refs_of_two;  /* struct { const void *a, *b; } *, and a count: an item of this index, or of the next one */

#endif
