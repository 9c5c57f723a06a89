#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/net/loop.h"
#include "ufmsync/kube/client.h"

/* Who sends a bearer token, and what may they do here: TokenReview (first with audience `ufmsync`, then without: a token
 * of any other audience is refused) and SubjectAccessReview (non-resource path, verb = method in lower case).
 *
 * Answers are kept a minute under a hash of the token, never past its `exp`; refusals five seconds, apart from the
 * others, so that no flood of bad tokens pushes good ones out.  An outage is never kept.  Asks of one token that are under
 * way share their reviews.  Everything is bounded: tokens of at most 16 KiB, 16384 kept answers (and 4096 refusals; the
 * oldest make room) of 16 MiB, 64 reviews under way at a time, 16384 asks that wait, each 20 s at most.  A token is held
 * only until it is reviewed, and wiped then. */
struct kube_access;

enum kube_verdict {
	KUBE_ACCESS_OK,
	KUBE_ACCESS_WHO,         /* 401: no such token */
	KUBE_ACCESS_FORBIDDEN,   /* 403: known, but may not */
	KUBE_ACCESS_UNAVAILABLE, /* 503: the API server cannot be asked now, or too many are being asked about */
};

struct kube_identity {
	const char *user; /* "system:serviceaccount:NAMESPACE:NAME" */
	/* The node the token's pod runs on: from the extra authentication.kubernetes.io/node-name, else (older API servers)
	 * read from the pod named by the extras pod-name and pod-uid; NULL: the token belongs to no pod, or its pod is gone.
	 * Only with `node` asked for, and only of service accounts. */
	const char *node;
};

/* `who` is NULL unless OK or FORBIDDEN (there without its node); `why` is a sentence without any secret, which with
 * UNAVAILABLE names the rule that our own service account lacks, if that is the cause; "" with OK.  Both are borrowed
 * during the call. */
typedef void kube_access_done_fn(void *aux, enum kube_verdict verdict, const struct kube_identity *who,
				 const char *why);

/* `kube` must outlive it. */
struct kube_access *kube_access_new(struct loop *loop, struct kube *kube);
/* Asks under way end without a call.  Not from within `done`.  NULL is fine. */
void kube_access_free(struct kube_access *access);

struct kube_access_ask;
/* Calls `done` exactly once unless cancelled: with a kept answer, or when it is hopeless, before this returns (then NULL
 * is returned), else later from the loop.  `method` as HTTP has it ("POST"), `path` as requested, decoded, without the
 * query. */
struct kube_access_ask *kube_access_check(struct kube_access *access, const char *token, const char *method,
					  const char *path, bool node, kube_access_done_fn *done, void *aux);
void kube_access_cancel(struct kube_access_ask *ask);
/* How many requests were sent to the API server so far, and how many asks kept answers served. */
void kube_access_counts(const struct kube_access *access, uint64_t *reviews, uint64_t *kept);
