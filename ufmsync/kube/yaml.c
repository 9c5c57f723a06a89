#include "ufmsync/kube/yaml.h"

#include <stdbool.h>
#include <string.h>
#include <yaml.h>

#include "base/json.h"

enum { DEPTH_MAX = 32 };

static int refuse(struct error *err, const yaml_mark_t *mark, const char *why)
{
	return error_set(err, ERROR_INVALID, "line %zu column %zu: %s", mark->line + 1, mark->column + 1, why);
}

static void event_done(yaml_event_t *event)
{
	if (event->type == YAML_SCALAR_EVENT)
		explicit_bzero(event->data.scalar.value, event->data.scalar.length);
	yaml_event_delete(event);
}

static bool is_decorated(const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		return event->data.scalar.anchor || event->data.scalar.tag;
	case YAML_SEQUENCE_START_EVENT:
		return event->data.sequence_start.anchor || event->data.sequence_start.tag;
	case YAML_MAPPING_START_EVENT:
		return event->data.mapping_start.anchor || event->data.mapping_start.tag;
	default:
		return event->type == YAML_ALIAS_EVENT;
	}
}

static int next_event(yaml_parser_t *parser, yaml_event_t *event, struct error *err)
{
	if (!yaml_parser_parse(parser, event))
		return refuse(err, &parser->problem_mark, parser->problem ? parser->problem : "not YAML");
	if (!is_decorated(event))
		return 0;
	refuse(err, &event->start_mark, "anchors, aliases and tags are not accepted");
	event_done(event);
	return -1;
}

static json_t *scalar(const yaml_event_t *event, struct error *err)
{
	const char *text = (const char *)event->data.scalar.value;

	if (event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE) {
		if (strcmp(text, "") == 0 || strcmp(text, "null") == 0 || strcmp(text, "~") == 0)
			return json_null();
		if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
			return json_boolean(text[0] == 't');
	}
	json_t *value = json_stringn(text, event->data.scalar.length);
	if (!value)
		refuse(err, &event->start_mark, "not UTF-8");
	return value;
}

static json_t *read_value(yaml_parser_t *parser, const yaml_event_t *first, unsigned depth, struct error *err);

static json_t *read_sequence(yaml_parser_t *parser, unsigned depth, struct error *err)
{
	json_t *array = json_array();
	yaml_event_t event;

	while (next_event(parser, &event, err) == 0) {
		bool end = event.type == YAML_SEQUENCE_END_EVENT;
		json_t *element = end ? NULL : read_value(parser, &event, depth, err);
		event_done(&event);
		if (end)
			return array;
		if (!element)
			break;
		json_array_append_new(array, element);
	}
	yaml_wipe(array);
	return NULL;
}

/* Reads the value behind the key in `event` into the object. */
static int read_member(yaml_parser_t *parser, json_t *object, const yaml_event_t *event, unsigned depth,
		       struct error *err)
{
	const char *key = (const char *)event->data.scalar.value;
	yaml_event_t next;

	if (event->type != YAML_SCALAR_EVENT || strlen(key) != event->data.scalar.length)
		return refuse(err, &event->start_mark, "a key that is no text");
	if (json_object_get(object, key))
		return refuse(err, &event->start_mark, "the same key twice");
	if (next_event(parser, &next, err) < 0)
		return -1;
	json_t *value = read_value(parser, &next, depth, err);
	event_done(&next);
	if (!value)
		return -1;
	return json_object_set_new(object, key, value) == 0
		       ? 0
		       : refuse(err, &event->start_mark, "a key that is not UTF-8");
}

static json_t *read_mapping(yaml_parser_t *parser, unsigned depth, struct error *err)
{
	json_t *object = json_object();
	yaml_event_t event;

	while (next_event(parser, &event, err) == 0) {
		bool end = event.type == YAML_MAPPING_END_EVENT;
		int status = end ? 0 : read_member(parser, object, &event, depth, err);
		event_done(&event);
		if (end)
			return object;
		if (status < 0)
			break;
	}
	yaml_wipe(object);
	return NULL;
}

static json_t *read_value(yaml_parser_t *parser, const yaml_event_t *first, unsigned depth, struct error *err)
{
	if (depth == DEPTH_MAX) {
		refuse(err, &first->start_mark, "nested too deeply");
		return NULL;
	}
	switch (first->type) {
	case YAML_SCALAR_EVENT:
		return scalar(first, err);
	case YAML_SEQUENCE_START_EVENT:
		return read_sequence(parser, depth + 1, err);
	case YAML_MAPPING_START_EVENT:
		return read_mapping(parser, depth + 1, err);
	default:
		refuse(err, &first->start_mark, "no value");
		return NULL;
	}
}

/* An event without content of its own, which must be the next. */
static int expect(yaml_parser_t *parser, yaml_event_type_t type, const char *otherwise, struct error *err)
{
	yaml_event_t event;

	if (next_event(parser, &event, err) < 0)
		return -1;
	int status = event.type == type ? 0 : refuse(err, &event.start_mark, otherwise);
	event_done(&event);
	return status;
}

static json_t *read_stream(yaml_parser_t *parser, struct error *err)
{
	yaml_event_t event;

	if (expect(parser, YAML_STREAM_START_EVENT, "no YAML", err) < 0 ||
	    expect(parser, YAML_DOCUMENT_START_EVENT, "nothing in it", err) < 0 || next_event(parser, &event, err) < 0)
		return NULL;
	json_t *root = read_value(parser, &event, 0, err);
	event_done(&event);
	if (root && expect(parser, YAML_DOCUMENT_END_EVENT, "more than one value", err) == 0 &&
	    expect(parser, YAML_STREAM_END_EVENT, "more than one document", err) == 0)
		return root;
	yaml_wipe(root);
	return NULL;
}

json_t *yaml_parse(const char *text, size_t len, struct error *err)
{
	yaml_parser_t parser;
	struct error not_json;
	size_t start = 0;

	while (start < len && strchr(" \t\r\n", text[start]))
		start++;
	if (start < len && text[start] == '{') {
		json_t *value = json_parse(text, len, &not_json);
		if (value)
			return value;
	}
	if (!yaml_parser_initialize(&parser)) {
		error_set(err, ERROR_OS, "YAML parser: out of memory");
		return NULL;
	}
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	json_t *root = read_stream(&parser, err);
	explicit_bzero(parser.raw_buffer.start, (size_t)(parser.raw_buffer.end - parser.raw_buffer.start));
	explicit_bzero(parser.buffer.start, (size_t)(parser.buffer.end - parser.buffer.start));
	yaml_parser_delete(&parser);
	return root;
}

static void wipe_texts(json_t *value)
{
	const char *key;
	json_t *inner;
	size_t i;

	if (json_is_string(value))
		explicit_bzero((char *)json_string_value(value), json_string_length(value));
	json_array_foreach(value, i, inner) wipe_texts(inner);
	json_object_foreach(value, key, inner) wipe_texts(inner);
}

void yaml_wipe(json_t *value)
{
	wipe_texts(value);
	json_decref(value);
}
