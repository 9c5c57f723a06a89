#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/mem.h"
#include "ufmsync/ctl/commands.h"
#include "ufmsync/ctl/print.h"
#include "ufmsync/ctl/why.h"
#include "ufmsync/ctl/yaml_out.h"

static json_t *parse(const char *text)
{
	struct error err;
	json_t *object = json_parse(text, strlen(text), &err);

	assert_non_null(object);
	return object;
}

static void test_an_age_is_written_as_kubectl_writes_it(void **state)
{
	static const struct {
		int64_t seconds;
		const char *age;
	} ages[] = { { -5, "0s" },       { 0, "0s" },      { 119, "119s" },   { 120, "2m" },
		     { 200, "3m20s" },   { 601, "10m" },   { 10799, "179m" }, { 10800, "3h" },
		     { 12000, "3h20m" }, { 36000, "10h" }, { 172799, "47h" }, { 172800, "2d" } };
	char text[CTL_AGE_MAX];

	(void)state;
	for (size_t i = 0; i < array_length(ages); i++)
		assert_string_equal(ctl_age(text, "1970-01-01T00:00:00.000000Z", ages[i].seconds * 1000), ages[i].age);
	assert_string_equal(ctl_age(text, NULL, 0), "-");
	assert_string_equal(ctl_age(text, "yesterday", 0), "-");
}

static void test_a_pkey_has_four_digits_however_it_came(void **state)
{
	static const char *const good[] = { "0x5", "0X0005", "5", "0x05" };
	static const char *const bad[] = { "0x8005", "0x0", "0x7fff", "05", "", " 5", "5x", "-5", "65535" };
	char text[CTL_PKEY_MAX];
	struct pkey pkey;

	(void)state;
	for (size_t i = 0; i < array_length(good); i++) {
		assert_true(ctl_pkey_parse(&pkey, good[i]));
		assert_int_equal(pkey.v, 5);
	}
	for (size_t i = 0; i < array_length(bad); i++)
		assert_false(ctl_pkey_parse(&pkey, bad[i]));
	assert_string_equal(ctl_pkey(text, "0x5"), "0x0005");
	assert_string_equal(ctl_pkey(text, NULL), "-");
}

static void test_a_network_is_named_as_an_annotation_would(void **state)
{
	json_t *object = parse("{\"network\":\"a/ib\",\"interface\":\"net1\"}"),
	       *bare = parse("{\"network\":\"a/ib\",\"interface\":\"\"}");
	char *own = ctl_network(object, "a"), *other = ctl_network(object, "b"), *plain = ctl_network(bare, NULL);

	(void)state;
	assert_string_equal(own, "ib@net1");
	assert_string_equal(other, "a/ib@net1");
	assert_string_equal(plain, "a/ib");
	assert_null(ctl_network(NULL, "a"));
	free(own);
	free(other);
	free(plain);
	json_decref(object);
	json_decref(bare);
}

