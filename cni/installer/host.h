#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "base/error.h"

/* Files in folders of the node.
 *
 * A file is written beside its place under a name of its own, made durable, and then takes its place in one step: at
 * each moment, power cuts included, the name stands for all of the old file or all of the new one, and whoever runs or
 * reads the old one goes on with it.  No link in the folder is followed, so nobody who may write there can turn a write
 * elsewhere.  What an earlier, killed process left beside a file is removed on the way. */
struct host_folder;

/* `path` must exist.  Locked: ERROR_RETRY when another process holds it for more than a second or two; not locked, it is
 * only looked at. */
int host_folder_open(struct host_folder **ret, const char *path, bool lock, struct error *err);
/* The folder `name` in it, ours alone (0700), not a link.  Locked: made when it is not there; otherwise *ret is NULL
 * then. */
int host_folder_open_in(struct host_folder **ret, const struct host_folder *in, const char *name, bool lock,
			struct error *err);
void host_folder_close(struct host_folder *folder); /* NULL is fine */

struct host_file {
	const char *name;
	mode_t mode;
	const void *bytes;
	size_t len;
};

/* What tells that a file was changed, without reading it. */
struct host_stamp {
	dev_t dev;
	ino_t ino;
	off_t size;
	mode_t mode;
	uid_t uid;
	struct timespec modified, changed;
};
struct host_stamp host_stamp(const struct stat *st);
bool host_stamp_equal(const struct host_stamp *a, const struct host_stamp *b);
/* False: it is not there, or cannot be looked at. */
bool host_file_stamp(const struct host_folder *folder, const char *name, struct host_stamp *stamp);

/* Is it there as it should be: a regular file of ours, its mode and each byte? */
bool host_file_same(const struct host_folder *folder, const struct host_file *file);
/* Makes it so.  *written: it was not. */
int host_file_put(const struct host_folder *folder, const struct host_file *file, bool *written, struct error *err);
/* *removed: it was there; what was left beside it goes too. */
int host_file_remove(const struct host_folder *folder, const char *name, bool *removed, struct error *err);
/* The empty folder `name`.  *removed: false when it is not there, or not empty. */
int host_folder_remove(const struct host_folder *in, const char *name, bool *removed, struct error *err);
bool host_exists(const struct host_folder *folder, const char *name);

/* A new, empty file in the place of `name`, locked as long as the descriptor is open (or its process lives); or -1. */
int host_file_hold(const struct host_folder *folder, const char *name, struct error *err);
/* Somebody alive holds the file that is there. */
bool host_file_held(const struct host_folder *folder, const char *name);

/* A whole regular file of at most `max` bytes (links are followed: a mounted volume has them); a NUL stands behind it.
 * To be freed, a secret wiped before. */
int host_read(char **ret, size_t *len, const char *path, size_t max, struct error *err);
int host_file_read(char **ret, size_t *len, const struct host_folder *folder, const char *name, size_t max,
		   struct error *err);
