#include "cni/installer/host.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

enum { CHUNK = 64 * 1024, PERMISSIONS = 07777, FOLDER_MODE = 0700, FIRST_MODE = 0600, LOCK_TRIES = 100 };

struct host_folder {
	int fd;
	char *path;
};

/* --- folders ---------------------------------------------------------------------------------------------------- */

static struct host_folder *folder_new(int fd, char *path)
{
	struct host_folder *folder = mem_alloc(sizeof *folder);

	folder->fd = fd;
	folder->path = path;
	return folder;
}

void host_folder_close(struct host_folder *folder)
{
	if (!folder)
		return;
	close(folder->fd); /* and its lock goes */
	free(folder->path);
	free(folder);
}

/* Whoever has it is done in a moment, unless it hangs; waiting for that without an end would make two that hang. */
static int lock_folder(const struct host_folder *folder, struct error *err)
{
	const struct timespec pause = { .tv_nsec = 10 * 1000 * 1000 };

	for (int i = 0; i < LOCK_TRIES; i++) {
		if (flock(folder->fd, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK)
			return error_set_errno(err, "lock %s", folder->path);
		nanosleep(&pause, NULL);
	}
	return error_set(err, ERROR_RETRY, "%s: another installer is at work there", folder->path);
}

int host_folder_open(struct host_folder **ret, const char *path, bool lock, struct error *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return error_set_errno(err, "open folder %s", path);
	struct host_folder *folder = folder_new(fd, mem_dup(path));
	if (lock && lock_folder(folder, err) < 0) {
		host_folder_close(folder);
		return -1;
	}
	*ret = folder;
	return 0;
}

static int make_private(const struct host_folder *folder, struct error *err)
{
	struct stat st;

	if (fstat(folder->fd, &st) < 0)
		return error_set_errno(err, "look at %s", folder->path);
	if (st.st_uid != geteuid())
		return error_set(err, ERROR_INVALID, "%s belongs to uid %ju, not to us: remove it", folder->path,
				 (uintmax_t)st.st_uid);
	if ((st.st_mode & PERMISSIONS) != FOLDER_MODE && fchmod(folder->fd, FOLDER_MODE) < 0)
		return error_set_errno(err, "make %s private", folder->path);
	return 0;
}

int host_folder_open_in(struct host_folder **ret, const struct host_folder *in, const char *name, bool lock,
			struct error *err)
{
	*ret = NULL;
	if (lock && mkdirat(in->fd, name, FOLDER_MODE) < 0 && errno != EEXIST)
		return error_set_errno(err, "make folder %s/%s", in->path, name);
	int fd = openat(in->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT && !lock)
		return 0;
	if (fd < 0 && (errno == ELOOP || errno == ENOTDIR))
		return error_set(err, ERROR_INVALID, "%s/%s is a link or a file, not a folder: remove it", in->path,
				 name);
	if (fd < 0)
		return error_set_errno(err, "open folder %s/%s", in->path, name);
	struct host_folder *folder = folder_new(fd, mem_printf("%s/%s", in->path, name));
	if (lock && (lock_folder(folder, err) < 0 || make_private(folder, err) < 0)) {
		host_folder_close(folder);
		return -1;
	}
	*ret = folder;
	return 0;
}

bool host_exists(const struct host_folder *folder, const char *name)
{
	struct stat st;

	return fstatat(folder->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

int host_folder_remove(const struct host_folder *in, const char *name, bool *removed, struct error *err)
{
	*removed = unlinkat(in->fd, name, AT_REMOVEDIR) == 0;
	if (*removed || errno == ENOENT || errno == ENOTEMPTY || errno == EEXIST)
		return 0;
	return error_set_errno(err, "remove folder %s/%s", in->path, name);
}

/* --- stamps ----------------------------------------------------------------------------------------------------- */

struct host_stamp host_stamp(const struct stat *st)
{
	return (struct host_stamp){ .dev = st->st_dev,
				    .ino = st->st_ino,
				    .size = st->st_size,
				    .mode = st->st_mode,
				    .uid = st->st_uid,
				    .modified = st->st_mtim,
				    .changed = st->st_ctim };
}

static bool same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

bool host_stamp_equal(const struct host_stamp *a, const struct host_stamp *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size && a->mode == b->mode && a->uid == b->uid &&
	       same_time(a->modified, b->modified) && same_time(a->changed, b->changed);
}

bool host_file_stamp(const struct host_folder *folder, const char *name, struct host_stamp *stamp)
{
	struct stat st;

	if (fstatat(folder->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	*stamp = host_stamp(&st);
	return true;
}

/* --- reading ---------------------------------------------------------------------------------------------------- */

/* Up to `n` bytes; fewer only at the file's end. */
static ssize_t read_full(int fd, char *out, size_t n)
{
	size_t have = 0;

	while (have < n) {
		ssize_t got = read(fd, out + have, n - have);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		have += (size_t)got;
	}
	return (ssize_t)have;
}

static int read_fd(char **ret, size_t *len, int fd, const char *path, size_t max, struct error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_set_errno(err, "look at %s", path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, ERROR_INVALID, "%s is not a regular file", path);
	if ((uintmax_t)st.st_size > max)
		return error_set(err, ERROR_LIMIT, "%s is larger than %zu bytes", path, max);
	size_t size = (size_t)st.st_size;
	char *bytes = mem_alloc(size + 1);
	ssize_t n = read_full(fd, bytes, size);
	if (n == (ssize_t)size) {
		*ret = bytes;
		*len = size;
		return 0;
	}
	if (n < 0)
		error_set_errno(err, "read %s", path);
	else
		error_set(err, ERROR_RETRY, "%s was changed while it was read", path);
	explicit_bzero(bytes, size);
	free(bytes);
	return -1;
}

/* O_NONBLOCK: a fifo must not hold us before it is found to be one. */
static int read_at(char **ret, size_t *len, int folder, const char *name, const char *path, size_t max, int follow,
		   struct error *err)
{
	int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | follow);

	if (fd < 0)
		return error_set_errno(err, "open %s", path);
	int ret_code = read_fd(ret, len, fd, path, max, err);
	close(fd);
	return ret_code;
}

int host_read(char **ret, size_t *len, const char *path, size_t max, struct error *err)
{
	return read_at(ret, len, AT_FDCWD, path, path, max, 0, err);
}

int host_file_read(char **ret, size_t *len, const struct host_folder *folder, const char *name, size_t max,
		   struct error *err)
{
	__attribute__((cleanup(mem_freep))) char *path = mem_printf("%s/%s", folder->path, name);

	return read_at(ret, len, folder->fd, name, path, max, O_NOFOLLOW, err);
}

static bool same_bytes(int fd, const char *bytes, size_t len)
{
	char *chunk = mem_alloc(CHUNK);
	bool same = true;

	while (same && len > 0) {
		size_t n = len < CHUNK ? len : CHUNK;
		same = read_full(fd, chunk, n) == (ssize_t)n && memcmp(chunk, bytes, n) == 0;
		bytes += n;
		len -= n;
	}
	explicit_bzero(chunk, CHUNK);
	free(chunk);
	return same;
}

bool host_file_same(const struct host_folder *folder, const struct host_file *file)
{
	int fd = openat(folder->fd, file->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0)
		return false;
	bool same = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & PERMISSIONS) == file->mode &&
		    st.st_uid == geteuid() && (uintmax_t)st.st_size == file->len &&
		    same_bytes(fd, file->bytes, file->len);
	close(fd);
	return same;
}

/* --- writing ---------------------------------------------------------------------------------------------------- */

/* The one name beside a file: the folder is locked while it is there, so an old one is always a left-over. */
static void temporary_name(char out[NAME_MAX + 1], const char *name)
{
	snprintf(out, NAME_MAX + 1, ".%.200s.new", name);
}

static int write_full(int fd, const char *bytes, size_t n)
{
	while (n > 0) {
		ssize_t put = write(fd, bytes, n);
		if (put < 0 && errno != EINTR)
			return -1;
		if (put > 0) {
			bytes += put;
			n -= (size_t)put;
		}
	}
	return 0;
}

/* The mode counts before the first byte: a secret is never in a file that others may read, whatever the umask. */
static int fill(int fd, const struct host_file *file)
{
	return fchmod(fd, file->mode) < 0 || write_full(fd, file->bytes, file->len) < 0 || fsync(fd) < 0 ? -1 : 0;
}

static int create(const struct host_folder *folder, const char *temporary, struct error *err)
{
	int fd = openat(folder->fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, FIRST_MODE);

	return fd >= 0 ? fd : error_set_errno(err, "create %s/%s", folder->path, temporary);
}

static int take_place(const struct host_folder *folder, const char *temporary, const char *name, struct error *err)
{
	if (renameat(folder->fd, temporary, folder->fd, name) == 0)
		return 0;
	return error_set_errno(err, "put %s/%s in its place", folder->path, name);
}

static int put(const struct host_folder *folder, const struct host_file *file, const char *temporary, struct error *err)
{
	int fd = create(folder, temporary, err);

	if (fd < 0)
		return -1;
	int outcome = fill(fd, file);
	if (outcome < 0)
		error_set_errno(err, "write %s/%s", folder->path, temporary);
	close(fd);
	if (outcome < 0 || take_place(folder, temporary, file->name, err) < 0) {
		unlinkat(folder->fd, temporary, 0);
		return -1;
	}
	if (fsync(folder->fd) < 0)
		return error_set_errno(err, "make %s/%s durable", folder->path, file->name);
	return 0;
}

static int remove_name(const struct host_folder *folder, const char *name, bool *removed, struct error *err)
{
	*removed = unlinkat(folder->fd, name, 0) == 0;
	return *removed || errno == ENOENT ? 0 : error_set_errno(err, "remove %s/%s", folder->path, name);
}

int host_file_put(const struct host_folder *folder, const struct host_file *file, bool *written, struct error *err)
{
	char temporary[NAME_MAX + 1];
	bool left_over;

	*written = false;
	temporary_name(temporary, file->name);
	if (remove_name(folder, temporary, &left_over, err) < 0)
		return -1;
	if (host_file_same(folder, file))
		return 0;
	if (put(folder, file, temporary, err) < 0)
		return -1;
	*written = true;
	return 0;
}

int host_file_remove(const struct host_folder *folder, const char *name, bool *removed, struct error *err)
{
	char temporary[NAME_MAX + 1];
	bool left_over;

	temporary_name(temporary, name);
	if (remove_name(folder, temporary, &left_over, err) < 0 || remove_name(folder, name, removed, err) < 0)
		return -1;
	return 0;
}

/* --- holding ---------------------------------------------------------------------------------------------------- */

int host_file_hold(const struct host_folder *folder, const char *name, struct error *err)
{
	char temporary[NAME_MAX + 1];
	bool left_over;

	temporary_name(temporary, name);
	if (remove_name(folder, temporary, &left_over, err) < 0)
		return -1;
	int fd = create(folder, temporary, err);
	if (fd < 0)
		return -1;
	/* Locked before it has its name: whoever finds it there finds it held. */
	int outcome = flock(fd, LOCK_EX | LOCK_NB);
	if (outcome < 0)
		error_set_errno(err, "lock %s/%s", folder->path, temporary);
	if (outcome < 0 || take_place(folder, temporary, name, err) < 0) {
		unlinkat(folder->fd, temporary, 0);
		close(fd);
		return -1;
	}
	return fd;
}

bool host_file_held(const struct host_folder *folder, const char *name)
{
	int fd = openat(folder->fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	bool held = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0;

	if (fd >= 0)
		close(fd);
	return held;
}
