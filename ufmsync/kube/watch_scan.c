#include "ufmsync/kube/watch_private.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"

enum {
	OBJECT_MAX = 16 << 20, /* a pod may be 1.5 MiB in etcd, and each byte six in JSON */
	/* The API server takes 10,000 levels of a custom resource, and a list or an event has a few around that. */
	DEPTH_MAX = 10240,
	DEPTH_KEPT = 64, /* no field of ours lies so deep */
};

/* A copy with a 0 for every array and object that lies deeper than is kept; so it is never longer. */
static char *without_depths(const struct scan_value *value, size_t *len)
{
	char *out = mem_alloc(value->len + 1), *end = out;
	unsigned depth = 0;
	bool in_string = false;

	for (const char *p = value->json; p < value->json + value->len; p++) {
		bool opens = !in_string && (*p == '{' || *p == '['), closes = !in_string && (*p == '}' || *p == ']');
		depth += opens;
		if (depth <= DEPTH_KEPT) {
			*end++ = *p;
		} else if (closes && depth == DEPTH_KEPT + 1) {
			*end++ = '0';
		}
		depth -= closes;
		if (in_string && *p == '\\') {
			p++;
			if (depth <= DEPTH_KEPT)
				*end++ = *p;
		} else if (*p == '"') {
			in_string = !in_string;
		}
	}
	*len = (size_t)(end - out);
	return out;
}

/* Numbers that no field of ours has must not make an object unreadable, nor what is said twice or lies too deep: whoever
 * may write one object must not keep us from all others. */
static json_t *parse_object(const struct scan_value *value, struct error *err)
{
	json_t *object = json_parse(value->json, value->len, err);

	if (object)
		return object;
	size_t len;
	char *text = without_depths(value, &len);
	object = json_loadb(text, len, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL, NULL);
	free(text);
	return object;
}

/* What a callback of a scan returns after a callback of the user. */
static int goes_on(const struct kube_watch *watch, struct error *err)
{
	if (!watch->freed && !watch->restart)
		return 0;
	return error_set(err, ERROR_RETRY, "given up");
}

static void set_text(char **to, const char *text)
{
	free(*to);
	*to = mem_dup(text);
}

static void read_list_meta(struct kube_watch *watch, const json_t *metadata)
{
	const char *version = json_str(metadata, "resourceVersion", NULL);
	const char *token = json_str(metadata, "continue", NULL);

	if (version && *version)
		set_text(&watch->version, version);
	set_text(&watch->page_token, token && *token ? token : NULL);
}

static int on_list_value(void *aux, const struct scan_value *value, struct error *err)
{
	struct kube_watch *watch = aux;
	json_t *object = parse_object(value, err);

	if (!object)
		return error_wrap(err, "an element of the list");
	if (value->pattern == 0)
		read_list_meta(watch, object);
	else
		watch->options.applied(watch->options.aux, object);
	json_decref(object);
	return goes_on(watch, err);
}

/* An ERROR event holds a Status; the stream ends behind it. */
static int read_error_event(struct kube_watch *watch, const json_t *status, struct error *err)
{
	char *text = json_dumps(status, JSON_COMPACT);
	int64_t code = json_int(status, 500, "code", NULL);

	kube_status_error(&watch->event, code >= 300 && code <= 599 ? (int)code : 500, text ? text : "",
			  text ? strlen(text) : 0, NULL);
	free(text);
	*err = watch->event;
	return -1;
}

static int read_event(struct kube_watch *watch, const char *type, const json_t *object, struct error *err)
{
	const char *version = json_str(object, "metadata", "resourceVersion", NULL);

	if (strcmp(type, "ERROR") == 0)
		return read_error_event(watch, object, err);
	if (strcmp(type, "ADDED") == 0 || strcmp(type, "MODIFIED") == 0)
		watch->options.applied(watch->options.aux, object);
	else if (strcmp(type, "DELETED") == 0)
		watch->options.deleted(watch->options.aux, object);
	else if (strcmp(type, "BOOKMARK") != 0)
		return error_set(err, ERROR_INVALID, "an event of unknown type");
	if (version && *version)
		set_text(&watch->version, version);
	watch->heard = true;
	watch->backoff.failures = watch->expirations = 0;
	return goes_on(watch, err);
}

static int on_watch_value(void *aux, const struct scan_value *value, struct error *err)
{
	struct kube_watch *watch = aux;
	json_t *event = parse_object(value, err);
	const char *type = json_str(event, "type", NULL);
	int status;

	if (!event)
		return error_wrap(err, "an event");
	if (type && json_is_object(json_at(event, "object", NULL)))
		status = read_event(watch, type, json_at(event, "object", NULL), err);
	else
		status = error_set(err, ERROR_INVALID, "not an event of a watch");
	json_decref(event);
	return status;
}

static void new_scan(struct kube_watch *watch, scan_value_fn *value, bool many, const char *first, const char *second)
{
	scan_free(watch->scan);
	watch->scan = scan_new(&(struct scan_options){
		.patterns = { first, second },
		.many = many,
		.max_value = OBJECT_MAX,
		.max_depth = DEPTH_MAX,
		.value = value,
		.aux = watch,
	});
}

void watch_scan_list(struct kube_watch *watch)
{
	new_scan(watch, on_list_value, false, "metadata", "items/*");
}

void watch_scan_events(struct kube_watch *watch)
{
	new_scan(watch, on_watch_value, true, "", NULL);
}
