/* Any octets as a response: the first two say what was asked. What is read must be in order, within its bound, and findable. */
#include "check/reply.h"
#include "dns/msg.h"

#include <stdlib.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	rr_init();
	return 0;
}

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void look_at(const struct rr *section, size_t count, size_t *octets)
{
	size_t found;

	for (size_t i = 0; i < count; i++) {
		const struct rr *rr = &section[i], *next = rr + 1;

		must(name_length(rr->owner) <= NAME_SIZE && rr->ttl <= INT32_MAX && rr->type != RR_OPT);
		must(rr_check_rdata(rr->type, rr->rdata, rr->rdlength, NULL) == ERR_OK);
		*octets += rr->rdlength;
		if (i + 1 == count)
			continue;
		must(name_compare(rr->owner, next->owner) <= 0);
		if (rr->class == next->class && rr->type == next->type && name_equal(rr->owner, next->owner))
			must(rr_compare_rdata(rr->type, rr->rdata, rr->rdlength, next->rdata, next->rdlength) < 0);
	}
	if (count && section[0].class == CLASS_IN)
		must(reply_find(section, count, section[0].owner, section[0].type, &found) == section && found >= 1 && found <= count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t *const names[] = {(const uint8_t *)"", (const uint8_t *)"\7example\3com", (const uint8_t *)"\3com"};
	static const uint16_t types[] = {RR_SOA, RR_NS, RR_A, RR_DNSKEY, RR_AXFR, RR_DS};
	char word[16];
	size_t octets = 0;
	struct reply *reply;

	if (size < 4 || size > MSG_MAX)
		return 0;
	reply = reply_read(data + 2, size - 2, get_u16(data + 2), names[data[0] % 3], types[data[1] % 6], CLASS_IN);
	if (!reply)
		return 0;
	look_at(reply->answer, reply->answer_count, &octets);
	look_at(reply->authority, reply->authority_count, &octets);
	look_at(reply->additional, reply->additional_count, &octets);
	must(octets <= REPLY_OCTETS_MAX);
	must(reply->outcome == REPLY_OK || (reply->outcome == REPLY_GARBAGE && reply->why.text[0]));
	must(reply_says(reply, word)[0] != 0);
	reply_free(reply);
	return 0;
}
