#undef NDEBUG
#include "ufmsync/setup/certificate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "secrets/pem.h"

#define NOW INT64_C(1800000000)
#define DAY INT64_C(86400)

static const char *const names[] = { "ufmsync.ib.svc", "ufmsync.ib.svc.cluster.local", "ufmsync.ib", "ufmsync" };
static const struct certificate_life year = { NOW, NOW + 365 * DAY }, decade = { NOW, NOW + 3650 * DAY };

static void make_ca(struct certificate_pair *ca, struct certificate_life life)
{
	struct error err;

	assert_int_equal(certificate_make_ca(ca, "ib", names, array_length(names), life, &err), 0);
	assert_int_equal(pem_check_pair(ca->cert, ca->key, &err), 0);
}

static void make_server(struct certificate_pair *server, const struct certificate_pair *ca, const char *const *of,
			size_t n)
{
	struct error err;

	assert_int_equal(certificate_make_server(server, ca, of, n, year, &err), 0);
	assert_int_equal(pem_check_pair(server->cert, server->key, &err), 0);
}

static struct certificates *parsed(const char *pem)
{
	struct certificates *certificates = NULL;
	struct error err;

	assert_int_equal(certificates_parse(&certificates, pem, &err), 0);
	return certificates;
}

static bool is_trusted(const char *server, const char *cas, int64_t now_s)
{
	struct certificates *one = parsed(server), *all = parsed(cas);
	bool trusted = certificates_are_trusted(one, all, now_s);

	certificates_free(one);
	certificates_free(all);
	return trusted;
}

static void test_a_server_is_trusted_by_its_ca_alone_and_in_its_time(void **state)
{
	struct certificate_pair ca, other, server;

	(void)state;
	make_ca(&ca, decade);
	make_ca(&other, decade);
	make_server(&server, &ca, names, array_length(names));
	assert_true(is_trusted(server.cert, ca.cert, NOW + DAY));
	assert_false(is_trusted(server.cert, other.cert, NOW + DAY));
	assert_false(is_trusted(server.cert, "", NOW + DAY));
	assert_false(is_trusted(server.cert, ca.cert, NOW - DAY));
	assert_false(is_trusted(server.cert, ca.cert, NOW + 366 * DAY));
	char *both = mem_printf("%s%s", other.cert, ca.cert);
	assert_true(is_trusted(server.cert, both, NOW + DAY));
	free(both);
	certificate_pair_free(&ca);
	certificate_pair_free(&other);
	certificate_pair_free(&server);
}

static void test_a_server_knows_its_ca(void **state)
{
	struct certificate_pair pairs[2], server;

	(void)state;
	make_ca(&pairs[0], decade);
	make_ca(&pairs[1], decade);
	make_server(&server, &pairs[0], names, array_length(names));
	struct certificates *one = parsed(server.cert), *ca = parsed(pairs[0].cert), *other = parsed(pairs[1].cert);
	assert_true(certificates_is_signed_by(one, ca));
	assert_false(certificates_is_signed_by(one, other));
	assert_false(certificates_is_in(ca, 0, other));
	assert_true(certificates_is_in(ca, 0, ca));
	assert_true(certificates_is_of_own_ca(one, 0, "ib"));
	assert_false(certificates_is_of_own_ca(one, 0, "ibx"));
	assert_false(certificates_is_of_own_ca(one, 0, "i"));
	assert_true(certificates_is_own_ca(ca, 0, "ib"));
	assert_false(certificates_is_own_ca(ca, 0, "kube-system"));
	assert_false(certificates_is_own_ca(one, 0, "ib"));
	certificates_free(one);
	certificates_free(ca);
	certificates_free(other);
	certificate_pair_free(&server);
	certificate_pair_free(&pairs[0]);
	certificate_pair_free(&pairs[1]);
}

static void test_a_server_has_the_names_it_was_made_for(void **state)
{
	struct certificate_pair ca, server;
	static const char *const others[] = { "ufmsync.ib.svc", "ufmsync.ib", "ufmsync", "ufmsync.ib.svc.other" };

	(void)state;
	make_ca(&ca, decade);
	make_server(&server, &ca, names, array_length(names));
	struct certificates *one = parsed(server.cert), *of = parsed(ca.cert);
	assert_true(certificates_have_name(one, "ufmsync.ib.svc"));
	assert_false(certificates_have_name(one, "ufmsync.other.svc"));
	assert_true(certificates_have_only(one, names, array_length(names)));
	assert_false(certificates_have_only(one, names, array_length(names) - 1));
	assert_false(certificates_have_only(one, others, array_length(others)));
	assert_false(certificates_have_only(of, names, array_length(names)));
	certificates_free(one);
	certificates_free(of);
	certificate_pair_free(&ca);
	certificate_pair_free(&server);
}

