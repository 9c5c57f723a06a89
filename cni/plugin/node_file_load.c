#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "cni/plugin/node_file.h"
#include "cni/plugin/node_file_text.h"

const char *node_file_check_token(char *text, size_t len)
{
	if (len > 0 && text[len - 1] == '\n')
		text[--len] = '\0';
	if (len == 0)
		return "is empty";
	for (size_t i = 0; i < len; i++) {
		if (text[i] <= ' ' || text[i] > '~')
			return "is not one line of printable characters without blanks";
	}
	return NULL;
}

/* Up to `size` bytes; -1 with errno. */
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

/* NULL and what is wrong, else the whole file with a NUL behind it. */
static char *read_regular(int fd, size_t *len, const char **problem)
{
	/* One byte more than allowed tells that there is too much, whatever stat says. */
	size_t size = NODE_FILE_TEXT_MAX + 1;
	struct stat st;

	*problem = strerror(errno);
	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) == 0 && !S_ISREG(st.st_mode)) {
		*problem = "not a regular file";
		return NULL;
	}
	char *text = mem_alloc(size + 1);
	ssize_t n = read_up_to(fd, text, size);
	if (n >= 0 && n <= NODE_FILE_TEXT_MAX) {
		*len = (size_t)n;
		return text;
	}
	*problem = n < 0 ? strerror(errno) : "longer than 64 KiB";
	OPENSSL_cleanse(text, size);
	free(text);
	return NULL;
}

/* Whatever is at `path`, a FIFO too, this does not block on it. */
static char *read_text(const char *path, size_t *len, const char **problem)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char *text = read_regular(fd, len, problem);

	if (fd >= 0)
		close(fd);
	return text;
}

/* What `key` of the node file names. */
static char *read_named(const char *node_path, const char *key, const char *path, size_t *len, struct cni_error *err)
{
	const char *problem;
	char *text = read_text(path, len, &problem);

	if (!text) {
		char *what = mem_printf("%s: %s: %s", key, path, problem);
		node_file_fail(err, node_path, what);
		free(what);
	}
	return text;
}

static int read_token(struct node_file *file, const char *path, struct cni_error *err)
{
	size_t len = 0;
	char *text = read_named(path, "token", file->token_path, &len, err);

	if (!text)
		return -1;
	const char *problem = node_file_check_token(text, len);
	if (!problem)
		file->token = mem_dup(text);
	OPENSSL_cleanse(text, len);
	free(text);
	if (!problem)
		return 0;
	char *what = mem_printf("token: %s %s", file->token_path, problem);
	node_file_fail(err, path, what);
	free(what);
	return -1;
}

static int read_ca(struct node_file *file, const char *path, struct cni_error *err)
{
	size_t len = 0;

	file->ca = read_named(path, "ca", file->ca_path, &len, err);
	if (!file->ca)
		return -1;
	if (!strstr(file->ca, "-----BEGIN ") || strlen(file->ca) != len) {
		char *what = mem_printf("ca: %s holds no PEM certificate", file->ca_path);
		node_file_fail(err, path, what);
		free(what);
		return -1;
	}
	return 0;
}

int node_file_load(struct node_file *ret, const char *path, struct cni_error *err)
{
	struct node_file file;
	const char *problem;
	size_t len;
	char *text = read_text(path, &len, &problem);

	if (!text)
		return node_file_fail(err, path, problem);
	int status = node_file_parse(&file, path, text, len, err);
	free(text);
	if (status < 0)
		return -1;
	if (read_ca(&file, path, err) < 0 || read_token(&file, path, err) < 0) {
		node_file_free(&file);
		return -1;
	}
	*ret = file;
	return 0;
}
