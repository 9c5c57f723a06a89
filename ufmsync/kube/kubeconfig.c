#include "ufmsync/kube/kubeconfig.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "secrets/pem.h"
#include "ufmsync/kube/text_file.h"
#include "ufmsync/kube/yaml.h"

/* Absent, null and "" are all "not said": *out is NULL then. */
static int read_text(char **out, const json_t *object, const char *key, struct error *err)
{
	const json_t *value = json_object_get(object, key);
	const char *text = json_str(value, NULL);

	*out = NULL;
	if (!value || json_is_null(value))
		return 0;
	if (!text)
		return error_set(err, ERROR_INVALID, "%s: a text is expected", key);
	if (*text)
		*out = mem_dup(text);
	return 0;
}

static int read_bool(bool *out, const json_t *object, const char *key, struct error *err)
{
	const json_t *value = json_object_get(object, key);

	*out = json_is_true(value);
	if (value && !json_is_boolean(value) && !json_is_null(value))
		return error_set(err, ERROR_INVALID, "%s: true or false is expected", key);
	return 0;
}

static bool is_said(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	const char *text = json_str(value, NULL);

	return value && !json_is_null(value) && !(text && !*text);
}

/* --- lists of named things --- */

static const json_t *find_named(const json_t *list, const char *name)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *other = json_str(json_array_get(list, i), "name", NULL);
		if (other && strcmp(other, name) == 0)
			return json_array_get(list, i);
	}
	return NULL;
}

/* "a, b, c": what could have been said, as far as a message has room. */
static char *name_all(const json_t *list)
{
	enum { NAMES_MAX = 8 };
	char *names = mem_dup("");

	for (size_t i = 0, n = 0; i < json_array_size(list) && n <= NAMES_MAX; i++) {
		const char *name = json_str(json_array_get(list, i), "name", NULL);
		if (!name)
			continue;
		char *longer = mem_printf("%s%s%.64s", names, n > 0 ? ", " : "", n == NAMES_MAX ? "..." : name);
		free(names);
		names = longer;
		n++;
	}
	return names;
}

static int unknown(struct error *err, const json_t *list, const char *kind, const char *name)
{
	__attribute__((cleanup(mem_freep))) char *names = name_all(list);

	return error_set(err, ERROR_INVALID, "there is no %s \"%s\"; there %s %s", kind, name,
			 *names ? "are:" : "is none", names);
}

/* The `kind` ("cluster") of that name in `kind`s of the file; its content stands under the same word. */
static int find_part(const json_t **part, const json_t *root, const char *kind, const char *name, struct error *err)
{
	__attribute__((cleanup(mem_freep))) char *plural = mem_printf("%ss", kind);
	const json_t *list = json_object_get(root, plural);
	const json_t *found = find_named(list, name);

	if (!found)
		return unknown(err, list, kind, name);
	*part = json_object_get(found, kind);
	if (!json_is_object(*part))
		return error_set(err, ERROR_INVALID, "%s \"%s\" has no content", kind, name);
	return 0;
}

/* --- certificates, keys, tokens: inline or in a file --- */

/* Relative names start from the folder of the kubeconfig. */
static char *beside(const char *path, const char *name)
{
	const char *slash = strrchr(path, '/');

	if (name[0] == '/' || !slash)
		return mem_dup(name);
	return mem_printf("%.*s/%s", (int)(slash - path), path, name);
}

static int read_pem_file(char **out, const char *key, const char *path, const char *name, struct error *err)
{
	__attribute__((cleanup(mem_freep))) char *file = beside(path, name);

	return text_file_read(out, file, KUBE_CONFIG_FILE_MAX, err) < 0 ? error_wrap(err, "%s", key) : 0;
}