static void test_what_a_ca_may_not_sign_for_is_not_trusted(void **state)
{
	struct certificate_pair ca, server;
	static const char *const good[] = { "ufmsync.ib.svc", "lb.ufmsync" },
				 *const bad[] = { "kubernetes.default.svc" },
				 *const partly[] = { "ufmsync.ib.svc", "xufmsync" };

	(void)state;
	make_ca(&ca, decade);
	struct certificates *of = parsed(ca.cert);
	assert_true(certificates_permit(of, names, array_length(names)));
	assert_true(certificates_permit(of, good, array_length(good)));
	assert_false(certificates_permit(of, bad, array_length(bad)));
	assert_false(certificates_permit(of, partly, array_length(partly)));
	make_server(&server, &ca, good, array_length(good));
	assert_true(is_trusted(server.cert, ca.cert, NOW + DAY));
	certificate_pair_free(&server);
	make_server(&server, &ca, bad, array_length(bad));
	assert_false(is_trusted(server.cert, ca.cert, NOW + DAY));
	certificate_pair_free(&server);
	make_server(&server, &ca, partly, array_length(partly));
	assert_false(is_trusted(server.cert, ca.cert, NOW + DAY));
	struct certificates *one = parsed(server.cert);
	assert_false(certificates_permit(one, names, 1));
	certificates_free(one);
	certificate_pair_free(&server);
	certificates_free(of);
	certificate_pair_free(&ca);
}

static void test_a_servers_life_ends_with_its_cas(void **state)
{
	struct certificate_pair ca, server;
	struct certificate_life month = { NOW, NOW + 30 * DAY };

	(void)state;
	make_ca(&ca, month);
	make_server(&server, &ca, names, 1);
	struct certificates *one = parsed(server.cert);
	assert_int_equal(certificates_life(one, 0).from_s, NOW);
	assert_int_equal(certificates_life(one, 0).until_s, month.until_s);
	certificates_free(one);
	certificate_pair_free(&server);
	certificate_pair_free(&ca);
}

static void test_a_text_is_read_whole_or_not_at_all(void **state)
{
	struct certificate_pair ca;
	struct certificates *certificates = NULL;
	struct error err;
	char *text, *many = mem_dup("");

	(void)state;
	make_ca(&ca, decade);
	certificates = parsed("no certificate at all\n");
	assert_int_equal(certificates_count(certificates), 0);
	certificates_free(certificates);
	text = mem_printf("# ours\n%s\n%.100s\n-----END CERTIFICATE-----\n", ca.cert, ca.cert);
	assert_int_equal(certificates_parse(&certificates, text, &err), -1);
	assert_int_equal(err.kind, ERROR_INVALID);
	assert_non_null(strstr(err.text, "number 2"));
	free(text);
	for (int i = 0; i < CERTIFICATES_MAX + 1; i++) {
		text = mem_printf("%s%s", many, ca.cert);
		free(many);
		many = text;
	}
	assert_int_equal(certificates_parse(&certificates, many, &err), -1);
	assert_int_equal(err.kind, ERROR_LIMIT);
	free(many);
	certificate_pair_free(&ca);
}

static void test_those_to_be_kept_are_written(void **state)
{
	struct certificate_pair a, b;
	static const bool keep[] = { false, true };

	(void)state;
	make_ca(&a, decade);
	make_ca(&b, decade);
	char *both = mem_printf("%s%s", a.cert, b.cert);
	struct certificates *certificates = parsed(both);
	char *text = certificates_text(certificates, keep);
	assert_string_equal(text, b.cert);
	free(text);
	free(both);
	certificates_free(certificates);
	certificate_pair_free(&a);
	certificate_pair_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_server_is_trusted_by_its_ca_alone_and_in_its_time),
		cmocka_unit_test(test_a_server_knows_its_ca),
		cmocka_unit_test(test_a_server_has_the_names_it_was_made_for),
		cmocka_unit_test(test_what_a_ca_may_not_sign_for_is_not_trusted),
		cmocka_unit_test(test_a_servers_life_ends_with_its_cas),
		cmocka_unit_test(test_a_text_is_read_whole_or_not_at_all),
		cmocka_unit_test(test_those_to_be_kept_are_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
