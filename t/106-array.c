/* base/array: it grows as it must, keeps what is there, and stays as it was where it cannot. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/array.h"

#include <stdlib.h>

static void what_is_there_stays_and_room_doubles(void **state)
{
	uint32_t *numbers = NULL;
	size_t room = 0, moves = 0;

	(void)state;
	for (uint32_t i = 0; i < 100000; i++) {
		size_t before = room;

		assert_true(array_room(numbers, room, i + 1));
		assert_true(room > i);
		if (before && room != before)
			assert_int_equal(room, 2 * before);
		moves += room != before;
		numbers[i] = i;
	}
	assert_true(moves < 20);
	for (uint32_t i = 0; i < 100000; i++)
		assert_int_equal(numbers[i], i);
	free(numbers);
}

static void much_is_had_at_once(void **state)
{
	struct { char octets[1000]; } *large = NULL;
	size_t room = 0;

	(void)state;
	assert_true(array_room(large, room, 1));
	assert_true(room >= 1);
	assert_true(array_room(large, room, 777));
	assert_true(room >= 777);
	large[776].octets[999] = 1;
	free(large);
}

static void what_no_memory_can_hold_is_refused_and_the_array_stays(void **state)
{
	uint64_t *numbers = NULL, *before;
	size_t room = 0, room_before;

	(void)state;
	assert_true(array_room(numbers, room, 3));
	numbers[2] = 7;
	before = numbers;
	room_before = room;
	assert_false(array_room(numbers, room, SIZE_MAX));
	assert_false(array_room(numbers, room, SIZE_MAX / 2 + 2));
	assert_false(array_room(numbers, room, SIZE_MAX / 8 + 2));
	assert_ptr_equal(numbers, before);
	assert_int_equal(room, room_before);
	assert_int_equal(numbers[2], 7);
	free(numbers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_there_stays_and_room_doubles),
		cmocka_unit_test(much_is_had_at_once),
		cmocka_unit_test(what_no_memory_can_hold_is_refused_and_the_array_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
