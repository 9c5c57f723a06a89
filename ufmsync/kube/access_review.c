#include "ufmsync/kube/access_review.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "ufmsync/kube/client.h"
#include "ufmsync/kube/json_text.h"

enum { NAME_MAX_LEN = 253, USER_NAME_MAX = 1024, UID_MAX = 256, REASON_MAX = 200, BODY_MAX = 256 << 10 };

bool access_token_is_sane(const char *token)
{
	size_t n = 0;

	for (; token[n]; n++)
		if (n == ACCESS_TOKEN_MAX || token[n] <= ' ' || token[n] >= 0x7f)
			return false;
	return n > 0;
}

bool access_request_is_sane(const char *method, const char *path)
{
	size_t n = strnlen(method, ACCESS_METHOD_MAX + 1), len = strnlen(path, ACCESS_PATH_MAX + 1);

	for (size_t i = 0; i < n; i++)
		if (!isalpha((unsigned char)method[i]))
			return false;
	return n > 0 && n <= ACCESS_METHOD_MAX && path[0] == '/' && len <= ACCESS_PATH_MAX && utf8_valid(path, len);
}

/* --- when a token ends --- */

static int digit(char c)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	const char *at = c ? strchr(alphabet, c) : NULL;

	return at ? (int)(at - alphabet) : -1;
}

/* base64url without padding. */
static char *decode(const char *text, size_t len, size_t *n)
{
	char *out = mem_alloc(len * 3 / 4 + 1);
	unsigned bits = 0;

	*n = 0;
	for (size_t i = 0; i < len; i++) {
		int value = digit(text[i]);

		if (value < 0) {
			mem_wipe_free(out);
			return NULL;
		}
		bits = bits << 6 | (unsigned)value;
		if (i % 4 != 0)
			out[(*n)++] = (char)(bits >> (6 - 2 * (i % 4)));
	}
	return out;
}

static int64_t seconds_to_ms(const json_t *seconds)
{
	double value = json_is_number(seconds) ? json_number_value(seconds) : -1;

	if (value < 0 || value > (double)(INT64_MAX / 2000)) /* what is no time is no promise */
		return INT64_MAX;
	return (int64_t)(value * 1000);
}

int64_t access_token_end_ms(const char *token)
{
	const char *payload = strchr(token, '.');
	const char *end = payload ? strchr(payload + 1, '.') : NULL;
	struct error err;
	size_t n;

	if (!end || strchr(end + 1, '.'))
		return INT64_MAX;
	char *text = decode(payload + 1, (size_t)(end - payload) - 1, &n);
	if (!text)
		return INT64_MAX;
	json_t *claims = json_parse(text, n, &err);
	int64_t result = seconds_to_ms(json_object_get(claims, "exp"));
	json_decref(claims);
	explicit_bzero(text, n);
	free(text);
	return result;
}

/* --- who --- */

void access_user_free(struct access_user *user)
{
	free(user->name);
	free(user->subject);
	free(user->node);
	free(user->namespace);
	free(user->pod);
	free(user->uid);
	*user = (struct access_user){ 0 };
}

static char *dump_and_drop(json_t *object)
{
	char *text = json_dumps(object, JSON_COMPACT);

	json_decref(object);
	return text;
}

char *access_token_review(const char *token, bool audience)
{
	struct buf body;

	buf_init(&body, BODY_MAX);
	buf_text(&body, "{\"apiVersion\":\"authentication.k8s.io/v1\",\"kind\":\"TokenReview\",\"spec\":{");
	if (audience)
		buf_text(&body, "\"audiences\":[\"" ACCESS_AUDIENCE "\"],");
	buf_text(&body, "\"token\":");
	buf_json_string(&body, token);
	buf_text(&body, "}}");
	return buf_take(&body);
}

static bool are_strings(const json_t *array)
{
	size_t i;
	const json_t *one;

	json_array_foreach((json_t *)(uintptr_t)array, i, one)
	{
		if (!json_is_string(one))
			return false;
	}
	return !array || json_is_null(array) || json_is_array(array);
}

static bool are_extras(const json_t *extra)
{
	const char *key;
	const json_t *values;

	json_object_foreach((json_t *)(uintptr_t)extra, key, values)
	{
		if (!are_strings(values))
			return false;
	}
	return !extra || json_is_null(extra) || json_is_object(extra);
}

static bool holds(const json_t *array, const char *text)
{
	size_t i;
	const json_t *one;

	json_array_foreach((json_t *)(uintptr_t)array, i, one)
	{
		const char *string = json_str(one, NULL);

		if (string && strcmp(string, text) == 0)
			return true;
	}
	return false;
}

/* Of an extra with exactly one value; NULL: not there, or nothing that could be a name. */
static const char *only(const json_t *user, const char *key, size_t max)
{
	const json_t *values = json_at(user, "extra", key, NULL);
	const char *text = json_array_size(values) == 1 ? json_str(json_array_get(values, 0), NULL) : NULL;

	return text && *text && strlen(text) <= max ? text : NULL;
}

static bool is_dns_name(const char *text, size_t len, size_t max)
{
	return len > 0 && len <= max && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-.") >= len && text[0] != '.';
}

