#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "guid/guid.h"

static void test_eight_pairs_of_digits_are_a_guid(void **state)
{
	struct guid guid;
	char text[GUID_TEXT_MAX];

	(void)state;
	assert_true(guid_parse(&guid, "02:00:ab:CD:00:00:00:1a"));
	assert_true(guid.v == 0x0200abcd0000001a);
	assert_string_equal(guid_format(text, guid), "02:00:ab:cd:00:00:00:1a");
	assert_string_equal(guid_format_hex(text, guid), "0200abcd0000001a");
	assert_true(guid_parse(&guid, "00:00:00:00:00:00:00:00") && guid.v == 0);
	assert_true(guid_parse(&guid, "ff:ff:ff:ff:ff:ff:ff:ff") && guid.v == UINT64_MAX);
}

static void test_anything_else_is_none_and_leaves_the_target_alone(void **state)
{
	static const char *const bad[] = {
		"",
		":",
		"02",
		"02:",
		"02:00:00:00:00:00:00",
		"02:00:00:00:00:00:00:",
		"02:00:00:00:00:00:00:1",
		"02:00:00:00:00:00:00:1a:",
		"02:00:00:00:00:00:00:1a ",
		" 02:00:00:00:00:00:00:1a",
		"2:00:00:00:00:00:00:1a",
		"02-00-00-00-00-00-00-1a",
		"02:00:00:00:00:00:00:1g",
		"0x:00:00:00:00:00:00:1a",
		"+2:00:00:00:00:00:00:1a",
		"02::00:00:00:00:00:1a",
		"02:00:00:00:00:00:00:1a:00",
		"020000000000001a",
		"g2:00:00:00:00:00:00:1a",
		"02:00:00:00:00:00:00:1:",
		"02:00:00:00:00:00:00:\xb2\xb2",
	};
	static const char *const bad_hex[] = {
		"",
		"0x",
		"0x0",
		"020000000000001",
		"020000000000001a0",
		"0x020000000000001",
		"0x020000000000001a0",
		"0x0x20000000000001a",
		" 020000000000001a",
		"020000000000001a ",
		"02000000000000+a",
		"x020000000000001a",
		"02:00:00:00:00:00:00:1a",
		"020000000000001g",
	};

	(void)state;
	for (size_t i = 0; i < array_length(bad); i++) {
		struct guid guid = { 7 };
		if (guid_parse(&guid, bad[i]) || guid.v != 7)
			fail_msg("'%s' is taken", bad[i]);
	}
	for (size_t i = 0; i < array_length(bad_hex); i++) {
		struct guid guid = { 7 };
		if (guid_parse_hex(&guid, bad_hex[i]) || guid.v != 7)
			fail_msg("'%s' is taken", bad_hex[i]);
	}
}

static void test_ufm_and_operators_may_leave_out_the_colons(void **state)
{
	struct guid guid;

	(void)state;
	assert_true(guid_parse_hex(&guid, "0002c90300E4c1aF") && guid.v == 0x0002c90300e4c1af);
	assert_true(guid_parse_hex(&guid, "0x0002c90300e4c1af") && guid.v == 0x0002c90300e4c1af);
	assert_true(guid_parse_hex(&guid, "0X0002c90300e4c1af") && guid.v == 0x0002c90300e4c1af);
	assert_true(guid_parse_any(&guid, "0000000000000001") && guid.v == 1);
	assert_true(guid_parse_any(&guid, "00:00:00:00:00:00:00:02") && guid.v == 2);
	assert_false(guid_parse_any(&guid, "2"));
}

static void test_zero_and_all_ones_are_nobodys(void **state)
{
	(void)state;
	assert_false(guid_usable((struct guid){ 0 }));
	assert_false(guid_usable((struct guid){ UINT64_MAX }));
	assert_true(guid_usable((struct guid){ 1 }));
	assert_true(guid_usable((struct guid){ UINT64_MAX - 1 }));
}

static void test_what_is_formatted_parses_back(void **state)
{
	uint64_t random = 1;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		struct guid guid = { random }, back;
		char text[GUID_TEXT_MAX];
		random = random * 6364136223846793005 + 1442695040888963407;
		assert_true(guid_parse(&back, guid_format(text, guid)) && back.v == guid.v);
		assert_true(guid_parse_hex(&back, guid_format_hex(text, guid)) && back.v == guid.v);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_eight_pairs_of_digits_are_a_guid),
		cmocka_unit_test(test_anything_else_is_none_and_leaves_the_target_alone),
		cmocka_unit_test(test_ufm_and_operators_may_leave_out_the_colons),
		cmocka_unit_test(test_zero_and_all_ones_are_nobodys),
		cmocka_unit_test(test_what_is_formatted_parses_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
