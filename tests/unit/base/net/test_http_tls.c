#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/unit/base/net/exchange.h"
#include "tests/unit/base/net/raw_server.h"

static struct cert ca, other_ca;

static int make_cas(void **state)
{
	(void)state;
	cert_make(&ca, &(struct cert_spec){ .common_name = "Test CA", .is_ca = true });
	cert_make(&other_ca, &(struct cert_spec){ .common_name = "Other CA", .is_ca = true });
	return 0;
}

static void serve_tls(const struct cert *cert)
{
	raw_server_start(&exchange_server, &(struct raw_server_options){ .serve = raw_serve_hello, .tls = cert });
}

static void trust(const struct http_tls *tls)
{
	struct error err = { 0 };

	if (http_set_tls(exchange_http, tls, &err) < 0)
		fail_msg("%s", err.text);
}

static void get_hello(const char *host)
{
	struct exchange x = { 0 };
	char *base = mem_printf("https://%s:%d", host, exchange_server.port);

	exchange_get(&x, base, "/");
	exchange_wait();
	exchange_assert_answered(&x, 200, "hello");
	exchange_free(&x);
	free(base);
}

static void get_refused(const char *host, const char *words)
{
	struct exchange x = { 0 };
	char *base = mem_printf("https://%s:%d", host, exchange_server.port);

	exchange_get(&x, base, "/");
	exchange_wait();
	exchange_assert_failed(&x, ERROR_AUTH, words);
	assert_int_equal(x.outcome, CALL_UNTRUSTED);
	assert_false(x.sent);
	assert_non_null(strstr(x.error.text, host));
	assert_int_equal(exchange_server.seen->requests, 0);
	exchange_free(&x);
	free(base);
}

/* ---- the server's certificate ---- */

static void test_a_certificate_of_the_ca_for_the_address_is_trusted(void **state)
{
	struct cert cert;

	(void)state;
	cert_make(&cert,
		  &(struct cert_spec){ .common_name = "ufm", .names = "DNS:localhost,IP:127.0.0.1", .issuer = &ca });
	serve_tls(&cert);
	trust(&(struct http_tls){ .ca = ca.cert });
	get_hello("127.0.0.1");
	get_hello("localhost");
	assert_string_equal(exchange_server.seen->server_name, "localhost");
}

static void test_a_certificate_of_another_ca_is_refused(void **state)
{
	struct cert cert;

	(void)state;
	cert_make(&cert, &(struct cert_spec){ .common_name = "ufm", .names = "IP:127.0.0.1", .issuer = &ca });
	serve_tls(&cert);
	trust(&(struct http_tls){ .ca = other_ca.cert });
	get_refused("127.0.0.1", "unknown authority (/CN=Test CA)");
}

static void test_the_system_does_not_know_our_ca(void **state)
{
	struct cert cert;

	(void)state;
	cert_make(&cert, &(struct cert_spec){ .common_name = "ufm", .names = "IP:127.0.0.1", .issuer = &ca });
	serve_tls(&cert);
	get_refused("127.0.0.1", "unknown authority"); /* as the client was made */
	trust(&(struct http_tls){ 0 });
	get_refused("127.0.0.1", "unknown authority");
}

static void test_one_ca_of_a_bundle_suffices(void **state)
{
	struct cert cert;
	char bundle[sizeof ca.cert * 2 + 16];

	(void)state;
	cert_make(&cert, &(struct cert_spec){ .common_name = "ufm", .names = "IP:127.0.0.1", .issuer = &ca });
	snprintf(bundle, sizeof bundle, "# ours\n%s\n%s", other_ca.cert, ca.cert);
	serve_tls(&cert);
	trust(&(struct http_tls){ .ca = bundle });
	get_hello("127.0.0.1");
}

static void test_a_certificate_for_other_names_is_refused_and_the_names_are_told(void **state)
{
	struct cert cert;

	(void)state;
	cert_make(&cert,
		  &(struct cert_spec){ .common_name = "ufm", .names = "DNS:ufm.example,IP:192.0.2.7", .issuer = &ca });
	serve_tls(&cert);
	trust(&(struct http_tls){ .ca = ca.cert });
	get_refused("127.0.0.1", "is for ufm.example, 192.0.2.7 and not for 127.0.0.1");
	get_refused("localhost", "is for ufm.example, 192.0.2.7 and not for localhost");
}

static void test_a_common_name_does_not_stand_for_an_address(void **state)
{
	struct cert cert;

	(void)state;
	cert_make(&cert, &(struct cert_spec){ .common_name = "127.0.0.1" });
	serve_tls(&cert);
	trust(&(struct http_tls){ .ca = cert.cert });
	get_refused("127.0.0.1", "only a common name");
}

