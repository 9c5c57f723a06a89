#undef NDEBUG
#include <curl/curl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/net/httpd.h"
#include "tests/mock/identity.h"

/* The server runs in this process, libcurl in a child whose exit ends the loop. */

struct fixture {
	struct identity ca, server, client, other_ca, stranger, renewed;
	struct loop *loop;
	struct httpd *httpd;
	struct loop_timer later;
	struct httpd_request *waiting;
	unsigned gone;
};

struct reply {
	char body[200];
	size_t len;
};

static void on_later(struct loop_timer *timer)
{
	struct fixture *fixture = container_of(timer, struct fixture, later);

	httpd_answer(fixture->waiting, 200, "text/plain", NULL, "later", 5);
}

/* To the other CA's; `key` may be a wrong one. */
static void rotate(struct fixture *fixture, struct httpd_request *request, const char *key)
{
	struct error err = { 0 };

	if (httpd_set_certificate(fixture->httpd, fixture->renewed.cert, key, &err) < 0)
		assert_int_equal(err.kind, ERROR_INVALID);
	httpd_answer(request, err.kind == ERROR_NONE ? 200 : 500, "text/plain", NULL, "", 0);
}

static void handle(void *aux, struct httpd_request *request)
{
	struct fixture *fixture = aux;
	const char *name = httpd_client_name(request);

	if (strcmp(httpd_path(request), "/name") == 0) {
		httpd_answer(request, 200, "text/plain", NULL, name ? name : "(none)", strlen(name ? name : "(none)"));
		return;
	}
	if (strcmp(httpd_path(request), "/gone") == 0) {
		char text[32];

		snprintf(text, sizeof text, "%u", fixture->gone);
		httpd_answer(request, 200, "text/plain", NULL, text, strlen(text));
		return;
	}
	if (strcmp(httpd_path(request), "/rotate") == 0) {
		rotate(fixture, request, fixture->renewed.key);
		return;
	}
	if (strcmp(httpd_path(request), "/rotate-badly") == 0) {
		rotate(fixture, request, fixture->client.key);
		return;
	}
	fixture->waiting = request;
	if (strcmp(httpd_path(request), "/wait") == 0)
		loop_timer_at(&fixture->later, loop_now_ms() + 1);
}

static void gone(void *aux, struct httpd_request *request)
{
	struct fixture *fixture = aux;

	assert_ptr_equal(request, fixture->waiting);
	fixture->gone++;
}

static size_t take(char *bytes, size_t size, size_t n, void *aux)
{
	struct reply *reply = aux;

	(void)size;
	if (n > sizeof reply->body - 1 - reply->len)
		return 0;
	memcpy(reply->body + reply->len, bytes, n);
	reply->len += n;
	reply->body[reply->len] = '\0';
	return n;
}

static void set_pem(CURL *curl, CURLoption option, const char *pem)
{
	struct curl_blob blob = { .data = (void *)(uintptr_t)pem, .len = strlen(pem), .flags = CURL_BLOB_COPY };

	curl_easy_setopt(curl, option, &blob);
}

/* HTTP status; 0 when none came. */
static long ask(CURL *curl, unsigned port, const char *path, struct reply *reply)
{
	char url[100];
	long status = 0;

	*reply = (struct reply){ 0 };
	snprintf(url, sizeof url, "https://localhost:%u%s", port, path);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, reply);
	if (curl_easy_perform(curl) == CURLE_OK)
		curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

static CURL *client_new(const struct fixture *fixture, const struct identity *identity)
{
	CURL *curl = curl_easy_init();

	set_pem(curl, CURLOPT_CAINFO_BLOB, fixture->ca.cert);
	if (identity) {
		set_pem(curl, CURLOPT_SSLCERT_BLOB, identity->cert);
		set_pem(curl, CURLOPT_SSLKEY_BLOB, identity->key);
	}
	return curl;
}

static void child_left(void *aux, int events)
{
	(void)events;
	loop_stop(aux);
}

