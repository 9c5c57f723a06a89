#include "cni/webhook/attach_request.h"

#include <jansson.h>
#include <string.h>

#include "base/hash.h"
#include "base/json.h"
#include "base/mem.h"

enum { LABEL_MAX = 63, SUBDOMAIN_MAX = 253, UID_MAX = 64, INTERFACE_MAX = 15, NAME_MAX_LEN = 253, CONTAINER_MAX = 255 };

static bool is_label_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

/* Labels as of DNS-1123, joined by dots when `dots`: nothing that means anything in the path of a URL. */
static bool is_dns_name(const char *text, size_t len, bool dots)
{
	if (len == 0 || len > (dots ? SUBDOMAIN_MAX : LABEL_MAX))
		return false;
	for (size_t i = 0; i < len; i++) {
		bool edge = i == 0 || i == len - 1 || text[i - 1] == '.' || text[i + 1] == '.';

		if (text[i] == '.' ? !dots || edge : !is_label_char(text[i]) || (text[i] == '-' && edge))
			return false;
	}
	return true;
}

static bool is_namespace(const char *text, size_t len)
{
	return is_dns_name(text, len, false);
}

static bool is_object_name(const char *text, size_t len)
{
	return is_dns_name(text, len, true);
}

static bool is_uid(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!is_label_char(text[i]) && !(text[i] >= 'A' && text[i] <= 'Z'))
			return false;
	return len > 0 && len <= UID_MAX;
}

static bool is_interface(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] <= ' ' || text[i] == '/' || text[i] == ':' || text[i] == 0x7f)
			return false;
	return len > 0 && len <= INTERFACE_MAX && strcmp(text, ".") != 0 && strcmp(text, "..") != 0;
}

static bool is_printable(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			return false;
	return true;
}

static bool is_network_name(const char *text, size_t len)
{
	return len > 0 && len <= NAME_MAX_LEN && is_printable(text, len);
}

static bool is_container(const char *text, size_t len)
{
	return len <= CONTAINER_MAX && is_printable(text, len);
}

static bool is_node(const char *text, size_t len)
{
	return len == 0 || is_object_name(text, len);
}

/* What the message about a wrong one says is accepted. */
struct field {
	const char *parent, *key;
	bool optional;
	bool (*good)(const char *text, size_t len);
	const char *accepted;
};

enum { NAMESPACE, NAME, UID, INTERFACE, NETWORK_NAME, KEPT, CONTAINER_ID = KEPT, NODE, FIELDS };
static const struct field fields[FIELDS] = {
	[NAMESPACE] = { "pod", "namespace", false, is_namespace, "the name of a namespace" },
	[NAME] = { "pod", "name", false, is_object_name, "the name of a pod" },
	[UID] = { "pod", "uid", false, is_uid, "1 to 64 letters, digits and '-'" },
	[INTERFACE] = { NULL, "interface", false, is_interface, "the name of an interface (1 to 15 bytes)" },
	[NETWORK_NAME] = { NULL, "networkName", false, is_network_name, "1 to 253 characters" },
	[CONTAINER_ID] = { NULL, "containerID", true, is_container, "at most 255 characters" },
	[NODE] = { NULL, "node", true, is_node, "the name of a node" },
};

static int read_field(const char **ret, const json_t *root, const struct field *field, struct error *err)
{
	const json_t *parent = field->parent ? json_object_get(root, field->parent) : root;
	const json_t *value = json_object_get(parent, field->key);
	const char *text = json_string_value(value), *dot = field->parent ? "." : "";
	size_t len = json_string_length(value);

	*ret = "";
	if (!value || json_is_null(value)) {
		if (field->optional)
			return 0;
		return error_set(err, ERROR_INVALID, "%s%s%s is missing", field->parent ? field->parent : "", dot,
				 field->key);
	}
	if (!text || !field->good(text, len))
		return error_set(err, ERROR_INVALID, "%s%s%s is not %s", field->parent ? field->parent : "", dot,
				 field->key, field->accepted);
	*ret = text;
	return 0;
}

static struct attach_request *keep(const char *const texts[KEPT])
{
	size_t size = sizeof(struct attach_request);

	for (size_t i = 0; i < KEPT; i++)
		size += strlen(texts[i]) + 1;
	struct attach_request *request = mem_alloc(size);
	const char **kept[KEPT] = { &request->namespace, &request->name, &request->uid, &request->interface,
				    &request->network_name };
	char *at = (char *)(request + 1);
	for (size_t i = 0; i < KEPT; i++) {
		*kept[i] = at;
		at = stpcpy(at, texts[i]) + 1;
	}
	return request;
}

int attach_request_parse(struct attach_request **ret, const char *body, size_t len, struct error *err)
{
	__attribute__((cleanup(json_freep))) json_t *root = json_parse(body, len, err);
	const char *texts[FIELDS];

	if (!root)
		return -1;
	if (!json_is_object(root))
		return error_set(err, ERROR_INVALID, "the body is not a JSON object");
	for (size_t i = 0; i < FIELDS; i++)
		if (read_field(&texts[i], root, &fields[i], err) < 0)
			return -1;
	const char *hint = json_str(root, "guid", NULL), *pkey = json_str(root, "pkey", NULL);
	*ret = keep(texts);
	(*ret)->sandbox = *texts[CONTAINER_ID] ? hash_text(0, texts[CONTAINER_ID]) : 0;
	if (!pkey || !pkey_parse(&(*ret)->pkey, pkey))
		(*ret)->pkey.v = 0;
	(*ret)->has_hint = hint && guid_parse_any(&(*ret)->hint, hint) && guid_usable((*ret)->hint);
	return 0;
}
