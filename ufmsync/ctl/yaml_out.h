#pragma once

#include <jansson.h>
#include <stdio.h>

/* YAML of JSON values, piece by piece, over libyaml's emitter: texts that YAML would take for something else (true, 0x5,
 * 1e3) are quoted. */
struct yaml_out;

struct yaml_out *yaml_out_new(FILE *out); /* begins a document */
void yaml_out_map_begin(struct yaml_out *yaml);
void yaml_out_map_end(struct yaml_out *yaml);
void yaml_out_list_begin(struct yaml_out *yaml);
void yaml_out_list_end(struct yaml_out *yaml);
void yaml_out_key(struct yaml_out *yaml, const char *key);
void yaml_out_value(struct yaml_out *yaml, const json_t *value); /* whole */
/* Ends the document and frees.  Whether everything was written is for ferror(out) to say. */
void yaml_out_end(struct yaml_out *yaml);
