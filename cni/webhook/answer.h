#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "cni/webhook/webhook.h"

/* The bodies of answers: compact JSON, whatever the texts hold.  Pure.  Each replaces what the buffer held. */

void answer_given(struct buf *body, const struct webhook_attachment *attachment);
/* What the service decided instead. */
void answer_decision(struct buf *body, const char *code, const char *message, bool retry);
/* Of any status but 200. */
void answer_refusal(struct buf *body, const char *code, const char *message);
void answer_status(struct buf *body, bool ready, const char *leader, const char *message);
