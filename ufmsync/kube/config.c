#include "ufmsync/kube/config.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "secrets/pem.h"
#include "ufmsync/kube/kubeconfig.h"
#include "ufmsync/kube/text_file.h"

static const char service_account[] = "/var/run/secrets/kubernetes.io/serviceaccount";

void kube_config_free(struct kube_config *config)
{
	if (!config)
		return;
	free(config->server);
	free(config->ca);
	free(config->tls_name);
	mem_wipe_free(config->token);
	free(config->token_file);
	free(config->cert);
	mem_wipe_free(config->key);
	free(config->username);
	mem_wipe_free(config->password);
	free(config->namespace);
	free(config->origin);
	free(config);
}

int kube_config_load(struct kube_config **ret, const char *path, const char *context, struct error *err)
{
	char *text;

	if (!path)
		return kube_config_in_cluster(ret, NULL, getenv("KUBERNETES_SERVICE_HOST"),
					      getenv("KUBERNETES_SERVICE_PORT"), err);
	if (text_file_read(&text, path, KUBE_CONFIG_FILE_MAX, err) < 0)
		return error_wrap(err, "kubeconfig%s",
				  strchr(path, ':') ? " (one file is expected, not a list of files)" : "");
	int status = kubeconfig_parse(ret, text, strlen(text), path, context, err);
	mem_wipe_free(text);
	return status;
}

static int read_token(const char *path, struct error *err)
{
	char *token;

	if (text_file_read(&token, path, KUBE_CONFIG_TOKEN_MAX, err) < 0)
		return -1;
	int status = kube_config_check_token(token, err);
	mem_wipe_free(token);
	return status < 0 ? error_wrap(err, "%s", path) : 0;
}

static int read_ca(char **ca, const char *folder, struct error *err)
{
	__attribute__((cleanup(mem_freep))) char *path = mem_printf("%s/ca.crt", folder);

	if (text_file_read(ca, path, KUBE_CONFIG_FILE_MAX, err) < 0)
		return -1;
	return pem_check_certificate(*ca, err) < 0 ? error_wrap(err, "%s", path) : 0;
}

/* Missing is fine: not every token comes with one. */
static char *read_namespace(const char *folder)
{
	__attribute__((cleanup(mem_freep))) char *path = mem_printf("%s/namespace", folder);
	struct error missing;
	char *namespace;

	if (text_file_read(&namespace, path, 256, &missing) < 0)
		return NULL;
	namespace[strcspn(namespace, " \t\r\n")] = '\0';
	if (*namespace)
		return namespace;
	free(namespace);
	return NULL;
}

int kube_config_in_cluster(struct kube_config **ret, const char *folder, const char *host, const char *port,
			   struct error *err)
{
	if (!host || !*host || !port || !*port)
		return error_set(
			err, ERROR_INVALID,
			"not in a cluster (KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set), and no "
			"kubeconfig was named: set KUBECONFIG");
	if (!folder)
		folder = service_account;
	struct kube_config *config = mem_alloc(sizeof *config);
	config->origin = mem_dup("in-cluster");
	config->server = mem_printf(strchr(host, ':') ? "https://[%s]:%s" : "https://%s:%s", host, port);
	config->token_file = mem_printf("%s/token", folder);
	config->namespace = read_namespace(folder);
	if (kube_config_check_server(config->server, err) < 0 || read_token(config->token_file, err) < 0 ||
	    read_ca(&config->ca, folder, err) < 0) {
		kube_config_free(config);
		return error_wrap(err, "in-cluster");
	}
	*ret = config;
	return 0;
}
