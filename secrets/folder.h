#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* The settings in a mounted folder, one file each, read as one snapshot.
 *
 * A Kubernetes volume shows its files as links through `..data` into a folder of their own, and rotates by pointing
 * `..data` at a new such folder.  Everything is read through that one folder, opened once, and the link is looked at
 * again at the end: values of before and after a rotation never mix.  Without `..data` (any other folder) the files'
 * identity, size and time must be the same before and after.
 *
 * Only names that look like settings (capital letters, digits, '_') are read; whatever else lies there is not ours. */
struct folder;

/* ERROR_OS: a folder or a setting's file cannot be read.  ERROR_LIMIT: a file over 64 KiB, more than 256 settings.
 * ERROR_INVALID: a file with a NUL inside, or no regular file.  ERROR_RETRY: it changed under each of several tries. */
int folder_read(struct folder **ret, const char *path, struct error *err);
void folder_free(struct folder *folder); /* wipes; NULL is fine */
/* Without the line end behind it, which editors and `echo` leave there; NULL when there is no such file. */
const char *folder_text(const struct folder *folder, const char *name);
/* All names, from 0 in no order; NULL behind the last. */
const char *folder_name(const struct folder *folder, size_t i);
/* Shows the folder another state than the one read?  Reads no file.  A folder that has become unreadable has changed. */
bool folder_changed(const struct folder *folder);
bool folder_equal(const struct folder *a, const struct folder *b); /* the same names and texts; NULL is an empty one */
