#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cni/plugin/lookalike.h"

static void test_what_go_takes_for_the_same_key(void **state)
{
	(void)state;
	assert_true(lookalike("Args", "args"));
	assert_true(lookalike("RUNTIMECONFIG", "runtimeConfig"));
	assert_true(lookalike("runtimeconfig", "runtimeConfig"));
	assert_true(lookalike("arg\u017f", "args"));
	assert_true(lookalike("p\u212aey", "pkey"));
	assert_true(lookalike("P\u212aEY", "pkey"));
}

static void test_the_key_itself_and_other_keys_are_none(void **state)
{
	(void)state;
	assert_false(lookalike("args", "args"));
	assert_false(lookalike("arg", "args"));
	assert_false(lookalike("argss", "args"));
	assert_false(lookalike("", "args"));
	assert_false(lookalike("args\u017f", "args"));
	assert_false(lookalike("arg\u0161", "args"));
	assert_false(lookalike("arg\xc5", "args"));
	assert_false(lookalike("p\xe2\x84", "pkey"));
	assert_false(lookalike("arg3", "args"));
}

static void test_lookalikes_are_dropped_and_nothing_else(void **state)
{
	static const char *const names[] = { "args", "name", NULL };
	json_t *object = json_pack("{s:i,s:i,s:i,s:i,s:i}", "ARGS", 1, "args", 2, "Name", 3, "other", 4, "NAME", 5);

	(void)state;
	lookalike_drop(object, names);
	assert_int_equal(json_object_size(object), 2);
	assert_int_equal(json_integer_value(json_object_get(object, "args")), 2);
	assert_int_equal(json_integer_value(json_object_get(object, "other")), 4);
	json_decref(object);
	lookalike_drop(NULL, names);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_go_takes_for_the_same_key),
		cmocka_unit_test(test_the_key_itself_and_other_keys_are_none),
		cmocka_unit_test(test_lookalikes_are_dropped_and_nothing_else),
	};

	return cmocka_run_group_tests_name("lookalike", tests, NULL, NULL);
}
