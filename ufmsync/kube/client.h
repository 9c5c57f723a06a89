#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/net/http.h"
#include "base/net/loop.h"
#include "ufmsync/kube/config.h"

/* Requests to the API server: base URL, identity, JSON in and out.  Requests whose answer is small share one connection
 * where the server speaks HTTP/2, others take one of up to 32.  A token from a file is read anew after a minute, and for
 * the next request after a 401. */
struct kube;

int kube_new(struct kube **ret, struct loop *loop, const struct kube_config *config, const char *user_agent,
	     struct error *err);
void kube_free(struct kube *kube);      /* cancels everything without calling back */
void kube_drop_idle(struct kube *kube); /* the next request opens a new connection */

/* What is asked of the API server, for those who measure it. */
enum kube_operation {
	KUBE_OTHER, /* not measured: what a tool asks for */
	KUBE_GET_POD,
	KUBE_PATCH_POD,
	KUBE_LIST, /* a page of pods, networks or namespaces */
	KUBE_READ_LEASE,
	KUBE_WRITE_LEASE,
	KUBE_WRITE_EVENT,
	KUBE_REVIEW, /* of a token, or what its user may do */
	KUBE_OPERATIONS
};
const char *kube_operation_name(enum kube_operation operation); /* "get_pod", ... */

struct kube_observer {
	/* It has ended, after so long; from the loop, before the `done` that it leads to.  Must not call the client. */
	void (*ended)(void *aux, enum kube_operation operation, enum call_outcome outcome, int64_t ms);
	void *aux;
};
void kube_observe(struct kube *kube, const struct kube_observer *observer); /* copied */

struct kube_reply {
	int status;             /* HTTP; 0: none */
	const json_t *object;   /* the answer's JSON; NULL when there is none.  Borrowed until `done` returns */
	const char *reason;     /* of a Status object ("Expired", "AlreadyExists"), else "" */
	int64_t retry_after_ms; /* -1: not said */
	const struct error
		*error; /* NULL for 2xx.  Kinds: RETRY (no answer, 429, 5xx), AUTH (401, 403), CONFLICT (409),
				    * GONE (404, 410), INVALID (400, 415, 422), LIMIT (413) */
	bool sent;      /* as in http.h */
};
typedef void kube_done_fn(void *aux, const struct kube_reply *reply);

struct kube_request_options {
	enum kube_operation operation;
	const char *method, *path; /* path with query, percent-encoded: "/api/v1/namespaces/a/pods/b?x=y" */
	const char *content_type;  /* NULL: application/json */
	const void *body;
	size_t body_len;
	int64_t timeout_ms; /* 0: 30 s */
	int64_t send_by_ms; /* as in http.h */
	/* The answer may be the object's metadata alone, as far as the server can; at most 1 MiB, or the request fails with
	 * ERROR_LIMIT though it was carried out. */
	bool metadata_only;
	/* Bytes of the answer; 0: 16 MiB.  Up to 1 MiB shares the HTTP/2 connection. */
	size_t answer_max;
	kube_done_fn *done;
	void *aux;
};
/* Calls `done` once, later, unless cancelled.  `http_cancel()` on the handle. */
struct http_request *kube_send(struct kube *kube, const struct kube_request_options *options);

/* For streams (watch.h): adds base URL to `options->url`, which is a path here, and authorization to the headers, and
 * sends it.  Its `done` tells kube_saw() of it: KUBE_OTHER for what has no duration, a watch. */
struct http_request *kube_send_raw(struct kube *kube, const struct http_request_options *options);
void kube_saw(struct kube *kube, enum kube_operation operation, const struct http_reply *reply, int64_t ms);
/* What an answer that is not 2xx means, from its status and Status object; *reason (may be NULL) is a text for ever: one
 * of those that are known, else "". */
void kube_status_error(struct error *err, int status, const char *body, size_t len, const char **reason);

/* How a JSON Patch of a pod ended (client.h is where the API server's ways of saying it are known). */
enum kube_patch {
	KUBE_PATCH_DONE,
	KUBE_PATCH_STALE /* a test failed, or conflict: read again */,
	KUBE_PATCH_REFUSED /* will not be accepted as it is: annotations full, admission */,
	KUBE_PATCH_GONE,
	KUBE_PATCH_RETRY
};
enum kube_patch kube_patch_result(const struct kube_reply *reply);

/* Percent-encodes one path segment or query value into out; false when it does not fit. */
bool kube_escape(char *out, size_t size, const char *text);
