/* check/facts: a survey put in order for judging: the nameservers with their names as text, the SOA record and the NS set that each shows, what the
 * delegation is. Made by check/verdict, read by the families of findings. Pure.
 */
#ifndef CHECK_FACTS_H
#define CHECK_FACTS_H

#include "check/settings.h"
#include "check/survey.h"

/* Names in canonical order, each once, pointing into replies. */
struct facts_names {
	const uint8_t *const *names;
	size_t count;
};

struct facts_server {
	const struct survey_server *server;
	const uint8_t *ns;           /* its name */
	const char *name, *address;  /* as text */
	const struct verdict_provider *provider;     /* NULL: none */
	const struct reply *first;   /* the answer over UDP that counts: with EDNS, or without where that alone is answered; NULL: there is none */
	const struct rr *soa;        /* NULL: it shows none with authority, and nothing else of it is judged */
	const struct rr *ns_rrs;     /* the records of the NS set; NULL: it shows none with authority */
	struct facts_names ns_set;
	uint8_t signs[32];           /* a bit for each algorithm with which the SOA record is signed */
	bool is_signed;              /* there is one */
};
struct facts_parent {
	const char *name, *address;
	struct facts_names ns_set;
	uint32_t ttl;
	bool shows;                  /* a delegation */
};

struct facts {
	struct arena *arena;
	const struct survey *survey;
	const struct verdict_settings *settings;
	struct findings *findings;
	int64_t now;
	const char *zone;
	struct facts_server *servers; size_t server_count;
	struct facts_parent *parents; size_t parent_count;
	bool delegated;              /* the following is known: what the parent says, or what it is to say */
	struct facts_names delegation;
	uint32_t delegation_ttl;
	bool split;                  /* the servers do not agree on the names in the NS set */
};

/* False: out of memory. The arena holds what is made. */
bool facts_make(struct facts *, const struct survey *, const struct verdict_settings *, struct findings *, struct arena *, int64_t now);

/* NOERROR with authority. */
bool facts_is_good(const struct reply *);
/* The records of the zone's apex in such an answer; NULL: none. */
const struct rr *facts_apex(const struct facts *, const struct reply *, uint16_t type, size_t *count);
/* Of names in any order, which are sorted in place. */
struct facts_names facts_sorted(const uint8_t **names, size_t count);
bool facts_has(const struct facts_names *, const uint8_t *name);
bool facts_same(const struct facts_names *, const struct facts_names *);
/* The same records but for TTL. */
bool facts_same_records(const struct rr *a, size_t na, const struct rr *b, size_t nb);
/* "a. b." of those of `these` that are not among `those`; never NULL. */
const char *facts_without(const struct facts *, const struct facts_names *these, const struct facts_names *those);
/* In lower case. */
const char *facts_name_text(const struct facts *, const uint8_t *name);
const char *facts_address_text(const struct facts *, const struct net_addr *);
/* The first server of those that are most alike, among those that have the thing; server_count: none has it. */
typedef bool facts_has_it(const struct facts *, size_t);
typedef bool facts_alike(const struct facts *, size_t, size_t);
size_t facts_commonest(const struct facts *, facts_has_it *, facts_alike *);
facts_has_it facts_has_ns_set;
facts_alike facts_alike_ns_set;
/* Whose nameserver it is; NULL: nobody's that is configured. */
const struct verdict_provider *facts_provider(const struct facts *, const uint8_t *name);

/* Adds a finding at a server, or a parent's (`at`: anything with name and address), or of the zone as a whole. What cannot be added
 * is counted (findings_lost). */
#define FOUND_AT(facts, id, worse, at, ...) ((void)findings_add((facts)->findings, id, worse, \
	&(struct finding_place){.server = (at)->name, .address = (at)->address}, __VA_ARGS__))
#define FOUND(facts, id, worse, ...) ((void)findings_add((facts)->findings, id, worse, NULL, __VA_ARGS__))
/* At the server where `at` is one, else of the zone. */
#define FOUND_MAYBE(facts, id, worse, at, ...) ((void)findings_add((facts)->findings, id, worse, \
	(at) ? &(struct finding_place){.server = (at)->name, .address = (at)->address} : NULL, __VA_ARGS__))

#endif
