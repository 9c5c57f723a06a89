#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/mock/identity.h"
#include "tests/unit/pkey/scripted_ufm.h"

/* --- Credentials ------------------------------------------------------------------------------------------------- */

static void renew(int expected)
{
	struct error err;
	secrets_free(secrets);
	secrets = load();
	assert_int_equal(ufm_set_secrets(ufm, secrets, &err), expected);
	if (expected < 0)
		assert_int_equal(err.kind, ERROR_INVALID);
}

static void test_new_credentials_are_used_from_the_next_request_on(void **state)
{
	(void)state;
	connect_ufm();
	environment[1][1] = "other";
	renew(0);
	will_answer(200, "");
	assert_join("none;");
	assert_string_equal(last_authorization, "Basic YWRtaW46b3RoZXI=");
	environment[1][1] = "";
	renew(-1);
	environment[0][1] = "a:b";
	environment[1][1] = "x";
	renew(-1);
	will_answer(200, "");
	assert_join("none;");
	assert_string_equal(last_authorization, "Basic YWRtaW46b3RoZXI=");
}

static void test_a_token_stands_raw_behind_basic_and_has_its_own_prefix(void **state)
{
	(void)state;
	environment[2][0] = "UFM_TOKEN";
	environment[2][1] = "pQ9-token_.x";
	options.auth = UFM_AUTH_TOKEN;
	secrets_free(secrets);
	secrets = load();
	connect_ufm();
	will_answer(200, VERSION);
	assert_probe("none;");
	assert_string_equal(last_authorization, "Basic pQ9-token_.x");
	assert_asked("GET /ufmRestV3/app/ufm_version \n");
	environment[2][1] = "line\r\nX-Injected: 1";
	renew(-1);
	pkey_backend_free(ufm);
	environment[2][1] = "t";
	secrets_free(secrets);
	secrets = load();
	options.prefix = "/proxy/ufm/";
	connect_ufm();
	will_answer(200, VERSION);
	assert_probe("none;");
	assert_asked("GET /proxy/ufm/app/ufm_version \n");
	pkey_backend_free(ufm);
	options.prefix = "/";
	connect_ufm();
	will_answer(200, VERSION);
	assert_probe("none;");
	assert_asked("GET /app/ufm_version \n");
}

static void test_an_answer_that_repeats_the_credentials_is_not_quoted(void **state)
{
	(void)state;
	connect_ufm();
	for (const char *const *echo =
		     (const char *const[]){ "you sent Authorization: Basic YWRtaW46MTIzNDU2", "bad password 123456",
					    "<html><title>YWRtaW46MTIzNDU2</title>", NULL };
	     *echo; echo++) {
		will_answer(401, *echo);
		assert_join("auth;");
		assert_null(strstr(last.text, "YWRtaW46MTIzNDU2"));
		assert_null(strstr(last.text, "123456"));
	}
	will_answer(302, "");
	script[scripted - 1].header = "Location: https://login.example/?authorization=Basic+YWRtaW46MTIzNDU2";
	assert_join("retry;");
	assert_null(strstr(last.text, "YWRtaW46MTIzNDU2"));
}

static void test_bad_options_are_refused_with_the_setting_named(void **state)
{
	static const struct {
		const char *schema, *address, *prefix, *named;
		unsigned port;
		enum ufm_auth auth;
	} bad[] = {
		{ "ftp", "ufm", NULL, "UFM_HTTP_SCHEMA", 0, UFM_AUTH_BASIC },
		{ "https", "", NULL, "UFM_ADDRESS", 0, UFM_AUTH_BASIC },
		{ "https", "https://ufm", NULL, "UFM_ADDRESS", 0, UFM_AUTH_BASIC },
		{ "https", "ufm:443", NULL, "UFM_ADDRESS", 0, UFM_AUTH_BASIC },
		{ "https", "user@ufm", NULL, "UFM_ADDRESS", 0, UFM_AUTH_BASIC },
		{ "https", "ufm/ufmRest", NULL, "UFM_ADDRESS", 0, UFM_AUTH_BASIC },
		{ "https", "[::1", NULL, "UFM_ADDRESS", 0, UFM_AUTH_BASIC },
		{ "https", "ufm", "ufmRest", "UFM_PREFIX", 0, UFM_AUTH_BASIC },
		{ "https", "ufm", "", "UFM_PREFIX", 0, UFM_AUTH_BASIC },
		{ "https", "ufm", "/a?b", "UFM_PREFIX", 0, UFM_AUTH_BASIC },
		{ "https", "ufm", "/a b", "UFM_PREFIX", 0, UFM_AUTH_BASIC },
		{ "https", "ufm", NULL, "UFM_PORT", 65536, UFM_AUTH_BASIC },
		{ "https", "ufm", NULL, "UFM_TOKEN", 0, UFM_AUTH_TOKEN },
		{ "https", "ufm", NULL, "UFM_CLIENT_CERT", 0, UFM_AUTH_MTLS },
		{ "http", "ufm", NULL, "mtls", 0, UFM_AUTH_MTLS },
	};
	(void)state;
	for (size_t i = 0; i < array_length(bad); i++) {
		struct error err;
		options = (struct ufm_options){ .schema = bad[i].schema,
						.address = bad[i].address,
						.prefix = bad[i].prefix,
						.port = bad[i].port,
						.auth = bad[i].auth,
						.timeout_ms = 1000 };
		if (ufm_new(&ufm, loop, &options, secrets, &err) == 0)
			fail_msg("accepted case %zu", i);
		assert_null(ufm);
		assert_int_equal(err.kind, ERROR_INVALID);
		if (!strstr(err.text, bad[i].named))
			fail_msg("%s", err.text);
	}
	for (const char *const *address =
		     (const char *const[]){ "::1", "[fe80::1]", "ufm-1.example.com", "10.0.0.5", NULL };
	     *address; address++) {
		options = (struct ufm_options){ .schema = "https", .address = *address, .timeout_ms = 1000 };
		connect_ufm();
		pkey_backend_free(ufm);
		ufm = NULL;
	}
}

