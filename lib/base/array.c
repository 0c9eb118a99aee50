#include "base/array.h"

#include <stdint.h>
#include <stdlib.h>

enum { FIRST_OCTETS = 256, FIRST_ELEMENTS = 8 };

void *array_longer(void *block, size_t *room, size_t need, size_t unit)
{
	size_t wanted = *room;
	void *longer;

	if (!wanted)
		wanted = unit * FIRST_ELEMENTS < FIRST_OCTETS ? FIRST_OCTETS / unit : FIRST_ELEMENTS;
	while (wanted < need && wanted <= PTRDIFF_MAX / unit)
		wanted *= 2;
	longer = wanted <= PTRDIFF_MAX / unit ? realloc(block, wanted * unit) : NULL;
	if (longer)
		*room = wanted;
	return longer;
}
