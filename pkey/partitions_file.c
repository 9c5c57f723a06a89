#include "pkey/partitions_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

/* The name of the temporary file is fixed: what a killed process leaves is found again, and there is at most one. */
#define TEMPORARY ".%s.ufmsync"

enum { EXCHANGES_MAX = 8, CHUNK = 64 * 1024 };

/* The folder, opened once, so that all steps of a write happen in the same one. */
struct place {
	int folder;
	char *name, *temporary; /* in it */
};

static int open_place(struct place *place, const char *path, struct error *err)
{
	const char *slash = strrchr(path, '/');
	__attribute__((cleanup(mem_freep))) char *folder = slash == path ? mem_dup("/")
							   : slash       ? mem_dup_n(path, (size_t)(slash - path))
									 : mem_dup(".");

	place->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (place->folder < 0)
		return error_set_errno(err, "folder %s", folder);
	place->name = mem_dup(slash ? slash + 1 : path);
	place->temporary = mem_printf(TEMPORARY, place->name);
	return 0;
}

static void close_place(struct place *place)
{
	close(place->folder);
	free(place->name);
	free(place->temporary);
}

/* --- at start --- */

static int check_kind(const struct place *place, const char *path, struct error *err)
{
	struct statx st;

	if (statx(place->folder, place->name, AT_SYMLINK_NOFOLLOW, STATX_TYPE | STATX_MODE, &st) < 0) {
		if (errno != ENOENT)
			return error_set_errno(err, "%s", path);
		return error_set(
			err, ERROR_INVALID,
			"%s does not exist; write it with the partitions that everybody is in, usually one line "
			"\"Default=0x7fff,ipoib : ALL=limited, SELF=full ;\"",
			path);
	}
	if (S_ISLNK(st.stx_mode))
		return error_set(
			err, ERROR_INVALID,
			"%s is a symbolic link, which a new file would replace; name the file that it points to", path);
	if (!S_ISREG(st.stx_mode))
		return error_set(err, ERROR_INVALID, "%s is no regular file", path);
	if (st.stx_attributes_mask & st.stx_attributes & STATX_ATTR_MOUNT_ROOT)
		return error_set(
			err, ERROR_INVALID,
			"%s is mounted as a single file (subPath?): a new one cannot take its place, and OpenSM "
			"would go on with the old one; mount its folder, here and for OpenSM",
			path);
	return 0;
}

int partitions_file_check(const char *path, struct error *err)
{
	struct place place;

	if (open_place(&place, path, err) < 0)
		return -1;
	int result = check_kind(&place, path, err);
	if (result == 0 && faccessat(place.folder, ".", W_OK | X_OK, AT_EACCESS) < 0)
		result = error_set_errno(err, "the folder of %s: new files must be written into it", path);
	if (result == 0 && unlinkat(place.folder, place.temporary, 0) < 0 && errno != ENOENT)
		result = error_set_errno(err, "%s, left by a write that was cut off", place.temporary);
	close_place(&place);
	return result;
}

/* --- reading --- */

static int read_all(struct buf *out, int fd, const char *name, struct error *err)
{
	char *chunk = mem_alloc(CHUNK);
	ssize_t n;

	while ((n = read(fd, chunk, CHUNK)) > 0 || (n < 0 && errno == EINTR))
		if (n > 0 && !buf_append(out, chunk, (size_t)n))
			break;
	free(chunk);
	if (out->full)
		return error_set(err, ERROR_LIMIT, "%s has more than %zu bytes", name, out->max);
	return n < 0 ? error_set_errno(err, "%s", name) : 0;
}

