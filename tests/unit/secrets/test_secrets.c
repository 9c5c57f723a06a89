#undef NDEBUG
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "secrets/secrets.h"

static char dir[64];
static const char *environment[16][2];
static char *ca, *own, *issued, *key, *locked_key;

/* --- A folder and an environment to load from ----------------------------------------------------------------- */

static int fresh(void **state)
{
	(void)state;
	memset(environment, 0, sizeof environment);
	snprintf(dir, sizeof dir, "/tmp/test_secrets.XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int gone(void **state)
{
	char command[128];
	(void)state;
	snprintf(command, sizeof command, "rm -rf '%s'", dir);
	return system(command);
}

static const char *lookup(void *aux, const char *name)
{
	(void)aux;
	for (size_t i = 0; i < array_length(environment) && environment[i][0]; i++)
		if (strcmp(environment[i][0], name) == 0)
			return environment[i][1];
	return NULL;
}

static void setting(const char *name, const char *value)
{
	size_t i = 0;
	while (environment[i][0] && strcmp(environment[i][0], name) != 0)
		i++;
	environment[i][0] = name;
	environment[i][1] = value;
}

static void file_bytes(const char *name, const void *bytes, size_t n)
{
	char path[512];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
}

static void file(const char *name, const char *text)
{
	file_bytes(name, text, strlen(text));
}

/* As kubelet's writer does it: a new folder, then ..data points at it in one step, then the old one goes. */
static void rotate(unsigned number)
{
	char path[256], target[64], text[32];
	snprintf(target, sizeof target, "..2026_%u", number);
	snprintf(path, sizeof path, "%s/%s", dir, target);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(text, sizeof text, "value%u", number);
	for (const char *const *name = (const char *const[]){ "UFM_USERNAME", "UFM_PASSWORD", "UFM_ADDRESS", NULL };
	     *name; name++) {
		snprintf(path, sizeof path, "%s/%s", target, *name);
		file(path, text);
		char link[128], to[128];
		snprintf(link, sizeof link, "%s/%s", dir, *name);
		snprintf(to, sizeof to, "..data/%s", *name);
		if (number == 1)
			assert_int_equal(symlink(to, link), 0);
	}
	char new_link[128], link[128];
	snprintf(new_link, sizeof new_link, "%s/..data_tmp", dir);
	snprintf(link, sizeof link, "%s/..data", dir);
	assert_int_equal(symlink(target, new_link), 0);
	assert_int_equal(rename(new_link, link), 0);
	snprintf(target, sizeof target, "..2026_%u", number - 1);
	for (const char *const *name = (const char *const[]){ "UFM_USERNAME", "UFM_PASSWORD", "UFM_ADDRESS", "", NULL };
	     *name; name++) {
		snprintf(path, sizeof path, "%s/%s/%s", dir, target, *name);
		remove(path);
	}
}

static struct secrets *load(void)
{
	struct secrets *secrets = NULL;
	struct error err;
	if (secrets_load(&secrets, dir, lookup, NULL, &err) < 0)
		fail_msg("%s", err.text);
	return secrets;
}

static struct error refused(void)
{
	struct secrets *secrets = NULL;
	struct error err = { 0 };
	if (secrets_load(&secrets, dir, lookup, NULL, &err) == 0)
		fail_msg("it was to be refused");
	assert_null(secrets);
	return err;
}

static void assert_names(const struct error *err, enum error_kind kind, const char *words)
{
	if (err->kind != kind || !strstr(err->text, words))
		fail_msg("%s: %s", error_kind_name(err->kind), err->text);
}

/* --- Certificates ----------------------------------------------------------------------------------------------- */

static X509 *make_certificate(EVP_PKEY *mine, const char *name, EVP_PKEY *signer, const char *issuer)
{
	X509 *cert = X509_new();
	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), 0);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	X509_set_pubkey(cert, mine);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1,
				   0);
	X509_NAME_add_entry_by_txt(X509_get_issuer_name(cert), "CN", MBSTRING_ASC, (const unsigned char *)issuer, -1,
				   -1, 0);
	assert_int_not_equal(X509_sign(cert, signer, EVP_sha256()), 0);
	return cert;
}

static char *text_of(BIO *bio)
{
	char *data;
	long n = BIO_get_mem_data(bio, &data);
	char *text = mem_dup_n(data, (size_t)n);
	BIO_free(bio);
	return text;
}

static char *certificate_pem(EVP_PKEY *mine, const char *name, EVP_PKEY *signer, const char *issuer)
{
	X509 *cert = make_certificate(mine, name, signer, issuer);
	BIO *bio = BIO_new(BIO_s_mem());
	PEM_write_bio_X509(bio, cert);
	X509_free(cert);
	return text_of(bio);
}

