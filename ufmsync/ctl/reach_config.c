#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/mem.h"
#include "ufmsync/ctl/credential.h"
#include "ufmsync/ctl/reach_private.h"
#include "ufmsync/kube/kubeconfig.h"
#include "ufmsync/kube/text_file.h"
#include "ufmsync/kube/yaml.h"

/* Where the API server is, and who we are there: what kubectl would take. */

enum { MARGIN_MS = 10 * 1000 };

static bool can_read(const char *path)
{
	return access(path, R_OK) == 0;
}

/* --kubeconfig, KUBECONFIG, ~/.kube/config; NULL: in the cluster. */
static int choose_file(char **path, const char *given, struct error *err)
{
	const char *variable = getenv("KUBECONFIG"), *home = getenv("HOME");

	*path = mem_dup(given);
	if (given)
		return 0;
	if (variable && *variable) {
		if (reach_choose_kubeconfig(path, variable, can_read, err) < 0)
			return -1;
		if (!*path)
			return error_set(err, ERROR_INVALID, "KUBECONFIG: %.200s cannot be read", variable);
		return 0;
	}
	if (!home || !*home)
		return 0;
	*path = mem_printf("%s/.kube/config", home);
	if (!can_read(*path)) {
		free(*path);
		*path = NULL;
	}
	return 0;
}

/* The kubeconfig's text with what its credential plugin gives in the plugin's place; as it is where there is none, or where
 * it is not readable: kubeconfig_parse() says so better. */
static int fill_credential(struct reach *reach, char **text, const char *path, struct error *err)
{
	const char *slash = strrchr(path, '/');
	__attribute__((cleanup(mem_freep))) char *folder =
		slash ? mem_dup_n(path, (size_t)(slash - path)) : mem_dup(".");
	struct error unreadable;
	json_t *root = yaml_parse(*text, strlen(*text), &unreadable);
	json_t *user = credential_user(root, reach->options->context);
	int status = 0;

	reach->config_until_ms = INT64_MAX;
	if (credential_has_plugin(user)) {
		status = credential_fill(user, folder, &reach->config_until_ms, err);
		char *filled = json_dumps(root, JSON_COMPACT);
		assert(filled);
		mem_wipe_free(*text);
		*text = filled;
	}
	yaml_wipe(root);
	return status < 0 ? error_wrap(err, "kubeconfig %.200s", path) : 0;
}

static int load_file(struct reach *reach, const char *path, struct error *err)
{
	char *text;

	if (text_file_read(&text, path, KUBE_CONFIG_FILE_MAX, err) < 0)
		return error_wrap(err, "kubeconfig");
	int status = fill_credential(reach, &text, path, err);
	if (status == 0)
		status = kubeconfig_parse(&reach->config, text, strlen(text), path, reach->options->context, err);
	mem_wipe_free(text);
	return status;
}

static int load_config(struct reach *reach, struct error *err)
{
	__attribute__((cleanup(mem_freep))) char *path = NULL;

	if (choose_file(&path, reach->options->kubeconfig, err) < 0)
		return -1;
	if (path)
		return load_file(reach, path, err);
	reach->config_until_ms = INT64_MAX;
	return kube_config_load(&reach->config, NULL, NULL, err);
}

int reach_open_kube(struct reach *reach, struct error *err)
{
	if (reach->kube && loop_wall_ms() < reach->config_until_ms - MARGIN_MS)
		return 0;
	kube_free(reach->kube);
	kube_config_free(reach->config);
	reach->kube = NULL;
	reach->config = NULL;
	if (load_config(reach, err) < 0)
		return -1;
	return kube_new(&reach->kube, reach->loop, reach->config, "ufmsyncctl/" UFMSYNC_VERSION, err);
}

/* Of the context, without asking anybody who we are. */
static char *namespace_of_file(const char *path, const char *context)
{
	struct error ignored;
	char *text, *namespace = NULL;

	if (text_file_read(&text, path, KUBE_CONFIG_FILE_MAX, &ignored) < 0)
		return NULL;
	json_t *root = yaml_parse(text, strlen(text), &ignored);
	const json_t *contexts = json_object_get(root, "contexts");
	const char *chosen = context ? context : json_str(root, "current-context", NULL);
	for (size_t i = 0; chosen && i < json_array_size(contexts); i++) {
		const json_t *one = json_array_get(contexts, i);
		const char *name = json_str(one, "name", NULL), *said = json_str(one, "context", "namespace", NULL);
		if (name && strcmp(name, chosen) == 0 && said && *said && !namespace)
		namespace = mem_dup(said);
	}
	yaml_wipe(root);
	mem_wipe_free(text);
	return namespace;
}

const char *reach_namespace(struct reach *reach)
{
	__attribute__((cleanup(mem_freep))) char *path = NULL;
	struct kube_config *config;
	struct error ignored;

	if (reach->namespace || choose_file(&path, reach->options->kubeconfig, &ignored) < 0)
		return reach->namespace;
	if (path) {
		reach->namespace = namespace_of_file(path, reach->options->context);
	} else if (kube_config_load(&config, NULL, NULL, &ignored) == 0) {
		reach->namespace = mem_dup(config->namespace);
		kube_config_free(config);
	}
	return reach->namespace;
}
