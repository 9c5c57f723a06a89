#include "tests/mock/kube_token.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static char *encode(const char *text)
{
	size_t len = strlen(text), out = 0;
	char *result = mem_alloc(len / 3 * 4 + 5);
	unsigned bits = 0, n = 0;

	for (size_t i = 0; i < len; i++) {
		bits = bits << 8 | (unsigned char)text[i];
		for (n += 8; n >= 6; n -= 6)
			result[out++] = alphabet[bits >> (n - 6) & 63];
	}
	if (n > 0)
		result[out++] = alphabet[bits << (6 - n) & 63];
	return result;
}

static char *decode(const char *text)
{
	char *result = mem_alloc(strlen(text) + 1);
	unsigned bits = 0, n = 0;
	size_t out = 0;

	for (; *text; text++) {
		const char *at = strchr(alphabet, *text);

		if (!at) {
			free(result);
			return NULL;
		}
		bits = bits << 6 | (unsigned)(at - alphabet);
		n += 6;
		if (n >= 8) {
			n -= 8;
			result[out++] = (char)(bits >> n);
		}
	}
	return result;
}

/* The token's start is the first key that may come: the last one and a NUL behind it. */
char *mkube_token_make(int64_t rv, const char *last_key)
{
	json_t *token = json_pack("{s:s, s:I, s:o}", "v", "meta.k8s.io/v1", "rv", (json_int_t)rv, "start",
				  json_stringn(last_key, strlen(last_key) + 1));
	char *text = json_dumps(token, JSON_COMPACT);
	char *result = encode(text);

	free(text);
	json_decref(token);
	return result;
}

bool mkube_token_parse(const char *token, int64_t *rv, char **start)
{
	char *text = decode(token);
	struct error err;
	json_t *object = text ? json_parse(text, strlen(text), &err) : NULL;
	const json_t *key = json_object_get(object, "start");
	bool ok = json_is_string(key) && json_is_integer(json_object_get(object, "rv")) &&
		  json_string_length(key) == strlen(json_string_value(key)) + 1;

	if (ok) {
		*rv = json_int(object, 0, "rv", NULL);
		*start = mem_dup(json_string_value(key));
	}
	json_decref(object);
	free(text);
	return ok;
}
