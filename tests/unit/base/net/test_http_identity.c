/* Who we are to a server, and changing that under way. */
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

static struct cert ca, server_cert, alice, bob, stranger;

static int make_certs(void **state)
{
	struct cert other_ca;

	(void)state;
	cert_make(&ca, &(struct cert_spec){ .common_name = "Test CA", .is_ca = true });
	cert_make(&other_ca, &(struct cert_spec){ .common_name = "Other CA", .is_ca = true });
	cert_make(&server_cert, &(struct cert_spec){ .common_name = "ufm", .names = "IP:127.0.0.1", .issuer = &ca });
	cert_make(&alice, &(struct cert_spec){ .common_name = "alice", .issuer = &ca });
	cert_make(&bob, &(struct cert_spec){ .common_name = "bob", .issuer = &ca });
	cert_make(&stranger, &(struct cert_spec){ .common_name = "stranger", .issuer = &other_ca });
	return 0;
}

static void serve_who(struct raw_peer *peer)
{
	while (raw_read_request(peer))
		raw_answer(peer, 200, peer->seen->client_name);
}

static void start(void (*serve)(struct raw_peer *peer), int tls_max)
{
	raw_server_start(&exchange_server,
			 &(struct raw_server_options){
				 .serve = serve, .tls = &server_cert, .client_ca = ca.cert, .tls_max = tls_max });
}

static void be(const struct cert *client)
{
	struct error err = { 0 };
	const struct http_tls tls = {
		.ca = ca.cert,
		.cert = client ? client->cert : NULL,
		.key = client ? client->key : NULL,
	};

	if (http_set_tls(exchange_http, &tls, &err) < 0)
		fail_msg("%s", err.text);
}

static void assert_known_as(const char *name)
{
	struct exchange x = { 0 };

	exchange_get(&x, exchange_server.url, "/");
	exchange_wait();
	exchange_assert_answered(&x, 200, name);
	exchange_free(&x);
}

static void test_a_client_certificate_is_shown_where_it_is_asked_for(void **state)
{
	(void)state;
	start(serve_who, 0);
	be(&alice);
	assert_known_as("alice");
	assert_string_equal(exchange_server.seen->tls_version, "TLSv1.3");
}

static void test_a_client_certificate_is_shown_over_tls_1_2_too(void **state)
{
	(void)state;
	start(serve_who, TLS1_2_VERSION);
	be(&alice);
	assert_known_as("alice");
	assert_string_equal(exchange_server.seen->tls_version, "TLSv1.2");
}

static void test_a_missing_or_foreign_client_certificate_is_our_fault_and_said_so(void **state)
{
	static const struct {
		const struct cert *client;
		int tls_max;
		const char *words;
	} cases[] = {
		{ NULL, 0, "client certificate" },
		{ NULL, TLS1_2_VERSION, "client certificate" },
		{ &stranger, 0, "refused our client certificate" },
		{ &stranger, TLS1_2_VERSION, "refused our client certificate" },
	};

	(void)state;
	for (size_t i = 0; i < array_length(cases); i++) {
		struct exchange x = { 0 };
		start(serve_who, cases[i].tls_max);
		be(cases[i].client);
		exchange_get(&x, exchange_server.url, "/");
		exchange_wait();
		exchange_assert_failed(&x, ERROR_AUTH, cases[i].words);
		exchange_free(&x);
		raw_server_stop(&exchange_server);
	}
	exchange_server.pid = 0;
}

static void test_tls_1_2_is_the_highest_when_so_set(void **state)
{
	struct error err = { 0 };

	(void)state;
	start(serve_who, 0);
	assert_int_equal(
		http_set_tls(exchange_http,
			     &(struct http_tls){
				     .ca = ca.cert, .cert = alice.cert, .key = alice.key, .tls12_at_most = true },
			     &err),
		0);
	assert_known_as("alice");
	assert_string_equal(exchange_server.seen->tls_version, "TLSv1.2");
}

static void serve_after_renegotiation(struct raw_peer *peer)
{
	bool known = false;

	while (raw_read_request(peer)) {
		if (!known)
			raw_renegotiate(peer);
		known = true;
		raw_answer(peer, 200, peer->seen->client_name);
	}
}

static void test_a_server_may_ask_for_the_certificate_by_renegotiation(void **state)
{
	struct exchange x = { 0 };
	char body[12000];

	(void)state;
	raw_server_start(&exchange_server, &(struct raw_server_options){ .serve = serve_after_renegotiation,
									 .tls = &server_cert,
									 .client_ca = ca.cert,
									 .client_late = true,
									 .tls_max = TLS1_2_VERSION });
	be(&alice);
	assert_known_as("alice");
	assert_known_as("alice");
	assert_int_equal(exchange_server.seen->connections, 1);
	http_drop_idle(exchange_http);
	memset(body, 'b', sizeof body);
	exchange_send(&x,
		      &(struct http_request_options){
			      .method = "POST", .url = exchange_server.url, .body = body, .body_len = sizeof body });
	exchange_wait();
	exchange_assert_answered(&x, 200, "alice");
	exchange_free(&x);
}

static void test_a_new_identity_never_uses_the_connections_of_the_old_one(void **state)
{
	(void)state;
	start(serve_who, 0);
	be(&alice);
	assert_known_as("alice");
	be(&bob);
	assert_known_as("bob");
	be(&alice);
	assert_known_as("alice");
	assert_int_equal(exchange_server.seen->connections, 3);
}

