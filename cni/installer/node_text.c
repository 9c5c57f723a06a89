#include "cni/installer/node_text.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"

enum { TEXT_MAX = 64 * 1024 };

static void add(struct buf *buf, const char *key, const char *value)
{
	if (!value)
		return;
	buf_text(buf, buf->len == 0 ? "{\n\t" : ",\n\t");
	buf_json_string(buf, key);
	buf_text(buf, ": ");
	buf_json_string(buf, value);
}

char *node_text(const struct node_text *say)
{
	bool six = strchr(say->address, ':') != NULL;
	__attribute__((cleanup(mem_freep))) char *server =
		mem_printf("%s%s%s:%s", six ? "[" : "", say->address, six ? "]" : "", say->port);
	struct buf buf;

	buf_init(&buf, TEXT_MAX);
	add(&buf, "server", server);
	add(&buf, "serverName", say->server_name);
	add(&buf, "ca", NODE_TEXT_CA);
	add(&buf, "token", NODE_TEXT_TOKEN);
	add(&buf, "node", say->node);
	add(&buf, "timeout", say->timeout);
	add(&buf, "connectTimeout", say->connect_timeout);
	add(&buf, "log", say->log);
	buf_text(&buf, "\n}\n");
	return buf_take(&buf);
}

bool node_text_is_address(const char *text)
{
	unsigned char address[16];

	return inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1;
}

char *node_text_address(const char *text, size_t len, const char *server_name)
{
	struct error err;
	__attribute__((cleanup(json_freep))) json_t *file = json_parse(text, len, &err);
	const char *name = json_str(file, "serverName", NULL), *server = json_str(file, "server", NULL);
	const char *colon = server ? strrchr(server, ':') : NULL;

	if (!name || !colon || strcmp(name, server_name) != 0)
		return NULL;
	size_t n = (size_t)(colon - server);
	bool brackets = n > 2 && server[0] == '[' && server[n - 1] == ']';
	char *address = brackets ? mem_dup_n(server + 1, n - 2) : mem_dup_n(server, n);
	if (!node_text_is_address(address))
		mem_freep(&address);
	return address;
}

const char *node_text_choose(const char *present, const char *const *answers, size_t n)
{
	for (size_t i = 0; present && i < n; i++)
		if (strcmp(answers[i], present) == 0)
			return answers[i];
	return n > 0 ? answers[0] : NULL;
}
