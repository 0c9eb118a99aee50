/* dns/frame: DNS messages on a stream: two octets of length before each (RFC 1035 4.2.2). Pure. */
#ifndef DNS_FRAME_H
#define DNS_FRAME_H

#include "base/buf.h"

/* If a whole message stands at the stream's cursor: true, `message` is it (borrowed), and the cursor is behind
 * it. Else false, and the cursor stays. A length of zero is a message of no octets. */
static inline bool frame_next(struct rbuf *stream, struct rbuf *message)
{
	size_t length;

	if (rbuf_left(stream) < 2)
		return false;
	length = get_u16(stream->at);
	if (rbuf_left(stream) < 2 + length)
		return false;
	*message = rbuf_of(stream->at + 2, length);
	stream->at += 2 + length;
	return true;
}

#endif
