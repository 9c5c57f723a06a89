#include "cni/plugin/node_file.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/dns_name.h"
#include "base/duration.h"
#include "base/json.h"
#include "base/mem.h"
#include "cni/plugin/node_file_text.h"

enum {
	TIMEOUT_MS = 70 * 1000,
	CONNECT_TIMEOUT_MS = 10 * 1000,
	DURATION_LEAST_MS = 100,
	DURATION_MOST_MS = 600 * 1000,
	SHOWN_MAX = 80, /* of a value in a message */
};

#define DURATION "a number with ms, s or m, from 100ms to 10m"

/* Whose business the file is, whatever is wrong with it. */
int node_file_fail(struct cni_error *err, const char *path, const char *problem)
{
	cni_fail(err, CNI_NODE_FILE, "node file %s: %s", path, problem);
	return cni_fail_details(err, "The node installer (DaemonSet ufmsync-node) writes this file; look at its log on "
				     "this node, and restart its pod to have the file written again");
}

static int bad(struct cni_error *err, const char *path, const char *key, const char *value, const char *accepted)
{
	char *problem = mem_printf("%s: '%.*s' is not %s", key, SHOWN_MAX, value, accepted);
	int status = node_file_fail(err, path, problem);

	free(problem);
	return status;
}

/* --- values --- */

static bool take_string(char **out, const char *text)
{
	free(*out);
	*out = mem_dup(text);
	return true;
}

