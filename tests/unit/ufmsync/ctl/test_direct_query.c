// clang-format off
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <stdlib.h>
#include <string.h>

#include "ufmsync/ctl/direct.h"

static void test_what_reach_builds_comes_apart_again(void **state)
{
	(void)state;
	char *url =
		reach_path("/v1/attachments", "namespace", "a&b=c", "pod", "p%/?", "node", NULL, "limit", "500", NULL);
	struct direct_query query;
	struct error err;
	assert_int_equal(direct_query_parse(&query, url, &err), 0);
	assert_string_equal(query.path, "/v1/attachments");
	assert_int_equal(query.n, 3);
	assert_string_equal(direct_query_get(&query, "namespace"), "a&b=c");
	assert_string_equal(direct_query_get(&query, "pod"), "p%/?");
	assert_string_equal(direct_query_get(&query, "limit"), "500");
	assert_null(direct_query_get(&query, "node"));
	direct_query_free(&query);
	free(url);
}

static void test_a_path_alone_is_a_question(void **state)
{
	(void)state;
	struct direct_query query;
	struct error err;
	assert_int_equal(direct_query_parse(&query, "/v1/guids/02%3A00", &err), 0);
	assert_string_equal(query.path, "/v1/guids/02:00");
	assert_int_equal(query.n, 0);
	direct_query_free(&query);
	assert_int_equal(direct_query_parse(&query, "/v1/pool?&flag&", &err), 0);
	assert_int_equal(query.n, 1);
	assert_string_equal(direct_query_get(&query, "flag"), "");
	direct_query_free(&query);
}

static void test_nonsense_is_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"/%", "/%4", "/%zz", "/%00", "/x?a=%g0", "/x?%00=1", "/?a&b&c&d&e&f&g&h&i&j&k&l&m&n&o&p&q"
	};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct direct_query query;
		struct error err;
		assert_int_equal(direct_query_parse(&query, bad[i], &err), -1);
		assert_int_equal(err.kind, ERROR_INVALID);
		assert_null(query.path);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_reach_builds_comes_apart_again),
		cmocka_unit_test(test_a_path_alone_is_a_question),
		cmocka_unit_test(test_nonsense_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
