#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/net/loop.h"
#include "ufmsync/ctl/commands.h"
#include "ufmsync/ctl/why.h"

enum { TIMEOUT_MS = 60 * 1000, LOOK_MS = 500, SHORT_MS = 2000 };

struct wait {
	struct ctl *ctl;
	char *namespace, *pod;
	char *uid;          /* of the pod as it is now; NULL: the API server was not asked */
	bool wants_any;     /* it asks for some network */
	json_t *unfinished; /* attachments, as the last whole answer has them */
	size_t finished;
	bool looked; /* there was one */
};

struct sight {
	const struct wait *wait;
	json_t *unfinished;
	size_t finished;
};

static bool is_state(const json_t *item, const char *state)
{
	const char *text = json_str(item, "state", NULL);

	return text && strcmp(text, state) == 0;
}

static int on_attachment(void *aux, const json_t *item, struct error *err)
{
	struct sight *sight = aux;
	const char *uid = json_str(item, "uid", NULL);

	(void)err;
	if (sight->wait->uid && uid && strcmp(uid, sight->wait->uid) != 0)
		return 0; /* an earlier pod of that name */
	if (is_state(item, "leaving") || is_state(item, "resting"))
		return 0;
	if (is_state(item, "member") || is_state(item, "published"))
		sight->finished++;
	else
		json_array_append(sight->unfinished, (json_t *)(uintptr_t)item);
	return 0;
}

/* Does the pod exist, and does it ask for any network?  Who may not ask the API server does without. */
static int look_at_pod(struct wait *wait, struct error *err)
{
	__attribute__((cleanup(json_freep))) json_t *pod = NULL;
	__attribute__((cleanup(mem_freep))) char *namespace = reach_segment(wait->namespace);
	__attribute__((cleanup(mem_freep))) char *name = reach_segment(wait->pod);
	__attribute__((cleanup(mem_freep))) char *path = mem_printf("/api/v1/namespaces/%s/pods/%s", namespace, name);

	wait->wants_any = true;
	if (reach_kube(wait->ctl->reach, "GET", path, NULL, &pod, err) < 0) {
		if (err->kind == ERROR_GONE)
			return error_set(err, ERROR_GONE, "there is no pod %s in namespace %s", wait->pod,
					 wait->namespace);
		*err = (struct error){ 0 };
		return 0;
	}
	const json_t *annotations = json_at(pod, "metadata", "annotations", NULL);
	wait->wants_any = json_object_get(annotations, "k8s.v1.cni.cncf.io/networks") ||
			  json_object_get(annotations, "v1.multus-cni.io/default-network");
	free(wait->uid);
	wait->uid = mem_dup(json_str(pod, "metadata", "uid", NULL));
	return 0;
}

static int look(struct wait *wait, struct error *err)
{
	struct sight sight = { wait, json_array(), 0 };
	const struct reach_list pages = { NULL, on_attachment, &sight };
	__attribute__((cleanup(mem_freep))) char *path =
		reach_path("/v1/attachments", "namespace", wait->namespace, "pod", wait->pod, NULL);

	if (look_at_pod(wait, err) < 0 || reach_each(wait->ctl->reach, path, &pages, err) < 0) {
		json_decref(sight.unfinished);
		return -1;
	}
	json_decref(wait->unfinished);
	wait->unfinished = sight.unfinished;
	wait->finished = sight.finished;
	wait->looked = true;
	return 0;
}

static bool is_over(const struct wait *wait)
{
	return json_array_size(wait->unfinished) == 0 && (wait->finished > 0 || !wait->wants_any);
}

static enum ctl_exit done(const struct wait *wait)
{
	if (wait->finished == 0)
		fprintf(wait->ctl->out, "%s/%s: asks for no network\n", wait->namespace, wait->pod);
	else
		fprintf(wait->ctl->out, "%s/%s: %zu %s\n", wait->namespace, wait->pod, wait->finished,
			wait->finished == 1 ? "network is ready" : "networks are ready");
	return CTL_DONE;
}

/* Why, as far as anybody knows. */
static void say_why(const struct wait *wait)
{
	const json_t *item;
	size_t i;

	if (json_array_size(wait->unfinished) == 0)
		fprintf(wait->ctl->err, "%s/%s: the service knows no InfiniBand network of it (is it on a node yet?)\n",
			wait->namespace, wait->pod);
	json_array_foreach(wait->unfinished, i, item)
	{
		const char *network = json_str(item, "network", NULL);
		__attribute__((cleanup(mem_freep))) char *why = ctl_why(item);
		fprintf(wait->ctl->err, "%s/%s, network %s: %s\n", wait->namespace, wait->pod, network ? network : "?",
			why);
	}
}

static enum ctl_exit too_late(const struct wait *wait, const struct error *err)
{
	if (err->kind != ERROR_NONE)
		ctl_fail(wait->ctl, err);
	else
		say_why(wait);
	return CTL_TIMED_OUT;
}

/* A last question that hardly had any time tells less than what was known before it. */
static bool cut_off(const struct wait *wait, const struct error *err, int64_t had_ms)
{
	return err->kind != ERROR_NONE && wait->looked && had_ms < SHORT_MS;
}

static enum ctl_exit wait_for(struct wait *wait)
{
	struct ctl *ctl = wait->ctl;
	int64_t until = loop_now_ms() + (ctl->timeout_ms > 0 ? ctl->timeout_ms : TIMEOUT_MS);
	struct error before = { 0 };

	for (;;) {
		struct error err = { 0 };
		int64_t left = until - loop_now_ms(), had = left;
		if (left > 0)
			ctl->reach_options.timeout_ms = left; /* of each question, too */
		if (look(wait, &err) == 0) {
			if (is_over(wait))
				return done(wait);
		} else if (err.kind != ERROR_RETRY && err.kind != ERROR_CONFLICT) {
			return ctl_fail(ctl, &err);
		}
		left = until - loop_now_ms();
		if (left <= 0)
			return too_late(wait, cut_off(wait, &err, had) ? &before : &err);
		before = err;
		reach_pause(ctl->reach, left < LOOK_MS ? left : LOOK_MS);
	}
}

static enum ctl_exit run(struct ctl *ctl)
{
	const char *slash = strchr(ctl->argv[0], '/');
	struct wait wait = { .ctl = ctl, .unfinished = json_array() };

	wait.namespace = slash ? mem_dup_n(ctl->argv[0], (size_t)(slash - ctl->argv[0])) : mem_dup(ctl->namespace);
	wait.pod = mem_dup(slash ? slash + 1 : ctl->argv[0]);
	enum ctl_exit code = *wait.namespace && *wait.pod
				     ? wait_for(&wait)
				     : ctl_usage(ctl, "'%.100s': [NAMESPACE/]NAME of a pod is expected", ctl->argv[0]);
	json_decref(wait.unfinished);
	free(wait.namespace);
	free(wait.pod);
	free(wait.uid);
	return code;
}

static const struct ctl_flag flags[] = {
	{ "--timeout", "DURATION", "gives up after that, with exit code 124 (default 60s)" },
	{ NULL, NULL, NULL },
};

const struct ctl_command ctl_wait = {
	.name = "wait",
	.arguments = "[NAMESPACE/]POD",
	.least = 1,
	.most = 1,
	.summary = "Until all InfiniBand networks of a pod are members of their PKeys",
	.description = "Ends with 0 when all of them are members, with 3 when there is no such pod, and with 124 when "
		       "the time is\n"
		       "over: then a sentence says what each waits for.",
	.flags = flags,
	.plain = true,
	.run = run,
};
