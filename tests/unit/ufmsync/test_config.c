#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "ufmsync/config.h"

static char *const least[] = { (char *)"DAEMON_SM_PLUGIN=noop", (char *)"K8S_NODE=n1", (char *)"POD_UID=u1", NULL };

enum { ENVIRONMENT_MAX = 16 };

/* The least a configuration needs, and besides it `more` (ends with NULL), later entries standing first. */
static int load(struct config *config, struct error *err, char *const *more, int argc, char **argv)
{
	char *environ_[ENVIRONMENT_MAX + 1] = { 0 };
	size_t n = 0;

	for (; more && more[n]; n++)
		environ_[n] = more[n];
	for (size_t i = 0; least[i]; i++) {
		size_t name = (size_t)(strchr(least[i], '=') - least[i]) + 1;
		bool given = false;
		for (size_t j = 0; j < n; j++)
			given = given || strncmp(environ_[j], least[i], name) == 0;
		if (!given) {
			assert_true(n < ENVIRONMENT_MAX);
			environ_[n++] = least[i];
		}
	}
	/* The environment is looked at again when credentials rotate, so it must outlive the configuration. */
	static char *kept[ENVIRONMENT_MAX + 1];
	memcpy(kept, environ_, sizeof kept);
	struct settings_source source = { .argc = argc, .argv = argv, .environ = kept };
	return config_load(config, &source, err);
}

static void refuses(char *entry, const char *first, const char *second)
{
	char *more[] = { entry, NULL };
	struct config config;
	struct error err = { 0 };

	if (load(&config, &err, more, 0, NULL) == 0) {
		config_free(&config);
		fail_msg("accepted %s", entry);
	}
	assert_int_equal(err.kind, ERROR_INVALID);
	if (!strstr(err.text, first) || !strstr(err.text, second))
		fail_msg("%s: '%s' or '%s' is missing in: %s", entry, first, second, err.text);
}

static void test_defaults_are_those_of_the_readme(void **state)
{
	struct config config;
	struct error err = { 0 };

	(void)state;
	assert_int_equal(load(&config, &err, NULL, 0, NULL), 0);
	assert_true(config.engine.first.v == UINT64_C(0x0200000000000000));
	assert_true(config.engine.last.v == UINT64_C(0x02ffffffffffffff));
	assert_true(pkey_set_has(&config.engine.pkeys, (struct pkey){ 1 }));
	assert_true(pkey_set_has(&config.engine.pkeys, (struct pkey){ 0x7ffe }));
	assert_false(pkey_set_has(&config.engine.pkeys, (struct pkey){ PKEY_MANAGEMENT }));
	assert_int_equal(config.engine.rest_ms, 60000);
	assert_int_equal(config.engine.rest_unsure_ms, 3600000);
	assert_int_equal(config.engine.write_timeout_ms, 10000);
	assert_int_equal(config.engine.policy, ENGINE_POLICY_NAMESPACE);
	assert_string_equal(config.shared_namespaces[0], "kube-system");
	assert_string_equal(config.shared_namespaces[1], "default");
	assert_null(config.shared_namespaces[2]);
	assert_true(config.engine.index0);
	assert_true(config.ufm.ip_over_ib);
	assert_string_equal(config.identity, "n1_u1");
	assert_null(config.engine.keys);
	assert_string_equal(config.listen, ":8443");
	assert_null(config.tls_cert);
	assert_null(config.tls_key);
	assert_string_equal(config.attach_users[0], "system:serviceaccount:kube-system:ufmsync-cni");
	assert_null(config.attach_users[1]);
	assert_int_equal(config.attach_timeout_ms, 60000);
	assert_int_equal(config.attach_waiting_max, 10000);
	assert_int_equal(config.attach_per_node_max, 512);
	config_free(&config);
}

