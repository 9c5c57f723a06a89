#pragma once

#include <stddef.h>

#include "base/error.h"
#include "ufmsync/kube/config.h"

/* What a kubeconfig's text says of one context (NULL: its current one).  `path` is for messages, and its folder is what
 * relative file names start from.  Reads the files that the text names. */
int kubeconfig_parse(struct kube_config **ret, const char *text, size_t len, const char *path, const char *context,
		     struct error *err);

/* For both ways to a configuration. */
int kube_config_check_server(const char *server, struct error *err);
/* Without the line end behind it; ERROR_INVALID when it could not stand in a header. */
int kube_config_check_token(char *token, struct error *err);
enum { KUBE_CONFIG_FILE_MAX = 1 << 20, KUBE_CONFIG_TOKEN_MAX = 64 << 10 };
