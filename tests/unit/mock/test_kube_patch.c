#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/mem.h"
#include "tests/mock/kube_patch.h"

static json_t *parse(const char *text)
{
	struct error err;
	json_t *value = json_parse(text, strlen(text), &err);

	if (!value)
		fail_msg("%s: %s", text, err.text);
	return value;
}

/* As 1.20 applies it; newer servers differ only where a test says so. */
struct patch_case {
	const char *before, *patch, *after; /* after NULL: refused with `kind` */
	enum error_kind kind;
};

static void run_as(bool strict, const struct patch_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		json_t *object = parse(cases[i].before), *patch = parse(cases[i].patch);
		struct error err = { 0 };
		int result = mkube_json_patch(&object, patch, strict, &err);

		if (cases[i].after) {
			json_t *after = parse(cases[i].after);

			if (result < 0 || !json_equal(object, after))
				fail_msg("%s: %s: %s", cases[i].before, cases[i].patch, err.text);
			json_decref(after);
		} else if (result == 0 || err.kind != cases[i].kind) {
			fail_msg("%s: %s was taken, or refused wrongly: %s", cases[i].before, cases[i].patch, err.text);
		}
		json_decref(object);
		json_decref(patch);
	}
}

static void run(const struct patch_case *cases, size_t n)
{
	run_as(false, cases, n);
	/* and the newer server says the same */
	run_as(true, cases, n);
}

static void test_operations_change_members_and_elements(void **state)
{
	static const struct patch_case cases[] = {
		{ "{}", "[{\"op\":\"add\",\"path\":\"/a\",\"value\":1}]", "{\"a\":1}", 0 },
		{ "{\"a\":1}", "[{\"op\":\"add\",\"path\":\"/a\",\"value\":2}]", "{\"a\":2}", 0 },
		{ "{\"a\":[1,3]}", "[{\"op\":\"add\",\"path\":\"/a/1\",\"value\":2}]", "{\"a\":[1,2,3]}", 0 },
		{ "{\"a\":[1]}", "[{\"op\":\"add\",\"path\":\"/a/-\",\"value\":2}]", "{\"a\":[1,2]}", 0 },
		{ "{\"a\":[1,2]}", "[{\"op\":\"replace\",\"path\":\"/a/1\",\"value\":9}]", "{\"a\":[1,9]}", 0 },
		{ "{\"a\":[1,2]}", "[{\"op\":\"remove\",\"path\":\"/a/0\"}]", "{\"a\":[2]}", 0 },
		{ "{\"a\":{\"b\":1}}", "[{\"op\":\"move\",\"from\":\"/a/b\",\"path\":\"/c\"}]", "{\"a\":{},\"c\":1}",
		  0 },
		{ "{\"a\":{\"b\":1}}", "[{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/c\"}]",
		  "{\"a\":{\"b\":1},\"c\":{\"b\":1}}", 0 },
		{ "{\"a\":1}", "[{\"op\":\"replace\",\"path\":\"\",\"value\":{\"b\":2}}]", "{\"b\":2}", 0 },
		{ "{\"a\":1}", "[]", "{\"a\":1}", 0 },
	};

	(void)state;
	run(cases, array_length(cases));
}

static void test_escapes_name_keys_with_slash_and_tilde(void **state)
{
	static const struct patch_case cases[] = {
		{ "{\"x/y\":1}", "[{\"op\":\"replace\",\"path\":\"/x~1y\",\"value\":2}]", "{\"x/y\":2}", 0 },
		{ "{}", "[{\"op\":\"add\",\"path\":\"/a~0b\",\"value\":2}]", "{\"a~b\":2}", 0 },
		{ "{}", "[{\"op\":\"add\",\"path\":\"/~01\",\"value\":2}]", "{\"~1\":2}", 0 },
		{ "{}", "[{\"op\":\"add\",\"path\":\"/\",\"value\":2}]", "{\"\":2}", 0 },
		{ "{}", "[{\"op\":\"add\",\"path\":\"/~2\",\"value\":2}]", NULL, ERROR_CONFLICT },
		{ "{}", "[{\"op\":\"add\",\"path\":\"/a~\",\"value\":2}]", NULL, ERROR_CONFLICT },
		{ "{}", "[{\"op\":\"add\",\"path\":\"a\",\"value\":2}]", NULL, ERROR_CONFLICT },
	};

	(void)state;
	run(cases, array_length(cases));
}

static void test_a_missing_member_tests_as_null(void **state)
{
	static const struct patch_case cases[] = {
		{ "{\"a\":{}}", "[{\"op\":\"test\",\"path\":\"/a/b\",\"value\":null}]", "{\"a\":{}}", 0 },
		{ "{\"a\":null}", "[{\"op\":\"test\",\"path\":\"/a\",\"value\":null}]", "{\"a\":null}", 0 },
		{ "{\"a\":{\"b\":[1,{}]}}", "[{\"op\":\"test\",\"path\":\"/a\",\"value\":{\"b\":[1,{}]}}]",
		  "{\"a\":{\"b\":[1,{}]}}", 0 },
		{ "{\"a\":1}", "[{\"op\":\"test\",\"path\":\"/a\",\"value\":null}]", NULL, ERROR_CONFLICT },
		{ "{}", "[{\"op\":\"test\",\"path\":\"/a\",\"value\":1}]", NULL, ERROR_CONFLICT },
		{ "{\"a\":1}", "[{\"op\":\"test\",\"path\":\"/a\",\"value\":\"1\"}]", NULL, ERROR_CONFLICT },
		/* but a member of what is missing is an error */
		{ "{}", "[{\"op\":\"test\",\"path\":\"/a/b\",\"value\":null}]", NULL, ERROR_CONFLICT },
	};

	(void)state;
	run(cases, array_length(cases));
}

