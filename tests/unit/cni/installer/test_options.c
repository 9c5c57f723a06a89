#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "cni/installer/options.h"

static struct options options;
static struct error err;

#define WORDS(...) ((const char *const[]){ "ufmsync-cni-install", __VA_ARGS__, NULL })
#define NO_WORDS   ((const char *const[]){ "ufmsync-cni-install", NULL })
#define ENV(...)   ((const char *const[]){ "PATH=/bin", __VA_ARGS__, NULL })
#define NO_ENV     ((const char *const[]){ NULL })

static void accepted(const char *const *argv, const char *const *environment)
{
	memset(&err, 0, sizeof err);
	if (options_parse(&options, argv, environment, &err) < 0)
		fail_msg("%s", err.text);
}

static void refused(const char *const *argv, const char *const *environment, const char *says)
{
	memset(&err, 0, sizeof err);
	assert_int_equal(options_parse(&options, argv, environment, &err), -1);
	assert_int_equal(err.kind, ERROR_INVALID);
	if (!strstr(err.text, says))
		fail_msg("'%s' does not say '%s'", err.text, says);
}

static void test_a_server_is_all_that_must_be_said(void **state)
{
	(void)state;
	accepted(WORDS("--server=ufmsync.kube-system.svc:8443"), NO_ENV);
	assert_int_equal(options.how, OPTIONS_FOREVER);
	assert_string_equal(options.host, "ufmsync.kube-system.svc");
	assert_string_equal(options.port, "8443");
	assert_string_equal(options.text[OPTION_SERVER_NAME], "ufmsync.kube-system.svc");
	assert_string_equal(options.text[OPTION_PLUGIN], "/usr/lib/cni/ufmsync");
	assert_int_equal(options.interval_ms, 10000);
	assert_int_equal(options.resolve_ms, 60000);
	assert_null(options.text[OPTION_NODE]);
	assert_null(options.text[OPTION_LOG]);
	options_free(&options);
	refused(NO_WORDS, NO_ENV, "--server (UFMSYNC_CNI_SERVER) is not set");
}

static void test_a_flag_wins_over_the_environment_and_empty_is_not_set(void **state)
{
	(void)state;
	accepted(WORDS("--server", "a:1", "--node=x"),
		 ENV("UFMSYNC_CNI_SERVER=b:2", "UFMSYNC_CNI_INTERVAL=250ms", "UFMSYNC_CNI_TIMEOUT=", "NODE_NAME=y"));
	assert_string_equal(options.host, "a");
	assert_string_equal(options.text[OPTION_NODE], "x");
	assert_int_equal(options.interval_ms, 250);
	assert_null(options.text[OPTION_TIMEOUT]);
	options_free(&options);
	accepted(WORDS("--server=a:1"), ENV("NODE_NAME=gpu-17"));
	assert_string_equal(options.text[OPTION_NODE], "gpu-17");
	options_free(&options);
}

static void test_servers_are_names_or_addresses_with_a_port(void **state)
{
	static const char *const bad[] = {
		"a",     "a:",    ":1",        "a:0",     "a:65536",   "a:01",       "a:1x",
		"a b:1", "[a]:1", "[fd00::1]", "fd00::1", "fd00::1:1", "[fd00::1:1", "a:-1",
		"a/b:1", ".a:1",  "a.:1",      "a..b:1",  "-a:1",      "a-.b:1",     "a_b:1"
	};
	(void)state;
	accepted(WORDS("--server=[fd00::1]:8443"), NO_ENV);
	assert_string_equal(options.host, "fd00::1");
	assert_string_equal(options.text[OPTION_SERVER_NAME], "fd00::1");
	options_free(&options);
	accepted(WORDS("--server=192.0.2.1:65535", "--server-name=ufmsync.kube-system.svc"), NO_ENV);
	assert_string_equal(options.host, "192.0.2.1");
	assert_string_equal(options.text[OPTION_SERVER_NAME], "ufmsync.kube-system.svc");
	options_free(&options);
	for (size_t i = 0; i < array_length(bad); i++)
		refused(WORDS("--server", bad[i]), NO_ENV, bad[i]);
}

