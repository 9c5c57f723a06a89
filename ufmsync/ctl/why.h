#pragma once

#include <jansson.h>

#include "base/table.h"

/* What an attachment (Attachment of openapi.json) is doing, and what to do when it waits for somebody: the end of a sentence
 * that begins with it, such as "waits for NetworkAttachmentDefinition tenant-a/ib0, which does not exist: create it".  The
 * caller frees it. */
char *ctl_why(const json_t *attachment);
enum table_colour ctl_why_colour(const json_t *attachment);

/* Why a pod, as the API server has it, has no attachment; the caller frees it. */
char *ctl_why_none(const json_t *pod);
