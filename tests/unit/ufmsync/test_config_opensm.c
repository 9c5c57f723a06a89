#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ufmsync/config.h"

enum { ENVIRONMENT_MAX = 16 };

static char *const usual[] = { (char *)"DAEMON_SM_PLUGIN=opensm", (char *)"OPENSM_PARTITIONS_FILE=/etc/opensm/p.conf",
			       (char *)"K8S_NODE=n1", (char *)"POD_UID=u1", NULL };

/* `more` (ends with NULL) stands before what is usual, and takes its place. */
static int load(struct config *config, struct error *err, const char *const *more)
{
	static char *environ_[ENVIRONMENT_MAX + 1];
	size_t n = 0;

	for (; more && more[n]; n++)
		environ_[n] = (char *)(uintptr_t)more[n];
	for (size_t i = 0; usual[i]; i++) {
		size_t name = (size_t)(strchr(usual[i], '=') - usual[i]) + 1;
		bool given = false;
		for (size_t j = 0; more && more[j]; j++)
			given = given || strncmp(more[j], usual[i], name) == 0;
		assert_true(n < ENVIRONMENT_MAX);
		if (!given)
			environ_[n++] = usual[i];
	}
	environ_[n] = NULL;
	struct settings_source source = { .environ = environ_ };
	return config_load(config, &source, err);
}

static void refuses(const char *entry, const char *first, const char *second)
{
	const char *const more[] = { entry, NULL };
	struct config config;
	struct error err = { 0 };

	if (load(&config, &err, more) == 0) {
		config_free(&config);
		fail_msg("accepted %s", entry);
	}
	assert_int_equal(err.kind, ERROR_INVALID);
	if (!strstr(err.text, first) || !strstr(err.text, second))
		fail_msg("%s: '%s' or '%s' is missing in: %s", entry, first, second, err.text);
}

static bool says(const struct config *config, const char *words)
{
	const char *notice;

	for (size_t i = 0; (notice = settings_notice(config->settings, i)); i++)
		if (strstr(notice, words))
			return true;
	return false;
}

static void test_a_file_is_all_that_is_needed(void **state)
{
	struct config config;
	struct error err = { 0 };

	(void)state;
	assert_int_equal(load(&config, &err, NULL), 0);
	assert_int_equal(config.plugin, CONFIG_PLUGIN_OPENSM);
	assert_string_equal(config.opensm.file, "/etc/opensm/p.conf");
	assert_string_equal(config.opensm.reload, "process");
	assert_true(config.opensm.verify);
	assert_true(config.opensm.ip_over_ib);
	assert_int_equal(config.opensm.canaries[0].v, 0x7ffc);
	assert_int_equal(config.opensm.canaries[1].v, 0x7ffd);
	assert_int_equal(config.opensm.fabric.sm_key, 1);
	assert_null(config.opensm.fabric.device);
	assert_int_equal(config.opensm.fabric.port, 0);
	assert_null(config.opensm.log);
	config_free(&config);
}

static void test_a_bad_value_is_named_with_what_is_accepted(void **state)
{
	(void)state;
	refuses("OPENSM_PARTITIONS_FILE=", "OPENSM_PARTITIONS_FILE", "not set");
	refuses("OPENSM_PARTITIONS_FILE=partitions.conf", "OPENSM_PARTITIONS_FILE='partitions.conf'", "/");
	refuses("OPENSM_RELOAD=reboot", "OPENSM_RELOAD='reboot'", "console:HOST:PORT");
	refuses("OPENSM_RELOAD=pidfile:opensm.pid", "OPENSM_RELOAD", "pidfile:/PATH");
	refuses("OPENSM_VERIFY=yes", "OPENSM_VERIFY='yes'", "smp or none");
	refuses("OPENSM_CANARY_PKEYS=0x7ffc", "OPENSM_CANARY_PKEYS", "two different PKeys");
	refuses("OPENSM_CANARY_PKEYS=0x7ffc,0x7ffc", "OPENSM_CANARY_PKEYS", "the same");
	refuses("OPENSM_CANARY_PKEYS=0x7ffc,0x7fff", "OPENSM_CANARY_PKEYS", "two different PKeys");
	refuses("OPENSM_CANARY_PKEYS=0x7ffc,0x7ffd,0x7ffe", "OPENSM_CANARY_PKEYS", "two different PKeys");
	refuses("OPENSM_CANARY_PKEYS=0x7ffc,", "OPENSM_CANARY_PKEYS", "two different PKeys");
	refuses("OPENSM_CANARY_PKEYS=0000000000007ffc,1", "OPENSM_CANARY_PKEYS", "two different PKeys");
	refuses("OPENSM_DEVICE=../x", "OPENSM_DEVICE", "a name");
	refuses("OPENSM_PORT=0", "OPENSM_PORT='0'", "1 to 254");
	refuses("OPENSM_PORT=255", "OPENSM_PORT='255'", "1 to 254");
	refuses("OPENSM_PORT=1x", "OPENSM_PORT='1x'", "1 to 254");
	refuses("OPENSM_LOG=log", "OPENSM_LOG='log'", "/");
	refuses("OPENSM_TYPO=1", "OPENSM_TYPO", "unknown");
	refuses("DEFAULT_LIMITED_PARTITION=0x7ffd", "DEFAULT_LIMITED_PARTITION", "OPENSM_CANARY_PKEYS");
}

