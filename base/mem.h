#pragma once

#include <stddef.h>

/* Memory that cannot be had ends the process: a service that sheds half of its state when memory runs out is
 * harder to trust than one that is started anew and reads the truth again.  So none of these returns NULL, and
 * no caller tests for it.  What the network fills is bounded elsewhere (buf.h, scan.h). */

/* Both zeroed; a product that overflows ends the process. */
void *mem_alloc(size_t size) __attribute__((returns_nonnull));
void *mem_array(size_t count, size_t size) __attribute__((returns_nonnull));
/* What is beyond the old size is not zeroed. */
void *mem_resize(void *p, size_t count, size_t size) __attribute__((returns_nonnull));
char *mem_dup(const char *s); /* NULL gives NULL */
/* n bytes, and a NUL behind them. */
char *mem_dup_n(const char *s, size_t n) __attribute__((returns_nonnull));
char *mem_printf(const char *format, ...) __attribute__((format(printf, 1, 2), returns_nonnull));

/* Overwrites in a way that no optimiser drops, then frees.  NULL is fine. */
void mem_wipe_free(char *secret);

/* __attribute__((cleanup(mem_freep))) char *text = ...; */
void mem_freep(void *pointer_to_pointer);

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define array_length(a)                 (sizeof(a) / sizeof((a)[0]))
