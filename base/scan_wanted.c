#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_unescape.h"
#include "base/mem.h"
#include "base/scan_private.h"

enum { RAW_KEY_MAX = 6 * SCAN_KEY_MAX, KEEP_MAX = 256 * 1024 };

static void compile(struct scan *scan, unsigned index, const char *text)
{
	struct scan_pattern *pattern = &scan->patterns[index];
	uint8_t bit = (uint8_t)(1u << index);

	for (const char *at = text; *at;) {
		size_t len = strcspn(at, "/");
		assert(pattern->n_steps < SCAN_STEPS_MAX && len > 0 && len <= SCAN_KEY_MAX);
		assert(at[len] == '\0' || at[len + 1] != '\0');
		if (len == 1 && *at == '*')
			scan->star[pattern->n_steps] |= bit;
		pattern->step[pattern->n_steps] = at;
		pattern->len[pattern->n_steps++] = len;
		at += len + (at[len] == '/');
	}
	scan->all |= bit;
	scan->ending[pattern->n_steps] |= bit;
}

struct scan *scan_new(const struct scan_options *options)
{
	struct scan *scan = mem_alloc(sizeof *scan);

	scan->options = *options;
	if (scan->options.max_depth == 0)
		scan->options.max_depth = SCAN_DEPTH_MAX;
	assert(scan->options.max_depth <= SCAN_DEPTH_LIMIT);
	for (unsigned i = 0; i < SCAN_PATTERNS_MAX && options->patterns[i]; i++)
		compile(scan, i, options->patterns[i]);
	assert(scan->all == 0 || (options->value && options->max_value > 0));
	buf_init(&scan->key, RAW_KEY_MAX + 1);
	buf_init(&scan->value, options->max_value + 1);
	return scan;
}

void scan_free(struct scan *scan)
{
	if (!scan)
		return;
	buf_free(&scan->key);
	buf_free(&scan->value);
	free(scan);
}

int scan_end_key(struct scan *scan)
{
	unsigned step = scan->depth - 1;
	char *key = scan->stars[step];
	uint8_t live = scan->live[step];
	size_t len = 0;

	enum json_unescape is = scan->key.full ? JSON_UNESCAPE_LONG
					       : json_unescape(key, SCAN_KEY_MAX, &len, scan->key.data, scan->key.len);
	if (is == JSON_UNESCAPE_OK) {
		for (unsigned i = 0; i < SCAN_PATTERNS_MAX; i++) {
			const struct scan_pattern *pattern = &scan->patterns[i];
			if (!(live >> i & 1))
				continue;
			if ((scan->star[step] >> i & 1) ||
			    (pattern->len[step] == len && memcmp(pattern->step[step], key, len) == 0))
				scan->next |= (uint8_t)(1u << i);
		}
		return 0;
	}
	/* Such a key is no pattern's, so it only matters where any key will do. */
	if (!(live & scan->star[step]))
		return 0;
	if (is == JSON_UNESCAPE_LONG)
		return error_set(&scan->error, ERROR_LIMIT, "a key of more than %d bytes", SCAN_KEY_MAX);
	return error_set(&scan->error, ERROR_INVALID, "a key that is no UTF-8 or has a NUL in it");
}

int scan_deliver(struct scan *scan)
{
	const struct scan_pattern *pattern = &scan->patterns[scan->wanted];
	struct scan_value value = { .pattern = scan->wanted, .json = scan->value.data, .len = scan->value.len };

	scan->open = false;
	if (scan->value.len > scan->options.max_value)
		return error_set(&scan->error, ERROR_LIMIT, "a value of more than %zu bytes", scan->options.max_value);
	for (unsigned i = 0; i < pattern->n_steps; i++) {
		if (!(scan->star[i] >> scan->wanted & 1))
			continue;
		value.keys[value.n_keys++] = scan_is_object(scan, i) ? scan->stars[i] : NULL;
	}
	int result = scan->options.value(scan->options.aux, &value, &scan->error);
	/* One large element must not keep its memory for the life of a watch. */
	if (scan->value.cap > KEEP_MAX)
		buf_free(&scan->value);
	buf_clear(&scan->value);
	return result;
}
