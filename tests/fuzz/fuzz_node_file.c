/* A node file, and a token file: whatever is taken keeps the header's promises. */
#undef NDEBUG
#include <arpa/inet.h>
#include <assert.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cni/plugin/node_file.h"
#include "cni/plugin/node_file_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_file(const struct node_file *file)
{
	unsigned char address[sizeof(struct in6_addr)];

	assert(inet_pton(strchr(file->address, ':') ? AF_INET6 : AF_INET, file->address, address) == 1);
	assert(atoi(file->port) >= 1 && atoi(file->port) <= 65535);
	assert(*file->server_name && strpbrk(file->server_name, " \r\n\t/") == NULL);
	assert(file->ca_path[0] == '/' && file->token_path[0] == '/' && file->sysfs[0] == '/');
	assert(file->node && (!file->log || strcmp(file->log, "syslog") == 0 || file->log[0] == '/'));
	assert(file->timeout_ms >= 100 && file->timeout_ms <= 600000);
	assert(file->connect_timeout_ms >= 100 && file->connect_timeout_ms <= 600000);
	assert(!file->ca && !file->token);
}

static void check_token(const uint8_t *data, size_t size)
{
	char *text = mem_dup_n((const char *)data, size);

	if (!node_file_check_token(text, size)) {
		assert(*text && strlen(text) + 1 >= size);
		for (const char *p = text; *p; p++)
			assert(isgraph((unsigned char)*p));
	}
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct node_file file;
	struct cni_error err;

	if (node_file_parse(&file, "/etc/u/ufmsync.conf", (const char *)data, size, &err) == 0) {
		check_file(&file);
		node_file_free(&file);
	} else {
		assert(err.code == CNI_NODE_FILE && strncmp(err.message, "node file /etc/u/ufmsync.conf: ", 31) == 0);
		assert(*err.details);
	}
	check_token(data, size);
	return 0;
}