/* `key`-data wins over `key`, which names a file. */
static int read_pem(char **out, const json_t *object, const char *key, const char *path,
		    int check(const char *pem, struct error *err), struct error *err)
{
	__attribute__((cleanup(mem_freep))) char *data_key = mem_printf("%s-data", key);
	char *data = NULL, *name = NULL;
	const char *origin = data_key;
	int status = read_text(&data, object, data_key, err);

	if (status == 0)
		status = read_text(&name, object, key, err);
	if (status == 0 && data) {
		status = pem_decode(out, data, err) < 0 ? error_wrap(err, "%s", data_key) : 0;
	} else if (status == 0 && name) {
		origin = key;
		status = read_pem_file(out, key, path, name, err);
	}
	if (status == 0 && *out && check(*out, err) < 0)
		status = error_wrap(err, "%s", origin);
	mem_wipe_free(data);
	free(name);
	return status;
}

int kube_config_check_token(char *token, struct error *err)
{
	size_t len = strlen(token);

	while (len > 0 && strchr(" \t\r\n", token[len - 1]))
		token[--len] = '\0';
	if (len == 0)
		return error_set(err, ERROR_INVALID, "the token is empty");
	for (size_t i = 0; i < len; i++) {
		if (token[i] <= ' ' || token[i] > '~')
			return error_set(err, ERROR_INVALID, "the token holds a character that no token has");
	}
	return 0;
}

static int read_token_file(struct kube_config *config, const json_t *user, const char *path, struct error *err)
{
	__attribute__((cleanup(mem_freep))) char *name = NULL;
	char *token = NULL;

	if (read_text(&name, user, "tokenFile", err) < 0)
		return -1;
	if (!name)
		return 0;
	config->token_file = beside(path, name);
	int status = text_file_read(&token, config->token_file, KUBE_CONFIG_TOKEN_MAX, err);
	if (status == 0)
		status = kube_config_check_token(token, err);
	mem_wipe_free(token);
	return status < 0 ? error_wrap(err, "tokenFile") : 0;
}

/* --- cluster and user --- */

int kube_config_check_server(const char *server, struct error *err)
{
	const char *host = strncmp(server, "https://", 8) == 0  ? server + 8
			   : strncmp(server, "http://", 7) == 0 ? server + 7
								: NULL;

	if (!host || !*host || *host == '/')
		return error_set(err, ERROR_INVALID, "server: \"%.200s\" is not https://host[:port]", server);
	for (const char *p = server; *p; p++) {
		if (*p <= ' ' || *p > '~' || strchr("@?#\"\\", *p))
			return error_set(err, ERROR_INVALID,
					 "server: not https://host[:port]: '@', '?', '#', '\"', '\\' and "
					 "blanks have no place in it");
	}
	return 0;
}

static int read_server(struct kube_config *config, const json_t *cluster, struct error *err)
{
	if (read_text(&config->server, cluster, "server", err) < 0)
		return -1;
	if (!config->server)
		return error_set(err, ERROR_INVALID, "server: not set; https://host:port is expected");
	if (kube_config_check_server(config->server, err) < 0)
		return -1;
	for (size_t len = strlen(config->server); len > 0 && config->server[len - 1] == '/'; len--)
		config->server[len - 1] = '\0';
	return 0;
}

static int read_cluster(struct kube_config *config, const json_t *cluster, const char *path, struct error *err)
{
	if (is_said(cluster, "proxy-url"))
		return error_set(err, ERROR_INVALID,
				 "proxy-url: not supported; the API server must be reachable directly");
	if (read_server(config, cluster, err) < 0 ||
	    read_text(&config->tls_name, cluster, "tls-server-name", err) < 0 ||
	    read_bool(&config->insecure, cluster, "insecure-skip-tls-verify", err) < 0 ||
	    read_pem(&config->ca, cluster, "certificate-authority", path, pem_check_certificate, err) < 0)
		return -1;
	if (config->insecure && config->ca)
		return error_set(
			err, ERROR_INVALID,
			"certificate-authority and insecure-skip-tls-verify contradict each other: take one away");
	return 0;
}

