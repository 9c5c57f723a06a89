#include "cni/plugin/plugin_log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"

enum { LINE_MAX_BYTES = 64 * 1024 }; /* far more than the texts can be, each bounded where it is read */

static void field(struct buf *out, const char *key, const char *value)
{
	if (!value || !*value)
		return;
	buf_printf(out, ",\"%s\":", key);
	buf_json_string(out, value);
}

char *plugin_log_text(const struct plugin_log_line *line)
{
	__attribute__((cleanup(mem_freep))) char *pod =
		line->pod_name && *line->pod_name ? mem_printf("%s/%s", line->pod_namespace, line->pod_name) : NULL;
	char when[28];
	struct buf out;

	buf_init(&out, LINE_MAX_BYTES);
	json_micro_time(when, line->now_ms);
	buf_printf(&out, "{\"time\":\"%.23sZ\"", when); /* milliseconds */
	field(&out, "command", line->command);
	field(&out, "outcome", line->outcome);
	field(&out, "container", line->container);
	field(&out, "interface", line->interface);
	field(&out, "pod", pod);
	field(&out, "network", line->network);
	field(&out, "delegate", line->delegate);
	field(&out, "guid", line->guid);
	field(&out, "pkey", line->pkey);
	if (line->code > 0)
		buf_printf(&out, ",\"code\":%u", line->code);
	field(&out, "message", line->message);
	if (line->waited_ms >= 0)
		buf_printf(&out, ",\"waited_ms\":%" PRId64, line->waited_ms);
	buf_printf(&out, ",\"took_ms\":%" PRId64 "}\n", line->took_ms);
	return buf_take(&out);
}

/* NULL, or what is wrong. */
static const char *append(const char *path, const char *text)
{
	struct stat st;
	ssize_t n;
	/* Whatever somebody put there, a FIFO too, this does not wait for it. */
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);

	if (fd < 0)
		return strerror(errno);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return "not a regular file";
	}
	do {
		n = write(fd, text, strlen(text));
	} while (n < 0 && errno == EINTR);
	const char *problem = n < 0 ? strerror(errno) : NULL;
	close(fd);
	return problem;
}

void plugin_log(const char *destination, const struct plugin_log_line *line)
{
	if (!destination)
		return;
	char *text = plugin_log_text(line);
	if (strcmp(destination, "syslog") == 0) {
		openlog("ufmsync-cni", LOG_PID, LOG_DAEMON);
		syslog(line->code > 0 ? LOG_WARNING : LOG_INFO, "%.*s", (int)strcspn(text, "\n"), text);
		closelog();
	} else {
		const char *problem = append(destination, text);
		if (problem)
			fprintf(stderr, "ufmsync-cni: the node file's log %s: %s\n", destination, problem);
	}
	free(text);
}