static int make_certificates(void **state)
{
	EVP_PKEY *a = EVP_EC_gen("P-256"), *b = EVP_EC_gen("P-256");
	(void)state;
	ca = certificate_pem(a, "root", a, "root");
	own = certificate_pem(b, "192.0.2.1", b, "192.0.2.1");
	issued = certificate_pem(b, "ufm", a, "root");
	BIO *bio = BIO_new(BIO_s_mem());
	PEM_write_bio_PrivateKey(bio, b, NULL, NULL, 0, NULL, NULL);
	key = text_of(bio);
	bio = BIO_new(BIO_s_mem());
	PEM_write_bio_PKCS8PrivateKey(bio, b, EVP_aes_128_cbc(), "pass", 4, NULL, NULL);
	locked_key = text_of(bio);
	EVP_PKEY_free(a);
	EVP_PKEY_free(b);
	return 0;
}

static int drop_certificates(void **state)
{
	(void)state;
	free(ca);
	free(own);
	free(issued);
	free(key);
	free(locked_key);
	return 0;
}

static char *base64(const char *text, unsigned line)
{
	size_t n = strlen(text);
	char *plain = mem_alloc(n / 3 * 4 + 5);
	struct buf out;
	EVP_EncodeBlock((unsigned char *)plain, (const unsigned char *)text, (int)n);
	buf_init(&out, 1 << 20);
	for (size_t i = 0; plain[i]; i++)
		buf_printf(&out, "%c%s", plain[i], line && i % line == line - 1 ? "\n" : "");
	free(plain);
	return buf_take(&out);
}

/* --- Promises --------------------------------------------------------------------------------------------------- */

static void test_files_win_over_the_environment_one_by_one(void **state)
{
	(void)state;
	file("UFM_PASSWORD", "from file");
	file("UFM_ADDRESS", "ufm.example\n");
	file("UFM_TOKEN", "");
	setting("UFM_PASSWORD", "from environment");
	setting("UFM_USERNAME", "admin");
	setting("UFM_TOKEN", "token");
	struct secrets *secrets = load();
	assert_string_equal(secrets_get(secrets, SECRET_UFM_PASSWORD), "from file");
	assert_string_equal(secrets_origin(secrets, SECRET_UFM_PASSWORD), "file UFM_PASSWORD");
	assert_string_equal(secrets_get(secrets, SECRET_UFM_USERNAME), "admin");
	assert_string_equal(secrets_origin(secrets, SECRET_UFM_USERNAME), "environment");
	assert_string_equal(secrets_get(secrets, SECRET_UFM_TOKEN), "token");
	assert_null(secrets_get(secrets, SECRET_RECORD_KEY));
	assert_string_equal(secrets_origin(secrets, SECRET_RECORD_KEY), "");
	assert_string_equal(secrets_other(secrets, "UFM_ADDRESS"), "ufm.example");
	assert_null(secrets_other(secrets, "UFM_PORT"));
	secrets_free(secrets);
}

static void test_the_environment_alone_and_the_folder_alone_suffice(void **state)
{
	struct secrets *secrets = NULL;
	struct error err;
	(void)state;
	setting("UFM_PASSWORD", "x");
	assert_int_equal(secrets_load(&secrets, NULL, lookup, NULL, &err), 0);
	assert_string_equal(secrets_get(secrets, SECRET_UFM_PASSWORD), "x");
	assert_null(secrets_other(secrets, "UFM_PASSWORD"));
	assert_false(secrets_stale(secrets));
	secrets_free(secrets);
	assert_int_equal(secrets_load(&secrets, dir, NULL, NULL, &err), 0);
	assert_null(secrets_get(secrets, SECRET_UFM_PASSWORD));
	secrets_free(secrets);
	secrets_free(NULL);
}

static void test_ufm_user_is_the_user_name_too(void **state)
{
	(void)state;
	file("UFM_USER", "admin\n");
	setting("UFM_USERNAME", "somebody");
	struct secrets *secrets = load();
	assert_string_equal(secrets_get(secrets, SECRET_UFM_USERNAME), "admin");
	assert_string_equal(secrets_origin(secrets, SECRET_UFM_USERNAME), "file UFM_USER");
	secrets_free(secrets);
	file("UFM_USERNAME", "admin");
	secrets_free(load());
	file("UFM_USERNAME", "other");
	struct error err = refused();
	assert_names(&err, ERROR_INVALID, "UFM_USERNAME and UFM_USER");
	assert_null(strstr(err.text, "admin"));
	assert_null(strstr(err.text, "other"));
}

