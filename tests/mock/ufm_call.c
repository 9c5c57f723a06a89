#include "tests/mock/ufm_call.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/mock/ufm_schema.h"

static const char *const operation_names[UFM_OPERATIONS] = {
	[UFM_OP_NONE] = "none",
	[UFM_OP_LOGIN] = "login",
	[UFM_OP_VERSION] = "version",
	[UFM_OP_TOKENS] = "tokens",
	[UFM_OP_TOKEN_NEW] = "token_new",
	[UFM_OP_TOKEN_REVOKE] = "token_revoke",
	[UFM_OP_SMCONF] = "smconf",
	[UFM_OP_CLIENT_AUTH] = "client_auth",
	[UFM_OP_EVENTS] = "events",
	[UFM_OP_LOGS] = "logs",
	[UFM_OP_JOB] = "job",
	[UFM_OP_LIST] = "list",
	[UFM_OP_GET] = "get",
	[UFM_OP_LAST_UPDATED] = "last_updated",
	[UFM_OP_VPORTS] = "vports",
	[UFM_OP_PORTS] = "ports",
	[UFM_OP_SYSTEMS] = "systems",
	[UFM_OP_CREATE] = "create",
	[UFM_OP_ADD] = "add",
	[UFM_OP_SET] = "set",
	[UFM_OP_REMOVE] = "remove",
	[UFM_OP_DELETE] = "delete",
	[UFM_OP_QOS] = "qos",
	[UFM_OP_HOSTS_ADD] = "hosts_add",
	[UFM_OP_HOSTS_REMOVE] = "hosts_remove",
	[UFM_OP_SHARP] = "sharp",
};

const char *ufm_operation_name(enum ufm_operation operation)
{
	return operation_names[operation];
}

bool ufm_operation_parse(enum ufm_operation *operation, const char *name)
{
	for (int i = 0; i < UFM_OPERATIONS; i++) {
		if (strcmp(operation_names[i], name) == 0) {
			*operation = (enum ufm_operation)i;
			return true;
		}
	}
	return false;
}

enum { WILDCARDS_MAX = 2 };

struct route {
	const char *pattern; /* '*' stands for one segment */
	const char *method;
	enum ufm_operation operation;
	bool by_action;
};

/* The first pattern that fits a path decides; its methods stand together. */
static const struct route routes[] = {
	{ "/app/ufm_version", "GET", UFM_OP_VERSION, false },
	{ "/app/tokens", "GET", UFM_OP_TOKENS, false },
	{ "/app/tokens", "POST", UFM_OP_TOKEN_NEW, false },
	{ "/app/tokens/revoke", "POST", UFM_OP_TOKEN_REVOKE, false },
	{ "/app/smconf", "GET", UFM_OP_SMCONF, false },
	{ "/app/client_authentication/settings", "GET", UFM_OP_CLIENT_AUTH, false },
	{ "/app/events", "GET", UFM_OP_EVENTS, false },
	{ "/app/alarms", "GET", UFM_OP_EVENTS, false },
	{ "/app/logs/*", "GET", UFM_OP_LOGS, false },
	{ "/jobs/*", "GET", UFM_OP_JOB, false },
	{ "/resources/vports", "GET", UFM_OP_VPORTS, false },
	{ "/resources/ports", "GET", UFM_OP_PORTS, false },
	{ "/resources/systems", "GET", UFM_OP_SYSTEMS, false },
	{ "/actions/add_guids_to_pkey", "POST", UFM_OP_ADD, true },
	{ "/actions/remove_guids_from_pkey", "POST", UFM_OP_REMOVE, true },
	{ "/actions/get_all_pkeys", "GET", UFM_OP_LIST, true },
	{ "/actions/get_all_pkeys", "POST", UFM_OP_LIST, true },
	{ "/resources/pkeys", "GET", UFM_OP_LIST, false },
	{ "/resources/pkeys", "POST", UFM_OP_ADD, false },
	{ "/resources/pkeys", "PUT", UFM_OP_SET, false },
	{ "/resources/pkeys/add", "POST", UFM_OP_CREATE, false },
	{ "/resources/pkeys/hosts", "POST", UFM_OP_HOSTS_ADD, false },
	{ "/resources/pkeys/qos_conf", "PUT", UFM_OP_QOS, false },
	{ "/resources/pkeys/qos_conf", "POST", UFM_OP_QOS, false },
	{ "/resources/pkeys/last_updated", "GET", UFM_OP_LAST_UPDATED, false },
	{ "/resources/pkeys/*", "GET", UFM_OP_GET, false },
	{ "/resources/pkeys/*", "DELETE", UFM_OP_DELETE, false },
	{ "/resources/pkeys/*/guids/*", "DELETE", UFM_OP_REMOVE, false },
	{ "/resources/pkeys/*/hosts/*", "DELETE", UFM_OP_HOSTS_REMOVE, false },
	{ "/resources/pkeys/*/sharp-reservation", "PUT", UFM_OP_SHARP, false },
};

