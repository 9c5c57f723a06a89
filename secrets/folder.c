#include "secrets/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

enum { FILE_MAX = 64 * 1024, FILES_MAX = 256, TRIES = 10, LINK_MAX = 256 };

struct file {
	char name[NAME_MAX + 1];
	char *text;
};

struct folder {
	char *path;
	char link[LINK_MAX];  /* target of ..data; "" when there is none */
	uint64_t fingerprint; /* of the files; only without ..data */
	struct file *files;
	size_t n;
};

static void forget_files(struct folder *folder)
{
	for (size_t i = 0; i < folder->n; i++)
		mem_wipe_free(folder->files[i].text);
	free(folder->files);
	folder->files = NULL;
	folder->n = 0;
}

void folder_free(struct folder *folder)
{
	if (!folder)
		return;
	forget_files(folder);
	free(folder->path);
	free(folder);
}

static bool is_setting(const char *name)
{
	return name[0] >= 'A' && name[0] <= 'Z' && name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")] == '\0';
}

/* The target of ..data; "" when there is no such link. */
static int read_link(int dir, char out[LINK_MAX])
{
	ssize_t n = readlinkat(dir, "..data", out, LINK_MAX - 1);

	if (n < 0 && errno != ENOENT && errno != EINVAL)
		return -1;
	out[n < 0 ? 0 : n] = '\0';
	return 0;
}

static uint64_t hash(uint64_t h, const void *bytes, size_t n)
{
	for (const unsigned char *p = bytes; n > 0; n--)
		h = (h ^ *p++) * 0x100000001b3; /* NOLINT(*UndefinedBinaryOperatorResult): bytes of whole numbers */
	return h;
}

/* Each file counts by itself, so that the order in which the folder names them does not matter. */
static uint64_t file_fingerprint(const char *name, const struct stat *st)
{
	const int64_t facts[] = {
		(int64_t)st->st_dev,          (int64_t)st->st_ino,          (int64_t)st->st_size,
		(int64_t)st->st_mtim.tv_sec,  (int64_t)st->st_mtim.tv_nsec, (int64_t)st->st_ctim.tv_sec,
		(int64_t)st->st_ctim.tv_nsec,
	};
	return hash(hash(0xcbf29ce484222325, name, strlen(name)), facts, sizeof facts);
}

static int fingerprint(int dir, uint64_t *out)
{
	int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *entries = copy < 0 ? NULL : fdopendir(copy);

	if (!entries) {
		if (copy >= 0)
			close(copy);
		return -1;
	}
	*out = 0;
	for (struct dirent *entry; (entry = readdir(entries));) {
		struct stat st;
		if (is_setting(entry->d_name) && fstatat(dir, entry->d_name, &st, 0) == 0)
			*out += file_fingerprint(entry->d_name, &st);
	}
	closedir(entries);
	return 0;
}

static char *without_line_end(char *text, size_t n)
{
	if (n > 0 && text[n - 1] == '\n')
		text[--n] = '\0';
	if (n > 0 && text[n - 1] == '\r')
		text[--n] = '\0';
	return text;
}