static void test_what_does_not_apply_is_a_conflict(void **state)
{
	static const struct patch_case cases[] = {
		{ "{}", "[{\"op\":\"add\",\"path\":\"/a/b\",\"value\":1}]", NULL, ERROR_CONFLICT },
		{ "{}", "[{\"op\":\"remove\",\"path\":\"/a\"}]", NULL, ERROR_CONFLICT },
		{ "{\"a\":[]}", "[{\"op\":\"replace\",\"path\":\"/a/0\",\"value\":1}]", NULL, ERROR_CONFLICT },
		{ "{\"a\":[1]}", "[{\"op\":\"add\",\"path\":\"/a/2\",\"value\":1}]", NULL, ERROR_CONFLICT },
		{ "{\"a\":[1]}", "[{\"op\":\"remove\",\"path\":\"/a/x\"}]", NULL, ERROR_CONFLICT },
		{ "{\"a\":\"text\"}", "[{\"op\":\"add\",\"path\":\"/a/b\",\"value\":1}]", NULL, ERROR_CONFLICT },
		{ "{}", "[{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/b\"}]", NULL, ERROR_CONFLICT },
	};

	(void)state;
	run(cases, array_length(cases));
}

static void test_replace_of_a_missing_member_adds_it_but_not_on_a_newer_server(void **state)
{
	static const struct patch_case older = { "{}", "[{\"op\":\"replace\",\"path\":\"/a\",\"value\":1}]",
						 "{\"a\":1}", 0 };
	static const struct patch_case newer = { "{}", "[{\"op\":\"replace\",\"path\":\"/a\",\"value\":1}]", NULL,
						 ERROR_CONFLICT };

	(void)state;
	run_as(false, &older, 1);
	run_as(true, &newer, 1);
}

static void test_only_what_is_no_list_of_operations_is_invalid(void **state)
{
	static const struct patch_case cases[] = {
		{ "{}", "{}", NULL, ERROR_INVALID },
		{ "{}", "[1]", NULL, ERROR_INVALID },
		{ "{}", "[{\"op\":\"add\",\"path\":\"/a\"}]", NULL, ERROR_CONFLICT },
		{ "{}", "[{\"op\":\"add\",\"value\":1}]", NULL, ERROR_CONFLICT },
		{ "{}", "[{\"op\":\"push\",\"path\":\"/a\",\"value\":1}]", NULL, ERROR_CONFLICT },
		{ "{}", "[{\"op\":\"move\",\"path\":\"/a\"}]", NULL, ERROR_CONFLICT },
	};

	(void)state;
	run(cases, array_length(cases));
}

static void test_a_merge_patch_sets_replaces_and_deletes(void **state)
{
	static const char *const cases[][3] = {
		{ "{\"a\":1}", "{\"b\":2}", "{\"a\":1,\"b\":2}" },
		{ "{\"a\":{\"b\":1,\"c\":2}}", "{\"a\":{\"b\":null}}", "{\"a\":{\"c\":2}}" },
		{ "{\"a\":[1,2]}", "{\"a\":[3]}", "{\"a\":[3]}" },
		{ "{\"a\":1}", "{\"a\":{\"b\":{\"c\":null,\"d\":1}}}", "{\"a\":{\"b\":{\"d\":1}}}" },
		{ "{}", "{\"a\":{\"b\":{}}}", "{\"a\":{\"b\":{}}}" },
		{ "{\"a\":1}", "{\"a\":null,\"z\":null}", "{}" },
	};

	(void)state;
	for (size_t i = 0; i < array_length(cases); i++) {
		json_t *object = parse(cases[i][0]), *patch = parse(cases[i][1]), *after = parse(cases[i][2]);

		mkube_merge_patch(&object, patch);
		if (!json_equal(object, after))
			fail_msg("%s", cases[i][1]);
		json_decref(object);
		json_decref(patch);
		json_decref(after);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_operations_change_members_and_elements),
		cmocka_unit_test(test_escapes_name_keys_with_slash_and_tilde),
		cmocka_unit_test(test_a_missing_member_tests_as_null),
		cmocka_unit_test(test_what_does_not_apply_is_a_conflict),
		cmocka_unit_test(test_replace_of_a_missing_member_adds_it_but_not_on_a_newer_server),
		cmocka_unit_test(test_only_what_is_no_list_of_operations_is_invalid),
		cmocka_unit_test(test_a_merge_patch_sets_replaces_and_deletes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
