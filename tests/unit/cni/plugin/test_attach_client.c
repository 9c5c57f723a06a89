#undef NDEBUG
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/cni/plugin/asking.h"

/* --- good answers --- */

static void test_the_question_goes_out_and_the_answer_comes_in(void **state)
{
	(void)state;
	asking_serve(serve_given);
	asked();
	assert_string_equal(answer.pkey, "0x5");
	assert_int_equal(answer.n_memberships, 1);
	const char *request = server.seen->request;
	assert_memory_equal(request, "POST /v1/attach HTTP/1.1\r\n", 26);
	assert_non_null(strstr(request, "\r\nHost: ufmsync.kube-system.svc\r\n"));
	assert_non_null(strstr(request, "\r\nAuthorization: Bearer " ASKING_TOKEN "\r\n"));
	assert_non_null(strstr(request, "\r\nContent-Type: application/json\r\n"));
	assert_non_null(strstr(request, "\"interface\":\"net1\""));
	assert_string_equal(server.seen->server_name, "ufmsync.kube-system.svc");
	assert_string_equal(server.seen->tls_version, "TLSv1.3");
}

static void test_tls_1_2_is_good_enough(void **state)
{
	(void)state;
	asking_serve_with(&(struct raw_server_options){
		.serve = serve_given, .tls = &asking_good_cert, .tls_max = TLS1_2_VERSION });
	asked();
	assert_string_equal(server.seen->tls_version, "TLSv1.2");
}

static void test_a_slow_answer_is_waited_for(void **state)
{
	(void)state;
	asking_serve(serve_released);
	/* Released once the request is here and not before, so the client really waits. */
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (atomic_load(&server.seen->requests) == 0)
			usleep(1000);
		raw_server_release(&server);
		_exit(0);
	}
	asked();
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void serve_in_drops(struct raw_peer *peer)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

	raw_read_request(peer);
	for (const char *p = head; *p; p++)
		raw_write(peer, p, 1);
	for (const char *p = ASKING_GIVEN; *p; p++) {
		char chunk[] = "1\r\n?\r\n";
		chunk[3] = *p;
		raw_text(peer, chunk);
	}
	raw_text(peer, "0\r\n\r\n");
}

static void test_an_answer_in_drops_is_put_together(void **state)
{
	(void)state;
	asking_serve(serve_in_drops);
	asked();
}

/* --- certificates --- */

static void test_a_certificate_of_another_ca_is_refused(void **state)
{
	struct cert other;

	(void)state;
	cert_make(&other, &(struct cert_spec){
				  .common_name = "x", .names = "DNS:ufmsync.kube-system.svc", .issuer = &other_ca });
	asking_serve_with(&(struct raw_server_options){ .serve = serve_given, .tls = &other });
	ask_failed(CNI_SERVICE_BROKEN, "does not verify: unable to get local issuer", "/etc/u/ca.crt");
	assert_int_equal(server.seen->requests, 0);
}

static void test_a_certificate_for_another_name_is_refused(void **state)
{
	(void)state;
	asking_serve(serve_given);
	free(node.server_name);
	node.server_name = mem_dup("other.kube-system.svc");
	ask_failed(CNI_SERVICE_BROKEN, "hostname mismatch", "valid for other.kube-system.svc");
	assert_int_equal(server.seen->requests, 0);
}

static void test_a_common_name_alone_names_nothing_beside_others(void **state)
{
	(void)state;
	asking_serve(serve_given);
	free(node.server_name);
	node.server_name = mem_dup("x");
	ask_failed(CNI_SERVICE_BROKEN, "hostname mismatch", "");
}

static void test_a_certificate_for_an_address_is_accepted_for_it_alone(void **state)
{
	struct cert for_address;

	(void)state;
	cert_make(&for_address, &(struct cert_spec){ .common_name = "x", .names = "IP:10.96.7.20", .issuer = &ca });
	asking_serve_with(&(struct raw_server_options){ .serve = serve_given, .tls = &for_address });
	free(node.server_name);
	node.server_name = mem_dup("10.96.7.20");
	asked();
	assert_string_equal(server.seen->server_name, "");
	attach_answer_free(&answer);
	free(node.server_name);
	node.server_name = mem_dup("127.0.0.1");
	ask_failed(CNI_SERVICE_BROKEN, "IP address mismatch", "valid for 127.0.0.1");
	assert_int_equal(server.seen->requests, 1);
}

