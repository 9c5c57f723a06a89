#pragma once

#include "base/buf.h"
#include "cni/webhook/attach_match.h"
#include "cni/webhook/webhook.h"

/* A copy of one pod's attachments as the world shows them, kept so that it may be asked again meanwhile.  Reused from pod
 * to pod. */
struct pod_view {
	struct webhook_attachment *attachments; /* their texts are in `texts` */
	struct attach_candidate *candidates;    /* the same, for attach_match() */
	struct pod_view_places *places;         /* private */
	size_t n, cap;
	struct buf texts;
};

void pod_view_init(struct pod_view *view);
void pod_view_free(struct pod_view *view);
void pod_view_read(struct pod_view *view, const struct webhook_world *world, const char *uid);
