/* What the API server is asked, and what it says. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ufmsync/kube/access_private.h"

enum {
	TASKS_MAX = 64,
	KEPT_MS = 60 * 1000,
	REQUEST_MS = 10 * 1000,
	REPLY_MAX = 1 << 20,
	SAID_BACK = 8, /* the first characters of a token that count as all of it */
};

void access_task_free(struct access_task *task)
{
	struct kube_access *access = task->access;

	access_table_remove(&access->tasks, &task->link);
	if (task->request) {
		TAILQ_REMOVE(&access->running, task, turn);
		access->n_running--;
	} else {
		TAILQ_REMOVE(&access->queued, task, turn);
	}
	if (task->token)
		access->token_bytes -= strlen(task->token);
	mem_wipe_free(task->token);
	access_answer_unref(task->who);
	free(task->method);
	free(task->path);
	free(task);
}

/* Those who have waited longest go first: what continues an ask comes before what begins one. */
struct access_task *access_task_new(struct kube_access_ask *ask, const struct access_key *key, const char *token)
{
	struct kube_access *access = ask->access;
	struct access_task *task = mem_alloc(sizeof *task);

	*task = (struct access_task){ .link.key = *key, .access = access, .question = ask->question };
	TAILQ_INIT(&task->asks);
	access_table_add(&access->tasks, &task->link);
	if (ask->question == ACCESS_WHO) {
		task->token = mem_dup(token);
		access->token_bytes += strlen(token);
		TAILQ_INSERT_TAIL(&access->queued, task, turn);
		return task;
	}
	task->who = access_answer_ref(ask->who);
	if (ask->question == ACCESS_MAY) {
		task->method = mem_dup(ask->method);
		task->path = mem_dup(ask->path);
	}
	TAILQ_INSERT_HEAD(&access->queued, task, turn);
	return task;
}

/* --- what is sent, and what comes back --- */

/* Whether the text holds the token, or as much of one as was not cut off: that goes into no log. */
static bool says_back(const char *text, const char *token)
{
	char begin[SAID_BACK + 1];

	if (!token)
		return false;
	snprintf(begin, sizeof begin, "%s", token);
	return strstr(text, begin) != NULL;
}

/* An outage, or something to be set right by whoever installed us. */
static struct access_answer *failure(const struct access_task *task, const struct kube_reply *reply)
{
	static const char *const rights[] = {
		[ACCESS_WHO] = "create tokenreviews.authentication.k8s.io",
		[ACCESS_MAY] = "create subjectaccessreviews.authorization.k8s.io",
		[ACCESS_NODE] = "get pods",
	};
	char status[48];
	const char *text = reply->error->text;

	if (says_back(text, task->token)) {
		snprintf(status, sizeof status, "HTTP %d, with the token in its words", reply->status);
		text = status;
	}
	if (reply->status == 403)
		return access_answer_new(ACCESS_BAD, mem_printf("the service's own account lacks the right to %s: %s",
								rights[task->question], text));
	if (reply->status == 401)
		return access_answer_new(
			ACCESS_BAD, mem_printf("the API server does not accept the service's own token: %s", text));
	return access_answer_new(ACCESS_BAD, mem_printf("the API server cannot be asked: %s", text));
}

static struct access_answer *misunderstood(const struct error *err)
{
	return access_answer_new(ACCESS_BAD, mem_dup(err->text));
}

static void task_send(struct access_task *task);

static void on_token(struct access_task *task, const struct kube_reply *reply)
{
	struct access_user user = { 0 };
	struct error err;
	int64_t yes_ms = KEPT_MS, left_ms;
	enum access_says says = access_token_answer(&user, reply->object, !task->plain, &err);

	if (says == ACCESS_NO && !task->plain) {
		task->plain = true;
		task_send(task);
	} else if (says == ACCESS_NO) {
		access_task_end(
			task,
			access_answer_new(ACCESS_NO,
					  mem_dup("the API server knows no such token of audience " ACCESS_AUDIENCE
						  " or its own")),
			0);
	} else if (says == ACCESS_BAD) {
		access_task_end(task, misunderstood(&err), 0);
	} else {
		struct access_answer *answer = access_answer_new(ACCESS_YES, NULL);

		answer->user = user;
		left_ms = access_token_end_ms(task->token) - loop_wall_ms();
		access_task_end(task, answer, left_ms < yes_ms ? left_ms : yes_ms);
	}
}

static void on_subject(struct access_task *task, const struct kube_reply *reply)
{
	char *reason = NULL;
	struct error err;
	struct access_answer *answer = NULL;

	switch (access_subject_answer(&reason, reply->object, &err)) {
	case ACCESS_YES:
		answer = access_answer_new(ACCESS_YES, NULL);
		break;
	case ACCESS_NO:
		answer =
			access_answer_new(ACCESS_NO, mem_printf("%s may not %s %s%s%s", task->who->user.name,
								task->method, task->path, *reason ? ": " : "", reason));
		break;
	case ACCESS_BAD:
		answer = misunderstood(&err);
		break;
	}
	free(reason);
	access_task_end(task, answer, KEPT_MS);
}

static void on_pod(struct access_task *task, const struct kube_reply *reply)
{
	char *node = NULL;
	struct error err;
	enum access_says says = access_pod_answer(&node, &task->who->user, reply->object, &err);

	access_task_end(task, says == ACCESS_BAD ? misunderstood(&err) : access_answer_new(says, node), KEPT_MS);
}

static void on_reply(void *aux, const struct kube_reply *reply)
{
	struct access_task *task = aux;

	if (task->question == ACCESS_NODE && reply->status == 404)
		access_task_end(task, access_answer_new(ACCESS_NO, NULL), 0);
	else if (reply->error)
		access_task_end(task, failure(task, reply), 0);
	else if (task->question == ACCESS_WHO)
		on_token(task, reply);
	else if (task->question == ACCESS_MAY)
		on_subject(task, reply);
	else
		on_pod(task, reply);
}

static void task_send(struct access_task *task)
{
	struct kube_access *access = task->access;
	char *path, *body = NULL;

	if (task->question == ACCESS_WHO) {
		path = mem_dup("/apis/authentication.k8s.io/v1/tokenreviews");
		body = access_token_review(task->token, !task->plain);
	} else if (task->question == ACCESS_MAY) {
		path = mem_dup("/apis/authorization.k8s.io/v1/subjectaccessreviews");
		body = access_subject_review(&task->who->user, task->method, task->path);
	} else {
		path = access_pod_path(&task->who->user);
	}
	access->reviews++;
	task->request = kube_send(access->kube, &(struct kube_request_options){
							.operation = body ? KUBE_REVIEW : KUBE_GET_POD,
							.method = body ? "POST" : "GET",
							.path = path,
							.body = body,
							.body_len = body ? strlen(body) : 0,
							.timeout_ms = REQUEST_MS,
							.answer_max = REPLY_MAX,
							.done = on_reply,
							.aux = task,
						});
	mem_wipe_free(body);
	free(path);
}

void access_task_pump(struct kube_access *access)
{
	struct access_task *task;

	while (access->n_running < TASKS_MAX && (task = TAILQ_FIRST(&access->queued))) {
		TAILQ_REMOVE(&access->queued, task, turn);
		TAILQ_INSERT_TAIL(&access->running, task, turn);
		access->n_running++;
		task_send(task);
	}
}
