#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cni/webhook/answer.h"
#include "cni/webhook/webhook_private.h"

/* What a request is told, as soon as anything is decided.  The pod's attachments are in webhook->view. */

enum { MESSAGE_MAX = 2048, LISTED_MAX = 8 };

bool attach_decide_no_leader(struct attach *attach, const struct leading *leading)
{
	char *message;

	if (leading->anybody)
		return false;
	if (*leading->last)
		message = mem_printf("no replica of ufmsync leads; %s held the Lease last", leading->last);
	else
		message = mem_dup("no replica of ufmsync leads, and none has held the Lease yet");
	attach_too_late(attach, "NoLeader", message);
	free(message);
	return true;
}

/* --- its attachment is found --- */

static void give(struct attach *attach, const struct webhook_attachment *attachment)
{
	waiting_pod_gave(attach->pod, attach->said->interface, attachment->index, attach->said->sandbox);
	attach->webhook->counts.attached++;
	answer_given(&attach->webhook->body, attachment);
	attach_finish(attach);
}

static void say_not_member(struct attach *attach, const struct webhook_attachment *attachment)
{
	char guid[GUID_TEXT_MAX];
	char *message;

	if (attachment->text)
		message = mem_dup(attachment->text);
	else if (!attachment->has_guid)
		message = mem_dup("no GUID has been assigned yet");
	else
		message = mem_printf("GUID %s is not yet a member of PKey %s", guid_format(guid, attachment->guid),
				     attachment->pkey_text ? attachment->pkey_text : "(none)");
	attach_too_late(attach, attachment->reason ? attachment->reason : "NotMember", message);
	free(message);
}

static bool decide_found(struct attach *attach, const struct webhook_attachment *attachment,
			 const struct leading *leading, bool late)
{
	attach->missing_ms = 0;
	if (attachment->attachable && attachment->has_guid) {
		give(attach, attachment);
		return true;
	}
	if (attachment->refused) {
		attach_decided(attach, attachment->reason ? attachment->reason : "Refused",
			       attachment->text ? attachment->text : "the service refuses this attachment", false);
		return true;
	}
	if (!late)
		return false;
	if (!attach_decide_no_leader(attach, leading))
		say_not_member(attach, attachment);
	return true;
}

/* --- it is not found --- */

static bool decide_ambiguous(struct attach *attach, const struct leading *leading, bool late)
{
	attach->missing_ms = 0;
	if (!leading->anybody)
		return late && attach_decide_no_leader(attach, leading);
	char *message = mem_printf("only the leader (%s) can tell which of its networks the pod's interface %s is",
				   leading->last, attach->said->interface);
	attach_decided(attach, "NotLeader", message, true);
	free(message);
	return true;
}

static void list_networks(struct buf *message, const struct pod_view *view)
{
	if (view->n == 0)
		buf_text(message, "it has none");
	for (size_t i = 0; i < view->n && i < LISTED_MAX; i++) {
		const struct webhook_attachment *attachment = &view->attachments[i];

		buf_text(message, i == 0 ? "it has " : ", ");
		buf_text(message, *attachment->config_name ? attachment->config_name : "one that is not defined");
		if (attachment->index < 0)
			buf_text(message, " (default network)");
		else if (*attachment->interface)
			buf_printf(message, " (%s)", attachment->interface);
	}
	if (view->n > LISTED_MAX)
		buf_printf(message, " and %zu more", view->n - LISTED_MAX);
}

static void say_missing(struct attach *attach, bool taken, bool retry)
{
	const struct attach_request *said = attach->said;
	struct buf message;

	buf_init(&message, MESSAGE_MAX);
	if (taken)
		buf_printf(&message, "each InfiniBand network %s of pod %s/%s was given to another interface than %s",
			   said->network_name, said->namespace, said->name, said->interface);
	else
		buf_printf(&message, "pod %s/%s has no InfiniBand network %s for interface %s; ", said->namespace,
			   said->name, said->network_name, said->interface);
	if (!taken)
		list_networks(&message, &attach->webhook->view);
	attach_decided(attach, "UnknownNetwork", message.data, retry);
	buf_free(&message);
}

static bool any_undefined(const struct pod_view *view)
{
	for (size_t i = 0; i < view->n; i++)
		if (!*view->attachments[i].config_name)
			return true;
	return false;
}

/* The network may have been defined a moment ago.  Where one of the pod's is not known at all, it may be that one, and
 * whoever does not lead, or has not read all networks, may just not have heard of it: then only the deadline tells. */
static bool decide_missing(struct attach *attach, bool taken, const struct leading *leading, int64_t now)
{
	bool undefined = any_undefined(&attach->webhook->view);

	if (!attach->missing_ms)
		attach->missing_ms = now;
	bool sure = leading->anybody && leading->knows && !undefined &&
		    now - attach->missing_ms >= attach->webhook->pace.missing_ms;
	if (!sure && now < attach->deadline_ms)
		return false;
	if (attach_decide_no_leader(attach, leading))
		return true;
	if (leading->knows)
		say_missing(attach, taken, undefined);
	else
		attach_too_late(attach, "NotMember", "this replica has not read all pods and networks yet");
	return true;
}

bool attach_decide_none(struct attach *attach, const struct leading *leading, int64_t now)
{
	attach->webhook->view.n = 0;
	return decide_missing(attach, false, leading, now);
}

bool attach_decide(struct attach *attach, const struct leading *leading, int64_t now)
{
	const struct pod_view *view = &attach->webhook->view;
	const struct attach_request *said = attach->said;
	const struct attach_ask ask = {
		.interface = said->interface,
		.network_name = said->network_name,
		.has_hint = said->has_hint,
		.hint = said->hint,
		.leads = leading->we,
		.sandbox = said->sandbox,
		.pkey = said->pkey,
	};
	bool late = now >= attach->deadline_ms;
	size_t found;

	switch (attach_match(view->candidates, view->n, &ask, attach->pod->given, attach->pod->n_given, &found)) {
	case ATTACH_MATCH_FOUND:
		return decide_found(attach, &view->attachments[found], leading, late);
	case ATTACH_MATCH_LEADER:
		return decide_ambiguous(attach, leading, late);
	case ATTACH_MATCH_TAKEN:
		return decide_missing(attach, true, leading, now);
	case ATTACH_MATCH_NONE:
		break;
	}
	return decide_missing(attach, false, leading, now);
}
