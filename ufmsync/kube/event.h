#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/net/loop.h"
#include "ufmsync/kube/client.h"

/* Events on pods and networks (events.k8s.io/v1).  Best effort and bounded: at most 1000 wait, 10 a second go out after a burst of
 * 100, the same (object, reason, note) again within 10 minutes becomes a series (count), none is retried in a terminating
 * namespace or after a 4xx (but 401: the token is read anew). */
struct kube_events;
/* `kube` must outlive the events. */
struct kube_events *kube_events_new(struct loop *loop, struct kube *kube, const char *controller, const char *instance);
void kube_events_free(struct kube_events *events); /* what waits is not sent any more; NULL is fine */

struct kube_event {
	bool network;                       /* regarding a NetworkAttachmentDefinition; else a pod */
	const char *namespace, *name, *uid; /* of what it regards; uid "": not known */
	bool warning;                       /* else Normal */
	const char *reason;                 /* CamelCase */
	const char *note;                   /* at most 1024 bytes are sent */
	const char *action;                 /* "Join", "Publish"... */
};
void kube_events_say(struct kube_events *events, const struct kube_event *event);
/* How often a series is written at most; a minute unless set. */
void kube_events_set_series_ms(struct kube_events *events, int64_t least_ms);
unsigned long kube_events_dropped(const struct kube_events *events);
