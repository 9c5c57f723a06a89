#include "ufmsync/kube/client.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "ufmsync/kube/json_text.h"

enum { MESSAGE_MAX = 320 };

static enum error_kind kind_of(int status)
{
	switch (status) {
	case 401:
	case 403:
		return ERROR_AUTH;
	case 404:
	case 410:
		return ERROR_GONE;
	case 409:
		return ERROR_CONFLICT;
	case 413:
		return ERROR_LIMIT;
	case 408:
	case 429:
		return ERROR_RETRY;
	default:
		return status >= 300 && status < 500 ? ERROR_INVALID : ERROR_RETRY;
	}
}

static const char *known_reason(const char *reason)
{
	static const char *const known[] = {
		"AlreadyExists",
		"BadRequest",
		"Conflict",
		"Expired",
		"Forbidden",
		"Gone",
		"InternalError",
		"Invalid",
		"MethodNotAllowed",
		"NotAcceptable",
		"NotFound",
		"ServerTimeout",
		"ServiceUnavailable",
		"Timeout",
		"TooManyRequests",
		"Unauthorized",
		"UnsupportedMediaType",
		"RequestEntityTooLarge",
	};

	for (size_t i = 0; reason && i < array_length(known); i++) {
		if (strcmp(known[i], reason) == 0)
			return known[i];
	}
	return "";
}

void kube_status_error(struct error *err, int status, const char *body, size_t len, const char **reason)
{
	struct error unreadable;
	json_t *object = len > 0 ? json_parse(body, len, &unreadable) : NULL;
	const char *message = json_str(object, "message", NULL);
	const char *known = known_reason(json_str(object, "reason", NULL));
	__attribute__((cleanup(mem_freep))) char *text =
		json_text_cut(message ? message : "", message ? strlen(message) : 0, MESSAGE_MAX);

	error_set(err, kind_of(status), "HTTP %d%s%s%s%s", status, *known ? " " : "", known, *text ? ": " : "", text);
	if (reason)
		*reason = known;
	json_decref(object);
}

/* Validation names the object and the fields that are wrong; a JSON Patch that does not apply (a `test` that failed, a
 * path that is not there) comes as a bare 422. */
static bool is_bare(const json_t *status)
{
	return !json_at(status, "details", "name", NULL) &&
	       json_array_size(json_at(status, "details", "causes", NULL)) == 0;
}

/* A denial by RBAC can be mended from outside; one by an admission webhook says that this patch will not pass. */
static bool is_denied_by_admission(const json_t *status)
{
	const char *message = json_str(status, "message", NULL);

	return message && strstr(message, "denied the request") != NULL;
}

enum kube_patch kube_patch_result(const struct kube_reply *reply)
{
	if (!reply->error)
		return KUBE_PATCH_DONE;
	switch (reply->status) {
	case 404:
		return KUBE_PATCH_GONE;
	case 409:
		return KUBE_PATCH_STALE;
	case 422:
		return reply->object && is_bare(reply->object) ? KUBE_PATCH_STALE : KUBE_PATCH_REFUSED;
	case 403:
		return is_denied_by_admission(reply->object) ? KUBE_PATCH_REFUSED : KUBE_PATCH_RETRY;
	case 400:
	case 405:
	case 413:
	case 415:
		return KUBE_PATCH_REFUSED;
	default:
		return KUBE_PATCH_RETRY;
	}
}

bool kube_escape(char *out, size_t size, const char *text)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
	static const char hex[] = "0123456789ABCDEF";
	size_t len = 0;

	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		bool as_is = strchr(plain, *p) != NULL;
		if (size - len < (as_is ? 2u : 4u))
			return false;
		if (as_is) {
			out[len++] = (char)*p;
			continue;
		}
		out[len++] = '%';
		out[len++] = hex[*p >> 4];
		out[len++] = hex[*p & 15];
	}
	if (size == 0)
		return false;
	out[len] = '\0';
	return true;
}
