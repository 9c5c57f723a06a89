#include "ufmsync/kube/text_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

/* -1 with errno, else the bytes read: up to `size`, fewer at the end of the file. */
static ssize_t read_up_to(int fd, char *out, size_t size)
{
	size_t len = 0;

	while (len < size) {
		ssize_t n = read(fd, out + len, size - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

static int read_regular(char **out, int fd, const char *path, size_t max, struct error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_set_errno(err, "%s", path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, ERROR_INVALID, "%s: not a regular file", path);
	if ((uintmax_t)st.st_size > max)
		return error_set(err, ERROR_LIMIT, "%s: longer than %zu bytes", path, max);
	/* The size may change under way: one byte more than allowed tells. */
	char *text = mem_alloc(max + 2);
	ssize_t len = read_up_to(fd, text, max + 1);
	if (len < 0)
		error_set_errno(err, "%s", path);
	else if ((size_t)len > max)
		error_set(err, ERROR_LIMIT, "%s: longer than %zu bytes", path, max);
	else if (memchr(text, '\0', (size_t)len))
		error_set(err, ERROR_INVALID, "%s: holds a NUL, so it is no text", path);
	else {
		*out = text;
		return 0;
	}
	explicit_bzero(text, max + 2);
	mem_wipe_free(text);
	return -1;
}

int text_file_read(char **out, const char *path, size_t max, struct error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return error_set_errno(err, "%s", path);
	int status = read_regular(out, fd, path, max, err);
	close(fd);
	return status;
}