static void test_a_bad_value_is_named_with_its_origin_and_what_is_accepted(void **state)
{
	(void)state;
	refuses((char *)"GUID_POOL_RANGE_START=03:00:00:00:00:00:00:00", "GUID_POOL_RANGE_END", "reversed");
	refuses((char *)"GUID_POOL_RANGE_END=nonsense", "'nonsense' (environment)", "a GUID");
	refuses((char *)"UFM_PKEY_RANGE=0x5,0x8000", "UFM_PKEY_RANGE", "0x8000");
	refuses((char *)"DEFAULT_LIMITED_PARTITION=0x7fff", "DEFAULT_LIMITED_PARTITION", "0x7fff");
	refuses((char *)"UFMSYNC_GUID_REST=1 s", "UFMSYNC_GUID_REST='1 s'", "a number with");
	refuses((char *)"UFMSYNC_AUDIT_INTERVAL=0", "UFMSYNC_AUDIT_INTERVAL", "too short");
	refuses((char *)"UFM_TIMEOUT=16s", "UFM_TIMEOUT", "UFMSYNC_LEASE_DURATION");
	refuses((char *)"UFMSYNC_LEASE_RENEW_DEADLINE=15s", "UFMSYNC_LEASE_RENEW_DEADLINE", "15s");
	refuses((char *)"UFMSYNC_LEASE_DURATION=10500ms", "UFMSYNC_LEASE_DURATION", "whole seconds");
	refuses((char *)"DAEMON_SM_PLUGIN=none", "DAEMON_SM_PLUGIN='none'", "ufm");
	refuses((char *)"DAEMON_SM_PLUGIN=", "DAEMON_SM_PLUGIN", "not set");
	refuses((char *)"ENABLE_IP_OVER_IB=yes", "ENABLE_IP_OVER_IB", "true or false");
	refuses((char *)"UFMSYNC_LOG_LEVEL=loud", "UFMSYNC_LOG_LEVEL", "debug");
	refuses((char *)"POD_NAMESPACE=a/b?", "POD_NAMESPACE='a/b?'", "a namespace");
	refuses((char *)"POD_NAMESPACE=-a", "POD_NAMESPACE='-a'", "a namespace");
	refuses((char *)"UFMSYNC_ATTACH_TIMEOUT=999ms", "UFMSYNC_ATTACH_TIMEOUT='999ms'", "1s to 5m");
	refuses((char *)"UFMSYNC_ATTACH_TIMEOUT=301s", "UFMSYNC_ATTACH_TIMEOUT='301s'", "1s to 5m");
	refuses((char *)"UFMSYNC_ATTACH_WAITING_MAX=0", "UFMSYNC_ATTACH_WAITING_MAX='0'", "1 to 100000");
	refuses((char *)"UFMSYNC_ATTACH_WAITING_MAX=100001", "UFMSYNC_ATTACH_WAITING_MAX", "1 to 100000");
	refuses((char *)"UFMSYNC_ATTACH_WAITING_MAX=99999999999999999999", "UFMSYNC_ATTACH_WAITING_MAX", "100000");
	refuses((char *)"UFMSYNC_ATTACH_PER_NODE_MAX=-1", "UFMSYNC_ATTACH_PER_NODE_MAX='-1'", "1 to 100000");
	refuses((char *)"UFMSYNC_TLS_CERT=/c", "UFMSYNC_TLS_KEY is not set: UFMSYNC_TLS_CERT is", "a file");
	refuses((char *)"UFMSYNC_TLS_KEY=/k", "UFMSYNC_TLS_CERT is not set: UFMSYNC_TLS_KEY is", "a file");
}

static void test_who_may_attach_is_a_list_of_service_accounts(void **state)
{
	char *more[] = { (char *)"UFMSYNC_ATTACH_SERVICE_ACCOUNTS=a/x, b-1/y.z,", NULL };
	char *namespace[] = { (char *)"POD_NAMESPACE=fabric", NULL };
	struct config config;
	struct error err = { 0 };

	(void)state;
	assert_int_equal(load(&config, &err, more, 0, NULL), 0);
	assert_string_equal(config.attach_users[0], "system:serviceaccount:a:x");
	assert_string_equal(config.attach_users[1], "system:serviceaccount:b-1:y.z");
	assert_null(config.attach_users[2]);
	config_free(&config);
	assert_int_equal(load(&config, &err, namespace, 0, NULL), 0);
	assert_string_equal(config.attach_users[0], "system:serviceaccount:fabric:ufmsync-cni");
	config_free(&config);
	refuses((char *)"UFMSYNC_ATTACH_SERVICE_ACCOUNTS=a/x,y", "wrong at 'y'", "namespace/name");
	refuses((char *)"UFMSYNC_ATTACH_SERVICE_ACCOUNTS=a/b/c", "wrong at 'a/b/c'", "namespace/name");
	refuses((char *)"UFMSYNC_ATTACH_SERVICE_ACCOUNTS=/x", "wrong at '/x'", "namespace/name");
	refuses((char *)"UFMSYNC_ATTACH_SERVICE_ACCOUNTS=a/", "wrong at 'a/'", "namespace/name");
	refuses((char *)"UFMSYNC_ATTACH_SERVICE_ACCOUNTS=a/X", "wrong at 'a/X'", "namespace/name");
	refuses((char *)"UFMSYNC_ATTACH_SERVICE_ACCOUNTS=a/x:y", "wrong at", "namespace/name");
	refuses((char *)"UFMSYNC_ATTACH_SERVICE_ACCOUNTS=,", "nobody", "namespace/name");
}

