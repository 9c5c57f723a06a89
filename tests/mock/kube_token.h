#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The `continue` of a list: base64url of {"v","rv","start"}, as kube-apiserver makes it. */
char *mkube_token_make(int64_t rv, const char *last_key); /* the caller frees it */
/* *start is the key behind which the list goes on; the caller frees it.  rv -1: from whatever is there now. */
bool mkube_token_parse(const char *token, int64_t *rv, char **start);
