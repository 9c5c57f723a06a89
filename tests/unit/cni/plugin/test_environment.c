#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "cni/plugin/environment.h"

#define POD "CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAMESPACE=team-a;K8S_POD_NAME=job-0;K8S_POD_UID=4f1e-77"

static const char *const full[] = { "PATH=/bin",
				    "CNI_COMMAND=ADD",
				    "CNI_CONTAINERID=0a1b_c.d-e",
				    "CNI_NETNS=/run/netns/x",
				    "CNI_IFNAME=net1",
				    "CNI_PATH=/opt/cni/bin:/usr/lib/cni",
				    POD,
				    NULL };

/* `full` with "NAME=value" instead of what is there, or with "NAME" absent. */
static int read_with(struct environment *environment, const char *const changes[], size_t n, struct cni_error *err)
{
	const char *variables[array_length(full) + 4] = { NULL };
	size_t used = 0;

	for (size_t i = 0; full[i]; i++) {
		const char *keep = full[i];
		for (size_t c = 0; c < n; c++) {
			size_t name = strcspn(changes[c], "=");
			if (strncmp(keep, changes[c], name) == 0 && keep[name] == '=')
				keep = strchr(changes[c], '=') ? changes[c] : NULL;
			if (!keep)
				break;
		}
		if (keep)
			variables[used++] = keep;
	}
	return environment_read(environment, (char *const *)variables, err);
}
#define READ_WITH(environment, err, ...)                                                                               \
	read_with(environment, (const char *const[]){ __VA_ARGS__ },                                                   \
		  array_length(((const char *const[]){ __VA_ARGS__ })), err)

static void test_what_the_runtime_says_is_read(void **state)
{
	struct environment environment;
	struct cni_error err;

	(void)state;
	assert_int_equal(environment_read(&environment, (char *const *)full, &err), 0);
	assert_int_equal(environment.command, CNI_ADD);
	assert_string_equal(environment.container_id, "0a1b_c.d-e");
	assert_string_equal(environment.netns, "/run/netns/x");
	assert_string_equal(environment.interface, "net1");
	assert_string_equal(environment.path, "/opt/cni/bin:/usr/lib/cni");
	assert_string_equal(environment.pod_namespace, "team-a");
	assert_string_equal(environment.pod_name, "job-0");
	assert_string_equal(environment.pod_uid, "4f1e-77");
	environment_free(&environment);
	environment_free(&environment);
}

static void test_each_command_needs_what_the_specification_says(void **state)
{
	static const struct {
		const char *command;
		const char *needs; /* container, netns, interface, path, pod */
	} cases[] = { { "CNI_COMMAND=ADD", "cnipu" }, { "CNI_COMMAND=DEL", "cip" },  { "CNI_COMMAND=CHECK", "cnip" },
		      { "CNI_COMMAND=GC", "p" },      { "CNI_COMMAND=STATUS", "p" }, { "CNI_COMMAND=VERSION", "" } };
	static const struct {
		char letter;
		const char *name;
	} variables[] = { { 'c', "CNI_CONTAINERID" },
			  { 'n', "CNI_NETNS" },
			  { 'i', "CNI_IFNAME" },
			  { 'p', "CNI_PATH" },
			  { 'u', "CNI_ARGS" } };
	struct environment environment;
	struct cni_error err;

	(void)state;
	for (size_t c = 0; c < array_length(cases); c++) {
		assert_int_equal(READ_WITH(&environment, &err, cases[c].command), 0);
		assert_string_equal(environment_command_name(environment.command), cases[c].command + 12);
		environment_free(&environment);
		for (size_t v = 0; v < array_length(variables); v++) {
			int result = READ_WITH(&environment, &err, cases[c].command, variables[v].name);
			assert_int_equal(result, strchr(cases[c].needs, variables[v].letter) ? -1 : 0);
			if (result < 0) {
				assert_int_equal(err.code, CNI_INVALID_ENVIRONMENT);
				assert_non_null(strstr(err.message, variables[v].name));
			} else {
				environment_free(&environment);
			}
		}
	}
}

static void test_all_that_is_missing_is_named_at_once(void **state)
{
	struct environment environment;
	struct cni_error err;

	(void)state;
	assert_int_equal(READ_WITH(&environment, &err, "CNI_NETNS", "CNI_IFNAME=", "CNI_PATH"), -1);
	assert_string_equal(err.message, "ADD needs CNI_NETNS CNI_IFNAME CNI_PATH, which the runtime did not set");
}