static void run_client(struct fixture *fixture, bool (*client)(const struct fixture *fixture, unsigned port))
{
	struct httpd_options options = { .listen = "127.0.0.1:0",
					 .cert = fixture->server.cert,
					 .key = fixture->server.key,
					 .client_ca = fixture->ca.cert,
					 .handle = handle,
					 .gone = gone,
					 .aux = fixture };
	struct error err = { 0 };
	int ends[2], status;

	assert_int_equal(loop_new(&fixture->loop, &err), 0);
	loop_timer_init(&fixture->later, fixture->loop, on_later);
	if (httpd_new(&fixture->httpd, fixture->loop, &options, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(pipe(ends), 0);
	fflush(NULL);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(ends[0]);
		alarm(60);
		_exit(client(fixture, httpd_port(fixture->httpd)) ? 0 : 1);
	}
	close(ends[1]);
	struct loop_io *io = loop_io_new(fixture->loop, ends[0], child_left, fixture->loop);
	loop_io_want(io, LOOP_READABLE);
	loop_run(fixture->loop);
	loop_io_free(io);
	close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	httpd_free(fixture->httpd);
	loop_free(fixture->loop);
}

static bool client_without_certificate(const struct fixture *fixture, unsigned port)
{
	CURL *curl = client_new(fixture, NULL);
	struct reply reply;

	return ask(curl, port, "/name", &reply) == 200 && strcmp(reply.body, "(none)") == 0 &&
	       ask(curl, port, "/wait", &reply) == 200 && strcmp(reply.body, "later") == 0;
}

static void test_a_client_needs_no_certificate_and_may_wait(void **state)
{
	run_client(*state, client_without_certificate);
}

static bool client_with_certificate(const struct fixture *fixture, unsigned port)
{
	struct reply reply;

	return ask(client_new(fixture, &fixture->client), port, "/name", &reply) == 200 &&
	       strcmp(reply.body, "CN=somebody") == 0;
}

static void test_a_verified_client_is_known_by_its_subject(void **state)
{
	run_client(*state, client_with_certificate);
}

static bool client_of_another_ca(const struct fixture *fixture, unsigned port)
{
	struct reply reply;

	return ask(client_new(fixture, &fixture->stranger), port, "/name", &reply) == 401;
}

static void test_a_certificate_of_another_ca_is_refused(void **state)
{
	run_client(*state, client_of_another_ca);
}

static bool client_of_old_tls(const struct fixture *fixture, unsigned port)
{
	CURL *curl = client_new(fixture, NULL);
	struct reply reply;

	curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1 | CURL_SSLVERSION_MAX_TLSv1_1);
	curl_easy_setopt(curl, CURLOPT_SSL_CIPHER_LIST, "ALL:@SECLEVEL=0");
	if (ask(curl, port, "/name", &reply) != 0)
		return false;
	curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2 | CURL_SSLVERSION_MAX_TLSv1_2);
	return ask(curl, port, "/name", &reply) == 200;
}

static void test_tls_before_1_2_is_refused(void **state)
{
	run_client(*state, client_of_old_tls);
}

static bool client_that_leaves(const struct fixture *fixture, unsigned port)
{
	CURL *curl = client_new(fixture, NULL), *other = client_new(fixture, NULL);
	struct reply reply;

	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 300L);
	if (ask(curl, port, "/keep", &reply) != 0)
		return false;
	do
		if (ask(other, port, "/gone", &reply) != 200)
			return false;
	while (strcmp(reply.body, "1") != 0);
	return true;
}

static void test_a_client_that_leaves_is_noticed(void **state)
{
	run_client(*state, client_that_leaves);
}

static CURL *client_of_the_other_ca(const struct fixture *fixture, const struct identity *identity)
{
	CURL *curl = client_new(fixture, identity);

	set_pem(curl, CURLOPT_CAINFO_BLOB, fixture->other_ca.cert);
	return curl;
}

static long new_connections(CURL *curl)
{
	long n = -1;

	curl_easy_getinfo(curl, CURLINFO_NUM_CONNECTS, &n);
	return n;
}

