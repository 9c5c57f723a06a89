#undef NDEBUG
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "base/mem.h"
#include "tests/mock/identity.h"
#include "ufmsync/kube/config.h"

static char folder[64];
static struct identity ca, client;
static char *ca_data, *cert_data, *key_data; /* base64 */

static char *base64(const char *text)
{
	char *out = mem_alloc(strlen(text) * 2);

	EVP_EncodeBlock((unsigned char *)out, (const unsigned char *)text, (int)strlen(text));
	return out;
}

static char *path_of(const char *name)
{
	static char path[256];

	snprintf(path, sizeof path, "%s/%s", folder, name);
	return path;
}

static char *put(const char *name, const char *text)
{
	FILE *f = fopen(path_of(name), "w");

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
	return path_of(name);
}

static int group_setup(void **state)
{
	struct error err;

	(void)state;
	if (identity_new_ca(&ca, "test ca", &err) < 0 || identity_issue(&client, &ca, "client", NULL, &err) < 0)
		return -1;
	ca_data = base64(ca.cert);
	cert_data = base64(client.cert);
	key_data = base64(client.key);
	return 0;
}

static int group_teardown(void **state)
{
	(void)state;
	identity_free(&ca);
	identity_free(&client);
	free(ca_data);
	free(cert_data);
	free(key_data);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	snprintf(folder, sizeof folder, "/tmp/ufmsync-config-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

static int teardown(void **state)
{
	(void)state;
	return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* A kubeconfig with this cluster and user. */
static char *kubeconfig(const char *cluster, const char *user)
{
	char *text = mem_printf("apiVersion: v1\nkind: Config\ncurrent-context: here\npreferences: {}\n"
				"contexts:\n- name: here\n  context: {cluster: c, user: u, namespace: team}\n"
				"- name: other\n  context: {cluster: c2, user: u}\n"
				"clusters:\n- name: c\n  cluster:\n    %s\n"
				"users:\n- name: u\n  user:\n    %s\n",
				cluster, user);
	char *path = put("config", text);

	free(text);
	return path;
}

static struct kube_config *loaded(const char *path, const char *context)
{
	struct kube_config *config = NULL;
	struct error err = { 0 };

	if (kube_config_load(&config, path, context, &err) < 0)
		print_message("%s\n", err.text);
	assert_non_null(config);
	return config;
}

/* %s in `wanted` stands for the kubeconfig's path. */
static void assert_refused(const char *path, const char *context, const char *wanted)
{
	struct kube_config *config = NULL;
	struct error err;
	char *text = strstr(wanted, "%s") ? mem_printf("%.*s%s%s", (int)(strstr(wanted, "%s") - wanted), wanted, path,
						       strstr(wanted, "%s") + 2)
					  : mem_dup(wanted);

	assert_int_equal(kube_config_load(&config, path, context, &err), -1);
	assert_null(config);
	assert_string_equal(err.text, text);
	free(text);
}

static void test_a_token_and_a_ca_inline(void **state)
{
	char *cluster = mem_printf(
		"{server: 'https://[::1]:6443/', certificate-authority-data: %s, tls-server-name: kubernetes}",
		ca_data);
	struct kube_config *config = loaded(kubeconfig(cluster, "{token: \"abc.def\\n\"}"), NULL);
	(void)state;
	assert_string_equal(config->server, "https://[::1]:6443");
	assert_string_equal(config->ca, ca.cert);
	assert_string_equal(config->tls_name, "kubernetes");
	assert_string_equal(config->token, "abc.def");
	assert_string_equal(config->namespace, "team");
	assert_null(config->cert);
	assert_null(config->username);
	assert_false(config->insecure);
	char *origin = mem_printf("kubeconfig %s, context here", path_of("config"));
	assert_string_equal(config->origin, origin);
	free(origin);
	kube_config_free(config);
	kube_config_free(NULL);
	free(cluster);
}

static void test_files_are_relative_to_the_kubeconfig(void **state)
{
	(void)state;
	mkdir(path_of("pki"), 0700);
	put("pki/ca.pem", ca.cert);
	put("pki/c.pem", client.cert);
	put("pki/c.key", client.key);
	put("t", "file-token\n");
	struct kube_config *config =
		loaded(kubeconfig("{server: https://h, certificate-authority: pki/ca.pem}",
				  "{client-certificate: ./pki/c.pem, client-key: pki/c.key, tokenFile: t}"),
		       NULL);
	assert_string_equal(config->ca, ca.cert);
	assert_string_equal(config->cert, client.cert);
	assert_string_equal(config->key, client.key);
	assert_string_equal(config->token_file, path_of("t"));
	assert_null(config->token);
	kube_config_free(config);
}

static void test_data_wins_over_a_file(void **state)
{
	char *user = mem_printf("{client-certificate: gone, client-certificate-data: %s, client-key-data: %s, "
				"username: a, password: b}",
				cert_data, key_data);
	struct kube_config *config =
		loaded(kubeconfig("{server: 'http://127.0.0.1:8001', insecure-skip-tls-verify: true}", user), NULL);
	(void)state;
	assert_string_equal(config->cert, client.cert);
	assert_string_equal(config->key, client.key);
	assert_string_equal(config->username, "a");
	assert_string_equal(config->password, "b");
	assert_true(config->insecure);
	kube_config_free(config);
	free(user);
}

static void test_json_is_a_kubeconfig_too(void **state)
{
	struct kube_config *config =
		loaded(put("config",
			   "{\"current-context\":\"x\",\"contexts\":[{\"name\":\"x\",\"context\":{\"cluster\":\"c\"}}],"
			   "\"clusters\":[{\"name\":\"c\",\"cluster\":{\"server\":\"https:\\/\\/h:1\"}}]}"),
		       NULL);
	(void)state;
	assert_string_equal(config->server, "https://h:1");
	assert_null(config->token);
	kube_config_free(config);
}

static void test_the_context_can_be_chosen(void **state)
{
	struct kube_config *config = loaded(
		put("config", "current-context: a\n"
			      "contexts:\n- {name: a, context: {cluster: a}}\n- {name: b, context: {cluster: b}}\n"
			      "clusters:\n- {name: a, cluster: {server: https://a}}\n"
			      "- {name: b, cluster: {server: https://b}}\n"),
		"b");
	(void)state;
	assert_string_equal(config->server, "https://b");
	assert_null(config->namespace);
	kube_config_free(config);
}

static void test_a_context_that_is_not_there_is_named_with_those_that_are(void **state)
{
	(void)state;
	assert_refused(put("config", "contexts:\n- {name: a}\n- {name: b}\n"), NULL,
		       "kubeconfig %s: current-context is not set; there are the contexts: a, b");
	assert_refused(put("config", "{}"), NULL, "kubeconfig %s: current-context is not set; there is no context ");
	assert_refused(put("config", "current-context: x\ncontexts: [{name: a}]"), NULL,
		       "kubeconfig %s: there is no context \"x\"; there are: a");
	assert_refused(put("config", "contexts: [{name: a}]"), "a", "kubeconfig %s: context \"a\" has no content");
	assert_refused(put("config", "[]"), NULL, "kubeconfig %s: not a mapping of names to values");
	assert_refused(put("config", "a: b: c"), NULL,
		       "kubeconfig %s: line 1 column 5: mapping values are not allowed in this context");
	assert_refused(kubeconfig("{server: https://h}", "{}"), "other",
		       "kubeconfig %s, context other: there is no cluster \"c2\"; there are: c");
	assert_refused(put("config", "current-context: a\ncontexts: [{name: a, context: {}}]"), NULL,
		       "kubeconfig %s, context a: it names no cluster");
}

static void test_a_field_that_cannot_be_used_is_named(void **state)
{
	static const struct {
		const char *cluster, *user, *why;
	} cases[] = {
		{ "{}", "{}", "cluster \"c\": server: not set; https://host:port is expected" },
		{ "{server: 6443}", "{}", "cluster \"c\": server: \"6443\" is not https://host[:port]" },
		{ "{server: [x]}", "{}", "cluster \"c\": server: a text is expected" },
		{ "{server: 'https://a:b@h'}", "{}",
		  "cluster \"c\": server: not https://host[:port]: '@', '?', '#', '\"', '\\' and blanks have no place "
		  "in it" },
		{ "{server: https://h, proxy-url: 'http://p'}", "{}",
		  "cluster \"c\": proxy-url: not supported; the API server must be reachable directly" },
		{ "{server: https://h, insecure-skip-tls-verify: \"yes\"}", "{}",
		  "cluster \"c\": insecure-skip-tls-verify: true or false is expected" },
		{ "{server: https://h, certificate-authority-data: '?'}", "{}",
		  "cluster \"c\": certificate-authority-data: neither PEM nor base64 of PEM" },
		{ "{server: https://h, certificate-authority: /gone/ca}", "{}",
		  "cluster \"c\": certificate-authority: /gone/ca: No such file or directory" },
		{ "{server: https://h, certificate-authority: /dev/null}", "{}",
		  "cluster \"c\": certificate-authority: /dev/null: not a regular file" },
		{ "{server: https://h}", "{exec: {command: aws}}",
		  "user \"u\": exec: credential plugins are not run; give token, tokenFile or client-certificate and "
		  "client-key instead "
		  "(a service account's: kubectl create token)" },
		{ "{server: https://h}", "{auth-provider: {name: gcp}}",
		  "user \"u\": auth-provider: credential plugins are not run; give token, tokenFile or "
		  "client-certificate and client-key "
		  "instead (a service account's: kubectl create token)" },
		{ "{server: https://h}", "{as: admin}", "user \"u\": as: impersonation is not supported" },
		{ "{server: https://h}", "{token: \"a b\"}",
		  "user \"u\": token: the token holds a character that no token has" },
		{ "{server: https://h}", "{token: \"a\\r\\nX: y\"}",
		  "user \"u\": token: the token holds a character that no token has" },
		{ "{server: https://h}", "{tokenFile: /gone/t}",
		  "user \"u\": tokenFile: /gone/t: No such file or directory" },
		{ "{server: https://h}", "{username: 'a:b', password: c}",
		  "user \"u\": username: holds a ':', which basic authentication cannot carry" },
	};
	(void)state;
	for (size_t i = 0; i < array_length(cases); i++) {
		char *wanted = mem_printf("kubeconfig %%s, context here: %s", cases[i].why);
		assert_refused(kubeconfig(cases[i].cluster, cases[i].user), NULL, wanted);
		free(wanted);
	}
	char *user = mem_printf("{client-certificate-data: %s}", cert_data);
	assert_refused(kubeconfig("{server: https://h}", user), NULL,
		       "kubeconfig %s, context here: user \"u\": client-key: not set, although client-certificate is; "
		       "both or none");
	free(user);
	user = mem_printf("{client-certificate-data: %s, client-key-data: %s}", cert_data, cert_data);
	assert_refused(kubeconfig("{server: https://h}", user), NULL,
		       "kubeconfig %s, context here: user \"u\": client-key-data: no private key that parses");
	free(user);
	char *cluster = mem_printf(
		"{server: https://h, insecure-skip-tls-verify: true, certificate-authority-data: %s}", ca_data);
	assert_refused(kubeconfig(cluster, "{}"), NULL,
		       "kubeconfig %s, context here: cluster \"c\": certificate-authority and insecure-skip-tls-verify "
		       "contradict each "
		       "other: take one away");
	free(cluster);
}

static void test_a_file_that_cannot_be_read_is_named(void **state)
{
	(void)state;
	assert_refused("/gone/config", NULL, "kubeconfig: /gone/config: No such file or directory");
	assert_refused(
		"/gone/a:/gone/b", NULL,
		"kubeconfig (one file is expected, not a list of files): /gone/a:/gone/b: No such file or directory");
	assert_refused(folder, NULL, "kubeconfig: %s: not a regular file");
}

static void test_inside_a_cluster_the_service_account_says_it_all(void **state)
{
	struct kube_config *config;
	struct error err;
	(void)state;
	put("token", "jwt.jwt.jwt");
	put("ca.crt", ca.cert);
	put("namespace", "infra\n");
	assert_int_equal(kube_config_in_cluster(&config, folder, "10.0.0.1", "443", &err), 0);
	assert_string_equal(config->server, "https://10.0.0.1:443");
	assert_string_equal(config->token_file, path_of("token"));
	assert_string_equal(config->ca, ca.cert);
	assert_string_equal(config->namespace, "infra");
	assert_string_equal(config->origin, "in-cluster");
	kube_config_free(config);
	assert_int_equal(kube_config_in_cluster(&config, folder, "fd00::1", "443", &err), 0);
	assert_string_equal(config->server, "https://[fd00::1]:443");
	kube_config_free(config);
	unlink(path_of("namespace"));
	assert_int_equal(kube_config_in_cluster(&config, folder, "h", "443", &err), 0);
	assert_null(config->namespace);
	kube_config_free(config);
}

static void test_half_a_service_account_is_an_error(void **state)
{
	struct kube_config *config;
	struct error err;
	(void)state;
	assert_int_equal(kube_config_in_cluster(&config, folder, NULL, "443", &err), -1);
	assert_memory_equal(err.text, "not in a cluster", 16);
	assert_int_equal(kube_config_in_cluster(&config, folder, "h", "443", &err), -1);
	assert_non_null(strstr(err.text, "token: No such file"));
	put("token", " \n");
	assert_int_equal(kube_config_in_cluster(&config, folder, "h", "443", &err), -1);
	assert_non_null(strstr(err.text, "the token is empty"));
	put("token", "t");
	assert_int_equal(kube_config_in_cluster(&config, folder, "h", "443", &err), -1);
	assert_non_null(strstr(err.text, "ca.crt: No such file"));
	put("ca.crt", "x");
	assert_int_equal(kube_config_in_cluster(&config, folder, "h", "443", &err), -1);
	assert_non_null(strstr(err.text, "no certificate"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_token_and_a_ca_inline, setup, teardown),
		cmocka_unit_test_setup_teardown(test_files_are_relative_to_the_kubeconfig, setup, teardown),
		cmocka_unit_test_setup_teardown(test_data_wins_over_a_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_json_is_a_kubeconfig_too, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_context_can_be_chosen, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_context_that_is_not_there_is_named_with_those_that_are, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_a_field_that_cannot_be_used_is_named, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_file_that_cannot_be_read_is_named, setup, teardown),
		cmocka_unit_test_setup_teardown(test_inside_a_cluster_the_service_account_says_it_all, setup, teardown),
		cmocka_unit_test_setup_teardown(test_half_a_service_account_is_an_error, setup, teardown),
	};
	return cmocka_run_group_tests_name("config", tests, group_setup, group_teardown);
}
