#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "ufmsync/ctl/reach_private.h"

enum { MESSAGE_MAX = 240 };

/* What the other side said, in one line: of the service's error, of a Status, else the bare text. */
static const char *message_of(char out[MESSAGE_MAX], const struct reach_answer *answer)
{
	const char *message = json_str(answer->object, "error", "message", NULL);

	if (!message)
		message = json_str(answer->object, "message", NULL);
	if (!message)
		message = answer->text && *answer->text ? answer->text : "no reason given";
	snprintf(out, MESSAGE_MAX, "%s", message);
	utf8_one_line(out);
	return out;
}

static bool is_status(const struct reach_answer *answer)
{
	const char *kind = json_str(answer->object, "kind", NULL);

	return kind && strcmp(kind, "Status") == 0;
}

static enum error_kind kind_of(int status)
{
	switch (status) {
	case 401:
	case 403:
		return ERROR_AUTH;
	case 404:
		return ERROR_GONE;
	case 409:
	case 410:
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

/* --- what the API server says of its proxy ---------------------------------------------------------------------- */

static bool says(const char *message, const char *part)
{
	return strstr(message, part) != NULL;
}

static enum reach_next judge_proxy(const struct reach_place *place, const char *method,
				   const struct reach_answer *answer, struct error *err)
{
	char message[MESSAGE_MAX];
	bool reads = strcmp(method, "GET") == 0;

	message_of(message, answer);
	switch (answer->status) {
	case 401:
		error_set(err, ERROR_AUTH, "the API server does not know you: %s", message);
		return REACH_NEXT_FAIL;
	case 403:
		error_set(err, ERROR_AUTH,
			  "you may not use the service proxy: RBAC must allow you verb %s on services/proxy, name "
			  "https:%s:8443, in namespace %s (or ask with --server, or --direct)",
			  reads ? "get" : "create", place->service, place->namespace);
		return REACH_NEXT_FAIL;
	case 404:
		/* Not ERROR_GONE: what was asked for may well exist. */
		error_set(err, ERROR_INVALID,
			  "there is no Service %s/%s: say where the service runs with --service-namespace, or use "
			  "--direct",
			  place->namespace, place->service);
		return REACH_NEXT_FAIL;
	default:
		break;
	}
	if (says(message, "no endpoints available") || says(message, "no service port")) {
		error_set(err, ERROR_RETRY,
			  "no replica of the service is ready (%s): kubectl -n %s get pods, or use --direct", message,
			  place->namespace);
		return REACH_NEXT_FAIL;
	}
	error_set(err, ERROR_RETRY, "the API server does not reach the service: HTTP %d: %s; or use --direct",
		  answer->status, message);
	/* It may have reached it, and lost the answer: only what changes nothing is asked twice. */
	return reads && answer->status >= 500 ? REACH_NEXT_ELSEWHERE : REACH_NEXT_FAIL;
}

/* --- what the service says -------------------------------------------------------------------------------------- */

static enum reach_next judge_refusal(const struct reach_place *place, const char *method, const char *path,
				     const struct reach_answer *answer, struct error *err)
{
	char message[MESSAGE_MAX];

	message_of(message, answer);
	if (answer->status == 401)
		error_set(err, ERROR_AUTH, "the service does not take the token%s: %s",
			  place->way == REACH_SERVER ? " of --token-file" : "", message);
	else
		error_set(err, ERROR_AUTH,
			  "%s may not %s %.*s: RBAC must allow it verb %s on that nonResourceURL (kubectl apply -k "
			  "deploy/operator): %s",
			  place->account ? place->account : "the token's owner", method, (int)strcspn(path, "?"), path,
			  strcmp(method, "GET") == 0 ? "get" : "post", message);
	return REACH_NEXT_FAIL;
}

/* Nothing was done, and another replica may do it. */
static bool is_for_another(const char *code)
{
	static const char *const codes[] = { "NotLeader", "NotReady", "Stopping", "Expired" };

	for (size_t i = 0; code && i < array_length(codes); i++)
		if (strcmp(code, codes[i]) == 0)
			return true;
	return false;
}

static enum reach_next judge_service(const struct reach_place *place, const char *method, const char *path,
				     const struct reach_answer *answer, struct error *err)
{
	const char *code = json_str(answer->object, "error", "code", NULL);
	char message[MESSAGE_MAX];

	if (answer->status == 401 || answer->status == 403)
		return judge_refusal(place, method, path, answer, err);
	message_of(message, answer);
	if (code && strcmp(code, "NotLeader") == 0)
		error_set(err, ERROR_RETRY, "the replica that leads was not reached, only another: %s", message);
	else if (answer->status == 410)
		error_set(err, ERROR_CONFLICT, "the list changed while it was read: ask again (%s)", message);
	else if (answer->status == 404)
		error_set(err, ERROR_GONE, "%s", message);
	else
		error_set(err, kind_of(answer->status), "%s%s%s", code ? code : "the service failed", ": ", message);
	return is_for_another(code) ? REACH_NEXT_ELSEWHERE : REACH_NEXT_FAIL;
}

static enum reach_next judge_silence(const struct reach_place *place, const struct reach_answer *answer,
				     struct error *err)
{
	*err = answer->error;
	if (place->way == REACH_SERVER)
		error_wrap(err, "service at %s", place->server);
	else if (place->way == REACH_PROXY)
		error_wrap(err, "API server");
	return REACH_NEXT_FAIL;
}

enum reach_next reach_judge(const struct reach_place *place, const char *method, const char *path,
			    const struct reach_answer *answer, struct error *err)
{
	if (answer->error.kind != ERROR_NONE)
		return judge_silence(place, answer, err);
	if (answer->status >= 200 && answer->status < 300 && answer->object)
		return REACH_NEXT_DONE;
	if (place->way == REACH_PROXY && (is_status(answer) || !answer->object))
		return judge_proxy(place, method, answer, err);
	if (!json_object_get(answer->object, "error")) {
		error_set(err, ERROR_RETRY, "HTTP %d, but not an answer of the service came", answer->status);
		return REACH_NEXT_FAIL;
	}
	return judge_service(place, method, path, answer, err);
}

/* --- the API server itself -------------------------------------------------------------------------------------- */

void reach_explain_token(const struct reach_place *place, const struct reach_answer *answer, struct error *err)
{
	char message[MESSAGE_MAX];

	if (answer->error.kind != ERROR_NONE) {
		*err = answer->error;
		error_wrap(err, "API server");
		return;
	}
	message_of(message, answer);
	if (answer->status == 404)
		error_set(err, ERROR_INVALID,
			  "there is no service account %s/%s: kubectl apply -k deploy/operator makes it; or say where "
			  "the service runs with --service-namespace",
			  place->namespace, place->account);
	else if (answer->status == 403)
		error_set(err, ERROR_AUTH,
			  "you may not have tokens of %s: RBAC must allow you verb create on serviceaccounts/token, "
			  "name %s, "
			  "in namespace %s",
			  place->account, place->account, place->namespace);
	else if (answer->status == 401)
		error_set(err, ERROR_AUTH, "the API server does not know you: %s", message);
	else
		error_set(err, kind_of(answer->status), "token of %s: HTTP %d: %s", place->account, answer->status,
			  message);
}

void reach_explain_kube(const char *method, const char *path, const struct reach_answer *answer, struct error *err)
{
	char message[MESSAGE_MAX];

	if (answer->error.kind != ERROR_NONE) {
		*err = answer->error;
		error_wrap(err, "API server");
		return;
	}
	message_of(message, answer);
	error_set(err, kind_of(answer->status), "API server: %s %.*s: HTTP %d: %s", method, (int)strcspn(path, "?"),
		  path, answer->status, message);
}

int reach_choose_kubeconfig(char **path, const char *paths, bool (*exists)(const char *path), struct error *err)
{
	char *chosen = NULL;

	for (const char *p = paths; *p;) {
		size_t n = strcspn(p, ":");
		char *one = mem_dup_n(p, n);

		p += n + (p[n] == ':');
		if (n == 0 || !exists(one)) {
			free(one);
			continue;
		}
		if (chosen) {
			error_set(err, ERROR_INVALID,
				  "KUBECONFIG names several files (%.100s and %.100s): name one with --kubeconfig; "
				  "kubectl "
				  "config view --flatten makes one of all",
				  chosen, one);
			free(chosen);
			free(one);
			return -1;
		}
		chosen = one;
	}
	*path = chosen;
	return 0;
}
