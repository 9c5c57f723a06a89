#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/flags.h"
#include "base/mem.h"

enum { NAME, NAME_LONGER, NODE, COUNT };

static const struct flag table[] = {
	[NAME] = { "name", "APP_NAME", "anybody", "a name", "who" },
	[NAME_LONGER] = { "name-longer", "APP_NAME_LONGER", NULL, "a long name", "who else" },
	[NODE] = { "node", "NODE_NAME", NULL, "a node", "where" },
};
static const struct flags flags = { table, COUNT, "APP_" };

static int take(const char *first, const char *second, const char **text, struct error *err)
{
	return flags_take(&flags, (const char *const[]){ first, second, NULL }, text, err);
}

static void test_a_value_stands_behind_its_flag_or_beside_it(void **state)
{
	const char *text[COUNT] = { NULL };
	struct error err = { 0 };

	(void)state;
	assert_int_equal(take("--name=a", "x", text, &err), 1);
	assert_string_equal(text[NAME], "a");
	assert_int_equal(take("--name-longer", "b", text, &err), 2);
	assert_string_equal(text[NAME_LONGER], "b");
	assert_string_equal(text[NAME], "a");
	assert_int_equal(take("--node=", NULL, text, &err), 1);
	assert_string_equal(text[NODE], "");
}

static void test_what_is_no_flag_is_refused_by_its_name(void **state)
{
	static const char *const bad[] = { "--nam", "--names", "-name", "name", "--", "--nodes=x" };
	const char *text[COUNT] = { NULL };

	(void)state;
	for (size_t i = 0; i < array_length(bad); i++) {
		struct error err = { 0 };
		assert_int_equal(take(bad[i], "x", text, &err), -1);
		assert_int_equal(err.kind, ERROR_INVALID);
		assert_non_null(strstr(err.text, bad[i]));
	}
	struct error err = { 0 };
	assert_int_equal(take("--node", NULL, text, &err), -1);
	assert_string_equal(err.text, "--node needs a value: a node");
}

static void test_a_flag_wins_over_a_variable_and_that_over_the_default(void **state)
{
	const char *text[COUNT] = { [NAME_LONGER] = "by flag" };
	struct error err = { 0 };

	(void)state;
	assert_int_equal(flags_read_environment(
				 &flags,
				 (const char *const[]){ "APP_NAME_LONGER=no", "NODE_NAME=here", "PATH=/bin", NULL },
				 text, &err),
			 0);
	assert_string_equal(text[NAME], "anybody");
	assert_string_equal(text[NAME_LONGER], "by flag");
	assert_string_equal(text[NODE], "here");
}

static void test_an_empty_value_is_none(void **state)
{
	const char *text[COUNT] = { [NODE] = "" };
	struct error err = { 0 };

	(void)state;
	assert_int_equal(flags_read_environment(&flags, (const char *const[]){ "APP_NAME=", NULL }, text, &err), 0);
	assert_string_equal(text[NAME], "anybody");
	assert_null(text[NODE]);
}

static void test_an_unknown_variable_of_ours_is_refused_and_a_service_link_is_not(void **state)
{
	const char *text[COUNT] = { NULL };
	struct error err = { 0 };

	(void)state;
	assert_int_equal(flags_read_environment(&flags,
						(const char *const[]){ "APP_SERVICE_HOST=10.0.0.1",
								       "APP_PORT_443_TCP=tcp://10.0.0.1:443", NULL },
						text, &err),
			 0);
	assert_int_equal(flags_read_environment(&flags, (const char *const[]){ "APP_NMAE=secret", NULL }, text, &err),
			 -1);
	assert_string_equal(err.text, "the variable APP_NMAE is not known: see --help");
}

static void test_a_refusal_names_flag_variable_value_and_what_is_accepted(void **state)
{
	struct error err = { 0 };
	enum log_format format = LOG_AUTO;

	(void)state;
	assert_int_equal(flags_refuse(&table[NAME], "?", &err), -1);
	assert_string_equal(err.text, "--name (APP_NAME): '?' is not accepted: it takes a name");
	assert_int_equal(flags_read_log_format(&table[NAME], "json", &format, &err), 0);
	assert_int_equal(format, LOG_JSON);
	assert_int_equal(flags_read_log_format(&table[NAME], "xml", &format, &err), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_value_stands_behind_its_flag_or_beside_it),
		cmocka_unit_test(test_what_is_no_flag_is_refused_by_its_name),
		cmocka_unit_test(test_a_flag_wins_over_a_variable_and_that_over_the_default),
		cmocka_unit_test(test_an_empty_value_is_none),
		cmocka_unit_test(test_an_unknown_variable_of_ours_is_refused_and_a_service_link_is_not),
		cmocka_unit_test(test_a_refusal_names_flag_variable_value_and_what_is_accepted),
	};

	return cmocka_run_group_tests_name("flags", tests, NULL, NULL);
}
