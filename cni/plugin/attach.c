#include "cni/plugin/attach.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "guid/guid.h"

enum {
	PKEY_TEXT_MOST = 64,
	PKEY_FIRST = 0x1,
	PKEY_LAST = 0x7ffe,
	CODE_MOST = 64,
};

void attach_answer_free(struct attach_answer *answer)
{
	free(answer->guid);
	free(answer->pkey);
	*answer = (struct attach_answer){ 0 };
}

/* --- the question --- */

/* What comes from the environment or the network config may be no UTF-8; jansson would drop the whole object. */
static void put(struct buf *body, const char *prefix, const char *text)
{
	buf_text(body, prefix);
	buf_json_string(body, text ? text : "");
}

char *attach_body(const struct attach_question *question)
{
	struct buf body;

	buf_init(&body, SIZE_MAX / 4); /* each part is bounded by where it comes from */
	put(&body, "{\"pod\":{\"namespace\":", question->pod_namespace);
	put(&body, ",\"name\":", question->pod_name);
	put(&body, ",\"uid\":", question->pod_uid);
	put(&body, "},\"interface\":", question->interface);
	put(&body, ",\"networkName\":", question->network_name);
	put(&body, ",\"guid\":", question->guid_hint);
	put(&body, ",\"pkey\":", question->pkey);
	put(&body, ",\"containerID\":", question->container_id);
	put(&body, ",\"node\":", question->node);
	buf_text(&body, "}");
	return buf_take(&body);
}

/* --- what the service decided --- */

static int broken(struct cni_error *err, const char *problem)
{
	cni_fail(err, CNI_SERVICE_BROKEN, "the service's answer is not as agreed: %s", problem);
	return cni_fail_details(err, "Look whether plugin and service are of releases that fit each other, and whether "
				     "the node file's server is the service ufmsync");
}

/* What an operator does about a decision; the message says what is wrong. */
static const char *advice(const char *code, bool retry)
{
	static const struct {
		const char *code, *advice;
	} known[] = {
		{ "NotMember", "The pod's start is tried again by the container runtime. kubectl ufmsync status, the "
			       "pod's Events and the service's log tell why the fabric takes so long" },
		{ "UnknownPod",
		  "Look whether the service watches this cluster (kubectl ufmsync status), and whether the "
		  "pod still exists under this UID" },
		{ "UnknownNetwork",
		  "Look whether the pod's k8s.v1.cni.cncf.io/networks names this network, and whether "
		  "the NetworkAttachmentDefinition's config still is the one that the pod was started "
		  "with" },
		{ "NoLeader",
		  "No replica of the service leads: kubectl get lease ufmsync-leader, kubectl ufmsync status, "
		  "and the service's log tell why" },
		{ "NotLeader",
		  "Only the leader can tell: kubectl get lease ufmsync-leader shows who that is; look whether "
		  "its pod is ready and behind the service's address" },
		{ "Busy", "The service has more callers than it takes; the container runtime tries again" },
	};

	for (size_t i = 0; i < array_length(known); i++)
		if (strcmp(code, known[i].code) == 0)
			return known[i].advice;
	return retry ? "The container runtime tries again; the pod's Events and kubectl ufmsync status tell more"
		     : "Waiting will not help: change the network or the pod as the message says; the pod's Events "
		       "tell "
		       "more";
}

/* A code as it is fit for a message: "BadPKey". */
static bool is_code(const char *code)
{
	size_t len = strlen(code);

	return len > 0 && len <= CODE_MOST &&
	       strspn(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") == len;
}

static int refused(const json_t *error, bool *elsewhere, struct cni_error *err)
{
	const char *code = json_str(error, "code", NULL), *message = json_str(error, "message", NULL);
	const json_t *retry = json_object_get(error, "retry");

	if (!code || !is_code(code) || !message || !json_is_boolean(retry))
		return broken(err, "error is not {\"code\",\"message\",\"retry\"}");
	*elsewhere = strcmp(code, "NotLeader") == 0;
	cni_fail(err, json_is_true(retry) || *elsewhere ? CNI_TRY_AGAIN : CNI_REFUSED, "%s: %s", code, message);
	return cni_fail_details(err, "%s", advice(code, json_is_true(retry)));
}

/* --- what the interface gets --- */

static bool parse_pkey(unsigned *pkey, const char *text)
{
	size_t digits;

	if (!text || text[0] != '0' || text[1] != 'x')
		return false;
	digits = strspn(text + 2, "0123456789abcdefABCDEF");
	if (digits < 1 || digits > 4 || text[2 + digits])
		return false;
	*pkey = (unsigned)strtoul(text, NULL, 16);
	return *pkey >= PKEY_FIRST && *pkey <= PKEY_LAST;
}

static int parse_membership(struct attach_answer *answer, const json_t *json, struct cni_error *err)
{
	const char *membership = json_str(json, "membership", NULL);
	unsigned pkey;

	if (!parse_pkey(&pkey, json_str(json, "pkey", NULL)))
		return broken(err, "a membership's pkey is not 0x1-0x7ffe");
	bool full = membership && strcmp(membership, "full") == 0;
	if (!full && (!membership || strcmp(membership, "limited") != 0))
		return broken(err, "a membership is neither full nor limited");
	answer->memberships[answer->n_memberships].pkey = pkey;
	answer->memberships[answer->n_memberships++].full = full;
	return 0;
}

static int parse_memberships(struct attach_answer *answer, const json_t *list, struct cni_error *err)
{
	const json_t *element;
	size_t i;

	if (!json_is_array(list) || json_array_size(list) > ATTACH_MEMBERSHIPS_MAX)
		return broken(err, "memberships is not a list of at most two");
	json_array_foreach(list, i, element)
	{
		if (parse_membership(answer, element, err) < 0)
			return -1;
	}
	/* Without this, a PKey that nothing stands behind would count as verified. */
	if ((answer->n_memberships > 0) != (answer->pkey != NULL))
		return broken(err, "pkey and memberships do not fit each other");
	return 0;
}

static bool is_pkey_text(const char *text)
{
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i++)
		if (text[i] < ' ' || text[i] > '~')
			return false;
	return len >= 1 && len <= PKEY_TEXT_MOST;
}

