#pragma once

#include <stddef.h>

/* Base64 as Secrets have it. */
char *base64_of(const void *bytes, size_t len); /* for mem_wipe_free() */
/* The text that was encoded, for mem_wipe_free(); NULL: no base64, or a NUL in it. */
char *base64_text(const char *encoded);
