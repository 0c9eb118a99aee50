/* base/array: arrays that become longer by doubling, in blocks of malloc's. An array is a pointer, which is NULL at first and
 * which the caller frees, and its room: a size_t, how many elements the block holds. One thread at a time.
 */
#ifndef BASE_ARRAY_H
#define BASE_ARRAY_H

#include <stdbool.h>
#include <stddef.h>

/* Makes room for `need` elements in all. Those that are there stay, but may move. False: out of memory, and the array is as it
 * was. `array` and `room` are variables, and are named more than once. */
#define array_room(array, room, need) ({ \
	size_t array_need = (need); \
	void *array_block = array_need > (room) ? array_longer((array), &(room), array_need, sizeof *(array)) : NULL; \
	if (array_block) \
		(array) = array_block; \
	array_need <= (room); })

/* For array_room: the longer block, or NULL. */
void *array_longer(void *block, size_t *room, size_t need, size_t unit);

#endif
