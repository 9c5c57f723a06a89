#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "cni/plugin/node_file.h"

#define NEEDED                                                                                                         \
	"\"server\":\"10.96.7.20:8443\",\"serverName\":\"ufmsync.kube-system.svc\",\"ca\":\"ca.crt\",\"token\":"       \
	"\"token\""

static int parse(struct node_file *file, const char *text, struct cni_error *err)
{
	return node_file_parse(file, "/etc/u/ufmsync.conf", text, strlen(text), err);
}

static void parsed(struct node_file *file, const char *text)
{
	struct cni_error err;

	if (parse(file, text, &err) < 0)
		fail_msg("%s", err.message);
}

/* The message names the file and holds all the words. */
static void refused(const char *text, const char *words, const char *more)
{
	struct node_file file;
	struct cni_error err = { 0 };

	if (parse(&file, text, &err) == 0)
		fail_msg("accepted: %s", text);
	assert_int_equal(err.code, CNI_NODE_FILE);
	if (!strstr(err.message, "/etc/u/ufmsync.conf") || !strstr(err.message, words) || !strstr(err.message, more))
		fail_msg("'%s', '%s' not in: %s", words, more, err.message);
	assert_non_null(strstr(err.details, "node installer (DaemonSet"));
}

static void test_the_four_that_are_needed_suffice(void **state)
{
	struct node_file file;

	(void)state;
	parsed(&file, "{" NEEDED "}");
	assert_string_equal(file.address, "10.96.7.20");
	assert_string_equal(file.port, "8443");
	assert_string_equal(file.server_name, "ufmsync.kube-system.svc");
	assert_string_equal(file.ca_path, "/etc/u/ca.crt");
	assert_string_equal(file.token_path, "/etc/u/token");
	assert_string_equal(file.node, "");
	assert_string_equal(file.sysfs, "/sys");
	assert_null(file.log);
	assert_int_equal(file.timeout_ms, 70000);
	assert_int_equal(file.connect_timeout_ms, 10000);
	node_file_free(&file);
}

static void test_all_that_may_be_said_is_taken(void **state)
{
	struct node_file file;

	(void)state;
	parsed(&file, "{\"server\":\"[fd00::1]:443\",\"serverName\":\"fd00::1\",\"ca\":\"/a/b.crt\",\"token\":\"/c\","
		      "\"node\":\"gpu-17.example\",\"timeout\":\"1500ms\",\"connectTimeout\":\"2m\",\"log\":\"syslog\","
		      "\"sysfs\":\"/host/sys\"}");
	assert_string_equal(file.address, "fd00::1");
	assert_string_equal(file.port, "443");
	assert_string_equal(file.server_name, "fd00::1");
	assert_string_equal(file.ca_path, "/a/b.crt");
	assert_string_equal(file.token_path, "/c");
	assert_string_equal(file.node, "gpu-17.example");
	assert_string_equal(file.log, "syslog");
	assert_string_equal(file.sysfs, "/host/sys");
	assert_int_equal(file.timeout_ms, 1500);
	assert_int_equal(file.connect_timeout_ms, 120000);
	node_file_free(&file);
}

static void test_what_is_no_such_file_is_refused(void **state)
{
	(void)state;
	refused("", "line 1", "");
	refused("[]", "not a JSON object", "");
	refused("{" NEEDED, "line 1", "");
	refused("{" NEEDED "} x", "line 1", "");
	refused("{" NEEDED ",\"ca\":\"twice\"}", "duplicate", "");
	refused("{" NEEDED ",\"connecttimeout\":\"1s\"}", "'connecttimeout'", "connectTimeout");
	refused("{" NEEDED ",\"timeout\":70}", "timeout is not a string", "10m");
	refused("{" NEEDED ",\"node\":\"a\\u0000b\"}", "node", "");
}

static void test_each_needed_key_is_asked_for_by_name(void **state)
{
	(void)state;
	refused("{}", "server is missing", "10.96.7.20:8443");
	refused("{\"server\":\"1.2.3.4:1\"}", "serverName is missing", "");
	refused("{\"server\":\"1.2.3.4:1\",\"serverName\":\"a\"}", "ca is missing", "");
	refused("{\"server\":\"1.2.3.4:1\",\"serverName\":\"a\",\"ca\":\"b\"}", "token is missing", "");
}

