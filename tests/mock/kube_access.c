#include "tests/mock/kube_access.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/json.h"
#include "base/mem.h"
#include "tests/mock/kube_rules.h"

struct mkube_access {
	json_t *identities;
	json_t *issued; /* by TokenRequest: as identities, without access */
};

struct mkube_access *mkube_access_new(void)
{
	struct mkube_access *access = mem_alloc(sizeof *access);

	access->identities = json_array();
	access->issued = json_array();
	return access;
}

void mkube_access_free(struct mkube_access *access)
{
	if (!access)
		return;
	json_decref(access->identities);
	json_decref(access->issued);
	free(access);
}

int mkube_access_set(struct mkube_access *access, const json_t *identities, struct error *err)
{
	size_t i;
	json_t *one;

	if (!json_is_array(identities))
		return error_set(err, ERROR_INVALID, "identities are an array");
	json_array_foreach((json_t *)(uintptr_t)identities, i, one)
	{
		if (!json_str(one, "token", NULL) || !json_str(one, "user", NULL))
			return error_set(err, ERROR_INVALID, "an identity has a token and a user");
	}
	json_decref(access->identities);
	access->identities = json_deep_copy(identities);
	return 0;
}

static bool is(const json_t *identity, const char *key, const char *value)
{
	return value && strcmp(json_str(identity, key, NULL), value) == 0;
}

static const json_t *find_in(const json_t *list, const char *token)
{
	json_t *one;
	size_t i;

	json_array_foreach(list, i, one)
	{
		if (is(one, "token", token))
			return one;
	}
	return NULL;
}

static const json_t *find_token(const struct mkube_access *access, const char *token)
{
	const json_t *found = find_in(access->identities, token);

	return found ? found : find_in(access->issued, token);
}

static bool has(const json_t *list, const char *text)
{
	json_t *one;
	size_t i;

	json_array_foreach(list, i, one)
	{
		if (json_is_string(one) && strcmp(json_string_value(one), text) == 0)
			return true;
	}
	return false;
}

/* Those asked for that the token has.  Without any asked for the API server's own is meant. */
static json_t *common_audiences(const json_t *identity, const json_t *asked)
{
	const json_t *own = json_object_get(identity, "audiences");
	json_t *result = json_array(), *one;
	size_t i;

	if (json_array_size(asked) == 0) {
		if (!own || has(own, "https://kubernetes.default.svc"))
			json_array_append_new(result, json_string("https://kubernetes.default.svc"));
		return result;
	}
	json_array_foreach(asked, i, one)
	{
		if (json_is_string(one) && has(own, json_string_value(one)))
			json_array_append(result, one);
	}
	return result;
}

static void review_token(const struct mkube_access *access, json_t *review)
{
	const char *token = json_str(review, "spec", "token", NULL);
	const json_t *identity = find_token(access, token);
	json_t *audiences = common_audiences(identity, json_at(review, "spec", "audiences", NULL));

	if (!identity || json_array_size(audiences) == 0) {
		json_object_set_new(
			review, "status",
			json_pack("{s:{}, s:s}", "user", "error", "[invalid bearer token, token lookup failed]"));
		json_decref(audiences);
		return;
	}
	json_t *user = json_pack("{s:O}", "username", json_object_get(identity, "user"));
	for (size_t i = 0; i < 3; i++) {
		static const char *const keys[] = { "uid", "groups", "extra" };
		json_t *value = json_object_get(identity, keys[i]);

		if (value)
			json_object_set(user, keys[i], value);
	}
	json_object_set_new(review, "status",
			    json_pack("{s:b, s:o, s:o}", "authenticated", 1, "user", user, "audiences", audiences));
}

/* "/v1/" followed by '*' stands for whatever begins with the rest. */
static bool path_fits(const char *pattern, const char *path)
{
	size_t len = strlen(pattern);

	return len > 0 && pattern[len - 1] == '*' ? strncmp(pattern, path, len - 1) == 0 : strcmp(pattern, path) == 0;
}

static bool allowed(const json_t *identity, const char *verb, const char *path)
{
	json_t *rule;
	size_t i;

	json_array_foreach(json_object_get(identity, "access"), i, rule)
	{
		const char *a_verb = json_str(rule, "verb", NULL), *a_path = json_str(rule, "path", NULL);

		if (verb && path && a_verb && a_path && (strcmp(a_verb, "*") == 0 || strcmp(a_verb, verb) == 0) &&
		    path_fits(a_path, path))
			return true;
	}
	return false;
}

