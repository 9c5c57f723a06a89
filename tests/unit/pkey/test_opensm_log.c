#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "pkey/opensm_log.h"

static char path[] = "/tmp/test_opensm_log.XXXXXX";

static const char refusal[] = "Nov 23 00:00:00 1 [X] 0x01 -> Partition configuration in error; retrying with default\n";

static void append(const char *text, size_t len)
{
	FILE *file = fopen(path, "a");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

static int begin(void **state)
{
	(void)state;
	memcpy(path + sizeof path - 7, "XXXXXX", 6);
	int fd = mkstemp(path);
	return fd < 0 ? -1 : close(fd);
}

static int end(void **state)
{
	(void)state;
	return unlink(path);
}

static void test_without_a_log_nothing_is_known(void **state)
{
	char version[16];

	(void)state;
	assert_int_equal(opensm_log_size(NULL), 0);
	assert_int_equal(opensm_log_size("/no/such/file"), 0);
	assert_false(opensm_log_refuses(NULL, 0));
	assert_false(opensm_log_refuses("/no/such/file", 0));
	assert_false(opensm_log_version(NULL, version, sizeof version));
	assert_false(opensm_log_version(path, version, sizeof version));
}

static void test_only_what_was_written_since_counts(void **state)
{
	(void)state;
	append(refusal, strlen(refusal));
	assert_true(opensm_log_refuses(path, 0));
	off_t since = opensm_log_size(path);
	assert_false(opensm_log_refuses(path, since));
	append("SUBNET UP\n", 10);
	assert_false(opensm_log_refuses(path, since));
	append(refusal, strlen(refusal));
	assert_true(opensm_log_refuses(path, since));
}

/* copytruncate: OpenSM writes on at its old place, and what is before it reads as NULs. */
static void test_a_log_that_was_cut_off_by_its_rotation_is_read_on(void **state)
{
	(void)state;
	append(refusal, strlen(refusal));
	off_t since = opensm_log_size(path);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fseek(file, (long)since + 1000, SEEK_SET), 0);
	assert_true(fputs(refusal, file) >= 0);
	assert_int_equal(fclose(file), 0);
	assert_true(opensm_log_refuses(path, since));
}

static void test_the_last_start_names_the_version(void **state)
{
	static const char first[] = "Nov 23 1 [X] 0x03 -> OpenSM 3.3.23\n",
			  last[] = "1 [X] 0x80 -> OpenSM 5.17.0.MLNX1\n";
	char version[16], little[4], *filler = mem_alloc(2 << 20);

	(void)state;
	append(first, strlen(first));
	assert_true(opensm_log_version(path, version, sizeof version));
	assert_string_equal(version, "3.3.23");
	append(last, strlen(last));
	assert_true(opensm_log_version(path, version, sizeof version));
	assert_string_equal(version, "5.17.0.MLNX1");
	assert_true(opensm_log_version(path, little, sizeof little));
	assert_string_equal(little, "5.1");
	memset(filler, '\n', 2 << 20); /* so long ago that only the beginning of the log shows it */
	append(filler, 2 << 20);
	assert_true(opensm_log_version(path, version, sizeof version));
	assert_string_equal(version, "5.17.0.MLNX1");
	free(filler);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_without_a_log_nothing_is_known, begin, end),
		cmocka_unit_test_setup_teardown(test_only_what_was_written_since_counts, begin, end),
		cmocka_unit_test_setup_teardown(test_a_log_that_was_cut_off_by_its_rotation_is_read_on, begin, end),
		cmocka_unit_test_setup_teardown(test_the_last_start_names_the_version, begin, end),
	};

	return cmocka_run_group_tests_name("opensm_log", tests, NULL, NULL);
}
