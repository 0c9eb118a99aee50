/* A master file: each record that is read is printed, and read again from that to the same record. */
#include "dns/rrtext.h"
#include "zone/zonefile.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t apex[] = "\7example";

static enum err same(void *ctx, const struct rr *rr, struct why *why)
{
	const struct rr *first = ctx;
	size_t n = name_length(rr->owner);

	(void)why;
	if (n != name_length(first->owner) || memcmp(rr->owner, first->owner, n) || rr->type != first->type ||
	    rr->class != first->class || rr->ttl != first->ttl || rr->rdlength != first->rdlength ||
	    memcmp(rr->rdata, first->rdata, rr->rdlength))
		abort();
	return ERR_OK;
}

static enum err again(void *ctx, const struct rr *rr, struct why *why)
{
	char *text = malloc(NAME_TEXT_SIZE + 64 + RR_TEXT_SIZE(rr->rdlength)), owner[NAME_TEXT_SIZE];
	unsigned *records = ctx;
	struct rr first = *rr;
	size_t n;

	(void)why;
	if (!text || rr_check_rdata(rr->type, rr->rdata, rr->rdlength, NULL))
		abort();
	n = rr_put_text(rr, owner, name_put_text(rr->owner, owner), text);
	if (zonefile_parse("again", text, n, NULL, apex, same, &first, NULL))
		abort();
	free(text);
	return ++*records < 1000 ? ERR_OK : ERR_LIMIT;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned records = 0;
	char *text = malloc(size ? size : 1);
	struct why why;

	rr_init();
	if (!text)
		abort();
	memcpy(text, data, size);
	if (zonefile_parse("zone", text, size, NULL, apex, again, &records, &why) && !why.text[0])
		abort();
	free(text);
	return 0;
}