static void test_an_unknown_name_of_ours_is_refused_and_a_strangers_is_not(void **state)
{
	char *strangers[] = { (char *)"PATH=/bin", (char *)"UFMX=1", (char *)"KUBERNETES_PORT=tcp://x", NULL };
	struct config config;
	struct error err = { 0 };

	(void)state;
	refuses((char *)"UFMSYNC_ORPHAN=keep", "UFMSYNC_ORPHAN", "--help");
	refuses((char *)"UFM_PASWORD=hunter2", "UFM_PASWORD", "unknown");
	refuses((char *)"OPENSM_ANYTHING=1", "OPENSM_ANYTHING", "unknown");
	assert_int_equal(load(&config, &err, strangers, 0, NULL), 0);
	config_free(&config);
}

static void test_service_links_are_ignored_with_a_notice(void **state)
{
	char *links[] = { (char *)"UFM_PORT=tcp://10.0.0.1:443",
			  (char *)"UFM_SERVICE_HOST=10.0.0.1",
			  (char *)"UFMSYNC_SERVICE_PORT_HTTPS=8443",
			  (char *)"UFMSYNC_PORT_8443_TCP_ADDR=10.0.0.1",
			  (char *)"UFMSYNC_PORT=sctp://10.0.0.1:1",
			  (char *)"UFM_PORT_1_SCTP=sctp://10.0.0.1:1",
			  NULL };
	struct config config;
	struct error err = { 0 };
	unsigned said = 0;

	(void)state;
	assert_int_equal(load(&config, &err, links, 0, NULL), 0);
	assert_null(settings_get(config.settings, SETTING_UFM_PORT));
	for (size_t i = 0; settings_notice(config.settings, i); i++)
		said += strstr(settings_notice(config.settings, i), "service link") != NULL;
	assert_int_equal(said, 6);
	config_free(&config);
}

static void test_without_a_uid_no_two_call_themselves_the_same(void **state)
{
	char *none[] = { (char *)"POD_UID=", NULL };
	struct config first, second;
	struct error err = { 0 };

	(void)state;
	assert_int_equal(load(&first, &err, none, 0, NULL), 0);
	assert_int_equal(load(&second, &err, none, 0, NULL), 0);
	assert_memory_equal(first.identity, "n1_", 3);
	assert_string_not_equal(first.identity, second.identity);
	config_free(&first);
	config_free(&second);
}

static void write_file(const char *folder, const char *name, const char *text)
{
	char *path = mem_printf("%s/%s", folder, name);
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	free(path);
}

static void test_the_mounted_secret_is_read_as_strictly_as_the_environment(void **state)
{
	char folder[] = "/tmp/test_config.XXXXXX";
	struct config config;
	struct error err = { 0 };

	(void)state;
	assert_non_null(mkdtemp(folder));
	char *setting = mem_printf("UFMSYNC_SECRET_DIR=%s", folder);
	char *more[] = { setting, NULL };
	write_file(folder, "UFM_USER", "u");
	write_file(folder, "UFM_ADDRESS", "ufm.example.com\n");
	write_file(folder, "UFMSYNC_SECRET_DIR", "/elsewhere");
	write_file(folder, "OTHERS", "x");
	assert_int_equal(load(&config, &err, more, 0, NULL), 0);
	assert_string_equal(settings_get(config.settings, SETTING_UFM_USERNAME), "u");
	assert_string_equal(settings_get(config.settings, SETTING_UFM_ADDRESS), "ufm.example.com");
	assert_string_equal(settings_origin(config.settings, SETTING_UFM_ADDRESS), "Secret");
	assert_string_equal(settings_get(config.settings, SETTING_UFMSYNC_SECRET_DIR), folder);
	config_free(&config);
	write_file(folder, "UFM_ADRESS", "ufm.example.com");
	refuses(setting, "UFM_ADRESS", "--help");
	for (const char *const *name = (const char *const[]){ "UFM_USER", "UFM_ADDRESS", "UFMSYNC_SECRET_DIR", "OTHERS",
							      "UFM_ADRESS", NULL };
	     *name; name++) {
		char *path = mem_printf("%s/%s", folder, *name);
		assert_int_equal(unlink(path), 0);
		free(path);
	}
	assert_int_equal(rmdir(folder), 0);
	free(setting);
}

