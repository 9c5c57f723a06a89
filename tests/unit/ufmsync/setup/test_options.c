#undef NDEBUG
#include "ufmsync/setup/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

static struct setup_options options;

static int parse(const char *const *argv, const char *const *environ, struct error *err)
{
	return setup_options_parse(&options, argv, environ, err);
}

static void test_defaults_are_those_of_the_manifests(void **state)
{
	struct error err;

	(void)state;
	assert_int_equal(
		parse((const char *[]){ "x", NULL }, (const char *[]){ "POD_NAMESPACE=ib", "A=b", NULL }, &err), 0);
	assert_int_equal(options.how, SETUP_ONCE);
	assert_string_equal(options.wish.namespace, "ib");
	assert_int_equal(options.wish.days, 365);
	assert_int_equal(options.interval_ms, 600 * 1000);
	assert_true(options.wish.parts[SETUP_PART_KEY] && options.wish.parts[SETUP_PART_CERTIFICATE]);
	assert_false(options.wish.parts[SETUP_PART_TRUST]);
	assert_int_equal(options.wish.n_names, 4);
	assert_string_equal(options.wish.names[0], "ufmsync.ib.svc");
	assert_string_equal(options.wish.names[1], "ufmsync.ib.svc.cluster.local");
	assert_string_equal(options.wish.names[2], "ufmsync.ib");
	assert_string_equal(options.wish.names[3], "ufmsync");
	setup_options_free(&options);
}

static void test_a_flag_wins_over_a_variable_and_empty_is_not_set(void **state)
{
	struct error err;
	const char *argv[] = { "x", "--stay", "--days=30", "--only", "record-key,trust", "--names=a.example,ufmsync,b",
			       NULL };
	const char *env[] = { "UFMSYNC_SETUP_DAYS=90",
			      "UFMSYNC_SETUP_SERVICE=",
			      "UFMSYNC_SETUP_SERVICE_HOST=10.0.0.1",
			      "UFMSYNC_SETUP_PORT=tcp://10.0.0.1",
			      "KUBECONFIG=",
			      NULL };

	(void)state;
	assert_int_equal(parse(argv, env, &err), 0);
	assert_int_equal(options.how, SETUP_STAY);
	assert_int_equal(options.wish.days, 30);
	assert_null(options.text[SETUP_OPTION_KUBECONFIG]);
	assert_false(options.wish.parts[SETUP_PART_CERTIFICATE]);
	assert_true(options.wish.parts[SETUP_PART_TRUST]);
	assert_int_equal(options.wish.n_names, 6);
	assert_string_equal(options.wish.names[4], "a.example");
	assert_string_equal(options.wish.names[5], "b");
	setup_options_free(&options);
}

static void test_what_is_not_accepted_is_named(void **state)
{
	static const struct {
		const char *argument, *variable, *said;
	} bad[] = {
		{ "--days=0", NULL, "1 to 825" },
		{ "--days=826", NULL, "1 to 825" },
		{ "--days=1x", NULL, "1 to 825" },
		{ "--days=-1", NULL, "1 to 825" },
		{ "--only=record-key,", NULL, "--only" },
		{ "--only=key", NULL, "--only" },
		{ "--namespace=A", NULL, "a namespace" },
		{ "--namespace=a.b", NULL, "a namespace" },
		{ "--namespace=-a", NULL, "a namespace" },
		{ "--service=a/b", NULL, "--service" },
		{ "--cluster-domain=.local", NULL, "--cluster-domain" },
		{ "--cluster-domain=a..b", NULL, "--cluster-domain" },
		{ "--names=a,,b", NULL, "--names" },
		{ "--names=a,DNS:b", NULL, "--names" },
		{ "--names=1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,32,33",
		  NULL, "--names" },
		{ "--interval=0", NULL, "--interval" },
		{ "--timeout=1y", NULL, "--timeout" },
		{ "--log-level=loud", NULL, "--log-level" },
		{ "--log-format=xml", NULL, "--log-format" },
		{ "--unknown", NULL, "--unknown" },
		{ "--days", NULL, "needs a value" },
		{ "word", NULL, "word" },
		{ NULL, "UFMSYNC_SETUP_DAY=3", "UFMSYNC_SETUP_DAY " },
		{ NULL, "UFMSYNC_SETUP_DAYS=x", "UFMSYNC_SETUP_DAYS" },
	};

	(void)state;
	for (size_t i = 0; i < array_length(bad); i++) {
		struct error err = { 0 };
		assert_int_equal(parse((const char *[]){ "x", bad[i].argument, NULL },
				       (const char *[]){ bad[i].variable, NULL }, &err),
				 -1);
		assert_int_equal(err.kind, ERROR_INVALID);
		if (!strstr(err.text, bad[i].said))
			fail_msg("%s: %s", bad[i].argument, err.text);
	}
}

static void test_help_needs_no_good_environment(void **state)
{
	struct error err;

	(void)state;
	assert_int_equal(
		parse((const char *[]){ "x", "--help", NULL }, (const char *[]){ "UFMSYNC_SETUP_X=1", NULL }, &err), 0);
	assert_int_equal(options.how, SETUP_HELP);
	setup_options_free(&options);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults_are_those_of_the_manifests),
		cmocka_unit_test(test_a_flag_wins_over_a_variable_and_empty_is_not_set),
		cmocka_unit_test(test_what_is_not_accepted_is_named),
		cmocka_unit_test(test_help_needs_no_good_environment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
