#undef NDEBUG
#include "ufmsync/setup/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

static void test_what_is_encoded_is_decoded(void **state)
{
	static const char *const texts[] = { "", "a", "ab", "abc", "abcd", "a line\n" };

	(void)state;
	for (size_t i = 0; i < array_length(texts); i++) {
		char *encoded = base64_of(texts[i], strlen(texts[i])), *decoded = base64_text(encoded);
		assert_non_null(decoded);
		assert_string_equal(decoded, texts[i]);
		mem_wipe_free(encoded);
		mem_wipe_free(decoded);
	}
}

static void test_anything_else_is_none(void **state)
{
	static const char *const texts[] = { "YQ",     "YQ=",        "Y===", "====", "YQ==YQ==", "Y Q=",
					     "YQ==\n", "\xc3\xa4YQ", "YQ=a", "-_-_", "AA==",     "YQBi" };

	(void)state;
	for (size_t i = 0; i < array_length(texts); i++)
		assert_null(base64_text(texts[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_encoded_is_decoded),
		cmocka_unit_test(test_anything_else_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