/* The extras are the service accounts' own: of any other user they would be somebody else's word. */
static void fill_pod(struct access_user *user, const json_t *said)
{
	static const char prefix[] = "system:serviceaccount:";
	const char *namespace = user->name + strlen(prefix);

	if (strncmp(user->name, prefix, strlen(prefix)) != 0)
		return;
	size_t len = strcspn(namespace, ":");
	if (namespace[len] != ':' || !namespace[len + 1] || strchr(namespace + len + 1, ':') ||
	    memchr(namespace, '.', len) || !is_dns_name(namespace, len, 63))
		return;
	const char *pod = only(said, "authentication.kubernetes.io/pod-name", NAME_MAX_LEN);
	const char *uid = only(said, "authentication.kubernetes.io/pod-uid", UID_MAX);
	user->node = mem_dup(only(said, "authentication.kubernetes.io/node-name", NAME_MAX_LEN));
	if (!pod || !uid || !is_dns_name(pod, strlen(pod), NAME_MAX_LEN))
		return;
	user->namespace = mem_dup_n(namespace, len);
	user->pod = mem_dup(pod);
	user->uid = mem_dup(uid);
}

static void copy_member(json_t *to, const char *as, const json_t *from, const char *key)
{
	json_t *value = json_object_get(from, key);

	if (value && !json_is_null(value))
		json_object_set(to, as, value);
}

/* As it is said here: "user":...,"groups":... without the braces around. */
static char *subject_of(const json_t *said)
{
	json_t *subject = json_object();

	copy_member(subject, "user", said, "username");
	copy_member(subject, "uid", said, "uid");
	copy_member(subject, "groups", said, "groups");
	copy_member(subject, "extra", said, "extra");
	__attribute__((cleanup(mem_freep))) char *text = dump_and_drop(subject);
	return mem_dup_n(text + 1, strlen(text) - 2);
}

static size_t length(const char *text)
{
	return text ? strlen(text) + 1 : 0;
}

static int fill_user(struct access_user *user, const json_t *said, struct error *err)
{
	const char *name = json_str(said, "username", NULL);
	const json_t *uid = json_object_get(said, "uid");

	if (!name || !*name || strlen(name) > USER_NAME_MAX || (uid && !json_is_null(uid) && !json_is_string(uid)) ||
	    !are_strings(json_object_get(said, "groups")) || !are_extras(json_object_get(said, "extra")))
		return error_set(err, ERROR_RETRY, "the API server's TokenReview names no user as it should");
	*user = (struct access_user){ .name = mem_dup(name), .subject = subject_of(said) };
	fill_pod(user, said);
	user->size = length(user->name) + length(user->subject) + length(user->node) + length(user->namespace) +
		     length(user->pod) + length(user->uid);
	if (user->size <= ACCESS_USER_MAX)
		return 0;
	access_user_free(user);
	return error_set(err, ERROR_LIMIT, "groups and extras of the token's user are more than %d KiB",
			 ACCESS_USER_MAX >> 10);
}

static bool is_kind(const json_t *object, const char *kind)
{
	const char *is = json_str(object, "kind", NULL);

	return is && strcmp(is, kind) == 0 && json_is_object(json_object_get(object, "status"));
}

enum access_says access_token_answer(struct access_user *user, const json_t *review, bool audience, struct error *err)
{
	const json_t *status = json_object_get(review, "status");

	if (!is_kind(review, "TokenReview")) {
		error_set(err, ERROR_RETRY, "the API server's answer is no TokenReview");
		return ACCESS_BAD;
	}
	if (!json_bool(status, false, "authenticated", NULL) ||
	    (audience && !holds(json_object_get(status, "audiences"), ACCESS_AUDIENCE)))
		return ACCESS_NO;
	return fill_user(user, json_object_get(status, "user"), err) < 0 ? ACCESS_BAD : ACCESS_YES;
}

/* --- what --- */

char *access_subject_review(const struct access_user *user, const char *method, const char *path)
{
	char verb[ACCESS_METHOD_MAX + 1] = "";
	struct buf body;

	for (size_t i = 0; method[i] && i < ACCESS_METHOD_MAX; i++)
		verb[i] = (char)tolower((unsigned char)method[i]);
	buf_init(&body, BODY_MAX);
	buf_text(&body, "{\"apiVersion\":\"authorization.k8s.io/v1\",\"kind\":\"SubjectAccessReview\",\"spec\":{"
			"\"nonResourceAttributes\":{\"path\":");
	buf_json_string(&body, path);
	buf_printf(&body, ",\"verb\":\"%s\"},%s}}", verb, user->subject);
	return buf_take(&body);
}

enum access_says access_subject_answer(char **reason, const json_t *review, struct error *err)
{
	const json_t *status = json_object_get(review, "status");

	if (!is_kind(review, "SubjectAccessReview") || !json_is_boolean(json_object_get(status, "allowed"))) {
		error_set(err, ERROR_RETRY, "the API server's answer is no SubjectAccessReview");
		return ACCESS_BAD;
	}
	if (json_bool(status, false, "allowed", NULL) && !json_bool(status, false, "denied", NULL))
		return ACCESS_YES;
	const char *text = json_str(status, "reason", NULL);
	if (!text || !*text)
		text = json_str(status, "evaluationError", NULL);
	*reason = json_text_cut(text ? text : "", text ? strlen(text) : 0, REASON_MAX);
	return ACCESS_NO;
}

/* --- where --- */

char *access_pod_path(const struct access_user *user)
{
	return mem_printf("/api/v1/namespaces/%s/pods/%s", user->namespace, user->pod); /* nothing in them to escape */
}

enum access_says access_pod_answer(char **node, const struct access_user *user, const json_t *pod, struct error *err)
{
	const char *uid = json_str(pod, "metadata", "uid", NULL), *name = json_str(pod, "spec", "nodeName", NULL);

	if (!uid) {
		error_set(err, ERROR_RETRY, "the API server's answer is no pod");
		return ACCESS_BAD;
	}
	if (strcmp(uid, user->uid) != 0 || !name || !*name || strlen(name) > NAME_MAX_LEN)
		return ACCESS_NO;
	*node = mem_dup(name);
	return ACCESS_YES;
}