static int parse_given(struct attach_answer *answer, const json_t *json, struct cni_error *err)
{
	const char *guid_text = json_str(json, "guid", NULL), *pkey = json_str(json, "pkey", NULL);
	const json_t *pkey_value = json_object_get(json, "pkey");
	char canonical[GUID_TEXT_MAX];
	struct guid guid;

	if (!guid_text || !guid_parse(&guid, guid_text) || !guid_usable(guid))
		return broken(err, "guid is not a GUID that a port may have");
	if (pkey_value && !json_is_null(pkey_value) && (!pkey || !is_pkey_text(pkey)))
		return broken(err, "pkey is not a text of 1 to 64 printable characters");
	answer->guid = mem_dup(guid_format(canonical, guid));
	answer->pkey = mem_dup(pkey);
	return parse_memberships(answer, json_object_get(json, "memberships"), err);
}

static json_t *parse_object(const char *text, size_t len, struct cni_error *err)
{
	struct error why;
	json_t *json = json_parse(text, len, &why);

	if (json_is_object(json))
		return json;
	broken(err, json ? "not a JSON object" : why.text);
	json_decref(json);
	return NULL;
}

int attach_answer_parse(struct attach_answer *ret, bool *elsewhere, const char *text, size_t len, struct cni_error *err)
{
	struct attach_answer answer = { 0 };
	json_t *json = parse_object(text, len, err);
	int status;

	*elsewhere = false;
	if (!json)
		return -1;
	if (json_object_get(json, "error"))
		status = refused(json_object_get(json, "error"), elsewhere, err);
	else
		status = parse_given(&answer, json, err);
	json_decref(json);
	if (status < 0)
		attach_answer_free(&answer);
	else
		*ret = answer;
	return status;
}

int attach_probe_parse(const char *text, size_t len, struct cni_error *err)
{
	json_t *json = parse_object(text, len, err);
	const json_t *ready = json_object_get(json, "ready");
	const char *message = json_str(json, "message", NULL);
	int status = 0;

	if (!json)
		return -1;
	if (!json_is_boolean(ready)) {
		status = broken(err, "ready is neither true nor false");
	} else if (!json_is_true(ready)) {
		cni_fail(err, CNI_STATUS_UNAVAILABLE, "the service is not ready: %s",
			 message && *message ? message : "it does not say why");
		status = cni_fail_details(err, "kubectl ufmsync status and the service's log tell more");
	}
	json_decref(json);
	return status;
}

/* --- other statuses --- */

/* ": CODE: MESSAGE" of an error body, "" when there is none; to be freed. */
static char *body_says(const char *text, size_t len)
{
	struct error why;
	json_t *json = len > 0 ? json_parse(text, len, &why) : NULL;
	const char *code = json_str(json, "error", "code", NULL), *message = json_str(json, "error", "message", NULL);
	char *says = code && is_code(code) ? mem_printf(": %s: %s", code, message ? message : "") : mem_dup("");

	json_decref(json);
	return says;
}

static int denied(struct cni_error *err, const struct node_file *node, int status, const char *says)
{
	cni_fail(err, CNI_SERVICE_DENIED, "the service %s (HTTP %d)%s",
		 status == 401 ? "does not know this node's token" : "does not let this node attach this pod", status,
		 says);
	if (status == 401)
		return cni_fail_details(
			err,
			"Look whether %s is fresh (the node installer renews it), and whether the token's "
			"cluster is the one that the service asks (TokenReview)",
			node->token_path);
	return cni_fail_details(
		err,
		"Look whether the service account of %s stands in UFMSYNC_ATTACH_SERVICE_ACCOUNTS, whether "
		"RBAC allows it post on the non-resource URL /v1/attach, and whether the pod runs on this node",
		node->token_path);
}

int attach_status_error(struct cni_error *err, const struct node_file *node, int status, const char *text, size_t len)
{
	char *says = body_says(text, len);

	if (status == 401 || status == 403) {
		denied(err, node, status, says);
	} else if (status == 429) {
		cni_fail(err, CNI_TRY_AGAIN, "the service has too many requests of this node (HTTP 429)%s", says);
		cni_fail_details(err, "The container runtime tries again; many pods start on this node at once, or "
				      "attachments wait for the fabric: kubectl ufmsync status");
	} else if (status >= 500) {
		cni_fail(err, CNI_TRY_AGAIN, "the service cannot answer now (HTTP %d)%s", status, says);
		cni_fail_details(err, "The container runtime tries again; kubectl ufmsync status and the service's log "
				      "tell why");
	} else {
		cni_fail(err, CNI_SERVICE_BROKEN, "the service answered HTTP %d%s", status, says);
		cni_fail_details(
			err,
			"Look whether %s of the node file is the service ufmsync, and whether plugin and service are "
			"of releases that fit each other",
			node->server_name);
	}
	free(says);
	return -1;
}
