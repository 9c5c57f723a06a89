#pragma once

#include <jansson.h>

#include "base/error.h"
#include "tests/mock/ufm_server.h"

/* What the control endpoint may change from behind UFM's back, each with the JSON object it takes. */
struct ufm_change {
	const char *method, *path;
	int (*apply)(struct ufm_server *server, const json_t *body,
		     struct error *err); /* all or, on failure, nothing */
};

const struct ufm_change *ufm_change_find(const char *method, const char *path); /* NULL: none */
