#pragma once

#include "base/net/http.h"
#include "base/net/loop.h"
#include "ufmsync/ctl/reach.h"
#include "ufmsync/kube/client.h"

/* The parts of reach. */

/* What came of one exchange, before anybody said what it means. */
struct reach_answer {
	int status;         /* HTTP; 0: none came */
	json_t *object;     /* NULL: no JSON */
	char *text;         /* what came when it is no JSON, its first part; else NULL */
	struct error error; /* kind NONE: an answer came whole */
};
void reach_answer_free(struct reach_answer *answer);

struct direct;

struct reach_token {
	char *text; /* NULL: none yet */
	int64_t due_ms;
};

struct reach {
	const struct reach_options *options;
	struct loop *loop;
	const struct reach_class *class;
	bool opened;
	int64_t deadline_ms; /* of the call under way */

	struct kube_config *config; /* opened when first needed */
	int64_t config_until_ms;    /* since 1970: a credential plugin is asked again then */
	char *namespace;            /* of the kubeconfig's context */
	struct kube *kube;
	struct reach_token reader, operator;

	struct http *http;     /* --server */
	struct direct *direct; /* --direct */

	bool said_follower;
	struct loop_timer progress, pause;
	int64_t began_ms;
	const char *doing; /* of the progress line */
	bool line_shown;
};

/* One way to the service. */
struct reach_class {
	int (*open)(struct reach *reach, struct error *err); /* before the first call; leaves nothing when it fails */
	void (*close)(struct reach *reach);
	/* -1: it did not come to asking.  0: *answer is what came, to be freed. */
	int (*ask)(struct reach *reach, const char *method, const char *path, const char *body,
		   struct reach_answer *answer, struct error *err);
};
extern const struct reach_class reach_proxy, reach_server, reach_direct;

int reach_open_kube(struct reach *reach, struct error *err);

/* An exchange that is waited for. */
struct reach_exchange {
	struct reach *reach;
	struct reach_answer *answer;
	bool done;
};
/* `done` and `aux` of a request; then waits for it. */
void reach_on_reply(void *aux, const struct http_reply *reply);
void reach_wait(struct reach_exchange *exchange, const char *doing);
/* What is left of the time of this call; at least 1. */
int64_t reach_left_ms(const struct reach *reach);

enum { REACH_ANSWER_MAX = 32 << 20, REACH_TIMEOUT_MS = 30 * 1000 };

/* --- reach_text.c: pure, what an answer means ------------------------------------------------------------------- */

enum reach_next {
	REACH_NEXT_DONE,     /* 2xx */
	REACH_NEXT_FAIL,     /* err says why */
	REACH_NEXT_ELSEWHERE /* another replica may do better; err says why this one did not */
};
/* Where the service is, for texts. */
struct reach_place {
	enum reach_way way;
	const char *namespace, *service, *account, *server;
};
/* Of a call of the service.  `sent_once`: the method may not be sent twice unless it was certainly not done. */
enum reach_next reach_judge(const struct reach_place *place, const char *method, const char *path,
			    const struct reach_answer *answer, struct error *err);
/* Of a TokenRequest that was not granted. */
void reach_explain_token(const struct reach_place *place, const struct reach_answer *answer, struct error *err);
/* Of a call of the API server. */
void reach_explain_kube(const char *method, const char *path, const struct reach_answer *answer, struct error *err);
/* Which of the files that KUBECONFIG names is meant: `paths` with colons, `exists` asked of each.  Empty: none exists.
 * ERROR_INVALID: several do. */
int reach_choose_kubeconfig(char **path, const char *paths, bool (*exists)(const char *path), struct error *err);
