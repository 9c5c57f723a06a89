#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Credential plugins of a kubeconfig (`exec` of a user: OIDC, clouds), which only this tool runs: the service never does.
 * Protocol client.authentication.k8s.io/v1 and v1beta1. */

/* The user of that context (NULL: the current one) in a kubeconfig's mapping.  Borrowed; NULL: there is none. */
json_t *credential_user(const json_t *root, const char *context);
/* The user has a plugin. */
bool credential_has_plugin(const json_t *user);

/* What the plugin is told: {"kind":"ExecCredential","apiVersion","spec":{"interactive"}}.  The caller frees it. */
char *credential_request(const json_t *exec, bool interactive);
/* Puts what the plugin printed in the place of `exec`: token, client certificate and key.  *until_ms: when it ends, in ms since
 * 1970; INT64_MAX: not said. */
int credential_take(json_t *user, const char *text, size_t len, int64_t *until_ms, struct error *err);

/* Runs the plugin, whose stderr (and, where it asks, stdin) are ours, and takes what it prints.  `folder`: what a relative
 * command starts from. */
int credential_fill(json_t *user, const char *folder, int64_t *until_ms, struct error *err);