/* As `openssl req -x509` makes one. */
static void test_a_certificate_signed_by_itself_may_be_its_own_ca(void **state)
{
	struct cert own;

	(void)state;
	cert_make(&own, &(struct cert_spec){ .common_name = "x", .names = "DNS:ufmsync.kube-system.svc" });
	asking_serve_with(&(struct raw_server_options){ .serve = serve_given, .tls = &own });
	ask_failed(CNI_SERVICE_BROKEN, "does not verify: self", "/etc/u/ca.crt");
	free(node.ca);
	node.ca = mem_dup(own.cert);
	asked();
}

static void test_an_expired_certificate_is_refused(void **state)
{
	struct cert old;

	(void)state;
	cert_make(&old, &(struct cert_spec){ .common_name = "x",
					     .names = "DNS:ufmsync.kube-system.svc",
					     .issuer = &ca,
					     .from_days = -9,
					     .to_days = -1 });
	asking_serve_with(&(struct raw_server_options){ .serve = serve_given, .tls = &old });
	ask_failed(CNI_SERVICE_BROKEN, "has expired", "expired");
}

static void test_a_ca_file_with_no_certificate_inside_is_the_installers(void **state)
{
	(void)state;
	free(node.ca);
	node.ca = mem_dup("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
	ask_failed(CNI_NODE_FILE, "/etc/u/ca.crt holds no certificate", "node installer");
}

static void test_each_certificate_of_the_ca_file_is_trusted(void **state)
{
	(void)state;
	asking_serve(serve_given);
	free(node.ca);
	node.ca = mem_printf("%s\nwords between them\n%s", other_ca.cert, ca.cert);
	asked();
}

static void test_a_server_of_tls_1_1_is_refused(void **state)
{
	(void)state;
	asking_serve_with(&(struct raw_server_options){
		.serve = serve_given, .tls = &asking_good_cert, .tls_max = TLS1_1_VERSION });
	ask_failed(CNI_SERVICE_BROKEN, "does not speak TLS 1.2 or newer", "https port");
	assert_int_equal(server.seen->requests, 0);
}

/* --- what is no such server --- */

static void serve_garbage(struct raw_peer *peer)
{
	raw_text(peer, "220 mail.example ESMTP\r\n");
	raw_hang(peer);
}

static void test_plain_text_instead_of_tls_is_refused(void **state)
{
	(void)state;
	asking_serve_with(&(struct raw_server_options){ .serve = serve_garbage });
	ask_failed(CNI_SERVICE_BROKEN, "does not speak TLS", "https port");
}

static void test_something_else_than_http_is_refused(void **state)
{
	(void)state;
	asking_serve(serve_garbage);
	ask_failed(CNI_SERVICE_BROKEN, "does not begin with HTTP/1.1", "https port");
}

static void serve_oversized(struct raw_peer *peer)
{
	raw_read_request(peer);
	raw_text(peer, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
	for (;;)
		raw_text(peer, "8\r\n01234567\r\n");
}

static void test_an_endless_answer_is_refused(void **state)
{
	(void)state;
	asking_serve(serve_oversized);
	ask_failed(CNI_SERVICE_BROKEN, "KiB", "");
}

static void serve_no_json(struct raw_peer *peer)
{
	raw_read_request(peer);
	raw_answer(peer, 200, "<html>");
}

static void test_a_200_without_json_is_refused(void **state)
{
	(void)state;
	asking_serve(serve_no_json);
	ask_failed(CNI_SERVICE_BROKEN, "not as agreed", "releases");
}

/* --- statuses and decisions --- */

static void serve_status(struct raw_peer *peer)
{
	static const char *const heads[] = {
		"401 X", "403 X", "413 X", "429 X", "503 X", "404 X", "302 X\r\nLocation: /"
	};

	raw_read_request(peer);
	raw_text(peer, "HTTP/1.1 ");
	raw_text(peer, heads[peer->number - 1]);
	raw_text(peer, "\r\nContent-Length: 38\r\n\r\n{\"error\":{\"code\":\"Why\",\"message\":\"x\"}}");
}

static void test_each_status_is_told_with_what_the_service_says(void **state)
{
	(void)state;
	asking_serve(serve_status);
	ask_failed(CNI_SERVICE_DENIED, "HTTP 401): Why: x", "/etc/u/token");
	ask_failed(CNI_SERVICE_DENIED, "HTTP 403): Why: x", "UFMSYNC_ATTACH_SERVICE_ACCOUNTS");
	ask_failed(CNI_SERVICE_BROKEN, "HTTP 413: Why: x", "");
	ask_failed(CNI_TRY_AGAIN, "HTTP 429): Why: x", "");
	ask_failed(CNI_TRY_AGAIN, "HTTP 503): Why: x", "");
	ask_failed(CNI_SERVICE_BROKEN, "HTTP 404: Why: x", "");
	ask_failed(CNI_SERVICE_BROKEN, "HTTP 302: Why: x", "");
	assert_int_equal(server.seen->connections, 7);
}

static void serve_decision(struct raw_peer *peer)
{
	raw_read_request(peer);
	raw_answer(peer, 200,
		   peer->number == 1 ? "{\"error\":{\"code\":\"BadPKey\",\"message\":\"x\",\"retry\":false}}"
				     : "{\"error\":{\"code\":\"NotMember\",\"message\":\"y\",\"retry\":true}}");
}

static void test_a_decision_ends_it_at_once(void **state)
{
	(void)state;
	asking_serve(serve_decision);
	ask_failed(CNI_REFUSED, "BadPKey: x", "");
	ask_failed(CNI_TRY_AGAIN, "NotMember: y", "");
	assert_int_equal(server.seen->connections, 2);
}

/* --- the probe --- */

static void serve_ready(struct raw_peer *peer)
{
	raw_read_request(peer);
	raw_answer(peer, peer->number < 3 ? 200 : 401,
		   peer->number == 1 ? "{\"ready\":true,\"leader\":\"a\",\"message\":\"\"}"
				     : "{\"ready\":false,\"leader\":\"\",\"message\":\"nobody leads\"}");
}

static void test_the_probe_tells_whether_the_service_is_ready(void **state)
{
	(void)state;
	asking_serve(serve_ready);
	assert_int_equal(attach_probe(&node, &err), 0);
	assert_memory_equal(server.seen->request, "GET /v1/attach HTTP/1.1\r\n", 25);
	assert_non_null(strstr(server.seen->request, "\r\nAuthorization: Bearer " ASKING_TOKEN "\r\n"));
	assert_int_equal(attach_probe(&node, &err), -1);
	assert_int_equal(err.code, CNI_STATUS_UNAVAILABLE);
	assert_non_null(strstr(err.message, "nobody leads"));
	assert_int_equal(attach_probe(&node, &err), -1);
	assert_int_equal(err.code, CNI_STATUS_UNAVAILABLE);
	assert_non_null(strstr(err.message, "HTTP 401"));
}

static void test_a_probe_of_nobody_fails(void **state)
{
	int port, fd = asking_refusing_port(&port);

	(void)state;
	asking_use_port(port);
	node.connect_timeout_ms = ASKING_SHORT_MS;
	assert_int_equal(attach_probe(&node, &err), -1);
	assert_int_equal(err.code, CNI_STATUS_UNAVAILABLE);
	assert_non_null(strstr(err.message, "refused"));
	close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, asking_setup, asking_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_the_question_goes_out_and_the_answer_comes_in),
		TEST(test_tls_1_2_is_good_enough),
		TEST(test_a_slow_answer_is_waited_for),
		TEST(test_an_answer_in_drops_is_put_together),
		TEST(test_a_certificate_of_another_ca_is_refused),
		TEST(test_a_certificate_for_another_name_is_refused),
		TEST(test_a_common_name_alone_names_nothing_beside_others),
		TEST(test_a_certificate_for_an_address_is_accepted_for_it_alone),
		TEST(test_a_certificate_signed_by_itself_may_be_its_own_ca),
		TEST(test_an_expired_certificate_is_refused),
		TEST(test_a_ca_file_with_no_certificate_inside_is_the_installers),
		TEST(test_each_certificate_of_the_ca_file_is_trusted),
		TEST(test_a_server_of_tls_1_1_is_refused),
		TEST(test_plain_text_instead_of_tls_is_refused),
		TEST(test_something_else_than_http_is_refused),
		TEST(test_an_endless_answer_is_refused),
		TEST(test_a_200_without_json_is_refused),
		TEST(test_each_status_is_told_with_what_the_service_says),
		TEST(test_a_decision_ends_it_at_once),
		TEST(test_the_probe_tells_whether_the_service_is_ready),
		TEST(test_a_probe_of_nobody_fails),
	};

	return cmocka_run_group_tests(tests, asking_make_certs, NULL);
}