static int read_in(struct buf *out, const struct place *place, const char *name, struct error *err)
{
	int fd = openat(place->folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return error_set_errno(err, "%s", name);
	int result = read_all(out, fd, name, err);
	close(fd);
	return result;
}

int partitions_file_read(struct buf *out, const char *path, struct error *err)
{
	struct place place;

	if (open_place(&place, path, err) < 0)
		return -1;
	int result = read_in(out, &place, place.name, err);
	close_place(&place);
	return result;
}

/* --- writing --- */

static int write_all(int fd, const struct buf *text, struct error *err)
{
	for (size_t at = 0; at < text->len;) {
		ssize_t n = write(fd, text->data + at, text->len - at);
		if (n < 0 && errno != EINTR)
			return error_set_errno(err, "write");
		at += n > 0 ? (size_t)n : 0;
	}
	return fsync(fd) < 0 ? error_set_errno(err, "fsync") : 0;
}

/* As the old one is, so that everybody who could read it still can. */
static int keep_mode(int fd, const struct stat *old, struct error *err)
{
	if ((old->st_uid != geteuid() || old->st_gid != getegid()) && fchown(fd, old->st_uid, old->st_gid) < 0)
		return error_set_errno(err, "cannot keep its owner %u:%u", old->st_uid, old->st_gid);
	if (fchmod(fd, old->st_mode & 07777) < 0)
		return error_set_errno(err, "cannot keep its mode %03o", old->st_mode & 07777);
	return 0;
}

static int write_temporary(const struct place *place, const struct buf *text, struct error *err)
{
	struct stat old;

	if (fstatat(place->folder, place->name, &old, AT_SYMLINK_NOFOLLOW) < 0)
		return error_set_errno(err, "%s", place->name);
	if (!S_ISREG(old.st_mode))
		return error_set(err, ERROR_INVALID, "%s is no regular file any more", place->name);
	if (unlinkat(place->folder, place->temporary, 0) < 0 && errno != ENOENT)
		return error_set_errno(err, "%s", place->temporary);
	int fd = openat(place->folder, place->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_set_errno(err, "%s", place->temporary);
	int result = keep_mode(fd, &old, err);
	if (result == 0)
		result = write_all(fd, text, err);
	if (close(fd) < 0 && result == 0)
		result = error_set_errno(err, "close");
	return result;
}

static bool is_text(const struct place *place, const char *name, const struct buf *text, struct error *err)
{
	struct buf now;

	buf_init(&now, text->len + 1);
	bool same = read_in(&now, place, name, err) == 0 && now.len == text->len &&
		    memcmp(now.data, text->data, now.len) == 0;
	buf_free(&now);
	return same;
}

static int changed(const struct place *place, struct error *err)
{
	return error_set(err, ERROR_CONFLICT, "%s was changed by somebody else meanwhile", place->name);
}

/* A file system that cannot exchange two files: somebody's change in this very moment would be lost. */
static int replace_plainly(const struct place *place, const struct buf *before, struct error *err)
{
	if (!is_text(place, place->name, before, err))
		return changed(place, err);
	if (renameat(place->folder, place->temporary, place->folder, place->name) < 0)
		return error_set_errno(err, "rename");
	return 0;
}

/* Exchanges both, then looks at what came out: the old one as it was at that very moment.  When that is not what ours was
 * made from, it goes back, and the same again with what came out instead, until what comes out is ours. */
static int exchange(const struct place *place, const struct buf *before, const struct buf *text, struct error *err)
{
	const struct buf *wanted = before;

	for (int i = 0; i < EXCHANGES_MAX; i++) {
		if (renameat2(place->folder, place->temporary, place->folder, place->name, RENAME_EXCHANGE) < 0)
			return i == 0 && (errno == EINVAL || errno == ENOSYS) ? replace_plainly(place, before, err)
									      : error_set_errno(err, "exchange");
		if (is_text(place, place->temporary, wanted, err))
			return wanted == before ? 0 : changed(place, err);
		wanted = text;
	}
	return error_set(err, ERROR_CONFLICT, "%s is changed all the time by somebody else", place->name);
}

int partitions_file_write(const char *path, const struct buf *before, const struct buf *text, struct error *err)
{
	struct place place;

	if (open_place(&place, path, err) < 0)
		return -1;
	int result = write_temporary(&place, text, err);
	if (result == 0)
		result = exchange(&place, before, text, err);
	unlinkat(place.folder, place.temporary, 0);
	if (result == 0 && fsync(place.folder) < 0)
		result = error_set_errno(err, "fsync of the folder");
	if (result == 0 && !is_text(&place, place.name, text, err))
		result = changed(&place, err);
	close_place(&place);
	return result < 0 ? error_wrap(err, "%s", path) : 0;
}