static void test_another_name_may_be_expected_and_is_asked_for(void **state)
{
	struct cert cert;

	(void)state;
	cert_make(&cert, &(struct cert_spec){ .common_name = "x", .names = "DNS:ufm.example", .issuer = &ca });
	serve_tls(&cert);
	trust(&(struct http_tls){ .ca = ca.cert, .name = "ufm.example" });
	get_hello("127.0.0.1");
	assert_string_equal(exchange_server.seen->server_name, "ufm.example");
	assert_non_null(strstr(exchange_server.seen->request, "\r\nHost: 127.0.0.1:"));
	get_hello("localhost");
	assert_string_equal(exchange_server.seen->server_name, "ufm.example");
}

static void test_the_expected_name_counts_and_the_address_no_more(void **state)
{
	struct cert cert;

	(void)state;
	cert_make(&cert, &(struct cert_spec){ .common_name = "x", .names = "IP:127.0.0.1", .issuer = &ca });
	serve_tls(&cert);
	trust(&(struct http_tls){ .ca = ca.cert, .name = "ufm.example" });
	get_refused("127.0.0.1", "is for 127.0.0.1 and not for ufm.example");
}

static void test_an_address_may_be_expected_instead_of_a_name(void **state)
{
	struct cert cert;

	(void)state;
	cert_make(&cert,
		  &(struct cert_spec){ .common_name = "x", .names = "IP:192.0.2.9,IP:2001:db8::9", .issuer = &ca });
	serve_tls(&cert);
	trust(&(struct http_tls){ .ca = ca.cert, .name = "192.0.2.9" });
	get_hello("localhost");
	assert_string_equal(exchange_server.seen->server_name, ""); /* an address is never asked for */
	trust(&(struct http_tls){ .ca = ca.cert, .name = "2001:db8:0::9" });
	get_hello("127.0.0.1");
}

static void test_an_unexpected_address_is_refused_and_explained(void **state)
{
	struct cert cert;

	(void)state;
	cert_make(&cert, &(struct cert_spec){ .common_name = "x", .names = "IP:192.0.2.9", .issuer = &ca });
	serve_tls(&cert);
	trust(&(struct http_tls){ .ca = ca.cert, .name = "2001:db8:0::8" });
	get_refused("127.0.0.1", "is for 192.0.2.9 and not for 2001:db8:");
}

static void test_an_expired_certificate_is_refused_with_its_date(void **state)
{
	struct cert cert;

	(void)state;
	cert_make(
		&cert,
		&(struct cert_spec){
			.common_name = "x", .names = "IP:127.0.0.1", .issuer = &ca, .from_days = -20, .to_days = -10 });
	serve_tls(&cert);
	trust(&(struct http_tls){ .ca = ca.cert });
	get_refused("127.0.0.1", "expired on 20");
}

static void test_a_certificate_of_the_future_is_refused(void **state)
{
	struct cert cert;

	(void)state;
	cert_make(&cert,
		  &(struct cert_spec){
			  .common_name = "x", .names = "IP:127.0.0.1", .issuer = &ca, .from_days = 5, .to_days = 9 });
	serve_tls(&cert);
	trust(&(struct http_tls){ .ca = ca.cert });
	get_refused("127.0.0.1", "valid only from 20");
}

static void test_insecure_trusts_anybody(void **state)
{
	struct cert cert;

	(void)state;
	cert_make(&cert, &(struct cert_spec){ .common_name = "x", .from_days = -20, .to_days = -10 });
	serve_tls(&cert);
	trust(&(struct http_tls){ .insecure = true });
	get_hello("127.0.0.1");
}

/* ---- a pinned certificate ---- */

static void test_a_pinned_certificate_with_only_a_common_name_is_trusted_at_an_address(void **state)
{
	struct cert cert;

	(void)state;
	cert_make(&cert, &(struct cert_spec){ .common_name = "ufm.example" });
	serve_tls(&cert);
	trust(&(struct http_tls){ .pin = cert.cert });
	get_hello("127.0.0.1");
	get_hello("localhost");
}

static void test_any_other_certificate_than_the_pinned_one_is_refused(void **state)
{
	struct cert pinned, twin;

	(void)state;
	cert_make(&pinned, &(struct cert_spec){ .common_name = "ufm", .names = "IP:127.0.0.1" });
	/* The same key, name and times: only the serial number differs. */
	cert_make(&twin, &(struct cert_spec){ .common_name = "ufm", .names = "IP:127.0.0.1", .key_of = &pinned });
	serve_tls(&twin);
	trust(&(struct http_tls){ .pin = pinned.cert });
	get_refused("127.0.0.1", "another certificate than the pinned one: /CN=ufm (SHA-256 ");
}