static const struct {
	const char *text;
	enum ufm_prefix prefix;
} prefixes[] = {
	{ "/ufmRest/", UFM_PREFIX_BASIC },
	{ "/ufmRestV2/", UFM_PREFIX_SESSION },
	{ "/ufmRestV3/", UFM_PREFIX_TOKEN },
};

/* Fills `wildcards` (owned by the caller) when it fits.  One slash at the end is the same resource. */
static bool pattern_fits(const char *pattern, const char *path, char *wildcards[WILDCARDS_MAX])
{
	size_t used = 0;
	bool fits = true;

	for (; fits && *pattern; pattern++) {
		if (*pattern == '*') {
			size_t len = strcspn(path, "/");
			assert(used < WILDCARDS_MAX);
			wildcards[used++] = mem_dup_n(path, len);
			path += len;
			fits = len > 0;
		} else {
			fits = *pattern == *path;
			path += fits;
		}
	}
	if (fits && (strcmp(path, "") == 0 || strcmp(path, "/") == 0))
		return true;
	while (used > 0) {
		free(wildcards[--used]);
		wildcards[used] = NULL;
	}
	return false;
}

void ufm_call_refuse(struct ufm_call *call, int status, const char *format, ...)
{
	char text[256];
	va_list args;

	if (call->refused)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	call->refused = status;
	call->refusal = mem_dup(text);
}

static void refuse_html(struct ufm_call *call, int status, const char *text)
{
	ufm_call_refuse(call, status, "%s", text);
	call->html = true;
}

bool ufm_pkey_parse(unsigned *pkey, const char *text)
{
	bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	const char *digits = hex ? text + 2 : text;
	size_t len = strspn(digits, hex ? "0123456789abcdefABCDEF" : "0123456789");
	unsigned long value;

	if (len == 0 || len > 8 || digits[len] != '\0')
		return false;
	value = strtoul(digits, NULL, hex ? 16 : 10);
	if (value >= UFM_PKEY_COUNT)
		return false;
	*pkey = (unsigned)value;
	return true;
}

bool ufm_guid_parse(uint64_t *guid, const char *text, size_t len)
{
	uint64_t value = 0;

	if (len < 16 || len > 20)
		return false;
	for (size_t i = text[0] == '0' && (text[1] == 'x' || text[1] == 'X') ? 2 : 0; i < len; i++) {
		static const char digits[] = "0123456789abcdef";
		const char *digit =
			text[i] ? strchr(digits, text[i] >= 'A' && text[i] <= 'F' ? text[i] + 32 : text[i]) : NULL;
		if (!digit || value >> 60 != 0)
			return false;
		value = value << 4 | (uint64_t)(digit - digits);
	}
	*guid = value;
	return true;
}

static void read_csv_guids(struct ufm_call *call, const char *csv)
{
	size_t n = 1;

	for (const char *comma = csv; (comma = strchr(comma, ',')); comma++)
		n++;
	call->members = mem_array(n, sizeof(*call->members));
	for (const char *at = csv; call->n_members < n; at++) {
		size_t len = strcspn(at, ",");
		if (!ufm_guid_parse(&call->members[call->n_members++].guid, at, len)) {
			ufm_call_refuse(call, 400, "Invalid GUID '%.*s'", len < 64 ? (int)len : 64, at);
			return;
		}
		at += len;
	}
}

