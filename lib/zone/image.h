/* zone/image: a whole version of a zone as octets, for the database (zone/journal) and the step log (zone/steplog), in pieces of at
 * most 256 KB, so that neither a large zone nor its reader needs more memory than that:
 *
 *     piece: | magic | format | last? | number | length | content | sum |        numbers in network order
 *     content of the first: apex, serial; of the last, at its end: how many records and names there were in all
 *
 * Records come in canonical order, RRset by RRset. The sum is SipHash-2-4 under a key that is known to all: it is there to find damage,
 * not to keep anybody out, who could as well write the file anew; 64 bits of it cost a fifth of a cryptographic digest. Each
 * piece's sum also takes in that of the piece before, and the first one's the apex and the serial: so a piece of another version, or one
 * out of its place, or a piece that is missing, is found like a flipped bit. Pure; one thread an object.
 */
#ifndef ZONE_IMAGE_H
#define ZONE_IMAGE_H

#include "base/err.h"
#include "zone/build.h"
#include "zone/zone.h"

enum { IMAGE_PIECE_MAX = 1 << 18 };

struct image_piece {
	const uint8_t *bytes;
	size_t length;
};

/* Takes one piece, valid during the call; an error ends the writing and is returned. */
typedef enum err image_sink(void *ctx, const struct image_piece *, struct why *);
/* All pieces of a version, in order. The version is held by the caller. ERR_NOMEM, or what the sink returns. */
enum err image_write(const struct zone *, image_sink *, void *ctx, struct why *);

/* The same gathered in memory, for who writes it to two places: about half of zone->wire_bytes. */
struct image {
	struct serial serial;
	uint64_t octets;             /* of all pieces */
	size_t count;
	struct image_piece *piece;   /* owned */
};
enum err image_make(const struct zone *, struct image *, struct why *);
void image_release(struct image *);

/* Reading, piece by piece. */
struct image_reader;
/* NULL: out of memory. */
struct image_reader *image_reader_new(const uint8_t *apex, struct build_limits);
void image_reader_free(struct image_reader *);       /* NULL is allowed */
/* The next piece. ERR_DAMAGED if it is not exactly what was written, or not the next one, or of another zone; ERR_LIMIT, ERR_NOMEM, ERR_ZONE as
 * build_add has them. After an error only image_reader_free may follow. */
enum err image_reader_put(struct image_reader *, const struct image_piece *, struct why *);
/* The version, held once; ERR_DAMAGED if pieces are missing at the end. Either way the reader is over and freed. */
enum err image_reader_finish(struct image_reader *, struct zone **, struct why *);

#endif