static void test_bad_values_name_flag_variable_value_and_what_is_accepted(void **state)
{
	(void)state;
	refused(WORDS("--server=a:1", "--interval=5x"), NO_ENV, "--interval (UFMSYNC_CNI_INTERVAL): '5x'");
	refused(WORDS("--server=a:1"), ENV("UFMSYNC_CNI_INTERVAL=0"), "a duration");
	refused(WORDS("--server=a:1", "--timeout=11m"), NO_ENV, "--timeout");
	refused(WORDS("--server=a:1", "--timeout=70"), NO_ENV, "with its unit");
	refused(WORDS("--server=a:1", "--log=/var/log/"), NO_ENV, "--log");
	refused(WORDS("--server=a:1", "--node=GPU-17"), NO_ENV, "lower case");
	refused(WORDS("--server=a:1", "--connect-timeout=-1s"), NO_ENV, "--connect-timeout");
	refused(WORDS("--server=a:1", "--host-bin=opt/cni/bin"), NO_ENV, "an absolute path");
	refused(WORDS("--server=a:1", "--log=stderr"), NO_ENV, "syslog, or an absolute path");
	refused(WORDS("--server=a:1", "--node=a b"), NO_ENV, "--node (NODE_NAME)");
	refused(WORDS("--server=a:1", "--server-name=a\"b"), NO_ENV, "--server-name");
	refused(WORDS("--server=a:1", "--log-level=loud"), NO_ENV, "debug, info, warn or error");
	refused(WORDS("--server=a:1", "--log-format=xml"), NO_ENV, "auto, text or json");
}

static void test_what_is_not_known_is_refused(void **state)
{
	(void)state;
	refused(WORDS("--sever=a:1"), NO_ENV, "'--sever=a:1' is not known");
	refused(WORDS("--serverx=a:1"), NO_ENV, "not known");
	refused(WORDS("--server"), NO_ENV, "needs a value");
	refused(WORDS("--server=a:1", "once"), NO_ENV, "'once'");
	refused(WORDS("--server=a:1"), ENV("UFMSYNC_CNI_TOKN=/x"), "UFMSYNC_CNI_TOKN is not known");
	/* What Kubernetes itself makes for a Service named ufmsync-cni. */
	accepted(WORDS("--server=a:1"), ENV("UFMSYNC_CNI_SERVICE_HOST=10.0.0.1", "UFMSYNC_CNI_PORT=tcp://10.0.0.1:1"));
	options_free(&options);
}

static void test_ways_of_running(void **state)
{
	static const struct {
		const char *first, *second;
		enum options_how how;
		bool remove;
	} ways[] = {
		{ "--once", "--server=a:1", OPTIONS_ONCE, false },
		{ "--check", "--server=a:1", OPTIONS_CHECK, false },
		{ "--remove", NULL, OPTIONS_ONCE, true },
		{ "--remove", "--stay", OPTIONS_FOREVER, true },
		{ "--check", "--remove", OPTIONS_CHECK, true },
		{ "--help", NULL, OPTIONS_HELP, false },
		{ "--version", "--server=bad", OPTIONS_VERSION, false },
		{ "-h", NULL, OPTIONS_HELP, false },
	};
	(void)state;
	for (size_t i = 0; i < array_length(ways); i++) {
		accepted(WORDS(ways[i].first, ways[i].second), NO_ENV);
		assert_int_equal(options.how, ways[i].how);
		assert_int_equal(options.remove, ways[i].remove);
		options_free(&options);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_server_is_all_that_must_be_said),
		cmocka_unit_test(test_a_flag_wins_over_the_environment_and_empty_is_not_set),
		cmocka_unit_test(test_servers_are_names_or_addresses_with_a_port),
		cmocka_unit_test(test_bad_values_name_flag_variable_value_and_what_is_accepted),
		cmocka_unit_test(test_what_is_not_known_is_refused),
		cmocka_unit_test(test_ways_of_running),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
