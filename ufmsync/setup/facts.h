#pragma once

#include <stdint.h>

#include "ufmsync/setup/objects.h"
#include "ufmsync/setup/plan.h"

/* From objects to facts, and from a decision to the object that is to be written.  No I/O; randomness is OpenSSL's. */

void setup_look(struct setup_facts *facts, const struct setup_objects *objects, const struct setup_wish *wish,
		int64_t now_s);

/* The object that the step writes, whole, for yaml_wipe(); *which is which. */
int setup_write(json_t **ret, enum setup_object *which, enum setup_step step, const struct setup_objects *objects,
		const struct setup_wish *wish, int64_t now_s, struct error *err);
