#include "pkey/partitions_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/net/loop.h"

/* The temporary file is nobody else's, also of two that write at once: whoever exchanges it knows what is in it.  What a
 * killed process leaves is found again by how its name begins. */
#define LEFTOVER  ".%s.ufmsync"
#define TEMPORARY LEFTOVER ".%016" PRIx64

enum { EXCHANGES_MAX = 64, CHUNK = 64 * 1024, ATTRIBUTE_MAX = 4096, PLACED_MAX = 64 << 20 };

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
	uint64_t mark = 0;
	(void)!getrandom(&mark, sizeof mark, 0);
	place->temporary = mem_printf(TEMPORARY, place->name, mark);
	return 0;
}

/* False: another process is writing in this folder, a leader that has just lost its Lease perhaps.  Held until the place is
 * closed, and not at all on a file system without such locks. */
static bool lock(const struct place *place)
{
	return flock(place->folder, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
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

static int remove_leftovers(const struct place *place, struct error *err)
{
	__attribute__((cleanup(mem_freep))) char *begin = mem_printf(LEFTOVER, place->name);
	int fd = openat(place->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), result = 0;
	DIR *folder = fd < 0 ? NULL : fdopendir(fd);

	if (!folder) {
		if (fd >= 0)
			close(fd);
		return error_set_errno(err, "the folder of %s", place->name);
	}
	for (const struct dirent *entry; result == 0 && (entry = readdir(folder));)
		if (strncmp(entry->d_name, begin, strlen(begin)) == 0 &&
		    unlinkat(place->folder, entry->d_name, 0) < 0 && errno != ENOENT)
			result = error_set_errno(err, "%s, left by a write that was cut off", entry->d_name);
	closedir(folder);
	return result;
}

int partitions_file_check(const char *path, struct error *err)
{
	struct place place;

	if (open_place(&place, path, err) < 0)
		return -1;
	int result = check_kind(&place, path, err);
	if (result == 0 && faccessat(place.folder, ".", W_OK | X_OK, AT_EACCESS) < 0)
		result = error_set_errno(err, "the folder of %s: new files must be written into it", path);
	if (result == 0 && lock(&place))
		result = remove_leftovers(&place, err);
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

/* What a file system makes by itself, or what says something of the content, is not copied. */
static bool is_kept(const char *name)
{
	static const char *const kept[] = { "system.posix_acl_access", "security.selinux", "security.SMACK64",
					    "user." };

	for (size_t i = 0; i < array_length(kept); i++)
		if (strncmp(name, kept[i], strlen(kept[i])) == 0)
			return true;
	return false;
}

static int keep_attribute(int fd, int old, const char *name, struct error *err)
{
	char value[ATTRIBUTE_MAX], now[ATTRIBUTE_MAX];
	ssize_t n = fgetxattr(old, name, value, sizeof value);

	if (n < 0)
		return errno == ENODATA ? 0 : error_set_errno(err, "cannot read its %s", name);
	if (fgetxattr(fd, name, now, sizeof now) == n && memcmp(now, value, (size_t)n) == 0)
		return 0; /* it has come with the folder */
	return fsetxattr(fd, name, value, (size_t)n, 0) < 0 ? error_set_errno(err, "cannot keep its %s", name) : 0;
}

/* An OpenSM of another user, or one that SELinux confines, may be let in by these alone, and opens the fabric when it
 * cannot read the file. */
static int keep_attributes(int fd, int old, struct error *err)
{
	char names[ATTRIBUTE_MAX];
	ssize_t n = flistxattr(old, names, sizeof names);

	if (n < 0)
		return errno == ENOTSUP || errno == ENOSYS ? 0 : error_set_errno(err, "cannot read its attributes");
	for (const char *name = names; name < names + n; name += strlen(name) + 1)
		if (is_kept(name) && keep_attribute(fd, old, name, err) < 0)
			return -1;
	return 0;
}

static int keep_all(int fd, const struct place *place, struct error *err)
{
	int old = openat(place->folder, place->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (old < 0)
		return error_set_errno(err, "%s", place->name);
	int result = fstat(old, &st) < 0 ? error_set_errno(err, "%s", place->name) : 0;
	if (result == 0 && !S_ISREG(st.st_mode))
		result = error_set(err, ERROR_INVALID, "%s is no regular file any more", place->name);
	if (result == 0)
		result = keep_mode(fd, &st, err);
	if (result == 0)
		result = keep_attributes(fd, old, err);
	close(old);
	return result;
}

static int write_temporary(const struct place *place, const struct buf *text, struct error *err)
{
	int fd = openat(place->folder, place->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return error_set_errno(err, "%s", place->temporary);
	int result = keep_all(fd, place, err);
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

static int exchange_once(const struct place *place)
{
	return renameat2(place->folder, place->temporary, place->folder, place->name, RENAME_EXCHANGE);
}

/* What came out is the newest that there is, and what stands there is older: back with it, until what comes out is what
 * was put there the last time.  `in`: what stands there now, if nobody has changed it since. */
static int give_way(const struct place *place, const struct buf *text, struct error *err)
{
	struct buf in, out;
	int result = 0;

	buf_init(&in, PLACED_MAX);
	buf_init(&out, PLACED_MAX);
	buf_append(&in, text->data, text->len);
	for (int i = 0; i < EXCHANGES_MAX && result == 0; i++) {
		buf_clear(&out);
		if (read_in(&out, place, place->temporary, err) < 0)
			buf_clear(&out); /* whatever it is, it goes back */
		if (exchange_once(place) < 0)
			result = error_set_errno(err, "exchange");
		else if (is_text(place, place->temporary, &in, err))
			result = changed(place, err);
		struct buf other = in;
		in = out;
		out = other;
	}
	buf_free(&in);
	buf_free(&out);
	return result < 0 ? result
			  : error_set(err, ERROR_CONFLICT, "%s is changed all the time by somebody else", place->name);
}

/* Exchanges both, then looks at what came out: the old one as it was at that very moment. */
static int exchange(const struct place *place, const struct buf *before, const struct buf *text, struct error *err)
{
	if (exchange_once(place) < 0)
		return errno == EINVAL || errno == ENOSYS ? replace_plainly(place, before, err)
							  : error_set_errno(err, "exchange");
	return is_text(place, place->temporary, before, err) ? 0 : give_way(place, text, err);
}

int partitions_file_write(const char *path, const struct buf *before, const struct buf *text, int64_t by_ms,
			  struct error *err)
{
	struct place place;

	if (open_place(&place, path, err) < 0)
		return -1;
	int result = lock(&place) ? write_temporary(&place, text, err)
				  : error_set(err, ERROR_RETRY, "another ufmsyncd is writing it");
	if (result == 0 && loop_now_ms() >= by_ms) /* another may lead by now */
		result = error_set(err, ERROR_RETRY, "could not be changed in time");
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