static void test_the_server_is_a_numeric_address_and_port(void **state)
{
	static const char *const bad[] = {
		"",
		"10.0.0.1",
		"10.0.0.1:",
		"10.0.0.1:0",
		"10.0.0.1:65536",
		"10.0.0.1:080",
		"10.0.0.1:8443 ",
		"10.0.0.1:+80",
		"10.0.1:8443",
		"ufmsync.svc:8443",
		"fd00::1:8443",
		"[fd00::1]",
		"[fd00::1]8443",
		"[10.0.0.1]:1",
		"[fd00::1:8443",
		"fd00::1]:8443",
		"[fe80::1%lo]:1",
		"]:1",
		"[:1",
		"[]:1",
	};

	(void)state;
	for (size_t i = 0; i < array_length(bad); i++) {
		char *text = mem_printf("{\"server\":\"%s\"}", bad[i]), *shown = mem_printf("server: '%s'", bad[i]);
		refused(text, shown, "numeric address and a port");
		free(text);
		free(shown);
	}
}

static void test_the_server_name_is_a_dns_name_or_an_address(void **state)
{
	static const char *const bad[] = {
		"",    "a..b", ".a",  "a.",  "-a",  "a-.b",
		"a b", "a_b",  "a/b", "*.a", "a:1", "0123456789012345678901234567890123456789012345678901234567890123.a"
	};
	static const char *const good[] = { "a", "A-1.b", "10.0.0.1", "fd00::1", "xn--bcher-kva.example" };
	struct node_file file;

	(void)state;
	for (size_t i = 0; i < array_length(bad); i++) {
		char *text = mem_printf("{\"serverName\":\"%s\"}", bad[i]);
		refused(text, "serverName: '", "DNS name or address");
		free(text);
	}
	for (size_t i = 0; i < array_length(good); i++) {
		char *text = mem_printf("{\"server\":\"1.2.3.4:1\",\"serverName\":\"%s\",\"ca\":\"b\",\"token\":\"c\"}",
					good[i]);
		parsed(&file, text);
		assert_string_equal(file.server_name, good[i]);
		node_file_free(&file);
		free(text);
	}
}

static void test_a_duration_has_a_unit_and_bounds(void **state)
{
	static const char *const bad[] = { "",
					   "70",
					   "s",
					   "-1s",
					   "1.5s",
					   "70 s",
					   "99ms",
					   "601s",
					   "11m",
					   "70S",
					   "99999999999999s",
					   "9223372036854775808ms" };

	(void)state;
	for (size_t i = 0; i < array_length(bad); i++) {
		char *text = mem_printf("{\"timeout\":\"%s\"}", bad[i]),
		     *other = mem_printf("{\"connectTimeout\":\"%s\"}", bad[i]);
		refused(text, "timeout: '", "100ms to 10m");
		refused(other, "connectTimeout: '", "100ms to 10m");
		free(text);
		free(other);
	}
}

static void test_names_of_files_are_checked(void **state)
{
	(void)state;
	refused("{\"ca\":\"\"}", "ca: ''", "");
	refused("{\"token\":\"tokens/\"}", "token: 'tokens/'", "");
	refused("{\"log\":\"relative\"}", "log: 'relative'", "syslog or the absolute path");
	refused("{\"sysfs\":\"sys\"}", "sysfs: 'sys'", "absolute path");
	refused("{\"node\":\"\"}", "node: ''", "");
	refused("{\"node\":\"GPU-17\"}", "node: 'GPU-17'", "");
}

/* --- from disk --- */

static char folder[] = "/tmp/ufmsync-node-file-XXXXXX";

static char *in_folder(const char *name)
{
	return mem_printf("%s/%s", folder, name);
}

static void write_file(const char *name, const char *bytes, size_t n)
{
	char *path = in_folder(name);
	FILE *out = fopen(path, "w");

	assert_non_null(out);
	assert_int_equal(fwrite(bytes, 1, n, out), n);
	assert_int_equal(fclose(out), 0);
	free(path);
}

static void write_text(const char *name, const char *text)
{
	write_file(name, text, strlen(text));
}

static int load(struct node_file *file, struct cni_error *err)
{
	char *path = in_folder("conf");
	int status = node_file_load(file, path, err);

	free(path);
	return status;
}

static void load_refused(const char *words, const char *more)
{
	struct node_file file;
	struct cni_error err = { 0 };

	assert_int_equal(load(&file, &err), -1);
	assert_int_equal(err.code, CNI_NODE_FILE);
	if (!strstr(err.message, folder) || !strstr(err.message, words) || !strstr(err.message, more))
		fail_msg("'%s', '%s' not in: %s", words, more, err.message);
	assert_null(strstr(err.message, "s3cr3t"));
	assert_null(strstr(err.details, "s3cr3t"));
}

