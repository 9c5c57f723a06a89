#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "ufmsync/kube/yaml.h"

static json_t *parse(const char *text)
{
	struct error err;

	return yaml_parse(text, strlen(text), &err);
}

static void assert_same(const char *yaml, const char *json)
{
	json_t *is = parse(yaml), *wanted = json_loads(json, JSON_DECODE_ANY, NULL);

	assert_non_null(wanted);
	assert_true(json_equal(is, wanted));
	yaml_wipe(is);
	json_decref(wanted);
}

static void test_yaml_becomes_json(void **state)
{
	(void)state;
	assert_same("a: b\nlist:\n- x: 1\n- [true, \"true\", null, ~, ]\nt: |\n  l1\n  l2\n",
		    "{\"a\":\"b\",\"list\":[{\"x\":\"1\"},[true,\"true\",null,null]],\"t\":\"l1\\nl2\\n\"}");
	assert_same("---\na:\nb: false # no\n", "{\"a\":null,\"b\":false}");
	assert_same("just text", "\"just text\"");
	assert_same("yes", "\"yes\"");
}

static void test_json_is_read_as_json(void **state)
{
	(void)state;
	assert_same("{\"a\":{\"b\":[\"\\ud83d\\ude00\",true]}}", "{\"a\":{\"b\":[\"\xf0\x9f\x98\x80\",true]}}");
	assert_same("{a: b}", "{\"a\":\"b\"}");
}

static void assert_refused(const char *yaml, const char *why)
{
	struct error err;

	assert_null(yaml_parse(yaml, strlen(yaml), &err));
	assert_int_equal(err.kind, ERROR_INVALID);
	assert_string_equal(err.text, why);
}

static void test_what_unfolds_is_refused_and_so_is_what_is_said_twice(void **state)
{
	(void)state;
	assert_refused("a: &x [1]\nb: *x\n", "line 1 column 4: anchors, aliases and tags are not accepted");
	assert_refused("a: *x\n", "line 1 column 4: anchors, aliases and tags are not accepted");
	assert_refused("a: !!binary aGk=\n", "line 1 column 4: anchors, aliases and tags are not accepted");
	assert_refused("a: 1\nb: 2\na: 3\n", "line 3 column 1: the same key twice");
	assert_refused("? [x]\n: 1\n", "line 1 column 3: a key that is no text");
	assert_refused("", "line 1 column 1: nothing in it");
	assert_refused("a\n---\nb\n", "line 2 column 1: more than one document");
}

static void test_what_is_no_yaml_names_its_place(void **state)
{
	struct error err;
	(void)state;
	assert_null(yaml_parse("a: b\n c: d\n", 11, &err));
	assert_int_equal(err.kind, ERROR_INVALID);
	assert_memory_equal(err.text, "line 2 column ", 14);
	assert_null(yaml_parse("a: \"\xff\"", 7, &err));
	assert_null(yaml_parse("\"a\\0b\": 1", 9, &err));
}

static void test_depth_has_a_limit(void **state)
{
	char text[101] = "";
	(void)state;
	memset(text, '[', 31);
	memset(text + 31, ']', 31);
	json_t *value = parse(text);
	assert_non_null(value);
	yaml_wipe(value);
	memset(text, '[', 50);
	memset(text + 50, ']', 50);
	assert_null(parse(text));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_yaml_becomes_json),
		cmocka_unit_test(test_json_is_read_as_json),
		cmocka_unit_test(test_what_unfolds_is_refused_and_so_is_what_is_said_twice),
		cmocka_unit_test(test_what_is_no_yaml_names_its_place),
		cmocka_unit_test(test_depth_has_a_limit),
	};
	return cmocka_run_group_tests_name("yaml", tests, NULL, NULL);
}