static void read_path(struct ufm_call *call, char *wildcards[WILDCARDS_MAX])
{
	if (call->operation == UFM_OP_JOB || call->operation == UFM_OP_LOGS) {
		call->name = mem_dup(wildcards[0]);
		return;
	}
	if (!wildcards[0])
		return;
	if (!ufm_pkey_parse(&call->pkey, wildcards[0]))
		ufm_call_refuse(call, 400, "Invalid pkey '%.64s'", wildcards[0]);
	else if (ufm_operation_writes(call->operation) && (call->pkey == 0 || call->pkey == UFM_PKEY_MANAGEMENT))
		ufm_call_refuse(call, 400, "Pkey value must be between 0x1 and 0x7ffe");
	else if (call->operation == UFM_OP_REMOVE)
		read_csv_guids(call, wildcards[1]);
	else if (call->operation == UFM_OP_HOSTS_REMOVE)
		call->name = mem_dup(wildcards[1]);
}

static bool flag(const struct ufm_http *http, const char *key)
{
	const char *value = http->query(http->aux, key);

	return value && (strcmp(value, "true") == 0 || strcmp(value, "True") == 0);
}

static void read_query(struct ufm_call *call, const struct ufm_http *http)
{
	call->guids_data = flag(http, "guids_data");
	call->qos_conf = flag(http, "qos_conf");
	call->other_flag = flag(http, "port_info") || flag(http, "sharp_state");
	call->filter_system = mem_dup(http->query(http->aux, "system"));
	call->filter_port = mem_dup(http->query(http->aux, "port"));
	call->filter_type = mem_dup(http->query(http->aux, "sys_type"));
	if (call->operation == UFM_OP_SMCONF)
		call->name = mem_dup(http->query(http->aux, "param_name"));
}

static bool route_is_off(const struct route *route, const struct ufm_switches *switches)
{
	return route->operation == UFM_OP_REMOVE &&
	       switches->remove_routes == (route->by_action ? UFM_REMOVE_DELETE : UFM_REMOVE_ACTION);
}

/* Sets the operation and what the path says; HEAD is a GET whose body is not sent. */
static void find_route(struct ufm_call *call, const char *path, const struct ufm_http *http,
		       const struct ufm_switches *switches)
{
	const char *method = strcmp(http->method, "HEAD") == 0 ? "GET" : http->method;
	char *wildcards[WILDCARDS_MAX] = { 0 };
	size_t i = 0;

	while (i < array_length(routes) && !pattern_fits(routes[i].pattern, path, wildcards))
		i++;
	if (i == array_length(routes) || route_is_off(&routes[i], switches)) {
		refuse_html(call, 404, "Not Found");
	} else {
		const char *pattern = routes[i].pattern;
		while (i < array_length(routes) && strcmp(routes[i].pattern, pattern) == 0 &&
		       strcmp(routes[i].method, method) != 0)
			i++;
		if (i == array_length(routes) || strcmp(routes[i].pattern, pattern) != 0) {
			refuse_html(call, 405, "Method Not Allowed");
		} else {
			call->operation = routes[i].operation;
			call->by_action = routes[i].by_action;
			read_path(call, wildcards);
		}
	}
	for (i = 0; i < WILDCARDS_MAX; i++)
		free(wildcards[i]);
}

void ufm_call_parse(struct ufm_call *call, const struct ufm_http *http, const struct ufm_switches *switches)
{
	*call = (struct ufm_call){ .pkey = UFM_PKEY_COUNT, .ip_over_ib = true, .qos = ufm_qos_default };
	if (strcmp(http->path, "/dologin") == 0) {
		call->prefix = UFM_PREFIX_OPEN;
		if (strcmp(http->method, "POST") == 0) {
			call->operation = UFM_OP_LOGIN;
			ufm_schema_read_login(call, http->body, http->body_len);
		} else {
			refuse_html(call, 405, "Method Not Allowed");
		}
		return;
	}
	for (size_t i = 0; i < array_length(prefixes); i++) {
		size_t len = strlen(prefixes[i].text);
		if (strncmp(http->path, prefixes[i].text, len) != 0)
			continue;
		call->prefix = prefixes[i].prefix;
		find_route(call, http->path + len - 1, http, switches);
		read_query(call, http);
		if (!call->refused)
			ufm_schema_read(call, http->body, http->body_len);
		return;
	}
	refuse_html(call, 404, "Not Found");
}

void ufm_call_free(struct ufm_call *call)
{
	free(call->refusal);
	free(call->name);
	mem_wipe_free(call->password);
	free(call->members);
	free(call->filter_system);
	free(call->filter_port);
	free(call->filter_type);
	*call = (struct ufm_call){ 0 };
}