static bool is_address(const char *text)
{
	unsigned char address[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1;
}

static bool is_port(const char *text)
{
	size_t len = strlen(text);

	return len >= 1 && len <= 5 && strspn(text, "0123456789") == len && text[0] != '0' &&
	       strtol(text, NULL, 10) <= 65535;
}

/* "10.96.7.20:8443", "[fd00::1]:8443". */
static bool take_server(struct node_file *file, const char *text)
{
	const char *colon = strrchr(text, ':');
	bool brackets = text[0] == '[';

	if (!colon || !is_port(colon + 1))
		return false;
	size_t len = (size_t)(colon - text);
	if (brackets && (len < 2 || text[len - 1] != ']'))
		return false;
	char *address = brackets ? mem_dup_n(text + 1, len - 2) : mem_dup_n(text, len);
	if (!is_address(address) || (strchr(address, ':') != NULL) != brackets) {
		free(address);
		return false;
	}
	free(file->address);
	file->address = address;
	return take_string(&file->port, colon + 1);
}

static bool take_server_name(struct node_file *file, const char *text)
{
	return (is_address(text) || dns_name_is_valid(text, strlen(text))) && take_string(&file->server_name, text);
}

static bool take_node(struct node_file *file, const char *text)
{
	bool lower_case = strpbrk(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == NULL; /* as Kubernetes has it */

	return lower_case && dns_name_is_valid(text, strlen(text)) && take_string(&file->node, text);
}

static bool take_file_name(char **out, const char *text)
{
	return text[0] && text[strlen(text) - 1] != '/' && take_string(out, text);
}

static bool take_ca(struct node_file *file, const char *text)
{
	return take_file_name(&file->ca_path, text);
}

static bool take_token(struct node_file *file, const char *text)
{
	return take_file_name(&file->token_path, text);
}

static bool take_log(struct node_file *file, const char *text)
{
	if (strcmp(text, "syslog") != 0 && text[0] != '/')
		return false;
	return take_file_name(&file->log, text);
}

static bool take_sysfs(struct node_file *file, const char *text)
{
	return text[0] == '/' && take_string(&file->sysfs, text);
}

static bool take_duration(int64_t *ms, const char *text)
{
	int64_t value;

	/* Digits alone would be seconds to the service's settings, and milliseconds to somebody else. */
	if (strspn(text, "0123456789") == strlen(text) || !duration_parse(&value, text))
		return false;
	if (value < DURATION_LEAST_MS || value > DURATION_MOST_MS)
		return false;
	*ms = value;
	return true;
}

static bool take_timeout(struct node_file *file, const char *text)
{
	return take_duration(&file->timeout_ms, text);
}

static bool take_connect_timeout(struct node_file *file, const char *text)
{
	return take_duration(&file->connect_timeout_ms, text);
}

/* --- the file --- */

static const struct {
	const char *key;
	bool needed;
	bool (*take)(struct node_file *file, const char *text);
	const char *accepted;
} keys[] = {
	{ "server", true, take_server, "a numeric address and a port, as 10.96.7.20:8443 or [fd00::1]:8443" },
	{ "serverName", true, take_server_name, "the DNS name or address in the service's certificate" },
	{ "ca", true, take_ca, "the name of a file" },
	{ "token", true, take_token, "the name of a file" },
	{ "node", false, take_node, "the name of a node" },
	{ "timeout", false, take_timeout, DURATION },
	{ "connectTimeout", false, take_connect_timeout, DURATION },
	{ "log", false, take_log, "syslog or the absolute path of a file" },
	{ "sysfs", false, take_sysfs, "an absolute path" },
};

#define KEYS "server, serverName, ca, token, node, timeout, connectTimeout, log, sysfs"

static int take(struct node_file *file, const char *path, const char *key, const json_t *value, struct cni_error *err)
{
	for (size_t i = 0; i < array_length(keys); i++) {
		if (strcmp(key, keys[i].key) != 0)
			continue;
		if (!json_is_string(value) || strlen(json_string_value(value)) != json_string_length(value)) {
			char *text = mem_printf("%s is not a string: it takes %s", key, keys[i].accepted);
			node_file_fail(err, path, text);
			free(text);
			return -1;
		}
		if (!keys[i].take(file, json_string_value(value)))
			return bad(err, path, key, json_string_value(value), keys[i].accepted);
		return 0;
	}
	return bad(err, path, "key", key, "known here: " KEYS);
}

static int take_all(struct node_file *file, const char *path, json_t *json, struct cni_error *err)
{
	const char *key;
	json_t *value;

	if (!json_is_object(json))
		return node_file_fail(err, path, "not a JSON object");
	json_object_foreach(json, key, value)
	{
		if (take(file, path, key, value, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < array_length(keys); i++) {
		if (!keys[i].needed || json_object_get(json, keys[i].key))
			continue;
		char *text = mem_printf("%s is missing: %s", keys[i].key, keys[i].accepted);
		node_file_fail(err, path, text);
		free(text);
		return -1;
	}
	return 0;
}

/* A relative name is one beside the node file. */
static void resolve(char **name, const char *path)
{
	const char *slash = strrchr(path, '/');

	assert(*name); /* it is one of the keys that are needed */
	if ((*name)[0] == '/' || !slash)
		return;
	char *whole = mem_printf("%.*s%s", (int)(slash - path + 1), path, *name);
	free(*name);
	*name = whole;
}

int node_file_parse(struct node_file *ret, const char *path, const char *text, size_t len, struct cni_error *err)
{
	struct node_file file = { .timeout_ms = TIMEOUT_MS, .connect_timeout_ms = CONNECT_TIMEOUT_MS };
	struct error why;
	json_t *json = json_parse(text, len, &why);

	if (!json)
		return node_file_fail(err, path, why.text);
	file.node = mem_dup("");
	file.sysfs = mem_dup("/sys");
	int status = take_all(&file, path, json, err);
	json_decref(json);
	if (status < 0) {
		node_file_free(&file);
		return -1;
	}
	resolve(&file.ca_path, path);
	resolve(&file.token_path, path);
	*ret = file;
	return 0;
}

void node_file_free(struct node_file *file)
{
	free(file->address);
	free(file->port);
	free(file->server_name);
	free(file->ca_path);
	free(file->token_path);
	free(file->node);
	free(file->log);
	free(file->sysfs);
	free(file->ca);
	mem_wipe_free(file->token);
	*file = (struct node_file){ 0 };
}
