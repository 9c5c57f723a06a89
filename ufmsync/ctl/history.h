#pragma once

#include <jansson.h>

#include "ufmsync/ctl/command.h"

/* What happened to a pod, in order of time, from all that knows something of it. */
struct history;

struct history *history_new(void);
void history_free(struct history *history);
void history_pod(struct history *history, const json_t *pod);
void history_attachment(struct history *history, const json_t *attachment); /* of the service */
void history_event(struct history *history, const json_t *event);           /* of events.k8s.io/v1 */
void history_print(const struct history *history, struct ctl *ctl);         /* nothing when nothing is known */
json_t *history_json(const struct history *history);                        /* [{"time","what"}] */
