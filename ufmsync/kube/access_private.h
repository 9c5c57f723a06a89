#pragma once

#include <sys/queue.h>

#include "ufmsync/kube/access.h"
#include "ufmsync/kube/access_cache.h"
#include "ufmsync/kube/access_review.h"

/* What access.c (who asks, and what is kept) and access_task.c (what the API server is asked) share. */

/* An ask goes through up to three questions: who is it, may they, on which node.  The answer to each is either kept, or
 * a task is under way (or waits for its turn) that all who ask the same share. */
enum access_question { ACCESS_WHO, ACCESS_MAY, ACCESS_NODE };

/* Kept, and on its way to those who asked. */
struct access_answer {
	unsigned refs;
	enum access_says says;   /* BAD: it could not be asked; never kept */
	char *text;              /* ACCESS_NODE, YES: its name; else why not */
	struct access_user user; /* ACCESS_WHO, YES */
};

TAILQ_HEAD(access_asks, kube_access_ask);
TAILQ_HEAD(access_tasks, access_task);

struct access_task {
	struct access_link link;
	TAILQ_ENTRY(access_task) turn; /* in queued, or running */
	struct kube_access *access;
	enum access_question question;
	struct access_asks asks;
	char *token;                  /* ACCESS_WHO */
	bool plain;                   /* ACCESS_WHO: it is the review without an audience */
	struct access_answer *who;    /* ACCESS_MAY, ACCESS_NODE */
	char *method, *path;          /* ACCESS_MAY */
	struct http_request *request; /* NULL: queued */
};

struct kube_access_ask {
	struct kube_access *access;
	TAILQ_ENTRY(kube_access_ask) age;  /* in all */
	TAILQ_ENTRY(kube_access_ask) link; /* in its task's asks, or ready */
	struct access_task *task;          /* that it waits for; NULL: ready */
	struct access_answer *answer;      /* ready: of the question */
	enum access_question question;
	struct access_key token;
	struct access_answer *who; /* since it was answered */
	char *method, *path;       /* NULL: none that could be allowed */
	bool node;
	int64_t due_ms;
	kube_access_done_fn *done;
	void *aux;
};

struct kube_access {
	struct kube *kube;
	struct loop *loop;
	unsigned char secret[32]; /* in every key */
	struct access_cache kept, refused;
	struct access_table tasks;
	struct access_tasks queued, running;
	struct access_asks all, ready; /* all: the first is due first */
	unsigned n_running, n_asks;
	size_t token_bytes; /* of tokens held */
	int64_t ask_ms;     /* how long an ask waits at most */
	struct loop_timer deliver, deadline;
	uint64_t reviews, served;
};

struct access_answer *access_answer_new(enum access_says says, char *text); /* takes the text */
struct access_answer *access_answer_ref(struct access_answer *answer);
void access_answer_unref(void *answer); /* NULL is fine */

/* A task for the ask's present question, which waits for its turn; nobody is among its asks yet. */
struct access_task *access_task_new(struct kube_access_ask *ask, const struct access_key *key, const char *token);
void access_task_free(struct access_task *task);
void access_task_pump(struct kube_access *access); /* begins those that may begin */

/* access.c: the task is over.  Takes the answer; a yes is kept so long. */
void access_task_end(struct access_task *task, struct access_answer *answer, int64_t yes_ms);
