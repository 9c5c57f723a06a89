#include "ufmsync/kube/pod_networks.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { LABEL_MAX = 63, SUBDOMAIN_MAX = 253, INTERFACE_MAX = 15 };

bool pod_text_is_json(const char *text)
{
	return strpbrk(text, "[{\"") != NULL;
}

/* Unicode's simple folding knows two letters outside ASCII that fold to one within: long s and the Kelvin sign. */
static size_t fold(const char *p, char *folded)
{
	if (strncmp(p, "\xc5\xbf", 2) == 0) {
		*folded = 's';
		return 2;
	}
	if (strncmp(p, "\xe2\x84\xaa", 3) == 0) {
		*folded = 'k';
		return 3;
	}
	*folded = *p >= 'A' && *p <= 'Z' ? (char)(*p - 'A' + 'a') : *p;
	return 1;
}

bool pod_field_is(struct json_span key, const char *name)
{
	__attribute__((cleanup(mem_freep))) char *text = json_span_string(key);
	char c;

	if (!text)
		return false;
	const char *p = text;
	while (*p && *name) {
		p += fold(p, &c);
		if (c != *name++)
			return false;
	}
	return !*p && !*name;
}

int pod_text_list(struct json_span *list, enum pod_source source, const char *text, struct error *err)
{
	if (json_text_check(list, text, strlen(text), err) < 0)
		return -1;
	char type = json_span_type(*list);
	if (type != '[' && !(type == '{' && source == POD_DEFAULT_NETWORK))
		return error_set(err, ERROR_INVALID, "JSON, but not a list of networks");
	return 0;
}

static bool is_label_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

/* Labels as of DNS-1123, joined by dots when `dots`. */
static bool is_dns_name(const char *text, size_t max, bool dots)
{
	size_t len = strlen(text);

	if (len == 0 || len > max)
		return false;
	for (size_t i = 0; i < len; i++) {
		bool edge = i == 0 || i == len - 1 || text[i - 1] == '.' || text[i + 1] == '.';
		if (text[i] == '.' ? !dots || edge : !is_label_char(text[i]) || (text[i] == '-' && edge))
			return false;
	}
	return true;
}

/* What Linux takes for an interface's name. */
static bool is_interface_name(const char *text)
{
	size_t len = strlen(text);

	if (len > INTERFACE_MAX || strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] <= ' ' || text[i] == '/' || text[i] == ':' || text[i] == 0x7f)
			return false;
	}
	return true;
}

static int refuse(struct error *err, const char *what, const char *text, const char *accepted)
{
	__attribute__((cleanup(mem_freep))) char *quote = json_text_cut(text, strlen(text), POD_QUOTE_MAX);

	return error_set(err, ERROR_INVALID, "%s \"%s\" is not %s", what, quote, accepted);
}

/* Fills in the default namespace and judges the three names. */
static int finish_names(struct pod_network *network, const struct pod *pod, struct error *err)
{
	if (!network->interface)
		network->interface = mem_dup("");
	if (!network->namespace || !*network->namespace) {
		free(network->namespace);
		network->namespace = mem_dup(network->source == POD_DEFAULT_NETWORK ? "kube-system" : pod->namespace);
	}
	if (!network->name || !*network->name)
		return error_set(err, ERROR_INVALID, "no name of a network");
	if (!is_dns_name(network->name, SUBDOMAIN_MAX, true))
		return refuse(err, "name", network->name,
			      "the name of a network (lower case letters, digits, '-', '.')");
	if (!is_dns_name(network->namespace, LABEL_MAX, false))
		return refuse(err, "namespace", network->namespace,
			      "the name of a namespace (lower case letters, digits, '-')");
	if (!is_interface_name(network->interface))
		return refuse(err, "interface", network->interface,
			      "the name of an interface (at most 15 bytes, no blank, '/' or ':')");
	return 0;
}

/* --- the short form --- */

static void trim(const char **text, size_t *len)
{
	while (*len > 0 && strchr(" \t\r\n", **text)) {
		(*text)++;
		(*len)--;
	}
	while (*len > 0 && strchr(" \t\r\n", (*text)[*len - 1]))
		(*len)--;
}

static char *trimmed(const char *text, size_t len)
{
	trim(&text, &len);
	return mem_dup_n(text, len);
}

/* "namespace/name@interface", where only the name must be. */
static int parse_short(struct pod_network *network, const struct pod *pod, const char *text, size_t len,
		       struct error *err)
{
	const char *slash = memchr(text, '/', len), *end = text + len;

