#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cni/webhook/webhook_private.h"

/* Requests of pods that the world knows. */

static void stir(struct webhook *webhook)
{
	loop_timer_at(&webhook->turn, loop_now_ms());
}

const char *webhook_node_of(const struct webhook *webhook, const char *uid)
{
	const char *node = webhook->world.node(webhook->world.aux, uid);

	return node && *node ? node : NULL;
}

/* --- nobody waits for a pod any more --- */

static void rest(struct webhook *webhook, struct waiting_pod *pod)
{
	if (pod->awaited == webhook->era)
		webhook->world.await_no_more(webhook->world.aux, pod->uid);
	pod->awaited = 0;
	waiting_pod_rest(&webhook->waiting, pod, loop_now_ms());
	if (!loop_timer_is_set(&webhook->forgetting))
		loop_timer_at(&webhook->forgetting, loop_now_ms() + REMEMBERED_MS);
}

static void on_forgetting(struct loop_timer *timer)
{
	struct webhook *webhook = container_of(timer, struct webhook, forgetting);
	int64_t now = loop_now_ms();

	waiting_forget(&webhook->waiting, now - REMEMBERED_MS);
	if (webhook->waiting.n_remembered > 0)
		loop_timer_at(timer, now + REMEMBERED_MS / 10);
}

void attach_leave_pod(struct attach *attach)
{
	struct waiting_pod *pod = attach->pod;

	if (!pod)
		return;
	attach->pod = NULL;
	chain_remove(&attach->place);
	if (chain_empty(&pod->requests) && pod != attach->webhook->looked_at)
		rest(attach->webhook, pod);
}

/* --- looking at a pod --- */

/* False: the world does not know the pod. */
static bool await(struct webhook *webhook, struct waiting_pod *pod)
{
	if (pod->awaited == webhook->era)
		return true;
	if (!webhook->world.await(webhook->world.aux, pod->uid))
		return false;
	pod->awaited = webhook->era;
	return true;
}

static struct attach *attach_at(struct chain *place)
{
	return container_of(place, struct attach, place);
}

/* `decide`: as far as anything is decided; else: the world does not know the pod (any more), ask the API server. */
static void look_at_requests(struct waiting_pod *pod, bool decide, const struct leading *leading)
{
	int64_t now = loop_now_ms();

	for (struct chain *place = pod->requests.next, *next; place != &pod->requests; place = next) {
		struct attach *attach = attach_at(place);

		next = place->next;
		if (!decide) {
			attach_leave_pod(attach);
			attach_look_up(attach);
		} else if (!attach_decide(attach, leading, now)) {
			attach_set_timer(attach, now);
		}
	}
}

static void look_at(struct webhook *webhook, struct waiting_pod *pod, const struct leading *leading)
{
	bool known = webhook_node_of(webhook, pod->uid) && await(webhook, pod);

	webhook->looked_at = pod;
	if (known)
		pod_view_read(&webhook->view, &webhook->world, pod->uid);
	look_at_requests(pod, known, leading);
	webhook->looked_at = NULL;
	if (chain_empty(&pod->requests))
		rest(webhook, pod);
}

static void on_turn(struct loop_timer *timer)
{
	struct webhook *webhook = container_of(timer, struct webhook, turn);
	struct waiting_pod *pod;
	struct leading leading;

	leading_now(&leading, webhook);
	while ((pod = waiting_next_stirred(&webhook->waiting))) {
		look_at(webhook, pod, &leading);
		if (loop_turn_ns(webhook->loop) > webhook->pace.slice_ns)
			break;
	}
	if (!chain_empty(&webhook->waiting.stirred))
		stir(webhook);
}

void attach_of_pod(struct attach *attach, const char *uid)
{
	struct webhook *webhook = attach->webhook;
	int64_t now = loop_now_ms();
	struct leading leading;

	attach->pod = waiting_pod_join(&webhook->waiting, uid, &attach->place);
	leading_now(&leading, webhook);
	pod_view_read(&webhook->view, &webhook->world, uid);
	if (attach_decide(attach, &leading, now))
		return;
	attach_set_timer(attach, now);
	if (!await(webhook, attach->pod)) { /* then it has just gone */
		attach_leave_pod(attach);
		attach_look_up(attach);
	}
}

void attach_pod_timed_out(struct attach *attach)
{
	struct webhook *webhook = attach->webhook;
	int64_t now = loop_now_ms();
	struct leading leading;

	leading_now(&leading, webhook);
	pod_view_read(&webhook->view, &webhook->world, attach->pod->uid);
	if (!attach_decide(attach, &leading, now))
		attach_set_timer(attach, now);
}

/* --- what the world says --- */

void webhook_pod_changed(struct webhook *webhook, const char *uid)
{
	struct waiting_pod *pod = waiting_pod_find(&webhook->waiting, uid);

	if (!pod)
		return;
	waiting_stir(&webhook->waiting, pod);
	stir(webhook);
}

void webhook_all_changed(struct webhook *webhook)
{
	waiting_stir_all(&webhook->waiting);
	stir(webhook);
}

void webhook_world_renewed(struct webhook *webhook)
{
	webhook->era++;
	webhook_all_changed(webhook);
}

void webhook_pods_init(struct webhook *webhook, uint64_t seed)
{
	webhook->era = 1;
	waiting_init(&webhook->waiting, seed, REMEMBERED_MAX);
	pod_view_init(&webhook->view);
	loop_timer_init(&webhook->turn, webhook->loop, on_turn);
	loop_timer_init(&webhook->forgetting, webhook->loop, on_forgetting);
}

void webhook_pods_free(struct webhook *webhook)
{
	loop_timer_stop(&webhook->turn);
	loop_timer_stop(&webhook->forgetting);
	pod_view_free(&webhook->view);
	waiting_free(&webhook->waiting);
}