static void test_an_empty_value_is_not_set(void **state)
{
	char *more[] = { (char *)"UFM_PORT=", (char *)"UFMSYNC_GATE=", (char *)"UFM_PASSWORD=", NULL };
	struct config config;
	struct error err = { 0 };

	(void)state;
	assert_int_equal(load(&config, &err, more, 0, NULL), 0);
	assert_null(settings_get(config.settings, SETTING_UFM_PORT));
	assert_string_equal(settings_get(config.settings, SETTING_UFMSYNC_GATE), "member");
	assert_false(settings_is_set(config.settings, SETTING_UFM_PASSWORD));
	config_free(&config);
}

static void test_a_flag_wins_over_the_environment(void **state)
{
	char *more[] = { (char *)"UFMSYNC_GATE=assigned", NULL };
	char *argv[] = { (char *)"ufmsyncd", (char *)"--ufmsync-gate=member", (char *)"--ufmsync-orphans",
			 (char *)"keep", NULL };
	struct config config;
	struct error err = { 0 };

	(void)state;
	assert_int_equal(load(&config, &err, more, 4, argv), 0);
	assert_int_equal(config.engine.gate, ENGINE_GATE_MEMBER);
	assert_int_equal(config.engine.orphans, ENGINE_ORPHANS_KEEP);
	assert_string_equal(settings_origin(config.settings, SETTING_UFMSYNC_GATE), "flag");
	config_free(&config);
}

static void test_a_secret_is_no_flag_and_is_never_printed(void **state)
{
	char *argv[] = { (char *)"ufmsyncd", (char *)"--ufm-password=hunter2", NULL };
	char *more[] = { (char *)"UFM_PASSWORD=hunter2", NULL };
	struct config config;
	struct error err = { 0 };
	char *text = NULL;
	size_t size = 0;

	(void)state;
	assert_int_equal(load(&config, &err, NULL, 2, argv), -1);
	assert_non_null(strstr(err.text, "argument list"));
	assert_null(strstr(err.text, "hunter2"));
	assert_int_equal(load(&config, &err, more, 0, NULL), 0);
	FILE *out = open_memstream(&text, &size);
	settings_print(config.settings, out);
	fclose(out);
	assert_non_null(strstr(text, "<set>"));
	assert_null(strstr(text, "hunter2"));
	free(text);
	config_free(&config);
}

static void test_each_setting_has_a_flag_that_is_understood(void **state)
{
	(void)state;
	for (int id = 0; id < SETTING_COUNT; id++) {
		char flag[80] = "--", *argv[] = { (char *)"ufmsyncd", flag, NULL };
		struct config config;
		struct error err = { 0 };

		assert_non_null(setting_infos[id].name);
		for (size_t i = 0; setting_infos[id].name[i]; i++)
			flag[2 + i] = setting_infos[id].name[i] == '_' ? '-' : (char)(setting_infos[id].name[i] | 0x20);
		if (setting_infos[id].secret)
			continue;
		assert_int_equal(load(&config, &err, NULL, 2, argv), -1);
		assert_non_null(strstr(err.text, "needs a value"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults_are_those_of_the_readme),
		cmocka_unit_test(test_a_bad_value_is_named_with_its_origin_and_what_is_accepted),
		cmocka_unit_test(test_who_may_attach_is_a_list_of_service_accounts),
		cmocka_unit_test(test_an_unknown_name_of_ours_is_refused_and_a_strangers_is_not),
		cmocka_unit_test(test_service_links_are_ignored_with_a_notice),
		cmocka_unit_test(test_without_a_uid_no_two_call_themselves_the_same),
		cmocka_unit_test(test_the_mounted_secret_is_read_as_strictly_as_the_environment),
		cmocka_unit_test(test_an_empty_value_is_not_set),
		cmocka_unit_test(test_a_flag_wins_over_the_environment),
		cmocka_unit_test(test_a_secret_is_no_flag_and_is_never_printed),
		cmocka_unit_test(test_each_setting_has_a_flag_that_is_understood),
	};

	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