static void serve_who_when_released(struct raw_peer *peer)
{
	if (!raw_read_request(peer))
		return;
	if (strstr(peer->request, "/wait"))
		raw_wait(peer);
	raw_answer(peer, 200, "done");
	raw_hang(peer);
}

static void release(struct exchange *x)
{
	assert_int_equal(x->other->done, 0);
	raw_server_release(&exchange_server);
}

static void test_what_is_under_way_ends_under_the_old_identity(void **state)
{
	struct exchange x = { 0 }, other = { .on_done = release, .other = &x };
	struct raw_server second;

	(void)state;
	start(serve_who_when_released, 0);
	raw_server_start(&second,
			 &(struct raw_server_options){ .serve = serve_who, .tls = &server_cert, .client_ca = ca.cert });
	be(&alice);
	exchange_get(&x, exchange_server.url, "/wait");
	exchange_turns(3);
	be(&bob);
	exchange_get(&other, second.url, "/");
	exchange_wait();
	exchange_assert_answered(&other, 200, "bob");
	exchange_assert_answered(&x, 200, "done");
	assert_string_equal(exchange_server.seen->client_name, "alice");
	exchange_free(&x);
	exchange_free(&other);
	raw_server_stop(&second);
}

/* A PEM text with some bytes in its middle replaced. */
static void damage(char *out, size_t size, const char *pem)
{
	snprintf(out, size, "%s", pem);
	memcpy(out + strlen(out) / 2, "!!!!", 4);
}

static void test_pems_that_do_not_parse_are_refused_and_change_nothing(void **state)
{
	static const char encrypted[] =
		"-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEF\n"
		"-----END ENCRYPTED PRIVATE KEY-----\n";
	char damaged[8192], half[8192], damaged_key[2048];
	const struct {
		struct http_tls tls;
		const char *words;
	} bad[] = {
		{ { .ca = "" }, "CA: no certificate in it" },
		{ { .ca = "garbage" }, "CA: no certificate in it" },
		{ { .ca = alice.key }, "CA: no certificate in it" },
		{ { .ca = damaged }, "CA: certificate number 1 in it is damaged" },
		{ { .ca = half }, "CA: certificate number 2 in it is damaged" },
		{ { .pin = "garbage" }, "pinned certificate: no certificate" },
		{ { .pin = damaged }, "pinned certificate: certificate number 1" },
		{ { .ca = ca.cert, .cert = "garbage", .key = alice.key }, "client certificate: no certificate" },
		{ { .ca = ca.cert, .cert = alice.cert, .key = "garbage" }, "client key: no private key" },
		{ { .ca = ca.cert, .cert = alice.cert, .key = damaged_key }, "client key: no private key" },
		{ { .ca = ca.cert, .cert = alice.cert, .key = encrypted }, "without a passphrase" },
		{ { .ca = ca.cert, .cert = alice.cert, .key = bob.key }, "belongs to another certificate" },
		{ { .ca = ca.cert, .cert = alice.cert }, "its key is missing" },
		{ { .ca = ca.cert, .key = alice.key }, "the certificate is missing" },
	};

	(void)state;
	damage(damaged, sizeof damaged, ca.cert);
	damage(damaged_key, sizeof damaged_key, alice.key);
	snprintf(half, sizeof half, "%s%.100s", ca.cert, alice.cert);
	start(serve_who, 0);
	be(&alice);
	assert_known_as("alice");
	for (size_t i = 0; i < array_length(bad); i++) {
		struct error err = { 0 };
		assert_int_equal(http_set_tls(exchange_http, &bad[i].tls, &err), -1);
		if (err.kind != ERROR_INVALID || !strstr(err.text, bad[i].words))
			fail_msg("%zu: %s: %s", i, error_kind_name(err.kind), err.text);
	}
	assert_known_as("alice");
	assert_int_equal(exchange_server.seen->connections, 1);
}

static void test_intermediate_certificates_are_shown_with_ours(void **state)
{
	struct cert intermediate, carol;
	char chain[sizeof carol.cert * 2];
	struct error err = { 0 };

	(void)state;
	cert_make(&intermediate, &(struct cert_spec){ .common_name = "Between", .is_ca = true, .issuer = &ca });
	cert_make(&carol, &(struct cert_spec){ .common_name = "carol", .issuer = &intermediate });
	snprintf(chain, sizeof chain, "%s%s", carol.cert, intermediate.cert);
	start(serve_who, 0);
	assert_int_equal(
		http_set_tls(exchange_http, &(struct http_tls){ .ca = ca.cert, .cert = chain, .key = carol.key }, &err),
		0);
	assert_known_as("carol");
}

#define promise(test) cmocka_unit_test_setup_teardown(test, exchange_setup, exchange_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		promise(test_a_client_certificate_is_shown_where_it_is_asked_for),
		promise(test_a_client_certificate_is_shown_over_tls_1_2_too),
		promise(test_a_missing_or_foreign_client_certificate_is_our_fault_and_said_so),
		promise(test_tls_1_2_is_the_highest_when_so_set),
		promise(test_a_server_may_ask_for_the_certificate_by_renegotiation),
		promise(test_a_new_identity_never_uses_the_connections_of_the_old_one),
		promise(test_what_is_under_way_ends_under_the_old_identity),
		promise(test_pems_that_do_not_parse_are_refused_and_change_nothing),
		promise(test_intermediate_certificates_are_shown_with_ours),
	};

	return cmocka_run_group_tests_name("http identity", tests, make_certs, NULL);
}
