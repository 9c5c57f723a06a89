#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/dns_name.h"
#include "base/mem.h"

#define TEN      "abcdefghij"
#define LABEL_63 TEN TEN TEN TEN TEN TEN "abc"

static void test_a_name_is_labels_and_dots(void **state)
{
	static const char *const good[] = { "a",    "a.b",      "UFM-1.example", "0",
					    "a--b", "10.0.0.1", LABEL_63,        LABEL_63 "." LABEL_63 };
	static const char *const bad[] = { "",     ".",   "a.",  ".a",  "a..b",     "-a",  "a-",        "a-.b",
					   "a.-b", "a_b", "a b", "a/b", "\xc3\xa9", "*.a", LABEL_63 "d" };

	(void)state;
	for (size_t i = 0; i < array_length(good); i++)
		if (!dns_name_is_valid(good[i], strlen(good[i])))
			fail_msg("refused '%s'", good[i]);
	for (size_t i = 0; i < array_length(bad); i++)
		if (dns_name_is_valid(bad[i], strlen(bad[i])))
			fail_msg("accepted '%s'", bad[i]);
}

static void test_a_name_has_at_most_253_bytes(void **state)
{
	static const char name[] = LABEL_63 "." LABEL_63 "." LABEL_63 "." TEN TEN TEN TEN TEN TEN "ab";

	(void)state;
	assert_true(dns_name_is_valid(name, 253));
	assert_false(dns_name_is_valid(name, 254));
}

static void test_only_the_given_bytes_are_read(void **state)
{
	(void)state;
	assert_true(dns_name_is_valid("a.b,", 3));
	assert_false(dns_name_is_valid("a.b", 2));
	assert_false(dns_name_is_valid("a\0b", 3));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_name_is_labels_and_dots),
		cmocka_unit_test(test_a_name_has_at_most_253_bytes),
		cmocka_unit_test(test_only_the_given_bytes_are_read),
	};

	return cmocka_run_group_tests_name("dns_name", tests, NULL, NULL);
}