static void test_the_canaries_are_nobodys(void **state)
{
	const char *const others[] = { "OPENSM_CANARY_PKEYS=0x10,17", "UFM_PKEY_RANGE=0x10-0x12", NULL };
	struct config config;
	struct error err = { 0 };

	(void)state;
	assert_int_equal(load(&config, &err, NULL), 0);
	assert_false(pkey_set_has(&config.engine.pkeys, (struct pkey){ 0x7ffc }));
	assert_false(pkey_set_has(&config.engine.pkeys, (struct pkey){ 0x7ffd }));
	assert_true(pkey_set_has(&config.engine.pkeys, (struct pkey){ 0x7ffe }));
	config_free(&config);
	assert_int_equal(load(&config, &err, others), 0);
	assert_int_equal(config.opensm.canaries[1].v, 0x11);
	assert_false(pkey_set_has(&config.engine.pkeys, (struct pkey){ 0x10 }));
	assert_false(pkey_set_has(&config.engine.pkeys, (struct pkey){ 0x11 }));
	assert_true(pkey_set_has(&config.engine.pkeys, (struct pkey){ 0x12 }));
	config_free(&config);
}

static void sm_key_is(const char *text, bool good, uint64_t value)
{
	uint64_t key = 0;

	assert_int_equal(config_sm_key(&key, text), good);
	if (good)
		assert_true(key == value);
}

static void test_the_sm_key_is_a_secret_number(void **state)
{
	const char *const bad[] = { "OPENSM_SM_KEY=0xhunter2", NULL };
	const char *const good[] = { "OPENSM_SM_KEY=0x7391735591", NULL };
	struct config config;
	struct error err = { 0 };

	(void)state;
	sm_key_is(NULL, true, 1);
	sm_key_is("0", true, 0);
	sm_key_is("1234567890123456789", true, UINT64_C(1234567890123456789));
	sm_key_is("0xfedcba9876543210", true, UINT64_C(0xfedcba9876543210));
	for (const char *const *text = (const char *const[]){ "", "0x", "-1", "+1", " 1", "1 ", "0X1", "abc",
							      "0x10000000000000000", "12345678901234567890", NULL };
	     *text; text++)
		sm_key_is(*text, false, 0);
	assert_int_equal(load(&config, &err, bad), -1);
	assert_non_null(strstr(err.text, "OPENSM_SM_KEY"));
	assert_null(strstr(err.text, "hunter2"));
	assert_int_equal(load(&config, &err, good), 0);
	assert_true(config.opensm.fabric.sm_key == UINT64_C(0x7391735591));
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	settings_print(config.settings, out);
	fclose(out);
	assert_null(strstr(text, "7391735591"));
	free(text);
	config_free(&config);
}