	if (slash) {
		network->namespace = trimmed(text, (size_t)(slash - text));
		text = slash + 1;
		if (memchr(text, '/', (size_t)(end - text)))
			return error_set(err, ERROR_INVALID, "more than one '/'");
	}
	const char *at = memchr(text, '@', (size_t)(end - text));
	if (at) {
		if (memchr(at + 1, '@', (size_t)(end - at - 1)))
			return error_set(err, ERROR_INVALID, "more than one '@'");
		network->interface = trimmed(at + 1, (size_t)(end - at - 1));
	}
	network->name = trimmed(text, (size_t)((at ? at : end) - text));
	return finish_names(network, pod, err);
}

/* --- an element of the JSON form --- */

/* One of our keys: its last value, and whether an earlier one was another. */
struct said {
	struct json_span value;
	bool differs;
};

static void say(struct said *said, struct json_span value)
{
	if (said->value.at && (said->value.len != value.len || memcmp(said->value.at, value.at, value.len) != 0))
		said->differs = true;
	said->value = value;
}

struct element {
	struct json_span name, namespace, interface, old_interface;
	struct said request;         /* infiniband-guid */
	struct said guid, app, pkey; /* in cni-args */
};

static int read_args(struct element *element, struct json_span value, struct error *err)
{
	if (json_span_type(value) == 'n') { /* takes back what an earlier cni-args said */
		element->guid = element->app = element->pkey = (struct said){ 0 };
		return 0;
	}
	if (json_span_type(value) != '{')
		return error_set(err, ERROR_INVALID, "cni-args is not an object");
	for (struct json_walk walk = json_walk_in(value); json_walk_next(&walk);) {
		if (json_span_is(walk.key, "guid"))
			say(&element->guid, walk.value);
		else if (json_span_is(walk.key, POD_APP_KEY))
			say(&element->app, walk.value);
		else if (json_span_is(walk.key, "pkey"))
			say(&element->pkey, walk.value);
	}
	return 0;
}

/* null leaves a field as it was. */
static int read_name(struct json_span *field, const char *key, struct json_span value, struct error *err)
{
	if (json_span_type(value) == 'n')
		return 0;
	if (json_span_type(value) != '"')
		return error_set(err, ERROR_INVALID, "%s is not a string", key);
	*field = value;
	return 0;
}

static int read_element(struct element *element, struct json_span object, struct error *err)
{
	if (json_span_type(object) != '{')
		return error_set(err, ERROR_INVALID, "not an object");
	for (struct json_walk walk = json_walk_in(object); json_walk_next(&walk);) {
		int status = 0;
		if (pod_field_is(walk.key, "name"))
			status = read_name(&element->name, "name", walk.value, err);
		else if (pod_field_is(walk.key, "namespace"))
			status = read_name(&element->namespace, "namespace", walk.value, err);
		else if (pod_field_is(walk.key, "interface"))
			status = read_name(&element->interface, "interface", walk.value, err);
		else if (pod_field_is(walk.key, "interfacerequest"))
			status = read_name(&element->old_interface, "interfaceRequest", walk.value, err);
		else if (pod_field_is(walk.key, "cni-args"))
			status = read_args(element, walk.value, err);
		else if (pod_field_is(walk.key, "infiniband-guid") && json_span_type(walk.value) != 'n')
			say(&element->request, walk.value);
		if (status < 0)
			return -1;
	}
	return 0;
}

static bool is_empty(struct json_span value)
{
	return !value.at || json_span_type(value) == 'n' || json_span_is(value, "");
}

static void read_wish(struct pod_network *network, const struct element *element)
{
	struct json_span value = is_empty(element->request.value) ? element->guid.value : element->request.value;

	if (is_empty(value))
		return;
	__attribute__((cleanup(mem_freep))) char *text = json_span_string(value);
	if (text && guid_parse(&network->guid, text) && guid_usable(network->guid)) {
		network->wish = POD_WISH_GUID;
		return;
	}
	network->guid = (struct guid){ 0 };
	network->wish = POD_WISH_BAD;
	network->wish_text = text ? json_text_cut(text, strlen(text), POD_QUOTE_MAX)
				  : json_text_cut(value.at, value.len, POD_QUOTE_MAX);
}

/* A GUID that stands there exactly as it would be published. */
static struct guid exact_guid(const struct said *said)
{
	__attribute__((cleanup(mem_freep))) char *text = json_span_string(said->value);
	char formatted[GUID_TEXT_MAX];
	struct guid guid;

	if (!text || said->differs || !guid_parse(&guid, text) || strcmp(guid_format(formatted, guid), text) != 0)
		return (struct guid){ 0 };
	return guid;
}

