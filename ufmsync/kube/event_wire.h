#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An Event as events.k8s.io/v1 has it, within the limits of its validation.  Pure. */

enum {
	EVENT_NOTE_MAX = 1024, /* bytes; all limits are of the API server's */
	EVENT_TEXT_MAX = 128,  /* of reason, action and reportingInstance */
};

struct event_wire {
	const char *name, *namespace; /* of the Event */
	const char *controller, *instance;
	bool network;
	const char *about, *uid; /* of the pod, or the network definition; uid "": not known */
	bool warning;
	const char *reason, *action, *note;
	int64_t first_wall_ms, last_wall_ms;
	unsigned count; /* a series from two on */
};

/* Both may return NULL: a text was not UTF-8.  The caller frees. */
char *event_wire_creation(const struct event_wire *event);   /* the whole object, to POST */
char *event_wire_repetition(const struct event_wire *event); /* a merge patch */

/* "pod.17f0a3b2c4d5e6f7": a name for an Event about `about`, of which no more is used than fits. */
char *event_wire_name(const char *about, uint64_t unique);
/* Foreign text as a note: one line of UTF-8, no longer than EVENT_NOTE_MAX. */
char *event_wire_note(const char *text);
/* Of an identity that ends with what tells it from others: its end, where it is too long. */
char *event_wire_instance(const char *identity);