static int refuse_foreign_ways(const json_t *user, struct error *err)
{
	static const char *const plugins[] = { "exec", "auth-provider" };
	static const char *const as[] = { "as", "as-uid", "as-groups", "as-user-extra" };

	for (size_t i = 0; i < array_length(plugins); i++) {
		if (is_said(user, plugins[i]))
			return error_set(
				err, ERROR_INVALID,
				"%s: credential plugins are not run; give token, tokenFile or client-certificate and "
				"client-key instead (a service account's: kubectl create token)",
				plugins[i]);
	}
	for (size_t i = 0; i < array_length(as); i++) {
		if (is_said(user, as[i]))
			return error_set(err, ERROR_INVALID, "%s: impersonation is not supported", as[i]);
	}
	return 0;
}

static int read_user(struct kube_config *config, const json_t *user, const char *path, struct error *err)
{
	if (refuse_foreign_ways(user, err) < 0 || read_text(&config->token, user, "token", err) < 0 ||
	    read_token_file(config, user, path, err) < 0 || read_text(&config->username, user, "username", err) < 0 ||
	    read_text(&config->password, user, "password", err) < 0 ||
	    read_pem(&config->cert, user, "client-certificate", path, pem_check_certificate, err) < 0 ||
	    read_pem(&config->key, user, "client-key", path, pem_check_key, err) < 0)
		return -1;
	if (config->token && kube_config_check_token(config->token, err) < 0)
		return error_wrap(err, "token");
	if (!config->cert != !config->key)
		return error_set(err, ERROR_INVALID, "%s: not set, although %s is; both or none",
				 config->cert ? "client-key" : "client-certificate",
				 config->cert ? "client-certificate" : "client-key");
	if (config->username && strchr(config->username, ':'))
		return error_set(err, ERROR_INVALID, "username: holds a ':', which basic authentication cannot carry");
	return 0;
}

/* --- the file --- */

static int read_parts(struct kube_config *config, const json_t *root, const json_t *context, const char *path,
		      struct error *err)
{
	const json_t *cluster, *user;
	const char *cluster_name = json_str(context, "cluster", NULL), *user_name = json_str(context, "user", NULL);

	if (!cluster_name || !*cluster_name)
		return error_set(err, ERROR_INVALID, "it names no cluster");
	if (read_text(&config->namespace, context, "namespace", err) < 0)
		return -1;
	if (find_part(&cluster, root, "cluster", cluster_name, err) < 0)
		return -1;
	if (read_cluster(config, cluster, path, err) < 0)
		return error_wrap(err, "cluster \"%s\"", cluster_name);
	if (!user_name || !*user_name)
		return 0;
	if (find_part(&user, root, "user", user_name, err) < 0)
		return -1;
	return read_user(config, user, path, err) < 0 ? error_wrap(err, "user \"%s\"", user_name) : 0;
}

static int read_root(struct kube_config *config, const json_t *root, const char *path, const char *chosen,
		     struct error *err)
{
	const json_t *context;

	if (!json_is_object(root))
		return error_set(err, ERROR_INVALID, "kubeconfig %s: not a mapping of names to values", path);
	if (!chosen)
		chosen = json_str(root, "current-context", NULL);
	if (!chosen || !*chosen) {
		__attribute__((cleanup(mem_freep))) char *names = name_all(json_object_get(root, "contexts"));
		return error_set(err, ERROR_INVALID, "kubeconfig %s: current-context is not set; there %s %s", path,
				 *names ? "are the contexts:" : "is no context", names);
	}
	config->origin = mem_printf("kubeconfig %s, context %s", path, chosen);
	if (find_part(&context, root, "context", chosen, err) < 0)
		return error_wrap(err, "kubeconfig %s", path);
	return read_parts(config, root, context, path, err) < 0 ? error_wrap(err, "%s", config->origin) : 0;
}

int kubeconfig_parse(struct kube_config **ret, const char *text, size_t len, const char *path, const char *context,
		     struct error *err)
{
	json_t *root = yaml_parse(text, len, err);

	if (!root)
		return error_wrap(err, "kubeconfig %s", path);
	struct kube_config *config = mem_alloc(sizeof *config);
	int status = read_root(config, root, path, context, err);
	yaml_wipe(root);
	if (status < 0)
		kube_config_free(config);
	else
		*ret = config;
	return status;
}