static void read_pkey(struct pod_network *network, const struct said *said)
{
	char type = json_span_type(said->value);

	network->pkey_odd = said->value.at && (type != '"' || said->differs);
	if (said->differs)
		return;
	if (type == '"')
		network->pkey_text = json_span_string(said->value);
	else if (said->value.at && type == '0' && strspn(said->value.at, "0123456789") >= said->value.len)
		network->pkey_text = mem_dup_n(said->value.at, said->value.len);
	if (network->pkey_text && strlen(network->pkey_text) > POD_QUOTE_MAX) {
		free(network->pkey_text);
		network->pkey_text = NULL;
		network->pkey_odd = true;
	}
}

static int parse_element(struct pod_network *network, const struct pod *pod, struct json_span object, struct error *err)
{
	struct element element = { 0 };

	if (read_element(&element, object, err) < 0)
		return -1;
	network->name = json_span_string(element.name);
	if (element.namespace.at && !(network->namespace = json_span_string(element.namespace)))
		return error_set(err, ERROR_INVALID, "namespace holds a NUL");
	struct json_span interface = is_empty(element.interface) ? element.old_interface : element.interface;
	if (interface.at && !(network->interface = json_span_string(interface)))
		return error_set(err, ERROR_INVALID, "interface holds a NUL");
	read_wish(network, &element);
	read_pkey(network, &element.pkey);
	network->configured = !element.app.differs && json_span_is(element.app.value, POD_APP_VALUE);
	network->runtime_guid = element.request.value.at;
	network->args_guid = exact_guid(&element.guid);
	network->request_guid = exact_guid(&element.request);
	return finish_names(network, pod, err);
}

/* --- the whole text --- */

void pod_network_release(struct pod_network *network)
{
	free(network->namespace);
	free(network->name);
	free(network->interface);
	free(network->wish_text);
	free(network->pkey_text);
}

/* The place for one more; index and source are set. */
static struct pod_network *one_more(struct pod *pod, enum pod_source source, size_t position, struct error *err)
{
	if (source == POD_DEFAULT_NETWORK && position > 0) {
		error_set(err, ERROR_INVALID, "more than one network");
		return NULL;
	}
	if (position == POD_NETWORKS_MAX) {
		error_set(err, ERROR_INVALID, "more than %d networks", POD_NETWORKS_MAX);
		return NULL;
	}
	pod->networks = mem_resize(pod->networks, pod->n_networks + 1, sizeof *pod->networks);
	struct pod_network *network = &pod->networks[pod->n_networks++];
	*network = (struct pod_network){ .source = source, .index = source == POD_NETWORKS ? (int)position : -1 };
	return network;
}

static int wrap_position(struct error *err, enum pod_source source, size_t position)
{
	return error_wrap(err, "%s[%zu]", pod_source_key(source), position);
}

static int parse_list(struct pod *pod, enum pod_source source, const char *text, struct error *err)
{
	struct json_span list;
	size_t position = 0;

	if (pod_text_list(&list, source, text, err) < 0)
		return error_wrap(err, "%s", pod_source_key(source));
	if (json_span_type(list) == '{') {
		struct pod_network *network = one_more(pod, source, 0, err);
		if (parse_element(network, pod, list, err) < 0)
			return wrap_position(err, source, 0);
		network->configured = false; /* not as long as multus cannot read it */
		return 0;
	}
	for (struct json_walk walk = json_walk_in(list); json_walk_next(&walk); position++) {
		struct pod_network *network = one_more(pod, source, position, err);
		if (!network)
			return error_wrap(err, "%s", pod_source_key(source));
		if (parse_element(network, pod, walk.value, err) < 0)
			return wrap_position(err, source, position);
	}
	return 0;
}

static int parse_names(struct pod *pod, enum pod_source source, const char *text, struct error *err)
{
	for (size_t position = 0;; position++) {
		size_t len = strcspn(text, ",");
		struct pod_network *network = one_more(pod, source, position, err);
		if (!network)
			return error_wrap(err, "%s", pod_source_key(source));
		if (parse_short(network, pod, text, len, err) < 0)
			return wrap_position(err, source, position);
		if (!text[len])
			return 0;
		text += len + 1;
	}
}

int pod_networks_parse(struct pod *pod, enum pod_source source, const char *text, struct error *err)
{
	size_t before = pod->n_networks;
	int status;

	if (strlen(text) > POD_ANNOTATION_MAX)
		return error_set(err, ERROR_INVALID, "%s: longer than %d bytes", pod_source_key(source),
				 POD_ANNOTATION_MAX);
	status = pod_text_is_json(text) ? parse_list(pod, source, text, err) : parse_names(pod, source, text, err);
	if (status < 0) {
		while (pod->n_networks > before)
			pod_network_release(&pod->networks[--pod->n_networks]);
	}
	return status;
}
