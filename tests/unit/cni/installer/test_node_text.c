#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/mem.h"
#include "cni/installer/node_text.h"
#include "cni/plugin/node_file.h"

static void test_everything_that_was_said_is_in_the_text(void **state)
{
	(void)state;
	char *text = node_text(&(struct node_text){ .address = "10.96.7.20",
						    .port = "8443",
						    .server_name = "ufmsync.kube-system.svc",
						    .node = "gpu-17",
						    .log = "/var/log/\"ufmsync\".log",
						    .timeout = "70s",
						    .connect_timeout = "10s" });
	assert_string_equal(text, "{\n\t\"server\": \"10.96.7.20:8443\",\n"
				  "\t\"serverName\": \"ufmsync.kube-system.svc\",\n"
				  "\t\"ca\": \"ca.crt\",\n"
				  "\t\"token\": \"token\",\n"
				  "\t\"node\": \"gpu-17\",\n"
				  "\t\"timeout\": \"70s\",\n"
				  "\t\"connectTimeout\": \"10s\",\n"
				  "\t\"log\": \"/var/log/\\\"ufmsync\\\".log\"\n}\n");
	free(text);
}

static void test_what_was_not_said_is_left_out_and_ipv6_has_brackets(void **state)
{
	struct error err;
	(void)state;
	char *text = node_text(&(struct node_text){ .address = "fd00::1", .port = "8443", .server_name = "x" });
	json_t *json = json_parse(text, strlen(text), &err);
	assert_string_equal(json_str(json, "server", NULL), "[fd00::1]:8443");
	assert_int_equal(json_object_size(json), 4);
	json_decref(json);
	free(text);
}

static void test_the_plugin_reads_what_was_said(void **state)
{
	struct node_file file;
	struct cni_error err;
	(void)state;
	char *text = node_text(&(struct node_text){ .address = "fd00::1",
						    .port = "8443",
						    .server_name = "ufmsync.kube-system.svc",
						    .node = "gpu-17",
						    .log = "/var/log/ufmsync.log",
						    .timeout = "100ms",
						    .connect_timeout = "10m" });
	if (node_file_parse(&file, NODE_FILE_DEFAULT, text, strlen(text), &err) < 0)
		fail_msg("%s", err.message);
	assert_string_equal(file.address, "fd00::1");
	assert_string_equal(file.port, "8443");
	assert_string_equal(file.server_name, "ufmsync.kube-system.svc");
	assert_string_equal(file.ca_path, "/etc/cni/net.d/ufmsync.d/ca.crt");
	assert_string_equal(file.token_path, "/etc/cni/net.d/ufmsync.d/token");
	assert_string_equal(file.node, "gpu-17");
	assert_string_equal(file.log, "/var/log/ufmsync.log");
	assert_int_equal(file.timeout_ms, 100);
	assert_int_equal(file.connect_timeout_ms, 600000);
	node_file_free(&file);
	free(text);
	text = node_text(&(struct node_text){ .address = "192.0.2.1", .port = "1", .server_name = "192.0.2.1" });
	if (node_file_parse(&file, NODE_FILE_DEFAULT, text, strlen(text), &err) < 0)
		fail_msg("%s", err.message);
	node_file_free(&file);
	free(text);
}

static void address_of(const char *text, const char *wanted)
{
	char *address = node_text_address(text, strlen(text), "svc");
	if (wanted)
		assert_string_equal(address, wanted);
	else
		assert_null(address);
	free(address);
}

static void test_the_address_of_the_same_service_is_found_again(void **state)
{
	(void)state;
	address_of("{\"server\":\"10.0.0.1:8443\",\"serverName\":\"svc\"}", "10.0.0.1");
	address_of("{\"server\":\"[fd00::1]:8443\",\"serverName\":\"svc\"}", "fd00::1");
	address_of("{\"server\":\"10.0.0.1:8443\",\"serverName\":\"other\"}", NULL);
	address_of("{\"server\":\"name:8443\",\"serverName\":\"svc\"}", NULL);
	address_of("{\"server\":\"10.0.0.1\",\"serverName\":\"svc\"}", NULL);
	address_of("{\"server\":1,\"serverName\":\"svc\"}", NULL);
	address_of("{\"server\":\"10.0.0.1:8443\"", NULL);
	address_of("", NULL);
}

static void test_the_present_address_stays_while_it_is_an_answer(void **state)
{
	const char *const answers[] = { "10.0.0.1", "10.0.0.2" };
	(void)state;
	assert_string_equal(node_text_choose("10.0.0.2", answers, 2), "10.0.0.2");
	assert_string_equal(node_text_choose("10.0.0.3", answers, 2), "10.0.0.1");
	assert_string_equal(node_text_choose(NULL, answers, 2), "10.0.0.1");
	assert_null(node_text_choose("10.0.0.2", answers, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_everything_that_was_said_is_in_the_text),
		cmocka_unit_test(test_what_was_not_said_is_left_out_and_ipv6_has_brackets),
		cmocka_unit_test(test_the_plugin_reads_what_was_said),
		cmocka_unit_test(test_the_address_of_the_same_service_is_found_again),
		cmocka_unit_test(test_the_present_address_stays_while_it_is_an_answer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