static void test_index_0_is_asked_for_only_where_it_is_said(void **state)
{
	const char *const yes[] = { "ENABLE_INDEX0_FOR_PRIMARY_PKEY=true", NULL };
	const char *const no[] = { "ENABLE_INDEX0_FOR_PRIMARY_PKEY=false", NULL };
	struct config config;
	struct error err = { 0 };

	(void)state;
	assert_int_equal(load(&config, &err, NULL), 0);
	assert_false(config.engine.index0);
	assert_string_equal(settings_get(config.settings, SETTING_ENABLE_INDEX0_FOR_PRIMARY_PKEY), "false");
	assert_string_equal(settings_origin(config.settings, SETTING_ENABLE_INDEX0_FOR_PRIMARY_PKEY), "default");
	config_free(&config);
	assert_int_equal(load(&config, &err, yes), 0);
	assert_true(config.engine.index0);
	config_free(&config);
	assert_int_equal(load(&config, &err, no), 0);
	assert_false(config.engine.index0);
	config_free(&config);
}

/* A change that was asked for is in the file within prove_ms or never; another leader waits for write_timeout_ms. */
static void test_no_leader_begins_before_the_last_ones_write_is_over(void **state)
{
	static const struct {
		const char *lease, *renew;
		int64_t timeout_ms;
	} cases[] = {
		{ "UFMSYNC_LEASE_DURATION=15s", "UFMSYNC_LEASE_RENEW_DEADLINE=10s", 12000 },
		{ "UFMSYNC_LEASE_DURATION=60s", "UFMSYNC_LEASE_RENEW_DEADLINE=40s", 12000 },
		{ "UFMSYNC_LEASE_DURATION=5s", "UFMSYNC_LEASE_RENEW_DEADLINE=4s", 5000 },
		{ "UFMSYNC_LEASE_DURATION=3s", "UFMSYNC_LEASE_RENEW_DEADLINE=2500ms", 3000 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *const more[] = { cases[i].lease, cases[i].renew, "UFM_TIMEOUT=100s", NULL };
		struct config config;
		struct error err = { 0 };
		assert_int_equal(load(&config, &err, more), 0);
		assert_int_equal(config.engine.write_timeout_ms, cases[i].timeout_ms);
		assert_true(config.opensm.prove_ms < config.engine.write_timeout_ms);
		assert_true(config.opensm.prove_ms >= config.engine.write_timeout_ms / 2);
		assert_true(config.engine.write_timeout_ms <= config.lease.duration_ms);
		assert_true(says(&config, "UFM_TIMEOUT is not used"));
		config_free(&config);
	}
}

static void test_with_another_plugin_they_are_not_used_and_that_is_said(void **state)
{
	const char *const more[] = { "DAEMON_SM_PLUGIN=noop", "OPENSM_PARTITIONS_FILE=", "OPENSM_RELOAD=nonsense",
				     "OPENSM_SM_KEY=1", NULL };
	const char *const typo[] = { "DAEMON_SM_PLUGIN=noop", "OPENSM_RELOADS=process", NULL };
	struct config config;
	struct error err = { 0 };

	(void)state;
	assert_int_equal(load(&config, &err, more), 0);
	assert_true(says(&config, "OPENSM_RELOAD is not used"));
	assert_true(says(&config, "OPENSM_SM_KEY is not used"));
	assert_false(says(&config, "OPENSM_PARTITIONS_FILE"));
	assert_true(config.engine.index0);
	assert_true(pkey_set_has(&config.engine.pkeys, (struct pkey){ 0x7ffc }));
	config_free(&config);
	assert_int_equal(load(&config, &err, typo), -1);
	assert_non_null(strstr(err.text, "OPENSM_RELOADS"));
}

static void test_without_proof_is_said(void **state)
{
	const char *const more[] = { "OPENSM_VERIFY=none", NULL };
	struct config config;
	struct error err = { 0 };

	(void)state;
	assert_int_equal(load(&config, &err, more), 0);
	assert_false(config.opensm.verify);
	assert_true(says(&config, "OPENSM_VERIFY=none"));
	config_free(&config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_file_is_all_that_is_needed),
		cmocka_unit_test(test_a_bad_value_is_named_with_what_is_accepted),
		cmocka_unit_test(test_the_canaries_are_nobodys),
		cmocka_unit_test(test_the_sm_key_is_a_secret_number),
		cmocka_unit_test(test_index_0_is_asked_for_only_where_it_is_said),
		cmocka_unit_test(test_no_leader_begins_before_the_last_ones_write_is_over),
		cmocka_unit_test(test_with_another_plugin_they_are_not_used_and_that_is_said),
		cmocka_unit_test(test_without_proof_is_said),
	};

	return cmocka_run_group_tests_name("config_opensm", tests, NULL, NULL);
}
