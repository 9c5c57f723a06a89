#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/net/loop.h"
#include "ufmsync/kube/client.h"

/* Events on pods and networks (events.k8s.io/v1).  Best effort and bounded: a few thousand wait or are remembered, at a
 * rate and in an order that lets no namespace silence another (event_queue.h).
 *
 * The same again (object, reason, note) within an hour and a half becomes a series of the first, which is written five
 * seconds later at the earliest, then after ten, twenty ... at most 30 minutes: so one that goes on stays within the hour
 * that API servers keep Events, and costs little.  One that expired there is made anew and goes on counting.  Another process knows
 * nothing of it and begins another Event, as Kubernetes' own recorders do.
 *
 * What fails is tried again for a minute and a half; what is refused is not, and in a namespace that is being deleted
 * nothing is tried at all for a minute. */
struct kube_events;
/* `kube` must outlive the events. */
struct kube_events *kube_events_new(struct loop *loop, struct kube *kube, const char *controller, const char *instance);
void kube_events_free(struct kube_events *events); /* what waits is not sent any more; NULL is fine */

struct kube_event {
	bool network;                       /* regarding a NetworkAttachmentDefinition; else a pod */
	const char *namespace, *name, *uid; /* of what it regards; uid "": not known */
	bool warning;                       /* else Normal */
	const char *reason;                 /* CamelCase */
	const char *note;                   /* anything; what is sent is one line of at most 1024 bytes of UTF-8 */
	const char *action;                 /* "Join", "Publish"... */
};
void kube_events_say(struct kube_events *events, const struct kube_event *event);
/* What waits is not sent: somebody else speaks from now on. */
void kube_events_hush(struct kube_events *events);

/* Kind AUTH: we may not write Events; told once, until it is over (NULL).  Any other: this one was refused. */
void kube_events_on_trouble(struct kube_events *events, void (*trouble)(void *aux, const struct error *err), void *aux);

/* How often a series is written at first; five seconds unless set. */
void kube_events_set_series_ms(struct kube_events *events, int64_t least_ms);

struct kube_events_counts {
	uint64_t created, series; /* Events made; repetitions written on them */
	uint64_t dropped;         /* not sent: no room, or somebody else leads by now */
	uint64_t closed;          /* nor can they be: their namespace is being deleted, or gone */
	uint64_t refused;         /* by the API server: no right to, or not as it wants them */
	uint64_t failed;          /* no answer, or none that was well, as often as it was tried */
};
struct kube_events_counts kube_events_counts(const struct kube_events *events);