static bool client_of_a_rotation(const struct fixture *fixture, unsigned port)
{
	CURL *old = client_new(fixture, NULL);
	struct reply reply;

	/* What is wrong changes nothing. */
	if (ask(old, port, "/name", &reply) != 200 || ask(old, port, "/rotate-badly", &reply) != 500 ||
	    ask(client_new(fixture, NULL), port, "/name", &reply) != 200 ||
	    ask(client_of_the_other_ca(fixture, NULL), port, "/name", &reply) != 0)
		return false;
	/* The connection on which it happens goes on, and others get the new certificate. */
	if (ask(old, port, "/rotate", &reply) != 200 || ask(old, port, "/wait", &reply) != 200 ||
	    new_connections(old) != 0 || ask(client_new(fixture, NULL), port, "/name", &reply) != 0)
		return false;
	/* Clients are verified as before. */
	return ask(client_of_the_other_ca(fixture, &fixture->client), port, "/name", &reply) == 200 &&
	       strcmp(reply.body, "CN=somebody") == 0 &&
	       ask(client_of_the_other_ca(fixture, &fixture->stranger), port, "/name", &reply) == 401;
}

static void test_a_new_certificate_is_for_new_connections_and_old_ones_go_on(void **state)
{
	run_client(*state, client_of_a_rotation);
}

static void test_what_is_no_certificate_or_not_its_key_is_an_error(void **state)
{
	struct fixture *fixture = *state;
	struct httpd_options options = { .listen = "127.0.0.1:0", .handle = handle };
	struct httpd *httpd;
	struct loop *loop;
	struct error err = { 0 };

	assert_int_equal(loop_new(&loop, &err), 0);
	options.cert = "nonsense";
	options.key = fixture->server.key;
	assert_int_equal(httpd_new(&httpd, loop, &options, &err), -1);
	assert_int_equal(err.kind, ERROR_INVALID);
	options.cert = fixture->server.cert;
	options.key = fixture->client.key;
	assert_int_equal(httpd_new(&httpd, loop, &options, &err), -1);
	assert_int_equal(err.kind, ERROR_INVALID);
	options.key = fixture->server.key;
	options.client_ca = "-----BEGIN CERTIFICATE-----\nx\n";
	assert_int_equal(httpd_new(&httpd, loop, &options, &err), -1);
	assert_int_equal(err.kind, ERROR_INVALID);
	loop_free(loop);
}

static int setup(void **state)
{
	struct fixture *fixture = mem_alloc(sizeof *fixture);
	struct error err = { 0 };

	*state = fixture;
	return identity_new_ca(&fixture->ca, "test CA", &err) < 0 ||
			       identity_issue(&fixture->server, &fixture->ca, "server", "DNS:localhost", &err) < 0 ||
			       identity_issue(&fixture->client, &fixture->ca, "somebody", NULL, &err) < 0 ||
			       identity_new_ca(&fixture->other_ca, "other CA", &err) < 0 ||
			       identity_issue(&fixture->stranger, &fixture->other_ca, "somebody", NULL, &err) < 0 ||
			       identity_issue(&fixture->renewed, &fixture->other_ca, "server", "DNS:localhost", &err) <
				       0
		       ? -1
		       : 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	identity_free(&fixture->ca);
	identity_free(&fixture->server);
	identity_free(&fixture->client);
	identity_free(&fixture->other_ca);
	identity_free(&fixture->stranger);
	identity_free(&fixture->renewed);
	free(fixture);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_client_needs_no_certificate_and_may_wait),
		cmocka_unit_test(test_a_verified_client_is_known_by_its_subject),
		cmocka_unit_test(test_a_certificate_of_another_ca_is_refused),
		cmocka_unit_test(test_tls_before_1_2_is_refused),
		cmocka_unit_test(test_a_client_that_leaves_is_noticed),
		cmocka_unit_test(test_a_new_certificate_is_for_new_connections_and_old_ones_go_on),
		cmocka_unit_test(test_what_is_no_certificate_or_not_its_key_is_an_error),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