/* At most FILE_MAX + 1 bytes, so that one byte too many shows. */
static ssize_t read_bytes(int fd, char *out)
{
	size_t n = 0;

	while (n < FILE_MAX + 1) {
		ssize_t got = read(fd, out + n, FILE_MAX + 1 - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		n += (size_t)got;
	}
	return (ssize_t)n;
}

static int read_text(char **out, int fd, const char *path, const char *name, struct error *err)
{
	static char bytes[FILE_MAX + 2];
	struct stat st;
	int ret = -1;

	if (fstat(fd, &st) < 0)
		return error_set_errno(err, "%s/%s", path, name);
	if (!S_ISREG(st.st_mode))
		return error_set(err, ERROR_INVALID, "%s/%s is not a regular file", path, name);
	ssize_t n = read_bytes(fd, bytes);
	if (n < 0) {
		error_set_errno(err, "read %s/%s", path, name);
	} else if (n > FILE_MAX) {
		error_set(err, ERROR_LIMIT, "%s/%s is larger than %d bytes", path, name, FILE_MAX);
	} else if (memchr(bytes, '\0', (size_t)n)) {
		error_set(err, ERROR_INVALID, "%s/%s holds a NUL byte", path, name);
	} else {
		*out = without_line_end(mem_dup_n(bytes, (size_t)n), (size_t)n);
		ret = 0;
	}
	explicit_bzero(bytes, sizeof bytes);
	return ret;
}

static int read_file(struct folder *folder, int dir, const char *name, struct error *err)
{
	/* O_NONBLOCK: a fifo must not hold us before it is found to be one. */
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char *text = NULL;

	if (fd < 0)
		return error_set_errno(err, "open %s/%s", folder->path, name);
	int ret = read_text(&text, fd, folder->path, name, err);
	close(fd);
	if (ret < 0)
		return -1;
	folder->files = mem_resize(folder->files, folder->n + 1, sizeof *folder->files);
	struct file *file = &folder->files[folder->n++];
	snprintf(file->name, sizeof file->name, "%s", name);
	file->text = text;
	return 0;
}

static int read_files(struct folder *folder, int dir, struct error *err)
{
	int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *entries = copy < 0 ? NULL : fdopendir(copy);
	int ret = 0;

	if (!entries) {
		error_set_errno(err, "open folder %s", folder->path);
		if (copy >= 0)
			close(copy);
		return -1;
	}
	for (struct dirent *entry; ret == 0 && (entry = readdir(entries));) {
		if (!is_setting(entry->d_name))
			continue;
		if (folder->n == FILES_MAX)
			ret = error_set(err, ERROR_LIMIT, "%s holds more than %d settings", folder->path, FILES_MAX);
		else
			ret = read_file(folder, dir, entry->d_name, err);
	}
	closedir(entries);
	return ret;
}

enum outcome { READ, FAILED, MOVED };

/* A failure while the folder moved on is no failure: the old files are deleted then. */
static enum outcome read_volume(struct folder *folder, int dir, struct error *err)
{
	char now[LINK_MAX];
	int snapshot = openat(dir, folder->link, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int ret = 0;

	if (snapshot < 0) {
		ret = error_set_errno(err, "open folder %s/%s", folder->path, folder->link);
	} else {
		ret = read_files(folder, snapshot, err);
		close(snapshot);
	}
	if (read_link(dir, now) < 0) {
		error_set_errno(err, "read link %s/..data", folder->path);
		return FAILED;
	}
	if (strcmp(now, folder->link) != 0)
		return MOVED;
	return ret < 0 ? FAILED : READ;
}

static enum outcome read_plain(struct folder *folder, int dir, struct error *err)
{
	uint64_t now = 0;

	if (fingerprint(dir, &folder->fingerprint) < 0) {
		error_set_errno(err, "read folder %s", folder->path);
		return FAILED;
	}
	int ret = read_files(folder, dir, err);
	if (fingerprint(dir, &now) == 0 && now != folder->fingerprint)
		return MOVED;
	return ret < 0 ? FAILED : READ;
}

static enum outcome read_once(struct folder *folder, struct error *err)
{
	enum outcome outcome = FAILED;
	int dir = open(folder->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0) {
		error_set_errno(err, "open folder %s", folder->path);
		return FAILED;
	}
	if (read_link(dir, folder->link) < 0)
		error_set_errno(err, "read link %s/..data", folder->path);
	else
		outcome = folder->link[0] ? read_volume(folder, dir, err) : read_plain(folder, dir, err);
	close(dir);
	return outcome;
}

int folder_read(struct folder **ret, const char *path, struct error *err)
{
	struct folder *folder = mem_alloc(sizeof *folder);
	enum outcome outcome = MOVED;

	folder->path = mem_dup(path);
	for (int i = 0; i < TRIES && outcome == MOVED; i++) {
		forget_files(folder);
		outcome = read_once(folder, err);
	}
	if (outcome == READ) {
		*ret = folder;
		return 0;
	}
	if (outcome == MOVED)
		error_set(err, ERROR_RETRY, "folder %s changes faster than it can be read", path);
	folder_free(folder);
	return -1;
}

const char *folder_text(const struct folder *folder, const char *name)
{
	for (size_t i = 0; i < folder->n; i++)
		if (strcmp(folder->files[i].name, name) == 0)
			return folder->files[i].text;
	return NULL;
}

const char *folder_name(const struct folder *folder, size_t i)
{
	return i < folder->n ? folder->files[i].name : NULL;
}

bool folder_changed(const struct folder *folder)
{
	int dir = open(folder->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char link[LINK_MAX];
	uint64_t now = 0;
	bool changed = true;

	if (dir < 0)
		return true;
	if (read_link(dir, link) == 0 && strcmp(link, folder->link) == 0)
		changed = !link[0] && (fingerprint(dir, &now) < 0 || now != folder->fingerprint);
	close(dir);
	return changed;
}

bool folder_equal(const struct folder *a, const struct folder *b)
{
	if (!a || !b)
		return (!a || a->n == 0) && (!b || b->n == 0);
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		const char *other = folder_text(b, a->files[i].name);
		if (!other || strcmp(a->files[i].text, other) != 0)
			return false;
	}
	return true;
}