/* --- TLS --------------------------------------------------------------------------------------------------------- */

static struct identity root, issued, nameless, client, stranger;

static int make_identities(void **state)
{
	struct error err;
	(void)state;
	return identity_new_ca(&root, "site root", &err) < 0 ||
			       identity_issue(&issued, &root, "ufm", "IP:127.0.0.1,DNS:ufm.example", &err) < 0 ||
			       identity_issue(&client, &root, "ufmsync", NULL, &err) < 0 ||
			       identity_new_own(&nameless, "192.0.2.1", NULL, &err) < 0 ||
			       identity_new_own(&stranger, "192.0.2.1", NULL, &err) < 0
		       ? -1
		       : 0;
}

static int drop_identities(void **state)
{
	(void)state;
	for (struct identity **i = (struct identity *[]){ &root, &issued, &nameless, &client, &stranger, NULL }; *i;
	     i++)
		identity_free(*i);
	return 0;
}

static void serve_tls(const struct identity *identity, const char *client_ca)
{
	const struct httpd_options server = { .listen = "127.0.0.1:0",
					      .cert = identity->cert,
					      .key = identity->key,
					      .client_ca = client_ca,
					      .max_connections = 64,
					      .body_max = 1 << 20,
					      .handle = handle };
	struct error err;
	httpd_free(httpd);
	if (httpd_new(&httpd, loop, &server, &err) < 0)
		fail_msg("%s", err.text);
	options.schema = "https";
	options.port = httpd_port(httpd);
}

static void trust(const char *certificate)
{
	environment[2][0] = "UFM_CERTIFICATE";
	environment[2][1] = certificate;
	secrets_free(secrets);
	secrets = load();
	pkey_backend_free(ufm);
	connect_ufm();
}

static void assert_let_in(bool let_in)
{
	if (let_in)
		will_answer(200, VERSION);
	assert_probe(let_in ? "none;" : "auth;");
}

static void test_a_servers_own_certificate_is_pinned_whatever_its_name(void **state)
{
	(void)state;
	serve_tls(&nameless, NULL);
	trust(nameless.cert);
	assert_let_in(true);
	trust(stranger.cert);
	assert_let_in(false);
	trust(root.cert);
	assert_let_in(false);
	trust("");
	assert_let_in(false);
}

static void test_any_other_certificate_is_a_ca_and_the_name_must_match(void **state)
{
	(void)state;
	serve_tls(&issued, NULL);
	trust(root.cert);
	assert_let_in(true);
	trust(nameless.cert);
	assert_let_in(false);
	options.tls_name = "ufm.example";
	trust(root.cert);
	assert_let_in(true);
	options.tls_name = "other.example";
	trust(root.cert);
	assert_let_in(false);
	assert_non_null(strstr(last.text, "other.example"));
	options.insecure = true;
	trust("");
	assert_let_in(true);
}

static void test_a_rotated_certificate_is_taken_up_and_a_bad_one_is_not(void **state)
{
	struct error err;
	(void)state;
	serve_tls(&nameless, NULL);
	trust(stranger.cert);
	assert_let_in(false);
	environment[2][1] = nameless.cert;
	secrets_free(secrets);
	secrets = load();
	assert_int_equal(ufm_set_secrets(ufm, secrets, &err), 0);
	assert_let_in(true);
}

static void test_a_client_certificate_is_shown_where_asked_for(void **state)
{
	struct error err;
	(void)state;
	serve_tls(&issued, root.cert);
	environment[3][0] = "UFM_CLIENT_CERT";
	environment[3][1] = client.cert;
	environment[4][0] = "UFM_CLIENT_KEY";
	environment[4][1] = client.key;
	options.auth = UFM_AUTH_MTLS;
	trust(root.cert);
	assert_let_in(true);
	assert_string_equal(last_client, "CN=ufmsync");
	assert_string_equal(last_authorization, "");
	assert_asked(PROBE_ASKED);
	environment[4][1] = issued.key;
	secrets_free(secrets);
	secrets = load();
	assert_int_equal(ufm_set_secrets(ufm, secrets, &err), -1);
	assert_int_equal(err.kind, ERROR_INVALID);
	assert_let_in(true);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, gone)
	static const struct CMUnitTest tests[] = {
		TEST(test_new_credentials_are_used_from_the_next_request_on),
		TEST(test_a_token_stands_raw_behind_basic_and_has_its_own_prefix),
		TEST(test_an_answer_that_repeats_the_credentials_is_not_quoted),
		TEST(test_bad_options_are_refused_with_the_setting_named),
		TEST(test_a_servers_own_certificate_is_pinned_whatever_its_name),
		TEST(test_any_other_certificate_is_a_ca_and_the_name_must_match),
		TEST(test_a_rotated_certificate_is_taken_up_and_a_bad_one_is_not),
		TEST(test_a_client_certificate_is_shown_where_asked_for),
	};
#undef TEST
	return cmocka_run_group_tests_name("ufm_access", tests, make_identities, drop_identities);
}
