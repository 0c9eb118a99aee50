#include "dns/rrtext.h"

#include "dns/rrparse.h"
#include "dns/rrprint.h"
#include "dns/rrshape.h"

#include <strings.h>

/* --- types and classes --------------------------------------------------------------------- */

static const char *numbered(char out[RR_TYPE_TEXT], const char *prefix, uint16_t number)
{
	*text_put_number(stpcpy(out, prefix), number) = 0;
	return out;
}

const char *rr_type_text(uint16_t type, char out[RR_TYPE_TEXT])
{
	const struct rrshape *shape = rrshape_of(type);

	if (!shape || shape->name_length >= RR_TYPE_TEXT)
		return numbered(out, "TYPE", type);
	return memcpy(out, shape->name, shape->name_length + 1u);
}

bool rr_type_parse(const char *text, size_t length, uint16_t *type)
{
	return rrparse_type(text, length, type);
}

static const struct {
	uint16_t class;
	char name[5];
} classes[] = {{CLASS_IN, "IN"}, {CLASS_CH, "CH"}, {4, "HS"}, {CLASS_NONE, "NONE"}, {CLASS_ANY, "ANY"}};

enum { CLASSES = sizeof classes / sizeof *classes };

const char *rr_class_text(uint16_t class, char out[RR_TYPE_TEXT])
{
	for (unsigned i = 0; i < CLASSES; i++)
		if (classes[i].class == class)
			return strcpy(out, classes[i].name);
	return numbered(out, "CLASS", class);
}

bool rr_class_parse(const char *text, size_t length, uint16_t *class)
{
	for (unsigned i = 0; i < CLASSES; i++)
		if (strlen(classes[i].name) == length && !strncasecmp(classes[i].name, text, length)) {
			*class = classes[i].class;
			return true;
		}
	return text_numbered("CLASS", text, length, class);
}

/* --- printing -------------------------------------------------------------------------------- */

static char *put_generic(char *out, const uint8_t *rdata, size_t n)
{
	out = mempcpy(out, "\\# ", 3);
	out = text_put_number(out, (uint32_t)n);
	if (n == 0)
		return out;
	*out++ = ' ';
	return text_put_hex(out, rdata, n);
}

static inline char *put_rdata(uint16_t type, const uint8_t *rdata, size_t n, char *out)
{
	const struct rrshape *shape = rrshape_of(type);
	char *end = shape ? rrprint_fields(shape, rdata, n, out, RR_TEXT_SIZE(n)) : NULL;

	return end ? end : put_generic(out, rdata, n);
}

size_t rr_put_rdata_text(uint16_t type, const uint8_t *rdata, size_t rdlength, char *out)
{
	return (size_t)(put_rdata(type, rdata, rdlength, out) - out);
}

size_t rr_put_text(const struct rr *rr, const char *owner, size_t ownerlen, char *out)
{
	char *at = mempcpy(out, owner, ownerlen), class[RR_TYPE_TEXT];

	*at++ = '\t';
	at = text_put_number(at, rr->ttl);
	if (rr->class == CLASS_IN) {
		at = mempcpy(at, "\tIN\t", 4);
	} else {
		*at++ = '\t';
		at = stpcpy(at, rr_class_text(rr->class, class));
		*at++ = '\t';
	}
	at = rrprint_type(at, rr->type);
	*at++ = '\t';
	at = put_rdata(rr->type, rr->rdata, rr->rdlength, at);
	*at++ = '\n';
	return (size_t)(at - out);
}

/* --- reading ----------------------------------------------------------------------------------- */

static bool is_generic(const struct text_token *tokens, size_t count)
{
	return count && tokens->length == 2 && !tokens->quoted && memcmp(tokens->text, "\\#", 2) == 0;
}

static enum err parse_generic(uint16_t type, const struct text_token *tokens, size_t count, struct wbuf *out, struct why *why)
{
	uint8_t *start = out->at;
	enum err err = rrparse_generic(tokens + 1, count - 1, out, why);

	if (err)
		return err;
	return rr_check_rdata(type, start, (size_t)(out->at - start), why) ? ERR_SYNTAX : ERR_OK;
}

enum err rr_parse_rdata(uint16_t type, const struct text_token *tokens, size_t count, const uint8_t *origin,
	struct wbuf *out, struct why *why)
{
	const struct rrshape *shape = rrshape_of(type);
	uint8_t *start = out->at;
	enum err err;

	if (is_generic(tokens, count))
		err = parse_generic(type, tokens, count, out, why);
	else if (shape)
		err = rrparse_fields(type, shape, tokens, count, origin, out, why);
	else
		err = err_why(why, ERR_SYNTAX, "TYPE%u: nothing is known of this type; its data is written \\# LENGTH HEX", type);
	if (err)
		out->at = start;
	return err;
}
