#pragma once

#include <stdbool.h>

#include "base/error.h"

/* Where the API server is and how we show who we are: from a kubeconfig file or from inside a cluster. */
struct kube_config {
	char *server;              /* "https://10.0.0.1:443", no slash at the end */
	char *ca;                  /* PEM; NULL: the system's CAs */
	char *tls_name;            /* tls-server-name; NULL: the server's host */
	bool insecure;             /* insecure-skip-tls-verify: honoured; the caller warns */
	char *token;               /* NULL: none, or token_file */
	char *token_file;          /* read anew at least every minute: kubelet rotates it */
	char *cert, *key;          /* PEM of the client certificate; NULL: none */
	char *username, *password; /* basic; NULL: none */
	char *namespace;           /* of the context, or of the service account; NULL: not said */
	char *origin;              /* for messages: "kubeconfig /etc/x, context y", "in-cluster" */
};

/* `path` NULL: in-cluster (KUBERNETES_SERVICE_HOST/_PORT and the service account's folder, `folder` NULL: the usual
 * one).  `context` NULL: the file's current one.  Relative file names are relative to the kubeconfig.  exec and
 * auth-provider plugins are refused with what to do.  ERROR_INVALID names file, context and field. */
int kube_config_load(struct kube_config **ret, const char *path, const char *context, struct error *err);
int kube_config_in_cluster(struct kube_config **ret, const char *folder, const char *host, const char *port,
			   struct error *err);
void kube_config_free(struct kube_config *config); /* wipes secrets; NULL is fine */
