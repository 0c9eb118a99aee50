/* For the tests of serve/: zones made from text, in a store, and responses shown as text. Both by ldns, so that the
 * program's own readers do not judge themselves.
 */
#ifndef T_SERVE_ZONE_H
#define T_SERVE_ZONE_H

#include "serve/answer.h"
#include "zone/build.h"

#include <ldns/ldns.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition) do { \
	if (!(condition)) { \
		fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
		abort(); \
	} \
} while (0)

static inline const uint8_t *name_of(const char *text)
{
	static uint8_t names[4][NAME_SIZE];
	static unsigned next;
	uint8_t *name = names[next++ % 4];

	CHECK(name_parse(text, strlen(text), NULL, name, NULL) == ERR_OK);
	return name;
}

static inline void add_record(struct build *build, ldns_rr *record)
{
	uint8_t *wire, rdata[65536];
	size_t size;
	struct msg_rr raw;
	struct rbuf msg;
	struct wbuf out = wbuf_of(rdata, sizeof rdata);
	struct rr rr;
	struct why why;

	CHECK(ldns_rr2wire(&wire, record, LDNS_SECTION_ANSWER, &size) == LDNS_STATUS_OK);
	msg = rbuf_of(wire, size);
	CHECK(msg_read_rr(&msg, &raw));
	msg.at = raw.rdata;
	CHECK(rr_read_rdata(&msg, raw.type, raw.rdlength, &out, NULL) == ERR_OK);
	rr = (struct rr){raw.owner, raw.type, raw.class, (uint16_t)wbuf_used(&out), raw.ttl, rdata};
	if (build_add(build, &rr, &why) != ERR_OK) {
		fprintf(stderr, "%s\n", why.text);
		abort();
	}
	free(wire);
}

/* `text`: one record a line, names relative to the apex. */
static inline struct zone *zone_of_text(const char *apex, const char *text)
{
	struct build *build = build_new(name_of(apex), NULL, (struct build_limits){0});
	ldns_rdf *origin = ldns_dname_new_frm_str(apex), *previous = NULL;
	char *copy = strdup(text), *rest = copy, *line;
	struct zone *zone;
	struct why why;

	CHECK(build && origin && copy);
	while ((line = strsep(&rest, "\n"))) {
		ldns_rr *record;

		if (!*line)
			continue;
		if (ldns_rr_new_frm_str(&record, line, 3600, origin, &previous) != LDNS_STATUS_OK) {
			fprintf(stderr, "not a record: %s\n", line);
			abort();
		}
		add_record(build, record);
		ldns_rr_free(record);
	}
	if (build_finish(build, &zone, &why) != ERR_OK) {
		fprintf(stderr, "%s\n", why.text);
		abort();
	}
	ldns_rdf_deep_free(origin);
	ldns_rdf_deep_free(previous);
	free(copy);
	return zone;
}

static inline struct store_zone *add_zone(struct store *store, const char *apex, const char *text, struct serve_policy *policy)
{
	struct store_zone *place;

	CHECK(store_add(store, name_of(apex), policy ? &policy->base : NULL, &place) == ERR_OK);
	if (text)
		store_commit(place, zone_of_text(apex, text), STORE_SERVED);
	CHECK(store_publish(store) == ERR_OK);
	return place;
}

/* --- responses as text ------------------------------------------------------------------- */

static inline void show_section(FILE *out, const char *name, ldns_rr_list *list)
{
	for (size_t i = 0; i < ldns_rr_list_rr_count(list); i++) {
		char *text = ldns_rr2str(ldns_rr_list_rr(list, i));
		char *word, *rest = text;

		fputs(name, out);
		while ((word = strsep(&rest, " \t\n")))
			if (*word && strcmp(word, "IN") != 0)
				fprintf(out, " %s", word);
		fputc('\n', out);
		free(text);
	}
}

