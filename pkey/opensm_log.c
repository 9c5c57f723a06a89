#include "pkey/opensm_log.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

enum { HEAD_MAX = 64 * 1024, TAIL_MAX = 1 << 20 };

off_t opensm_log_size(const char *path)
{
	struct stat st;

	return path && stat(path, &st) == 0 ? st.st_size : 0;
}

/* A log that was cut by its rotation may be full of NULs: those become blanks. */
static char *read_at(const char *path, off_t at, size_t max)
{
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;

	if (fd < 0)
		return NULL;
	char *text = mem_alloc(max + 1);
	ssize_t n = pread(fd, text, max, at);
	text[n > 0 ? n : 0] = '\0';
	for (ssize_t i = 0; i < n; i++)
		if (text[i] == '\0')
			text[i] = ' ';
	close(fd);
	return text;
}

bool opensm_log_refuses(const char *path, off_t since)
{
	char *text = read_at(path, since, TAIL_MAX);
	bool found = text && strstr(text, "Partition configuration in error");

	free(text);
	return found;
}

/* Copies the last version that is named: "... -> OpenSM 3.3.23". */
static bool last_version(const char *text, char *out, size_t size)
{
	static const char mark[] = "-> OpenSM ";
	bool found = false;

	for (const char *at = text; at && (at = strstr(at, mark)); found = true) {
		at += sizeof mark - 1;
		size_t n = strcspn(at, " \r\n");
		snprintf(out, size, "%.*s", (int)(n < size ? n : size - 1), at);
	}
	return found;
}

bool opensm_log_version(const char *path, char *out, size_t size)
{
	off_t end = opensm_log_size(path);
	char *head = read_at(path, 0, HEAD_MAX), *tail = read_at(path, end > TAIL_MAX ? end - TAIL_MAX : 0, TAIL_MAX);
	bool found = last_version(tail, out, size) || last_version(head, out, size);

	free(head);
	free(tail);
	return found;
}