static void review_access(const struct mkube_access *access, json_t *review)
{
	const char *user = json_str(review, "spec", "user", NULL);
	const char *verb = json_str(review, "spec", "nonResourceAttributes", "verb", NULL);
	const char *path = json_str(review, "spec", "nonResourceAttributes", "path", NULL);
	bool ok = false;
	json_t *one;
	size_t i;

	/* A user may have several tokens: what one of them may, all may. */
	json_array_foreach(access->identities, i, one)
	{
		ok |= is(one, "user", user) && allowed(one, verb, path);
	}

	json_object_set_new(review, "status",
			    json_pack("{s:b, s:s}", "allowed", ok, "reason", ok ? "allowed by mock-kube" : ""));
}

/* --- TokenRequest ----------------------------------------------------------------------------------------------- */

static const char own_audience[] = "https://kubernetes.default.svc";

static json_t *issue(struct mkube_access *access, const char *namespace, const char *account, json_t *audiences)
{
	unsigned char random[16];
	char hex[2 * sizeof random + 1];

	if (getrandom(random, sizeof random, 0) != sizeof random)
		memset(random, 0, sizeof random);
	for (size_t i = 0; i < sizeof random; i++)
		snprintf(hex + 2 * i, 3, "%02x", random[i]);
	json_t *token = json_sprintf("issued-%s", hex);
	json_array_append_new(access->issued,
			      json_pack("{s:O, s:o, s:[s, s, o], s:O}", "token", token, "user",
					json_sprintf("system:serviceaccount:%s:%s", namespace, account), "groups",
					"system:serviceaccounts", "system:authenticated",
					json_sprintf("system:serviceaccounts:%s", namespace), "audiences", audiences));
	return token;
}

void mkube_access_issue(struct mkube_access *access, const char *namespace, const char *account, const char *body,
			size_t len, int64_t now_ms, struct mkube_reply *reply)
{
	struct error err;
	json_t *request = json_parse(body, len, &err);
	int64_t seconds = json_int(request, 3600, "spec", "expirationSeconds", NULL);
	json_t *asked = json_at(request, "spec", "audiences", NULL);

	if (!json_is_object(json_object_get(request, "spec"))) {
		mkube_fail_bad_request(reply, "the body of a TokenRequest has a spec");
		json_decref(request);
		return;
	}
	if (seconds < 600) {
		static const char why[] = "may not specify a duration less than 10 minutes";

		mkube_fail(reply, 422, "Invalid",
			   json_pack("{s:s, s:s, s:[{s:s, s:s, s:s}]}", "group", "authentication.k8s.io", "kind",
				     "TokenRequest", "causes", "reason", "FieldValueInvalid", "message", why, "field",
				     "spec.expirationSeconds"),
			   "TokenRequest.authentication.k8s.io \"\" is invalid: spec.expirationSeconds: Invalid value: "
			   "%lld: %s",
			   (long long)seconds, why);
		json_decref(request);
		return;
	}
	json_t *audiences = json_array_size(asked) > 0 ? json_incref(asked) : json_pack("[s]", own_audience);
	json_t *token = issue(access, namespace, account, audiences);
	mkube_reply_json(reply, 201,
			 json_pack("{s:s, s:s, s:{s:s, s:s}, s:{s:o, s:I, s:n}, s:{s:o, s:o}}", "kind", "TokenRequest",
				   "apiVersion", "authentication.k8s.io/v1", "metadata", "name", account, "namespace",
				   namespace, "spec", "audiences", audiences, "expirationSeconds", (json_int_t)seconds,
				   "boundObjectRef", "status", "token", token, "expirationTimestamp",
				   mkube_time(now_ms + seconds * 1000)));
	json_decref(request);
}

bool mkube_access_serve(struct mkube_access *access, const char *method, const char *path, const char *body, size_t len,
			struct mkube_reply *reply)
{
	bool token = strcmp(path, "/apis/authentication.k8s.io/v1/tokenreviews") == 0;
	struct error err;

	if (!token && strcmp(path, "/apis/authorization.k8s.io/v1/subjectaccessreviews") != 0)
		return false;
	if (strcmp(method, "POST") != 0) {
		mkube_fail(reply, 405, "MethodNotAllowed", json_object(),
			   "the server does not allow this method on the requested resource");
		return true;
	}
	json_t *review = json_parse(body, len, &err);
	if (!json_is_object(json_object_get(review, "spec"))) {
		mkube_fail_bad_request(reply, "the body of a review has a spec");
		json_decref(review);
		return true;
	}
	if (token)
		review_token(access, review);
	else
		review_access(access, review);
	mkube_reply_json(reply, 201, review);
	return true;
}