static inline void show_edns(FILE *out, ldns_pkt *pkt)
{
	ldns_rdf *data = ldns_pkt_edns_data(pkt);

	if (!ldns_pkt_edns(pkt))
		return;
	fprintf(out, " edns=%u%s", ldns_pkt_edns_udp_size(pkt), ldns_pkt_edns_do(pkt) ? " do" : "");
	if (data && ldns_rdf_size(data) == 6 && get_u16(ldns_rdf_data(data)) == 15)
		fprintf(out, " ede=%u", get_u16(ldns_rdf_data(data) + 4));
	else if (data && ldns_rdf_size(data))
		fprintf(out, " options=%zu", ldns_rdf_size(data));
}

/* "NOERROR aa\nanswer www.example. 3600 A 192.0.2.1\n"; static. The class is left out where it is IN. */
static inline const char *show_message(const uint8_t *bytes, size_t length)
{
	static char text[1 << 20];
	FILE *out = fmemopen(text, sizeof text, "w");
	char rcode[16];
	ldns_pkt *pkt;

	CHECK(out);
	if (ldns_wire2pkt(&pkt, bytes, length) != LDNS_STATUS_OK) {
		fputs("unreadable\n", out);
		fclose(out);
		return text;
	}
	fputs(msg_rcode_text((unsigned)(ldns_pkt_edns_extended_rcode(pkt) << 4 | ldns_pkt_get_rcode(pkt)), rcode), out);
	if (ldns_pkt_get_opcode(pkt) != LDNS_PACKET_QUERY)
		fprintf(out, " opcode=%u", ldns_pkt_get_opcode(pkt));
	fprintf(out, "%s%s%s%s%s%s", ldns_pkt_qr(pkt) ? "" : " request", ldns_pkt_aa(pkt) ? " aa" : "", ldns_pkt_tc(pkt) ? " tc" : "",
		ldns_pkt_rd(pkt) ? " rd" : "", ldns_pkt_ra(pkt) ? " ra" : "", ldns_pkt_ad(pkt) || ldns_pkt_cd(pkt) ? " ad/cd" : "");
	show_edns(out, pkt);
	fprintf(out, "%s%s\n", ldns_pkt_tsig(pkt) ? " tsig" : "", ldns_pkt_qdcount(pkt) == 1 ? "" : " questionless");
	show_section(out, "answer", ldns_pkt_answer(pkt));
	show_section(out, "authority", ldns_pkt_authority(pkt));
	show_section(out, "additional", ldns_pkt_additional(pkt));
	ldns_pkt_free(pkt);
	fclose(out);
	return text;
}

/* --- requests --------------------------------------------------------------------------- */

/* A request for "NAME TYPE", with options behind: "CH", "tcp", "noedns", "edns=SIZE", "do", "rd", "cd". */
struct test_request {
	uint8_t bytes[1024];
	size_t length;
	bool tcp;
};

static inline uint16_t type_of(const char *text)
{
	return (uint16_t)ldns_get_rr_type_by_name(text);
}

static inline struct test_request request_of(const char *text)
{
	struct test_request request = {.tcp = false};
	struct msg_writer *writer = calloc(1, sizeof *writer);
	char *copy = strdup(text), *rest = copy, *word;
	const char *name = strsep(&rest, " "), *type = strsep(&rest, " ");
	uint16_t class = CLASS_IN, flags = 0;
	unsigned payload = 1232;
	bool do_bit = false;

	CHECK(writer && copy && type);
	while ((word = strsep(&rest, " "))) {
		if (strcmp(word, "tcp") == 0)
			request.tcp = true;
		else if (strcmp(word, "noedns") == 0)
			payload = 0;
		else if (sscanf(word, "edns=%u", &payload) == 1)
			payload = payload ? payload : 1;
		else if (strcmp(word, "do") == 0)
			do_bit = true;
		else if (strcmp(word, "rd") == 0)
			flags |= MSG_RD;
		else if (strcmp(word, "cd") == 0)
			flags |= MSG_CD;
		else
			CHECK((class = (uint16_t)ldns_get_rr_class_by_name(word)) != 0);
	}
	msg_start(writer, request.bytes, sizeof request.bytes, sizeof request.bytes);
	CHECK(msg_put_question(writer, name_of(name), type_of(type), class));
	if (payload)
		CHECK(msg_put_opt(writer, (uint16_t)payload, 0, do_bit, NULL, 0));
	request.length = msg_finish(writer, 0x1234, flags);
	free(writer);
	free(copy);
	return request;
}

#endif