static void test_why_a_pod_waits_is_a_sentence_with_what_to_do(void **state)
{
	static const struct {
		const char *attachment, *why;
	} cases[] = {
		{ "{\"state\":\"wanted\",\"node\":\"n\",\"network\":\"t/"
		  "ib0\",\"blocked\":{\"reason\":\"NetworkNotFound\",\"message\":\"x\"}}",
		  "waits for NetworkAttachmentDefinition t/ib0, which does not exist: create it, or correct the pod's "
		  "annotation" },
		{ "{\"state\":\"wanted\",\"node\":\"n\",\"blocked\":{\"reason\":\"BadPKey\",\"message\":\"network "
		  "t/ib0: pkey 5x is no PKey\"}}",
		  "waits: network t/ib0: pkey 5x is no PKey: correct pkey in its spec.config: 0x1 to 0x7ffe, or "
		  "decimal" },
		{ "{\"state\":\"wanted\",\"node\":\"n\",\"blocked\":{\"reason\":\"New\",\"message\":\"of later\"}}",
		  "waits: of later" },
		{ "{\"state\":\"wanted\",\"node\":\"\",\"blocked\":null}",
		  "waits for a node: the scheduler has bound the pod to none yet" },
		{ "{\"state\":\"wanted\",\"node\":\"n\",\"guid\":null,\"blocked\":null}",
		  "waits for a GUID: ufmsyncctl status says whether anything is in the way" },
		{ "{\"state\":\"joining\",\"node\":\"n\",\"pkey\":\"0x5\",\"blocked\":null}",
		  "waits for the fabric manager to list it in PKey 0x0005: ufmsyncctl status says whether that "
		  "answers" },
		{ "{\"state\":\"member\",\"node\":\"n\",\"blocked\":null}",
		  "is a member, and waits for the pod's annotation to be written" },
		{ "{\"state\":\"published\",\"node\":\"n\",\"blocked\":null}", "is ready" },
		{ "{}", "is in no state that is known" },
	};

	(void)state;
	for (size_t i = 0; i < array_length(cases); i++) {
		json_t *attachment = parse(cases[i].attachment);
		char *why = ctl_why(attachment);
		assert_string_equal(why, cases[i].why);
		free(why);
		json_decref(attachment);
	}
}

static void test_a_pod_without_attachment_says_why(void **state)
{
#define ASKS "\"metadata\":{\"annotations\":{\"k8s.v1.cni.cncf.io/networks\":\"ib\"}}"
	static const struct {
		const char *pod, *begins;
	} cases[] = {
		{ "{\"metadata\":{}}", "asks for no network" },
		{ "{" ASKS ",\"spec\":{\"hostNetwork\":true}}", "is on the host network" },
		{ "{" ASKS ",\"spec\":{\"nodeName\":\"n\"},\"status\":{\"phase\":\"Failed\"}}", "is finished" },
		{ "{" ASKS ",\"spec\":{}}", "is on no node yet" },
		{ "{" ASKS ",\"spec\":{\"nodeName\":\"n\"}}", "asks for no InfiniBand network" },
	};

	(void)state;
	for (size_t i = 0; i < array_length(cases); i++) {
		json_t *pod = parse(cases[i].pod);
		char *why = ctl_why_none(pod);
		assert_int_equal(strncmp(why, cases[i].begins, strlen(cases[i].begins)), 0);
		free(why);
		json_decref(pod);
	}
}

static void test_yaml_quotes_what_would_be_read_as_something_else(void **state)
{
	json_t *object = parse(
		"{\"pkey\":\"0x5\",\"on\":\"true\",\"n\":5,\"none\":null,\"yes\":false,\"guid\":\"02:00\",\"text\":"
		"\"network a/b: not there\",\"empty\":[],\"list\":[{\"a\":\"b\\nc\"},\"\"],\"map\":{}}");
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	struct yaml_out *yaml = yaml_out_new(out);

	(void)state;
	yaml_out_value(yaml, object);
	yaml_out_end(yaml);
	fclose(out);
	assert_string_equal(
		text, "pkey: \"0x5\"\n\"on\": \"true\"\n\"n\": 5\nnone: null\n\"yes\": false\nguid: \"02:00\"\n"
		      "text: 'network a/b: not there'\nempty: []\nlist:\n- a: |-\n    b\n    c\n- \"\"\nmap: {}\n");
	free(text);
	json_decref(object);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_age_is_written_as_kubectl_writes_it),
		cmocka_unit_test(test_a_pkey_has_four_digits_however_it_came),
		cmocka_unit_test(test_a_network_is_named_as_an_annotation_would),
		cmocka_unit_test(test_why_a_pod_waits_is_a_sentence_with_what_to_do),
		cmocka_unit_test(test_a_pod_without_attachment_says_why),
		cmocka_unit_test(test_yaml_quotes_what_would_be_read_as_something_else),
	};

	return cmocka_run_group_tests_name("ctl_text", tests, NULL, NULL);
}