static void test_only_one_line_end_behind_a_value_is_dropped(void **state)
{
	static const struct {
		const char *text, *value;
	} cases[] = { { "pw\n", "pw" },     { "pw\r\n", "pw" }, { "pw\n\n", "pw\n" },
		      { " p w ", " p w " }, { "\npw", "\npw" }, { "\n", NULL } };
	(void)state;
	for (size_t i = 0; i < array_length(cases); i++) {
		file("UFM_PASSWORD", cases[i].text);
		struct secrets *secrets = load();
		const char *value = secrets_get(secrets, SECRET_UFM_PASSWORD);
		if (cases[i].value)
			assert_string_equal(value, cases[i].value);
		else
			assert_null(value);
		secrets_free(secrets);
	}
}

static void test_a_certificate_may_be_pem_or_base64_of_it(void **state)
{
	char *plain = base64(ca, 0), *wrapped = base64(ca, 76);
	(void)state;
	for (const char *const *form = (const char *const[]){ ca, plain, wrapped, NULL }; *form; form++) {
		file("UFM_CERTIFICATE", *form);
		struct secrets *secrets = load();
		assert_true(secrets_is_certificate(secrets_get(secrets, SECRET_UFM_CERTIFICATE)));
		assert_non_null(strstr(secrets_get(secrets, SECRET_UFM_CERTIFICATE), "-----BEGIN CERTIFICATE-----"));
		secrets_free(secrets);
	}
	free(plain);
	free(wrapped);
	plain = base64(key, 64);
	setting("UFM_CLIENT_KEY", plain);
	setting("UFM_CLIENT_CERT", issued);
	struct secrets *secrets = load();
	assert_non_null(strstr(secrets_get(secrets, SECRET_UFM_CLIENT_KEY), "PRIVATE KEY-----"));
	secrets_free(secrets);
	free(plain);
}

static void test_what_is_no_certificate_or_key_is_refused_without_showing_it(void **state)
{
	char *cut = mem_dup(ca), *two = mem_printf("%s%.*s", ca, (int)strlen(issued) / 2, issued),
	     *not_pem = base64("hunter2 hunter2", 0);
	(void)state;
	cut[strlen(cut) / 2] = '\0';
	for (const char *const *bad = (const char *const[]){ "hunter2", cut, two, not_pem, key, "QQ=", "=QQQ", NULL };
	     *bad; bad++) {
		file("UFM_CERTIFICATE", *bad);
		struct error err = refused();
		assert_names(&err, ERROR_INVALID, "UFM_CERTIFICATE (file UFM_CERTIFICATE)");
		assert_null(strstr(err.text, "hunter2"));
	}
	file("UFM_CERTIFICATE", "");
	setting("UFM_CLIENT_KEY", ca);
	struct error err = refused();
	assert_names(&err, ERROR_INVALID, "UFM_CLIENT_KEY (environment)");
	setting("UFM_CLIENT_KEY", locked_key);
	err = refused();
	assert_names(&err, ERROR_INVALID, "encrypted");
	free(cut);
	free(two);
	free(not_pem);
}

static void test_self_signed_is_told_from_issued(void **state)
{
	char *chain = mem_printf("%s%s", issued, ca), *surrounded = mem_printf("subject=/CN=root\n%s\n", ca);
	(void)state;
	assert_true(secrets_is_self_signed(own));
	assert_true(secrets_is_self_signed(ca));
	assert_true(secrets_is_self_signed(surrounded));
	assert_true(secrets_is_certificate(surrounded));
	assert_false(secrets_is_self_signed(issued));
	assert_false(secrets_is_self_signed(chain));
	assert_true(secrets_is_certificate(chain));
	assert_false(secrets_is_self_signed("nothing"));
	assert_false(secrets_is_certificate("nothing"));
	assert_false(secrets_is_certificate(""));
	free(chain);
	free(surrounded);
}