static void test_an_unknown_command_is_refused(void **state)
{
	struct environment environment;
	struct cni_error err;

	(void)state;
	assert_int_equal(READ_WITH(&environment, &err, "CNI_COMMAND=add"), -1);
	assert_int_equal(err.code, CNI_INVALID_ENVIRONMENT);
	assert_non_null(strstr(err.message, "CNI_COMMAND=add"));
	assert_int_equal(READ_WITH(&environment, &err, "CNI_COMMAND"), -1);
	assert_non_null(strstr(err.message, "CNI_COMMAND is not set"));
}

static void test_values_are_those_of_the_specification(void **state)
{
	static const char *const bad[] = { "CNI_CONTAINERID=-a",
					   "CNI_CONTAINERID=../x",
					   "CNI_CONTAINERID=a b",
					   "CNI_CONTAINERID=a/",
					   "CNI_IFNAME=.",
					   "CNI_IFNAME=..",
					   "CNI_IFNAME=a/b",
					   "CNI_IFNAME=a:b",
					   "CNI_IFNAME=a b",
					   "CNI_IFNAME=a\nb",
					   "CNI_IFNAME=0123456789abcdef",
					   "CNI_IFNAME=\xff" };
	struct environment environment;
	struct cni_error err;
	char id[300] = "CNI_CONTAINERID=";

	(void)state;
	for (size_t i = 0; i < array_length(bad); i++) {
		if (READ_WITH(&environment, &err, bad[i]) == 0)
			fail_msg("accepted %s", bad[i]);
		assert_int_equal(err.code, CNI_INVALID_ENVIRONMENT);
	}
	memset(id + strlen(id), 'a', 255);
	assert_int_equal(READ_WITH(&environment, &err, "CNI_IFNAME=0123456789abcde", id), 0);
	environment_free(&environment);
	strcat(id, "a");
	assert_int_equal(READ_WITH(&environment, &err, id), -1);
}

static void test_a_pod_that_cannot_be_one_is_only_refused_to_add(void **state)
{
	static const char *const bad[] = {
		"CNI_ARGS=K8S_POD_NAMESPACE=a;K8S_POD_NAME=b",
		"CNI_ARGS=K8S_POD_NAMESPACE=a;K8S_POD_NAME=b;K8S_POD_UID=",
		"CNI_ARGS=K8S_POD_NAMESPACE=a;K8S_POD_NAME=b;XK8S_POD_UID=c",
		"CNI_ARGS=K8S_POD_NAMESPACE=a;K8S_POD_NAME=b;K8S_POD_UID=c d",
		"CNI_ARGS=K8S_POD_NAMESPACE=a;K8S_POD_NAME=b;K8S_POD_UID=../c",
		"CNI_ARGS=K8S_POD_NAMESPACE=a;K8S_POD_NAME=b;K8S_POD_UID",
		"CNI_ARGS=;;;",
	};
	struct environment environment;
	struct cni_error err;

	(void)state;
	for (size_t i = 0; i < array_length(bad); i++) {
		if (READ_WITH(&environment, &err, bad[i]) == 0)
			fail_msg("accepted %s", bad[i]);
		assert_int_equal(err.code, CNI_INVALID_ENVIRONMENT);
		assert_non_null(strstr(err.message, "CNI_ARGS"));
		assert_non_null(strstr(err.details, "K8S_POD_UID"));
		assert_int_equal(READ_WITH(&environment, &err, "CNI_COMMAND=DEL", bad[i]), 0);
		assert_string_equal(environment.pod_uid, "");
		environment_free(&environment);
	}
}

static void test_of_an_argument_given_twice_the_last_counts(void **state)
{
	struct environment environment;
	struct cni_error err;

	(void)state;
	assert_int_equal(READ_WITH(&environment, &err,
				   "CNI_ARGS=K8S_POD_UID=1;K8S_POD_NAME=b;K8S_POD_NAMESPACE=a;K8S_POD_UID=2;"),
			 0);
	assert_string_equal(environment.pod_uid, "2");
	environment_free(&environment);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_the_runtime_says_is_read),
		cmocka_unit_test(test_each_command_needs_what_the_specification_says),
		cmocka_unit_test(test_all_that_is_missing_is_named_at_once),
		cmocka_unit_test(test_an_unknown_command_is_refused),
		cmocka_unit_test(test_values_are_those_of_the_specification),
		cmocka_unit_test(test_a_pod_that_cannot_be_one_is_only_refused_to_add),
		cmocka_unit_test(test_of_an_argument_given_twice_the_last_counts),
	};

	return cmocka_run_group_tests_name("environment", tests, NULL, NULL);
}
