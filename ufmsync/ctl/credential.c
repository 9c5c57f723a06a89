#include "ufmsync/ctl/credential.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "ufmsync/kube/yaml.h"

static json_t *find_named(const json_t *list, const char *name)
{
	for (size_t i = 0; name && i < json_array_size(list); i++) {
		const char *other = json_str(json_array_get(list, i), "name", NULL);
		if (other && strcmp(other, name) == 0)
			return json_array_get(list, i);
	}
	return NULL;
}

json_t *credential_user(const json_t *root, const char *context)
{
	if (!context)
		context = json_str(root, "current-context", NULL);
	const json_t *found = find_named(json_object_get(root, "contexts"), context);
	const char *name = json_str(found, "context", "user", NULL);

	return json_object_get(find_named(json_object_get(root, "users"), name), "user");
}

bool credential_has_plugin(const json_t *user)
{
	return json_is_object(json_object_get(user, "exec"));
}

char *credential_request(const json_t *exec, bool interactive)
{
	const char *version = json_str(exec, "apiVersion", NULL);
	json_t *request = json_pack("{s:s, s:s, s:{s:b}}", "kind", "ExecCredential", "apiVersion",
				    version ? version : "", "spec", "interactive", interactive);
	char *text = json_dumps(request, JSON_COMPACT);

	json_decref(request);
	return text;
}

static void set_text(json_t *user, const char *key, const char *text)
{
	if (text && *text)
		json_object_set_new(user, key, json_string(text));
}

static int take_status(json_t *user, const json_t *status, int64_t *until_ms, struct error *err)
{
	const char *token = json_str(status, "token", NULL), *until = json_str(status, "expirationTimestamp", NULL);
	const char *cert = json_str(status, "clientCertificateData", NULL);
	const char *key = json_str(status, "clientKeyData", NULL);

	if (!(token && *token) && !(cert && *cert && key && *key))
		return error_set(err, ERROR_AUTH,
				 "it gave neither status.token nor status.clientCertificateData and clientKeyData");
	if (!until || !json_time_ms(until_ms, until))
		*until_ms = INT64_MAX;
	json_object_del(user, "exec");
	set_text(user, "token", token);
	set_text(user, "client-certificate-data", cert);
	set_text(user, "client-key-data", key);
	return 0;
}

int credential_take(json_t *user, const char *text, size_t len, int64_t *until_ms, struct error *err)
{
	const char *version = json_str(user, "exec", "apiVersion", NULL);
	struct error unreadable;
	json_t *given = json_parse(text, len, &unreadable);
	const char *kind = json_str(given, "kind", NULL), *given_version = json_str(given, "apiVersion", NULL);
	int status;

	/* What it printed may hold a secret: none of it is repeated. */
	if (!kind || strcmp(kind, "ExecCredential") != 0)
		status = error_set(err, ERROR_AUTH, "what it printed is no ExecCredential");
	else if (!version || !given_version || strcmp(version, given_version) != 0)
		status = error_set(err, ERROR_AUTH, "what it printed is of another apiVersion than %s",
				   version ? version : "(none)");
	else
		status = take_status(user, json_object_get(given, "status"), until_ms, err);
	yaml_wipe(given);
	return status;
}
