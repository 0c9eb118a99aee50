#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "dns/nametable.h"

enum { COUNT = 20000 };
static uint8_t names[COUNT][16];

static const uint8_t *name_of(const void *array, uint32_t number)
{
	return ((const uint8_t (*)[16])array)[number];
}

static void name_it(uint8_t *name, const char *format, unsigned number)
{
	name[0] = (uint8_t)sprintf((char *)name + 1, format, number);
}

static void each_name_is_found_whatever_its_case(void **state)
{
	struct nametable table = {0};
	uint8_t name[16];

	(void)state;
	assert_int_equal(nametable_find(&table, names[0], name_of, names), NAMETABLE_NONE);
	for (unsigned i = 0; i < COUNT; i++) {
		name_it(names[i], "Zone-%u", i);
		assert_true(nametable_put(&table, names[i], i));
	}
	for (unsigned i = 0; i < COUNT; i++) {
		name_it(name, "zONe-%u", i);
		assert_int_equal(nametable_find(&table, name, name_of, names), i);
		name_it(name, "none-%u", i);
		assert_int_equal(nametable_find(&table, name, name_of, names), NAMETABLE_NONE);
	}
	nametable_release(&table);
	assert_int_equal(nametable_find(&table, names[0], name_of, names), NAMETABLE_NONE);
	assert_true(nametable_put(&table, names[5], 5));             /* it is empty, and can be used again */
	assert_int_equal(nametable_find(&table, names[5], name_of, names), 5);
	assert_int_equal(nametable_find(&table, names[6], name_of, names), NAMETABLE_NONE);
	nametable_release(&table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_name_is_found_whatever_its_case),
	};

	return cmocka_run_group_tests_name("nametable", tests, NULL, NULL);
}
