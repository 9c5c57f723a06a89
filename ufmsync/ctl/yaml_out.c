#include "ufmsync/ctl/yaml_out.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <yaml.h>

#include "base/mem.h"

enum { WIDTH = 1 << 16 /* lines are not folded: they are searched by line */ };

struct yaml_out {
	yaml_emitter_t emitter;
	FILE *out;
};

static int write_out(void *aux, unsigned char *bytes, size_t n)
{
	struct yaml_out *yaml = aux;

	/* A full disk shows in ferror(); the emitter goes on, as printf does. */
	fwrite(bytes, 1, n, yaml->out);
	return 1;
}

static void emit(struct yaml_out *yaml, yaml_event_t *event)
{
	/* Only a sequence of events that is no document, or memory, fails it. */
	int good = yaml_emitter_emit(&yaml->emitter, event);

	assert(good);
}

struct yaml_out *yaml_out_new(FILE *out)
{
	struct yaml_out *yaml = mem_alloc(sizeof *yaml);
	yaml_event_t event;

	yaml->out = out;
	yaml_emitter_initialize(&yaml->emitter);
	yaml_emitter_set_output(&yaml->emitter, write_out, yaml);
	yaml_emitter_set_unicode(&yaml->emitter, 1);
	yaml_emitter_set_width(&yaml->emitter, WIDTH);
	yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING);
	emit(yaml, &event);
	yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1);
	emit(yaml, &event);
	return yaml;
}

void yaml_out_end(struct yaml_out *yaml)
{
	yaml_event_t event;

	yaml_document_end_event_initialize(&event, 1);
	emit(yaml, &event);
	yaml_stream_end_event_initialize(&event);
	emit(yaml, &event);
	yaml_emitter_delete(&yaml->emitter);
	free(yaml);
}

void yaml_out_map_begin(struct yaml_out *yaml)
{
	yaml_event_t event;

	yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_MAPPING_STYLE);
	emit(yaml, &event);
}

void yaml_out_map_end(struct yaml_out *yaml)
{
	yaml_event_t event;

	yaml_mapping_end_event_initialize(&event);
	emit(yaml, &event);
}

void yaml_out_list_begin(struct yaml_out *yaml)
{
	yaml_event_t event;

	yaml_sequence_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_SEQUENCE_STYLE);
	emit(yaml, &event);
}

void yaml_out_list_end(struct yaml_out *yaml)
{
	yaml_event_t event;

	yaml_sequence_end_event_initialize(&event);
	emit(yaml, &event);
}

static void scalar(struct yaml_out *yaml, const char *text, size_t len, yaml_scalar_style_t style)
{
	yaml_event_t event;

	yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)text, (int)len, 1, 1, style);
	emit(yaml, &event);
}

/* A text that some reader of YAML may take for a number, a time, a truth or nothing.  Generous: quotes never harm. */
static bool is_ambiguous(const char *text)
{
	static const char *const words[] = { "true", "false", "yes", "no", "on", "off", "y", "n", "null", "~", "" };

	for (size_t i = 0; i < array_length(words); i++)
		if (strcasecmp(words[i], text) == 0)
			return true;
	return strchr("0123456789+-.<=", text[0]) != NULL;
}

static void text_scalar(struct yaml_out *yaml, const char *text, size_t len)
{
	yaml_scalar_style_t style = strchr(text, '\n')   ? YAML_LITERAL_SCALAR_STYLE
				    : is_ambiguous(text) ? YAML_DOUBLE_QUOTED_SCALAR_STYLE
							 : YAML_ANY_SCALAR_STYLE;

	scalar(yaml, text, len, style);
}

void yaml_out_key(struct yaml_out *yaml, const char *key)
{
	text_scalar(yaml, key, strlen(key));
}

static void plain(struct yaml_out *yaml, const json_t *value)
{
	char *text = json_dumps(value, JSON_ENCODE_ANY);

	scalar(yaml, text, strlen(text), YAML_PLAIN_SCALAR_STYLE);
	free(text);
}

void yaml_out_value(struct yaml_out *yaml, const json_t *value)
{
	const char *key;
	json_t *one;
	size_t i;

	switch (json_typeof(value)) {
	case JSON_OBJECT:
		yaml_out_map_begin(yaml);
		json_object_foreach((json_t *)(uintptr_t)value, key, one)
		{
			yaml_out_key(yaml, key);
			yaml_out_value(yaml, one);
		}
		yaml_out_map_end(yaml);
		break;
	case JSON_ARRAY:
		yaml_out_list_begin(yaml);
		json_array_foreach((json_t *)(uintptr_t)value, i, one)
		{
			yaml_out_value(yaml, one);
		}
		yaml_out_list_end(yaml);
		break;
	case JSON_STRING:
		text_scalar(yaml, json_string_value(value), json_string_length(value));
		break;
	default:
		plain(yaml, value);
		break;
	}
}
