/* json_parse() and the getters over whatever came out of it; times; texts that are written as JSON read back. */
#undef NDEBUG
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void getters(const json_t *root)
{
	json_str(root, "a", "b", NULL);
	json_int(root, 0, "a", NULL);
	json_bool(root, false, "metadata", "a", NULL);
	assert(json_at(root, NULL) == root);
}

static void times(const char *text)
{
	char written[28];
	int64_t ms, back;

	if (!json_time_ms(&ms, text))
		return;
	json_micro_time(written, ms);
	assert(strlen(written) == 27 && json_time_ms(&back, written) && (ms < 0 ? back == 0 : back == ms));
}

static void strings(const char *text)
{
	struct error err;
	struct buf buf;

	buf_init(&buf, 1 << 24);
	assert(buf_json_string(&buf, text));
	json_t *root = json_parse(buf.data, buf.len, &err);
	assert(root);
	if (utf8_valid(text, strlen(text)))
		assert(strcmp(json_string_value(root), text) == 0);
	json_decref(root);
	buf_free(&buf);
	error_set(&err, ERROR_INVALID, "%s", text);
	assert(utf8_valid(err.text, strlen(err.text)) && !strchr(err.text, '\n'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error err = { 0 };
	json_t *root = json_parse((const char *)data, size, &err);
	char *text = mem_dup_n((const char *)data, size);

	assert(root || err.kind == ERROR_INVALID);
	getters(root);
	times(text);
	strings(text);
	json_decref(root);
	free(text);
	return 0;
}