static void test_a_bad_file_is_an_error_that_names_it(void **state)
{
	struct error err;
	char path[128];
	static char big[64 * 1024 + 1];
	(void)state;
	memset(big, 'x', sizeof big);
	file_bytes("UFM_PASSWORD", "a\0b", 3);
	err = refused();
	assert_names(&err, ERROR_INVALID, "UFM_PASSWORD holds a NUL");
	file_bytes("UFM_PASSWORD", big, sizeof big - 1);
	secrets_free(load());
	file_bytes("UFM_PASSWORD", big, sizeof big);
	err = refused();
	assert_names(&err, ERROR_LIMIT, "UFM_PASSWORD");
	snprintf(path, sizeof path, "%s/UFM_PASSWORD", dir);
	remove(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	err = refused();
	assert_names(&err, ERROR_INVALID, "no");
	remove(path);
	assert_int_equal(symlink("nowhere", path), 0);
	err = refused();
	assert_names(&err, ERROR_OS, "UFM_PASSWORD");
	remove(path);
	file_bytes("README.bin", big, sizeof big);
	file_bytes("tls.key", "\0", 1);
	secrets_free(load());
	snprintf(path, sizeof path, "%s", dir);
	gone(NULL);
	err = refused();
	assert_names(&err, ERROR_OS, path);
	mkdir(path, 0700);
}

static void test_a_rotation_is_noticed_and_nothing_else(void **state)
{
	(void)state;
	rotate(1);
	struct secrets *one = load();
	assert_string_equal(secrets_get(one, SECRET_UFM_PASSWORD), "value1");
	assert_false(secrets_stale(one));
	struct secrets *same = load();
	assert_true(secrets_equal(one, same));
	rotate(2);
	assert_true(secrets_stale(one));
	struct secrets *two = load();
	assert_string_equal(secrets_get(two, SECRET_UFM_PASSWORD), "value2");
	assert_string_equal(secrets_other(two, "UFM_ADDRESS"), "value2");
	assert_false(secrets_stale(two));
	assert_false(secrets_equal(one, two));
	gone(NULL);
	assert_true(secrets_stale(two));
	assert_int_equal(mkdir(dir, 0700), 0);
	assert_true(secrets_stale(two));
	secrets_free(one);
	secrets_free(same);
	secrets_free(two);
}

static void test_a_change_is_noticed_without_the_link_too(void **state)
{
	(void)state;
	file("UFM_PASSWORD", "one");
	struct secrets *secrets = load();
	assert_false(secrets_stale(secrets));
	file("note.txt", "not ours");
	assert_false(secrets_stale(secrets));
	file("UFM_TOKEN", "t");
	assert_true(secrets_stale(secrets));
	secrets_free(secrets);
	secrets = load();
	file("UFM_PASSWORD", "longer");
	assert_true(secrets_stale(secrets));
	secrets_free(secrets);
}

static void test_a_load_that_races_a_rotation_never_mixes_two_states(void **state)
{
	unsigned seen = 0;
	char last[32] = "";
	(void)state;
	rotate(1);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (unsigned number = 2;; number++)
			rotate(number);
	}
	while (seen < 300) {
		struct secrets *secrets = NULL;
		struct error err;
		if (secrets_load(&secrets, dir, NULL, NULL, &err) < 0) {
			assert_names(&err, ERROR_RETRY, "changes faster");
			continue;
		}
		const char *password = secrets_get(secrets, SECRET_UFM_PASSWORD);
		assert_non_null(password);
		assert_string_equal(secrets_get(secrets, SECRET_UFM_USERNAME), password);
		assert_string_equal(secrets_other(secrets, "UFM_ADDRESS"), password);
		seen += strcmp(last, password) != 0;
		snprintf(last, sizeof last, "%s", password);
		secrets_free(secrets);
	}
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_files_win_over_the_environment_one_by_one, fresh, gone),
		cmocka_unit_test_setup_teardown(test_the_environment_alone_and_the_folder_alone_suffice, fresh, gone),
		cmocka_unit_test_setup_teardown(test_ufm_user_is_the_user_name_too, fresh, gone),
		cmocka_unit_test_setup_teardown(test_only_one_line_end_behind_a_value_is_dropped, fresh, gone),
		cmocka_unit_test_setup_teardown(test_a_certificate_may_be_pem_or_base64_of_it, fresh, gone),
		cmocka_unit_test_setup_teardown(test_what_is_no_certificate_or_key_is_refused_without_showing_it, fresh,
						gone),
		cmocka_unit_test_setup_teardown(test_self_signed_is_told_from_issued, fresh, gone),
		cmocka_unit_test_setup_teardown(test_a_bad_file_is_an_error_that_names_it, fresh, gone),
		cmocka_unit_test_setup_teardown(test_a_rotation_is_noticed_and_nothing_else, fresh, gone),
		cmocka_unit_test_setup_teardown(test_a_change_is_noticed_without_the_link_too, fresh, gone),
		cmocka_unit_test_setup_teardown(test_a_load_that_races_a_rotation_never_mixes_two_states, fresh, gone),
	};
	return cmocka_run_group_tests_name("secrets", tests, make_certificates, drop_certificates);
}
