/* ours ZONE FILE: reads a zone file and prints what was read. ldns FILE: the same as ldns reads it, one record after the other.
 * Run by 221-zonefile-peers.t. */
#include "dns/name.h"
#include "dns/rrtext.h"
#include "zone/zonefile.h"

#include <ldns/ldns.h>
#include <stdio.h>

static bool put(void *ctx, const char *text, size_t length)
{
	return fwrite(text, 1, length, ctx) == length;
}

static int print_ours(const char *zone_name, const char *file)
{
	uint8_t apex[NAME_SIZE];
	struct zone *zone;
	struct why why;
	enum err err;
	bool good;

	err = name_parse(zone_name, strlen(zone_name), NULL, apex, &why);
	if (!err)
		err = zonefile_load(file, apex, (struct build_limits){0}, &zone, &why);
	if (err) {
		fprintf(stderr, "%s\n", err_say(&why, err));
		return 1;
	}
	good = zonefile_print(zone, put, stdout);
	zone_put(zone);
	return good ? 0 : 1;
}

/* An ldns_rr in wire form: owner, type, class, TTL, RDATA. */
static bool print_ldns_rr(const ldns_rr *from)
{
	static char out[NAME_TEXT_SIZE + 64 + RR_TEXT_SIZE(UINT16_MAX)];
	char owner[NAME_TEXT_SIZE];
	struct rr rr;
	struct rbuf in;
	uint8_t *wire;
	size_t size;
	bool good;

	if (ldns_rr2wire(&wire, from, LDNS_SECTION_ANSWER, &size) != LDNS_STATUS_OK)
		return false;
	in = rbuf_of(wire, size);
	rr.owner = wire;
	name_take(&in);
	rr.type = rbuf_u16(&in);
	rr.class = rbuf_u16(&in);
	rr.ttl = rbuf_u32(&in);
	rr.rdlength = rbuf_u16(&in);
	rr.rdata = rbuf_take(&in, rr.rdlength);
	good = rr.rdata && put(stdout, out, rr_put_text(&rr, owner, name_put_text(rr.owner, owner), out));
	free(wire);
	return good;
}

static int print_ldns(const char *path)
{
	FILE *file = fopen(path, "r");
	ldns_zone *zone;
	ldns_status status;
	int line = 0;
	bool good;

	if (!file)
		return 1;
	status = ldns_zone_new_frm_fp_l(&zone, file, NULL, 0, LDNS_RR_CLASS_IN, &line);
	fclose(file);
	if (status != LDNS_STATUS_OK) {
		fprintf(stderr, "%s:%d: %s\n", path, line, ldns_get_errorstr_by_id(status));
		return 1;
	}
	good = print_ldns_rr(ldns_zone_soa(zone));
	for (size_t i = 0; good && i < ldns_rr_list_rr_count(ldns_zone_rrs(zone)); i++)
		good = print_ldns_rr(ldns_rr_list_rr(ldns_zone_rrs(zone), i));
	ldns_zone_deep_free(zone);
	return good ? 0 : 1;
}

int main(int argc, char **argv)
{
	rr_init();
	if (argc == 4 && strcmp(argv[1], "ours") == 0)
		return print_ours(argv[2], argv[3]);
	if (argc == 3 && strcmp(argv[1], "ldns") == 0)
		return print_ldns(argv[2]);
	return 2;
}
