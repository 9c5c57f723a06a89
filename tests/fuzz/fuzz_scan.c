/* The scanner: any cut gives the same calls and the same end, and it agrees with jansson about what is JSON. */
#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct scan_options ways[] = {
	{ .patterns = { "metadata", "items/*" }, .max_value = 1000 },
	{ .patterns = { "" }, .many = true, .max_value = 40 },
	{ .patterns = { "*/guids/*", "*/partition" }, .max_value = 1 << 20, .max_total = 200 },
	{ .patterns = { NULL } },
	{ .patterns = { "*/*/*/*", "a/b/*", "*", "items" }, .max_value = 1 << 20 },
};

struct outcome {
	uint64_t digest; /* of all that was delivered */
	unsigned values;
	int result;
	struct error err;
};

static void digest(uint64_t *sum, const void *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		*sum = (*sum ^ ((const uint8_t *)bytes)[i]) * 0x100000001b3;
	*sum = (*sum ^ n) * 0x100000001b3;
}

static int value(void *aux, const struct scan_value *value, struct error *err)
{
	struct outcome *outcome = aux;

	(void)err;
	assert(value->json[value->len] == '\0');
	digest(&outcome->digest, value->json, value->len);
	digest(&outcome->digest, &value->pattern, sizeof value->pattern);
	for (unsigned i = 0; i < value->n_keys; i++)
		if (value->keys[i])
			digest(&outcome->digest, value->keys[i], strlen(value->keys[i]));
	outcome->values++;
	return 0;
}

/* In pieces of `piece` bytes, each in memory of its own size. */
static struct outcome scan(struct scan_options options, const uint8_t *data, size_t size, size_t piece)
{
	struct outcome outcome = { 0 };

	options.value = value;
	options.aux = &outcome;
	struct scan *scan = scan_new(&options);
	for (size_t at = 0; at < size; at += piece) {
		size_t n = size - at < piece ? size - at : piece;
		char *exact = malloc(n);
		assert(exact);
		memcpy(exact, data + at, n);
		outcome.result = scan_feed(scan, exact, n, &outcome.err);
		free(exact);
		if (outcome.result < 0)
			break;
	}
	struct error end = { 0 };
	int result = scan_end(scan, &end);
	assert(outcome.result == 0 || (result < 0 && strcmp(end.text, outcome.err.text) == 0));
	outcome.result = result;
	outcome.err = end;
	scan_free(scan);
	return outcome;
}

static void agree(const uint8_t *data, size_t size)
{
	struct error err;
	struct outcome outcome = scan(ways[3], data, size, size + 1);
	json_t *root = json_parse((const char *)data, size, &err);

	if (root && strncmp(outcome.err.text, "JSON deeper", 11) != 0)
		assert(outcome.result == 0);
	/* jansson refuses more: bytes that are no UTF-8, halves of surrogate pairs, large numbers, duplicate keys. */
	bool plain = !root;
	for (size_t i = 0; i < size; i++)
		plain = plain && data[i] < 0x80 && data[i] != '\\' && data[i] != 'e' && data[i] != 'E';
	plain = plain && size < 18 && !strstr(err.text, "duplicate");
	if (plain)
		assert(outcome.result < 0);
	json_decref(root);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	size_t piece = 1 + data[0] / 8;
	struct scan_options options = ways[data[0] % (sizeof ways / sizeof *ways)];
	struct outcome whole = scan(options, data + 1, size - 1, size);
	struct outcome cut = scan(options, data + 1, size - 1, piece);
	assert(whole.result == cut.result && whole.values == cut.values && whole.digest == cut.digest);
	assert(whole.err.kind == cut.err.kind && strcmp(whole.err.text, cut.err.text) == 0);
	agree(data + 1, size - 1);
	return 0;
}
