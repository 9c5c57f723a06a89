#pragma once

#include <stddef.h>

#include "cni/plugin/cni_error.h"

/* What node_file.c and node_file_load.c share; nobody else's. */

enum { NODE_FILE_TEXT_MAX = 64 << 10 };

/* CNI_NODE_FILE: "node file PATH: problem", and whose business that is.  Returns -1. */
int node_file_fail(struct cni_error *err, const char *path, const char *problem);

/* Pure: the one line of printable ASCII without blanks that a token file holds, its newline cut off in place.  What is
 * wrong with it, NULL: nothing.  `text` ends with a NUL behind `len`. */
const char *node_file_check_token(char *text, size_t len);
