#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/base/net/certs.h"
#include "ufmsync/tls_files.h"

static char folder[64], cert_path[128], key_path[128];
static struct cert first, second;
static struct tls_files *files;
static struct tls_pair pair;
static struct error err;

/* Another file each time, as everybody who replaces one in one piece does. */
static void write_file(const char *path, const char *text)
{
	char fresh[160];

	snprintf(fresh, sizeof fresh, "%s.new", path);
	FILE *file = fopen(fresh, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(rename(fresh, path), 0);
}

static int setup_certs(void **state)
{
	(void)state;
	cert_make(&first, &(struct cert_spec){ .common_name = "first" });
	cert_make(&second, &(struct cert_spec){ .common_name = "second", .from_days = -1, .to_days = 30 });
	return 0;
}

static int setup(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/test_tls_files.XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(cert_path, sizeof cert_path, "%s/tls.crt", folder);
	snprintf(key_path, sizeof key_path, "%s/tls.key", folder);
	write_file(cert_path, first.cert);
	write_file(key_path, first.key);
	err = (struct error){ 0 };
	assert_int_equal(tls_files_new(&files, &pair, cert_path, key_path, &err), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tls_files_free(files);
	tls_pair_free(&pair);
	unlink(cert_path);
	unlink(key_path);
	return rmdir(folder);
}

static enum tls_look look(void)
{
	tls_pair_free(&pair);
	return tls_files_look(files, &pair, &err);
}

static void test_the_pair_is_read_with_its_end(void **state)
{
	int64_t tomorrow = (int64_t)time(NULL) + 86400;

	(void)state;
	assert_string_equal(pair.cert, first.cert);
	assert_string_equal(pair.key, first.key);
	assert_true(pair.not_after_s > tomorrow - 3600 && pair.not_after_s < tomorrow + 3600);
	assert_int_equal(look(), TLS_LOOK_SAME);
}

static void test_a_start_without_a_good_pair_names_the_file(void **state)
{
	static const struct {
		bool cert;
		const char *text, *says;
	} bad[] = {
		{ true, "", "no certificate" },
		{ true, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "certificate" },
		{ false, "", "no private key" },
	};
	struct tls_files *none = NULL;
	struct tls_pair nothing;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		write_file(cert_path, bad[i].cert ? bad[i].text : first.cert);
		write_file(key_path, bad[i].cert ? first.key : bad[i].text);
		assert_int_equal(tls_files_new(&none, &nothing, cert_path, key_path, &err), -1);
		assert_int_equal(err.kind, ERROR_INVALID);
		assert_non_null(strstr(err.text, bad[i].says));
		assert_non_null(strstr(err.text, cert_path));
	}
	write_file(key_path, second.key);
	assert_int_equal(tls_files_new(&none, &nothing, cert_path, key_path, &err), -1);
	assert_non_null(strstr(err.text, "not that of the first certificate"));
	assert_null(strstr(err.text, "BEGIN"));
	unlink(key_path);
	assert_int_equal(tls_files_new(&none, &nothing, cert_path, key_path, &err), -1);
	assert_non_null(strstr(err.text, key_path));
}

static void test_a_renewed_pair_is_taken_once(void **state)
{
	(void)state;
	write_file(cert_path, second.cert);
	write_file(key_path, second.key);
	assert_int_equal(look(), TLS_LOOK_FRESH);
	assert_string_equal(pair.cert, second.cert);
	assert_string_equal(pair.key, second.key);
	assert_int_equal(look(), TLS_LOOK_SAME);
}

static void test_files_that_are_written_one_after_the_other_are_no_mistake(void **state)
{
	(void)state;
	write_file(cert_path, second.cert);
	assert_int_equal(look(), TLS_LOOK_SAME);
	write_file(key_path, second.key);
	assert_int_equal(look(), TLS_LOOK_FRESH);
}

static void test_a_bad_pair_is_said_once_and_again_when_it_is_another(void **state)
{
	(void)state;
	write_file(cert_path, second.cert);
	assert_int_equal(look(), TLS_LOOK_SAME);
	assert_int_equal(look(), TLS_LOOK_BAD);
	assert_non_null(strstr(err.text, cert_path));
	assert_int_equal(look(), TLS_LOOK_SAME);
	assert_int_equal(look(), TLS_LOOK_SAME);
	write_file(cert_path, "nonsense");
	assert_int_equal(look(), TLS_LOOK_SAME);
	assert_int_equal(look(), TLS_LOOK_BAD);
	unlink(cert_path);
	assert_int_equal(look(), TLS_LOOK_SAME);
	assert_int_equal(look(), TLS_LOOK_BAD);
	write_file(cert_path, first.cert);
	assert_int_equal(look(), TLS_LOOK_FRESH); /* the old ones as new files */
	assert_string_equal(pair.cert, first.cert);
}

static void test_a_mounted_secret_is_replaced_by_its_link(void **state)
{
	char one[128], two[128], link_[128], one_cert[160], one_key[160], two_cert[160], two_key[160];
	char through_cert[160], through_key[160], fresh[160];
	struct tls_files *mounted;

	(void)state;
	snprintf(one, sizeof one, "%s/1", folder);
	snprintf(two, sizeof two, "%s/2", folder);
	snprintf(link_, sizeof link_, "%s/data", folder);
	snprintf(fresh, sizeof fresh, "%s/data_tmp", folder);
	snprintf(one_cert, sizeof one_cert, "%s/tls.crt", one);
	snprintf(one_key, sizeof one_key, "%s/tls.key", one);
	snprintf(two_cert, sizeof two_cert, "%s/tls.crt", two);
	snprintf(two_key, sizeof two_key, "%s/tls.key", two);
	snprintf(through_cert, sizeof through_cert, "%s/tls.crt", link_);
	snprintf(through_key, sizeof through_key, "%s/tls.key", link_);
	assert_int_equal(mkdir(one, 0700) | mkdir(two, 0700), 0);
	write_file(one_cert, first.cert);
	write_file(one_key, first.key);
	write_file(two_cert, second.cert);
	write_file(two_key, second.key);
	assert_int_equal(symlink("1", link_), 0);
	tls_pair_free(&pair);
	assert_int_equal(tls_files_new(&mounted, &pair, through_cert, through_key, &err), 0);
	assert_int_equal(symlink("2", fresh), 0);
	assert_int_equal(rename(fresh, link_), 0);
	tls_pair_free(&pair);
	assert_int_equal(tls_files_look(mounted, &pair, &err), TLS_LOOK_FRESH);
	assert_string_equal(pair.cert, second.cert);
	tls_files_free(mounted);
	for (const char *const *path = (const char *const[]){ one_cert, one_key, two_cert, two_key, link_, NULL };
	     *path; path++)
		assert_int_equal(unlink(*path), 0);
	assert_int_equal(rmdir(one) | rmdir(two), 0);
}

#define LIFE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LIFE(test_the_pair_is_read_with_its_end),
		LIFE(test_a_start_without_a_good_pair_names_the_file),
		LIFE(test_a_renewed_pair_is_taken_once),
		LIFE(test_files_that_are_written_one_after_the_other_are_no_mistake),
		LIFE(test_a_bad_pair_is_said_once_and_again_when_it_is_another),
		LIFE(test_a_mounted_secret_is_replaced_by_its_link),
	};

	return cmocka_run_group_tests_name("tls files", tests, setup_certs, NULL);
}
