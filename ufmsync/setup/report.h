#pragma once

#include <stdint.h>
#include <stdio.h>

#include "ufmsync/setup/plan.h"
#include "ufmsync/setup/run.h"

/* What there is and what is done, in words.  Never anything of a key. */

const char *setup_report_step(enum setup_step step);  /* "made a CA" */
const char *setup_report_would(enum setup_step step); /* "make a CA" */

/* The worst of all parts' decisions, when none of them is a write; *text says it in one line, for free(). */
enum setup_step setup_report_state(char **text, const struct setup_facts *facts, const struct setup_wish *wish,
				   int64_t now_s);

/* Everything with its dates, and what is due. */
enum setup_exit setup_report(FILE *out, const struct setup_facts *facts, const struct setup_wish *wish, int64_t now_s);
