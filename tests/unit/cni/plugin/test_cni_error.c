#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "cni/plugin/cni_error.h"

/* What the runtime reads. */
static json_t *printed(const char *version, const struct cni_error *err)
{
	char *text = NULL;
	size_t len = 0;
	struct error why;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	cni_error_print(out, version, err);
	assert_int_equal(fclose(out), 0);
	json_t *json = json_parse(text, len, &why);
	assert_non_null(json);
	assert_int_equal(text[len - 1], '\n');
	assert_ptr_equal(strchr(text, '\n'), text + len - 1);
	free(text);
	return json;
}

static void test_an_error_has_the_form_that_runtimes_read(void **state)
{
	struct cni_error err;

	(void)state;
	assert_int_equal(cni_fail(&err, CNI_TRY_AGAIN, "%s is away", "10.0.0.1:8443"), -1);
	assert_string_equal(err.details, "");
	assert_int_equal(cni_fail_details(&err, "look at \"%s\"", "ufmsyncd"), -1);
	json_t *json = printed("0.4.0", &err);
	assert_string_equal(json_str(json, "cniVersion", NULL), "0.4.0");
	assert_int_equal(json_int(json, 0, "code", NULL), 11);
	assert_string_equal(json_str(json, "msg", NULL), "10.0.0.1:8443 is away");
	assert_string_equal(json_str(json, "details", NULL), "look at \"ufmsyncd\"");
	assert_int_equal(json_object_size(json), 4);
	json_decref(json);
}

static void test_without_details_or_version_it_is_still_one(void **state)
{
	struct cni_error err = { .details = "of an earlier error" };

	(void)state;
	cni_fail(&err, CNI_UNDECODABLE, "no JSON");
	json_t *json = printed(NULL, &err);
	assert_string_equal(json_str(json, "cniVersion", NULL), "1.0.0");
	assert_int_equal(json_int(json, 0, "code", NULL), 6);
	assert_null(json_at(json, "details", NULL));
	json_decref(json);
}

static void test_foreign_text_stays_one_line_of_utf8_and_is_cut(void **state)
{
	struct cni_error err;
	char longer[2 * CNI_DETAILS_MAX];

	(void)state;
	memset(longer, '\x01', sizeof longer - 1);
	longer[sizeof longer - 1] = '\0';
	cni_fail(&err, CNI_INVALID_CONFIG, "a\nb\x1b[31m \xff %s", longer);
	cni_fail_details(&err, "%s", longer);
	assert_int_equal(strlen(err.message), CNI_MESSAGE_MAX - 1);
	assert_int_equal(strlen(err.details), CNI_DETAILS_MAX - 1);
	json_t *json = printed("1.1.0", &err);
	assert_memory_equal(json_str(json, "msg", NULL), "a b [31m ?  ", 12);
	json_decref(json);
	/* Half a character at the cut. */
	memset(longer, 'x', sizeof longer - 1);
	strcpy(longer + CNI_MESSAGE_MAX - 2, "\xc3\xa4");
	cni_fail(&err, CNI_INVALID_CONFIG, "%s", longer);
	assert_int_equal(err.message[CNI_MESSAGE_MAX - 2], '?');
}

static void test_the_new_may_be_made_of_the_old(void **state)
{
	struct cni_error err;

	(void)state;
	cni_fail(&err, CNI_IO_FAILURE, "end of file");
	cni_fail(&err, err.code, "stdin: %s", err.message);
	assert_string_equal(err.message, "stdin: end of file");
	assert_int_equal(err.code, CNI_IO_FAILURE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_error_has_the_form_that_runtimes_read),
		cmocka_unit_test(test_without_details_or_version_it_is_still_one),
		cmocka_unit_test(test_foreign_text_stays_one_line_of_utf8_and_is_cut),
		cmocka_unit_test(test_the_new_may_be_made_of_the_old),
	};

	return cmocka_run_group_tests_name("cni_error", tests, NULL, NULL);
}