static int make_files(void **state)
{
	(void)state;
	strcpy(folder + strlen(folder) - 6, "XXXXXX");
	assert_non_null(mkdtemp(folder));
	write_text("conf", "{" NEEDED "}");
	write_text("ca.crt", "-----BEGIN CERTIFICATE-----\n");
	write_text("token", "s3cr3t\n");
	return 0;
}

static void drop(const char *name)
{
	char *path = in_folder(name);

	unlink(path);
	free(path);
}

static int drop_files(void **state)
{
	(void)state;
	drop("conf");
	drop("ca.crt");
	drop("token");
	assert_int_equal(rmdir(folder), 0);
	return 0;
}

static void test_the_files_beside_it_are_read(void **state)
{
	struct node_file file;
	struct cni_error err;

	(void)state;
	assert_int_equal(load(&file, &err), 0);
	assert_string_equal(file.ca, "-----BEGIN CERTIFICATE-----\n");
	assert_string_equal(file.token, "s3cr3t");
	node_file_free(&file);
	assert_null(file.token);
}

static void test_a_file_that_cannot_be_read_is_named(void **state)
{
	(void)state;
	drop("token");
	load_refused("token: ", "No such file");
	drop("ca.crt");
	load_refused("ca: ", "No such file");
	drop("conf");
	load_refused("conf: No such file", "");
}

static void test_a_token_is_one_line_of_printable_characters(void **state)
{
	static const char *const bad[] = { "s3cr3t \n", "s3cr3t\r\n", "s3cr3t\ns3cr3t\n", "s3cr3t\n\n",
					   " s3cr3t",   "s3cr3t\x7f", "s3cr3t\xc3\xa4" };

	(void)state;
	for (size_t i = 0; i < array_length(bad); i++) {
		write_text("token", bad[i]);
		load_refused("token: ", "one line");
	}
	write_file("token", "s3cr3t\0s3cr3t", 13);
	load_refused("token: ", "one line");
	write_text("token", "\n");
	load_refused("token: ", "is empty");
	write_text("token", "");
	load_refused("token: ", "is empty");
}

static void test_a_ca_file_without_a_certificate_is_refused(void **state)
{
	(void)state;
	write_text("ca.crt", "");
	load_refused("ca: ", "no PEM certificate");
	write_file("ca.crt", "-----BEGIN CERTIFICATE-----\0", 28);
	load_refused("ca: ", "no PEM certificate");
}

static void test_a_file_may_be_64_KiB_and_no_longer(void **state)
{
	struct node_file file;
	struct cni_error err;
	char *token = mem_alloc((64 << 10) + 2);

	(void)state;
	memset(token, 'x', (64 << 10) + 1);
	write_file("token", token, 64 << 10);
	assert_int_equal(load(&file, &err), 0);
	assert_int_equal(strlen(file.token), 64 << 10);
	node_file_free(&file);
	write_file("token", token, (64 << 10) + 1);
	load_refused("token: ", "longer than 64 KiB");
	write_file("ca.crt", token, (64 << 10) + 1);
	load_refused("ca: ", "longer than 64 KiB");
	write_file("conf", token, (64 << 10) + 1);
	load_refused("conf", "longer than 64 KiB");
	free(token);
}

static void test_a_fifo_instead_of_a_file_does_not_block(void **state)
{
	char *path = in_folder("token");

	(void)state;
	drop("token");
	assert_int_equal(mkfifo(path, 0600), 0);
	load_refused("token: ", "not a regular file");
	free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_four_that_are_needed_suffice),
		cmocka_unit_test(test_all_that_may_be_said_is_taken),
		cmocka_unit_test(test_what_is_no_such_file_is_refused),
		cmocka_unit_test(test_each_needed_key_is_asked_for_by_name),
		cmocka_unit_test(test_the_server_is_a_numeric_address_and_port),
		cmocka_unit_test(test_the_server_name_is_a_dns_name_or_an_address),
		cmocka_unit_test(test_a_duration_has_a_unit_and_bounds),
		cmocka_unit_test(test_names_of_files_are_checked),
		cmocka_unit_test_setup_teardown(test_the_files_beside_it_are_read, make_files, drop_files),
		cmocka_unit_test_setup_teardown(test_a_file_that_cannot_be_read_is_named, make_files, drop_files),
		cmocka_unit_test_setup_teardown(test_a_token_is_one_line_of_printable_characters, make_files,
						drop_files),
		cmocka_unit_test_setup_teardown(test_a_ca_file_without_a_certificate_is_refused, make_files,
						drop_files),
		cmocka_unit_test_setup_teardown(test_a_file_may_be_64_KiB_and_no_longer, make_files, drop_files),
		cmocka_unit_test_setup_teardown(test_a_fifo_instead_of_a_file_does_not_block, make_files, drop_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