static void test_with_a_pin_and_a_ca_either_suffices(void **state)
{
	struct cert own, issued;

	(void)state;
	cert_make(&own, &(struct cert_spec){ .common_name = "ufm" });
	cert_make(&issued, &(struct cert_spec){ .common_name = "ufm", .names = "IP:127.0.0.1", .issuer = &ca });
	trust(&(struct http_tls){ .pin = own.cert, .ca = ca.cert });
	serve_tls(&own);
	get_hello("127.0.0.1");
	raw_server_stop(&exchange_server);
	serve_tls(&issued);
	get_hello("127.0.0.1");
}

static void test_with_a_pin_and_a_ca_what_is_neither_is_refused(void **state)
{
	struct cert own, foreign, misnamed;

	(void)state;
	cert_make(&own, &(struct cert_spec){ .common_name = "ufm" });
	cert_make(&foreign, &(struct cert_spec){ .common_name = "ufm", .names = "IP:127.0.0.1", .issuer = &other_ca });
	cert_make(&misnamed, &(struct cert_spec){ .common_name = "ufm", .names = "IP:192.0.2.1", .issuer = &ca });
	trust(&(struct http_tls){ .pin = own.cert, .ca = ca.cert });
	serve_tls(&foreign);
	get_refused("127.0.0.1", "neither the given certificate nor one that verifies by it");
	raw_server_stop(&exchange_server);
	serve_tls(&misnamed);
	get_refused("127.0.0.1", "is for 192.0.2.1 and not for 127.0.0.1");
}

static void test_a_pinned_certificate_is_trusted_beyond_its_dates(void **state)
{
	struct cert cert;

	(void)state;
	cert_make(&cert, &(struct cert_spec){ .common_name = "x", .from_days = -20, .to_days = -10 });
	serve_tls(&cert);
	trust(&(struct http_tls){ .pin = cert.cert });
	get_hello("127.0.0.1");
}

static void test_pinning_a_ca_does_not_trust_what_it_signed(void **state)
{
	struct cert cert;

	(void)state;
	cert_make(&cert, &(struct cert_spec){ .common_name = "x", .names = "IP:127.0.0.1", .issuer = &ca });
	serve_tls(&cert);
	trust(&(struct http_tls){ .pin = ca.cert });
	get_refused("127.0.0.1", "another certificate than the pinned one");
}

/* ---- failures that are no certificate's ---- */

static void test_a_server_without_tls_is_named_as_such(void **state)
{
	struct exchange x = { 0 };
	char *base;

	(void)state;
	raw_server_start(&exchange_server, &(struct raw_server_options){ .serve = raw_serve_hello });
	base = mem_printf("https://127.0.0.1:%d", exchange_server.port);
	exchange_get(&x, base, "/");
	exchange_wait();
	/* It waits for the rest of a request that never comes, or answers with something that is no TLS. */
	assert_true(x.failed && !x.sent);
	exchange_free(&x);
	free(base);
}

#define promise(test) cmocka_unit_test_setup_teardown(test, exchange_setup, exchange_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		promise(test_a_certificate_of_the_ca_for_the_address_is_trusted),
		promise(test_a_certificate_of_another_ca_is_refused),
		promise(test_the_system_does_not_know_our_ca),
		promise(test_one_ca_of_a_bundle_suffices),
		promise(test_a_certificate_for_other_names_is_refused_and_the_names_are_told),
		promise(test_a_common_name_does_not_stand_for_an_address),
		promise(test_another_name_may_be_expected_and_is_asked_for),
		promise(test_the_expected_name_counts_and_the_address_no_more),
		promise(test_an_address_may_be_expected_instead_of_a_name),
		promise(test_an_unexpected_address_is_refused_and_explained),
		promise(test_an_expired_certificate_is_refused_with_its_date),
		promise(test_a_certificate_of_the_future_is_refused),
		promise(test_insecure_trusts_anybody),
		promise(test_a_pinned_certificate_with_only_a_common_name_is_trusted_at_an_address),
		promise(test_any_other_certificate_than_the_pinned_one_is_refused),
		promise(test_with_a_pin_and_a_ca_either_suffices),
		promise(test_with_a_pin_and_a_ca_what_is_neither_is_refused),
		promise(test_a_pinned_certificate_is_trusted_beyond_its_dates),
		promise(test_pinning_a_ca_does_not_trust_what_it_signed),
		promise(test_a_server_without_tls_is_named_as_such),
	};

	return cmocka_run_group_tests_name("http tls", tests, make_cas, NULL);
}
