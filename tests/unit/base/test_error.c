#undef NDEBUG
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"

static void test_each_level_adds_what_it_was_doing_and_keeps_the_kind(void **state)
{
	struct error err = { 0 };

	(void)state;
	assert_int_equal(error_set(&err, ERROR_AUTH, "HTTP %d", 401), -1);
	assert_int_equal(error_wrap(&err, "POST %s", "/pkeys"), -1);
	assert_int_equal(error_wrap(&err, "add %d GUIDs", 12), -1);
	assert_string_equal(err.text, "add 12 GUIDs: POST /pkeys: HTTP 401");
	assert_int_equal(err.kind, ERROR_AUTH);
}

static void test_the_errno_of_the_call_is_told(void **state)
{
	struct error err = { 0 };

	(void)state;
	errno = ENOENT;
	assert_int_equal(error_set_errno(&err, "open %s", "/x"), -1);
	assert_string_equal(err.text, "open /x: No such file or directory");
	assert_int_equal(err.kind, ERROR_OS);
}

static void test_long_texts_are_cut_and_never_overflow(void **state)
{
	struct {
		struct error err;
		char behind[8];
	} guarded = { .behind = "guarded" };
	char text[2 * ERROR_TEXT_MAX];

	(void)state;
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	error_set(&guarded.err, ERROR_INVALID, "%s", text);
	assert_int_equal(strlen(guarded.err.text), ERROR_TEXT_MAX - 1);
	error_wrap(&guarded.err, "short");
	assert_int_equal(strlen(guarded.err.text), ERROR_TEXT_MAX - 1);
	assert_memory_equal(guarded.err.text, "short: xxx", 10);
	error_wrap(&guarded.err, "%s", text);
	assert_int_equal(strlen(guarded.err.text), ERROR_TEXT_MAX - 1);
	errno = EPERM;
	error_set_errno(&guarded.err, "%s", text);
	assert_int_equal(strlen(guarded.err.text), ERROR_TEXT_MAX - 1);
	assert_string_equal(guarded.behind, "guarded");
}

static void test_foreign_text_stays_on_one_line(void **state)
{
	struct error err = { 0 };

	(void)state;
	error_set(&err, ERROR_RETRY, "a%sb", "\r\n\x1b\x7f\t");
	assert_string_equal(err.text, "a     b");
	error_wrap(&err, "x\ny");
	assert_string_equal(err.text, "x y: a     b");
	errno = 0;
	error_set_errno(&err, "z\nz");
	assert_null(strchr(err.text, '\n'));
}

static void test_an_error_can_wrap_its_own_text(void **state)
{
	struct error err = { 0 };

	(void)state;
	error_set(&err, ERROR_GONE, "inner");
	error_wrap(&err, "saw '%s'", err.text);
	assert_string_equal(err.text, "saw 'inner': inner");
	error_set(&err, ERROR_INVALID, "no: %s", err.text);
	assert_string_equal(err.text, "no: saw 'inner': inner");
}

static void test_the_text_is_utf8_wherever_it_was_cut(void **state)
{
	struct error err = { 0 };
	char text[ERROR_TEXT_MAX + 1];

	(void)state;
	error_set(&err, ERROR_INVALID, "\xff \xc3\xa4 \xed\xa0\x80");
	assert_string_equal(err.text, "? \xc3\xa4 ???");
	for (size_t i = 0; i < ERROR_TEXT_MAX; i += 2)
		memcpy(text + i, "\xc3\xa4", 2);
	text[ERROR_TEXT_MAX] = '\0';
	error_set(&err, ERROR_INVALID, "%s", text);
	assert_int_equal(strlen(err.text), ERROR_TEXT_MAX - 1);
	assert_string_equal(err.text + ERROR_TEXT_MAX - 4, "\xc3\xa4?");
}

static void test_each_kind_has_a_name_of_its_own(void **state)
{
	(void)state;
	for (int a = ERROR_NONE; a <= ERROR_OS; a++)
		for (int b = a + 1; b <= ERROR_OS; b++)
			assert_string_not_equal(error_kind_name((enum error_kind)a),
						error_kind_name((enum error_kind)b));
	assert_string_equal(error_kind_name(ERROR_RETRY), "retry");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_level_adds_what_it_was_doing_and_keeps_the_kind),
		cmocka_unit_test(test_the_errno_of_the_call_is_told),
		cmocka_unit_test(test_long_texts_are_cut_and_never_overflow),
		cmocka_unit_test(test_foreign_text_stays_on_one_line),
		cmocka_unit_test(test_an_error_can_wrap_its_own_text),
		cmocka_unit_test(test_the_text_is_utf8_wherever_it_was_cut),
		cmocka_unit_test(test_each_kind_has_a_name_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
