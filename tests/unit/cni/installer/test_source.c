#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cni/installer/source.h"

static char path[64];
static struct source source;
static struct error err;

static int fresh(void **state)
{
	(void)state;
	snprintf(path, sizeof path, "/tmp/test_source.XXXXXX");
	int fd = mkstemp(path);
	return fd < 0 ? -1 : close(fd);
}

static int gone(void **state)
{
	(void)state;
	return unlink(path);
}

static void holding(const void *bytes, size_t n)
{
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
}

typedef int read_fn(struct source *, const char *, struct error *);

static void accepted(read_fn *read, const char *text, const char *as)
{
	holding(text, strlen(text));
	if (read(&source, path, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(source.len, strlen(as));
	assert_memory_equal(source.bytes, as, source.len);
	source_forget(&source);
	assert_null(source.bytes);
}

static void refused(read_fn *read, const char *text, size_t n)
{
	holding(text, n);
	assert_int_equal(read(&source, path, &err), -1);
	assert_non_null(strstr(err.text, path));
	if (n > 8)
		assert_null(strstr(err.text, text));
}

#define CERTIFICATE "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"

static void test_a_token_is_one_line_and_is_never_quoted(void **state)
{
	(void)state;
	accepted(source_token, "ey.a.b", "ey.a.b");
	accepted(source_token, "ey.a.b\n", "ey.a.b");
	accepted(source_token, "ey.a.b\r\n", "ey.a.b");
	refused(source_token, "", 0);
	refused(source_token, "\n", 1);
	refused(source_token, "first-line\nsecond", 17);
	refused(source_token, "with blanks", 11);
	refused(source_token, "nul\0behind it", 13);
	refused(source_token, "\xc3\xa4rgerlich", 11);
}

static void test_a_ca_is_certificates_without_a_key(void **state)
{
	(void)state;
	accepted(source_ca, CERTIFICATE CERTIFICATE, CERTIFICATE CERTIFICATE);
	refused(source_ca, "", 0);
	refused(source_ca, "-----BEGIN CERTIFICATE-----\nMIIB\n", 33);
	refused(source_ca, CERTIFICATE "\0 and more", sizeof CERTIFICATE + 9);
	refused(source_ca, CERTIFICATE "-----BEGIN PRIVATE KEY-----\n", sizeof CERTIFICATE + 27);
	assert_non_null(strstr(err.text, "private key"));
	refused(source_ca, CERTIFICATE "-----BEGIN EC PRIVATE KEY-----\n", sizeof CERTIFICATE + 30);
}

static void test_an_empty_plugin_is_none(void **state)
{
	(void)state;
	accepted(source_plugin, "program", "program");
	refused(source_plugin, "", 0);
}

static void test_a_missing_file_says_what_to_do(void **state)
{
	(void)state;
	assert_int_equal(source_token(&source, "/nonexistent/token", &err), -1);
	assert_non_null(strstr(err.text, "/nonexistent/token"));
	assert_non_null(strstr(err.text, "--token"));
	assert_int_equal(source_ca(&source, "/nonexistent/ca", &err), -1);
	assert_non_null(strstr(err.text, "--ca"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_token_is_one_line_and_is_never_quoted, fresh, gone),
		cmocka_unit_test_setup_teardown(test_a_ca_is_certificates_without_a_key, fresh, gone),
		cmocka_unit_test_setup_teardown(test_an_empty_plugin_is_none, fresh, gone),
		cmocka_unit_test(test_a_missing_file_says_what_to_do),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
