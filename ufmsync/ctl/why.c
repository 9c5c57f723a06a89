#include "ufmsync/ctl/why.h"

#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "pkey/pkey.h"
#include "ufmsync/ctl/print.h"

/* What somebody is to do about each reason to wait. */
static const char *next_step(const char *reason)
{
	static const struct {
		const char *reason, *step;
	} steps[] = {
		{ "NetworkUnreadable", "correct its spec.config" },
		{ "BadPKey", "correct pkey in its spec.config: 0x1 to 0x7ffe, or decimal" },
		{ "PKeyNotAllowed",
		  "the annotation ufmsync.io/pkeys of the pod's namespace, or UFMSYNC_PKEY_POLICY, must allow it" },
		{ "GUIDTaken",
		  "take another GUID, or none, in the pod's annotation; it is tried again when this one becomes free" },
		{ "GUIDOutOfRange", "ask for a GUID of the range (ufmsyncctl pool), or for none" },
		{ "PoolExhausted",
		  "a larger range is needed: GUID_POOL_RANGE_END (ufmsyncctl pool says what is in use)" },
	};

	for (size_t i = 0; reason && i < array_length(steps); i++)
		if (strcmp(steps[i].reason, reason) == 0)
			return steps[i].step;
	return NULL;
}

static char *why_blocked(const json_t *attachment)
{
	const char *reason = json_str(attachment, "blocked", "reason", NULL);
	const char *message = json_str(attachment, "blocked", "message", NULL);
	const char *network = json_str(attachment, "network", NULL), *step = next_step(reason);

	if (reason && strcmp(reason, "NetworkNotFound") == 0 && network)
		return mem_printf("waits for NetworkAttachmentDefinition %s, which does not exist: create it, or "
				  "correct the pod's "
				  "annotation",
				  network);
	return mem_printf("waits: %s%s%s",
			  message  ? message
			  : reason ? reason
				   : "not said why",
			  step ? ": " : "", step ? step : "");
}

static char *why_joining(const json_t *attachment)
{
	const char *wire = json_str(attachment, "pkey", NULL);
	char pkey[CTL_PKEY_MAX];

	return mem_printf("waits for the fabric manager to list it%s%s: ufmsyncctl status says whether that answers",
			  wire ? " in PKey " : "", wire ? ctl_pkey(pkey, wire) : "");
}

char *ctl_why(const json_t *attachment)
{
	const char *state = json_str(attachment, "state", NULL), *node = json_str(attachment, "node", NULL);
	const char *guid = json_str(attachment, "guid", NULL);

	if (json_is_object(json_object_get(attachment, "blocked")))
		return why_blocked(attachment);
	if (!state)
		return mem_dup("is in no state that is known");
	if (strcmp(state, "wanted") == 0 && !(node && *node))
		return mem_dup("waits for a node: the scheduler has bound the pod to none yet");
	if (strcmp(state, "wanted") == 0)
		return mem_printf("waits for %s: ufmsyncctl status says whether anything is in the way",
				  guid ? "its join request to be sent" : "a GUID");
	if (strcmp(state, "joining") == 0)
		return why_joining(attachment);
	if (strcmp(state, "member") == 0)
		return mem_dup("is a member, and waits for the pod's annotation to be written");
	if (strcmp(state, "published") == 0)
		return mem_dup("is ready");
	if (strcmp(state, "leaving") == 0)
		return mem_dup("leaves its partitions");
	if (strcmp(state, "resting") == 0)
		return mem_dup("is over; its GUID rests before somebody else gets it");
	return mem_printf("is %s", state);
}

enum table_colour ctl_why_colour(const json_t *attachment)
{
	const char *state = json_str(attachment, "state", NULL);

	return json_is_object(json_object_get(attachment, "blocked")) ? TABLE_BAD
								      : ctl_state_colour(state ? state : "");
}

static bool is_phase(const json_t *pod, const char *phase)
{
	const char *text = json_str(pod, "status", "phase", NULL);

	return text && strcmp(text, phase) == 0;
}

char *ctl_why_none(const json_t *pod)
{
	const char *asked = json_str(pod, "metadata", "annotations", "k8s.v1.cni.cncf.io/networks", NULL);
	const char *first = json_str(pod, "metadata", "annotations", "v1.multus-cni.io/default-network", NULL);
	const char *node = json_str(pod, "spec", "nodeName", NULL);

	if (!(asked && *asked) && !(first && *first))
		return mem_dup("asks for no network: no annotation k8s.v1.cni.cncf.io/networks");
	if (json_bool(pod, 0, "spec", "hostNetwork", NULL))
		return mem_dup("is on the host network, and gets no network of its own");
	if (is_phase(pod, "Succeeded") || is_phase(pod, "Failed"))
		return mem_dup("is finished, and has left its partitions");
	if (!node || !*node)
		return mem_dup("is on no node yet: the scheduler has to bind it first");
	return mem_dup(
		"asks for no InfiniBand network, or the service has not seen it yet: none of its networks is of type "
		"ib-sriov or ufmsync");
}
